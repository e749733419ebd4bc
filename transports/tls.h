/* transports/tls.h - what TLS needs besides bytes: certificates with their keys, whom to believe, and the settings of one listener
 * or of what a zone dials, put together once on the control thread. All of it is immutable and counted: a connection keeps what it
 * began with, whatever replaces it (docs/tls.md). */
#ifndef TRANSPORTS_TLS_H
#define TRANSPORTS_TLS_H
#include "base/sv.h"

enum tls_limits {
	TLS_FILE_MAX = 1 << 20,         /* bytes of a file of certificates, keys or revocations */
	TLS_NAME_MAX = 253,
	TLS_OCSP_MAX = 16384,           /* bytes of a response: it goes out in each handshake that asks for it */
	TLS_EXPIRY_WARNING_DAYS = 14,
	TLS_TICKET_HOURS = 6,           /* a key of session tickets makes them as long, and reads them as long again */
	TLS_TICKET_SECRET = 32,         /* bytes */
};

/* What is wrong, and in which of several files. */
enum tls_file { TLS_CERT, TLS_KEY, TLS_OCSP, TLS_CA, TLS_CRL };
struct tls_problem {
	enum tls_file file;
	char text[256];
};

/* A certificate with its chain and its key. */
struct tls_cert;
struct tls_cert_files {
	struct sv name;                 /* what clients ask for by SNI: "sip.example.com", "*.example.com" */
	const char *cert, *key;         /* PEM; the chain behind the certificate */
	const char *ocsp;               /* DER, or NULL */
};
struct tls_cert_info {
	int64_t from_s, until_s;        /* of the epoch */
	char serial[64], subject[128], issuer[128];
	char key[24];                   /* "RSA 2048", "EC prime256v1" */
	bool covers_name;               /* `name` is one that clients will accept it for */
	bool key_is_open;               /* others than its owner may read the key's file */
	char names[256];                /* all it is for: "a.example, b.example", cut */
};

/* 0; -ENOENT and what open and read say, -EBADMSG (not what it should be), -EKEYREJECTED (the key is another certificate's), -EFBIG,
 * -ENOMEM; then `why` says it in words. */
int tls_cert_new(struct tls_cert **out, const struct tls_cert_files *files, struct tls_problem *why);
struct tls_cert *tls_cert_get(struct tls_cert *c);
void tls_cert_put(struct tls_cert *c);
const struct tls_cert_info *tls_cert_info(const struct tls_cert *c);

/* Whom we believe. */
struct tls_trust;
/* `ca` NULL: those the system knows (the ca-certificates package). `crl` NULL: nothing is revoked. As tls_cert_new. */
int tls_trust_new(struct tls_trust **out, const char *ca, const char *crl, struct tls_problem *why);
struct tls_trust *tls_trust_get(struct tls_trust *t);
void tls_trust_put(struct tls_trust *t);

enum tls_version { TLS_1_2, TLS_1_3 };
enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRE };

struct tls_context_params {
	bool is_server;
	uint8_t min_version;            /* enum tls_version */
	uint8_t verify;                 /* enum tls_verify: the other side's certificate; a server's is there anyway */
	const char *ciphers;            /* as OpenSSL writes them, those of TLS 1.3 among them; NULL: its own choice */
	struct tls_cert *const *certs;  /* several for one name: of different kinds of keys; a client has the first of each kind */
	unsigned n_certs;
	struct tls_trust *trust;        /* NULL: nobody is verified */
};

/* The settings of a listener, or of connections we make. 0; -EINVAL (no such ciphers; no certificate, one that OpenSSL takes for too weak,
 * two of one kind for one name), and `why` says so; -ENOMEM. */
struct tls_context;
int tls_context_new(struct tls_context **out, const struct tls_context_params *p, char *why, size_t size);
/* Does it ask the other side for a certificate that is to be believed? NULL does. */
bool tls_context_verifies(const struct tls_context *x);
/* Any thread. */
struct tls_context *tls_context_get(struct tls_context *x);
void tls_context_put(struct tls_context *x);

/* Makes the keys of session tickets: both nodes of a pair, with one secret and one clock, make the same, so that either resumes what the
 * other began. NULL secret: nobody else's. */
struct tls_tickets;
int tls_tickets_new(struct tls_tickets **out, const uint8_t secret[TLS_TICKET_SECRET], uint64_t (*wall_ms)(void *ctx), void *ctx);
void tls_tickets_free(struct tls_tickets *t);

#endif
