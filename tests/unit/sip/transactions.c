/* Unit tests of sip/txn.h: the four machines of RFC 3261 §17 with RFC 6026, event by event, each timer at its very millisecond, over
 * datagrams and streams. A fake network keeps what is sent; the wheel is moved by hand. */
#include "sip/header.h"
#include "sip/txn.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SENT_MAX = 64 };

/* What the transaction's user hears. */
struct user {
	unsigned responses, cancels, ends;
	unsigned status;         /* last */
	int error;
	bool has_failed;
};

struct rig {
	struct net net;
	struct wheel wheel;
	struct blocks bufs;
	struct sip_stack stack;
	struct user user;
	struct server_txn *st;
	struct client_txn *ct;
	char sent[SENT_MAX][2048];
	unsigned n_sent, n_seen;
	int net_error;
	struct path path;
};

static int net_send_fake(struct net *net, const struct path *to, struct buf *msg, uint64_t cookie)
{
	struct rig *r = owner_of(net, struct rig, net);

	(void)cookie;
	(void)to;
	if (r->net_error)
		return r->net_error;
	assert_true(r->n_sent < SENT_MAX);
	snprintf(r->sent[r->n_sent++], sizeof(r->sent[0]), "%.*s", (int)msg->len, msg->data);
	return 0;
}

static void close_fake(struct net *net, uint64_t flow)
{
	(void)net;
	(void)flow;
}

static const struct net_ops net_ops = { .send = net_send_fake, .flow_close = close_fake };

static struct rig *rig_open(uint8_t transport)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct hash_key key = { 5, 6 };

	assert_non_null(r);
	r->net.ops = &net_ops;
	wheel_init(&r->wheel, 1000);
	blocks_init(&r->bufs);
	assert_int_equal(sip_stack_init(&r->stack, &r->wheel, &r->net, &key, &r->bufs), 0);
	assert_int_equal(addr_parse(&r->path.remote, SV("192.0.2.1:5060")), 0);
	r->path.transport = transport;
	return r;
}

static int udp(void **state)
{
	*state = rig_open(T_UDP);
	return 0;
}

static int tcp(void **state)
{
	*state = rig_open(T_TCP);
	return 0;
}

static int rig_close(void **state)
{
	struct rig *r = *state;

	sip_stack_fini(&r->stack);
	blocks_fini(&r->bufs);
	free(r);
	return 0;
}

/* Time passes millisecond by millisecond, so that every timer sees its own. */
static void after_ms(struct rig *r, uint64_t ms)
{
	uint64_t until = r->wheel.now_ms + ms;

	while (r->wheel.now_ms < until) {
		uint64_t next = wheel_next(&r->wheel);

		wheel_advance(&r->wheel, next < until ? next > r->wheel.now_ms ? next : r->wheel.now_ms + 1 : until, SIZE_MAX);
	}
}

static void expect_silence(struct rig *r)
{
	if (r->n_seen < r->n_sent)
		fail_msg("expected silence, got:\n%s", r->sent[r->n_seen]);
}

static const char *expect_sent(struct rig *r, const char *start)
{
	const char *text;

	if (r->n_seen == r->n_sent)
		fail_msg("expected %s, got nothing", start);
	text = r->sent[r->n_seen++];
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("expected %s, got:\n%s", start, text);
	return text;
}

/* Silent until the very millisecond. */
static void expect_sent_after(struct rig *r, uint64_t ms, const char *start)
{
	after_ms(r, ms - 1);
	expect_silence(r);
	after_ms(r, 1);
	expect_sent(r, start);
}

static void servers_are(struct rig *r, size_t n)
{
	assert_int_equal(r->stack.servers.in_use, n);
}

static void clients_are(struct rig *r, size_t n)
{
	assert_int_equal(r->stack.clients.in_use, n);
}

/* Alive until the very millisecond. */
static void server_ends_after(struct rig *r, uint64_t ms)
{
	after_ms(r, ms - 1);
	servers_are(r, 1);
	after_ms(r, 1);
	servers_are(r, 0);
	assert_int_equal(r->user.ends, 1);
}

static void client_ends_after(struct rig *r, uint64_t ms)
{
	after_ms(r, ms - 1);
	clients_are(r, 1);
	after_ms(r, 1);
	clients_are(r, 0);
	assert_int_equal(r->user.ends, 1);
}

static void scan(struct view *v, char area[2048], const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void scan(struct view *v, char area[2048], const char *fmt, ...)
{
	struct view_fault fault;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(area, 2048 - BUF_PAD, fmt, ap);
	va_end(ap);
	assert_true(n > 0 && n < 2048 - BUF_PAD);
	memset(area + n, 0, BUF_PAD);
	if (view_scan(v, area, (size_t)n, false, &fault))
		fail_msg("%s", fault.reason);
}

/* Server side ------------------------------------------------------------------------------------------------------ */

static void on_cancel(void *owner, struct server_txn *st)
{
	(void)st;
	((struct user *)owner)->cancels++;
}

static void on_server_end(void *owner, struct server_txn *st)
{
	(void)st;
	((struct user *)owner)->ends++;
}

static const struct server_ops server_ops = { .on_cancel = on_cancel, .on_end = on_server_end };

/* A request of Alice's with this branch; true when a transaction took it. */
static bool alice_says(struct rig *r, const char *method, const char *branch, const char *to_tag)
{
	char area[2048];
	struct view v;
	uint64_t key;

	scan(&v, area,
	     "%s sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=%s;rport\r\nRecord-Route: <sip:a;lr>, <sip:b;lr>\r\n"
	     "Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>%s%s\r\nCall-ID: c\r\n"
	     "CSeq: 7 %s\r\nContent-Length: 0\r\n\r\n",
	     method, branch, *to_tag ? ";tag=" : "", to_tag, method);
	key = sip_request_key(&r->stack, &v);
	if (sip_server_absorb(&r->stack, &v, &r->path, key))
		return true;
	if (v.method == M_ACK || v.method == M_CANCEL)
		return false;
	assert_int_equal(server_new(&r->stack, &v, &r->path, key, &r->st), 0);
	server_own(r->st, &server_ops, &r->user);
	return false;
}

static void tu_answers(struct rig *r, unsigned status)
{
	assert_int_equal(server_answer(r->st, status, SV(""), SV("ours"), SV("")), 0);
}

/* §17.2.1: a provisional is repeated when the request is; what a response repeats of its request is right. */
static void invite_server_repeats_its_provisional(void **state)
{
	struct rig *r = *state;
	const char *text;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", "")); /* nothing to repeat yet */
	expect_silence(r);
	tu_answers(r, 180);
	text = expect_sent(r, "SIP/2.0 180 Ringing\r\n");
	assert_non_null(strstr(text, "\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport=5060"));
	assert_non_null(strstr(text, "\r\nRecord-Route: <sip:a;lr>, <sip:b;lr>\r\n"));
	assert_non_null(strstr(text, "\r\nTo: <sip:bob@example.com>;tag=ours\r\n"));
	assert_non_null(strstr(text, "\r\nCSeq: 7 INVITE\r\n"));
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", ""));
	expect_sent(r, "SIP/2.0 180");
	after_ms(r, 600000);
	expect_silence(r); /* no timer in Proceeding */
	servers_are(r, 1);
}

/* Timers G and H over datagrams: 0.5, 1, 2, 4, 4 ... s, and over at 32 s without an ACK. */
static void refusal_repeats_until_timer_h(void **state)
{
	static const unsigned g_ms[] = { 500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000 };
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 486);
	expect_sent(r, "SIP/2.0 486");
	for (unsigned i = 0; i < sizeof(g_ms) / sizeof(*g_ms); i++)
		expect_sent_after(r, g_ms[i], "SIP/2.0 486");
	server_ends_after(r, 500);
	expect_silence(r);
}

static void refusal_repeats_until_acked(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 486);
	expect_sent(r, "SIP/2.0 486");
	expect_sent_after(r, 500, "SIP/2.0 486");   /* G = T1 */
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", ""));
	expect_sent(r, "SIP/2.0 486");
	expect_sent_after(r, 1000, "SIP/2.0 486");  /* G = 2*T1 */
	assert_true(alice_says(r, "ACK", "z9hG4bK1", "ours"));
	assert_true(alice_says(r, "ACK", "z9hG4bK1", "ours"));
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", "")); /* absorbed in Confirmed */
	expect_silence(r);
	server_ends_after(r, 5000);                 /* I = T4 */
	expect_silence(r);
}

/* No G on a stream, and I is 0. */
static void refusal_on_a_stream(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 486);
	expect_sent(r, "SIP/2.0 486");
	after_ms(r, 31998);
	expect_silence(r);
	servers_are(r, 1);
	assert_true(alice_says(r, "ACK", "z9hG4bK1", "ours"));
	after_ms(r, 1);
	servers_are(r, 0);
}

static void refusal_on_a_stream_without_ack(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 486);
	expect_sent(r, "SIP/2.0 486");
	server_ends_after(r, 32000); /* H is no shorter on a stream */
	expect_silence(r);
}

/* RFC 6026 §7.1: Accepted absorbs the INVITE until L; the ACK is the call's; the 2xx is repeated by the call. */
static void accepted(void **state)
{
	struct rig *r = *state;
	struct buf *answer;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 200);
	expect_sent(r, "SIP/2.0 200");
	answer = server_take_2xx(r->st);
	assert_non_null(answer);
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", ""));
	expect_silence(r);
	server_repeat(r->st, answer);
	expect_sent(r, "SIP/2.0 200");
	assert_false(alice_says(r, "ACK", "z9hG4bK1", "ours")); /* a client that repeats the branch */
	assert_int_equal(server_answer(r->st, 486, SV(""), SV("ours"), SV("")), -EALREADY);
	expect_silence(r);
	server_ends_after(r, 32000); /* L = 64*T1 */
	buf_put(answer);
}

/* A call that ended before the ACK gives its 2xx back: repeated by timer and on request, until somebody says hush. */
static void returned_answer_is_repeated(void **state)
{
	struct rig *r = *state;
	struct buf *answer;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 200);
	expect_sent(r, "SIP/2.0 200");
	answer = server_take_2xx(r->st);
	after_ms(r, 1000);
	server_return_2xx(r->st, answer);
	buf_put(answer);
	expect_sent_after(r, 500, "SIP/2.0 200");
	expect_sent_after(r, 1000, "SIP/2.0 200");
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", ""));
	expect_sent(r, "SIP/2.0 200");
	server_hush(r->st);
	assert_true(alice_says(r, "INVITE", "z9hG4bK1", ""));
	server_ends_after(r, 32000 - 2500);
	expect_silence(r);
}

/* §17.2.2: Trying absorbs, Proceeding repeats, Completed repeats until J. */
static void other_server(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INFO", "z9hG4bK1", "x");
	assert_true(alice_says(r, "INFO", "z9hG4bK1", "x"));
	expect_silence(r);
	tu_answers(r, 183);
	expect_sent(r, "SIP/2.0 183");
	assert_true(alice_says(r, "INFO", "z9hG4bK1", "x"));
	expect_sent(r, "SIP/2.0 183");
	tu_answers(r, 200);
	assert_non_null(strstr(expect_sent(r, "SIP/2.0 200"), "\r\nTo: <sip:bob@example.com>;tag=x\r\n")); /* hers stays */
	after_ms(r, 20000);
	expect_silence(r);
	assert_true(alice_says(r, "INFO", "z9hG4bK1", "x"));
	expect_sent(r, "SIP/2.0 200");
	assert_int_equal(server_answer(r->st, 500, SV(""), SV(""), SV("")), -EALREADY);
	server_ends_after(r, 12000); /* J = 64*T1 from the answer */
}

static void other_server_on_a_stream(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INFO", "z9hG4bK1", "");
	tu_answers(r, 200);
	expect_sent(r, "SIP/2.0 200");
	server_ends_after(r, 1); /* J = 0 */
}

/* §17.2.3: branch, sent-by and method make the difference; §17.2.3 also for clients of RFC 2543. */
static void servers_are_told_apart(void **state)
{
	struct rig *r = *state;

	assert_false(alice_says(r, "INFO", "z9hG4bK1", ""));
	assert_false(alice_says(r, "MESSAGE", "z9hG4bK1", ""));
	assert_false(alice_says(r, "FANCY", "z9hG4bK1", ""));
	assert_false(alice_says(r, "OTHER", "z9hG4bK1", ""));
	assert_false(alice_says(r, "INFO", "z9hG4bK2", ""));
	assert_true(alice_says(r, "INFO", "z9hG4bK1", ""));
	assert_true(alice_says(r, "FANCY", "z9hG4bK1", ""));
	assert_false(alice_says(r, "INVITE", "old", ""));
	assert_true(alice_says(r, "INVITE", "old", ""));
	tu_answers(r, 404);
	expect_sent(r, "SIP/2.0 404");
	assert_true(alice_says(r, "ACK", "old", "ours"));
	after_ms(r, 4999);
	expect_silence(r);
}

/* §9.2: the CANCEL is answered by the transaction, and its user hears of it before a final response only. */
static void cancel_reaches_the_user(void **state)
{
	struct rig *r = *state;

	assert_false(alice_says(r, "CANCEL", "z9hG4bK1", ""));
	alice_says(r, "INVITE", "z9hG4bK1", "");
	assert_false(alice_says(r, "CANCEL", "z9hG4bK2", ""));
	assert_true(alice_says(r, "CANCEL", "z9hG4bK1", ""));
	assert_non_null(strstr(expect_sent(r, "SIP/2.0 200"), "CSeq: 7 CANCEL\r\n"));
	assert_int_equal(r->user.cancels, 1);
	assert_true(alice_says(r, "CANCEL", "z9hG4bK1", "")); /* again: the same answer, and nobody hears of it */
	expect_sent(r, "SIP/2.0 200");
	assert_int_equal(r->user.cancels, 1);
	tu_answers(r, 487);
	expect_sent(r, "SIP/2.0 487");
}

static void cancel_after_the_answer(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 200);
	expect_sent(r, "SIP/2.0 200");
	assert_true(alice_says(r, "CANCEL", "z9hG4bK1", ""));
	expect_sent(r, "SIP/2.0 200");
	assert_int_equal(r->user.cancels, 0);
	after_ms(r, 1);
	expect_silence(r);
	buf_put(server_take_2xx(r->st));
}

/* A network that takes nothing changes no state: the client asks again, and is answered then. */
static void answers_the_network_refuses(void **state)
{
	struct rig *r = *state;

	r->net_error = -ENOBUFS;
	alice_says(r, "INFO", "z9hG4bK1", "");
	tu_answers(r, 200);
	r->net_error = 0;
	assert_true(alice_says(r, "INFO", "z9hG4bK1", ""));
	expect_sent(r, "SIP/2.0 200");
	assert_int_equal(counter_get(&r->stack.counters, SIP_SEND_ERRORS), 1);
}

static void let_go_servers_end_alone(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	tu_answers(r, 486);
	server_own(r->st, NULL, NULL);
	expect_sent(r, "SIP/2.0 486");
	assert_true(alice_says(r, "ACK", "z9hG4bK1", "ours"));
	after_ms(r, 5000);
	servers_are(r, 0);
	assert_int_equal(r->user.ends, 0);
}

/* Nobody is going to answer it any more: it stays no longer than its sender repeats it. */
static void a_server_let_go_before_its_answer_ends(void **state)
{
	struct rig *r = *state;

	alice_says(r, "INVITE", "z9hG4bK1", "");
	server_own(r->st, NULL, NULL);
	after_ms(r, SIP_TIMEOUT - 1);
	servers_are(r, 1);
	after_ms(r, 1);
	servers_are(r, 0);
}

/* RFC 3581 §4: what stands in the topmost Via of an answer, by what stood there and where the request came from. */
static void top_via(void **state)
{
	static const struct {
		const char *via, *answer;
	} cases[] = {
		{ "192.0.2.1;branch=z9hG4bK1", "192.0.2.1;branch=z9hG4bK1\r\n" },
		{ "192.0.2.1;rport;branch=z9hG4bK1", "192.0.2.1;rport=5060;branch=z9hG4bK1;received=192.0.2.1\r\n" },
		{ "192.0.2.1;branch=z9hG4bK1;rport", "192.0.2.1;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n" },
		{ "192.0.2.1;rport;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.1;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n" },
		{ "192.0.2.1;branch=z9hG4bK1;rport;received=192.0.2.9", "192.0.2.1;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n" },
		{ "192.0.2.1;branch=z9hG4bK1\r\nSubject: x\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2",
		  "192.0.2.1;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2\r\n" },
		{ "10.1.1.1:5070;branch=z9hG4bK1;rport", "10.1.1.1:5070;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n" },
		{ "10.1.1.1:5070;branch=z9hG4bK1", "10.1.1.1:5070;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n" },
		{ "host.example;branch=z9hG4bK1 , SIP/2.0/UDP x", "host.example;branch=z9hG4bK1;received=192.0.2.1," },
		{ "[2001:db8::1]:5070;rport=;branch=z9hG4bK1;received=192.0.2.9",
		  "[2001:db8::1]:5070;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n" },
		{ "192.0.2.1;branch=z9hG4bK1;rport , SIP/2.0/UDP x;rport=7",
		  "192.0.2.1;branch=z9hG4bK1;rport=5060;received=192.0.2.1, SIP/2.0/UDP x;rport=7\r\n" },
	};
	struct rig *r = *state;
	char area[2048];
	struct view v;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		scan(&v, area,
		     "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP %s\r\nMax-Forwards: 1\r\nFrom: <sip:a>;tag=a\r\nTo: <sip:b>\r\n"
		     "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
		     cases[i].via);
		sip_answer_stateless(&r->stack, &v, &r->path, 200, SV(""), SV("t"), SV("Allow: X\r\n"));
		const char *text = expect_sent(r, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP ");

		text += strlen("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP ");
		if (strncmp(text, cases[i].answer, strlen(cases[i].answer)) != 0)
			fail_msg("Via %s is answered as\n%s", cases[i].via, text);
	}
	servers_are(r, 0);
}

/* Client side ------------------------------------------------------------------------------------------------------ */

static void on_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct user *u = owner;

	(void)ct;
	(void)from;
	u->responses++;
	u->status = v->status;
}

static void on_failed(void *owner, struct client_txn *ct, int err)
{
	struct user *u = owner;

	(void)ct;
	u->has_failed = true;
	u->error = err;
}

static void on_client_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct user *)owner)->ends++;
}

static const struct client_ops client_ops = { .on_response = on_response, .on_failed = on_failed, .on_end = on_client_end };
enum { ID = 77 };

static struct buf *request_of(const char *method)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
	                 "%s sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKours\r\nMax-Forwards: 70\r\n"
	                 "Route: <sip:r;lr>\r\nFrom: <sip:a>;tag=a\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 3 %s\r\nContact: <sip:x>\r\n"
	                 "Content-Length: 0\r\n\r\n",
	                 method, method);

	return buf_copy((struct sv){ text, (size_t)n });
}

static void tu_asks(struct rig *r, enum method method)
{
	struct buf *b = request_of(method_name(method));

	assert_non_null(b);
	assert_int_equal(client_start(&r->stack, ID, method, &r->path, b, &client_ops, &r->user, &r->ct), 0);
	buf_put(b);
	expect_sent(r, method_name(method));
}

static bool bob_answers(struct rig *r, const char *method, unsigned status, const char *tag)
{
	char area[2048];
	struct view v;

	scan(&v, area,
	     "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKours\r\nFrom: <sip:a>;tag=a\r\nTo: <sip:b>%s%s\r\nCall-ID: c\r\n"
	     "CSeq: 3 %s\r\nContent-Length: 0\r\n\r\n",
	     status, *tag ? ";tag=" : "", tag, method);
	return sip_client_input(&r->stack, ID, &v, &r->path);
}

/* Timers A and B: 0.5, 1, 2, 4, 8, 16 s behind each other, and given up at 32 s. */
static void invite_client_times_out(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	for (unsigned a_ms = 500; a_ms <= 16000; a_ms *= 2)
		expect_sent_after(r, a_ms, "INVITE ");
	client_ends_after(r, 500);
	expect_silence(r);
	assert_true(r->user.has_failed);
	assert_int_equal(r->user.error, -ETIMEDOUT);
}

static void invite_client_on_a_stream(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	client_ends_after(r, 32000);
	expect_silence(r);
	assert_int_equal(r->user.error, -ETIMEDOUT);
}

/* A provisional ends A and B: what rings is the user's to watch. */
static void invite_client_rings(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	bob_answers(r, "INVITE", 100, "");
	assert_true(client_has_provisional(r->ct));
	after_ms(r, 3600000);
	expect_silence(r);
	clients_are(r, 1);
	bob_answers(r, "INVITE", 180, "b");
	assert_int_equal(r->user.responses, 2);
	client_own(r->ct, NULL, NULL); /* let go: it ends by itself */
	after_ms(r, 31999);
	clients_are(r, 1);
	after_ms(r, 1);
	clients_are(r, 0);
}

/* The same when it was let go before it rang. */
static void invite_client_let_go_rings_later(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	client_own(r->ct, NULL, NULL);
	after_ms(r, 100);
	bob_answers(r, "INVITE", 180, "b");
	after_ms(r, 32000);
	clients_are(r, 0);
	expect_silence(r);
}

/* §17.1.1.3: the ACK of a refusal has the INVITE's branch, Route and URI and the response's To; timer D is 32 s. */
static void invite_client_refused(void **state)
{
	struct rig *r = *state;
	const char *ack;

	tu_asks(r, M_INVITE);
	bob_answers(r, "INVITE", 486, "b");
	ack = expect_sent(r, "ACK sip:bob@example.com SIP/2.0\r\n");
	assert_non_null(strstr(ack, "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKours\r\n"));
	assert_non_null(strstr(ack, "Route: <sip:r;lr>\r\n"));
	assert_non_null(strstr(ack, "To: <sip:b>;tag=b\r\n"));
	assert_non_null(strstr(ack, "CSeq: 3 ACK\r\n"));
	assert_null(strstr(ack, "Contact"));
	after_ms(r, 20000);
	bob_answers(r, "INVITE", 486, "b");
	assert_string_equal(expect_sent(r, "ACK "), ack);
	bob_answers(r, "INVITE", 180, "b"); /* too late */
	bob_answers(r, "INVITE", 200, "b");
	assert_int_equal(r->user.responses, 1);
	expect_silence(r);
	client_ends_after(r, 12000);
	assert_false(r->user.has_failed);
}

static void invite_client_refused_on_a_stream(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	bob_answers(r, "INVITE", 486, "b");
	expect_sent(r, "ACK ");
	client_ends_after(r, 1); /* D = 0 */
}

/* RFC 6026 §7.2: every 2xx reaches the user until one was acknowledged; then that one gets its ACK, and other forks reach the user. M = 32 s. */
static void invite_client_accepted(void **state)
{
	struct rig *r = *state;
	struct buf *ack;

	tu_asks(r, M_INVITE);
	bob_answers(r, "INVITE", 200, "b");
	bob_answers(r, "INVITE", 200, "b");
	assert_int_equal(r->user.responses, 2);
	ack = buf_copy(SV("ACK of the call\r\n\r\n"));
	assert_int_equal(client_ack(r->ct, &r->path, ack, SV("b")), 0);
	buf_put(ack);
	expect_sent(r, "ACK of the call");
	bob_answers(r, "INVITE", 200, "b");
	expect_sent(r, "ACK of the call");
	assert_int_equal(r->user.responses, 2);
	bob_answers(r, "INVITE", 200, "fork");
	assert_int_equal(r->user.responses, 3);
	bob_answers(r, "INVITE", 486, "b"); /* absorbed */
	bob_answers(r, "INVITE", 180, "b");
	assert_int_equal(r->user.responses, 3);
	expect_silence(r);
	client_ends_after(r, 32000);
}

/* Timer E doubles up to T2, F ends it at 32 s. */
static void other_client_times_out(void **state)
{
	static const unsigned e_ms[] = { 500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000 };
	struct rig *r = *state;

	tu_asks(r, M_INFO);
	for (unsigned i = 0; i < sizeof(e_ms) / sizeof(*e_ms); i++)
		expect_sent_after(r, e_ms[i], "INFO ");
	client_ends_after(r, 500);
	assert_int_equal(r->user.error, -ETIMEDOUT);
}

/* §17.1.2.2: after a provisional E is T2, and F goes on. */
static void other_client_proceeds(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INFO);
	bob_answers(r, "INFO", 100, "b");
	expect_sent_after(r, 500, "INFO ");
	for (unsigned i = 0; i < 7; i++)
		expect_sent_after(r, 4000, "INFO ");
	client_ends_after(r, 3500);
	assert_int_equal(r->user.error, -ETIMEDOUT);
}

static void other_client_answered(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INFO);
	bob_answers(r, "INFO", 404, "b");
	assert_int_equal(r->user.status, 404);
	bob_answers(r, "INFO", 200, "b");
	assert_int_equal(r->user.responses, 1);
	client_ends_after(r, 5000); /* K = T4 */
	expect_silence(r);
	assert_false(r->user.has_failed);
	assert_false(bob_answers(r, "INFO", 200, "b"));
	assert_int_equal(counter_get(&r->stack.counters, SIP_ORPHAN_RESPONSES), 1);
}

static void other_client_on_a_stream(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INFO);
	after_ms(r, 31998);
	expect_silence(r);
	bob_answers(r, "INFO", 200, "b");
	client_ends_after(r, 1); /* K = 0 */
}

/* A response of another method has another transaction. */
static void responses_find_their_method(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INFO);
	assert_false(bob_answers(r, "MESSAGE", 200, "b"));
	assert_int_equal(r->user.responses, 0);
	assert_true(sip_client_has(&r->stack, ID, M_INFO));
	assert_false(sip_client_has(&r->stack, ID, M_MESSAGE));
}

/* §9.1: before a provisional the CANCEL waits for one; then one CANCEL with the INVITE's branch, repeated like any request. */
static void cancel_waits_for_a_provisional(void **state)
{
	struct rig *r = *state;
	const char *cancel;

	tu_asks(r, M_INVITE);
	assert_int_equal(client_cancel(r->ct, SV("")), -EAGAIN);
	expect_silence(r);
	bob_answers(r, "INVITE", 180, "b");
	cancel = expect_sent(r, "CANCEL sip:bob@example.com SIP/2.0\r\n");
	assert_non_null(strstr(cancel, "branch=z9hG4bKours\r\n"));
	assert_non_null(strstr(cancel, "To: <sip:b>\r\n")); /* the request's, not the response's */
	assert_non_null(strstr(cancel, "CSeq: 3 CANCEL\r\n"));
	assert_non_null(strstr(cancel, "Route: <sip:r;lr>\r\n"));
	bob_answers(r, "INVITE", 183, "b");
	assert_int_equal(client_cancel(r->ct, SV("")), -EALREADY);
	expect_sent_after(r, 500, "CANCEL ");
	bob_answers(r, "CANCEL", 200, "b");
	bob_answers(r, "INVITE", 487, "b");
	expect_sent(r, "ACK ");
	assert_int_equal(r->user.status, 487);
	after_ms(r, 4999);
	clients_are(r, 2);
	after_ms(r, 1);
	clients_are(r, 1);
}

static void cancel_of_what_is_answered(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	bob_answers(r, "INVITE", 180, "b");
	assert_int_equal(client_cancel(r->ct, SV("Reason: SIP;cause=200\r\n")), 0);
	assert_non_null(strstr(expect_sent(r, "CANCEL "), "Reason: SIP;cause=200\r\n"));
	bob_answers(r, "INVITE", 200, "b");
	assert_int_equal(r->user.status, 200);
	assert_int_equal(client_cancel(r->ct, SV("")), -EALREADY);
	expect_silence(r);
}

/* ICMP and broken streams: told from the wheel, to the transaction that was sent there and still waits. */
static void transport_breaks(void **state)
{
	struct rig *r = *state;
	struct addr other = r->path.remote;

	tu_asks(r, M_INVITE);
	other.port++;
	sip_client_broken(&r->stack, ID, &other, -ECONNREFUSED);
	sip_client_broken(&r->stack, ID + 1, NULL, -ECONNREFUSED);
	after_ms(r, 2);
	assert_false(r->user.has_failed);
	sip_client_broken(&r->stack, ID, &r->path.remote, -ECONNREFUSED);
	assert_false(r->user.has_failed);
	client_ends_after(r, 1);
	assert_int_equal(r->user.error, -ECONNREFUSED);
}

/* What rings has arrived: a late ICMP error means nothing, and the transaction must not hang on it. */
static void transport_breaks_too_late(void **state)
{
	struct rig *r = *state;

	tu_asks(r, M_INVITE);
	sip_client_broken(&r->stack, ID, NULL, -ECONNREFUSED);
	bob_answers(r, "INVITE", 180, "b"); /* in the same turn */
	after_ms(r, 10);
	sip_client_broken(&r->stack, ID, NULL, -ECONNREFUSED);
	after_ms(r, 10);
	assert_false(r->user.has_failed);
	bob_answers(r, "INVITE", 486, "b");
	expect_sent(r, "ACK ");
	client_ends_after(r, 32000);
}

static void sends_that_fail(void **state)
{
	struct rig *r = *state;
	struct buf *b = request_of("INVITE");

	r->net_error = -ENOTCONN;
	assert_int_equal(client_start(&r->stack, ID, M_INVITE, &r->path, b, &client_ops, &r->user, &r->ct), -ENOTCONN);
	clients_are(r, 0);
	assert_int_equal(r->user.ends, 0); /* then there is no callback */
	r->net_error = 0;
	assert_int_equal(client_start(&r->stack, ID, M_INVITE, &r->path, b, &client_ops, &r->user, &r->ct), 0);
	buf_put(b);
	expect_sent(r, "INVITE ");
	r->net_error = -ENOBUFS; /* a repetition that the queue does not take */
	after_ms(r, 500);
	r->net_error = 0;
	expect_sent_after(r, 1000, "INVITE ");
}

#define UDP(test) cmocka_unit_test_setup_teardown(test, udp, rig_close)
#define TCP(test) cmocka_unit_test_setup_teardown(test, tcp, rig_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UDP(invite_server_repeats_its_provisional),
		UDP(refusal_repeats_until_timer_h),
		UDP(refusal_repeats_until_acked),
		TCP(refusal_on_a_stream),
		TCP(refusal_on_a_stream_without_ack),
		UDP(accepted),
		TCP(accepted),
		UDP(returned_answer_is_repeated),
		UDP(other_server),
		TCP(other_server_on_a_stream),
		UDP(servers_are_told_apart),
		UDP(cancel_reaches_the_user),
		UDP(cancel_after_the_answer),
		UDP(answers_the_network_refuses),
		UDP(let_go_servers_end_alone),
		UDP(a_server_let_go_before_its_answer_ends),
		UDP(top_via),
		UDP(invite_client_times_out),
		TCP(invite_client_on_a_stream),
		UDP(invite_client_rings),
		UDP(invite_client_let_go_rings_later),
		UDP(invite_client_refused),
		TCP(invite_client_refused_on_a_stream),
		UDP(invite_client_accepted),
		TCP(invite_client_accepted),
		UDP(other_client_times_out),
		UDP(other_client_proceeds),
		UDP(other_client_answered),
		TCP(other_client_on_a_stream),
		UDP(responses_find_their_method),
		UDP(cancel_waits_for_a_provisional),
		UDP(cancel_of_what_is_answered),
		UDP(transport_breaks),
		UDP(transport_breaks_too_late),
		UDP(sends_that_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
