/* Each allocation fails in turn while a request that names a call is read, asks another worker, waits and goes on. What cannot be done
 * is refused, the calls that are named go on, and nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum what { REFER, REPLACES };

static void name(struct phone *p, const char *who)
{
	snprintf(p->call_id, sizeof(p->call_id), "NEAR-call-%s", who);
	snprintf(p->local, sizeof(p->local), "<sip:%s@example.com>;tag=%s", who, p->tag);
}

/* Whatever came of it. */
static void forget(struct rig *r)
{
	rig_forget(r, ALICE);
	rig_forget(r, BOB);
	rig_forget(r, CAROL);
}

static bool failing(enum what what, unsigned workers, unsigned long n, unsigned long more)
{
	struct rig *r = rig_new(FLOW_ONE, workers, 1);
	struct phone a1, a2, b1, b2, third;
	char extra[512];
	bool has_failed;

	phone_new(&a1, r, "alice1", ALICE);
	phone_new(&a2, r, "alice2", ALICE);
	phone_new(&third, r, "alice3", ALICE);
	phone_new(&b1, r, "bob1", BOB);
	phone_new(&b2, r, "bob2", BOB);
	name(&a1, "one");
	name(&a2, "two");
	name(&third, "three");
	phones_talk(&a1, &b1, "sip:bob@example.com");
	phones_talk(&a2, &b2, "sip:bob@example.com");
	oom_arm(n, more);
	if (what == REFER) {
		phone_asks(&a1, "REFER", phone_refer_lines(&a2, "Replaces"), "");
	} else {
		snprintf(extra, sizeof(extra), "Replaces: %s\n", phone_call_name(&a2));
		phone_calls(&third, "sip:bob@example.com", extra, OFFER);
	}
	rig_after(r, 0);
	has_failed = oom_disarm();
	forget(r);
	phones_end(&a1, &b1);
	phones_end(&b2, &a2);
	rig_after(r, 3600000);
	forget(r);
	phone_free(&a1);
	phone_free(&a2);
	phone_free(&b1);
	phone_free(&b2);
	phone_free(&third);
	rig_free(r, true);
	return has_failed;
}

static void fail_each(enum what what, const char *which)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	for (unsigned workers = 1; workers <= 8; workers *= 2)
		for (unsigned i = 0; i < 3; i++) {
			long live = oom_live();
			unsigned long n = 1;

			while (failing(what, workers, n, more[i]))
				n++;
			if (i == 0)
				print_message("%s, %u workers: %lu allocations, each of them failed\n", which, workers, n - 1);
			assert_true(n > 3);
			assert_int_equal(oom_live(), live);
		}
}

static void of_a_refer(void **state)
{
	(void)state;
	fail_each(REFER, "REFER");
}

static void of_an_invite_with_replaces(void **state)
{
	(void)state;
	fail_each(REPLACES, "INVITE with Replaces");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_refer),
		cmocka_unit_test(of_an_invite_with_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
