/* base/hash.c - SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one round per word and
 * three at the end, as hash tables of languages and kernels use it). */
#include "base/hash.h"
#include <endian.h>
#include <errno.h>
#include <sys/random.h>

struct sip {
	uint64_t v0, v1, v2, v3;
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

/* 1 to 7 bytes, the first lowest, zeros above them. Those in the middle are read twice: a loop costs more. */
static inline uint64_t tail_of(const unsigned char *p, size_t len)
{
	uint32_t first, last;

	if (len < 4)
		return p[0] | (uint64_t)p[len / 2] << 8 * (len / 2) | (uint64_t)p[len - 1] << 8 * (len - 1);
	memcpy(&first, p, sizeof(first));
	memcpy(&last, p + len - sizeof(last), sizeof(last));
	return le32toh(first) | (uint64_t)le32toh(last) << 8 * (len - sizeof(last));
}

/* Feeds whole words; returns the bytes behind them. */
static inline uint64_t sip_feed(struct sip *s, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t whole = len & ~(size_t)7;
	uint64_t word;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, p + i, sizeof(word));
		sip_word(s, le64toh(word));
	}
	return len > whole ? tail_of(p + whole, len - whole) : 0;
}

/* `tail`: up to 7 bytes; the highest one says how long the whole was. */
static inline uint64_t sip_end(struct sip *s, uint64_t tail, size_t len)
{
	sip_word(s, tail | (uint64_t)len << 56);
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

	return sip_end(&s, sip_feed(&s, p, len), len);
}

/* In 32 bits each how many parts there are and their lengths, then the parts, all filled up with zeros to whole words: so
 * no byte has to be moved. */
uint64_t hash_parts(const struct hash_key *k, const struct sv *parts, size_t n)
{
	struct sip s = sip_start(k);
	uint64_t word = n;
	size_t len = (n / 2 + 1) * 8;

	for (size_t i = 0; i < n; i++) {
		word = i % 2 ? parts[i].len : word | (uint64_t)parts[i].len << 32;
		if (i % 2 == 0)
			sip_word(&s, word);
	}
	if (n % 2 == 0)
		sip_word(&s, word);
	for (size_t i = 0; i < n; i++) {
		uint64_t tail = sip_feed(&s, parts[i].p, parts[i].len);

		if (parts[i].len % 8)
			sip_word(&s, tail);
		len += (parts[i].len + 7) / 8 * 8;
	}
	return sip_end(&s, 0, len);
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
	uint64_t word = 0;

	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];

		word |= (uint64_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c) << i % 8 * 8;
		if (i % 8 == 7) {
			sip_word(&s, word);
			word = 0;
		}
	}
	return sip_end(&s, word, v.len);
}
