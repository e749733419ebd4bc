#include "dispatcher/state.h"
#include <errno.h>

/* Slots -------------------------------------------------------------------------------------------------------------- */

static struct sv name_of(const struct trunk_state *s)
{
	return (struct sv){ s->name, s->name_len };
}

/* A worker may still read a snapshot that names it, or hold a call that came from it. */
static bool is_taken(const struct trunk_state *s, const struct conf *next)
{
	return s->name_len && (s->gen + POOL_SNAPSHOTS > next->gen || atomic_load_explicit(&s->calls_in, memory_order_relaxed));
}

static int slot_by_name(const struct pools *p, struct sv name)
{
	for (unsigned i = 0; i < CONF_TRUNKS_MAX && name.len; i++)
		if (sv_eq(name_of(&p->trunks[i]), name))
			return (int)i;
	return -1;
}

static void slot_claim(struct trunk_state *s, struct sv name)
{
	s->name_len = (uint8_t)name.len;
	memcpy(s->name, name.p, name.len);
	atomic_store(&s->bucket_us, 0);
	atomic_store(&s->until_ms, 0);
	atomic_store(&s->next_ms, 0);
	atomic_store(&s->status, 0);
	for (unsigned i = 0; i < TRUNK_REFUSALS; i++)
		atomic_store(&s->refused[i], 0);
}

/* A slot for each trunk of `next`, its own or one that nobody has, before anything changes. */
static int slots_choose(const struct pools *p, struct conf *next, bool is_new[CONF_TRUNKS_MAX])
{
	bool is_given[CONF_TRUNKS_MAX] = { false };
	unsigned from = 0;

	for (unsigned i = 0; i < next->n_trunks; i++) {
		int slot = slot_by_name(p, next->trunks[i].name);

		if ((is_new[i] = slot < 0))
			continue;
		next->trunks[i].slot = (uint16_t)slot;
		is_given[slot] = true;
	}
	for (unsigned i = 0; i < next->n_trunks; i++) {
		if (!is_new[i])
			continue;
		while (from < CONF_TRUNKS_MAX && (is_given[from] || is_taken(&p->trunks[from], next)))
			from++;
		if (from == CONF_TRUNKS_MAX)
			return -ENOSPC;
		next->trunks[i].slot = (uint16_t)from++;
	}
	return 0;
}

int trunks_adopt(struct pools *p, struct conf *next)
{
	bool is_new[CONF_TRUNKS_MAX];
	int err = next->n_trunks <= CONF_TRUNKS_MAX ? slots_choose(p, next, is_new) : -ENOSPC;

	if (err)
		return err;
	for (unsigned i = 0; i < next->n_trunks; i++) {
		struct trunk_state *s = &p->trunks[next->trunks[i].slot];

		s->gen = next->gen;
		if (is_new[i])
			slot_claim(s, next->trunks[i].name);
	}
	return 0;
}

const struct conf_trunk *trunk_of_slot(const struct conf *c, uint16_t slot)
{
	for (unsigned i = 0; i < c->n_trunks; i++)
		if (c->trunks[i].slot == slot)
			return &c->trunks[i];
	return NULL;
}

/* Limits ------------------------------------------------------------------------------------------------------------- */

static uint32_t calls_out(const struct pools *p, const struct map *map, const struct conf *c, const struct conf_trunk *t)
{
	const struct conf_pool *pool = t->pool < 0 ? NULL : &c->pools[t->pool];
	uint32_t sum = 0;

	for (unsigned i = 0; pool && map && i < pool->n_destinations; i++)
		sum += atomic_load_explicit(&p->dest[map->of[pool->first_destination + i].slot].reserved, memory_order_relaxed);
	return sum;
}

static uint32_t calls_of(const struct pools *p, const struct map *map, const struct conf *c, const struct conf_trunk *t)
{
	return calls_out(p, map, c, t) + atomic_load_explicit(&p->trunks[t->slot].calls_in, memory_order_relaxed);
}

static void count(struct trunk_state *s, enum trunk_refusal why)
{
	atomic_fetch_add_explicit(&s->refused[why], 1, memory_order_relaxed);
}

/* Each has its place before it looks whether there was one: of two who take the last at once both may be refused, never both admitted.
 * Their places may be in different words (calls_in, `reserved` of each destination), so each also changes calls_in in between: of these
 * changes one comes second, and who made that one sees the other's place. */
int trunk_enter(struct pools *p, const struct conf *c, const struct conf_trunk *t, uint64_t now_ms)
{
	struct trunk_state *s = &p->trunks[t->slot];

	atomic_fetch_add_explicit(&s->calls_in, 1, memory_order_acq_rel);
	if (t->max_calls && calls_of(p, pools_map(p, c), c, t) > t->max_calls) {
		trunk_leave(p, t->slot);
		count(s, TRUNK_FULL);
		return -EBUSY;
	}
	if (t->rate && !bucket_take_rate(&s->bucket_us, t->rate, now_ms)) {
		trunk_leave(p, t->slot);
		count(s, TRUNK_FAST);
		return -EAGAIN;
	}
	return 0;
}

void trunk_reserve(struct pools *p, uint16_t slot)
{
	atomic_fetch_add_explicit(&p->trunks[slot].calls_in, 1, memory_order_relaxed);
}

void trunk_leave(struct pools *p, uint16_t slot)
{
	atomic_fetch_sub_explicit(&p->trunks[slot].calls_in, 1, memory_order_relaxed);
}

bool trunk_has_room(struct pools *p, const struct map *map, const struct conf *c, const struct conf_pool *pool, uint64_t now_ms,
                    bool is_new)
{
	const struct conf_trunk *t = &c->trunks[pool->trunk - 1];
	struct trunk_state *s = &p->trunks[t->slot];

	if (t->max_calls && calls_of(p, map, c, t) >= t->max_calls) {
		if (is_new)
			count(s, TRUNK_FULL);
		return false;
	}
	if (is_new && t->rate && !bucket_has_rate(&s->bucket_us, t->rate, now_ms)) {
		count(s, TRUNK_FAST);
		return false;
	}
	return true;
}

/* Asked by who has reserved a place at a destination (see trunk_enter). */
static bool is_beyond(struct pools *p, const struct map *map, const struct conf *c, const struct conf_trunk *t)
{
	if (!t->max_calls)
		return false;
	atomic_fetch_add_explicit(&p->trunks[t->slot].calls_in, 0, memory_order_acq_rel);
	return calls_of(p, map, c, t) > t->max_calls;
}

bool trunk_takes(struct pools *p, const struct map *map, const struct conf *c, const struct conf_pool *pool, uint64_t now_ms,
                 bool is_new)
{
	const struct conf_trunk *t = &c->trunks[pool->trunk - 1];
	struct trunk_state *s = &p->trunks[t->slot];
	bool is_full = is_beyond(p, map, c, t);

	if (!is_full && (!is_new || !t->rate || bucket_take_rate(&s->bucket_us, t->rate, now_ms)))
		return true;
	count(s, is_full ? TRUNK_FULL : TRUNK_FAST);
	return false;
}

bool trunk_fits(struct pools *p, const struct conf *c, const struct conf_pool *pool)
{
	return !pool->trunk || !is_beyond(p, pools_map(p, c), c, &c->trunks[pool->trunk - 1]);
}

void trunk_registered(struct pools *p, uint16_t slot, const struct trunk_registration *r)
{
	struct trunk_state *s = &p->trunks[slot];

	atomic_store_explicit(&s->until_ms, r->until_ms, memory_order_relaxed);
	atomic_store_explicit(&s->next_ms, r->next_ms, memory_order_relaxed);
	atomic_store_explicit(&s->status, r->status, memory_order_relaxed);
}

void trunk_info(const struct pools *p, const struct conf *c, const struct conf_trunk *t, struct trunk_info *out)
{
	const struct trunk_state *s = &p->trunks[t->slot];

	out->registration.until_ms = atomic_load_explicit(&s->until_ms, memory_order_relaxed);
	out->registration.next_ms = atomic_load_explicit(&s->next_ms, memory_order_relaxed);
	out->registration.status = atomic_load_explicit(&s->status, memory_order_relaxed);
	out->calls_in = atomic_load_explicit(&s->calls_in, memory_order_relaxed);
	out->calls_out = calls_out(p, pools_map(p, c), c, t);
	for (unsigned i = 0; i < TRUNK_REFUSALS; i++)
		out->refused[i] = atomic_load_explicit(&s->refused[i], memory_order_relaxed);
}
