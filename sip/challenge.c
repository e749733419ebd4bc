#include "sip/challenge.h"
#include "sip/header.h"
#include <errno.h>

enum param { P_REALM,
	     P_NONCE,
	     P_OPAQUE,
	     P_ALGORITHM,
	     P_QOP,
	     P_STALE,
	     P_USERNAME,
	     P_CNONCE,
	     P_COUNT };

static const char *const names[P_COUNT] = { "realm", "nonce", "opaque", "algorithm", "qop", "stale", "username", "cnonce" };

static enum param param_of(struct sv name)
{
	enum param p = 0;

	while (p < P_COUNT && !sv_ieq(name, sv_from(names[p])))
		p++;
	return p;
}

/* False: another scheme than ours. */
static bool is_digest(struct sv value, struct sv *rest)
{
	struct sv scheme;

	return auth_scheme(value, &scheme, rest) && sv_ieq(scheme, SV("Digest"));
}

/* Of a challenge, or of credentials of our own: every value that has a meaning here, once. False: none of that form. */
static bool params_read(struct sv rest, struct sv values[P_COUNT])
{
	struct auth_param a;
	unsigned n = 0;
	int err;

	while ((err = auth_param_next(&a, &rest)) == 0) {
		enum param p = param_of(a.name);

		if (++n > CHALLENGE_PARAMS_MAX || a.value.len > CHALLENGE_VALUE_MAX)
			return false;
		if (p == P_COUNT)
			continue;
		if (values[p].p)
			return false;
		values[p] = a.value;
	}
	return err == -ENOENT && values[P_REALM].p;
}

/* RFC 7616 §3.3: of what `qop` offers, `auth`. What is only to be answered with the body's hash is not for us. */
static bool offers_auth(struct sv qop)
{
	struct sv one;

	while (list_next(&one, &qop))
		if (sv_ieq(one, SV("auth")))
			return true;
	return false;
}

static bool challenge_read(struct challenge *c, struct sv value, struct sv realm)
{
	struct sv v[P_COUNT] = { 0 }, rest;

	if (!is_digest(value, &rest) || !params_read(rest, v) || !sv_eq(v[P_REALM], realm) || !v[P_NONCE].len)
		return false;
	c->realm = v[P_REALM];
	c->nonce = v[P_NONCE];
	c->opaque = v[P_OPAQUE];
	c->algorithm = digest_algorithm_of(v[P_ALGORITHM]);
	c->has_qop = v[P_QOP].p != NULL;
	c->is_stale = sv_ieq(v[P_STALE], SV("true"));
	return c->algorithm < DIGEST_ALGORITHMS && (!c->has_qop || offers_auth(v[P_QOP]));
}

int challenge_find(struct challenge *out, const struct view *v, struct sv realm)
{
	struct challenge c = { .is_proxy = v->status == 407 };
	enum hdr_id id = c.is_proxy ? HDR_PROXY_AUTHENTICATE : HDR_WWW_AUTHENTICATE;
	unsigned n = 0;

	if (v->status != 401 && v->status != 407)
		return -ENOENT;
	for (const struct hdr *h = view_find(v, id, 0); h && n++ < CHALLENGE_HEADERS_MAX; h = view_find(v, id, (unsigned)(h - v->h) + 1)) {
		if (!challenge_read(&c, hdr_value(v, h), realm))
			continue;
		*out = c;
		return 0;
	}
	return -ENOENT;
}

enum hdr_id challenge_header(const struct challenge *c)
{
	return c->is_proxy ? HDR_PROXY_AUTHORIZATION : HDR_AUTHORIZATION;
}

unsigned challenge_try(const struct challenge *c, const struct view *request, struct sv user)
{
	const struct hdr *h = view_find(request, challenge_header(c), 0);
	struct sv v[P_COUNT] = { 0 }, rest;
	unsigned last;

	if (!h || !is_digest(hdr_value(request, h), &rest))
		return 1;
	if (!params_read(rest, v)) /* it may be ours: who takes it for nobody's, tries for ever */
		return 0;
	if (!sv_eq(v[P_REALM], c->realm) || !sv_eq(v[P_USERNAME], user))
		return 1;
	last = v[P_CNONCE].len == CHALLENGE_CNONCE_LEN ? (unsigned)(v[P_CNONCE].p[0] - '0') : CHALLENGE_TRIES_MAX;
	return c->is_stale && last < CHALLENGE_TRIES_MAX ? last + 1 : 0;
}

static void out_quoted(struct out *o, const char *name, struct sv value)
{
	out_str(o, name);
	out_lit(o, "=\"");
	out_sv(o, value);
	out_lit(o, "\"");
}

int challenge_answer(struct digester *d, const struct challenge *c, const struct challenge_self *self, const struct view *request,
                     unsigned try, struct out *o)
{
	static const char nc[] = "00000001"; /* each nonce is used once */
	char cnonce[CHALLENGE_CNONCE_LEN], response[2 * DIGEST_KEY_MAX];
	struct digest_words w = { .method = view_method(request), .uri = view_uri(request), .nonce = c->nonce,
		                  .nc = c->has_qop ? SV(nc) : SV(""), .cnonce = { cnonce, sizeof(cnonce) } };
	uint8_t ha1[DIGEST_KEY_MAX], hash[DIGEST_KEY_MAX];

	cnonce[0] = (char)('0' + try);
	digest_hex((const uint8_t *)&self->random, sizeof(self->random), cnonce + 1);
	if (digest_ha1(d, c->algorithm, self->user, c->realm, self->password, ha1) || digest_response(d, c->algorithm, &w, ha1, hash))
		return -EIO;
	digest_hex(hash, digest_size(c->algorithm), response);
	out_str(o, c->is_proxy ? "Proxy-Authorization: Digest " : "Authorization: Digest ");
	out_quoted(o, "username", self->user);
	out_quoted(o, ", realm", c->realm);
	out_quoted(o, ", nonce", c->nonce);
	out_quoted(o, ", uri", w.uri);
	out_quoted(o, ", response", (struct sv){ response, 2 * digest_size(c->algorithm) });
	out_lit(o, ", algorithm=");
	out_sv(o, digest_name(c->algorithm));
	if (c->has_qop) {
		out_quoted(o, ", cnonce", w.cnonce);
		out_lit(o, ", qop=auth, nc=00000001");
	}
	if (c->opaque.p)
		out_quoted(o, ", opaque", c->opaque);
	out_lit(o, "\r\n");
	return 0;
}
