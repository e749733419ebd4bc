/* tests/flow/roam.h - a client of example.com with an account, who moves from network to network, and her call with Bob. */
#ifndef TESTS_FLOW_ROAM_H
#define TESTS_FLOW_ROAM_H
#include "tests/flow/flow.h"

#define HOTEL "192.0.2.10:41234"     /* where she registers and calls, */
#define TRAIN "198.51.100.7:50001"   /* where she is next, */
#define CAFE "203.0.113.200:6000"    /* and then */
#define THIEF "192.0.2.66:5060"
#define INNER "sip:alice@192.168.1.2:5060;ob"
#define PHONE ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1"
#define ROAM_YAML(auth) \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { zone: core, callee: registered }, to: location }, " \
	"{ when: { zone: public, caller: registered }, to: { pool: apps } }]\n" \
	"registrar: { example.com: { auth: " auth ", expires: { min: 60s, max: 1h, jitter: 0 } } }\n"

/* One end of a dialog. */
struct end {
	char local[256], remote[256], call_id[128], target[256]; /* From and To of its requests; target: where they go */
	unsigned cseq;
};

/* A client of example.com, who calls Bob or is called by him. */
struct client {
	struct rig *rig;
	struct got got, bobs;             /* what came last for each */
	struct end hers, his;
	const char *at, *to, *contact, *params, *user;
	char file[32], yaml[2048];
	unsigned cseq, branch;
};

/* `auth` as in the configuration; NULL: a file of users with alice and mallory. */
void roam_begin(struct client *c, unsigned workers, const char *auth);
/* Lets every timer run out and checks that nothing is left. */
void roam_end(struct client *c);
/* From `at` to `listener`, with credentials when they are asked for; `is_sure`: it is answered 200, and the other workers have heard of it. */
void registers(struct client *c, const char *at, const char *listener, bool is_sure);
/* She calls Bob; he calls her. */
void calls(struct client *c);
void is_called(struct client *c);
void copy(char *to, size_t size, const char *from);
/* A request of one end, from `at` to `listener`; `contact` NULL: without. */
void says(struct client *c, struct end *e, const char *at, const char *listener, const char *method, const char *contact);
void she_says(struct client *c, const char *method, const char *contact);
void he_says(struct client *c, const char *method);
/* What comes next for her at `at`, and for him. */
void hers(struct client *c, const char *at, const char *start);
void his(struct client *c, const char *start);
/* 200 */
void answers(struct client *c, const struct got *g, const char *at, const char *listener, const char *to, const char *contact);
/* Bob's next request finds her at `at`, and her answer him. */
void is_found(struct client *c, const char *at, const char *listener, const char *method);
/* Her next request is answered where it came from. */
void is_heard(struct client *c, const char *method, const char *contact);

#endif
