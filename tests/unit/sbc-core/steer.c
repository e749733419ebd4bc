/* Unit tests of sbc/steer.h on the kernel itself: UDP sockets that share an address as the workers' do, with our program at them, get
 * messages from many sources, spelled in every way that matters. The kernel's own choice follows the source; ours does not. */
#include "sbc/steer.h"
#include "topohide/token.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { SOURCES = 32, SOCKETS_MAX = 8, TOKENS = 200 };

struct group {
	unsigned workers;
	struct sockaddr_in at;
	int socket[SOCKETS_MAX], source[SOURCES];
	unsigned by_hash[SOURCES];      /* which socket gets what is left to the kernel */
	struct token_codec *tokens;
};

static int bound(bool is_shared, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = is_shared;
	socklen_t len = sizeof(*at);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/* Which socket gets it. Loopback: mostly it is there when sendto returns, and on a busy machine a little later. */
static unsigned arrives(struct group *g, unsigned source, struct sv text)
{
	struct pollfd waits[SOCKETS_MAX];
	unsigned at = SOCKETS_MAX;
	char byte;

	for (unsigned i = 0; i < g->workers; i++)
		waits[i] = (struct pollfd){ .fd = g->socket[i], .events = POLLIN };
	assert_int_equal(sendto(g->source[source], text.p, text.len, 0, (struct sockaddr *)&g->at, sizeof(g->at)), text.len);
	assert_int_equal(poll(waits, g->workers, 5000), 1);
	for (unsigned i = 0; i < g->workers; i++)
		if (recv(g->socket[i], &byte, 1, MSG_DONTWAIT) >= 0) {
			assert_int_equal(at, SOCKETS_MAX);
			at = i;
		}
	assert_int_not_equal(at, SOCKETS_MAX);
	return at;
}

static void group_open(struct group *g, unsigned workers, const char *sent_by)
{
	const uint8_t secret[1][TOKEN_SECRET_LEN] = { { 7 } };
	struct steer *steer = malloc(sizeof(*steer));
	struct sock_fprog program;
	unsigned different = 0;

	*g = (struct group){ .workers = workers, .at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } } };
	assert_non_null(steer);
	assert_int_equal(token_codec_new(&g->tokens, secret, 1), 0);
	for (unsigned i = 0; i < workers; i++)
		g->socket[i] = bound(true, &g->at);
	for (unsigned i = 0; i < SOURCES; i++) {
		struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };

		g->source[i] = bound(false, &any);
		g->by_hash[i] = arrives(g, i, SV("hash"));
		different += g->by_hash[i] != g->by_hash[0];
	}
	assert_true(different > 0);
	assert_int_equal(steer_make(steer, sv_from(sent_by), workers), 0);
	program = (struct sock_fprog){ .len = steer->n, .filter = steer->code };
	assert_int_equal(setsockopt(g->socket[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)), 0);
	free(steer);
}

static void group_close(struct group *g)
{
	for (unsigned i = 0; i < g->workers; i++)
		close(g->socket[i]);
	for (unsigned i = 0; i < SOURCES; i++)
		close(g->source[i]);
	token_codec_free(g->tokens);
}

#define SENT_BY "203.0.113.10:5060"
#define REST                                                                                                                          \
	"\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"                \
	"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

/* `%.27s` is the token. */
static const char *const steered[] = {
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s" REST,
	"SIP/2.0 100 \r\nVia: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s;received=203.0.113.10" REST,
	"SIP/2.0 180 Ringing\nVia: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s" REST,
	"SIP/2.0 481 Dialog/Transaction Does Not Exist, says a server with much to say and more\r\nVia: SIP/2.0/UDP " SENT_BY
	";branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " SENT_BY ";rport=5060;received=203.0.113.10;branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " SENT_BY " ; branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"ACK sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"BYE sip:%.27s@" SENT_BY ";ob SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"INFO sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"UPDATE sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"SUBSCRIBE sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"TWELVELETTER sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
};

static const char *const left_alone[] = {
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.10:506;branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.11:5060;branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP " SENT_BY ";branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nTo: <sip:bob@example.com>\r\nVia: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s" REST,
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " SENT_BY
	";more-parameters-than-anybody-would-write-before-the-branch=and-then-some-of-their-words;branch=z9hG4bK%.27s" REST,
	"SIP/2.0 481 Dialog/Transaction Does Not Exist, says a server with so much to say that it will never end, for a start\r\n"
	"Via: SIP/2.0/UDP " SENT_BY ";branch=z9hG4bK%.27s" REST,
	"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nSubject: %.27s" REST,
	"INVITE sip:x%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"INVITE sip:%.26s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"INVITE tel:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"THIRTEENLETTE sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa" REST,
	"BYE sip:%.27s@" SENT_BY " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1", /* too short for SIP */
};

static struct sv spelled(char area[1024], const char *format, const char token[TOKEN_LEN])
{
	int n;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = snprintf(area, 1024, format, token);
#pragma GCC diagnostic pop
	assert_in_range(n, 1, 1023);
	return (struct sv){ area, (size_t)n };
}

static void with(unsigned workers)
{
	char token[TOKEN_LEN], area[1024];
	uint64_t id = workers;
	struct group g;

	group_open(&g, workers, SENT_BY);
	for (unsigned i = 0; i < TOKENS; i++) {
		unsigned source = i % SOURCES;
		uint16_t shard = (uint16_t)(i * 37 % TOKEN_SHARDS);

		token_write(g.tokens, i % TOKEN_KINDS, (struct token){ .id = id *= 0x9e3779b97f4a7c15ULL, .shard = shard }, token);
		for (unsigned k = 0; k < sizeof(steered) / sizeof(*steered); k++)
			if (arrives(&g, source, spelled(area, steered[k], token)) != shard % workers)
				fail_msg("%u workers, shard %u: not steered: %s", workers, shard, area);
		for (unsigned k = 0; k < sizeof(left_alone) / sizeof(*left_alone); k++)
			if (arrives(&g, source, spelled(area, left_alone[k], token)) != g.by_hash[source])
				fail_msg("%u workers, shard %u: steered: %s", workers, shard, area);
	}
	group_close(&g);
}

static void a_message_comes_to_the_worker_that_its_token_names(void **state)
{
	(void)state;
	with(2);
	with(4);
	with(8);
}

/* Whoever ignores case writes the token in capitals. */
static void capitals_mean_the_same(void **state)
{
	char token[TOKEN_LEN], area[1024];
	struct group g;

	(void)state;
	group_open(&g, 8, SENT_BY);
	for (unsigned i = 0; i < TOKENS; i++) {
		token_write(g.tokens, TOKEN_LEG, (struct token){ .id = 1000003 * i, .shard = (uint16_t)i }, token);
		for (unsigned k = 0; k < TOKEN_LEN; k++)
			token[k] = (char)(token[k] >= 'a' ? token[k] - 'a' + 'A' : token[k]);
		assert_int_equal(arrives(&g, 0, spelled(area, steered[7], token)), i % 8);
	}
	group_close(&g);
}

/* A program that looks behind the end of a datagram has chosen the first worker: this one's messages are never for that one, and it
 * may not get any, wherever they are cut off. */
static void nothing_is_read_behind_the_end(void **state)
{
	char token[TOKEN_LEN], area[1024];
	unsigned source = 0;
	struct group g;

	(void)state;
	group_open(&g, 2, SENT_BY);
	while (g.by_hash[source] == 0)
		source++;
	token_write(g.tokens, TOKEN_LEG, (struct token){ .id = 99, .shard = 1 }, token);
	for (unsigned k = 0; k < sizeof(steered) / sizeof(*steered); k++) {
		struct sv whole = spelled(area, steered[k], token);

		for (; whole.len > 0; whole.len--)
			if (arrives(&g, source, whole) == 0)
				fail_msg("%zu bytes of message %u", whole.len, k);
	}
	group_close(&g);
}

static void as_long_a_name_as_may_be(void **state)
{
	char name[STEER_SENT_BY_MAX + 2], format[1024], area[1024], token[TOKEN_LEN];
	struct steer *steer = malloc(sizeof(*steer));
	struct group g;

	(void)state;
	assert_non_null(steer);
	memset(name, 'n', sizeof(name));
	assert_int_equal(steer_make(steer, (struct sv){ name, STEER_SENT_BY_MAX + 1 }, 2), -E2BIG);
	assert_int_equal(steer_make(steer, (struct sv){ name, STEER_SENT_BY_MAX }, 3), -ENOTSUP);
	assert_int_equal(steer_make(steer, (struct sv){ name, STEER_SENT_BY_MAX }, 1), -ENOTSUP);
	assert_int_equal(steer_make(steer, (struct sv){ name, STEER_SENT_BY_MAX }, 16), -ENOTSUP);
	name[STEER_SENT_BY_MAX] = '\0';
	group_open(&g, 4, name);
	snprintf(format, sizeof(format), "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%%.27s%s", name, REST);
	for (unsigned i = 0; i < 8; i++) {
		token_write(g.tokens, TOKEN_BRANCH, (struct token){ .id = 99 + i, .shard = (uint16_t)i }, token);
		assert_int_equal(arrives(&g, 1, spelled(area, format, token)), i % 4);
	}
	group_close(&g);
	free(steer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_comes_to_the_worker_that_its_token_names),
		cmocka_unit_test(capitals_mean_the_same),
		cmocka_unit_test(nothing_is_read_behind_the_end),
		cmocka_unit_test(as_long_a_name_as_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
