#include "transports/link.h"
#include "transports/tls_inside.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct link_names {
	unsigned n;
	struct sv name[];               /* the bytes are behind them */
};

/* Opening --------------------------------------------------------------------------------------------------------- */

static int on_verify(int is_good, X509_STORE_CTX *store);

/* RFC 6066 §3: a name, never an address. */
static bool name_peer(struct tls *t)
{
	char name[TLS_NAME_MAX + 1];
	struct addr addr;

	if (!t->expects.len || t->expects.len > TLS_NAME_MAX || addr_parse(&addr, t->expects) == 0)
		return true;
	snprintf(name, sizeof(name), "%.*s", SV_ARG(t->expects));
	return SSL_set_tlsext_host_name(t->ssl, name) == 1;
}

/* No call goes on for as long as the peer goes on. OpenSSL would: a refused ClientHello of TLS 1.2, and a HelloRequest during a handshake
 * (RFC 5246 §7.4.1.1), make it read what comes next. The socket seems empty to it then, and stays ready in our loop. */
static long before_read(BIO *bio, int what, const char *bytes, size_t len, int argi, long argl, int ret, size_t *done)
{
	const struct tls *t = (const struct tls *)BIO_get_callback_arg(bio);

	(void)bytes, (void)len, (void)argi, (void)argl, (void)done;
	if (what != BIO_CB_READ || t->n_records < LINK_RECORDS_MAX)
		return ret;
	BIO_clear_retry_flags(bio);
	BIO_set_retry_read(bio);
	return -1;
}

static bool prepare(struct tls *t, int fd)
{
	if (!(t->ssl = SSL_new(t->context->ctx)) || SSL_set_fd(t->ssl, fd) != 1 || SSL_set_app_data(t->ssl, t) != 1)
		return false;
	BIO_set_callback_ex(SSL_get_rbio(t->ssl), before_read);
	BIO_set_callback_arg(SSL_get_rbio(t->ssl), (char *)t);
	if (!t->tickets) {
		SSL_set_options(t->ssl, SSL_OP_NO_TICKET);
		SSL_set_num_tickets(t->ssl, 0);
	}
	if (t->context->is_server) {
		SSL_set_accept_state(t->ssl);
		return true;
	}
	SSL_set_connect_state(t->ssl);
	if (t->context->verifies)
		SSL_set_verify(t->ssl, SSL_VERIFY_PEER, on_verify);
	return name_peer(t);
}

static bool expect(struct tls *t, struct sv whom)
{
	char *p = whom.len ? malloc(whom.len) : NULL;

	if (p)
		t->expects = (struct sv){ memcpy(p, whom.p, whom.len), whom.len };
	return p || !whom.len;
}

static void expect_nobody(struct tls *t)
{
	free((char *)t->expects.p);
	t->expects = (struct sv){ 0 };
}

int tls_open(struct tls **out, const struct tls_params *p)
{
	struct tls *t = slab_alloc(p->links);

	if (!t)
		return -ENOMEM;
	t->context = tls_context_get(p->context);
	t->tickets = p->tickets;
	ERR_clear_error();
	if ((p->expects && !expect(t, *p->expects)) || !prepare(t, p->fd)) {
		tls_close(t);
		ERR_clear_error();
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void tls_close(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_context_put(t->context);
	expect_nobody(t);
	free(t->names);
	slab_free(slab_of(t), t);
}

/* The peer -------------------------------------------------------------------------------------------------------- */

/* The certificate's chain is good: is it whom we wanted to speak to (RFC 5922 §7.3)? */
static int on_verify(int is_good, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls *t = SSL_get_app_data(ssl);

	if (!is_good || X509_STORE_CTX_get_error_depth(store) > 0 || !t->expects.len)
		return is_good;
	if (tls_identifies(X509_STORE_CTX_get_current_cert(store), t->expects))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}

struct keeping {
	unsigned n;
	size_t len;
	struct link_names *names;
	char *bytes;
};

static bool measure(void *ctx, struct sv name)
{
	struct keeping *k = ctx;

	k->n++;
	k->len += name.len;
	return k->n < LINK_NAMES_MAX;
}

static bool keep(void *ctx, struct sv name)
{
	struct keeping *k = ctx;
	struct link_names *names = k->names;

	names->name[names->n++] = (struct sv){ memcpy(k->bytes, name.p, name.len), name.len };
	k->bytes += name.len;
	return names->n < k->n;
}

/* What it is kept in is as large as what is kept. */
static int keep_names(struct tls *t)
{
	X509 *leaf = SSL_get0_peer_certificate(t->ssl);
	struct keeping k = { .n = 0 };

	if (!leaf || !t->context->verifies || SSL_get_verify_result(t->ssl) != X509_V_OK)
		return 0;
	tls_identities(leaf, measure, &k);
	if (!k.n)
		return 0;
	if (!(t->names = calloc(1, sizeof(*t->names) + k.n * sizeof(struct sv) + k.len)))
		return -ENOMEM;
	k.names = t->names;
	k.bytes = (char *)(t->names->name + k.n);
	tls_identities(leaf, keep, &k);
	return 0;
}

unsigned tls_peer_names(const struct tls *t, struct sv *out, unsigned max)
{
	unsigned n = t->names ? t->names->n : 0;

	n = n < max ? n : max;
	if (n)
		memcpy(out, t->names->name, n * sizeof(*out));
	return n;
}

bool tls_is_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl);
}

/* Bytes ----------------------------------------------------------------------------------------------------------- */

/* What a call that did not succeed came to: 0 for the end of the other side, else negative. `error` is errno behind the call. Without
 * renegotiation a read never waits for room to write, nor a write for bytes: whoever brought that about is of no more use. */
static int outcome(struct tls *t, int ret, int error, int may_want)
{
	int what = SSL_get_error(t->ssl, ret);

	if (what == may_want)
		return -EAGAIN;
	switch (what) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		t->is_broken = true;
		return error ? -error : -ECONNRESET;
	default:
		t->is_broken = true;
		return -EPROTO;
	}
}

/* Whom we believe sends a few: tickets, new keys (RFC 8446 §4.6). */
static bool is_empty_for_long(struct tls *t, int n)
{
	t->n_empty = n > 0 ? 0 : t->n_empty + t->n_records;
	if (t->n_empty <= LINK_EMPTY_MAX)
		return false;
	t->is_broken = true;
	return true;
}

/* The queue is empty nearly always, and clearing it goes over all of its places. */
static void forget_complaints(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

ssize_t tls_recv(struct tls *t, char *bytes, size_t size)
{
	int n;

	forget_complaints();
	errno = 0;
	t->n_records = 0;
	n = SSL_read(t->ssl, bytes, (int)size);
	if (is_empty_for_long(t, n))
		return -ENOMSG;
	return n > 0 ? n : outcome(t, n, errno, SSL_ERROR_WANT_READ);
}

/* Several pieces become one record, and one packet. */
static struct iovec gather(const struct iovec *iov, size_t n, char *area)
{
	size_t len = 0;

	if (n == 1 || iov->iov_len >= LINK_RECORD_MAX)
		return *iov;
	for (size_t i = 0; i < n && len < LINK_RECORD_MAX; i++) {
		size_t take = iov[i].iov_len < LINK_RECORD_MAX - len ? iov[i].iov_len : LINK_RECORD_MAX - len;

		memcpy(area + len, iov[i].iov_base, take);
		len += take;
	}
	return (struct iovec){ area, len };
}

ssize_t tls_send(struct tls *t, const struct iovec *iov, size_t n, char *area)
{
	struct iovec one = gather(iov, n, area);
	int sent;

	forget_complaints();
	errno = 0;
	sent = SSL_write(t->ssl, one.iov_base, (int)one.iov_len);
	if (sent > 0)
		return sent;
	sent = outcome(t, sent, errno, SSL_ERROR_WANT_WRITE);
	return sent ? sent : -EPIPE;
}

void tls_bye(struct tls *t)
{
	if (!t->is_ready || t->is_broken)
		return;
	ERR_clear_error();
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

/* The handshake --------------------------------------------------------------------------------------------------- */

static int verdict(long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return -EKEYEXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return -EKEYREVOKED;
	default:
		return -EKEYREJECTED;
	}
}

static int judge(struct tls *t, int err, enum link_fault *fault, char *why, size_t size)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	long result = SSL_get_verify_result(t->ssl);

	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(why, size, "%s", X509_verify_cert_error_string(result));
		*fault = LINK_UNTRUSTED;
		err = verdict(result);
	} else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		snprintf(why, size, "no certificate");
		*fault = LINK_UNTRUSTED;
		err = -EKEYREJECTED;
	} else if (e) {
		*fault = reason > SSL_AD_REASON_OFFSET ? LINK_REFUSED : LINK_GARBAGE;
		tls_complaint(why, size);
	} else {
		*fault = LINK_CUT;
		err = err ? err : -ECONNRESET;
		snprintf(why, size, "%s", strerror(-err));
	}
	ERR_clear_error();
	return err;
}

int tls_shake(struct tls *t, enum link_fault *fault, char *why, size_t size)
{
	int ret, err;

	ERR_clear_error();
	errno = 0;
	*fault = LINK_OK;
	t->n_records = 0;
	ret = SSL_do_handshake(t->ssl);
	if (ret == 1) {
		t->is_ready = true;
		expect_nobody(t);
		return keep_names(t);
	}
	err = errno;
	t->wants_write = SSL_get_error(t->ssl, ret) == SSL_ERROR_WANT_WRITE;
	err = outcome(t, ret, err, t->wants_write ? SSL_ERROR_WANT_WRITE : SSL_ERROR_WANT_READ);
	return err == -EAGAIN ? err : judge(t, err, fault, why, size);
}
