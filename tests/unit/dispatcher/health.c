/* What probes and calls say about a destination: the rules of pool.h one by one. */
#include "dispatcher/pool.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

enum { N = 2 };

struct rig {
	struct pools *pools;
	struct conf conf;
	struct conf_pool pool;
	struct conf_destination dest[N];
	uint64_t now_ms;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig || pools_new(&rig->pools, 1))
		return -1;
	rig->pool = (struct conf_pool){ .name = SV("media"), .n_destinations = N, .destinations = rig->dest,
		                        .probe = { .is_on = true, .every_ms = 5000, .timeout_ms = 1000,
		                                   .down_after = 3, .up_after = 2 } };
	rig->dest[0] = (struct conf_destination){ .name = SV("a"), .id = 0, .weight = 1 };
	rig->dest[1] = (struct conf_destination){ .name = SV("b"), .id = 1, .weight = 1 };
	rig->conf = (struct conf){ .pools = &rig->pool, .n_pools = 1, .destinations = rig->dest, .n_destinations = N };
	rig->now_ms = 1000000;
	*state = rig;
	return pools_adopt(rig->pools, &rig->conf);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	pools_free(rig->pools);
	free(rig);
	return 0;
}

static struct dest_info info(struct rig *rig)
{
	struct dest_info i;

	dest_info(rig->pools, pools_slot(rig->pools, &rig->conf, 0), &i);
	return i;
}

static void hears(struct rig *rig, enum dest_event e, unsigned times)
{
	while (times--)
		dest_report(rig->pools, &rig->conf, 0, e, rig->now_ms, e == PROBE_FAILED ? "timed out" : "503");
}

#define assert_up(rig) assert_true(info(rig).is_up)
#define assert_down(rig) assert_false(info(rig).is_up)

static int pick(struct rig *rig)
{
	struct pick p;
	int err = pool_pick(rig->pools, &rig->conf, 0, &(struct pool_query){ .now_ms = rig->now_ms }, &p);

	if (err)
		return err;
	dest_release(rig->pools, 0, p.slot);
	return (int)p.destination;
}

static void probes_take_down_and_bring_up(void **state)
{
	struct rig *rig = *state;

	assert_up(rig); /* until something is known */
	hears(rig, PROBE_FAILED, 2);
	assert_up(rig);
	hears(rig, PROBE_OK, 1); /* the run is broken */
	hears(rig, PROBE_FAILED, 2);
	assert_up(rig);
	rig->now_ms += 500;
	hears(rig, PROBE_FAILED, 1);
	assert_down(rig);
	assert_int_equal(info(rig).since_ms, rig->now_ms);
	assert_string_equal(info(rig).why, "probe: timed out");
	hears(rig, PROBE_OK, 1);
	hears(rig, PROBE_FAILED, 1);
	hears(rig, PROBE_OK, 1);
	assert_down(rig); /* two, but not in a row */
	hears(rig, PROBE_OK, 1);
	assert_up(rig);
	assert_int_equal(info(rig).probes, 10);
	assert_int_equal(info(rig).probe_failures, 6);
}

/* A server that answers OPTIONS and refuses every call is no use: good probes do not forgive failed calls. */
static void failed_calls_count_in_spite_of_good_probes(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 3; i++) {
		assert_up(rig);
		hears(rig, CALL_FAILED, 1);
		hears(rig, PROBE_OK, i < 2 ? 1 : 0);
	}
	assert_down(rig);
	assert_string_equal(info(rig).why, "call: 503");
	assert_int_equal(info(rig).failures, 3);
	hears(rig, PROBE_OK, 5);
	assert_down(rig); /* held, or it would be back in ten seconds to fail three more */
	rig->now_ms += POOL_HOLD_MS + 1000;
	hears(rig, PROBE_OK, 1);
	assert_up(rig);
}

static void probes_and_calls_count_together(void **state)
{
	struct rig *rig = *state;

	hears(rig, PROBE_FAILED, 1);
	hears(rig, CALL_FAILED, 1);
	hears(rig, PROBE_FAILED, 1);
	assert_down(rig);
}

static void a_good_call_forgives_everything(void **state)
{
	struct rig *rig = *state;

	hears(rig, PROBE_FAILED, 2);
	hears(rig, CALL_OK, 1);
	hears(rig, PROBE_FAILED, 2);
	hears(rig, CALL_OK, 1);
	hears(rig, CALL_FAILED, 2);
	assert_up(rig);
}

/* Calls of before go on in a destination that is down; one of them alone does not bring it back. */
static void good_calls_bring_up_only_as_many_as_probes_would(void **state)
{
	struct rig *rig = *state;

	hears(rig, CALL_FAILED, 3);
	assert_down(rig);
	hears(rig, CALL_OK, 1);
	assert_down(rig);
	hears(rig, CALL_OK, 1); /* a call that succeeds ends the hold */
	assert_up(rig);
}

/* LESSONS 27: nothing is out for good. */
static void without_probes_a_pause_ends_in_a_trial(void **state)
{
	struct rig *rig = *state;
	uint64_t down_at;

	rig->pool.probe.is_on = false;
	for (unsigned relapse = 0; relapse < POOL_HOLD_STEPS_MAX + 3; relapse++) {
		uint64_t hold = (uint64_t)POOL_HOLD_MS << (relapse < POOL_HOLD_STEPS_MAX ? relapse : POOL_HOLD_STEPS_MAX);

		hears(rig, CALL_FAILED, relapse ? 1 : 3); /* on trial one is enough */
		assert_down(rig);
		down_at = rig->now_ms;
		rig->now_ms = down_at + hold - 1;
		dest_tick(rig->pools, &rig->conf, 0, rig->now_ms);
		assert_down(rig);
		rig->now_ms = down_at + hold + 1000; /* whole seconds */
		dest_tick(rig->pools, &rig->conf, 0, rig->now_ms);
		assert_up(rig);
		assert_string_equal(info(rig).why, "on trial after a pause");
	}
	hears(rig, CALL_OK, 1);
	hears(rig, CALL_FAILED, 2);
	assert_up(rig); /* passed: three again */
	hears(rig, CALL_FAILED, 1);
	assert_down(rig);
	rig->now_ms += POOL_HOLD_MS + 1000; /* and the shortest pause again */
	dest_tick(rig->pools, &rig->conf, 0, rig->now_ms);
	assert_up(rig);
}

static void probes_switched_off_leave_nobody_down(void **state)
{
	struct rig *rig = *state;

	hears(rig, PROBE_FAILED, 3);
	assert_down(rig);
	rig->pool.probe.is_on = false;
	dest_tick(rig->pools, &rig->conf, 0, rig->now_ms);
	assert_up(rig);
}

static void all_down_is_panic(void **state)
{
	struct rig *rig = *state;
	unsigned seen[N] = { 0 };

	hears(rig, PROBE_FAILED, 9);
	for (unsigned i = 0; i < 3; i++)
		dest_report(rig->pools, &rig->conf, 1, PROBE_FAILED, rig->now_ms, "timed out");
	for (unsigned i = 0; i < 10; i++)
		seen[pick(rig)]++;
	assert_int_equal(seen[0], 5); /* beyond down-after one is as bad as the other */
	assert_int_equal(seen[1], 5);
	hears(rig, CALL_OK, 1); /* still down, but it is the least bad now */
	assert_down(rig);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pick(rig), 0);
	dest_report(rig->pools, &rig->conf, 1, PROBE_OK, rig->now_ms, NULL);
	dest_report(rig->pools, &rig->conf, 1, PROBE_OK, rig->now_ms, NULL);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pick(rig), 1); /* one is up: no panic any more */
}

static void panic_respects_max_calls(void **state)
{
	struct rig *rig = *state;

	rig->dest[1].weight = 0;
	rig->dest[0].max_calls = 1;
	hears(rig, PROBE_FAILED, 3);
	dest_reserve(rig->pools, 0, pools_slot(rig->pools, &rig->conf, 0));
	assert_int_equal(pick(rig), -EBUSY);
}

/* A tried destination that is up keeps its pool out of panic: the call has had its chance. */
static void no_panic_because_the_good_one_was_tried(void **state)
{
	struct rig *rig = *state;
	struct pick p;
	uint16_t tried[1];

	hears(rig, PROBE_FAILED, 3);
	tried[0] = pools_slot(rig->pools, &rig->conf, 1);
	assert_int_equal(pool_pick(rig->pools, &rig->conf, 0, &(struct pool_query){ .now_ms = rig->now_ms, .tried = tried, .n_tried = 1 }, &p), -EHOSTDOWN);
}

static void thresholds_of_one_and_of_too_many(void **state)
{
	struct rig *rig = *state;

	rig->pool.probe.down_after = 1;
	rig->pool.probe.up_after = 1;
	hears(rig, PROBE_FAILED, 1);
	assert_down(rig);
	hears(rig, PROBE_OK, 1);
	assert_up(rig);
	rig->pool.probe.down_after = UINT16_MAX; /* longer than any run that is told apart */
	hears(rig, PROBE_FAILED, 999);
	assert_up(rig);
	hears(rig, PROBE_FAILED, 1);
	assert_down(rig);
	hears(rig, PROBE_FAILED, 5000);
	hears(rig, PROBE_OK, 1);
	assert_up(rig);
}

static void latency_is_smoothed(void **state)
{
	struct rig *rig = *state;
	uint16_t slot = pools_slot(rig->pools, &rig->conf, 0);

	assert_int_equal(info(rig).latency_us, 0);
	dest_latency(rig->pools, slot, 0);
	assert_int_equal(info(rig).latency_us, 1); /* 0 would say: none yet */
	dest_latency(rig->pools, slot, 8001);
	assert_int_equal(info(rig).latency_us, 1001);
}

static void detection_time_is_the_true_one(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(pool_detection_ms(&rig->pool), 16000); /* dies just after a good probe: 3 intervals and a time-out */
	rig->pool.probe.is_on = false;
	assert_int_equal(pool_detection_ms(&rig->pool), 0);
}

#define case_of(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		case_of(probes_take_down_and_bring_up),
		case_of(failed_calls_count_in_spite_of_good_probes),
		case_of(probes_and_calls_count_together),
		case_of(a_good_call_forgives_everything),
		case_of(good_calls_bring_up_only_as_many_as_probes_would),
		case_of(without_probes_a_pause_ends_in_a_trial),
		case_of(probes_switched_off_leave_nobody_down),
		case_of(all_down_is_panic),
		case_of(panic_respects_max_calls),
		case_of(no_panic_because_the_good_one_was_tried),
		case_of(thresholds_of_one_and_of_too_many),
		case_of(latency_is_smoothed),
		case_of(detection_time_is_the_true_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
