#include "tests/flow/secret.h"
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void hash(const char *algorithm, char out[SECRET_HEX], const char *text)
{
	const EVP_MD *md = strcmp(algorithm, "MD5") ? EVP_sha256() : EVP_md5();
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len;

	assert_int_equal(EVP_Digest(text, strlen(text), raw, &len, md, NULL), 1);
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void secret_ha1(const char *algorithm, const char *user, const char *password, char out[SECRET_HEX])
{
	char text[256];

	snprintf(text, sizeof(text), "%s:example.com:%s", user, password);
	hash(algorithm, out, text);
}

const char *secret_challenge(const struct got *g, enum hdr_id id, unsigned n)
{
	static char text[512];
	const struct hdr *h = view_find(&g->v, id, 0);

	while (h && n--)
		h = view_find(&g->v, id, (unsigned)(h - g->v.h) + 1);
	if (!h)
		return NULL;
	snprintf(text, sizeof(text), "%.*s", SV_ARG(hdr_value(&g->v, h)));
	return text;
}

void secret_take(struct secret *s, const struct got *g, enum hdr_id id)
{
	const char *text = secret_challenge(g, id, 0), *nonce = text ? strstr(text, "nonce=\"") : NULL;

	assert_non_null(nonce);
	assert_int_equal(sscanf(nonce, "nonce=\"%63[^\"]\"", s->nonce), 1);
	s->nc = 0;
}

static const char *or(const char *a, const char *b)
{
	return a ? a : b;
}

const char *secret_line(const struct secret *s, const char *header, const char *method, const char *request_uri)
{
	static char line[1024];
	char text[512], a1[SECRET_HEX], a2[SECRET_HEX], response[SECRET_HEX];
	const char *uri = or(s->uri, request_uri);

	secret_ha1(s->algorithm, s->user, s->password, a1);
	snprintf(text, sizeof(text), "%s:%s", or(s->method, method), uri);
	hash(s->algorithm, a2, text);
	snprintf(text, sizeof(text), "%s:%s:%08x:c0ffee:%s:%s", a1, s->nonce, s->nc, or(s->qop, "auth"), a2);
	hash(s->algorithm, response, text);
	snprintf(line, sizeof(line),
	         "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", algorithm=%s, cnonce=\"c0ffee\", "
	         "qop=%s, nc=%08x\n",
	         header, s->user, or(s->realm, "example.com"), s->nonce, uri, response, s->algorithm, or(s->qop, "auth"), s->nc);
	return line;
}
