/* Which address a probe goes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sbc/aim.h"

static struct resolve_answer three(uint8_t a, uint8_t b, uint8_t c)
{
	return (struct resolve_answer){ .n = 3, .addr = { { .family = 4, .ip = { a } }, { .family = 4, .ip = { b } }, { .family = 4, .ip = { c } } } };
}

static void another_one_until_one_answers(void **state)
{
	struct resolve_answer a = three(1, 2, 3);
	struct aim aim = { 0 };

	(void)state;
	assert_int_equal(aim_choose(&aim, &a), 0);
	assert_int_equal(aim_choose(&aim, &a), 1);
	aim_answered(&aim, &a.addr[0]); /* late, of the one before */
	assert_int_equal(aim_choose(&aim, &a), 2);
	aim_answered(&aim, &a.addr[2]);
	assert_int_equal(aim_choose(&aim, &a), 2);
	aim_answered(&aim, &a.addr[2]);
	a = three(3, 1, 2); /* chance has shuffled them */
	assert_int_equal(aim_choose(&aim, &a), 0);
	assert_int_equal(aim_choose(&aim, &a), 1); /* it did not answer any more */
}

static void what_is_gone_is_not_looked_for(void **state)
{
	struct resolve_answer a = three(1, 2, 3);
	struct aim aim = { 0 };

	(void)state;
	assert_int_equal(aim_choose(&aim, &a), 0);
	aim_answered(&aim, &a.addr[0]);
	a = three(7, 8, 9);
	assert_int_equal(aim_choose(&aim, &a), 0);
	a.n = 1;
	assert_int_equal(aim_choose(&aim, &a), 0); /* the only one */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_one_until_one_answers),
		cmocka_unit_test(what_is_gone_is_not_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
