/* conf/rules.c - what the schema's rows for routes do beyond storing a value, and how a user is matched. */
#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include "conf/reader.h"

enum { ACT_UNSET = 0xff, UNFOLDED_MAX = 500 };

struct compiled_regex {
	struct compiled_regex *next;
	regex_t regex;
};

void regexes_free(struct compiled_regex *list)
{
	for (; list; list = list->next) /* they lie in the snapshot's arena */
		regfree(&list->regex);
}

void on_route_open(struct reader *r, void *into)
{
	struct conf_route *route = into;

	route->line = r->mark.line;
	route->col = r->mark.col;
	route->when.zone = -1;
	route->action = ACT_UNSET;
}

void on_when_zone(struct reader *r, const struct value *v, void *into)
{
	struct conf_route *route = into;

	(void)r;
	route->when.zone = (int)v->number;
}

void on_when_caller(struct reader *r, const struct value *v, void *into)
{
	struct conf_route *route = into;

	route->when.caller = (uint8_t)v->number;
	if (r->is_default)
		return;
	route->when.caller_is_written = true;
	if (v->number == CALLER_ANY)
		note_warning(r, "anyone may use this rule");
}

void on_when_callee(struct reader *r, const struct value *v, void *into)
{
	struct conf_route *route = into;

	(void)r, (void)v;
	route->when.callee_registered = true;
}

void on_to_part(struct reader *r, const struct value *v, void *into)
{
	struct conf_route *route = into;

	(void)r;
	route->action = v->number == 0 ? ACT_REGISTRAR : ACT_LOCATION;
	if (v->number == 0 && !route->when.caller_is_written) /* who registers is not registered yet */
		route->when.caller = CALLER_ANY;
}

void on_to_pool(struct reader *r, const struct value *v, void *into)
{
	struct conf_route *route = into;

	(void)r;
	route->action = ACT_POOL;
	route->pool = (uint16_t)v->number;
}

void on_to_reject(struct reader *r, const struct value *v, void *into)
{
	struct conf_route *route = into;

	(void)r;
	route->action = ACT_REJECT;
	route->reject = (uint16_t)v->number;
	if (!route->when.caller_is_written)
		route->when.caller = CALLER_ANY;
}

/* The largest number in "{n,m}", which starts at `*p`; moves `*p` to its "}". */
static size_t repeat_of(const char **p)
{
	size_t most = 1, n = 0;

	while ((*p)[1] && **p != '}') {
		(*p)++;
		n = !isdigit((unsigned char)**p) ? 0 : n <= UNFOLDED_MAX ? n * 10 + (size_t)(**p - '0') : n;
		most = n > most ? n : most;
	}
	return most;
}

/* The last byte of the atom at `p`: an escape, a bracket expression (whose first "]" is literal), or one character. */
static const char *atom_end(const char *p)
{
	if (*p == '\\' && p[1])
		return p + 1;
	if (*p != '[')
		return p;
	p += p[1] == '^';
	p += p[1] == ']';
	while (p[1] && *++p != ']')
		;
	return p;
}

/* How many characters the expression matches one after the other when every {n} is written out, as regcomp() does; counting
 * ends beyond UNFOLDED_MAX. */
static size_t unfolded(const char *p)
{
	size_t before[CONF_REGEX_MAX + 1] = { 0 }, last = 0; /* in each open group, and of the last atom or group */
	unsigned depth = 0;

	for (; *p && before[depth] + last <= UNFOLDED_MAX; p++) {
		if (*p == '(') {
			before[depth] += last;
			before[++depth] = last = 0;
		} else if (*p == ')' && depth) {
			last += before[depth--];
		} else if (*p == '{') {
			last *= repeat_of(&p);
		} else if (!strchr("*+?|^$)", *p)) {
			before[depth] += last;
			last = 1;
			p = atom_end(p);
		}
	}
	return before[depth] + last;
}

/* glibc takes \1 in an extended expression; matching one can take exponential time, and callers choose what is matched. */
static bool has_back_reference(const char *p)
{
	for (; *p; p++) {
		if (*p == '\\' && isdigit((unsigned char)p[1]))
			return true;
		if (*p == '\\' && p[1])
			p++;
	}
	return false;
}

static bool regex_is_bounded(struct reader *r, struct sv text)
{
	if (text.len == 0 || text.len > CONF_REGEX_MAX)
		note_error(r, "a regular expression has 1 to %d bytes", CONF_REGEX_MAX);
	else if (has_back_reference(text.p))
		note_error(r, "a regular expression with a back reference can take exponential time: write it without");
	else if (unfolded(text.p) > UNFOLDED_MAX)
		note_error(r, "the repetitions {n} unfold to more than %d characters: write * or +", UNFOLDED_MAX);
	else
		return true;
	return false;
}

void on_rewrite_regex(struct reader *r, const struct value *v, void *into)
{
	struct conf_arena *arena = r->conf->arena;
	struct conf_route *route = into;
	struct compiled_regex *compiled;
	char why[128];
	int err;

	route->rewrite.user_regex = v->text;
	if (!regex_is_bounded(r, v->text) || !(compiled = reader_alloc(r, sizeof(*compiled))))
		return;
	err = regcomp(&compiled->regex, v->text.p, REG_EXTENDED);
	if (err == REG_ESPACE) {
		r->err = -ENOMEM;
	} else if (err) {
		regerror(err, &compiled->regex, why, sizeof(why));
		note_error(r, "not a POSIX extended regular expression: %s", why);
	} else {
		compiled->next = arena->regexes;
		arena->regexes = compiled;
		route->rewrite.regex = &compiled->regex;
	}
}

void on_rewrite_apply(struct reader *r, const struct value *v, void *into)
{
	struct conf_rewrite *rw = &((struct conf_route *)into)->rewrite;
	bool *const to[] = { &rw->request_uri, &rw->from, &rw->to, &rw->pai };

	(void)r;
	*to[v->number] = true;
}

/* RFC 3261 §25.1 user, escapes included: what is put in must leave a URI. */
bool is_user_text(struct sv v, bool has_groups)
{
	for (size_t i = 0; i < v.len; i++) {
		if (has_groups && v.p[i] == '\\')
			continue;
		if (!isalnum((unsigned char)v.p[i]) && !strchr("-_.!~*'()&=+$,;?/%", v.p[i]))
			return false;
	}
	return true;
}

/* Every \ of a replacement is followed by the number of a group that exists. */
static bool groups_exist(struct sv replace, const regex_t *regex)
{
	for (size_t i = 0; i < replace.len; i++) {
		if (replace.p[i] != '\\')
			continue;
		if (++i == replace.len || replace.p[i] < '0' || (size_t)(replace.p[i] - '0') > regex->re_nsub || replace.p[i] > '9')
			return false;
	}
	return true;
}

void on_rewrite_done(struct reader *r, void *into)
{
	struct conf_rewrite *rw = &((struct conf_route *)into)->rewrite;

	if (rw->user_regex.p && (rw->user_strip || rw->user_prefix.len))
		note_error(r, "user: either strip and prefix, or regex and replace, not both");
	if (rw->user_regex.p && !rw->user_replace.p)
		note_error(r, "user: a regex needs `replace:`, what the user becomes");
	if (!rw->user_regex.p && rw->user_replace.p)
		note_error(r, "user: `replace:` needs a regex");
	if ((rw->user_prefix.p && !is_user_text(rw->user_prefix, false)) ||
	    (rw->user_replace.p && !is_user_text(rw->user_replace, true)))
		note_error(r, "user: a character that a user part cannot have (RFC 3261 §25.1): write it as %%HH");
	if (rw->regex && rw->user_replace.p && !groups_exist(rw->user_replace, rw->regex))
		note_error(r, "user: `replace:` names a group that the regex does not have: it has %zu",
		           ((const regex_t *)rw->regex)->re_nsub);
}

void on_route_done(struct reader *r, void *into)
{
	struct conf_route *route = into;
	struct conf_text text;

	if (route->action == ACT_UNSET) /* a note says why */
		return;
	if (route->action == ACT_REGISTRAR && (route->when.n_methods != 1 || !sv_eq(route->when.methods[0], SV("REGISTER"))))
		note_error(r, "`to: registrar` is for one method: write `when: { method: REGISTER }`");
	if (describe_route(r->conf, route, &text) < 0) {
		r->err = -ENOMEM;
		return;
	}
	route->text = reader_dup(r, (struct sv){ text.p, text.len });
	free(text.p);
}

static bool is_digits(struct sv v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	}
	return v.len > 0;
}

bool conf_user_match(struct sv pattern, struct sv user)
{
	size_t dash = sv_chr(pattern, '-');
	struct sv from = { pattern.p, dash }, to = sv_skip(pattern, dash + 1);

	if (dash == pattern.len || from.len != to.len || !is_digits(from) || !is_digits(to))
		return sv_glob(pattern, user);
	/* As many digits on all sides: the order of the bytes is the order of the numbers. */
	return user.len == from.len && is_digits(user) && memcmp(user.p, from.p, from.len) >= 0 &&
	       memcmp(user.p, to.p, to.len) <= 0;
}
