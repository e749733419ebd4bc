/* Offers and answers (RFC 3264, RFC 6337) in INVITE, PRACK, UPDATE (RFC 3311) and re-INVITE: passed in order, byte for byte; refusals
 * change nothing; what crosses is told apart by the ends, or by us where we see it first (RFC 3261 §14). */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define RELIABLE(n) "Require: 100rel\nRSeq: " n "\n"
#define SESSION(n) "v=0\r\no=- 7 " n " IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 700" n " RTP/AVP 0\r\n"

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

static void answered(struct scene *s)
{
	begin(s);
	phones_talk(&s->alice, &s->bob, "sip:bob@example.com");
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

static void hang_up(struct scene *s)
{
	phones_end(&s->alice, &s->bob);
	end(s);
}

/* One request with an offer, its 2xx with an answer, and the ACK of an INVITE. */
static void agree(struct phone *p, struct phone *q, const char *method, const char *offer, const char *answer, const char *in_ack)
{
	char start[32];

	snprintf(start, sizeof(start), "%s ", method);
	if (!strcmp(method, "PRACK"))
		phone_pracks(p, offer);
	else
		phone_asks(p, method, "", offer);
	if (!strcmp(method, "INVITE"))
		phone_gets(p, "SIP/2.0 100");
	phone_gets(q, start);
	assert_int_equal(q->last->v.body_len, strlen(offer));
	assert_true(got_has(q->last, offer));
	phone_answers(q, 200, "", answer);
	phone_gets(p, "SIP/2.0 200");
	assert_int_equal(p->got.v.body_len, strlen(answer));
	assert_true(got_has(&p->got, answer));
	if (strcmp(method, "INVITE") != 0)
		return;
	phone_acks(p, in_ack);
	phone_gets(q, "ACK ");
	assert_int_equal(q->got.v.body_len, strlen(in_ack));
	assert_true(got_has(&q->got, in_ack));
}

/* RFC 6337 §2, patterns 1, 3, 4, 5 and 6 in one call, and pattern 2 in a re-INVITE. */
static void in_order(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	phone_calls(&s.alice, "sip:bob@example.com", "Supported: 100rel\nAllow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE\n", SESSION("1"));
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	assert_string_equal(got_value(&s.bob.invite, HDR_ALLOW), "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
	phone_answers(&s.bob, 183, RELIABLE("1"), SESSION("2"));
	phone_gets(&s.alice, "SIP/2.0 183");
	assert_true(got_has(&s.alice.got, SESSION("2")));
	agree(&s.alice, &s.bob, "PRACK", SESSION("3"), SESSION("4"), "");
	agree(&s.alice, &s.bob, "UPDATE", SESSION("5"), SESSION("6"), "");
	agree(&s.bob, &s.alice, "UPDATE", SESSION("7"), SESSION("8"), "");
	phone_answers_invite(&s.bob, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_int_equal(s.alice.got.v.body_len, 0);
	s.alice.invite_cseq = 1;
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	agree(&s.bob, &s.alice, "UPDATE", SESSION("1"), SESSION("2"), "");
	agree(&s.alice, &s.bob, "UPDATE", SESSION("3"), SESSION("4"), "");
	agree(&s.alice, &s.bob, "INVITE", SESSION("5"), SESSION("6"), "");
	agree(&s.bob, &s.alice, "INVITE", SESSION("7"), SESSION("8"), "");
	agree(&s.alice, &s.bob, "INVITE", "", SESSION("1"), SESSION("2"));
	agree(&s.bob, &s.alice, "INVITE", "", SESSION("3"), SESSION("4"));
	hang_up(&s);
}

/* RFC 3262 §5: an INVITE without offer; the far side offers in a reliable provisional and has its answer in the PRACK. An ACK that never
 * comes then refuses nothing in her name. */
static void late_offer_settled_early(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	phone_calls(&s.alice, "sip:bob@example.com", "Supported: 100rel\n", "");
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	assert_int_equal(s.bob.invite.v.body_len, 0);
	phone_answers(&s.bob, 183, RELIABLE("1"), SESSION("1"));
	phone_gets(&s.alice, "SIP/2.0 183");
	agree(&s.alice, &s.bob, "PRACK", SESSION("2"), "", "");
	phone_answers_invite(&s.bob, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	rig_after(s.rig, SIP_TIMEOUT - 1);
	rig_forget(s.rig, cast_caller());
	rig_expect_silence(s.rig, cast_callee());
	rig_after(s.rig, 1);
	phone_gets(&s.bob, "ACK ");
	assert_int_equal(s.bob.got.v.body_len, 0);
	phone_gets(&s.bob, "BYE ");
	phone_gets(&s.alice, "BYE ");
	end(&s);
}

/* Refusals ----------------------------------------------------------------------------------------------------------- */

static void moves_to(struct phone *p, const char *name)
{
	snprintf(p->uri, sizeof(p->uri), "sip:%s@%s", name, p->at);
}

/* §12.2.2: what is refused has changed nothing, its Contact neither. Accepted, it has. */
static void refused_is_as_if_never_asked(void **state)
{
	static const char *const methods[] = { "INVITE", "UPDATE" };
	struct scene s;

	(void)state;
	answered(&s);
	for (unsigned i = 0; i < 4; i++) {
		struct phone *p = i % 2 ? &s.bob : &s.alice, *q = i % 2 ? &s.alice : &s.bob;
		const char *method = methods[i / 2];
		char before[64], start[16];

		snprintf(start, sizeof(start), "%s ", method);
		strcpy(before, p->uri);
		moves_to(p, "elsewhere");
		phone_asks(p, method, "", SESSION("1"));
		if (i < 2)
			phone_gets(p, "SIP/2.0 100");
		phone_gets(q, start);
		phone_answers(q, 488, "Warning: 304 x.invalid \"Media type not available\"\n", "");
		if (i < 2)
			phone_gets(q, "ACK ");
		phone_gets(p, "SIP/2.0 488");
		if (i < 2)
			phone_acks_refusal(p);
		strcpy(p->uri, before);
		phones_exchange(q, p, "INFO", 200);
		moves_to(p, i < 2 ? "third" : "fourth");
		phone_asks(p, method, "", SESSION("1"));
		if (i < 2)
			phone_gets(p, "SIP/2.0 100");
		phone_gets(q, start);
		phone_answers(q, 200, "", SESSION("2"));
		phone_gets(p, "SIP/2.0 200");
		if (i < 2) {
			phone_acks(p, "");
			phone_gets(q, "ACK ");
		}
		phones_exchange(q, p, "INFO", 200);
	}
	hang_up(&s);
}

/* §12.2.1.2: a 2xx moves the target of the one who sent it; a refusal does not. */
static void the_answer_moves_its_sender(void **state)
{
	struct scene s;

	(void)state;
	answered(&s);
	for (unsigned i = 0; i < 4; i++) {
		struct phone *p = i % 2 ? &s.bob : &s.alice, *q = i % 2 ? &s.alice : &s.bob;

		phone_asks(p, "UPDATE", "", i < 2 ? SESSION("1") : "");
		phone_gets(q, "UPDATE ");
		moves_to(q, i < 2 ? "desk" : "hall");
		phone_answers(q, 200, "", i < 2 ? SESSION("2") : "");
		phone_gets(p, "SIP/2.0 200");
		phones_exchange(p, q, "INFO", 200);
	}
	hang_up(&s);
}

/* RFC 6141 §4.6: a reliable provisional of a re-INVITE has moved the target already, and a refusal behind it does not move it back; one
 * that may be lost has not. */
static void moved_by_a_reliable_provisional(void **state)
{
	struct scene s;

	(void)state;
	answered(&s);
	for (unsigned reliable = 0; reliable < 2; reliable++) {
		char before[64];

		strcpy(before, s.alice.uri);
		moves_to(&s.alice, "elsewhere");
		phone_asks(&s.alice, "INVITE", "Supported: 100rel\n", SESSION("1"));
		phone_gets(&s.alice, "SIP/2.0 100");
		phone_gets(&s.bob, "INVITE ");
		phone_answers(&s.bob, 183, reliable ? RELIABLE("1") : "", "");
		phone_gets(&s.alice, "SIP/2.0 183");
		if (!reliable)
			strcpy(s.alice.uri, before);
		phones_exchange(&s.bob, &s.alice, "INFO", 200);
		phone_answers_invite(&s.bob, 488, "", "");
		phone_gets(&s.bob, "ACK ");
		phone_gets(&s.alice, "SIP/2.0 488");
		phone_acks_refusal(&s.alice);
		phones_exchange(&s.bob, &s.alice, "INFO", 200);
	}
	hang_up(&s);
}

/* Glare -------------------------------------------------------------------------------------------------------------- */

/* §14.1, §14.2: INVITEs that cross are 491 at both ends. Each waits its time: on her leg Alice owns the Call-ID (2.1 to 4 s), on his leg
 * we do, so that Bob is the first (0 to 2 s). Then both get through. */
static void reinvites_cross(void **state)
{
	struct scene s;

	(void)state;
	answered(&s);
	phone_asks(&s.alice, "INVITE", "", SESSION("1"));
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	phone_asks(&s.bob, "INVITE", "", SESSION("2"));
	phone_gets(&s.bob, "SIP/2.0 491");
	phone_acks_refusal(&s.bob);
	rig_expect_silence(s.rig, cast_caller());
	phone_answers_invite(&s.bob, 491, "", "");
	phone_gets(&s.bob, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 491");
	phone_acks_refusal(&s.alice);
	rig_after(s.rig, 1000);
	agree(&s.bob, &s.alice, "INVITE", SESSION("2"), SESSION("3"), "");
	rig_after(s.rig, 2000);
	agree(&s.alice, &s.bob, "INVITE", SESSION("1"), SESSION("4"), "");
	hang_up(&s);
}

/* §14.2: INVITEs before the first one is answered: 491 for the callee's, 500 with a time for a second one of the caller's. Neither
 * disturbs the first. */
static void invites_while_it_rings(void **state)
{
	struct phone again;
	struct scene s;
	int wait;

	(void)state;
	begin(&s);
	phone_calls(&s.alice, "sip:bob@example.com", "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	phone_answers(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&again, &s.alice);
	phone_asks(&again, "INVITE", "", SESSION("1"));
	phone_gets(&again, "SIP/2.0 500 Request In Progress");
	wait = atoi(got_value(&again.got, HDR_RETRY_AFTER));
	assert_true(*got_value(&again.got, HDR_RETRY_AFTER) && wait >= 0 && wait <= 10);
	phone_acks_refusal(&again);
	phone_asks(&s.bob, "INVITE", "", SESSION("2"));
	phone_gets(&s.bob, "SIP/2.0 491");
	phone_acks_refusal(&s.bob);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	s.alice.cseq = again.cseq;
	phone_free(&again);
	hang_up(&s);
}

/* RFC 3311 §5.2: offers in UPDATEs that cross: each end has one of its own outstanding, and says 491 to the other's. */
static void updates_cross(void **state)
{
	struct scene s;

	(void)state;
	answered(&s);
	phone_asks(&s.alice, "UPDATE", "", SESSION("1"));
	phone_asks(&s.bob, "UPDATE", "", SESSION("2"));
	phone_gets(&s.alice, "UPDATE ");
	phone_gets(&s.bob, "UPDATE ");
	phone_answers(&s.alice, 491, "", "");
	phone_answers(&s.bob, 491, "", "");
	phone_gets(&s.alice, "SIP/2.0 491");
	phone_gets(&s.bob, "SIP/2.0 491");
	assert_int_equal(rig_calls(s.rig), 1);
	agree(&s.bob, &s.alice, "UPDATE", SESSION("3"), SESSION("4"), "");
	hang_up(&s);
}

/* RFC 3311 §5.2: a second offer before the first is answered is 500 with a time; the first one's answer passes all the same. */
static void update_behind_update(void **state)
{
	struct phone first;
	struct scene s;

	(void)state;
	answered(&s);
	phone_asks(&s.alice, "UPDATE", "", SESSION("1"));
	phone_gets(&s.bob, "UPDATE ");
	phone_twin(&first, &s.bob);
	phone_asks(&s.alice, "UPDATE", "", SESSION("2"));
	phone_gets(&s.bob, "UPDATE ");
	phone_answers(&s.bob, 500, "Retry-After: 7\n", "");
	phone_gets(&s.alice, "SIP/2.0 500");
	assert_string_equal(got_value(&s.alice.got, HDR_RETRY_AFTER), "7");
	phone_answers(&first, 200, "", SESSION("3"));
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "2 UPDATE");
	phone_free(&first);
	hang_up(&s);
}

/* An UPDATE while a re-INVITE of the other side is pending reaches that side, which knows what it has outstanding. */
static void update_within_a_reinvite(void **state)
{
	struct scene s;

	(void)state;
	answered(&s);
	phone_asks(&s.alice, "INVITE", "", SESSION("1"));
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	phone_asks(&s.bob, "UPDATE", "", SESSION("2"));
	phone_gets(&s.alice, "UPDATE ");
	phone_answers(&s.alice, 491, "", "");
	phone_gets(&s.bob, "SIP/2.0 491");
	phone_asks(&s.bob, "UPDATE", "", ""); /* without an offer nothing crosses */
	phone_gets(&s.alice, "UPDATE ");
	phone_answers(&s.alice, 200, "", "");
	phone_gets(&s.bob, "SIP/2.0 200");
	phone_answers_invite(&s.bob, 200, "", SESSION("3"));
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.bob, "ACK ");
	hang_up(&s);
}

/* §14.1: she is refused with 481, or hears nothing: the dialog is gone, and the other side is told. Any other refusal leaves it. */
static void which_refusals_end_the_call(void **state)
{
	static const struct { const char *method; unsigned status; bool ends; } of[] = {
		{ "INVITE", 488, false }, { "INVITE", 500, false }, { "INVITE", 503, false }, { "INVITE", 606, false },
		{ "UPDATE", 405, false }, { "UPDATE", 504, false }, { "INFO", 408, false }, { "INVITE", 481, true },
		{ "UPDATE", 481, true }, { "INVITE", 408, true }, { "UPDATE", 408, true },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct scene s;
		char start[32];

		answered(&s);
		phone_asks(&s.bob, of[i].method, "", "");
		if (!strcmp(of[i].method, "INVITE"))
			phone_gets(&s.bob, "SIP/2.0 100");
		snprintf(start, sizeof(start), "%s ", of[i].method);
		phone_gets(&s.alice, start);
		phone_answers(&s.alice, of[i].status, "", "");
		snprintf(start, sizeof(start), "SIP/2.0 %u", of[i].status);
		if (!strcmp(of[i].method, "INVITE"))
			phone_gets(&s.alice, "ACK ");
		phone_gets(&s.bob, start);
		if (!strcmp(of[i].method, "INVITE"))
			phone_acks_refusal(&s.bob);
		if (of[i].ends)
			phone_gets(&s.bob, "BYE ");
		rig_expect_silence(s.rig, cast_callee());
		assert_int_equal(rig_calls(s.rig), of[i].ends ? 0 : 1);
		if (of[i].ends)
			end(&s);
		else
			hang_up(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(late_offer_settled_early),
		cmocka_unit_test(refused_is_as_if_never_asked),
		cmocka_unit_test(the_answer_moves_its_sender),
		cmocka_unit_test(moved_by_a_reliable_provisional),
		cmocka_unit_test(reinvites_cross),
		cmocka_unit_test(invites_while_it_rings),
		cmocka_unit_test(updates_cross),
		cmocka_unit_test(update_behind_update),
		cmocka_unit_test(update_within_a_reinvite),
		cmocka_unit_test(which_refusals_end_the_call),
	};

	return cast_run_both_ways(tests, sizeof(tests) / sizeof(*tests));
}
