/* bench/wire.h - a UDP socket that receives and sends in batches, and lists of timers that all wait equally long. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/list.h"
#include "base/sv.h"

enum wire_limits { WIRE_BATCH = 32,
	           WIRE_DATAGRAM_MAX = 4096,
	           WIRE_RECEIVE_BUFFER = 4 << 20 };

struct wire_batch {
	struct mmsghdr head[WIRE_BATCH];
	struct iovec vec[WIRE_BATCH];
	struct sockaddr_in peer[WIRE_BATCH];
	char bytes[WIRE_BATCH][WIRE_DATAGRAM_MAX];
	unsigned n;
};

struct wire {
	int fd;
	struct sockaddr_in local;
	bool is_callee; /* whose socket it is */
	char text[32]; /* "127.0.0.1:5060" */
	struct wire_batch in, out;
};

/* "127.0.0.1:5060". 0 or -EINVAL. */
int wire_address(struct sockaddr_in *out, const char *text);
/* NULL with errno when the address cannot be bound. Port 0 lets the kernel choose. */
struct wire *wire_new(const struct sockaddr_in *local);
void wire_free(struct wire *w);
/* Reads what is there, at most a batch, into `in`: the number of datagrams. */
unsigned wire_receive(struct wire *w);
/* The buffer of the next datagram to go out (WIRE_DATAGRAM_MAX bytes); wire_send gives it a length and an address. */
char *wire_next(struct wire *w);
void wire_send(struct wire *w, size_t len, const struct sockaddr_in *to);
void wire_send_copy(struct wire *w, const char *p, size_t len, const struct sockaddr_in *to);
void wire_flush(struct wire *w);

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

#endif
