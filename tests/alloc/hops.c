/* Each allocation fails in turn while requests go from one address of a name to the next: within a dialog and at the start of
 * a call. What cannot be done is refused or left out, and nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define NAME "bobs.example.net"
#define NAMED \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:" NAME "\" }] } }\n" FLOW_ROUTES

static void begin(struct flow *f, struct resolve_answer *all, const char *yaml, unsigned delay_ms)
{
	static const char *const of[] = { BOB, CAROL };

	flow_begin(f, yaml, 1, 1);
	*all = (struct resolve_answer){ .n = 2 };
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(addr_parse(&all->addr[i], sv_from(of[i])), 0);
	f->rig->names[0] = (struct rig_name){ .host = NAME, .all = all, .delay_ms = delay_ms };
	f->rig->n_names = 1;
}

/* If it has come. */
static void answers(struct flow *f, const char *who, const char *start, unsigned status)
{
	char to[512];

	if (!rig_take(f->rig, who, start, &f->at_bob))
		return;
	snprintf(to, sizeof(to), "%s%s", got_value(&f->at_bob, HDR_TO), *got_tag(&f->at_bob, HDR_TO) ? "" : ";tag=bob");
	flow_answer(f->rig, who, CORE, &f->at_bob, status, to, NULL, "", "");
}

static void forget(struct flow *f)
{
	rig_after(f->rig, 3600000);
	rig_forget(f->rig, ALICE);
	rig_forget(f->rig, BOB);
	rig_forget(f->rig, CAROL);
	flow_end(f);
}

static bool within_a_dialog(unsigned long n, unsigned long more, unsigned delay_ms)
{
	struct resolve_answer all;
	struct flow f;
	bool has_failed;

	begin(&f, &all, FLOW_ONE, 0);
	f.bob_contact = "<sip:bob@" NAME ">";
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	f.rig->names[0].delay_ms = delay_ms;
	oom_arm(n, more);
	flow_alice_says(&f, "INFO", "", "");
	rig_after(f.rig, delay_ms);
	answers(&f, BOB, "INFO ", 503);
	rig_after(f.rig, 0);
	has_failed = oom_disarm();
	answers(&f, CAROL, "INFO ", 200);
	rig_forget(f.rig, ALICE);
	flow_alice_says(&f, "BYE", "", "");
	forget(&f);
	return has_failed;
}

static bool at_the_start(unsigned long n, unsigned long more, unsigned delay_ms)
{
	struct resolve_answer all;
	struct flow f;
	bool has_failed;

	begin(&f, &all, NAMED, delay_ms);
	oom_arm(n, more);
	flow_alice_calls(&f, "", SDP);
	rig_after(f.rig, delay_ms);
	answers(&f, BOB, "INVITE ", 503);
	rig_after(f.rig, 0);
	has_failed = oom_disarm();
	answers(&f, CAROL, "INVITE ", 486);
	forget(&f);
	return has_failed;
}

static void fail_each(bool (*failing)(unsigned long n, unsigned long more, unsigned delay_ms))
{
	static const unsigned long more[] = { 0, 1, 100000 };

	for (unsigned delay_ms = 0; delay_ms <= 50; delay_ms += 50)
		for (unsigned i = 0; i < 3; i++) {
			long live = oom_live();
			unsigned long n = 1;

			while (failing(n, more[i], delay_ms))
				n++;
			assert_true(n > 3);
			assert_int_equal(oom_live(), live);
		}
}

static void each_fails_within_a_dialog(void **state)
{
	(void)state;
	fail_each(within_a_dialog);
}

static void each_fails_at_the_start(void **state)
{
	(void)state;
	fail_each(at_the_start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fails_within_a_dialog),
		cmocka_unit_test(each_fails_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
