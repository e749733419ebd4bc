#include "sbc/verbs.h"
#include "admin/ctl.h"
#include "admin/metrics.h"
#include "sbc/cdr.h"
#include "sbc/states.h"
#include "transports/resolver.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct question;
struct part;

struct verbs {
	struct verbs_params p;
	struct ctl *ctl;
	struct metrics *metrics;
	struct mailbox *mail;        /* answers of the workers */
	struct event *event;
	struct question *rendering;  /* whose workers' slabs are shown */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Asking every worker ---------------------------------------------------------------------------------------------- */

struct row {
	uint64_t id, age_ms, answered_ms;
	char state[16], from[128], to[128], near[ADDR_TEXT], far[ADDR_TEXT], near_call_id[128], far_call_id[64];
	unsigned legs, dialogs;
};

struct slab_row {
	const char *name;
	size_t in_use, pages;
};

enum { SLABS = 32 };

/* One question to all workers: `work` runs on each of them, `finish` here when the last has answered. */
struct question {
	struct verbs *verbs;
	struct ctl_reply *reply;
	unsigned waiting;
	void (*work)(struct question *q, struct worker *w, struct part *part);
	void (*finish)(struct question *q);
	uint64_t id;                 /* call ID, hangup ID */
	struct part *parts[POOL_WORKERS_MAX];
};

struct part {
	struct mail mail;
	struct question *question;
	struct row *rows;
	size_t n, room;
	unsigned hits;
	bool is_cut;
	struct slab_row slabs[SLABS];
	unsigned n_slabs;
};

static void question_free(struct question *q)
{
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		if (q->parts[i]) {
			free(q->parts[i]->rows);
			free(q->parts[i]);
		}
	free(q);
}

static void question_done(struct question *q)
{
	if (--q->waiting)
		return;
	q->finish(q);
	question_free(q);
}

static void part_back(struct mail *m, void *reader)
{
	(void)reader;
	question_done(owner_of(m, struct part, mail)->question);
}

/* On the worker. */
static void part_work(struct mail *m, void *reader)
{
	struct part *part = owner_of(m, struct part, mail);
	struct question *q = part->question;

	q->work(q, reader, part);
	m->deliver = part_back;
	mailbox_post(q->verbs->mail, m, true); /* finds room: VERBS_MAILS is CTL_CONNECTIONS_MAX times POOL_WORKERS_MAX */
}

static void question_ask(struct question *q)
{
	struct verbs *v = q->verbs;

	q->waiting = 1; /* ours, until all are asked */
	for (unsigned i = 0; i < v->p.n_loops; i++) {
		struct part *part = calloc(1, sizeof(*part));

		if (!part)
			continue;
		part->mail.deliver = part_work;
		part->question = q;
		q->parts[i] = part;
		q->waiting++;
		if (loop_post(v->p.loops[i], &part->mail, true)) {
			q->waiting--;
			q->parts[i] = NULL;
			free(part);
		}
	}
	question_done(q);
}

static void ask(struct verbs *v, struct ctl_reply *r, uint64_t id,
                void (*work)(struct question *q, struct worker *w, struct part *part), void (*finish)(struct question *q))
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q) {
		ctl_fail(r, CTL_FAILED, "out of memory");
		return;
	}
	q->verbs = v;
	q->reply = r;
	q->id = id;
	q->work = work;
	q->finish = finish;
	question_ask(q);
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

	if (part->question->id && info->id != part->question->id)
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
	                     .dialogs = info->dialogs };
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
		struct part *part = q->parts[i];

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
		struct part *part = q->parts[i];
		struct row *r = part && part->n ? part->rows : NULL;

		if (!r)
			continue;
		ctl_columns(q->reply, 12, "id", "state", "from", "to", "source", "destination", "near_call_id", "far_call_id", "age_ms",
		            "answered_ms", "legs", "dialogs");
		ctl_row(q->reply, cell_id(r->id, id), cell_str(r->state), cell_str(r->from), cell_str(r->to), cell_str(r->near),
		        *r->far ? cell_str(r->far) : cell_none(), cell_str(r->near_call_id),
		        *r->far_call_id ? cell_str(r->far_call_id) : cell_none(), cell_ms(r->age_ms),
		        r->answered_ms ? cell_ms(r->answered_ms) : cell_none(), cell_u64(r->legs), cell_u64(r->dialogs));
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
		hits += q->parts[i] ? q->parts[i]->hits : 0;
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

/* status, pools, operator states ----------------------------------------------------------------------------------- */

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
	ctl_columns(r, 9, "node", "workers", "uptime_ms", "configuration", "generation", "calls", "started", "answered", "failed");
	ctl_row(r, cell_sv(c->node), cell_u64(v->p.n_loops), cell_ms(now_ms() - v->p.started_ms), cell_sv(c->file), cell_u64(c->gen),
	        cell_u64(sum_of(v, worker_block, CALLS_NOW)), cell_u64(sum_of(v, calls_block, CALLS_STARTED)),
	        cell_u64(sum_of(v, calls_block, CALLS_ANSWERED)), cell_u64(sum_of(v, calls_block, CALLS_FAILED)));
	ctl_done(r);
}

static const char *state_of(const struct dest_info *i)
{
	if (i->wish == WISH_DISABLED)
		return "disabled";
	if (i->wish == WISH_DRAINING)
		return "draining";
	return i->is_up ? "up" : "down";
}

static void verb_pools(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct verbs *v = ctx;
	const struct conf *c = v->p.publisher->now;
	struct dest_info info;

	if (argc > 2 || (argc == 2 && conf_find_pool(c, sv_from(argv[1])) < 0)) {
		ctl_fail(r, CTL_USAGE, "no pool %s", argv[1]);
		return;
	}
	ctl_columns(r, 10, "pool", "name", "uri", "state", "since_ms", "calls", "total", "failures", "latency_us", "why");
	for (unsigned i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];
		struct sv pool = c->pools[d->pool].name;

		if (argc == 2 && !sv_eq(pool, sv_from(argv[1])))
			continue;
		dest_info(v->p.shared->pools, pools_slot(v->p.shared->pools, c, i), &info);
		ctl_row(r, cell_sv(pool), cell_sv(d->name), cell_sv(d->uri), cell_str(state_of(&info)),
		        info.since_ms ? cell_ms(now_ms() - info.since_ms) : cell_none(), cell_u64(info.load), cell_u64(info.calls),
		        cell_u64(info.failures), info.latency_us ? cell_u64(info.latency_us) : cell_none(), cell_str(info.why));
	}
	ctl_done(r);
}

static void set_wish(struct verbs *v, struct ctl_reply *r, int argc, char **argv, enum dest_wish wish)
{
	struct wishes *wishes = v->p.publisher->wishes;
	struct wish want = { .wish = wish };
	char hint[128];
	int err;

	if (argc != 2) {
		ctl_fail_usage(r);
		return;
	}
	snprintf(want.actor, sizeof(want.actor), "%s", ctl_actor(r));
	err = wishes_set(wishes, v->p.publisher->now, sv_from(argv[1]), &want, now_ms(), v->p.shared->wall_ms(v->p.shared), hint);
	if (err) {
		ctl_fail(r, CTL_USAGE, *hint ? "no destination %s; the nearest name is %s" : "no destination %s%s", argv[1], hint);
		return;
	}
	if ((err = states_save(wishes, v->p.publisher->now->state)))
		ctl_note(r, "not written to the state directory (%s): a restart forgets it", strerror(-err));
	log_info(v->p.shared->log, "destination.set", "destination=%s wish=%s by=%s", argv[1], argv[0], ctl_actor(r));
	ctl_note(r, "%s: %s", argv[1], argv[0]);
	ctl_done(r);
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

/* reload, check, metrics ------------------------------------------------------------------------------------------- */

static void say_notes(struct ctl_reply *r, const char *file, const struct conf_notes *notes)
{
	char line[1024];

	list_each(n, &notes->list) {
		conf_note_format(owner_of(n, struct conf_note, in_list), file, line, sizeof(line));
		ctl_text(r, sv_from(line));
		ctl_text(r, SV("\n"));
	}
}

static void verb_reload(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct verbs *v = ctx;
	struct conf_notes notes;
	char file[1024];
	int err;

	(void)argv;
	if (!has_no_words(r, argc))
		return;
	text(file, sizeof(file), v->p.publisher->now->file);
	conf_notes_init(&notes);
	err = v->p.reload(v->p.ctx, &notes);
	say_notes(r, file, &notes);
	conf_notes_fini(&notes);
	if (err) {
		ctl_exit_code(r, CTL_FAILED);
		ctl_note(r, "%s: not taken (%s): the old configuration goes on", file, strerror(-err));
	} else {
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
	if (!(err = conf_load(&c, argv[1], &notes)))
		err = conf_can_replace(v->p.publisher->now, c, &notes);
	say_notes(r, argv[1], &notes);
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
}

/* Slabs are read on their own threads, so they come with the question. */
static void write_slabs(void *ctx, struct metrics_lines *lines)
{
	struct question *q = *(struct question **)ctx;

	for (unsigned i = 0; q && i < POOL_WORKERS_MAX; i++) {
		char worker[8];

		snprintf(worker, sizeof(worker), "%u", i);
		for (unsigned k = 0; q->parts[i] && k < q->parts[i]->n_slabs; k++) {
			struct metrics_label labels[] = { { "slab", sv_from(q->parts[i]->slabs[k].name) }, { "worker", sv_from(worker) } };

			metrics_line(lines, labels, 2, q->parts[i]->slabs[k].in_use);
		}
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

static void write_destinations(void *ctx, struct metrics_lines *lines)
{
	write_each(ctx, lines, load_of);
}

static void write_up(void *ctx, struct metrics_lines *lines)
{
	write_each(ctx, lines, is_up);
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
		ctl_fail(q->reply, CTL_FAILED, "metrics: %s", strerror(-err));
		return;
	}
	ctl_text(q->reply, (struct sv){ out.p, out.len });
	free(out.p);
	ctl_done(q->reply);
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
		                                    b2bua_hide_counters(w->calls), loop_net_counters(v->p.loops[i]),
		                                    loop_resolver_counters(v->p.loops[i]) };

		for (unsigned k = 0; k < sizeof(blocks) / sizeof(*blocks) && !err; k++)
			err = metrics_add(v->metrics, blocks[k]);
	}
	if (!err && v->p.shared->cdr)
		err = metrics_add(v->metrics, cdr_counters(v->p.shared->cdr));
	if (!err && v->ctl)
		err = metrics_add(v->metrics, ctl_counters(v->ctl));
	if (!err)
		err = metrics_add_family(v->metrics, "slab_in_use", "Objects held, by kind and worker", true, write_slabs, &v->rendering);
	if (!err)
		err = metrics_add_family(v->metrics, "destination_calls", "Calls at each destination", true, write_destinations, v);
	if (!err)
		err = metrics_add_family(v->metrics, "destination_up", "1 while evidence says that it is up", true, write_up, v);
	return err;
}

static int add_verbs(struct verbs *v)
{
	static const struct {
		const char *verb, *usage, *help;
		ctl_handler *handler;
	} all[] = {
		{ "status", "", "what this node is and how many calls it holds", verb_status },
		{ "pools", "[POOL]", "destinations, their state and their load", verb_pools },
		{ "calls", "", "calls held now", verb_calls },
		{ "call", "ID", "one call", verb_call },
		{ "hangup", "ID", "ends a call on both sides", verb_hangup },
		{ "drain", "POOL/NAME", "no new calls there; those there go on", verb_drain },
		{ "undrain", "POOL/NAME", "back in service", verb_in_service },
		{ "disable", "POOL/NAME", "out of service until enabled", verb_disable },
		{ "enable", "POOL/NAME", "back in service", verb_in_service },
		{ "reload", "", "reads the configuration file again, whole or not at all", verb_reload },
		{ "check", "FILE", "what is wrong with a file, what it does, and whether a reload could take it", verb_check },
		{ "metrics", "", "all counters in Prometheus' text format", verb_metrics },
	};
	int err = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && !err; i++)
		err = ctl_register(v->ctl, all[i].verb, all[i].usage, all[i].help, all[i].handler, v);
	return err;
}

static void on_mail(evutil_socket_t fd, short what, void *ctx)
{
	struct verbs *v = ctx;

	(void)fd;
	(void)what;
	mailbox_ack(v->mail);
	while (mailbox_drain(v->mail, v, VERBS_MAILS))
		;
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

int verbs_new(struct verbs **out, const struct verbs_params *p)
{
	struct verbs *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return -ENOMEM;
	v->p = *p;
	if ((err = mailbox_new(&v->mail, VERBS_MAILS)) ||
	    (v->event = event_new(p->base, mailbox_fd(v->mail), EV_READ | EV_PERSIST, on_mail, v), err = v->event ? 0 : -ENOMEM) ||
	    (err = event_add(v->event, NULL)) || (err = open_socket(v)) || (err = add_metrics(v))) {
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
	if (v->mail)
		on_mail(-1, 0, v); /* answers that came back last */
	ctl_free(v->ctl);
	metrics_free(v->metrics);
	if (v->event)
		event_free(v->event);
	mailbox_free(v->mail);
	free(v);
}
