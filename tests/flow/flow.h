/* tests/flow/flow.h - the usual cast: Alice, an untrusted client on the public side; Bob and Carol, servers of the pool on the core
 * side; and the usual lines they say. */
#ifndef TESTS_FLOW_FLOW_H
#define TESTS_FLOW_FLOW_H
#include "tests/flow/rig.h"

#define ALICE "192.0.2.10:5060"
#define BOB "10.0.0.21:5060"
#define CAROL "10.0.0.22:5060"
#define EDGE "udp:203.0.113.10:5060"
#define EDGE_TCP "tcp:203.0.113.10:5060"
#define CORE "udp:10.0.0.10:5060"
#define CORE_TCP "tcp:10.0.0.10:5060"

#define FLOW_ZONES \
	"node: test\n" \
	"zones:\n" \
	"  public:\n" \
	"    listen: [\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\", \"udp:[2001:db8::10]:5060\"]\n" \
	"    domains: [\"example.com\"]\n" \
	"    keepalive: off\n" \
	"  core:\n" \
	"    listen: [\"udp:10.0.0.10:5060\", \"tcp:10.0.0.10:5060\"]\n" \
	"    trust: [\"10.0.0.0/24\"]\n"
#define FLOW_ROUTES "routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }, { when: { zone: core }, to: { pool: apps } }]\n"
/* One destination: Bob. */
#define FLOW_ONE \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES
/* Two: Bob, then Carol. */
#define FLOW_TWO \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES

#define SDP \
	"v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n" \
	"a=rtpmap:0 PCMU/8000\r\n"

/* Both ends of one call as they see it, filled by the functions below as it goes on. */
struct flow {
	struct rig *rig;
	struct got at_alice, at_bob; /* what came last */
	char near_to[256], near_contact[128]; /* To with the SBC's tag, and its Contact, as Alice knows them */
	char far_from[256], far_to[256], far_call_id[64], far_contact[128]; /* as Bob knows them */
	const char *bob;             /* which server has the call */
	const char *bob_tag, *bob_contact; /* what he calls himself: "bob", "<sip:bob@HIS ADDRESS>" unless set */
	unsigned alice_cseq, bob_cseq;
};

void flow_begin(struct flow *f, const char *yaml, unsigned workers, uint64_t seed);
/* Lets every timer run out and checks that nothing is left. */
void flow_end(struct flow *f);

/* Alice's INVITE; expects 100 at Alice and the INVITE at `bob`. */
void flow_invite(struct flow *f, const char *bob);
/* Her INVITE alone, with more lines and another body. */
void flow_alice_calls(struct flow *f, const char *extra, const char *body);
/* She acknowledges a refusal (§17.1.1.3). */
void flow_refused(struct flow *f);
/* Bob answers what he got last; 1xx and 2xx carry his Contact, his tag is "bob". `extra` are lines, each with its "\n"; body may be "". */
void flow_bob_answers(struct flow *f, unsigned status, const char *extra, const char *body);
/* What anybody says to `g`: Vias repeated as they came; `contact`: its value, or NULL; `extra` as above. */
void flow_answer(struct rig *r, const char *who, const char *listener, const struct got *g, unsigned status, const char *to,
                 const char *contact, const char *extra, const char *body);
/* The same for Alice, when Bob asked (her side of the SBC's request). */
void flow_alice_answers(struct flow *f, unsigned status, const char *extra, const char *body);
/* Expects it at the other end and remembers what it says of the dialog. */
void flow_expect_at_alice(struct flow *f, const char *start);
void flow_expect_at_bob(struct flow *f, const char *start);
/* Alice cancels what she asked last; nothing is expected. */
void flow_cancel(struct flow *f);
/* Alice's ACK of the 2xx she got last; expects it at Bob. */
void flow_ack(struct flow *f);
/* A whole call up to the ACK. */
void flow_answered(struct flow *f, const char *yaml, unsigned workers, uint64_t seed);
/* A request of Alice's or Bob's within the dialog. */
void flow_alice_says(struct flow *f, const char *method, const char *extra, const char *body);
void flow_bob_says(struct flow *f, const char *method, const char *extra, const char *body);

#endif
