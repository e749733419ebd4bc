/* transports/conn_proxy.c - a connection from a balancer that speaks the PROXY protocol: before anything else it says whose
 * connection it passes. The header is only looked at until it is whole, and then taken out of the socket to its last byte: what
 * follows is TLS's or the stream's. So nothing is held of it here. */
#include "transports/inside.h"
#include "transports/proxy.h"
#include <errno.h>

void conn_await_proxy(struct conn *c)
{
	c->state = CONN_INTRODUCING;
	c->until = c->s->p.wheel->now_ms + NET_PROXY_MS;
	conn_watch(c);
	if (c->state == CONN_INTRODUCING)
		conn_heed_deadlines(c);
}

/* From now on it is the connection of whom the header names. */
static int introduce(struct conn *c, const struct addr *remote)
{
	struct sockets *s = c->s;

	if (!remote->family)
		return 0;
	table_del(&s->by_remote, &c->by_remote);
	c->remote = *remote;
	return table_add(&s->by_remote, &c->by_remote, conn_remote_key(s, remote, c->listener, c->transport));
}

/* A look at `n` bytes was not enough: the socket is ready again when there are more. It was told so before: then there will be no
 * more, the other side has ended. */
static void want_more(struct conn *c, size_t n)
{
	int low = 0, wanted = (int)n + 1;
	socklen_t len = sizeof low;

	if (getsockopt(c->watch.fd, SOL_SOCKET, SO_RCVLOWAT, &low, &len) || low > (int)n ||
	    setsockopt(c->watch.fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted))
		conn_die(c, NET_CLOSED_PEER, ECONNRESET);
}

static void header_ends(struct conn *c, const struct proxy *p, size_t n)
{
	int low = 1;

	if (recv(c->watch.fd, c->s->area.bytes, n, MSG_DONTWAIT) != (ssize_t)n ||
	    setsockopt(c->watch.fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low)) {
		conn_die(c, NET_CLOSED_ERROR, EIO);
		return;
	}
	if (introduce(c, &p->remote)) {
		conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
		return;
	}
	counter_inc(&c->s->counters, NET_TCP_PROXIED);
	c->until = 0;
	conn_begin(c);
}

void conn_read_proxy(struct conn *c)
{
	char *bytes = c->s->area.bytes;
	ssize_t n = recv(c->watch.fd, bytes, PROXY_MAX, MSG_PEEK | MSG_DONTWAIT);
	struct proxy p;
	int used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_die(c, n ? NET_CLOSED_ERROR : NET_CLOSED_PEER, n ? errno : 0);
		return;
	}
	used = proxy_parse(&p, (struct sv){ bytes, (size_t)n });
	if (used > 0)
		header_ends(c, &p, (size_t)used);
	else if (used == 0)
		want_more(c, (size_t)n);
	else
		conn_die(c, NET_CLOSED_PROXY, EBADMSG);
}
