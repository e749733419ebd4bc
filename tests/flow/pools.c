/* Which server a call goes to, and what its answers tell of it: full pools, rests that were asked for, keys, failures. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define DAVE "10.0.0.23:5060"
#define TWO "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, { name: carol, uri: \"sip:10.0.0.22:5060\" }]"
#define APPS(options) FLOW_ZONES "pools: { apps: { zone: core, probe: off, " options " } }\n" FLOW_ROUTES

static const char *const servers[] = { BOB, CAROL, DAVE };

/* A call of its own; `from` calls `to`. */
static void calls(struct rig *r, unsigned n, const char *from, const char *to)
{
	rig_say(r, ALICE, EDGE, SDP,
	        "INVITE sip:%s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKpool%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:%s>;tag=t%u\nTo: <sip:%s>\nCall-ID: pool%u\nCSeq: 1 INVITE\nContact: <sip:alice@192.0.2.10:5060>\n"
	        "Content-Type: application/sdp\n", to, n, from, n, to, n);
}

/* The server that the call reached, or -1; `g` is what it got. */
static int reached(struct rig *r, struct got *g)
{
	for (unsigned i = 0; i < sizeof(servers) / sizeof(*servers); i++)
		if (rig_has_message(r, servers[i])) {
			rig_expect(r, servers[i], "INVITE ", g);
			return (int)i;
		}
	return -1;
}

static void answers(struct rig *r, int server, const struct got *g, unsigned status, const char *extra)
{
	char to[256], contact[64];

	snprintf(to, sizeof(to), "%s;tag=s%d", got_value(g, HDR_TO), server);
	snprintf(contact, sizeof(contact), "<sip:%s>", servers[server]);
	flow_answer(r, servers[server], CORE, g, status, to, status > 100 && status < 300 ? contact : NULL, extra, "");
	if (status >= 300)
		rig_forget(r, servers[server]); /* the ACK */
}

/* One call that ends with `status` wherever it goes; the server. */
static int ends_with(struct rig *r, unsigned n, const char *from, unsigned status)
{
	struct got g = { 0 };
	int server;

	calls(r, n, from, "bob@example.com");
	if ((server = reached(r, &g)) >= 0)
		answers(r, server, &g, status, "");
	rig_forget(r, ALICE);
	got_free(&g);
	return server;
}

static struct dest_info info(struct rig *r, uint32_t destination)
{
	struct dest_info i;

	dest_info(r->shared.pools, pools_slot(r->shared.pools, r->conf, destination), &i);
	return i;
}

static void end(struct rig *r)
{
	rig_after(r, 3600000);
	for (unsigned i = 0; i < sizeof(servers) / sizeof(*servers); i++)
		rig_forget(r, servers[i]);
	rig_forget(r, ALICE);
	rig_free(r, true);
}

/* The pool has room for one call: the next ones go to the pool it spills into, and when that is full, too, they get 503. */
static void a_full_pool_spills(void **state)
{
	struct rig *r = rig_new(FLOW_ZONES
		"pools:\n"
		"  apps: { zone: core, probe: off, spill: more, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\", max-calls: 1 }] }\n"
		"  more: { zone: core, probe: off, destinations: [{ name: carol, uri: \"sip:10.0.0.22:5060\", max-calls: 1 }] }\n"
		FLOW_ROUTES, 2, 1);
	struct got at_bob = { 0 }, g = { 0 };

	(void)state;
	calls(r, 1, "alice@example.com", "bob@example.com");
	assert_int_equal(reached(r, &at_bob), 0);
	answers(r, 0, &at_bob, 180, "");
	assert_int_equal(rig_count(r, CALLS_SPILLED), 0);
	calls(r, 2, "alice@example.com", "bob@example.com");
	assert_int_equal(reached(r, &g), 1);
	answers(r, 1, &g, 180, "");
	assert_int_equal(rig_count(r, CALLS_SPILLED), 1);
	rig_forget(r, ALICE);
	calls(r, 3, "alice@example.com", "bob@example.com");
	assert_int_equal(reached(r, &g), -1);
	rig_expect(r, ALICE, "SIP/2.0 100", &g);
	rig_expect(r, ALICE, "SIP/2.0 503", &g);
	rig_after(r, 40000);
	answers(r, 0, &at_bob, 486, "");
	calls(r, 4, "alice@example.com", "bob@example.com");
	assert_int_equal(reached(r, &g), 0); /* there is room again */
	got_free(&at_bob);
	got_free(&g);
	end(r);
}

/* RFC 3261 §21.5.4: who answers 503 with Retry-After gets no new call until then; a minute is granted at most. */
static void a_rest_that_was_asked_for(void **state)
{
	static const struct { const char *line; unsigned ms; } cases[] = {
		{ "Retry-After: 20\n", 20000 },
		{ "Retry-After: 18 (I am in a meeting);duration=3600\n", 18000 },
		{ "Retry-After: 99999999999999999999999999\n", 60000 },
		{ "Retry-After: soon\n", 0 },
		{ "Retry-After: -5\n", 0 },
		{ "Retry-After:\n", 0 },
		{ "", 0 },
	};
	struct rig *r = rig_new(APPS("health: { fail-on: [] }, " TWO), 1, 1);
	struct got g = { 0 };
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		do {
			calls(r, ++n, "alice@example.com", "bob@example.com");
			rig_forget(r, ALICE);
			if (rig_has_message(r, BOB))
				break;
			assert_int_equal(reached(r, &g), 1);
			answers(r, 1, &g, 486, "");
		} while (n < 1000);
		assert_int_equal(reached(r, &g), 0);
		answers(r, 0, &g, 503, cases[i].line);
		assert_int_equal(reached(r, &g), 1); /* this call goes on at once */
		answers(r, 1, &g, 486, "");
		rig_forget(r, ALICE);
		if (cases[i].ms) {
			rig_after(r, cases[i].ms - 1500);
			for (unsigned k = 0; k < 4; k++)
				assert_int_equal(ends_with(r, ++n, "alice@example.com", 486), 1);
			rig_after(r, 1500);
		}
		assert_int_equal(ends_with(r, n + 1, "alice@example.com", 486) + ends_with(r, n + 2, "alice@example.com", 486), 1);
		n += 2;
	}
	got_free(&g);
	end(r);
}

/* Failures in a row: an answered call begins the row anew. */
static void a_good_call_forgives(void **state)
{
	struct rig *r = rig_new(APPS("failover: { on: [] }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }]"), 1, 1);
	struct got g = { 0 };
	unsigned n = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(ends_with(r, ++n, "alice@example.com", 503), 0);
		assert_int_equal(ends_with(r, ++n, "alice@example.com", 503), 0);
		assert_true(info(r, 0).is_up);
		calls(r, ++n, "alice@example.com", "bob@example.com");
		assert_int_equal(reached(r, &g), 0);
		answers(r, 0, &g, 200, "");
		rig_forget(r, ALICE);
	}
	for (unsigned i = 0; i < 3; i++)
		ends_with(r, ++n, "alice@example.com", 503);
	assert_false(info(r, 0).is_up);
	got_free(&g);
	end(r);
}

/* What is tried elsewhere and what speaks against a server are two things. */
static void what_counts_as_failure(void **state)
{
	struct rig *r = rig_new(APPS("failover: { on: [486] }, health: { fail-on: [500, 600] }, " TWO), 1, 1);
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		ends_with(r, ++n, "alice@example.com", 503);
	assert_true(info(r, 0).is_up && info(r, 1).is_up);
	rig_after(r, 40000);
	for (unsigned i = 0; i < 10; i++)
		ends_with(r, ++n, "alice@example.com", 500);
	assert_false(info(r, 0).is_up || info(r, 1).is_up);
	end(r);
}

static unsigned count_servers(unsigned seen)
{
	return (unsigned)__builtin_popcount(seen);
}

/* `hash`: equal keys lead to one server, many keys to all; nothing else of the call matters. */
static void equal_keys_meet(void **state)
{
	static const struct { const char *by; bool has_from, has_to; } kinds[] = {
		{ "from-user", true, false }, { "to-user", false, true }, { "domain", false, false }, { "source", false, false },
		{ "call-id", false, false },
	};
	char yaml[2048], from[64], to[64];
	struct got g = { 0 };

	(void)state;
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		unsigned same = 0, other_from = 0, other_to = 0;
		struct rig *r;

		snprintf(yaml, sizeof(yaml), APPS("balance: hash, hash: { by: %s, bound: 0 }, " TWO), kinds[k].by);
		r = rig_new(yaml, 2, 1);
		for (unsigned i = 0; i < 60; i++) {
			unsigned *seen = i < 20 ? &same : i < 40 ? &other_from : &other_to;
			int server;

			snprintf(from, sizeof(from), "a%u@example.com", i >= 20 && i < 40 ? i : 0);
			snprintf(to, sizeof(to), "b%u@example.com", i >= 40 ? i : 0);
			calls(r, i, from, to);
			server = reached(r, &g);
			assert_true(server >= 0);
			*seen |= 1u << server;
			answers(r, server, &g, 486, "");
			rig_forget(r, ALICE);
		}
		assert_int_equal(count_servers(same), k == 4 ? 2 : 1);
		assert_int_equal(count_servers(other_from), kinds[k].has_from || k == 4 ? 2 : 1);
		assert_int_equal(count_servers(other_to), kinds[k].has_to || k == 4 ? 2 : 1);
		end(r);
	}
	got_free(&g);
}

/* A pool that hashes and is only spilled into knows its keys, too. */
static void keys_meet_where_calls_spill(void **state)
{
	struct rig *r = rig_new(FLOW_ZONES
		"pools:\n"
		"  apps: { zone: core, probe: off, spill: more, destinations: [{ name: dave, uri: \"sip:10.0.0.23:5060\", max-calls: 1 }] }\n"
		"  more: { zone: core, probe: off, balance: hash, " TWO " }\n"
		FLOW_ROUTES, 1, 1);
	struct got first = { 0 }, g = { 0 };
	unsigned seen = 0;
	int server = -1;

	(void)state;
	calls(r, 1, "a@example.com", "bob@example.com");
	assert_int_equal(reached(r, &first), 2);
	answers(r, 2, &first, 180, "");
	for (unsigned i = 2; i < 40; i++) {
		char from[64];
		int at;

		snprintf(from, sizeof(from), "a%u@example.com", i < 20 ? 0 : i);
		calls(r, i, from, "bob@example.com");
		at = reached(r, &g);
		assert_true(at == 0 || at == 1);
		assert_true(i >= 20 || server < 0 || at == server);
		server = at;
		seen |= 1u << at;
		answers(r, at, &g, 486, "");
		rig_forget(r, ALICE);
	}
	assert_int_equal(count_servers(seen), 2);
	answers(r, 2, &first, 486, "");
	got_free(&first);
	got_free(&g);
	end(r);
}

/* `latency`: the first response to a call is a measurement, too. */
static void calls_measure_latency(void **state)
{
	struct rig *r = rig_new(APPS("balance: latency, " TWO), 1, 1);
	unsigned count[2] = { 0 };
	struct got g = { 0 };

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		int server;

		calls(r, i, "alice@example.com", "bob@example.com");
		assert_in_range(server = reached(r, &g), 0, 1);
		rig_after(r, server == 0 ? 120 : 4);
		answers(r, server, &g, 100, "");
		rig_after(r, 50); /* what comes after the first response says nothing */
		answers(r, server, &g, 486, "");
		rig_forget(r, ALICE);
		count[server] += i >= 50;
	}
	assert_in_range(info(r, 0).latency_us, 100000, 130000);
	assert_in_range(info(r, 1).latency_us, 3000, 5000);
	assert_true(count[0] < 15 && count[1] > 135);
	got_free(&g);
	end(r);
}

/* A retry within the pool comes before the pool it spills into, and both within `tries`. */
static void failover_goes_through_the_tiers(void **state)
{
	struct rig *r = rig_new(FLOW_ZONES
		"pools:\n"
		"  apps: { zone: core, probe: off, spill: more, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, "
		"{ name: carol, uri: \"sip:10.0.0.22:5060\", priority: 1 }] }\n"
		"  more: { zone: core, probe: off, destinations: [{ name: dave, uri: \"sip:10.0.0.23:5060\" }] }\n"
		FLOW_ROUTES, 1, 1);
	struct got g = { 0 };

	(void)state;
	calls(r, 1, "alice@example.com", "bob@example.com");
	for (int server = 0; server < 3; server++) {
		assert_int_equal(reached(r, &g), server);
		answers(r, server, &g, 503, "");
	}
	rig_expect(r, ALICE, "SIP/2.0 100", &g);
	rig_expect(r, ALICE, "SIP/2.0 500", &g);
	got_free(&g);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_pool_spills),
		cmocka_unit_test(a_rest_that_was_asked_for),
		cmocka_unit_test(a_good_call_forgives),
		cmocka_unit_test(what_counts_as_failure),
		cmocka_unit_test(equal_keys_meet),
		cmocka_unit_test(keys_meet_where_calls_spill),
		cmocka_unit_test(calls_measure_latency),
		cmocka_unit_test(failover_goes_through_the_tiers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
