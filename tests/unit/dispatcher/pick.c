/* What a pick promises beyond whose turn it is: tiers, spilling, max-cps, rests, slow start, bounded hashing, latency. */
#include "dispatcher/pool.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { POOLS = 3, EACH = 6, N = POOLS * EACH, KEYS = 100000, START = 1000000 };

/* Pools p0, p1, p2 of six destinations each; 0 to 5 are those of the first. */
struct rig {
	struct pools *pools;
	struct conf conf;
	struct conf_pool pool[POOLS];
	struct conf_destination dest[N];
	char name[N][8];
	uint64_t now_ms;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	static const char *const names[] = { "p0", "p1", "p2" };

	if (!rig || pools_new(&rig->pools, 2))
		return -1;
	for (unsigned p = 0; p < POOLS; p++)
		rig->pool[p] = (struct conf_pool){ .name = sv_from(names[p]), .n_destinations = EACH, .first_destination = p * EACH,
			                           .destinations = &rig->dest[p * EACH], .health = { .retry_after_ms = 60000 },
			                           .probe = { .is_on = true, .down_after = 3, .up_after = 1 } };
	for (unsigned i = 0; i < N; i++) {
		snprintf(rig->name[i], sizeof(rig->name[i]), "m%u", i % EACH);
		rig->dest[i] = (struct conf_destination){ .name = sv_from(rig->name[i]), .id = i, .weight = 1,
			                                  .pool = (uint16_t)(i / EACH) };
	}
	rig->conf = (struct conf){ .pools = rig->pool, .n_pools = POOLS, .destinations = rig->dest, .n_destinations = N };
	rig->now_ms = START;
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

/* The first `n` of the first pool have a weight, its others none. */
static void only(struct rig *rig, unsigned n)
{
	for (unsigned i = 0; i < EACH; i++)
		rig->dest[i].weight = i < n;
}

static uint16_t slot(struct rig *rig, unsigned id)
{
	return pools_slot(rig->pools, &rig->conf, id);
}

static int take_key(struct rig *rig, uint64_t key)
{
	struct pool_query q = { .key = key, .now_ms = rig->now_ms };
	bool has = pool_has(rig->pools, &rig->conf, 0, &q);
	struct pick pick;
	int err = pool_pick(rig->pools, &rig->conf, 0, &q, &pick);

	assert_int_equal(has, err == 0); /* asking and taking never differ */
	return err ? err : (int)pick.destination;
}

static int take(struct rig *rig)
{
	return take_key(rig, 0);
}

static void drop(struct rig *rig, int id)
{
	dest_release(rig->pools, 0, slot(rig, (unsigned)id));
}

static int peek(struct rig *rig, uint64_t key)
{
	int id = take_key(rig, key);

	if (id >= 0)
		drop(rig, id);
	return id;
}

static void report(struct rig *rig, unsigned id, enum dest_event e, unsigned times)
{
	while (times--)
		dest_report(rig->pools, &rig->conf, id, e, rig->now_ms, "");
}

static void count_peeks(struct rig *rig, unsigned times, unsigned count[N])
{
	memset(count, 0, N * sizeof(*count));
	for (unsigned i = 0; i < times; i++) {
		int id = peek(rig, i);

		assert_true(id >= 0);
		count[id]++;
	}
}

/* The short way ------------------------------------------------------------------------------------------------- */

/* LESSONS 33: whatever is missing, all others share it alike. */
static void the_short_way_shares_turns_like_the_long_one(void **state)
{
	struct rig *rig = *state;
	unsigned count[N];

	rig->pool[0].is_plain = true;
	for (unsigned i = 0; i < 2 * EACH; i++)
		assert_int_equal(peek(rig, 0), i % EACH);
	for (unsigned missing = 1; missing < (1u << EACH) - 1; missing++) {
		unsigned n = EACH - (unsigned)__builtin_popcount(missing);

		for (unsigned i = 0; i < EACH; i++)
			rig->dest[i].weight = !(missing >> i & 1);
		count_peeks(rig, 60 * EACH, count);
		for (unsigned i = 0; i < EACH; i++)
			assert_int_equal(count[i], missing >> i & 1 ? 0 : 60 * EACH / n);
	}
}

static void the_short_way_leaves_what_is_not_ready(void **state)
{
	struct rig *rig = *state;
	unsigned count[N];

	rig->pool[0].is_plain = true;
	report(rig, 0, PROBE_FAILED, 3);
	dest_rest(rig->pools, &rig->conf, 1, rig->now_ms, 10);
	dest_put_wish(rig->pools, slot(rig, 2), WISH_DRAINING, rig->now_ms);
	count_peeks(rig, 300, count);
	assert_int_equal(count[0] + count[1] + count[2], 0);
	for (unsigned i = 1; i < EACH; i++)
		report(rig, i, PROBE_FAILED, 2 + i); /* down-after is what counts */
	only(rig, 4);
	count_peeks(rig, 100, count);
	assert_int_equal(count[0], 50); /* panic: the drained and the resting one stay out */
	assert_int_equal(count[3], 50);
	rig->now_ms += 11000;
	count_peeks(rig, 300, count);
	assert_int_equal(count[1], 100); /* the rest is over */
}

/* Tiers and spilling -------------------------------------------------------------------------------------------- */

static void a_lower_tier_waits_until_the_upper_is_down_or_full(void **state)
{
	struct rig *rig = *state;
	unsigned count[N];

	for (unsigned i = 2; i < EACH; i++)
		rig->dest[i].priority = (uint16_t)(1 + i / 4); /* 0, 1 | 2, 3 | 4, 5 */
	count_peeks(rig, 100, count);
	assert_int_equal(count[0], 50);
	assert_int_equal(count[1], 50);
	report(rig, 0, PROBE_FAILED, 3);
	count_peeks(rig, 100, count);
	assert_int_equal(count[1], 100);
	rig->dest[1].max_calls = 1;
	assert_int_equal(take(rig), 1);
	count_peeks(rig, 100, count);
	assert_int_equal(count[2] + count[3], 100);
	report(rig, 2, PROBE_FAILED, 3);
	report(rig, 3, PROBE_FAILED, 3);
	count_peeks(rig, 100, count);
	assert_int_equal(count[4] + count[5], 100);
	drop(rig, 1);
	assert_int_equal(peek(rig, 0), 1);
}

static void what_finds_no_place_spills(void **state)
{
	struct rig *rig = *state;

	only(rig, 1);
	rig->dest[0].max_calls = 1;
	rig->pool[0].spill = 2; /* p1 */
	rig->pool[1].spill = 3;
	assert_int_equal(take(rig), 0);
	assert_int_equal(peek(rig, 0) / EACH, 1);
	for (unsigned i = EACH; i < 2 * EACH; i++)
		report(rig, i, PROBE_FAILED, 3);
	assert_int_equal(peek(rig, 0) / EACH, 2);
	for (unsigned i = 2 * EACH; i < N; i++)
		rig->dest[i].weight = 0;
	assert_int_equal(peek(rig, 0) / EACH, 1); /* nobody is up: the least bad of the first that may be used */
	for (unsigned i = EACH; i < 2 * EACH; i++)
		rig->dest[i].weight = 0;
	assert_int_equal(take(rig), -EBUSY);
	drop(rig, 0);
	assert_int_equal(peek(rig, 0), 0);
}

/* A pool that is down as a whole does not panic while the one that it spills into is up. */
static void spilling_comes_before_panic(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < EACH; i++)
		report(rig, i, PROBE_FAILED, 3);
	assert_int_equal(peek(rig, 0) / EACH, 0);
	rig->pool[0].spill = 3;
	assert_int_equal(peek(rig, 0) / EACH, 2);
}

/* A circle is refused by the configuration; here it has to end all the same. */
static void a_circle_ends(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < N; i++)
		rig->dest[i].weight = 0;
	rig->pool[0].spill = 2;
	rig->pool[1].spill = 1;
	assert_int_equal(take(rig), -EHOSTDOWN);
}

/* Rates --------------------------------------------------------------------------------------------------------- */

static void max_cps_holds_in_every_second(void **state)
{
	static const unsigned rates[] = { 1, 7, 10, 100, 999, 5000 };
	struct rig *rig = *state;

	only(rig, 1);
	for (unsigned r = 0; r < sizeof(rates) / sizeof(*rates); r++) {
		unsigned rate = rates[r], burst = rate / 10 ? rate / 10 : 1, taken = 0, window[10] = { 0 }, most = 0;

		rig->dest[0].max_cps = rate;
		rig->now_ms += 10000;
		for (unsigned ms = 0; ms < 10000; ms++, rig->now_ms++)
			while (peek(rig, 0) == 0) {
				taken++;
				window[ms / 1000]++;
			}
		for (unsigned i = 0; i < 10; i++)
			most = window[i] > most ? window[i] : most;
		assert_in_range(taken, 10 * rate - 1, 10 * rate + burst);
		assert_in_range(most, rate, rate + burst);
		while (peek(rig, 0) == 0)
			taken++;
		assert_int_equal(take(rig), -EBUSY);
	}
}

static void max_cps_spills_and_a_look_costs_nothing(void **state)
{
	struct rig *rig = *state;
	struct pool_query q = { .now_ms = rig->now_ms };

	only(rig, 2);
	rig->dest[0].max_cps = 1;
	rig->dest[1].priority = 1;
	for (unsigned i = 0; i < 10; i++)
		assert_true(pool_has(rig->pools, &rig->conf, 0, &q));
	assert_int_equal(take(rig), 0);
	assert_int_equal(take(rig), 1);
	assert_int_equal(dest_load(rig->pools, slot(rig, 0)), 1);
	rig->now_ms += 999;
	assert_int_equal(take(rig), 1);
	rig->now_ms += 1;
	assert_int_equal(take(rig), 0);
}

struct drawer {
	struct rig *rig;
	unsigned worker, taken;
};

static void *draw(void *arg)
{
	struct drawer *d = arg;
	struct pick pick;

	for (unsigned i = 0; i < 20000; i++) {
		if (pool_pick(d->rig->pools, &d->rig->conf, 0, &(struct pool_query){ .now_ms = START, .worker = d->worker }, &pick))
			continue;
		d->taken++;
		dest_release(d->rig->pools, d->worker, pick.slot);
	}
	return NULL;
}

static void all_workers_draw_on_one_bucket(void **state)
{
	struct drawer both[2] = { { *state, 0, 0 }, { *state, 1, 0 } };
	pthread_t thread;

	only(*state, 1);
	both[0].rig->dest[0].max_cps = 5000;
	assert_int_equal(pthread_create(&thread, NULL, draw, &both[1]), 0);
	draw(&both[0]);
	pthread_join(thread, NULL);
	assert_int_equal(both[0].taken + both[1].taken, 500);
	assert_int_equal(dest_load(both[0].rig->pools, slot(both[0].rig, 0)), 0);
}

/* Rests --------------------------------------------------------------------------------------------------------- */

static void a_rest_is_kept_and_bounded(void **state)
{
	struct rig *rig = *state;

	only(rig, 1);
	dest_rest(rig->pools, &rig->conf, 0, rig->now_ms, 0);
	assert_int_equal(peek(rig, 0), 0);
	dest_rest(rig->pools, &rig->conf, 0, rig->now_ms, 20);
	dest_rest(rig->pools, &rig->conf, 0, rig->now_ms, 10); /* the longer one stays */
	assert_int_equal(peek(rig, 0), -EBUSY);
	rig->now_ms += 19000;
	assert_int_equal(peek(rig, 0), -EBUSY);
	rig->now_ms += 1000;
	assert_int_equal(peek(rig, 0), 0);
	dest_rest(rig->pools, &rig->conf, 0, rig->now_ms, UINT32_MAX);
	rig->now_ms += 59000;
	assert_int_equal(peek(rig, 0), -EBUSY);
	rig->now_ms += 1000;
	assert_int_equal(peek(rig, 0), 0); /* health.retry-after is the most */
	rig->pool[0].health.retry_after_ms = 0;
	dest_rest(rig->pools, &rig->conf, 0, rig->now_ms, 10);
	assert_int_equal(peek(rig, 0), 0); /* not obeyed */
}

/* Slow start ---------------------------------------------------------------------------------------------------- */

static void one_that_returns_starts_slowly(void **state)
{
	static const uint8_t kinds[] = { BALANCE_ROUND_ROBIN, BALANCE_WEIGHTED, BALANCE_HASH };
	struct rig *rig = *state;
	unsigned count[N];

	only(rig, 2);
	rig->pool[0].slow_start_ms = 30000;
	for (unsigned k = 0; k < sizeof(kinds); k++) {
		rig->pool[0].balance = kinds[k];
		report(rig, 0, PROBE_FAILED, 3);
		rig->now_ms += 100000;
		report(rig, 0, PROBE_OK, 1);
		count_peeks(rig, 1000, count);
		assert_true(count[0] <= 20);
		rig->now_ms += 10000;
		count_peeks(rig, 1000, count);
		assert_in_range(count[0], 230, 270); /* a third of the other's weight: a quarter of the calls */
		rig->now_ms += 10000;
		count_peeks(rig, 1000, count);
		assert_in_range(count[0], 370, 430);
		rig->now_ms += 10000;
		count_peeks(rig, 1000, count);
		assert_in_range(count[0], 460, 540);
	}
}

/* The operator's word brings it back, too; being drained and enabled while it is down does not make it up. */
static void one_that_is_undrained_starts_slowly(void **state)
{
	struct rig *rig = *state;
	unsigned count[N];

	only(rig, 2);
	rig->pool[0].slow_start_ms = 30000;
	dest_put_wish(rig->pools, slot(rig, 0), WISH_DRAINING, rig->now_ms);
	rig->now_ms += 100000;
	dest_put_wish(rig->pools, slot(rig, 0), WISH_IN_SERVICE, rig->now_ms);
	count_peeks(rig, 1000, count);
	assert_true(count[0] <= 20);
	rig->now_ms += 30000;
	count_peeks(rig, 1000, count);
	assert_int_equal(count[0], 500);
}

/* It returns empty: without slow start it would get every call until it is as full as the others. */
static void least_calls_does_not_flood_who_returns(void **state)
{
	struct rig *rig = *state;

	only(rig, 2);
	rig->pool[0].balance = BALANCE_LEAST_CALLS;
	rig->pool[0].slow_start_ms = 30000;
	report(rig, 0, PROBE_FAILED, 3);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(take(rig), 1);
	report(rig, 0, PROBE_OK, 1);
	rig->now_ms += 3000;
	for (unsigned i = 0; i < 100; i++) {
		assert_true(take(rig) >= 0);
		drop(rig, 1); /* one of the old calls ends for each that comes */
	}
	assert_in_range(dest_load(rig->pools, slot(rig, 0)), 20, 35); /* a tenth of the other's */
}

/* A process that starts has nobody who was away. */
static void nobody_starts_slowly_at_the_start(void **state)
{
	struct rig *rig = *state;
	unsigned count[N];

	rig->pool[0].slow_start_ms = 3600000;
	rig->dest[0].priority = 0;
	count_peeks(rig, 600, count);
	for (unsigned i = 0; i < EACH; i++)
		assert_int_equal(count[i], 100);
}

/* Hashing ------------------------------------------------------------------------------------------------------- */

struct shares {
	unsigned moved, of_the_gone, least, most, mean;
};

/* 100,000 keys at six destinations, then without the third. `per_key`: calls that stay, so that the bound has something to look at. */
static struct shares remove_one(struct rig *rig, bool stays)
{
	static int before[KEYS];
	struct shares s = { .least = UINT32_MAX, .mean = KEYS / (EACH - 1) };
	unsigned count[N] = { 0 };

	rig->pool[0].balance = BALANCE_HASH;
	for (unsigned key = 0; key < KEYS; key++)
		before[key] = stays ? take_key(rig, key) : peek(rig, key);
	for (unsigned key = 0; key < KEYS && stays; key++)
		drop(rig, before[key]);
	rig->dest[2].weight = 0;
	for (unsigned key = 0; key < KEYS; key++) {
		int now = stays ? take_key(rig, key) : peek(rig, key);

		assert_true(now >= 0 && now != 2);
		s.of_the_gone += before[key] == 2;
		s.moved += now != before[key];
		count[now]++;
	}
	for (unsigned i = 0; i < EACH; i++) {
		s.most = count[i] > s.most ? count[i] : s.most;
		s.least = i != 2 && count[i] < s.least ? count[i] : s.least;
	}
	return s;
}

static void say(const char *what, const struct shares *s)
{
	print_message("%-34s %5.1f %% of keys moved, busiest/mean %.3f, idlest/mean %.3f\n", what, s->moved * 100.0 / KEYS,
	              (double)s->most / s->mean, (double)s->least / s->mean);
}

/* The figures of the issue. */
static void hash_without_its_bound_moves_only_the_share_of_the_removed(void **state)
{
	struct rig *rig = *state;
	struct shares s;

	rig->pool[0].hash.bound = 125; /* never reached: the calls do not stay */
	s = remove_one(rig, false);
	say("one of six removed, no bound", &s);
	assert_int_equal(s.moved, s.of_the_gone);
	assert_in_range(s.moved, KEYS * 157 / 1000, KEYS * 177 / 1000);
	assert_true(s.most * 10 <= s.mean * 11);
}

static void hash_with_its_bound_reached(void **state)
{
	struct rig *rig = *state;
	struct shares s;

	rig->pool[0].hash.bound = 101; /* so tight that it is reached all the time */
	s = remove_one(rig, true);
	say("one of six removed, bound 101 %", &s);
	assert_true(s.moved > s.of_the_gone); /* a bound costs this */
	assert_true(s.moved < KEYS / 2);
	assert_true(s.most * 1000 <= s.mean * 1011);
}

/* One key that is half of all calls: the bound cuts it, and the key's other calls all go to the same next ones. */
static void a_hot_key_is_cut_at_the_bound(void **state)
{
	struct rig *rig = *state;
	unsigned own, total = 0;
	int first;

	rig->pool[0].balance = BALANCE_HASH;
	rig->pool[0].hash.bound = 125;
	first = take_key(rig, 7);
	for (unsigned i = 1; i < POOL_HASH_FLOOR; i++)
		assert_int_equal(take_key(rig, 7), first); /* few calls: no bound yet */
	for (unsigned i = POOL_HASH_FLOOR; i < 600; i++)
		assert_true(take_key(rig, i % 2 ? 7 : 1000 + i) >= 0);
	for (unsigned i = 0; i < EACH; i++)
		total += dest_load(rig->pools, slot(rig, i));
	own = dest_load(rig->pools, slot(rig, (unsigned)first));
	assert_int_equal(total, 600);
	assert_in_range(own, 100, 126);
}

/* Latency ------------------------------------------------------------------------------------------------------- */

enum { SERVERS = 2, STEP_MS = 10, RATE = 2, LONG = 4096 };

/* Servers that answer more slowly the more calls they have; calls of one second; each answer is measured. */
struct farm {
	struct rig *rig;
	unsigned base_us[SERVERS], per_call_us[SERVERS], taken[SERVERS];
	int held[LONG];
	unsigned head, tail;
};

static void farm_run(struct farm *f, unsigned ms)
{
	struct rig *rig = f->rig;

	memset(f->taken, 0, sizeof(f->taken));
	for (unsigned at = 0; at < ms; at += STEP_MS, rig->now_ms += STEP_MS)
		for (unsigned i = 0; i < RATE; i++) {
			int id = take(rig);
			unsigned load;

			assert_in_range(id, 0, SERVERS - 1);
			load = dest_load(rig->pools, slot(rig, (unsigned)id));
			dest_latency(rig->pools, slot(rig, (unsigned)id), f->base_us[id] + f->per_call_us[id] * load);
			f->taken[id]++;
			f->held[f->head++ % LONG] = id;
			if (f->head - f->tail > RATE * 1000 / STEP_MS)
				drop(rig, f->held[f->tail++ % LONG]);
		}
}

static struct farm farm_of(struct rig *rig)
{
	only(rig, SERVERS);
	rig->pool[0].balance = BALANCE_LATENCY;
	return (struct farm){ .rig = rig, .base_us = { 5000, 5000 }, .per_call_us = { 100, 100 } };
}

static void equal_servers_share_by_latency_without_swinging(void **state)
{
	struct farm f = farm_of(*state);

	farm_run(&f, 2000);
	for (unsigned second = 0; second < 60; second++) {
		farm_run(&f, 1000);
		assert_in_range(f.taken[0] * 100 / (f.taken[0] + f.taken[1]), 40, 60);
	}
}

/* Slow only because it is busy: whoever is given more becomes slower, which must not make everybody run to the other. */
static void latency_that_follows_load_does_not_swing(void **state)
{
	struct farm f = farm_of(*state);

	f.base_us[0] = f.base_us[1] = 500;
	f.per_call_us[0] = f.per_call_us[1] = 2000;
	farm_run(&f, 2000);
	for (unsigned second = 0; second < 60; second++) {
		farm_run(&f, 1000);
		assert_in_range(f.taken[0] * 100 / (f.taken[0] + f.taken[1]), 40, 60);
	}
}

static void a_slow_server_gets_little_and_recovers(void **state)
{
	struct farm f = farm_of(*state);
	unsigned all = RATE * 1000 / STEP_MS * 20;

	farm_run(&f, 2000);
	f.base_us[0] = 200000;
	farm_run(&f, 5000);
	farm_run(&f, 20000);
	assert_in_range(f.taken[0], 1, all / 20);
	f.base_us[0] = 5000;
	farm_run(&f, 10000); /* the few calls it has show it */
	farm_run(&f, 20000);
	assert_in_range(f.taken[0] * 100 / all, 40, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(the_short_way_shares_turns_like_the_long_one),
		TEST(the_short_way_leaves_what_is_not_ready),
		TEST(a_lower_tier_waits_until_the_upper_is_down_or_full),
		TEST(what_finds_no_place_spills),
		TEST(spilling_comes_before_panic),
		TEST(a_circle_ends),
		TEST(max_cps_holds_in_every_second),
		TEST(max_cps_spills_and_a_look_costs_nothing),
		TEST(all_workers_draw_on_one_bucket),
		TEST(a_rest_is_kept_and_bounded),
		TEST(one_that_returns_starts_slowly),
		TEST(one_that_is_undrained_starts_slowly),
		TEST(least_calls_does_not_flood_who_returns),
		TEST(nobody_starts_slowly_at_the_start),
		TEST(hash_without_its_bound_moves_only_the_share_of_the_removed),
		TEST(hash_with_its_bound_reached),
		TEST(a_hot_key_is_cut_at_the_bound),
		TEST(equal_servers_share_by_latency_without_swinging),
		TEST(latency_that_follows_load_does_not_swing),
		TEST(a_slow_server_gets_little_and_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
