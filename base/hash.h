/* base/hash.h - keyed hash for keys an attacker may choose (SipHash-1-3), and random bytes. */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include "base/sv.h"

struct hash_key {
	uint64_t k0, k1;
};

/* Fills with getrandom(2). 0 or -errno. */
int random_bytes(void *out, size_t len);
uint64_t hash_bytes(const struct hash_key *k, const void *p, size_t len);
/* Over several parts and their lengths, so that parts cannot be shifted into each other. */
uint64_t hash_parts(const struct hash_key *k, const struct sv *parts, size_t n);
/* Without a key, by a few operations: where nobody gains anything from two texts that give the same. */
uint64_t hash_weak(uint64_t seed, struct sv v);
/* ASCII letters folded to lower case (hosts). */
uint64_t hash_nocase(const struct hash_key *k, struct sv v);

#endif
