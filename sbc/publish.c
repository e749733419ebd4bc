#include "sbc/publish.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
	p->live.now = next;
	p->live.reads_certs = true;
	atomic_store_explicit(&p->shared->conf, next, memory_order_release);
	return 0;
}

int publisher_init(struct publisher *p, struct shared *shared, struct wishes *wishes, struct conf *first,
                   uint64_t (*adopted)(void *ctx), void *ctx)
{
	*p = (struct publisher){ .shared = shared, .wishes = wishes, .adopted = adopted, .ctx = ctx };
	return publish(p, first);
}

/* A destination that nothing names any more leaves when its last call has ended: until then it can be seen. */
static bool keep_leaving(struct publisher *p, const struct conf *next)
{
	struct conf_live *live = &p->live;
	unsigned before = live->n_leaving;

	for (unsigned i = 0; i < p->now->n_destinations && live->n_leaving < CONF_LEAVING_MAX; i++) {
		const struct conf_destination *d = &p->now->destinations[i];
		struct sv pool = p->now->pools[d->pool].name;
		struct conf_leaving *grown;

		if (conf_find_pool(next, pool) < 0 || conf_find_destination(next, pool, d->name) || d->uri.len > CONF_URI_MAX ||
		    !dest_load(p->shared->pools, pools_slot(p->shared->pools, p->now, i)))
			continue;
		if (!(grown = realloc(live->leaving, (live->n_leaving + 1) * sizeof(*grown))))
			break; /* it leaves unseen */
		live->leaving = grown;
		grown += live->n_leaving++;
		*grown = (struct conf_leaving){ 0 };
		snprintf(grown->who.pool, sizeof(grown->who.pool), "%.*s", SV_ARG(pool));
		snprintf(grown->who.name, sizeof(grown->who.name), "%.*s", SV_ARG(d->name));
		memcpy(grown->uri, d->uri.p, d->uri.len);
	}
	return live->n_leaving > before;
}

/* `next` once more with those who leave; as it was when that cannot be. */
static struct conf *with_leaving(struct publisher *p, const char *file, struct conf *next)
{
	struct conf_notes notes; /* said already */
	struct conf *again;

	if (!keep_leaving(p, next))
		return next;
	conf_notes_init(&notes);
	p->live.now = next;
	p->live.reads_certs = false;
	if (conf_parse_live(&again, file, next->text, &p->live, &notes) == 0) {
		conf_free(next);
		next = again;
	}
	p->live.now = p->now;
	p->live.reads_certs = true;
	conf_notes_fini(&notes);
	return next;
}

/* What is read again; the rest is as in the present snapshot. */
enum again { READ_FILE, READ_CERTS, READ_NOTHING };

static int replace(struct publisher *p, enum again again, struct conf_notes *notes)
{
	char file[4096];
	struct conf *next;
	int err;

	publisher_collect(p);
	if (p->n_old == PUBLISH_OLD_MAX)
		return -EBUSY;
	snprintf(file, sizeof(file), "%.*s", SV_ARG(p->now->file));
	p->live.reads_certs = again != READ_NOTHING;
	err = again == READ_FILE ? conf_load_live(&next, file, &p->live, notes)
	                         : conf_parse_live(&next, file, p->now->text, &p->live, notes);
	p->live.reads_certs = true;
	if (err)
		return err;
	next = with_leaving(p, file, next);
	if ((err = conf_can_replace(p->now, next, notes)) || (err = publish(p, next)))
		conf_free(next);
	return err;
}

int publisher_reload(struct publisher *p, struct conf_notes *notes)
{
	return replace(p, READ_FILE, notes);
}

int publisher_renew(struct publisher *p, struct conf_notes *notes)
{
	return replace(p, READ_NOTHING, notes);
}

int publisher_renew_certs(struct publisher *p, struct conf_notes *notes)
{
	return replace(p, READ_CERTS, notes);
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
	free(p->live.changes);
	free(p->live.addresses);
	free(p->live.leaving);
}
