/* RFC 3665 section 3, session establishment, each flow named by its section. The SBC stands where the RFC draws a proxy (the one on Bob's
 * side, or the ALG), further proxies are drawn with their Via and Record-Route. Section 2 is registration: the registrar's. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define BILOXI_ZONES \
	"node: test\n" \
	"zones:\n" \
	"  public: { listen: [\"udp:203.0.113.10:5060\"], domains: [\"biloxi.example.com\"] }\n" \
	"  core: { listen: [\"udp:10.0.0.10:5060\"], trust: [\"10.0.0.0/24\"] }\n"
#define BILOXI_ONE \
	BILOXI_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES
#define BILOXI_TWO \
	BILOXI_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES
#define BOB_URI "sip:bob@biloxi.example.com"

struct scene {
	struct rig *rig;
	struct phone alice, bob;
};

static void begin(struct scene *s, const char *yaml)
{
	s->rig = rig_new(yaml, 2, 1);
	cast_watch(s->rig);
	phone_new(&s->alice, s->rig, "alice", ALICE);
	phone_new(&s->bob, s->rig, "bob", BOB);
}

static void invites(struct scene *s, const char *yaml, const char *extra)
{
	begin(s, yaml);
	phone_calls(&s->alice, BOB_URI, extra, OFFER);
	phone_gets(&s->alice, "SIP/2.0 100");
	phone_gets(&s->bob, "INVITE " BOB_URI " SIP/2.0");
}

static void rings(struct scene *s, const char *yaml, const char *extra)
{
	invites(s, yaml, extra);
	phone_answers(&s->bob, 180, "", "");
	phone_gets(&s->alice, "SIP/2.0 180");
}

static void answers(struct phone *p, struct phone *q, const char *answer)
{
	phone_answers_invite(p, 200, "", answer);
	phone_gets(q, "SIP/2.0 200");
	assert_true(got_has(&q->got, answer));
	phone_acks(q, "");
	phone_gets(p, "ACK ");
}

static void refuses(struct scene *s, unsigned status, const char *extra, const char *start)
{
	phone_answers_invite(&s->bob, status, extra, "");
	phone_gets(&s->bob, "ACK ");
	assert_string_equal(got_branch(&s->bob.got), got_branch(&s->bob.invite));
	phone_gets(&s->alice, start);
	phone_acks_refusal(&s->alice);
}

static unsigned count_of(const struct got *g, enum hdr_id id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->v.n; i++)
		n += g->v.h[i].id == id;
	return n;
}

static void end(struct scene *s)
{
	assert_int_equal(rig_calls(s->rig), 0);
	rig_expect_silence(s->rig, ALICE);
	rig_expect_silence(s->rig, BOB);
	rig_after(s->rig, 3600000);
	rig_expect_silence(s->rig, ALICE);
	rig_expect_silence(s->rig, BOB);
	phone_free(&s->alice);
	phone_free(&s->bob);
	rig_free(s->rig, true);
}

/* 3.1 Successful session establishment. */
static void s3_1_session(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, BILOXI_ONE, "");
	assert_int_equal(s.bob.invite.v.body_len, strlen(OFFER));
	assert_true(got_has(&s.bob.invite, OFFER));
	answers(&s.bob, &s.alice, ANSWER);
	phones_end(&s.bob, &s.alice);
	end(&s);
}

#define SS1_LINES \
	"Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.101\n" \
	"Record-Route: <sip:ss1.atlanta.example.com;lr>\n"

/* 3.2 Through two proxies: ss1 on Alice's side, ss2 on Bob's, both record-routing. Each side gets its own Vias and routes back, and none of
 * the other's; requests within the dialog go over the routes of the side they go to. */
static void s3_2_two_proxies(void **state)
{
	struct scene s;

	(void)state;
	invites(&s, BILOXI_ONE, SS1_LINES);
	assert_int_equal(count_of(&s.bob.invite, HDR_VIA), 1);
	assert_int_equal(count_of(&s.bob.invite, HDR_RECORD_ROUTE), 0);
	assert_string_equal(got_value(&s.bob.invite, HDR_MAX_FORWARDS), "69");
	s.bob.route = "sip:10.0.0.22;lr";
	phone_answers(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	assert_int_equal(count_of(&s.alice.got, HDR_VIA), 2);
	assert_true(got_has(&s.alice.got, "branch=z9hG4bK74bf9;received=192.0.2.101"));
	assert_string_equal(got_value(&s.alice.got, HDR_RECORD_ROUTE), "<sip:ss1.atlanta.example.com;lr>");
	assert_int_equal(count_of(&s.alice.got, HDR_RECORD_ROUTE), 1);
	phone_answers_invite(&s.bob, 200, "", ANSWER);
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_string_equal(got_value(&s.alice.got, HDR_RECORD_ROUTE), "<sip:ss1.atlanta.example.com;lr>");
	phone_acks(&s.alice, "");
	rig_expect(s.rig, CAROL, "ACK sip:FAR-bob@", &s.bob.got); /* ss2 */
	assert_string_equal(got_value(&s.bob.got, HDR_ROUTE), "<sip:10.0.0.22;lr>");
	phone_asks(&s.bob, "BYE", "", "");
	phone_gets(&s.alice, "BYE sip:NEAR-alice@");
	assert_string_equal(got_value(&s.alice.got, HDR_ROUTE), "<sip:ss1.atlanta.example.com;lr>");
	phone_answers(&s.alice, 200, "", "");
	phone_gets(&s.bob, "SIP/2.0 200");
	end(&s);
}

#define CREDENTIALS(realm, response) \
	"Proxy-Authorization: Digest username=\"alice\", realm=\"" realm "\", nonce=\"" response "\", uri=\"" BOB_URI "\", response=\"" response \
	"\"\n"

/* 3.3 Multiple proxy authentication: two proxies behind us challenge one after the other. The leg stays the same, CSeq counts on, and each
 * gets its credentials byte for byte. */
static void s3_3_multiple_proxy_authentication(void **state)
{
	char call_id[128], from[256];
	struct scene s;

	(void)state;
	invites(&s, BILOXI_TWO, "");
	snprintf(call_id, sizeof(call_id), "%s", s.bob.call_id);
	snprintf(from, sizeof(from), "%s", s.bob.remote);
	refuses(&s, 407, "Proxy-Authenticate: Digest realm=\"atlanta.example.com\", qop=\"auth\", nonce=\"f84f1cec\", algorithm=MD5\n",
	        "SIP/2.0 407");
	assert_string_equal(got_value(&s.alice.got, HDR_PROXY_AUTHENTICATE),
	                    "Digest realm=\"atlanta.example.com\", qop=\"auth\", nonce=\"f84f1cec\", algorithm=MD5");
	phone_calls(&s.alice, BOB_URI, CREDENTIALS("atlanta.example.com", "42ce3cef"), OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	assert_true(got_has(&s.bob.invite, "realm=\"atlanta.example.com\", nonce=\"42ce3cef\""));
	refuses(&s, 407, "Proxy-Authenticate: Digest realm=\"biloxi.example.com\", qop=\"auth\", nonce=\"c1e22c41\"\n", "SIP/2.0 407");
	phone_calls(&s.alice, BOB_URI, CREDENTIALS("atlanta.example.com", "42ce3cef") CREDENTIALS("biloxi.example.com", "245f2341"), OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE ");
	assert_int_equal(count_of(&s.bob.invite, HDR_PROXY_AUTHORIZATION), 2);
	assert_true(got_has(&s.bob.invite, "realm=\"biloxi.example.com\", nonce=\"245f2341\""));
	assert_string_equal(s.bob.call_id, call_id);
	assert_string_equal(s.bob.remote, from);
	assert_int_equal(s.bob.invite.v.cseq, 3);
	phone_answers(&s.bob, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	answers(&s.bob, &s.alice, ANSWER);
	phones_end(&s.alice, &s.bob);
	end(&s);
}

/* 3.4 Proxy failure: the first one does not answer, the second one takes the call. */
static void s3_4_proxy_failure(void **state)
{
	struct phone second;
	struct scene s;

	(void)state;
	invites(&s, BILOXI_TWO, "");
	rig_after(s.rig, 2000);
	assert_int_equal(rig_forget(s.rig, BOB), 2); /* its INVITE again after 500 and 1,500 ms */
	phone_new(&second, s.rig, "bob", CAROL);
	phone_gets(&second, "INVITE " BOB_URI " SIP/2.0");
	phone_answers(&second, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	answers(&second, &s.alice, ANSWER);
	phones_end(&second, &s.alice);
	rig_after(s.rig, SIP_TIMEOUT);
	rig_forget(s.rig, BOB);
	phone_free(&second);
	end(&s);
}

/* 3.5 Through a SIP ALG, which is what we are: a public and a private side, and neither address on the other one. Where the RFC's ALG
 * changes the SDP, ours does not touch it: media goes by the endpoints and media servers (DESIGN section 1). */
static void s3_5_alg(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, BILOXI_ONE, "");
	assert_non_null(strstr(got_value(&s.bob.invite, HDR_CONTACT), "@10.0.0.10>"));
	assert_non_null(strstr(got_value(&s.bob.invite, HDR_VIA), " 10.0.0.10;"));
	assert_int_equal(count_of(&s.bob.invite, HDR_USER_AGENT), 0);
	assert_non_null(strstr(got_value(&s.alice.got, HDR_CONTACT), "@203.0.113.10>"));
	assert_int_equal(count_of(&s.alice.got, HDR_SERVER), 0);
	answers(&s.bob, &s.alice, ANSWER);
	phones_end(&s.bob, &s.alice);
	end(&s);
}

/* 3.6 Redirect server, then a proxy, with SDP in the ACK. The Contact of the 302 is ours; what goes to it reaches the one that was meant. */
static void s3_6_redirect_then_sdp_in_ack(void **state)
{
	struct phone second;
	char contact[128];
	struct scene s;

	(void)state;
	begin(&s, BILOXI_ONE);
	phone_calls(&s.alice, BOB_URI, "", "");
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.bob, "INVITE " BOB_URI " SIP/2.0");
	assert_int_equal(s.bob.invite.v.body_len, 0);
	refuses(&s, 302, "Contact: <sip:bob@10.0.0.22>\n", "SIP/2.0 302");
	snprintf(contact, sizeof(contact), "%s", got_contact(&s.alice.got));
	phone_calls(&s.alice, contact, "", "");
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_new(&second, s.rig, "bob", CAROL);
	phone_gets(&second, "INVITE sip:bob@10.0.0.22 SIP/2.0");
	assert_string_equal(got_value(&second.invite, HDR_TO), "<sip:bob@10.0.0.22>"); /* not our token */
	phone_answers(&second, 180, "", "");
	phone_gets(&s.alice, "SIP/2.0 180");
	phone_answers_invite(&second, 200, "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_true(got_has(&s.alice.got, OFFER));
	phone_acks(&s.alice, ANSWER);
	phone_gets(&second, "ACK ");
	assert_true(got_has(&second.got, ANSWER));
	phones_end(&s.alice, &second);
	rig_expect_silence(s.rig, CAROL);
	phone_free(&second);
	end(&s);
}

/* 3.7 re-INVITE with a new IP address: Bob has moved. What follows finds him where he is now. */
static void s3_7_reinvite_from_a_new_address(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, BILOXI_ONE, "");
	answers(&s.bob, &s.alice, ANSWER);
	s.bob.at = DAVE;
	snprintf(s.bob.uri, sizeof(s.bob.uri), "sip:FAR-bob@%s", DAVE);
	phone_asks(&s.bob, "INVITE", "", OFFER);
	phone_gets(&s.bob, "SIP/2.0 100");
	phone_gets(&s.alice, "INVITE ");
	assert_true(got_has(&s.alice.invite, OFFER));
	phone_answers(&s.alice, 200, "", ANSWER);
	phone_gets(&s.bob, "SIP/2.0 200");
	phone_acks(&s.bob, "");
	phone_gets(&s.alice, "ACK ");
	phones_end(&s.alice, &s.bob);
	rig_expect_silence(s.rig, BOB);
	end(&s);
}

/* 3.8 No answer: she gives up. 200 to her CANCEL, 487 to her INVITE, and the same on the other side. */
static void s3_8_no_answer(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, BILOXI_ONE, "");
	phone_cancels(&s.alice);
	phone_gets(&s.alice, "SIP/2.0 200");
	assert_string_equal(got_value(&s.alice.got, HDR_CSEQ), "1 CANCEL");
	phone_gets(&s.alice, "SIP/2.0 487");
	phone_acks_refusal(&s.alice);
	phone_gets(&s.bob, "CANCEL " BOB_URI " SIP/2.0");
	assert_string_equal(got_branch(&s.bob.got), got_branch(&s.bob.invite));
	phone_answers(&s.bob, 200, "", "");
	phone_answers_invite(&s.bob, 487, "", "");
	phone_gets(&s.bob, "ACK ");
	end(&s);
}

/* 3.9 Busy. */
static void s3_9_busy(void **state)
{
	struct scene s;

	(void)state;
	invites(&s, BILOXI_ONE, "");
	refuses(&s, 486, "", "SIP/2.0 486 Busy Here");
	end(&s);
}

/* 3.10 No response from the user agent: the INVITE seven times within 64*T1, then 408. */
static void s3_10_no_response(void **state)
{
	struct scene s;

	(void)state;
	invites(&s, BILOXI_ONE, "");
	rig_after(s.rig, SIP_TIMEOUT - 1);
	assert_int_equal(rig_forget(s.rig, BOB), 6);
	rig_expect_silence(s.rig, ALICE);
	rig_after(s.rig, 1);
	phone_gets(&s.alice, "SIP/2.0 408");
	phone_acks_refusal(&s.alice);
	end(&s);
}

/* 3.11 Temporarily unavailable: after it rang, with a time. */
static void s3_11_temporarily_unavailable(void **state)
{
	struct scene s;

	(void)state;
	rings(&s, BILOXI_ONE, "");
	refuses(&s, 480, "Retry-After: 3600\n", "SIP/2.0 480 Temporarily Unavailable");
	assert_string_equal(got_value(&s.alice.got, HDR_RETRY_AFTER), "3600");
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s3_1_session),
		cmocka_unit_test(s3_2_two_proxies),
		cmocka_unit_test(s3_3_multiple_proxy_authentication),
		cmocka_unit_test(s3_4_proxy_failure),
		cmocka_unit_test(s3_5_alg),
		cmocka_unit_test(s3_6_redirect_then_sdp_in_ack),
		cmocka_unit_test(s3_7_reinvite_from_a_new_address),
		cmocka_unit_test(s3_8_no_answer),
		cmocka_unit_test(s3_9_busy),
		cmocka_unit_test(s3_10_no_response),
		cmocka_unit_test(s3_11_temporarily_unavailable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
