/* Keys that keep their destination (`sticky`): what a key may be, how long it lasts, who moves when his destination goes, and that all of it
 * is the same whichever worker a call is on. */
#include "tests/flow/flow.h"
#include "dispatcher/sticky.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define DAVE "10.0.0.23:5060"
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
		int first[12];
		char to[64];

		for (unsigned round = 0; round < 3; round++)
			for (unsigned i = 0; i < 12; i++) {
				int server;

				snprintf(to, sizeof(to), "sip:user%u@example.com", i);
				server = goes_to(r, ++n, &(struct caller){ .to = to });
				first[i] = round ? first[i] : server;
				assert_int_equal(server, first[i]);
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
		cmocka_unit_test(a_room_in_use_lasts),
		cmocka_unit_test(when_its_server_is_full),
		cmocka_unit_test(simultaneous_calls_meet),
		cmocka_unit_test(what_takes_the_call_takes_the_key),
		cmocka_unit_test(silence_moves_it_too),
		cmocka_unit_test(without_an_answer),
		cmocka_unit_test(cancelled_while_it_is_asked),
		cmocka_unit_test(a_reload_keeps_what_it_can),
		cmocka_unit_test(a_destination_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
