#include "sbc/lookups.h"
#include "admin/ctl.h"
#include "transports/dns.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* One answer of one worker. */
struct lookup_row {
	char name[DNS_NAME_MAX + 1], records[LOOKUPS_TEXT_MAX];
	const char *state;
	uint64_t left_ms;
	uint16_t type;
};

struct lookup_part {
	struct ask_part base;
	struct lookup_row *rows;
	size_t n, room;
	unsigned forgotten;
	bool is_cut;
};

struct lookup_question {
	struct ask ask;
	struct ctl_reply *reply;
	char name[DNS_NAME_MAX + 1]; /* empty: all */
};

static struct lookup_part *part_of(const struct ask *a, unsigned worker)
{
	return a->parts[worker] ? owner_of(a->parts[worker], struct lookup_part, base) : NULL;
}

static void question_end(struct lookup_question *q)
{
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		if (part_of(&q->ask, i))
			free(part_of(&q->ask, i)->rows);
	ask_fini(&q->ask);
	free(q);
}

/* On the worker ------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void add_text(char out[LOOKUPS_TEXT_MAX], const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list args;

	va_start(args, fmt);
	vsnprintf(out + len, LOOKUPS_TEXT_MAX - len, fmt, args);
	va_end(args);
}

static void print_records(char out[LOOKUPS_TEXT_MAX], const struct dns_set *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct dns_srv *srv = &s->srv[i];
		const struct dns_naptr *naptr = &s->naptr[i];
		const char *comma = i ? ", " : "";
		char addr[ADDR_TEXT];

		if (s->type == DNS_SRV)
			add_text(out, "%s%u %u %u %s", comma, srv->priority, srv->weight, srv->port, srv->host);
		else if (s->type == DNS_NAPTR)
			add_text(out, "%s%u %u %s %s", comma, naptr->order, naptr->preference, transport_name(naptr->transport),
			         naptr->name);
		else
			add_text(out, "%s%s", comma, addr_print_ip(&s->addr[i], addr));
	}
}

static const char *state_of(const struct resolve_entry *e)
{
	if (!e->set)
		return e->error ? "failing" : "asking";
	if (e->is_stale)
		return e->error ? "stale, failing" : "stale";
	return e->set->n ? "fresh" : "absent";
}

struct lister {
	struct lookup_part *part;
	const char *name;
};

static struct lookup_row *row_new(struct lookup_part *part)
{
	size_t room = part->room ? part->room * 2 : 16;
	struct lookup_row *rows;

	if (part->n == part->room) {
		rows = realloc(part->rows, room * sizeof(*rows));
		if (!rows) {
			part->is_cut = true;
			return NULL;
		}
		part->rows = rows;
		part->room = room;
	}
	return &part->rows[part->n++];
}

static void list_one(void *ctx, const struct resolve_entry *e)
{
	const struct lister *l = ctx;
	struct lookup_row *row;

	if (*l->name && !dns_is_below(e->name, l->name))
		return;
	if (!(row = row_new(l->part)))
		return;
	*row = (struct lookup_row){ .type = e->type, .state = state_of(e), .left_ms = e->left_ms };
	snprintf(row->name, sizeof(row->name), "%s", e->name);
	if (e->set)
		print_records(row->records, e->set);
}

static void list_work(struct ask *a, struct worker *w, struct ask_part *base)
{
	struct lister l = { owner_of(base, struct lookup_part, base), owner_of(a, struct lookup_question, ask)->name };

	resolve_each(w->resolver, list_one, &l);
}

static void forget_work(struct ask *a, struct worker *w, struct ask_part *base)
{
	owner_of(base, struct lookup_part, base)->forgotten = resolve_forget(w->resolver, owner_of(a, struct lookup_question, ask)->name);
}

/* Answers ------------------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	const struct lookup_row *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->type - y->type;
}

static bool is_same(const struct lookup_row *a, const struct lookup_row *b)
{
	return by_name(a, b) == 0 && strcmp(a->records, b->records) == 0 && strcmp(a->state, b->state) == 0;
}

static void add_row(struct ctl_reply *r, const struct lookup_row *row, unsigned workers)
{
	ctl_row(r, cell_str(row->name), cell_str(dns_type_name(row->type)), *row->records ? cell_str(row->records) : cell_none(),
	        cell_str(row->state), cell_ms(row->left_ms), cell_u64(workers));
}

/* All workers' rows in one array. NULL: memory is out, or there are none. */
static struct lookup_row *gather(const struct ask *a, size_t *n)
{
	struct lookup_row *all;
	size_t sum = 0;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		sum += part_of(a, i) ? part_of(a, i)->n : 0;
	*n = 0;
	all = sum ? malloc(sum * sizeof(*all)) : NULL;
	for (unsigned i = 0; all && i < POOL_WORKERS_MAX; i++) {
		const struct lookup_part *part = part_of(a, i);

		if (!part || !part->n)
			continue;
		memcpy(all + *n, part->rows, part->n * sizeof(*all));
		*n += part->n;
	}
	return all;
}

/* What several workers know alike is one row, with the shortest time. */
static void list_finish(struct ask *a)
{
	struct lookup_question *q = owner_of(a, struct lookup_question, ask);
	size_t n;
	struct lookup_row *all = gather(a, &n);
	bool is_cut = false;

	ctl_columns(q->reply, 6, "name", "type", "answer", "state", "left_ms", "workers");
	if (all)
		qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; all && i < n;) {
		struct lookup_row row = all[i];
		unsigned workers = 0;

		for (; i < n && is_same(&all[i], &row); i++, workers++)
			row.left_ms = all[i].left_ms < row.left_ms ? all[i].left_ms : row.left_ms;
		add_row(q->reply, &row, workers);
	}
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		is_cut |= part_of(a, i) && (part_of(a, i)->is_cut || (part_of(a, i)->n && !all));
	if (is_cut)
		ctl_note(q->reply, "memory is out: some are left out");
	free(all);
	ctl_done(q->reply);
	question_end(q);
}

static void forget_finish(struct ask *a)
{
	struct lookup_question *q = owner_of(a, struct lookup_question, ask);
	unsigned forgotten = 0;

	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		forgotten += part_of(a, i) ? part_of(a, i)->forgotten : 0;
	if (forgotten) {
		ctl_note(q->reply, "%u forgotten", forgotten);
		ctl_done(q->reply);
	} else {
		ctl_fail(q->reply, CTL_FAILED, "nothing is known of %s", q->name);
	}
	question_end(q);
}

static void verb_dns(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	bool forgets = argc == 3 && strcmp(argv[2], "--forget") == 0;
	struct lookup_question *q;

	if (argc > 3 || (argc == 3 && !forgets)) {
		ctl_fail_usage(r);
		return;
	}
	q = calloc(1, sizeof(*q));
	if (!q) {
		ctl_fail(r, CTL_FAILED, "out of memory");
		return;
	}
	if (argc > 1 && dns_name(q->name, sv_from(argv[1]))) {
		ctl_fail(r, CTL_USAGE, "`%s` is no host name", argv[1]);
		free(q);
		return;
	}
	q->reply = r;
	q->ask = (struct ask){ .work = forgets ? forget_work : list_work, .finish = forgets ? forget_finish : list_finish,
		               .part_size = sizeof(struct lookup_part) };
	ask_workers(ctx, &q->ask);
}

int lookups_add_verbs(struct ctl *ctl, struct asker *asker)
{
	return ctl_register(ctl, "dns", "[NAME [--forget]]", "answers of name servers that are kept, or forgets them", verb_dns, asker);
}
