/* Each allocation fails in turn while a call moves to another destination, or comes back because nobody else takes it. Whatever fails: the
 * call is at one of them and everybody has his ACK, or it has ended, and nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/party.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static uint32_t load(struct rig *r, const char *name)
{
	return dest_load(r->shared.pools, dest_find(r->shared.pools, r->conf, sv_from(name), NULL));
}

static void wish(struct rig *r, const char *name, enum dest_wish wish)
{
	dest_put_wish(r->shared.pools, dest_find(r->shared.pools, r->conf, sv_from(name), NULL), wish, r->now_ms);
}

static unsigned at(struct rig *r, const char *name, unsigned (*fn)(struct b2bua *b, uint16_t slot, unsigned max))
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += fn(r->workers[i].calls, dest_find(r->shared.pools, r->conf, sv_from(name), NULL), 10);
	rig_after(r, 0);
	return n;
}

static struct rig *begin(void)
{
	struct rig *r = rig_new(FLOW_TWO, 1, 1);
	struct phone a, b;

	wish(r, "apps/carol", WISH_DRAINING);
	phone_new(&a, r, "alice", ALICE);
	phone_new(&b, r, "bob", BOB);
	phones_talk(&a, &b, "sip:bob@example.com");
	wish(r, "apps/carol", WISH_IN_SERVICE);
	wish(r, "apps/bob", WISH_DRAINING);
	phone_free(&a);
	phone_free(&b);
	return r;
}

static bool failing(unsigned carols_status, unsigned long n, unsigned long more)
{
	struct rig *r = begin();
	struct party all[] = {
		{ .at = ALICE, .listener = EDGE, .name = "NEAR-alice", .body = OFFER, .status = 200 },
		{ .at = BOB, .listener = CORE, .name = "FAR-bob", .body = ANSWER, .status = 200 },
		{ .at = CAROL, .listener = CORE, .name = "carol", .body = ANSWER, .status = carols_status },
	};
	bool has_failed = false;

	oom_arm(n, more);
	at(r, "apps/bob", b2bua_move_at);
	for (unsigned i = 0; i < 80; i++) {
		for (unsigned k = 0; k < 3; k++) {
			party_repeats(r, &all[k]);
			party_serve(r, &all[k]);
			rig_after(r, 0);
		}
		for (unsigned k = 0; k < 3; k++)
			party_serve(r, &all[k]);
		if (i == 2)
			has_failed = oom_disarm();
		rig_after(r, 500);
	}
	assert_int_equal(rig_calls(r), load(r, "apps/bob") + load(r, "apps/carol"));
	assert_true(!all[0].has_invite || all[0].is_acked);
	assert_true(!load(r, "apps/carol") || (all[2].is_acked && all[0].is_acked));
	at(r, "apps/bob", b2bua_hangup_at);
	at(r, "apps/carol", b2bua_hangup_at);
	for (unsigned k = 0; k < 3; k++) {
		party_serve(r, &all[k]);
		party_free(&all[k]);
	}
	rig_after(r, 3600000);
	rig_forget(r, ALICE);
	rig_forget(r, BOB);
	rig_forget(r, CAROL);
	rig_free(r, true);
	return has_failed;
}

static void fail_each(unsigned carols_status, const char *which)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	for (unsigned i = 0; i < 3; i++) {
		long live = oom_live();
		unsigned long n = 1;

		while (failing(carols_status, n, more[i]))
			n++;
		if (i == 0)
			print_message("%s: %lu allocations, each of them failed\n", which, n - 1);
		assert_true(n > 3);
		assert_int_equal(oom_live(), live);
	}
}

static void it_goes_on_elsewhere(void **state)
{
	(void)state;
	fail_each(200, "a move");
}

static void it_comes_back(void **state)
{
	(void)state;
	fail_each(486, "a move that nobody takes");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(it_goes_on_elsewhere), cmocka_unit_test(it_comes_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
