/* Session timers (RFC 4028): each leg agrees with its own peer; what is not refreshed ends, on both sides. And calls whose ends fell
 * silent, which nobody refreshes, and the longest duration. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#define ZONES(near, far) \
	"node: test\n" \
	"zones:\n" \
	"  public:\n" \
	"    listen: [\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\", \"udp:[2001:db8::10]:5060\"]\n" \
	"    domains: [\"example.com\"]\n" \
	"    session: { " near " }\n" \
	"  core:\n" \
	"    listen: [\"udp:10.0.0.10:5060\", \"tcp:10.0.0.10:5060\"]\n" \
	"    trust: [\"10.0.0.0/24\"]\n" \
	"    session: { " far " }\n"
#define BOBS "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
#define CONF(near, far) ZONES(near, far) BOBS FLOW_ROUTES
#define QUIET "ping: 0s" /* nobody is asked */
#define SILENT_YAML CONF("ping: 10m", "ping: 10m")
#define SDP_LINE "Content-Type: application/sdp\n"
enum { NEAR_END, FAR_END };
#define MINUTES(n) ((n) * 60000ull)

/* Alice's INVITE with `extra`; Bob's answer with `answer`; her ACK. What each said is left in at_alice (the 200) and `invite`. */
static void answered_with(struct flow *f, const char *yaml, unsigned workers, const char *extra, const char *answer, struct got *invite)
{
	char lines[512];

	flow_begin(f, yaml, workers, 5);
	f->bob = BOB;
	flow_alice_calls(f, extra, SDP);
	rig_expect(f->rig, ALICE, "SIP/2.0 100", &f->at_alice);
	flow_expect_at_bob(f, "INVITE ");
	snprintf(lines, sizeof(lines), SDP_LINE "%s", answer);
	flow_bob_answers(f, 200, lines, SDP);
	flow_expect_at_alice(f, "SIP/2.0 200");
	*invite = f->at_bob;
	f->at_bob = (struct got){ 0 };
	flow_ack(f);
}

static void end_by_alice(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

/* Alice's ACK of what refused her re-INVITE. */
static void refusal_is_acked(struct flow *f)
{
	rig_say(f->rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKINVITE%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u ACK\n",
	        f->near_contact, f->alice_cseq, f->near_to, f->alice_cseq);
}

/* Both have got a BYE of ours, with this reason in it and in the call record. */
static void both_are_hung_up(struct flow *f, const char *reason)
{
	char in_cdr[64], in_bye[96];

	snprintf(in_cdr, sizeof(in_cdr), "\"reason\":\"%s\"", reason);
	snprintf(in_bye, sizeof(in_bye), "Reason: SIP;cause=408;text=\"%s\"", reason);
	flow_expect_at_bob(f, "BYE sip:bob@10.0.0.21:5060 SIP/2.0");
	assert_true(got_has(&f->at_bob, in_bye));
	assert_false(got_has(&f->at_bob, "192.0.2.") || got_has(&f->at_bob, "203.0.113.") || got_has(&f->at_bob, "alice-call"));
	flow_expect_at_alice(f, "BYE sip:alice@192.0.2.10:5060 SIP/2.0");
	assert_true(got_has(&f->at_alice, in_bye));
	assert_false(got_has(&f->at_alice, "10.0.0.") || got_has(&f->at_alice, f->far_call_id));
	assert_int_equal(rig_calls(f->rig), 0);
	assert_int_equal(f->rig->n_cdrs, 1);
	assert_non_null(strstr(f->rig->cdrs[0], in_cdr));
	flow_bob_answers(f, 200, "", "");
	flow_alice_answers(f, 200, "", "");
	flow_end(f);
}

/* What is agreed on ------------------------------------------------------------------------------------------------- */

static void each_leg_agrees_on_its_own(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF("expires: 20m", "expires: 5m, min: 2m"), 1,
	              "Supported: 100rel, timer\nSession-Expires: 3600;refresher=uac\nMin-SE: 600\n",
	              "Require: timer\nSession-Expires: 240;refresher=uas\n", &invite);
	assert_true(got_has(&invite, "Supported: 100rel\r\n"));
	assert_true(got_has(&invite, "Supported: timer\r\nSession-Expires: 300;refresher=uas\r\nMin-SE: 120\r\n"));
	assert_false(got_has(&invite, "3600"));
	assert_true(got_has(&f.at_alice, "Session-Expires: 1200;refresher=uac\r\nRequire: timer\r\n"));
	assert_false(got_has(&f.at_alice, "240"));
	got_free(&invite);
	end_by_alice(&f);
}

/* Without configuration we ask for nothing and say nothing; a caller who asks gets it, and the far side is asked in turn. */
static void nobody_asks_nothing_happens(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, QUIET), 1, "", "", &invite);
	assert_false(got_has(&invite, "timer"));
	assert_false(got_has(&invite, "Session-Expires"));
	assert_false(got_has(&f.at_alice, "Session-Expires"));
	assert_false(got_has(&f.at_alice, "timer"));
	got_free(&invite);
	rig_after(f.rig, MINUTES(23 * 60));
	rig_expect_silence(f.rig, BOB);
	assert_int_equal(rig_calls(f.rig), 1);
	end_by_alice(&f);
}

static void the_callers_wish_is_asked_of_the_far_side(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, QUIET), 1, "Supported: timer\nx: 1800\n", "", &invite);
	assert_true(got_has(&invite, "Session-Expires: 1800;refresher=uas\r\n"));
	assert_true(got_has(&f.at_alice, "Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n"));
	got_free(&invite);
	end_by_alice(&f);
}

/* A proxy put the interval in; the caller knows nothing of it: we refresh, and Require nothing (RFC 4028 §9). */
static void a_caller_without_timers_is_refreshed_by_us(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, QUIET), 1, "Session-Expires: 600\n", "", &invite);
	assert_true(got_has(&f.at_alice, "Session-Expires: 600;refresher=uas\r\n"));
	assert_false(got_has(&f.at_alice, "Require: timer"));
	got_free(&invite);
	end_by_alice(&f);
}

static void an_interval_too_small_is_refused(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, CONF("min: 3m", QUIET), 2, 5);
	f.bob = BOB;
	flow_alice_calls(&f, "Supported: timer\nSession-Expires: 179\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 422");
	assert_string_equal(got_value(&f.at_alice, HDR_MIN_SE), "180");
	rig_expect_silence(f.rig, BOB);
	flow_refused(&f);
	f.alice_cseq++;
	flow_alice_calls(&f, "Supported: timer\nSession-Expires: 180\nMin-SE: 180\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	flow_expect_at_bob(&f, "INVITE ");
	flow_cancel(&f);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	rig_after(f.rig, 100);
	flow_bob_answers(&f, 486, "", "");
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

static void odd_intervals_do_no_harm(void **state)
{
	static const char *const odd[] = { "Session-Expires: 0\n", "Session-Expires: -1\n", "Session-Expires: many\n", "Session-Expires: ;;\n",
	                                   "Session-Expires:\n", "Session-Expires: 99999999999999999999;refresher=both\n",
	                                   "Session-Expires: 90\nMin-SE: 99999999999\n", "Session-Expires: 120, 240\n" };

	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		struct got invite = { 0 };
		struct flow f;
		char lines[256];

		snprintf(lines, sizeof(lines), "Supported: timer\n%s", odd[i]);
		answered_with(&f, CONF(QUIET, "expires: 2m"), 1, lines, odd[i], &invite);
		assert_true(got_has(&invite, "Session-Expires: 120;refresher=uas\r\n"));
		assert_false(got_has(&f.at_alice, "Session-Expires: 9999"));
		got_free(&invite);
		end_by_alice(&f);
	}
}

/* RFC 4028 §7.3: the far side wants more. It gets it, on the same leg, and the caller never hears of it. */
static void a_longer_interval_is_tried_again(void **state)
{
	char call_id[64], from[256];
	struct flow f;

	(void)state;
	flow_begin(&f, CONF(QUIET, "expires: 2m"), 2, 5);
	flow_invite(&f, BOB);
	snprintf(call_id, sizeof(call_id), "%s", got_value(&f.at_bob, HDR_CALL_ID));
	snprintf(from, sizeof(from), "%s", got_value(&f.at_bob, HDR_FROM));
	for (unsigned i = 0; i < 2; i++) {
		flow_bob_answers(&f, 422, i ? "Min-SE: 600\n" : "Min-SE: 300\n", "");
		flow_expect_at_bob(&f, "ACK ");
		flow_expect_at_bob(&f, "INVITE sip:bob@example.com SIP/2.0");
		assert_true(got_has(&f.at_bob, i ? "Session-Expires: 600;refresher=uas\r\nMin-SE: 600\r\n"
		                                 : "Session-Expires: 300;refresher=uas\r\nMin-SE: 300\r\n"));
		assert_string_equal(got_value(&f.at_bob, HDR_CALL_ID), call_id);
		assert_string_equal(got_value(&f.at_bob, HDR_FROM), from);
		assert_int_equal(f.at_bob.v.cseq, 2 + i);
		assert_int_equal(f.at_bob.v.body_len, strlen(SDP));
	}
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&f, 200, SDP_LINE "Session-Expires: 600;refresher=uas\nRequire: timer\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(f.at_alice.v.cseq, 1);
	flow_ack(&f);
	assert_int_equal(f.at_bob.v.cseq, 3);
	end_by_alice(&f);
}

/* Twice is enough; and an answer without a number is none. The caller hears of a failure, not of intervals that are not his. */
static void an_interval_that_is_never_right_ends_the_attempt(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, CONF(QUIET, "expires: 2m"), 1, 5);
	flow_invite(&f, BOB);
	for (unsigned i = 0; i < 3; i++) {
		char min[32];

		snprintf(min, sizeof(min), "Min-SE: %u\n", 300 * (i + 1));
		flow_bob_answers(&f, 422, min, "");
		flow_expect_at_bob(&f, "ACK ");
		if (i < 2)
			flow_expect_at_bob(&f, "INVITE ");
	}
	flow_expect_at_alice(&f, "SIP/2.0 500");
	assert_false(got_has(&f.at_alice, "Min-SE"));
	flow_refused(&f);
	flow_end(&f);

	flow_begin(&f, CONF(QUIET, "expires: 2m"), 1, 5);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 422, "", "");
	flow_expect_at_bob(&f, "ACK ");
	flow_expect_at_alice(&f, "SIP/2.0 500");
	flow_refused(&f);
	flow_end(&f);
}

/* Who falls silent after that is given up for the next destination as soon as if it had never said anything. */
static void a_destination_that_dies_after_a_422(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, ZONES(QUIET, "expires: 2m")
	           "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, "
	           "{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES, 1, 5);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 422, "Min-SE: 300\n", "");
	flow_expect_at_bob(&f, "ACK ");
	rig_after(f.rig, 1900);
	rig_forget(f.rig, BOB);
	rig_expect_silence(f.rig, CAROL);
	rig_after(f.rig, 200);
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	assert_int_equal(f.at_bob.v.cseq, 1);
	flow_bob_answers(&f, 200, SDP_LINE, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	rig_after(f.rig, 64000);
	rig_forget(f.rig, BOB);
	end_by_alice(&f);
}

#define ONE_OF(more, destinations) ZONES(QUIET, "expires: 2m") "pools: { " more "apps: { zone: core, probe: off, request-uri: destination, " \
	"destinations: [" destinations "] } }\n" FLOW_ROUTES
#define BOB_AT "{ name: bob, uri: \"sip:bob.example.net\" }"

/* Numbers of destinations are those of a snapshot: another one may have others there, or fewer. */
static void the_configuration_changes_before_a_422(void **state)
{
	static const char *const first[] = {
		ONE_OF("", BOB_AT),
		ONE_OF("aaa: { zone: core, probe: off, destinations: [{ name: x, uri: \"sip:x.example.net\" }] }, ", BOB_AT),
	};
	static const char *const others[] = {
		ONE_OF("aaa: { zone: core, probe: off, destinations: [{ name: x, uri: \"sip:x.example.net\" }] }, ", BOB_AT),
		ONE_OF("", "{ name: x, uri: \"sip:x.example.net\" }"),
	};
	static const char *const expected[] = { "INVITE sip:bob@bob.example.net SIP/2.0", "INVITE sip:bob@example.com SIP/2.0" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct flow f;

		flow_begin(&f, first[i], 1, 5);
		f.rig->names[f.rig->n_names++] = (struct rig_name){ .host = "bob.example.net" };
		assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("10.0.0.21:5060")), 0);
		flow_invite(&f, BOB);
		rig_reload(f.rig, others[i]);
		flow_bob_answers(&f, 422, "Min-SE: 300\n", "");
		flow_expect_at_bob(&f, "ACK ");
		flow_expect_at_bob(&f, expected[i]);
		flow_bob_answers(&f, 200, SDP_LINE, SDP);
		flow_expect_at_alice(&f, "SIP/2.0 200");
		flow_ack(&f);
		end_by_alice(&f);
	}
}

/* A 422 behind the first one, and perhaps one too many, which ends the test. */
static void raises_once_more(struct flow *f, bool is_too_often)
{
	static const char *const min[] = { "Min-SE: 400\n", "Min-SE: 500\n" };
	unsigned cseq = f->at_bob.v.cseq;

	for (unsigned i = 0; i < 1u + is_too_often; i++) {
		flow_bob_answers(f, 422, min[i], "");
		flow_expect_at_bob(f, "ACK ");
		if (i)
			break;
		flow_expect_at_bob(f, "INVITE ");
		assert_int_equal(f->at_bob.v.cseq, cseq + 1);
		assert_true(got_has(&f->at_bob, "Session-Expires: 400;refresher=uas\r\nMin-SE: 400\r\n"));
	}
	if (!is_too_often)
		return;
	flow_expect_at_alice(f, "SIP/2.0 500");
	flow_refused(f);
	rig_expect_silence(f->rig, BOB);
	flow_end(f);
}

/* DECISIONS 3: the caller's INVITE with credentials continues the same far leg: its CSeq is above those that 422 used up. */
static void credentials_after_a_422(bool is_too_often)
{
	struct flow f;

	flow_begin(&f, CONF(QUIET, "expires: 2m"), 1, 5);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 422, "Min-SE: 300\n", "");
	flow_expect_at_bob(&f, "ACK ");
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 407, "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\n", "");
	flow_expect_at_bob(&f, "ACK ");
	flow_expect_at_alice(&f, "SIP/2.0 407");
	flow_refused(&f);
	f.alice_cseq++;
	flow_alice_calls(&f, "Proxy-Authorization: Digest username=\"a\"\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	flow_expect_at_bob(&f, "INVITE ");
	assert_int_equal(f.at_bob.v.cseq, 3);
	assert_true(got_has(&f.at_bob, "Session-Expires: 300;refresher=uas\r\nMin-SE: 300\r\n"));
	raises_once_more(&f, is_too_often);
	if (is_too_often)
		return;
	flow_bob_answers(&f, 200, SDP_LINE, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	end_by_alice(&f);
}

static void credentials_come_after_a_422(void **state)
{
	(void)state;
	credentials_after_a_422(false);
	credentials_after_a_422(true);
}

/* RFC 3262: PRACK names the INVITE of its own side, also when 422 made that another one. */
static void prack_names_the_raised_invite(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, CONF(QUIET, "expires: 2m"), 1, 5);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 422, "Min-SE: 300\n", "");
	flow_expect_at_bob(&f, "ACK ");
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 183, "Require: 100rel\nRSeq: 7\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 183");
	flow_alice_says(&f, "PRACK", "RAck: 7 1 INVITE\n", "");
	flow_expect_at_bob(&f, "PRACK ");
	assert_string_equal(got_value(&f.at_bob, HDR_RACK), "7 2 INVITE");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* Who refreshes, and what if not ------------------------------------------------------------------------------------ */

/* §10: an interval of 30 minutes ends 32 s before it is over, one of 90 s after two thirds. */
static void a_peer_that_does_not_refresh_is_hung_up(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		answered_with(&f, CONF(QUIET, QUIET), workers, "Supported: timer\nSession-Expires: 1800;refresher=uac\n", "", &invite);
		got_free(&invite);
		rig_after(f.rig, 1767000);
		rig_expect_silence(f.rig, BOB);
		assert_int_equal(rig_calls(f.rig), 1);
		rig_after(f.rig, 2000);
		assert_int_equal(rig_count(f.rig, CALLS_SESSION_EXPIRED), 1);
		both_are_hung_up(&f, "session-expired");
	}
	answered_with(&f, CONF(QUIET, "expires: 90s"), 1, "", "Session-Expires: 90;refresher=uas\n", &invite);
	got_free(&invite);
	rig_after(f.rig, 59000);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 2000);
	both_are_hung_up(&f, "session-expired");
}

/* LESSONS 25 (OpenSIPS 267): a re-INVITE refreshes, on each side with that side's own numbers. */
static void a_reinvite_refreshes_both_legs(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, "expires: 5m"), 1, "Supported: timer\nSession-Expires: 600;refresher=uac\n",
	              "Session-Expires: 300;refresher=uas\nRequire: timer\n", &invite);
	got_free(&invite);
	for (unsigned i = 0; i < 3; i++) {
		rig_after(f.rig, MINUTES(4));
		flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\nSupported: timer\nSession-Expires: 600;refresher=uac\n" SDP_LINE, SDP);
		flow_expect_at_alice(&f, "SIP/2.0 100");
		flow_expect_at_bob(&f, "INVITE ");
		assert_true(got_has(&f.at_bob, "Session-Expires: 300;refresher=uas\r\n"));
		flow_bob_answers(&f, 200, SDP_LINE "Session-Expires: 300;refresher=uas\nRequire: timer\n", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 200");
		assert_true(got_has(&f.at_alice, "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n"));
		flow_ack(&f);
	}
	rig_after(f.rig, MINUTES(4));
	assert_int_equal(rig_calls(f.rig), 1);
	rig_after(f.rig, 30000);
	both_are_hung_up(&f, "session-expired"); /* Bob's 300 s are over, 32 s early */
}

/* An UPDATE that is nothing but a refresh concerns one leg: it ends here. */
static void a_bare_update_is_answered_here(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, QUIET), 2, "Supported: timer\nSession-Expires: 600;refresher=uac\n", "", &invite);
	got_free(&invite);
	for (unsigned i = 0; i < 3; i++) {
		rig_after(f.rig, MINUTES(5));
		flow_alice_says(&f, "UPDATE",
		                "Contact: <sip:alice@192.0.2.10:5060>\nSupported: timer\nSession-Expires: 600;refresher=uac\nUser-Agent: P\n", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		assert_true(got_has(&f.at_alice, "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n"));
		assert_string_equal(got_contact(&f.at_alice), f.near_contact);
		rig_expect_silence(f.rig, BOB);
	}
	assert_int_equal(rig_count(f.rig, SESSION_REFRESHES_TAKEN), 3);
	rig_after(f.rig, MINUTES(9) + 30000);
	both_are_hung_up(&f, "session-expired");
}

/* The far side refreshes its own leg the same way, with a new Contact in force from then on. */
static void a_bare_update_moves_the_target(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, "expires: 10m"), 1, "", "Session-Expires: 600;refresher=uas\nRequire: timer\n", &invite);
	got_free(&invite);
	flow_bob_says(&f, "UPDATE", "Contact: <sip:bob2@10.0.0.21:5060>\nSupported: timer\nSession-Expires: 600;refresher=uac\n", "");
	flow_expect_at_bob(&f, "SIP/2.0 200");
	rig_expect_silence(f.rig, ALICE);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE sip:bob2@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* With anything else in it, it is for the other side, and has that side's own numbers there. */
static void an_update_that_says_more_passes(void **state)
{
	static const char *const more[] = { "P-Asserted-Identity: <sip:carol@example.com>\n", "X-Tenant: gold\n", "Require: 100rel\n", SDP_LINE };
	struct got invite = { 0 };
	struct flow f;
	char lines[512];

	(void)state;
	answered_with(&f, CONF(QUIET, QUIET), 1, "", "Session-Expires: 600;refresher=uas\nRequire: timer\n", &invite);
	got_free(&invite);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(lines, sizeof(lines), "Contact: <sip:bob@10.0.0.21>\nSupported: timer\nSession-Expires: 600;refresher=uac\n%s", more[i]);
		flow_bob_says(&f, "UPDATE", lines, i == 3 ? SDP : "");
		flow_expect_at_alice(&f, "UPDATE ");
		assert_true(got_has(&f.at_alice, "Supported: timer\r\n"));
		flow_alice_answers(&f, 200, "", "");
		flow_expect_at_bob(&f, "SIP/2.0 200");
		assert_true(got_has(&f.at_bob, "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n"));
	}
	end_by_alice(&f);
}

/* Bob demands that we refresh, and takes UPDATE. */
static void we_refresh_by_update(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, "expires: 10m"), 2, "",
	              "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\nSession-Expires: 600;refresher=uac\nRequire: timer\n", &invite);
	got_free(&invite);
	for (unsigned i = 0; i < 3; i++) {
		rig_after(f.rig, MINUTES(5) - 100);
		rig_expect_silence(f.rig, BOB);
		rig_after(f.rig, 200);
		flow_expect_at_bob(&f, "UPDATE sip:bob@10.0.0.21:5060 SIP/2.0");
		assert_true(got_has(&f.at_bob, "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n"));
		assert_int_equal(f.at_bob.v.body_len, 0);
		assert_string_equal(got_contact(&f.at_bob), f.far_contact);
		flow_bob_answers(&f, 200, "Session-Expires: 600;refresher=uac\nRequire: timer\n", "");
		rig_expect_silence(f.rig, ALICE);
	}
	end_by_alice(&f);
}

/* He takes no UPDATE: a re-INVITE with what he got last, acknowledged by us (§7.4). */
static void we_refresh_by_reinvite(void **state)
{
	static const char held[] = "v=0\r\no=alice 1 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n"
	                           "a=sendonly\r\n";
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, "expires: 10m"), 1, "",
	              "Allow: INVITE, ACK, BYE, CANCEL\nSession-Expires: 600;refresher=uac\nRequire: timer\n", &invite);
	got_free(&invite);
	for (unsigned i = 0; i < 2; i++) {
		const char *sdp = i ? held : SDP;

		rig_after(f.rig, MINUTES(5) + 100);
		flow_expect_at_bob(&f, "INVITE sip:bob@10.0.0.21:5060 SIP/2.0");
		assert_int_equal(f.at_bob.v.body_len, strlen(sdp));
		assert_memory_equal(view_body(&f.at_bob.v).p, sdp, strlen(sdp));
		flow_bob_answers(&f, 200, SDP_LINE "Allow: INVITE, ACK, BYE\nSession-Expires: 600;refresher=uac\n", SDP);
		flow_expect_at_bob(&f, "ACK sip:bob@10.0.0.21:5060 SIP/2.0");
		rig_expect_silence(f.rig, ALICE);
		if (i)
			break;
		flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n" SDP_LINE, held);
		flow_expect_at_alice(&f, "SIP/2.0 100");
		flow_expect_at_bob(&f, "INVITE ");
		flow_bob_answers(&f, 200, SDP_LINE "Session-Expires: 600;refresher=uac\n", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 200");
		flow_ack(&f);
	}
	end_by_alice(&f);
}

/* The same towards the caller, who got our 200; his own INVITE meanwhile is glare (RFC 3261 §14.1), and he refreshes by it later. */
static void our_reinvite_and_theirs_are_glare(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, QUIET), 1, "Supported: timer\nSession-Expires: 600;refresher=uas\n", "", &invite);
	got_free(&invite);
	rig_after(f.rig, MINUTES(5) + 100);
	flow_expect_at_alice(&f, "INVITE sip:alice@192.0.2.10:5060 SIP/2.0");
	assert_memory_equal(view_body(&f.at_alice.v).p, SDP, strlen(SDP));
	assert_false(got_has(&f.at_alice, "10.0.0.") || got_has(&f.at_alice, f.far_call_id));
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n" SDP_LINE, SDP);
	flow_bob_says(&f, "INVITE", "Contact: <sip:bob@10.0.0.21:5060>\n" SDP_LINE, SDP);
	flow_expect_at_bob(&f, "SIP/2.0 491");
	flow_alice_answers(&f, 491, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 491");
	refusal_is_acked(&f);
	flow_expect_at_alice(&f, "ACK ");
	rig_expect_silence(f.rig, ALICE);
	for (unsigned i = 0; i < 21 && !rig_has_message(f.rig, ALICE); i++)
		rig_after(f.rig, 100); /* the Call-ID is hers: we wait up to 2 s */
	flow_expect_at_alice(&f, "INVITE ");
	flow_alice_answers(&f, 200, SDP_LINE "Session-Expires: 600;refresher=uac\n", SDP);
	flow_expect_at_alice(&f, "ACK ");
	rig_forget(f.rig, BOB); /* the 491 again, perhaps: how long we wait is random, and he does not acknowledge it */
	end_by_alice(&f);
}

static void refresh_refused_with(unsigned status, const char *lines)
{
	struct got invite = { 0 };
	struct flow f;

	answered_with(&f, CONF(QUIET, "expires: 10m"), 1, "", "Allow: UPDATE\nSession-Expires: 600;refresher=uac\n", &invite);
	got_free(&invite);
	rig_after(f.rig, MINUTES(5) + 100);
	flow_expect_at_bob(&f, "UPDATE ");
	if (status)
		flow_bob_answers(&f, status, lines, "");
	else
		rig_after(f.rig, 32000);
	if (!status)
		while (rig_forget(f.rig, BOB) > 11)
			;
	if (status == 408 || status == 481) {
		both_are_hung_up(&f, "session-expired");
		return;
	}
	if (!status) { /* timer F: he is gone, and she hears of it */
		flow_expect_at_alice(&f, "BYE ");
		assert_non_null(strstr(f.rig->cdrs[0], "\"reason\":\"session-expired\""));
		flow_alice_answers(&f, 200, "", "");
		rig_after(f.rig, 64000);
		rig_forget(f.rig, BOB);
		flow_end(&f);
		return;
	}
	rig_after(f.rig, status == 491 ? 2100 : status == 422 ? 10 : 32100);
	for (unsigned i = 0; status == 491 && i < 20 && !rig_has_message(f.rig, BOB); i++)
		rig_after(f.rig, 100); /* the Call-ID is ours: 2.1 to 4 s, at random */
	flow_expect_at_bob(&f, "UPDATE ");
	if (status == 422)
		assert_true(got_has(&f.at_bob, "Session-Expires: 900;refresher=uac\r\nMin-SE: 900\r\n"));
	flow_bob_answers(&f, 200, "Session-Expires: 600;refresher=uac\n", "");
	end_by_alice(&f);
}

/* §10. */
static void our_refresh_is_refused(void **state)
{
	(void)state;
	refresh_refused_with(481, "");
	refresh_refused_with(408, "");
	refresh_refused_with(0, "");
	refresh_refused_with(491, "");
	refresh_refused_with(422, "Min-SE: 900\n");
	refresh_refused_with(500, "");
}

/* Whatever it answers, what is not refreshed ends. */
static void a_refresh_that_never_succeeds_ends_the_call(void **state)
{
	struct got invite = { 0 };
	struct flow f;
	unsigned n = 0;

	(void)state;
	answered_with(&f, CONF(QUIET, "expires: 10m"), 1, "", "Allow: UPDATE\nSession-Expires: 600;refresher=uac\n", &invite);
	got_free(&invite);
	for (rig_after(f.rig, MINUTES(5) + 100); rig_calls(f.rig) && n < 20; n++) {
		flow_expect_at_bob(&f, "UPDATE ");
		flow_bob_answers(&f, 500, "", "");
		rig_after(f.rig, 32100);
	}
	assert_in_range(n, 8, 9);
	both_are_hung_up(&f, "session-expired");
}

/* A relayed re-INVITE meets a far side that wants more: the next one brings it. */
static void a_relayed_reinvite_is_told_to_wait(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF(QUIET, "expires: 5m"), 1, "", "Session-Expires: 300;refresher=uas\n", &invite);
	got_free(&invite);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n" SDP_LINE, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 422, "Min-SE: 700\n", "");
	flow_expect_at_bob(&f, "ACK ");
	flow_expect_at_alice(&f, "SIP/2.0 491");
	refusal_is_acked(&f);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n" SDP_LINE, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	flow_expect_at_bob(&f, "INVITE ");
	assert_true(got_has(&f.at_bob, "Session-Expires: 700;refresher=uas\r\nMin-SE: 700\r\n"));
	flow_bob_answers(&f, 200, SDP_LINE "Session-Expires: 700;refresher=uas\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	end_by_alice(&f);
}

static void a_reinvite_with_too_little_is_refused(void **state)
{
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, CONF("min: 5m", QUIET), 1, "", "", &invite);
	got_free(&invite);
	flow_alice_says(&f, "UPDATE", "Contact: <sip:alice@192.0.2.10:5060>\nSupported: timer\nSession-Expires: 100\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 422");
	assert_string_equal(got_value(&f.at_alice, HDR_MIN_SE), "300");
	rig_expect_silence(f.rig, BOB);
	end_by_alice(&f);
}

/* Silence ----------------------------------------------------------------------------------------------------------- */

/* Without a timer each end is asked, in the second half of the interval first; an answer of any kind is a sign of life. */
static void ends_that_answer_stay(void **state)
{
	unsigned asked[2] = { 0 };
	struct flow f;

	(void)state;
	flow_answered(&f, SILENT_YAML, 2, 1);
	rig_after(f.rig, MINUTES(5) - 1000);
	rig_expect_silence(f.rig, BOB);
	rig_expect_silence(f.rig, ALICE);
	for (unsigned i = 0; i < MINUTES(35) / 400; i++) { /* oftener than a question is repeated */
		rig_after(f.rig, 400);
		if (rig_has_message(f.rig, BOB)) {
			flow_expect_at_bob(&f, "OPTIONS sip:bob@10.0.0.21:5060 SIP/2.0");
			assert_false(got_has(&f.at_bob, "192.0.2.") || got_has(&f.at_bob, "203.0.113.") || got_has(&f.at_bob, "alice-call"));
			flow_bob_answers(&f, asked[FAR_END]++ ? 405 : 200, "", "");
		}
		if (rig_has_message(f.rig, ALICE)) {
			flow_expect_at_alice(&f, "OPTIONS sip:alice@192.0.2.10:5060 SIP/2.0");
			assert_false(got_has(&f.at_alice, "10.0.0.") || got_has(&f.at_alice, f.far_call_id));
			flow_alice_answers(&f, asked[NEAR_END]++ ? 500 : 200, "", "");
		}
	}
	assert_in_range(asked[NEAR_END], 3, 4);
	assert_in_range(asked[FAR_END], 3, 4);
	while (!rig_has_message(f.rig, BOB)) {
		rig_after(f.rig, 400);
		if (rig_has_message(f.rig, ALICE)) {
			flow_expect_at_alice(&f, "OPTIONS ");
			flow_alice_answers(&f, 200, "", "");
		}
	}
	flow_expect_at_bob(&f, "OPTIONS ");
	flow_bob_answers(&f, 481, "", "");
	both_are_hung_up(&f, "peer-silent");
}

static void an_end_that_is_gone_takes_the_call_along(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, SILENT_YAML, 1, 1);
	rig_after(f.rig, MINUTES(5) - 1000);
	for (unsigned ms = 0; ms < MINUTES(6); ms += 1000) {
		rig_after(f.rig, 1000);
		rig_forget(f.rig, ALICE); /* dead */
		if (rig_forget(f.rig, BOB) == 1 && rig_calls(f.rig))
			break; /* asked */
	}
	rig_after(f.rig, MINUTES(6));
	assert_int_equal(rig_calls(f.rig), 0);
	assert_int_equal(rig_count(f.rig, CALLS_SILENT), 1);
	assert_non_null(strstr(f.rig->cdrs[0], "\"reason\":\"peer-silent\""));
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* Many calls that began together are not asked together. */
static void questions_are_spread(void **state)
{
	enum { CALLS = 200, BUCKETS = 10 };
	unsigned n[BUCKETS] = { 0 }, all = 0;
	struct flow f;

	(void)state;
	flow_begin(&f, CONF(QUIET, "ping: 10m"), 1, 5);
	f.bob = BOB;
	for (unsigned i = 0; i < CALLS; i++) {
		rig_say(f.rig, ALICE, EDGE, SDP,
		        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKs%u;rport\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: s%u@192.0.2.10\nCSeq: 1 INVITE\n"
		        "Contact: <sip:alice@192.0.2.10:5060>\nContent-Type: application/sdp\n",
		        i, i);
		rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
		flow_expect_at_bob(&f, "INVITE ");
		flow_bob_answers(&f, 200, SDP_LINE, SDP);
		rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
		rig_say(f.rig, ALICE, EDGE, "",
		        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKt%u;rport\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: s%u@192.0.2.10\nCSeq: 1 ACK\n",
		        got_contact(&f.at_alice), i, got_value(&f.at_alice, HDR_TO), i);
		flow_expect_at_bob(&f, "ACK ");
	}
	rig_after(f.rig, MINUTES(5));
	assert_int_equal(rig_count(f.rig, SESSION_PINGS), 0);
	for (unsigned i = 0; i < BUCKETS; i++) {
		rig_after(f.rig, MINUTES(5) / BUCKETS);
		n[i] = (unsigned)rig_count(f.rig, SESSION_PINGS) - all;
		all += n[i];
		assert_in_range(n[i], CALLS / BUCKETS / 3, CALLS / BUCKETS * 2);
		rig_forget(f.rig, BOB);
	}
	assert_int_equal(all, CALLS);
	rig_forget(f.rig, ALICE);
	got_free(&f.at_alice);
	got_free(&f.at_bob);
	rig_free(f.rig, false);
}

/* The longest duration of a rule holds, whatever is refreshed or asked meanwhile. */
static void the_rules_longest_duration_ends_the_call(void **state)
{
	char start[64];
	struct flow f;

	(void)state;
	flow_answered(&f, ZONES("ping: 1m", "ping: 1m") BOBS
	              "routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 5m }]\n", 1, 1);
	for (unsigned s = 0; s < 299; s++) {
		rig_after(f.rig, 1000);
		while (rig_forget(f.rig, BOB))
			;
		while (rig_forget(f.rig, ALICE))
			;
		if (rig_calls(f.rig) == 0)
			break;
	}
	assert_int_equal(rig_calls(f.rig), 0); /* nobody answered the question */
	flow_end(&f);

	flow_answered(&f, ZONES("ping: 10m", "ping: 0s") BOBS
	              "routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 5m }]\n", 1, 1);
	snprintf(start, sizeof(start), "\"start_ms\":%lu,", (unsigned long)f.rig->shared.wall_ms(&f.rig->shared));
	rig_after(f.rig, MINUTES(5) - 100);
	rig_expect_silence(f.rig, BOB);
	assert_int_equal(rig_calls(f.rig), 1);
	rig_after(f.rig, 200);
	flow_expect_at_bob(&f, "BYE ");
	assert_true(got_has(&f.at_bob, "text=\"max-duration\""));
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	assert_non_null(strstr(f.rig->cdrs[0], "\"reason\":\"max-duration\""));
	assert_non_null(strstr(f.rig->cdrs[0], start));
	flow_end(&f);
}

/* Another node ------------------------------------------------------------------------------------------------------- */

/* What was agreed on goes on there, with the time that is left. */
static void agreements_outlive_the_node(void **state)
{
	static const char yaml[] = CONF(QUIET, "expires: 10m");
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, yaml, 2, "Supported: timer\nSession-Expires: 1800;refresher=uac\n",
	              "Allow: INVITE, ACK, BYE\nSession-Expires: 600;refresher=uac\nRequire: timer\n", &invite);
	got_free(&invite);
	rig_after(f.rig, MINUTES(4));
	f.rig = rig_take_over(f.rig, yaml, 1, 1);
	rig_after(f.rig, MINUTES(1) - 100);
	rig_expect_silence(f.rig, BOB);
	rig_after(f.rig, 200); /* half of Bob's 600 s: by a re-INVITE with the SDP that came along */
	flow_expect_at_bob(&f, "INVITE sip:bob@10.0.0.21:5060 SIP/2.0");
	assert_int_equal(f.at_bob.v.body_len, strlen(SDP));
	assert_memory_equal(view_body(&f.at_bob.v).p, SDP, strlen(SDP));
	flow_bob_answers(&f, 200, SDP_LINE "Session-Expires: 3600;refresher=uas\n", SDP);
	flow_expect_at_bob(&f, "ACK ");
	rig_after(f.rig, MINUTES(24)); /* Alice's 1800 s began before */
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 29000);
	both_are_hung_up(&f, "session-expired");
}

/* What was due while nobody was there is done soon. */
static void a_refresh_that_is_overdue_is_made_up_for(void **state)
{
	static const char yaml[] = CONF(QUIET, "expires: 10m");
	struct got invite = { 0 };
	struct flow f;

	(void)state;
	answered_with(&f, yaml, 1, "", "Allow: UPDATE\nSession-Expires: 600;refresher=uac\n", &invite);
	got_free(&invite);
	rig_after(f.rig, MINUTES(5) + 100);
	flow_expect_at_bob(&f, "UPDATE "); /* its answer is lost with the node */
	f.rig = rig_take_over(f.rig, yaml, 2, 1);
	rig_after(f.rig, 2100);
	flow_expect_at_bob(&f, "UPDATE ");
	flow_bob_answers(&f, 200, "Session-Expires: 600;refresher=uac\n", "");
	rig_forget(f.rig, BOB);
	end_by_alice(&f);
}

/* A call that rings: what the caller asked for is answered by the other node; what 422 used up stays used up. */
static void rings_across_nodes(bool is_too_often)
{
	static const char yaml[] = CONF(QUIET, "expires: 2m");
	struct flow f;

	flow_begin(&f, yaml, 1, 5);
	f.bob = BOB;
	flow_alice_calls(&f, "Supported: timer\nSession-Expires: 1800\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 422, "Min-SE: 300\n", "");
	flow_expect_at_bob(&f, "ACK ");
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	f.rig = rig_take_over(f.rig, yaml, 2, 1);
	raises_once_more(&f, is_too_often);
	if (is_too_often)
		return;
	assert_int_equal(f.at_bob.v.cseq, 3);
	flow_bob_answers(&f, 200, SDP_LINE "Session-Expires: 400;refresher=uas\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_true(got_has(&f.at_alice, "Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n"));
	flow_ack(&f);
	rig_after(f.rig, 367000);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 2000);
	both_are_hung_up(&f, "session-expired");
}

static void a_ringing_call_agrees_on_the_other_node(void **state)
{
	(void)state;
	rings_across_nodes(false);
	rings_across_nodes(true);
}

/* The longest duration is counted from the answer, wherever that was; questions begin anew. */
static void durations_outlive_the_node(void **state)
{
	static const char yaml[] = ZONES("ping: 0s", "ping: 10h") BOBS
		"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 2d }]\n";
	struct flow f;
	uint64_t begun;

	(void)state;
	flow_answered(&f, yaml, 1, 1);
	begun = f.rig->now_ms;
	rig_after(f.rig, MINUTES(60));
	begun -= f.rig->now_ms;
	f.rig = rig_take_over(f.rig, yaml, 2, 1);
	begun += f.rig->now_ms;
	while (rig_calls(f.rig) && f.rig->now_ms - begun < 3 * 86400000ull) {
		rig_after(f.rig, 400);
		if (rig_has_message(f.rig, BOB) && rig_calls(f.rig)) {
			flow_expect_at_bob(&f, "OPTIONS ");
			flow_bob_answers(&f, 200, "", "");
		}
	}
	assert_in_range(f.rig->now_ms - begun, 2 * 86400000ull - 1000, 2 * 86400000ull + 1000);
	assert_in_range(rig_count(f.rig, SESSION_PINGS), 4, 5);
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_leg_agrees_on_its_own),
		cmocka_unit_test(nobody_asks_nothing_happens),
		cmocka_unit_test(the_callers_wish_is_asked_of_the_far_side),
		cmocka_unit_test(a_caller_without_timers_is_refreshed_by_us),
		cmocka_unit_test(an_interval_too_small_is_refused),
		cmocka_unit_test(odd_intervals_do_no_harm),
		cmocka_unit_test(a_longer_interval_is_tried_again),
		cmocka_unit_test(an_interval_that_is_never_right_ends_the_attempt),
		cmocka_unit_test(a_destination_that_dies_after_a_422),
		cmocka_unit_test(the_configuration_changes_before_a_422),
		cmocka_unit_test(credentials_come_after_a_422),
		cmocka_unit_test(prack_names_the_raised_invite),
		cmocka_unit_test(a_peer_that_does_not_refresh_is_hung_up),
		cmocka_unit_test(a_reinvite_refreshes_both_legs),
		cmocka_unit_test(a_bare_update_is_answered_here),
		cmocka_unit_test(a_bare_update_moves_the_target),
		cmocka_unit_test(an_update_that_says_more_passes),
		cmocka_unit_test(we_refresh_by_update),
		cmocka_unit_test(we_refresh_by_reinvite),
		cmocka_unit_test(our_reinvite_and_theirs_are_glare),
		cmocka_unit_test(our_refresh_is_refused),
		cmocka_unit_test(a_refresh_that_never_succeeds_ends_the_call),
		cmocka_unit_test(a_relayed_reinvite_is_told_to_wait),
		cmocka_unit_test(a_reinvite_with_too_little_is_refused),
		cmocka_unit_test(ends_that_answer_stay),
		cmocka_unit_test(an_end_that_is_gone_takes_the_call_along),
		cmocka_unit_test(questions_are_spread),
		cmocka_unit_test(the_rules_longest_duration_ends_the_call),
		cmocka_unit_test(agreements_outlive_the_node),
		cmocka_unit_test(a_refresh_that_is_overdue_is_made_up_for),
		cmocka_unit_test(a_ringing_call_agrees_on_the_other_node),
		cmocka_unit_test(durations_outlive_the_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
