/* One worker's net on real loopback sockets, its loop turned and its clock moved by hand. */
#ifndef TESTS_TRANSPORTS_RIG_H
#define TESTS_TRANSPORTS_RIG_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>
#include "transports/inside.h"
#include "transports/upgrade.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENERS = 4, UDP4 = 0, UDP6, TCP4, TCP6, SEEN_MAX = 512, TURNS = 20000 };

struct seen {
	struct path from;
	char *bytes;
	size_t len;
	bool is_broken;
};

struct failure {
	struct path to;
	uint64_t cookie;
	int error;
};

struct rig {
	struct poller *poller;
	struct wheel wheel;
	struct mailbox *mail;
	struct net *net;
	struct rig *peers[2];             /* the workers, for to_worker */
	struct seen seen[SEEN_MAX];
	struct failure failed[SEEN_MAX], icmp[SEEN_MAX];
	uint64_t closed[SEEN_MAX];
	struct path alive;                /* who said last that he is there */
	size_t n_seen, n_failed, n_icmp, n_closed, n_alive;
	bool is_sending, is_reentrant;    /* a callback came from inside net_send */
	struct buf *answer;               /* sent back on each message, when set */
	bool closes_at_message;
	struct buf *retry;                /* sent once more, when a send fails */
	unsigned retries;
	struct upgrade_rules rules;       /* of its WebSockets */
	struct addr proxy;                /* whose connections begin with a PROXY header; family 0: nobody's */
};

static inline void rig_send_back(struct rig *r, const struct path *to)
{
	if (r->answer)
		assert_int_equal(net_send(r->net, to, r->answer, 7), 0);
}

static inline void rig_on_message(void *ctx, const struct path *from, char *bytes, size_t len, bool is_broken)
{
	struct rig *r = ctx;
	struct seen *s = &r->seen[r->n_seen++];

	assert_true(r->n_seen <= SEEN_MAX);
	for (size_t i = 0; i < BUF_PAD; i++) { /* readable: ASan watches */
		volatile char c = bytes[len + i];

		assert_true(c == 0 || from->transport != T_UDP);
	}
	*s = (struct seen){ *from, malloc(len + 1), len, is_broken };
	memcpy(s->bytes, bytes, len);
	s->bytes[len] = '\0';
	rig_send_back(r, from);
	if (r->closes_at_message)
		net_flow_close(r->net, from->flow);
	memset(bytes, 'x', len); /* ours to write on */
}

static inline void rig_on_icmp(void *ctx, const struct path *to, struct sv bytes, int error)
{
	struct rig *r = ctx;

	r->icmp[r->n_icmp++] = (struct failure){ *to, bytes.len, error };
	assert_true(r->n_icmp <= SEEN_MAX);
}

static inline void rig_on_send_failed(void *ctx, const struct path *to, uint64_t cookie, int error)
{
	struct rig *r = ctx;
	struct path again = *to;

	if (r->is_sending)
		r->is_reentrant = true;
	r->failed[r->n_failed++] = (struct failure){ *to, cookie, error };
	assert_true(r->n_failed < SEEN_MAX);
	again.flow = 0;
	if (r->retry && r->retries) {
		r->retries--;
		net_send(r->net, &again, r->retry, cookie + 1);
	}
}

static inline void rig_on_alive(void *ctx, const struct path *from)
{
	struct rig *r = ctx;

	r->alive = *from;
	r->n_alive++;
}

static inline void rig_on_upgrade(void *ctx, const struct path *at, bool is_ours, struct upgrade_rules *out)
{
	struct rig *r = ctx;

	(void)at, (void)is_ours;
	*out = r->rules;
}

static inline bool rig_is_proxy(void *ctx, uint16_t listener, const struct addr *remote)
{
	struct rig *r = ctx;

	(void)listener;
	return addr_eq_ip(&r->proxy, remote);
}

static inline void rig_on_flow_closed(void *ctx, uint64_t flow)
{
	struct rig *r = ctx;

	if (r->n_closed < SEEN_MAX) /* more than that are only closed */
		r->closed[r->n_closed++] = flow;
}

static inline int rig_to_worker(void *ctx, unsigned worker, struct mail *m, bool is_urgent)
{
	struct rig *r = ctx;

	return mailbox_post(r->peers[worker]->mail, m, is_urgent);
}

static inline struct net *rig_net_of(void *reader)
{
	return ((struct rig *)reader)->net;
}

static inline uint64_t count(const struct rig *r, enum net_counter which)
{
	return counter_get(sockets_counters(r->net), which);
}

/* One turn of the worker's loop, as the worker does it. */
static inline void turn(struct rig *r)
{
	poller_turn(r->poller, false);
	mailbox_drain(r->mail, r, 64);
	sockets_flush(r->net);
}

static inline void after_ms(struct rig *r, uint64_t ms)
{
	wheel_advance(&r->wheel, r->wheel.now_ms + ms, SIZE_MAX);
	turn(r);
}

/* The sockets are real ones: on a busy machine the kernel gets its turn, too, before the last ones are over. */
static inline void turn_patiently(struct rig *r, int turns)
{
	if (turns > TURNS / 2)
		usleep(100);
	turn(r);
}

/* Turns until `expr` holds, a bounded number of times. */
#define until(r, expr) \
	do { \
		for (int turns_ = 0; turns_ < TURNS && !(expr); turns_++) \
			turn_patiently(r, turns_); \
		assert_true(expr); \
	} while (0)

/* Turns enough for anything that was to come to have come. */
static inline void settle(struct rig *r)
{
	for (int i = 0; i < 50; i++)
		turn(r);
}

/* Of 127/8 each process has an address of its own: thousands of connections that have just ended (TIME-WAIT) in other
 * runs leave it its ports. */
static inline struct addr loopback(uint8_t family, uint16_t port)
{
	struct addr a = { .family = family, .port = port };
	unsigned pid = (unsigned)getpid();

	if (family == 4)
		memcpy(a.ip, (uint8_t[]){ 127, (uint8_t)(pid >> 16), (uint8_t)(pid >> 8), (uint8_t)(1 + pid % 254) }, 4);
	else
		a.ip[15] = 1;
	return a;
}

static inline struct listen_set *open_set(unsigned workers)
{
	struct listener l[LISTENERS] = {
		[UDP4] = { .transport = T_UDP, .is_active = true, .bind = loopback(4, 0) },
		[UDP6] = { .transport = T_UDP, .is_active = true, .bind = loopback(6, 0) },
		[TCP4] = { .transport = T_TCP, .is_active = true, .bind = loopback(4, 0) },
		[TCP6] = { .transport = T_TCP, .is_active = true, .bind = loopback(6, 0) },
	};
	struct listen_set *set = NULL;
	char error[256] = "";
	int err = sockets_open(&set, l, LISTENERS, workers, NULL, error, sizeof error);

	if (err)
		fail_msg("%s (without IPv6 on loopback these tests cannot run)", error);
	return set;
}

static inline struct rig *rig_new(struct listen_set *set, unsigned worker, size_t connections_max)
{
	struct rig *r = calloc(1, sizeof *r);
	struct sockets_params p = {
		.set = set, .worker = worker, .to_worker = rig_to_worker, .net_of = rig_net_of,
		.connections_max = connections_max,
	};

	assert_non_null(r);
	assert_int_equal(poller_new(&r->poller), 0);
	wheel_init(&r->wheel, 1000000);
	assert_int_equal(mailbox_new(&r->mail, 64), 0);
	p.poller = r->poller;
	p.wheel = &r->wheel;
	p.ctx = r;
	p.handler = (struct net_handler){ .ctx = r, .on_message = rig_on_message, .on_icmp = rig_on_icmp,
	                                  .on_send_failed = rig_on_send_failed, .on_flow_closed = rig_on_flow_closed,
	                                  .on_alive = rig_on_alive, .on_upgrade = rig_on_upgrade, .is_proxy = rig_is_proxy };
	assert_int_equal(sockets_new(&r->net, &p), 0);
	assert_int_equal(sockets_start(r->net), 0);
	return r;
}

static inline void rig_free(struct rig *r)
{
	assert_false(r->is_reentrant);
	if (sockets_connections(r->net) == 0) {
		assert_int_equal(sockets_of(r->net)->queued, 0);
		assert_int_equal(sockets_of(r->net)->held.bytes, 0);
	}
	sockets_free(r->net);
	for (size_t i = 0; i < r->n_seen; i++)
		free(r->seen[i].bytes);
	buf_put(r->answer);
	buf_put(r->retry);
	mailbox_free(r->mail);
	assert_int_equal(r->wheel.count, 0); /* nothing of ours is left in the wheel */
	poller_free(r->poller);
	free(r);
}

/* A single worker, and where its listeners are. */
struct one {
	struct rig *rig;
	struct addr at[LISTENERS];
};

static inline int one_setup(void **state)
{
	struct one *o = calloc(1, sizeof *o);
	struct listen_set *set = open_set(1);

	o->rig = rig_new(set, 0, 0);
	for (size_t i = 0; i < LISTENERS; i++)
		o->at[i] = *listen_set_addr(set, i);
	listen_set_free(set);
	*state = o;
	return 0;
}

static inline int one_teardown(void **state)
{
	struct one *o = *state;

	rig_free(o->rig);
	free(o);
	return 0;
}

/* A plain socket of the test's own, bound to loopback; *at is where. */
static inline int plain_socket(int type, uint8_t family, struct addr *at)
{
	struct addr a = loopback(family, 0);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&a, &sa);
	int fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	if (type == SOCK_STREAM) /* nothing waits for an acknowledgement */
		setsockopt(fd, SOL_TCP, TCP_NODELAY, &on, sizeof on);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = sizeof sa;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(addr_from_sockaddr(at, (struct sockaddr *)&sa), 0);
	return fd;
}

static inline int plain_connect(int fd, const struct addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);

	return connect(fd, (struct sockaddr *)&sa, len) && errno != EINPROGRESS ? -errno : 0;
}

/* A client's connection to the rig's listener. */
static inline int dial(struct rig *r, const struct addr *to, struct addr *from)
{
	int fd = plain_socket(SOCK_STREAM, to->family, from);
	size_t before = sockets_connections(r->net);

	assert_int_equal(plain_connect(fd, to), 0);
	until(r, sockets_connections(r->net) > before);
	return fd;
}

static inline void write_all(int fd, const char *p, size_t len)
{
	assert_int_equal(send(fd, p, len, MSG_NOSIGNAL), len);
}

static inline struct path path_to(struct addr remote, uint16_t listener, uint8_t transport)
{
	return (struct path){ .remote = remote, .listener = listener, .transport = transport };
}

static inline int send_text(struct rig *r, const struct path *to, const char *text, uint64_t cookie)
{
	struct buf *b = buf_copy(sv_from(text));
	int err;

	r->is_sending = true;
	err = net_send(r->net, to, b, cookie);
	r->is_sending = false;
	buf_put(b);
	return err;
}

/* What can be read now; "" when nothing. */
static inline size_t read_now(int fd, char *out, size_t size)
{
	ssize_t n = recv(fd, out, size - 1, MSG_DONTWAIT);

	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static inline bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static inline int listen_somewhere(uint8_t family, struct addr *at)
{
	int fd = plain_socket(SOCK_STREAM, family, at);

	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline int accept_one(struct rig *r, int listening, struct addr *from)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	int fd;

	until(r, is_readable(listening));
	fd = accept4(listening, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	if (from)
		addr_from_sockaddr(from, (struct sockaddr *)&sa);
	return fd;
}

#endif
