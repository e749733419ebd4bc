/* Blocks of every size are apart from each other, and all memory goes back. */
#include "base/blocks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { SIZES = 2100 };

static void every_size_has_its_own_bytes(void **state)
{
	struct blocks b;
	unsigned char *p[SIZES];

	(void)state;
	blocks_init(&b);
	for (size_t size = 0; size < SIZES; size++) {
		p[size] = blocks_alloc(&b, size);
		assert_non_null(p[size]);
		memset(p[size], (int)(size % 251), size);
	}
	for (size_t size = 0; size < SIZES; size++)
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[size][i], size % 251);
	for (size_t size = 0; size < SIZES; size++)
		blocks_free(&b, p[size], size);
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		assert_int_equal(b.of[i].in_use, 0);
	blocks_fini(&b);
}

static void sizes_share_a_class_by_steps(void **state)
{
	struct blocks b;

	(void)state;
	blocks_init(&b);
	void *small = blocks_alloc(&b, 1), *same = blocks_alloc(&b, BLOCKS_FINE_STEP), *next = blocks_alloc(&b, BLOCKS_FINE_STEP + 1);

	assert_int_equal(b.of[0].in_use, 2);
	assert_int_equal(b.of[1].in_use, 1);
	assert_ptr_equal(blocks_slab(&b, BLOCKS_FINE_MAX), &b.of[BLOCKS_FINE - 1]);
	assert_ptr_equal(blocks_slab(&b, BLOCKS_FINE_MAX + 1), &b.of[BLOCKS_FINE]);
	assert_ptr_equal(blocks_slab(&b, BLOCKS_SLAB_MAX), &b.of[BLOCKS_CLASSES - 1]);
	assert_null(blocks_slab(&b, BLOCKS_SLAB_MAX + 1));
	blocks_free(&b, small, 1);
	blocks_free(&b, same, BLOCKS_FINE_STEP);
	blocks_free(&b, next, BLOCKS_FINE_STEP + 1);
	blocks_free(&b, NULL, 5);
	blocks_fini(&b);
}

static void trimming_gives_the_last_page_back(void **state)
{
	struct blocks b;

	(void)state;
	blocks_init(&b);
	blocks_free(&b, blocks_alloc(&b, 100), 100);
	assert_int_equal(blocks_slab(&b, 100)->pages, 1);
	blocks_trim(&b);
	assert_int_equal(blocks_slab(&b, 100)->pages, 0);
	blocks_trim(&b);
	blocks_free(&b, blocks_alloc(&b, 100), 100);
	blocks_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_has_its_own_bytes),
		cmocka_unit_test(sizes_share_a_class_by_steps),
		cmocka_unit_test(trimming_gives_the_last_page_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
