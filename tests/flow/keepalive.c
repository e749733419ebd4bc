/* tests/flow/keepalive.c - contacts that registered are pinged at their time, and go when they do not answer. */
#include "nat/keeper.h"
#include "registrar/record.h"
#include "sbc/keepalive.h"
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define EVERY 30000
#define BOBBY "192.0.2.77:5077"
#define ZONES(keepalive) \
	"node: test\n" \
	"zones:\n" \
	"  public:\n" \
	"    listen: [\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\"]\n" \
	"    domains: [\"example.com\"]\n" keepalive \
	"  core:\n" \
	"    listen: [\"udp:10.0.0.10:5060\"]\n" \
	"    trust: [\"10.0.0.0/24\"]\n"
#define REST \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { zone: core }, to: location }, " \
	"{ when: { zone: public, caller: any }, to: { pool: apps } }]\n" \
	"registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"
#define USUAL ZONES("") REST

struct scene {
	struct rig *rig;
	struct got got;
	unsigned n;                 /* requests sent */
};

static void begin(struct scene *s, const char *yaml, unsigned workers)
{
	*s = (struct scene){ .rig = rig_new(yaml, workers, 1) };
}

static size_t bindings(const struct scene *s)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->rig->shared.workers; i++)
		n += registrar_bindings(s->rig->workers[i].registrar);
	return n;
}

static uint64_t count(const struct scene *s, enum keeper_counter which)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->rig->shared.workers; i++)
		n += counter_get(keepalive_counters(s->rig->workers[i].keepalive), which);
	return n;
}

static void end(struct scene *s)
{
	got_free(&s->got);
	rig_after(s->rig, 3600 * 1000 + 1);
	assert_int_equal(bindings(s), 0);
	assert_int_equal(count(s, KEEPER_CONTACTS), 0);
	rig_free(s->rig, true);
}

/* From `at`, over `to`; Contact as the client sees itself. */
static void register_with(struct scene *s, const char *user, const char *at, const char *to, const char *contact, const char *lines)
{
	const char *transport = strncmp(to, "tcp", 3) == 0 ? "TCP" : "UDP";

	s->n++;
	rig_say(s->rig, at, to, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/%s 10.1.1.1:5060;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:%s@example.com>;tag=a\n"
	        "To: <sip:%s@example.com>\nCall-ID: %s\nCSeq: %u REGISTER\nContact: %s\n%s", transport, s->n, user, user, user, s->n, contact, lines);
	rig_expect(s->rig, at, "SIP/2.0 200", &s->got);
}

static void alice_registers(struct scene *s)
{
	register_with(s, "alice", ALICE, EDGE, "<sip:alice@10.1.1.1:5060;ob?Subject=x>", "");
}

/* Time until something arrives at `who`. */
static uint64_t until_message(struct scene *s, const char *who, uint64_t most_ms)
{
	uint64_t begun = s->rig->now_ms;

	while (!rig_has_message(s->rig, who) && s->rig->now_ms - begun < most_ms)
		rig_after(s->rig, 10);
	return s->rig->now_ms - begun;
}

static uint64_t until_options(struct scene *s, const char *who)
{
	uint64_t ms = until_message(s, who, 2 * EVERY);

	rig_expect(s->rig, who, "OPTIONS ", &s->got);
	return ms;
}

static void answer(struct scene *s, const char *who, const char *from, unsigned status)
{
	(void)who;
	flow_answer(s->rig, from, EDGE, &s->got, status, "<sip:ping@203.0.113.10>;tag=z", NULL, "", "");
}

static void options_at_its_time(void **state)
{
	static const unsigned statuses[] = { 200, 404, 405, 482, 501, 503, 603, 200 };
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	assert_in_range(until_options(&s, ALICE), 1, EVERY);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		answer(&s, ALICE, ALICE, statuses[i]);
		assert_in_range(until_options(&s, ALICE), i == 0 ? EVERY / 2 : EVERY, EVERY);
		assert_int_equal(bindings(&s), 1);
	}
	assert_int_equal(count(&s, KEEPER_ANSWERS), 8);
	assert_int_equal(count(&s, KEEPER_MISSES), 0);
	end(&s);
}

/* Small, to the contact's own URI, and nothing in it of anybody but us. */
static void what_is_sent(void **state)
{
	struct scene s;
	char branch[64];

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	until_options(&s, ALICE);
	assert_string_equal(got_uri(&s.got), "sip:alice@10.1.1.1:5060;ob");
	assert_string_equal(got_value(&s.got, HDR_MAX_FORWARDS), "70");
	assert_string_equal(got_value(&s.got, HDR_FROM), "<sip:ping@203.0.113.10>;tag=ping");
	assert_string_equal(got_value(&s.got, HDR_TO), "<sip:ping@203.0.113.10>");
	assert_string_equal(got_contact(&s.got), "sip:203.0.113.10");
	assert_in_range(s.got.packet->len, 200, 400);
	snprintf(branch, sizeof(branch), "%s", got_branch(&s.got));
	answer(&s, ALICE, ALICE, 200);
	until_options(&s, ALICE);
	assert_string_not_equal(branch, got_branch(&s.got)); /* no repetition of the last */
	register_with(&s, "alice", ALICE, EDGE, "<sip:a-contact-that-is-longer-than-anybody-should-need-and-then-goes-on-and-on@"
	              "and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on.example.net>", "");
	rig_forget(s.rig, ALICE);
	do {
		until_options(&s, ALICE);
	} while (strcmp(got_uri(&s.got), "sip:192.0.2.10:5060") != 0);
	end(&s);
}

static void three_misses_remove_it(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	until_options(&s, ALICE);
	assert_int_equal(until_options(&s, ALICE), EVERY / 2);
	assert_int_equal(until_options(&s, ALICE), EVERY / 2);
	rig_after(s.rig, EVERY / 2 - 10);
	assert_int_equal(bindings(&s), 1);
	rig_after(s.rig, 20);
	assert_int_equal(bindings(&s), 0);
	assert_int_equal(count(&s, KEEPER_LOST), 1);
	rig_after(s.rig, 2 * EVERY);
	rig_expect_silence(s.rig, ALICE);
	assert_int_equal(counter_get(registrar_counters(s.rig->workers[0].registrar), BINDINGS_SILENT), 1);
	end(&s);
}

/* An answer counts from where the contact is, with a name that is ours. */
static void only_its_own_answers_count(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	for (unsigned i = 0; i < 3; i++) {
		until_options(&s, ALICE);
		answer(&s, ALICE, BOBBY, 200);
		answer(&s, ALICE, "192.0.2.10:5061", 200);
		rig_say(s.rig, ALICE, EDGE, "", "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaaa1\n"
		        "From: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=1\nCall-ID: x\nCSeq: 1 OPTIONS\n");
		rig_say(s.rig, ALICE, EDGE, "", "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK\n"
		        "From: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=1\nCall-ID: x\nCSeq: 1 OPTIONS\n");
	}
	rig_after(s.rig, EVERY / 2);
	assert_int_equal(bindings(&s), 0);
	answer(&s, ALICE, ALICE, 200); /* it is gone */
	rig_after(s.rig, EVERY);
	rig_expect_silence(s.rig, ALICE);
	end(&s);
}

static void who_speaks_is_not_pinged(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	for (unsigned i = 0; i < 12; i++) { /* by keep-alives of its own, by requests, by registering */
		rig_after(s.rig, EVERY / 2 - 1000);
		rig_expect_silence(s.rig, ALICE);
		if (i % 3 == 0) {
			rig_send(s.rig, ALICE, EDGE, "\r\n\r\n");
			rig_after(s.rig, 0);
		} else if (i % 3 == 1) {
			rig_say(s.rig, ALICE, EDGE, "", "OPTIONS sip:203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKo%u\n"
			        "Max-Forwards: 70\nFrom: <sip:alice@example.com>;tag=a\nTo: <sip:203.0.113.10>\nCall-ID: o%u\nCSeq: 1 OPTIONS\n", i, i);
			rig_expect(s.rig, ALICE, "SIP/2.0 ", &s.got);
		} else {
			alice_registers(&s);
		}
	}
	assert_int_equal(count(&s, KEEPER_OPTIONS), 0);
	assert_true(count(&s, KEEPER_SPARED) >= 11);
	assert_in_range(until_options(&s, ALICE), EVERY / 2, EVERY);
	end(&s);
}

/* By answering a call, too. */
static void who_answers_is_not_pinged(void **state)
{
	struct scene s;
	struct got invite = { 0 };

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	rig_say(s.rig, BOB, CORE, "", "INVITE sip:alice@example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKcall\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=b\nTo: <sip:alice@example.com>\nCall-ID: call\nCSeq: 1 INVITE\nContact: <sip:%s>\n", BOB, BOB);
	rig_expect(s.rig, ALICE, "INVITE ", &invite);
	for (unsigned i = 0; i < 6; i++) {
		flow_answer(s.rig, ALICE, EDGE, &invite, 180, "<sip:alice@example.com>;tag=x", "<sip:alice@10.1.1.1>", "", "");
		rig_after(s.rig, EVERY / 2 - 1000);
		rig_expect_silence(s.rig, ALICE);
	}
	assert_int_equal(count(&s, KEEPER_OPTIONS), 0);
	flow_answer(s.rig, ALICE, EDGE, &invite, 486, "<sip:alice@example.com>;tag=x", NULL, "", "");
	rig_expect(s.rig, ALICE, "ACK ", &s.got);
	rig_after(s.rig, 60000);
	rig_forget(s.rig, ALICE);
	rig_forget(s.rig, BOB);
	got_free(&invite);
	end(&s);
}

/* Answers come to the worker that has the binding by the kernel's help (sbc/steer.h) with 8, by mail with 3. */
static void hear(unsigned workers)
{
	struct scene s;
	char user[16], at[32];

	begin(&s, USUAL, workers);
	for (unsigned i = 0; i < 64; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		snprintf(at, sizeof(at), "192.0.2.77:%u", 6000 + i);
		register_with(&s, user, at, EDGE, "<sip:x@10.1.1.1>", "");
	}
	for (unsigned round = 0; round < 6; round++) { /* whoever reads it, the binding's worker hears of it */
		rig_after(s.rig, EVERY / 2 - 1000);
		for (unsigned i = 0; i < 64; i++) {
			snprintf(at, sizeof(at), "192.0.2.77:%u", 6000 + i);
			if (i % 2) {
				rig_send(s.rig, at, EDGE, "\r\n\r\n");
			} else if (rig_take(s.rig, at, "OPTIONS ", &s.got)) {
				answer(&s, at, at, 200);
			}
		}
		rig_after(s.rig, 10);
	}
	assert_int_equal(count(&s, KEEPER_MISSES), 0);
	assert_true(count(&s, KEEPER_ANSWERS) >= 64);
	assert_int_equal(bindings(&s), 64);
	for (unsigned i = 1; i < 64; i += 2) {
		snprintf(at, sizeof(at), "192.0.2.77:%u", 6000 + i);
		rig_expect_silence(s.rig, at);
	}
	end(&s);
}

static void workers_share_what_they_hear(void **state)
{
	(void)state;
	hear(8);
	hear(3);
}

/* Nobody answers these: silence means nothing. */
static void kinds_without_answers(void **state)
{
	static const struct {
		const char *yaml;
		const char *text;
		enum keeper_counter counter;
	} kinds[] = {
		{ ZONES("    keepalive: { udp: crlf }\n") REST, "\r\n\r\n", KEEPER_CRLF },
		{ ZONES("    keepalive: { udp: empty }\n") REST, "", KEEPER_EMPTY },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene s;

		begin(&s, kinds[i].yaml, 1);
		alice_registers(&s);
		rig_after(s.rig, 10 * EVERY);
		assert_in_range(count(&s, kinds[i].counter), 9, 11);
		assert_int_equal(count(&s, KEEPER_OPTIONS), 0);
		assert_int_equal(bindings(&s), 1);
		rig_forget(s.rig, ALICE);
		end(&s);
	}
}

static void off_is_off(void **state)
{
	static const char *const yamls[] = {
		ZONES("    keepalive: off\n") REST,
		ZONES("    keepalive: { udp: off, tcp: off }\n") REST,
		ZONES("    trust: [\"192.0.2.0/24\"]\n") REST, /* servers */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(yamls) / sizeof(yamls[0]); i++) {
		struct scene s;

		begin(&s, yamls[i], 1);
		alice_registers(&s);
		assert_false(s.rig->workers[0].hears);
		rig_after(s.rig, 10 * EVERY);
		rig_expect_silence(s.rig, ALICE);
		assert_int_equal(bindings(&s), 1);
		end(&s);
	}
}

/* Behind a proxy (Path) it is the proxy who keeps the way open. */
static void not_behind_a_proxy(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	register_with(&s, "alice", ALICE, EDGE, "<sip:alice@10.1.1.1>", "Supported: path\nPath: <sip:192.0.2.10;lr>\n");
	rig_after(s.rig, 10 * EVERY);
	rig_expect_silence(s.rig, ALICE);
	assert_int_equal(bindings(&s), 1);
	end(&s);
}

static void a_reload_changes_the_interval(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	until_options(&s, ALICE);
	answer(&s, ALICE, ALICE, 200);
	rig_reload(s.rig, ZONES("    keepalive: { every: 10s, misses: 1 }\n") REST);
	for (unsigned i = 0; i < 3; i++) { /* takes hold when it is looked at next */
		until_options(&s, ALICE);
		answer(&s, ALICE, ALICE, 200);
	}
	assert_int_equal(until_options(&s, ALICE), 10000);
	rig_after(s.rig, 4990);
	assert_int_equal(bindings(&s), 1);
	rig_after(s.rig, 20);
	assert_int_equal(bindings(&s), 0);
	alice_registers(&s);
	rig_reload(s.rig, ZONES("    keepalive: off\n") REST);
	rig_after(s.rig, 10 * EVERY);
	rig_expect_silence(s.rig, ALICE);
	rig_reload(s.rig, USUAL);
	rig_after(s.rig, 10 * EVERY);
	rig_expect_silence(s.rig, ALICE); /* from the next refresh on */
	alice_registers(&s);
	assert_in_range(until_options(&s, ALICE), 1, EVERY);
	end(&s);
}

/* A network's interval grows while all answer, and shrinks when one is lost or comes back from another port. */
static void an_interval_is_learnt(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, ZONES("    keepalive: { every: 20s, learn: { min: 10s, max: 40s } }\n") REST, 1);
	alice_registers(&s);
	until_options(&s, ALICE);
	for (unsigned i = 0; i < 105; i++) {
		answer(&s, ALICE, ALICE, 200);
		until_options(&s, ALICE);
	}
	answer(&s, ALICE, ALICE, 200);
	until_options(&s, ALICE);
	answer(&s, ALICE, ALICE, 200);
	assert_int_equal(until_options(&s, ALICE), 25000);
	answer(&s, ALICE, ALICE, 200);
	rig_after(s.rig, 1000);
	register_with(&s, "alice", "192.0.2.10:5099", EDGE, "<sip:alice@10.1.1.1:5060;ob?Subject=x>", "");
	until_options(&s, "192.0.2.10:5099");
	for (unsigned i = 0; i < 3; i++) {
		answer(&s, ALICE, "192.0.2.10:5099", 200);
		until_options(&s, "192.0.2.10:5099");
	}
	answer(&s, ALICE, "192.0.2.10:5099", 200);
	assert_int_equal(until_options(&s, "192.0.2.10:5099"), 20000);
	rig_after(s.rig, 30000); /* no more answers */
	rig_forget(s.rig, "192.0.2.10:5099");
	assert_int_equal(bindings(&s), 0);
	register_with(&s, "bob", "192.0.2.11:5060", EDGE, "<sip:bob@10.1.1.2>", "");
	until_options(&s, "192.0.2.11:5060");
	for (unsigned i = 0; i < 3; i++) {
		answer(&s, ALICE, "192.0.2.11:5060", 200);
		until_options(&s, "192.0.2.11:5060");
	}
	answer(&s, ALICE, "192.0.2.11:5060", 200);
	assert_int_equal(until_options(&s, "192.0.2.11:5060"), 15000);
	rig_after(s.rig, 60000);
	rig_forget(s.rig, "192.0.2.11:5060");
	end(&s);
}

static void paused_nobody_is_pinged(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	keepalive_pause(s.rig->workers[0].keepalive, true);
	alice_registers(&s);
	rig_after(s.rig, 10 * EVERY);
	rig_expect_silence(s.rig, ALICE);
	assert_int_equal(bindings(&s), 1);
	keepalive_pause(s.rig->workers[0].keepalive, false);
	assert_in_range(until_options(&s, ALICE), 1, EVERY);
	end(&s);
}

struct copy {
	struct registrar_sink sink;
	char bytes[4096];
	size_t len;
};

static void copy_one(struct registrar_sink *sink, uint64_t key, struct sv record)
{
	struct copy *c = owner_of(sink, struct copy, sink);

	(void)key;
	assert_in_range(record.len, 1, sizeof(c->bytes));
	memcpy(c->bytes, record.p, record.len);
	c->len = record.len;
}

/* The peer has the binding, too, and is silent until it is its turn; then it pings within an interval. */
static void of_a_pair_only_one_pings(void **state)
{
	struct copy copy = { .sink.put = copy_one };
	struct worker *w;
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	alice_registers(&s);
	w = &s.rig->workers[0];
	assert_int_equal(registrar_export(w->registrar, w->conf, &copy.sink), 0);
	got_free(&s.got);
	rig_free(s.rig, false);
	begin(&s, USUAL, 1);
	w = &s.rig->workers[0];
	keepalive_pause(w->keepalive, true);
	assert_int_equal(registrar_apply(w->registrar, w->conf, (struct sv){ copy.bytes, copy.len }), 0);
	rig_after(s.rig, 20 * EVERY);
	rig_expect_silence(s.rig, ALICE);
	assert_int_equal(bindings(&s), 1);
	keepalive_pause(w->keepalive, false);
	assert_in_range(until_options(&s, ALICE), 1, EVERY);
	answer(&s, ALICE, ALICE, 200); /* its name is the same on both */
	until_options(&s, ALICE);
	assert_int_equal(count(&s, KEEPER_ANSWERS), 1);
	end(&s);
}

/* RFC 5626 §3.5.1: who registered with outbound answers with CRLF. */
static void on_a_connection(void **state)
{
	static const char outbound[] = "<sip:alice@10.1.1.1;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1";
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	register_with(&s, "alice", ALICE, EDGE_TCP, outbound, "Supported: outbound, path\n");
	for (unsigned i = 0; i < 6; i++) {
		uint64_t ms = until_message(&s, ALICE, 2 * EVERY);

		assert_in_range(ms, i < 2 ? 1 : EVERY, EVERY);
		assert_int_equal(rig_forget(s.rig, ALICE), 1);
		rig_send(s.rig, ALICE, EDGE_TCP, "\r\n");
		rig_after(s.rig, 0);
	}
	assert_int_equal(count(&s, KEEPER_STREAM), 6);
	assert_int_equal(count(&s, KEEPER_ANSWERS), 5);
	assert_int_equal(count(&s, KEEPER_MISSES), 0);
	rig_after(s.rig, 4 * EVERY); /* it answers no more */
	assert_int_equal(count(&s, KEEPER_LOST), 1);
	rig_forget(s.rig, ALICE);
	end(&s);
}

/* Nobody answers on it any more: we close it, and what was registered over it goes after the grace, on whatever worker, unless it comes
 * back over another connection. */
static void a_connection_without_answers(void **state)
{
	static const char contact[] = "<sip:%s@10.1.1.1;ob>;+sip.instance=\"<urn:uuid:%s>\";reg-id=1";
	char text[128];
	struct scene s;

	(void)state;
	begin(&s, USUAL, 4);
	s.rig->has_flows = true;
	for (char user[] = "a"; user[0] <= 'h'; user[0]++) {
		snprintf(text, sizeof(text), contact, user, user);
		register_with(&s, user, ALICE, EDGE_TCP, text, "Supported: outbound, path\n");
	}
	assert_int_equal(bindings(&s), 8);
	for (unsigned i = 0; rig_flow_of(s.rig, ALICE) && i < 100; i++)
		rig_after(s.rig, 1000);
	assert_int_equal(rig_flow_of(s.rig, ALICE), 0);
	rig_forget(s.rig, ALICE);
	assert_int_equal(bindings(&s), 8);
	rig_after(s.rig, 5000);
	register_with(&s, "c", ALICE, EDGE_TCP, "<sip:c@10.1.1.1;ob>;+sip.instance=\"<urn:uuid:c>\";reg-id=1", "Supported: outbound, path\n");
	rig_after(s.rig, 6000);
	assert_int_equal(bindings(&s), 1);
	assert_true(rig_flow_of(s.rig, ALICE) != 0);
	assert_in_range(until_message(&s, ALICE, 2 * EVERY), 1, EVERY); /* over the new one */
	rig_after(s.rig, 3 * EVERY);
	rig_forget(s.rig, ALICE);
	end(&s);
}

/* That it closed was lost on the way: the next ping finds out. */
static void a_connection_that_is_gone(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	s.rig->has_flows = true;
	register_with(&s, "alice", ALICE, EDGE_TCP, "<sip:alice@10.1.1.1;transport=tcp>", "");
	rig_lose(s.rig, ALICE);
	rig_after(s.rig, EVERY);
	rig_after(s.rig, 10001);
	assert_int_equal(bindings(&s), 0);
	assert_int_equal(count(&s, KEEPER_LOST), 1);
	end(&s);
}

/* Others may not answer: their connection tells. */
static void on_a_connection_without_outbound(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 1);
	register_with(&s, "alice", ALICE, EDGE_TCP, "<sip:alice@10.1.1.1;transport=tcp>", "");
	rig_after(s.rig, 20 * EVERY);
	assert_in_range(count(&s, KEEPER_STREAM), 19, 21);
	assert_in_range(rig_forget(s.rig, ALICE), 19, 21);
	assert_int_equal(bindings(&s), 1);
	end(&s);
}

/* A WebSocket's ping is answered by every browser, outbound or not: one that does not is gone, whatever TCP says (LESSONS 41). */
static void a_websocket_without_answers(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, USUAL, 2);
	s.rig->has_flows = true;
	rig_becomes(s.rig, EDGE_TCP, T_WSS);
	register_with(&s, "alice", ALICE, EDGE_TCP, "<sip:alice@df7jal23ls0d.invalid;transport=ws>", "");
	for (unsigned i = 0; rig_flow_of(s.rig, ALICE) && i < 4 * EVERY / 1000; i++)
		rig_after(s.rig, 1000);
	assert_int_equal(rig_flow_of(s.rig, ALICE), 0);
	rig_after(s.rig, 10001);
	assert_int_equal(bindings(&s), 0);
	rig_forget(s.rig, ALICE);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_at_its_time), cmocka_unit_test(what_is_sent), cmocka_unit_test(three_misses_remove_it),
		cmocka_unit_test(only_its_own_answers_count), cmocka_unit_test(who_speaks_is_not_pinged),
		cmocka_unit_test(who_answers_is_not_pinged), cmocka_unit_test(workers_share_what_they_hear),
		cmocka_unit_test(kinds_without_answers), cmocka_unit_test(off_is_off), cmocka_unit_test(not_behind_a_proxy),
		cmocka_unit_test(a_reload_changes_the_interval), cmocka_unit_test(an_interval_is_learnt),
		cmocka_unit_test(paused_nobody_is_pinged), cmocka_unit_test(of_a_pair_only_one_pings),
		cmocka_unit_test(on_a_connection), cmocka_unit_test(a_connection_that_is_gone),
		cmocka_unit_test(a_connection_without_answers), cmocka_unit_test(on_a_connection_without_outbound),
		cmocka_unit_test(a_websocket_without_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
