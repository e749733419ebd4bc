/* sip/scan_fast.c - the scanner of every message: 16 bytes at a time (SSE2, part of every x86-64). It accepts what is
 * plainly fine; anything unusual - a fold, a tab, white space before a colon, any fault - is left to the plain one from
 * the first byte on, so there is one judge. Loads run up to 31 bytes beyond the message: BUF_PAD covers them, and what
 * is found there counts for nothing. */
#include "sip/scan.h"

#ifdef __SSE2__
#include "sip/grammar.h"
#include "sip/names.h"
#include <emmintrin.h>

/* A header is looked up by the first four bytes of its line, folded, the colon and space of a short name among them:
 * slot = top 8 bits of these * START_MULTIPLIER. Names with the same start follow one another in `same_start`.
 * tests/unit/sip/view.c finds every name; when a new one's slot is taken, try other odd multipliers until no two starts
 * collide. */
#define START_MULTIPLIER 0x39fdb813u
/* clang-format off */
static const uint8_t by_start[256] = {
	[0x02] = HDR_SUBSCRIPTION_STATE, [0x07] = HDR_TARGET_DIALOG, [0x0e] = HDR_AUTHENTICATION_INFO,
	[0x0f] = HDR_DIVERSION, [0x12] = HDR_ERROR_INFO, [0x13] = HDR_PROXY_AUTHORIZATION, [0x16] = HDR_RACK,
	[0x17] = HDR_PRIORITY, [0x18] = HDR_ALERT_INFO, [0x22] = HDR_EXPIRES, [0x24] = HDR_CONTENT_LENGTH,
	[0x30] = HDR_MIN_EXPIRES, [0x34] = HDR_REASON, [0x36] = HDR_TIMESTAMP, [0x3a] = HDR_WARNING,
	[0x3b] = HDR_CALL_ID, [0x40] = HDR_P_ASSERTED_IDENTITY, [0x42] = HDR_GEOLOCATION, [0x57] = HDR_SUBJECT,
	[0x58] = HDR_RECORD_ROUTE, [0x5a] = HDR_P_CALLED_PARTY_ID, [0x5e] = HDR_TO, [0x60] = HDR_SESSION_EXPIRES,
	[0x62] = HDR_INFO_PACKAGE, [0x63] = HDR_ORGANIZATION, [0x69] = HDR_CSEQ, [0x73] = HDR_MAX_FORWARDS,
	[0x78] = HDR_REPLACES, [0x89] = HDR_REMOTE_PARTY_ID, [0x8f] = HDR_FEATURE_CAPS, [0x90] = HDR_USER_AGENT,
	[0x92] = HDR_ROUTE, [0x9c] = HDR_PRIVACY, [0x9d] = HDR_EVENT, [0x9f] = HDR_IN_REPLY_TO,
	[0xa0] = HDR_MIME_VERSION, [0xa2] = HDR_PATH, [0xa3] = HDR_REJECT_CONTACT, [0xae] = HDR_IDENTITY,
	[0xaf] = HDR_JOIN, [0xb1] = HDR_DATE, [0xc3] = HDR_REFER_TO, [0xc5] = HDR_ACCEPT, [0xc9] = HDR_FLOW_TIMER,
	[0xca] = HDR_P_EARLY_MEDIA, [0xcb] = HDR_RETRY_AFTER, [0xcd] = HDR_WWW_AUTHENTICATE, [0xcf] = HDR_RSEQ,
	[0xd8] = HDR_VIA, [0xda] = HDR_SUPPORTED, [0xdb] = HDR_REQUIRE, [0xdd] = HDR_RECV_INFO, [0xe1] = HDR_SERVER,
	[0xe5] = HDR_UNSUPPORTED, [0xe7] = HDR_ALLOW, [0xec] = HDR_HISTORY_INFO, [0xf6] = HDR_P_PREFERRED_IDENTITY,
	[0xfc] = HDR_SIP_ETAG, [0xfe] = HDR_FROM,
};
static const uint8_t same_start[HDR_COUNT] = {
	[HDR_ACCEPT] = HDR_ACCEPT_CONTACT, [HDR_ACCEPT_CONTACT] = HDR_ACCEPT_ENCODING,
	[HDR_ACCEPT_ENCODING] = HDR_ACCEPT_LANGUAGE, [HDR_ALLOW] = HDR_ALLOW_EVENTS,
	[HDR_AUTHENTICATION_INFO] = HDR_AUTHORIZATION, [HDR_CALL_ID] = HDR_CALL_INFO,
	[HDR_CONTENT_LENGTH] = HDR_CONTENT_TYPE, [HDR_CONTENT_TYPE] = HDR_CONTACT,
	[HDR_CONTACT] = HDR_CONTENT_DISPOSITION, [HDR_CONTENT_DISPOSITION] = HDR_CONTENT_ENCODING,
	[HDR_CONTENT_ENCODING] = HDR_CONTENT_LANGUAGE, [HDR_GEOLOCATION] = HDR_GEOLOCATION_ERROR,
	[HDR_GEOLOCATION_ERROR] = HDR_GEOLOCATION_ROUTING, [HDR_IDENTITY] = HDR_IDENTITY_INFO,
	[HDR_MAX_FORWARDS] = HDR_MAX_BREADTH, [HDR_MIN_EXPIRES] = HDR_MIN_SE,
	[HDR_PROXY_AUTHORIZATION] = HDR_PROXY_REQUIRE, [HDR_PROXY_REQUIRE] = HDR_PROXY_AUTHENTICATE,
	[HDR_P_ASSERTED_IDENTITY] = HDR_P_ASSOCIATED_URI, [HDR_REFER_TO] = HDR_REFER_SUB,
	[HDR_REFER_SUB] = HDR_REFERRED_BY, [HDR_REPLACES] = HDR_REPLY_TO, [HDR_REQUIRE] = HDR_REQUEST_DISPOSITION,
	[HDR_SERVER] = HDR_SERVICE_ROUTE, [HDR_SESSION_EXPIRES] = HDR_SESSION_ID, [HDR_SIP_ETAG] = HDR_SIP_IF_MATCH,
	[HDR_USER_AGENT] = HDR_USER_TO_USER,
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
	return _mm_cmpeq_epi8(_mm_subs_epu8(x, _mm_set1_epi8(most)), _mm_setzero_si128());
}
static inline unsigned mask(__m128i x)
{
	return (unsigned)_mm_movemask_epi8(x);
}
static inline unsigned first_bit(unsigned bits)
{
	return (unsigned)__builtin_ctz(bits);
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

/* The first control byte from `p` < `end` on, or a place at or behind `end` (HTAB counts: it is rare enough). */
static inline const char *line_end(const char *p, const char *end)
{
	do {
		unsigned bits = mask(at_most(load16(p), ' ' - 1));

		if (bits)
			return p + first_bit(bits);
		p += 16;
	} while (p < end);
	return p;
}

static inline bool is_crlf(const char *p)
{
	return memcmp(p, "\r\n", 2) == 0;
}

static inline __m128i folded(__m128i x)
{
	return _mm_or_si128(x, _mm_set1_epi8(0x20));
}

/* The line at `p` starts with the name of `k`, in any case, and a colon; `start`: its first bytes, folded. Of the bytes
 * the two have in common, there are as many as the name is long: the colon differs from the table's zero. */
static inline bool has_name(const char *p, __m128i start, const struct hdr_known *k)
{
	unsigned n = first_bit(~mask(_mm_cmpeq_epi8(start, folded(load16(k->name)))));

	if (n == k->len)
		return p[n] == ':';
	if (n == 16)
		n += first_bit(~mask(_mm_cmpeq_epi8(folded(load16(p + 16)), folded(load16(k->name + 16)))));
	return n == k->len && p[n] == ':';
}

/* The header of the line at `p`; NULL when its name is not known, or not by its start. A CR counts as '-' here, and is
 * found by line_end(). */
static inline const struct hdr_known *known_name(const char *p)
{
	__m128i start = folded(load16(p));
	unsigned id = by_start[(uint32_t)_mm_cvtsi128_si32(start) * START_MULTIPLIER >> 24];

	for (; id; id = same_start[id])
		if (has_name(p, start, &hdr_known[id]))
			return &hdr_known[id];
	return NULL;
}

/* The colon behind a name, all of whose bytes are above ' '. NULL: it is not among the first 32, or something else came
 * first. */
static inline const char *name_end(const char *p)
{
	for (const char *most = p + 32; p < most; p += 16) {
		__m128i x = load16(p);
		unsigned bits = mask(_mm_or_si128(equal(x, ':'), at_most(x, ' ')));

		if (bits) {
			p += first_bit(bits);
			return *p == ':' ? p : NULL;
		}
	}
	return NULL;
}

enum { NO_NAME = HDR_COUNT };

/* A name that is not known by its start: one letter, To without a space behind the colon, a header of others. */
static __attribute__((noinline)) unsigned rare_name(const char *p, size_t len)
{
	if (len == 1 && hdr_compact(*p))
		return hdr_compact(*p);
	if (len == 2 && starts_with(p, "to......", 2))
		return HDR_TO;
	return is_all((struct sv){ p, len }, C_TOKEN) ? HDR_OTHER : NO_NAME;
}

/* From the colon to the line's end. */
static inline struct sv value_of(const char *colon, const char *end)
{
	const char *p = colon + 1;

	if (p[0] == ' ' && p[1] > ' ' && end[-1] != ' ')
		return sv_span(p + 1, end);
	while (p < end && *p == ' ')
		p++;
	while (p < end && end[-1] == ' ')
		end--;
	return sv_span(p, end);
}

/* One header line at `p`. Returns what is behind it, or NULL. A fold looks like a line whose name starts with white
 * space and fails there. */
static inline const char *cut_header(struct view *v, unsigned n, const char *p, const char *end)
{
	const struct hdr_known *known = known_name(p);
	const char *stop = line_end(p, end), *colon;
	unsigned id;

	if (known) {
		colon = p + known->len;
		id = (unsigned)(known - hdr_known);
	} else {
		colon = name_end(p);
		id = colon ? rare_name(p, (size_t)(colon - p)) : NO_NAME;
		if (id == NO_NAME)
			return NULL;
	}
	if (!is_crlf(stop) || !scan_put(v, n, sv_span(p, colon), value_of(colon, stop), id))
		return NULL;
	return stop + 2;
}

/* All header lines. Returns the first byte of the body, or NULL. */
static const char *cut_headers(struct view *v, const char *p, const char *end)
{
	const char *start = p;
	unsigned n = 0;

	while (p < end && *p != '\r') {
		if (n == VIEW_HEADERS_MAX || !(p = cut_header(v, n++, p, end)))
			return NULL;
	}
	v->n = (uint16_t)n;
	/* a head that long may have a line beyond VIEW_LINE_MAX */
	return end - p >= 2 && is_crlf(p) && p - start <= VIEW_LINE_MAX ? p + 2 : NULL;
}

/* The first byte that ends a Request-URI or asks for a closer look at it. */
static inline const char *uri_end(const char *p, const char *end)
{
	while (p < end) {
		/* < > \ differ in these bits; what else does (^ | ~) is caught with them and only costs time */
		__m128i x = load16(p), odd = equal(_mm_and_si128(x, _mm_set1_epi8(~('>' ^ '\\'))), '>' & '\\');
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

/* The finders below stop at the CR behind every line at the latest: no end is needed. */
static inline const char *find_space(const char *p)
{
	unsigned bits;

	while (!(bits = mask(at_most(load16(p), ' '))))
		p += 16;
	return p + first_bit(bits);
}
static inline const char *find_quote(const char *p)
{
	for (;; p += 16) {
		__m128i x = load16(p), quote = _mm_or_si128(equal(x, '"'), equal(x, '\\'));
		unsigned bits = mask(_mm_or_si128(quote, equal(x, '\r')));

		if (bits)
			return p + first_bit(bits);
	}
}
static inline __m128i uri_stops(__m128i x)
{
	/* '<' and '>' differ in one bit; '!' is caught with '"' and only costs time */
	__m128i angle = equal(_mm_and_si128(x, _mm_set1_epi8(~('<' ^ '>'))), '<');

	return _mm_or_si128(_mm_or_si128(at_most(x, '"'), angle), equal(x, 0x7f));
}
static inline const char *find_uri_end(const char *p)
{
	unsigned bits;

	while (!(bits = mask(uri_stops(load16(p)))))
		p += 16;
	return p + first_bit(bits);
}
static inline const char *find_param_end(const char *p)
{
	for (;; p += 16) {
		__m128i x = load16(p);
		unsigned bits = mask(_mm_or_si128(uri_stops(x), _mm_or_si128(equal(x, ';'), equal(x, ','))));

		if (bits)
			return p + first_bit(bits);
	}
}

/* `"Plain" <sip:...>;tag=...`, with or without the name and the tag. Everything else: is_address(). */
static inline bool is_usual_address(struct sv v, struct sv *tag)
{
	const char *p = v.p, *end = p + v.len, *uri;

	if (*p == '"') {
		p = find_quote(p + 1);
		if (*p != '"')
			return false;
		p += 1 + (p[1] == ' ');
	}
	if (!starts_with(p, "<sip:...", 5))
		return false;
	uri = p + 5;
	p = find_uri_end(uri);
	if (*p != '>' || p == uri)
		return false;
	*tag = (struct sv){ end, 0 };
	if (++p == end)
		return true;
	if (!starts_with(p, ";tag=...", 5))
		return false;
	*tag = sv_span(p + 5, end);
	return tag->len && find_param_end(p + 5) == end;
}

/* One part of an IPv4 address: up to three digits worth no more than 255. */
static inline bool is_octet(const char *p, unsigned len)
{
	uint32_t text;

	if (len != 3)
		return len - 1 < 2;
	memcpy(&text, p, sizeof(text));
	return (__builtin_bswap32(text) >> 8) <= 0x323535; /* "255" */
}

/* An IPv4 address: returns what is behind, or NULL. */
static inline const char *skip_ip4(const char *p)
{
	__m128i x = load16(p);
	unsigned dots = mask(equal(x, '.')), digits = mask(at_most(_mm_sub_epi8(x, _mm_set1_epi8('0')), 9));
	unsigned len = first_bit(~(dots | digits)), dot[3];

	dots &= (1u << len) - 1;
	for (unsigned i = 0; i < 3; i++) {
		if (!dots)
			return NULL;
		dot[i] = first_bit(dots);
		dots &= dots - 1;
	}
	if (dots || len == 16 || !is_octet(p, dot[0]) || !is_octet(p + dot[0] + 1, dot[1] - dot[0] - 1) ||
	    !is_octet(p + dot[1] + 1, dot[2] - dot[1] - 1) || !is_octet(p + dot[2] + 1, len - dot[2] - 1))
		return NULL;
	return p + len;
}

/* An IPv4 address, which ends at `*host_end`, and perhaps a port above 0. A value ends at a CR or space at the latest, so
 * no end is needed; a port of more than five digits is left to others. */
static inline const char *skip_usual_host(const char *p, const char **host_end, uint16_t *port)
{
	unsigned n = 0, digit;

	*host_end = p = skip_ip4(p);
	*port = 0;
	if (!p || *p != ':')
		return p;
	for (p++; (digit = (unsigned)(uint8_t)*p - '0') < 10; p++)
		n = n * 10 + digit;
	*port = (uint16_t)n;
	return p - *host_end <= 6 && n - 1 < UINT16_MAX ? p : NULL;
}

/* One parameter of those we and every phone write. NULL: something else. */
static inline const char *skip_usual_param(const char *p, struct sv *branch)
{
	const char *value = p + 8;

	if (starts_with(p, ";branch=", 8)) {
		p = find_param_end(value);
		*branch = sv_span(value, p);
		return branch->len == 7 ? NULL : p; /* z9hG4bK has seven */
	}
	if (starts_with(p, ";rport..", 6))
		return p[6] == '=' ? find_param_end(p + 7) : p + 6;
	if (starts_with(p, ";receive", 8) && starts_with(p + 8, "d=......", 2))
		return find_param_end(p + 10);
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
	if (!p)
		return false;
	view->via_host = scan_span(view, sv_span(v.p + 12, colon));
	while (p && p < end && *p == ';')
		p = skip_usual_param(p, &branch);
	view->via_branch = scan_span(view, branch);
	return p == end;
}

/* `4711 INVITE`, in a request with the method of its first line. Everything else: scan_check_cseq(). */
static bool is_usual_cseq(struct view *v, struct sv value)
{
	const char *p = value.p, *end = p + value.len;
	unsigned n = 0, digit;
	struct sv method;

	for (; (digit = (unsigned)(uint8_t)*p - '0') < 10; p++)
		n = n * 10 + digit;
	if ((size_t)(p - value.p) - 1 >= 9 || *p != ' ' || p >= end)
		return false;
	v->cseq = n;
	method = sv_span(p + 1, end);
	if (!v->status)
		return v->method != M_OTHER && method.len == v->method_len && method_parse(method) == v->method;
	v->method = method_parse(method);
	v->method_at = scan_offset(v, method.p);
	v->method_len = (uint8_t)method.len;
	return v->method != M_OTHER;
}

static bool check_cseq(struct view *v)
{
	return is_usual_cseq(v, hdr_value(v, view_first(v, HDR_CSEQ))) || !scan_check_cseq(v);
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

static inline __attribute__((always_inline)) bool check_address(const struct view *v, enum hdr_id id, struct view_span *tag)
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
	       find_space(call_id.p) == call_id.p + call_id.len && check_cseq(v) &&
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
