/* tests/flow/cast.h - any number of phones, each with one dialog, for flows with more than two parties. A phone makes up its own
 * identifiers, marked with its side, and checks that whatever it gets names its own dialog and nothing else. */
#ifndef TESTS_FLOW_CAST_H
#define TESTS_FLOW_CAST_H
#include "tests/flow/flow.h"

#define DAVE "10.0.0.23:5060"
/* Neutral addresses: bodies pass as they are. */
#define OFFER "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
#define ANSWER "v=0\r\no=- 2 1 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

/* Tests of two parties run in both directions: Alice on the public side calls Bob in the core, and from the core to the public side. */
const char *cast_yaml(void);   /* user `bob` is where the callee is */
const char *cast_caller(void); /* addresses */
const char *cast_callee(void);
const char *cast_router(void); /* of a Record-Route on the callee's side, without port */
struct CMUnitTest;
int cast_run_both_ways(const struct CMUnitTest *tests, size_t n); /* for main(): cmocka is included there */

struct phone {
	struct rig *rig;
	const char *name, *at, *listener; /* listener: of the SBC, where it sends */
	const char *features;             /* parameters of its Contact, or NULL */
	const char *route;                /* Record-Route it adds to 1xx and 2xx, or NULL */
	char tag[40], call_id[128], branch[64], uri[64]; /* uri: its Contact's */
	char local[256], remote[256];     /* values of From and To, with tags once there are some */
	char target[256], invite_uri[256], invite_to[256];
	unsigned cseq, peer_cseq, invite_cseq;
	bool is_callee, has_no_contact, has_no_contact_ever; /* in its provisionals, and in its answer */
	struct got got, invite;           /* what came last but INVITEs; the last INVITE */
	struct got *last;
};

/* Its side follows from its address: 10.0.0.* is the core. */
void phone_new(struct phone *p, struct rig *rig, const char *name, const char *at);
/* Another phone behind the same server that got the same INVITE (a fork): its own tag and Contact. */
void phone_fork(struct phone *p, const struct phone *of, const char *name);
/* The caller in the dialog of what `of` got last; `of` may get another dialog from the same INVITE. */
void phone_twin(struct phone *p, const struct phone *of);
void phone_free(struct phone *p);

/* Everything that the SBC sends from now on is searched for what belongs to the other side. */
void cast_watch(struct rig *rig);

/* An INVITE to `uri`, or any request that begins something; `body` with its Content-Type unless empty. */
void phone_calls(struct phone *p, const char *uri, const char *extra, const char *body);
void phone_begins(struct phone *p, const char *method, const char *uri, const char *extra, const char *body);
/* A request within its dialog. */
void phone_asks(struct phone *p, const char *method, const char *extra, const char *body);
/* PRACK for the reliable provisional it got last. */
void phone_pracks(struct phone *p, const char *body);
void phone_acks(struct phone *p, const char *body);     /* the 2xx it got last */
void phone_acks_refusal(struct phone *p);               /* the 3xx to 6xx it got last */
void phone_cancels(struct phone *p);                    /* its last INVITE */

/* The next message at its address begins with `start` and belongs to its dialog, or begins one. */
void phone_gets(struct phone *p, const char *start);
/* Answers what it got last; the last INVITE. */
void phone_answers(struct phone *p, unsigned status, const char *extra, const char *body);
void phone_answers_invite(struct phone *p, unsigned status, const char *extra, const char *body);
/* `p` asks, `q` gets it and answers, `p` gets that. */
void phones_exchange(struct phone *p, struct phone *q, const char *method, unsigned status);
/* `a` calls, `b` rings and answers, `a` acknowledges; OFFER and ANSWER. */
void phones_talk(struct phone *a, struct phone *b, const char *uri);
/* The whole BYE. */
void phones_end(struct phone *p, struct phone *q);
/* `b` answers the INVITE that `a` sent: 200 and ACK. */
void phones_answered(struct phone *a, struct phone *b);

/* The call of `p` as he names it for who is at its other end: Replaces and the like. Four may be in use at once. */
const char *phone_call_name(const struct phone *p);
/* Everything but letters and digits as %xx. */
const char *uri_escaped(const char *text, char *area, size_t size);
/* Refer-To and Referred-By of somebody who transfers to the other end of `p`'s call; `header` in the URI names it. */
const char *phone_refer_lines(const struct phone *p, const char *header);
/* What a REFER asks for: the URI, and the header in it with its value; and who asks. */
struct wish {
	char uri[512], header[64], dialog[512], by[256];
};
void wish_of(const struct got *refer, struct wish *w);
/* The header names the call of `p` as he himself knows it. */
void call_is_named(const struct got *g, enum hdr_id header, const struct phone *p);
void phone_notifies(struct phone *from, struct phone *to, const char *state); /* Event: refer */
/* `from` refers `to` to the other end of `other`: REFER, 202, NOTIFY, 200. */
void phone_refers(struct phone *from, struct phone *to, const struct phone *other, const char *header, struct wish *wish);
void phone_follows(struct phone *p, const struct wish *w); /* INVITE and 100 */

/* Nothing is on its way to any of them. */
void phones_silent(struct phone *const *all, unsigned n);

#endif
