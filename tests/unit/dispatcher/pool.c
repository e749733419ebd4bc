/* Picking a destination, over pools built by hand. */
#include "dispatcher/pool.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEDIA_MAX = 8, KEYS = 100000 };

/* One pool "media" of up to eight destinations m0, m1, ... */
struct rig {
	struct pools *pools;
	struct conf conf;
	struct conf_pool pool;
	struct conf_destination dest[MEDIA_MAX];
	char name[MEDIA_MAX][16];
	uint64_t now_ms;
};

static void conf_build(struct rig *rig, unsigned n, uint8_t balance)
{
	rig->pool = (struct conf_pool){ .name = SV("media"), .balance = balance, .n_destinations = n,
		                        .destinations = rig->dest,
		                        .probe = { .is_on = true, .every_ms = 5000, .timeout_ms = 1000,
		                                   .down_after = 3, .up_after = 2 } };
	for (unsigned i = 0; i < n; i++) {
		snprintf(rig->name[i], sizeof(rig->name[i]), "m%u", i);
		rig->dest[i] = (struct conf_destination){ .name = sv_from(rig->name[i]), .id = i, .weight = 1 };
	}
	rig->conf = (struct conf){ .pools = &rig->pool, .n_pools = 1, .destinations = rig->dest, .n_destinations = n };
}

static struct rig *rig_new(unsigned n, uint8_t balance)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	conf_build(rig, n, balance);
	assert_int_equal(pools_new(&rig->pools, 2), 0);
	assert_int_equal(pools_adopt(rig->pools, &rig->conf), 0);
	return rig;
}

static void rig_free(struct rig *rig)
{
	pools_free(rig->pools);
	free(rig);
}

static uint16_t slot(struct rig *rig, unsigned id)
{
	return pools_slot(rig->pools, &rig->conf, id);
}

static struct dest_info info(struct rig *rig, unsigned id)
{
	struct dest_info i;

	dest_info(rig->pools, slot(rig, id), &i);
	return i;
}

static void report(struct rig *rig, unsigned id, enum dest_event e, unsigned times)
{
	while (times--)
		dest_report(rig->pools, &rig->conf, id, e, 1000, "503");
}

static void wish(struct rig *rig, const char *name, enum dest_wish w)
{
	uint16_t slot = dest_find(rig->pools, &rig->conf, sv_from(name), NULL);

	assert_int_not_equal(slot, POOL_NO_SLOT);
	dest_put_wish(rig->pools, slot, w, 1000);
}

static int pick_by(struct rig *rig, unsigned worker, uint64_t key, const uint16_t *tried, unsigned n_tried, struct pick *out)
{
	struct pool_query q = { .key = key, .now_ms = rig->now_ms, .worker = worker, .tried = tried, .n_tried = n_tried };

	return pool_pick(rig->pools, &rig->conf, 0, &q, out);
}

/* Picks without keeping the call; the destination, or -errno. */
static int peek(struct rig *rig, uint64_t key)
{
	struct pick pick;
	int err = pick_by(rig, 0, key, NULL, 0, &pick);

	if (err)
		return err;
	dest_release(rig->pools, 0, pick.slot);
	return (int)pick.destination;
}

static int take(struct rig *rig)
{
	struct pick pick;
	int err = pick_by(rig, 0, 0, NULL, 0, &pick);

	return err ? err : (int)pick.destination;
}

static void count_picks(struct rig *rig, unsigned times, unsigned *count)
{
	memset(count, 0, MEDIA_MAX * sizeof(*count));
	for (unsigned i = 0; i < times; i++) {
		int d = peek(rig, (uint64_t)i * 0x9E3779B97F4A7C15u);

		assert_true(d >= 0);
		count[d]++;
	}
}

static void round_robin_goes_around_evenly(void **state)
{
	struct rig *rig = rig_new(4, BALANCE_ROUND_ROBIN);
	unsigned count[MEDIA_MAX];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(peek(rig, 0), i % 4);
	report(rig, 2, PROBE_FAILED, 3);
	count_picks(rig, 300, count);
	assert_int_equal(count[0], 100); /* the share of one that is down goes to all others */
	assert_int_equal(count[1], 100);
	assert_int_equal(count[2], 0);
	assert_int_equal(count[3], 100);
	rig_free(rig);
}

/* Two destinations, the first never answers: its calls try the other next. That must not make every call begin with the
 * dead one. */
static void retries_take_no_turn(void **state)
{
	struct rig *rig = rig_new(2, BALANCE_ROUND_ROBIN);
	unsigned first[2] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct pick a, b;

		assert_int_equal(pick_by(rig, 0, 0, NULL, 0, &a), 0);
		first[a.destination]++;
		if (a.destination == 0) {
			assert_int_equal(pick_by(rig, 0, 0, &a.slot, 1, &b), 0);
			assert_int_equal(b.destination, 1);
		}
	}
	assert_int_equal(first[0], 50);
	rig_free(rig);
}

static void weights_hold_within_a_percent_and_spread(void **state)
{
	static const unsigned weight[] = { 50, 10, 30, 7, 3 };
	struct rig *rig = rig_new(5, BALANCE_WEIGHTED);
	unsigned count[MEDIA_MAX], in_a_row = 0, longest = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		rig->dest[i].weight = weight[i];
	count_picks(rig, 10000, count);
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(count[i], weight[i] * 99, weight[i] * 101);
	for (unsigned i = 0; i < 1000; i++) {
		in_a_row = peek(rig, 0) == 0 ? in_a_row + 1 : 0;
		longest = in_a_row > longest ? in_a_row : longest;
	}
	assert_true(longest <= 3); /* half of all turns, yet never four at once */
	rig_free(rig);
}

/* Ten turns and a golden step of six have a factor in common: half of the turns would never come. */
static void weights_are_exact_in_every_round(void **state)
{
	struct rig *rig = rig_new(2, BALANCE_WEIGHTED);
	unsigned count[MEDIA_MAX];

	(void)state;
	for (unsigned i = 1; i < 40; i++) {
		rig->dest[0].weight = i;
		rig->dest[1].weight = 3;
		count_picks(rig, 3 * (i + 3), count);
		assert_int_equal(count[0], 3 * i);
		assert_int_equal(count[1], 9);
	}
	rig_free(rig);
}

static void equal_weights_take_strict_turns(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_WEIGHTED);
	unsigned count[MEDIA_MAX];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		rig->dest[i].weight = 1000;
	for (unsigned i = 0; i < 10; i++) {
		count_picks(rig, 3, count);
		assert_int_equal(count[0], 1);
		assert_int_equal(count[1], 1);
		assert_int_equal(count[2], 1);
	}
	rig_free(rig);
}

static void weight_zero_gets_no_calls(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_ROUND_ROBIN);
	unsigned count[MEDIA_MAX];

	(void)state;
	rig->dest[1].weight = 0;
	count_picks(rig, 100, count);
	assert_int_equal(count[1], 0);
	rig->dest[0].weight = rig->dest[2].weight = 0;
	assert_int_equal(peek(rig, 0), -EHOSTDOWN);
	rig_free(rig);
}

static void least_calls_fills_by_weight(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_LEAST_CALLS);

	(void)state;
	rig->dest[0].weight = 4;
	rig->dest[1].weight = 2;
	rig->dest[2].weight = 1;
	for (unsigned i = 0; i < 700; i++)
		assert_true(take(rig) >= 0);
	assert_in_range(dest_load(rig->pools, slot(rig, 0)), 399, 401);
	assert_in_range(dest_load(rig->pools, slot(rig, 1)), 199, 201);
	assert_in_range(dest_load(rig->pools, slot(rig, 2)), 99, 101);
	rig_free(rig);
}

static void least_calls_breaks_ties_in_turn(void **state)
{
	struct rig *rig = rig_new(5, BALANCE_LEAST_CALLS);
	unsigned count[MEDIA_MAX];

	(void)state;
	dest_reserve(rig->pools, 0, slot(rig, 0)); /* busier than the rest: never */
	report(rig, 3, PROBE_FAILED, 3);
	count_picks(rig, 300, count);
	assert_int_equal(count[0], 0);
	assert_int_equal(count[1], 100);
	assert_int_equal(count[2], 100);
	assert_int_equal(count[4], 100);
	rig_free(rig);
}

/* LESSONS 33: with one of six gone only its keys move, and they move to all the others. */
static void hash_moves_only_the_share_of_the_removed(void **state)
{
	struct rig *rig = rig_new(6, BALANCE_HASH);
	static int before[KEYS];
	unsigned count[6] = { 0 }, moved = 0, most = 0;

	(void)state;
	for (uint64_t key = 0; key < KEYS; key++)
		before[key] = peek(rig, key);
	report(rig, 2, PROBE_FAILED, 3);
	for (uint64_t key = 0; key < KEYS; key++) {
		int now = peek(rig, key);

		assert_true(before[key] == 2 ? now != 2 : now == before[key]);
		moved += now != before[key];
		count[now]++;
	}
	assert_in_range(moved, KEYS * 157 / 1000, KEYS * 177 / 1000);
	for (unsigned i = 0; i < 6; i++)
		most = count[i] > most ? count[i] : most;
	assert_true(most * 10 <= KEYS / 5 * 11); /* mean of the five others, times 1.1 */
	rig_free(rig);
}

static void hash_respects_weights(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_HASH);
	unsigned count[MEDIA_MAX];

	(void)state;
	rig->dest[0].weight = 6;
	rig->dest[1].weight = 3;
	count_picks(rig, KEYS, count);
	assert_in_range(count[0], KEYS * 59 / 100, KEYS * 61 / 100);
	assert_in_range(count[1], KEYS * 29 / 100, KEYS * 31 / 100);
	rig_free(rig);
}

/* The other node of a pair must choose alike: no random key, no dependence on slots or the order of the file. */
static void hash_depends_on_names_alone(void **state)
{
	struct rig *a = rig_new(4, BALANCE_HASH), *b = rig_new(4, BALANCE_HASH);

	(void)state;
	b->dest[0].name = SV("m3");
	b->dest[3].name = SV("m0");
	b->conf.gen = 1;
	assert_int_equal(pools_adopt(b->pools, &b->conf), 0);
	for (uint64_t key = 0; key < 1000; key++) {
		struct sv x = a->dest[peek(a, key)].name, y = b->dest[peek(b, key)].name;

		assert_true(sv_eq(x, y));
	}
	rig_free(a);
	rig_free(b);
}

static void max_calls_is_a_bound(void **state)
{
	struct rig *rig = rig_new(2, BALANCE_HASH);

	(void)state;
	rig->dest[0].max_calls = 3;
	rig->dest[1].max_calls = 2;
	for (unsigned i = 0; i < 5; i++)
		assert_true(take(rig) >= 0); /* the key's own destination first, then the other */
	assert_int_equal(take(rig), -EBUSY);
	assert_int_equal(dest_load(rig->pools, slot(rig, 0)), 3);
	assert_int_equal(dest_load(rig->pools, slot(rig, 1)), 2);
	dest_release(rig->pools, 0, slot(rig, 1));
	assert_int_equal(take(rig), 1);
	rig_free(rig);
}

static void a_restored_call_goes_beyond_every_bound(void **state)
{
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);

	(void)state;
	rig->dest[0].max_calls = 1;
	wish(rig, "media/m0", WISH_DISABLED);
	dest_reserve(rig->pools, 1, slot(rig, 0));
	dest_reserve(rig->pools, 1, slot(rig, 0));
	assert_int_equal(dest_load(rig->pools, slot(rig, 0)), 2);
	rig_free(rig);
}

/* LESSONS 32, 60. */
static void load_never_falls_below_zero(void **state)
{
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);

	(void)state;
	rig->dest[0].max_calls = 1;
	dest_release(rig->pools, 0, slot(rig, 0));
	assert_int_equal(dest_load(rig->pools, slot(rig, 0)), 0);
	assert_int_equal(take(rig), 0);
	dest_release(rig->pools, 1, slot(rig, 0)); /* not that worker's call */
	assert_int_equal(dest_load(rig->pools, slot(rig, 0)), 1);
	assert_int_equal(take(rig), -EBUSY);
	rig_free(rig);
}

static void a_tried_destination_is_not_tried_again(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_HASH);
	uint16_t tried[3];
	struct pick pick;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(pick_by(rig, 0, 7, tried, n, &pick), 0);
		for (unsigned i = 0; i < n; i++)
			assert_int_not_equal(pick.slot, tried[i]);
		tried[n] = pick.slot;
	}
	assert_int_equal(pick_by(rig, 0, 7, tried, 3, &pick), -EHOSTDOWN);
	rig_free(rig);
}

/* Operators ----------------------------------------------------------------------------------------------------- */

static void draining_and_disabled_get_no_calls(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_ROUND_ROBIN);
	unsigned count[MEDIA_MAX];

	(void)state;
	wish(rig, "media/m0", WISH_DRAINING);
	wish(rig, "media/m1", WISH_DISABLED);
	count_picks(rig, 10, count);
	assert_int_equal(count[2], 10);
	report(rig, 2, PROBE_FAILED, 3);
	assert_int_equal(peek(rig, 0), 2); /* evidence alone never takes the last one, the others are not asked */
	wish(rig, "media/m2", WISH_DRAINING);
	assert_int_equal(peek(rig, 0), -EHOSTDOWN);
	wish(rig, "media/m1", WISH_IN_SERVICE);
	assert_int_equal(peek(rig, 0), 1);
	rig_free(rig);
}

static void an_unknown_name_gets_the_nearest(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_ROUND_ROBIN);
	char hint[128], longest[300];

	(void)state;
	assert_int_equal(dest_find(rig->pools, &rig->conf, SV("medla/m2"), hint), POOL_NO_SLOT);
	assert_string_equal(hint, "media/m2");
	assert_int_equal(dest_find(rig->pools, &rig->conf, SV("billing"), hint), POOL_NO_SLOT);
	assert_string_equal(hint, "");
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(dest_find(rig->pools, &rig->conf, (struct sv){ longest, sizeof(longest) }, hint), POOL_NO_SLOT);
	rig_free(rig);
}

/* Reloads ------------------------------------------------------------------------------------------------------- */

static void a_reload_keeps_what_has_the_same_name(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_ROUND_ROBIN);
	uint16_t slot_of_m2 = slot(rig, 2);

	(void)state;
	wish(rig, "media/m2", WISH_DRAINING);
	report(rig, 2, PROBE_FAILED, 3);
	dest_reserve(rig->pools, 0, slot_of_m2);
	rig->dest[0] = rig->dest[2]; /* m0 leaves; m2 moves to its place; m1 stays */
	rig->dest[0].id = 0;
	rig->conf.n_destinations = rig->pool.n_destinations = 2;
	rig->conf.gen = 1;
	assert_int_equal(pools_adopt(rig->pools, &rig->conf), 0);
	assert_int_equal(slot(rig, 0), slot_of_m2);
	assert_int_equal(info(rig, 0).wish, WISH_DRAINING);
	assert_int_equal(info(rig, 0).load, 1);
	assert_false(info(rig, 0).is_up);
	assert_int_equal(slot(rig, 2), POOL_NO_SLOT);
	rig_free(rig);
}

static void an_unknown_snapshot_has_no_slots(void **state)
{
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);

	(void)state;
	rig->conf.gen = POOL_SNAPSHOTS; /* the same place in the ring */
	assert_int_equal(slot(rig, 0), POOL_NO_SLOT);
	assert_int_equal(peek(rig, 0), -EHOSTDOWN);
	dest_reserve(rig->pools, 0, slot(rig, 0)); /* what has no slot is nobody's, and harms nobody */
	assert_int_equal(info(rig, 0).load, 0);
	dest_release(rig->pools, 0, slot(rig, 0));
	dest_latency(rig->pools, slot(rig, 0), 1);
	report(rig, 0, CALL_FAILED, 3);
	dest_tick(rig->pools, &rig->conf, 0, 0);
	rig->conf.gen = 0;
	assert_true(info(rig, 0).is_up);
	rig_free(rig);
}

/* Each round another name; the slot of a name that left may serve again, but not while a call or a snapshot still holds it. */
static void a_slot_is_reused_only_without_calls(void **state)
{
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);
	uint16_t first = slot(rig, 0);
	char name[16];

	(void)state;
	dest_reserve(rig->pools, 0, first);
	wish(rig, "media/m0", WISH_DISABLED);
	for (unsigned round = 1; round <= 3 * POOL_SNAPSHOTS; round++) {
		if (round == 2 * POOL_SNAPSHOTS)
			dest_release(rig->pools, 0, first);
		snprintf(name, sizeof(name), "n%u", round);
		rig->dest[0].name = sv_from(name);
		rig->conf.gen = round;
		assert_int_equal(pools_adopt(rig->pools, &rig->conf), 0);
		assert_true(round >= 2 * POOL_SNAPSHOTS || slot(rig, 0) != first);
		if (slot(rig, 0) == first)
			break;
	}
	assert_int_equal(slot(rig, 0), first);
	assert_int_equal(info(rig, 0).wish, WISH_IN_SERVICE); /* nothing of the former name is left */
	assert_int_equal(info(rig, 0).calls, 0);
	rig_free(rig);
}

/* A worker may still be picking by the old snapshot: its slots go to nobody else. */
static void a_slot_is_not_reused_while_a_snapshot_names_it(void **state)
{
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);
	uint16_t first = slot(rig, 0);

	(void)state;
	for (unsigned gen = 1; gen < POOL_SNAPSHOTS; gen++) {
		rig->dest[0].name = gen % 2 ? SV("x") : SV("y");
		rig->conf.gen = gen;
		assert_int_equal(pools_adopt(rig->pools, &rig->conf), 0);
		assert_int_not_equal(slot(rig, 0), first);
	}
	rig->dest[0].name = SV("z");
	rig->conf.gen = POOL_SNAPSHOTS; /* takes the place of the first */
	assert_int_equal(pools_adopt(rig->pools, &rig->conf), 0);
	assert_int_equal(slot(rig, 0), first);
	rig_free(rig);
}

static void too_many_names_change_nothing(void **state)
{
	struct conf_destination *all = calloc(POOL_DESTINATIONS_MAX, sizeof(*all));
	char (*names)[16] = calloc(POOL_DESTINATIONS_MAX, sizeof(*names));
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);
	uint16_t first = slot(rig, 0);
	struct conf next = rig->conf;

	(void)state;
	assert_non_null(all);
	assert_non_null(names);
	dest_reserve(rig->pools, 0, first);
	for (unsigned i = 0; i < POOL_DESTINATIONS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "x%u", i);
		all[i] = (struct conf_destination){ .name = sv_from(names[i]), .id = i, .weight = 1 };
	}
	next.destinations = all;
	next.n_destinations = POOL_DESTINATIONS_MAX;
	next.gen = 1;
	assert_int_equal(pools_adopt(rig->pools, &next), -ENOSPC);
	assert_int_equal(slot(rig, 0), first);
	next.n_destinations--;
	assert_int_equal(pools_adopt(rig->pools, &next), 0);
	rig_free(rig);
	free(all);
	free(names);
}

/* Threads ------------------------------------------------------------------------------------------------------- */

enum { THREADS = 2, ROUNDS = 20000, HELD = 8 };

struct hammer {
	struct rig *rig;
	unsigned worker;
	_Atomic uint32_t *held, *most; /* held: by destination, over both threads */
};

static void take_note(struct hammer *h, uint32_t destination)
{
	uint32_t now = atomic_fetch_add(&h->held[destination], 1) + 1;

	if (now > atomic_load(h->most))
		atomic_store(h->most, now);
}

static void give_back(struct hammer *h, const struct pick *pick)
{
	atomic_fetch_sub(&h->held[pick->destination], 1);
	dest_release(h->rig->pools, h->worker, pick->slot);
}

/* Takes and gives back calls while reporting and looking; never more at once than max-calls. */
static void *hammer_run(void *arg)
{
	struct hammer *h = arg;
	struct rig *rig = h->rig;
	struct pick held[HELD], pick;
	unsigned n = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct dest_info seen;

		if (n == HELD || (n && i % 3 == 0))
			give_back(h, &held[--n]);
		if (pick_by(rig, h->worker, i, NULL, 0, &pick) == 0) {
			take_note(h, pick.destination);
			held[n++] = pick;
		}
		dest_report(rig->pools, &rig->conf, i % 3, (enum dest_event)(i / 3 % 4), i, "told by a thread");
		dest_info(rig->pools, slot(rig, i % 3), &seen);
	}
	while (n)
		give_back(h, &held[--n]);
	return NULL;
}

static void workers_share_the_pool(void **state)
{
	struct rig *rig = rig_new(3, BALANCE_LEAST_CALLS);
	struct hammer hammer[THREADS];
	pthread_t thread[THREADS];
	_Atomic uint32_t held[3] = { 0 }, most = 0;
	uint64_t calls = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		rig->dest[i].max_calls = 3;
	for (unsigned i = 0; i < THREADS; i++) {
		hammer[i] = (struct hammer){ rig, i, held, &most };
		assert_int_equal(pthread_create(&thread[i], NULL, hammer_run, &hammer[i]), 0);
	}
	for (unsigned i = 0; i < 200; i++)
		wish(rig, "media/m1", i % 2 ? WISH_IN_SERVICE : WISH_DRAINING);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_in_range(most, 1, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(info(rig, i).load, 0);
		calls += info(rig, i).calls;
	}
	assert_true(calls >= ROUNDS / 3);
	for (unsigned i = 0; i < 3; i++) /* and the shared sums agree with the workers': all nine places are free again */
		report(rig, i, CALL_OK, 3);
	for (unsigned i = 0; i < 9; i++)
		assert_true(take(rig) >= 0);
	assert_int_equal(take(rig), -EBUSY);
	rig_free(rig);
}

/* Nothing but picking and giving back: two that see the last place free at once must not both get it. */
static void *scramble(void *arg)
{
	struct hammer *h = arg;

	for (unsigned i = 0; i < 10 * ROUNDS; i++) {
		struct pick pick;

		if (pick_by(h->rig, h->worker, i, NULL, 0, &pick))
			continue;
		take_note(h, pick.destination);
		give_back(h, &pick);
	}
	return NULL;
}

static void the_last_place_is_given_once(void **state)
{
	struct rig *rig = rig_new(1, BALANCE_ROUND_ROBIN);
	_Atomic uint32_t held[1] = { 0 }, most = 0;
	struct hammer hammer[THREADS];
	pthread_t thread[THREADS];

	(void)state;
	rig->dest[0].max_calls = 1;
	for (unsigned i = 0; i < THREADS; i++) {
		hammer[i] = (struct hammer){ rig, i, held, &most };
		assert_int_equal(pthread_create(&thread[i], NULL, scramble, &hammer[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(most, 1);
	rig_free(rig);
}

static void nonsense_is_refused(void **state)
{
	struct pools *p;

	(void)state;
	assert_int_equal(pools_new(&p, 0), -EINVAL);
	assert_int_equal(pools_new(&p, POOL_WORKERS_MAX + 1), -EINVAL);
	assert_int_equal(pools_new(&p, POOL_WORKERS_MAX), 0);
	pools_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_robin_goes_around_evenly),
		cmocka_unit_test(retries_take_no_turn),
		cmocka_unit_test(weights_hold_within_a_percent_and_spread),
		cmocka_unit_test(weights_are_exact_in_every_round),
		cmocka_unit_test(equal_weights_take_strict_turns),
		cmocka_unit_test(weight_zero_gets_no_calls),
		cmocka_unit_test(least_calls_fills_by_weight),
		cmocka_unit_test(least_calls_breaks_ties_in_turn),
		cmocka_unit_test(hash_moves_only_the_share_of_the_removed),
		cmocka_unit_test(hash_respects_weights),
		cmocka_unit_test(hash_depends_on_names_alone),
		cmocka_unit_test(max_calls_is_a_bound),
		cmocka_unit_test(a_restored_call_goes_beyond_every_bound),
		cmocka_unit_test(load_never_falls_below_zero),
		cmocka_unit_test(a_tried_destination_is_not_tried_again),
		cmocka_unit_test(draining_and_disabled_get_no_calls),
		cmocka_unit_test(an_unknown_name_gets_the_nearest),
		cmocka_unit_test(a_reload_keeps_what_has_the_same_name),
		cmocka_unit_test(an_unknown_snapshot_has_no_slots),
		cmocka_unit_test(a_slot_is_reused_only_without_calls),
		cmocka_unit_test(a_slot_is_not_reused_while_a_snapshot_names_it),
		cmocka_unit_test(too_many_names_change_nothing),
		cmocka_unit_test(workers_share_the_pool),
		cmocka_unit_test(the_last_place_is_given_once),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
