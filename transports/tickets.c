/* transports/tickets.c - the keys of session tickets (RFC 5077, RFC 8446 §4.6.1). Each is made of the secret and the number of its
 * period, so nothing has to be kept, moved or rotated: a node that knows the secret and the time knows the keys. */
#include "transports/link.h"
#include "transports/tls_inside.h"
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

enum { IV_LEN = 16 };

struct tls_tickets {
	unsigned char secret[TLS_TICKET_SECRET];
	EVP_KDF *kdf;
	uint64_t (*wall_ms)(void *ctx);
	void *ctx;
};

int tls_tickets_new(struct tls_tickets **out, const uint8_t secret[TLS_TICKET_SECRET], uint64_t (*wall_ms)(void *ctx), void *ctx)
{
	struct tls_tickets *t = malloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	*t = (struct tls_tickets){ .wall_ms = wall_ms, .ctx = ctx, .kdf = EVP_KDF_fetch(NULL, "HKDF", NULL) };
	if (secret)
		memcpy(t->secret, secret, sizeof(t->secret));
	if (!t->kdf || (!secret && RAND_bytes(t->secret, sizeof(t->secret)) != 1)) {
		tls_tickets_free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void tls_tickets_free(struct tls_tickets *t)
{
	if (!t)
		return;
	OPENSSL_cleanse(t->secret, sizeof(t->secret));
	EVP_KDF_free(t->kdf);
	free(t);
}

/* HKDF (RFC 5869) with the period as its info. */
static int make(struct tls_tickets *t, uint64_t period, struct tls_ticket_key *out)
{
	char info[48];
	int len = snprintf(info, sizeof(info), "sbc tls ticket %llu", (unsigned long long)period);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(t->kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string("digest", (char *)"SHA256", 0),
		OSSL_PARAM_octet_string("key", t->secret, sizeof(t->secret)),
		OSSL_PARAM_octet_string("info", info, (size_t)len),
		OSSL_PARAM_END,
	};
	int ok = ctx && EVP_KDF_derive(ctx, (unsigned char *)out, sizeof(*out), params) == 1;

	EVP_KDF_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static uint64_t period(const struct tls_tickets *t)
{
	return t->wall_ms(t->ctx) / (TLS_TICKET_HOURS * 3600000ull);
}

int tls_ticket_now(struct tls_tickets *t, struct tls_ticket_key *out)
{
	return make(t, period(t), out);
}

int tls_ticket_find(struct tls_tickets *t, const unsigned char name[16], struct tls_ticket_key *out, bool *is_old)
{
	for (uint64_t back = 0; back < 2; back++) {
		int err = make(t, period(t) - back, out);

		if (err)
			return err;
		*is_old = back > 0;
		if (CRYPTO_memcmp(out->name, name, sizeof(out->name)) == 0)
			return 0;
	}
	return -ENOENT;
}

static bool lock_with(const struct tls_ticket_key *k, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string("key", (void *)k->mac, sizeof(k->mac)),
		OSSL_PARAM_utf8_string("digest", (char *)"SHA256", 0),
		OSSL_PARAM_END,
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, is_new) == 1;
}

/* 1: done; 2: done, and the ticket is to be made anew; 0: not one of ours, so no resumption; -1: the handshake ends. */
int tls_ticket_lock(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
	struct tls_tickets *t = ((const struct tls *)SSL_get_app_data(ssl))->tickets;
	struct tls_ticket_key k;
	bool is_old = false;
	int err, done;

	if (is_new)
		err = RAND_bytes(iv, IV_LEN) == 1 ? tls_ticket_now(t, &k) : -EIO;
	else
		err = tls_ticket_find(t, name, &k, &is_old);
	if (err)
		return err == -ENOENT ? 0 : -1;
	if (is_new)
		memcpy(name, k.name, sizeof(k.name));
	done = lock_with(&k, iv, cipher, mac, is_new) ? 1 + is_old : -1;
	OPENSSL_cleanse(&k, sizeof(k));
	return done;
}
