/* sbc/turns.h - what the turns of one worker's loop cost: CPU of its thread, as a histogram and its maximum. To ask for the time
 * costs a system call, so it is asked where something is to be seen: in every turn that follows one in which many descriptors were
 * ready, and in one of many others. */
#ifndef SBC_TURNS_H
#define SBC_TURNS_H
#include <stdatomic.h>
#include <stdint.h>

enum turns_limits {
	TURNS_BUSY = 4,     /* descriptors ready in a turn: the next one is measured */
	TURNS_SAMPLE = 32,  /* of the others one in so many */
	TURNS_BUCKETS = 8,
};

struct turns {
	unsigned busy;      /* TURNS_BUSY; 0 while a turn is being measured */
	unsigned left;      /* turns until one is measured anyway */
	uint64_t begun_ns;  /* of the thread's CPU time, when `busy` is 0 */
	_Atomic uint64_t bucket[TURNS_BUCKETS + 1]; /* the last: more than any bound */
	_Atomic uint64_t max_us;
};

void turns_init(struct turns *t);
void turns_measure(struct turns *t, unsigned events);
/* At the end of each turn, `events` being the descriptors that were ready in it. Its worker's thread. */
static inline void turns_end(struct turns *t, unsigned events)
{
	if (events >= t->busy || --t->left == 0)
		turns_measure(t, events);
}
/* A turn took that long: what turns_measure counts. */
void turns_count(struct turns *t, uint64_t us);

/* Any thread. The upper bound of a bucket in microseconds, 0 for the last; how many turns took that long at most. */
unsigned turns_bound_us(unsigned bucket);
uint64_t turns_within(const struct turns *t, unsigned bucket);
uint64_t turns_max_us(const struct turns *t);

#endif
