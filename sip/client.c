/* sip/client.c - client transactions: RFC 3261 §17.1, RFC 6026 §7.2, ACK of refusals and CANCEL. */
#include "sip/header.h"
#include "sip/stack.h"
#include <errno.h>
#include <stdlib.h>

enum client_state { NONE, CALLING, PROCEEDING, ACCEPTED, COMPLETED, TERMINATED };
enum client_event { RECV_1XX, RECV_2XX, RECV_REJECT, TIMER_RESEND, TIMER_END, BROKEN, EVENTS };
enum { TO_TU = 1, SEND_ACK = 2, RESEND = 4, FAIL = 8, START_D = 16, START_M = 32, START_K = 64, QUIET = 128 };

struct client_txn {
	struct link in_table;
	struct timer timer;
	struct sip_stack *stack;
	const struct client_ops *ops;
	void *owner;
	struct buf *request;    /* until a 2xx; an INVITE's refusal is ACKed from it */
	struct buf *ack;        /* ours for the 2xx, to repeat (Accepted); or the one for a refusal (Completed) */
	struct path path;
	uint64_t end_ms;        /* B, F, D, M or K; 0 = none: the call watches (timer C) */
	uint64_t tag_hash;      /* of the To-tag that `ack` is for */
	uint32_t resend_ms;     /* A's or E's present interval; 0 = none */
	uint8_t state, method;
	int8_t was_broken;      /* -errno of the transport, until the timer reports it */
	bool is_cancelled;      /* or to be, at its first provisional (§9.1) */
};

struct step {
	uint8_t next, todo;
};

/* INVITE: §17.1.1 figure 5, plus Accepted from RFC 6026 §7.2. */
static const struct step invite_steps[TERMINATED + 1][EVENTS] = {
	[CALLING] = {
		[RECV_1XX]     = { PROCEEDING, TO_TU | QUIET },
		[RECV_2XX]     = { ACCEPTED,   TO_TU | START_M },
		[RECV_REJECT]  = { COMPLETED,  TO_TU | SEND_ACK | START_D },
		[TIMER_RESEND] = { CALLING,    RESEND },
		[TIMER_END]    = { TERMINATED, FAIL },
		[BROKEN]       = { TERMINATED, FAIL },
	},
	[PROCEEDING] = {
		[RECV_1XX]    = { PROCEEDING, TO_TU },
		[RECV_2XX]    = { ACCEPTED,   TO_TU | START_M },
		[RECV_REJECT] = { COMPLETED,  TO_TU | SEND_ACK | START_D },
		[TIMER_END]   = { TERMINATED, FAIL },
	},
	[ACCEPTED] = {
		[RECV_2XX]  = { ACCEPTED,   TO_TU },
		[TIMER_END] = { TERMINATED, 0 },
	},
	[COMPLETED] = {
		[RECV_REJECT] = { COMPLETED,  SEND_ACK },
		[TIMER_END]   = { TERMINATED, 0 },
	},
};                                              /* a pair not listed is absorbed */

/* Others: §17.1.2 figure 6. */
static const struct step other_steps[TERMINATED + 1][EVENTS] = {
	[CALLING] = {                           /* the figure's Trying */
		[RECV_1XX]     = { PROCEEDING, TO_TU },
		[RECV_2XX]     = { COMPLETED,  TO_TU | START_K },
		[RECV_REJECT]  = { COMPLETED,  TO_TU | START_K },
		[TIMER_RESEND] = { CALLING,    RESEND },
		[TIMER_END]    = { TERMINATED, FAIL },
		[BROKEN]       = { TERMINATED, FAIL },
	},
	[PROCEEDING] = {
		[RECV_1XX]     = { PROCEEDING, TO_TU },
		[RECV_2XX]     = { COMPLETED,  TO_TU | START_K },
		[RECV_REJECT]  = { COMPLETED,  TO_TU | START_K },
		[TIMER_RESEND] = { PROCEEDING, RESEND },
		[TIMER_END]    = { TERMINATED, FAIL },
		[BROKEN]       = { TERMINATED, FAIL },
	},
	[COMPLETED] = { [TIMER_END] = { TERMINATED, 0 } },
};

static int client_transmit(struct client_txn *ct, const struct path *to, struct buf *b)
{
	int err = net_send(ct->stack->net, to, b, ct->in_table.key);

	counter_inc(&ct->stack->counters, err ? SIP_SEND_ERRORS : SIP_REQUESTS);
	return err;
}

static void client_free(struct client_txn *ct)
{
	struct sip_stack *s = ct->stack;

	if (ct->ops && ct->ops->on_end)
		ct->ops->on_end(ct->owner, ct);
	table_del(&s->by_id, &ct->in_table);
	wheel_disarm(s->wheel, &ct->timer);
	buf_put(ct->request);
	buf_put(ct->ack);
	slab_free(&s->clients, ct);
}

/* One timer serves A or E and the state's end. */
static void client_arm(struct client_txn *ct)
{
	struct wheel *w = ct->stack->wheel;
	uint64_t at = ct->resend_ms ? w->now_ms + ct->resend_ms : UINT64_MAX;

	if (ct->end_ms && ct->end_ms < at)
		at = ct->end_ms;
	if (at == UINT64_MAX)
		wheel_disarm(w, &ct->timer);
	else
		wheel_arm(w, &ct->timer, at);
}

static void client_ends_in(struct client_txn *ct, uint64_t ms)
{
	ct->resend_ms = 0;
	ct->end_ms = ms ? ct->stack->wheel->now_ms + ms : ct->stack->wheel->now_ms + 1;
	client_arm(ct);
}

/* Intervals double; for other requests than INVITE up to T2, and at once T2 after a provisional (§17.1.2.2). */
static void client_resend(struct client_txn *ct)
{
	if (ct->request && client_transmit(ct, &ct->path, ct->request) == 0)
		counter_inc(&ct->stack->counters, SIP_RETRANSMITS_OUT);
	ct->resend_ms *= 2;
	if (ct->method != M_INVITE && (ct->resend_ms > SIP_T2 || ct->state == PROCEEDING))
		ct->resend_ms = SIP_T2;
	client_arm(ct);
}

static void client_start_timers(struct client_txn *ct, unsigned todo)
{
	bool is_stream = transport_is_stream(ct->path.transport);

	if (todo & QUIET) { /* an INVITE that rings is watched by the call, with timer C; one let go of must end by itself */
		ct->resend_ms = 0;
		ct->end_ms = ct->ops ? 0 : ct->stack->wheel->now_ms + SIP_TIMEOUT;
		client_arm(ct);
	}
	if (todo & START_M)
		client_ends_in(ct, SIP_TIMEOUT);
	if (todo & START_D)
		client_ends_in(ct, is_stream ? 0 : SIP_TIMEOUT);
	if (todo & START_K)
		client_ends_in(ct, is_stream ? 0 : SIP_T4);
}

static void client_send_ack(struct client_txn *ct, const struct view *response);
static int client_send_cancel(struct client_txn *ct, struct sv headers);

/* The only place where a client transaction's state changes. May free `ct`. `err` goes with BROKEN. */
static void client_step(struct client_txn *ct, enum client_event event, const struct view *v, const struct path *from, int err)
{
	const struct step step = (ct->method == M_INVITE ? invite_steps : other_steps)[ct->state][event];

	if (step.next == NONE)
		return;
	ct->state = step.next;
	ct->was_broken = 0; /* what answers is not broken */
	client_start_timers(ct, step.todo);
	if ((step.todo & QUIET) && ct->is_cancelled)
		ct->is_cancelled = client_send_cancel(ct, SV("")) == 0;
	if (step.todo & SEND_ACK)
		client_send_ack(ct, v);
	if (step.todo & RESEND)
		client_resend(ct);
	if ((step.todo & TO_TU) && ct->ops && ct->ops->on_response)
		ct->ops->on_response(ct->owner, ct, v, from);
	if ((step.todo & SEND_ACK) && ct->ack) /* nobody makes another request of it any more */
		buf_put(STEAL(ct->request));
	if (step.todo & FAIL) {
		counter_inc(&ct->stack->counters, SIP_CLIENT_TIMEOUTS);
		if (ct->ops && ct->ops->on_failed)
			ct->ops->on_failed(ct->owner, ct, event == BROKEN ? err : -ETIMEDOUT);
	}
	if (ct->state == TERMINATED)
		client_free(ct);
}

static void client_fire(struct timer *t)
{
	struct client_txn *ct = owner_of(t, struct client_txn, timer);

	if (ct->was_broken)
		client_step(ct, BROKEN, NULL, NULL, ct->was_broken);
	else if (ct->end_ms && ct->stack->wheel->now_ms >= ct->end_ms)
		client_step(ct, TIMER_END, NULL, NULL, 0);
	else
		client_step(ct, TIMER_RESEND, NULL, NULL, 0);
}

static struct client_txn *client_alloc(struct sip_stack *s, uint64_t id, uint8_t method, const struct path *to)
{
	struct client_txn *ct = slab_alloc(&s->clients);

	if (!ct || table_add(&s->by_id, &ct->in_table, id)) {
		counter_inc(&s->counters, SIP_TXN_REFUSED);
		slab_free(&s->clients, ct);
		return NULL;
	}
	ct->stack = s;
	ct->method = method;
	ct->path = *to;
	ct->state = CALLING;
	ct->timer.fire = client_fire;
	return ct;
}

int client_start(struct sip_stack *s, uint64_t id, enum method method, const struct path *to, struct buf *request,
                 const struct client_ops *ops, void *owner, struct client_txn **out)
{
	int err = sip_may_leave(s, to, request);
	struct client_txn *ct = err ? NULL : client_alloc(s, id, (uint8_t)method, to);

	if (!ct)
		return err ? err : -ENOSPC;
	if ((err = client_transmit(ct, to, request))) {
		client_free(ct);
		return err;
	}
	ct->request = buf_get(request);
	ct->ops = ops;
	ct->owner = owner;
	ct->resend_ms = transport_is_stream(to->transport) ? 0 : SIP_T1;
	ct->end_ms = s->wheel->now_ms + SIP_TIMEOUT;
	client_arm(ct);
	*out = ct;
	return 0;
}

void client_own(struct client_txn *ct, const struct client_ops *ops, void *owner)
{
	ct->ops = ops;
	ct->owner = owner;
	/* Nobody watches over a ringing INVITE any more: it must end by itself. */
	if (!ops && ct->state == PROCEEDING && ct->method == M_INVITE && !ct->end_ms)
		client_ends_in(ct, SIP_TIMEOUT);
}

static struct client_txn *client_find(struct sip_stack *s, uint64_t id, uint8_t method)
{
	for (struct link *l = table_find(&s->by_id, id); l; l = table_next(&s->by_id, l)) {
		struct client_txn *ct = owner_of(l, struct client_txn, in_table);

		if (ct->method == method)
			return ct;
	}
	return NULL;
}

bool sip_client_has(struct sip_stack *s, uint64_t id, enum method method)
{
	return client_find(s, id, (uint8_t)method) != NULL;
}

static uint64_t tag_hash(const struct client_txn *ct, struct sv tag)
{
	return hash_bytes(&ct->stack->key, tag.p, tag.len);
}

/* A repeated 2xx that has its ACK already: the ACK again, and nobody need know (§13.2.2.4). */
static bool client_ack_again(struct client_txn *ct, const struct view *v)
{
	if (ct->state != ACCEPTED || !ct->ack || tag_hash(ct, view_to_tag(v)) != ct->tag_hash)
		return false;
	counter_inc(&ct->stack->counters, SIP_RETRANSMITS_OUT);
	client_transmit(ct, &ct->path, ct->ack);
	return true;
}

bool sip_client_input(struct sip_stack *s, uint64_t id, const struct view *v, const struct path *from)
{
	struct client_txn *ct = client_find(s, id, v->method);

	if (!ct) {
		counter_inc(&s->counters, SIP_ORPHAN_RESPONSES);
		return false;
	}
	counter_inc(&s->counters, SIP_RESPONSES);
	if (v->status >= 200 && v->status < 300 && client_ack_again(ct, v))
		return true;
	client_step(ct, v->status < 200 ? RECV_1XX : v->status < 300 ? RECV_2XX : RECV_REJECT, v, from, 0);
	return true;
}

void sip_client_broken(struct sip_stack *s, uint64_t id, const struct addr *remote, int err)
{
	for (struct link *l = table_find(&s->by_id, id); l; l = table_next(&s->by_id, l)) {
		struct client_txn *ct = owner_of(l, struct client_txn, in_table);

		if (remote && !addr_eq(remote, &ct->path.remote))
			continue;
		if (ct->state != CALLING && !(ct->state == PROCEEDING && ct->method != M_INVITE))
			continue;
		ct->was_broken = (int8_t)(err < 0 && err > -127 ? err : -EIO);
		wheel_arm(s->wheel, &ct->timer, s->wheel->now_ms); /* told from the wheel, never from inside a send */
	}
}

/* Copies the lines of a request of ours that its ACK and CANCEL repeat (§9.1, §17.1.1.3): the top Via, Route, From, Call-ID,
 * Max-Forwards, To (or the response's) and CSeq's number. */
static struct buf *derive(struct client_txn *ct, struct sv method, const struct view *response, struct sv headers)
{
	struct view v;
	struct view_fault fault;
	struct out o;

	if (!ct->request || view_scan(&v, ct->request->data, ct->request->len, false, &fault))
		return NULL;
	out_init(&o, ct->stack->scratch, SIP_SCRATCH);
	out_sv(&o, method);
	out_lit(&o, " ");
	out_sv(&o, view_uri(&v));
	out_lit(&o, " SIP/2.0\r\n");
	for (unsigned i = 0; i < v.n; i++) {
		const struct hdr *h = &v.h[i];
		bool is_to = h->id == HDR_TO;

		if (h->id != HDR_VIA && h->id != HDR_ROUTE && h->id != HDR_FROM && h->id != HDR_CALL_ID && !is_to &&
		    h->id != HDR_MAX_FORWARDS)
			continue;
		out_sv(&o, hdr_name(&v, h));
		out_lit(&o, ": ");
		if (is_to && response)
			out_unfolded(&o, view_value(response, HDR_TO));
		else
			out_sv(&o, hdr_value(&v, h));
		out_lit(&o, "\r\n");
	}
	out_lit(&o, "CSeq: ");
	out_u64(&o, v.cseq);
	out_lit(&o, " ");
	out_sv(&o, method);
	out_lit(&o, "\r\n");
	out_sv(&o, headers);
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	return o.is_full ? NULL : buf_copy_in(ct->stack->bufs, out_done(&o));
}

/* §17.1.1.3: the ACK of a refusal belongs to the transaction; it is made once and then repeated. */
static void client_send_ack(struct client_txn *ct, const struct view *response)
{
	if (!ct->ack)
		ct->ack = derive(ct, SV("ACK"), response, SV(""));
	if (ct->ack) /* else memory is out: the refusal comes again */
		client_transmit(ct, &ct->path, ct->ack);
}

static int client_send_cancel(struct client_txn *ct, struct sv headers)
{
	SCOPED(buf_putp) struct buf *cancel = derive(ct, SV("CANCEL"), NULL, headers);
	struct client_txn *cancel_txn;

	if (!cancel)
		return -ENOMEM;
	return client_start(ct->stack, ct->in_table.key, M_CANCEL, &ct->path, cancel, NULL, NULL, &cancel_txn);
}

/* Nothing came so far, so there is nothing to cancel (§9.1): an answer to its last copy is waited for, or it would ring on. */
static void client_linger(struct client_txn *ct)
{
	ct->end_ms = ct->stack->wheel->now_ms + SIP_TIMEOUT;
	if (!ct->resend_ms) /* else what is armed comes first */
		client_arm(ct);
}

int client_cancel(struct client_txn *ct, struct sv headers)
{
	int err = -EAGAIN;

	if (ct->state > PROCEEDING || (ct->is_cancelled && ct->state == PROCEEDING))
		return -EALREADY;
	if (ct->state == PROCEEDING)
		err = client_send_cancel(ct, headers);
	else if (!ct->is_cancelled)
		client_linger(ct);
	ct->is_cancelled = !err || err == -EAGAIN;
	return err;
}

int client_ack(struct client_txn *ct, const struct path *to, struct buf *ack, struct sv to_tag)
{
	int err = ct->state != ACCEPTED ? -EALREADY : sip_may_leave(ct->stack, to, ack);

	if (err)
		return err;
	buf_put(ct->ack);
	ct->ack = buf_get(ack);
	ct->path = *to;
	ct->tag_hash = tag_hash(ct, to_tag);
	buf_put(STEAL(ct->request));
	return client_transmit(ct, to, ack);
}

int sip_send_ack(struct sip_stack *s, const struct path *to, struct buf *ack)
{
	int err = sip_may_leave(s, to, ack);

	return err ? err : net_send(s->net, to, ack, 0);
}

bool client_has_provisional(const struct client_txn *ct)
{
	return ct->state == PROCEEDING;
}

bool client_is_waiting(const struct client_txn *ct)
{
	return ct->state <= PROCEEDING;
}

bool client_is_cancelled(const struct client_txn *ct)
{
	return ct->is_cancelled;
}

uint64_t client_id(const struct client_txn *ct)
{
	return ct->in_table.key;
}

const struct path *client_path(const struct client_txn *ct)
{
	return &ct->path;
}

void client_move(struct client_txn *ct, const struct path *path)
{
	ct->path = *path;
}

struct buf *client_request(const struct client_txn *ct)
{
	return ct->request;
}

static bool client_drop(void *ctx, struct link *l)
{
	struct client_txn *ct = owner_of(l, struct client_txn, in_table);

	wheel_disarm(((struct sip_stack *)ctx)->wheel, &ct->timer);
	buf_put(ct->request);
	buf_put(ct->ack);
	return true;
}

void sip_clients_drop(struct sip_stack *s)
{
	table_each(&s->by_id, client_drop, s);
}

size_t client_size(void)
{
	return sizeof(struct client_txn);
}

void client_discard(struct client_txn *ct)
{
	ct->ops = NULL;
	client_free(ct);
}

void client_export(const struct client_txn *ct, struct client_record *out)
{
	*out = (struct client_record){ .id = ct->in_table.key, .path = ct->path, .state = ct->state, .method = ct->method };
	if (ct->request)
		out->request = buf_sv(ct->request);
}

int client_import(struct sip_stack *s, const struct client_record *r, const struct client_ops *ops, void *owner,
                  struct client_txn **out)
{
	struct client_txn *ct;
	int err;

	if (r->state > TERMINATED || r->method >= M_COUNT ||
	    (r->method == M_INVITE ? invite_steps : other_steps)[r->state][TIMER_END].next != TERMINATED)
		return -EBADMSG;
	if (!(ct = client_alloc(s, r->id, r->method, &r->path)))
		return -ENOSPC;
	ct->state = r->state;
	if ((err = sip_import_message(s, r->request, r->method, false, &ct->request))) {
		client_free(ct);
		return err;
	}
	ct->ops = ops;
	ct->owner = owner;
	if (ct->state != PROCEEDING || ct->method != M_INVITE)
		client_ends_in(ct, SIP_TIMEOUT);
	if (ct->state == CALLING && ct->request && !transport_is_stream(ct->path.transport)) { /* perhaps it never arrived */
		ct->resend_ms = SIP_T1;
		client_arm(ct);
	}
	*out = ct;
	return 0;
}
