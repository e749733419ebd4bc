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

/* Has whoever sends `r` shown that he is a user of `domain`? `header`: where his credentials are, HDR_AUTHORIZATION towards a registrar
 * (401), HDR_PROXY_AUTHORIZATION on the way to others (407). `about`: as in struct auth_query. False: the request was answered. */
bool caller_shows(struct b2bua *b, const struct request *r, const struct conf_registrar *domain, uint8_t header, struct sv about,
                  struct caller *out);
/* May he speak for this address of record? */
bool caller_owns(const struct caller *c, struct sv user, struct sv host);
/* He may not. */
void caller_refuse(struct b2bua *b, const struct request *r);

#endif
