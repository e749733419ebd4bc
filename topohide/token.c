#include "topohide/token.h"
#include "topohide/aes.h"
#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* 128 bits, the highest first, in 26 characters of five: the last eight bits and two of the shard share the last two. */
struct block {
	uint64_t hi, lo;
};

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
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

#ifdef __SSE2__
static inline __m128i each(char c)
{
	return _mm_set1_epi8(c);
}

/* Bytes not above `most`, unsigned. */
static inline __m128i at_most(__m128i x, char most)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(x, each(most)), x);
}

/* The lowest 40 bits of two numbers as eight letters each: halves of 20 go into words of 32, those of 10 into 16, those of 5
 * into bytes, the higher half first in memory. Values from 26 on are the digits '2' to '7'. */
static inline void letters_write(uint64_t first, uint64_t second, char out[16])
{
	__m128i low20 = _mm_set1_epi64x(0xfffff), low10 = _mm_set1_epi32(0x3ff), low5 = _mm_set1_epi16(0x1f);
	__m128i x = _mm_set_epi64x((long long)second, (long long)first);

	x = _mm_or_si128(_mm_and_si128(_mm_srli_epi64(x, 20), low20), _mm_slli_epi64(_mm_and_si128(x, low20), 32));
	x = _mm_or_si128(_mm_srli_epi32(x, 10), _mm_slli_epi32(_mm_and_si128(x, low10), 16));
	x = _mm_or_si128(_mm_srli_epi16(x, 5), _mm_slli_epi16(_mm_and_si128(x, low5), 8));
	x = _mm_sub_epi8(_mm_add_epi8(x, each('a')), _mm_and_si128(_mm_cmpgt_epi8(x, each(25)), each('a' + 26 - '2')));
	_mm_storeu_si128((__m128i *)(void *)out, x);
}

/* The way back; letters in either case. False: something else is among them. */
static inline bool letters_read(const char text[16], uint64_t out[2])
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)text), low40 = _mm_set1_epi64x(0xffffffffff);
	__m128i letter = _mm_sub_epi8(_mm_or_si128(x, each(0x20)), each('a')), digit = _mm_sub_epi8(x, each('2'));
	__m128i is_letter = at_most(letter, 25), is_digit = at_most(digit, 5);

	x = _mm_or_si128(_mm_and_si128(letter, is_letter), _mm_and_si128(_mm_add_epi8(digit, each(26)), is_digit));
	x = _mm_or_si128(_mm_slli_epi16(_mm_and_si128(x, _mm_set1_epi16(0xff)), 5), _mm_srli_epi16(x, 8));
	x = _mm_madd_epi16(x, _mm_set1_epi32(1 << 16 | 1 << 10)); /* in each 32 bits: the lower half * 2^10 + the upper one */
	x = _mm_and_si128(_mm_or_si128(_mm_slli_epi64(x, 20), _mm_srli_epi64(x, 32)), low40);
	_mm_storeu_si128((__m128i *)(void *)out, x);
	return _mm_movemask_epi8(_mm_or_si128(is_letter, is_digit)) == 0xffff;
}
#else
/* The lowest 40 bits of two numbers as eight letters each. */
static inline void letters_write(uint64_t first, uint64_t second, char out[16])
{
	for (unsigned i = 0; i < 8; i++) {
		out[i] = alphabet[first >> (35 - 5 * i) & 31];
		out[8 + i] = alphabet[second >> (35 - 5 * i) & 31];
	}
}

/* The way back; letters in either case. False: something else is among them. */
static inline bool letters_read(const char text[16], uint64_t out[2])
{
	unsigned all = IS_DIGIT;

	out[0] = out[1] = 0;
	for (unsigned i = 0; i < 16; i++) {
		unsigned v = values[(uint8_t)text[i]];

		out[i / 8] = out[i / 8] << 5 | (v & 31);
		all &= v;
	}
	return all;
}
#endif

/* Letters 0 to 15, then 10 to 25: six are written twice. */
static void base32_write(struct block b, unsigned spare, char *out)
{
	letters_write(b.hi >> 24, b.hi << 16 | b.lo >> 48, out);
	letters_write(b.hi << 26 | b.lo >> 38, b.lo << 2 | spare, out + 10);
}

static int base32_read(const char *text, struct block *b, unsigned *spare)
{
	uint64_t first[2], last[2];
	bool are_first = letters_read(text, first), are_last = letters_read(text + 10, last);

	if (!are_first || !are_last)
		return -EBADMSG;
	*spare = last[1] & 3;
	*b = (struct block){ .hi = first[0] << 24 | first[1] >> 16,
	                     .lo = first[1] << 48 | (last[0] & 0x3ff) << 38 | last[1] >> 2 };
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
