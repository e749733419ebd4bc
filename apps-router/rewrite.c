/* apps-router/rewrite.c - a rule's changes to one URI. What a caller wrote is matched without its escapes and escaped anew;
 * what the operator wrote (prefix, replacement, host) is URI text already. */
#include "apps-router/route.h"
#include "sip/out.h"
#include <errno.h>
#include <regex.h>

enum {
	REGEX_USER_MAX = 256,  /* a longer user is left as it is: time in regexec grows with the input */
	GROUPS = 10,           /* \0 to \9 */
	ESCAPED = 3,           /* bytes of %HH */
};

/* RFC 3261 §25.1: unreserved and user-unreserved. */
static bool is_user_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr("-_.!~*'()&=+$,;?/", c);
}

static void out_escaped(struct out *o, struct sv v)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < v.len; i++) {
		const uint8_t byte = (uint8_t)v.p[i];
		const char escape[ESCAPED] = { '%', hex[byte >> 4], hex[byte & 15] };

		if (is_user_char(v.p[i]))
			out_sv(o, (struct sv){ &v.p[i], 1 });
		else
			out_sv(o, (struct sv){ escape, ESCAPED });
	}
}

static void out_replacement(struct out *o, struct sv replace, struct sv user, const regmatch_t *group)
{
	for (size_t i = 0; i < replace.len; i++) {
		unsigned g;

		if (replace.p[i] != '\\' || i + 1 == replace.len || replace.p[i + 1] < '0' || replace.p[i + 1] > '9') {
			out_sv(o, (struct sv){ &replace.p[i], 1 });
			continue;
		}
		g = (unsigned)(replace.p[++i] - '0');
		if (group[g].rm_so >= 0)
			out_escaped(o, sv_span(user.p + group[g].rm_so, user.p + group[g].rm_eo));
	}
}

/* How many bytes the new user may have: each group is at most the user, each byte of it at most an escape. */
static size_t room_for(const struct conf_rewrite *rw, struct sv user)
{
	size_t groups = rw->regex ? rw->user_replace.len / 2 : 0;

	return rw->user_prefix.len + rw->user_replace.len + (groups + 1) * ESCAPED * user.len;
}

/* Into `o`. 1 when the user changes, 0 when the regex leaves it alone, -ENOMEM. */
static int write_by_regex(const struct conf_rewrite *rw, struct sv user, struct out *o)
{
	regmatch_t group[GROUPS] = { { .rm_so = 0, .rm_eo = (regoff_t)user.len } };
	char text[REGEX_USER_MAX + 1];
	int err;

	if (user.len > REGEX_USER_MAX)
		return 0;
	memcpy(text, user.p, user.len); /* POSIX promises nothing about text without a NUL behind it */
	text[user.len] = '\0';
	/* REG_STARTEND: the length counts, an escaped NUL inside does not end the text */
	err = regexec(rw->regex, text, GROUPS, group, REG_STARTEND);
	if (err)
		return err == REG_ESPACE ? -ENOMEM : 0;
	out_replacement(o, rw->user_replace, user, group);
	return 1;
}

static int write_by_strip(const struct conf_rewrite *rw, struct sv user, struct out *o)
{
	if (rw->user_prefix.len)
		out_sv(o, rw->user_prefix);
	out_escaped(o, sv_skip(user, rw->user_strip));
	return 1;
}

/* `user` as it stands in the URI, to `*out` as it will. 0, -ENOMEM, -EBADMSG (nothing would be left). */
static int rewrite_user(const struct conf_rewrite *rw, struct arena *a, struct sv user, struct sv *out)
{
	struct sv plain = unescape(a, user);
	size_t room;
	struct out o;
	char *area;
	int changed;

	if (!plain.p)
		return -ENOMEM;
	room = room_for(rw, plain);
	area = arena_alloc(a, room + 1);
	if (!area)
		return -ENOMEM;
	out_init(&o, area, room);
	changed = rw->regex ? write_by_regex(rw, plain, &o) : write_by_strip(rw, plain, &o);
	if (changed < 0)
		return changed;
	*out = changed ? out_done(&o) : user;
	return out->len && !o.is_full ? 0 : -EBADMSG;
}

/* One piece of a URI and what stands there instead. */
struct change {
	struct sv old, new;
};

/* In a tel URI the number takes the user's place (RFC 3966 §3). */
static struct sv user_span(const struct uri *u)
{
	if (u->scheme == URI_TEL)
		return (struct sv){ u->opaque.p, sv_chr(u->opaque, ';') };
	return u->user;
}

/* From the host, with its brackets, to the end of the port: a new host comes with its own port or none. */
static struct sv host_span(const struct uri *u, struct sv uri)
{
	const char *end = uri.p + uri.len;

	if (u->params.len)
		end = u->params.p;
	else if (u->headers.len)
		end = u->headers.p - 1;
	return sv_span(u->host.p - (u->host_kind == 6), end);
}

/* Everything else stays byte for byte. */
static int rebuild(struct arena *a, struct sv uri, const struct change *change, unsigned n, struct sv *out)
{
	const char *at = uri.p;
	size_t room = uri.len;
	struct uri check;
	struct out o;
	char *area;

	for (unsigned i = 0; i < n; i++)
		room += change[i].new.len;
	area = arena_alloc(a, room + 1);
	if (!area)
		return -ENOMEM;
	out_init(&o, area, room);
	for (unsigned i = 0; i < n; i++) {
		out_sv(&o, sv_span(at, change[i].old.p));
		out_sv(&o, change[i].new);
		at = change[i].old.p + change[i].old.len;
	}
	out_sv(&o, sv_span(at, uri.p + uri.len));
	if (uri_parse(&check, out_done(&o)))
		return -EBADMSG;
	*out = out_done(&o);
	return 0;
}

static bool changes_user(const struct conf_rewrite *rw)
{
	return rw->regex || rw->user_strip || rw->user_prefix.len;
}

/* RFC 3966 §3: digits, visual separators and the digits of a local number; no escapes. */
static bool is_tel_number(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!v.p[i] || !strchr("0123456789abcdefABCDEF*#+-.()", v.p[i]))
			return false;
	return true;
}

int route_rewrite_uri(const struct conf_rewrite *rw, struct arena *a, struct sv uri, struct sv *out)
{
	struct change change[2];
	unsigned n = 0;
	struct uri u;
	int err;

	if (uri_parse(&u, uri))
		return -EBADMSG;
	if (changes_user(rw) && user_span(&u).len) {
		change[n].old = user_span(&u);
		if ((err = rewrite_user(rw, a, change[n].old, &change[n].new)))
			return err;
		if (u.scheme == URI_TEL && !is_tel_number(change[n].new))
			return -EBADMSG;
		n += !sv_eq(change[n].old, change[n].new);
	}
	if (rw->host.len && u.host.len) {
		change[n].old = host_span(&u, uri);
		change[n].new = rw->host;
		n += !sv_eq(change[n].old, change[n].new);
	}
	if (!n) {
		*out = uri;
		return 0;
	}
	return rebuild(a, uri, change, n, out);
}
