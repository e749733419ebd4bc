/* Where messages go: route sets, remote targets, names that take their time, streams, IPv6 (RFC 3261 §12, §16.12, §18; DECISIONS 20). */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define PROXY "10.0.0.77:5060"
#define NAMED "10.0.0.33:5060"

static void flow_drop(struct flow *f)
{
	rig_free(f->rig, false);
	got_free(&f->at_alice);
	got_free(&f->at_bob);
}

static void hang_up(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

static void name_add(struct rig *r, const char *host, const char *addr, unsigned delay_ms)
{
	struct rig_name *n = &r->names[r->n_names++];

	*n = (struct rig_name){ .host = host, .delay_ms = delay_ms };
	if (addr)
		assert_int_equal(addr_parse(&n->addr, sv_from(addr)), 0);
}

/* Route sets ------------------------------------------------------------------------------------------------------- */

/* §12.1.2: the route set of the far dialog is the 2xx's Record-Route reversed; ACK and everything later goes to its first entry. */
static void far_route_set(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Record-Route: <sip:10.0.0.78;lr;x=1>, <sip:10.0.0.77;lr>\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_string_equal(got_value(&f.at_alice, HDR_RECORD_ROUTE), "");
	f.bob = PROXY;
	flow_ack(&f);
	assert_string_equal(got_uri(&f.at_bob), "sip:bob@10.0.0.21:5060");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:10.0.0.77;lr>, <sip:10.0.0.78;lr;x=1>");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE sip:bob@10.0.0.21:5060");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:10.0.0.77;lr>, <sip:10.0.0.78;lr;x=1>");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* §12.2.1.1: a strict router takes the Request-URI, and the target goes to the end of Route. */
static void strict_router(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Record-Route: <sip:10.0.0.78;lr>\nRecord-Route: <sip:10.0.0.77>\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	f.bob = PROXY;
	flow_ack(&f);
	assert_string_equal(got_uri(&f.at_bob), "sip:10.0.0.77");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:10.0.0.78;lr>, <sip:bob@10.0.0.21:5060>");
	hang_up(&f);
}

/* Alice sits behind a proxy of hers: its Record-Route comes back to her in our answers, and is the route of what Bob asks. */
static void near_route_set(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_alice_calls(&f, "Record-Route: <sip:192.0.2.77;lr>\nRecord-Route: <sip:192.0.2.78;lr>\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_false(got_has(&f.at_bob, "192.0.2.7"));
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_true(got_has(&f.at_alice, "Record-Route: <sip:192.0.2.77;lr>\r\nRecord-Route: <sip:192.0.2.78;lr>\r\n"));
	flow_ack(&f);
	flow_bob_says(&f, "INFO", "", "");
	flow_expect_at_alice(&f, "INFO sip:alice@192.0.2.10:5060"); /* by her flow: she is not trusted to send it elsewhere */
	assert_string_equal(got_value(&f.at_alice, HDR_ROUTE), "<sip:192.0.2.77;lr>, <sip:192.0.2.78;lr>");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	hang_up(&f);
}

/* LESSONS 1: what stands in Alice's Route is not asked; our token is. */
static void alice_sends_a_route_with_her_bye(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	flow_alice_says(&f, "BYE", "Route: <sip:203.0.113.10;lr>, <sip:198.51.100.99;lr>\n", "");
	flow_expect_at_bob(&f, "BYE sip:bob@10.0.0.21:5060");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* Remote targets --------------------------------------------------------------------------------------------------- */

/* Bob's Contact is not where the INVITE went: ACK and BYE go to the Contact. */
static void contact_elsewhere(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	f.bob_contact = "<sip:bob@10.0.0.33;x=y>;expires=9";
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_false(got_has(&f.at_alice, "expires"));
	f.bob = NAMED;
	flow_ack(&f);
	assert_string_equal(got_uri(&f.at_bob), "sip:bob@10.0.0.33;x=y");
	hang_up(&f);
}

/* The caller never acknowledges: our own ACK and BYE go there too. */
static void our_own_ack_and_bye_go_to_the_contact(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	f.bob_contact = "<sip:bob@10.0.0.33>";
	flow_bob_answers(&f, 200, "", SDP);
	rig_after(f.rig, 64 * SIP_T1);
	rig_expect(f.rig, NAMED, "ACK sip:bob@10.0.0.33", &f.at_bob);
	rig_expect(f.rig, NAMED, "BYE sip:bob@10.0.0.33", &f.at_bob);
	rig_expect_silence(f.rig, BOB);
	flow_drop(&f);
}

#define FLOW_FROM_CORE \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: core }, to: { pool: apps }, relay: true, max-duration: 10s }]\n"

/* A trusted caller is where her Contact says: our BYE goes there. */
static void our_bye_goes_to_the_callers_contact(void **state)
{
	static const char caller[] = "10.0.0.50:5060";
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_FROM_CORE, 1, 1);
	rig_say(f.rig, caller, CORE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.50:5060;branch=z9hG4bKcore\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: core\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@10.0.0.33>\n");
	rig_expect(f.rig, caller, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "", SDP);
	rig_expect(f.rig, caller, "SIP/2.0 200", &f.at_alice);
	rig_say(f.rig, caller, CORE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.50:5060;branch=z9hG4bKcoreack\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: core\nCSeq: 1 ACK\n",
	        got_contact(&f.at_alice), got_value(&f.at_alice, HDR_TO));
	flow_expect_at_bob(&f, "ACK ");
	rig_after(f.rig, 10000);
	rig_expect(f.rig, NAMED, "BYE sip:alice@10.0.0.33", &f.at_alice);
	rig_expect_silence(f.rig, caller);
	flow_drop(&f);
}

/* §12.2: a re-INVITE moves Bob's target. */
static void target_refresh(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_bob_says(&f, "UPDATE", "Contact: <sip:bob@10.0.0.33>\n", "");
	flow_expect_at_alice(&f, "UPDATE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	f.bob = NAMED;
	hang_up(&f);
}

/* Names (DECISIONS 20) ---------------------------------------------------------------------------------------------- */

#define FLOW_NAMED \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:app.core.test\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES

static void named_begin(struct flow *f, const char *addr, unsigned delay_ms)
{
	flow_begin(f, FLOW_NAMED, 2, 1);
	name_add(f->rig, "app.core.test", addr, delay_ms);
	flow_alice_calls(f, "", SDP);
	rig_expect(f->rig, ALICE, "SIP/2.0 100", &f->at_alice);
	f->bob = NAMED;
}

/* The INVITE comes again while it is parked: one INVITE goes out. */
static void destination_name_takes_its_time(void **state)
{
	struct flow f;

	(void)state;
	named_begin(&f, "10.0.0.33", 1200);
	rig_after(f.rig, 500);
	flow_alice_calls(&f, "", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	rig_after(f.rig, 699);
	rig_expect_silence(f.rig, NAMED);
	rig_after(f.rig, 1);
	flow_expect_at_bob(&f, "INVITE ");
	rig_expect_silence(f.rig, NAMED);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	hang_up(&f);
}

static void destination_name_that_does_not_exist(void **state)
{
	struct flow f;

	(void)state;
	named_begin(&f, NULL, 300);
	rig_after(f.rig, 300);
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	flow_end(&f);
}

/* No answer from any name server: the park's deadline, and the next destination. */
static void destination_name_nobody_answers_for(void **state)
{
	struct flow f;

	(void)state;
	named_begin(&f, "10.0.0.33", 60000);
	rig_after(f.rig, CALL_RESOLVE_MS - 1);
	rig_expect_silence(f.rig, CAROL);
	rig_after(f.rig, 1);
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	rig_after(f.rig, 60000);
	rig_expect_silence(f.rig, NAMED);
	flow_end(&f);
}

static void cancel_while_parked(void **state)
{
	struct flow f;

	(void)state;
	named_begin(&f, "10.0.0.33", 1200);
	flow_cancel(&f);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	rig_after(f.rig, 40000);
	rig_expect_silence(f.rig, NAMED);
	rig_expect_silence(f.rig, CAROL);
	assert_int_equal(f.rig->n_cdrs, 1);
	flow_end(&f);
}

/* The snapshot that the choice was made in is gone when the name is known: chosen anew. */
static void reload_while_parked(void **state)
{
	struct flow f;

	(void)state;
	named_begin(&f, "10.0.0.33", 1200);
	rig_after(f.rig, 600);
	rig_reload(f.rig, FLOW_ONE);
	rig_after(f.rig, 600);
	rig_expect_silence(f.rig, NAMED);
	f.bob = BOB;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	hang_up(&f);
}

static void contact_is_a_name(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	name_add(f.rig, "phone.core.test", "10.0.0.33", 300);
	flow_invite(&f, BOB);
	f.bob_contact = "<sip:bob@phone.core.test>";
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f.near_contact, f.near_to);
	rig_expect_silence(f.rig, NAMED);
	rig_after(f.rig, 300);
	f.bob = NAMED;
	flow_expect_at_bob(&f, "ACK sip:bob@phone.core.test");
	flow_alice_says(&f, "BYE", "", "");
	rig_after(f.rig, 300);
	flow_expect_at_bob(&f, "BYE sip:bob@phone.core.test");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* Nobody knows the name: the ACK tries the INVITE's way, a request is refused with 503, and a BYE ends the call all the same. */
static void contact_is_a_name_nobody_knows(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	f.bob_contact = "<sip:bob@nowhere.test>";
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	assert_string_equal(got_uri(&f.at_bob), "sip:bob@nowhere.test");
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 503");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* A BYE that waits for a name while the other side hangs up. */
static void call_ends_while_its_request_is_parked(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	name_add(f.rig, "phone.core.test", "10.0.0.33", 1);
	flow_invite(&f, BOB);
	f.bob_contact = "<sip:bob@phone.core.test>";
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f.near_contact, f.near_to);
	rig_after(f.rig, 1);
	rig_expect(f.rig, NAMED, "ACK ", &f.at_bob);
	f.rig->names[0].delay_ms = 2000;
	flow_alice_says(&f, "INFO", "", "");
	rig_after(f.rig, 1000);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice); /* her INFO */
	rig_after(f.rig, 5000);
	rig_expect_silence(f.rig, NAMED);
	flow_end(&f);
}

/* Streams, IPv6 ---------------------------------------------------------------------------------------------------- */

#define FLOW_TCP \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060;transport=tcp\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES

static void say_tcp(struct flow *f, const char *method, const char *uri, unsigned cseq, const char *to, const char *body)
{
	rig_say(f->rig, ALICE, EDGE_TCP, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bKtcp%s%u\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u %s\n"
	        "Contact: <sip:alice@192.0.2.10:5060;transport=tcp>\n",
	        method, uri, method, cseq, to, cseq, method);
}

static void tcp_on_both_sides(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TCP, 2, 1);
	say_tcp(&f, "INVITE", "sip:bob@example.com", 1, "<sip:bob@example.com>", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_true(got_has(&f.at_bob, "Via: SIP/2.0/TCP 10.0.0.10;"));
	assert_true(strstr(f.far_contact, ";transport=tcp") != NULL);
	rig_after(f.rig, 1900);
	rig_expect_silence(f.rig, BOB); /* §17.1.1.2: no timer A on a stream */
	f.bob_contact = "<sip:bob@10.0.0.21;transport=tcp>";
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_true(strstr(f.near_contact, ";transport=tcp") != NULL);
	rig_after(f.rig, 500);
	flow_expect_at_alice(&f, "SIP/2.0 200"); /* §13.3.1.4: the 2xx is repeated on streams too */
	say_tcp(&f, "ACK", f.near_contact, 1, f.near_to, "");
	flow_expect_at_bob(&f, "ACK ");
	say_tcp(&f, "BYE", f.near_contact, 2, f.near_to, "");
	flow_expect_at_bob(&f, "BYE sip:bob@10.0.0.21;transport=tcp");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

static void refused_connection_leads_to_the_next_destination(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_TCP, 2, 1);
	f.rig->is_refusing_streams = true;
	flow_alice_calls(&f, "", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	rig_after(f.rig, 2);
	f.bob = CAROL;
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, CAROL, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	flow_end(&f);
}

static void ipv6_outside_ipv4_inside(void **state)
{
	static const char alice[] = "[2001:db8::20]:5060", edge[] = "udp:[2001:db8::10]:5060";
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	rig_say(f.rig, alice, edge, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::20]:5060;branch=z9hG4bKsix;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: six\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@[2001:db8::20]:5060>\n");
	rig_expect(f.rig, alice, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_false(got_has(&f.at_bob, "2001:"));
	flow_bob_answers(&f, 200, "", SDP);
	rig_expect(f.rig, alice, "SIP/2.0 200", &f.at_alice);
	assert_true(strstr(got_contact(&f.at_alice), "@[2001:db8::10]") != NULL);
	rig_say(f.rig, alice, edge, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP [2001:db8::20]:5060;branch=z9hG4bKsixack;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: six\nCSeq: 1 ACK\n",
	        got_contact(&f.at_alice), got_value(&f.at_alice, HDR_TO));
	flow_expect_at_bob(&f, "ACK ");
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, alice, "BYE sip:alice@[2001:db8::20]:5060", &f.at_alice);
	flow_drop(&f);
}

/* RFC 3581: Alice is behind a NAT. Answers go where the request came from, and so do Bob's requests, whatever her Contact says. */
static void alice_behind_a_nat(void **state)
{
	static const char nat[] = "192.0.2.99:40000";
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	rig_say(f.rig, nat, EDGE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKnat;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: nat\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.168.1.5:5060>\n");
	rig_expect(f.rig, nat, "SIP/2.0 100", &f.at_alice);
	assert_true(got_has(&f.at_alice, "rport=40000"));
	assert_true(got_has(&f.at_alice, "received=192.0.2.99"));
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "", SDP);
	rig_expect(f.rig, nat, "SIP/2.0 200", &f.at_alice);
	rig_say(f.rig, nat, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKnatack;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: nat\nCSeq: 1 ACK\n",
	        got_contact(&f.at_alice), got_value(&f.at_alice, HDR_TO));
	flow_expect_at_bob(&f, "ACK ");
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, nat, "BYE sip:alice@192.168.1.5:5060", &f.at_alice);
	flow_drop(&f);
}

#define FLOW_SPIRAL \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }, { when: { zone: core }, to: { pool: apps }, relay: true }]\n"

/* LESSONS 12: Bob is a proxy that sends the call through us again, to Carol. */
static void a_call_that_passes_twice(void **state)
{
	struct flow f;
	struct got first, carol = { .packet = NULL };
	char to[256], via[256];

	(void)state;
	flow_begin(&f, FLOW_SPIRAL, 8, 1);
	flow_invite(&f, BOB);
	first = f.at_bob;
	f.at_bob = (struct got){ .packet = NULL };
	snprintf(via, sizeof(via), "%s", got_value(&first, HDR_VIA));
	rig_say(f.rig, BOB, CORE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKspiral\nVia: %s\nMax-Forwards: 68\n"
	        "From: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\nContact: <%s>\n",
	        via, f.far_from, got_value(&first, HDR_TO), f.far_call_id, got_value(&first, HDR_CSEQ), f.far_contact);
	rig_expect(f.rig, BOB, "SIP/2.0 100", &f.at_bob);
	rig_expect(f.rig, CAROL, "INVITE ", &carol);
	assert_string_not_equal(got_value(&carol, HDR_CALL_ID), f.far_call_id);
	assert_int_equal(rig_calls(f.rig), 2);

	struct flow second = f;

	second.bob = CAROL;
	second.at_bob = carol;
	flow_bob_answers(&second, 200, "", SDP);
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	snprintf(to, sizeof(to), "%s", got_value(&f.at_bob, HDR_TO));
	rig_say(f.rig, BOB, CORE, SDP, "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: 1 INVITE\nContact: <%s>\n", via,
	        f.far_from, to, f.far_call_id, got_contact(&f.at_bob));
	flow_expect_at_alice(&f, "SIP/2.0 200");
	got_free(&first);
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f.near_contact, f.near_to);
	rig_expect(f.rig, CAROL, "ACK sip:bob@10.0.0.22:5060", &second.at_bob);
	flow_alice_says(&f, "BYE", "", "");
	rig_expect(f.rig, CAROL, "BYE sip:bob@10.0.0.22:5060", &second.at_bob);
	flow_bob_answers(&second, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	got_free(&second.at_bob);
	assert_int_equal(f.rig->n_cdrs, 2);
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(far_route_set),
		cmocka_unit_test(strict_router),
		cmocka_unit_test(near_route_set),
		cmocka_unit_test(alice_sends_a_route_with_her_bye),
		cmocka_unit_test(contact_elsewhere),
		cmocka_unit_test(our_own_ack_and_bye_go_to_the_contact),
		cmocka_unit_test(our_bye_goes_to_the_callers_contact),
		cmocka_unit_test(target_refresh),
		cmocka_unit_test(destination_name_takes_its_time),
		cmocka_unit_test(destination_name_that_does_not_exist),
		cmocka_unit_test(destination_name_nobody_answers_for),
		cmocka_unit_test(cancel_while_parked),
		cmocka_unit_test(reload_while_parked),
		cmocka_unit_test(contact_is_a_name),
		cmocka_unit_test(contact_is_a_name_nobody_knows),
		cmocka_unit_test(call_ends_while_its_request_is_parked),
		cmocka_unit_test(tcp_on_both_sides),
		cmocka_unit_test(refused_connection_leads_to_the_next_destination),
		cmocka_unit_test(ipv6_outside_ipv4_inside),
		cmocka_unit_test(alice_behind_a_nat),
		cmocka_unit_test(a_call_that_passes_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
