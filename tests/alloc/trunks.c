/* Each allocation fails in turn while we register at a trunk, call there and get a call from there, with every request challenged. Whatever
 * fails: with memory again we register and calls go through, and when all is over nothing is left, nor counted. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include "dispatcher/trunk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define CARRIER "198.51.100.1:5060"
#define BEFORE \
	FLOW_ZONES \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }] }\n" \
	"routes:\n" \
	"  - { when: { source: 198.51.100.1, caller: any }, to: { pool: apps } }\n" \
	"  - { when: { zone: core }, to: { pool: out }, relay: true, max-duration: 5m }\n"
#define TRUNKS \
	"trunks:\n" \
	"  carrier: { zone: public, pool: out, domain: carrier.example, limits: { calls: 10 }, register: { user: \"4930\" }, " \
	"credentials: \"${SBC_TEST_TRUNK}\" }\n"

/* The carrier: whoever shows no credentials is challenged, everybody else gets a 200. */
struct carrier {
	struct rig *r;
	struct got g;
	char contact[128];           /* that registered last */
	unsigned invites;            /* answered */
};

static void carrier_answers(struct carrier *c)
{
	bool is_known = view_find(&c->g.v, HDR_AUTHORIZATION, 0), is_invite = c->g.v.method == M_INVITE;
	char to[256];

	if (c->g.v.method == M_ACK)
		return;
	if (c->g.v.method == M_REGISTER && is_known)
		snprintf(c->contact, sizeof(c->contact), "%s", got_contact(&c->g));
	c->invites += is_invite && is_known;
	snprintf(to, sizeof(to), "%s%s", got_value(&c->g, HDR_TO), *got_tag(&c->g, HDR_TO) ? "" : ";tag=far");
	flow_answer(c->r, CARRIER, EDGE, &c->g, is_known || c->g.v.method == M_CANCEL ? 200 : 401, to,
	            is_invite && is_known ? "<sip:gw@" CARRIER ">" : NULL,
	            !is_known        ? "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"n\", opaque=\"o\", qop=\"auth\"\n" :
	            is_invite        ? "Content-Type: application/sdp\n" : "", is_invite && is_known ? SDP : "");
}

/* Time passes, and the carrier says what it has to. */
static void goes_on(struct carrier *c, unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 50) {
		rig_after(c->r, 50);
		while (rig_take(c->r, CARRIER, "", &c->g))
			if (!c->g.v.status)
				carrier_answers(c);
	}
}

static void calls_out(struct carrier *c, unsigned n)
{
	struct got g = { 0 };

	rig_say(c->r, BOB, CORE, SDP,
	        "INVITE sip:+49176@10.0.0.10 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKout%u\nMax-Forwards: 70\n"
	        "From: <sip:+4930@10.0.0.21>;tag=bob\nTo: <sip:+49176@10.0.0.10>\nCall-ID: out%u\nCSeq: 1 INVITE\n"
	        "Contact: <sip:bob@10.0.0.21:5060>\nContent-Type: application/sdp\n", n, n);
	goes_on(c, 200);
	if (rig_take(c->r, BOB, "SIP/2.0 200", &g))
		rig_say(c->r, BOB, CORE, "",
		        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKack%u\nMax-Forwards: 70\n"
		        "From: <sip:+4930@10.0.0.21>;tag=bob\nTo: %s\nCall-ID: out%u\nCSeq: 1 ACK\n", got_contact(&g), n, got_value(&g, HDR_TO), n);
	goes_on(c, 100);
	got_free(&g);
}

/* To the Contact that registered; Bob is busy. */
static bool calls_in(struct carrier *c, unsigned n)
{
	struct got g = { 0 };
	bool has_rung;
	char to[256];

	rig_say(c->r, CARRIER, EDGE, SDP,
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP " CARRIER ";branch=z9hG4bKin%u\nMax-Forwards: 70\nFrom: <sip:+1@carrier.example>;tag=f\n"
	        "To: <sip:4930@carrier.example>\nCall-ID: in%u\nCSeq: 1 INVITE\nContact: <sip:gw@" CARRIER ">\n"
	        "Content-Type: application/sdp\n", *c->contact ? c->contact : "sip:4930@203.0.113.10", n, n);
	goes_on(c, 50);
	has_rung = rig_take(c->r, BOB, "INVITE ", &g);
	if (has_rung) {
		snprintf(to, sizeof(to), "%s;tag=b", got_value(&g, HDR_TO));
		flow_answer(c->r, BOB, CORE, &g, 486, to, NULL, "", "");
	}
	goes_on(c, 50);
	got_free(&g);
	return has_rung;
}

/* The trunk comes while memory fails. Returns the snapshot that was there before: it stays until all have left it. */
static struct conf *publish(struct rig *r, unsigned long n, unsigned long more)
{
	struct conf *old = r->conf;
	struct conf_notes notes;

	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&r->conf, "next", SV(BEFORE TRUNKS), &notes), 0);
	conf_notes_fini(&notes);
	r->conf->gen = old->gen + 1;
	assert_int_equal(pools_adopt(r->shared.pools, r->conf), 0);
	atomic_store(&r->shared.conf, r->conf);
	oom_arm(n, more);
	for (unsigned i = 0; i < r->shared.workers; i++)
		worker_tick(&r->workers[i], r->now_ms);
	return old;
}

static void forget(struct rig *r)
{
	rig_forget(r, BOB);
	rig_forget(r, CARRIER);
}

static bool failing(unsigned long n, unsigned long more)
{
	struct carrier c = { .r = rig_new(BEFORE, 2, 1) };
	struct conf *old = publish(c.r, n, more);
	struct trunk_info info;
	bool has_failed;

	goes_on(&c, 200);
	calls_out(&c, 1);
	calls_in(&c, 1);
	goes_on(&c, 300000); /* the BYE of max-duration */
	has_failed = oom_disarm();
	goes_on(&c, 400000);
	conf_free(old);
	forget(c.r);
	c.invites = 0;
	calls_out(&c, 2);
	assert_int_equal(c.invites, 1);
	forget(c.r);
	assert_true(*c.contact);
	assert_true(calls_in(&c, 2));
	goes_on(&c, 400000);
	trunk_info(c.r->shared.pools, c.r->conf, &c.r->conf->trunks[0], &info);
	assert_int_equal(info.calls_in + info.calls_out, 0);
	assert_true(info.registration.until_ms > c.r->now_ms);
	forget(c.r);
	got_free(&c.g);
	rig_reload(c.r, FLOW_ONE);
	rig_after(c.r, 600000);
	forget(c.r);
	rig_free(c.r, true);
	return has_failed;
}

static void each_allocation_fails(void **state)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		long live = oom_live();
		unsigned long n = 1;

		while (failing(n, more[i]))
			n++;
		if (i == 0)
			print_message("a trunk: %lu allocations, each of them failed\n", n - 1);
		assert_true(n > 3);
		assert_int_equal(oom_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_fails),
	};

	setenv("SBC_TEST_TRUNK", "me:pass:word", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
