/* What crosses on the wire: CANCEL against answers, BYE against re-INVITE, INVITE against INVITE, ACKs that never come
 * (RFC 3261 §9, §13, §14, §15; RFC 5407; DECISIONS 11, 12). */
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void expect_silence(struct flow *f)
{
	rig_expect_silence(f->rig, ALICE);
	rig_expect_silence(f->rig, BOB);
	rig_expect_silence(f->rig, CAROL);
}

/* CANCEL ----------------------------------------------------------------------------------------------------------- */

/* §9.1: no CANCEL before a provisional; the caller need not wait for it. One CANCEL, however often Bob rings. */
static void cancel_before_any_answer_follows_the_first_provisional(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	flow_cancel(&f);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "1 CANCEL");
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_bob_answers(&f, 180, "", "");
	rig_expect(f.rig, BOB, "CANCEL sip:bob@example.com SIP/2.0", &f.at_bob);
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 200, "", "");
	rig_after(f.rig, 1000);
	expect_silence(&f);
	flow_end(&f);
}

static void cancel_of_a_ringing_call(void **state)
{
	struct flow f;
	struct got invite;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	flow_cancel(&f);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	invite = f.at_bob;
	f.at_bob = (struct got){ .packet = NULL };
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	assert_string_equal(got_branch(&f.at_bob), got_branch(&invite));
	flow_bob_answers(&f, 200, "", "");
	got_free(&f.at_bob);
	f.at_bob = invite;
	flow_bob_answers(&f, 487, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_int_equal(rig_calls(f.rig), 0);
	assert_int_equal(f.rig->n_cdrs, 1);
	assert_non_null(strstr(f.rig->cdrs[0], "\"reason\":\"cancelled\""));
	flow_end(&f);
}

/* §9.1 end: the answer was on its way when the caller gave up. She hears 487 only; Bob is acknowledged and hung up. */
static void cancel_crosses_the_answer(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	flow_cancel(&f);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	flow_bob_answers(&f, 200, "", SDP);
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	rig_expect(f.rig, BOB, "ACK sip:bob@10.0.0.21:5060", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "bob");
	rig_expect(f.rig, BOB, "BYE sip:bob@10.0.0.21:5060", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	rig_expect_silence(f.rig, ALICE);
	flow_end(&f);
}

/* §9.2: too late is too late: 200 to the CANCEL, and the call stands. */
static void cancel_after_the_answer_changes_nothing(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_cancel(&f);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "1 CANCEL");
	flow_ack(&f);
	assert_int_equal(rig_calls(f.rig), 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

static void cancel_of_nothing_is_481(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 8, 1);
	flow_cancel(&f);
	flow_expect_at_alice(&f, "SIP/2.0 481");
	expect_silence(&f);
	flow_end(&f);
}

/* Failover (DECISIONS 12) ------------------------------------------------------------------------------------------- */

/* Silence for `after`, then Carol; Bob's late 180 gets CANCEL, and Alice hears of Carol only. */
static void silence_leads_to_the_next_destination(void **state)
{
	struct flow f;
	struct got late = { .packet = NULL };

	(void)state;
	flow_begin(&f, FLOW_TWO, 2, 1);
	flow_invite(&f, BOB);
	rig_after(f.rig, 1999);
	rig_expect_silence(f.rig, CAROL);
	rig_forget(f.rig, BOB);
	rig_after(f.rig, 1);
	late = f.at_bob;
	f.at_bob = (struct got){ .packet = NULL };
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE sip:bob@example.com");
	assert_string_not_equal(got_value(&late, HDR_CALL_ID), f.far_call_id); /* a new leg */
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");

	struct flow bob = f;

	bob.bob = BOB;
	bob.at_bob = late;
	flow_bob_answers(&bob, 183, "", "");
	rig_expect(f.rig, BOB, "CANCEL ", &bob.at_bob);
	flow_bob_answers(&bob, 200, "", "");
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, CAROL, "SIP/2.0 200", &f.at_bob);
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB);
	got_free(&bob.at_bob);
	flow_end(&f);
}

/* The destination given up answers after all: acknowledged, ended, and nobody else hears of it. */
static void late_answer_of_an_abandoned_destination(void **state)
{
	struct flow f, bob;

	(void)state;
	flow_begin(&f, FLOW_TWO, 2, 1);
	flow_invite(&f, BOB);
	rig_after(f.rig, 2000);
	rig_forget(f.rig, BOB);
	bob = f;
	f.at_bob = (struct got){ .packet = NULL };
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&bob, 200, "", SDP);
	rig_expect(f.rig, BOB, "ACK sip:bob@10.0.0.21:5060", &bob.at_bob);
	rig_expect(f.rig, BOB, "BYE sip:bob@10.0.0.21:5060", &bob.at_bob);
	flow_bob_answers(&bob, 200, "", "");
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	got_free(&bob.at_bob);
	flow_end(&f);
}

/* The same with an offer in it, since the INVITE had none: every stream is refused (RFC 3264 §6). */
static void late_offer_of_an_abandoned_destination(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 2, 1);
	flow_alice_calls(&f, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	rig_after(f.rig, 2000);
	rig_forget(f.rig, BOB);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_true(got_has(&f.at_bob, "m=audio 0 RTP/AVP 0\r\n"));
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	assert_int_equal(f.at_bob.v.body_len, 0);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

static void a_503_leads_to_the_next_destination_at_once(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 503, "Retry-After: 10\n", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 503, "", "");
	rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 500 Server Internal Error\r\n"); /* a foreign 503 is not ours (§16.7) */
	flow_refused(&f);
	flow_end(&f);
}

/* §16.7: the best of what came, also when the last attempt ends in silence. */
static void the_best_final_response_wins(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 503, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	rig_after(f.rig, 64 * SIP_T1);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	flow_refused(&f);
	rig_forget(f.rig, CAROL);
	flow_end(&f);
}

#define BOTH_REFUSE \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, failover: { on: [404, 486, 503, 603] }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES

/* §16.7 step 6: 6xx, then the lowest class; the later among equals. */
static void the_best_of_two_refusals(void **state)
{
	static const unsigned cases[][3] = { { 503, 486, 486 }, { 486, 503, 486 }, { 603, 404, 603 }, { 404, 603, 603 }, { 404, 486, 486 } };
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char start[16];

		flow_begin(&f, BOTH_REFUSE, 1, 1);
		flow_invite(&f, BOB);
		flow_bob_answers(&f, cases[i][0], "", "");
		rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
		f.bob = CAROL;
		flow_expect_at_bob(&f, "INVITE ");
		flow_bob_answers(&f, cases[i][1], "", "");
		rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
		snprintf(start, sizeof(start), "SIP/2.0 %u", cases[i][2]);
		flow_expect_at_alice(&f, start);
		flow_refused(&f);
		flow_end(&f);
	}
}

static void icmp_leads_to_the_next_destination(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 8, 1);
	flow_alice_calls(&f, "", SDP);
	rig_refuse_last(f.rig, BOB, ECONNREFUSED);
	rig_forget(f.rig, BOB);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	flow_end(&f);
}

/* What was passed on binds: after a 180 there is no other destination. */
static void no_failover_once_it_rang(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	flow_bob_answers(&f, 503, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	flow_refused(&f);
	rig_expect_silence(f.rig, CAROL);
	flow_end(&f);
}

/* ACKs that never come (DECISIONS 11) ------------------------------------------------------------------------------- */

static void unacknowledged_answer_is_repeated_then_ended(void **state)
{
	static const unsigned repeats_ms[] = { 500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000 };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	for (unsigned i = 0; i < sizeof(repeats_ms) / sizeof(*repeats_ms); i++) {
		rig_after(f.rig, repeats_ms[i] - 1);
		rig_expect_silence(f.rig, ALICE);
		rig_after(f.rig, 1);
		flow_expect_at_alice(&f, "SIP/2.0 200");
	}
	rig_expect_silence(f.rig, BOB);
	rig_after(f.rig, 500);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_int_equal(f.at_bob.v.body_len, 0); /* he has answered an offer: there is nothing to say */
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "BYE sip:alice@192.0.2.10:5060");
	flow_alice_answers(&f, 200, "", "");
	assert_int_equal(rig_count(f.rig, CALLS_NO_ACK), 1);
	flow_end(&f);
}

/* RFC 3264 §6: an offer wants an answer, and if its owner gives none, every stream of it is refused. */
static void unacknowledged_late_offer_is_refused(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_alice_calls(&f, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP "m=video 5000 RTP/AVP 31\r\n");
	rig_after(f.rig, 64 * SIP_T1);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_true(got_has(&f.at_bob, "m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n"));
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	rig_forget(f.rig, ALICE);
	flow_end(&f);
}

static void late_offer_is_answered_by_the_ack(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_alice_calls(&f, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_int_equal(f.at_bob.v.body_len, 0);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_say(f.rig, ALICE, EDGE, SDP,
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n"
	        "Content-Type: application/sdp\n",
	        f.near_contact, f.near_to);
	flow_expect_at_bob(&f, "ACK ");
	assert_true(got_has(&f.at_bob, "m=audio 49170"));
	assert_string_equal(got_value(&f.at_bob, HDR_CONTENT_TYPE), "application/sdp");
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* Bob's 200 comes again after the ACK: he gets the same ACK again, and Alice hears nothing of it (§13.2.2.4). */
static void repeated_answer_gets_the_stored_ack(void **state)
{
	struct flow f;
	char first[2048];

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	struct flow bob = f;

	f.at_bob = (struct got){ .packet = NULL };
	flow_ack(&f);
	snprintf(first, sizeof(first), "%s", f.at_bob.packet->bytes);
	rig_after(f.rig, 31000);
	flow_bob_answers(&bob, 200, "", SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(f.at_bob.packet->bytes, first);
	rig_expect_silence(f.rig, ALICE);
	got_free(&bob.at_bob);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_end(&f);
}

/* BYE lost its race: the ACK comes behind it. The far side is acknowledged all the same. */
static void bye_overtakes_the_ack(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), "1 ACK");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "2 BYE");
	rig_after(f.rig, 500);
	flow_expect_at_alice(&f, "SIP/2.0 200"); /* her INVITE's answer is repeated until she says that she has it */
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "1 INVITE");
	f.alice_cseq = 1;
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlate\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f.near_contact, f.near_to);
	rig_after(f.rig, 31000);
	expect_silence(&f);
	flow_end(&f);
}

/* Requests that cross within the dialog ------------------------------------------------------------------------------ */

/* §15.1.2: what is pending when the BYE comes is answered 487. */
static void bye_while_a_reinvite_is_pending(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 100, "", "");
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	rig_expect(f.rig, ALICE, "SIP/2.0 487", &f.at_alice);
	assert_int_equal(rig_calls(f.rig), 0);
	rig_after(f.rig, 100000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* §14.2: both ask at once, both get 491. */
static void glare(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	struct flow hers = f;

	f.at_bob = (struct got){ .packet = NULL };
	flow_bob_says(&f, "INVITE", "Contact: <sip:bob@10.0.0.21:5060>\n", SDP);
	rig_expect(f.rig, BOB, "SIP/2.0 491", &f.at_bob);
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&hers, 491, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 491");
	assert_int_equal(rig_calls(f.rig), 1);
	got_free(&hers.at_bob);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* §14.2: a second INVITE of the same side before the first is answered. */
static void second_invite_is_told_to_come_later(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 500", &f.at_alice);
	assert_true(*got_value(&f.at_alice, HDR_RETRY_AFTER) != 0 && atoi(got_value(&f.at_alice, HDR_RETRY_AFTER)) <= 10);
	rig_expect_silence(f.rig, BOB);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

static void old_cseq_is_refused(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	f.alice_cseq = 9;
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	f.alice_cseq = 8;
	flow_alice_says(&f, "MESSAGE", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 500 CSeq Out Of Order");
	rig_expect_silence(f.rig, BOB);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* RFC 5407 §3.2: both hang up. Both are right. */
static void byes_that_cross(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	struct flow hers = f;

	f.at_bob = (struct got){ .packet = NULL };
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&hers, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(f.rig->n_cdrs, 1);
	got_free(&hers.at_bob);
	flow_end(&f);
}

/* LESSONS 10: what has ended still answers for 32 s. */
static void requests_after_the_end(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 481");
	rig_after(f.rig, 33000);
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 481", &f.at_bob);
	flow_end(&f);
}

/* A BYE that Bob does not answer does its work all the same. */
static void bye_nobody_answers(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	rig_after(f.rig, CALL_BYE_WAIT_MS - 1);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* RFC 5057: 481 says that the dialog is gone; the other side is told. */
static void dialog_lost_at_one_side_ends_the_other(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 481, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 481");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

/* Her BYE is on its way when Bob's 481 to something else says that the dialog is gone: hers is all the BYE there is. */
static void bye_under_way_when_the_dialog_is_lost(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	struct flow info = f;

	f.at_bob = (struct got){ .packet = NULL };
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&info, 481, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&f, 481, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "3 BYE");
	rig_expect_silence(f.rig, ALICE);
	assert_int_equal(rig_calls(f.rig), 0);
	got_free(&info.at_bob);
	flow_end(&f);
}

/* Re-INVITE cancelled before Bob has said anything: the CANCEL goes out behind his first provisional. */
static void reinvite_cancelled_early(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	rig_say(f.rig, ALICE, EDGE, "",
	        "CANCEL %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKINVITE%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u CANCEL\n",
	        f.near_contact, f.alice_cseq, f.near_to, f.alice_cseq);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	struct got invite = f.at_bob;

	f.at_bob = (struct got){ .packet = NULL };
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	got_free(&f.at_bob);
	f.at_bob = invite;
	flow_bob_answers(&f, 487, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 487");
	assert_int_equal(rig_calls(f.rig), 1);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* Forks ------------------------------------------------------------------------------------------------------------ */

/* Two of Bob's phones answer: the first one has the call. The second is acknowledged and ended, and again if its answer comes again;
 * the first one's ACK stays what its repeated answer gets. */
static void the_second_fork_to_answer_is_ended(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	struct flow first = f, second = f;

	f.at_bob = (struct got){ .packet = NULL };
	flow_ack(&f);
	second.bob_tag = "other";
	flow_bob_answers(&second, 200, "", SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&first, 200, "", SDP); /* his ACK was lost */
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "bob");
	flow_bob_answers(&second, 200, "", SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	rig_expect_silence(f.rig, BOB); /* its BYE is under way */
	assert_int_equal(rig_calls(f.rig), 1);
	got_free(&first.at_bob);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* Before the caller has acknowledged the first one, too. */
static void the_second_fork_answers_before_the_ack(void **state)
{
	struct flow f, second;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	second = f;
	second.bob_tag = "other";
	f.at_bob = (struct got){ .packet = NULL };
	flow_bob_answers(&second, 200, "", SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	flow_ack(&f);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "bob");
	got_free(&second.at_bob);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* The same when the call is over by then: nobody else would tell him. */
static void a_fork_that_answers_after_the_end(void **state)
{
	struct flow f, other;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	other = f;
	other.bob_tag = "other";
	flow_bob_answers(&other, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	f.at_bob = (struct got){ .packet = NULL };
	flow_ack(&f);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(rig_calls(f.rig), 0);
	flow_bob_answers(&other, 200, "", SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "other");
	flow_bob_answers(&f, 200, "", "");
	got_free(&other.at_bob);
	flow_end(&f);
}

/* RFC 3262, RFC 3311: each early dialog has its own tag on Alice's side, and what she says to one reaches that one. */
static void requests_reach_their_early_dialog(void **state)
{
	struct flow f, one, two;
	char to[2][256];

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	one = two = f;
	one.bob_tag = "one";
	two.bob_tag = "two";
	flow_bob_answers(&one, 183, "Require: 100rel\nRSeq: 71\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 183");
	strcpy(to[0], f.near_to);
	assert_string_equal(got_value(&f.at_alice, HDR_RSEQ), "71");
	flow_bob_answers(&two, 183, "Require: 100rel\nRSeq: 5\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 183");
	strcpy(to[1], f.near_to);
	assert_string_not_equal(to[0], to[1]);
	f.at_bob = (struct got){ .packet = NULL };
	for (unsigned i = 2; i-- > 0;) { /* the later one first */
		strcpy(f.near_to, to[i]);
		flow_alice_says(&f, "PRACK", i ? "RAck: 5 1 INVITE\n" : "RAck: 71 1 INVITE\n", "");
		flow_expect_at_bob(&f, "PRACK ");
		assert_string_equal(got_tag(&f.at_bob, HDR_TO), i ? "two" : "one");
		assert_string_equal(got_value(&f.at_bob, HDR_RACK), i ? "5 1 INVITE" : "71 1 INVITE");
		flow_bob_answers(&f, 200, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		flow_alice_says(&f, "UPDATE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
		flow_expect_at_bob(&f, "UPDATE ");
		assert_string_equal(got_tag(&f.at_bob, HDR_TO), i ? "two" : "one");
		flow_bob_answers(&f, 200, "", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 200");
	}
	flow_bob_answers(&two, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_string_equal(f.near_to, to[1]); /* the answer has the tag its early dialog had */
	f.alice_cseq = 1;
	flow_ack(&f);
	assert_string_equal(got_tag(&f.at_bob, HDR_TO), "two");
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), "1 ACK");
	strcpy(f.near_to, to[0]);
	f.alice_cseq = 10;
	flow_alice_says(&f, "UPDATE", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 481"); /* the other one is over */
	rig_expect_silence(f.rig, BOB);
	got_free(&one.at_bob);
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

/* RFC 3262 §7.2: after a request that never went on, CSeq numbers differ between the sides; RAck has to follow. */
static void rack_names_the_invite_of_its_own_side(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "INFO %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKhops\nMax-Forwards: 0\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 INFO\n",
	        f.near_contact, f.near_to);
	flow_expect_at_alice(&f, "SIP/2.0 483");
	f.alice_cseq = 6;
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), "2 INVITE");
	flow_bob_answers(&f, 183, "Require: 100rel\nRSeq: 9\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 183");
	flow_alice_says(&f, "PRACK", "RAck: 9 7 INVITE\n", "");
	flow_expect_at_bob(&f, "PRACK ");
	assert_string_equal(got_value(&f.at_bob, HDR_RACK), "9 2 INVITE");
	rig_free(f.rig, false);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cancel_before_any_answer_follows_the_first_provisional),
		cmocka_unit_test(cancel_of_a_ringing_call),
		cmocka_unit_test(cancel_crosses_the_answer),
		cmocka_unit_test(cancel_after_the_answer_changes_nothing),
		cmocka_unit_test(cancel_of_nothing_is_481),
		cmocka_unit_test(silence_leads_to_the_next_destination),
		cmocka_unit_test(late_answer_of_an_abandoned_destination),
		cmocka_unit_test(late_offer_of_an_abandoned_destination),
		cmocka_unit_test(a_503_leads_to_the_next_destination_at_once),
		cmocka_unit_test(the_best_final_response_wins),
		cmocka_unit_test(the_best_of_two_refusals),
		cmocka_unit_test(icmp_leads_to_the_next_destination),
		cmocka_unit_test(no_failover_once_it_rang),
		cmocka_unit_test(unacknowledged_answer_is_repeated_then_ended),
		cmocka_unit_test(unacknowledged_late_offer_is_refused),
		cmocka_unit_test(late_offer_is_answered_by_the_ack),
		cmocka_unit_test(repeated_answer_gets_the_stored_ack),
		cmocka_unit_test(bye_overtakes_the_ack),
		cmocka_unit_test(bye_while_a_reinvite_is_pending),
		cmocka_unit_test(glare),
		cmocka_unit_test(second_invite_is_told_to_come_later),
		cmocka_unit_test(old_cseq_is_refused),
		cmocka_unit_test(byes_that_cross),
		cmocka_unit_test(requests_after_the_end),
		cmocka_unit_test(bye_nobody_answers),
		cmocka_unit_test(dialog_lost_at_one_side_ends_the_other),
		cmocka_unit_test(bye_under_way_when_the_dialog_is_lost),
		cmocka_unit_test(reinvite_cancelled_early),
		cmocka_unit_test(the_second_fork_to_answer_is_ended),
		cmocka_unit_test(the_second_fork_answers_before_the_ack),
		cmocka_unit_test(a_fork_that_answers_after_the_end),
		cmocka_unit_test(requests_reach_their_early_dialog),
		cmocka_unit_test(rack_names_the_invite_of_its_own_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
