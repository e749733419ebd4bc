#include "topohide/aes.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#ifdef __x86_64__
#include <wmmintrin.h>

#define AES_CODE __attribute__((target("aes")))

static bool has_instructions(void)
{
	return __builtin_cpu_supports("aes");
}

/* FIPS 197 §5.2: the next round key from the last one and what the key generation assist made of it. */
AES_CODE static __m128i next_key(__m128i key, __m128i assist)
{
	assist = _mm_shuffle_epi32(assist, 0xff);
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	return _mm_xor_si128(key, assist);
}

static __m128i *round_key(uint8_t (*keys)[AES_BLOCK], unsigned i)
{
	return (__m128i *)(void *)keys[i];
}

static __m128i load_key(const uint8_t (*keys)[AES_BLOCK], unsigned i)
{
	return _mm_load_si128((const __m128i *)(const void *)keys[i]);
}

AES_CODE static void expand(struct aes *a, const uint8_t key[AES_BLOCK])
{
	__m128i k[AES_ROUNDS + 1];

	k[0] = _mm_loadu_si128((const __m128i *)(const void *)key);
	k[1] = next_key(k[0], _mm_aeskeygenassist_si128(k[0], 0x01)); /* the round constant has to be a literal */
	k[2] = next_key(k[1], _mm_aeskeygenassist_si128(k[1], 0x02));
	k[3] = next_key(k[2], _mm_aeskeygenassist_si128(k[2], 0x04));
	k[4] = next_key(k[3], _mm_aeskeygenassist_si128(k[3], 0x08));
	k[5] = next_key(k[4], _mm_aeskeygenassist_si128(k[4], 0x10));
	k[6] = next_key(k[5], _mm_aeskeygenassist_si128(k[5], 0x20));
	k[7] = next_key(k[6], _mm_aeskeygenassist_si128(k[6], 0x40));
	k[8] = next_key(k[7], _mm_aeskeygenassist_si128(k[7], 0x80));
	k[9] = next_key(k[8], _mm_aeskeygenassist_si128(k[8], 0x1b));
	k[10] = next_key(k[9], _mm_aeskeygenassist_si128(k[9], 0x36));
	for (unsigned i = 0; i <= AES_ROUNDS; i++) {
		__m128i other = k[AES_ROUNDS - i];

		_mm_store_si128(round_key(a->seal_key, i), k[i]);
		_mm_store_si128(round_key(a->open_key, i), i && i < AES_ROUNDS ? _mm_aesimc_si128(other) : other);
	}
}

AES_CODE static void seal_block(const struct aes *a, const uint8_t *in, uint8_t *out)
{
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)in), load_key(a->seal_key, 0));

	for (unsigned i = 1; i < AES_ROUNDS; i++)
		x = _mm_aesenc_si128(x, load_key(a->seal_key, i));
	_mm_storeu_si128((__m128i *)(void *)out, _mm_aesenclast_si128(x, load_key(a->seal_key, AES_ROUNDS)));
}

AES_CODE static void open_block(const struct aes *a, const uint8_t *in, uint8_t *out)
{
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)in), load_key(a->open_key, 0));

	for (unsigned i = 1; i < AES_ROUNDS; i++)
		x = _mm_aesdec_si128(x, load_key(a->open_key, i));
	_mm_storeu_si128((__m128i *)(void *)out, _mm_aesdeclast_si128(x, load_key(a->open_key, AES_ROUNDS)));
}
#else
static bool has_instructions(void)
{
	return false;
}

static void expand(struct aes *a, const uint8_t key[AES_BLOCK])
{
	(void)a;
	(void)key;
}

static void seal_block(const struct aes *a, const uint8_t *in, uint8_t *out)
{
	(void)a;
	memcpy(out, in, AES_BLOCK); /* never reached: has_instructions() is false */
}

static void open_block(const struct aes *a, const uint8_t *in, uint8_t *out)
{
	seal_block(a, in, out);
}
#endif

static EVP_CIPHER_CTX *cipher_new(const uint8_t key[AES_BLOCK], int is_seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!ctx || EVP_CipherInit_ex(ctx, EVP_aes_128_ecb(), NULL, key, NULL, is_seal) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	return ctx;
}

int aes_init(struct aes *a, const uint8_t key[AES_BLOCK], bool use_processor)
{
	memset(a, 0, sizeof(*a));
	if (use_processor && has_instructions()) {
		expand(a, key);
		return 0;
	}
	a->seal = cipher_new(key, 1);
	a->open = cipher_new(key, 0);
	return a->seal && a->open ? 0 : -ENOMEM;
}

void aes_fini(struct aes *a)
{
	EVP_CIPHER_CTX_free(a->seal);
	EVP_CIPHER_CTX_free(a->open);
}

void aes_seal(const struct aes *a, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK])
{
	int len;

	if (a->seal)
		EVP_EncryptUpdate(a->seal, out, &len, in, AES_BLOCK);
	else
		seal_block(a, in, out);
}

void aes_open(const struct aes *a, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK])
{
	int len;

	if (a->open)
		EVP_DecryptUpdate(a->open, out, &len, in, AES_BLOCK);
	else
		open_block(a, in, out);
}
