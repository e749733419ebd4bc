/* transports/tls.c - the settings of a listener, or of the connections we make, as OpenSSL takes them. */
#include "transports/heap.h"
#include "transports/link.h"
#include "transports/tls_inside.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHAIN_MAX = 8,                  /* certificates above a peer's own */
	CIPHERS_MAX = 1024,             /* bytes of a list */
};

/* Settings -------------------------------------------------------------------------------------------------------- */

/* SSL_CTX_set_msg_callback: counts the records that come. */
static void on_record(int is_ours, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)version, (void)bytes, (void)len, (void)arg;
	if (t && !is_ours && type == SSL3_RT_HEADER)
		t->n_records++;
}

/* Whatever has nothing for us in it is all that one SSL_read takes: new keys (RFC 8446 §4.6.3) may come without end. */
static void set_options(SSL_CTX *ctx, const struct tls_context_params *p)
{
	uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	                   SSL_OP_PRIORITIZE_CHACHA |
	                   SSL_OP_IGNORE_UNEXPECTED_EOF; /* many hang up without close_notify, and a message says its own length */

	/* A ticket would let a client in again whose certificate has been revoked; and we begin each connection anew. */
	if (!p->is_server || p->verify != TLS_VERIFY_NONE)
		options |= SSL_OP_NO_TICKET;
	SSL_CTX_set_options(ctx, options);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_msg_callback(ctx, on_record);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, options & SSL_OP_NO_TICKET ? 0 : 1);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_HOURS * 3600);
	SSL_CTX_set_verify_depth(ctx, CHAIN_MAX);
	if (p->is_server && !(options & SSL_OP_NO_TICKET))
		SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_ticket_lock);
}

/* "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256": OpenSSL has one list for TLS 1.3 and one for what was before. */
static bool set_ciphers(SSL_CTX *ctx, struct sv all)
{
	char lists[2][CIPHERS_MAX] = { "", "" };
	size_t len[2] = { 0, 0 };

	if (all.len >= CIPHERS_MAX)
		return false;
	while (all.len) {
		size_t end = sv_chr(all, ':');
		bool is_13 = end > 4 && memcmp(all.p, "TLS_", 4) == 0;

		len[is_13] += (size_t)snprintf(lists[is_13] + len[is_13], CIPHERS_MAX - len[is_13], "%s%.*s", len[is_13] ? ":" : "",
		                               (int)end, all.p);
		all = sv_skip(all, end + 1);
	}
	return (!len[0] || SSL_CTX_set_cipher_list(ctx, lists[0]) == 1) && (!len[1] || SSL_CTX_set_ciphersuites(ctx, lists[1]) == 1);
}

static int say(char *why, size_t size, int err, const char *what)
{
	char said[160];

	snprintf(why, size, "%s: %s", what, tls_complaint(said, sizeof(said)));
	return err;
}

/* A peer shows one certificate whether it calls or is called, and those that public authorities issue are for servers alone by now: what it
 * is for is not asked of clients (RFC 5922 §7 does not either). */
static void set_trust(SSL_CTX *ctx, const struct tls_context_params *p)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	STACK_OF(X509) *all;

	if (p->verify == TLS_VERIFY_NONE || !p->trust)
		return;
	SSL_CTX_set1_cert_store(ctx, p->trust->store);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | (p->trust->has_crl ? X509_V_FLAG_CRL_CHECK : 0));
	if (!p->is_server)
		return;
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (p->verify == TLS_VERIFY_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	if (p->trust->is_system || !(all = X509_STORE_get1_all_certs(p->trust->store)))
		return; /* a hundred names in each handshake would help nobody choose */
	for (int i = 0; i < sk_X509_num(all); i++)
		SSL_CTX_add_client_CA(ctx, sk_X509_value(all, i));
	sk_X509_pop_free(all, X509_free);
}

static int ctx_new(SSL_CTX **out, const struct tls_context_params *p, char *why, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(p->is_server ? TLS_server_method() : TLS_client_method());

	if (!ctx)
		return say(why, size, -ENOMEM, "out of memory");
	set_options(ctx, p);
	SSL_CTX_set_min_proto_version(ctx, p->min_version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"sbc", 3);
	if (p->ciphers && !set_ciphers(ctx, sv_from(p->ciphers))) {
		SSL_CTX_free(ctx);
		return say(why, size, -EINVAL, "no ciphers that OpenSSL knows");
	}
	set_trust(ctx, p);
	*out = ctx;
	return 0;
}

/* Certificates ---------------------------------------------------------------------------------------------------- */

/* RFC 6066 §8: the response that belongs to the certificate chosen. */
static int on_status(SSL *ssl, void *arg)
{
	const struct tls_context *x = arg;
	const X509 *leaf = SSL_get_certificate(ssl);

	for (unsigned i = 0; i < x->n_certs; i++) {
		const struct tls_cert *c = x->certs[i];
		unsigned char *copy;

		if (c->leaf != leaf || !c->ocsp)
			continue;
		if (!(copy = OPENSSL_malloc(c->ocsp_len)))
			return SSL_TLSEXT_ERR_NOACK;
		memcpy(copy, c->ocsp, c->ocsp_len);
		SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)c->ocsp_len);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static const struct tls_host *find_host(const struct tls_context *x, struct sv name)
{
	for (unsigned wild = 0; wild < 2; wild++)
		for (unsigned i = 0; i < x->n_hosts; i++)
			if ((x->hosts[i].name[0] == '*') == wild && tls_serves(x->hosts[i].name, name))
				return &x->hosts[i];
	return NULL;
}

/* A name we do not have gets the first certificate: its clients say what is wrong with it better than a handshake that fails. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_host *host = name ? find_host(arg, sv_from(name)) : NULL;

	(void)alert;
	if (!host)
		return SSL_TLSEXT_ERR_NOACK;
	if (host->ctx != SSL_get_SSL_CTX(ssl) && !SSL_set_SSL_CTX(ssl, host->ctx))
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static struct tls_host *host_of(struct tls_context *x, const char *name)
{
	for (unsigned i = 0; i < x->n_hosts; i++)
		if (sv_ieq(sv_from(x->hosts[i].name), sv_from(name)))
			return &x->hosts[i];
	return NULL;
}

static int use(SSL_CTX *ctx, struct tls_cert *c, char *why, size_t size)
{
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 0) == 1)
		return 0;
	return say(why, size, -EINVAL, ERR_GET_REASON(ERR_peek_error()) == SSL_R_NOT_REPLACING_CERTIFICATE ?
	           "two certificates of the same kind for one name" : c->name);
}

/* The first name's settings are what every connection begins with. */
static int add_host(struct tls_context *x, const struct tls_context_params *p, const char *name, char *why, size_t size)
{
	struct tls_host *h = &x->hosts[x->n_hosts];
	int err = 0;

	if (!x->n_hosts && SSL_CTX_up_ref(x->ctx) == 1)
		h->ctx = x->ctx;
	else
		err = ctx_new(&h->ctx, p, why, size);
	if (err)
		return err;
	snprintf(h->name, sizeof(h->name), "%s", name);
	x->n_hosts++;
	SSL_CTX_set_tlsext_status_cb(h->ctx, on_status);
	SSL_CTX_set_tlsext_status_arg(h->ctx, x);
	return 0;
}

static int add_certs(struct tls_context *x, const struct tls_context_params *p, char *why, size_t size)
{
	int err = 0;

	for (unsigned i = 0; i < p->n_certs && !err; i++) {
		struct tls_cert *c = p->certs[i];
		struct tls_host *h;

		if (!host_of(x, c->name) && (err = add_host(x, p, c->name, why, size)))
			return err;
		h = host_of(x, c->name);
		err = use(h->ctx, c, why, size);
		if (!err)
			x->certs[x->n_certs++] = tls_cert_get(c);
	}
	return err;
}

/* What we show when we are asked: the first name's. */
static int add_own(struct tls_context *x, const struct tls_context_params *p, char *why, size_t size)
{
	int err = 0;

	for (unsigned i = 0; i < p->n_certs && !err; i++)
		if (sv_ieq(sv_from(p->certs[i]->name), sv_from(p->certs[0]->name)))
			err = use(x->ctx, p->certs[i], why, size);
	return err;
}

/* Life ------------------------------------------------------------------------------------------------------------ */

static int fill(struct tls_context *x, const struct tls_context_params *p, char *why, size_t size)
{
	int err;

	x->is_server = p->is_server;
	x->verifies = p->verify != TLS_VERIFY_NONE && p->trust;
	x->hosts = calloc(p->n_certs + 1, sizeof(*x->hosts));
	x->certs = calloc(p->n_certs + 1, sizeof(struct tls_cert *));
	if (!x->hosts || !x->certs)
		return say(why, size, -ENOMEM, "out of memory");
	if ((err = ctx_new(&x->ctx, p, why, size)))
		return err;
	if (!p->is_server)
		return add_own(x, p, why, size);
	if (!p->n_certs) {
		snprintf(why, size, "no certificate");
		return -EINVAL;
	}
	SSL_CTX_set_tlsext_servername_callback(x->ctx, on_name);
	SSL_CTX_set_tlsext_servername_arg(x->ctx, x);
	return add_certs(x, p, why, size);
}

int tls_context_new(struct tls_context **out, const struct tls_context_params *p, char *why, size_t size)
{
	struct tls_context *x = calloc(1, sizeof(*x));
	unsigned long refused = heap_refused();
	int err;

	if (!x) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	x->refs = 1;
	ERR_clear_error();
	err = fill(x, p, why, size);
	if (heap_refused() != refused) /* it may lack a cipher, or the means to verify, and say nothing */
		err = say(why, size, -ENOMEM, "out of memory");
	if (err) {
		tls_context_put(x);
		return err;
	}
	*out = x;
	return 0;
}

bool tls_context_verifies(const struct tls_context *x)
{
	return !x || x->verifies;
}

struct tls_context *tls_context_get(struct tls_context *x)
{
	atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
	return x;
}

void tls_context_put(struct tls_context *x)
{
	if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < x->n_hosts; i++)
		SSL_CTX_free(x->hosts[i].ctx);
	for (unsigned i = 0; i < x->n_certs; i++)
		tls_cert_put(x->certs[i]);
	SSL_CTX_free(x->ctx);
	free(x->hosts);
	free(x->certs);
	free(x);
}
