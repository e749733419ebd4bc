/* bench/floor.c - what TLS costs whoever does nothing else: OpenSSL's server side in a bare loop, blocking, to be counted
 * under callgrind beside the SBC. docs/bench.md.
 *   accept N         takes N connections and shakes hands, one after the other; all are kept until the last has come
 *   calls N IN OUT   takes one, and N times reads and writes what a call with its caller there does: IN bytes in three
 *                    messages, OUT bytes in four
 *   drive N IN OUT   the other end of `calls` */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench/wire.h"

enum { MESSAGE_MAX = 16384,
       BACKLOG = 1024 };

static void die(const char *what)
{
	fprintf(stderr, "bench-floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int listen_at(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 || listen(fd, BACKLOG) < 0)
		die("listening");
	return fd;
}

static SSL *shaken(SSL_CTX *ctx, int fd, bool is_server)
{
	SSL *ssl = SSL_new(ctx);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || (is_server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		die("handshake");
	return ssl;
}

static SSL *accepted(SSL_CTX *ctx, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("accept");
	return shaken(ctx, fd, true);
}

static void put(SSL *ssl, size_t n)
{
	static const char zeros[MESSAGE_MAX];

	if (SSL_write(ssl, zeros, (int)n) != (int)n)
		die("writing");
}

static void get(SSL *ssl, size_t n)
{
	char bytes[MESSAGE_MAX];
	int got;

	for (; n; n -= (size_t)got)
		if ((got = SSL_read(ssl, bytes, (int)n)) <= 0)
			die("reading");
}

/* INVITE; 100, 180, 200; ACK; BYE; 200. */
static void call_serve(SSL *ssl, size_t in, size_t out)
{
	get(ssl, in);
	for (int i = 0; i < 3; i++)
		put(ssl, out);
	get(ssl, in);
	get(ssl, in);
	put(ssl, out);
}

static void call_drive(SSL *ssl, size_t in, size_t out)
{
	put(ssl, in);
	get(ssl, 3 * out);
	put(ssl, in);
	put(ssl, in);
	get(ssl, out);
}

static SSL *connected(SSL_CTX *ctx, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("connecting");
	return shaken(ctx, fd, false);
}

static SSL_CTX *server_context(const char *certificate, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		die("certificate");
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

static int accept_all(SSL_CTX *ctx, const struct sockaddr_in *at, unsigned n)
{
	SSL **all = calloc(n, sizeof(SSL *));
	int listener = listen_at(at);

	if (!all)
		return 1;
	for (unsigned i = 0; i < n; i++)
		all[i] = accepted(ctx, listener);
	for (unsigned i = 0; i < n; i++) {
		close(SSL_get_fd(all[i]));
		SSL_free(all[i]);
	}
	free(all);
	return 0;
}

static int usage(void)
{
	fputs("usage: bench-floor ADDRESS:PORT CERTIFICATE KEY accept N\n"
	      "       bench-floor ADDRESS:PORT CERTIFICATE KEY calls N BYTES_IN BYTES_OUT\n"
	      "       bench-floor ADDRESS:PORT - - drive N BYTES_IN BYTES_OUT\n",
	      stderr);
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at;
	unsigned n = argc > 5 ? (unsigned)atoi(argv[5]) : 0;
	size_t in = argc > 7 ? (size_t)atoi(argv[6]) / 3 : 0, out = argc > 7 ? (size_t)atoi(argv[7]) / 4 : 0;
	const char *what = argc > 5 ? argv[4] : "";
	SSL_CTX *ctx;
	SSL *ssl;

	if (!n || wire_address(&at, argv[1]) || in > MESSAGE_MAX || out > MESSAGE_MAX)
		return usage();
	if (strcmp(what, "accept") == 0)
		return accept_all(server_context(argv[2], argv[3]), &at, n);
	if (!in || !out)
		return usage();
	if (strcmp(what, "calls") == 0) {
		ctx = server_context(argv[2], argv[3]);
		ssl = accepted(ctx, listen_at(&at));
	} else if (strcmp(what, "drive") == 0 && (ctx = SSL_CTX_new(TLS_client_method()))) {
		ssl = connected(ctx, &at);
	} else {
		return usage();
	}
	for (unsigned i = 0; i < n; i++)
		(what[0] == 'c' ? call_serve : call_drive)(ssl, in, out);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return 0;
}
