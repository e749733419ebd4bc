#include "sbc/trunks.h"
#include "admin/ctl.h"
#include "admin/metrics.h"
#include "dispatcher/trunk.h"
#include "sbc/clock.h"
#include "sbc/worker.h"

static void info_of(const struct trunks *t, const struct conf_trunk *trunk, struct trunk_info *info)
{
	trunk_info(t->shared->pools, t->publisher->now, trunk, info);
}

/* "registered", or why it is not. */
static const char *registration_word(const struct conf_trunk *t, const struct trunk_registration *r, uint64_t now_ms)
{
	if (!t->registers)
		return "-";
	if (r->until_ms > now_ms)
		return "registered";
	return r->status ? "refused" : "asking";
}

static void add_row(struct ctl_reply *reply, const struct trunks *t, const struct conf_trunk *trunk, uint64_t now_ms)
{
	const struct trunk_registration *r;
	const struct conf *c = t->publisher->now;
	struct trunk_info i;

	info_of(t, trunk, &i);
	r = &i.registration;
	ctl_row(reply, cell_sv(trunk->name), cell_sv(c->zones[trunk->zone].name),
	        trunk->pool < 0 ? cell_none() : cell_sv(c->pools[trunk->pool].name), cell_u64(i.calls_in), cell_u64(i.calls_out),
	        trunk->max_calls ? cell_u64(trunk->max_calls) : cell_none(), cell_u64(i.refused[TRUNK_FULL]),
	        cell_u64(i.refused[TRUNK_FAST]), cell_str(registration_word(trunk, r, now_ms)),
	        r->until_ms > now_ms ? cell_ms(r->until_ms - now_ms) : cell_none(), r->status ? cell_u64(r->status) : cell_none(),
	        trunk->registers && r->next_ms > now_ms ? cell_ms(r->next_ms - now_ms) : cell_none());
}

static void verb_trunks(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	const struct trunks *t = ctx;
	const struct conf *c = t->publisher->now;
	uint64_t now_ms = clock_monotonic_ms();
	int index = argc == 2 ? conf_find_trunk(c, sv_from(argv[1])) : -1;

	if (argc > 2) {
		ctl_fail_usage(r);
		return;
	}
	if (argc == 2 && index < 0) {
		ctl_fail(r, CTL_USAGE, "there is no trunk `%s`", argv[1]);
		return;
	}
	ctl_columns(r, 12, "trunk", "zone", "pool", "calls_in", "calls_out", "max_calls", "refused_full", "refused_rate", "registration",
	            "left_ms", "last_answer", "again_ms");
	for (unsigned i = 0; i < c->n_trunks; i++)
		if (index < 0 || i == (unsigned)index)
			add_row(r, t, &c->trunks[i], now_ms);
	ctl_done(r);
}

int trunks_add_verbs(struct ctl *ctl, struct trunks *t)
{
	return ctl_register(ctl, "trunks", "[NAME]", "carriers: calls, limits, our registrations", verb_trunks, t);
}

/* Metrics: as many labels as the configuration has trunks (LESSONS 79) ------------------------------------------------------ */

static void write_calls(void *ctx, struct metrics_lines *lines)
{
	const struct trunks *t = ctx;
	const struct conf *c = t->publisher->now;
	struct trunk_info info;

	for (unsigned i = 0; i < c->n_trunks; i++) {
		struct metrics_label labels[] = { { "trunk", c->trunks[i].name }, { "direction", SV("in") } };

		info_of(t, &c->trunks[i], &info);
		metrics_line(lines, labels, 2, info.calls_in);
		labels[1].value = SV("out");
		metrics_line(lines, labels, 2, info.calls_out);
	}
}

static void write_refused(void *ctx, struct metrics_lines *lines)
{
	const struct trunks *t = ctx;
	const struct conf *c = t->publisher->now;
	struct trunk_info info;

	for (unsigned i = 0; i < c->n_trunks; i++) {
		struct metrics_label labels[] = { { "trunk", c->trunks[i].name }, { "limit", SV("calls") } };

		info_of(t, &c->trunks[i], &info);
		metrics_line(lines, labels, 2, info.refused[TRUNK_FULL]);
		labels[1].value = SV("rate");
		metrics_line(lines, labels, 2, info.refused[TRUNK_FAST]);
	}
}

static void write_registered(void *ctx, struct metrics_lines *lines)
{
	const struct trunks *t = ctx;
	const struct conf *c = t->publisher->now;
	uint64_t now_ms = clock_monotonic_ms();
	struct trunk_info info;

	for (unsigned i = 0; i < c->n_trunks; i++) {
		struct metrics_label labels[] = { { "trunk", c->trunks[i].name } };

		if (!c->trunks[i].registers)
			continue;
		info_of(t, &c->trunks[i], &info);
		metrics_line(lines, labels, 1, info.registration.until_ms > now_ms);
	}
}

int trunks_add_metrics(struct metrics *m, struct trunks *t)
{
	int err = metrics_add_family(m, "trunk_calls", "Calls of each trunk, by direction", true, write_calls, t);

	if (!err)
		err = metrics_add_family(m, "trunk_refused_total", "Calls beyond the limits of their trunk", false, write_refused, t);
	if (!err)
		err = metrics_add_family(m, "trunk_registered", "1 while we are registered there", true, write_registered, t);
	return err;
}
