/* tests/unit/base/buf.c */
#include "tests/unit/base/oom.h"
#include "base/buf.c"
#include "base/list.h"
#include "base/poison.h"
#include "tests/unit/base/unit.h"

static void bytes_and_a_readable_pad(void **state)
{
	static const char zero[BUF_PAD];
	struct buf *b = buf_copy(SV("INVITE"));

	(void)state;
	assert_non_null(b);
	assert_true(sv_eq(buf_sv(b), SV("INVITE")));
	assert_memory_equal(b->data + 6, zero, BUF_PAD);
	if (POISON_ON)
		assert_true(is_poisoned(b->data + 6 + BUF_PAD)); /* exact size: nothing behind the pad */
	buf_put(b);
}

static void last_reference_frees(void **state)
{
	SCOPED(buf_putp) struct buf *b = buf_new(0);
	struct buf *volatile second = buf_get(b); /* volatile: gcc takes the put below for the last one */

	(void)state;
	assert_int_equal(b->refs, 2);
	assert_int_equal(b->len, 0);
	buf_put(second);
	assert_int_equal(second->refs, 1);
	buf_put(NULL);
} /* leak checks see the rest */

static void empty_slice(void **state)
{
	struct buf *b = buf_copy((struct sv){ NULL, 0 });

	(void)state;
	assert_int_equal(b->len, 0);
	buf_put(b);
}

static void refusals(void **state)
{
	(void)state;
	oom_in = 1;
	assert_null(buf_new(10));
	oom_in = 1;
	assert_null(buf_copy(SV("x")));
	assert_null(buf_new((size_t)UINT32_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_a_readable_pad), cmocka_unit_test(last_reference_frees),
		cmocka_unit_test(empty_slice),              cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
