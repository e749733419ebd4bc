/* Each allocation fails in turn while a call agrees on session timers on both legs (422 and a redirection on the way), is refreshed by us
 * and by its ends, falls silent and is ended; and while another node takes it over. Whatever fails: nothing crashes, and when all timers
 * have run out nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { STEP_MS = 400, LASTS_MS = 1000000 };

#define YAML \
	"node: test\n" \
	"zones:\n" \
	"  public: { listen: [\"udp:203.0.113.10:5060\"], domains: [\"example.com\"], session: { ping: 1m } }\n" \
	"  core: { listen: [\"udp:10.0.0.10:5060\"], trust: [\"10.0.0.0/24\"], session: { expires: 2m, ping: 1m } }\n" \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow, max-duration: 15m }]\n"

/* Both ends answer all they are asked; Bob wants more time, then sends the call on to Carol. */
struct ends {
	struct rig *rig;
	const char *at_caller, *at_callee;    /* what each says of timers in its INVITE or 200 */
	unsigned tag, cseq;
	bool was_sent_on;
};

static void answer(struct ends *e, const char *at, const char *listener, const struct got *g, unsigned status, const char *lines, const char *body)
{
	rig_say(e->rig, at, listener, body, "SIP/2.0 %u X\nVia: %s\nFrom: %s\nTo: %s%s\nCall-ID: %s\nCSeq: %s\nContact: <sip:x@%s>\n%s", status,
	        got_value(g, HDR_VIA), got_value(g, HDR_FROM), got_value(g, HDR_TO), *got_tag(g, HDR_TO) ? "" : ";tag=callee",
	        got_value(g, HDR_CALL_ID), got_value(g, HDR_CSEQ), at, lines);
}

static void on_first_invite(struct ends *e, const char *at, const struct got *g)
{
	const char *se = got_value(g, HDR_SESSION_EXPIRES);

	if (atoi(se) < 300)
		answer(e, at, CORE, g, 422, "Min-SE: 300\n", "");
	else if (!e->was_sent_on)
		answer(e, at, CORE, g, 302, "Contact: <sip:carol@10.0.0.22:5060>\n", "");
	else
		answer(e, at, CORE, g, 200, e->at_callee, SDP);
	e->was_sent_on |= atoi(se) >= 300;
}

static void on_request(struct ends *e, const char *at, const char *listener, const struct got *g)
{
	if (g->v.method == M_INVITE && !*got_tag(g, HDR_TO))
		on_first_invite(e, at, g);
	else if (g->v.method == M_INVITE || g->v.method == M_UPDATE)
		answer(e, at, listener, g, 200, "Content-Type: application/sdp\nSession-Expires: 300;refresher=uac\n", SDP);
	else if (g->v.method != M_ACK)
		answer(e, at, listener, g, 200, "", "");
}

static void on_response(struct ends *e, const struct got *g)
{
	if (g->v.method != M_INVITE || g->v.status < 200)
		return;
	rig_say(e->rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%s\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: 1 ACK\n",
	        g->v.status < 300 ? got_contact(g) : "sip:bob@example.com", g->v.status < 300 ? "ack" : "inv", got_value(g, HDR_FROM),
	        got_value(g, HDR_TO), got_value(g, HDR_CALL_ID));
}

static void ends_work(struct ends *e)
{
	static const char *const at[] = { ALICE, BOB, CAROL };
	struct got g = { .packet = NULL };

	for (unsigned i = 0; i < 3; i++)
		while (rig_has_message(e->rig, at[i])) {
			rig_expect(e->rig, at[i], "", &g);
			if (g.v.status)
				on_response(e, &g);
			else
				on_request(e, at[i], i ? CORE : EDGE, &g);
		}
	got_free(&g);
}

static void alice_calls(struct ends *e)
{
	rig_say(e->rig, ALICE, EDGE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: call\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10:5060>\nContent-Type: application/sdp\n%s",
	        e->at_caller);
	ends_work(e);
}

/* Until its longest duration; then every timer. */
static void goes_on(struct ends *e, bool is_silent)
{
	for (unsigned ms = 0; ms < LASTS_MS; ms += STEP_MS) {
		rig_after(e->rig, STEP_MS);
		if (is_silent)
			rig_forget(e->rig, ALICE);
		ends_work(e);
	}
}

static bool fails(const struct ends *like, unsigned workers, bool is_silent, unsigned long n, unsigned long more)
{
	long live = oom_live();
	struct ends e = *like;
	bool has_failed;

	e.rig = rig_new(YAML, workers, 1);
	oom_arm(n, more);
	alice_calls(&e);
	goes_on(&e, is_silent);
	has_failed = oom_disarm();
	if (!has_failed)
		assert_int_equal(rig_count(e.rig, CALLS_ANSWERED), 1);
	rig_after(e.rig, 900000);
	rig_forget(e.rig, ALICE);
	rig_forget(e.rig, BOB);
	rig_forget(e.rig, CAROL);
	rig_free(e.rig, true);
	assert_int_equal(oom_live(), live);
	return has_failed;
}

static void fail_each(const struct ends *like, unsigned workers, bool is_silent, const char *name)
{
	static const unsigned long more[] = { 0, 3 };

	for (unsigned i = 0; i < 2; i++) {
		unsigned long n = 1;

		while (fails(like, workers, is_silent, n, more[i]))
			n++;
		if (i == 0)
			print_message("%s: %lu allocations, each of them failed\n", name, n - 1);
		assert_true(n > 40);
	}
}

static const struct ends by_us = { .at_caller = "Session-Expires: 300\nAllow: INVITE, ACK, BYE\n",
	                           .at_callee = "Content-Type: application/sdp\nAllow: BYE\nSession-Expires: 300;refresher=uac\n" };
static const struct ends by_nobody = { .at_caller = "", .at_callee = "Content-Type: application/sdp\n" };

static void refreshed_by_us(void **state)
{
	(void)state;
	fail_each(&by_us, 1, false, "refreshed by re-INVITE");
}

static void on_two_workers(void **state)
{
	(void)state;
	fail_each(&by_us, 2, false, "the same with two workers");
}

static void asked_and_alive(void **state)
{
	(void)state;
	fail_each(&by_nobody, 1, false, "asked by OPTIONS");
}

static void asked_and_silent(void **state)
{
	(void)state;
	fail_each(&by_nobody, 1, true, "asked in vain");
}

static void taken_over(void **state)
{
	struct rig_records all = { .n = 0 };
	struct ends e = by_us;
	unsigned long n = 1;
	bool has_failed;

	(void)state;
	e.rig = rig_new(YAML, 1, 1);
	alice_calls(&e);
	rig_export(e.rig, &all);
	assert_int_equal(all.n, 1);
	rig_free(e.rig, false);
	do {
		int err;

		e.rig = rig_new(YAML, 1, 1);
		oom_arm(n++, 0);
		err = b2bua_apply(e.rig->workers[0].calls, all.of[0]);
		has_failed = oom_disarm();
		assert_true(err == 0 || (has_failed && (err == -ENOMEM || err == -ENOSPC)));
		if (err) {
			assert_int_equal(rig_in_use(e.rig), 0);
			assert_int_equal(b2bua_apply(e.rig->workers[0].calls, all.of[0]), 0);
		}
		goes_on(&e, false);
		rig_after(e.rig, 100000);
		rig_free(e.rig, true);
	} while (has_failed);
	assert_true(n > 8);
	rig_records_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refreshed_by_us),  cmocka_unit_test(on_two_workers), cmocka_unit_test(asked_and_alive),
		cmocka_unit_test(asked_and_silent), cmocka_unit_test(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
