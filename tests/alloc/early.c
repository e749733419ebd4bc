/* Each allocation fails in turn in a call with forks, reliable provisionals, early UPDATEs, targets that move, and a re-INVITE; and while
 * another node takes such a call over. Whatever fails: nothing crashes, and when all timers have run out nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define YAML \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 60s }]\n"
#define RELIABLE "Require: 100rel\nRSeq: 1\n"

/* Alice, and the forks behind Bob; what came may be missing. */
struct cast {
	struct rig *rig;
	struct got invite, asked, answered;
	char near_contact[128], near_to[2][256];
	unsigned cseq;
};

static void alice_asks(struct cast *c, const char *method, const char *uri, const char *to, const char *lines, const char *body)
{
	c->cseq++;
	rig_say(c->rig, ALICE, EDGE, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call\nCSeq: %u %s\nContact: <sip:alice%u@192.0.2.10>\n%s",
	        method, uri, c->cseq, to, c->cseq, method, c->cseq, lines);
}

static void bob_says(struct cast *c, const struct got *g, unsigned status, const char *tag, const char *contact, const char *lines)
{
	char to[512];

	snprintf(to, sizeof(to), "%s%s", got_value(g, HDR_TO), *got_tag(g, HDR_TO) ? "" : tag);
	flow_answer(c->rig, BOB, CORE, g, status, to, contact, lines, "");
}

/* A fork rings; Alice acknowledges it and offers something else. */
static void fork_rings(struct cast *c, unsigned fork, const char *contact)
{
	static const char *const tags[] = { ";tag=one", ";tag=two" };

	bob_says(c, &c->invite, 183, tags[fork], contact, RELIABLE);
	if (!rig_take(c->rig, ALICE, "SIP/2.0 183", &c->answered))
		return;
	snprintf(c->near_to[fork], sizeof(c->near_to[fork]), "%s", got_value(&c->answered, HDR_TO));
	if (*got_contact(&c->answered))
		snprintf(c->near_contact, sizeof(c->near_contact), "%s", got_contact(&c->answered));
	alice_asks(c, "PRACK", c->near_contact, c->near_to[fork], "RAck: 1 1 INVITE\n", "");
	if (rig_take(c->rig, BOB, "PRACK ", &c->asked))
		bob_says(c, &c->asked, 200, "", NULL, "");
	alice_asks(c, "UPDATE", c->near_contact, c->near_to[fork], "", SDP);
	if (rig_take(c->rig, BOB, "UPDATE ", &c->asked))
		bob_says(c, &c->asked, 200, "", "<sip:moved@10.0.0.21:5060>", "");
}

/* As far as the re-INVITE, which Bob has. False: it did not get that far. */
static bool begins(struct cast *c)
{
	char ack[256];

	strcpy(c->near_contact, "sip:bob@example.com");
	alice_asks(c, "INVITE", "sip:bob@example.com", "<sip:bob@example.com>", "Supported: 100rel\n", SDP);
	if (!rig_take(c->rig, BOB, "INVITE ", &c->invite))
		return false;
	fork_rings(c, 0, NULL);
	fork_rings(c, 1, "<sip:two@10.0.0.21:5060>");
	bob_says(c, &c->invite, 200, ";tag=two", "<sip:two@10.0.0.21:5060>", "");
	do { /* behind those of what she asked before */
		if (!rig_take(c->rig, ALICE, "SIP/2.0 200", &c->answered))
			return false;
	} while (c->answered.v.method != M_INVITE);
	snprintf(ack, sizeof(ack), "%s", got_value(&c->answered, HDR_TO));
	rig_say(c->rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call\nCSeq: 1 ACK\n",
	        got_contact(&c->answered), ack);
	alice_asks(c, "INVITE", c->near_contact, ack, "", SDP);
	strcpy(c->near_to[1], ack);
	return rig_take(c->rig, BOB, "INVITE ", &c->invite);
}

static void goes_on(struct cast *c)
{
	bob_says(c, &c->invite, 183, "", "<sip:third@10.0.0.21:5060>", RELIABLE);
	bob_says(c, &c->invite, 488, "", NULL, "");
	alice_asks(c, "BYE", c->near_contact, c->near_to[1], "", "");
	if (rig_take(c->rig, BOB, "BYE ", &c->asked))
		bob_says(c, &c->asked, 200, "", NULL, "");
}

static void ends(struct cast *c)
{
	rig_after(c->rig, 700000);
	rig_forget(c->rig, ALICE);
	rig_forget(c->rig, BOB);
	rig_free(c->rig, true);
	got_free(&c->invite);
	got_free(&c->asked);
	got_free(&c->answered);
}

static bool fails(unsigned workers, unsigned long n, unsigned long more)
{
	long live = oom_live();
	struct cast c = { .rig = rig_new(YAML, workers, 1) };
	bool has_failed, has_begun;

	oom_arm(n, more);
	has_begun = begins(&c);
	if (has_begun)
		goes_on(&c);
	has_failed = oom_disarm();
	assert_true(has_failed || (has_begun && rig_count(c.rig, CALLS_ENDED) == 1));
	ends(&c);
	assert_int_equal(oom_live(), live);
	return has_failed;
}

static void fail_each(unsigned workers)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	for (unsigned i = 0; i < 3; i++) {
		unsigned long n = 1;

		while (fails(workers, n, more[i]))
			n++;
		if (i == 0)
			print_message("%u workers: %lu allocations, each of them failed\n", workers, n - 1);
		assert_true(n > 60);
	}
}

static void forks_and_offers(void **state)
{
	(void)state;
	fail_each(1);
}

static void forks_and_offers_with_three_workers(void **state)
{
	(void)state;
	fail_each(3);
}

/* A record of a re-INVITE on its way that could not be taken leaves nothing; taken again with memory it goes on. */
static void taken_over(void **state)
{
	struct rig_records r = { .n = 0 };
	struct cast c = { .rig = rig_new(YAML, 1, 1) };
	unsigned long n = 1;
	bool has_failed;

	(void)state;
	assert_true(begins(&c));
	rig_export(c.rig, &r);
	assert_int_equal(r.n, 1);
	rig_free(c.rig, false);
	do {
		int err;

		c.rig = rig_new(YAML, 1, 1);
		oom_arm(n++, 0);
		err = b2bua_apply(c.rig->workers[0].calls, r.of[0]);
		has_failed = oom_disarm();
		assert_true(err == 0 || (has_failed && (err == -ENOMEM || err == -ENOSPC)));
		if (err) {
			assert_int_equal(rig_in_use(c.rig), 0);
			assert_int_equal(b2bua_apply(c.rig->workers[0].calls, r.of[0]), 0);
		}
		goes_on(&c);
		rig_after(c.rig, 700000);
		rig_forget(c.rig, ALICE);
		rig_forget(c.rig, BOB);
		rig_free(c.rig, true);
	} while (has_failed);
	assert_true(n > 10);
	c.rig = rig_new(YAML, 1, 1);
	ends(&c);
	rig_records_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forks_and_offers),
		cmocka_unit_test(forks_and_offers_with_three_workers),
		cmocka_unit_test(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
