/* dispatcher/balance.c - whose turn it is among the destinations that may be used: pure functions of them and a turn
 * number or key. */
#include "dispatcher/state.h"
#include <math.h>

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* Steps of about W / golden ratio that share no factor with W visit all of 0..W-1 once in W turns, far apart from each other:
 * exact weights, spread evenly, from the turn number alone. */
static uint64_t stride_for(uint64_t total)
{
	uint64_t stride = (uint64_t)((double)total * 0.6180339887);

	if (stride < 1)
		stride = 1;
	while (gcd(stride, total) != 1)
		stride++;
	return stride;
}

static unsigned choose_weighted(const struct candidate *c, unsigned n, uint64_t turn)
{
	uint64_t unit = 0, total = 0, at;
	unsigned i;

	for (i = 0; i < n; i++) {
		unit = gcd(c[i].weight, unit);
		total += c[i].weight;
	}
	total /= unit;
	at = (turn % total) * stride_for(total) % total;
	for (i = 0; i < n - 1 && at >= c[i].weight / unit; i++)
		at -= c[i].weight / unit;
	return i;
}

/* Compares load per weight. */
static int compare_load(const struct candidate *a, const struct candidate *b)
{
	uint64_t left = (uint64_t)a->load * b->weight, right = (uint64_t)b->load * a->weight;

	return (left > right) - (left < right);
}

static unsigned choose_least(const struct candidate *c, unsigned n, uint64_t turn)
{
	unsigned best = 0, ties = 0, nth, i;

	for (i = 0; i < n; i++) {
		int order = compare_load(&c[i], &c[best]);

		if (order < 0) {
			best = i;
			ties = 1;
		} else if (order == 0)
			ties++;
	}
	nth = turn % ties;
	for (i = best; nth; i++)
		if (i > best && compare_load(&c[i], &c[best]) == 0 && --nth == 0)
			return i;
	return best;
}

/* The finaliser of MurmurHash3: every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* Weighted rendezvous hashing: the greatest -weight / ln(u) wins, u uniform in (0, 1) by key and name. Taking a destination
 * away moves only its own keys, to all others in proportion to their weights (LESSONS 33). Equal on every node. */
static unsigned choose_hash(const struct candidate *c, unsigned n, uint64_t key)
{
	double best_score = -1;
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++) {
		double u = ((double)(mix(mix(key) ^ c[i].seed) >> 11) + 0.5) * 0x1p-53;
		double score = -(double)c[i].weight / log(u);

		if (score > best_score) {
			best_score = score;
			best = i;
		}
	}
	return best;
}

unsigned balance_choose(uint8_t balance, const struct candidate *c, unsigned n, uint64_t turn, uint64_t key)
{
	switch (balance) {
	case BALANCE_WEIGHTED:
		return choose_weighted(c, n, turn);
	case BALANCE_LEAST_CALLS:
		return choose_least(c, n, turn);
	case BALANCE_HASH:
		return choose_hash(c, n, key);
	default:
		return turn % n;
	}
}
