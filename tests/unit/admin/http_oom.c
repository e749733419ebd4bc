/* Each allocation of the HTTP door fails in turn: nothing crashes, nothing leaks, and once there is memory again it serves. Both of its
 * threads are this one, so that it is known which allocation fails. */
#include "tests/unit/base/oom.h"
#include "admin/http_serve.c"
#include "admin/http.c"
#include "admin/site.c"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>

enum { ALLOCATIONS_MAX = 50, TURNS = 200 };

static char dir[] = "/tmp/sbc-http-oom-XXXXXX";

static void on_ready(void *ctx, struct http_reply *r)
{
	(void)ctx;
	http_answer(r, 200, "text/plain", SV("ready"));
}

static int door_open(struct http **out, struct event_base *loop)
{
	struct http_params p = { .loop = loop };
	unsigned left_out;
	int err;

	assert_int_equal(addr_parse(&p.bind, SV("127.0.0.1:0")), 0);
	if ((err = http_new(out, &p)))
		return err;
	if ((err = http_add_files(*out, dir, &left_out)) || (err = http_register(*out, "/ready", on_ready, NULL)))
		http_free(*out);
	return err;
}

static void opening(void **state)
{
	struct event_base *loop = event_base_new();
	struct http *h;
	unsigned n = 1;

	(void)state;
	for (oom_in = n; door_open(&h, loop) == -ENOMEM; oom_in = ++n)
		assert_true(n < ALLOCATIONS_MAX);
	assert_true(n > 3);
	oom_in = 0;
	http_free(h);
	event_base_free(loop);
}

/* Both threads' turns, until the peer has an answer or its end. Returns its length. */
static size_t turn(struct http *h, struct event_base *loop, int fd, char *heard, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	for (unsigned i = 0; i < TURNS; i++) {
		ssize_t n;

		lws_cancel_service(h->context);
		lws_service(h->context, 0);
		mailbox_drain(h->answers, h, HTTP_MAILS);
		event_base_loop(loop, EVLOOP_NONBLOCK);
		if (poll(&p, 1, 1) != 1)
			continue;
		n = recv(fd, heard + len, room - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	heard[len] = '\0';
	return len;
}

static void ask(struct http *h, struct event_base *loop, const char *path, char *heard, size_t room)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&h->bind, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[128];

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	turn(h, loop, fd, heard, room);
	close(fd);
}

static void serving(void **state)
{
	struct event_base *loop = event_base_new();
	unsigned refused = 0, failed = 0;
	struct http *h;
	char heard[4096];

	(void)state;
	assert_int_equal(door_open(&h, loop), 0);
	for (unsigned n = 1; n <= 4; n++) {
		oom_in = n;
		ask(h, loop, "/ready", heard, sizeof(heard));
		refused += !*heard;
		failed += strncmp(heard, "HTTP/1.1 503 ", 13) == 0;
	}
	oom_in = 0;
	assert_int_equal(refused, 1); /* the connection */
	assert_int_equal(failed, 2);  /* the question, the answer's body */
	assert_int_equal(counter_get(&h->counters, HTTP_REFUSED_CONNECTIONS), 1);
	ask(h, loop, "/ready", heard, sizeof(heard));
	assert_non_null(strstr(heard, "\r\n\r\nready"));
	ask(h, loop, "/", heard, sizeof(heard));
	assert_non_null(strstr(heard, "\r\n\r\nhello"));
	http_free(h);
	event_base_free(loop);
}

static int setup(void **state)
{
	char path[64];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/index.html", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("hello", f);
	return fclose(f);
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/index.html", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening),
		cmocka_unit_test(serving),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
