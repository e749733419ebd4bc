/* base/park.h - the only way to wait on the call path (DECISIONS 20). A parked job is resumed exactly once,
 * on the worker that parked it: with the answer's code, with -ETIMEDOUT at its deadline, or with -ECANCELED. Bounded
 * and counted. The job is embedded in whatever holds the message while it waits. */
#ifndef BASE_PARK_H
#define BASE_PARK_H
#include "base/list.h"
#include "base/wheel.h"

struct park {
	struct wheel *wheel;
	struct node jobs;
	size_t count, max;
	uint64_t parked, refused, timed_out; /* totals */
};

struct parked {
	struct node in_park;
	struct timer deadline;
	struct park *park;                                 /* NULL when not parked */
	void (*resume)(struct parked *job, int result);
};

void park_init(struct park *p, struct wheel *wheel, size_t max);
/* 0, or -ENOBUFS when `max` are waiting (the caller answers 503). */
int park(struct park *p, struct parked *job, uint64_t deadline_ms, void (*resume)(struct parked *, int));
/* Resumes `job` now. Harmless when it is no longer parked. */
void park_wake(struct parked *job, int result);
/* Forgets `job` without resuming it (its owner dies). */
void park_cancel(struct parked *job);
/* Resumes all with -ECANCELED. */
void park_fini(struct park *p);

#endif
