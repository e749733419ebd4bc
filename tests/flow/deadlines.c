/* Every state has a deadline (LESSONS 26): what one side starts and nobody ends, ends by itself, and both sides hear of it. */
#include "tests/flow/flow.h"
#include "sbc/call/b2bua.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void hang_up(struct flow *f)
{
	flow_bob_says(f, "BYE", "", "");
	flow_expect_at_alice(f, "BYE ");
	flow_alice_answers(f, 200, "", "");
	rig_expect(f->rig, f->bob, "SIP/2.0 200", &f->at_bob);
	flow_end(f);
}

/* It rings and rings, always within timer C: ten minutes are enough. */
static void a_call_that_rings_for_ever(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	for (unsigned i = 0; i < CALL_SETUP_MAX_MS / 60000; i++) {
		flow_bob_answers(&f, 180, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 180");
		rig_after(f.rig, 60000 - 1);
		rig_expect_silence(f.rig, ALICE);
	}
	rig_after(f.rig, CALL_SETUP_MAX_MS / 60000);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	flow_refused(&f);
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	assert_int_equal(rig_calls(f.rig), 0);
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

static void a_reinvite_that_rings_for_ever(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	rig_after(f.rig, 179999);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	rig_after(f.rig, 40000);
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	hang_up(&f);
}

/* Cancelled, and the other side says nothing to that: 32 s later the asker has his answer all the same. */
static void a_cancelled_reinvite_nobody_ends(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	rig_say(f.rig, ALICE, EDGE, "",
	        "CANCEL %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKINVITE%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u CANCEL\n",
	        f.near_contact, f.alice_cseq, f.near_to, f.alice_cseq);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	rig_after(f.rig, 31990);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 20);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	rig_after(f.rig, 40000);
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	hang_up(&f);
}

/* A request within the dialog waits for a name no longer than five seconds. */
static void a_name_within_a_dialog_that_takes_too_long(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	f.rig->names[0] = (struct rig_name){ .host = "slow.core.test", .delay_ms = 60000 };
	assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("10.0.0.33:5060")), 0);
	f.rig->n_names = 1;
	flow_bob_says(&f, "UPDATE", "Contact: <sip:bob@slow.core.test>\n", "");
	flow_expect_at_alice(&f, "UPDATE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_alice_says(&f, "INFO", "", "");
	rig_after(f.rig, CALL_RESOLVE_MS - 1);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	flow_expect_at_alice(&f, "SIP/2.0 503");
	hang_up(&f);
}

/* Subscriptions that nobody ever serves, however long they were asked for. */
static void a_subscription_without_any_notify(void **state)
{
	static const char *const expires[] = { "Expires: 60\n", "Expires: 4294967295\n" };
	static const uint64_t most_ms[] = { 60000 + USAGE_GRACE_MS, USAGE_MAX_MS };
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		flow_begin(&f, FLOW_ONE, 1, 1);
		f.bob = BOB;
		rig_say(f.rig, ALICE, EDGE, "",
		        "SUBSCRIBE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKsub;rport\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-sub@192.0.2.10\nCSeq: 1 SUBSCRIBE\n"
		        "Contact: <sip:alice@192.0.2.10:5060>\nEvent: presence\n%s", expires[i]);
		flow_expect_at_bob(&f, "SUBSCRIBE ");
		flow_bob_answers(&f, 200, expires[i], "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		rig_after(f.rig, 59000);
		assert_true(rig_in_use(f.rig) > 0);
		rig_after(f.rig, most_ms[i]);
		assert_int_equal(rig_in_use(f.rig), 0);
		rig_expect_silence(f.rig, ALICE);
		rig_expect_silence(f.rig, BOB);
		flow_end(&f);
	}
}

#define REFRESHED \
	"node: test\nzones:\n" \
	"  public: { listen: [\"udp:203.0.113.10:5060\"], domains: [\"example.com\"], session: { ping: 0s } }\n" \
	"  core: { listen: [\"udp:10.0.0.10:5060\"], trust: [\"10.0.0.0/24\"], session: { expires: 10m, ping: 0s } }\n" \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES

/* A refresh of ours that is answered with 180 and nothing else: the session ends when its time has come. */
static void a_refresh_that_rings_for_ever(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, REFRESHED, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Allow: INVITE, ACK, BYE\nSession-Expires: 600;refresher=uac\nRequire: timer\nContent-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	rig_after(f.rig, 300100);
	flow_expect_at_bob(&f, "INVITE sip:bob@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(&f, 180, "", "");
	rig_after(f.rig, 600000 - 300100 - 32000 - 2000);
	assert_int_equal(rig_calls(f.rig), 1);
	rig_after(f.rig, 4000);
	assert_int_equal(rig_calls(f.rig), 0);
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_after(f.rig, 60000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_rings_for_ever),
		cmocka_unit_test(a_reinvite_that_rings_for_ever),
		cmocka_unit_test(a_cancelled_reinvite_nobody_ends),
		cmocka_unit_test(a_name_within_a_dialog_that_takes_too_long),
		cmocka_unit_test(a_subscription_without_any_notify),
		cmocka_unit_test(a_refresh_that_rings_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
