#include "registrar/digest.h"
#include "sip/header.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Hash functions --------------------------------------------------------------------------------------------------- */

enum { HASH_BLOCK = 64, HASH_TAIL = 9 }; /* of MD5 and SHA-256 alike: a padding bit and the length follow the text */

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

/* The computation (RFC 7616 §3.4.1 to §3.4.3) ----------------------------------------------------------------------- */

int digest_ha1(struct digester *d, enum digest_algorithm algorithm, struct sv user, struct sv realm, struct sv password,
               uint8_t out[DIGEST_KEY_MAX])
{
	const struct sv parts[] = { user, SV(":"), realm, SV(":"), password };

	return digester_hash(d, algorithm, parts, 5, out);
}

bool digest_matches(struct digester *d, const struct digest_credentials *c, struct sv method, const uint8_t ha1[DIGEST_KEY_MAX])
{
	size_t size = digest_size(c->algorithm);
	char a1[2 * DIGEST_KEY_MAX], a2[2 * DIGEST_KEY_MAX];
	const struct sv request[] = { method, SV(":"), c->uri };
	const struct sv all[] = { { a1, 2 * size }, SV(":"), c->nonce, SV(":"), c->nc_text, SV(":"), c->cnonce, SV(":auth:"),
		                  { a2, 2 * size } };
	uint8_t hash[DIGEST_KEY_MAX];

	digest_hex(ha1, size, a1);
	if (digester_hash(d, c->algorithm, request, 3, hash))
		return false;
	digest_hex(hash, size, a2);
	return digester_hash(d, c->algorithm, all, 9, hash) == 0 && CRYPTO_memcmp(hash, c->response, size) == 0;
}

/* Credentials ------------------------------------------------------------------------------------------------------ */

enum param {
	P_USERNAME, P_REALM, P_NONCE, P_URI, P_RESPONSE, P_ALGORITHM, P_CNONCE, P_NC, P_QOP, P_OPAQUE, P_USER_STAR, P_USERHASH, P_COUNT
};

/* What has to stand in quotes, and what may: telephones put some around the words, too. */
static const struct {
	const char *name;
	bool is_string;
} params[P_COUNT] = {
	[P_USERNAME] = { "username", true }, [P_REALM] = { "realm", true },   [P_NONCE] = { "nonce", true },
	[P_URI] = { "uri", true },           [P_RESPONSE] = { "response", true }, [P_ALGORITHM] = { "algorithm", false },
	[P_CNONCE] = { "cnonce", true },     [P_NC] = { "nc", false },        [P_QOP] = { "qop", false },
	[P_OPAQUE] = { "opaque", true },     [P_USER_STAR] = { "username*", false }, [P_USERHASH] = { "userhash", false },
};

static enum param param_of(struct sv name)
{
	enum param p = 0;

	while (p < P_COUNT && !sv_ieq(name, sv_from(params[p].name)))
		p++;
	return p;
}

/* Every value that has a meaning here, once. */
static int params_read(struct sv rest, struct sv values[P_COUNT])
{
	struct auth_param a;
	unsigned n = 0;
	int err;

	while ((err = auth_param_next(&a, &rest)) == 0) {
		enum param p = param_of(a.name);

		if (++n > DIGEST_PARAMS_MAX || a.value.len > DIGEST_VALUE_MAX)
			return -EBADMSG;
		if (p == P_COUNT)
			continue;
		if (values[p].p || (params[p].is_string && !a.is_quoted))
			return -EBADMSG;
		values[p] = a.value;
	}
	return err == -ENOENT && n ? 0 : -EBADMSG;
}

/* A quoted pair stands for its second byte (RFC 3261 §25.1). */
static int user_read(struct digest_credentials *c, struct sv v)
{
	size_t len = 0;

	for (size_t i = 0; i < v.len; i++) {
		if (len == DIGEST_USER_MAX)
			return -EBADMSG;
		i += v.p[i] == '\\';
		c->user[len++] = v.p[i]; /* no string ends in a lone backslash: it would have quoted the end */
	}
	c->user_len = (uint8_t)len;
	return 0;
}

/* Without the parameter it is MD5 (RFC 7616 §3.3). */
static uint8_t algorithm_of(struct sv name)
{
	uint8_t i = 0;

	if (!name.p)
		return DIGEST_MD5;
	while (i < DIGEST_ALGORITHMS && !sv_ieq(name, digest_name(i)))
		i++;
	return i;
}

static bool count_read(struct sv text, uint32_t *nc)
{
	uint8_t bytes[4];

	if (!digest_unhex(text, bytes, sizeof(bytes)))
		return false;
	*nc = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
	return *nc != 0;
}

static bool is_complete(struct digest_credentials *c, const struct sv v[P_COUNT])
{
	return c->user_len && c->realm.p && c->nonce.len && c->uri.len && c->cnonce.len && c->algorithm < DIGEST_ALGORITHMS &&
	       sv_ieq(v[P_QOP], SV("auth")) && !sv_ieq(v[P_USERHASH], SV("true")) && count_read(c->nc_text, &c->nc) &&
	       digest_unhex(v[P_RESPONSE], c->response, digest_size(c->algorithm));
}

int digest_parse(struct digest_credentials *out, struct sv value)
{
	struct sv v[P_COUNT] = { 0 }, scheme, rest;

	if (!auth_scheme(value, &scheme, &rest))
		return -EBADMSG;
	if (!sv_ieq(scheme, SV("Digest")))
		return -ENOENT;
	*out = (struct digest_credentials){ 0 };
	if (params_read(rest, v) || v[P_USER_STAR].p || user_read(out, v[P_USERNAME]))
		return -EBADMSG;
	out->realm = v[P_REALM];
	out->nonce = v[P_NONCE];
	out->uri = v[P_URI];
	out->cnonce = v[P_CNONCE];
	out->nc_text = v[P_NC];
	out->algorithm = algorithm_of(v[P_ALGORITHM]);
	out->is_complete = is_complete(out, v);
	return 0;
}
