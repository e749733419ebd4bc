/* Connections. Each lives and dies on one worker. A callback of the user may do anything with any connection, so
 * none is freed but in a flush: until then it is dead and waits in the list of work. */
#include "transports/inside.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLOTS_FIRST = 64 };

/* Names ----------------------------------------------------------------------------------------------------------- */

static uint64_t flow_of(const struct conn *c)
{
	return flow_make(c->s->p.worker, c->slot, c->s->slots[c->slot].generation);
}

struct path conn_path(const struct conn *c)
{
	return (struct path){ .remote = c->remote, .flow = flow_of(c), .listener = c->listener,
	                      .transport = c->transport };
}

uint64_t conn_remote_key(const struct sockets *s, const struct addr *remote, uint16_t listener, uint8_t transport)
{
	struct {
		struct addr remote;
		uint16_t listener, transport;
	} k = { *remote, listener, transport };

	_Static_assert(sizeof k == sizeof(struct addr) + 4, "padding would be hashed");
	return hash_bytes(&s->key, &k, sizeof k);
}

bool conn_is_usable(const struct conn *c)
{
	return c->state == CONN_CONNECTING || c->state == CONN_HANDSHAKING || c->state == CONN_UPGRADING ||
	       c->state == CONN_OPEN;
}

struct conn *conn_find(struct sockets *s, uint64_t flow)
{
	uint32_t slot = flow_slot(flow);

	if (slot >= s->n_slots || s->slots[slot].generation != (uint32_t)flow || !s->slots[slot].conn)
		return NULL;
	return conn_is_usable(s->slots[slot].conn) ? s->slots[slot].conn : NULL;
}

/* One that could not be made takes what is sent before its burial with it: a dead destination costs one attempt per
 * turn of the loop, not one per message. */
static bool is_joinable(const struct conn *c)
{
	return conn_is_usable(c) || (c->state == CONN_DEAD && !c->is_accepted &&
	                             (c->closed_by == NET_CLOSED_CONNECT || c->closed_by == NET_CLOSED_HANDSHAKE ||
	                              c->closed_by == NET_CLOSED_SLOW_HANDSHAKE || c->closed_by == NET_CLOSED_UPGRADE ||
	                              c->closed_by == NET_CLOSED_SLOW_UPGRADE));
}

/* Any connection to there, outgoing or accepted. */
static struct conn *find_remote(struct sockets *s, const struct path *to, uint64_t key)
{
	for (struct link *l = table_find(&s->by_remote, key); l; l = table_next(&s->by_remote, l)) {
		struct conn *c = owner_of(l, struct conn, by_remote);

		if (is_joinable(c) && addr_eq(&c->remote, &to->remote) && c->listener == to->listener &&
		    c->transport == to->transport && conn_is_for(c, to))
			return c;
	}
	return NULL;
}

static int more_slots(struct sockets *s)
{
	uint32_t size = s->slots_size ? 2 * s->slots_size : SLOTS_FIRST;
	struct slot *slots = reallocarray(s->slots, size, sizeof *slots);

	if (!slots)
		return -ENOMEM;
	s->slots = slots;
	s->slots_size = size;
	return 0;
}

static int slot_get(struct sockets *s, uint32_t *out)
{
	int err;

	if (s->free_slot != NO_SLOT) {
		*out = s->free_slot;
		s->free_slot = s->slots[*out].next_free;
		return 0;
	}
	if (s->n_slots == s->slots_size && (err = more_slots(s)))
		return err;
	*out = s->n_slots++;
	s->slots[*out] = (struct slot){ .generation = s->next_generation };
	return 0;
}

/* The next connection in this slot has another generation: an old flow never names a new connection. Nor does it in a slot that is made
 * later: that begins with the highest generation there was. */
static void slot_put(struct sockets *s, uint32_t i)
{
	s->slots[i].conn = NULL;
	if (++s->slots[i].generation == 0)
		s->slots[i].generation = 1;
	if ((int32_t)(s->slots[i].generation - s->next_generation) > 0)
		s->next_generation = s->slots[i].generation;
	s->slots[i].next_free = s->free_slot;
	s->free_slot = i;
}

/* The last of many takes their slots with it. */
static void slots_free(struct sockets *s)
{
	if (s->conns.in_use || s->slots_size <= SLOTS_FIRST)
		return;
	free(STEAL(s->slots));
	s->n_slots = s->slots_size = 0;
	s->free_slot = NO_SLOT;
}

/* Dying ----------------------------------------------------------------------------------------------------------- */

void conn_has_work(struct conn *c)
{
	if (c->has_work)
		return;
	c->has_work = true;
	c->next_work = NULL;
	*c->s->work_end = c;
	c->s->work_end = &c->next_work;
}

static void stop_watching(struct conn *c)
{
	watch_set(c->s->p.poller, &c->watch, 0);
}

static void forget_pause(struct conn *c)
{
	if (c->is_paused)
		c->s->n_paused--;
	c->is_paused = false;
}

void conn_die(struct conn *c, enum net_counter why, int error)
{
	if (c->state == CONN_DEAD)
		return;
	if (conn_is_usable(c) && c->state != CONN_OPEN && !c->is_accepted)
		counter_inc(&c->s->counters, NET_TCP_CONNECT_FAILED);
	if (conn_is_usable(c) || c->state == CONN_INTRODUCING)
		c->closed_by = (uint16_t)why;
	c->state = CONN_DEAD;
	c->error = error;
	stop_watching(c);
	forget_pause(c);
	wheel_disarm(c->s->p.wheel, &c->timer);
	list_del(&c->in_handshakes);
	conn_has_work(c);
}

static void tell_closed(struct conn *c)
{
	if (c->is_told)
		return;
	c->is_told = true;
	counter_inc(&c->s->counters, c->closed_by);
	c->s->p.handler.on_flow_closed(c->s->p.handler.ctx, flow_of(c));
}

/* Deadlines ------------------------------------------------------------------------------------------------------- */

static uint64_t idle_until(const struct conn *c)
{
	if (c->state != CONN_OPEN)
		return UINT64_MAX;
	return c->last_ms + (c->is_accepted && !c->has_spoken ? NET_FIRST_MESSAGE_MS : NET_IDLE_MS);
}

static uint64_t earliest(const struct conn *c)
{
	uint64_t at = idle_until(c);

	if (c->message_until && c->message_until < at)
		at = c->message_until;
	if (c->until && c->until < at)
		at = c->until;
	return at;
}

/* One timer for all. It is only ever moved forward; when it fires too early it is set again, so that traffic costs a
 * store and no timer. */
void conn_heed_deadlines(struct conn *c)
{
	uint64_t at = earliest(c);

	if (at != UINT64_MAX && (!timer_is_armed(&c->timer) || c->timer.at_ms > at))
		wheel_arm(c->s->p.wheel, &c->timer, at);
}

static void until_passed(struct conn *c)
{
	switch (c->state) {
	case CONN_CONNECTING:
		conn_die(c, NET_CLOSED_CONNECT, ETIMEDOUT);
		break;
	case CONN_HANDSHAKING:
		conn_die(c, NET_CLOSED_SLOW_HANDSHAKE, ETIMEDOUT);
		break;
	case CONN_UPGRADING:
		conn_die(c, NET_CLOSED_SLOW_UPGRADE, ETIMEDOUT);
		break;
	case CONN_INTRODUCING:
		conn_die(c, NET_CLOSED_PROXY, ETIMEDOUT);
		break;
	case CONN_LINGERING:
		conn_die(c, NET_CLOSED_LOCAL, 0);
		break;
	default:
		conn_die(c, NET_CLOSED_SLOW_READER, ETIMEDOUT);
	}
}

static void on_timer(struct timer *t)
{
	struct conn *c = owner_of(t, struct conn, timer);
	uint64_t now = c->s->p.wheel->now_ms;

	if (c->message_until && c->is_paused)
		c->message_until = now + NET_MESSAGE_MS; /* it is us who do not read */
	if (c->until && c->until <= now) {
		until_passed(c);
	} else if (c->message_until && c->message_until <= now) {
		conn_die(c, NET_CLOSED_SLOW_MESSAGE, ETIMEDOUT);
	} else if (idle_until(c) <= now) {
		conn_finish(c, c->is_accepted && !c->has_spoken ? NET_CLOSED_SILENT : NET_CLOSED_IDLE);
	} else {
		conn_heed_deadlines(c);
	}
}

/* Whoever has not sent a message yet buys no time with anything else. */
void conn_note_traffic(struct conn *c)
{
	if (c->has_spoken || !c->is_accepted)
		c->last_ms = c->s->p.wheel->now_ms;
}

/* Watching -------------------------------------------------------------------------------------------------------- */

static void on_event(struct watch *w, unsigned what);

static unsigned wanted(const struct conn *c)
{
	unsigned blocked = c->is_blocked ? WATCH_WRITE : 0;

	switch (c->state) {
	case CONN_CONNECTING:
		return WATCH_WRITE;
	case CONN_HANDSHAKING:
	case CONN_UPGRADING:
		return c->is_blocked ? WATCH_WRITE : WATCH_READ;
	case CONN_OPEN:
		return blocked | (c->is_paused ? 0 : WATCH_READ);
	case CONN_FINISHING:
		return blocked;
	case CONN_INTRODUCING:
	case CONN_LINGERING:
		return WATCH_READ;
	default:
		return 0;
	}
}

void conn_watch(struct conn *c)
{
	if (watch_set(c->s->p.poller, &c->watch, wanted(c)))
		conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
}

void conn_resume(struct conn *c)
{
	if (!c->is_paused)
		return;
	forget_pause(c);
	conn_watch(c);
}

/* Birth ----------------------------------------------------------------------------------------------------------- */

/* `fd` becomes the connection's on success only. */
static int conn_new(struct conn **out, struct sockets *s, const struct path *p, int fd)
{
	struct conn *c = slab_alloc(&s->conns);
	uint32_t slot;
	int err;

	if (!c)
		return -ENOBUFS;
	err = slot_get(s, &slot);
	if (err) {
		slab_free(&s->conns, c);
		return err;
	}
	err = table_add(&s->by_remote, &c->by_remote, conn_remote_key(s, &p->remote, p->listener, p->transport));
	if (err) {
		slot_put(s, slot);
		slab_free(&s->conns, c);
		return err;
	}
	c->s = s;
	c->watch = (struct watch){ on_event, fd, 0 };
	c->slot = slot;
	c->remote = p->remote;
	c->listener = p->listener;
	c->transport = p->transport;
	c->name = p->name;
	list_init(&c->in_handshakes);
	c->timer.fire = on_timer;
	s->slots[slot].conn = c;
	conn_note_traffic(c);
	counter_set(&s->counters, NET_TCP_CONNECTIONS, s->conns.in_use);
	*out = c;
	return 0;
}

int conn_accepted(struct sockets *s, uint16_t listener, int fd, const struct addr *remote)
{
	struct path p = { .remote = *remote, .listener = listener, .transport = s->locals[listener].conf.transport };
	struct conn *c;
	int err = conn_new(&c, s, &p, fd);

	if (err)
		return err;
	c->is_accepted = true;
	c->sniffs = s->locals[listener].conf.upgrades_to != 0;
	if (s->p.handler.is_proxy && s->p.handler.is_proxy(s->p.handler.ctx, listener, remote))
		conn_await_proxy(c);
	else
		conn_begin(c);
	return 0;
}

/* From the listener's address, its port chosen at connect: two connections to different places may share one. */
static int connect_from(const struct addr *local, const struct addr *remote, int fd)
{
	struct addr from = *local;
	struct sockaddr_storage sa;
	socklen_t len;
	int on = 1, err;

	from.port = 0;
	(void)setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	socket_set_tcp(fd);
	err = socket_bind(fd, &from);
	if (err)
		return err;
	len = addr_to_sockaddr(remote, &sa);
	return connect(fd, (struct sockaddr *)&sa, len) && errno != EINPROGRESS ? -errno : 0;
}

static int connect_new(struct sockets *s, const struct path *to, struct conn **out)
{
	struct conn *c;
	int fd, err = socket_new(to->transport, to->remote.family, &fd);

	if (err)
		return err == -ENOMEM ? err : -ENOBUFS;
	err = conn_new(&c, s, to, fd);
	if (err) {
		close(fd);
		return err == -ENOMEM ? err : -ENOBUFS;
	}
	counter_inc(&s->counters, NET_TCP_CONNECTS);
	c->state = CONN_CONNECTING;
	c->until = s->p.wheel->now_ms + NET_CONNECT_MS;
	err = connect_from(&s->locals[to->listener].conf.bind, &to->remote, fd);
	if (err)
		conn_die(c, NET_CLOSED_CONNECT, -err);
	else {
		conn_watch(c);
		conn_heed_deadlines(c);
	}
	*out = c;
	return 0;
}

int conn_connect(struct sockets *s, const struct path *to, struct conn **out)
{
	uint64_t key = conn_remote_key(s, &to->remote, to->listener, to->transport);
	struct conn *c = find_remote(s, to, key);
	int err = 0;

	if (!c && !(c = conn_by_alias(s, to, key)))
		err = connect_new(s, to, &c);
	if (err) {
		counter_inc(&s->counters, NET_TCP_CONNECT_REFUSED_HERE);
		return err;
	}
	*out = c;
	return 0;
}

/* Writing --------------------------------------------------------------------------------------------------------- */

static void blocked(struct conn *c)
{
	c->is_blocked = true;
	if (!c->until)
		c->until = c->s->p.wheel->now_ms + SOCKETS_WRITE_MS;
	conn_watch(c);
	if (c->state != CONN_DEAD)
		conn_heed_deadlines(c);
}

/* Progress renews the deadline of a peer that reads slowly; one that does not read at all gets no second one. */
static void write_out(struct conn *c)
{
	while (c->last || (c->ws && conn_ws_pong(c))) {
		ssize_t n = conn_write_some(c);

		if (n == -EAGAIN) {
			blocked(c);
			return;
		}
		if (n < 0) {
			conn_die(c, NET_CLOSED_ERROR, (int)-n);
			return;
		}
		conn_wrote(c, (size_t)n);
		conn_note_traffic(c);
		c->until = 0;
	}
}

/* Ending ---------------------------------------------------------------------------------------------------------- */

void conn_finish(struct conn *c, enum net_counter why)
{
	if (conn_is_usable(c) && c->state != CONN_OPEN) {
		conn_die(c, why, ECANCELED);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	if (c->ws)
		conn_ws_close(c, why);
	c->state = CONN_FINISHING;
	c->closed_by = (uint16_t)why;
	c->message_until = 0;
	forget_pause(c);
	conn_watch(c);
	if (c->state == CONN_FINISHING)
		conn_heed_deadlines(c);
	conn_has_work(c);
}

/* All is written. Closing with unread bytes would send a reset, which can overtake our last answer: we shut our side
 * and wait a moment for the peer's. */
static void linger(struct conn *c)
{
	stream_fini(&c->stream, &c->s->held);
	conn_ws_end(c);
	tell_closed(c);
	conn_bye(c);
	if (c->closed_by == NET_CLOSED_PEER || shutdown(c->watch.fd, SHUT_WR)) {
		conn_die(c, c->closed_by, 0);
		return;
	}
	c->state = CONN_LINGERING;
	c->until = c->s->p.wheel->now_ms + SOCKETS_LINGER_MS;
	conn_watch(c);
	if (c->state == CONN_LINGERING)
		conn_heed_deadlines(c);
}

/* No callbacks. */
static void release(struct conn *c)
{
	struct sockets *s = c->s;

	stop_watching(c);
	wheel_disarm(s->p.wheel, &c->timer);
	list_del(&c->in_handshakes);
	conn_layers_end(c);
	stream_fini(&c->stream, &s->held);
	conn_ws_end(c);
	while (c->last)
		conn_item_free(c, conn_item_take(c));
	close(c->watch.fd);
	slot_put(s, c->slot);
	slab_free(&s->conns, c);
	slots_free(s);
	counter_set(&s->counters, NET_TCP_CONNECTIONS, s->conns.in_use);
}

static void bury(struct conn *c)
{
	conn_alias_end(c);
	table_del(&c->s->by_remote, &c->by_remote); /* what the callbacks send needs another connection */
	while (c->last) {
		struct write_item *item = conn_item_take(c);
		struct path to = conn_path(c);

		if (item->asker != NOBODY) {
			counter_inc(&c->s->counters, NET_TCP_NOT_SENT);
			sockets_tell_failed(c->s, &to, item->cookie, item->asker, c->error ? -c->error : -EPIPE);
		}
		conn_item_free(c, item);
	}
	tell_closed(c);
	release(c);
}

void conn_work(struct conn *c)
{
	if ((c->state == CONN_OPEN || c->state == CONN_FINISHING) && !c->is_blocked)
		write_out(c);
	if (c->state == CONN_FINISHING && !c->last)
		linger(c);
	if (c->state == CONN_DEAD)
		bury(c);
	else
		c->has_work = false; /* not earlier: what dies here is buried here, and not listed again */
}

void conn_drop(struct conn *c)
{
	conn_alias_end(c);
	table_del(&c->s->by_remote, &c->by_remote);
	release(c);
}

static void throw_away(struct conn *c)
{
	ssize_t n = recv(c->watch.fd, c->s->area.bytes, READ_MAX, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_die(c, c->closed_by, 0);
}

static void connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error) {
		conn_die(c, NET_CLOSED_CONNECT, error);
		return;
	}
	conn_note_traffic(c);
	conn_begin(c);
}

static void on_event(struct watch *w, unsigned what)
{
	struct conn *c = owner_of(w, struct conn, watch);

	wheel_look(c->s->p.wheel);
	if (c->state == CONN_CONNECTING) {
		connected(c);
		return;
	}
	if (c->state == CONN_INTRODUCING) {
		conn_read_proxy(c);
		return;
	}
	if (c->state == CONN_HANDSHAKING) {
		c->is_blocked = false;
		conn_shake(c);
		return;
	}
	if (c->state == CONN_UPGRADING) {
		c->is_blocked = false;
		conn_ws_shake(c);
		return;
	}
	if (c->state == CONN_LINGERING) {
		throw_away(c);
		return;
	}
	if ((what & WATCH_WRITE) && c->is_blocked) {
		c->is_blocked = false;
		conn_has_work(c);
	}
	if ((what & WATCH_READ) && c->state == CONN_OPEN)
		conn_read(c);
	conn_watch(c);
}
