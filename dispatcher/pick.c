/* dispatcher/pick.c - which destination a new call goes to. In a plain pool (conf_pool.is_plain: calls in turn, no tiers, no limits) one
 * look decides; everything else is weighed with care. */
#include "dispatcher/state.h"
#include <errno.h>

/* One pick on its way through a pool and those it spills into. */
struct picking {
	struct pools *p;
	const struct conf *c;
	const struct map *map;
	const struct pool_query *q;
	uint64_t turn;
	bool has_turn;                             /* the short way took `turn` in the first pool */
	bool is_asking;                            /* whether there is one: nothing is reserved */
	bool was_full;                             /* one that might have been used had no room */
	struct pick *out;
};

static bool may_be_used(const struct conf_destination *d, const struct dest *state)
{
	return d->weight && atomic_load_explicit(&state->wish, memory_order_relaxed) == WISH_IN_SERVICE;
}

static uint64_t next_turn(struct pools *p, unsigned pool, bool is_retry)
{
	struct cursor *c = &p->cursor[pool];

	return atomic_fetch_add_explicit(is_retry ? &c->retry : &c->next, 1, memory_order_relaxed);
}

/* The short way -------------------------------------------------------------------------------------------------- */

/* A rest that is over is wiped away, so that nobody compares times later. */
static bool is_resting(struct dest *state, uint64_t now_ms)
{
	uint32_t until = atomic_load_explicit(&state->rest_until_s, memory_order_relaxed);

	if (!until || now_ms < until * 1000ull)
		return until;
	atomic_compare_exchange_strong_explicit(&state->rest_until_s, &until, 0, memory_order_relaxed, memory_order_relaxed);
	return false;
}

static bool is_ready(struct pools *p, const struct map *map, const struct conf_pool *pool, unsigned i, uint64_t now_ms)
{
	struct dest *state = &p->dest[map->of[pool->first_destination + i].slot];

	return may_be_used(&pool->destinations[i], state) && dest_health(state).is_up && !is_resting(state, now_ms);
}

/* The turn of one that is not ready goes to the others, in turn: counted in rounds, so that whatever is missing, all others share it
 * alike. `n` when nobody is ready. */
static unsigned pass_turn(struct pools *p, const struct map *map, const struct conf_pool *pool, uint64_t turn, uint64_t now_ms)
{
	unsigned n = pool->n_destinations, ready = 0, i;

	for (i = 0; i < n; i++)
		ready += is_ready(p, map, pool, i, now_ms);
	if (!ready)
		return n;
	for (i = 0, ready = (unsigned)(turn / n % ready); i < n; i++)
		if (is_ready(p, map, pool, i, now_ms) && ready-- == 0)
			break;
	return i;
}

/* False: nobody is ready. */
static bool pick_in_turn(struct pools *p, const struct map *map, uint16_t index, const struct conf_pool *pool,
                         const struct pool_query *q, uint64_t *turn, struct pick *out)
{
	unsigned i;

	*turn = next_turn(p, index, false);
	i = (unsigned)(*turn % pool->n_destinations);

	if (!is_ready(p, map, pool, i, q->now_ms) && (i = pass_turn(p, map, pool, *turn, q->now_ms)) >= pool->n_destinations)
		return false;
	out->destination = pool->first_destination + i;
	out->slot = map->of[out->destination].slot;
	dest_reserve(p, q->worker, out->slot);
	return true;
}

/* With care ------------------------------------------------------------------------------------------------------ */

static bool was_tried(const struct pool_query *q, uint16_t slot)
{
	for (unsigned i = 0; i < q->n_tried; i++)
		if (q->tried[i] == slot)
			return true;
	return false;
}

/* How bad a destination looks: 0 = up, else 1 + failures in a row, counted up to down-after. */
static unsigned badness_of(const struct conf_pool *pool, const struct dest *d)
{
	struct health h = dest_health(d);
	unsigned run = h.probe_run + h.call_run;

	if (h.is_up)
		return 0;
	return 1 + (run < pool->probe.down_after ? run : pool->probe.down_after);
}

/* The least badness among those in service: 0 unless the evidence is against all of them. UINT32_MAX: none in service. */
static unsigned least_bad(const struct picking *k, const struct conf_pool *pool)
{
	unsigned least = UINT32_MAX;

	for (unsigned i = 0; i < pool->n_destinations && least; i++) {
		const struct dest *state = &k->p->dest[k->map->of[pool->first_destination + i].slot];
		unsigned badness;

		if (!may_be_used(&pool->destinations[i], state))
			continue;
		badness = badness_of(pool, state);
		if (badness < least)
			least = badness;
	}
	return least;
}

static bool has_room(const struct conf_destination *d, struct dest *state, uint64_t now_ms)
{
	return !(d->max_calls && atomic_load_explicit(&state->reserved, memory_order_relaxed) >= d->max_calls) &&
	       !(d->max_cps && !bucket_has(&state->bucket_us, d->max_cps, now_ms)) && !is_resting(state, now_ms);
}

bool dest_admits(struct pools *p, const struct map *map, const struct conf *c, const struct conf_destination *d, uint64_t now_ms)
{
	struct dest *state = &p->dest[map->of[d->id].slot];
	const struct conf_pool *pool = &c->pools[d->pool];

	if ((pool->trunk && !trunk_has_room(p, map, c, pool, now_ms, true)) || !has_room(d, state, now_ms) ||
	    (d->max_cps && !bucket_take(&state->bucket_us, d->max_cps, now_ms)))
		return false;
	return !pool->trunk || trunk_takes(p, map, c, pool, now_ms, true);
}

/* The part of its weight that one who has returned has by now, in SHARE_WHOLE. */
static uint32_t share_of(const struct conf_pool *pool, const struct dest *state, uint64_t now_ms)
{
	uint64_t returned = atomic_load_explicit(&state->returned_ms, memory_order_relaxed), share;

	if (!returned || now_ms >= returned + pool->slow_start_ms)
		return SHARE_WHOLE;
	share = now_ms > returned ? (now_ms - returned) * SHARE_WHOLE / pool->slow_start_ms : 0;
	return share ? (uint32_t)share : 1;
}

/* Fills `c` with those of this badness that have not been tried and have room. */
static unsigned gather(struct picking *k, const struct conf_pool *pool, unsigned badness, struct candidate *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pool->n_destinations; i++) {
		const struct conf_destination *d = &pool->destinations[i];
		uint32_t id = pool->first_destination + i;
		uint16_t slot = k->map->of[id].slot;
		struct dest *state = &k->p->dest[slot];

		if (!may_be_used(d, state) || badness_of(pool, state) > badness || was_tried(k->q, slot))
			continue;
		if (!has_room(d, state, k->q->now_ms)) {
			k->was_full = true;
			continue;
		}
		c[n++] = (struct candidate){ .destination = id, .slot = slot, .weight = d->weight, .priority = d->priority,
			                     .load = atomic_load_explicit(&state->reserved, memory_order_relaxed),
			                     .latency_us = atomic_load_explicit(&state->latency_us, memory_order_relaxed),
			                     .seed = k->map->of[id].seed };
	}
	return n;
}

/* Brings those of the best tier to the front: how many they are. */
static unsigned best_tier(struct candidate *c, unsigned n)
{
	unsigned best = UINT32_MAX, front = 0;

	for (unsigned i = 0; i < n; i++)
		best = c[i].priority < best ? c[i].priority : best;
	for (unsigned i = 0; i < n; i++) {
		struct candidate one = c[i];

		if (one.priority != best)
			continue;
		c[i] = c[front];
		c[front++] = one;
	}
	return front;
}

/* Slow start: weights grow linearly from the return on. Whoever is in turn has the same weight as all others. */
static bool start_slowly(const struct picking *k, const struct conf_pool *pool, struct candidate *c, unsigned n)
{
	bool is_starting = false;

	for (unsigned i = 0; i < n && pool->slow_start_ms && !is_starting; i++)
		is_starting = share_of(pool, &k->p->dest[c[i].slot], k->q->now_ms) < SHARE_WHOLE;
	for (unsigned i = 0; i < n && is_starting; i++)
		c[i].weight = (pool->balance == BALANCE_ROUND_ROBIN ? 1 : c[i].weight) *
		              share_of(pool, &k->p->dest[c[i].slot], k->q->now_ms);
	return is_starting;
}

/* What came of it: other workers may have been faster at the destination, or at what its trunk may take. The latter is the same at each
 * destination of the pool: a call is refused by its trunk once. */
enum place { PLACE_TAKEN, PLACE_NONE, PLACE_NONE_IN_TRUNK };

static enum place take_place(const struct picking *k, const struct conf_pool *pool, const struct candidate *c)
{
	if (!dest_take(k->p, k->q->worker, c->slot, &k->c->destinations[c->destination], k->q->now_ms))
		return PLACE_NONE;
	if (!pool->trunk || trunk_takes(k->p, k->map, k->c, pool, k->q->now_ms, !k->q->n_tried))
		return PLACE_TAKEN;
	dest_untake(k->p, k->q->worker, c->slot);
	return PLACE_NONE_IN_TRUNK;
}

/* Of these, all of one tier. */
static enum place take_one(struct picking *k, const struct conf_pool *pool, struct candidate *c, unsigned n)
{
	struct turn turn = { .key = k->q->key, .bound = pool->hash.bound, .is_starting = start_slowly(k, pool, c, n) };
	enum place place = PLACE_NONE;

	/* A second try does not take a turn: else the turns of first tries would fall on every other destination only. */
	turn.number = k->has_turn ? k->turn : next_turn(k->p, (unsigned)(pool - k->c->pools), k->q->n_tried > 0);
	for (; n && place == PLACE_NONE; n--) {
		unsigned i = balance_choose(pool->balance, c, n, &turn);

		if ((place = take_place(k, pool, &c[i])) == PLACE_TAKEN)
			*k->out = (struct pick){ c[i].slot, c[i].destination };
		else
			k->was_full = true;
		c[i] = c[n - 1];
	}
	return place;
}

static bool pick_of(struct picking *k, const struct conf_pool *pool, unsigned badness)
{
	struct candidate all[POOL_DESTINATIONS_MAX], *c = all;
	unsigned n = gather(k, pool, badness, all), tier;
	enum place place = PLACE_NONE;

	if (n && pool->trunk && !trunk_has_room(k->p, k->map, k->c, pool, k->q->now_ms, !k->q->n_tried && !k->is_asking)) {
		k->was_full = true;
		return false;
	}
	if (k->is_asking)
		return n > 0;
	for (; n && place == PLACE_NONE; n -= tier, c += tier) {
		tier = best_tier(c, n);
		place = take_one(k, pool, c, tier);
	}
	return place == PLACE_TAKEN;
}

/* The next pool that calls spill into, or NULL. */
static const struct conf_pool *spill_of(const struct picking *k, const struct conf_pool *pool)
{
	return pool->spill ? &k->c->pools[pool->spill - 1] : NULL;
}

/* First what is up, in all pools in turn; then, where nothing is, what is least bad. */
static int pick_with_care(struct picking *k, const struct conf_pool *first)
{
	const struct conf_pool *pool = first;

	for (unsigned i = 0; pool && i <= CONF_SPILLS_MAX; i++, pool = spill_of(k, pool))
		if (pick_of(k, pool, 0))
			return 0;
	pool = first;
	for (unsigned i = 0; pool && i <= CONF_SPILLS_MAX; i++, pool = spill_of(k, pool)) {
		unsigned badness = least_bad(k, pool);

		if (badness && badness != UINT32_MAX && pick_of(k, pool, badness))
			return 0;
	}
	return k->was_full ? -EBUSY : -EHOSTDOWN;
}

int pool_pick(struct pools *p, const struct conf *c, uint16_t pool, const struct pool_query *q, struct pick *out)
{
	const struct conf_pool *cp = &c->pools[pool];
	const struct map *map = pools_map(p, c);
	uint64_t turn = 0;

	if (!map)
		return -EHOSTDOWN;
	if (cp->is_plain && !q->n_tried && pick_in_turn(p, map, pool, cp, q, &turn, out))
		return 0;
	return pick_with_care(&(struct picking){ .p = p, .c = c, .map = map, .q = q, .out = out, .turn = turn,
		                                 .has_turn = cp->is_plain && !q->n_tried }, cp);
}

bool pool_has(struct pools *p, const struct conf *c, uint16_t pool, const struct pool_query *q)
{
	const struct map *map = pools_map(p, c);

	return map && !pick_with_care(&(struct picking){ .p = p, .c = c, .map = map, .q = q, .is_asking = true }, &c->pools[pool]);
}
