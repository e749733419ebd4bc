#include "registrar/digest.h"
#include "sip/header.h"
#include <errno.h>
#include <openssl/crypto.h>

bool digest_matches(struct digester *d, const struct digest_credentials *c, struct sv method, const uint8_t ha1[DIGEST_KEY_MAX])
{
	const struct digest_words words = { .method = method, .uri = c->uri, .nonce = c->nonce, .nc = c->nc_text, .cnonce = c->cnonce };
	uint8_t hash[DIGEST_KEY_MAX];

	return digest_response(d, c->algorithm, &words, ha1, hash) == 0 && CRYPTO_memcmp(hash, c->response, digest_size(c->algorithm)) == 0;
}

/* Credentials ------------------------------------------------------------------------------------------------------ */

enum param {
	P_USERNAME,
	P_REALM,
	P_NONCE,
	P_URI,
	P_RESPONSE,
	P_ALGORITHM,
	P_CNONCE,
	P_NC,
	P_QOP,
	P_OPAQUE,
	P_USER_STAR,
	P_USERHASH,
	P_COUNT
};

/* What has to stand in quotes, and what may: telephones put some around the words, too. */
static const struct {
	const char *name;
	bool is_string;
} params[P_COUNT] = {
	[P_USERNAME] = { "username", true },
	[P_REALM] = { "realm", true },
	[P_NONCE] = { "nonce", true },
	[P_URI] = { "uri", true },
	[P_RESPONSE] = { "response", true },
	[P_ALGORITHM] = { "algorithm", false },
	[P_CNONCE] = { "cnonce", true },
	[P_NC] = { "nc", false },
	[P_QOP] = { "qop", false },
	[P_OPAQUE] = { "opaque", true },
	[P_USER_STAR] = { "username*", false },
	[P_USERHASH] = { "userhash", false },
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
	out->algorithm = (uint8_t)digest_algorithm_of(v[P_ALGORITHM]);
	out->is_complete = is_complete(out, v);
	return 0;
}
