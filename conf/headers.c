/* conf/headers.c - what the schema's rows for header rules do beyond storing a value: what a rule may touch, and what it may write. */
#include "conf/reader.h"

enum { PIECES_MAX = 16 };

#define OURS "is ours on each side: a zone's `privacy: { mask: ... }` masks hosts, a rule's `rewrite:` changes addresses"
#define BODY "describes the body, which passes as it is"
#define AGREED "is part of what the two sides agree on, and passes or is written as that needs"
#define CREDENTIALS "passes untouched, or nobody could log in (RFC 3261 §22)"
#define HOP "concerns one hop only, and ends here"

/* What a rule could only break. */
static const struct closed {
	const char *name, *why;
} closed[] = {
	{ "Via", OURS }, { "From", OURS }, { "To", OURS }, { "Call-ID", OURS }, { "CSeq", OURS }, { "Contact", OURS },
	{ "Max-Forwards", OURS }, { "Route", OURS }, { "Record-Route", OURS }, { "Path", HOP }, { "Service-Route", HOP },
	{ "Max-Breadth", HOP }, { "Flow-Timer", HOP }, { "Timestamp", HOP }, { "In-Reply-To", HOP }, { "Proxy-Require", HOP },
	{ "Content-Length", BODY }, { "Content-Type", BODY }, { "Content-Encoding", BODY }, { "Content-Disposition", BODY },
	{ "MIME-Version", BODY },
	{ "Require", AGREED }, { "Supported", AGREED }, { "Unsupported", AGREED }, { "RSeq", AGREED }, { "RAck", AGREED },
	{ "Event", AGREED }, { "Subscription-State", AGREED }, { "Expires", AGREED }, { "Min-Expires", AGREED },
	{ "Session-Expires", AGREED }, { "Min-SE", AGREED }, { "SIP-ETag", AGREED }, { "SIP-If-Match", AGREED },
	{ "Replaces", AGREED }, { "Join", AGREED }, { "Target-Dialog", AGREED }, { "Refer-To", AGREED }, { "Refer-Sub", AGREED },
	{ "Info-Package", AGREED }, { "Recv-Info", AGREED },
	{ "Authorization", CREDENTIALS }, { "Proxy-Authorization", CREDENTIALS }, { "WWW-Authenticate", CREDENTIALS },
	{ "Proxy-Authenticate", CREDENTIALS }, { "Authentication-Info", CREDENTIALS },
};

/* RFC 3261 §25.1 token, as long as a header's name may be. */
static bool is_name(struct sv v)
{
	for (size_t i = 0; i < v.len; i++) {
		bool is_letter = (v.p[i] | 0x20) >= 'a' && (v.p[i] | 0x20) <= 'z';

		if (!is_letter && !(v.p[i] >= '0' && v.p[i] <= '9') && !(v.p[i] && strchr("-.!%*_+`'~", v.p[i])))
			return false;
	}
	return v.len > 0 && v.len <= CONF_NAME_MAX;
}

bool read_header(struct reader *r, const struct row *row, struct value *v)
{
	bool is_listed = row->path[strlen(row->path) - 1] == ']';
	bool is_glob = is_listed && v->text.len > 2 && v->text.p[v->text.len - 1] == '*';
	struct sv name = { v->text.p, v->text.len - is_glob };

	if (!is_name(name) || sv_chr(name, '*') < name.len)
		note_error(r, "not %s: write %s", type_name(TY_HEADER), type_hint(TY_HEADER));
	else if (name.len == 1)
		note_error(r, "a compact form: write the header's full name");
	else {
		for (size_t i = 0; !is_glob && i < sizeof(closed) / sizeof(closed[0]); i++) {
			if (!sv_ieq(name, sv_from(closed[i].name)))
				continue;
			note_error(r, "%s %s; no header rule may touch it", closed[i].name, closed[i].why);
			return false;
		}
		return true;
	}
	return false;
}

void on_rules_open(struct reader *r, void *into)
{
	((struct conf_rules *)into)->mark = r->key_mark;
}

void on_rule_open(struct reader *r, void *into)
{
	r->errors_before = r->notes->errors;
	((struct conf_rule *)into)->message = MESSAGE_ANY;
}

static void set_action(struct reader *r, struct conf_rule *rule, uint8_t action)
{
	if (rule->action)
		note_error(r, "a rule does one thing: write a rule of its own for this");
	rule->action = action;
}

/* For actions with one name. */
static void set_name(struct reader *r, struct conf_rule *rule, uint8_t action, struct sv name)
{
	set_action(r, rule, action);
	if (!(rule->names = reader_alloc(r, sizeof(*rule->names))))
		return;
	rule->names[0] = name;
	rule->n_names = 1;
}

void on_rule_add(struct reader *r, const struct value *v, void *into)
{
	set_name(r, into, RULE_ADD, v->text);
}

void on_rule_set(struct reader *r, const struct value *v, void *into)
{
	set_name(r, into, RULE_SET, v->text);
}

void on_rule_rename(struct reader *r, const struct value *v, void *into)
{
	set_name(r, into, RULE_RENAME, v->text);
}

void on_rule_copy(struct reader *r, const struct value *v, void *into)
{
	set_name(r, into, RULE_COPY, v->text);
}

void on_rule_remove(struct reader *r, void *into)
{
	set_action(r, into, RULE_REMOVE);
}

void on_rule_keep(struct reader *r, void *into)
{
	set_action(r, into, RULE_KEEP);
}

void on_rule_mask(struct reader *r, void *into)
{
	set_action(r, into, RULE_MASK);
}

void on_rule_signature(struct reader *r, const struct value *v, void *into)
{
	(void)r, (void)v;
	((struct conf_rule *)into)->drops_signature = true;
}

/* In the order of enum conf_piece_kind. */
static const char *const variables[] = { "from-user", "to-user", "source-address", "source-zone", "call-id" };

static bool variable_find(struct sv name, uint8_t *kind)
{
	for (uint8_t i = 0; i < PIECE_TEXT; i++) {
		if (!sv_eq(name, sv_from(variables[i])))
			continue;
		*kind = i;
		return true;
	}
	return false;
}

/* No variable of the environment has a hyphen (POSIX §8.1): these names are free. */
bool is_message_variable(struct sv name)
{
	uint8_t kind;

	return variable_find(name, &kind);
}

/* One more piece, which begins `*rest`, and what is behind it. */
static void next_piece(struct sv *rest, struct conf_piece *piece)
{
	size_t end = 0;

	if (rest->len > 2 && memcmp(rest->p, "${", 2) == 0 &&
	    variable_find((struct sv){ rest->p + 2, sv_chr(*rest, '}') - 2 }, &piece->kind)) {
		*rest = sv_skip(*rest, sv_chr(*rest, '}') + 1);
		return;
	}
	do
		end += 1 + sv_chr(sv_skip(*rest, end + 1), '$');
	while (end < rest->len && !(end + 2 < rest->len && rest->p[end + 1] == '{'));
	end = end < rest->len ? end : rest->len;
	*piece = (struct conf_piece){ .kind = PIECE_TEXT, .text = { rest->p, end } };
	*rest = sv_skip(*rest, end);
}

void on_rule_value(struct reader *r, const struct value *v, void *into)
{
	struct conf_rule *rule = into;
	struct sv rest = v->text;

	rule->value = v->text;
	if (!v->text.len || v->text.len > CONF_HEADER_VALUE_MAX)
		note_error(r, "a header's value has 1 to %d bytes", CONF_HEADER_VALUE_MAX);
	else if (v->text.p[0] == ' ' || v->text.p[v->text.len - 1] == ' ')
		note_error(r, "a header's value neither begins nor ends with a space");
	else if ((rule->pieces = reader_alloc(r, PIECES_MAX * sizeof(*rule->pieces)))) {
		while (rest.len && rule->n_pieces < PIECES_MAX)
			next_piece(&rest, &rule->pieces[rule->n_pieces++]);
		if (rest.len)
			note_error(r, "more than %d pieces: texts and ${...}", PIECES_MAX);
	}
}

static bool names(const struct conf_rule *rule, struct sv name)
{
	for (unsigned i = 0; i < rule->n_names; i++) {
		if (sv_ieq(rule->names[i], name))
			return true;
	}
	return sv_ieq(rule->to, name);
}

/* RFC 8224 §4: Identity signs Date besides what is ours. */
static void check_signature(struct reader *r, const struct conf_rule *rule)
{
	bool is_change = rule->action != RULE_KEEP && !(rule->action == RULE_COPY && !sv_ieq(rule->to, SV("Date")));

	if (rule->action != RULE_REMOVE && names(rule, SV("Identity")))
		note_error(r, "Identity is made by who signs with it: a rule can only `remove` it");
	else if (is_change && names(rule, SV("Date")) && !rule->drops_signature)
		note_error(r, "changes Date, which an Identity of the message signs (RFC 8224): write `identity: remove` beside it");
}

void on_rule_done(struct reader *r, void *into)
{
	static const char *const actions[] = { "", "add", "set", "rename", "copy", "remove", "keep", "mask" };
	const struct conf_rule *rule = into;
	bool writes = rule->action == RULE_ADD || rule->action == RULE_SET;
	bool has_to = rule->action == RULE_RENAME || rule->action == RULE_COPY;

	if (r->notes->errors != r->errors_before)
		return; /* what is missing because it could not be read says nothing */
	if (!rule->action)
		note_error(r, "a rule says what it does: add, set, rename, copy, remove, keep or mask");
	else if (writes && !rule->value.p)
		note_error(r, "`value:` is missing: what the header says");
	else if (!writes && rule->value.p)
		note_error(r, "`%s` takes no `value:`; add and set do", actions[rule->action]);
	else if (has_to && !rule->to.p)
		note_error(r, "`to:` is missing: the other name");
	else if (!has_to && rule->to.p)
		note_error(r, "`%s` takes no `to:`; rename and copy do", actions[rule->action]);
	else
		check_signature(r, rule);
}
