/* transports/link.h - TLS on one connected socket: a handshake, then bytes both ways. Private to transports/. Nothing is buffered
 * between messages (SSL_MODE_RELEASE_BUFFERS). Writes to the socket by write(): SIGPIPE is ignored by the process. */
#ifndef TRANSPORTS_LINK_H
#define TRANSPORTS_LINK_H
#include "base/addr.h"
#include "base/slab.h"
#include "transports/tls.h"
#include <sys/types.h>
#include <sys/uio.h>

enum link_limits {
	LINK_RECORD_MAX = 16384,        /* bytes in one record (RFC 8446 §5.1) */
	LINK_NAMES_MAX = 64,            /* names kept of a peer's certificate */
	LINK_RECORDS_MAX = 8,           /* records taken from the socket by one call */
	LINK_EMPTY_MAX = 32,            /* one after the other, with nothing for us in any of them */
};

struct ssl_st;
struct link_names;

/* A link's only owner is its connection. */
struct tls {
	struct ssl_st *ssl;
	struct tls_context *context;
	struct tls_tickets *tickets;    /* NULL: none are made */
	struct link_names *names;       /* a verified peer's, or NULL */
	struct sv expects;              /* whom the other side has to be, while the handshake lasts; empty: whoever is believed */
	unsigned n_records;             /* that the last call has taken from the socket */
	unsigned n_empty;               /* of them and those before, since there was something for us */
	bool wants_write;               /* the handshake waits for the socket's room to write */
	bool is_ready, is_broken;
};

/* What a handshake came to. */
enum link_fault {
	LINK_OK, LINK_GARBAGE,          /* no TLS, a record that breaks the rules, nothing in common */
	LINK_REFUSED,                   /* an alert: the peer does not like us */
	LINK_UNTRUSTED,                 /* we do not believe the peer */
	LINK_CUT,                       /* the socket ended or broke */
};

struct tls_params {
	struct slab *links;             /* of struct tls: on the heap one would lie between what comes and goes, and keep its room */
	struct tls_context *context;
	struct tls_tickets *tickets;    /* may be NULL */
	const struct sv *expects;       /* NULL on the side that accepts; else the name or address in text that the other side has to prove
	                                 * (RFC 5922 §7.3), sent by SNI when it is a name */
	int fd;                         /* for its use, not for its own: whoever opened it closes it, after tls_close */
};

/* 0 or -ENOMEM. */
int tls_open(struct tls **out, const struct tls_params *p);
/* As far as it goes now, or LINK_RECORDS_MAX have come. 0: done. -EAGAIN: see wants_write. Else -EPROTO, -EKEYREJECTED, -EKEYEXPIRED,
 * -EKEYREVOKED, -ECONNRESET, with
 * `*fault` and, in words, `why`. */
int tls_shake(struct tls *t, enum link_fault *fault, char *why, size_t size);
/* Bytes; 0: the other side has ended; -EAGAIN: nothing for us, though n_records have come, and there may be more in the socket; -ENOMSG:
 * more than LINK_EMPTY_MAX records without anything for us. This and whatever else is wrong: the link is of no more use. */
ssize_t tls_recv(struct tls *t, char *bytes, size_t size);
/* As much of the pieces as goes now; what was refused (-EAGAIN) comes again first, with more behind it at will. `area`, of
 * LINK_RECORD_MAX bytes, is where small pieces become one record. */
ssize_t tls_send(struct tls *t, const struct iovec *iov, size_t n, char *area);
/* close_notify (RFC 8446 §6.1), if it can go now. */
void tls_bye(struct tls *t);
/* NULL is allowed. */
void tls_close(struct tls *t);

bool tls_is_resumed(const struct tls *t);
/* Whom the peer has proved to be: at most `max` of its names. Borrowed from the link. */
unsigned tls_peer_names(const struct tls *t, struct sv *out, unsigned max);

#endif
