/* When will a draining destination be empty? Simulated destinations with calls of known kinds, drained: the estimate made when half of
 * the calls have ended is held against the time that was really still needed. */
#include "dispatcher/history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void spans_follow_each_other(void **state)
{
	(void)state;
	assert_int_equal(span_from_ms(0), 0);
	for (unsigned i = 0; i < SPANS; i++) {
		assert_true(span_from_ms(i) < span_from_ms(i + 1));
		assert_int_equal(span_of(span_from_ms(i)), i);
		assert_int_equal(span_of(span_from_ms(i + 1) - 1), i);
		if (i > 8)
			assert_true(span_from_ms(i + 1) <= span_from_ms(i) * 9 / 8 + 1);
	}
	assert_int_equal(span_of(UINT64_MAX), SPANS - 1);
}

static void what_was_long_ago_fades(void **state)
{
	struct pools *p;
	struct spans s = { 0 };

	(void)state;
	assert_int_equal(pools_new(&p, 1), 0);
	for (unsigned i = 0; i < HISTORY_CALLS - 1; i++)
		dest_ended(p, 3, i % 2 ? 1000 : 100000);
	dest_fade(p, 3);
	dest_add_spans(p, 3, &s);
	assert_int_equal(spans_sum(&s), HISTORY_CALLS - 1);
	dest_ended(p, 3, 100000);
	dest_fade(p, 3);
	s = (struct spans){ 0 };
	dest_add_spans(p, 3, &s);
	assert_in_range(spans_sum(&s), HISTORY_CALLS / 2, HISTORY_CALLS / 2 + 1);
	assert_in_range(s.n[span_of(1000)], HISTORY_CALLS / 4 - 1, HISTORY_CALLS / 4 + 1);
	dest_ended(p, POOL_NO_SLOT, 1000); /* nowhere */
	pools_free(p);
}

static void too_little_is_known(void **state)
{
	struct spans ended = { 0 }, present = { 0 };
	uint64_t ms = 77;

	(void)state;
	assert_true(spans_end_ms(&ended, &present, &ms));
	assert_int_equal(ms, 0);
	present.n[span_of(5000)] = 1;
	ended.n[span_of(10000)] = HISTORY_CALLS_MIN - 1;
	assert_false(spans_end_ms(&ended, &present, &ms));
	ended.n[span_of(10000)]++;
	assert_true(spans_end_ms(&ended, &present, &ms));
	assert_in_range(ms, 4000, 6000);
}

/* A call older than any that ended: it will be as the oldest were. */
static void older_than_everything(void **state)
{
	struct spans ended = { 0 }, present = { 0 };
	uint64_t ms;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		ended.n[span_of((uint64_t)(-log((i + 0.5) / 1000) * 10000))]++; /* exponential, 10 s */
	present.n[span_of(300000)] = 1;
	assert_true(spans_end_ms(&ended, &present, &ms));
	assert_in_range(ms, 3500, 14000); /* the median of its rest is 6.9 s */
}

/* Nothing that can be in the tables makes it wild. */
static void the_extremes(void **state)
{
	struct spans ended = { 0 }, present = { 0 };
	uint64_t ms;

	(void)state;
	ended.n[0] = UINT32_MAX;
	present.n[SPANS - 1] = UINT32_MAX;
	assert_true(spans_end_ms(&ended, &present, &ms));
	for (unsigned i = 0; i < SPANS; i++)
		ended.n[i] = present.n[i] = UINT32_MAX;
	assert_true(spans_end_ms(&ended, &present, &ms));
	ended = (struct spans){ 0 };
	ended.n[SPANS - 1] = UINT32_MAX;
	assert_true(spans_end_ms(&ended, &present, &ms));
	assert_true(ms <= UINT64_C(32) * 86400000);
}

/* Simulation ------------------------------------------------------------------------------------------------------ */

static double uniform01(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static double of_exponential(uint64_t *seed)
{
	return -30000 * log(uniform01(seed));
}

static double of_uniform(uint64_t *seed)
{
	return 5000 + 55000 * uniform01(seed);
}

static double of_lognormal(uint64_t *seed)
{
	double r = sqrt(-2 * log(uniform01(seed)));

	return 60000 * exp(0.6 * r * cos(2 * M_PI * uniform01(seed)));
}

static double of_bimodal(uint64_t *seed) /* announcements and conversations */
{
	return uniform01(seed) < 0.7 ? 3000 + 4000 * uniform01(seed) : 90000 + 60000 * uniform01(seed);
}

enum { CALLS = 60000, RUNS = 40 };

struct drained {
	double estimate, real; /* ms still needed, when half had ended */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Calls begin every `gap_ms` from -CALLS * gap_ms to 0, when the drain begins. */
static struct drained drain(double (*duration)(uint64_t *seed), double gap_ms, uint64_t *seed)
{
	static double begin[CALLS], end[CALLS], left[CALLS];
	struct spans ended = { 0 }, present = { 0 };
	struct drained d = { 0 };
	uint64_t estimate = 0;
	unsigned n = 0;
	double half;

	for (unsigned i = 0; i < CALLS; i++) {
		begin[i] = -(double)i * gap_ms;
		end[i] = begin[i] + duration(seed);
		if (end[i] > 0)
			left[n++] = end[i];
	}
	qsort(left, n, sizeof(*left), by_value);
	half = left[n / 2];
	for (unsigned i = 0; i < CALLS; i++) {
		if (end[i] > half)
			present.n[span_of((uint64_t)(half - begin[i]))]++;
		else if (i < 12000)
			ended.n[span_of((uint64_t)(end[i] - begin[i]))]++; /* as many as are remembered */
	}
	assert_true(spans_end_ms(&ended, &present, &estimate));
	d.estimate = (double)estimate;
	d.real = left[n - 1] - half;
	return d;
}

struct outcome {
	double bias, worst;
	unsigned within; /* 20 % */
};

/* Destinations with about 260 calls. */
static struct outcome simulate(const char *name, double (*duration)(uint64_t *seed), double mean_ms)
{
	struct outcome o = { 0 };
	double median[RUNS];
	uint64_t seed = 42;

	for (unsigned i = 0; i < RUNS; i++) {
		struct drained d = drain(duration, mean_ms / 260, &seed);
		double error = (d.estimate - d.real) / d.real;

		median[i] = error;
		o.worst = fabs(error) > o.worst ? fabs(error) : o.worst;
		o.within += fabs(error) <= 0.2;
	}
	qsort(median, RUNS, sizeof(*median), by_value);
	o.bias = median[RUNS / 2];
	print_message("drain of 260 calls, %-12s half drained: estimate against truth %+.1f %% (median of %d), within 20 %% in %u, worst %.0f %%\n",
	              name, 100 * o.bias, RUNS, o.within, 100 * o.worst);
	return o;
}

/* Where durations have an end, each single estimate has to hit. Where they have none, the last call of all is a matter of chance: the
 * estimate has to be right in the middle. */
static void the_estimate_hits(void **state)
{
	struct outcome o;

	(void)state;
	o = simulate("uniform:", of_uniform, 32500);
	assert_int_equal(o.within, RUNS);
	o = simulate("bimodal:", of_bimodal, 39500);
	assert_int_equal(o.within, RUNS);
	o = simulate("exponential:", of_exponential, 30000);
	assert_true(fabs(o.bias) < 0.2);
	assert_true(o.within > RUNS / 2);
	o = simulate("lognormal:", of_lognormal, 71800);
	assert_true(fabs(o.bias) < 0.2);
	assert_true(o.within > RUNS / 3);
}

/* A node that has just started has seen short calls end, and no long one yet: the present ones say so. */
static void the_young_are_not_taken_for_short(void **state)
{
	struct spans ended = { 0 }, present = { 0 };
	uint64_t ms;

	(void)state;
	ended.n[span_of(5000)] = 100;
	present.n[span_of(4000)] = 10;
	present.n[span_of(55000)] = 300;
	assert_true(spans_end_ms(&ended, &present, &ms));
	assert_true(ms > 10000);
}

/* Those that are in the span where the oldest ended are half of them older: not all can be over at its end. */
static void the_same_age_as_the_oldest(void **state)
{
	struct spans ended = { 0 }, present = { 0 };
	unsigned span = span_of(10000);
	uint64_t ms;

	(void)state;
	ended.n[span] = present.n[span] = HISTORY_CALLS_MIN;
	assert_true(spans_end_ms(&ended, &present, &ms));
	assert_true(ms > span_from_ms(span + 1) - span_from_ms(span));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_follow_each_other),
		cmocka_unit_test(what_was_long_ago_fades),
		cmocka_unit_test(too_little_is_known),
		cmocka_unit_test(older_than_everything),
		cmocka_unit_test(the_extremes),
		cmocka_unit_test(the_estimate_hits),
		cmocka_unit_test(the_same_age_as_the_oldest),
		cmocka_unit_test(the_young_are_not_taken_for_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
