/* Each allocation fails in turn while a client in a call registers elsewhere, and while its request from elsewhere is looked into: it may
 * stay where it was, nothing worse. */
#include "tests/alloc/oom.h"
#include "tests/flow/roam.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { WORKERS = 3, MORE = 2, NEAR_AND_FAR = 2 };

static void registers_elsewhere(struct client *c)
{
	registers(c, TRAIN, EDGE, false);
}

/* As a phone that could not say that it is the same one. */
static void asks_from_elsewhere(struct client *c)
{
	c->at = TRAIN;
	she_says(c, "INFO", NULL);
	rig_after(c->rig, 1);
}

static void nothing(struct client *c)
{
	(void)c;
}

static void also_registers_elsewhere(struct client *c)
{
	c->contact = "sip:alice@10.20.30.40:5060";
	registers(c, TRAIN, EDGE, true);
}


static bool run(void (*prepare)(struct client *c), void (*act)(struct client *c), bool is_callee, unsigned long first, unsigned long more)
{
	struct client c;
	bool failed;

	roam_begin(&c, WORKERS, NULL);
	c.params = "";
	registers(&c, HOTEL, EDGE, true);
	if (is_callee)
		is_called(&c);
	else
		calls(&c);
	prepare(&c);
	oom_arm(first, more);
	act(&c);
	failed = oom_disarm();
	rig_after(c.rig, 40000);
	rig_forget(c.rig, BOB);
	he_says(&c, "BYE");
	rig_after(c.rig, 40000);
	rig_forget(c.rig, BOB);
	roam_end(&c);
	return failed;
}

static void each_in_turn(const char *what, void (*prepare)(struct client *c), void (*act)(struct client *c))
{
	for (unsigned side = 0; side < NEAR_AND_FAR; side++) {
		for (unsigned long more = 0; more <= MORE; more += MORE) {
			unsigned long n = 1;

			while (run(prepare, act, side, n, more))
				n++;
			printf("%s: %lu allocations\n", what, n - 1);
			assert_true(n > 1);
		}
	}
}

static void news_of_a_binding(void **state)
{
	(void)state;
	each_in_turn("news of a binding", nothing, registers_elsewhere);
}

static void a_question_about_a_flow(void **state)
{
	(void)state;
	each_in_turn("question about a flow", also_registers_elsewhere, asks_from_elsewhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(news_of_a_binding),
		cmocka_unit_test(a_question_about_a_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
