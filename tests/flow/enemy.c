/* Some games against an enemy (game.h). `flow-enemy FIRST COUNT [STEPS]` plays others. */
#include "tests/flow/game.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { GAMES = 20, STEPS = 300 };

static const struct game_rules rules = { .memory = NULL };

static void games(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= GAMES; seed++)
		game_play(&rules, seed, STEPS);
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
