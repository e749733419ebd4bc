/* Opening the listening sockets: all of them before any worker runs, or none. */
#include "transports/inside.h"
#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	UDP_SEND_BUFFER = 1048576,
	KEEPALIVE_IDLE_S = 120, KEEPALIVE_EVERY_S = 20, KEEPALIVE_TRIES = 4,
	USER_TIMEOUT_MS = 60000, /* bytes that nobody acknowledges: the peer's network is gone */
};

struct opening {
	struct listen_set *set;
	struct log *log;
	char *error;
	size_t size;
};

static void close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void print_listener(const struct listener *l, char *out, size_t size)
{
	char text[ADDR_TEXT], name[8];
	size_t i = 0;

	for (const char *c = transport_name(l->transport); *c; c++)
		name[i++] = *c | 0x20;
	name[i] = '\0';
	snprintf(out, size, "%s:%s", name, addr_print(&l->bind, text));
}

__attribute__((format(printf, 4, 5)))
static int fail(const struct opening *o, const struct listener *l, int err, const char *fmt, ...)
{
	char name[ADDR_TEXT + 8];
	va_list ap;
	int n;

	print_listener(l, name, sizeof name);
	n = snprintf(o->error, o->size, "%s: ", name);
	if (n < 0 || (size_t)n >= o->size)
		return err;
	va_start(ap, fmt);
	vsnprintf(o->error + n, o->size - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

/* Options --------------------------------------------------------------------------------------------------------- */

static int set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof on) ? -errno : 0;
}

static void set_int(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof value); /* a wish: without it we still work */
}

/* May be bound before its address is there (the standby's virtual address): IP_FREEBIND. */
int socket_new(uint8_t transport, uint8_t family, int *out)
{
	bool is_udp = transport == T_UDP, is_v4 = family == 4;
	int type = (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, type, 0), err;

	if (fd < 0)
		return -errno;
	err = is_v4 ? set_on(fd, SOL_IP, IP_FREEBIND) : set_on(fd, SOL_IPV6, IPV6_FREEBIND);
	if (!err && !is_v4)
		err = set_on(fd, SOL_IPV6, IPV6_V6ONLY);
	if (!err && !is_udp)
		err = set_on(fd, SOL_SOCKET, SO_REUSEADDR); /* connections of the last run in TIME_WAIT */
	if (err) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

/* Accepted connections inherit all of these. */
void socket_set_tcp(int fd)
{
	set_int(fd, SOL_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, SOL_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_int(fd, SOL_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S);
	set_int(fd, SOL_TCP, TCP_KEEPCNT, KEEPALIVE_TRIES);
	set_int(fd, SOL_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

/* The bytes of receive buffer we got (the kernel reports twice what it was asked for). */
static int set_udp_buffers(int fd)
{
	int want = SOCKETS_UDP_BUFFER, got = 0;
	socklen_t len = sizeof got;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof want))
		set_int(fd, SOL_SOCKET, SO_RCVBUF, want);
	want = UDP_SEND_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want))
		set_int(fd, SOL_SOCKET, SO_SNDBUF, want);
	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len);
	return got / 2;
}

static void warn_if_clamped(const struct opening *o, const struct listener *l, int got)
{
	char name[ADDR_TEXT + 8], fix[64];

	if (got >= SOCKETS_UDP_BUFFER)
		return;
	print_listener(l, name, sizeof name);
	snprintf(fix, sizeof fix, "sysctl -w net.core.rmem_max=%d", SOCKETS_UDP_BUFFER);
	log_warn(o->log, "udp.receive_buffer", "listener=%s wanted_bytes=%d got_bytes=%d fix=%s", name,
	         SOCKETS_UDP_BUFFER, got, fix);
}

/* Binding --------------------------------------------------------------------------------------------------------- */

int socket_bind(int fd, const struct addr *a)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, &sa);

	return bind(fd, (struct sockaddr *)&sa, len) ? -errno : 0;
}

static int say_bind(const struct opening *o, const struct listener *l, int err)
{
	char who[128];

	if (err != -EADDRINUSE)
		return fail(o, l, err, "cannot bind: %s%s", strerror(-err),
		            err == -EACCES ? " (ports below 1024 need CAP_NET_BIND_SERVICE)" : "");
	holder_print(l->transport, &l->bind, who, sizeof who);
	return fail(o, l, err, "address in use by %s", who);
}

/* SO_REUSEPORT would let us join the sockets of another process of the same user and get half of its datagrams: a
 * socket without it finds out first. */
static int probe(const struct opening *o, const struct listener *l)
{
	SCOPED(close_fdp) int fd = -1;
	int err;

	if (l->bind.port == 0)
		return 0;
	err = socket_new(l->transport, l->bind.family, &fd);
	if (err)
		return fail(o, l, err, "cannot make a socket: %s", strerror(-err));
	err = socket_bind(fd, &l->bind);
	return err ? say_bind(o, l, err) : 0;
}

static int learn_port(int fd, struct listener *l)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr a;

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return -errno;
	if (addr_from_sockaddr(&a, (struct sockaddr *)&sa))
		return -EAFNOSUPPORT;
	l->bind.port = a.port;
	return 0;
}

static int open_one(const struct opening *o, struct listener *l, int *out)
{
	int err = socket_new(l->transport, l->bind.family, out);

	if (!err)
		err = set_on(*out, SOL_SOCKET, SO_REUSEPORT);
	if (err)
		return fail(o, l, err, "cannot make a socket: %s", strerror(-err));
	if (l->transport == T_UDP)
		err = l->bind.family == 4 ? set_on(*out, SOL_IP, IP_RECVERR) : set_on(*out, SOL_IPV6, IPV6_RECVERR);
	else
		socket_set_tcp(*out);
	if (err)
		return fail(o, l, err, "cannot ask for ICMP errors: %s", strerror(-err));
	err = socket_bind(*out, &l->bind);
	if (err)
		return say_bind(o, l, err);
	if (l->transport != T_UDP && listen(*out, SOCKETS_BACKLOG))
		return say_bind(o, l, -errno);
	err = learn_port(*out, l);
	return err ? fail(o, l, err, "cannot read the socket's address: %s", strerror(-err)) : 0;
}

static int check(const struct opening *o, size_t i)
{
	const struct listener *l = &o->set->listeners[i];

	if (l->transport == T_NONE || l->transport >= T_COUNT)
		return fail(o, l, -EPROTONOSUPPORT, "this transport is not built in");
	if (l->bind.family == 0 || addr_is_any(&l->bind))
		return fail(o, l, -EADDRNOTAVAIL, "a wildcard address would answer from whichever address the "
		                                  "route has: name each address");
	for (size_t j = 0; j < i; j++) {
		const struct listener *other = &o->set->listeners[j];

		if (other->is_active && other->transport == l->transport && l->bind.port != 0 &&
		    addr_eq(&other->bind, &l->bind))
			return fail(o, l, -EADDRINUSE, "listed twice");
	}
	return probe(o, l);
}

/* The program's result is an index into the sockets of this address in the order they were bound: the workers'. They are closed
 * together, none is opened anew. Without it messages are handed over between workers, as they have to be where it names nobody. */
static void steer(const struct opening *o, struct listener *l, int fd)
{
	struct sock_fprog program = { .len = l->n_steer, .filter = (struct sock_filter *)l->steer };
	char name[ADDR_TEXT + 8];

	if (!l->steer)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program)) {
		print_listener(l, name, sizeof name);
		log_warn(o->log, "udp.not_steered", "listener=%s error=%s", name, strerror(errno));
	}
	l->steer = NULL; /* our caller's */
}

/* Where a WebSocket's listener shares its port. */
static void share_port(struct listen_set *set, size_t i)
{
	struct listener *l = &set->listeners[i];

	if (!l->is_active || !transport_is_websocket(l->transport) || !l->bind.port)
		return;
	for (size_t j = 0; j < set->n; j++) {
		struct listener *other = &set->listeners[j];

		if (!other->is_active || other->upgrades_to || other->transport != (l->transport == T_WS ? T_TCP : T_TLS) ||
		    !addr_eq(&other->bind, &l->bind))
			continue;
		other->upgrades_to = (uint16_t)(i + 1);
		l->is_shared = true;
		return;
	}
}

static int open_listener(const struct opening *o, size_t i)
{
	struct listen_set *set = o->set;
	struct listener *l = &set->listeners[i];
	int err = check(o, i), least = SOCKETS_UDP_BUFFER;

	for (unsigned w = 0; !err && w < set->workers; w++) {
		int *fd = &set->fds[i * set->workers + w];

		err = open_one(o, l, fd);
		if (!err && l->transport == T_UDP) {
			int got = set_udp_buffers(*fd);

			least = got < least ? got : least;
		}
	}
	if (err)
		return err;
	warn_if_clamped(o, l, least);
	steer(o, l, set->fds[i * set->workers]);
	return 0;
}

static struct listen_set *set_new(const struct listener *listeners, size_t n, unsigned workers)
{
	struct listen_set *set = calloc(1, sizeof *set);
	size_t n_fds = n * workers;

	if (!set)
		return NULL;
	*set = (struct listen_set){ .n = n, .workers = workers, .listeners = calloc(n + 1, sizeof *listeners),
	                            .fds = malloc((n_fds + 1) * sizeof *set->fds) };
	if (!set->listeners || !set->fds) {
		free(set->listeners);
		free(set->fds);
		free(set);
		return NULL;
	}
	if (n)
		memcpy(set->listeners, listeners, n * sizeof *listeners);
	for (size_t i = 0; i < n_fds; i++)
		set->fds[i] = -1;
	return set;
}

int sockets_open(struct listen_set **out, const struct listener *listeners, size_t n, unsigned workers, struct log *log,
                 char *error, size_t size)
{
	if (workers == 0 || workers > SOCKETS_WORKERS_MAX || n > UINT16_MAX) {
		snprintf(error, size, "%u workers and %zu listeners: at most %d and %d", workers, n,
		         SOCKETS_WORKERS_MAX, UINT16_MAX);
		return -EINVAL;
	}
	SCOPED(listen_set_freep) struct listen_set *set = set_new(listeners, n, workers);
	struct opening o = { set, log, error, size };

	if (!set) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		share_port(set, i);
	for (size_t i = 0; i < n; i++) {
		int err = listeners[i].is_active && !set->listeners[i].is_shared ? open_listener(&o, i) : 0;

		if (err)
			return err;
	}
	*out = STEAL(set);
	return 0;
}

const struct addr *listen_set_addr(const struct listen_set *set, size_t i)
{
	return &set->listeners[i].bind;
}

void listen_set_free(struct listen_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n * set->workers; i++)
		close_fdp(&set->fds[i]);
	free(set->listeners);
	free(set->fds);
	free(set);
}

void listen_set_freep(struct listen_set **set)
{
	listen_set_free(*set);
}
