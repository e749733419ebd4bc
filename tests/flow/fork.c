/* tests/flow/fork.c - one request to all the phones of somebody (RFC 3261 §16.6, §16.7; DECISIONS 4): who rings, who answers, what the
 * others are told, and what the caller sees of it. */
#include "tests/flow/home.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#define BOB_URI "sip:bob@example.com"

/* Alice calls Bob, who has two phones. */
struct scene {
	struct rig *rig;
	struct phone alice, desk, mobile;
	char desk_via[256];
};

static void open_on(struct scene *s, const char *yaml, unsigned workers, const char *desk, const char *mobile)
{
	s->rig = rig_new(yaml, workers, 1);
	phone_new(&s->alice, s->rig, "alice", ALICE);
	phone_new(&s->desk, s->rig, "desk", DESK);
	phone_new(&s->mobile, s->rig, "mobile", MOBILE);
	home_registers(&s->desk, "bob", desk, "");
	home_registers(&s->mobile, "bob", mobile, "");
}

static void open_scene(struct scene *s)
{
	open_on(s, HOME, 1, "", "");
}

static void alice_calls(struct scene *s)
{
	phone_calls(&s->alice, BOB_URI, "", OFFER);
	phone_gets(&s->alice, "SIP/2.0 100");
}

static void both_get_it(struct scene *s)
{
	phone_gets(&s->desk, "INVITE ");
	phone_gets(&s->mobile, "INVITE ");
}

static void close_scene(struct scene *s)
{
	struct phone *const all[] = { &s->alice, &s->desk, &s->mobile };

	phones_silent(all, 3);
	for (unsigned i = 0; i < 3; i++)
		phone_free(all[i]);
	home_end(s->rig);
}

/* CANCEL, its answer, 487 and its ACK. */
static void is_cancelled(struct phone *p)
{
	phone_gets(p, "CANCEL ");
	phone_answers(p, 200, "", "");
	phone_answers_invite(p, 487, "", "");
	phone_gets(p, "ACK ");
}

static void refuses_with(struct phone *p, unsigned status, const char *lines)
{
	phone_answers_invite(p, status, lines, "");
	phone_gets(p, "ACK ");
}

static void refuses(struct phone *p, unsigned status)
{
	refuses_with(p, status, "");
}

static void alice_hears(struct scene *s, const char *line)
{
	phone_gets(&s->alice, line);
	phone_acks_refusal(&s->alice);
}

static void is_answered_by(struct scene *s, struct phone *p)
{
	phone_answers_invite(p, 200, "", ANSWER);
	phone_gets(&s->alice, "SIP/2.0 200");
	phone_acks(&s->alice, "");
	phone_gets(p, "ACK ");
}

static void both_ring_and_one_answers(void **state)
{
	struct phone twin;
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	both_get_it(&s);
	/* branches of one request, as a proxy's */
	assert_string_equal(got_value(&s.desk.invite, HDR_CALL_ID), got_value(&s.mobile.invite, HDR_CALL_ID));
	assert_string_equal(got_value(&s.desk.invite, HDR_FROM), got_value(&s.mobile.invite, HDR_FROM));
	assert_string_equal(got_value(&s.desk.invite, HDR_CSEQ), got_value(&s.mobile.invite, HDR_CSEQ));
	assert_string_not_equal(got_branch(&s.desk.invite), got_branch(&s.mobile.invite));
	assert_string_equal(got_uri(&s.desk.invite), s.desk.uri); /* each is asked as what it registered */
	assert_string_equal(got_uri(&s.mobile.invite), s.mobile.uri);
	phone_answers_invite(&s.desk, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&twin, &s.alice);
	phone_answers_invite(&s.mobile, 180, "", "");
	rig_expect(s.rig, ALICE, "SIP/2.0 180", &s.alice.got);
	assert_string_not_equal(got_tag(&s.alice.got, HDR_TO), got_tag(&twin.got, HDR_TO)); /* two early dialogs */
	snprintf(s.alice.remote, sizeof(s.alice.remote), "%s", got_value(&s.alice.got, HDR_TO));
	snprintf(s.alice.target, sizeof(s.alice.target), "%s", got_contact(&s.alice.got));
	is_answered_by(&s, &s.mobile);
	is_cancelled(&s.desk);
	phones_end(&s.mobile, &s.alice);
	phone_free(&twin);
	close_scene(&s);
}

static void the_caller_cancels_all(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	both_get_it(&s);
	phone_answers_invite(&s.desk, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_cancels(&s.alice);
	rig_expect(s.rig, ALICE, "SIP/2.0 200", &s.alice.got);
	rig_expect(s.rig, ALICE, "SIP/2.0 487", &s.alice.got);
	phone_acks_refusal(&s.alice);
	is_cancelled(&s.desk);
	rig_expect_silence(s.rig, MOBILE); /* it has said nothing yet: §9.1 */
	phone_answers_invite(&s.mobile, 180, "", "");
	is_cancelled(&s.mobile);
	close_scene(&s);
}

static void a_2xx_that_crosses_the_cancel_is_ended(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	both_get_it(&s);
	phone_answers_invite(&s.desk, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.desk, 200, "", ANSWER);
	phone_answers_invite(&s.mobile, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	rig_expect(s.rig, MOBILE, "ACK ", &s.mobile.got);
	rig_expect(s.rig, MOBILE, "BYE ", &s.mobile.got);
	s.mobile.last = &s.mobile.got;
	phone_answers(&s.mobile, 200, "", "");
	phone_gets(&s.desk, "ACK ");
	phones_end(&s.alice, &s.desk);
	close_scene(&s);
}

static void the_best_refusal_is_passed(void **state)
{
	/* §16.7 step 6: what a caller can do something with before what says nothing of who is called */
	static const struct { unsigned first, second; const char *line; } cases[] = {
		{ 486, 480, "SIP/2.0 486" }, { 480, 486, "SIP/2.0 486" }, { 408, 404, "SIP/2.0 404" }, { 500, 486, "SIP/2.0 486" },
		{ 503, 503, "SIP/2.0 500" }, { 430, 430, "SIP/2.0 480" }, { 302, 486, "SIP/2.0 302" }, { 404, 420, "SIP/2.0 420" },
		{ 407, 486, "SIP/2.0 407" }, { 401, 415, "SIP/2.0 401" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;

		open_scene(&s);
		alice_calls(&s);
		both_get_it(&s);
		refuses(&s.desk, cases[i].first);
		rig_expect_silence(s.rig, ALICE); /* the other one may yet answer */
		refuses(&s.mobile, cases[i].second);
		alice_hears(&s, cases[i].line);
		close_scene(&s);
	}
}

/* §16.7 step 5. */
static void a_6xx_is_everybodys_word(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	both_get_it(&s);
	phone_answers_invite(&s.mobile, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	refuses(&s.desk, 603);
	alice_hears(&s, "SIP/2.0 603");
	is_cancelled(&s.mobile);
	close_scene(&s);
}

/* One dead contact never fails the fork: silent, refused by ICMP, or gone in between. */
static void a_dead_contact_harms_nobody(void **state)
{
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		open_scene(&s);
		alice_calls(&s);
		phone_gets(&s.mobile, "INVITE ");
		phone_answers_invite(&s.mobile, 180, "", "");
		phone_gets(&s.alice, "SIP/2.0 180");
		if (i == 0) {
			rig_after(s.rig, SIP_TIMEOUT);
		} else if (i == 1) {
			rig_refuse_last(s.rig, DESK, ECONNREFUSED);
		} else {
			phone_gets(&s.desk, "INVITE ");
			refuses(&s.desk, 430);
		}
		rig_forget(s.rig, DESK);
		rig_expect_silence(s.rig, ALICE);
		is_answered_by(&s, &s.mobile);
		phones_end(&s.alice, &s.mobile);
		close_scene(&s);
	}
}

static void it_answers_while_the_other_dies(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	phone_gets(&s.mobile, "INVITE ");
	phone_answers_invite(&s.mobile, 200, "", ANSWER);
	rig_refuse_last(s.rig, DESK, ECONNREFUSED);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&s.mobile, "ACK ");
	rig_after(s.rig, 2 * SIP_TIMEOUT);
	phones_end(&s.alice, &s.mobile);
	rig_forget(s.rig, DESK);
	close_scene(&s);
}

static void all_dead_is_one_answer(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	rig_refuse_last(s.rig, DESK, ECONNREFUSED);
	rig_expect_silence(s.rig, ALICE);
	rig_refuse_last(s.rig, MOBILE, ECONNREFUSED);
	rig_forget(s.rig, DESK);
	rig_forget(s.rig, MOBILE);
	alice_hears(&s, "SIP/2.0 480");
	close_scene(&s);
}

static void the_lower_q_rings_after_the_higher(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 1, ";q=0.3", ";q=0.8");
	alice_calls(&s);
	phone_gets(&s.mobile, "INVITE ");
	rig_expect_silence(s.rig, DESK);
	refuses(&s.mobile, 486);
	phone_gets(&s.desk, "INVITE ");
	assert_string_equal(got_value(&s.desk.invite, HDR_CALL_ID), s.mobile.call_id); /* still the same fork */
	is_answered_by(&s, &s.desk);
	phones_end(&s.desk, &s.alice);
	close_scene(&s);
}

static void a_group_has_its_time(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME_WITH(", answer-timeout: 30s"), 1, ";q=0.3", ";q=0.8");
	alice_calls(&s);
	phone_gets(&s.mobile, "INVITE ");
	phone_answers_invite(&s.mobile, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	rig_after(s.rig, 29999);
	rig_expect_silence(s.rig, DESK);
	rig_after(s.rig, 1);
	phone_gets(&s.desk, "INVITE ");
	is_cancelled(&s.mobile);
	phone_answers_invite(&s.desk, 180, "", "");
	rig_expect(s.rig, ALICE, "SIP/2.0 180", &s.alice.got);
	rig_after(s.rig, 30000);
	rig_expect(s.rig, ALICE, "SIP/2.0 408", &s.alice.got);
	phone_acks_refusal(&s.alice);
	is_cancelled(&s.desk);
	close_scene(&s);
}

/* Nobody waits for a phone that is not there. */
static void a_silent_group_is_not_waited_for(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 1, ";q=0.3", ";q=0.8");
	alice_calls(&s);
	phone_gets(&s.mobile, "INVITE ");
	rig_after(s.rig, FORK_SILENT_MS - 1);
	rig_expect_silence(s.rig, DESK);
	rig_after(s.rig, 1);
	phone_gets(&s.desk, "INVITE ");
	rig_forget(s.rig, MOBILE);
	is_answered_by(&s, &s.desk);
	phone_answers_invite(&s.mobile, 180, "", ""); /* it was there after all */
	is_cancelled(&s.mobile);
	phones_end(&s.desk, &s.alice);
	close_scene(&s);
}

/* PRACK, UPDATE and INFO in each early dialog go to its own phone, with its own numbers (RFC 3262, RFC 3311). */
static void each_early_dialog_is_its_phones(void **state)
{
	struct phone twin;
	struct scene s;

	(void)state;
	open_scene(&s);
	phone_calls(&s.alice, BOB_URI, "Supported: 100rel\n", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	both_get_it(&s);
	phone_answers_invite(&s.desk, 183, "Require: 100rel\nRSeq: 7\n", ANSWER);
	phone_twin(&twin, &s.alice);
	phone_gets(&twin, "SIP/2.0 183");
	phone_answers_invite(&s.mobile, 183, "Require: 100rel\nRSeq: 900\n", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 183");
	phone_pracks(&s.alice, "");
	phone_gets(&s.mobile, "PRACK ");
	assert_string_equal(got_value(&s.mobile.got, HDR_RACK), "900 1 INVITE");
	phone_answers(&s.mobile, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_pracks(&twin, "");
	phone_gets(&s.desk, "PRACK ");
	assert_string_equal(got_value(&s.desk.got, HDR_RACK), "7 1 INVITE");
	phone_answers(&s.desk, 200, "", "");
	phone_gets(&twin, "SIP/2.0 200");
	phones_exchange(&twin, &s.desk, "UPDATE", 200);
	phones_exchange(&s.mobile, &s.alice, "INFO", 200);
	is_answered_by(&s, &s.mobile);
	is_cancelled(&s.desk);
	phones_end(&s.alice, &s.mobile);
	phone_free(&twin);
	close_scene(&s);
}

/* What was under way in the early dialog of a phone that then refused has an answer. */
static void a_refusal_ends_its_early_dialog_only(void **state)
{
	struct phone twin;
	struct scene s;

	(void)state;
	open_scene(&s);
	alice_calls(&s);
	both_get_it(&s);
	phone_answers_invite(&s.desk, 183, "", ANSWER);
	phone_twin(&twin, &s.alice);
	phone_gets(&twin, "SIP/2.0 183");
	phone_answers_invite(&s.mobile, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_asks(&twin, "INFO", "", "");
	phone_gets(&s.desk, "INFO ");
	refuses(&s.desk, 486);
	phone_gets(&twin, "SIP/2.0 481");
	phone_asks(&twin, "INFO", "", "");
	phone_gets(&twin, "SIP/2.0 481");
	is_answered_by(&s, &s.mobile);
	phones_end(&s.alice, &s.mobile);
	phone_free(&twin);
	close_scene(&s);
}

/* Somebody picks the call up (RFC 3891) at one of the phones that ring: he names it as that phone knows it. */
static void it_is_picked_up_at_either_phone(void **state)
{
	struct phone tablet, twin;
	struct scene s;

	(void)state;
	open_scene(&s);
	phone_new(&tablet, s.rig, "tablet", TABLET);
	alice_calls(&s);
	both_get_it(&s);
	phone_answers_invite(&s.desk, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_twin(&twin, &s.alice);
	phone_answers_invite(&s.mobile, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	for (unsigned i = 0; i < 2; i++) {
		const struct phone *at = i ? &s.mobile : &s.desk, *caller = i ? &s.alice : &twin;
		struct got got = { .packet = NULL };
		char line[1024];

		snprintf(line, sizeof(line), "Replaces: %s;early-only\n", phone_call_name(at));
		tablet.call_id[0] = 0;
		phone_calls(&tablet, at->target, line, OFFER);
		phone_gets(&tablet, "SIP/2.0 100");
		rig_expect(s.rig, ALICE, "INVITE ", &got);
		call_is_named(&got, HDR_REPLACES, caller);
		flow_answer(s.rig, ALICE, EDGE, &got, 486, "<sip:x@example.com>;tag=a", NULL, "", "");
		rig_expect(s.rig, ALICE, "ACK ", &got);
		phone_gets(&tablet, "SIP/2.0 486");
		phone_acks_refusal(&tablet);
		got_free(&got);
	}
	is_answered_by(&s, &s.mobile);
	is_cancelled(&s.desk);
	phones_end(&s.alice, &s.mobile);
	phone_free(&tablet);
	phone_free(&twin);
	close_scene(&s);
}

static void a_message_goes_to_all(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	phone_begins(&s.alice, "MESSAGE", BOB_URI, "", "hello");
	phone_gets(&s.desk, "MESSAGE ");
	phone_gets(&s.mobile, "MESSAGE ");
	phone_answers(&s.desk, 486, "", "");
	rig_expect_silence(s.rig, ALICE);
	phone_answers(&s.mobile, 200, "", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_begins(&s.alice, "MESSAGE", BOB_URI, "", "again");
	rig_expect(s.rig, DESK, "MESSAGE ", &s.desk.got);
	rig_expect(s.rig, MOBILE, "MESSAGE ", &s.mobile.got);
	s.desk.last = &s.desk.got, s.mobile.last = &s.mobile.got;
	phone_answers(&s.desk, 200, "", "");
	phone_answers(&s.mobile, 200, "", ""); /* nobody waits for it any more */
	phone_gets(&s.alice, "SIP/2.0 200");
	close_scene(&s);
}

static void notifies(struct scene *s, struct phone *p, const char *state, const char *answer)
{
	char lines[96];

	snprintf(lines, sizeof(lines), "Event: dialog\nSubscription-State: %s\n", state);
	phone_asks(p, "NOTIFY", lines, "");
	if (!strcmp(answer, "SIP/2.0 200")) {
		rig_expect(s->rig, ALICE, "NOTIFY ", &s->alice.got);
		flow_answer(s->rig, ALICE, EDGE, &s->alice.got, 200, got_value(&s->alice.got, HDR_TO), NULL, "", "");
	}
	phone_gets(p, answer);
}

/* RFC 6665 §4.1.2.4: each phone may have begun a subscription by its NOTIFY; that of the first to accept is kept, the others end. */
static void a_subscription_is_with_who_accepts_first(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	phone_begins(&s.alice, "SUBSCRIBE", BOB_URI, "Event: dialog\nExpires: 600\n", "");
	phone_gets(&s.desk, "SUBSCRIBE ");
	snprintf(s.desk_via, sizeof(s.desk_via), "%s", got_value(&s.desk.got, HDR_VIA));
	phone_gets(&s.mobile, "SUBSCRIBE ");
	notifies(&s, &s.mobile, "active;expires=600", "SIP/2.0 200");
	notifies(&s, &s.desk, "active;expires=600", "SIP/2.0 200");
	s.desk.last = &s.desk.got;
	rig_say(s.rig, DESK, EDGE, "", "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: 1 SUBSCRIBE\nContact: <%s>\nExpires: 600\n",
	        s.desk_via, s.desk.remote, s.desk.local, s.desk.call_id, s.desk.uri);
	phone_gets(&s.alice, "SIP/2.0 200");
	notifies(&s, &s.mobile, "active;expires=600", "SIP/2.0 481");
	notifies(&s, &s.desk, "active;expires=590", "SIP/2.0 200");
	phone_asks(&s.alice, "SUBSCRIBE", "Event: dialog\nExpires: 0\n", "");
	phone_gets(&s.desk, "SUBSCRIBE ");
	phone_answers(&s.desk, 200, "Expires: 0\n", "");
	phone_gets(&s.alice, "SIP/2.0 200");
	notifies(&s, &s.desk, "terminated", "SIP/2.0 200");
	rig_after(s.rig, 2 * SIP_TIMEOUT);
	rig_forget(s.rig, MOBILE); /* it has not answered, and is asked again */
	close_scene(&s);
}

/* The phone sends the caller on: what it names rings in its place, beside the other phone. */
static void a_redirection_takes_its_place(void **state)
{
	struct phone tablet;
	struct scene s;

	(void)state;
	open_on(&s, HOME_WITH(", redirects: follow"), 1, "", "");
	phone_new(&tablet, s.rig, "tablet", TABLET);
	alice_calls(&s);
	both_get_it(&s);
	phone_answers_invite(&s.desk, 302, "Contact: <sip:NEAR-tablet@192.0.2.33:5060>\n", "");
	phone_gets(&s.desk, "ACK ");
	phone_gets(&tablet, "INVITE ");
	assert_string_equal(tablet.call_id, s.mobile.call_id);
	phone_answers_invite(&s.mobile, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	snprintf(s.alice.remote, sizeof(s.alice.remote), "<" BOB_URI ">");
	phone_answers_invite(&tablet, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	phone_acks(&s.alice, "");
	phone_gets(&tablet, "ACK ");
	is_cancelled(&s.mobile);
	phones_end(&tablet, &s.alice);
	phone_free(&tablet);
	close_scene(&s);
}

static void a_redirection_by_name_waits_for_it(void **state)
{
	struct phone tablet;
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		open_on(&s, HOME_WITH(", redirects: follow"), 1, "", "");
		s.rig->names[0] = (struct rig_name){ .host = "tablet.example.net", .delay_ms = 100 };
		assert_int_equal(addr_parse(&s.rig->names[0].addr, SV("192.0.2.33:5060")), 0);
		s.rig->n_names = i < 2;
		phone_new(&tablet, s.rig, "tablet", TABLET);
		snprintf(tablet.uri, sizeof(tablet.uri), "sip:x@tablet.example.net");
		alice_calls(&s);
		both_get_it(&s);
		phone_answers_invite(&s.desk, 302, "Contact: <sip:x@tablet.example.net>\n", "");
		phone_gets(&s.desk, "ACK ");
		refuses(&s.mobile, 486);
		if (i == 0) {
			rig_after(s.rig, 100);
			phone_gets(&tablet, "INVITE ");
			refuses(&tablet, 603);
			alice_hears(&s, "SIP/2.0 603");
		} else if (i == 1) { /* given up meanwhile */
			phone_cancels(&s.alice);
			rig_expect(s.rig, ALICE, "SIP/2.0 200", &s.alice.got);
			rig_expect(s.rig, ALICE, "SIP/2.0 487", &s.alice.got);
			phone_acks_refusal(&s.alice);
		} else { /* there is no such name */
			alice_hears(&s, "SIP/2.0 486");
		}
		phone_free(&tablet);
		close_scene(&s);
	}
}

/* RFC 3263 §4.3: a branch goes from one address of its name to the next, each time as another branch of the same request. */
static void a_branch_tries_the_addresses_of_its_name(void **state)
{
	struct phone one, two;
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		open_on(&s, HOME_WITH(", redirects: follow"), 1, "", "");
		s.rig->names[0] = (struct rig_name){ .host = "tablet.example.net", .delay_ms = i & 1 ? 100 : 0 };
		assert_int_equal(addr_parse(&s.rig->names[0].addr, SV("192.0.2.33:5060")), 0);
		assert_int_equal(addr_parse(&s.rig->names[0].other, SV("192.0.2.34:5060")), 0);
		s.rig->n_names = 1;
		phone_new(&one, s.rig, "one", TABLET);
		phone_new(&two, s.rig, "two", "192.0.2.34:5060");
		snprintf(one.uri, sizeof(one.uri), "sip:x@tablet.example.net");
		snprintf(two.uri, sizeof(two.uri), "sip:x@tablet.example.net");
		alice_calls(&s);
		both_get_it(&s);
		refuses(&s.mobile, 486);
		phone_answers_invite(&s.desk, 302, "Contact: <sip:x@tablet.example.net>\n", "");
		phone_gets(&s.desk, "ACK ");
		rig_after(s.rig, 100);
		phone_gets(&one, "INVITE ");
		if (i < 2) {
			refuses(&one, 503);
		} else {
			rig_after(s.rig, FORK_SILENT_MS);
			rig_forget(s.rig, TABLET);
		}
		phone_gets(&two, "INVITE ");
		assert_string_equal(got_value(&two.invite, HDR_CALL_ID), got_value(&one.invite, HDR_CALL_ID));
		assert_string_not_equal(got_branch(&two.invite), got_branch(&one.invite));
		s.rig->names[0].delay_ms = 0;
		is_answered_by(&s, &two);
		phones_end(&two, &s.alice);
		phone_free(&one);
		phone_free(&two);
		rig_forget(s.rig, TABLET);
		close_scene(&s);
	}
}

/* RFC 5393 §5. */
static void breadth_is_divided(void **state)
{
	static const struct { const char *line; unsigned each, at_once; } cases[] = {
		{ "", 30, 2 }, { "Max-Breadth: 5\n", 2, 2 }, { "Max-Breadth: 1\n", 1, 1 }, { "Max-Breadth: 999\n", 30, 2 },
	};
	char share[32];
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct phone *first, *second;

		open_scene(&s);
		phone_calls(&s.alice, BOB_URI, cases[i].line, OFFER);
		phone_gets(&s.alice, "SIP/2.0 100");
		first = rig_has_message(s.rig, MOBILE) ? &s.mobile : &s.desk; /* the one heard of last */
		second = first == &s.desk ? &s.mobile : &s.desk;
		phone_gets(first, "INVITE ");
		snprintf(share, sizeof(share), "\r\nMax-Breadth: %u\r\n", cases[i].each);
		assert_true(got_has(&first->invite, share));
		if (cases[i].at_once == 1) {
			rig_expect_silence(s.rig, second->at);
			refuses(first, 486);
		}
		phone_gets(second, "INVITE ");
		assert_true(got_has(&second->invite, share));
		if (cases[i].at_once == 2)
			refuses(first, 486);
		refuses(second, 486);
		alice_hears(&s, "SIP/2.0 486");
		close_scene(&s);
	}
	open_scene(&s);
	phone_calls(&s.alice, BOB_URI, "Max-Breadth: 0\n", OFFER);
	alice_hears(&s, "SIP/2.0 440");
	close_scene(&s);
}

/* RFC 4028 §7.3: each phone may want a longer interval; neither the other nor the caller hears of it. */
static void a_422_concerns_one_branch(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	phone_calls(&s.alice, BOB_URI, "Supported: timer\nSession-Expires: 1800\n", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	both_get_it(&s);
	phone_answers_invite(&s.mobile, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.desk, 422, "Min-SE: 3600\n", "");
	phone_gets(&s.desk, "ACK ");
	phone_gets(&s.desk, "INVITE ");
	assert_string_equal(got_value(&s.desk.invite, HDR_CSEQ), "2 INVITE");
	assert_string_equal(got_uri(&s.desk.invite), s.desk.uri);
	phones_exchange(&s.alice, &s.mobile, "INFO", 200); /* its early dialog is still there */
	refuses(&s.desk, 486);
	is_answered_by(&s, &s.mobile);
	phones_end(&s.alice, &s.mobile);
	close_scene(&s);
}

/* Node A stops; node B, which may have other workers, goes on (DESIGN §7). */
static void elsewhere(struct scene *s, unsigned workers)
{
	struct phone *const all[] = { &s->alice, &s->desk, &s->mobile };

	s->rig = rig_take_over(s->rig, HOME, workers, 1);
	for (unsigned i = 0; i < 3; i++)
		all[i]->rig = s->rig;
}

static void raised(struct phone *p, const char *min, bool is_asked_again)
{
	refuses_with(p, 422, min);
	if (is_asked_again)
		phone_gets(p, "INVITE ");
}

/* How often each has wanted a longer interval, the other node knows. */
static void another_node_counts_each_branchs_422s(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	phone_calls(&s.alice, BOB_URI, "Supported: timer\nSession-Expires: 1800\n", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	both_get_it(&s);
	raised(&s.desk, "Min-SE: 3600\n", true);
	raised(&s.mobile, "Min-SE: 3600\n", true);
	phone_answers_invite(&s.desk, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&s.mobile, 180, "", "");
	rig_expect(s.rig, ALICE, "SIP/2.0 180", &s.alice.got);
	elsewhere(&s, 2);
	raised(&s.desk, "Min-SE: 4000\n", true);
	raised(&s.mobile, "Min-SE: 4000\n", true);
	raised(&s.desk, "Min-SE: 4400\n", false);
	raised(&s.mobile, "Min-SE: 4400\n", false);
	alice_hears(&s, "SIP/2.0 500");
	close_scene(&s);
}

static void another_node_takes_over_while_both_ring(void **state)
{
	struct phone twin;
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		open_scene(&s);
		alice_calls(&s);
		both_get_it(&s);
		phone_answers_invite(&s.desk, 180, "", "");
		phone_gets(&s.alice, "SIP/2.0 180");
		phone_twin(&twin, &s.alice);
		phone_answers_invite(&s.mobile, 180, "", "");
		phone_gets(&s.alice, "SIP/2.0 180");
		elsewhere(&s, 2);
		twin.rig = s.rig;
		phone_asks(&twin, "INFO", "", ""); /* each early dialog is its phone's */
		phone_gets(&s.desk, "INFO ");
		phone_answers(&s.desk, 200, "", "");
		phone_gets(&twin, "SIP/2.0 200");
		phones_exchange(&s.mobile, &s.alice, "INFO", 200);
		phones_exchange(&s.alice, &s.mobile, "INFO", 200);
		if (i == 0) {
			is_answered_by(&s, &s.mobile);
			is_cancelled(&s.desk);
			phones_end(&s.alice, &s.mobile);
		} else if (i == 1) {
			phone_cancels(&s.alice);
			rig_expect(s.rig, ALICE, "SIP/2.0 200", &s.alice.got);
			rig_expect(s.rig, ALICE, "SIP/2.0 487", &s.alice.got);
			phone_acks_refusal(&s.alice);
			is_cancelled(&s.desk);
			is_cancelled(&s.mobile);
		} else if (i == 2) {
			refuses(&s.mobile, 486);
			rig_expect_silence(s.rig, ALICE);
			refuses(&s.desk, 480);
			alice_hears(&s, "SIP/2.0 486");
		} else { /* nobody answers, whatever the node */
			rig_after(s.rig, CALL_DIRECT_ANSWER_MS);
			is_cancelled(&s.desk);
			is_cancelled(&s.mobile);
			alice_hears(&s, "SIP/2.0 408");
		}
		phone_free(&twin);
		close_scene(&s);
	}
}

/* What is still to be tried is known there, too, and how much time the present ones have. */
static void another_node_goes_on_with_the_next(void **state)
{
	struct phone tablet;
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		open_on(&s, HOME, 1, ";q=0.3", ";q=0.8");
		phone_new(&tablet, s.rig, "tablet", TABLET); /* its turn does not come */
		home_registers(&tablet, "bob", ";q=0.1", "");
		alice_calls(&s);
		phone_gets(&s.mobile, "INVITE ");
		phone_answers_invite(&s.mobile, 180, "", "");
		phone_gets(&s.alice, "SIP/2.0 180");
		rig_after(s.rig, FORK_GROUP_MS / 2);
		elsewhere(&s, 1);
		if (i == 0) {
			rig_after(s.rig, FORK_GROUP_MS / 2 - 1);
			rig_expect_silence(s.rig, DESK);
			rig_after(s.rig, 1);
			phone_gets(&s.desk, "INVITE ");
			is_cancelled(&s.mobile);
		} else {
			refuses(&s.mobile, 486);
			phone_gets(&s.desk, "INVITE ");
		}
		assert_string_equal(got_uri(&s.desk.invite), s.desk.uri);
		assert_string_equal(s.desk.call_id, s.mobile.call_id);
		assert_true(got_has(&s.desk.invite, "\r\nMax-Breadth: 20\r\n"));
		rig_expect_silence(s.rig, TABLET);
		snprintf(s.alice.remote, sizeof(s.alice.remote), "<" BOB_URI ">");
		is_answered_by(&s, &s.desk);
		phones_end(&s.desk, &s.alice);
		close_scene(&s);
	}
}

static void any_number_of_workers(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct scene s;

		open_on(&s, HOME, workers, "", "");
		alice_calls(&s);
		both_get_it(&s);
		phone_answers_invite(&s.desk, 180, "", "");
		phone_gets(&s.alice, "SIP/2.0 180");
		is_answered_by(&s, &s.desk);
		phone_answers_invite(&s.mobile, 180, "", "");
		is_cancelled(&s.mobile);
		phones_end(&s.alice, &s.desk);
		close_scene(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ring_and_one_answers),
		cmocka_unit_test(the_caller_cancels_all),
		cmocka_unit_test(a_2xx_that_crosses_the_cancel_is_ended),
		cmocka_unit_test(the_best_refusal_is_passed),
		cmocka_unit_test(a_6xx_is_everybodys_word),
		cmocka_unit_test(a_dead_contact_harms_nobody),
		cmocka_unit_test(it_answers_while_the_other_dies),
		cmocka_unit_test(all_dead_is_one_answer),
		cmocka_unit_test(the_lower_q_rings_after_the_higher),
		cmocka_unit_test(a_group_has_its_time),
		cmocka_unit_test(a_silent_group_is_not_waited_for),
		cmocka_unit_test(each_early_dialog_is_its_phones),
		cmocka_unit_test(a_refusal_ends_its_early_dialog_only),
		cmocka_unit_test(it_is_picked_up_at_either_phone),
		cmocka_unit_test(a_message_goes_to_all),
		cmocka_unit_test(a_subscription_is_with_who_accepts_first),
		cmocka_unit_test(a_redirection_takes_its_place),
		cmocka_unit_test(a_redirection_by_name_waits_for_it),
		cmocka_unit_test(a_branch_tries_the_addresses_of_its_name),
		cmocka_unit_test(breadth_is_divided),
		cmocka_unit_test(a_422_concerns_one_branch),
		cmocka_unit_test(another_node_counts_each_branchs_422s),
		cmocka_unit_test(another_node_takes_over_while_both_ring),
		cmocka_unit_test(another_node_goes_on_with_the_next),
		cmocka_unit_test(any_number_of_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
