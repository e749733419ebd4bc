/* transports/conn_layers.c - what lies between a connection's socket and its messages: over TCP nothing, over TLS a link. */
#include "transports/inside.h"
#include <errno.h>

enum {
	COMPLAINT_MS = 10000,           /* at most one line of the log within these, by each of its clocks */
	EMPTY_RECORD_COST = 1024,       /* bytes that a record without any counts for (SOCKETS_TURN_BYTES) */
};

void conn_open(struct conn *c)
{
	if (transport_is_websocket(c->transport) && !c->ws) {
		conn_ws_begin(c);
		return;
	}
	c->state = CONN_OPEN;
	c->until = 0;
	c->is_blocked = false;
	conn_watch(c);
	if (c->state != CONN_OPEN)
		return;
	conn_heed_deadlines(c);
	if (c->last)
		conn_has_work(c);
}

void conn_begin(struct conn *c)
{
	if (!transport_is_secure(c->transport)) {
		conn_open(c);
		return;
	}
	c->state = CONN_HANDSHAKING;
	c->until = c->s->p.wheel->now_ms + NET_HANDSHAKE_MS;
	conn_heed_deadlines(c);
	if (c->is_accepted)
		conn_watch(c); /* nothing is made before the first byte comes */
	else
		conn_shake(c);
}

/* The handshake --------------------------------------------------------------------------------------------------- */

/* Whom we want to speak to, in text. */
static struct sv expected_of(const struct conn *c, char area[ADDR_TEXT])
{
	struct sv name = expected_host(&c->s->expected, c->name);

	return name.len ? name : sv_from(addr_print_ip(&c->remote, area));
}

bool conn_expects_nobody(const struct conn *c)
{
	if (c->is_accepted || !c->name || expected_name(&c->s->expected, c->name).len)
		return false;
	counter_inc(&c->s->counters, NET_TLS_NAMES_FULL);
	return true;
}

static void count_shaking(struct conn *c, int more)
{
	unsigned *n = c->s->n_shaking;

	n[c->is_accepted] += (unsigned)more;
	counter_set(&c->s->counters, NET_TLS_SHAKING, n[0] + n[1]);
}

static int begin_link(struct conn *c)
{
	const struct local *l = &c->s->locals[c->listener];
	struct tls_context *x = c->is_accepted ? l->server : l->client;
	char area[ADDR_TEXT];
	struct sv name = expected_of(c, area);
	const struct tls_params p = { .links = &c->s->links, .context = x, .tickets = c->s->p.tickets,
	                              .expects = c->is_accepted ? NULL : &name, .fd = c->watch.fd };
	int err;

	if (conn_expects_nobody(c))
		return -ENOKEY;
	if (!x || (err = tls_open(&c->tls, &p))) {
		counter_inc(&c->s->counters, NET_TLS_NO_SETTINGS);
		return x ? err : -ENOKEY;
	}
	c->is_shaking = true;
	count_shaking(c, 1);
	counter_add(&c->s->counters, NET_TLS_CONNECTIONS, 1);
	return 0;
}

static void stop_shaking(struct conn *c)
{
	if (!c->is_shaking)
		return;
	c->is_shaking = false;
	count_shaking(c, -1);
}

/* A configured name has its own; the names that clients make up share one, and leave addresses, which may be configured, theirs. */
static uint64_t *said_clock(struct conn *c)
{
	uint64_t *own = expected_said_ms(&c->s->expected, c->name);

	return own ? own : &c->s->said_ms[c->name ? SAID_OF_NAMES : SAID_OF_ADDRESSES];
}

/* What anybody can cause by connecting is counted; of whom we dial an operator wants to know. */
static void complain(struct conn *c, const char *why)
{
	char area[ADDR_TEXT], text[ADDR_TEXT], name[256];
	struct sv expected = expected_of(c, area);
	uint64_t now = c->s->p.wheel->now_ms, *said = said_clock(c);

	if (c->is_accepted || (*said && now < *said + COMPLAINT_MS))
		return;
	*said = now;
	memcpy(name, expected.p, expected.len);
	name[expected.len] = '\0';
	log_warn(c->s->p.log, "tls.not_connected", "remote=%s name=%s why=%s", addr_print(&c->remote, text), name, why);
}

static void fail(struct conn *c, int err, enum link_fault fault, const char *why)
{
	static const uint16_t counters[] = {
		[LINK_GARBAGE] = NET_TLS_GARBAGE, [LINK_REFUSED] = NET_TLS_REFUSED, [LINK_UNTRUSTED] = NET_TLS_UNTRUSTED,
		[LINK_CUT] = NET_TLS_CUT,
	};

	if (fault != LINK_OK)
		counter_inc(&c->s->counters, counters[fault]);
	complain(c, why);
	conn_die(c, NET_CLOSED_HANDSHAKE, -err);
}

static void shaken(struct conn *c)
{
	stop_shaking(c);
	counter_inc(&c->s->counters, NET_TLS_HANDSHAKES);
	if (tls_is_resumed(c->tls))
		counter_inc(&c->s->counters, NET_TLS_RESUMED);
	conn_open(c);
}

static void step(struct conn *c)
{
	enum link_fault fault = LINK_OK;
	char why[160] = "no settings, or no memory";
	int err = c->tls ? 0 : begin_link(c);

	if (!err)
		err = tls_shake(c->tls, &fault, why, sizeof(why));
	if (err == -EAGAIN) {
		c->is_blocked = c->tls->wants_write;
		if (c->is_accepted)
			list_push(&c->s->half_open, &c->in_handshakes);
		conn_watch(c);
	} else if (err) {
		fail(c, err, fault, why);
	} else {
		shaken(c);
	}
}

/* Not watched while it waits: what came would wake us again and again. Its deadline waits with it, since it is us who are slow: whatever is
 * left of it counts again from shake_first on. */
static void wait(struct conn *c)
{
	if (watch_set(c->s->p.poller, &c->watch, 0)) {
		conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
		return;
	}
	wheel_disarm(c->s->p.wheel, &c->timer);
	c->waits_since_ms = (uint32_t)c->s->p.wheel->now_ms;
	list_push(c->is_accepted ? &c->s->handshakes : &c->s->dials, &c->in_handshakes);
}

/* Whoever shakes hands in earnest answers within moments: the one that was not heard for longest makes room. */
static bool has_room(struct conn *c)
{
	struct sockets *s = c->s;
	struct conn *oldest;

	if (c->tls || s->n_shaking[c->is_accepted] < NET_HANDSHAKES_MAX)
		return true;
	counter_inc(&s->counters, NET_TLS_BUSY);
	if (!c->is_accepted || list_empty(&s->half_open))
		return false;
	oldest = owner_of(s->half_open.next, struct conn, in_handshakes);
	stop_shaking(oldest);
	conn_die(oldest, NET_CLOSED_HANDSHAKE, EBUSY);
	return true;
}

void conn_shake(struct conn *c)
{
	struct sockets *s = c->s;

	list_del(&c->in_handshakes);
	if (!has_room(c)) {
		conn_die(c, NET_CLOSED_HANDSHAKE, EBUSY);
	} else if (s->handshakes_left) {
		s->handshakes_left--;
		step(c);
	} else {
		wait(c);
	}
}

/* Whoever has waited for longest. */
static void shake_first(struct node *waiting)
{
	struct conn *c = owner_of(waiting->next, struct conn, in_handshakes);

	c->until += (uint32_t)c->s->p.wheel->now_ms - c->waits_since_ms;
	conn_heed_deadlines(c);
	conn_shake(c);
}

/* Ours first, then one of each: strangers hold no call up, and are not held up by many calls. */
bool conn_shake_more(struct sockets *s)
{
	bool is_ours = true;

	s->handshakes_left = NET_HANDSHAKES_PER_TURN;
	while (s->handshakes_left && !(list_empty(&s->handshakes) && list_empty(&s->dials))) {
		struct node *first = is_ours ? &s->dials : &s->handshakes, *second = is_ours ? &s->handshakes : &s->dials;

		shake_first(list_empty(first) ? second : first);
		is_ours = !is_ours;
	}
	return !list_empty(&s->handshakes) || !list_empty(&s->dials);
}

/* Bytes ----------------------------------------------------------------------------------------------------------- */

/* New keys are worked for, though they bring nothing: they count as bytes of the turn. */
static ssize_t recv_tls(struct conn *c, char *bytes, size_t size)
{
	ssize_t n = tls_recv(c->tls, bytes, size);

	if (n <= 0)
		c->s->read_in_turn += (size_t)c->tls->n_records * EMPTY_RECORD_COST;
	if (n == -ENOMSG)
		counter_inc(&c->s->counters, NET_TLS_EMPTY);
	return n;
}

ssize_t conn_recv(struct conn *c, char *bytes, size_t size)
{
	ssize_t n;

	if (c->tls)
		return recv_tls(c, bytes, size);
	n = recv(c->watch.fd, bytes, size, MSG_DONTWAIT);
	return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

/* Small pieces are put together where datagrams lie while they are read: none is, while we write. */
ssize_t conn_send_iov(struct conn *c, const struct iovec *iov, size_t n)
{
	const struct msghdr h = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	ssize_t sent;

	_Static_assert(NET_BATCH * UDP_STRIDE >= LINK_RECORD_MAX, "a record has to fit");
	if (c->tls)
		return tls_send(c->tls, iov, n, c->s->area.bytes);
	do
		sent = sendmsg(c->watch.fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent >= 0 ? sent : -errno;
}

/* Ending ---------------------------------------------------------------------------------------------------------- */

void conn_bye(struct conn *c)
{
	if (c->tls)
		tls_bye(c->tls);
}

void conn_layers_end(struct conn *c)
{
	stop_shaking(c);
	if (c->tls)
		counter_add(&c->s->counters, NET_TLS_CONNECTIONS, (uint64_t)-1);
	tls_close(c->tls);
	c->tls = NULL;
}

/* RFC 5923 §5: a connection is used again for whom it was made, or for whom its peer has proved to be. */
static bool has_proved(const struct conn *c, const struct path *to)
{
	struct sv names[LINK_NAMES_MAX], want = expected_host(&c->s->expected, to->name);
	unsigned n = c->tls ? tls_peer_names(c->tls, names, LINK_NAMES_MAX) : 0;

	for (unsigned i = 0; i < n; i++)
		if (sv_ieq(names[i], want))
			return true;
	return false;
}

bool conn_is_for(const struct conn *c, const struct path *to)
{
	const struct local *l = &c->s->locals[c->listener];

	if (!c->is_accepted && c->name == to->name)
		return true;
	if (!transport_is_secure(c->transport)) /* a WebSocket has a path, if anybody said one */
		return c->is_accepted || c->transport != T_WS || !to->name;
	return c->is_accepted && (!tls_context_verifies(l->client) || has_proved(c, to));
}
