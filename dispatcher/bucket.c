/* dispatcher/bucket.c - max-cps: how many calls a second. Instead of a level that would have to be filled, the time is kept at which the
 * bucket will be full again: one word for all workers, and nothing to do while nobody calls. */
#include "dispatcher/state.h"

enum { SECOND_US = 1000000, BURSTS_PER_SECOND = 10 };

/* How far ahead of now the bucket may be: all but the last call of a burst. */
static uint64_t slack_us(unsigned max_cps)
{
	unsigned burst = max_cps / BURSTS_PER_SECOND;

	return burst > 1 ? (uint64_t)(burst - 1) * SECOND_US / max_cps : 0;
}

bool bucket_has(const _Atomic uint64_t *bucket_us, unsigned max_cps, uint64_t now_ms)
{
	return atomic_load_explicit(bucket_us, memory_order_relaxed) <= now_ms * 1000 + slack_us(max_cps);
}

bool bucket_take(_Atomic uint64_t *bucket_us, unsigned max_cps, uint64_t now_ms)
{
	uint64_t full = atomic_load_explicit(bucket_us, memory_order_relaxed), now = now_ms * 1000, next;

	do {
		if (full > now + slack_us(max_cps))
			return false;
		next = (full > now ? full : now) + SECOND_US / max_cps;
	} while (!atomic_compare_exchange_weak_explicit(bucket_us, &full, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}
