/* Unit tests of topohide/policy.h: which sets calls hold, over reloads, and what memory that runs out leaves behind. (What rules do to a
 * message: tests/flow/policy.c.) */
#include "topohide/policy.h"
#include "tests/unit/conf/conf_test.h"
#include "tests/unit/conf/failing_malloc.h"

static const struct hash_key key = { 1, 2 };

#define START "node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\", headers: { in: [zone] } } }\n"
#define RULES(what) \
	"headers: { zone: [{ remove: X-Z }], one: [{ " what " }], two: [{ keep: [X-B, X-C], when: { method: [INVITE, FOO] } }] }\n"
#define TAIL(more) \
	"pools: { p: { zone: a, headers: { in: two }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] }, " \
	"q: { zone: a, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] } }\n" \
	"routes:\n" \
	"  - { when: { caller: trusted, user: a }, to: { pool: p }, headers: { out: one } }\n" \
	"  - { when: { caller: trusted, user: b }, to: { pool: p } }\n" \
	"  - { when: { caller: trusted, user: c }, to: { pool: q } }\n" \
	"  - { when: { caller: trusted, user: d }, to: { pool: p }, headers: { out: one } }\n" \
	"  - { when: { caller: any }, to: { reject: 404 } }\n" more
#define FIRST RULES("set: X-A, value: \"a ${from-user}\"") START TAIL("")
#define SECOND RULES("set: X-A, value: \"b ${from-user}\"") START TAIL("")

/* Routes with the same rules share a set; a set goes when nobody holds it any more. */
static void sets_are_shared_and_held(void **state)
{
	struct conf *first = parsed(FIRST), *second = parsed(SECOND), *plain = parsed(NODE ZONES POOLS ROUTES);
	struct policies p;
	uint16_t a, b, d;
	uint64_t name;

	(void)state;
	policies_init(&p, &key);
	assert_false(p.is_on);
	assert_int_equal(policies_adopt(&p, first), 0);
	assert_true(p.is_on);
	a = policies_hold(&p, 0);
	b = policies_hold(&p, 1);
	d = policies_hold(&p, 3);
	assert_true(a && b && a != b);
	assert_int_equal(a, d);
	assert_int_equal(policies_hold(&p, 2), 0);
	assert_int_equal(policies_hold(&p, 4), 0);
	assert_int_equal(policies_hold(&p, 5), 0);
	name = policies_name(&p, a);
	assert_int_equal(policies_adopt(&p, second), 0);
	assert_int_equal(policies_hold(&p, 1), b);       /* not changed */
	assert_int_not_equal(policies_hold(&p, 0), a);   /* one is */
	assert_int_equal(policies_name(&p, a), name);
	assert_int_equal(policies_hold_named(&p, name), a);
	policies_release(&p, a);
	policies_release(&p, a);
	assert_int_equal(policies_hold_named(&p, name), a); /* the last is still there */
	policies_release(&p, a);
	policies_release(&p, a);
	assert_int_equal(policies_hold_named(&p, name), 0);
	assert_int_equal(policies_hold_named(&p, 0), 0);
	assert_int_equal(policies_adopt(&p, plain), 0);
	assert_true(p.is_on); /* some are held */
	policies_fini(&p);
	conf_free(first);
	conf_free(second);
	conf_free(plain);
}

static void nothing_is_on_without_rules(void **state)
{
	struct conf *first = parsed(FIRST), *plain = parsed(NODE ZONES POOLS ROUTES);
	struct policies p;
	uint16_t a;

	(void)state;
	policies_init(&p, &key);
	assert_int_equal(policies_adopt(&p, plain), 0);
	assert_false(p.is_on);
	assert_int_equal(policies_adopt(&p, first), 0);
	a = policies_hold(&p, 0);
	assert_int_equal(policies_adopt(&p, plain), 0);
	assert_true(p.is_on);
	policies_release(&p, a);
	assert_int_equal(policies_adopt(&p, plain), 0);
	assert_false(p.is_on);
	policies_fini(&p);
	conf_free(first);
	conf_free(plain);
}

/* The name says what the rules do, and nothing else: the other node finds it under the same one. */
static void names_follow_from_the_rules(void **state)
{
	static const char *const others[] = {
		RULES("set: X-A, value: \"a ${to-user}\"") START TAIL(""), RULES("add: X-A, value: \"a ${from-user}\"") START TAIL(""),
		RULES("set: X-B, value: \"a ${from-user}\"") START TAIL(""),
		RULES("set: X-A, value: \"a ${from-user}\", identity: remove") START TAIL(""),
		RULES("set: X-A, value: \"a ${from-user}\", when: { message: request }") START TAIL(""),
		RULES("set: X-A, value: \"a ${from-user}\", when: { method: BYE }") START TAIL(""),
	};
	struct conf *c = parsed(FIRST);
	struct policies p;
	uint64_t name;

	(void)state;
	policies_init(&p, &key);
	assert_int_equal(policies_adopt(&p, c), 0);
	name = policies_name(&p, policies_hold(&p, 0));
	policies_fini(&p);
	assert_int_equal(policies_adopt(&p, c), 0);
	assert_int_equal(policies_name(&p, policies_hold(&p, 3)), name);
	policies_fini(&p);
	conf_free(c);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		c = parsed(others[i]);
		assert_int_equal(policies_adopt(&p, c), 0);
		assert_int_not_equal(policies_name(&p, policies_hold(&p, 0)), name);
		policies_fini(&p);
		conf_free(c);
	}
}

/* Each allocation fails in turn: the rules stay those of before, and nothing is lost. */
static void memory_that_runs_out(void **state)
{
	struct conf *first, *second;
	unsigned failed = 0;

	(void)state;
	if (!allocations_can_fail())
		skip();
	first = parsed(FIRST);
	second = parsed(SECOND);
	for (unsigned n = 1;; n++) {
		struct policies p;
		long before = allocations_live();
		uint16_t a;
		int err;

		policies_init(&p, &key);
		assert_int_equal(policies_adopt(&p, first), 0);
		a = policies_hold(&p, 0);
		allocation_fails(n);
		err = policies_adopt(&p, second);
		allocation_fails(0);
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(policies_hold(&p, 0) == a, err != 0);
		policies_fini(&p);
		assert_int_equal(allocations_live(), before);
		failed += err != 0;
		if (!err)
			break;
	}
	assert_in_range(failed, 4, 100);
	conf_free(first);
	conf_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_shared_and_held),
		cmocka_unit_test(nothing_is_on_without_rules),
		cmocka_unit_test(names_follow_from_the_rules),
		cmocka_unit_test(memory_that_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
