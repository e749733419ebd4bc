#include "sbc/census.h"
#include <errno.h>
#include <stdlib.h>

struct taking {
	struct ask ask;
	struct census_answer sum;
	void (*done)(void *ctx, const struct census_answer *c);
	void *ctx;
};

struct part {
	struct ask_part base;
	_Alignas(8) char area[]; /* rows, then ages */
};

const struct census_row *census_row(const struct census_answer *c, uint16_t slot)
{
	return slot < POOL_DESTINATIONS_MAX && c->row_of[slot] != CENSUS_NO_ROW ? &c->rows[c->row_of[slot]] : NULL;
}

const struct spans *census_ages(const struct census_answer *c, uint16_t slot)
{
	return slot < POOL_DESTINATIONS_MAX && c->row_of[slot] < c->n_ages ? &c->ages[c->row_of[slot]] : NULL;
}

static size_t area_size(unsigned n, unsigned n_ages)
{
	return n_ages * sizeof(struct spans) + n * sizeof(struct census_row);
}

static struct census part_census(const struct taking *t, struct ask_part *part)
{
	struct census_row *rows = (struct census_row *)owner_of(part, struct part, base)->area;

	return (struct census){ .row_of = t->sum.row_of, .n_ages = t->sum.n_ages, .rows = rows, .ages = (struct spans *)(rows + t->sum.n) };
}

static void work(struct ask *a, struct worker *w, struct ask_part *part)
{
	struct census c = part_census(owner_of(a, struct taking, ask), part);

	b2bua_census(w->calls, &c);
}

static void add(struct census_answer *sum, const struct census *part)
{
	for (unsigned i = 0; i < sum->n; i++) {
		struct census_row *row = &sum->rows[i];

		row->calls += part->rows[i].calls;
		row->subscriptions += part->rows[i].subscriptions;
		if (part->rows[i].oldest_ms > row->oldest_ms)
			row->oldest_ms = part->rows[i].oldest_ms;
	}
	for (unsigned i = 0; i < sum->n_ages; i++)
		for (unsigned k = 0; k < SPANS; k++)
			sum->ages[i].n[k] += part->ages[i].n[k];
}

static void taking_free(struct taking *t)
{
	free(t->sum.rows);
	free(t);
}

static void finish(struct ask *a)
{
	struct taking *t = owner_of(a, struct taking, ask);

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		if (a->parts[i]) {
			struct census c = part_census(t, a->parts[i]);

			add(&t->sum, &c);
		}
	t->done(t->ctx, &t->sum);
	ask_fini(a);
	taking_free(t);
}

int census_take(struct asker *asker, const uint16_t *slots, unsigned n, unsigned n_ages,
                void (*done)(void *ctx, const struct census_answer *c), void *ctx)
{
	struct taking *t = calloc(1, sizeof(*t));
	size_t size = area_size(n, n_ages);

	if (!t || !(t->sum.rows = calloc(1, size ? size : 1))) {
		free(t);
		return -ENOMEM;
	}
	t->sum.ages = (struct spans *)(t->sum.rows + n);
	t->sum.n = n;
	t->sum.n_ages = n_ages;
	memset(t->sum.row_of, 0xff, sizeof(t->sum.row_of)); /* CENSUS_NO_ROW */
	for (unsigned i = 0; i < n; i++)
		if (slots[i] < POOL_DESTINATIONS_MAX)
			t->sum.row_of[slots[i]] = (uint16_t)i;
	t->done = done;
	t->ctx = ctx;
	t->ask = (struct ask){ .work = work, .finish = finish, .part_size = sizeof(struct part) + size };
	ask_workers(asker, &t->ask);
	return 0;
}
