/* transports/tls_inside.h - the types of OpenSSL behind tls.h and link.h; they stop here. */
#ifndef TRANSPORTS_TLS_INSIDE_H
#define TRANSPORTS_TLS_INSIDE_H
#include "transports/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>

struct tls_cert {
	_Atomic unsigned refs;
	X509 *leaf;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
	unsigned char *ocsp;
	size_t ocsp_len;
	char name[TLS_NAME_MAX + 1];
	struct tls_cert_info info;
};

struct tls_trust {
	_Atomic unsigned refs;
	X509_STORE *store;
	bool has_crl, is_system;
};

/* One name and its certificates, by SNI. */
struct tls_host {
	char name[TLS_NAME_MAX + 1];
	SSL_CTX *ctx;
};

struct tls_context {
	_Atomic unsigned refs;
	SSL_CTX *ctx;                   /* what a connection begins with */
	struct tls_host *hosts;
	struct tls_cert **certs;        /* counted: their OCSP responses are sent */
	unsigned n_hosts, n_certs;
	bool is_server, verifies;
};

/* What a ticket is locked with: its name, the cipher's key, the MAC's. */
struct tls_ticket_key {
	unsigned char name[16], cipher[32], mac[32];
};

/* 0, -ENOENT (neither the present key nor the last) or -EIO. `is_old`: the ticket wants replacing. */
int tls_ticket_find(struct tls_tickets *t, const unsigned char name[16], struct tls_ticket_key *out, bool *is_old);
int tls_ticket_now(struct tls_tickets *t, struct tls_ticket_key *out);
/* SSL_CTX_set_tlsext_ticket_key_evp_cb. */
int tls_ticket_lock(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new);

/* The first thing OpenSSL complains of, for people; its queue is empty afterwards. */
const char *tls_complaint(char *out, size_t size);

/* Calls `take` for each identity in `leaf` (RFC 5922 §7.1): the domains of its sip: URIs; without any, its DNS names; without any
 * alternative name at all, its common name. Nothing in it is trusted: strange ones are left out. Stops when `take` says
 * false, and has no bound of its own: a certificate is bounded by what a handshake may carry. */
void tls_identities(X509 *leaf, bool (*take)(void *ctx, struct sv name), void *ctx);
/* Is it for the domain `name`? Whole, without case, no wildcards (RFC 5922 §7.2). An address in text is asked of its IP addresses. */
bool tls_identifies(X509 *leaf, struct sv name);
/* The same for what is offered to clients that ask for `name`: "*.example.com" stands for one label. */
bool tls_serves(const char *pattern, struct sv name);

#endif
