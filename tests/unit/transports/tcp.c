/* TCP connections over the real loopback. */
#include "tests/unit/transports/rig.h"
#include <malloc.h>
#include <sys/resource.h>

#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"

static void one_exchange(struct one *o, uint16_t listener)
{
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[listener], &me);
	char got[64];

	r->answer = buf_copy(SV(OK));
	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 1 && is_readable(fd));
	assert_string_equal(r->seen[0].bytes, OPT);
	assert_true(addr_eq(&r->seen[0].from.remote, &me));
	assert_int_equal(r->seen[0].from.transport, T_TCP);
	assert_int_equal(r->seen[0].from.listener, listener);
	assert_true(r->seen[0].from.flow != 0);
	read_now(fd, got, sizeof got);
	assert_string_equal(got, OK);
	assert_int_equal(count(r, NET_TCP_ACCEPTED), 1);
	assert_int_equal(count(r, NET_TCP_SENT), 1);
	close(fd);
	until(r, r->n_closed == 1);
	assert_int_equal(r->closed[0], r->seen[0].from.flow);
	assert_int_equal(sockets_connections(r->net), 0);
	assert_int_equal(count(r, NET_CLOSED_PEER), 1);
}

static void a_message_and_its_answer_ipv4(void **state)
{
	one_exchange(*state, TCP4);
}

static void a_message_and_its_answer_ipv6(void **state)
{
	one_exchange(*state, TCP6);
}

static void byte_by_byte(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial(o->rig, &o->at[TCP4], &me), on = 1;

	setsockopt(fd, SOL_TCP, TCP_NODELAY, &on, sizeof on);
	for (size_t i = 0; i < strlen(OPT); i++) {
		assert_int_equal(o->rig->n_seen, 0);
		write_all(fd, &OPT[i], 1);
		turn(o->rig);
	}
	until(o->rig, o->rig->n_seen == 1);
	assert_string_equal(o->rig->seen[0].bytes, OPT);
	assert_int_equal(count(o->rig, NET_TCP_HELD_BYTES), 0);
	close(fd);
}

static void ten_glued_together(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial(o->rig, &o->at[TCP4], &me);

	write_all(fd, OPT OPT OPT OPT OPT OPT OPT OPT OPT OPT, 10 * strlen(OPT));
	until(o->rig, o->rig->n_seen == 10);
	for (size_t i = 0; i < 10; i++)
		assert_string_equal(o->rig->seen[i].bytes, OPT);
	close(fd);
}

/* Who sends much at once does not make the others wait: a turn reads so much, and goes on with those that it left out. */
static void a_turn_reads_no_more_than_its_share(void **state)
{
	enum { LEN = 1024, HEAD = 35, EACH = 20, CLIENTS = 3, SHARE = SOCKETS_TURN_BYTES / LEN };
	struct one *o = *state;
	struct rig *r = o->rig;
	char message[LEN + 1] = "";
	struct addr me[CLIENTS];
	int fd[CLIENTS], head = snprintf(message, sizeof message, "OPTIONS sip:a@b SIP/2.0\r\nl: %d\r\n\r\n", LEN - HEAD);
	bool is_seen = false;

	assert_int_equal(head, HEAD);
	memset(message + head, 'x', LEN - HEAD);
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = dial(r, &o->at[TCP4], &me[i]);
	for (int i = 0; i < CLIENTS * EACH; i++)
		write_all(fd[i / EACH], message, LEN);
	turn(r);
	assert_int_equal(r->n_seen, SHARE);
	turn(r);
	for (size_t i = 0; i < r->n_seen; i++)
		is_seen |= addr_eq(&r->seen[i].from.remote, &me[CLIENTS - 1]);
	assert_true(is_seen);
	until(r, r->n_seen == CLIENTS * EACH);
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
}

/* RFC 5626 §3.5.1. */
static void a_ping_is_answered(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial(o->rig, &o->at[TCP4], &me);
	char got[16];

	write_all(fd, "\r\n\r\n", 4);
	until(o->rig, is_readable(fd));
	read_now(fd, got, sizeof got);
	assert_string_equal(got, "\r\n");
	assert_int_equal(o->rig->n_seen, 0);
	write_all(fd, "\r\n", 2); /* a pong of theirs */
	settle(o->rig);
	assert_false(is_readable(fd));
	close(fd);
}

/* RFC 5923: what goes to where its peer listens takes this connection while it lasts, and no other's. */
static void an_alias_is_where_its_peer_listens(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	SCOPED(buf_putp) struct buf *b = buf_copy(SV(OPT));
	struct path of, to;
	char got[64];

	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 1);
	of = to = r->seen[0].from;
	to.flow = 0;
	to.remote.port = 9; /* where nobody listens */
	assert_int_equal(net_alias(r->net, &to, 9), -ENOTCONN);
	assert_int_equal(net_alias(r->net, &of, 9), 0);
	assert_int_equal(net_alias(r->net, &of, 9), 0);
	assert_int_equal(net_alias(r->net, &of, 10), -EEXIST);
	assert_int_equal(net_send(r->net, &to, b, 7), 0);
	until(r, is_readable(fd));
	read_now(fd, got, sizeof got);
	assert_string_equal(got, OPT);
	assert_int_equal(r->n_failed, 0);
	close(fd);
	until(r, r->n_closed == 1);
	assert_int_equal(net_send(r->net, &to, b, 7), 0);
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -ECONNREFUSED);
}

/* Ours, and theirs between: each pong is one, and no half of a ping; each ping is answered. */
static void a_ping_of_ours(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct path to;
	char got[16];

	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 1);
	to = r->seen[0].from;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(net_ping(r->net, &to), 0);
		until(r, is_readable(fd));
		read_now(fd, got, sizeof got);
		assert_string_equal(got, "\r\n\r\n");
		write_all(fd, "\r\n", 2);
		until(r, count(r, NET_TCP_PONGS) == i);
		assert_int_equal(r->n_alive, i);
		assert_true(addr_eq(&r->alive.remote, &me) && r->alive.flow == to.flow);
	}
	settle(r);
	assert_false(is_readable(fd)); /* two pongs are no ping */
	write_all(fd, "\r\n\r\n", 4);
	until(r, is_readable(fd));
	read_now(fd, got, sizeof got);
	assert_string_equal(got, "\r\n");
	assert_int_equal(r->n_alive, 4); /* theirs says it, too */
	assert_int_equal(net_ping(r->net, &to), 0);
	write_all(fd, OPT, strlen(OPT)); /* no pong, but it is there */
	until(r, r->n_seen == 2);
	assert_int_equal(r->n_alive, 5);
	assert_int_equal(count(r, NET_TCP_PINGED), 4);
	close(fd);
	until(r, r->n_closed == 1);
	assert_int_equal(net_ping(r->net, &to), -ENOTCONN);
	to.flow = 0; /* it makes no connection */
	assert_int_equal(net_ping(r->net, &to), -ENOTCONN);
	to.transport = T_UDP;
	assert_int_equal(net_ping(r->net, &to), -ENOTCONN);
}

static void a_ping_waits_behind_nothing(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	SCOPED(buf_putp) struct buf *b = buf_copy(SV(OPT));
	char got[1024];

	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 1);
	assert_int_equal(net_send(r->net, &r->seen[0].from, b, 1), 0);
	assert_int_equal(net_ping(r->net, &r->seen[0].from), 0);
	settle(r);
	read_now(fd, got, sizeof got);
	assert_string_equal(got, OPT);
	close(fd);
}

static void pings_in_one_piece_get_one_pong(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial(o->rig, &o->at[TCP4], &me);
	char got[64];

	write_all(fd, "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 16);
	until(o->rig, is_readable(fd));
	settle(o->rig);
	read_now(fd, got, sizeof got);
	assert_string_equal(got, "\r\n");
	assert_int_equal(count(o->rig, NET_TCP_PINGS), 4);
	close(fd);
}

/* Nobody asked for the pong, nobody hears that it was not sent. */
static void a_pong_that_cannot_leave_is_nobodys(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct linger now = { 1, 0 };

	write_all(fd, "\r\n\r\n", 4);
	while (count(r, NET_TCP_PINGS) == 0)
		poller_turn(r->poller, true);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
	until(r, r->n_closed == 1);
	assert_int_equal(count(r, NET_CLOSED_ERROR), 1);
	assert_int_equal(r->n_failed, 0);
	assert_int_equal(count(r, NET_TCP_NOT_SENT), 0);
}

/* §18.3: no length, no way to go on. The answer goes out first, and is not overtaken by a reset. */
static void a_broken_message_is_answered_and_the_connection_ends(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	char got[64];

	r->answer = buf_copy(SV("SIP/2.0 400 Bad\r\nl: 0\r\n\r\n"));
	write_all(fd, "OPTIONS sip:a@b SIP/2.0\r\n\r\n" OPT, 27 + strlen(OPT));
	until(r, r->n_seen == 1 && r->n_closed == 1);
	assert_true(r->seen[0].is_broken);
	assert_string_equal(r->seen[0].bytes, "OPTIONS sip:a@b SIP/2.0\r\n\r\n");
	write_all(fd, OPT, strlen(OPT));
	settle(r);
	assert_int_equal(r->n_seen, 1);
	assert_int_equal(read_now(fd, got, sizeof got), 25);
	assert_int_equal(recv(fd, got, sizeof got, 0), 0); /* a clean end */
	assert_int_equal(count(r, NET_CLOSED_BROKEN), 1);
	assert_int_equal(sockets_connections(r->net), 1);
	close(fd);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(r->n_closed, 1);
}

static void lingering_has_an_end(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);

	write_all(fd, "X\r\n\r\n", 5);
	until(r, r->n_closed == 1);
	after_ms(r, SOCKETS_LINGER_MS - 1);
	assert_int_equal(sockets_connections(r->net), 1);
	after_ms(r, 2);
	assert_int_equal(sockets_connections(r->net), 0);
	close(fd);
}

static void closing_inside_a_callback_is_safe(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct path to;
	char got[64];

	r->closes_at_message = true;
	r->answer = buf_copy(SV(OK));
	write_all(fd, OPT, 20); /* so that the message lies in a buffer of its own */
	turn(r);
	write_all(fd, &(OPT OPT)[20], 2 * strlen(OPT) - 20);
	until(r, r->n_closed == 1);
	assert_int_equal(r->n_seen, 1); /* what lies behind is not looked at */
	assert_int_equal(sockets_of(r->net)->held.bytes, 0); /* though it lingers */
	to = r->seen[0].from;
	assert_int_equal(send_text(r, &to, "x", 0), -ENOTCONN);
	assert_int_equal(read_now(fd, got, sizeof got), strlen(OK)); /* what was queued was written */
	assert_int_equal(count(r, NET_CLOSED_LOCAL), 1);
	assert_int_equal(count(r, NET_NO_FLOW), 1);
	close(fd);
}

static void an_old_flow_never_names_a_new_connection(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct path old;

	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 1);
	old = r->seen[0].from;
	close(fd);
	until(r, r->n_closed == 1);
	fd = dial(r, &o->at[TCP4], &me);
	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 2);
	assert_true(r->seen[1].from.flow != old.flow);
	assert_int_equal(r->seen[1].from.flow >> 32, old.flow >> 32); /* the same slot, another generation */
	assert_int_equal(send_text(r, &old, OK, 0), -ENOTCONN);
	net_flow_close(r->net, old.flow);
	settle(r);
	assert_int_equal(sockets_connections(r->net), 1);
	close(fd);
}

/* The last of many takes their slots with it, and those that are made anew begin with numbers nobody had. */
static void nor_when_all_were_gone(void **state)
{
	enum { MANY = 100, ROUNDS = 3 };
	struct one *o = *state;
	struct rig *r = o->rig;
	uint64_t flows[ROUNDS * MANY];
	int fds[MANY];
	struct addr me;

	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < MANY; i++) {
			fds[i] = dial(r, &o->at[TCP4], &me);
			write_all(fds[i], OPT, strlen(OPT));
			until(r, r->n_seen == round * MANY + i + 1);
			flows[r->n_seen - 1] = r->seen[r->n_seen - 1].from.flow;
		}
		for (size_t k = 0; k < round * MANY; k++)
			assert_null(conn_find(sockets_of(r->net), flows[k]));
		for (size_t i = 0; i < MANY; i++)
			close(fds[i]);
		until(r, sockets_connections(r->net) == 0);
		assert_null(sockets_of(r->net)->slots);
		assert_int_equal(sockets_of(r->net)->by_remote.cur_mask, 15);
	}
	for (size_t k = 0; k < ROUNDS * MANY; k++)
		assert_null(conn_find(sockets_of(r->net), flows[k]));
}

/* Outgoing -------------------------------------------------------------------------------------------------------- */

static void make_and_use_again(struct one *o, uint8_t family, uint16_t listener)
{
	struct rig *r = o->rig;
	struct addr there, from;
	int listening = listen_somewhere(family, &there), fd;
	struct path to = path_to(there, listener, T_TCP);
	char got[256];

	assert_int_equal(send_text(r, &to, OPT, 1), 0);
	assert_int_equal(send_text(r, &to, OPT, 2), 0); /* while it is being made */
	fd = accept_one(r, listening, &from);
	assert_true(addr_eq_ip(&from, &o->at[listener])); /* from the listener's address */
	until(r, count(r, NET_TCP_SENT) == 2);
	assert_int_equal(send_text(r, &to, OPT, 3), 0);
	until(r, count(r, NET_TCP_SENT) == 3);
	assert_int_equal(read_now(fd, got, sizeof got), 3 * strlen(OPT));
	write_all(fd, OK, strlen(OK));
	until(r, r->n_seen == 1);
	assert_string_equal(r->seen[0].bytes, OK);
	assert_true(addr_eq(&r->seen[0].from.remote, &there));
	assert_int_equal(count(r, NET_TCP_CONNECTS), 1);
	assert_int_equal(r->n_failed, 0);
	close(fd);
	close(listening);
}

static void a_connection_is_made_and_used_again_ipv4(void **state)
{
	make_and_use_again(*state, 4, TCP4);
}

static void a_connection_is_made_and_used_again_ipv6(void **state)
{
	make_and_use_again(*state, 6, TCP6);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct one *o = *state;
	struct path to = path_to(loopback(6, 5060), TCP4, T_TCP);
	struct buf *big = buf_new(NET_MESSAGE_MAX + 1);

	assert_int_equal(send_text(o->rig, &to, OPT, 0), -EAFNOSUPPORT);
	to = path_to(loopback(4, 0), TCP4, T_TCP);
	assert_int_equal(send_text(o->rig, &to, OPT, 0), -EAFNOSUPPORT);
	to = path_to(loopback(4, 5060), UDP4, T_TCP);
	assert_int_equal(send_text(o->rig, &to, OPT, 0), -EAFNOSUPPORT);
	to = path_to(loopback(4, 5060), TCP4, T_TCP);
	assert_int_equal(net_send(o->rig->net, &to, big, 0), -EMSGSIZE);
	assert_int_equal(count(o->rig, NET_TCP_CONNECTS), 0);
	buf_put(big);
}

static void an_accepted_connection_is_used_too(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct path to = path_to(me, TCP4, T_TCP);
	char got[64];

	assert_int_equal(send_text(r, &to, OK, 1), 0);
	sockets_flush(r->net);
	assert_int_equal(read_now(fd, got, sizeof got), strlen(OK));
	assert_int_equal(count(r, NET_TCP_CONNECTS), 0);
	close(fd);
}

static struct addr dead_port(void)
{
	struct addr a;

	close(plain_socket(SOCK_STREAM, 4, &a));
	return a;
}

static void a_refused_connection_fails_its_messages_later(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct path to = path_to(dead_port(), TCP4, T_TCP);

	assert_int_equal(send_text(r, &to, OPT, 11), 0);
	assert_int_equal(send_text(r, &to, OPT, 12), 0);
	assert_int_equal(r->n_failed, 0); /* never from inside net_send */
	until(r, r->n_failed == 2);
	assert_int_equal(r->failed[0].cookie, 11);
	assert_int_equal(r->failed[1].cookie, 12);
	assert_int_equal(r->failed[0].error, -ECONNREFUSED);
	assert_true(addr_eq(&r->failed[0].to.remote, &to.remote));
	assert_int_equal(count(r, NET_TCP_CONNECTS), 1); /* one try for both */
	assert_int_equal(count(r, NET_TCP_CONNECT_FAILED), 1);
	assert_int_equal(count(r, NET_TCP_NOT_SENT), 2);
	settle(r);
	assert_int_equal(sockets_connections(r->net), 0);
}

/* The user tries again at once, inside the callback, and each try fails on the spot: a few rounds, and the loop turns
 * again. */
static void trying_again_inside_the_callback_ends(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr nowhere = { .family = 4, .port = 5060, .ip = { 255, 255, 255, 255 } };
	struct path to = path_to(nowhere, TCP4, T_TCP);

	r->retry = buf_copy(SV(OPT));
	r->retries = 100;
	assert_int_equal(send_text(r, &to, OPT, 0), 0);
	assert_int_equal(send_text(r, &to, OPT, 0), 0);
	assert_int_equal(count(r, NET_TCP_CONNECTS), 1); /* though it has failed already */
	sockets_flush(r->net);
	assert_in_range(r->n_failed, 2, 2 * SOCKETS_FLUSH_ROUNDS);
	assert_true(poller_is_restless(r->poller));
	until(r, r->n_failed == 102);
	settle(r);
	assert_int_equal(r->n_failed, 102);
	assert_int_equal(sockets_connections(r->net), 0);
	assert_false(poller_is_restless(r->poller));
}

static void nobody_answers_the_connect(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there, me;
	int listening = plain_socket(SOCK_STREAM, 4, &there), fillers[8];
	struct path to = path_to(there, TCP4, T_TCP);

	assert_int_equal(listen(listening, 0), 0);
	for (size_t i = 0; i < 8; i++) { /* a full backlog: the kernel drops our SYN */
		fillers[i] = plain_socket(SOCK_STREAM, 4, &me);
		plain_connect(fillers[i], &there);
	}
	assert_int_equal(send_text(r, &to, OPT, 5), 0);
	settle(r);
	after_ms(r, NET_CONNECT_MS - 1);
	assert_int_equal(r->n_failed, 0);
	after_ms(r, 2);
	assert_int_equal(r->n_failed, 1);
	assert_int_equal(r->failed[0].error, -ETIMEDOUT);
	assert_int_equal(count(r, NET_CLOSED_CONNECT), 1);
	for (size_t i = 0; i < 8; i++)
		close(fillers[i]);
	close(listening);
}

/* Peers that do not behave ---------------------------------------------------------------------------------------- */

static struct buf *filler(size_t len)
{
	struct buf *b = buf_new(len);

	memset(b->data, 'a', len);
	return b;
}

/* Sends until the queue refuses; returns how many were taken. */
static unsigned fill(struct rig *r, const struct path *to)
{
	struct buf *b = filler(60000);
	unsigned n = 0;
	int err;

	while (!(err = net_send(r->net, to, b, 100 + n))) {
		n++;
		sockets_flush(r->net);
		assert_true(n < 2000);
	}
	assert_int_equal(err, -ENOBUFS);
	buf_put(b);
	return n;
}

static void who_stops_reading_loses_only_his_own(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me, other;
	int deaf = dial(r, &o->at[TCP4], &me), fd = dial(r, &o->at[TCP4], &other);
	struct path to = path_to(me, TCP4, T_TCP), to_other = path_to(other, TCP4, T_TCP);
	unsigned taken = fill(r, &to);
	char got[64];

	assert_int_equal(count(r, NET_TCP_QUEUE_FULL), 1);
	assert_int_equal(send_text(r, &to_other, OK, 1), 0);
	sockets_flush(r->net);
	assert_int_equal(read_now(fd, got, sizeof got), strlen(OK));
	after_ms(r, SOCKETS_WRITE_MS + 1);
	assert_true(r->n_failed > 0 && r->n_failed < taken);
	for (size_t i = 0; i < r->n_failed; i++) {
		assert_int_equal(r->failed[i].cookie, 100 + taken - r->n_failed + i);
		assert_true(addr_eq(&r->failed[i].to.remote, &me));
	}
	assert_int_equal(count(r, NET_TCP_SENT) - 1, taken - r->n_failed);
	assert_int_equal(count(r, NET_CLOSED_SLOW_READER), 1);
	assert_int_equal(r->n_closed, 1);
	assert_int_equal(sockets_connections(r->net), 1);
	close(deaf);
	close(fd);
}

/* A slow reader is not a dead one: each bit of progress renews the deadline. */
static void who_reads_slowly_is_waited_for(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct path to = path_to(me, TCP4, T_TCP);
	char *got = malloc(1 << 20);
	unsigned taken = fill(r, &to);
	uint64_t total = 0;

	while (count(r, NET_TCP_SENT) < taken) {
		uint64_t before = count(r, NET_TCP_SENT_BYTES);

		for (int i = 0; i < TURNS && count(r, NET_TCP_SENT_BYTES) == before; i++) {
			total += read_now(fd, got, 1 << 20);
			turn(r);
		}
		after_ms(r, SOCKETS_WRITE_MS - 100);
		assert_int_equal(r->n_closed, 0);
	}
	for (int i = 0; i < TURNS && total < 60000ull * taken; i++) {
		total += read_now(fd, got, 1 << 20);
		turn(r);
	}
	assert_int_equal(total, 60000ull * taken);
	assert_int_equal(r->n_failed, 0);
	free(got);
	close(fd);
}

static void a_reset_fails_what_waits(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);
	struct path to = path_to(me, TCP4, T_TCP);
	struct linger now = { 1, 0 };

	fill(r, &to);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
	until(r, r->n_closed == 1);
	assert_true(r->n_failed > 0);
	assert_int_equal(sockets_connections(r->net), 0);
	assert_int_equal(sockets_of(r->net)->queued, 0);
}

/* Deadlines ------------------------------------------------------------------------------------------------------- */

static void an_accepted_connection_has_to_say_something(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);

	after_ms(r, NET_FIRST_MESSAGE_MS / 2);
	write_all(fd, "\r\n\r\n", 4); /* that is not saying something */
	settle(r);
	after_ms(r, NET_FIRST_MESSAGE_MS / 2 - 1);
	assert_int_equal(r->n_closed, 0);
	after_ms(r, 2);
	assert_int_equal(r->n_closed, 1);
	assert_int_equal(count(r, NET_CLOSED_SILENT), 1);
	close(fd);
}

/* Time has passed while the loop slept, and its owner has not looked at the clock: the five seconds are not taken from anybody. */
static void wake_five_seconds_later(struct wheel *w)
{
	w->look = NULL;
	wheel_advance(w, w->now_ms + 5000, 0);
}

static void deadlines_count_from_the_time_of_waking(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me, there;
	int fd, listening = plain_socket(SOCK_STREAM, 4, &there), accepted;
	struct path to = path_to(there, TCP4, T_TCP);
	uint64_t began = r->wheel.now_ms;

	r->wheel.look = wake_five_seconds_later;
	fd = dial(r, &o->at[TCP4], &me);
	assert_int_equal(r->wheel.now_ms, began + 5000);
	after_ms(r, NET_FIRST_MESSAGE_MS - 1);
	assert_int_equal(sockets_connections(r->net), 1);
	after_ms(r, 1);
	settle(r);
	assert_int_equal(count(r, NET_CLOSED_SILENT), 1);
	close(fd);

	assert_int_equal(listen(listening, 1), 0);
	r->wheel.look = wake_five_seconds_later; /* the connection is there, and what was said on it */
	assert_int_equal(send_text(r, &to, OPT, 5), 0);
	until(r, !r->wheel.look);
	accepted = accept(listening, NULL, NULL);
	assert_true(accepted >= 0);
	close(accepted);
	close(listening);
	settle(r);
}

static void an_idle_connection_ends(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);

	write_all(fd, OPT, strlen(OPT));
	until(r, r->n_seen == 1);
	after_ms(r, NET_IDLE_MS - 1000);
	write_all(fd, "\r\n\r\n", 4); /* a keep-alive keeps it alive */
	until(r, is_readable(fd));
	after_ms(r, NET_IDLE_MS - 1000);
	assert_int_equal(r->n_closed, 0);
	after_ms(r, 1001);
	assert_int_equal(r->n_closed, 1);
	assert_int_equal(count(r, NET_CLOSED_IDLE), 1);
	close(fd);
}

static void a_message_has_to_be_finished(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);

	write_all(fd, OPT "OPTIO", strlen(OPT) + 5);
	until(r, r->n_seen == 1);
	after_ms(r, NET_MESSAGE_MS - 100);
	write_all(fd, "NS", 2); /* a drop now and then buys no time */
	settle(r);
	assert_int_equal(r->n_closed, 0);
	after_ms(r, 101);
	assert_int_equal(r->n_closed, 1);
	assert_int_equal(count(r, NET_CLOSED_SLOW_MESSAGE), 1);
	close(fd);
}

/* Each message has its own time, however closely they follow each other. */
static void the_next_message_has_its_own_time(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);

	write_all(fd, "OPTIO", 5);
	settle(r);
	for (size_t i = 1; i < 5; i++) {
		after_ms(r, NET_MESSAGE_MS - 100);
		write_all(fd, &OPT[5], strlen(OPT) - 5);
		write_all(fd, "OPTIO", 5);
		until(r, r->n_seen == i);
	}
	assert_int_equal(r->n_closed, 0);
	close(fd);
}

/* Bounds ---------------------------------------------------------------------------------------------------------- */

static void connections_are_bounded(void **state)
{
	struct listen_set *set = open_set(1);
	struct rig *r = rig_new(set, 0, 2);
	struct addr at = *listen_set_addr(set, TCP4), me;
	int a = dial(r, &at, &me), b = dial(r, &at, &me), c = plain_socket(SOCK_STREAM, 4, &me);
	struct path to = path_to(dead_port(), TCP4, T_TCP);
	char got[8];

	(void)state;
	assert_int_equal(plain_connect(c, &at), 0);
	until(r, count(r, NET_TCP_ACCEPT_REFUSED) == 1);
	assert_int_equal(recv(c, got, sizeof got, 0), 0);
	assert_int_equal(send_text(r, &to, OPT, 1), -ENOBUFS);
	assert_int_equal(count(r, NET_TCP_CONNECT_REFUSED_HERE), 1);
	close(a);
	until(r, r->n_closed == 1);
	a = dial(r, &at, &me);
	close(a);
	close(b);
	close(c);
	rig_free(r);
	listen_set_free(set);
}

/* All descriptors gone: the newcomer is hung up on, the loop does not spin, and those who are there stay. */
static void out_of_descriptors(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int stay = dial(r, &o->at[TCP4], &me), fd = plain_socket(SOCK_STREAM, 4, &me);
	int top = open("/dev/null", O_RDONLY);
	struct rlimit before, none;
	char got[8];

	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)top;
	close(top);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(plain_connect(fd, &o->at[TCP4]), 0);
	until(r, count(r, NET_TCP_ACCEPT_NO_FILES) == 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(recv(fd, got, sizeof got, 0), 0);
	write_all(stay, OPT, strlen(OPT));
	until(r, r->n_seen == 1);
	close(fd);
	fd = dial(r, &o->at[TCP4], &me);
	close(fd);
	close(stay);
}

/* It is us who do not read: the sender's message does not get old meanwhile. */
static void a_pause_costs_the_sender_no_time(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me);

	write_all(fd, OPT, 10);
	settle(r);
	sockets_pause_streams(r->net, true);
	write_all(fd, &OPT[10], strlen(OPT) - 10);
	settle(r);
	after_ms(r, NET_MESSAGE_MS + 1);
	after_ms(r, NET_MESSAGE_MS + 1);
	assert_int_equal(r->n_closed, 0);
	sockets_pause_streams(r->net, false);
	until(r, r->n_seen == 1);
	close(fd);
}

static void paused_streams_are_not_read(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me, other;
	int fd = dial(r, &o->at[TCP4], &me), late;

	sockets_pause_streams(r->net, true);
	late = dial(r, &o->at[TCP4], &other);
	write_all(fd, OPT, strlen(OPT));
	write_all(late, OPT, strlen(OPT));
	settle(r);
	assert_int_equal(r->n_seen, 0);
	sockets_pause_streams(r->net, false);
	until(r, r->n_seen == 2);
	sockets_pause_streams(r->net, true);
	write_all(fd, OPT, strlen(OPT));
	settle(r);
	close(fd); /* a paused one may go */
	sockets_pause_streams(r->net, false);
	until(r, r->n_seen == 3 && r->n_closed == 1);
	close(late);
}

static void no_more_are_accepted_and_those_there_stay(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[TCP4], &me), late = plain_socket(SOCK_STREAM, 4, &me);
	char got[8];

	sockets_stop_accepting(r->net);
	plain_connect(late, &o->at[TCP4]);
	until(r, is_readable(late));
	assert_int_equal(recv(late, got, sizeof got, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	r->answer = buf_copy(SV(OK));
	write_all(fd, OPT, strlen(OPT));
	until(r, is_readable(fd));
	close(fd);
	close(late);
}

static void allow_files(rlim_t n)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= n)
		return;
	limit.rlim_cur = limit.rlim_max < n ? limit.rlim_max : n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* However many peers do not read: what waits for all of them together has a bound too. */
static void what_waits_is_bounded_for_all_together(void **state)
{
	enum { N = 600, LEN = 60000 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct buf *b = filler(LEN);
	size_t taken = 0;
	struct {
		int fd;
		struct addr at;
	} *peers = calloc(N, sizeof *peers);

	allow_files(3 * N);
	for (size_t i = 0; i < N; i++)
		peers[i].fd = dial(r, &o->at[TCP4], &peers[i].at);
	for (size_t i = 0; i < N; i++) { /* nothing is flushed: the kernel's buffers stay empty */
		struct path to = path_to(peers[i].at, TCP4, T_TCP);

		while (net_send(r->net, &to, b, 0) == 0)
			taken++;
	}
	assert_int_equal(taken, SOCKETS_QUEUED_MAX / (LEN + SOCKETS_ITEM_COST));
	for (size_t i = 0; i < N; i++)
		close(peers[i].fd);
	free(peers);
	buf_put(b);
}

static size_t memory(struct rig *r)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd + (sockets_of(r->net)->conns.pages << 16);
}

/* DESIGN §8: an idle TCP connection costs at most 1 KiB. */
static void an_idle_connection_is_small(void **state)
{
	enum { N = 2000 };
	struct one *o = *state;
	struct rig *r = o->rig;
	int *fds = calloc(N, sizeof *fds);
	struct addr me;
	size_t before, per_one;

	allow_files(3 * N);
	fds[0] = dial(r, &o->at[TCP4], &me);
	before = memory(r);
	for (size_t i = 1; i < N; i++)
		fds[i] = dial(r, &o->at[TCP4], &me);
	per_one = (memory(r) - before) / (N - 1);
	print_message("idle TCP connection: %zu bytes, %zu of them its object\n", per_one, sizeof(struct conn));
	assert_true(per_one >= sizeof(struct conn) / 2); /* or the measurement does not measure */
	assert_true(per_one <= 1024);
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(r->n_closed, SEEN_MAX);
	free(fds);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, one_setup, one_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_message_and_its_answer_ipv4),
		TEST(a_message_and_its_answer_ipv6),
		TEST(byte_by_byte),
		TEST(ten_glued_together),
		TEST(a_turn_reads_no_more_than_its_share),
		TEST(a_ping_is_answered),
		TEST(an_alias_is_where_its_peer_listens),
		TEST(a_ping_of_ours),
		TEST(a_ping_waits_behind_nothing),
		TEST(pings_in_one_piece_get_one_pong),
		TEST(a_pong_that_cannot_leave_is_nobodys),
		TEST(a_broken_message_is_answered_and_the_connection_ends),
		TEST(lingering_has_an_end),
		TEST(closing_inside_a_callback_is_safe),
		TEST(an_old_flow_never_names_a_new_connection),
		TEST(nor_when_all_were_gone),
		TEST(a_connection_is_made_and_used_again_ipv4),
		TEST(a_connection_is_made_and_used_again_ipv6),
		TEST(what_does_not_fit_is_refused),
		TEST(an_accepted_connection_is_used_too),
		TEST(a_refused_connection_fails_its_messages_later),
		TEST(trying_again_inside_the_callback_ends),
		TEST(nobody_answers_the_connect),
		TEST(who_stops_reading_loses_only_his_own),
		TEST(who_reads_slowly_is_waited_for),
		TEST(a_reset_fails_what_waits),
		TEST(an_accepted_connection_has_to_say_something),
		TEST(deadlines_count_from_the_time_of_waking),
		TEST(an_idle_connection_ends),
		TEST(a_message_has_to_be_finished),
		TEST(the_next_message_has_its_own_time),
		cmocka_unit_test(connections_are_bounded),
		TEST(out_of_descriptors),
		TEST(a_pause_costs_the_sender_no_time),
		TEST(paused_streams_are_not_read),
		TEST(no_more_are_accepted_and_those_there_stay),
		TEST(what_waits_is_bounded_for_all_together),
		TEST(an_idle_connection_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
