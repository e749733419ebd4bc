/* sip/header.h - structured values, parsed on demand and sliced directly. Where sofia-sip's grammars come to help, they
 * do so behind this header: none of its types shows here. All slices point into the given bytes
 * or into `arena`. Every function is safe on hostile bytes. */
#ifndef SIP_HEADER_H
#define SIP_HEADER_H
#include "base/addr.h"
#include "base/arena.h"

/* name-addr or addr-spec with header parameters: From, To, Contact, Route, Record-Route, Refer-To ...
 * (RFC 3261 §20.10: without <> everything behind the first ; is a header parameter.) */
struct name_addr {
	struct sv display; /* as written, with quotes */
	struct sv uri; /* without <> */
	struct sv params; /* from the first ';' behind, or empty; folds possible */
	struct sv whole; /* this value alone, trimmed */
	bool is_star; /* Contact: * */
	bool has_brackets;
};
/* Reads one value of a comma list from `*rest` and moves `*rest` behind it. 0, -ENOENT at the end, -EBADMSG. */
int name_addr_next(struct name_addr *out, struct sv *rest);
/* Exactly one value. 0 or -EBADMSG. */
int name_addr_parse(struct name_addr *out, struct sv value);
/* One element of any comma list (quotes, <> and comments respected). false at the end. */
bool list_next(struct sv *element, struct sv *rest);
/* Value of parameter `name` (any case) in ";a=b;c": false when absent; without a value: {p, 0}. Quotes are kept. */
bool param_find(struct sv params, struct sv name, struct sv *value);
/* Next parameter of ";a=b;c". false at the end. */
bool param_next(struct sv *params, struct sv *name, struct sv *value);
/* The tag of a From or To value; empty when there is none. Cheap. */
struct sv tag_of(struct sv from_or_to);

enum uri_scheme { URI_OTHER,
	          URI_SIP,
	          URI_SIPS,
	          URI_TEL,
	          URI_URN };
struct uri {
	uint8_t scheme;
	uint8_t host_kind; /* 0 name, 4, 6 */
	uint16_t port; /* 0: none */
	struct sv scheme_text;
	struct sv user; /* raw, escapes kept; with password cut off */
	struct sv password;
	struct sv host; /* IPv6 without brackets */
	struct sv params; /* ";a=b;lr" or empty */
	struct sv headers; /* "?a=b" without the '?', or empty */
	struct sv opaque; /* not sip/sips: what is behind the scheme's colon (tel number, urn) */
};
/* RFC 3261 §19.1, §25. 0, or -EBADMSG for what the grammar refuses. */
int uri_parse(struct uri *out, struct sv text);
/* RFC 3261 §19.1.4. Not equal, too, when one has more parameters or headers than URI_EQUAL_PARAMS. */
enum { URI_EQUAL_PARAMS = 32 };
bool uri_equal(const struct uri *a, const struct uri *b);
/* transport= as enum transport, T_NONE when absent or unknown. */
uint8_t uri_transport(const struct uri *u);
bool uri_has_param(const struct uri *u, struct sv name);
/* `text`, of which `u` was read, as it may stand in a Request-URI: headers have no place there (RFC 3261 §19.1.1). */
static inline struct sv uri_to_request(const struct uri *u, struct sv text)
{
	return u->headers.p ? sv_span(text.p, u->headers.p - 1) : text;
}
/* Next `name=value` of a URI's headers, both as written. false at the end. */
bool uri_header_next(struct sv *headers, struct sv *name, struct sv *value);
/* `v` as such a value: what may not stand there becomes %XX. */
struct out;
void out_uri_header(struct out *o, struct sv v);
/* `v` as a URI's user. */
void out_uri_user(struct out *o, struct sv v);
/* May `v` stand as the value of a URI's parameter as it is? */
bool uri_param_is_plain(struct sv v);
/* Escapes undone into the arena (or the bytes themselves when there are none). */
struct sv unescape(struct arena *a, struct sv v);
/* The same to where there is room for `v.len` bytes; returns how many it wrote. */
size_t unescape_to(char *to, struct sv v);

struct via {
	uint8_t transport; /* enum transport, T_NONE when unknown */
	uint16_t port; /* 0: none */
	struct sv transport_text, host, params, branch, received, rport; /* IPv6 host without brackets */
	bool has_rport; /* also without value */
	struct sv whole;
};
/* One value from a Via list: as name_addr_next. */
int via_next(struct via *out, struct sv *rest);

/* Replaces / Join / Target-Dialog (RFC 3891, 3911, 4538). The tags are named as the header's receiver sees its dialog:
 * to_tag is its own, from_tag the other's (Target-Dialog: local-tag, remote-tag). */
struct dialog_ref {
	struct sv call_id, to_tag, from_tag;
	bool is_early_only;
};
int dialog_ref_parse(struct arena *a, struct dialog_ref *out, struct sv value);
/* RAck: response-num CSeq-num method (RFC 3262 §7.2). */
int rack_parse(struct sv value, uint32_t *rseq, uint32_t *cseq, struct sv *method);
/* True when option tag `tag` is in one of the values of header `id` (Require, Supported, Proxy-Require). */
struct view;
bool has_option(const struct view *v, unsigned id, struct sv tag);
/* One parameter of a challenge or of credentials; the value without its quotes, escapes kept. */
struct auth_param {
	struct sv name, value;
	bool is_quoted;
};
/* "Digest username=..." into its scheme and the rest. false: it has no scheme. */
bool auth_scheme(struct sv value, struct sv *scheme, struct sv *params);
/* The next one of a comma list, which `*rest` is moved behind. 0, -ENOENT at the end, -EBADMSG: a value with a fold or another
 * control byte, too. */
int auth_param_next(struct auth_param *out, struct sv *rest);
/* Our own check of an SDP body before sofia-sip's sdp_parse may see it (see DESIGN §4): false = do not parse. */
bool sdp_is_safe(struct sv body);

#endif
