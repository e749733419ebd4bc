/* dispatcher/sticky.h - keys that keep their destination (`sticky` of a pool). An entry belongs to the worker of its key (DECISIONS 19),
 * which alone decides where the key is: two calls of one new key that come at the same time by two workers hear the same answer. One
 * `struct sticky` per worker; it knows pools and texts, and nothing of calls but how many a key has. On its worker's thread. */
#ifndef DISPATCHER_STICKY_H
#define DISPATCHER_STICKY_H
#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "dispatcher/pool.h"

enum sticky_limits {
	STICKY_TEXT_MAX = 128,       /* bytes of a key: of a longer one its beginning and a hash of it */
	STICKY_RECORD_MAX = 1024,
	STICKY_BATCH = 256,          /* entries that go in one turn because their time is over */
	STICKY_LOGGED = 10,          /* moves told one by one within STICKY_LOG_MS; further ones as a number */
	STICKY_LOG_MS = 10000,
};

enum sticky_counter {
	STICKY_ENTRIES, STICKY_NEW, STICKY_KEPT, STICKY_EXPIRED, STICKY_EVICTED, STICKY_FORGOTTEN, STICKY_NO_MEMORY, STICKY_ELSEWHERE,
	STICKY_ASKED, STICKY_UNANSWERED,
	STICKY_MOVED_DRAINED, STICKY_MOVED_DISABLED, STICKY_MOVED_DOWN, STICKY_MOVED_FAILED, STICKY_MOVED_FULL, STICKY_MOVED_GONE,
	STICKY_COUNTERS
};
extern const struct counter_def sticky_counter_defs[STICKY_COUNTERS];

struct sticky;

struct sticky_params {
	struct wheel *wheel;
	struct pools *pools;
	struct log *log;             /* may be NULL */
	const struct hash_key *key;  /* the same on every node */
	unsigned worker, workers;
};

/* 0 or -ENOMEM. */
int sticky_new(struct sticky **out, const struct sticky_params *p);
void sticky_free(struct sticky *s);
/* The snapshot used from now on. Pools that are sticky no more, or by another key, forget theirs. 0, or -ENOMEM: nothing has changed. */
int sticky_adopt(struct sticky *s, const struct conf *c);

/* A key as it is kept and shown: spaces and what cannot be printed as %XX. */
struct sv sticky_text(const struct hash_key *key, struct sv raw, char area[STICKY_TEXT_MAX]);
/* Could sticky_text have written this? */
bool sticky_is_text(struct sv text);
/* What it is known by. */
uint64_t sticky_key(const struct hash_key *key, struct sv pool, struct sv text);
static inline uint16_t sticky_shard(uint64_t key)
{
	return (uint16_t)(key >> 52);
}

/* Where does a request of this key go? */
struct sticky_question {
	struct sv pool, text;        /* its name; as sticky_text has it */
	uint64_t key;                /* of both */
	uint64_t balance_key;        /* pool_query.key, if one has to be chosen */
	uint16_t wanted;             /* slot + 1: it goes there for reasons of its own, and takes the key with it if that is nowhere */
	uint16_t n_tried;
	uint16_t tried[POOL_TRIES_MAX]; /* slots that have failed it */
	bool counts;                 /* it is a call: counted until sticky_end, if the pool wants that */
	/* The answer. */
	uint16_t slot;
	uint64_t era;                /* under which it is counted; 0: it is not. When asked anew: of the last answer */
};

/* The destination that has the key: the one of last time, or, if that one may not be used (any more) or has failed this request, the one
 * that pool_pick finds now. Nothing is reserved but a place in max-cps: see sticky_take. 0; -ENOENT: the pool is not sticky; else as
 * pool_pick (the key stays where it was); -EBUSY also when the calls of a `stays` key are at a destination that is full. */
int sticky_ask(struct sticky *s, struct sticky_question *q);
/* A call that was counted has ended, or went elsewhere. */
void sticky_end(struct sticky *s, uint64_t key, uint64_t era);
/* On the asker's worker, which also counts STICKY_ASKED and STICKY_UNANSWERED: reserves one call at the answer's slot. 0; -EBUSY:
 * max-calls; -ENOENT: `c` has nothing there any more. */
int sticky_take(struct pools *p, const struct conf *c, uint16_t pool, unsigned worker, uint16_t slot, struct pick *out);

/* What `sbcctl sticky` shows. Strings are borrowed for the call of `fn`; `destination` is empty when it is gone. */
struct sticky_info {
	struct sv text, pool, destination; /* pool: the destination's */
	uint64_t idle_ms, left_ms;   /* since it was used last; until it goes */
	uint32_t calls;
};
/* All keys of the pool, longest unused first, then those with calls; with `text` that one. Stops when `fn` returns false. */
void sticky_each(const struct sticky *s, struct sv pool, struct sv text, bool (*fn)(void *ctx, const struct sticky_info *i), void *ctx);
/* False: it has no such key. */
bool sticky_forget(struct sticky *s, struct sv pool, struct sv text);
struct counters *sticky_counters(struct sticky *s);
const struct slab *sticky_slab(const struct sticky *s);
void sticky_trim(struct sticky *s);

/* Entries as opaque records for another node (DESIGN §7): remaining lifetimes travel, destinations by name; how many calls there are, does
 * not: who holds them tells. */
struct sticky_sink {
	void (*put)(struct sticky_sink *sink, uint64_t key, struct sv record);
};
void sticky_export(const struct sticky *s, struct sticky_sink *sink);
/* Which shard it belongs to: its worker applies it. */
uint16_t sticky_record_shard(const struct hash_key *key, struct sv record);
/* 0, also when nothing of it is left here (its time is over, its pool is not sticky, its destination is no more); -EBADMSG for a record
 * that is none; -EEXIST: the key is known here; -ENOMEM. Unknown fields are skipped. */
int sticky_apply(struct sticky *s, struct sv record);

#endif
