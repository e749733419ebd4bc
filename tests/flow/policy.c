/* What of a message passes by rule: identities, privacy, masks, header rules (RFC 3323, RFC 3325, RFC 8224; DECISIONS 7, 8, 9, 15). */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <cmocka.h>
#include "topohide/policy.h"

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

/* A rule's `rewrite` with `apply: pai`: the identities of the request that begins something, before they are masked. */
static void identities_are_rewritten_by_the_rule(void **state)
{
	static const char rule[] = TWO_SIDES("", "", ", rewrite: { user: { regex: \"^00([0-9]+)$\", replace: \"+\\\\1\" }, apply: pai }");
	static const struct {
		const char *lines, *left;
	} cases[] = {
		{ "P-Asserted-Identity: \"C\" <sip:004930@10.0.0.21;user=phone>, <tel:004930>\n", "\"C\" <sip:+4930@carrier.example;user=phone>, <tel:+4930>" },
		{ "P-Asserted-Identity: <sip:4930@x.example>\n", "<sip:4930@x.example>" },
		{ "P-Asserted-Identity: <sip:00@>\n", "" },
		{ "P-Asserted-Identity: sip:0042@x.example\nPrivacy: id\n", "" },
	};
	struct pair p;

	(void)state;
	pair_open(&p, rule, true);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		p.cseq++;
		caller_begins(&p, "MESSAGE", cases[i].lines, "");
		callee_expects(&p, "MESSAGE ");
		assert_string_equal(got_value(&p.at_callee, HDR_P_ASSERTED_IDENTITY), cases[i].left);
		assert_memory_equal(got_value(&p.at_callee, HDR_FROM), "\"Caller\" <sip:caller@10.0.0.21", 30);
		callee_answers(&p, 200, "", "");
		caller_expects(&p, "SIP/2.0 200");
	}
	p.cseq++;
	caller_begins(&p, "MESSAGE", "Diversion: <sip:0042@x.example>\n", "");
	callee_expects(&p, "MESSAGE ");
	assert_string_equal(got_value(&p.at_callee, HDR_DIVERSION), "<sip:0042@x.example>");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
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

/* Session descriptions ---------------------------------------------------------------------------------------------- */

#define NO_ORIGIN TWO_SIDES("", ", privacy: { mask: sdp-origin }", "")
#define TYPE_SDP "Content-Type: application/sdp\n"
#define CORE_SDP(version) \
	"v=0\r\no=server 77 " version " IN IP6 fd00::1\r\ns=a call\r\ni=s=x\r\nc=IN IP4 10.0.0.21\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\ns=y\r\no=z\r\n"
#define MASKED_SDP(version) \
	"v=0\r\no=- 77 " version " IN IP4 198.51.100.1\r\ns=-\r\ni=s=x\r\nc=IN IP4 10.0.0.21\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\ns=y\r\no=z\r\n"

static void expect_body(const struct got *g, const char *body)
{
	char text[2048];

	snprintf(text, sizeof(text), "%.*s", SV_ARG(view_body(&g->v)));
	assert_string_equal(text, body);
}

/* What says who made a description is ours through the whole call, its version goes on counting; towards the other side nothing changes. */
static void the_origin_of_sdp_is_masked(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NO_ORIGIN, true);
	pair_calls(&p, TYPE_SDP, CORE_SDP("1"));
	expect_body(&p.at_callee, MASKED_SDP("1"));
	callee_answers(&p, 200, TYPE_SDP, SDP);
	caller_expects(&p, "SIP/2.0 200");
	expect_body(&p.at_caller, SDP);
	pair_acks(&p, "");
	caller_asks(&p, "UPDATE", TYPE_SDP, CORE_SDP("2"));
	expect_body(&p.at_callee, MASKED_SDP("2"));
	callee_answers(&p, 200, TYPE_SDP, SDP);
	caller_expects(&p, "SIP/2.0 200");
	callee_says(&p, "INVITE", "");
	caller_expects(&p, "INVITE ");
	caller_answers(&p, 200, TYPE_SDP, CORE_SDP("3")); /* an offer in a response */
	callee_expects(&p, "SIP/2.0 100");
	callee_expects(&p, "SIP/2.0 200");
	expect_body(&p.at_callee, MASKED_SDP("3"));
	rig_say(p.rig, DORA, BORDER, SDP,
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKack\nMax-Forwards: 70\nFrom: %s;tag=callee\nTo: %s\nCall-ID: %s\nCSeq: %u ACK\n" TYPE_SDP,
	        p.far_contact, DORA, p.far_to, p.far_from, p.far_call_id, p.cseq);
	caller_expects(&p, "ACK ");
	expect_body(&p.at_caller, SDP);
	pair_ends(&p);
}

/* Descriptions among other parts; what is no description, or follows no grammar; what was signed. */
static void other_bodies(void **state)
{
	static const struct {
		const char *extra, *body, *left;
	} cases[] = {
		{ "Content-Type: Multipart/Mixed ;boundary=x\n",
		  "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\no=a 1 2 IN IP4 h\ns=b\nt=0 0\n--x\r\n\r\ns=x\r\n--x--\r\n",
		  "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\no=- 1 2 IN IP4 198.51.100.1\ns=-\nt=0 0\n--x\r\n\r\ns=x\r\n--x--\r\n" },
		{ "Content-Type: text/plain\n", "v=0\r\no=a 1 2 IN IP4 h\r\n", NULL },
		{ "Content-Type: multipart/signed\n", "v=0\r\no=a 1 2 IN IP4 h\r\n", NULL },
		{ "Content-Type: application/sdp\n", "v=0\r\no=a 1 2 IN IP4\r\ns=", "v=0\r\no=- 0 0 IN IP4 198.51.100.1\r\ns=-" },
		{ "Content-Type: application/sdp\n", "v=0\r\no=a 1 2 IN IP4 h i\r\n\r\n\n", "v=0\r\no=- 0 0 IN IP4 198.51.100.1\r\n\r\n\n" },
		{ "Content-Type: application/sdp\nIdentity: x\n", CORE_SDP("1"), NULL },
		{ "Content-Type: application/sdp\n", "o=a 1 2 IN IP4 h\r\n", NULL },
	};
	struct pair p;

	(void)state;
	pair_open(&p, NO_ORIGIN, true);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		p.cseq++;
		caller_begins(&p, "MESSAGE", cases[i].extra, cases[i].body);
		callee_expects(&p, "MESSAGE ");
		expect_body(&p.at_callee, cases[i].left ? cases[i].left : cases[i].body);
		callee_answers(&p, 200, "", "");
		caller_expects(&p, "SIP/2.0 200");
	}
	pair_close(&p);
}

/* Header rules ------------------------------------------------------------------------------------------------------ */

/* The lines of `g` that begin with `name`, without CRLFs, joined by '|'. */
static const char *lines_of(const struct got *g, const char *name)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < g->v.n; i++) {
		struct sv one = hdr_name(&g->v, &g->v.h[i]);

		if (one.len >= strlen(name) && !strncasecmp(one.p, name, strlen(name)))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s: %.*s", n ? "|" : "", SV_ARG(one),
			                      SV_ARG(hdr_value(&g->v, &g->v.h[i])));
	}
	return text;
}

#define expect_lines(g, name, lines) assert_string_equal(lines_of(g, name), lines)

#define EVERY_RULE \
	"headers:\n" \
	"  every:\n" \
	"    - { remove: [Subject, \"X-Secret-*\", X-None] }\n" \
	"    - { set: X-Set, value: \"${from-user}/${to-user}/${source-address}/${source-zone}\" }\n" \
	"    - { add: X-Add, value: one }\n" \
	"    - { add: X-Add, value: two }\n" \
	"    - { rename: X-Old, to: X-New }\n" \
	"    - { copy: X-New, to: X-Copy }\n" \
	"    - { remove: X-Add, when: { method: BYE } }\n" \
	"    - { keep: [User-Agent, X-Kept] }\n" \
	"    - { mask: [X-Where, Call-Info] }\n" \
	"    - { set: X-Leg, value: \"${call-id}\" }\n"

/* Each kind of rule, in requests and responses, outside a dialog and within. */
static void every_kind_of_rule(void **state)
{
	static const char lines[] =
		"Subject: a\ns: b\nX-Secret-1: a\nx-secret-2: b\nX-Set: old\nX-Set: old\nX-Old: v\nX-Other: o\nx-old: w, x\nUser-Agent: Server 1.0\n"
		"X-Kept: on 10.0.0.21\nX-Where: at sip:10.0.0.21:5060 now\nCall-Info: <http://10.0.0.21/x>;purpose=icon\nX-Lost: 10.0.0.21\n"
		"Content-Type: application/sdp\n";
	char leg[80], all[256];
	struct pair p;

	(void)state;
	pair_open(&p, EVERY_RULE TWO_SIDES("", ", headers: { out: every }", ""), true);
	pair_calls(&p, lines, SDP);
	expect_lines(&p.at_callee, "Subject", "");
	expect_lines(&p.at_callee, "X-Secret", "");
	expect_lines(&p.at_callee, "X-Set", "X-Set: caller/+49/10.0.0.21/core");
	expect_lines(&p.at_callee, "X-Add", "X-Add: one|X-Add: two");
	expect_lines(&p.at_callee, "X-Old", "");
	expect_lines(&p.at_callee, "X-New", "X-New: v|X-New: w, x");
	expect_lines(&p.at_callee, "X-Copy", "X-Copy: v|X-Copy: w, x");
	expect_lines(&p.at_callee, "X-Other", "X-Other: o");
	expect_lines(&p.at_callee, "User-Agent", "User-Agent: Server 1.0");
	expect_lines(&p.at_callee, "X-Kept", "X-Kept: on 10.0.0.21");
	expect_lines(&p.at_callee, "X-Where", "X-Where: at sip:carrier.example now");
	expect_lines(&p.at_callee, "Call-Info", "Call-Info: <http://carrier.example/x>;purpose=icon");
	expect_lines(&p.at_callee, "X-Lost", "");
	snprintf(leg, sizeof(leg), "X-Leg: %s", p.far_call_id);
	expect_lines(&p.at_callee, "X-Leg", leg);
	assert_true(got_has(&p.at_callee, "\r\nContent-Type: application/sdp\r\n"));
	pair_answered(&p, "Subject: a\nX-Old: v\nX-Add: own\n");
	expect_lines(&p.at_caller, "Subject", "Subject: a"); /* the rules are for what goes to the carrier */
	expect_lines(&p.at_caller, "X-", "X-Old: v|X-Add: own");
	expect_lines(&p.at_callee, "X-Leg", leg);            /* the ACK */
	caller_asks(&p, "INFO", "X-Old: i\n", "");
	expect_lines(&p.at_callee, "X-Set", "X-Set: caller/callee/10.0.0.21/core"); /* within the dialog: To's */
	expect_lines(&p.at_callee, "X-Copy", "X-Copy: i");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	callee_says(&p, "INFO", "X-Old: j\n");
	caller_expects(&p, "INFO ");
	expect_lines(&p.at_caller, "X-", "X-Old: j");
	caller_answers(&p, 200, "X-Old: k\n", "");
	callee_expects(&p, "SIP/2.0 200");
	snprintf(all, sizeof(all), "X-New: k|X-Set: callee/caller/10.0.0.21/core|X-Add: one|X-Add: two|X-Copy: k|%s", leg);
	expect_lines(&p.at_callee, "X-", all);
	caller_asks(&p, "BYE", "", "");
	expect_lines(&p.at_callee, "X-Add", "");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

#define STATIONS \
	"headers:\n" \
	"  core-in: [{ add: X-At, value: core-in }]\n" \
	"  core-out: [{ add: X-At, value: core-out }]\n" \
	"  carrier-in: [{ add: X-At, value: carrier-in }]\n" \
	"  carrier-out: [{ add: X-At, value: carrier-out }]\n" \
	"  route-in: [{ add: X-At, value: route-in }]\n" \
	"  route-out: [{ add: X-At, value: route-out }]\n" \
	"  pool-in: [{ add: X-At, value: pool-in }]\n" \
	"  pool-out: [{ add: X-At, value: pool-out }]\n" \
	"node: test\n" \
	"zones:\n" \
	"  core: { listen: \"udp:10.0.0.10:5060\", trust: 10.0.0.0/24, headers: { in: core-in, out: core-out } }\n" \
	"  carrier: { listen: \"udp:198.51.100.1:5060\", headers: { in: carrier-in, out: carrier-out } }\n" \
	"pools:\n" \
	"  out:\n" \
	"    zone: carrier\n" \
	"    probe: off\n" \
	"    headers: { in: pool-in, out: pool-out }\n" \
	"    destinations: [{ name: dora, uri: \"sip:198.51.100.7:5060\" }]\n" \
	"routes: [{ when: { zone: core }, to: { pool: out }, relay: true, headers: { in: route-in, out: route-out } }]\n"
#define THERE "X-At: core-in|X-At: route-out|X-At: pool-out|X-At: carrier-out"
#define BACK "X-At: carrier-in|X-At: pool-in|X-At: route-in|X-At: core-out"

/* In which order the rules of two zones, a route and a pool apply, both ways. What is hop by hop (CANCEL, ACK of a refusal) has none. */
static void rules_apply_in_the_order_of_the_way(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, STATIONS, true);
	pair_calls(&p, "", SDP);
	expect_lines(&p.at_callee, "X-", THERE);
	callee_answers(&p, 180, "", "");
	caller_expects(&p, "SIP/2.0 180");
	expect_lines(&p.at_caller, "X-", BACK);
	callee_answers(&p, 200, "", SDP);
	caller_expects(&p, "SIP/2.0 200");
	expect_lines(&p.at_caller, "X-", BACK);
	pair_acks(&p, "");
	expect_lines(&p.at_callee, "X-", THERE);
	callee_says(&p, "INVITE", "");
	caller_expects(&p, "INVITE ");
	expect_lines(&p.at_caller, "X-", BACK);
	caller_answers(&p, 486, "", "");
	rig_expect(p.rig, p.caller, "ACK ", &p.at_caller);
	expect_lines(&p.at_caller, "X-", "");
	callee_expects(&p, "SIP/2.0 100");
	expect_lines(&p.at_callee, "X-", "");
	callee_expects(&p, "SIP/2.0 486");
	expect_lines(&p.at_callee, "X-", THERE);
	caller_asks(&p, "BYE", "", "");
	expect_lines(&p.at_callee, "X-", THERE);
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	expect_lines(&p.at_caller, "X-", BACK);
	pair_close(&p);
}

#define CONDITIONS \
	"headers:\n" \
	"  some:\n" \
	"    - { add: X-A, value: request, when: { message: request } }\n" \
	"    - { add: X-B, value: response, when: { message: response } }\n" \
	"    - { add: X-C, value: invite, when: { method: INVITE } }\n" \
	"    - { add: X-D, value: foo, when: { method: [FOO, BAR], message: request } }\n" \
	"    - { add: X-E, value: foo, when: { method: FOO, message: response } }\n"

static void rules_have_conditions(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, CONDITIONS TWO_SIDES(", headers: { out: some }", ", headers: { out: some }", ""), true);
	pair_calls(&p, "", SDP);
	expect_lines(&p.at_callee, "X-", "X-A: request|X-C: invite");
	callee_answers(&p, 404, "", "");
	caller_expects(&p, "SIP/2.0 404");
	expect_lines(&p.at_caller, "X-", "X-B: response|X-C: invite");
	pair_close(&p);
	pair_open(&p, CONDITIONS TWO_SIDES(", headers: { out: some }", ", headers: { out: some }", ""), true);
	caller_begins(&p, "FOO", "", "");
	callee_expects(&p, "FOO ");
	expect_lines(&p.at_callee, "X-", "X-A: request|X-D: foo");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	expect_lines(&p.at_caller, "X-", "X-B: response|X-E: foo");
	pair_close(&p);
	pair_open(&p, CONDITIONS TWO_SIDES("", ", headers: { out: some }", ""), true);
	caller_begins(&p, "FOOL", "", "");
	callee_expects(&p, "FOOL ");
	expect_lines(&p.at_callee, "X-", "X-A: request");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

#define MARK(name, value) "headers: { " name ": [{ add: X-Mark, value: " value " }] }\n"
#define BY_ROUTE(value) MARK("mark", value) TWO_SIDES("", "", ", headers: { out: mark }")
#define BY_ZONE(value) MARK("mark", value) TWO_SIDES("", ", headers: { out: mark }", "")

static void expect_mark(struct pair *p, const char *lines)
{
	caller_asks(p, "INFO", "", "");
	expect_lines(&p->at_callee, "X-Mark", lines);
	callee_answers(p, 200, "", "");
	caller_expects(p, "SIP/2.0 200");
}

static unsigned rule_sets(struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += b2bua_rule_sets(r->workers[i].calls);
	return n;
}

/* A call keeps the rules of its route and pool, whatever is read meanwhile; a zone's rules are those of now. */
static void rules_and_reloads(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, BY_ROUTE("old"), true);
	pair_calls(&p, "", SDP);
	expect_lines(&p.at_callee, "X-Mark", "X-Mark: old");
	pair_answered(&p, "");
	rig_reload(p.rig, BY_ROUTE("new"));
	expect_mark(&p, "X-Mark: old");
	rig_reload(p.rig, PLAIN);
	expect_mark(&p, "X-Mark: old");
	rig_reload(p.rig, BY_ZONE("zone"));
	expect_mark(&p, "X-Mark: old|X-Mark: zone");
	rig_reload(p.rig, PLAIN);
	assert_int_equal(rule_sets(p.rig), 1);
	caller_asks(&p, "BYE", "", "");
	expect_lines(&p.at_callee, "X-Mark", "X-Mark: old");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	assert_int_equal(rule_sets(p.rig), 0); /* nobody holds them any more */
	p.cseq++;
	caller_begins(&p, "MESSAGE", "", "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "X-Mark", "");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

/* What the caller wants to be kept private is not told by a rule; nor is it by another name of the same header. */
static void rules_are_no_way_around_privacy(void **state)
{
	static const char yaml[] =
		"headers:\n"
		"  who:\n"
		"    - { set: P-Asserted-Identity, value: \"<sip:${from-user}@carrier.example>\" }\n"
		"    - { rename: X-Diverted, to: History-Info }\n"
		"    - { keep: Subject }\n" TWO_SIDES("", ", headers: { out: who }", "");
	struct pair p;

	(void)state;
	pair_open(&p, yaml, true);
	caller_begins(&p, "MESSAGE", "P-Asserted-Identity: <tel:1>\nX-Diverted: <tel:2>;index=1\n", "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "P-Asserted", "P-Asserted-Identity: <sip:caller@carrier.example>");
	expect_lines(&p.at_callee, "History-Info", "History-Info: <tel:2>;index=1");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	p.cseq++;
	caller_begins(&p, "MESSAGE", "P-Asserted-Identity: <tel:1>\nX-Diverted: <tel:2>;index=1\nPrivacy: id;history;user\nSubject: me\n", "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "P-Asserted", "");
	expect_lines(&p.at_callee, "History-Info", "");
	expect_lines(&p.at_callee, "Subject", "");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

/* RFC 8224: with the Date goes the signature over it; a message that has none loses none. */
static void a_rule_that_breaks_a_signature_removes_it(void **state)
{
	static const char yaml[] = "headers: { h: [{ remove: Date, identity: remove }] }\n" TWO_SIDES("", ", headers: { out: h }", "");
	struct pair p;

	(void)state;
	pair_open(&p, yaml, true);
	caller_begins(&p, "MESSAGE", "Identity: x\nDate: now\n", "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "Identity", "");
	expect_lines(&p.at_callee, "Date", "");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	p.cseq++;
	caller_begins(&p, "MESSAGE", "Identity: x\n", "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "Identity", "Identity: x");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

static uint64_t skipped(struct rig *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += counter_get(b2bua_hide_counters(r->workers[i].calls), HIDE_RULES_SKIPPED);
	return n;
}

/* Nothing to fill in, or too much: the rule is left out, and counted; `set` leaves what there is. */
static void values_that_cannot_be_written(void **state)
{
	static const char yaml[] = "headers: { h: [{ set: X-A, value: \"at ${from-user}\" }, { add: X-B, value: \"${to-user}${to-user}\" }] }\n"
		TWO_SIDES("", ", headers: { out: h }", "");
	char user[400] = "", to[600];
	struct pair p;

	(void)state;
	memset(user, 'u', 300);
	snprintf(to, sizeof(to), "sip:%s@example.com", user);
	pair_open(&p, yaml, true);
	rig_say(p.rig, BOB, CORE, "",
	        "MESSAGE %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKx\nMax-Forwards: 70\nFrom: <sip:example.com>;tag=x\n"
	        "To: <sip:x@example.com>\nCall-ID: x\nCSeq: 1 MESSAGE\nX-A: stays\n", to);
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "X-", "X-A: stays");
	assert_int_equal(skipped(p.rig), 2);
	callee_answers(&p, 200, "", "");
	rig_expect(p.rig, BOB, "SIP/2.0 200", &p.at_caller);
	pair_close(&p);
}

/* More lines than a message may have: those that are too many are left out, and counted. */
static void more_lines_than_there_is_room_for(void **state)
{
	char lines[4096] = "";
	struct pair p;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "X-A: %u\n", i);
	pair_open(&p, "headers: { h: [{ copy: X-A, to: X-B }] }\n" TWO_SIDES("", ", headers: { out: h }", ""), true);
	caller_begins(&p, "MESSAGE", lines, "");
	callee_expects(&p, "MESSAGE ");
	assert_int_equal(skipped(p.rig), 2 * 100 - POLICY_LINES_MAX);
	assert_true(got_has(&p.at_callee, "X-A: 99\r\n") && got_has(&p.at_callee, "X-B: 27\r\n") && !got_has(&p.at_callee, "X-B: 28\r\n"));
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

/* What a rule passes or writes is the operator's word: the guard lets it pass. */
static void the_guard_knows_the_rules(void **state)
{
	static const char yaml[] =
		"hiding: { guard: block }\n"
		"headers:\n"
		"  h:\n"
		"    - { keep: [\"X-Kept-*\", Subject] }\n"
		"    - { set: X-Set, value: \"${source-address}\" }\n"
		"    - { rename: X-Kept-Old, to: X-New }\n" TWO_SIDES("", ", headers: { out: h }", "");
	struct pair p;

	(void)state;
	pair_open(&p, yaml, true);
	caller_begins(&p, "MESSAGE", "X-Kept-A: 10.0.0.21\nX-Kept-Old: 10.0.0.21\ns: 10.0.0.21\nX-Lost: 10.0.0.21\n", "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "X-", "X-Kept-A: 10.0.0.21|X-New: 10.0.0.21|X-Set: 10.0.0.21");
	expect_lines(&p.at_callee, "s", "s: 10.0.0.21");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

/* A value that would grow beyond all bounds when each word of it is masked ends here, alone; the message goes on. */
static void masks_do_not_fill_a_message(void **state)
{
	static const char yaml[] = "headers: { h: [{ mask: X-Long }] }\n" TWO_SIDES("", ", headers: { out: h }", "");
	const char *domain = strstr(yaml, "carrier.example");
	char lines[4000], text[sizeof(yaml) + 256];
	size_t n = (size_t)sprintf(lines, "X-Short: s\nX-Long: 10.0.0.21");
	struct pair p;

	(void)state;
	sprintf(text, "%.*s%060d.%060d.%060d.%s", (int)(domain - yaml), yaml, 1, 2, 3, domain);
	for (unsigned k = 0; k < 900; k++)
		n += (size_t)sprintf(lines + n, " a");
	sprintf(lines + n, "\n");
	pair_open(&p, text, true);
	caller_begins(&p, "MESSAGE", lines, "");
	callee_expects(&p, "MESSAGE ");
	expect_lines(&p.at_callee, "X-", "X-Short: s");
	callee_answers(&p, 200, "", "");
	caller_expects(&p, "SIP/2.0 200");
	pair_close(&p);
}

/* Header rules of route and pool go to the node that takes over. */
static struct sv record_of;
static void keep(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	(void)sink, (void)id;
	record_of = (struct sv){ memcpy(malloc(record.len), record.p, record.len), record.len };
}

static void rules_outlive_a_node(void **state)
{
	struct b2bua_record_sink sink = { keep };
	struct pair p;

	(void)state;
	pair_open(&p, BY_ROUTE("kept"), true);
	pair_calls(&p, "", SDP);
	pair_answered(&p, "");
	for (unsigned i = 0; i < 2; i++)
		b2bua_export(p.rig->workers[i].calls, &sink);
	rig_free(p.rig, false);
	p.rig = rig_new(BY_ROUTE("kept"), 1, 7);
	assert_int_equal(b2bua_apply(p.rig->workers[0].calls, record_of), 0);
	free((void *)record_of.p);
	expect_mark(&p, "X-Mark: kept");
	pair_ends(&p);
}

/* DECISIONS 9: a challenge passes as it is; that its realm names the inside is told where the probe sees it. */
static void a_realm_that_names_the_inside(void **state)
{
	static const char yaml[] =
		FLOW_ZONES "pools: { apps: { zone: core, probe: { every: 10s }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES;
	static const struct {
		const char *extra;
		unsigned status, count;
	} cases[] = {
		{ "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"10.0.0.21\"\n", 401, 0 },
		{ "WWW-Authenticate: Digest nonce=\"x\", Realm = \"sip.10.0.0.21\"\n", 401, 1 },
		{ "Proxy-Authenticate: Digest realm=\"x\"\nProxy-Authenticate: Digest realm=\"10.0.0.21\"\n", 407, 2 },
		{ "WWW-Authenticate: Digest realm=\"10.0.0.21\"\n", 200, 2 },
	};
	struct rig *r = rig_new(yaml, 1, 1);
	struct got probe = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned ms = 0; ms < 20000 && !rig_has_message(r, BOB); ms += 100)
			rig_after(r, 100);
		rig_expect(r, BOB, "OPTIONS ", &probe); /* answered before its time-out of 1 s */
		rig_say(r, BOB, CORE, "", "SIP/2.0 %u X\nVia: %s\nFrom: %s\nTo: %s;tag=b\nCall-ID: %s\nCSeq: %s\n%s", cases[i].status,
		        got_value(&probe, HDR_VIA), got_value(&probe, HDR_FROM), got_value(&probe, HDR_TO), got_value(&probe, HDR_CALL_ID),
		        got_value(&probe, HDR_CSEQ), cases[i].extra);
		rig_after(r, 100);
		assert_int_equal(counter_get(b2bua_hide_counters(r->workers[0].calls), HIDE_REALMS_INSIDE), cases[i].count);
	}
	got_free(&probe);
	rig_free(r, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identities_do_not_name_the_inside),
		cmocka_unit_test(identities_in_responses),
		cmocka_unit_test(identities_are_rewritten_by_the_rule),
		cmocka_unit_test(user_privacy),
		cmocka_unit_test(privacy_is_the_servers_business),
		cmocka_unit_test(critical_privacy_that_cannot_be_had),
		cmocka_unit_test(privacy_as_far_as_it_goes),
		cmocka_unit_test(masks_stay_the_same_during_the_dialog),
		cmocka_unit_test(a_cancel_is_masked_as_its_invite),
		cmocka_unit_test(masks_are_the_receiving_zones),
		cmocka_unit_test(a_signed_message_is_not_masked),
		cmocka_unit_test(the_origin_of_sdp_is_masked),
		cmocka_unit_test(other_bodies),
		cmocka_unit_test(every_kind_of_rule),
		cmocka_unit_test(rules_apply_in_the_order_of_the_way),
		cmocka_unit_test(rules_have_conditions),
		cmocka_unit_test(rules_and_reloads),
		cmocka_unit_test(rules_are_no_way_around_privacy),
		cmocka_unit_test(a_rule_that_breaks_a_signature_removes_it),
		cmocka_unit_test(values_that_cannot_be_written),
		cmocka_unit_test(more_lines_than_there_is_room_for),
		cmocka_unit_test(the_guard_knows_the_rules),
		cmocka_unit_test(masks_do_not_fill_a_message),
		cmocka_unit_test(rules_outlive_a_node),
		cmocka_unit_test(a_realm_that_names_the_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
