/* sip/scan.h - what the two scanners share: the reasons for refusal, and the checks that come once the lines are cut.
 * Private to sip/. */
#ifndef SIP_SCAN_H
#define SIP_SCAN_H
#include "sip/view.h"

/* clang-format off */
enum reason {
	FINE, NOT_SIP, BAD_START_LINE, BAD_VERSION, BAD_METHOD, BAD_URI, LONG_URI, URI_WITH_HEADERS, BAD_STATUS,
	TOO_LARGE, NO_END, BAD_LINE_END, BAD_BYTE, LONG_LINE, BAD_LINE, BAD_NAME, LONG_NAME, MANY_HEADERS, REPEATED,
	NO_VIA, NO_FROM, NO_TO, NO_CALL_ID, NO_CSEQ, BAD_VIA, EMPTY_BRANCH, BAD_FROM, BAD_TO, BAD_CALL_ID, BAD_CSEQ,
	CSEQ_RANGE, CSEQ_METHOD, BAD_MAX_FORWARDS, BAD_LENGTH, NO_LENGTH, LENGTH_MISMATCH, REASONS
};
/* clang-format on */

/* Headers that may appear once. Of the others RFC 3261 limits to one, each user of a value takes the first. */
enum {
	SCAN_SINGLE = 1 << HDR_FROM | 1 << HDR_TO | 1 << HDR_CALL_ID | 1 << HDR_CSEQ | 1 << HDR_MAX_FORWARDS |
	              1 << HDR_CONTENT_LENGTH,
};

_Static_assert(HDR_COUNT - HDR_HOT <= 64 && HDR_HOT <= 32, "they have their bits in a view");

/* Everything before the headers is zeroed, they are not: 1,280 bytes a message will rarely need. */
static inline void scan_begin(struct view *v, const char *base)
{
	memset(v, 0, offsetof(struct view, h));
	v->base = base;
}

static inline uint16_t scan_offset(const struct view *v, const char *p)
{
	return (uint16_t)(p - v->base);
}

/* Puts header number `n` down; there is room. False if it should not be there a second time. */
static inline bool scan_put(struct view *v, unsigned n, struct sv name, struct sv value, unsigned id)
{
	v->h[n] = (struct hdr){
		.name = scan_offset(v, name.p),
		.name_len = (uint8_t)name.len,
		.value = scan_offset(v, value.p),
		.value_len = (uint16_t)value.len,
		.id = (uint8_t)id,
	};
	if (id - 1 >= HDR_HOT - 1) {
		v->rare |= id ? 1ull << (id - HDR_HOT) : 0;
		return true;
	}
	if (v->first[id]) {
		v->repeated |= 1u << id;
		return !(SCAN_SINGLE >> id & 1);
	}
	v->first[id] = (uint16_t)(n + 1);
	return true;
}

/* The values every message needs (RFC 3261 §8.1.1, §20) in a view whose lines are cut. */
enum reason scan_check_values(struct view *v);
/* CSeq is there: number and method (§8.1.1.5, §20.16). Sets cseq, and in a response the method. */
enum reason scan_check_cseq(struct view *v);
/* `v->body` is set: does Content-Length fit what follows (§18.3)? Sets body_len and len. `available`: bytes from the
 * message's first to the last one received. */
enum reason scan_check_length(struct view *v, size_t available, bool is_stream);
/* Keeps `part` of the message; an empty one as nothing. */
static inline struct view_span scan_span(const struct view *v, struct sv part)
{
	return part.len ? (struct view_span){ scan_offset(v, part.p), (uint16_t)part.len } : (struct view_span){ 0, 0 };
}
/* The parts of the topmost Via, and a tag, into the view, the long way. */
void scan_keep_via(struct view *v);
/* False: it is there, and empty. It would hide a tag written behind it. */
bool scan_tag(const struct view *v, enum hdr_id from_or_to, struct view_span *out);
/* There is a Via and its first value can be read: where an answer goes. */
bool scan_has_top_via(const struct view *v);
/* A Request-URI with headers in it (§19.1.1 allows none). */
bool scan_uri_has_headers(struct sv uri);

#endif
