#include "sbc/bindings.h"
#include "admin/ctl.h"
#include "admin/metrics.h"
#include <stdio.h>
#include <stdlib.h>

struct binding_row {
	uint64_t expires_in_ms;
	char aor[BINDINGS_TEXT_MAX], contact[BINDINGS_TEXT_MAX], instance[BINDINGS_TEXT_MAX], remote[ADDR_TEXT];
	uint32_t reg_id;
	uint16_t q;
	uint8_t transport;
	bool is_flow_lost;
};

struct binding_part {
	struct ask_part base;
	struct binding_row *rows;
	size_t n, room;
	unsigned removed;
	bool is_cut;
};

/* Which contacts of whom. */
struct binding_question {
	struct ask ask;
	struct ctl_reply *reply;
	struct aor aor;                /* len 0: everybody's */
	char contact[BINDINGS_TEXT_MAX]; /* empty: all */
};

static void text(char *out, size_t size, struct sv v)
{
	snprintf(out, size, "%.*s", SV_ARG(v));
}

static struct binding_part *part_of(const struct ask *a, unsigned worker)
{
	return a->parts[worker] ? owner_of(a->parts[worker], struct binding_part, base) : NULL;
}

static void question_end(struct binding_question *q)
{
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		if (part_of(&q->ask, i))
			free(part_of(&q->ask, i)->rows);
	ask_fini(&q->ask);
	free(q);
}

/* On the worker ------------------------------------------------------------------------------------------------------ */

static struct binding_row *row_new(struct binding_part *part)
{
	size_t room = part->room ? part->room * 2 : 16;
	struct binding_row *rows;

	if (part->n < part->room)
		return &part->rows[part->n++];
	rows = part->n < BINDINGS_ROWS_MAX ? realloc(part->rows, room * sizeof(*rows)) : NULL;
	if (!rows) {
		part->is_cut = true;
		return NULL;
	}
	part->rows = rows;
	part->room = room;
	return &part->rows[part->n++];
}

static bool add_rows(struct binding_part *part, const struct registration *aor, uint64_t now_ms)
{
	for (struct binding *b = NULL; (b = registration_next(aor, b));) {
		struct binding_row *row = row_new(part);

		if (!row)
			return false;
		*row = (struct binding_row){ .expires_in_ms = b->timer.at_ms > now_ms ? b->timer.at_ms - now_ms : 0, .reg_id = b->reg_id,
			                     .q = b->q, .transport = b->path.transport, .is_flow_lost = b->is_flow_lost };
		text(row->aor, sizeof(row->aor), registration_aor(aor));
		text(row->contact, sizeof(row->contact), binding_contact(b));
		text(row->instance, sizeof(row->instance), binding_instance(b));
		addr_print(&b->path.remote, row->remote);
	}
	return true;
}

struct lister {
	struct binding_part *part;
	uint64_t now_ms;
};

static bool list_aor(void *ctx, struct registration *aor)
{
	const struct lister *l = ctx;

	return add_rows(l->part, aor, l->now_ms);
}

static struct registration *find_aor(const struct worker *w, const struct aor *aor)
{
	return registrar_find(w->registrar, aor_key(token_hash_key(w->tokens), aor));
}

static void bindings_work(struct ask *a, struct worker *w, struct ask_part *base)
{
	struct binding_question *q = owner_of(a, struct binding_question, ask);
	struct lister l = { owner_of(base, struct binding_part, base), w->wheel.now_ms };
	struct registration *aor = q->aor.len ? find_aor(w, &q->aor) : NULL;

	if (aor)
		list_aor(&l, aor);
	else if (!q->aor.len)
		registrar_each(w->registrar, list_aor, &l);
}

static bool is_meant(const struct binding_question *q, const struct binding *b)
{
	struct uri wanted, has;

	return !*q->contact || sv_eq(sv_from(q->contact), binding_contact(b)) ||
	       (uri_parse(&wanted, sv_from(q->contact)) == 0 && uri_parse(&has, binding_contact(b)) == 0 && uri_equal(&wanted, &has));
}

static void unregister_work(struct ask *a, struct worker *w, struct ask_part *base)
{
	struct binding_question *q = owner_of(a, struct binding_question, ask);
	struct binding_part *part = owner_of(base, struct binding_part, base);
	struct registration *aor = find_aor(w, &q->aor);
	struct binding *next;

	for (struct binding *b = aor ? registration_next(aor, NULL) : NULL; b; b = next) {
		next = registration_next(aor, b);
		if (!is_meant(q, b))
			continue;
		registrar_remove(w->registrar, b, GONE_OPERATOR);
		part->removed++;
	}
}

/* Answers ------------------------------------------------------------------------------------------------------------- */

static void add_row(struct ctl_reply *r, const struct binding_row *row)
{
	char q[16];

	snprintf(q, sizeof(q), "%u.%03u", row->q / 1000u, row->q % 1000u);
	ctl_row(r, cell_str(row->aor), cell_str(row->contact), cell_str(q), cell_str(transport_name(row->transport)), cell_str(row->remote),
	        cell_ms(row->expires_in_ms), *row->instance ? cell_str(row->instance) : cell_none(),
	        row->reg_id ? cell_u64(row->reg_id) : cell_none(), cell_bool(row->is_flow_lost));
}

static void bindings_finish(struct ask *a)
{
	struct binding_question *q = owner_of(a, struct binding_question, ask);
	bool is_cut = false;

	ctl_columns(q->reply, 9, "aor", "contact", "q", "transport", "remote", "left_ms", "instance", "reg_id", "connection_lost");
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++) {
		const struct binding_part *part = part_of(a, i);

		for (size_t k = 0; part && k < part->n; k++)
			add_row(q->reply, &part->rows[k]);
		is_cut |= part && part->is_cut;
	}
	if (is_cut)
		ctl_note(q->reply, "more contacts than are shown (%d per worker)", BINDINGS_ROWS_MAX);
	ctl_done(q->reply);
	question_end(q);
}

static void unregister_finish(struct ask *a)
{
	struct binding_question *q = owner_of(a, struct binding_question, ask);
	unsigned removed = 0;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		removed += part_of(a, i) ? part_of(a, i)->removed : 0;
	if (removed) {
		ctl_note(q->reply, "%u removed", removed);
		ctl_done(q->reply);
	} else {
		ctl_fail(q->reply, CTL_FAILED, "%.*s has no such contact", SV_ARG(aor_sv(&q->aor)));
	}
	question_end(q);
}

/* Verbs --------------------------------------------------------------------------------------------------------------- */

/* "alice@example.com", or a SIP URI. */
static bool parse_aor(struct aor *out, const char *word)
{
	char uri[BINDINGS_TEXT_MAX + 8];

	if (aor_parse(out, sv_from(word)) == 0)
		return true;
	return (size_t)snprintf(uri, sizeof(uri), "sip:%s", word) < sizeof(uri) && aor_parse(out, sv_from(uri)) == 0;
}

static void ask(struct asker *asker, struct ctl_reply *r, int argc, char **argv,
                void (*work)(struct ask *a, struct worker *w, struct ask_part *part), void (*finish)(struct ask *a))
{
	struct binding_question *q = calloc(1, sizeof(*q));

	if (!q) {
		ctl_fail(r, CTL_FAILED, "out of memory");
		return;
	}
	if (argc > 1 && !parse_aor(&q->aor, argv[1])) {
		ctl_fail(r, CTL_USAGE, "`%s` is no address of record: write alice@example.com", argv[1]);
		free(q);
		return;
	}
	if (argc > 2)
		text(q->contact, sizeof(q->contact), sv_from(argv[2]));
	q->reply = r;
	q->ask = (struct ask){ .work = work, .finish = finish, .part_size = sizeof(struct binding_part) };
	ask_workers(asker, &q->ask);
}

static void verb_bindings(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	if (argc > 2)
		ctl_fail_usage(r);
	else
		ask(ctx, r, argc, argv, bindings_work, bindings_finish);
}

static void verb_unregister(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	if (argc < 2 || argc > 3)
		ctl_fail_usage(r);
	else
		ask(ctx, r, argc, argv, unregister_work, unregister_finish);
}

int bindings_add_verbs(struct ctl *ctl, struct asker *asker)
{
	int err = ctl_register(ctl, "bindings", "[AOR]", "registered contacts", verb_bindings, asker);

	if (err)
		return err;
	return ctl_register(ctl, "unregister", "AOR [CONTACT]", "removes contacts of an address of record", verb_unregister, asker);
}

/* Metrics -------------------------------------------------------------------------------------------------------------- */

struct domains_reading {
	struct domain_rows *out;
	size_t room;
};

static void read_domain(void *ctx, struct sv domain, const uint32_t by_transport[T_COUNT])
{
	struct domains_reading *reading = ctx;
	struct domain_rows *out = reading->out;

	if (out->n == reading->room) {
		size_t room = reading->room ? reading->room * 2 : 16;
		struct domain_row *rows = realloc(out->rows, room * sizeof(*rows));

		if (!rows)
			return;
		out->rows = rows;
		reading->room = room;
	}
	text(out->rows[out->n].domain, sizeof(out->rows[0].domain), domain);
	memcpy(out->rows[out->n++].by_transport, by_transport, sizeof(out->rows[0].by_transport));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct domain_row *)a)->domain, ((const struct domain_row *)b)->domain);
}

void domains_read(struct worker *w, struct domain_rows *out)
{
	struct domains_reading reading = { .out = out };

	registrar_domains(w->registrar, read_domain, &reading);
	if (out->n)
		qsort(out->rows, out->n, sizeof(*out->rows), by_name);
}

static void write_domain(const struct domain_row *row, struct metrics_lines *lines)
{
	for (uint8_t t = T_UDP; t < T_COUNT; t++) {
		struct metrics_label labels[] = { { "domain", sv_from(row->domain) }, { "transport", sv_from(transport_name(t)) } };

		if (row->by_transport[t])
			metrics_line(lines, labels, 2, row->by_transport[t]);
	}
}

/* Each worker's are in order: what stands first is the same domain everywhere, or comes later. */
void domains_write(const struct domain_rows *const *of, unsigned n, struct metrics_lines *lines)
{
	size_t at[POOL_WORKERS_MAX] = { 0 };

	for (;;) {
		struct domain_row sum = { 0 };
		const struct domain_row *first = NULL;

		for (unsigned i = 0; i < n; i++)
			if (of[i] && at[i] < of[i]->n && (!first || by_name(&of[i]->rows[at[i]], first) < 0))
				first = &of[i]->rows[at[i]];
		if (!first)
			return;
		memcpy(sum.domain, first->domain, sizeof(sum.domain));
		for (unsigned i = 0; i < n; i++) {
			if (!of[i] || at[i] == of[i]->n || by_name(&of[i]->rows[at[i]], &sum))
				continue;
			for (uint8_t t = 0; t < T_COUNT; t++)
				sum.by_transport[t] += of[i]->rows[at[i]].by_transport[t];
			at[i]++;
		}
		write_domain(&sum, lines);
	}
}
