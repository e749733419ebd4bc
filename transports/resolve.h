/* transports/resolve.h - host names to addresses without blocking: c-ares behind an interface, so that
 * tests put a table under it. One per worker, on its thread. */
#ifndef TRANSPORTS_RESOLVE_H
#define TRANSPORTS_RESOLVE_H
#include "base/addr.h"

enum resolve_limits {
	RESOLVE_ADDRS_MAX = 8,
	RESOLVE_CACHE_MAX = 4096,
	RESOLVE_PENDING_MAX = 1024,
	RESOLVE_TIMEOUT_MS = 4000,
	RESOLVE_TTL_MIN_S = 5, RESOLVE_TTL_MAX_S = 3600, RESOLVE_NEGATIVE_S = 10,
};

struct resolve_query {
	struct sv host;     /* numeric (brackets allowed) or a name */
	uint16_t port;      /* 0: none given: SRV first for a name (RFC 3263 §4.2), then A and AAAA with `default_port` */
	uint16_t default_port;
	uint8_t transport;  /* enum transport: chooses _sip._udp, _sip._tcp, _sips._tcp */
	uint8_t family;     /* 4 or 6: only those; 0: both, in the order of the answer, IPv4 first */
};

struct resolve_answer {
	unsigned n;
	struct addr addr[RESOLVE_ADDRS_MAX]; /* with ports, in the order to try; SRV by priority, then weight */
};

struct resolver;
struct resolver_ops {
	int (*ask)(struct resolver *r, const struct resolve_query *q, struct resolve_answer *out,
	           void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id);
	void (*cancel)(struct resolver *r, uint64_t id);
};
struct resolver {
	const struct resolver_ops *ops;
};

/* 0: answered at once in `*out` (numeric, cached), `done` is not called. -EINPROGRESS: `done` is called once, later,
 * with 0 and an answer or a negative error; `*id` can cancel it. -ENOENT: does not exist (cached). -ENOBUFS: too many
 * are waiting. -EBADMSG: no host name. Another negative error: the servers failed a moment ago. */
static inline int resolve(struct resolver *r, const struct resolve_query *q, struct resolve_answer *out,
                          void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id)
{
	return r->ops->ask(r, q, out, done, ctx, id);
}
static inline void resolve_cancel(struct resolver *r, uint64_t id)
{
	r->ops->cancel(r, id);
}

#endif
