/* OpenSSL's memory: of the right size, kept by its thread, given back when nobody uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/heap.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 400, LONGEST = 70000 };

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static size_t size_of(uint64_t *random)
{
	return (size_t)(next_random(random) % (1u << next_random(random) % 17)) + 1;
}

/* All sizes around the classes' bounds: what is written stays, nobody overlaps. */
static void each_size_has_its_room(void **state)
{
	char *p[2];

	(void)state;
	for (size_t size = 1; size < LONGEST; size += size < 300 ? 1 : 97) {
		for (int i = 0; i < 2; i++) {
			assert_non_null(p[i] = heap_alloc(size));
			assert_int_equal((uintptr_t)p[i] % 16, 0);
			memset(p[i], 'a' + i, size);
		}
		assert_true(p[0][0] == 'a' && p[0][size - 1] == 'a');
		assert_true(p[1][0] == 'b' && p[1][size - 1] == 'b');
		heap_free(p[0]);
		heap_free(p[1]);
	}
	heap_free(NULL);
}

static void a_piece_grows_and_shrinks_with_its_bytes(void **state)
{
	uint64_t random = 88172645463325252u;
	size_t len = 1, next;
	char *p = heap_realloc(NULL, 1);

	(void)state;
	p[0] = 0;
	for (int i = 0; i < 5000; i++) {
		next = size_of(&random);
		assert_non_null(p = heap_realloc(p, next));
		for (size_t k = 0; k < len && k < next; k++)
			assert_int_equal((uint8_t)p[k], (uint8_t)k);
		for (size_t k = 0; k < next; k++)
			p[k] = (char)k;
		len = next;
	}
	assert_null(heap_realloc(p, 0));
}

/* Long after many came and went there is no more than before. */
static void what_is_freed_goes_back(void **state)
{
	static void *p[PIECES];
	uint64_t random = 1;

	(void)state;
	heap_trim();
	assert_int_equal(heap_bytes(), 0);
	for (int i = 0; i < PIECES; i++)
		assert_non_null(p[i] = heap_alloc(size_of(&random)));
	assert_true(heap_bytes() > 0);
	for (int i = 0; i < PIECES; i++)
		heap_free(p[i]);
	heap_trim();
	assert_int_equal(heap_bytes(), 0);
}

static void *frees(void *p)
{
	for (void **each = p; *each; each++)
		heap_free(*each);
	return (void *)heap_bytes();
}

/* Another thread's: they find back to where they are from. */
static void what_another_thread_frees_comes_back(void **state)
{
	static void *p[PIECES + 1];
	pthread_t thread;
	void *its;

	(void)state;
	for (int i = 0; i < PIECES; i++)
		assert_non_null(p[i] = heap_alloc(100));
	assert_int_equal(pthread_create(&thread, NULL, frees, p), 0);
	pthread_join(thread, &its);
	assert_null(its);
	assert_true(heap_bytes() > 0);
	heap_trim();
	assert_int_equal(heap_bytes(), 0);
}

static void what_cannot_be_had_is_refused(void **state)
{
	char *p = heap_alloc(10);
	unsigned long refused = heap_refused();

	(void)state;
	assert_null(heap_alloc(SIZE_MAX));
	assert_null(heap_realloc(p, SIZE_MAX - 8));
	assert_int_equal(heap_refused(), refused + 2);
	memset(p, 'x', 10); /* it is still there */
	heap_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_size_has_its_room),
		cmocka_unit_test(a_piece_grows_and_shrinks_with_its_bytes),
		cmocka_unit_test(what_is_freed_goes_back),
		cmocka_unit_test(what_another_thread_frees_comes_back),
		cmocka_unit_test(what_cannot_be_had_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
