/* Two workers: a connection lives on one of them, and the other sends on it all the same. */
#include "tests/unit/transports/rig.h"

#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"

struct two {
	struct rig *w[2];
	struct addr at[LISTENERS];
};

static int setup(void **state)
{
	struct two *t = calloc(1, sizeof *t);
	struct listen_set *set = open_set(2);

	for (unsigned i = 0; i < 2; i++)
		t->w[i] = rig_new(set, i, 0);
	for (unsigned i = 0; i < 2; i++)
		memcpy(t->w[i]->peers, t->w, sizeof t->w);
	for (size_t i = 0; i < LISTENERS; i++)
		t->at[i] = *listen_set_addr(set, i);
	listen_set_free(set);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct two *t = *state;

	rig_free(t->w[0]);
	rig_free(t->w[1]);
	free(t);
	return 0;
}

static void turn_both(struct two *t)
{
	turn(t->w[0]);
	turn(t->w[1]);
}

#define until_both(t, expr) \
	do { \
		for (int turns_ = 0; turns_ < TURNS && !(expr); turns_++) \
			turn_both(t); \
		assert_true(expr); \
	} while (0)

/* A client that has said something; `*owner` is the worker the kernel gave it to. */
static int client(struct two *t, struct rig **owner, struct rig **other, struct path *path)
{
	struct addr me;
	int fd = plain_socket(SOCK_STREAM, 4, &me);
	size_t before = t->w[0]->n_seen + t->w[1]->n_seen, first = t->w[0]->n_seen;
	size_t conns = sockets_connections(t->w[0]->net) + sockets_connections(t->w[1]->net);

	assert_int_equal(plain_connect(fd, &t->at[TCP4]), 0);
	until_both(t, sockets_connections(t->w[0]->net) + sockets_connections(t->w[1]->net) > conns);
	write_all(fd, OPT, strlen(OPT));
	until_both(t, t->w[0]->n_seen + t->w[1]->n_seen == before + 1);
	*owner = t->w[t->w[0]->n_seen == first];
	*other = t->w[t->w[0]->n_seen != first];
	*path = (*owner)->seen[(*owner)->n_seen - 1].from;
	return fd;
}

static void the_flow_names_its_worker(void **state)
{
	struct two *t = *state;
	unsigned on[2] = { 0 };
	int fds[32];

	for (size_t i = 0; i < 32; i++) {
		struct rig *owner, *other;
		struct path path;

		fds[i] = client(t, &owner, &other, &path);
		assert_int_equal(path.flow >> 56, owner == t->w[1]);
		on[owner == t->w[1]]++;
	}
	assert_true(on[0] && on[1]); /* the kernel spreads them */
	for (size_t i = 0; i < 32; i++)
		close(fds[i]);
}

static void the_other_worker_sends_on_it(void **state)
{
	struct two *t = *state;
	struct rig *owner, *other;
	struct path path;
	int fd = client(t, &owner, &other, &path);
	char got[64];

	assert_int_equal(send_text(other, &path, OK, 1), 0);
	sockets_flush(other->net);
	assert_false(is_readable(fd)); /* it is the owner who writes */
	until_both(t, is_readable(fd));
	read_now(fd, got, sizeof got);
	assert_string_equal(got, OK);
	assert_int_equal(count(other, NET_HANDED_OVER), 1);
	assert_int_equal(owner->n_failed + other->n_failed, 0);
	close(fd);
}

static void a_dead_flow_is_told_to_who_asked(void **state)
{
	struct two *t = *state;
	struct rig *owner, *other;
	struct path path;
	int fd = client(t, &owner, &other, &path);

	close(fd);
	until_both(t, owner->n_closed == 1);
	assert_int_equal(send_text(other, &path, OK, 42), 0);
	assert_int_equal(other->n_failed, 0);
	until_both(t, other->n_failed == 1);
	assert_int_equal(other->failed[0].cookie, 42);
	assert_int_equal(other->failed[0].error, -ENOTCONN);
	assert_int_equal(other->failed[0].to.flow, path.flow);
	assert_int_equal(owner->n_failed, 0);
	assert_int_equal(count(owner, NET_NO_FLOW), 1);
}

/* The connection takes the message and then breaks: the failure travels back. */
static void what_was_taken_and_not_written_is_told_to_who_asked(void **state)
{
	struct two *t = *state;
	struct rig *owner, *other;
	struct path path;
	int fd = client(t, &owner, &other, &path);
	struct buf *big = buf_new(60000);
	unsigned sent = 0;

	memset(big->data, 'a', big->len);
	while (!other->n_failed) { /* until the owner's queue for it is full */
		assert_int_equal(net_send(other->net, &path, big, sent++), 0);
		for (int i = 0; i < 3; i++)
			turn_both(t);
		assert_true(sent < 2000);
	}
	assert_int_equal(other->failed[0].error, -ENOBUFS);
	assert_int_equal(other->failed[0].cookie, sent - 1);
	wheel_advance(&owner->wheel, owner->wheel.now_ms + SOCKETS_WRITE_MS + 1, SIZE_MAX);
	until_both(t, other->n_failed > 1);
	assert_int_equal(other->failed[1].error, -ETIMEDOUT);
	assert_int_equal(owner->n_failed, 0);
	buf_put(big);
	close(fd);
}

static void the_other_worker_closes_it(void **state)
{
	struct two *t = *state;
	struct rig *owner, *other;
	struct path path;
	int fd = client(t, &owner, &other, &path);

	net_flow_close(other->net, path.flow);
	until_both(t, owner->n_closed == 1);
	assert_int_equal(owner->closed[0], path.flow);
	close(fd);
}

static void the_other_worker_pings_it(void **state)
{
	struct two *t = *state;
	struct rig *owner, *other;
	struct path path;
	int fd = client(t, &owner, &other, &path);
	char got[16];

	assert_int_equal(net_ping(other->net, &path), 0);
	until_both(t, is_readable(fd));
	read_now(fd, got, sizeof got);
	assert_string_equal(got, "\r\n\r\n");
	write_all(fd, "\r\n", 2);
	until_both(t, owner->n_alive == 1); /* who owns it hears it */
	assert_int_equal(owner->alive.flow, path.flow);
	close(fd);
	until_both(t, owner->n_closed == 1);
	assert_int_equal(net_ping(other->net, &path), 0);
	for (int i = 0; i < 10; i++)
		turn_both(t);
	assert_int_equal(other->n_failed + owner->n_failed, 0); /* that it closed has been told */
	path.flow = 0x0700000000000001;
	assert_int_equal(net_ping(other->net, &path), -ENOTCONN);
}

/* A full mailbox: refused here and now. */
static void no_room_in_the_mailbox(void **state)
{
	struct two *t = *state;
	struct rig *owner, *other;
	struct path path;
	int fd = client(t, &owner, &other, &path), err = 0;
	unsigned n = 0;

	while (n < 1000 && !(err = send_text(other, &path, OK, n)))
		n++;
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(count(other, NET_HAND_OVER_FAILED), 1);
	assert_int_equal(n, 64); /* all cells: we are urgent */
	until_both(t, count(owner, NET_TCP_SENT) == n);
	close(fd);
}

static void no_such_worker(void **state)
{
	struct two *t = *state;
	struct path path = { .flow = 0x0700000000000001, .transport = T_TCP };

	assert_int_equal(send_text(t->w[0], &path, OK, 0), -ENOTCONN);
	net_flow_close(t->w[0]->net, path.flow);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_flow_names_its_worker),
		TEST(the_other_worker_sends_on_it),
		TEST(a_dead_flow_is_told_to_who_asked),
		TEST(what_was_taken_and_not_written_is_told_to_who_asked),
		TEST(the_other_worker_closes_it),
		TEST(the_other_worker_pings_it),
		TEST(no_room_in_the_mailbox),
		TEST(no_such_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
