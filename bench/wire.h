/* bench/wire.h - a UDP socket that receives and sends in batches, or a stream in its place, and lists of timers that all
 * wait equally long. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/list.h"
#include "base/sv.h"

enum wire_limits { WIRE_BATCH = 32,
	           WIRE_DATAGRAM_MAX = 4096,
	           WIRE_RECEIVE_BUFFER = 4 << 20,
	           WIRE_BACKOFFS = 4 /* 500, 1000, 2000, 4000 ms */ };

struct wire_batch {
	struct mmsghdr head[WIRE_BATCH];
	struct iovec vec[WIRE_BATCH];
	struct sockaddr_in peer[WIRE_BATCH];
	_Alignas(8) char control[WIRE_BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))]; /* our own address, when spread */
	char bytes[WIRE_BATCH][WIRE_DATAGRAM_MAX];
	unsigned n;
};

struct link;
struct link_to;
struct wire {
	int fd;
	struct link *link; /* a stream: then every message goes there, wherever it is sent */
	struct sockaddr_in local;
	bool is_callee; /* whose socket it is */
	bool is_spread; /* many addresses of our own */
	char text[32]; /* "127.0.0.1:5060" */
	unsigned long sent_bytes, received_bytes; /* of a stream's messages */
	struct wire_batch in, out;
};

/* "127.0.0.1:5060". 0 or -EINVAL. */
int wire_address(struct sockaddr_in *out, const char *text);
/* NULL with errno when the address cannot be bound. Port 0 lets the kernel choose. */
struct wire *wire_new(const struct sockaddr_in *local);
/* A stream of its own, from the n-th address of link_address; it waits until that is up. NULL with `why` without. */
struct wire *wire_stream(const struct link_to *to, unsigned n, const char **why);
void wire_free(struct wire *w);
/* All of 127.0.0.0/8 at one port of it: as many sources as there are addresses, with one socket. 0 or -errno. */
int wire_spread(struct wire *w);
/* Reads what is there, at most a batch, into `in`: the number of datagrams. A stream may have more that no poll tells of: again, until
 * it says 0. */
unsigned wire_receive(struct wire *w);
/* The buffer of the next datagram to go out (WIRE_DATAGRAM_MAX bytes); wire_send gives it a length and an address. */
char *wire_next(struct wire *w);
void wire_send(struct wire *w, size_t len, const struct sockaddr_in *to);
void wire_send_copy(struct wire *w, const char *p, size_t len, const struct sockaddr_in *to);
void wire_flush(struct wire *w);
/* The same from one of a spread wire's addresses, and at which of them datagram `i` of `in` arrived. */
void wire_send_as(struct wire *w, size_t len, const struct sockaddr_in *to, struct in_addr from);
struct in_addr wire_arrived_at(const struct wire *w, unsigned i);

/* Text appended to a buffer known to be large enough; what does not fit is cut. */
struct text {
	char *p;
	size_t len, max;
};
void text_add(struct text *t, struct sv v);
void text_hex(struct text *t, uint32_t v); /* eight digits */
static inline void text_str(struct text *t, const char *s)
{
	text_add(t, sv_from(s));
}
/* Eight hex digits at `p`. */
uint32_t hex_value(const char *p);

uint64_t clock_ns(void);

/* Every timer of one list waits equally long, so the list is in order of time without sorting. */
struct delay {
	struct node waiting;
	uint64_t wait_ns;
};
struct delayed {
	struct node in_delay;
	uint64_t at_ns;
};
void delay_init(struct delay *d, uint64_t wait_ns);
/* Re-arms when armed. `t->in_delay` must have been list_init()ed once. */
void delay_arm(struct delay *d, struct delayed *t, uint64_t now_ns);
/* The first that is due, taken out of the list, or NULL. */
struct delayed *delay_due(struct delay *d, uint64_t now_ns);
/* When the first is due; UINT64_MAX when none waits. */
uint64_t delay_next(const struct delay *d);

/* One waiting list per retransmission interval, and the moves along them. */
struct backoff {
	struct delay wait[WIRE_BACKOFFS];
};
void backoff_init(struct backoff *b, unsigned t1_ms);
static inline void backoff_arm(struct backoff *b, struct delayed *t, unsigned tries, uint64_t now_ns)
{
	delay_arm(&b->wait[tries < WIRE_BACKOFFS ? tries : WIRE_BACKOFFS - 1], t, now_ns);
}
uint64_t backoff_next(const struct backoff *b);
struct delayed *backoff_due(struct backoff *b, uint64_t now_ns);

#endif
