/* tests/unit/nat/learn.c */
#include "nat/learn.h"
#include "tests/unit/base/unit.h"

static const struct hash_key key = { 3, 4 };
static const struct learn_terms terms = { .every_ms = 30000, .min_ms = 11000, .max_ms = 80000 };

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(text)), 0);
	return a;
}

static int setup(void **state)
{
	return learner_new((struct learner **)state, &key);
}

static int teardown(void **state)
{
	learner_free(*state);
	return 0;
}

static void answers(struct learner *l, const struct addr *a, unsigned n)
{
	while (n-- > 0)
		learn_kept(l, a, &terms);
}

static void lengthened_slowly(void **state)
{
	static const uint32_t steps[] = { 30000, 40000, 50000, 60000, 75000, 80000, 80000 };
	struct addr a = at("192.0.2.1");
	struct learner *l = *state;

	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		answers(l, &a, LEARN_ANSWERS - 1);
		assert_int_equal(learn_every(l, &a, &terms), steps[i]);
		answers(l, &a, 1);
	}
}

static void shortened_at_once(void **state)
{
	static const uint32_t steps[] = { 25000, 20000, 15000, 12000, 11000, 11000 };
	struct addr a = at("192.0.2.1");
	struct learner *l = *state;

	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		learn_lost(l, &a, &terms);
		assert_int_equal(learn_every(l, &a, &terms), steps[i]);
	}
	answers(l, &a, LEARN_ANSWERS - 1);
	learn_lost(l, &a, &terms);
	answers(l, &a, LEARN_ANSWERS - 1); /* counted anew */
	assert_int_equal(learn_every(l, &a, &terms), 11000);
	answers(l, &a, 10 * LEARN_ANSWERS);
	assert_int_equal(learn_every(l, &a, &terms), 80000); /* back again: the contact may have been switched off */
}

/* What lost a mapping is not tried again. */
static void too_long_is_remembered(void **state)
{
	struct addr a = at("192.0.2.1");
	struct learner *l = *state;

	answers(l, &a, 2 * LEARN_ANSWERS);
	assert_int_equal(learn_every(l, &a, &terms), 50000);
	learn_moved(l, &a, &terms);
	assert_int_equal(learn_every(l, &a, &terms), 40000);
	answers(l, &a, 10 * LEARN_ANSWERS);
	assert_int_equal(learn_every(l, &a, &terms), 40000);
	learn_moved(l, &a, &terms);
	answers(l, &a, 10 * LEARN_ANSWERS);
	assert_int_equal(learn_every(l, &a, &terms), 30000);
}

static void by_network(void **state)
{
	struct addr a = at("192.0.2.1"), same = at("192.0.2.200"), other = at("192.0.3.1");
	struct addr a6 = at("2001:db8:1:2::1"), same6 = at("2001:db8:1:2:ffff::9"), other6 = at("2001:db8:1:3::1");
	struct learner *l = *state;

	learn_lost(l, &a, &terms);
	learn_lost(l, &a6, &terms);
	assert_int_equal(learn_every(l, &same, &terms), 25000);
	assert_int_equal(learn_every(l, &same6, &terms), 25000);
	assert_int_equal(learn_every(l, &other, &terms), 30000);
	assert_int_equal(learn_every(l, &other6, &terms), 30000);
}

/* A new network takes a place over and begins at the beginning; nobody is taken for another. */
static void more_networks_than_places(void **state)
{
	struct learner *l = *state;
	struct addr a = at("10.0.0.1");

	for (uint32_t i = 0; i < 4 * LEARN_PLACES; i++) {
		a.ip[0] = (uint8_t)(i >> 16);
		a.ip[1] = (uint8_t)(i >> 8);
		a.ip[2] = (uint8_t)i;
		assert_int_equal(learn_every(l, &a, &terms), 30000);
		learn_moved(l, &a, &terms);
		assert_int_equal(learn_every(l, &a, &terms), 25000);
	}
}

static void other_bounds_later(void **state)
{
	const struct learn_terms narrow = { .every_ms = 30000, .min_ms = 28000, .max_ms = 32000 };
	struct addr a = at("192.0.2.1");
	struct learner *l = *state;

	answers(l, &a, 3 * LEARN_ANSWERS);
	assert_int_equal(learn_every(l, &a, &terms), 60000);
	assert_int_equal(learn_every(l, &a, &narrow), 32000);
	learn_lost(l, &a, &narrow);
	assert_int_equal(learn_every(l, &a, &narrow), 30000);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(lengthened_slowly), CASE(shortened_at_once), CASE(too_long_is_remembered), CASE(by_network),
		CASE(more_networks_than_places), CASE(other_bounds_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
