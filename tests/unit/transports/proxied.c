/* Connections from a balancer: whose they are is what its PROXY header says, and they come to nothing without. */
#include "tests/unit/transports/rig.h"
#include "transports/proxy.h"

#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"
#define V1 "PROXY TCP4 192.0.2.1 203.0.113.7 12345 5060\r\n"
#define V2 "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xcb\0\x71\7\x30\x39\x13\xc4"
#define V2_LOCAL "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"

/* One more connection from the balancer that all of the test's sockets are. */
static int dial_as_proxy(struct one *o, struct addr *me)
{
	int on = 1, fd;

	o->rig->proxy = loopback(4, 0);
	fd = dial(o->rig, &o->at[TCP4], me);
	setsockopt(fd, SOL_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void is_from(const struct rig *r, const char *text)
{
	char got[ADDR_TEXT];

	assert_string_equal(addr_print(&r->seen[r->n_seen - 1].from.remote, got), text);
}

static void ends(struct one *o, int fd, enum net_counter why)
{
	until(o->rig, sockets_connections(o->rig->net) == 0);
	assert_int_equal(count(o->rig, why), 1);
	assert_int_equal(o->rig->n_seen, 0);
	close(fd);
}

/* With the header and the first message in one segment; the answer and our own requests take the connection. */
static void a_message_is_from_whom_the_header_names(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial_as_proxy(o, &me);
	struct path to;
	char got[64];

	r->answer = buf_copy(SV(OK));
	write_all(fd, V1 OPT, strlen(V1 OPT));
	until(r, r->n_seen == 1 && is_readable(fd));
	is_from(r, "192.0.2.1:12345");
	assert_string_equal(r->seen[0].bytes, OPT);
	read_now(fd, got, sizeof got);
	assert_string_equal(got, OK);
	to = path_to(r->seen[0].from.remote, TCP4, T_TCP); /* found by that address */
	assert_int_equal(send_text(r, &to, OPT, 1), 0);
	until(r, is_readable(fd));
	read_now(fd, got, sizeof got);
	assert_string_equal(got, OPT);
	assert_int_equal(count(r, NET_TCP_PROXIED), 1);
	close(fd);
	until(r, r->n_closed == 1);
	assert_int_equal(sockets_connections(r->net), 0);
}

static void a_header_of_bytes_works_too(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial_as_proxy(o, &me);

	write_all(fd, V2 OPT, sizeof V2 OPT - 1);
	until(o->rig, o->rig->n_seen == 1);
	is_from(o->rig, "192.0.2.1:12345");
	close(fd);
}

/* The balancer's own health check. */
static void a_local_header_leaves_the_source(void **state)
{
	struct one *o = *state;
	struct addr me;
	char text[ADDR_TEXT];
	int fd = dial_as_proxy(o, &me);

	write_all(fd, V2_LOCAL OPT, sizeof V2_LOCAL OPT - 1);
	until(o->rig, o->rig->n_seen == 1);
	is_from(o->rig, addr_print(&me, text));
	close(fd);
}

/* In pieces (few: who does not read acknowledges late): each wakes the loop once, and nothing keeps it awake between. */
static void a_slow_header_costs_nothing_between(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial_as_proxy(o, &me);
	size_t len = strlen(V1 OPT), piece = len / 7;

	for (size_t i = 0; i < len; i += piece) {
		assert_int_equal(r->n_seen, 0);
		write_all(fd, &(V1 OPT)[i], i + piece < len ? piece : len - i);
		settle(r);
		assert_false(is_readable(sockets_of(r->net)->slots[0].conn->watch.fd));
	}
	until(r, r->n_seen == 1);
	is_from(r, "192.0.2.1:12345");
	assert_string_equal(r->seen[0].bytes, OPT);
	close(fd);
}

static void without_a_header_it_is_ended(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial_as_proxy(o, &me);

	write_all(fd, OPT, strlen(OPT));
	ends(o, fd, NET_CLOSED_PROXY);
}

/* Half of one at its deadline; not earlier, and sending on buys no time. */
static void half_a_header_is_ended_at_its_deadline(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial_as_proxy(o, &me);

	write_all(fd, V1, 20);
	settle(o->rig);
	after_ms(o->rig, NET_PROXY_MS - 1);
	assert_int_equal(sockets_connections(o->rig->net), 1);
	write_all(fd, &(V1)[20], 5);
	settle(o->rig);
	after_ms(o->rig, 1);
	ends(o, fd, NET_CLOSED_PROXY);
}

/* Who ends in the middle of one is gone at once: the loop does not turn on it until the deadline. */
static void the_end_in_the_middle_of_a_header_is_seen(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial_as_proxy(o, &me);

	write_all(fd, V1, 20);
	settle(o->rig);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	ends(o, fd, NET_CLOSED_PEER);
}

static void nothing_at_all_is_ended(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial_as_proxy(o, &me);

	close(fd);
	until(o->rig, sockets_connections(o->rig->net) == 0);
	assert_int_equal(count(o->rig, NET_CLOSED_PEER), 1);
}

/* From everybody else the header is what it looks like to SIP: garbage. */
static void from_others_it_is_garbage(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial(o->rig, &o->at[TCP4], &me);

	write_all(fd, V1 OPT, strlen(V1 OPT));
	until(o->rig, o->rig->n_seen > 0);
	assert_true(addr_eq(&o->rig->seen[0].from.remote, &me));
	assert_string_not_equal(o->rig->seen[0].bytes, OPT);
	assert_int_equal(count(o->rig, NET_TCP_PROXIED), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_is_from_whom_the_header_names, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(a_header_of_bytes_works_too, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(a_local_header_leaves_the_source, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(a_slow_header_costs_nothing_between, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(without_a_header_it_is_ended, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(half_a_header_is_ended_at_its_deadline, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(the_end_in_the_middle_of_a_header_is_seen, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(nothing_at_all_is_ended, one_setup, one_teardown),
		cmocka_unit_test_setup_teardown(from_others_it_is_garbage, one_setup, one_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
