/* A call that passes the SBC twice: from the edge to an application server, and from there, which is a proxy, back to the SBC and on. Two
 * calls, each with identifiers of its own, though the second arrives with those that we gave to the first; and loops, which end. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#define AS "10.0.0.21:5060"
#define SDP_LINE "Content-Type: application/sdp\n"
#define POOLS \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: as, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  carriers: { zone: core, probe: off, destinations: [{ name: carol, uri: \"sip:10.0.0.22:5060\" }] }\n"
/* What comes from the application server goes to the carriers. */
#define SPIRAL \
	FLOW_ZONES POOLS \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }, { when: { zone: core }, to: { pool: carriers }, relay: on }]\n"
/* It goes back to where it came from. */
#define LOOP \
	FLOW_ZONES POOLS \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }, { when: { zone: core }, to: { pool: apps }, relay: on }]\n"

/* The lines of `g` as a stateless proxy passes them on: its Via (its branch made of the one that came) in front of a request, off a
 * response; Record-Route in an INVITE; its own Route off; one hop less. */
static void as_writes(const struct got *g, char *out, size_t size)
{
	bool is_request = !g->v.status;
	size_t start = (size_t)(strstr(g->v.base, "\r\n") - g->v.base) + 2;
	int n = snprintf(out, size, "%.*s", (int)start, g->v.base);

	if (is_request)
		n += snprintf(out + n, size - (size_t)n, "Via: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKas%s\r\n%s", got_branch(g) + 7,
		              g->v.method == M_INVITE ? "Record-Route: <sip:10.0.0.21:5060;lr>\r\n" : "");
	for (unsigned i = 0; i < g->v.n; i++) {
		const struct hdr *h = &g->v.h[i];
		struct sv name = hdr_name(&g->v, h), value = hdr_value(&g->v, h);

		if ((!is_request && h->id == HDR_VIA && g->v.first[HDR_VIA] == i + 1) || (is_request && h->id == HDR_ROUTE))
			continue;
		if (is_request && h->id == HDR_MAX_FORWARDS)
			n += snprintf(out + n, size - (size_t)n, "Max-Forwards: %d\r\n", atoi(value.p) - 1);
		else
			n += snprintf(out + n, size - (size_t)n, "%.*s: %.*s\r\n", SV_ARG(name), SV_ARG(value));
	}
	n += snprintf(out + n, size - (size_t)n, "\r\n%.*s", SV_ARG(view_body(&g->v)));
	assert_true((size_t)n < size);
}

/* The application server does its work until nothing is left to do; how many INVITEs it saw. */
static unsigned as_works(struct flow *f)
{
	struct got g = { 0 };
	unsigned invites = 0;
	char text[8192];

	while (rig_has_message(f->rig, AS)) {
		rig_expect(f->rig, AS, "", &g);
		invites += !g.v.status && g.v.method == M_INVITE;
		if (!g.v.status && g.v.method != M_ACK && atoi(got_value(&g, HDR_MAX_FORWARDS)) == 0)
			continue; /* dropped: the SBC has its own limit */
		if (g.v.status == 100)
			continue;
		as_writes(&g, text, sizeof(text));
		rig_send(f->rig, AS, CORE, text);
	}
	got_free(&g);
	return invites;
}

/* Alice calls; Carol has the INVITE of the second pass. */
static void spiral_invite(struct flow *f, const char *yaml, unsigned workers)
{
	flow_begin(f, yaml, workers, 3);
	f->bob = CAROL;
	flow_alice_calls(f, "", SDP);
	flow_expect_at_alice(f, "SIP/2.0 100");
	assert_int_equal(as_works(f), 1);
	flow_expect_at_bob(f, "INVITE sip:bob@example.com SIP/2.0");
}

static void spiral_answered(struct flow *f, const char *yaml, unsigned workers)
{
	spiral_invite(f, yaml, workers);
	flow_bob_answers(f, 180, "", "");
	as_works(f);
	flow_expect_at_alice(f, "SIP/2.0 180");
	flow_bob_answers(f, 200, SDP_LINE, SDP);
	as_works(f);
	flow_expect_at_alice(f, "SIP/2.0 200");
	rig_say(f->rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack1;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f->near_contact, f->near_to);
	as_works(f);
	flow_expect_at_bob(f, "ACK ");
	assert_int_equal(rig_calls(f->rig), 2);
}

static void hang_up_from_alice(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	as_works(f);
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	as_works(f);
	flow_expect_at_alice(f, "SIP/2.0 200");
	assert_int_equal(rig_calls(f->rig), 0);
	flow_end(f);
}

static void a_spiral_is_two_calls(void **state)
{
	struct got first = { 0 };
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		flow_begin(&f, SPIRAL, workers, 3);
		f.bob = CAROL;
		flow_alice_calls(&f, "", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 100");
		rig_expect(f.rig, AS, "INVITE ", &first); /* and again: the datagram is repeated after 500 ms */
		rig_after(f.rig, 550);
		assert_int_equal(as_works(&f), 1);
		flow_expect_at_bob(&f, "INVITE ");
		assert_string_not_equal(got_value(&first, HDR_CALL_ID), got_value(&f.at_bob, HDR_CALL_ID));
		assert_string_not_equal(got_tag(&first, HDR_FROM), got_tag(&f.at_bob, HDR_FROM));
		assert_string_not_equal(got_contact(&first), got_contact(&f.at_bob));
		assert_false(got_has(&f.at_bob, "10.0.0.21"));
		flow_bob_answers(&f, 486, "", "");
		flow_expect_at_bob(&f, "ACK ");
		as_works(&f);
		flow_expect_at_alice(&f, "SIP/2.0 486");
		flow_refused(&f);
		got_free(&first);
		rig_after(f.rig, 40000);
		as_works(&f);
		assert_int_equal(f.rig->n_cdrs, 2);
		flow_end(&f);
	}
}

static void the_caller_hangs_up(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		spiral_answered(&f, SPIRAL, workers);
		hang_up_from_alice(&f);
	}
}

static void the_callee_asks_and_hangs_up(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		spiral_answered(&f, SPIRAL, workers);
		flow_bob_says(&f, "INVITE", "Contact: <sip:carol@10.0.0.22:5060>\n" SDP_LINE, SDP);
		flow_expect_at_bob(&f, "SIP/2.0 100");
		as_works(&f);
		flow_expect_at_alice(&f, "INVITE sip:alice@192.0.2.10:5060 SIP/2.0");
		assert_false(got_has(&f.at_alice, "10.0.0."));
		flow_alice_answers(&f, 200, SDP_LINE, SDP);
		as_works(&f);
		flow_expect_at_bob(&f, "SIP/2.0 200");
		rig_say(f.rig, CAROL, CORE, "", "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.22:5060;branch=z9hG4bKca\nMax-Forwards: 70\nFrom: %s\nTo: %s\n"
		        "Call-ID: %s\nCSeq: %u ACK\n", f.far_contact, f.far_to, f.far_from, f.far_call_id, f.bob_cseq);
		as_works(&f);
		flow_expect_at_alice(&f, "ACK ");
		flow_bob_says(&f, "BYE", "", "");
		as_works(&f);
		flow_expect_at_alice(&f, "BYE ");
		flow_alice_answers(&f, 200, "", "");
		as_works(&f);
		flow_expect_at_bob(&f, "SIP/2.0 200");
		assert_int_equal(rig_calls(f.rig), 0);
		flow_end(&f);
	}
}

static void a_cancel_goes_through_both(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		spiral_invite(&f, SPIRAL, workers);
		flow_bob_answers(&f, 180, "", "");
		as_works(&f);
		flow_expect_at_alice(&f, "SIP/2.0 180");
		struct got invite = f.at_bob;

		f.at_bob = (struct got){ 0 };
		flow_cancel(&f);
		as_works(&f);
		flow_expect_at_alice(&f, "SIP/2.0 200");
		flow_expect_at_alice(&f, "SIP/2.0 487");
		flow_refused(&f);
		flow_expect_at_bob(&f, "CANCEL ");
		flow_bob_answers(&f, 200, "", "");
		got_free(&f.at_bob);
		f.at_bob = invite;
		flow_bob_answers(&f, 487, "", "");
		flow_expect_at_bob(&f, "ACK ");
		as_works(&f);
		assert_int_equal(rig_calls(f.rig), 0);
		rig_after(f.rig, 1000);
		as_works(&f);
		rig_expect_silence(f.rig, CAROL);
		rig_after(f.rig, 40000);
		as_works(&f);
		flow_end(&f);
	}
}

/* A server that sends everything back without a change: the second pass is a spiral, the third has been here before. */
static void a_proxy_that_turns_round_is_a_loop(void **state)
{
	struct flow f;

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers++) { /* by another word the same worker would be found now and then */
		flow_begin(&f, LOOP, workers, 3);
		flow_alice_calls(&f, "", SDP);
		flow_expect_at_alice(&f, "SIP/2.0 100");
		assert_int_equal(as_works(&f), 2);
		flow_expect_at_alice(&f, "SIP/2.0 482");
		flow_refused(&f);
		assert_int_equal(rig_calls(f.rig), 0);
		assert_int_equal(f.rig->n_cdrs, 2);
		rig_after(f.rig, 40000);
		as_works(&f);
		flow_end(&f);
	}
}

/* With another user each time it is no loop that we could tell from a spiral: Max-Forwards ends it. */
static void hops_run_out(void **state)
{
	char text[4096];
	struct got g = { 0 };
	struct flow f;
	unsigned passes = 0;

	(void)state;
	flow_begin(&f, LOOP, 2, 3);
	flow_alice_calls(&f, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	while (rig_has_message(f.rig, AS) && passes < 100) { /* it begins a call of its own for each of ours */
		int hops;

		rig_expect(f.rig, AS, "", &g);
		if (g.v.status || g.v.method != M_INVITE)
			continue;
		hops = atoi(got_value(&g, HDR_MAX_FORWARDS)) - 1;
		snprintf(text, sizeof(text),
		         "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKp%u\r\nMax-Forwards: %d\r\n"
		         "From: <sip:a@example.com>;tag=p%u\r\nTo: <sip:bob@example.com>\r\nCall-ID: p%u\r\nCSeq: 1 INVITE\r\n"
		         "Contact: <sip:10.0.0.21>\r\nContent-Length: 0\r\n\r\n",
		         passes, hops, passes, passes);
		rig_send(f.rig, AS, CORE, text);
		passes++;
	}
	got_free(&g);
	assert_int_equal(passes, 35); /* 70 hops, two for each */
	rig_after(f.rig, 3600000);
	rig_forget(f.rig, AS);
	flow_expect_at_alice(&f, "SIP/2.0 408"); /* the server never told us of the 483 it got */
	flow_end(&f);
}

/* LESSONS 12: two calls with the same Call-ID on one side of each; both outlive the node. */
static void both_calls_outlive_the_node(void **state)
{
	struct flow f;

	(void)state;
	spiral_answered(&f, SPIRAL, 2);
	f.rig = rig_take_over(f.rig, SPIRAL, 1, 2);
	hang_up_from_alice(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spiral_is_two_calls),
		cmocka_unit_test(the_caller_hangs_up),
		cmocka_unit_test(the_callee_asks_and_hangs_up),
		cmocka_unit_test(a_cancel_goes_through_both),
		cmocka_unit_test(a_proxy_that_turns_round_is_a_loop),
		cmocka_unit_test(hops_run_out),
		cmocka_unit_test(both_calls_outlive_the_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
