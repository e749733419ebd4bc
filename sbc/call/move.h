/* sbc/call/move.h - calls that leave a destination and go on at another one (`sbcctl drain --then move`), while the near side notices
 * nothing but a re-INVITE:
 *
 *   near side                    us                    new destination       old one
 *      |<-- INVITE, no offer -----|                           |                 |
 *      |--- 200, offer ---------->|--- INVITE, that offer --->|                 |
 *      |<-- ACK, answer ----------|<-- 200, answer -----------|                 |
 *      |                          |--- ACK ------------------>|                 |
 *      |                          |--- BYE ------------------------------------>|
 *
 * One offer and one answer (RFC 3264, RFC 3725 §4.1), and until the new destination has answered nothing has changed at the old one. If
 * nobody else takes the offer, the old one gets it in a re-INVITE, and its answer goes back: the call stays where it was. The offer is
 * asked for each time, so that a call costs no memory for it.
 * A trunk among the three that wants its credentials gets them (trunk.h), for each of these INVITEs.
 * A record says nothing of a move: on another node the call is where it was (DESIGN §7). */
#ifndef SBC_CALL_MOVE_H
#define SBC_CALL_MOVE_H
#include "sbc/call/call.h"

enum move_limits {
	MOVES_AT_ONCE = 50,            /* under way on one worker: others wait for their turn */
	MOVE_ASK_MS = 8000,            /* for the near side's offer; it is cancelled then */
	MOVE_DIAL_MS = 10000,          /* for other destinations to answer: the 2xx is repeated meanwhile, for 32 s at most */
	MOVE_RETURN_MS = 12000,        /* for the old destination to answer the same offer when no other one did */
	MOVE_REST_MS = 60000,          /* before a call that stayed is tried again; twice as long each time, */
	MOVE_RESTS_MAX = 4,            /* so many times */
	MOVE_NAMED_MS = 2 * SIP_TIMEOUT, /* who is named (Replaces and the like) is found under that name so long */
};

/* Where a call is on its way; up to MOVE_RESTS none is under way. */
enum moving { MOVE_NONE, MOVE_RESTS, MOVE_ASKS, MOVE_WITHDRAWN, MOVE_DIALS, MOVE_RETURNS };

struct move {
	struct link in_table;          /* key: the near leg's id */
	struct call *call;
	struct call *trial;            /* the new destination's: a call that nobody made, without a near side to answer */
	struct timer timer;
	struct client_txn *near, *old; /* INVITEs of ours within the dialogs */
	struct buf *offer;             /* the near side's, as an INVITE that it might have sent */
	uint64_t began_ms, until_ms;   /* until_ms: resting; or for the old destination's answer */
	uint32_t near_cseq, old_cseq;
	uint8_t n_stays;
	bool is_named;                 /* meanwhile: it has to stay */
};

/* A request within the dialog of a call that has a struct move: WHY_COUNT: it may go on. A BYE ends the move. */
enum why move_meets(struct call *c, uint8_t method);
/* The call ends: who waits for an ACK gets one, and nothing of the move is left. The same without a word to the near side. */
void move_stop(struct call *c);
void move_forget(struct call *c);
/* Somebody asks for the call under its present name, to take it over: it stays for a while. */
void move_named(struct call *c);
/* The trial's 2xx. False: it is of no use, and to be ended as any other that comes too late. */
bool move_answered(struct attempt *a, struct dialog *d, const struct view *v, const struct path *from);
/* Nobody takes the trial: it goes. */
void move_unanswered(struct move *m);

#endif
