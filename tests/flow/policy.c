/* What of a message passes by rule: identities, privacy, masks, header rules (RFC 3323, RFC 3325, RFC 8224; DECISIONS 7, 8, 9, 15). */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* Bob is a server of ours; Dora one of a carrier whom we do not trust; both call each other. */
#define DORA "198.51.100.7:5060"
#define BORDER "udp:198.51.100.1:5060"
#define TWO_SIDES(core, carrier, rules) \
	"node: test\n" \
	"zones:\n" \
	"  core: { listen: \"udp:10.0.0.10:5060\", trust: 10.0.0.0/24, domains: inside.example" core " }\n" \
	"  carrier: { listen: \"udp:198.51.100.1:5060\", domains: carrier.example" carrier " }\n" \
	"pools:\n" \
	"  out: { zone: carrier, probe: off, destinations: [{ name: dora, uri: \"sip:198.51.100.7:5060\" }] }\n" \
	"  in: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"routes:\n" \
	"  - { when: { zone: core }, to: { pool: out }, relay: true" rules " }\n" \
	"  - { when: { zone: carrier, caller: any }, to: { pool: in }, relay: true" rules " }\n"

/* A call between the two, whoever begins; what either got last. */
struct pair {
	struct rig *rig;
	const char *caller, *callee, *caller_door, *callee_door;
	struct got at_caller, at_callee;
	char near_to[256], near_contact[128], far_from[256], far_to[256], far_call_id[64], far_contact[128];
	unsigned cseq;
};

static void pair_open(struct pair *p, const char *yaml, bool is_out)
{
	*p = (struct pair){ .rig = rig_new(yaml, 2, 1), .cseq = 1 };
	p->caller = is_out ? BOB : DORA;
	p->callee = is_out ? DORA : BOB;
	p->caller_door = is_out ? CORE : BORDER;
	p->callee_door = is_out ? BORDER : CORE;
}

static void pair_close(struct pair *p)
{
	got_free(&p->at_caller);
	got_free(&p->at_callee);
	rig_after(p->rig, 3600000);
	rig_free(p->rig, true);
}

#define CALLER_FROM "\"Caller\" <sip:caller@%s>;tag=caller"

/* The caller's request in its own words: outside the dialog, or within when `target` is our Contact. */
static void caller_says(struct pair *p, const char *method, const char *target, const char *to, const char *extra, const char *body)
{
	rig_say(p->rig, p->caller, p->caller_door, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKc%s%u\nMax-Forwards: 70\nFrom: " CALLER_FROM "\nTo: %s\n"
	        "Call-ID: caller-call\nCSeq: %u %s\nContact: <sip:caller@%s>\n%s",
	        method, target, p->caller, method, p->cseq, p->caller, to, p->cseq, method, p->caller, extra);
}

static void caller_begins(struct pair *p, const char *method, const char *extra, const char *body)
{
	char to[128];

	snprintf(to, sizeof(to), "<sip:callee@%s>", p->caller_door + 4);
	caller_says(p, method, "sip:+49@example.com", to, extra, body);
}

static void callee_expects(struct pair *p, const char *start)
{
	rig_expect(p->rig, p->callee, start, &p->at_callee);
	if (p->at_callee.v.method != M_INVITE || p->at_callee.v.status || *got_tag(&p->at_callee, HDR_TO))
		return;
	snprintf(p->far_from, sizeof(p->far_from), "%s", got_value(&p->at_callee, HDR_FROM));
	snprintf(p->far_to, sizeof(p->far_to), "%s", got_value(&p->at_callee, HDR_TO));
	snprintf(p->far_call_id, sizeof(p->far_call_id), "%s", got_value(&p->at_callee, HDR_CALL_ID));
	snprintf(p->far_contact, sizeof(p->far_contact), "%s", got_contact(&p->at_callee));
}

static void caller_expects(struct pair *p, const char *start)
{
	rig_expect(p->rig, p->caller, start, &p->at_caller);
	if (p->at_caller.v.status <= 100 || p->at_caller.v.status >= 300)
		return;
	snprintf(p->near_to, sizeof(p->near_to), "%s", got_value(&p->at_caller, HDR_TO));
	snprintf(p->near_contact, sizeof(p->near_contact), "%s", got_contact(&p->at_caller));
}

static void answer(struct pair *p, const char *who, const char *door, const struct got *g, unsigned status, const char *extra, const char *body)
{
	bool has_tag = *got_tag(g, HDR_TO);
	struct sv via = view_value(&g->v, HDR_VIA);

	rig_say(p->rig, who, door, body, "SIP/2.0 %u %s\nVia: %.*s\nFrom: %s\nTo: %s%s\nCall-ID: %s\nCSeq: %s\nContact: <sip:x@%s>\n%s", status,
	        status_phrase(status), SV_ARG(via), got_value(g, HDR_FROM), got_value(g, HDR_TO), has_tag ? "" : ";tag=callee",
	        got_value(g, HDR_CALL_ID), got_value(g, HDR_CSEQ), who, extra);
}

static void callee_answers(struct pair *p, unsigned status, const char *extra, const char *body)
{
	answer(p, p->callee, p->callee_door, &p->at_callee, status, extra, body);
}

static void caller_answers(struct pair *p, unsigned status, const char *extra, const char *body)
{
	answer(p, p->caller, p->caller_door, &p->at_caller, status, extra, body);
}

static void callee_says(struct pair *p, const char *method, const char *extra)
{
	p->cseq++;
	rig_say(p->rig, p->callee, p->callee_door, "",
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKd%u\nMax-Forwards: 70\nFrom: %s;tag=callee\nTo: %s\nCall-ID: %s\nCSeq: %u %s\n%s",
	        method, p->far_contact, p->callee, p->cseq, p->far_to, p->far_from, p->far_call_id, p->cseq, method, extra);
}

/* INVITE with `extra`, up to its arrival. */
static void pair_calls(struct pair *p, const char *extra, const char *body)
{
	caller_begins(p, "INVITE", extra, body);
	caller_expects(p, "SIP/2.0 100");
	callee_expects(p, "INVITE ");
}

static void pair_acks(struct pair *p, const char *extra)
{
	caller_says(p, "ACK", p->near_contact, p->near_to, extra, "");
	callee_expects(p, "ACK ");
}

static void pair_answered(struct pair *p, const char *extra)
{
	callee_answers(p, 200, extra, SDP);
	caller_expects(p, "SIP/2.0 200");
	pair_acks(p, "");
}

static void caller_asks(struct pair *p, const char *method, const char *extra, const char *body)
{
	p->cseq++;
	caller_says(p, method, p->near_contact, p->near_to, extra, body);
	callee_expects(p, method);
}

static void pair_ends(struct pair *p)
{
	caller_asks(p, "BYE", "", "");
	callee_answers(p, 200, "", "");
	caller_expects(p, "SIP/2.0 200");
	pair_close(p);
}

#define PLAIN TWO_SIDES("", "", "")

static void expect_from(struct pair *p, const char *value)
{
	char from[256];

	snprintf(from, sizeof(from), "%s;tag=", value);
	assert_memory_equal(got_value(&p->at_callee, HDR_FROM), from, strlen(from));
}

/* Identities (RFC 3325) --------------------------------------------------------------------------------------------- */

/* What a server of ours asserts goes out to the carrier without naming the server, in requests and in responses. */
static void identities_do_not_name_the_inside(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, PLAIN, true);
	pair_calls(&p, "P-Asserted-Identity: \"C\" <sip:+4930@10.0.0.21:5060;user=phone>\nDiversion: <sip:+4940@10.0.0.10>;reason=no-answer\n"
	               "History-Info: <sip:x@10.0.0.77?Reason=SIP>;index=1\n", SDP);
	assert_string_equal(got_value(&p.at_callee, HDR_P_ASSERTED_IDENTITY), "\"C\" <sip:+4930@carrier.example;user=phone>");
	assert_string_equal(got_value(&p.at_callee, HDR_DIVERSION), "<sip:+4940@carrier.example>;reason=no-answer");
	assert_string_equal(got_value(&p.at_callee, HDR_HISTORY_INFO), "<sip:x@carrier.example?Reason=SIP>;index=1");
	pair_answered(&p, "P-Asserted-Identity: <sip:dora@198.51.100.7>\n");
	assert_string_equal(got_value(&p.at_caller, HDR_P_ASSERTED_IDENTITY), ""); /* nobody trusts the carrier */
	caller_asks(&p, "UPDATE", "P-Asserted-Identity: <sip:+4930@10.0.0.21>\n", "");
	assert_string_equal(got_value(&p.at_callee, HDR_P_ASSERTED_IDENTITY), "<sip:+4930@carrier.example>");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_ends(&p);
}

static void identities_in_responses(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, PLAIN, false);
	pair_calls(&p, "P-Asserted-Identity: <sip:dora@198.51.100.7>\n", SDP);
	assert_string_equal(got_value(&p.at_callee, HDR_P_ASSERTED_IDENTITY), "");
	callee_answers(&p, 180, "P-Asserted-Identity: <sip:bob@10.0.0.21>\n", "");
	caller_expects(&p, "SIP/2.0 180");
	assert_string_equal(got_value(&p.at_caller, HDR_P_ASSERTED_IDENTITY), "<sip:bob@carrier.example>");
	pair_answered(&p, "P-Asserted-Identity: <sip:bob@10.0.0.21>\nPrivacy: id\n");
	assert_string_equal(got_value(&p.at_caller, HDR_P_ASSERTED_IDENTITY), "");
	pair_ends(&p);
}

/* Privacy (RFC 3323) ------------------------------------------------------------------------------------------------ */

/* §4.1.1.3, §5.3: towards one whom we do not trust the caller is nobody, through the whole dialog; towards a server of ours the wish
 * travels on. */
static void user_privacy(void **state)
{
	static const char nobody[] = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
	struct pair p;

	(void)state;
	pair_open(&p, PLAIN, true);
	pair_calls(&p, "Privacy: user;id;critical\nP-Asserted-Identity: <tel:+4930>\nSubject: me\n", SDP);
	expect_from(&p, nobody);
	assert_false(got_has(&p.at_callee, "caller"));
	assert_false(got_has(&p.at_callee, "4930") || got_has(&p.at_callee, "Subject"));
	assert_string_equal(got_value(&p.at_callee, HDR_PRIVACY), "id;critical");
	pair_answered(&p, "");
	expect_from(&p, nobody);
	assert_memory_equal(got_value(&p.at_caller, HDR_FROM), "\"Caller\"", 8);
	caller_asks(&p, "INFO", "", "");
	expect_from(&p, nobody);
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	callee_says(&p, "INFO", "");
	caller_expects(&p, "INFO "); /* for the caller it is called as ever */
	assert_memory_equal(got_value(&p.at_caller, HDR_TO), "\"Caller\" <sip:caller@10.0.0.21:5060>;tag=caller", 48);
	caller_answers(&p, 200, "", "");
	callee_expects(&p, "SIP/2.0 200");
	pair_ends(&p);
}

static void privacy_is_the_servers_business(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, PLAIN, false);
	pair_calls(&p, "Privacy: user;session;critical\nSubject: me\n", SDP);
	expect_from(&p, "\"Caller\" <sip:caller@198.51.100.7:5060>");
	assert_string_equal(got_value(&p.at_callee, HDR_PRIVACY), "user;session;critical");
	assert_string_equal(got_value(&p.at_callee, HDR_SUBJECT), "me");
	pair_answered(&p, "");
	pair_ends(&p);
}

/* §5: what cannot be had, and is critical: 500, and nobody is called. */
static void critical_privacy_that_cannot_be_had(void **state)
{
	static const char *const lines[] = { "Privacy: session;critical\n", "Privacy: critical\nPrivacy: x-invisible\n",
	                                     "Privacy: critical;user\nIdentity: abc;info=<https://x>\n" };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct pair p;

		pair_open(&p, PLAIN, true);
		caller_begins(&p, "INVITE", lines[i], SDP);
		caller_expects(&p, "SIP/2.0 100");
		caller_expects(&p, "SIP/2.0 500 Privacy Not Possible");
		rig_expect_silence(p.rig, DORA);
		pair_close(&p);
	}
}

/* Without `critical` it is done as far as it goes; §4.2: `none` asks nobody for anything. */
static void privacy_as_far_as_it_goes(void **state)
{
	static const char *const lines[][2] = { { "Privacy: session\n", "session" }, { "Privacy: none;user\n", "none;user" } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pair p;

		pair_open(&p, PLAIN, true);
		caller_begins(&p, "MESSAGE", lines[i][0], "");
		callee_expects(&p, "MESSAGE ");
		expect_from(&p, "\"Caller\" <sip:caller@10.0.0.21:5060>");
		assert_string_equal(got_value(&p.at_callee, HDR_PRIVACY), lines[i][1]);
		callee_answers(&p, 200, "", "");
		caller_expects(&p, "SIP/2.0 200");
		pair_close(&p);
	}
}

/* Masks ------------------------------------------------------------------------------------------------------------- */

#define MASKED TWO_SIDES("", ", privacy: { mask: [from, to, pai] }", "")

/* From and To are the zone's own from the first message on: what is sent on comes back as it was sent, CANCEL and BYE included. */
static void masks_stay_the_same_during_the_dialog(void **state)
{
	static const char from[] = "\"Caller\" <sip:caller@carrier.example>", to[] = "<sip:callee@carrier.example>;tag=callee";
	struct pair p;

	(void)state;
	pair_open(&p, MASKED, true);
	pair_calls(&p, "P-Asserted-Identity: <sip:+49@x.example;user=phone>\n", SDP);
	expect_from(&p, from);
	assert_string_equal(got_value(&p.at_callee, HDR_TO), "<sip:callee@carrier.example>");
	assert_string_equal(got_value(&p.at_callee, HDR_P_ASSERTED_IDENTITY), "<sip:+49@carrier.example;user=phone>");
	assert_false(got_has(&p.at_callee, "10.0.0."));
	pair_answered(&p, "");
	expect_from(&p, from);
	assert_string_equal(got_value(&p.at_callee, HDR_TO), to);
	assert_memory_equal(got_value(&p.at_caller, HDR_TO), "<sip:callee@10.0.0.10:5060>;tag=", 32);
	caller_asks(&p, "INVITE", "", SDP);
	expect_from(&p, from);
	assert_string_equal(got_value(&p.at_callee, HDR_TO), to);
	callee_answers(&p, 488, "", "");
	callee_expects(&p, "ACK ");
	expect_from(&p, from);
	caller_expects(&p, "SIP/2.0 100");
	caller_expects(&p, "SIP/2.0 488");
	assert_memory_equal(got_value(&p.at_caller, HDR_TO), "<sip:callee@10.0.0.10:5060>;tag=", 32);
	caller_says(&p, "ACK", p.near_contact, p.near_to, "", "");
	callee_says(&p, "BYE", "");
	caller_expects(&p, "BYE ");
	assert_memory_equal(got_value(&p.at_caller, HDR_FROM), "<sip:callee@10.0.0.10:5060>;tag=", 32);
	caller_answers(&p, 200, "", "");
	callee_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

static void a_cancel_is_masked_as_its_invite(void **state)
{
	struct pair p;
	char to[128];

	(void)state;
	pair_open(&p, MASKED, true);
	pair_calls(&p, "", SDP);
	callee_answers(&p, 180, "", "");
	caller_expects(&p, "SIP/2.0 180");
	snprintf(to, sizeof(to), "<sip:callee@%s>", p.caller_door + 4);
	rig_say(p.rig, p.caller, p.caller_door, "",
	        "CANCEL sip:+49@example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKcINVITE1\nMax-Forwards: 70\nFrom: " CALLER_FROM "\nTo: %s\n"
	        "Call-ID: caller-call\nCSeq: 1 CANCEL\n",
	        p.caller, p.caller, to);
	callee_expects(&p, "CANCEL ");
	expect_from(&p, "\"Caller\" <sip:caller@carrier.example>");
	assert_string_equal(got_value(&p.at_callee, HDR_TO), "<sip:callee@carrier.example>");
	rig_forget(p.rig, p.caller);
	pair_close(&p);
}

/* A zone that masks nothing sees what was sent; without domains the mask is our address. */
static void masks_are_the_receiving_zones(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, MASKED, false);
	pair_calls(&p, "", SDP);
	expect_from(&p, "\"Caller\" <sip:caller@198.51.100.7:5060>");
	pair_answered(&p, "");
	pair_ends(&p);
}

/* RFC 8224: what an Identity signs stays, or the Identity goes. */
static void a_signed_message_is_not_masked(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, MASKED, true);
	pair_calls(&p, "Identity: abc;info=<https://x.example>\nDate: Sat, 21 Nov 2026 10:00:00 GMT\n", SDP);
	expect_from(&p, "\"Caller\" <sip:caller@10.0.0.21:5060>");
	assert_true(got_has(&p.at_callee, "Identity: abc;info=<https://x.example>\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"));
	pair_answered(&p, "");
	pair_ends(&p);
	pair_open(&p, TWO_SIDES("", ", privacy: { mask: from, identity: remove }", ""), true);
	pair_calls(&p, "Identity: abc;info=<https://x.example>\n", SDP);
	expect_from(&p, "\"Caller\" <sip:caller@carrier.example>");
	assert_string_equal(got_value(&p.at_callee, HDR_IDENTITY), "");
	pair_answered(&p, "");
	pair_ends(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identities_do_not_name_the_inside),
		cmocka_unit_test(identities_in_responses),
		cmocka_unit_test(user_privacy),
		cmocka_unit_test(privacy_is_the_servers_business),
		cmocka_unit_test(critical_privacy_that_cannot_be_had),
		cmocka_unit_test(privacy_as_far_as_it_goes),
		cmocka_unit_test(masks_stay_the_same_during_the_dialog),
		cmocka_unit_test(a_cancel_is_masked_as_its_invite),
		cmocka_unit_test(masks_are_the_receiving_zones),
		cmocka_unit_test(a_signed_message_is_not_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
