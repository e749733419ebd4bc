/* tests/unit/base/wheel.c */
#include "base/wheel.h"
#include "base/list.h"
#include "tests/unit/base/unit.h"
#include <stdio.h>
#include <time.h>

enum { TIMERS = 150 };

struct rig;

struct item {
	struct timer timer;
	struct rig *rig;
	uint64_t armed_as; /* order of arming */
};

/* A wheel and, beside it, the list of what it should hold: at_ms and armed_as of the items. */
struct rig {
	struct wheel wheel;
	struct item items[TIMERS];
	uint64_t arms, seed;
	uint64_t now_ms;
	size_t fired;
	void (*also)(struct rig *rig); /* what a firing timer does to others */
};

static bool is_sooner(const struct item *a, const struct item *b)
{
	return a->timer.at_ms != b->timer.at_ms ? a->timer.at_ms < b->timer.at_ms : a->armed_as < b->armed_as;
}

static struct item *soonest(struct rig *rig)
{
	struct item *best = NULL;

	for (struct item *i = rig->items; i < rig->items + TIMERS; i++)
		if (timer_is_armed(&i->timer) && (!best || is_sooner(i, best)))
			best = i;
	return best;
}

static void on_fire(struct timer *t)
{
	struct item *item = owner_of(t, struct item, timer), *next = soonest(item->rig);

	assert_false(timer_is_armed(t));
	assert_true(t->at_ms <= item->rig->now_ms);
	assert_true(!next || is_sooner(item, next)); /* nobody was to fire before it */
	assert_int_equal(item->rig->wheel.now_ms, item->rig->now_ms);
	item->rig->fired++;
	if (item->rig->also)
		item->rig->also(item->rig);
}

static struct rig *rig_at(uint64_t now_ms, uint64_t seed)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	wheel_init(&rig->wheel, now_ms);
	rig->now_ms = now_ms;
	rig->seed = seed;
	for (struct item *i = rig->items; i < rig->items + TIMERS; i++)
		*i = (struct item){ .timer.fire = on_fire, .rig = rig };
	return rig;
}

static void arm(struct rig *rig, struct item *item, uint64_t in_ms)
{
	uint64_t at = rig->now_ms + in_ms;

	item->armed_as = rig->arms++;
	wheel_arm(&rig->wheel, &item->timer, at);
	assert_true(timer_is_armed(&item->timer));
	assert_int_equal(item->timer.at_ms, in_ms ? at : at + 1);
}

static struct item *some_item(struct rig *rig)
{
	return &rig->items[any_below(&rig->seed, TIMERS)];
}

/* Of every magnitude, and often the same as another. */
static uint64_t some_delay(struct rig *rig)
{
	uint64_t delay = any(&rig->seed) >> (24 + any_below(&rig->seed, 40));

	if (any_below(&rig->seed, 3) == 0)
		delay = any_below(&rig->seed, 4) * 250;
	return delay < 0xfe00000000 ? delay : 1;
}

static void arm_or_disarm_some(struct rig *rig)
{
	for (uint64_t n = any_below(&rig->seed, 3); n; n--)
		arm(rig, some_item(rig), some_delay(rig));
	if (any_below(&rig->seed, 2))
		wheel_disarm(&rig->wheel, &some_item(rig)->timer);
}

static void advance(struct rig *rig, uint64_t to, size_t max)
{
	size_t before = rig->fired, n;
	struct item *left;

	if (to > rig->now_ms)
		rig->now_ms = to;
	n = wheel_advance(&rig->wheel, to, max);
	assert_int_equal(n, rig->fired - before);
	assert_true(n <= max);
	left = soonest(rig);
	assert_true(n == max || !left || left->timer.at_ms > rig->now_ms);
}

static void check(struct rig *rig)
{
	struct item *first = soonest(rig);
	uint64_t next = wheel_next(&rig->wheel);
	size_t armed = 0;

	for (struct item *i = rig->items; i < rig->items + TIMERS; i++)
		armed += timer_is_armed(&i->timer);
	assert_int_equal(rig->wheel.count, armed);
	if (!first)
		assert_true(next == UINT64_MAX);
	else
		assert_true(next <= (first->timer.at_ms > rig->now_ms ? first->timer.at_ms : rig->now_ms));
	assert_true(!first || first->timer.at_ms <= rig->now_ms || next > rig->now_ms);
}

/* Around every carry of the levels, the wrap of the top one, and a clock that counts from 1970. */
static void agrees_with_a_sorted_list(void **state)
{
	static const uint64_t starts[] = { 0, 250, 65500, (1 << 24) - 9, 0xfffffff0, 0xff00000000 - 7,
					   0xfffffffff0, 1782864000000, 1ULL << 62 };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(starts); k++) {
		struct rig *rig = rig_at(starts[k], 41 + k);

		for (int i = 0; i < 12000; i++) {
			rig->also = any_below(&rig->seed, 2) ? arm_or_disarm_some : NULL;
			if (any_below(&rig->seed, 3))
				arm_or_disarm_some(rig);
			else if (any_below(&rig->seed, 8))
				advance(rig, rig->now_ms + some_delay(rig) % 2000, any_below(&rig->seed, 8));
			else
				advance(rig, rig->now_ms + some_delay(rig), SIZE_MAX);
			check(rig);
		}
		assert_true(rig->fired > 2000);
		free(rig);
	}
}

/* Stepping from wheel_next() to wheel_next() shows each timer exactly its own time. */
static void next_leads_to_each(void **state)
{
	struct rig *rig = rig_at(1782864000000, 51);
	struct item *first;

	(void)state;
	for (struct item *i = rig->items; i < rig->items + TIMERS; i++)
		arm(rig, i, some_delay(rig));
	while ((first = soonest(rig))) {
		uint64_t at = first->timer.at_ms, next = wheel_next(&rig->wheel);
		size_t before = rig->fired;

		assert_true(next > rig->now_ms && next <= at);
		advance(rig, next, SIZE_MAX);
		assert_true(rig->fired == before || rig->now_ms == at);
	}
	assert_int_equal(rig->fired, TIMERS);
	free(rig);
}

static void ties_fire_in_order_of_arming(void **state)
{
	struct rig *rig = rig_at(0, 1);

	(void)state;
	for (size_t i = 0; i < TIMERS; i++) { /* armed at different times, from different levels, for one moment */
		arm(rig, &rig->items[i], 100000 - rig->now_ms);
		advance(rig, rig->now_ms + 99000 / TIMERS, SIZE_MAX);
	}
	advance(rig, 99999, SIZE_MAX);
	assert_int_equal(rig->fired, 0);
	advance(rig, 100000, SIZE_MAX); /* on_fire checks the order */
	assert_int_equal(rig->fired, TIMERS);
	free(rig);
}

static void past_and_present_mean_next_ms(void **state)
{
	struct rig *rig = rig_at(1000, 1);
	struct timer *t = &rig->items[0].timer;

	(void)state;
	wheel_arm(&rig->wheel, t, 5);
	assert_int_equal(t->at_ms, 1001);
	wheel_arm_in(&rig->wheel, t, 0);
	assert_int_equal(t->at_ms, 1001);
	advance(rig, 1000, SIZE_MAX);
	assert_int_equal(rig->fired, 0);
	advance(rig, 900, SIZE_MAX); /* a clock does not go back */
	assert_int_equal(rig->wheel.now_ms, 1000);
	advance(rig, 1001, SIZE_MAX);
	assert_int_equal(rig->fired, 1);
	wheel_disarm(&rig->wheel, t);
	assert_int_equal(rig->wheel.count, 0);
	free(rig);
}

static void far_future_is_clamped(void **state)
{
	struct rig *rig = rig_at(123456789, 1);
	struct timer *t = &rig->items[0].timer;

	(void)state;
	wheel_arm(&rig->wheel, t, UINT64_MAX);
	assert_in_range(t->at_ms - 123456789, (1ULL << 40) - (1ULL << 32), 1ULL << 40);
	advance(rig, t->at_ms - 1, SIZE_MAX);
	assert_int_equal(rig->fired, 0);
	advance(rig, rig->now_ms + 1, SIZE_MAX);
	assert_int_equal(rig->fired, 1);
	free(rig);
}

static void rearm_self(struct rig *rig)
{
	arm(rig, &rig->items[0], 10);
}

/* After a gap a repeating timer fires once and goes on from now; it does not catch up. */
static void gap_is_one_firing(void **state)
{
	struct rig *rig = rig_at(0, 1);

	(void)state;
	arm(rig, &rig->items[0], 10);
	rig->also = rearm_self;
	advance(rig, 3600000, SIZE_MAX);
	assert_int_equal(rig->fired, 1);
	assert_int_equal(rig->items[0].timer.at_ms, 3600010);
	free(rig);
}

static void free_self(struct timer *t)
{
	free(t);
}

static void timer_may_free_itself(void **state)
{
	struct wheel w;

	(void)state;
	wheel_init(&w, 0);
	for (int i = 0; i < 3; i++) {
		struct timer *t = calloc(1, sizeof(*t));

		assert_non_null(t);
		t->fire = free_self;
		wheel_arm(&w, t, 5);
	}
	assert_int_equal(wheel_advance(&w, 5, 2), 2);
	assert_int_equal(w.count, 1);
	assert_int_equal(wheel_next(&w), 5); /* one is left over */
	assert_int_equal(wheel_advance(&w, 5, 2), 1);
	assert_true(wheel_next(&w) == UINT64_MAX);
}

static void ignore(struct timer *t)
{
	(void)t;
}

/* What is armed no more wakes nobody. */
static void disarmed_is_not_next(void **state)
{
	struct timer soon = { .fire = ignore }, late = { .fire = ignore };
	struct wheel w;

	(void)state;
	wheel_init(&w, 0);
	wheel_arm(&w, &soon, 5);
	wheel_arm(&w, &late, 70);
	assert_int_equal(wheel_next(&w), 5);
	wheel_disarm(&w, &soon);
	assert_int_equal(wheel_next(&w), 70);
	wheel_disarm(&w, &late);
	assert_true(wheel_next(&w) == UINT64_MAX);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Prints, does not judge: machines differ. */
static void a_million_timers(void **state)
{
	enum { MANY = 1000000, SPREAD_MS = 3600000 };
	struct wheel *w = malloc(sizeof(*w));
	struct timer *t = calloc(MANY, sizeof(*t));
	uint64_t seed = 61;
	double added, removed, fired, begin;
	size_t n;

	(void)state;
	assert_true(w && t);
	wheel_init(w, 0);
	begin = seconds();
	for (size_t i = 0; i < MANY; i++) {
		t[i].fire = ignore;
		wheel_arm(w, &t[i], 1 + any_below(&seed, SPREAD_MS));
	}
	added = seconds();
	for (size_t i = 0; i < MANY; i += 2)
		wheel_disarm(w, &t[i]);
	removed = seconds();
	n = wheel_advance(w, SPREAD_MS, SIZE_MAX);
	fired = seconds();
	print_message("a million timers: %.0f ns to add, %.0f to delete, %.0f to fire\n", (added - begin) * 1e9 / MANY,
		      (removed - added) * 1e9 / (MANY / 2), (fired - removed) * 1e9 / (MANY / 2));
	assert_int_equal(n, MANY / 2);
	assert_int_equal(w->count, 0);
	free(t);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_sorted_list),     cmocka_unit_test(next_leads_to_each),
		cmocka_unit_test(ties_fire_in_order_of_arming),  cmocka_unit_test(past_and_present_mean_next_ms),
		cmocka_unit_test(far_future_is_clamped),         cmocka_unit_test(gap_is_one_firing),
		cmocka_unit_test(timer_may_free_itself),         cmocka_unit_test(disarmed_is_not_next), cmocka_unit_test(a_million_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
