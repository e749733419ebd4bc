/* sip/server.c - server transactions: RFC 3261 §17.2, RFC 6026 §7.1, and the head of their responses. */
#include "sip/txn.h"
#include "sip/header.h"
#include "sip/stack.h"
#include "transports/resolve.h"
#include <errno.h>
#include <stdlib.h>

enum server_state { NONE, TRYING, PROCEEDING, ACCEPTED, COMPLETED, CONFIRMED, TERMINATED };
enum server_event { REQUEST, TU_1XX, TU_2XX, TU_REJECT, ACK, TIMER_RESEND, TIMER_END, EVENTS };
enum { SEND = 1, RESEND = 2, FAIL = 4, START_GH = 8, NEXT_G = 16, START_I = 32, START_J = 64, START_L = 128 };

struct server_txn {
	struct link in_table;
	struct timer timer;
	struct sip_stack *stack;
	const struct server_ops *ops;
	void *owner;
	struct buf *head;      /* Vias, Record-Route, From, Call-ID, CSeq, To without CRLF; until the final response */
	struct buf *last;      /* to repeat */
	struct path path;
	uint64_t end_ms;       /* H, I, J or L */
	uint32_t resend_ms;    /* G's present interval */
	uint16_t status;
	uint8_t state, method;
	bool has_to_tag;       /* the request had one: it stands in `head` */
};

struct step {
	uint8_t next, todo;
};

/* INVITE: §17.2.1 figure 7, plus Accepted from RFC 6026 §7.1. Timer G on datagrams only; I is 0 on streams. */
static const struct step invite_steps[TERMINATED + 1][EVENTS] = {
	[PROCEEDING] = {
		[REQUEST]   = { PROCEEDING, RESEND },
		[TU_1XX]    = { PROCEEDING, SEND },
		[TU_2XX]    = { ACCEPTED,   SEND | START_L },
		[TU_REJECT] = { COMPLETED,  SEND | START_GH },
		[TIMER_END] = { TERMINATED, FAIL },
	},
	[ACCEPTED] = {                          /* the call repeats its 2xx: RFC 3261 §13.3.1.4 */
		[TU_2XX]       = { ACCEPTED,   SEND },
		[REQUEST]      = { ACCEPTED,   RESEND }, /* only what server_return_2xx gave back */
		[TIMER_RESEND] = { ACCEPTED,   RESEND | NEXT_G },
		[TIMER_END]    = { TERMINATED, 0 },
	},
	[COMPLETED] = {
		[REQUEST]      = { COMPLETED,  RESEND },
		[TIMER_RESEND] = { COMPLETED,  RESEND | NEXT_G },
		[TIMER_END]    = { TERMINATED, FAIL },
		[ACK]          = { CONFIRMED,  START_I },
	},
	[CONFIRMED] = { [TIMER_END] = { TERMINATED, 0 } },
};                                              /* a pair not listed is absorbed */

/* Others: §17.2.2 figure 8. J is 0 on streams. */
static const struct step other_steps[TERMINATED + 1][EVENTS] = {
	[TRYING] = {
		[TU_1XX]    = { PROCEEDING, SEND },
		[TU_2XX]    = { COMPLETED,  SEND | START_J },
		[TU_REJECT] = { COMPLETED,  SEND | START_J },
		[TIMER_END] = { TERMINATED, FAIL },
	},
	[PROCEEDING] = {
		[REQUEST]   = { PROCEEDING, RESEND },
		[TU_1XX]    = { PROCEEDING, SEND },
		[TU_2XX]    = { COMPLETED,  SEND | START_J },
		[TU_REJECT] = { COMPLETED,  SEND | START_J },
		[TIMER_END] = { TERMINATED, FAIL },
	},
	[COMPLETED] = {
		[REQUEST]   = { COMPLETED,  RESEND },
		[TIMER_END] = { TERMINATED, 0 },
	},
};

static struct server_txn *server_find(const struct sip_stack *s, uint64_t key)
{
	struct link *l = table_find(&s->by_key, key);

	return l ? owner_of(l, struct server_txn, in_table) : NULL;
}

/* RFC 3261 §18.2.2, RFC 3263 §5: when its connection is gone, a response goes over another one to where the topmost Via says that its
 * sender listens, at the address it came from. A WebSocket client listens nowhere (RFC 7118 §5). */
static int send_anew(struct sip_stack *s, const struct path *from, struct buf *b)
{
	struct path path = { .remote = from->remote, .listener = from->listener, .transport = from->transport };
	struct view_fault fault;
	struct view v;

	if ((from->transport != T_TCP && from->transport != T_TLS) || view_scan(&v, b->data, b->len, false, &fault))
		return -ENOTCONN;
	path.remote.port = v.via_port ? v.via_port : resolve_default_port(from->transport);
	if (from->transport == T_TLS) /* RFC 5922 §7.3 */
		path.name = net_name(s->net, view_via_host(&v));
	return net_send(s->net, &path, b, 0);
}

static void server_transmit(struct server_txn *st, struct buf *b)
{
	int err = net_send(st->stack->net, &st->path, b, st->in_table.key);

	counter_inc(&st->stack->counters, SIP_REPLIES);
	if (err == -ENOTCONN)
		err = send_anew(st->stack, &st->path, b);
	if (err)
		counter_inc(&st->stack->counters, SIP_SEND_ERRORS);
}

/* The connection took no more; not that there was no room, or that we have closed it. */
static bool is_gone(int err)
{
	return err != -ENOMEM && err != -ENOBUFS && err != -EMSGSIZE && err != -ECANCELED;
}

void sip_server_broken(struct sip_stack *s, uint64_t id, const struct path *to, int err)
{
	struct server_txn *st = server_find(s, id);

	if (!st || !is_gone(err) || !to->flow || st->path.flow == NET_FLOW_GONE)
		return;
	if (st->path.flow == to->flow)
		st->path.flow = NET_FLOW_GONE;
	if (st->last) /* its 2xx is the call's to repeat */
		server_transmit(st, st->last);
}

static void server_free(struct server_txn *st)
{
	struct sip_stack *s = st->stack;

	if (st->ops && st->ops->on_end)
		st->ops->on_end(st->owner, st);
	table_del(&s->by_key, &st->in_table);
	wheel_disarm(s->wheel, &st->timer);
	buf_put(st->head);
	buf_put(st->last);
	slab_free(&s->servers, st);
}

/* One timer serves G and the state's end. */
static void server_arm(struct server_txn *st)
{
	struct wheel *w = st->stack->wheel;
	uint64_t at = st->resend_ms ? w->now_ms + st->resend_ms : st->end_ms;

	wheel_arm(w, &st->timer, at < st->end_ms ? at : st->end_ms);
}

static void server_ends_in(struct server_txn *st, uint64_t ms)
{
	st->end_ms = st->stack->wheel->now_ms + ms;
	server_arm(st);
}

static void server_start_timers(struct server_txn *st, unsigned todo)
{
	bool is_stream = transport_is_stream(st->path.transport);

	if (todo & START_GH)
		st->resend_ms = is_stream ? 0 : SIP_T1;
	if (todo & NEXT_G)
		st->resend_ms = st->resend_ms * 2 > SIP_T2 ? SIP_T2 : st->resend_ms * 2;
	if (todo & START_I)
		st->resend_ms = 0;
	if (todo & (START_GH | START_L))
		server_ends_in(st, SIP_TIMEOUT);
	else if (todo & START_I)
		server_ends_in(st, is_stream ? 0 : SIP_T4);
	else if (todo & START_J)
		server_ends_in(st, is_stream ? 0 : SIP_TIMEOUT);
	else if (todo & NEXT_G)
		server_arm(st);
}

/* The only place where a server transaction's state changes. May free `st`: then false. */
static bool server_step(struct server_txn *st, enum server_event event)
{
	const struct step step = (st->method == M_INVITE ? invite_steps : other_steps)[st->state][event];

	if (step.next == NONE)
		return true;
	st->state = step.next;
	if ((step.todo & (SEND | RESEND)) && st->last) {
		server_transmit(st, st->last);
		if (step.todo & RESEND)
			counter_inc(&st->stack->counters, SIP_RETRANSMITS_OUT);
	}
	server_start_timers(st, step.todo);
	if (step.todo & FAIL)
		counter_inc(&st->stack->counters, SIP_SERVER_TIMEOUTS);
	if (st->state != TERMINATED)
		return true;
	server_free(st);
	return false;
}

static void server_fire(struct timer *t)
{
	struct server_txn *st = owner_of(t, struct server_txn, timer);

	server_step(st, st->stack->wheel->now_ms >= st->end_ms ? TIMER_END : TIMER_RESEND);
}

/* §17.2.3: branch, sent-by and method, ACK and CANCEL counting as INVITE where the caller says so. Without the magic cookie, RFC 2543's
 * identity: everything of the request that its ACK repeats. */
static uint64_t key_of(const struct sip_stack *s, const struct view *v, uint8_t method)
{
	struct sv branch = view_via_branch(v), cookie = SV("z9hG4bK"), rest = view_value(v, HDR_VIA);
	const uint32_t numbers[] = { (uint32_t)v->via_port << 16 | method, v->cseq };
	struct sv name = method == M_OTHER ? view_method(v) : SV("");
	struct via via;

	if (branch.len > cookie.len && sv_ieq((struct sv){ branch.p, cookie.len }, cookie)) {
		struct sv parts[] = { { (const char *)numbers, sizeof(numbers[0]) }, branch, view_via_host(v), name };

		return hash_parts(&s->key, parts, name.len ? 4 : 3);
	}
	if (via_next(&via, &rest))
		return 0;
	struct sv parts[] = { { (const char *)numbers, sizeof(numbers) }, via.whole, view_value(v, HDR_CALL_ID), view_from_tag(v),
	                      view_uri(v), name };

	return hash_parts(&s->key, parts, 6);
}

uint64_t sip_request_key(const struct sip_stack *s, const struct view *v)
{
	return key_of(s, v, v->method == M_ACK ? M_INVITE : v->method);
}

static bool cancel_absorb(struct sip_stack *s, const struct view *v, const struct path *from, uint64_t key)
{
	struct server_txn *st = server_find(s, key_of(s, v, M_INVITE)), *cancel;

	if (!st)
		return false;
	if (server_new(s, v, from, key, &cancel))
		return true; /* no room: it comes again */
	server_answer(cancel, 200, SV(""), st->method == M_INVITE ? SV("cancelled") : SV(""), SV(""));
	if (!server_is_final(st) && st->ops && st->ops->on_cancel)
		st->ops->on_cancel(st->owner, st);
	return true;
}

bool sip_server_absorb(struct sip_stack *s, const struct view *v, const struct path *from, uint64_t key)
{
	struct server_txn *st = server_find(s, key);

	if (!st)
		return v->method == M_CANCEL && cancel_absorb(s, v, from, key);
	if (v->method == M_ACK) {
		if (st->state == ACCEPTED)
			return false; /* a client that repeats the branch: the call wants this ACK */
		server_step(st, ACK);
		return true;
	}
	counter_inc(&s->counters, SIP_RETRANSMITS_IN);
	server_step(st, REQUEST);
	return true;
}

void out_unfolded(struct out *o, struct sv v)
{
	const char *fold;

	while ((fold = v.len ? memchr(v.p, '\r', v.len) : NULL)) {
		out_sv(o, sv_span(v.p, fold));
		for (v = sv_span(fold, v.p + v.len); v.len && strchr("\r\n\t ", *v.p); v = sv_skip(v, 1))
			;
		out_lit(o, " ");
	}
	out_sv(o, v);
}

void out_value(struct out *o, const struct view *v, struct sv value)
{
	if (v->has_folds)
		out_unfolded(o, value);
	else
		out_sv(o, value);
}

/* A line of the request as it stands there, or its folds undone and its name in full. */
static void head_line(struct out *o, const struct view *v, struct sv name, const struct hdr *h)
{
	struct sv value = hdr_value(v, h);

	if (v->has_folds) {
		out_sv(o, name);
		out_unfolded(o, value);
	} else {
		out_sv(o, sv_span(hdr_name(v, h).p, value.p + value.len));
	}
	out_lit(o, "\r\n");
}

/* The rare topmost Via that says itself what we are to say of its sender: its words for it are left out. */
static void out_via_params(struct out *o, struct sv params)
{
	const char *at = params.p;
	struct sv name, value;

	for (; param_next(&params, &name, &value); at = params.p)
		if (!sv_ieq(name, SV("rport")) && !sv_ieq(name, SV("received")))
			out_unfolded(o, sv_trim(sv_span(at, params.p)));
}

/* Nothing but a branch and perhaps an rport to be filled in, before or behind it, as nearly all write it. */
static bool are_usual(const struct view *v, struct sv params, struct sv *rport)
{
	struct sv branch = view_via_branch(v), before, behind;

	if (!branch.len)
		return false;
	before = sv_span(params.p, branch.p);
	behind = sv_span(branch.p + branch.len, params.p + params.len);
	if (before.len == sizeof(";branch=") - 1 && (!behind.len || sv_eq(behind, SV(";rport"))))
		*rport = (struct sv){ behind.len ? behind.p + behind.len : NULL, 0 };
	else if (sv_eq(before, SV(";rport;branch=")) && !behind.len)
		*rport = (struct sv){ before.p + sizeof(";rport") - 1, 0 };
	else
		return false;
	return true;
}

/* §18.2.1 and RFC 3581 §4: where the request really came from, written into its topmost Via. rport is filled in when
 * asked for, and added unasked when the port differs, since the answer goes there anyway. */
static void head_top_via(struct out *o, const struct view *v, const struct path *from)
{
	char text[ADDR_TEXT];
	struct sv ip = sv_from(addr_print_ip(&from->remote, text)), value = view_value(v, HDR_VIA), host = view_via_host(v);
	struct sv name, one, params, rest, rport = { NULL, 0 };
	bool differs = !sv_ieq(host, ip), moved = (v->via_port ? v->via_port : 5060) != from->remote.port;
	bool is_forged = false;
	const char *p = host.len ? host.p + host.len : value.p, *end = value.p + value.len;

	while (p < end && *p != ';' && *p != ',') /* protocol and sent-by hold none of these */
		p++;
	params = rest = sv_span(p, end);
	if (are_usual(v, params, &rport))
		rest = sv_skip(params, params.len);
	while (param_next(&rest, &name, &one)) {
		if (sv_ieq(name, SV("rport")))
			rport = one;
		is_forged |= sv_ieq(name, SV("received")) || rport.len;
	}
	out_lit(o, "Via: ");
	if (is_forged) {
		out_unfolded(o, sv_trim(sv_span(value.p, params.p)));
		out_via_params(o, params);
		moved |= rport.p != NULL;
		differs |= rport.p != NULL;
		rport.p = NULL;
	} else {
		out_value(o, v, sv_trim(sv_span(value.p, rport.p ? rport.p : rest.p)));
	}
	if (rport.p || moved) {
		out_str(o, !rport.p ? ";rport=" : rport.p[-1] == '=' ? "" : "=");
		out_u64(o, from->remote.port);
	}
	if (rport.p)
		out_value(o, v, sv_trim(sv_span(rport.p, rest.p)));
	if (differs || rport.p) {
		out_lit(o, ";received=");
		out_sv(o, ip);
	}
	out_value(o, v, rest); /* a comma and further ones */
	out_lit(o, "\r\n");
}

/* What every response repeats of its request (§8.2.6.2, §12.1.1), as one block that ends behind To's value. */
static void head_write(struct out *o, const struct view *v, const struct path *from)
{
	head_top_via(o, v, from);
	for (unsigned i = v->first[HDR_VIA]; i < v->n && v->repeated >> HDR_VIA & 1; i++)
		if (v->h[i].id == HDR_VIA)
			head_line(o, v, SV("Via: "), &v->h[i]);
	if (v->first[HDR_RECORD_ROUTE])
		for (unsigned i = v->first[HDR_RECORD_ROUTE] - 1; i < v->n; i++)
			if (v->h[i].id == HDR_RECORD_ROUTE)
				head_line(o, v, SV("Record-Route: "), &v->h[i]);
	head_line(o, v, SV("From: "), view_first(v, HDR_FROM));
	head_line(o, v, SV("Call-ID: "), view_first(v, HDR_CALL_ID));
	head_line(o, v, SV("CSeq: "), view_first(v, HDR_CSEQ));
	out_lit(o, "To: ");
	out_value(o, v, view_value(v, HDR_TO));
}

/* The tag of a head lies in the line it ends with. */
static bool head_has_tag(struct sv head)
{
	const char *to = head.len ? memrchr(head.p, '\n', head.len) : NULL;

	return to && head.p + head.len - to > 5 && tag_of(sv_span(to + 5, head.p + head.len)).len != 0;
}

static void status_line(struct out *o, unsigned status, struct sv phrase)
{
	const char digits[] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10), ' ' };

	out_lit(o, "SIP/2.0 ");
	out_known(o, digits, sizeof(digits));
	out_sv(o, phrase.len ? phrase : sv_from(status_phrase(status)));
	out_lit(o, "\r\n");
}

static struct server_txn *server_alloc(struct sip_stack *s, uint64_t key, uint8_t method, const struct path *path)
{
	struct server_txn *st = slab_alloc(&s->servers);

	if (!st || table_add(&s->by_key, &st->in_table, key)) {
		counter_inc(&s->counters, SIP_TXN_REFUSED);
		slab_free(&s->servers, st);
		return NULL;
	}
	st->stack = s;
	st->path = *path;
	st->method = method;
	st->timer.fire = server_fire;
	return st;
}

int server_new(struct sip_stack *s, const struct view *v, const struct path *from, uint64_t key, struct server_txn **out)
{
	SCOPED(buf_putp) struct buf *head = NULL;
	struct server_txn *st;
	struct out o;

	out_init(&o, s->scratch, SIP_SCRATCH);
	head_write(&o, v, from);
	if (o.is_full || !(head = buf_copy_in(s->bufs, out_done(&o))))
		return -ENOMEM;
	if (!(st = server_alloc(s, key, v->method, from)))
		return -ENOSPC;
	st->head = STEAL(head);
	st->has_to_tag = view_to_tag(v).len;
	st->state = v->method == M_INVITE ? PROCEEDING : TRYING;
	/* A backstop: the call has deadlines of its own, all of them earlier. */
	server_ends_in(st, v->method == M_INVITE ? SIP_SERVER_INVITE_MAX_MS : SIP_SERVER_OTHER_MAX_MS);
	*out = st;
	return 0;
}

void server_own(struct server_txn *st, const struct server_ops *ops, void *owner)
{
	st->ops = ops;
	st->owner = owner;
	/* Nobody is going to answer any more: after this its sender has given up, too. */
	if (!ops && !server_is_final(st) && st->end_ms > st->stack->wheel->now_ms + SIP_TIMEOUT)
		server_ends_in(st, SIP_TIMEOUT);
}

void server_begin(struct server_txn *st, struct out *o, unsigned status, struct sv phrase, struct sv to_tag)
{
	out_init(o, st->stack->scratch, SIP_SCRATCH);
	if (!st->head) {
		o->is_full = true;
		return;
	}
	status_line(o, status, phrase);
	out_sv(o, buf_sv(st->head));
	if (to_tag.len && !st->has_to_tag) {
		out_lit(o, ";tag=");
		out_sv(o, to_tag);
	}
	out_lit(o, "\r\n");
}

int server_send(struct server_txn *st, unsigned status, struct out *o)
{
	struct buf *b;
	int err;

	if (server_is_final(st))
		return -EALREADY;
	if (o->is_full)
		return -EMSGSIZE;
	if (!(b = buf_copy_in(st->stack->bufs, out_done(o))))
		return -ENOMEM;
	if ((err = sip_may_leave(st->stack, &st->path, b))) {
		buf_put(b);
		return err;
	}
	buf_put(st->last);
	st->last = b;
	st->status = (uint16_t)status;
	if (status >= 200) {
		buf_put(st->head);
		st->head = NULL;
	}
	server_step(st, status < 200 ? TU_1XX : status < 300 ? TU_2XX : TU_REJECT);
	return 0;
}

int server_answer(struct server_txn *st, unsigned status, struct sv phrase, struct sv to_tag, struct sv headers)
{
	struct out o;

	if (server_is_final(st))
		return -EALREADY;
	server_begin(st, &o, status, phrase, to_tag);
	out_sv(&o, headers);
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	return server_send(st, status, &o);
}

struct buf *server_take_2xx(struct server_txn *st)
{
	return STEAL(st->last);
}

void server_return_2xx(struct server_txn *st, struct buf *last)
{
	if (st->state != ACCEPTED)
		return;
	buf_put(st->last);
	st->last = buf_get(last);
	st->resend_ms = SIP_T1;
	server_arm(st);
}

void server_hush(struct server_txn *st)
{
	buf_put(STEAL(st->last));
	st->resend_ms = 0;
	server_arm(st);
}

void server_repeat(struct server_txn *st, struct buf *last)
{
	counter_inc(&st->stack->counters, SIP_RETRANSMITS_OUT);
	server_transmit(st, last);
}

void server_forget(struct server_txn *st)
{
	if (st->state >= ACCEPTED)
		server_free(st);
}

bool server_is_final(const struct server_txn *st)
{
	return st->state >= ACCEPTED;
}

unsigned server_status(const struct server_txn *st)
{
	return st->status;
}

uint64_t server_id(const struct server_txn *st)
{
	return st->in_table.key;
}

const struct path *server_path(const struct server_txn *st)
{
	return &st->path;
}

void server_move(struct server_txn *st, const struct path *path)
{
	st->path = *path;
}

struct sip_stack *server_stack(struct server_txn *st)
{
	return st->stack;
}

void sip_stateless_begin(struct sip_stack *s, const struct view *v, const struct path *from, unsigned status, struct sv phrase,
                         struct sv to_tag, struct out *o)
{
	out_init(o, s->scratch, SIP_SCRATCH);
	status_line(o, status, phrase);
	head_write(o, v, from);
	if (to_tag.len && !tag_of(view_value(v, HDR_TO)).p) { /* not view_to_tag(): `v` may have a fault, its fields unread */
		out_lit(o, ";tag=");
		out_sv(o, to_tag);
	}
	out_lit(o, "\r\n");
}

int sip_stateless_send(struct sip_stack *s, const struct path *from, struct out *o)
{
	SCOPED(buf_putp) struct buf *b = NULL;
	int err;

	if (o->is_full)
		return -EMSGSIZE;
	if (!(b = buf_copy_in(s->bufs, out_done(o))))
		return -ENOMEM;
	if ((err = sip_may_leave(s, from, b)))
		return err;
	counter_inc(&s->counters, SIP_STATELESS_REPLIES);
	if (net_send(s->net, from, b, 0))
		counter_inc(&s->counters, SIP_SEND_ERRORS);
	return 0;
}

void sip_answer_stateless(struct sip_stack *s, const struct view *v, const struct path *from, unsigned status,
                          struct sv phrase, struct sv to_tag, struct sv headers)
{
	struct out o;

	sip_stateless_begin(s, v, from, status, phrase, to_tag, &o);
	out_sv(&o, headers);
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	sip_stateless_send(s, from, &o);
}

static bool server_drop(void *ctx, struct link *l)
{
	struct server_txn *st = owner_of(l, struct server_txn, in_table);

	wheel_disarm(((struct sip_stack *)ctx)->wheel, &st->timer);
	buf_put(st->head);
	buf_put(st->last);
	return true;
}

void sip_servers_drop(struct sip_stack *s)
{
	table_each(&s->by_key, server_drop, s);
}

size_t server_size(void)
{
	return sizeof(struct server_txn);
}

void server_export(const struct server_txn *st, struct server_record *out)
{
	*out = (struct server_record){ .key = st->in_table.key, .path = st->path, .state = st->state, .method = st->method,
	                               .status = st->status };
	if (st->head)
		out->head = buf_sv(st->head);
	if (st->last)
		out->last = buf_sv(st->last);
}

void server_discard(struct server_txn *st)
{
	st->ops = NULL;
	server_free(st);
}

/* Would a response with this head be one? */
static int head_check(struct sip_stack *s, struct sv head, uint8_t method)
{
	SCOPED(buf_putp) struct buf *b = NULL;
	struct out o;

	if (!head.len)
		return 0;
	out_init(&o, s->scratch, SIP_SCRATCH);
	status_line(&o, 200, SV(""));
	out_sv(&o, head);
	if (!head_has_tag(head))
		out_lit(&o, ";tag=any");
	out_lit(&o, "\r\nContent-Length: 0\r\n\r\n");
	return o.is_full ? -EBADMSG : sip_import_message(s, out_done(&o), method, true, &b);
}

int server_import(struct sip_stack *s, const struct server_record *r, struct server_txn **out)
{
	struct server_txn *st;
	int err;

	if (r->state > TERMINATED || r->method >= M_COUNT ||
	    (r->method == M_INVITE ? invite_steps : other_steps)[r->state][TIMER_END].next != TERMINATED)
		return -EBADMSG;
	if (r->state < ACCEPTED && !r->head.len)
		return -EBADMSG; /* it could never be answered */
	if ((err = head_check(s, r->head, r->method)))
		return err;
	if (!(st = server_alloc(s, r->key, r->method, &r->path)))
		return -ENOSPC;
	st->state = r->state;
	st->status = r->status;
	st->has_to_tag = head_has_tag(r->head);
	err = sip_import_message(s, r->last, r->method, true, &st->last);
	if (!err && r->head.len && !(st->head = buf_copy_in(s->bufs, r->head)))
		err = -ENOMEM;
	if (err) {
		server_free(st);
		return err;
	}
	server_ends_in(st, st->state >= ACCEPTED ? SIP_TIMEOUT : SIP_SERVER_INVITE_MAX_MS);
	*out = st;
	return 0;
}
