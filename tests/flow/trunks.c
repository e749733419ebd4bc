/* Carriers: whose a call is, what a trunk may take, and what it is called there. */
#include "tests/flow/flow.h"
#include "dispatcher/trunk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define CARRIER "198.51.100.1:5060"
#define BACKUP "198.51.100.2:5060"
#define OTHER "198.51.101.9:5060"
/* Bob is a server of ours; the carrier is on the public side. */
#define TRUNK(options) \
	FLOW_ZONES \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }, { name: c2, uri: \"sip:198.51.100.2\", " \
	"priority: 1 }] }\n" \
	"routes:\n" \
	"  - { when: { trunk: carrier }, to: { pool: apps } }\n" \
	"  - { when: { zone: core }, to: { pool: out }, relay: true }\n" \
	"trunks:\n" \
	"  carrier: { zone: public, pool: out, match: { source: 198.51.100.0/24 }" options " }\n" \
	"  another: { zone: public, match: { source: [198.51.101.0/24, 198.51.100.77] } }\n"

/* A call of its own from `who`, who is on the public side or, with CORE, a server of ours. */
static void calls_as(struct rig *r, const char *who, const char *to, unsigned n, const char *from, const char *uri, const char *extra)
{
	rig_say(r, who, to, SDP,
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKtrunk%u;rport\nMax-Forwards: 70\n"
	        "From: %s;tag=t%u\nTo: <%s>\nCall-ID: trunk%u\nCSeq: 1 INVITE\nContact: <sip:me@%s>\nContent-Type: application/sdp\n%s",
	        uri, who, n, from, n, uri, n, who, extra);
}

static void calls_in(struct rig *r, const char *who, unsigned n)
{
	calls_as(r, who, EDGE, n, "<sip:+1@carrier.example>", "sip:+4930@203.0.113.10", "");
}

static void calls_out(struct rig *r, unsigned n)
{
	calls_as(r, BOB, CORE, n, "\"Bob\" <sip:+4930@10.0.0.21>", "sip:+49176@10.0.0.10", "");
}

static void answers(struct rig *r, const char *who, const struct got *g, unsigned status, const char *extra)
{
	char to[256], contact[64];

	snprintf(to, sizeof(to), "%s;tag=far", got_value(g, HDR_TO));
	snprintf(contact, sizeof(contact), "<sip:%s>", who);
	flow_answer(r, who, !strcmp(who, BOB) ? CORE : EDGE, g, status, to, status < 300 ? contact : NULL, extra, "");
}

static struct trunk_info info(struct rig *r)
{
	struct trunk_info i;

	trunk_info(r->shared.pools, r->conf, &r->conf->trunks[0], &i);
	return i;
}

static void end(struct rig *r)
{
	static const char *const all[] = { CARRIER, BACKUP, OTHER, BOB, ALICE };

	rig_after(r, 3600000);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		rig_forget(r, all[i]);
	assert_int_equal(info(r).calls_in, 0);
	assert_int_equal(info(r).calls_out, 0);
	rig_free(r, true);
}

/* By its source, the longest network first; nobody else gets in by its rule. */
static void a_trunk_is_known_by_its_source(void **state)
{
	struct rig *r = rig_new(TRUNK(""), 2, 1);
	struct got g = { 0 };

	(void)state;
	calls_in(r, CARRIER, 1);
	rig_expect(r, CARRIER, "SIP/2.0 100", &g);
	rig_expect(r, BOB, "INVITE sip:+4930@203.0.113.10 SIP/2.0", &g);
	answers(r, BOB, &g, 486, "");
	rig_forget(r, BOB);
	rig_expect(r, CARRIER, "SIP/2.0 486", &g);
	calls_in(r, "198.51.100.77:5060", 2);
	rig_expect(r, "198.51.100.77:5060", "SIP/2.0 404", &g);
	calls_in(r, OTHER, 3);
	rig_expect(r, OTHER, "SIP/2.0 404", &g);
	calls_in(r, ALICE, 4);
	rig_expect(r, ALICE, "SIP/2.0 404", &g);
	calls_as(r, "198.51.100.1:5060", CORE, 5, "<sip:a@b>", "sip:x@10.0.0.10", ""); /* in another zone it is nobody */
	rig_expect(r, CARRIER, "SIP/2.0 404", &g);
	rig_expect_silence(r, BOB);
	got_free(&g);
	end(r);
}

/* Both directions together: what is refused hears when to come again, and is counted by trunk. */
static void calls_at_once(void **state)
{
	struct rig *r = rig_new(TRUNK(", limits: { calls: 2 }"), 2, 1);
	struct got in = { 0 }, out = { 0 }, g = { 0 };

	(void)state;
	calls_in(r, CARRIER, 1);
	rig_expect(r, BOB, "INVITE ", &in);
	assert_int_equal(info(r).calls_in, 1);
	calls_out(r, 2);
	rig_expect(r, CARRIER, "SIP/2.0 100", &g);
	rig_expect(r, CARRIER, "INVITE ", &out);
	answers(r, CARRIER, &out, 180, "");
	assert_int_equal(info(r).calls_out, 1);
	calls_in(r, CARRIER, 3);
	rig_expect(r, CARRIER, "SIP/2.0 503", &g);
	assert_true(got_has(&g, "\r\nRetry-After: 5\r\n"));
	rig_forget(r, BOB);
	calls_out(r, 4);
	rig_expect(r, BOB, "SIP/2.0 100", &g);
	rig_expect(r, BOB, "SIP/2.0 503", &g);
	assert_int_equal(info(r).refused[TRUNK_FULL], 2);
	assert_int_equal(info(r).refused[TRUNK_FAST], 0);
	answers(r, BOB, &in, 486, ""); /* one place is free again */
	rig_after(r, 100);
	assert_int_equal(info(r).calls_in, 0);
	rig_forget(r, CARRIER);
	calls_out(r, 5);
	rig_expect(r, CARRIER, "INVITE ", &g);
	answers(r, CARRIER, &g, 486, "");
	answers(r, CARRIER, &out, 486, "");
	got_free(&in);
	got_free(&out);
	got_free(&g);
	end(r);
}

/* The same call with credentials wants to go where it was challenged: there is no room, and that is one refusal. */
static void a_call_that_comes_again_is_refused_once(void **state)
{
	struct rig *r = rig_new(TRUNK(", limits: { calls: 1 }"), 1, 1);
	struct got in = { 0 }, g = { 0 };
	struct dest_info first;

	(void)state;
	calls_out(r, 1);
	rig_expect(r, CARRIER, "INVITE ", &g);
	answers(r, CARRIER, &g, 407, "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\"\n");
	rig_after(r, 10);
	rig_forget(r, BOB);
	rig_forget(r, CARRIER);
	calls_in(r, CARRIER, 2);
	rig_expect(r, BOB, "INVITE ", &in);
	rig_say(r, BOB, CORE, SDP,
	        "INVITE sip:+49176@10.0.0.10 SIP/2.0\nVia: SIP/2.0/UDP " BOB ";branch=z9hG4bKagain;rport\nMax-Forwards: 70\n"
	        "From: \"Bob\" <sip:+4930@10.0.0.21>;tag=t1\nTo: <sip:+49176@10.0.0.10>\nCall-ID: trunk1\nCSeq: 2 INVITE\n"
	        "Contact: <sip:me@" BOB ">\nContent-Type: application/sdp\n"
	        "Proxy-Authorization: Digest username=\"b\", realm=\"x\", nonce=\"n\", uri=\"sip:+49176@10.0.0.10\", response=\"0\"\n");
	rig_expect(r, BOB, "SIP/2.0 100", &g);
	rig_expect(r, BOB, "SIP/2.0 503", &g);
	assert_int_equal(info(r).refused[TRUNK_FULL], 1);
	dest_info(r->shared.pools, pools_slot(r->shared.pools, r->conf, 1), &first);
	assert_int_equal(first.calls, 1); /* the second never was there */
	answers(r, BOB, &in, 486, "");
	got_free(&in);
	got_free(&g);
	end(r);
}

/* Two a second, of which both may come at once. */
static void new_calls_a_second(void **state)
{
	struct rig *r = rig_new(TRUNK(", limits: { rate: 2/s }"), 2, 1);
	struct got g = { 0 };

	(void)state;
	for (unsigned i = 1; i <= 3; i++)
		calls_in(r, CARRIER, i);
	rig_expect(r, CARRIER, "SIP/2.0 100", &g);
	rig_expect(r, CARRIER, "SIP/2.0 100", &g);
	rig_expect(r, CARRIER, "SIP/2.0 503", &g);
	rig_expect_silence(r, CARRIER);
	calls_out(r, 4); /* the other direction has the same share */
	rig_forget(r, BOB);
	rig_expect_silence(r, CARRIER);
	assert_int_equal(info(r).refused[TRUNK_FAST], 2);
	rig_after(r, 500);
	calls_out(r, 5);
	rig_take(r, CARRIER, "INVITE ", &g);
	assert_int_equal(g.v.method, M_INVITE);
	got_free(&g);
	end(r);
}

/* A trunk that is full spills like a pool that is. */
static void a_full_trunk_spills(void **state)
{
	struct rig *r = rig_new(FLOW_ZONES
	                        "pools:\n"
	                        "  out: { zone: public, probe: off, spill: more, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }] }\n"
	                        "  more: { zone: public, probe: off, destinations: [{ name: o1, uri: \"sip:198.51.101.9\" }] }\n"
	                        "routes: [{ when: { zone: core }, to: { pool: out }, relay: true }]\n"
	                        "trunks: { carrier: { zone: public, pool: out, limits: { calls: 1 }, match: { source: 198.51.100.1 } },\n"
	                        "          dear: { zone: public, pool: more, domain: dear.example, match: { source: 198.51.101.9 } } }\n",
	                        1, 1);
	struct got first = { 0 }, second = { 0 };

	(void)state;
	calls_out(r, 1);
	rig_expect(r, CARRIER, "INVITE sip:+49176@10.0.0.10 SIP/2.0", &first);
	calls_out(r, 2);
	rig_expect(r, OTHER, "INVITE sip:+49176@dear.example SIP/2.0", &second);
	assert_int_equal(rig_count(r, CALLS_SPILLED), 1);
	answers(r, CARRIER, &first, 486, "");
	answers(r, OTHER, &second, 486, "");
	got_free(&first);
	got_free(&second);
	end(r);
}

static bool last_record_has(const struct rig *r, const char *what)
{
	assert_true(r->n_cdrs);
	return strstr(r->cdrs[r->n_cdrs - 1], what) != NULL;
}

/* Whom to bill: where a call came from, and where it went or was tried last. */
static void call_records_name_it(void **state)
{
	struct rig *r = rig_new(TRUNK(""), 1, 1);
	struct got g = { 0 };

	(void)state;
	calls_in(r, CARRIER, 1);
	rig_expect(r, BOB, "INVITE ", &g);
	answers(r, BOB, &g, 486, "");
	rig_after(r, 10);
	assert_true(last_record_has(r, "\"from_trunk\":\"carrier\""));
	assert_false(last_record_has(r, "to_trunk"));
	rig_forget(r, BOB);
	rig_forget(r, CARRIER);
	calls_out(r, 2);
	rig_expect(r, CARRIER, "INVITE ", &g);
	answers(r, CARRIER, &g, 486, "");
	rig_after(r, 10);
	assert_true(last_record_has(r, "\"to_trunk\":\"carrier\""));
	assert_false(last_record_has(r, "from_trunk"));
	rig_forget(r, BOB);
	rig_forget(r, CARRIER);
	calls_out(r, 3);
	rig_expect(r, CARRIER, "INVITE ", &g);
	answers(r, CARRIER, &g, 200, "");
	rig_after(r, 40000); /* Bob says nothing any more: both get BYE */
	assert_int_equal(r->n_cdrs, 3);
	assert_true(last_record_has(r, "\"no-ack\""));
	assert_true(last_record_has(r, "\"to_trunk\":\"carrier\""));
	got_free(&g);
	end(r);
}

/* Its domain stands in Request-URI, From and To of what goes there; names of nobody stay, and what an Identity signs. */
static void its_domain_is_put_in(void **state)
{
	struct rig *r = rig_new(TRUNK(", domain: carrier.example"), 1, 1);
	struct got g = { 0 };

	(void)state;
	calls_out(r, 1);
	rig_expect(r, CARRIER, "INVITE sip:+49176@carrier.example SIP/2.0", &g);
	assert_true(got_has(&g, "\r\nFrom: \"Bob\" <sip:+4930@carrier.example>;tag="));
	assert_true(got_has(&g, "\r\nTo: <sip:+49176@carrier.example>\r\n"));
	answers(r, CARRIER, &g, 486, "");
	rig_forget(r, CARRIER);
	calls_as(r, BOB, CORE, 2, "<sip:anonymous@anonymous.invalid>", "tel:+49176", "");
	rig_expect(r, CARRIER, "INVITE tel:+49176 SIP/2.0", &g);
	assert_true(got_has(&g, "\r\nFrom: <sip:anonymous@anonymous.invalid>;tag="));
	answers(r, CARRIER, &g, 486, "");
	rig_forget(r, CARRIER);
	calls_as(r, BOB, CORE, 3, "<sip:+4930@10.0.0.21>", "sip:+49176@10.0.0.10", "Identity: signed\n");
	rig_expect(r, CARRIER, "INVITE sip:+49176@carrier.example SIP/2.0", &g);
	assert_true(got_has(&g, "\r\nFrom: <sip:+4930@10.0.0.21>;tag="));
	answers(r, CARRIER, &g, 486, "");
	got_free(&g);
	end(r);
}

/* DESIGN §7: another node counts the call as the trunk's, too, and its end once. */
static void its_calls_outlive_a_node(void **state)
{
	struct rig *r = rig_new(TRUNK(", limits: { calls: 1 }"), 1, 1);
	struct got g = { 0 };

	(void)state;
	calls_in(r, CARRIER, 1);
	rig_expect(r, BOB, "INVITE ", &g);
	answers(r, BOB, &g, 180, "");
	r = rig_take_over(r, TRUNK(", limits: { calls: 1 }"), 2, 1);
	assert_int_equal(info(r).calls_in, 1);
	rig_forget(r, CARRIER);
	calls_in(r, CARRIER, 2);
	rig_after(r, 10);
	answers(r, BOB, &g, 486, "");
	rig_after(r, 10);
	assert_int_equal(info(r).refused[TRUNK_FULL], 1);
	assert_int_equal(info(r).calls_in, 0);
	got_free(&g);
	end(r);
}

/* A reload keeps what is counted; a trunk that is gone has nothing to say. */
static void a_reload_keeps_its_calls(void **state)
{
	struct rig *r = rig_new(TRUNK(""), 1, 1);
	struct got g = { 0 };

	(void)state;
	calls_in(r, CARRIER, 1);
	rig_expect(r, BOB, "INVITE ", &g);
	rig_reload(r, TRUNK(", limits: { calls: 1 }"));
	assert_int_equal(info(r).calls_in, 1);
	rig_forget(r, CARRIER);
	calls_in(r, CARRIER, 2);
	assert_int_equal(info(r).refused[TRUNK_FULL], 1);
	rig_reload(r, FLOW_ONE);
	answers(r, BOB, &g, 486, "");
	rig_after(r, 10);
	rig_reload(r, TRUNK(""));
	got_free(&g);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trunk_is_known_by_its_source),
		cmocka_unit_test(calls_at_once),
		cmocka_unit_test(a_call_that_comes_again_is_refused_once),
		cmocka_unit_test(new_calls_a_second),
		cmocka_unit_test(a_full_trunk_spills),
		cmocka_unit_test(call_records_name_it),
		cmocka_unit_test(its_domain_is_put_in),
		cmocka_unit_test(its_calls_outlive_a_node),
		cmocka_unit_test(a_reload_keeps_its_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
