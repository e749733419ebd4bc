/* Keys that keep their destination (`sticky`): what a key may be, how long it lasts, who moves when his destination goes, and that all of it
 * is the same whichever worker a call is on. */
#include "tests/flow/cast.h"
#include "tests/unit/base/oom.h"
#include "sbc/call/stick.c"
#include "dispatcher/sticky.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define THREE \
	"destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, { name: carol, uri: \"sip:10.0.0.22:5060\" }, " \
	"{ name: dave, uri: \"sip:10.0.0.23:5060\" }]"
#define APPS(sticky) FLOW_ZONES "pools: { apps: { zone: core, probe: off, sticky: { " sticky " }, " THREE " } }\n" FLOW_ROUTES
#define CARLA "192.0.2.77:5060"

static const char *const servers[] = { BOB, CAROL, DAVE };
static const char *const names[] = { "bob", "carol", "dave" };
static const unsigned some_workers[] = { 1, 2, 8 };

/* One call, and the server that it has reached. */
struct try {
	struct rig *rig;
	struct got got;
	int server;
};

struct caller {
	const char *at, *from, *to, *call_id, *lines; /* NULL: the usual one; call_id NULL: one of its own */
};

static void begins(struct rig *r, unsigned n, const struct caller *who)
{
	const char *at = who->at ? who->at : ALICE, *to = who->to ? who->to : "sip:conf-1@example.com";
	char own[32];

	snprintf(own, sizeof(own), "sticky%u", n);
	rig_say(r, at, EDGE, SDP,
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKsticky%u;rport\nMax-Forwards: 70\nFrom: <%s>;tag=t%u\nTo: <%s>\n"
	        "Call-ID: %s\nCSeq: 1 INVITE\nContact: <sip:alice@%s>\nContent-Type: application/sdp\n%s",
	        to, at, n, who->from ? who->from : "sip:alice@example.com", n, to, who->call_id ? who->call_id : own, at,
	        who->lines ? who->lines : "");
}

/* Where the latest call is; -1: nowhere. */
static int reached(struct rig *r, struct got *got)
{
	for (int i = 0; i < 3; i++)
		if (rig_has_message(r, servers[i])) {
			rig_expect(r, servers[i], "INVITE ", got);
			return i;
		}
	return -1;
}

static struct try call(struct rig *r, unsigned n, const struct caller *who)
{
	struct try t = { .rig = r };

	begins(r, n, who);
	t.server = reached(r, &t.got);
	return t;
}

static void says(struct try *t, unsigned status)
{
	char to[256], contact[64];

	snprintf(to, sizeof(to), "%s;tag=s%d", got_value(&t->got, HDR_TO), t->server);
	snprintf(contact, sizeof(contact), "<sip:%s>", servers[t->server]);
	flow_answer(t->rig, servers[t->server], CORE, &t->got, status, to, status > 100 && status < 300 ? contact : NULL, "", "");
	if (status >= 300)
		rig_forget(t->rig, servers[t->server]); /* the ACK */
}

static void hangs_up(struct try *t)
{
	if (t->server >= 0)
		says(t, 486);
	got_free(&t->got);
}

/* A call that ends at once: the server. */
static int goes_to(struct rig *r, unsigned n, const struct caller *who)
{
	struct try t = call(r, n, who);
	int server = t.server;

	hangs_up(&t);
	return server;
}

static uint64_t counted(struct rig *r, enum sticky_counter which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		sum += counter_get(sticky_counters(b2bua_sticky(r->workers[i].calls)), which);
	return sum;
}

struct look {
	char text[STICKY_TEXT_MAX + 1], destination[64];
	uint32_t calls;
	unsigned n;
};

static bool look_at(void *ctx, const struct sticky_info *i)
{
	struct look *l = ctx;

	snprintf(l->text, sizeof(l->text), "%.*s", SV_ARG(i->text));
	snprintf(l->destination, sizeof(l->destination), "%.*s", SV_ARG(i->destination));
	l->calls = i->calls;
	l->n++;
	return true;
}

/* What is known of the key, or of all. */
static struct look look(struct rig *r, const char *text)
{
	struct look l = { .n = 0 };

	for (unsigned i = 0; i < r->shared.workers; i++)
		sticky_each(b2bua_sticky(r->workers[i].calls), SV("apps"), sv_from(text), look_at, &l);
	return l;
}

static void put(struct rig *r, int server, enum dest_wish wish)
{
	char name[32];

	snprintf(name, sizeof(name), "apps/%s", names[server]);
	dest_put_wish(r->shared.pools, dest_find(r->shared.pools, r->conf, sv_from(name), NULL), wish, r->now_ms);
}

static void dies(struct rig *r, int server)
{
	for (unsigned i = 0; i < 3; i++)
		dest_report(r->shared.pools, r->conf, (uint32_t)server, CALL_FAILED, r->now_ms, "test");
}

static void end(struct rig *r)
{
	rig_after(r, 8 * 3600000);
	for (unsigned i = 0; i < 3; i++)
		rig_forget(r, servers[i]);
	rig_forget(r, ALICE);
	rig_forget(r, CARLA);
	rig_free(r, true);
}

/* What a key may be ------------------------------------------------------------------------------------------------ */

/* Two callers of one key meet; the third one's key is another. */
struct kind {
	const char *yaml, *text;
	struct caller one, same, other;
};

static const struct kind kinds[] = {
	{ APPS("by: from-user"), "alice@example.com", { .from = "sip:alice@example.com", .to = "sip:1@example.com" },
	  { .from = "sip:%61lice@EXAMPLE.com:5060;user=phone", .to = "sip:2@example.com" }, { .from = "sip:alice@example.org" } },
	{ APPS("by: from-user"), "boss@example.com", { .from = "sip:boss@example.com" },
	  { .from = "sip:carla@example.com", .lines = "Referred-By: \"The Boss\" <sip:boss@example.com>\n" }, { .from = "sip:carla@example.com" } },
	{ APPS("by: to-user"), "conf-7", { .to = "sip:conf-7@example.com" }, { .to = "sip:conf%2D7@203.0.113.10", .from = "sip:x@y" },
	  { .to = "sip:conf-8@example.com" } },
	{ APPS("by: to-user"), "+4930123", { .to = "tel:+4930123" }, { .to = "sip:+4930123@example.com" }, { .to = "tel:+4930124" } },
	{ APPS("by: domain"), "example.com", { .to = "sip:a@example.com" }, { .to = "sip:b@EXAMPLE.COM" }, { .to = "sip:a@203.0.113.10" } },
	{ APPS("by: source"), "192.0.2.10", { .to = "sip:a@example.com" }, { .to = "sip:b@example.com", .from = "sip:x@y" }, { .at = CARLA } },
	{ APPS("by: call-id"), "one%25call", { .call_id = "one%call", .to = "sip:a@example.com" },
	  { .call_id = "one%call", .to = "sip:b@example.com", .from = "sip:x@y" }, { .call_id = "another" } },
	{ APPS("by: \"header:X-Tenant\""), "gold", { .lines = "X-Tenant:  gold \n" }, { .lines = "x-tenant: gold\nX-Tenant: iron\n" },
	  { .lines = "X-Tenant: iron\n" } },
	{ APPS("by: \"header:Subject\""), "hello", { .lines = "Subject: hello\n" }, { .lines = "s: hello\n" }, { .lines = "s: bye\n" } },
	{ APPS("by: room, rooms: [\"conf-*\", \"park-*\"]"), "conf-7@example.com", { .to = "sip:conf-7@example.com" },
	  { .to = "sip:conf-7@example.com;x=y", .from = "sip:x@y" }, { .to = "sip:conf-7@203.0.113.10" } },
};

static void meet(const struct kind *k, unsigned workers)
{
	struct rig *r = rig_new(k->yaml, workers, workers);
	int first = goes_to(r, 1, &k->one);
	unsigned elsewhere = 0;

	assert_true(first >= 0);
	assert_string_equal(look(r, k->text).destination, names[first]);
	for (unsigned n = 2; n < 20; n += 3) {
		assert_int_equal(goes_to(r, n, &k->same), first);
		elsewhere += goes_to(r, n + 1, &k->other) != first;
		assert_int_equal(goes_to(r, n + 2, &k->one), first);
	}
	assert_true(elsewhere == 0 || elsewhere == 6); /* it keeps its own */
	assert_int_equal(look(r, "").n, 2);
	end(r);
}

static void equal_keys_meet(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (unsigned w = 0; w < 3; w++)
			meet(&kinds[i], some_workers[w]);
}

/* Many keys: each keeps its server on any number of workers, other workers are asked where there are some, and all servers are used. */
static void each_key_keeps_its_own(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(APPS("by: to-user"), some_workers[w], 7);
		unsigned used = 0, n = 0;
		int first[12] = { 0 };
		char to[64];

		for (unsigned round = 0; round < 3; round++)
			for (unsigned i = 0; i < 12; i++) {
				int server;

				snprintf(to, sizeof(to), "sip:user%u@example.com", i);
				server = goes_to(r, ++n, &(struct caller){ .to = to });
				first[i] = round ? first[i] : server;
				assert_true(server >= 0 && server == first[i]);
				used |= 1u << server;
			}
		assert_int_equal(used, 7);
		assert_int_equal(look(r, "").n, 12);
		assert_int_equal(counted(r, STICKY_NEW), 12);
		assert_int_equal(counted(r, STICKY_KEPT), 24);
		assert_int_equal(counted(r, STICKY_ASKED) > 0, some_workers[w] > 1);
		assert_int_equal(counted(r, STICKY_UNANSWERED), 0);
		end(r);
	}
}

/* No key, no entry. */
static void what_has_no_key_is_balanced(void **state)
{
	static const struct { const char *yaml; struct caller who; } cases[] = {
		{ APPS("by: to-user"), { .to = "sip:example.com" } },
		{ APPS("by: room"), { .to = "sip:example.com" } },
		{ APPS("by: room, rooms: \"conf-*\""), { .to = "sip:alice@example.com" } },
		{ APPS("by: \"header:X-Tenant\""), { .lines = "" } },
		{ APPS("by: \"header:X-Tenant\""), { .lines = "X-Tenant:   \n" } },
		{ APPS("by: from-user"), { .from = "sip:example.com" } },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig *r = rig_new(cases[i].yaml, 2, 1);

		for (unsigned n = 0; n < 6; n++)
			assert_int_equal(goes_to(r, n, &cases[i].who), n % 3);
		assert_int_equal(look(r, "").n, 0);
		end(r);
	}
}

/* How long it lasts ------------------------------------------------------------------------------------------------ */

static void use_makes_it_last(void **state)
{
	struct caller conf = { .to = "sip:conf-1@example.com" }, other = { .to = "sip:other@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(APPS("by: to-user, ttl: 10s"), some_workers[w], 1);
		int first = goes_to(r, 1, &conf);

		for (unsigned n = 2; n < 8; n += 2) {
			rig_after(r, 9999);
			assert_int_equal(goes_to(r, n, &conf), first);
			goes_to(r, n + 1, &other);
		}
		rig_after(r, 9999);
		assert_int_equal(look(r, "conf-1").n, 1);
		rig_after(r, 1);
		assert_int_equal(look(r, "").n, 0);
		assert_int_equal(counted(r, STICKY_EXPIRED), 2);
		assert_int_equal(counted(r, STICKY_ENTRIES), 0);
		end(r);
	}
}

/* The one that was not used for longest goes. */
static void beyond_its_max_the_oldest_goes(void **state)
{
	struct rig *r = rig_new(APPS("by: to-user, max: 3"), 1, 1);

	(void)state;
	goes_to(r, 1, &(struct caller){ .to = "sip:a@example.com" });
	goes_to(r, 2, &(struct caller){ .to = "sip:b@example.com" });
	goes_to(r, 3, &(struct caller){ .to = "sip:c@example.com" });
	goes_to(r, 4, &(struct caller){ .to = "sip:a@example.com" });
	goes_to(r, 5, &(struct caller){ .to = "sip:d@example.com" });
	assert_int_equal(look(r, "").n, 3);
	assert_int_equal(look(r, "b").n, 0);
	assert_int_equal(look(r, "a").n, 1);
	assert_int_equal(counted(r, STICKY_EVICTED), 1);
	end(r);
}

/* When its destination goes ----------------------------------------------------------------------------------------- */

static unsigned n_calls(struct rig *r, const char *text)
{
	return look(r, text).calls;
}

/* Users: the next call goes elsewhere, once, and later ones stay there. */
static void a_user_moves_once(void **state)
{
	static const enum sticky_counter counter[] = { STICKY_MOVED_DRAINED, STICKY_MOVED_DISABLED, STICKY_MOVED_DOWN };
	struct caller who = { .from = "sip:alice@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned how = 0; how < 3; how++) {
			struct rig *r = rig_new(APPS("by: from-user"), some_workers[w], 3);
			struct try ringing = call(r, 1, &who);
			int second;

			assert_true(ringing.server >= 0);
			if (how == 2)
				dies(r, ringing.server);
			else
				put(r, ringing.server, how ? WISH_DISABLED : WISH_DRAINING);
			second = goes_to(r, 2, &who);
			assert_int_not_equal(second, ringing.server);
			if (how < 2)
				put(r, ringing.server, WISH_IN_SERVICE);
			for (unsigned n = 3; n < 8; n++)
				assert_int_equal(goes_to(r, n, &who), second);
			assert_int_equal(counted(r, counter[how]), 1);
			hangs_up(&ringing);
			end(r);
		}
}

/* A room stays where it is until the last one has left, also while its server is drained; then it moves. */
static void a_room_stays_until_it_is_empty(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" }, other = { .to = "sip:conf-2@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(APPS("by: room, rooms: \"conf-*\""), some_workers[w], 3);
		struct try first = call(r, 1, &who), second, third;
		int elsewhere;

		put(r, first.server, WISH_DRAINING);
		for (unsigned n = 10; n < 16; n++)
			assert_int_not_equal(goes_to(r, n, &(struct caller){ .to = "sip:conf-2@example.com" }), first.server);
		second = call(r, 2, &who);
		assert_int_equal(second.server, first.server);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 2);
		hangs_up(&first);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
		third = call(r, 3, &who);
		assert_int_equal(third.server, second.server);
		hangs_up(&second);
		hangs_up(&third);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 0);
		assert_int_equal(counted(r, STICKY_MOVED_DRAINED), 0);
		elsewhere = goes_to(r, 4, &who);
		assert_int_not_equal(elsewhere, third.server);
		assert_int_equal(counted(r, STICKY_MOVED_DRAINED), 1);
		assert_int_equal(goes_to(r, 5, &who), elsewhere);
		goes_to(r, 6, &other);
		end(r);
	}
}

/* No room is left on a server that is down or disabled. The calls that were there count no more. */
static void a_room_leaves_who_is_down(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned how = 0; how < 2; how++) {
			struct rig *r = rig_new(APPS("by: room"), some_workers[w], 5);
			struct try first = call(r, 1, &who), second;

			if (how)
				put(r, first.server, WISH_DISABLED);
			else
				dies(r, first.server);
			second = call(r, 2, &who);
			assert_int_not_equal(second.server, first.server);
			assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
			hangs_up(&first);
			assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
			hangs_up(&second);
			assert_int_equal(n_calls(r, "conf-1@example.com"), 0);
			assert_int_equal(counted(r, STICKY_MOVED_DOWN) + counted(r, STICKY_MOVED_DISABLED), 1);
			end(r);
		}
}

/* Nobody is up, as far as can be told: keys stay where they are, rather than be torn apart by what may be no more than lost probes. */
static void when_all_are_down_keys_stay(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(APPS("by: room"), some_workers[w], 5);
		int first = goes_to(r, 1, &who);
		struct try t;

		for (int i = 0; i < 3; i++)
			dies(r, i);
		for (unsigned n = 2; n < 8; n++)
			assert_int_equal(goes_to(r, n, &who), first);
		assert_int_equal(counted(r, STICKY_MOVED_DOWN), 0);
		for (int i = 0; i < 3; i++)
			dies(r, i);
		t = call(r, 9, &who);
		assert_int_equal(t.server, first);
		says(&t, 503); /* it failed the call: then elsewhere after all */
		t.server = reached(r, &t.got);
		assert_int_not_equal(t.server, first);
		assert_true(t.server >= 0);
		hangs_up(&t);
		end(r);
	}
}

/* A room in use does not expire, and goes last when there are too many. */
static void a_room_in_use_lasts(void **state)
{
	struct rig *r = rig_new(APPS("by: room, ttl: 5s, max: 2"), 1, 1);
	struct try first = call(r, 1, &(struct caller){ .to = "sip:conf-1@example.com" });

	(void)state;
	says(&first, 180);
	rig_after(r, 60000);
	assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
	for (unsigned n = 2; n < 9; n++) {
		char to[64];

		snprintf(to, sizeof(to), "sip:conf-%u@example.com", n);
		goes_to(r, n, &(struct caller){ .to = to });
	}
	assert_int_equal(look(r, "").n, 2);
	assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
	hangs_up(&first);
	rig_after(r, 4999);
	assert_int_equal(look(r, "conf-1@example.com").n, 1);
	rig_after(r, 1);
	assert_int_equal(look(r, "conf-1@example.com").n, 0);
	end(r);
}

#define FULL(sticky) \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, sticky: { " sticky " }, " \
	"destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\", max-calls: 1 }, { name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" \
	FLOW_ROUTES

/* Its server has no room: a user's call goes elsewhere this once; those of a room meet or are refused. */
static void when_its_server_is_full(void **state)
{
	struct caller who = { .from = "sip:alice@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(FULL("by: from-user"), some_workers[w], 1);
		struct try first = call(r, 1, &who);
		struct got g = { 0 };

		assert_int_equal(first.server, 0);
		assert_int_equal(goes_to(r, 2, &who), 1);
		assert_int_equal(counted(r, STICKY_ELSEWHERE), 1);
		hangs_up(&first);
		assert_int_equal(goes_to(r, 3, &who), 0);
		end(r);
		r = rig_new(FULL("by: room"), some_workers[w], 1);
		first = call(r, 1, &who);
		assert_int_equal(first.server, 0);
		rig_forget(r, ALICE);
		assert_int_equal(goes_to(r, 2, &who), -1);
		rig_expect(r, ALICE, "SIP/2.0 100", &g);
		rig_expect(r, ALICE, "SIP/2.0 503", &g);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
		hangs_up(&first);
		assert_int_equal(goes_to(r, 3, &who), 0);
		got_free(&g);
		end(r);
	}
}

/* Which one is decided once --------------------------------------------------------------------------------------- */

/* Two calls of a new key, both on their way before either has an answer. */
static void simultaneous_calls_meet(void **state)
{
	unsigned asked = 0;

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned seed = 1; seed < 9; seed++) {
			struct rig *r = rig_new(APPS("by: to-user"), some_workers[w], seed);
			unsigned where = 0, arrived = 0;
			struct got g = { 0 };
			int server;

			r->holds_mail = true;
			for (unsigned n = 0; n < 6; n++)
				begins(r, 100 * seed + n, &(struct caller){ .to = "sip:new@example.com" });
			r->holds_mail = false;
			rig_after(r, 0);
			while ((server = reached(r, &g)) >= 0) {
				where |= 1u << server;
				arrived++;
			}
			assert_int_equal(arrived, 6);
			assert_int_equal(__builtin_popcount(where), 1);
			asked += (unsigned)counted(r, STICKY_ASKED);
			got_free(&g);
			end(r);
		}
	assert_true(asked > 0);
}

/* Its server fails the call: what takes it has the key from then on, and whoever failed at the same time goes there, too. */
static void what_takes_the_call_takes_the_key(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned is_room = 0; is_room < 2; is_room++) {
			struct rig *r = rig_new(is_room ? APPS("by: room") : APPS("by: to-user"), some_workers[w], 1);
			struct try a = call(r, 1, &who), b = call(r, 2, &who);
			int failed = a.server;

			assert_int_equal(b.server, failed);
			says(&a, 503);
			a.server = reached(r, &a.got);
			assert_int_not_equal(a.server, failed);
			says(&b, 503);
			b.server = reached(r, &b.got);
			assert_int_equal(b.server, a.server);
			assert_int_equal(goes_to(r, 3, &who), a.server);
			assert_int_equal(counted(r, STICKY_MOVED_FAILED), 1);
			assert_int_equal(n_calls(r, is_room ? "conf-1@example.com" : "conf-1"), is_room ? 2 : 0);
			hangs_up(&a);
			hangs_up(&b);
			assert_int_equal(n_calls(r, is_room ? "conf-1@example.com" : "conf-1"), 0);
			end(r);
		}
}

/* Silence, and every server in turn: the key is where it was tried last. */
static void silence_moves_it_too(void **state)
{
	struct rig *r = rig_new(APPS("by: to-user"), 2, 1);
	struct caller who = { .to = "sip:conf-1@example.com" };
	struct try t = call(r, 1, &who);
	int first = t.server;

	(void)state;
	rig_after(r, 2000);
	while (rig_has_message(r, servers[first]))
		rig_expect(r, servers[first], "INVITE ", &t.got);
	t.server = reached(r, &t.got);
	assert_true(t.server >= 0 && t.server != first);
	says(&t, 486);
	assert_int_equal(goes_to(r, 2, &who), t.server);
	got_free(&t.got);
	end(r);
}

/* The owner does not answer ------------------------------------------------------------------------------------------ */

/* Calls until the key of one belongs to another worker than the call, which has to be the one that read it: no mail goes. Its number. */
static unsigned asks_in_vain(struct rig *r)
{
	struct try t = { .rig = r };
	char to[64];
	unsigned n;

	for (n = 1;; n++) {
		snprintf(to, sizeof(to), "sip:vain%u@example.com", n);
		r->holds_mail = true;
		begins(r, n, &(struct caller){ .to = to });
		t.server = reached(r, &t.got);
		if (t.server < 0 && rig_has_message(r, ALICE))
			return n;
		r->holds_mail = false;
		rig_after(r, 0);
		t.server = t.server < 0 ? reached(r, &t.got) : t.server;
		hangs_up(&t);
		rig_forget(r, ALICE);
	}
}

static void without_an_answer(void **state)
{
	static const char *const yaml[] = { APPS("by: to-user"), APPS("by: to-user, on-drain: stay") };
	struct got g = { 0 };

	(void)state;
	for (unsigned stays = 0; stays < 2; stays++) {
		struct rig *r = rig_new(yaml[stays], 2, 1);

		asks_in_vain(r);
		rig_expect(r, ALICE, "SIP/2.0 100", &g);
		rig_after(r, 1999);
		assert_int_equal(reached(r, &g), -1);
		rig_after(r, 1);
		assert_int_equal(counted(r, STICKY_UNANSWERED), 1);
		if (stays) {
			assert_true(rig_take(r, ALICE, "SIP/2.0 503", &g));
			assert_int_equal(reached(r, &g), -1);
		} else {
			struct try t = { .rig = r };

			t.server = reached(r, &t.got);
			assert_true(t.server >= 0);
			hangs_up(&t);
		}
		r->holds_mail = false; /* the answer finds nobody, and who was counted is counted no more */
		rig_after(r, 0);
		assert_int_equal(look(r, "").calls, 0);
		assert_int_equal(reached(r, &g), -1);
		end(r);
	}
	got_free(&g);
}

/* The caller gives up while it is asked for. */
static void cancelled_while_it_is_asked(void **state)
{
	struct rig *r = rig_new(APPS("by: to-user, on-drain: stay"), 2, 1);
	struct got g = { 0 };
	unsigned n;

	(void)state;
	n = asks_in_vain(r);
	rig_expect(r, ALICE, "SIP/2.0 100", &g);
	rig_say(r, ALICE, EDGE, "",
	        "CANCEL sip:vain%u@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKsticky%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=t%u\nTo: <sip:vain%u@example.com>\nCall-ID: sticky%u\nCSeq: 1 CANCEL\n", n, n, n, n, n);
	r->holds_mail = false;
	rig_after(r, 0);
	rig_expect(r, ALICE, "SIP/2.0 200", &g);
	rig_expect(r, ALICE, "SIP/2.0 487", &g);
	assert_int_equal(reached(r, &g), -1);
	assert_int_equal(look(r, "").calls, 0);
	got_free(&g);
	end(r);
}

/* Reloads ------------------------------------------------------------------------------------------------------------ */

static void a_reload_keeps_what_it_can(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" };
	struct rig *r = rig_new(APPS("by: to-user"), 2, 1);
	int first = goes_to(r, 1, &who);

	(void)state;
	rig_reload(r, FLOW_ZONES "pools: { new: { zone: core, probe: off, " THREE " }, apps: { zone: core, probe: off, "
	              "sticky: { by: to-user, ttl: 1h }, " THREE " } }\n" FLOW_ROUTES);
	assert_int_equal(goes_to(r, 2, &who), first);
	rig_reload(r, APPS("by: from-user")); /* keys of another kind */
	assert_int_equal(look(r, "").n, 0);
	goes_to(r, 3, &who);
	assert_int_equal(look(r, "").n, 1);
	rig_reload(r, FLOW_ZONES "pools: { apps: { zone: core, probe: off, " THREE " } }\n" FLOW_ROUTES);
	assert_int_equal(counted(r, STICKY_ENTRIES), 0);
	assert_int_equal(counted(r, STICKY_FORGOTTEN), 2);
	assert_true(goes_to(r, 4, &who) >= 0);
	end(r);
}

/* A destination that nothing names any more gives its keys away. */
static void a_destination_that_is_gone(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" };
	struct rig *r = rig_new(APPS("by: room"), 2, 1);
	int first = goes_to(r, 1, &who), then;

	(void)state;
	assert_int_equal(first, 0);
	rig_after(r, 60000);
	rig_reload(r, FLOW_ZONES "pools: { apps: { zone: core, probe: off, sticky: { by: room }, destinations: [{ name: carol, uri: "
	              "\"sip:10.0.0.22:5060\" }, { name: dave, uri: \"sip:10.0.0.23:5060\" }] } }\n" FLOW_ROUTES);
	then = goes_to(r, 2, &who);
	assert_true(then > 0);
	assert_int_equal(goes_to(r, 3, &who), then);
	assert_int_equal(counted(r, STICKY_MOVED_GONE), 1);
	end(r);
}

/* What names a call, and calls that move ----------------------------------------------------------------------------- */

static void three_phones(struct rig *r, struct phone p[3])
{
	for (unsigned i = 0; i < 3; i++)
		phone_new(&p[i], r, names[i], servers[i]);
}

static void free_phones(struct phone *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		phone_free(&p[i]);
}

/* All but this one are drained. */
static void only(struct rig *r, int server)
{
	for (int i = 0; i < 3; i++)
		put(r, i, server < 0 || i == server ? WISH_IN_SERVICE : WISH_DRAINING);
}

/* The tags of Target-Dialog have other names (RFC 4538 §7). */
static void name_call(char *line, size_t size, const char *header, const char *name)
{
	const char *to = strstr(name, ";to-tag=") + 8, *from = strstr(name, ";from-tag=") + 10;
	bool is_target = !strcmp(header, "Target-Dialog");

	snprintf(line, size, "%s: %.*s;%s=%.*s;%s=%s\n", header, (int)strcspn(name, ";"), name, is_target ? "local-tag" : "to-tag",
	         (int)strcspn(to, ";"), to, is_target ? "remote-tag" : "from-tag", from);
}

/* It goes where that call is, whatever its own key says, and is counted as one of its key if that is there. */
static void what_names_a_call_goes_where_it_is(void **state)
{
	static const char *const headers[] = { "Replaces", "Join", "Target-Dialog" };

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned h = 0; h < 3; h++) {
			struct rig *r = rig_new(APPS("by: room"), some_workers[w], 1);
			struct phone a, x, at[3], taken;
			char line[1024];

			phone_new(&a, r, "alice", ALICE);
			phone_new(&x, r, "xaver", CARLA);
			three_phones(r, at);
			only(r, 1);
			phones_talk(&a, &at[1], "sip:conf-1@example.com");
			only(r, 0);
			name_call(line, sizeof(line), headers[h], phone_call_name(&a));
			phone_calls(&x, "sip:conf-2@example.com", line, OFFER);
			phone_new(&taken, r, "taken", CAROL);
			phone_gets(&taken, "INVITE ");
			assert_string_equal(look(r, "conf-2@example.com").destination, "carol");
			assert_int_equal(n_calls(r, "conf-2@example.com"), 1);
			phone_answers(&taken, 486, "", "");
			phone_gets(&taken, "ACK ");
			phones_end(&a, &at[1]);
			assert_int_equal(n_calls(r, "conf-1@example.com"), 0);
			assert_int_equal(n_calls(r, "conf-2@example.com"), 0);
			free_phones(at, 3);
			free_phones(&a, 1);
			free_phones(&x, 1);
			free_phones(&taken, 1);
			end(r);
		}
}

/* A server that asks who calls gets the answer, though it is drained meanwhile (DECISIONS 3), and that call is one of its room. */
static void a_challenged_call_is_counted(void **state)
{
	struct caller who = { .to = "sip:conf-1@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(APPS("by: room"), some_workers[w], 1);
		struct try first = call(r, 1, &who), again = { .rig = r }, other;

		says(&first, 401);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 0);
		put(r, first.server, WISH_DRAINING);
		rig_say(r, ALICE, EDGE, SDP,
		        "INVITE sip:conf-1@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKagain;rport\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=t1\nTo: <sip:conf-1@example.com>\nCall-ID: sticky1\nCSeq: 2 INVITE\n"
		        "Contact: <sip:alice@192.0.2.10:5060>\nContent-Type: application/sdp\n");
		again.server = reached(r, &again.got);
		assert_int_equal(again.server, first.server);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
		other = call(r, 3, &who);
		assert_int_equal(other.server, first.server);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 2);
		hangs_up(&again);
		hangs_up(&other);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 0);
		got_free(&first.got);
		end(r);
	}
}

/* A call that a server began has no destination on that server's side: its address says where the call is. */
static void a_call_that_a_server_began(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(FLOW_ZONES "pools: { apps: { zone: core, probe: off, " THREE " } }\n" FLOW_ROUTES, some_workers[w], 1);
		struct phone at[3], d, taken;
		char line[1024];

		three_phones(r, at);
		only(r, 1);
		phones_talk(&at[0], &at[1], "sip:carol@10.0.0.10"); /* bob calls, carol answers */
		only(r, 2);
		phone_new(&d, r, "dora", "10.0.0.99:5060");
		phone_new(&taken, r, "taken", BOB);
		snprintf(line, sizeof(line), "Replaces: %s\n", phone_call_name(&at[1]));
		phone_calls(&d, "sip:bob@10.0.0.10", line, OFFER);
		phone_gets(&taken, "INVITE ");
		phone_answers(&taken, 486, "", "");
		phone_gets(&taken, "ACK ");
		phones_end(&at[0], &at[1]);
		free_phones(at, 3);
		free_phones(&d, 1);
		free_phones(&taken, 1);
		rig_forget(r, "10.0.0.99:5060");
		end(r);
	}
}

static unsigned moves(struct rig *r, int server)
{
	char name[32];
	unsigned done = 0;

	snprintf(name, sizeof(name), "apps/%s", names[server]);
	for (unsigned i = 0; i < r->shared.workers; i++)
		done += b2bua_move_at(r->workers[i].calls, dest_find(r->shared.pools, r->conf, sv_from(name), NULL), 10);
	rig_after(r, 0);
	return done;
}

/* `drain --then move`: the first call of a room takes its key along, and the second one follows. */
static void a_room_moves_together(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(APPS("by: room"), some_workers[w], 1);
		struct phone near[2], at[2], then[2];
		struct got g = { 0 };
		int where;

		phone_new(&near[0], r, "alice", ALICE);
		phone_new(&near[1], r, "xaver", CARLA);
		only(r, 0);
		for (unsigned i = 0; i < 2; i++) {
			phone_new(&at[i], r, i ? "bert" : "bob", BOB);
			phones_talk(&near[i], &at[i], "sip:conf-1@example.com");
		}
		only(r, -1);
		put(r, 0, WISH_DRAINING);
		assert_int_equal(n_calls(r, "conf-1@example.com"), 2);
		assert_int_equal(moves(r, 0), 2);
		for (unsigned i = 0; i < 2; i++) {
			phone_gets(&near[i], "INVITE ");
			phone_answers_invite(&near[i], 200, "", OFFER);
		}
		where = rig_has_message(r, CAROL) ? 1 : 2;
		for (unsigned i = 0; i < 2; i++) {
			phone_new(&then[i], r, i ? "carl" : "carol", servers[where]);
			phone_gets(&then[i], "INVITE ");
		}
		for (unsigned i = 0; i < 2; i++) {
			phone_answers_invite(&then[i], 200, "", ANSWER);
			phone_gets(&then[i], "ACK ");
		}
		assert_int_equal(n_calls(r, "conf-1@example.com"), 2);
		assert_string_equal(look(r, "conf-1@example.com").destination, names[where]);
		assert_int_equal(counted(r, STICKY_MOVED_DRAINED), 1);
		for (unsigned i = 0; i < 2; i++) {
			rig_expect(r, BOB, "BYE ", &g);
			rig_forget(r, ALICE);
			rig_forget(r, CARLA);
		}
		got_free(&g);
		free_phones(near, 2);
		free_phones(at, 2);
		free_phones(then, 2);
		end(r);
		assert_true(where == 1 || where == 2);
	}
}

/* A user who registers behind us moves with his registration, and his next call follows it. */
static void a_registration_moves_its_user(void **state)
{
	struct caller who = { .from = "sip:alice@example.com" };

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct rig *r = rig_new(FLOW_ZONES "pools: { apps: { zone: core, probe: off, sticky: { by: from-user }, " THREE " } }\n"
		                        "routes: [{ when: { method: REGISTER, caller: any }, to: registrar }, { when: { zone: public, caller: any }, "
		                        "to: { pool: apps } }]\nregistrar: { example.com: { mode: pass, pool: apps } }\n", some_workers[w], 1);
		int first = goes_to(r, 1, &who), then = -1;
		struct got g = { 0 };

		put(r, first, WISH_DRAINING);
		rig_say(r, ALICE, EDGE, "",
		        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKreg;rport\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=r\nTo: <sip:alice@example.com>\nCall-ID: r\nCSeq: 1 REGISTER\n"
		        "Contact: <sip:alice@192.0.2.10>\n");
		for (int i = 0; i < 3; i++)
			if (rig_has_message(r, servers[i])) {
				rig_expect(r, servers[i], "REGISTER ", &g);
				flow_answer(r, servers[i], CORE, &g, 403, "<sip:alice@example.com>;tag=b", NULL, "", "");
				then = i;
			}
		assert_true(then >= 0 && then != first);
		put(r, first, WISH_IN_SERVICE);
		assert_int_equal(goes_to(r, 2, &who), then);
		assert_int_equal(counted(r, STICKY_MOVED_DRAINED), 1);
		got_free(&g);
		end(r);
	}
}

/* Another node ------------------------------------------------------------------------------------------------------- */

struct kept {
	struct sticky_sink sink;
	struct sv of[8];
	unsigned n;
};

static void keep(struct sticky_sink *sink, uint64_t key, struct sv record)
{
	struct kept *k = owner_of(sink, struct kept, sink);
	char *copy = malloc(record.len);

	(void)key;
	assert_non_null(copy);
	assert_true(k->n < 8);
	memcpy(copy, record.p, record.len);
	k->of[k->n++] = (struct sv){ copy, record.len };
}

/* The keys are on the other node as they were, and so is who is in a room: the calls' own records say that, in whatever order they come. */
static void another_node_knows_them(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned keys_first = 0; keys_first < 2; keys_first++) {
			static const char yaml[] = APPS("by: room, ttl: 1h");
			struct rig *r = rig_new(yaml, some_workers[w], 1);
			struct caller who = { .to = "sip:conf-1@example.com" }, idle = { .to = "sip:conf-2@example.com" };
			struct kept kept = { .sink = { keep } };
			struct try ringing = call(r, 1, &who), again;
			int other = goes_to(r, 2, &idle);

			says(&ringing, 180);
			rig_after(r, 60000);
			for (unsigned i = 0; i < r->shared.workers; i++)
				sticky_export(b2bua_sticky(r->workers[i].calls), &kept.sink);
			assert_int_equal(kept.n, 2);
			if (!keys_first)
				r = rig_take_over(r, yaml, some_workers[(w + 1) % 3], 1);
			else
				rig_free(r, false), r = rig_new(yaml, some_workers[(w + 1) % 3], 99);
			for (unsigned i = 0; i < kept.n; i++) {
				const struct hash_key *key = token_hash_key(r->workers[0].tokens);
				struct sticky *at =
					b2bua_sticky(r->workers[sticky_record_shard(key, kept.of[i]) % r->shared.workers].calls);
				int err = sticky_apply(at, kept.of[i]);

				assert_true(err == 0 || (err == -EEXIST && !keys_first));
				assert_int_equal(sticky_apply(at, kept.of[i]), -EEXIST);
				free((char *)kept.of[i].p);
			}
			ringing.rig = r;
			rig_after(r, 0);
			assert_int_equal(look(r, "").n, 2);
			assert_string_equal(look(r, "conf-2@example.com").destination, names[other]);
			assert_string_equal(look(r, "conf-1@example.com").destination, names[ringing.server]);
			assert_int_equal(n_calls(r, "conf-1@example.com"), !keys_first);
			put(r, ringing.server, WISH_DRAINING);
			again = call(r, 3, &who);
			if (keys_first) {
				assert_int_not_equal(again.server, ringing.server);
			} else {
				assert_int_equal(again.server, ringing.server);
				assert_int_equal(n_calls(r, "conf-1@example.com"), 2);
				says(&ringing, 486);
				assert_int_equal(n_calls(r, "conf-1@example.com"), 1);
			}
			got_free(&ringing.got);
			hangs_up(&again);
			assert_int_equal(n_calls(r, "conf-1@example.com"), 0);
			end(r);
		}
}

/* The owner's mailbox is full when calls end: it is told as soon as there is room. */
static int no_post(struct shared *s, unsigned worker, struct mail *m, bool is_urgent)
{
	(void)s, (void)worker, (void)m, (void)is_urgent;
	return -ENOBUFS;
}

static void an_end_is_told_later(void **state)
{
	enum { CALLS = 8 };
	struct rig *r = rig_new(APPS("by: to-user, on-drain: stay"), 8, 1);
	int (*post)(struct shared *s, unsigned worker, struct mail *m, bool is_urgent) = r->shared.post;
	struct try t[CALLS];
	char to[64];

	(void)state;
	for (unsigned i = 0; i < CALLS; i++) {
		snprintf(to, sizeof(to), "sip:user%u@example.com", i);
		t[i] = call(r, i, &(struct caller){ .to = to });
		assert_true(t[i].server >= 0);
	}
	r->shared.post = no_post;
	for (unsigned i = 0; i < r->shared.workers; i++)
		for (unsigned k = 0; k < 3; k++)
			b2bua_hangup_at(r->workers[i].calls, (uint16_t)k, CALLS);
	rig_after(r, 1000);
	r->shared.post = post;
	assert_true(counted(r, STICKY_ENTRIES) == CALLS);
	rig_after(r, 100);
	for (unsigned i = 0; i < CALLS; i++) {
		snprintf(to, sizeof(to), "user%u", i);
		assert_int_equal(look(r, to).n, 1);
		assert_int_equal(n_calls(r, to), 0);
		got_free(&t[i].got);
	}
	end(r);
}

/* What a call holds cannot be allocated: a user's call goes on without his key, or with it if that is known here; one of a room is refused
 * when its key is another worker's, and not counted when it is not. Nobody is counted for good, and nothing is left. */
static void without_memory(void **state)
{
	static const char *const yaml[] = { APPS("by: to-user"), APPS("by: room") };

	(void)state;
	for (unsigned stays = 0; stays < 2; stays++)
		for (unsigned w = 0; w < 3; w++) {
			struct rig *r = rig_new(yaml[stays], some_workers[w], 1);
			unsigned refused = 0, failed = 0;
			char to[64];

			for (unsigned n = 0; n < 20; n++) {
				struct try t;

				snprintf(to, sizeof(to), "sip:conf-%u@example.com", n);
				oom_in = 1;
				t = call(r, n, &(struct caller){ .to = to });
				failed += oom_in == 0;
				oom_in = 0;
				refused += t.server < 0;
				assert_int_equal(look(r, "").calls, 0);
				hangs_up(&t);
			}
			assert_true(w ? failed > 0 : failed == (stays ? 20 : 0));
			assert_int_equal(refused > 0, stays && w);
			assert_int_equal(counted(r, STICKY_UNANSWERED) + counted(r, STICKY_NO_MEMORY), failed);
			end(r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_keys_meet),
		cmocka_unit_test(each_key_keeps_its_own),
		cmocka_unit_test(what_has_no_key_is_balanced),
		cmocka_unit_test(use_makes_it_last),
		cmocka_unit_test(beyond_its_max_the_oldest_goes),
		cmocka_unit_test(a_user_moves_once),
		cmocka_unit_test(a_room_stays_until_it_is_empty),
		cmocka_unit_test(a_room_leaves_who_is_down),
		cmocka_unit_test(when_all_are_down_keys_stay),
		cmocka_unit_test(a_room_in_use_lasts),
		cmocka_unit_test(when_its_server_is_full),
		cmocka_unit_test(simultaneous_calls_meet),
		cmocka_unit_test(what_takes_the_call_takes_the_key),
		cmocka_unit_test(silence_moves_it_too),
		cmocka_unit_test(without_an_answer),
		cmocka_unit_test(cancelled_while_it_is_asked),
		cmocka_unit_test(a_reload_keeps_what_it_can),
		cmocka_unit_test(a_destination_that_is_gone),
		cmocka_unit_test(what_names_a_call_goes_where_it_is),
		cmocka_unit_test(a_challenged_call_is_counted),
		cmocka_unit_test(a_call_that_a_server_began),
		cmocka_unit_test(a_room_moves_together),
		cmocka_unit_test(a_registration_moves_its_user),
		cmocka_unit_test(another_node_knows_them),
		cmocka_unit_test(an_end_is_told_later),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
