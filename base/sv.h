/* base/sv.h - borrowed bytes: a pointer and a length, never a NUL. */
#ifndef BASE_SV_H
#define BASE_SV_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sv {
	const char *p;
	size_t len;
};

#define SV(lit) ((struct sv){ (lit), sizeof(lit) - 1 })
#define SV_ARG(v) (int)(v).len, (v).p /* for "%.*s" */

static inline struct sv sv_from(const char *cstr)
{
	return (struct sv){ cstr, cstr ? strlen(cstr) : 0 };
}

static inline struct sv sv_span(const char *from, const char *to)
{
	return (struct sv){ from, (size_t)(to - from) };
}

static inline bool sv_eq(struct sv a, struct sv b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII case-insensitive equality (RFC 3261 §7.3.1). */
bool sv_ieq_same_length(struct sv a, struct sv b);
static inline bool sv_ieq(struct sv a, struct sv b)
{
	return a.len == b.len && sv_ieq_same_length(a, b);
}
/* Nothing but capital letters, commas and spaces. */
bool sv_is_capitals(struct sv v);
/* Index of the first `c`, or v.len. */
size_t sv_chr(struct sv v, char c);
/* Copies `v` to `to`, where there is room; returns what is behind. For the short texts that messages are made of: up to 32
 * bytes cost less here than the call of memcpy and its choice of a way. */
char *sv_copy(char *to, struct sv v);
/* Position of `needle` in `hay` (exact), or SIZE_MAX. */
size_t sv_find(struct sv hay, struct sv needle);
/* Without leading and trailing SP, HTAB, CR, LF. */
struct sv sv_trim(struct sv v);
/* `v` from `at` on; at > len gives an empty one. */
struct sv sv_skip(struct sv v, size_t at);
/* Whole of `v` as decimal digits. 0, or -EBADMSG (empty, non-digit), -ERANGE (> max). */
int sv_u64(struct sv v, uint64_t max, uint64_t *out);
enum { SV_DECIMAL = 20, SV_HEX = 16 };
/* `n` in decimal, or in all of its 16 lower-case hexadecimal digits. They lie in `area`. */
struct sv sv_decimal(uint64_t n, char area[SV_DECIMAL]);
struct sv sv_hex(uint64_t n, char area[SV_HEX]);
/* `*` any run, `?` one byte; exact case. No backtracking: linear in time, except that a piece between stars
 * that holds a `?` may cost its length times the text's. */
bool sv_glob(struct sv pattern, struct sv text);

#endif
