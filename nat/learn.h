/* nat/learn.h - how long the NATs of a network keep a UDP mapping, learnt by network (/24, /64): one table of fixed size per worker, in
 * which networks that hash to the same place overwrite each other, and begin anew. */
#ifndef NAT_LEARN_H
#define NAT_LEARN_H
#include "base/addr.h"
#include "base/hash.h"

enum learn_limits {
	LEARN_PLACES = 16384,   /* networks, 16 bytes each */
	LEARN_ANSWERS = 100,    /* pings answered after a whole interval of silence, none lost: then a longer one is tried */
};

/* What a zone allows. */
struct learn_terms {
	uint32_t every_ms;      /* of a network nothing is known of */
	uint32_t min_ms, max_ms;
};

struct learner;

/* 0 or -ENOMEM. */
int learner_new(struct learner **out, const struct hash_key *key);
void learner_free(struct learner *l); /* NULL is allowed */
/* The interval for contacts of this network: one of a ladder of some twenty, or one of the three in `t`. */
uint32_t learn_every(const struct learner *l, const struct addr *a, const struct learn_terms *t);
/* A contact answered after a whole interval of silence: the mapping was still there. */
void learn_kept(struct learner *l, const struct addr *a, const struct learn_terms *t);
/* A contact was lost, perhaps with its mapping: the next shorter interval. */
void learn_lost(struct learner *l, const struct addr *a, const struct learn_terms *t);
/* A contact came back from another port though it was pinged: its mapping was lost. As learn_lost, and such a long interval is not tried
 * again. */
void learn_moved(struct learner *l, const struct addr *a, const struct learn_terms *t);

#endif
