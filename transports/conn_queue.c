/* transports/conn_queue.c - what waits to be written to a connection. */
#include "transports/inside.h"
#include "transports/ws.h"
#include <errno.h>

static size_t cost_of(const struct buf *msg)
{
	return msg->len + SOCKETS_ITEM_COST;
}

/* A connection that died while it was being made is given the message too: its end reports it. */
int conn_queue(struct conn *c, struct buf *msg, uint64_t cookie, uint16_t asker)
{
	struct sockets *s = c->s;
	size_t cost = cost_of(msg);
	struct write_item *item = NULL;

	if (c->queued + cost <= NET_WRITE_QUEUE_MAX && s->queued + cost <= SOCKETS_QUEUED_MAX)
		item = slab_alloc(&s->items);
	if (!item) {
		counter_inc(&s->counters, NET_TCP_QUEUE_FULL);
		return -ENOBUFS;
	}
	*item = (struct write_item){ .msg = buf_get(msg), .cookie = cookie, .asker = asker };
	item->next = c->last ? c->last->next : item;
	if (c->last)
		c->last->next = item;
	c->last = item;
	c->queued += (uint32_t)cost;
	s->queued += cost;
	conn_has_work(c);
	return 0;
}

int conn_send(struct conn *c, struct buf *msg, uint64_t cookie, uint16_t asker)
{
	if (transport_is_websocket(c->transport))
		return conn_ws_send(c, msg, cookie, asker);
	return conn_queue(c, msg, cookie, asker);
}

void conn_item_free(struct conn *c, struct write_item *item)
{
	c->queued -= (uint32_t)cost_of(item->msg);
	c->s->queued -= cost_of(item->msg);
	buf_put(item->msg);
	slab_free(&c->s->items, item);
}

/* The first of those waiting, taken out. */
struct write_item *conn_item_take(struct conn *c)
{
	struct write_item *item = c->last->next;

	if (item == c->last)
		c->last = NULL;
	else
		c->last->next = item->next;
	return item;
}

/* What of it is still to be written: of its frame's head, which lies in `head` then, and of its bytes. */
static size_t item_rest(const struct write_item *item, uint8_t head[WS_OUR_HEAD_MAX], struct iovec iov[2])
{
	size_t n_head = item->opcode ? ws_head(item->opcode, item->msg->len, head) : 0, n = 0;
	size_t at = item->at > n_head ? item->at - n_head : 0;

	if (item->at < n_head)
		iov[n++] = (struct iovec){ head + item->at, n_head - item->at };
	if (item->msg->len > at)
		iov[n++] = (struct iovec){ item->msg->data + at, item->msg->len - at };
	return n;
}

static size_t item_len(const struct write_item *item)
{
	uint8_t head[WS_OUR_HEAD_MAX];

	return item->msg->len + (item->opcode ? ws_head(item->opcode, item->msg->len, head) : 0);
}

void conn_wrote(struct conn *c, size_t n)
{
	counter_add(&c->s->counters, NET_TCP_SENT_BYTES, n);
	while (c->last) {
		struct write_item *item = c->last->next;
		size_t rest = item_len(item) - item->at;

		if (n < rest) {
			item->at += (uint32_t)n;
			return;
		}
		n -= rest;
		if (item->asker != NOBODY)
			counter_inc(&c->s->counters, NET_TCP_SENT);
		conn_item_free(c, conn_item_take(c));
	}
}

ssize_t conn_write_some(struct conn *c)
{
	struct iovec iov[2 * SOCKETS_IOV];
	uint8_t heads[SOCKETS_IOV][WS_OUR_HEAD_MAX];
	struct write_item *item = c->last;
	size_t n = 0, n_items = 0;

	do {
		item = item->next;
		n += item_rest(item, heads[n_items++], iov + n);
	} while (item != c->last && n_items < SOCKETS_IOV);
	return conn_send_iov(c, iov, n);
}
