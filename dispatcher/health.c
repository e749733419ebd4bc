/* dispatcher/health.c - what probes, calls and operators say about a destination. The rules: pool.h. */
#include "dispatcher/state.h"
#include "base/nearest.h"
#include <errno.h>
#include <stdio.h>

/* Notes --------------------------------------------------------------------------------------------------------- */

enum { WRITE_TRIES = 1000 };

static bool note_lock(struct note *n)
{
	for (unsigned i = 0; i < WRITE_TRIES; i++) {
		uint32_t seq = atomic_load_explicit(&n->seq, memory_order_relaxed);

		if (!(seq & 1) && atomic_compare_exchange_weak_explicit(&n->seq, &seq, seq + 1, memory_order_acquire,
		                                                        memory_order_relaxed))
			return true;
	}
	return false;
}

/* Words are stored with release and loaded with acquire, so that they stay between the two changes of `seq` without fences
 * (which ThreadSanitizer does not know). A writer that never gets its turn gives up: a note is for display. */
void note_write(struct note *n, uint64_t ms, const char *text)
{
	uint64_t word[NOTE_WORDS] = { ms };

	snprintf((char *)&word[1], sizeof(word) - sizeof(word[0]), "%s", text ? text : "");
	if (!note_lock(n))
		return;
	for (unsigned i = 0; i < NOTE_WORDS; i++)
		atomic_store_explicit(&n->word[i], word[i], memory_order_release);
	atomic_fetch_add_explicit(&n->seq, 1, memory_order_release);
}

bool note_read(const struct note *n, uint64_t *ms, char *text, size_t size)
{
	uint64_t word[NOTE_WORDS];

	for (unsigned try = 0; try < WRITE_TRIES; try++) {
		uint32_t before = atomic_load_explicit(&n->seq, memory_order_acquire);

		for (unsigned i = 0; i < NOTE_WORDS; i++)
			word[i] = atomic_load_explicit(&n->word[i], memory_order_acquire);
		if (before & 1 || atomic_load_explicit(&n->seq, memory_order_relaxed) != before)
			continue;
		*ms = word[0];
		snprintf(text, size, "%.*s", (int)size - 1, (const char *)&word[1]);
		return true;
	}
	*ms = 0;
	*text = '\0';
	return false;
}

/* Evidence ------------------------------------------------------------------------------------------------------ */

struct evidence {
	enum dest_event event;
	bool has_probes;
	unsigned down_after, up_after;
	uint64_t now_ms;
};

static unsigned next_in_run(unsigned run)
{
	return run < RUN_MAX ? run + 1 : RUN_MAX;
}

static unsigned within_run(unsigned threshold)
{
	return threshold < 1 ? 1 : threshold > RUN_MAX ? RUN_MAX : threshold;
}

/* Taken down by a call: for longer at each relapse. */
static void hold(struct health *h, uint64_t now_ms)
{
	if (h->step < POOL_HOLD_STEPS_MAX + 1)
		h->step++;
	h->hold_until_s = (now_ms + (POOL_HOLD_MS << (h->step - 1)) + 999) / 1000;
}

static void weigh_failure(struct health *h, const struct evidence *e)
{
	bool is_call = e->event == CALL_FAILED;

	h->oks = 0;
	if (is_call)
		h->call_run = next_in_run(h->call_run);
	else
		h->probe_run = next_in_run(h->probe_run);
	if (h->is_up && (unsigned)(h->probe_run + h->call_run) >= e->down_after) {
		h->is_up = 0;
		h->hold_until_s = 0;
		if (is_call || !e->has_probes)
			hold(h, e->now_ms);
	}
}

static void weigh_success(struct health *h, const struct evidence *e)
{
	h->probe_run = 0;
	if (e->event == CALL_OK) {
		h->call_run = 0;
		h->step = 0;
		h->hold_until_s = 0;
	}
	if (h->is_up)
		return;
	h->oks = next_in_run(h->oks);
	if (h->oks >= e->up_after && e->now_ms >= h->hold_until_s * 1000ull) {
		h->is_up = 1;
		h->oks = 0;
		h->call_run = 0;
	}
}

static struct health weigh(struct health h, const struct evidence *e)
{
	if (e->event == PROBE_FAILED || e->event == CALL_FAILED)
		weigh_failure(&h, e);
	else
		weigh_success(&h, e);
	return h;
}

static void count(struct dest *d, enum dest_event e)
{
	if (e == PROBE_OK || e == PROBE_FAILED)
		atomic_fetch_add_explicit(&d->probes, 1, memory_order_relaxed);
	if (e == PROBE_FAILED)
		atomic_fetch_add_explicit(&d->probe_failures, 1, memory_order_relaxed);
	if (e == CALL_FAILED)
		atomic_fetch_add_explicit(&d->failures, 1, memory_order_relaxed);
}

static void returned(struct dest *d, uint64_t now_ms)
{
	atomic_store_explicit(&d->returned_ms, now_ms, memory_order_relaxed);
}

static void note_change(struct pools *p, uint16_t slot, enum dest_event e, uint64_t now_ms, const char *why)
{
	char text[64];

	snprintf(text, sizeof(text), "%s: %s", e == PROBE_OK || e == PROBE_FAILED ? "probe" : "call", why ? why : "");
	note_write(&p->change[slot], now_ms, text);
}

void dest_report(struct pools *p, const struct conf *c, uint32_t destination, enum dest_event e, uint64_t now_ms,
                 const char *why)
{
	uint16_t slot = pools_slot(p, c, destination);
	const struct conf_pool *pool;
	struct evidence evidence;
	struct health was, is;
	struct dest *d;
	uint64_t word;

	if (slot == POOL_NO_SLOT)
		return;
	pool = &c->pools[c->destinations[destination].pool];
	evidence = (struct evidence){ e, pool->probe.is_on, within_run(pool->probe.down_after),
		                      within_run(pool->probe.up_after), now_ms };
	d = &p->dest[slot];
	count(d, e);
	word = atomic_load_explicit(&d->health, memory_order_relaxed);
	do {
		was = health_of(word);
		is = weigh(was, &evidence);
		if (health_word(is) == word)
			return; /* the usual case of a call: nothing to write */
	} while (!atomic_compare_exchange_weak_explicit(&d->health, &word, health_word(is), memory_order_relaxed,
	                                                memory_order_relaxed));
	if (was.is_up == is.is_up)
		return;
	if (is.is_up)
		returned(d, now_ms);
	note_change(p, slot, e, now_ms, why);
}

bool dest_is_well(const struct pools *p, uint16_t slot)
{
	return slot < POOL_DESTINATIONS_MAX &&
	       atomic_load_explicit(&p->dest[slot].health, memory_order_relaxed) == health_word((struct health){ .is_up = 1 });
}

void dest_rest(struct pools *p, const struct conf *c, uint32_t destination, uint64_t now_ms, uint32_t seconds)
{
	uint16_t slot = pools_slot(p, c, destination);
	uint32_t most, was;
	uint64_t until;

	if (slot == POOL_NO_SLOT)
		return;
	most = c->pools[c->destinations[destination].pool].health.retry_after_ms / 1000;
	until = now_ms / 1000 + (seconds < most ? seconds : most);
	was = atomic_load_explicit(&p->dest[slot].rest_until_s, memory_order_relaxed);
	while (most && seconds && until > was && until < UINT32_MAX &&
	       !atomic_compare_exchange_weak_explicit(&p->dest[slot].rest_until_s, &was, (uint32_t)until, memory_order_relaxed,
	                                              memory_order_relaxed))
		;
}

void dest_tick(struct pools *p, const struct conf *c, uint32_t destination, uint64_t now_ms)
{
	uint16_t slot = pools_slot(p, c, destination);
	struct health h;
	uint64_t word;
	unsigned down_after;

	if (slot == POOL_NO_SLOT)
		return;
	down_after = within_run(c->pools[c->destinations[destination].pool].probe.down_after);
	word = atomic_load_explicit(&p->dest[slot].health, memory_order_relaxed);
	h = health_of(word);
	if (h.is_up || now_ms < h.hold_until_s * 1000ull)
		return;
	h.is_up = 1;
	h.oks = 0;
	h.probe_run = 0;
	h.call_run = down_after - 1; /* on trial: one failure is enough */
	if (!atomic_compare_exchange_strong_explicit(&p->dest[slot].health, &word, health_word(h), memory_order_relaxed,
	                                             memory_order_relaxed))
		return; /* a report came in between: the next tick tries again */
	note_write(&p->change[slot], now_ms, "on trial after a pause");
	returned(&p->dest[slot], now_ms);
}

void dest_latency(struct pools *p, uint16_t slot, uint32_t us)
{
	_Atomic uint32_t *at;
	uint32_t old, next;

	if (slot >= POOL_DESTINATIONS_MAX)
		return;
	at = &p->dest[slot].latency_us;
	old = atomic_load_explicit(at, memory_order_relaxed);
	next = old ? (uint32_t)(((uint64_t)old * 7 + us) / 8) : us;
	atomic_store_explicit(at, next ? next : 1, memory_order_relaxed);
}

uint32_t pool_detection_ms(const struct conf_pool *pool)
{
	uint64_t ms = (uint64_t)pool->probe.every_ms * within_run(pool->probe.down_after) + pool->probe.timeout_ms;

	if (!pool->probe.is_on)
		return 0;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* Operators ----------------------------------------------------------------------------------------------------- */

/* The known name nearest to `name`, if any is near enough to be meant. */
static void nearest_name(const struct pools *p, const struct map *map, struct sv name, char hint[128])
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (unsigned i = 0; map && i < map->n; i++)
		nearest_offer(&nearest, (struct sv){ p->name[map->of[i].slot].key, p->name[map->of[i].slot].len });
	snprintf(hint, 128, "%.*s", SV_ARG(nearest.best));
}

uint16_t dest_find(const struct pools *p, const struct conf *c, struct sv name, char hint[128])
{
	const struct map *map = pools_map(p, c);

	for (unsigned i = 0; map && i < map->n; i++) {
		uint16_t slot = map->of[i].slot;

		if (sv_eq(name, (struct sv){ p->name[slot].key, p->name[slot].len }))
			return slot;
	}
	if (hint)
		nearest_name(p, map, name, hint);
	return POOL_NO_SLOT;
}

void dest_put_wish(struct pools *p, uint16_t slot, enum dest_wish wish, uint64_t now_ms)
{
	uint8_t was;

	if (slot >= POOL_DESTINATIONS_MAX)
		return;
	was = atomic_exchange_explicit(&p->dest[slot].wish, (uint8_t)wish, memory_order_relaxed);
	if (was != WISH_IN_SERVICE && wish == WISH_IN_SERVICE)
		returned(&p->dest[slot], now_ms);
}

uint64_t dest_returned_ms(const struct pools *p, uint16_t slot)
{
	return slot < POOL_DESTINATIONS_MAX ? atomic_load_explicit(&p->dest[slot].returned_ms, memory_order_relaxed) : 0;
}

void dest_info(const struct pools *p, uint16_t slot, struct dest_info *out)
{
	const struct dest *d;

	*out = (struct dest_info){ 0 };
	if (slot >= POOL_DESTINATIONS_MAX)
		return;
	d = &p->dest[slot];
	*out = (struct dest_info){
		.is_up = dest_health(d).is_up,
		.wish = atomic_load_explicit(&d->wish, memory_order_relaxed),
		.load = dest_load(p, slot),
		.failures = atomic_load_explicit(&d->failures, memory_order_relaxed),
		.probes = atomic_load_explicit(&d->probes, memory_order_relaxed),
		.probe_failures = atomic_load_explicit(&d->probe_failures, memory_order_relaxed),
		.latency_us = atomic_load_explicit(&d->latency_us, memory_order_relaxed),
		.rest_until_ms = atomic_load_explicit(&d->rest_until_s, memory_order_relaxed) * 1000ull,
	};
	for (unsigned w = 0; w < p->workers; w++)
		out->calls += atomic_load_explicit(&p->tally[w].calls[slot], memory_order_relaxed);
	note_read(&p->change[slot], &out->since_ms, out->why, sizeof(out->why));
}
