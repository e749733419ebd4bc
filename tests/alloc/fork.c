/* Each allocation fails in turn while a call asks where somebody is, rings at two phones, is sent on by one of them and answered there; and
 * while another node takes such a ringing call over. Whatever fails: nothing crashes, and when all timers have run out nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/home.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define FOLLOWS HOME_WITH(", redirects: follow")
#define IN_DIALOG "Via: SIP/2.0/UDP " ALICE ";branch=z9hG4bK%s\nMax-Forwards: 70\nFrom: <sip:alice@example.com>;tag=alice\n" \
	"To: %s\nCall-ID: alice-call\nCSeq: %s\n"

static struct rig *home(unsigned workers)
{
	struct rig *r = rig_new(FOLLOWS, workers, 1);
	struct phone phone;

	r->names[0] = (struct rig_name){ .host = "tablet.example.net", .delay_ms = 100 };
	assert_int_equal(addr_parse(&r->names[0].addr, SV(TABLET)), 0);
	r->n_names = 1;
	phone_new(&phone, r, "desk", DESK);
	home_registers(&phone, "bob", "", "");
	phone_new(&phone, r, "mobile", MOBILE);
	home_registers(&phone, "bob", "", "");
	phone_new(&phone, r, "spare", "192.0.2.34:5060");
	home_registers(&phone, "bob", ";q=0.1", "");
	return r;
}

static void says(struct rig *r, const char *who, const struct got *g, unsigned status, const char *extra)
{
	char to[512], contact[64];

	snprintf(to, sizeof(to), "%s;tag=%.11s", got_value(g, HDR_TO), who);
	snprintf(contact, sizeof(contact), "<sip:phone@%s>", who);
	flow_answer(r, who, EDGE, g, status, to, status < 300 ? contact : NULL, extra, "");
}

/* As far as it comes: both phones ring. */
static void rings(struct rig *r, struct got *desk, struct got *mobile)
{
	rig_say(r, ALICE, EDGE, OFFER,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP " ALICE ";branch=z9hG4bKinv\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-call\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10>\nSupported: timer\nContent-Type: application/sdp\n");
	if (rig_take(r, DESK, "INVITE ", desk))
		says(r, DESK, desk, 180, "");
	if (rig_take(r, MOBILE, "INVITE ", mobile))
		says(r, MOBILE, mobile, 183, "");
}

static void goes_on(struct rig *r, struct got *desk, struct got *mobile)
{
	struct got tablet = { .packet = NULL }, alice = { .packet = NULL };
	char to[512];

	if (desk->packet)
		says(r, DESK, desk, 302, "Contact: <sip:x@tablet.example.net>\n");
	rig_after(r, 200);
	if (rig_take(r, TABLET, "INVITE ", &tablet))
		says(r, TABLET, &tablet, 200, "");
	else if (mobile->packet)
		says(r, MOBILE, mobile, 200, "");
	rig_after(r, 0);
	while (rig_take(r, ALICE, "SIP/2.0 200", &alice) && alice.v.method == M_INVITE) {
		snprintf(to, sizeof(to), "%s", got_value(&alice, HDR_TO));
		rig_say(r, ALICE, EDGE, "", "ACK %s SIP/2.0\n" IN_DIALOG, got_contact(&alice), "ack", to, "1 ACK");
		rig_say(r, ALICE, EDGE, "", "BYE %s SIP/2.0\n" IN_DIALOG, got_contact(&alice), "bye", to, "2 BYE");
	}
	if (rig_take(r, TABLET, "BYE ", &tablet))
		says(r, TABLET, &tablet, 200, "");
	got_free(&tablet);
	got_free(&alice);
}

static void ends(struct rig *r, struct got *desk, struct got *mobile)
{
	static const char *const all[] = { ALICE, DESK, MOBILE, TABLET, "192.0.2.34:5060" };

	rig_after(r, CALL_DIRECT_ANSWER_MS + 200000);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		rig_forget(r, all[i]);
	got_free(desk);
	got_free(mobile);
	home_end(r);
}

static void each_fails(unsigned workers)
{
	unsigned long n = 1;
	bool has_failed;

	do {
		struct got desk = { .packet = NULL }, mobile = { .packet = NULL };
		struct rig *r = home(workers);

		oom_arm(n++, 0);
		rings(r, &desk, &mobile);
		goes_on(r, &desk, &mobile);
		has_failed = oom_disarm();
		ends(r, &desk, &mobile);
	} while (has_failed);
	assert_true(n > 30);
}

static void a_fork(void **state)
{
	(void)state;
	each_fails(1);
}

static void a_fork_whose_place_another_worker_knows(void **state)
{
	(void)state;
	each_fails(8);
}

static void a_fork_that_is_taken_over(void **state)
{
	unsigned long n = 1;
	bool has_failed;

	(void)state;
	do {
		struct got desk = { .packet = NULL }, mobile = { .packet = NULL };
		struct rig_records all = { .n = 0 };
		struct rig *r = home(1);
		int err;

		rings(r, &desk, &mobile);
		rig_export(r, &all);
		assert_int_equal(all.n, 1);
		rig_free(r, false);
		r = home(1);
		oom_arm(n++, 0);
		err = b2bua_apply(r->workers[0].calls, all.of[0]);
		has_failed = oom_disarm();
		assert_true(err == 0 || (has_failed && (err == -ENOMEM || err == -ENOSPC)));
		if (err)
			assert_int_equal(b2bua_apply(r->workers[0].calls, all.of[0]), 0);
		rig_records_free(&all);
		goes_on(r, &desk, &mobile);
		ends(r, &desk, &mobile);
	} while (has_failed);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fork),
		cmocka_unit_test(a_fork_whose_place_another_worker_knows),
		cmocka_unit_test(a_fork_that_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
