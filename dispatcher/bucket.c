/* dispatcher/bucket.c - how many calls a second: max-cps of a destination, the rate of a trunk. Instead of a level that would have to be
 * filled, the time is kept at which the bucket will be full again: one word for all workers, and nothing to do while nobody calls. */
#include "dispatcher/state.h"

enum { SECOND_US = 1000000,
       BURSTS_PER_SECOND = 10 };
#define MINUTE_US UINT64_C(60000000)

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

static bool take(_Atomic uint64_t *bucket_us, uint64_t cost, uint64_t slack, uint64_t now_ms)
{
	uint64_t full = atomic_load_explicit(bucket_us, memory_order_relaxed), now = now_ms * 1000, next;

	do {
		if (full > now + slack)
			return false;
		next = (full > now ? full : now) + cost;
	} while (!atomic_compare_exchange_weak_explicit(bucket_us, &full, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool bucket_take(_Atomic uint64_t *bucket_us, unsigned max_cps, uint64_t now_ms)
{
	return take(bucket_us, SECOND_US / max_cps, slack_us(max_cps), now_ms);
}

static uint64_t cost_of(uint64_t per_minute)
{
	return per_minute < MINUTE_US ? MINUTE_US / per_minute : 1;
}

/* All but the last of a second's calls. */
static uint64_t second_us(uint64_t cost)
{
	return cost < SECOND_US ? SECOND_US - cost : 0;
}

bool bucket_has_rate(const _Atomic uint64_t *bucket_us, uint64_t per_minute, uint64_t now_ms)
{
	return atomic_load_explicit(bucket_us, memory_order_relaxed) <= now_ms * 1000 + second_us(cost_of(per_minute));
}

bool bucket_take_rate(_Atomic uint64_t *bucket_us, uint64_t per_minute, uint64_t now_ms)
{
	return take(bucket_us, cost_of(per_minute), second_us(cost_of(per_minute)), now_ms);
}
