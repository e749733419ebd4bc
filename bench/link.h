/* bench/link.h - one client's connection over TCP, TLS, WS or WSS: made, shaken, upgraded, and then one SIP message after
 * the other. It never blocks, and shares no code with transports/, which it tests. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/sv.h"

enum link_limits {
	LINK_WAITING_MAX = 1 << 20, /* bytes that wait, either way */
};

enum link_kind { LINK_NONE, LINK_TCP, LINK_TLS, LINK_WS, LINK_WSS };

enum link_state {
	LINK_GONE,
	LINK_CONNECTING,
	LINK_SHAKING,
	LINK_UPGRADING,
	LINK_UP,
};

/* Where to; shared by all links of a run. */
struct link_to {
	struct sockaddr_in target;
	enum link_kind kind;
	const char *path;          /* of WS and WSS */
	const char *name;          /* SNI and Host; NULL: the address */
	bool says_proxy;           /* begins with a PROXY header: its source is the same address in 198.18.0.0/15 */
	SSL_CTX *tls;              /* link_to_init makes it when it is needed */
};

struct link_bytes {
	char *p;
	size_t at, len, size;      /* what counts is p[at..len] */
};

struct link {
	const struct link_to *to;
	int fd;
	uint8_t state;             /* enum link_state */
	bool is_over;              /* the other side has ended it */
	bool wants_write;          /* TLS: to go on it has to write */
	SSL *ssl;
	struct link_bytes in, out;
	char key[32];              /* of the upgrade */
	const char *why;           /* it is gone */
	unsigned long pings;       /* answered: CRLF CRLF, ping frames */
};

/* "tcp", "tls", "ws", "wss"; LINK_NONE for anything else. As Via and the URI parameter want it. */
enum link_kind link_kind(const char *text);
const char *link_via(enum link_kind kind);
const char *link_param(enum link_kind kind);
static inline bool link_has_tls(enum link_kind kind)
{
	return kind == LINK_TLS || kind == LINK_WSS;
}
static inline bool link_has_frames(enum link_kind kind)
{
	return kind == LINK_WS || kind == LINK_WSS;
}
/* Makes the context when the kind needs one: whatever certificate the server shows is good. False without. */
bool link_to_init(struct link_to *to);
/* The n-th address of 127.96.0.0/11. */
struct in_addr link_address(unsigned i);
/* Descriptors: as many as may be had. */
void link_raise_limit(void);

/* Begins it, from an address. `receive_buffer` > 0: the kernel's, in bytes. False with errno. */
bool link_open(struct link *l, const struct link_to *to, struct in_addr from, int receive_buffer);
/* Its socket is ready: goes on as far as it can. False when it is gone; then `why` says. */
bool link_step(struct link *l);
/* What epoll should wait for. */
unsigned link_wants(const struct link *l);
/* A message, once it is up. False when too much waits, or it is gone. */
bool link_send(struct link *l, struct sv message);
/* Writes what waits, as far as it can, and reads nothing. False when it is gone. */
bool link_push(struct link *l);
/* The next message that has come whole; it stays until the next call. False: none. Reads nothing. */
bool link_next(struct link *l, struct sv *out);
/* Ends it by a reset or in good order, without close_notify: as when a machine is switched off, and as when a program ends. */
void link_close(struct link *l, bool is_reset);

#endif
