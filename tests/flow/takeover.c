/* What must outlive a node (DESIGN §7): node A is stopped, node B applies what A encoded, and the call goes on. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* A dialog that SUBSCRIBE began: refreshed, notified and ended at the other node, whatever workers each has. */
static void subscription_of_its_own(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "SUBSCRIBE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKsub;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-call@192.0.2.10\n"
	        "CSeq: 1 SUBSCRIBE\nContact: <sip:alice@192.0.2.10:5060>\nEvent: presence\nExpires: 600\n");
	flow_expect_at_bob(&f, "SUBSCRIBE ");
	snprintf(f.far_from, sizeof(f.far_from), "%s", got_value(&f.at_bob, HDR_FROM));
	snprintf(f.far_to, sizeof(f.far_to), "%s;tag=bob", got_value(&f.at_bob, HDR_TO));
	snprintf(f.far_call_id, sizeof(f.far_call_id), "%s", got_value(&f.at_bob, HDR_CALL_ID));
	snprintf(f.far_contact, sizeof(f.far_contact), "%s", got_contact(&f.at_bob));
	flow_bob_answers(&f, 200, "Expires: 600\nRecord-Route: <sip:10.0.0.21;lr>\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	take_over(&f, FLOW_ONE, 8);
	bob_notifies(&f, "Event: presence\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\n"); /* its route set holds from now on */
	rig_after(f.rig, 500000);
	flow_alice_says(&f, "SUBSCRIBE", "Event: presence\nExpires: 600\n", "");
	flow_expect_at_bob(&f, "SUBSCRIBE sip:bob@10.0.0.21:5060 SIP/2.0");
	assert_false(got_has(&f.at_bob, "Route:"));
	flow_bob_answers(&f, 200, "Expires: 600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	bob_notifies(&f, "Event: presence\nSubscription-State: terminated\n");
	rig_after(f.rig, 70000);
	assert_int_equal(rig_in_use(f.rig), 0);
	assert_int_equal(f.rig->n_cdrs, 0);
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

/* The same with phones. */
struct scene {
	struct flow f;
	struct phone alice, bob;
};

static void phones_call(struct scene *s, const char *extra)
{
	*s = (struct scene){ .f = { .rig = rig_new(FLOW_ONE, 2, 1) } };
	cast_watch(s->f.rig);
	phone_new(&s->alice, s->f.rig, "alice", ALICE);
	phone_new(&s->bob, s->f.rig, "bob", BOB);
	phone_calls(&s->alice, "sip:bob@example.com", extra, OFFER);
	phone_gets(&s->alice, "SIP/2.0 100");
	phone_gets(&s->bob, "INVITE ");
}

static void phones_ring(struct scene *s)
{
	phones_call(s, "Supported: 100rel\n");
}

static void phones_taken_over(struct scene *s)
{
	take_over(&s->f, FLOW_ONE, 1);
	cast_watch(s->f.rig);
	s->alice.rig = s->bob.rig = s->f.rig;
}

static void phones_hang_up(struct scene *s)
{
	phones_end(&s->alice, &s->bob);
	phone_free(&s->alice);
	phone_free(&s->bob);
	flow_end(&s->f);
}

/* RFC 3262: several forks ring reliably; the other node knows each, and to which of them a PRACK belongs. */
static void early_dialogs_of_forks(void **state)
{
	struct phone first, other, third, late;
	struct scene s;

	(void)state;
	phones_ring(&s);
	phone_fork(&other, &s.bob, "desk");
	phone_answers_invite(&s.bob, 183, "Require: 100rel\nRSeq: 5\n", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	phone_twin(&first, &s.alice);
	phone_answers_invite(&other, 183, "Require: 100rel\nRSeq: 5\n", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	phones_taken_over(&s);
	first.rig = other.rig = s.f.rig;
	phone_pracks(&s.alice, "");
	phone_gets(&other, "PRACK ");
	phone_answers(&other, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_pracks(&first, "");
	phone_gets(&s.bob, "PRACK ");
	assert_string_equal(got_value(&s.bob.got, HDR_RACK), "5 1 INVITE");
	phone_answers(&s.bob, 200, "", "");
	phone_gets(&first, "SIP/2.0 200");
	phones_exchange(&s.bob, &first, "UPDATE", 200);
	phone_fork(&third, &s.bob, "third");
	phone_answers_invite(&third, 180, "", "");
	phone_twin(&late, &s.alice);
	late.cseq = 0;
	phone_gets(&late, "SIP/2.0 180");
	phone_asks(&late, "UPDATE", "", ""); /* counts on from the INVITE there, too */
	phone_gets(&late, "SIP/2.0 500");
	phone_free(&late);
	phone_free(&third);
	phone_answers_invite(&other, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&other, "ACK ");
	phones_end(&other, &s.alice);
	phone_free(&first);
	phone_free(&other);
	phone_free(&s.alice);
	phone_free(&s.bob);
	flow_end(&s.f);
}

/* 422 had the far leg count ahead (RFC 4028 §7.3): the other node knows what a late RAck means there. */
static void late_prack_behind_a_422(void **state)
{
	struct scene s;

	(void)state;
	phones_call(&s, "Supported: 100rel, timer\nSession-Expires: 180\n");
	phone_answers(&s.bob, 422, "Min-SE: 300\n", "");
	rig_expect(s.f.rig, BOB, "ACK ", &s.bob.got);
	phone_gets(&s.bob, "INVITE ");
	phone_answers(&s.bob, 180, "Require: 100rel\nRSeq: 4\n", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	phones_taken_over(&s);
	phone_asks(&s.alice, "PRACK", "RAck: 4 1 INVITE\n", "");
	phone_gets(&s.bob, "PRACK ");
	assert_string_equal(got_value(&s.bob.got, HDR_RACK), "4 2 INVITE");
	phone_answers(&s.bob, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phones_hang_up(&s);
}

/* The INVITE was sent once, and may be lost: the caller has her 100 and does not repeat it, so the other node does. */
static void invite_without_any_answer(void **state)
{
	struct scene s;

	(void)state;
	phones_ring(&s);
	phones_taken_over(&s);
	rig_after(s.f.rig, SIP_T1);
	phone_gets(&s.bob, "INVITE ");
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	rig_after(s.f.rig, 10000);
	rig_expect_silence(s.f.rig, BOB);
	phones_hang_up(&s);
}

/* A PRACK that the first node passed on, its answer lost with that node: it comes again, and is no old one. */
static void request_on_its_way(void **state)
{
	struct phone early;
	struct scene s;

	(void)state;
	phones_ring(&s);
	phone_answers_invite(&s.bob, 183, "Require: 100rel\nRSeq: 5\n", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	phone_twin(&early, &s.alice);
	phone_pracks(&s.alice, "");
	phone_gets(&s.bob, "PRACK ");
	phones_taken_over(&s);
	early.rig = s.f.rig;
	phone_pracks(&early, "");
	phone_gets(&s.bob, "PRACK ");
	phone_answers(&s.bob, 200, "", "");
	phone_gets(&early, "SIP/2.0 200");
	early.cseq = 1;
	phone_asks(&early, "UPDATE", "", ""); /* but once answered it would be */
	phone_gets(&early, "SIP/2.0 500");
	phone_answers_invite(&s.bob, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	phone_free(&early);
	phones_hang_up(&s);
}

static void reinvite_begins(struct scene *s)
{
	phones_ring(s);
	phone_answers_invite(&s->bob, 200, "", ANSWER);
	phone_gets(&s->alice, "SIP/2.0 200");
	phone_acks(&s->alice, "");
	phone_gets(&s->bob, "ACK ");
	strcpy(s->alice.uri, "sip:NEAR-elsewhere@192.0.2.10:5060");
	phone_asks(&s->alice, "INVITE", "", OFFER);
	phone_gets(&s->alice, "SIP/2.0 100");
	phone_gets(&s->bob, "INVITE ");
	phone_answers(&s->bob, 100, "", "");
	phones_taken_over(s);
}

/* A re-INVITE that both sides have: answered, cancelled, refused or crossed on the other node as on the first. */
static void reinvite_on_its_way(void **state)
{
	struct scene s;

	(void)state;
	reinvite_begins(&s);
	phone_asks(&s.bob, "INVITE", "", OFFER);
	phone_gets(&s.bob, "SIP/2.0 491");
	phone_acks_refusal(&s.bob);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	phones_exchange(&s.bob, &s.alice, "INFO", 200); /* where she is now */
	phones_hang_up(&s);
}

static void reinvite_is_cancelled(void **state)
{
	struct scene s;

	(void)state;
	reinvite_begins(&s);
	phone_cancels(&s.alice);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_gets(&s.bob, "CANCEL ");
	phone_answers(&s.bob, 200, "", "");
	phone_answers_invite(&s.bob, 487, "", "");
	phone_gets(&s.bob, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 487");
	phone_acks_refusal(&s.alice);
	phone_free(&s.alice);
	phone_new(&s.alice, s.f.rig, "alice", ALICE);
	phone_asks(&s.bob, "BYE", "", "");
	rig_expect(s.f.rig, ALICE, "BYE sip:NEAR-alice@192.0.2.10:5060 ", &s.alice.got); /* where she was */
	s.alice.last = &s.alice.got;
	phone_answers(&s.alice, 200, "", "");
	phone_gets(&s.bob, "SIP/2.0 200");
	phone_free(&s.alice);
	phone_free(&s.bob);
	flow_end(&s.f);
}

/* Nobody answers it there: its deadline is kept. */
static void reinvite_nobody_answers(void **state)
{
	struct scene s;

	(void)state;
	reinvite_begins(&s);
	rig_after(s.f.rig, 179999);
	rig_expect_silence(s.f.rig, ALICE);
	rig_after(s.f.rig, 1);
	phone_gets(&s.alice, "SIP/2.0 408");
	phone_acks_refusal(&s.alice);
	phone_gets(&s.bob, "CANCEL ");
	phone_answers(&s.bob, 200, "", "");
	phone_answers_invite(&s.bob, 487, "", "");
	phone_gets(&s.bob, "ACK ");
	strcpy(s.alice.uri, "sip:NEAR-alice@192.0.2.10:5060");
	phones_exchange(&s.bob, &s.alice, "INFO", 200);
	phones_hang_up(&s);
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
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5061>\n", SDP);
	rig_export(f.rig, &all);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
	rig_free(f.rig, false);
	assert_int_equal(all.n, 6);
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
		cmocka_unit_test(subscription_of_its_own),
		cmocka_unit_test(subscription_outlives_its_call_and_its_node),
		cmocka_unit_test(early_dialogs_of_forks),
		cmocka_unit_test(late_prack_behind_a_422),
		cmocka_unit_test(invite_without_any_answer),
		cmocka_unit_test(request_on_its_way),
		cmocka_unit_test(reinvite_on_its_way),
		cmocka_unit_test(reinvite_is_cancelled),
		cmocka_unit_test(reinvite_nobody_answers),
		cmocka_unit_test(damaged_records_break_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
