/* transports/conn_layers.c - what lies between a connection's socket and its messages: over TCP nothing. */
#include "transports/inside.h"
#include <errno.h>

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
	conn_open(c);
}

void conn_shake(struct conn *c)
{
	conn_die(c, NET_CLOSED_HANDSHAKE, EPROTO);
}

ssize_t conn_recv(struct conn *c, char *bytes, size_t size)
{
	ssize_t n = recv(c->watch.fd, bytes, size, MSG_DONTWAIT);

	return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

ssize_t conn_send_iov(struct conn *c, const struct iovec *iov, size_t n)
{
	const struct msghdr h = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	ssize_t sent;

	do
		sent = sendmsg(c->watch.fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent >= 0 ? sent : -errno;
}
