/* sbc/call/waiting.c - requests in the park. */
#include "sbc/call/waiting.h"
#include "sbc/call/flowend.h"
#include "sbc/call/locate.h"
#include "sbc/call/transfer.h"
#include <stdlib.h>

struct waiting {
	struct link in_table;        /* key: the ticket */
	struct parked parked;
	struct b2bua *b;
	struct server_txn *st;
	struct request request;
	struct path from;
	struct flow_end flow_end;    /* of `from` */
	struct buf *bytes;
	enum why late;
	enum call_counter counter;
};

static void waiting_free(struct waiting *w)
{
	table_del(&w->b->waiting, &w->in_table);
	flow_end_forget(w->b, &w->flow_end);
	park_cancel(&w->parked);
	if (w->st)
		server_discard(w->st);
	names_put(w->request.names);
	located_put(w->request.located);
	buf_put(w->bytes);
	free(w);
}

/* Answers a request that cannot wait (any longer). */
static void give_up(struct b2bua *b, struct server_txn *st, const struct request *r, enum why why)
{
	uint64_t id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));
	const struct reason *reason = &call_reasons[why];
	char tag[TOKEN_LEN];

	counter_inc(&b->counters, view_to_tag(r->v).len ? REQUESTS_REFUSED : CALLS_REFUSED);
	server_answer(st, reason->status, sv_from(reason->phrase),
	              view_to_tag(r->v).len ? SV("") : tag_token(b, r->shard, id, tag), SV(""));
}

static void waiting_refuse(struct waiting *w, enum why why)
{
	struct server_txn *st = STEAL(w->st);
	struct view_fault fault;
	struct view v;

	if (st)
		server_own(st, NULL, NULL);
	if (st && view_scan(&v, w->bytes->data, w->bytes->len, false, &fault) == 0) {
		w->request.v = &v;
		give_up(w->b, st, &w->request, why);
	}
	waiting_free(w);
}

static void waiting_cancelled(void *owner, struct server_txn *st)
{
	(void)st;
	waiting_refuse(owner, WHY_CANCELLED);
}

static void waiting_st_end(void *owner, struct server_txn *st)
{
	(void)st;
	((struct waiting *)owner)->st = NULL;
}

static const struct server_ops waiting_ops = { .on_cancel = waiting_cancelled, .on_end = waiting_st_end };

static void waiting_woken(struct parked *job, int result)
{
	struct waiting *w = owner_of(job, struct waiting, parked);

	(void)result; /* the deadline came first, or the worker ends */
	counter_inc(&w->b->counters, w->counter);
	waiting_refuse(w, w->late);
}

struct waiting *waiting_new(struct b2bua *b, const struct request *r, uint64_t ticket, enum why late, enum call_counter counter)
{
	struct waiting *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct waiting){ .b = b, .request = *r, .from = *r->from, .late = late, .counter = counter };
	w->request.asked = NULL; /* that answer does not wait with it */
	names_get(w->request.names);
	located_get(w->request.located);
	table_add(&b->waiting, &w->in_table, ticket);
	flow_end_watch(b, &w->flow_end, r);
	if ((w->bytes = buf_copy_in(b->p.stack->bufs, (struct sv){ r->v->base, r->v->len })) &&
	    server_new(b->p.stack, r->v, r->from, r->key, &w->st) == 0) {
		server_own(w->st, &waiting_ops, w);
		if (park(b->p.park, &w->parked, b->p.wheel->now_ms + WAITING_MS, waiting_woken) == 0)
			return w;
	}
	waiting_free(w);
	return NULL;
}

struct waiting *waiting_find(struct b2bua *b, uint64_t ticket)
{
	struct link *l = table_find(&b->waiting, ticket);

	return l ? owner_of(l, struct waiting, in_table) : NULL;
}

void waiting_end(struct waiting *w, void (*go_on)(struct b2bua *b, struct request *r, void *with), void *with)
{
	SCOPED(buf_putp) struct buf *bytes = buf_get(w->bytes);
	struct request request = w->request;
	struct names *names = names_get(request.names);
	struct located *located = located_get(request.located);
	struct path from = w->from;
	struct b2bua *b = w->b;
	bool has_ended = !w->st, is_flow_closed = w->flow_end.is_closed;
	struct view_fault fault;
	struct view v;

	waiting_free(w);
	request.v = &v;
	request.from = &from;
	request.to = NULL; /* it named the bytes as they came */
	request.has_waited = true;
	request.is_flow_closed = is_flow_closed;
	if (has_ended || view_scan(&v, bytes->data, bytes->len, false, &fault))
		go_on(b, NULL, with);
	else
		go_on(b, &request, with);
	names_put(names);
	located_put(located);
}

static bool any_waiting(void *ctx, struct link *l)
{
	*(struct link **)ctx = l;
	return false;
}

void waiting_free_all(struct b2bua *b)
{
	struct link *l = NULL;

	for (table_each(&b->waiting, any_waiting, &l); l; l = NULL, table_each(&b->waiting, any_waiting, &l))
		waiting_free(owner_of(l, struct waiting, in_table));
}
