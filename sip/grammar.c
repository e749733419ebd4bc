/* sip/grammar.c - RFC 3261 §25.1: the character classes, and the cutters every header shares. */
#include "sip/grammar.h"
#include <errno.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Sixteen bytes a row, values of enum char_class added up. 0x80 to 0xff are in no class: UTF-8 has its place in
 * quoted strings, display names and free text only. tests/unit/sip/header.c rebuilds it from the RFC's lists. */
/* clang-format off */
const uint16_t char_classes[256] = {
	128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
	128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
	128, 120, 128, 0, 112, 8, 48, 120, 112, 112, 120, 120, 144, 376, 376, 112,
	381, 381, 381, 381, 381, 381, 381, 381, 381, 381, 96, 144, 128, 16, 128, 80,
	0, 382, 382, 382, 382, 382, 382, 378, 378, 378, 378, 378, 378, 378, 378, 378,
	378, 378, 378, 378, 378, 378, 378, 378, 378, 378, 378, 96, 0, 96, 0, 376,
	8, 382, 382, 382, 382, 382, 382, 378, 378, 378, 378, 378, 378, 378, 378, 378,
	378, 378, 378, 378, 378, 378, 378, 378, 378, 378, 378, 0, 0, 0, 120, 128,
};
/* clang-format on */

#ifdef __SSE2__
static inline __m128i equal(__m128i x, char c)
{
	return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}

/* A bit for each of the 16 bytes at `p` that find_stop() or find_uri_stop() stops at. */
static inline unsigned stop_bits(const char *p, bool with_separators)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i stop = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(' ')), x);

	stop = _mm_or_si128(stop, _mm_or_si128(equal(x, '"'), equal(x, 0x7f)));
	stop = _mm_or_si128(stop, equal(_mm_and_si128(x, _mm_set1_epi8(~('<' ^ '>'))), '<'));
	if (with_separators)
		stop = _mm_or_si128(stop, _mm_or_si128(equal(x, ';'), equal(x, ',')));
	return (unsigned)_mm_movemask_epi8(stop);
}

/* The first stop. Less than 16 bytes in all are left to the caller; a shorter last piece is read with bytes before. */
static inline const char *skip_blocks(const char *p, const char *end, bool with_separators)
{
	unsigned bits;

	if (end - p < 16)
		return p;
	for (; end - p >= 16; p += 16) {
		bits = stop_bits(p, with_separators);
		if (bits)
			return p + __builtin_ctz(bits);
	}
	bits = stop_bits(end - 16, with_separators) >> (16 - (end - p));
	return bits ? p + __builtin_ctz(bits) : end;
}
#else
static inline const char *skip_blocks(const char *p, const char *end, bool with_separators)
{
	(void)end, (void)with_separators;
	return p;
}
#endif

const char *find_stop(const char *p, const char *end)
{
	p = skip_blocks(p, end, true);
	while (p < end && !is_class(*p, C_STOP))
		p++;
	return p;
}

const char *find_uri_stop(const char *p, const char *end)
{
	p = skip_blocks(p, end, false);
	while (p < end && (!is_class(*p, C_STOP) || *p == ';' || *p == ','))
		p++;
	return p;
}

const char *quoted_end(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			break;
	}
	return NULL;
}

const char *param_cut(const char *p, const char *end, struct sv *name, struct sv *value)
{
	const char *at = skip_lws(p, end), *stop = skip_class(at, end, C_TOKEN);

	if (stop == at)
		return NULL;
	*name = sv_span(at, stop);
	*value = (struct sv){ NULL, 0 };
	p = skip_lws(stop, end);
	if (p < end && *p == '=') {
		at = skip_lws(p + 1, end);
		if (at < end && *at == '"')
			stop = quoted_end(at, end);
		else
			stop = find_stop(at, end);
		if (!stop)
			return NULL;
		*value = sv_span(at, stop);
		p = skip_lws(stop, end);
	}
	return p == end || *p == ';' || *p == ',' ? p : NULL;
}

const char *params_end(const char *p, const char *end)
{
	struct sv name, value;

	p = skip_lws(p, end);
	while (p && p < end && *p == ';')
		p = param_cut(p + 1, end, &name, &value);
	return !p || p == end || *p == ',' ? p : NULL;
}

int number_parse(struct sv v, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v.len; i++) {
		unsigned digit = (unsigned)(uint8_t)v.p[i] - '0';

		if (digit > 9)
			return -EBADMSG;
		n = n * 10 + digit;
		if (n > max)
			n = max + 1; /* and stays above */
	}
	if (!v.len)
		return -EBADMSG;
	if (n > max)
		return -ERANGE;
	*out = n;
	return 0;
}
