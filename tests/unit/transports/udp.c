/* UDP over the real loopback of both families. */
#include "tests/unit/transports/rig.h"

static void put(int fd, const struct addr *to, const char *bytes, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = addr_to_sockaddr(to, &sa);

	assert_int_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&sa, sa_len), len);
}

static void echo(struct one *o, uint16_t listener, uint8_t family)
{
	struct rig *r = o->rig;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, family, &me);
	char got[64];
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr from;

	r->answer = buf_copy(SV("SIP/2.0 200 OK\r\n\r\n"));
	put(fd, &o->at[listener], "OPTIONS x", 9);
	until(r, r->n_seen == 1 && is_readable(fd));
	assert_string_equal(r->seen[0].bytes, "OPTIONS x");
	assert_true(addr_eq(&r->seen[0].from.remote, &me));
	assert_int_equal(r->seen[0].from.listener, listener);
	assert_int_equal(r->seen[0].from.transport, T_UDP);
	assert_int_equal(r->seen[0].from.flow, 0);
	assert_int_equal(recvfrom(fd, got, sizeof got, 0, (struct sockaddr *)&sa, &len), 18);
	assert_memory_equal(got, "SIP/2.0 200 OK\r\n\r\n", 18);
	addr_from_sockaddr(&from, (struct sockaddr *)&sa);
	assert_true(addr_eq(&from, &o->at[listener])); /* the same socket answers */
	close(fd);
}

static void a_datagram_comes_in_and_its_answer_leaves_ipv4(void **state)
{
	echo(*state, UDP4, 4);
}

static void a_datagram_comes_in_and_its_answer_leaves_ipv6(void **state)
{
	echo(*state, UDP6, 6);
}

/* More than one batch each way, in order. */
static void many_keep_their_order(void **state)
{
	enum { N = 3 * NET_BATCH + 5 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me);
	char text[32];

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof text, "number %d", i);
		put(fd, &o->at[UDP4], text, strlen(text));
	}
	turn(r); /* one wake takes them all */
	assert_int_equal(r->n_seen, N);
	for (int i = 0; i < N; i++) {
		struct path to = path_to(me, UDP4, T_UDP);

		snprintf(text, sizeof text, "number %d", i);
		assert_string_equal(r->seen[i].bytes, text);
		assert_int_equal(send_text(r, &to, text, 0), 0);
	}
	assert_false(is_readable(fd)); /* nothing leaves before the flush */
	sockets_flush(r->net);
	for (int i = 0; i < N; i++) {
		char got[32];

		snprintf(text, sizeof text, "number %d", i);
		assert_int_equal(read_now(fd, got, sizeof got), strlen(text));
		assert_string_equal(got, text);
	}
	assert_int_equal(count(r, NET_UDP_RECEIVED), N);
	assert_int_equal(count(r, NET_UDP_SENT), N);
	assert_int_equal(count(r, NET_UDP_SENT_BYTES), count(r, NET_UDP_RECEIVED_BYTES));
	close(fd);
}

static void one_wake_is_bounded(void **state)
{
	enum { N = SOCKETS_UDP_BATCHES * NET_BATCH + 10 };
	struct one *o = *state;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me);

	for (int i = 0; i < N; i++)
		put(fd, &o->at[UDP4], "x", 1);
	turn(o->rig);
	assert_int_equal(o->rig->n_seen, N - 10);
	turn(o->rig);
	assert_int_equal(o->rig->n_seen, N);
	close(fd);
}

static void the_largest_datagram_comes_through(void **state)
{
	enum { LARGEST = 65507 };
	struct one *o = *state;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me), size = 1 << 20;
	struct path to = path_to(me, UDP4, T_UDP);
	struct buf *b = buf_new(LARGEST + 1);
	char *got = malloc(LARGEST + 2);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	memset(b->data, 'a', b->len);
	put(fd, &o->at[UDP4], b->data, LARGEST);
	until(o->rig, o->rig->n_seen == 1);
	assert_int_equal(o->rig->seen[0].len, LARGEST);
	assert_int_equal(net_send(o->rig->net, &to, b, 0), -EMSGSIZE);
	b->len = LARGEST;
	assert_int_equal(net_send(o->rig->net, &to, b, 0), 0);
	until(o->rig, is_readable(fd));
	assert_int_equal(read_now(fd, got, LARGEST + 2), LARGEST);
	free(got);
	buf_put(b);
	close(fd);
}

static void keepalives_are_counted_and_go_no_further(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me);

	put(fd, &o->at[UDP4], "", 0);
	put(fd, &o->at[UDP4], "\r\n\r\n", 4);
	put(fd, &o->at[UDP4], "\0\0\0\0", 4);
	put(fd, &o->at[UDP4], "\r\nx", 3);
	until(o->rig, o->rig->n_seen == 1);
	assert_string_equal(o->rig->seen[0].bytes, "\r\nx");
	assert_int_equal(count(o->rig, NET_UDP_KEEPALIVES), 3);
	assert_int_equal(o->rig->n_alive, 3); /* but say that somebody is there */
	assert_true(addr_eq(&o->rig->alive.remote, &me) && o->rig->alive.listener == UDP4 && o->rig->alive.transport == T_UDP);
	assert_int_equal(count(o->rig, NET_UDP_RECEIVED), 1);
	close(fd);
}

/* A port nobody listens on. */
static struct addr dead_port(uint8_t family)
{
	struct addr a;

	close(plain_socket(SOCK_DGRAM, family, &a));
	return a;
}

/* DECISIONS 23: the bytes, the destination and the errno come up, so that a dead server is known at once. */
static void icmp_is_reported(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;

	for (uint8_t family = 4; family <= 6; family += 2) {
		size_t at = r->n_icmp;
		uint16_t listener = family == 4 ? UDP4 : UDP6;
		struct path to = path_to(dead_port(family), listener, T_UDP);

		assert_int_equal(send_text(r, &to, "INVITE sip:x", 0), 0);
		until(r, r->n_icmp == at + 1);
		assert_int_equal(r->icmp[at].error, ECONNREFUSED);
		assert_true(addr_eq(&r->icmp[at].to.remote, &to.remote));
		assert_int_equal(r->icmp[at].to.listener, listener);
		assert_int_equal(r->icmp[at].to.transport, T_UDP);
		assert_int_equal(r->icmp[at].cookie, 12); /* all of it came back */
	}
	assert_int_equal(count(r, NET_ICMP), 2);
	settle(r); /* and the loop is quiet again */
	assert_int_equal(r->n_icmp, 2);
}

/* The error of one must cost no other its turn, in either direction. */
static void an_icmp_error_costs_no_other_datagram(void **state)
{
	enum { N = 50 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me);
	struct path live = path_to(me, UDP4, T_UDP), dead = path_to(dead_port(4), UDP4, T_UDP);
	char got[8];

	for (int i = 0; i < N; i++) {
		assert_int_equal(send_text(r, &dead, "to nobody", 0), 0);
		assert_int_equal(send_text(r, &live, "to me", 0), 0);
		if (i % 7 == 0)
			sockets_flush(r->net);
		put(fd, &o->at[UDP4], "from me", 7);
	}
	/* the kernel limits how many errors it makes */
	until(r, r->n_seen == N && count(r, NET_UDP_SENT) == 2 * N && r->n_icmp > 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(read_now(fd, got, sizeof got), 5);
	assert_int_equal(count(r, NET_UDP_SEND_ERRORS), 0);
	close(fd);
}

/* An error that cuts a batch short is told to nobody else: it is looked for at once. */
static void an_icmp_error_within_a_batch_is_reported(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me);
	struct path live = path_to(me, UDP4, T_UDP), dead = path_to(dead_port(4), UDP4, T_UDP);

	assert_int_equal(send_text(r, &dead, "to nobody", 0), 0);
	assert_int_equal(send_text(r, &live, "to me", 0), 0);
	sockets_flush(r->net);
	assert_int_equal(r->n_icmp, 1);
	assert_true(is_readable(fd));
	close(fd);
}

/* One area serves the sockets of both families. */
static void the_families_take_turns(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me[2];
	int fd[2] = { plain_socket(SOCK_DGRAM, 4, &me[0]), plain_socket(SOCK_DGRAM, 6, &me[1]) };

	for (size_t i = 0; i < 6; i++) {
		put(fd[i % 2], &o->at[i % 2 ? UDP6 : UDP4], "x", 1);
		until(r, r->n_seen == i + 1);
		assert_true(addr_eq(&r->seen[i].from.remote, &me[i % 2]));
	}
	close(fd[0]);
	close(fd[1]);
}

/* What the kernel refuses outright is a failure of that destination alone. */
static void a_refused_send_is_reported(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me, bad = { .family = 4, .port = 5060, .ip = { 255, 255, 255, 255 } }; /* broadcast: EACCES */
	int fd = plain_socket(SOCK_DGRAM, 4, &me);
	struct path to_bad = path_to(bad, UDP4, T_UDP), to_me = path_to(me, UDP4, T_UDP);
	char got[8];

	assert_int_equal(send_text(r, &to_me, "one", 0), 0);
	assert_int_equal(send_text(r, &to_bad, "lost", 0), 0);
	assert_int_equal(send_text(r, &to_me, "two", 0), 0);
	sockets_flush(r->net);
	assert_int_equal(r->n_icmp, 1);
	assert_true(addr_eq(&r->icmp[0].to.remote, &bad));
	assert_int_equal(r->icmp[0].cookie, 4);
	assert_int_equal(read_now(fd, got, sizeof got), 3);
	assert_int_equal(read_now(fd, got, sizeof got), 3);
	assert_string_equal(got, "two");
	assert_int_equal(count(r, NET_UDP_SEND_ERRORS), 1);
	close(fd);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct one *o = *state;
	struct path to = path_to(loopback(6, 5060), UDP4, T_UDP);

	assert_int_equal(send_text(o->rig, &to, "x", 0), -EAFNOSUPPORT);   /* family */
	to = path_to(loopback(4, 0), UDP4, T_UDP);
	assert_int_equal(send_text(o->rig, &to, "x", 0), -EAFNOSUPPORT);   /* no port */
	to = path_to(loopback(4, 5060), LISTENERS, T_UDP);
	assert_int_equal(send_text(o->rig, &to, "x", 0), -EAFNOSUPPORT);   /* no such listener */
	to = path_to(loopback(4, 5060), TCP4, T_UDP);
	assert_int_equal(send_text(o->rig, &to, "x", 0), -EAFNOSUPPORT);   /* not this transport */
	to = path_to(loopback(4, 5060), UDP4, T_TLS);
	assert_int_equal(send_text(o->rig, &to, "x", 0), -EAFNOSUPPORT);
}

static void the_queue_is_bounded(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me);
	struct path to = path_to(me, UDP4, T_UDP);

	for (int i = 0; i < SOCKETS_UDP_QUEUE_MAX; i++)
		assert_int_equal(send_text(o->rig, &to, "x", 0), 0);
	assert_int_equal(send_text(o->rig, &to, "x", 0), -ENOBUFS);
	assert_int_equal(count(o->rig, NET_UDP_QUEUE_FULL), 1);
	sockets_flush(o->rig->net);
	assert_int_equal(count(o->rig, NET_UDP_SENT), SOCKETS_UDP_QUEUE_MAX);
	assert_int_equal(send_text(o->rig, &to, "x", 0), 0);
	close(fd);
}

static void what_still_waits_at_the_end_is_freed(void **state)
{
	struct one *o = *state;
	struct path to = path_to(loopback(4, 9), UDP4, T_UDP);

	assert_int_equal(send_text(o->rig, &to, "never sent", 0), 0); /* LeakSanitizer is the judge */
}

static void what_the_kernel_dropped_is_shown(void **state)
{
	enum { SIZE = 60000, N = 400 };
	struct one *o = *state;
	struct addr me;
	int fd = plain_socket(SOCK_DGRAM, 4, &me), size = 4 << 20;
	char *big = calloc(1, SIZE);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	for (int i = 0; i < N; i++)
		put(fd, &o->at[UDP4], big, SIZE);
	after_ms(o->rig, SOCKETS_LOOK_MS + 1);
	assert_true(count(o->rig, NET_UDP_KERNEL_DROPS) > 0);
	free(big);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, one_setup, one_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_datagram_comes_in_and_its_answer_leaves_ipv4),
		TEST(a_datagram_comes_in_and_its_answer_leaves_ipv6),
		TEST(many_keep_their_order),
		TEST(one_wake_is_bounded),
		TEST(the_largest_datagram_comes_through),
		TEST(keepalives_are_counted_and_go_no_further),
		TEST(icmp_is_reported),
		TEST(an_icmp_error_costs_no_other_datagram),
		TEST(an_icmp_error_within_a_batch_is_reported),
		TEST(the_families_take_turns),
		TEST(a_refused_send_is_reported),
		TEST(what_does_not_fit_is_refused),
		TEST(the_queue_is_bounded),
		TEST(what_still_waits_at_the_end_is_freed),
		TEST(what_the_kernel_dropped_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
