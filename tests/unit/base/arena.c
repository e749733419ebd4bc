/* tests/unit/base/arena.c */
#include "tests/unit/base/oom.h"
#include "base/arena.c"
#include "base/poison.h"
#include "tests/unit/base/unit.h"

static void first_chunk_then_malloc(void **state)
{
	_Alignas(16) char first[512];
	struct arena a;
	char *p;

	(void)state;
	arena_init(&a, first, sizeof(first), 0);
	p = arena_alloc(&a, 100);
	assert_in_range((uintptr_t)p, (uintptr_t)first, (uintptr_t)first + sizeof(first) - 100);
	assert_null(a.more);
	p = arena_alloc(&a, 500);
	assert_non_null(a.more);
	memset(p, 1, 500);
	p = arena_alloc(&a, 100000); /* bigger than any usual chunk */
	memset(p, 1, 100000);
	arena_reset(&a);
	assert_null(a.more);
	assert_ptr_equal(arena_alloc(&a, 1), first);
	arena_reset(&a);
}

/* Random sizes: aligned, apart from each other, contents kept until the reset. */
static void pieces_keep_to_themselves(void **state)
{
	static char *pieces[400];
	static size_t sizes[400];
	char first[1001];
	uint64_t seed = 31;
	struct arena a;

	(void)state;
	arena_init(&a, first + 1, sizeof(first) - 1, 0); /* not aligned */
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < COUNT_OF(pieces); i++) {
			sizes[i] = any_below(&seed, any_below(&seed, 10) ? 60 : 9000);
			pieces[i] = arena_alloc(&a, sizes[i]);
			assert_non_null(pieces[i]);
			assert_int_equal((uintptr_t)pieces[i] % 16, 0);
			assert_true(i == 0 || pieces[i] != pieces[i - 1]);
			memset(pieces[i], (int)(i % 251), sizes[i]);
		}
		for (size_t i = 0; i < COUNT_OF(pieces); i++)
			for (size_t b = 0; b < sizes[i]; b++)
				assert_int_equal((unsigned char)pieces[i][b], i % 251);
		arena_reset(&a);
		assert_int_equal(a.bytes, 0);
	}
}

static void chunks_grow_to_a_bound(void **state)
{
	struct arena a;
	size_t chunks = 0;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	for (int i = 0; i < 1024; i++)
		assert_non_null(arena_alloc(&a, 1024));
	for (struct arena_chunk *c = a.more; c; c = c->older, chunks++)
		assert_true(c->size <= CHUNK_MAX);
	assert_in_range(chunks, 16, 25); /* 1 MiB: few mallocs, none of them huge */
	arena_reset(&a);
}

static void limit(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 1000);
	assert_non_null(arena_alloc(&a, 600));
	assert_null(arena_alloc(&a, 401));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));
	assert_non_null(arena_alloc(&a, 400));
	assert_null(arena_alloc(&a, 1));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 1000));
	arena_reset(&a);
}

/* Nothing is free: a million empty pieces meet the limit too. */
static void empty_pieces_count(void **state)
{
	struct arena a;
	int n = 0;

	(void)state;
	arena_init(&a, NULL, 0, 100);
	while (n < 1000 && arena_alloc(&a, 0))
		n++;
	assert_int_equal(n, 100);
	arena_reset(&a);
}

static void copies(void **state)
{
	char first[256];
	struct arena a;
	struct sv v;

	(void)state;
	arena_init(&a, first, sizeof(first), 0);
	v = arena_dup(&a, SV("sip:alice@example.com"));
	assert_true(sv_eq(v, SV("sip:alice@example.com")));
	assert_int_equal(v.p[v.len], 0);
	v = arena_dup(&a, (struct sv){ NULL, 0 });
	assert_non_null(v.p);
	assert_int_equal(v.p[0], 0);
	arena_reset(&a);
}

static void out_of_memory(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, NULL, 0, 0);
	oom_in = 1;
	assert_null(arena_alloc(&a, 10));
	assert_int_equal(a.bytes, 0);
	oom_in = 1;
	assert_null(arena_dup(&a, SV("x")).p);
	assert_null(arena_dup(&a, (struct sv){ "x", SIZE_MAX }).p);
	assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
	assert_non_null(arena_alloc(&a, 10));
	arena_reset(&a);
}

static void poison_around_pieces(void **state)
{
	_Alignas(16) char first[256] = { 0 };
	struct arena a;
	char *p, *q;

	(void)state;
	if (!POISON_ON)
		skip();
	arena_init(&a, first, sizeof(first), 0);
	p = arena_alloc(&a, 20);
	q = arena_alloc(&a, 32);
	assert_false(is_poisoned(p + 19));
	assert_true(is_poisoned(p + 20));
	assert_true(is_poisoned(q + 32));
	assert_true(is_poisoned(first + 255));
	q = arena_alloc(&a, 300); /* a chunk of its own */
	assert_true(is_poisoned(q + 300));
	arena_reset(&a);
	assert_false(is_poisoned(first + 255)); /* the lender may use it again */
	p = arena_alloc(&a, 16);
	assert_true(is_poisoned(p + 16));
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_chunk_then_malloc), cmocka_unit_test(pieces_keep_to_themselves),
		cmocka_unit_test(chunks_grow_to_a_bound),  cmocka_unit_test(limit),
		cmocka_unit_test(empty_pieces_count),      cmocka_unit_test(copies),
		cmocka_unit_test(out_of_memory),           cmocka_unit_test(poison_around_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
