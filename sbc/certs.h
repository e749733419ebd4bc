/* sbc/certs.h - certificates while the program runs: files that change are read again, `sbcctl certificates`, days to expiry as a metric.
 * Control thread. */
#ifndef SBC_CERTS_H
#define SBC_CERTS_H
#include "sbc/publish.h"

struct ctl;
struct metrics;

struct certs {
	struct publisher *publisher;
	struct log *log;
	void (*on_published)(void *ctx);     /* the workers are woken */
	void *ctx;
	uint64_t seen;                       /* stamp at the last look */
	uint64_t refused;                    /* of files that were no good */
	unsigned wait;                       /* polls that pass before they are tried again, as something else was missing */
};

/* About twice a second: takes up files that have changed and that nobody is writing any more. What is no good changes nothing, and the log
 * says why; what could not be read for want of something else is tried again after ten seconds. */
void certs_poll(struct certs *c);
/* `c` has to stay. 0 or -errno. */
int certs_verbs(struct ctl *ctl, struct certs *c);
int certs_metrics(struct metrics *m, struct certs *c);

#endif
