#include "registrar/admit.h"

enum { US_PER_S = 1000000, US_PER_MS = 1000 };
#define US_PER_MINUTE UINT64_C(60000000)

/* A bucket whose level is a time: each one admitted fills it by the time the rate gives him, and it empties as time passes. */
static bool take_now(struct admission *a, uint64_t cost_us, uint64_t now_us, uint64_t room_us)
{
	uint64_t level = atomic_load_explicit(&a->level_us, memory_order_relaxed), next;

	do {
		next = level > now_us ? level : now_us;
		if (next - now_us > room_us)
			return false;
		next += cost_us;
	} while (!atomic_compare_exchange_weak_explicit(&a->level_us, &level, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* The next place behind those that were promised. */
static uint64_t take_later(struct admission *a, uint64_t cost_us, uint64_t now_us)
{
	uint64_t first = now_us + US_PER_S, last = now_us + UINT64_C(1) * ADMIT_WAIT_MAX_S * US_PER_S;
	uint64_t promised = atomic_load_explicit(&a->promised_us, memory_order_relaxed), next;

	do {
		next = promised + cost_us;
		if (next < first || next > last)
			next = first;
	} while (!atomic_compare_exchange_weak_explicit(&a->promised_us, &promised, next, memory_order_relaxed, memory_order_relaxed));
	return next;
}

unsigned admit(struct admission *a, uint64_t per_minute, uint64_t now_ms, bool is_known)
{
	uint64_t cost_us = US_PER_MINUTE / per_minute, now_us = now_ms * US_PER_MS;
	uint64_t room_us = (ADMIT_BURST_MS + (is_known ? ADMIT_KNOWN_MS : 0)) * UINT64_C(1) * US_PER_MS;

	cost_us = cost_us ? cost_us : 1;
	if (take_now(a, cost_us, now_us, room_us > cost_us ? room_us - cost_us : 0))
		return 0;
	return (unsigned)((take_later(a, cost_us, now_us) - now_us + US_PER_S - 1) / US_PER_S);
}
