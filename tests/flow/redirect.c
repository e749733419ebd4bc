/* Redirections that the SBC follows itself (`redirects: follow`), RFC 3261 §8.1.3.4: what is tried, in which order, and where it ends. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <errno.h>

#define DAVE "10.0.0.23:5060"
#define SDP_LINE "Content-Type: application/sdp\n"
#define RULE(pool) \
	"pools: { apps: { zone: core, probe: off, " pool "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\", max-calls: 1 }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow }]\n"
#define FOLLOW FLOW_ZONES RULE("")
#define FOLLOW_TWO \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: dave, uri: \"sip:10.0.0.23:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow }]\n"
/* The same for a request that Alice sent with From and user rewritten. */
#define FOLLOW_REWRITTEN(first, prefix) \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [" first "{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow, " \
	"rewrite: { user: { prefix: \"" prefix "\" }, apply: [request-uri, to] } }]\n"

/* Whoever got the INVITE last sends the call on. */
static void sent_on(struct flow *f, unsigned status, const char *contacts)
{
	flow_bob_answers(f, status, contacts, "");
	flow_expect_at_bob(f, "ACK ");
}

static void next_is(struct flow *f, const char *who, const char *invite)
{
	f->bob = who;
	flow_expect_at_bob(f, invite);
}

static void answered_and_ended(struct flow *f)
{
	flow_bob_answers(f, 200, SDP_LINE, SDP);
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_ack(f);
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

static void refused_with(struct flow *f, const char *start, const char *reason)
{
	flow_expect_at_alice(f, start);
	flow_refused(f);
	if (reason)
		assert_non_null(strstr(f->rig->cdrs[0], reason));
	flow_end(f);
}

static void the_contact_is_called_instead(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		flow_begin(&f, FOLLOW, workers, 1);
		flow_invite(&f, BOB);
		sent_on(&f, 302, "Contact: <sip:carol@10.0.0.22:5060;x=1?Subject=no>\n");
		rig_expect_silence(f.rig, ALICE);
		next_is(&f, CAROL, "INVITE sip:carol@10.0.0.22:5060;x=1 SIP/2.0");
		assert_string_equal(got_value(&f.at_bob, HDR_TO), "<sip:bob@example.com>");
		assert_int_equal(f.at_bob.v.body_len, strlen(SDP));
		assert_int_equal(rig_count(f.rig, REDIRECTS_FOLLOWED), 1);
		flow_bob_answers(&f, 180, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 180");
		answered_and_ended(&f);
	}
}

/* Without the option the caller gets it, as before. */
static void a_rule_without_it_passes_them_on(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:carol@10.0.0.22:5060>\n");
	rig_expect_silence(f.rig, CAROL);
	flow_expect_at_alice(&f, "SIP/2.0 302");
	assert_false(got_has(&f.at_alice, "10.0.0.22"));
	flow_refused(&f);
	flow_end(&f);
}

/* §16.5: by q; what is equal in its order. The best of the answers goes to the caller in the end (§16.7). */
static void contacts_are_tried_by_q(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 300, "Contact: <sip:d@10.0.0.23:5060>;q=0.25, <sip:c@10.0.0.22:5060>;q=0.9\nContact: <mailto:x@example.com>\n"
	                 "Contact: <sip:e@10.0.0.24:5060>;q=0.250\nContact: <sip:n@10.0.0.25:5060>;q=0\n");
	next_is(&f, CAROL, "INVITE sip:c@10.0.0.22:5060 SIP/2.0");
	sent_on(&f, 486, "");
	next_is(&f, DAVE, "INVITE sip:d@10.0.0.23:5060 SIP/2.0");
	sent_on(&f, 503, "");
	next_is(&f, "10.0.0.24:5060", "INVITE sip:e@10.0.0.24:5060 SIP/2.0");
	sent_on(&f, 404, "");
	next_is(&f, "10.0.0.25:5060", "INVITE sip:n@10.0.0.25:5060 SIP/2.0");
	sent_on(&f, 500, "");
	refused_with(&f, "SIP/2.0 404", "\"reason\":\"far-response\"");
}

/* 6xx is everybody's answer: nobody else is tried. */
static void a_6xx_ends_the_search(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>, <sip:d@10.0.0.23:5060>;q=0.5\n");
	next_is(&f, CAROL, "INVITE ");
	sent_on(&f, 603, "");
	rig_expect_silence(f.rig, DAVE);
	refused_with(&f, "SIP/2.0 603", NULL);
}

/* Who does not answer is given up for the next one after `failover.after`, as destinations are. */
static void a_silent_contact_is_given_up(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>, <sip:d@10.0.0.23:5060>;q=0.5\n");
	next_is(&f, CAROL, "INVITE ");
	rig_after(f.rig, 2100);
	rig_forget(f.rig, CAROL);
	next_is(&f, DAVE, "INVITE sip:d@10.0.0.23:5060 SIP/2.0");
	answered_and_ended(&f);
}

/* Call forwarding on no answer: it rang first. The early dialog of the first is over, the second has its own. */
static void a_phone_that_rang_sends_the_call_on(void **state)
{
	char first[64];
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	snprintf(first, sizeof(first), "%s", got_tag(&f.at_alice, HDR_TO));
	rig_after(f.rig, 15000);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>\n");
	next_is(&f, CAROL, "INVITE sip:c@10.0.0.22:5060 SIP/2.0");
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	assert_string_not_equal(got_tag(&f.at_alice, HDR_TO), first);
	answered_and_ended(&f);
}

/* Nobody picks up where it was sent on to: the next one, and what rang is over. */
static void a_contact_that_rings_too_long_is_given_up(void **state)
{
	char to[256], contact[128];
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ZONES RULE("answer-timeout: 5s, "), 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>, <sip:d@10.0.0.23:5060>;q=0.5\n");
	next_is(&f, CAROL, "INVITE ");
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	snprintf(to, sizeof(to), "%s", f.near_to);
	snprintf(contact, sizeof(contact), "%s", f.near_contact);
	rig_after(f.rig, 5100);
	rig_expect(f.rig, CAROL, "CANCEL ", &f.at_bob);
	next_is(&f, DAVE, "INVITE sip:d@10.0.0.23:5060 SIP/2.0");
	rig_say(f.rig, ALICE, EDGE, "",
	        "UPDATE %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKu;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 UPDATE\n", contact, to);
	flow_expect_at_alice(&f, "SIP/2.0 481");
	rig_forget(f.rig, CAROL);
	answered_and_ended(&f);
}

/* What was on its way to the phone that sends the call on ends with it. */
static void a_prack_under_way_ends(void **state)
{
	struct got invite;
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 183, "Require: 100rel\nRSeq: 1\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 183");
	invite = f.at_bob;
	f.at_bob = (struct got){ 0 };
	flow_alice_says(&f, "PRACK", "RAck: 1 1 INVITE\n", "");
	flow_expect_at_bob(&f, "PRACK ");
	got_free(&f.at_bob);
	f.at_bob = invite;
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>\n");
	flow_expect_at_alice(&f, "SIP/2.0 200"); /* he heard of her PRACK, or need not any more */
	f.alice_cseq = 1;
	next_is(&f, CAROL, "INVITE sip:c@10.0.0.22:5060 SIP/2.0");
	sent_on(&f, 486, "");
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB); /* PRACK, again and again */
	refused_with(&f, "SIP/2.0 486", NULL);
}

/* Never the same twice, however it is written; and 482 when nothing else is left. */
static void a_loop_ends(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>\n");
	next_is(&f, CAROL, "INVITE ");
	sent_on(&f, 302, "Contact: <sip:bob@EXAMPLE.com>, <sip:c@10.0.0.22:5060;y=2>\n");
	assert_int_equal(rig_count(f.rig, REDIRECTS_REFUSED), 2);
	refused_with(&f, "SIP/2.0 482", "\"reason\":\"redirect-loop\"");
}

/* At most five, one after the other. */
static void a_long_way_ends(void **state)
{
	char contact[64], who[32];
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	for (unsigned i = 0; i < REDIRECT_HOPS_MAX; i++) {
		snprintf(contact, sizeof(contact), "Contact: <sip:u@10.0.0.%u:5060>\n", 30 + i);
		sent_on(&f, 302, contact);
		snprintf(who, sizeof(who), "10.0.0.%u:5060", 30 + i);
		next_is(&f, who, "INVITE ");
	}
	sent_on(&f, 302, "Contact: <sip:u@10.0.0.99:5060>\n");
	rig_expect_silence(f.rig, "10.0.0.99:5060");
	refused_with(&f, "SIP/2.0 482", "\"reason\":\"redirect-loop\"");
}

/* Many at once: as many as there is room for. */
static void a_wide_way_ends(void **state)
{
	char contacts[4096] = "", who[32];
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	for (unsigned i = 0; i < 40; i++)
		snprintf(contacts + strlen(contacts), sizeof(contacts) - strlen(contacts), "Contact: <sip:u@10.0.0.%u:5060>\n", 30 + i);
	sent_on(&f, 302, contacts);
	for (unsigned i = 0; i < REDIRECT_TARGETS_MAX - 1; i++) {
		snprintf(who, sizeof(who), "10.0.0.%u:5060", 30 + i);
		next_is(&f, who, "INVITE ");
		sent_on(&f, 480, "");
	}
	refused_with(&f, "SIP/2.0 480", NULL);
}

/* Back to ourselves, by address or by a name that leads there: refused, the next one is tried. */
static void our_own_address_is_a_loop(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	f.rig->names[0] = (struct rig_name){ .host = "edge.example.net", .delay_ms = 20 };
	assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("10.0.0.10:5060")), 0);
	f.rig->n_names = 1;
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:x@10.0.0.10>, <sip:x@203.0.113.10:5060>;q=0.9, <sip:y@edge.example.net>;q=0.8, "
	                 "<sip:c@10.0.0.22:5060>;q=0.1\n");
	rig_after(f.rig, 100);
	next_is(&f, CAROL, "INVITE sip:c@10.0.0.22:5060 SIP/2.0");
	assert_int_equal(rig_count(f.rig, REDIRECTS_REFUSED), 3);
	sent_on(&f, 302, "Contact: <sip:x@10.0.0.10:5060;z>\n");
	refused_with(&f, "SIP/2.0 482", "\"reason\":\"redirect-loop\"");
}

/* What cannot be followed is the caller's business. */
static void other_schemes_are_passed_on(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <tel:+4930123>\nContact: *\n");
	refused_with(&f, "SIP/2.0 302", NULL);
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 305, "Contact: <sip:10.0.0.22>\n");
	rig_expect_silence(f.rig, CAROL);
	refused_with(&f, "SIP/2.0 305", NULL);
}

/* The rule's rewriting is for the first destination: a Contact is called as it is, To stays as it was. */
static void a_contact_is_not_rewritten(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW_REWRITTEN("", "9"), 1, 1);
	flow_invite(&f, BOB);
	assert_string_equal(got_uri(&f.at_bob), "sip:9bob@example.com");
	sent_on(&f, 302, "Contact: <sip:carol@10.0.0.22:5060>\n");
	rig_reload(f.rig, FOLLOW_REWRITTEN("{ when: { user: nobody }, to: { reject: 404 } }, ", "8"));
	next_is(&f, CAROL, "INVITE sip:carol@10.0.0.22:5060 SIP/2.0");
	assert_string_equal(got_value(&f.at_bob, HDR_TO), "<sip:9bob@example.com>");
	rig_reload(f.rig, FOLLOW_REWRITTEN("{ when: { user: nobody }, to: { reject: 404 } }, ", "8"));
	sent_on(&f, 302, "Contact: <sip:dave@10.0.0.23:5060>\n");
	next_is(&f, DAVE, "INVITE sip:dave@10.0.0.23:5060 SIP/2.0");
	assert_string_equal(got_value(&f.at_bob, HDR_TO), "<sip:8bob@example.com>");
	answered_and_ended(&f);
}

/* The first destination is free again as soon as it has sent the call on. */
static void the_first_destination_is_released(void **state)
{
	struct flow f;
	struct dest_info info;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	flow_invite(&f, BOB);
	dest_info(f.rig->workers[0].shared->pools, pools_slot(f.rig->workers[0].shared->pools, f.rig->conf, 0), &info);
	assert_int_equal(info.load, 1);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>\n");
	next_is(&f, CAROL, "INVITE ");
	dest_info(f.rig->workers[0].shared->pools, pools_slot(f.rig->workers[0].shared->pools, f.rig->conf, 0), &info);
	assert_int_equal(info.load, 0);
	answered_and_ended(&f);
}

static void the_caller_cancels_what_was_sent_on(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 2, 1);
	flow_invite(&f, BOB);
	sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>, <sip:d@10.0.0.23:5060>\n");
	next_is(&f, CAROL, "INVITE ");
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	flow_cancel(&f);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	rig_expect(f.rig, CAROL, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	rig_expect_silence(f.rig, DAVE);
	rig_after(f.rig, 40000);
	rig_forget(f.rig, CAROL);
	flow_end(&f);
}

/* DESIGN §7: it rings where it was sent on to when the node dies. Who sent it on is not asked again; another redirection is followed. */
static void another_node_goes_on(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned again = 0; again < 2; again++) {
		flow_begin(&f, FOLLOW_TWO, 1, 1);
		flow_invite(&f, BOB);
		sent_on(&f, 302, "Contact: <sip:c@10.0.0.22:5060>\n");
		next_is(&f, CAROL, "INVITE ");
		f.rig = rig_take_over(f.rig, FOLLOW_TWO, 2, 1);
		if (!again) {
			sent_on(&f, 503, "");
			rig_expect_silence(f.rig, BOB);
			rig_expect_silence(f.rig, DAVE);
			refused_with(&f, "SIP/2.0 500", NULL);
			continue;
		}
		sent_on(&f, 302, "Contact: <sip:d@10.0.0.23:5060>\n");
		next_is(&f, DAVE, "INVITE sip:d@10.0.0.23:5060 SIP/2.0");
		answered_and_ended(&f);
	}
}

/* Other methods are sent on as well. */
static void a_message_is_sent_on(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FOLLOW, 1, 1);
	f.bob = BOB;
	rig_say(f.rig, ALICE, EDGE, "hello",
	        "MESSAGE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKm1;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: m1\nCSeq: 1 MESSAGE\nContent-Type: text/plain\n");
	flow_expect_at_bob(&f, "MESSAGE sip:bob@example.com SIP/2.0");
	flow_bob_answers(&f, 302, "Contact: <sip:c@10.0.0.22:5060>\n", "");
	f.bob = CAROL;
	flow_expect_at_bob(&f, "MESSAGE sip:c@10.0.0.22:5060 SIP/2.0");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_contact_is_called_instead),
		cmocka_unit_test(a_rule_without_it_passes_them_on),
		cmocka_unit_test(contacts_are_tried_by_q),
		cmocka_unit_test(a_6xx_ends_the_search),
		cmocka_unit_test(a_silent_contact_is_given_up),
		cmocka_unit_test(a_phone_that_rang_sends_the_call_on),
		cmocka_unit_test(a_contact_that_rings_too_long_is_given_up),
		cmocka_unit_test(a_prack_under_way_ends),
		cmocka_unit_test(a_loop_ends),
		cmocka_unit_test(a_long_way_ends),
		cmocka_unit_test(a_wide_way_ends),
		cmocka_unit_test(our_own_address_is_a_loop),
		cmocka_unit_test(other_schemes_are_passed_on),
		cmocka_unit_test(a_contact_is_not_rewritten),
		cmocka_unit_test(the_first_destination_is_released),
		cmocka_unit_test(the_caller_cancels_what_was_sent_on),
		cmocka_unit_test(another_node_goes_on),
		cmocka_unit_test(a_message_is_sent_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
