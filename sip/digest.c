#include "sip/digest.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Hash functions --------------------------------------------------------------------------------------------------- */

enum { HASH_BLOCK = 64,
       HASH_TAIL = 9 }; /* of MD5 and SHA-256 alike: a padding bit and the length follow the text */

static const struct {
	const char *fetched, *name;
	uint8_t size;
} algorithms[DIGEST_ALGORITHMS] = {
	[DIGEST_MD5] = { "MD5", "MD5", 16 },
	[DIGEST_SHA256] = { "SHA2-256", "SHA-256", 32 },
};

struct digester {
	EVP_MD *function[DIGEST_ALGORITHMS];
	EVP_MD_CTX *state[DIGEST_ALGORITHMS];
	uint64_t blocks;
};

size_t digest_size(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].size;
}

struct sv digest_name(enum digest_algorithm algorithm)
{
	return sv_from(algorithms[algorithm].name);
}

int digester_new(struct digester **out)
{
	struct digester *d = calloc(1, sizeof(*d));
	bool ok = d != NULL;

	for (unsigned i = 0; i < DIGEST_ALGORITHMS && ok; i++) {
		d->function[i] = EVP_MD_fetch(NULL, algorithms[i].fetched, NULL);
		d->state[i] = EVP_MD_CTX_new();
		ok = d->function[i] && d->state[i] && EVP_DigestInit_ex2(d->state[i], d->function[i], NULL) == 1;
	}
	if (!ok) {
		digester_free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void digester_free(struct digester *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < DIGEST_ALGORITHMS; i++) {
		EVP_MD_CTX_free(d->state[i]);
		EVP_MD_free(d->function[i]);
	}
	free(d);
}

uint64_t digester_blocks(const struct digester *d)
{
	return d->blocks;
}

int digester_hash(struct digester *d, enum digest_algorithm algorithm, const struct sv *parts, unsigned n, uint8_t out[DIGEST_KEY_MAX])
{
	EVP_MD_CTX *state = d->state[algorithm];
	bool ok = EVP_DigestInit_ex2(state, NULL, NULL) == 1;
	size_t len = 0;

	for (unsigned i = 0; i < n && ok; i++) {
		ok = EVP_DigestUpdate(state, parts[i].p, parts[i].len) == 1;
		len += parts[i].len;
	}
	d->blocks += (len + HASH_TAIL + HASH_BLOCK - 1) / HASH_BLOCK;
	return ok && EVP_DigestFinal_ex(state, out, NULL) == 1 ? 0 : -EIO;
}

void digest_hex(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
}

static int hex_value(char c)
{
	char low = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool digest_unhex(struct sv text, uint8_t *out, size_t n)
{
	if (text.len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(text.p[2 * i]), lo = hex_value(text.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* Without the parameter it is MD5 (RFC 7616 §3.3). */
enum digest_algorithm digest_algorithm_of(struct sv name)
{
	enum digest_algorithm i = 0;

	if (!name.p)
		return DIGEST_MD5;
	while (i < DIGEST_ALGORITHMS && !sv_ieq(name, digest_name(i)))
		i++;
	return i;
}

/* The computation (RFC 7616 §3.4.1 to §3.4.3) ----------------------------------------------------------------------- */

int digest_ha1(struct digester *d, enum digest_algorithm algorithm, struct sv user, struct sv realm, struct sv password,
               uint8_t out[DIGEST_KEY_MAX])
{
	const struct sv parts[] = { user, SV(":"), realm, SV(":"), password };

	return digester_hash(d, algorithm, parts, 5, out);
}

int digest_response(struct digester *d, enum digest_algorithm algorithm, const struct digest_words *w, const uint8_t ha1[DIGEST_KEY_MAX],
                    uint8_t out[DIGEST_KEY_MAX])
{
	size_t size = digest_size(algorithm);
	char a1[2 * DIGEST_KEY_MAX], a2[2 * DIGEST_KEY_MAX];
	const struct sv request[] = { w->method, SV(":"), w->uri };
	const struct sv bare[] = { { a1, 2 * size }, SV(":"), w->nonce, SV(":"), { a2, 2 * size } };
	const struct sv all[] = { { a1, 2 * size }, SV(":"), w->nonce, SV(":"), w->nc, SV(":"), w->cnonce, SV(":auth:"), { a2, 2 * size } };
	int err;

	digest_hex(ha1, size, a1);
	if ((err = digester_hash(d, algorithm, request, 3, out)))
		return err;
	digest_hex(out, size, a2);
	return w->nc.len ? digester_hash(d, algorithm, all, 9, out) : digester_hash(d, algorithm, bare, 5, out);
}
