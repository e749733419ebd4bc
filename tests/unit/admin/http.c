/* The HTTP door, over real sockets on loopback: what is served, what is refused, and who does not wait for ever. */
#include "admin/http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BIG = 300000, HUGE = 16 << 20, WAIT_MS = 15000, ROOM = 1 << 20 };

struct door {
	struct event_base *loop;
	struct http *http;
	char dir[64];
	struct http_reply *kept;     /* /later's, to be answered by the test */
};

static void on_ready(void *ctx, struct http_reply *r)
{
	(void)ctx;
	http_answer(r, 503, "text/plain", SV("pool apps: nothing is up\n"));
}

static void answer_much(struct http_reply *r, size_t n)
{
	char *body = malloc(n);

	memset(body, 'x', n);
	http_answer(r, 200, "text/plain", (struct sv){ body, n });
	free(body);
}

static void on_big(void *ctx, struct http_reply *r)
{
	(void)ctx;
	answer_much(r, BIG);
}

static void on_huge(void *ctx, struct http_reply *r)
{
	(void)ctx;
	answer_much(r, HUGE);
}

static void on_later(void *ctx, struct http_reply *r)
{
	((struct door *)ctx)->kept = r;
}

static void file_write(const struct door *d, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int door_open(void **state, unsigned head_ms)
{
	struct door *d = calloc(1, sizeof(*d));
	struct http_params p = { 0 };
	unsigned left_out;

	snprintf(d->dir, sizeof(d->dir), "/tmp/sbc-http-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	file_write(d, "index.html", "<p>hello");
	file_write(d, "page.js", "let a");
	file_write(d, "secret.key", "nobody's business");
	file_write(d, ".hidden.js", "nor this");
	d->loop = event_base_new();
	assert_int_equal(addr_parse(&p.bind, SV("127.0.0.1:0")), 0);
	p.loop = d->loop;
	p.head_ms = head_ms;
	p.stall_ms = 1000;
	p.answer_ms = 50;
	assert_int_equal(http_new(&d->http, &p), 0);
	assert_int_equal(http_register(d->http, "/ready", on_ready, d), 0);
	assert_int_equal(http_register(d->http, "/big", on_big, d), 0);
	assert_int_equal(http_register(d->http, "/huge", on_huge, d), 0);
	assert_int_equal(http_register(d->http, "/later", on_later, d), 0);
	assert_int_equal(http_register(d->http, "/later", on_later, d), -EEXIST);
	assert_int_equal(http_add_files(d->http, d->dir, &left_out), 0);
	assert_int_equal(left_out, 0);
	assert_int_equal(http_start(d->http), 0);
	*state = d;
	return 0;
}

static int setup(void **state)
{
	return door_open(state, 1000);
}

static int setup_patient(void **state)
{
	return door_open(state, 0);
}

static int teardown(void **state)
{
	static const char *const names[] = { "index.html", "page.js", "secret.key", ".hidden.js" };
	struct door *d = *state;
	char path[160];

	http_free(d->http);
	event_base_free(d->loop);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", d->dir, names[i]);
		unlink(path);
	}
	rmdir(d->dir);
	free(d);
	return 0;
}

static int dial(const struct door *d)
{
	struct sockaddr_storage sa;
	struct addr a;
	socklen_t len;
	int fd;

	assert_int_equal(addr_parse(&a, SV("127.0.0.1")), 0);
	a.port = http_port(d->http);
	len = addr_to_sockaddr(&a, &sa);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* The body is as long as the head says. */
static bool is_whole(const char *text, size_t len)
{
	const char *gap = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");

	return gap && length && length < gap && len >= (size_t)(gap + 4 - text) + strtoul(length + 17, NULL, 10);
}

/* What comes until the connection ends, or for `wait_ms` nothing; `once`: or until an answer is whole. Meanwhile the control thread's
 * loop turns. */
static char *hear_until(const struct door *d, int fd, unsigned wait_ms, bool once)
{
	static char room[ROOM];
	size_t len = 0;
	ssize_t n = 1;

	room[0] = '\0';
	for (unsigned idle = 0; n > 0 && idle < wait_ms && !(once && is_whole(room, len)); idle += 5) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		event_base_loop(d->loop, EVLOOP_NONBLOCK);
		if (poll(&p, 1, 5) == 1) {
			n = recv(fd, room + len, ROOM - 1 - len, 0);
			len += n > 0 ? (size_t)n : 0;
			room[len] = '\0';
			idle = 0;
		}
	}
	return room;
}

static char *hear(const struct door *d, int fd, unsigned wait_ms)
{
	return hear_until(d, fd, wait_ms, false);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Who is refused may find it closed before he has said a word. */
static char *ask(const struct door *d, const char *request)
{
	int fd = dial(d);
	char *heard;

	send(fd, request, strlen(request), MSG_NOSIGNAL);
	heard = hear(d, fd, WAIT_MS);
	close(fd);
	return heard;
}

static char *get(const struct door *d, const char *path)
{
	char request[4096];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
	return ask(d, request);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%.2000s", part, text);
}

static void assert_status(const char *text, const char *status)
{
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
	if (strncmp(text, line, strlen(line)) != 0)
		fail_msg("not %s:\n%.500s", status, text);
}

static const char *body_of(const char *text)
{
	const char *gap = strstr(text, "\r\n\r\n");

	assert_non_null(gap);
	return gap + 4;
}

static uint64_t count(const struct door *d, enum http_counter which)
{
	return counter_get(http_counters(d->http), which);
}

static void files_are_served(void **state)
{
	struct door *d = *state;
	char *heard = get(d, "/");

	assert_status(heard, "200");
	assert_has(heard, "text/html");
	assert_string_equal(body_of(heard), "<p>hello");
	assert_has(heard, "x-content-type-options: nosniff\r\n");
	assert_has(heard, "content-security-policy: default-src 'none'; script-src 'self'");
	assert_has(heard, "frame-ancestors 'none'");
	heard = get(d, "/page.js");
	assert_has(heard, "text/javascript");
	assert_string_equal(body_of(heard), "let a");
	assert_int_equal(count(d, HTTP_REQUESTS), 2);
	assert_int_equal(count(d, HTTP_BAD_REQUESTS), 0);
}

static void nothing_else_is(void **state)
{
	struct door *d = *state;
	static const char *const paths[] = { "/nothing", "/secret.key", "/.hidden.js", "/ready/", "/index.html/",
		                             "/%70age.jsx", "/%2e%2e/etc/passwd", "/../../etc/passwd", "/%2e%2e%2fetc%2fpasswd" };

	for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char *heard = get(d, paths[i]);

		if (strstr(heard, "nobody") || strstr(heard, "nor this") || strstr(heard, "root:"))
			fail_msg("%s is served", paths[i]);
		if (strncmp(heard, "HTTP/1.1 404", 12) != 0 && strncmp(heard, "HTTP/1.0 403", 12) != 0)
			fail_msg("%s gets %.200s", paths[i], heard);
	}
	assert_string_equal(get(d, "/page.js%00"), "");
}

static void the_control_thread_answers(void **state)
{
	char *heard = get(*state, "/ready");

	assert_status(heard, "503");
	assert_string_equal(body_of(heard), "pool apps: nothing is up\n");
	heard = get(*state, "/big");
	assert_status(heard, "200");
	assert_int_equal(strspn(body_of(heard), "x"), BIG);
	assert_int_equal(strlen(body_of(heard)), BIG);
}

static void head_has_no_body(void **state)
{
	char *heard = ask(*state, "HEAD /ready HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n");

	assert_status(heard, "503");
	assert_has(heard, "content-length: 25\r\n");
	assert_string_equal(body_of(heard), "");
}

static void a_connection_serves_again(void **state)
{
	struct door *d = *state;
	int fd = dial(d);
	char *heard;

	say(fd, "GET / HTTP/1.1\r\nHost: [::1]:1\r\n\r\n");
	heard = hear_until(d, fd, WAIT_MS, true);
	assert_string_equal(body_of(heard), "<p>hello");
	say(fd, "GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	heard = hear_until(d, fd, WAIT_MS, true);
	assert_status(heard, "503");
	say(fd, "GET /page.js HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
	assert_string_equal(body_of(hear(d, fd, WAIT_MS)), "let a");
	close(fd);
}

static void other_methods_are_refused(void **state)
{
	struct door *d = *state;
	char *heard = ask(d, "POST /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello");

	assert_status(heard, "405");
	assert_has(heard, "allow: GET, HEAD\r\n");
	assert_status(ask(d, "DELETE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), "405");
	assert_status(ask(d, "OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), "405");
	assert_int_equal(count(d, HTTP_BAD_REQUESTS), 3);
}

/* DNS rebinding: the page of evil.example, whose name now leads to 127.0.0.1, wants to read what is here. */
static void another_host_is_refused(void **state)
{
	struct door *d = *state;

	assert_status(ask(d, "GET /metrics HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n"), "421");
	assert_status(ask(d, "GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n"), "421");
	assert_status(ask(d, "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"), "421");
	assert_int_equal(count(d, HTTP_BAD_REQUESTS), 3);
}

/* A request with `n` bytes more in its address or in a header. */
static char *ask_long(const struct door *d, const char *before, size_t n, const char *after)
{
	char *request = malloc(strlen(before) + n + strlen(after) + 1), *heard;

	sprintf(request, "%s%*s%s", before, (int)n, "", after);
	memset(request + strlen(before), 'a', n);
	heard = ask(d, request);
	free(request);
	return heard;
}

static void what_is_too_long_is_refused(void **state)
{
	struct door *d = *state;

	assert_status(ask_long(d, "GET /", HTTP_URI_MAX - 1, " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"), "404");
	assert_status(ask_long(d, "GET /", HTTP_URI_MAX, " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), "414");
	assert_status(ask_long(d, "GET /", HTTP_HEAD_MAX + HTTP_URI_MAX, " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), "414");
	assert_status(ask_long(d, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ", HTTP_HEAD_MAX + HTTP_URI_MAX, "\r\n\r\n"), "431");
	assert_int_equal(count(d, HTTP_BAD_REQUESTS), 3);
	assert_string_equal(ask_long(d, "GET /", 2 * HTTP_HEAD_CUT, " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), "");
	assert_string_equal(ask_long(d, "GET / HTTP/1.1\r\nX-Much: ", 2 * HTTP_HEAD_CUT, "\r\n\r\n"), "");
	assert_status(get(d, "/"), "200");
}

static void garbage_changes_nothing(void **state)
{
	struct door *d = *state;
	static const char *const lines[] = { "\x16\x03\x01\x02", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET\r\n\r\n", "FOO / HTTP/1.1\r\n\r\n",
		                             "OPTIONS * HTTP/1.1\r\n\r\n", "INVITE sip:a@b SIP/2.0\r\n\r\n" };

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (strncmp(ask(d, lines[i]), "HTTP/1.0 403 ", 13) != 0)
			fail_msg("%.20s is not refused", lines[i]);
	assert_status(get(d, "/"), "200");
}

/* Requests with bytes changed, left out and doubled, whole or cut: whatever they get, the next one is served. */
static void mangled_requests_change_nothing(void **state)
{
	static const char seed[] = "GET /%70age.js?a=b&c=%20 HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive, Upgrade\r\n"
				   "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1\r\n"
				   "If-Modified-Since: x\r\nAuthorization: Basic YTpi\r\nExpect: 100-continue\r\n\r\nGET / HTTP/1.0\r\n\r\n";
	struct door *d = *state;
	uint32_t random = 1;

	for (unsigned i = 0; i < 300; i++) {
		char text[2 * sizeof(seed)];
		size_t len = sizeof(seed) - 1;
		int fd = dial(d);

		memcpy(text, seed, len);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			size_t at = (random = random * 1664525 + 1013904223) % len, n = random >> 8 & 7;

			text[at] = (char)(random >> 16);
			if (random >> 30 == 1 && at + n < len) {
				memmove(text + at, text + at + n, len - at - n);
				len -= n;
			}
		}
		send(fd, text, i % 5 ? len : random % len, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		hear(d, fd, 50);
		close(fd);
		if (i % 50 == 0)
			assert_status(get(d, "/"), "200");
	}
	assert_status(get(d, "/"), "200");
}

/* Only HTTP/1: there is no WebSocket here, and no HTTP/2. */
static void an_upgrade_is_refused(void **state)
{
	struct door *d = *state;

	assert_string_equal(ask(d, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), "");
	assert_string_equal(ask(d, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
	                           "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"), "");
	assert_int_equal(count(d, HTTP_BAD_REQUESTS), 2);
}

/* A slow head, and an answer that nobody reads. */
static void slow_clients_are_dropped(void **state)
{
	struct door *d = *state;
	int slow = dial(d), deaf = dial(d);

	say(slow, "GET / HTTP/1.1\r\nHo");
	say(deaf, "GET /huge HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	assert_string_equal(hear(d, slow, WAIT_MS), "");
	for (unsigned i = 0; count(d, HTTP_SLOW_CLIENTS) < 2 && i < WAIT_MS / 5; i++) {
		event_base_loop(d->loop, EVLOOP_NONBLOCK);
		usleep(5000);
	}
	assert_int_equal(count(d, HTTP_SLOW_CLIENTS), 2);
	close(slow);
	close(deaf);
	assert_status(get(d, "/"), "200");
}

static void who_waits_too_long_is_told(void **state)
{
	struct door *d = *state;
	time_t start = time(NULL);
	char *heard = get(d, "/later");

	assert_true(time(NULL) - start < 5); /* by its own deadline, not by that of a slow head */
	assert_status(heard, "503");
	assert_has(heard, "no answer from within");
	assert_non_null(d->kept);
	http_answer(d->kept, 200, "text/plain", SV("too late")); /* goes nowhere */
	assert_int_equal(count(d, HTTP_TIMED_OUT), 1);
	assert_status(get(d, "/"), "200");
}

/* A resource that does not answer has as many questions as it may have; the next one is told at once. */
static void questions_have_a_bound(void **state)
{
	struct door *d = *state;
	struct http_reply *kept[HTTP_QUESTIONS_MAX];

	for (unsigned i = 0; i < HTTP_QUESTIONS_MAX; i++) {
		assert_has(get(d, "/later"), "no answer from within");
		kept[i] = d->kept;
	}
	assert_has(get(d, "/later"), "busy");
	assert_has(get(d, "/ready"), "nothing is up"); /* others are not concerned */
	http_answer(kept[0], 200, "text/plain", SV(""));
	assert_has(get(d, "/later"), "no answer from within");
	kept[0] = d->kept;
	http_answer(kept[0], 200, "text/plain", SV(""));
	for (unsigned i = 1; i < HTTP_QUESTIONS_MAX; i++)
		http_answer(kept[i], 200, "text/plain", SV(""));
}

static void connections_have_a_bound(void **state)
{
	struct door *d = *state;
	int fds[HTTP_CONNECTIONS_MAX], one_more;

	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		fds[i] = dial(d);
		say(fds[i], "GET /page.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
		assert_has(hear_until(d, fds[i], WAIT_MS, true), "let a");
	}
	assert_int_equal(count(d, HTTP_REFUSED_CONNECTIONS), 0);
	one_more = dial(d);
	assert_string_equal(hear(d, one_more, WAIT_MS), "");
	close(one_more);
	assert_int_equal(count(d, HTTP_REFUSED_CONNECTIONS), 1);
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		close(fds[i]);
	for (unsigned i = 0; i < 1000 && !*ask(d, "GET / HTTP/1.0\r\n\r\n"); i++)
		usleep(5000); /* until it has seen that they are gone */
	assert_status(get(d, "/"), "200");
}

/* The door closes with a question inside, and with one that was answered too late. */
static void it_ends_at_any_time(void **state)
{
	struct door *d = *state;
	int fd = dial(d);

	say(fd, "GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	for (unsigned i = 0; !count(d, HTTP_REQUESTS) && i < 1000; i++)
		usleep(1000);
	assert_int_equal(count(d, HTTP_REQUESTS), 1);
	http_free(d->http);
	d->http = NULL;
	close(fd);
}

static void a_taken_port_is_told(void **state)
{
	struct door *d = *state;
	struct http_params p = { .loop = d->loop };
	struct http *other;

	assert_int_equal(addr_parse(&p.bind, SV("127.0.0.1")), 0);
	p.bind.port = http_port(d->http);
	assert_int_equal(http_new(&other, &p), -EADDRINUSE);
}

static void files_have_bounds(void **state)
{
	struct door *d = *state;
	struct http_params p = { .loop = d->loop };
	struct http *h;
	unsigned left_out;
	char path[160];

	assert_int_equal(addr_parse(&p.bind, SV("127.0.0.1:0")), 0);
	assert_int_equal(http_new(&h, &p), 0);
	assert_int_equal(http_add_files(h, "/nowhere/at/all", &left_out), -ENOENT);
	snprintf(path, sizeof(path), "%s/huge.js", d->dir);
	file_write(d, "huge.js", "");
	assert_int_equal(truncate(path, 9 << 20), 0);
	assert_int_equal(http_add_files(h, d->dir, &left_out), 0);
	assert_int_equal(left_out, 1);
	unlink(path);
	http_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_served, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_else_is, setup, teardown),
		cmocka_unit_test_setup_teardown(the_control_thread_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(head_has_no_body, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connection_serves_again, setup, teardown),
		cmocka_unit_test_setup_teardown(other_methods_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(another_host_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_long_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(mangled_requests_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(an_upgrade_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_clients_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_too_long_is_told, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(questions_have_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(connections_have_a_bound, setup_patient, teardown),
		cmocka_unit_test_setup_teardown(it_ends_at_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_taken_port_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(files_have_bounds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
