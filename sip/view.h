/* sip/view.h - one pass over a SIP message that only finds where things are (RFC 3261 §7, §25): no copy, no
 * allocation. Offsets are 16 bit: a message is at most 65,535 bytes. Values keep their folding. */
#ifndef SIP_VIEW_H
#define SIP_VIEW_H
#include "base/sv.h"

/* clang-format off */
enum method {
	M_OTHER, M_INVITE, M_ACK, M_BYE, M_CANCEL, M_OPTIONS, M_REGISTER, M_PRACK, M_UPDATE, M_INFO, M_MESSAGE,
	M_SUBSCRIBE, M_NOTIFY, M_REFER, M_PUBLISH, M_COUNT
};

/* One per header this program knows; the table in names.c gives name and compact form.
 * Order: the hot ones first, they have a first-occurrence index (HDR_HOT). */
enum hdr_id {
	HDR_OTHER, HDR_VIA, HDR_FROM, HDR_TO, HDR_CALL_ID, HDR_CSEQ, HDR_CONTACT, HDR_MAX_FORWARDS,
	HDR_CONTENT_LENGTH, HDR_CONTENT_TYPE, HDR_ROUTE, HDR_RECORD_ROUTE, HDR_REQUIRE, HDR_SUPPORTED, HDR_RSEQ,
	HDR_RACK, HDR_EXPIRES, HDR_PROXY_REQUIRE, HDR_PRIVACY, HDR_SESSION_EXPIRES, HDR_ALLOW,
	HDR_AUTHORIZATION, HDR_EVENT, HDR_HOT,
	HDR_ACCEPT = HDR_HOT, HDR_ACCEPT_CONTACT, HDR_ACCEPT_ENCODING, HDR_ACCEPT_LANGUAGE, HDR_ALERT_INFO,
	HDR_ALLOW_EVENTS, HDR_AUTHENTICATION_INFO, HDR_CALL_INFO, HDR_CONTENT_DISPOSITION,
	HDR_CONTENT_ENCODING, HDR_CONTENT_LANGUAGE, HDR_DATE, HDR_DIVERSION, HDR_ERROR_INFO,
	HDR_FEATURE_CAPS, HDR_FLOW_TIMER, HDR_GEOLOCATION, HDR_GEOLOCATION_ERROR, HDR_GEOLOCATION_ROUTING,
	HDR_HISTORY_INFO, HDR_IDENTITY, HDR_IDENTITY_INFO, HDR_INFO_PACKAGE, HDR_IN_REPLY_TO, HDR_JOIN,
	HDR_MAX_BREADTH, HDR_MIME_VERSION, HDR_MIN_EXPIRES, HDR_MIN_SE, HDR_ORGANIZATION, HDR_P_ASSERTED_IDENTITY,
	HDR_P_ASSOCIATED_URI, HDR_P_CALLED_PARTY_ID, HDR_P_EARLY_MEDIA, HDR_P_PREFERRED_IDENTITY, HDR_PATH,
	HDR_PRIORITY, HDR_PROXY_AUTHENTICATE, HDR_PROXY_AUTHORIZATION, HDR_REASON, HDR_RECV_INFO,
	HDR_REFER_SUB, HDR_REFER_TO, HDR_REFERRED_BY, HDR_REJECT_CONTACT, HDR_REMOTE_PARTY_ID, HDR_REPLACES,
	HDR_REPLY_TO, HDR_REQUEST_DISPOSITION, HDR_RETRY_AFTER, HDR_SERVER, HDR_SERVICE_ROUTE,
	HDR_SESSION_ID, HDR_SIP_ETAG, HDR_SIP_IF_MATCH, HDR_SUBJECT, HDR_SUBSCRIPTION_STATE, HDR_TARGET_DIALOG,
	HDR_TIMESTAMP, HDR_UNSUPPORTED, HDR_USER_AGENT, HDR_USER_TO_USER, HDR_WARNING, HDR_WWW_AUTHENTICATE, HDR_COUNT
};
/* clang-format on */

enum view_limits {
	VIEW_HEADERS_MAX = 160, /* header lines */
	VIEW_NAME_MAX = 255, /* bytes of a header name */
	VIEW_LINE_MAX = 16384, /* bytes of one logical header line */
	VIEW_URI_MAX = 1024, /* Request-URI: else 414 */
};

struct hdr {
	uint16_t name, value; /* offsets */
	uint16_t value_len; /* trimmed at both ends; may contain folds */
	uint8_t name_len;
	uint8_t id; /* enum hdr_id */
};

struct view {
	const char *base;
	uint16_t len; /* of the message, body included; on UDP bytes behind Content-Length are not part of it */
	uint16_t uri, uri_len; /* Request-URI (requests) */
	uint16_t phrase, phrase_len; /* reason phrase (responses) */
	uint16_t status; /* 100..699 in a response, 0 in a request */
	uint8_t method; /* of the request line, or of CSeq in a response */
	uint8_t method_len; /* of the method's name at offset `method_at` */
	uint16_t method_at;
	uint16_t n; /* headers */
	uint16_t body, body_len;
	uint32_t cseq;
	uint8_t has_content_length; /* 0 or 1 */
	uint8_t has_folds; /* 0 or 1: some header value goes on in a second line */
	/* What every message is asked for, kept by the scan: read it by the view_... functions below. */
	uint64_t rare; /* a bit for each header without an index that is there, HDR_HOT's the lowest */
	uint32_t repeated; /* a bit for each one with an index that is there more than once */
	struct view_span {
		uint16_t at, len;
	} via_host, via_branch, from_tag, to_tag;
	uint16_t via_port; /* of the topmost Via; 0: none */
	uint16_t first[HDR_HOT]; /* index + 1 of the first such header, 0 = absent */
	struct hdr h[VIEW_HEADERS_MAX];
};

/* What is wrong with a message, and which answer it deserves where an answer is possible. */
struct view_fault {
	uint16_t status; /* 400, 413, 414, 505, ...; 0 = not SIP at all: silence */
	const char *reason; /* stable id, e.g. "cseq-method-mismatch" (docs/reasons.md) */
	bool is_answerable; /* From, To, Call-ID, CSeq and a readable top Via are there: enough for an answer */
};

/* Every reason view_scan can give, for docs/reasons.md. The text is one sentence. */
struct view_reason {
	const char *id;
	const char *text;
	uint16_t status;
};
extern const struct view_reason view_reasons[];
extern const size_t view_reasons_count;

/* Scans `len` bytes at `p` (BUF_PAD readable bytes must follow). Checks what RFC 3261 asks of any element: start line
 * and version, header line syntax, exactly one From, To, Call-ID, CSeq (and Max-Forwards, Content-Length at most once),
 * From and To one address each, CSeq number and method, Via present with a usable top value and a branch that names
 * something, Content-Length against `len` (`is_stream`: exact and mandatory; datagram: more than there is = 400,
 * less = rest ignored), Max-Forwards a number 0..255. A control byte is accepted in one place only, as a quoted pair in
 * a quoted string (NUL included: RFC 4475 §3.1.1.2). Lines end in CRLF, never in CR or LF alone. Leading CRLFs are
 * skipped: `v->base` is behind them. 0; -EAGAIN: nothing but CRLF/NUL (keep-alive); -EBADMSG with `*fault` filled in
 * and `v` filled as far as is_answerable says. Header lines with a fault of their own are left out of `v`.
 * ACK and responses with faults are never answered: is_answerable is false for them. */
int view_scan(struct view *v, const char *p, size_t len, bool is_stream, struct view_fault *fault);
/* The same without vector instructions; the two are fuzzed against each other. */
int view_scan_plain(struct view *v, const char *p, size_t len, bool is_stream, struct view_fault *fault);

static inline struct sv view_sv(const struct view *v, uint16_t at, uint16_t len)
{
	return (struct sv){ v->base + at, len };
}
static inline struct sv hdr_name(const struct view *v, const struct hdr *h)
{
	return view_sv(v, h->name, h->name_len);
}
static inline struct sv hdr_value(const struct view *v, const struct hdr *h)
{
	return view_sv(v, h->value, h->value_len);
}
static inline struct sv view_uri(const struct view *v)
{
	return view_sv(v, v->uri, v->uri_len);
}
static inline struct sv view_method(const struct view *v)
{
	return view_sv(v, v->method_at, v->method_len);
}
static inline struct sv view_body(const struct view *v)
{
	return view_sv(v, v->body, v->body_len);
}
static inline struct sv view_span_sv(const struct view *v, struct view_span s)
{
	return (struct sv){ v->base + s.at, s.len };
}
/* Of the topmost Via: sent-by's host without brackets, and the branch (empty: none). */
static inline struct sv view_via_host(const struct view *v)
{
	return view_span_sv(v, v->via_host);
}
static inline struct sv view_via_branch(const struct view *v)
{
	return view_span_sv(v, v->via_branch);
}
/* Empty: none. */
static inline struct sv view_from_tag(const struct view *v)
{
	return view_span_sv(v, v->from_tag);
}
static inline struct sv view_to_tag(const struct view *v)
{
	return view_span_sv(v, v->to_tag);
}
/* First header of a hot id, or NULL. */
static inline const struct hdr *view_first(const struct view *v, enum hdr_id id)
{
	return v->first[id] ? &v->h[v->first[id] - 1] : NULL;
}
/* Is there such a header? Not for HDR_OTHER. */
static inline bool view_has(const struct view *v, enum hdr_id id)
{
	return id < HDR_HOT ? v->first[id] : v->rare >> (id - HDR_HOT) & 1;
}
/* First header of any id at or after index `from`; NULL when there is none. */
const struct hdr *view_find(const struct view *v, enum hdr_id id, unsigned from);
/* First header with this name (any case, compact forms not folded: for HDR_OTHER). */
const struct hdr *view_find_name(const struct view *v, struct sv name, unsigned from);
/* Value of the first, or an empty sv with p == NULL. */
struct sv view_value(const struct view *v, enum hdr_id id);

uint8_t method_parse(struct sv name);
const char *method_name(uint8_t method); /* M_OTHER: "" */
/* Canonical name ("Call-ID"); HDR_OTHER: "". / id of a name in any case, or of a compact form. */
const char *hdr_id_name(enum hdr_id id);
uint8_t hdr_id_parse(struct sv name);
/* The usual phrase of a status ("Busy Here"), or the class's ("Client Error"). */
const char *status_phrase(unsigned status);

#endif
