/* base/sv.c - searching and comparing borrowed bytes. */
#include "base/sv.h"
#include <errno.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool sv_ieq_same_length(struct sv a, struct sv b)
{
	if (sv_eq(a, b))
		return true; /* the same case, as nearly always */
	for (size_t i = 0; i < a.len; i++)
		if (lower((unsigned char)a.p[i]) != lower((unsigned char)b.p[i]))
			return false;
	return true;
}

static bool is_capital(char c)
{
	return (c >= 'A' && c <= 'Z') || c == ',' || c == ' ';
}

#ifdef __SSE2__
static inline bool are_capitals(const char *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p), from_a = _mm_sub_epi8(x, _mm_set1_epi8('A'));
	__m128i letters = _mm_cmpeq_epi8(_mm_min_epu8(from_a, _mm_set1_epi8('Z' - 'A')), from_a);
	__m128i others = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(',')), _mm_cmpeq_epi8(x, _mm_set1_epi8(' ')));

	return _mm_movemask_epi8(_mm_or_si128(letters, others)) == 0xffff;
}
#else
static inline bool are_capitals(const char *p)
{
	for (size_t i = 0; i < 16; i++)
		if (!is_capital(p[i]))
			return false;
	return true;
}
#endif

bool sv_is_capitals(struct sv v)
{
	size_t at = 0;

	if (v.len >= 16) {
		for (; v.len - at >= 16; at += 16)
			if (!are_capitals(v.p + at))
				return false;
		return are_capitals(v.p + v.len - 16); /* the last ones, some of them again */
	}
	while (at < v.len && is_capital(v.p[at]))
		at++;
	return at == v.len;
}

size_t sv_chr(struct sv v, char c)
{
	const char *hit = v.len ? memchr(v.p, c, v.len) : NULL;

	return hit ? (size_t)(hit - v.p) : v.len;
}

/* `half` <= v.len <= 2 * half: all is read before any is written. `half` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void copy_ends(char *to, struct sv v, size_t half)
{
	char first[16], last[16];

	memcpy(first, v.p, half);
	memcpy(last, v.p + v.len - half, half);
	memcpy(to, first, half);
	memcpy(to + v.len - half, last, half);
}

char *sv_copy(char *to, struct sv v)
{
	if (v.len > 32)
		return mempcpy(to, v.p, v.len);
	if (v.len >= 16)
		copy_ends(to, v, 16);
	else if (v.len >= 8)
		copy_ends(to, v, 8);
	else if (v.len >= 4)
		copy_ends(to, v, 4);
	else
		for (size_t i = 0; i < v.len; i++)
			to[i] = v.p[i];
	return to + v.len;
}

size_t sv_find(struct sv hay, struct sv needle)
{
	const char *hit;

	if (needle.len == 0)
		return 0;
	if (needle.len > hay.len)
		return SIZE_MAX;
	hit = memmem(hay.p, hay.len, needle.p, needle.len);
	return hit ? (size_t)(hit - hay.p) : SIZE_MAX;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct sv sv_trim(struct sv v)
{
	while (v.len && is_space(v.p[0]))
		v = sv_skip(v, 1);
	while (v.len && is_space(v.p[v.len - 1]))
		v.len--;
	return v;
}

struct sv sv_skip(struct sv v, size_t at)
{
	if (at > v.len)
		at = v.len;
	if (at) /* NULL + 0 is undefined before C23 */
		v.p += at;
	v.len -= at;
	return v;
}

int sv_u64(struct sv v, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	bool is_big = false;

	if (v.len == 0)
		return -EBADMSG;
	for (size_t i = 0; i < v.len; i++) {
		unsigned digit = (unsigned char)v.p[i] - '0';

		if (digit > 9)
			return -EBADMSG;
		if (n > (UINT64_MAX - digit) / 10)
			is_big = true; /* keep looking: a letter further on is the better answer */
		else
			n = n * 10 + digit;
	}
	if (is_big || n > max)
		return -ERANGE;
	*out = n;
	return 0;
}

struct sv sv_decimal(uint64_t n, char area[SV_DECIMAL])
{
	static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
				    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
	char *end = area + SV_DECIMAL, *p = end;

	for (; n >= 10; n /= 100)
		memcpy(p -= 2, pairs + 2 * (n % 100), 2);
	if (n || p == end)
		*--p = (char)('0' + n);
	return sv_span(p, end);
}

struct sv sv_hex(uint64_t n, char area[SV_HEX])
{
	for (unsigned i = SV_HEX; i--; n >>= 4)
		area[i] = "0123456789abcdef"[n & 15];
	return (struct sv){ area, SV_HEX };
}

static bool piece_fits(struct sv piece, const char *at)
{
	for (size_t i = 0; i < piece.len; i++)
		if (piece.p[i] != '?' && piece.p[i] != at[i])
			return false;
	return true;
}

/* Where `piece` (without `*`) first fits in `text`, or SIZE_MAX. */
static size_t piece_find(struct sv piece, struct sv text)
{
	if (sv_chr(piece, '?') == piece.len)
		return sv_find(text, piece);
	for (size_t i = 0; i + piece.len <= text.len; i++)
		if (piece_fits(piece, text.p + i))
			return i;
	return SIZE_MAX;
}

/* The pieces between stars are placed one after the other, each as early as it fits; the first is tied to the
 * start and the last to the end. An early placement never hurts a later piece, so nothing is tried twice. */
bool sv_glob(struct sv pattern, struct sv text)
{
	size_t star = sv_chr(pattern, '*');
	size_t at;

	if (star == pattern.len)
		return pattern.len == text.len && piece_fits(pattern, text.p);
	if (star > text.len || !piece_fits(sv_span(pattern.p, pattern.p + star), text.p))
		return false;
	text = sv_skip(text, star);
	pattern = sv_skip(pattern, star + 1);
	while ((star = sv_chr(pattern, '*')) < pattern.len) {
		at = piece_find((struct sv){ pattern.p, star }, text);
		if (at == SIZE_MAX)
			return false;
		text = sv_skip(text, at + star);
		pattern = sv_skip(pattern, star + 1);
	}
	return pattern.len <= text.len && piece_fits(pattern, sv_skip(text, text.len - pattern.len).p);
}
