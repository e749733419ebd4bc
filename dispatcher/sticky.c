#include "dispatcher/sticky.h"
#include "base/blocks.h"
#include "base/table.h"
#include "base/tlv.h"
#include "dispatcher/state.h"
#include <errno.h>
#include <stdlib.h>

enum { VERSION = 1, ESCAPE = 3, MARK = 1 + SV_HEX };
enum record_field { RECORD_VERSION = 1, RECORD_POOL, RECORD_TEXT, RECORD_DEST_POOL, RECORD_DEST, RECORD_LEFT, RECORD_FIELDS };

const struct counter_def sticky_counter_defs[STICKY_COUNTERS] = {
	[STICKY_ENTRIES] = { "sticky_entries", "Keys that keep their destination", true },
	[STICKY_NEW] = { "sticky_new_total", "Keys that got a destination", false },
	[STICKY_KEPT] = { "sticky_kept_total", "Requests that went where their key was", false },
	[STICKY_EXPIRED] = { "sticky_expired_total", "Keys that nobody used for their pool's ttl", false },
	[STICKY_EVICTED] = { "sticky_evicted_total", "Keys that went because their pool has its max", false },
	[STICKY_FORGOTTEN] = { "sticky_forgotten_total", "Keys that were forgotten by hand, or with their pool's `sticky`", false },
	[STICKY_NO_MEMORY] = { "sticky_no_memory_total", "Keys that could not be kept", false },
	[STICKY_ELSEWHERE] = { "sticky_elsewhere_total", "Requests that went elsewhere once, as their key's destination was full", false },
	[STICKY_ASKED] = { "sticky_asked_total", "Requests that waited for another worker to say where their key is", false },
	[STICKY_UNANSWERED] = { "sticky_unanswered_total", "Requests for which it could not be asked, or did not answer in time", false },
	[STICKY_MOVED_DRAINED] = { "sticky_moved_drained_total", "Keys moved because their destination is drained", false },
	[STICKY_MOVED_DISABLED] = { "sticky_moved_disabled_total", "Keys moved because their destination is disabled", false },
	[STICKY_MOVED_DOWN] = { "sticky_moved_down_total", "Keys moved because their destination is down", false },
	[STICKY_MOVED_FAILED] = { "sticky_moved_failed_total", "Keys moved because their destination failed a call", false },
	[STICKY_MOVED_FULL] = { "sticky_moved_full_total", "Keys without calls moved because their destination was full", false },
	[STICKY_MOVED_GONE] = { "sticky_moved_gone_total", "Keys moved because the configuration has their destination no more", false },
};

/* The keys of one pool. */
struct sticky_pool {
	struct node in_all;
	struct sticky *s;
	struct timer timer;          /* when the first of `idle` may have to go */
	struct node idle, busy;      /* busy: those with calls. Longest unused first, in each */
	size_t n, share;             /* share: of the pool's max; 0: not adopted yet */
	uint64_t by;                 /* what its keys are, as a hash of how it is written */
	uint32_t ttl_ms;
	bool stays, is_named;        /* is_named: by the snapshot that is being adopted */
	char name[CONF_NAME_MAX + 1];
};

struct entry {
	struct link in_table;        /* key: of pool and text */
	struct node in_pool;
	struct sticky_pool *pool;
	char *text;
	uint64_t used_ms;
	uint64_t seed;               /* of the destination's name: another one may get its slot some day */
	uint64_t era;                /* of its stay there: calls of an earlier one do not count */
	uint32_t calls;
	uint16_t slot;
	uint8_t text_len;
};
_Static_assert(STICKY_TEXT_MAX <= UINT8_MAX, "text_len holds any length");

struct sticky {
	struct sticky_params p;
	const struct conf *conf;
	const struct map *map;       /* of `conf` */
	struct table table;
	struct slab entries;
	struct blocks texts;
	struct node pools;
	struct counters counters;
	uint64_t last_era;
	struct timer log_timer;
	uint64_t logged_since_ms;
	unsigned n_logged, n_untold;
};

/* Keys ------------------------------------------------------------------------------------------------------------- */

static bool is_shown(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && c != '%';
}

/* Cut between two characters; `n_read`: how much of `raw` that is. */
static size_t escape(struct sv raw, char *out, size_t room, size_t *n_read)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0, i;

	for (i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.p[i];

		if (n + (is_shown(raw.p[i]) ? 1 : ESCAPE) > room)
			break;
		if (is_shown(raw.p[i])) {
			out[n++] = raw.p[i];
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	*n_read = i;
	return n;
}

struct sv sticky_text(const struct hash_key *key, struct sv raw, char area[STICKY_TEXT_MAX])
{
	size_t n_read, n = escape(raw, area, STICKY_TEXT_MAX, &n_read);

	if (n_read == raw.len)
		return (struct sv){ area, n };
	n = escape(raw, area, STICKY_TEXT_MAX - MARK, &n_read);
	area[n] = '~';
	sv_hex(hash_bytes(key, raw.p, raw.len), area + n + 1);
	return (struct sv){ area, n + MARK };
}

bool sticky_is_text(struct sv text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_shown(text.p[i]) && text.p[i] != '%')
			return false;
	return text.len && text.len <= STICKY_TEXT_MAX;
}

uint64_t sticky_key(const struct hash_key *key, struct sv pool, struct sv text)
{
	const struct sv parts[] = { SV("sticky"), pool, text };

	return hash_parts(key, parts, sizeof(parts) / sizeof(*parts));
}

/* Entries ---------------------------------------------------------------------------------------------------------- */

static struct sv text_of(const struct entry *e)
{
	return (struct sv){ e->text, e->text_len };
}

static struct sticky_pool *pool_named(const struct sticky *s, struct sv name)
{
	list_each(n, &s->pools)
		if (sv_eq(sv_from(owner_of(n, struct sticky_pool, in_all)->name), name))
			return owner_of(n, struct sticky_pool, in_all);
	return NULL;
}

static void count_entries(struct sticky *s)
{
	counter_set(&s->counters, STICKY_ENTRIES, s->entries.in_use);
}

static void entry_free(struct entry *e)
{
	struct sticky *s = e->pool->s;

	e->pool->n--;
	list_del(&e->in_pool);
	table_del(&s->table, &e->in_table);
	blocks_free(&s->texts, e->text, e->text_len);
	slab_free(&s->entries, e);
	count_entries(s);
}

static bool is_over(const struct entry *e, uint64_t now_ms)
{
	return !e->calls && now_ms >= e->used_ms + e->pool->ttl_ms;
}

static struct entry *entry_find(const struct sticky *s, const struct sticky_pool *pool, uint64_t key, struct sv text)
{
	for (struct link *l = table_find(&s->table, key); l; l = table_next(&s->table, l)) {
		struct entry *e = owner_of(l, struct entry, in_table);

		if (e->pool == pool && sv_eq(text_of(e), text))
			return e;
	}
	return NULL;
}

/* NULL: the list is empty. */
static struct entry *oldest(const struct node *list)
{
	return list_empty(list) ? NULL : owner_of(list->next, struct entry, in_pool);
}

/* The longest unused one goes, those with calls last. */
static void make_room(struct sticky_pool *pool)
{
	struct entry *e = oldest(&pool->idle);

	if (!e && !(e = oldest(&pool->busy)))
		return;
	entry_free(e);
	counter_inc(&pool->s->counters, STICKY_EVICTED);
}

/* Keys with calls do not expire. */
static void pool_watch(struct sticky_pool *pool)
{
	const struct entry *e = oldest(&pool->idle);
	uint64_t soon = pool->s->p.wheel->now_ms + 1, at = e ? e->used_ms + pool->ttl_ms : 0;

	if (e || pool->n > pool->share)
		wheel_arm(pool->s->p.wheel, &pool->timer, at > soon && pool->n <= pool->share ? at : soon);
}

/* To the end of its list: its calls tell which. */
static void entry_use(struct entry *e)
{
	struct sticky_pool *pool = e->pool;

	e->used_ms = pool->s->p.wheel->now_ms;
	list_del(&e->in_pool);
	list_push(e->calls ? &pool->busy : &pool->idle, &e->in_pool);
	if (!timer_is_armed(&pool->timer))
		pool_watch(pool);
}

static void pool_fire(struct timer *t)
{
	struct sticky_pool *pool = owner_of(t, struct sticky_pool, timer);
	struct sticky *s = pool->s;

	for (unsigned i = 0; i < STICKY_BATCH; i++) {
		struct entry *e = oldest(&pool->idle);

		if (pool->n > pool->share) { /* a reload has lowered it */
			make_room(pool);
		} else if (e && is_over(e, s->p.wheel->now_ms)) {
			counter_inc(&s->counters, STICKY_EXPIRED);
			entry_free(e);
		} else {
			break;
		}
	}
	pool_watch(pool);
}

static struct entry *entry_new(struct sticky *s, struct sticky_pool *pool, uint64_t key, struct sv text)
{
	struct entry *e = slab_alloc(&s->entries);

	if (!e || !(e->text = blocks_alloc(&s->texts, text.len))) {
		slab_free(&s->entries, e);
		counter_inc(&s->counters, STICKY_NO_MEMORY);
		return NULL;
	}
	if (pool->n >= pool->share)
		make_room(pool);
	memcpy(e->text, text.p, text.len);
	e->text_len = (uint8_t)text.len;
	e->pool = pool;
	table_add(&s->table, &e->in_table, key); /* it has no bound of its own */
	pool->n++;
	list_init(&e->in_pool);
	entry_use(e);
	count_entries(s);
	return e;
}

/* Destinations ----------------------------------------------------------------------------------------------------- */

/* That of the slot, in this pool or those it spills into; `seed` 0: whatever its name is. */
static const struct conf_destination *destination_at(const struct map *map, const struct conf *c, unsigned pool, uint16_t slot,
                                                     uint64_t seed)
{
	const struct conf_pool *p = &c->pools[pool];

	for (unsigned n = 0; map && n <= CONF_SPILLS_MAX; n++) {
		for (unsigned i = 0; i < p->n_destinations; i++) {
			uint32_t id = p->first_destination + i;

			if (map->of[id].slot == slot && (!seed || map->of[id].seed == seed))
				return &c->destinations[id];
		}
		if (!p->spill)
			break;
		p = &c->pools[p->spill - 1];
	}
	return NULL;
}

static struct sv name_of(const struct conf_destination *d)
{
	return d ? d->name : SV("-");
}

int sticky_take(struct pools *p, const struct conf *c, uint16_t pool, unsigned worker, uint16_t slot, struct pick *out)
{
	const struct map *map = pools_map(p, c);
	const struct conf_destination *d = destination_at(map, c, pool, slot, 0);
	struct conf_destination calls_only;

	if (!d)
		return -ENOENT;
	calls_only = (struct conf_destination){ .max_calls = d->max_calls }; /* its place in max-cps was taken when it was asked for */
	if (!dest_take(p, worker, slot, &calls_only, 0))
		return -EBUSY;
	if (c->pools[d->pool].trunk && !trunk_takes(p, map, c, &c->pools[d->pool], 0, false)) {
		dest_untake(p, worker, slot);
		return -EBUSY;
	}
	*out = (struct pick){ slot, d->id };
	return 0;
}

/* Moving ----------------------------------------------------------------------------------------------------------- */

enum verdict { GOES_ON, GOES_ELSEWHERE, IS_FULL, MOVES_DRAINED, MOVES_DISABLED, MOVES_DOWN, MOVES_FAILED, MOVES_FULL, MOVES_GONE };

static const struct { enum sticky_counter counter; const char *why; } moves[] = {
	[MOVES_DRAINED] = { STICKY_MOVED_DRAINED, "draining" },
	[MOVES_DISABLED] = { STICKY_MOVED_DISABLED, "disabled" },
	[MOVES_DOWN] = { STICKY_MOVED_DOWN, "down" },
	[MOVES_FAILED] = { STICKY_MOVED_FAILED, "failed" },
	[MOVES_FULL] = { STICKY_MOVED_FULL, "full" },
	[MOVES_GONE] = { STICKY_MOVED_GONE, "gone" },
};

static void tell_untold(struct sticky *s)
{
	if (s->n_untold)
		log_info(s->p.log, "sticky.moved_more", "keys=%u", s->n_untold);
	s->n_logged = s->n_untold = 0;
}

static void log_fire(struct timer *t)
{
	tell_untold(owner_of(t, struct sticky, log_timer));
}

/* A drain may move a hundred thousand keys. */
static void log_move(struct sticky *s, const struct entry *e, const struct conf_destination *from, const struct conf_destination *to,
                     const char *why)
{
	if (!timer_is_armed(&s->log_timer))
		wheel_arm_in(s->p.wheel, &s->log_timer, STICKY_LOG_MS);
	if (s->n_logged >= STICKY_LOGGED) {
		s->n_untold++;
		return;
	}
	s->n_logged++;
	log_info(s->p.log, "sticky.moved", "pool=%s key=%.*s from=%.*s to=%.*s reason=%s", e->pool->name, SV_ARG(text_of(e)),
	         SV_ARG(name_of(from)), SV_ARG(name_of(to)), why);
}

/* The calls it had where it was are none of its any more; the caller puts it in the list where it belongs now. */
static void settle(struct sticky *s, struct entry *e, const struct pick *at)
{
	e->slot = at->slot;
	e->seed = s->map->of[at->destination].seed;
	e->era = ++s->last_era;
	e->calls = 0;
}

static bool was_tried(const struct sticky_question *q, uint16_t slot)
{
	for (unsigned i = 0; i < q->n_tried; i++)
		if (q->tried[i] == slot)
			return true;
	return false;
}

/* Whether the request may go where its key is (DESIGN §7; docs/pools.md). */
static enum verdict judge(struct sticky *s, const struct entry *e, const struct conf_destination *d, const struct sticky_question *q)
{
	bool is_room_in_use = e->pool->stays && e->calls;
	const struct dest *state;
	uint8_t wish;

	if (!d)
		return MOVES_GONE;
	state = &s->p.pools->dest[e->slot];
	wish = atomic_load_explicit(&state->wish, memory_order_relaxed);
	if (wish == WISH_DISABLED)
		return MOVES_DISABLED;
	if (!dest_health(state).is_up)
		return MOVES_DOWN;
	if (was_tried(q, e->slot))
		return wish == WISH_DRAINING ? MOVES_DRAINED : MOVES_FAILED;
	if ((wish == WISH_DRAINING || !d->weight) && !is_room_in_use)
		return MOVES_DRAINED;
	if (dest_admits(s->p.pools, s->map, s->conf, d, s->p.wheel->now_ms))
		return GOES_ON;
	return !e->pool->stays ? GOES_ELSEWHERE : is_room_in_use ? IS_FULL : MOVES_FULL;
}

/* Who asked reserves it himself. */
static int choose(struct sticky *s, unsigned pool, const struct sticky_question *q, struct pick *out)
{
	struct pool_query query = { .key = q->balance_key, .now_ms = s->p.wheel->now_ms, .worker = s->p.worker, .n_tried = q->n_tried,
		                    .tried = q->tried };
	int err = pool_pick(s->p.pools, s->conf, (uint16_t)pool, &query, out);

	if (!err)
		dest_untake(s->p.pools, s->p.worker, out->slot);
	return err;
}

static void join(struct entry *e, struct sticky_question *q)
{
	q->slot = e->slot;
	if (q->counts && e->pool->stays) {
		e->calls++;
		q->era = e->era;
	}
	entry_use(e);
}

/* The key has a destination that this request does not go to. */
static int leave_it(struct sticky *s, unsigned pool, struct entry *e, const struct conf_destination *from, enum verdict verdict,
                    struct sticky_question *q)
{
	struct pick pick;
	int err = choose(s, pool, q, &pick);

	if (err)
		return err;
	if (verdict == GOES_ELSEWHERE) {
		counter_inc(&s->counters, STICKY_ELSEWHERE);
		q->slot = pick.slot;
		return 0;
	}
	if (verdict == MOVES_DOWN && !was_tried(q, e->slot) && !dest_health(&s->p.pools->dest[pick.slot]).is_up) {
		join(e, q); /* nobody is up: then all that belongs together stays together */
		return 0;
	}
	if (pick.slot != e->slot || verdict == MOVES_GONE) {
		counter_inc(&s->counters, moves[verdict].counter);
		log_move(s, e, from, &s->conf->destinations[pick.destination], moves[verdict].why);
		settle(s, e, &pick);
	}
	join(e, q);
	return 0;
}

static int ask_known(struct sticky *s, unsigned pool, struct entry *e, struct sticky_question *q)
{
	const struct conf_destination *d = destination_at(s->map, s->conf, pool, e->slot, e->seed);
	enum verdict verdict = judge(s, e, d, q);

	if (verdict == IS_FULL)
		return -EBUSY;
	if (verdict != GOES_ON)
		return leave_it(s, pool, e, d, verdict, q);
	counter_inc(&s->counters, STICKY_KEPT);
	join(e, q);
	return 0;
}

/* Without memory for an entry the answer is as good, but nobody remembers it. */
static void begin(struct sticky *s, struct sticky_pool *pool, const struct pick *at, struct sticky_question *q)
{
	struct entry *e = entry_new(s, pool, q->key, q->text);

	q->slot = at->slot;
	if (!e)
		return;
	counter_inc(&s->counters, STICKY_NEW);
	settle(s, e, at);
	join(e, q);
}

/* It goes to `wanted` whatever is said here; its key may be there, too. */
static int ask_wanted(struct sticky *s, unsigned index, struct sticky_pool *pool, struct entry *e, struct sticky_question *q)
{
	const struct conf_destination *d = destination_at(s->map, s->conf, index, (uint16_t)(q->wanted - 1), 0);

	q->slot = (uint16_t)(q->wanted - 1);
	if (e && e->slot == q->slot)
		join(e, q);
	else if (!e && d)
		begin(s, pool, &(struct pick){ q->slot, d->id }, q);
	return 0;
}

int sticky_ask(struct sticky *s, struct sticky_question *q)
{
	struct sticky_pool *pool = pool_named(s, q->pool);
	int index = pool ? conf_find_pool(s->conf, q->pool) : -1, err;
	struct pick pick;
	struct entry *e;

	if (q->era)
		sticky_end(s, q->key, q->era);
	q->era = 0;
	if (index < 0 || !s->map)
		return -ENOENT;
	e = entry_find(s, pool, q->key, q->text);
	if (e && is_over(e, s->p.wheel->now_ms)) {
		counter_inc(&s->counters, STICKY_EXPIRED);
		entry_free(STEAL(e));
	}
	if (q->wanted)
		return ask_wanted(s, (unsigned)index, pool, e, q);
	if (e)
		return ask_known(s, (unsigned)index, e, q);
	if ((err = choose(s, (unsigned)index, q, &pick)))
		return err;
	begin(s, pool, &pick, q);
	return 0;
}

void sticky_end(struct sticky *s, uint64_t key, uint64_t era)
{
	for (struct link *l = table_find(&s->table, key); l; l = table_next(&s->table, l)) {
		struct entry *e = owner_of(l, struct entry, in_table);

		if (e->era != era || !e->calls)
			continue;
		e->calls--;
		entry_use(e); /* the time to live counts from the last call's end */
		return;
	}
}

/* Life ------------------------------------------------------------------------------------------------------------- */

int sticky_new(struct sticky **out, const struct sticky_params *p)
{
	struct sticky *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->p = *p;
	s->log_timer.fire = log_fire;
	list_init(&s->pools);
	slab_init(&s->entries, "sticky", sizeof(struct entry), 0); /* each pool has a bound */
	blocks_init(&s->texts);
	if ((err = table_init(&s->table, 0)) || (err = counters_init(&s->counters, sticky_counter_defs, STICKY_COUNTERS))) {
		sticky_free(s);
		return err;
	}
	*out = s;
	return 0;
}

static void free_all(struct node *list)
{
	while (!list_empty(list))
		entry_free(oldest(list));
}

static void pool_free(struct sticky_pool *pool)
{
	free_all(&pool->idle);
	free_all(&pool->busy);
	wheel_disarm(pool->s->p.wheel, &pool->timer);
	list_del(&pool->in_all);
	free(pool);
}

void sticky_free(struct sticky *s)
{
	if (!s)
		return;
	list_each_safe(n, &s->pools)
		pool_free(owner_of(n, struct sticky_pool, in_all));
	wheel_disarm(s->p.wheel, &s->log_timer);
	slab_fini(&s->entries);
	blocks_fini(&s->texts);
	table_fini(&s->table);
	counters_fini(&s->counters);
	free(s);
}

static struct sticky_pool *pool_new(struct sticky *s, const struct conf_pool *is)
{
	struct sticky_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->s = s;
	pool->timer.fire = pool_fire;
	list_init(&pool->idle);
	list_init(&pool->busy);
	memcpy(pool->name, is->name.p, is->name.len < CONF_NAME_MAX ? is->name.len : CONF_NAME_MAX);
	list_push(&s->pools, &pool->in_all);
	return pool;
}

static int gather_failed(struct sticky *s)
{
	list_each_safe(n, &s->pools)
		if (!owner_of(n, struct sticky_pool, in_all)->share)
			pool_free(owner_of(n, struct sticky_pool, in_all));
	return -ENOMEM;
}

/* All that may fail comes first. */
static int pools_gather(struct sticky *s, const struct conf *c)
{
	list_each(n, &s->pools)
		owner_of(n, struct sticky_pool, in_all)->is_named = false;
	for (unsigned i = 0; i < c->n_pools; i++) {
		struct sticky_pool *pool;

		if (!c->pools[i].sticky.is_on)
			continue;
		if (!(pool = pool_named(s, c->pools[i].name)) && !(pool = pool_new(s, &c->pools[i])))
			return gather_failed(s);
		pool->is_named = true;
	}
	return 0;
}

static void forget_all(struct sticky_pool *pool)
{
	counter_add(&pool->s->counters, STICKY_FORGOTTEN, pool->n);
	free_all(&pool->idle);
	free_all(&pool->busy);
}

static void pool_adopt(struct sticky_pool *pool, const struct conf_pool *is)
{
	uint64_t by = hash_bytes(pool->s->p.key, is->sticky.by.p, is->sticky.by.len);

	if (by != pool->by)
		forget_all(pool); /* they were keys of something else */
	pool->by = by;
	pool->ttl_ms = is->sticky.ttl_ms;
	pool->stays = is->sticky.stays;
	pool->share = (is->sticky.max + pool->s->p.workers - 1) / pool->s->p.workers;
	pool_watch(pool);
}

int sticky_adopt(struct sticky *s, const struct conf *c)
{
	int err = pools_gather(s, c);

	if (err)
		return err;
	s->conf = c;
	s->map = pools_map(s->p.pools, c);
	list_each_safe(n, &s->pools) {
		struct sticky_pool *pool = owner_of(n, struct sticky_pool, in_all);

		if (pool->is_named) {
			pool_adopt(pool, &c->pools[conf_find_pool(c, sv_from(pool->name))]);
			continue;
		}
		forget_all(pool);
		pool_free(pool);
	}
	return 0;
}

struct counters *sticky_counters(struct sticky *s)
{
	return &s->counters;
}

const struct slab *sticky_slab(const struct sticky *s)
{
	return &s->entries;
}

void sticky_trim(struct sticky *s)
{
	slab_trim(&s->entries);
	blocks_trim(&s->texts);
}

/* Operators -------------------------------------------------------------------------------------------------------- */

static const struct conf_destination *destination_of(const struct sticky *s, const struct entry *e)
{
	int index = conf_find_pool(s->conf, sv_from(e->pool->name));

	return index < 0 ? NULL : destination_at(s->map, s->conf, (unsigned)index, e->slot, e->seed);
}

/* Until it goes, if nobody uses it. */
static uint64_t time_left(const struct entry *e)
{
	uint64_t now = e->pool->s->p.wheel->now_ms, end = e->calls ? now + e->pool->ttl_ms : e->used_ms + e->pool->ttl_ms;

	return end > now ? end - now : 0;
}

static struct sticky_info info_of(const struct sticky *s, const struct entry *e)
{
	const struct conf_destination *d = destination_of(s, e);
	struct sticky_info info = { .text = text_of(e), .idle_ms = s->p.wheel->now_ms - e->used_ms, .left_ms = time_left(e),
		                    .calls = e->calls };

	if (d) {
		info.destination = d->name;
		info.pool = s->conf->pools[d->pool].name;
	}
	return info;
}

static bool each_of(const struct sticky *s, const struct node *list, bool (*fn)(void *ctx, const struct sticky_info *i), void *ctx)
{
	list_each(n, list) {
		struct sticky_info info = info_of(s, owner_of(n, struct entry, in_pool));

		if (!fn(ctx, &info))
			return false;
	}
	return true;
}

void sticky_each(const struct sticky *s, struct sv pool, struct sv text, bool (*fn)(void *ctx, const struct sticky_info *i), void *ctx)
{
	const struct sticky_pool *p = pool_named(s, pool);
	struct sticky_info info;

	if (p && text.len) {
		const struct entry *e = entry_find(s, p, sticky_key(s->p.key, pool, text), text);

		if (e) {
			info = info_of(s, e);
			fn(ctx, &info);
		}
		return;
	}
	if (p && each_of(s, &p->idle, fn, ctx))
		each_of(s, &p->busy, fn, ctx);
}

bool sticky_forget(struct sticky *s, struct sv pool, struct sv text)
{
	struct sticky_pool *p = pool_named(s, pool);
	struct entry *e = p ? entry_find(s, p, sticky_key(s->p.key, pool, text), text) : NULL;

	if (!e)
		return false;
	counter_inc(&s->counters, STICKY_FORGOTTEN);
	entry_free(e);
	return true;
}

/* Records ---------------------------------------------------------------------------------------------------------- */

static void put_entry(const struct sticky *s, const struct entry *e, struct sticky_sink *sink)
{
	const struct conf_destination *d = destination_of(s, e);
	uint64_t left_ms = time_left(e);
	char area[STICKY_RECORD_MAX];
	struct tlv_out o;

	if (!d || !left_ms)
		return;
	tlv_init(&o, area, sizeof(area));
	tlv_put_u64(&o, RECORD_VERSION, VERSION);
	tlv_put(&o, RECORD_POOL, sv_from(e->pool->name));
	tlv_put(&o, RECORD_TEXT, text_of(e));
	tlv_put(&o, RECORD_DEST_POOL, s->conf->pools[d->pool].name);
	tlv_put(&o, RECORD_DEST, d->name);
	tlv_put_u64(&o, RECORD_LEFT, left_ms);
	if (!o.is_full) /* cannot be: names and keys have their bounds */
		sink->put(sink, e->in_table.key, (struct sv){ o.p, o.len });
}

static void put_entries(const struct sticky *s, const struct node *list, struct sticky_sink *sink)
{
	list_each(n, list)
		put_entry(s, owner_of(n, struct entry, in_pool), sink);
}

void sticky_export(const struct sticky *s, struct sticky_sink *sink)
{
	list_each(p, &s->pools) { /* in order of what is left to them */
		put_entries(s, &owner_of(p, struct sticky_pool, in_all)->idle, sink);
		put_entries(s, &owner_of(p, struct sticky_pool, in_all)->busy, sink);
	}
}

struct record {
	struct sv pool, text, dest_pool, dest;
	uint64_t left_ms;
};

static int record_read(struct record *r, struct sv rest)
{
	struct sv of[RECORD_FIELDS] = { { NULL, 0 } }, bytes;
	uint8_t field;
	int err;

	while ((err = tlv_next(&rest, &field, &bytes)) == 0)
		if (field < RECORD_FIELDS)
			of[field] = bytes;
	*r = (struct record){ of[RECORD_POOL], of[RECORD_TEXT], of[RECORD_DEST_POOL], of[RECORD_DEST], tlv_u64(of[RECORD_LEFT]) };
	return err != -ENOENT || tlv_u64(of[RECORD_VERSION]) != VERSION || !sticky_is_text(r->text) ? -EBADMSG : 0;
}

uint16_t sticky_record_shard(const struct hash_key *key, struct sv record)
{
	struct record r;

	return record_read(&r, record) ? 0 : sticky_shard(sticky_key(key, r.pool, r.text));
}

/* Behind those that were used before it. Records come in the order of use, so the place is near the end. */
static void put_in_order(struct sticky_pool *pool, struct entry *e)
{
	struct node *at = &pool->idle;

	list_del(&e->in_pool);
	for (unsigned i = 0; i < STICKY_BATCH && at->prev != &pool->idle; i++, at = at->prev)
		if (owner_of(at->prev, struct entry, in_pool)->used_ms <= e->used_ms)
			break;
	list_push(at, &e->in_pool);
	pool_watch(pool);
}

int sticky_apply(struct sticky *s, struct sv record)
{
	const struct conf_destination *d;
	struct sticky_pool *pool;
	uint64_t key, now = s->p.wheel->now_ms, ago;
	struct record r;
	struct entry *e;
	int err = record_read(&r, record);

	if (err)
		return err;
	pool = pool_named(s, r.pool);
	d = conf_find_destination(s->conf, r.dest_pool, r.dest);
	if (!pool || !s->map || !d || !r.left_ms)
		return 0;
	key = sticky_key(s->p.key, r.pool, r.text);
	if (entry_find(s, pool, key, r.text))
		return -EEXIST;
	if (!(e = entry_new(s, pool, key, r.text)))
		return -ENOMEM;
	settle(s, e, &(struct pick){ s->map->of[d->id].slot, d->id });
	ago = r.left_ms < pool->ttl_ms ? pool->ttl_ms - r.left_ms : 0;
	e->used_ms = ago < now ? now - ago : 0;
	put_in_order(pool, e);
	return 0;
}
