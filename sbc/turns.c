#include "sbc/turns.h"
#include <time.h>

static const unsigned bounds_us[TURNS_BUCKETS] = { 50, 100, 250, 500, 1000, 2500, 5000, 10000 };

void turns_init(struct turns *t)
{
	*t = (struct turns){ .busy = TURNS_BUSY, .left = TURNS_SAMPLE };
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void turns_count(struct turns *t, uint64_t us)
{
	unsigned i = 0;

	while (i < TURNS_BUCKETS && us > bounds_us[i])
		i++;
	atomic_store_explicit(&t->bucket[i], atomic_load_explicit(&t->bucket[i], memory_order_relaxed) + 1, memory_order_relaxed);
	if (us > atomic_load_explicit(&t->max_us, memory_order_relaxed))
		atomic_store_explicit(&t->max_us, us, memory_order_relaxed);
}

/* The time at the end of one turn is that of the next one's beginning: a thread that sleeps uses none. */
void turns_measure(struct turns *t, unsigned events)
{
	uint64_t now = cpu_ns();

	if (!t->busy)
		turns_count(t, (now - t->begun_ns) / 1000);
	t->busy = events >= TURNS_BUSY || !t->left ? 0 : TURNS_BUSY;
	t->left = t->left ? t->left : TURNS_SAMPLE;
	t->begun_ns = now;
}

unsigned turns_bound_us(unsigned bucket)
{
	return bucket < TURNS_BUCKETS ? bounds_us[bucket] : 0;
}

uint64_t turns_within(const struct turns *t, unsigned bucket)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= bucket && i <= TURNS_BUCKETS; i++)
		n += atomic_load_explicit(&t->bucket[i], memory_order_relaxed);
	return n;
}

uint64_t turns_max_us(const struct turns *t)
{
	return atomic_load_explicit(&t->max_us, memory_order_relaxed);
}
