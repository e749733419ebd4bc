/* dispatcher/pool.c - the slots of all destinations, and their load. */
#include "dispatcher/state.h"
#include "base/hash.h"
#include <errno.h>
#include <stdlib.h>

int pools_new(struct pools **out, unsigned workers)
{
	size_t size;
	struct pools *p;

	if (workers < 1 || workers > POOL_WORKERS_MAX)
		return -EINVAL;
	size = sizeof(*p) + workers * sizeof(p->tally[0]);
	p = aligned_alloc(CACHE_LINE, size); /* a multiple of CACHE_LINE, as are its parts */
	if (!p)
		return -ENOMEM;
	memset(p, 0, size);
	p->ended = calloc(POOL_DESTINATIONS_MAX, sizeof(*p->ended));
	p->trunks = calloc(CONF_TRUNKS_MAX, sizeof(*p->trunks));
	if (!p->ended || !p->trunks) {
		pools_free(p);
		return -ENOMEM;
	}
	p->workers = workers;
	*out = p;
	return 0;
}

void pools_free(struct pools *p)
{
	if (!p)
		return;
	free(p->ended);
	free(p->trunks);
	free(p);
}

/* Slots --------------------------------------------------------------------------------------------------------- */

const struct map *pools_map(const struct pools *p, const struct conf *c)
{
	const struct map *m = &p->map[c->gen % POOL_SNAPSHOTS];

	return m->gen_plus_1 == c->gen + 1 ? m : NULL;
}

uint16_t pools_slot(const struct pools *p, const struct conf *c, uint32_t destination_id)
{
	const struct map *m = pools_map(p, c);

	return m && destination_id < c->n_destinations ? m->of[destination_id].slot : POOL_NO_SLOT;
}

bool pools_destination(const struct pools *p, const struct conf *c, uint16_t slot, uint32_t *destination_id)
{
	if (slot == POOL_NO_SLOT)
		return false;
	for (uint32_t i = 0; i < c->n_destinations; i++)
		if (pools_slot(p, c, i) == slot) {
			*destination_id = i;
			return true;
		}
	return false;
}

/* A fixed key: both nodes of a pair, and every process, must choose alike. Never 0. */
static uint64_t name_seed(struct sv pool, struct sv name)
{
	static const struct hash_key key = { 0x6469737061746368ull, 0x64657374696e6174ull };
	struct sv parts[] = { pool, name };

	return hash_parts(&key, parts, 2) | 1;
}

static bool name_is(const struct slot_name *n, struct sv pool, struct sv name)
{
	return n->pool_len == pool.len && n->len == pool.len + 1 + name.len &&
	       memcmp(n->key, pool.p, pool.len) == 0 && memcmp(n->key + pool.len + 1, name.p, name.len) == 0;
}

static uint16_t slot_of_name(const struct pools *p, uint64_t seed, struct sv pool, struct sv name)
{
	for (unsigned i = 0; i < POOL_DESTINATIONS_MAX; i++)
		if (p->seed[i] == seed && name_is(&p->name[i], pool, name))
			return (uint16_t)i;
	return POOL_NO_SLOT;
}

/* Slots that a snapshot names which a worker may still be reading (the oldest, which `next` replaces, is none of
 * those), and slots with calls. */
static void mark_taken(const struct pools *p, const struct conf *next, bool *is_taken)
{
	for (unsigned i = 0; i < POOL_DESTINATIONS_MAX; i++)
		is_taken[i] = dest_load(p, (uint16_t)i) > 0;
	for (unsigned m = 0; m < POOL_SNAPSHOTS; m++) {
		const struct map *map = &p->map[m];

		if (!map->gen_plus_1 || m == next->gen % POOL_SNAPSHOTS)
			continue;
		for (unsigned i = 0; i < map->n; i++)
			is_taken[map->of[i].slot] = true;
	}
}

static void slot_claim(struct pools *p, uint16_t slot, uint64_t seed, struct sv pool, struct sv name)
{
	struct slot_name *n = &p->name[slot];
	struct dest *d = &p->dest[slot];

	p->seed[slot] = seed;
	n->pool_len = (uint16_t)pool.len;
	n->len = (uint16_t)(pool.len + 1 + name.len);
	memcpy(n->key, pool.p, pool.len);
	n->key[pool.len] = '/';
	memcpy(n->key + pool.len + 1, name.p, name.len);
	atomic_store(&d->health, health_word((struct health){ .is_up = 1 }));
	atomic_store(&d->latency_us, 0);
	atomic_store(&d->wish, WISH_IN_SERVICE);
	atomic_store(&d->returned_ms, 0);
	atomic_store(&d->rest_until_s, 0);
	atomic_store(&d->bucket_us, 0);
	atomic_store(&d->failures, 0);
	atomic_store(&d->probes, 0);
	atomic_store(&d->probe_failures, 0);
	for (unsigned w = 0; w < p->workers; w++)
		atomic_store(&p->tally[w].calls[slot], 0);
	for (unsigned i = 0; i < SPANS; i++)
		atomic_store(&p->ended[slot].n[i], 0);
	note_write(&p->change[slot], 0, "");
}

/* The same name at another address is another server: evidence about the old one says nothing, its calls and counters stay. */
static void slot_move(struct pools *p, uint16_t slot, struct sv uri, bool is_new)
{
	uint64_t home = name_seed(SV(""), uri);

	if (!is_new && p->home[slot] != home) {
		atomic_store(&p->dest[slot].health, health_word((struct health){ .is_up = 1 }));
		atomic_store(&p->dest[slot].latency_us, 0);
		atomic_store(&p->dest[slot].rest_until_s, 0);
	}
	p->home[slot] = home;
}

/* What pools_adopt works out before it changes anything. */
struct plan {
	bool is_taken[POOL_DESTINATIONS_MAX];
	uint64_t seed[POOL_DESTINATIONS_MAX];
	uint16_t slot[POOL_DESTINATIONS_MAX];
};

/* The old slots of `next`; POOL_NO_SLOT for names that are new. */
static int plan_known(const struct pools *p, const struct conf *next, struct plan *plan)
{
	mark_taken(p, next, plan->is_taken);
	for (unsigned i = 0; i < next->n_destinations; i++) {
		struct sv pool = next->pools[next->destinations[i].pool].name, name = next->destinations[i].name;

		if (pool.len > CONF_NAME_MAX || name.len > CONF_NAME_MAX)
			return -ENAMETOOLONG;
		plan->seed[i] = name_seed(pool, name);
		plan->slot[i] = slot_of_name(p, plan->seed[i], pool, name);
		if (plan->slot[i] != POOL_NO_SLOT)
			plan->is_taken[plan->slot[i]] = true;
	}
	return 0;
}

/* Free slots for the others. A slot whose destination is gone forgets it only now. */
static int plan_new(const struct conf *next, struct plan *plan, bool *is_new)
{
	unsigned free_slot = 0;

	for (unsigned i = 0; i < next->n_destinations; i++) {
		is_new[i] = plan->slot[i] == POOL_NO_SLOT;
		if (!is_new[i])
			continue;
		while (free_slot < POOL_DESTINATIONS_MAX && plan->is_taken[free_slot])
			free_slot++;
		if (free_slot == POOL_DESTINATIONS_MAX)
			return -ENOSPC;
		plan->slot[i] = (uint16_t)free_slot++;
	}
	return 0;
}

int pools_adopt(struct pools *p, struct conf *next)
{
	struct map *map = &p->map[next->gen % POOL_SNAPSHOTS];
	bool is_new[POOL_DESTINATIONS_MAX] = { false };
	struct plan plan;
	int err;

	if (next->n_destinations > POOL_DESTINATIONS_MAX || next->n_pools > CONF_POOLS_MAX)
		return -ENOSPC;
	if ((err = plan_known(p, next, &plan)) || (err = plan_new(next, &plan, is_new)) || (err = trunks_adopt(p, next)))
		return err;
	map->gen_plus_1 = next->gen + 1;
	map->n = next->n_destinations;
	for (unsigned i = 0; i < next->n_destinations; i++) {
		const struct conf_destination *d = &next->destinations[i];

		if (is_new[i])
			slot_claim(p, plan.slot[i], plan.seed[i], next->pools[d->pool].name, d->name);
		slot_move(p, plan.slot[i], d->uri, is_new[i]);
		map->of[i].seed = plan.seed[i];
		map->of[i].slot = plan.slot[i];
	}
	return 0;
}

/* Load ---------------------------------------------------------------------------------------------------------- */

/* Each worker counts its own calls; the shared sum moves by the same one, always after or before it, so neither can fall
 * below zero (LESSONS 32, 60). */
static void tally_add(struct pools *p, unsigned worker, uint16_t slot)
{
	struct tally *t = &p->tally[worker];
	uint32_t load = atomic_load_explicit(&t->load[slot], memory_order_relaxed);
	uint64_t calls = atomic_load_explicit(&t->calls[slot], memory_order_relaxed);

	atomic_store_explicit(&t->load[slot], load + 1, memory_order_relaxed);
	atomic_store_explicit(&t->calls[slot], calls + 1, memory_order_relaxed);
}

void dest_reserve(struct pools *p, unsigned worker, uint16_t slot)
{
	if (slot >= POOL_DESTINATIONS_MAX)
		return;
	atomic_fetch_add_explicit(&p->dest[slot].reserved, 1, memory_order_relaxed);
	tally_add(p, worker, slot);
}

/* One add decides; what was too much is taken back at once. */
bool dest_take(struct pools *p, unsigned worker, uint16_t slot, const struct conf_destination *d, uint64_t now_ms)
{
	_Atomic uint32_t *reserved = &p->dest[slot].reserved;

	if ((atomic_fetch_add_explicit(reserved, 1, memory_order_relaxed) >= d->max_calls && d->max_calls) ||
	    (d->max_cps && !bucket_take(&p->dest[slot].bucket_us, d->max_cps, now_ms))) {
		atomic_fetch_sub_explicit(reserved, 1, memory_order_relaxed);
		return false;
	}
	tally_add(p, worker, slot);
	return true;
}

void dest_release(struct pools *p, unsigned worker, uint16_t slot)
{
	_Atomic uint32_t *mine;
	uint32_t load;

	if (slot >= POOL_DESTINATIONS_MAX)
		return;
	mine = &p->tally[worker].load[slot];
	load = atomic_load_explicit(mine, memory_order_relaxed);
	if (!load)
		return;
	atomic_store_explicit(mine, load - 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&p->dest[slot].reserved, 1, memory_order_relaxed);
}

void dest_untake(struct pools *p, unsigned worker, uint16_t slot)
{
	_Atomic uint64_t *calls = &p->tally[worker].calls[slot];

	atomic_store_explicit(calls, atomic_load_explicit(calls, memory_order_relaxed) - 1, memory_order_relaxed);
	dest_release(p, worker, slot);
}

uint32_t dest_load(const struct pools *p, uint16_t slot)
{
	uint32_t sum = 0;

	for (unsigned w = 0; w < p->workers && slot < POOL_DESTINATIONS_MAX; w++)
		sum += atomic_load_explicit(&p->tally[w].load[slot], memory_order_relaxed);
	return sum;
}
