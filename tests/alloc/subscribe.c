/* Each allocation fails in turn while somebody subscribes, is told of dialogs, and refreshes; and while another node takes such
 * subscriptions over. Whatever fails: nothing crashes, and when all timers have run out nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define BODY \
	"<dialog-info entity=\"sip:bob@10.0.0.21\"><dialog id=\"1\" call-id=\"%s\" local-tag=\"&#98;ob\" remote-tag=\"%s\"/></dialog-info>"

/* What came last at both ends, if anything did: memory may have run out before. */
struct ends {
	struct rig *rig;
	char from[256], call_id[64], contact[128], near_to[256], near_contact[128];
	unsigned cseq;
};

static void answer(struct ends *e, const char *at, const char *listener, const struct got *g, const char *lines)
{
	rig_say(e->rig, at, listener, "", "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s%s\nCall-ID: %s\nCSeq: %s\n%s", got_value(g, HDR_VIA),
	        got_value(g, HDR_FROM), got_value(g, HDR_TO), *got_tag(g, HDR_TO) ? "" : ";tag=bob", got_value(g, HDR_CALL_ID),
	        got_value(g, HDR_CSEQ), lines);
}

static void alice_asks(struct ends *e, const char *method, const char *uri, const char *to, const char *lines)
{
	e->cseq++;
	rig_say(e->rig, ALICE, EDGE, "",
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call\nCSeq: %u %s\nContact: <sip:alice@192.0.2.10>\n%s",
	        method, uri, e->cseq, to, e->cseq, method, lines);
}

static void bob_notifies(struct ends *e, unsigned cseq, const char *lines, const char *body)
{
	struct got at_alice = { .packet = NULL };

	rig_say(e->rig, BOB, CORE, body,
	        "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKb%u\nMax-Forwards: 70\nFrom: <sip:bob@example.com>;tag=bob\n"
	        "To: %s\nCall-ID: %s\nCSeq: %u NOTIFY\nContact: <sip:bob@10.0.0.21:5060>\n%s",
	        e->contact, cseq, e->from, e->call_id, cseq, lines);
	if (rig_take(e->rig, ALICE, "NOTIFY ", &at_alice))
		answer(e, ALICE, EDGE, &at_alice, "");
	got_free(&at_alice);
}

static void learn(struct ends *e, const struct got *at_bob)
{
	snprintf(e->from, sizeof(e->from), "%s", got_value(at_bob, HDR_FROM));
	snprintf(e->call_id, sizeof(e->call_id), "%s", got_value(at_bob, HDR_CALL_ID));
	snprintf(e->contact, sizeof(e->contact), "%s", got_contact(at_bob));
}

/* Subscribed; the NOTIFY comes first. False: it did not get that far. */
static bool begins(struct ends *e, bool is_notified_first)
{
	struct got at_bob = { .packet = NULL }, at_alice = { .packet = NULL };
	char body[1024];

	alice_asks(e, "SUBSCRIBE", "sip:bob@example.com", "<sip:bob@example.com>", "Event: dialog\nExpires: 600\n");
	if (!rig_take(e->rig, BOB, "SUBSCRIBE ", &at_bob))
		return false;
	learn(e, &at_bob);
	snprintf(body, sizeof(body), BODY, e->call_id, got_tag(&at_bob, HDR_FROM));
	if (is_notified_first)
		bob_notifies(e, 1, "Event: dialog\nSubscription-State: active\nContent-Type: application/dialog-info+xml\n", body);
	answer(e, BOB, CORE, &at_bob, "Contact: <sip:bob@10.0.0.21:5060>\nExpires: 600\nRecord-Route: <sip:10.0.0.21;lr>\n");
	got_free(&at_bob);
	if (!rig_take(e->rig, ALICE, "SIP/2.0 200", &at_alice))
		return false;
	snprintf(e->near_to, sizeof(e->near_to), "%s", got_value(&at_alice, HDR_TO));
	snprintf(e->near_contact, sizeof(e->near_contact), "%s", got_contact(&at_alice));
	if (!is_notified_first)
		bob_notifies(e, 1, "Event: dialog\nSubscription-State: active\nContent-Type: application/dialog-info+xml\n", body);
	got_free(&at_alice);
	return true;
}

static void goes_on(struct ends *e)
{
	struct got at_bob = { .packet = NULL };

	alice_asks(e, "SUBSCRIBE", e->near_contact, e->near_to, "Event: dialog\nExpires: 600\n");
	if (rig_take(e->rig, BOB, "SUBSCRIBE ", &at_bob))
		answer(e, BOB, CORE, &at_bob, "Contact: <sip:bob@10.0.0.22:5060>\nExpires: 600\n");
	alice_asks(e, "REFER", e->near_contact, e->near_to, "Refer-To: <sip:carol@example.com>\n");
	if (rig_take(e->rig, BOB, "REFER ", &at_bob))
		answer(e, BOB, CORE, &at_bob, "Contact: <sip:bob@10.0.0.22:5060>\n");
	bob_notifies(e, 2, "Event: refer\nSubscription-State: terminated\n", "");
	bob_notifies(e, 3, "Event: dialog\nSubscription-State: terminated\n", "");
	got_free(&at_bob);
}

static bool fails(unsigned workers, bool is_notified_first, unsigned long n, unsigned long more)
{
	long live = oom_live();
	struct ends e = { .rig = rig_new(FLOW_ONE, workers, 1) };
	bool has_failed, has_begun;

	oom_arm(n, more);
	has_begun = begins(&e, is_notified_first);
	if (has_begun)
		goes_on(&e);
	has_failed = oom_disarm();
	assert_true(has_failed || (has_begun && rig_count(e.rig, SUBSCRIPTIONS_STARTED) == 2));
	rig_after(e.rig, 900000);
	rig_forget(e.rig, ALICE);
	rig_forget(e.rig, BOB);
	rig_free(e.rig, true);
	assert_int_equal(oom_live(), live);
	return has_failed;
}

static void fail_each(unsigned workers, bool is_notified_first)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	for (unsigned i = 0; i < 3; i++) {
		unsigned long n = 1;

		while (fails(workers, is_notified_first, n, more[i]))
			n++;
		if (i == 0)
			print_message("%u workers: %lu allocations, each of them failed\n", workers, n - 1);
		assert_true(n > 20);
	}
}

static void a_subscription(void **state)
{
	(void)state;
	fail_each(1, false);
}

static void a_subscription_with_three_workers(void **state)
{
	(void)state;
	fail_each(3, false);
}

static void notified_before_it_is_answered(void **state)
{
	(void)state;
	fail_each(1, true);
}

struct record {
	struct b2bua_record_sink sink;
	char *bytes;
	size_t len;
};

static void keep(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	struct record *r = owner_of(sink, struct record, sink);

	(void)id;
	assert_non_null(r->bytes = malloc(record.len));
	memcpy(r->bytes, record.p, record.len);
	r->len = record.len;
}

/* A record that could not be taken leaves nothing; taken again with memory it is a subscription. */
static void taken_over(void **state)
{
	struct record r = { .sink = { keep } };
	struct ends e = { .rig = rig_new(FLOW_ONE, 1, 1) };
	unsigned long n = 1;
	bool has_failed;

	(void)state;
	assert_true(begins(&e, false));
	b2bua_export(e.rig->workers[0].calls, &r.sink);
	assert_non_null(r.bytes);
	rig_free(e.rig, false);
	do {
		int err;

		e.rig = rig_new(FLOW_ONE, 1, 1);
		oom_arm(n++, 0);
		err = b2bua_apply(e.rig->workers[0].calls, (struct sv){ r.bytes, r.len });
		has_failed = oom_disarm();
		assert_true(err == 0 || (has_failed && (err == -ENOMEM || err == -ENOSPC)));
		if (err) {
			assert_int_equal(rig_in_use(e.rig), 0);
			assert_int_equal(b2bua_apply(e.rig->workers[0].calls, (struct sv){ r.bytes, r.len }), 0);
		}
		bob_notifies(&e, 10, "Event: dialog\nSubscription-State: terminated\n", "");
		rig_after(e.rig, 70000);
		rig_forget(e.rig, BOB);
		rig_free(e.rig, true);
	} while (has_failed);
	assert_true(n > 5);
	free(r.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subscription),
		cmocka_unit_test(a_subscription_with_three_workers),
		cmocka_unit_test(notified_before_it_is_answered),
		cmocka_unit_test(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
