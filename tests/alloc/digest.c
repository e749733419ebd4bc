/* Each allocation fails in turn while somebody registers and calls with a password, and while a source of users takes its time. What
 * cannot be done is refused or left unanswered; afterwards it can be done, and nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/secret.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define YAML \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { zone: public, caller: authenticated }, to: { pool: apps } }]\n" \
	"registrar: { example.com: { auth: { inline: { alice: \"${SBC_TEST_SECRET}\" }, realm: example.com } } }\n"

static const struct secret alice = { .user = "alice", .password = "zanzibar", .algorithm = "SHA-256" };

struct caller {
	struct rig *rig;
	struct secret who;
	struct got got;
	unsigned cseq;
};

static void say(struct caller *c, const char *method, const char *uri, const char *extra)
{
	c->cseq++;
	rig_say(c->rig, ALICE, EDGE, "",
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:alice@example.com>;tag=a\n"
	        "To: <sip:%s@example.com>\nCall-ID: %s-1\nCSeq: %u %s\nContact: <sip:alice@192.0.2.10>\nUser-Agent: Telephone 1.0\n"
	        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, REFER, NOTIFY, MESSAGE\nSupported: path\n%s",
	        method, uri, c->cseq, strcmp(method, "REGISTER") ? "bob" : "alice", method, c->cseq, method, extra);
	rig_after(c->rig, 1);
}

/* Whatever comes of it. */
static void asks(struct caller *c, const char *method, const char *uri, const char *challenge, enum hdr_id id, const char *header)
{
	c->who = alice;
	say(c, method, uri, "");
	if (!rig_take(c->rig, ALICE, challenge, &c->got))
		return;
	secret_take(&c->who, &c->got, id);
	c->who.nc++;
	say(c, method, uri, secret_line(&c->who, header, method, uri));
}

static void registers(struct caller *c)
{
	asks(c, "REGISTER", "sip:example.com", "SIP/2.0 401", HDR_WWW_AUTHENTICATE, "Authorization");
}

static void calls(struct caller *c)
{
	asks(c, "INVITE", "sip:bob@example.com", "SIP/2.0 407", HDR_PROXY_AUTHENTICATE, "Proxy-Authorization");
}

/* The source of the configuration, but later. */
static int (*now)(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_keys *keys);
static struct user_source *asked_source;
static const struct conf_registrar *asked_domain;
static struct user_ask *asked;

static int late_find(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_keys *keys)
{
	(void)s, (void)domain, (void)user, (void)keys;
	return -EINPROGRESS;
}

static int late_ask(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_ask *ask)
{
	(void)user;
	asked_source = s;
	asked_domain = domain;
	asked = ask;
	return 0;
}

static void late_cancel(struct user_source *s, struct user_ask *ask)
{
	(void)s, (void)ask;
	asked = NULL;
}

static void late_answer(struct caller *c)
{
	struct user_ask *ask = asked;
	struct user_keys keys;
	int err;

	if (!ask)
		return;
	asked = NULL;
	err = now(asked_source, asked_domain, SV("alice"), &keys);
	ask->answer(ask, err, &keys);
	rig_after(c->rig, 1);
}

static bool failing(bool is_late, unsigned long n, unsigned long more)
{
	struct caller c = { .rig = rig_new(YAML, 2, 1) };
	bool has_failed;

	for (unsigned i = 0; i < 2 && is_late; i++) {
		struct user_source *s = &c.rig->workers[i].users.source;

		now = s->find;
		*s = (struct user_source){ late_find, late_ask, late_cancel, s->algorithms };
	}
	oom_arm(n, more);
	registers(&c);
	late_answer(&c);
	calls(&c);
	late_answer(&c);
	has_failed = oom_disarm();
	rig_after(c.rig, 400000);
	rig_forget(c.rig, ALICE);
	rig_forget(c.rig, BOB);
	registers(&c);
	late_answer(&c);
	rig_expect(c.rig, ALICE, "SIP/2.0 200", &c.got);
	got_free(&c.got);
	rig_after(c.rig, 4000000);
	rig_forget(c.rig, ALICE);
	rig_free(c.rig, true);
	return has_failed;
}

static void fail_each(bool is_late, const char *which)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	setenv("SBC_TEST_SECRET", "zanzibar", 1);
	for (unsigned i = 0; i < 3; i++) {
		long live = oom_live();
		unsigned long n = 1;

		while (failing(is_late, n, more[i]))
			n++;
		if (i == 0)
			print_message("%s: %lu allocations, each of them failed\n", which, n - 1);
		assert_true(n > 3);
		assert_int_equal(oom_live(), live);
	}
}

static void users_at_hand(void **state)
{
	(void)state;
	fail_each(false, "register and call");
}

static void users_elsewhere(void **state)
{
	(void)state;
	fail_each(true, "register and call, users elsewhere");
}

/* A new configuration with users, and nothing of it when memory is out. */
static void users_that_are_read(void **state)
{
	struct rig *r;
	unsigned long n = 0;
	int err;

	(void)state;
	setenv("SBC_TEST_SECRET", "zanzibar", 1);
	r = rig_new(YAML, 2, 1);
	do {
		oom_arm(++n, 0);
		err = users_adopt(r->shared.users, r->conf);
		oom_disarm();
		rig_after(r, 1); /* the workers adopt what there is */
	} while (err == -ENOMEM);
	assert_int_equal(err, 0);
	assert_true(n > 3);
	rig_free(r, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_at_hand),
		cmocka_unit_test(users_elsewhere),
		cmocka_unit_test(users_that_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
