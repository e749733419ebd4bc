/* A message that the guard holds back (`hiding.guard: block`) hangs nothing: whoever waits for it hears 500 or our own words instead. What
 * the guard finds is tested in tests/unit/topohide/guard.c; here one that dislikes a word stands in its place. */
#include "tests/flow/flow.h"
#include "topohide/guard.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define LEAK "X-Leak: 1\n"

struct watch {
	struct sip_guard base;
	const char *start;       /* of the messages looked at; NULL: all */
	unsigned held;
};

static int dislike(struct sip_guard *g, const struct path *to, const struct buf *message)
{
	struct watch *w = owner_of(g, struct watch, base);
	struct sv text = buf_sv((struct buf *)message);

	(void)to;
	if (sv_find(text, SV("X-Leak")) == SIZE_MAX || (w->start && strncmp(text.p, w->start, strlen(w->start)) != 0))
		return 0;
	w->held++;
	return -EACCES;
}

static void watched(struct flow *f, struct watch *w, const char *start)
{
	*w = (struct watch){ .base = { .check = dislike }, .start = start };
	f->rig->workers[0].stack.guard = &w->base;
}

static void ends_with_500(struct flow *f, struct watch *w)
{
	flow_expect_at_alice(f, "SIP/2.0 500");
	flow_refused(f);
	assert_int_equal(w->held, 1);
	assert_int_equal(rig_calls(f->rig), 0);
	flow_end(f);
}

static void an_invite_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 1, 1);
	watched(&f, &w, NULL);
	flow_alice_calls(&f, LEAK, SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	rig_expect_silence(f.rig, BOB);
	rig_expect_silence(f.rig, CAROL); /* another destination would make it no better */
	ends_with_500(&f, &w);
}

/* A provisional is dropped, the call goes on. */
static void a_provisional_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	watched(&f, &w, NULL);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, LEAK, "");
	rig_expect_silence(f.rig, ALICE);
	assert_int_equal(w.held, 1);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

static void an_answer_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	watched(&f, &w, NULL);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, LEAK, SDP);
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	ends_with_500(&f, &w);
}

static void a_refusal_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	watched(&f, &w, NULL);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 486, LEAK, "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	ends_with_500(&f, &w);
}

/* The other side waits for an ACK: it gets a bare one. */
static void an_ack_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	watched(&f, &w, NULL);
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n" LEAK,
	        f.near_contact, f.near_to);
	flow_expect_at_bob(&f, "ACK ");
	assert_false(got_has(&f.at_bob, "X-Leak"));
	assert_int_equal(w.held, 1);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

static void requests_within_the_dialog_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	watched(&f, &w, NULL);
	flow_alice_says(&f, "INFO", LEAK, "");
	flow_expect_at_alice(&f, "SIP/2.0 500");
	rig_expect_silence(f.rig, BOB);
	flow_bob_says(&f, "INFO", "", "");
	flow_expect_at_alice(&f, "INFO ");
	flow_alice_answers(&f, 200, LEAK, "");
	flow_expect_at_bob(&f, "SIP/2.0 500");
	assert_int_equal(w.held, 2);
	flow_alice_says(&f, "BYE", LEAK, ""); /* a BYE of our own instead */
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_expect_at_bob(&f, "BYE ");
	assert_false(got_has(&f.at_bob, "X-Leak"));
	flow_bob_answers(&f, 200, "", "");
	assert_int_equal(w.held, 3);
	flow_end(&f);
}

/* One side accepted a session that the other cannot be told of: the call ends. */
static void the_answer_to_a_reinvite_held_back(void **state)
{
	struct watch w;
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	watched(&f, &w, NULL);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, LEAK, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	rig_after(f.rig, 10);
	assert_int_equal(rig_calls(f.rig), 0);
	assert_int_equal(w.held, 1);
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

static void a_message_and_its_answer_held_back(void **state)
{
	static const char message[] = "MESSAGE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKm%u;rport\nMax-Forwards: 70\n"
				      "From: <sip:alice@example.com>;tag=m%u\nTo: <sip:bob@example.com>\nCall-ID: m%u\nCSeq: 1 MESSAGE\n%s";
	struct watch w;
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	watched(&f, &w, NULL);
	rig_say(f.rig, ALICE, EDGE, "", message, 1, 1, 1, LEAK);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	rig_say(f.rig, ALICE, EDGE, "", message, 2, 2, 2, "");
	flow_expect_at_bob(&f, "MESSAGE ");
	flow_bob_answers(&f, 200, LEAK, "");
	flow_expect_at_alice(&f, "SIP/2.0 500");
	assert_int_equal(w.held, 2);
	flow_end(&f);
}

#define WITH(mode) "hiding: { guard: " mode " }\n" FLOW_ONE

/* The real one is asked as the configuration says, from the next snapshot on, and lets calls pass. */
static void by_configuration(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	assert_null(f.rig->workers[0].stack.guard);
	rig_reload(f.rig, WITH("log"));
	assert_non_null(f.rig->workers[0].stack.guard);
	rig_reload(f.rig, WITH("off"));
	assert_null(f.rig->workers[0].stack.guard);
	got_free(&f.at_alice);
	rig_free(f.rig, true);
	flow_answered(&f, WITH("block"), 1, 1);
	assert_non_null(f.rig->workers[0].stack.guard);
	flow_bob_says(&f, "BYE", "X-Where: example.com\n", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	assert_int_equal(counter_get(b2bua_hide_counters(f.rig->workers[0].calls), HIDE_GUARD_FOUND), 0);
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invite_held_back),
		cmocka_unit_test(a_provisional_held_back),
		cmocka_unit_test(an_answer_held_back),
		cmocka_unit_test(a_refusal_held_back),
		cmocka_unit_test(an_ack_held_back),
		cmocka_unit_test(requests_within_the_dialog_held_back),
		cmocka_unit_test(the_answer_to_a_reinvite_held_back),
		cmocka_unit_test(a_message_and_its_answer_held_back),
		cmocka_unit_test(by_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
