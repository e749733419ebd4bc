/* registrar/auth.h - is a request from who it says it is from? Digest credentials against nonces and a source's keys, and the challenge
 * where there are none. A request nobody can vouch for costs no memory; what is wrong with it is not said (DECISIONS 31). Per worker. */
#ifndef REGISTRAR_AUTH_H
#define REGISTRAR_AUTH_H
#include "base/counters.h"
#include "registrar/nonce.h"
#include "registrar/users.h"
#include "sip/out.h"
#include "sip/view.h"
#include "transports/net.h"

enum auth_limits {
	AUTH_HEADERS_MAX = 8,        /* credentials of one request that are looked at */
	AUTH_CHALLENGE_MAX = 1024,   /* bytes of our challenges in one answer */
};

enum auth_counter {
	AUTH_CHALLENGES, AUTH_SILENCES, AUTH_ACCEPTED, AUTH_REFUSED, AUTH_STALES, AUTH_NOT_OWNED, AUTH_COUNTERS
};
extern const struct counter_def auth_counter_defs[AUTH_COUNTERS];

enum auth_verdict {
	AUTH_GOOD,
	AUTH_ASK,                    /* of form, with a nonce of ours: the source has to say who that is */
	AUTH_MISSING,                /* no credentials for our realm: challenge */
	AUTH_WRONG,                  /* the same, whatever is wrong with them */
	AUTH_STALE,                  /* only the nonce is not good (any more): challenge with stale=true */
	AUTH_BAD,                    /* no credentials at all by their grammar: 400 */
};

struct auth_query {
	const struct view *v;
	const struct path *from;
	const struct conf_registrar *domain;
	struct sv zone;
	struct sv about;             /* what always comes to this worker, and so is what its nonces are good for (nonce_scope) */
	uint8_t header;              /* HDR_AUTHORIZATION, or HDR_PROXY_AUTHORIZATION */
	uint64_t key;                /* of the request's transaction */
	uint64_t wall_ms;
};

struct auth;

/* `keys` as for nonces_new; `hash` is copied. 0 or -ENOMEM. */
int auth_new(struct auth **out, const uint8_t (*keys)[NONCE_KEY_LEN], unsigned n_keys, const struct hash_key *hash);
void auth_free(struct auth *a);
struct counters *auth_counters(struct auth *a);
struct digester *auth_digester(struct auth *a);

/* AUTH_ASK with `*c` filled, or what to answer without asking anybody. */
enum auth_verdict auth_read(struct auth *a, const struct auth_query *q, struct digest_credentials *c);
/* AUTH_GOOD, AUTH_WRONG or AUTH_STALE. `keys` NULL: nobody is called that, which costs what a wrong password costs. */
enum auth_verdict auth_judge(struct auth *a, const struct auth_query *q, const struct digest_credentials *c, const struct user_keys *keys);
/* The lines that ask for credentials, by the algorithms in `bits`. The same ones when the request is repeated. */
void auth_challenge(struct auth *a, const struct auth_query *q, bool is_stale, unsigned bits, struct out *o);

#endif
