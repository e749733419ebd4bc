/* sbc/clock.h - the system's clocks, for the control thread and the loop. What runs in simulation is told the time instead. */
#ifndef SBC_CLOCK_H
#define SBC_CLOCK_H
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
static inline uint64_t clock_monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

#endif
