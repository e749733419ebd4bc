/* sbc/aim.h - which address of a name a probe goes to: the one that answered last time, else another than last time. So a destination
 * whose name has several addresses is dead when none of them answers, not when the first does not. */
#ifndef SBC_AIM_H
#define SBC_AIM_H
#include "transports/resolve.h"

struct aim {               /* of one destination; zeroed at first */
	struct addr at;
	bool has_answered; /* since the last choice */
};

/* Index of the address to take of those of `a`, which has some. */
unsigned aim_choose(struct aim *aim, const struct resolve_answer *a);
/* What was sent to `at` was answered well. */
void aim_answered(struct aim *aim, const struct addr *at);

#endif
