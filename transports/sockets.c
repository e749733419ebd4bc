/* The net of one worker: what UDP and TCP have in common, and what goes to and comes from other workers. */
#include "transports/heap.h"
#include "transports/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* To and from other workers --------------------------------------------------------------------------------------- */

enum mail_kind { MAIL_SEND, MAIL_FAILED, MAIL_CLOSE, MAIL_PING };

/* Carries a send to the connection's owner, or a failure back to who asked. `msg` is the only reference. */
struct net_mail {
	struct mail mail;
	struct net *(*net_of)(void *reader);
	struct buf *msg;
	struct path to;
	uint64_t cookie;
	uint16_t asker;
	uint8_t kind;
	int error;
};

static void mail_free(struct net_mail *m)
{
	buf_put(m->msg);
	free(m);
}

static void mail_freep(struct net_mail **m)
{
	if (*m)
		mail_free(*m);
}

/* On the worker that asked. */
static void report_failed(struct sockets *s, const struct path *to, uint64_t cookie, int error)
{
	s->p.handler.on_send_failed(s->p.handler.ctx, to, cookie, error);
}

/* The mail goes with it, whatever happens. */
static int post(struct sockets *s, unsigned worker, struct net_mail *m)
{
	int err = s->p.to_worker(s->p.ctx, worker, &m->mail, true);

	if (err) {
		counter_inc(&s->counters, NET_HAND_OVER_FAILED);
		mail_free(m);
	}
	return err;
}

/* On the worker that owns the connection. A failure goes back in the same mail. */
static void deliver_send(struct sockets *s, struct net_mail *m)
{
	struct conn *c = conn_find(s, m->to.flow);
	int err = c ? conn_send(c, m->msg, m->cookie, m->asker) : -ENOTCONN;

	if (!c)
		counter_inc(&s->counters, NET_NO_FLOW);
	if (!err) {
		mail_free(m);
		return;
	}
	m->kind = MAIL_FAILED;
	m->error = err;
	buf_put(STEAL(m->msg));
	(void)post(s, m->asker, m);
}

static void deliver(struct mail *mail, void *reader)
{
	struct net_mail *m = owner_of(mail, struct net_mail, mail);
	struct sockets *s = sockets_of(m->net_of(reader));

	switch (m->kind) {
	case MAIL_SEND:
		deliver_send(s, m);
		return;
	case MAIL_FAILED:
		report_failed(s, &m->to, m->cookie, m->error);
		break;
	case MAIL_CLOSE:
		net_flow_close(&s->net, m->to.flow);
		break;
	case MAIL_PING:
		(void)net_ping(&s->net, &m->to); /* who is gone has been told of */
		break;
	}
	mail_free(m);
}

static struct net_mail *mail_new(const struct sockets *s, enum mail_kind kind, const struct path *to)
{
	struct net_mail *m = calloc(1, sizeof *m);

	if (m)
		*m = (struct net_mail){ .mail.deliver = deliver, .net_of = s->p.net_of, .to = *to, .kind = kind };
	return m;
}

static int send_over(struct sockets *s, const struct path *to, struct buf *msg, uint64_t cookie)
{
	unsigned owner = flow_worker(to->flow);
	SCOPED(mail_freep) struct net_mail *m = NULL;
	int err;

	if (owner >= s->n_workers)
		return -ENOTCONN;
	m = mail_new(s, MAIL_SEND, to);
	if (!m || !(m->msg = buf_copy(buf_sv(msg))))
		return -ENOMEM;
	m->cookie = cookie;
	m->asker = (uint16_t)s->p.worker;
	err = post(s, owner, STEAL(m));
	if (!err)
		counter_inc(&s->counters, NET_HANDED_OVER);
	return err ? -ENOBUFS : 0;
}

void sockets_tell_failed(struct sockets *s, const struct path *to, uint64_t cookie, uint16_t asker, int error)
{
	struct net_mail *m;

	if (asker == s->p.worker) {
		report_failed(s, to, cookie, error);
		return;
	}
	m = mail_new(s, MAIL_FAILED, to);
	if (!m) {
		counter_inc(&s->counters, NET_HAND_OVER_FAILED);
		return;
	}
	m->cookie = cookie;
	m->error = error;
	(void)post(s, asker, m);
}

/* What struct net offers ------------------------------------------------------------------------------------------ */

/* A name that has made room, or has had none, is not the address's: who sits there need not be whom we want. */
static bool is_for_nobody(const struct sockets *s, const struct path *to)
{
	return to->name && !expected_name(&s->expected, to->name).len;
}

static int send_anywhere(struct sockets *s, const struct path *to, struct buf *msg, uint64_t cookie)
{
	struct conn *c;
	int err;

	if (is_for_nobody(s, to)) {
		counter_inc(&s->counters, NET_TLS_NAMES_FULL);
		return -ENOBUFS;
	}
	err = conn_connect(s, to, &c);
	return err ? err : conn_send(c, msg, cookie, (uint16_t)s->p.worker);
}

static int send_on_flow(struct sockets *s, const struct path *to, struct buf *msg, uint64_t cookie)
{
	struct conn *c;

	if (flow_worker(to->flow) != s->p.worker)
		return send_over(s, to, msg, cookie);
	c = conn_find(s, to->flow);
	if (!c) {
		counter_inc(&s->counters, NET_NO_FLOW);
		return -ENOTCONN;
	}
	return conn_send(c, msg, cookie, (uint16_t)s->p.worker);
}

static int on_send(struct net *net, const struct path *to, struct buf *msg, uint64_t cookie)
{
	struct sockets *s = sockets_of(net);
	const struct local *l;

	if (msg->len > NET_MESSAGE_MAX)
		return -EMSGSIZE;
	if (transport_is_stream(to->transport) && to->flow)
		return send_on_flow(s, to, msg, cookie);
	if (to->listener >= s->n_locals)
		return -EAFNOSUPPORT;
	l = &s->locals[to->listener];
	if (to->transport != l->conf.transport || (!l->udp && !l->acceptor && !l->conf.is_shared))
		return -EAFNOSUPPORT;
	if (l->udp)
		return udp_send(l->udp, to, msg);
	if (to->remote.family != l->conf.bind.family || to->remote.port == 0)
		return -EAFNOSUPPORT;
	return send_anywhere(s, to, msg, cookie);
}

static void on_flow_close(struct net *net, uint64_t flow)
{
	struct sockets *s = sockets_of(net);
	struct path to = { .flow = flow };
	struct net_mail *m;
	struct conn *c;

	if (flow_worker(flow) == s->p.worker) {
		c = conn_find(s, flow);
		if (c)
			conn_finish(c, NET_CLOSED_LOCAL);
		return;
	}
	if (flow_worker(flow) >= s->n_workers)
		return;
	m = mail_new(s, MAIL_CLOSE, &to);
	if (m)
		(void)post(s, flow_worker(flow), m);
	else
		counter_inc(&s->counters, NET_HAND_OVER_FAILED);
}

static int ping_over(struct sockets *s, const struct path *to)
{
	struct net_mail *m;

	if (flow_worker(to->flow) >= s->n_workers)
		return -ENOTCONN;
	if (!(m = mail_new(s, MAIL_PING, to)))
		return -ENOMEM;
	return post(s, flow_worker(to->flow), m) ? -ENOBUFS : 0;
}

static int on_ping(struct net *net, const struct path *to)
{
	struct sockets *s = sockets_of(net);
	struct conn *c;

	if (!transport_is_stream(to->transport) || !to->flow)
		return -ENOTCONN;
	if (flow_worker(to->flow) != s->p.worker)
		return ping_over(s, to);
	c = conn_find(s, to->flow);
	return c ? conn_ping(c) : -ENOTCONN;
}

static int on_alias(struct net *net, const struct path *of, uint16_t port)
{
	struct sockets *s = sockets_of(net);
	struct conn *c = of->flow && flow_worker(of->flow) == s->p.worker ? conn_find(s, of->flow) : NULL;

	return c ? conn_alias(c, port) : -ENOTCONN;
}

static uint32_t on_name(struct net *net, struct sv host, bool is_configured)
{
	struct sockets *s = sockets_of(net);
	struct addr addr;

	return addr_parse(&addr, host) == 0 ? 0 : expected_id(&s->expected, host, is_configured, s->p.wheel->now_ms);
}

static struct sv on_name_text(struct net *net, uint32_t name)
{
	return expected_name(&sockets_of(net)->expected, name);
}

static unsigned on_peer_names(struct net *net, const struct path *of, struct sv *out, unsigned max)
{
	struct sockets *s = sockets_of(net);
	const struct conn *c = of->flow && flow_worker(of->flow) == s->p.worker ? conn_find(s, of->flow) : NULL;

	return c && c->tls ? tls_peer_names(c->tls, out, max) : 0;
}

static const struct net_ops ops = { .send = on_send, .flow_close = on_flow_close, .ping = on_ping, .alias = on_alias,
                                    .name = on_name, .name_text = on_name_text, .peer_names = on_peer_names };

/* Flushing -------------------------------------------------------------------------------------------------------- */

static void work_on_conns(struct sockets *s)
{
	struct conn *c = s->work, *next;

	s->work = NULL;
	s->work_end = &s->work;
	for (; c; c = next) {
		next = c->next_work;
		conn_work(c);
	}
}

static bool flush_udp(struct sockets *s)
{
	bool is_done = true;

	for (size_t i = 0; i < s->n_locals; i++) {
		struct udp *u = s->locals[i].udp;

		if (u && u->head != u->tail && !udp_flush(u))
			is_done = false;
	}
	return is_done;
}

/* A failure that is reported may make its user send something else: a few rounds, then the loop turns first. */
void sockets_flush(struct net *net)
{
	struct sockets *s = sockets_of(net);
	bool is_done = false, has_handshakes = conn_shake_more(s);

	s->read_in_turn = 0;
	for (unsigned round = 0; !is_done && round < SOCKETS_FLUSH_ROUNDS; round++) {
		work_on_conns(s);
		is_done = flush_udp(s) && !s->work;
	}
	if (!is_done || has_handshakes)
		poller_again(s->p.poller);
}

static void on_look(struct timer *t)
{
	struct sockets *s = owner_of(t, struct sockets, look);
	uint64_t drops = 0;

	for (size_t i = 0; i < s->n_locals; i++)
		if (s->locals[i].udp)
			drops += udp_drops(s->locals[i].udp);
	counter_set(&s->counters, NET_UDP_KERNEL_DROPS, drops);
	heap_trim();
	wheel_arm_in(s->p.wheel, t, SOCKETS_LOOK_MS);
}

/* Life ------------------------------------------------------------------------------------------------------------ */

static int take_socket(struct sockets *s, size_t i)
{
	struct local *l = &s->locals[i];
	int *fd = &s->p.set->fds[i * s->p.set->workers + s->p.worker];
	int err;

	l->conf = s->p.set->listeners[i];
	if (*fd < 0)
		return 0;
	err = l->conf.transport == T_UDP ? udp_new(&l->udp, s, *fd, (uint16_t)i)
	                                 : acceptor_new(&l->acceptor, s, *fd, (uint16_t)i);
	if (!err)
		*fd = -1;
	return err;
}

static int take_sockets(struct sockets *s)
{
	s->locals = calloc(s->p.set->n + 1, sizeof *s->locals);
	if (!s->locals)
		return -ENOMEM;
	s->n_locals = s->p.set->n;
	for (size_t i = 0; i < s->n_locals; i++) {
		int err = take_socket(s, i);

		if (err)
			return err;
	}
	return 0;
}

static int init(struct sockets *s)
{
	size_t most = s->p.connections_max ? s->p.connections_max : NET_CONNECTIONS_MAX;
	int err = random_bytes(&s->key, sizeof s->key);

	if (!err)
		err = random_bytes(&s->next_generation, sizeof s->next_generation);
	if (!err)
		err = counters_init(&s->counters, net_counter_defs, NET_COUNTERS);
	if (!err)
		err = udp_area_init(&s->area);
	if (!err)
		err = table_init(&s->by_remote, 0);
	if (!err)
		err = table_init(&s->aliases, 0);
	if (!err)
		err = expected_init(&s->expected);
	if (err)
		return err;
	s->next_generation |= 1;
	slab_init(&s->conns, "connections", sizeof(struct conn), most);
	slab_init(&s->items, "waiting messages", sizeof(struct write_item), 0);
	slab_init(&s->links, "TLS connections", sizeof(struct tls), 0);
	conn_ws_slab(&s->websockets);
	s->ping = buf_copy(SV("\r\n\r\n"));
	s->pong = buf_copy(SV("\r\n"));
	s->nothing = buf_copy(SV(""));
	if (!s->ping || !s->pong || !s->nothing)
		return -ENOMEM;
	return take_sockets(s);
}

static void sockets_freep(struct sockets **s)
{
	if (*s)
		sockets_free(&(*s)->net);
}

/* On failure what was already taken of the set is closed: there is no process to run without one of its workers. */
int sockets_new(struct net **out, const struct sockets_params *params)
{
	SCOPED(sockets_freep) struct sockets *s = NULL;
	int err;

	if (params->worker >= params->set->workers)
		return -EINVAL;
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->net.ops = &ops;
	s->p = *params;
	s->n_workers = params->set->workers;
	s->free_slot = NO_SLOT;
	s->work_end = &s->work;
	s->held.max = SOCKETS_HELD_MAX;
	list_init(&s->handshakes);
	list_init(&s->dials);
	list_init(&s->half_open);
	s->handshakes_left = NET_HANDSHAKES_PER_TURN;
	s->look.fire = on_look;
	s->reserve_fd = -1;
	err = init(s);
	s->p.set = NULL;
	if (err)
		return err;
	s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	*out = &STEAL(s)->net;
	return 0;
}

int sockets_start(struct net *net)
{
	struct sockets *s = sockets_of(net);

	for (size_t i = 0; i < s->n_locals; i++) {
		struct local *l = &s->locals[i];
		int err = l->udp ? udp_start(l->udp) : l->acceptor ? acceptor_start(l->acceptor) : 0;

		if (err)
			return err;
	}
	wheel_arm_in(s->p.wheel, &s->look, SOCKETS_LOOK_MS);
	return 0;
}

void sockets_set_tls(struct net *net, size_t i, struct tls_context *server, struct tls_context *client)
{
	struct local *l = &sockets_of(net)->locals[i];
	struct tls_context *was[] = { l->server, l->client };

	l->server = server ? tls_context_get(server) : NULL;
	l->client = client ? tls_context_get(client) : NULL;
	tls_context_put(was[0]);
	tls_context_put(was[1]);
}

void sockets_pause_streams(struct net *net, bool is_paused)
{
	struct sockets *s = sockets_of(net);

	s->streams_are_paused = is_paused;
	for (uint32_t i = 0; !is_paused && s->n_paused && i < s->n_slots; i++)
		if (s->slots[i].conn)
			conn_resume(s->slots[i].conn);
}

void sockets_stop_accepting(struct net *net)
{
	struct sockets *s = sockets_of(net);

	for (size_t i = 0; i < s->n_locals; i++)
		acceptor_free(STEAL(s->locals[i].acceptor));
}

void sockets_free(struct net *net)
{
	struct sockets *s;

	if (!net)
		return;
	s = sockets_of(net);
	for (uint32_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].conn)
			conn_drop(s->slots[i].conn);
	for (size_t i = 0; i < s->n_locals; i++) {
		udp_free(s->locals[i].udp);
		tls_context_put(s->locals[i].server);
		tls_context_put(s->locals[i].client);
		acceptor_free(s->locals[i].acceptor);
	}
	wheel_disarm(s->p.wheel, &s->look);
	if (s->reserve_fd >= 0)
		close(s->reserve_fd);
	if (s->conns.size) {
		slab_fini(&s->conns);
		slab_fini(&s->items);
		slab_fini(&s->links);
		slab_fini(&s->websockets);
	}
	table_fini(&s->by_remote);
	table_fini(&s->aliases);
	expected_fini(&s->expected);
	buf_put(s->ping);
	buf_put(s->pong);
	buf_put(s->nothing);
	counters_fini(&s->counters);
	free(s->area.bytes);
	free(s->slots);
	free(s->locals);
	free(s);
}

const struct counters *sockets_counters(const struct net *net)
{
	return &owner_of(net, const struct sockets, net)->counters;
}

size_t sockets_connections(const struct net *net)
{
	return owner_of(net, const struct sockets, net)->conns.in_use;
}
