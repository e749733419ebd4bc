/* transports/net.h - bytes in, bytes out: the one interface between SIP and the network. Production puts
 * sockets under it (transports/sockets.h), tests a virtual network. Everything here belongs to one worker
 * and is called on its thread only. */
#ifndef TRANSPORTS_NET_H
#define TRANSPORTS_NET_H
#include "base/addr.h"
#include "base/buf.h"

enum transport { T_NONE, T_UDP, T_TCP, T_TLS, T_WS, T_WSS, T_COUNT };

static inline bool transport_is_stream(uint8_t t)
{
	return t >= T_TCP;
}
/* One message per WebSocket message (RFC 7118 §5): its end is known without a Content-Length. */
static inline bool transport_is_websocket(uint8_t t)
{
	return t >= T_WS;
}
static inline bool transport_is_secure(uint8_t t)
{
	return t == T_TLS || t == T_WSS;
}
/* "UDP", "TCP", "TLS", "WS", "WSS": as in Via. / any case -> enum, T_NONE when unknown. */
const char *transport_name(uint8_t t);
uint8_t transport_parse(struct sv name);

enum net_limits {
	NET_MESSAGE_MAX = 65535,        /* bytes of one message, both directions */
	NET_HEAD_MAX = 32768,           /* bytes before a stream message's body */
	NET_WRITE_QUEUE_MAX = 262144,   /* bytes waiting in one connection */
	NET_CONNECT_MS = 4000,          /* to establish an outgoing connection */
	NET_UPGRADE_MS = 10000,         /* from a connection that carries bytes to a WebSocket */
	NET_PROXY_MS = 5000,            /* from an accepted connection to the end of its PROXY header */
	NET_HOST_MAX = 253,             /* bytes of a name that a peer has to prove */
	NET_URL_PATH_MAX = 255,         /* bytes of the path that a WebSocket of ours asks for */
	NET_HANDSHAKE_MS = 10000,       /* from a connected socket to a connection that carries messages (TLS) */
	NET_HANDSHAKES_MAX = 8192,      /* TLS handshakes begun and not ended, per worker; as many of our own making */
	NET_HANDSHAKES_PER_TURN = 2,    /* steps of them: an RSA key of 2,048 bits signs for up to 1 ms, and calls wait meanwhile */
	NET_MESSAGE_MS = 10000,         /* from a stream message's first byte to its last */
	NET_IDLE_MS = 3600000,          /* a connection without traffic */
	NET_FIRST_MESSAGE_MS = 30000,   /* an accepted connection that has said nothing */
	NET_CONNECTIONS_MAX = 262144,   /* per worker */
	NET_BATCH = 32,                 /* datagrams per recvmmsg/sendmmsg */
};

/* Where a message came from or goes to. `flow` names one connection {worker, slot, generation} (DECISIONS 22);
 * 0 on datagrams, and on a stream when any connection to `remote` (an existing or a new one) will do. */
struct path {
	struct addr remote;
	uint64_t flow;
	uint16_t listener; /* index into the configuration's listeners: our own side */
	uint8_t transport;
	uint32_t name;     /* net_name_for: whom a TLS peer that we connect to has to prove to be (0: its address); a WebSocket's path */
};

/* A flow as the key of a table: the same 64 bits, those first in which flows differ. */
static inline uint64_t flow_key(uint64_t flow)
{
	return flow >> 32 | flow << 32;
}

/* The same connection; datagrams: the same address and port, at the same listener of ours. */
static inline bool path_eq(const struct path *a, const struct path *b)
{
	return a->flow == b->flow && a->transport == b->transport && a->listener == b->listener && addr_eq(&a->remote, &b->remote);
}

enum { NET_NAME_NOBODY = UINT32_MAX }; /* path.name that nobody can prove */
/* The flow of a path whose connection is known to be gone: nobody's, on any worker (net_send: -ENOTCONN). */
#define NET_FLOW_GONE UINT64_MAX

struct net;
struct upgrade_rules;

/* What the network tells its user. `ctx` is the user's. */
struct net_handler {
	void *ctx;
	/* One datagram, or one framed stream message (§18.3), with BUF_PAD readable bytes behind it; valid during the
	 * call, and writable. A stream's head whose Content-Length is missing, malformed or beyond NET_MESSAGE_MAX
	 * arrives without its body and with `is_broken` set; the connection is closed once what was answered is
	 * written. (Missing Content-Length on a stream: RFC 3261 §18.3 wants 400.) Over WebSocket, where a message's end is known, part
	 * of a message or several of them arrive so, and the connection stays. */
	void (*on_message)(void *ctx, const struct path *from, char *bytes, size_t len, bool is_broken);
	/* An ICMP error for a datagram of ours to `to`; `bytes` is what came back of it, perhaps cut or empty. Also
	 * when the kernel refused to send it (no route, no permission): then `bytes` is all of it. */
	void (*on_icmp)(void *ctx, const struct path *to, struct sv bytes, int error);
	/* A stream message given to net_send() was not written: refused, broken, timed out. */
	void (*on_send_failed)(void *ctx, const struct path *to, uint64_t cookie, int error);
	void (*on_flow_closed)(void *ctx, uint64_t flow);
	/* Something came that is no message and says that the other side is there: its keep-alive (answered where that is due), or its
	 * answer to net_ping. May be NULL. */
	void (*on_alive)(void *ctx, const struct path *from);
	/* What an upgrade at `at` has to ask for; or, if the connection `is_ours`, what it asks for. May be NULL: the path "/", any origin.
	 * What is written is read at once and not kept. */
	void (*on_upgrade)(void *ctx, const struct path *at, bool is_ours, struct upgrade_rules *out);
	/* Connections that this listener accepts from there begin with a PROXY header, and are of whom it names. May be NULL: none do. */
	bool (*is_proxy)(void *ctx, uint16_t listener, const struct addr *remote);
};

struct net_ops {
	int (*send)(struct net *net, const struct path *to, struct buf *msg, uint64_t cookie);
	void (*flow_close)(struct net *net, uint64_t flow);
	int (*ping)(struct net *net, const struct path *to);
	int (*alias)(struct net *net, const struct path *of, uint16_t port);
	uint32_t (*name)(struct net *net, struct sv host, bool is_configured); /* may be NULL, as the next */
	struct sv (*name_text)(struct net *net, uint32_t name);
	unsigned (*peer_names)(struct net *net, const struct path *of, struct sv *out, unsigned max);
};

struct net {
	const struct net_ops *ops;
};

/* Queues `msg` (taking a reference of its own) until the end of the loop turn. `cookie` comes back in
 * on_send_failed (never called from inside net_send). 0, or -EMSGSIZE, -ENOBUFS (queue bound), -ENOTCONN (the flow
 * is known to be gone), -EAFNOSUPPORT (listener and address do not fit), -ENOMEM. */
static inline int net_send(struct net *net, const struct path *to, struct buf *msg, uint64_t cookie)
{
	return net->ops->send(net, to, msg, cookie);
}
/* The keep-alive that belongs to the connection's transport (double CRLF, RFC 5626 §3.5.1); whatever comes then is told by on_alive or
 * on_message. Never makes a connection. 0, or as net_send; a connection of another worker that is gone is told by on_flow_closed only. */
static inline int net_ping(struct net *net, const struct path *to)
{
	return net->ops->ping(net, to);
}
static inline void net_flow_close(struct net *net, uint64_t flow)
{
	net->ops->flow_close(net, flow);
}

/* The peer of this connection, which it made, listens at `port` of its address, too (RFC 5923): what is sent there, over any connection,
 * takes this one while it lasts. Whether it is to be believed is the caller's to know. 0; -EEXIST: it has said another one before;
 * -ENOTCONN: no connection of this worker; -ENOMEM. */
static inline int net_alias(struct net *net, const struct path *of, uint16_t port)
{
	return net->ops->alias(net, of, port);
}
/* The number of `host`, a name or an address in text, for paths of this worker. 0: the address itself has to be proved. NET_NAME_NOBODY:
 * there is no room for the name, and nothing is sent there. */
static inline uint32_t net_name(struct net *net, struct sv host)
{
	return net->ops->name ? net->ops->name(net, host, false) : 0;
}
/* The same for a name of the configuration: it makes no room for others. */
static inline uint32_t net_name_configured(struct net *net, struct sv host)
{
	return net->ops->name ? net->ops->name(net, host, true) : 0;
}
/* The same for what is reached over `transport`. A WebSocket's has its path, too ("sip.example.com/ws"; "/ws" where nobody has to prove a
 * name): connections that ask for another one are others. 0: no TLS and no WebSocket, or as net_name. */
uint32_t net_name_for(struct net *net, uint8_t transport, struct sv host, struct sv path, bool is_configured);
/* What a number of net_name stands for; empty: nobody any more. */
static inline struct sv net_name_text(struct net *net, uint32_t name)
{
	return name && net->ops->name_text ? net->ops->name_text(net, name) : (struct sv){ NULL, 0 };
}
/* The SIP domains that the peer of a connection of this worker has proved to be (RFC 5922 §7.1), its certificate having been verified: at
 * most `max` of them, valid until control returns to the event loop. 0: none, or no such connection here. */
static inline unsigned net_peer_names(struct net *net, const struct path *of, struct sv *out, unsigned max)
{
	return net->ops->peer_names ? net->ops->peer_names(net, of, out, max) : 0;
}

#endif
