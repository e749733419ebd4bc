/* sbc/call/move.c - calls that leave a destination (move.h). */
#include "sbc/call/move.h"
#include "sbc/call/locate.h"
#include "sbc/call/stick.h"
#include "sbc/call/sips.h"
#include "sbc/call/trunk.h"
#include "apps-router/route.h"
#include <errno.h>

enum {
	TRIAL = 0x10000,               /* what tells the near leg of a trial from everything else derived of the call's own */
	ACK_BRANCH = 1,                /* and an ACK's branch from its INVITE's */
	GLARE_MS = 2100, GLARE_MORE_MS = 1900, /* RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s */
	UNSENT_MS = 2000,              /* no memory, or no transport: later */
};

#define CARRIER_URI "sip:any@example.invalid" /* of a carrier that goes no further */

static void move_fire(struct timer *t);
static void go_back(struct move *m);
static const struct client_ops near_ops, old_ops;

static struct dialog *dialog_of(const struct call *c)
{
	return owner_of(c->dialogs.next, struct dialog, in_call);
}

static struct leg *leg_of(const struct call *c, enum side side)
{
	return side == NEAR ? (struct leg *)&c->near : c->far;
}

static uint64_t now_of(const struct move *m)
{
	return m->call->b->p.wheel->now_ms;
}

static void arm(struct move *m, uint64_t in_ms)
{
	wheel_arm_in(m->call->b->p.wheel, &m->timer, in_ms);
}

static bool is_under_way(const struct call *c)
{
	return c->moving > MOVE_RESTS;
}

/* Life -------------------------------------------------------------------------------------------------------------- */

static struct move *move_of(const struct call *c)
{
	struct link *l = c->moving ? table_find(&c->b->moves, c->near.in_table.key) : NULL;

	while (l && owner_of(l, struct move, in_table)->call != c)
		l = table_next(&c->b->moves, l);
	return l ? owner_of(l, struct move, in_table) : NULL;
}

/* The call's, resting since the beginning of time when it is new. NULL: no memory. */
static struct move *move_get(struct call *c)
{
	struct move *m = move_of(c);

	if (m || !(m = slab_alloc(&c->b->move_slab)))
		return m;
	m->call = c;
	m->timer.fire = move_fire;
	table_add(&c->b->moves, &m->in_table, c->near.in_table.key);
	c->moving = MOVE_RESTS;
	return m;
}

static void forget(struct client_txn **txn)
{
	struct client_txn *ct = STEAL(*txn);

	if (!ct)
		return;
	client_own(ct, NULL, NULL);
	if (client_is_waiting(ct))
		client_cancel(ct, SV(""));
}

static void trial_free(struct move *m)
{
	struct call *t = STEAL(m->trial);

	if (!t)
		return;
	if (t->setup)
		t->setup->move = NULL;
	call_free(t);
}

/* None is under way any more. */
static void come_to_rest(struct move *m)
{
	struct call *c = m->call;

	if (is_under_way(c))
		c->b->n_moving--;
	c->moving = MOVE_RESTS;
	wheel_disarm(c->b->p.wheel, &m->timer);
	trial_free(m);
	forget(&m->near);
	forget(&m->old);
	buf_put(STEAL(m->offer));
	m->is_named = false;
	m->until_ms = 0;
}

static void move_free(struct move *m)
{
	struct call *c = m->call;

	come_to_rest(m);
	c->moving = MOVE_NONE;
	table_del(&c->b->moves, &m->in_table);
	slab_free(&c->b->move_slab, m);
}

static void stay(struct move *m, const char *why)
{
	struct call *c = m->call;
	unsigned n = m->n_stays < MOVE_RESTS_MAX ? m->n_stays++ : MOVE_RESTS_MAX;

	come_to_rest(m);
	m->until_ms = now_of(m) + ((uint64_t)MOVE_REST_MS << n);
	counter_inc(&c->b->counters, CALLS_STAYED);
	log_info(c->b->p.log, "call.stayed", "call=%016lx reason=%s", (unsigned long)c->near.in_table.key, why);
}

void move_named(struct call *c)
{
	struct move *m = c->far && c->far->has_slot ? move_get(c) : NULL;

	if (!m)
		return;
	if (is_under_way(c))
		m->is_named = true;
	else if (m->until_ms < now_of(m) + MOVE_NAMED_MS)
		m->until_ms = now_of(m) + MOVE_NAMED_MS;
}

enum why move_meets(struct call *c, uint8_t method)
{
	if (!is_under_way(c))
		return WHY_COUNT;
	if (method == M_BYE) {
		move_stop(c);
		return WHY_COUNT;
	}
	return method == M_INVITE || method == M_UPDATE ? WHY_GLARE : WHY_PENDING;
}

/* Messages ---------------------------------------------------------------------------------------------------------- */

/* Whom the caller wanted, by his To: the Request-URI he asked by is not kept. */
static bool called(const struct call *c, struct sv *uri)
{
	struct name_addr to;
	struct uri u;

	if (name_addr_parse(&to, leg_local(&c->near)) || uri_parse(&u, to.uri))
		return false;
	*uri = uri_to_request(&u, to.uri);
	return sips_is(*uri) == c->near.is_sips;
}

static bool is_of_body(unsigned header)
{
	return header == HDR_CONTENT_TYPE || header == HDR_CONTENT_DISPOSITION || header == HDR_CONTENT_ENCODING ||
	       header == HDR_CONTENT_LANGUAGE || header == HDR_MIME_VERSION;
}

/* The body of `v`, a response of the leg's remote, as an INVITE of his would bring it: what may cross of that, and how, is then decided
 * as for any other one. An offer says, too, which methods he takes. */
static struct buf *carrier(struct b2bua *b, const struct leg *l, struct sv uri, const struct view *v, bool is_offer)
{
	char text[ADDR_TEXT];
	struct out o;

	out_init(&o, b->p.stack->scratch, SIP_SCRATCH);
	out_lit(&o, "INVITE ");
	out_sv(&o, uri);
	out_lit(&o, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
	out_str(&o, addr_print(&l->path.remote, text));
	out_lit(&o, ";branch=z9hG4bKmove\r\nMax-Forwards: 70\r\nFrom: ");
	out_sv(&o, leg_remote(l));
	out_lit(&o, "\r\nTo: ");
	out_sv(&o, leg_local(l));
	out_lit(&o, "\r\nCall-ID: ");
	out_sv(&o, leg_call_id(l));
	out_lit(&o, "\r\nCSeq: 1 INVITE\r\n");
	if (is_offer) {
		out_lit(&o, "Contact: <");
		out_sv(&o, leg_target(l));
		out_lit(&o, ">\r\n");
	}
	for (unsigned i = 0; i < v->n; i++) {
		if (!is_of_body(v->h[i].id) && !(is_offer && v->h[i].id == HDR_ALLOW))
			continue;
		out_sv(&o, hdr_name(v, &v->h[i]));
		out_lit(&o, ": ");
		out_value(&o, v, hdr_value(v, &v->h[i]));
		out_lit(&o, "\r\n");
	}
	out_body(&o, view_body(v));
	return o.is_full ? NULL : buf_copy_in(b->p.stack->bufs, out_done(&o));
}

/* An INVITE, or the ACK of `invite`, within the dialog, with what `with`, a carrier of the other side's, has in it; NULL: no body. */
static struct buf *within(struct call *c, const struct outgoing *m, const struct client_txn *invite, const struct buf *with,
                          const struct path *from)
{
	struct compose w = { .b = c->b };
	struct view_fault fault;
	struct view v;

	compose_request(&w, m);
	if (sv_eq(m->method, SV("INVITE"))) {
		compose_own_contact(&w, m->leg);
		session_ask_lines(&w, c, m->leg->side);
	} else {
		trunk_ack_lines(&w, m->leg, invite);
	}
	if (!with)
		out_lit(&w.o, "Content-Length: 0\r\n\r\n");
	else if (view_scan(&v, with->data, with->len, false, &fault))
		return NULL;
	else
		compose_rest(&w, &v, from, m->leg);
	return compose_done(&w);
}

/* The next re-INVITE towards this side. */
static int ask(struct move *m, enum side side, uint32_t *cseq, const struct client_ops *ops, struct client_txn **txn)
{
	struct call *c = m->call;
	struct leg *l = leg_of(c, side);
	SCOPED(buf_putp) struct buf *request = NULL;
	char tag[TOKEN_LEN];
	struct outgoing o;

	*cseq = ++l->local_cseq;
	o = own_request(dialog_of(c), side, SV("INVITE"), *cseq, tag);
	l->path = path_at_hand(c->b, l, o.uri, o.routes);
	if (!(request = within(c, &o, NULL, m->offer, &c->near.path)))
		return -ENOMEM;
	return client_start(c->b->p.stack, o.branch_id, M_INVITE, &l->path, request, ops, m, txn);
}

/* A trunk wants to see its credentials first. Not if it has been told that the move is off. */
static bool authorized(struct move *m, enum side side, const struct view *v, uint32_t *cseq, const struct client_ops *ops,
                       struct client_txn **txn)
{
	struct b2bua *b = m->call->b;
	struct leg *l = leg_of(m->call, side);
	const struct conf_trunk *t = trunk_is_challenge(b, v) && !client_is_cancelled(*txn) ? trunk_asked(b, l, client_path(*txn)) : NULL;
	struct trunk_again again = { .ct = *txn, .cseq = l->local_cseq + 1, .shard = l->shard, .ops = ops, .owner = m };

	if (!t)
		return false;
	again.branch_id = token_branch_id(b->p.tokens, l->in_table.key, l->branch, again.cseq);
	if (trunk_answer(b, t, &again, v, txn)) {
		counter_inc(&b->counters, CHALLENGES_REFUSED);
		return false;
	}
	*cseq = l->local_cseq = again.cseq;
	return true;
}

/* The ACK of `invite`, which had this CSeq; NULL: its transaction is over. */
static struct buf *ack_of(struct dialog *d, enum side side, uint32_t cseq, const struct client_txn *invite, const struct buf *answer,
                          const struct path *from)
{
	struct call *c = d->call;
	struct leg *l = side == NEAR ? &c->near : d->far;
	char tag[TOKEN_LEN];
	struct outgoing o = own_request(d, side, SV("ACK"), cseq, tag);

	o.branch_id = token_branch_id(c->b->p.tokens, l->in_table.key, ACK_BRANCH, cseq);
	l->path = path_at_hand(c->b, l, o.uri, o.routes);
	return within(c, &o, invite, answer, answer ? from : NULL);
}

static void send_ack(struct b2bua *b, struct client_txn *ct, const struct leg *l, struct buf *ack, struct sv tag)
{
	int err = ct ? client_ack(ct, &l->path, ack, tag) : -EALREADY;

	if (err && err != -EACCES)
		sip_send_ack(b->p.stack, &l->path, ack);
}

static void ack_near(struct move *m, struct buf *ack)
{
	struct call *c = m->call;

	send_ack(c->b, m->near, &c->near, ack, tag_of(leg_remote(&c->near)));
	session_sent(c, NEAR, ack);
}

/* Whatever the near side offered (nothing, perhaps), it gets nothing: the call ends. */
static void refuse_near(struct move *m)
{
	struct call *c = m->call;
	struct compose w = { .b = c->b };
	SCOPED(buf_putp) struct buf *ack = NULL;
	struct view_fault fault;
	char tag[TOKEN_LEN];
	struct outgoing o = own_request(dialog_of(c), NEAR, SV("ACK"), m->near_cseq, tag);
	struct view v;

	o.branch_id = token_branch_id(c->b->p.tokens, c->near.in_table.key, ACK_BRANCH, m->near_cseq);
	c->near.path = path_at_hand(c->b, &c->near, o.uri, o.routes);
	compose_request(&w, &o);
	trunk_ack_lines(&w, &c->near, m->near);
	if (m->offer && !view_scan(&v, m->offer->data, m->offer->len, false, &fault))
		refuse_offer(&w, view_body(&v));
	else
		out_lit(&w.o, "Content-Length: 0\r\n\r\n");
	if ((ack = compose_done(&w)))
		send_ack(c->b, m->near, &c->near, ack, tag_of(leg_remote(&c->near)));
}

/* Its 2xx came, and nobody has acknowledged it. */
static bool near_waits(const struct move *m)
{
	return is_under_way(m->call) && (m->offer || (m->near && !client_is_waiting(m->near)));
}

void move_stop(struct call *c)
{
	struct move *m = move_of(c);

	if (!m)
		return;
	if (near_waits(m))
		refuse_near(m);
	move_free(m);
}

void move_forget(struct call *c)
{
	struct move *m = move_of(c);

	if (m)
		move_free(m);
}

/* Neither the new destination nor the old one has an answer for the near side. */
static void lose(struct move *m, unsigned sides, enum why why)
{
	counter_inc(&m->call->b->counters, MOVES_LOST);
	call_hangup(m->call, sides, why);
}

/* Another destination ------------------------------------------------------------------------------------------------ */

/* The number of the pool of the call's destination. -1: it has left the configuration. */
static int pool_of(const struct call *c)
{
	uint32_t destination;

	return c->far->has_slot && pools_destination(c->b->p.pools, c->b->conf, c->far->slot, &destination) ?
	               c->b->conf->destinations[destination].pool : -1;
}

static bool has_other(const struct call *c)
{
	struct b2bua *b = c->b;
	int pool = pool_of(c);
	struct pool_query q = { .key = c->near.in_table.key, .now_ms = b->p.wheel->now_ms, .worker = b->p.worker,
		                .tried = &c->far->slot, .n_tried = 1 };

	return pool >= 0 && pool_has(b->p.pools, b->conf, (uint16_t)pool, &q);
}

static bool leads_to(const struct conf *c, const struct conf_route *rule, int pool)
{
	int at = rule && rule->action == ACT_POOL ? rule->pool : -1;

	for (unsigned i = 0; i <= CONF_SPILLS_MAX && at >= 0 && at != pool; i++)
		at = c->pools[at].spill - 1;
	return at == pool && at >= 0;
}

/* The rule that such an INVITE would come to the pool by, for what it rewrites: what was known of its parties is not kept; that the caller
 * was somebody, is to be believed. */
static const struct conf_route *rule_of(const struct call *c, const struct buf *offer, int pool)
{
	struct b2bua *b = c->b;
	struct route_result result = { .rule = NULL };
	struct view_fault fault;
	struct route_query q;
	struct view v;

	if (view_scan(&v, offer->data, offer->len, false, &fault))
		return NULL;
	q = query_of(b, &v, &c->near.path, trunk_of_call(c));
	standing_tell(CALLER_IS_REGISTERED | CALLER_IS_AUTHENTICATED, &q);
	if (uri_parse(&q.uri, view_uri(&v)) == 0)
		route_find(b->conf, &q, &result);
	return leads_to(b->conf, result.rule, pool) ? result.rule : NULL;
}

static int trial_setup(struct move *m, struct call *t, int index)
{
	struct b2bua *b = t->b;
	const struct conf_pool *pool = &b->conf->pools[index];
	struct setup *s = slab_alloc(&b->setups);

	if (!s)
		return -ENOMEM;
	t->setup = s;
	s->call = t;
	s->move = m;
	s->request = buf_get(m->offer);
	s->has_offer = true;
	s->why = WHY_NO_DESTINATION;
	s->session = (struct session_words){ .min_s = SESSION_MIN_S, .is_supported = m->call->session != NULL };
	s->after_ms = pool->failover.after_ms;
	s->answer_ms = MOVE_DIAL_MS;
	s->rule = rule_of(m->call, m->offer, index);
	s->conf_gen = b->conf->gen;
	memcpy(s->pool, pool->name.p, pool->name.len < sizeof(s->pool) ? pool->name.len : sizeof(s->pool) - 1);
	return 0;
}

/* A call from the near side with its offer, to where a new one would go. NULL: no memory, or no pool. */
static struct call *trial_new(struct move *m)
{
	struct call *c = m->call, *t;
	struct b2bua *b = c->b;
	struct leg *near = &c->near;
	int pool = pool_of(c);

	if (pool < 0 || !(t = call_alloc(b, token_attempt_id(b->p.tokens, near->in_table.key, TRIAL + m->near_cseq), c->shard)))
		return NULL;
	t->cseq = 1; /* as its carrier says */
	t->is_kept = true; /* no session of anybody's: not counted, listed or written down */
	b->n_kept++;
	t->near.path = near->path;
	t->near.is_sips = near->is_sips;
	if (c->policy)
		t->policy = policies_hold_named(&b->policies, policies_name(&b->policies, c->policy));
	if (leg_set_text(b, &t->near, &(struct leg_text){ leg_call_id(near), leg_local(near), leg_remote(near), leg_target(near),
	                                                  leg_routes(near) }) ||
	    trial_setup(m, t, pool)) {
		call_free(t);
		return NULL;
	}
	return t;
}

static void dial_other(struct move *m)
{
	struct call *c = m->call;

	if (c->moving == MOVE_WITHDRAWN || m->is_named || !(m->trial = trial_new(m))) {
		go_back(m);
		return;
	}
	c->moving = MOVE_DIALS;
	arm(m, MOVE_DIAL_MS);
	dial(m->trial->setup, NULL); /* may have ended it already */
}

void move_unanswered(struct move *m)
{
	trial_free(m);
	m->call->moving = MOVE_RETURNS;
	arm(m, 1); /* whoever ended the trial is still at it */
}

/* The call goes to the new leg; what it was at goes to the trial, to end there. */
static void change_places(struct move *m, struct attempt *a, struct dialog *fresh)
{
	struct call *c = m->call, *t = m->trial;
	struct dialog *d = dialog_of(c), was = *d;

	d->text = fresh->text;
	d->tag_len = fresh->tag_len;
	d->target_len = fresh->target_len;
	d->routes_len = fresh->routes_len;
	d->hop = fresh->hop;
	d->cseq_in[FAR] = 0;
	fresh->text = was.text;
	fresh->tag_len = was.tag_len;
	fresh->target_len = was.target_len;
	fresh->routes_len = was.routes_len;
	fresh->hop = was.hop;
	fresh->far = t->far = c->far;
	t->far->call = t;
	t->started_ms = c->started_ms; /* so long the old destination had it */
	d->far = c->far = STEAL(a->leg);
	c->far->call = c;
	c->far->invite = STEAL(a->ct);
	client_own(c->far->invite, &stray_ops, c->far);
	attempt_leave(a);
	attempt_drop(a);
	stick_change(c, t);
	c->n_moves += c->n_moves < UINT8_MAX;
}

static void log_moved(const struct move *m)
{
	const struct call *c = m->call;
	char from[ADDR_TEXT], to[ADDR_TEXT];

	counter_inc(&c->b->counters, CALLS_MOVED);
	log_info(c->b->p.log, "call.moved", "call=%016lx from=%s to=%s took_ms=%lu", (unsigned long)c->near.in_table.key,
	         addr_print(&m->trial->far->path.remote, from), addr_print(&c->far->path.remote, to),
	         (unsigned long)(now_of(m) - m->began_ms));
}

static void move_done(struct move *m, struct dialog *old)
{
	struct call *c = m->call;

	log_moved(m);
	send_bye(old, FAR, WHY_MOVED);
	tombstone_new(m->trial); /* BYEs may cross */
	forget(&m->near);
	buf_put(STEAL(m->offer)); /* it has its answer */
	move_stop(c);
}

bool move_answered(struct attempt *a, struct dialog *d, const struct view *v, const struct path *from)
{
	struct move *m = a->setup->move;
	struct call *c = m->call;
	SCOPED(buf_putp) struct buf *answer = NULL;
	SCOPED(buf_putp) struct buf *to_near = NULL;
	SCOPED(buf_putp) struct buf *to_far = NULL;

	if (!d || !dialog_target(d).len || !v->body_len || m->is_named)
		return false;
	if (!(answer = carrier(c->b, a->leg, SV(CARRIER_URI), v, false)) ||
	    !(to_near = ack_of(dialog_of(c), NEAR, m->near_cseq, m->near, answer, from)) ||
	    !(to_far = ack_of(d, FAR, v->cseq, a->ct, NULL, NULL)))
		return true; /* memory is out: the 2xx comes again */
	change_places(m, a, d);
	session_settled(c, FAR, v, true);
	session_sent(c, FAR, client_request(c->far->invite));
	ack_near(m, to_near);
	send_ack(c->b, c->far->invite, c->far, to_far, view_to_tag(v));
	move_done(m, d);
	return true;
}

/* Back to the old one ------------------------------------------------------------------------------------------------ */

static void go_back(struct move *m)
{
	uint64_t now = now_of(m), wait;

	m->call->moving = MOVE_RETURNS;
	if (!m->until_ms)
		m->until_ms = now + MOVE_RETURN_MS;
	wait = m->until_ms - now;
	if (ask(m, FAR, &m->old_cseq, &old_ops, &m->old))
		wait = UNSENT_MS < wait ? UNSENT_MS : wait;
	arm(m, wait);
}

static void old_answered(struct move *m, const struct view *v, const struct path *from)
{
	struct call *c = m->call;
	SCOPED(buf_putp) struct buf *answer = NULL;
	SCOPED(buf_putp) struct buf *to_near = NULL;
	SCOPED(buf_putp) struct buf *to_old = NULL;

	if ((v->body_len && (!(answer = carrier(c->b, c->far, SV(CARRIER_URI), v, false)) ||
	                     !(to_near = ack_of(dialog_of(c), NEAR, m->near_cseq, m->near, answer, from)))) ||
	    !(to_old = ack_of(dialog_of(c), FAR, m->old_cseq, m->old, NULL, NULL)))
		return; /* memory is out: the 2xx comes again */
	target_moved(dialog_of(c), FAR, v);
	session_settled(c, FAR, v, false);
	session_sent(c, FAR, client_request(m->old));
	send_ack(c->b, m->old, c->far, to_old, dialog_tag(dialog_of(c)));
	if (!to_near) {
		lose(m, 1 << NEAR | 1 << FAR, WHY_MOVE_LOST);
		return;
	}
	ack_near(m, to_near);
	stay(m, "unanswered");
}

/* 491, and 500 of one who has a request of his own under way (§14.2): once more, while there is time. */
static void old_busy(struct move *m)
{
	struct call *c = m->call;
	uint64_t random = token_branch_id(c->b->p.tokens, c->far->in_table.key, 0, m->old_cseq), now = now_of(m);
	uint64_t wait = GLARE_MS + random % GLARE_MORE_MS;

	arm(m, m->until_ms < now + wait ? m->until_ms - now : wait);
}

static void old_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct move *m = owner;

	if (v->status < 200)
		return;
	if (v->status < 300) {
		old_answered(m, v, from);
		return;
	}
	if (authorized(m, FAR, v, &m->old_cseq, &old_ops, &m->old))
		return;
	m->old = NULL;
	client_own(ct, NULL, NULL);
	if (v->status == 491 || v->status == 500)
		old_busy(m);
	else if (v->status == 408 || v->status == 481)
		lose(m, 1 << NEAR, WHY_DIALOG_LOST);
	else
		lose(m, 1 << NEAR | 1 << FAR, WHY_MOVE_LOST);
}

static void old_failed(void *owner, struct client_txn *ct, int err)
{
	struct move *m = owner;

	(void)err;
	m->old = NULL;
	client_own(ct, NULL, NULL);
	lose(m, 1 << NEAR, WHY_DIALOG_LOST);
}

static void old_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct move *)owner)->old = NULL;
}

static const struct client_ops old_ops = { .on_response = old_response, .on_failed = old_failed, .on_end = old_end };

/* The near side ------------------------------------------------------------------------------------------------------ */

static void near_answered(struct move *m, const struct view *v)
{
	struct call *c = m->call;
	SCOPED(buf_putp) struct buf *ack = NULL;
	struct sv uri;

	if (!v->body_len) { /* no offer: nothing has changed */
		if (!(ack = ack_of(dialog_of(c), NEAR, m->near_cseq, m->near, NULL, NULL)))
			return; /* memory is out: the 2xx comes again */
		ack_near(m, ack);
		stay(m, "no-offer");
		return;
	}
	if (!called(c, &uri) || !(m->offer = carrier(c->b, &c->near, uri, v, true)))
		return;
	target_moved(dialog_of(c), NEAR, v);
	session_settled(c, NEAR, v, false);
	dial_other(m);
}

/* RFC 5057 §5.1: 408 and 481 are the end of the dialog; whatever else is refused leaves all as it was. */
static void near_refused(struct move *m, struct client_txn *ct, unsigned status)
{
	struct call *c = m->call;

	m->near = NULL;
	client_own(ct, NULL, NULL);
	stay(m, "refused");
	if (status == 408 || status == 481)
		call_hangup(c, 1 << FAR, WHY_DIALOG_LOST);
}

static void near_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct move *m = owner;

	(void)from;
	if (v->status < 200 || m->offer) /* or its 2xx again */
		return;
	if (v->status < 300)
		near_answered(m, v);
	else if (!authorized(m, NEAR, v, &m->near_cseq, &near_ops, &m->near))
		near_refused(m, ct, v->status);
}

static void near_failed(void *owner, struct client_txn *ct, int err)
{
	near_refused(owner, ct, err == -ETIMEDOUT ? 408 : 503);
}

static void near_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct move *)owner)->near = NULL;
}

static const struct client_ops near_ops = { .on_response = near_response, .on_failed = near_failed, .on_end = near_end };

/* A little too late: it is withdrawn, and if an offer comes all the same, the old destination gets it. */
static void withdraw(struct move *m)
{
	m->call->moving = MOVE_WITHDRAWN;
	if (m->near)
		client_cancel(m->near, SV(""));
	arm(m, SIP_TIMEOUT);
}

static void move_fire(struct timer *t)
{
	struct move *m = owner_of(t, struct move, timer);
	struct call *c = m->call;

	switch (c->moving) {
	case MOVE_ASKS:
		withdraw(m);
		return;
	case MOVE_WITHDRAWN:
		if (near_waits(m))
			lose(m, 1 << NEAR | 1 << FAR, WHY_MOVE_LOST);
		else
			stay(m, "no-answer");
		return;
	case MOVE_DIALS:
		trial_free(m);
		go_back(m);
		return;
	default:
		if (m->old || (m->until_ms && now_of(m) >= m->until_ms))
			lose(m, 1 << NEAR | 1 << FAR, WHY_MOVE_LOST);
		else
			go_back(m);
	}
}

/* Beginning ---------------------------------------------------------------------------------------------------------- */

/* Nothing may be under way in it, and nobody be about to name it: what belongs to the old destination would be cut off. */
static bool is_movable(const struct call *c)
{
	const struct move *m = move_of(c);
	struct sv uri;

	return c->far && c->answered_ms && !c->setup && !c->is_kept && !c->is_ending && c->method == M_INVITE && c->n_dialogs == 1 &&
	       list_empty(&c->relays) && !c->usages && !is_under_way(c) && !(c->session && session_is_asking(c)) &&
	       (!m || m->until_ms <= c->b->p.wheel->now_ms) && called(c, &uri);
}

static bool begin(struct call *c)
{
	struct move *m = move_get(c);

	if (!m)
		return false;
	m->until_ms = 0;
	m->began_ms = now_of(m);
	c->moving = MOVE_ASKS;
	c->b->n_moving++;
	arm(m, MOVE_ASK_MS);
	if (ask(m, NEAR, &m->near_cseq, &near_ops, &m->near) == 0)
		return true;
	stay(m, "unsent");
	return false;
}

unsigned b2bua_move_at(struct b2bua *b, uint16_t slot, unsigned max)
{
	bool is_known = false; /* that there is somewhere to go */
	unsigned done = 0;

	list_each_safe(n, &b->all) {
		struct call *c = owner_of(n, struct call, in_all);

		if (done == max || b->n_moving >= MOVES_AT_ONCE)
			break;
		if (!c->far || !c->far->has_slot || c->far->slot != slot)
			continue;
		if (!is_known && !has_other(c))
			break;
		is_known = true; /* as long as this takes */
		done += is_movable(c) && begin(c);
	}
	return done;
}
