/* topohide/token.h - the only form in which our ids leave this program (DECISIONS 1-3): one character (kind and key) and
 * 26 lower-case base32 characters of one AES-128 block {12 bits shard, 64 bits id, 52 zero bits}. A token that does not
 * decrypt to those zeros was not made by us. Ids are keyed functions of what the other side sent, so that a second node
 * with the same keys derives the same ones.
 *
 * The three bits that 27 characters have left say the shard's lowest three in the clear: bit 2 is the lowest of the first
 * character's value, bits 1 and 0 those of the last one's. So the kernel can give a message to the worker that owns its call
 * (sbc/steer.h). They are bits of a keyed hash, and have to agree with the sealed shard: a token has one spelling. */
#ifndef TOPOHIDE_TOKEN_H
#define TOPOHIDE_TOKEN_H
#include "base/hash.h"
#include "base/sv.h"

enum token_kind {
	TOKEN_LEG, TOKEN_BRANCH, TOKEN_TAG, TOKEN_BINDING,
	TOKEN_TRANSFER, /* a leg or dialog for those who are not its remote (DECISIONS 10) */
	TOKEN_KINDS
};

enum token_limits {
	TOKEN_LEN = 27,
	TOKEN_SHARDS = 4096,
	TOKEN_SECRET_LEN = 32,
	TOKEN_KEYS_MAX = 6, /* in use at once: the newest signs, the others are still understood */
};

struct token {
	uint64_t id;
	uint16_t shard;
};

/* Per worker: the cipher contexts are not shared between threads. */
struct token_codec;

/* `secrets`: newest first, TOKEN_SECRET_LEN bytes each. 0, -EINVAL (none or too many), -ENOMEM. */
int token_codec_new(struct token_codec **out, const uint8_t (*secrets)[TOKEN_SECRET_LEN], unsigned n);
void token_codec_free(struct token_codec *c);

/* Writes TOKEN_LEN characters, no NUL. */
void token_write(struct token_codec *c, enum token_kind kind, struct token t, char out[TOKEN_LEN]);
/* 0, or -EBADMSG: not of this kind, or not ours. Letters in either case. */
int token_read(struct token_codec *c, enum token_kind kind, struct sv text, struct token *out);

/* A key for something else, derived from a secret under a label (HKDF-SHA-256, DECISIONS 2). 0 or -ENOMEM. */
int token_derive(const uint8_t *secret, const char *label, void *out, size_t len);

/* Shard of a request that carries no token yet. */
uint16_t token_shard(const struct token_codec *c, struct sv call_id);

/* DECISIONS 3: the near leg; the far legs tried for it, attempt 1, 2 ... Never 0. */
uint64_t token_leg_id(const struct token_codec *c, struct sv zone, struct sv call_id, struct sv from_tag, struct sv request_uri);
uint64_t token_attempt_id(const struct token_codec *c, uint64_t leg_id, unsigned attempt);
/* `request`: what tells apart the requests of one CSeq, the key of the one received; 0 for one of our own. */
uint64_t token_branch_id(const struct token_codec *c, uint64_t leg_id, uint64_t request, uint32_t cseq);
/* The id behind the tag that the near side sees of a far To-tag. */
uint64_t token_tag_id(const struct token_codec *c, uint64_t leg_id, uint64_t far_branch_id, struct sv far_tag);
/* What ids of TOKEN_TRANSFER are mixed with (exclusive or), so that they mean nothing in another zone. */
uint64_t token_zone_mask(const struct token_codec *c, struct sv zone);
/* The key for other tables whose keys peers may choose. */
const struct hash_key *token_hash_key(const struct token_codec *c);

#endif
