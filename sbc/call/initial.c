/* sbc/call/initial.c - requests that begin something: what the rules say, which destination, and the next one when that
 * one fails (DECISIONS 12). One way for INVITE and for every other method. */
#include "sbc/call/call.h"
#include "apps-router/route.h"
#include <errno.h>

static void dial(struct setup *s, const struct view *v);
static void dial_resolved(struct setup *s, const struct view *v, const struct addr *to);

void refuse(struct b2bua *b, const struct request *r, enum why why, unsigned status)
{
	const struct reason *reason = &call_reasons[why];
	char tag[TOKEN_LEN];
	uint64_t id;

	status = status ? status : reason->status;
	counter_inc(&b->counters, CALLS_REFUSED);
	log_debug(b->p.log, "request.refused", "status=%u reason=%s", status, reason->id);
	if (r->v->method == M_ACK)
		return;
	id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));
	if (r->v->method == M_INVITE) { /* a transaction, so that the refusal is repeated until its ACK */
		struct server_txn *st;

		if (server_new(b->p.stack, r->v, r->from, &st) == 0) {
			server_answer(st, status, sv_from(reason->phrase), tag_token(b, r->shard, id, tag), SV(""));
			return;
		}
	}
	sip_answer_stateless(b->p.stack, r->v, r->from, status, sv_from(reason->phrase), tag_token(b, r->shard, id, tag), SV(""));
}

/* DECISIONS 18. */
static void answer_options(struct b2bua *b, const struct request *r)
{
	char tag[TOKEN_LEN];
	uint64_t id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));

	if (b->is_closed) {
		refuse(b, r, WHY_CLOSING, 0);
		return;
	}
	sip_answer_stateless(b->p.stack, r->v, r->from, 200, SV(""), tag_token(b, r->shard, id, tag),
	                     SV("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, MESSAGE\r\n"
	                        "Accept: application/sdp\r\nSupported: 100rel\r\n"));
}

static struct sv query_header(void *ctx, struct sv name)
{
	const struct view *v = ctx;
	enum hdr_id id = hdr_id_parse(name);
	const struct hdr *h = id == HDR_OTHER ? view_find_name(v, name, 0) : view_find(v, id, 0);

	return h ? hdr_value(v, h) : (struct sv){ NULL, 0 };
}

/* Routes that are left when ours are taken off: from an untrusted source nobody chooses our next hop (DECISIONS 15). */
static bool has_foreign_route(const struct b2bua *b, const struct request *r)
{
	uint16_t zone = path_zone(b, r->from);
	struct name_addr na;
	struct uri u;

	for (unsigned i = r->v->first[HDR_ROUTE]; i && i <= r->v->n; i++) {
		struct sv rest = hdr_value(r->v, &r->v->h[i - 1]);

		if (r->v->h[i - 1].id != HDR_ROUTE)
			continue;
		while (name_addr_next(&na, &rest) == 0)
			if (uri_parse(&u, na.uri) || !route_host_is_ours(b->conf, zone, u.host, u.port))
				return true;
	}
	return false;
}

/* What is wrong with a request before any rule is asked; WHY_COUNT = nothing. */
static enum why initial_fault(struct b2bua *b, const struct request *r, struct uri *uri)
{
	struct sv hops = view_value(r->v, HDR_MAX_FORWARDS);
	uint64_t n;

	if (uri_parse(uri, view_uri(r->v)))
		return WHY_BAD_URI;
	if (uri->scheme != URI_SIP && uri->scheme != URI_SIPS && uri->scheme != URI_TEL)
		return WHY_SCHEME;
	if (hops.p && sv_u64(hops, 255, &n) == 0 && n == 0)
		return WHY_HOPS;
	if (r->v->method == M_INVITE && !contact_uri(r->v).p)
		return WHY_NO_CONTACT;
	if (view_find(r->v, HDR_REPLACES, 0) || view_find(r->v, HDR_JOIN, 0))
		return WHY_TRANSFER;
	if (!is_trusted(b, r->from) && has_foreign_route(b, r))
		return WHY_FOREIGN_ROUTE;
	return WHY_COUNT;
}

static enum why route_why(const char *reason)
{
	for (unsigned i = 0; i < WHY_COUNT; i++)
		if (!strcmp(call_reasons[i].id, reason))
			return i;
	return WHY_RULE;
}

static int setup_new(struct call *c, const struct request *r, const struct conf_route *rule)
{
	struct b2bua *b = c->b;
	const struct conf_pool *pool = &b->conf->pools[rule->pool];
	struct setup *s = slab_alloc(&b->setups);

	if (!s)
		return -ENOMEM;
	s->call = c;
	s->rule = rule;
	s->conf_gen = b->conf->gen;
	s->after_ms = pool->failover.after_ms;
	s->answer_ms = pool->answer_timeout_ms;
	s->max_duration_ms = rule->max_duration_ms;
	s->why = WHY_NO_DESTINATION;
	memcpy(s->pool, pool->name.p, pool->name.len < sizeof(s->pool) ? pool->name.len : sizeof(s->pool) - 1);
	if (!(s->request = buf_copy((struct sv){ r->v->base, r->v->len }))) {
		slab_free(&b->setups, s);
		return -ENOMEM;
	}
	c->setup = s;
	return 0;
}

static void setup_cancelled(void *owner, struct server_txn *st)
{
	struct setup *s = owner;
	char tag[TOKEN_LEN];
	struct call *c = s->call;
	struct node *first = c->dialogs.next;
	uint64_t id = first == &c->dialogs ? c->near.in_table.key : owner_of(first, struct dialog, in_call)->in_table.key;

	server_answer(st, 487, SV(""), tag_token(c->b, c->shard, id, tag), SV(""));
	c->status = 487;
	call_finish(c, WHY_CANCELLED);
}

static void setup_st_end(void *owner, struct server_txn *st)
{
	(void)st;
	((struct setup *)owner)->st = NULL;
}

const struct server_ops setup_server_ops = { .on_cancel = setup_cancelled, .on_end = setup_st_end };

static void start_call(struct b2bua *b, const struct request *r, const struct conf_route *rule)
{
	struct sv zone = b->conf->zones[path_zone(b, r->from)].name;
	uint64_t id = token_leg_id(b->p.tokens, zone, view_value(r->v, HDR_CALL_ID), tag_of(view_value(r->v, HDR_FROM)),
	                           view_uri(r->v), 0);
	struct call *c;

	if (table_find(&b->legs, id)) {
		refuse(b, r, WHY_MERGED, 0);
		return;
	}
	if (!(c = call_new(b, r, id)) || setup_new(c, r, rule) || server_new(b->p.stack, r->v, r->from, &c->setup->st)) {
		if (c)
			call_free(c);
		refuse(b, r, WHY_FULL, 0);
		return;
	}
	server_own(c->setup->st, &setup_server_ops, c->setup);
	counter_inc(&b->counters, r->v->method == M_INVITE ? CALLS_STARTED : REQUESTS_RELAYED);
	if (r->v->method == M_INVITE)
		server_answer(c->setup->st, 100, SV(""), SV(""), SV(""));
	dial(c->setup, r->v);
}

static struct route_query query_of(const struct b2bua *b, const struct view *v, const struct path *from)
{
	return (struct route_query){ .zone = path_zone(b, from), .source = from->remote, .method = view_method(v),
	                             .is_trusted = is_trusted(b, from), .header = query_header, .ctx = (void *)v };
}

void initial_request(struct b2bua *b, const struct request *r)
{
	struct route_query q = query_of(b, r->v, r->from);
	struct route_result result;
	enum why why = initial_fault(b, r, &q.uri);

	if (why != WHY_COUNT) {
		refuse(b, r, why, 0);
		return;
	}
	if (r->v->method == M_OPTIONS && route_is_for_us(b->conf, q.zone, &q.uri)) {
		answer_options(b, r);
		return;
	}
	if (b->is_closed) {
		refuse(b, r, WHY_CLOSING, 0);
		return;
	}
	route_find(b->conf, &q, &result);
	if (result.status)
		refuse(b, r, route_why(result.reason), result.status);
	else if (!result.rule || result.rule->action != ACT_POOL)
		refuse(b, r, result.rule ? WHY_NOT_ACTIVE : WHY_NO_ROUTE, 0);
	else
		start_call(b, r, result.rule);
}

/* The next attempt ------------------------------------------------------------------------------------------------- */

/* The pool by the present snapshot: a reload may have taken it away. */
static const struct conf_pool *setup_pool(struct setup *s, int *index)
{
	const struct conf *c = s->call->b->conf;

	*index = conf_find_pool(c, sv_from(s->pool));
	return *index < 0 ? NULL : &c->pools[*index];
}

static void give_back(struct setup *s)
{
	dest_release(s->call->b->p.pools, s->call->b->p.worker, s->pick.slot);
}

static void dial_named(struct parked *job, int result)
{
	struct setup *s = owner_of(job, struct setup, parked);

	if (s->is_resolving) { /* the deadline came first */
		resolve_cancel(s->call->b->p.resolver, s->resolve_id);
		s->is_resolving = false;
	}
	s->why = WHY_NO_NAME;
	give_back(s);
	log_debug(s->call->b->p.log, "destination.unresolved", "pool=%s error=%d", s->pool, result);
	dial(s, NULL);
}

static void dial_answered(void *ctx, int err, const struct resolve_answer *a)
{
	struct setup *s = ctx;

	s->is_resolving = false;
	if (err || !a->n) {
		park_wake(&s->parked, err ? err : -ENOENT);
		return;
	}
	park_cancel(&s->parked);
	dial_resolved(s, NULL, &a->addr[0]);
}

/* Chooses the next destination; what may not be used ends the call with the best answer so far. */
static void dial(struct setup *s, const struct view *v)
{
	struct b2bua *b = s->call->b;
	const struct conf_destination *d;
	struct resolve_answer answer;
	struct resolve_query q;
	int index, err = 0;
	const struct conf_pool *pool = setup_pool(s, &index);

	if (!pool || s->n_tried >= POOL_TRIES_MAX || (s->n_tried && s->n_tried >= pool->failover.tries) ||
	    (err = pool_pick(b->p.pools, b->conf, b->p.worker, (uint16_t)index, s->call->near.in_table.key, s->tried, s->n_tried,
	                     &s->pick))) {
		if (pool && !s->n_tried)
			s->why = err == -EBUSY ? WHY_BUSY : WHY_NO_DESTINATION;
		setup_fail(s);
		return;
	}
	s->tried[s->n_tried++] = s->pick.slot;
	s->pick_gen = b->conf->gen;
	d = &b->conf->destinations[s->pick.destination];
	if (d->is_numeric) {
		dial_resolved(s, v, &d->addr);
		return;
	}
	q = (struct resolve_query){ .host = d->host, .port = d->port, .default_port = d->transport == T_TLS ? 5061 : 5060,
	                            .transport = d->transport };
	err = resolve(b->p.resolver, &q, &answer, dial_answered, s, &s->resolve_id);
	if (err == 0 && answer.n) {
		dial_resolved(s, v, &answer.addr[0]);
		return;
	}
	s->is_resolving = err == -EINPROGRESS;
	if (s->is_resolving && park(b->p.park, &s->parked, b->p.wheel->now_ms + CALL_RESOLVE_MS, dial_named) == 0)
		return;
	if (s->is_resolving)
		resolve_cancel(b->p.resolver, s->resolve_id);
	s->is_resolving = false;
	s->why = WHY_NO_NAME;
	give_back(s);
	dest_report(b->p.pools, b->conf, s->pick.destination, CALL_FAILED, b->p.wheel->now_ms, "name not found");
	dial(s, v);
}

static int rewrite(struct arena *a, const struct conf_route *rule, bool applies, struct sv *uri)
{
	return rule && rule->has_rewrite && applies ? route_rewrite_uri(&rule->rewrite, a, *uri, uri) : 0;
}

/* A From or To value with its URI exchanged. */
static struct sv with_uri(struct arena *a, struct sv value, struct sv old, struct sv uri)
{
	struct out o;
	size_t room = value.len + uri.len + 1;
	char *area = arena_alloc(a, room);

	if (!area || old.p == uri.p)
		return value;
	out_init(&o, area, room);
	out_sv(&o, sv_span(value.p, old.p));
	out_sv(&o, uri);
	out_sv(&o, sv_span(old.p + old.len, value.p + value.len));
	return out_done(&o);
}

/* What the far leg is called: From with our tag, To without any, Call-ID of ours; URIs unchanged unless the rule rewrites them
 * (DECISIONS 14). */
static int far_text(struct b2bua *b, struct leg *l, struct arena *a, const struct conf_route *rule, const struct view *v)
{
	struct sv from = view_value(v, HDR_FROM), to = view_value(v, HDR_TO);
	char token[TOKEN_LEN], call_id[TOKEN_LEN];
	struct name_addr na;
	struct out local, remote;
	size_t room = v->len + TOKEN_LEN + 16u;
	char *area;
	int err;

	if (name_addr_parse(&na, from) == 0) {
		struct sv uri = na.uri;

		if ((err = rewrite(a, rule, rule && rule->rewrite.from, &uri)))
			return err;
		from = with_uri(a, from, na.uri, uri);
	}
	if (name_addr_parse(&na, to) == 0) {
		struct sv uri = na.uri;

		if ((err = rewrite(a, rule, rule && rule->rewrite.to, &uri)))
			return err;
		to = with_uri(a, to, na.uri, uri);
	}
	room += from.len + to.len;
	if (!(area = arena_alloc(a, 2 * room)))
		return -ENOMEM;
	out_init(&local, area, room);
	out_init(&remote, area + room, room);
	out_with_tag(&local, from, tag_token(b, l->shard, l->in_table.key, token));
	out_without_tag(&remote, to);
	token_write(b->p.tokens, TOKEN_LEG, (struct token){ .id = l->in_table.key, .shard = l->shard }, call_id);
	return leg_set_text(l, &(struct leg_text){ .call_id = { call_id, TOKEN_LEN }, .local = out_done(&local),
	                                           .remote = out_done(&remote), .target = SV(""), .routes = SV("") });
}

static struct sv far_uri(struct arena *a, const struct conf_pool *pool, const struct conf_destination *d, const struct view *v)
{
	struct sv uri = view_uri(v);
	struct uri u;
	struct out o;
	char *area;

	if (pool->request_uri == RURI_KEEP || uri_parse(&u, uri) || !(area = arena_alloc(a, uri.len + d->uri.len + 2)))
		return uri;
	struct sv rest = sv_skip(d->uri, sv_chr(d->uri, ':') + 1);

	out_init(&o, area, uri.len + d->uri.len + 2);
	out_sv(&o, (struct sv){ d->uri.p, d->uri.len - rest.len });
	if (u.user.len || u.opaque.len) {
		out_sv(&o, u.user.len ? u.user : u.opaque);
		out_lit(&o, "@");
	}
	out_sv(&o, rest);
	return out_done(&o);
}

static unsigned hops_left(const struct view *v)
{
	struct sv hops = view_value(v, HDR_MAX_FORWARDS);
	uint64_t n;

	return hops.p && sv_u64(hops, 255, &n) == 0 && n ? (unsigned)n - 1 : 70;
}

/* The rule this call follows, looked up again when the snapshot has changed since. */
static const struct conf_route *setup_rule(struct setup *s, const struct view *v)
{
	struct b2bua *b = s->call->b;
	struct route_query q;
	struct route_result result = { .rule = NULL };

	if (s->conf_gen == b->conf->gen)
		return s->rule;
	q = query_of(b, v, &s->call->near.path);
	if (uri_parse(&q.uri, view_uri(v)) == 0)
		route_find(b->conf, &q, &result);
	s->rule = result.rule;
	s->conf_gen = b->conf->gen;
	return s->rule;
}

/* Writes and starts the request of `a`. */
static int attempt_send(struct attempt *a, const struct view *v)
{
	struct setup *s = a->setup;
	struct b2bua *b = a->b;
	const struct conf_destination *d = &b->conf->destinations[a->destination];
	const struct conf_route *rule = setup_rule(s, v);
	struct compose c = { .b = b };
	SCOPED(buf_putp) struct buf *out = NULL;
	char scratch[8192];
	struct arena arena;
	struct sv uri;
	int err;

	arena_init(&arena, scratch, sizeof(scratch), 8 * (size_t)NET_MESSAGE_MAX);
	uri = far_uri(&arena, &b->conf->pools[d->pool], d, v);
	if (!(err = rewrite(&arena, rule, rule && rule->rewrite.request_uri, &uri)) && !(err = far_text(b, a->leg, &arena, rule, v))) {
		struct outgoing m = { .method = view_method(v), .leg = a->leg, .uri = uri, .branch_id = a->branch_id, .cseq = v->cseq,
		                      .max_forwards = hops_left(v) };

		a->leg->local_cseq = v->cseq;
		compose_request(&c, &m);
		compose_contact(&c, a->leg, v);
		compose_rest(&c, v, &s->call->near.path, a->leg);
		out = compose_done(&c);
		err = out ? 0 : c.o.is_full ? -EMSGSIZE : -ENOMEM;
	}
	arena_reset(&arena);
	return err ? err : client_start(b->p.stack, a->branch_id, v->method, &a->leg->path, out, &attempt_ops, a, &a->ct);
}

static void attempt_fire(struct timer *t);

struct attempt *attempt_alloc(struct setup *s, struct leg *leg)
{
	struct attempt *a = slab_alloc(&s->call->b->attempts);

	if (!a)
		return NULL;
	a->b = s->call->b;
	a->setup = s;
	a->leg = leg;
	a->timer.fire = attempt_fire;
	return a;
}

static struct attempt *attempt_new(struct setup *s, const struct view *v, const struct path *path)
{
	struct call *c = s->call;
	struct b2bua *b = c->b;
	struct attempt *a;
	struct via via;
	struct sv rest = view_value(v, HDR_VIA);
	uint64_t id = token_leg_id(b->p.tokens, b->conf->zones[path_zone(b, &c->near.path)].name, view_value(v, HDR_CALL_ID),
	                           tag_of(view_value(v, HDR_FROM)), view_uri(v), s->n_tried);

	struct leg *leg;

	if (via_next(&via, &rest) || !(leg = leg_new(b, c, id)))
		return NULL;
	if (!(a = attempt_alloc(s, leg))) {
		leg_free(b, leg);
		return NULL;
	}
	a->destination = s->pick.destination;
	a->branch_id = token_branch_id(b->p.tokens, id, via.branch, v->cseq);
	leg->path = *path;
	leg->attempt = s->n_tried;
	leg->slot = s->pick.slot;
	leg->has_slot = true;
	leg->destination = s->pick.destination;
	return a;
}

/* The address is known: the attempt begins, or fails at once and the next one is chosen. */
static void dial_to(struct setup *s, const struct view *v, const struct addr *to)
{
	struct b2bua *b = s->call->b;
	const struct conf_destination *d = &b->conf->destinations[s->pick.destination];
	struct path path;
	struct attempt *a;
	int err = path_to(b, &path, b->conf->pools[d->pool].zone, d->transport, to);

	if (err || !(a = attempt_new(s, v, &path))) {
		give_back(s);
		s->why = err ? WHY_UNREACHABLE : WHY_FULL;
		setup_fail(s);
		return;
	}
	s->attempt = a;
	if ((err = attempt_send(a, v))) {
		s->attempt = NULL;
		attempt_drop(a);
		s->why = err == -EMSGSIZE ? WHY_TOO_LARGE : err == -EBADMSG ? WHY_BAD_URI : WHY_UNREACHABLE;
		if (s->why == WHY_UNREACHABLE)
			dial(s, v);
		else
			setup_fail(s);
		return;
	}
	if (s->after_ms)
		wheel_arm_in(b->p.wheel, &a->timer, s->after_ms);
}

static void dial_resolved(struct setup *s, const struct view *v, const struct addr *to)
{
	struct view again;
	struct view_fault fault;

	if (s->pick_gen != s->call->b->conf->gen) { /* a reload came between: its numbers are others */
		give_back(s);
		s->n_tried--;
		dial(s, v);
		return;
	}
	if (!v) { /* resumed: the message is read again */
		if (view_scan(&again, s->request->data, s->request->len, false, &fault)) {
			give_back(s);
			setup_fail(s);
			return;
		}
		v = &again;
	}
	dial_to(s, v, to);
}

/* Attempts that end ------------------------------------------------------------------------------------------------ */

void attempt_drop(struct attempt *a)
{
	if (a->ct)
		client_own(a->ct, NULL, NULL);
	if (!a->setup)
		list_del(&a->in_lost);
	wheel_disarm(a->b->p.wheel, &a->timer);
	leg_free(a->b, a->leg);
	slab_free(&a->b->attempts, a);
}

void attempt_abandon(struct attempt *a)
{
	struct b2bua *b = a->b;

	if (!a->ct || !client_is_waiting(a->ct) || a->setup->call->method != M_INVITE) {
		attempt_drop(a);
		return;
	}
	a->setup = NULL;
	a->leg->call = NULL;
	if (a->leg->has_slot)
		dest_release(b->p.pools, b->p.worker, a->leg->slot);
	a->leg->has_slot = false;
	list_push(&b->attempts_lost, &a->in_lost);
	client_cancel(a->ct, SV("")); /* before a provisional it is refused, and done at the first one */
	wheel_arm_in(b->p.wheel, &a->timer, SIP_TIMEOUT);
}

/* Is there another destination for this call? Asked before giving one up that may yet answer. */
static bool has_alternative(struct setup *s)
{
	struct b2bua *b = s->call->b;
	struct pick pick;
	int index;
	const struct conf_pool *pool = setup_pool(s, &index);

	if (!pool || s->n_tried >= POOL_TRIES_MAX || s->n_tried >= pool->failover.tries ||
	    pool_pick(b->p.pools, b->conf, b->p.worker, (uint16_t)index, s->call->near.in_table.key, s->tried, s->n_tried, &pick))
		return false;
	dest_release(b->p.pools, b->p.worker, pick.slot);
	return true;
}

static void report(struct attempt *a, enum dest_event event, const char *what)
{
	struct b2bua *b = a->b;

	if (a->setup && a->setup->conf_gen == b->conf->gen)
		dest_report(b->p.pools, b->conf, a->destination, event, b->p.wheel->now_ms, what);
}

void setup_next(struct setup *s)
{
	if (s->has_provisional) {
		setup_fail(s);
		return;
	}
	counter_inc(&s->call->b->counters, CALLS_FAILOVERS);
	dial(s, NULL);
}

static void attempt_fire(struct timer *t)
{
	struct attempt *a = owner_of(t, struct attempt, timer);
	struct setup *s = a->setup;

	if (!s) {
		attempt_drop(a);
		return;
	}
	if (!a->has_response && !has_alternative(s))
		return; /* timer B or F decides */
	if (!a->has_response)
		report(a, CALL_FAILED, "no response");
	s->why = a->has_response ? WHY_RING_TIMEOUT : WHY_TIMEOUT;
	s->attempt = NULL;
	attempt_abandon(a);
	setup_next(s);
}

static void attempt_failed(void *owner, struct client_txn *ct, int err)
{
	struct attempt *a = owner;
	struct setup *s = a->setup;

	a->ct = NULL; /* it ends with this call */
	client_own(ct, NULL, NULL);
	if (s) {
		report(a, CALL_FAILED, err == -ETIMEDOUT ? "no response" : "transport");
		s->why = err == -ETIMEDOUT ? WHY_TIMEOUT : WHY_UNREACHABLE;
		s->attempt = NULL;
	}
	attempt_drop(a);
	if (s)
		setup_next(s);
}

static void attempt_ct_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct attempt *)owner)->ct = NULL;
}

static void attempt_on_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	(void)ct;
	attempt_response(owner, v, from);
}

const struct client_ops attempt_ops = { .on_response = attempt_on_response, .on_failed = attempt_failed,
	                                       .on_end = attempt_ct_end };

void setup_drop(struct setup *s)
{
	struct b2bua *b = s->call->b;
	char tag[TOKEN_LEN];

	if (s->is_resolving) {
		resolve_cancel(b->p.resolver, s->resolve_id);
		park_cancel(&s->parked);
		give_back(s);
	}
	if (s->attempt)
		attempt_abandon(s->attempt);
	if (s->st) {
		server_own(s->st, NULL, NULL);
		server_answer(s->st, 487, SV(""), tag_token(b, s->call->shard, s->call->near.in_table.key, tag), SV(""));
	}
	buf_put(s->request);
	buf_put(s->best);
	s->call->setup = NULL;
	slab_free(&b->setups, s);
}

/* §16.7 step 6, for one branch after another: the best answer that came, else our own. */
void setup_fail(struct setup *s)
{
	struct call *c = s->call;
	const struct reason *reason = &call_reasons[s->why];
	enum why why = s->best ? WHY_REMOTE : s->why;
	char tag[TOKEN_LEN];
	struct out o;

	if (s->attempt) {
		attempt_abandon(s->attempt);
		s->attempt = NULL;
	}
	c->status = s->best ? s->best_status : (uint16_t)reason->status;
	if (s->st && s->best) {
		server_begin(s->st, &o, s->best_status, s->best_phrase, (struct sv){ s->best_tag, TOKEN_LEN });
		out_sv(&o, sv_skip(buf_sv(s->best), s->best_phrase.len));
		server_send(s->st, s->best_status, &o);
	} else if (s->st) {
		server_answer(s->st, reason->status, sv_from(reason->phrase),
		              tag_token(c->b, c->shard, c->near.in_table.key, tag), SV(""));
	}
	call_finish(c, why);
}
