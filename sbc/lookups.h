/* sbc/lookups.h - what operators see and do of host names: the verb dns. Control thread. */
#ifndef SBC_LOOKUPS_H
#define SBC_LOOKUPS_H
#include "sbc/ask.h"

enum { LOOKUPS_TEXT_MAX = 256 }; /* bytes shown of one answer's records */

struct ctl;

/* 0, or as ctl_register. `asker` outlives it. */
int lookups_add_verbs(struct ctl *ctl, struct asker *asker);

#endif
