/* Each allocation fails in turn, the library's (c-ares) included: nothing crashes, nothing leaks
 * (LeakSanitizer), descriptors are given back, and what still can work works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/poller.h"
#include "transports/hosts.h"
#include "transports/resolver.h"
#include "transports/sockets.h"
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The allocator --------------------------------------------------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifdef SANITIZED
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

/* Called before ThreadSanitizer is ready. */
#define PLAIN __attribute__((no_sanitize("thread")))

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *p, size_t size);

static unsigned long countdown; /* 0: none fails */
static unsigned long n_failed;

PLAIN static bool fails_now(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	n_failed++;
	errno = ENOMEM;
	return true;
}

PLAIN void *malloc(size_t size)
{
	return fails_now() ? NULL : REAL(malloc)(size);
}

PLAIN void *calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : REAL(calloc)(n, size);
}

PLAIN void *realloc(void *p, size_t size)
{
	return fails_now() ? NULL : REAL(realloc)(p, size);
}

PLAIN void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) || fails_now() ? NULL : REAL(realloc)(p, bytes);
}

/* The scenario ---------------------------------------------------------------------------------------------------- */

#define UPGRADE \
	"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"

struct rig {
	struct poller *poller;
	struct wheel wheel;
	struct mailbox *mail[2];
	struct listen_set *set;
	struct net *net[2];
	struct resolver *resolver;
	struct buf *answer;
	struct path from;
	unsigned n_messages, n_failed, n_closed, n_done;
	int fd, dns;
	struct addr udp, tcp, ws;
};

static void on_message(void *ctx, const struct path *from, char *bytes, size_t len, bool is_broken)
{
	struct rig *r = ctx;

	(void)bytes;
	(void)len;
	(void)is_broken;
	r->n_messages++;
	r->from = *from;
	net_send(r->net[0], from, r->answer, 1);
}

static void on_icmp(void *ctx, const struct path *to, struct sv bytes, int error)
{
	(void)ctx;
	(void)to;
	(void)bytes;
	(void)error;
}

static void on_send_failed(void *ctx, const struct path *to, uint64_t cookie, int error)
{
	(void)to;
	(void)cookie;
	(void)error;
	((struct rig *)ctx)->n_failed++;
}

static void on_flow_closed(void *ctx, uint64_t flow)
{
	(void)flow;
	((struct rig *)ctx)->n_closed++;
}

static int to_worker(void *ctx, unsigned worker, struct mail *m, bool is_urgent)
{
	return mailbox_post(((struct rig *)ctx)->mail[worker], m, is_urgent);
}

struct reader {
	struct net *net;
};

static struct net *net_of(void *reader)
{
	return ((struct reader *)reader)->net;
}

static void on_done(void *ctx, int err, const struct resolve_answer *a)
{
	(void)err;
	(void)a;
	((struct rig *)ctx)->n_done++;
}

static void turns(struct rig *r, int n)
{
	while (n-- > 0) {
		poller_turn(r->poller, false);
		for (unsigned w = 0; w < 2; w++) {
			struct reader reader = { r->net[w] };

			mailbox_drain(r->mail[w], &reader, 64);
			sockets_flush(r->net[w]);
		}
		wheel_advance(&r->wheel, r->wheel.now_ms + 1, SIZE_MAX);
	}
}

static int make(struct rig *r)
{
	struct addr a = { .family = 4, .ip = { 127, 0, 0, 1 } };
	struct listener l[3] = { { .transport = T_UDP, .is_active = true, .bind = a },
	                         { .transport = T_TCP, .is_active = true, .bind = a },
	                         { .transport = T_WS, .is_active = true, .bind = a } };
	struct sv server = SV("127.0.0.1:1");
	char error[200];
	int err = sockets_open(&r->set, l, 3, 2, NULL, error, sizeof error);

	for (unsigned w = 0; !err && w < 2; w++) {
		struct sockets_params p = { .poller = r->poller, .wheel = &r->wheel, .set = r->set, .worker = w,
			.handler = { .ctx = r, .on_message = on_message, .on_icmp = on_icmp, .on_send_failed = on_send_failed,
		                     .on_flow_closed = on_flow_closed },
			.to_worker = to_worker, .net_of = net_of, .ctx = r };

		err = sockets_new(&r->net[w], &p);
		if (!err)
			err = sockets_start(r->net[w]);
	}
	if (!err)
		err = resolver_new(&r->resolver, r->poller, &r->wheel, &server, 1, NULL);
	if (err)
		return err;
	r->udp = *listen_set_addr(r->set, 0);
	r->tcp = *listen_set_addr(r->set, 1);
	r->ws = *listen_set_addr(r->set, 2);
	return 0;
}

static void say(int fd, const struct addr *to, const char *text, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = addr_to_sockaddr(to, &sa);

	(void)!sendto(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sa, sa_len);
}

static void use_streams(struct rig *r)
{
	struct path out = { .remote = r->tcp, .listener = 1, .transport = T_TCP };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&r->tcp, &sa);

	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)!connect(r->fd, (struct sockaddr *)&sa, len);
	turns(r, 5);
	(void)!send(r->fd, OPT "OPT", strlen(OPT) + 3, MSG_NOSIGNAL);
	turns(r, 5);
	(void)!send(r->fd, &OPT[3], strlen(OPT) - 3, MSG_NOSIGNAL);
	turns(r, 5);
	net_send(r->net[0], &out, r->answer, 2); /* one of us to another, or to ourselves */
	turns(r, 10);
	out = r->from;
	for (unsigned w = 0; w < 2; w++)
		net_send(r->net[w], &out, r->answer, 3);
	turns(r, 5);
	for (unsigned w = 0; w < 2; w++)
		net_flow_close(r->net[w], out.flow);
	turns(r, 5);
}

/* An upgrade in two pieces, a message in two fragments, a ping; and a WebSocket of ours to ourselves. */
static void use_websockets(struct rig *r)
{
	static const char first[] = UPGRADE "\x01\x84\0\0\0\0OPTI";
	static const char second[] = "\x89\x82\0\0\0\0hi" "\x80\x9d\0\0\0\0ONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";
	struct path out = { .remote = r->ws, .listener = 2, .transport = T_WS };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&r->ws, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)!connect(fd, (struct sockaddr *)&sa, len);
	turns(r, 5);
	(void)!send(fd, first, 30, MSG_NOSIGNAL);
	turns(r, 5);
	(void)!send(fd, first + 30, sizeof first - 31, MSG_NOSIGNAL);
	turns(r, 5);
	(void)!send(fd, second, sizeof second - 1, MSG_NOSIGNAL);
	turns(r, 10);
	net_send(r->net[0], &out, r->answer, 4);
	turns(r, 20);
	net_flow_close(r->net[0], r->from.flow);
	net_flow_close(r->net[1], r->from.flow);
	turns(r, 5);
	close(fd);
	turns(r, 5);
}

static void use(struct rig *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct resolve_query q = { .host = SV("h.example"), .default_port = 5060, .transports = 1u << T_UDP | 1u << T_TCP };
	struct resolve_answer a;
	uint64_t id;

	say(fd, &r->udp, OPT, strlen(OPT));
	turns(r, 3);
	close(fd);
	use_streams(r);
	use_websockets(r);
	resolve(r->resolver, &q, &a, on_done, r, &id);
	q.port = 5060;
	resolve(r->resolver, &q, &a, on_done, r, &id);
	turns(r, 20);
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The n-th allocation fails (0: none). True when there were that many. */
static bool run(unsigned long n, struct rig *r)
{
	unsigned files = open_files();
	bool has_failed;

	*r = (struct rig){ .fd = -1 };
	assert_int_equal(poller_new(&r->poller), 0);
	r->answer = buf_copy(SV("SIP/2.0 200 OK\r\nl: 0\r\n\r\n"));
	wheel_init(&r->wheel, 1000);
	for (unsigned w = 0; w < 2; w++)
		assert_int_equal(mailbox_new(&r->mail[w], 64), 0);
	n_failed = 0;
	countdown = n;
	if (make(r) == 0)
		use(r);
	countdown = 0;
	has_failed = n_failed > 0;
	if (r->resolver)
		resolver_free(r->resolver);
	for (unsigned w = 0; w < 2; w++) {
		struct reader reader = { r->net[w] };

		if (r->net[w])
			while (mailbox_drain(r->mail[w], &reader, 64))
				;
	}
	for (unsigned w = 0; w < 2; w++) {
		sockets_free(r->net[w]);
		mailbox_free(r->mail[w]);
	}
	if (r->fd >= 0)
		close(r->fd);
	listen_set_free(r->set);
	poller_free(r->poller);
	buf_put(r->answer);
	assert_int_equal(r->wheel.count, 0);
	assert_int_equal(open_files(), files);
	return has_failed;
}

static void the_scenario_works_with_memory(void **state)
{
	struct rig r;

	(void)state;
	assert_false(run(0, &r));
	assert_true(r.n_messages >= 6); /* a datagram, two on the stream, one over our own connection; over WebSockets one of theirs, one of ours */
	assert_true(r.n_closed >= 1);
	assert_int_equal(r.n_failed, 0);
}

static void each_allocation_fails_in_turn(void **state)
{
	struct rig r;
	unsigned long n = 1;

	(void)state;
	while (run(n, &r))
		n++;
	print_message("%lu allocations\n", n - 1);
	assert_true(n > 30);
}

static void write_hosts(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* A hosts file is in force whole, or the one before it is. */
static void a_hosts_file_is_read_whole_or_not(void **state)
{
	char path[64];
	struct hosts *h;
	uint64_t now_ms = 1;
	unsigned long n = 0;
	bool has_failed;

	(void)state;
	snprintf(path, sizeof(path), "oom-hosts-%d", (int)getpid());
	write_hosts(path, "192.0.2.1 old1 old2\n");
	assert_int_equal(hosts_new(&h, path, NULL), 0);
	assert_non_null(hosts_find(h, "old2", now_ms));
	write_hosts(path, "192.0.2.3 new1\n192.0.2.4 new2 new3\n");
	do {
		now_ms += HOSTS_LOOK_MS;
		n_failed = 0;
		countdown = ++n;
		(void)hosts_find(h, "new1", now_ms);
		countdown = 0;
		has_failed = n_failed > 0;
		assert_int_equal(hosts_find(h, "old1", now_ms) != NULL, has_failed);
		assert_int_equal(hosts_find(h, "old2", now_ms) != NULL, has_failed);
		assert_int_equal(hosts_find(h, "new1", now_ms) != NULL, !has_failed);
		assert_int_equal(hosts_find(h, "new3", now_ms) != NULL, !has_failed);
	} while (has_failed);
	assert_true(n > 4); /* the text, the table, three names */
	hosts_free(h);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_scenario_works_with_memory),
		cmocka_unit_test(each_allocation_fails_in_turn),
		cmocka_unit_test(a_hosts_file_is_read_whole_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
