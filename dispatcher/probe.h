/* dispatcher/probe.h - decides when each destination is probed; how a probe travels is its user's business. One prober per
 * worker: destination slot modulo workers says who probes it. Phases are spread over the interval. */
#ifndef DISPATCHER_PROBE_H
#define DISPATCHER_PROBE_H
#include "base/wheel.h"
#include "dispatcher/pool.h"

struct prober;
/* `send` starts one OPTIONS to conf->destinations[destination]; its outcome comes back through prober_result with the same `ticket`
 * (a ticket that is no longer awaited is ignored). The prober itself counts a time-out after probe.timeout. */
typedef void prober_send(void *ctx, uint32_t destination, uint64_t ticket);

int prober_new(struct prober **out, struct pools *pools, struct wheel *wheel, unsigned worker, unsigned workers,
               prober_send *send, void *ctx);
void prober_free(struct prober *p);
/* Adopts a snapshot: new destinations start, gone ones stop, the rest keep their rhythm. `c` must stay until the next adopt. */
int prober_adopt(struct prober *p, const struct conf *c);
/* `status` is the response's, or 0 with a negative `err` (time-out, refused, ICMP). Any response but 408, 5xx (and 503) means alive. */
void prober_result(struct prober *p, uint64_t ticket, unsigned status, int err);

#endif
