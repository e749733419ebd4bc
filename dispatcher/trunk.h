/* dispatcher/trunk.h - what a carrier may take, all workers together (DECISIONS 17, 19): calls at once, both directions together, and new
 * calls a second. Calls to it are the load of its pool's destinations, and nothing else counts them; those from it are counted here.
 * A slot names a trunk for the life of the process: the same name keeps its slot, load and counters over reloads. pool_pick asks for what
 * goes there by itself. Any thread, but for trunks_adopt. */
#ifndef DISPATCHER_TRUNK_H
#define DISPATCHER_TRUNK_H
#include "conf/conf.h"

struct pools;

enum trunk_refusal { TRUNK_FULL,
	             TRUNK_FAST,
	             TRUNK_REFUSALS }; /* limits.calls, limits.rate */

/* Control thread, before `next` is published (pools_adopt does it): every trunk gets its slot. 0, or -ENOSPC with nothing changed. */
int trunks_adopt(struct pools *p, struct conf *next);
/* A call has come from the trunk: 0, and it has its place until trunk_leave; -EBUSY (limits.calls) or -EAGAIN (limits.rate), counted. */
int trunk_enter(struct pools *p, const struct conf *c, const struct conf_trunk *t, uint64_t now_ms);
/* One restored from a record has its place whatever the limits. */
void trunk_reserve(struct pools *p, uint16_t slot);
void trunk_leave(struct pools *p, uint16_t slot);
/* A call has taken its place at a destination of this pool without being asked for limits (dest_reserve): may it stay? Not
 * counted: a call that may not is asked for again, by pool_pick. */
bool trunk_fits(struct pools *p, const struct conf *c, const struct conf_pool *pool);
/* The one that has this slot in the snapshot; NULL: it is gone. */
const struct conf_trunk *trunk_of_slot(const struct conf *c, uint16_t slot);

/* Our registration there (sbc/call/account.h), as the worker that has it tells: monotonic times. */
struct trunk_registration {
	uint64_t until_ms;             /* 0: it is not */
	uint64_t next_ms;              /* of the next REGISTER; 0: it does not register */
	uint16_t status;               /* of the last answer; 408: none came; 0: nobody was asked yet */
};
void trunk_registered(struct pools *p, uint16_t slot, const struct trunk_registration *r);

struct trunk_info {
	struct trunk_registration registration;
	uint32_t calls_in, calls_out;
	uint64_t refused[TRUNK_REFUSALS];
};
void trunk_info(const struct pools *p, const struct conf *c, const struct conf_trunk *t, struct trunk_info *out);

#endif
