/* bench/flows.c - see flows.h. */
#include "bench/flows.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EVENTS_MAX = 256,
       BYTES_MAX = 4096 };

struct flow {
	int fd; /* -1: not open */
	bool is_sent, is_up;
};

struct flows {
	int loop;
	struct sockaddr_in target;
	struct flow *flow;
	unsigned n, begun, rate, expires_s;
	uint64_t begun_ns;
	struct flows_counts counts;
};

struct flows *flows_new(const struct sockaddr_in *target, unsigned n, unsigned expires_s)
{
	struct flows *f = calloc(1, sizeof(*f));
	struct rlimit limit;

	if (!f || !(f->flow = calloc(n, sizeof(*f->flow))))
		return NULL;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	f->loop = epoll_create1(EPOLL_CLOEXEC);
	f->target = *target;
	f->n = n;
	f->expires_s = expires_s;
	return f;
}

int flows_fd(const struct flows *f)
{
	return f->loop;
}

static void flow_fails(struct flows *f, struct flow *w, uint64_t now)
{
	fprintf(stderr, "bench-registrants: flow %u: %s\n", (unsigned)(w - f->flow), strerror(errno));
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	f->counts.registered -= w->is_up;
	f->counts.failed++;
	f->counts.ended_ns = now;
}

static struct in_addr address_of(unsigned i)
{
	return (struct in_addr){ htonl((127u << 24 | 96u << 16) + 1 + i) };
}

static void flow_open(struct flows *f, struct flow *w, uint64_t now)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr = address_of((unsigned)(w - f->flow)) };
	struct epoll_event watch = { .events = EPOLLOUT, .data.ptr = w };

	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    (connect(w->fd, (struct sockaddr *)&f->target, sizeof(f->target)) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(f->loop, EPOLL_CTL_ADD, w->fd, &watch) < 0)
		flow_fails(f, w, now);
}

void flows_begin(struct flows *f, unsigned rate, uint64_t now_ns)
{
	f->rate = rate;
	f->begun_ns = now_ns;
}

uint64_t flows_tick(struct flows *f, uint64_t now_ns)
{
	uint64_t at = 0;

	if (!f->rate)
		return UINT64_MAX;
	for (; f->begun < f->n; f->begun++) {
		at = f->begun_ns + (uint64_t)f->begun * 1000000000ull / f->rate;
		if (at > now_ns)
			return at;
		flow_open(f, &f->flow[f->begun], now_ns);
	}
	return UINT64_MAX;
}

/* A client that knows RFC 5626: whoever pings it may rely on an answer. */
static void flow_registers(struct flows *f, struct flow *w, uint64_t now)
{
	struct epoll_event watch = { .events = EPOLLIN, .data.ptr = w };
	struct in_addr self = address_of((unsigned)(w - f->flow));
	unsigned i = (unsigned)(w - f->flow);
	char text[1024], host[INET_ADDRSTRLEN];
	int n;

	inet_ntop(AF_INET, &self, host, sizeof(host));
	n = snprintf(text, sizeof(text),
	             "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bKf%08x\r\nMax-Forwards: 70\r\n"
	             "From: <sip:f%08x@example.com>;tag=%08x\r\nTo: <sip:f%08x@example.com>\r\nCall-ID: flow%08x\r\nCSeq: 1 REGISTER\r\n"
	             "Contact: <sip:f@%s;transport=tcp;ob>;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0000%08x>\"\r\n"
	             "Supported: outbound, path\r\nExpires: %u\r\nContent-Length: 0\r\n\r\n",
	             host, i, i, i, i, i, host, i, f->expires_s);
	w->is_sent = true;
	if (send(w->fd, text, (size_t)n, MSG_NOSIGNAL) != n || epoll_ctl(f->loop, EPOLL_CTL_MOD, w->fd, &watch) < 0)
		flow_fails(f, w, now);
}

/* The answer to the REGISTER comes whole: it is the first thing on the connection, and shorter than a segment. */
static unsigned flow_reads(struct flows *f, struct flow *w, uint64_t now)
{
	char bytes[BYTES_MAX];
	ssize_t n = recv(w->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && errno == EAGAIN)
		return 0;
	errno = n == 0 ? ECONNRESET : errno;
	if (n <= 0 || (!w->is_up && (n < 12 || memcmp(bytes, "SIP/2.0 200", 11) != 0))) {
		flow_fails(f, w, now);
		return 0;
	}
	if (!w->is_up) {
		w->is_up = true;
		f->counts.registered++;
		f->counts.ended_ns = now;
		return 0;
	}
	if (n < 4 || memcmp(bytes, "\r\n\r\n", 4) != 0)
		return 0;
	if (send(w->fd, "\r\n", 2, MSG_NOSIGNAL) != 2)
		flow_fails(f, w, now);
	return 1;
}

unsigned flows_receive(struct flows *f, uint64_t now_ns)
{
	struct epoll_event ready[EVENTS_MAX];
	int n = epoll_wait(f->loop, ready, EVENTS_MAX, 0);
	unsigned pings = 0;

	for (int i = 0; i < n; i++) {
		struct flow *w = ready[i].data.ptr;

		if (w->is_sent)
			pings += flow_reads(f, w, now_ns);
		else
			flow_registers(f, w, now_ns);
	}
	return pings;
}

bool flows_are_up(const struct flows *f)
{
	return f->counts.registered + f->counts.failed >= f->n;
}

struct flows_counts flows_counts(const struct flows *f)
{
	return f->counts;
}
