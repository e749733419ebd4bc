/* transports/resolve.h - host names to addresses without blocking (RFC 3263): c-ares behind an interface, so that
 * tests put a table under it. One per worker, on its thread. */
#ifndef TRANSPORTS_RESOLVE_H
#define TRANSPORTS_RESOLVE_H
#include "base/addr.h"
#include "transports/net.h"

enum resolve_limits {
	RESOLVE_ADDRS_MAX = 8,
	RESOLVE_CACHE_MAX = 4096,       /* answers of name servers, without those of names of messages */
	RESOLVE_PENDING_MAX = 1024,     /* who waits */
	RESOLVE_QUESTIONS_MAX = 2048,   /* to the servers, at once */
	/* What names of messages may have, so that nobody outside keeps us from names of the configuration: of the above at most, answers
	 * beside them. */
	RESOLVE_FOREIGN_PENDING_MAX = 512, RESOLVE_FOREIGN_QUESTIONS_MAX = 1024, RESOLVE_FOREIGN_CACHE_MAX = 2048,
	RESOLVE_TIMEOUT_MS = 4000,
	RESOLVE_TTL_MIN_S = 5, RESOLVE_TTL_MAX_S = 3600,
	RESOLVE_NEGATIVE_S = 10, RESOLVE_NEGATIVE_MAX_S = 300, /* what is not there: unless the zone says so; at most */
};

struct resolve_query {
	struct sv host;        /* numeric (brackets allowed) or a name */
	uint16_t port;         /* 0: none given: SRV first for a name (RFC 3263 §4.2), then A and AAAA with `default_port` */
	uint16_t default_port; /* 0: the transport's */
	uint8_t transport;     /* enum transport: chooses _sip._udp, _sip._tcp, _sips._tcp; T_NONE: see `transports` */
	uint8_t family;        /* 4 or 6: only those; 0: both, in the order of the answer, IPv4 first */
	uint8_t transports;    /* with T_NONE: those that will do, a bit (1 << transport) each. Without a port NAPTR chooses among
	                        * them, else which of them have SRV records (§4.1) */
	bool is_foreign;       /* a message says it (Contact, Route), not the configuration */
};

struct resolve_answer {
	unsigned n;
	struct addr addr[RESOLVE_ADDRS_MAX];    /* with ports, in the order to try; SRV by priority, then weight */
	uint8_t transport[RESOLVE_ADDRS_MAX];   /* of each: the question's, unless it had several */
	uint8_t tier[RESOLVE_ADDRS_MAX];        /* 0 and up: of NAPTR and SRV priority; within one the order is by weight and chance */
};

/* One answer of a name server as it is kept. */
struct dns_set;
struct resolve_entry {
	const char *name;
	uint16_t type;               /* enum dns_type (dns.h) */
	const struct dns_set *set;   /* NULL: there was none yet */
	uint64_t left_ms;            /* 0: its time is over */
	int error;                   /* the servers failed last time; 0: they did not */
	bool is_stale, is_asking;
};

struct resolver;
struct resolver_ops {
	int (*ask)(struct resolver *r, const struct resolve_query *q, struct resolve_answer *out,
	           void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id);
	void (*cancel)(struct resolver *r, uint64_t id);
	/* For operators; NULL: it keeps nothing. */
	void (*each)(const struct resolver *r, void (*fn)(void *ctx, const struct resolve_entry *e), void *ctx);
	unsigned (*forget)(struct resolver *r, const char *name);
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
/* All that is kept. */
static inline void resolve_each(const struct resolver *r, void (*fn)(void *ctx, const struct resolve_entry *e), void *ctx)
{
	if (r->ops->each)
		r->ops->each(r, fn, ctx);
}
/* Forgets the answers at `name` (lower case) and below it, but for what is being asked for. Returns how many. */
static inline unsigned resolve_forget(struct resolver *r, const char *name)
{
	return r->ops->forget ? r->ops->forget(r, name) : 0;
}

/* RFC 3261 §19.1.2, RFC 7118 §7. */
static inline uint16_t resolve_default_port(uint8_t transport)
{
	return transport == T_TLS ? 5061 : transport == T_WS ? 80 : transport == T_WSS ? 443 : 5060;
}
/* What a URI without a transport stands for where `transports` will do, when nobody says otherwise (RFC 3263 §4.1). T_NONE: there is
 * none: WebSocket has to be asked for. */
static inline uint8_t resolve_usual_transport(uint8_t transports)
{
	for (uint8_t t = T_UDP; t <= T_TLS; t++)
		if (transports & 1u << t)
			return t;
	return T_NONE;
}

#endif
