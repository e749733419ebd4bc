/* The games of tests/flow/game.h with memory that runs out at any step. `alloc-enemy FIRST COUNT [STEPS]` plays others. */
#include "tests/alloc/oom.h"
#include "tests/flow/game.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { GAMES = 16, STEPS = 300 };

static unsigned long n_failed; /* steps in which an allocation failed */

static void memory(bool is_tight, unsigned first, unsigned more)
{
	if (!is_tight)
		n_failed += oom_disarm();
	else
		oom_arm(first, more);
}

static const struct game_rules rules = { .memory = memory };

static void games(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= GAMES; seed++)
		game_play(&rules, seed, STEPS);
	assert_true(n_failed > GAMES * STEPS / 20);
	game_play(&rules, 1948, STEPS); /* a message that is garbled twice, and refused for its version */
}

static int play_others(int argc, char **argv)
{
	uint64_t first = strtoull(argv[1], NULL, 0), n = strtoull(argv[2], NULL, 0);

	for (uint64_t seed = first; seed < first + n; seed++) {
		fprintf(stderr, "seed %lu\n", (unsigned long)seed);
		game_play(&rules, seed, argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : STEPS);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(games) };

	return argc > 2 ? play_others(argc, argv) : cmocka_run_group_tests(tests, NULL, NULL);
}
