/* Reliable provisionals (RFC 3262), early dialogs and forks: what each fork counts and offers is its own, on both sides. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define RELIABLE(n) "Require: 100rel\nRSeq: " n "\n"
#define BOB_URI "sip:bob@example.com"

/* Alice has called, and Bob has her INVITE. */
struct scene {
	struct rig *rig;
	struct phone alice, bob;
};

static void begin(struct scene *s, unsigned workers, const char *extra, const char *body)
{
	s->rig = rig_new(cast_yaml(), workers, 1);
	cast_watch(s->rig);
	phone_new(&s->alice, s->rig, "alice", cast_caller());
	phone_new(&s->bob, s->rig, "bob", cast_callee());
	phone_calls(&s->alice, BOB_URI, extra, body);
	phone_gets(&s->alice, "SIP/2.0 100");
	phone_gets(&s->bob, "INVITE ");
}

static void end(struct scene *s)
{
	rig_after(s->rig, 3600000);
	rig_forget(s->rig, cast_caller());
	rig_forget(s->rig, cast_callee());
	phone_free(&s->alice);
	phone_free(&s->bob);
	rig_free(s->rig, true);
}

static void pick_up(struct scene *s)
{
	phone_answers_invite(&s->bob, 200, "", ANSWER);
	phone_gets(&s->alice, "SIP/2.0 200");
	phone_acks(&s->alice, "");
	phone_gets(&s->bob, "ACK ");
}

/* PRACK and its 200. */
static void acknowledge(struct phone *p, struct phone *q, const char *offer, const char *answer)
{
	phone_pracks(p, offer);
	phone_gets(q, "PRACK ");
	assert_true(!*offer || got_has(&q->got, offer));
	phone_answers(q, 200, "", answer);
	phone_gets(p, "SIP/2.0 200");
	assert_true(!*answer || got_has(&p->got, answer));
}

/* §3: each early dialog has a sequence of its own. What is said to one reaches that one, from either side; the answer keeps the tag of
 * its early dialog, and the other one is over. */
static void each_fork_counts_for_itself(void **state)
{
	struct phone first, other;
	struct scene s;

	(void)state;
	begin(&s, 2, "Supported: 100rel\n", OFFER);
	assert_string_equal(got_value(&s.bob.invite, HDR_SUPPORTED), "100rel");
	phone_fork(&other, &s.bob, "desk");
	phone_answers_invite(&s.bob, 183, RELIABLE("71"), ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	assert_string_equal(got_value(&s.alice.got, HDR_RSEQ), "71");
	assert_string_equal(got_value(&s.alice.got, HDR_REQUIRE), "100rel");
	phone_twin(&first, &s.alice);
	phone_answers_invite(&other, 183, RELIABLE("71"), ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	assert_string_not_equal(s.alice.remote, first.remote);
	acknowledge(&s.alice, &other, "", "");
	acknowledge(&first, &s.bob, "", "");
	phone_answers_invite(&s.bob, 180, RELIABLE("72"), "");
	phone_gets(&first, "SIP/2.0 180");
	assert_string_equal(got_value(&first.got, HDR_RSEQ), "72");
	acknowledge(&first, &s.bob, "", "");
	phones_exchange(&other, &s.alice, "UPDATE", 200);
	phones_exchange(&first, &s.bob, "UPDATE", 200);
	phones_exchange(&s.bob, &first, "UPDATE", 200);
	phone_answers_invite(&other, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&other, "ACK ");
	phone_asks(&first, "UPDATE", "", "");
	phone_gets(&first, "SIP/2.0 481");
	phone_asks(&s.bob, "UPDATE", "", "");
	phone_gets(&s.bob, "SIP/2.0 481");
	phones_end(&other, &s.alice);
	phone_free(&first);
	phone_free(&other);
	end(&s);
}

/* §3: a response that is lost on our near side comes again from the far side, and again until its PRACK; after the final one it ends here. */
static void repeated_until_acknowledged(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1, "Supported: 100rel\n", OFFER);
	for (unsigned i = 0; i < 3; i++) {
		phone_answers_invite(&s.bob, 183, RELIABLE("1"), ANSWER);
		phone_gets(&s.alice, "SIP/2.0 183");
		assert_string_equal(got_value(&s.alice.got, HDR_RSEQ), "1");
	}
	acknowledge(&s.alice, &s.bob, "", "");
	phone_answers_invite(&s.bob, 180, RELIABLE("2"), "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.bob, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_answers_invite(&s.bob, 180, RELIABLE("2"), "");
	rig_expect_silence(s.rig, cast_caller());
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	phones_end(&s.alice, &s.bob);
	end(&s);
}

/* §3: a 2xx may go before the PRACK has come; a PRACK that comes then is as good as before, also behind the ACK. */
static void late_prack(void **state)
{
	for (unsigned after_ack = 0; after_ack < 2; after_ack++) {
		struct phone early;
		struct scene s;

		(void)state;
		begin(&s, 1, "Supported: 100rel\n", OFFER);
		phone_answers_invite(&s.bob, 180, RELIABLE("9"), "");
		phone_gets(&s.alice, "SIP/2.0 180");
		phone_twin(&early, &s.alice);
		phone_answers_invite(&s.bob, 200, "", ANSWER);
		phone_gets(&s.alice, "SIP/2.0 200");
		if (after_ack) {
			phone_acks(&s.alice, "");
			phone_gets(&s.bob, "ACK ");
		}
		acknowledge(&early, &s.bob, "", "");
		s.alice.cseq = early.cseq;
		if (!after_ack) {
			phone_acks(&s.alice, "");
			phone_gets(&s.bob, "ACK ");
		}
		phones_end(&s.bob, &s.alice);
		phone_free(&early);
		end(&s);
	}
}

/* §3: what acknowledges nothing is 481, early and late; nobody loses his dialog by it. */
static void prack_of_nothing(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1, "Supported: 100rel\n", OFFER);
	phone_answers_invite(&s.bob, 180, RELIABLE("9"), "");
	phone_gets(&s.alice, "SIP/2.0 180");
	for (unsigned i = 0; i < 2; i++) {
		phone_asks(&s.alice, "PRACK", "RAck: 10 1 INVITE\n", "");
		phone_gets(&s.bob, "PRACK ");
		assert_string_equal(got_value(&s.bob.got, HDR_RACK), "10 1 INVITE");
		phone_answers(&s.bob, 481, "", "");
		phone_gets(&s.alice, "SIP/2.0 481");
		rig_expect_silence(s.rig, cast_caller());
		if (!i)
			pick_up(&s);
	}
	assert_int_equal(rig_calls(s.rig), 1);
	phones_end(&s.alice, &s.bob);
	end(&s);
}

/* §7.2: three values, or it is no RAck. */
static void unreadable_rack(void **state)
{
	static const char *const bad[] = { "", "RAck: 1 1\n", "RAck: x 1 INVITE\n", "RAck: 1 99999999999 INVITE\n", "RAck:\n" };
	struct scene s;

	(void)state;
	begin(&s, 1, "Supported: 100rel\n", OFFER);
	phone_answers_invite(&s.bob, 180, RELIABLE("1"), "");
	phone_gets(&s.alice, "SIP/2.0 180");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		phone_asks(&s.alice, "PRACK", bad[i], "");
		phone_gets(&s.alice, "SIP/2.0 400 Bad RAck");
		rig_expect_silence(s.rig, cast_callee());
	}
	phone_answers_invite(&s.bob, 180, RELIABLE("1"), "");
	phone_gets(&s.alice, "SIP/2.0 180");
	acknowledge(&s.alice, &s.bob, "", "");
	pick_up(&s);
	phones_end(&s.alice, &s.bob);
	end(&s);
}

static unsigned headers_of(const struct got *g)
{
	return g->v.n;
}

/* LESSONS 17: a caller without 100rel is offered none, and an 18x gets no header that it had not (Via, From, To, Call-ID, CSeq,
 * Content-Length). */
static void nothing_is_invented(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	assert_null(view_find(&s.bob.invite.v, HDR_SUPPORTED, 0));
	assert_null(view_find(&s.bob.invite.v, HDR_REQUIRE, 0));
	s.bob.has_no_contact = true;
	phone_answers(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	assert_int_equal(headers_of(&s.alice.got), 6);
	assert_null(view_find(&s.alice.got.v, HDR_CONTACT, 0));
	phone_answers_invite(&s.bob, 183, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	assert_int_equal(headers_of(&s.alice.got), 7); /* and Content-Type */
	s.bob.has_no_contact = false;
	pick_up(&s);
	phones_end(&s.alice, &s.bob);
	end(&s);
}

/* What the caller requires is for the far side to judge; its refusal says what it lacks. */
static void required_of_the_far_side(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1, "Require: 100rel\n", OFFER);
	assert_string_equal(got_value(&s.bob.invite, HDR_REQUIRE), "100rel");
	phone_answers(&s.bob, 420, "Unsupported: 100rel\n", "");
	phone_gets(&s.bob, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 420");
	assert_string_equal(got_value(&s.alice.got, HDR_UNSUPPORTED), "100rel");
	phone_acks_refusal(&s.alice);
	end(&s);
}

/* LESSONS 17: a reliable provisional without Contact names no target; its PRACK goes where the INVITE went, to the same URI. */
static void prack_without_contact(void **state)
{
	struct phone other, alice;
	struct scene s;
	char before[64], route[64];

	(void)state;
	begin(&s, 1, "Supported: 100rel\n", OFFER);
	phone_fork(&other, &s.bob, "desk");
	snprintf(route, sizeof(route), "sip:%s;lr", cast_router());
	other.route = route;
	phone_answers_invite(&other, 183, RELIABLE("4"), ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	phone_pracks(&s.alice, ""); /* over its own route, which is not the other one's */
	rig_expect(s.rig, cast_router(), "PRACK ", &other.got);
	other.last = &other.got;
	phone_answers(&other, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	s.bob.has_no_contact = true;
	phone_answers_invite(&s.bob, 180, RELIABLE("7"), "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&alice, &s.alice);
	strcpy(alice.target, BOB_URI); /* she has no other either */
	phone_pracks(&alice, "");
	strcpy(before, s.bob.uri);
	strcpy(s.bob.uri, BOB_URI);
	phone_gets(&s.bob, "PRACK " BOB_URI " ");
	phone_answers(&s.bob, 200, "", "");
	phone_gets(&alice, "SIP/2.0 200");
	strcpy(s.bob.uri, before);
	phone_answers_invite(&other, 486, "", "");
	rig_forget(s.rig, cast_callee());
	rig_forget(s.rig, cast_router());
	phone_gets(&s.alice, "SIP/2.0 486");
	phone_acks_refusal(&s.alice);
	phone_free(&alice);
	phone_free(&other);
	end(&s);
}

/* A 200 without Contact, and none before it: nobody could be reached by that dialog. It is acknowledged and ended where its INVITE went. */
static void answered_without_contact(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	s.bob.has_no_contact_ever = true;
	phone_answers(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 502");
	phone_acks_refusal(&s.alice);
	strcpy(s.bob.uri, BOB_URI);
	phone_gets(&s.bob, "ACK " BOB_URI " ");
	phone_gets(&s.bob, "BYE " BOB_URI " ");
	phone_answers(&s.bob, 200, "", "");
	assert_int_equal(rig_calls(s.rig), 0);
	end(&s);
}

/* The final response crosses the PRACK: that has done its work. One with an offer has not. */
static void prack_crosses_the_refusal(void **state)
{
	for (unsigned offers = 0; offers < 2; offers++) {
		struct scene s;

		(void)state;
		begin(&s, 1, "Supported: 100rel\n", OFFER);
		phone_answers_invite(&s.bob, 183, RELIABLE("1"), ANSWER);
		phone_gets(&s.alice, "SIP/2.0 183");
		phone_pracks(&s.alice, offers ? OFFER : "");
		phone_gets(&s.bob, "PRACK ");
		phone_answers_invite(&s.bob, 486, "", "");
		rig_expect(s.rig, cast_callee(), "ACK ", &s.bob.invite);
		phone_gets(&s.alice, "SIP/2.0 486");
		phone_acks_refusal(&s.alice);
		phone_gets(&s.alice, offers ? "SIP/2.0 481" : "SIP/2.0 200");
		assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "2 PRACK");
		phone_answers(&s.bob, 200, "", "");
		rig_expect_silence(s.rig, cast_caller());
		end(&s);
	}
}

/* A destination that failed and the next one count apart: no number comes twice or turns around in one dialog. */
static void failover_counts_anew(void **state)
{
	struct phone alice, bob, carol;
	struct rig *r = rig_new(FLOW_TWO, 1, 1);

	(void)state;
	cast_watch(r);
	phone_new(&alice, r, "alice", ALICE);
	phone_new(&bob, r, "bob", BOB);
	phone_new(&carol, r, "carol", CAROL);
	phone_calls(&alice, BOB_URI, "Supported: 100rel\n", OFFER);
	phone_gets(&alice, "SIP/2.0 100");
	phone_gets(&bob, "INVITE ");
	phone_answers(&bob, 503, "", "");
	rig_expect(r, BOB, "ACK ", &bob.got);
	phone_gets(&carol, "INVITE ");
	phone_answers(&carol, 183, RELIABLE("1"), ANSWER);
	phone_gets(&alice, "SIP/2.0 183");
	acknowledge(&alice, &carol, "", "");
	phone_answers_invite(&carol, 503, "", ""); /* behind a provisional that was passed on nobody else is asked */
	rig_expect(r, CAROL, "ACK ", &carol.got);
	phone_gets(&alice, "SIP/2.0 500");
	phone_acks_refusal(&alice);
	rig_expect_silence(r, BOB);
	phone_free(&alice);
	phone_free(&bob);
	phone_free(&carol);
	rig_after(r, 3600000);
	rig_free(r, true);
}

/* §7.2: the numbers in RAck are those of the INVITE on its own side, in a re-INVITE of the callee too. */
static void reinvite_of_the_callee(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	pick_up(&s);
	s.bob.cseq = 700;
	phone_asks(&s.bob, "INVITE", "Supported: 100rel\n", OFFER);
	phone_gets(&s.bob, "SIP/2.0 100");
	phone_gets(&s.alice, "INVITE ");
	assert_int_equal(s.alice.invite.v.cseq, 1);
	phone_answers(&s.alice, 183, RELIABLE("5"), ANSWER);
	phone_gets(&s.bob, "SIP/2.0 183");
	phone_pracks(&s.bob, "");
	assert_int_equal(s.bob.invite_cseq, 701);
	phone_gets(&s.alice, "PRACK ");
	assert_string_equal(got_value(&s.alice.got, HDR_RACK), "5 1 INVITE");
	phone_answers(&s.alice, 200, "", "");
	phone_gets(&s.bob, "SIP/2.0 200");
	phone_answers_invite(&s.alice, 200, "", "");
	phone_gets(&s.bob, "SIP/2.0 200");
	phone_acks(&s.bob, "");
	phone_gets(&s.alice, "ACK ");
	phones_end(&s.alice, &s.bob);
	end(&s);
}

/* Each RAck names one INVITE: the far leg counts ahead (a 422 was answered by us, RFC 4028 §7.3), so that the number that one INVITE has
 * there is the next one's here. */
static void late_prack_while_the_next_invite_is_pending(void **state)
{
	struct phone early;
	struct scene s;

	(void)state;
	begin(&s, 1, "Supported: 100rel, timer\nSession-Expires: 180\n", OFFER);
	phone_answers(&s.bob, 422, "Min-SE: 300\n", "");
	rig_expect(s.rig, cast_callee(), "ACK ", &s.bob.got);
	phone_gets(&s.bob, "INVITE ");
	assert_int_equal(s.bob.invite.v.cseq, 2);
	phone_answers(&s.bob, 180, RELIABLE("4"), "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&early, &s.alice);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_asks(&s.alice, "INVITE", "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	assert_int_equal(s.bob.invite.v.cseq, 3);
	early.cseq = s.alice.cseq;
	phone_pracks(&early, "");
	phone_gets(&s.bob, "PRACK ");
	assert_string_equal(got_value(&s.bob.got, HDR_RACK), "4 2 INVITE");
	phone_answers(&s.bob, 200, "", "");
	phone_gets(&early, "SIP/2.0 200");
	phone_acks(&early, "");
	phone_gets(&s.bob, "ACK ");
	phone_answers_invite(&s.bob, 488, "", "");
	phone_gets(&s.bob, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 488");
	phone_acks_refusal(&s.alice);
	phone_asks(&early, "PRACK", "RAck: 4 1 INVITE\n", ""); /* again, behind all ACKs */
	phone_gets(&s.bob, "PRACK ");
	assert_string_equal(got_value(&s.bob.got, HDR_RACK), "4 2 INVITE");
	phone_answers(&s.bob, 481, "", "");
	phone_gets(&early, "SIP/2.0 481");
	s.alice.cseq = early.cseq;
	phones_end(&s.alice, &s.bob);
	phone_free(&early);
	end(&s);
}

/* Forks ------------------------------------------------------------------------------------------------------------ */

/* RFC 3261 §15: one early dialog of several is hung up, the others ring on, and one of them answers. */
static void one_fork_is_hung_up(void **state)
{
	struct phone first, other;
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	phone_fork(&other, &s.bob, "desk");
	phone_answers_invite(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&first, &s.alice);
	phone_answers_invite(&other, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phones_end(&first, &s.bob);
	assert_int_equal(rig_calls(s.rig), 1);
	phone_asks(&first, "UPDATE", "", "");
	phone_gets(&first, "SIP/2.0 481");
	rig_expect_silence(s.rig, cast_callee()); /* no CANCEL */
	phone_answers_invite(&other, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&other, "ACK ");
	phones_end(&s.alice, &other);
	phone_free(&first);
	phone_free(&other);
	end(&s);
}

/* Nobody answers the BYE of one early dialog: the others live on all the same. */
static void one_fork_is_hung_up_in_silence(void **state)
{
	struct phone first, other;
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	phone_fork(&other, &s.bob, "desk");
	phone_answers_invite(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&first, &s.alice);
	phone_answers_invite(&other, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_asks(&first, "BYE", "", "");
	phone_gets(&s.bob, "BYE ");
	rig_after(s.rig, CALL_BYE_WAIT_MS);
	phone_gets(&first, "SIP/2.0 200");
	rig_forget(s.rig, cast_callee());
	assert_int_equal(rig_calls(s.rig), 1);
	phone_answers_invite(&other, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&other, "ACK ");
	phones_end(&s.alice, &other);
	phone_free(&first);
	phone_free(&other);
	end(&s);
}

/* She hung up the only one there was; while her BYE was on its way another began to ring. */
static void another_fork_rings_behind_the_bye(void **state)
{
	struct phone first, other;
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	phone_fork(&other, &s.bob, "desk");
	phone_answers_invite(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&first, &s.alice);
	phone_asks(&first, "BYE", "", "");
	phone_gets(&s.bob, "BYE ");
	phone_answers_invite(&other, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers(&s.bob, 200, "", "");
	phone_gets(&first, "SIP/2.0 200");
	phone_answers_invite(&other, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&other, "ACK ");
	phones_end(&s.alice, &other);
	phone_free(&first);
	phone_free(&other);
	end(&s);
}

/* §12.1.2, §13.2.2.4: what rings again without Record-Route has not changed its way; an answer has. And requests of an early dialog count
 * on from its INVITE (§12.2.2). */
static void early_requests_keep_their_way(void **state)
{
	struct scene s;
	char route[64];

	(void)state;
	begin(&s, 1, "Supported: 100rel\n", OFFER);
	snprintf(route, sizeof(route), "sip:%s;lr", cast_router());
	s.bob.route = route;
	phone_answers_invite(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	s.bob.route = NULL;
	phone_answers_invite(&s.bob, 183, RELIABLE("1"), ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	s.alice.cseq = 0;
	phone_asks(&s.alice, "UPDATE", "", "");
	phone_gets(&s.alice, "SIP/2.0 500 CSeq Out Of Order");
	s.alice.cseq = 1;
	phone_asks(&s.alice, "UPDATE", "", OFFER);
	rig_expect(s.rig, cast_router(), "UPDATE ", &s.bob.got);
	assert_memory_equal(got_value(&s.bob.got, HDR_ROUTE) + 1, route, strlen(route));
	s.bob.last = &s.bob.got;
	phone_answers(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_answers_invite(&s.bob, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	assert_null(view_find(&s.bob.got.v, HDR_ROUTE, 0));
	phones_end(&s.alice, &s.bob);
	end(&s);
}

/* RFC 6228: 199 says that a fork is over. */
static void a_fork_gives_up(void **state)
{
	struct phone first, other;
	struct scene s;

	(void)state;
	begin(&s, 1, "Supported: 199\n", OFFER);
	phone_fork(&other, &s.bob, "desk");
	phone_answers_invite(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&first, &s.alice);
	phone_answers_invite(&other, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.bob, 199, "Reason: SIP;cause=486\n", "");
	phone_gets(&first, "SIP/2.0 199");
	assert_string_equal(got_value(&first.got, HDR_REASON), "SIP;cause=486");
	phone_asks(&first, "UPDATE", "", "");
	phone_gets(&first, "SIP/2.0 481");
	phone_answers_invite(&other, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&other, "ACK ");
	phones_end(&s.alice, &other);
	phone_free(&first);
	phone_free(&other);
	end(&s);
}

/* More forks ring than a call holds: what they say early is lost, the answer of one of them is not. */
static void a_fork_beyond_the_bound_answers(void **state)
{
	static char name[DIALOGS_PER_CALL_MAX + 2][8];
	struct phone fork;
	struct scene s;

	(void)state;
	begin(&s, 1, "", OFFER);
	for (unsigned i = 0; i < DIALOGS_PER_CALL_MAX + 2; i++) {
		snprintf(name[i], sizeof(name[i]), "f%u", i);
		phone_fork(&fork, &s.bob, name[i]);
		phone_answers_invite(&fork, 180, "", "");
		if (i < DIALOGS_PER_CALL_MAX)
			phone_gets(&s.alice, "SIP/2.0 180");
		if (i <= DIALOGS_PER_CALL_MAX)
			phone_free(&fork);
	}
	rig_expect_silence(s.rig, cast_caller());
	assert_int_equal(rig_count(s.rig, FORKS_REFUSED), 2);
	phone_answers_invite(&fork, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&fork, "ACK ");
	phones_end(&fork, &s.alice);
	phone_free(&fork);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fork_counts_for_itself),
		cmocka_unit_test(repeated_until_acknowledged),
		cmocka_unit_test(late_prack),
		cmocka_unit_test(prack_of_nothing),
		cmocka_unit_test(unreadable_rack),
		cmocka_unit_test(nothing_is_invented),
		cmocka_unit_test(required_of_the_far_side),
		cmocka_unit_test(prack_without_contact),
		cmocka_unit_test(answered_without_contact),
		cmocka_unit_test(prack_crosses_the_refusal),
		cmocka_unit_test(failover_counts_anew),
		cmocka_unit_test(reinvite_of_the_callee),
		cmocka_unit_test(late_prack_while_the_next_invite_is_pending),
		cmocka_unit_test(one_fork_is_hung_up),
		cmocka_unit_test(one_fork_is_hung_up_in_silence),
		cmocka_unit_test(another_fork_rings_behind_the_bye),
		cmocka_unit_test(early_requests_keep_their_way),
		cmocka_unit_test(a_fork_gives_up),
		cmocka_unit_test(a_fork_beyond_the_bound_answers),
	};

	return cast_run_both_ways(tests, sizeof(tests) / sizeof(*tests));
}
