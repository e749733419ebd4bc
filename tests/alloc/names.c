/* Each allocation fails in turn while requests wait for the addresses of names: a destination's, and a route's within the dialog. */
#include "tests/alloc/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define NAMED \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:bob.example.net\" }] } }\n" FLOW_ROUTES

static void a_destination_with_a_name(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = NAMED, .workers = 1, .has_names = true }, "call to a name");
}

static void a_route_with_a_name(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = FLOW_ONE, .workers = 1, .has_names = true, .changes = true,
	                                  .answer_extra = "Record-Route: <sip:bob.example.net;lr>\r\n" },
	                "call over a name");
}

static void a_destination_of_another_worker(void **state)
{
	(void)state;
	scene_fail_each(&(struct script){ .yaml = NAMED, .workers = 3, .has_names = true, .callee_hangs_up = true },
	                "call to a name, three workers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destination_with_a_name),
		cmocka_unit_test(a_route_with_a_name),
		cmocka_unit_test(a_destination_of_another_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
