/* base/park.c */
#include "base/park.h"
#include <errno.h>

void park_init(struct park *p, struct wheel *wheel, size_t max)
{
	*p = (struct park){ .wheel = wheel, .max = max };
	list_init(&p->jobs);
}

void park_cancel(struct parked *job)
{
	struct park *p = job->park;

	if (!p)
		return;
	list_del(&job->in_park);
	wheel_disarm(p->wheel, &job->deadline);
	job->park = NULL;
	p->count--;
}

void park_wake(struct parked *job, int result)
{
	if (!job->park)
		return;
	park_cancel(job);
	job->resume(job, result);
}

static void on_deadline(struct timer *t)
{
	struct parked *job = owner_of(t, struct parked, deadline);

	job->park->timed_out++;
	park_wake(job, -ETIMEDOUT);
}

int park(struct park *p, struct parked *job, uint64_t deadline_ms, void (*resume)(struct parked *, int))
{
	if (p->count >= p->max) {
		p->refused++;
		return -ENOBUFS;
	}
	job->park = p;
	job->resume = resume;
	job->deadline = (struct timer){ .fire = on_deadline };
	list_push(&p->jobs, &job->in_park);
	wheel_arm(p->wheel, &job->deadline, deadline_ms);
	p->count++;
	p->parked++;
	return 0;
}

void park_fini(struct park *p)
{
	p->max = 0; /* a resumed job that wants to wait again is refused */
	while (!list_empty(&p->jobs))
		park_wake(owner_of(p->jobs.next, struct parked, in_park), -ECANCELED);
}
