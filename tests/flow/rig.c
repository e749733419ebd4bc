#include "tests/flow/rig.h"
#include "nat/heard.h"
#include "tests/flow/bpf.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct rig_net {
	struct net net;
	struct rig *rig;
	struct worker *worker;
};

struct rig_question {
	struct node in_list;
	uint64_t id, at_ms;
	struct resolve_answer answer; /* n 0: not found */
	void (*done)(void *ctx, int err, const struct resolve_answer *a);
	void *ctx;
};

struct rig_resolver {
	struct resolver resolver;
	struct rig *rig;
	struct node questions;
	uint64_t next_id;
};

/* An endpoint's connection, at the worker that accepted it. */
struct rig_flow {
	struct node in_list;
	struct addr remote;
	uint64_t flow;
};

struct refusal {
	struct node in_list;
	struct worker *worker;
	struct path path;
	uint64_t cookie;
	bool is_closed;       /* nothing was refused: this flow was closed by us */
};

static void *must(void *p)
{
	assert_non_null(p);
	return p;
}

uint64_t rig_random(struct rig *r, uint64_t n)
{
	r->random ^= r->random << 13; /* xorshift64 */
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return n ? r->random % n : 0;
}

/* The network ------------------------------------------------------------------------------------------------------ */

static struct packet *packet_new(const struct addr *from, const struct addr *to, uint8_t transport, uint16_t listener,
                                 struct sv bytes)
{
	struct packet *p = must(malloc(sizeof(*p) + bytes.len + BUF_PAD));

	*p = (struct packet){ .from = *from, .to = *to, .transport = transport, .listener = listener, .len = bytes.len };
	memcpy(p->bytes, bytes.p, bytes.len);
	memset(p->bytes + bytes.len, 0, BUF_PAD);
	return p;
}

static void wire_insert(struct rig *r, struct packet *p)
{
	struct node *at = r->wire.prev;

	while (at != &r->wire && owner_of(at, struct packet, in_list)->at_ms > p->at_ms)
		at = at->prev;
	list_push_front(at, &p->in_list);
}

/* Puts a packet on its way, as the weather is. Streams lose nothing and keep their order. */
static void wire_send(struct rig *r, struct packet *p)
{
	p->at_ms = r->now_ms + r->weather.delay_ms;
	r->sent++;
	if (transport_is_stream(p->transport)) {
		wire_insert(r, p);
		return;
	}
	if (rig_random(r, 1000) < r->weather.lost) {
		r->lost++;
		free(p);
		return;
	}
	if (rig_random(r, 1000) < r->weather.doubled) {
		struct packet *twin = packet_new(&p->from, &p->to, p->transport, p->listener, (struct sv){ p->bytes, p->len });

		twin->at_ms = p->at_ms + rig_random(r, r->weather.late_ms + 1);
		wire_insert(r, twin);
	}
	if (rig_random(r, 1000) < r->weather.late)
		p->at_ms += rig_random(r, r->weather.late_ms + 1);
	wire_insert(r, p);
}

static struct rig_flow *flow_find(struct rig *r, const struct addr *remote)
{
	list_each(n, &r->flows)
		if (addr_eq(&owner_of(n, struct rig_flow, in_list)->remote, remote))
			return owner_of(n, struct rig_flow, in_list);
	return NULL;
}

/* Told in the next turn. */
static void refuse(struct rig_net *n, const struct path *to, uint64_t cookie)
{
	struct refusal *refusal = must(calloc(1, sizeof(*refusal)));

	*refusal = (struct refusal){ .worker = n->worker, .path = *to, .cookie = cookie };
	list_push(&n->rig->refused, &refusal->in_list);
}

static int net_send_virtual(struct net *net, const struct path *to, struct buf *msg, uint64_t cookie)
{
	struct rig_net *n = owner_of(net, struct rig_net, net);
	struct rig *r = n->rig;
	const struct conf_listener *l = &r->conf->listeners[to->listener];
	struct packet *p;

	if (msg->len > NET_MESSAGE_MAX)
		return -EMSGSIZE;
	if (l->bind.family != to->remote.family)
		return -EAFNOSUPPORT;
	if (to->flow && (!flow_find(r, &to->remote) || flow_find(r, &to->remote)->flow != to->flow)) {
		if (to->flow >> 56 == n->worker->index || to->flow >> 56 >= r->shared.workers)
			return -ENOTCONN;
		refuse(n, to, cookie); /* as in production only the worker that had the connection knows */
		return 0;
	}
	if (transport_is_stream(to->transport) && r->is_refusing_streams) {
		refuse(n, to, cookie);
		return 0;
	}
	p = packet_new(&l->bind, &to->remote, to->transport, to->listener, buf_sv(msg));
	snprintf(p->tls_name, sizeof(p->tls_name), "%.*s", SV_ARG(expected_name(&r->expected, to->name)));
	if (r->hooks.on_sent)
		r->hooks.on_sent(r->hooks.ctx, p);
	wire_send(r, p);
	return 0;
}

static void net_flow_close_virtual(struct net *net, uint64_t flow)
{
	struct rig *r = owner_of(net, struct rig_net, net)->rig;
	struct refusal *refusal;

	list_each_safe(n, &r->flows) {
		struct rig_flow *f = owner_of(n, struct rig_flow, in_list);

		if (f->flow != flow)
			continue;
		refusal = must(calloc(1, sizeof(*refusal)));
		*refusal = (struct refusal){ .worker = &r->workers[flow >> 56], .path.flow = flow, .is_closed = true };
		list_push(&r->refused, &refusal->in_list);
		list_del(&f->in_list);
		free(f);
	}
}

static int net_ping_virtual(struct net *net, const struct path *to)
{
	struct buf *ping = must(buf_copy(SV("\r\n\r\n")));
	int err = transport_is_stream(to->transport) ? net_send_virtual(net, to, ping, 0) : -ENOTCONN;

	buf_put(ping);
	return err;
}

static int net_alias_virtual(struct net *net, const struct path *of, uint16_t port)
{
	(void)of;
	owner_of(net, struct rig_net, net)->rig->alias_port = port;
	return 0;
}

static uint32_t net_name_virtual(struct net *net, struct sv host, bool is_configured)
{
	struct rig *r = owner_of(net, struct rig_net, net)->rig;
	struct addr addr;

	return addr_parse(&addr, host) == 0 ? 0 : expected_id(&r->expected, host, is_configured, r->now_ms);
}

static struct sv net_name_text_virtual(struct net *net, uint32_t name)
{
	return expected_name(&owner_of(net, struct rig_net, net)->rig->expected, name);
}

/* As in production only the worker that has the connection knows. */
static unsigned net_peer_names_virtual(struct net *net, const struct path *of, struct sv *out, unsigned max)
{
	const struct rig_net *n = owner_of(net, struct rig_net, net);
	const struct rig *r = n->rig;

	if (!r->proven || !max || !of->flow || of->flow >> 56 != n->worker->index || !addr_eq(&of->remote, &r->proven_at))
		return 0;
	*out = sv_from(r->proven);
	return 1;
}

static const struct net_ops net_ops = { .send = net_send_virtual, .flow_close = net_flow_close_virtual, .ping = net_ping_virtual,
	                                .alias = net_alias_virtual, .name = net_name_virtual,
	                                .name_text = net_name_text_virtual, .peer_names = net_peer_names_virtual };

static int listener_at(const struct conf *c, const struct addr *a, uint8_t transport)
{
	for (unsigned i = 0; i < c->n_listeners; i++)
		if (c->listeners[i].transport == transport && addr_eq(&c->listeners[i].bind, a))
			return (int)i;
	return -1;
}

/* Like the kernel's SO_REUSEPORT by itself: one source, one worker. */
static struct worker *worker_of(struct rig *r, const struct addr *from)
{
	struct hash_key key = { 1, 2 };

	return &r->workers[hash_bytes(&key, from, sizeof(*from)) % r->shared.workers];
}

/* And with our program at the sockets: who owns what a token names. */
static struct worker *reader_of(struct rig *r, const struct packet *p, unsigned listener)
{
	const struct steer *steer = &r->steers[listener];
	uint32_t w = UINT32_MAX;

	if (p->transport == T_UDP && steer->n)
		w = bpf_run(steer->code, steer->n, (struct sv){ p->bytes, p->len });
	return w < r->shared.workers ? &r->workers[w] : worker_of(r, &p->from);
}

/* Workers wake in an order of chance; each takes its mail until there is none. */
static void deliver_mail(struct rig *r)
{
	unsigned first = (unsigned)rig_random(r, r->shared.workers);
	bool any = !r->holds_mail;

	while (any) {
		any = false;
		for (unsigned i = 0; i < r->shared.workers; i++) {
			unsigned w = (first + i) % r->shared.workers;

			if (!r->has_mail[w])
				continue;
			r->has_mail[w] = false;
			any = true;
			while (worker_mail(&r->workers[w]))
				;
		}
	}
}

/* A few bytes become others, mostly such as mean something; or the end is missing. */
static void garble(struct rig *r, struct packet *p)
{
	static const char odd[] = " \t\r\n;:,=<>\"@/?%[]()0189azAZ\\\0\xff";

	if (rig_random(r, 4) == 0) {
		p->len = rig_random(r, p->len) + 1;
		memset(p->bytes + p->len, 0, BUF_PAD);
	}
	for (uint64_t n = rig_random(r, 4); n-- > 0;)
		p->bytes[rig_random(r, p->len)] = odd[rig_random(r, sizeof(odd) - 1)];
}

/* The flow that a packet of `from` comes by, opened if need be. */
static uint64_t flow_at(struct rig *r, const struct addr *from, unsigned worker)
{
	struct rig_flow *f = flow_find(r, from);

	if (f)
		return f->flow;
	f = must(calloc(1, sizeof(*f)));
	*f = (struct rig_flow){ .remote = *from, .flow = (uint64_t)worker << 56 | ++r->last_flow };
	list_push(&r->flows, &f->in_list);
	return f->flow;
}

/* What the sockets would not hand on as a message. */
static bool is_keepalive(const struct packet *p)
{
	return strspn(p->bytes, "\r\n") >= p->len;
}

static void arrive(struct rig *r, struct packet *p)
{
	int listener = listener_at(r->conf, &p->to, p->transport);
	struct path path;
	struct worker *w;

	r->received++;
	if (listener < 0) { /* for an endpoint */
		if (r->hooks.on_packet) {
			r->hooks.on_packet(r->hooks.ctx, p);
			free(p);
		} else {
			list_push(&r->inbox, &p->in_list);
		}
		return;
	}
	if (rig_random(r, 1000) < r->weather.garbled)
		garble(r, p);
	w = reader_of(r, p, (unsigned)listener);
	path = (struct path){ .remote = p->from, .listener = (uint16_t)listener, .transport = p->transport };
	if (r->has_flows && transport_is_stream(p->transport))
		path.flow = flow_at(r, &p->from, w->index);
	if (is_keepalive(p))
		worker_handler(w).on_alive(w, &path);
	else
		worker_handler(w).on_message(w, &path, p->bytes, p->len, false);
	free(p);
	if (r->shared.workers == 1 || rig_random(r, 2))
		deliver_mail(r);
}

static uint64_t next_question(const struct rig *r)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < r->shared.workers; i++)
		list_each(n, &r->resolvers[i]->questions) {
			uint64_t at = owner_of(n, struct rig_question, in_list)->at_ms;

			next = at < next ? at : next;
		}
	return next;
}

static void answer_questions(struct rig *r)
{
	for (unsigned i = 0; i < r->shared.workers; i++)
		list_each_safe(n, &r->resolvers[i]->questions) {
			struct rig_question *q = owner_of(n, struct rig_question, in_list);

			if (q->at_ms > r->now_ms)
				continue;
			list_del(&q->in_list);
			q->done(q->ctx, q->answer.n ? 0 : -ENOENT, &q->answer);
			free(q);
			return; /* the list may have changed: the rest comes at the next step */
		}
}

static void tell_refusals(struct rig *r)
{
	while (!list_empty(&r->refused)) {
		struct refusal *refusal = owner_of(r->refused.next, struct refusal, in_list);
		struct net_handler h = worker_handler(refusal->worker);

		list_del(&refusal->in_list);
		if (refusal->is_closed)
			h.on_flow_closed(h.ctx, refusal->path.flow);
		else
			h.on_send_failed(h.ctx, &refusal->path, refusal->cookie, ECONNREFUSED);
		free(refusal);
	}
}

static uint64_t next_event(struct rig *r)
{
	uint64_t next = list_empty(&r->refused) ? next_question(r) : r->now_ms;

	if (!list_empty(&r->wire)) {
		uint64_t at = owner_of(r->wire.next, struct packet, in_list)->at_ms;

		next = at < next ? at : next;
	}
	for (unsigned i = 0; i < r->shared.workers; i++) {
		uint64_t at = worker_next(&r->workers[i]);

		next = at < next ? at : next;
	}
	return wheel_next(&r->clock) < next ? wheel_next(&r->clock) : next;
}

void rig_after(struct rig *r, uint64_t ms)
{
	uint64_t until = r->now_ms + ms, next;

	deliver_mail(r);
	while ((next = next_event(r)) <= until) {
		r->now_ms = next > r->now_ms ? next : r->now_ms;
		for (unsigned i = 0; i < r->shared.workers; i++) /* time first, as in the loop; what is due fires when the rest is done */
			wheel_advance(&r->workers[i].wheel, r->now_ms, 0);
		tell_refusals(r);
		answer_questions(r);
		wheel_advance(&r->clock, r->now_ms, SIZE_MAX);
		while (!list_empty(&r->wire) && owner_of(r->wire.next, struct packet, in_list)->at_ms <= r->now_ms) {
			struct packet *p = owner_of(r->wire.next, struct packet, in_list);

			list_del(&p->in_list);
			arrive(r, p);
		}
		deliver_mail(r);
		for (unsigned i = 0; i < r->shared.workers; i++)
			worker_tick(&r->workers[i], r->now_ms);
		deliver_mail(r);
	}
	r->now_ms = until;
	wheel_advance(&r->clock, until, SIZE_MAX);
	for (unsigned i = 0; i < r->shared.workers; i++)
		worker_tick(&r->workers[i], r->now_ms);
}

/* Names ------------------------------------------------------------------------------------------------------------ */

/* What the question leaves open is as it is without NAPTR and SRV records. */
static void settle(struct resolve_answer *a, const struct resolve_query *q)
{
	uint8_t usual = q->transport ? q->transport : resolve_usual_transport(q->transports);

	for (unsigned i = 0; i < a->n; i++) {
		uint16_t port = q->port ? q->port : q->default_port;

		a->transport[i] = a->transport[i] ? a->transport[i] : usual;
		if (!a->addr[i].port)
			a->addr[i].port = port ? port : resolve_default_port(a->transport[i]);
	}
}

static struct resolve_answer answer_of(const struct rig_name *name, const struct resolve_query *q)
{
	struct resolve_answer a = { .n = name->addr.family != 0, .addr = { name->addr, name->other } };

	if (name->all)
		a = *name->all;
	else if (name->other.family)
		a.n = 2;
	settle(&a, q);
	return a;
}

static int ask(struct resolver *resolver, const struct resolve_query *q, struct resolve_answer *out,
               void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id)
{
	struct rig_resolver *x = owner_of(resolver, struct rig_resolver, resolver);
	struct rig *r = x->rig;
	struct rig_question *question;

	*out = (struct resolve_answer){ .n = 1 };
	if (addr_parse(&out->addr[0], q->host) == 0) {
		settle(out, q);
		return 0;
	}
	r->foreign_names += q->is_foreign;
	for (unsigned i = 0; i < r->n_names; i++) {
		if (!sv_ieq(sv_from(r->names[i].host), q->host))
			continue;
		*out = answer_of(&r->names[i], q);
		if (!r->names[i].delay_ms)
			return 0;
		question = must(calloc(1, sizeof(*question)));
		*question = (struct rig_question){ .id = *id = ++x->next_id, .at_ms = r->now_ms + r->names[i].delay_ms,
		                                   .answer = *out, .done = done, .ctx = ctx };
		list_push(&x->questions, &question->in_list);
		return -EINPROGRESS;
	}
	return -ENOENT;
}

static void ask_cancel(struct resolver *resolver, uint64_t id)
{
	struct rig_resolver *x = owner_of(resolver, struct rig_resolver, resolver);

	list_each_safe(n, &x->questions) {
		struct rig_question *q = owner_of(n, struct rig_question, in_list);

		if (q->id != id)
			continue;
		list_del(&q->in_list);
		free(q);
	}
}

static const struct resolver_ops resolver_ops = { .ask = ask, .cancel = ask_cancel };

/* Life ------------------------------------------------------------------------------------------------------------- */

static int post(struct shared *s, unsigned worker, struct mail *m, bool is_urgent)
{
	struct rig *r = owner_of(s, struct rig, shared);

	r->has_mail[worker] = true;
	return mailbox_post(r->workers[worker].mail, m, is_urgent);
}

static uint64_t wall(void *ctx)
{
	return owner_of((struct shared *)ctx, struct rig, shared)->now_ms + 1700000000000ULL;
}

static void cdr_keep(struct cdr_sink *sink, struct sv line)
{
	struct rig *r = owner_of(sink, struct rig, cdr);

	r->cdrs = must(realloc(r->cdrs, (r->n_cdrs + 1) * sizeof(*r->cdrs)));
	r->cdrs[r->n_cdrs++] = must(strndup(line.p, line.len));
}

static struct conf *parse(const char *yaml)
{
	struct conf_notes notes;
	struct conf *c = NULL;

	conf_notes_init(&notes);
	if (conf_parse(&c, "test.yaml", sv_from(yaml), &notes)) {
		list_each(n, &notes.list)
			conf_note_print(stderr, "test.yaml", owner_of(n, struct conf_note, in_list));
		fail();
	}
	conf_notes_fini(&notes);
	return c;
}

static void worker_up(struct rig *r, unsigned i)
{
	struct rig_net *net = must(calloc(1, sizeof(*net)));
	struct rig_resolver *x = must(calloc(1, sizeof(*x)));

	assert_int_equal(worker_init(&r->workers[i], &r->shared, i, r->now_ms), 0);
	*net = (struct rig_net){ .net = { &net_ops }, .rig = r, .worker = &r->workers[i] };
	*x = (struct rig_resolver){ .resolver = { &resolver_ops }, .rig = r };
	list_init(&x->questions);
	r->nets[i] = net;
	r->resolvers[i] = x;
	assert_int_equal(worker_join(&r->workers[i], &net->net, &x->resolver, NULL), 0);
}

static void steer(struct rig *r, unsigned workers)
{
	r->steers = must(calloc(r->conf->n_listeners, sizeof(*r->steers)));
	for (unsigned i = 0; i < r->conf->n_listeners; i++)
		if (steer_make(&r->steers[i], r->conf->listeners[i].advertise, workers))
			r->steers[i].n = 0;
}

struct rig *rig_new(const char *yaml, unsigned workers, uint64_t seed)
{
	struct rig *r = must(calloc(1, sizeof(*r)));

	r->now_ms = 1000000;
	r->random = seed * 0x9e3779b97f4a7c15ULL + 1;
	r->conf = parse(yaml);
	r->conf->gen = 1;
	wheel_init(&r->clock, r->now_ms);
	assert_int_equal(expected_init(&r->expected), 0);
	list_init(&r->wire);
	list_init(&r->inbox);
	list_init(&r->refused);
	list_init(&r->flows);
	memset(r->secret, 7, sizeof(r->secret));
	r->cdr.write = cdr_keep;
	r->shared = (struct shared){ .secrets = (const uint8_t(*)[TOKEN_SECRET_LEN])r->secret, .n_secrets = 1, .workers = workers,
	                             .wall_ms = wall, .post = post, .cdr = &r->cdr };
	assert_int_equal(heard_new(&r->shared.heard, &(struct hash_key){ 5, 6 }, RIG_HEARD_PLACES), 0);
	assert_int_equal(pools_new(&r->shared.pools, workers), 0);
	assert_int_equal(pools_adopt(r->shared.pools, r->conf), 0);
	assert_int_equal(users_new(&r->shared.users, workers, NULL), 0);
	assert_int_equal(users_adopt(r->shared.users, r->conf), 0);
	atomic_store(&r->shared.conf, r->conf);
	steer(r, workers);
	for (unsigned i = 0; i < workers; i++)
		worker_up(r, i);
	return r;
}

static void sum_slab(void *ctx, const struct slab *s)
{
	*(size_t *)ctx += s->in_use;
}

size_t rig_in_use(struct rig *r)
{
	size_t sum = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		b2bua_slabs(r->workers[i].calls, sum_slab, &sum);
	for (unsigned i = 0; i < r->shared.workers; i++)
		registrar_slabs(r->workers[i].registrar, sum_slab, &sum);
	return sum;
}

void rig_free(struct rig *r, bool is_idle_expected)
{
	if (is_idle_expected)
		assert_int_equal(rig_in_use(r), 0);
	r->holds_mail = false;
	deliver_mail(r);
	for (unsigned i = 0; i < r->shared.workers; i++) {
		worker_fini(&r->workers[i]);
		worker_release(&r->workers[i]);
		list_each_safe(n, &r->resolvers[i]->questions)
			free(owner_of(n, struct rig_question, in_list));
		free(r->nets[i]);
		free(r->resolvers[i]);
	}
	list_each_safe(n, &r->flows)
		free(owner_of(n, struct rig_flow, in_list));
	list_each_safe(n, &r->refused)
		free(owner_of(n, struct refusal, in_list));
	list_each_safe(n, &r->wire)
		free(owner_of(n, struct packet, in_list));
	list_each_safe(n, &r->inbox)
		free(owner_of(n, struct packet, in_list));
	for (size_t i = 0; i < r->n_cdrs; i++)
		free(r->cdrs[i]);
	free(r->cdrs);
	users_free(r->shared.users);
	pools_free(r->shared.pools);
	heard_free(r->shared.heard);
	expected_fini(&r->expected);
	conf_free(r->conf);
	free(r->steers);
	free(r);
}

void rig_reload(struct rig *r, const char *yaml)
{
	struct conf *next = parse(yaml), *old = r->conf;

	next->gen = old->gen + 1;
	assert_int_equal(users_adopt(r->shared.users, next), 0);
	assert_int_equal(pools_adopt(r->shared.pools, next), 0);
	r->conf = next;
	atomic_store(&r->shared.conf, next);
	for (unsigned i = 0; i < r->shared.workers; i++)
		worker_tick(&r->workers[i], r->now_ms);
	conf_free(old);
}

uint64_t rig_count(struct rig *r, enum call_counter which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		sum += counter_get(b2bua_counters(r->workers[i].calls), which);
	return sum;
}

size_t rig_calls(struct rig *r)
{
	size_t sum = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		sum += b2bua_calls(r->workers[i].calls);
	return sum;
}

/* Endpoints -------------------------------------------------------------------------------------------------------- */

static struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(text)), 0);
	if (!a.port)
		a.port = 5060;
	return a;
}

unsigned rig_worker_of(struct rig *r, const char *endpoint)
{
	struct addr a = address(endpoint);

	return worker_of(r, &a)->index;
}

uint16_t rig_listener(const struct rig *r, const char *text)
{
	for (unsigned i = 0; i < r->conf->n_listeners; i++)
		if (sv_eq(r->conf->listeners[i].text, sv_from(text)))
			return (uint16_t)i;
	fail_msg("no listener %s", text);
	return 0;
}

void rig_becomes(struct rig *r, const char *listener, uint8_t transport)
{
	struct conf_listener *l = &r->conf->listeners[rig_listener(r, listener)];

	for (uint32_t i = 0; i < r->conf->n_destinations; i++) {
		struct conf_destination *d = &r->conf->destinations[i];

		if (d->transport == l->transport && r->conf->pools[d->pool].zone == l->zone)
			d->transport = transport;
	}
	l->transport = transport;
}

void rig_send_bytes(struct rig *r, const struct addr *from, uint16_t listener, const char *bytes, size_t len)
{
	const struct conf_listener *l = &r->conf->listeners[listener];

	wire_send(r, packet_new(from, &l->bind, l->transport, listener, (struct sv){ bytes, len }));
}

void rig_send(struct rig *r, const char *from, const char *to, const char *text)
{
	struct addr a = address(from);

	rig_send_bytes(r, &a, rig_listener(r, to), text, strlen(text));
	rig_after(r, 0);
}

void rig_say(struct rig *r, const char *from, const char *to, const char *body, const char *fmt, ...)
{
	char lines[16384], text[32768];
	size_t n = 0;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(lines, sizeof(lines), fmt, ap);
	va_end(ap);
	assert_true(len > 0 && (size_t)len < sizeof(lines));
	for (const char *c = lines; *c; c++) {
		if (*c == '\n')
			text[n++] = '\r';
		text[n++] = *c;
	}
	if (lines[len - 1] != '\n')
		n += (size_t)sprintf(text + n, "\r\n");
	n += (size_t)snprintf(text + n, sizeof(text) - n, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	text[n] = '\0';
	rig_send(r, from, to, text);
}

uint64_t rig_flow_of(struct rig *r, const char *endpoint)
{
	struct addr a = address(endpoint);

	return flow_find(r, &a) ? flow_find(r, &a)->flow : 0;
}

void rig_lose(struct rig *r, const char *endpoint)
{
	struct addr a = address(endpoint);
	struct rig_flow *f = must(flow_find(r, &a));

	list_del(&f->in_list);
	free(f);
}

void rig_close(struct rig *r, const char *endpoint)
{
	struct addr a = address(endpoint);
	struct worker *w = worker_of(r, &a);
	uint64_t flow = rig_flow_of(r, endpoint);

	rig_lose(r, endpoint);
	worker_handler(w).on_flow_closed(w, flow);
	rig_after(r, 0);
}

static struct packet *inbox_next(struct rig *r, const char *endpoint)
{
	struct addr a = address(endpoint);

	list_each(n, &r->inbox) {
		struct packet *p = owner_of(n, struct packet, in_list);

		if (addr_eq(&p->to, &a))
			return p;
	}
	return NULL;
}

void rig_refuse_last(struct rig *r, const char *endpoint, int error)
{
	struct addr a = address(endpoint);

	for (struct node *n = r->inbox.prev; n != &r->inbox; n = n->prev) {
		struct packet *p = owner_of(n, struct packet, in_list);
		struct path path = { .remote = a, .listener = p->listener, .transport = p->transport };
		struct worker *w = worker_of(r, &a);

		if (!addr_eq(&p->to, &a))
			continue;
		worker_handler(w).on_icmp(w, &path, (struct sv){ p->bytes, p->len }, error);
		rig_after(r, 1);
		return;
	}
	fail_msg("nothing was sent to %s", endpoint);
}

void got_free(struct got *g)
{
	free(g->packet);
	g->packet = NULL;
}

void rig_expect(struct rig *r, const char *endpoint, const char *start, struct got *out)
{
	struct packet *p;
	struct view_fault fault;

	rig_after(r, 0);
	got_free(out);
	if (!(p = inbox_next(r, endpoint))) {
		fail_msg("expected %s at %s: nothing arrived", start, endpoint);
		return;
	}
	list_del(&p->in_list);
	out->packet = p;
	if (strncmp(p->bytes, start, strlen(start)) != 0)
		fail_msg("expected %s at %s, got:\n%s", start, endpoint, p->bytes);
	if (view_scan(&out->v, p->bytes, p->len, true, &fault))
		fail_msg("malformed (%s) at %s:\n%s", fault.reason, endpoint, p->bytes);
}

bool rig_has_message(struct rig *r, const char *endpoint)
{
	return inbox_next(r, endpoint) != NULL;
}

static void keep_record(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	struct rig_records *all = owner_of(sink, struct rig_records, sink);
	char *copy = malloc(record.len);

	(void)id;
	assert_non_null(copy);
	assert_true(all->n < 8);
	memcpy(copy, record.p, record.len);
	all->of[all->n++] = (struct sv){ copy, record.len };
}

void rig_export(struct rig *r, struct rig_records *all)
{
	all->sink.put = keep_record;
	for (unsigned i = 0; i < r->shared.workers; i++)
		b2bua_export(r->workers[i].calls, &all->sink);
}

void rig_records_free(struct rig_records *all)
{
	while (all->n)
		free((char *)all->of[--all->n].p);
}

struct rig *rig_take_over(struct rig *r, const char *yaml, unsigned workers, unsigned n)
{
	struct rig_records all = { .n = 0 };
	size_t calls = rig_calls(r);

	rig_export(r, &all);
	assert_int_equal(all.n, n);
	rig_free(r, false);
	r = rig_new(yaml, workers, 99);
	for (unsigned i = 0; i < all.n; i++) {
		struct b2bua *b = r->workers[b2bua_record_shard(all.of[i]) % workers].calls;

		assert_int_equal(b2bua_apply(b, all.of[i]), 0);
		assert_int_equal(b2bua_apply(b, all.of[i]), -EEXIST);
	}
	rig_records_free(&all);
	assert_int_equal(rig_calls(r), calls);
	return r;
}

bool rig_take(struct rig *r, const char *endpoint, const char *start, struct got *out)
{
	struct packet *p;

	for (rig_after(r, 0); (p = inbox_next(r, endpoint)); free(p)) {
		if (strncmp(p->bytes, start, strlen(start)) == 0) {
			rig_expect(r, endpoint, start, out);
			return true;
		}
		list_del(&p->in_list);
	}
	return false;
}

void rig_expect_silence(struct rig *r, const char *endpoint)
{
	struct packet *p;

	rig_after(r, 0);
	if ((p = inbox_next(r, endpoint)))
		fail_msg("expected silence at %s, got:\n%s", endpoint, p->bytes);
}

size_t rig_forget(struct rig *r, const char *endpoint)
{
	struct packet *p;
	size_t n = 0;

	for (rig_after(r, 0); (p = inbox_next(r, endpoint)); n++) {
		list_del(&p->in_list);
		free(p);
	}
	return n;
}

/* A few strings at a time, so that several fit into one printf. */
static const char *lend(const struct got *g, struct sv v)
{
	static _Thread_local char room[16][2048];
	static _Thread_local unsigned next;
	char *s = room[next++ % 16];

	(void)g;
	snprintf(s, sizeof(room[0]), "%.*s", SV_ARG(v));
	return s;
}

const char *got_value(const struct got *g, enum hdr_id id)
{
	const struct hdr *h = view_find(&g->v, id, 0);

	return h ? lend(g, hdr_value(&g->v, h)) : "";
}

const char *got_uri(const struct got *g)
{
	return lend(g, view_uri(&g->v));
}

const char *got_contact(const struct got *g)
{
	struct name_addr na;
	struct sv value = view_value(&g->v, HDR_CONTACT);

	return value.p && name_addr_next(&na, &value) == 0 ? lend(g, na.uri) : "";
}

const char *got_tag(const struct got *g, enum hdr_id from_or_to)
{
	return lend(g, tag_of(view_value(&g->v, from_or_to)));
}

const char *got_branch(const struct got *g)
{
	struct sv rest = view_value(&g->v, HDR_VIA);
	struct via via;

	return via_next(&via, &rest) == 0 ? lend(g, via.branch) : "";
}

bool got_has(const struct got *g, const char *what)
{
	return memmem(g->packet->bytes, g->packet->len, what, strlen(what)) != NULL;
}
