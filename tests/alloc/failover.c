/* Each allocation of a failover fails in turn. */
#include "tests/alloc/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void from_a_silent_destination(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_TWO, .workers = 1, .is_first_silent = true }, "failover after silence");
}

static void from_a_busy_destination(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_TWO, .workers = 1, .is_first_busy = true }, "failover after 503");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_a_silent_destination),
		cmocka_unit_test(from_a_busy_destination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
