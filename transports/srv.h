/* transports/srv.h - what was found behind a name: targets with their addresses, and the order in which to try them
 * (RFC 3263 §4.1, RFC 2782). Pure. */
#ifndef TRANSPORTS_SRV_H
#define TRANSPORTS_SRV_H
#include "transports/resolve.h"

enum { SRV_TARGETS_MAX = RESOLVE_ADDRS_MAX };

struct found {
	unsigned n;                        /* targets */
	struct found_target {
		uint16_t priority, weight;
		uint16_t port;             /* 0: the question's, or the transport's */
		uint16_t n;                /* its addresses in addr[], one target behind the other */
		uint8_t rank;              /* its NAPTR record's place: comes before priority */
		uint8_t transport;
	} target[SRV_TARGETS_MAX];
	struct addr addr[RESOLVE_ADDRS_MAX];
};

/* Lower ranks first, lower priorities within one; within one of those, by chance in proportion to weight. `random` is drawn from and moved
 * on. `port`: of those without; 0: the transport's. */
void found_order(const struct found *f, uint16_t port, uint64_t *random, struct resolve_answer *out);

#endif
