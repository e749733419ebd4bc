/* dispatcher/pool.h - pools of destinations: whose turn it is, who is up, how loaded each is. One `struct pools` serves the
 * whole process; its destination states are the fixed array of atomics of DECISIONS 19 (any worker reads and reports);
 * everything else belongs to the caller's thread. It does not look inside a call. */
#ifndef DISPATCHER_POOL_H
#define DISPATCHER_POOL_H
#include "conf/conf.h"

enum pool_limits {
	POOL_DESTINATIONS_MAX = 4096,  /* slots in the process, all pools together */
	POOL_WORKERS_MAX = 64,
	POOL_TRIES_MAX = 8,
};

struct pools;

/* Operator's wish and what evidence says; a call may go there only when wish is IN_SERVICE and evidence is up. */
enum dest_wish { WISH_IN_SERVICE, WISH_DRAINING, WISH_DISABLED };

/* A slot names a destination for the life of the process: the same {pool name, destination name} keeps its slot, state,
 * health and counters over reloads; a slot whose destination left the configuration is reused only when its load is 0. */
int pools_new(struct pools **out, unsigned workers);
void pools_free(struct pools *p);
/* Control thread, before `next` is published: gives every destination of `next` a slot (stored in p's table by destination
 * id and snapshot generation). 0, or -ENOSPC. */
int pools_adopt(struct pools *p, struct conf *next);
uint16_t pools_slot(const struct pools *p, const struct conf *c, uint32_t destination_id);

struct pick {
	uint16_t slot;
	uint32_t destination;  /* id in the snapshot */
};

/* Chooses where a new call of `pool` goes: by the pool's balance, among destinations in service that are up, below max-calls and
 * not among `tried` (slots). `key` feeds BALANCE_HASH (rendezvous hashing). When none is up on probe evidence alone, the least bad is
 * taken: never the last destination out (panic mode). Reserves one call on the slot for `worker` (see dest_release).
 * 0, -EHOSTDOWN (nothing may be used), -EBUSY (all that may are at max-calls). Neither blocks nor allocates. */
int pool_pick(struct pools *p, const struct conf *c, unsigned worker, uint16_t pool, uint64_t key,
              const uint16_t *tried, unsigned n_tried, struct pick *out);
/* A call restored from a record goes to this slot whatever its state. */
void dest_reserve(struct pools *p, unsigned worker, uint16_t slot);
void dest_release(struct pools *p, unsigned worker, uint16_t slot);
uint32_t dest_load(const struct pools *p, uint16_t slot);  /* sum over the workers */

/* Evidence. PROBE_*: from probes; CALL_*: from real calls. `now_ms` is the worker's monotonic time. */
enum dest_event { PROBE_OK, PROBE_FAILED, CALL_OK, CALL_FAILED };
void dest_report(struct pools *p, const struct conf *c, uint32_t destination, enum dest_event e, uint64_t now_ms, const char *why);

/* Operator states. The name is "pool/name"; `actor` and `reason` are kept for display. 0, or -ENOENT with the nearest known name in
 * `hint` (may be empty). Control thread. */
int dest_set_wish(struct pools *p, const struct conf *c, struct sv name, enum dest_wish wish, const char *actor,
                  char hint[128]);

/* What `sbcctl pools` shows. Any thread. */
struct dest_info {
	bool is_up;
	enum dest_wish wish;
	uint32_t load;
	uint64_t since_ms;      /* of the last change of is_up */
	uint64_t calls, failures, probes, probe_failures;
	char why[64];           /* of the last change */
	uint32_t latency_us;    /* smoothed probe round trip; 0 = none yet */
};
void dest_info(const struct pools *p, uint16_t slot, struct dest_info *out);

#endif
