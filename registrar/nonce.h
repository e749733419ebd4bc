/* registrar/nonce.h - nonces that carry what they are checked by (DECISIONS 31): the wall-clock time they were made at and a MAC of that
 * time, realm, zone and what they are for, so that whoever has not shown yet who he is costs no memory. What was used is remembered in a
 * bounded set. One per worker: a nonce comes back to the worker that made it, or to the other node, which has the same keys. */
#ifndef REGISTRAR_NONCE_H
#define REGISTRAR_NONCE_H
#include "base/hash.h"
#include "registrar/digest.h"

enum nonce_limits {
	NONCE_LEN = 32,              /* characters */
	NONCE_KEY_LEN = 32,
	NONCE_KEYS_MAX = 6,          /* the newest makes them, the others are still understood */
	NONCE_AGE_MS = 300000,
	NONCE_AHEAD_MS = 2000,       /* the other node's clock may be that much ahead */
	NONCE_AGAIN_MS = 32000,      /* so long a repeated request gets the nonce it got before (64*T1) */
	NONCE_ISSUED = 4096,         /* requests of which that is known */
	NONCE_BUCKETS = 8192,        /* of nonces that were used, NONCE_WAYS in each */
	NONCE_WAYS = 4,
};

/* What a nonce is good for: its realm, in its zone, and there whatever always comes to the same worker: the AOR of a registration, the
 * Call-ID of anything else. */
struct nonce_scope {
	struct sv realm, zone, about;
};

struct nonces;

/* `keys`: newest first, 1 to NONCE_KEYS_MAX. `d` is used, `hash` copied. 0 or -ENOMEM. */
int nonces_new(struct nonces **out, const uint8_t (*keys)[NONCE_KEY_LEN], unsigned n_keys, const struct hash_key *hash,
               struct digester *d);
void nonces_free(struct nonces *n);

/* A nonce for the request that `key` tells from others: the same one when that request is repeated. 0 or -EIO. */
int nonce_make(struct nonces *n, const struct nonce_scope *s, uint64_t key, uint64_t wall_ms, char out[NONCE_LEN]);
/* 0: ours, for this, and young enough. -ESTALE. */
int nonce_check(struct nonces *n, const struct nonce_scope *s, struct sv nonce, uint64_t wall_ms);
/* One checked before comes with the count `nc` in the request that `request` tells from others, bytes and source. 0: the count is higher
 * than any before. -EALREADY: the last request once more. -ESTALE: used already, or nobody can say any more whether it was. */
int nonce_use(struct nonces *n, struct sv nonce, uint32_t nc, uint64_t request, uint64_t wall_ms);

#endif
