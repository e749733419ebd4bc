/* sip/txn.h - the four transaction machines of RFC 3261 §17 with RFC 6026, and what matches a message to one of them.
 * One stack per worker. It knows no tokens: a client transaction's id (its branch) is given by its user, and the user
 * decodes it again from a response's Via. */
#ifndef SIP_TXN_H
#define SIP_TXN_H
#include "base/blocks.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/slab.h"
#include "base/table.h"
#include "base/wheel.h"
#include "sip/out.h"
#include "sip/view.h"
#include "transports/net.h"

enum sip_timers_ms { SIP_T1 = 500, SIP_T2 = 4000, SIP_T4 = 5000, SIP_TIMEOUT = 64 * SIP_T1 };

enum sip_limits {
	SIP_SERVERS_MAX = 1000000, SIP_CLIENTS_MAX = 1000000, /* transactions per worker */
	SIP_SCRATCH = NET_MESSAGE_MAX + 1,
	SIP_DATAGRAM_MAX = 1300, /* RFC 3261 §18.1.1: above, a request wants a stream */
};

enum sip_counter {
	SIP_REQUESTS, SIP_RESPONSES, SIP_REPLIES, SIP_RETRANSMITS_IN, SIP_RETRANSMITS_OUT, SIP_ORPHAN_ACKS,
	SIP_ORPHAN_RESPONSES, SIP_CLIENT_TIMEOUTS, SIP_SERVER_TIMEOUTS, SIP_SEND_ERRORS, SIP_TXN_REFUSED, SIP_STATELESS_REPLIES,
	SIP_TOO_LARGE, SIP_COUNTERS
};
extern const struct counter_def sip_counter_defs[SIP_COUNTERS];

struct server_txn;
struct client_txn;

struct server_ops {
	/* The INVITE was cancelled (its CANCEL has been answered). Only before a final response. */
	void (*on_cancel)(void *owner, struct server_txn *st);
	/* The transaction is over and `st` dies with the call; also when its user never answered in time. */
	void (*on_end)(void *owner, struct server_txn *st);
};

struct client_ops {
	/* Every provisional; the final; every 2xx to an INVITE until one was acknowledged by client_ack, and later ones of
	 * another To-tag (RFC 6026 §7.2). */
	void (*on_response)(void *owner, struct client_txn *ct, const struct view *v, const struct path *from);
	/* No final response came: -ETIMEDOUT, or what the transport said. on_end follows. */
	void (*on_failed)(void *owner, struct client_txn *ct, int err);
	void (*on_end)(void *owner, struct client_txn *ct);
};

/* Whoever looks at messages before they leave for the first time, and what they leave because of (topohide/guard.h). */
struct sip_guard {
	int (*check)(struct sip_guard *g, const struct path *to, const struct buf *message); /* 0, or -EACCES: it must not leave */
	const struct view *cause; /* what has arrived and is worked on now; NULL: a timer, or what was parked */
	const struct path *cause_from;
};

struct sip_stack {
	struct wheel *wheel;
	struct net *net;
	struct hash_key key;
	struct table by_key, by_id;
	struct slab servers, clients;
	struct counters counters;
	struct blocks *bufs;     /* where kept messages lie */
	struct sip_guard *guard; /* NULL: nobody looks */
	char *scratch;           /* SIP_SCRATCH bytes: where messages are written before they get their own buffer */
};

/* 0 or -ENOMEM. `wheel` and `net` outlive the stack; `bufs` also whatever the net still has to send. */
int sip_stack_init(struct sip_stack *s, struct wheel *wheel, struct net *net, const struct hash_key *key, struct blocks *bufs);
/* Ends every transaction without a word to anybody. */
void sip_stack_fini(struct sip_stack *s);

static inline int sip_may_leave(struct sip_stack *s, const struct path *to, const struct buf *message)
{
	return s->guard ? s->guard->check(s->guard, to, message) : 0;
}
/* An ACK that no transaction repeats. 0, -EACCES, or what net_send says. */
int sip_send_ack(struct sip_stack *s, const struct path *to, struct buf *ack);

/* Server side ------------------------------------------------------------------------------------------------------ */

/* What a request's transaction is found by (§17.2.3); an ACK's is its INVITE's. The same on every worker and node. */
uint64_t sip_request_key(const struct sip_stack *s, const struct view *v);

/* A retransmission, an ACK of a refusal, a CANCEL: true = dealt with. False = new to us (a CANCEL that matches nothing included).
 * An ACK that repeats the branch of an INVITE answered with 2xx is the call's business: false. */
bool sip_server_absorb(struct sip_stack *s, const struct view *v, const struct path *from, uint64_t key);

/* A transaction for a new request of this key. 0, -ENOSPC, -ENOMEM. `owner` may be set later with server_own. */
int server_new(struct sip_stack *s, const struct view *v, const struct path *from, uint64_t key, struct server_txn **out);
/* Who hears of it; NULL, NULL to let go: the transaction then lives out its time alone. */
void server_own(struct server_txn *st, const struct server_ops *ops, void *owner);
/* Ends a transaction that was answered: its user deals with repetitions itself (a tombstone). */
void server_forget(struct server_txn *st);

/* A response is written in two strokes, into the stack's scratch: the head (start line, Vias, Record-Route, From, Call-ID,
 * CSeq, To with `to_tag` unless the request had one), then whatever the caller appends, then sent and kept as long as the
 * machine needs it. `to_tag` empty in a 100. */
void server_begin(struct server_txn *st, struct out *o, unsigned status, struct sv phrase, struct sv to_tag);
/* `o` is complete (with Content-Length and body). 0, -EMSGSIZE, -ENOMEM, -EALREADY when a final response was given, or -EACCES: nothing
 * was sent, and another may be given. */
int server_send(struct server_txn *st, unsigned status, struct out *o);
/* Both strokes for a response without body; `headers` are whole lines or empty. */
int server_answer(struct server_txn *st, unsigned status, struct sv phrase, struct sv to_tag, struct sv headers);
/* The 2xx just sent to an INVITE becomes the caller's reference, to be repeated by the call (§13.3.1.4). */
struct buf *server_take_2xx(struct server_txn *st);
void server_repeat(struct server_txn *st, struct buf *last);
/* The call is gone before its 2xx was acknowledged: the transaction takes a reference and repeats it alone, until server_hush (its
 * ACK came) or its end. */
void server_return_2xx(struct server_txn *st, struct buf *last);
void server_hush(struct server_txn *st);
/* Gone at once, without a word to anybody, its user included. */
void server_discard(struct server_txn *st);
bool server_is_final(const struct server_txn *st);
unsigned server_status(const struct server_txn *st); /* of the last response; 0: none yet */
uint64_t server_id(const struct server_txn *st); /* its request's key */
const struct path *server_path(const struct server_txn *st);
/* A response of the transaction `id` was not written to the connection `to`, which was another worker's or has broken meanwhile: the last
 * one goes to where its sender listens, and so do those after it. */
void sip_server_broken(struct sip_stack *s, uint64_t id, const struct path *to, int err);
/* The client came back over another flow: its responses go there from now on. */
void server_move(struct server_txn *st, const struct path *path);
struct sip_stack *server_stack(struct server_txn *st);

/* One answer without a transaction (§8.2.7): before any state is touched. */
void sip_answer_stateless(struct sip_stack *s, const struct view *v, const struct path *from, unsigned status,
                          struct sv phrase, struct sv to_tag, struct sv headers);
/* The same in two strokes, as server_begin and server_send: what stands between is appended to `o`. 0, -EMSGSIZE, -ENOMEM, or -EACCES:
 * nothing was sent. */
void sip_stateless_begin(struct sip_stack *s, const struct view *v, const struct path *from, unsigned status, struct sv phrase,
                         struct sv to_tag, struct out *o);
int sip_stateless_send(struct sip_stack *s, const struct path *from, struct out *o);

/* Client side ------------------------------------------------------------------------------------------------------ */

/* Sends `request` (a reference is taken) and watches over it. `id` is what its branch says. 0, -ENOSPC, -ENOMEM, or what
 * net_send says: then there is no transaction and no callback. */
int client_start(struct sip_stack *s, uint64_t id, enum method method, const struct path *to, struct buf *request,
                 const struct client_ops *ops, void *owner, struct client_txn **out);
void client_own(struct client_txn *ct, const struct client_ops *ops, void *owner);
/* The transaction of `id` and the CSeq's method hears the response. False: there is none. */
bool sip_client_input(struct sip_stack *s, uint64_t id, const struct view *v, const struct path *from);
/* The transport could not deliver what carried branch `id` to `remote` (NULL: wherever). */
void sip_client_broken(struct sip_stack *s, uint64_t id, const struct addr *remote, int err);
/* Cancels an INVITE that has a provisional response (§9.1), once. 0; -EAGAIN before one: it is cancelled at the first that comes;
 * -EALREADY after a final or when it is cancelled; or as client_start. `headers`: whole lines, e.g. Reason. */
int client_cancel(struct client_txn *ct, struct sv headers);
/* The ACK of its 2xx: sent now to `to`, and again whenever that 2xx is repeated, without asking anybody. */
int client_ack(struct client_txn *ct, const struct path *to, struct buf *ack, struct sv to_tag);
void client_discard(struct client_txn *ct); /* as server_discard */
/* Is there a transaction of this id and method? */
bool sip_client_has(struct sip_stack *s, uint64_t id, enum method method);
bool client_has_provisional(const struct client_txn *ct);
bool client_is_waiting(const struct client_txn *ct); /* no final response yet */
bool client_is_cancelled(const struct client_txn *ct); /* or to be, at its first provisional */
uint64_t client_id(const struct client_txn *ct);
const struct path *client_path(const struct client_txn *ct);
/* As server_move: for what is repeated, and a CANCEL. */
void client_move(struct client_txn *ct, const struct path *path);
struct buf *client_request(const struct client_txn *ct); /* NULL once it is no longer needed */

/* `request`, one of ours, once more (RFC 3261 §8.1.3.5): with another branch and CSeq number, `line` (a whole one) in place of its
 * headers `instead`. NULL: memory is out, it would be too large, or is none. */
struct buf *sip_request_again(struct sip_stack *s, const struct buf *request, struct sv branch, uint32_t cseq, enum hdr_id instead,
                              struct sv line);

/* A value without its folds (§7.3.1). */
void out_unfolded(struct out *o, struct sv v);
/* The same for a value of `v`, or made of some, by a shorter way when the message has no folds. */
void out_value(struct out *o, const struct view *v, struct sv value);

/* Handing a transaction to another node (DESIGN §7): its machine's state as plain values, and back again. */
struct server_record {
	uint64_t key;
	struct path path;
	struct sv head, last;   /* last: empty = none */
	uint8_t state, method;
	uint16_t status;
};
struct client_record {
	uint64_t id;
	struct path path;
	struct sv request;
	uint8_t state, method;
};
void server_export(const struct server_txn *st, struct server_record *out);
int server_import(struct sip_stack *s, const struct server_record *r, struct server_txn **out);
void client_export(const struct client_txn *ct, struct client_record *out);
int client_import(struct sip_stack *s, const struct client_record *r, const struct client_ops *ops, void *owner,
                  struct client_txn **out);

#endif
