/* Each allocation of a call fails in turn: set-up, re-INVITE and UPDATE, hang-up from either side, a caller who never acknowledges. */
#include "tests/alloc/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void from_invite_to_bye(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_ONE, .workers = 1 }, "call");
}

static void ended_by_the_callee(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_ONE, .workers = 1, .callee_hangs_up = true }, "call ended by the callee");
}

/* Messages go from worker to worker. */
static void with_three_workers(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_ONE, .workers = 3 }, "call with three workers");
}

static void with_reinvite_and_update(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_ONE, .workers = 1, .changes = true }, "call with changes");
}

static void never_acknowledged(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_ONE, .workers = 1, .never_acks = true }, "call without ACK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_invite_to_bye),       cmocka_unit_test(ended_by_the_callee),
		cmocka_unit_test(with_three_workers),       cmocka_unit_test(with_reinvite_and_update),
		cmocka_unit_test(never_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
