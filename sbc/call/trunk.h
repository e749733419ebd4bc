/* sbc/call/trunk.h - calls from and to carriers (DECISIONS 17): whose a request is, what a carrier may take, what it is called there, and
 * the credentials it gets from us. Nothing here is asked where the configuration has no trunks. */
#ifndef SBC_CALL_TRUNK_H
#define SBC_CALL_TRUNK_H
#include "sbc/call/call.h"
#include "sip/challenge.h"

enum trunk_call_limits {
	TRUNK_RETRY_S = 5, /* Retry-After of who is refused because of its trunk's limits */
};

/* The trunk that this request came from: by the Contact that we registered, else by its source. NULL: from none. */
const struct conf_trunk *trunk_of(const struct b2bua *b, const struct request *r);
/* A request for the Contact that we registered at a trunk: it goes on as one for the user whom we registered. */
void trunk_contact(struct b2bua *b, const struct request *r);
/* The same of a call; NULL, too, once the trunk is gone. */
const struct conf_trunk *trunk_of_call(const struct call *c);
/* A call begun by `r` takes its place at the trunk it came from, if it came from one. 0; or -EBUSY or -EAGAIN, as trunk_enter. */
int trunk_admit(struct call *c, const struct request *r);
/* What a request is refused for that was not admitted; WHY_FULL for any other error. */
enum why trunk_why(int err);
/* And what stands in the refusal. */
struct sv trunk_retry_line(char area[UNSUPPORTED_MAX]);
void trunk_admit_again(struct call *c, struct sv name); /* from a record */
void trunk_go(struct call *c);
/* Whose pool the call is in, or was tried in last; NULL: no trunk's. */
const struct conf_trunk *trunk_called(const struct call *c);
/* Whose pool a new request goes to; NULL: no trunk's, or not to a pool. A REGISTER is its sender's own business, wherever it goes: it keeps
 * its names, and gets no credentials but his. */
const struct conf_trunk *trunk_towards(const struct attempt *a);
/* Request-URI, From and To with the trunk's domain, out of `a`. Names of nobody (".invalid") stay, and what an Identity that passes signs
 * (DECISIONS 8). 0, -ENOMEM or -EBADMSG. */
int trunk_uri(const struct conf_trunk *t, struct arena *a, struct sv *uri);
int trunk_names(const struct b2bua *b, const struct conf_trunk *t, struct arena *a, const struct view *v, struct sv *from, struct sv *to);

/* Credentials (RFC 3261 §22): a challenge of the trunk's own destinations with its realm is answered here, and nobody else hears of it.
 * What was sent comes once more, with the next CSeq, CHALLENGE_TRIES_MAX times at most. */

/* A request of ours once more. */
struct trunk_again {
	struct client_txn *ct; /* of the one that was refused */
	uint64_t branch_id;
	uint32_t cseq;
	uint16_t shard;
	const struct client_ops *ops;
	void *owner;
};
/* Does this response, to whomever we asked, ask for credentials? */
static inline bool trunk_is_challenge(const struct b2bua *b, const struct view *v)
{
	return (v->status == 401 || v->status == 407) && b->conf->n_trunks;
}
/* What a leg towards `t` keeps of where its INVITE goes (leg_target, so that it is in its record): what a name's addresses are within the
 * dialog, is not known for certain. Empty: `t` has no credentials, or is NULL. */
struct sv trunk_home(const struct conf_trunk *t, const struct path *to, char text[ADDR_TEXT]);
/* May a request within this leg's dialog carry a trunk's credentials? It goes to where the leg's INVITE went, to another address that its
 * destinations are known to have, or to a network that its calls come from. */
bool trunk_is_at(const struct b2bua *b, const struct leg *l, const struct path *to);
/* The trunk whose credentials a challenged request may carry. NULL: nobody's; what a trunk with credentials challenged elsewhere, is
 * counted. */
const struct conf_trunk *trunk_asked(struct b2bua *b, const struct leg *l, const struct path *to);
/* 0, and `*out` goes on instead of again->ct, which is let go of. -ENOENT: it cannot be answered; or as client_start. */
int trunk_answer(struct b2bua *b, const struct conf_trunk *t, const struct trunk_again *again, const struct view *v,
                 struct client_txn **out);
/* A challenge to what a relay passed on was dealt with: it was answered, or cannot be, and the relay has been refused. */
bool trunk_relayed(struct relay *r, const struct view *v);
/* A request of ours that nobody waits for (BYE), sent over `l` with this CSeq: whoever challenges it is answered. */
void trunk_watch(struct b2bua *b, const struct leg *l, uint32_t cseq, struct client_txn *ct);
void trunk_watches_free(struct b2bua *b);
/* §13.2.2.4: an ACK over `l` has the credentials that its INVITE, `ct` (NULL: it is over), had. Only where the trunk is: the 2xx may have
 * led elsewhere. */
void trunk_ack_credentials(struct compose *c, const struct leg *l, const struct client_txn *ct);
static inline void trunk_ack_lines(struct compose *c, const struct leg *l, const struct client_txn *ct)
{
	if (c->b->conf->n_trunks)
		trunk_ack_credentials(c, l, ct);
}

#endif
