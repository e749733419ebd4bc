/* SRV records and the order of RFC 2782. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/srv.h"
#include <errno.h>
#include <stdlib.h>

/* A response for "s" with `n` SRV records whose targets are "a", "b", ... */
static size_t response(unsigned char *p, const uint16_t (*srv)[3], unsigned n)
{
	static const unsigned char head[] = { 0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, 's', 0, 0, 33, 0, 1 };
	unsigned char *start = p;

	memcpy(p, head, sizeof head);
	p[7] = (unsigned char)n;
	p += sizeof head;
	for (unsigned i = 0; i < n; i++) {
		const unsigned char rr[] = { 0xc0, 12, 0, 33, 0, 1, 0, 0, 1, (unsigned char)i, 0, 9,
			srv[i][0] >> 8, (unsigned char)srv[i][0], srv[i][1] >> 8, (unsigned char)srv[i][1],
			srv[i][2] >> 8, (unsigned char)srv[i][2], 1, (unsigned char)('a' + i), 0 };

		memcpy(p, rr, sizeof rr);
		p += sizeof rr;
	}
	return (size_t)(p - start);
}

static void records_are_read_in_order_of_preference(void **state)
{
	const uint16_t srv[3][3] = { { 20, 0, 1 }, { 10, 1, 2 }, { 10, 5, 3 } };
	unsigned char p[200];
	struct srv_answer a;

	(void)state;
	assert_int_equal(srv_parse(&a, p, response(p, srv, 3)), 0);
	assert_int_equal(a.n, 3);
	assert_string_equal(a.srv[0].host, "c");
	assert_int_equal(a.srv[0].port, 3);
	assert_string_equal(a.srv[1].host, "b");
	assert_string_equal(a.srv[2].host, "a");
	assert_int_equal(a.srv[2].priority, 20);
	assert_int_equal(a.ttl_s, 256);
}

/* With too many records the best are used, not none. */
static void too_many_leave_the_best(void **state)
{
	uint16_t srv[20][3];
	unsigned char p[1024];
	struct srv_answer a;

	(void)state;
	for (uint16_t i = 0; i < 20; i++) {
		srv[i][0] = i % 10;
		srv[i][1] = i;
		srv[i][2] = 5060;
	}
	assert_int_equal(srv_parse(&a, p, response(p, srv, 20)), 0);
	assert_int_equal(a.n, SRV_TARGETS_MAX);
	for (unsigned i = 0; i < a.n; i++) {
		assert_int_equal(a.srv[i].priority, i / 2);
		assert_int_equal(a.srv[i].weight, i % 2 ? i / 2 : i / 2 + 10);
	}
}

/* Every length and every flipped bit: never beyond the bytes (ASan), never without an end. */
static void cut_and_twisted_responses_are_harmless(void **state)
{
	const uint16_t srv[3][3] = { { 20, 0, 1 }, { 10, 1, 2 }, { 10, 5, 3 } };
	unsigned char p[200];
	size_t len = response(p, srv, 3);
	struct srv_answer a;

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		unsigned char *exact = malloc(cut ? cut : 1);

		memcpy(exact, p, cut);
		assert_int_equal(srv_parse(&a, exact, cut), -EBADMSG);
		free(exact);
	}
	for (size_t bit = 0; bit < len * 8; bit++) {
		unsigned char *exact = malloc(len);

		memcpy(exact, p, len);
		exact[bit / 8] ^= (unsigned char)(1 << bit % 8);
		(void)srv_parse(&a, exact, len);
		assert_true(a.n <= 3);
		free(exact);
	}
}

static void lengths_that_lie_are_refused(void **state)
{
	enum { HEAD = 19, LENGTH = 11 }; /* of the response; where a record has the length of its data */
	const uint16_t srv[1][3] = { { 1, 0, 5060 } };
	unsigned char p[200];
	size_t len = response(p, srv, 1);
	struct srv_answer a;

	(void)state;
	assert_int_equal(p[HEAD + LENGTH], 9);
	p[HEAD + LENGTH] = 10;
	assert_int_equal(srv_parse(&a, p, len), -EBADMSG);
	p[HEAD + LENGTH] = 6;
	assert_int_equal(srv_parse(&a, p, len), -EBADMSG);
}

/* RFC 2782: "." alone means that there is no such service; beside others it is nonsense. */
static void the_root_as_a_target(void **state)
{
	const uint16_t srv[2][3] = { { 1, 0, 5060 }, { 2, 0, 5062 } };
	unsigned char p[200];
	size_t len = response(p, srv, 1);
	struct srv_answer a;

	(void)state;
	memcpy(p + len - 3, "\0\0\0", 3); /* the target; two bytes are left over */
	assert_int_equal(srv_parse(&a, p, len), 0);
	assert_int_equal(a.n, 0);
	assert_true(a.is_refused);
	len = response(p, srv, 2);
	memcpy(p + len - 3, "\0\0\0", 3);
	assert_int_equal(srv_parse(&a, p, len), 0);
	assert_int_equal(a.n, 1);
	assert_false(a.is_refused);
}

static struct found three(uint16_t w0, uint16_t w1, uint16_t w2)
{
	struct found f = { .n = 3, .target = { { 1, w0, 10, 1 }, { 1, w1, 20, 1 }, { 1, w2, 0, 1 } } };

	for (uint8_t i = 0; i < 3; i++)
		f.addr[i] = (struct addr){ .family = 4, .ip = { i } };
	return f;
}

static void weight_decides_the_first_place(void **state)
{
	struct found f = three(1, 2, 7);
	unsigned first[3] = { 0 };
	static const uint16_t ports[] = { 10, 20, 5060 };
	uint64_t random = 12345;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct resolve_answer a;
		unsigned seen = 0;

		found_order(&f, 5060, &random, &a);
		assert_int_equal(a.n, 3);
		for (unsigned j = 0; j < 3; j++) {
			seen |= 1u << a.addr[j].ip[0];
			assert_int_equal(a.addr[j].port, ports[a.addr[j].ip[0]]);
		}
		assert_int_equal(seen, 7); /* each once */
		first[a.addr[0].ip[0]]++;
	}
	assert_in_range(first[2], 6000, 7000);
	assert_in_range(first[1], 1600, 2400);
	assert_in_range(first[0], 800, 1900);
}

/* RFC 2782: weight 0 has a very small chance, not none. */
static void weight_zero_comes_rarely(void **state)
{
	struct found f = three(0, 50, 50);
	unsigned first = 0;
	uint64_t random = 99;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct resolve_answer a;

		found_order(&f, 5060, &random, &a);
		first += a.addr[0].ip[0] == 0;
	}
	assert_in_range(first, 1, 400);
}

static void priorities_are_never_mixed(void **state)
{
	struct found f = three(0, 65535, 10);
	uint64_t random = 7;

	(void)state;
	f.target[0].priority = 0;
	f.target[2].priority = 9;
	for (int i = 0; i < 1000; i++) {
		struct resolve_answer a;

		found_order(&f, 5060, &random, &a);
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(a.addr[j].ip[0], j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_in_order_of_preference),
		cmocka_unit_test(too_many_leave_the_best),
		cmocka_unit_test(cut_and_twisted_responses_are_harmless),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(the_root_as_a_target),
		cmocka_unit_test(weight_decides_the_first_place),
		cmocka_unit_test(weight_zero_comes_rarely),
		cmocka_unit_test(priorities_are_never_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
