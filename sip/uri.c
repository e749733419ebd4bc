/* sip/uri.c - RFC 3261 §19.1 and §25.1: sip and sips URIs cut and judged, other schemes only told apart. */
#include "sip/grammar.h"
#include "sip/out.h"
#include "sip/header.h"
#include "transports/net.h"
#include <errno.h>

enum { HOST_MAX = 255 }; /* bytes of a host name, as in DNS */

/* Bytes of `classes` and well-formed escapes only. */
static bool is_escaped(struct sv v, unsigned classes)
{
	for (size_t i = 0; i < v.len; i++) {
		if (is_class(v.p[i], classes))
			continue;
		if (v.p[i] != '%' || v.len - i < 3 || !is_class(v.p[i + 1], C_HEX) || !is_class(v.p[i + 2], C_HEX))
			return false;
		i += 2;
	}
	return true;
}

static int parse_userinfo(struct uri *u, struct sv info)
{
	size_t colon;

	u->user = info;
	if (info.len && is_all(info, C_USER))
		return 0; /* as nearly always: neither a password nor escapes */
	colon = sv_chr(info, ':');
	u->user = (struct sv){ info.p, colon };
	if (colon < info.len)
		u->password = sv_skip(info, colon + 1);
	if (!u->user.len || !is_escaped(u->user, C_USER) || !is_escaped(u->password, C_USER))
		return -EBADMSG;
	for (size_t i = 0; i < u->password.len; i++) /* its set is the user's without these three (§25.1) */
		if (strchr(";?/", u->password.p[i]))
			return -EBADMSG;
	return 0;
}

/* One to three digits worth below 256; NULL when it is not that. */
static inline const char *skip_octet(const char *p, const char *end)
{
	const char *from = p, *most = end - p > 4 ? p + 4 : end;
	unsigned n = 0, digit;

	for (; p < most && (digit = (unsigned)(uint8_t)*p - '0') < 10; p++)
		n = n * 10 + digit;
	return n < 256 && (size_t)(p - from) - 1 < 3 ? p : NULL;
}

/* Behind four such numbers with dots between; NULL when it is not that. */
static const char *skip_ip4(const char *p, const char *end)
{
	for (unsigned i = 0; i < 3; i++) {
		p = skip_octet(p, end);
		if (!p || p == end || *p++ != '.')
			return NULL;
	}
	p = skip_octet(p, end);
	return p && (p == end || !is_class(*p, C_HOST)) ? p : NULL;
}

/* Behind a name of labels, none empty, the last not starting with a digit: so the grammar tells an IPv4 address from a
 * name. NULL when it is not that. */
static const char *skip_name(const char *p, const char *end)
{
	const char *label = p;

	for (; p < end && is_class(*p, C_HOST); p++) {
		if (*p != '.')
			continue;
		if (p == label)
			return NULL;
		if (p + 1 < end && is_class(p[1], C_HOST))
			label = p + 1;
	}
	return p == label || is_class(*label, C_DIGIT) || *label == '-' ? NULL : p;
}

/* Between brackets: an IPv6 address, which has two colons or more (one would be IPv4 with a port). */
static bool is_ip6(struct sv v)
{
	size_t colon = sv_chr(v, ':');
	struct sv rest = sv_skip(v, colon + 1);
	struct addr a;

	return sv_chr(rest, ':') < rest.len && addr_parse(&a, v) == 0;
}

int host_cut(const char **at, const char *end, struct sv *host, uint8_t *kind)
{
	const char *p = *at;

	if (p < end && *p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));

		if (!close || !is_ip6(sv_span(p + 1, close)))
			return -EBADMSG;
		*host = sv_span(p + 1, close);
		*kind = 6;
		*at = close + 1;
		return 0;
	}
	*kind = 4;
	p = skip_ip4(*at, end);
	if (!p) {
		*kind = 0;
		p = skip_name(*at, end);
	}
	if (!p || p - *at > HOST_MAX)
		return -EBADMSG;
	*host = sv_span(*at, p);
	*at = p;
	return 0;
}

static int parse_params(struct sv params)
{
	const char *p = params.p, *end = params.p + params.len;

	while (p < end) {
		const char *stop = memchr(p + 1, ';', (size_t)(end - p - 1)), *equal;
		struct sv one = sv_span(p + 1, stop ? stop : end);

		equal = memchr(one.p, '=', one.len);
		if (!one.len || equal == one.p)
			return -EBADMSG;
		if (!is_escaped(sv_span(one.p, equal ? equal : one.p + one.len), C_PARAM))
			return -EBADMSG;
		if (equal && !is_escaped(sv_span(equal + 1, one.p + one.len), C_PARAM))
			return -EBADMSG;
		p = stop ? stop : end;
	}
	return 0;
}

/* headers = "?" header *( "&" header ), header = hname "=" hvalue, and only hvalue may be empty */
static int parse_headers(struct sv headers)
{
	const char *p = headers.p, *end = headers.p + headers.len;

	for (;;) {
		const char *stop = memchr(p, '&', (size_t)(end - p)), *equal;

		if (!stop)
			stop = end;
		equal = memchr(p, '=', (size_t)(stop - p));
		if (!equal || equal == p || !is_escaped(sv_span(p, equal), C_HEADER) ||
		    !is_escaped(sv_span(equal + 1, stop), C_HEADER))
			return -EBADMSG;
		if (stop == end)
			return 0;
		p = stop + 1;
	}
}

int port_cut(const char **at, const char *end, uint16_t *port)
{
	const char *p = *at;
	unsigned n = 0, digit;

	for (; p < end && (digit = (unsigned)(uint8_t)*p - '0') < 10; p++)
		if ((n = n * 10 + digit) > UINT16_MAX)
			return -EBADMSG;
	if (!n)
		return -EBADMSG;
	*port = (uint16_t)n;
	*at = p;
	return 0;
}

static int parse_sip(struct uri *u, struct sv rest)
{
	const char *p = rest.p, *end = rest.p + rest.len, *at = memchr(p, '@', rest.len), *question;

	if (at && parse_userinfo(u, sv_span(p, at)))
		return -EBADMSG;
	p = at ? at + 1 : p;
	if (host_cut(&p, end, &u->host, &u->host_kind))
		return -EBADMSG;
	if (p < end && *p == ':' && (p++, port_cut(&p, end, &u->port)))
		return -EBADMSG;
	question = p < end ? memchr(p, '?', (size_t)(end - p)) : NULL;
	u->params = sv_span(p, question ? question : end);
	if (u->params.len && (*u->params.p != ';' || parse_params(u->params)))
		return -EBADMSG;
	if (!question)
		return 0;
	u->headers = sv_span(question + 1, end);
	return parse_headers(u->headers);
}

/* tel, urn and what we do not know: anything an absoluteURI may hold, judged by nobody here. */
static int parse_opaque(struct uri *u, struct sv rest)
{
	for (size_t i = 0; i < rest.len; i++)
		if ((uint8_t)rest.p[i] <= ' ' || rest.p[i] == 0x7f || strchr("<>\"\\", rest.p[i]))
			return -EBADMSG;
	u->opaque = rest;
	return rest.len ? 0 : -EBADMSG;
}

static uint8_t scheme_parse(struct sv scheme)
{
	if (sv_ieq(scheme, SV("sip")))
		return URI_SIP;
	if (sv_ieq(scheme, SV("sips")))
		return URI_SIPS;
	if (sv_ieq(scheme, SV("tel")))
		return URI_TEL;
	return sv_ieq(scheme, SV("urn")) ? URI_URN : URI_OTHER;
}

static bool is_scheme(struct sv v)
{
	if (!v.len || !is_class(*v.p, C_ALPHA))
		return false;
	for (size_t i = 1; i < v.len; i++)
		if (!is_class(v.p[i], C_ALPHA | C_DIGIT) && v.p[i] != '+' && v.p[i] != '-' && v.p[i] != '.')
			return false;
	return true;
}

int uri_parse(struct uri *out, struct sv text)
{
	bool is_sip = text.len >= 4 && memcmp(text.p, "sip:", 4) == 0; /* as nearly always */
	size_t colon = is_sip ? 3 : sv_chr(text, ':');
	struct sv rest = sv_skip(text, colon + 1);
	struct uri u = { .scheme_text = { text.p, colon } };
	int err;

	if (colon == text.len)
		return -EBADMSG;
	u.scheme = is_sip ? URI_SIP : scheme_parse(u.scheme_text);
	if (u.scheme == URI_OTHER && !is_scheme(u.scheme_text))
		return -EBADMSG;
	err = u.scheme == URI_SIP || u.scheme == URI_SIPS ? parse_sip(&u, rest) : parse_opaque(&u, rest);
	if (!err)
		*out = u;
	return err;
}

uint8_t uri_transport(const struct uri *u)
{
	struct sv value;

	return param_find(u->params, SV("transport"), &value) ? transport_parse(value) : T_NONE;
}

bool uri_has_param(const struct uri *u, struct sv name)
{
	struct sv value;

	return param_find(u->params, name, &value);
}

static unsigned hex_value(char c)
{
	return is_class(c, C_DIGIT) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

size_t unescape_to(char *to, struct sv v)
{
	char *begin = to;

	for (size_t i = 0; i < v.len; i++) {
		*to++ = v.p[i];
		if (v.p[i] != '%' || v.len - i < 3 || !is_class(v.p[i + 1], C_HEX) || !is_class(v.p[i + 2], C_HEX))
			continue;
		to[-1] = (char)(hex_value(v.p[i + 1]) << 4 | hex_value(v.p[i + 2]));
		i += 2;
	}
	return (size_t)(to - begin);
}

struct sv unescape(struct arena *a, struct sv v)
{
	char *copy;

	if (sv_chr(v, '%') == v.len)
		return v;
	copy = arena_alloc(a, v.len);
	return (struct sv){ copy, copy ? unescape_to(copy, v) : 0 };
}

bool uri_header_next(struct sv *headers, struct sv *name, struct sv *value)
{
	size_t end = sv_chr(*headers, '&');
	struct sv one = { headers->p, end };
	size_t equal = sv_chr(one, '=');

	if (!one.len)
		return false;
	*name = (struct sv){ one.p, equal };
	*value = sv_skip(one, equal + 1);
	*headers = sv_skip(*headers, end + 1);
	return true;
}

static void out_escaped(struct out *o, struct sv v, unsigned classes)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = (uint8_t)v.p[i];
		const char code[] = { '%', hex[c >> 4], hex[c & 15] };

		out_sv(o, is_class(v.p[i], classes) ? (struct sv){ v.p + i, 1 } : (struct sv){ code, sizeof(code) });
	}
}

void out_uri_header(struct out *o, struct sv v)
{
	out_escaped(o, v, C_HEADER);
}

void out_uri_user(struct out *o, struct sv v)
{
	out_escaped(o, v, C_USER);
}

bool uri_param_is_plain(struct sv v)
{
	return is_all(v, C_PARAM);
}
