/* sip/view.c - accessors of a view, and the checks both scanners end with. */
#include "sip/grammar.h"
#include "sip/header.h"
#include "sip/scan.h"
#include <errno.h>

/* clang-format off */
const struct view_reason view_reasons[] = {
	[FINE] = { "", "Nothing is wrong.", 0 },
	[NOT_SIP] = { "not-sip", "The first line is neither a request line nor a status line: no answer.", 0 },
	[BAD_START_LINE] = { "start-line-invalid", "The first line is not three parts with one space between them.",
		400 },
	[BAD_VERSION] = { "version-unsupported", "The version is not SIP/2.0.", 505 },
	[BAD_METHOD] = { "method-invalid", "The method is no token, or longer than 255 bytes.", 400 },
	[BAD_URI] = { "request-uri-invalid", "The Request-URI is empty or holds a space, control byte, quote, backslash, < or >.",
		400 },
	[LONG_URI] = { "request-uri-too-long", "The Request-URI is longer than 1,024 bytes.", 414 },
	[URI_WITH_HEADERS] = { "request-uri-headers", "The Request-URI carries header fields, which it must not.",
		400 },
	[BAD_STATUS] = { "status-invalid", "The status code is no number from 100 to 699.", 400 },
	[TOO_LARGE] = { "message-too-large", "The message, or its Content-Length, is beyond 65,535 bytes.", 513 },
	[NO_END] = { "headers-unterminated", "No empty line ends the headers.", 400 },
	[BAD_LINE_END] = { "line-end-invalid", "A line contains CR without LF or LF without CR.", 400 },
	[BAD_BYTE] = { "control-byte", "A header holds a control byte that is no quoted pair in quotes.", 400 },
	[LONG_LINE] = { "header-line-too-long", "A header line with its folds is longer than 16,384 bytes.", 400 },
	[BAD_LINE] = { "header-line-invalid", "A header line has no colon.", 400 },
	[BAD_NAME] = { "header-name-invalid", "A header's name is no token.", 400 },
	[LONG_NAME] = { "header-name-too-long", "A header's name is longer than 255 bytes.", 400 },
	[MANY_HEADERS] = { "too-many-headers", "There are more than 160 header lines.", 400 },
	[REPEATED] = { "header-repeated",
		"From, To, Call-ID, CSeq, Max-Forwards or Content-Length appears more than once.", 400 },
	[NO_VIA] = { "via-missing", "There is no Via.", 400 },
	[NO_FROM] = { "from-missing", "There is no From.", 400 },
	[NO_TO] = { "to-missing", "There is no To.", 400 },
	[NO_CALL_ID] = { "call-id-missing", "There is no Call-ID.", 400 },
	[NO_CSEQ] = { "cseq-missing", "There is no CSeq.", 400 },
	[BAD_VIA] = { "via-invalid", "The topmost Via cannot be read.", 400 },
	[EMPTY_BRANCH] = { "via-branch-empty", "The topmost Via's branch is z9hG4bK with nothing behind it.", 400 },
	[BAD_FROM] = { "from-invalid", "From is not one address with parameters, or its tag is empty.", 400 },
	[BAD_TO] = { "to-invalid", "To is not one address with parameters, or its tag is empty.", 400 },
	[BAD_CALL_ID] = { "call-id-invalid", "Call-ID is empty or holds white space.", 400 },
	[BAD_CSEQ] = { "cseq-invalid", "CSeq is not a number and a method.", 400 },
	[CSEQ_RANGE] = { "cseq-out-of-range", "The number in CSeq is 2^31 or more.", 400 },
	[CSEQ_METHOD] = { "cseq-method-mismatch", "The method in CSeq is not the one of the request line.", 400 },
	[BAD_MAX_FORWARDS] = { "max-forwards-invalid", "Max-Forwards is no number from 0 to 255.", 400 },
	[BAD_LENGTH] = { "content-length-invalid", "Content-Length is no number.", 400 },
	[NO_LENGTH] = { "content-length-missing", "A message on a stream has no Content-Length.", 400 },
	[LENGTH_MISMATCH] = { "content-length-mismatch", "Content-Length does not fit the bytes that came.", 400 },
};
/* clang-format on */
_Static_assert(sizeof(view_reasons) / sizeof(*view_reasons) == REASONS, "each reason has its line");
const size_t view_reasons_count = REASONS;

const struct hdr *view_find(const struct view *v, enum hdr_id id, unsigned from)
{
	if (id != HDR_OTHER && !view_has(v, id))
		return NULL;
	if (id != HDR_OTHER && id < HDR_HOT && from < v->first[id])
		return &v->h[v->first[id] - 1];
	for (unsigned i = from; i < v->n; i++)
		if (v->h[i].id == id)
			return &v->h[i];
	return NULL;
}

const struct hdr *view_find_name(const struct view *v, struct sv name, unsigned from)
{
	for (unsigned i = from; i < v->n; i++)
		if (sv_ieq(hdr_name(v, &v->h[i]), name))
			return &v->h[i];
	return NULL;
}

struct sv view_value(const struct view *v, enum hdr_id id)
{
	const struct hdr *h = view_find(v, id, 0);

	return h ? hdr_value(v, h) : (struct sv){ NULL, 0 };
}

/* The method in CSeq names the transaction: the request line's, or all a response has. */
static enum reason check_cseq_method(struct view *v, struct sv method)
{
	if (!v->status) {
		if (sv_eq(method, view_method(v)))
			return FINE;
		return is_all(method, C_TOKEN) ? CSEQ_METHOD : BAD_CSEQ;
	}
	if (method.len > UINT8_MAX || !is_all(method, C_TOKEN))
		return BAD_CSEQ;
	v->method = method_parse(method);
	v->method_at = scan_offset(v, method.p);
	v->method_len = (uint8_t)method.len;
	return FINE;
}

/* "4711 INVITE", with folds allowed between the two. */
enum reason scan_check_cseq(struct view *v)
{
	struct sv value = hdr_value(v, view_first(v, HDR_CSEQ));
	const char *end = value.p + value.len, *p = value.p, *method;
	enum reason why;
	unsigned digit;
	uint64_t n = 0;

	for (; p < end && (digit = (unsigned)(uint8_t)*p - '0') < 10; p++)
		if (n <= INT32_MAX)
			n = n * 10 + digit;
	method = skip_lws(p, end);
	if (p == value.p || method == p)
		return BAD_CSEQ;
	why = check_cseq_method(v, sv_span(method, end));
	if (why != BAD_CSEQ && n > INT32_MAX)
		return CSEQ_RANGE;
	v->cseq = (uint32_t)n;
	return why;
}

static bool is_call_id(struct sv v)
{
	return v.len && !memchr(v.p, ' ', v.len) && !memchr(v.p, '\t', v.len);
}

bool scan_has_top_via(const struct view *v)
{
	const struct hdr *via = view_first(v, HDR_VIA);

	return via && via_check(hdr_value(v, via)) != -EBADMSG;
}

void scan_keep_via(struct view *v)
{
	struct sv list = hdr_value(v, view_first(v, HDR_VIA));
	struct via via;

	if (via_next(&via, &list))
		return;
	v->via_host = scan_span(v, via.host);
	v->via_branch = scan_span(v, via.branch);
	v->via_port = via.port;
}

bool scan_tag(const struct view *v, enum hdr_id from_or_to, struct view_span *out)
{
	struct sv tag = tag_of(hdr_value(v, view_first(v, from_or_to)));

	*out = scan_span(v, tag);
	return !tag.p || tag.len;
}

static enum reason check_presence(const struct view *v)
{
	static const struct {
		uint8_t id, reason;
	} needed[] = {
		{ HDR_VIA, NO_VIA },
		{ HDR_FROM, NO_FROM },
		{ HDR_TO, NO_TO },
		{ HDR_CALL_ID, NO_CALL_ID },
		{ HDR_CSEQ, NO_CSEQ },
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!v->first[needed[i].id])
			return needed[i].reason;
	return FINE;
}

enum reason scan_check_values(struct view *v)
{
	enum reason why = check_presence(v);
	const struct hdr *hops = view_first(v, HDR_MAX_FORWARDS);
	uint64_t n;

	if (why)
		return why;
	if (!scan_has_top_via(v))
		return BAD_VIA;
	if (via_check(hdr_value(v, view_first(v, HDR_VIA))))
		return EMPTY_BRANCH;
	if (!is_address(hdr_value(v, view_first(v, HDR_FROM))))
		return BAD_FROM;
	if (!is_address(hdr_value(v, view_first(v, HDR_TO))))
		return BAD_TO;
	if (!is_call_id(hdr_value(v, view_first(v, HDR_CALL_ID))))
		return BAD_CALL_ID;
	scan_keep_via(v);
	if (!scan_tag(v, HDR_FROM, &v->from_tag))
		return BAD_FROM;
	if (!scan_tag(v, HDR_TO, &v->to_tag))
		return BAD_TO;
	if ((why = scan_check_cseq(v)))
		return why;
	return hops && number_parse(hdr_value(v, hops), 255, &n) ? BAD_MAX_FORWARDS : FINE;
}

enum reason scan_check_length(struct view *v, size_t available, bool is_stream)
{
	const struct hdr *h = view_first(v, HDR_CONTENT_LENGTH);
	size_t behind = available - v->body;
	uint64_t n = behind;
	int err = 0;

	v->has_content_length = h != NULL;
	if (h)
		err = number_parse(hdr_value(v, h), UINT16_MAX, &n);
	if (err)
		n = 0;
	v->body_len = (uint16_t)(n < behind ? n : behind);
	v->len = v->body + v->body_len;
	if (err)
		return err == -ERANGE ? TOO_LARGE : BAD_LENGTH;
	if (is_stream && !h)
		return NO_LENGTH;
	return n > behind || (is_stream && n != behind) ? LENGTH_MISMATCH : FINE;
}

bool scan_uri_has_headers(struct sv text)
{
	struct uri u;

	return uri_parse(&u, text) == 0 && u.headers.len != 0;
}
