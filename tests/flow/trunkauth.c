/* A trunk's challenges: who gets its credentials, for what, and how often; what the caller hears of it. */
#include "tests/flow/flow.h"
#include "registrar/digest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define CARRIER "198.51.100.1:5060"
#define GATEWAY "198.51.100.9:5060"
#define STRANGER "203.0.113.99:5060"
#define CONF(options, route) \
	FLOW_ZONES \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }] }\n" \
	"routes:\n" \
	"  - { when: { trunk: carrier }, to: { pool: apps } }\n" \
	"  - { when: { zone: core }, to: { pool: out }, relay: true" route " }\n" \
	"trunks:\n" \
	"  carrier: { zone: public, pool: out, match: { source: 198.51.100.0/28 }, domain: carrier.example, " \
	"credentials: \"${SBC_TEST_TRUNK}\"" options " }\n"
#define NONCE "nonce=\"n0\", opaque=\"o=1\""

/* A call between Bob, who is a server of ours, and the carrier. */
struct talk {
	struct rig *r;
	struct got g, invite; /* what came last; the carrier's last INVITE */
	char near_to[256], near_contact[128]; /* of our side towards Bob */
	unsigned cseq;
};

static void calls_with(struct talk *t, const char *lines)
{
	t->cseq = 1;
	rig_say(t->r, BOB, CORE, SDP,
	        "INVITE sip:+49176@10.0.0.10 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKcall\nMax-Forwards: 70\n"
	        "From: <sip:+4930@10.0.0.21>;tag=bob\nTo: <sip:+49176@10.0.0.10>\nCall-ID: bob-calls\nCSeq: 1 INVITE\n"
	        "Contact: <sip:bob@10.0.0.21:5060>\nContent-Type: application/sdp\nSupported: timer\n%s", lines);
	rig_expect(t->r, BOB, "SIP/2.0 100", &t->g);
}

static void calls(struct talk *t)
{
	calls_with(t, "");
}

/* Bob within the dialog. */
static void says(struct talk *t, const char *method, const char *body)
{
	rig_say(t->r, BOB, CORE, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bK%s%u\nMax-Forwards: 70\nFrom: <sip:+4930@10.0.0.21>;tag=bob\n"
	        "To: %s\nCall-ID: bob-calls\nCSeq: %u %s\nContact: <sip:bob@10.0.0.21:5060>\n%s",
	        method, t->near_contact, !strcmp(method, "CANCEL") ? "INVITE" : method, t->cseq, t->near_to, t->cseq, method,
	        *body ? "Content-Type: application/sdp\n" : "");
}

static void carrier_answers_as(struct talk *t, const char *who, unsigned status, const char *contact, const char *extra)
{
	char to[256];

	snprintf(to, sizeof(to), "%s%s", got_value(&t->invite, HDR_TO), *got_tag(&t->invite, HDR_TO) ? "" : ";tag=far");
	flow_answer(t->r, who, EDGE, &t->invite, status, to, status < 300 ? contact : NULL, extra, "");
}

static void carrier_answers(struct talk *t, unsigned status, const char *extra)
{
	carrier_answers_as(t, CARRIER, status, "<sip:gw@198.51.100.1>", extra);
}

static void carrier_challenges(struct talk *t, unsigned status, const char *params)
{
	char line[512];

	snprintf(line, sizeof(line), "%s: Digest realm=\"carrier.example\", %s\n", status == 407 ? "Proxy-Authenticate" : "WWW-Authenticate",
	         params);
	carrier_answers(t, status, line);
}

static void expect_at(struct talk *t, const char *who, const char *start)
{
	rig_expect(t->r, who, start, &t->invite);
}

static void ack_of_refusal(struct talk *t)
{
	rig_expect(t->r, CARRIER, "ACK ", &t->g);
}

/* The credentials in `g` are right for its method and Request-URI. */
static bool is_authorized(const struct got *g, const char *password)
{
	enum hdr_id id = view_find(&g->v, HDR_PROXY_AUTHORIZATION, 0) ? HDR_PROXY_AUTHORIZATION : HDR_AUTHORIZATION;
	const struct hdr *h = view_find(&g->v, id, 0);
	struct digest_credentials c;
	uint8_t ha1[DIGEST_KEY_MAX];
	struct digester *d;
	bool ok;

	if (!h)
		return false;
	assert_null(view_find(&g->v, id, (unsigned)(h - g->v.h) + 1));
	assert_int_equal(digest_parse(&c, hdr_value(&g->v, h)), 0);
	assert_true(c.is_complete);
	assert_true(sv_eq(digest_user(&c), SV("me")));
	assert_true(sv_eq(c.uri, view_uri(&g->v)));
	assert_int_equal(c.nc, 1);
	assert_int_equal(digester_new(&d), 0);
	assert_int_equal(digest_ha1(d, c.algorithm, SV("me"), c.realm, sv_from(password), ha1), 0);
	ok = digest_matches(d, &c, view_method(&g->v), ha1);
	digester_free(d);
	return ok;
}

static bool has_no_credentials(const struct got *g)
{
	return !view_find(&g->v, HDR_AUTHORIZATION, 0) && !view_find(&g->v, HDR_PROXY_AUTHORIZATION, 0);
}

static void begin_with(struct talk *t, const char *yaml, const char *lines)
{
	*t = (struct talk){ .r = rig_new(yaml, 2, 1) };
	calls_with(t, lines);
	expect_at(t, CARRIER, "INVITE sip:+49176@carrier.example SIP/2.0");
	assert_true(has_no_credentials(&t->invite));
}

static void begin(struct talk *t, const char *yaml)
{
	begin_with(t, yaml, "");
}

static void end(struct talk *t)
{
	static const char *const all[] = { CARRIER, GATEWAY, STRANGER, BOB };

	got_free(&t->g);
	got_free(&t->invite);
	rig_after(t->r, 3600000);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		rig_forget(t->r, all[i]);
	rig_free(t->r, true);
}

static void bob_hears(struct talk *t, const char *start)
{
	rig_expect(t->r, BOB, start, &t->g);
	snprintf(t->near_to, sizeof(t->near_to), "%s", got_value(&t->g, HDR_TO));
	if (*got_contact(&t->g))
		snprintf(t->near_contact, sizeof(t->near_contact), "%s", got_contact(&t->g));
}

/* The carrier takes the call, and Bob's ACK gets there. */
static void answered(struct talk *t, const char *gateway, const char *contact)
{
	carrier_answers_as(t, CARRIER, 200, contact, "Content-Type: application/sdp\n");
	bob_hears(t, "SIP/2.0 200");
	says(t, "ACK", "");
	rig_expect(t->r, gateway, "ACK ", &t->g);
}

static void challenged(struct talk *t)
{
	carrier_challenges(t, 407, NONCE ", qop=\"auth\", algorithm=MD5");
	ack_of_refusal(t);
	expect_at(t, CARRIER, "INVITE sip:+49176@carrier.example SIP/2.0");
	assert_true(is_authorized(&t->invite, "pass:word"));
}

static void challenged_and_answered(struct talk *t, const char *yaml)
{
	begin(t, yaml);
	challenged(t);
}

static void hangs_up(struct talk *t, const char *at)
{
	t->cseq++;
	says(t, "BYE", "");
	expect_at(t, at, "BYE ");
}

/* RFC 3261 §22.2, §8.1.3.5: the same call, leg and dialog, with the next CSeq; the caller hears of nothing. Its ACK has the credentials of its
 * INVITE (§13.2.2.4), and its BYE gets some of its own. */
static void a_call_is_challenged(void **state)
{
	struct talk t;
	char call_id[64], from[128], branch[64];

	(void)state;
	begin(&t, CONF("", ""));
	snprintf(call_id, sizeof(call_id), "%s", got_value(&t.invite, HDR_CALL_ID));
	snprintf(from, sizeof(from), "%s", got_value(&t.invite, HDR_FROM));
	snprintf(branch, sizeof(branch), "%s", got_branch(&t.invite));
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "1 INVITE");
	carrier_challenges(&t, 407, NONCE ", qop=\"auth-int,auth\"");
	ack_of_refusal(&t);
	assert_string_equal(got_value(&t.g, HDR_CSEQ), "1 ACK");
	expect_at(&t, CARRIER, "INVITE sip:+49176@carrier.example SIP/2.0");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "2 INVITE");
	assert_string_equal(got_value(&t.invite, HDR_CALL_ID), call_id);
	assert_string_equal(got_value(&t.invite, HDR_FROM), from);
	assert_string_not_equal(got_branch(&t.invite), branch);
	assert_true(got_has(&t.invite, ", opaque=\"o=1\"\r\n"));
	assert_true(got_has(&t.invite, "m=audio 49170"));
	assert_true(is_authorized(&t.invite, "pass:word"));
	assert_false(is_authorized(&t.invite, "password"));
	rig_expect_silence(t.r, BOB);
	carrier_answers(&t, 180, "");
	bob_hears(&t, "SIP/2.0 180");
	answered(&t, CARRIER, "<sip:gw@198.51.100.1>");
	assert_string_equal(got_value(&t.g, HDR_CSEQ), "2 ACK");
	assert_true(got_has(&t.g, "\r\nProxy-Authorization: Digest username=\"me\", realm=\"carrier.example\""));
	hangs_up(&t, CARRIER);
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "3 BYE");
	carrier_challenges(&t, 401, NONCE ", qop=\"auth\"");
	expect_at(&t, CARRIER, "BYE ");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "4 BYE");
	assert_true(is_authorized(&t.invite, "pass:word"));
	rig_expect_silence(t.r, BOB);
	carrier_answers(&t, 200, "");
	rig_expect(t.r, BOB, "SIP/2.0 200", &t.g);
	assert_int_equal(rig_count(t.r, CHALLENGES_ANSWERED), 2);
	end(&t);
}

/* RFC 8760 §2.3: the first that we can answer; RFC 2069's way, too. */
static void of_several_challenges_the_first_that_we_know(void **state)
{
	static const struct {
		const char *lines, *expected;
	} cases[] = {
		{ "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"a\", algorithm=SHA-512-256, qop=\"auth\"\n"
		  "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"b\", algorithm=SHA-256, qop=\"auth\"\n"
		  "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"c\", algorithm=MD5, qop=\"auth\"\n",
		  "nonce=\"b\"" },
		{ "WWW-Authenticate: Basic realm=\"carrier.example\"\nWWW-Authenticate: Digest realm=\"other\", nonce=\"a\"\n"
		  "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"c\", algorithm=md5, qop=auth\n",
		  "nonce=\"c\"" },
		{ "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"x\", qop=\"auth-int\"\n"
		  "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"y\", algorithm=MD5-sess\n"
		  "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"d\"\n",
		  "nonce=\"d\"" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct talk t;

		begin(&t, CONF("", ""));
		carrier_answers(&t, 401, cases[i].lines);
		ack_of_refusal(&t);
		expect_at(&t, CARRIER, "INVITE ");
		assert_true(got_has(&t.invite, cases[i].expected));
		if (i < 2)
			assert_true(is_authorized(&t.invite, "pass:word"));
		else
			assert_false(got_has(&t.invite, "cnonce") || got_has(&t.invite, "nc=") || got_has(&t.invite, "qop"));
		carrier_answers(&t, 486, "");
		rig_expect(t.r, BOB, "SIP/2.0 486", &t.g);
		end(&t);
	}
}

/* What nobody can answer does not reach the caller either: it could not. */
static void a_challenge_for_somebody_else(void **state)
{
	static const char *const lines[] = {
		"WWW-Authenticate: Digest realm=\"elsewhere.example\", nonce=\"a\", qop=\"auth\"\n",
		"WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"a\", algorithm=AKAv1-MD5, qop=\"auth\"\n",
		"WWW-Authenticate: Digest realm=\"Carrier.example\", nonce=\"a\"\n",
		"WWW-Authenticate: Digest realm=\"carrier.example\"\n",
		"WWW-Authenticate: Digest realm=\"carrier.example\", realm=\"carrier.example\", nonce=\"a\"\n",
		"Proxy-Authenticate: Digest realm=\"carrier.example\", nonce=\"a\"\n",
		"WWW-Authenticate: Basic realm=\"carrier.example\"\n",
		"",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct talk t;

		begin(&t, CONF("", ""));
		carrier_answers(&t, 401, lines[i]);
		ack_of_refusal(&t);
		rig_expect_silence(t.r, CARRIER);
		rig_expect(t.r, BOB, "SIP/2.0 502", &t.g);
		assert_false(got_has(&t.g, "Authenticate"));
		assert_int_equal(rig_count(t.r, CHALLENGES_REFUSED), 1);
		end(&t);
	}
}

/* Two tries: a second one only where the nonce was all that was wrong. */
static void two_tries(void **state)
{
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ""));
	carrier_challenges(&t, 407, "nonce=\"n1\", qop=\"auth\", stale=true");
	ack_of_refusal(&t);
	expect_at(&t, CARRIER, "INVITE ");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "3 INVITE");
	assert_true(is_authorized(&t.invite, "pass:word") && got_has(&t.invite, "nonce=\"n1\""));
	carrier_challenges(&t, 407, "nonce=\"n2\", qop=\"auth\", stale=true");
	ack_of_refusal(&t);
	rig_expect_silence(t.r, CARRIER);
	rig_expect(t.r, BOB, "SIP/2.0 502", &t.g);
	end(&t);
	challenged_and_answered(&t, CONF("", ""));
	carrier_challenges(&t, 407, "nonce=\"n1\", qop=\"auth\"");
	ack_of_refusal(&t);
	rig_expect_silence(t.r, CARRIER);
	rig_expect(t.r, BOB, "SIP/2.0 502", &t.g);
	end(&t);
}

/* A longer interval is asked for on top of both (RFC 4028 §7.3). */
static void two_tries_and_longer_intervals(void **state)
{
	static const char *const min[] = { "Min-SE: 300\n", "Min-SE: 600\n" };
	struct talk t;

	(void)state;
	begin_with(&t, CONF("", ""), "Session-Expires: 120\n");
	challenged(&t);
	carrier_challenges(&t, 407, "nonce=\"n1\", qop=\"auth\", stale=true");
	ack_of_refusal(&t);
	expect_at(&t, CARRIER, "INVITE ");
	for (unsigned i = 0; i < 2; i++) {
		carrier_answers(&t, 422, min[i]);
		ack_of_refusal(&t);
		expect_at(&t, CARRIER, "INVITE ");
		assert_int_equal(t.invite.v.cseq, 4 + i);
		assert_true(got_has(&t.invite, i ? "Min-SE: 600\r\n" : "Min-SE: 300\r\n"));
	}
	rig_expect_silence(t.r, BOB);
	carrier_answers(&t, 422, "Min-SE: 900\n");
	ack_of_refusal(&t);
	rig_expect_silence(t.r, CARRIER);
	rig_expect(t.r, BOB, "SIP/2.0 500", &t.g);
	end(&t);
}

/* RFC 3986 has no backslash: within the quotes of `uri="..."` it would say something else, and nobody could read our own line again. */
static void a_uri_that_would_break_the_line(void **state)
{
	struct talk t = { .r = rig_new(CONF("", ""), 1, 1) };

	(void)state;
	rig_say(t.r, BOB, CORE, SDP,
	        "INVITE tel:+4930\\ SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKtel\nMax-Forwards: 70\n"
	        "From: <sip:+4930@10.0.0.21>;tag=bob\nTo: <tel:+4930>\nCall-ID: tel\nCSeq: 1 INVITE\n"
	        "Contact: <sip:bob@10.0.0.21:5060>\nContent-Type: application/sdp\n");
	rig_expect_silence(t.r, CARRIER);
	rig_expect(t.r, BOB, "SIP/2.0 400", &t.g);
	end(&t);
}

/* A proxy and the server behind it: each asks in its own header, and gets its own. */
static void a_proxy_and_a_server(void **state)
{
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ""));
	carrier_challenges(&t, 401, "nonce=\"n1\", qop=\"auth\"");
	ack_of_refusal(&t);
	expect_at(&t, CARRIER, "INVITE ");
	assert_true(view_find(&t.invite.v, HDR_AUTHORIZATION, 0) && view_find(&t.invite.v, HDR_PROXY_AUTHORIZATION, 0));
	carrier_answers(&t, 486, "");
	rig_expect(t.r, BOB, "SIP/2.0 486", &t.g);
	end(&t);
}

/* A redirection leads away from the trunk: who is there gets nothing, and what it asks for is the caller's business (DECISIONS 9). */
static void a_redirection_gets_none(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, CONF("", ", redirects: follow"));
	carrier_answers(&t, 302, "Contact: <sip:x@203.0.113.99>\n");
	ack_of_refusal(&t);
	expect_at(&t, STRANGER, "INVITE sip:x@203.0.113.99 SIP/2.0");
	carrier_answers_as(&t, STRANGER, 401, NULL, "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"a\", qop=\"auth\"\n");
	rig_expect(t.r, STRANGER, "ACK ", &t.g);
	rig_expect_silence(t.r, STRANGER);
	rig_expect(t.r, BOB, "SIP/2.0 401", &t.g);
	end(&t);
}

/* Nor within its dialog: not even in the trunk's own network, and what is asked for elsewhere did not go astray. */
static void a_redirection_gets_none_later_either(void **state)
{
	(void)state;
	for (unsigned is_near_by = 0; is_near_by < 2; is_near_by++) {
		const char *who = is_near_by ? GATEWAY : STRANGER;
		struct talk t;

		begin(&t, CONF("", ", redirects: follow"));
		carrier_answers(&t, 302, is_near_by ? "Contact: <sip:x@198.51.100.9>\n" : "Contact: <sip:x@203.0.113.99>\n");
		ack_of_refusal(&t);
		expect_at(&t, who, "INVITE ");
		carrier_answers_as(&t, who, 200, is_near_by ? "<sip:x@198.51.100.9>" : "<sip:x@203.0.113.99>",
		                   "Content-Type: application/sdp\n");
		bob_hears(&t, "SIP/2.0 200");
		says(&t, "ACK", "");
		rig_expect(t.r, who, "ACK ", &t.g);
		hangs_up(&t, who);
		carrier_answers_as(&t, who, 401, NULL, "WWW-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n");
		rig_expect_silence(t.r, who);
		rig_expect(t.r, BOB, "SIP/2.0 401", &t.g);
		assert_int_equal(rig_count(t.r, CHALLENGES_ANSWERED) + rig_count(t.r, CHALLENGES_ASTRAY), 0);
		rig_after(t.r, 600000); /* Bob might have asked again */
		rig_forget(t.r, who);
		rig_forget(t.r, BOB);
		end(&t);
	}
}

#define PHONE \
	FLOW_ZONES \
	"pools: { out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: any }, to: location, max-duration: 10m }]\n" \
	"registrar: { example.com: { auth: none } }\n" \
	"trunks: { carrier: { zone: public, pool: out, match: { source: 198.51.100.0/28 }, domain: carrier.example, " \
	"credentials: \"${SBC_TEST_TRUNK}\" } }\n"

/* Who registered here is no trunk, whoever has the first place in a pool. */
static void a_phone_is_no_trunk(void **state)
{
	struct talk t = { .r = rig_new(PHONE, 1, 1) };

	(void)state;
	rig_say(t.r, STRANGER, EDGE, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.99:5060;branch=z9hG4bKreg\nMax-Forwards: 70\n"
	        "From: <sip:x@example.com>;tag=x\nTo: <sip:x@example.com>\nCall-ID: reg\nCSeq: 1 REGISTER\n"
	        "Contact: <sip:x@203.0.113.99:5060>\n");
	rig_expect(t.r, STRANGER, "SIP/2.0 200", &t.g);
	rig_say(t.r, BOB, CORE, SDP,
	        "INVITE sip:x@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKcall\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=bob\nTo: <sip:x@example.com>\nCall-ID: bob-calls\nCSeq: 1 INVITE\n"
	        "Contact: <sip:bob@10.0.0.21:5060>\nContent-Type: application/sdp\n");
	rig_expect(t.r, BOB, "SIP/2.0 100", &t.g);
	expect_at(&t, STRANGER, "INVITE ");
	carrier_answers_as(&t, STRANGER, 200, "<sip:x@203.0.113.99:5060>", "Content-Type: application/sdp\n");
	bob_hears(&t, "SIP/2.0 200");
	t.cseq = 1;
	says(&t, "ACK", "");
	rig_expect(t.r, STRANGER, "ACK ", &t.g);
	rig_after(t.r, 600000);
	rig_forget(t.r, BOB);
	expect_at(&t, STRANGER, "BYE ");
	carrier_answers_as(&t, STRANGER, 401, NULL, "WWW-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n");
	rig_expect_silence(t.r, STRANGER);
	assert_int_equal(rig_count(t.r, CHALLENGES_ASTRAY), 0);
	end(&t);
}

/* Within a dialog: at its own addresses, whichever the Contact names, and at nobody else's. */
static void within_a_dialog(void **state)
{
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ""));
	answered(&t, GATEWAY, "<sip:gw@198.51.100.9>"); /* in `match.source` */
	assert_true(got_has(&t.g, "\r\nProxy-Authorization: "));
	t.cseq++;
	says(&t, "INVITE", SDP);
	rig_expect(t.r, BOB, "SIP/2.0 100", &t.g);
	expect_at(&t, GATEWAY, "INVITE ");
	assert_true(has_no_credentials(&t.invite));
	carrier_answers_as(&t, GATEWAY, 407, NULL, "Proxy-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n");
	rig_expect(t.r, GATEWAY, "ACK ", &t.g);
	expect_at(&t, GATEWAY, "INVITE ");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "4 INVITE");
	assert_true(is_authorized(&t.invite, "pass:word"));
	carrier_answers_as(&t, GATEWAY, 200, "<sip:gw@198.51.100.9>", "Content-Type: application/sdp\n");
	bob_hears(&t, "SIP/2.0 200");
	says(&t, "ACK", "");
	rig_expect(t.r, GATEWAY, "ACK ", &t.g);
	assert_string_equal(got_value(&t.g, HDR_CSEQ), "4 ACK");
	assert_true(got_has(&t.g, "\r\nProxy-Authorization: "));
	t.cseq++;
	says(&t, "INFO", "");
	expect_at(&t, GATEWAY, "INFO ");
	carrier_answers_as(&t, GATEWAY, 401, NULL, "WWW-Authenticate: Digest realm=\"other\", " NONCE "\n");
	rig_expect_silence(t.r, GATEWAY);
	rig_expect(t.r, BOB, "SIP/2.0 502", &t.g);
	hangs_up(&t, GATEWAY);
	carrier_answers_as(&t, GATEWAY, 200, NULL, "");
	end(&t);
	challenged_and_answered(&t, CONF("", ""));
	answered(&t, STRANGER, "<sip:gw@203.0.113.99>");
	assert_true(has_no_credentials(&t.g));
	hangs_up(&t, STRANGER);
	carrier_answers_as(&t, STRANGER, 401, NULL, "WWW-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n");
	rig_expect_silence(t.r, STRANGER);
	rig_expect(t.r, BOB, "SIP/2.0 401", &t.g);
	end(&t);
}

#define NAMED \
	FLOW_ZONES \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:gw.carrier.example\" }] }\n" \
	"routes: [{ when: { zone: core }, to: { pool: out }, relay: true, max-duration: 10m }]\n" \
	"trunks: { carrier: { zone: public, pool: out, domain: carrier.example, credentials: \"${SBC_TEST_TRUNK}\" } }\n"

static void name_leads_to(struct talk *t, const char *address, unsigned delay_ms)
{
	t->r->names[0] = (struct rig_name){ .host = "gw.carrier.example", .delay_ms = delay_ms };
	assert_int_equal(addr_parse(&t->r->names[0].addr, sv_from(address)), 0);
	t->r->n_names = 1;
}

/* A call to where the carrier's name led then, until both have it. */
static void talk_by_name(struct talk *t, const char *gateway, const char *contact)
{
	*t = (struct talk){ .r = rig_new(NAMED, 1, 1) };
	name_leads_to(t, "198.51.100.1", 0);
	calls(t);
	expect_at(t, CARRIER, "INVITE ");
	answered(t, gateway, contact);
}

static void challenges_and_gets_it(struct talk *t, const char *start)
{
	assert_true(has_no_credentials(&t->invite));
	carrier_challenges(t, 407, NONCE ", qop=\"auth\"");
	if (!strncmp(start, "INV", 3))
		ack_of_refusal(t);
	expect_at(t, CARRIER, start);
	assert_true(is_authorized(&t->invite, "pass:word"));
}

/* What the name's addresses are by now is being asked for again, and they may be others: where the INVITE went is the trunk's all the same, for
 * requests that pass and for our own, and on another node, too. */
static void within_a_dialog_with_a_name(void **state)
{
	struct talk t;

	(void)state;
	for (unsigned node = 0; node < 2; node++) {
		talk_by_name(&t, CARRIER, "<sip:gw@198.51.100.1>");
		if (node)
			t.r = rig_take_over(t.r, NAMED, 1, 1);
		name_leads_to(&t, "198.51.100.3", node ? 0 : 1000);
		t.cseq++;
		says(&t, "INVITE", SDP);
		rig_expect(t.r, BOB, "SIP/2.0 100", &t.g);
		expect_at(&t, CARRIER, "INVITE ");
		challenges_and_gets_it(&t, "INVITE ");
		carrier_answers(&t, 200, "Content-Type: application/sdp\n");
		bob_hears(&t, "SIP/2.0 200");
		says(&t, "ACK", "");
		rig_expect(t.r, CARRIER, "ACK ", &t.g);
		assert_true(got_has(&t.g, "\r\nProxy-Authorization: "));
		rig_after(t.r, 600000);
		expect_at(&t, CARRIER, "BYE ");
		challenges_and_gets_it(&t, "BYE ");
		carrier_answers(&t, 200, "");
		rig_forget(t.r, BOB);
		assert_int_equal(rig_count(t.r, CHALLENGES_ASTRAY), 0);
		end(&t);
	}
}

/* Another address of the name is the trunk's as long as the name is known to have it; else it is somebody's, and counted. */
static void another_address_of_a_name(void **state)
{
	struct talk t;

	(void)state;
	for (unsigned is_known = 0; is_known < 2; is_known++) {
		talk_by_name(&t, GATEWAY, "<sip:gw@198.51.100.9>");
		assert_true(has_no_credentials(&t.g));
		name_leads_to(&t, "198.51.100.9", is_known ? 0 : 1000);
		hangs_up(&t, GATEWAY);
		carrier_answers_as(&t, GATEWAY, 407, NULL, "Proxy-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n");
		if (is_known) {
			expect_at(&t, GATEWAY, "BYE ");
			assert_true(is_authorized(&t.invite, "pass:word"));
			carrier_answers_as(&t, GATEWAY, 200, NULL, "");
			rig_expect(t.r, BOB, "SIP/2.0 200", &t.g);
		} else {
			rig_expect_silence(t.r, GATEWAY);
			rig_expect(t.r, BOB, "SIP/2.0 407", &t.g);
			rig_after(t.r, 600000); /* Bob might have answered it himself; our own BYE is refused there, too */
			expect_at(&t, GATEWAY, "BYE ");
			carrier_answers_as(&t, GATEWAY, 407, NULL,
			                   "Proxy-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n");
			rig_expect_silence(t.r, GATEWAY);
			rig_forget(t.r, BOB);
		}
		assert_int_equal(rig_count(t.r, CHALLENGES_ASTRAY), is_known ? 0 : 2);
		end(&t);
	}
}

/* Requests of our own: a refresh of the session, and the BYE that ends the call. */
static void what_we_ask_ourselves(void **state)
{
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ", max-duration: 10m"));
	carrier_answers_as(&t, CARRIER, 200, "<sip:gw@198.51.100.1>",
	                   "Content-Type: application/sdp\nAllow: UPDATE\nRequire: timer\nSession-Expires: 600;refresher=uac\n");
	bob_hears(&t, "SIP/2.0 200");
	says(&t, "ACK", "");
	rig_expect(t.r, CARRIER, "ACK ", &t.g);
	rig_after(t.r, 300000);
	expect_at(&t, CARRIER, "UPDATE ");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "3 UPDATE");
	carrier_challenges(&t, 407, NONCE ", qop=\"auth\"");
	expect_at(&t, CARRIER, "UPDATE ");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "4 UPDATE");
	assert_true(is_authorized(&t.invite, "pass:word"));
	carrier_answers(&t, 200, "Session-Expires: 3600;refresher=uas\n");
	rig_after(t.r, 300000);
	expect_at(&t, CARRIER, "BYE ");
	carrier_challenges(&t, 407, NONCE ", qop=\"auth\"");
	expect_at(&t, CARRIER, "BYE ");
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "6 BYE");
	assert_true(is_authorized(&t.invite, "pass:word"));
	carrier_challenges(&t, 407, NONCE ", qop=\"auth\"");
	rig_after(t.r, 100);
	rig_expect_silence(t.r, CARRIER);
	end(&t);
}

/* A refresh where the Contact leads to somebody else: its ACK has nothing for him, and as nobody asked for anything, nothing went astray. */
static void what_we_acknowledge_elsewhere(void **state)
{
	static const char lines[] = "Content-Type: application/sdp\nRequire: timer\nSession-Expires: 600;refresher=uac\n";
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ""));
	carrier_answers_as(&t, CARRIER, 200, "<sip:gw@203.0.113.99>", lines);
	bob_hears(&t, "SIP/2.0 200");
	says(&t, "ACK", "");
	rig_expect(t.r, STRANGER, "ACK ", &t.g);
	rig_after(t.r, 300000);
	expect_at(&t, STRANGER, "INVITE ");
	carrier_answers_as(&t, STRANGER, 200, "<sip:gw@203.0.113.99>", lines);
	rig_expect(t.r, STRANGER, "ACK ", &t.g);
	assert_true(has_no_credentials(&t.g));
	assert_int_equal(rig_count(t.r, CHALLENGES_ASTRAY), 0);
	hangs_up(&t, STRANGER);
	carrier_answers_as(&t, STRANGER, 200, NULL, "");
	rig_expect(t.r, BOB, "SIP/2.0 200", &t.g);
	end(&t);
}

/* RFC 3261 §8.1.3.5: a BYE for a 2xx that crossed the CANCEL, sent anew, has the number after its own. Of two such answers each gets its own;
 * and each once, however often the answer is repeated. */
static void a_late_answer_is_hung_up(void **state)
{
	struct talk t;
	struct got byes[2] = { 0 };
	char branch[64] = "";

	(void)state;
	begin(&t, CONF("", ""));
	carrier_answers(&t, 180, "");
	bob_hears(&t, "SIP/2.0 180");
	rig_say(t.r, BOB, CORE, "",
	        "CANCEL sip:+49176@10.0.0.10 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKcall\nMax-Forwards: 70\n"
	        "From: <sip:+4930@10.0.0.21>;tag=bob\nTo: <sip:+49176@10.0.0.10>\nCall-ID: bob-calls\nCSeq: 1 CANCEL\n");
	rig_forget(t.r, BOB);
	rig_expect(t.r, CARRIER, "CANCEL ", &t.g);
	for (unsigned i = 0; i < 2; i++) {
		flow_answer(t.r, CARRIER, EDGE, &t.invite, 200, i ? "<sip:+49176@carrier.example>;tag=two" : "<sip:+49176@carrier.example>;tag=one",
		            "<sip:gw@198.51.100.1>", "", "");
		rig_expect(t.r, CARRIER, "ACK ", &t.g);
		rig_expect(t.r, CARRIER, "BYE ", &byes[i]);
		assert_int_equal(byes[i].v.cseq, 2);
	}
	for (unsigned i = 0; i < 2; i++) {
		flow_answer(t.r, CARRIER, EDGE, &byes[i], 407, got_value(&byes[i], HDR_TO), NULL,
		            "Proxy-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n", "");
		rig_expect(t.r, CARRIER, "BYE ", &t.g);
		assert_int_equal(t.g.v.cseq, 3);
		assert_string_equal(got_value(&t.g, HDR_TO), got_value(&byes[i], HDR_TO));
		assert_string_not_equal(got_branch(&t.g), branch);
		snprintf(branch, sizeof(branch), "%s", got_branch(&t.g));
		assert_true(is_authorized(&t.g, "pass:word"));
		flow_answer(t.r, CARRIER, EDGE, &t.g, 200, got_value(&t.g, HDR_TO), NULL, "", "");
		got_free(&byes[i]);
	}
	flow_answer(t.r, CARRIER, EDGE, &t.invite, 200, "<sip:+49176@carrier.example>;tag=one", "<sip:gw@198.51.100.1>", "", "");
	rig_expect(t.r, CARRIER, "ACK ", &t.g);
	rig_expect_silence(t.r, CARRIER);
	assert_int_equal(rig_count(t.r, CHALLENGES_ANSWERED), 2);
	assert_int_equal(rig_count(t.r, CHALLENGES_REFUSED), 0);
	rig_forget(t.r, BOB);
	end(&t);
}

/* A call that came from the trunk: what goes back is answered alike. */
static void towards_a_caller(void **state)
{
	struct talk t = { .r = rig_new(CONF("", ""), 1, 1) };
	char contact[128];

	(void)state;
	rig_say(t.r, CARRIER, EDGE, SDP,
	        "INVITE sip:+4930@203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKin\nMax-Forwards: 70\n"
	        "From: <sip:+1@carrier.example>;tag=far\nTo: <sip:+4930@203.0.113.10>\nCall-ID: in\nCSeq: 1 INVITE\n"
	        "Contact: <sip:gw@198.51.100.1>\nContent-Type: application/sdp\n");
	rig_expect(t.r, BOB, "INVITE ", &t.invite);
	flow_answer(t.r, BOB, CORE, &t.invite, 200, "<sip:+4930@203.0.113.10>;tag=bob", "<sip:bob@10.0.0.21:5060>",
	            "Content-Type: application/sdp\n", SDP);
	rig_expect(t.r, CARRIER, "SIP/2.0 100", &t.g);
	rig_expect(t.r, CARRIER, "SIP/2.0 200", &t.g);
	snprintf(contact, sizeof(contact), "%s", got_contact(&t.g));
	rig_say(t.r, CARRIER, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: <sip:+1@carrier.example>;tag=far\nTo: %s\nCall-ID: in\nCSeq: 1 ACK\n",
	        contact, got_value(&t.g, HDR_TO));
	rig_expect(t.r, BOB, "ACK ", &t.g);
	rig_say(t.r, BOB, CORE, "",
	        "BYE %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKbye\nMax-Forwards: 70\n"
	        "From: <sip:+4930@203.0.113.10>;tag=bob\nTo: %s\nCall-ID: %s\nCSeq: 7 BYE\n",
	        got_contact(&t.invite), got_value(&t.invite, HDR_FROM), got_value(&t.invite, HDR_CALL_ID));
	rig_expect(t.r, CARRIER, "BYE sip:gw@198.51.100.1 SIP/2.0", &t.invite);
	flow_answer(t.r, CARRIER, EDGE, &t.invite, 401, got_value(&t.invite, HDR_TO), NULL,
	            "WWW-Authenticate: Digest realm=\"carrier.example\", " NONCE ", qop=\"auth\"\n", "");
	rig_expect(t.r, CARRIER, "BYE sip:gw@198.51.100.1 SIP/2.0", &t.invite);
	assert_true(is_authorized(&t.invite, "pass:word"));
	flow_answer(t.r, CARRIER, EDGE, &t.invite, 200, got_value(&t.invite, HDR_TO), NULL, "", "");
	rig_expect(t.r, BOB, "SIP/2.0 200", &t.g);
	end(&t);
}

/* DESIGN §7: another node has the INVITE with its credentials, and so has its ACK. */
static void it_outlives_a_node(void **state)
{
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ""));
	carrier_answers(&t, 180, "");
	bob_hears(&t, "SIP/2.0 180");
	t.r = rig_take_over(t.r, CONF("", ""), 1, 1);
	answered(&t, CARRIER, "<sip:gw@198.51.100.1>");
	assert_string_equal(got_value(&t.g, HDR_CSEQ), "2 ACK");
	assert_true(got_has(&t.g, "\r\nProxy-Authorization: "));
	hangs_up(&t, CARRIER);
	assert_string_equal(got_value(&t.invite, HDR_CSEQ), "3 BYE");
	carrier_challenges(&t, 407, NONCE ", qop=\"auth\"");
	expect_at(&t, CARRIER, "BYE ");
	assert_true(is_authorized(&t.invite, "pass:word"));
	carrier_answers(&t, 200, "");
	rig_expect(t.r, BOB, "SIP/2.0 200", &t.g);
	end(&t);
}

/* The caller gives up while the challenge is on its way, or the first try: nothing is sent anew. */
static void a_caller_that_gives_up(void **state)
{
	struct talk t;

	(void)state;
	challenged_and_answered(&t, CONF("", ""));
	answered(&t, CARRIER, "<sip:gw@198.51.100.1>");
	t.cseq++;
	says(&t, "INVITE", SDP);
	rig_expect(t.r, BOB, "SIP/2.0 100", &t.g);
	expect_at(&t, CARRIER, "INVITE ");
	says(&t, "CANCEL", "");
	rig_forget(t.r, BOB);
	carrier_challenges(&t, 407, NONCE ", qop=\"auth\"");
	ack_of_refusal(&t);
	rig_expect_silence(t.r, CARRIER);
	hangs_up(&t, CARRIER);
	carrier_answers(&t, 200, "");
	end(&t);
}

/* Who registers there, registers himself: he has to know a password of his own. */
static void a_register_of_somebody_else(void **state)
{
	struct talk t = { .r = rig_new(CONF("", ""), 1, 1) };

	(void)state;
	rig_say(t.r, BOB, CORE, "",
	        "REGISTER sip:registrar.example SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKreg\nMax-Forwards: 70\n"
	        "From: <sip:bob@registrar.example>;tag=b\nTo: <sip:bob@registrar.example>\nCall-ID: reg\nCSeq: 1 REGISTER\n"
	        "Contact: <sip:bob@10.0.0.21:5060>\n");
	expect_at(&t, CARRIER, "REGISTER sip:registrar.example SIP/2.0");
	assert_true(got_has(&t.invite, "\r\nTo: <sip:bob@registrar.example>\r\n"));
	carrier_challenges(&t, 401, NONCE ", qop=\"auth\"");
	rig_expect_silence(t.r, CARRIER);
	rig_expect(t.r, BOB, "SIP/2.0 401", &t.g);
	end(&t);
}

/* Without credentials a challenge is the caller's, as everywhere. */
static void without_credentials(void **state)
{
	struct talk t = { .r = rig_new(FLOW_ZONES
		                       "pools: { out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }] } }\n"
		                       "routes: [{ when: { zone: core }, to: { pool: out }, relay: true }]\n"
		                       "trunks: { carrier: { zone: public, pool: out, match: { source: 198.51.100.1 } } }\n",
		                       1, 1) };

	(void)state;
	calls(&t);
	expect_at(&t, CARRIER, "INVITE ");
	carrier_challenges(&t, 407, NONCE);
	rig_expect(t.r, BOB, "SIP/2.0 407", &t.g);
	assert_true(got_has(&t.g, NONCE));
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_challenged),
		cmocka_unit_test(of_several_challenges_the_first_that_we_know),
		cmocka_unit_test(a_challenge_for_somebody_else),
		cmocka_unit_test(two_tries),
		cmocka_unit_test(two_tries_and_longer_intervals),
		cmocka_unit_test(a_uri_that_would_break_the_line),
		cmocka_unit_test(a_proxy_and_a_server),
		cmocka_unit_test(a_redirection_gets_none),
		cmocka_unit_test(a_redirection_gets_none_later_either),
		cmocka_unit_test(a_phone_is_no_trunk),
		cmocka_unit_test(within_a_dialog),
		cmocka_unit_test(within_a_dialog_with_a_name),
		cmocka_unit_test(another_address_of_a_name),
		cmocka_unit_test(what_we_ask_ourselves),
		cmocka_unit_test(what_we_acknowledge_elsewhere),
		cmocka_unit_test(a_late_answer_is_hung_up),
		cmocka_unit_test(towards_a_caller),
		cmocka_unit_test(it_outlives_a_node),
		cmocka_unit_test(a_caller_that_gives_up),
		cmocka_unit_test(a_register_of_somebody_else),
		cmocka_unit_test(without_credentials),
	};

	setenv("SBC_TEST_TRUNK", "me:pass:word", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
