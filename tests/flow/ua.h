/* tests/flow/ua.h - user agents for storms: one per side of a dialog, with transactions and timers of their own (RFC 3261 §13,
 * §17), written apart from the code under test. Everything a UA makes up (Call-ID, tags, branches, Contact, User-Agent) carries its
 * side's mark, so that a look at any message on the other side tells whether something leaked. */
#ifndef TESTS_FLOW_UA_H
#define TESTS_FLOW_UA_H
#include "base/table.h"
#include "tests/flow/rig.h"

struct ua_world;

/* A request of ours. */
struct ua_client {
	struct node in_ua;
	struct timer timer;
	struct ua *ua;
	struct buf *request, *ack;
	uint64_t end_ms;
	uint32_t cseq, interval_ms, data; /* data: the user's */
	uint16_t status;                  /* of the final response; 0: none yet */
	uint8_t method;
	bool has_provisional, wants_cancel, is_over;
	char branch[40], final_tag[64];
	unsigned last_rseq;
};

/* A request of theirs. */
struct ua_server {
	struct node in_ua;
	struct timer timer;
	struct ua *ua;
	struct buf *head, *last;          /* head: what every response repeats, without To */
	uint64_t end_ms;
	uint32_t cseq, interval_ms;
	uint16_t status;
	uint8_t method;
	bool is_acked;
	char branch[64], to[192];
};

struct ua {
	struct link in_world;
	struct node in_all;
	struct ua_world *world;
	void *owner;
	struct addr addr;
	uint16_t listener;                /* of the SBC, where this UA sends */
	const char *at, *mark;            /* address as text; "NEAR" or "FAR" */
	char call_id[64], tag[40], peer_tag[64];
	char local[160], remote[160];     /* values of From and To without tags */
	char target[160];                 /* Request-URI of requests in the dialog */
	uint32_t cseq, peer_cseq;
	struct node clients, servers;
	bool is_dead, is_traced;          /* dead: says and hears nothing any more */
	unsigned number;
};

struct ua_ops {
	/* An INVITE without To-tag for nobody we know: the world's user makes a UA of it, or not. */
	struct ua *(*on_invite)(struct ua_world *w, const struct packet *p, const struct view *v);
	void (*on_request)(struct ua *ua, struct ua_server *s, const struct view *v);
	void (*on_cancel)(struct ua *ua, struct ua_server *invite);
	void (*on_ack)(struct ua *ua, struct ua_server *invite, const struct view *v);
	/* A provisional, or the first final. */
	void (*on_response)(struct ua *ua, struct ua_client *c, const struct view *v);
	void (*on_unanswered)(struct ua *ua, struct ua_client *c);
	void (*on_unacknowledged)(struct ua *ua, struct ua_server *s);
	/* A response to nothing that we sent. */
	void (*on_stray)(struct ua_world *w, const struct packet *p, const struct view *v);
};

struct ua_world {
	struct rig *rig;
	struct table uas;
	struct node all;
	struct hash_key key;
	const struct ua_ops *ops;
	void *ctx;
	bool is_ordered;                  /* the network loses at most: a response that overtakes is a fault */
	bool is_silent;                   /* faults are counted, not printed */
	bool is_perfect;                  /* it does not even lose */
	uint64_t faults, messages, next_id;
};

/* Takes the rig's packets. */
void ua_world_init(struct ua_world *w, struct rig *rig, const struct ua_ops *ops, void *ctx);
void ua_world_fini(struct ua_world *w);
/* Something that must not be: counted; the first few are printed. */
void ua_fault(struct ua_world *w, const struct ua *ua, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* `tag` is our own; empty for the one who holds an INVITE before it has a dialog. */
struct ua *ua_new(struct ua_world *w, const char *at, uint16_t listener, const char *mark, struct sv call_id, const char *tag);
void ua_listen(struct ua *ua); /* from now on found by Call-ID, address and tag */
/* A request: `to_tag` "" for an initial one, else the peer's. `extra`: whole lines with CRLF. */
struct ua_client *ua_request(struct ua *ua, enum method method, const char *to_tag, const char *extra, const char *body);
void ua_cancel(struct ua_client *invite);  /* at once, or at its first provisional */
/* CANCEL though the final response is there: it crossed it. */
void ua_cancel_late(struct ua_client *invite);
void ua_ack(struct ua_client *invite, const char *extra, const char *body);
/* Answers as `ua` (one of several dialogs, perhaps, of the one that holds the INVITE). A 2xx to INVITE is repeated until its ACK, a
 * refusal too. */
void ua_answer(struct ua *ua, struct ua_server *s, unsigned status, const char *extra, const char *body);
/* An answer to `s` as it would be sent, for nobody to keep state of: what arrives when all is over. */
struct buf *ua_stray_answer(struct ua *ua, struct ua_server *s, unsigned status, const char *extra);
void ua_send_stray(struct ua *ua, const struct buf *b);
struct ua_server *ua_invite_of(struct ua *ua); /* the one not answered, or NULL */
struct ua_client *ua_asking(struct ua *ua, enum method method); /* ours without final answer, or NULL */

#endif
