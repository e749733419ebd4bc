/* sbc/publish.h - one configuration at a time: a new snapshot reaches all workers whole, or nothing changes. Control thread. */
#ifndef SBC_PUBLISH_H
#define SBC_PUBLISH_H
#include "conf/live.h"
#include "dispatcher/wish.h"
#include "sbc/worker.h"

enum { PUBLISH_OLD_MAX = POOL_SNAPSHOTS - 1 }; /* snapshots waiting for the last worker to let go of them */

struct publisher {
	struct shared *shared;
	struct wishes *wishes;          /* applied to each snapshot; may be NULL */
	struct conf_live live;          /* laid over the file (sbc/live.h); its arrays are ours */
	struct conf *now;
	struct conf *old[PUBLISH_OLD_MAX];
	unsigned n_old;
	/* The lowest generation that all workers have adopted. */
	uint64_t (*adopted)(void *ctx);
	void *ctx;
};

/* `first` becomes the publisher's on success. 0, -ENOSPC (too many destinations). */
int publisher_init(struct publisher *p, struct shared *shared, struct wishes *wishes, struct conf *first,
                   uint64_t (*adopted)(void *ctx), void *ctx);
/* Reads the file of the present snapshot again. 0: published. -EINVAL and the like: nothing changed, and `notes` say why.
 * -EBUSY: workers still hold too many old ones. */
int publisher_reload(struct publisher *p, struct conf_notes *notes);
/* The same with the text of the file as it was last read: what is laid over it has changed. */
int publisher_renew(struct publisher *p, struct conf_notes *notes);
/* The same, and certificates, keys and whom to believe are read again. */
int publisher_renew_certs(struct publisher *p, struct conf_notes *notes);
/* Frees what no worker uses any more. */
void publisher_collect(struct publisher *p);
/* After the workers have ended. */
void publisher_fini(struct publisher *p);

#endif
