/* What `sbcctl sticky` lists of many keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sbc/sticks.c"

static void no_more_rows_than_the_note_says(void **state)
{
	const struct sticky_info key = { .text = SV("alice"), .pool = SV("apps"), .destination = SV("bob") };
	struct stick_part part = { 0 };

	(void)state;
	for (unsigned i = 0; i < STICKS_ROWS_MAX; i++)
		assert_true(add_row(&part, &key));
	assert_false(part.is_cut); /* all there are */
	assert_false(add_row(&part, &key));
	assert_true(part.is_cut);
	assert_int_equal(part.n, STICKS_ROWS_MAX);
	assert_string_equal(part.rows[STICKS_ROWS_MAX - 1].destination, "apps/bob");
	free(part.rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_more_rows_than_the_note_says) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
