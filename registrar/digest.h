/* registrar/digest.h - digest access authentication as a server sees it (RFC 7616, RFC 8760): credentials, read once into a type, and
 * what they are held against. Who may have which nonce is nonce.h's, whose password it is users.h's. */
#ifndef REGISTRAR_DIGEST_H
#define REGISTRAR_DIGEST_H
#include "sip/digest.h"

enum digest_limits {
	DIGEST_USER_MAX = 128,       /* bytes of a username, its escapes undone */
	DIGEST_VALUE_MAX = 1024,     /* of any other value: as long as a Request-URI may be */
	DIGEST_PARAMS_MAX = 32,      /* in one header */
};

/* Authorization or Proxy-Authorization. The slices point into the message, as between the quotes, escapes kept. */
struct digest_credentials {
	struct sv realm, nonce, uri, cnonce, nc_text;
	char user[DIGEST_USER_MAX];
	uint8_t user_len;
	uint8_t algorithm;           /* enum digest_algorithm; DIGEST_ALGORITHMS: one we do not know */
	bool is_complete;            /* everything is there that qop=auth asks for, and is of its form */
	uint32_t nc;
	uint8_t response[DIGEST_KEY_MAX];
};

/* 0 with every field set; what is missing or of no use to us leaves `is_complete` false, so that credentials for others are no fault.
 * -ENOENT: another scheme. -EBADMSG: no such grammar, a parameter twice, beyond a bound, or a username*, which nobody was offered. */
int digest_parse(struct digest_credentials *out, struct sv value);

static inline struct sv digest_user(const struct digest_credentials *c)
{
	return (struct sv){ c->user, c->user_len };
}

/* Was the response made by who knows `ha1`, for a request of `method`? In the same time for every answer. `c` is complete. */
bool digest_matches(struct digester *d, const struct digest_credentials *c, struct sv method, const uint8_t ha1[DIGEST_KEY_MAX]);

#endif
