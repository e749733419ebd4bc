/* sbc/call/drain.c - the calls at one destination: how many and how old, and how those end that its drain has left. */
#include "sbc/call/move.h"

/* Where the call has its place now; POOL_NO_SLOT: nowhere. */
static uint16_t slot_of(const struct call *c)
{
	const struct setup *s = c->setup;
	const struct leg *far = c->far ? c->far : s && s->attempt ? s->attempt->leg : NULL;

	if (far)
		return far->has_slot ? far->slot : POOL_NO_SLOT;
	return s && s->is_resolving && !s->direct ? s->pick.slot : POOL_NO_SLOT;
}

/* A call that only its subscriptions keep has no place any more: its far leg still knows where it had one. */
static uint16_t kept_at(const struct call *c)
{
	return c->is_kept && c->far ? c->far->slot : POOL_NO_SLOT;
}

static struct census_row *row_of(const struct census *s, uint16_t slot)
{
	return slot < POOL_DESTINATIONS_MAX && s->row_of[slot] != CENSUS_NO_ROW ? &s->rows[s->row_of[slot]] : NULL;
}

static void count_call(const struct census *s, struct census_row *row, uint64_t age_ms)
{
	row->calls++;
	row->oldest_ms = age_ms > row->oldest_ms ? age_ms : row->oldest_ms;
	if (row - s->rows < s->n_ages)
		s->ages[row - s->rows].n[span_of(age_ms)]++;
}

void b2bua_census(struct b2bua *b, const struct census *s)
{
	list_each(n, &b->all) {
		const struct call *c = owner_of(n, struct call, in_all);
		struct census_row *row = row_of(s, slot_of(c)), *kept = row ? NULL : row_of(s, kept_at(c));

		if (row)
			count_call(s, row, b->p.wheel->now_ms - c->started_ms);
		for (const struct usage *u = c->usages; kept && u; u = u->next)
			kept->subscriptions += !u->is_over;
	}
}

unsigned b2bua_hangup_at(struct b2bua *b, uint16_t slot, unsigned max)
{
	unsigned done = 0;

	for (struct node *n = b->all.next, *next; n != &b->all && done < max; n = next) {
		struct call *c = owner_of(n, struct call, in_all);
		bool is_there = slot_of(c) == slot && !c->is_ending;

		if (is_there && c->moving)
			move_stop(c); /* what it tries elsewhere is a call, too, and may be the next one */
		next = n->next;
		if (!is_there)
			continue;
		done++;
		call_hangup(c, 1 << NEAR | 1 << FAR, WHY_DRAINED);
	}
	return done;
}
