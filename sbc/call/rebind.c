/* sbc/call/rebind.c - clients that are registered: their calls go where their bindings go (RFC 5626, DECISIONS 26). A leg that began over
 * the flow of a binding is tied to it. When the binding comes over another flow, its worker tells all of them, since a call may be
 * anywhere; when a request of the call comes from elsewhere first, the worker of the AOR is asked whether that is the client. Only bindings
 * of domains where everybody has to say who he is count. */
#include "sbc/call/locate.h"
#include <errno.h>
#include <stdlib.h>

/* News of a binding, or a question about a flow and its answer. */
struct flow_errand {
	struct b2bua_errand errand;
	struct path to;            /* where the binding is now; a question: over which the request came */
	uint64_t binding;          /* a question: 0 as long as nobody found one there */
	uint64_t aor;              /* of a question; 0: news */
	uint64_t leg;
	struct path was;           /* where the leg was when it was asked */
	unsigned home;
};

/* Ties ------------------------------------------------------------------------------------------------------------- */

static struct tie *tie_of(const struct b2bua *b, const struct leg *leg)
{
	struct link *l = table_find(&b->ties_by_leg, leg->in_table.key); /* the legs of a fork have one id */

	while (l && owner_of(l, struct tie, by_leg)->leg != leg)
		l = table_next(&b->ties_by_leg, l);
	return l ? owner_of(l, struct tie, by_leg) : NULL;
}

void leg_tie(struct b2bua *b, struct leg *leg, uint64_t aor, uint64_t binding)
{
	struct tie *t;

	if (!binding || !leg->follows_flow || leg->is_tied || !(t = slab_alloc(&b->ties)))
		return; /* without memory it is a client like one that is not registered */
	t->leg = leg;
	t->aor = aor;
	table_add(&b->ties_by_binding, &t->by_binding, binding); /* its bound is that of the slab */
	table_add(&b->ties_by_leg, &t->by_leg, leg->in_table.key);
	leg->is_tied = true;
}

void leg_untie(struct b2bua *b, struct leg *leg)
{
	struct tie *t = tie_of(b, leg);

	table_del(&b->ties_by_binding, &t->by_binding);
	table_del(&b->ties_by_leg, &t->by_leg);
	slab_free(&b->ties, t);
	leg->is_tied = false;
}

bool leg_is_tied_to(const struct b2bua *b, const struct leg *leg, uint64_t *aor, uint64_t *binding)
{
	struct tie *t = leg->is_tied ? tie_of(b, leg) : NULL;

	if (t) {
		*aor = t->aor;
		*binding = t->by_binding.key;
	}
	return t != NULL;
}

/* Moving ----------------------------------------------------------------------------------------------------------- */

/* Its identifiers are those of its zone, and who spoke in secret is not spoken to in the open. */
static bool may_move(const struct b2bua *b, const struct path *from, const struct path *to)
{
	return path_zone(b, from) == path_zone(b, to) && (transport_is_secure(to->transport) || !transport_is_secure(from->transport));
}

/* What it is asked, or asked, within the call. */
static void relays_move(struct leg *leg, const struct path *to)
{
	list_each(n, &leg->call->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (leg->side == FAR && r->dialog->far != leg)
			continue;
		if (r->from == leg->side && r->st)
			server_move(r->st, to);
		else if (r->from != leg->side && r->ct)
			client_move(r->ct, to);
	}
}

/* What is on its way when the client comes back by another flow: it waits there for its answer, and rings there until it is cancelled. */
static void transactions_move(struct leg *leg, const struct path *to)
{
	struct setup *s = leg->call ? leg->call->setup : NULL;
	struct attempt *a = s && leg->side == FAR ? attempt_of(s, leg) : NULL;

	if (s && leg->side == NEAR && s->st)
		server_move(s->st, to);
	if (a && a->ct)
		client_move(a->ct, to);
	if (leg->call)
		relays_move(leg, to);
}

static void leg_move(struct b2bua *b, struct leg *leg, const struct path *to)
{
	if (path_eq(&leg->path, to))
		return;
	if (!may_move(b, &leg->path, to)) {
		counter_inc(&b->counters, FLOWS_KEPT);
		return;
	}
	counter_inc(&b->counters, FLOWS_MOVED);
	leg->path = *to;
	transactions_move(leg, to);
}

static void move_all(struct b2bua *b, uint64_t binding, const struct path *to)
{
	for (struct link *l = table_find(&b->ties_by_binding, binding); l; l = table_next(&b->ties_by_binding, l))
		leg_move(b, owner_of(l, struct tie, by_binding)->leg, to);
}

/* Does everybody of this domain have to say who he is, to us or to the registrar behind us? */
static bool is_authentic(const struct b2bua *b, const struct registration *reg)
{
	const struct conf_registrar *domain = conf_find_registrar(b->conf, registration_host(reg));

	return domain && (domain->auth != AUTH_NONE || domain->mode != REGISTRAR_LOCAL);
}

static struct flow_errand *errand_new(const struct path *to, uint64_t binding)
{
	struct flow_errand *e = malloc(sizeof(*e));

	if (e)
		*e = (struct flow_errand){ .errand.kind = ERRAND_FLOW, .to = *to, .binding = binding };
	return e;
}

static void errand_go(struct b2bua *b, unsigned worker, struct flow_errand *e)
{
	if (e && b->p.send(b->p.ctx, worker, &e->errand) == 0)
		return;
	counter_inc(&b->counters, FLOW_NEWS_LOST);
	free(e);
}

void b2bua_binding_moved(struct b2bua *b, const struct binding *binding)
{
	if (!is_authentic(b, binding->aor))
		return;
	move_all(b, binding->by_id.key, &binding->path);
	for (unsigned i = 0; i < b->p.workers; i++)
		if (i != b->p.worker)
			errand_go(b, i, errand_new(&binding->path, binding->by_id.key));
}

/* Asking ----------------------------------------------------------------------------------------------------------- */

/* The binding of the AOR over the flow `to`; 0: there is none, or nobody had to say who he is. */
static uint64_t binding_over(const struct b2bua *b, uint64_t aor, const struct path *to)
{
	const struct registration *reg = registrar_find(b->p.registrar, aor);

	if (!reg || !is_authentic(b, reg))
		return 0;
	for (struct binding *at = registration_next(reg, NULL); at; at = registration_next(reg, at))
		if (path_eq(&at->path, to))
			return at->by_id.key;
	return 0;
}

/* The leg is the client's of another binding now: the same phone, which could not say so, or another one of its user's. */
static void leg_retie(struct b2bua *b, struct leg *leg, uint64_t aor, uint64_t binding)
{
	leg_untie(b, leg);
	leg_tie(b, leg, aor, binding);
}

/* Unless it has moved meanwhile. */
static void answered(struct b2bua *b, const struct flow_errand *e)
{
	struct link *next;

	for (struct link *l = table_find(&b->ties_by_leg, e->leg); l; l = next) {
		struct tie *t = owner_of(l, struct tie, by_leg);

		next = table_next(&b->ties_by_leg, l);
		if (t->aor != e->aor || !path_eq(&t->leg->path, &e->was) || !may_move(b, &e->was, &e->to))
			continue;
		leg_move(b, t->leg, &e->to);
		leg_retie(b, t->leg, e->aor, e->binding);
		return;
	}
}

bool leg_asks(struct leg *leg, const struct path *from)
{
	struct b2bua *b = leg->call->b;
	struct tie *t = tie_of(b, leg);
	unsigned worker = aor_shard(t->aor) % b->p.workers;
	struct flow_errand question = { .aor = t->aor, .leg = leg->in_table.key, .to = *from, .was = leg->path, .home = b->p.worker }, *e;

	if (!may_move(b, &leg->path, from))
		return false;
	if (worker == b->p.worker) {
		if ((question.binding = binding_over(b, t->aor, from)))
			answered(b, &question);
		return question.binding != 0;
	}
	if ((e = errand_new(from, 0))) {
		question.errand = e->errand;
		*e = question;
	}
	errand_go(b, worker, e);
	return false;
}

void flow_errand_arrive(struct b2bua *b, struct b2bua_errand *errand)
{
	struct flow_errand *e = owner_of(errand, struct flow_errand, errand);

	if (!e->aor) {
		move_all(b, e->binding, &e->to);
	} else if (e->binding) {
		answered(b, e);
	} else if ((e->binding = binding_over(b, e->aor, &e->to))) {
		errand_go(b, e->home, e);
		return;
	}
	free(e);
}

void flow_errand_free(struct b2bua_errand *e)
{
	free(owner_of(e, struct flow_errand, errand));
}
