/* sbc/watch.h - says in the log when a destination goes down or comes back, and when one that is drained is empty.
 * Whoever reports evidence is on the call path and says nothing; the control thread looks a few times a second. */
#ifndef SBC_WATCH_H
#define SBC_WATCH_H
#include "base/log.h"
#include "dispatcher/pool.h"

struct watch {
	bool was_down[POOL_DESTINATIONS_MAX], was_drained[POOL_DESTINATIONS_MAX]; /* by slot; drained: to the last call */
};

void watch_look(struct watch *w, const struct pools *p, const struct conf *c, struct log *log);

#endif
