/* sbc/live.h - destinations that change while the program runs (conf/live.h): by sbcctl, by a file that is watched, by names that lead
 * elsewhere. Each change makes a new snapshot of the file's text as it was last read and all that is laid over it, and publishes it
 * whole; what operators changed is kept in the state directory (pools.changes) and so outlives a restart. Control thread. */
#ifndef SBC_LIVE_H
#define SBC_LIVE_H
#include "base/mailbox.h"
#include "sbc/publish.h"

enum live_limits {
	LIVE_ASK_MS = 5000,            /* how often a name is asked for: the resolver answers out of its cache until the TTL is over */
	LIVE_RETRY_MS = 10000,         /* after a snapshot that could not be made, though what it is for goes on */
	LIVE_LINE_MAX = 512,           /* bytes of one line of pools.changes */
};

struct live;

/* A name on its way to a worker, which asks its resolver, and back. Whoever has it owns it; `state` says who. */
struct live_question {
	struct mail mail;
	char host[256];
	struct resolve_query query;
	struct resolve_answer answer;
	int err;
	uint64_t id;
	_Atomic bool is_answered;
};
/* On the worker: answers `q`, at once or later. */
void live_answer(struct resolver *r, struct live_question *q);

struct live_params {
	struct publisher *publisher;
	struct log *log;
	uint64_t (*now_ms)(void *ctx);                       /* monotonic */
	/* Brings `q` to a worker for live_answer. 0, or -errno and it stays ours. */
	int (*ask)(void *ctx, struct live_question *q);
	/* A new snapshot is out: the workers are woken. */
	void (*on_published)(void *ctx);
	void *ctx;
};

/* 0 or -ENOMEM. Reads what was kept and publishes it; a line that cannot be read is said in the log, and the file put aside as
 * pools.changes.bad. */
int live_new(struct live **out, const struct live_params *p);
/* After the workers have ended. */
void live_free(struct live *l);

/* About twice a second: looks at the files, asks for names, lets go of who has no call any more; publishes what has changed. */
void live_poll(struct live *l);

/* Changes by operators; "pool/name" is `who`. 0; -ENOENT: no such pool or destination (`hint` has the nearest name, or is empty); -EEXIST;
 * -ENOTSUP: one address of a name; -ENAMETOOLONG; -ENOSPC: too many changes; -EINVAL and the like: `notes` say why; -EBUSY: workers still
 * hold old snapshots. What fails changes nothing. -EROFS: done, but not written to the state directory. */
int live_add(struct live *l, struct sv pool, struct sv name, struct sv uri, unsigned weight, struct conf_notes *notes, char hint[128]);
int live_remove(struct live *l, struct sv who, struct conf_notes *notes, char hint[128]);
int live_weigh(struct live *l, struct sv who, unsigned weight, struct conf_notes *notes, char hint[128]);
/* Drops all changes of one destination: it is again as the file says. */
int live_forget(struct live *l, struct sv who, struct conf_notes *notes, char hint[128]);

/* pools.changes: one change per line. live_read adds to `out` (room for CONF_CHANGES_MAX): 0, or -EBADMSG with the first line that is
 * none in `*line`; the others count. */
int live_read(struct conf_change *out, unsigned *n, struct sv bytes, unsigned *line);
size_t live_write(const struct conf_change *changes, unsigned n, char *area, size_t size);

#endif
