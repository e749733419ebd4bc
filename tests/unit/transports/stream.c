/* RFC 3261 §18.3: messages on a stream, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/net.h"
#include "transports/stream.h"
#include <stdio.h>
#include <stdlib.h>

enum { GOT_MAX = 64 };

struct rig {
	struct stream stream;
	struct stream_budget budget;
	enum stream_got got[GOT_MAX];
	char *text[GOT_MAX];
	size_t n, most; /* most: bytes ever held */
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	r->budget.max = 1 << 20;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	stream_fini(&r->stream, &r->budget);
	assert_int_equal(r->budget.bytes, 0);
	for (size_t i = 0; i < r->n; i++)
		free(r->text[i]);
	free(r);
	return 0;
}

static void note(struct rig *r, enum stream_got got, const struct stream_message *m)
{
	assert_true(r->n < GOT_MAX);
	r->got[r->n] = got;
	r->text[r->n++] = m ? strndup(m->p, m->len) : NULL;
	if (!m)
		return;
	if (r->stream.held) /* it lies there, not in the input */
		for (size_t i = 0; i < BUF_PAD; i++)
			assert_int_equal(m->p[m->len + i], 0);
	memset(m->p, 'x', m->len);
}

/* One piece, in a buffer of exactly its size and pad. */
static void feed(struct rig *r, const char *p, size_t len)
{
	char *copy = calloc(1, len + BUF_PAD);
	struct stream_message in = { copy, len }, m;
	enum stream_got got;

	if (len)
		memcpy(copy, p, len);
	while ((got = stream_next(&r->stream, &r->budget, &in, &m)) != STREAM_MORE) {
		r->most = r->budget.bytes > r->most ? r->budget.bytes : r->most;
		note(r, got, got == STREAM_MESSAGE || got == STREAM_BROKEN ? &m : NULL);
	}
	r->most = r->budget.bytes > r->most ? r->budget.bytes : r->most;
	assert_int_equal(in.len, 0);
	free(copy);
}

static void feed_text(struct rig *r, const char *text)
{
	feed(r, text, strlen(text));
}

static void feed_in_pieces(struct rig *r, const char *text, size_t size)
{
	for (size_t len = strlen(text); len; ) {
		size_t n = len < size ? len : size;

		feed(r, text, n);
		text += n;
		len -= n;
	}
}

static void expect(const struct rig *r, size_t i, enum stream_got got, const char *text)
{
	assert_true(i < r->n);
	assert_int_equal(r->got[i], got);
	if (text)
		assert_string_equal(r->text[i], text);
}

#define BYE "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c\r\nContent-Length: 4\r\n\r\nbody"
#define OPT "OPTIONS sip:a@b SIP/2.0\r\nl:0\r\n\r\n"

static void one_message_in_one_piece(void **state)
{
	struct rig *r = *state;

	feed_text(r, BYE);
	expect(r, 0, STREAM_MESSAGE, BYE);
	assert_int_equal(r->n, 1);
	assert_false(stream_is_partial(&r->stream));
	assert_int_equal(r->budget.bytes, 0); /* nothing was held */
}

static void any_size_of_pieces_gives_the_same(void **state)
{
	struct rig *r = *state;

	for (size_t size = 1; size <= 20; size++) {
		size_t at = r->n;

		feed_in_pieces(r, BYE OPT, size);
		expect(r, at, STREAM_MESSAGE, BYE);
		expect(r, at + 1, STREAM_MESSAGE, OPT);
		assert_int_equal(r->n, at + 2);
	}
}

static void ten_in_one_piece(void **state)
{
	struct rig *r = *state;

	feed_text(r, BYE OPT BYE OPT BYE OPT BYE OPT BYE OPT);
	assert_int_equal(r->n, 10);
	for (size_t i = 0; i < 10; i++)
		expect(r, i, STREAM_MESSAGE, i % 2 ? OPT : BYE);
}

static void a_buffer_lives_as_long_as_its_message(void **state)
{
	struct rig *r = *state;

	feed(r, BYE, 10);
	assert_true(stream_is_partial(&r->stream));
	assert_true(r->budget.bytes >= 10);
	feed_text(r, &BYE[10]);
	expect(r, 0, STREAM_MESSAGE, BYE);
	feed(r, "", 0);
	assert_false(stream_is_partial(&r->stream));
	assert_int_equal(r->budget.bytes, 0);
}

/* RFC 3261 §7.5. */
static void crlf_before_a_message_means_nothing(void **state)
{
	struct rig *r = *state;

	feed_text(r, "\r\n" OPT "\r\n");
	feed_text(r, OPT);
	assert_int_equal(r->n, 2);
	expect(r, 0, STREAM_MESSAGE, OPT);
	expect(r, 1, STREAM_MESSAGE, OPT);
}

/* RFC 5626 §3.5.1. */
static void two_crlf_are_a_ping(void **state)
{
	struct rig *r = *state;

	feed_in_pieces(r, "\r\n\r\n", 1);
	expect(r, 0, STREAM_PING, NULL);
	feed_text(r, "\r\n\r\n\r\n\r\n" OPT);
	expect(r, 1, STREAM_PING, NULL);
	expect(r, 2, STREAM_PING, NULL);
	expect(r, 3, STREAM_MESSAGE, OPT);
	feed_text(r, "\r\n");
	feed_text(r, "\n\r\n"); /* out of step: no ping yet */
	assert_int_equal(r->n, 4);
	feed_text(r, "\r\n");
	expect(r, 4, STREAM_PING, NULL);
}

static void a_ping_does_not_reach_over_a_message(void **state)
{
	struct rig *r = *state;

	feed_text(r, "\r\n" OPT "\r\n");
	assert_int_equal(r->n, 1);
}

static void expect_body(struct rig *r, const char *header, const char *body)
{
	char text[512];
	size_t at = r->n;

	snprintf(text, sizeof text, "BYE sip:a@b SIP/2.0\r\n%s\r\nSubject: x\r\n\r\n%s", header, body);
	feed_in_pieces(r, text, 3);
	expect(r, at, STREAM_MESSAGE, text);
	assert_int_equal(r->n, at + 1);
	feed_text(r, text);
	expect(r, at + 1, STREAM_MESSAGE, text);
}

static void content_length_in_all_its_forms(void **state)
{
	struct rig *r = *state;

	expect_body(r, "content-LENGTH:3", "abc");
	expect_body(r, "Content-Length \t: 3 ", "abc");
	expect_body(r, "L : 3", "abc");
	expect_body(r, "l:\r\n 3", "abc");
	expect_body(r, "Content-Length:\r\n\t 3\r\n ", "abc");
	expect_body(r, "Content-Length: 0000000003", "abc");
	expect_body(r, "X: y\r\n l: 9\r\nl: 1", "a");        /* a fold is no header ... */
	expect_body(r, "Location: 7\r\nContent-Type: 5\r\nl: 1", "a");
	expect_body(r, "X: \nl: 9\r\nl: 1", "a");            /* ... and neither is what follows a bare LF */
}

static void expect_broken(struct rig *r, const char *headers)
{
	struct stream fresh = { 0 };
	char head[512], text[600];

	snprintf(head, sizeof head, "BYE sip:a@b SIP/2.0\r\n%s\r\n", headers);
	snprintf(text, sizeof text, "%s" OPT, head);
	for (size_t size = 1; size < 8; size += 6) {
		size_t at = r->n;

		stream_fini(&r->stream, &r->budget);
		r->stream = fresh;
		feed_in_pieces(r, text, size);
		expect(r, at, STREAM_BROKEN, head);
		assert_int_equal(r->n, at + 1); /* what follows cannot be trusted */
	}
}

static void a_length_that_is_none_breaks_the_stream(void **state)
{
	struct rig *r = *state;

	expect_broken(r, "");
	expect_broken(r, "Content-Length:\r\n");
	expect_broken(r, "Content-Length: abc\r\n");
	expect_broken(r, "Content-Length: -1\r\n");
	expect_broken(r, "Content-Length: 3 3\r\n");
	expect_broken(r, "Content-Length: 3,\r\n");
	expect_broken(r, "Content-Length: 0x3\r\n");
	expect_broken(r, "Content-Length: 3\r\n 3\r\n");
	expect_broken(r, "Content-Length: 65536\r\n");
	expect_broken(r, "Content-Length: 65535\r\n"); /* with its head too long */
	expect_broken(r, "Content-Length: 18446744073709551619\r\n");
	expect_broken(r, "Content-Length: 0\r\nl: 0\r\n");
	expect_broken(r, "Content-Length: 0\r\nContent-Length: 31\r\n");
}

static void the_start_line_is_no_header(void **state)
{
	struct rig *r = *state;

	feed_text(r, "l: 0\r\nX: y\r\n\r\n");
	expect(r, 0, STREAM_BROKEN, "l: 0\r\nX: y\r\n\r\n");
}

static char *filled(const char *before, size_t len)
{
	char *p = malloc(len + 1);

	memset(p, 'a', len);
	memcpy(p, before, strlen(before));
	p[len] = '\0';
	return p;
}

static void a_head_without_end_is_cut_at_the_bound(void **state)
{
	struct rig *r = *state;
	char *text = filled("INVITE sip:a@b SIP/2.0\r\nSubject: ", NET_HEAD_MAX + 10);

	feed_in_pieces(r, text, 1000);
	assert_int_equal(r->n, 1);
	expect(r, 0, STREAM_BROKEN, NULL);
	assert_int_equal(strlen(r->text[0]), NET_HEAD_MAX);
	feed(r, "", 0);
	assert_int_equal(r->budget.bytes, 0);
	free(text);
}

/* The end of the head at exactly the bound, and one byte behind it. */
static void the_bound_of_a_head_is_exact(void **state)
{
	struct rig *r = *state;

	for (size_t extra = 0; extra < 2; extra++) {
		char *text = filled("BYE sip:a@b SIP/2.0\r\nl:0\r\ns: ", NET_HEAD_MAX + extra);
		size_t at = r->n;

		memcpy(text + NET_HEAD_MAX + extra - 4, "\r\n\r\n", 4);
		feed_in_pieces(r, text, 777);
		assert_int_equal(r->got[at], extra ? STREAM_BROKEN : STREAM_MESSAGE);
		feed(r, "", 0);
		r->stream.is_over = false;
		feed_text(r, text);
		assert_int_equal(r->got[at + 1], extra ? STREAM_BROKEN : STREAM_MESSAGE);
		r->stream = (struct stream){ 0 };
		free(text);
	}
}

static void the_largest_message_comes_through(void **state)
{
	struct rig *r = *state;
	char head[64], *text = filled("", NET_MESSAGE_MAX);
	int n = snprintf(head, sizeof head, "BYE sip:a@b SIP/2.0\r\nl: %d\r\n\r\n", NET_MESSAGE_MAX - 33);

	assert_int_equal(n, 33);
	memcpy(text, head, 33);
	feed_in_pieces(r, text, 1460);
	expect(r, 0, STREAM_MESSAGE, text);
	assert_in_range(r->most, NET_MESSAGE_MAX, NET_MESSAGE_MAX + 128); /* and what we know of it */
	feed_text(r, text);
	expect(r, 1, STREAM_MESSAGE, text);
	free(text);
}

/* A length costs nothing until its bytes arrive. */
static void memory_follows_what_came(void **state)
{
	struct rig *r = *state;

	feed_text(r, "BYE sip:a@b SIP/2.0\r\nl: 60000\r\n\r\n");
	assert_true(r->budget.bytes <= 4096);
	assert_true(stream_is_partial(&r->stream));
}

static void the_budget_is_kept(void **state)
{
	struct rig *r = *state;
	char body[400];

	memset(body, 'a', sizeof body);
	r->budget.max = 8192;
	feed_text(r, "BYE sip:a@b SIP/2.0\r\nl: 60000\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		feed(r, body, sizeof body);
		assert_true(r->budget.bytes <= 8192);
	}
	for (int i = 0; i < 30 && r->n == 0; i++)
		feed_text(r, BYE BYE BYE BYE BYE);
	expect(r, 0, STREAM_FULL, NULL);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->budget.bytes, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_message_in_one_piece),
		TEST(any_size_of_pieces_gives_the_same),
		TEST(ten_in_one_piece),
		TEST(a_buffer_lives_as_long_as_its_message),
		TEST(crlf_before_a_message_means_nothing),
		TEST(two_crlf_are_a_ping),
		TEST(a_ping_does_not_reach_over_a_message),
		TEST(content_length_in_all_its_forms),
		TEST(a_length_that_is_none_breaks_the_stream),
		TEST(the_start_line_is_no_header),
		TEST(a_head_without_end_is_cut_at_the_bound),
		TEST(the_bound_of_a_head_is_exact),
		TEST(the_largest_message_comes_through),
		TEST(memory_follows_what_came),
		TEST(the_budget_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
