#include "sbc/operate.h"
#include "admin/ctl.h"
#include "base/nearest.h"
#include "sbc/census.h"
#include "sbc/clock.h"
#include "sbc/states.h"
#include "sbc/sticks.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct operate {
	struct drains_params p;
	struct drains *drains;
	struct sticks sticks;
};

static const struct conf *conf_now(const struct operate *o)
{
	return o->p.publisher->now;
}

static uint16_t slot_of(const struct operate *o, uint32_t destination)
{
	return pools_slot(o->p.shared->pools, conf_now(o), destination);
}

static const struct wish *wish_of(const struct operate *o, uint32_t destination)
{
	const struct conf_destination *d = &conf_now(o)->destinations[destination];
	char name[WISH_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s/%.*s", SV_ARG(conf_now(o)->pools[d->pool].name), SV_ARG(d->name));
	return wishes_find(o->p.publisher->wishes, sv_from(name));
}

/* pools ------------------------------------------------------------------------------------------------------------- */

/* Who asked, while the workers count. */
struct listing {
	struct operate *operate;
	struct ctl_reply *reply;
	char pool[CONF_NAME_MAX + 1]; /* empty: all */
};

static bool is_shown(const struct listing *t, const struct conf *c, uint32_t destination)
{
	return !*t->pool || sv_eq(c->pools[c->destinations[destination].pool].name, sv_from(t->pool));
}

static const char *state_of(const struct conf_destination *d, const struct dest_info *i)
{
	if (d->is_leaving)
		return "leaving";
	if (i->wish != WISH_IN_SERVICE)
		return wish_word(i->wish);
	if (!i->is_up)
		return "down";
	return i->rest_until_ms > clock_monotonic_ms() ? "resting" : "up";
}

/* Since when it is in the state that is shown: the operator's word, or a change of the evidence after it. */
static struct ctl_cell since(const struct operate *o, const struct dest_info *i, const struct wish *w)
{
	uint64_t wall = o->p.shared->wall_ms(o->p.shared), wish_age = w && w->since_ms < wall ? wall - w->since_ms : 0;
	uint64_t evidence_age = i->since_ms ? clock_monotonic_ms() - i->since_ms : 0;

	if (i->wish != WISH_IN_SERVICE || !i->since_ms)
		return w ? cell_ms(wish_age) : cell_none();
	return cell_ms(w && i->is_up && wish_age < evidence_age ? wish_age : evidence_age);
}

static struct ctl_cell time_left(const struct operate *o, const struct wish *w)
{
	uint64_t wall = o->p.shared->wall_ms(o->p.shared);

	if (!w || w->wish != WISH_DRAINING || !w->deadline_ms)
		return cell_none();
	return cell_ms(w->deadline_ms > wall ? w->deadline_ms - wall : 0);
}

static struct ctl_cell text_or_none(const char *text)
{
	return *text ? cell_str(text) : cell_none();
}

static void listing_row(const struct listing *t, const struct census_answer *answer, uint32_t id)
{
	const struct operate *o = t->operate;
	const struct conf *c = conf_now(o);
	const struct conf_destination *d = &c->destinations[id];
	const struct census_row none = { 0 }, *row = census_row(answer, slot_of(o, id));
	const struct spans *ages = census_ages(answer, slot_of(o, id));
	const struct wish *w = wish_of(o, id);
	struct dest_info info;
	uint64_t in_ms;
	bool is_told = ages && drains_end_ms(o->p.shared->pools, c, id, ages, &in_ms);

	row = row ? row : &none; /* came with a reload while the others were counted */
	dest_info(o->p.shared->pools, slot_of(o, id), &info);
	ctl_row(t->reply, cell_sv(c->pools[d->pool].name), cell_sv(d->name), cell_sv(d->uri), cell_str(state_of(d, &info)),
	        since(o, &info, w), cell_u64(info.load), cell_u64(row->subscriptions), row->calls ? cell_ms(row->oldest_ms) : cell_none(),
	        is_told ? cell_ms(in_ms) : cell_none(), time_left(o, w), cell_u64(info.calls), cell_u64(info.failures),
	        info.latency_us ? cell_u64(info.latency_us) : cell_none(), w ? text_or_none(w->actor) : cell_none(),
	        w ? text_or_none(w->reason) : cell_none(), text_or_none(info.why));
}

static void listing_counted(void *ctx, const struct census_answer *answer)
{
	struct listing *t = ctx;
	const struct conf *c = conf_now(t->operate);

	ctl_columns(t->reply, 16, "pool", "name", "uri", "state", "since_ms", "calls", "subscriptions", "oldest_ms", "empty_in_ms",
	            "deadline_ms", "total", "failures", "latency_us", "by", "reason", "why");
	for (uint32_t i = 0; i < c->n_destinations; i++)
		if (is_shown(t, c, i))
			listing_row(t, answer, i);
	ctl_done(t->reply);
	free(t);
}

static bool is_emptied(const struct operate *o, uint32_t destination)
{
	const struct wish *w = wish_of(o, destination);

	return (w && w->wish == WISH_DRAINING) || conf_now(o)->destinations[destination].is_leaving;
}

/* Those that are drained or leave first: their ages are asked for. */
static unsigned listing_slots(const struct listing *t, uint16_t slots[POOL_DESTINATIONS_MAX], unsigned *n_ages)
{
	const struct conf *c = conf_now(t->operate);
	unsigned n = 0;

	for (unsigned is_drained = 1; is_drained < 2; is_drained--) {
		for (uint32_t i = 0; i < c->n_destinations && n < POOL_DESTINATIONS_MAX; i++) {
			if (is_shown(t, c, i) && is_emptied(t->operate, i) == is_drained)
				slots[n++] = slot_of(t->operate, i);
		}
		if (is_drained)
			*n_ages = n;
	}
	return n;
}

void operate_no_pool(const struct conf *c, struct ctl_reply *r, struct sv name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (unsigned i = 0; i < c->n_pools; i++)
		nearest_offer(&nearest, c->pools[i].name);
	ctl_fail(r, CTL_USAGE, "no pool %.*s%s%.*s", SV_ARG(name), nearest.best.len ? "; the nearest name is " : "", SV_ARG(nearest.best));
}

static void verb_pools(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct operate *o = ctx;
	uint16_t slots[POOL_DESTINATIONS_MAX];
	unsigned n, n_ages = 0;
	struct listing *t;

	if (argc > 2) {
		ctl_fail_usage(r);
		return;
	}
	if (argc == 2 && conf_find_pool(conf_now(o), sv_from(argv[1])) < 0) {
		operate_no_pool(conf_now(o), r, sv_from(argv[1]));
		return;
	}
	if (!(t = calloc(1, sizeof(*t)))) {
		ctl_fail(r, CTL_FAILED, "out of memory");
		return;
	}
	t->operate = o;
	t->reply = r;
	snprintf(t->pool, sizeof(t->pool), "%s", argc == 2 ? argv[1] : "");
	n = listing_slots(t, slots, &n_ages);
	if (census_take(o->p.asker, slots, n, n_ages, listing_counted, t)) {
		free(t);
		ctl_fail(r, CTL_FAILED, "out of memory");
	}
}

/* drain, undrain, disable, enable ----------------------------------------------------------------------------------- */

/* What the words behind the verb say. */
struct order {
	struct wish wish;
	struct sv name;
	uint64_t deadline_ms;
	bool waits, is_forced, has_deadline;
};

enum { OPTION_VALUE = 1, OPTION_DRAIN = 2 };
enum option { WAIT, DEADLINE, THEN, REASON, FORCE, OPTIONS };

static const struct { const char *name; unsigned kind; } options[OPTIONS] = {
	[WAIT] = { "--wait", OPTION_DRAIN },
	[DEADLINE] = { "--deadline", OPTION_VALUE | OPTION_DRAIN },
	[THEN] = { "--then", OPTION_VALUE | OPTION_DRAIN },
	[REASON] = { "--reason", OPTION_VALUE },
	[FORCE] = { "--force", 0 },
};

static enum option option_of(const char *word)
{
	unsigned i = 0;

	while (i < OPTIONS && strcmp(options[i].name, word) != 0)
		i++;
	return (enum option)i;
}

static bool order_then(struct order *o, struct ctl_reply *r, const char *value)
{
	o->wish.then = strcmp(value, "hangup") == 0 ? THEN_HANGUP : strcmp(value, "move") == 0 ? THEN_MOVE : THEN_NOTHING;
	if (o->wish.then == THEN_NOTHING)
		ctl_fail(r, CTL_USAGE, "--then %s: what it can do is `hangup` or `move`", value);
	return o->wish.then != THEN_NOTHING;
}

/* False: it has been answered. */
static bool order_option(struct order *o, struct ctl_reply *r, enum option option, const char *value)
{
	switch (option) {
	case WAIT:
		o->waits = true;
		return true;
	case FORCE:
		o->is_forced = true;
		return true;
	case THEN:
		return order_then(o, r, value);
	case DEADLINE:
		o->has_deadline = true;
		if (conf_duration_ms(sv_from(value), &o->deadline_ms) == 0)
			return true;
		ctl_fail(r, CTL_USAGE, "--deadline %s: write \"30s\", \"30m\", \"2h\", up to \"31d\"", value);
		return false;
	case REASON:
		if (strlen(value) <= WISH_REASON_MAX) {
			snprintf(o->wish.reason, sizeof(o->wish.reason), "%s", value);
			return true;
		}
		ctl_fail(r, CTL_USAGE, "--reason: at most %d bytes", WISH_REASON_MAX);
		return false;
	default:
		ctl_fail_usage(r);
		return false;
	}
}

/* False: it has been answered. */
static bool order_read(struct order *o, struct ctl_reply *r, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		enum option option = option_of(argv[i]);

		if (option == OPTIONS && argv[i][0] != '-' && !o->name.len) {
			o->name = sv_from(argv[i]);
			continue;
		}
		if (option == OPTIONS || (options[option].kind & OPTION_DRAIN && o->wish.wish != WISH_DRAINING) ||
		    (options[option].kind & OPTION_VALUE && i + 1 == argc)) {
			ctl_fail_usage(r);
			return false;
		}
		i += options[option].kind & OPTION_VALUE;
		if (!order_option(o, r, option, argv[i]))
			return false;
	}
	if (!o->name.len)
		ctl_fail_usage(r);
	else if (o->has_deadline != (o->wish.then != THEN_NOTHING))
		ctl_fail(r, CTL_USAGE, "--deadline and --then go together");
	else
		return true;
	return false;
}

/* Would nobody be left that takes new calls of its pool? Then `what` says what will become of them. */
static bool is_last(const struct operate *o, uint32_t destination, char what[160])
{
	const struct conf *c = conf_now(o);
	const struct conf_pool *pool = &c->pools[c->destinations[destination].pool];
	unsigned down = 0;
	struct dest_info info;

	dest_info(o->p.shared->pools, slot_of(o, destination), &info);
	if (info.wish != WISH_IN_SERVICE || !c->destinations[destination].weight)
		return false;
	for (uint32_t i = 0; i < pool->n_destinations; i++) {
		if (pool->first_destination + i == destination || !pool->destinations[i].weight)
			continue;
		dest_info(o->p.shared->pools, slot_of(o, pool->first_destination + i), &info);
		if (info.wish == WISH_IN_SERVICE && info.is_up)
			return false;
		down += info.wish == WISH_IN_SERVICE;
	}
	if (pool->spill)
		snprintf(what, 160, "new calls would go to pool %.*s", SV_ARG(c->pools[pool->spill - 1].name));
	else if (down)
		snprintf(what, 160, "new calls would be tried at the %u that look down", down);
	else
		snprintf(what, 160, "new calls would be refused with 503 (no-destination)");
	return true;
}

static int find_destination(const struct operate *o, struct sv name, uint32_t *id, char hint[128])
{
	const struct pools *pools = o->p.shared->pools;

	return pools_destination(pools, conf_now(o), dest_find(pools, conf_now(o), name, hint), id) ? 0 : -ENOENT;
}

/* False: it has been answered. */
static bool order_admits(const struct operate *o, const struct order *order, struct ctl_reply *r, const char *verb)
{
	char hint[128] = "", what[160];
	uint32_t id;

	if (find_destination(o, order->name, &id, hint)) {
		ctl_fail(r, CTL_USAGE, "no destination %.*s%s%s", SV_ARG(order->name), *hint ? "; the nearest name is " : "", hint);
		return false;
	}
	if (order->wish.wish == WISH_IN_SERVICE || order->is_forced || !is_last(o, id, what))
		return true;
	ctl_fail(r, CTL_FAILED, "%.*s is the last destination of its pool in service and up: %s. %s --force does it all the same",
	         SV_ARG(order->name), what, verb);
	return false;
}

/* Who asks for what is so already, to wait for it, changes nothing; a reason or a deadline of before holds until there is another. True:
 * nothing is new. */
static bool order_complete(struct order *order, const struct wish *was, uint64_t wall_ms)
{
	bool has_reason = *order->wish.reason;

	order->wish.deadline_ms = order->has_deadline ? wall_ms + order->deadline_ms : 0;
	if (!was || was->wish != order->wish.wish || was->wish == WISH_IN_SERVICE)
		return false;
	if (!has_reason)
		memcpy(order->wish.reason, was->reason, sizeof(was->reason));
	if (!order->has_deadline) {
		order->wish.deadline_ms = was->deadline_ms;
		order->wish.then = was->then;
	}
	return !has_reason && !order->has_deadline;
}

/* False: it has been answered. */
static bool order_obey(struct operate *o, struct order *order, struct ctl_reply *r)
{
	struct wishes *wishes = o->p.publisher->wishes;
	uint64_t wall = o->p.shared->wall_ms(o->p.shared);
	char hint[128];
	int err;

	if (order_complete(order, wishes_find(wishes, order->name), wall))
		return true;
	snprintf(order->wish.actor, sizeof(order->wish.actor), "%s", ctl_actor(r));
	if (wishes_set(wishes, conf_now(o), order->name, &order->wish, clock_monotonic_ms(), wall, hint)) {
		ctl_fail(r, CTL_FAILED, "out of memory");
		return false;
	}
	log_info(o->p.shared->log, "destination.set", "destination=%.*s wish=%s by=%s reason=%s", SV_ARG(order->name),
	         wish_word(order->wish.wish), order->wish.actor, order->wish.reason);
	if ((err = states_save(wishes, conf_now(o)->state)))
		ctl_note(r, "not written to the state directory (%s): a restart forgets it", strerror(-err));
	return true;
}

/* A drain that is not waited for: what it has before it. */
struct begun {
	struct operate *operate;
	struct ctl_reply *reply;
	struct sv name;            /* in `text` */
	char text[WISH_NAME_MAX];
};

static void begun_counted(void *ctx, const struct census_answer *answer)
{
	struct begun *b = ctx;
	const struct operate *o = b->operate;
	const struct census_row *row = NULL;
	char line[192], hint[128];
	uint64_t in_ms;
	uint32_t id;

	if (find_destination(o, b->name, &id, hint) == 0)
		row = census_row(answer, slot_of(o, id));
	if (row) {
		const struct spans *ages = census_ages(answer, slot_of(o, id));
		bool is_told = drains_end_ms(o->p.shared->pools, conf_now(o), id, ages, &in_ms);

		drains_say(line, sizeof(line), row, is_told ? &in_ms : NULL);
		ctl_note(b->reply, "%.*s: draining; %s", SV_ARG(b->name), line);
		if (ctl_is_json(b->reply)) {
			ctl_columns(b->reply, 6, "destination", "state", "calls", "subscriptions", "oldest_ms", "empty_in_ms");
			ctl_row(b->reply, cell_sv(b->name), cell_str("draining"), cell_u64(row->calls), cell_u64(row->subscriptions),
			        row->calls ? cell_ms(row->oldest_ms) : cell_none(), is_told ? cell_ms(in_ms) : cell_none());
		}
	}
	ctl_done(b->reply);
	free(b);
}

static void say_begun(struct operate *o, struct ctl_reply *r, struct sv name)
{
	struct begun *b = calloc(1, sizeof(*b));
	uint16_t slot = dest_find(o->p.shared->pools, conf_now(o), name, NULL);

	if (b) {
		b->operate = o;
		b->reply = r;
		memcpy(b->text, name.p, name.len);
		b->name = (struct sv){ b->text, name.len };
		if (census_take(o->p.asker, &slot, 1, 1, begun_counted, b) == 0)
			return;
		free(b);
	}
	ctl_note(r, "%.*s: draining", SV_ARG(name)); /* it is, whatever there is no memory for */
	ctl_done(r);
}

static void say_set(struct ctl_reply *r, struct sv name, enum dest_wish wish)
{
	ctl_note(r, "%.*s: %s", SV_ARG(name), wish_word(wish));
	if (ctl_is_json(r)) {
		ctl_columns(r, 2, "destination", "state");
		ctl_row(r, cell_sv(name), cell_str(wish_word(wish)));
	}
	ctl_done(r);
}

static void set_wish(struct operate *o, struct ctl_reply *r, int argc, char **argv, enum dest_wish wish)
{
	struct order order = { .wish.wish = wish };

	if (!order_read(&order, r, argc, argv) || !order_admits(o, &order, r, argv[0]) || !order_obey(o, &order, r))
		return;
	if (order.waits) {
		drains_wait(o->drains, r, order.name);
	} else if (wish == WISH_DRAINING) {
		say_begun(o, r, order.name);
	} else {
		say_set(r, order.name, wish);
	}
}

static void verb_drain(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	set_wish(ctx, r, argc, argv, WISH_DRAINING);
}

static void verb_disable(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	set_wish(ctx, r, argc, argv, WISH_DISABLED);
}

static void verb_in_service(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	set_wish(ctx, r, argc, argv, WISH_IN_SERVICE);
}

/* Life -------------------------------------------------------------------------------------------------------------- */

static int add_verbs(struct operate *o, struct ctl *ctl)
{
	static const struct {
		const char *verb, *usage, *help;
		ctl_handler *handler;
	} all[] = {
		{ "pools", "[POOL]", "destinations, their state and their load", verb_pools },
		{ "drain", "POOL/NAME [--wait] [--deadline 30m --then hangup|move] [--reason TEXT] [--force]",
		  "no new calls there; those there go on, at most until the deadline", verb_drain },
		{ "undrain", "POOL/NAME [--reason TEXT]", "back in service", verb_in_service },
		{ "disable", "POOL/NAME [--reason TEXT] [--force]", "out of service until enabled", verb_disable },
		{ "enable", "POOL/NAME [--reason TEXT]", "back in service", verb_in_service },
	};
	int err = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && !err; i++)
		err = ctl_register(ctl, all[i].verb, all[i].usage, all[i].help, all[i].handler, o);
	o->sticks = (struct sticks){ o->p.asker, o->p.publisher };
	return err ? err : sticks_add_verb(ctl, &o->sticks);
}

int operate_new(struct operate **out, const struct operate_params *p)
{
	struct operate *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	o->p = p->drains;
	if ((err = drains_new(&o->drains, &p->drains)) || (p->ctl && (err = add_verbs(o, p->ctl)))) {
		operate_free(o);
		return err;
	}
	*out = o;
	return 0;
}

void operate_free(struct operate *o)
{
	if (!o)
		return;
	drains_free(o->drains);
	free(o);
}
