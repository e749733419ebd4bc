/* dispatcher/probe.c - one entry per slot of this worker, found by slot / workers: nothing is allocated after prober_new. */
#include "dispatcher/probe.h"
#include "dispatcher/state.h"
#include "base/list.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TICK_MS = 1000 }; /* of destinations without probes */

enum entry_state { IDLE, UNPROBED, RESTING, WAITING };

struct entry {
	struct timer timer;             /* RESTING: next probe; WAITING: time-out */
	struct prober *prober;
	uint64_t ticket, sent_ms, next_ms;
	uint32_t destination, every_ms;
	uint16_t slot, failed;          /* failed: probes in a row */
	uint8_t state;                  /* enum entry_state */
	bool is_wanted;                 /* while adopting */
};

struct prober {
	struct pools *pools;
	struct wheel *wheel;
	const struct conf *conf;
	prober_send *send;
	void *ctx;
	unsigned worker, workers, n;
	uint64_t serial;
	struct timer tick;
	struct entry entry[];
};

static void on_timer(struct timer *t);
static void on_tick(struct timer *t);

int prober_new(struct prober **out, struct pools *pools, struct wheel *wheel, unsigned worker, unsigned workers,
               prober_send *send, void *ctx)
{
	unsigned n = workers ? (POOL_DESTINATIONS_MAX + workers - 1) / workers : 0;
	struct prober *p;

	if (worker >= workers)
		return -EINVAL;
	p = calloc(1, sizeof(*p) + n * sizeof(p->entry[0]));
	if (!p)
		return -ENOMEM;
	*p = (struct prober){ .pools = pools, .wheel = wheel, .send = send, .ctx = ctx, .worker = worker,
		              .workers = workers, .n = n, .tick.fire = on_tick };
	for (unsigned i = 0; i < n; i++) {
		p->entry[i].prober = p;
		p->entry[i].slot = (uint16_t)(i * workers + worker);
		p->entry[i].timer.fire = on_timer;
	}
	*out = p;
	return 0;
}

void prober_free(struct prober *p)
{
	if (!p)
		return;
	wheel_disarm(p->wheel, &p->tick);
	for (unsigned i = 0; i < p->n; i++)
		wheel_disarm(p->wheel, &p->entry[i].timer);
	free(p);
}

/* One probe ----------------------------------------------------------------------------------------------------- */

static const struct conf_pool *pool_of(const struct entry *e)
{
	const struct conf *c = e->prober->conf;

	return &c->pools[c->destinations[e->destination].pool];
}

static bool is_up(const struct entry *e)
{
	return dest_health(&e->prober->pools->dest[e->slot]).is_up;
}

/* Beats to the next probe: 1, or more for one who has been dead for long. */
static uint32_t beats(const struct entry *e)
{
	unsigned patience = pool_of(e)->probe.down_after + PROBER_PATIENCE;
	uint32_t most = PROBER_SLOWEST_MS / e->every_ms, n = 1;

	most = most < 1 ? 1 : most > PROBER_SLOWEST ? PROBER_SLOWEST : most;
	for (unsigned i = patience; i < e->failed && n < most && !is_up(e); i++)
		n *= 2;
	return n < most ? n : most;
}

/* The next beat of the rhythm that has not passed. */
static void rest(struct entry *e)
{
	uint64_t now = e->prober->wheel->now_ms;

	if (e->next_ms <= now)
		e->next_ms += ((now - e->next_ms) / e->every_ms + beats(e)) * e->every_ms;
	e->state = RESTING;
	wheel_arm(e->prober->wheel, &e->timer, e->next_ms);
}

static void conclude(struct entry *e, enum dest_event event, const char *why)
{
	struct prober *p = e->prober;

	e->failed = event == PROBE_OK ? 0 : e->failed < UINT16_MAX ? e->failed + 1 : e->failed;
	dest_report(p->pools, p->conf, e->destination, event, p->wheel->now_ms, why);
	rest(e);
}

/* The ticket is: serial number, then the slot it belongs to. */
static void start(struct entry *e)
{
	struct prober *p = e->prober;

	e->ticket = ++p->serial << 16 | e->slot;
	e->sent_ms = p->wheel->now_ms;
	e->state = WAITING;
	wheel_arm_in(p->wheel, &e->timer, pool_of(e)->probe.timeout_ms);
	p->send(p->ctx, e->destination, e->ticket); /* may already bring the result */
}

static void on_timer(struct timer *t)
{
	struct entry *e = owner_of(t, struct entry, timer);

	if (e->state == WAITING)
		conclude(e, PROBE_FAILED, "timed out");
	else
		start(e);
}

/* Alive is whoever can answer: RFC 3261 §11 lets a busy or choosy server refuse OPTIONS. 408 comes from a proxy in front of a
 * dead one, 5xx says that it cannot serve. */
static bool is_alive(unsigned status)
{
	return status != 408 && status / 100 != 5;
}

static const char *error_text(int err)
{
	const char *text = err < 0 ? strerrordesc_np(-err) : NULL;

	return text ? text : "no answer";
}

void prober_result(struct prober *p, uint64_t ticket, unsigned status, int err)
{
	unsigned slot = ticket & UINT16_MAX;
	struct entry *e = &p->entry[slot / p->workers];
	char why[64];

	if (slot >= POOL_DESTINATIONS_MAX || e->state != WAITING || e->ticket != ticket)
		return;
	if (status >= 100 && status < 200)
		return;
	if (!status) {
		conclude(e, PROBE_FAILED, error_text(err));
		return;
	}
	snprintf(why, sizeof(why), "answered %u", status);
	if (is_alive(status))
		dest_latency(p->pools, e->slot, (uint32_t)(p->wheel->now_ms - e->sent_ms) * 1000);
	conclude(e, is_alive(status) ? PROBE_OK : PROBE_FAILED, why);
}

/* Snapshots ----------------------------------------------------------------------------------------------------- */

static void stop(struct entry *e)
{
	wheel_disarm(e->prober->wheel, &e->timer);
	e->state = IDLE;
}

/* Slots are handed out in a row, so steps of the golden ratio spread neighbours over the interval however many there are. */
static void begin(struct entry *e, uint32_t every_ms)
{
	uint32_t fraction = e->slot * UINT32_C(2654435769);

	wheel_disarm(e->prober->wheel, &e->timer);
	e->failed = 0;
	e->every_ms = every_ms ? every_ms : 1;
	e->next_ms = e->prober->wheel->now_ms + 1 + ((uint64_t)e->every_ms * fraction >> 32);
	rest(e);
}

static void entry_adopt(struct entry *e, uint32_t destination)
{
	const struct conf_pool *pool;

	e->destination = destination;
	e->is_wanted = true;
	pool = pool_of(e);
	if (!pool->probe.is_on) {
		stop(e);
		e->state = UNPROBED;
	} else if (e->state == IDLE || e->state == UNPROBED || e->every_ms != pool->probe.every_ms ||
	           (e->state == RESTING && is_up(e) && e->next_ms > e->prober->wheel->now_ms + e->every_ms)) /* it has moved */
		begin(e, pool->probe.every_ms);
}

int prober_adopt(struct prober *p, const struct conf *c)
{
	bool has_unprobed = false;

	p->conf = c;
	for (unsigned i = 0; i < p->n; i++)
		p->entry[i].is_wanted = false;
	for (unsigned id = 0; id < c->n_destinations; id++) {
		uint16_t slot = pools_slot(p->pools, c, id);

		if (slot != POOL_NO_SLOT && slot % p->workers == p->worker)
			entry_adopt(&p->entry[slot / p->workers], id);
	}
	for (unsigned i = 0; i < p->n; i++) {
		if (!p->entry[i].is_wanted)
			stop(&p->entry[i]);
		has_unprobed |= p->entry[i].state == UNPROBED;
	}
	wheel_disarm(p->wheel, &p->tick);
	if (has_unprobed)
		wheel_arm_in(p->wheel, &p->tick, TICK_MS);
	return 0;
}

static void on_tick(struct timer *t)
{
	struct prober *p = owner_of(t, struct prober, tick);

	for (unsigned id = 0; id < p->conf->n_destinations; id++) { /* few, where there is room for thousands */
		uint16_t slot = pools_slot(p->pools, p->conf, id);

		if (slot != POOL_NO_SLOT && slot % p->workers == p->worker && p->entry[slot / p->workers].state == UNPROBED)
			dest_tick(p->pools, p->conf, id, p->wheel->now_ms);
	}
	wheel_arm_in(p->wheel, &p->tick, TICK_MS);
}
