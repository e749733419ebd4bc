/* tests/flow/game.h - both ends of everything are played by one enemy who knows every identifier and has no manners: he begins whatever
 * there is, answers anything with anything, takes up dialogs from messages he has seen, says old things again, and lets time pass. What
 * leaves the node is sound all the same, and when he stops and the calls are hung up, nothing is left. One seed is one game. */
#ifndef TESTS_FLOW_GAME_H
#define TESTS_FLOW_GAME_H
#include "tests/flow/flow.h"

struct game_rules {
	/* Called before a step and behind it, when set: memory is to run out at the `first` allocation and `more` that follow. */
	void (*memory)(bool is_tight, unsigned first, unsigned more);
};

/* Fails the test when something is left or was not sound. */
void game_play(const struct game_rules *rules, uint64_t seed, unsigned steps);

#endif
