/* dispatcher/wish.h - what operators decided about destinations: each decision with its author, his reason, and since when. It is
 * kept by name, so it survives reloads, restarts, and a destination that leaves the configuration for a while; the words that
 * picking looks at are in struct pools. A decision is a record too, for the state file and for the peer. Control thread. */
#ifndef DISPATCHER_WISH_H
#define DISPATCHER_WISH_H
#include "dispatcher/pool.h"

enum wish_limits {
	WISHES_MAX = 2 * POOL_DESTINATIONS_MAX, /* kept; beyond, those whose destination has been gone longest are forgotten */
	WISH_KEEP_DAYS = 30,                    /* that a destination may be gone without its state being forgotten */
	WISH_ACTOR_MAX = 31,                    /* bytes; longer ones are cut */
	WISH_REASON_MAX = 127,
	WISH_NAME_MAX = 2 * CONF_NAME_MAX + 1,  /* "pool/name" */
	WISH_RECORD_MAX = 512,
};

/* What happens to the calls that a drain has left at its deadline. */
enum wish_then { THEN_NOTHING, THEN_HANGUP, THEN_MOVE, THEN_COUNT };

struct wish {
	enum dest_wish wish;
	enum wish_then then;
	uint64_t version;        /* counts the changes of this destination on all nodes: the higher wins */
	uint64_t since_ms;       /* Unix time */
	uint64_t deadline_ms;    /* Unix time; 0: none */
	uint64_t gone_ms;        /* Unix time since when no configuration names it; 0: one does */
	char actor[WISH_ACTOR_MAX + 1], reason[WISH_REASON_MAX + 1];
};

struct wishes;

int wishes_new(struct wishes **out, struct pools *p);
void wishes_free(struct wishes *w);
/* After pools_adopt(c), before workers see `c`: slots new in it get the state that is known of their names. */
void wishes_apply(struct wishes *w, const struct conf *c, uint64_t wall_ms);
/* A decision about "pool/name" of `c`: wish, then, deadline, actor and reason of `want` count. `now_ms` is monotonic. 0, -ENOMEM, or
 * -ENOENT with the nearest known name in `hint` (may be empty). */
int wishes_set(struct wishes *w, const struct conf *c, struct sv name, const struct wish *want, uint64_t now_ms, uint64_t wall_ms,
               char hint[128]);
/* NULL: nobody ever decided anything. Borrowed until the next change. */
const struct wish *wishes_find(const struct wishes *w, struct sv name);
void wishes_each(const struct wishes *w, void (*fn)(void *ctx, struct sv name, const struct wish *wish), void *ctx);
size_t wishes_count(const struct wishes *w);
/* Does the state file lack something? */
bool wishes_are_unsaved(const struct wishes *w);
void wishes_are_saved(struct wishes *w);

/* Every decision as one record. */
void wishes_export(const struct wishes *w, void (*put)(void *ctx, struct sv record), void *ctx);
/* A record from a file or another node: taken if its version is higher than what is known (of equal ones the later, then the
 * greater in bytes, so that two nodes that changed at once end alike). 0; -EALREADY: what is here wins; -EBADMSG; -ENOMEM.
 * `c` may be NULL: nothing is published yet. */
int wishes_merge(struct wishes *w, const struct conf *c, struct sv record, uint64_t now_ms);

/* The codec alone. The length, 0: no room. */
size_t wish_encode(const struct wish *wish, struct sv name, char *area, size_t size);
/* `name` lies in `record`. 0 or -EBADMSG. Unknown fields are skipped. */
int wish_decode(struct wish *out, struct sv *name, struct sv record);

const char *wish_word(enum dest_wish wish);

#endif
