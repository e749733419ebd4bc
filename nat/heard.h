/* nat/heard.h - who was heard when, so that nobody is pinged who has just spoken. A table of fixed size: when there is no room, who was
 * heard longest ago is forgotten, which costs a ping. Any worker notes, any worker asks; no locks. */
#ifndef NAT_HEARD_H
#define NAT_HEARD_H
#include "base/hash.h"
#include "transports/net.h"

enum heard_limits {
	HEARD_PLACES = 1 << 20, /* 8 bytes each; those never used take no memory */
	HEARD_GRAIN_MS = 64,
};

struct heard;

/* `places`: a power of two, 16 or more. `key` is copied; all workers and the table mean the same clock. 0 or -ENOMEM. */
int heard_new(struct heard **out, const struct hash_key *key, size_t places);
void heard_free(struct heard *h);
/* Something has come over this flow; of a datagram, from this address to this listener. */
void heard_note(struct heard *h, const struct path *from, uint64_t now_ms);
/* Something has come within the last `within_ms`. May be false though it has; never true when it has not. */
bool heard_within(const struct heard *h, const struct path *from, uint64_t now_ms, uint32_t within_ms);

#endif
