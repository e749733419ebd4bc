/* tests/flow/rig.h - whole workers over a virtual clock and a virtual network, in one thread: the same code as in production
 * from the scanner to the call. Everything follows from the configuration, the seed and what the test does. */
#ifndef TESTS_FLOW_RIG_H
#define TESTS_FLOW_RIG_H
#include "conf/conf.h"
#include "sbc/steer.h"
#include "sbc/worker.h"
#include "sip/header.h"
#include "transports/expected.h"

enum { RIG_WORKERS_MAX = 8, RIG_NAMES_MAX = 16, RIG_HEARD_PLACES = 65536 };

/* What the network does to datagrams, in 1/1000. */
struct weather {
	unsigned lost, doubled, late; /* late: delivered up to `late_ms` after its turn, so that others overtake it */
	unsigned late_ms;
	unsigned garbled;             /* bytes exchanged, or cut off, on the way to the SBC */
	unsigned delay_ms;            /* every packet takes this long, streams too: their order stays */
};

/* One message on the wire, kept until its receiver takes it. */
struct packet {
	struct node in_list;
	uint64_t at_ms;
	struct addr from, to;
	uint8_t transport;
	uint16_t listener;    /* the SBC's side */
	char tls_name[64];    /* whom the SBC wants there by TLS (net_name) */
	size_t len;
	char bytes[];         /* and BUF_PAD zero bytes */
};

struct rig;

/* Every message that the SBC sends is shown to `on_sent` when it is sent; when set, `on_packet` takes what arrives at an endpoint
 * instead of the inboxes (it owns nothing; bytes are valid during the call). */
struct rig_hooks {
	void *ctx;
	void (*on_sent)(void *ctx, const struct packet *p);
	void (*on_packet)(void *ctx, const struct packet *p);
};

struct rig_name {
	const char *host;
	struct addr addr;
	unsigned delay_ms;    /* 0: answered at once */
	struct addr other;    /* the second one; family 0: none */
	const struct resolve_answer *all; /* instead of both; ports and transports of 0 are those of the question */
};

struct rig {
	struct shared shared;
	struct conf *conf;
	struct worker workers[RIG_WORKERS_MAX];
	struct rig_net *nets[RIG_WORKERS_MAX];
	struct expected expected;
	struct steer *steers; /* of each listener */
	struct rig_resolver *resolvers[RIG_WORKERS_MAX];
	uint8_t secret[1][TOKEN_SECRET_LEN];
	bool has_mail[RIG_WORKERS_MAX];
	uint64_t now_ms, random;
	struct wheel clock;   /* timers of the endpoints themselves */
	struct node wire;     /* struct packet, by at_ms */
	struct node inbox;    /* struct packet, arrived at endpoints, in order */
	struct weather weather;
	struct rig_hooks hooks;
	struct rig_name names[RIG_NAMES_MAX];
	unsigned n_names;
	unsigned foreign_names;      /* asked for as out of a message */
	size_t sent, received, lost; /* packets */
	bool holds_mail;             /* mail between workers waits: what they ask each other stays unanswered */
	bool is_refusing_streams;    /* connections to endpoints are refused */
	bool has_flows;              /* each endpoint's stream is a connection with a flow of its own, until rig_close */
	struct node flows;           /* struct rig_flow */
	uint32_t last_flow;
	const char *proven;          /* name that whoever is at `proven_at` has proved, over TLS; NULL: nobody has */
	struct addr proven_at;
	uint16_t alias_port;         /* of the connection that said last where its peer listens (RFC 5923); 0: none has */
	struct node refused;         /* struct refusal: told in the next turn, as sockets do */
	char **cdrs; size_t n_cdrs;
	struct cdr_sink cdr;
};

/* A node with the configuration (YAML text; fails the test when it is bad), its workers and a seed. Probes run if
 * configured. Every node has the same keys: a second one can take over from the first. */
struct rig *rig_new(const char *yaml, unsigned workers, uint64_t seed);
/* Checks that nothing is left allocated but idle structures when `is_idle_expected`; ends the node. */
void rig_free(struct rig *r, bool is_idle_expected);
/* Random number below n, from the seed. */
uint64_t rig_random(struct rig *r, uint64_t n);

/* An endpoint sends: `from` "192.0.2.1:5060", `to` a listener as written in the configuration ("udp:203.0.113.10:5060"). The
 * text is taken as it is (CRLFs included). Subject to the weather unless it is calm. */
void rig_send(struct rig *r, const char *from, const char *to, const char *text);
/* A listener written as tcp, and the destinations that are reached from it, are of another stream transport: what TLS and WebSocket do to
 * bytes is the network's business. Before anything is sent. */
void rig_becomes(struct rig *r, const char *listener, uint8_t transport);
/* Which worker reads what `endpoint` sends where no token says it (sbc/steer.h). */
unsigned rig_worker_of(struct rig *r, const char *endpoint);
/* The number of a listener as written in the configuration. */
uint16_t rig_listener(const struct rig *r, const char *text);
void rig_send_bytes(struct rig *r, const struct addr *from, uint16_t listener, const char *bytes, size_t len);
/* Lines joined with CRLF, Content-Length and the empty line added: rig_sendf(r, from, to, "INVITE ...\nVia: ...\n...", body). */
void rig_say(struct rig *r, const char *from, const char *to, const char *body, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The connection of `endpoint` is gone (has_flows); what it sends next comes over another one. */
void rig_close(struct rig *r, const char *endpoint);
/* The same, and nobody is told. */
void rig_lose(struct rig *r, const char *endpoint);
/* Its flow now; 0: none. */
uint64_t rig_flow_of(struct rig *r, const char *endpoint);
/* An ICMP error for what the SBC sent last to `endpoint`. */
void rig_refuse_last(struct rig *r, const char *endpoint, int error);

/* Time passes; timers fire, packets arrive, mail is delivered. */
void rig_after(struct rig *r, uint64_t ms);

/* A message as an endpoint sees it. */
struct got {
	struct packet *packet;
	struct view v;
};
/* Takes the next message that arrived at `endpoint`; fails the test (showing what arrived instead) when there is none, or when its
 * first line does not begin with `start` ("INVITE ", "SIP/2.0 180"). Valid until the next call for the same `out`. */
void rig_expect(struct rig *r, const char *endpoint, const char *start, struct got *out);
/* The same where it need not have come: false. What arrived before it at `endpoint` is forgotten. */
bool rig_take(struct rig *r, const char *endpoint, const char *start, struct got *out);
/* Nothing (more) has arrived at `endpoint`. */
void rig_expect_silence(struct rig *r, const char *endpoint);
bool rig_has_message(struct rig *r, const char *endpoint);
/* Forgets what has arrived at `endpoint`; returns how many. */
size_t rig_forget(struct rig *r, const char *endpoint);
void got_free(struct got *g);
/* Header value as a string for printf; four may be in use at once. */
const char *got_value(const struct got *g, enum hdr_id id);
const char *got_uri(const struct got *g);       /* Request-URI */
const char *got_contact(const struct got *g);   /* its URI */
const char *got_tag(const struct got *g, enum hdr_id from_or_to);
const char *got_branch(const struct got *g);
/* Does the raw text contain `what`? */
bool got_has(const struct got *g, const char *what);

/* Sum of a call counter over the workers; of calls held. */
uint64_t rig_count(struct rig *r, enum call_counter which);
size_t rig_calls(struct rig *r);
/* Sum of what all slabs hold. */
size_t rig_in_use(struct rig *r);
/* The records of all calls, up to eight; rig_records_free when done. Adds to what is there. */
struct rig_records {
	struct b2bua_record_sink sink;
	struct sv of[8];
	unsigned n;
};
void rig_export(struct rig *r, struct rig_records *all);
void rig_records_free(struct rig_records *all);
/* `r` dies without a word; the one returned takes its place at the same addresses, with `n` records. */
struct rig *rig_take_over(struct rig *r, const char *yaml, unsigned workers, unsigned n);
/* A new snapshot for all workers (fails the test when it is bad). */
void rig_reload(struct rig *r, const char *yaml);

#endif
