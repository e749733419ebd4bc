/* tests/flow/secret.h - the client's side of digest (RFC 7616), computed apart from the code under test. */
#ifndef TESTS_FLOW_SECRET_H
#define TESTS_FLOW_SECRET_H
#include "tests/flow/flow.h"

enum { SECRET_HEX = 65 };

/* Who somebody says he is, for the realm example.com. */
struct secret {
	const char *user, *password, *algorithm;
	const char *realm, *uri, *method, *qop; /* claimed instead of what is true, unless NULL */
	char nonce[64];                         /* of the last challenge */
	unsigned nc;
};

/* What a file of users holds of a password for example.com. */
void secret_ha1(const char *algorithm, const char *user, const char *password, char out[SECRET_HEX]);
/* The challenge of `g` is answered from now on. */
void secret_take(struct secret *s, const struct got *g, enum hdr_id id);
/* Credentials as a line, with its "\n"; the next call overwrites it. */
const char *secret_line(const struct secret *s, const char *header, const char *method, const char *uri);
/* The n-th header of this id as text, or NULL; the next call overwrites it. */
const char *secret_challenge(const struct got *g, enum hdr_id id, unsigned n);

#endif
