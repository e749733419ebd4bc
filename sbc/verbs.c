#include "sbc/verbs.h"
#include "sbc/change.h"
#include "sbc/trunks.h"
#include "admin/ctl.h"
#include "admin/metrics.h"
#include "dispatcher/sticky.h"
#include "sbc/certs.h"
#include "sbc/explain.h"
#include "sbc/ask.h"
#include "sbc/bindings.h"
#include "sbc/cdr.h"
#include "sbc/call/reasons.h"
#include "sbc/lookups.h"
#include "sbc/clock.h"
#include "sbc/operate.h"
#include "sbc/web.h"
#include "transports/resolver.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct question;

struct verbs {
	struct verbs_params p;
	struct change change;
	struct trunks trunks;
	struct ctl *ctl;
	struct metrics *metrics;
	struct asker *asker;
	struct operate *operate;
	struct web *web;
	struct question *rendering;  /* whose workers' slabs are shown */
};

/* Asking every worker ---------------------------------------------------------------------------------------------- */

struct row {
	uint64_t id, age_ms, answered_ms;
	char state[16], from[128], to[128], near[ADDR_TEXT], far[ADDR_TEXT], near_call_id[128], far_call_id[64];
	unsigned legs, dialogs, moves;
};

struct slab_row {
	const char *name;
	size_t in_use, pages;
};

enum { SLABS = 32 };

struct part {
	struct ask_part base;
	struct row *rows;
	size_t n, room;
	unsigned hits;
	bool is_cut;
	struct slab_row slabs[SLABS];
	unsigned n_slabs;
	struct domain_rows domains;
};

struct question {
	struct ask ask;
	struct verbs *verbs;
	struct ctl_reply *reply;
	struct http_reply *page;     /* instead of `reply` */
	void (*work)(struct question *q, struct worker *w, struct part *part);
	void (*finish)(struct question *q);
	uint64_t id;                 /* call ID, hangup ID */
};

/* What this worker answered; NULL: it was not asked. */
static struct part *part_of(const struct question *q, unsigned worker)
{
	struct ask_part *part = q->ask.parts[worker];

	return part ? owner_of(part, struct part, base) : NULL;
}

static void question_work(struct ask *a, struct worker *w, struct ask_part *part)
{
	struct question *q = owner_of(a, struct question, ask);

	q->work(q, w, owner_of(part, struct part, base));
}

static void question_finish(struct ask *a)
{
	struct question *q = owner_of(a, struct question, ask);

	q->finish(q);
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		if (part_of(q, i)) {
			free(part_of(q, i)->rows);
			free(part_of(q, i)->domains.rows);
		}
	ask_fini(&q->ask);
	free(q);
}

/* One of `r` and `page` wants to know. False: no memory. */
static bool ask_for(struct verbs *v, struct ctl_reply *r, struct http_reply *page, uint64_t id,
                    void (*work)(struct question *q, struct worker *w, struct part *part), void (*finish)(struct question *q))
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return false;
	q->verbs = v;
	q->reply = r;
	q->page = page;
	q->id = id;
	q->work = work;
	q->finish = finish;
	q->ask = (struct ask){ .work = question_work, .finish = question_finish, .part_size = sizeof(struct part) };
	ask_workers(v->asker, &q->ask);
	return true;
}

static void ask(struct verbs *v, struct ctl_reply *r, uint64_t id,
                void (*work)(struct question *q, struct worker *w, struct part *part), void (*finish)(struct question *q))
{
	if (!ask_for(v, r, NULL, id, work, finish))
		ctl_fail(r, CTL_FAILED, "out of memory");
}

/* A verb that takes nothing. */
static bool has_no_words(struct ctl_reply *r, int argc)
{
	if (argc != 1)
		ctl_fail_usage(r);
	return argc == 1;
}

/* calls, call, hangup ---------------------------------------------------------------------------------------------- */

static void text(char *out, size_t size, struct sv v)
{
	snprintf(out, size, "%.*s", SV_ARG(v));
}

static void call_row(void *ctx, const struct call_info *info)
{
	struct part *part = ctx;
	struct row *row;

	uint64_t wanted = owner_of(part->base.ask, struct question, ask)->id;

	if (wanted && info->id != wanted)
		return;
	if (part->n == part->room) {
		size_t room = part->room ? part->room * 2 : 64;
		struct row *rows = part->n < VERBS_ROWS_MAX ? realloc(part->rows, room * sizeof(*rows)) : NULL;

		if (!rows) {
			part->is_cut = true;
			return;
		}
		part->rows = rows;
		part->room = room;
	}
	row = &part->rows[part->n++];
	*row = (struct row){ .id = info->id, .age_ms = info->age_ms, .answered_ms = info->answered_ms, .legs = info->legs,
	                     .dialogs = info->dialogs, .moves = info->moves };
	text(row->state, sizeof(row->state), info->state);
	text(row->from, sizeof(row->from), info->from);
	text(row->to, sizeof(row->to), info->to);
	text(row->near_call_id, sizeof(row->near_call_id), info->near_call_id);
	text(row->far_call_id, sizeof(row->far_call_id), info->far_call_id);
	addr_print(&info->near, row->near);
	if (info->far.family)
		addr_print(&info->far, row->far);
}

static void calls_work(struct question *q, struct worker *w, struct part *part)
{
	(void)q;
	b2bua_each(w->calls, call_row, part);
}

static struct ctl_cell cell_id(uint64_t id, char room[17])
{
	snprintf(room, 17, "%016lx", (unsigned long)id);
	return cell_str(room);
}

static void calls_finish(struct question *q)
{
	bool is_cut = false;
	char id[17];

	ctl_columns(q->reply, 7, "id", "state", "from", "to", "source", "destination", "age_ms");
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++) {
		struct part *part = part_of(q, i);

		for (size_t k = 0; part && k < part->n; k++) {
			struct row *r = &part->rows[k];

			ctl_row(q->reply, cell_id(r->id, id), cell_str(r->state), cell_str(r->from), cell_str(r->to), cell_str(r->near),
			        *r->far ? cell_str(r->far) : cell_none(), cell_ms(r->age_ms));
		}
		is_cut |= part && part->is_cut;
	}
	if (is_cut)
		ctl_note(q->reply, "more calls than are shown (%d per worker)", VERBS_ROWS_MAX);
	ctl_done(q->reply);
}

static void verb_calls(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)argv;
	if (has_no_words(r, argc))
		ask(ctx, r, 0, calls_work, calls_finish);
}

static bool parse_id(const char *word, uint64_t *id)
{
	char *end;

	errno = 0;
	*id = strtoull(word, &end, 16);
	return *word && !*end && !errno && *id;
}

static void call_finish_one(struct question *q)
{
	char id[17];

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++) {
		struct part *part = part_of(q, i);
		struct row *r = part && part->n ? part->rows : NULL;

		if (!r)
			continue;
		ctl_columns(q->reply, 13, "id", "state", "from", "to", "source", "destination", "near_call_id", "far_call_id", "age_ms",
		            "answered_ms", "legs", "dialogs", "moves");
		ctl_row(q->reply, cell_id(r->id, id), cell_str(r->state), cell_str(r->from), cell_str(r->to), cell_str(r->near),
		        *r->far ? cell_str(r->far) : cell_none(), cell_str(r->near_call_id),
		        *r->far_call_id ? cell_str(r->far_call_id) : cell_none(), cell_ms(r->age_ms),
		        r->answered_ms ? cell_ms(r->answered_ms) : cell_none(), cell_u64(r->legs), cell_u64(r->dialogs),
		        cell_u64(r->moves));
		ctl_done(q->reply);
		return;
	}
	ctl_fail(q->reply, CTL_FAILED, "no call %016lx", (unsigned long)q->id);
}

static void verb_call(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	uint64_t id;

	if (argc != 2 || !parse_id(argv[1], &id))
		ctl_fail_usage(r);
	else
		ask(ctx, r, id, calls_work, call_finish_one);
}

static void hangup_work(struct question *q, struct worker *w, struct part *part)
{
	part->hits = b2bua_hangup(w->calls, q->id, "sbcctl");
}

static void hangup_finish(struct question *q)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		hits += part_of(q, i) ? part_of(q, i)->hits : 0;
	if (!hits) {
		ctl_fail(q->reply, CTL_FAILED, "no call %016lx", (unsigned long)q->id);
		return;
	}
	ctl_note(q->reply, "call %016lx: both sides were told", (unsigned long)q->id);
	ctl_done(q->reply);
}

static void verb_hangup(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	uint64_t id;

	if (argc != 2 || !parse_id(argv[1], &id))
		ctl_fail_usage(r);
	else
		ask(ctx, r, id, hangup_work, hangup_finish);
}

/* status ----------------------- ----------------------------------------------------------------------------------- */

static uint64_t sum_of(const struct verbs *v, const struct counters *(*block)(struct loop *l), unsigned which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < v->p.n_loops; i++)
		sum += counter_get(block(v->p.loops[i]), which);
	return sum;
}

static const struct counters *calls_block(struct loop *l)
{
	return b2bua_counters(loop_worker(l)->calls);
}

static const struct counters *keepalive_block(struct loop *l)
{
	return keepalive_counters(loop_worker(l)->keepalive);
}

static const struct counters *reasons_block(struct loop *l)
{
	return b2bua_reasons(loop_worker(l)->calls);
}

static const struct counters *worker_block(struct loop *l)
{
	return &loop_worker(l)->counters;
}

static void verb_status(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct verbs *v = ctx;
	const struct conf *c = v->p.publisher->now;

	(void)argv;
	if (!has_no_words(r, argc))
		return;
	ctl_columns(r, 13, "node", "workers", "uptime_ms", "configuration", "generation", "calls", "started", "answered", "failed",
	            "kept_alive", "pings_last_minute", "pings_busiest_10ms", "contacts_lost");
	ctl_row(r, cell_sv(c->node), cell_u64(v->p.n_loops), cell_ms(clock_monotonic_ms() - v->p.started_ms), cell_sv(c->file),
	        cell_u64(c->gen), cell_u64(sum_of(v, worker_block, CALLS_NOW)), cell_u64(sum_of(v, calls_block, CALLS_STARTED)),
	        cell_u64(sum_of(v, calls_block, CALLS_ANSWERED)), cell_u64(sum_of(v, calls_block, CALLS_FAILED)),
	        cell_u64(sum_of(v, keepalive_block, KEEPER_CONTACTS)), cell_u64(sum_of(v, keepalive_block, KEEPER_MINUTE)),
	        cell_u64(sum_of(v, keepalive_block, KEEPER_BUSIEST)), cell_u64(sum_of(v, keepalive_block, KEEPER_LOST)));
	ctl_done(r);
}

/* reload, check, metrics ------------------------------------------------------------------------------------------- */

static void verb_reload(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct verbs *v = ctx;
	const struct conf *was = v->p.publisher->now; /* the publisher keeps it until its next collection */
	struct conf_notes notes;
	char file[1024];
	int err;

	(void)argv;
	if (!has_no_words(r, argc))
		return;
	text(file, sizeof(file), v->p.publisher->now->file);
	conf_notes_init(&notes);
	err = v->p.reload(v->p.ctx, &notes);
	change_say_notes(r, file, &notes);
	conf_notes_fini(&notes);
	if (err) {
		ctl_exit_code(r, CTL_FAILED);
		ctl_note(r, "%s: not taken (%s): the old configuration goes on", file,
		         err == -EBUSY ? "workers still hold the last ones; try again" : strerror(-err));
	} else {
		change_tell(r, was, v->p.publisher->now);
		ctl_note(r, "%s: taken, generation %lu", file, (unsigned long)v->p.publisher->now->gen);
	}
	ctl_done(r);
}

static void verb_check(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct verbs *v = ctx;
	struct conf_notes notes;
	struct conf_text what = { NULL, 0 };
	struct conf *c = NULL;
	int err;

	if (argc != 2) {
		ctl_fail_usage(r);
		return;
	}
	conf_notes_init(&notes);
	if (!(err = conf_load_live(&c, argv[1], &v->p.publisher->live, &notes)))
		err = conf_can_replace(v->p.publisher->now, c, &notes);
	change_say_notes(r, argv[1], &notes);
	if (c && conf_describe(c, &what) == 0)
		ctl_text(r, (struct sv){ what.p, what.len });
	ctl_note(r, "%s: %u errors, %u warnings", argv[1], notes.errors, notes.warnings);
	ctl_exit_code(r, err ? CTL_FAILED : CTL_OK);
	conf_notes_fini(&notes);
	free(what.p);
	conf_free(c);
	ctl_done(r);
}

static void slab_row(void *ctx, const struct slab *s)
{
	struct part *part = ctx;

	if (part->n_slabs < SLABS)
		part->slabs[part->n_slabs++] = (struct slab_row){ s->name, s->in_use, s->pages };
}

static void metrics_work(struct question *q, struct worker *w, struct part *part)
{
	(void)q;
	b2bua_slabs(w->calls, slab_row, part);
	domains_read(w, &part->domains);
}

static void write_bindings(void *ctx, struct metrics_lines *lines)
{
	struct question *q = *(struct question **)ctx;
	const struct domain_rows *of[POOL_WORKERS_MAX];

	for (unsigned i = 0; q && i < POOL_WORKERS_MAX; i++)
		of[i] = part_of(q, i) ? &part_of(q, i)->domains : NULL;
	if (q)
		domains_write(of, POOL_WORKERS_MAX, lines);
}

/* Slabs are read on their own threads, so they come with the question. */
static void write_slabs(void *ctx, struct metrics_lines *lines)
{
	struct question *q = *(struct question **)ctx;

	for (unsigned i = 0; q && i < POOL_WORKERS_MAX; i++) {
		const struct part *part = part_of(q, i);
		char worker[8];

		snprintf(worker, sizeof(worker), "%u", i);
		for (unsigned k = 0; part && k < part->n_slabs; k++) {
			struct metrics_label labels[] = { { "slab", sv_from(part->slabs[k].name) }, { "worker", sv_from(worker) } };

			metrics_line(lines, labels, 2, part->slabs[k].in_use);
		}
	}
}

/* What the turns of the workers' loops took, as far as they were measured: a histogram, its bounds in microseconds. */
static void write_turns(void *ctx, struct metrics_lines *lines)
{
	struct verbs *v = ctx;

	for (unsigned i = 0; i < v->p.n_loops; i++) {
		char worker[12], bound[12];

		snprintf(worker, sizeof(worker), "%u", i);
		for (unsigned k = 0; k <= TURNS_BUCKETS; k++) {
			struct metrics_label labels[] = { { "worker", sv_from(worker) }, { "le", SV("+Inf") } };

			if (turns_bound_us(k)) {
				snprintf(bound, sizeof(bound), "%u", turns_bound_us(k));
				labels[1].value = sv_from(bound);
			}
			metrics_line(lines, labels, 2, turns_within(loop_turns(v->p.loops[i]), k));
		}
	}
}

static void write_longest_turn(void *ctx, struct metrics_lines *lines)
{
	struct verbs *v = ctx;

	for (unsigned i = 0; i < v->p.n_loops; i++) {
		char worker[12];
		struct metrics_label label = { "worker", { 0 } };

		snprintf(worker, sizeof(worker), "%u", i);
		label.value = sv_from(worker);
		metrics_line(lines, &label, 1, turns_max_us(loop_turns(v->p.loops[i])));
	}
}

static void write_each(struct verbs *v, struct metrics_lines *lines, uint64_t (*value)(const struct dest_info *info))
{
	const struct conf *c = v->p.publisher->now;
	struct dest_info info;

	for (unsigned i = 0; i < c->n_destinations; i++) {
		struct metrics_label labels[] = { { "pool", c->pools[c->destinations[i].pool].name }, { "name", c->destinations[i].name } };

		dest_info(v->p.shared->pools, pools_slot(v->p.shared->pools, c, i), &info);
		metrics_line(lines, labels, 2, value(&info));
	}
}

static uint64_t load_of(const struct dest_info *info)
{
	return info->load;
}

static uint64_t is_up(const struct dest_info *info)
{
	return info->is_up;
}

static uint64_t is_in_service(const struct dest_info *info)
{
	return info->wish == WISH_IN_SERVICE;
}

static void write_in_service(void *ctx, struct metrics_lines *lines)
{
	write_each(ctx, lines, is_in_service);
}

static void write_destinations(void *ctx, struct metrics_lines *lines)
{
	write_each(ctx, lines, load_of);
}

static void write_up(void *ctx, struct metrics_lines *lines)
{
	write_each(ctx, lines, is_up);
}

static void write_refused(void *ctx, struct metrics_lines *lines)
{
	const struct verbs *v = ctx;

	for (enum why why = 0; why < WHY_COUNT; why++) {
		struct metrics_label labels[] = { { "reason", sv_from(call_reasons[why].id) } };
		uint64_t n = sum_of(v, reasons_block, why);

		if (n)
			metrics_line(lines, labels, 1, n);
	}
}

static void metrics_fail(struct question *q, int err)
{
	if (q->page)
		http_answer(q->page, 503, "text/plain; charset=utf-8", sv_from(strerror(-err)));
	else
		ctl_fail(q->reply, CTL_FAILED, "metrics: %s", strerror(-err));
}

static void metrics_finish(struct question *q)
{
	struct verbs *v = q->verbs;
	struct metrics_text out;
	int err;

	v->rendering = q;
	err = metrics_render(v->metrics, &out);
	v->rendering = NULL;
	if (err) {
		metrics_fail(q, err);
		return;
	}
	if (q->page)
		http_answer(q->page, 200, METRICS_TYPE, (struct sv){ out.p, out.len });
	else {
		ctl_text(q->reply, (struct sv){ out.p, out.len });
		ctl_done(q->reply);
	}
	free(out.p);
}

static void page_metrics(void *ctx, struct http_reply *page)
{
	if (!ask_for(ctx, NULL, page, 0, metrics_work, metrics_finish))
		http_answer(page, 503, "text/plain; charset=utf-8", SV("out of memory\n"));
}

static void verb_metrics(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)argv;
	if (has_no_words(r, argc))
		ask(ctx, r, 0, metrics_work, metrics_finish);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static int add_metrics(struct verbs *v)
{
	int err = metrics_new(&v->metrics);

	for (unsigned i = 0; i < v->p.n_loops && !err; i++) {
		struct worker *w = loop_worker(v->p.loops[i]);
		const struct counters *blocks[] = { &w->counters, &w->stack.counters, b2bua_counters(w->calls),
		                                    b2bua_hide_counters(w->calls), b2bua_nat_counters(w->calls),
		                                    keepalive_counters(w->keepalive), registrar_counters(w->registrar),
		                                    sticky_counters(b2bua_sticky(w->calls)), loop_net_counters(v->p.loops[i]),
		                                    loop_resolver_counters(v->p.loops[i]) };

		for (unsigned k = 0; k < sizeof(blocks) / sizeof(*blocks) && !err; k++)
			err = metrics_add(v->metrics, blocks[k]);
		if (!err)
			err = metrics_add(v->metrics, auth_counters(w->auth));
	}
	if (!err)
		err = metrics_add(v->metrics, users_counters(v->p.shared->users));
	if (!err && v->p.shared->cdr)
		err = metrics_add(v->metrics, cdr_counters(v->p.shared->cdr));
	if (!err && v->ctl)
		err = metrics_add(v->metrics, ctl_counters(v->ctl));
	if (!err && v->web)
		err = metrics_add(v->metrics, web_counters(v->web));
	if (!err)
		err = certs_metrics(v->metrics, v->p.certs);
	if (!err)
		err = metrics_add_family(v->metrics, "slab_in_use", "Objects held, by kind and worker", true, write_slabs, &v->rendering);
	if (!err)
		err = metrics_add_family(v->metrics, "domain_bindings", "Registered contacts by domain and transport", true, write_bindings,
		                         &v->rendering);
	if (!err)
		err = metrics_add_family(v->metrics, "refused_total", "Requests that we refused ourselves, by reason (docs/reasons.md)",
		                         false,
		                         write_refused, v);
	if (!err)
		err = metrics_add_family(v->metrics, "loop_turns", "Turns of a worker's loop that were measured, by their CPU at most (us)",
		                         false, write_turns, v);
	if (!err)
		err = metrics_add_family(v->metrics, "loop_turn_cpu_max_us", "CPU of the longest of them", true, write_longest_turn, v);
	if (!err)
		err = metrics_add_family(v->metrics, "destination_calls", "Calls at each destination", true, write_destinations, v);
	if (!err)
		err = metrics_add_family(v->metrics, "destination_up", "1 while evidence says that it is up", true, write_up, v);
	if (!err)
		err = metrics_add_family(v->metrics, "destination_in_service", "0 while an operator drains or disables it", true,
		                         write_in_service, v);
	return err ? err : trunks_add_metrics(v->metrics, &v->trunks);
}

static int add_verbs(struct verbs *v)
{
	static const struct {
		const char *verb, *usage, *help;
		ctl_handler *handler;
	} all[] = {
		{ "status", "", "what this node is and how many calls it holds", verb_status },
		{ "calls", "", "calls held now", verb_calls },
		{ "call", "ID", "one call", verb_call },
		{ "hangup", "ID", "ends a call on both sides", verb_hangup },
		{ "reload", "", "reads the configuration file again, whole or not at all", verb_reload },
		{ "check", "FILE", "what is wrong with a file, what it does, and whether a reload could take it", verb_check },
		{ "metrics", "", "all counters in Prometheus' text format", verb_metrics },
	};
	int err = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && !err; i++)
		err = ctl_register(v->ctl, all[i].verb, all[i].usage, all[i].help, all[i].handler, v);
	v->change = (struct change){ v->p.live, v->p.publisher };
	if (!err)
		err = trunks_add_verbs(v->ctl, &v->trunks);
	if (!err)
		err = change_verbs(v->ctl, &v->change);
	if (!err)
		err = lookups_add_verbs(v->ctl, v->asker);
	if (!err)
		err = certs_verbs(v->ctl, v->p.certs);
	if (!err)
		err = explain_verbs(v->ctl, v->p.publisher);
	return err ? err : bindings_add_verbs(v->ctl, v->asker);
}

static int open_socket(struct verbs *v)
{
	char path[1024];
	int err;

	text(path, sizeof(path), v->p.publisher->now->admin_socket);
	if (!*path)
		return 0;
	if ((err = ctl_new(&v->ctl, v->p.base, path))) {
		fprintf(stderr, "sbc: %s: %s\n", path,
		        err == -EADDRINUSE ? "another process answers on this control socket" : strerror(-err));
		return err;
	}
	return add_verbs(v);
}

static int add_operate(struct verbs *v)
{
	struct operate_params p = { .drains = { .base = v->p.base, .shared = v->p.shared, .publisher = v->p.publisher, .asker = v->asker },
		                    .ctl = v->ctl };

	return operate_new(&v->operate, &p);
}

static int open_web(struct verbs *v)
{
	return web_new(&v->web, &(struct web_params){ .base = v->p.base, .shared = v->p.shared, .publisher = v->p.publisher,
	                                              .asker = v->asker, .n_loops = v->p.n_loops, .metrics = page_metrics,
	                                              .metrics_ctx = v, .is_closing = v->p.is_closing, .ctx = v->p.ctx });
}

int verbs_new(struct verbs **out, const struct verbs_params *p)
{
	struct verbs *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return -ENOMEM;
	v->p = *p;
	v->trunks = (struct trunks){ p->shared, p->publisher };
	if ((err = asker_new(&v->asker, p->base, p->loops, p->n_loops)) || (err = open_socket(v)) || (err = add_operate(v)) ||
	    (err = open_web(v)) || (err = add_metrics(v))) {
		verbs_free(v);
		return err;
	}
	*out = v;
	return 0;
}

void verbs_free(struct verbs *v)
{
	if (!v)
		return;
	if (v->asker)
		asker_look(v->asker); /* answers that came back last */
	web_free(v->web);
	ctl_free(v->ctl);
	metrics_free(v->metrics);
	operate_free(v->operate);
	asker_free(v->asker);
	free(v);
}
