#include "tests/flow/ua.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { T1 = 500, T2 = 4000, T4 = 5000, KEEP_OTHER = 10000, KEEP_INVITE = 100000000, FAULTS_SHOWN = 10 };

static void *must(void *p)
{
	assert_non_null(p);
	return p;
}

static uint64_t now(const struct ua *ua)
{
	return ua->world->rig->now_ms;
}

static void arm(struct ua *ua, struct timer *t, uint64_t in_ms)
{
	wheel_arm(&ua->world->rig->clock, t, now(ua) + in_ms);
}

void ua_fault(struct ua_world *w, const struct ua *ua, const char *fmt, ...)
{
	va_list ap;

	if (w->faults++ >= FAULTS_SHOWN || w->is_silent)
		return;
	fprintf(stderr, "fault at %lu ms, call %u, %s (%s): ", (unsigned long)w->rig->now_ms, ua ? ua->number : 0, ua ? ua->at : "-",
	        ua ? ua->call_id : "-");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static uint64_t key_of(struct ua_world *w, const struct addr *at, struct sv call_id, struct sv tag)
{
	struct sv parts[] = { { (const char *)at, sizeof(*at) }, call_id, tag };

	return hash_parts(&w->key, parts, 3);
}

static struct ua *find(struct ua_world *w, const struct addr *at, struct sv call_id, struct sv tag)
{
	struct link *l = table_find(&w->uas, key_of(w, at, call_id, tag));

	return l ? owner_of(l, struct ua, in_world) : NULL;
}

static void trace(const struct ua *ua, const char *verb, const char *bytes, size_t len)
{
	if (ua->is_traced)
		fprintf(stderr, "--- %lu ms: %s %s\n%.*s\n", (unsigned long)now(ua), ua->at, verb, (int)len, bytes);
}

static void transmit(struct ua *ua, const struct buf *b)
{
	if (ua->is_dead)
		return;
	trace(ua, "sends", b->data, b->len);
	rig_send_bytes(ua->world->rig, &ua->addr, ua->listener, b->data, b->len);
}

/* Client side ------------------------------------------------------------------------------------------------------ */

static void client_free(struct ua_client *c)
{
	wheel_disarm(&c->ua->world->rig->clock, &c->timer);
	list_del(&c->in_ua);
	buf_put(c->request);
	buf_put(c->ack);
	free(c);
}

static void client_fire(struct timer *t)
{
	struct ua_client *c = owner_of(t, struct ua_client, timer);
	struct ua *ua = c->ua;

	if (c->is_over) {
		client_free(c);
		return;
	}
	if (now(ua) >= c->end_ms) {
		c->is_over = true;
		arm(ua, &c->timer, KEEP_INVITE);
		if (!ua->is_dead)
			ua->world->ops->on_unanswered(ua, c);
		return;
	}
	transmit(ua, c->request);
	c->interval_ms *= 2;
	if (c->method != M_INVITE && (c->interval_ms > T2 || c->has_provisional))
		c->interval_ms = T2;
	arm(ua, &c->timer, now(ua) + c->interval_ms < c->end_ms ? c->interval_ms : c->end_ms - now(ua));
}

static struct buf *compose(struct ua *ua, enum method method, const char *branch, uint32_t cseq, const char *to_tag,
                           const char *extra, const char *body)
{
	char text[4096];
	bool has_contact = method == M_INVITE || method == M_UPDATE;
	int n = snprintf(text, sizeof(text),
	                 "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s;tag=%s\r\nTo: %s%s%s\r\n"
	                 "Call-ID: %s\r\nCSeq: %u %s\r\n%s%s%s%s%sUser-Agent: %s-Agent\r\n%sContent-Length: %zu\r\n\r\n%s",
	                 method_name(method), ua->target, ua->at, branch, ua->local, ua->tag, ua->remote, *to_tag ? ";tag=" : "", to_tag,
	                 ua->call_id, cseq, method_name(method), has_contact ? "Contact: <sip:" : "", has_contact ? ua->mark : "",
	                 has_contact ? "@" : "", has_contact ? ua->at : "", has_contact ? ">\r\n" : "", ua->mark, extra, strlen(body),
	                 body);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	return must(buf_copy((struct sv){ text, (size_t)n }));
}

static struct ua_client *client_new(struct ua *ua, enum method method, uint32_t cseq)
{
	struct ua_client *c = must(calloc(1, sizeof(*c)));

	c->ua = ua;
	c->method = (uint8_t)method;
	c->cseq = cseq;
	c->timer.fire = client_fire;
	c->interval_ms = T1;
	c->end_ms = now(ua) + 64 * T1;
	snprintf(c->branch, sizeof(c->branch), "z9hG4bK%s%lx", ua->mark, (unsigned long)++ua->world->next_id);
	list_push(&ua->clients, &c->in_ua);
	return c;
}

struct ua_client *ua_request(struct ua *ua, enum method method, const char *to_tag, const char *extra, const char *body)
{
	struct ua_client *c = client_new(ua, method, ++ua->cseq);

	c->request = compose(ua, method, c->branch, c->cseq, to_tag, extra, body);
	transmit(ua, c->request);
	arm(ua, &c->timer, c->interval_ms);
	return c;
}

/* §9.1: with the INVITE's branch, URI and To, once it has a provisional. */
static void cancel_now(struct ua_client *invite)
{
	struct ua *ua = invite->ua;
	struct ua_client *c = client_new(ua, M_CANCEL, invite->cseq);

	strcpy(c->branch, invite->branch);
	c->request = compose(ua, M_CANCEL, c->branch, c->cseq, "", "", "");
	transmit(ua, c->request);
	arm(ua, &c->timer, c->interval_ms);
}

void ua_cancel(struct ua_client *invite)
{
	if (invite->wants_cancel || invite->status)
		return;
	invite->wants_cancel = true;
	if (invite->has_provisional)
		cancel_now(invite);
}

void ua_cancel_late(struct ua_client *invite)
{
	cancel_now(invite);
}

void ua_ack(struct ua_client *invite, const char *extra, const char *body)
{
	struct ua *ua = invite->ua;
	char branch[40];

	snprintf(branch, sizeof(branch), "z9hG4bK%s%lx", ua->mark, (unsigned long)++ua->world->next_id);
	buf_put(invite->ack);
	invite->ack = compose(ua, M_ACK, branch, invite->cseq, ua->peer_tag, extra, body);
	transmit(ua, invite->ack);
}

/* §17.1.1.3: within the transaction. */
static void ack_refusal(struct ua_client *c, struct sv tag)
{
	char to[64];

	snprintf(to, sizeof(to), "%.*s", SV_ARG(tag));
	if (!c->ack)
		c->ack = compose(c->ua, M_ACK, c->branch, c->cseq, to, "", "");
	transmit(c->ua, c->ack);
}

static struct ua_client *client_of(struct ua *ua, struct sv branch, uint8_t method)
{
	list_each(n, &ua->clients) {
		struct ua_client *c = owner_of(n, struct ua_client, in_ua);

		if (c->method == method && sv_eq(branch, sv_from(c->branch)))
			return c;
	}
	return NULL;
}

static void take_final_again(struct ua_client *c, const struct view *v, struct sv tag)
{
	/* without state, before and after the call's end: both say it is gone */
	if (c->method == M_BYE && (v->status == 200 || v->status == 481))
		return;
	if (v->status != c->status || !sv_eq(tag, sv_from(c->final_tag)))
		ua_fault(c->ua->world, c->ua, "%s answered twice: %u;tag=%s, then %u;tag=%.*s", method_name(c->method), c->status,
		         c->final_tag, v->status, SV_ARG(tag));
	else if (c->method == M_INVITE && c->ack)
		transmit(c->ua, c->ack);
}

static void take_response(struct ua *ua, struct ua_client *c, const struct view *v)
{
	struct ua_world *w = ua->world;
	struct sv tag = tag_of(view_value(v, HDR_TO));

	if (v->status < 200) {
		if (c->status && w->is_ordered)
			ua_fault(w, ua, "%u after %u", v->status, c->status);
		if (c->status || c->is_over)
			return;
		if (!c->has_provisional && c->method == M_INVITE)
			wheel_disarm(&w->rig->clock, &c->timer);
		c->has_provisional = true;
		w->ops->on_response(ua, c, v);
		if (c->wants_cancel && c->method == M_INVITE && !client_of(ua, sv_from(c->branch), M_CANCEL))
			cancel_now(c);
		return;
	}
	if (c->status) {
		take_final_again(c, v, tag);
		return;
	}
	c->status = v->status;
	c->is_over = true;
	snprintf(c->final_tag, sizeof(c->final_tag), "%.*s", SV_ARG(tag));
	arm(ua, &c->timer, c->method == M_INVITE ? KEEP_INVITE : KEEP_OTHER);
	if (c->method == M_INVITE && v->status >= 300)
		ack_refusal(c, tag);
	w->ops->on_response(ua, c, v);
}

struct ua_client *ua_asking(struct ua *ua, enum method method)
{
	list_each(n, &ua->clients) {
		struct ua_client *c = owner_of(n, struct ua_client, in_ua);

		if (c->method == method && !c->is_over)
			return c;
	}
	return NULL;
}

/* Server side ------------------------------------------------------------------------------------------------------ */

static void server_free(struct ua_server *s)
{
	wheel_disarm(&s->ua->world->rig->clock, &s->timer);
	list_del(&s->in_ua);
	buf_put(s->head);
	buf_put(s->last);
	free(s);
}

/* Timer G for refusals, §13.3.1.4 for 2xx. The callee waits a little longer than it must, so that an SBC that acknowledges in its
 * caller's place at 64*T1 is in time. */
static void server_fire(struct timer *t)
{
	struct ua_server *s = owner_of(t, struct ua_server, timer);
	struct ua *ua = s->ua;

	if (s->is_acked || s->method != M_INVITE) {
		server_free(s);
		return;
	}
	if (now(ua) >= s->end_ms) {
		s->is_acked = true;
		arm(ua, &s->timer, KEEP_INVITE);
		if (!ua->is_dead)
			ua->world->ops->on_unacknowledged(ua, s);
		return;
	}
	transmit(ua, s->last);
	s->interval_ms = s->interval_ms * 2 > T2 ? T2 : s->interval_ms * 2;
	arm(ua, &s->timer, s->interval_ms);
}

static struct ua_server *server_add(struct ua *ua, uint8_t method, uint32_t cseq)
{
	struct ua_server *s = must(calloc(1, sizeof(*s)));

	s->ua = ua;
	s->method = method;
	s->cseq = cseq;
	s->timer.fire = server_fire;
	list_push(&ua->servers, &s->in_ua);
	return s;
}

static struct buf *compose_response(struct ua *ua, struct ua_server *s, unsigned status, const char *extra, const char *body)
{
	char text[4096];
	bool has_tag = tag_of(sv_from(s->to)).len || status == 100;
	bool has_contact = s->method == M_INVITE && status > 100 && status < 400;
	int n = snprintf(text, sizeof(text),
	                 "SIP/2.0 %u %s\r\n%.*sTo: %s%s%s\r\n%s%s%s%s%sServer: %s-Agent\r\n%sContent-Length: %zu\r\n\r\n%s",
	                 status, status_phrase(status), SV_ARG(buf_sv(s->head)), s->to, has_tag ? "" : ";tag=", has_tag ? "" : ua->tag,
	                 has_contact ? "Contact: <sip:" : "", has_contact ? ua->mark : "", has_contact ? "@" : "",
	                 has_contact ? ua->at : "", has_contact ? ">\r\n" : "", ua->mark, extra, strlen(body), body);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	return must(buf_copy((struct sv){ text, (size_t)n }));
}

void ua_answer(struct ua *ua, struct ua_server *s, unsigned status, const char *extra, const char *body)
{
	if (ua->is_dead)
		return;
	buf_put(s->last);
	s->last = compose_response(ua, s, status, extra, body);
	transmit(ua, s->last);
	if (status < 200)
		return;
	s->status = (uint16_t)status;
	if (s->method == M_INVITE && status < 300 && s->ua != ua) { /* a dialog of its own repeats its 2xx itself */
		struct ua_server *own = server_add(ua, M_INVITE, s->cseq);

		own->head = buf_get(s->head);
		own->last = buf_get(s->last);
		own->status = s->status;
		s->is_acked = true;
		arm(s->ua, &s->timer, KEEP_INVITE);
		s = own;
	}
	s->interval_ms = T1;
	s->end_ms = now(ua) + 64 * T1 + 16000;
	arm(ua, &s->timer, s->method == M_INVITE ? T1 : 64 * T1);
}

struct buf *ua_stray_answer(struct ua *ua, struct ua_server *s, unsigned status, const char *extra)
{
	return compose_response(ua, s, status, extra, "");
}

void ua_send_stray(struct ua *ua, const struct buf *b)
{
	transmit(ua, b);
}

struct ua_server *ua_invite_of(struct ua *ua)
{
	list_each(n, &ua->servers) {
		struct ua_server *s = owner_of(n, struct ua_server, in_ua);

		if (s->method == M_INVITE && !s->status)
			return s;
	}
	return NULL;
}

static struct sv branch_of(const struct view *v)
{
	struct sv rest = view_value(v, HDR_VIA);
	struct via via;

	return via_next(&via, &rest) ? SV("") : via.branch;
}

static struct ua_server *server_of(struct ua *ua, struct sv branch, uint8_t method)
{
	list_each(n, &ua->servers) {
		struct ua_server *s = owner_of(n, struct ua_server, in_ua);

		if (s->method == method && sv_eq(branch, sv_from(s->branch)))
			return s;
	}
	return NULL;
}

static struct ua_server *server_take(struct ua *ua, const struct view *v)
{
	struct ua_server *s = server_add(ua, v->method, v->cseq);
	char text[2048];
	int n = snprintf(text, sizeof(text), "Via: %.*s\r\nFrom: %.*s\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n", SV_ARG(view_value(v, HDR_VIA)),
	                 SV_ARG(view_value(v, HDR_FROM)), SV_ARG(view_value(v, HDR_CALL_ID)), SV_ARG(view_value(v, HDR_CSEQ)));

	assert_true(n > 0 && (size_t)n < sizeof(text));
	s->head = must(buf_copy((struct sv){ text, (size_t)n }));
	snprintf(s->branch, sizeof(s->branch), "%.*s", SV_ARG(branch_of(v)));
	snprintf(s->to, sizeof(s->to), "%.*s", SV_ARG(view_value(v, HDR_TO)));
	return s;
}

/* The ACK of a refusal belongs to whoever holds the INVITE, whichever dialog's tag it carries. */
static bool take_refusal_ack(struct ua *ua, const struct view *v)
{
	struct ua_server *s = ua ? server_of(ua, branch_of(v), M_INVITE) : NULL;

	if (!s || s->status < 300)
		return false;
	s->is_acked = true;
	arm(ua, &s->timer, KEEP_INVITE);
	return true;
}

static void take_ack(struct ua *ua, const struct view *v)
{
	list_each(n, &ua->servers) {
		struct ua_server *s = owner_of(n, struct ua_server, in_ua);

		if (s->method != M_INVITE || s->cseq != v->cseq || !s->status || s->is_acked)
			continue;
		s->is_acked = true;
		arm(ua, &s->timer, KEEP_INVITE);
		ua->world->ops->on_ack(ua, s, v);
		return;
	}
}

static void take_cancel(struct ua *ua, const struct view *v, struct sv branch)
{
	struct ua_server *invite = server_of(ua, branch, M_INVITE), *s = server_take(ua, v);

	ua_answer(ua, s, invite ? 200 : 481, "", "");
	if (invite && !invite->status)
		ua->world->ops->on_cancel(ua, invite);
}

static void take_request(struct ua *ua, const struct view *v)
{
	struct sv branch = branch_of(v);
	struct ua_server *s = server_of(ua, branch, v->method);

	if (v->method == M_ACK) {
		take_ack(ua, v);
	} else if (s) {
		if (s->last && (s->method != M_INVITE || !s->status))
			transmit(ua, s->last);
	} else if (v->method == M_CANCEL) {
		take_cancel(ua, v, branch);
	} else {
		s = server_take(ua, v);
		if (v->cseq <= ua->peer_cseq && tag_of(view_value(v, HDR_TO)).len) {
			if (ua->world->is_perfect) /* else a request sent again may come behind its successor */
				ua_fault(ua->world, ua, "%s with CSeq %u after %u", method_name(v->method), v->cseq, ua->peer_cseq);
			ua_answer(ua, s, 500, "", "");
			return;
		}
		ua->peer_cseq = v->cseq;
		ua->world->ops->on_request(ua, s, v);
	}
}

/* The world -------------------------------------------------------------------------------------------------------- */

static void take(struct ua_world *w, const struct packet *p, const struct view *v)
{
	struct sv call_id = view_value(v, HDR_CALL_ID), tag = tag_of(view_value(v, v->status ? HDR_FROM : HDR_TO));
	struct ua *ua = find(w, &p->to, call_id, tag);
	struct ua_client *c;

	if (ua && !ua->is_dead)
		trace(ua, "gets", p->bytes, p->len);
	if (ua && ua->is_dead)
		return;
	if (v->status) {
		c = ua ? client_of(ua, branch_of(v), v->method) : NULL;
		if (c)
			take_response(ua, c, v);
		else
			w->ops->on_stray(w, p, v);
		return;
	}
	if (!ua && v->method == M_INVITE && !tag.len)
		ua = w->ops->on_invite(w, p, v);
	if (v->method == M_ACK && take_refusal_ack(find(w, &p->to, call_id, SV("")), v))
		return;
	if (ua)
		take_request(ua, v);
	else if (v->method != M_INVITE || tag.len)
		ua_fault(w, NULL, "%s for nobody:\n%s", method_name(v->method), p->bytes);
}

static void on_packet(void *ctx, const struct packet *p)
{
	struct ua_world *w = ctx;
	struct view_fault fault;
	struct view v;

	w->messages++;
	if (view_scan(&v, p->bytes, p->len, false, &fault))
		ua_fault(w, NULL, "malformed (%s):\n%s", fault.reason, p->bytes);
	else
		take(w, p, &v);
}

void ua_world_init(struct ua_world *w, struct rig *rig, const struct ua_ops *ops, void *ctx)
{
	*w = (struct ua_world){ .rig = rig, .ops = ops, .ctx = ctx, .key = { 3, 4 } };
	list_init(&w->all);
	assert_int_equal(table_init(&w->uas, 0), 0);
	rig->hooks.ctx = w;
	rig->hooks.on_packet = on_packet;
}

struct ua *ua_new(struct ua_world *w, const char *at, uint16_t listener, const char *mark, struct sv call_id, const char *tag)
{
	struct ua *ua = must(calloc(1, sizeof(*ua)));

	ua->world = w;
	ua->at = at;
	ua->mark = mark;
	ua->listener = listener;
	assert_int_equal(addr_parse(&ua->addr, sv_from(at)), 0);
	snprintf(ua->call_id, sizeof(ua->call_id), "%.*s", SV_ARG(call_id));
	snprintf(ua->tag, sizeof(ua->tag), "%s", tag);
	list_init(&ua->clients);
	list_init(&ua->servers);
	list_push(&w->all, &ua->in_all);
	return ua;
}

void ua_listen(struct ua *ua)
{
	table_add(&ua->world->uas, &ua->in_world, key_of(ua->world, &ua->addr, sv_from(ua->call_id), sv_from(ua->tag)));
}

static void ua_free(struct ua *ua)
{
	while (!list_empty(&ua->clients))
		client_free(owner_of(ua->clients.next, struct ua_client, in_ua));
	while (!list_empty(&ua->servers))
		server_free(owner_of(ua->servers.next, struct ua_server, in_ua));
	list_del(&ua->in_all);
	free(ua);
}

void ua_world_fini(struct ua_world *w)
{
	while (!list_empty(&w->all))
		ua_free(owner_of(w->all.next, struct ua, in_all));
	table_fini(&w->uas);
	w->rig->hooks = (struct rig_hooks){ .ctx = NULL };
}
