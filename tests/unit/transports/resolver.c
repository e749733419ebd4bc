/* The resolver against a small DNS server in the same loop. Time is the wheel's; c-ares' own is not waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/net.h"
#include "base/poller.h"
#include "transports/dns.h"
#include "transports/resolver.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ASKED_MAX = 4096, TURNS = 20000, A = 1, CNAME = 5, SOA = 6, AAAA = 28, SRV = 33, NAPTR = 35, DONE_MAX = 8192, REPLY_MAX = 8192 };

struct record {
	const char *name;
	uint16_t type;
	uint32_t ttl;
	const char *data;          /* address, or SRV/CNAME target; NAPTR: service, space, replacement; SOA: nothing */
	uint16_t priority, weight, port; /* NAPTR: order, preference; SOA: its minimum in `port` */
};

struct done {
	int err;
	struct resolve_answer answer;
};

struct rig {
	struct poller *poller;
	struct wheel wheel;
	struct resolver *resolver;
	int fd, tcp, conn;         /* the server's */
	unsigned n_tcp;            /* questions over TCP */
	const struct record *zone;
	size_t n_zone;
	int rcode;                 /* what unknown names get: 3 = NXDOMAIN */
	bool is_deaf, is_mad;
	unsigned deaf_to;          /* questions of this type are dropped */
	struct record soa;         /* with what is not there; name NULL: none */
	unsigned n_asked;
	char asked[ASKED_MAX][80];
	struct done done[DONE_MAX];
	size_t n_done;
	struct resolve_query again; /* asked inside the callback */
	bool asks_again;
};

static struct rig *rig_of(void **state)
{
	return *state;
}

static void put16(unsigned char **p, unsigned v)
{
	*(*p)++ = (unsigned char)(v >> 8);
	*(*p)++ = (unsigned char)v;
}

static void put_name(unsigned char **p, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t len = strcspn(name, ".");

		*(*p)++ = (unsigned char)len;
		memcpy(*p, name, len);
		*p += len;
		name += len + (name[len] == '.');
	}
	*(*p)++ = 0;
}

static void put_text(unsigned char **p, const char *text, size_t len)
{
	*(*p)++ = (unsigned char)len;
	memcpy(*p, text, len);
	*p += len;
}

static void put_naptr(unsigned char **p, const struct record *r)
{
	size_t service = strcspn(r->data, " ");

	put16(p, r->priority);
	put16(p, r->weight);
	put_text(p, "s", 1);
	put_text(p, r->data, service);
	put_text(p, "", 0);
	put_name(p, r->data + service + 1);
}

static void put_soa(unsigned char **p, const struct record *r)
{
	put_name(p, "ns");
	put_name(p, "root");
	memset(*p, 0, 18);
	*p += 18;
	put16(p, r->port);
}

static void put_data(unsigned char **p, const struct record *r)
{
	unsigned char *len = *p;

	*p += 2;
	if (r->type == NAPTR)
		put_naptr(p, r);
	else if (r->type == SOA)
		put_soa(p, r);
	else if (r->type == A)
		*p += inet_pton(AF_INET, r->data, *p) == 1 ? 4 : 0;
	else if (r->type == AAAA)
		*p += inet_pton(AF_INET6, r->data, *p) == 1 ? 16 : 0;
	else {
		if (r->type == SRV) {
			put16(p, r->priority);
			put16(p, r->weight);
			put16(p, r->port);
		}
		put_name(p, r->data);
	}
	put16(&len, (unsigned)(*p - len - 2));
}

static void put_record(unsigned char **p, const struct record *r)
{
	put_name(p, r->name);
	put16(p, r->type);
	put16(p, 1);
	put16(p, r->ttl >> 16);
	put16(p, r->ttl);
	put_data(p, r);
}

/* The question's name as text; returns what lies behind it. */
static const unsigned char *read_name(const unsigned char *p, char *out)
{
	while (*p) {
		memcpy(out, p + 1, *p);
		out += *p;
		*out++ = '.';
		p += *p + 1;
	}
	out[-1] = '\0';
	return p + 1;
}

static unsigned put_answers(struct rig *r, unsigned char **p, const char *name, unsigned type, bool *exists)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->n_zone; i++) {
		if (strcasecmp(r->zone[i].name, name) != 0)
			continue;
		*exists = true;
		if (r->zone[i].type != type && r->zone[i].type != CNAME)
			continue;
		put_record(p, &r->zone[i]);
		n++;
		if (r->zone[i].type == CNAME)
			n += put_answers(r, p, r->zone[i].data, type, exists);
	}
	return n;
}

/* The reply to `q` in `reply`; 0 for silence. */
static size_t make_reply(struct rig *r, const unsigned char *q, ssize_t len, unsigned char reply[REPLY_MAX])
{
	unsigned char *p = reply + len, *at = reply + 6;
	char name[300];
	const unsigned char *behind = read_name(q + 12, name);
	unsigned type = (unsigned)(behind[0] << 8 | behind[1]), n;
	bool exists = false;

	snprintf(r->asked[r->n_asked++], 80, "%.60s %u", name, type);
	assert_true(r->n_asked < ASKED_MAX);
	if (r->is_deaf || type == r->deaf_to)
		return 0;
	memcpy(reply, q, (size_t)len);
	n = put_answers(r, &p, name, type, &exists);
	if (!n && r->soa.name) {
		put_record(&p, &r->soa);
		reply[9] = 1;
	}
	reply[2] = 0x85;
	reply[3] = (unsigned char)(0x80 | (exists ? 0 : r->rcode));
	put16(&at, n);
	if (r->is_mad) /* says there is more, and points names at themselves */
		memset(reply + 6, 0xc0, (size_t)(p - reply) - 6 < 40 ? (size_t)(p - reply) - 6 : 40);
	return (size_t)(p - reply);
}

/* What does not fit into 512 bytes is cut and marked, so that it is asked for over TCP (RFC 1035 §4.2.1). */
static void answer(struct rig *r, unsigned char *q, ssize_t len, const struct sockaddr_storage *from,
                   socklen_t from_len)
{
	unsigned char reply[REPLY_MAX];
	size_t n = make_reply(r, q, len, reply);

	if (n > 512) {
		reply[2] |= 2;
		memset(reply + 6, 0, 6);
		n = (size_t)len;
	}
	if (n)
		sendto(r->fd, reply, n, 0, (const struct sockaddr *)from, from_len);
}

/* One question per connection, each with its length before it. */
static void serve_tcp(struct rig *r)
{
	unsigned char q[1024], reply[2 + REPLY_MAX];
	ssize_t len;
	size_t n;

	if (r->conn < 0)
		r->conn = accept4(r->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (r->conn < 0)
		return;
	len = recv(r->conn, q, sizeof q, 0);
	if (len < 19)
		return;
	n = make_reply(r, q + 2, len - 2, reply + 2);
	reply[0] = (unsigned char)(n >> 8);
	reply[1] = (unsigned char)n;
	assert_int_equal(send(r->conn, reply, n + 2, MSG_NOSIGNAL), n + 2);
	r->n_tcp++;
}

static void serve(struct rig *r)
{
	serve_tcp(r);
	for (;;) {
		unsigned char q[1024];
		struct sockaddr_storage from;
		socklen_t from_len = sizeof from;
		ssize_t len = recvfrom(r->fd, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

		if (len < 17)
			return;
		answer(r, q, len, &from, from_len);
	}
}

static void turn(struct rig *r)
{
	poller_turn(r->poller, false);
	serve(r);
}

#define until(r, expr) \
	do { \
		for (int turns_ = 0; turns_ < TURNS && !(expr); turns_++) \
			turn(r); \
		assert_true(expr); \
	} while (0)

static void after_ms(struct rig *r, uint64_t ms)
{
	wheel_advance(&r->wheel, r->wheel.now_ms + ms, SIZE_MAX);
	turn(r);
}

static void on_done(void *ctx, int err, const struct resolve_answer *a)
{
	struct rig *r = ctx;
	struct resolve_answer out;
	uint64_t id;

	r->done[r->n_done++] = (struct done){ err, *a };
	assert_true(r->n_done < DONE_MAX);
	if (r->asks_again) {
		r->asks_again = false;
		resolve(r->resolver, &r->again, &out, on_done, r, &id);
	}
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	/* an address of this process alone, so that the same port is free for UDP and TCP */
	uint32_t ip = 127u << 24 | ((uint32_t)getpid() & 0xffff) << 8 | 53;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip) };
	socklen_t len = sizeof sa;
	char text[64];
	struct sv server;
	int on = 1;

	assert_int_equal(poller_new(&r->poller), 0);
	wheel_init(&r->wheel, 5000);
	r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(r->fd, (struct sockaddr *)&sa, &len), 0);
	r->conn = -1;
	r->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(r->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(r->tcp, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(r->tcp, 4), 0);
	snprintf(text, sizeof text, "%s:%u", inet_ntoa(sa.sin_addr), ntohs(sa.sin_port));
	server = sv_from(text);
	r->rcode = 3;
	assert_int_equal(resolver_new(&r->resolver, r->poller, &r->wheel, &server, 1, NULL), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = rig_of(state);

	resolver_free(r->resolver);
	assert_int_equal(r->wheel.count, 0);
	poller_free(r->poller);
	close(r->fd);
	close(r->tcp);
	if (r->conn >= 0)
		close(r->conn);
	free(r);
	return 0;
}

#define ZONE(r, ...) \
	static const struct record zone_[] = { __VA_ARGS__ }; \
	(r)->zone = zone_; \
	(r)->n_zone = sizeof zone_ / sizeof *zone_

static struct resolve_query query(const char *host, uint16_t port, uint8_t transport, uint8_t family)
{
	return (struct resolve_query){ .host = sv_from(host), .port = port, .default_port = 5060, .transport = transport,
		                       .family = family };
}

static int ask(struct rig *r, struct resolve_query q, struct resolve_answer *out)
{
	uint64_t id;

	*out = (struct resolve_answer){ 0 };
	return resolve(r->resolver, &q, out, on_done, r, &id);
}

/* Asks, waits, and gives what came: the error, with the answer in the last done. */
static int ask_and_wait(struct rig *r, struct resolve_query q, struct resolve_answer *out)
{
	size_t before = r->n_done;
	int err = ask(r, q, out);

	if (err != -EINPROGRESS)
		return err;
	until(r, r->n_done == before + 1);
	*out = r->done[before].answer;
	return r->done[before].err;
}

static void expect_addr(const struct resolve_answer *a, unsigned i, const char *text)
{
	char got[ADDR_TEXT];

	assert_true(i < a->n);
	assert_string_equal(addr_print(&a->addr[i], got), text);
}

static bool was_asked(const struct rig *r, const char *what)
{
	for (unsigned i = 0; i < r->n_asked; i++)
		if (strcasecmp(r->asked[i], what) == 0)
			return true;
	return false;
}

static uint64_t counted(const struct rig *r, enum resolver_counter which)
{
	return counter_get(resolver_counters(r->resolver), which);
}

/* Without asking -------------------------------------------------------------------------------------------------- */

static void numbers_are_answered_at_once(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	assert_int_equal(ask(r, query("192.0.2.1", 0, T_UDP, 0), &a), 0);
	expect_addr(&a, 0, "192.0.2.1:5060");
	assert_int_equal(ask(r, query("192.0.2.1", 5070, T_UDP, 4), &a), 0);
	expect_addr(&a, 0, "192.0.2.1:5070");
	assert_int_equal(ask(r, query("[2001:db8::1]", 0, T_TLS, 0), &a), 0);
	expect_addr(&a, 0, "[2001:db8::1]:5060");
	assert_int_equal(ask(r, query("2001:db8::1", 0, T_UDP, 4), &a), -ENOENT);
	assert_int_equal(a.n, 0);
	assert_int_equal(r->n_asked, 0);
}

static void what_is_no_name_is_refused(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	char label[80], name[300];

	memset(label, 'a', 64);
	label[64] = '\0';
	memset(name, 'a', sizeof name);
	for (size_t i = 50; i < sizeof name; i += 50)
		name[i] = '.';
	name[254] = '\0';
	assert_int_equal(ask(r, query("", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query(".", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query("a..b", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query(".a", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query("a b", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query("a\xc3\xa4", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query("a/b", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query("[::1", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query("192.0.2.1:5060", 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query(label, 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(ask(r, query(name, 0, T_UDP, 0), &a), -EBADMSG);
	assert_int_equal(r->n_asked, 0);
}

/* /etc/hosts is asked first, and has no SRV records. */
static void the_hosts_file_is_honoured(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	r->is_deaf = true;
	assert_int_equal(ask(r, query("localhost", 0, T_UDP, 4), &a), 0);
	expect_addr(&a, 0, "127.0.0.1:5060");
	assert_int_equal(ask(r, query("LOCALHOST.", 5080, T_UDP, 4), &a), 0);
	expect_addr(&a, 0, "127.0.0.1:5080");
	turn(r);
	assert_int_equal(r->n_asked, 0);
}

/* Asking ---------------------------------------------------------------------------------------------------------- */

static void a_name_with_a_port_needs_no_srv(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "media.example", AAAA, 60, "2001:db8::5", 0, 0, 0 },
	     { "media.example", A, 60, "192.0.2.5", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("media.example", 5070, T_UDP, 0), &a), 0);
	assert_int_equal(a.n, 2);
	expect_addr(&a, 0, "192.0.2.5:5070"); /* IPv4 first */
	expect_addr(&a, 1, "[2001:db8::5]:5070");
	assert_false(was_asked(r, "_sip._udp.media.example 33"));
	assert_int_equal(ask_and_wait(r, query("media.example", 5070, T_UDP, 6), &a), 0);
	assert_int_equal(a.n, 1);
	expect_addr(&a, 0, "[2001:db8::5]:5070");
}

/* RFC 3263 §4.2. */
static void srv_first_then_the_name_itself(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.example", SRV, 60, "a.example", 20, 0, 5062 },
	     { "_sip._udp.example", SRV, 60, "b.example", 10, 0, 5064 },
	     { "_sip._tcp.example", SRV, 60, "b.example", 10, 0, 5066 },
	     { "_sips._tcp.example", SRV, 60, "b.example", 10, 0, 5068 },
	     { "a.example", A, 60, "192.0.2.1", 0, 0, 0 }, { "b.example", A, 60, "192.0.2.2", 0, 0, 0 },
	     { "b.example", A, 60, "192.0.2.3", 0, 0, 0 }, { "example", A, 60, "192.0.2.9", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
	assert_int_equal(a.n, 3);
	expect_addr(&a, 0, "192.0.2.2:5064");
	expect_addr(&a, 1, "192.0.2.3:5064");
	expect_addr(&a, 2, "192.0.2.1:5062");
	assert_int_equal(ask_and_wait(r, query("example", 0, T_TCP, 4), &a), 0);
	expect_addr(&a, 0, "192.0.2.2:5066");
	assert_int_equal(ask_and_wait(r, query("example", 0, T_TLS, 4), &a), 0);
	expect_addr(&a, 0, "192.0.2.2:5068");
	assert_int_equal(ask_and_wait(r, query("a.example", 0, T_UDP, 4), &a), 0);
	assert_true(was_asked(r, "_sip._udp.a.example 33"));
	assert_int_equal(a.n, 1);
	expect_addr(&a, 0, "192.0.2.1:5060");
}

/* RFC 2782: "." says that there is no such service; the name's own address is not tried. */
static void a_service_that_is_decidedly_not_there(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.example", SRV, 60, ".", 0, 0, 0 }, { "example", A, 60, "192.0.2.9", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), -ENOENT);
	assert_false(was_asked(r, "example 1"));
}

static void a_dead_target_does_not_hide_the_live_one(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.example", SRV, 60, "gone.example", 10, 0, 5062 },
	     { "_sip._udp.example", SRV, 60, "a.example", 20, 0, 5064 },
	     { "a.example", A, 60, "192.0.2.1", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
	assert_int_equal(a.n, 1);
	expect_addr(&a, 0, "192.0.2.1:5064");
}

/* Each of two targets with eight addresses gets half of the places; one address named twice gets one. */
static void targets_share_the_places(void **state)
{
	struct rig *r = rig_of(state);
	struct record zone[20];
	char text[16][16];
	struct resolve_answer a;
	unsigned second = 0;

	for (uint8_t i = 0; i < 16; i++) {
		snprintf(text[i], sizeof text[i], "192.0.2.%u", i);
		zone[i] = (struct record){ i < 8 ? "a.example" : "b.example", A, 60, text[i], 0, 0, 0 };
	}
	zone[16] = (struct record){ "_sip._udp.example", SRV, 60, "a.example", 1, 0, 5060 };
	zone[17] = (struct record){ "_sip._udp.example", SRV, 60, "b.example", 2, 0, 5060 };
	zone[18] = zone[19] = (struct record){ "twice.example", A, 60, "192.0.2.99", 0, 0, 0 };
	r->zone = zone;
	r->n_zone = 20;
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
	assert_int_equal(a.n, RESOLVE_ADDRS_MAX);
	for (unsigned i = 0; i < a.n; i++)
		second += a.addr[i].ip[3] >= 8;
	assert_int_equal(second, RESOLVE_ADDRS_MAX / 2);
	assert_int_equal(ask_and_wait(r, query("twice.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(a.n, 1);
}

/* Targets without addresses take no places from those that have some, and which ones are kept does not depend on the order they come in. */
static void the_live_target_has_the_places(void **state)
{
	struct rig *r = rig_of(state);
	static const char *const rotated[2][4] = { { "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4" },
		                                   { "192.0.2.3", "192.0.2.4", "192.0.2.1", "192.0.2.2" } };
	struct record zone[16];
	struct resolve_answer a;

	for (unsigned i = 0; i < 5; i++)
		zone[i] = (struct record){ "_sip._udp.example", SRV, 60, (const char *[]){ "live", "x1", "x2", "x3", "x4" }[i], (uint16_t)i, 0, 5060 };
	for (unsigned i = 0; i < 4; i++)
		zone[5 + i] = (struct record){ "live", A, 60, rotated[0][i], 0, 0, 0 };
	r->zone = zone;
	r->n_zone = 9;
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
	assert_int_equal(a.n, 4);
	for (unsigned turn = 0; turn < 2; turn++) {
		struct record three[15];
		unsigned sum = 0;

		for (unsigned i = 0; i < 3; i++)
			three[i] = (struct record){ turn ? "_sip._udp.second" : "_sip._udp.first", SRV, 60,
				                    (const char *[]){ "p", "q", "s" }[i], (uint16_t)i, 0, 5060 };
		for (unsigned i = 0; i < 12; i++)
			three[3 + i] = (struct record){ (const char *[]){ "p", "q", "s" }[i / 4], A, 1, rotated[turn][i % 4], 0, 0, 0 };
		r->zone = three;
		r->n_zone = 15;
		after_ms(r, 60000);
		assert_int_equal(ask_and_wait(r, query(turn ? "second" : "first", 0, T_UDP, 4), &a), 0);
		assert_int_equal(a.n, 6);
		for (unsigned i = 0; i < a.n; i++)
			sum += a.addr[i].ip[3];
		assert_int_equal(sum, 9); /* 192.0.2.1 and .2 of each */
	}
}

/* Weights 3 and 1: about three quarters of the first places, drawn anew each time, from the cache too. */
static void weights_share_the_load(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	unsigned first = 0;

	ZONE(r, { "_sip._udp.example", SRV, 3600, "a.example", 10, 30, 5060 },
	     { "_sip._udp.example", SRV, 3600, "b.example", 10, 10, 5060 },
	     { "a.example", A, 3600, "192.0.2.1", 0, 0, 0 }, { "b.example", A, 3600, "192.0.2.2", 0, 0, 0 });
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
		assert_int_equal(a.n, 2);
		first += a.addr[0].ip[3] == 1;
	}
	assert_in_range(first, 2800, 3200);
	assert_int_equal(counted(r, RESOLVER_HITS), 3999);
}

/* kamailio/kamailio#2651: too many SRV records, none used. Here the answer comes over TCP, and the best are used. */
static void more_records_than_fit(void **state)
{
	struct rig *r = rig_of(state);
	struct record *zone = calloc(41, sizeof *zone);
	struct resolve_answer a;

	for (uint16_t i = 0; i < 40; i++)
		zone[i] = (struct record){ "_sip._udp.example", SRV, 60, "a.example", 40 - i, 0, 6000 + i };
	zone[40] = (struct record){ "a.example", A, 60, "192.0.2.1", 0, 0, 0 };
	r->zone = zone;
	r->n_zone = 41;
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
	assert_int_equal(r->n_tcp, 1);
	assert_int_equal(a.n, RESOLVE_ADDRS_MAX);
	expect_addr(&a, 0, "192.0.2.1:6039");
	expect_addr(&a, 7, "192.0.2.1:6032");
	free(zone);
}

static void aliases_are_followed(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "www.example", CNAME, 60, "host.example", 0, 0, 0 }, { "host.example", A, 60, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("www.example", 5060, T_UDP, 4), &a), 0);
	expect_addr(&a, 0, "192.0.2.7:5060");
}

/* The cache ------------------------------------------------------------------------------------------------------- */

static void an_answer_lives_as_long_as_it_says(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	unsigned asked;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 }, { "short.example", A, 0, "192.0.2.8", 0, 0, 0 },
	     { "long.example", A, 1000000, "192.0.2.9", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	after_ms(r, 89999);
	assert_int_equal(ask(r, query("H.Example", 5061, T_UDP, 4), &a), 0);
	expect_addr(&a, 0, "192.0.2.7:5061");
	after_ms(r, 10001);
	asked = r->n_asked;
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(r->n_asked, asked + 1);
	assert_int_equal(ask_and_wait(r, query("short.example", 5060, T_UDP, 4), &a), 0);
	after_ms(r, RESOLVE_TTL_MIN_S * 900 - 1);
	assert_int_equal(ask(r, query("short.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask_and_wait(r, query("long.example", 5060, T_UDP, 4), &a), 0);
	after_ms(r, RESOLVE_TTL_MAX_S * 1000);
	assert_int_equal(ask_and_wait(r, query("long.example", 5060, T_UDP, 4), &a), 0);
	assert_true(was_asked(r, "long.example 1"));
	assert_int_equal(r->n_asked, asked + 4);
}

static void wake_five_seconds_later(struct wheel *w)
{
	w->look = NULL;
	wheel_advance(w, w->now_ms + 5000, 0);
}

/* The loop slept while the answer was on its way, and nobody has looked at the clock since. */
static void it_lives_from_the_time_it_came(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	r->wheel.look = wake_five_seconds_later;
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	assert_null(r->wheel.look);
	after_ms(r, 89999);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	turn(r);
	assert_int_equal(r->n_asked, 1);
	after_ms(r, 10000);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0);
}

static void that_it_does_not_exist_is_remembered(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	unsigned asked;

	r->n_zone = 0;
	assert_int_equal(ask_and_wait(r, query("no.example", 5060, T_UDP, 0), &a), -ENOENT);
	asked = r->n_asked;
	after_ms(r, RESOLVE_NEGATIVE_S * 900 - 1);
	assert_int_equal(ask(r, query("no.example", 5060, T_UDP, 0), &a), -ENOENT);
	after_ms(r, RESOLVE_NEGATIVE_S * 100 + 1);
	assert_int_equal(ask_and_wait(r, query("no.example", 5060, T_UDP, 0), &a), -ENOENT);
	assert_true(r->n_asked > asked);
	assert_int_equal(counted(r, RESOLVER_NOT_FOUND), 2);
}

static void the_cache_is_bounded(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	char name[32];

	ZONE(r, { "first.example", A, 3000, "192.0.2.7", 0, 0, 0 }, { "used.example", A, 3000, "192.0.2.8", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("first.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask_and_wait(r, query("used.example", 5060, T_UDP, 4), &a), 0);
	for (int i = 0; i < RESOLVE_CACHE_MAX + 5; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		r->n_asked = 0;
		assert_int_equal(ask_and_wait(r, query(name, 5060, T_UDP, 4), &a), -ENOENT);
		assert_int_equal(ask(r, query("used.example", 5060, T_UDP, 4), &a), 0);
	}
	assert_int_equal(counted(r, RESOLVER_CACHED), RESOLVE_CACHE_MAX);
	r->n_asked = 0;
	assert_int_equal(ask_and_wait(r, query("first.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(r->n_asked, 1); /* it was the one unused longest */
}

/* What is not there is known of this name and type only, for as long as the zone says. */
static void absence_is_of_one_name_and_type(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	unsigned asked;

	ZONE(r, { "h.example", A, 1000, "192.0.2.7", 0, 0, 0 });
	r->soa = (struct record){ "example", SOA, 900, "", 0, 0, 60 };
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 6), &a), -ENOENT);
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 0), &a), 0); /* of both, from what is known */
	assert_int_equal(a.n, 1);
	asked = r->n_asked;
	after_ms(r, 53999);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 6), &a), -ENOENT);
	turn(r);
	assert_int_equal(r->n_asked, asked);
	after_ms(r, 6001);
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 6), &a), -ENOENT);
	assert_int_equal(r->n_asked, asked + 1);
	r->soa.ttl = r->soa.port = 20000; /* no zone keeps us off for longer than that */
	assert_int_equal(ask_and_wait(r, query("no.example", 5060, T_UDP, 4), &a), -ENOENT);
	after_ms(r, RESOLVE_NEGATIVE_MAX_S * 1000);
	assert_int_equal(ask_and_wait(r, query("no.example", 5060, T_UDP, 4), &a), -ENOENT);
}

/* In the last tenth of its time, once, and whoever asked does not wait. */
static void names_in_use_are_refreshed(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	after_ms(r, 89999);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(counted(r, RESOLVER_REFRESHED), 0);
	after_ms(r, 1);
	r->zone = (const struct record[]){ { "h.example", A, 100, "192.0.2.8", 0, 0, 0 } };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0);
		expect_addr(&a, 0, "192.0.2.7:5060");
	}
	assert_int_equal(counted(r, RESOLVER_REFRESHED), 1);
	until(r, ask(r, query("h.example", 5060, T_UDP, 4), &a) == 0 && a.addr[0].ip[3] == 8);
	assert_int_equal(r->n_asked, 2);
	after_ms(r, 89999); /* from when the new one came */
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(counted(r, RESOLVER_REFRESHED), 1);
}

struct listed {
	unsigned n, stale, negative;
	char names[16][80];
};

static void list_one(void *ctx, const struct resolve_entry *e)
{
	struct listed *l = ctx;

	if (e->type == DNS_HOSTS)
		return;
	snprintf(l->names[l->n++], 80, "%s %u", e->name, e->type);
	l->stale += e->is_stale;
	l->negative += e->set && !e->set->n;
}

static struct listed list_all(const struct rig *r)
{
	struct listed l = { 0 };

	resolve_each(r->resolver, list_one, &l);
	return l;
}

static void what_is_known_can_be_seen_and_forgotten(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	struct listed l;

	ZONE(r, { "_sip._udp.example", SRV, 50, "a.other", 20, 0, 5062 }, { "a.other", A, 100, "192.0.2.1", 0, 0, 0 },
	     { "example", A, 100, "192.0.2.2", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("example", 0, T_UDP, 4), &a), 0);
	assert_int_equal(ask_and_wait(r, query("example", 5060, T_UDP, 0), &a), 0);
	assert_int_equal(ask_and_wait(r, query("xexample", 5060, T_UDP, 4), &a), -ENOENT);
	after_ms(r, 50000);
	l = list_all(r);
	assert_int_equal(l.n, 5);
	assert_int_equal(l.stale, 3); /* SRV, and what is not there */
	assert_int_equal(l.negative, 2);
	assert_true(resolve_forget(r->resolver, "example") >= 3);
	l = list_all(r);
	assert_int_equal(l.n, 2); /* xexample is another name */
	r->n_asked = 0;
	assert_int_equal(ask_and_wait(r, query("example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(r->n_asked, 1);
}

/* RFC 3263 §4.1 --------------------------------------------------------------------------------------------------- */

static struct resolve_query open_query(const char *host, unsigned transports)
{
	return (struct resolve_query){ .host = sv_from(host), .family = 4, .transports = (uint8_t)transports };
}

enum { ANY = 1u << T_UDP | 1u << T_TCP | 1u << T_TLS, SECURE = 1u << T_TLS | 1u << T_WSS };

static void expect_hop(const struct resolve_answer *a, unsigned i, const char *text, uint8_t transport)
{
	expect_addr(a, i, text);
	assert_int_equal(a->transport[i], transport);
}

#define NAPTR_ZONE(r) \
	ZONE(r, { "example", NAPTR, 60, "SIP+D2U _sip._udp.example", 50, 50, 0 }, \
	     { "example", NAPTR, 60, "SIPS+D2T _sips._tcp.example", 50, 10, 0 }, \
	     { "example", NAPTR, 60, "SIP+D2T _sip._tcp.example", 40, 90, 0 }, \
	     { "example", NAPTR, 60, "SIPS+D2W _sips._ws.example", 60, 10, 0 }, \
	     { "_sip._udp.example", SRV, 60, "u.example", 0, 0, 5060 }, { "_sip._tcp.example", SRV, 60, "t.example", 9, 0, 5070 }, \
	     { "_sips._tcp.example", SRV, 60, "s.example", 5, 0, 5061 }, { "_sips._ws.example", SRV, 60, "w.example", 5, 0, 8443 }, \
	     { "u.example", A, 60, "192.0.2.1", 0, 0, 0 }, { "t.example", A, 60, "192.0.2.2", 0, 0, 0 }, \
	     { "s.example", A, 60, "192.0.2.3", 0, 0, 0 }, { "w.example", A, 60, "192.0.2.4", 0, 0, 0 }, \
	     { "example", A, 60, "192.0.2.9", 0, 0, 0 })

static void naptr_chooses_the_transport(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	NAPTR_ZONE(r);
	assert_int_equal(ask_and_wait(r, open_query("example", ANY), &a), 0);
	assert_int_equal(a.n, 3);
	expect_hop(&a, 0, "192.0.2.2:5070", T_TCP); /* the lowest order */
	expect_hop(&a, 1, "192.0.2.3:5061", T_TLS); /* then the lower preference */
	expect_hop(&a, 2, "192.0.2.1:5060", T_UDP);
	assert_false(was_asked(r, "_sips._ws.example 33"));
	assert_int_equal(ask_and_wait(r, open_query("example", 1u << T_UDP), &a), 0);
	assert_int_equal(a.n, 1);
	expect_hop(&a, 0, "192.0.2.1:5060", T_UDP);
}

/* What is to go over TLS never goes over less. */
static void sips_discards_what_is_plain(void **state)
{
	const struct record plain[] = { { "plain", NAPTR, 60, "SIP+D2U _sip._udp.plain", 50, 50, 0 },
		                        { "_sip._udp.plain", SRV, 60, "u.plain", 0, 0, 5060 },
		                        { "u.plain", A, 60, "192.0.2.1", 0, 0, 0 }, { "plain", A, 60, "192.0.2.9", 0, 0, 0 } };
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	NAPTR_ZONE(r);
	assert_int_equal(ask_and_wait(r, open_query("example", SECURE), &a), 0);
	assert_int_equal(a.n, 2);
	expect_hop(&a, 0, "192.0.2.3:5061", T_TLS);
	expect_hop(&a, 1, "192.0.2.4:8443", T_WSS);
	r->zone = plain;
	r->n_zone = 4;
	assert_int_equal(ask_and_wait(r, open_query("plain", SECURE), &a), 0);
	assert_int_equal(a.n, 1);
	expect_hop(&a, 0, "192.0.2.9:5061", T_TLS);
}

static void without_naptr_the_services_there_are(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "_sip._tcp.example", SRV, 60, "t.example", 9, 0, 5070 }, { "t.example", A, 60, "192.0.2.2", 0, 0, 0 },
	     { "example", A, 60, "192.0.2.9", 0, 0, 0 }, { "_sip._udp.no", SRV, 60, ".", 0, 0, 0 }, { "no", A, 60, "192.0.2.8", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, open_query("example", ANY), &a), 0);
	assert_int_equal(a.n, 1);
	expect_hop(&a, 0, "192.0.2.2:5070", T_TCP);
	assert_int_equal(ask_and_wait(r, open_query("t.example", ANY), &a), 0); /* neither: UDP */
	expect_hop(&a, 0, "192.0.2.2:5060", T_UDP);
	assert_int_equal(ask_and_wait(r, open_query("t.example", 1u << T_TLS | 1u << T_TCP), &a), 0);
	expect_hop(&a, 0, "192.0.2.2:5060", T_TCP);
	assert_int_equal(ask_and_wait(r, open_query("no", ANY), &a), -ENOENT);
	assert_int_equal(ask_and_wait(r, open_query("example", 1u << T_WS), &a), -ENOENT); /* never by guessing */
}

/* A port or a number leaves nothing to ask NAPTR or SRV for. */
static void a_port_settles_it(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_query q = open_query("example", ANY);
	struct resolve_answer a;

	NAPTR_ZONE(r);
	q.port = 5090;
	assert_int_equal(ask_and_wait(r, q, &a), 0);
	assert_int_equal(a.n, 1);
	expect_hop(&a, 0, "192.0.2.9:5090", T_UDP);
	assert_int_equal(r->n_asked, 1);
	assert_int_equal(ask(r, open_query("192.0.2.77", SECURE), &a), 0);
	expect_hop(&a, 0, "192.0.2.77:5061", T_TLS);
	assert_int_equal(ask(r, open_query("192.0.2.77", 0), &a), -ENOENT);
	assert_int_equal(r->n_asked, 1);
}

/* A server that drops what it does not know costs one wait, not every call. */
static void a_server_deaf_to_naptr(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.example", SRV, 60, "u.example", 0, 0, 5062 }, { "u.example", A, 60, "192.0.2.1", 0, 0, 0 });
	r->deaf_to = NAPTR;
	assert_int_equal(ask(r, open_query("example", ANY), &a), -EINPROGRESS);
	for (int i = 0; i < 50; i++)
		turn(r);
	after_ms(r, RESOLVE_TIMEOUT_MS);
	assert_int_equal(r->n_done, 1);
	until(r, ask_and_wait(r, open_query("example", ANY), &a) == 0);
	expect_hop(&a, 0, "192.0.2.1:5062", T_UDP);
	after_ms(r, RESOLVER_RETRY_S * 1000);
	assert_int_equal(ask(r, open_query("example", ANY), &a), 0); /* asked again, and not waited for */
}

/* Nor does it cost the one that waits its request: what there is without NAPTR, or without SRV, is asked for in time. */
static void silence_is_done_without(void **state)
{
	struct rig *r = rig_of(state);
	static const unsigned deaf_to[] = { NAPTR, SRV };
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.naptr", SRV, 60, "u.example", 0, 0, 5062 }, { "u.example", A, 60, "192.0.2.1", 0, 0, 0 },
	     { "srv", A, 60, "192.0.2.2", 0, 0, 0 });
	for (size_t i = 0; i < 2; i++) {
		r->deaf_to = deaf_to[i];
		r->n_done = 0;
		assert_int_equal(ask(r, open_query(i ? "srv" : "naptr", ANY), &a), -EINPROGRESS);
		for (unsigned ms = 0; ms < RESOLVE_TIMEOUT_MS; ms += 100) {
			for (int k = 0; k < 20; k++)
				turn(r);
			assert_int_equal(r->n_done, 0);
			after_ms(r, 100);
		}
		assert_int_equal(r->n_done, 1);
		assert_int_equal(r->done[0].err, 0);
		expect_hop(&r->done[0].answer, 0, i ? "192.0.2.2:5060" : "192.0.2.1:5062", T_UDP);
	}
}

/* Many at once ---------------------------------------------------------------------------------------------------- */

static void equal_questions_are_asked_once(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(ask(r, query("h.example", 6000 + i, T_UDP, 4), &a), -EINPROGRESS);
	until(r, r->n_done == 10);
	assert_int_equal(r->n_asked, 1);
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(r->done[i].answer.addr[0].port, 6000 + i); /* each with its own port */
	assert_int_equal(counted(r, RESOLVER_JOINED), 9);
	assert_int_equal(counted(r, RESOLVER_WAITING), 0);
}

static void who_cancels_hears_nothing(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_query q = query("h.example", 5060, T_UDP, 4);
	struct resolve_answer a;
	uint64_t id[2];

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	for (int i = 0; i < 2; i++)
		assert_int_equal(resolve(r->resolver, &q, &a, on_done, r, &id[i]), -EINPROGRESS);
	resolve_cancel(r->resolver, id[0]);
	resolve_cancel(r->resolver, id[0]);
	resolve_cancel(r->resolver, 999);
	until(r, r->n_done == 1);
	resolve_cancel(r->resolver, id[1]); /* too late: harmless */
	for (int i = 0; i < 20; i++)
		turn(r);
	assert_int_equal(r->n_done, 1);
}

static void asking_inside_the_callback(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 }, { "i.example", A, 100, "192.0.2.8", 0, 0, 0 });
	r->again = query("i.example", 5060, T_UDP, 4);
	r->asks_again = true;
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	until(r, r->n_done == 2);
	expect_addr(&r->done[1].answer, 0, "192.0.2.8:5060");
}

static void the_waiting_are_bounded(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	char name[32];

	r->is_deaf = true;
	for (int i = 0; i < RESOLVE_PENDING_MAX; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_int_equal(ask(r, query(name, 5060, T_UDP, 4), &a), -EINPROGRESS);
	}
	assert_int_equal(ask(r, query("one.more", 5060, T_UDP, 4), &a), -ENOBUFS);
	assert_int_equal(ask(r, query("n1.example", 5060, T_UDP, 4), &a), -ENOBUFS);
	assert_int_equal(counted(r, RESOLVER_REFUSED), 2);
	assert_int_equal(counted(r, RESOLVER_WAITING), RESOLVE_PENDING_MAX);
}

static struct resolve_query foreign(const char *host)
{
	struct resolve_query q = query(host, 5060, T_UDP, 4);

	q.is_foreign = true;
	return q;
}

/* Asked for and not waited for: the question goes on. */
static int ask_only(struct rig *r, struct resolve_query q)
{
	struct resolve_answer a;
	uint64_t id;
	int err = resolve(r->resolver, &q, &a, on_done, r, &id);

	if (err == -EINPROGRESS)
		resolve_cancel(r->resolver, id);
	return err;
}

/* With the last of those who wait goes what would have told them; the next one finds the same question on its way. */
static void searches_end_with_those_who_wait(void **state)
{
	struct rig *r = rig_of(state);
	char name[32];
	size_t before;

	r->is_deaf = true;
	assert_int_equal(ask_only(r, query("h.example", 5060, T_UDP, 4)), -EINPROGRESS);
	assert_int_equal(ask_only(r, query("h.example", 5060, T_UDP, 4)), -EINPROGRESS);
	turn(r);
	assert_int_equal(counted(r, RESOLVER_JOINED), 0);
	assert_int_equal(counted(r, RESOLVER_QUERIES), 1);
	before = r->wheel.count;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_int_equal(ask_only(r, query(name, 5060, T_UDP, 4)), -EINPROGRESS);
	}
	assert_int_equal(r->wheel.count, before + 100); /* a deadline for each question, and nothing else */
}

/* Names out of messages have half of each bound; the other half stays for those of the configuration. */
static void strangers_have_half_of_the_places(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	char name[32];

	r->is_deaf = true;
	for (int i = 0; i < RESOLVE_FOREIGN_PENDING_MAX; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_int_equal(ask(r, foreign(name), &a), -EINPROGRESS);
	}
	assert_int_equal(ask(r, foreign("n1.example"), &a), -ENOBUFS);
	assert_int_equal(ask(r, foreign("one.more"), &a), -ENOBUFS);
	assert_int_equal(counted(r, RESOLVER_REFUSED_FOREIGN), 2);
	assert_int_equal(counted(r, RESOLVER_WAITING), RESOLVE_FOREIGN_PENDING_MAX);
	assert_int_equal(ask(r, query("n1.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	assert_int_equal(ask(r, query("ours.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	assert_int_equal(counted(r, RESOLVER_REFUSED), 2);
}

static void strangers_have_half_of_the_questions(void **state)
{
	struct rig *r = rig_of(state);
	char name[32];

	r->is_deaf = true;
	for (int i = 0; i < RESOLVE_FOREIGN_QUESTIONS_MAX; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_int_equal(ask_only(r, foreign(name)), -EINPROGRESS);
	}
	assert_int_equal(ask_only(r, foreign("one.more")), -ENOBUFS);
	assert_int_equal(ask_only(r, query("ours.example", 5060, T_UDP, 4)), -EINPROGRESS);
	assert_int_equal(counted(r, RESOLVER_REFUSED_FOREIGN), 1);
	r->is_deaf = false;
	after_ms(r, 1000); /* asked again */
	until(r, ask_only(r, foreign("one.more")) == -EINPROGRESS);
}

/* Any number of them drives out no answer of ours, also one that they asked for first. */
static void strangers_drive_out_strangers(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	char name[32];

	ZONE(r, { "ours.example", A, 3000, "192.0.2.7", 0, 0, 0 }, { "both.example", A, 3000, "192.0.2.8", 0, 0, 0 },
	     { "theirs.example", A, 3000, "192.0.2.9", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("ours.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask_and_wait(r, foreign("both.example"), &a), 0);
	assert_int_equal(ask(r, query("both.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask_and_wait(r, foreign("theirs.example"), &a), 0);
	for (int i = 0; i < RESOLVE_CACHE_MAX + 5; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		r->n_asked = 0;
		r->n_done = 0;
		assert_int_equal(ask_and_wait(r, foreign(name), &a), -ENOENT);
	}
	assert_int_equal(counted(r, RESOLVER_CACHED), RESOLVE_FOREIGN_CACHE_MAX + 2);
	assert_int_equal(ask(r, query("ours.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask(r, query("both.example", 5060, T_UDP, 4), &a), 0);
	assert_int_equal(ask_only(r, foreign("theirs.example")), -EINPROGRESS);
	for (int i = 0; i < RESOLVE_CACHE_MAX + 5; i++) { /* nor do ours drive out theirs */
		snprintf(name, sizeof name, "m%d.example", i);
		r->n_asked = 0;
		r->n_done = 0;
		assert_int_equal(ask_and_wait(r, query(name, 5060, T_UDP, 4), &a), -ENOENT);
	}
	assert_int_equal(counted(r, RESOLVER_CACHED), RESOLVE_CACHE_MAX + RESOLVE_FOREIGN_CACHE_MAX);
}

/* All that leads to a stranger's name stays while it is followed, however full we are of names of our own. */
static void a_strangers_name_has_its_own_room(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_query q = open_query("theirs", 1u << T_UDP);
	struct resolve_answer a;
	char name[32];

	ZONE(r, { "theirs", NAPTR, 60, "SIP+D2U _sip._udp.theirs", 50, 50, 0 }, { "_sip._udp.theirs", SRV, 60, "a.theirs", 1, 0, 5062 },
	     { "_sip._udp.theirs", SRV, 60, "b.theirs", 2, 0, 5063 }, { "a.theirs", A, 60, "192.0.2.1", 0, 0, 0 },
	     { "b.theirs", A, 60, "192.0.2.2", 0, 0, 0 });
	for (int i = 0; i < RESOLVE_CACHE_MAX; i++) {
		snprintf(name, sizeof name, "m%d.example", i);
		r->n_asked = 0;
		r->n_done = 0;
		assert_int_equal(ask_and_wait(r, query(name, 5060, T_UDP, 4), &a), -ENOENT);
	}
	q.is_foreign = true;
	assert_int_equal(ask_and_wait(r, q, &a), 0);
	assert_int_equal(a.n, 2);
	expect_hop(&a, 1, "192.0.2.2:5063", T_UDP);
}

/* What could not be asked for is not taken for absent: SRV records may say quite another place than the name's address. */
static void what_cannot_be_asked_for_is_not_absent(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	char name[32];

	ZONE(r, { "example", A, 3000, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("example", 5060, T_UDP, 4), &a), 0);
	r->is_deaf = true;
	for (int i = 0; i < RESOLVE_QUESTIONS_MAX; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_int_equal(ask_only(r, query(name, 5060, T_UDP, 4)), -EINPROGRESS);
	}
	assert_int_equal(ask(r, query("example", 0, T_UDP, 4), &a), -ENOBUFS);
	assert_int_equal(ask(r, (struct resolve_query){ .host = SV("example"), .family = 4, .transports = 1u << T_UDP }, &a), -ENOBUFS);
	assert_int_equal(ask(r, query("example", 5060, T_UDP, 4), &a), 0);
}

/* Servers that do not behave -------------------------------------------------------------------------------------- */

static void a_dead_server_costs_a_deadline(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	r->is_deaf = true;
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	after_ms(r, RESOLVE_TIMEOUT_MS - 1);
	assert_int_equal(r->n_done, 0);
	after_ms(r, 1);
	assert_int_equal(r->n_done, 1);
	assert_int_equal(r->done[0].err, -ETIMEDOUT);
	/* The next ones do not pay it again at once ... */
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), -ETIMEDOUT);
	/* ... and the server is given another chance. */
	after_ms(r, RESOLVER_RETRY_S * 1000);
	r->is_deaf = false;
	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
}

/* RFC 8767: what was right an hour ago is better than no call at all. */
static void an_old_answer_bridges_a_dead_server(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	uint64_t asked;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	r->is_deaf = true;
	after_ms(r, 100001);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	after_ms(r, RESOLVER_STALE_WAIT_MS - 1);
	assert_int_equal(r->n_done, 1);
	after_ms(r, 1);
	assert_int_equal(r->n_done, 2);
	assert_int_equal(r->done[1].err, 0);
	expect_addr(&r->done[1].answer, 0, "192.0.2.7:5060");
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0); /* from now on at once */
	assert_int_equal(counted(r, RESOLVER_STALE), 2);
	after_ms(r, RESOLVE_TIMEOUT_MS - RESOLVER_STALE_WAIT_MS);
	after_ms(r, RESOLVER_RETRY_S * 1000);
	asked = counted(r, RESOLVER_QUERIES);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), 0); /* while the server is given another chance */
	assert_int_equal(counted(r, RESOLVER_QUERIES), asked + 1);
	after_ms(r, RESOLVER_STALE_MAX_S * 1000ull);
	after_ms(r, RESOLVER_RETRY_S * 1000);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	after_ms(r, RESOLVE_TIMEOUT_MS);
	assert_int_equal(r->done[r->n_done - 1].err, -ETIMEDOUT);
}

/* The same for every step of the way there: one wait in all, not one for each of NAPTR, SRV and address. */
static void old_answers_bridge_the_whole_way(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_query q = { .host = SV("example"), .family = 4, .transports = 1u << T_UDP | 1u << T_TCP };
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.example", SRV, 20, "h.example", 10, 0, 5062 }, { "h.example", A, 20, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, q, &a), 0);
	r->is_deaf = true;
	after_ms(r, 20001);
	assert_int_equal(ask(r, q, &a), -EINPROGRESS);
	after_ms(r, RESOLVER_STALE_WAIT_MS);
	assert_int_equal(r->n_done, 2);
	assert_int_equal(r->done[1].err, 0);
	expect_addr(&r->done[1].answer, 0, "192.0.2.7:5062");
}

/* "Does not exist" is an answer: the old one is not used on. */
static void a_name_that_went_away_is_gone(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), 0);
	r->n_zone = 0;
	after_ms(r, 100001);
	assert_int_equal(ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a), -ENOENT);
	r->is_deaf = true;
	after_ms(r, RESOLVE_NEGATIVE_S * 1000);
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 4), &a), -EINPROGRESS);
	after_ms(r, RESOLVE_TIMEOUT_MS);
	assert_int_equal(r->done[r->n_done - 1].err, -ETIMEDOUT);
}

static void a_failing_server_is_not_a_missing_name(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;
	int err;

	r->n_zone = 0;
	r->rcode = 2; /* SERVFAIL */
	err = ask_and_wait(r, query("h.example", 5060, T_UDP, 4), &a);
	assert_true(err < 0 && err != -ENOENT);
	assert_int_equal(counted(r, RESOLVER_FAILED), 1);
}

static void nonsense_costs_no_more_than_silence(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	ZONE(r, { "_sip._udp.h.example", SRV, 60, "a.example", 1, 1, 5060 },
	     { "h.example", A, 100, "192.0.2.7", 0, 0, 0 });
	r->is_mad = true;
	assert_int_equal(ask(r, query("h.example", 0, T_UDP, 4), &a), -EINPROGRESS);
	for (int i = 0; i < 50; i++)
		turn(r);
	after_ms(r, RESOLVE_TIMEOUT_MS);
	assert_int_equal(r->n_done, 1);
	assert_true(r->done[0].err < 0);
}

static void freeing_while_questions_are_open(void **state)
{
	struct rig *r = rig_of(state);
	struct resolve_answer a;

	r->is_deaf = true;
	assert_int_equal(ask(r, query("h.example", 5060, T_UDP, 0), &a), -EINPROGRESS);
	assert_int_equal(ask(r, query("i.example", 0, T_UDP, 0), &a), -EINPROGRESS);
	turn(r);
	after_ms(r, RESOLVE_TIMEOUT_MS); /* one generation without waiters, one with */
	assert_int_equal(ask(r, query("j.example", 0, T_UDP, 0), &a), -EINPROGRESS);
	turn(r);
}

static void a_server_has_to_be_an_address(void **state)
{
	struct rig *r = rig_of(state);
	struct sv bad = SV("dns.example"), good[2] = { SV("192.0.2.53"), SV("[2001:db8::53]:5353") };
	struct resolver *other;

	assert_int_equal(resolver_new(&other, r->poller, &r->wheel, &bad, 1, NULL), -EBADMSG);
	assert_int_equal(resolver_new(&other, r->poller, &r->wheel, good, 2, NULL), 0);
	resolver_free(other);
	assert_int_equal(resolver_new(&other, r->poller, &r->wheel, NULL, 0, NULL), 0);
	resolver_free(other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_answered_at_once),
		TEST(what_is_no_name_is_refused),
		TEST(the_hosts_file_is_honoured),
		TEST(a_name_with_a_port_needs_no_srv),
		TEST(srv_first_then_the_name_itself),
		TEST(a_service_that_is_decidedly_not_there),
		TEST(a_dead_target_does_not_hide_the_live_one),
		TEST(targets_share_the_places),
		TEST(the_live_target_has_the_places),
		TEST(weights_share_the_load),
		TEST(more_records_than_fit),
		TEST(aliases_are_followed),
		TEST(an_answer_lives_as_long_as_it_says),
		TEST(it_lives_from_the_time_it_came),
		TEST(that_it_does_not_exist_is_remembered),
		TEST(the_cache_is_bounded),
		TEST(absence_is_of_one_name_and_type),
		TEST(names_in_use_are_refreshed),
		TEST(what_is_known_can_be_seen_and_forgotten),
		TEST(naptr_chooses_the_transport),
		TEST(sips_discards_what_is_plain),
		TEST(without_naptr_the_services_there_are),
		TEST(a_port_settles_it),
		TEST(a_server_deaf_to_naptr),
		TEST(silence_is_done_without),
		TEST(equal_questions_are_asked_once),
		TEST(who_cancels_hears_nothing),
		TEST(asking_inside_the_callback),
		TEST(the_waiting_are_bounded),
		TEST(searches_end_with_those_who_wait),
		TEST(strangers_have_half_of_the_places),
		TEST(strangers_have_half_of_the_questions),
		TEST(strangers_drive_out_strangers),
		TEST(a_strangers_name_has_its_own_room),
		TEST(what_cannot_be_asked_for_is_not_absent),
		TEST(a_dead_server_costs_a_deadline),
		TEST(an_old_answer_bridges_a_dead_server),
		TEST(old_answers_bridge_the_whole_way),
		TEST(a_name_that_went_away_is_gone),
		TEST(a_failing_server_is_not_a_missing_name),
		TEST(nonsense_costs_no_more_than_silence),
		TEST(freeing_while_questions_are_open),
		TEST(a_server_has_to_be_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
