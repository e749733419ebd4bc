#include "nat/learn.h"
#include <errno.h>
#include <stdlib.h>

/* Few intervals, so that many contacts share one. */
static const uint16_t ladder_s[] = { 2, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300, 420, 600 };
enum { RUNGS = sizeof(ladder_s) / sizeof(ladder_s[0]) };

struct network {
	uint32_t name;         /* half its hash */
	uint32_t every_ms;     /* 0: nothing is known */
	uint32_t too_long_ms;  /* 0: none was */
	uint16_t answers;
};
_Static_assert(sizeof(struct network) == 16, "as learn.h says");

struct learner {
	struct hash_key key;
	struct network places[LEARN_PLACES];
};

int learner_new(struct learner **out, const struct hash_key *key)
{
	struct learner *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->key = *key;
	*out = l;
	return 0;
}

void learner_free(struct learner *l)
{
	free(l);
}

static uint64_t hash_of(const struct learner *l, const struct addr *a)
{
	return hash_bytes(&l->key, a->ip, a->family == 6 ? 8 : 3);
}

static uint32_t bounded(uint32_t every_ms, const struct learn_terms *t)
{
	return every_ms < t->min_ms ? t->min_ms : every_ms > t->max_ms ? t->max_ms : every_ms;
}

static uint32_t every_of(const struct network *n, uint64_t hash, const struct learn_terms *t)
{
	return n->name == hash >> 32 && n->every_ms ? bounded(n->every_ms, t) : t->every_ms;
}

uint32_t learn_every(const struct learner *l, const struct addr *a, const struct learn_terms *t)
{
	uint64_t hash = hash_of(l, a);

	return every_of(&l->places[hash % LEARN_PLACES], hash, t);
}

/* Its place, whoever had it before. */
static struct network *network_at(struct learner *l, const struct addr *a, const struct learn_terms *t)
{
	uint64_t hash = hash_of(l, a);
	struct network *n = &l->places[hash % LEARN_PLACES];
	uint32_t every_ms = every_of(n, hash, t);

	if (n->name != hash >> 32 || !n->every_ms)
		*n = (struct network){ .name = (uint32_t)(hash >> 32) };
	n->every_ms = every_ms;
	return n;
}

static uint32_t longer(uint32_t every_ms)
{
	for (unsigned i = 0; i < RUNGS; i++)
		if (ladder_s[i] * 1000u > every_ms)
			return ladder_s[i] * 1000u;
	return every_ms;
}

static uint32_t shorter(uint32_t every_ms)
{
	for (unsigned i = RUNGS; i-- > 0;)
		if (ladder_s[i] * 1000u < every_ms)
			return ladder_s[i] * 1000u;
	return every_ms;
}

void learn_kept(struct learner *l, const struct addr *a, const struct learn_terms *t)
{
	struct network *n = network_at(l, a, t);
	uint32_t next;

	if (++n->answers < LEARN_ANSWERS)
		return;
	n->answers = 0;
	next = bounded(longer(n->every_ms), t);
	if (!n->too_long_ms || next < n->too_long_ms)
		n->every_ms = next;
}

void learn_lost(struct learner *l, const struct addr *a, const struct learn_terms *t)
{
	struct network *n = network_at(l, a, t);

	n->answers = 0;
	n->every_ms = bounded(shorter(n->every_ms), t);
}

void learn_moved(struct learner *l, const struct addr *a, const struct learn_terms *t)
{
	struct network *n = network_at(l, a, t);

	if (!n->too_long_ms || n->every_ms < n->too_long_ms)
		n->too_long_ms = n->every_ms;
	learn_lost(l, a, t);
}
