/* Our registrations at trunks: asked for, granted, refreshed, refused, taken back; and calls to the Contact that was registered. */
#include "tests/flow/flow.h"
#include "dispatcher/trunk.h"
#include "registrar/digest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define CARRIER "198.51.100.1:5060"
#define BACKUP "198.51.100.2:5060"
#define TRANSIT "198.51.100.77:5060"
#define BASE(trunks) \
	FLOW_ZONES \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"sip:198.51.100.1\" }, { name: c2, uri: \"sip:198.51.100.2\", " \
	"priority: 1 }] }\n" \
	"routes:\n" \
	"  - { when: { trunk: carrier, user: \"4930*\" }, to: { pool: apps } }\n" \
	"  - { when: { caller: trusted }, to: { pool: out } }\n" \
	trunks
#define TRUNK(options) "trunks: { carrier: { zone: public, pool: out, domain: carrier.example, register: { user: \"4930\"" options " } }\n"
#define CONF(options) BASE(TRUNK(options))
#define PLAIN CONF(" }")

struct line {
	struct rig *r;
	struct got g;        /* the last REGISTER */
	char contact[128], call_id[64];
	unsigned cseq;
};

static void at_once(struct line *l, const char *who)
{
	rig_expect(l->r, who, "REGISTER sip:carrier.example SIP/2.0", &l->g);
	assert_true(got_has(&l->g, "\r\nFrom: <sip:4930@carrier.example>;tag="));
	assert_true(got_has(&l->g, "\r\nTo: <sip:4930@carrier.example>\r\n"));
	assert_true(l->g.v.cseq > l->cseq);
	if (*l->call_id) {
		assert_string_equal(got_value(&l->g, HDR_CALL_ID), l->call_id);
		assert_string_equal(got_contact(&l->g), l->contact);
	}
	l->cseq = l->g.v.cseq;
	snprintf(l->call_id, sizeof(l->call_id), "%s", got_value(&l->g, HDR_CALL_ID));
	snprintf(l->contact, sizeof(l->contact), "%s", got_contact(&l->g));
}

static void begin(struct line *l, const char *yaml, unsigned workers)
{
	*l = (struct line){ .r = rig_new(yaml, workers, 1) };
	rig_after(l->r, 100);
	at_once(l, CARRIER);
	assert_non_null(strstr(got_value(&l->g, HDR_CONTACT), ">;expires="));
}

/* To the listener that it came from. */
static void answers(struct line *l, const char *who, unsigned status, const char *lines)
{
	char to[128];

	snprintf(to, sizeof(to), "%s;tag=reg", got_value(&l->g, HDR_TO));
	flow_answer(l->r, who, l->g.packet->transport == T_UDP ? EDGE : EDGE_TCP, &l->g, status, to, NULL, lines, "");
}

static struct trunk_registration state(const struct line *l)
{
	struct trunk_info i;

	trunk_info(l->r->shared.pools, l->r->conf, &l->r->conf->trunks[0], &i);
	return i.registration;
}

static bool is_registered(const struct line *l)
{
	return state(l).until_ms > l->r->now_ms;
}

/* Time passes until the next REGISTER; how much. */
static uint64_t until_next(struct line *l, const char *who, uint64_t most_ms)
{
	uint64_t from = l->r->now_ms;

	while (!rig_has_message(l->r, who)) {
		if (l->r->now_ms - from > most_ms)
			fail_msg("no REGISTER in %lu ms", (unsigned long)most_ms);
		rig_after(l->r, 100);
	}
	at_once(l, who);
	return l->r->now_ms - from;
}

static void end(struct line *l)
{
	static const char *const all[] = { CARRIER, BACKUP, TRANSIT, BOB };

	got_free(&l->g);
	rig_reload(l->r, FLOW_ONE);
	rig_after(l->r, 600000);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		rig_forget(l->r, all[i]);
	for (unsigned w = 0; w < l->r->shared.workers; w++)
		assert_int_equal(b2bua_accounts(l->r->workers[w].calls), 0);
	rig_free(l->r, true);
}

/* §10.2: granted by our own Contact's expires; refreshed between half and four fifths of it; taken back when the trunk is gone. */
static void it_registers_and_refreshes(void **state_)
{
	struct line l;
	char lines[512];
	uint64_t ms;

	(void)state_;
	begin(&l, PLAIN, 4);
	assert_true(got_has(&l.g, "\r\nExpires: 3600\r\n"));
	assert_false(is_registered(&l));
	snprintf(lines, sizeof(lines), "Contact: <sip:x@203.0.113.77>;expires=9999, <%s>;expires=600\nExpires: 1800\n", l.contact);
	answers(&l, CARRIER, 200, lines);
	assert_true(is_registered(&l));
	assert_int_equal(state(&l).until_ms - l.r->now_ms, 600000);
	assert_int_equal(state(&l).status, 200);
	ms = until_next(&l, CARRIER, 480100);
	assert_in_range(ms, 300000, 480100);
	answers(&l, CARRIER, 200, "Expires: 1000\n");
	ms = until_next(&l, CARRIER, 800100);
	assert_in_range(ms, 500000, 800100);
	answers(&l, CARRIER, 200, ""); /* as it was asked for */
	ms = until_next(&l, CARRIER, 2880100);
	assert_in_range(ms, 1800000, 2880100);
	answers(&l, CARRIER, 200, "Expires: 99999\n"); /* not longer than that */
	assert_int_equal(state(&l).until_ms - l.r->now_ms, 3600000);
	rig_reload(l.r, FLOW_ONE);
	at_once(&l, CARRIER);
	assert_true(got_has(&l.g, ">;expires=0\r\n"));
	answers(&l, CARRIER, 200, "");
	end(&l);
}

/* The challenge is answered like any other's, in the taking back, too; what is not taken is asked for ever more rarely. */
static void it_shows_who_it_is(void **state_)
{
	static const char challenge[] = "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\n";
	struct digest_credentials c;
	struct line l;

	(void)state_;
	begin(&l, CONF(" }, credentials: \"${SBC_TEST_TRUNK}\""), 1);
	answers(&l, CARRIER, 401, challenge);
	at_once(&l, CARRIER);
	assert_int_equal(digest_parse(&c, view_value(&l.g.v, HDR_AUTHORIZATION)), 0);
	assert_true(c.is_complete && sv_eq(c.uri, SV("sip:carrier.example")) && sv_eq(digest_user(&c), SV("me")));
	answers(&l, CARRIER, 200, "Expires: 100\n");
	assert_true(is_registered(&l));
	until_next(&l, CARRIER, 80100);
	answers(&l, CARRIER, 401, challenge);
	at_once(&l, CARRIER);
	answers(&l, CARRIER, 401, challenge); /* not this time */
	rig_expect_silence(l.r, CARRIER);
	assert_int_equal(state(&l).status, 401);
	assert_true(is_registered(&l)); /* the last one still holds */
	until_next(&l, CARRIER, 30100);
	answers(&l, CARRIER, 200, "Expires: 100\n");
	rig_reload(l.r, FLOW_ONE);
	at_once(&l, CARRIER);
	assert_true(got_has(&l.g, ">;expires=0\r\n"));
	answers(&l, CARRIER, 401, challenge);
	at_once(&l, CARRIER);
	assert_non_null(view_find(&l.g.v, HDR_AUTHORIZATION, 0));
	assert_true(got_has(&l.g, ">;expires=0\r\n"));
	answers(&l, CARRIER, 200, "");
	rig_expect_silence(l.r, CARRIER);
	end(&l);
}

/* RFC 5626 §4.5: half of 30 s at least, then twice as long each time, up to an hour; or as long as was asked for. */
static void refusals_wait_longer_and_longer(void **state_)
{
	struct line l;
	uint64_t most = 30000;

	(void)state_;
	begin(&l, PLAIN, 1);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t ms;

		answers(&l, CARRIER, 403, "");
		rig_expect_silence(l.r, BACKUP);
		ms = until_next(&l, CARRIER, most + 100);
		assert_in_range(ms, most / 2, most + 100);
		most = most * 2 < 3600000 ? most * 2 : 3600000;
	}
	answers(&l, CARRIER, 503, "Retry-After: 7200\n");
	assert_false(is_registered(&l));
	assert_in_range(until_next(&l, CARRIER, 7200100), 7200000, 7200100);
	answers(&l, CARRIER, 200, "");
	assert_true(is_registered(&l));
	until_next(&l, CARRIER, 2880100);
	answers(&l, CARRIER, 403, "");
	assert_in_range(until_next(&l, CARRIER, 30100), 15000, 30100); /* it begins anew */
	end(&l);
}

#define NAMED(listen, uri) \
	"node: test\nzones:\n  public: { listen: [" listen "] }\n  core: { listen: [\"udp:10.0.0.10:5060\"], trust: [\"10.0.0.0/24\"] }\n" \
	"pools: { out: { zone: public, probe: off, destinations: [{ name: c1, uri: \"" uri "\" }] } }\n" \
	"routes: [{ when: { caller: trusted }, to: { pool: out } }]\n" TRUNK(" }")

/* Where calls of its pool would go, too: over the transports that the zone has, and that each address has (RFC 3263 §4.1). */
static void a_registrar_with_a_name(void **state_)
{
	static const struct {
		const char *yaml;
		uint8_t edge, transport; /* of the listener; of the address, 0: any */
		const char *proves;
	} cases[] = {
		{ NAMED("\"udp:203.0.113.10:5060\"", "sip:gw.carrier.example"), T_UDP, T_NONE, "" },
		{ NAMED("\"tcp:203.0.113.10:5060\"", "sip:gw.carrier.example"), T_TCP, T_NONE, "" },
		{ NAMED("\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\"", "sip:gw.carrier.example"), T_TCP, T_TCP, "" },
		{ NAMED("\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\"", "sip:gw.carrier.example"), T_TLS, T_TLS, "gw.carrier.example" },
		{ NAMED("\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\"", "sip:198.51.100.1;transport=tcp"), T_TCP, T_NONE, "" },
	};

	(void)state_;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct line l = { .r = rig_new(cases[i].yaml, 1, 1) };
		struct resolve_answer all = { .n = 1, .transport = { cases[i].transport } };

		if (cases[i].edge == T_TLS)
			rig_becomes(l.r, EDGE_TCP, T_TLS);
		assert_int_equal(addr_parse(&all.addr[0], SV(CARRIER)), 0);
		l.r->names[0] = (struct rig_name){ .host = "gw.carrier.example", .all = &all };
		l.r->n_names = 1;
		rig_after(l.r, 100);
		at_once(&l, CARRIER);
		assert_int_equal(l.g.packet->transport, cases[i].edge);
		assert_string_equal(l.g.packet->tls_name, cases[i].proves);
		answers(&l, CARRIER, 200, "");
		assert_true(is_registered(&l));
		rig_forget(l.r, CARRIER);
		end(&l);
	}
}

/* Silence, a broken transport and 5xx lead to the next destination; who answered last is asked first. */
static void another_destination_takes_it(void **state_)
{
	struct line l;

	(void)state_;
	begin(&l, PLAIN, 2);
	answers(&l, CARRIER, 500, "");
	at_once(&l, BACKUP);
	answers(&l, BACKUP, 200, "Expires: 100\n");
	assert_true(is_registered(&l));
	while (!rig_has_message(l.r, BACKUP))
		rig_after(l.r, 1000);
	rig_expect_silence(l.r, CARRIER);
	rig_refuse_last(l.r, BACKUP, 111);
	rig_after(l.r, 10);
	rig_forget(l.r, BACKUP);
	at_once(&l, CARRIER);
	rig_after(l.r, 33000); /* timer F */
	rig_forget(l.r, CARRIER);
	assert_int_equal(state(&l).status, 408);
	assert_false(rig_has_message(l.r, BACKUP));
	until_next(&l, BACKUP, 30100);
	answers(&l, BACKUP, 423, "Min-Expires: 7200\n");
	at_once(&l, BACKUP);
	assert_true(got_has(&l.g, "\r\nExpires: 7200\r\n"));
	answers(&l, BACKUP, 200, "");
	assert_int_equal(state(&l).until_ms - l.r->now_ms, 7200000);
	end(&l);
}

/* What hostile or broken registrars say: nothing of it makes us ask without a pause. */
static void nonsense_is_no_grant(void **state_)
{
	static const struct { unsigned status; const char *lines; } cases[] = {
		{ 200, "Expires: 0\n" },
		{ 423, "" },
		{ 423, "Min-Expires: 1\n" },
		{ 423, "Min-Expires: 99999999999\n" },
		{ 302, "Contact: <sip:elsewhere@203.0.113.77>\n" },
		{ 401, "" },
		{ 407, "Proxy-Authenticate: Digest\n" },
	};
	struct line l;

	(void)state_;
	begin(&l, CONF(" }, credentials: \"${SBC_TEST_TRUNK}\""), 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		answers(&l, CARRIER, cases[i].status, cases[i].lines);
		assert_false(is_registered(&l));
		assert_in_range(until_next(&l, CARRIER, 3600100), 15000, 3600100);
	}
	for (unsigned i = 1; i <= 3; i++) { /* ever longer: twice it is believed */
		answers(&l, CARRIER, 423, i == 1 ? "Min-Expires: 4000\n" : i == 2 ? "Min-Expires: 5000\n" : "Min-Expires: 6000\n");
		if (i < 3)
			at_once(&l, CARRIER);
	}
	rig_expect_silence(l.r, CARRIER);
	until_next(&l, CARRIER, 3600100);
	answers(&l, CARRIER, 200, "Expires: 1\n");
	assert_in_range(until_next(&l, CARRIER, 5100), 5000, 5100);
	end(&l);
}

/* A reload keeps what has not changed, asks anew for what has, and lets go of another user's. */
static void reloads(void **state_)
{
	struct line l;
	struct got g = { 0 };

	(void)state_;
	begin(&l, PLAIN, 2);
	answers(&l, CARRIER, 200, "");
	rig_reload(l.r, PLAIN);
	rig_reload(l.r, CONF(" }, limits: { calls: 10 }, match: { source: 198.51.100.1 }"));
	rig_after(l.r, 60000);
	rig_expect_silence(l.r, CARRIER);
	assert_true(is_registered(&l));
	rig_reload(l.r, CONF(", expires: 10m }"));
	rig_after(l.r, 10);
	at_once(&l, CARRIER);
	assert_true(got_has(&l.g, "\r\nExpires: 600\r\n"));
	answers(&l, CARRIER, 200, "");
	rig_reload(l.r, BASE("trunks: { carrier: { zone: public, pool: out, domain: carrier.example, register: { user: \"4940\" } } }\n"));
	rig_after(l.r, 100);
	rig_expect(l.r, CARRIER, "REGISTER sip:carrier.example SIP/2.0", &g);
	assert_true(got_has(&g, "\r\nTo: <sip:4930@carrier.example>\r\n") && got_has(&g, ">;expires=0\r\n"));
	flow_answer(l.r, CARRIER, EDGE, &g, 200, "<sip:4930@carrier.example>;tag=x", NULL, "", "");
	rig_expect(l.r, CARRIER, "REGISTER sip:carrier.example SIP/2.0", &g);
	assert_true(got_has(&g, "\r\nTo: <sip:4940@carrier.example>\r\n") && got_has(&g, "\r\nExpires: 3600\r\n"));
	flow_answer(l.r, CARRIER, EDGE, &g, 200, "<sip:4940@carrier.example>;tag=x", NULL, "", "");
	got_free(&g);
	end(&l);
}

/* The SBC closes: it is taken back, and who does not answer to that is not waited for. */
static void closing(void **state_)
{
	struct line l;

	(void)state_;
	begin(&l, PLAIN, 1);
	answers(&l, CARRIER, 200, "");
	b2bua_close(l.r->workers[0].calls);
	at_once(&l, CARRIER);
	assert_true(got_has(&l.g, ">;expires=0\r\n"));
	assert_int_equal(b2bua_accounts(l.r->workers[0].calls), 1);
	rig_after(l.r, 1900);
	assert_int_equal(b2bua_accounts(l.r->workers[0].calls), 1);
	rig_after(l.r, 200);
	assert_int_equal(b2bua_accounts(l.r->workers[0].calls), 0);
	rig_reload(l.r, CONF(", expires: 10m }")); /* nobody registers any more */
	rig_after(l.r, 1000);
	assert_int_equal(b2bua_accounts(l.r->workers[0].calls), 0);
	end(&l);
}

static void calls_contact(struct line *l, const char *who, unsigned n, const char *to)
{
	rig_say(l->r, who, to, SDP,
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKacc%u;rport\nMax-Forwards: 70\nFrom: <sip:+1@carrier.example>;tag=f%u\n"
	        "To: <sip:4930@carrier.example>\nCall-ID: acc%u\nCSeq: 1 INVITE\nContact: <sip:gw@%s>\nContent-Type: application/sdp\n",
	        l->contact, who, n, n, n, who);
}

/* Who asks for the Contact that we registered is the trunk, whatever his address: he asks for the user whom we registered. */
static void calls_to_the_contact(void **state_)
{
	struct line l;
	struct got g = { 0 };
	char to[128];

	(void)state_;
	begin(&l, PLAIN, 4);
	answers(&l, CARRIER, 200, "");
	for (unsigned i = 1; i <= 5; i++) { /* wherever their Call-IDs lead */
		calls_contact(&l, TRANSIT, i, EDGE);
		rig_expect(l.r, TRANSIT, "SIP/2.0 100", &g);
		rig_expect(l.r, BOB, "INVITE sip:4930@203.0.113.10 SIP/2.0", &g);
		assert_true(got_has(&g, "m=audio 49170"));
		calls_contact(&l, TRANSIT, i, EDGE); /* repeated: absorbed */
		rig_expect(l.r, TRANSIT, "SIP/2.0 100", &l.g);
		rig_expect_silence(l.r, BOB);
		snprintf(to, sizeof(to), "%s;tag=b", got_value(&g, HDR_TO));
		flow_answer(l.r, BOB, CORE, &g, 486, to, NULL, "", "");
		rig_expect(l.r, BOB, "ACK ", &g);
		rig_expect(l.r, TRANSIT, "SIP/2.0 486", &g);
		rig_say(l.r, TRANSIT, EDGE, "",
		        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP " TRANSIT ";branch=z9hG4bKacc%u;rport\nMax-Forwards: 70\n"
		        "From: <sip:+1@carrier.example>;tag=f%u\nTo: %s\nCall-ID: acc%u\nCSeq: 1 ACK\n",
		        l.contact, i, i, got_value(&g, HDR_TO), i);
	}
	rig_after(l.r, 40000);
	rig_expect_silence(l.r, TRANSIT); /* every 486 had its ACK */
	rig_say(l.r, TRANSIT, EDGE, "",
	        "INVITE sip:4930@203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP " TRANSIT ";branch=z9hG4bKno\nMax-Forwards: 70\n"
	        "From: <sip:+1@carrier.example>;tag=f\nTo: <sip:4930@carrier.example>\nCall-ID: no\nCSeq: 1 INVITE\nContact: <sip:x@" TRANSIT ">\n");
	rig_expect(l.r, TRANSIT, "SIP/2.0 404", &g); /* without it he is nobody */
	calls_contact(&l, BOB, 9, CORE); /* nor is it good in another zone */
	rig_expect(l.r, BOB, "SIP/2.0 404", &g);
	got_free(&g);
	end(&l);
}

/* With limits, by the Contact alone. */
static void limits_by_the_contact(void **state_)
{
	struct line l;
	struct got g = { 0 };

	(void)state_;
	begin(&l, CONF(" }, limits: { calls: 1 }"), 2);
	answers(&l, CARRIER, 200, "");
	calls_contact(&l, TRANSIT, 1, EDGE);
	rig_expect(l.r, TRANSIT, "SIP/2.0 100", &g);
	calls_contact(&l, TRANSIT, 2, EDGE);
	rig_expect(l.r, TRANSIT, "SIP/2.0 503", &g);
	until_next(&l, CARRIER, 2880100); /* a full trunk registers all the same */
	got_free(&g);
	end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_registers_and_refreshes),
		cmocka_unit_test(it_shows_who_it_is),
		cmocka_unit_test(refusals_wait_longer_and_longer),
		cmocka_unit_test(a_registrar_with_a_name),
		cmocka_unit_test(another_destination_takes_it),
		cmocka_unit_test(nonsense_is_no_grant),
		cmocka_unit_test(reloads),
		cmocka_unit_test(closing),
		cmocka_unit_test(calls_to_the_contact),
		cmocka_unit_test(limits_by_the_contact),
	};

	setenv("SBC_TEST_TRUNK", "me:pass:word", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
