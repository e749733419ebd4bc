/* sips URIs (RFC 3261 §26.2.2, RFC 5630): every hop by TLS or none, on both legs, to the end of the call. */
#include "tests/flow/home.h"
#include "sbc/call/sips.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define URI "sips:bob@example.com"
#define POOL(more) \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off" more ", destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tcp\" }] } }\n" FLOW_ROUTES
#define WARNING "Warning: 380 203.0.113.10 \"SIPS Not Allowed\""

struct pair {
	struct rig *rig;
	struct phone a, c;
};

static void becomes_secure(struct rig *r)
{
	rig_becomes(r, EDGE_TCP, T_TLS);
	rig_becomes(r, CORE_TCP, T_TLS);
}

/* Alice and Carol are there by TLS, and say so. */
static void begin(struct pair *p, const char *yaml)
{
	p->rig = rig_new(yaml, 2, 1);
	becomes_secure(p->rig);
	cast_watch(p->rig);
	phone_new(&p->a, p->rig, "alice", ALICE);
	phone_new(&p->c, p->rig, "carol", CAROL);
	p->a.listener = EDGE_TCP;
	p->c.listener = CORE_TCP;
	snprintf(p->a.uri, sizeof(p->a.uri), "sips:NEAR-alice@%s", ALICE);
	snprintf(p->c.uri, sizeof(p->c.uri), "sips:FAR-carol@%s", CAROL);
}

static void end(struct pair *p)
{
	rig_expect_silence(p->rig, BOB);
	phones_silent((struct phone *const[]){ &p->a, &p->c }, 2);
	phone_free(&p->a);
	phone_free(&p->c);
	rig_after(p->rig, 3600000);
	rig_free(p->rig, true);
}

static void is_secret(const struct phone *p)
{
	assert_int_equal(p->last->packet->transport, T_TLS);
}

static void is_sips(const char *contact, const char *host)
{
	assert_true(sips_is(sv_from(contact)));
	assert_string_equal(contact + 5 + TOKEN_LEN, host); /* no transport: it goes without saying (RFC 5630 §3.1.4) */
}

static void talk(struct pair *p)
{
	phone_calls(&p->a, URI, "", OFFER);
	phone_gets(&p->a, "SIP/2.0 100");
	phone_gets(&p->c, "INVITE ");
	is_secret(&p->c);
	assert_string_equal(got_uri(&p->c.invite), URI);
	is_sips(got_contact(&p->c.invite), "@10.0.0.10");
	phone_answers(&p->c, 200, "", ANSWER);
	phone_gets(&p->a, "SIP/2.0 200");
	is_secret(&p->a);
	is_sips(got_contact(&p->a.got), "@203.0.113.10");
	phone_acks(&p->a, "");
	phone_gets(&p->c, "ACK ");
	is_secret(&p->c);
}

static void goes_on(struct phone *p, struct phone *q)
{
	phones_exchange(p, q, "INFO", 200);
	is_secret(p);
	is_secret(q);
}

static void reinvite(struct phone *p, struct phone *q, const char *host)
{
	phone_asks(p, "INVITE", "", OFFER);
	phone_gets(q, "INVITE ");
	is_secret(q);
	is_sips(got_contact(&q->invite), host);
	phone_answers(q, 200, "", ANSWER);
	phone_gets(p, "SIP/2.0 100");
	phone_gets(p, "SIP/2.0 200");
	phone_acks(p, "");
	phone_gets(q, "ACK ");
}

/* The turn is Bob's, who has no TLS: it goes to Carol. */
static void all_the_way(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, POOL(""));
	talk(&p);
	goes_on(&p.a, &p.c);
	goes_on(&p.c, &p.a);
	reinvite(&p.a, &p.c, "@10.0.0.10");
	reinvite(&p.c, &p.a, "@203.0.113.10");
	phones_end(&p.c, &p.a);
	end(&p);
}

/* Without the word nothing changes: a hop by TLS is one like any other. */
static void sip_over_tls_is_sip(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tcp\" }] } }\n"
	      FLOW_ROUTES);
	phone_calls(&p.a, "sip:bob@example.com", "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.c, "INVITE ");
	is_secret(&p.c);
	assert_string_equal(got_uri(&p.c.invite), "sip:bob@example.com");
	assert_int_equal(strncmp(got_contact(&p.c.invite), "sip:", 4), 0);
	assert_non_null(strstr(got_contact(&p.c.invite), ";transport=tls"));
	phones_answered(&p.a, &p.c);
	goes_on(&p.c, &p.a);
	phones_end(&p.a, &p.c);
	end(&p);
}

static void nobody_has_tls(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, FLOW_ONE);
	phone_calls(&p.a, URI, "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.a, "SIP/2.0 480 SIPS Not Allowed");
	assert_true(got_has(&p.a.got, WARNING));
	phone_acks_refusal(&p.a);
	assert_non_null(strstr(p.rig->cdrs[0], "sips-not-possible"));
	end(&p);
}

/* It came in the open: whoever it is for, it is no secret any more. */
static void it_came_in_the_open(void **state)
{
	static const uint8_t open[] = { T_TCP, T_WS };
	struct pair p;

	(void)state;
	begin(&p, POOL(""));
	p.a.listener = EDGE;
	phone_calls(&p.a, URI, "", OFFER);
	phone_gets(&p.a, "SIP/2.0 480 SIPS Not Allowed");
	assert_true(got_has(&p.a.got, WARNING));
	phone_acks_refusal(&p.a);
	phone_begins(&p.a, "MESSAGE", URI, "", "hello");
	phone_gets(&p.a, "SIP/2.0 480");
	for (unsigned i = 0; i < 2; i++) { /* and nobody could take it otherwise */
		rig_becomes(p.rig, EDGE_TCP, open[i]);
		p.a.listener = EDGE_TCP;
		phone_calls(&p.a, URI, "", OFFER);
		phone_gets(&p.a, "SIP/2.0 416");
		phone_acks_refusal(&p.a);
	}
	assert_int_equal(rig_count(p.rig, CALLS_STARTED), 0);
	end(&p);
}

/* Who knows all about the call and has no TLS is nobody. */
static void what_comes_in_the_open_is_not_of_it(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, POOL(""));
	talk(&p);
	p.a.listener = EDGE;
	phone_asks(&p.a, "INFO", "", "");
	phone_gets(&p.a, "SIP/2.0 481");
	phone_asks(&p.a, "BYE", "", "");
	phone_gets(&p.a, "SIP/2.0 481");
	p.c.listener = CORE;
	phone_asks(&p.c, "BYE", "", "");
	phone_gets(&p.c, "SIP/2.0 481");
	p.a.listener = EDGE_TCP;
	p.c.listener = CORE_TCP;
	goes_on(&p.a, &p.c);
	goes_on(&p.c, &p.a);
	phones_end(&p.a, &p.c);
	end(&p);
}

/* A Contact that leads into the open leads nowhere: requests go on by TLS. */
static void a_contact_in_the_open(void **state)
{
	static const char *const contacts[] = { "sip:FAR-carol@10.0.0.22:5060", "sip:FAR-carol@10.0.0.22:5060;transport=tcp",
		                                "sip:FAR-carol@carol.test" };

	(void)state;
	for (unsigned i = 0; i < sizeof(contacts) / sizeof(*contacts); i++) {
		struct pair p;

		begin(&p, POOL(""));
		strcpy(p.c.uri, contacts[i]);
		talk(&p);
		goes_on(&p.a, &p.c);
		phones_end(&p.a, &p.c);
		is_secret(&p.c);
		end(&p);
	}
}

static void at_a_destination(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, POOL(", request-uri: destination"));
	phone_calls(&p.a, URI, "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.c, "INVITE ");
	assert_string_equal(got_uri(&p.c.invite), "sips:bob@10.0.0.22:5060");
	phone_answers(&p.c, 486, "", "");
	phone_gets(&p.c, "ACK ");
	phone_gets(&p.a, "SIP/2.0 486");
	phone_acks_refusal(&p.a);
	end(&p);
}

static void redirected(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, POOL(""));
	phone_calls(&p.a, URI, "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.c, "INVITE ");
	flow_answer(p.rig, CAROL, CORE_TCP, &p.c.invite, 302, "<" URI ">;tag=FAR-carol", "<sips:dave@10.0.0.22:5060>", "", "");
	phone_gets(&p.c, "ACK ");
	phone_gets(&p.a, "SIP/2.0 302");
	is_sips(got_contact(&p.a.got), "@203.0.113.10");
	phone_acks_refusal(&p.a);
	end(&p);
}

/* RFC 5630 §5.1.1.1: from sips nobody is led to sip. */
static void not_led_astray(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tcp\" }] } }\n"
	      "routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow }]\n");
	phone_calls(&p.a, URI, "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.c, "INVITE ");
	flow_answer(p.rig, CAROL, CORE_TCP, &p.c.invite, 302, "<" URI ">;tag=FAR-carol", "<sip:dave@10.0.0.21:5060>", "", "");
	phone_gets(&p.c, "ACK ");
	phone_gets(&p.a, "SIP/2.0 480");
	phone_acks_refusal(&p.a);
	end(&p);
}

/* Who registered a sips Contact is reached by sips; who did not, is not (RFC 5630 §5.3). */
static void registered(void **state)
{
	struct phone desk;
	struct pair p;

	(void)state;
	begin(&p, HOME);
	phone_new(&desk, p.rig, "desk", DESK);
	desk.listener = EDGE_TCP;
	home_registers(&desk, "bob", "", "");
	phone_calls(&p.a, URI, "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.a, "SIP/2.0 480 SIPS Not Allowed");
	phone_acks_refusal(&p.a);
	home_registers(&desk, "bob", ";expires=0", "");
	snprintf(desk.uri, sizeof(desk.uri), "sips:desk@%s", DESK);
	home_registers(&desk, "bob", "", "");
	for (unsigned i = 0; i < 2; i++) {
		desk.call_id[0] = p.a.call_id[0] = 0;
		desk.peer_cseq = p.a.peer_cseq = 0;
		phone_calls(&p.a, i ? "sip:bob@example.com" : URI, "", OFFER);
		phone_gets(&p.a, "SIP/2.0 100");
		phone_gets(&desk, "INVITE ");
		is_secret(&desk);
		assert_string_equal(got_uri(&desk.invite), desk.uri);
		is_sips(got_contact(&desk.invite), "@203.0.113.10");
		phones_answered(&p.a, &desk);
		phones_end(&p.a, &desk);
	}
	phone_free(&desk);
	end(&p);
}

static void it_outlives_a_node(void **state)
{
	struct rig_records all = { .n = 0 };
	struct pair p;

	(void)state;
	begin(&p, POOL(""));
	talk(&p);
	rig_export(p.rig, &all);
	assert_int_equal(all.n, 1);
	rig_free(p.rig, false);
	p.rig = p.a.rig = p.c.rig = rig_new(POOL(""), 1, 2);
	becomes_secure(p.rig);
	assert_int_equal(b2bua_apply(p.rig->workers[0].calls, all.of[0]), 0);
	rig_records_free(&all);
	reinvite(&p.a, &p.c, "@10.0.0.10");
	reinvite(&p.c, &p.a, "@203.0.113.10");
	p.a.listener = EDGE;
	phone_asks(&p.a, "BYE", "", "");
	phone_gets(&p.a, "SIP/2.0 481");
	p.a.listener = EDGE_TCP;
	phones_end(&p.c, &p.a);
	end(&p);
}

static void transports_of_uris(void **state)
{
	(void)state;
	assert_int_equal(sips_transport(false, T_NONE), T_UDP);
	assert_int_equal(sips_transport(false, T_WS), T_WS);
	assert_int_equal(sips_transport(true, T_NONE), T_TLS);
	assert_int_equal(sips_transport(true, T_TCP), T_TLS); /* RFC 5630 §3.1.4: TLS over TCP */
	assert_int_equal(sips_transport(true, T_TLS), T_TLS);
	assert_int_equal(sips_transport(true, T_WS), T_WSS);  /* RFC 7118 §5 */
	assert_int_equal(sips_transport(true, T_UDP), T_NONE);
	assert_true(sips_is(SV("SIPS:bob@example.com")) && sips_is(SV("sips:bob@example.com")));
	assert_false(sips_is(SV("sip:sips:bob@example.com")) || sips_is(SV("sip:")) || sips_is(SV("tel:123456")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_the_way),
		cmocka_unit_test(sip_over_tls_is_sip),
		cmocka_unit_test(nobody_has_tls),
		cmocka_unit_test(it_came_in_the_open),
		cmocka_unit_test(what_comes_in_the_open_is_not_of_it),
		cmocka_unit_test(a_contact_in_the_open),
		cmocka_unit_test(at_a_destination),
		cmocka_unit_test(redirected),
		cmocka_unit_test(not_led_astray),
		cmocka_unit_test(registered),
		cmocka_unit_test(it_outlives_a_node),
		cmocka_unit_test(transports_of_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
