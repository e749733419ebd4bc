/* When probes go out and what their outcome does, over a wheel whose time the test tells. */
#include "dispatcher/probe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

enum { N = 20, EVERY = 5000, TIMEOUT = 1000, SENT_MAX = 4096, START = 777777 };

struct sent {
	uint32_t destination;
	uint64_t ticket, at_ms;
};

struct rig {
	struct pools *pools;
	struct wheel wheel;
	struct prober *prober;
	struct conf conf[3];
	struct conf_pool pool;
	struct conf_destination dest[3][N];
	char name[N][2];
	struct sent sent[SENT_MAX];
	unsigned n_sent;
	unsigned answer_at_once; /* status; 0 = no */
	const char *moved_to;
};

static void on_send(void *ctx, uint32_t destination, uint64_t ticket)
{
	struct rig *rig = ctx;

	assert_true(rig->n_sent < SENT_MAX);
	rig->sent[rig->n_sent++] = (struct sent){ destination, ticket, rig->wheel.now_ms };
	if (rig->answer_at_once)
		prober_result(rig->prober, ticket, rig->answer_at_once, 0);
}

/* Snapshot `gen` holds destinations `from`..`to`-1 of the alphabet. */
static void adopt(struct rig *rig, unsigned gen, unsigned from, unsigned to)
{
	struct conf_destination *d = rig->dest[gen];

	for (unsigned i = from; i < to; i++)
		d[i - from] = (struct conf_destination){ .name = { rig->name[i], 1 }, .id = i - from, .weight = 1,
			                             .uri = sv_from(rig->moved_to ? rig->moved_to : "sip:192.0.2.2") };
	rig->pool.destinations = d;
	rig->pool.n_destinations = to - from;
	rig->conf[gen] = (struct conf){ .gen = gen, .pools = &rig->pool, .n_pools = 1, .destinations = d,
		                        .n_destinations = to - from };
	assert_int_equal(pools_adopt(rig->pools, &rig->conf[gen]), 0);
	assert_int_equal(prober_adopt(rig->prober, &rig->conf[gen]), 0);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig || pools_new(&rig->pools, 2))
		return -1;
	for (unsigned i = 0; i < N; i++)
		rig->name[i][0] = (char)('a' + i);
	rig->pool = (struct conf_pool){ .name = SV("media"),
		                        .probe = { .is_on = true, .every_ms = EVERY, .timeout_ms = TIMEOUT,
		                                   .down_after = 3, .up_after = 2 } };
	wheel_init(&rig->wheel, START);
	*state = rig;
	return prober_new(&rig->prober, rig->pools, &rig->wheel, 0, 1, on_send, rig);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	prober_free(rig->prober);
	assert_int_equal(rig->wheel.count, 0);
	pools_free(rig->pools);
	free(rig);
	return 0;
}

/* As the loop does: time stops at every expiry. */
static void after(struct rig *rig, uint64_t ms)
{
	uint64_t end = rig->wheel.now_ms + ms, next;

	while ((next = wheel_next(&rig->wheel)) <= end)
		wheel_advance(&rig->wheel, next, SIZE_MAX);
	wheel_advance(&rig->wheel, end, SIZE_MAX);
}

static bool is_up(struct rig *rig, unsigned gen, uint32_t destination)
{
	struct dest_info info;

	dest_info(rig->pools, pools_slot(rig->pools, &rig->conf[gen], destination), &info);
	return info.is_up;
}

static struct sent last(struct rig *rig)
{
	assert_true(rig->n_sent > 0);
	return rig->sent[rig->n_sent - 1];
}

static void everyone_is_probed_once_per_interval_spread_out(void **state)
{
	struct rig *rig = *state;
	unsigned seen[N] = { 0 }, in_tenth[10] = { 0 };

	rig->answer_at_once = 200;
	adopt(rig, 0, 0, N);
	after(rig, EVERY);
	assert_int_equal(rig->n_sent, N);
	for (unsigned i = 0; i < N; i++) {
		seen[rig->sent[i].destination]++;
		in_tenth[(rig->sent[i].at_ms - START - 1) * 10 / EVERY]++;
	}
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(seen[i], 1);
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(in_tenth[i], 1, 3); /* 2 in the mean */
	after(rig, 9 * EVERY);
	assert_int_equal(rig->n_sent, 10 * N);
	for (unsigned i = N; i < 2 * N; i++)
		assert_int_equal(rig->sent[i].at_ms, rig->sent[i - N].at_ms + EVERY);
}

static void silence_is_a_failure(void **state)
{
	struct rig *rig = *state;

	adopt(rig, 0, 0, 1);
	after(rig, 2 * EVERY + TIMEOUT); /* slot 0 is first: at once, then every interval */
	assert_int_equal(rig->n_sent, 3);
	assert_true(is_up(rig, 0, 0));
	after(rig, 1);
	assert_false(is_up(rig, 0, 0));
}

static void an_answer_decides(void **state)
{
	static const struct { unsigned status; bool is_alive; } cases[] = {
		{ 200, true }, { 404, true }, { 405, true }, { 486, true }, { 302, true }, { 603, true },
		{ 408, false }, { 500, false }, { 503, false }, { 504, false },
	};
	struct rig *rig = *state;

	rig->pool.probe.down_after = rig->pool.probe.up_after = 1;
	adopt(rig, 0, 0, 1);
	after(rig, 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		prober_result(rig->prober, last(rig).ticket, cases[i].status, 0);
		assert_int_equal(is_up(rig, 0, 0), cases[i].is_alive);
		after(rig, EVERY);
	}
}

/* LESSONS 28: a refused connection is a failed probe, at once. */
static void a_transport_error_is_a_failure(void **state)
{
	struct rig *rig = *state;
	struct dest_info info;

	rig->pool.probe.down_after = 1;
	adopt(rig, 0, 0, 1);
	after(rig, 1);
	prober_result(rig->prober, last(rig).ticket, 0, -ECONNREFUSED);
	dest_info(rig->pools, pools_slot(rig->pools, &rig->conf[0], 0), &info);
	assert_false(info.is_up);
	assert_string_equal(info.why, "probe: Connection refused");
	after(rig, EVERY);
	prober_result(rig->prober, last(rig).ticket, 0, 12345); /* no errno: survived */
	assert_int_equal(rig->n_sent, 2);
}

static void a_provisional_response_decides_nothing(void **state)
{
	struct rig *rig = *state;

	rig->pool.probe.down_after = 1;
	adopt(rig, 0, 0, 1);
	after(rig, 1);
	prober_result(rig->prober, last(rig).ticket, 100, 0);
	after(rig, TIMEOUT);
	assert_false(is_up(rig, 0, 0));
}

static void late_and_foreign_tickets_are_ignored(void **state)
{
	struct rig *rig = *state;
	uint64_t ticket;
	struct dest_info info;

	adopt(rig, 0, 0, 1);
	after(rig, 1);
	ticket = last(rig).ticket;
	after(rig, TIMEOUT);
	prober_result(rig->prober, ticket, 200, 0);                 /* late */
	prober_result(rig->prober, UINT64_MAX, 200, 0);             /* no such slot */
	prober_result(rig->prober, ticket + 1, 200, 0);             /* a slot that waits for nothing */
	after(rig, EVERY - TIMEOUT);
	assert_int_equal(rig->n_sent, 2);
	prober_result(rig->prober, ticket, 200, 0);                 /* of the probe before */
	dest_info(rig->pools, pools_slot(rig->pools, &rig->conf[0], 0), &info);
	assert_int_equal(info.probes, 1);
	prober_result(rig->prober, last(rig).ticket, 200, 0);
	prober_result(rig->prober, last(rig).ticket, 503, 0);       /* twice */
	dest_info(rig->pools, pools_slot(rig->pools, &rig->conf[0], 0), &info);
	assert_int_equal(info.probes, 2);
	assert_int_equal(info.probe_failures, 1);
}

/* Reload: a leaves, b to e stay under other ids and keep their beat, f is new. An answer on its way still counts. */
static void a_reload_keeps_the_rhythm(void **state)
{
	struct rig *rig = *state;
	uint64_t beat_of_b = 0;
	unsigned before;

	adopt(rig, 0, 0, 5);
	rig->answer_at_once = 200;
	after(rig, EVERY);
	for (unsigned i = 0; i < rig->n_sent; i++)
		if (rig->sent[i].destination == 1)
			beat_of_b = rig->sent[i].at_ms;
	rig->answer_at_once = 0;
	after(rig, beat_of_b + EVERY - rig->wheel.now_ms);
	assert_int_equal(last(rig).destination, 1); /* b is being probed */
	adopt(rig, 1, 1, 6);
	prober_result(rig->prober, last(rig).ticket, 503, 0);
	before = rig->n_sent;
	rig->answer_at_once = 200;
	after(rig, EVERY);
	assert_int_equal(rig->n_sent, before + 5);
	assert_int_equal(last(rig).destination, 0); /* b again, by its new id, exactly one interval later */
	assert_int_equal(last(rig).at_ms, beat_of_b + 2 * EVERY);
}

static void another_interval_takes_effect(void **state)
{
	struct rig *rig = *state;

	rig->answer_at_once = 200;
	adopt(rig, 0, 0, 1);
	after(rig, EVERY / 2);
	rig->n_sent = 0;
	rig->pool.probe.every_ms = 100;
	adopt(rig, 1, 0, 1);
	after(rig, 1000);
	assert_int_equal(rig->n_sent, 10);
}

static void a_probe_longer_than_the_interval_is_awaited(void **state)
{
	struct rig *rig = *state;

	rig->pool.probe.every_ms = 400;
	adopt(rig, 0, 0, 1);
	after(rig, 1 + TIMEOUT);
	assert_int_equal(rig->n_sent, 1);
	after(rig, 200);
	assert_int_equal(rig->n_sent, 2); /* the next beat, not a burst of those missed */
}

/* Dead for long: the pauses double, up to a minute; one answer, and the rhythm is as before. */
static void the_long_dead_are_probed_ever_more_rarely(void **state)
{
	static const unsigned pauses[] = { 1, 1, 1, 2, 4, 8, 12, 12, 12 }; /* in intervals of 5 s */
	struct rig *rig = *state;
	uint64_t at;

	adopt(rig, 0, 0, 1);
	after(rig, 1 + PROBER_PATIENCE * EVERY);
	assert_int_equal(rig->n_sent, PROBER_PATIENCE + 1);
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		at = last(rig).at_ms;
		after(rig, pauses[i] * EVERY - 1);
		assert_int_equal(last(rig).at_ms, at);
		after(rig, 1);
		assert_int_equal(last(rig).at_ms, at + pauses[i] * EVERY);
	}
	prober_result(rig->prober, last(rig).ticket, 200, 0);
	at = last(rig).at_ms;
	after(rig, EVERY);
	assert_int_equal(last(rig).at_ms, at + EVERY);
}

/* Never so rare that a death goes unseen: what counts are failures beyond down-after. */
static void detection_is_never_delayed(void **state)
{
	struct rig *rig = *state;

	rig->pool.probe.down_after = 50;
	adopt(rig, 0, 0, 1);
	after(rig, 1 + 49 * EVERY + TIMEOUT);
	assert_int_equal(rig->n_sent, 50);
	assert_false(is_up(rig, 0, 0));
}

/* The same name at another address: nothing is known of that one, so it is up, and probed at once. */
static void one_that_moves_begins_anew(void **state)
{
	struct rig *rig = *state;
	struct dest_info info;
	uint64_t at;

	adopt(rig, 0, 0, 1);
	after(rig, 100 * EVERY);
	assert_false(is_up(rig, 0, 0));
	at = rig->wheel.now_ms;
	rig->moved_to = "sip:192.0.2.1";
	adopt(rig, 1, 0, 1);
	assert_true(is_up(rig, 1, 0));
	dest_info(rig->pools, pools_slot(rig->pools, &rig->conf[1], 0), &info);
	assert_true(info.probe_failures > 20); /* counters stay */
	after(rig, 2 * EVERY);
	assert_in_range(last(rig).at_ms, at, at + 2 * EVERY);
}

static void workers_share_the_destinations(void **state)
{
	struct rig *rig = *state;
	struct prober *other;
	unsigned seen[N] = { 0 };

	prober_free(rig->prober);
	rig->prober = NULL;
	assert_int_equal(prober_new(&rig->prober, rig->pools, &rig->wheel, 0, 2, on_send, rig), 0);
	assert_int_equal(prober_new(&other, rig->pools, &rig->wheel, 1, 2, on_send, rig), 0);
	adopt(rig, 0, 0, N);
	assert_int_equal(prober_adopt(other, &rig->conf[0]), 0);
	after(rig, EVERY);
	assert_int_equal(rig->n_sent, N);
	for (unsigned i = 0; i < N; i++)
		seen[rig->sent[i].destination]++;
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(seen[i], 1);
	prober_result(other, rig->sent[0].ticket ^ 1, 200, 0); /* tickets of one are none of the other's */
	prober_free(other);
	assert_int_equal(prober_new(&other, rig->pools, &rig->wheel, 2, 2, on_send, rig), -EINVAL);
	assert_int_equal(prober_new(&other, rig->pools, &rig->wheel, 0, 0, on_send, rig), -EINVAL);
}

static void without_probes_it_ends_pauses(void **state)
{
	struct rig *rig = *state;

	rig->pool.probe.is_on = false;
	adopt(rig, 0, 0, 2);
	for (unsigned i = 0; i < 3; i++)
		dest_report(rig->pools, &rig->conf[0], 1, CALL_FAILED, rig->wheel.now_ms, "503");
	assert_false(is_up(rig, 0, 1));
	after(rig, POOL_HOLD_MS - 1);
	assert_false(is_up(rig, 0, 1));
	after(rig, 2 * 1000);
	assert_true(is_up(rig, 0, 1));
	assert_int_equal(rig->n_sent, 0);
	rig->pool.probe.is_on = true;
	adopt(rig, 1, 0, 2);
	assert_int_equal(rig->wheel.count, 2); /* the ticking has ended */
	after(rig, EVERY);
	assert_int_equal(rig->n_sent, 2);
}

#define case_of(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		case_of(everyone_is_probed_once_per_interval_spread_out),
		case_of(silence_is_a_failure),
		case_of(an_answer_decides),
		case_of(a_transport_error_is_a_failure),
		case_of(a_provisional_response_decides_nothing),
		case_of(late_and_foreign_tickets_are_ignored),
		case_of(a_reload_keeps_the_rhythm),
		case_of(another_interval_takes_effect),
		case_of(a_probe_longer_than_the_interval_is_awaited),
		case_of(the_long_dead_are_probed_ever_more_rarely),
		case_of(detection_is_never_delayed),
		case_of(one_that_moves_begins_anew),
		case_of(workers_share_the_destinations),
		case_of(without_probes_it_ends_pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
