/* registrar/aor.h - addresses of record (RFC 3261 §10): who registers, and whom one asks for. */
#ifndef REGISTRAR_AOR_H
#define REGISTRAR_AOR_H
#include "base/hash.h"
#include "sip/header.h"

enum aor_limits { AOR_TEXT_MAX = 320 }; /* bytes of "user@host", escapes undone */

/* In the one form in which they are compared (§10.3 step 5): "user@host", escapes undone, the host in lower case and without a
 * dot at its end, no port, no parameters, no scheme (RFC 5630 §5.4: a sips AOR is the same one). */
struct aor {
	uint16_t len, user_len;
	char text[AOR_TEXT_MAX];
};

static inline struct sv aor_sv(const struct aor *a)
{
	return (struct sv){ a->text, a->len };
}
static inline struct sv aor_user(const struct aor *a)
{
	return (struct sv){ a->text, a->user_len };
}
static inline struct sv aor_host(const struct aor *a)
{
	return sv_skip(aor_sv(a), a->user_len + 1u);
}

/* 0; -EBADMSG: no sip or sips URI with a user; -EMSGSIZE: longer than we keep. */
int aor_parse(struct aor *out, struct sv uri);
int aor_of_uri(struct aor *out, const struct uri *u);
/* Of a From or To value. */
int aor_of_value(struct aor *out, struct sv value);
/* Whom a REGISTER is about. */
struct registrant {
	struct sv uri;             /* as To has it; borrowed from there */
	struct aor aor;
	uint64_t key;
};
int registrant_of_value(struct registrant *out, const struct hash_key *key, struct sv value);
/* What it is known by everywhere: the same on every worker and node. Never 0. `key` is the token codec's. */
uint64_t aor_key(const struct hash_key *key, const struct aor *a);
/* Which of the 4,096 shards has its bindings: the upper bits, so that the tables of one worker still spread the others. */
static inline uint16_t aor_shard(uint64_t aor_key)
{
	return (uint16_t)(aor_key >> 52);
}

#endif
