/* dispatcher/probe.h - decides when each destination is probed; how a probe travels is its user's business. One prober per
 * worker: destination slot modulo workers says who probes it. Phases are spread over the interval. What the operator drains
 * or disables is probed all the same. Who has been dead for long is probed ever more rarely, each pause twice the last one, until he
 * answers once. For pools without probes it drives dest_tick. */
#ifndef DISPATCHER_PROBE_H
#define DISPATCHER_PROBE_H
#include "base/wheel.h"
#include "dispatcher/pool.h"

enum prober_limits {
	PROBER_PATIENCE = 12,          /* failed probes in a row, beyond down-after, before they become rarer */
	PROBER_SLOWEST = 16,           /* intervals between two of them in the end, */
	PROBER_SLOWEST_MS = 60000,     /* and no longer than this, unless the interval itself is */
};

struct prober;
/* `send` starts one OPTIONS to conf->destinations[destination]; its outcome comes back through prober_result with the same `ticket`
 * (a ticket that is no longer awaited is ignored). The prober itself counts a time-out after probe.timeout. */
typedef void prober_send(void *ctx, uint32_t destination, uint64_t ticket);

int prober_new(struct prober **out, struct pools *pools, struct wheel *wheel, unsigned worker, unsigned workers,
               prober_send *send, void *ctx);
void prober_free(struct prober *p);
/* Adopts a snapshot: new destinations start, gone ones stop, the rest keep their rhythm. `c` must stay until the next adopt.
 * 0 (all memory was taken by prober_new). */
int prober_adopt(struct prober *p, const struct conf *c);
/* `status` is the response's, or 0 with a negative `err` (time-out, refused, ICMP). Any final response but
 * 408 and 5xx means alive; a provisional one says nothing yet. May be called from inside `send`. */
void prober_result(struct prober *p, uint64_t ticket, unsigned status, int err);

#endif
