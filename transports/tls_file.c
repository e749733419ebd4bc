/* transports/tls_file.c - certificates, keys and whom to believe, out of their files. Control thread. */
#include "base/addr.h"
#include "base/list.h"
#include "transports/heap.h"
#include "transports/tls_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

__attribute__((format(printf, 4, 5)))
static int fail(struct tls_problem *why, enum tls_file file, int err, const char *fmt, ...)
{
	va_list ap;

	why->file = file;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return err;
}

/* What OpenSSL could not make out for want of memory it takes for invalid ever after, a key or an extension, and does not always say so. */
static int whole(int err, unsigned long refused, enum tls_file file, struct tls_problem *why)
{
	return heap_refused() == refused ? err : fail(why, err ? why->file : file, -ENOMEM, "out of memory");
}

const char *tls_complaint(char *out, size_t size)
{
	unsigned long e = ERR_get_error();
	const char *reason = ERR_reason_error_string(e);

	snprintf(out, size, "%s", reason ? reason : "no reason given");
	ERR_clear_error();
	return out;
}

/* Files ----------------------------------------------------------------------------------------------------------- */

struct bytes {
	char *p;
	size_t len;
	mode_t mode;
};

static void bytes_fini(struct bytes *b)
{
	if (b->p)
		OPENSSL_cleanse(b->p, b->len);
	free(b->p);
}

static int fill(int fd, struct bytes *out)
{
	while (out->len <= TLS_FILE_MAX) {
		ssize_t n = read(fd, out->p + out->len, TLS_FILE_MAX + 1 - out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->len += (size_t)n;
	}
	return -EFBIG;
}

/* Never waits: what is no plain file is none. */
static int slurp(const char *path, struct bytes *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	out->mode = st.st_mode;
	out->p = malloc(TLS_FILE_MAX + 1);
	err = out->p ? fill(fd, out) : -ENOMEM;
	close(fd);
	return err;
}

static int open_file(const char *path, enum tls_file file, struct bytes *out, struct tls_problem *why)
{
	int err = slurp(path, out);

	if (err == -EFBIG)
		return fail(why, file, err, "longer than %d bytes", TLS_FILE_MAX);
	if (err == -EINVAL)
		return fail(why, file, err, "no file");
	return err ? fail(why, file, err, "cannot be read: %s", strerror(-err)) : 0;
}

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static BIO *bio_of(const struct bytes *b)
{
	return BIO_new_mem_buf(b->p, (int)b->len);
}

/* The queue's last complaint is that nothing more begins, which is how a list ends. */
static bool is_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool is_it = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (is_it)
		ERR_clear_error();
	return is_it;
}

static int no_password(char *buf, int size, int is_writing, void *ctx)
{
	(void)buf, (void)size, (void)is_writing, (void)ctx;
	return 0;
}

/* Certificates ---------------------------------------------------------------------------------------------------- */

static int read_chain(struct tls_cert *c, const char *path, struct tls_problem *why)
{
	SCOPED(bytes_fini) struct bytes bytes = { 0 };
	SCOPED(bio_freep) BIO *bio = NULL;
	int err = open_file(path, TLS_CERT, &bytes, why);
	char said[160];
	X509 *next;

	if (err)
		return err;
	if (!(bio = bio_of(&bytes)) || !(c->chain = sk_X509_new_null()))
		return fail(why, TLS_CERT, -ENOMEM, "out of memory");
	if (!(c->leaf = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		return fail(why, TLS_CERT, -EBADMSG, "holds no certificate in PEM: %s", tls_complaint(said, sizeof(said)));
	while ((next = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
		if (!sk_X509_push(c->chain, next)) {
			X509_free(next);
			return fail(why, TLS_CERT, -ENOMEM, "out of memory");
		}
	}
	return is_end() ? 0 : fail(why, TLS_CERT, -EBADMSG, "the chain behind the certificate cannot be read: %s",
	                           tls_complaint(said, sizeof(said)));
}

static int read_key(struct tls_cert *c, const char *path, struct tls_problem *why)
{
	SCOPED(bytes_fini) struct bytes bytes = { 0 };
	SCOPED(bio_freep) BIO *bio = NULL;
	int err = open_file(path, TLS_KEY, &bytes, why);
	char said[160];

	if (err)
		return err;
	if (!(bio = bio_of(&bytes)))
		return fail(why, TLS_KEY, -ENOMEM, "out of memory");
	if (!(c->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)))
		return fail(why, TLS_KEY, -EBADMSG, "holds no private key in PEM, or one with a password, which nobody could type: %s",
		            tls_complaint(said, sizeof(said)));
	if (X509_check_private_key(c->leaf, c->key) != 1)
		return fail(why, TLS_KEY, -EKEYREJECTED, "is the key of another certificate");
	c->info.key_is_open = bytes.mode & S_IROTH;
	return 0;
}

/* RFC 6066 §8. Whether the responder signed it is for clients to judge; that it is a good one, and about this certificate, is not. */
static bool is_about(OCSP_RESPONSE *response, X509 *leaf)
{
	OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	bool is_it = false;

	for (int i = 0; basic && i < OCSP_resp_count(basic) && !is_it; i++) {
		ASN1_INTEGER *of = NULL;
		const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(OCSP_resp_get0(basic, i));

		is_it = OCSP_id_get0_info(NULL, NULL, NULL, &of, (OCSP_CERTID *)id) == 1 && ASN1_INTEGER_cmp(of, serial) == 0;
	}
	OCSP_BASICRESP_free(basic);
	return is_it;
}

static int read_ocsp(struct tls_cert *c, const char *path, struct tls_problem *why)
{
	SCOPED(bytes_fini) struct bytes bytes = { 0 };
	int err = open_file(path, TLS_OCSP, &bytes, why);
	const unsigned char *at = (const unsigned char *)bytes.p;
	OCSP_RESPONSE *response;
	bool is_good;

	if (err)
		return err;
	if (bytes.len > TLS_OCSP_MAX)
		return fail(why, TLS_OCSP, -EFBIG, "longer than %d bytes", TLS_OCSP_MAX);
	response = d2i_OCSP_RESPONSE(NULL, &at, (long)bytes.len);
	is_good = bytes.len && response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL && is_about(response, c->leaf);
	OCSP_RESPONSE_free(response);
	if (!is_good)
		return fail(why, TLS_OCSP, -EBADMSG, "holds no OCSP response (DER) about this certificate");
	if (!(c->ocsp = malloc(bytes.len)))
		return fail(why, TLS_OCSP, -ENOMEM, "out of memory");
	memcpy(c->ocsp, bytes.p, bytes.len);
	c->ocsp_len = bytes.len;
	return 0;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void print_name(X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long len;

	*out = '\0';
	if (!bio)
		return;
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	len = BIO_get_mem_data(bio, &p);
	snprintf(out, size, "%.*s", (int)len, p);
	BIO_free(bio);
}

static void print_key(EVP_PKEY *key, char *out, size_t size)
{
	char group[20] = "";

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		snprintf(out, size, "EC %s", group);
	else
		snprintf(out, size, "%s %d", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

static bool list_name(void *ctx, struct sv name)
{
	struct tls_cert_info *info = ctx;
	size_t len = strlen(info->names);

	snprintf(info->names + len, sizeof(info->names) - len, "%s%.*s", len ? ", " : "", SV_ARG(name));
	return len + name.len < sizeof(info->names);
}

/* SIP clients want the name whole; WebSocket clients are browsers, and take a wildcard (RFC 6125 §6.4.3). */
static bool covers(X509 *leaf, const char *name)
{
	struct addr addr;

	if (addr_parse(&addr, sv_from(name)) == 0 || tls_identifies(leaf, sv_from(name)))
		return tls_identifies(leaf, sv_from(name));
	return X509_check_host(leaf, name, 0, 0, NULL) == 1;
}

static void describe(struct tls_cert *c)
{
	struct tls_cert_info *info = &c->info;
	BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(c->leaf), NULL);
	char *hex = serial ? BN_bn2hex(serial) : NULL;

	snprintf(info->serial, sizeof(info->serial), "%s", hex ? hex : "");
	OPENSSL_free(hex);
	BN_free(serial);
	info->from_s = seconds_of(X509_get0_notBefore(c->leaf));
	info->until_s = seconds_of(X509_get0_notAfter(c->leaf));
	print_name(X509_get_subject_name(c->leaf), info->subject, sizeof(info->subject));
	print_name(X509_get_issuer_name(c->leaf), info->issuer, sizeof(info->issuer));
	print_key(c->key, info->key, sizeof(info->key));
	tls_identities(c->leaf, list_name, info);
	info->covers_name = covers(c->leaf, c->name);
	ERR_clear_error();
}

int tls_cert_new(struct tls_cert **out, const struct tls_cert_files *files, struct tls_problem *why)
{
	struct tls_cert *c = calloc(1, sizeof(*c));
	unsigned long refused = heap_refused();
	int err;

	if (!c)
		return fail(why, TLS_CERT, -ENOMEM, "out of memory");
	c->refs = 1;
	snprintf(c->name, sizeof(c->name), "%.*s", SV_ARG(files->name));
	ERR_clear_error();
	if (!(err = read_chain(c, files->cert, why)) && !(err = read_key(c, files->key, why)) && files->ocsp)
		err = read_ocsp(c, files->ocsp, why);
	if (!err)
		describe(c);
	if ((err = whole(err, refused, TLS_CERT, why))) {
		tls_cert_put(c);
		return err;
	}
	*out = c;
	return 0;
}

struct tls_cert *tls_cert_get(struct tls_cert *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void tls_cert_put(struct tls_cert *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
	free(c->ocsp);
	free(c);
}

const struct tls_cert_info *tls_cert_info(const struct tls_cert *c)
{
	return &c->info;
}

/* Whom to believe ------------------------------------------------------------------------------------------------- */

static int add_cas(struct tls_trust *t, const char *path, struct tls_problem *why)
{
	SCOPED(bytes_fini) struct bytes bytes = { 0 };
	SCOPED(bio_freep) BIO *bio = NULL;
	int err = open_file(path, TLS_CA, &bytes, why);
	unsigned n = 0;
	char said[160];
	X509 *ca;

	if (err)
		return err;
	if (!(bio = bio_of(&bytes)))
		return fail(why, TLS_CA, -ENOMEM, "out of memory");
	while ((ca = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
		int ok = X509_STORE_add_cert(t->store, ca);

		(void)X509_check_purpose(ca, -1, 0); /* reads its extensions now: by whomever is verified first it would be too late */
		X509_free(ca);
		if (!ok)
			return fail(why, TLS_CA, -ENOMEM, "out of memory");
		n++;
	}
	if (!is_end() || !n)
		return fail(why, TLS_CA, -EBADMSG, "holds no certificates in PEM, or a broken one: %s", tls_complaint(said, sizeof(said)));
	return 0;
}

static int add_crls(struct tls_trust *t, const char *path, struct tls_problem *why)
{
	SCOPED(bytes_fini) struct bytes bytes = { 0 };
	SCOPED(bio_freep) BIO *bio = NULL;
	int err = open_file(path, TLS_CRL, &bytes, why);
	X509_CRL *crl;
	char said[160];

	if (err)
		return err;
	if (!(bio = bio_of(&bytes)))
		return fail(why, TLS_CRL, -ENOMEM, "out of memory");
	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL))) {
		int ok = X509_STORE_add_crl(t->store, crl);
		bool is_over = X509_CRL_get0_nextUpdate(crl) && X509_cmp_current_time(X509_CRL_get0_nextUpdate(crl)) < 0;

		X509_CRL_free(crl);
		if (!ok)
			return fail(why, TLS_CRL, -ENOMEM, "out of memory");
		if (is_over)
			return fail(why, TLS_CRL, -EKEYEXPIRED, "is out of date: nobody would be believed; fetch the next one");
		t->has_crl = true;
	}
	if (!is_end() || !t->has_crl)
		return fail(why, TLS_CRL, -EBADMSG, "holds no revocation list in PEM, or a broken one: %s",
		            tls_complaint(said, sizeof(said)));
	return 0;
}

int tls_trust_new(struct tls_trust **out, const char *ca, const char *crl, struct tls_problem *why)
{
	struct tls_trust *t = calloc(1, sizeof(*t));
	unsigned long refused = heap_refused();
	int err;

	if (!t)
		return fail(why, TLS_CA, -ENOMEM, "out of memory");
	t->refs = 1;
	t->is_system = !ca;
	ERR_clear_error();
	if (!(t->store = X509_STORE_new()))
		err = fail(why, TLS_CA, -ENOMEM, "out of memory");
	else if (!(err = add_cas(t, ca ? ca : SYSTEM_CA, why)) && crl)
		err = add_crls(t, crl, why);
	if ((err = whole(err, refused, TLS_CA, why))) {
		tls_trust_put(t);
		return err;
	}
	*out = t;
	return 0;
}

struct tls_trust *tls_trust_get(struct tls_trust *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void tls_trust_put(struct tls_trust *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	X509_STORE_free(t->store);
	free(t);
}
