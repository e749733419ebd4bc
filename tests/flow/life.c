/* What happens to calls while the house around them changes: reloads, closing down, longest durations (DECISIONS 18). And that messages
 * keep their order, whichever worker they pass (DECISIONS 13). */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define FLOW_SHORT \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 10s }]\n"
#define FLOW_OTHER \
	FLOW_ZONES \
	"pools: { other: { zone: core, probe: off, destinations: [{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: other } }]\n"
#define FLOW_QUICK \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, answer-timeout: 5s, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	FLOW_ROUTES

/* A reload that takes the call's pool away takes nothing from the call. */
static void reload_in_the_middle_of_a_call(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	rig_reload(f.rig, FLOW_OTHER);
	flow_alice_says(&f, "INVITE", "Contact: <sip:alice@192.0.2.10:5060>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	rig_reload(f.rig, FLOW_OTHER);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_end(&f);
}

/* A ringing call whose pool goes away rings on; when it is refused, the rules of today have nobody else to ask. */
static void reload_while_it_rings(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TWO, 2, 1);
	flow_invite(&f, BOB);
	rig_reload(f.rig, FLOW_OTHER);
	flow_bob_answers(&f, 503, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	flow_refused(&f);
	rig_expect_silence(f.rig, CAROL);
	flow_end(&f);
}

static void longest_duration(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_SHORT, 2, 1);
	rig_after(f.rig, 9999);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	assert_string_equal(got_value(&f.at_bob, HDR_REASON), "SIP;cause=480;text=\"max-duration\"");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	assert_int_equal(rig_count(f.rig, CALLS_EXPIRED), 1);
	assert_int_equal(rig_calls(f.rig), 0);
	flow_end(&f);
}

/* Timer C (§16.7 step 2, §16.8): it begins anew with each provisional; then 408, and CANCEL. */
static void it_rings_too_long(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_QUICK, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	rig_after(f.rig, 4999);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	rig_after(f.rig, 4999);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 1);
	flow_expect_at_alice(&f, "SIP/2.0 408");
	flow_refused(&f);
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	flow_end(&f);
}

/* Shutting down: no new calls, 503; those that are go on. */
static void closing(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	for (unsigned i = 0; i < 2; i++)
		b2bua_close(f.rig->workers[i].calls);
	rig_say(f.rig, ALICE, EDGE, "",
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnew\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=x\nTo: <sip:bob@example.com>\nCall-ID: new\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(f.rig, ALICE, "SIP/2.0 503", &f.at_alice);
	rig_say(f.rig, ALICE, EDGE, "",
	        "OPTIONS sip:203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKopt\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=x\nTo: <sip:203.0.113.10>\nCall-ID: opt\nCSeq: 1 OPTIONS\n");
	rig_after(f.rig, 0);
	rig_expect(f.rig, ALICE, "SIP/2.0 503", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "1 OPTIONS");
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnew\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=x\nTo: <sip:bob@example.com>;tag=y\nCall-ID: new\nCSeq: 1 ACK\n");
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* The operator's hand: both sides get BYE. */
static void operator_hangs_up(void **state)
{
	struct flow f;
	uint64_t id;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	assert_false(b2bua_hangup(f.rig->workers[0].calls, 1, "test"));
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	/* The id is what the near Contact's token says. */
	struct token token;
	struct sv user = { f.near_contact + 4, TOKEN_LEN };

	assert_int_equal(token_read(f.rig->workers[0].tokens, TOKEN_LEG, user, &token), 0);
	id = token.id;
	assert_true(b2bua_hangup(f.rig->workers[0].calls, id, "test"));
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reload_in_the_middle_of_a_call),
		cmocka_unit_test(reload_while_it_rings),
		cmocka_unit_test(longest_duration),
		cmocka_unit_test(it_rings_too_long),
		cmocka_unit_test(closing),
		cmocka_unit_test(operator_hangs_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
