/* sbc/call/call.h - the shapes of a call, shared by the files of this folder; nobody else includes it. */
#ifndef SBC_CALL_CALL_H
#define SBC_CALL_CALL_H
#include "base/blocks.h"
#include "base/table.h"
#include "sbc/call/b2bua.h"
#include "sbc/call/reasons.h"
#include "sbc/call/session.h"
#include "sip/header.h"
#include "topohide/guard.h"
#include "topohide/hide.h"
#include "topohide/policy.h"

enum side { NEAR, FAR };

/* One side of a call. The strings lie in one block: what the block holds lives as long as the dialog. */
struct leg {
	struct link in_table;      /* key: the leg's id */
	struct call *call;
	struct client_txn *invite; /* far: the INVITE while its transaction lives, for strays */
	char *text;                /* call_id | local | remote | target | routes */
	uint16_t call_id_len, local_len, remote_len, target_len, routes_len;
	uint16_t slot;             /* far: destination, reserved for this leg while has_slot; POOL_NO_SLOT: it went to no pool */
	uint16_t shard;
	bool is_sips;              /* its Request-URI was one (sips.h) */
	uint32_t local_cseq;
	struct path path;          /* where its requests go, and from which listener */
	uint8_t side, attempt;
	uint8_t branch;            /* far: of a fork, 1 and up: its legs share their id; 0: alone */
	bool wants_answer;         /* far: its INVITE went without an offer: a 2xx brings one, and the ACK has to answer it */
	bool has_forks;            /* far: several dialogs were seen: a 2xx of another may come as long as the INVITE's transaction lives */
	bool is_tied;              /* its client is registered (rebind.c) */
	bool has_slot, follows_flow; /* follows_flow: an untrusted client is where its packets come from, whatever Contact says */
};

/* Where a remote target and route set were found to lead: kept, so that not every request reads them again. */
struct hop {
	struct addr addr;
	uint8_t transport;
	bool is_known;
};

/* One To-tag of the far side and the tag it became on the near side. */
struct dialog {
	struct link in_table;      /* key: the id in the near tag's token */
	struct node in_call;
	struct call *call;
	struct leg *far;
	char *text;                /* far tag | far target | far routes */
	uint16_t tag_len, target_len, routes_len;
	bool is_confirmed;
	uint32_t cseq_in[2];       /* highest seen from each side */
	struct hop hop;            /* of `text` */
};

/* Where a request to one of our tokens goes, instead of to a pool. */
struct direct {
	struct path path;          /* has_path: a client's own flow */
	uint16_t zone, uri_len, routes_len;
	bool has_path;
	bool is_named;             /* has_path: one of the addresses of its name, so only this request goes there without asking */
	bool is_redirect;          /* a 3xx named it */
	bool keeps_to;             /* To stays as it is: it names the one called, not one of our tokens */
	uint64_t leg;              /* whose remote it is; 0: a redirection's */
	char text[];               /* uri | routes */
};

/* A Contact of a 3xx that we passed: our token for it holds for CALL_REDIRECT_MS. */
struct redirect {
	struct link in_table;      /* key: the token's id */
	struct node in_all;
	struct timer timer;
	struct b2bua *b;
	char *uri;
	uint16_t uri_len, near_zone, far_zone;
};

/* What ends first when a call is answered: the initial request, kept for other destinations, and its attempts. */
struct setup {
	struct call *call;
	struct server_txn *st;
	struct buf *request;
	struct attempt *attempt;   /* the present one; the last of a fork's, which are linked by `next` */
	struct fork *fork;         /* several at once, instead of a pool; owned */
	struct parked parked;      /* waiting for a name */
	uint64_t resolve_id;
	struct direct *direct;     /* instead of a pool; owned */
	struct names *names;       /* whom the request names; counted */
	struct located *located;   /* what was found out of its parties; counted */
	struct passing *passing;   /* a REGISTER that goes on to another registrar; owned */
	struct pick pick;          /* chosen from the pool */
	struct resolve_answer addrs; /* of what was chosen; those from next_addr on are still to be tried */
	uint8_t next_addr, n_attempts;
	uint16_t hop_zone;
	bool is_resolving, has_provisional, has_offer; /* has_offer: the INVITE carried a body */
	uint8_t n_tried;
	uint16_t tried[POOL_TRIES_MAX];
	uint16_t challenger;       /* as in the tombstone it will leave */
	uint8_t ahead, raises;     /* of the attempt that it asked; of the next one */
	uint32_t min_s;
	struct session_words session; /* of the request */
	struct { uint64_t ticket; uint16_t slot; int16_t err; uint8_t state; } stick; /* what its key's owner said (stick.h) */
	uint8_t standing;          /* enum standing: what its rule knew of its parties */
	bool follows;              /* redirections, instead of passing them on */
	struct trail *trail;       /* of those followed; owned */
	uint16_t best_status;      /* of the finals so far (§16.7) */
	struct buf *best;          /* its headers and body as they would go out */
	struct sv best_phrase;     /* in `best` */
	char best_tag[TOKEN_LEN];
	enum why why;              /* of the last failure of our own */
	char pool[CONF_NAME_MAX + 1]; /* by name: a reload may renumber */
	uint32_t after_ms, answer_ms, max_duration_ms;
	const struct conf_route *rule;
	uint64_t conf_gen;         /* of `rule` */
	uint64_t pick_gen;         /* of `pick` */
	struct move *move;         /* whose trial this is: nobody waits for its answer but that move; NULL: none */
};

/* One initial request on its way to one destination. Outlives its call when it was given up (DECISIONS 12). */
struct attempt {
	struct b2bua *b;
	struct node in_lost;
	struct setup *setup;       /* NULL: abandoned */
	struct attempt *next;      /* of the setup */
	const struct direct *direct; /* where it goes, if not to a destination; its setup's or branch's */
	struct leg *leg;           /* owned until the call takes it */
	struct client_txn *ct;
	struct timer timer;
	uint64_t branch_id;
	uint64_t end_ms;           /* abandoned: latest end */
	uint32_t destination;      /* id in the snapshot of the setup's `pick_gen` */
	uint32_t min_s;            /* what 422 raised Min-SE to; 0: nothing */
	uint8_t ahead;             /* CSeq numbers used up by 422 (RFC 4028 §7.3) and challenges; ATTEMPT_AHEAD_MAX at most */
	uint8_t raises;            /* by 422 alone; SESSION_RAISES_MAX at most */
	bool has_response;
	bool is_timed;             /* its first response tells how fast the destination is */
	uint64_t sent_ms;          /* is_timed */
};

/* One request on its way from one side to the other within the call; an INVITE until its ACK. */
struct relay {
	struct node in_call;
	struct call *call;
	struct dialog *dialog;
	struct server_txn *st;     /* NULL once it ended */
	struct client_txn *ct;
	struct buf *request;       /* while parked */
	struct hops *hops;         /* other addresses of where it goes; NULL: none */
	struct names *names;       /* whom it names; counted */
	struct parked parked;
	uint64_t resolve_id;
	struct buf *answer;        /* our 2xx to an INVITE, repeated until its ACK */
	char *moved;               /* the sender's new target, once this is accepted */
	struct timer timer;
	uint32_t in_cseq, out_cseq, repeat_ms;
	uint64_t end_ms, ack_key;  /* ack_key: of the ACK on its way */
	struct usage *usage;       /* which subscription it concerns; NULL: none */
	uint16_t moved_len;
	uint8_t from;              /* enum side */
	uint8_t method;
	bool is_resolving, had_offer; /* had_offer: the INVITE carried a body */
	bool is_answered;          /* 2xx passed, waiting for ACK */
	struct session_words session; /* of the request */
};

/* A subscription within a dialog (RFC 5057): made by SUBSCRIBE or REFER, alive as long as what passes says (RFC 6665). */
struct usage {
	struct usage *next;        /* of the call */
	struct dialog *dialog;
	struct timer timer;
	uint64_t end_ms;
	char *event;               /* package | id */
	uint32_t refer_cseq[2];    /* its REFER's number on each side */
	uint32_t asked_s;          /* the last SUBSCRIBE's Expires */
	uint32_t last_cseq;        /* of the NOTIFY that terminates it, from its side */
	uint16_t package_len, id_len;
	uint8_t notifier;          /* enum side */
	uint8_t n_relays;          /* requests on their way that concern it */
	bool is_refer, is_established, is_over;
};

struct call {
	struct node in_all;
	struct b2bua *b;
	struct setup *setup;       /* until answered */
	struct leg near;
	struct leg *far;           /* once answered */
	struct node dialogs, relays;
	struct timer timer;        /* longest duration, or before it the first question whether its ends are there */
	struct session *session;   /* NULL: no session timer, and nobody has been asked yet */
	uint64_t started_ms, answered_ms;
	uint16_t shard, status;
	uint8_t n_dialogs, n_relays;
	uint8_t moving;            /* enum moving (move.h) */
	uint8_t n_moves;           /* to other destinations */
	uint8_t method;
	bool is_ending : 1;
	bool is_stuck : 1;         /* it holds a struct stick (stick.c) */
	uint8_t ahead;             /* of `cseq`: what the far side knows its INVITE by (422 used numbers up) */
	bool is_kept;              /* by its usages: no session (any more), only subscriptions */
	uint16_t policy;           /* header rules of its route and pool, held; 0: none */
	uint16_t trunk;            /* slot + 1 of the one it came from, where it has its place; 0: none */
	uint32_t cseq;             /* of the request it began with */
	uint32_t longest_ms;       /* from its answer on */
	struct usage *usages;
};

/* What is left of an ended dialog for 32 s. */
struct tombstone {
	struct link near;          /* key: the near leg's id */
	struct link from_near, from_far; /* keys: what a request of either side is known by (tomb_key) */
	struct node in_ended;
	struct timer timer;
	struct b2bua *b;
	uint16_t challenger;       /* slot + 1 of the destination that asked for credentials; 0: none */
	uint8_t ahead, raises;     /* as in the attempt that it asked */
	bool has_dialog, has_far;
	uint32_t min_s;
};

/* A leg and the binding over whose flow it began (rebind.c). */
struct tie {
	struct link by_binding, by_leg; /* keys: their ids */
	struct leg *leg;
	uint64_t aor;              /* key */
};

/* A 2xx that nobody had acknowledged when the call ended: repeated until somebody does. */
struct echo {
	struct link in_table;      /* key: the id in the token that its ACK carries as our tag */
	struct node in_echoes;
	struct b2bua *b;
	struct server_txn *st;
	uint32_t cseq;
};

/* The Date header of this second. */
struct date_line {
	int64_t s;
	size_t len;
	char text[48];
};

/* The Contact that we register at a trunk. */
struct trunk_contact {
	uint64_t id;
	uint16_t slot, zone;
};

struct b2bua {
	struct b2bua_params p;
	const struct conf *conf;
	struct hide_index *index;
	struct policies policies;
	uint64_t realm_logged_ms;     /* 0: never */
	struct guard guard;
	struct table legs, dialogs, tombs, redirects, echoes;
	struct slab redirect_slab;
	struct blocks texts;          /* of legs and dialogs */
	struct slab calls, far_legs, dialog_slab, setups, attempts, relays, tombstones, usages, sessions;
	size_t n_kept;                /* calls with subscriptions only */
	size_t n_challenged;          /* tombstones with a challenger */
	struct counters counters, hide_counters, reasons, nat_counters;
	struct node all;
	struct node attempts_lost;    /* given up, their calls gone on */
	struct node ended;            /* tombstones */
	struct node all_echoes;
	struct slab echo_slab, ties;
	struct table ties_by_binding, ties_by_leg;
	struct slab move_slab;
	struct table moves;           /* by their calls */
	unsigned n_moving;            /* of them, under way */
	struct node all_redirects;
	struct node trunk_watches;    /* BYEs of ours to trunks with credentials */
	struct node accounts;         /* our registrations at trunks (account.h) */
	struct trunk_contact *contacts; /* those of all workers, by id */
	unsigned n_accounts, n_contacts;
	bool has_accounts_missing;
	struct table waiting;         /* requests whose names were asked for elsewhere, by ticket */
	struct table flow_ends;       /* flows by which REGISTERs came that wait (flowend.h) */
	uint64_t last_ticket;
	struct date_line date;
	struct sticky *sticky;        /* keys that this worker owns */
	struct table sticks;          /* of calls, by their near leg's id */
	struct node owed_sticks;      /* whose end could not be told yet */
	struct timer owed_timer;
	bool is_closed, is_ending;    /* is_ending: nobody is told anything any more */
};

static inline struct sv leg_part(const struct leg *l, size_t skip, uint16_t len)
{
	return (struct sv){ l->text ? l->text + skip : "", l->text ? len : 0 };
}
static inline struct sv leg_call_id(const struct leg *l)
{
	return leg_part(l, 0, l->call_id_len);
}
static inline struct sv leg_local(const struct leg *l) /* near: To without our tag; far: From with it */
{
	return leg_part(l, l->call_id_len, l->local_len);
}
static inline struct sv leg_remote(const struct leg *l) /* near: From with its tag; far: To without tag */
{
	return leg_part(l, (size_t)l->call_id_len + l->local_len, l->remote_len);
}
static inline struct sv leg_target(const struct leg *l) /* near; far: trunk_home */
{
	return leg_part(l, (size_t)l->call_id_len + l->local_len + l->remote_len, l->target_len);
}
static inline struct sv leg_routes(const struct leg *l) /* near only: "<a>, <b>" in the order to use */
{
	return leg_part(l, (size_t)l->call_id_len + l->local_len + l->remote_len + l->target_len, l->routes_len);
}
static inline size_t leg_text_len(const struct leg *l)
{
	return (size_t)l->call_id_len + l->local_len + l->remote_len + l->target_len + l->routes_len;
}
static inline size_t dialog_text_len(const struct dialog *d)
{
	return (size_t)d->tag_len + d->target_len + d->routes_len;
}
static inline struct sv dialog_tag(const struct dialog *d)
{
	return (struct sv){ d->text, d->tag_len };
}
static inline struct sv dialog_target(const struct dialog *d)
{
	return (struct sv){ d->text + d->tag_len, d->target_len };
}
static inline struct sv dialog_routes(const struct dialog *d)
{
	return (struct sv){ d->text + d->tag_len + d->target_len, d->routes_len };
}

struct leg_text {
	struct sv call_id, local, remote, target, routes;
};

/* call.c: lives and deaths */
/* `contact`: the URI of the request's Contact, or empty. */
struct call *call_new(struct b2bua *b, const struct request *r, uint64_t leg_id, struct sv contact);
/* An empty one, its near leg known by `leg_id`. */
struct call *call_alloc(struct b2bua *b, uint64_t leg_id, uint16_t shard);
int leg_set_text(struct b2bua *b, struct leg *l, const struct leg_text *t);
struct leg *leg_new(struct b2bua *b, struct call *c, uint64_t id);
void leg_free(struct b2bua *b, struct leg *l);
/* Its place at the destination is free; how long the call had it, is remembered. */
void leg_release(struct b2bua *b, struct leg *l);
struct dialog *dialog_new(struct call *c, struct leg *far, uint64_t id, struct sv tag, struct sv target, struct sv routes);
struct dialog *dialog_by_far_tag(struct call *c, const struct leg *far, struct sv tag);
int dialog_set_text(struct b2bua *b, struct dialog *d, struct sv tag, struct sv target, struct sv routes);
void dialog_free(struct dialog *d);
void dialogs_free(struct call *c);
void dialogs_free_of(struct call *c, const struct leg *far);
/* Everything of the call goes; transactions live on alone. */
void call_free(struct call *c);
/* The same with tombstone and call record. */
void call_finish(struct call *c, enum why why);
/* BYE to the sides named by the bits (1 << side), then call_finish. */
void call_hangup(struct call *c, unsigned sides, enum why why);
/* False: no memory for one. */
bool tombstone_new(struct call *c);
/* Is this a request within a dialog that has ended, its identifiers agreeing as they would have had to while it lasted? */
bool tombstone_has(const struct b2bua *b, const struct request *r);
/* Of this near leg, one that a destination asked for credentials, or NULL. */
const struct tombstone *tombstone_challenged(const struct b2bua *b, uint64_t near_id);
bool is_trusted(const struct b2bua *b, const struct path *p);
uint16_t path_zone(const struct b2bua *b, const struct path *p);
int conf_listener_for(const struct conf *c, uint16_t zone, uint8_t transport, uint8_t family);
void write_cdr(const struct call *c, enum why why);

/* compose.c: messages we write */
struct compose {
	struct b2bua *b;
	struct out o;
	struct names *names;          /* whom the message names (transfer.h); may be NULL */
	const struct leg *to;         /* set by compose_rest */
	const struct conf_rewrite *rewrite; /* of asserted identities; NULL: none */
};
struct outgoing {                 /* the fixed part of one request towards a leg */
	struct sv method;
	const struct leg *leg;
	struct sv uri, routes;        /* target and route set; a strict router is dealt with here (§12.2.1.1) */
	struct sv local_tag, remote_tag; /* to be added to the leg's local and remote values; empty: they have theirs or need none */
	uint64_t branch_id;
	uint32_t cseq;
	unsigned max_forwards;
};
void compose_request(struct compose *c, const struct outgoing *m);
/* Contact of ours for `leg` if `v`, which came from `from`, has one, with its feature parameters. */
void compose_contact(struct compose *c, const struct leg *leg, const struct view *v, const struct path *from);
/* Everything of `v` that may pass from `from` to `to`, then Content-Length and body. */
void compose_rest(struct compose *c, const struct view *v, const struct path *from, const struct leg *to);
void out_body(struct out *o, struct sv body); /* Content-Length and body */
struct buf *compose_done(struct compose *c);
void compose_reason(struct compose *c, enum why why);
/* The same, whoever asks for it. */
void compose_own_contact(struct compose *c, const struct leg *leg);
/* The fixed part of a request of our own within a dialog; `tag` is room for a token. */
struct outgoing own_request(const struct dialog *d, enum side to, struct sv method, uint32_t cseq, char tag[TOKEN_LEN]);
struct sv tag_token(struct b2bua *b, uint16_t shard, uint64_t id, char out[TOKEN_LEN]);
/* A request of our own within a dialog (BYE): composed and sent; nobody waits for it. */
int send_bye(struct dialog *d, enum side to, enum why why); /* 0, -ENOMEM, or as client_start */
void hide_from(struct hide *h, struct b2bua *b, const struct view *v, const struct path *from);
/* The words of a response, if they name nobody on the side it comes from. */
struct sv compose_phrase(struct b2bua *b, const struct view *v, const struct path *from);
/* A From or To of `v` without what names the side it comes from, beside its URI (DECISIONS 14). */
struct sv compose_address(struct b2bua *b, struct arena *a, const struct view *v, const struct path *from, struct sv value);
/* Record-Route values as a route set: §12.1.1 in order, §12.1.2 reversed. */
struct sv route_set(struct arena *a, const struct view *v, bool is_reversed);
struct sv contact_uri(const struct view *v);
/* The same, of a request that begins something; a REGISTER's are for registrars. False: there is a Contact, and its value is none. */
bool contact_read(const struct view *v, struct sv *contact);
/* The same; `known`, found good before, needs no second look. */
struct sv contact_uri_again(const struct view *v, struct sv known);
/* The same, and its parts; `u->host` is empty when there is none, or it was known. */
struct sv contact_uri_parsed(const struct view *v, struct sv known, struct uri *u);
/* follow.c: who is reached where his packets come from, and what moves him (DECISIONS 26) */
/* Is the sender of this request, which begins something? */
bool is_followed(const struct b2bua *b, const struct request *r);
/* Somebody has come whose signs of a NAT are counted. */
void nat_count(struct b2bua *b, const struct request *r);
/* The far side of a dialog says that it is at `host`: where it cannot be, it is reached where its INVITE went. */
void leg_strays(struct leg *far, struct sv host);
/* Somebody who knows the leg's token, Call-ID and tags sends a new request of its dialog. False: it is not known to be the leg's own
 * client; it gets its answer, and nothing else moves. */
bool leg_heard(struct leg *l, const struct path *from);
/* rebind.c: calls of registered clients go where their bindings go */
/* The leg began over the flow of this binding of that AOR (its key). 0: of none. */
void leg_tie(struct b2bua *b, struct leg *leg, uint64_t aor, uint64_t binding);
void leg_untie(struct b2bua *b, struct leg *leg); /* only of one that is */
bool leg_is_tied_to(const struct b2bua *b, const struct leg *leg, uint64_t *aor, uint64_t *binding);
/* A request of a tied leg's dialog came from elsewhere: is that its client? True: yes, and the leg has moved. Else it is asked of the
 * worker that knows the client's bindings, if need be, and the leg moves when the answer is there. */
bool leg_asks(struct leg *leg, const struct path *from);
void flow_errand_arrive(struct b2bua *b, struct b2bua_errand *e);
void flow_errand_free(struct b2bua_errand *e);

/* What became of a request that the transport could not deliver to it. */
enum why leg_lost(const struct leg *l);
/* A CANCEL whose Via is not that of its INVITE any more, from the same client: it is dealt with. False: it cancels nothing. */
bool cancel_strayed(struct b2bua *b, const struct request *r);

/* The dialog's remote target, which was just set, has these parts. */
void hop_learn(struct dialog *d, const struct uri *target);
/* Whom to ask for the address of the next request of this target and route set. 0 with q->host empty when the leg's path will
 * do as it is (or, where it has none, nothing would: a host in .invalid); -EBADMSG when the hop is no SIP URI. `q` points into the
 * given strings. */
int next_hop(const struct leg *l, struct sv target, struct sv routes, struct resolve_query *q);
/* The leg's path towards a resolved address. -EAFNOSUPPORT: the zone has no such listener. */
/* Where a request of ours goes that does not wait for a name: to its next hop if that is an address, else where the leg's last one went. */
struct path path_at_hand(const struct b2bua *b, const struct leg *l, struct sv target, struct sv routes);
/* §18.1.1: a request of `len` bytes is too large for a datagram, and the next hop is configured to have TCP: then `path` leads there. A
 * large request to who has none goes as it is, and is counted. */
bool path_outgrown(const struct b2bua *b, struct path *path, size_t len);
int path_to(const struct b2bua *b, struct path *path, uint16_t zone, uint8_t transport, const struct addr *to);
/* tlsname.c: over TLS, whoever is at the end of `path` has to prove to be `host`, its next hop as it is written; or what is configured
 * for a destination at that address. */
void path_expect(const struct b2bua *b, struct path *path, struct sv host);
void path_expect_direct(const struct b2bua *b, struct path *path, const struct direct *direct);
/* `was`: the name of the leg's path so far, if it leads to the same place; or 0. */
void path_expect_within(const struct relay *r, struct path *path, uint32_t was);
void path_expect_destination(const struct b2bua *b, struct path *path, const struct conf_destination *d);

/* Our address as `leg`'s remote has to write it, with its transport. */
void compose_our_host(struct compose *c, const struct leg *leg);
/* "sip:TOKEN@our-address", as `leg`'s remote has to write it. */
void compose_our_uri(struct compose *c, const struct leg *leg, enum token_kind kind, struct token t);

/* initial.c: requests that begin something */
enum { UNSUPPORTED_MAX = 512 };
/* For WHY_EXTENSION: the line that says which (empty when they are too many); for WHY_SESSION_SHORT: Min-SE. Else empty. */
struct sv refusal_line(const struct b2bua *b, enum why why, const struct request *r, char area[UNSUPPORTED_MAX]);
/* Does `v` ask for an extension of proxies? Not in a CANCEL or ACK (RFC 3261 §20.29). */
bool wants_extension(const struct view *v);
void initial_request(struct b2bua *b, const struct request *r);
struct route_query;
struct conf_trunk;
/* `trunk`: that it came from, or NULL. */
struct route_query query_of(const struct b2bua *b, const struct view *v, const struct path *from, const struct conf_trunk *trunk);

/* direct.c: what our tokens stand for */
static inline struct sv direct_uri(const struct direct *d)
{
	return (struct sv){ d->text, d->uri_len };
}
static inline struct sv direct_routes(const struct direct *d)
{
	return (struct sv){ d->text + d->uri_len, d->routes_len };
}
/* NULL: unknown, gone, of another zone, or memory is out. free() ends it. */
struct direct *direct_new(uint16_t zone, const struct path *path, struct sv uri, struct sv routes);
/* Whose Contact this is: the leg whose remote is meant, and its dialog (NULL where a near leg has none yet). NULL: unknown, gone, or
 * of another zone than `zone`. */
struct leg *direct_leg(struct b2bua *b, struct token t, bool is_transfer, uint16_t zone, struct dialog **dialog);
struct direct *direct_find(struct b2bua *b, const struct request *r);
void redirect_free(struct redirect *r);
/* Contacts of a 3xx as tokens of ours. */
void compose_redirects(struct compose *c, struct attempt *a, const struct view *v, const struct path *from);

/* privacy.c: From and To of a far leg as they may be seen where it leads; out of `a` when they change. 0, -ENOMEM, or -ENOTSUP: privacy
 * that cannot be had is critical. */
int far_names(struct b2bua *b, const struct leg *far, struct arena *a, const struct view *v, struct sv *from, struct sv *to);
/* For struct hide: an asserted identity's URI by the rule of `ctx`, a struct compose. */
struct sv rewrite_identity(void *ctx, struct arena *a, struct sv uri);

/* A From or To value with its URI exchanged. (dial.c) */
struct sv with_uri(struct arena *a, struct sv value, struct sv old, struct sv uri);

/* initial.c */
/* By a rule, or straight to what one of our tokens stands for (`direct`, which it takes), or to r->located. */
void start_call(struct b2bua *b, const struct request *r, struct sv contact, const struct conf_route *rule, struct direct *direct);

/* dial.c: where they go */
void dial(struct setup *s, const struct view *v); /* v NULL: the kept request is read again. May end the call */
void setup_drop(struct setup *s);      /* frees it; its attempts are abandoned */
void setup_fail(struct setup *s);
/* Another destination, unless a provisional was passed on. */
void setup_next(struct setup *s);
/* Is there another address of what was chosen? */
bool setup_has_address(const struct setup *s);
/* One of the setup's, on its way now. 0, or an error: the reason is in s->why. `branch`: of a fork, or 0. */
int attempt_begin(struct setup *s, const struct view *v, const struct path *path, const struct direct *direct, uint8_t branch);
/* The one that made this leg, or NULL. */
struct attempt *attempt_of(const struct setup *s, const struct leg *far);
void attempt_leave(struct attempt *a); /* is not its setup's any more: one of the next two follows */
void attempt_abandon(struct attempt *a);
void attempt_drop(struct attempt *a);  /* frees it; its transaction lives on alone */
/* Takes the far leg of a call that ends: answers of its forks that are still under way are acknowledged and ended. */
void attempt_adopt(struct b2bua *b, struct leg *far);
void refuse(struct b2bua *b, const struct request *r, enum why why, unsigned status);
/* The same with lines of the caller's. */
void refuse_with(struct b2bua *b, const struct request *r, enum why why, unsigned status, struct sv lines);

/* register.c: REGISTER to a registrar of ours */
void register_request(struct b2bua *b, const struct request *r, const struct uri *uri, const struct conf_route *rule);

/* The same request once more, on the same leg with the next CSeq (RFC 4028 §7.3). 0, or an error: then nothing is on its way. */
int attempt_again(struct attempt *a);
/* The same because of a challenge of a trunk's, with its credentials. False: the one that was refused stands. */
bool attempt_authorized(struct attempt *a, const struct conf_trunk *t, const struct view *v);
/* pooled.c: between a call and its pool */
/* `v`: the request, or NULL: the kept one. */
struct pool_query pooled_query(const struct setup *s, const struct conf_pool *pool, const struct view *v);
/* Evidence from a final response: how the destination is, and whether it wants a rest. */
void pooled_answered(const struct attempt *a, const struct view *v);
/* The first response to one that is_timed. */
void pooled_heard(struct attempt *a);
/* Of a response: Retry-After in seconds, a day at most; 0: none. */
uint32_t retry_after_s(const struct view *v);

/* redirect.c: where 3xx lead */
/* Its Contacts, if this call follows them and any can be; what they lead to is tried by redirect_next. */
bool redirect_take(struct attempt *a, const struct view *v);
bool redirect_has_next(const struct setup *s);
/* Dials the best one not tried yet. False: there is none. True: it may have ended the call. */
bool redirect_next(struct setup *s, const struct view *v);
/* For a fork, whose branches are redirected each for itself: `uri`, to which `hop` redirections have led, sends the call on. False: it does
 * not follow, or memory is out. */
bool redirect_begin(struct setup *s, uint8_t hop, struct sv uri);
/* The best one not tried yet is; it is the caller's. NULL: there is none, or memory is out. */
struct direct *redirect_pop(struct setup *s, uint16_t *q, uint8_t *hop);
/* Does this redirection lead back to ourselves? */
bool redirect_is_loop(const struct conf *c, const struct direct *d, const struct addr *to);

/* `leg` becomes the attempt's. NULL: memory is out, and it stays the caller's. */
struct attempt *attempt_alloc(struct setup *s, struct leg *leg);
extern const struct client_ops attempt_ops;
extern const struct server_ops setup_server_ops;

/* answer.c: what comes back for them */
void attempt_response(struct attempt *a, const struct view *v, const struct path *from);
void stray_2xx(struct b2bua *b, struct leg *far, struct client_txn *ct, const struct view *v);
extern const struct client_ops stray_ops;
/* One response towards the near side, with the tag of this id. */
int setup_pass(struct setup *s, const struct view *v, const struct path *from, uint64_t tag_id);
/* Answered by `a`: the setup goes, what the call keeps was taken out of it. */
void setup_leave(struct attempt *a);
/* Where it goes is neither told by a token nor where somebody is registered. */
static inline bool setup_is_pooled(const struct setup *s)
{
	return !s->direct && !s->fork;
}

/* usage.c: subscriptions */
/* Are there as many calls with nothing else as there may be calls? */
bool usages_are_full(struct b2bua *b);
/* A SUBSCRIBE, REFER or NOTIFY on its way: the relay joins its usage. False: no room for a new one. */
bool usage_join(struct relay *r, const struct view *v);
void usage_leave(struct relay *r);
/* Its final status, `v` NULL when the answer is ours. */
void usage_answered(struct relay *r, unsigned status, const struct view *v);
/* What this side calls otherwise than the other in a request of `r->usage` is written; what is left to pass: `v`, or `other` made of it. */
const struct view *usage_lines(struct compose *c, const struct relay *r, const struct view *v, struct view *other);
/* RFC 6665 §4.1.2.4: a NOTIFY in a dialog that nobody knows belongs to a SUBSCRIBE under way, or to a fork of it. NULL: it does not. */
struct dialog *usage_dialog(struct leg *far, const struct view *v);
/* Does this 2xx to the initial request begin a dialog? */
bool begins_usage(const struct setup *s, const struct view *v);
void usage_begin(struct attempt *a, const struct view *v, const struct path *from);
/* Alive for USAGE_NEW_MS. NULL: the call has too many, or memory is out. */
struct usage *usage_new(struct dialog *d, enum side notifier, struct sv package, struct sv id);
void usage_until(struct usage *u, uint64_t in_ms);
void usages_free(struct call *c, const struct dialog *d);
/* Does the call go on when its session ends? */
bool usage_keeps(const struct call *c, enum why why);
void usage_keep(struct call *c);
/* From now on it is no session: it takes no place at its destination, and goes with its last usage. */
void call_keep(struct call *c);
/* May a request of this method come? Some need a session. */
bool usage_admits(const struct call *c, uint8_t method);

/* watch.c: bodies of event packages */
bool watch_is_told(const struct view *v); /* of dialogs (RFC 4235) */
bool watch_maps(const struct view *v);    /* does its body cross otherwise than byte for byte? */
struct dialoginfo_names;
/* Every dialog it tells of. */
void watch_each(const struct view *v, void (*fn)(void *ctx, const struct dialoginfo_names *n), void *ctx);
/* WHY_COUNT: `v` has no such body, or one that can be shown to the other side. */
enum why watch_fault(struct b2bua *b, const struct view *v, const struct path *from);
/* Content-Length and the body as c->to may see it. */
void watch_out(struct compose *c, struct hide *h);

/* hop.c: what a URI says of its next hop, and the next one when that one fails (RFC 3263 §4.3) */
/* The addresses found for a request within a dialog: the leg takes the one it has spoken to last if that is among them, else the first it
 * can reach; others are kept for when it fails. -ENETUNREACH: it can reach none. */
int hops_take(struct relay *r, const struct view *v, const struct resolve_answer *a);
/* On to the next one: false if there is none. It becomes the leg's only once somebody there knows the dialog: hops_heard. */
bool hops_next(struct relay *r);
/* Where the request goes now. */
const struct path *hops_path(const struct relay *r);
/* How many have been tried before this one: makes another branch of the same request. */
unsigned hops_tried(const struct relay *r);
/* The request as it came, read again. -EBADMSG: it is not kept. */
int hops_request(const struct relay *r, struct view *v);
/* It is on its way. */
void hops_watch(struct relay *r);
/* Something came back. False: it would end the dialog or its BYE, but is another server's than the dialog's: that this one knows nothing
 * of the dialog says nothing of the one that has it. */
bool hops_heard(struct relay *r, unsigned status);
void hops_free(struct relay *r);
/* Fills in `transport`, or what will do (`transports`); returns the one it stands for otherwise, T_NONE if it contradicts itself. */
uint8_t hop_transport(const struct uri *u, struct resolve_query *q);
/* path_to the i-th address found. */
int path_to_answer(const struct b2bua *b, struct path *path, uint16_t zone, const struct resolve_answer *a, unsigned i);
/* resolve() for who sends from this zone: only what its listeners can reach. */
int hop_resolve(const struct b2bua *b, uint16_t zone, const struct resolve_query *q, struct resolve_answer *out,
                void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id);

/* echo.c: answers that outlive their call */
void echo_new(struct relay *r);        /* takes the relay's server transaction */
void echo_ack(struct b2bua *b, uint64_t id, uint32_t cseq);
void echo_free(struct echo *e);

/* target.c: remote targets and what moves them (§12.2) */
void target_asked(struct relay *r, const struct view *v);
void target_answered(struct relay *r, const struct view *v);
/* What one side says with no relay between: a refresh that we answer, or an answer to one of ours. */
void target_moved(struct dialog *d, enum side side, const struct view *v);
void target_forget(struct relay *r);
void target_recall(struct relay *r, struct sv uri); /* from a record */
/* Where an INVITE went, for who answers it without Contact: its Request-URI, read into `v`. NULL: it is not kept any more. */
struct sv invite_uri(const struct client_txn *ct, struct view *v);
/* The far target of a dialog whose INVITE may have no final response yet. */
struct sv target_early(const struct dialog *d);

/* relay.c: requests within a dialog */
struct leg *leg_find(const struct b2bua *b, uint64_t id); /* of a call; one given up is not found */
void dialog_request(struct b2bua *b, const struct request *r);
/* What each accepted request says of the side that sent it: its CSeq, and whence it sends. */
/* False: that may be somebody else (leg_heard). */
bool dialog_heard(struct dialog *d, enum side side, const struct request *r);
struct relay *relay_new(struct call *c, struct dialog *d, enum side from, const struct view *v);
/* The request could not be passed: the side it came from gets this instead, and the relay is gone. */
void relay_refuse(struct relay *r, enum why why);
void relay_free(struct relay *r);
/* RFC 3264 §6: every stream of the offer refused, for an answer that its owner never gave: Content-Type, Content-Length, body. */
void refuse_offer(struct compose *c, struct sv offer);
/* The INVITE's 2xx went out: repeat it until the ACK. */
void relay_await_ack(struct relay *r);
void relay_repeat(struct relay *r); /* the same from a record, its answer given */
void relay_watch(struct relay *r);  /* the deadline of one that waits for its answer */
void relay_ack(struct relay *r, const struct request *request);
/* Nobody acknowledged the 2xx it passed: we do, refusing the offer if there is one (DECISIONS 11). */
void relay_ack_alone(struct relay *r);
/* To the next address, if there is one: true. */
bool relay_again(struct relay *r);
extern const struct server_ops relay_server_ops;
extern const struct client_ops relay_client_ops;

#endif
