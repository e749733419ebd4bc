/* sip/scan_plain.c - the scanner byte by byte: the judge of every message that is not plainly fine, and what the fast
 * one is fuzzed against. It goes on behind a fault, so that as much as possible can be answered. */
#include "sip/grammar.h"
#include "sip/names.h"
#include "sip/scan.h"
#include <errno.h>

struct scan {
	struct view *v;
	const char *at, *end;
	enum reason first; /* fault found */
	bool is_response;
};

/* One logical line (RFC 3261 §7.3.1): up to a CRLF that no white space follows. */
struct line {
	const char *end; /* at that CRLF */
	bool has_fold;
	bool has_control; /* NUL to US, but for HTAB and the CRLFs of folds */
	bool has_bad_end; /* CR or LF alone */
};

static void note(struct scan *s, enum reason why)
{
	if (!s->first)
		s->first = why;
}

/* False when the bytes end before the line does. */
static bool line_cut(struct line *l, const char *p, const char *end)
{
	*l = (struct line){ 0 };
	for (; p < end; p++) {
		if ((uint8_t)*p >= ' ' || *p == '\t')
			continue;
		if (*p != '\r' && *p != '\n') {
			l->has_control = true;
			continue;
		}
		if (*p == '\n' || p + 1 == end || p[1] != '\n') {
			l->has_bad_end = true;
			continue;
		}
		if (p + 2 == end || (p[2] != ' ' && p[2] != '\t')) {
			l->end = p;
			return true;
		}
		l->has_fold = true;
		p++;
	}
	return false;
}

/* RFC 3261 §25.1: a control byte may stand behind a backslash inside quotes, and nowhere else. */
static bool controls_are_quoted(struct sv v)
{
	bool is_quoted = false;

	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && v.p[i] == '\\')
			i++;
		else if ((uint8_t)v.p[i] < ' ' && !is_lws(v.p[i]))
			return false;
	}
	return true;
}

static bool is_version(struct sv v)
{
	return sv_ieq(v, SV("SIP/2.0"));
}
static bool starts_with_sip(struct sv v)
{
	return v.len >= 4 && sv_ieq((struct sv){ v.p, 4 }, SV("SIP/"));
}

static enum reason check_uri(struct sv uri)
{
	if (uri.len > VIEW_URI_MAX)
		return LONG_URI;
	/* RFC 3986 has no backslash, and a quoted string of one (RFC 3261 §25.1, digest-uri) would say something else. */
	for (size_t i = 0; i < uri.len; i++)
		if ((uint8_t)uri.p[i] <= ' ' || uri.p[i] == '<' || uri.p[i] == '>' || uri.p[i] == '"' || uri.p[i] == '\\')
			return BAD_URI;
	if (!uri.len)
		return BAD_URI;
	return scan_uri_has_headers(uri) ? URI_WITH_HEADERS : FINE;
}

/* Method SP Request-URI SP SIP-Version (RFC 3261 §7.1). `version` is where the last word begins. */
static void cut_request_line(struct scan *s, struct sv line, const char *version)
{
	struct view *v = s->v;
	const char *space = memchr(line.p, ' ', line.len);
	struct sv method = sv_span(line.p, space), uri;

	if (method.len > UINT8_MAX || !is_all(method, C_TOKEN)) {
		note(s, BAD_METHOD);
		return;
	}
	v->method_at = scan_offset(v, method.p);
	v->method_len = (uint8_t)method.len;
	v->method = method_parse(method);
	if (version - space < 2) {
		note(s, BAD_START_LINE);
		return;
	}
	uri = sv_span(space + 1, version - 1);
	v->uri = scan_offset(v, uri.p);
	v->uri_len = (uint16_t)uri.len;
	note(s, check_uri(uri));
}

/* SIP-Version SP Status-Code SP Reason-Phrase (§7.2); a missing last space is forgiven. */
static void cut_status_line(struct scan *s, struct sv line)
{
	struct view *v = s->v;
	size_t space = sv_chr(line, ' '), code = space + 1, phrase = code + 4;
	uint64_t status;

	if (!is_version((struct sv){ line.p, space }))
		note(s, BAD_VERSION);
	if (line.len < code + 3 || number_parse((struct sv){ line.p + code, 3 }, 699, &status) || status < 100 ||
	    (line.len > code + 3 && line.p[code + 3] != ' ')) {
		note(s, BAD_STATUS);
		return;
	}
	if (phrase > line.len)
		phrase = line.len;
	v->status = (uint16_t)status;
	v->phrase = scan_offset(v, line.p + phrase);
	v->phrase_len = (uint16_t)(line.len - phrase);
}

/* The last word of a line when it names a version of SIP, as in a request line; else an empty one. */
static struct sv last_word(struct sv line)
{
	const char *end = line.p + line.len, *p;

	while (end > line.p && is_lws(end[-1]))
		end--;
	for (p = end; p > line.p && p[-1] != ' '; p--)
		;
	return p > line.p && starts_with_sip(sv_span(p, end)) ? sv_span(p, end) : (struct sv){ end, 0 };
}

/* False: this is not SIP. */
static bool cut_start_line(struct scan *s, const struct line *l)
{
	struct sv line = sv_span(s->at, l->end), version = last_word(line);

	if (starts_with_sip(line)) {
		s->is_response = true;
		cut_status_line(s, line);
	} else if (version.len) {
		if (version.p + version.len != l->end)
			note(s, BAD_START_LINE);
		if (!is_version(version))
			note(s, BAD_VERSION);
		cut_request_line(s, line, version.p);
	} else {
		return false;
	}
	if (l->has_bad_end)
		note(s, BAD_LINE_END);
	if (l->has_fold)
		note(s, BAD_START_LINE);
	if (l->has_control)
		note(s, BAD_BYTE);
	return true;
}

static enum reason check_line(const struct line *l, struct sv line, const char *colon)
{
	struct sv name;

	if (line.len > VIEW_LINE_MAX)
		return LONG_LINE;
	if (l->has_bad_end)
		return BAD_LINE_END;
	if (!colon)
		return BAD_LINE;
	name = sv_span(line.p, colon);
	while (name.len && (name.p[name.len - 1] == ' ' || name.p[name.len - 1] == '\t'))
		name.len--;
	if (!is_all(name, C_TOKEN))
		return BAD_NAME;
	if (name.len > VIEW_NAME_MAX)
		return LONG_NAME;
	return l->has_control && !controls_are_quoted(sv_span(colon, l->end)) ? BAD_BYTE : FINE;
}

/* A line with a fault is not kept: nothing may copy it into an answer. */
static void cut_header(struct scan *s, const struct line *l)
{
	struct sv line = sv_span(s->at, l->end), name;
	const char *colon = memchr(line.p, ':', line.len);
	enum reason why = check_line(l, line, colon);

	if (!why && s->v->n == VIEW_HEADERS_MAX)
		why = MANY_HEADERS;
	if (why) {
		note(s, why);
		return;
	}
	s->v->has_folds |= l->has_fold;
	name = sv_trim(sv_span(line.p, colon));
	if (!scan_put(s->v, s->v->n++, name, sv_trim(sv_span(colon + 1, l->end)), hdr_id_parse(name)))
		note(s, REPEATED);
}

/* What to say of a first line that does not end: it may be SIP cut short, or with LF for CRLF. */
static enum reason unended(const struct scan *s, const struct line *l)
{
	const char *p = s->at;
	struct sv line;

	while (p < s->end && *p != '\r' && *p != '\n')
		p++;
	line = sv_span(s->at, p);
	if (!starts_with_sip(line) && !last_word(line).len)
		return NOT_SIP;
	return l->has_bad_end ? BAD_LINE_END : NO_END;
}

/* All lines up to the empty one. False: there is none, or this is not SIP. */
static bool cut_head(struct scan *s)
{
	struct line l;

	if (!line_cut(&l, s->at, s->end)) {
		note(s, unended(s, &l));
		return false;
	}
	if (!cut_start_line(s, &l)) {
		note(s, NOT_SIP);
		return false;
	}
	for (s->at = l.end + 2; s->end - s->at < 2 || s->at[0] != '\r' || s->at[1] != '\n'; s->at = l.end + 2) {
		if (!line_cut(&l, s->at, s->end)) {
			note(s, l.has_bad_end ? BAD_LINE_END : NO_END);
			return false;
		}
		cut_header(s, &l);
	}
	s->at += 2;
	return true;
}

static bool has_all_for_answer(const struct scan *s)
{
	const struct view *v = s->v;

	return !s->is_response && v->method != M_ACK && v->first[HDR_FROM] && v->first[HDR_TO] &&
	       v->first[HDR_CALL_ID] && v->first[HDR_CSEQ] && scan_has_top_via(v);
}

static int refuse(const struct scan *s, struct view_fault *fault)
{
	const struct view_reason *why = &view_reasons[s->first];

	*fault = (struct view_fault){ why->status, why->id, why->status && has_all_for_answer(s) };
	return -EBADMSG;
}

int view_scan_plain(struct view *v, const char *p, size_t len, bool is_stream, struct view_fault *fault)
{
	struct scan s = { .v = v, .at = p, .end = p + len };
	enum reason why;

	while (s.at < s.end && (*s.at == '\r' || *s.at == '\n'))
		s.at++;
	scan_begin(v, s.at);
	for (p = s.at; p < s.end && (*p == '\r' || *p == '\n' || *p == '\0'); p++)
		;
	if (p == s.end)
		return -EAGAIN;
	if (s.end - s.at > UINT16_MAX) {
		note(&s, TOO_LARGE);
		s.end = s.at + UINT16_MAX;
	}
	v->len = (uint16_t)(s.end - s.at);
	if (!cut_head(&s))
		return refuse(&s, fault);
	v->body = scan_offset(v, s.at);
	why = scan_check_length(v, (size_t)(s.end - v->base), is_stream);
	note(&s, scan_check_values(v));
	note(&s, why);
	return s.first ? refuse(&s, fault) : 0;
}
