#include "sbc/call/flowend.h"
#include "sbc/call/call.h"

static struct flow_end *first_of(const struct b2bua *b, uint64_t flow)
{
	struct link *l = table_find(&b->flow_ends, flow_key(flow));

	return l ? owner_of(l, struct flow_end, in_table) : NULL;
}

void flow_end_watch(struct b2bua *b, struct flow_end *e, const struct request *r)
{
	struct flow_end *first;

	*e = (struct flow_end){ .is_closed = r->is_flow_closed };
	if (e->is_closed || !r->from->flow || r->v->method != M_REGISTER)
		return;
	first = first_of(b, r->from->flow);
	e->is_watching = true;
	if (first) {
		list_push(&first->others, &e->others);
		return;
	}
	list_init(&e->others);
	e->is_first = true;
	table_add(&b->flow_ends, &e->in_table, flow_key(r->from->flow)); /* without a bound: each is part of what has one */
}

void flow_end_forget(struct b2bua *b, struct flow_end *e)
{
	struct flow_end *next;

	if (!e->is_watching)
		return;
	if (e->is_first)
		table_del(&b->flow_ends, &e->in_table);
	if (e->is_first && !list_empty(&e->others)) {
		next = owner_of(e->others.next, struct flow_end, others);
		next->is_first = true;
		table_add(&b->flow_ends, &next->in_table, e->in_table.key);
	}
	list_del(&e->others);
	e->is_watching = e->is_first = false;
}

void b2bua_flow_closed(struct b2bua *b, uint64_t flow)
{
	struct flow_end *e;

	registrar_flow_closed(b->p.registrar, b->conf, flow);
	while ((e = first_of(b, flow))) {
		flow_end_forget(b, e);
		e->is_closed = true;
	}
}
