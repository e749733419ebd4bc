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
	POOL_SNAPSHOTS = 4,            /* generations whose slots are known at one time */
	POOL_NO_SLOT = UINT16_MAX,
	POOL_HOLD_MS = 5000,           /* how long calls alone take a destination out: doubles at each relapse, */
	POOL_HOLD_STEPS_MAX = 4,       /* up to 80 s */
	POOL_HASH_FLOOR = 16,          /* calls below which the bound of `hash` moves nobody */
	POOL_LATENCY_FLOOR_US = 2000,  /* differences below are noise */
};

struct pools;

/* Operator's wish and what evidence says; a call may go there only when wish is IN_SERVICE and evidence is up. */
enum dest_wish { WISH_IN_SERVICE, WISH_DRAINING, WISH_DISABLED };

/* A slot names a destination for the life of the process: the same {pool name, destination name} keeps its slot, state,
 * health and counters over reloads; a slot whose destination left the configuration is reused only when its load is 0. */
int pools_new(struct pools **out, unsigned workers);
void pools_free(struct pools *p);
/* Control thread, before `next` is published: gives every destination of `next` a slot (stored in p's table by destination
 * id and snapshot generation). `next->gen` is already the number it will be published under. The last POOL_SNAPSHOTS
 * adopted are known: by then every worker must have left an older one. 0, or -ENOSPC with nothing changed. */
int pools_adopt(struct pools *p, struct conf *next);
/* POOL_NO_SLOT when `c` is no adopted snapshot; every function here takes it and does nothing. */
uint16_t pools_slot(const struct pools *p, const struct conf *c, uint32_t destination_id);
/* And back: false when the destination is not in `c`. */
bool pools_destination(const struct pools *p, const struct conf *c, uint16_t slot, uint32_t *destination_id);

struct pick {
	uint16_t slot;
	uint32_t destination;  /* id in the snapshot */
};

/* A call that looks for a destination. */
struct pool_query {
	uint64_t key;            /* for BALANCE_HASH */
	uint64_t now_ms;         /* the worker's monotonic time */
	unsigned worker;
	unsigned n_tried;
	const uint16_t *tried;   /* slots that are out */
};

/* Chooses where a new call of `pool` goes: among its destinations that are in service, up, not resting, below max-calls and max-cps and
 * not tried, those of the lowest priority number, and of them by the pool's balance; when there is none, likewise in the pool it
 * spills into, and so on. When the evidence is against every destination in service of all of these pools, the least bad of the first
 * that has any are used instead (fewest failures in a row, counted up to down-after): never the last destination out (panic mode). What
 * the operator drains or disables, weight 0, and who asked for no calls (Retry-After) is never used. Reserves one call on the slot for
 * the worker (see dest_release).
 * 0, -EHOSTDOWN (nothing may be used), -EBUSY (what may be used is full or rests). Neither blocks nor allocates. */
int pool_pick(struct pools *p, const struct conf *c, uint16_t pool, const struct pool_query *q, struct pick *out);
/* Would pool_pick find one? Reserves nothing and takes no turn. */
bool pool_has(struct pools *p, const struct conf *c, uint16_t pool, const struct pool_query *q);
/* A call restored from a record goes to this slot whatever its state. */
void dest_reserve(struct pools *p, unsigned worker, uint16_t slot);
void dest_release(struct pools *p, unsigned worker, uint16_t slot);
/* What was reserved was not meant for a call, or may not stay: it never was there. */
void dest_untake(struct pools *p, unsigned worker, uint16_t slot);
uint32_t dest_load(const struct pools *p, uint16_t slot);  /* sum over the workers */

/* Evidence. PROBE_*: from probes; CALL_*: from real calls (failed: transport error, time-out, 503). `now_ms` is the worker's
 * monotonic time.
 *   up -> down    failed probes and failed calls in a row make down-after together. A good probe forgives probes only (a
 *                 server that answers OPTIONS and refuses every call goes down); a good call forgives both.
 *   down -> up    up-after good probes or calls in a row, any failure begins anew; where a failed call took it down, not
 *                 before its hold is over (POOL_HOLD_MS, doubling at each relapse until a call succeeds). A good call
 *                 ends the hold.
 *   probes off    only calls speak, and a down destination gets none: dest_tick puts it back on trial when the hold is
 *                 over. One more failed call takes it down again. Nothing is ever out for good. */
enum dest_event { PROBE_OK, PROBE_FAILED, CALL_OK, CALL_FAILED };
void dest_report(struct pools *p, const struct conf *c, uint32_t destination, enum dest_event e, uint64_t now_ms,
                 const char *why);
/* Up and without a failure: a good call has nothing to tell. */
bool dest_is_well(const struct pools *p, uint16_t slot);
/* A destination asked for no new calls for `seconds` (503 with Retry-After, RFC 3261 §21.5.4); at most the pool's health.retry-after are
 * granted. A longer rest that it already has stays. */
void dest_rest(struct pools *p, const struct conf *c, uint32_t destination, uint64_t now_ms, uint32_t seconds);
/* For destinations of pools without probes, about once a second (the prober does it). */
void dest_tick(struct pools *p, const struct conf *c, uint32_t destination, uint64_t now_ms);
/* One probe's round trip, to be smoothed. */
void dest_latency(struct pools *p, uint16_t slot, uint32_t us);
/* The longest a death can stay unseen by probes; 0 without probes. */
uint32_t pool_detection_ms(const struct conf_pool *pool);

/* Operator states. dest_find: the slot of "pool/name", or POOL_NO_SLOT with the nearest known name in `hint` (may be empty; `hint` may be
 * NULL). dest_put_wish: `now_ms` is monotonic; a destination that comes back into service has returned then. Control thread; who
 * decided, and why: wish.h. */
uint16_t dest_find(const struct pools *p, const struct conf *c, struct sv name, char hint[128]);
void dest_put_wish(struct pools *p, uint16_t slot, enum dest_wish wish, uint64_t now_ms);
/* When it last came back, by its operator's word or by evidence (monotonic); 0: it has not been away. */
uint64_t dest_returned_ms(const struct pools *p, uint16_t slot);

/* What `sbcctl pools` shows. Any thread. */
struct dest_info {
	bool is_up;
	enum dest_wish wish;
	uint32_t load;
	uint64_t since_ms;      /* of the last change of is_up */
	uint64_t calls, failures, probes, probe_failures;
	char why[64];           /* of the last change; empty: none yet */
	uint32_t latency_us;    /* smoothed probe round trip; 0 = none yet */
	uint64_t rest_until_ms; /* monotonic: no new calls until then (Retry-After); 0 = it did not ask for that */
};
void dest_info(const struct pools *p, uint16_t slot, struct dest_info *out);

#endif
