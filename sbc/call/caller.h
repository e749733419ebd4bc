/* sbc/call/caller.h - who sends a request, where the rules or a registrar want to know: credentials are asked for, and held against what
 * a source of users says (DECISIONS 15, 31, 32). */
#ifndef SBC_CALL_CALLER_H
#define SBC_CALL_CALLER_H
#include "registrar/auth.h"
#include "sbc/call/call.h"

/* Somebody who has shown who he is. */
struct caller {
	struct digest_credentials credentials;
	struct user_keys keys;
};

/* What a source of users said that a request waited for. */
struct asked {
	int err;                   /* as of user_ask.answer */
	const struct user_keys *keys;
};

/* Has whoever sends `r` shown that he is a user of `domain`? `header`: where his credentials are, HDR_AUTHORIZATION towards a registrar
 * (401), HDR_PROXY_AUTHORIZATION on the way to others (407). `about`: as in struct auth_query. False: the request was answered, or waits
 * for a source of users and comes again. */
bool caller_shows(struct b2bua *b, const struct request *r, const struct conf_registrar *domain, uint8_t header, struct sv about,
                  struct caller *out);
/* May he speak for this address of record? */
bool caller_owns(const struct caller *c, struct sv user, struct sv host);
/* He may not. */
void caller_refuse(struct b2bua *b, const struct request *r);

/* A rule would take `r` from somebody who has shown who he is. If he says that he is of a domain with users, he is asked (407). True: `q`
 * and `result` are as they are now. False: as caller_shows. */
struct route_query;
struct route_result;
bool caller_admits(struct b2bua *b, const struct request *r, struct route_query *q, struct route_result *result);

#endif
