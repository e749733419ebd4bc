/* dispatcher/state.h - what struct pools is made of; shared by the files of dispatcher/ only. */
#ifndef DISPATCHER_STATE_H
#define DISPATCHER_STATE_H
#include "dispatcher/history.h"
#include "dispatcher/trunk.h"
#include <stdatomic.h>

enum {
	CACHE_LINE = 64,
	RUN_MAX = 1000,                            /* longest run of equal evidence that is told apart */
	KEY_ROOM = 2 * CONF_NAME_MAX + 2,          /* "pool/name" */
	NOTE_WORDS = 9,
};

/* All evidence about a destination in one word, so that it changes as a whole without a lock. No padding bits. */
struct health {
	uint64_t is_up : 1;
	uint64_t probe_run : 10, call_run : 10;    /* failures in a row, up to RUN_MAX */
	uint64_t oks : 10;                         /* successes in a row while down */
	uint64_t step : 3;                         /* hold is POOL_HOLD_MS << (step - 1) */
	uint64_t hold_until_s : 30;                /* monotonic; 0 = none */
};
_Static_assert(sizeof(struct health) == sizeof(uint64_t), "struct health must fit one atomic word");

/* A short text and a time that several threads may write and read: a sequence lock of atomics only. */
struct note {
	_Atomic uint32_t seq;                      /* odd: being written */
	_Atomic uint64_t word[NOTE_WORDS];         /* time, then text */
};

struct dest {
	_Alignas(CACHE_LINE) _Atomic uint64_t health; /* struct health */
	_Atomic uint32_t reserved;                 /* = sum of the workers' loads, for max-calls */
	_Atomic uint32_t latency_us;
	_Atomic uint8_t wish;
	_Atomic uint32_t rest_until_s;             /* monotonic: it asked for no calls until then (Retry-After); 0 = it did not */
	_Atomic uint64_t returned_ms;              /* see dest_returned_ms */
	_Atomic uint64_t bucket_us;                /* max-cps: when the bucket will be full again (monotonic) */
	_Atomic uint64_t failures, probes, probe_failures;
};

/* Control thread only. */
struct slot_name {
	uint16_t pool_len, len;
	char key[KEY_ROOM];
};

struct map {
	uint64_t gen_plus_1;                       /* 0 = none */
	unsigned n;
	struct { uint64_t seed; uint16_t slot; } of[POOL_DESTINATIONS_MAX]; /* by destination id */
};

/* Written by one worker, read by any. */
struct tally {
	_Alignas(CACHE_LINE) _Atomic uint32_t load[POOL_DESTINATIONS_MAX];
	_Atomic uint64_t calls[POOL_DESTINATIONS_MAX];
};

/* How long the calls of a destination lasted: written by any worker. */
struct ended {
	_Atomic uint32_t n[SPANS];
};

/* A trunk, by its name for the life of the process. */
struct trunk_state {
	_Alignas(CACHE_LINE) _Atomic uint32_t calls_in; /* those that came from it; those to it are the load of its destinations */
	_Atomic uint64_t bucket_us;
	_Atomic uint64_t refused[TRUNK_REFUSALS];
	_Atomic uint64_t until_ms, next_ms;        /* struct trunk_registration: one worker writes */
	_Atomic uint16_t status;
	uint64_t gen;                              /* of the last snapshot that named it. Control thread, as the next */
	uint8_t name_len;                          /* 0: never used */
	char name[CONF_NAME_MAX];
};

struct cursor {
	_Alignas(CACHE_LINE) _Atomic uint64_t next, retry;
};

struct pools {
	struct dest dest[POOL_DESTINATIONS_MAX];
	struct cursor cursor[CONF_POOLS_MAX];      /* by pool index of whatever snapshot */
	struct note change[POOL_DESTINATIONS_MAX];
	struct map map[POOL_SNAPSHOTS];            /* written before its snapshot is published, then only read */
	uint64_t seed[POOL_DESTINATIONS_MAX];      /* of each slot's name; 0 = never used. Control thread */
	struct slot_name name[POOL_DESTINATIONS_MAX];
	uint64_t home[POOL_DESTINATIONS_MAX];      /* of each slot's URI. Control thread */
	struct trunk_state *trunks;                /* CONF_TRUNKS_MAX; pages of those never used are not there */
	struct ended *ended;                       /* by slot; pages of slots never used are not there */
	unsigned workers;
	struct tally tally[];
};

static inline struct health health_of(uint64_t word)
{
	union { uint64_t word; struct health h; } u = { .word = word };

	return u.h;
}
static inline uint64_t health_word(struct health h)
{
	union { struct health h; uint64_t word; } u = { .h = h };

	return u.word;
}
static inline struct health dest_health(const struct dest *d)
{
	return health_of(atomic_load_explicit(&d->health, memory_order_relaxed));
}
const struct map *pools_map(const struct pools *p, const struct conf *c);
void note_write(struct note *n, uint64_t ms, const char *text);
/* False when somebody kept writing; then nothing is said. */
bool note_read(const struct note *n, uint64_t *ms, char *text, size_t size);

/* Reserves one call if neither max-calls nor max-cps is reached. */
bool dest_take(struct pools *p, unsigned worker, uint16_t slot, const struct conf_destination *d, uint64_t now_ms);

/* limits of the trunk whose pool it is: is there room for one more call there, and was there when this one had reserved its place?
 * `is_new`: it has not been tried elsewhere, and takes its share of the rate. */
bool trunk_has_room(struct pools *p, const struct map *map, const struct conf *c, const struct conf_pool *pool, uint64_t now_ms,
                    bool is_new);
bool trunk_takes(struct pools *p, const struct map *map, const struct conf *c, const struct conf_pool *pool, uint64_t now_ms,
                 bool is_new);

/* Has it (and its trunk) room for one more call, whatever its state? Takes a place in max-cps and the trunk's rate, and reserves none. */
bool dest_admits(struct pools *p, const struct map *map, const struct conf *c, const struct conf_destination *d, uint64_t now_ms);

/* max-cps: a bucket that fills steadily and holds a tenth of a second's calls, at least one. bucket_has only looks. */
bool bucket_has(const _Atomic uint64_t *bucket_us, unsigned max_cps, uint64_t now_ms);
bool bucket_take(_Atomic uint64_t *bucket_us, unsigned max_cps, uint64_t now_ms);
/* The same for a trunk: so many a minute, of which a second's may come at once. */
bool bucket_has_rate(const _Atomic uint64_t *bucket_us, uint64_t per_minute, uint64_t now_ms);
bool bucket_take_rate(_Atomic uint64_t *bucket_us, uint64_t per_minute, uint64_t now_ms);

enum { SHARE_WHOLE = 1024 };                       /* of its weight, once slow-start is over */

/* One destination that may be chosen. */
struct candidate {
	uint32_t destination, load;
	uint32_t weight;                           /* times SHARE_WHOLE while one of the candidates is starting slowly */
	uint32_t latency_us;
	uint16_t slot, priority;
	uint64_t seed;
};

/* What is asked for. */
struct turn {
	uint64_t number;                           /* of this pick in its pool */
	uint64_t key;
	unsigned bound;                            /* of BALANCE_HASH, in percent of the mean; 0 = none */
	bool is_starting;                          /* one of them is starting slowly */
};
/* The one whose turn it is; n > 0. */
unsigned balance_choose(uint8_t balance, const struct candidate *c, unsigned n, const struct turn *turn);

#endif
