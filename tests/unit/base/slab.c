/* tests/unit/base/slab.c */
#include "tests/unit/base/oom.h"
#include "base/slab.c"
#include "base/poison.h"
#include "tests/unit/base/unit.h"

enum { SOME = 5000 };

static _Bool is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return 0;
	return 1;
}

/* Random use: objects are zeroed, aligned, apart from each other, and keep their bytes. */
static void objects_keep_to_themselves(void **state)
{
	static const size_t sizes[] = { 1, 8, 24, 100, 520, 4096, 60 * 1024 };
	static char *objects[SOME];
	uint64_t seed = 21;

	(void)state;
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		size_t size = sizes[k], most = size > 1000 ? 40 : SOME;
		struct slab s;

		slab_init(&s, "test", size, 0);
		for (size_t round = 0; round < most * 6; round++) {
			size_t i = any_below(&seed, most);

			if (objects[i]) {
				for (size_t b = 0; b < size; b++)
					assert_int_equal((unsigned char)objects[i][b], i % 251);
				slab_free(&s, objects[i]);
				objects[i] = NULL;
				continue;
			}
			objects[i] = slab_alloc(&s);
			assert_non_null(objects[i]);
			assert_int_equal((uintptr_t)objects[i] % ALIGN, 0);
			assert_true(is_zero(objects[i], size));
			memset(objects[i], (int)(i % 251), size);
		}
		for (size_t i = 0; i < most; i++) {
			slab_free(&s, objects[i]);
			objects[i] = NULL;
		}
		assert_int_equal(s.in_use, 0);
		assert_int_equal(s.pages, 1); /* the one that is kept */
		assert_int_equal(slab_fini(&s), 0);
		assert_int_equal(s.pages, 0);
	}
}

static void pages_come_and_go(void **state)
{
	static void *objects[SOME];
	struct slab s;
	size_t per_page, n;

	(void)state;
	slab_init(&s, "test", 600, 0);
	per_page = s.slots;
	n = per_page * 3;
	for (size_t i = 0; i < n; i++)
		objects[i] = slab_alloc(&s);
	assert_int_equal(s.pages, 3);
	assert_true(list_empty(&s.partial));
	for (size_t i = 0; i < per_page; i++)
		slab_free(&s, objects[i]);
	assert_int_equal(s.pages, 3); /* one empty page stays */
	for (size_t i = per_page; i < 2 * per_page; i++)
		slab_free(&s, objects[i]);
	assert_int_equal(s.pages, 2);
	assert_int_equal(slab_fini(&s), per_page);
}

static void empty_page_is_used_last(void **state)
{
	static void *objects[SOME];
	struct slab s;
	size_t per_page;

	(void)state;
	slab_init(&s, "test", 600, 0);
	per_page = s.slots;
	for (size_t i = 0; i < 2 * per_page; i++)
		objects[i] = slab_alloc(&s);
	slab_free(&s, objects[0]);
	for (size_t i = per_page; i < 2 * per_page; i++)
		slab_free(&s, objects[i]);
	assert_ptr_equal(page_of(slab_alloc(&s)), page_of(objects[1]));
	assert_int_equal(slab_fini(&s), per_page);
}

/* One object made and freed in turn must not map and unmap a page each time. */
static void one_page_is_kept(void **state)
{
	struct slab s;
	void *p, *page;

	(void)state;
	slab_init(&s, "test", 64, 0);
	p = slab_alloc(&s);
	page = page_of(p);
	for (int i = 0; i < 10; i++) {
		slab_free(&s, p);
		slab_free(&s, NULL);
		assert_int_equal(s.pages, 1);
		p = slab_alloc(&s);
		assert_ptr_equal(page_of(p), page);
	}
	slab_free(&s, p);
	assert_int_equal(slab_fini(&s), 0);
}

static void bound_and_refusals(void **state)
{
	struct slab s;
	void *p;

	(void)state;
	slab_init(&s, "test", 64, 2);
	oom_in = 1;
	assert_null(slab_alloc(&s));
	assert_int_equal(s.refused, 1);
	p = slab_alloc(&s);
	assert_non_null(slab_alloc(&s));
	assert_null(slab_alloc(&s));
	assert_int_equal(s.refused, 2);
	slab_free(&s, p);
	assert_non_null(slab_alloc(&s));
	assert_int_equal(slab_fini(&s), 2); /* counted: two are left */
}

/* The kernel may answer with an address that is not a multiple of the page: a wider mapping is trimmed. */
static void odd_mappings(void **state)
{
	struct slab s;
	char *p;

	(void)state;
	if (POISON_ON)
		skip(); /* pages come from the heap there */
	slab_init(&s, "test", 64, 0);
	mmap_is_odd = true;
	p = slab_alloc(&s);
	assert_non_null(p);
	assert_false(mmap_is_odd);
	memset(page_of(p) + 1, 1, SLAB_PAGE - sizeof(struct page)); /* all of it is ours */
	assert_int_equal(slab_fini(&s), 1);
	mmap_is_odd = true;
	oom_in = 2;
	assert_null(slab_alloc(&s));
	assert_int_equal(s.refused, 1);
}

static void poison_around_objects(void **state)
{
	struct slab s;
	char *p, *q;

	(void)state;
	if (!POISON_ON)
		skip();
	slab_init(&s, "test", 20, 0);
	p = slab_alloc(&s);
	q = slab_alloc(&s);
	assert_false(is_poisoned(p + 19));
	assert_true(is_poisoned(p + 20));
	assert_true(is_poisoned(q - 1));
	assert_true(is_poisoned(q + 20)); /* never handed out */
	slab_free(&s, p);
	assert_true(is_poisoned(p));
	assert_ptr_not_equal(slab_alloc(&s), NULL);
	slab_fini(&s);
	slab_init(&s, "tiny", 1, 0);
	p = slab_alloc(&s);
	slab_free(&s, p);
	p = slab_alloc(&s);
	assert_false(is_poisoned(p));
	assert_true(is_poisoned(p + 1));
	slab_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_keep_to_themselves), cmocka_unit_test(pages_come_and_go),
		cmocka_unit_test(empty_page_is_used_last),    cmocka_unit_test(one_page_is_kept),
		cmocka_unit_test(bound_and_refusals),
		cmocka_unit_test(odd_mappings),               cmocka_unit_test(poison_around_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
