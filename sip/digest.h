/* sip/digest.h - the hash functions of digest access authentication, and what is computed with them (RFC 7616, RFC 8760): for servers,
 * who read credentials (registrar/digest.h), and for clients, who write some (challenge.h). */
#ifndef SIP_DIGEST_H
#define SIP_DIGEST_H
#include "base/sv.h"

enum digest_algorithm { DIGEST_MD5,
	                DIGEST_SHA256,
	                DIGEST_ALGORITHMS };

enum { DIGEST_KEY_MAX = 32 }; /* bytes of the longest hash */

/* Bytes of its hashes, and how it is called. */
size_t digest_size(enum digest_algorithm algorithm);
struct sv digest_name(enum digest_algorithm algorithm);
/* Of the parameter of that name; DIGEST_ALGORITHMS: one we do not know. */
enum digest_algorithm digest_algorithm_of(struct sv name);

/* The hash functions, looked up and set up once. One thread. */
struct digester;
int digester_new(struct digester **out); /* 0 or -ENOMEM */
void digester_free(struct digester *d);
/* Of the parts one behind the other. 0, or -EIO: the library refuses. */
int digester_hash(struct digester *d, enum digest_algorithm algorithm, const struct sv *parts, unsigned n, uint8_t out[DIGEST_KEY_MAX]);
/* Hash blocks worked on so far: what a check costs, whoever it is for. */
uint64_t digester_blocks(const struct digester *d);

/* H(username ":" realm ":" password), which a file holds instead of the password (RFC 7616 §3.4.2). 0 or -EIO. */
int digest_ha1(struct digester *d, enum digest_algorithm algorithm, struct sv user, struct sv realm, struct sv password,
               uint8_t out[DIGEST_KEY_MAX]);
/* What a response is made of, beside the key. `nc` empty: without qop, as before RFC 2617; else qop=auth. */
struct digest_words {
	struct sv method, uri, nonce, nc, cnonce;
};
/* 0 or -EIO. */
int digest_response(struct digester *d, enum digest_algorithm algorithm, const struct digest_words *w, const uint8_t ha1[DIGEST_KEY_MAX],
                    uint8_t out[DIGEST_KEY_MAX]);

/* Lower-case hexadecimal digits, 2 * n of them. */
void digest_hex(const uint8_t *bytes, size_t n, char *out);
/* The other way: `text` is 2 * n digits in either case. */
bool digest_unhex(struct sv text, uint8_t *out, size_t n);

#endif
