/* sip/scan_fast.c - the scanner of every message: 16 bytes at a time (SSE2, part of every x86-64). It accepts what is
 * plainly fine; anything unusual - a fold, a tab, white space before a colon, any fault - is left to the plain one from
 * the first byte on, so there is one judge. Loads run up to 31 bytes beyond the message: BUF_PAD covers them, and what
 * is found there counts for nothing. */
#include "sip/scan.h"

#ifdef __SSE2__
#include "sip/grammar.h"
#include "sip/names.h"
#include <emmintrin.h>

/* One name per slot: slot = top 8 bits of a folded word (see known_name) * NAME_MULTIPLIER. tests/unit/sip/view.c finds
 * every name through it; when a new header's slot is taken, try other odd multipliers until no two names collide. */
#define NAME_MULTIPLIER 0xfdb7ea2b93a11329
/* clang-format off */
static const uint8_t slots[256] = {
	[0x02] = HDR_SIP_ETAG, [0x03] = HDR_REQUEST_DISPOSITION, [0x07] = HDR_PROXY_REQUIRE, [0x08] = HDR_ALLOW,
	[0x0a] = HDR_PROXY_AUTHENTICATE, [0x0d] = HDR_CONTENT_TYPE, [0x12] = HDR_REASON, [0x13] = HDR_IDENTITY,
	[0x14] = HDR_FROM, [0x15] = HDR_FLOW_TIMER, [0x16] = HDR_INFO_PACKAGE, [0x18] = HDR_DATE,
	[0x19] = HDR_WARNING, [0x1a] = HDR_ALLOW_EVENTS, [0x1b] = HDR_REFER_TO, [0x1c] = HDR_VIA,
	[0x1f] = HDR_SIP_IF_MATCH, [0x20] = HDR_GEOLOCATION_ERROR, [0x23] = HDR_CONTACT, [0x24] = HDR_ALERT_INFO,
	[0x26] = HDR_MAX_BREADTH, [0x29] = HDR_RECORD_ROUTE, [0x2a] = HDR_REPLACES, [0x2b] = HDR_ACCEPT_ENCODING,
	[0x35] = HDR_SUPPORTED, [0x38] = HDR_AUTHENTICATION_INFO, [0x39] = HDR_RSEQ, [0x3d] = HDR_SERVICE_ROUTE,
	[0x3f] = HDR_REFERRED_BY, [0x40] = HDR_ORGANIZATION, [0x45] = HDR_CONTENT_DISPOSITION,
	[0x4a] = HDR_SESSION_ID, [0x51] = HDR_PRIVACY, [0x55] = HDR_MAX_FORWARDS, [0x56] = HDR_GEOLOCATION_ROUTING,
	[0x58] = HDR_DIVERSION, [0x5b] = HDR_CSEQ, [0x5d] = HDR_PROXY_AUTHORIZATION, [0x5e] = HDR_REFER_SUB,
	[0x62] = HDR_SESSION_EXPIRES, [0x6a] = HDR_TARGET_DIALOG, [0x6b] = HDR_PRIORITY,
	[0x6c] = HDR_SUBSCRIPTION_STATE, [0x6d] = HDR_P_EARLY_MEDIA, [0x6e] = HDR_CONTENT_LENGTH,
	[0x6f] = HDR_GEOLOCATION, [0x71] = HDR_RACK, [0x76] = HDR_P_PREFERRED_IDENTITY, [0x7a] = HDR_CALL_ID,
	[0x7f] = HDR_PATH, [0x83] = HDR_ACCEPT_LANGUAGE, [0x87] = HDR_EXPIRES, [0x8b] = HDR_ERROR_INFO,
	[0x8c] = HDR_AUTHORIZATION, [0x91] = HDR_JOIN, [0x92] = HDR_REMOTE_PARTY_ID, [0x95] = HDR_ACCEPT,
	[0x98] = HDR_USER_TO_USER, [0x9b] = HDR_MIN_SE, [0x9d] = HDR_CONTENT_ENCODING,
	[0xa6] = HDR_P_ASSERTED_IDENTITY, [0xa9] = HDR_REQUIRE, [0xaa] = HDR_USER_AGENT, [0xad] = HDR_TIMESTAMP,
	[0xb4] = HDR_ACCEPT_CONTACT, [0xb5] = HDR_TO, [0xbd] = HDR_ROUTE, [0xc3] = HDR_IN_REPLY_TO,
	[0xc4] = HDR_RECV_INFO, [0xc8] = HDR_UNSUPPORTED, [0xd0] = HDR_P_ASSOCIATED_URI,
	[0xd6] = HDR_CONTENT_LANGUAGE, [0xd8] = HDR_MIME_VERSION, [0xdb] = HDR_REPLY_TO, [0xdf] = HDR_SERVER,
	[0xe0] = HDR_HISTORY_INFO, [0xe1] = HDR_EVENT, [0xe3] = HDR_P_CALLED_PARTY_ID, [0xe5] = HDR_REJECT_CONTACT,
	[0xe9] = HDR_CALL_INFO, [0xeb] = HDR_FEATURE_CAPS, [0xec] = HDR_WWW_AUTHENTICATE, [0xee] = HDR_SUBJECT,
	[0xf0] = HDR_MIN_EXPIRES, [0xf4] = HDR_IDENTITY_INFO, [0xf5] = HDR_RETRY_AFTER,
};
/* clang-format on */

static inline __m128i load16(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}
static inline __m128i equal(__m128i x, char c)
{
	return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}
/* Bytes not above `most`, unsigned. */
static inline __m128i at_most(__m128i x, char most)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(most)), x);
}
static inline unsigned mask(__m128i x)
{
	return (unsigned)_mm_movemask_epi8(x);
}
static inline size_t first_bit(unsigned bits)
{
	return (size_t)__builtin_ctzll(bits);
}
static inline uint64_t load8(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w | 0x2020202020202020;
}

/* The first `n` of eight bytes, letters in either case. */
static inline bool starts_with(const char *p, const char *eight, unsigned n)
{
	return ((load8(p) ^ load8(eight)) & (~0ull >> (64 - 8 * n))) == 0;
}

/* The first control byte from `p` on, or a place at or behind `end` (HTAB counts: it is rare enough). */
static inline const char *line_end(const char *p, const char *end)
{
	while (p < end) {
		unsigned bits = mask(at_most(load16(p), ' ' - 1));

		if (bits)
			return p + first_bit(bits);
		p += 16;
	}
	return p;
}

static inline bool is_crlf(const char *p)
{
	return memcmp(p, "\r\n", 2) == 0;
}

static inline unsigned slot(uint64_t word)
{
	return slots[word * NAME_MULTIPLIER >> 56];
}

/* `p` holds `len` > 1 bytes above ' ', so that |0x20 folds letters and makes no other byte a letter or '-'. */
static inline unsigned known_name(const char *p, size_t len)
{
	uint64_t first = load8(p), last, used;
	const struct hdr_known *k;
	unsigned id;

	if (len < 8) {
		used = (1ull << 8 * len) - 1;
		id = slot(first & used);
		k = &hdr_known[id];
		return k->len == len && ((first ^ load8(k->name)) & used) == 0 ? id : HDR_OTHER;
	}
	last = load8(p + len - 8);
	id = slot(first + last);
	k = &hdr_known[id];
	if (k->len != len || first != load8(k->name) || last != load8(k->name + len - 8))
		return HDR_OTHER;
	return len <= 16 || load8(p + 8) == load8(k->name + 8) ? id : HDR_OTHER; /* NAME_ROOM is three words */
}

/* Bytes before the colon, all above ' '. 0: it is not among the first 32, or something else came first. */
static inline size_t name_len(const char *p)
{
	for (size_t at = 0; at < 32; at += 16) {
		__m128i x = load16(p + at);
		unsigned bits = mask(_mm_or_si128(equal(x, ':'), at_most(x, ' ')));

		if (bits)
			return p[at + first_bit(bits)] == ':' ? at + first_bit(bits) : 0;
	}
	return 0;
}

enum { NO_NAME = HDR_COUNT };

static inline unsigned name_id(const char *p, size_t len)
{
	unsigned id = len > 1 ? known_name(p, len) : len ? hdr_compact(*p)
	                                                 : NO_NAME;

	return id || is_all((struct sv){ p, len }, C_TOKEN) ? id : NO_NAME;
}

/* From behind the colon to the line's end. */
static inline struct sv value_of(const char *p, const char *end)
{
	p += *p == ' ';
	if (*p == ' ' || end[-1] == ' ') {
		while (p < end && *p == ' ')
			p++;
		while (p < end && end[-1] == ' ')
			end--;
	}
	return sv_span(p, end);
}

/* All header lines. Returns the first byte of the body, or NULL. A fold looks like a line whose name starts with white
 * space and fails there. */
static const char *cut_headers(struct view *v, const char *p, const char *end)
{
	const char *start = p;
	unsigned n = 0;

	while (p < end && *p != '\r') {
		size_t len = name_len(p);
		unsigned id = name_id(p, len);
		const char *stop = line_end(p + len + 1, end);

		if (id == NO_NAME || !is_crlf(stop) || n == VIEW_HEADERS_MAX)
			return NULL;
		if (!scan_put(v, n++, (struct sv){ p, len }, value_of(p + len + 1, stop), id))
			return NULL;
		p = stop + 2;
	}
	v->n = (uint16_t)n;
	/* a head that long may have a line beyond VIEW_LINE_MAX */
	return end - p >= 2 && is_crlf(p) && p - start <= VIEW_LINE_MAX ? p + 2 : NULL;
}

/* The first byte that ends a Request-URI or asks for a closer look at it. */
static inline const char *uri_end(const char *p, const char *end)
{
	while (p < end) {
		__m128i x = load16(p), odd = _mm_or_si128(equal(x, '<'), equal(x, '>'));
		unsigned bits = mask(_mm_or_si128(_mm_or_si128(odd, at_most(x, '"')), equal(x, '?')));

		if (bits)
			return p + first_bit(bits);
		p += 16;
	}
	return p;
}

static bool cut_request_line(struct view *v, const char *p, const char *end)
{
	const char *space = p, *uri;

	while (is_class(*space, C_TOKEN))
		space++;
	uri = space + 1;
	if (space == p || *space != ' ' || space - p > UINT8_MAX || end - uri < 9 || uri_end(uri, end) != end - 8 ||
	    end - 8 - uri > VIEW_URI_MAX || load8(end - 8) != load8(" SIP/2.0"))
		return false;
	v->method_at = scan_offset(v, p);
	v->method_len = (uint8_t)(space - p);
	v->method = method_parse(sv_span(p, space));
	v->uri = scan_offset(v, uri);
	v->uri_len = (uint16_t)(end - 8 - uri);
	return true;
}

static bool cut_status_line(struct view *v, const char *p, const char *end)
{
	if (end - p < 12 || p[11] != ' ' || p[8] < '1' || p[8] > '6' || !is_all((struct sv){ p + 9, 2 }, C_DIGIT))
		return false;
	v->status = (uint16_t)((p[8] - '0') * 100 + (p[9] - '0') * 10 + p[10] - '0');
	v->phrase = scan_offset(v, p + 12);
	v->phrase_len = (uint16_t)(end - p - 12);
	return true;
}

/* The four finders below run to `end` at most and ask for nothing but readable bytes behind it. */
static inline const char *clip(const char *p, const char *end)
{
	return p < end ? p : end;
}
static inline const char *find_space(const char *p, const char *end)
{
	for (; p < end; p += 16) {
		unsigned bits = mask(at_most(load16(p), ' '));

		if (bits)
			return clip(p + first_bit(bits), end);
	}
	return end;
}
static inline const char *find_quote(const char *p, const char *end)
{
	for (; p < end; p += 16) {
		__m128i x = load16(p);
		unsigned bits = mask(_mm_or_si128(equal(x, '"'), equal(x, '\\')));

		if (bits)
			return clip(p + first_bit(bits), end);
	}
	return end;
}
static inline __m128i uri_stops(__m128i x)
{
	/* '<' and '>' differ in one bit; '!' is caught with '"' and only costs time */
	__m128i angle = equal(_mm_and_si128(x, _mm_set1_epi8(~('<' ^ '>'))), '<');

	return _mm_or_si128(_mm_or_si128(at_most(x, '"'), angle), equal(x, 0x7f));
}
static inline const char *find_uri_end(const char *p, const char *end)
{
	for (; p < end; p += 16) {
		unsigned bits = mask(uri_stops(load16(p)));

		if (bits)
			return clip(p + first_bit(bits), end);
	}
	return end;
}
static inline const char *find_param_end(const char *p, const char *end)
{
	for (; p < end; p += 16) {
		__m128i x = load16(p);
		unsigned bits = mask(_mm_or_si128(uri_stops(x), _mm_or_si128(equal(x, ';'), equal(x, ','))));

		if (bits)
			return clip(p + first_bit(bits), end);
	}
	return end;
}

/* `"Plain" <sip:...>;tag=...`, with or without the name and the tag. Everything else: is_address(). */
static bool is_usual_address(struct sv v, struct sv *tag)
{
	const char *p = v.p, *end = p + v.len, *uri;

	if (*p == '"') {
		p = find_quote(p + 1, end);
		if (p == end || *p != '"')
			return false;
		p += 1 + (p[1] == ' ');
	}
	if (end - p < 8 || *p != '<' || !starts_with(p + 1, "sip:....", 4))
		return false;
	uri = p + 5;
	p = find_uri_end(uri, end);
	if (p == end || *p != '>' || p == uri)
		return false;
	*tag = (struct sv){ end, 0 };
	if (++p == end)
		return true;
	if (end - p < 6 || !starts_with(p, ";tag=...", 5))
		return false;
	*tag = sv_span(p + 5, end);
	return find_param_end(p + 5, end) == end;
}

/* Up to `most` digits from `p` on, at least one, worth no more than `max`. Returns what is behind, or NULL. Values end
 * at a CR or space at the latest, so no end is needed. */
static inline const char *cut_number(const char *p, unsigned most, unsigned max, unsigned *out)
{
	unsigned n = 0, digit, count = 0;

	while ((digit = (unsigned)(uint8_t)*p - '0') < 10 && count < most) {
		n = n * 10 + digit;
		count++;
		p++;
	}
	*out = n;
	return count && n <= max ? p : NULL;
}

/* An IPv4 address, which ends at `*host_end`, and perhaps a port above 0. */
static inline const char *skip_usual_host(const char *p, const char **host_end, uint16_t *port)
{
	unsigned n;

	*host_end = p;
	*port = 0;
	for (unsigned i = 0; i < 4; i++) {
		p = cut_number(p, 3, 255, &n);
		if (!p || (i < 3 && *p++ != '.'))
			return NULL;
	}
	*host_end = p;
	if (*p == ':' && p[1] != '0') {
		p = cut_number(p + 1, 5, UINT16_MAX, &n);
		*port = p ? (uint16_t)n : 0;
	}
	return p;
}

/* One parameter of those we and every phone write. NULL: something else. */
static inline const char *skip_usual_param(const char *p, const char *end, struct sv *branch)
{
	const char *value = p + 8;

	if (starts_with(p, ";branch=", 8)) {
		p = find_param_end(value, end);
		*branch = sv_span(value, p);
		return branch->len == 7 ? NULL : p; /* z9hG4bK has seven */
	}
	if (starts_with(p, ";rport..", 6))
		return p[6] == '=' ? find_param_end(p + 7, end) : p + 6;
	if (starts_with(p, ";receive", 8) && starts_with(p + 8, "d=......", 2))
		return find_param_end(p + 10, end);
	return NULL;
}

/* `SIP/2.0/UDP 192.0.2.1:5060;branch=...;rport;received=...`. Everything else: via_check(). */
static bool is_usual_via(struct view *view, struct sv v)
{
	const char *p = v.p + 12, *end = v.p + v.len, *colon;
	struct sv branch = { end, 0 };

	if (v.len < 19 || !starts_with(v.p, "SIP/2.0/", 8) || p[-1] != ' ')
		return false;
	if (!is_all((struct sv){ v.p + 8, 3 }, C_ALPHA))
		return false;
	p = skip_usual_host(p, &colon, &view->via_port);
	view->via_host = scan_span(view, sv_span(v.p + 12, colon));
	while (p && p < end && *p == ';')
		p = skip_usual_param(p, end, &branch);
	view->via_branch = scan_span(view, branch);
	return p == end;
}

static inline bool has_needed(const struct view *v)
{
	return v->first[HDR_VIA] && v->first[HDR_FROM] && v->first[HDR_TO] && v->first[HDR_CALL_ID] &&
	       v->first[HDR_CSEQ];
}

static bool check_via(struct view *v)
{
	struct sv via = hdr_value(v, view_first(v, HDR_VIA));

	if (is_usual_via(v, via))
		return true;
	scan_keep_via(v);
	return !via_check(via);
}

static bool check_address(const struct view *v, enum hdr_id id, struct view_span *tag)
{
	struct sv value = hdr_value(v, view_first(v, id)), text;

	if (is_usual_address(value, &text)) {
		*tag = scan_span(v, text);
		return true;
	}
	return scan_tag(v, id, tag) && is_address(value);
}

/* What scan_check_values() asks, by shorter ways. */
static bool check_values(struct view *v)
{
	const struct hdr *hops = view_first(v, HDR_MAX_FORWARDS);
	struct sv call_id;
	uint64_t n;

	if (!has_needed(v))
		return false;
	call_id = hdr_value(v, view_first(v, HDR_CALL_ID));
	return check_via(v) && check_address(v, HDR_FROM, &v->from_tag) && check_address(v, HDR_TO, &v->to_tag) && call_id.len &&
	       find_space(call_id.p, call_id.p + call_id.len) == call_id.p + call_id.len && !scan_check_cseq(v) &&
	       (!hops || !number_parse(hdr_value(v, hops), 255, &n));
}

static bool scan(struct view *v, const char *p, size_t len, bool is_stream)
{
	const char *end = p + len, *stop = line_end(p, end), *body;

	scan_begin(v, p);
	if (stop - p < 12 || !is_crlf(stop))
		return false;
	if (!(load8(p) == load8("SIP/2.0 ") ? cut_status_line(v, p, stop) : cut_request_line(v, p, stop)))
		return false;
	body = cut_headers(v, stop + 2, end);
	if (!body)
		return false;
	v->body = scan_offset(v, body);
	return !scan_check_length(v, len, is_stream) && check_values(v);
}

int view_scan(struct view *v, const char *p, size_t len, bool is_stream, struct view_fault *fault)
{
	if (len <= UINT16_MAX && scan(v, p, len, is_stream))
		return 0;
	return view_scan_plain(v, p, len, is_stream, fault);
}
#else
int view_scan(struct view *v, const char *p, size_t len, bool is_stream, struct view_fault *fault)
{
	return view_scan_plain(v, p, len, is_stream, fault);
}
#endif
