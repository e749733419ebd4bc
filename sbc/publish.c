#include "sbc/publish.h"
#include <errno.h>
#include <stdio.h>

static int publish(struct publisher *p, struct conf *next)
{
	int err;

	next->gen = p->now ? p->now->gen + 1 : 1;
	if (p->shared->users && (err = users_adopt(p->shared->users, next)))
		return err;
	if ((err = pools_adopt(p->shared->pools, next)))
		return err;
	if (p->wishes)
		wishes_apply(p->wishes, next, p->shared->wall_ms(p->shared));
	if (p->now)
		p->old[p->n_old++] = p->now;
	p->now = next;
	atomic_store_explicit(&p->shared->conf, next, memory_order_release);
	return 0;
}

int publisher_init(struct publisher *p, struct shared *shared, struct wishes *wishes, struct conf *first,
                   uint64_t (*adopted)(void *ctx), void *ctx)
{
	*p = (struct publisher){ .shared = shared, .wishes = wishes, .adopted = adopted, .ctx = ctx };
	return publish(p, first);
}

int publisher_reload(struct publisher *p, struct conf_notes *notes)
{
	char file[4096];
	struct conf *next;
	int err;

	publisher_collect(p);
	if (p->n_old == PUBLISH_OLD_MAX)
		return -EBUSY;
	snprintf(file, sizeof(file), "%.*s", SV_ARG(p->now->file));
	if ((err = conf_load(&next, file, notes)))
		return err;
	if ((err = conf_can_replace(p->now, next, notes)) || (err = publish(p, next)))
		conf_free(next);
	return err;
}

void publisher_collect(struct publisher *p)
{
	uint64_t adopted = p->n_old ? p->adopted(p->ctx) : 0;
	unsigned kept = 0;

	for (unsigned i = 0; i < p->n_old; i++) {
		if (p->old[i]->gen < adopted)
			conf_free(p->old[i]);
		else
			p->old[kept++] = p->old[i];
	}
	p->n_old = kept;
}

void publisher_fini(struct publisher *p)
{
	for (unsigned i = 0; i < p->n_old; i++)
		conf_free(p->old[i]);
	conf_free(p->now);
}
