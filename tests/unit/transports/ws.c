/* RFC 6455 §5: frames and messages, however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/net.h"
#include "transports/ws.h"
#include <stdio.h>
#include <stdlib.h>

enum { GOT_MAX = 256, WIRE_MAX = 400000 };

struct got {
	enum ws_got what;
	struct ws_event e;
	char *text;
};

struct rig {
	struct ws ws;
	struct stream_budget budget;
	struct got got[GOT_MAX];
	size_t n, most;              /* most: bytes ever held */
	uint8_t *wire;               /* frames made and not yet fed */
	size_t len;
};

static void forget(struct rig *r)
{
	ws_fini(&r->ws, &r->budget);
	assert_int_equal(r->budget.bytes, 0);
	for (size_t i = 0; i < r->n; i++)
		free(r->got[i].text);
	r->n = 0;
	r->ws = (struct ws){ .is_client = r->ws.is_client };
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	r->budget.max = 1 << 20;
	r->wire = malloc(WIRE_MAX);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	forget(r);
	free(r->wire);
	free(r);
	return 0;
}

/* Making frames --------------------------------------------------------------------------------------------------- */

static void put(struct rig *r, const void *p, size_t len)
{
	assert_true(r->len + len <= WIRE_MAX);
	if (len)
		memcpy(r->wire + r->len, p, len);
	r->len += len;
}

static void put_byte(struct rig *r, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	put(r, &b, 1);
}

/* A head by hand: its length in as many bytes as `form` says (0, 2, 8). */
static void put_head(struct rig *r, unsigned first, bool is_masked, uint64_t len, unsigned form)
{
	put_byte(r, first);
	put_byte(r, (is_masked ? 0x80u : 0) | (form == 0 ? (unsigned)len : form == 2 ? 126 : 127));
	for (unsigned i = form; i-- > 0; )
		put_byte(r, (unsigned)(len >> 8 * i) & 0xff);
}

/* RFC 6455 §5.3, a byte at a time. */
static void put_frame(struct rig *r, unsigned first, const char *payload, size_t len)
{
	static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	bool is_masked = !r->ws.is_client;

	put_head(r, first, is_masked, len, len < 126 ? 0 : len < 65536 ? 2 : 8);
	if (is_masked)
		put(r, mask, 4);
	for (size_t i = 0; i < len; i++)
		put_byte(r, (uint8_t)payload[i] ^ (is_masked ? mask[i % 4] : 0));
}

static void put_text(struct rig *r, unsigned first, const char *text)
{
	put_frame(r, first, text, strlen(text));
}

/* Feeding --------------------------------------------------------------------------------------------------------- */

static void note(struct rig *r, enum ws_got what, const struct ws_event *e)
{
	struct got *g = &r->got[r->n++];

	assert_true(r->n <= GOT_MAX);
	*g = (struct got){ .what = what };
	if (what == WS_GOT_FULL)
		return;
	g->e = *e;
	if (what == WS_GOT_CLOSE || what == WS_GOT_FAULT)
		return;
	g->text = calloc(1, e->payload.len + 1);
	memcpy(g->text, e->payload.p, e->payload.len);
	for (size_t i = 0; i < BUF_PAD; i++) { /* readable, whatever it is */
		volatile char c = e->payload.p[e->payload.len + i];
		(void)c;
	}
	memset(e->payload.p, 'x', e->payload.len); /* and ours to write on */
}

/* One piece, in a buffer of exactly its size and pad. */
static void feed(struct rig *r, const uint8_t *p, size_t len)
{
	char *copy = calloc(1, len + BUF_PAD);
	struct stream_message in = { copy, len };
	struct ws_event e;
	enum ws_got what;

	memcpy(copy, p, len);
	while ((what = ws_next(&r->ws, &r->budget, &in, &e)) != WS_GOT_MORE) {
		r->most = r->budget.bytes > r->most ? r->budget.bytes : r->most;
		note(r, what, &e);
	}
	r->most = r->budget.bytes > r->most ? r->budget.bytes : r->most;
	assert_int_equal(in.len, 0);
	free(copy);
}

static void feed_in(struct rig *r, size_t size)
{
	for (size_t at = 0; at < r->len; at += size)
		feed(r, r->wire + at, r->len - at < size ? r->len - at : size);
}

/* All of it at once, then anew a byte at a time and in threes: the same has to come out, which stays in r->got. */
static void feed_all(struct rig *r)
{
	static const size_t sizes[] = { WIRE_MAX, 1, 3, 7 };
	struct got first[GOT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		forget(r);
		feed_in(r, sizes[i]);
		for (size_t j = 0; i > 0 && j < r->n; j++) {
			assert_int_equal(r->got[j].what, first[j].what);
			assert_int_equal(r->got[j].e.code, first[j].e.code);
			assert_int_equal(r->got[j].e.fault, first[j].e.fault);
			assert_int_equal(r->got[j].e.payload.len, first[j].e.payload.len);
			assert_int_equal(r->got[j].e.is_text, first[j].e.is_text);
			if (first[j].text)
				assert_memory_equal(r->got[j].text, first[j].text, first[j].e.payload.len);
			free(first[j].text);
		}
		if (i > 0)
			assert_int_equal(r->n, n);
		n = r->n;
		memcpy(first, r->got, sizeof first);
		r->n = i + 1 < sizeof sizes / sizeof *sizes ? 0 : n;
	}
	r->len = 0;
}

static void expect(const struct rig *r, size_t i, enum ws_got what, const char *text)
{
	assert_true(i < r->n);
	assert_int_equal(r->got[i].what, what);
	if (text)
		assert_string_equal(r->got[i].text, text);
}

/* The one thing that comes out is this fault, whatever follows. */
static void expect_fault(struct rig *r, enum ws_fault fault, unsigned code)
{
	put_text(r, 0x81, "whatever follows");
	feed_all(r);
	assert_int_equal(r->n, 1);
	expect(r, 0, WS_GOT_FAULT, NULL);
	assert_int_equal(r->got[0].e.fault, fault);
	assert_int_equal(r->got[0].e.code, code);
	assert_false(ws_is_partial(&r->ws));
	forget(r);
}

/* Messages -------------------------------------------------------------------------------------------------------- */

/* RFC 6455 §5.7: "a single-frame masked text message". */
static void the_examples_of_the_rfc(void **state)
{
	static const uint8_t masked[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	static const uint8_t plain[] = { 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f };
	static const uint8_t parts[] = { 0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f };
	struct rig *r = *state;

	put(r, masked, sizeof masked);
	feed_all(r);
	expect(r, 0, WS_GOT_MESSAGE, "Hello");
	assert_true(r->got[0].e.is_text);
	r->ws.is_client = true;
	put(r, plain, sizeof plain);
	put(r, parts, sizeof parts);
	feed_all(r);
	expect(r, 0, WS_GOT_MESSAGE, "Hello");
	expect(r, 1, WS_GOT_MESSAGE, "Hello");
	assert_int_equal(r->n, 2);
}

static void messages_of_every_length(void **state)
{
	static const size_t lens[] = { 0, 1, 7, 8, 9, 125, 126, 127, 1000, 4096, 65535 };
	struct rig *r = *state;
	char *text = malloc(NET_MESSAGE_MAX + 1);

	for (size_t i = 0; i < NET_MESSAGE_MAX; i++)
		text[i] = (char)('a' + i % 26);
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		put_frame(r, 0x82, text, lens[i]);
		feed_all(r);
		assert_int_equal(r->n, 1);
		expect(r, 0, WS_GOT_MESSAGE, NULL);
		assert_int_equal(r->got[0].e.payload.len, lens[i]);
		assert_memory_equal(r->got[0].text, text, lens[i]);
		assert_false(r->got[0].e.is_text);
	}
	free(text);
}

static void nothing_is_held_of_what_comes_whole(void **state)
{
	struct rig *r = *state;

	put_text(r, 0x81, "one");
	put_text(r, 0x82, "two");
	put_text(r, 0x89, "ping");
	feed_in(r, WIRE_MAX);
	assert_int_equal(r->n, 3);
	assert_int_equal(r->most, 0);
	assert_int_equal(r->got[0].e.is_text, true);
	assert_int_equal(r->got[1].e.is_text, false);
	expect(r, 2, WS_GOT_PING, "ping");
}

static void what_is_held_goes_with_the_message(void **state)
{
	struct rig *r = *state;

	put_text(r, 0x81, "in two pieces");
	feed(r, r->wire, 5);
	assert_true(ws_is_partial(&r->ws));
	assert_true(r->budget.bytes > 0);
	feed(r, r->wire + 5, r->len - 5);
	expect(r, 0, WS_GOT_MESSAGE, "in two pieces");
	assert_false(ws_is_partial(&r->ws));
	assert_int_equal(r->budget.bytes, 0);
}

/* RFC 6455 §5.4: control frames may stand between the fragments of a message, which they do not touch. */
static void fragments_with_control_frames_between(void **state)
{
	struct rig *r = *state;

	put_text(r, 0x01, "one ");
	put_text(r, 0x89, "are you there?");
	put_text(r, 0x00, "two ");
	put_text(r, 0x8a, "");
	put_text(r, 0x00, "");
	put_text(r, 0x80, "three");
	put_text(r, 0x82, "next");
	feed_all(r);
	assert_int_equal(r->n, 4);
	expect(r, 0, WS_GOT_PING, "are you there?");
	expect(r, 1, WS_GOT_PONG, "");
	expect(r, 2, WS_GOT_MESSAGE, "one two three");
	assert_true(r->got[2].e.is_text);
	expect(r, 3, WS_GOT_MESSAGE, "next");
	assert_false(r->got[3].e.is_text);
}

static void a_control_frame_in_pieces_leaves_the_message_incomplete(void **state)
{
	struct rig *r = *state;

	put_text(r, 0x01, "one ");
	put_text(r, 0x89, "ping");
	feed_in(r, 1);
	expect(r, 0, WS_GOT_PING, "ping");
	feed(r, r->wire, 0);
	assert_true(ws_is_partial(&r->ws));
	r->len = 0;
	put_text(r, 0x80, "two");
	feed_in(r, 1);
	expect(r, 1, WS_GOT_MESSAGE, "one two");
	assert_false(ws_is_partial(&r->ws));
}

/* A message whose fragments are empty costs nothing, and is incomplete: there is a deadline for that. */
static void empty_fragments_without_end(void **state)
{
	struct rig *r = *state;

	put_text(r, 0x01, "");
	for (unsigned i = 0; i < 1000; i++)
		put_text(r, 0x00, "");
	feed_in(r, 6);
	assert_int_equal(r->n, 0);
	assert_true(ws_is_partial(&r->ws));
	assert_true(r->most < 1024);
}

/* Text ------------------------------------------------------------------------------------------------------------ */

static void text_is_utf8(void **state)
{
	static const char *const good[] = { "", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "1234567\xc3\xa4", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\xff", "1234567\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", ("a\x80" "bcdefgh") };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		put_text(r, 0x81, good[i]);
		feed_all(r);
		expect(r, 0, WS_GOT_MESSAGE, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put_text(r, 0x82, bad[i]); /* as it is no text, it may */
		feed_all(r);
		expect(r, 0, WS_GOT_MESSAGE, bad[i]);
		forget(r);
		put_text(r, 0x81, bad[i]);
		expect_fault(r, WS_FAULT_TEXT, WS_CODE_NO_TEXT);
	}
}

/* RFC 6455 §5.6: a fragment may end within a character, a message may not. */
static void a_character_may_reach_over_fragments(void **state)
{
	struct rig *r = *state;

	put_text(r, 0x01, "\xe2\x82");
	put_text(r, 0x80, "\xac");
	feed_all(r);
	expect(r, 0, WS_GOT_MESSAGE, "\xe2\x82\xac");
	forget(r);
	put_text(r, 0x01, "\xe2\x82");
	put_text(r, 0x80, "a");
	expect_fault(r, WS_FAULT_TEXT, WS_CODE_NO_TEXT);
}

/* Faults ---------------------------------------------------------------------------------------------------------- */

static void a_client_masks_and_a_server_does_not(void **state)
{
	struct rig *r = *state;

	put_head(r, 0x81, false, 5, 0);
	put(r, "Hello", 5);
	expect_fault(r, WS_FAULT_UNMASKED, WS_CODE_PROTOCOL);
	r->ws.is_client = true;
	put_head(r, 0x81, true, 5, 0);
	put(r, "maskHello", 9);
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
}

/* RFC 6455 §5.2: reserved bits and opcodes; the shortest length. */
static void heads_that_may_not_be(void **state)
{
	static const uint8_t firsts[] = { 0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f, 0x80, 0x09, 0x08, 0x0a };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof firsts; i++) {
		put_frame(r, firsts[i], "x", 1);
		expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	}
	put_head(r, 0x81, true, 5, 2);
	put(r, "maskHello", 9);
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	put_head(r, 0x81, true, 65535, 8);
	put(r, "mask", 4);
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	put_head(r, 0x89, true, 126, 2); /* RFC 6455 §5.5 */
	put(r, "mask", 4);
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	put_text(r, 0x01, "one"); /* a second message within the first */
	put_text(r, 0x81, "two");
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
}

/* A length is believed by nobody: nothing is held for it. */
static void what_is_too_big_is_refused_at_its_head(void **state)
{
	static const uint64_t lens[] = { 65536, 1ull << 31, (1ull << 31) - 1, 1ull << 32, INT64_MAX };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		put_head(r, 0x82, true, lens[i], 8);
		put(r, "mask", 4);
		expect_fault(r, WS_FAULT_TOO_BIG, WS_CODE_TOO_BIG);
	}
	put_head(r, 0x82, true, 1ull << 63, 8); /* RFC 6455 §5.2: the most significant bit is 0 */
	put(r, "mask", 4);
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	assert_true(r->most < 1024);
}

static void fragments_together_have_the_same_bound(void **state)
{
	struct rig *r = *state;
	char *text = calloc(1, NET_MESSAGE_MAX);

	put_frame(r, 0x02, text, NET_MESSAGE_MAX - 1);
	put_frame(r, 0x80, text, 1);
	feed_all(r);
	expect(r, 0, WS_GOT_MESSAGE, NULL);
	assert_int_equal(r->got[0].e.payload.len, NET_MESSAGE_MAX);
	assert_true(r->most < 2 * NET_MESSAGE_MAX + 1024);
	forget(r);
	put_frame(r, 0x02, text, NET_MESSAGE_MAX - 1);
	put_head(r, 0x80, true, 2, 0);
	put(r, "mask", 4);
	expect_fault(r, WS_FAULT_TOO_BIG, WS_CODE_TOO_BIG);
	free(text);
}

static void the_budget_is_kept(void **state)
{
	struct rig *r = *state;
	char text[4000] = "";

	r->budget.max = 3000;
	put_frame(r, 0x82, text, sizeof text);
	feed_in(r, 700);
	assert_int_equal(r->n, 1);
	expect(r, 0, WS_GOT_FULL, NULL);
	assert_int_equal(r->budget.bytes, 0);
	assert_true(r->most <= 3000);
	forget(r);
	r->budget.max = 10;
	feed(r, r->wire, 1);
	expect(r, 0, WS_GOT_FULL, NULL);
}

/* Closing --------------------------------------------------------------------------------------------------------- */

static void expect_close(struct rig *r, const char *payload, size_t len, unsigned code)
{
	put_frame(r, 0x88, payload, len);
	put_text(r, 0x81, "whatever follows");
	feed_all(r);
	assert_int_equal(r->n, 1);
	expect(r, 0, WS_GOT_CLOSE, NULL);
	assert_int_equal(r->got[0].e.code, code);
	forget(r);
}

/* RFC 6455 §5.5.1, §7.4. */
static void closes(void **state)
{
	static const uint16_t good[] = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 4999 };
	static const uint16_t bad[] = { 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535 };
	struct rig *r = *state;
	char two[3] = { 0 };

	expect_close(r, "", 0, WS_CODE_NONE);
	expect_close(r, "\x03\xe9gone", 6, WS_CODE_GOING_AWAY);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		two[0] = (char)(good[i] >> 8);
		two[1] = (char)good[i];
		expect_close(r, two, 2, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		two[0] = (char)(bad[i] >> 8);
		two[1] = (char)bad[i];
		put_frame(r, 0x88, two, 2);
		expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	}
	put_frame(r, 0x88, "\x03", 1);
	expect_fault(r, WS_FAULT_FRAME, WS_CODE_PROTOCOL);
	put_frame(r, 0x88, "\x03\xe8\xff", 3);
	expect_fault(r, WS_FAULT_TEXT, WS_CODE_NO_TEXT);
}

/* What we send ---------------------------------------------------------------------------------------------------- */

static void what_we_send_can_be_read(void **state)
{
	static const size_t lens[] = { 0, 2, 125, 126, 65535 };
	struct rig *r = *state;
	char *text = malloc(NET_MESSAGE_MAX);

	memset(text, 'q', NET_MESSAGE_MAX);
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		uint8_t head[WS_OUR_HEAD_MAX];
		struct buf *b = ws_masked(WS_BINARY, (struct sv){ text, lens[i] }, 0x12345678);

		r->ws.is_client = false;
		put(r, b->data, b->len);
		if (lens[i])
			assert_memory_not_equal(b->data + b->len - lens[i], text, lens[i]);
		feed_all(r);
		expect(r, 0, WS_GOT_MESSAGE, NULL);
		assert_int_equal(r->got[0].e.payload.len, lens[i]);
		assert_memory_equal(r->got[0].text, text, lens[i]);
		forget(r);
		buf_put(b);
		r->ws.is_client = true;
		put(r, head, ws_head(WS_TEXT, lens[i], head));
		put(r, text, lens[i]);
		feed_all(r);
		expect(r, 0, WS_GOT_MESSAGE, NULL);
		assert_true(r->got[0].e.is_text);
		assert_int_equal(r->got[0].e.payload.len, lens[i]);
		forget(r);
	}
	free(text);
}

static void our_close_says_why(void **state)
{
	struct rig *r = *state;
	struct buf *b = ws_close_payload(WS_CODE_TOO_BIG), *none = ws_close_payload(WS_CODE_NONE);

	assert_int_equal(none->len, 0);
	expect_close(r, b->data, b->len, WS_CODE_TOO_BIG);
	buf_put(b);
	buf_put(none);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_examples_of_the_rfc),
		TEST(messages_of_every_length),
		TEST(nothing_is_held_of_what_comes_whole),
		TEST(what_is_held_goes_with_the_message),
		TEST(fragments_with_control_frames_between),
		TEST(a_control_frame_in_pieces_leaves_the_message_incomplete),
		TEST(empty_fragments_without_end),
		TEST(text_is_utf8),
		TEST(a_character_may_reach_over_fragments),
		TEST(a_client_masks_and_a_server_does_not),
		TEST(heads_that_may_not_be),
		TEST(what_is_too_big_is_refused_at_its_head),
		TEST(fragments_together_have_the_same_bound),
		TEST(the_budget_is_kept),
		TEST(closes),
		TEST(what_we_send_can_be_read),
		TEST(our_close_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
