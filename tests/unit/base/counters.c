/* tests/unit/base/counters.c */
#include "tests/unit/base/oom.h"
#include "base/counters.c"
#include "tests/unit/base/unit.h"

enum { RECEIVED, CALLS, N };

static const struct counter_def defs[N] = {
	[RECEIVED] = { "received_total", "Datagrams received.", 0 },
	[CALLS] = { "calls", "Calls now.", 1 },
};

static void adding_and_setting(void **state)
{
	struct counters c = { 0 };

	(void)state;
	assert_int_equal(counters_init(&c, defs, N), 0);
	assert_int_equal(c.n, N);
	assert_int_equal(counter_get(&c, RECEIVED), 0);
	counter_inc(&c, RECEIVED);
	counter_add(&c, RECEIVED, 41);
	counter_set(&c, CALLS, 7);
	assert_int_equal(counter_get(&c, RECEIVED), 42);
	assert_int_equal(counter_get(&c, CALLS), 7);
	counters_fini(&c);
	assert_null(c.value);
}

/* Blocks of two workers must not share a cache line. */
static void blocks_own_their_lines(void **state)
{
	struct counters a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(counters_init(&a, defs, N), 0);
	assert_int_equal(counters_init(&b, defs, N), 0);
	assert_int_equal((uintptr_t)a.value % LINE, 0);
	assert_int_equal((uintptr_t)b.value % LINE, 0);
	counters_fini(&a);
	counters_fini(&b);
}

static void refusals(void **state)
{
	struct counters c = { 0 };

	(void)state;
	oom_in = 1;
	assert_int_equal(counters_init(&c, defs, N), -ENOMEM);
	assert_int_equal(counters_init(&c, defs, SIZE_MAX / 8), -ENOMEM);
	assert_int_equal(counters_init(&c, NULL, 0), 0);
	counters_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_and_setting),
		cmocka_unit_test(blocks_own_their_lines),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
