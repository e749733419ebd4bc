/* sbc/call/answer.c - what comes back for an initial request, and how it looks on the near side. */
#include "sbc/call/fork.h"
#include "sbc/call/move.h"
#include "sbc/call/pass.h"
#include "sbc/call/trunk.h"
#include <errno.h>

/* An answer finds room though more forks ring than we hold: they end with it anyway. */
static struct dialog *early_new(struct attempt *a, const struct view *v, struct sv target, struct sv routes)
{
	struct call *c = a->setup->call;
	uint64_t id = token_tag_id(c->b->p.tokens, c->near.in_table.key, a->branch_id, view_to_tag(v));
	struct dialog *d;

	if (c->n_dialogs >= DIALOGS_PER_CALL_MAX && v->status >= 200)
		dialog_free(owner_of(c->dialogs.next, struct dialog, in_call));
	if (!(d = dialog_new(c, a->leg, id, view_to_tag(v), target, routes))) {
		counter_inc(&c->b->counters, FORKS_REFUSED);
		return NULL;
	}
	d->cseq_in[NEAR] = c->cseq; /* the INVITE's: what follows counts on (§12.2.2) */
	return d;
}

/* The dialog of a response's To-tag, made when it is new (§12.1.2). NULL: no tag, or too many forks. */
static struct dialog *dialog_of(struct attempt *a, const struct view *v)
{
	struct call *c = a->setup->call;
	struct sv tag = view_to_tag(v);
	struct dialog *d = tag.len ? dialog_by_far_tag(c, a->leg, tag) : NULL;
	struct uri u;
	struct sv target = contact_uri_parsed(v, d ? dialog_target(d) : SV(""), &u), routes;
	char scratch[2048];
	struct arena arena;

	if (!tag.len)
		return NULL;
	arena_init(&arena, scratch, sizeof(scratch), NET_MESSAGE_MAX * 2);
	routes = d && v->status < 200 ? dialog_routes(d) : route_set(&arena, v, true); /* a 2xx says it anew (§13.2.2.4) */
	target = d && !target.p ? dialog_target(d) : target;
	if (!d)
		d = early_new(a, v, target, routes);
	else if (!(sv_eq(target, dialog_target(d)) && sv_eq(routes, dialog_routes(d))) && dialog_set_text(c->b, d, tag, target, routes))
		d = NULL;
	if (d)
		hop_learn(d, &u);
	arena_reset(&arena);
	return d;
}

/* One response towards the near side: head, our Contact if the far side gave one, what may pass. */
int setup_pass(struct setup *s, const struct view *v, const struct path *from, uint64_t tag_id)
{
	struct call *call = s->call;
	struct compose c = { .b = call->b };
	char tag[TOKEN_LEN];

	server_begin(s->st, &c.o, v->status, compose_phrase(call->b, v, from), tag_token(call->b, call->shard, tag_id, tag));
	if (v->status < 300)
		compose_contact(&c, &call->near, v, from);
	if (v->status / 100 == 2 && v->method == M_INVITE)
		session_accept(&c, &s->session, &c.b->conf->zones[path_zone(c.b, &call->near.path)]);
	compose_rest(&c, v, from, &call->near);
	return server_send(s->st, v->status, &c.o);
}

static void on_provisional(struct attempt *a, const struct view *v, const struct path *from)
{
	struct setup *s = a->setup;
	struct dialog *d;

	wheel_arm_in(a->b->p.wheel, &a->timer, s->answer_ms); /* timer C begins anew with each (§16.7 step 2) */
	if (v->status == 100 || !s->st)
		return;
	d = dialog_of(a, v);
	if (!d && view_to_tag(v).len)
		return; /* more forks than we hold */
	s->has_provisional = true;
	setup_pass(s, v, from, d ? d->in_table.key : s->call->near.in_table.key);
	if (v->status == 199 && d && s->call->n_dialogs > 1) /* RFC 6228 §4: this fork is over */
		dialog_free(d);
}

void setup_leave(struct attempt *a)
{
	struct setup *s = a->setup;

	attempt_leave(a);
	s->st = NULL;
	attempt_drop(a);
	setup_drop(s);
}

/* The far side answered: the call keeps this leg and this dialog, and nothing else. */
static void on_2xx(struct attempt *a, const struct view *v, const struct path *from)
{
	struct setup *s = a->setup;
	struct call *c = s->call;
	struct dialog *d = dialog_of(a, v);
	struct relay *r = d && s->st ? relay_new(c, d, NEAR, v) : NULL;
	int err = !r ? -ENOMEM : !dialog_target(d).len ? -EBADMSG : setup_pass(s, v, from, d->in_table.key);

	if (err && s->move && move_answered(a, d, v, from))
		return;
	if (err) {
		struct leg *far = STEAL(a->leg);

		s->why = err == -EACCES ? WHY_GUARD : err == -EBADMSG ? WHY_BAD_ANSWER : WHY_FULL;
		stray_2xx(c->b, far, a->ct, v);
		leg_free(c->b, far);
		setup_fail(s);
		return;
	}
	d->is_confirmed = true;
	a->leg->has_forks = c->n_dialogs > 1;
	r->st = STEAL(s->st);
	r->ct = STEAL(a->ct);
	r->in_cseq = c->cseq;
	c->ahead = a->ahead;
	r->out_cseq = v->cseq; /* requests within early dialogs may have counted on (§13.2.2.4) */
	r->had_offer = s->has_offer;
	if (d->cseq_in[NEAR] < r->in_cseq)
		d->cseq_in[NEAR] = r->in_cseq;
	server_own(r->st, &relay_server_ops, r);
	client_own(r->ct, &relay_client_ops, r);
	c->far = STEAL(a->leg);
	list_each_safe(n, &c->dialogs)
		if (owner_of(n, struct dialog, in_call) != d)
			dialog_free(owner_of(n, struct dialog, in_call));
	c->answered_ms = c->b->p.wheel->now_ms;
	c->longest_ms = s->max_duration_ms ? s->max_duration_ms : CALL_MAX_MS;
	c->status = v->status;
	counter_inc(&c->b->counters, CALLS_ANSWERED);
	relay_await_ack(r);
	session_begin(r, &s->session, v);
	setup_leave(a);
}

/* §16.7 step 6 among serial attempts: 6xx wins, then the lowest class; the later one among equals. */
static bool is_better(const struct setup *s, unsigned status)
{
	unsigned than = s->best_status;

	if (!than || status / 100 == 6 || than / 100 == 6)
		return than / 100 != 6;
	return s->fork ? fork_rank(status) <= fork_rank(than) : status / 100 <= than / 100;
}

/* DECISIONS 12: a foreign 503 says nothing about us and leaves as 500, unless the pool maps it. A flow that failed (RFC 5626 §5.3.1) is
 * nothing a caller could do anything about. */
static unsigned mapped_status(const struct setup *s, const struct conf_pool *pool, unsigned status)
{
	for (unsigned i = 0; pool && i < pool->n_responses; i++)
		if (pool->responses[i].from == status)
			return pool->responses[i].to;
	if (s->fork && status == 430)
		return 480;
	return status == 503 || status == 422 ? 500 : status; /* 422 is between us and them */
}

static void keep_best(struct attempt *a, const struct view *v, const struct path *from, const struct conf_pool *pool)
{
	struct setup *s = a->setup;
	struct compose c = { .b = a->b };
	unsigned status = mapped_status(s, pool, v->status);
	struct sv phrase = status == v->status ? compose_phrase(a->b, v, from) : SV("");
	struct buf *b;

	if (!is_better(s, status))
		return;
	out_init(&c.o, a->b->p.stack->scratch, SIP_SCRATCH);
	out_sv(&c.o, phrase);
	if (v->status < 400)
		compose_redirects(&c, a, v, from);
	compose_rest(&c, v, from, &s->call->near);
	if (!(b = compose_done(&c)))
		return;
	buf_put(s->best);
	s->best = b;
	s->best_phrase = (struct sv){ b->data, phrase.len };
	s->best_status = (uint16_t)status;
	tag_token(a->b, s->call->shard,
	          token_tag_id(a->b->p.tokens, s->call->near.in_table.key, a->branch_id, view_to_tag(v)), s->best_tag);
}

static const struct conf_pool *pool_of(struct setup *s)
{
	const struct conf *c = s->call->b->conf;
	int index = conf_find_pool(c, sv_from(s->pool));

	return index < 0 ? NULL : &c->pools[index];
}

/* To another destination while the pool allows more, and to another address of the same name, which without a pool 503 asks for
 * (RFC 3263 §4.3). */
static bool fails_over(struct setup *s, const struct conf_pool *pool, unsigned status)
{
	if (s->has_provisional || (!setup_has_address(s) && !(pool && pool->failover.tries > s->n_tried)))
		return false;
	for (unsigned i = 0; pool && i < pool->failover.n_on; i++)
		if (pool->failover.on[i] == status)
			return true;
	return !setup_is_pooled(s) && status == 503;
}

/* RFC 4028 §7.3: a longer interval is asked for; the caller never hears of it. Early dialogs of the refused request are over. */
static bool asks_for_more(struct attempt *a, const struct view *v)
{
	struct setup *s = a->setup;
	bool is_asked = v->status == 422 && v->method == M_INVITE && a->raises < SESSION_RAISES_MAX && a->ahead < ATTEMPT_AHEAD_MAX;
	uint32_t min = is_asked ? session_raise(&s->session, &a->b->conf->zones[path_zone(a->b, &a->leg->path)], a->min_s, v) : 0;

	if (!min || !s->st || (!a->direct && !a->leg->has_slot)) /* another node knew where it had been sent on to */
		return false;
	dialogs_free_of(s->call, a->leg);
	a->min_s = min;
	a->raises++;
	return attempt_again(a) == 0;
}

/* A trunk's challenge, which its credentials are for: answered, or what the caller gets instead of it is set down. */
static bool is_trunks(struct attempt *a, const struct view *v, bool *is_answered)
{
	const struct conf_trunk *t = trunk_is_challenge(a->b, v) ? trunk_towards(a) : NULL;

	*is_answered = false;
	if (!t || !t->password.len)
		return false;
	*is_answered = attempt_authorized(a, t, v);
	if (*is_answered)
		return true;
	counter_inc(&a->b->counters, CHALLENGES_REFUSED);
	a->setup->why = WHY_TRUNK_CREDENTIALS;
	return true;
}

static void on_final(struct attempt *a, const struct view *v, const struct path *from)
{
	struct setup *s = a->setup;
	const struct conf_pool *pool = pool_of(s);
	bool goes_on = fails_over(s, pool, v->status), is_followed, is_answered, is_hidden;

	if (asks_for_more(a, v))
		return;
	is_hidden = is_trunks(a, v, &is_answered);
	if (is_answered)
		return;
	is_followed = s->fork ? fork_redirected(a, v) : redirect_take(a, v);
	if (!is_followed && !is_hidden)
		keep_best(a, v, from, pool);
	if ((v->status == 401 || v->status == 407) && a->leg->has_slot && !is_hidden) {
		s->challenger = (uint16_t)(a->leg->slot + 1);
		s->ahead = a->ahead;
		s->raises = a->raises;
		s->min_s = a->min_s;
	}
	if (s->fork) {
		fork_final(a, v->status);
		return;
	}
	attempt_leave(a);
	if (redirect_has_next(s))
		dialogs_free(s->call);
	attempt_drop(a);
	if (goes_on && !is_followed)
		setup_next(s);
	else if (v->status >= 600 || !redirect_next(s, NULL)) /* §16.7 step 5: 6xx is everybody's word */
		setup_fail(s);
}

/* A method without session: its answer is passed, and all is over, unless a subscription begins. */
static void on_other_final(struct attempt *a, const struct view *v, const struct path *from)
{
	struct setup *s = a->setup;
	struct call *c = s->call;
	uint64_t tag_id;
	int err;

	if (v->status >= 300) {
		on_final(a, v, from);
		return;
	}
	if (begins_usage(s, v)) {
		usage_begin(a, v, from);
		return;
	}
	tag_id = token_tag_id(c->b->p.tokens, c->near.in_table.key, a->branch_id, view_to_tag(v));
	err = s->passing ? pass_granted(a, v, from, tag_id) : s->st ? setup_pass(s, v, from, tag_id) : 0;
	if (err) {
		s->why = err == -EACCES ? WHY_GUARD : WHY_FULL;
		setup_fail(s);
		return;
	}
	c->status = v->status;
	call_finish(c, WHY_REMOTE);
}

static void abandoned_response(struct attempt *a, const struct view *v)
{
	if (v->status < 200) {
		client_cancel(a->ct, SV(""));
		return;
	}
	if (v->status < 300)
		stray_2xx(a->b, a->leg, a->leg->has_forks ? NULL : a->ct, v);
	else
		attempt_drop(a);
}

void attempt_response(struct attempt *a, const struct view *v, const struct path *from)
{
	bool is_invite = v->method == M_INVITE;

	if (!a->setup) {
		abandoned_response(a, v);
		return;
	}
	a->has_response = true;
	if (a->is_timed)
		pooled_heard(a);
	if (v->status >= 200)
		pooled_answered(a, v);
	if (v->status < 200 && is_invite)
		on_provisional(a, v, from);
	else if (v->status < 200)
		wheel_disarm(a->b->p.wheel, &a->timer); /* timer F goes on */
	else if (!is_invite)
		on_other_final(a, v, from);
	else if (v->status < 300)
		on_2xx(a, v, from);
	else
		on_final(a, v, from);
}

/* Strays ----------------------------------------------------------------------------------------------------------- */

/* `ct`: of the INVITE, for the ACK of its 2xx. */
static struct buf *compose_stray(struct b2bua *b, struct outgoing *m, struct sv offer, const struct client_txn *ct)
{
	struct compose c = { .b = b };
	uint64_t id = m->leg->in_table.key, fork = token_tag_id(b->p.tokens, id, m->leg->branch, m->remote_tag);

	m->branch_id = token_branch_id(b->p.tokens, id, fork, m->cseq);
	compose_request(&c, m);
	trunk_ack_lines(&c, m->leg, ct);
	if (offer.len)
		refuse_offer(&c, offer);
	else
		out_lit(&c.o, "Content-Length: 0\r\n\r\n");
	return compose_done(&c);
}

/* A 2xx that nobody waits for any more: ACK and BYE (§13.2.2.4, §15). Where its transaction still serves the call's own
 * dialog (`ct` is NULL), that one's ACK stays the one that is repeated; each copy of the stray is answered anew, and a BYE
 * is sent while none is under way. */
void stray_2xx(struct b2bua *b, struct leg *far, struct client_txn *ct, const struct view *v)
{
	struct view invite;
	struct sv tag = view_to_tag(v);
	struct outgoing m = { .method = SV("ACK"), .leg = far, .uri = contact_uri(v), .remote_tag = tag, .cseq = v->cseq,
	                      .max_forwards = 70 };
	SCOPED(buf_putp) struct buf *ack = NULL;
	SCOPED(buf_putp) struct buf *bye = NULL;
	struct path usual = far->path;
	struct client_txn *bye_ct;
	char scratch[2048];
	struct arena arena;

	counter_inc(&b->counters, STRAY_2XX);
	arena_init(&arena, scratch, sizeof(scratch), NET_MESSAGE_MAX * 2);
	if (!m.uri.p)
		m.uri = arena_dup(&arena, invite_uri(ct, &invite)); /* the ACK takes the INVITE's place */
	if (!m.uri.len) {
		arena_reset(&arena);
		return;
	}
	m.routes = route_set(&arena, v, true);
	far->path = path_at_hand(b, far, m.uri, m.routes);
	if ((ack = compose_stray(b, &m, far->wants_answer ? view_body(v) : SV(""), ct)) && (!ct || client_ack(ct, &far->path, ack, tag)))
		sip_send_ack(b->p.stack, &far->path, ack);
	m.method = SV("BYE");
	m.cseq = far->local_cseq + 1; /* above what an early dialog has seen */
	if ((bye = compose_stray(b, &m, SV(""), NULL)) && !sip_client_has(b->p.stack, m.branch_id, M_BYE) &&
	    !client_start(b->p.stack, m.branch_id, M_BYE, &far->path, bye, NULL, NULL, &bye_ct) && b->conf->n_trunks)
		trunk_watch(b, far, m.cseq, bye_ct);
	far->path = usual;
	arena_reset(&arena);
}

static void stray_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct leg *far = owner;

	(void)ct;
	(void)from;
	if (v->status >= 200 && v->status < 300)
		stray_2xx(far->call->b, far, NULL, v);
}

static void stray_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct leg *)owner)->invite = NULL;
}

const struct client_ops stray_ops = { .on_response = stray_response, .on_end = stray_end };
