/* base/hash.c - SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one round per word and
 * three at the end, as hash tables of languages and kernels use it), fed piecewise. */
#include "base/hash.h"
#include <endian.h>
#include <errno.h>
#include <sys/random.h>

enum { LENGTH_BYTES = 4 }; /* in front of each of several parts: 32 bits, the lowest first */

struct sip {
	uint64_t v0, v1, v2, v3;
	uint64_t tail; /* bytes that do not fill a word yet, the first lowest */
	unsigned tail_len;
	uint8_t total; /* length modulo 256 goes into the last word */
};

static uint64_t rotl(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

static struct sip sip_start(const struct hash_key *k)
{
	return (struct sip){
		.v0 = k->k0 ^ 0x736f6d6570736575, /* "somepseudorandomlygeneratedbytes", from the paper */
		.v1 = k->k1 ^ 0x646f72616e646f6d,
		.v2 = k->k0 ^ 0x6c7967656e657261,
		.v3 = k->k1 ^ 0x7465646279746573,
	};
}

/* 1 to 8 bytes, the first lowest, zeros above them. */
static inline void sip_piece(struct sip *s, uint64_t piece, unsigned len)
{
	unsigned used = 8 * s->tail_len; /* bits: 0 to 56 */

	s->tail |= piece << used;
	s->tail_len += len;
	if (s->tail_len < 8)
		return;
	sip_word(s, s->tail);
	s->tail = piece >> 8 >> (56 - used); /* by up to 64 */
	s->tail_len -= 8;
}

static inline void sip_feed(struct sip *s, const void *data, size_t len)
{
	const unsigned char *p = data, *end = p + len;
	unsigned used = 8 * s->tail_len; /* bits; whole words leave as many */
	uint64_t word = 0;

	s->total += (uint8_t)len;
	for (; end - p >= 8; p += 8) {
		memcpy(&word, p, 8);
		word = le64toh(word);
		sip_word(s, s->tail | word << used);
		s->tail = word >> 8 >> (56 - used); /* by up to 64 */
	}
	if (p == end)
		return;
	if (len >= 8)
		memcpy(&word, end - 8, 8); /* the last of them are what is left */
	else
		memcpy((char *)&word + 8 - len, p, len);
	sip_piece(s, le64toh(word) >> (64 - 8 * (end - p)), (unsigned)(end - p));
}

static inline uint64_t sip_end(struct sip *s)
{
	sip_word(s, s->tail | (uint64_t)s->total << 56);
	s->v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

int random_bytes(void *out, size_t len)
{
	char *at = out;

	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

uint64_t hash_bytes(const struct hash_key *k, const void *p, size_t len)
{
	struct sip s = sip_start(k);

	sip_feed(&s, p, len);
	return sip_end(&s);
}

uint64_t hash_parts(const struct hash_key *k, const struct sv *parts, size_t n)
{
	struct sip s = sip_start(k);

	for (size_t i = 0; i < n; i++) {
		s.total += LENGTH_BYTES;
		sip_piece(&s, (uint32_t)parts[i].len, LENGTH_BYTES);
		sip_feed(&s, parts[i].p, parts[i].len);
	}
	return sip_end(&s);
}

uint64_t hash_weak(uint64_t seed, struct sv v)
{
	uint64_t h = seed ^ v.len, piece;

	for (; v.len >= sizeof(piece); v = sv_skip(v, sizeof(piece))) {
		memcpy(&piece, v.p, sizeof(piece));
		h = (h ^ le64toh(piece)) * 0x9e3779b97f4a7c15; /* 2^64 / golden ratio */
		h ^= h >> 32;
	}
	for (size_t i = 0; i < v.len; i++)
		h = (h ^ (unsigned char)v.p[i]) * 0x9e3779b97f4a7c15;
	return h ^ h >> 32;
}

uint64_t hash_nocase(const struct hash_key *k, struct sv v)
{
	struct sip s = sip_start(k);

	s.total = (uint8_t)v.len;
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];

		sip_piece(&s, c >= 'A' && c <= 'Z' ? c | 0x20 : c, 1);
	}
	return sip_end(&s);
}
