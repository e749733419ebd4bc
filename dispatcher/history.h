/* dispatcher/history.h - how long the calls of a destination have lasted, and from that when the present ones will have ended. */
#ifndef DISPATCHER_HISTORY_H
#define DISPATCHER_HISTORY_H
#include "dispatcher/pool.h"

enum history_limits {
	SPAN_FLOOR_LOG2 = 6,                /* durations below 64 ms are one */
	SPAN_CEIL_LOG2 = 31,                /* those from 24 days on, too */
	SPAN_STEPS_LOG2 = 3,                /* 8 steps per octave: a step is 6 to 12 % of a duration */
	SPANS = 1 + ((SPAN_CEIL_LOG2 - SPAN_FLOOR_LOG2) << SPAN_STEPS_LOG2),
	HISTORY_CALLS = 8192,               /* when a destination has seen so many, all count half */
	HISTORY_CALLS_MIN = 30,             /* fewer say nothing */
};

/* A number of calls by duration, or by age. */
struct spans {
	uint32_t n[SPANS];
};

static inline unsigned span_of(uint64_t ms)
{
	unsigned octave;

	if (ms < UINT64_C(1) << SPAN_FLOOR_LOG2)
		return 0;
	octave = 63 - (unsigned)__builtin_clzll(ms);
	if (octave >= SPAN_CEIL_LOG2)
		return SPANS - 1;
	return 1 + ((octave - SPAN_FLOOR_LOG2) << SPAN_STEPS_LOG2) +
	       (unsigned)(ms >> (octave - SPAN_STEPS_LOG2) & ((1u << SPAN_STEPS_LOG2) - 1));
}
/* The least duration of a span; of SPANS: where the last ends. */
uint64_t span_from_ms(unsigned span);

/* A call that had its place there has ended after `ms`. Any worker; one atomic add. */
void dest_ended(struct pools *p, uint16_t slot, uint64_t ms);
/* Adds the durations of the destination's ended calls. Any thread. */
void dest_add_spans(const struct pools *p, uint16_t slot, struct spans *to);
/* Every few seconds, control thread: what was long ago counts less and less. */
void dest_fade(struct pools *p, uint16_t slot);

uint64_t spans_sum(const struct spans *s);
/* When the present calls, of these ages, will all have ended: half of the time it is sooner. By the durations of `ended` calls of the
 * same kind; the present ones say for their part that they have lasted so long (a life table, product-limit: Kaplan and Meier 1958).
 * False: `ended` are too few to say. */
bool spans_end_ms(const struct spans *ended, const struct spans *present, uint64_t *in_ms);

#endif
