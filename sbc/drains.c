#include "sbc/drains.h"
#include "admin/ctl.h"
#include "sbc/census.h"
#include "sbc/clock.h"
#include "sbc/states.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Somebody who waits for an empty destination. */
struct waiter {
	struct node in_drains;
	struct drains *drains;
	struct ctl_reply *reply;
	uint64_t since_ms, next_ms;  /* next_ms: of the next line of progress */
	uint16_t name_len;
	char name[WISH_NAME_MAX];
};

struct drains {
	struct drains_params p;
	struct event *tick;
	struct node waiters;
	uint64_t fade_ms, save_ms, move_ms; /* when to do it next */
	bool is_counting, is_ending; /* the workers are asked */
};

static const struct conf *conf_now(const struct drains *d)
{
	return d->p.publisher->now;
}

/* When it will be empty --------------------------------------------------------------------------------------------- */

bool drains_end_ms(const struct pools *p, const struct conf *c, uint32_t destination, const struct spans *ages, uint64_t *in_ms)
{
	const struct conf_pool *pool = &c->pools[c->destinations[destination].pool];
	struct spans ended = { 0 };

	dest_add_spans(p, pools_slot(p, c, destination), &ended);
	if (spans_end_ms(&ended, ages, in_ms))
		return true;
	for (uint32_t i = 0; i < pool->n_destinations; i++)
		if (pool->first_destination + i != destination)
			dest_add_spans(p, pools_slot(p, c, pool->first_destination + i), &ended);
	return spans_end_ms(&ended, ages, in_ms);
}

void drains_say(char *out, size_t size, const struct census_row *row, const uint64_t *in_ms)
{
	char oldest[24], in[24], end[48] = "no telling when it is empty", subscriptions[48] = "";

	if (row->subscriptions)
		snprintf(subscriptions, sizeof(subscriptions), "; %u subscriptions", row->subscriptions);
	if (in_ms)
		snprintf(end, sizeof(end), "empty in about %s", ctl_duration(*in_ms, in));
	if (row->calls)
		snprintf(out, size, "%u call%s left, oldest %s, %s%s", row->calls, row->calls == 1 ? "" : "s",
		         ctl_duration(row->oldest_ms, oldest), end, subscriptions);
	else
		snprintf(out, size, "no calls left%s", subscriptions);
}

/* Waiting ----------------------------------------------------------------------------------------------------------- */

static struct sv waiter_name(const struct waiter *w)
{
	return (struct sv){ w->name, w->name_len };
}

static void waiter_free(struct waiter *w)
{
	list_del(&w->in_drains);
	free(w);
}

static void waiter_gone(void *ctx, struct ctl_reply *r)
{
	waiter_free(ctx);
	ctl_done(r);
}

static void waiter_fails(struct waiter *w, const char *what)
{
	struct ctl_reply *r = w->reply;
	char name[WISH_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", SV_ARG(waiter_name(w)));
	ctl_on_gone(r, NULL, NULL);
	waiter_free(w);
	ctl_fail(r, CTL_FAILED, "%s: %s", name, what);
}

static void show(struct waiter *w, const struct census_row *row, const uint64_t *in_ms)
{
	char line[192], number[SV_DECIMAL];

	if (ctl_is_json(w->reply)) {
		ctl_progress(w->reply,
		             "{\"destination\":\"%.*s\",\"calls\":%u,\"subscriptions\":%u,\"oldest_ms\":%lu,\"empty_in_ms\":%.*s}",
		             SV_ARG(waiter_name(w)), row->calls, row->subscriptions, (unsigned long)row->oldest_ms,
		             SV_ARG(in_ms ? sv_decimal(*in_ms, number) : SV("null")));
		return;
	}
	drains_say(line, sizeof(line), row, in_ms);
	ctl_progress(w->reply, "%.*s: %s", SV_ARG(waiter_name(w)), line);
}

static void waiter_done(struct waiter *w, const struct census_row *row)
{
	struct ctl_reply *r = w->reply;
	static const uint64_t at_once;
	char took[24];

	if (ctl_is_json(r))
		show(w, row, &at_once);
	ctl_note(r, "%.*s: empty after %s", SV_ARG(waiter_name(w)), ctl_duration(clock_monotonic_ms() - w->since_ms, took));
	if (row->subscriptions)
		ctl_note(r, "%u subscriptions without a call are still there: they go on, and nobody waits for them", row->subscriptions);
	ctl_on_gone(r, NULL, NULL);
	waiter_free(w);
	ctl_done(r);
}

/* Its destination's id in the present snapshot. False: the waiter has gone, told why. */
static bool waiter_look(struct waiter *w, uint32_t *destination, uint16_t *slot)
{
	const struct drains *d = w->drains;
	const struct conf *c = conf_now(d);
	struct dest_info info;

	*slot = dest_find(d->p.shared->pools, c, waiter_name(w), NULL);
	if (!pools_destination(d->p.shared->pools, c, *slot, destination)) {
		waiter_fails(w, "has left the configuration");
		return false;
	}
	dest_info(d->p.shared->pools, *slot, &info);
	if (info.wish == WISH_DRAINING)
		return true;
	waiter_fails(w, info.wish == WISH_DISABLED ? "not drained any more: disabled" : "not drained any more: back in service");
	return false;
}

static void counted(void *ctx, const struct census_answer *answer)
{
	struct drains *d = ctx;
	uint64_t now = clock_monotonic_ms();

	d->is_counting = false;
	list_each_safe(it, &d->waiters) {
		struct waiter *w = owner_of(it, struct waiter, in_drains);
		const struct census_row *row;
		const struct spans *ages;
		uint32_t destination;
		uint64_t in_ms;
		uint16_t slot;

		if (!waiter_look(w, &destination, &slot) || !(row = census_row(answer, slot)) || !(ages = census_ages(answer, slot)))
			continue;
		if (!row->calls && !dest_load(d->p.shared->pools, slot)) {
			waiter_done(w, row);
			continue;
		}
		if (w->next_ms > now)
			continue;
		show(w, row, drains_end_ms(d->p.shared->pools, conf_now(d), destination, ages, &in_ms) ? &in_ms : NULL);
		w->next_ms = now + (now - w->since_ms) / 20;
		w->next_ms += w->next_ms < now + DRAINS_SHOW_MS ? DRAINS_SHOW_MS - (w->next_ms - now) : 0;
		if (w->next_ms > now + DRAINS_SHOW_MAX_MS)
			w->next_ms = now + DRAINS_SHOW_MAX_MS;
	}
}

/* Asks for those who are empty or due. */
static void look_at_waiters(struct drains *d)
{
	uint16_t slots[CTL_CONNECTIONS_MAX];
	uint64_t now = clock_monotonic_ms();
	unsigned n = 0;

	list_each_safe(it, &d->waiters) {
		struct waiter *w = owner_of(it, struct waiter, in_drains);
		uint32_t destination;
		uint16_t slot;

		if (!waiter_look(w, &destination, &slot) || n == CTL_CONNECTIONS_MAX)
			continue;
		if (w->next_ms <= now || !dest_load(d->p.shared->pools, slot))
			slots[n++] = slot;
	}
	if (!n || d->is_counting)
		return;
	d->is_counting = true;
	if (census_take(d->p.asker, slots, n, n, counted, d))
		d->is_counting = false; /* no memory: next time */
}

/* The deadline ------------------------------------------------------------------------------------------------------ */

struct ending {
	struct ask ask;
	struct drains *drains;
	unsigned n;
	bool has_moves;
	struct { uint16_t slot; unsigned calls; bool moves; } of[DRAINS_HANGUPS_MAX];
};

struct ending_part {
	struct ask_part base;
	unsigned done, moved; /* moved: begun to be */
};

static void ending_work(struct ask *a, struct worker *w, struct ask_part *part)
{
	struct ending *e = owner_of(a, struct ending, ask);

	struct ending_part *p = owner_of(part, struct ending_part, base);

	for (unsigned i = 0; i < e->n; i++)
		if (e->of[i].moves)
			p->moved += b2bua_move_at(w->calls, e->of[i].slot, e->of[i].calls);
		else
			p->done += b2bua_hangup_at(w->calls, e->of[i].slot, e->of[i].calls);
}

static void ending_finish(struct ask *a)
{
	struct ending *e = owner_of(a, struct ending, ask);
	unsigned done = 0, moved = 0;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++) {
		done += a->parts[i] ? owner_of(a->parts[i], struct ending_part, base)->done : 0;
		moved += a->parts[i] ? owner_of(a->parts[i], struct ending_part, base)->moved : 0;
	}
	if (done || moved)
		log_info(e->drains->p.shared->log, "drain.deadline", "calls_ended=%u calls_moving=%u", done, moved);
	if (e->has_moves && !moved)
		e->drains->move_ms = clock_monotonic_ms() + DRAINS_MOVE_MS;
	e->drains->is_ending = false;
	ask_fini(a);
	free(e);
}

/* So many calls per worker and tick that nobody gets all their BYEs at once. */
static unsigned ending_share(const struct drains *d, uint32_t load)
{
	unsigned share = load / DRAINS_HANGUP_SHARE;

	share = share > DRAINS_HANGUP_MAX ? DRAINS_HANGUP_MAX : share;
	share = (share + d->p.shared->workers - 1) / d->p.shared->workers;
	return share ? share : 1;
}

/* Is its deadline over, and are calls left? */
static bool is_overdue(const struct drains *d, uint16_t slot, const struct wish *wish)
{
	return wish && wish->wish == WISH_DRAINING && wish->then != THEN_NOTHING && wish->deadline_ms &&
	       wish->deadline_ms <= d->p.shared->wall_ms(d->p.shared) && dest_load(d->p.shared->pools, slot) > 0;
}

struct overdue {
	struct drains *drains;
	struct ending *ending; /* made for the first */
	unsigned n;
};

static void find_overdue(void *ctx, struct sv name, const struct wish *wish)
{
	struct overdue *o = ctx;
	struct drains *d = o->drains;
	uint16_t slot;

	if (wish->wish != WISH_DRAINING || !wish->deadline_ms || o->n == DRAINS_HANGUPS_MAX ||
	    (wish->then == THEN_MOVE && clock_monotonic_ms() < d->move_ms))
		return;
	slot = dest_find(d->p.shared->pools, conf_now(d), name, NULL);
	if (slot == POOL_NO_SLOT || !is_overdue(d, slot, wish) || (!o->ending && !(o->ending = calloc(1, sizeof(*o->ending)))))
		return;
	o->ending->of[o->n].slot = slot;
	o->ending->of[o->n].moves = wish->then == THEN_MOVE;
	o->ending->has_moves |= wish->then == THEN_MOVE;
	o->ending->of[o->n++].calls = ending_share(d, dest_load(d->p.shared->pools, slot));
}

/* True: calls are being ended. */
static bool end_overdue(struct drains *d)
{
	struct overdue o = { .drains = d };

	if (d->is_ending)
		return true;
	wishes_each(d->p.publisher->wishes, find_overdue, &o);
	if (!o.n)
		return false;
	d->is_ending = true;
	o.ending->drains = d;
	o.ending->n = o.n;
	o.ending->ask = (struct ask){ .work = ending_work, .finish = ending_finish, .part_size = sizeof(struct ending_part) };
	ask_workers(d->p.asker, &o.ending->ask);
	return true;
}

/* The clock --------------------------------------------------------------------------------------------------------- */

static void tick_in(struct drains *d, unsigned ms)
{
	struct timeval tv = { .tv_usec = (suseconds_t)ms * 1000 };

	event_add(d->tick, &tv);
}

/* What a reload or a peer changed; what an operator changes is written at once. */
static void save(struct drains *d, uint64_t now)
{
	int err;

	if (!wishes_are_unsaved(d->p.publisher->wishes) || now < d->save_ms)
		return;
	if (!(err = states_save(d->p.publisher->wishes, conf_now(d)->state)))
		return;
	d->save_ms = now + DRAINS_SAVE_RETRY_MS;
	log_error(d->p.shared->log, "destinations.unwritten", "error=%s", strerror(-err));
}

static void fade(struct drains *d, uint64_t now)
{
	if (now < d->fade_ms)
		return;
	d->fade_ms = now + DRAINS_FADE_MS;
	for (uint32_t i = 0; i < conf_now(d)->n_destinations; i++)
		dest_fade(d->p.shared->pools, pools_slot(d->p.shared->pools, conf_now(d), i));
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct drains *d = ctx;
	uint64_t now = clock_monotonic_ms();
	bool is_ending = end_overdue(d);

	(void)fd;
	(void)what;
	look_at_waiters(d);
	save(d, now);
	fade(d, now);
	tick_in(d, is_ending || !list_empty(&d->waiters) ? DRAINS_TICK_MS : DRAINS_IDLE_MS);
}

void drains_wait(struct drains *d, struct ctl_reply *r, struct sv name)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w || name.len > sizeof(w->name)) {
		free(w);
		ctl_fail(r, CTL_FAILED, "out of memory");
		return;
	}
	w->drains = d;
	w->reply = r;
	w->since_ms = clock_monotonic_ms();
	w->name_len = (uint16_t)name.len;
	memcpy(w->name, name.p, name.len);
	list_push(&d->waiters, &w->in_drains);
	ctl_wait(r);
	ctl_on_gone(r, waiter_gone, w);
	tick_in(d, 1);
}

int drains_new(struct drains **out, const struct drains_params *p)
{
	struct drains *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->p = *p;
	list_init(&d->waiters);
	d->fade_ms = clock_monotonic_ms() + DRAINS_FADE_MS;
	if (!(d->tick = evtimer_new(p->base, on_tick, d))) {
		free(d);
		return -ENOMEM;
	}
	tick_in(d, DRAINS_IDLE_MS);
	*out = d;
	return 0;
}

void drains_free(struct drains *d)
{
	if (!d)
		return;
	event_free(d->tick);
	free(d);
}
