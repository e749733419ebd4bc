/* transports/inside.h - what the files behind sockets.h share among themselves; nobody else includes it. */
#ifndef TRANSPORTS_INSIDE_H
#define TRANSPORTS_INSIDE_H
#include "base/hash.h"
#include "base/list.h"
#include "base/poller.h"
#include "base/slab.h"
#include "base/table.h"
#include "transports/expected.h"
#include "transports/link.h"
#include "transports/sockets.h"
#include "transports/stream.h"
#include <netinet/in.h>
#include <sys/uio.h>

enum {
	/* One datagram's place. The odd 64 bytes spread the places over the cache's sets. */
	UDP_STRIDE = (NET_MESSAGE_MAX + BUF_PAD + 63) / 64 * 64,
	READ_MAX = 16384, /* bytes read from a connection at a time: as long as a TLS record may be, none stays half read in OpenSSL */
};
_Static_assert(UDP_STRIDE % 4096 == 64, "places must not share cache sets");
_Static_assert((SOCKETS_UDP_QUEUE_MAX & (SOCKETS_UDP_QUEUE_MAX - 1)) == 0, "ring indexes are masked");

struct sockets;
enum { NO_SLOT = UINT32_MAX, SAID_OF_NAMES = 0, SAID_OF_ADDRESSES, SAID_CLOCKS };

struct listen_set {
	size_t n;
	unsigned workers;
	struct listener *listeners; /* with real ports */
	int *fds;                   /* [listener * workers + worker], -1: taken or never opened */
};

/* Non-blocking, close-on-exec, IP_FREEBIND, IPV6_V6ONLY; no SO_REUSEPORT. 0 or -errno. */
int socket_new(uint8_t transport, uint8_t family, int *out);
void socket_set_tcp(int fd);
int socket_bind(int fd, const struct addr *a);

/* UDP ------------------------------------------------------------------------------------------------------------- */

struct udp_out {
	struct buf *msg;
	struct addr to;
};

struct udp {
	struct sockets *s;
	struct watch watch;
	uint16_t listener;
	uint8_t family;
	bool is_blocked;
	uint8_t refusals;            /* of the datagram at the ring's head */
	uint32_t head, tail;         /* of the ring; tail - head are waiting */
	struct udp_out ring[SOCKETS_UDP_QUEUE_MAX];
};

/* Where datagrams lie while they are read or written; one for all sockets of a worker. */
struct udp_area {
	struct mmsghdr in[NET_BATCH], out[NET_BATCH];
	struct iovec in_iov[NET_BATCH], out_iov[NET_BATCH];
	struct sockaddr_storage in_from[NET_BATCH], out_to[NET_BATCH];
	char *bytes;                 /* NET_BATCH places of UDP_STRIDE */
};

int udp_area_init(struct udp_area *a);
int udp_new(struct udp **out, struct sockets *s, int fd, uint16_t listener);
int udp_start(struct udp *u);
void udp_free(struct udp *u);
int udp_send(struct udp *u, const struct path *to, struct buf *msg);
/* False when something is still waiting that could be sent now. */
bool udp_flush(struct udp *u);
/* What the kernel dropped for want of room, since the socket was made. */
uint64_t udp_drops(const struct udp *u);

/* TCP ------------------------------------------------------------------------------------------------------------- */

struct acceptor {
	struct sockets *s;
	struct watch watch;
	struct timer pause;
	uint16_t listener;
};

int acceptor_new(struct acceptor **out, struct sockets *s, int fd, uint16_t listener);
int acceptor_start(struct acceptor *a);
void acceptor_free(struct acceptor *a);

enum { NOBODY = UINT16_MAX }; /* asker of what we write of our own accord */

struct write_item {
	struct write_item *next;
	struct buf *msg;
	uint64_t cookie;
	uint32_t at;                 /* bytes already written */
	uint16_t asker;              /* worker that wants to hear of a failure */
	uint8_t opcode;              /* goes in a frame of this kind; 0: as it is */
};

enum conn_state {
	CONN_CONNECTING = 1,
	CONN_INTRODUCING,            /* accepted from a balancer, which has not yet said for whom */
	CONN_HANDSHAKING,            /* the socket is connected; a layer above it is not ready: what is to be sent waits */
	CONN_UPGRADING,              /* bytes flow; it is not a WebSocket yet: what is to be sent waits */
	CONN_OPEN,
	CONN_FINISHING,              /* not read any more; ends when what waits is written */
	CONN_LINGERING,              /* our side is shut; what comes is thrown away */
	CONN_DEAD,                   /* to be buried by the next flush */
};

struct conn {
	struct link by_remote;
	struct sockets *s;
	struct watch watch;
	struct timer timer;          /* the earliest of the deadlines below, or earlier */
	struct addr remote;
	struct stream stream;
	struct write_item *last;     /* circular: last->next is the first; NULL: nothing waits */
	struct conn *next_work;
	struct conn_ws *ws;          /* NULL: not a WebSocket, or not yet or no longer one */
	struct tls *tls;             /* TLS and WSS, once something came; else NULL */
	struct node in_handshakes;   /* in sockets.handshakes, .dials or .half_open, or in no list */
	struct alias *alias;         /* where its peer listens, if it said so; NULL: nowhere else */
	uint64_t last_ms;            /* of the last traffic */
	uint64_t message_until;      /* 0, or when the incomplete message must be there */
	uint64_t until;              /* 0, or the end of connecting, handshake, upgrade, of a blocked write, of lingering */
	uint32_t queued;             /* bytes and costs of what waits */
	uint32_t slot;
	uint32_t name;               /* as path.name, of a connection that we made */
	int error;                   /* why it died; given to what was not written */
	uint16_t listener;
	uint16_t closed_by;          /* enum net_counter */
	uint32_t waits_since_ms;     /* in sockets.handshakes or .dials: it is our turn, and we have no time; the clock's lower half */
	uint8_t state, transport;
	bool is_blocked : 1;         /* the kernel takes no more; WATCH_WRITE will tell */
	bool is_accepted : 1;
	bool has_spoken : 1;         /* a whole message came */
	bool is_paused : 1;
	bool has_work : 1;           /* is in the list of work */
	bool is_told : 1;            /* on_flow_closed was called */
	bool is_pinged : 1;          /* and has not sent what answers it */
	bool sniffs : 1;             /* may become a WebSocket by its first bytes, "GET " */
	bool is_shaking : 1;         /* counted in sockets.n_shaking[is_accepted] */
	uint8_t n_sniffed;           /* of which these have come */
};

struct slot {
	struct conn *conn;           /* NULL: free */
	uint32_t generation;         /* never 0 */
	uint32_t next_free;
};

struct conn *conn_find(struct sockets *s, uint64_t flow);
/* An outgoing connection for `to`; refused at once or later, it is there to say so. */
int conn_connect(struct sockets *s, const struct path *to, struct conn **out);
int conn_send(struct conn *c, struct buf *msg, uint64_t cookie, uint16_t asker);
/* A double CRLF, unless something waits to be written: then that will show whether the peer is there. */
int conn_ping(struct conn *c);
int conn_accepted(struct sockets *s, uint16_t listener, int fd, const struct addr *remote);
/* What connections to somewhere are found by. */
uint64_t conn_remote_key(const struct sockets *s, const struct addr *remote, uint16_t listener, uint8_t transport);
bool conn_is_usable(const struct conn *c);
/* alias.c: as net_alias; once for each connection. */
int conn_alias(struct conn *c, uint16_t port);
void conn_alias_end(struct conn *c);
struct conn *conn_by_alias(struct sockets *s, const struct path *to, uint64_t key);
/* Ends it in good order: what waits is written first. */
void conn_finish(struct conn *c, enum net_counter why);
void conn_resume(struct conn *c);
/* The connection's turn in a flush: write, shut, bury. */
void conn_work(struct conn *c);
/* Without a word to anybody. */
void conn_drop(struct conn *c);
/* It is dead, and why (a positive errno); buried by the next flush. The first reason counts. */
void conn_die(struct conn *c, enum net_counter why, int error);
struct path conn_path(const struct conn *c);
/* Watches for what its state wants. */
void conn_watch(struct conn *c);
void conn_has_work(struct conn *c);
/* After one of its deadlines was set. */
void conn_heed_deadlines(struct conn *c);
void conn_note_traffic(struct conn *c);

/* conn_layers.c: what lies between a connection's socket and its messages, one function for each way through it. */

/* The socket is connected: CONN_OPEN, or CONN_HANDSHAKING until the layers are ready. */
void conn_begin(struct conn *c);
/* CONN_HANDSHAKING: something came, or can be written. At once, or in a later turn of the loop. */
void conn_shake(struct conn *c);
/* Those that waited, as many as a turn has time for. True: others wait still. */
bool conn_shake_more(struct sockets *s);
/* All layers are ready. */
void conn_open(struct conn *c);
/* Our last byte is written. */
void conn_bye(struct conn *c);
void conn_layers_end(struct conn *c);
/* Is what goes to `to` meant for the peer of `c`? Over TLS one address may have several names; and whoever connected to us has to have
 * proved the one that is wanted. */
bool conn_is_for(const struct conn *c, const struct path *to);
/* We made it, and the name that it was made for has made room meanwhile: nobody can prove it, and counted. */
bool conn_expects_nobody(const struct conn *c);
/* Bytes; 0: the peer's end; -EAGAIN; what is wrong. */
ssize_t conn_recv(struct conn *c, char *bytes, size_t size);
ssize_t conn_send_iov(struct conn *c, const struct iovec *iov, size_t n);

/* conn_proxy.c */

/* CONN_INTRODUCING, until the PROXY header has come; then conn_begin. */
void conn_await_proxy(struct conn *c);
void conn_read_proxy(struct conn *c);

/* conn_queue.c */

/* Bytes that are written as they are; conn_send is for messages. */
int conn_queue(struct conn *c, struct buf *bytes, uint64_t cookie, uint16_t asker);
ssize_t conn_write_some(struct conn *c);
void conn_wrote(struct conn *c, size_t n);
struct write_item *conn_item_take(struct conn *c);
void conn_item_free(struct conn *c, struct write_item *item);

/* conn_ws.c: connections that are WebSockets. */

/* Where they come from: on the heap they would lie between what comes and goes, and keep its room. */
void conn_ws_slab(struct slab *out);
/* Bytes flow: the upgrade begins. */
void conn_ws_begin(struct conn *c);
/* An open connection that began with "GET " becomes one of the listener that shares the port. */
void conn_ws_become(struct conn *c);
/* CONN_UPGRADING: something came, or can be written. */
void conn_ws_shake(struct conn *c);
/* Bytes that came, with BUF_PAD readable ones behind them. */
void conn_ws_feed(struct conn *c, char *bytes, size_t len);
/* A message goes, in a frame. As conn_send. */
int conn_ws_send(struct conn *c, struct buf *msg, uint64_t cookie, uint16_t asker);
int conn_ws_ping(struct conn *c);
/* All that waited is written: the answer to their last ping may go. True: it waits now. */
bool conn_ws_pong(struct conn *c);
/* A Close, before the connection ends for this reason. */
void conn_ws_close(struct conn *c, enum net_counter why);
void conn_ws_end(struct conn *c);

/* conn_read.c */

void conn_read(struct conn *c);
/* One message to our user; BUF_PAD readable bytes behind it. The connection may have ended afterwards. */
void conn_hand_up(struct conn *c, char *bytes, size_t len, bool is_broken);
void conn_tell_alive(struct conn *c);
/* Bytes came. An incomplete message has its own deadline from its first byte on; `is_new`: it began with these bytes. */
void conn_heed_message(struct conn *c, bool is_partial, bool is_new);

/* All ------------------------------------------------------------------------------------------------------------- */

struct local {                       /* one listener of this worker */
	struct listener conf;
	struct tls_context *server, *client; /* of connections to come; NULL: none can be made */
	struct udp *udp;
	struct acceptor *acceptor;
};

struct sockets {
	struct net net;
	struct sockets_params p;
	struct counters counters;
	struct hash_key key;
	struct udp_area area;
	struct local *locals;
	size_t n_locals;
	struct slab conns, items, links, websockets;
	struct table by_remote, aliases;
	struct slot *slots;
	uint32_t n_slots, slots_size, free_slot, next_generation;
	size_t n_paused;
	struct node handshakes;      /* accepted connections whose next step had to wait */
	struct node dials;           /* the same of ours */
	struct node half_open;       /* accepted ones amid a handshake: it is their turn; who was heard last is at the end */
	unsigned handshakes_left;    /* steps in this turn */
	unsigned n_shaking[2];       /* ours; accepted */
	struct expected expected;
	uint64_t said_ms[SAID_CLOCKS]; /* when the log heard last of a peer that is not configured by name */
	struct conn *work, **work_end;
	struct stream_budget held;
	size_t read_in_turn;         /* bytes of all connections */
	size_t queued;               /* bytes and costs waiting in all connections */
	struct buf *ping, *pong, *nothing;
	uint64_t n_masks;            /* of frames of ours that had one */
	struct timer look;
	int reserve_fd;              /* given up for a moment to accept and close when files run out */
	unsigned n_workers;
	bool streams_are_paused;
};

static inline struct sockets *sockets_of(struct net *net)
{
	return owner_of(net, struct sockets, net);
}

static inline uint64_t flow_make(unsigned worker, uint32_t slot, uint32_t generation)
{
	return (uint64_t)worker << 56 | (uint64_t)slot << 32 | generation;
}
static inline unsigned flow_worker(uint64_t flow)
{
	return (unsigned)(flow >> 56);
}
static inline uint32_t flow_slot(uint64_t flow)
{
	return (uint32_t)(flow >> 32) & 0xffffff;
}

/* It is there, though it sent no message. */
static inline void sockets_tell_alive(struct sockets *s, const struct path *from)
{
	if (s->p.handler.on_alive)
		s->p.handler.on_alive(s->p.handler.ctx, from);
}
/* Hands a failed send back to the worker that asked. */
void sockets_tell_failed(struct sockets *s, const struct path *to, uint64_t cookie, uint16_t asker, int error);

#endif
