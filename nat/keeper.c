/* nat/keeper.c - one ring of slots per interval. Time goes round it; at slot i the contacts whose place is there are visited, and
 * those whose place is half a ring away. */
#include "nat/keeper.h"
#include "base/list.h"
#include <errno.h>
#include <stdlib.h>

enum {
	NEAR = 24,             /* places looked at for one with few contacts */
	CATCH_UP = 5,          /* pings in one slot against the mean, in quarters, when behind */
	HURRY = 8,             /* when far behind: */
	FAR_BEHIND = 16,       /* by this part of an interval */
};

const struct counter_def keeper_counter_defs[KEEPER_COUNTERS] = {
	[KEEPER_CONTACTS] = { "keepalive_contacts", "Contacts that are kept alive", true },
	[KEEPER_OPTIONS] = { "keepalive_options_total", "OPTIONS sent as keep-alive", false },
	[KEEPER_CRLF] = { "keepalive_crlf_total", "CRLF datagrams sent as keep-alive", false },
	[KEEPER_EMPTY] = { "keepalive_empty_total", "Empty datagrams sent as keep-alive", false },
	[KEEPER_STREAM] = { "keepalive_stream_total", "Keep-alives sent on connections", false },
	[KEEPER_FAILED] = { "keepalive_failed_total", "Keep-alives that could not be sent", false },
	[KEEPER_SPARED] = { "keepalive_spared_total", "Keep-alives not sent because the contact had spoken", false },
	[KEEPER_ANSWERS] = { "keepalive_answers_total", "Answers to keep-alives", false },
	[KEEPER_MISSES] = { "keepalive_misses_total", "Keep-alives without an answer", false },
	[KEEPER_LOST] = { "keepalive_lost_total", "Contacts given up because they did not answer", false },
	[KEEPER_SPARED_DEATHS] = { "keepalive_silence_total", "Contacts not given up because nobody at all was heard", false },
	[KEEPER_REFUSED] = { "keepalive_refused_total", "Contacts not kept alive: no memory, or too many intervals", false },
	[KEEPER_LATE] = { "keepalive_late_total", "Turns in which keep-alives were put off so as not to be sent in one burst", false },
	[KEEPER_MINUTE] = { "keepalive_last_minute", "Keep-alives sent in the last full minute", true },
	[KEEPER_BUSIEST] = { "keepalive_busiest_slot", "The busiest 10 ms of each worker's last full minute, added up", true },
	[KEEPER_SLOTS_1] = { "keepalive_slots_1_total", "Slots of 10 ms with one keep-alive", false },
	[KEEPER_SLOTS_3] = { "keepalive_slots_3_total", "Slots of 10 ms with 2 or 3", false },
	[KEEPER_SLOTS_10] = { "keepalive_slots_10_total", "Slots of 10 ms with 4 to 10", false },
	[KEEPER_SLOTS_30] = { "keepalive_slots_30_total", "Slots of 10 ms with 11 to 30", false },
	[KEEPER_SLOTS_100] = { "keepalive_slots_100_total", "Slots of 10 ms with 31 to 100", false },
	[KEEPER_SLOTS_300] = { "keepalive_slots_300_total", "Slots of 10 ms with 101 to 300", false },
	[KEEPER_SLOTS_1000] = { "keepalive_slots_1000_total", "Slots of 10 ms with 301 to 1000", false },
	[KEEPER_SLOTS_MORE] = { "keepalive_slots_more_total", "Slots of 10 ms with more than 1000", false },
};

static const struct {
	uint16_t counter;
	bool is_answered;      /* by everybody: silence means something */
} kinds[KEEP_KINDS] = {
	[KEEP_OPTIONS] = { KEEPER_OPTIONS, true },
	[KEEP_CRLF] = { KEEPER_CRLF, false },
	[KEEP_EMPTY] = { KEEPER_EMPTY, false },
	[KEEP_STREAM] = { KEEPER_STREAM, true },
	[KEEP_STREAM_QUIET] = { KEEPER_STREAM, false },
};

struct place {
	struct keep *first;
	uint32_t count;
};

struct ring {
	struct place *places;
	uint64_t *busy;        /* bits: places with contacts */
	uint32_t every_ms, n_places, count;
	uint64_t next;         /* the slot, counted from time 0, that is visited now or next */
	uint64_t sure_from;    /* slot: what was asked before then may have been answered unheard */
	struct keep *at;       /* whom to visit next in it */
	uint8_t pass;          /* enum pass: how far the visit is */
};

enum pass { NOT_BEGUN, AT_HOME, HALF_WAY };

struct keeper {
	struct keeper_params p;
	struct counters counters;
	struct timer timer, summary;
	struct ring rings[KEEPER_RINGS_MAX];
	struct ring *visiting;
	uint64_t slot;         /* the one that `sent` counts */
	uint64_t heard_ms;     /* when anybody was heard last */
	uint64_t window_ms;    /* beginning of the minute that is being counted */
	uint64_t lost_ms;      /* beginning of what the next summary tells of */
	uint32_t sent, window_sent, window_busiest, lost;
	unsigned first;        /* ring that is visited first: each in turn */
	bool is_paused;
};

static uint64_t slot_now(const struct keeper *k)
{
	return k->p.wheel->now_ms / KEEPER_SLOT_MS;
}

static void on_timer(struct timer *t);
static void on_summary(struct timer *t);

/* 0 stays: never. */
static uint32_t within_bounds(uint32_t every_ms)
{
	if (every_ms && every_ms < KEEPER_EVERY_MIN_MS)
		return KEEPER_EVERY_MIN_MS;
	return every_ms < KEEPER_EVERY_MAX_MS ? every_ms : KEEPER_EVERY_MAX_MS;
}

/* Rings ----------------------------------------------------------------------------------------------------------- */

static void ring_free(struct ring *r)
{
	for (uint32_t i = 0; i < r->n_places; i++)
		for (struct keep *e = r->places[i].first, *next; e; e = next) {
			next = e->next;
			*e = (struct keep){ .mark = e->mark };
		}
	free(r->places);
	free(r->busy);
	*r = (struct ring){ 0 };
}

/* An even number of places, so that half a ring is a whole number of them. */
static int ring_init(struct keeper *k, struct ring *r, uint32_t every_ms)
{
	uint32_t n = every_ms / KEEPER_SLOT_MS / 2 * 2;
	struct place *places = calloc(n, sizeof(*places));
	uint64_t *busy = calloc(n / 64 + 1, sizeof(*busy));

	if (!places || !busy) {
		free(places);
		free(busy);
		return -ENOMEM;
	}
	*r = (struct ring){ .places = places, .busy = busy, .every_ms = every_ms, .n_places = n, .next = slot_now(k) + 1 };
	return 0;
}

/* The ring of this interval: one that exists, else a free one, else that of an interval nobody has any more. */
static int ring_get(struct keeper *k, uint32_t every_ms, struct ring **out)
{
	struct ring *unused = NULL;
	int err;

	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++) {
		struct ring *r = &k->rings[i];

		if (r->every_ms == every_ms) {
			*out = r;
			return 0;
		}
		if (!r->count && r != k->visiting && (!unused || !r->every_ms))
			unused = r;
	}
	if (!unused)
		return -ENOSPC;
	ring_free(unused);
	if (!(err = ring_init(k, unused, every_ms)))
		*out = unused;
	return err;
}

static void place_add(struct ring *r, uint32_t slot, struct keep *e)
{
	struct place *p = &r->places[slot];

	e->slot = (uint16_t)slot;
	e->next = p->first;
	e->pprev = &p->first;
	if (e->next)
		e->next->pprev = &e->next;
	p->first = e;
	p->count++;
	r->busy[slot / 64] |= 1ull << slot % 64;
	r->count++;
}

static void place_del(struct ring *r, struct keep *e)
{
	struct place *p = &r->places[e->slot];

	if (r->at == e)
		r->at = e->next;
	*e->pprev = e->next;
	if (e->next)
		e->next->pprev = e->pprev;
	if (--p->count == 0)
		r->busy[e->slot / 64] &= ~(1ull << e->slot % 64);
	r->count--;
}

/* Near its phase, where the fewest are: the first that has less than its share will do. */
static uint32_t place_find(const struct ring *r, uint64_t phase)
{
	uint32_t slot = (uint32_t)((phase >> 32) * r->n_places >> 32), best = slot, share = r->count / r->n_places;

	for (unsigned i = 0; i < NEAR; i++, slot = slot + 1 < r->n_places ? slot + 1 : 0) {
		if (r->places[slot].count < r->places[best].count)
			best = slot;
		if (r->places[best].count < share || !r->places[best].count)
			break;
	}
	return best;
}

/* Time -------------------------------------------------------------------------------------------------------------- */

static uint32_t half_way(const struct ring *r, uint32_t slot)
{
	uint32_t half = r->n_places / 2;

	return slot < half ? slot + half : slot - half;
}

/* How far from `slot` on the next place with contacts is; UINT32_MAX: there is none up to the end. */
static uint32_t busy_after(const struct ring *r, uint32_t slot)
{
	uint64_t word = r->busy[slot / 64] & ~0ull << slot % 64;

	for (uint32_t i = slot / 64;; word = r->busy[i]) {
		if (word)
			return i * 64 + (uint32_t)__builtin_ctzll(word) - slot;
		if (++i > r->n_places / 64)
			return UINT32_MAX;
	}
}

static uint32_t busy_from(const struct ring *r, uint32_t slot)
{
	uint32_t ahead = busy_after(r, slot), round = r->n_places - slot;

	return ahead == UINT32_MAX ? round + busy_after(r, 0) : ahead;
}

/* The next slot at which the ring has somebody to visit. */
static uint64_t ring_due(const struct ring *r)
{
	uint32_t slot = (uint32_t)(r->next % r->n_places), home, half;

	if (r->at)
		return r->next;
	home = busy_from(r, slot);
	half = busy_from(r, half_way(r, slot));
	return r->next + (home < half ? home : half);
}

/* When `e`, which has just joined, is visited first. */
static uint64_t first_due(const struct ring *r, const struct keep *e)
{
	uint32_t ahead = (uint32_t)((e->slot + r->n_places - r->next % r->n_places) % r->n_places), half = r->n_places / 2;

	return r->next + (ahead < half ? ahead : ahead - half);
}

static void arm(struct keeper *k, uint64_t due)
{
	uint64_t now = slot_now(k), at_ms = (due > now ? due : now + 1) * KEEPER_SLOT_MS;

	if (!k->is_paused && (!timer_is_armed(&k->timer) || k->timer.at_ms > at_ms))
		wheel_arm(k->p.wheel, &k->timer, at_ms);
}

static void set_timer(struct keeper *k)
{
	wheel_disarm(k->p.wheel, &k->timer);
	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++)
		if (k->rings[i].count)
			arm(k, ring_due(&k->rings[i]));
}

/* Visits ------------------------------------------------------------------------------------------------------------ */

/* Of one worker's slot; a minute's busiest and sum are shown when the minute is over. */
static void slot_end(struct keeper *k)
{
	static const uint16_t up_to[] = { 1, 3, 10, 30, 100, 300, 1000 };
	unsigned bucket = 0;

	if (k->sent) {
		while (bucket < sizeof(up_to) / sizeof(up_to[0]) && k->sent > up_to[bucket])
			bucket++;
		counter_inc(&k->counters, KEEPER_SLOTS_1 + bucket);
	}
	k->window_sent += k->sent;
	if (k->sent > k->window_busiest)
		k->window_busiest = k->sent;
	k->sent = 0;
	if (k->p.wheel->now_ms - k->window_ms < KEEPER_WINDOW_MS)
		return;
	counter_set(&k->counters, KEEPER_MINUTE, k->window_sent);
	counter_set(&k->counters, KEEPER_BUSIEST, k->window_busiest);
	k->window_sent = k->window_busiest = 0;
	k->window_ms = k->p.wheel->now_ms;
}

static void forget(struct keep *e)
{
	e->misses = 0;
	e->is_asked = false;
}

static void leave(struct keeper *k, struct keep *e)
{
	place_del(&k->rings[e->ring - 1], e);
	*e = (struct keep){ .mark = e->mark };
	counter_add(&k->counters, KEEPER_CONTACTS, (uint64_t)-1);
	if (counter_get(&k->counters, KEEPER_CONTACTS) == 0) { /* nobody is there any more to end the minute */
		counter_set(&k->counters, KEEPER_MINUTE, 0);
		counter_set(&k->counters, KEEPER_BUSIEST, 0);
	}
}

static void join(struct keeper *k, struct ring *r, struct keep *e, uint64_t phase)
{
	*e = (struct keep){ .mark = e->mark, .ring = (uint8_t)(r - k->rings + 1), .is_heard = true };
	if (!r->count && r != k->visiting)
		r->next = slot_now(k) + 1;
	place_add(r, place_find(r, phase), e);
	counter_inc(&k->counters, KEEPER_CONTACTS);
	arm(k, first_due(r, e));
}

static void lose(struct keeper *k, struct keep *e)
{
	leave(k, e);
	counter_inc(&k->counters, KEEPER_LOST);
	if (k->lost++ == 0) {
		k->lost_ms = k->p.wheel->now_ms;
		wheel_arm_in(k->p.wheel, &k->summary, KEEPER_SUMMARY_MS);
	}
	k->p.on_dead(k->p.ctx, e);
}

/* When many are kept and for a whole interval not one of them was heard, it is our own line that is down: nobody is given up. */
static bool is_alone(const struct keeper *k, const struct ring *r)
{
	return counter_get(&k->counters, KEEPER_CONTACTS) < KEEPER_CROWD || k->p.wheel->now_ms - k->heard_ms <= r->every_ms;
}

static void ping_now(struct keeper *k, struct keep *e, bool is_home)
{
	int kind;

	e->is_late = !is_home;
	e->is_asked = false;
	k->sent++;
	kind = k->p.ping(k->p.ctx, e);
	if (kind == -ENOTCONN && keep_is_kept(e)) {
		lose(k, e);
	} else if (kind < 0) {
		counter_inc(&k->counters, KEEPER_FAILED);
	} else {
		counter_inc(&k->counters, kinds[kind].counter);
		e->is_asked = kinds[kind].is_answered;
		e->is_heard = !e->is_asked;
	}
}

/* Its last ping is not answered: true when that makes it dead. */
static bool missed(struct keeper *k, const struct ring *r, struct keep *e, unsigned misses)
{
	if (r->next < r->sure_from)
		return false;
	counter_inc(&k->counters, KEEPER_MISSES);
	if (e->misses < UINT8_MAX)
		e->misses++;
	if (e->misses < misses)
		return false;
	if (is_alone(k, r))
		return true;
	counter_inc(&k->counters, KEEPER_SPARED_DEATHS);
	return false;
}

/* To a place as far around the ring of another interval. Without room for that interval it stays where it is. */
static bool moves(struct keeper *k, const struct ring *r, struct keep *e, uint32_t every_ms)
{
	uint64_t phase = ((uint64_t)e->slot << 32) / r->n_places << 32;
	struct ring *other;

	if (every_ms == r->every_ms)
		return false;
	if (every_ms && ring_get(k, every_ms, &other)) {
		counter_inc(&k->counters, KEEPER_REFUSED);
		return false;
	}
	leave(k, e);
	if (every_ms)
		join(k, other, e, phase);
	return true;
}

/* How much later than its slot a visit is: an answer to the ping before is older by that. */
static uint32_t lag_ms(const struct keeper *k, const struct ring *r)
{
	return (uint32_t)(slot_now(k) - r->next) * KEEPER_SLOT_MS;
}

static void visit(struct keeper *k, struct ring *r, struct keep *e, bool is_home)
{
	struct keep_terms terms = k->p.terms(k->p.ctx, e);

	if (moves(k, r, e, within_bounds(terms.every_ms)))
		return;
	if (k->p.has_spoken(k->p.ctx, e, r->every_ms / 2 + (e->is_asked ? KEEPER_SLACK_MS + lag_ms(k, r) : 0))) {
		bool was_asked = e->is_asked;

		keeper_heard(k, e);
		if (!was_asked) {
			e->is_heard = e->is_late = false;
			counter_inc(&k->counters, KEEPER_SPARED);
			return;
		}
	}
	if (e->is_heard) {
		e->is_heard = false;
		if (!is_home || !e->is_late) /* back to its place by one ping more, so that places tell how busy a slot is */
			return;
	} else if (e->is_asked && missed(k, r, e, terms.misses)) {
		lose(k, e);
		return;
	}
	ping_now(k, e, is_home);
}

/* Begins the next part of the visit to the slot; false: all of it is done, and the next one comes. */
static bool pass_begin(struct ring *r)
{
	uint32_t slot = (uint32_t)(r->next % r->n_places);

	if (r->pass == HALF_WAY) {
		r->pass = NOT_BEGUN;
		r->next++;
		return false;
	}
	r->at = r->places[r->pass == NOT_BEGUN ? slot : half_way(r, slot)].first;
	r->pass++;
	return true;
}

/* What more may be sent in this slot. Who lags far behind is more than the places say (contacts that do not answer are asked twice as
 * often): then it is more. */
static uint32_t allowed(const struct keeper *k)
{
	uint64_t mean = 0, now = slot_now(k); /* in 1/1024 */
	bool is_far = false;

	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++) {
		const struct ring *r = &k->rings[i];

		if (!r->count)
			continue;
		mean += ((uint64_t)r->count << 10) / r->n_places;
		is_far |= now > r->next + r->n_places / FAR_BEHIND;
	}
	return (uint32_t)(mean * (is_far ? HURRY : CATCH_UP) / 4 >> 10) + 1;
}

/* Over the slots with nobody in one step. */
static void skip_empty(struct ring *r, uint64_t now)
{
	uint64_t due = r->count ? ring_due(r) : UINT64_MAX;

	r->next = due < now + 1 ? due : now + 1;
}

/* Skips what would be visited a second time by now. After so long a sleep there may be answers nobody has read. */
static void skip_missed(struct ring *r, uint64_t now)
{
	if (now <= r->next + r->n_places / 2)
		return;
	r->next = now - r->n_places / 2;
	r->sure_from = now + r->n_places / 2 + 1;
	r->at = NULL;
	r->pass = NOT_BEGUN;
}

static void run_ring(struct keeper *k, struct ring *r, uint32_t most, unsigned *visits)
{
	uint64_t now = slot_now(k);

	if (!r->pass)
		skip_empty(r, now);
	skip_missed(r, now);
	k->visiting = r;
	while (r->next <= now && k->sent < most && *visits < KEEPER_VISITS_MAX) {
		struct keep *e = r->at;

		if (!e) {
			if (!pass_begin(r))
				skip_empty(r, now);
			continue;
		}
		r->at = e->next;
		++*visits;
		visit(k, r, e, r->pass == AT_HOME);
	}
	k->visiting = NULL;
}

/* Has anybody been waiting since before the last slot? */
static bool ring_is_behind(const struct ring *r, uint64_t now)
{
	return r->count && ring_due(r) + 1 < now;
}

static void on_timer(struct timer *t)
{
	struct keeper *k = owner_of(t, struct keeper, timer);
	uint64_t now = slot_now(k);
	unsigned visits = 0;
	bool is_behind = false;
	uint32_t most;

	if (now != k->slot)
		slot_end(k);
	k->slot = now;
	most = allowed(k);
	k->first = (k->first + 1) % KEEPER_RINGS_MAX;
	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++) {
		struct ring *r = &k->rings[(k->first + i) % KEEPER_RINGS_MAX];

		if (r->count)
			run_ring(k, r, most, &visits);
		is_behind |= ring_is_behind(r, now);
	}
	if (is_behind)
		counter_inc(&k->counters, KEEPER_LATE);
	set_timer(k);
}

static void on_summary(struct timer *t)
{
	struct keeper *k = owner_of(t, struct keeper, summary);

	log_info(k->p.log, "keepalive.lost", "count=%u in_ms=%llu", k->lost, (unsigned long long)(k->p.wheel->now_ms - k->lost_ms));
	k->lost = 0;
}

/* What others see -------------------------------------------------------------------------------------------------- */

int keeper_new(struct keeper **out, const struct keeper_params *p)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	if ((err = counters_init(&k->counters, keeper_counter_defs, KEEPER_COUNTERS))) {
		free(k);
		return err;
	}
	k->p = *p;
	k->timer.fire = on_timer;
	k->summary.fire = on_summary;
	k->window_ms = k->heard_ms = p->wheel->now_ms;
	*out = k;
	return 0;
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	wheel_disarm(k->p.wheel, &k->timer);
	wheel_disarm(k->p.wheel, &k->summary);
	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++)
		ring_free(&k->rings[i]);
	counters_fini(&k->counters);
	free(k);
}

int keeper_add(struct keeper *k, struct keep *e, uint64_t phase)
{
	struct keep_terms terms;
	struct ring *r;
	int err;

	if (keep_is_kept(e))
		return 0;
	terms = k->p.terms(k->p.ctx, e);
	if (!terms.every_ms)
		return 0;
	if ((err = ring_get(k, within_bounds(terms.every_ms), &r))) {
		counter_inc(&k->counters, KEEPER_REFUSED);
		return err;
	}
	join(k, r, e, phase);
	return 0;
}

void keeper_remove(struct keeper *k, struct keep *e)
{
	if (keep_is_kept(e))
		leave(k, e);
}

void keeper_heard(struct keeper *k, struct keep *e)
{
	k->heard_ms = k->p.wheel->now_ms;
	if (!keep_is_kept(e))
		return;
	if (e->is_asked)
		counter_inc(&k->counters, KEEPER_ANSWERS);
	forget(e);
	e->is_heard = true;
}

void keeper_pause(struct keeper *k, bool is_paused)
{
	uint64_t now = slot_now(k);

	if (k->is_paused == is_paused)
		return;
	k->is_paused = is_paused;
	k->heard_ms = k->p.wheel->now_ms;
	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++) {
		struct ring *r = &k->rings[i];

		r->next = now + 1;
		r->sure_from = now + 1 + r->n_places / 2;
		r->at = NULL;
		r->pass = NOT_BEGUN;
	}
	set_timer(k);
}

bool keeper_is_paused(const struct keeper *k)
{
	return k->is_paused;
}

struct counters *keeper_counters(struct keeper *k)
{
	return &k->counters;
}
