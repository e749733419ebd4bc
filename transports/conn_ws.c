/* transports/conn_ws.c - connections that are WebSockets: their upgrade, messages in frames, pings, and how they end. A connection that
 * we accepted is a server's. */
#include "transports/inside.h"
#include "transports/upgrade.h"
#include "transports/ws.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOST_MAX = 264 };          /* of a Host: a name, a colon, a port */
_Static_assert((int)HOST_MAX >= (int)ADDR_TEXT, "or an address");

struct conn_ws {
	struct ws frames;
	struct upgrade upgrade;
	struct buf *request;         /* ours, until all of it is written */
	struct buf *ping;            /* payload of their last ping, until a pong waits */
	uint32_t at;                 /* bytes of the request already written */
	bool is_binary;              /* the kind of their last message: ours go alike */
	bool is_closing;             /* our Close waits or went: nothing follows it (RFC 6455 §5.5.1) */
	char key[UPGRADE_KEY_LEN];   /* of our request */
};

static struct upgrade_rules rules_of(struct conn *c)
{
	const struct net_handler *h = &c->s->p.handler;
	struct upgrade_rules rules = { .path = { "", 0 } };
	struct path at = conn_path(c);

	if (h->on_upgrade)
		h->on_upgrade(h->ctx, &at, !c->is_accepted, &rules);
	return rules;
}

void conn_ws_slab(struct slab *out)
{
	slab_init(out, "websockets", sizeof(struct conn_ws), 0);
}

void conn_ws_end(struct conn *c)
{
	struct conn_ws *ws = STEAL(c->ws);

	if (!ws)
		return;
	upgrade_fini(&ws->upgrade, &c->s->held);
	ws_fini(&ws->frames, &c->s->held);
	buf_put(ws->request);
	buf_put(ws->ping);
	slab_free(&c->s->websockets, ws);
}

/* Frames out ------------------------------------------------------------------------------------------------------ */

/* RFC 6455 §5.3: a client masks, with keys nobody can foresee. */
static uint32_t next_mask(struct sockets *s)
{
	s->n_masks++;
	return (uint32_t)hash_bytes(&s->key, &s->n_masks, sizeof s->n_masks);
}

static int queue_frame(struct conn *c, uint8_t opcode, struct buf *payload, uint64_t cookie, uint16_t asker)
{
	SCOPED(buf_putp) struct buf *masked = NULL;
	int err;

	if (!c->is_accepted) {
		masked = ws_masked(opcode, buf_sv(payload), next_mask(c->s));
		return masked ? conn_queue(c, masked, cookie, asker) : -ENOMEM;
	}
	err = conn_queue(c, payload, cookie, asker);
	if (!err)
		c->last->opcode = opcode;
	return err;
}

int conn_ws_send(struct conn *c, struct buf *msg, uint64_t cookie, uint16_t asker)
{
	bool is_binary = (c->ws && c->ws->is_binary) || !ws_is_utf8(buf_sv(msg));

	return queue_frame(c, is_binary ? WS_BINARY : WS_TEXT, msg, cookie, asker);
}

int conn_ws_ping(struct conn *c)
{
	return queue_frame(c, WS_PING, c->s->nothing, 0, NOBODY);
}

/* One for all pings that came meanwhile, with what the last one brought (RFC 6455 §5.5.3): a peer that only pings makes nothing wait. */
bool conn_ws_pong(struct conn *c)
{
	SCOPED(buf_putp) struct buf *payload = STEAL(c->ws->ping);

	return payload && !c->ws->is_closing && queue_frame(c, WS_PONG, payload, 0, NOBODY) == 0;
}

static void send_close(struct conn *c, uint16_t code)
{
	SCOPED(buf_putp) struct buf *payload = c->ws->is_closing ? NULL : ws_close_payload(code);

	c->ws->is_closing = true;
	if (payload)
		(void)queue_frame(c, WS_CLOSE, payload, 0, NOBODY);
}

void conn_ws_close(struct conn *c, enum net_counter why)
{
	if (why != NET_CLOSED_PEER) /* he ended it without a word: there is nobody to tell */
		send_close(c, why == NET_CLOSED_LOCAL ? WS_CODE_NORMAL : WS_CODE_GOING_AWAY);
}

/* The upgrade ----------------------------------------------------------------------------------------------------- */

static enum net_counter refused_as(unsigned status)
{
	switch (status) {
	case 403: return NET_WS_REFUSED_ORIGIN;
	case 404: return NET_WS_REFUSED_PATH;
	case 426: return NET_WS_REFUSED_VERSION;
	case 503: return NET_WS_REFUSED_ROOM;
	default:  return NET_WS_REFUSED_REQUEST;
	}
}

/* In HTTP, before any frame. False: there is no room for it, and the connection is dead. */
static bool answer(struct conn *c, unsigned status, struct sv key)
{
	char text[UPGRADE_ANSWER_MAX];
	size_t len = upgrade_answer(status, key, text);
	SCOPED(buf_putp) struct buf *b = len ? buf_copy((struct sv){ text, len }) : NULL;

	if (b && conn_queue(c, b, 0, NOBODY) == 0)
		return true;
	conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
	return false;
}

static void refuse(struct conn *c, unsigned status)
{
	counter_inc(&c->s->counters, refused_as(status));
	c->ws->is_closing = true;
	conn_open(c); /* for as long as the answer takes */
	if (c->state == CONN_OPEN && answer(c, status, SV("")))
		conn_finish(c, NET_CLOSED_UPGRADE);
}

static void became_ws(struct conn *c)
{
	counter_inc(&c->s->counters, NET_WS_UPGRADED);
	upgrade_fini(&c->ws->upgrade, &c->s->held);
	conn_open(c);
}

static void take_request(struct conn *c, const struct upgrade_head *head)
{
	struct upgrade_rules rules = rules_of(c);
	struct sv key;
	unsigned status = upgrade_judge(&rules, head, &key);

	if (status != 101)
		refuse(c, status);
	else if (answer(c, status, key))
		became_ws(c);
}

static void take_answer(struct conn *c, const struct upgrade_head *head)
{
	if (upgrade_check(head, (struct sv){ c->ws->key, UPGRADE_KEY_LEN }) == 0) {
		became_ws(c);
		return;
	}
	counter_inc(&c->s->counters, NET_WS_REFUSED_BY_PEER);
	conn_die(c, NET_CLOSED_UPGRADE, EPROTO);
}

static void feed_upgrade(struct conn *c, struct stream_message *in)
{
	struct upgrade_head head;

	switch (upgrade_next(&c->ws->upgrade, &c->s->held, in, &head)) {
	case UPGRADE_MORE:
		return;
	case UPGRADE_FULL:
		if (c->is_accepted)
			refuse(c, 503);
		else
			conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
		return;
	case UPGRADE_READ:
		if (c->is_accepted)
			take_request(c, &head);
		else
			take_answer(c, &head);
	}
}

/* Host is whom we want to speak to: the name that was asked for, where a path has one (over TLS), else the address. */
static int make_request(struct conn *c)
{
	struct upgrade_rules rules = rules_of(c);
	struct sv name = expected_host(&c->s->expected, c->name), path = expected_path(&c->s->expected, c->name);
	struct sv key = { c->ws->key, UPGRADE_KEY_LEN };
	char host[HOST_MAX];
	int err = upgrade_key(c->ws->key);

	if (err)
		return err;
	if (name.len && name.len < sizeof host - sizeof ":65535")
		snprintf(host, sizeof host, "%.*s:%u", SV_ARG(name), c->remote.port);
	else
		addr_print(&c->remote, host);
	c->ws->request = upgrade_request(sv_from(host), path.len ? path : rules.path, key);
	return c->ws->request ? 0 : -ENOMEM;
}

/* Straight to the socket: messages that wait are for afterwards. */
static void write_request(struct conn *c)
{
	struct conn_ws *ws = c->ws;

	while (ws->request && c->state == CONN_UPGRADING) {
		struct iovec rest = { ws->request->data + ws->at, ws->request->len - ws->at };
		ssize_t n = conn_send_iov(c, &rest, 1);

		if (n == -EAGAIN) {
			c->is_blocked = true;
			return;
		}
		if (n < 0) {
			conn_die(c, NET_CLOSED_UPGRADE, (int)-n);
			return;
		}
		ws->at += (uint32_t)n;
		if (ws->at == ws->request->len)
			buf_put(STEAL(ws->request));
	}
}

static void begin(struct conn *c)
{
	c->state = CONN_UPGRADING;
	c->is_blocked = false;
	c->until = c->s->p.wheel->now_ms + NET_UPGRADE_MS;
	c->message_until = 0;
	if (conn_expects_nobody(c)) {
		conn_die(c, NET_CLOSED_UPGRADE, ENOKEY);
		return;
	}
	c->ws = slab_alloc(&c->s->websockets);
	if (!c->ws || (!c->is_accepted && make_request(c))) {
		conn_die(c, NET_CLOSED_MEMORY, ENOMEM);
		return;
	}
	c->ws->frames.is_client = !c->is_accepted;
	conn_heed_deadlines(c);
}

void conn_ws_begin(struct conn *c)
{
	begin(c);
	if (c->state == CONN_UPGRADING)
		write_request(c);
	conn_watch(c);
}

void conn_ws_become(struct conn *c)
{
	struct sockets *s = c->s;

	table_del(&s->by_remote, &c->by_remote);
	c->listener = (uint16_t)(s->locals[c->listener].conf.upgrades_to - 1);
	c->transport = s->locals[c->listener].conf.transport;
	table_add(&s->by_remote, &c->by_remote, conn_remote_key(s, &c->remote, c->listener, c->transport)); /* has no bound */
	begin(c);
}

static void read_upgrade(struct conn *c)
{
	char *bytes = c->s->area.bytes;
	ssize_t n = conn_recv(c, bytes, READ_MAX);

	if (n == 0)
		conn_die(c, NET_CLOSED_PEER, ECONNRESET);
	else if (n < 0 && n != -EAGAIN)
		conn_die(c, NET_CLOSED_ERROR, (int)-n);
	if (n <= 0)
		return;
	counter_add(&c->s->counters, NET_TCP_RECEIVED_BYTES, (uint64_t)n);
	conn_ws_feed(c, bytes, (size_t)n);
	counter_set(&c->s->counters, NET_TCP_HELD_BYTES, c->s->held.bytes);
}

void conn_ws_shake(struct conn *c)
{
	write_request(c);
	if (c->state == CONN_UPGRADING && !c->ws->request)
		read_upgrade(c);
	conn_watch(c);
}

/* Frames in ------------------------------------------------------------------------------------------------------- */

/* Our answer to a double CRLF goes in a frame, and only then: no browser sends one (RFC 7118 §6, RFC 5626 §3.5.1). */
static void take_crlf(struct conn *c, struct sv text)
{
	if (text.len == 4) {
		counter_inc(&c->s->counters, NET_TCP_PINGS);
		if (!c->last)
			(void)conn_ws_send(c, c->s->pong, 0, NOBODY);
	}
	conn_tell_alive(c);
}

static void take_message(struct conn *c, const struct ws_event *e)
{
	struct sv text = { e->payload.p, e->payload.len };
	bool is_one;

	c->ws->is_binary = !e->is_text;
	if (!sv_trim(text).len) {
		take_crlf(c, text);
		return;
	}
	is_one = stream_is_one(text);
	if (!is_one)
		counter_inc(&c->s->counters, NET_WS_NOT_ONE);
	conn_hand_up(c, e->payload.p, e->payload.len, !is_one);
}

static void take_ping(struct conn *c, struct sv payload)
{
	counter_inc(&c->s->counters, NET_TCP_PINGS);
	buf_put(c->ws->ping);
	c->ws->ping = buf_copy(payload); /* without memory he gets none, and asks again */
	conn_has_work(c);
	conn_tell_alive(c);
}

static void take_pong(struct conn *c)
{
	if (!c->is_pinged)
		return; /* RFC 6455 §5.5.3: unasked, it means nothing */
	c->is_pinged = false;
	counter_inc(&c->s->counters, NET_TCP_PONGS);
	conn_tell_alive(c);
}

static void is_faulty(struct conn *c, const struct ws_event *e)
{
	static const enum net_counter counted_as[] = {
		[WS_FAULT_FRAME] = NET_WS_BAD_FRAME, [WS_FAULT_UNMASKED] = NET_WS_UNMASKED, [WS_FAULT_TEXT] = NET_WS_NO_TEXT,
		[WS_FAULT_TOO_BIG] = NET_WS_TOO_BIG,
	};

	counter_inc(&c->s->counters, counted_as[e->fault]);
	send_close(c, e->code);
	conn_finish(c, NET_CLOSED_WS);
}

/* RFC 6455 §5.5.1: the same code goes back, and whoever serves ends the connection. */
static void is_closed(struct conn *c, uint16_t code)
{
	send_close(c, code);
	conn_finish(c, NET_CLOSED_PEER);
}

/* One event. False: nothing more can be read from `in`. */
static bool take_next(struct conn *c, struct stream_message *in)
{
	struct ws_event e;

	switch (ws_next(&c->ws->frames, &c->s->held, in, &e)) {
	case WS_GOT_MORE:
		return false;
	case WS_GOT_MESSAGE:
		take_message(c, &e);
		return true;
	case WS_GOT_PING:
		take_ping(c, (struct sv){ e.payload.p, e.payload.len });
		return true;
	case WS_GOT_PONG:
		take_pong(c);
		return true;
	case WS_GOT_CLOSE:
		is_closed(c, e.code);
		return true;
	case WS_GOT_FAULT:
		is_faulty(c, &e);
		return true;
	default:
		send_close(c, WS_CODE_ERROR);
		conn_finish(c, NET_CLOSED_MEMORY);
		return true;
	}
}

void conn_ws_feed(struct conn *c, char *bytes, size_t len)
{
	struct stream_message in = { bytes, len };
	bool is_new = false;

	if (c->state == CONN_UPGRADING)
		feed_upgrade(c, &in);
	while (c->state == CONN_OPEN && take_next(c, &in))
		is_new |= !ws_is_partial(&c->ws->frames);
	if (c->state == CONN_OPEN)
		conn_heed_message(c, ws_is_partial(&c->ws->frames), is_new);
}
