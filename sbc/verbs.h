/* sbc/verbs.h - what sbcctl can ask of this program: the verbs behind the control socket, and the counters they show. Control
 * thread; what lives on a worker is asked of it by mail and comes back by mail. */
#ifndef SBC_VERBS_H
#define SBC_VERBS_H
#include "sbc/live.h"
#include "sbc/loop.h"
#include "sbc/publish.h"

enum verbs_limits {
	VERBS_ROWS_MAX = 10000,      /* calls listed per worker */
};

struct certs;
struct event_base;
struct verbs;

struct verbs_params {
	struct event_base *base;
	struct shared *shared;
	struct publisher *publisher;
	struct live *live;
	struct certs *certs;
	struct loop *const *loops;
	unsigned n_loops;
	/* Reloads, telling the log and the workers; the notes are for the asker. */
	int (*reload)(void *ctx, struct conf_notes *notes);
	/* SIGTERM has come. */
	bool (*is_closing)(void *ctx);
	void *ctx;
	uint64_t started_ms;         /* monotonic */
};

/* Opens the socket and the HTTP door (web.h) of the configuration. 0, or -errno after saying why on standard error. */
int verbs_new(struct verbs **out, const struct verbs_params *p);
/* After the workers have ended. */
void verbs_free(struct verbs *v);

#endif
