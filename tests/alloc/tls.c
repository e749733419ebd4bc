/* Each allocation fails in turn, ours and those inside OpenSSL: while certificates are read, while somebody connects by TLS or WSS, while
 * we do, while one message goes each way, while it ends. What cannot be done is refused or ended, and counted; the next one works, nothing
 * is left, and nobody is believed for want of memory. */
#include "tests/unit/transports/rig.h"
#include "tests/alloc/oom.h"
#include "tests/unit/certs.h"
#include "transports/heap.h"
#include "transports/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/wait.h>

#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"
#define UPGRADE \
	"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
#define FRAMED "\x81\xa1\0\0\0\0" OPT /* masked with zeros */

enum { PLAIN, ASKING, BROWSERS, PLACES, PATIENCE = 300 /* turns */, ERRORS = 16, FIRST_STEP = 13 };
_Static_assert(sizeof OPT - 1 == 0x21, "a frame says how long it is");

static struct certs files;

/* OpenSSL's pieces of memory --------------------------------------------------------------------------------------- */

static long pieces;

static void *piece_new(size_t size, const char *file, int line)
{
	void *p = heap_alloc(size);

	(void)file, (void)line;
	pieces += p != NULL;
	return p;
}

static void *piece_resize(void *p, size_t size, const char *file, int line)
{
	void *q = heap_realloc(p, size);

	(void)file, (void)line;
	pieces += (q && !p) - (p && !size);
	return q;
}

static void piece_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	pieces -= p != NULL;
	heap_free(p);
}

static long in_use(void)
{
	return pieces + oom_live();
}

/* Certificates ----------------------------------------------------------------------------------------------------- */

static const char *in(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", files.directory, name);
	return path;
}

/* What a worker is given, or nothing. */
struct settings {
	struct tls_context *plain, *asking, *client;
};

static void settings_put(struct settings *s)
{
	tls_context_put(s->plain);
	tls_context_put(s->asking);
	tls_context_put(s->client);
	*s = (struct settings){ 0 };
}

static int settings_make(struct settings *s, struct tls_cert **cert, struct tls_trust **trust, char why[256])
{
	struct tls_context_params p = { .is_server = true, .certs = cert, .n_certs = 1, .trust = *trust };
	int err = tls_context_new(&s->plain, &p, why, 256);

	p.verify = TLS_VERIFY_OPTIONAL;
	if (!err)
		err = tls_context_new(&s->asking, &p, why, 256);
	p.is_server = false;
	p.verify = TLS_VERIFY_REQUIRE;
	return err ? err : tls_context_new(&s->client, &p, why, 256);
}

/* 0, or an error that says why. */
static int settings_read(struct settings *s)
{
	char cert[128], key[128], ocsp[128], ca[128], crl[128], why[256] = "";
	const struct tls_cert_files of = { SV("sip.example.com"), in("sip.pem", cert), in("sip.key", key), in("sip.ocsp", ocsp) };
	struct tls_problem problem = { .text = "" };
	struct tls_cert *c = NULL;
	struct tls_trust *t = NULL;
	int err = tls_cert_new(&c, &of, &problem);

	if (!err)
		err = tls_trust_new(&t, in("ca.pem", ca), in("crl.pem", crl), &problem);
	if (!err)
		err = settings_make(s, &c, &t, why);
	if (err) {
		assert_true(problem.text[0] || why[0]);
		settings_put(s);
	}
	tls_trust_put(t);
	tls_cert_put(c);
	return err;
}

static void settings_give(struct net *net, const struct settings *s)
{
	sockets_set_tls(net, PLAIN, s->plain, s->client);
	sockets_set_tls(net, ASKING, s->asking, s->client);
	sockets_set_tls(net, BROWSERS, s->plain, s->client);
}

/* The other side: it has memory enough ----------------------------------------------------------------------------- */

struct peer {
	SSL *ssl;
	int fd;
	struct sv says;      /* still to be written */
	const char *expects; /* what it has heard once this is among it */
	char heard[1024];
	size_t n_heard;
	bool is_up, has_all, is_over; /* over: ended by whomever, or broken */
};

struct world {
	struct rig *rig;
	struct addr at[PLACES], there; /* there: who waits for us */
	struct settings good;
	struct tls_tickets *tickets;
	struct buf *question, *answer;
	SSL_CTX *caller, *old_caller, *known, *callee, *stranger;
	int listening;
};

static void peer_begin(struct peer *p, SSL_CTX *ctx, int fd, bool is_server)
{
	p->fd = fd;
	p->ssl = SSL_new(ctx);
	assert_non_null(p->ssl);
	SSL_set_fd(p->ssl, fd);
	if (is_server)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

/* What `n` of OpenSSL's says: true when it is done. */
static bool peer_did(struct peer *p, int n)
{
	int what = n > 0 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, n);

	ERR_clear_error();
	p->is_over |= what != SSL_ERROR_NONE && what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE;
	return n > 0;
}

static void peer_talks(struct peer *p)
{
	int n;

	if (!p->is_up && !(p->is_up = peer_did(p, SSL_do_handshake(p->ssl))))
		return;
	if (p->says.len && peer_did(p, n = SSL_write(p->ssl, p->says.p, (int)p->says.len)))
		p->says = sv_skip(p->says, (size_t)n);
	while (!p->is_over && p->n_heard < sizeof p->heard - 1 &&
	       peer_did(p, n = SSL_read(p->ssl, p->heard + p->n_heard, (int)(sizeof p->heard - 1 - p->n_heard))))
		p->n_heard += (size_t)n;
	p->heard[p->n_heard] = '\0';
	p->has_all = strstr(p->heard, p->expects) != NULL;
}

static void peer_step(struct peer *p)
{
	oom_pause();
	peer_talks(p);
	oom_resume();
}

static void peer_end(struct peer *p)
{
	oom_pause();
	if (p->is_up && !p->is_over)
		SSL_shutdown(p->ssl);
	ERR_clear_error();
	SSL_free(p->ssl);
	oom_resume();
	if (p->fd >= 0)
		close(p->fd);
}

/* The scenes ------------------------------------------------------------------------------------------------------- */

static uint64_t ended(const struct rig *r)
{
	static const enum net_counter of[] = { NET_CLOSED_PEER, NET_CLOSED_LOCAL, NET_CLOSED_ERROR, NET_CLOSED_CONNECT, NET_CLOSED_MEMORY,
		                               NET_CLOSED_HANDSHAKE, NET_CLOSED_UPGRADE, NET_CLOSED_WS, NET_CLOSED_BROKEN,
		                               NET_TCP_ACCEPT_REFUSED, NET_TCP_CONNECT_REFUSED_HERE };
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		n += count(r, of[i]);
	return n;
}

static void forget(struct rig *r)
{
	while (r->n_seen)
		free(r->seen[--r->n_seen].bytes);
	r->n_failed = r->n_closed = 0;
}

static void all_gone(struct rig *r)
{
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(count(r, NET_TLS_CONNECTIONS), 0);
	assert_int_equal(count(r, NET_TLS_SHAKING), 0);
	assert_int_equal(sockets_of(r->net)->links.in_use, 0);
	assert_int_equal(sockets_of(r->net)->websockets.in_use, 0);
	assert_int_equal(sockets_of(r->net)->held.bytes, 0);
}

/* Somebody connects, asks, is answered, and ends it. True when it all went well. */
static bool accepted(struct world *w, unsigned place, SSL_CTX *ctx)
{
	struct rig *r = w->rig;
	struct peer p = { .says = SV(OPT), .expects = OK };
	bool is_answered = false;
	struct addr me;

	oom_pause();
	peer_begin(&p, ctx, plain_socket(SOCK_STREAM, 4, &me), false);
	assert_int_equal(plain_connect(p.fd, &w->at[place]), 0);
	oom_resume();
	if (place == BROWSERS)
		p.says = SV(UPGRADE FRAMED);
	for (int i = 0; i < PATIENCE && !p.has_all && !p.is_over; i++) {
		turn(r);
		peer_step(&p);
		if (r->n_seen && !is_answered) {
			net_send(r->net, &r->seen[0].from, w->answer, 1);
			is_answered = true;
		}
	}
	peer_end(&p);
	for (int i = 0; i < PATIENCE && sockets_connections(r->net); i++)
		turn(r);
	return p.has_all;
}

/* We connect to somebody, ask, are answered, and end it. */
static bool made(struct world *w, SSL_CTX *ctx)
{
	struct rig *r = w->rig;
	struct path to = { .remote = w->there, .listener = PLAIN, .transport = T_TLS, .name = net_name(r->net, SV("sip.example.com")) };
	struct peer p = { .fd = -1, .says = SV(OK), .expects = OPT };
	int err = net_send(r->net, &to, w->question, 2), fd;
	bool is_good;

	for (int i = 0; i < PATIENCE && !p.is_over && !(p.has_all && r->n_seen) && (sockets_connections(r->net) || p.fd >= 0); i++) {
		turn(r);
		if (p.fd < 0 && (fd = accept4(w->listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
			oom_pause();
			peer_begin(&p, ctx, fd, true);
			oom_resume();
		}
		if (p.fd >= 0)
			peer_step(&p);
	}
	is_good = p.has_all && r->n_seen;
	if (r->n_seen)
		net_flow_close(r->net, r->seen[0].from.flow);
	settle(r);
	assert_true(p.has_all || err || r->n_failed || r->n_closed); /* whoever asked is not left to wait */
	peer_end(&p);
	while ((fd = accept(w->listening, NULL, NULL)) >= 0) /* one that was ended before it came to anything */
		close(fd);
	for (int i = 0; i < PATIENCE && sockets_connections(r->net); i++)
		turn(r);
	return is_good;
}

struct scene {
	const char *name;
	unsigned place;
	bool is_made, is_old, is_known; /* is_old: by TLS 1.2; is_known: shows a certificate */
};

static bool play(struct world *w, const struct scene *s)
{
	return s->is_made ? made(w, w->callee) : accepted(w, s->place, s->is_old ? w->old_caller : s->is_known ? w->known : w->caller);
}

/* With `more + 1` allocations from the n-th on failing; then again with all the memory it wants. True when one failed. */
static bool failing(struct world *w, const struct scene *s, unsigned long n, unsigned long more, long before)
{
	struct rig *r = w->rig;
	uint64_t ends = ended(r);
	bool is_good, has_failed;

	oom_arm(n, more);
	is_good = play(w, s);
	has_failed = oom_disarm();
	all_gone(r);
	assert_true(is_good || has_failed);
	assert_int_equal(ended(r), ends + 1);
	forget(r);
	assert_true(play(w, s));
	all_gone(r);
	forget(r);
	if (in_use() != before) {
		oom_show();
		fail_msg("%s: allocation %lu: %ld pieces are left", s->name, n, in_use() - before);
	}
	return has_failed;
}

static SSL_CTX *peer_context(bool is_server, const char *shows)
{
	SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	char name[32], path[128];

	assert_non_null(ctx);
	if (!shows)
		return ctx;
	snprintf(name, sizeof name, "%s.pem", shows);
	assert_int_equal(SSL_CTX_use_certificate_file(ctx, in(name, path), SSL_FILETYPE_PEM), 1);
	snprintf(name, sizeof name, "%s.key", shows);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, in(name, path), SSL_FILETYPE_PEM), 1);
	return ctx;
}

static uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return 1000000000;
}

static int world_begin(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct listener l[PLACES] = { [PLAIN] = { .transport = T_TLS, .is_active = true, .bind = loopback(4, 0) },
		                      [ASKING] = { .transport = T_TLS, .is_active = true, .bind = loopback(4, 0) },
		                      [BROWSERS] = { .transport = T_WSS, .is_active = true, .bind = loopback(4, 0) } };
	struct listen_set *set = NULL;
	char error[256] = "";

	if (sockets_open(&set, l, PLACES, 1, NULL, error, sizeof error))
		fail_msg("%s", error);
	w->rig = rig_new(set, 0, 0);
	for (size_t i = 0; i < PLACES; i++)
		w->at[i] = *listen_set_addr(set, i);
	listen_set_free(set);
	assert_int_equal(settings_read(&w->good), 0);
	settings_give(w->rig->net, &w->good);
	assert_int_equal(tls_tickets_new(&w->tickets, NULL, wall_ms, NULL), 0);
	sockets_of(w->rig->net)->p.tickets = w->tickets;
	w->question = buf_copy(SV(OPT));
	w->answer = buf_copy(SV(OK));
	w->caller = peer_context(false, NULL);
	w->old_caller = peer_context(false, NULL);
	SSL_CTX_set_max_proto_version(w->old_caller, TLS1_2_VERSION);
	w->known = peer_context(false, "uri");
	w->callee = peer_context(true, "sip");
	w->stranger = peer_context(true, "revoked");
	w->listening = plain_socket(SOCK_STREAM, 4, &w->there);
	assert_int_equal(listen(w->listening, 8), 0);
	for (int i = 0; i < ERRORS; i++)
		ERR_raise_data(ERR_LIB_USER, 1, "%s", "OpenSSL keeps the room of each complaint in its ring for the next one");
	ERR_clear_error();
	*state = w;
	return 0;
}

static int world_end(void **state)
{
	struct world *w = *state;

	close(w->listening);
	rig_free(w->rig);
	settings_put(&w->good);
	tls_tickets_free(w->tickets);
	buf_put(w->question);
	buf_put(w->answer);
	SSL_CTX_free(w->caller);
	SSL_CTX_free(w->old_caller);
	SSL_CTX_free(w->known);
	SSL_CTX_free(w->callee);
	SSL_CTX_free(w->stranger);
	free(w);
	return 0;
}

/* Each for itself; then two in a row, and all from there on, which takes too long for each. */
enum { WAYS = 3 };
static const struct {
	unsigned long more, step;
} ways[WAYS] = { { 0, 1 }, { 1, 11 }, { 100000, 11 } };

static void play_each(struct world *w, const struct scene *s)
{
	long before;

	for (int i = 0; i < 3; i++) { /* what OpenSSL makes once and keeps */
		assert_true(play(w, s));
		all_gone(w->rig);
		forget(w->rig);
	}
	before = in_use();
	for (size_t i = 0; i < WAYS; i++) {
		unsigned long n = 1;

		while (failing(w, s, n, ways[i].more, before))
			n += ways[i].step;
		if (i == 0)
			print_message("%s: %lu allocations, each of them failed\n", s->name, n - 1);
		assert_true(n > 100);
	}
}

static void connections(void **state)
{
	static const struct scene scenes[] = {
		{ .name = "accepted", .place = PLAIN },
		{ .name = "accepted, TLS 1.2", .place = PLAIN, .is_old = true },
		{ .name = "accepted, who shows a certificate", .place = ASKING, .is_known = true },
		{ .name = "accepted, a browser", .place = BROWSERS },
		{ .name = "made", .is_made = true },
	};

	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
		play_each(*state, &scenes[i]);
}

/* Whom we do not believe stays so, whatever fails on the way to it. */
static void nobody_is_believed_for_want_of_memory(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WAYS; i++) {
		bool has_failed = true;

		for (unsigned long n = 1; has_failed; n += ways[i].step) {
			oom_arm(n, ways[i].more);
			assert_false(made(w, w->stranger));
			has_failed = oom_disarm();
			assert_int_equal(w->rig->n_seen, 0);
			all_gone(w->rig);
			forget(w->rig);
		}
	}
}

static void settings_serve(struct world *w, const struct settings *s)
{
	settings_give(w->rig->net, s);
	assert_true(accepted(w, PLAIN, w->caller));
	forget(w->rig);
	assert_true(accepted(w, ASKING, w->known));
	forget(w->rig);
	assert_true(made(w, w->callee));
	forget(w->rig);
	assert_false(made(w, w->stranger));
	all_gone(w->rig);
	forget(w->rig);
}

/* Read as a whole, or refused; and what was read under want of memory is as good as any. */
static bool reading(struct world *w, unsigned long n, unsigned long how_many)
{
	struct settings s = { 0 };
	bool has_failed;
	int err;

	oom_arm(n, how_many);
	err = settings_read(&s);
	has_failed = oom_disarm();
	assert_true(!err || has_failed);
	if (!err && has_failed)
		settings_serve(w, &s);
	settings_give(w->rig->net, &w->good);
	settings_put(&s);
	return has_failed;
}

/* OpenSSL's own caches may lack something now: once they are whole again, all is as before. */
static void nothing_is_left(unsigned long n, long before)
{
	struct settings s = { 0 };

	if (in_use() == before)
		return;
	assert_int_equal(settings_read(&s), 0);
	settings_put(&s);
	if (in_use() == before)
		return;
	oom_show();
	fail_msg("certificates: allocation %lu: %ld pieces are left", n, in_use() - before);
}

static void certificates(void **state)
{
	struct world *w = *state;
	long before;

	for (int i = 0; i < 2; i++) {
		struct settings s = { 0 };

		assert_int_equal(settings_read(&s), 0);
		settings_serve(w, &s);
		settings_give(w->rig->net, &w->good);
		settings_put(&s);
	}
	before = in_use();
	for (size_t i = 0; i < WAYS; i++) {
		unsigned long n = 1;

		for (; reading(w, n, ways[i].more); n += ways[i].step)
			nothing_is_left(n, before);
		if (i == 0)
			print_message("certificates: %lu allocations, each of them failed\n", n - 1);
		assert_true(n > 200);
	}
}

enum { READ = 0, REFUSED = 1, NOTHING_FAILED = 2 };

/* A process whose first use of OpenSSL this is. */
static int begins(unsigned long n, unsigned long how_many)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		struct settings s = { 0 };
		int err;

		oom_arm(n, how_many);
		err = settings_read(&s);
		_exit(!oom_disarm() ? NOTHING_FAILED : err ? REFUSED : READ);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("the first time: allocation %lu: signal %d", n, WTERMSIG(status));
	assert_in_range(WEXITSTATUS(status), READ, NOTHING_FAILED);
	return WEXITSTATUS(status);
}

/* OpenSSL makes itself ready when it is first asked: the program comes up or says why not. A process for each, so not each one is failed. */
static void the_first_time(void **state)
{
	unsigned long n = 1, refused = 0;
	int end;

	(void)state;
	for (size_t i = 0; i < 2; i++, n = 1)
		for (end = READ; end != NOTHING_FAILED; n += FIRST_STEP) {
			end = begins(n, i ? 100000 : 0);
			refused += end == REFUSED;
		}
	assert_true(refused > 1000 / FIRST_STEP);
}

static int make_files(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (CRYPTO_set_mem_functions(piece_new, piece_resize, piece_free) != 1)
		return -1;
	certs_make(&files);
	return 0;
}

static int drop_files(void **state)
{
	(void)state;
	certs_drop(&files);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_time), /* before the others */
		cmocka_unit_test_setup_teardown(certificates, world_begin, world_end),
		cmocka_unit_test_setup_teardown(connections, world_begin, world_end),
		cmocka_unit_test_setup_teardown(nobody_is_believed_for_want_of_memory, world_begin, world_end),
	};

	return cmocka_run_group_tests(tests, make_files, drop_files);
}
