/* base/nearest.h - which known word was meant by a mistyped one. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H
#include "base/sv.h"

enum { NEAREST_WORD_MAX = 160 }; /* longer words are near to nothing */

struct nearest {
	struct sv word, best; /* best: empty while no offer was near enough */
	unsigned distance;
};

/* A third of the word may differ; to a word of one or two letters nothing is near. */
void nearest_init(struct nearest *n, struct sv word);
void nearest_offer(struct nearest *n, struct sv known);

#endif
