/* sbc/call/dial.c - where an initial request goes: which destination, which of its addresses, and the next one when that one
 * fails (DECISIONS 12). An attempt is one request on its way; it outlives its call when it was given up. */
#include "sbc/call/fork.h"
#include "sbc/call/pass.h"
#include "sbc/call/sips.h"
#include "sbc/call/locate.h"
#include "sbc/call/move.h"
#include "sbc/call/stick.h"
#include "sbc/call/transfer.h"
#include "sbc/call/trunk.h"
#include "apps-router/route.h"
#include "dispatcher/trunk.h"
#include <errno.h>
#include <stdlib.h>

static void dial_address(struct setup *s, const struct view *v);
static void dial_next(struct setup *s, const struct view *v);

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
	if (setup_is_pooled(s))
		dest_release(s->call->b->p.pools, s->call->b->p.worker, s->pick.slot);
}

static void dial_unnamed(struct setup *s, const struct view *v)
{
	struct b2bua *b = s->call->b;

	s->why = WHY_NO_NAME;
	give_back(s);
	if (setup_is_pooled(s) && s->pick_gen == b->conf->gen)
		dest_report(b->p.pools, b->conf, s->pick.destination, CALL_FAILED, b->p.wheel->now_ms, "name not found");
	dial(s, v);
}

static void dial_woken(struct parked *job, int result)
{
	struct setup *s = owner_of(job, struct setup, parked);

	(void)result; /* the deadline came first, or the worker ends */
	if (s->is_resolving)
		resolve_cancel(s->call->b->p.resolver, s->resolve_id);
	s->is_resolving = false;
	dial_unnamed(s, NULL);
}

static void dial_answered(void *ctx, int err, const struct resolve_answer *a)
{
	struct setup *s = ctx;

	s->is_resolving = false;
	park_cancel(&s->parked);
	if (err || !a->n) {
		dial_unnamed(s, NULL);
		return;
	}
	s->addrs = *a;
	dial_address(s, NULL);
}

/* Where `q` leads, now or when the name is known; the request waits in the park meanwhile (DECISIONS 20). */
static void dial_query(struct setup *s, const struct view *v, const struct resolve_query *q)
{
	struct b2bua *b = s->call->b;
	int err;

	s->next_addr = 0;
	err = hop_resolve(b, s->hop_zone, q, &s->addrs, dial_answered, s, &s->resolve_id);
	if (err == 0 && s->addrs.n) {
		dial_address(s, v);
		return;
	}
	s->is_resolving = err == -EINPROGRESS;
	if (s->is_resolving && park(b->p.park, &s->parked, b->p.wheel->now_ms + CALL_RESOLVE_MS, dial_woken) == 0)
		return;
	if (s->is_resolving)
		resolve_cancel(b->p.resolver, s->resolve_id);
	s->is_resolving = false;
	dial_unnamed(s, v);
}

/* To what a token stands for: once, since there is nobody else to try. */
static void dial_direct(struct setup *s, const struct view *v)
{
	struct direct *d = s->direct;
	struct leg probe = { .path = d->path, .follows_flow = d->has_path };
	struct resolve_query q;

	if (s->n_tried++) {
		if (!redirect_next(s, v))
			setup_fail(s);
		return;
	}
	s->hop_zone = d->zone;
	if (next_hop(&probe, direct_uri(d), direct_routes(d), &q)) {
		s->why = WHY_BAD_URI;
		if (!redirect_next(s, v))
			setup_fail(s);
		return;
	}
	if (q.host.len) {
		dial_query(s, v, &q);
		return;
	}
	if (!d->has_path) {
		s->why = WHY_NO_NAME;
		if (!redirect_next(s, v))
			setup_fail(s);
		return;
	}
	s->addrs = (struct resolve_answer){ .n = 1, .addr = { d->path.remote }, .transport = { d->path.transport } };
	dial_address(s, v);
}

/* Is the named call there? One that a server began has no slot: its address says which server that is, over a connection without port. */
static bool is_at(const struct end *e, const struct conf_destination *d, uint16_t slot)
{
	if (e->slot)
		return slot == e->slot - 1;
	return d->is_numeric && (transport_is_stream(e->path.transport) ? addr_eq_ip(&d->addr, &e->path.remote) :
	                                                                  addr_eq(&d->addr, &e->path.remote));
}

/* In the pool, or in those it spills into. */
static const struct conf_destination *wanted_of(const struct b2bua *b, const struct conf_pool *pool, const struct tombstone *t,
                                                const struct end *held)
{
	for (unsigned n = 0; (t || held) && n <= CONF_SPILLS_MAX; n++) {
		for (unsigned i = 0; i < pool->n_destinations; i++) {
			const struct conf_destination *d = &pool->destinations[i];
			uint16_t slot = pools_slot(b->p.pools, b->conf, d->id);

			if (held ? is_at(held, d, slot) : slot == t->challenger - 1)
				return d;
		}
		if (!pool->spill)
			break;
		pool = &b->conf->pools[pool->spill - 1];
	}
	return NULL;
}

/* DECISIONS 3: credentials go to the one who asked for them, while it may be used: another would only ask again. And a call that is to
 * replace another goes where that one is. */
static bool pick_wanted(struct setup *s, const struct conf_pool *pool)
{
	struct b2bua *b = s->call->b;
	const struct conf_destination *d;
	const struct tombstone *t;
	const struct end *held;
	struct dest_info info;
	uint16_t slot;

	if (s->n_tried || (!s->names && !b->n_challenged))
		return false; /* most calls */
	held = names_end_in(s->names, pool->zone);
	t = held ? NULL : tombstone_challenged(b, s->call->near.in_table.key);
	if (!(d = wanted_of(b, pool, t, held)))
		return false;
	slot = pools_slot(b->p.pools, b->conf, d->id);
	dest_info(b->p.pools, slot, &info);
	if (!info.is_up || info.wish == WISH_DISABLED || (d->max_calls && info.load >= d->max_calls))
		return false;
	dest_reserve(b->p.pools, b->p.worker, slot);
	if (!trunk_fits(b->p.pools, b->conf, pool)) {
		dest_untake(b->p.pools, b->p.worker, slot);
		return false;
	}
	s->ahead = t ? t->ahead : 0;
	s->raises = t ? t->raises : 0;
	s->min_s = t ? t->min_s : 0;
	s->pick = (struct pick){ slot, d->id };
	return true;
}

/* 0; as stick_choose. */
static int choose(struct setup *s, const struct conf_pool *pool, uint16_t index, const struct view *v)
{
	struct b2bua *b = s->call->b;
	struct pool_query q;

	if (s->stick.state == STICK_NONE && pick_wanted(s, pool)) {
		if (pool->sticky.stays)
			stick_follow(s, pool, v);
		return 0;
	}
	if (pool->sticky.is_on)
		return stick_choose(s, pool, index, v);
	q = pooled_query(s, pool, v);
	return pool_pick(b->p.pools, b->conf, index, &q, &s->pick);
}

/* Chooses the next destination; what may not be used ends the call with the best answer so far. */
void dial(struct setup *s, const struct view *v)
{
	struct b2bua *b = s->call->b;
	const struct conf_destination *d;
	int index, err = 0;
	const struct conf_pool *pool;
	struct resolve_query q_name;

	if (!setup_is_pooled(s)) {
		if (s->fork)
			fork_dial(s, v);
		else
			dial_direct(s, v);
		return;
	}
	pool = setup_pool(s, &index);
	if (!pool || s->n_tried >= POOL_TRIES_MAX || (s->n_tried && s->n_tried >= pool->failover.tries) ||
	    (err = choose(s, pool, (uint16_t)index, v))) {
		if (err == -EINPROGRESS)
			return;
		if (pool && !s->n_tried)
			s->why = err == -EBUSY ? WHY_BUSY : err == -ETIMEDOUT ? WHY_STICKY_LATE : WHY_NO_DESTINATION;
		setup_fail(s);
		return;
	}
	s->tried[s->n_tried++] = s->pick.slot;
	s->pick_gen = b->conf->gen;
	d = &b->conf->destinations[s->pick.destination];
	s->hop_zone = b->conf->pools[d->pool].zone;
	if (d->pool != index)
		counter_inc(&b->counters, CALLS_SPILLED);
	if (d->is_numeric) {
		s->next_addr = 0;
		s->addrs.n = 1;
		s->addrs.addr[0] = d->addr;
		s->addrs.transport[0] = d->transport;
		dial_address(s, v);
		return;
	}
	q_name = conf_destination_query(b->conf, d);
	dial_query(s, v, &q_name);
}

static int rewrite(struct arena *a, const struct conf_route *rule, bool applies, struct sv *uri)
{
	return rule && rule->has_rewrite && applies ? route_rewrite_uri(&rule->rewrite, a, *uri, uri) : 0;
}

struct sv with_uri(struct arena *a, struct sv value, struct sv old, struct sv uri)
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

/* `value`, a From or To, with its URI exchanged for `instead` if there is one, or rewritten if the rule does that. */
static int change_uri(struct arena *a, const struct conf_route *rule, bool applies, struct sv instead, struct sv *value)
{
	struct name_addr na;
	struct sv uri;
	int err;

	if ((!applies && !instead.len) || name_addr_parse(&na, *value))
		return 0;
	uri = instead.len ? instead : na.uri;
	if (!instead.len && (err = rewrite(a, rule, applies, &uri)))
		return err;
	*value = with_uri(a, *value, na.uri, uri);
	return 0;
}

/* A From with `tag` for its `old` one, which may be empty. */
static void out_with_tag(struct out *o, const struct view *v, struct sv value, struct sv old, struct sv tag)
{
	if (!old.len) {
		out_value(o, v, value);
		out_lit(o, ";tag=");
		out_sv(o, tag);
		return;
	}
	out_value(o, v, sv_span(value.p, old.p));
	out_sv(o, tag);
	out_value(o, v, sv_span(old.p + old.len, value.p + value.len));
}

/* What the far leg is called: From with our tag, To without any, Call-ID of ours; URIs unchanged unless the rule rewrites them
 * (DECISIONS 14). */
static int far_text(const struct attempt *attempt, struct arena *a, const struct conf_route *rule, const struct conf_trunk *trunk,
                    const struct view *v, const struct path *source)
{
	struct b2bua *b = attempt->b;
	struct leg *l = attempt->leg;
	const struct direct *direct = attempt->direct;
	struct sv near_from = view_value(v, HDR_FROM), from = near_from, to = view_value(v, HDR_TO);
	/* of To's, in which our token is the near side's */
	struct sv instead = direct && !direct->keeps_to ? direct_uri(direct) : SV("");
	const struct conf_rewrite *rewrites = rule && rule->has_rewrite ? &rule->rewrite : NULL;
	char token[TOKEN_LEN], call_id[TOKEN_LEN], home[ADDR_TEXT];
	struct out local, remote;
	size_t room = v->len + TOKEN_LEN + 16u;
	char *area;
	int err;

	if ((err = change_uri(a, rule, rewrites && rewrites->from, SV(""), &from)) ||
	    (err = change_uri(a, rule, rewrites && rewrites->to, instead, &to)))
		return err;
	from = compose_address(b, a, v, source, from);
	to = compose_address(b, a, v, source, to);
	if (trunk && (err = trunk_names(b, trunk, a, v, &from, &to)))
		return err;
	if ((v->first[HDR_PRIVACY] || b->conf->zones[path_zone(b, &l->path)].masks) && (err = far_names(b, l, a, v, &from, &to)))
		return err;
	room += from.len + to.len;
	if (!(area = arena_alloc(a, 2 * room)))
		return -ENOMEM;
	out_init(&local, area, room);
	out_init(&remote, area + room, room);
	out_with_tag(&local, v, from, from.p == near_from.p ? view_from_tag(v) : tag_of(from),
	             tag_token(b, l->shard, l->in_table.key, token));
	out_value(&remote, v, to); /* it has no tag: the request begins something */
	token_write(b->p.tokens, TOKEN_LEG, (struct token){ .id = l->in_table.key, .shard = l->shard }, call_id);
	return leg_set_text(b, l, &(struct leg_text){ .call_id = { call_id, TOKEN_LEN }, .local = out_done(&local),
	                                           .remote = out_done(&remote), .target = trunk_home(trunk, &l->path, home),
	                                           .routes = SV("") });
}

/* Of an attempt that goes on after a reload, or that another node began, by its slot: its numbers are those of another snapshot. NULL:
 * it has left the configuration. */
static const struct conf_destination *destination_of(const struct attempt *a)
{
	const struct conf *c = a->b->conf;
	uint32_t id = a->destination;

	if (a->setup->pick_gen != c->gen && !pools_destination(a->b->p.pools, c, a->leg->slot, &id))
		return NULL;
	return &c->destinations[id];
}

/* DECISIONS 14: the Request-URI stays, or becomes the destination's with the user kept. */
static struct sv far_uri(const struct attempt *attempt, struct arena *a, const struct view *v)
{
	const struct conf *c = attempt->b->conf;
	const struct conf_destination *d = attempt->direct ? NULL : destination_of(attempt);
	struct sv uri = view_uri(v), rest;
	struct uri u;
	struct out o;
	char *area;

	if (attempt->direct)
		return direct_uri(attempt->direct);
	if (!d || c->pools[d->pool].request_uri == RURI_KEEP || uri_parse(&u, uri) || !(area = arena_alloc(a, uri.len + d->uri.len + 2)))
		return uri;
	rest = sv_skip(d->uri, sv_chr(d->uri, ':') + 1);
	out_init(&o, area, uri.len + d->uri.len + 2);
	if (u.scheme == URI_SIPS) {
		sips_destination(&o, d, u.user);
		return out_done(&o);
	}
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

	if ((s->direct && !s->direct->keeps_to) || s->conf_gen == b->conf->gen)
		return s->rule;
	q = query_of(b, v, &s->call->near.path, trunk_of_call(s->call));
	standing_tell(s->standing, &q);
	if (uri_parse(&q.uri, view_uri(v)) == 0)
		route_find(b->conf, &q, &result);
	s->rule = result.rule;
	s->conf_gen = b->conf->gen;
	return s->rule;
}

static int attempt_write(struct attempt *a, const struct view *v, struct buf **out)
{
	struct setup *s = a->setup;
	struct b2bua *b = a->b;
	const struct conf_route *rule = setup_rule(s, v);
	const struct conf_trunk *trunk = b->conf->n_trunks ? trunk_towards(a) : NULL;
	struct compose c = { .b = b, .rewrite = rule && rule->has_rewrite && rule->rewrite.pai ? &rule->rewrite : NULL };
	char scratch[8192];
	struct arena arena;
	struct sv uri;
	int err;

	if (!s->names && names_anybody(v)) /* another node knew whom; a call that replaces nothing is another one */
		return -ENOLINK;
	arena_init(&arena, scratch, sizeof(scratch), 8 * (size_t)NET_MESSAGE_MAX);
	uri = far_uri(a, &arena, v);
	if (!(err = rewrite(&arena, rule, rule && rule->rewrite.request_uri && !a->direct, &uri)) &&
	    !(trunk && (err = trunk_uri(trunk, &arena, &uri))) && !(err = sips_aim(a, uri, view_uri(v))) &&
	    !(err = far_text(a, &arena, rule, trunk, v, &s->call->near.path))) {
		struct outgoing m = { .method = view_method(v), .leg = a->leg, .uri = uri, .branch_id = a->branch_id,
		                      .cseq = v->cseq + a->ahead, .max_forwards = hops_left(v),
		                      .routes = a->direct ? direct_routes(a->direct) : s->located ? pass_service(s, v) : SV("") };

		c.names = s->names;
		compose_request(&c, &m);
		if (s->passing)
			pass_contacts(&c, s, a->leg, v);
		else
			compose_contact(&c, a->leg, v, &s->call->near.path);
		if (s->fork)
			fork_lines(&c, s->fork);
		if (v->method == M_INVITE)
			session_offer(&c, &s->session, &b->conf->zones[path_zone(b, &a->leg->path)], a->min_s);
		compose_rest(&c, v, &s->call->near.path, a->leg);
		*out = compose_done(&c);
		err = *out ? 0 : c.o.is_full ? -EMSGSIZE : -ENOMEM;
	}
	arena_reset(&arena);
	return err;
}

/* Writes and starts the request of `a`; what is too large for a datagram is written again for a stream. */
static int attempt_send(struct attempt *a, const struct view *v)
{
	SCOPED(buf_putp) struct buf *out = NULL;
	int err = attempt_write(a, v, &out);

	a->leg->local_cseq = v->cseq + a->ahead;
	a->leg->wants_answer = !v->body_len;
	if (!err && path_outgrown(a->b, &a->leg->path, out->len)) {
		buf_put(STEAL(out));
		err = attempt_write(a, v, &out);
	}
	return err ? err : client_start(a->b->p.stack, a->branch_id, v->method, &a->leg->path, out, &attempt_ops, a, &a->ct);
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

/* What tells the requests of one CSeq apart (DECISIONS 4): the branches of a fork share all their identifiers but this. */
static uint64_t attempt_branch_id(const struct attempt *a, uint32_t cseq)
{
	const struct setup *s = a->setup;

	return token_branch_id(a->b->p.tokens, a->leg->in_table.key, (s->st ? server_id(s->st) : 0) + a->leg->branch, cseq + a->ahead);
}

static struct attempt *attempt_new(struct setup *s, const struct view *v, const struct path *path, const struct direct *direct,
                                   uint8_t branch)
{
	struct call *c = s->call;
	struct b2bua *b = c->b;
	struct attempt *a;
	uint64_t id = token_attempt_id(b->p.tokens, c->near.in_table.key, branch ? 1 : ++s->n_attempts);
	struct leg *leg = leg_new(b, c, id);

	if (!leg)
		return NULL;
	if (!(a = attempt_alloc(s, leg))) {
		leg_free(b, leg);
		return NULL;
	}
	a->destination = s->pick.destination;
	a->ahead = s->ahead;
	a->raises = s->raises;
	a->min_s = s->min_s;
	a->is_timed = setup_is_pooled(s) && b->conf->pools[b->conf->destinations[a->destination].pool].balance == BALANCE_LATENCY;
	a->sent_ms = b->p.wheel->now_ms;
	a->direct = direct;
	leg->path = *path;
	leg->attempt = branch ? 1 : s->n_attempts;
	leg->branch = branch;
	leg->follows_flow = direct && direct->has_path && !direct->is_named &&
	                    !(direct->keeps_to && direct->routes_len); /* behind a proxy: by its routes */
	a->branch_id = attempt_branch_id(a, v->cseq);
	leg->has_slot = setup_is_pooled(s);
	if (leg->has_slot)
		leg->slot = s->pick.slot;
	return a;
}

/* Its destination has the usual time for another request of it. */
static void attempt_wait(struct attempt *a)
{
	wheel_disarm(a->b->p.wheel, &a->timer);
	a->has_response = false;
	if (a->setup->after_ms && !a->setup->has_provisional)
		wheel_arm_in(a->b->p.wheel, &a->timer, a->setup->after_ms);
}

bool attempt_authorized(struct attempt *a, const struct conf_trunk *t, const struct view *v)
{
	struct call *c = a->setup->call;
	struct trunk_again again = { .ct = a->ct, .cseq = c->cseq + a->ahead + 1, .shard = a->leg->shard, .ops = &attempt_ops, .owner = a };

	if ((!a->setup->st && !a->setup->move) || a->ahead >= ATTEMPT_AHEAD_MAX) /* nobody waits any more; or it never ends */
		return false;
	a->ahead++;
	again.branch_id = attempt_branch_id(a, c->cseq);
	if (trunk_answer(a->b, t, &again, v, &a->ct)) {
		a->ahead--;
		return false;
	}
	dialogs_free_of(c, a->leg); /* early ones of the refused request are over */
	a->branch_id = again.branch_id;
	a->leg->local_cseq = again.cseq;
	attempt_wait(a);
	return true;
}

int attempt_again(struct attempt *a)
{
	struct setup *s = a->setup;
	struct view_fault fault;
	struct view v;

	if (view_scan(&v, s->request->data, s->request->len, false, &fault))
		return -EBADMSG;
	client_own(a->ct, NULL, NULL);
	a->ct = NULL;
	a->ahead++;
	a->branch_id = attempt_branch_id(a, v.cseq);
	attempt_wait(a);
	return attempt_send(a, &v);
}

struct attempt *attempt_of(const struct setup *s, const struct leg *far)
{
	struct attempt *a = s->attempt;

	while (a && a->leg != far)
		a = a->next;
	return a;
}

void attempt_leave(struct attempt *a)
{
	struct attempt **at = &a->setup->attempt;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->next = NULL;
}

bool setup_has_address(const struct setup *s)
{
	return s->next_addr < s->addrs.n && s->n_attempts < SETUP_ATTEMPTS_MAX;
}

/* How long the present address may be silent; 0: as long as its transaction lasts. */
static uint32_t silence_ms(const struct setup *s)
{
	return s->after_ms || !setup_has_address(s) ? s->after_ms : HOP_SILENT_MS;
}

int attempt_begin(struct setup *s, const struct view *v, const struct path *path, const struct direct *direct, uint8_t branch)
{
	struct attempt *a = attempt_new(s, v, path, direct, branch);
	uint32_t after_ms = silence_ms(s);
	int err;

	if (!a) {
		give_back(s);
		s->why = WHY_FULL;
		return -ENOMEM;
	}
	a->next = s->attempt;
	s->attempt = a;
	if ((err = attempt_send(a, v)) == 0) {
		if (after_ms)
			wheel_arm_in(a->b->p.wheel, &a->timer, after_ms);
		return 0;
	}
	attempt_leave(a);
	attempt_drop(a);
	s->why = err == -EMSGSIZE ? WHY_TOO_LARGE : err == -EBADMSG ? WHY_BAD_URI : err == -ENOTSUP ? WHY_PRIVACY :
	         err == -ENOLINK  ? WHY_TRANSFER : err == -EPROTONOSUPPORT ? WHY_SIPS : err == -EACCES ? WHY_GUARD : WHY_UNREACHABLE;
	return err;
}

/* The address is known: the attempt begins, or fails at once and the next one is chosen. */
static void dial_path(struct setup *s, const struct view *v, const struct path *path)
{
	if (attempt_begin(s, v, path, s->direct, 0) == 0)
		return;
	if (s->why == WHY_UNREACHABLE || s->why == WHY_SIPS)
		dial_next(s, v);
	else
		setup_fail(s);
}

static void dial_address(struct setup *s, const struct view *v)
{
	struct b2bua *b = s->call->b;
	struct view again;
	struct view_fault fault;
	struct path path;

	if (setup_is_pooled(s) && s->pick_gen != b->conf->gen) { /* a reload came between: its numbers are others */
		give_back(s);
		s->n_tried--;
		dial(s, v);
		return;
	}
	if (!v && view_scan(&again, s->request->data, s->request->len, false, &fault)) {
		give_back(s);
		setup_fail(s);
		return;
	}
	if (s->direct && s->direct->has_path) {
		path = s->direct->path;
	} else if (s->direct && redirect_is_loop(b->conf, s->direct, &s->addrs.addr[s->next_addr])) {
		counter_inc(&b->counters, REDIRECTS_REFUSED);
		s->why = WHY_REDIRECT_LOOP;
		s->next_addr++;
		dial_next(s, v);
		return;
	} else if (path_to_answer(b, &path, s->hop_zone, &s->addrs, s->next_addr++)) {
		give_back(s);
		s->why = WHY_UNREACHABLE;
		dial_next(s, v);
		return;
	} else if (s->direct) {
		path_expect_direct(b, &path, s->direct);
	} else {
		path_expect_destination(b, &path, &b->conf->destinations[s->pick.destination]);
	}
	dial_path(s, v ? v : &again, &path);
}

/* The next address of the same name, else the next destination (RFC 3263 §4.3). */
static void dial_next(struct setup *s, const struct view *v)
{
	struct b2bua *b = s->call->b;

	if (!setup_has_address(s) || (setup_is_pooled(s) && s->pick_gen != b->conf->gen)) {
		dial(s, v);
		return;
	}
	if (setup_is_pooled(s))
		dest_reserve(b->p.pools, b->p.worker, s->pick.slot);
	dial_address(s, v);
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

/* Its call goes on without it, or has ended. Only its transaction leads to it: one in a table for each time that somebody calls and cancels
 * would make a long way for all that have the same id. */
static void leg_give_up(struct b2bua *b, struct leg *far)
{
	if (far->has_slot)
		dest_release(b->p.pools, b->p.worker, far->slot);
	far->has_slot = false;
	far->call = NULL;
	table_del(&b->legs, &far->in_table);
}

void attempt_abandon(struct attempt *a)
{
	struct b2bua *b = a->b;

	if (!a->ct || !client_is_waiting(a->ct) || a->setup->call->method != M_INVITE) {
		attempt_drop(a);
		return;
	}
	a->setup = NULL;
	a->direct = NULL;
	leg_give_up(b, a->leg);
	list_push(&b->attempts_lost, &a->in_lost);
	client_cancel(a->ct, SV("")); /* before a provisional it is refused, and done at the first one */
	wheel_arm_in(b->p.wheel, &a->timer, SIP_TIMEOUT);
}

void attempt_adopt(struct b2bua *b, struct leg *far)
{
	struct attempt *a = slab_alloc(&b->attempts);

	if (!a) {
		leg_free(b, far);
		return;
	}
	*a = (struct attempt){ .b = b, .leg = far, .ct = STEAL(far->invite), .timer = { .fire = attempt_fire } };
	leg_give_up(b, far);
	client_own(a->ct, &attempt_ops, a);
	list_push(&b->attempts_lost, &a->in_lost);
	wheel_arm_in(b->p.wheel, &a->timer, SIP_TIMEOUT);
}

/* Is there another destination for this call? Asked before giving one up that may yet answer. */
static bool has_alternative(struct setup *s)
{
	struct b2bua *b = s->call->b;
	int index;
	const struct conf_pool *pool = setup_is_pooled(s) ? setup_pool(s, &index) : NULL;
	struct pool_query q;

	if (setup_has_address(s) || redirect_has_next(s))
		return true;
	if (!pool || s->n_tried >= POOL_TRIES_MAX || s->n_tried >= pool->failover.tries)
		return false;
	q = pooled_query(s, pool, NULL);
	return pool_has(b->p.pools, b->conf, (uint16_t)index, &q);
}

/* One address of several says nothing of the destination yet. */
static void report(struct attempt *a, enum dest_event event, const char *what)
{
	struct b2bua *b = a->b;

	if (a->setup && setup_is_pooled(a->setup) && a->setup->pick_gen == b->conf->gen && !setup_has_address(a->setup))
		dest_report(b->p.pools, b->conf, a->destination, event, b->p.wheel->now_ms, what);
}

void setup_next(struct setup *s)
{
	if (s->has_provisional) {
		if (!redirect_next(s, NULL))
			setup_fail(s);
		return;
	}
	counter_inc(&s->call->b->counters, CALLS_FAILOVERS);
	dial_next(s, NULL);
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
	if (s->fork) {
		fork_given_up(a);
		return;
	}
	attempt_leave(a);
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
		if (s->fork) {
			fork_final(a, err == -ETIMEDOUT ? 408 : 430);
			return;
		}
		attempt_leave(a);
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

static void attempts_abandon(struct setup *s)
{
	while (s->attempt) {
		struct attempt *a = s->attempt;

		if (s->fork) /* another branch goes on, perhaps */
			dialogs_free_of(s->call, a->leg);
		attempt_leave(a);
		attempt_abandon(a);
	}
}

void setup_drop(struct setup *s)
{
	struct b2bua *b = s->call->b;
	char tag[TOKEN_LEN];

	if (s->is_resolving) {
		resolve_cancel(b->p.resolver, s->resolve_id);
		park_cancel(&s->parked);
		give_back(s);
	}
	stick_forget(s);
	attempts_abandon(s);
	fork_free(s->fork);
	if (s->st) {
		server_own(s->st, NULL, NULL);
		server_answer(s->st, 487, SV(""), tag_token(b, s->call->shard, s->call->near.in_table.key, tag), SV(""));
	}
	buf_put(s->request);
	buf_put(s->best);
	free(s->direct);
	free(s->trail);
	names_put(s->names);
	passing_free(s->passing);
	located_put(s->located);
	s->call->setup = NULL;
	slab_free(&b->setups, s);
}

/* §16.7 step 6, for one branch after another: the best answer that came, else our own. */
void setup_fail(struct setup *s)
{
	struct call *c = s->call;
	const struct reason *reason = &call_reasons[s->why];
	enum why why = s->best ? WHY_REMOTE : s->why;
	char tag[TOKEN_LEN], area[UNSUPPORTED_MAX];
	struct out o;

	if (s->move) {
		move_unanswered(s->move);
		return;
	}
	attempts_abandon(s);
	c->status = s->best ? s->best_status : (uint16_t)(reason->status ? reason->status : 480); /* e.g. an operator's hang-up */
	if (s->st && s->best) {
		server_begin(s->st, &o, s->best_status, s->best_phrase, (struct sv){ s->best_tag, TOKEN_LEN });
		out_sv(&o, sv_skip(buf_sv(s->best), s->best_phrase.len));
		if (server_send(s->st, s->best_status, &o))
			server_answer(s->st, 500, SV(""), (struct sv){ s->best_tag, TOKEN_LEN }, SV(""));
	} else if (s->st) {
		server_answer(s->st, c->status, sv_from(reason->phrase), tag_token(c->b, c->shard, c->near.in_table.key, tag),
		              sips_warning(c->b, why, &c->near.path, area));
	}
	call_finish(c, why);
}
