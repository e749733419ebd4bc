/* WebSockets over TLS on the real loopback, beside SIP over TLS on one port; the other side is OpenSSL alone. */
#include "tests/unit/transports/rig.h"
#include "tests/unit/certs.h"
#include "transports/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#define REQUEST \
	"GET /sip HTTP/1.1\r\nHost: sip.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
#define OPT "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS x.invalid\r\n\r\n"

enum { RAW, SHARED };            /* tls, and the wss that has its port */

static struct certs certs;

static int make_files(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	certs_make(&certs);
	return 0;
}

static int drop_files(void **state)
{
	(void)state;
	certs_drop(&certs);
	return 0;
}

static void set_tls(struct net *net)
{
	char cert[128], key[128], ca[128], why[256];
	struct tls_problem problem;
	struct tls_cert *c = NULL;
	struct tls_trust *t = NULL;
	struct tls_context *server = NULL, *client = NULL;

	snprintf(cert, sizeof cert, "%s/sip.pem", certs.directory);
	snprintf(key, sizeof key, "%s/sip.key", certs.directory);
	snprintf(ca, sizeof ca, "%s/ca.pem", certs.directory);
	assert_int_equal(tls_cert_new(&c, &(struct tls_cert_files){ SV("sip.example.com"), cert, key, NULL }, &problem), 0);
	assert_int_equal(tls_trust_new(&t, ca, NULL, &problem), 0);
	assert_int_equal(tls_context_new(&server, &(struct tls_context_params){ .is_server = true, .certs = &c, .n_certs = 1 }, why, sizeof why), 0);
	assert_int_equal(tls_context_new(&client, &(struct tls_context_params){ .verify = TLS_VERIFY_REQUIRE, .trust = t }, why, sizeof why), 0);
	for (size_t i = 0; i < 2; i++)
		sockets_set_tls(net, i, server, client);
	tls_context_put(server);
	tls_context_put(client);
	tls_trust_put(t);
	tls_cert_put(c);
}

static int setup(void **state)
{
	struct addr at;
	struct one *o = calloc(1, sizeof *o);
	struct listen_set *set = NULL;
	char error[256];

	close(plain_socket(SOCK_STREAM, 4, &at));
	at = loopback(4, at.port);
	if (sockets_open(&set, (struct listener[]){ { .transport = T_TLS, .is_active = true, .bind = at },
	                                            { .transport = T_WSS, .is_active = true, .bind = at } }, 2, 1, NULL, error, sizeof error))
		fail_msg("%s", error);
	o->rig = rig_new(set, 0, 0);
	o->rig->rules = (struct upgrade_rules){ .path = SV("/sip") };
	o->at[RAW] = at;
	listen_set_free(set);
	set_tls(o->rig->net);
	*state = o;
	return 0;
}

/* The other side -------------------------------------------------------------------------------------------------- */

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

static void peer_wrap(struct peer *p, int fd, bool is_server)
{
	char path[128];

	p->fd = fd;
	p->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	if (is_server) {
		snprintf(path, sizeof path, "%s/sip.pem", certs.directory);
		assert_int_equal(SSL_CTX_use_certificate_file(p->ctx, path, SSL_FILETYPE_PEM), 1);
		snprintf(path, sizeof path, "%s/sip.key", certs.directory);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(p->ctx, path, SSL_FILETYPE_PEM), 1);
	}
	p->ssl = SSL_new(p->ctx);
	SSL_set_fd(p->ssl, fd);
	if (is_server)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

static bool peer_shakes(struct peer *p)
{
	int done = SSL_do_handshake(p->ssl);

	ERR_clear_error();
	return done == 1;
}

static void peer_dial(struct peer *p, struct one *o)
{
	struct addr me;

	peer_wrap(p, dial(o->rig, &o->at[RAW], &me), false);
	until(o->rig, peer_shakes(p));
}

/* In as many records as it takes; what we do not read yet waits. */
static void peer_says(struct peer *p, struct rig *r, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len; ) {
		int n = SSL_write(p->ssl, (const char *)bytes + at, (int)(len - at < 16000 ? len - at : 16000));

		ERR_clear_error();
		if (n > 0)
			at += (size_t)n;
		else
			turn(r);
	}
}

static void peer_reads(struct peer *p, struct rig *r, void *out, size_t len)
{
	size_t at = 0;

	for (int i = 0; i < 4 * TURNS && at < len; i++) {
		int n = SSL_read(p->ssl, (char *)out + at, (int)(len - at));

		ERR_clear_error();
		if (n > 0)
			at += (size_t)n;
		else
			turn(r);
	}
	assert_int_equal(at, len);
}

/* Up to the empty line. */
static void peer_reads_head(struct peer *p, struct rig *r, char *out, size_t size)
{
	size_t len = 0;

	do {
		assert_true(len + 1 < size);
		peer_reads(p, r, out + len++, 1);
		out[len] = '\0';
	} while (len < 4 || strcmp(out + len - 4, "\r\n\r\n") != 0);
}

static void peer_expects(struct peer *p, struct rig *r, const char *bytes, size_t len)
{
	char got[512];

	assert_true(len <= sizeof got);
	peer_reads(p, r, got, len);
	assert_memory_equal(got, bytes, len);
}

static void peer_end(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	close(p->fd);
}

/* A text frame of a client's whose mask is all zeros. */
static size_t put_frame(char *to, const char *text)
{
	size_t len = strlen(text), head = len < 126 ? 2 : 4;

	to[0] = (char)0x81;
	to[1] = (char)(0x80 | (len < 126 ? len : 126));
	if (head == 4) {
		to[2] = (char)(len >> 8);
		to[3] = (char)len;
	}
	memset(to + head, 0, 4);
	memcpy(to + head + 4, text, len);
	return head + 4 + len;
}

static void peer_upgrades(struct peer *p, struct one *o)
{
	char head[UPGRADE_ANSWER_MAX + 1];

	peer_dial(p, o);
	peer_says(p, o->rig, REQUEST, strlen(REQUEST));
	peer_reads_head(p, o->rig, head, sizeof head);
	assert_memory_equal(head, "HTTP/1.1 101 ", 13);
}

/* The tests ------------------------------------------------------------------------------------------------------- */

static void a_message_and_its_answer(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p;
	char frame[256], answer[256] = { (char)0x81, sizeof OK - 1 };

	peer_upgrades(&p, o);
	r->answer = buf_copy(SV(OK));
	peer_says(&p, r, frame, put_frame(frame, OPT));
	memcpy(answer + 2, OK, sizeof OK);
	peer_expects(&p, r, answer, sizeof OK + 1);
	assert_string_equal(r->seen[0].bytes, OPT);
	assert_int_equal(r->seen[0].from.transport, T_WSS);
	assert_int_equal(r->seen[0].from.listener, SHARED);
	net_flow_close(r->net, r->seen[0].from.flow);
	peer_expects(&p, r, "\x88\x02\x03\xe8", 4);
	peer_end(&p);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(count(r, NET_TLS_CONNECTIONS), 0);
}

static void sip_on_the_same_port(void **state)
{
	static const char bye[] = "BYE sip:a SIP/2.0\r\nl: 0\r\n\r\n";
	struct one *o = *state;
	struct peer p;

	peer_dial(&p, o);
	peer_says(&p, o->rig, bye, sizeof bye - 1);
	until(o->rig, o->rig->n_seen == 1);
	assert_int_equal(o->rig->seen[0].from.transport, T_TLS);
	assert_int_equal(o->rig->seen[0].from.listener, RAW);
	peer_end(&p);
}

/* What lies decrypted is read, though the socket is empty: more than one record behind the request, and nothing after that. */
static void much_behind_the_request(void **state)
{
	enum { N = 60, LEN = 1000 };
	struct one *o = *state;
	struct peer p;
	char text[LEN + 1] = "", *all = malloc(N * (LEN + 8) + sizeof REQUEST);
	size_t len = sizeof REQUEST - 1;

	memset(text, 'a', LEN);
	memcpy(text, "X sip:a SIP/2.0\r\n\r\n", 19);
	memcpy(all, REQUEST, len);
	for (unsigned i = 0; i < N; i++)
		len += put_frame(all + len, text);
	peer_dial(&p, o);
	peer_says(&p, o->rig, all, len);
	until(o->rig, o->rig->n_seen == N);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(o->rig->seen[i].len, LEN);
	free(all);
	peer_end(&p);
}

/* Our own: whom we want to speak to has to prove it, and is asked for by name. */
static void a_connection_of_ours(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there);
	struct path to = path_to(there, SHARED, T_WSS);
	char head[1024], answer[UPGRADE_ANSWER_MAX], *key, host[64], masked[sizeof OPT + 5];
	struct peer p;

	to.name = net_name(r->net, SV("sip.example.com"));
	assert_int_equal(send_text(r, &to, OPT, 1), 0);
	peer_wrap(&p, accept_one(r, listening, NULL), true);
	until(r, peer_shakes(&p));
	peer_reads_head(&p, r, head, sizeof head);
	snprintf(host, sizeof host, "GET /sip HTTP/1.1\r\nHost: sip.example.com:%u\r\n", there.port);
	assert_memory_equal(head, host, strlen(host));
	key = strstr(head, "Sec-WebSocket-Key: ");
	assert_non_null(key);
	peer_says(&p, r, answer, upgrade_answer(101, (struct sv){ key + 19, UPGRADE_KEY_LEN }, answer));
	peer_reads(&p, r, masked, sizeof masked);
	assert_int_equal((uint8_t)masked[0], 0x81);
	assert_int_equal((uint8_t)masked[1], 0x80 | (sizeof OPT - 1));
	for (size_t i = 0; i < sizeof OPT - 1; i++)
		assert_int_equal((char)(masked[6 + i] ^ masked[2 + i % 4]), OPT[i]);
	assert_int_equal(r->n_failed, 0);
	peer_end(&p);
	close(listening);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, one_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_and_its_answer),
		TEST(sip_on_the_same_port),
		TEST(much_behind_the_request),
		TEST(a_connection_of_ours),
	};

	return cmocka_run_group_tests(tests, make_files, drop_files);
}
