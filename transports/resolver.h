/* transports/resolver.h - struct resolver over c-ares, on a worker's poller. Besides what resolve.h says:
 * - RFC 3263: NAPTR where the transport is open, then SRV, then A and AAAA; a failing NAPTR or SRV question counts as "no such records".
 * - A name in /etc/hosts is not asked for anywhere else: whoever writes it there means that address. transports/hosts.h
 * - No search domains: a name is what it says.
 * - Answers are kept, refreshed while in use, and used on when the servers fail: transports/answers.h.
 * - -ETIMEDOUT, -EIO (servers fail) and -ECONNREFUSED come without such an answer, also at once when it just
 *   happened. */
#ifndef TRANSPORTS_RESOLVER_H
#define TRANSPORTS_RESOLVER_H
#include "base/counters.h"
#include "base/log.h"
#include "base/wheel.h"
#include "transports/resolve.h"

enum resolver_limits {
	RESOLVER_TICK_MS = 100,      /* how often c-ares looks at its own clock while it waits */
	RESOLVER_TRY_MS = 800,       /* per server and try; doubled in the second round */
	RESOLVER_TRIES = 2,
	RESOLVER_STALE_MAX_S = 3600,
	RESOLVER_STALE_WAIT_MS = 1800, /* for a better answer than an old one (RFC 8767 §5) */
	RESOLVER_AWAITS_MAX = 24,    /* answers that one search waits for at once */
	RESOLVER_RETRY_S = 5,
};

enum resolver_counter {
	RESOLVER_ASKED, RESOLVER_HITS, RESOLVER_JOINED, RESOLVER_QUERIES, RESOLVER_FOUND, RESOLVER_NOT_FOUND,
	RESOLVER_FAILED, RESOLVER_TIMED_OUT, RESOLVER_STALE, RESOLVER_REFRESHED, RESOLVER_MALFORMED, RESOLVER_REFUSED,
	RESOLVER_REFUSED_FOREIGN, RESOLVER_WAITING, RESOLVER_CACHED,
	RESOLVER_COUNTERS
};
extern const struct counter_def resolver_counter_defs[RESOLVER_COUNTERS];

struct poller;

/* `servers`: "192.0.2.53", "[2001:db8::53]:5353"; n = 0: the system's. Reads /etc/resolv.conf and the like once, so
 * on the control thread, before the worker runs. 0, -ENOMEM, -EBADMSG (a server is no address), -EIO. */
int resolver_new(struct resolver **out, struct poller *poller, struct wheel *wheel, const struct sv *servers,
                 unsigned n, struct log *log);
/* Tells nobody who is still waiting. NULL is allowed. */
void resolver_free(struct resolver *r);
const struct counters *resolver_counters(const struct resolver *r);

#endif
