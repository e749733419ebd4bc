/* transports/sockets.h - struct net over the kernel's sockets: UDP and TCP on one poller. The control thread
 * opens every listening socket before any worker starts (sockets_open), then each worker makes its own net of them.
 * Unless said otherwise everything here runs on the thread of the worker that owns the net. */
#ifndef TRANSPORTS_SOCKETS_H
#define TRANSPORTS_SOCKETS_H
#include "base/log.h"
#include "base/mailbox.h"
#include "base/wheel.h"
#include "transports/counters.h"
#include "transports/net.h"
#include "transports/tls.h"

struct poller;
struct sock_filter;

enum sockets_limits {
	SOCKETS_WORKERS_MAX = 256,          /* a flow has 8 bits for its worker */
	SOCKETS_UDP_BUFFER = 4194304,       /* bytes of receive buffer asked of the kernel */
	SOCKETS_UDP_QUEUE_MAX = 1024,       /* datagrams waiting in one socket; a power of two */
	SOCKETS_UDP_BATCHES = 8,            /* recvmmsg per wake, then others get their turn */
	SOCKETS_ICMP_BATCH = 64,            /* ICMP errors read at a time */
	SOCKETS_BACKLOG = 1024,
	SOCKETS_ACCEPT_BATCH = 64,          /* connections accepted per wake */
	SOCKETS_ACCEPT_PAUSE_MS = 100,      /* when the system has no room for another connection */
	SOCKETS_TURN_BYTES = 32768,         /* read from connections per turn of the loop, then others get their turn */
	SOCKETS_WRITE_MS = 10000,           /* a peer that takes nothing of what waits for it */
	SOCKETS_LINGER_MS = 2000,           /* from our end of a stream to the peer's */
	SOCKETS_IOV = 16,                   /* messages per write */
	SOCKETS_HELD_MAX = 67108864,        /* bytes of incomplete messages, all connections of a worker */
	SOCKETS_QUEUED_MAX = 134217728,     /* bytes waiting to be written, all connections of a worker */
	SOCKETS_ITEM_COST = 64,             /* what one waiting message counts besides its bytes */
	SOCKETS_FLUSH_ROUNDS = 4,           /* of failures causing sends causing failures, per flush */
	SOCKETS_LOOK_MS = 1000,             /* how often the kernel is asked what it dropped */
};

struct listener {
	uint8_t transport;
	bool is_active;      /* false: keeps its index, has no socket */
	struct addr bind;    /* a concrete address; port 0: the kernel's choice, the same for all workers */
	/* UDP: a classic BPF program that says which worker a datagram is for; where it names none of them, or without one, the
	 * kernel chooses by a hash of the addresses. Only read while it is opened. */
	const struct sock_filter *steer;
	unsigned short n_steer;
	/* Both set by sockets_open. A WebSocket listener at the address of one for TCP (wss: TLS) shares its port and has no socket of its
	 * own: a connection that begins with "GET " is for the one whose index + 1 is `upgrades_to`, others are for this. */
	bool is_shared;
	uint16_t upgrades_to;
};

/* Every listening socket of the process, bound. */
struct listen_set;

/* Binds all of them `workers` times (SO_REUSEPORT), or none. Control thread. On failure a negative errno, and `error`
 * says in one line what is wrong: "udp:192.0.2.1:5060: address in use by sipp (pid 1234)". A clamped receive buffer
 * is one warning in `log`, and so is a program that the kernel does not take. */
int sockets_open(struct listen_set **out, const struct listener *listeners, size_t n, unsigned workers, struct log *log,
                 char *error, size_t size);
/* Where listener `i` is bound, with its real port. */
const struct addr *listen_set_addr(const struct listen_set *set, size_t i);
/* Closes what no net has taken. NULL is allowed. */
void listen_set_free(struct listen_set *set);
void listen_set_freep(struct listen_set **set);

/* Who else holds the address: "sipp (pid 1234)" or what little is known. Reads /proc. */
void holder_print(uint8_t transport, const struct addr *a, char *out, size_t size);

struct sockets_params {
	struct poller *poller;
	struct wheel *wheel;            /* its now_ms is our clock; whoever owns it advances it */
	struct log *log;
	struct listen_set *set;         /* this worker's sockets are taken out of it; it may be freed afterwards */
	unsigned worker;                /* index */
	struct net_handler handler;
	/* Posts to another worker's mailbox: 0, or -ENOBUFS and the mail stays ours. The mail's reader there is handed
	 * to net_of to get that worker's net. */
	int (*to_worker)(void *ctx, unsigned worker, struct mail *m, bool is_urgent);
	struct net *(*net_of)(void *reader);
	void *ctx;                      /* of to_worker */
	size_t connections_max;         /* 0: NET_CONNECTIONS_MAX */
	struct tls_tickets *tickets;    /* NULL: sessions are not resumed. Outlives the net */
};

/* Reads nothing yet. 0, -ENOMEM, -EINVAL (worker index), or what the system says. Before the worker runs. */
int sockets_new(struct net **out, const struct sockets_params *params);
/* Begins reading and accepting. 0 or -ENOMEM. */
int sockets_start(struct net *net);
/* At the end of each turn of the loop, and after the mailbox was drained: writes what was queued and reports what
 * failed. */
void sockets_flush(struct net *net);
/* What TLS connections to come at listener `i` begin with (tls.h); either may be NULL. References of its own. */
void sockets_set_tls(struct net *net, size_t i, struct tls_context *server, struct tls_context *client);
/* A stream that is not read stops its peer by TCP's own means: for as long as our mailboxes are full (DECISIONS 22).
 * Datagrams are always read. */
void sockets_pause_streams(struct net *net, bool is_paused);
/* No new connections; those there are live on. */
void sockets_stop_accepting(struct net *net);
/* Closes everything and tells nobody. NULL is allowed. */
void sockets_free(struct net *net);
const struct counters *sockets_counters(const struct net *net);
size_t sockets_connections(const struct net *net);

#endif
