/* nat/keeper.h - decides when each contact gets its keep-alive (RFC 5626 §4.4, §5.4); how one travels is its user's business. One
 * keeper per worker. Each contact has a place of its own in its interval, and places are taken where few are, so that load is flat
 * from thousands of contacts to millions; what a busy or stalled loop could not do in time is done bit by bit.
 *
 * A contact is looked at twice in its interval: at its place, where it gets its ping, and half an interval later, where it gets one only
 * if the last was not answered or it would be silent for longer than the interval. Whoever has spoken within the last half gets none.
 * So silence never lasts longer than the interval, and a contact that is gone is known after `misses` halves. */
#ifndef NAT_KEEPER_H
#define NAT_KEEPER_H
#include <stdbool.h>
#include "base/counters.h"
#include "base/log.h"
#include "base/wheel.h"

enum keeper_limits {
	KEEPER_SLOT_MS = 10,             /* the grain of an interval */
	KEEPER_EVERY_MIN_MS = 1000, KEEPER_EVERY_MAX_MS = 600000,
	KEEPER_RINGS_MAX = 32,           /* different intervals at a time */
	KEEPER_VISITS_MAX = 8192,        /* contacts looked at in one turn of the loop */
	KEEPER_SUMMARY_MS = 30000,       /* lost contacts are told of together, at most this often */
	KEEPER_WINDOW_MS = 60000,        /* what "busiest" and "per minute" look back on */
	KEEPER_SLACK_MS = 200,           /* what has_spoken may be too old by: an answer that came at once is one */
	KEEPER_CROWD = 16,               /* so many contacts do not fall silent at once: then it is us */
};

/* What a ping was. */
enum keep_kind {
	KEEP_OPTIONS, KEEP_CRLF, KEEP_EMPTY,
	KEEP_STREAM,           /* on a connection, to one who answers */
	KEEP_STREAM_QUIET,     /* to one who may not: TCP tells whether he is there */
	KEEP_KINDS
};

enum keeper_counter {
	KEEPER_CONTACTS, KEEPER_OPTIONS, KEEPER_CRLF, KEEPER_EMPTY, KEEPER_STREAM, KEEPER_FAILED, KEEPER_SPARED, KEEPER_ANSWERS,
	KEEPER_MISSES, KEEPER_LOST, KEEPER_SPARED_DEATHS, KEEPER_REFUSED, KEEPER_LATE, KEEPER_MINUTE, KEEPER_BUSIEST,
	KEEPER_SLOTS_1, KEEPER_SLOTS_3, KEEPER_SLOTS_10, KEEPER_SLOTS_30, KEEPER_SLOTS_100, KEEPER_SLOTS_300, KEEPER_SLOTS_1000,
	KEEPER_SLOTS_MORE, KEEPER_COUNTERS
};
extern const struct counter_def keeper_counter_defs[KEEPER_COUNTERS];

/* One contact; lies in its owner. Zeroed: not kept alive. */
struct keep {
	struct keep *next, **pprev;
	uint16_t slot;                   /* its place in the interval */
	uint16_t mark;                   /* its owner's, for anything */
	uint8_t ring;                    /* which interval; 0: none */
	uint8_t misses;
	bool is_asked : 1;               /* a ping has no answer yet */
	bool is_heard : 1;               /* it answered, or needs not, since it was last looked at */
	bool is_late : 1;                /* its last ping was half an interval from its place */
};
_Static_assert(KEEPER_EVERY_MAX_MS / KEEPER_SLOT_MS <= UINT16_MAX, "a place has 16 bits");

struct keep_terms {
	uint32_t every_ms;               /* 0: it is not kept alive any more */
	unsigned misses;                 /* pings without an answer that mean it is gone */
};

struct keeper_params {
	struct wheel *wheel;
	struct log *log;                 /* may be NULL */
	/* Asked whenever the contact is looked at: a change takes hold within half the old interval. */
	struct keep_terms (*terms)(void *ctx, const struct keep *e);
	/* Has anything come from it within the last `within_ms`? (Of what answers pings, keeper_heard may tell too.) */
	bool (*has_spoken)(void *ctx, const struct keep *e, uint32_t within_ms);
	/* Sends one: enum keep_kind; -ENOTCONN: its connection is gone, and so is it; any other -errno: not now. May add and remove. */
	int (*ping)(void *ctx, struct keep *e);
	/* It is gone, and has left. May add, remove and free. */
	void (*on_dead)(void *ctx, struct keep *e);
	void *ctx;
};

struct keeper;

/* 0 or -ENOMEM. */
int keeper_new(struct keeper **out, const struct keeper_params *p);
/* NULL is allowed. Contacts that are left are let go without a word. */
void keeper_free(struct keeper *k);
/* From now on kept alive; it has just spoken. `phase` is any well mixed number of its own. Harmless when it is kept already. O(1).
 * 0 (also when its terms say that it needs none); -ENOSPC: too many intervals; -ENOMEM: then it is not kept alive, and counted. */
int keeper_add(struct keeper *k, struct keep *e, uint64_t phase);
void keeper_remove(struct keeper *k, struct keep *e); /* harmless when it is not kept. O(1). */
static inline bool keep_is_kept(const struct keep *e)
{
	return e->ring != 0;
}
/* It was pinged after a whole interval of silence, and has not answered yet. */
static inline bool keep_was_silent(const struct keep *e)
{
	return e->is_asked && !e->is_late && !e->misses;
}
/* It answered a ping, or registered again. */
void keeper_heard(struct keeper *k, struct keep *e);
/* While paused nothing is sent and nobody dies: of a pair, only the node that has the flows pings. */
void keeper_pause(struct keeper *k, bool is_paused);
bool keeper_is_paused(const struct keeper *k);
struct counters *keeper_counters(struct keeper *k);

#endif
