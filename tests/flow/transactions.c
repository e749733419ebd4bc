/* Both of our transactions of a request seen from outside, with their timers (RFC 3261 §17): what is repeated, until when, and that nobody on
 * the other side hears of it. The machines themselves: tests/unit/sip/transactions.c. */
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define FLOW_PATIENT \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, failover: { after: 32s }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	FLOW_ROUTES

static void flow_drop(struct flow *f)
{
	rig_free(f->rig, false);
	got_free(&f->at_alice);
	got_free(&f->at_bob);
}

/* Timers A and B towards a destination that never says a word; Alice repeats nothing of it and gets 408 in the end. */
static void nobody_answers_the_invite(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_PATIENT, 2, 1);
	flow_invite(&f, BOB);
	for (unsigned a_ms = 500; a_ms <= 16000; a_ms *= 2) {
		rig_after(f.rig, a_ms - 1);
		rig_expect_silence(f.rig, BOB);
		rig_after(f.rig, 1);
		flow_expect_at_bob(&f, "INVITE ");
	}
	rig_after(f.rig, 499);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	rig_expect_silence(f.rig, BOB);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	flow_refused(&f);
	flow_end(&f);
}

/* Alice's INVITE again: our last provisional again, and nothing at Bob. */
static void the_invite_comes_again(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_PATIENT, 8, 1);
	flow_invite(&f, BOB);
	flow_alice_calls(&f, "", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	flow_alice_calls(&f, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 180");
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_calls(&f, "", SDP); /* RFC 6026: absorbed; the 2xx is repeated by its own timer */
	rig_expect_silence(f.rig, ALICE);
	rig_expect_silence(f.rig, BOB);
	flow_drop(&f);
}

/* Timer G towards Alice, timer D towards Bob: each ACK is its own side's. */
static void a_refusal_on_both_sides(void **state)
{
	static const unsigned g_ms[] = { 500, 1000, 2000, 4000, 4000 };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_PATIENT, 2, 1);
	flow_invite(&f, BOB);
	struct flow bob = f;

	f.at_bob = (struct got){ .packet = NULL };
	flow_bob_answers(&bob, 603, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_branch(&f.at_bob), got_branch(&bob.at_bob));
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "bob");
	flow_expect_at_alice(&f, "SIP/2.0 603");
	for (unsigned i = 0; i < sizeof(g_ms) / sizeof(*g_ms); i++) {
		rig_after(f.rig, g_ms[i] - 1);
		rig_expect_silence(f.rig, ALICE);
		rig_after(f.rig, 1);
		flow_expect_at_alice(&f, "SIP/2.0 603");
	}
	flow_refused(&f);
	rig_after(f.rig, 15000);
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&bob, 603, "", ""); /* our ACK was lost: he repeats, and so do we, for 32 s */
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	rig_after(f.rig, 6000);
	flow_bob_answers(&bob, 603, "", "");
	rig_expect_silence(f.rig, BOB);
	rig_expect_silence(f.rig, ALICE);
	got_free(&bob.at_bob);
	flow_end(&f);
}

/* Timer E towards Bob; Alice's own repetitions are absorbed, and answered once there is an answer; then J. */
static void a_request_within_the_dialog(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	f.alice_cseq--;
	flow_alice_says(&f, "INFO", "", "");
	rig_expect_silence(f.rig, BOB);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 500);
	flow_expect_at_bob(&f, "INFO ");
	rig_after(f.rig, 1000);
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 100, "", "");
	rig_after(f.rig, 2000); /* E that was armed */
	flow_expect_at_bob(&f, "INFO ");
	rig_after(f.rig, 3999);
	rig_expect_silence(f.rig, BOB);
	rig_after(f.rig, 1);    /* T2 from now on */
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	f.alice_cseq--;
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_expect_silence(f.rig, BOB);
	flow_drop(&f);
}

/* Timer F: no answer to a request within the dialog is 408 for who asked; of an INFO the dialog lives on, of an UPDATE not (RFC 5057). */
static void nobody_answers_within_the_dialog(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INFO", "", "");
	rig_after(f.rig, 31999);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	assert_int_equal(rig_calls(f.rig), 1);
	flow_alice_says(&f, "UPDATE", "", "");
	rig_after(f.rig, 32000);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* ICMP for a request within the dialog: 503, and the call goes on. */
static void icmp_within_the_dialog(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	flow_alice_says(&f, "INFO", "", "");
	rig_refuse_last(f.rig, BOB, ECONNREFUSED);
	flow_expect_at_bob(&f, "INFO ");
	flow_expect_at_alice(&f, "SIP/2.0 503");
	assert_int_equal(rig_calls(f.rig), 1);
	flow_drop(&f);
}

/* A method nobody has heard of passes in both directions, within the dialog and outside (LESSONS 4). */
static void unknown_methods_pass(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_alice_says(&f, "JUGGLE", "X-Balls: 3\n", "");
	flow_expect_at_bob(&f, "JUGGLE sip:bob@10.0.0.21:5060");
	assert_true(got_has(&f.at_bob, "X-Balls: 3\r\n"));
	flow_bob_answers(&f, 202, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 202");
	flow_bob_says(&f, "JUGGLE", "", "");
	flow_expect_at_alice(&f, "JUGGLE sip:alice@192.0.2.10:5060");
	flow_alice_answers(&f, 405, "Allow: INVITE\n", "");
	rig_expect(f.rig, BOB, "SIP/2.0 405", &f.at_bob);
	rig_say(f.rig, ALICE, EDGE, "",
	        "JUGGLE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKout;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=o\nTo: <sip:bob@example.com>\nCall-ID: outside\nCSeq: 1 JUGGLE\n");
	flow_expect_at_bob(&f, "JUGGLE sip:bob@example.com");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(rig_calls(f.rig), 1);
	flow_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_answers_the_invite),
		cmocka_unit_test(the_invite_comes_again),
		cmocka_unit_test(a_refusal_on_both_sides),
		cmocka_unit_test(a_request_within_the_dialog),
		cmocka_unit_test(nobody_answers_within_the_dialog),
		cmocka_unit_test(icmp_within_the_dialog),
		cmocka_unit_test(unknown_methods_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
