/* sbc/sticks.h - the verb sticky: where the keys of a pool are, and to forget one. Control thread. */
#ifndef SBC_STICKS_H
#define SBC_STICKS_H
#include "sbc/ask.h"

enum { STICKS_ROWS_MAX = 10000 };   /* keys listed per worker */

struct ctl;
struct publisher;

struct sticks {
	struct asker *asker;
	const struct publisher *publisher;
};

/* 0, or as ctl_register. `s` outlives it. */
int sticks_add_verb(struct ctl *ctl, struct sticks *s);

#endif
