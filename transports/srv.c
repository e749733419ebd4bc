#include "transports/srv.h"
#include <limits.h>

static uint64_t draw(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random % below;
}

static unsigned tier_of(const struct found_target *t)
{
	return (unsigned)t->rank << 16 | t->priority;
}

/* Of `among`, a bit each, the first whose weights with those before it come to `mark`. */
static unsigned reach(const struct found *f, unsigned among, uint64_t mark)
{
	unsigned running = 0, last = 0;

	for (; among; among &= among - 1) {
		last = (unsigned)__builtin_ctz(among);
		running += f->target[last].weight;
		if (running >= mark)
			break;
	}
	return last;
}

/* Each of `among` with the same chance. */
static unsigned any_of(unsigned among, uint64_t *random)
{
	for (uint64_t skip = draw(random, (unsigned)__builtin_popcount(among)); skip; skip--)
		among &= among - 1;
	return (unsigned)__builtin_ctz(among);
}

/* RFC 2782: those of weight 0 come first in the list, in any order, so that they have a small chance; a number from 0 to the sum of
 * weights picks the first whose running sum reaches it. When all have weight 0, each has the same chance. */
static unsigned pick(const struct found *f, unsigned left, uint64_t *random)
{
	unsigned best = UINT_MAX, sum = 0, light = 0, heavy = 0;
	uint64_t mark;

	for (unsigned i = 0; i < f->n; i++)
		if (left & 1u << i && tier_of(&f->target[i]) < best)
			best = tier_of(&f->target[i]);
	for (unsigned i = 0; i < f->n; i++) {
		if (!(left & 1u << i) || tier_of(&f->target[i]) != best)
			continue;
		sum += f->target[i].weight;
		*(f->target[i].weight ? &heavy : &light) |= 1u << i;
	}
	mark = draw(random, sum + 1ull);
	return light && mark == 0 ? any_of(light, random) : reach(f, heavy, mark);
}

static void append(const struct found *f, unsigned target, uint8_t tier, uint16_t port, struct resolve_answer *out)
{
	const struct found_target *t = &f->target[target];
	unsigned first = 0;

	for (unsigned i = 0; i < target; i++)
		first += f->target[i].n;
	for (unsigned i = 0; i < t->n && out->n < RESOLVE_ADDRS_MAX; i++) {
		out->addr[out->n] = f->addr[first + i];
		out->addr[out->n].port = t->port ? t->port : port ? port : resolve_default_port(t->transport);
		out->tier[out->n] = tier;
		out->transport[out->n++] = t->transport;
	}
}

void found_order(const struct found *f, uint16_t port, uint64_t *random, struct resolve_answer *out)
{
	unsigned left = (1u << f->n) - 1, last = 0;
	uint8_t tier = 0;

	*out = (struct resolve_answer){ 0 };
	while (left) {
		unsigned i = pick(f, left, random);

		tier += out->n && tier_of(&f->target[i]) != last;
		last = tier_of(&f->target[i]);
		append(f, i, tier, port, out);
		left &= ~(1u << i);
	}
}
