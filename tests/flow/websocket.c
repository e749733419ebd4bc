/* Browsers: RFC 7118. They know no address of their own (`.invalid`), say transport=ws whatever they use, and need no Content-Length:
 * whatever is for them goes over the connection they made. And a server behind us that is spoken to over WebSocket. */
#include "tests/flow/flow.h"
#include "registrar/registrar.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define ANNA "192.0.2.50:51000"
#define EDGE_WS "ws:203.0.113.10:8088/sip"
#define CORE_WS "ws:10.0.0.10:8088"
#define HOST "df7jal23ls0d.invalid"
#define ANNA_CONTACT "sip:rv7i3s1v@" HOST ";transport=ws"
#define ZONES(nat, trust) \
	"node: test\n" \
	"zones:\n" \
	"  public: { listen: [\"udp:203.0.113.10:5060\", \"" EDGE_WS "\"], domains: [\"example.com\"]" nat trust " }\n" \
	"  core: { listen: [\"udp:10.0.0.10:5060\", \"" CORE_WS "\"], trust: [\"10.0.0.0/24\"] }\n"
#define REST(bob) \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"" bob "\", path: \"/ws\" }] } }\n" \
	"hiding: { guard: block }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { callee: registered, caller: any }, to: location }, " \
	"{ when: { caller: any }, to: { pool: apps } }]\n" \
	"registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"
#define QUIET ", keepalive: off"
#define YAML(nat, trust) ZONES(QUIET nat, trust) REST("sip:10.0.0.21:5060")

#define FROM_ANNA "Max-Forwards: 70\r\nFrom: <sip:anna@example.com>;tag=anna\r\n"
#define VIA_ANNA(branch) "Via: SIP/2.0/WS " HOST ";branch=z9hG4bK" branch "\r\n"
#define CONTACT_ANNA "Contact: <" ANNA_CONTACT ">\r\n"

static struct rig *begin(const char *yaml)
{
	struct rig *r = rig_new(yaml, 2, 1);

	r->has_flows = true;
	return r;
}

static void end(struct rig *r)
{
	rig_after(r, 3600 * 1000 + 1);
	rig_free(r, true);
}

/* Without Content-Length, as a browser may (RFC 7118 §5). */
static void registers(struct rig *r)
{
	struct got got = { .packet = NULL };

	rig_send(r, ANNA, EDGE_WS,
	         "REGISTER sip:example.com SIP/2.0\r\n" VIA_ANNA("r1") FROM_ANNA "To: <sip:anna@example.com>\r\nCall-ID: reg\r\n"
	         "CSeq: 1 REGISTER\r\nContact: <" ANNA_CONTACT ">;expires=600\r\n\r\n");
	rig_expect(r, ANNA, "SIP/2.0 200", &got);
	assert_int_equal(got.packet->transport, T_WS);
	assert_true(got_has(&got, "Via: SIP/2.0/WS " HOST ";branch=z9hG4bKr1"));
	assert_true(got_has(&got, "received=192.0.2.50"));
	assert_true(got_has(&got, "<" ANNA_CONTACT ">;expires=600"));
	got_free(&got);
}

/* What is for her comes over her connection, and names us as WebSocket. */
static void expect_at_anna(struct rig *r, const char *start, struct got *out)
{
	rig_expect(r, ANNA, start, out);
	assert_int_equal(out->packet->transport, T_WS);
	assert_true(got_has(out, "Via: SIP/2.0/WS 203.0.113.10:8088;branch="));
}

static void bob_calls_anna(struct rig *r)
{
	rig_say(r, BOB, CORE, SDP,
	        "INVITE sip:anna@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bKb1\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=bob\nTo: <sip:anna@example.com>\nCall-ID: from-bob\nCSeq: 1 INVITE\n"
	        "Contact: <sip:bob@10.0.0.21>\nContent-Type: application/sdp\n");
}

static void anna_answers(struct rig *r, const struct got *g, const char *status, const char *contact)
{
	char text[2048];

	snprintf(text, sizeof text, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n%s\r\n", status,
	         got_value(g, HDR_VIA), got_value(g, HDR_FROM), got_value(g, HDR_TO), view_to_tag(&g->v).len ? "" : ";tag=anna-uas",
	         got_value(g, HDR_CALL_ID), got_value(g, HDR_CSEQ), contact);
	rig_send(r, ANNA, EDGE_WS, text);
}

static void a_browser_is_called(void **state)
{
	struct rig *r = begin(YAML("", ""));
	struct got anna = { .packet = NULL }, bob = { .packet = NULL };
	char contact[128];

	(void)state;
	registers(r);
	bob_calls_anna(r);
	rig_expect(r, BOB, "SIP/2.0 100", &bob);
	expect_at_anna(r, "INVITE " ANNA_CONTACT " SIP/2.0", &anna);
	snprintf(contact, sizeof contact, "%s", got_contact(&anna));
	assert_non_null(strstr(contact, "@203.0.113.10:8088;transport=ws"));
	anna_answers(r, &anna, "180 Ringing", CONTACT_ANNA);
	rig_expect(r, BOB, "SIP/2.0 180", &bob);
	anna_answers(r, &anna, "200 OK", CONTACT_ANNA);
	rig_expect(r, BOB, "SIP/2.0 200", &bob);
	rig_say(r, BOB, CORE, "", "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bKb2\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=bob\nTo: %s\nCall-ID: from-bob\nCSeq: 1 ACK\n", got_contact(&bob), got_value(&bob, HDR_TO));
	expect_at_anna(r, "ACK " ANNA_CONTACT " SIP/2.0", &anna);
	rig_say(r, BOB, CORE, "", "BYE %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bKb3\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=bob\nTo: %s\nCall-ID: from-bob\nCSeq: 2 BYE\n", got_contact(&bob), got_value(&bob, HDR_TO));
	expect_at_anna(r, "BYE " ANNA_CONTACT " SIP/2.0", &anna);
	anna_answers(r, &anna, "200 OK", "");
	rig_expect(r, BOB, "SIP/2.0 200", &bob);
	got_free(&anna);
	got_free(&bob);
	end(r);
}

/* She calls, and what Bob asks then reaches her: her Contact leads nowhere, her connection does. */
static void she_calls_and_is_asked(const char *yaml, const char *via, const char *contact)
{
	struct rig *r = begin(yaml);
	struct got anna = { .packet = NULL }, bob = { .packet = NULL };
	char text[2048];

	rig_send(r, ANNA, EDGE_WS,
	         "INVITE sip:room@example.com SIP/2.0\r\n" VIA_ANNA("a1") FROM_ANNA "To: <sip:room@example.com>\r\nCall-ID: from-anna\r\n"
	         "CSeq: 1 INVITE\r\n" CONTACT_ANNA "Content-Type: application/sdp\r\n\r\n" SDP);
	rig_expect(r, ANNA, "SIP/2.0 100", &anna);
	rig_expect(r, BOB, "INVITE sip:room@example.com", &bob);
	assert_true(got_has(&bob, via));
	assert_true(got_has(&bob, contact));
	assert_false(got_has(&bob, "invalid"));
	snprintf(text, sizeof text, "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: 1 INVITE\n"
	         "Contact: <sip:bob@10.0.0.21>\n", got_value(&bob, HDR_VIA), got_value(&bob, HDR_FROM), got_value(&bob, HDR_TO),
	         got_value(&bob, HDR_CALL_ID));
	rig_say(r, BOB, strstr(via, "WS") ? CORE_WS : CORE, "", "%s", text);
	rig_expect(r, ANNA, "SIP/2.0 200", &anna);
	assert_true(got_has(&anna, "@203.0.113.10:8088;transport=ws>"));
	snprintf(text, sizeof text, "ACK %s SIP/2.0\r\n" VIA_ANNA("a2") FROM_ANNA "To: %s\r\nCall-ID: from-anna\r\nCSeq: 1 ACK\r\n\r\n",
	         got_contact(&anna), got_value(&anna, HDR_TO));
	rig_send(r, ANNA, EDGE_WS, text);
	rig_expect(r, BOB, "ACK ", &anna);
	got_free(&anna);
	snprintf(text, sizeof text, "BYE %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bKx\nMax-Forwards: 70\nFrom: %s;tag=bob\n"
	         "To: %s\nCall-ID: %s\nCSeq: 7 BYE\n", got_contact(&bob), got_value(&bob, HDR_TO), got_value(&bob, HDR_FROM),
	         got_value(&bob, HDR_CALL_ID));
	rig_say(r, BOB, strstr(via, "WS") ? CORE_WS : CORE, "", "%s", text);
	expect_at_anna(r, "BYE " ANNA_CONTACT " SIP/2.0", &anna);
	anna_answers(r, &anna, "200 OK", "");
	rig_expect(r, BOB, "SIP/2.0 200", &bob);
	got_free(&anna);
	got_free(&bob);
	end(r);
}

static void a_browser_calls(void **state)
{
	(void)state;
	she_calls_and_is_asked(YAML("", ""), "Via: SIP/2.0/UDP 10.0.0.10;", "@10.0.0.10>");
}

/* Where Contacts are believed, hers is not: there is nothing to believe. */
static void a_browser_that_is_trusted(void **state)
{
	(void)state;
	she_calls_and_is_asked(YAML("", ", trust: [\"192.0.2.0/24\"]"), "Via: SIP/2.0/UDP 10.0.0.10;", "@10.0.0.10>");
}

static void a_server_behind_a_websocket(void **state)
{
	(void)state;
	she_calls_and_is_asked(ZONES(QUIET, "") REST("sip:10.0.0.21:5060;transport=ws"), "Via: SIP/2.0/WS 10.0.0.10:8088;",
	                       "@10.0.0.10:8088;transport=ws>");
}

#define AT "sip:10.0.0.21:5060;transport=ws"
#define TWO_PATHS \
	ZONES(QUIET, "") \
	"pools: { apps: { zone: core, probe: off, balance: round-robin, destinations: [{ name: one, uri: \"" AT "\", path: \"/one\" }, " \
	"{ name: two, uri: \"" AT "\", path: \"/two\" }] } }\n" \
	"routes: [{ when: { caller: any }, to: { pool: apps } }]\n"

/* They are two servers: what goes to one never takes the other's connection, within a call and on another node, too. */
static void two_paths_at_one_port(void **state)
{
	static const char *const paths[] = { "/one", "/two" };
	struct rig *r = begin(TWO_PATHS);
	struct got anna = { .packet = NULL }, bob = { .packet = NULL };
	struct rig_records records = { .n = 0 };
	char text[2][2048];
	bool has_met[2] = { false, false };

	(void)state;
	r->names[r->n_names++] = (struct rig_name){ .host = "bob.example.net" };
	assert_int_equal(addr_parse(&r->names[0].addr, SV("10.0.0.21")), 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *path;

		snprintf(text[0], sizeof(text[0]), "INVITE sip:room@example.com SIP/2.0\r\n" VIA_ANNA("a%u") FROM_ANNA
		         "To: <sip:room@example.com>\r\nCall-ID: from-anna-%u\r\nCSeq: 1 INVITE\r\n" CONTACT_ANNA
		         "Content-Type: application/sdp\r\n\r\n" SDP, i, i);
		rig_send(r, ANNA, EDGE_WS, text[0]);
		rig_expect(r, ANNA, "SIP/2.0 100", &anna);
		rig_expect(r, BOB, "INVITE ", &bob);
		path = bob.packet->tls_name;
		assert_true(!strcmp(path, paths[0]) || !strcmp(path, paths[1]));
		has_met[!strcmp(path, paths[1])] = true;
		snprintf(text[1], sizeof(text[1]), "%s", path);
		flow_answer(r, BOB, CORE_WS, &bob, 200, "<sip:room@example.com>;tag=bob",
		            i ? "<" AT ">" : "<sip:bob.example.net:5060;transport=ws>", "Content-Type: application/sdp\n", SDP);
		rig_expect(r, ANNA, "SIP/2.0 200", &anna);
		snprintf(text[0], sizeof(text[0]), "ACK %s SIP/2.0\r\n" VIA_ANNA("b%u") FROM_ANNA "To: %s\r\nCall-ID: from-anna-%u\r\n"
		         "CSeq: 1 ACK\r\n\r\n", got_contact(&anna), i, got_value(&anna, HDR_TO), i);
		rig_send(r, ANNA, EDGE_WS, text[0]);
		rig_expect(r, BOB, "ACK ", &bob);
		assert_string_equal(bob.packet->tls_name, text[1]);
	}
	assert_true(has_met[0] && has_met[1]);
	rig_export(r, &records);
	r = rig_take_over(r, TWO_PATHS, 1, 2);
	snprintf(text[0], sizeof(text[0]), "BYE %s SIP/2.0\r\n" VIA_ANNA("c") FROM_ANNA "To: %s\r\nCall-ID: from-anna-1\r\n"
	         "CSeq: 2 BYE\r\n\r\n", got_contact(&anna), got_value(&anna, HDR_TO));
	rig_send(r, ANNA, EDGE_WS, text[0]);
	rig_expect(r, BOB, "BYE ", &bob);
	assert_string_equal(bob.packet->tls_name, text[1]);
	got_free(&anna);
	got_free(&bob);
	rig_records_free(&records);
	rig_after(r, 24 * 3600 * 1000);
	rig_forget(r, ANNA);
	rig_forget(r, BOB);
	rig_free(r, false);
}

#define BOUNDED \
	ZONES(QUIET, "") \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"" AT "\", path: \"/one\" }] } }\n" \
	"routes: [{ when: { caller: any }, to: { pool: apps }, max-duration: 10m }]\n"

/* What we ask ourselves takes the same path, wherever the Contact is the same place; and so does what the other side asks afterwards. */
static void our_own_requests_keep_the_path(void **state)
{
	static const char *const contacts[] = { "<" AT ">", "<sip:bob.example.net:5060;transport=ws>" };
	static const char lines[] = "Content-Type: application/sdp\nRequire: timer\nSession-Expires: 600;refresher=uac\n";

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = begin(BOUNDED);
		struct got anna = { .packet = NULL }, bob = { .packet = NULL };
		char text[2048];

		r->names[r->n_names++] = (struct rig_name){ .host = "bob.example.net" };
		assert_int_equal(addr_parse(&r->names[0].addr, SV("10.0.0.21")), 0);
		rig_send(r, ANNA, EDGE_WS, "INVITE sip:room@example.com SIP/2.0\r\n" VIA_ANNA("a") FROM_ANNA "To: <sip:room@example.com>\r\n"
		         "Call-ID: from-anna\r\nCSeq: 1 INVITE\r\n" CONTACT_ANNA "Content-Type: application/sdp\r\n\r\n" SDP);
		rig_expect(r, ANNA, "SIP/2.0 100", &anna);
		rig_expect(r, BOB, "INVITE ", &bob);
		flow_answer(r, BOB, CORE_WS, &bob, 200, "<sip:room@example.com>;tag=bob", contacts[i], lines, SDP);
		rig_expect(r, ANNA, "SIP/2.0 200", &anna);
		snprintf(text, sizeof(text), "ACK %s SIP/2.0\r\n" VIA_ANNA("b") FROM_ANNA "To: %s\r\nCall-ID: from-anna\r\n"
		         "CSeq: 1 ACK\r\n\r\n", got_contact(&anna), got_value(&anna, HDR_TO));
		rig_send(r, ANNA, EDGE_WS, text);
		rig_expect(r, BOB, "ACK ", &bob);
		rig_after(r, 300000);
		rig_expect(r, BOB, "INVITE ", &bob);
		assert_string_equal(bob.packet->tls_name, "/one");
		flow_answer(r, BOB, CORE_WS, &bob, 200, got_value(&bob, HDR_TO), contacts[i], lines, SDP);
		rig_expect(r, BOB, "ACK ", &bob);
		assert_string_equal(bob.packet->tls_name, "/one");
		rig_after(r, 300000);
		rig_forget(r, ANNA);
		rig_expect(r, BOB, "BYE ", &bob);
		assert_string_equal(bob.packet->tls_name, "/one");
		rig_forget(r, BOB);
		got_free(&anna);
		got_free(&bob);
		rig_after(r, 3600 * 1000);
		rig_forget(r, ANNA);
		rig_forget(r, BOB);
		rig_free(r, true);
	}
}

static size_t bindings(struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

/* She did not say that she keeps her connection alive, as browsers never do; but each of them answers pings, and so it is known when she
 * is gone without a word. */
static void a_browser_that_does_not_answer(void **state)
{
	struct rig *r = begin(ZONES(", keepalive: { every: 10s, misses: 3 }", "") REST("sip:10.0.0.21:5060"));

	(void)state;
	registers(r);
	for (unsigned i = 0; i < 12; i++) {
		rig_after(r, 10 * 1000);
		assert_in_range(rig_forget(r, ANNA), 0, 2);
		rig_send(r, ANNA, EDGE_WS, "\r\n");
	}
	assert_int_equal(bindings(r), 1);
	rig_after(r, 120 * 1000);
	assert_in_range(rig_forget(r, ANNA), 3, 5);
	assert_int_equal(bindings(r), 0);
	end(r);
}

/* Her connection is gone: she is not registered any more, and nobody waits for her. */
static void a_browser_that_is_gone(void **state)
{
	struct rig *r = begin(YAML("", ""));
	struct got bob = { .packet = NULL };

	(void)state;
	registers(r);
	rig_close(r, ANNA);
	rig_after(r, 60 * 1000);
	bob_calls_anna(r);
	rig_after(r, 0);
	assert_int_equal(bindings(r), 0);
	assert_false(rig_has_message(r, ANNA));
	while (rig_take(r, BOB, "SIP/2.0 ", &bob) && bob.v.status < 200)
		;
	rig_forget(r, BOB);
	got_free(&bob);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_browser_is_called),
		cmocka_unit_test(a_browser_calls),
		cmocka_unit_test(a_browser_that_is_trusted),
		cmocka_unit_test(a_server_behind_a_websocket),
		cmocka_unit_test(two_paths_at_one_port),
		cmocka_unit_test(our_own_requests_keep_the_path),
		cmocka_unit_test(a_browser_that_does_not_answer),
		cmocka_unit_test(a_browser_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
