/* Each allocation fails in turn while a contact registers and is kept alive. What cannot be done is left out or refused; when there is
 * memory again, its next REGISTER is taken and it is pinged. Nothing is left. */
#include "registrar/registrar.h"
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define YAML \
	"node: test\n" \
	"zones:\n" \
	"  public:\n" \
	"    listen: [\"udp:203.0.113.10:5060\"]\n" \
	"    domains: [\"example.com\"]\n" \
	"    keepalive: { every: 20s, learn: { min: 10s, max: 40s } }\n" \
	"  core: { listen: \"udp:10.0.0.10:5060\", trust: [\"10.0.0.0/24\"] }\n" \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }]\n" \
	"registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"

static size_t bindings(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

static void alice_registers(struct rig *r, unsigned cseq)
{
	rig_say(r, ALICE, EDGE, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 10.1.1.1:5060;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: "
	        "<sip:alice@example.com>;tag=a\nTo: <sip:alice@example.com>\nCall-ID: one\nCSeq: %u REGISTER\nContact: <sip:alice@10.1.1.1>\n",
	        cseq, cseq);
}

/* Whatever comes meanwhile; the first OPTIONS is answered. False: none came. */
static bool is_pinged(struct rig *r, uint64_t within_ms)
{
	struct got got = { 0 };
	uint64_t until = r->now_ms + within_ms;
	bool found;

	while (!rig_has_message(r, ALICE) && r->now_ms < until)
		rig_after(r, 10);
	found = rig_take(r, ALICE, "OPTIONS ", &got);
	if (found)
		flow_answer(r, ALICE, EDGE, &got, 200, "<sip:ping@203.0.113.10>;tag=z", NULL, "", "");
	got_free(&got);
	rig_forget(r, ALICE);
	return found;
}

static bool failing(unsigned workers, unsigned long n, unsigned long more)
{
	struct rig *r = rig_new(YAML, workers, 1);
	bool has_failed;

	oom_arm(n, more);
	alice_registers(r, 1);
	rig_after(r, 100);
	for (unsigned i = 0; i < 3; i++)
		is_pinged(r, 15000);
	has_failed = oom_disarm();
	rig_after(r, 10);
	rig_forget(r, ALICE);
	alice_registers(r, 2);
	rig_after(r, 10);
	assert_int_equal(bindings(r), 1);
	rig_forget(r, ALICE);
	assert_true(is_pinged(r, 20000));
	assert_true(is_pinged(r, 20000));
	rig_after(r, 60000); /* it answers no more */
	assert_int_equal(bindings(r), 0);
	rig_forget(r, ALICE);
	rig_free(r, true);
	return has_failed;
}

static void each_fails_once_and_for_a_while(void **state)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 4)
		for (unsigned i = 0; i < 3; i++) {
			long live = oom_live();
			unsigned long n = 1;

			while (failing(workers, n, more[i]))
				n++;
			if (i == 0)
				print_message("%u workers: %lu allocations, each of them failed\n", workers, n - 1);
			assert_true(n > 8);
			assert_int_equal(oom_live(), live);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_fails_once_and_for_a_while) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
