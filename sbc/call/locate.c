/* sbc/call/locate.c - finding who is registered. */
#include "sbc/call/locate.h"
#include "sbc/call/transfer.h"
#include "sbc/call/waiting.h"
#include "apps-router/route.h"
#include <errno.h>
#include <stdlib.h>

enum { INSTANCE_MAX = 512 }; /* bytes of one that a GRUU may name */

struct located *located_get(struct located *l)
{
	if (l)
		l->refs++;
	return l;
}

void located_put(struct located *l)
{
	if (!l || --l->refs)
		return;
	free(l->text);
	free(l->service_text);
	free(l);
}

uint8_t located_standing(const struct located *l)
{
	return (uint8_t)(l ? (l->caller_is_registered ? CALLER_IS_REGISTERED : 0) | (l->n ? CALLEE_IS_REGISTERED : 0) : 0);
}

void standing_tell(uint8_t standing, struct route_query *q)
{
	q->is_registered = standing & CALLER_IS_REGISTERED;
	q->callee_is_registered = standing & CALLEE_IS_REGISTERED;
	q->is_authenticated = standing & CALLER_IS_AUTHENTICATED;
}

/* The question ----------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct b2bua *b, struct sv text)
{
	uint64_t h = hash_bytes(token_hash_key(b->p.tokens), text.p, text.len);

	return h ? h : 1;
}

/* +sip.instance without its quotes and brackets, as a GRUU names it. */
static struct sv bare_instance(struct sv v)
{
	while (v.len && strchr("\"<", *v.p))
		v = sv_skip(v, 1);
	while (v.len && strchr("\">", v.p[v.len - 1]))
		v.len--;
	return v;
}

/* RFC 5627 §4: the one phone that a GRUU stands for. False: it names one that nobody can have. */
static bool gruu_read(struct b2bua *b, struct located *l, const struct uri *uri)
{
	char area[INSTANCE_MAX];
	struct token token;
	struct sv gr;

	if (token_read(b->p.tokens, TOKEN_BINDING, uri->user, &token) == 0) { /* a temporary one: its binding says who it is */
		l->callee = (struct located_party){ .key = token.id, .shard = token.shard, .is_wanted = true };
		l->binding = token.id;
		return true;
	}
	if (!param_find(uri->params, SV("gr"), &gr) || !gr.len)
		return true;
	if (gr.len > sizeof(area))
		return false;
	l->instance = hash_of(b, bare_instance((struct sv){ area, unescape_to(area, gr) }));
	return true;
}

static struct located_party party_of(struct b2bua *b, const struct aor *aor)
{
	uint64_t key = aor_key(token_hash_key(b->p.tokens), aor);

	return (struct located_party){ .key = key, .shard = aor_shard(key), .is_wanted = true };
}

static bool aor_is_ours(const struct b2bua *b, const struct aor *aor)
{
	return conf_find_registrar(b->conf, aor_host(aor)) != NULL;
}

/* Whom it would have to be asked for. False: nobody. */
static bool question_of(struct b2bua *b, const struct request *r, const struct uri *uri, struct located *l)
{
	struct aor aor;

	if ((b->conf->asks & ASKS_CALLEE) && aor_of_uri(&aor, uri) == 0 && aor_is_ours(b, &aor)) {
		l->callee_is_ours = true;
		l->callee = party_of(b, &aor);
		l->callee.is_wanted = gruu_read(b, l, uri);
		l->host = hash_of(b, aor_host(&aor));
	}
	if ((b->conf->asks & ASKS_CALLER) && !is_trusted(b, r->from) && aor_of_value(&aor, view_value(r->v, HDR_FROM)) == 0 &&
	    aor_is_ours(b, &aor))
		l->caller = party_of(b, &aor);
	return l->caller.is_wanted || l->callee_is_ours;
}

/* Looking up ------------------------------------------------------------------------------------------------------- */

static bool is_same_flow(const struct path *a, const struct path *b)
{
	return a->transport == b->transport && a->listener == b->listener && a->flow == b->flow && addr_eq(&a->remote, &b->remote);
}

static void caller_is(struct located *l, const struct binding *at)
{
	struct sv service = binding_service(at);

	l->caller_binding = at->by_id.key;
	if (!service.len || l->service_text || !(l->service_text = malloc(service.len)))
		return;
	memcpy(l->service_text, service.p, service.len);
	l->service = (struct sv){ l->service_text, service.len };
}

static void caller_look_up(struct b2bua *b, struct located *l)
{
	const struct registration *reg = registrar_find(b->p.registrar, l->caller.key);

	for (struct binding *at = reg ? registration_next(reg, NULL) : NULL; at; at = registration_next(reg, at))
		if (is_same_flow(&at->path, &l->from))
			caller_is(l, at);
	l->caller_is_registered = l->caller_binding != 0;
	l->caller.is_wanted = false;
}

static uint64_t instance_of(struct b2bua *b, const struct binding *at)
{
	struct sv instance = bare_instance(binding_instance(at));

	return instance.len ? hash_of(b, instance) : 0;
}

/* In its place by q; of too many the last ones are left out. */
static void target_insert(struct b2bua *b, struct located *l, const struct binding *at, uint64_t instance)
{
	struct located_target *t = &l->target[l->n];

	if (l->n == FORK_BRANCHES_MAX) {
		counter_inc(&b->counters, FORKS_REFUSED);
		if (at->q <= (--t)->q)
			return;
	} else {
		l->n++;
	}
	for (; t > l->target && t[-1].q < at->q; t--)
		*t = t[-1];
	*t = (struct located_target){ .uri = binding_target(at), .routes = binding_routes(at), .path = at->path, .q = at->q,
		                      .binding = at->by_id.key, .instance = at->reg_id ? instance : 0 };
}

/* What was borrowed of the bindings becomes the answer's own. */
static bool targets_keep(struct located *l)
{
	size_t room = 0;
	struct out o;

	for (unsigned i = 0; i < l->n; i++)
		room += l->target[i].uri.len + l->target[i].routes.len;
	if (l->n && !(l->text = malloc(room)))
		return false;
	out_init(&o, l->text, room);
	for (unsigned i = 0; i < l->n; i++) {
		struct sv *part[] = { &l->target[i].uri, &l->target[i].routes };

		for (unsigned k = 0; k < 2; k++) {
			char *at = o.at;

			out_sv(&o, *part[k]);
			*part[k] = sv_span(at, o.at);
		}
	}
	return true;
}

/* A temporary GRUU's, in the domain that it was made for: the rules were asked about that one. */
static struct binding *only_binding(struct b2bua *b, const struct located *l)
{
	struct binding *only = l->binding ? registrar_binding(b->p.registrar, l->binding) : NULL;

	return only && hash_of(b, registration_host(only->aor)) == l->host ? only : NULL;
}

/* The one heard of last comes first among those of one q: the registration has it at its end. */
static void callee_look_up(struct b2bua *b, struct located *l)
{
	struct binding *only = only_binding(b, l);
	const struct registration *reg = l->binding ? only ? only->aor : NULL : registrar_find(b->p.registrar, l->callee.key);

	if (reg)
		l->callee.key = reg->in_table.key;
	for (struct node *n = reg ? reg->bindings.prev : NULL; reg && n != &reg->bindings; n = n->prev) {
		const struct binding *at = owner_of(n, struct binding, in_aor);
		uint64_t instance = instance_of(b, at);

		if (!at->is_flow_lost && (!only || only == at) && (!l->instance || l->instance == instance))
			target_insert(b, l, at, instance);
	}
	if (!targets_keep(l)) {
		l->has_no_memory = true;
		l->n = 0;
	}
	l->callee.is_wanted = false;
}

/* Answers what this worker holds, and sends the rest on to the next or home. 0: it is at home, and all is answered. */
static int located_travel(struct b2bua *b, struct located *l)
{
	unsigned self = b->p.worker, to = l->home;

	if (l->caller.is_wanted && l->caller.shard % b->p.workers == self)
		caller_look_up(b, l);
	if (l->callee.is_wanted && l->callee.shard % b->p.workers == self)
		callee_look_up(b, l);
	if (l->caller.is_wanted)
		to = l->caller.shard % b->p.workers;
	else if (l->callee.is_wanted)
		to = l->callee.shard % b->p.workers;
	if (to == self)
		return 0;
	return b->p.send(b->p.ctx, to, &l->errand) ? -ENOBUFS : -EINPROGRESS;
}

struct located *located_binding(struct b2bua *b, const struct binding *to)
{
	struct located *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct located){ .errand.kind = ERRAND_LOCATED, .refs = 1, .home = b->p.worker, .binding = to->by_id.key,
		               .callee = { .key = to->aor->in_table.key, .shard = registration_shard(to->aor) } };
	target_insert(b, l, to, instance_of(b, to));
	if (targets_keep(l))
		return l;
	l->n = 0;
	located_put(l);
	return NULL;
}

/* Going on --------------------------------------------------------------------------------------------------------- */

/* Takes the answer. */
static void go_on(struct b2bua *b, struct request *r, void *with)
{
	struct located *l = with;

	if (r) {
		r->located = l;
		b2bua_dispatch(b, r);
	}
	located_put(l);
}

void located_arrive(struct b2bua *b, struct located *l)
{
	int err = located_travel(b, l);
	struct waiting *w = err ? NULL : waiting_find(b, l->ticket);

	if (w)
		waiting_end(w, go_on, l);
	else if (err != -EINPROGRESS) /* given up meanwhile, or lost on its way: who waits has a deadline */
		located_put(l);
}

static void refuse_late(struct b2bua *b, const struct request *r)
{
	counter_inc(&b->counters, LOCATIONS_UNANSWERED);
	refuse(b, r, WHY_LOCATE_LATE, 0);
}

bool locate(struct b2bua *b, const struct request *r, const struct uri *uri)
{
	struct located question = { .errand.kind = ERRAND_LOCATED, .refs = 1, .home = b->p.worker, .from = *r->from };
	struct request request = *r;
	struct located *l;
	int err;

	if (!question_of(b, r, uri, &question))
		return false;
	if (!(l = malloc(sizeof(*l)))) {
		refuse(b, r, WHY_FULL, 0);
		return true;
	}
	*l = question;
	l->ticket = ++b->last_ticket;
	err = located_travel(b, l);
	if (err == 0) {
		go_on(b, &request, l);
	} else if (err == -EINPROGRESS) {
		counter_inc(&b->counters, LOCATIONS_ASKED);
		if (!waiting_new(b, r, b->last_ticket, WHY_LOCATE_LATE, LOCATIONS_UNANSWERED))
			refuse_late(b, r);
	} else {
		located_put(l);
		refuse_late(b, r);
	}
	return true;
}

/* Who speaks ------------------------------------------------------------------------------------------------------- */

static bool names_only(const struct view *v, enum hdr_id id, const struct aor *self)
{
	struct name_addr na;
	struct aor aor;

	for (const struct hdr *h = view_find(v, id, 0); h; h = view_find(v, id, (unsigned)(h - v->h) + 1)) {
		struct sv rest = hdr_value(v, h);
		int err;

		while (!(err = name_addr_next(&na, &rest)))
			if (aor_parse(&aor, na.uri) || !sv_eq(aor_sv(&aor), aor_sv(self)))
				return false;
		if (err != -ENOENT)
			return false;
	}
	return true;
}

bool located_owns(const struct located *l, const struct view *v)
{
	struct aor self;

	return !l->caller_is_registered ||
	       (aor_of_value(&self, view_value(v, HDR_FROM)) == 0 && names_only(v, HDR_P_ASSERTED_IDENTITY, &self) &&
	        names_only(v, HDR_P_PREFERRED_IDENTITY, &self));
}
