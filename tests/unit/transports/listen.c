/* Opening the listening sockets: all or none, and one clear line when it cannot be. */
#include "tests/unit/transports/rig.h"
#include <linux/filter.h>

static char error[256];

static int try_open(struct listen_set **set, uint8_t transport, const struct addr *a, unsigned workers)
{
	struct listener l = { .transport = transport, .is_active = true, .bind = *a };

	error[0] = '\0';
	*set = NULL;
	return sockets_open(set, &l, 1, workers, NULL, error, sizeof error);
}

static void expect_in_use(uint8_t transport, uint8_t family, const char *prefix)
{
	struct addr at;
	int fd = plain_socket(transport == T_UDP ? SOCK_DGRAM : SOCK_STREAM, family, &at);
	char expected[256], text[ADDR_TEXT], name[32] = "";
	struct listen_set *set;
	FILE *comm = fopen("/proc/self/comm", "r");

	assert_non_null(fgets(name, sizeof name, comm));
	fclose(comm);
	name[strcspn(name, "\n")] = '\0';
	if (transport == T_TCP)
		assert_int_equal(listen(fd, 1), 0);
	snprintf(expected, sizeof expected, "%s:%s: address in use by %s (pid %d)", prefix, addr_print(&at, text), name,
	         getpid());
	assert_int_equal(try_open(&set, transport, &at, 2), -EADDRINUSE);
	assert_string_equal(error, expected);
	assert_null(set);
	close(fd);
	assert_int_equal(try_open(&set, transport, &at, 2), 0); /* nothing of the first try is left */
	listen_set_free(set);
}

static void the_holder_of_the_port_is_named(void **state)
{
	(void)state;
	expect_in_use(T_UDP, 4, "udp");
	expect_in_use(T_UDP, 6, "udp");
	expect_in_use(T_TCP, 4, "tcp");
	expect_in_use(T_TCP, 6, "tcp");
}

/* One with SO_REUSEPORT too, of the same user: the kernel would let us in, and give it half of our datagrams. */
static void sharing_is_not_joined(void **state)
{
	struct listen_set *mine, *other;

	(void)state;
	for (uint8_t transport = T_UDP; transport <= T_TCP; transport++) {
		struct addr at = loopback(4, 0);

		assert_int_equal(try_open(&other, transport, &at, 1), 0);
		at = *listen_set_addr(other, 0);
		assert_int_equal(try_open(&mine, transport, &at, 1), -EADDRINUSE);
		listen_set_free(other);
	}
}

static void a_wildcard_holder_is_named(void **state)
{
	struct addr at = { .family = 4 };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&at, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct listen_set *set;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = sizeof sa;
	getsockname(fd, (struct sockaddr *)&sa, &len);
	addr_from_sockaddr(&at, (struct sockaddr *)&sa);
	memcpy(at.ip, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	assert_int_equal(try_open(&set, T_UDP, &at, 1), -EADDRINUSE);
	assert_non_null(strstr(error, "(pid "));
	close(fd);
}

static void wildcards_are_refused(void **state)
{
	struct addr any = { .family = 4, .port = 5060 };
	struct listen_set *set;

	(void)state;
	assert_int_equal(try_open(&set, T_UDP, &any, 1), -EADDRNOTAVAIL);
	assert_non_null(strstr(error, "udp:0.0.0.0:5060: a wildcard address"));
	any.family = 6;
	assert_int_equal(try_open(&set, T_TCP, &any, 1), -EADDRNOTAVAIL);
	assert_non_null(strstr(error, "tcp:[::]:5060: a wildcard address"));
}

static void what_is_not_built_in_is_refused(void **state)
{
	struct addr at = loopback(4, 0);
	struct listen_set *set;

	(void)state;
	assert_int_equal(try_open(&set, T_COUNT, &at, 1), -EPROTONOSUPPORT);
	assert_non_null(strstr(error, ":127.0."));
}

static void listed_twice(void **state)
{
	/* an address of this process alone: nobody else takes its ports */
	struct addr at = { .family = 4, .port = 5060, .ip = { 127, (uint8_t)(getpid() >> 8), (uint8_t)getpid(), 7 } };
	struct listener l[2];
	struct listen_set *set;

	(void)state;
	l[0] = l[1] = (struct listener){ .transport = T_UDP, .is_active = true, .bind = at };
	assert_int_equal(sockets_open(&set, l, 2, 1, NULL, error, sizeof error), -EADDRINUSE);
	assert_non_null(strstr(error, "listed twice"));
	l[1].transport = T_TCP; /* the same address of another transport is another listener */
	assert_int_equal(sockets_open(&set, l, 2, 1, NULL, error, sizeof error), 0);
	listen_set_free(set);
}

/* An address that is not (yet) on this host: the standby of a pair binds it all the same. */
static void an_address_to_come_can_be_bound(void **state)
{
	struct addr at = { .family = 4, .ip = { 192, 0, 2, 77 } };
	struct addr at6 = { .family = 6, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	struct listen_set *set;

	(void)state;
	for (uint8_t transport = T_UDP; transport <= T_TCP; transport++) {
		assert_int_equal(try_open(&set, transport, &at, 1), 0);
		listen_set_free(set);
		assert_int_equal(try_open(&set, transport, &at6, 1), 0);
		listen_set_free(set);
	}
}

static void an_inactive_listener_keeps_its_index(void **state)
{
	struct listener l[2] = { { .transport = T_WSS, .bind = loopback(4, 443) },
	                         { .transport = T_UDP, .is_active = true, .bind = loopback(4, 0) } };
	struct listen_set *set;
	struct rig *r;
	struct path to = path_to(loopback(4, 5060), 0, T_WSS);

	(void)state;
	assert_int_equal(sockets_open(&set, l, 2, 1, NULL, error, sizeof error), 0);
	assert_int_equal(listen_set_addr(set, 0)->port, 443);
	assert_true(listen_set_addr(set, 1)->port != 0);
	r = rig_new(set, 0, 0);
	assert_int_equal(send_text(r, &to, "x", 0), -EAFNOSUPPORT);
	rig_free(r);
	listen_set_free(set);
}

/* Every worker has its own socket on the same port. */
static void workers_share_a_port(void **state)
{
	struct listen_set *set = open_set(4);
	struct rig *w[4];
	struct addr me;
	size_t sum = 0, busy = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		w[i] = rig_new(set, i, 0);
	for (int i = 0; i < 64; i++) {
		int fd = plain_socket(SOCK_DGRAM, 4, &me);
		struct sockaddr_storage sa;
		socklen_t len = addr_to_sockaddr(listen_set_addr(set, UDP4), &sa);

		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
		assert_int_equal(sendto(fd, "y", 1, 0, (struct sockaddr *)&sa, len), 1);
		close(fd);
	}
	for (unsigned i = 0; i < 4; i++) {
		settle(w[i]);
		sum += w[i]->n_seen;
		busy += w[i]->n_seen > 0;
		assert_int_equal(w[i]->n_seen % 2, 0); /* one source, one worker: order is kept */
	}
	assert_int_equal(sum, 128);
	assert_true(busy > 1);
	for (unsigned i = 0; i < 4; i++)
		rig_free(w[i]);
	listen_set_free(set);
}

/* Connections of the last run in TIME_WAIT do not hold the port. */
static void a_restart_finds_its_port_free(void **state)
{
	struct addr at = { .family = 4, .port = 5060, .ip = { 127, (uint8_t)(getpid() >> 8), (uint8_t)getpid(), 8 } };
	struct addr me;
	struct listen_set *set;
	struct rig *r;
	int fd;

	(void)state;
	assert_int_equal(try_open(&set, T_TCP, &at, 1), 0);
	r = rig_new(set, 0, 0);
	listen_set_free(set);
	fd = dial(r, &at, &me);
	write_all(fd, "OPTIONS a SIP/2.0\r\nl:0\r\n\r\n", 26);
	until(r, r->n_seen == 1);
	net_flow_close(r->net, r->seen[0].from.flow); /* it is us who end it: ours is the TIME_WAIT */
	until(r, r->n_closed == 1);
	close(fd);
	until(r, sockets_connections(r->net) == 0);
	rig_free(r);
	assert_int_equal(try_open(&set, T_TCP, &at, 1), 0);
	listen_set_free(set);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void sockets_have_their_options(void **state)
{
	struct listen_set *set = open_set(1);
	struct rig *r;
	struct addr me;
	int fd;

	(void)state;
	assert_int_equal(option(set->fds[UDP6], SOL_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(option(set->fds[TCP6], SOL_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(option(set->fds[UDP6], SOL_IPV6, IPV6_RECVERR), 1);
	assert_int_equal(option(set->fds[UDP4], SOL_IP, IP_RECVERR), 1);
	assert_true(option(set->fds[UDP4], SOL_SOCKET, SO_RCVBUF) > 425984 / 2); /* more than the usual default */
	r = rig_new(set, 0, 0);
	fd = dial(r, listen_set_addr(set, TCP4), &me);
	for (uint32_t i = 0; i < sockets_of(r->net)->n_slots; i++) { /* inherited from the listening socket */
		int accepted = sockets_of(r->net)->slots[i].conn->watch.fd;

		assert_int_equal(option(accepted, SOL_TCP, TCP_NODELAY), 1);
		assert_int_equal(option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_true(option(accepted, SOL_TCP, TCP_USER_TIMEOUT) > 0);
	}
	close(fd);
	rig_free(r);
	listen_set_free(set);
}

static void the_number_of_workers_is_bounded(void **state)
{
	struct addr at = loopback(4, 0);
	struct listen_set *set;
	struct sockets_params p = { .worker = 1 };
	struct net *net;

	(void)state;
	assert_int_equal(try_open(&set, T_UDP, &at, 0), -EINVAL);
	assert_int_equal(try_open(&set, T_UDP, &at, SOCKETS_WORKERS_MAX + 1), -EINVAL);
	assert_int_equal(try_open(&set, T_UDP, &at, 1), 0);
	p.set = set;
	assert_int_equal(sockets_new(&net, &p), -EINVAL);
	listen_set_free(set);
}

static void a_short_error_text_stays_in_its_bounds(void **state)
{
	struct listener l = { .transport = T_COUNT, .is_active = true, .bind = loopback(4, 5060) };
	struct listen_set *set;
	char text[12] = "###########";

	(void)state;
	for (size_t size = 1; size < sizeof text; size++) {
		assert_int_equal(sockets_open(&set, &l, 1, 1, NULL, text, size), -EPROTONOSUPPORT);
		assert_int_equal(strlen(text), size - 1);
	}
}

/* Opens one UDP listener for three workers with a program of one instruction; what is warned of goes to `log`. */
static struct listen_set *open_steered(uint8_t family, uint16_t code, uint32_t k, struct log *log)
{
	const struct sock_filter program = { code, 0, 0, k };
	struct listener l = { .transport = T_UDP, .is_active = true, .bind = loopback(family, 0), .steer = &program, .n_steer = 1 };
	struct listen_set *set = NULL;

	assert_int_equal(sockets_open(&set, &l, 1, 3, log, error, sizeof error), 0);
	assert_null(set->listeners[0].steer); /* it was ours */
	return set;
}

/* Which worker gets a datagram of a new source. */
static unsigned arrives(const struct listen_set *set, uint8_t family)
{
	struct addr any;
	int from = plain_socket(SOCK_DGRAM, family, &any);
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(listen_set_addr(set, 0), &to);
	unsigned at = set->workers;
	char byte = 0;

	assert_int_equal(sendto(from, &byte, 1, 0, (struct sockaddr *)&to, len), 1);
	for (unsigned w = 0; w < set->workers; w++)
		if (recv(set->fds[w], &byte, 1, MSG_DONTWAIT) == 1)
			at = w;
	close(from);
	return at;
}

/* The result is the worker; one that there is not leaves it to the kernel. */
static void a_program_chooses_the_worker(void **state)
{
	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		for (unsigned w = 0; w < 3; w++) {
			struct listen_set *set = open_steered(family, BPF_RET | BPF_K, w, NULL);

			for (unsigned i = 0; i < 16; i++)
				assert_int_equal(arrives(set, family), w);
			listen_set_free(set);
		}
		struct listen_set *set = open_steered(family, BPF_RET | BPF_K, 3, NULL);
		unsigned seen = 0;

		for (unsigned i = 0; i < 64; i++)
			seen |= 1u << arrives(set, family);
		assert_int_equal(seen, 7);
		listen_set_free(set);
	}
}

static void a_program_that_is_not_taken_is_one_warning(void **state)
{
	char path[] = "/tmp/sbc-unit-XXXXXX", text[1024];
	int fd = mkstemp(path);
	struct log_params p = { .path = path, .level = LOG_WARN };
	struct listen_set *set;
	struct log *log;
	ssize_t n;

	(void)state;
	assert_int_equal(log_new(&log, &p), 0);
	set = open_steered(4, BPF_LD | BPF_W | BPF_LEN, 0, log); /* has no end */
	assert_in_range(arrives(set, 4), 0, 2);
	log_free(log);
	listen_set_free(set);
	n = read(fd, text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "udp.not_steered"));
	assert_non_null(strstr(text, "error=\"Invalid argument\""));
	unlink(path);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_holder_of_the_port_is_named),
		cmocka_unit_test(sharing_is_not_joined),
		cmocka_unit_test(a_wildcard_holder_is_named),
		cmocka_unit_test(wildcards_are_refused),
		cmocka_unit_test(what_is_not_built_in_is_refused),
		cmocka_unit_test(listed_twice),
		cmocka_unit_test(an_address_to_come_can_be_bound),
		cmocka_unit_test(an_inactive_listener_keeps_its_index),
		cmocka_unit_test(workers_share_a_port),
		cmocka_unit_test(a_restart_finds_its_port_free),
		cmocka_unit_test(sockets_have_their_options),
		cmocka_unit_test(the_number_of_workers_is_bounded),
		cmocka_unit_test(a_short_error_text_stays_in_its_bounds),
		cmocka_unit_test(a_program_chooses_the_worker),
		cmocka_unit_test(a_program_that_is_not_taken_is_one_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
