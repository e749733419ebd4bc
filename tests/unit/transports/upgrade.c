/* RFC 6455 §4 and RFC 7118 §4: the request that makes a WebSocket of a connection, its answer, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/upgrade.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* RFC 6455 §1.3 has the key and what is answered. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define LINE "GET /sip HTTP/1.1\r\n"
#define HOST "Host: sip.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEYS "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
#define SIP "Sec-WebSocket-Protocol: sip\r\n"
#define END "\r\n"

static const struct sv home[] = { { "https://phone.example.com", 25 }, { "https://*.example.net", 21 } };
static const struct upgrade_rules rules = { .path = { "/sip", 4 }, .origins = home, .n_origins = 2 };

/* Reads `text` in pieces of `size` bytes. Returns what is answered, 0 for nothing yet; *left: bytes behind the head. */
static unsigned read_in(const char *text, size_t len, size_t size, char key[UPGRADE_KEY_LEN + 1], size_t *left)
{
	struct stream_budget budget = { .max = 1 << 20 };
	struct upgrade u = { 0 };
	unsigned status = 0;

	for (size_t at = 0; at < len && !status; at += size) {
		size_t n = len - at < size ? len - at : size;
		char *copy = malloc(n); /* of exactly its size */
		struct stream_message in = { copy, n };
		struct upgrade_head head;
		struct sv k;
		enum upgrade_got got;

		memcpy(copy, text + at, n);
		got = upgrade_next(&u, &budget, &in, &head);
		assert_int_not_equal(got, UPGRADE_FULL);
		if (got == UPGRADE_READ) {
			status = upgrade_judge(&rules, &head, &k);
			if (status == 101)
				snprintf(key, UPGRADE_KEY_LEN + 1, "%.*s", SV_ARG(k));
			*left = in.len;
		} else {
			assert_int_equal(in.len, 0);
			assert_non_null(u.held);
		}
		free(copy);
	}
	upgrade_fini(&u, &budget);
	assert_int_equal(budget.bytes, 0);
	return status;
}

static unsigned judged(const char *text, size_t len)
{
	static const size_t sizes[] = { 1 << 20, 1, 2, 7, 100, 1000 };
	char key[UPGRADE_KEY_LEN + 1];
	unsigned status = 0;
	size_t left;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned s = read_in(text, len, sizes[i], key, &left);

		if (i)
			assert_int_equal(s, status);
		status = s;
		if (s == 101)
			assert_string_equal(key, KEY);
	}
	return status;
}

static void expect_text(const char *text, unsigned status)
{
	unsigned got = judged(text, strlen(text));

	if (got != status)
		fail_msg("%u instead of %u for:\n%s", got, status, text);
}

static void a_request_is_taken(void **state)
{
	(void)state;
	expect_text(LINE HOST UPGRADE KEYS SIP END, 101);
	/* as a browser writes it */
	expect_text(LINE HOST "Connection: keep-alive, Upgrade\r\nPragma: no-cache\r\nUpgrade: WebSocket\r\n"
	            "Origin: https://phone.example.com\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\n"
	            "sec-websocket-key:" KEY "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	            "Sec-WebSocket-Protocol: xmpp ,sip\t, mqtt\r\n\r\n", 101);
	expect_text(LINE HOST "Upgrade: h2c, websocket\r\nConnection: close\r\nConnection: upgrade\r\n" KEYS
	            "Sec-WebSocket-Protocol: x\r\n" SIP "Sec-WebSocket-Protocol: y\r\n" END, 101);
	expect_text("GET https://sip.example.com/sip HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 101);
	expect_text("GET /sip?token=1 HTTP/1.2\r\n" HOST UPGRADE KEYS SIP "Content-Length: 0\r\n" END, 101);
	expect_text(LINE HOST UPGRADE KEYS SIP "Origin: https://a.example.net\r\n" END, 101);
	expect_text("", 0);
	expect_text(LINE HOST UPGRADE KEYS SIP, 0);
}

static void what_follows_stays(void **state)
{
	static const char text[] = LINE HOST UPGRADE KEYS SIP END "frames";
	char key[UPGRADE_KEY_LEN + 1];
	size_t left = 0;

	(void)state;
	for (size_t size = sizeof text - 1; size > sizeof text - 1 - 6; size--) {
		assert_int_equal(read_in(text, sizeof text - 1, size, key, &left), 101);
		assert_int_equal(left, size - (sizeof text - 1 - 6));
	}
}

static void start_lines(void **state)
{
	(void)state;
	expect_text("POST /sip HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 405);
	expect_text("get /sip HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 405);
	expect_text("GET / HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 404);
	expect_text("GET /sip/ HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 404);
	expect_text("GET /si HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 404);
	expect_text("GET /sip HTTP/1.0\r\n" HOST UPGRADE KEYS SIP END, 400);
	expect_text("GET /sip HTTP/2.0\r\n" HOST UPGRADE KEYS SIP END, 400);
	expect_text("GET /sip\r\n" HOST UPGRADE KEYS SIP END, 400);
	expect_text("GET  /sip HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 400);
	expect_text("G@T /sip HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END, 400);
	expect_text("GET /sip HTTP/1.1 \r\n" HOST UPGRADE KEYS SIP END, 400);
	expect_text("\r\n", 400);
	expect_text("\n", 400);
	expect_text("REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/WS x.invalid\r\n\r\n", 400);
}

static void headers(void **state)
{
	static const char with_nul[] = LINE HOST UPGRADE KEYS SIP "A: \0\r\n" END;

	(void)state;
	expect_text(LINE UPGRADE KEYS SIP END, 400);
	expect_text(LINE HOST HOST UPGRADE KEYS SIP END, 400);
	expect_text(LINE HOST "Connection: Upgrade\r\n" KEYS SIP END, 426);
	expect_text(LINE HOST "Upgrade: websockets\r\nConnection: Upgrade\r\n" KEYS SIP END, 426);
	expect_text(LINE HOST "Upgrade: websocket\r\n" KEYS SIP END, 400);
	expect_text(LINE HOST "Upgrade: websocket\r\nConnection: keep-alive\r\n" KEYS SIP END, 400);
	expect_text(LINE HOST UPGRADE "Sec-WebSocket-Key: " KEY "\r\n" SIP END, 426);
	expect_text(LINE HOST UPGRADE "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 8\r\n" SIP END, 426);
	expect_text(LINE HOST UPGRADE KEYS SIP "Folded: a\r\n b\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "No colon\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "Bad name : x\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "Bare: line feed\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "Bare: return\rX: y\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "Bare: return\r\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "Content-Length: 5\r\n" END "hello", 400);
	expect_text(LINE HOST UPGRADE KEYS SIP "Transfer-Encoding: chunked\r\n" END, 400);
	assert_int_equal(judged(with_nul, sizeof with_nul - 1), 400);
}

static void keys(void **state)
{
	static const char *const bad[] = { "", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQ=a",
	                                   "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBs-SBub25jZQ==" };
	char text[512];

	(void)state;
	expect_text(LINE HOST UPGRADE "Sec-WebSocket-Version: 13\r\n" SIP END, 400);
	expect_text(LINE HOST UPGRADE KEYS "Sec-WebSocket-Key: " KEY "\r\n" SIP END, 400);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, LINE HOST UPGRADE "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n" SIP END, bad[i]);
		expect_text(text, 400);
	}
}

/* RFC 6455 §10.2. Who sends none is no browser. */
static void origins(void **state)
{
	static const char *const bad[] = { "https://phone.example.com.evil", "http://phone.example.com", "null", "", "https://example.net" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, LINE HOST UPGRADE KEYS SIP "Origin: %s\r\n" END, bad[i]);
		expect_text(text, 403);
	}
	expect_text(LINE HOST UPGRADE KEYS SIP "Origin: https://phone.example.com\r\nOrigin: https://phone.example.com\r\n" END, 400);
}

static void without_origins_any_will_do(void **state)
{
	static const struct upgrade_rules open = { 0 };
	static const char text[] = "GET / HTTP/1.1\r\n" HOST UPGRADE KEYS SIP "Origin: http://anywhere\r\n" END;
	struct upgrade_head head = { .text = { text, sizeof text - 1 } };
	struct sv key;

	(void)state;
	assert_int_equal(upgrade_judge(&open, &head, &key), 101);
}

/* RFC 7118 §4: without the subprotocol it is not for us. */
static void subprotocols(void **state)
{
	(void)state;
	expect_text(LINE HOST UPGRADE KEYS END, 400);
	expect_text(LINE HOST UPGRADE KEYS "Sec-WebSocket-Protocol: xmpp\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS "Sec-WebSocket-Protocol: SIP\r\n" END, 400);
	expect_text(LINE HOST UPGRADE KEYS "Sec-WebSocket-Protocol: sips\r\n" END, 400);
}

/* Limits ---------------------------------------------------------------------------------------------------------- */

static unsigned judged_long(const char *before, size_t n, const char *after)
{
	char *text = malloc(strlen(before) + n + strlen(after) + 1);
	unsigned status;

	memcpy(text, before, strlen(before));
	memset(text + strlen(before), 'a', n);
	strcpy(text + strlen(before) + n, after);
	status = judged(text, strlen(text));
	free(text);
	return status;
}

static void lines_have_a_bound(void **state)
{
	(void)state;
	assert_int_equal(judged_long("GET /", UPGRADE_LINE_MAX - 14, " HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END), 404);
	assert_int_equal(judged_long("GET /", UPGRADE_LINE_MAX - 13, " HTTP/1.1\r\n" HOST UPGRADE KEYS SIP END), 414);
	assert_int_equal(judged_long("GET /", UPGRADE_LINE_MAX - 12, " HTTP/1.1\n"), 414);
	assert_int_equal(judged_long("GET /", UPGRADE_LINE_MAX, ""), 414);
	assert_int_equal(judged_long(LINE "Cookie: ", UPGRADE_LINE_MAX - 8, "\r\n" HOST UPGRADE KEYS SIP END), 101);
	assert_int_equal(judged_long(LINE "Cookie: ", UPGRADE_LINE_MAX - 7, "\r\n" HOST UPGRADE KEYS SIP END), 431);
	assert_int_equal(judged_long(LINE "Cookie: ", UPGRADE_LINE_MAX, ""), 431);
}

static void heads_have_a_bound(void **state)
{
	char *text = malloc(3 * UPGRADE_HEAD_MAX);
	size_t len;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		strcpy(text, LINE HOST UPGRADE KEYS SIP);
		while (strlen(text) < UPGRADE_HEAD_MAX - 300)
			strcat(text, "Cookie: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
		strcat(text, "X: ");
		for (len = strlen(text); len < UPGRADE_HEAD_MAX - 4 + more; len++)
			text[len] = 'b';
		strcpy(text + len, "\r\n\r\n");
		assert_int_equal(strlen(text), UPGRADE_HEAD_MAX + more);
		assert_int_equal(judged(text, strlen(text)), more ? 431 : 101);
	}
	free(text);
}

static void headers_have_a_bound(void **state)
{
	char text[4096];

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		strcpy(text, LINE HOST UPGRADE KEYS SIP);
		for (unsigned i = 6; i < UPGRADE_HEADERS_MAX + more; i++)
			strcat(text, "X: y\r\n");
		strcat(text, END);
		expect_text(text, more ? 431 : 101);
	}
}

static void the_budget_is_kept(void **state)
{
	struct stream_budget budget = { .max = 1500 };
	struct upgrade u = { 0 };
	struct upgrade_head head;
	char bytes[1100];

	(void)state;
	memset(bytes, 'a', sizeof bytes);
	for (unsigned i = 0; i < 2; i++) {
		struct stream_message in = { bytes, 1000 };

		assert_int_equal(upgrade_next(&u, &budget, &in, &head), i ? UPGRADE_FULL : UPGRADE_MORE);
		assert_true(budget.bytes <= budget.max);
	}
	assert_int_equal(budget.bytes, 0);
	assert_null(u.held);
}

/* Answers --------------------------------------------------------------------------------------------------------- */

static void expect_answer(unsigned status, const char *line, const char *header)
{
	char text[UPGRADE_ANSWER_MAX + 1];
	size_t len = upgrade_answer(status, SV(KEY), text);
	/* A browser shows it to who came to accept our certificate. */
	const char *body = status == 426 ? "This is a WebSocket for SIP, without a page: a phone in this browser can use it.\n" : "";
	char length[64];

	assert_true(len > 0 && len < UPGRADE_ANSWER_MAX);
	text[len] = '\0';
	assert_memory_equal(text, line, strlen(line));
	assert_non_null(strstr(text, header));
	if (status == 101) {
		assert_string_equal(text + len - 4, "\r\n\r\n");
		return;
	}
	assert_non_null(strstr(text, "\r\nConnection: close"));
	snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n\r\n", strlen(body));
	assert_non_null(strstr(text, length));
	assert_string_equal(strstr(text, "\r\n\r\n") + 4, body);
}

static void answers(void **state)
{
	char text[UPGRADE_ANSWER_MAX];

	(void)state;
	expect_answer(101, "HTTP/1.1 101 Switching Protocols\r\n", "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n");
	expect_answer(101, "HTTP/1.1 101 Switching Protocols\r\n", "\r\nSec-WebSocket-Protocol: sip\r\n");
	expect_answer(400, "HTTP/1.1 400 Bad Request\r\n", "\r\nContent-Length: 0\r\n");
	expect_answer(403, "HTTP/1.1 403 Forbidden\r\n", "");
	expect_answer(404, "HTTP/1.1 404 Not Found\r\n", "");
	expect_answer(405, "HTTP/1.1 405 Method Not Allowed\r\n", "\r\nAllow: GET\r\n");
	expect_answer(414, "HTTP/1.1 414 URI Too Long\r\n", "");
	expect_answer(426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nSec-WebSocket-Version: 13\r\n");
	expect_answer(431, "HTTP/1.1 431 Request Header Fields Too Large\r\n", "");
	expect_answer(503, "HTTP/1.1 503 Service Unavailable\r\n", "\r\nRetry-After: ");
	assert_true(upgrade_answer(426, SV(""), text) > 0); /* needs no key */
}

/* The client's side ----------------------------------------------------------------------------------------------- */

static void our_request_is_one_that_we_take(void **state)
{
	char one[UPGRADE_KEY_LEN + 1] = "", two[UPGRADE_KEY_LEN] = "";
	char seen[UPGRADE_KEY_LEN + 1], answer[UPGRADE_ANSWER_MAX];
	struct upgrade_head head = { 0 };
	struct buf *b, *root;
	size_t left;

	(void)state;
	assert_int_equal(upgrade_key(one), 0);
	assert_int_equal(upgrade_key(two), 0);
	assert_memory_not_equal(one, two, UPGRADE_KEY_LEN);
	b = upgrade_request(SV("sip.example.com:8088"), SV("/sip"), (struct sv){ one, UPGRADE_KEY_LEN });
	assert_int_equal(read_in(b->data, b->len, 1000, seen, &left), 101);
	assert_string_equal(seen, one);
	head.text = (struct sv){ answer, upgrade_answer(101, (struct sv){ seen, UPGRADE_KEY_LEN }, answer) };
	assert_int_equal(upgrade_check(&head, (struct sv){ one, UPGRADE_KEY_LEN }), 0);
	assert_int_equal(upgrade_check(&head, (struct sv){ two, UPGRADE_KEY_LEN }), -EPROTO);
	root = upgrade_request(SV("[2001:db8::1]"), SV(""), (struct sv){ one, UPGRADE_KEY_LEN });
	assert_memory_equal(root->data, "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n", 37);
	buf_put(root);
	buf_put(b);
}

#define ANSWER "HTTP/1.1 101 Switching\r\n"
#define ACCEPTED "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static int check(const char *text)
{
	struct upgrade_head head = { .text = sv_from(text) };

	return upgrade_check(&head, SV(KEY));
}

/* RFC 6455 §4.1, at the end; RFC 7118 §4.1. */
static void answers_that_will_not_do(void **state)
{
	struct upgrade_head cut = { .text = SV("HTTP"), .status = 414 };

	(void)state;
	assert_int_equal(check(ANSWER UPGRADE ACCEPTED SIP END), 0);
	assert_int_equal(check("HTTP/1.1 200 OK\r\n" UPGRADE ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check("HTTP/1.1 1011 OK\r\n" UPGRADE ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check("HTTP/1.0 101 Switching\r\n" UPGRADE ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check("HTTP\r\n" UPGRADE ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check(ANSWER "Connection: Upgrade\r\n" ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check(ANSWER "Upgrade: websocket\r\n" ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE SIP END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE ACCEPTED ACCEPTED SIP END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE "Sec-WebSocket-Accept: x" ACCEPT "\r\n" SIP END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE ACCEPTED END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE ACCEPTED "Sec-WebSocket-Protocol: xmpp\r\n" END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE ACCEPTED SIP "Sec-WebSocket-Extensions: permessage-deflate\r\n" END), -EPROTO);
	assert_int_equal(check(ANSWER UPGRADE ACCEPTED SIP "no header\r\n" END), -EPROTO);
	assert_int_equal(upgrade_check(&cut, SV(KEY)), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken),
		cmocka_unit_test(what_follows_stays),
		cmocka_unit_test(start_lines),
		cmocka_unit_test(headers),
		cmocka_unit_test(keys),
		cmocka_unit_test(origins),
		cmocka_unit_test(without_origins_any_will_do),
		cmocka_unit_test(subprotocols),
		cmocka_unit_test(lines_have_a_bound),
		cmocka_unit_test(heads_have_a_bound),
		cmocka_unit_test(headers_have_a_bound),
		cmocka_unit_test(the_budget_is_kept),
		cmocka_unit_test(answers),
		cmocka_unit_test(our_request_is_one_that_we_take),
		cmocka_unit_test(answers_that_will_not_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
