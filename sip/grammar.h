/* sip/grammar.h - character classes of RFC 3261 §25.1 and the small cutters built on them. Private to sip/. */
#ifndef SIP_GRAMMAR_H
#define SIP_GRAMMAR_H
#include "base/sv.h"

enum char_class {
	C_DIGIT = 1,
	C_ALPHA = 2,
	C_HEX = 4,
	C_TOKEN = 8,
	C_USER = 16, /* user: unreserved and user-unreserved; escapes apart */
	C_PARAM = 32, /* uri-parameter: unreserved and param-unreserved */
	C_HEADER = 64, /* hname, hvalue: unreserved and hnv-unreserved */
	C_STOP = 128, /* ends an unquoted parameter value: LWS, other controls, ; , " < > */
	C_HOST = 256, /* alphanum - . and _ (not in the grammar, but container names have it in Via and Contact) */
};

extern const uint16_t char_classes[256];

static inline bool is_class(char c, unsigned classes)
{
	return char_classes[(uint8_t)c] & classes;
}
static inline bool is_lws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
static inline const char *skip_lws(const char *p, const char *end)
{
	while (p < end && is_lws(*p))
		p++;
	return p;
}
/* The first byte not in `classes`. */
static inline const char *skip_class(const char *p, const char *end, unsigned classes)
{
	while (p < end && is_class(*p, classes))
		p++;
	return p;
}
static inline bool is_all(struct sv v, unsigned classes)
{
	return v.len && skip_class(v.p, v.p + v.len, classes) == v.p + v.len;
}
/* `v` is the word `lower`, of `n` <= 8 bytes (a constant, so that this becomes one compare). Only for `v` without
 * control bytes: |0x20 makes letters small, but also CR a '-'. */
static inline bool is_word(struct sv v, const char *lower, size_t n)
{
	uint64_t a = 0, b = 0;

	if (v.len != n)
		return false;
	memcpy(&a, v.p, n);
	memcpy(&b, lower, n);
	return (a | 0x2020202020202020) == (b | 0x2020202020202020);
}
#define IS_WORD(v, lower) is_word((v), (lower), sizeof(lower) - 1)
static inline struct sv trim_end(const char *p, const char *end)
{
	while (end > p && is_lws(end[-1]))
		end--;
	return sv_span(p, end);
}
/* The first byte of C_STOP. */
const char *find_stop(const char *p, const char *end);
/* The first control byte, space, " < or >: what cannot be inside of <URI>. */
const char *find_uri_stop(const char *p, const char *end);
/* `p` is at a quote: the byte behind the closing one, or NULL when there is none. */
const char *quoted_end(const char *p, const char *end);
/* `p` is behind a ';': cuts one generic-param; value.p is NULL when there is no '='. Returns the ';' or ',' behind it,
 * or `end`; NULL when it is no parameter. */
const char *param_cut(const char *p, const char *end, struct sv *name, struct sv *value);
/* `p` is at the first ';' of a run of parameters, or where one could be. Returns the ',' behind it or `end`; NULL when
 * something there is no parameter. */
const char *params_end(const char *p, const char *end);
/* Cuts host = name / IPv4 / "[" IPv6 "]" from `*at` and moves it behind; `host` comes without brackets, `kind` is 0, 4
 * or 6. 0 or -EBADMSG. */
int host_cut(const char **at, const char *end, struct sv *host, uint8_t *kind);
/* One name-addr or addr-spec with parameters, no star, and nothing behind it. */
bool is_address(struct sv v);
/* The first value of a Via list: 0, -EBADMSG when it cannot be read, -ENOKEY when its branch is RFC 3261's prefix with
 * nothing behind it, so that it would be the same for every transaction. */
int via_check(struct sv v);
/* Digits at `*at`, 1 to 65,535. 0 or -EBADMSG. */
int port_cut(const char **at, const char *end, uint16_t *port);
/* Digits with any number of leading zeros; `max` below 2^60. 0, -EBADMSG (empty, no digit), -ERANGE. */
int number_parse(struct sv v, uint64_t max, uint64_t *out);

#endif
