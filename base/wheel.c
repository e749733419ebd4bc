/* base/wheel.c - level k holds the timers whose time first differs from now in its k-th byte, counted from the
 * low end; the slot is the value of that byte. So one slot of level 0 is one millisecond, all of level 0 comes
 * before all of level 1, timers of one time always share a slot, and when time reaches the start of a slot
 * further up, its timers move down in the order they came. The top level wraps around. */
#include "base/wheel.h"
#include <string.h>

enum { TOP = WHEEL_LEVELS - 1, TOP_SHIFT = TOP * WHEEL_BITS };

static void queue_init(struct timer_queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_push(struct timer_queue *q, struct timer *t)
{
	t->next = NULL;
	t->pprev = q->end;
	*q->end = t;
	q->end = &t->next;
}

static void queue_del(struct timer_queue *q, struct timer *t)
{
	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	else
		q->end = t->pprev;
	t->next = NULL;
	t->pprev = NULL;
}

/* All of `from` behind what is in `to`. */
static void queue_move(struct timer_queue *to, struct timer_queue *from)
{
	if (!from->first)
		return;
	*to->end = from->first;
	from->first->pprev = to->end;
	to->end = from->end;
	queue_init(from);
}

static unsigned level_of(const struct wheel *w, uint64_t at_ms)
{
	unsigned level = (63 - (unsigned)__builtin_clzll(at_ms ^ w->now_ms)) / WHEEL_BITS;

	return level < TOP ? level : TOP;
}

static unsigned slot_of(uint64_t at_ms, unsigned level)
{
	return (at_ms >> (level * WHEEL_BITS)) % WHEEL_SLOTS;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->now_ms = now_ms;
	w->next.at_ms = UINT64_MAX;
	queue_init(&w->due);
	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
			queue_init(&w->slot[level][slot]);
}

/* When time comes to a slot: its timers are due, or move down. */
static uint64_t start_of(uint64_t at_ms, unsigned level)
{
	return at_ms >> (level * WHEEL_BITS) << (level * WHEEL_BITS);
}

static void place(struct wheel *w, struct timer *t)
{
	unsigned level, slot;
	uint64_t start;

	if (t->at_ms <= w->now_ms) {
		queue_push(&w->due, t);
		return;
	}
	level = level_of(w, t->at_ms);
	slot = slot_of(t->at_ms, level);
	start = start_of(t->at_ms, level);
	queue_push(&w->slot[level][slot], t);
	w->busy[level][slot / 64] |= 1ULL << slot % 64;
	if (start < w->next.at_ms)
		w->next = (struct wheel_point){ start, level, slot };
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t at_ms)
{
	uint64_t most = w->now_ms + ((uint64_t)(WHEEL_SLOTS - 1) << TOP_SHIFT); /* from there on slots repeat */

	wheel_disarm(w, t);
	t->at_ms = at_ms <= w->now_ms ? w->now_ms + 1 : at_ms < most ? at_ms : most;
	place(w, t);
	w->count++;
}

void wheel_disarm(struct wheel *w, struct timer *t)
{
	unsigned level, slot;

	if (!timer_is_armed(t))
		return;
	w->count--;
	if (t->at_ms <= w->now_ms) {
		queue_del(&w->due, t);
		return;
	}
	level = level_of(w, t->at_ms);
	slot = slot_of(t->at_ms, level);
	queue_del(&w->slot[level][slot], t);
	if (w->slot[level][slot].first)
		return;
	w->busy[level][slot / 64] &= ~(1ULL << slot % 64);
	if (start_of(t->at_ms, level) == w->next.at_ms)
		w->next.at_ms = 0;
}

/* The first busy slot of `level` from `from` on, or WHEEL_SLOTS. */
static unsigned next_busy(const struct wheel *w, unsigned level, unsigned from)
{
	uint64_t word;

	if (from >= WHEEL_SLOTS)
		return WHEEL_SLOTS;
	word = w->busy[level][from / 64] & ~0ULL << from % 64;
	for (unsigned i = from / 64; ; word = w->busy[level][i]) {
		if (word)
			return i * 64 + (unsigned)__builtin_ctzll(word);
		if (++i == WHEEL_SLOTS / 64)
			return WHEEL_SLOTS;
	}
}

static struct wheel_point find_next(const struct wheel *w)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		unsigned here = slot_of(w->now_ms, level);
		unsigned shift = level * WHEEL_BITS;
		unsigned slot = next_busy(w, level, here + 1);
		uint64_t ahead = slot - here;

		if (slot == WHEEL_SLOTS && level == TOP) { /* the top wraps: what is behind us is a round ahead */
			slot = next_busy(w, level, 0);
			ahead = slot + WHEEL_SLOTS - here;
		}
		if (slot != WHEEL_SLOTS)
			return (struct wheel_point){ ((w->now_ms >> shift) + ahead) << shift, level, slot };
	}
	return (struct wheel_point){ UINT64_MAX, 0, 0 };
}

static uint64_t next_stop(struct wheel *w)
{
	if (!w->next.at_ms)
		w->next = find_next(w);
	return w->next.at_ms;
}

uint64_t wheel_next(struct wheel *w)
{
	return w->due.first ? w->now_ms : next_stop(w);
}

/* Time stands at the start of the slot: level 0 is due, the others move down. */
static void open_slot(struct wheel *w, struct wheel_point p)
{
	struct timer_queue *q = &w->slot[p.level][p.slot];
	struct timer *t, *next;

	w->now_ms = p.at_ms;
	w->next.at_ms = 0;
	w->busy[p.level][p.slot / 64] &= ~(1ULL << p.slot % 64);
	if (p.level == 0) {
		queue_move(&w->due, q);
		return;
	}
	t = q->first;
	queue_init(q);
	for (; t; t = next) {
		next = t->next;
		place(w, t);
	}
}

static size_t fire_due(struct wheel *w, size_t max)
{
	struct timer *t;
	size_t fired = 0;

	for (; fired < max && (t = w->due.first); fired++) {
		wheel_disarm(w, t);
		t->fire(t);
	}
	return fired;
}

size_t wheel_advance(struct wheel *w, uint64_t now_ms, size_t max)
{
	while (now_ms > w->now_ms && next_stop(w) <= now_ms)
		open_slot(w, w->next);
	if (now_ms > w->now_ms)
		w->now_ms = now_ms;
	return fire_due(w, max);
}
