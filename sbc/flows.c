#include "sbc/flows.h"
#include "transports/net.h"

struct flow_note {
	struct link in_table;      /* key: flow_key() of the flow; in it until the connection is gone */
	struct node in_closed;
	uint64_t flow, workers;    /* workers: bits */
};

void flows_init(struct flows *f)
{
	*f = (struct flows){ 0 };
	list_init(&f->closed);
	slab_init(&f->slab, "flow_note", sizeof(struct flow_note), NET_CONNECTIONS_MAX);
}

int flows_start(struct flows *f)
{
	return table_init(&f->table, NET_CONNECTIONS_MAX);
}

void flows_fini(struct flows *f)
{
	table_fini(&f->table);
	slab_fini(&f->slab);
}

void flows_note(struct flows *f, uint64_t flow, unsigned worker)
{
	struct link *l = table_find(&f->table, flow_key(flow));
	struct flow_note *n = l ? owner_of(l, struct flow_note, in_table) : slab_alloc(&f->slab);

	if (!n)
		return;
	n->workers |= 1ull << worker;
	if (l)
		return;
	n->flow = flow;
	list_init(&n->in_closed);
	if (table_add(&f->table, &n->in_table, flow_key(flow)))
		slab_free(&f->slab, n);
}

/* True: all know. */
static bool tell_all(struct flow_note *n, flows_tell *tell, void *ctx)
{
	for (uint64_t left = n->workers; left; left &= left - 1) {
		unsigned worker = (unsigned)__builtin_ctzll(left);

		if (tell(ctx, worker, n->flow) == 0)
			n->workers &= ~(1ull << worker);
	}
	return !n->workers;
}

void flows_closed(struct flows *f, uint64_t flow, flows_tell *tell, void *ctx)
{
	struct link *l = table_find(&f->table, flow_key(flow));
	struct flow_note *n;

	if (!l)
		return;
	n = owner_of(l, struct flow_note, in_table);
	table_del(&f->table, l);
	if (tell_all(n, tell, ctx))
		slab_free(&f->slab, n);
	else
		list_push(&f->closed, &n->in_closed);
}

void flows_retry(struct flows *f, flows_tell *tell, void *ctx)
{
	list_each_safe(at, &f->closed) {
		struct flow_note *n = owner_of(at, struct flow_note, in_closed);

		if (!tell_all(n, tell, ctx))
			continue;
		list_del(&n->in_closed);
		slab_free(&f->slab, n);
	}
}
