#include "topohide/token.h"
#include "topohide/aes.h"
#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>

/* The first character's value: kind * LETTERS_PER_KIND + letter * 2 + one bit of the shard. */
enum { BLOCK = AES_BLOCK, KEY_LETTERS = 3, LETTERS_PER_KIND = 2 * KEY_LETTERS };

struct token_key {
	struct aes aes[TOKEN_KINDS];
	unsigned letter; /* twice 0..2, from the secret: the same on every node whatever the order of its list */
};

struct token_codec {
	struct token_key key[TOKEN_KEYS_MAX];
	unsigned n;
	struct hash_key shard, leg, branch, tag, table;
};

int token_derive(const uint8_t *secret, const char *label, void *out, size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	int ok = ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) > 0 &&
	         EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, TOKEN_SECRET_LEN) > 0 &&
	         EVP_PKEY_CTX_add1_hkdf_info(ctx, (const unsigned char *)label, (int)strlen(label)) > 0 &&
	         EVP_PKEY_derive(ctx, out, &len) > 0;

	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

static int key_init(struct token_key *k, const uint8_t *secret)
{
	static const char *const labels[TOKEN_KINDS] = { "sbc leg", "sbc branch", "sbc tag", "sbc binding",
	                                                 "sbc transfer" };
	uint8_t letter = 0, raw[BLOCK];
	int err = token_derive(secret, "sbc key letter", &letter, 1);

	k->letter = letter % KEY_LETTERS * 2;
	for (unsigned i = 0; i < TOKEN_KINDS && !err; i++) {
		if (!(err = token_derive(secret, labels[i], raw, sizeof(raw))))
			err = aes_init(&k->aes[i], raw, true);
	}
	return err;
}

static int hash_keys_init(struct token_codec *c, const uint8_t *secret)
{
	int err = token_derive(secret, "sbc shard", &c->shard, sizeof(c->shard));

	if (!err)
		err = token_derive(secret, "sbc leg id", &c->leg, sizeof(c->leg));
	if (!err)
		err = token_derive(secret, "sbc branch id", &c->branch, sizeof(c->branch));
	if (!err)
		err = token_derive(secret, "sbc tag id", &c->tag, sizeof(c->tag));
	if (!err)
		err = token_derive(secret, "sbc table", &c->table, sizeof(c->table));
	return err;
}

int token_codec_new(struct token_codec **out, const uint8_t (*secrets)[TOKEN_SECRET_LEN], unsigned n)
{
	struct token_codec *c;
	int err;

	if (n == 0 || n > TOKEN_KEYS_MAX)
		return -EINVAL;
	if (!(c = aligned_alloc(_Alignof(struct token_codec), sizeof(*c))))
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	err = hash_keys_init(c, secrets[0]);
	for (c->n = 0; c->n < n && !err; c->n++)
		err = key_init(&c->key[c->n], secrets[c->n]);
	if (err) {
		token_codec_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void token_codec_free(struct token_codec *c)
{
	if (!c)
		return;
	for (unsigned k = 0; k < c->n; k++)
		for (unsigned i = 0; i < TOKEN_KINDS; i++)
			aes_fini(&c->key[k].aes[i]);
	free(c);
}

/* 128 bits, the highest first, in 26 characters of five: three groups of eight, then the last eight bits and two of the shard. */
struct block {
	uint64_t hi, lo;
};

#define EACH 0x0101010101010101ull /* times a byte: that byte in each of eight places */

/* The lowest 40 bits as eight letters at once: halves of 20 go into words of 32, those of 10 into 16, those of 5 into bytes.
 * Values from 26 on are the digits '2' to '7'. */
static inline void letters_write(uint64_t bits, char *out)
{
	uint64_t is_digit;

	bits = (bits & 0xfffff00000) << 12 | (bits & 0xfffff);
	bits = (bits & 0x000ffc00000ffc00) << 6 | (bits & 0x000003ff000003ff);
	bits = (bits & 0x03e003e003e003e0) << 3 | (bits & 0x001f001f001f001f);
	is_digit = (bits + EACH * (128 - 26)) >> 7 & EACH;
	bits = htobe64(bits + EACH * 'a' - is_digit * ('a' + 26 - '2'));
	memcpy(out, &bits, sizeof(bits));
}

/* The last two letters are written as the last eight. */
static void base32_write(struct block b, unsigned spare, char *out)
{
	letters_write(b.hi >> 24, out);
	letters_write(b.hi << 16 | b.lo >> 48, out + 8);
	letters_write(b.lo >> 8, out + 16);
	letters_write(b.lo << 2 | spare, out + 18);
}

enum { IS_DIGIT = 32 };

/* IS_DIGIT + value; letters in either case. */
/* clang-format off */
static const uint8_t values[256] = {
	['a'] = 32, ['b'] = 33, ['c'] = 34, ['d'] = 35, ['e'] = 36, ['f'] = 37, ['g'] = 38, ['h'] = 39, ['i'] = 40,
	['j'] = 41, ['k'] = 42, ['l'] = 43, ['m'] = 44, ['n'] = 45, ['o'] = 46, ['p'] = 47, ['q'] = 48, ['r'] = 49,
	['s'] = 50, ['t'] = 51, ['u'] = 52, ['v'] = 53, ['w'] = 54, ['x'] = 55, ['y'] = 56, ['z'] = 57,
	['A'] = 32, ['B'] = 33, ['C'] = 34, ['D'] = 35, ['E'] = 36, ['F'] = 37, ['G'] = 38, ['H'] = 39, ['I'] = 40,
	['J'] = 41, ['K'] = 42, ['L'] = 43, ['M'] = 44, ['N'] = 45, ['O'] = 46, ['P'] = 47, ['Q'] = 48, ['R'] = 49,
	['S'] = 50, ['T'] = 51, ['U'] = 52, ['V'] = 53, ['W'] = 54, ['X'] = 55, ['Y'] = 56, ['Z'] = 57,
	['2'] = 58, ['3'] = 59, ['4'] = 60, ['5'] = 61, ['6'] = 62, ['7'] = 63,
};
/* clang-format on */

/* `*all` keeps the bits that all characters have in common. */
static inline uint64_t letters_read(const char *text, unsigned n, unsigned *all)
{
	const uint64_t marks = (((1ull << 5 * n) - 1) / 31) * IS_DIGIT; /* what IS_DIGIT adds in each place */
	uint64_t bits = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned v = values[(uint8_t)text[i]];

		bits = (bits << 5) + v;
		*all &= v;
	}
	return bits - marks;
}

static int base32_read(const char *text, struct block *b, unsigned *spare)
{
	unsigned all = IS_DIGIT;
	uint64_t first = letters_read(text, 8, &all), second = letters_read(text + 8, 8, &all);
	uint64_t third = letters_read(text + 16, 8, &all), last = letters_read(text + 24, 2, &all);

	if (!all)
		return -EBADMSG;
	*spare = last & 3;
	*b = (struct block){ .hi = first << 24 | second >> 16, .lo = second << 48 | third << 8 | last >> 2 };
	return 0;
}

static void block_store(struct block b, uint8_t bytes[BLOCK])
{
	b = (struct block){ htobe64(b.hi), htobe64(b.lo) };
	memcpy(bytes, &b, BLOCK);
}

static struct block block_load(const uint8_t bytes[BLOCK])
{
	struct block b;

	memcpy(&b, bytes, BLOCK);
	return (struct block){ be64toh(b.hi), be64toh(b.lo) };
}

static struct block block_pack(struct token t)
{
	return (struct block){ .hi = (uint64_t)(t.shard & 0xfff) << 52 | t.id >> 12, .lo = t.id << 52 };
}

static int block_unpack(struct block b, struct token *t)
{
	if (b.lo & 0xfffffffffffffULL)
		return -EBADMSG;
	*t = (struct token){ .shard = (uint16_t)(b.hi >> 52), .id = b.hi << 12 | b.lo >> 52 };
	return 0;
}

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
_Static_assert(TOKEN_KINDS * LETTERS_PER_KIND <= sizeof(alphabet) - 1, "one letter says kind and key");

void token_write(struct token_codec *c, enum token_kind kind, struct token t, char out[TOKEN_LEN])
{
	uint8_t plain[BLOCK], sealed[BLOCK];

	block_store(block_pack(t), plain);
	aes_seal(&c->key[0].aes[kind], plain, sealed);
	out[0] = alphabet[kind * LETTERS_PER_KIND + c->key[0].letter + (t.shard >> 2 & 1)];
	base32_write(block_load(sealed), t.shard & 3, out + 1);
}

int token_read(struct token_codec *c, enum token_kind kind, struct sv text, struct token *out)
{
	uint8_t sealed[BLOCK], plain[BLOCK];
	unsigned letter, low;
	struct token t;
	struct block b;

	if (text.len != TOKEN_LEN)
		return -EBADMSG;
	letter = values[(uint8_t)text.p[0]] - IS_DIGIT - kind * LETTERS_PER_KIND;
	if (letter >= LETTERS_PER_KIND || base32_read(text.p + 1, &b, &low))
		return -EBADMSG;
	low |= (letter & 1) << 2;
	letter &= ~1u;
	block_store(b, sealed);
	for (unsigned k = 0; k < c->n; k++) {
		if (c->key[k].letter != letter)
			continue;
		aes_open(&c->key[k].aes[kind], sealed, plain);
		if (block_unpack(block_load(plain), &t))
			continue;
		if ((t.shard & 7) != low)
			return -EBADMSG; /* one token, one spelling */
		*out = t;
		return 0;
	}
	return -EBADMSG;
}

uint16_t token_shard(const struct token_codec *c, struct sv call_id)
{
	return (uint16_t)(hash_bytes(&c->shard, call_id.p, call_id.len) % TOKEN_SHARDS);
}

uint64_t token_leg_id(const struct token_codec *c, struct sv zone, struct sv call_id, struct sv from_tag, struct sv request_uri)
{
	struct sv parts[] = { zone, call_id, from_tag, request_uri };
	uint64_t id = hash_parts(&c->leg, parts, 4);

	return id ? id : 1;
}

uint64_t token_attempt_id(const struct token_codec *c, uint64_t leg_id, unsigned attempt)
{
	const uint64_t numbers[] = { leg_id, attempt };
	uint64_t id = hash_bytes(&c->leg, numbers, sizeof(numbers));

	return id ? id : 1;
}

uint64_t token_branch_id(const struct token_codec *c, uint64_t leg_id, uint64_t request, uint32_t cseq)
{
	const uint64_t numbers[] = { leg_id, request, cseq };

	return hash_bytes(&c->branch, numbers, sizeof(numbers));
}

uint64_t token_tag_id(const struct token_codec *c, uint64_t leg_id, uint64_t far_branch_id, struct sv far_tag)
{
	const uint64_t numbers[] = { leg_id, far_branch_id };
	struct sv parts[] = { { (const char *)numbers, sizeof(numbers) }, far_tag };
	uint64_t id = hash_parts(&c->tag, parts, 2);

	return id ? id : 1;
}

uint64_t token_zone_mask(const struct token_codec *c, struct sv zone)
{
	return hash_bytes(&c->tag, zone.p, zone.len);
}

const struct hash_key *token_hash_key(const struct token_codec *c)
{
	return &c->table;
}
