/* The order of RFC 2782 and RFC 3263. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/srv.h"

static struct found three(uint16_t w0, uint16_t w1, uint16_t w2)
{
	struct found f = { .n = 3, .target = { { 1, w0, 10, 1, 0, T_UDP }, { 1, w1, 20, 1, 0, T_UDP }, { 1, w2, 0, 1, 0, T_UDP } } };

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

/* Many zones do not care and write 0 everywhere: none of their servers has all the calls. */
static void weights_of_zero_share_evenly(void **state)
{
	struct found f = three(0, 0, 0);
	unsigned first[3] = { 0 }, last[3] = { 0 };
	uint64_t random = 4711;

	(void)state;
	for (int i = 0; i < 9000; i++) {
		struct resolve_answer a;

		found_order(&f, 5060, &random, &a);
		assert_int_equal(a.n, 3);
		first[a.addr[0].ip[0]]++;
		last[a.addr[2].ip[0]]++;
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_in_range(first[i], 2800, 3200);
		assert_in_range(last[i], 2800, 3200);
	}
}

/* Beside one that has weight, each of them has its small chance. */
static void those_of_weight_zero_are_alike(void **state)
{
	struct found f = three(0, 9, 0);
	unsigned first[3] = { 0 };
	uint64_t random = 17;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct resolve_answer a;

		found_order(&f, 5060, &random, &a);
		first[a.addr[0].ip[0]]++;
	}
	assert_in_range(first[0], 800, 1200);
	assert_in_range(first[1], 17500, 18500);
	assert_in_range(first[2], 800, 1200);
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

/* RFC 3263 §4.1: what NAPTR prefers comes first, whatever the priorities are; every address keeps its transport and that one's port. */
static void ranks_come_before_priorities(void **state)
{
	struct found f = three(0, 65535, 10);
	uint64_t random = 7;

	(void)state;
	f.target[0].priority = 0;
	f.target[0].rank = 2;
	f.target[1].port = 0;
	f.target[2].priority = 9;
	f.target[2].transport = T_TLS;
	for (int i = 0; i < 1000; i++) {
		struct resolve_answer a;

		found_order(&f, 0, &random, &a);
		assert_int_equal(a.addr[0].ip[0], 1);
		assert_int_equal(a.addr[0].port, 5060);
		assert_int_equal(a.addr[1].ip[0], 2);
		assert_int_equal(a.addr[1].port, 5061);
		assert_int_equal(a.transport[1], T_TLS);
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(a.tier[j], j);
		assert_int_equal(a.addr[2].ip[0], 0);
		assert_int_equal(a.transport[2], T_UDP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weight_decides_the_first_place),
		cmocka_unit_test(weight_zero_comes_rarely),
		cmocka_unit_test(weights_of_zero_share_evenly),
		cmocka_unit_test(those_of_weight_zero_are_alike),
		cmocka_unit_test(priorities_are_never_mixed),
		cmocka_unit_test(ranks_come_before_priorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
