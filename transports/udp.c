/* UDP: recvmmsg on each wake, sendmmsg at the end of each turn of the loop. */
#include "base/direct.h"
#include "transports/inside.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	IPV4_PAYLOAD_MAX = 65507,    /* 65,535 less the IP and UDP headers */
	IPV6_PAYLOAD_MAX = 65527,
	REFUSALS_MAX = 8,            /* tries for one datagram while errors of others are in the way */
	FLUSH_MAX = 2 * SOCKETS_UDP_QUEUE_MAX,
};

/* The two sides' arrays are tied together once; a batch only sets lengths. */
int udp_area_init(struct udp_area *a)
{
	a->bytes = calloc(NET_BATCH, UDP_STRIDE);
	if (!a->bytes)
		return -ENOMEM;
	for (size_t i = 0; i < NET_BATCH; i++) {
		a->in_iov[i] = (struct iovec){ a->bytes + i * UDP_STRIDE, NET_MESSAGE_MAX };
		a->in[i].msg_hdr = (struct msghdr){ .msg_name = &a->in_from[i], .msg_namelen = sizeof a->in_from[i],
		                                    .msg_iov = &a->in_iov[i], .msg_iovlen = 1 };
		a->out[i].msg_hdr = (struct msghdr){ .msg_name = &a->out_to[i], .msg_iov = &a->out_iov[i],
		                                     .msg_iovlen = 1 };
	}
	return 0;
}

/* ICMP ------------------------------------------------------------------------------------------------------------ */

static const struct sock_extended_err *find_error(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR))
			return (const struct sock_extended_err *)CMSG_DATA(c);
	return NULL;
}

/* EMSGSIZE is path MTU discovery at work: the kernel cuts the next one itself, nothing has failed. */
static void report_error(struct udp *u, struct msghdr *h, struct sv bytes)
{
	const struct sock_extended_err *e = find_error(h);
	struct path to = { .listener = u->listener, .transport = T_UDP };
	bool is_icmp = e && (e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6);

	if (!is_icmp)
		return;
	counter_inc(&u->s->counters, NET_ICMP);
	if (e->ee_errno == EMSGSIZE || h->msg_namelen == 0 || addr_from_sockaddr(&to.remote, h->msg_name))
		return;
	u->s->p.handler.on_icmp(u->s->p.handler.ctx, &to, bytes, (int)e->ee_errno);
}

/* Reads the queue of errors (IP_RECVERR); returns how many there were. */
static unsigned read_errors(struct udp *u)
{
	char *bytes = u->s->area.bytes;
	unsigned n = 0;

	for (; n < SOCKETS_ICMP_BATCH; n++) {
		union {
			char room[256];
			struct cmsghdr align;
		} control;
		struct sockaddr_storage to;
		struct iovec iov = { bytes, NET_MESSAGE_MAX };
		struct msghdr h = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &iov, .msg_iovlen = 1,
		                    .msg_control = control.room, .msg_controllen = sizeof control.room };
		ssize_t got = recvmsg(u->watch.fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (got < 0)
			break;
		memset(bytes + got, 0, BUF_PAD);
		report_error(u, &h, (struct sv){ bytes, (size_t)got });
	}
	return n;
}

/* Receiving ------------------------------------------------------------------------------------------------------- */

static bool is_keepalive(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\r' && p[i] != '\n' && p[i] != '\0')
			return false;
	return true;
}

/* True when it was something for the layer above. */
static bool deliver_one(struct udp *u, struct mmsghdr *m, char *bytes)
{
	struct path from = { .listener = u->listener, .transport = T_UDP };
	size_t len = m->msg_len;

	if (m->msg_hdr.msg_flags & MSG_TRUNC) {
		counter_inc(&u->s->counters, NET_UDP_TRUNCATED);
		return false;
	}
	if (addr_from_sockaddr(&from.remote, m->msg_hdr.msg_name))
		return false;
	if (is_keepalive(bytes, len)) {
		counter_inc(&u->s->counters, NET_UDP_KEEPALIVES);
		sockets_tell_alive(u->s, &from);
		return false;
	}
	memset(bytes + len, 0, BUF_PAD);
	u->s->p.handler.on_message(u->s->p.handler.ctx, &from, bytes, len, false);
	return true;
}

static void deliver(struct udp *u, unsigned n)
{
	struct udp_area *a = &u->s->area;
	uint64_t messages = 0, bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		if (deliver_one(u, &a->in[i], a->bytes + i * UDP_STRIDE)) {
			messages++;
			bytes += a->in[i].msg_len;
		}
		a->in[i].msg_hdr.msg_namelen = sizeof a->in_from[i];
	}
	counter_add(&u->s->counters, NET_UDP_RECEIVED, messages);
	counter_add(&u->s->counters, NET_UDP_RECEIVED_BYTES, bytes);
}

/* A short batch means that the socket is empty: no call is spent on hearing so. An error of an earlier datagram comes
 * before the datagrams that wait behind it (ECONNREFUSED and the like): it is fetched, and reading goes on. A wake
 * with nothing to read is the queue of errors alone. */
static void on_readable(struct udp *u)
{
	for (unsigned i = 0; i < SOCKETS_UDP_BATCHES; i++) {
		int n = direct_recvmmsg(u->watch.fd, u->s->area.in, NET_BATCH, MSG_DONTWAIT);

		if (n < 0) {
			bool is_empty = errno == EAGAIN;

			if (!is_empty || i == 0)
				read_errors(u);
			if (is_empty)
				return;
			continue;
		}
		deliver(u, (unsigned)n);
		if (n < NET_BATCH)
			return;
	}
}

/* Sending --------------------------------------------------------------------------------------------------------- */

static unsigned waiting(const struct udp *u)
{
	return u->tail - u->head;
}

static struct udp_out *at(struct udp *u, uint32_t i)
{
	return &u->ring[i & (SOCKETS_UDP_QUEUE_MAX - 1)];
}

static void drop_head(struct udp *u)
{
	buf_put(at(u, u->head++)->msg);
	u->refusals = 0;
}

int udp_send(struct udp *u, const struct path *to, struct buf *msg)
{
	struct udp_out *o;

	if (to->remote.family != u->family || to->remote.port == 0)
		return -EAFNOSUPPORT;
	if (msg->len > (u->family == 4 ? IPV4_PAYLOAD_MAX : IPV6_PAYLOAD_MAX))
		return -EMSGSIZE;
	if (waiting(u) == SOCKETS_UDP_QUEUE_MAX) {
		counter_inc(&u->s->counters, NET_UDP_QUEUE_FULL);
		return -ENOBUFS;
	}
	o = at(u, u->tail++);
	o->msg = buf_get(msg);
	o->to = to->remote;
	return 0;
}

static unsigned gather(struct udp *u)
{
	struct udp_area *a = &u->s->area;
	unsigned n = waiting(u) < NET_BATCH ? waiting(u) : NET_BATCH;

	for (unsigned i = 0; i < n; i++) {
		struct udp_out *o = at(u, u->head + i);

		a->out_iov[i] = (struct iovec){ o->msg->data, o->msg->len };
		a->out[i].msg_hdr.msg_namelen = addr_to_sockaddr(&o->to, &a->out_to[i]);
	}
	return n;
}

static void sent(struct udp *u, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		bytes += at(u, u->head)->msg->len;
		drop_head(u);
	}
	counter_add(&u->s->counters, NET_UDP_SENT, n);
	counter_add(&u->s->counters, NET_UDP_SENT_BYTES, bytes);
}

static void block(struct udp *u)
{
	u->is_blocked = watch_set(u->s->p.poller, &u->watch, WATCH_READ | WATCH_WRITE) == 0;
	if (u->is_blocked)
		return;
	counter_inc(&u->s->counters, NET_UDP_SEND_ERRORS);
	drop_head(u); /* or the flush would never end */
}

/* The datagram at the head cannot leave. The user hears of it as of an ICMP error: the destination is as dead. */
static void refuse_head(struct udp *u, int error)
{
	struct path to = { .remote = at(u, u->head)->to, .listener = u->listener, .transport = T_UDP };
	SCOPED(buf_putp) struct buf *msg = buf_get(at(u, u->head)->msg);

	drop_head(u);
	counter_inc(&u->s->counters, NET_UDP_SEND_ERRORS);
	if (error != ENOBUFS)
		u->s->p.handler.on_icmp(u->s->p.handler.ctx, &to, buf_sv(msg), error);
}

/* The error may be another datagram's: one that ICMP answered is reported by whatever the socket does next. Then it is
 * in the queue of errors, and the head deserves another try. ENOBUFS is the head's own: the device dropped it. */
static void on_send_error(struct udp *u, int error)
{
	if (error == EAGAIN) {
		block(u);
		return;
	}
	if (error == EINTR)
		return;
	if (error == ENOBUFS || ++u->refusals > REFUSALS_MAX) {
		refuse_head(u, error);
		return;
	}
	if (read_errors(u) == 0 && u->refusals > 1)
		refuse_head(u, error);
}

/* A batch that was cut short may have been cut by the error of another datagram, and that error is then told to nobody:
 * the queue of errors knows. */
bool udp_flush(struct udp *u)
{
	for (unsigned done = 0; waiting(u) && !u->is_blocked; ) {
		unsigned tried;
		int n;

		if (done >= FLUSH_MAX)
			return false;
		tried = gather(u);
		n = direct_sendmmsg(u->watch.fd, u->s->area.out, tried, MSG_DONTWAIT);
		if (n > 0)
			sent(u, (unsigned)n);
		else
			on_send_error(u, errno);
		if (n > 0 && (unsigned)n < tried)
			read_errors(u);
		done += n > 0 ? (unsigned)n : 1;
	}
	return true;
}

static void on_ready(struct watch *w, unsigned what)
{
	struct udp *u = owner_of(w, struct udp, watch);

	if (what & WATCH_WRITE) {
		u->is_blocked = false;
		watch_set(u->s->p.poller, w, WATCH_READ);
	}
	if (what & WATCH_READ)
		on_readable(u);
}

/* Life ------------------------------------------------------------------------------------------------------------ */

int udp_new(struct udp **out, struct sockets *s, int fd, uint16_t listener)
{
	struct udp *u = calloc(1, sizeof *u);

	if (!u)
		return -ENOMEM;
	u->s = s;
	u->watch = (struct watch){ on_ready, fd, 0 };
	u->listener = listener;
	u->family = s->locals[listener].conf.bind.family;
	*out = u;
	return 0;
}

int udp_start(struct udp *u)
{
	return watch_set(u->s->p.poller, &u->watch, WATCH_READ);
}

uint64_t udp_drops(const struct udp *u)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof info;

	if (getsockopt(u->watch.fd, SOL_SOCKET, SO_MEMINFO, info, &len))
		return 0;
	return info[SK_MEMINFO_DROPS];
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	while (waiting(u))
		drop_head(u);
	watch_set(u->s->p.poller, &u->watch, 0);
	close(u->watch.fd);
	free(u);
}
