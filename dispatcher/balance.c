/* dispatcher/balance.c - whose turn it is among the destinations that may be used: pure functions of them and a turn
 * number or key. */
#include "dispatcher/state.h"
#include <math.h>

enum {
	LATENCY_LOAD_FLOOR = 8,                    /* calls more or less that make no difference to an idle server */
	LATENCY_EQUAL_PERCENT = 125,               /* costs that differ by less are the same */
};

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

static unsigned choose_exactly(const struct candidate *c, unsigned n, uint64_t turn)
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

/* While weights change from turn to turn there are no periods: points of the golden ratio fall evenly at any time. */
static unsigned choose_evenly(const struct candidate *c, unsigned n, uint64_t turn)
{
	uint64_t total = 0, at;
	unsigned i;

	for (i = 0; i < n; i++)
		total += c[i].weight;
	at = (turn * UINT64_C(0x9e3779b97f4a7c15) >> 32) * total >> 32;
	for (i = 0; i < n - 1 && at >= c[i].weight; i++)
		at -= c[i].weight;
	return i;
}

static unsigned choose_weighted(const struct candidate *c, unsigned n, const struct turn *turn)
{
	return turn->is_starting ? choose_evenly(c, n, turn->number) : choose_exactly(c, n, turn->number);
}

/* Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam): nobody takes more than `bound` percent of what is his share
 * of all calls, this one included. With a bound above 100 there is always one below it. */
static bool is_above_bound(const struct candidate *c, uint64_t calls, uint64_t weights, unsigned bound)
{
	return c->load >= POOL_HASH_FLOOR && (uint64_t)c->load * 100 * weights >= calls * bound * c->weight;
}

/* Weighted rendezvous hashing: the greatest -weight / ln(u) wins, u uniform in (0, 1) by key and name. Taking a destination
 * away moves only its own keys, to all others in proportion to their weights (LESSONS 33). Equal on every node. */
static double score_of(const struct candidate *c, uint64_t key)
{
	double u = ((double)(mix(mix(key) ^ c->seed) >> 11) + 0.5) * 0x1p-53;

	return -(double)c->weight / log(u);
}

static unsigned choose_hash(const struct candidate *c, unsigned n, const struct turn *turn)
{
	uint64_t calls = 1, weights = 0;
	double best_score = -1;
	unsigned best = 0;

	for (unsigned i = 0; i < n && turn->bound; i++) {
		calls += c[i].load;
		weights += c[i].weight;
	}
	for (unsigned i = 0; i < n; i++) {
		double score = turn->bound && is_above_bound(&c[i], calls, weights, turn->bound) ? -1 : score_of(&c[i], turn->key);

		if (score > best_score) {
			best_score = score;
			best = i;
		}
	}
	return best;
}

/* What a call at `c` costs: how long its answers take, squared, since calls last far longer than answers; times how much it has to do. */
static double cost_of(const struct candidate *c)
{
	double latency = (double)c->latency_us + POOL_LATENCY_FLOOR_US;

	return latency * latency * (c->load + LATENCY_LOAD_FLOOR) / c->weight;
}

/* Two are drawn, and the cheaper is likelier by the square of what they differ in. A choice that followed the lowest latency alone would
 * send everybody there until it is the highest; here no share ever jumps, the slower one keeps a few calls that show when it has
 * recovered, and load pulls back before latency does. Costs that are nearly equal are equal. */
static unsigned choose_fast(const struct candidate *c, unsigned n, uint64_t turn)
{
	uint64_t chance = mix(turn ^ UINT64_C(0x6c6174656e6379));
	unsigned a = (unsigned)(chance % n), b;
	double cost_a, cost_b, share;

	if (n == 1)
		return 0;
	b = (unsigned)((a + 1 + (chance >> 16) % (n - 1)) % n);
	cost_a = cost_of(&c[a]);
	cost_b = cost_of(&c[b]);
	if (cost_a * 100 <= cost_b * LATENCY_EQUAL_PERCENT && cost_b * 100 <= cost_a * LATENCY_EQUAL_PERCENT)
		return a;
	share = cost_b * cost_b / (cost_a * cost_a + cost_b * cost_b);
	return (double)(mix(chance) >> 11) * 0x1p-53 < share ? a : b;
}

unsigned balance_choose(uint8_t balance, const struct candidate *c, unsigned n, const struct turn *turn)
{
	switch (balance) {
	case BALANCE_WEIGHTED:
		return choose_weighted(c, n, turn);
	case BALANCE_LEAST_CALLS:
		return choose_least(c, n, turn->number);
	case BALANCE_HASH:
		return choose_hash(c, n, turn);
	case BALANCE_LATENCY:
		return choose_fast(c, n, turn->number);
	default:
		return turn->is_starting ? choose_evenly(c, n, turn->number) : (unsigned)(turn->number % n);
	}
}
