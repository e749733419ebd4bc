/* sip/uri_equal.c - when two URIs are the same one (RFC 3261 §19.1.4). */
#include "sip/grammar.h"
#include "sip/header.h"

/* The next character of `*v`. An escaped one that is reserved is not the same as the character itself: it comes with the ninth bit. */
static unsigned next_char(struct sv *v, bool folds)
{
	char c = *v->p;
	size_t used = 1;
	bool is_reserved = false;

	if (c == '%' && v->len >= 3) {
		unescape_to(&c, (struct sv){ v->p, 3 });
		used = 3;
		is_reserved = c && strchr(";/?:@&=+$,", c);
	}
	*v = sv_skip(*v, used);
	if (folds && c >= 'A' && c <= 'Z')
		c |= 0x20;
	return (uint8_t)c | (is_reserved ? 256u : 0);
}

static bool text_eq(struct sv a, struct sv b, bool folds)
{
	while (a.len && b.len)
		if (next_char(&a, folds) != next_char(&b, folds))
			return false;
	return a.len == b.len;
}

static bool matters_alone(struct sv name)
{
	return IS_WORD(name, "user") || IS_WORD(name, "ttl") || IS_WORD(name, "method") || IS_WORD(name, "maddr") ||
	       sv_ieq(name, SV("transport"));
}

static bool find_param(struct sv params, struct sv name, struct sv *value)
{
	struct sv one;

	while (param_next(&params, &one, value))
		if (text_eq(one, name, true))
			return true;
	return false;
}

static unsigned count_params(struct sv params)
{
	struct sv name, value;
	unsigned n = 0;

	while (n <= URI_EQUAL_PARAMS && param_next(&params, &name, &value))
		n++;
	return n;
}

/* What `a` has, `b` has too, with the same value, or it is one that may be missing. */
static bool params_agree(struct sv a, struct sv b)
{
	struct sv name, value, other;

	while (param_next(&a, &name, &value)) {
		bool is_there = find_param(b, name, &other);

		if (is_there ? !text_eq(value, other, true) : matters_alone(name))
			return false;
	}
	return true;
}

static unsigned count_headers(struct sv headers)
{
	struct sv name, value;
	unsigned n = 0;

	while (n <= URI_EQUAL_PARAMS && uri_header_next(&headers, &name, &value))
		n++;
	return n;
}

static bool has_header(struct sv headers, struct sv name, struct sv value)
{
	struct sv other, its;

	while (uri_header_next(&headers, &other, &its))
		if (text_eq(name, other, true) && text_eq(value, its, false))
			return true;
	return false;
}

/* Headers are never ignored. */
static bool headers_eq(struct sv a, struct sv b)
{
	struct sv all = b, name, value;
	unsigned n = count_headers(a);

	if (n != count_headers(b) || n > URI_EQUAL_PARAMS)
		return false;
	while (uri_header_next(&a, &name, &value))
		if (!has_header(all, name, value))
			return false;
	return true;
}

bool uri_equal(const struct uri *a, const struct uri *b)
{
	if (a->scheme != b->scheme || !sv_ieq(a->scheme_text, b->scheme_text))
		return false;
	if (a->scheme != URI_SIP && a->scheme != URI_SIPS)
		return sv_eq(a->opaque, b->opaque);
	if (a->port != b->port || !sv_ieq(a->host, b->host) || !text_eq(a->user, b->user, false) ||
	    !text_eq(a->password, b->password, false))
		return false;
	if (count_params(a->params) > URI_EQUAL_PARAMS || count_params(b->params) > URI_EQUAL_PARAMS)
		return false;
	return params_agree(a->params, b->params) && params_agree(b->params, a->params) && headers_eq(a->headers, b->headers);
}
