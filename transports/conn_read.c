/* transports/conn_read.c - what a connection brings: messages out of its bytes, and keep-alives. */
#include "transports/inside.h"
#include <errno.h>

void conn_hand_up(struct conn *c, char *bytes, size_t len, bool is_broken)
{
	struct path from = conn_path(c);

	c->has_spoken = true;
	conn_note_traffic(c);
	counter_inc(&c->s->counters, is_broken ? NET_TCP_BROKEN : NET_TCP_RECEIVED);
	c->s->p.handler.on_message(c->s->p.handler.ctx, &from, bytes, len, is_broken);
}

void conn_tell_alive(struct conn *c)
{
	struct path from = conn_path(c);

	sockets_tell_alive(c->s, &from);
}

/* RFC 5626 §3.5.1: the pong. A peer that has not read the last one gets no other. */
static void answer_ping(struct conn *c)
{
	counter_inc(&c->s->counters, NET_TCP_PINGS);
	if (!c->last)
		(void)conn_send(c, c->s->pong, 0, NOBODY);
	conn_tell_alive(c);
}

int conn_ping(struct conn *c)
{
	int err = c->last ? 0 : transport_is_websocket(c->transport) ? conn_ws_ping(c) : conn_send(c, c->s->ping, 0, NOBODY);

	if (err)
		return err;
	c->is_pinged = true;
	counter_inc(&c->s->counters, NET_TCP_PINGED);
	return 0;
}

/* Any byte says that it is there. */
static void heed_pong(struct conn *c)
{
	if (!c->is_pinged || c->state != CONN_OPEN)
		return;
	conn_tell_alive(c);
	if (c->state == CONN_OPEN && stream_take_pong(&c->stream)) {
		c->is_pinged = false;
		counter_inc(&c->s->counters, NET_TCP_PONGS);
	}
}

void conn_heed_message(struct conn *c, bool is_partial, bool is_new)
{
	if (!is_partial) {
		c->message_until = 0;
		return;
	}
	if (is_new || !c->message_until)
		c->message_until = c->s->p.wheel->now_ms + NET_MESSAGE_MS;
	conn_heed_deadlines(c);
}

static void feed(struct conn *c, char *bytes, size_t len)
{
	struct stream_message in = { bytes, len }, m;
	bool is_new = false;

	while (c->state == CONN_OPEN) {
		switch (stream_next(&c->stream, &c->s->held, &in, &m)) {
		case STREAM_MORE:
			conn_heed_message(c, stream_is_partial(&c->stream), is_new);
			return;
		case STREAM_MESSAGE:
			is_new = true;
			conn_hand_up(c, m.p, m.len, false);
			break;
		case STREAM_BROKEN:
			conn_hand_up(c, m.p, m.len, true);
			conn_finish(c, NET_CLOSED_BROKEN);
			return;
		case STREAM_PING:
			answer_ping(c);
			break;
		case STREAM_FULL:
			conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
			return;
		}
	}
}

/* "GET " and nothing else begins an upgrade (RFC 6455 §4.1): no method of SIP is called so. What has come of it need not be kept. */
static void sniff(struct conn *c, char *bytes, size_t len)
{
	static const char get[] = "GET ";
	char seen[sizeof get - 1 + BUF_PAD] = "";

	while (len && c->n_sniffed < sizeof get - 1 && *bytes == get[c->n_sniffed]) {
		c->n_sniffed++;
		bytes++;
		len--;
	}
	if (!len && c->n_sniffed < sizeof get - 1) {
		conn_heed_message(c, c->n_sniffed > 0, false);
		return; /* until there is more */
	}
	c->sniffs = false;
	memcpy(seen, get, c->n_sniffed);
	if (c->n_sniffed < sizeof get - 1) {
		feed(c, seen, c->n_sniffed);
		feed(c, bytes, len);
		return;
	}
	conn_ws_become(c);
	conn_ws_feed(c, seen, c->n_sniffed);
	conn_ws_feed(c, bytes, len);
}

/* Behind what was read lie readable bytes, of whoever was read before. */
void conn_read(struct conn *c)
{
	char *bytes = c->s->area.bytes;
	ssize_t n;

	if (c->s->streams_are_paused) {
		c->is_paused = true;
		c->s->n_paused++;
		conn_watch(c);
		return;
	}
	if (c->s->read_in_turn >= SOCKETS_TURN_BYTES)
		return; /* it stays ready, behind the others */
	n = conn_recv(c, bytes, READ_MAX);
	if (n == 0)
		conn_finish(c, NET_CLOSED_PEER);
	else if (n < 0 && n != -EAGAIN)
		conn_die(c, NET_CLOSED_ERROR, (int)-n);
	if (n <= 0)
		return;
	c->s->read_in_turn += (size_t)n;
	counter_add(&c->s->counters, NET_TCP_RECEIVED_BYTES, (uint64_t)n);
	conn_note_traffic(c);
	if (c->ws)
		conn_ws_feed(c, bytes, (size_t)n);
	else if (c->sniffs)
		sniff(c, bytes, (size_t)n);
	else
		feed(c, bytes, (size_t)n);
	heed_pong(c);
	counter_set(&c->s->counters, NET_TCP_HELD_BYTES, c->s->held.bytes);
}
