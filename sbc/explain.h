/* sbc/explain.h - `sbcctl route`: which rule a request would go by, and what keeps the ones before it from taking it. It asks the
 * configuration alone: who is registered, whose credentials are good, and who is up now are assumed or left open, and the answer says so.
 * Control thread. */
#ifndef SBC_EXPLAIN_H
#define SBC_EXPLAIN_H
#include "sbc/publish.h"

struct ctl;

/* `p` has to stay. 0 or -errno. */
int explain_verbs(struct ctl *ctl, struct publisher *p);

#endif
