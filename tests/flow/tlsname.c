/* Over TLS the other end has to prove the host of its next hop (RFC 5922 §7.3), in all that is sent there, and on the node that took over. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/unit/certs.h"

#define CORE_TLS "tls:10.0.0.10:5061"

static struct certs certs;

static int make(void **state)
{
	(void)state;
	certs_make(&certs);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	certs_drop(&certs);
	return 0;
}

static const char *yaml_of(const char *destination)
{
	static char yaml[2048];

	snprintf(yaml, sizeof(yaml), "node: test\nzones:\n  public: { listen: \"udp:203.0.113.10:5060\", domains: [example.com] }\n"
	         "  core: { listen: [\"udp:10.0.0.10:5060\", \"tls:10.0.0.10:5061\"], trust: [10.0.0.0/24], tls: [{ name: sip.example.com, cert: "
	         "%s/sip.pem, key: %s/sip.key }], tls-options: { ca: %s/ca.pem } }\n"
	         "pools: { apps: { zone: core, probe: off, destinations: [%s] } }\n" FLOW_ROUTES, certs.directory, certs.directory,
	         certs.directory, destination);
	return yaml;
}

struct pair {
	struct rig *rig;
	struct phone a, c;
};

static void begin(struct pair *p, const char *destination)
{
	p->rig = rig_new(yaml_of(destination), 2, 1);
	phone_new(&p->a, p->rig, "alice", ALICE);
	phone_new(&p->c, p->rig, "carol", CAROL);
	p->c.listener = CORE_TLS;
}

static void end(struct pair *p)
{
	phone_free(&p->a);
	phone_free(&p->c);
	rig_after(p->rig, 3600000);
	rig_free(p->rig, true);
}

static void wants(const struct phone *p, const char *name)
{
	assert_int_equal(p->last->packet->transport, T_TLS);
	assert_string_equal(p->last->packet->tls_name, name);
}

static void talk(struct pair *p, const char *name, const char *contact)
{
	snprintf(p->c.uri, sizeof(p->c.uri), "%s", contact);
	phone_calls(&p->a, "sip:bob@example.com", "", OFFER);
	phone_gets(&p->a, "SIP/2.0 100");
	phone_gets(&p->c, "INVITE ");
	wants(&p->c, name);
	phone_answers(&p->c, 200, "", ANSWER);
	phone_gets(&p->a, "SIP/2.0 200");
	phone_acks(&p->a, "");
	phone_gets(&p->c, "ACK ");
}

static void hang_up(struct pair *p, const char *name)
{
	phone_asks(&p->a, "BYE", "", "");
	phone_gets(&p->c, "BYE ");
	wants(&p->c, name);
	phone_answers(&p->c, 200, "", "");
	phone_gets(&p->a, "SIP/2.0 200");
}

/* An address with a name of its own: also where its Contact is the address. */
static void what_is_configured(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, "{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tls\", tls-name: pbx.example.net }");
	talk(&p, "pbx.example.net", "sip:FAR-carol@10.0.0.22:5060;transport=tls");
	wants(&p.c, "pbx.example.net");
	hang_up(&p, "pbx.example.net");
	end(&p);
}

/* Another port of it is the same server. */
static void what_is_configured_holds_at_other_ports(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, "{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tls\", tls-name: pbx.example.net }");
	snprintf(p.c.uri, sizeof(p.c.uri), "sip:FAR-carol@10.0.0.22:5062;transport=tls");
	phone_calls(&p.a, "sip:bob@example.com", "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.c, "INVITE ");
	phone_answers(&p.c, 200, "", ANSWER);
	p.c.at = "10.0.0.22:5062";
	phone_gets(&p.a, "SIP/2.0 200");
	phone_acks(&p.a, "");
	phone_gets(&p.c, "ACK ");
	hang_up(&p, "pbx.example.net");
	end(&p);
}

/* An address without: it has to prove that. */
static void an_address_is_nobody_else(void **state)
{
	struct pair p;

	(void)state;
	begin(&p, "{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tls\" }");
	talk(&p, "", "sip:FAR-carol@10.0.0.22:5060;transport=tls");
	hang_up(&p, "");
	end(&p);
}

/* A call goes on where its server has proved to be the same, on another node too. */
static void the_other_node_wants_the_same(void **state)
{
	const char *yaml;
	struct pair p;

	(void)state;
	begin(&p, "{ name: carol, uri: \"sip:10.0.0.22:5060;transport=tls\", tls-name: pbx.example.net }");
	talk(&p, "pbx.example.net", "sip:FAR-carol@10.0.0.22:5060;transport=tls");
	yaml = yaml_of("{ name: other, uri: \"sip:10.0.0.29:5060;transport=tls\" }"); /* which does not know it from its configuration */
	p.rig = p.a.rig = p.c.rig = rig_take_over(p.rig, yaml, 1, 1);
	hang_up(&p, "pbx.example.net");
	end(&p);
}

#define CORE_WSS "wss:10.0.0.10:8443"

/* Where there is no room for the name that has to be proved, nothing is sent: a WebSocket of the same place that proves none is another. */
static void no_room_for_a_name(void **state)
{
	static char yaml[2048];
	struct pair p;
	char name[32];

	(void)state;
	snprintf(yaml, sizeof(yaml), "node: test\nzones:\n  public: { listen: \"udp:203.0.113.10:5060\", domains: [example.com] }\n"
	         "  core: { listen: [\"udp:10.0.0.10:5060\", \"" CORE_WSS "\"], trust: [10.0.0.0/24], tls: [{ name: sip.example.com, cert: "
	         "%s/sip.pem, key: %s/sip.key }], tls-options: { ca: %s/ca.pem } }\n"
	         "pools: { apps: { zone: core, probe: off, destinations: [{ name: carol, uri: \"sip:10.0.0.22:5060;transport=wss\", "
	         "path: \"/ws\" }] } }\n" FLOW_ROUTES, certs.directory, certs.directory, certs.directory);
	p.rig = rig_new(yaml, 1, 1);
	p.rig->names[p.rig->n_names++] = (struct rig_name){ .host = "carol.example.net" };
	assert_int_equal(addr_parse(&p.rig->names[0].addr, SV("10.0.0.22")), 0);
	phone_new(&p.a, p.rig, "alice", ALICE);
	phone_new(&p.c, p.rig, "carol", CAROL);
	p.c.listener = CORE_WSS;
	snprintf(p.c.uri, sizeof(p.c.uri), "sip:FAR-carol@carol.example.net:5060;transport=ws");
	phone_calls(&p.a, "sip:bob@example.com", "", OFFER);
	phone_gets(&p.a, "SIP/2.0 100");
	phone_gets(&p.c, "INVITE ");
	assert_string_equal(p.c.last->packet->tls_name, "/ws");
	phone_answers(&p.c, 200, "", ANSWER);
	phone_gets(&p.a, "SIP/2.0 200");
	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "n%u.example.org", i);
		if (expected_id(&p.rig->expected, sv_from(name), true, p.rig->now_ms) == NET_NAME_NOBODY)
			break;
	}
	phone_acks(&p.a, "");
	phone_gets(&p.c, "ACK ");
	assert_int_equal(p.c.last->packet->transport, T_WSS);
	assert_string_equal(p.c.last->packet->tls_name, "");
	phone_asks(&p.a, "BYE", "", "");
	phone_gets(&p.c, "BYE ");
	phone_answers(&p.c, 200, "", "");
	phone_gets(&p.a, "SIP/2.0 200");
	end(&p);
}

static const char *trunks_yaml(void)
{
	static char yaml[2048];

	snprintf(yaml, sizeof(yaml), "node: test\nzones:\n"
	         "  public: { listen: [\"udp:203.0.113.10:5060\", \"tls:203.0.113.10:5061\"], domains: [example.com], tls: [{ name: "
	         "sip.example.com, cert: %s/sip.pem, key: %s/sip.key }], tls-options: { ca: %s/ca.pem, verify-client: optional } }\n"
	         "  core: { listen: \"udp:10.0.0.10:5060\", trust: [10.0.0.0/24] }\n"
	         "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
	         "trunks:\n  carrier: { zone: public, match: { tls-name: sip.carrier.example } }\n"
	         "  other: { zone: public, match: { source: 192.0.2.0/24 } }\n"
	         "routes: [{ when: { trunk: carrier }, to: { pool: apps } }]\n", certs.directory, certs.directory, certs.directory);
	return yaml;
}

static void asks(struct rig *r, const char *to, unsigned n)
{
	rig_say(r, ALICE, to, OFFER,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/%s %s;branch=z9hG4bKproof%u\nMax-Forwards: 70\n"
	        "From: <sip:+1@carrier.example>;tag=p%u\nTo: <sip:bob@example.com>\nCall-ID: proof%u\nCSeq: 1 INVITE\n"
	        "Contact: <sip:me@%s>\nContent-Type: application/sdp\n",
	        strncmp(to, "tls", 3) ? "UDP" : "TLS", ALICE, n, n, n, ALICE);
}

static void is_let_in(struct rig *r, const char *to, unsigned n)
{
	struct got g = { 0 };

	asks(r, to, n);
	rig_expect(r, ALICE, "SIP/2.0 100", &g);
	rig_expect(r, BOB, "INVITE ", &g);
	flow_answer(r, BOB, CORE, &g, 486, "<sip:bob@example.com>;tag=b", NULL, "", "");
	rig_forget(r, BOB);
	rig_expect(r, ALICE, "SIP/2.0 486", &g);
	got_free(&g);
}

static void is_kept_out(struct rig *r, const char *to, unsigned n)
{
	struct got g = { 0 };

	asks(r, to, n);
	rig_expect(r, ALICE, "SIP/2.0 404", &g);
	got_free(&g);
}

/* A carrier is known by what its certificate proves, whichever worker the call is for, and by nothing else that is there. */
static void a_trunk_is_known_by_its_name(void **state)
{
	static const char edge[] = "tls:203.0.113.10:5061";
	struct rig *r = rig_new(trunks_yaml(), 2, 1);

	(void)state;
	r->has_flows = true;
	assert_int_equal(addr_parse(&r->proven_at, sv_from(ALICE)), 0);
	is_kept_out(r, edge, 1);
	r->proven = "SIP.Carrier.Example";
	for (unsigned n = 2; n < 10; n++)
		is_let_in(r, edge, n);
	is_kept_out(r, EDGE, 10); /* the same address in the open */
	r->proven = "carrier.example";
	is_kept_out(r, edge, 11);
	rig_after(r, 3600000);
	rig_forget(r, ALICE);
	rig_free(r, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_configured),
		cmocka_unit_test(what_is_configured_holds_at_other_ports),
		cmocka_unit_test(an_address_is_nobody_else),
		cmocka_unit_test(the_other_node_wants_the_same),
		cmocka_unit_test(no_room_for_a_name),
		cmocka_unit_test(a_trunk_is_known_by_its_name),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
