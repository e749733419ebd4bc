/* What loopback and root never show: the kernel's refusals, by system calls that say what the test wants. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "base/direct.h"
#include "base/poller.h"
static int told_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
static int told_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
static int told_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
static int told_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
static ssize_t told_recvmsg(int fd, struct msghdr *m, int flags);
static int told_watch_set(struct poller *p, struct watch *w, unsigned what);
#define direct_sendmmsg told_sendmmsg
#define direct_recvmmsg told_recvmmsg
#define accept4 told_accept4
#define getsockopt told_getsockopt
#define recvmsg told_recvmsg
#define watch_set told_watch_set
#include "transports/acceptor.c"
#include "transports/listen.c"
#include "transports/udp.c"
#undef direct_sendmmsg
#undef direct_recvmmsg
#undef accept4
#undef getsockopt
#undef recvmsg
#undef watch_set
#undef fail
#include "tests/unit/transports/rig.h"

enum { SCRIPT_MAX = 64, REAL = 0 };

/* What the next calls say: an errno, or REAL. Beyond the script's end all is real. */
struct script {
	int say[SCRIPT_MAX];
	unsigned n, at, calls;
};

static struct {
	struct script send, receive, accept, watch;
	bool truncates;
	int buffer;                    /* 0: the real one */
	struct sock_extended_err error; /* the next one in the queue of errors, when it has an origin */
} told;

static int next(struct script *s)
{
	s->calls++;
	return s->at < s->n ? s->say[s->at++] : REAL;
}

static int told_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	int error = next(&told.send);

	if (error == REAL)
		return direct_sendmmsg(fd, m, n, flags);
	errno = error;
	return -1;
}

static int told_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	int error = next(&told.receive), got;

	if (error != REAL) {
		errno = error;
		return -1;
	}
	got = direct_recvmmsg(fd, m, n, flags);
	if (got > 0 && told.truncates)
		m[0].msg_hdr.msg_flags |= MSG_TRUNC;
	return got;
}

static int told_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	int error = next(&told.accept);

	if (error == REAL)
		return accept4(fd, sa, len, flags);
	errno = error;
	return -1;
}

static int told_watch_set(struct poller *p, struct watch *w, unsigned what)
{
	int error = next(&told.watch);

	return error == REAL ? watch_set(p, w, what) : -error;
}

static int told_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	int err = getsockopt(fd, level, option, value, len);

	if (level == SOL_SOCKET && option == SO_RCVBUF && told.buffer)
		*(int *)value = told.buffer;
	return err;
}

/* One error in the queue: for port 9 of loopback, with four bytes of what we sent. */
static ssize_t told_recvmsg(int fd, struct msghdr *m, int flags)
{
	struct addr a = loopback(4, 9);
	struct cmsghdr *c;

	if (!told.error.ee_origin)
		return recvmsg(fd, m, flags);
	c = m->msg_control;
	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof told.error), .cmsg_level = SOL_IP, .cmsg_type = IP_RECVERR };
	memcpy(CMSG_DATA(c), &told.error, sizeof told.error);
	m->msg_controllen = CMSG_SPACE(sizeof told.error);
	m->msg_namelen = addr_to_sockaddr(&a, m->msg_name);
	memcpy(m->msg_iov->iov_base, "sent", 4);
	told.error.ee_origin = 0;
	return 4;
}

static void tell(struct script *s, unsigned times, int error)
{
	while (times--)
		s->say[s->n++] = error;
}

static int setup(void **state)
{
	memset(&told, 0, sizeof told);
	return one_setup(state);
}

static struct path open_target(int *fd)
{
	struct addr at;

	*fd = plain_socket(SOCK_DGRAM, 4, &at);
	return path_to(at, UDP4, T_UDP);
}

static void expect_received(int fd, const char *text)
{
	char got[64];

	read_now(fd, got, sizeof got);
	assert_string_equal(got, text);
}

/* UDP ------------------------------------------------------------------------------------------------------------- */

static void a_full_socket_is_waited_for(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	tell(&told.send, 1, EAGAIN);
	assert_int_equal(send_text(r, &to, "one", 0), 0);
	sockets_flush(r->net);
	assert_int_equal(send_text(r, &to, "two", 0), 0);
	sockets_flush(r->net);
	assert_int_equal(told.send.at, 1); /* no second call before it is writable */
	assert_false(is_readable(fd));
	until(r, is_readable(fd));
	expect_received(fd, "one");
	expect_received(fd, "two");
	assert_int_equal(count(r, NET_UDP_SEND_ERRORS), 0);
	close(fd);
}

/* Whoever cannot wait for the socket loses the datagram that found it full, or the flush would never end. */
static void a_full_socket_that_cannot_be_waited_for(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	tell(&told.send, 1, EAGAIN);
	tell(&told.watch, 1, ENOMEM);
	assert_int_equal(send_text(r, &to, "one", 0), 0);
	assert_int_equal(send_text(r, &to, "two", 0), 0);
	sockets_flush(r->net);
	until(r, is_readable(fd));
	expect_received(fd, "two");
	assert_int_equal(count(r, NET_UDP_SEND_ERRORS), 1);
	close(fd);
}

static void what_the_device_dropped_is_counted_and_passed_over(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	tell(&told.send, 1, ENOBUFS);
	tell(&told.send, 1, EINTR);
	assert_int_equal(send_text(r, &to, "one", 0), 0);
	assert_int_equal(send_text(r, &to, "two", 0), 0);
	sockets_flush(r->net);
	expect_received(fd, "two");
	assert_int_equal(count(r, NET_UDP_SEND_ERRORS), 1);
	assert_int_equal(r->n_icmp, 0); /* the destination is not to blame */
	close(fd);
}

/* An error that is not in the queue of errors may still have been another's: one more try. */
static void one_foreign_error_costs_nothing(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	tell(&told.send, 1, EHOSTUNREACH);
	assert_int_equal(send_text(r, &to, "one", 0), 0);
	sockets_flush(r->net);
	expect_received(fd, "one");
	assert_int_equal(r->n_icmp, 0);
	close(fd);
}

static void the_same_error_twice_is_its_own(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	tell(&told.send, 2, EHOSTUNREACH);
	assert_int_equal(send_text(r, &to, "one", 0), 0);
	assert_int_equal(send_text(r, &to, "two", 0), 0);
	sockets_flush(r->net);
	expect_received(fd, "two");
	assert_int_equal(r->n_icmp, 1);
	assert_int_equal(r->icmp[0].error, EHOSTUNREACH);
	close(fd);
}

/* A socket that only fails: as many tries as datagrams, not an endless loop. */
static void a_dead_socket_ends_the_flush(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	tell(&told.send, 60, ENETDOWN);
	for (int i = 0; i < 30; i++)
		assert_int_equal(send_text(r, &to, "x", 0), 0);
	sockets_flush(r->net);
	assert_int_equal(r->n_icmp, 30);
	assert_int_equal(told.send.at, 60);
	close(fd);
}

static void an_error_on_reading_hides_no_datagram(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;
	struct path to = open_target(&fd);

	told.receive.n = 0;
	tell(&told.receive, 3, ECONNREFUSED);
	assert_int_equal(plain_connect(fd, &o->at[UDP4]), 0);
	write_all(fd, "hello", 5);
	turn(r);
	assert_int_equal(r->n_seen, 1);
	assert_int_equal(to.listener, UDP4);
	close(fd);
}

static struct path dead_port(void)
{
	int fd;
	struct path to = open_target(&fd);

	close(fd);
	return to;
}

/* The queue of errors wakes us like datagrams do; were it not read, it would do so for ever. */
static void a_wake_without_datagrams_is_an_error(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct path to = dead_port();

	tell(&told.receive, 1, EAGAIN);
	assert_int_equal(send_text(r, &to, "INVITE", 0), 0);
	sockets_flush(r->net);
	turn(r);
	assert_int_equal(told.receive.calls, 1);
	assert_int_equal(r->n_icmp, 1);
}

static void an_error_between_batches_is_read(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct path to = dead_port();
	int fd, error = 0;
	socklen_t len = sizeof error;

	open_target(&fd);
	assert_int_equal(plain_connect(fd, &o->at[UDP4]), 0);
	tell(&told.receive, 1, REAL);
	tell(&told.receive, 1, ECONNREFUSED);
	for (int i = 0; i < NET_BATCH; i++)
		write_all(fd, "hello", 5);
	assert_int_equal(send_text(r, &to, "INVITE", 0), 0);
	sockets_flush(r->net);
	/* the pending error goes, the queue of errors stays */
	getsockopt(sockets_of(r->net)->locals[UDP4].udp->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	tell(&told.receive, 1, EAGAIN);
	turn(r);
	assert_int_equal(error, ECONNREFUSED);
	assert_int_equal(r->n_seen, NET_BATCH);
	assert_int_equal(r->n_icmp, 1);
	close(fd);
}

static void expect_error(struct one *o, struct sock_extended_err e, size_t n_icmp, uint64_t counted)
{
	struct rig *r = o->rig;
	int fd;

	open_target(&fd);
	told.error = e;
	tell(&told.receive, 1, ECONNREFUSED);
	assert_int_equal(plain_connect(fd, &o->at[UDP4]), 0);
	write_all(fd, "hello", 5);
	turn(r);
	assert_int_equal(r->n_icmp, n_icmp);
	assert_int_equal(count(r, NET_ICMP), counted);
	close(fd);
}

/* Path MTU discovery and our own refusals are no news of the destination. */
static void only_icmp_that_means_failure_is_reported(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;

	expect_error(o, (struct sock_extended_err){ .ee_errno = EHOSTUNREACH, .ee_origin = SO_EE_ORIGIN_ICMP }, 1, 1);
	assert_int_equal(r->icmp[0].error, EHOSTUNREACH);
	assert_int_equal(r->icmp[0].to.remote.port, 9);
	assert_int_equal(r->icmp[0].cookie, 4);
	expect_error(o, (struct sock_extended_err){ .ee_errno = EMSGSIZE, .ee_origin = SO_EE_ORIGIN_ICMP }, 1, 2);
	expect_error(o, (struct sock_extended_err){ .ee_errno = EPERM, .ee_origin = SO_EE_ORIGIN_LOCAL }, 1, 2);
}

/* Nothing but errors: the others get their turn. */
static void reading_errors_are_bounded(void **state)
{
	struct one *o = *state;
	int fd;

	open_target(&fd);
	tell(&told.receive, 60, ENOMEM);
	assert_int_equal(plain_connect(fd, &o->at[UDP4]), 0);
	write_all(fd, "hello", 5);
	turn(o->rig);
	assert_int_equal(told.receive.at, SOCKETS_UDP_BATCHES);
	close(fd);
}

static void half_a_datagram_is_none(void **state)
{
	struct one *o = *state;
	int fd;

	open_target(&fd);
	told.truncates = true;
	assert_int_equal(plain_connect(fd, &o->at[UDP4]), 0);
	write_all(fd, "hello", 5);
	until(o->rig, count(o->rig, NET_UDP_TRUNCATED) == 1);
	assert_int_equal(o->rig->n_seen, 0);
	assert_int_equal(count(o->rig, NET_UDP_RECEIVED), 0);
	close(fd);
}

/* Accepting ------------------------------------------------------------------------------------------------------- */

static int waiting_client(struct one *o)
{
	struct addr me;
	int fd = plain_socket(SOCK_STREAM, 4, &me);

	assert_int_equal(plain_connect(fd, &o->at[TCP4]), 0);
	return fd;
}

/* ENFILE, ENOMEM: the backlog stays full and its event would fire for ever. A pause, then on. */
static void a_system_without_room_is_given_a_pause(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;

	tell(&told.accept, 1, ENFILE);
	fd = waiting_client(o);
	until(r, told.accept.at == 1);
	settle(r);
	assert_int_equal(sockets_connections(r->net), 0); /* nobody asked again */
	after_ms(r, SOCKETS_ACCEPT_PAUSE_MS - 1);
	assert_int_equal(sockets_connections(r->net), 0);
	after_ms(r, 1);
	until(r, sockets_connections(r->net) == 1);
	close(fd);
}

/* A pause that cannot end yet is followed by another. */
static void a_pause_is_longer_while_nothing_can_be_watched(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd;

	tell(&told.accept, 1, ENFILE);
	tell(&told.watch, 1, REAL); /* the pause begins */
	tell(&told.watch, 1, ENOMEM);
	fd = waiting_client(o);
	until(r, told.accept.at == 1);
	after_ms(r, SOCKETS_ACCEPT_PAUSE_MS);
	settle(r);
	assert_int_equal(told.watch.at, 2);
	assert_int_equal(sockets_connections(r->net), 0);
	after_ms(r, SOCKETS_ACCEPT_PAUSE_MS);
	until(r, sockets_connections(r->net) == 1);
	close(fd);
}

/* accept says EMFILE though nobody waits: the kept descriptor finds out, and the wake ends there. */
static void no_descriptors_and_nobody_there(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	const int script[] = { EMFILE, REAL, EMFILE, REAL };
	int fd;

	memcpy(told.accept.say, script, sizeof script);
	told.accept.n = 4;
	fd = waiting_client(o);
	until(r, count(r, NET_TCP_ACCEPT_NO_FILES) == 1);
	settle(r);
	assert_int_equal(told.accept.calls, 4);
	assert_int_equal(sockets_connections(r->net), 0);
	close(fd);
	fd = waiting_client(o);
	until(r, sockets_connections(r->net) == 1);
	close(fd);
}

static void one_that_went_away_does_not_stop_the_others(void **state)
{
	struct one *o = *state;
	int fd;

	tell(&told.accept, 1, ECONNABORTED);
	tell(&told.accept, 1, EINTR);
	fd = waiting_client(o);
	until(o->rig, sockets_connections(o->rig->net) == 1);
	close(fd);
}

/* Opening --------------------------------------------------------------------------------------------------------- */

static void a_clamped_buffer_is_one_line_with_the_remedy(void **state)
{
	struct listener l = { .transport = T_UDP, .is_active = true, .bind = loopback(4, 0) };
	char path[] = "/tmp/sbc-unit-XXXXXX", text[1024], error[100];
	int fd = mkstemp(path);
	struct log_params p = { .path = path, .level = LOG_WARN };
	struct listen_set *set = NULL;
	struct log *log;
	ssize_t n;

	(void)state;
	told.buffer = 2 * 212992;
	assert_int_equal(log_new(&log, &p), 0);
	assert_int_equal(sockets_open(&set, &l, 1, 3, log, error, sizeof error), 0);
	log_free(log);
	listen_set_free(set);
	n = read(fd, text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "udp.receive_buffer"));
	assert_non_null(strstr(text, "got_bytes=212992"));
	assert_non_null(strstr(text, "\"sysctl -w net.core.rmem_max=4194304\""));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* once, not once per worker */
	unlink(path);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, one_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_full_socket_is_waited_for),
		TEST(a_full_socket_that_cannot_be_waited_for),
		TEST(a_pause_is_longer_while_nothing_can_be_watched),
		TEST(what_the_device_dropped_is_counted_and_passed_over),
		TEST(one_foreign_error_costs_nothing),
		TEST(the_same_error_twice_is_its_own),
		TEST(a_dead_socket_ends_the_flush),
		TEST(an_error_on_reading_hides_no_datagram),
		TEST(a_wake_without_datagrams_is_an_error),
		TEST(an_error_between_batches_is_read),
		TEST(only_icmp_that_means_failure_is_reported),
		TEST(reading_errors_are_bounded),
		TEST(half_a_datagram_is_none),
		TEST(a_system_without_room_is_given_a_pause),
		TEST(no_descriptors_and_nobody_there),
		TEST(one_that_went_away_does_not_stop_the_others),
		TEST(a_clamped_buffer_is_one_line_with_the_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
