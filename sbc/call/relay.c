/* sbc/call/relay.c - requests within a dialog: from one side to the other, each with its own transaction, CSeq and
 * identifiers on either side. An INVITE's relay lives until its ACK. */
#include "sbc/call/move.h"
#include "sbc/call/transfer.h"
#include "sbc/call/trunk.h"
#include <errno.h>

enum { REINVITE_MAX_MS = 180000 };

static void relay_send(struct relay *r, const struct view *v);

/* Finding the dialog: by the token in the Request-URI, else by the one in our tag; Call-ID and the other tag have to agree, and the
 * message has to come in by the leg's own zone (DECISIONS 1, 5). */
struct place {
	struct call *call;
	struct dialog *dialog;
	enum side side;
};

/* By a flow of its zone; what was said in secret is not gone on with in the open (sips.h). */
static bool comes_by(const struct b2bua *b, const struct leg *l, const struct path *from)
{
	return path_zone(b, from) == path_zone(b, &l->path) && (!l->is_sips || transport_is_secure(from->transport));
}

static bool near_agrees(const struct leg *l, const struct view *v)
{
	struct sv from = view_value(v, HDR_FROM);

	return sv_eq(leg_call_id(l), view_value(v, HDR_CALL_ID)) &&
	       (sv_eq(leg_remote(l), from) || sv_eq(tag_of(leg_remote(l)), view_from_tag(v)));
}

/* A leg given up keeps its id for a while, and the caller who tries again gets the same one. */
struct leg *leg_find(const struct b2bua *b, uint64_t id)
{
	struct link *l = table_find(&b->legs, id);

	while (l && !owner_of(l, struct leg, in_table)->call)
		l = table_next(&b->legs, l);
	return l ? owner_of(l, struct leg, in_table) : NULL;
}

static bool place_near(struct b2bua *b, const struct request *r, struct place *p)
{
	struct link *l = r->has_tag ? table_find(&b->dialogs, r->tag.id) : NULL;
	struct dialog *d = l ? owner_of(l, struct dialog, in_table) : NULL;

	if (!d || (r->has_leg && d->call->near.in_table.key != r->leg.id) || !near_agrees(&d->call->near, r->v) ||
	    !comes_by(b, &d->call->near, r->from))
		return false;
	*p = (struct place){ d->call, d, NEAR };
	return true;
}

/* The dialog of a request from the far side; for a NOTIFY that `begins` one, that one: of a fork's legs, which share their id, the one it
 * comes from. */
static struct dialog *far_dialog(struct b2bua *b, const struct request *r, struct leg *l, bool begins)
{
	if (begins && l->branch && !addr_eq(&l->path.remote, &r->from->remote))
		return NULL;
	if (!l->call || l->side != FAR || !sv_eq(leg_call_id(l), view_value(r->v, HDR_CALL_ID)) ||
	    !comes_by(b, l, r->from))
		return NULL;
	return begins ? usage_dialog(l, r->v) : dialog_by_far_tag(l->call, l, view_from_tag(r->v));
}

/* A leg given up keeps its id for a while, and the caller who tries again gets the same one; so does who subscribes again without a
 * To-tag, beside the subscription that is still there. */
static bool find_far(struct b2bua *b, const struct request *r, bool begins, struct place *p)
{
	for (struct link *l = table_find(&b->legs, r->tag.id); l; l = table_next(&b->legs, l)) {
		struct dialog *d = far_dialog(b, r, owner_of(l, struct leg, in_table), begins);

		if (!d)
			continue;
		*p = (struct place){ d->call, d, FAR };
		return true;
	}
	return false;
}

static bool place_far(struct b2bua *b, const struct request *r, struct place *p)
{
	if (!r->has_tag || (r->has_leg && r->leg.id != r->tag.id))
		return false;
	return find_far(b, r, false, p) || (r->v->method == M_NOTIFY && find_far(b, r, true, p));
}

static void answer_stray(struct b2bua *b, const struct request *r)
{
	counter_inc(&b->counters, STRAY_REQUESTS);
	if (r->v->method == M_ACK) {
		if (r->has_tag)
			echo_ack(b, r->tag.id, r->v->cseq);
		return;
	}
	if (r->v->method == M_BYE && tombstone_has(b, r)) /* BYEs that crossed: both are right (RFC 5407 §3.2) */
		sip_answer_stateless(b->p.stack, r->v, r->from, 200, SV(""), SV(""), SV(""));
	else
		sip_answer_stateless(b->p.stack, r->v, r->from, 481, SV(""), SV(""), SV(""));
}

static struct leg *leg_of(const struct relay *r, enum side side)
{
	return side == NEAR ? &r->call->near : r->dialog->far;
}

static struct relay *relay_pending(struct call *c, unsigned from_sides)
{
	list_each(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->method == M_INVITE && !r->is_answered && (from_sides & 1u << r->from))
			return r;
	}
	return NULL;
}

/* RFC 3261 §12.2.2, §14.2: what a request within a dialog may not be. */
static enum why place_fault(const struct place *p, const struct request *r)
{
	const struct view *v = r->v;
	struct sv hops = view_value(v, HDR_MAX_FORWARDS), method;
	uint32_t rseq, cseq;
	uint64_t n;

	if (hops.p && sv_u64(hops, 255, &n) == 0 && n == 0)
		return WHY_HOPS;
	if (v->cseq <= p->dialog->cseq_in[p->side] && p->dialog->cseq_in[p->side] && !r->has_waited)
		return WHY_OLD_CSEQ;
	if (names_fault(r) != WHY_COUNT)
		return names_fault(r);
	if (wants_extension(v) && v->method != M_BYE) /* who says BYE is gone, whatever else it wanted */
		return WHY_EXTENSION;
	if (v->method == M_PRACK && rack_parse(view_value(v, HDR_RACK), &rseq, &cseq, &method))
		return WHY_BAD_RACK;
	if ((v->method == M_INVITE || v->method == M_UPDATE) && session_is_short(p->call->b, r->from, v))
		return WHY_SESSION_SHORT;
	if (v->method != M_INVITE)
		return v->body_len ? watch_fault(p->call->b, v, r->from) : WHY_COUNT;
	if ((p->call->setup && p->side == NEAR) || relay_pending(p->call, 1u << p->side))
		return WHY_PENDING;
	return p->call->setup || relay_pending(p->call, 3) || (p->call->session && session_is_inviting(p->call)) ? WHY_GLARE : WHY_COUNT;
}

/* §14.2: a random time of 0 to 10 s. The key of the request is one that nobody else can foretell. */
static struct sv retry_line(uint64_t key, char area[UNSUPPORTED_MAX])
{
	struct out o;

	out_init(&o, area, UNSUPPORTED_MAX);
	out_lit(&o, "Retry-After: ");
	out_u64(&o, key % 11);
	out_lit(&o, "\r\n");
	return out_done(&o);
}

static void refuse_within(struct b2bua *b, const struct request *r, enum why why)
{
	const struct reason *reason = &call_reasons[why];
	char area[UNSUPPORTED_MAX];
	struct sv headers = why == WHY_PENDING ? retry_line(r->key, area) : refusal_line(b, why, r, area);
	struct server_txn *st;

	counter_inc(&b->counters, REQUESTS_REFUSED);
	log_debug(b->p.log, "request.refused", "status=%u reason=%s", reason->status, reason->id);
	if (server_new(b->p.stack, r->v, r->from, r->key, &st) == 0)
		server_answer(st, reason->status, sv_from(reason->phrase), SV(""), headers);
}

static bool subscribes(uint8_t method)
{
	return method == M_SUBSCRIBE || method == M_NOTIFY || method == M_REFER;
}

/* ACK: the INVITE it belongs to has the same CSeq number (§13.2.2.4). */
static void on_ack(struct b2bua *b, const struct place *p, const struct request *r)
{
	list_each(n, &p->call->relays) {
		struct relay *relay = owner_of(n, struct relay, in_call);

		if (relay->is_answered && relay->from == p->side && relay->in_cseq == r->v->cseq) {
			relay_ack(relay, r);
			return;
		}
	}
	counter_inc(&b->counters, STRAY_ACKS);
}

bool dialog_heard(struct dialog *d, enum side side, const struct request *r)
{
	struct leg *l = side == NEAR ? &d->call->near : d->far;

	if (r->v->cseq < d->cseq_in[side]) /* it waited, and was overtaken: old news */
		return !l->follows_flow;
	d->cseq_in[side] = r->v->cseq;
	return leg_heard(l, r->from);
}

/* Who says BYE is gone whatever we answer (§15.1.1): a BYE that finds no room ends the call by one of our own. When there is no room for
 * that either, silence: it comes again, and if not, the call has little time left. */
static void bye_without_relay(struct b2bua *b, const struct place *p, const struct request *r)
{
	if (send_bye(p->dialog, !p->side, WHY_NORMAL)) {
		wheel_arm_in(b->p.wheel, &p->call->timer, SIP_TIMEOUT);
		return;
	}
	sip_answer_stateless(b->p.stack, r->v, r->from, 200, SV(""), SV(""), SV(""));
	call_finish(p->call, WHY_NORMAL);
}

static void relay_start(struct b2bua *b, const struct place *p, const struct request *r)
{
	struct relay *relay = relay_new(p->call, p->dialog, p->side, r->v);
	bool is_client;

	if (!relay || server_new(b->p.stack, r->v, r->from, r->key, &relay->st)) {
		relay_free(relay);
		if (r->v->method == M_BYE)
			bye_without_relay(b, p, r);
		else
			refuse_within(b, r, WHY_FULL);
		return;
	}
	is_client = dialog_heard(p->dialog, p->side, r);
	relay->names = names_get(r->names);
	server_own(relay->st, &relay_server_ops, relay);
	if (r->v->method == M_INVITE)
		server_answer(relay->st, 100, SV(""), SV(""), SV(""));
	if ((r->v->method == M_INVITE || r->v->method == M_UPDATE) && session_speaks(r->v))
		session_read(&relay->session, r->v);
	if (is_client)
		target_asked(relay, r->v);
	if (subscribes(r->v->method) && !usage_join(relay, r->v))
		relay_refuse(relay, WHY_FULL);
	else
		relay_send(relay, r->v);
}

/* Who says BYE is gone, whatever was wrong with it; of several early dialogs, from this one. */
static void bye_refused(const struct place *p)
{
	if (!p->call->setup || p->call->n_dialogs == 1) {
		call_hangup(p->call, 1u << !p->side, WHY_NORMAL);
		return;
	}
	send_bye(p->dialog, !p->side, WHY_NORMAL);
	dialog_free(p->dialog);
}

void dialog_request(struct b2bua *b, const struct request *r)
{
	struct place p;
	enum why why;

	if (!place_near(b, r, &p) && !place_far(b, r, &p)) {
		answer_stray(b, r);
		return;
	}
	if (!usage_admits(p.call, r->v->method)) {
		answer_stray(b, r);
		return;
	}
	if (r->v->method == M_ACK) {
		on_ack(b, &p, r);
		return;
	}
	if (r->v->method == M_CANCEL) {
		answer_stray(b, r);
		return;
	}
	if (p.call->is_ending && r->v->method == M_BYE) {
		sip_answer_stateless(b->p.stack, r->v, r->from, 200, SV(""), SV(""), SV(""));
		return;
	}
	if (p.call->moving && (why = move_meets(p.call, r->v->method)) != WHY_COUNT) {
		refuse_within(b, r, why);
		return;
	}
	if ((why = place_fault(&p, r)) == WHY_COUNT) {
		if (!session_takes(p.dialog, p.side, r))
			relay_start(b, &p, r);
		return;
	}
	refuse_within(b, r, why);
	if (r->v->method == M_BYE)
		bye_refused(&p);
}

/* Out on the other side ------------------------------------------------------------------------------------------- */

static void relay_fire(struct timer *t);

struct relay *relay_new(struct call *c, struct dialog *d, enum side from, const struct view *v)
{
	struct relay *r;

	if (c->n_relays >= RELAYS_PER_CALL_MAX || !(r = slab_alloc(&c->b->relays)))
		return NULL;
	r->call = c;
	r->dialog = d;
	r->from = (uint8_t)from;
	r->method = v->method;
	r->in_cseq = v->cseq;
	r->had_offer = v->body_len != 0;
	r->timer.fire = relay_fire;
	list_push(&c->relays, &r->in_call);
	c->n_relays++;
	return r;
}

static void relay_unpark(struct relay *r)
{
	if (r->is_resolving)
		resolve_cancel(r->call->b->p.resolver, r->resolve_id);
	park_cancel(&r->parked);
	r->is_resolving = false;
	buf_put(STEAL(r->request));
}

/* What may still come for the call's own INVITE (forks) is for the leg to deal with. */
static void relay_leave_invite(struct relay *r)
{
	struct leg *far = r->dialog->far;

	if (!r->ct || r->method != M_INVITE || r->from != NEAR || client_is_waiting(r->ct) || far->invite)
		return;
	far->invite = STEAL(r->ct);
	client_own(far->invite, &stray_ops, far);
}

/* The call or the dialog is gone. A BYE has what it wanted, whatever ended the call (RFC 5407 §3.2); so has a PRACK that asks nothing,
 * which may cross the final response (RFC 3262 §3). */
static unsigned relay_last_word(const struct relay *r)
{
	if (r->method == M_INVITE)
		return 487;
	return r->method == M_BYE || (r->method == M_PRACK && !r->had_offer) ? 200 : 481;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	relay_unpark(r);
	if (r->usage)
		usage_leave(r);
	relay_leave_invite(r);
	if (r->answer && r->st && r->call->b->p.wheel->now_ms < r->end_ms)
		echo_new(r);
	if (r->st) {
		server_own(r->st, NULL, NULL);
		if (!server_is_final(r->st))
			server_answer(r->st, relay_last_word(r), SV(""), SV(""), SV(""));
	}
	if (r->ct) {
		client_own(r->ct, NULL, NULL);
		if (r->method == M_INVITE && client_is_waiting(r->ct))
			client_cancel(r->ct, SV(""));
	}
	wheel_disarm(r->call->b->p.wheel, &r->timer);
	if (r->hops)
		hops_free(r);
	buf_put(r->answer);
	target_forget(r);
	names_put(r->names);
	list_del(&r->in_call);
	r->call->n_relays--;
	slab_free(&r->call->b->relays, r);
}

/* The caller may hang up one early dialog of several (§15): the others ring on. */
static bool ends_call(const struct relay *r)
{
	return r->method == M_BYE && !(r->call->setup && r->call->n_dialogs > 1);
}

static void relay_hung_up(struct relay *r)
{
	if (ends_call(r)) {
		call_finish(r->call, WHY_NORMAL);
		return;
	}
	r->call->is_ending = false;
	dialog_free(r->dialog); /* and with it the relay */
}

void relay_refuse(struct relay *r, enum why why)
{
	const struct reason *reason = &call_reasons[why];
	struct call *c = r->call;
	bool was_bye = r->method == M_BYE;

	counter_inc(&c->b->counters, REQUESTS_REFUSED);
	if (r->st) /* a BYE does its work whether the other side hears of it or not */
		server_answer(r->st, was_bye ? 200 : reason->status, sv_from(was_bye ? "" : reason->phrase), SV(""), SV(""));
	if (was_bye) {
		relay_hung_up(r);
		return;
	}
	if (r->usage)
		usage_answered(r, reason->status, NULL);
	relay_free(r);
}

/* The same before it was sent at all: a BYE is replaced by one of ours, which needs neither much room nor a name. */
static void relay_unsent(struct relay *r, enum why why)
{
	if (r->method == M_BYE)
		send_bye(r->dialog, !r->from, WHY_NORMAL);
	relay_refuse(r, why);
}

/* The number of an INVITE of r's side on the other one: of those still here, or the one that began the call. */
static uint32_t invite_there(const struct relay *r, uint32_t cseq)
{
	const struct call *c = r->call;
	const struct attempt *a;

	list_each(n, &c->relays) {
		const struct relay *invite = owner_of(n, struct relay, in_call);

		if (invite->method == M_INVITE && invite->from == r->from && invite->in_cseq == cseq)
			return invite->out_cseq;
	}
	if (r->from != NEAR || cseq != c->cseq)
		return cseq;
	a = c->setup ? attempt_of(c->setup, r->dialog->far) : NULL;
	return cseq + (a ? a->ahead : c->ahead);
}

/* RFC 3262 §7.2: the CSeq number in RAck is that of the INVITE on this side. */
static void rack_line(struct compose *c, const struct relay *r, const struct view *v)
{
	uint32_t rseq, cseq;
	struct sv method;

	if (!v->first[HDR_RACK] || rack_parse(view_value(v, HDR_RACK), &rseq, &cseq, &method))
		return;
	out_lit(&c->o, "RAck: ");
	out_u64(&c->o, rseq);
	out_lit(&c->o, " ");
	out_u64(&c->o, invite_there(r, cseq));
	out_lit(&c->o, " ");
	out_sv(&c->o, method);
	out_lit(&c->o, "\r\n");
}

/* The fixed part of a request of this dialog towards the other side, for the one received as `id`; `tag` is room for a token. */
static struct outgoing outgoing_of(struct relay *r, struct sv method, const struct view *v, uint64_t id, uint32_t cseq,
                                   char tag[TOKEN_LEN])
{
	enum side to = !r->from;
	struct leg *l = leg_of(r, to);
	struct dialog *d = r->dialog;
	struct sv hops = view_value(v, HDR_MAX_FORWARDS);
	struct token_codec *tokens = r->call->b->p.tokens;
	uint64_t n = 0;

	return (struct outgoing){
		.method = method, .leg = l, .cseq = cseq,
		.uri = to == NEAR ? leg_target(l) : target_early(d), .routes = to == NEAR ? leg_routes(l) : dialog_routes(d),
		.local_tag = to == NEAR ? tag_token(r->call->b, r->call->shard, d->in_table.key, tag) : SV(""),
		.remote_tag = to == NEAR ? SV("") : dialog_tag(d),
		.branch_id = token_branch_id(tokens, l->in_table.key, id, cseq),
		.max_forwards = hops.p && sv_u64(hops, 255, &n) == 0 && n ? (unsigned)n - 1 : 70,
	};
}

/* What ends a relay that the other side leaves hanging: a BYE is answered by us, a ringing re-INVITE is given up. */
void relay_watch(struct relay *r)
{
	if (r->method == M_BYE)
		wheel_arm_in(r->call->b->p.wheel, &r->timer, CALL_BYE_WAIT_MS);
	else if (r->method == M_INVITE)
		wheel_arm_in(r->call->b->p.wheel, &r->timer, REINVITE_MAX_MS);
}

static struct buf *relay_write(struct relay *r, const struct view *v, struct outgoing *m, bool *is_full)
{
	struct compose c = { .b = r->call->b, .names = r->names };
	struct leg *l = leg_of(r, !r->from);
	struct view other;
	struct buf *out;

	compose_request(&c, m);
	compose_contact(&c, l, v, &leg_of(r, r->from)->path);
	session_request_lines(&c, r);
	rack_line(&c, r, v);
	if (r->usage)
		v = usage_lines(&c, r, v, &other);
	compose_rest(&c, v, &leg_of(r, r->from)->path, l);
	out = compose_done(&c);
	*is_full = c.o.is_full;
	return out;
}

static int relay_transmit(struct relay *r, const struct view *v)
{
	struct b2bua *b = r->call->b;
	struct leg *l = leg_of(r, !r->from);
	struct path usual = l->path;
	SCOPED(buf_putp) struct buf *out = NULL;
	unsigned tried = r->hops ? hops_tried(r) : 0;
	char tag[TOKEN_LEN];
	struct outgoing m;
	bool is_full;
	int err;

	if (tried)
		l->path = *hops_path(r); /* this message only, so far */
	if (!tried || r->out_cseq != l->local_cseq) /* to another address the same number, unless a later one is known there */
		r->out_cseq = ++l->local_cseq;
	m = outgoing_of(r, view_method(v), v, (r->st ? server_id(r->st) : 0) + tried, r->out_cseq, tag);
	out = relay_write(r, v, &m, &is_full);
	if (out && path_outgrown(b, &l->path, out->len)) { /* this message only (LESSONS 48) */
		buf_put(STEAL(out));
		out = relay_write(r, v, &m, &is_full);
	}
	counter_inc(&b->counters, REQUESTS_RELAYED);
	if (ends_call(r))
		r->call->is_ending = true;
	err = !out ? is_full ? -EMSGSIZE : -ENOMEM
	           : client_start(b->p.stack, m.branch_id, v->method, &l->path, out, &relay_client_ops, r, &r->ct);
	l->path = usual;
	return err;
}

static void relay_ack_go(struct relay *r, const struct view *v);

/* No way to where it has to go. An ACK tries the way of the INVITE all the same. */
static void relay_stuck(struct relay *r, const struct view *v, enum why why)
{
	relay_unpark(r);
	if (r->is_answered)
		relay_ack_go(r, v);
	else
		relay_unsent(r, why);
}

/* Not for want of memory or room, or because it must not leave. */
static bool is_unreachable(int err)
{
	return err != -EMSGSIZE && err != -ENOMEM && err != -ENOSPC && err != -EACCES;
}

static void relay_go(struct relay *r, const struct view *v)
{
	int err;

	if (r->is_answered) {
		relay_ack_go(r, v);
		return;
	}
	do
		err = relay_transmit(r, v);
	while (err && is_unreachable(err) && hops_next(r));
	if (err)
		relay_unsent(r, err == -EMSGSIZE ? WHY_TOO_LARGE : err == -ENOMEM || err == -ENOSPC ? WHY_FULL :
		                err == -EACCES ? WHY_GUARD : leg_lost(leg_of(r, !r->from)));
	else
		relay_watch(r);
	if (!err && r->hops)
		hops_watch(r);
}

bool relay_again(struct relay *r)
{
	struct view v;

	if (!r->hops || !r->st || hops_request(r, &v) || !hops_next(r))
		return false;
	if (r->ct && client_is_waiting(r->ct) && r->method != M_INVITE)
		client_discard(r->ct);
	else if (r->ct)
		client_own(r->ct, NULL, NULL);
	r->ct = NULL;
	counter_inc(&r->call->b->counters, HOPS_FAILED_OVER);
	relay_go(r, &v);
	return true;
}

static void relay_at(struct relay *r, const struct view *v, const struct resolve_answer *a)
{
	if (hops_take(r, v, a))
		relay_stuck(r, v, WHY_UNREACHABLE);
	else
		relay_go(r, v);
}

/* As next_hop(), of the side the request goes to. */
static int relay_hop(struct relay *r, struct resolve_query *q)
{
	struct leg *l = leg_of(r, !r->from);
	struct hop *hop = &r->dialog->hop;
	int err;

	if (l->side == NEAR)
		return next_hop(l, leg_target(l), leg_routes(l), q);
	if (hop->is_known && hop->transport == l->path.transport && addr_eq(&hop->addr, &l->path.remote)) {
		*q = (struct resolve_query){ .host = SV("") };
		return 0;
	}
	if (!dialog_target(r->dialog).len && !dialog_routes(r->dialog).len && target_early(r->dialog).len) {
		l->path = *client_path(attempt_of(r->call->setup, l)->ct); /* where its INVITE went */
		*q = (struct resolve_query){ .host = SV("") };
		return 0;
	}
	err = next_hop(l, dialog_target(r->dialog), dialog_routes(r->dialog), q);
	if (!err && !q->host.len)
		*hop = (struct hop){ l->path.remote, l->path.transport, true };
	return err;
}

/* Resumed: the message is read again. `a` NULL: the name was not found, or not in time. */
static void relay_resume(struct relay *r, const struct resolve_answer *a)
{
	SCOPED(buf_putp) struct buf *request = STEAL(r->request);
	struct view v;
	struct view_fault fault;

	relay_unpark(r);
	if (view_scan(&v, request->data, request->len, false, &fault))
		relay_refuse(r, WHY_NO_NAME);
	else if (!a)
		relay_stuck(r, &v, WHY_NO_NAME);
	else
		relay_at(r, &v, a);
}

static void relay_woken(struct parked *job, int result)
{
	(void)result; /* its time is over */
	relay_resume(owner_of(job, struct relay, parked), NULL);
}

static void relay_named(void *ctx, int err, const struct resolve_answer *a)
{
	struct relay *r = ctx;

	r->is_resolving = false;
	relay_resume(r, err || !a->n ? NULL : a);
}

static void relay_send(struct relay *r, const struct view *v)
{
	struct b2bua *b = r->call->b;
	struct resolve_query q;
	struct resolve_answer a;
	int err = relay_hop(r, &q);

	if (err || !q.host.len) {
		if (err)
			relay_stuck(r, v, WHY_NO_NAME);
		else
			relay_go(r, v);
		return;
	}
	err = hop_resolve(b, path_zone(b, &leg_of(r, !r->from)->path), &q, &a, relay_named, r, &r->resolve_id);
	if (err == 0 && a.n) {
		relay_at(r, v, &a);
		return;
	}
	r->is_resolving = err == -EINPROGRESS;
	if (!r->is_resolving || !(r->request = buf_copy_in(b->p.stack->bufs, (struct sv){ v->base, v->len })) ||
	    park(b->p.park, &r->parked, b->p.wheel->now_ms + CALL_RESOLVE_MS, relay_woken))
		relay_stuck(r, v, WHY_NO_NAME);
}

/* Back again ------------------------------------------------------------------------------------------------------- */

static int relay_pass(struct relay *r, const struct view *v, const struct path *from)
{
	struct compose c = { .b = r->call->b };
	struct leg *l = leg_of(r, r->from);

	server_begin(r->st, &c.o, v->status, compose_phrase(c.b, v, from), SV(""));
	if (v->status < 300)
		compose_contact(&c, l, v, from);
	if (v->status / 100 == 2)
		session_response_lines(&c, r);
	compose_rest(&c, v, from, l);
	return server_send(r->st, v->status, &c.o);
}

/* RFC 5057 §5.1: 481 says that the dialog is gone (that a PRACK acknowledges nothing, if it is one: RFC 3262 §3); 408 to an INVITE or
 * UPDATE says that its side is. Nothing is lost by either while a BYE is under way, and of early dialogs others may be left. */
static bool loses_dialog(const struct call *c, uint8_t method, unsigned status)
{
	if (method == M_SUBSCRIBE || method == M_NOTIFY || c->setup || c->is_ending) /* the first two: one subscription, at most: usage.c */
		return false;
	return (status == 481 && method != M_PRACK) || (status == 408 && (method == M_INVITE || method == M_UPDATE));
}

static void relay_final(struct relay *r, const struct view *v)
{
	struct call *c = r->call;
	enum side from = r->from;
	uint8_t method = r->method;
	bool is_challenge = v->status == 401 || v->status == 407;

	if (method == M_BYE && !is_challenge) {
		relay_hung_up(r);
		return;
	}
	if (method == M_BYE)
		c->is_ending = false;
	if (r->usage)
		usage_answered(r, v->status, v);
	relay_free(r);
	if (loses_dialog(c, method, v->status))
		call_hangup(c, 1u << from, WHY_DIALOG_LOST);
}

/* One side accepted a re-INVITE, and the other cannot be told: they no longer agree on the session. */
static void relay_outgrown(struct relay *r, enum why why)
{
	server_answer(r->st, call_reasons[why].status, SV(""), SV(""), SV(""));
	call_hangup(r->call, 1 << NEAR | 1 << FAR, why);
}

static void relay_on_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct relay *r = owner;
	int err;

	(void)ct;
	if (r->is_answered) { /* the 2xx again, or another fork's: the first waits for our ACK */
		struct sv tag = view_to_tag(v);

		if (r->from == NEAR && v->status >= 200 && v->status < 300 && !sv_eq(tag, dialog_tag(r->dialog)))
			stray_2xx(r->call->b, r->dialog->far, NULL, v);
		return;
	}
	if (r->hops && !hops_heard(r, v->status)) {
		relay_unsent(r, WHY_UNREACHABLE); /* to the dialog's own server it has not been, as far as anybody knows */
		return;
	}
	if (v->status == 100 || (v->status == 503 && relay_again(r)) || (trunk_is_challenge(r->call->b, v) && trunk_relayed(r, v)))
		return;
	if (!r->st) { /* whoever asked has given up */
		if (v->status >= 200 && r->method != M_INVITE)
			relay_final(r, v);
		return;
	}
	target_answered(r, v);
	if (v->status < 200 && r->method != M_INVITE)
		return;
	if (v->status == 422 && (r->method == M_INVITE || r->method == M_UPDATE)) {
		relay_refuse(r, session_told(r, v) ? WHY_SESSION_RAISED : WHY_SESSION_REFUSED);
		return;
	}
	err = relay_pass(r, v, from);
	if (v->status < 200)
		return;
	if (r->method == M_INVITE && v->status < 300) {
		if (!err) {
			relay_await_ack(r);
			session_renew(r, v);
		} else if (err == -EMSGSIZE || err == -EACCES) {
			relay_outgrown(r, err == -EMSGSIZE ? WHY_TOO_LARGE : WHY_GUARD);
		}
		return; /* memory is out: a 2xx comes again */
	}
	if (!err && v->status < 300)
		session_renew(r, v);
	if (err)
		server_answer(r->st, err == -EMSGSIZE ? 513 : 500, SV(""), SV(""), SV(""));
	relay_final(r, v);
}

static void relay_failed(void *owner, struct client_txn *ct, int err)
{
	struct relay *r = owner;
	struct call *c = r->call;
	enum side from = r->from;
	bool is_silent = err == -ETIMEDOUT && !(hops_tried(r) && r->method != M_INVITE); /* the dialog's server had HOP_SILENT_MS only */
	bool is_lost = loses_dialog(c, r->method, is_silent ? 408 : 503);

	client_own(ct, NULL, NULL);
	r->ct = NULL;
	if (relay_again(r))
		return;
	relay_refuse(r, is_silent ? WHY_TIMEOUT : leg_lost(leg_of(r, !from)));
	if (is_lost)
		call_hangup(c, 1u << from, WHY_DIALOG_LOST);
}

static void relay_ct_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct relay *)owner)->ct = NULL;
}

static void relay_st_end(void *owner, struct server_txn *st)
{
	(void)st;
	((struct relay *)owner)->st = NULL;
}

/* A re-INVITE is cancelled on the far side too, and ends with its answer: both sides then agree on what is in force. */
static void relay_cancelled(void *owner, struct server_txn *st)
{
	struct relay *r = owner;

	(void)st;
	if (!r->ct) { /* it waits for a name: the other side need not hear of it */
		relay_refuse(r, WHY_CANCELLED);
		return;
	}
	hops_free(r);
	client_cancel(r->ct, SV(""));
	wheel_arm_in(r->call->b->p.wheel, &r->timer, SIP_TIMEOUT);
}

const struct server_ops relay_server_ops = { .on_cancel = relay_cancelled, .on_end = relay_st_end };
const struct client_ops relay_client_ops = { .on_response = relay_on_response, .on_failed = relay_failed, .on_end = relay_ct_end };

/* 2xx and ACK (DECISIONS 11) --------------------------------------------------------------------------------------- */

void relay_repeat(struct relay *r)
{
	struct wheel *w = r->call->b->p.wheel;

	r->is_answered = true;
	r->repeat_ms = SIP_T1;
	r->end_ms = w->now_ms + SIP_TIMEOUT;
	wheel_arm_in(w, &r->timer, r->repeat_ms);
}

void relay_await_ack(struct relay *r)
{
	if (r->hops)
		hops_free(r);
	r->answer = server_take_2xx(r->st);
	relay_repeat(r);
}

static int send_ack(struct relay *r, struct buf *ack)
{
	struct leg *l = leg_of(r, !r->from);
	struct sv tag = r->from == NEAR ? dialog_tag(r->dialog) : tag_of(leg_remote(l));
	int err = r->ct ? client_ack(r->ct, &l->path, ack, tag) : -EALREADY;

	return !err || err == -EACCES ? err : sip_send_ack(r->call->b->p.stack, &l->path, ack);
}

/* The ACK goes to the remote target over the route set (§13.2.2.4), wherever the INVITE went. */
void relay_ack(struct relay *r, const struct request *request)
{
	if (r->is_resolving)
		return; /* it came again while it waits for a name */
	leg_heard(leg_of(r, r->from), request->from); /* as new as the INVITE: a second one finds no relay */
	r->ack_key = request->key;
	relay_send(r, request->v);
}

static void relay_ack_go(struct relay *r, const struct view *v)
{
	struct compose c = { .b = r->call->b };
	struct leg *l = leg_of(r, !r->from);
	SCOPED(buf_putp) struct buf *ack = NULL;
	char tag[TOKEN_LEN];
	struct outgoing m = outgoing_of(r, SV("ACK"), v, r->ack_key, r->out_cseq, tag);

	compose_request(&c, &m);
	trunk_ack_lines(&c, l, r->ct);
	compose_rest(&c, v, &leg_of(r, r->from)->path, l);
	if (!(ack = compose_done(&c)))
		return; /* the 2xx is repeated, and so will be the ACK */
	if (send_ack(r, ack) == -EACCES)
		relay_ack_alone(r); /* the other side waits for one, whatever this one says */
	session_sent(r->call, !r->from, ack);
	buf_put(STEAL(r->answer));
	relay_free(r);
}

/* RFC 3264 §6: an answer to `offer` that refuses every stream, for one that its owner never gave. */
static void out_refusal(struct out *o, struct sv offer)
{
	out_lit(o, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n");
	while (offer.len) {
		size_t end = sv_chr(offer, '\n');
		struct sv line = sv_trim((struct sv){ offer.p, end });

		offer = sv_skip(offer, end + 1);
		if (line.len < 4 || memcmp(line.p, "m=", 2) != 0)
			continue;
		size_t space = sv_chr(line, ' '), port_end = space + 1 + sv_chr(sv_skip(line, space + 1), ' ');

		out_sv(o, (struct sv){ line.p, space });
		out_lit(o, " 0");
		out_sv(o, sv_skip(line, port_end));
		out_lit(o, "\r\n");
	}
}

/* Its length has to be known before it is written: it is written twice, first to where it is overwritten. */
void refuse_offer(struct compose *c, struct sv offer)
{
	struct out sdp = c->o;
	size_t len;

	out_refusal(&sdp, offer);
	len = (size_t)(sdp.at - c->o.at);
	out_lit(&c->o, "Content-Type: application/sdp\r\nContent-Length: ");
	out_u64(&c->o, len);
	out_lit(&c->o, "\r\n\r\n");
	out_refusal(&c->o, offer);
	c->o.is_full |= sdp.is_full;
}

/* Nobody acknowledged; we do, so that the other side can be hung up in order. */
void relay_ack_alone(struct relay *r)
{
	struct compose c = { .b = r->call->b };
	SCOPED(buf_putp) struct buf *ack = NULL;
	struct view answer;
	struct view_fault fault;
	char tag[TOKEN_LEN];
	struct outgoing m;

	if (!r->answer || view_scan(&answer, r->answer->data, r->answer->len, false, &fault))
		return;
	m = outgoing_of(r, SV("ACK"), &answer, 0, r->out_cseq, tag);
	leg_of(r, !r->from)->path = path_at_hand(r->call->b, m.leg, m.uri, m.routes);
	compose_request(&c, &m);
	trunk_ack_lines(&c, m.leg, r->ct);
	if (!r->had_offer && answer.body_len)
		refuse_offer(&c, view_body(&answer));
	else
		out_lit(&c.o, "Content-Length: 0\r\n\r\n");
	if ((ack = compose_done(&c)))
		send_ack(r, ack);
	r->is_answered = false;
}

static void relay_fire(struct timer *t)
{
	struct relay *r = owner_of(t, struct relay, timer);
	struct call *c = r->call;
	struct wheel *w = c->b->p.wheel;

	if (!r->is_answered) {
		relay_refuse(r, WHY_TIMEOUT); /* a BYE ends the call here; a re-INVITE is cancelled by relay_free */
		return;
	}
	if (w->now_ms >= r->end_ms || !r->st) {
		counter_inc(&c->b->counters, CALLS_NO_ACK);
		call_hangup(c, 1 << NEAR | 1 << FAR, WHY_NO_ACK);
		return;
	}
	server_repeat(r->st, r->answer);
	r->repeat_ms = r->repeat_ms * 2 > SIP_T2 ? SIP_T2 : r->repeat_ms * 2;
	wheel_arm(w, &r->timer, w->now_ms + r->repeat_ms < r->end_ms ? w->now_ms + r->repeat_ms : r->end_ms);
}
