/* base/counters.h - counters that one thread writes and any thread reads. A module declares an enum and a
 * matching table of counter_def; a worker owns one block per module; readers sum the blocks. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct counter_def {
	const char *name; /* Prometheus name without prefix, e.g. "udp_received_total" */
	const char *help;
	_Bool is_gauge;
};

struct counters {
	const struct counter_def *defs;
	size_t n;
	_Atomic uint64_t *value;
};

int counters_init(struct counters *c, const struct counter_def *defs, size_t n);
void counters_fini(struct counters *c);
static inline void counter_add(struct counters *c, unsigned which, uint64_t by)
{
	uint64_t v = atomic_load_explicit(&c->value[which], memory_order_relaxed);

	atomic_store_explicit(&c->value[which], v + by, memory_order_relaxed);
}
static inline void counter_inc(struct counters *c, unsigned which)
{
	counter_add(c, which, 1);
}
static inline void counter_set(struct counters *c, unsigned which, uint64_t to)
{
	atomic_store_explicit(&c->value[which], to, memory_order_relaxed);
}
static inline uint64_t counter_get(const struct counters *c, unsigned which)
{
	return atomic_load_explicit(&c->value[which], memory_order_relaxed);
}

#endif
