/* TLS links over socket pairs, with certificates made by the openssl command (tests/pki). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/certs.h"
#include "transports/link.h"
#include "transports/tls_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/kdf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct certs files;

static const char *in(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", files.directory, name);
	return path;
}

static struct slab links;

static int make_files(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	slab_init(&links, "TLS connections", sizeof(struct tls), 0);
	certs_make(&files);
	return 0;
}

static int drop_files(void **state)
{
	(void)state;
	certs_drop(&files);
	return slab_fini(&links) ? -1 : 0;
}

static struct tls_cert *cert_of(const char *file, const char *name, const char *ocsp)
{
	char cert[128], key[128], text[128], base[64];
	struct tls_problem why = { .text = "" };
	struct tls_cert *c = NULL;

	snprintf(base, sizeof base, "%s.pem", file);
	in(base, cert);
	snprintf(base, sizeof base, "%s.key", file);
	in(base, key);
	if (tls_cert_new(&c, &(struct tls_cert_files){ sv_from(name), cert, key, ocsp ? in(ocsp, text) : NULL }, &why))
		fail_msg("%s: %s", file, why.text);
	return c;
}

static struct tls_trust *trust_of(const char *ca, const char *crl)
{
	char path[128], list[128];
	struct tls_problem why = { .text = "" };
	struct tls_trust *t = NULL;

	if (tls_trust_new(&t, in(ca, path), crl ? in(crl, list) : NULL, &why))
		fail_msg("%s: %s", ca, why.text);
	return t;
}

static struct tls_context *context_of(const struct tls_context_params *p)
{
	struct tls_context *x = NULL;
	char why[256] = "";

	if (tls_context_new(&x, p, why, sizeof why))
		fail_msg("%s", why);
	return x;
}

/* A server that shows the named certificate, for whatever name. */
static struct tls_context *server_of(const char *file)
{
	struct tls_cert *c = cert_of(file, "sip.example.com", NULL);
	struct tls_context *x = context_of(&(struct tls_context_params){ .is_server = true, .certs = &c, .n_certs = 1 });

	tls_cert_put(c);
	return x;
}

static struct tls_context *client_of(const char *ca, const char *crl)
{
	struct tls_trust *t = trust_of(ca, crl);
	struct tls_context *x = context_of(&(struct tls_context_params){ .verify = TLS_VERIFY_REQUIRE, .trust = t });

	tls_trust_put(t);
	return x;
}

/* Both ends of one connection. */
struct pair {
	struct tls *server, *client;
	int fd[2];
	int err[2];                      /* of the server, of the client */
	enum link_fault fault[2];
	char why[2][160];
};

static int open_link(struct tls **out, struct tls_context *x, struct tls_tickets *tickets, int fd, const struct sv *expects)
{
	return tls_open(out, &(struct tls_params){ .links = &links, .context = x, .tickets = tickets, .expects = expects, .fd = fd });
}

static void pair_open(struct pair *p, struct tls_context *server, struct tls_context *client, const char *expects)
{
	struct sv name = sv_from(expects);

	*p = (struct pair){ .err = { -EAGAIN, -EAGAIN } };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
	assert_int_equal(open_link(&p->server, server, NULL, p->fd[0], NULL), 0);
	assert_int_equal(open_link(&p->client, client, NULL, p->fd[1], &name), 0);
}

static void pair_shake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		if (p->err[1] == -EAGAIN)
			p->err[1] = tls_shake(p->client, &p->fault[1], p->why[1], sizeof p->why[1]);
		if (p->err[0] == -EAGAIN)
			p->err[0] = tls_shake(p->server, &p->fault[0], p->why[0], sizeof p->why[0]);
	}
}

static void pair_close(struct pair *p)
{
	tls_close(p->server);
	tls_close(p->client);
	close(p->fd[0]);
	close(p->fd[1]);
}

/* What the client says of a server that shows `file`, wanting to speak to `name`. */
static int try_name(const char *file, const char *name, const char *ca, const char *crl)
{
	struct tls_context *server = server_of(file), *client = client_of(ca, crl);
	struct pair p;
	int err;

	pair_open(&p, server, client, name);
	pair_shake(&p);
	err = p.err[1];
	assert_int_equal(p.fault[1], err ? LINK_UNTRUSTED : LINK_OK);
	if (err)
		assert_int_equal(p.fault[0], LINK_REFUSED); /* an alert told it */
	pair_close(&p);
	tls_context_put(server);
	tls_context_put(client);
	return err;
}

/* The tests ------------------------------------------------------------------------------------------------------- */

static void bytes_both_ways_and_an_end_in_order(void **state)
{
	struct tls_context *server = server_of("sip"), *client = client_of("ca.pem", NULL);
	struct iovec pieces[] = { { (char *)"hello, ", 7 }, { (char *)"world", 5 } };
	char area[LINK_RECORD_MAX], got[64];
	struct sv names[LINK_NAMES_MAX];
	struct pair p;

	(void)state;
	pair_open(&p, server, client, "SIP.example.com.");
	pair_shake(&p);
	assert_int_equal(p.err[0], 0);
	assert_int_equal(p.err[1], 0);
	assert_int_equal(tls_recv(p.server, got, sizeof got), -EAGAIN);
	assert_int_equal(tls_send(p.client, pieces, 2, area), 12);
	assert_int_equal(tls_recv(p.server, got, sizeof got), 12); /* one record */
	assert_memory_equal(got, "hello, world", 12);
	assert_int_equal(tls_send(p.server, pieces, 1, area), 7);
	assert_int_equal(tls_recv(p.client, got, sizeof got), 7);
	assert_int_equal(tls_peer_names(p.client, names, LINK_NAMES_MAX), 1);
	assert_true(sv_eq(names[0], SV("sip.example.com")));
	assert_int_equal(tls_peer_names(p.server, names, LINK_NAMES_MAX), 0); /* nobody was asked */
	assert_int_equal(tls_peer_names(p.client, names, 0), 0);
	tls_bye(p.client);
	assert_int_equal(tls_recv(p.server, got, sizeof got), 0);
	assert_int_equal(tls_send(p.server, pieces, 1, area), 7); /* half closed */
	pair_close(&p);
	tls_context_put(server);
	tls_context_put(client);
}

/* Whoever is not verified has proved nothing, whatever he shows. */
static void names_are_of_who_was_verified(void **state)
{
	struct tls_context *server = server_of("sip"), *client = context_of(&(struct tls_context_params){ .verify = TLS_VERIFY_NONE });
	struct sv names[LINK_NAMES_MAX];
	struct pair p;

	(void)state;
	pair_open(&p, server, client, "other.example.com");
	pair_shake(&p);
	assert_int_equal(p.err[1], 0);
	assert_int_equal(tls_peer_names(p.client, names, LINK_NAMES_MAX), 0);
	pair_close(&p);
	tls_context_put(server);
	tls_context_put(client);
}

/* RFC 5922 §7.1, §7.2. */
static void whom_a_certificate_is_for(void **state)
{
	(void)state;
	assert_int_equal(try_name("sip", "sip.example.com", "ca.pem", NULL), 0);
	assert_int_equal(try_name("sip", "example.com", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("sip", "x.sip.example.com", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("sip", "127.0.0.1", "ca.pem", NULL), 0);
	assert_int_equal(try_name("sip", "127.0.0.2", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("wild", "a.example.com", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("uri", "example.net", "ca.pem", NULL), 0);
	assert_int_equal(try_name("uri", "host.example.net", "ca.pem", NULL), -EKEYREJECTED); /* a sip: URI is there */
	assert_int_equal(try_name("uri", "secure.example.net", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("user", "example.net", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("user", "user", "ca.pem", NULL), -EKEYREJECTED); /* a common name counts where nothing else is */
	assert_int_equal(try_name("cn", "cn.example.com", "ca.pem", NULL), 0);
	assert_int_equal(try_name("many", "n70.example.com", "ca.pem", NULL), 0);
}

/* A certificate for these sip: URIs, or DNS names. */
static X509 *certificate_for(int type, const struct sv *names, size_t n)
{
	GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	X509 *leaf = X509_new();

	for (size_t i = 0; i < n; i++) {
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();
		GENERAL_NAME *name = GENERAL_NAME_new();

		assert_int_equal(ASN1_STRING_set(text, names[i].p, (int)names[i].len), 1);
		GENERAL_NAME_set0_value(name, type, text);
		sk_GENERAL_NAME_push(all, name);
	}
	assert_int_equal(X509_add1_ext_i2d(leaf, NID_subject_alt_name, all, 0, 0), 1);
	sk_GENERAL_NAME_pop_free(all, GENERAL_NAME_free);
	return leaf;
}

/* An authority that vouches for evil.example must not have vouched for bank.example by that. */
static void a_uri_is_no_ones_but_its_hosts(void **state)
{
	static const struct sv forged[] = { { "sip:bank.example:x@evil.example", 31 }, { "sip:bank.example;x@evil.example", 31 },
	                                    { "sip:bank.example?x@evil.example", 31 }, { "sip:bank.example\0.evil.example", 30 } };
	static const struct sv good[] = { { "sip:bank.example", 16 }, { "sip:bank.example:5061", 21 }, { "sip:bank.example;transport=tls", 30 } };

	(void)state;
	for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
		X509 *leaf = certificate_for(GEN_URI, &forged[i], 1);

		assert_false(tls_identifies(leaf, SV("bank.example")));
		assert_false(tls_identifies(leaf, SV("evil.example")));
		X509_free(leaf);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		X509 *leaf = certificate_for(GEN_URI, &good[i], 1);

		assert_true(tls_identifies(leaf, SV("bank.example")));
		X509_free(leaf);
	}
}

/* However many names are before it. */
static void the_last_of_many_names(void **state)
{
	enum { NAMES = 300 };
	char text[NAMES][16];
	struct sv names[NAMES];
	X509 *leaf;

	(void)state;
	for (int i = 0; i < NAMES; i++)
		names[i] = (struct sv){ text[i], (size_t)snprintf(text[i], sizeof text[i], "n%d.example", i) };
	leaf = certificate_for(GEN_DNS, names, NAMES);
	assert_true(tls_identifies(leaf, SV("n0.example")));
	assert_true(tls_identifies(leaf, SV("n299.example")));
	assert_false(tls_identifies(leaf, SV("n300.example")));
	X509_free(leaf);
}

static void whom_we_do_not_believe(void **state)
{
	(void)state;
	assert_int_equal(try_name("stranger", "sip.example.com", "ca.pem", NULL), -EKEYREJECTED);
	assert_int_equal(try_name("old", "sip.example.com", "ca.pem", NULL), -EKEYEXPIRED);
	assert_int_equal(try_name("revoked", "revoked.example.com", "ca.pem", NULL), 0);
	assert_int_equal(try_name("revoked", "revoked.example.com", "ca.pem", "crl.pem"), -EKEYREVOKED);
	assert_int_equal(try_name("sip", "sip.example.com", "ca.pem", "crl.pem"), 0);
}

static struct tls_context *asking_server(uint8_t verify, const char *crl)
{
	struct tls_cert *c = cert_of("sip", "sip.example.com", NULL);
	struct tls_trust *t = trust_of("ca.pem", crl);
	struct tls_context *x = context_of(&(struct tls_context_params){ .is_server = true, .certs = &c, .n_certs = 1, .verify = verify,
	                                                                 .trust = t });

	tls_cert_put(c);
	tls_trust_put(t);
	return x;
}

/* A client that shows `file` to a server that asks; what the server says, and the last name that it has proved. */
static int show(struct tls_context *server, const char *file, char name[64])
{
	struct tls_cert *c = file ? cert_of(file, "own", NULL) : NULL;
	struct tls_trust *t = trust_of("ca.pem", NULL);
	struct tls_context *client = context_of(&(struct tls_context_params){ .verify = TLS_VERIFY_REQUIRE, .trust = t, .certs = &c,
	                                                                      .n_certs = file != NULL });
	struct sv names[LINK_NAMES_MAX];
	struct pair p;
	unsigned n;
	int err;

	pair_open(&p, server, client, "sip.example.com");
	pair_shake(&p);
	err = p.err[0];
	*name = '\0';
	if (!err && (n = tls_peer_names(p.server, names, LINK_NAMES_MAX)))
		snprintf(name, 64, "%.*s", SV_ARG(names[n - 1]));
	else if (err)
		assert_int_equal(p.fault[0], LINK_UNTRUSTED);
	pair_close(&p);
	tls_context_put(client);
	tls_trust_put(t);
	tls_cert_put(c);
	return err;
}

static void clients_that_are_asked(void **state)
{
	struct tls_context *x = asking_server(TLS_VERIFY_REQUIRE, "crl.pem"), *y = asking_server(TLS_VERIFY_OPTIONAL, NULL);
	char name[64];

	(void)state;
	assert_int_equal(show(x, "uri", name), 0);
	assert_string_equal(name, "example.net");
	assert_int_equal(show(x, "many", name), 0);
	assert_string_equal(name, "n64.example.com");
	assert_int_equal(show(x, NULL, name), -EKEYREJECTED);
	assert_int_equal(show(x, "stranger", name), -EKEYREJECTED);
	assert_int_equal(show(x, "revoked", name), -EKEYREVOKED);
	assert_int_equal(show(y, NULL, name), 0);
	assert_string_equal(name, "");
	assert_int_equal(show(y, "uri", name), 0);
	assert_string_equal(name, "example.net");
	assert_int_equal(show(y, "old", name), -EKEYEXPIRED); /* what is shown has to be good */
	tls_context_put(x);
	tls_context_put(y);
}

/* A client that shares nothing with our code ----------------------------------------------------------------------- */

struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
	struct tls *server;
	int fd[2];
	int err;
	enum link_fault fault;
};

static void raw_open(struct raw *r, struct tls_context *x, struct tls_tickets *tickets, const char *sni)
{
	*r = (struct raw){ .ctx = SSL_CTX_new(TLS_client_method()), .err = -EAGAIN };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, r->fd), 0);
	assert_int_equal(open_link(&r->server, x, tickets, r->fd[0], NULL), 0);
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, r->fd[1]);
	SSL_set_connect_state(r->ssl);
	if (sni)
		SSL_set_tlsext_host_name(r->ssl, sni);
}

static void raw_shake(struct raw *r)
{
	char why[160], byte;

	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(r->ssl);
		if (r->err == -EAGAIN)
			r->err = tls_shake(r->server, &r->fault, why, sizeof why);
	}
	SSL_read(r->ssl, &byte, 1); /* tickets of TLS 1.3 come with what comes next */
	ERR_clear_error();
}

static void raw_close(struct raw *r)
{
	tls_close(r->server);
	SSL_set_shutdown(r->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or its session may not be resumed */
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	close(r->fd[0]);
	close(r->fd[1]);
}

static const char *raw_subject(const struct raw *r, char out[64])
{
	X509 *leaf = SSL_get0_peer_certificate(r->ssl);

	assert_non_null(leaf);
	X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, out, 64);
	return out;
}

/* Exactly that name, else a wildcard, else the first. */
static void the_certificate_that_is_asked_for(void **state)
{
	struct tls_cert *certs[] = { cert_of("uri", "first.example.org", NULL), cert_of("wild", "*.example.com", NULL),
	                             cert_of("sip", "sip.example.com", NULL) };
	static const struct { const char *sni, *subject; } cases[] = {
		{ "sip.example.com", "sip.example.com" }, { "SIP.EXAMPLE.COM", "sip.example.com" }, { "a.example.com", "wild" },
		{ "a.b.example.com", "uri" }, { ".example.com", "uri" }, { "first.example.org", "uri" }, { "other.example.org", "uri" },
		{ NULL, "uri" },
	};
	struct tls_context *x = context_of(&(struct tls_context_params){ .is_server = true, .certs = certs, .n_certs = 3 });
	char subject[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw r;

		raw_open(&r, x, NULL, cases[i].sni);
		raw_shake(&r);
		assert_int_equal(r.err, 0);
		assert_string_equal(raw_subject(&r, subject), cases[i].subject);
		raw_close(&r);
	}
	for (size_t i = 0; i < 3; i++)
		tls_cert_put(certs[i]);
	tls_context_put(x);
}

static void two_kinds_of_keys_for_one_name(void **state)
{
	struct tls_cert *certs[] = { cert_of("sip", "sip.example.com", NULL), cert_of("rsa", "sip.example.com", NULL),
	                             cert_of("sip2", "sip.example.com", NULL) };
	struct tls_context *x = context_of(&(struct tls_context_params){ .is_server = true, .certs = certs, .n_certs = 2 }), *none;
	char why[256];

	(void)state;
	for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
		struct raw r;

		raw_open(&r, x, NULL, "sip.example.com");
		assert_int_equal(SSL_set1_sigalgs_list(r.ssl, is_rsa ? "RSA-PSS+SHA256" : "ECDSA+SHA256"), 1);
		raw_shake(&r);
		assert_int_equal(r.err, 0);
		assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(r.ssl))),
		                 is_rsa ? EVP_PKEY_RSA : EVP_PKEY_EC);
		raw_close(&r);
	}
	assert_int_equal(tls_context_new(&none, &(struct tls_context_params){ .is_server = true, .certs = certs, .n_certs = 3 }, why,
	                                 sizeof why), -EINVAL);
	assert_non_null(strstr(why, "two certificates of the same kind"));
	for (size_t i = 0; i < 3; i++)
		tls_cert_put(certs[i]);
	tls_context_put(x);
}

static uint64_t wall = 1000000000000;

static uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return wall;
}

/* Resumed at another server that has the same secret. `hours`: between the two. */
static bool is_resumed(const uint8_t *secret, const uint8_t *other_secret, unsigned hours, int version, uint8_t verify)
{
	struct tls_context *first = asking_server(verify, NULL), *second = asking_server(verify, NULL);
	struct tls_tickets *one, *other;
	SSL_SESSION *session;
	struct raw r;
	bool is_it;

	assert_int_equal(tls_tickets_new(&one, secret, wall_ms, NULL), 0);
	assert_int_equal(tls_tickets_new(&other, other_secret, wall_ms, NULL), 0);
	raw_open(&r, first, one, "sip.example.com");
	SSL_set_max_proto_version(r.ssl, version);
	raw_shake(&r);
	assert_int_equal(r.err, 0);
	session = SSL_get1_session(r.ssl);
	raw_close(&r);
	wall += hours * 3600000ull;
	raw_open(&r, second, other, "sip.example.com");
	SSL_set_max_proto_version(r.ssl, version);
	SSL_set_session(r.ssl, session);
	raw_shake(&r);
	assert_int_equal(r.err, 0); /* a ticket that is no good costs a whole handshake, and no more */
	is_it = tls_is_resumed(r.server);
	assert_int_equal(is_it, SSL_session_reused(r.ssl));
	raw_close(&r);
	SSL_SESSION_free(session);
	tls_tickets_free(one);
	tls_tickets_free(other);
	tls_context_put(first);
	tls_context_put(second);
	return is_it;
}

static void sessions_are_resumed_where_the_secret_is_known(void **state)
{
	static const uint8_t secret[TLS_TICKET_SECRET] = { 1, 2, 3 }, another[TLS_TICKET_SECRET] = { 4 };

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		assert_true(is_resumed(secret, secret, 0, version, TLS_VERIFY_NONE));
		assert_false(is_resumed(secret, another, 0, version, TLS_VERIFY_NONE));
		assert_true(is_resumed(secret, secret, TLS_TICKET_HOURS, version, TLS_VERIFY_NONE));
		assert_false(is_resumed(secret, secret, 2 * TLS_TICKET_HOURS, version, TLS_VERIFY_NONE));
		/* whose certificate is revoked must not come in by a ticket */
		assert_false(is_resumed(secret, secret, 0, version, TLS_VERIFY_OPTIONAL));
	}
}

/* RFC 6066 §8. */
static void the_status_is_stapled(void **state)
{
	struct tls_cert *certs[] = { cert_of("uri", "first.example.org", NULL), cert_of("sip", "sip.example.com", "sip.ocsp") };
	struct tls_context *x = context_of(&(struct tls_context_params){ .is_server = true, .certs = certs, .n_certs = 2 });
	const unsigned char *response;

	(void)state;
	for (int is_it = 0; is_it < 2; is_it++) {
		struct raw r;

		raw_open(&r, x, NULL, is_it ? "sip.example.com" : "first.example.org");
		SSL_set_tlsext_status_type(r.ssl, TLSEXT_STATUSTYPE_ocsp);
		raw_shake(&r);
		assert_int_equal(r.err, 0);
		assert_int_equal(SSL_get_tlsext_status_ocsp_resp(r.ssl, &response) > 0, is_it);
		raw_close(&r);
	}
	tls_cert_put(certs[0]);
	tls_cert_put(certs[1]);
	tls_context_put(x);
}

static void versions_and_ciphers(void **state)
{
	struct tls_cert *c = cert_of("sip", "sip.example.com", NULL);
	struct tls_context_params p = { .is_server = true, .certs = &c, .n_certs = 1, .min_version = TLS_1_3 };
	struct tls_context *x = context_of(&p);
	struct raw r;
	char why[256];

	(void)state;
	raw_open(&r, x, NULL, NULL);
	SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
	raw_shake(&r);
	assert_int_equal(r.err, -EPROTO);
	assert_int_equal(r.fault, LINK_GARBAGE);
	raw_close(&r);
	tls_context_put(x);
	p.min_version = TLS_1_2;
	p.ciphers = "TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384";
	x = context_of(&p);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		raw_open(&r, x, NULL, NULL);
		SSL_set_max_proto_version(r.ssl, version);
		raw_shake(&r);
		assert_int_equal(r.err, 0);
		assert_string_equal(SSL_get_cipher_name(r.ssl),
		                    version == TLS1_3_VERSION ? "TLS_AES_256_GCM_SHA384" : "ECDHE-ECDSA-AES256-GCM-SHA384");
		raw_close(&r);
	}
	tls_context_put(x);
	p.ciphers = "NO-SUCH-CIPHER";
	assert_int_equal(tls_context_new(&x, &p, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "no ciphers"));
	tls_cert_put(c);
}

/* Bytes that are no handshake ------------------------------------------------------------------------------------- */

static int feed_garbage(const char *bytes, size_t len, enum link_fault *fault)
{
	struct tls_context *x = server_of("sip");
	struct tls *t;
	char why[160];
	int fd[2], err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(open_link(&t, x, NULL, fd[0], NULL), 0);
	assert_int_equal(write(fd[1], bytes, len), len);
	err = tls_shake(t, fault, why, sizeof why);
	tls_close(t);
	close(fd[0]);
	close(fd[1]);
	tls_context_put(x);
	return err;
}

static void what_is_no_handshake(void **state)
{
	static const char impossible[] = "\x16\x03\x01\xff\xff\x01\x00", half[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	static const char http[] = "GET / HTTP/1.1\r\n\r\n", sip[] = "OPTIONS sip:a SIP/2.0\r\n\r\n", alert[] = "\x15\x03\x01\x00\x02\x02\x28";
	enum link_fault fault;

	(void)state;
	assert_int_equal(feed_garbage(impossible, sizeof impossible - 1, &fault), -EPROTO);
	assert_int_equal(fault, LINK_GARBAGE);
	assert_int_equal(feed_garbage(http, sizeof http - 1, &fault), -EPROTO);
	assert_int_equal(fault, LINK_GARBAGE);
	assert_int_equal(feed_garbage(sip, sizeof sip - 1, &fault), -EPROTO);
	assert_int_equal(feed_garbage(alert, sizeof alert - 1, &fault), -EPROTO);
	assert_int_equal(feed_garbage(half, sizeof half - 1, &fault), -EAGAIN); /* its deadline is the connection's */
}

static void a_socket_that_ends_meanwhile(void **state)
{
	struct tls_context *x = server_of("sip");
	enum link_fault fault;
	struct tls *t;
	char why[160];
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(open_link(&t, x, NULL, fd[0], NULL), 0);
	close(fd[1]);
	assert_int_equal(tls_shake(t, &fault, why, sizeof why), -ECONNRESET);
	assert_int_equal(fault, LINK_CUT);
	tls_bye(t); /* nobody is there: nothing happens */
	tls_close(t);
	close(fd[0]);
	tls_context_put(x);
}

/* Records that bring nothing -------------------------------------------------------------------------------------- */

static void send_keys(struct raw *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(SSL_key_update(r->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(r->ssl), 1);
	}
}

/* RFC 8446 §4.6.3 has no bound for them. One call takes one of them, and their number has an end. */
static void new_keys_without_end(void **state)
{
	enum { KEYS = 200 };
	struct tls_context *x = server_of("sip");
	unsigned calls = 0;
	struct raw r;
	char got[64];
	ssize_t n;

	(void)state;
	raw_open(&r, x, NULL, NULL);
	raw_shake(&r);
	assert_int_equal(r.err, 0);
	for (int round = 0; round < 3; round++) { /* with something between them they are new keys, and no more */
		send_keys(&r, LINK_EMPTY_MAX);
		assert_int_equal(SSL_write(r.ssl, "hello", 5), 5);
		while ((n = tls_recv(r.server, got, sizeof got)) == -EAGAIN)
			assert_true(r.server->n_records == 1);
		assert_int_equal(n, 5);
	}
	send_keys(&r, KEYS);
	for (; (n = tls_recv(r.server, got, sizeof got)) == -EAGAIN && calls < KEYS; calls++)
		;
	assert_int_equal(n, -ENOMSG);
	assert_int_equal(calls, LINK_EMPTY_MAX);
	raw_close(&r);
	tls_context_put(x);
}

/* RFC 5246 §7.4.1.1: a client ignores them during a handshake. Some of them in one step, the others stay in the socket. */
static void hello_requests_without_end(void **state)
{
	static const char hello_request[] = "\x16\x03\x03\x00\x04\x00\x00\x00\x00";
	enum { LEN = sizeof hello_request - 1, REQUESTS = 100 };
	struct tls_context *server = server_of("sip"), *client = client_of("ca.pem", NULL);
	enum link_fault fault;
	char why[160];
	struct pair p;
	int rest;

	(void)state;
	pair_open(&p, server, client, "sip.example.com");
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(write(p.fd[0], hello_request, LEN), LEN);
	for (int steps = 1; steps <= 3; steps++) {
		assert_int_equal(tls_shake(p.client, &fault, why, sizeof why), -EAGAIN);
		assert_false(p.client->wants_write);
		assert_int_equal(ioctl(p.fd[1], FIONREAD, &rest), 0);
		assert_true(rest >= LEN * (REQUESTS - steps * LINK_RECORDS_MAX));
	}
	pair_close(&p);
	tls_context_put(server);
	tls_context_put(client);
}

/* Slow readers ---------------------------------------------------------------------------------------------------- */

/* What the kernel does not take comes again, with more behind it; the other side gets every byte once. */
static void what_does_not_fit_comes_again(void **state)
{
	enum { PIECE = 5000, PIECES = 400 };
	struct tls_context *server = server_of("sip"), *client = client_of("ca.pem", NULL);
	static char all[PIECE * PIECES], got[PIECE * PIECES];
	char area[LINK_RECORD_MAX];
	size_t sent = 0, received = 0, refused = 0;
	bool was_refused = false;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)(i * 2654435761u >> 24);
	pair_open(&p, server, client, "sip.example.com");
	pair_shake(&p);
	while (received < sizeof all) {
		size_t at = sent % PIECE, rest = sizeof all - sent;
		size_t first = PIECE - at < rest ? PIECE - at : rest;
		struct iovec iov[] = { { all + sent, first }, { all + sent + first, rest - first } };
		ssize_t n = rest ? tls_send(p.server, iov, was_refused && rest > first ? 2 : 1, area) : -EAGAIN;

		was_refused = n <= 0;
		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		assert_int_equal(n, -EAGAIN);
		refused++;
		while ((n = tls_recv(p.client, got + received, sizeof got - received)) > 0)
			received += (size_t)n;
		assert_true(n == -EAGAIN || received == sizeof all);
	}
	assert_true(refused > 3);
	assert_memory_equal(all, got, sizeof all);
	pair_close(&p);
	tls_context_put(server);
	tls_context_put(client);
}

/* Files ----------------------------------------------------------------------------------------------------------- */

static int problem(const char *cert, const char *key, const char *ocsp, struct tls_problem *why)
{
	char a[128], b[128], o[128];
	struct tls_cert *c;
	int err = tls_cert_new(&c, &(struct tls_cert_files){ SV("sip.example.com"), in(cert, a), in(key, b), ocsp ? in(ocsp, o) : NULL }, why);

	if (!err)
		tls_cert_put(c);
	return err;
}

static void put_file(const char *name, const char *bytes, size_t len)
{
	char path[128];
	int fd = open(in(name, path), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void files_that_are_no_good(void **state)
{
	static char large[TLS_FILE_MAX + 1];
	struct tls_problem why;
	struct tls_trust *t;
	char path[128], list[128];

	(void)state;
	assert_int_equal(problem("none.pem", "sip.key", NULL, &why), -ENOENT);
	assert_int_equal(why.file, TLS_CERT);
	assert_int_equal(problem("sip.pem", "none.key", NULL, &why), -ENOENT);
	assert_int_equal(why.file, TLS_KEY);
	assert_int_equal(problem("sip.pem", "uri.key", NULL, &why), -EKEYREJECTED);
	assert_int_equal(why.file, TLS_KEY);
	assert_string_equal(why.text, "is the key of another certificate");
	assert_int_equal(problem("sip.key", "sip.key", NULL, &why), -EBADMSG);
	assert_int_equal(problem("sip.pem", "sip.pem", NULL, &why), -EBADMSG);
	assert_int_equal(why.file, TLS_KEY);
	put_file("large.pem", large, sizeof large);
	assert_int_equal(problem("large.pem", "sip.key", NULL, &why), -EFBIG);
	assert_int_equal(problem(".", "sip.key", NULL, &why), -EINVAL); /* no plain file: never waited for */
	assert_int_equal(mkfifo(in("pipe.pem", path), 0600), 0);
	assert_int_equal(problem("pipe.pem", "sip.key", NULL, &why), -EINVAL);
	put_file("empty.pem", "", 0);
	assert_int_equal(problem("empty.pem", "sip.key", NULL, &why), -EBADMSG);
	put_file("half.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n", 33);
	assert_int_equal(problem("half.pem", "sip.key", NULL, &why), -EBADMSG);
	assert_int_equal(problem("sip2.pem", "sip2.key", "sip.ocsp", &why), -EBADMSG); /* about another one */
	assert_int_equal(why.file, TLS_OCSP);
	assert_int_equal(problem("sip.pem", "sip.key", "sip.pem", &why), -EBADMSG);
	assert_int_equal(tls_trust_new(&t, in("sip.key", path), NULL, &why), -EBADMSG);
	assert_int_equal(why.file, TLS_CA);
	assert_int_equal(tls_trust_new(&t, in("ca.pem", path), in("ca.pem", list), &why), -EBADMSG);
	assert_int_equal(why.file, TLS_CRL);
	assert_int_equal(tls_trust_new(&t, in("ca.pem", path), in("old-crl.pem", list), &why), -EKEYEXPIRED);
}

static void a_chain_that_breaks_off_is_seen(void **state)
{
	char command[512];
	struct tls_problem why;

	(void)state;
	snprintf(command, sizeof command, "cd %s && cat sip.pem ca.pem | head -c 900 >cut.pem && cp sip.key cut.key", files.directory);
	assert_int_equal(system(command), 0);
	assert_int_equal(problem("cut.pem", "cut.key", NULL, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "the chain behind the certificate"));
}

static void what_is_told_of_a_certificate(void **state)
{
	struct tls_cert *c = cert_of("uri", "example.net", NULL), *rsa = cert_of("rsa", "sip.example.com", NULL);
	struct tls_cert *wild = cert_of("wild", "*.example.com", NULL), *wrong = cert_of("sip", "sip.example.org", NULL);
	const struct tls_cert_info *info = tls_cert_info(c);
	char path[128];

	(void)state;
	assert_string_equal(info->names, "example.net");
	assert_string_equal(info->subject, "CN=uri");
	assert_string_equal(info->issuer, "CN=ca");
	assert_string_equal(info->key, "EC prime256v1");
	assert_string_equal(tls_cert_info(rsa)->key, "RSA 2048");
	assert_true(info->until_s == 4102444799);
	assert_true(info->covers_name && tls_cert_info(wild)->covers_name);
	assert_false(tls_cert_info(wrong)->covers_name);
	assert_false(info->key_is_open);
	tls_cert_put(c);
	assert_int_equal(chmod(in("uri.key", path), 0644), 0);
	c = cert_of("uri", "example.net", NULL);
	assert_true(tls_cert_info(c)->key_is_open);
	chmod(path, 0600);
	tls_cert_put(c);
	tls_cert_put(rsa);
	tls_cert_put(wild);
	tls_cert_put(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_both_ways_and_an_end_in_order),
		cmocka_unit_test(names_are_of_who_was_verified),
		cmocka_unit_test(whom_a_certificate_is_for),
		cmocka_unit_test(a_uri_is_no_ones_but_its_hosts),
		cmocka_unit_test(the_last_of_many_names),
		cmocka_unit_test(whom_we_do_not_believe),
		cmocka_unit_test(clients_that_are_asked),
		cmocka_unit_test(the_certificate_that_is_asked_for),
		cmocka_unit_test(two_kinds_of_keys_for_one_name),
		cmocka_unit_test(sessions_are_resumed_where_the_secret_is_known),
		cmocka_unit_test(the_status_is_stapled),
		cmocka_unit_test(versions_and_ciphers),
		cmocka_unit_test(what_is_no_handshake),
		cmocka_unit_test(a_socket_that_ends_meanwhile),
		cmocka_unit_test(new_keys_without_end),
		cmocka_unit_test(hello_requests_without_end),
		cmocka_unit_test(what_does_not_fit_comes_again),
		cmocka_unit_test(files_that_are_no_good),
		cmocka_unit_test(a_chain_that_breaks_off_is_seen),
		cmocka_unit_test(what_is_told_of_a_certificate),
	};

	return cmocka_run_group_tests(tests, make_files, drop_files);
}
