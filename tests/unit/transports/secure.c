/* TLS connections of a worker's net over the real loopback; the other side is OpenSSL alone. */
#include "tests/unit/transports/rig.h"
#include "tests/unit/certs.h"
#include "transports/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"

enum { SECURE4, SECURE6 };

static struct certs certs;

static const char *in(const char *name, const char *end, char path[128])
{
	snprintf(path, 128, "%s/%s%s", certs.directory, name, end);
	return path;
}

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

static struct tls_cert *cert_of(const char *file)
{
	char cert[128], key[128];
	struct tls_problem why = { .text = "" };
	struct tls_cert *c = NULL;

	if (tls_cert_new(&c, &(struct tls_cert_files){ SV("sip.example.com"), in(file, ".pem", cert), in(file, ".key", key), NULL }, &why))
		fail_msg("%s: %s", file, why.text);
	return c;
}

/* Shows `file`; believes the test's authority. `verify`: of clients; servers always. */
static void set_tls(struct net *net, const char *file, uint8_t verify)
{
	struct tls_cert *c = cert_of(file);
	struct tls_problem problem = { .text = "" };
	struct tls_trust *t = NULL;
	struct tls_context *server = NULL, *client = NULL;
	char path[128], why[256];

	assert_int_equal(tls_trust_new(&t, in("ca", ".pem", path), NULL, &problem), 0);
	assert_int_equal(tls_context_new(&server, &(struct tls_context_params){ .is_server = true, .verify = verify, .certs = &c,
	                                                                        .n_certs = 1, .trust = t }, why, sizeof why), 0);
	assert_int_equal(tls_context_new(&client, &(struct tls_context_params){ .verify = TLS_VERIFY_REQUIRE, .trust = t }, why, sizeof why),
	                 0);
	for (size_t i = 0; i < 2; i++)
		sockets_set_tls(net, i, server, client);
	tls_context_put(server);
	tls_context_put(client);
	tls_trust_put(t);
	tls_cert_put(c);
}

static int secure_setup(void **state)
{
	struct listener l[2] = { { .transport = T_TLS, .is_active = true, .bind = loopback(4, 0) },
		                 { .transport = T_TLS, .is_active = true, .bind = loopback(6, 0) } };
	struct one *o = calloc(1, sizeof *o);
	struct listen_set *set = NULL;
	char error[256] = "";

	if (sockets_open(&set, l, 2, 1, NULL, error, sizeof error))
		fail_msg("%s", error);
	o->rig = rig_new(set, 0, 0);
	for (size_t i = 0; i < 2; i++)
		o->at[i] = *listen_set_addr(set, i);
	listen_set_free(set);
	set_tls(o->rig->net, "sip", TLS_VERIFY_NONE);
	*state = o;
	return 0;
}

/* The other side -------------------------------------------------------------------------------------------------- */

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	struct addr at;
};

static void peer_wrap(struct peer *p, int fd, bool is_server, const char *shows)
{
	char path[128];

	p->fd = fd;
	p->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	if (shows) {
		assert_int_equal(SSL_CTX_use_certificate_file(p->ctx, in(shows, ".pem", path), SSL_FILETYPE_PEM), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(p->ctx, in(shows, ".key", path), SSL_FILETYPE_PEM), 1);
	}
	p->ssl = SSL_new(p->ctx);
	SSL_set_fd(p->ssl, fd);
	if (is_server)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

static void peer_dial(struct peer *p, struct rig *r, const struct addr *to, const char *shows)
{
	peer_wrap(p, dial(r, to, &p->at), false, shows);
}

/* True when it is done. */
static bool peer_shakes(struct peer *p)
{
	int done = SSL_do_handshake(p->ssl);

	ERR_clear_error();
	return done == 1;
}

static void peer_says(struct peer *p, const char *text)
{
	assert_int_equal(SSL_write(p->ssl, text, (int)strlen(text)), strlen(text));
}

static size_t peer_hears(struct peer *p, char *out, size_t size)
{
	int n = SSL_read(p->ssl, out, (int)size - 1);

	ERR_clear_error();
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* What it hears next. */
static void peer_gets(struct peer *p, struct rig *r, char *out, size_t size)
{
	for (int i = 0; i < TURNS && !peer_hears(p, out, size); i++)
		turn(r);
}

static void peer_end(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	close(p->fd);
}

/* The tests ------------------------------------------------------------------------------------------------------- */

static void one_exchange(struct one *o, uint16_t listener)
{
	struct rig *r = o->rig;
	struct peer p;
	char got[64];

	r->answer = buf_copy(SV(OK));
	peer_dial(&p, r, &o->at[listener], NULL);
	until(r, peer_shakes(&p));
	peer_says(&p, OPT);
	until(r, r->n_seen == 1 && is_readable(p.fd));
	assert_string_equal(r->seen[0].bytes, OPT);
	assert_int_equal(r->seen[0].from.transport, T_TLS);
	assert_true(addr_eq(&r->seen[0].from.remote, &p.at));
	peer_gets(&p, r, got, sizeof got);
	assert_string_equal(got, OK);
	assert_int_equal(count(r, NET_TLS_HANDSHAKES), 1);
	assert_int_equal(count(r, NET_TLS_CONNECTIONS), 1);
	assert_int_equal(count(r, NET_TLS_SHAKING), 0);
	SSL_shutdown(p.ssl);
	until(r, r->n_closed == 1);
	until(r, SSL_shutdown(p.ssl) == 1); /* our close_notify */
	assert_int_equal(count(r, NET_CLOSED_PEER), 1);
	assert_int_equal(count(r, NET_TLS_CONNECTIONS), 0);
	peer_end(&p);
}

static void a_message_and_its_answer_ipv4(void **state)
{
	one_exchange(*state, SECURE4);
}

static void a_message_and_its_answer_ipv6(void **state)
{
	one_exchange(*state, SECURE6);
}

/* RFC 5626 §3.5.1, and our own. */
static void keep_alives(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p;
	char got[16];

	peer_dial(&p, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&p));
	peer_says(&p, "\r\n\r\n");
	peer_gets(&p, r, got, sizeof got);
	assert_string_equal(got, "\r\n");
	peer_says(&p, OPT);
	until(r, r->n_seen == 1);
	assert_int_equal(net_ping(r->net, &r->seen[0].from), 0);
	peer_gets(&p, r, got, sizeof got);
	assert_string_equal(got, "\r\n\r\n");
	peer_says(&p, "\r\n");
	until(r, count(r, NET_TCP_PONGS) == 1);
	peer_end(&p);
}

/* A flow that we close ends with close_notify. */
static void what_we_close_ends_in_order(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p;
	char got[16];

	peer_dial(&p, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&p));
	peer_says(&p, OPT);
	until(r, r->n_seen == 1);
	net_flow_close(r->net, r->seen[0].from.flow);
	until(r, r->n_closed == 1);
	until(r, peer_hears(&p, got, sizeof got) == 0 && SSL_get_shutdown(p.ssl) == SSL_RECEIVED_SHUTDOWN);
	peer_end(&p);
	until(r, sockets_connections(r->net) == 0);
}

/* Bad input: the right end, one counter each. */
static void no_handshake(struct one *o, const char *bytes, size_t len, enum net_counter counter)
{
	struct rig *r = o->rig;
	struct addr me;
	uint64_t closed = count(r, NET_CLOSED_HANDSHAKE), before = count(r, counter);
	int fd = dial(r, &o->at[SECURE4], &me);

	write_all(fd, bytes, len);
	until(r, count(r, NET_CLOSED_HANDSHAKE) == closed + 1);
	assert_int_equal(count(r, counter), before + 1);
	assert_int_equal(sockets_connections(r->net), 0);
	assert_int_equal(count(r, NET_TLS_SHAKING), 0);
	close(fd);
}

static void what_is_no_handshake(void **state)
{
	struct one *o = *state;

	no_handshake(o, "\x16\x03\x01\xff\xff\x01\x00", 7, NET_TLS_GARBAGE);
	no_handshake(o, OPT, strlen(OPT), NET_TLS_GARBAGE);
	no_handshake(o, "GET / HTTP/1.1\r\n\r\n", 18, NET_TLS_GARBAGE);
	assert_int_equal(o->rig->n_seen, 0);
}

/* Nothing, half a ClientHello, or a byte now and then: until the deadline, which counts from the first moment. */
static void a_handshake_that_is_too_slow(void **state)
{
	static const char half[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int silent = dial(r, &o->at[SECURE4], &me), slow = dial(r, &o->at[SECURE4], &me);

	for (size_t i = 0; i < sizeof half - 1; i++) {
		write_all(slow, half + i, 1);
		settle(r);
		after_ms(r, NET_HANDSHAKE_MS / 20);
	}
	assert_int_equal(sockets_connections(r->net), 2);
	assert_int_equal(count(r, NET_TLS_SHAKING), 1); /* who said nothing costs no more than over TCP */
	after_ms(r, NET_HANDSHAKE_MS / 2);
	settle(r);
	assert_int_equal(sockets_connections(r->net), 0);
	assert_int_equal(count(r, NET_CLOSED_SLOW_HANDSHAKE), 2);
	assert_int_equal(count(r, NET_TLS_SHAKING), 0);
	close(silent);
	close(slow);
}

/* A turn of the loop has time for a few steps; the others come in later turns, and nobody is forgotten. */
static void many_at_once_take_turns(void **state)
{
	enum { PEERS = 20 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p[PEERS];
	unsigned turns = 0, done = 0;

	for (unsigned i = 0; i < PEERS; i++)
		peer_dial(&p[i], r, &o->at[SECURE4], NULL);
	for (unsigned i = 0; i < PEERS; i++)
		peer_shakes(&p[i]); /* its ClientHello */
	for (; turns < 1000 && done < PEERS; turns++) {
		uint64_t before = count(r, NET_TLS_SHAKING) + count(r, NET_TLS_HANDSHAKES), after;

		turn(r);
		after = count(r, NET_TLS_SHAKING) + count(r, NET_TLS_HANDSHAKES);
		assert_true(after - before <= 2 * NET_HANDSHAKES_PER_TURN); /* those of its events, and those that waited */
		done = 0;
		for (unsigned i = 0; i < PEERS; i++)
			done += peer_shakes(&p[i]);
	}
	until(r, count(r, NET_TLS_HANDSHAKES) == PEERS);
	assert_true(turns >= PEERS / (2 * NET_HANDSHAKES_PER_TURN));
	for (unsigned i = 0; i < PEERS; i++)
		peer_end(&p[i]);
	until(r, sockets_connections(r->net) == 0);
}

/* It is us who have no time: nobody is closed for that. */
static void who_waits_for_a_turn_is_not_slow(void **state)
{
	enum { PEERS = 2 * NET_HANDSHAKES_PER_TURN + 4 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p[PEERS];

	for (unsigned i = 0; i < PEERS; i++)
		peer_dial(&p[i], r, &o->at[SECURE4], NULL);
	for (unsigned i = 0; i < PEERS; i++)
		peer_shakes(&p[i]);
	poller_turn(r->poller, false);
	assert_false(list_empty(&sockets_of(r->net)->handshakes));
	wheel_advance(&r->wheel, r->wheel.now_ms + NET_HANDSHAKE_MS + 1, SIZE_MAX);
	assert_false(list_empty(&sockets_of(r->net)->handshakes));
	for (unsigned i = 0; i < PEERS; i++) {
		peer_end(&p[i]); /* some of them wait in the list while they are gone */
	}
	until(r, sockets_connections(r->net) == 0);
	assert_true(list_empty(&sockets_of(r->net)->handshakes));
}

/* Those whose time was over but for a moment when they began to wait: no timer runs again and again for them. */
static void who_waits_costs_no_timers(void **state)
{
	enum { PEERS = 8 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p[PEERS];

	for (unsigned i = 0; i < PEERS; i++)
		peer_dial(&p[i], r, &o->at[SECURE4], NULL);
	until(r, sockets_connections(r->net) == PEERS);
	wheel_advance(&r->wheel, r->wheel.now_ms + NET_HANDSHAKE_MS - 1, SIZE_MAX);
	for (unsigned i = 0; i < PEERS; i++)
		peer_shakes(&p[i]);
	poller_turn(r->poller, false);
	for (unsigned ms = 0, fired = 0; ms < 500; ms++) {
		fired += (unsigned)wheel_advance(&r->wheel, r->wheel.now_ms + 1, SIZE_MAX);
		assert_true(fired <= PEERS);
	}
	settle(r);
	assert_int_equal(count(r, NET_CLOSED_SLOW_HANDSHAKE), NET_HANDSHAKES_PER_TURN); /* who did not wait */
	for (unsigned i = 0; i < PEERS; i++)
		peer_end(&p[i]);
	until(r, sockets_connections(r->net) == 0);
}

/* What is left of its time when it begins to wait for us is left when it goes on, and no more. */
static void a_deadline_waits_with_its_connection(void **state)
{
	enum { PEERS = 8 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p[PEERS];

	for (unsigned i = 0; i < PEERS; i++)
		peer_dial(&p[i], r, &o->at[SECURE4], NULL);
	for (unsigned i = 0; i < PEERS; i++)
		peer_shakes(&p[i]);
	poller_turn(r->poller, false);
	wheel_advance(&r->wheel, r->wheel.now_ms + NET_HANDSHAKE_MS - 100, SIZE_MAX);
	for (unsigned i = 0; i < PEERS; i++)
		until(r, is_readable(p[i].fd)); /* ServerHello */
	after_ms(r, 200);
	settle(r);
	assert_int_equal(count(r, NET_CLOSED_SLOW_HANDSHAKE), NET_HANDSHAKES_PER_TURN); /* who did not wait */
	assert_true(peer_shakes(&p[PEERS - 1]));
	until(r, count(r, NET_TLS_HANDSHAKES) == 1);
	after_ms(r, NET_HANDSHAKE_MS);
	settle(r);
	assert_int_equal(count(r, NET_CLOSED_SLOW_HANDSHAKE), PEERS - 1);
	for (unsigned i = 0; i < PEERS; i++)
		peer_end(&p[i]);
	until(r, sockets_connections(r->net) == 0);
}

/* New connections get the new certificate, those that are there live on. */
static void certificates_are_replaced(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer old, new;
	long serial[2];

	peer_dial(&old, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&old));
	set_tls(r->net, "sip2", TLS_VERIFY_NONE);
	peer_dial(&new, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&new));
	serial[0] = ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(old.ssl)));
	serial[1] = ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(new.ssl)));
	assert_int_equal(serial[0] + 1, serial[1]);
	peer_says(&old, OPT);
	peer_says(&new, OPT);
	until(r, r->n_seen == 2);
	peer_end(&old);
	peer_end(&new);
}

/* Also while a handshake is going on: it ends with what it began with. */
static void a_certificate_is_replaced_amid_a_handshake(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p;

	peer_dial(&p, r, &o->at[SECURE4], NULL);
	peer_shakes(&p);
	until(r, count(r, NET_TLS_SHAKING) == 1);
	set_tls(r->net, "sip2", TLS_VERIFY_NONE);
	set_tls(r->net, "sip", TLS_VERIFY_NONE);
	until(r, peer_shakes(&p));
	until(r, count(r, NET_TLS_HANDSHAKES) == 1);
	peer_end(&p);
}

static void a_client_proves_who_it_is(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct sv names[4];
	struct peer p;
	uint64_t before;
	char got[16];

	set_tls(r->net, "sip", TLS_VERIFY_REQUIRE);
	peer_dial(&p, r, &o->at[SECURE4], "uri");
	until(r, peer_shakes(&p));
	peer_says(&p, OPT);
	until(r, r->n_seen == 1);
	assert_int_equal(net_peer_names(r->net, &r->seen[0].from, names, 4), 1);
	assert_true(sv_eq(names[0], SV("example.net")));
	peer_end(&p);
	until(r, r->n_closed == 1);
	assert_int_equal(net_peer_names(r->net, &r->seen[0].from, names, 4), 0);
	before = count(r, NET_TLS_UNTRUSTED);
	peer_dial(&p, r, &o->at[SECURE4], "stranger");
	until(r, peer_shakes(&p)); /* TLS 1.3: the client is done before it is judged */
	until(r, count(r, NET_TLS_UNTRUSTED) == before + 1);
	assert_int_equal(peer_hears(&p, got, sizeof got), 0);
	peer_end(&p);
}

/* Outbound -------------------------------------------------------------------------------------------------------- */

struct server {
	int fd;
	struct addr at;
};

static void server_open(struct server *s)
{
	s->fd = plain_socket(SOCK_STREAM, 4, &s->at);
	assert_int_equal(listen(s->fd, 16), 0);
}

static void server_takes(struct server *s, struct rig *r, struct peer *p, const char *shows)
{
	until(r, is_readable(s->fd));
	peer_wrap(p, accept4(s->fd, NULL, NULL, SOCK_NONBLOCK), true, shows);
}

static struct path to_server(struct rig *r, const struct server *s, const char *name)
{
	struct path to = path_to(s->at, SECURE4, T_TLS);

	to.name = net_name(r->net, sv_from(name));
	return to;
}

static void a_server_is_who_it_should_be(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct server s;
	struct path to;
	struct peer p;
	char got[64];

	server_open(&s);
	to = to_server(r, &s, "sip.example.com");
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	server_takes(&s, r, &p, "sip");
	until(r, peer_shakes(&p));
	assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), "sip.example.com");
	peer_gets(&p, r, got, sizeof got);
	assert_string_equal(got, OPT);
	to = to_server(r, &s, "SIP.EXAMPLE.COM.");  /* the same name, the same connection */
	assert_int_equal(send_text(r, &to, OPT, 8), 0);
	peer_gets(&p, r, got, sizeof got);
	assert_int_equal(count(r, NET_TCP_CONNECTS), 1);
	peer_end(&p);
	close(s.fd);
}

/* One address, two names: what is meant for one never goes to who has proved to be the other. */
static void another_name_is_another_connection(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct server s;
	struct path to;
	struct peer first, second;
	char got[64];

	server_open(&s);
	to = to_server(r, &s, "sip.example.com");
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	server_takes(&s, r, &first, "sip");
	until(r, peer_shakes(&first));
	peer_gets(&first, r, got, sizeof got);
	to = to_server(r, &s, "example.net");
	assert_int_equal(send_text(r, &to, OPT, 8), 0);
	server_takes(&s, r, &second, "uri");
	until(r, peer_shakes(&second));
	peer_gets(&second, r, got, sizeof got);
	assert_int_equal(peer_hears(&first, got, sizeof got), 0);
	assert_int_equal(count(r, NET_TCP_CONNECTS), 2);
	peer_end(&first);
	peer_end(&second);
	close(s.fd);
}

/* All that waited for the connection is given back, with a reason. */
static void refused(struct one *o, const char *name, const char *shows, int error)
{
	struct rig *r = o->rig;
	struct server s;
	struct path to;
	struct peer p;
	size_t before = r->n_failed;
	uint64_t untrusted = count(r, NET_TLS_UNTRUSTED);

	server_open(&s);
	to = to_server(r, &s, name);
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	assert_int_equal(send_text(r, &to, OPT, 8), 0);
	server_takes(&s, r, &p, shows);
	for (int i = 0; i < TURNS && r->n_failed < before + 2; i++) {
		peer_shakes(&p);
		turn(r);
	}
	assert_int_equal(r->n_failed, before + 2);
	assert_int_equal(r->failed[before].error, error);
	assert_int_equal(r->failed[before].cookie, 7);
	assert_int_equal(count(r, NET_TLS_UNTRUSTED), untrusted + 1);
	peer_end(&p);
	close(s.fd);
}

static void a_server_is_somebody_else(void **state)
{
	refused(*state, "sip.example.com", "uri", -EKEYREJECTED);
	refused(*state, "sip.example.com", "stranger", -EKEYREJECTED);
	refused(*state, "sip.example.com", "old", -EKEYEXPIRED);
	refused(*state, "192.0.2.1", "sip", -EKEYREJECTED); /* a number, so the address has to be proved, and it is another */
	assert_int_equal(count(((struct one *)*state)->rig, NET_TCP_CONNECT_FAILED), 4);
}

/* Half-open handshakes of strangers, as many as there may be: nobody else comes in, and calls still go out. */
static void strangers_keep_no_call_from_going_out(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct server s;
	struct path to;
	struct peer in, out;
	char got[64];

	sockets_of(r->net)->n_shaking[true] = NET_HANDSHAKES_MAX;
	peer_dial(&in, r, &o->at[SECURE4], NULL);
	peer_shakes(&in);
	until(r, count(r, NET_TLS_BUSY) == 1);
	server_open(&s);
	to = to_server(r, &s, "sip.example.com");
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	server_takes(&s, r, &out, "sip");
	until(r, peer_shakes(&out));
	peer_gets(&out, r, got, sizeof got);
	assert_string_equal(got, OPT);
	sockets_of(r->net)->n_shaking[true] = 0;
	sockets_of(r->net)->n_shaking[false] = NET_HANDSHAKES_MAX; /* ours have a bound, too */
	to = to_server(r, &s, "example.net");
	assert_int_equal(send_text(r, &to, OPT, 8), 0);
	until(r, count(r, NET_TLS_BUSY) == 2);
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -EBUSY);
	sockets_of(r->net)->n_shaking[false] = 0;
	peer_end(&in);
	peer_end(&out);
	close(s.fd);
}

/* Nor do they keep others out: of as many as there may be the one that was silent for longest makes room. */
static void who_says_nothing_makes_room(void **state)
{
	enum { SLOW = 3 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	struct peer p;
	int slow[SLOW];

	sockets_of(r->net)->n_shaking[true] = NET_HANDSHAKES_MAX - SLOW;
	for (int i = 0; i < SLOW; i++) {
		slow[i] = dial(r, &o->at[SECURE4], &me);
		write_all(slow[i], "\x16", 1);
		settle(r);
	}
	write_all(slow[0], "\x03", 1); /* the first one says something more */
	settle(r);
	assert_int_equal(count(r, NET_TLS_BUSY), 0);
	for (int i = 0; i < 2; i++) {
		peer_dial(&p, r, &o->at[SECURE4], NULL);
		until(r, peer_shakes(&p));
		until(r, count(r, NET_TLS_HANDSHAKES) == (uint64_t)i + 1); /* and it has left its room */
		peer_end(&p);
		until(r, sockets_connections(r->net) == SLOW - 1);
	}
	assert_int_equal(count(r, NET_TLS_BUSY), 1);
	assert_true(is_readable(slow[1]));
	assert_false(is_readable(slow[0]));
	assert_false(is_readable(slow[2]));
	for (int i = 0; i < SLOW; i++)
		close(slow[i]);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(sockets_of(r->net)->n_shaking[true], NET_HANDSHAKES_MAX - SLOW);
}

/* Nor do they hold it up by coming first. */
static void a_call_that_goes_out_does_not_queue(void **state)
{
	enum { PEERS = 60 };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p[PEERS], out;
	struct server s;
	struct path to;
	unsigned turns = 0;

	server_open(&s);
	for (unsigned i = 0; i < PEERS; i++)
		peer_dial(&p[i], r, &o->at[SECURE4], NULL);
	to = to_server(r, &s, "sip.example.com");
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	server_takes(&s, r, &out, "sip");
	for (unsigned i = 0; i < PEERS; i++)
		peer_shakes(&p[i]);
	for (; !peer_shakes(&out) && turns < 100; turns++)
		turn(r);
	assert_true(turns < PEERS / NET_HANDSHAKES_PER_TURN / 2);
	assert_true(!list_empty(&sockets_of(r->net)->handshakes));
	for (unsigned i = 0; i < PEERS; i++)
		until(r, peer_shakes(&p[i]));
	for (unsigned i = 0; i < PEERS; i++)
		peer_end(&p[i]);
	peer_end(&out);
	close(s.fd);
}

/* A server that accepts and then says nothing. */
static void a_server_that_does_not_shake_hands(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct server s;
	struct path to;
	int fd;

	server_open(&s);
	to = to_server(r, &s, "sip.example.com");
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	until(r, is_readable(s.fd));
	fd = accept4(s.fd, NULL, NULL, SOCK_NONBLOCK);
	until(r, is_readable(fd)); /* ClientHello */
	after_ms(r, NET_HANDSHAKE_MS + 1);
	assert_int_equal(r->n_failed, 1);
	assert_int_equal(r->failed[0].error, -ETIMEDOUT);
	assert_int_equal(count(r, NET_CLOSED_SLOW_HANDSHAKE), 1);
	close(fd);
	close(s.fd);
}

/* RFC 5923: a connection that the peer made is used for where it listens, if it has proved to be who is wanted there. */
static void an_alias_has_to_be_proved(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct path of, to;
	struct peer p;
	char got[64];

	set_tls(r->net, "sip", TLS_VERIFY_OPTIONAL);
	peer_dial(&p, r, &o->at[SECURE4], "uri");
	until(r, peer_shakes(&p));
	peer_says(&p, OPT);
	until(r, r->n_seen == 1);
	of = to = r->seen[0].from;
	to.flow = 0;
	to.remote.port = 9; /* where nobody listens */
	assert_int_equal(net_alias(r->net, &of, 9), 0);
	to.name = net_name(r->net, SV("example.net"));
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	peer_gets(&p, r, got, sizeof got);
	assert_string_equal(got, OPT);
	to.name = net_name(r->net, SV("sip.example.com"));
	assert_int_equal(send_text(r, &to, OPT, 8), 0);
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -ECONNREFUSED);
	peer_end(&p);
}

/* A peer that stops reading loses its own messages, and nobody else any. */
static void who_does_not_read_loses_only_his_own(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer deaf, other;
	static char large[60000];
	struct path to[2];
	char got[64];
	int err = 0;

	memset(large, 'x', sizeof large - 1);
	peer_dial(&deaf, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&deaf));
	peer_says(&deaf, OPT);
	until(r, r->n_seen == 1);
	peer_dial(&other, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&other));
	peer_says(&other, OPT);
	until(r, r->n_seen == 2);
	to[0] = r->seen[0].from;
	to[1] = r->seen[1].from;
	for (int i = 0; i < 1000 && !err; i++) {
		err = send_text(r, &to[0], large, 7);
		turn(r);
	}
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(send_text(r, &to[1], OPT, 8), 0);
	peer_gets(&other, r, got, sizeof got);
	assert_string_equal(got, OPT);
	after_ms(r, SOCKETS_WRITE_MS + 1);
	settle(r);
	assert_int_equal(count(r, NET_CLOSED_SLOW_READER), 1);
	assert_int_equal(sockets_connections(r->net), 1);
	assert_int_equal(sockets_of(r->net)->queued, 0);
	peer_end(&deaf);
	peer_end(&other);
}

/* TLS 1.3 lets a peer ask for new keys, again and again. */
static void changes_of_keys(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct peer p;
	char got[64];

	r->answer = buf_copy(SV(OK));
	peer_dial(&p, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&p));
	for (size_t i = 1; i < 20; i++) {
		assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		peer_says(&p, OPT);
		until(r, r->n_seen == i);
		peer_gets(&p, r, got, sizeof got);
		assert_string_equal(got, OK);
	}
	peer_end(&p);
}

/* Without a message between them there is an end to it; and others have their turns meanwhile. */
static void nothing_but_changes_of_keys(void **state)
{
	enum { PEERS = 64, TURN_MOST = SOCKETS_TURN_BYTES / 1024 };
	struct one *o = *state;
	struct rig *r = o->rig;
	static struct peer p[PEERS];
	struct peer other;
	unsigned turns = 0;

	for (unsigned i = 0; i < PEERS; i++) {
		peer_dial(&p[i], r, &o->at[SECURE4], NULL);
		until(r, peer_shakes(&p[i]));
	}
	peer_dial(&other, r, &o->at[SECURE4], NULL);
	until(r, peer_shakes(&other));
	for (unsigned i = 0; i < 100 * PEERS; i++) {
		assert_int_equal(SSL_key_update(p[i % PEERS].ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_true(peer_shakes(&p[i % PEERS]));
	}
	peer_says(&other, OPT);
	for (; r->n_seen == 0 && turns < 1000; turns++)
		turn(r);
	assert_int_equal(r->n_seen, 1);
	assert_true(turns <= 4 * PEERS / TURN_MOST);
	for (turns = 0; count(r, NET_TLS_EMPTY) < PEERS && turns < 10000; turns++)
		turn(r);
	assert_int_equal(count(r, NET_TLS_EMPTY), PEERS);
	assert_int_equal(count(r, NET_CLOSED_ERROR), PEERS);
	assert_true(turns >= PEERS * (LINK_EMPTY_MAX - 4) / TURN_MOST);
	for (unsigned i = 0; i < PEERS; i++)
		peer_end(&p[i]);
	peer_end(&other);
}

/* Without settings nothing can be shaken: said by a counter, not by a crash. */
static void a_listener_without_certificates(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct path to = path_to(o->at[SECURE4], SECURE4, T_TLS);
	struct peer p;

	sockets_set_tls(r->net, SECURE4, NULL, NULL);
	peer_dial(&p, r, &o->at[SECURE4], NULL);
	peer_shakes(&p);
	until(r, count(r, NET_TLS_NO_SETTINGS) == 1);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -ENOKEY);
	until(r, sockets_connections(r->net) == 0);
	peer_end(&p);
}

static void everybody_vanishes(void **state)
{
	enum { PEERS = 200 };
	struct one *o = *state;
	struct rig *r = o->rig;
	static struct peer p[PEERS];

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < PEERS; i++) {
			peer_dial(&p[i], r, &o->at[SECURE4], NULL);
			until(r, peer_shakes(&p[i]) || i % 4 == 0); /* some amid the handshake */
		}
		assert_int_equal(sockets_connections(r->net), PEERS);
		for (unsigned i = 0; i < PEERS; i++)
			peer_end(&p[i]);
		until(r, sockets_connections(r->net) == 0);
		assert_int_equal(count(r, NET_TLS_CONNECTIONS), 0);
		assert_int_equal(count(r, NET_TLS_SHAKING), 0);
	}
}

/* Names as numbers ------------------------------------------------------------------------------------------------ */

static void names_and_their_numbers(void **state)
{
	struct expected e = { .n = 0 };
	char text[EXPECTED_LEN_MAX + 2];
	uint32_t first, second, id;

	(void)state;
	assert_int_equal(expected_init(&e), 0);
	first = expected_id(&e, SV("Sip.Example.com"), false, 1);
	assert_true(first != 0 && first != NET_NAME_NOBODY);
	assert_int_equal(expected_id(&e, SV("sip.example.com."), false, 2), first);
	assert_true(sv_eq(expected_name(&e, first), SV("Sip.Example.com")));
	assert_int_equal(expected_id(&e, SV(""), false, 2), 0);
	memset(text, 'a', sizeof text);
	assert_int_equal(expected_id(&e, (struct sv){ text, EXPECTED_LEN_MAX + 1 }, false, 2), NET_NAME_NOBODY);
	assert_int_equal(expected_id(&e, (struct sv){ text, NET_HOST_MAX + 1 }, false, 2), NET_NAME_NOBODY);
	assert_int_equal(expected_name(&e, 0).len, 0);
	assert_int_equal(expected_name(&e, NET_NAME_NOBODY).len, 0);
	assert_int_equal(expected_name(&e, first + 1).len, 0);
	second = expected_id(&e, SV("second"), false, 3);
	for (int i = 2; i < EXPECTED_MAX; i++) {
		snprintf(text, sizeof text, "n%d", i);
		assert_true(expected_id(&e, sv_from(text), false, 3) != NET_NAME_NOBODY);
	}
	assert_int_equal(expected_id(&e, SV("sip.example.com"), false, 4), first);
	id = expected_id(&e, SV("one.more"), false, 4);
	assert_true(id != NET_NAME_NOBODY && id != second);  /* in the place of who was silent for longest */
	assert_int_equal(expected_name(&e, second).len, 0);   /* whose number means nobody now */
	assert_true(sv_eq(expected_name(&e, id), SV("one.more")));
	assert_int_equal(expected_name(&e, first).len, 15);
	expected_fini(&e);
}

/* Clients make up names, in their Contacts; what is configured stays. */
static void names_that_are_configured(void **state)
{
	enum { OURS = 100 };
	struct expected e = { .n = 0 };
	uint32_t ours[OURS];
	char text[32];

	(void)state;
	assert_int_equal(expected_init(&e), 0);
	for (int i = 0; i < OURS; i++) {
		snprintf(text, sizeof text, "ours%d", i);
		ours[i] = expected_id(&e, sv_from(text), i > 0, 1); /* one is known before it is configured */
	}
	assert_int_equal(expected_id(&e, SV("ours0"), true, 1), ours[0]);
	assert_int_equal(expected_id(&e, SV("ours1"), false, 1), ours[1]); /* and stays so */
	for (int i = 0; i < 2 * EXPECTED_MAX; i++) {
		snprintf(text, sizeof text, "theirs%d", i);
		assert_true(expected_id(&e, sv_from(text), false, 1) != NET_NAME_NOBODY);
	}
	for (int i = 0; i < OURS; i++)
		assert_true(expected_name(&e, ours[i]).len > 4);
	for (int i = OURS; i < EXPECTED_MAX; i++) {
		snprintf(text, sizeof text, "ours%d", i);
		assert_true(expected_id(&e, sv_from(text), true, 1) != NET_NAME_NOBODY);
	}
	assert_int_equal(expected_id(&e, SV("one.more"), false, EXPECTED_KEEP_MS), NET_NAME_NOBODY);
	assert_true(expected_id(&e, SV("one.more"), false, 1 + EXPECTED_KEEP_MS) != NET_NAME_NOBODY); /* the oldest may be no more */
	expected_fini(&e);
}

/* Room for a name that is gone is not its address's: before it is connected to, and before hands are shaken. */
static void a_name_that_is_gone_is_nobody(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct server s;
	struct path to;
	char text[32];

	server_open(&s);
	to = to_server(r, &s, "sip.example.com");
	assert_int_equal(send_text(r, &to, OPT, 7), 0);
	for (int i = 0; i < EXPECTED_MAX; i++) {
		snprintf(text, sizeof text, "n%d", i);
		net_name(r->net, sv_from(text));
	}
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -ENOKEY);
	assert_int_equal(send_text(r, &to, OPT, 8), -ENOBUFS);
	assert_int_equal(count(r, NET_TLS_NAMES_FULL), 2);
	to.name = NET_NAME_NOBODY;
	assert_int_equal(send_text(r, &to, OPT, 9), -ENOBUFS);
	assert_int_equal(count(r, NET_TCP_CONNECTS), 1);
	close(s.fd);
}

/* What is said of names that strangers made up leaves a line for whom an operator has configured, by name or by address. */
static void each_peer_has_its_line_in_the_log(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct sockets *s = sockets_of(r->net);
	uint32_t ours = net_name_configured(r->net, SV("sip.example.com"));
	uint64_t *said = expected_said_ms(&s->expected, ours);
	char text[32];

	assert_non_null(said);
	for (unsigned i = 0; i < 8; i++) { /* a line, and no other one within COMPLAINT_MS */
		snprintf(text, sizeof text, "n%u.example.net", i);
		refused(o, text, "uri", -EKEYREJECTED);
	}
	assert_int_equal(s->said_ms[SAID_OF_NAMES], r->wheel.now_ms);
	assert_int_equal(s->said_ms[SAID_OF_ADDRESSES], 0);
	assert_int_equal(*said, 0);
	after_ms(r, 1000);
	refused(o, "", "uri", -EKEYREJECTED);
	assert_int_equal(s->said_ms[SAID_OF_ADDRESSES], r->wheel.now_ms);
	assert_int_equal(*said, 0);
	after_ms(r, 1000);
	refused(o, "sip.example.com", "uri", -EKEYREJECTED);
	assert_int_equal(*said, r->wheel.now_ms);
	assert_int_equal(s->said_ms[SAID_OF_NAMES], r->wheel.now_ms - 2000);
	assert_null(expected_said_ms(&s->expected, net_name(r->net, SV("n1.example.net"))));
}

#define WITH_NET(test) cmocka_unit_test_setup_teardown(test, secure_setup, one_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_NET(a_message_and_its_answer_ipv4),
		WITH_NET(a_message_and_its_answer_ipv6),
		WITH_NET(keep_alives),
		WITH_NET(what_we_close_ends_in_order),
		WITH_NET(what_is_no_handshake),
		WITH_NET(a_handshake_that_is_too_slow),
		WITH_NET(many_at_once_take_turns),
		WITH_NET(who_waits_for_a_turn_is_not_slow),
		WITH_NET(who_waits_costs_no_timers),
		WITH_NET(a_deadline_waits_with_its_connection),
		WITH_NET(certificates_are_replaced),
		WITH_NET(a_certificate_is_replaced_amid_a_handshake),
		WITH_NET(a_client_proves_who_it_is),
		WITH_NET(a_server_is_who_it_should_be),
		WITH_NET(another_name_is_another_connection),
		WITH_NET(a_server_is_somebody_else),
		WITH_NET(strangers_keep_no_call_from_going_out),
		WITH_NET(who_says_nothing_makes_room),
		WITH_NET(a_call_that_goes_out_does_not_queue),
		WITH_NET(a_server_that_does_not_shake_hands),
		WITH_NET(an_alias_has_to_be_proved),
		WITH_NET(who_does_not_read_loses_only_his_own),
		WITH_NET(changes_of_keys),
		WITH_NET(nothing_but_changes_of_keys),
		WITH_NET(a_listener_without_certificates),
		WITH_NET(everybody_vanishes),
		WITH_NET(a_name_that_is_gone_is_nobody),
		WITH_NET(each_peer_has_its_line_in_the_log),
		cmocka_unit_test(names_and_their_numbers),
		cmocka_unit_test(names_that_are_configured),
	};

	return cmocka_run_group_tests(tests, make_files, drop_files);
}
