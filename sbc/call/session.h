/* sbc/call/session.h - how long a call is believed in (RFC 4028). Each leg agrees with its own peer on an interval and on who
 * refreshes: nothing of that is carried over to the other leg. A peer that does no session timers is asked now and then whether it is
 * still there. Private to sbc/call/; included by call.h. */
#ifndef SBC_CALL_SESSION_H
#define SBC_CALL_SESSION_H
#include "base/wheel.h"
#include "sip/txn.h"

struct b2bua;
struct call;
struct compose;
struct conf_zone;
struct dialog;
struct relay;
struct request;
struct setup;
struct tlv_out;

enum session_limits {
	SESSION_MIN_S = 90,            /* RFC 4028 §4: less is no interval */
	SESSION_MAX_S = 86400,         /* more is this: every call has an end (CALL_MAX_MS) */
	SESSION_RAISES_MAX = 2,        /* 422 of one peer to one request of ours: how often it is sent again with more */
	SESSION_MARGIN_S = 32,         /* before the end of the interval, or a third of it: the call is over (§10) */
	SESSION_RETRY_MS = 32000,      /* after an answer that neither refreshes nor ends the call */
	SESSION_PINGS_UNSENT_MAX = 2,  /* questions in a row that the transport refuses to carry */
	SESSION_SDP_MAX = 16384,       /* bytes of a description kept for a re-INVITE */
};

enum session_refresher { REFRESHER_OPEN, REFRESHER_UAC, REFRESHER_UAS };

/* What a message says of it. */
struct session_words {
	uint32_t expires_s;            /* 0: no Session-Expires */
	uint32_t min_s;                /* Min-SE, SESSION_MIN_S without */
	uint8_t refresher;             /* enum session_refresher, of this transaction */
	bool is_supported;             /* `timer` in Supported or Require */
	bool has_allow, has_update;    /* Allow is there; with UPDATE */
};

/* One leg's agreement with its peer. */
struct session_leg {
	struct session *session;
	struct timer timer;            /* the next refresh or question of ours, or the end */
	struct client_txn *ct;         /* of it, on its way */
	struct buf *sdp;               /* what we sent last, when refreshing takes a re-INVITE */
	uint64_t expires_ms;           /* when the interval is over; 0: no timer was agreed on, we ask instead */
	uint32_t interval_s, min_s;    /* min_s: raised by a 422 */
	uint32_t cseq;                 /* of what is on its way */
	uint8_t side, method;          /* method: of what is on its way */
	uint8_t raises, unsent;
	bool is_ours;                  /* we refresh */
	bool has_update;               /* the peer takes UPDATE */
};

struct session {
	struct call *call;
	struct session_leg leg[2];     /* by side */
};

/* Initial INVITE ---------------------------------------------------------------------------------------------------- */

void session_read(struct session_words *w, const struct view *v);
/* Is there anything in `v` that session_read would find? */
static inline bool session_speaks(const struct view *v)
{
	return v->first[HDR_SESSION_EXPIRES] || v->first[HDR_SUPPORTED] || v->first[HDR_REQUIRE];
}
/* §9: an interval below what the zone of `from` allows, from a peer that can be told so. */
bool session_is_short(const struct b2bua *b, const struct path *from, const struct view *v);
/* The Min-SE line for that refusal. */
struct sv session_min_line(const struct b2bua *b, const struct path *from, char area[64]);
/* Our own words in the INVITE of an attempt towards `zone`; `min_s`: raised by 422, or 0. */
void session_offer(struct compose *c, const struct session_words *asked, const struct conf_zone *zone, uint32_t min_s);
/* A 422 to it says that it takes more: what, or 0 when asking again is of no use. */
uint32_t session_raise(const struct session_words *asked, const struct conf_zone *zone, uint32_t min_s, const struct view *v);
/* Our words in the 2xx to the caller. */
void session_accept(struct compose *c, const struct session_words *asked, const struct conf_zone *zone);
/* The call was answered by `v`: both legs' agreements begin, and the call's own timer. `r`: its 2xx and INVITE, as sent. */
void session_begin(struct relay *r, const struct session_words *asked, const struct view *v);

/* Within the dialog: INVITE and UPDATE, and what answers them ------------------------------------------------------- */

/* A refresh and nothing else (UPDATE without a body): answered here. */
bool session_takes(struct dialog *d, unsigned side, const struct request *r);
void session_request_lines(struct compose *c, const struct relay *r);
void session_response_lines(struct compose *c, const struct relay *r);
/* A 2xx passed: both legs begin anew (LESSONS 25). */
void session_renew(struct relay *r, const struct view *v);
/* The side it went to wants a longer interval: next time. False: it said no number. */
bool session_told(struct relay *r, const struct view *v);
/* What we sent to a side, for a re-INVITE of ours. */
void session_sent(struct call *c, unsigned side, const struct buf *message);
/* Is a re-INVITE of our own on its way? Is anything? */
bool session_is_inviting(const struct call *c);
bool session_is_asking(const struct call *c);
/* Our words in a re-INVITE of our own that is more than a refresh, and what its 2xx has settled; `is_another`: it is another peer's. */
void session_ask_lines(struct compose *c, const struct call *call, unsigned side);
void session_settled(struct call *c, unsigned side, const struct view *v, bool is_another);

/* Life -------------------------------------------------------------------------------------------------------------- */

/* (Re-)arms the call's own timer: for its longest duration, or for the first question whether its ends are there. */
void session_watch(struct call *c);
/* That timer fired: true when it was the question. */
bool session_asks(struct call *c);
void session_free(struct call *c);
/* For another node: remaining times travel. */
void session_put(struct tlv_out *o, uint8_t field, const struct call *c);
int session_apply(struct call *c, struct sv bytes);

#endif
