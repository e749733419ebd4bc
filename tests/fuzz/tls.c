/* What comes before a connection is anybody's: records of a handshake, at the side that accepts (first byte even) and at the side that dials. The
 * second byte says how large the pieces are that they come in. */
#include "transports/link.h"
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static void write_files(const char *cert, const char *key)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *to;

	must(pkey && x);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, pkey);
	must(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"a.example", -1, -1, 0) == 1);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	must(X509_sign(x, pkey, EVP_sha256()) > 0);
	must((to = fopen(cert, "w")) && PEM_write_X509(to, x) == 1 && fclose(to) == 0);
	must((to = fopen(key, "w")) && PEM_write_PrivateKey(to, pkey, NULL, NULL, 0, NULL, NULL) == 1 && fclose(to) == 0);
	X509_free(x);
	EVP_PKEY_free(pkey);
}

/* Of the side that accepts, and of the one that dials. */
static struct tls_context **contexts(void)
{
	static struct tls_context *both[2];
	char directory[] = "/tmp/fuzz-tls-XXXXXX", cert[64], key[64], why[256];
	struct tls_problem problem;
	struct tls_trust *trust;
	struct tls_cert *c;

	if (both[0])
		return both;
	signal(SIGPIPE, SIG_IGN);
	must(mkdtemp(directory) != NULL);
	snprintf(cert, sizeof(cert), "%s/cert", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	write_files(cert, key);
	must(tls_cert_new(&c, &(struct tls_cert_files){ SV("a.example"), cert, key, NULL }, &problem) == 0);
	must(tls_trust_new(&trust, cert, NULL, &problem) == 0);
	must(tls_context_new(&both[0], &(struct tls_context_params){ .is_server = true, .verify = TLS_VERIFY_OPTIONAL, .certs = &c, .n_certs = 1,
	                                                             .trust = trust }, why, sizeof(why)) == 0);
	must(tls_context_new(&both[1], &(struct tls_context_params){ .verify = TLS_VERIFY_REQUIRE, .trust = trust }, why, sizeof(why)) == 0);
	tls_trust_put(trust);
	tls_cert_put(c);
	unlink(cert);
	unlink(key);
	rmdir(directory);
	return both;
}

static void feed(struct tls *t, int fd, const uint8_t *data, size_t size, size_t piece)
{
	enum link_fault fault;
	char why[160], bytes[256];
	int err = tls_shake(t, &fault, why, sizeof(why));

	while (size && err == -EAGAIN) {
		size_t n = piece < size ? piece : size;

		if (write(fd, data, n) != (ssize_t)n)
			break;
		data += n;
		size -= n;
		err = tls_shake(t, &fault, why, sizeof(why));
		while (read(fd, bytes, sizeof(bytes)) > 0)
			; /* what it says is not looked at */
	}
	must(err <= 0);
	must(err == 0 || err == -EAGAIN || fault != LINK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv name = SV("a.example");
	struct slab links;
	struct tls *t;
	int fd[2];

	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
		return 0;
	slab_init(&links, "TLS connections", sizeof(struct tls), 0);
	if (tls_open(&t, &(struct tls_params){ .links = &links, .context = contexts()[data[0] & 1],
	                                       .expects = data[0] & 1 ? &name : NULL, .fd = fd[0] }) == 0) {
		feed(t, fd[1], data + 2, size - 2, data[1] ? data[1] : size);
		tls_close(t);
	}
	must(slab_fini(&links) == 0);
	close(fd[0]);
	close(fd[1]);
	return 0;
}
