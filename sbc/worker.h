/* sbc/worker.h - one worker: everything that happens to messages between the network below and the calls above, on one
 * thread, without a system call. Time comes by worker_tick, messages by its net handler, mail by its mailbox; what it
 * sends goes to the net it was given. Production puts sockets and a loop around it (sbc/loop.h), simulation a virtual
 * clock and network. */
#ifndef SBC_WORKER_H
#define SBC_WORKER_H
#include "base/mailbox.h"
#include "dispatcher/probe.h"
#include "sbc/call/b2bua.h"
#include "sbc/flows.h"
#include "sbc/keepalive.h"

enum worker_limits {
	WORKER_PARKED_MAX = 10000,       /* requests waiting for an answer from elsewhere */
	WORKER_MAILS = 16384,            /* cells of its mailbox */
	WORKER_MAIL_BATCH = 1024,        /* mails taken per turn */
	WORKER_TIMER_BATCH = 4096,       /* timers fired per turn */
	WORKERS_MAX = 64,                /* as the configuration allows; bits of `posted` */
	WORKER_NAMES_MAX = 64,           /* of those that a peer's certificate proves; any more are not looked at */
	WORKER_HELD_MAX = 1024,          /* stream messages kept while the owner's mailbox is full */
	WORKER_TRIM_MS = 10000,          /* how often memory kept for the next call goes back */
};

enum worker_counter {
	MESSAGES_RECEIVED, MESSAGES_MALFORMED, MESSAGES_IGNORED, MESSAGES_HANDED_OVER, MESSAGES_TAKEN_OVER, HANDOVER_DROPPED,
	RESPONSES_FORGED, REQUESTS_FORGED, ICMP_MATCHED, ICMP_IGNORED, CALLS_NOW, ACCOUNTS_NOW, WORKER_COUNTERS
};
extern const struct counter_def worker_counter_defs[WORKER_COUNTERS];

/* What all workers share (DECISIONS 19): the only mutable memory that more than one thread touches, besides mailboxes. */
struct tls_tickets;

struct shared {
	_Atomic(const struct conf *) conf;   /* the snapshot to adopt; published whole */
	struct pools *pools;
	struct users *users;                 /* published as `conf` is */
	struct cdr_sink *cdr;                /* may be NULL */
	struct log *log;                     /* may be NULL */
	struct heard *heard;                 /* who spoke when (nat/heard.h) */
	struct tls_tickets *tickets;         /* may be NULL */
	const uint8_t (*secrets)[TOKEN_SECRET_LEN];
	unsigned n_secrets;
	unsigned workers;
	uint64_t (*wall_ms)(void *ctx);
	struct admission admissions[CONF_REGISTRARS_MAX]; /* of REGISTER, by number of the domain in the snapshot */
	/* Any worker's mailbox; as mailbox_put and mailbox_wake. */
	int (*post)(struct shared *s, unsigned worker, struct mail *m, bool is_urgent);
	void (*wake)(struct shared *s, unsigned worker);
};

struct worker {
	unsigned index;
	struct shared *shared;
	struct wheel wheel;
	struct mailbox *mail;
	struct net *net;
	void (*pause_streams)(struct net *net, bool is_paused);
	uint64_t posted;         /* bits: workers that got mail in this turn */
	struct resolver *resolver;
	struct token_codec *tokens;
	struct sip_stack stack;
	struct blocks bufs;                  /* kept messages: go last, the net may still hold some */
	struct park park;
	struct b2bua *calls;
	struct registrar *registrar;
	struct keepalive *keepalive;
	struct auth *auth;
	struct user_reader users;
	struct prober *prober;
	struct slab probes;
	struct aim *aims;         /* of probes, by slot; NULL until one goes to a name */
	struct counters counters;
	const struct conf *conf;             /* adopted snapshot */
	_Atomic uint64_t conf_gen;           /* its generation, for whoever frees old ones */
	struct node held;                    /* stream messages on their way to a full mailbox */
	unsigned n_held;
	struct flows flows;                  /* who has registered contacts over our connections */
	uint64_t trimmed_ms;
	bool hears;                          /* somebody wants to know who spoke when */
	bool has_stack;
	bool is_ending;                      /* set before the first of the workers goes: nothing is sent to another any more */
};

/* First stroke: what needs no network. 0 or -errno. */
int worker_init(struct worker *w, struct shared *shared, unsigned index, uint64_t now_ms);
/* The upcalls of this worker's net. */
struct net_handler worker_handler(struct worker *w);
/* Second stroke: with its network and names. `pause_streams` may be NULL. Adopts shared->conf. 0 or -errno. */
int worker_join(struct worker *w, struct net *net, struct resolver *resolver,
                void (*pause_streams)(struct net *net, bool is_paused));
/* Forgets everything; the net goes afterwards, and then what it still held of ours (worker_release). */
void worker_fini(struct worker *w);
void worker_release(struct worker *w);
/* Time has come to `now_ms`: adopts a new snapshot, fires timers. */
void worker_tick(struct worker *w, uint64_t now_ms);
/* Takes mail; returns how many mails there were. */
size_t worker_mail(struct worker *w);
/* Puts mail into another worker's box: 0, or -ENOBUFS and the mail stays the caller's. Who sleeps hears of it at the end of
 * the turn (worker_wake_others): once, whatever it gets, and not while we still have work for it. */
int worker_post(struct worker *w, unsigned to, struct mail *m, bool is_urgent);
void worker_wake_others(struct worker *w);
/* When to be called again at the latest (worker_tick); UINT64_MAX: never. */
uint64_t worker_next(struct worker *w);

#endif
