/* The plain call, from both ends (RFC 3665 §3.1 with us in the path), and that neither sees the other. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void invite_180_200_ack_bye_from_caller(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	assert_int_equal(rig_calls(f.rig), 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE sip:bob@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(rig_calls(f.rig), 0);
	assert_int_equal(f.rig->n_cdrs, 1);
	flow_end(&f);
}

static void bye_from_callee(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE sip:alice@192.0.2.10:5060 SIP/2.0");
	assert_string_equal(got_value(&f.at_alice, HDR_CALL_ID), "alice-call@192.0.2.10");
	assert_string_equal(got_tag(&f.at_alice, HDR_TO), "alice");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_end(&f);
}

/* What each side may not see of the other. */
static void neither_side_sees_the_other(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	assert_false(got_has(&f.at_bob, "alice-call"));
	assert_false(got_has(&f.at_bob, "tag=alice"));
	assert_false(got_has(&f.at_bob, "z9hG4bKinv"));
	assert_false(got_has(&f.at_bob, "Phone 1.0"));
	assert_false(got_has(&f.at_bob, "alice@192.0.2.10"));
	flow_bob_answers(&f, 180, "Server: App 2.0\nRecord-Route: <sip:10.0.0.99;lr>\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	assert_false(got_has(&f.at_alice, "10.0.0."));
	assert_false(got_has(&f.at_alice, "tag=bob"));
	assert_false(got_has(&f.at_alice, "App 2.0"));
	assert_false(got_has(&f.at_alice, f.far_call_id));
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invite_180_200_ack_bye_from_caller),
		cmocka_unit_test(bye_from_callee),
		cmocka_unit_test(neither_side_sees_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
