#include "sbc/sticks.h"
#include "admin/ctl.h"
#include "dispatcher/sticky.h"
#include "sbc/operate.h"
#include <stdio.h>
#include <stdlib.h>

struct stick_row {
	char key[STICKY_TEXT_MAX + 1], destination[2 * CONF_NAME_MAX + 2];
	uint64_t idle_ms, left_ms;
	uint32_t calls;
};

struct stick_part {
	struct ask_part base;
	struct stick_row *rows;
	size_t n, room;
	bool is_cut, is_forgotten;
};

struct stick_question {
	struct ask ask;
	struct ctl_reply *reply;
	char pool[CONF_NAME_MAX + 1], key[STICKY_TEXT_MAX + 1]; /* key empty: all */
};

static struct stick_part *part_of(const struct ask *a, unsigned worker)
{
	return a->parts[worker] ? owner_of(a->parts[worker], struct stick_part, base) : NULL;
}

static void question_end(struct stick_question *q)
{
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		if (part_of(&q->ask, i))
			free(part_of(&q->ask, i)->rows);
	ask_fini(&q->ask);
	free(q);
}

/* On the worker ------------------------------------------------------------------------------------------------------ */

static bool grow(struct stick_part *part)
{
	size_t room = part->room ? part->room * 2 : 16;
	struct stick_row *rows = realloc(part->rows, room * sizeof(*rows));

	if (!rows)
		return false;
	part->rows = rows;
	part->room = room;
	return true;
}

static bool add_row(void *ctx, const struct sticky_info *i)
{
	struct stick_part *part = ctx;
	struct stick_row *row;

	if (part->n == STICKS_ROWS_MAX || (part->n == part->room && !grow(part))) {
		part->is_cut = true;
		return false;
	}
	row = &part->rows[part->n++];
	*row = (struct stick_row){ .idle_ms = i->idle_ms, .left_ms = i->left_ms, .calls = i->calls };
	snprintf(row->key, sizeof(row->key), "%.*s", SV_ARG(i->text));
	if (i->destination.len)
		snprintf(row->destination, sizeof(row->destination), "%.*s/%.*s", SV_ARG(i->pool), SV_ARG(i->destination));
	return true;
}

static void list_work(struct ask *a, struct worker *w, struct ask_part *base)
{
	const struct stick_question *q = owner_of(a, struct stick_question, ask);

	sticky_each(b2bua_sticky(w->calls), sv_from(q->pool), sv_from(q->key), add_row, owner_of(base, struct stick_part, base));
}

static void forget_work(struct ask *a, struct worker *w, struct ask_part *base)
{
	const struct stick_question *q = owner_of(a, struct stick_question, ask);

	owner_of(base, struct stick_part, base)->is_forgotten =
		sticky_forget(b2bua_sticky(w->calls), sv_from(q->pool), sv_from(q->key));
}

/* Answers ------------------------------------------------------------------------------------------------------------ */

static void no_key(const struct stick_question *q)
{
	ctl_fail(q->reply, CTL_FAILED, "pool %s has no key %s", q->pool, q->key);
}

static void list_finish(struct ask *a)
{
	struct stick_question *q = owner_of(a, struct stick_question, ask);
	bool is_cut = false;
	size_t n = 0;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		n += part_of(a, i) ? part_of(a, i)->n : 0;
	if (*q->key && !n) {
		no_key(q);
		question_end(q);
		return;
	}
	ctl_columns(q->reply, 5, "key", "destination", "calls", "idle_ms", "left_ms");
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++) {
		const struct stick_part *part = part_of(a, i);

		for (size_t k = 0; part && k < part->n; k++) {
			const struct stick_row *row = &part->rows[k];

			ctl_row(q->reply, cell_str(row->key), *row->destination ? cell_str(row->destination) : cell_none(),
			        cell_u64(row->calls), cell_ms(row->idle_ms), cell_ms(row->left_ms));
		}
		is_cut |= part && part->is_cut;
	}
	if (is_cut)
		ctl_note(q->reply, "more keys than are shown (%d per worker)", STICKS_ROWS_MAX);
	ctl_done(q->reply);
	question_end(q);
}

static void forget_finish(struct ask *a)
{
	struct stick_question *q = owner_of(a, struct stick_question, ask);
	bool is_forgotten = false;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		is_forgotten |= part_of(a, i) && part_of(a, i)->is_forgotten;
	if (is_forgotten) {
		ctl_note(q->reply, "%s: forgotten", q->key);
		ctl_done(q->reply);
	} else {
		no_key(q);
	}
	question_end(q);
}

/* The verb ------------------------------------------------------------------------------------------------------------ */

static bool is_sticky(const struct conf *c, struct ctl_reply *r, const char *pool)
{
	int index = conf_find_pool(c, sv_from(pool));

	if (index < 0)
		operate_no_pool(c, r, sv_from(pool));
	else if (!c->pools[index].sticky.is_on)
		ctl_fail(r, CTL_FAILED, "pool %s has no `sticky`", pool);
	return index >= 0 && c->pools[index].sticky.is_on;
}

/* POOL [KEY] [--forget], the option anywhere. */
static void verb_sticky(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	const struct sticks *s = ctx;
	const char *words[2] = { "", "" };
	struct stick_question *q;
	bool forgets = false;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--forget"))
			forgets = true;
		else if (n < 2)
			words[n++] = argv[i];
		else
			n = INT32_MAX;
	}
	if (n < 1 + forgets || n > 2) {
		ctl_fail_usage(r);
		return;
	}
	if (!is_sticky(s->publisher->now, r, words[0]))
		return;
	if (!(q = calloc(1, sizeof(*q)))) {
		ctl_fail(r, CTL_FAILED, "out of memory");
		return;
	}
	snprintf(q->pool, sizeof(q->pool), "%s", words[0]);
	snprintf(q->key, sizeof(q->key), "%s", words[1]);
	q->reply = r;
	q->ask = (struct ask){ .work = forgets ? forget_work : list_work, .finish = forgets ? forget_finish : list_finish,
		               .part_size = sizeof(struct stick_part) };
	ask_workers(s->asker, &q->ask);
}

int sticks_add_verb(struct ctl *ctl, struct sticks *s)
{
	return ctl_register(ctl, "sticky", "POOL [KEY] [--forget]", "where the keys of a pool with `sticky` are", verb_sticky, s);
}
