/* sbc/flows.h - which workers may have registered contacts over the connections of this one: they are told when one is gone. An entry
 * per connection that a REGISTER came by, so there are never more than connections. One thread. */
#ifndef SBC_FLOWS_H
#define SBC_FLOWS_H
#include "base/slab.h"
#include "base/table.h"

struct flows {
	struct table table;
	struct slab slab;
	struct node closed;        /* gone, and not everybody could be told yet */
};

/* How a worker is told: 0, or an error and it is tried again. */
typedef int flows_tell(void *ctx, unsigned worker, uint64_t flow);

void flows_init(struct flows *f);
/* 0 or -ENOMEM. */
int flows_start(struct flows *f);
void flows_fini(struct flows *f);
/* Without memory nothing is noted: contacts over it then last until they expire. */
void flows_note(struct flows *f, uint64_t flow, unsigned worker);
void flows_closed(struct flows *f, uint64_t flow, flows_tell *tell, void *ctx);
static inline bool flows_any_closed(const struct flows *f)
{
	return !list_empty(&f->closed);
}
void flows_retry(struct flows *f, flows_tell *tell, void *ctx);

#endif
