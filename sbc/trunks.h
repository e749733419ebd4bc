/* sbc/trunks.h - what an operator sees of trunks: `sbcctl trunks`, and their metrics. All of it lies in shared memory: nobody is asked.
 * Control thread. */
#ifndef SBC_TRUNKS_H
#define SBC_TRUNKS_H
#include "sbc/publish.h"

struct ctl;
struct metrics;

struct trunks {
	const struct shared *shared;
	const struct publisher *publisher;
};

/* `t` has to stay. 0 or -errno. */
int trunks_add_verbs(struct ctl *ctl, struct trunks *t);
int trunks_add_metrics(struct metrics *m, struct trunks *t);

#endif
