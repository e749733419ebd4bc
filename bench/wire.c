/* bench/wire.c - see wire.h. */
#include "bench/wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "bench/link.h"

enum { UP_WITHIN_MS = 10000,
       STEP_MS = 100 };

int wire_address(struct sockaddr_in *out, const char *text)
{
	char host[INET_ADDRSTRLEN] = "";
	const char *colon = strrchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	*out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
	return inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -EINVAL;
}

static void batch_init(struct wire_batch *b)
{
	for (int i = 0; i < WIRE_BATCH; i++) {
		b->vec[i] = (struct iovec){ b->bytes[i], WIRE_DATAGRAM_MAX };
		b->head[i].msg_hdr = (struct msghdr){ .msg_iov = &b->vec[i],
			                              .msg_iovlen = 1,
			                              .msg_name = &b->peer[i],
			                              .msg_namelen = sizeof(b->peer[i]) };
	}
}

static void wire_ready(struct wire *w)
{
	inet_ntop(AF_INET, &w->local.sin_addr, w->text, sizeof(w->text));
	snprintf(w->text + strlen(w->text), sizeof(w->text) - strlen(w->text), ":%u", ntohs(w->local.sin_port));
	batch_init(&w->in);
	batch_init(&w->out);
}

struct wire *wire_new(const struct sockaddr_in *local)
{
	struct wire *w = calloc(1, sizeof(*w));
	socklen_t len = sizeof(w->local);
	int size = WIRE_RECEIVE_BUFFER;

	if (!w)
		return NULL;
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0 || bind(w->fd, (const struct sockaddr *)local, sizeof(*local)) < 0 ||
	    getsockname(w->fd, (struct sockaddr *)&w->local, &len) < 0) {
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return NULL;
	}
	/* clamped is fine: losses show as retransmissions */
	setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	wire_ready(w);
	return w;
}

static bool stream_is_up(struct link *l)
{
	uint64_t until = clock_ns() + UP_WITHIN_MS * 1000000ull;

	while (l->state != LINK_UP && clock_ns() < until) {
		struct pollfd p = { .fd = l->fd, .events = (short)link_wants(l) }; /* EPOLLIN is POLLIN, and so on */

		if (poll(&p, 1, STEP_MS) > 0 && !link_step(l))
			return false;
	}
	return l->state == LINK_UP;
}

struct wire *wire_stream(const struct link_to *to, unsigned n, const char **why)
{
	struct wire *w = calloc(1, sizeof(*w));
	socklen_t len = sizeof(w->local);

	*why = "memory";
	if (!w || !(w->link = calloc(1, sizeof(*w->link)))) {
		free(w);
		return NULL;
	}
	if (!link_open(w->link, to, link_address(n), 0) || !stream_is_up(w->link) ||
	    getsockname(w->link->fd, (struct sockaddr *)&w->local, &len) < 0) {
		*why = w->link->why ? w->link->why : "not up in time";
		wire_free(w);
		return NULL;
	}
	w->fd = w->link->fd;
	wire_ready(w);
	return w;
}

int wire_spread(struct wire *w)
{
	int on = 1;

	if (setsockopt(w->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
		return -errno;
	for (int i = 0; i < WIRE_BATCH; i++) {
		w->in.head[i].msg_hdr.msg_control = w->in.control[i];
		w->in.head[i].msg_hdr.msg_controllen = sizeof(w->in.control[i]);
		w->out.head[i].msg_hdr.msg_control = w->out.control[i];
		w->out.head[i].msg_hdr.msg_controllen = sizeof(w->out.control[i]);
	}
	w->is_spread = true;
	return 0;
}

void wire_free(struct wire *w)
{
	if (w->link)
		link_close(w->link, false);
	else
		close(w->fd);
	free(w->link);
	free(w);
}

static void stream_lost(struct wire *w)
{
	fprintf(stderr, "stream %s: %s\n", w->text, w->link->why);
	w->link->why = NULL;
}

static unsigned stream_receive(struct wire *w)
{
	struct sv m;

	w->in.n = 0;
	if (w->link->state == LINK_UP)
		link_step(w->link);
	while (w->in.n < WIRE_BATCH && link_next(w->link, &m)) {
		if (m.len > WIRE_DATAGRAM_MAX)
			continue;
		memcpy(w->in.bytes[w->in.n], m.p, m.len);
		w->in.head[w->in.n++].msg_len = (unsigned)m.len;
		w->received_bytes += m.len;
	}
	if (w->link->state == LINK_GONE && w->link->why)
		stream_lost(w);
	return w->in.n;
}

unsigned wire_receive(struct wire *w)
{
	int n;

	if (w->link)
		return stream_receive(w);
	for (unsigned i = 0; i < w->in.n; i++) {
		w->in.head[i].msg_hdr.msg_namelen = sizeof(w->in.peer[i]);
		w->in.head[i].msg_hdr.msg_controllen = w->is_spread ? sizeof(w->in.control[i]) : 0;
	}
	n = recvmmsg(w->fd, w->in.head, WIRE_BATCH, MSG_DONTWAIT, NULL);
	w->in.n = n > 0 ? (unsigned)n : 0;
	return w->in.n;
}

char *wire_next(struct wire *w)
{
	if (w->out.n == WIRE_BATCH)
		wire_flush(w);
	return w->out.bytes[w->out.n];
}

void wire_send(struct wire *w, size_t len, const struct sockaddr_in *to)
{
	w->out.vec[w->out.n].iov_len = len;
	w->out.peer[w->out.n] = *to;
	w->out.n++;
}

void wire_send_as(struct wire *w, size_t len, const struct sockaddr_in *to, struct in_addr from)
{
	struct cmsghdr *c = (struct cmsghdr *)w->out.control[w->out.n];
	struct in_pktinfo info = { .ipi_spec_dst = from };

	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO };
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	wire_send(w, len, to);
}

struct in_addr wire_arrived_at(const struct wire *w, unsigned i)
{
	struct in_pktinfo info = { 0 };

	memcpy(&info, CMSG_DATA((const struct cmsghdr *)w->in.control[i]), sizeof(info));
	return info.ipi_addr;
}

void wire_send_copy(struct wire *w, const char *p, size_t len, const struct sockaddr_in *to)
{
	memcpy(wire_next(w), p, len);
	wire_send(w, len, to);
}

static void stream_flush(struct wire *w)
{
	for (unsigned i = 0; i < w->out.n; i++) {
		link_send(w->link, (struct sv){ w->out.bytes[i], w->out.vec[i].iov_len });
		w->sent_bytes += w->out.vec[i].iov_len;
	}
	w->out.n = 0;
	if (w->link->state == LINK_GONE && w->link->why)
		stream_lost(w);
}

void wire_flush(struct wire *w)
{
	int sent;

	if (w->link) {
		stream_flush(w);
		return;
	}
	for (unsigned i = 0; i<w->out.n; i += sent> 0 ? (unsigned)sent : 1) /* one that cannot be sent is skipped */
		sent = sendmmsg(w->fd, w->out.head + i, w->out.n - i, 0);
	w->out.n = 0;
}

void text_add(struct text *t, struct sv v)
{
	if (v.len > t->max - t->len)
		v.len = t->max - t->len;
	if (v.len)
		memcpy(t->p + t->len, v.p, v.len);
	t->len += v.len;
}

void text_hex(struct text *t, uint32_t v)
{
	char digits[8];

	for (int i = 7; i >= 0; i--, v >>= 4)
		digits[i] = "0123456789abcdef"[v & 15];
	text_add(t, (struct sv){ digits, sizeof(digits) });
}

uint32_t hex_value(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return v;
}

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void delay_init(struct delay *d, uint64_t wait_ns)
{
	list_init(&d->waiting);
	d->wait_ns = wait_ns;
}

void delay_arm(struct delay *d, struct delayed *t, uint64_t now_ns)
{
	list_del(&t->in_delay);
	t->at_ns = now_ns + d->wait_ns;
	list_push(&d->waiting, &t->in_delay);
}

struct delayed *delay_due(struct delay *d, uint64_t now_ns)
{
	struct delayed *t = owner_of(d->waiting.next, struct delayed, in_delay);

	if (list_empty(&d->waiting) || t->at_ns > now_ns)
		return NULL;
	list_del(&t->in_delay);
	return t;
}

uint64_t delay_next(const struct delay *d)
{
	return list_empty(&d->waiting) ? UINT64_MAX : owner_of(d->waiting.next, struct delayed, in_delay)->at_ns;
}

void backoff_init(struct backoff *b, unsigned t1_ms)
{
	for (unsigned i = 0; i < WIRE_BACKOFFS; i++)
		delay_init(&b->wait[i], (uint64_t)t1_ms * 1000000 << i);
}

uint64_t backoff_next(const struct backoff *b)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < WIRE_BACKOFFS; i++)
		if (delay_next(&b->wait[i]) < next)
			next = delay_next(&b->wait[i]);
	return next;
}

struct delayed *backoff_due(struct backoff *b, uint64_t now_ns)
{
	struct delayed *t = NULL;

	for (unsigned i = 0; i < WIRE_BACKOFFS && !t; i++)
		t = delay_due(&b->wait[i], now_ns);
	return t;
}
