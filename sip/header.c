/* sip/header.c - the structured values of RFC 3261 §20 a B2BUA looks into, cut by hand. */
#include "sip/header.h"
#include "sip/grammar.h"
#include "sip/view.h"
#include "transports/net.h"
#include <errno.h>

/* A scheme and something behind its colon; uri_parse judges the rest. */
static bool has_scheme(struct sv v)
{
	const char *end = v.p + v.len, *colon = skip_class(v.p, end, C_TOKEN);

	return colon > v.p && end - colon > 1 && *colon == ':' && is_class(*v.p, C_ALPHA);
}

/* Without <>: the URI ends at the first ; , or white space. Returns what is behind, or NULL. */
static const char *cut_addr_spec(struct name_addr *a, const char *p, const char *end)
{
	const char *stop = find_stop(p, end);

	a->uri = sv_span(p, stop);
	/* a ? would be ambiguous there, so §20.10 wants <> around such a URI */
	return has_scheme(a->uri) && !memchr(p, '?', a->uri.len) ? stop : NULL;
}

/* `p` is at the '<'. Returns what is behind the '>', or NULL. */
static const char *cut_bracketed(struct name_addr *a, const char *p, const char *end)
{
	const char *close = find_uri_stop(p + 1, end);

	if (close == end || *close != '>')
		return NULL;
	a->has_brackets = true;
	a->uri = sv_span(p + 1, close);
	return has_scheme(a->uri) ? close + 1 : NULL;
}

/* display-name = *(token LWS) / quoted-string. Unquoted, anything but the separators , ; < > " goes: phones send UTF-8
 * and dots. Returns the '<' that follows; or `p` when what is there is no display name. */
static const char *cut_display(struct name_addr *a, const char *p, const char *end)
{
	const char *stop = p;

	if (*p == '"') {
		stop = quoted_end(p, end);
		if (!stop)
			return NULL;
		a->display = sv_span(p, stop);
		stop = skip_lws(stop, end);
		return stop < end && *stop == '<' ? stop : NULL;
	}
	while (stop < end && (!is_class(*stop, C_STOP) || is_lws(*stop)))
		stop++;
	if (stop == end || *stop != '<')
		return p;
	a->display = sv_trim(sv_span(p, stop));
	return stop;
}

/* One value and the white space around it: returns the ',' behind it, or `end`; NULL when it is none. */
static const char *cut_name_addr(struct name_addr *a, const char *p, const char *end)
{
	const char *start = p = skip_lws(p, end), *params;

	if (p == end)
		return NULL;
	if (*p == '*') {
		a->is_star = true;
		p = skip_lws(p + 1, end);
	} else {
		if (*p != '<')
			p = cut_display(a, p, end);
		if (p)
			p = *p == '<' ? cut_bracketed(a, p, end) : cut_addr_spec(a, p, end);
		if (!p)
			return NULL;
		params = skip_lws(p, end);
		p = params_end(params, end);
		if (!p)
			return NULL;
		a->params = trim_end(params, p);
	}
	a->whole = trim_end(start, p);
	return p == end || *p == ',' ? p : NULL;
}

bool is_address(struct sv v)
{
	struct name_addr a = { 0 };
	const char *end = v.p + v.len;

	return cut_name_addr(&a, v.p, end) == end && !a.is_star;
}

/* Moves `*rest` behind a value that ended at `p`, and its comma. A comma with nothing behind it is no list. */
static int list_step(struct sv *rest, const char *p)
{
	const char *end = rest->p + rest->len;

	if (p == end) {
		*rest = (struct sv){ end, 0 };
		return 0;
	}
	if (skip_lws(p + 1, end) == end)
		return -EBADMSG;
	*rest = sv_span(p + 1, end);
	return 0;
}

int name_addr_next(struct name_addr *out, struct sv *rest)
{
	struct name_addr a = { 0 };
	const char *p;

	if (!rest->len)
		return -ENOENT;
	p = cut_name_addr(&a, rest->p, rest->p + rest->len);
	if (!p || list_step(rest, p))
		return -EBADMSG;
	*out = a;
	return 0;
}

int name_addr_parse(struct name_addr *out, struct sv value)
{
	struct name_addr a;

	if (name_addr_next(&a, &value) || value.len)
		return -EBADMSG;
	*out = a;
	return 0;
}

/* The end of a list element: a comma outside of quotes, <> and comments. What is never closed ends with the bytes. */
static const char *element_end(const char *p, const char *end)
{
	size_t depth = 0;

	for (; p < end; p++) {
		if (*p == '"' && !depth) {
			p = quoted_end(p, end);
			if (!p)
				return end;
			p--;
		} else if (*p == '<' && !depth) {
			p = memchr(p, '>', (size_t)(end - p));
			if (!p)
				return end;
		} else if (*p == '(') {
			depth++;
		} else if (*p == ')' && depth) {
			depth--;
		} else if (*p == '\\' && depth) {
			p++;
		} else if (*p == ',' && !depth) {
			return p;
		}
	}
	return end;
}

bool list_next(struct sv *element, struct sv *rest)
{
	while (rest->len) {
		const char *end = rest->p + rest->len, *stop = element_end(rest->p, end);
		struct sv one = sv_trim(sv_span(rest->p, stop));

		*rest = stop < end ? sv_span(stop + 1, end) : (struct sv){ end, 0 };
		if (one.len) {
			*element = one;
			return true;
		}
	}
	return false;
}

bool param_next(struct sv *params, struct sv *name, struct sv *value)
{
	const char *end, *p, *stop;

	if (!params->len)
		return false;
	end = params->p + params->len;
	p = skip_lws(params->p, end);
	if (p == end || *p != ';')
		return false;
	stop = param_cut(p + 1, end, name, value);
	if (!stop)
		return false;
	if (!value->p)
		*value = (struct sv){ name->p + name->len, 0 };
	*params = sv_span(stop, end);
	return true;
}

bool param_find(struct sv params, struct sv name, struct sv *value)
{
	struct sv one;

	while (param_next(&params, &one, value))
		if (sv_ieq(one, name))
			return true;
	return false;
}

/* Behind the address of a From or To: at its first parameter if there is one. NULL when it does not end. */
static const char *skip_address(const char *p, const char *end)
{
	p = skip_lws(p, end);
	if (p < end && *p == '"')
		p = quoted_end(p, end);
	if (!p)
		return NULL;
	/* a ; before any < ends an address without <>: what follows may hold a < in quotes */
	while (p < end && *p != '<' && *p != ';')
		p++;
	if (p == end || *p == ';')
		return p;
	p = memchr(p, '>', (size_t)(end - p));
	return p ? p + 1 : NULL;
}

struct sv tag_of(struct sv v)
{
	const struct sv none = { NULL, 0 };
	struct sv tag;
	const char *p;

	if (!v.len)
		return none;
	p = skip_address(v.p, v.p + v.len);
	return p && param_find(sv_span(p, v.p + v.len), SV("tag"), &tag) ? tag : none;
}

/* protocol-name SLASH protocol-version SLASH (§20.42), white space around the slashes allowed; both are any token, so
 * that a request of another version can be answered with 505. Returns what is behind, or NULL. */
static const char *cut_protocol(const char *p, const char *end)
{
	if (end - p > 8 && memcmp(p, "SIP/2.0/", 8) == 0)
		return skip_lws(p + 8, end);
	for (size_t i = 0; i < 2; i++) {
		const char *stop = skip_class(p, end, C_TOKEN);

		if (stop == p)
			return NULL;
		p = skip_lws(stop, end);
		if (p == end || *p != '/')
			return NULL;
		p = skip_lws(p + 1, end);
	}
	return p;
}

static uint8_t transport_of(struct sv v)
{
	return IS_WORD(v, "udp") ? T_UDP : transport_parse(v);
}

/* transport LWS host [ COLON port ]. Returns the white space or first parameter behind, or NULL. */
static const char *cut_sent_by(struct via *via, const char *p, const char *end)
{
	const char *stop = skip_class(p, end, C_TOKEN);
	uint8_t kind;

	via->transport_text = sv_span(p, stop);
	p = skip_lws(stop, end);
	if (stop == via->transport_text.p || p == stop)
		return NULL;
	via->transport = transport_of(via->transport_text);
	if (host_cut(&p, end, &via->host, &kind))
		return NULL;
	p = skip_lws(p, end);
	if (p == end || *p != ':')
		return p;
	p = skip_lws(p + 1, end);
	return port_cut(&p, end, &via->port) ? NULL : skip_lws(p, end);
}

static void via_keep(struct via *via, struct sv name, struct sv value)
{
	if (IS_WORD(name, "branch")) {
		via->branch = value;
	} else if (IS_WORD(name, "rport")) {
		via->rport = value.p ? value : (struct sv){ name.p + name.len, 0 }; /* where its value belongs (RFC 3581 §4) */
		via->has_rport = true;
	} else if (IS_WORD(name, "received")) {
		via->received = value;
	}
}

/* One value and the white space around it: returns the ',' behind it, or `end`; NULL when it is none. */
static const char *cut_via(struct via *via, const char *p, const char *end)
{
	const char *start = p = skip_lws(p, end), *params;
	struct sv name, value;

	p = cut_protocol(p, end);
	if (p)
		p = cut_sent_by(via, p, end);
	params = p;
	while (p && p < end && *p == ';') {
		p = param_cut(p + 1, end, &name, &value);
		if (p)
			via_keep(via, name, value);
	}
	if (!p || (p < end && *p != ','))
		return NULL;
	via->params = trim_end(params, p);
	via->whole = trim_end(start, p);
	return p;
}

/* As via_next(), without the copy of what is found. */
static int step_via(struct via *via, struct sv *rest)
{
	const char *p = cut_via(via, rest->p, rest->p + rest->len);

	return p ? list_step(rest, p) : -EBADMSG;
}

int via_check(struct sv list)
{
	struct via via = { 0 };

	if (!list.len || step_via(&via, &list))
		return -EBADMSG;
	return IS_WORD(via.branch, "z9hg4bk") ? -ENOKEY : 0;
}

int via_next(struct via *out, struct sv *rest)
{
	struct via via = { 0 };

	if (!rest->len)
		return -ENOENT;
	if (step_via(&via, rest))
		return -EBADMSG;
	*out = via;
	return 0;
}

/* Two spellings: to-tag and from-tag (RFC 3891, 3911), local-tag and remote-tag seen by who receives it (RFC 4538). */
static int dialog_ref_keep(struct dialog_ref *ref, struct sv name, struct sv value)
{
	struct sv *tag;

	if (sv_ieq(name, SV("early-only"))) {
		ref->is_early_only = true;
		return 0;
	}
	if (sv_ieq(name, SV("to-tag")) || sv_ieq(name, SV("local-tag")))
		tag = &ref->to_tag;
	else if (sv_ieq(name, SV("from-tag")) || sv_ieq(name, SV("remote-tag")))
		tag = &ref->from_tag;
	else
		return 0;
	if (tag->p || !value.len)
		return -EBADMSG;
	*tag = value;
	return 0;
}

int dialog_ref_parse(struct arena *a, struct dialog_ref *out, struct sv value)
{
	struct sv name, one, params;
	struct dialog_ref ref = { 0 };
	size_t semicolon = sv_chr(value, ';');

	(void)a;
	ref.call_id = sv_trim((struct sv){ value.p, semicolon });
	if (!ref.call_id.len || memchr(ref.call_id.p, ' ', ref.call_id.len))
		return -EBADMSG;
	params = sv_skip(value, semicolon);
	while (param_next(&params, &name, &one))
		if (dialog_ref_keep(&ref, name, one))
			return -EBADMSG;
	if (sv_trim(params).len || !ref.to_tag.p || !ref.from_tag.p)
		return -EBADMSG;
	*out = ref;
	return 0;
}

static const char *cut_number(const char *p, const char *end, uint64_t max, uint64_t *n)
{
	const char *stop = skip_class(p, end, C_DIGIT), *next = skip_lws(stop, end);

	return next > stop && number_parse(sv_span(p, stop), max, n) == 0 ? next : NULL;
}

int rack_parse(struct sv value, uint32_t *rseq, uint32_t *cseq, struct sv *method)
{
	const char *end, *p;
	uint64_t first, second;

	value = sv_trim(value);
	end = value.p + value.len;
	p = cut_number(value.p, end, UINT32_MAX, &first);
	if (p)
		p = cut_number(p, end, INT32_MAX, &second);
	if (!p || !is_all(sv_span(p, end), C_TOKEN))
		return -EBADMSG;
	*rseq = (uint32_t)first;
	*cseq = (uint32_t)second;
	*method = sv_span(p, end);
	return 0;
}

/* Tokens between commas, white space around them. */
static bool list_has(struct sv list, struct sv token)
{
	while (list.len) {
		size_t comma = sv_chr(list, ',');
		const char *p = skip_lws(list.p, list.p + comma);

		if (sv_ieq(trim_end(p, list.p + comma), token))
			return true;
		list = sv_skip(list, comma + 1);
	}
	return false;
}

bool has_option(const struct view *v, unsigned id, struct sv tag)
{
	const struct hdr *h = view_find(v, (enum hdr_id)id, 0);

	for (; h; h = view_find(v, (enum hdr_id)id, (unsigned)(h - v->h) + 1))
		if (list_has(hdr_value(v, h), tag))
			return true;
	return false;
}
