/* base/wheel.h - hierarchical timing wheel, 1 ms resolution, for millions of timers. It has no clock of
 * its own: the owner tells it what time it is, so that simulation and production run the same code. */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	struct timer *next, **pprev;
	void (*fire)(struct timer *t); /* runs disarmed; may re-arm or free itself or disarm others */
	uint64_t at_ms;
};

enum { WHEEL_BITS = 8, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 5 };

struct timer_queue { /* first in, first out: what keeps the order of arming */
	struct timer *first, **end;
};

struct wheel {
	uint64_t now_ms; /* what timers see as now */
	size_t count;
	struct timer_queue slot[WHEEL_LEVELS][WHEEL_SLOTS];
	uint64_t busy[WHEEL_LEVELS][WHEEL_SLOTS / 64];
	struct wheel_point {    /* where time has to stop next, and the slot that waits there */
		uint64_t at_ms; /* UINT64_MAX: nowhere; 0: to be looked for */
		unsigned level, slot;
	} next;
	struct timer_queue due; /* taken from the wheel, not yet fired */
	void (*look)(struct wheel *w); /* the owner's: looks at the clock, if it has not done so yet. NULL: now_ms is always right */
};

/* What is woken by something else than the wheel calls this before it reads now_ms or arms anything: time has passed while all slept. */
static inline void wheel_look(struct wheel *w)
{
	if (w->look)
		w->look(w);
}

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Arms (or re-arms) `t` to fire at `at_ms`, not before now + 1. A zeroed struct timer is disarmed.
 * More than 34 years ahead is clamped there. O(1). `t->fire` must be set. */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t at_ms);
static inline void wheel_arm_in(struct wheel *w, struct timer *t, uint64_t in_ms)
{
	wheel_arm(w, t, w->now_ms + in_ms);
}
void wheel_disarm(struct wheel *w, struct timer *t); /* harmless when disarmed */
static inline bool timer_is_armed(const struct timer *t)
{
	return t->pprev != NULL;
}
/* A time at or before which nothing is due: the next expiry or an earlier cascade point. UINT64_MAX when empty. */
uint64_t wheel_next(struct wheel *w);
/* Moves time to `now_ms` and fires what is due, in order of at_ms (ties: in order of arming), at most
 * `max` timers; returns how many fired. What is left over fires at the next call. All of them see the new time, also
 * after a gap; a simulation that wants each to see its own time advances from wheel_next() to wheel_next(). Earlier
 * times than now_ms do not move it back. Not from within `fire`. */
size_t wheel_advance(struct wheel *w, uint64_t now_ms, size_t max);

#endif
