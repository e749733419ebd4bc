/* Each allocation of a change of destinations fails in turn: it is made whole, or nothing is changed; calls go on either way. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include "sbc/live.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define NAMED(dir) \
	FLOW_ZONES "state: " dir "\npools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: app, uri: \"sip:app.example.com\", each-address: on }] } }\n" FLOW_ROUTES

static uint64_t adopted(void *ctx)
{
	struct rig *r = ctx;

	return atomic_load(&r->workers[0].conf_gen);
}

static uint64_t now_ms(void *ctx)
{
	return ((struct rig *)ctx)->now_ms;
}

static int ask(void *ctx, struct live_question *q)
{
	live_answer(((struct rig *)ctx)->workers[0].resolver, q);
	return 0;
}

static void settle(struct rig *r, struct publisher *p)
{
	worker_tick(&r->workers[0], r->now_ms);
	publisher_collect(p);
	r->conf = p->now;
}

/* A name becomes addresses, one is added, one leaves with a call on it. Returns whether an allocation failed. */
static bool change_once(unsigned long n, unsigned long more)
{
	struct publisher p;
	struct conf_notes notes;
	struct live *live = NULL;
	struct flow f;
	long before = oom_live();
	char hint[128];
	bool has_failed;
	unsigned changes;
	int err, added;

	flow_begin(&f, NAMED("/nowhere/at/all"), 1, 1);
	f.rig->names[0] = (struct rig_name){ .host = "app.example.com" };
	f.rig->n_names = 1;
	assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("10.0.0.22:5060")), 0);
	flow_invite(&f, BOB);
	p = (struct publisher){ .shared = &f.rig->shared, .now = f.rig->conf, .adopted = adopted, .ctx = f.rig };
	conf_notes_init(&notes);
	oom_arm(n, more);
	err = live_new(&live, &(struct live_params){ .publisher = &p, .now_ms = now_ms, .ask = ask, .ctx = f.rig });
	if (!err) {
		live_poll(live);
		settle(f.rig, &p);
		added = live_add(live, SV("apps"), SV("carol"), SV("sip:10.0.0.22:5060"), 1, &notes, hint);
		settle(f.rig, &p);
		changes = p.live.n_changes;
		assert_int_equal(changes, added == 0 || added == -EROFS);
		assert_int_equal(!!conf_find_destination(p.now, SV("apps"), SV("carol")), changes);
		err = live_remove(live, SV("apps/bob"), &notes, hint);
		settle(f.rig, &p);
		assert_int_equal(p.live.n_changes, changes + (err == 0 || err == -EROFS));
	}
	has_failed = oom_disarm();
	if (!has_failed) {
		const struct conf_destination *bob = conf_find_destination(p.now, SV("apps"), SV("bob"));

		assert_true(bob && bob->is_leaving);
		assert_non_null(conf_find_destination(p.now, SV("apps"), SV("app/10.0.0.22")));
	}
	flow_bob_answers(&f, 486, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	rig_forget(f.rig, BOB);
	conf_notes_fini(&notes);
	settle(f.rig, &p);
	assert_int_equal(p.n_old, 0);
	live_free(live);
	p.now = NULL;
	publisher_fini(&p);
	flow_end(&f);
	assert_int_equal(oom_live(), before);
	return has_failed;
}

static void each_allocation_of_a_change(void **state)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		unsigned long n = 1;

		while (change_once(n, more[i]))
			n++;
		if (i == 0)
			print_message("changes: %lu allocations, each of them failed\n", n - 1);
		assert_true(n > 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_allocation_of_a_change) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
