/* tests/unit/nat/oom.c - each allocation of nat/ fails in turn. */
#include "tests/unit/base/unit.h"
#include "tests/unit/base/oom.h"
#include "nat/heard.c"
#include "nat/keeper.c"
#include "nat/learn.c"
#include "nat/ping.c"

static struct keep_terms terms(void *ctx, const struct keep *e)
{
	(void)ctx;
	(void)e;
	return (struct keep_terms){ 30000, 3 };
}

static void keeper_without_memory(void **state)
{
	struct wheel wheel;
	struct keeper_params p = { .wheel = &wheel, .terms = terms };
	struct keep e = { 0 };
	struct keeper *k;

	(void)state;
	wheel_init(&wheel, 1000);
	oom_in = 1;
	assert_int_equal(keeper_new(&k, &p), -ENOMEM);
	assert_int_equal(keeper_new(&k, &p), 0);
	for (unsigned i = 1; i <= 2; i++) {
		oom_in = i;
		assert_int_equal(keeper_add(k, &e, 0), -ENOMEM);
		assert_false(keep_is_kept(&e));
		assert_int_equal(counter_get(keeper_counters(k), KEEPER_REFUSED), i);
		assert_int_equal(counter_get(keeper_counters(k), KEEPER_CONTACTS), 0);
		assert_int_equal(wheel.count, 0);
	}
	oom_in = 0;
	assert_int_equal(keeper_add(k, &e, 0), 0);
	assert_true(keep_is_kept(&e));
	keeper_free(k);
	assert_int_equal(wheel.count, 0);
	assert_false(keep_is_kept(&e));
}

static void heard_without_memory(void **state)
{
	const struct hash_key key = { 1, 2 };
	struct heard *h = NULL;

	(void)state;
	oom_in = 1;
	assert_int_equal(heard_new(&h, &key, HEARD_PLACES), -ENOMEM);
	assert_int_equal(heard_new(&h, &key, HEARD_PLACES), 0);
	heard_free(h);
}

static void the_others_without_memory(void **state)
{
	const struct hash_key key = { 1, 2 };
	struct ping_form form = { 0 };
	struct learner *l;

	(void)state;
	oom_in = 1;
	assert_int_equal(learner_new(&l, &key), -ENOMEM);
	oom_in = 1;
	assert_int_equal(ping_form_init(&form, SV("sbc.example.com")), -ENOMEM);
	assert_null(form.text);
	ping_form_fini(&form);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keeper_without_memory), cmocka_unit_test(heard_without_memory),
		                            cmocka_unit_test(the_others_without_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
