/* sbc/call/b2bua.h - the calls of one worker: each a near leg (where it came from) and a far leg (where it went), with a
 * dialog of its own on either side (DESIGN §5). Everything here runs on the worker's thread and takes its time, its
 * network and its names through what it was given, so that whole calls run in simulation. */
#ifndef SBC_CALL_B2BUA_H
#define SBC_CALL_B2BUA_H
#include "base/counters.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/park.h"
#include "base/slab.h"
#include "conf/conf.h"
#include "dispatcher/history.h"
#include "registrar/admit.h"
#include "registrar/auth.h"
#include "registrar/registrar.h"
#include "sip/txn.h"
#include "sip/view.h"
#include "topohide/token.h"
#include "transports/resolve.h"

enum b2bua_limits {
	DIALOGS_PER_CALL_MAX = 16,         /* To-tags of one INVITE */
	RELAYS_PER_CALL_MAX = 16,          /* requests on their way within one call */
	CALLS_ALIKE_MAX = 64,              /* that differ in CSeq only, under way or kept by their subscriptions */
	CALL_SETUP_MAX_MS = 600000,        /* an INVITE that nobody answers, whatever rings */
	CALL_MAX_MS = 86400000,            /* an answered call without `max-duration` */
	CALL_DURATION_MAX_MS = 604800000,  /* the longest `max-duration` */
	CALL_TOMBSTONE_MS = SIP_TIMEOUT,   /* an ended dialog still answers (LESSONS 10) */
	CALL_BYE_WAIT_MS = 4000,           /* for the other side's answer to a BYE before we give it ourselves */
	CALL_TEXT_MAX = 16384,             /* bytes of identifiers and routes kept per leg */
	CALL_RESOLVE_MS = 5000,            /* for a name */
	HOP_SILENT_MS = 2000,              /* without any response, when a name has other addresses and no pool says how long */
	SETUP_ATTEMPTS_MAX = 16,           /* addresses tried for one initial request */
	ATTEMPT_AHEAD_MAX = 16,            /* times one INVITE is sent anew to one place that wants it otherwise (422, 401, 407) */
	FORK_BRANCHES_MAX = 16,            /* places one initial request goes to (DECISIONS 4) */
	FORK_BREADTH = 60,                 /* Max-Breadth of a request that has none (RFC 5393 §5.3.3) */
	FORK_GROUP_MS = 20000,             /* how long those of one q ring before those of the next do, unless the rule says so */
	FORK_SILENT_MS = 4000,             /* the same if none of them says anything at all */
	CALL_DIRECT_ANSWER_MS = 180000,    /* answer-timeout of what goes to a token of ours instead of a pool */
	CALL_REDIRECT_MS = 600000,         /* a passed 3xx's Contact (DECISIONS 5) */
	CALL_REDIRECTS_MAX = 8,            /* Contacts of one 3xx */
	REDIRECT_HOPS_MAX = 5,             /* redirections one after the other that are followed */
	REDIRECT_TARGETS_MAX = 16,         /* Contacts of one call that are followed, and its first destination */
	USAGES_PER_CALL_MAX = 16,          /* subscriptions in the dialogs of one call */
	USAGE_EVENT_MAX = 256,             /* bytes of an event package, and of its id, that tell it from others */
	USAGE_DEFAULT_S = 3600,            /* a subscription that nobody gave a time */
	USAGE_REFER_MS = 180000,           /* a REFER's, from its answer or from a NOTIFY that says no other time */
	USAGE_GRACE_MS = SIP_TIMEOUT,      /* for the last NOTIFY of one that expires */
	WATCH_WORDS_MAX = 8192,            /* looked through in one body of an event package */
	WATCH_PIECE = 256,                 /* bytes of it looked at together, at least */
	WATCH_MEMORY_MAX = 4 * NET_MESSAGE_MAX, /* for one such body */
	USAGE_NEW_MS = 2 * SIP_TIMEOUT,    /* for the answer to the request that makes one */
};

#define USAGE_MAX_MS (UINT64_C(31) * 86400000) /* without a word from anybody, whatever was agreed */

enum call_counter {
	CALLS_STARTED, CALLS_ANSWERED, CALLS_FAILED, CALLS_ENDED, CALLS_REFUSED, CALLS_FAILOVERS, CALLS_SPILLED, CALLS_NO_ACK,
	CALLS_EXPIRED,
	REQUESTS_RELAYED, REQUESTS_REFUSED, STRAY_REQUESTS, STRAY_ACKS, STRAY_2XX, FORGED_TOKENS, NAMES_ASKED, NAMES_UNANSWERED,
	FORKS_REFUSED, LOCATIONS_ASKED, LOCATIONS_UNANSWERED, USERS_ASKED, USERS_UNANSWERED, REGISTERS_CUT,
	SUBSCRIPTIONS_STARTED, SUBSCRIPTIONS_ENDED, SUBSCRIPTIONS_EXPIRED, SUBSCRIPTIONS_REFUSED, BODIES_REFUSED,
	SESSION_REFRESHES_SENT, SESSION_REFRESHES_TAKEN, SESSION_PINGS, CALLS_SESSION_EXPIRED, CALLS_SILENT,
	REDIRECTS_FOLLOWED, REDIRECTS_REFUSED, FLOWS_MOVED, FLOWS_KEPT, LEGS_STRAYED, CANCELS_STRAYED, FLOWS_GONE,
	FLOW_NEWS_LOST, HOPS_FAILED_OVER, CALLS_MOVED, CALLS_STAYED, MOVES_LOST, CHALLENGES_ANSWERED, CHALLENGES_REFUSED, CHALLENGES_ASTRAY,
	CALL_COUNTERS
};
extern const struct counter_def call_counter_defs[CALL_COUNTERS];

/* A question for the workers that hold what a request names, or where somebody is registered: it travels from one to the next as mail,
 * and home again (DECISIONS 20). Or news for all of them. Whoever has it owns it. */
enum errand_kind { ERRAND_NAMES, ERRAND_LOCATED, ERRAND_FLOW, ERRAND_STICK }; /* struct names, located, flow_errand, stick */

struct b2bua_errand {
	struct mail mail;         /* whoever carries it uses this */
	uint8_t kind;             /* enum errand_kind */
};

/* One line of JSON per ended call. Copies; never blocks. */
struct cdr_sink {
	void (*write)(struct cdr_sink *sink, struct sv line);
};

struct b2bua_params {
	struct wheel *wheel;
	struct sip_stack *stack;
	struct token_codec *tokens;
	struct pools *pools;
	struct resolver *resolver;
	struct park *park;
	struct log *log;          /* may be NULL */
	struct cdr_sink *cdr;     /* may be NULL */
	struct registrar *registrar; /* of this worker */
	struct admission *admissions; /* CONF_REGISTRARS_MAX, by number of the domain; shared by all workers */
	struct auth *auth;        /* with `registrar` */
	struct user_source *users;
	uint64_t (*wall_ms)(void *ctx); /* Unix time, for call detail records */
	void *ctx;
	/* To another worker's b2bua_errand. 0: taken; or -ENOBUFS. */
	int (*send)(void *ctx, unsigned worker, struct b2bua_errand *e);
	unsigned worker, workers;
	size_t max_calls;
};

struct names;
struct passing;
struct located;
struct asked;
struct registrant;

/* A request that no transaction absorbed, with what the worker read from its tokens. */
struct request {
	const struct view *v;
	const struct path *from;
	uint64_t key;              /* of its transaction */
	struct token leg, tag;     /* of the Request-URI's user, of the To-tag */
	bool has_leg, has_tag;     /* they are ours (DECISIONS 5) */
	bool is_transfer;          /* `leg` is a TOKEN_TRANSFER: stands for the leg's own remote, not for the other end */
	bool is_contact;           /* `leg` is the Contact that we registered at `trunk`: the Request-URI has it */
	uint16_t trunk;            /* slot + 1 of the one whose Contact was asked for, or whose name was proved; 0: as its source says */
	bool is_binding;           /* `leg` is a TOKEN_BINDING: stands for that contact (pass.h) */
	bool has_waited;           /* for `names`: its CSeq was in order when it came */
	bool is_flow_closed;       /* the connection it came by closed while it waited (a REGISTER) */
	struct names *names;       /* whom it names, if anybody; borrowed */
	struct located *located;   /* who of its parties is registered, if that was asked; borrowed */
	const struct asked *asked; /* what a source of users said that it waited for; borrowed */
	const struct registrant *to; /* of a REGISTER, if it was read on this worker; borrowed */
	struct passing *passing;   /* a REGISTER that goes on to another registrar; borrowed */
	uint16_t shard;
};

struct b2bua;

int b2bua_new(struct b2bua **out, const struct b2bua_params *params);
/* Forgets every call without a word to anybody. */
void b2bua_free(struct b2bua *b);
/* The snapshot used from now on; it stays until the next adopt. 0 or -ENOMEM (the old one stays). */
int b2bua_adopt(struct b2bua *b, const struct conf *c);
void b2bua_request(struct b2bua *b, const struct request *r);
/* An errand has arrived here. */
void b2bua_errand(struct b2bua *b, struct b2bua_errand *e);
void b2bua_errand_free(struct b2bua_errand *e);
/* From now on new calls get 503 and OPTIONS 503 (shutdown). */
void b2bua_close(struct b2bua *b);
bool b2bua_is_closed(const struct b2bua *b);
/* Registrations of ours at trunks, those included that are being taken back. */
unsigned b2bua_accounts(const struct b2bua *b);
/* Slot + 1 of the trunk at which we register the Contact that this TOKEN_BINDING stands for, and from whose zone it was asked for; 0: it
 * is no such one. */
uint16_t b2bua_trunk_contact(const struct b2bua *b, uint64_t id, const struct path *from);
/* Without those that are nothing but subscriptions. */
size_t b2bua_calls(const struct b2bua *b);
struct counters *b2bua_counters(struct b2bua *b);
struct counters *b2bua_hide_counters(struct b2bua *b);
/* What was refused without a call, by enum why (reasons.h). */
struct counters *b2bua_reasons(struct b2bua *b);
struct counters *b2bua_nat_counters(struct b2bua *b);

/* Which keys of its pools this worker owns, and where they are (dispatcher/sticky.h). */
struct sticky *b2bua_sticky(struct b2bua *b);

/* What `sbcctl calls` shows: sessions, not subscriptions. Strings are borrowed for the call of `fn`. */
struct call_info {
	uint64_t id;
	struct sv from, to, far_call_id, near_call_id, destination, state;
	struct addr near, far;
	uint64_t age_ms, answered_ms; /* 0 = not answered */
	unsigned legs, dialogs, moves;
};
void b2bua_each(struct b2bua *b, void (*fn)(void *ctx, const struct call_info *info), void *ctx);
/* Ends the call whose id this is, with BYE or refusal on both sides. False: not here. */
bool b2bua_hangup(struct b2bua *b, uint64_t id, const char *why);

/* What destinations have: row_of[slot] says which of `rows` is theirs, CENSUS_NO_ROW that nobody asks; the first `n_ages` rows have
 * `ages`, too. Adds to what is there. */
enum { CENSUS_NO_ROW = UINT16_MAX };
struct census_row {
	uint32_t calls, subscriptions; /* subscriptions: without a call around them */
	uint64_t oldest_ms;            /* age of the oldest call */
};
struct census {
	const uint16_t *row_of;        /* [POOL_DESTINATIONS_MAX] */
	unsigned n_ages;
	struct census_row *rows;
	struct spans *ages;
};
void b2bua_census(struct b2bua *b, const struct census *s);
/* Ends up to `max` calls at the destination: its drain has reached its deadline. Returns how many. */
unsigned b2bua_hangup_at(struct b2bua *b, uint16_t slot, unsigned max);
/* Begins to move up to `max` calls from there to other destinations of its pool. Returns how many; what can be moved neither now nor
 * soon is none of them. */
unsigned b2bua_move_at(struct b2bua *b, uint16_t slot, unsigned max);

/* What the slabs hold now: for metrics and leak checks. */
void b2bua_slabs(struct b2bua *b, void (*fn)(void *ctx, const struct slab *s), void *ctx);

/* A probe was answered with a challenge: says in the log, once a minute, when callers would see an inside name in its realm. */
void b2bua_probe_challenged(struct b2bua *b, const struct view *v, const struct path *from);
/* Sets of header rules in use: of routes, and of calls that began when the routes had others. */
unsigned b2bua_rule_sets(const struct b2bua *b);

/* Gives back memory that is kept for the next call. */
void b2bua_trim(struct b2bua *b);

/* A binding of this worker's is reached over another flow than before, or is new: calls of its client go there, wherever they are. */
void b2bua_binding_moved(struct b2bua *b, const struct binding *binding);

/* A connection by which a REGISTER came here is gone: contacts over it go (registrar_flow_closed), those too that are still to be made by
 * one that waits. */
void b2bua_flow_closed(struct b2bua *b, uint64_t flow);

/* State that outlives a node (DESIGN §7): each call as one opaque record, early ones included. */
struct b2bua_record_sink {
	void (*put)(struct b2bua_record_sink *sink, uint64_t id, struct sv record);
};
void b2bua_export(struct b2bua *b, struct b2bua_record_sink *sink);
/* Which shard a record belongs to: its worker applies it. */
uint16_t b2bua_record_shard(struct sv record);
/* 0; -EBADMSG for a record that is none; -EEXIST; -ENOSPC, -ENOMEM. Unknown fields are skipped. */
int b2bua_apply(struct b2bua *b, struct sv record);

#endif
