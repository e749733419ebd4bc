/* transports/srv.h - what was found behind a name: targets with their addresses, and the order in which to try them
 * (RFC 2782). Pure. */
#ifndef TRANSPORTS_SRV_H
#define TRANSPORTS_SRV_H
#include "transports/resolve.h"

enum { SRV_TARGETS_MAX = RESOLVE_ADDRS_MAX, SRV_NAME_MAX = 253 };

struct srv {
	uint16_t priority, weight, port;
	char host[SRV_NAME_MAX + 1];
};

struct srv_answer {
	unsigned n;
	uint32_t ttl_s;                    /* the shortest; UINT32_MAX when n is 0 */
	bool is_refused;                   /* the target is ".": the service is decidedly not there */
	struct srv srv[SRV_TARGETS_MAX];   /* the best by priority, then weight, when there were more */
};

/* A DNS response's SRV records. Hostile bytes. 0 or -EBADMSG. */
int srv_parse(struct srv_answer *out, const unsigned char *bytes, size_t len);

struct found {
	unsigned n;                        /* targets */
	struct found_target {
		uint16_t priority, weight;
		uint16_t port;             /* 0: the question's */
		uint16_t n;                /* its addresses in addr[], one target behind the other */
	} target[SRV_TARGETS_MAX];
	struct addr addr[RESOLVE_ADDRS_MAX];
};

/* Lower priorities first; within one, by chance in proportion to weight. `random` is drawn from and moved on. */
void found_order(const struct found *f, uint16_t port, uint64_t *random, struct resolve_answer *out);

#endif
