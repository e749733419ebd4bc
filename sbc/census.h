/* sbc/census.h - the calls at destinations, counted by the workers that hold them. Control thread. */
#ifndef SBC_CENSUS_H
#define SBC_CENSUS_H
#include "sbc/ask.h"

/* What `done` gets: rows by slot. */
struct census_answer {
	uint16_t row_of[POOL_DESTINATIONS_MAX];
	unsigned n, n_ages;
	struct census_row *rows;
	struct spans *ages;
};

/* Of a slot: NULL when nobody asked for it; or for its ages. */
const struct census_row *census_row(const struct census_answer *c, uint16_t slot);
const struct spans *census_ages(const struct census_answer *c, uint16_t slot);

/* Asks for these slots, for the ages of the first `n_ages` too. `done` is called once, perhaps before this returns; 0 or -ENOMEM. */
int census_take(struct asker *asker, const uint16_t *slots, unsigned n, unsigned n_ages,
                void (*done)(void *ctx, const struct census_answer *c), void *ctx);

#endif
