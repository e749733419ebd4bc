/* sbc/change.h - the verbs by which operators change destinations: add, remove, weight, forget, changes; and what a new snapshot did, as
 * lines of an answer. Control thread. */
#ifndef SBC_CHANGE_H
#define SBC_CHANGE_H
#include "sbc/live.h"

struct ctl;
struct ctl_reply;

enum change_limits { CHANGE_LINES_MAX = 2000 }; /* destinations named in one answer; beyond, they are only counted */

struct change {
	struct live *live;
	struct publisher *publisher;
};

/* `c` has to stay. 0 or -errno. */
int change_verbs(struct ctl *ctl, struct change *c);
/* "pool/name: changed: weight 1 -> 5" per destination, and a line that counts. */
void change_tell(struct ctl_reply *r, const struct conf *was, const struct conf *is);
void change_say_notes(struct ctl_reply *r, const char *file, const struct conf_notes *notes);

#endif
