/* What the turns of a loop cost: which are measured, and where they are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sbc/turns.h"
#include <time.h>

static uint64_t measured(const struct turns *t)
{
	return turns_within(t, TURNS_BUCKETS);
}

static void use_cpu_ms(unsigned ms)
{
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec < ms * 1000000);
}

static void one_quiet_turn_of_many_is_measured(void **state)
{
	struct turns t;

	(void)state;
	turns_init(&t);
	for (unsigned i = 0; i < 10 * TURNS_SAMPLE; i++)
		turns_end(&t, 1);
	assert_in_range(measured(&t), 8, 10);
}

/* Every turn from the first busy one on, until they are quiet again; that one, too: it was one behind a busy one. */
static void each_turn_of_a_busy_loop_is_measured(void **state)
{
	struct turns t;

	(void)state;
	turns_init(&t);
	for (unsigned i = 0; i < 101; i++)
		turns_end(&t, TURNS_BUSY);
	assert_int_equal(measured(&t), 100);
	turns_end(&t, 1);
	turns_end(&t, 1);
	assert_int_equal(measured(&t), 101);
}

static void a_long_turn_is_seen(void **state)
{
	struct turns t;

	(void)state;
	turns_init(&t);
	turns_end(&t, TURNS_BUSY);
	use_cpu_ms(6);
	turns_end(&t, 1);
	assert_in_range(turns_max_us(&t), 6000, 1000000);
	assert_int_equal(measured(&t), 1);
	assert_int_equal(turns_within(&t, 6), 0); /* 5 ms */
}

static void each_has_its_bucket(void **state)
{
	struct turns t;

	(void)state;
	turns_init(&t);
	for (unsigned i = 0; i < TURNS_BUCKETS; i++) {
		turns_count(&t, turns_bound_us(i));
		turns_count(&t, turns_bound_us(i) + 1);
		assert_int_equal(turns_within(&t, i), 2 * i + 1);
	}
	assert_int_equal(measured(&t), 2 * TURNS_BUCKETS);
	assert_int_equal(turns_max_us(&t), turns_bound_us(TURNS_BUCKETS - 1) + 1);
	turns_count(&t, 7);
	assert_int_equal(turns_max_us(&t), turns_bound_us(TURNS_BUCKETS - 1) + 1);
	assert_int_equal(turns_bound_us(TURNS_BUCKETS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_quiet_turn_of_many_is_measured),
		cmocka_unit_test(each_turn_of_a_busy_loop_is_measured),
		cmocka_unit_test(a_long_turn_is_seen),
		cmocka_unit_test(each_has_its_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
