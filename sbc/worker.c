#include "sbc/worker.h"
#include "sbc/aim.h"
#include "apps-router/route.h"
#include "sip/header.h"
#include "transports/upgrade.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct counter_def worker_counter_defs[WORKER_COUNTERS] = {
	[MESSAGES_RECEIVED] = { "messages_received_total", "Messages received", false },
	[MESSAGES_MALFORMED] = { "messages_malformed_total", "Messages that break the grammar or a bound", false },
	[MESSAGES_IGNORED] = { "messages_ignored_total", "Keep-alives and what is no SIP at all", false },
	[MESSAGES_HANDED_OVER] = { "messages_handed_over_total", "Messages given to the worker that owns their call", false },
	[MESSAGES_TAKEN_OVER] = { "messages_taken_over_total", "Messages received from other workers", false },
	[HANDOVER_DROPPED] = { "handover_dropped_total", "Messages lost because the owner's mailbox was full", false },
	[RESPONSES_FORGED] = { "responses_forged_total", "Responses whose branch is not ours", false },
	[REQUESTS_FORGED] = { "requests_forged_total", "In-dialog requests whose identifiers are not ours", false },
	[ICMP_MATCHED] = { "icmp_matched_total", "ICMP errors that name a request of ours", false },
	[ICMP_IGNORED] = { "icmp_ignored_total", "ICMP errors that prove nothing (DECISIONS 23)", false },
	[ACCOUNTS_NOW] = { "trunk_registrations", "Registrations of ours at trunks, asked for, held or being taken back", true },
	[CALLS_NOW] = { "calls", "Calls and other initial requests held now", true },
};

/* One message with what was read of it: where it came from, whose it is, and (for a request) its tokens. */
struct arrival {
	const struct view *v;
	struct path from;
	struct request request;
	uint64_t branch_id;      /* of a response */
};

/* An arrival on its way to the worker that owns it. The view and the bytes lie behind it in one piece. */
struct handover {
	struct mail mail;
	struct node in_held;
	struct arrival arrival;
	unsigned owner;
	bool is_urgent;
	struct view view;        /* cut behind its last header; the bytes follow */
};

static void deliver_response_or_request(struct worker *w, const struct arrival *a)
{
	const struct request *r = &a->request;

	if (a->v->status) {
		sip_client_input(&w->stack, a->branch_id, a->v, &a->from);
		return;
	}
	if (!sip_server_absorb(&w->stack, r->v, r->from, r->key))
		b2bua_request(w->calls, r);
}

static void deliver_here(struct worker *w, const struct arrival *a)
{
	struct sip_guard *guard = w->stack.guard;

	if (guard) {
		guard->cause = a->v;
		guard->cause_from = &a->from;
	}
	deliver_response_or_request(w, a);
	if (guard)
		guard->cause = NULL;
}

static void handover_deliver(struct mail *m, void *reader)
{
	struct handover *h = owner_of(m, struct handover, mail);
	struct worker *w = reader;

	counter_inc(&w->counters, MESSAGES_TAKEN_OVER);
	deliver_here(w, &h->arrival);
	free(h);
}

static struct handover *handover_new(const struct arrival *a, unsigned owner, bool is_urgent)
{
	const struct view *v = a->v;
	size_t head = offsetof(struct view, h) + v->n * sizeof(v->h[0]);
	size_t before = offsetof(struct handover, view) + head;
	struct handover *h = malloc(before + v->len + BUF_PAD);
	char *bytes;

	if (!h)
		return NULL;
	bytes = (char *)h + before;
	h->mail.deliver = handover_deliver;
	h->arrival = *a;
	h->owner = owner;
	h->is_urgent = is_urgent;
	memcpy(&h->view, v, head);
	memcpy(bytes, v->base, v->len);
	memset(bytes + v->len, 0, BUF_PAD);
	h->view.base = bytes;
	h->arrival.v = h->arrival.request.v = &h->view;
	h->arrival.request.from = &h->arrival.from;
	h->arrival.request.to = NULL; /* of the bytes as they came */
	return h;
}

int worker_post(struct worker *w, unsigned to, struct mail *m, bool is_urgent)
{
	int err = w->shared->post(w->shared, to, m, is_urgent);

	if (!err)
		w->posted |= 1ull << to % WORKERS_MAX;
	return err;
}

void worker_wake_others(struct worker *w)
{
	for (; w->posted; w->posted &= w->posted - 1)
		w->shared->wake(w->shared, (unsigned)__builtin_ctzll(w->posted));
}

/* A datagram that finds no room is lost and comes again; a stream is not read until there is room (DECISIONS 22). */
static void hand_over(struct worker *w, const struct arrival *a, unsigned owner, bool is_urgent)
{
	struct handover *h = handover_new(a, owner, is_urgent);

	if (h && list_empty(&w->held) && worker_post(w, owner, &h->mail, is_urgent) == 0) {
		counter_inc(&w->counters, MESSAGES_HANDED_OVER);
		return;
	}
	if (h && transport_is_stream(a->from.transport) && w->n_held < WORKER_HELD_MAX) {
		list_push(&w->held, &h->in_held);
		if (w->n_held++ == 0 && w->pause_streams)
			w->pause_streams(w->net, true);
		return;
	}
	counter_inc(&w->counters, HANDOVER_DROPPED);
	free(h);
}

static void held_retry(struct worker *w)
{
	while (!list_empty(&w->held)) {
		struct handover *h = owner_of(w->held.next, struct handover, in_held);

		list_del(&h->in_held); /* first: once posted it is the owner's */
		if (worker_post(w, h->owner, &h->mail, h->is_urgent)) {
			list_push_front(&w->held, &h->in_held);
			return;
		}
		counter_inc(&w->counters, MESSAGES_HANDED_OVER);
		if (--w->n_held == 0 && w->pause_streams)
			w->pause_streams(w->net, false);
	}
}

static void arrive(struct worker *w, const struct arrival *a, uint16_t shard, bool is_urgent)
{
	unsigned owner = shard % w->shared->workers;

	if (owner == w->index)
		deliver_here(w, a);
	else
		hand_over(w, a, owner, is_urgent);
}

/* Responses: by our branch, before anything else is looked at (DECISIONS 5). */
static void arrive_response(struct worker *w, struct arrival *a)
{
	struct sv cookie = SV("z9hG4bK");
	struct token token;

	if (token_read(w->tokens, TOKEN_BRANCH, sv_skip(view_via_branch(a->v), cookie.len), &token)) {
		if (!keepalive_response(w, a->v, &a->from))
			counter_inc(&w->counters, RESPONSES_FORGED);
		return;
	}
	if (w->hears)
		keepalive_note(w, &a->from);
	a->branch_id = token.id;
	arrive(w, a, token.shard, true);
}

static void answer_fault(struct worker *w, const struct view *v, const struct path *from, unsigned status, const char *reason)
{
	char tag[TOKEN_LEN], phrase[96];

	token_write(w->tokens, TOKEN_TAG, (struct token){ .id = 1, .shard = token_shard(w->tokens, view_value(v, HDR_CALL_ID)) }, tag);
	snprintf(phrase, sizeof(phrase), "%s (%s)", status_phrase(status), reason);
	sip_answer_stateless(&w->stack, v, from, status, sv_from(phrase), (struct sv){ tag, TOKEN_LEN }, SV(""));
}

/* The user of the Request-URI; empty when it has not the length of a token. */
static struct sv uri_token(const struct view *v)
{
	struct sv uri = view_uri(v);
	bool is_sip = uri.len >= 4 && memcmp(uri.p, "sip:", 4) == 0; /* as nearly always */
	struct sv user = sv_skip(uri, is_sip ? 4 : sv_chr(uri, ':') + 1);

	return (struct sv){ user.p, user.len > TOKEN_LEN && user.p[TOKEN_LEN] == '@' ? TOKEN_LEN : 0 };
}

/* A server that passes our request on as a proxy, back to us, keeps our Call-ID: both passes meet on one worker (loops are seen there). */
static uint16_t first_shard(struct worker *w, const struct view *v)
{
	struct sv call_id = view_value(v, HDR_CALL_ID);
	struct token far;

	if (call_id.len == TOKEN_LEN && token_read(w->tokens, TOKEN_LEG, call_id, &far) == 0)
		return far.shard;
	return token_shard(w->tokens, call_id);
}

/* A REGISTER goes where the bindings of its address of record are; who owns them hears when the connection it came over is gone. */
static uint16_t register_shard(struct worker *w, struct arrival *a, struct registrant *to)
{
	uint16_t shard;

	if (registrant_of_value(to, token_hash_key(w->tokens), view_value(a->v, HDR_TO)))
		return first_shard(w, a->v);
	a->request.to = to;
	shard = aor_shard(to->key);
	if (a->from.flow)
		flows_note(&w->flows, a->from.flow, shard % w->shared->workers);
	return shard;
}

/* Slot + 1 of the trunk that the other end of its connection has proved to be (RFC 5922 §7.1); 0: none. Only the worker that has the
 * connection can tell. */
static uint16_t proven_trunk(const struct worker *w, const struct path *from)
{
	struct sv names[WORKER_NAMES_MAX];
	unsigned n = transport_is_secure(from->transport) ? net_peer_names(w->net, from, names, WORKER_NAMES_MAX) : 0;
	int index = -1;

	for (unsigned i = 0; i < n && index < 0; i++)
		index = conf_trunk_named(w->conf, w->conf->listeners[from->listener].zone, names[i]);
	return index < 0 ? 0 : (uint16_t)(w->conf->trunks[index].slot + 1);
}

/* Of a request that begins something: a leg as others may name it, or a contact that a registrar behind us has of us, as it is asked for
 * or by the Path we gave it. */
static void read_other_tokens(struct worker *w, struct request *r)
{
	struct sv text = uri_token(r->v), route = r->v->first[HDR_ROUTE] ? view_value(r->v, HDR_ROUTE) : SV("");
	size_t colon = sv_chr(route, ':');
	uint16_t contact = 0;

	if (w->conf->has_trunk_names)
		r->trunk = proven_trunk(w, r->from);
	r->has_leg = r->is_transfer = token_read(w->tokens, TOKEN_TRANSFER, text, &r->leg) == 0;
	if (r->has_leg || r->v->method == M_REGISTER)
		return;
	if (!text.len && route.len > colon + 1 + TOKEN_LEN && route.p[colon + 1 + TOKEN_LEN] == '@')
		text = (struct sv){ route.p + colon + 1, TOKEN_LEN };
	r->is_binding = token_read(w->tokens, TOKEN_BINDING, text, &r->leg) == 0;
	if (r->is_binding && w->conf->n_trunks && uri_token(r->v).len)
		contact = b2bua_trunk_contact(w->calls, r->leg.id, r->from);
	r->trunk = contact ? contact : r->trunk;
	r->is_contact = contact != 0; /* calls of one trunk are everybody's: by their Call-ID */
	r->is_binding &= !r->is_contact;
}

/* Requests: by the token in the Request-URI, else by the one in our own tag; without any, by Call-ID (DECISIONS 5). */
static void arrive_request(struct worker *w, struct arrival *a)
{
	struct request *r = &a->request;
	struct sv to_tag = view_to_tag(a->v);
	struct registrant to;

	if (w->hears)
		keepalive_note(w, &a->from);
	*r = (struct request){ .v = a->v, .from = &a->from, .key = sip_request_key(&w->stack, a->v) };
	r->has_leg = token_read(w->tokens, TOKEN_LEG, uri_token(a->v), &r->leg) == 0;
	r->has_tag = to_tag.len && token_read(w->tokens, TOKEN_TAG, to_tag, &r->tag) == 0;
	if (!r->has_leg && !to_tag.len)
		read_other_tokens(w, r);
	if (to_tag.len && (!r->has_tag || (r->has_leg && r->leg.shard != r->tag.shard))) {
		counter_inc(&w->counters, REQUESTS_FORGED);
		if (a->v->method != M_ACK)
			sip_answer_stateless(&w->stack, a->v, &a->from, 481, SV(""), SV(""), SV(""));
		return;
	}
	r->shard = r->has_leg || r->is_binding ? r->leg.shard : r->has_tag ? r->tag.shard :
	           a->v->method == M_REGISTER ? register_shard(w, a, &to) : first_shard(w, a->v);
	arrive(w, a, r->shard, to_tag.len != 0);
	r->to = NULL; /* it ends here */
}

/* RFC 5923: a server that connected to us says where it listens. Believed of whom we trust, and for its own address. */
static void hear_alias(struct worker *w, const struct view *v, const struct path *from)
{
	struct sv value = view_value(v, HDR_VIA), param;
	struct addr at;
	struct via via;

	if (!route_is_trusted(w->conf, w->conf->listeners[from->listener].zone, &from->remote) || via_next(&via, &value) ||
	    !param_find(via.params, SV("alias"), &param) || addr_parse(&at, via.host) || !addr_eq_ip(&at, &from->remote))
		return;
	net_alias(w->net, from, via.port ? via.port : resolve_default_port(from->transport));
}

static void on_message(void *ctx, const struct path *from, char *bytes, size_t len, bool is_broken)
{
	struct worker *w = ctx;
	struct arrival a;
	struct view_fault fault = { .status = 400, .reason = "content-length", .is_answerable = true };
	struct view v;
	bool is_stream = transport_is_stream(from->transport) && !transport_is_websocket(from->transport) && !is_broken;
	int err = view_scan(&v, bytes, len, is_stream, &fault);

	counter_inc(&w->counters, MESSAGES_RECEIVED);
	if (err == -EAGAIN) {
		counter_inc(&w->counters, MESSAGES_IGNORED);
		return;
	}
	if (err || (is_broken && !v.status)) {
		counter_inc(&w->counters, MESSAGES_MALFORMED);
		if (fault.is_answerable && fault.status && (err || v.method != M_ACK))
			answer_fault(w, &v, from, fault.status, fault.reason);
		return;
	}
	a.v = &v;
	a.from = *from;
	if (!v.status && transport_is_stream(from->transport))
		hear_alias(w, &v, from);
	if (v.status)
		arrive_response(w, &a);
	else
		arrive_request(w, &a);
}

/* DECISIONS 23: an ICMP error counts only if what it returns holds a live branch of ours. */
struct icmp_mail {
	struct mail mail;
	uint64_t branch_id;
	struct addr to;
	int error;
};

static void icmp_apply(struct worker *w, uint64_t branch_id, const struct addr *to, int error)
{
	sip_client_broken(&w->stack, branch_id, to, error);
}

static void icmp_deliver(struct mail *m, void *reader)
{
	struct icmp_mail *i = owner_of(m, struct icmp_mail, mail);

	icmp_apply(reader, i->branch_id, &i->to, i->error);
	free(i);
}

static void on_icmp(void *ctx, const struct path *to, struct sv bytes, int error)
{
	struct worker *w = ctx;
	struct sv cookie = SV("branch=z9hG4bK");
	size_t at = sv_find(bytes, cookie);
	struct sv text = sv_skip(bytes, at == SIZE_MAX ? bytes.len : at + cookie.len);
	struct icmp_mail *m;
	struct token token;

	text.len = text.len < TOKEN_LEN ? 0 : TOKEN_LEN;
	if (token_read(w->tokens, TOKEN_BRANCH, text, &token)) {
		counter_inc(&w->counters, ICMP_IGNORED);
		return;
	}
	counter_inc(&w->counters, ICMP_MATCHED);
	error = error > 0 ? -error : error;
	if (token.shard % w->shared->workers == w->index) {
		icmp_apply(w, token.id, &to->remote, error);
		return;
	}
	if (!(m = malloc(sizeof(*m))))
		return;
	*m = (struct icmp_mail){ .mail = { icmp_deliver }, .branch_id = token.id, .to = to->remote, .error = error };
	if (worker_post(w, token.shard % w->shared->workers, &m->mail, true))
		free(m);
}

static void on_send_failed(void *ctx, const struct path *to, uint64_t cookie, int error)
{
	struct worker *w = ctx;

	error = error > 0 ? -error : error;
	if (!cookie)
		return;
	sip_client_broken(&w->stack, cookie, NULL, error); /* one of either kind: they are hashes of 64 bits, keyed */
	sip_server_broken(&w->stack, cookie, to, error);
}

/* A connection is gone: the workers with contacts over it are told, behind the last REGISTER that came by it. */
struct closed_mail {
	struct mail mail;
	uint64_t flow;
};

static void closed_deliver(struct mail *m, void *reader)
{
	struct closed_mail *c = owner_of(m, struct closed_mail, mail);
	struct worker *w = reader;

	b2bua_flow_closed(w->calls, c->flow);
	free(c);
}

static int tell_closed(void *ctx, unsigned worker, uint64_t flow)
{
	struct worker *w = ctx;
	struct closed_mail *c;

	if (worker == w->index) {
		b2bua_flow_closed(w->calls, flow);
		return 0;
	}
	if (!list_empty(&w->held))
		return -EAGAIN;
	if (!(c = malloc(sizeof(*c))))
		return -ENOMEM;
	*c = (struct closed_mail){ .mail = { closed_deliver }, .flow = flow };
	if (worker_post(w, worker, &c->mail, true) == 0)
		return 0;
	free(c);
	return -ENOBUFS;
}

/* A leg whose flow is gone hears of it at its next send. */
static void on_flow_closed(void *ctx, uint64_t flow)
{
	struct worker *w = ctx;

	if (!w->is_ending)
		flows_closed(&w->flows, flow, tell_closed, w);
}

static void on_alive(void *ctx, const struct path *from)
{
	struct worker *w = ctx;

	if (w->hears)
		keepalive_note(w, from);
}

/* A balancer of ours in front of that listener. */
static bool is_proxy(void *ctx, uint16_t listener, const struct addr *remote)
{
	const struct worker *w = ctx;
	const struct conf_zone *z = &w->conf->zones[w->conf->listeners[listener].zone];

	for (unsigned i = 0; i < z->n_proxies; i++)
		if (prefix_has(&z->proxies[i], remote))
			return true;
	return false;
}

/* Of the configuration in force: a path or an origin written anew holds for the next connection. */
static void on_upgrade(void *ctx, const struct path *at, bool is_ours, struct upgrade_rules *out)
{
	const struct worker *w = ctx;
	const struct conf *c = w->conf;
	const struct conf_listener *l = &c->listeners[at->listener];
	const struct conf_zone *z = &c->zones[l->zone];

	*out = (struct upgrade_rules){ .path = l->path, .origins = z->origins, .n_origins = z->n_origins };
	for (unsigned i = 0; is_ours && i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];

		bool is_there = d->is_numeric ? addr_eq(&d->addr, &at->remote) : !d->port || d->port == at->remote.port;

		if (is_there && d->transport == at->transport) {
			out->path = d->path;
			return;
		}
	}
	if (is_ours)
		out->path = SV("/");
}

struct net_handler worker_handler(struct worker *w)
{
	return (struct net_handler){ .ctx = w, .on_message = on_message, .on_icmp = on_icmp, .on_send_failed = on_send_failed,
	                             .on_flow_closed = on_flow_closed, .on_alive = on_alive, .is_proxy = is_proxy,
	                             .on_upgrade = on_upgrade };
}

/* Questions that requests ask of other workers ---------------------------------------------------------------------- */

static void errand_deliver(struct mail *m, void *reader)
{
	struct b2bua_errand *e = owner_of(m, struct b2bua_errand, mail);
	struct worker *w = reader;

	if (w->is_ending) /* the others may be gone */
		b2bua_errand_free(e);
	else
		b2bua_errand(w->calls, e);
}

static int errand_send(void *ctx, unsigned worker, struct b2bua_errand *e)
{
	struct worker *w = ctx;

	if (w->is_ending)
		return -ENOBUFS;
	e->mail.deliver = errand_deliver;
	return worker_post(w, worker, &e->mail, true);
}

static void on_binding_moved(void *ctx, struct binding *b)
{
	struct worker *w = ctx;

	b2bua_binding_moved(w->calls, b);
}

/* Probes: OPTIONS of our own, outside of any call ----------------------------------------------------------------- */

struct probe {
	struct worker *w;
	uint64_t ticket, resolve_id;
	uint32_t destination;
	uint64_t gen;            /* of the snapshot that `destination` is a number in */
	struct aim *aim;         /* to a name; NULL: it goes to an address */
	struct addr at;
	struct client_txn *ct;   /* NULL: the name is asked for */
	struct timer deadline;   /* the prober's: later nobody wants to know, and the next one is on its way */
};

static void probe_free(struct probe *p)
{
	wheel_disarm(&p->w->wheel, &p->deadline);
	slab_free(&p->w->probes, p);
}

/* NULL without memory: then the first address it is. */
static struct aim *aim_of(struct worker *w, uint32_t destination)
{
	uint16_t slot = pools_slot(w->shared->pools, w->conf, destination);

	if (!w->aims)
		w->aims = calloc(POOL_DESTINATIONS_MAX, sizeof(*w->aims));
	return w->aims && slot < POOL_DESTINATIONS_MAX ? &w->aims[slot] : NULL;
}

static void probe_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	probe_free(owner);
}

/* Not repeated for the 32 s of a transaction: that would be dozens of them at once to each server that is dead. */
static void probe_late(struct timer *t)
{
	struct probe *p = owner_of(t, struct probe, deadline);

	if (p->ct)
		client_discard(p->ct);
	else
		resolve_cancel(p->w->resolver, p->resolve_id);
	probe_free(p);
}

static void probe_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct probe *p = owner;

	if (v->status < 200)
		return;
	if (v->status == 401 || v->status == 407)
		b2bua_probe_challenged(p->w->calls, v, from);
	prober_result(p->w->prober, p->ticket, v->status, 0);
	if (p->aim && v->status < 500 && v->status != 408) /* what the prober takes for life */
		aim_answered(p->aim, &p->at);
	client_own(ct, NULL, NULL);
	probe_free(p);
}

static void probe_failed(void *owner, struct client_txn *ct, int err)
{
	struct probe *p = owner;

	(void)ct;
	prober_result(p->w->prober, p->ticket, 0, err);
}

static const struct client_ops probe_ops = { .on_response = probe_response, .on_failed = probe_failed, .on_end = probe_end };

static int probe_start(struct probe *p, const struct addr *to, uint8_t transport)
{
	struct worker *w = p->w;
	const struct conf_destination *d = &w->conf->destinations[p->destination];
	uint16_t zone = w->conf->pools[d->pool].zone;
	struct token self = { .id = token_branch_id(w->tokens, w->index + 1, 0, (uint32_t)p->ticket),
	                      .shard = (uint16_t)w->index };
	SCOPED(buf_putp) struct buf *b = NULL;
	char branch[TOKEN_LEN + 1] = "", tag[TOKEN_LEN + 1] = "", text[1024];
	struct path path = { .remote = *to, .transport = transport,
	                     .name = net_name_for(w->net, transport, conf_tls_name(d), d->path, true) };
	int n;

	for (unsigned i = 0; i < w->conf->n_listeners; i++) {
		const struct conf_listener *l = &w->conf->listeners[i];

		if (l->zone != zone || !l->is_active || l->transport != transport || l->bind.family != to->family)
			continue;
		path.listener = (uint16_t)i;
		token_write(w->tokens, TOKEN_BRANCH, self, branch);
		token_write(w->tokens, TOKEN_TAG, self, tag);
		n = snprintf(text, sizeof(text),
		             "OPTIONS %.*s SIP/2.0\r\nVia: SIP/2.0/%s %.*s;branch=z9hG4bK%s\r\nMax-Forwards: 1\r\n"
		             "From: <sip:probe@%.*s>;tag=%s\r\nTo: <%.*s>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\n"
		             "Accept: application/sdp\r\nContent-Length: 0\r\n\r\n",
		             SV_ARG(d->uri), transport_name(transport), SV_ARG(l->advertise), branch,
		             SV_ARG(l->advertise), tag, SV_ARG(d->uri), branch);
		if (n < 0 || (size_t)n >= sizeof(text) || !(b = buf_copy_in(&w->bufs, (struct sv){ text, (size_t)n })))
			return -ENOMEM;
		return client_start(&w->stack, self.id, M_OPTIONS, &path, b, &probe_ops, p, &p->ct);
	}
	return -EAFNOSUPPORT;
}

static void probe_named(void *ctx, int err, const struct resolve_answer *a)
{
	struct probe *p = ctx;
	struct worker *w = p->w;
	unsigned i;

	if (!err && (!a->n || p->gen != w->conf->gen))
		err = -ENOENT;
	if (!err) {
		i = p->aim ? aim_choose(p->aim, a) : 0;
		p->at = a->addr[i];
		err = probe_start(p, &a->addr[i], a->transport[i]);
	}
	if (err) {
		prober_result(w->prober, p->ticket, 0, err);
		probe_free(p);
	}
}

static void probe_send(void *ctx, uint32_t destination, uint64_t ticket)
{
	struct worker *w = ctx;
	const struct conf_destination *d = &w->conf->destinations[destination];
	struct resolve_query q = conf_destination_query(w->conf, d);
	struct probe *p = slab_alloc(&w->probes);
	struct resolve_answer a;
	int err;

	if (!p) {
		prober_result(w->prober, ticket, 0, -ENOMEM);
		return;
	}
	*p = (struct probe){ .w = w, .ticket = ticket, .destination = destination, .gen = w->conf->gen, .deadline.fire = probe_late };
	wheel_arm_in(&w->wheel, &p->deadline, w->conf->pools[d->pool].probe.timeout_ms);
	if (d->is_numeric) {
		a.n = 1;
		a.addr[0] = d->addr;
		a.transport[0] = d->transport;
		err = 0;
	} else {
		p->aim = aim_of(w, destination);
		err = resolve(w->resolver, &q, &a, probe_named, p, &p->resolve_id);
	}
	if (err != -EINPROGRESS)
		probe_named(p, err, &a);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static uint64_t wall_ms(void *ctx)
{
	struct worker *w = ctx;

	return w->shared->wall_ms ? w->shared->wall_ms(w->shared) : w->wheel.now_ms;
}

static void on_binding_new(void *ctx, struct binding *b)
{
	struct worker *w = ctx;

	keepalive_binding_new(w->keepalive, b);
}

static void on_binding_refreshed(void *ctx, struct binding *b)
{
	struct worker *w = ctx;

	keepalive_binding_refreshed(w->keepalive, b);
}

static void on_binding_gone(void *ctx, struct binding *b, enum gone why)
{
	struct worker *w = ctx;

	(void)why;
	keepalive_binding_gone(w->keepalive, b);
}

int worker_init(struct worker *w, struct shared *shared, unsigned index, uint64_t now_ms)
{
	int err;

	*w = (struct worker){ .index = index, .shared = shared };
	wheel_init(&w->wheel, now_ms);
	blocks_init(&w->bufs);
	list_init(&w->held);
	flows_init(&w->flows);
	slab_init(&w->probes, "probe", sizeof(struct probe), POOL_DESTINATIONS_MAX);
	park_init(&w->park, &w->wheel, WORKER_PARKED_MAX);
	if ((err = flows_start(&w->flows)) || (err = mailbox_new(&w->mail, WORKER_MAILS)) ||
	    (err = counters_init(&w->counters, worker_counter_defs, WORKER_COUNTERS)) ||
	    (err = token_codec_new(&w->tokens, shared->secrets, shared->n_secrets)))
		worker_fini(w);
	return err;
}

static __attribute__((noinline)) int adopt(struct worker *w, const struct conf *next)
{
	int err;

	if ((err = keepalive_adopt(w->keepalive, next)) || (err = b2bua_adopt(w->calls, next)))
		return err; /* memory is out: tried again at the next turn */
	w->conf = next;
	prober_adopt(w->prober, next);
	atomic_store_explicit(&w->conf_gen, next->gen, memory_order_release);
	return 0;
}

/* In every turn, and nearly never is there something new. */
static int worker_adopt(struct worker *w)
{
	const struct conf *next = atomic_load_explicit(&w->shared->conf, memory_order_acquire);

	user_reader_adopt(&w->users); /* after `next`: what that names was published before it */
	return next == w->conf ? 0 : adopt(w, next);
}

/* Nonces are made with keys of their own; the other node derives the same (DECISIONS 2). */
static int auth_join(struct worker *w)
{
	uint8_t keys[TOKEN_KEYS_MAX][NONCE_KEY_LEN];
	unsigned n = w->shared->n_secrets < TOKEN_KEYS_MAX ? w->shared->n_secrets : TOKEN_KEYS_MAX;
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = token_derive(w->shared->secrets[i], "sbc nonce", keys[i], sizeof(keys[i]));
	if (!err)
		err = auth_new(&w->auth, (const uint8_t(*)[NONCE_KEY_LEN])keys, n, token_hash_key(w->tokens));
	user_reader_init(&w->users, w->shared->users, w->index);
	return err;
}

int worker_join(struct worker *w, struct net *net, struct resolver *resolver,
                void (*pause_streams)(struct net *net, bool is_paused))
{
	const struct conf *c = atomic_load_explicit(&w->shared->conf, memory_order_acquire);
	struct b2bua_params p = { .wheel = &w->wheel, .stack = &w->stack, .tokens = w->tokens, .pools = w->shared->pools,
	                          .resolver = resolver, .park = &w->park, .log = w->shared->log, .cdr = w->shared->cdr,
	                          .wall_ms = wall_ms, .ctx = w, .worker = w->index, .workers = w->shared->workers,
	                          .send = errand_send, .max_calls = c->max_calls };
	struct registrar_params rp = { .wheel = &w->wheel, .key = token_hash_key(w->tokens), .ctx = w,
	                               .extra = keepalive_extra(), .on_new = on_binding_new, .on_refreshed = on_binding_refreshed,
	                               .on_moved = on_binding_moved, .on_gone = on_binding_gone };
	int err;

	w->net = net;
	w->resolver = resolver;
	w->pause_streams = pause_streams;
	if ((err = sip_stack_init(&w->stack, &w->wheel, net, token_hash_key(w->tokens), &w->bufs)))
		return err;
	w->has_stack = true;
	if ((err = keepalive_new(&w->keepalive, w)) || (err = registrar_new(&w->registrar, &rp)) || (err = auth_join(w)))
		return err;
	p.registrar = w->registrar;
	p.admissions = w->shared->admissions;
	p.auth = w->auth;
	p.users = &w->users.source;
	if ((err = b2bua_new(&w->calls, &p)) ||
	    (err = prober_new(&w->prober, w->shared->pools, &w->wheel, w->index, w->shared->workers, probe_send, w)))
		return err;
	return worker_adopt(w);
}

void worker_fini(struct worker *w)
{
	list_each_safe(n, &w->held)
		free(owner_of(n, struct handover, in_held));
	park_fini(&w->park);
	prober_free(w->prober);
	b2bua_free(w->calls);
	registrar_free(w->registrar);
	flows_fini(&w->flows);
	keepalive_free(w->keepalive);
	auth_free(w->auth);
	if (w->has_stack)
		sip_stack_fini(&w->stack);
	slab_fini(&w->probes);
	free(w->aims);
	counters_fini(&w->counters);
	token_codec_free(w->tokens);
	mailbox_free(w->mail);
}

void worker_release(struct worker *w)
{
	blocks_fini(&w->bufs);
}

static void trim(struct worker *w)
{
	w->trimmed_ms = w->wheel.now_ms;
	b2bua_trim(w->calls);
	registrar_trim(w->registrar);
	blocks_trim(&w->bufs);
}

void worker_tick(struct worker *w, uint64_t now_ms)
{
	worker_adopt(w);
	if (w->n_held)
		held_retry(w);
	if (flows_any_closed(&w->flows))
		flows_retry(&w->flows, tell_closed, w);
	wheel_advance(&w->wheel, now_ms, WORKER_TIMER_BATCH);
	if (w->wheel.now_ms - w->trimmed_ms >= WORKER_TRIM_MS)
		trim(w);
	counter_set(&w->counters, CALLS_NOW, b2bua_calls(w->calls));
	counter_set(&w->counters, ACCOUNTS_NOW, b2bua_accounts(w->calls));
}

size_t worker_mail(struct worker *w)
{
	return mailbox_drain(w->mail, w, WORKER_MAIL_BATCH);
}

uint64_t worker_next(struct worker *w)
{
	return w->n_held || flows_any_closed(&w->flows) ? w->wheel.now_ms + 1 : wheel_next(&w->wheel);
}
