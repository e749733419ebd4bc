/* Each allocation fails in turn while one node writes its calls down and another takes them over. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct record {
	struct b2bua_record_sink sink;
	char *bytes;
	size_t len;
};

static void keep(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	struct record *r = owner_of(sink, struct record, sink);

	(void)id;
	assert_null(r->bytes);
	assert_non_null(r->bytes = malloc(record.len));
	memcpy(r->bytes, record.p, record.len);
	r->len = record.len;
}

enum moment { RINGING, UNACKNOWLEDGED, TALKING };

static void until(struct flow *f, enum moment moment)
{
	flow_begin(f, FLOW_ONE, 1, 1);
	flow_invite(f, BOB);
	flow_bob_answers(f, 180, "", "");
	flow_expect_at_alice(f, "SIP/2.0 180");
	if (moment == RINGING)
		return;
	flow_bob_answers(f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(f, "SIP/2.0 200");
	if (moment == TALKING)
		flow_ack(f);
}

static void go_on(struct flow *f, enum moment moment)
{
	if (moment == RINGING) {
		flow_bob_answers(f, 200, "Content-Type: application/sdp\n", SDP);
		flow_expect_at_alice(f, "SIP/2.0 200");
	}
	if (moment != TALKING)
		flow_ack(f);
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

/* Both strokes with an allocation failing in one; tried again with memory, the call goes on. */
static bool export_and_apply(enum moment moment, unsigned long n, unsigned long more, bool fails_at_apply)
{
	struct record r = { .sink = { keep } };
	struct b2bua *b;
	struct flow f;
	long live = oom_live();
	bool has_failed = false;
	int err;

	until(&f, moment);
	if (!fails_at_apply) {
		oom_arm(n, more);
		b2bua_export(f.rig->workers[0].calls, &r.sink);
		has_failed = oom_disarm();
		assert_true(has_failed || r.bytes);
	}
	if (!r.bytes)
		b2bua_export(f.rig->workers[0].calls, &r.sink);
	rig_free(f.rig, false);
	f.rig = rig_new(FLOW_ONE, 1, 99);
	b = f.rig->workers[0].calls;
	if (fails_at_apply) {
		oom_arm(n, more);
		err = b2bua_apply(b, (struct sv){ r.bytes, r.len });
		has_failed = oom_disarm();
		assert_true(err == 0 ? rig_calls(f.rig) == 1 : rig_calls(f.rig) == 0 && rig_in_use(f.rig) == 0);
		assert_true(err == 0 || err == -ENOMEM || err == -ENOSPC);
		assert_int_equal(f.rig->sent, 0); /* a record that was not taken is nobody's business */
		rig_free(f.rig, false);
		f.rig = rig_new(FLOW_ONE, 1, 99);
		b = f.rig->workers[0].calls;
	}
	assert_int_equal(b2bua_apply(b, (struct sv){ r.bytes, r.len }), 0);
	free(r.bytes);
	go_on(&f, moment);
	assert_int_equal(oom_live(), live);
	return has_failed;
}

static void fail_each(enum moment moment, const char *name)
{
	static const unsigned long more[] = { 0, 1, 100000 };

	for (unsigned apply = 0; apply < 2; apply++)
		for (unsigned i = 0; i < 3; i++) {
			unsigned long n = 1;

			while (export_and_apply(moment, n, more[i], apply))
				n++;
			if (i == 0)
				print_message("%s, %s: %lu allocations, each of them failed\n", name, apply ? "apply" : "export", n - 1);
			assert_true(n > 1);
		}
}

static void of_a_ringing_call(void **state)
{
	(void)state;
	fail_each(RINGING, "ringing call");
}

static void of_a_call_without_ack(void **state)
{
	(void)state;
	fail_each(UNACKNOWLEDGED, "unacknowledged call");
}

static void of_an_answered_call(void **state)
{
	(void)state;
	fail_each(TALKING, "answered call");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_ringing_call),
		cmocka_unit_test(of_a_call_without_ack),
		cmocka_unit_test(of_an_answered_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
