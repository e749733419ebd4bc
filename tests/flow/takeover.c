/* What must outlive a node (DESIGN §7): node A is stopped, node B applies what A encoded, and the call goes on. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

static void take_over(struct flow *f, const char *yaml, unsigned workers)
{
	f->rig = rig_take_over(f->rig, yaml, workers, 1);
}

static void hang_up_from_alice(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE sip:bob@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

static void answered_call_is_ended_by_caller(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	take_over(&f, FLOW_ONE, 1);
	hang_up_from_alice(&f);
}

/* The nodes of a pair may differ in workers (DECISIONS 1). */
static void answered_call_is_ended_by_callee_on_more_workers(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	take_over(&f, FLOW_ONE, 8);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE sip:alice@192.0.2.10:5060 SIP/2.0");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_end(&f);
}

static void ringing_call_is_answered_and_ended(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	take_over(&f, FLOW_ONE, 2);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	hang_up_from_alice(&f);
}

/* §12.1.2 asks for a Contact, and 180s without one ring all the same. */
static void it_rings_without_contact(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	rig_say(f.rig, BOB, CORE, "", "SIP/2.0 180 Ringing\nVia: %s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: %s\n",
	        got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO),
	        got_value(&f.at_bob, HDR_CALL_ID), got_value(&f.at_bob, HDR_CSEQ));
	flow_expect_at_alice(&f, "SIP/2.0 180");
	take_over(&f, FLOW_ONE, 1);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	hang_up_from_alice(&f);
}

static void ringing_call_is_cancelled(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	take_over(&f, FLOW_ONE, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "CANCEL sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv1;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-call@192.0.2.10\n"
	        "CSeq: 1 CANCEL\n");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_expect_at_alice(&f, "SIP/2.0 487");
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv1;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        got_value(&f.at_alice, HDR_TO));
	flow_end(&f);
}

/* The answer is out, its ACK is not: B repeats the 200 and passes the ACK on. */
static void answered_but_not_acknowledged(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	take_over(&f, FLOW_ONE, 1);
	rig_after(f.rig, SIP_T1);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	hang_up_from_alice(&f);
}

static void bob_notifies(struct flow *f, const char *lines)
{
	flow_bob_says(f, "NOTIFY", lines, "");
	flow_expect_at_alice(f, "NOTIFY sip:alice@192.0.2.10:5060 SIP/2.0");
	flow_alice_answers(f, 200, "", "");
	rig_expect(f->rig, BOB, "SIP/2.0 200", &f->at_bob);
}

/* Alice has referred Bob to somebody: one subscription; kept by it after her BYE. */
static void refer_begins(struct flow *f, bool has_bye)
{
	flow_answered(f, FLOW_ONE, 1, 1);
	f->alice_cseq = 41;
	flow_alice_says(f, "REFER", "Refer-To: <sip:carol@example.com>\n", "");
	flow_expect_at_bob(f, "REFER ");
	flow_bob_answers(f, 202, "", "");
	flow_expect_at_alice(f, "SIP/2.0 202");
	if (!has_bye)
		return;
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

/* The other node knows the subscription: which NOTIFY is its own, that it outlives the call, and how long. */
static void call_with_a_subscription(void **state)
{
	struct flow f;

	(void)state;
	refer_begins(&f, false);
	take_over(&f, FLOW_ONE, 2);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(f.rig->n_cdrs, 1);
	rig_after(f.rig, USAGE_REFER_MS - 1000);
	flow_bob_says(&f, "NOTIFY", "Event: refer;id=2\nSubscription-State: active\n", "");
	flow_expect_at_alice(&f, "NOTIFY ");
	assert_string_equal(got_value(&f.at_alice, HDR_EVENT), "refer;id=42");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	bob_notifies(&f, "Event: refer\nSubscription-State: terminated\n");
	rig_after(f.rig, 70000);
	assert_int_equal(rig_in_use(f.rig), 0);
	flow_end(&f);
}

static void subscription_outlives_its_call_and_its_node(void **state)
{
	struct flow f;

	(void)state;
	refer_begins(&f, true);
	take_over(&f, FLOW_ONE, 8);
	flow_alice_says(&f, "BYE", "", ""); /* it is no session there either */
	flow_expect_at_alice(&f, "SIP/2.0 481");
	bob_notifies(&f, "Event: refer\nSubscription-State: active;expires=60\n");
	assert_int_equal(f.rig->n_cdrs, 0); /* the first node wrote it */
	rig_after(f.rig, 60000 + USAGE_GRACE_MS + 1);
	assert_int_equal(rig_in_use(f.rig), 0);
	flow_end(&f);
}

/* A record is a message from outside: cut or changed anywhere, it is refused or applied, and nothing breaks. */
static void damaged_records_break_nothing(void **state)
{
	struct rig_records all = { .n = 0 };
	struct flow f;
	struct rig *b;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	rig_export(f.rig, &all);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	rig_export(f.rig, &all);
	assert_int_equal(all.n, 2);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
	rig_free(f.rig, false);
	for (unsigned kept = 0; kept < 2; kept++) {
		refer_begins(&f, kept);
		rig_export(f.rig, &all);
		got_free(&f.at_alice);
		got_free(&f.at_bob);
		rig_free(f.rig, false);
	}
	flow_begin(&f, FLOW_ONE, 1, 1);
	f.bob = BOB;
	flow_alice_calls(&f, "Session-Expires: 600\n", SDP); /* refreshed by us, with the SDP that goes into the record */
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	rig_export(f.rig, &all);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
	rig_free(f.rig, false);
	assert_int_equal(all.n, 5);
	b = rig_new(FLOW_ONE, 1, 5);
	for (unsigned i = 0; i < all.n; i++)
		for (size_t cut = 0; cut < all.of[i].len; cut++) {
			char *copy = malloc(all.of[i].len);

			assert_non_null(copy);
			memcpy(copy, all.of[i].p, all.of[i].len);
			b2bua_apply(b->workers[0].calls, (struct sv){ copy, cut });
			copy[cut] ^= (char)(1 + rig_random(b, 255));
			b2bua_apply(b->workers[0].calls, (struct sv){ copy, all.of[i].len });
			free(copy);
			if (rig_calls(b) > 100) {
				rig_free(b, false);
				b = rig_new(FLOW_ONE, 1, cut);
			}
		}
	rig_after(b, 1000);
	rig_free(b, false);
	rig_records_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answered_call_is_ended_by_caller),
		cmocka_unit_test(answered_call_is_ended_by_callee_on_more_workers),
		cmocka_unit_test(ringing_call_is_answered_and_ended),
		cmocka_unit_test(it_rings_without_contact),
		cmocka_unit_test(ringing_call_is_cancelled),
		cmocka_unit_test(answered_but_not_acknowledged),
		cmocka_unit_test(call_with_a_subscription),
		cmocka_unit_test(subscription_outlives_its_call_and_its_node),
		cmocka_unit_test(damaged_records_break_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
