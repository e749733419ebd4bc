/* Unit tests of topohide/guard.h: what counts as a leak, what is spared, what is logged and counted. */
#include "topohide/guard.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char yaml[] =
	"node: test\nhiding: { guard: %s }\n"
	"headers: { mine: [{ keep: [X-Kept, \"X-Ours-*\"] }, { add: X-Added, value: \"at 10.0.0.21\" }, { rename: X-Old, to: X-New }, { remove: X-Gone }] }\n"
	"zones:\n"
	"  public: { listen: [\"udp:203.0.113.10:5060\"], domains: [\"example.com\"] }\n"
	"  core: { listen: [\"udp:10.0.0.10:5060\"], trust: [\"10.9.0.0/16\"] }\n"
	"  both: { listen: [\"udp:10.0.0.10:5070\"] }\n"
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: a, uri: \"sip:10.0.0.21\" }, { name: b, uri: \"sip:app.inside.example\" }] } }\n"
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }]\n";

enum { PUBLIC, CORE, BOTH };

struct rig {
	struct conf *conf;
	struct hide_index *index;
	struct counters counters;
	struct wheel wheel;
	struct guard guard;
};

static struct rig *rig_new(const char *mode)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct conf_notes notes;
	char text[2048];

	assert_non_null(r);
	snprintf(text, sizeof(text), yaml, mode);
	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&r->conf, "test.yaml", sv_from(text), &notes), 0);
	conf_notes_fini(&notes);
	wheel_init(&r->wheel, 1000000);
	assert_int_equal(hide_index_new(&r->index, r->conf), 0);
	assert_int_equal(counters_init(&r->counters, hide_counter_defs, HIDE_COUNTERS), 0);
	guard_init(&r->guard, &r->wheel, &r->counters, NULL);
	guard_adopt(&r->guard, r->conf, r->index);
	return r;
}

static void rig_free(struct rig *r)
{
	hide_index_free(r->index);
	counters_fini(&r->counters);
	conf_free(r->conf);
	free(r);
}

static struct path path_of(unsigned zone, const char *remote)
{
	struct path p = { .listener = (uint16_t)zone, .transport = T_UDP };

	assert_int_equal(addr_parse(&p.remote, sv_from(remote)), 0);
	return p;
}

static struct buf *message(const char *start, const char *lines, const char *body)
{
	char text[4096];
	int n = snprintf(text, sizeof(text),
	                 "%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n"
	                 "Call-ID: c\r\nCSeq: 1 INFO\r\nMax-Forwards: 70\r\n%sContent-Length: %zu\r\n\r\n%s",
	                 start, *start == 'S' ? "192.0.2.10" : "203.0.113.10", lines, strlen(body), body);
	struct buf *b = buf_copy((struct sv){ text, (size_t)n });

	assert_non_null(b);
	return b;
}

/* What the guard says of a message with these lines to Alice, in the public zone. */
static int check(struct rig *r, const char *start, const char *lines, const char *body)
{
	struct path to = path_of(PUBLIC, "192.0.2.10:5060");
	struct buf *b = message(start, lines, body);
	int err = r->guard.base.check(&r->guard.base, &to, b);

	buf_put(b);
	return err;
}

#define INFO "INFO sip:a@192.0.2.10 SIP/2.0"

/* Without a cause: the names of every zone but the receiver's. */
static void other_zones_are_found(void **state)
{
	static const char *const leaks[] = {
		"X-Node: 10.0.0.21\r\n", "Contact: <sip:x@10.0.0.10>\r\n", "Warning: 399 app.inside.example \"x\"\r\n", "Reason: SIP;text=\"10.9.1.1\"\r\n",
		"Via: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bK2\r\n", "Refer-To: <sip:x@y?Replaces=10%2e0.0.21>\r\n",
		"X-Kept2: 10.0.0.21\r\n", "X-Gone: 10.0.0.21\r\n",
	};
	static const char *const fine[] = {
		"", "X-Node: 192.0.2.10\r\n", "X-Node: 203.0.113.10 example.com\r\n", "Authorization: Digest uri=\"sip:10.0.0.21\"\r\n",
		"WWW-Authenticate: Digest realm=\"10.0.0.21\"\r\n",
		/* What a rule passes or writes. */
		"x-kept: 10.0.0.21\r\nX-Ours-1: 10.0.0.21\r\nX-Added: at 10.0.0.21\r\nX-New: 10.0.0.21\r\n",
	};
	struct rig *r = rig_new("block");
	unsigned n;

	(void)state;
	for (n = 0; n < sizeof(leaks) / sizeof(*leaks); n++)
		if (check(r, INFO, leaks[n], "") != -EACCES)
			fail_msg("not found: %s", leaks[n]);
	for (unsigned i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		if (check(r, INFO, fine[i], ""))
			fail_msg("found: %s", fine[i]);
	assert_int_equal(check(r, "SIP/2.0 404 not at 10.0.0.21", "", ""), -EACCES);
	assert_int_equal(check(r, "INFO sip:a@10.0.0.21 SIP/2.0", "", ""), 0); /* the Request-URI is kept */
	assert_int_equal(check(r, INFO, "Content-Type: message/sipfrag;version=2.0\r\n", "SIP/2.0 200 OK\r\nVia: 10.0.0.21"), -EACCES);
	assert_int_equal(check(r, INFO, "c: application/dialog-info+xml\r\n", "<a b=\"10.0.0.21\"/>"), -EACCES);
	assert_int_equal(check(r, INFO, "Content-Type: application/sdp\r\n", "c=IN IP4 10.0.0.21"), 0);
	assert_int_equal(counter_get(&r->counters, HIDE_GUARD_FOUND), n + 3);
	assert_int_equal(counter_get(&r->counters, HIDE_GUARD_BLOCKED), n + 3);
	rig_free(r);
}

/* A client may call itself what it likes: its own words come back to it in answers, and in requests of the other side. */
static void what_the_receiver_wrote_is_his(void **state)
{
	static const char *const own[] = {
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.21;branch=z9hG4bK1\r\nRecord-Route: <sip:10.0.0.21;lr>\r\n"
		"From: \"10.0.0.21\" <sip:a@b>;tag=10.0.0.21\r\nTo: <sip:b@b>;x=10.0.0.21;tag=2\r\nCall-ID: 1@10.0.0.21\r\nCSeq: 1 INFO\r\n",
		"INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\nRoute: <sip:10.0.0.21;lr>\r\n"
		"From: <sip:a@b>;x=10.0.0.21;tag=1\r\nTo: \"10.0.0.21\" <sip:b@b>;tag=2\r\nCall-ID: 1@10.0.0.21\r\nCSeq: 1 INFO\r\n",
	};
	struct rig *r = rig_new("block");
	struct path to = path_of(PUBLIC, "192.0.2.10:5060");

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned leaks = 0; leaks < 2; leaks++) {
			char text[1024];
			int n = snprintf(text, sizeof(text), "%s%sContent-Length: 0\r\n\r\n", own[i], leaks ? "Contact: <sip:x@10.0.0.21>\r\n" : "");
			struct buf *b = buf_copy((struct sv){ text, (size_t)n });

			assert_int_equal(r->guard.base.check(&r->guard.base, &to, b), leaks ? -EACCES : 0);
			buf_put(b);
		}
	rig_free(r);
}

/* A report of many dialogs has many words. */
static void long_bodies_are_looked_through(void **state)
{
	static char body[60000], text[64000];
	struct rig *r = rig_new("block");
	struct path to = path_of(PUBLIC, "192.0.2.10:5060");

	(void)state;
	for (unsigned leaks = 0; leaks < 2; leaks++) {
		size_t n = 0;
		struct buf *b;
		int len;

		for (unsigned i = 0; i < 1000; i++)
			n += (size_t)sprintf(body + n, "<dialog id=\"%u\"><a b=\"c d e f\"/></dialog>", i);
		if (leaks)
			n += (size_t)sprintf(body + n, "<target uri=\"sip:x@10.0.0.21\"/>");
		len = snprintf(text, sizeof(text),
		               "NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
		               "To: <sip:b@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\nContent-Type: application/dialog-info+xml\r\n"
		               "Content-Length: %zu\r\n\r\n%s", n, body);
		b = buf_copy((struct sv){ text, (size_t)len });
		assert_int_equal(r->guard.base.check(&r->guard.base, &to, b), leaks ? -EACCES : 0);
		buf_put(b);
	}
	rig_free(r);
}

/* From and To: the URI stays, what stands around it does not. */
static void addresses_are_looked_around(void **state)
{
	static const char text[] = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\nFrom: %s;tag=1\r\nTo: <sip:b@10.0.0.21>\r\n"
				   "Call-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
	static const struct {
		const char *from;
		int err;
	} cases[] = { { "<sip:a@10.0.0.21>", 0 }, { "\"at 10.0.0.21\" <sip:a@b>", -EACCES }, { "<sip:a@b>;x=app.inside.example", -EACCES } };
	struct rig *r = rig_new("block");
	struct path to = path_of(PUBLIC, "192.0.2.10:5060");

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char line[1024];
		int n = snprintf(line, sizeof(line), text, cases[i].from);
		struct buf *b = buf_copy((struct sv){ line, (size_t)n });

		assert_int_equal(r->guard.base.check(&r->guard.base, &to, b), cases[i].err);
		buf_put(b);
	}
	rig_free(r);
}

/* With a cause: its source, its Via and Contact, its identifiers; nothing of it when it is the receiver's own. */
static void the_cause_is_found(void **state)
{
	static const char cause[] =
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP hidden.far.example;branch=z9hG4bKfarbranch\r\nFrom: <sip:a@b>;tag=far-from-1\r\n"
		"To: <sip:b@b>;tag=far-to-22\r\nCall-ID: far-call-id\r\nCSeq: 1 INFO\r\nServer: FarServer 1.0\r\nContent-Length: 0\r\n\r\n";
	static const char *const leaks[] = { "X: hidden.far.example\r\n", "X: 10.7.7.7\r\n", "X: far-from-1\r\n", "X: far-to-22\r\n",
	                                     "X: far-call-id\r\n", "X: FarServer 1.0\r\n", "X: 10.0.0.21\r\n" };
	struct rig *r = rig_new("block");
	struct buf *b = buf_copy(SV(cause));
	struct path from = path_of(CORE, "10.7.7.7:5060"), own = path_of(PUBLIC, "192.0.2.10:5060"),
	            neighbour = path_of(PUBLIC, "192.0.2.20:5060");
	struct view_fault fault;
	struct view v;

	(void)state;
	assert_int_equal(view_scan(&v, b->data, b->len, true, &fault), 0);
	r->guard.base.cause = &v;
	r->guard.base.cause_from = &from;
	for (unsigned i = 0; i < sizeof(leaks) / sizeof(*leaks); i++)
		if (check(r, INFO, leaks[i], "") != -EACCES)
			fail_msg("not found: %s", leaks[i]);
	assert_int_equal(check(r, INFO, "X: 203.0.113.10 192.0.2.10 other-call\r\n", ""), 0);
	r->guard.base.cause_from = &neighbour; /* a redirection that is followed asks another server with the same identifiers */
	assert_int_equal(check(r, INFO, "X: far-call-id\r\n", ""), 0);
	assert_int_equal(check(r, INFO, "X: 10.0.0.21\r\n", ""), -EACCES);
	v.status = 0; /* a call within one zone */
	assert_int_equal(check(r, INFO, "X: far-call-id\r\n", ""), -EACCES);
	v.status = 200;
	r->guard.base.cause_from = &own; /* who is answered may read what he wrote */
	for (unsigned i = 0; i + 1 < sizeof(leaks) / sizeof(*leaks); i++)
		assert_int_equal(check(r, INFO, leaks[i], ""), 0);
	assert_int_equal(check(r, INFO, "X: 10.0.0.21\r\n", ""), -EACCES);
	buf_put(b);
	rig_free(r);
}

/* Two zones on one address know each other's. */
static void a_shared_address_is_no_secret(void **state)
{
	struct rig *r = rig_new("block");
	struct path to = path_of(BOTH, "198.51.100.1:5060");
	struct buf *b = message(INFO, "Contact: <sip:x@10.0.0.10:5070>\r\nX: 198.51.100.1\r\n", "");

	(void)state;
	assert_int_equal(r->guard.base.check(&r->guard.base, &to, b), -EACCES); /* its Via is the public zone's */
	buf_put(b);
	b = buf_copy(SV("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n"
	                "Call-ID: c\r\nCSeq: 1 INFO\r\nContact: <sip:x@10.0.0.10:5070>\r\nContent-Length: 0\r\n\r\n"));
	assert_int_equal(r->guard.base.check(&r->guard.base, &to, b), 0);
	buf_put(b);
	rig_free(r);
}

static void log_only_counts(void **state)
{
	struct rig *r = rig_new("log");

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(check(r, INFO, "X: 10.0.0.21\r\n", ""), 0);
	assert_int_equal(counter_get(&r->counters, HIDE_GUARD_FOUND), 3);
	assert_int_equal(counter_get(&r->counters, HIDE_GUARD_BLOCKED), 0);
	assert_int_equal(r->guard.logged_ms, 1000000);
	wheel_advance(&r->wheel, 1000000 + GUARD_LOG_MS - 1, 0);
	check(r, INFO, "X: 10.0.0.21\r\n", "");
	assert_int_equal(r->guard.logged_ms, 1000000); /* one line in ten seconds */
	wheel_advance(&r->wheel, 1000000 + GUARD_LOG_MS, 0);
	check(r, INFO, "X: 10.0.0.21\r\n", "");
	assert_int_equal(r->guard.logged_ms, 1000000 + GUARD_LOG_MS);
	rig_free(r);
	r = rig_new("off");
	assert_null(r->guard.base.check);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_zones_are_found),
		cmocka_unit_test(what_the_receiver_wrote_is_his),
		cmocka_unit_test(long_bodies_are_looked_through),
		cmocka_unit_test(addresses_are_looked_around),
		cmocka_unit_test(the_cause_is_found),
		cmocka_unit_test(a_shared_address_is_no_secret),
		cmocka_unit_test(log_only_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
