/* Browsers: their Contact says `.invalid` and a `transport=` that is none (RFC 7118 §5), and they are where their WebSocket is. Nobody is
 * asked for such a name, and a call goes from one WebSocket to another only with its client (DECISIONS 26). */
#include "tests/flow/home.h"
#include "tests/flow/roam.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOWHERE "df7jal23ls0d.invalid"
#define TAB "192.0.2.31:50123"       /* where a browser's connection comes from */

static const char *const contacts[] = { "sip:k3j2@" NOWHERE ";transport=ws", "sip:k3j2@" NOWHERE ";transport=udp",
	                                "sip:k3j2@192.0.2.31:50123;transport=tcp", "sip:k3j2@" NOWHERE ".:5060" };

/* Whoever asks for the name is told something, and goes astray. */
static struct rig *open_on(const char *yaml, unsigned workers, const char *listener, uint8_t transport)
{
	struct rig *r = rig_new(yaml, workers, 1);

	r->has_flows = true;
	rig_becomes(r, listener, transport);
	r->names[r->n_names] = (struct rig_name){ .host = NOWHERE };
	assert_int_equal(addr_parse(&r->names[r->n_names++].addr, SV("192.0.2.66:5060")), 0);
	return r;
}

static void new_browser(struct phone *p, struct rig *r, const char *at, const char *listener, const char *contact)
{
	phone_new(p, r, "tab", at);
	p->listener = listener;
	strcpy(p->uri, contact);
}

static void nobody_else_heard(struct rig *r)
{
	rig_expect_silence(r, "192.0.2.66:5060");
	rig_expect_silence(r, "192.0.2.66:5061");
	rig_expect_silence(r, "192.0.2.66:80");
	rig_expect_silence(r, "192.0.2.66:443");
}

static void all_methods(struct phone *p, struct phone *q, uint8_t transport)
{
	phone_asks(p, "INVITE", "", OFFER);
	phone_gets(q, "INVITE ");
	assert_int_equal(q->last->packet->transport, transport);
	phone_answers(q, 200, "", ANSWER);
	phone_gets(p, "SIP/2.0 100");
	phone_gets(p, "SIP/2.0 200");
	phone_acks(p, "");
	phone_gets(q, "ACK ");
	phones_exchange(p, q, "UPDATE", 200);
	phones_exchange(p, q, "INFO", 200);
}

static void it_calls(void **state)
{
	static const uint8_t transports[] = { T_WS, T_WSS };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct rig *r = open_on(FLOW_ONE, 1 + i % 2, EDGE_TCP, transports[i / 4]);
		struct phone tab, bob;

		new_browser(&tab, r, TAB, EDGE_TCP, contacts[i % 4]);
		phone_new(&bob, r, "bob", BOB);
		phones_talk(&tab, &bob, "sip:bob@example.com");
		assert_true(got_has(&tab.got, ";transport=ws>"));
		all_methods(&bob, &tab, transports[i / 4]);
		all_methods(&tab, &bob, T_UDP);
		phones_end(&bob, &tab);
		nobody_else_heard(r);
		phone_free(&tab);
		phone_free(&bob);
		rig_after(r, 3600000);
		rig_free(r, true);
	}
}

static void it_is_called(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rig *r = open_on(HOME, 2, EDGE_TCP, T_WSS);
		struct phone tab, alice;

		new_browser(&tab, r, TAB, EDGE_TCP, contacts[i]);
		phone_new(&alice, r, "alice", ALICE);
		home_registers(&tab, "bob", "", "");
		phones_talk(&alice, &tab, "sip:bob@example.com");
		assert_int_equal(tab.got.packet->transport, T_WSS);
		all_methods(&alice, &tab, T_WSS);
		all_methods(&tab, &alice, T_UDP);
		phones_end(&alice, &tab);
		nobody_else_heard(r);
		phone_free(&tab);
		phone_free(&alice);
		home_end(r);
	}
}

/* One that we trust is as hard to connect to; what it calls itself matters as little. */
static void one_that_is_trusted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = open_on(FLOW_ONE, 1, CORE_TCP, T_WS);
		struct phone tab, bob;

		new_browser(&tab, r, "10.0.0.99:50123", CORE_TCP, i ? "sip:k3j2@10.0.0.77:5060;transport=udp" : contacts[0]);
		phone_new(&bob, r, "bob", BOB);
		phones_talk(&tab, &bob, "sip:bob@10.0.0.10");
		all_methods(&bob, &tab, T_WS);
		phones_end(&bob, &tab);
		nobody_else_heard(r);
		phone_free(&tab);
		phone_free(&bob);
		rig_after(r, 3600000);
		rig_free(r, true);
	}
}

/* A destination that names itself so is where its INVITE went, trusted or not. */
static void a_destination_in_invalid(void **state)
{
	struct rig *r = open_on(FLOW_ONE, 1, EDGE_TCP, T_WSS);
	struct phone alice, bob;

	(void)state;
	phone_new(&alice, r, "alice", ALICE);
	phone_new(&bob, r, "bob", BOB);
	strcpy(bob.uri, "sip:bob@" NOWHERE);
	phones_talk(&alice, &bob, "sip:bob@example.com");
	all_methods(&alice, &bob, T_UDP);
	phones_end(&alice, &bob);
	nobody_else_heard(r);
	phone_free(&alice);
	phone_free(&bob);
	rig_after(r, 3600000);
	rig_free(r, true);
}

/* Whom a redirection sends there gets no further; no name server hears of it. */
static void redirected_there(void **state)
{
	struct rig *r = open_on(FLOW_ZONES HOME_POOLS
	                        "routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow }]\n",
	                        1, EDGE_TCP, T_WSS);
	struct phone alice, bob;

	(void)state;
	phone_new(&alice, r, "alice", ALICE);
	phone_new(&bob, r, "bob", BOB);
	phone_calls(&alice, "sip:bob@example.com", "", OFFER);
	phone_gets(&alice, "SIP/2.0 100");
	phone_gets(&bob, "INVITE ");
	flow_answer(r, BOB, CORE, &bob.invite, 302, "<sip:bob@example.com>;tag=FAR-bob", "<sip:x@" NOWHERE ">", "", "");
	phone_gets(&bob, "ACK ");
	phone_gets(&alice, "SIP/2.0 503");
	phone_acks_refusal(&alice);
	nobody_else_heard(r);
	phone_free(&alice);
	phone_free(&bob);
	rig_after(r, 3600000);
	rig_free(r, true);
}

/* Somebody is sent to the other end of a call with a browser: over its WebSocket, too (DECISIONS 5). */
static void sent_to_its_end_of_a_call(void **state)
{
	struct rig *r = open_on(HOME, 1, EDGE_TCP, T_WSS);
	struct phone tab, alice, second, anna;

	(void)state;
	new_browser(&tab, r, TAB, EDGE_TCP, contacts[0]);
	phone_new(&alice, r, "alice", ALICE);
	home_registers(&tab, "bob", "", "");
	phones_talk(&alice, &tab, "sip:bob@example.com");
	new_browser(&second, r, TAB, EDGE_TCP, contacts[0]);
	phone_new(&anna, r, "anna", MOBILE);
	phones_talk(&anna, &second, alice.target);
	assert_int_equal(second.got.packet->transport, T_WSS);
	all_methods(&anna, &second, T_WSS);
	phones_end(&second, &anna);
	phones_end(&alice, &tab);
	nobody_else_heard(r);
	phone_free(&second);
	phone_free(&anna);
	phone_free(&tab);
	phone_free(&alice);
	home_end(r);
}

/* Reloaded in the middle of a call: its socket is another one, from the same address, and the next request finds the call. */
static void its_socket_is_another(void **state)
{
	struct rig *r = open_on(FLOW_ONE, 2, EDGE_TCP, T_WSS);
	struct phone tab, bob;

	(void)state;
	new_browser(&tab, r, TAB, EDGE_TCP, contacts[0]);
	phone_new(&bob, r, "bob", BOB);
	phones_talk(&tab, &bob, "sip:bob@example.com");
	rig_close(r, TAB);
	phone_asks(&bob, "INFO", "", "");
	rig_after(r, 1); /* the worker that had it may be another one */
	phone_gets(&bob, "SIP/2.0 480"); /* until it is back */
	tab.at = "192.0.2.31:50999";
	phones_exchange(&tab, &bob, "INFO", 200);
	assert_int_equal(rig_count(r, FLOWS_MOVED), 1);
	all_methods(&bob, &tab, T_WSS);
	tab.at = "192.0.2.44:50999"; /* who it is there, nobody knows */
	phones_exchange(&tab, &bob, "INFO", 200);
	assert_int_equal(rig_count(r, FLOWS_MOVED), 1);
	assert_int_equal(rig_count(r, FLOWS_KEPT), 1);
	tab.at = "192.0.2.31:50999";
	phones_end(&bob, &tab);
	nobody_else_heard(r);
	phone_free(&tab);
	phone_free(&bob);
	rig_after(r, 3600000);
	rig_free(r, true);
}

/* Registered, it may come back from anywhere, over another WebSocket; what was said in secret never goes on in the open. */
static void it_registers_elsewhere(void **state)
{
	static void (*const begins[])(struct client *c) = { calls, is_called };

	(void)state;
	for (unsigned run = 0; run < 6; run++) {
		struct client c;

		roam_begin(&c, (const unsigned[]){ 1, 2, 8 }[run / 2], NULL);
		rig_becomes(c.rig, EDGE_TCP, T_WSS);
		registers(&c, HOTEL, EDGE_TCP, true);
		begins[run % 2](&c);
		assert_int_equal(c.got.packet->transport, T_WSS);
		registers(&c, TRAIN, EDGE_TCP, true);
		assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 1);
		is_found(&c, TRAIN, EDGE_TCP, "INFO");
		registers(&c, CAFE, EDGE, true); /* by UDP: its registration goes there, its call does not */
		assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 1);
		assert_true(rig_count(c.rig, FLOWS_KEPT) >= 1);
		is_found(&c, TRAIN, EDGE_TCP, "INFO");
		registers(&c, CAFE, EDGE_TCP, true);
		is_found(&c, CAFE, EDGE_TCP, "BYE");
		assert_int_equal(c.got.packet->transport, T_WSS);
		roam_end(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_calls),
		cmocka_unit_test(it_is_called),
		cmocka_unit_test(one_that_is_trusted),
		cmocka_unit_test(a_destination_in_invalid),
		cmocka_unit_test(redirected_there),
		cmocka_unit_test(sent_to_its_end_of_a_call),
		cmocka_unit_test(its_socket_is_another),
		cmocka_unit_test(it_registers_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
