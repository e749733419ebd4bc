/* RFC 5407, the races of a session, each named by its section. Alice is on the public side, Bob behind; between them are two dialogs, and a
 * race may be run on either: what crosses on its way to the far end, and what crosses on its way to us. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct scene {
	struct rig *rig;
	struct phone alice, bob;
};

static void begin(struct scene *s)
{
	s->rig = rig_new(cast_yaml(), 2, 1);
	cast_watch(s->rig);
	phone_new(&s->alice, s->rig, "alice", cast_caller());
	phone_new(&s->bob, s->rig, "bob", cast_callee());
}

static void calls(struct scene *s, const char *offer)
{
	begin(s);
	phone_calls(&s->alice, "sip:bob@example.com", "", offer);
	phone_gets(&s->alice, "SIP/2.0 100");
	phone_gets(&s->bob, "INVITE ");
}

static void rings(struct scene *s, const char *offer)
{
	calls(s, offer);
	phone_answers(&s->bob, 180, "", "");
	phone_gets(&s->alice, "SIP/2.0 180");
}

static void talks(struct scene *s)
{
	begin(s);
	phones_talk(&s->alice, &s->bob, "sip:bob@example.com");
}

static void silent(struct scene *s)
{
	struct phone *const both[] = { &s->alice, &s->bob };

	phones_silent(both, 2);
}

/* All is over: no call, and nothing more is said. */
static void end(struct scene *s)
{
	assert_int_equal(rig_calls(s->rig), 0);
	silent(s);
	rig_after(s->rig, 3600000);
	silent(s);
	phone_free(&s->alice);
	phone_free(&s->bob);
	assert_int_equal(s->rig->n_cdrs, 1);
	rig_free(s->rig, true);
}

static void hang_up(struct scene *s)
{
	phones_end(&s->alice, &s->bob);
	end(s);
}

static void reinvites(struct phone *p, struct phone *q)
{
	phone_asks(p, "INVITE", "", OFFER);
	phone_gets(p, "SIP/2.0 100");
	phone_gets(q, "INVITE ");
}

static void refuses_reinvite(struct phone *p, struct phone *q, unsigned status)
{
	char start[16];

	snprintf(start, sizeof(start), "SIP/2.0 %u", status);
	phone_answers_invite(p, status, "", "");
	phone_gets(p, "ACK ");
	phone_gets(q, start);
	phone_acks_refusal(q);
}

/* 3.1 Receiving a message in the Moratorium state --------------------------------------------------------------------- */

/* The 180 and the 200 were late: her INVITE comes again behind them. It is the same one, and the answer is repeated. */
static void s3_1_1_invite_retransmission(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, OFFER);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	s.alice.cseq = 0;
	rig_expect(s.rig, cast_caller(), "SIP/2.0 200", &s.alice.got);
	rig_say(s.rig, cast_caller(), s.alice.listener, OFFER,
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=%s;rport\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: 1 INVITE\n"
	        "Contact: <%s>\nContent-Type: application/sdp\n",
	        s.alice.invite_uri, cast_caller(), s.alice.branch, s.alice.local, s.alice.invite_to, s.alice.call_id, s.alice.uri);
	rig_expect_silence(s.rig, cast_callee());
	rig_after(s.rig, SIP_T1);
	phone_gets(&s.alice, "SIP/2.0 200");
	s.alice.cseq = 1;
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	hang_up(&s);
}

/* The CANCEL crosses the 200 on Alice's leg: it has no effect, and she hangs up by BYE. */
static void s3_1_2_cancel_crosses_200_at_the_caller(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, OFFER);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_cancels(&s.alice);
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "1 INVITE");
	rig_expect(s.rig, cast_caller(), "SIP/2.0 200", &s.alice.invite);
	assert_string_equal(got_value(&s.alice.invite, HDR_CSEQ), "1 CANCEL");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	hang_up(&s);
}

/* It crosses on Bob's leg: Alice has her 487, and he is told by ACK and BYE, whatever he says to the CANCEL. */
static void s3_1_2_cancel_crosses_200_at_the_callee(void **state)
{
	for (unsigned status = 200; status <= 481; status += 281) {
		struct scene s;

		(void)state;
		rings(&s, OFFER);
		phone_cancels(&s.alice);
		phone_answers_invite(&s.bob, 200, "", ANSWER);
		phone_gets(&s.bob, "CANCEL ");
		phone_answers(&s.bob, status, "", "");
		phone_gets(&s.bob, "ACK ");
		phone_gets(&s.bob, "BYE ");
		phone_answers(&s.bob, 200, "", "");
		phone_gets(&s.alice, "SIP/2.0 200");
		assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "1 CANCEL");
		rig_expect(s.rig, cast_caller(), "SIP/2.0 487", &s.alice.got);
		phone_acks_refusal(&s.alice);
		end(&s);
	}
}

/* She says BYE while it rings, and the 200 crosses it: BYE and INVITE are both answered 200, and the ACK comes all the same. */
static void s3_1_3_bye_of_an_early_dialog(void **state)
{
	for (unsigned bye_first = 0; bye_first < 2; bye_first++) {
		struct phone early;
		struct scene s;

		(void)state;
		rings(&s, OFFER);
		phone_twin(&early, &s.alice);
		if (!bye_first) /* it crosses on her leg, or else on his */
			phone_answers_invite(&s.bob, 200, "", ANSWER);
		phone_asks(&early, "BYE", "", "");
		if (bye_first)
			phone_answers_invite(&s.bob, 200, "", ANSWER);
		phone_gets(&s.alice, "SIP/2.0 200");
		assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "1 INVITE");
		phone_acks(&s.alice, "");
		if (bye_first)
			phone_gets(&s.bob, "BYE ");
		else
			rig_expect(s.rig, cast_callee(), "BYE ", &s.bob.got);
		s.bob.last = &s.bob.got;
		phone_answers(&s.bob, 200, "", "");
		phone_gets(&s.bob, "ACK ");
		phone_gets(&early, "SIP/2.0 200");
		assert_string_equal(got_value(&early.got, HDR_CSEQ), "2 BYE");
		phone_free(&early);
		end(&s);
	}
}

/* Case 1: the ACK is lost, her re-INVITE comes before it is repeated. It passes, and so does what Bob says. */
static void s3_1_4_reinvite_before_the_ack(void **state)
{
	struct phone first;
	struct scene s;

	(void)state;
	rings(&s, OFFER);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_twin(&first, &s.alice);
	reinvites(&s.alice, &s.bob);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "2 INVITE");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	assert_int_equal(s.bob.got.v.cseq, 2);
	rig_after(s.rig, SIP_T1);
	phone_gets(&first, "SIP/2.0 200"); /* the first one again, until it is acknowledged */
	assert_string_equal(got_value(&first.got, HDR_CSEQ), "1 INVITE");
	phone_acks(&first, "");
	phone_gets(&s.bob, "ACK ");
	assert_int_equal(s.bob.got.v.cseq, 1);
	rig_after(s.rig, 20000);
	silent(&s);
	phone_free(&first);
	hang_up(&s);
}

/* Case 2: the lost ACK had the answer. Bob's offer is still open, so he says 491. */
static void s3_1_5_reinvite_before_the_answer(void **state)
{
	struct phone first;
	struct scene s;

	(void)state;
	rings(&s, "");
	phone_answers_invite(&s.bob, 200, "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_twin(&first, &s.alice);
	reinvites(&s.alice, &s.bob);
	refuses_reinvite(&s.bob, &s.alice, 491);
	rig_after(s.rig, SIP_T1);
	phone_gets(&first, "SIP/2.0 200");
	phone_acks(&first, ANSWER);
	phone_gets(&s.bob, "ACK ");
	assert_true(got_has(&s.bob.got, ANSWER));
	phone_free(&first);
	hang_up(&s);
}

/* The ACK is lost, her BYE comes before it is repeated: it passes; he gets an ACK, and she is heard when hers comes. */
static void s3_1_6_bye_before_the_ack(void **state)
{
	for (unsigned ack_is_late = 0; ack_is_late < 2; ack_is_late++) {
		struct phone first;
		struct scene s;

		(void)state;
		rings(&s, OFFER);
		phone_answers_invite(&s.bob, 200, "", ANSWER);
		phone_gets(&s.alice, "SIP/2.0 200");
		phone_twin(&first, &s.alice);
		phone_asks(&s.alice, "BYE", "", "");
		phone_gets(&s.bob, "BYE ");
		if (!ack_is_late)
			phone_acks(&first, "");
		phone_answers(&s.bob, 200, "", "");
		phone_gets(&s.bob, "ACK ");
		phone_gets(&s.alice, "SIP/2.0 200");
		assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "2 BYE");
		if (ack_is_late) {
			rig_after(s.rig, SIP_T1);
			phone_gets(&first, "SIP/2.0 200");
			phone_acks(&first, "");
		}
		phone_free(&first);
		end(&s);
	}
}

/* 3.2 Receiving a message in the Mortal state ------------------------------------------------------------------------- */

/* BYEs cross, on either leg, and both are 200. */
static void s3_2_1_byes_cross(void **state)
{
	for (unsigned alice_is_first = 0; alice_is_first < 2; alice_is_first++) {
		struct scene s;
		struct phone *p, *q;

		(void)state;
		talks(&s);
		p = alice_is_first ? &s.alice : &s.bob;
		q = alice_is_first ? &s.bob : &s.alice;
		phone_asks(p, "BYE", "", "");
		phone_asks(q, "BYE", "", "");
		phone_gets(q, "BYE ");
		phone_answers(q, 200, "", "");
		phone_gets(q, "SIP/2.0 200");
		phone_gets(p, "SIP/2.0 200");
		end(&s);
	}
}

/* A re-INVITE crosses the BYE: 481 from the one who hung up, and that ends nothing more than the BYE does. */
static void s3_2_2_reinvite_crosses_bye(void **state)
{
	for (unsigned alice_hangs_up = 0; alice_hangs_up < 2; alice_hangs_up++) {
		struct phone ended, *p, *q;
		struct scene s;

		(void)state;
		talks(&s);
		p = alice_hangs_up ? &s.alice : &s.bob;
		q = alice_hangs_up ? &s.bob : &s.alice;
		phone_asks(p, "BYE", "", "");
		phone_asks(q, "INVITE", "", OFFER);
		phone_gets(q, "BYE ");
		phone_twin(&ended, q);
		phone_gets(q, "SIP/2.0 100");
		phone_gets(p, "INVITE ");
		refuses_reinvite(p, q, 481);
		silent(&s);
		phone_answers(&ended, 200, "", "");
		phone_free(&ended);
		phone_gets(p, "SIP/2.0 200");
		assert_non_null(strstr(got_value(&p->got, HDR_CSEQ), "BYE"));
		end(&s);
	}
}

/* The re-INVITE has passed when the one who asked hangs up; its 200 crosses the BYE, and is acknowledged. */
static void s3_2_3_answer_of_a_reinvite_crosses_bye(void **state)
{
	for (unsigned alice_asks = 0; alice_asks < 2; alice_asks++) {
		struct phone asking, *p, *q;
		struct scene s;

		(void)state;
		talks(&s);
		p = alice_asks ? &s.alice : &s.bob;
		q = alice_asks ? &s.bob : &s.alice;
		reinvites(p, q);
		phone_twin(&asking, p);
		phone_asks(p, "BYE", "", "");
		phone_answers_invite(q, 200, "", ANSWER);
		phone_gets(&asking, "SIP/2.0 200");
		phone_acks(&asking, "");
		phone_gets(q, "BYE ");
		phone_answers(q, 200, "", "");
		phone_gets(q, "ACK ");
		phone_gets(p, "SIP/2.0 200");
		assert_non_null(strstr(got_value(&p->got, HDR_CSEQ), "BYE"));
		phone_free(&asking);
		end(&s);
	}
}

/* Bob answers and hangs up before the ACK has come: it comes behind his BYE, before or behind its 200. */
static void s3_2_4_ack_behind_the_bye(void **state)
{
	for (unsigned behind_200 = 0; behind_200 < 2; behind_200++) {
		struct phone first;
		struct scene s;

		(void)state;
		rings(&s, OFFER);
		phone_answers_invite(&s.bob, 200, "", ANSWER);
		phone_asks(&s.bob, "BYE", "", "");
		phone_gets(&s.alice, "SIP/2.0 200");
		phone_twin(&first, &s.alice);
		phone_gets(&s.alice, "BYE ");
		if (!behind_200)
			phone_acks(&first, "");
		phone_answers(&s.alice, 200, "", "");
		if (behind_200)
			phone_acks(&first, "");
		phone_gets(&s.bob, behind_200 ? "SIP/2.0 200" : "ACK ");
		phone_gets(&s.bob, behind_200 ? "ACK " : "SIP/2.0 200");
		phone_free(&first);
		end(&s);
	}
}

/* 3.3 Other races --------------------------------------------------------------------------------------------------- */

/* 491 for both; then each again when its time has come (RFC 3261 §14.1). */
static void s3_3_1_reinvites_cross(void **state)
{
	for (unsigned alice_is_first = 0; alice_is_first < 2; alice_is_first++) {
		struct scene s;
		struct phone *p, *q;

		(void)state;
		talks(&s);
		p = alice_is_first ? &s.alice : &s.bob;
		q = alice_is_first ? &s.bob : &s.alice;
		reinvites(p, q);
		phone_asks(q, "INVITE", "", OFFER);
		phone_gets(q, "SIP/2.0 491");
		phone_acks_refusal(q);
		refuses_reinvite(q, p, 491);
		for (unsigned i = 0; i < 2; i++) { /* Bob within 2 s, Alice behind 2.1 s */
			struct phone *one = i ? &s.alice : &s.bob, *other = i ? &s.bob : &s.alice;

			rig_after(s.rig, 1500);
			reinvites(one, other);
			phone_answers_invite(other, 200, "", ANSWER);
			phone_gets(one, "SIP/2.0 200");
			phone_acks(one, "");
			phone_gets(other, "ACK ");
		}
		hang_up(&s);
	}
}

/* An UPDATE with an offer crosses a re-INVITE: 491 for both, by the ends. */
static void s3_3_2_update_crosses_reinvite(void **state)
{
	for (unsigned alice_updates = 0; alice_updates < 2; alice_updates++) {
		struct scene s;
		struct phone *p, *q;

		(void)state;
		talks(&s);
		p = alice_updates ? &s.alice : &s.bob;
		q = alice_updates ? &s.bob : &s.alice;
		phone_asks(p, "UPDATE", "", OFFER);
		phone_asks(q, "INVITE", "", OFFER);
		phone_gets(q, "UPDATE ");
		phone_answers(q, 491, "", "");
		phone_gets(q, "SIP/2.0 100");
		phone_gets(p, "INVITE ");
		phone_answers_invite(p, 491, "", "");
		phone_gets(p, "SIP/2.0 491");
		assert_non_null(strstr(got_value(&p->got, HDR_CSEQ), "UPDATE"));
		phone_gets(p, "ACK ");
		phone_gets(q, "SIP/2.0 491");
		phone_acks_refusal(q);
		hang_up(&s);
	}
}

/* A REFER crosses the BYE: 481 from the one who hung up, to the REFER alone. */
static void s3_3_3_refer_crosses_bye(void **state)
{
	for (unsigned alice_hangs_up = 0; alice_hangs_up < 2; alice_hangs_up++) {
		struct scene s;
		struct phone *p, *q;

		(void)state;
		talks(&s);
		p = alice_hangs_up ? &s.alice : &s.bob;
		q = alice_hangs_up ? &s.bob : &s.alice;
		phone_asks(p, "BYE", "", "");
		phone_asks(q, "REFER", "Refer-To: <sip:carol@example.org>\n", "");
		phone_gets(p, "REFER ");
		phone_answers(p, 481, "", "");
		phone_gets(q, "BYE ");
		phone_answers(q, 200, "", "");
		phone_gets(q, "SIP/2.0 481");
		phone_gets(p, "SIP/2.0 200");
		end(&s);
	}
}

/* Appendixes -------------------------------------------------------------------------------------------------------- */

/* A: BYE in an early dialog: 200 to it and 487 to the INVITE, whichever Bob sends first. */
static void a_bye_in_the_early_dialog(void **state)
{
	for (unsigned invite_first = 0; invite_first < 2; invite_first++) {
		struct phone early;
		struct scene s;

		(void)state;
		rings(&s, OFFER);
		phone_twin(&early, &s.alice);
		phone_asks(&early, "BYE", "", "");
		phone_gets(&s.bob, "BYE ");
		if (invite_first) {
			phone_answers_invite(&s.bob, 487, "", "");
			rig_expect(s.rig, cast_callee(), "ACK ", &s.bob.invite);
			rig_expect(s.rig, cast_caller(), "SIP/2.0 487", &s.alice.got);
			phone_acks_refusal(&s.alice);
			phone_gets(&early, "SIP/2.0 200");
			phone_answers(&s.bob, 200, "", "");
		} else {
			phone_answers(&s.bob, 200, "", "");
			phone_answers_invite(&s.bob, 487, "", "");
			rig_forget(s.rig, cast_callee()); /* our CANCEL crosses his 487 */
			phone_gets(&early, "SIP/2.0 200");
			rig_expect(s.rig, cast_caller(), "SIP/2.0 487", &s.alice.got);
			phone_acks_refusal(&s.alice);
			rig_after(s.rig, SIP_TIMEOUT);
			rig_forget(s.rig, cast_callee());
		}
		phone_free(&early);
		end(&s);
	}
}

/* B: BYE while a re-INVITE is pending, by the one who asked or the one who was asked: 200, and 487 for the re-INVITE. */
static void b_bye_overlaps_reinvite(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct phone asking, *p, *q;
		struct scene s;
		bool asker_hangs_up = i / 2;

		(void)state;
		talks(&s);
		p = i % 2 ? &s.alice : &s.bob;
		q = i % 2 ? &s.bob : &s.alice;
		reinvites(p, q);
		phone_twin(&asking, p);
		phone_asks(asker_hangs_up ? p : q, "BYE", "", "");
		phone_gets(asker_hangs_up ? q : p, "BYE ");
		phone_answers(asker_hangs_up ? q : p, 200, "", "");
		phone_answers_invite(q, 487, "", "");
		rig_expect(s.rig, p->at, asker_hangs_up ? "SIP/2.0 200" : "SIP/2.0 487", &p->got);
		rig_expect(s.rig, asker_hangs_up ? p->at : q->at, asker_hangs_up ? "SIP/2.0 487" : "SIP/2.0 200",
		           asker_hangs_up ? &p->got : &q->got);
		got_free(&asking.got);
		asking.got = p->got;
		p->got = (struct got){ .packet = NULL };
		phone_acks_refusal(&asking);
		rig_expect(s.rig, q->at, "ACK ", &q->got);
		phone_free(&asking);
		end(&s);
	}
}

/* C: CANCEL crosses a refusal, on either leg: the refusal stands, or she has her 487; both are acknowledged. */
static void c_cancel_crosses_a_refusal(void **state)
{
	for (unsigned cancel_first = 0; cancel_first < 2; cancel_first++) {
		struct scene s;

		(void)state;
		rings(&s, OFFER);
		if (cancel_first)
			phone_cancels(&s.alice);
		phone_answers_invite(&s.bob, 486, "", "");
		if (!cancel_first) {
			phone_cancels(&s.alice);
			rig_expect(s.rig, cast_caller(), "SIP/2.0 486", &s.alice.got);
			phone_acks_refusal(&s.alice);
			rig_expect(s.rig, cast_caller(), "SIP/2.0 200", &s.alice.got);
		} else {
			rig_expect(s.rig, cast_caller(), "SIP/2.0 200", &s.alice.got);
			rig_expect(s.rig, cast_caller(), "SIP/2.0 487", &s.alice.got);
			phone_acks_refusal(&s.alice);
			phone_gets(&s.bob, "CANCEL ");
			phone_answers(&s.bob, 200, "", "");
		}
		rig_expect(s.rig, cast_callee(), "ACK ", &s.bob.got);
		end(&s);
	}
}

/* C: a CANCEL before any provisional waits for one, and ends the INVITE then. */
static void c_cancel_before_any_provisional(void **state)
{
	struct scene s;

	(void)state;
	calls(&s, OFFER);
	phone_cancels(&s.alice);
	phone_gets(&s.alice, "SIP/2.0 200");
	rig_expect(s.rig, cast_caller(), "SIP/2.0 487", &s.alice.got);
	phone_acks_refusal(&s.alice);
	rig_expect_silence(s.rig, cast_callee());
	phone_answers_invite(&s.bob, 100, "", "");
	phone_gets(&s.bob, "CANCEL ");
	phone_answers(&s.bob, 200, "", "");
	phone_answers_invite(&s.bob, 487, "", "");
	rig_expect(s.rig, cast_callee(), "ACK ", &s.bob.got);
	end(&s);
}

/* D: whatever comes for a dialog that has ended is 481; but a BYE that crossed is 200. */
static void d_requests_in_the_mortal_state(void **state)
{
	static const char *const methods[] = { "INFO", "UPDATE", "MESSAGE", "OPTIONS", "REFER", "NOTIFY", "SUBSCRIBE", "PRACK", "INVITE" };
	struct scene s;

	(void)state;
	talks(&s);
	phones_end(&s.alice, &s.bob);
	for (unsigned i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		phone_asks(&s.bob, methods[i], "", "");
		phone_gets(&s.bob, "SIP/2.0 481");
	}
	phone_asks(&s.bob, "BYE", "", "");
	phone_gets(&s.bob, "SIP/2.0 200");
	end(&s);
}

/* E: a new To-tag is a new early dialog, an answer with a tag never seen before is an answer, and that of a second phone is ended. */
static void e_new_to_tags(void **state)
{
	struct phone early, other, third;
	struct scene s;

	(void)state;
	rings(&s, OFFER);
	phone_twin(&early, &s.alice);
	phone_fork(&other, &s.bob, "other");
	phone_fork(&third, &s.bob, "third");
	phone_answers_invite(&other, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	assert_string_not_equal(s.alice.remote, early.remote);
	phone_answers_invite(&third, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_string_not_equal(s.alice.remote, early.remote);
	phone_acks(&s.alice, "");
	phone_gets(&third, "ACK ");
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.bob, "ACK ");
	phone_gets(&s.bob, "BYE ");
	phone_answers(&s.bob, 200, "", "");
	rig_expect_silence(s.rig, cast_caller());
	phones_end(&third, &s.alice);
	phone_answers_invite(&other, 200, "", ANSWER); /* even now */
	phone_gets(&other, "ACK ");
	phone_gets(&other, "BYE ");
	phone_answers(&other, 200, "", "");
	phone_free(&early);
	phone_free(&other);
	phone_free(&third);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s3_1_1_invite_retransmission),
		cmocka_unit_test(s3_1_2_cancel_crosses_200_at_the_caller),
		cmocka_unit_test(s3_1_2_cancel_crosses_200_at_the_callee),
		cmocka_unit_test(s3_1_3_bye_of_an_early_dialog),
		cmocka_unit_test(s3_1_4_reinvite_before_the_ack),
		cmocka_unit_test(s3_1_5_reinvite_before_the_answer),
		cmocka_unit_test(s3_1_6_bye_before_the_ack),
		cmocka_unit_test(s3_2_1_byes_cross),
		cmocka_unit_test(s3_2_2_reinvite_crosses_bye),
		cmocka_unit_test(s3_2_3_answer_of_a_reinvite_crosses_bye),
		cmocka_unit_test(s3_2_4_ack_behind_the_bye),
		cmocka_unit_test(s3_3_1_reinvites_cross),
		cmocka_unit_test(s3_3_2_update_crosses_reinvite),
		cmocka_unit_test(s3_3_3_refer_crosses_bye),
		cmocka_unit_test(a_bye_in_the_early_dialog),
		cmocka_unit_test(b_bye_overlaps_reinvite),
		cmocka_unit_test(c_cancel_crosses_a_refusal),
		cmocka_unit_test(c_cancel_before_any_provisional),
		cmocka_unit_test(d_requests_in_the_mortal_state),
		cmocka_unit_test(e_new_to_tags),
	};

	return cast_run_both_ways(tests, sizeof(tests) / sizeof(*tests));
}
