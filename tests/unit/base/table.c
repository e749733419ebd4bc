/* tests/unit/base/table.c */
#include "tests/unit/base/oom.h"
#include "base/table.c"
#include "tests/unit/base/unit.h"
#include <time.h>

enum { ITEMS = 3000 };

struct item {
	struct link link;
	uint64_t key;
	_Bool is_in;
	unsigned seen;
};

struct rig {
	struct table table;
	struct item items[ITEMS];
	size_t in;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	return rig ? table_init(&rig->table, 0) : -1;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	table_fini(&rig->table);
	free(rig);
	return 0;
}

static void put_in(struct rig *rig, struct item *item, uint64_t key)
{
	assert_int_equal(table_add(&rig->table, &item->link, key), 0);
	item->key = key;
	item->is_in = 1;
	rig->in++;
}

static void take_out(struct rig *rig, struct item *item)
{
	table_del(&rig->table, &item->link);
	item->is_in = 0;
	rig->in--;
}

static _Bool mark(void *ctx, struct link *l)
{
	(void)ctx;
	((struct item *)l)->seen++;
	return 1;
}

/* Everything that is in is seen once by each way to look. */
static void check_all(struct rig *rig)
{
	struct table *t = &rig->table;

	assert_int_equal(t->count, rig->in);
	table_each(t, mark, NULL);
	for (struct item *item = rig->items; item < rig->items + ITEMS; item++) {
		unsigned hits = 0;

		assert_int_equal(item->seen, item->is_in);
		item->seen = 0;
		for (struct link *l = table_find(t, item->key); l; l = table_next(t, l)) {
			assert_true(l->key == item->key);
			hits += l == &item->link;
		}
		assert_int_equal(hits, item->is_in);
	}
}

/* 64-bit keys in general; a tenth of them from a space so small that many entries share one. */
static uint64_t some_key(uint64_t *seed)
{
	return any_below(seed, 10) ? any(seed) : any_below(seed, 40) * 0x9e3779b97f4a7c15;
}

static void agrees_with_a_model(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 5;

	for (int phase = 0; phase < 12; phase++) {
		unsigned wanted = phase % 2 ? 3 : 97; /* percent that are in: grow, then shrink */

		for (int i = 0; i < 6000; i++) {
			struct item *item = &rig->items[any_below(&seed, ITEMS)];
			_Bool want_in = any_below(&seed, 100) < wanted;

			if (want_in && !item->is_in)
				put_in(rig, item, some_key(&seed));
			else if (!want_in && item->is_in)
				take_out(rig, item);
			if (i % 500 == 0)
				check_all(rig);
		}
		check_all(rig);
	}
}

static void size_follows_the_count(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 9;

	for (size_t i = 0; i < ITEMS; i++)
		put_in(rig, &rig->items[i], any(&seed));
	assert_in_range(rig->table.cur_mask + 1, ITEMS / 2, ITEMS * 2);
	for (size_t i = 0; i < ITEMS; i++)
		take_out(rig, &rig->items[i]);
	for (size_t i = 0; i < 4 * ITEMS; i++) { /* each operation may only do a little of the work */
		put_in(rig, &rig->items[0], any(&seed));
		take_out(rig, &rig->items[0]);
	}
	assert_int_equal(rig->table.cur_mask + 1, FEWEST);
	assert_null(rig->table.old);
	check_all(rig);
}

/* Also while buckets are being moved, and when there is no memory for a smaller table. */
static void nobody_left_takes_no_room(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 17;

	for (size_t n = 1; n < ITEMS; n += 13) {
		for (size_t i = 0; i < n; i++)
			put_in(rig, &rig->items[i], any(&seed));
		for (size_t i = 0; i < n; i++)
			take_out(rig, &rig->items[i]);
		assert_int_equal(rig->table.cur_mask + 1, FEWEST);
		assert_null(rig->table.old);
	}
	for (size_t i = 0; i < 100; i++)
		put_in(rig, &rig->items[i], any(&seed));
	for (size_t i = 0; i < 100; i++) {
		oom_in = 1;
		take_out(rig, &rig->items[i]);
	}
	assert_true(rig->table.cur_mask + 1 > FEWEST);
	for (size_t i = 0; i < 100; i++)
		put_in(rig, &rig->items[i], any(&seed));
	check_all(rig);
	oom_in = 0;
}

/* A move of buckets must not make a walk over one key miss or repeat entries that are deleted on the way. */
static void walk_and_delete_one_key(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 11;

	for (size_t others = 0; others < 1400; others += 7) {
		struct link *l, *next;
		unsigned seen = 0;

		for (size_t i = 0; i < others; i++)
			put_in(rig, &rig->items[i], any(&seed));
		for (size_t i = 1500; i < 1520; i++)
			put_in(rig, &rig->items[i], 42);
		for (l = table_find(&rig->table, 42); l; l = next, seen++) {
			next = table_next(&rig->table, l);
			take_out(rig, (struct item *)l);
		}
		assert_int_equal(seen, 20);
		for (size_t i = 0; i < others; i++)
			take_out(rig, &rig->items[i]);
	}
	check_all(rig);
}

/* Growing to ITEMS moves 4,080 old buckets in all: never more than 8 by one operation. */
static void no_operation_moves_much(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 13;
	unsigned moving = 0;

	for (size_t i = 0; i < ITEMS; i++) {
		put_in(rig, &rig->items[i], any(&seed));
		moving += rig->table.old != NULL;
	}
	assert_int_equal(rig->table.cur_mask + 1, 4096);
	assert_in_range(moving, 4080 / 8, ITEMS);
}

/* All entries of one key are moved by one operation: that takes as many steps as there are. With the square of them it would take minutes
 * for what one connection can register. */
static void one_key_of_many_moves_at_once(void **state)
{
	enum { SAME = 60000, SECONDS_MAX = 1 };
	struct link *links = calloc(2 * SAME, sizeof(*links));
	struct rig *rig = *state;
	struct link *first;
	clock_t begin = clock();
	size_t n = 0;

	assert_non_null(links);
	for (size_t i = 0; i < SAME; i++)
		assert_int_equal(table_add(&rig->table, &links[i], 5), 0);
	for (size_t i = 0; i < SAME; i++)
		assert_int_equal(table_add(&rig->table, &links[SAME + i], i * UINT64_C(0x9e3779b97f4a7c15) | 8), 0);
	first = table_find(&rig->table, 5);
	for (struct link *l = first; l; l = table_next(&rig->table, l))
		assert_ptr_equal(l, &links[SAME - ++n]); /* in their order */
	assert_int_equal(n, SAME);
	assert_in_range((clock() - begin) / CLOCKS_PER_SEC, 0, SECONDS_MAX - 1);
	free(links);
}

static _Bool stop_at_once(void *ctx, struct link *l)
{
	(void)l;
	++*(unsigned *)ctx;
	return 0;
}

static void each_stops(void **state)
{
	struct rig *rig = *state;
	unsigned calls = 0;

	for (size_t i = 0; i < 20; i++) /* 17 start a growth: entries in both arrays */
		put_in(rig, &rig->items[i], i);
	table_each(&rig->table, stop_at_once, &calls);
	assert_int_equal(calls, 1);
}

static void bound(void **state)
{
	struct table t;
	struct link l[3];

	(void)state;
	assert_int_equal(table_init(&t, 2), 0);
	assert_int_equal(table_add(&t, &l[0], 1), 0);
	assert_int_equal(table_add(&t, &l[1], 1), 0);
	assert_int_equal(table_add(&t, &l[2], 1), -ENOSPC);
	assert_int_equal(t.refused, 1);
	assert_int_equal(t.count, 2);
	table_del(&t, &l[0]);
	table_del(&t, &l[0]); /* not in any more: nothing happens */
	assert_int_equal(t.count, 1);
	assert_int_equal(table_add(&t, &l[2], 1), 0);
	table_fini(&t);
}

static void growth_without_memory(void **state)
{
	struct rig *rig = *state;
	struct table t;
	uint64_t seed = 15;

	oom_in = 1;
	assert_int_equal(table_init(&t, 0), -ENOMEM);
	for (size_t i = 0; i < 200; i++) {
		oom_in = 1;
		put_in(rig, &rig->items[i], any(&seed));
	}
	assert_int_equal(rig->table.cur_mask + 1, FEWEST);
	check_all(rig);
	oom_in = 0;
	for (size_t i = 200; i < 400; i++)
		put_in(rig, &rig->items[i], any(&seed));
	assert_true(rig->table.cur_mask + 1 > FEWEST);
	check_all(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(agrees_with_a_model, setup, teardown),
		cmocka_unit_test_setup_teardown(size_follows_the_count, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_left_takes_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(walk_and_delete_one_key, setup, teardown),
		cmocka_unit_test_setup_teardown(no_operation_moves_much, setup, teardown),
		cmocka_unit_test_setup_teardown(one_key_of_many_moves_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(each_stops, setup, teardown),
		cmocka_unit_test(bound),
		cmocka_unit_test_setup_teardown(growth_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
