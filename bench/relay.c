/* bench/relay.c - the bare packet relay that costs are compared with: one epoll thread, recvmmsg and sendmmsg of 32,
 * no parsing. What comes in on LISTEN goes to CALLEE from a second socket, and back to the caller: the one
 * given, or else whoever sent last. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 32,
       DATAGRAM_MAX = 4096,
       RECEIVE_BUFFER = 4 << 20 };

struct side {
	int fd;
	struct sockaddr_in peer; /* where this side's packets go */
	bool learns; /* `peer` follows the last source */
};

struct packets {
	struct mmsghdr head[BATCH];
	struct iovec vec[BATCH];
	struct sockaddr_in from[BATCH];
	char bytes[BATCH][DATAGRAM_MAX];
};

static int address_of(struct sockaddr_in *out, const char *text)
{
	char host[INET_ADDRSTRLEN] = "";
	const char *colon = strrchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	*out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
	return inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -EINVAL;
}

static int socket_at(const struct sockaddr_in *local)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = RECEIVE_BUFFER;

	if (fd < 0 || bind(fd, (const struct sockaddr *)local, sizeof(*local)) < 0) {
		perror("relay: bind");
		exit(1);
	}
	/* clamped is fine: losses show as retransmissions */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static void packets_init(struct packets *p)
{
	for (int i = 0; i < BATCH; i++) {
		p->vec[i] = (struct iovec){ p->bytes[i], DATAGRAM_MAX };
		p->head[i].msg_hdr = (struct msghdr){ .msg_iov = &p->vec[i], .msg_iovlen = 1 };
	}
}

static void packets_pass(struct packets *p, struct side *in, const struct side *out)
{
	int n, sent;

	for (int i = 0; i < BATCH; i++) {
		p->vec[i].iov_len = DATAGRAM_MAX;
		p->head[i].msg_hdr.msg_name = &p->from[i];
		p->head[i].msg_hdr.msg_namelen = sizeof(p->from[i]);
	}
	n = recvmmsg(in->fd, p->head, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return;
	if (in->learns)
		in->peer = p->from[n - 1];
	for (int i = 0; i < n; i++) {
		p->vec[i].iov_len = p->head[i].msg_len;
		p->head[i].msg_hdr.msg_name = (void *)&out->peer;
		p->head[i].msg_hdr.msg_namelen = sizeof(out->peer);
	}
	for (int i = 0; i<n; i += sent> 0 ? sent : 1) /* one that cannot be sent is skipped */
		sent = sendmmsg(out->fd, p->head + i, (unsigned)(n - i), 0);
}

int main(int argc, char **argv)
{
	static struct packets packets;
	struct side caller = { .learns = argc < 4 }, callee = { 0 };
	struct sockaddr_in listen, any;
	struct epoll_event ready[2], watch = { .events = EPOLLIN };
	int loop = epoll_create1(EPOLL_CLOEXEC);

	if (argc < 3 || address_of(&listen, argv[1]) || address_of(&callee.peer, argv[2]) ||
	    (argc > 3 && address_of(&caller.peer, argv[3]))) {
		fprintf(stderr, "usage: bench-relay LISTEN CALLEE [CALLER]   (each IPv4:PORT)\n");
		return 1;
	}
	any = listen;
	any.sin_port = 0;
	caller.fd = socket_at(&listen);
	callee.fd = socket_at(&any);
	watch.data.ptr = &caller;
	epoll_ctl(loop, EPOLL_CTL_ADD, caller.fd, &watch);
	watch.data.ptr = &callee;
	epoll_ctl(loop, EPOLL_CTL_ADD, callee.fd, &watch);
	packets_init(&packets);
	for (;;) {
		int n = epoll_wait(loop, ready, 2, -1);

		for (int i = 0; i < n; i++)
			packets_pass(&packets, ready[i].data.ptr, ready[i].data.ptr == &caller ? &callee : &caller);
	}
}
