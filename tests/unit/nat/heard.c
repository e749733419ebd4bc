/* tests/unit/nat/heard.c */
#include "nat/heard.h"
#include "tests/unit/base/unit.h"
#include <stdio.h>

static const struct hash_key key = { 3, 4 };

static struct path at(const char *text, uint8_t transport, uint64_t flow)
{
	struct path p = { .transport = transport, .flow = flow };

	assert_int_equal(addr_parse(&p.remote, sv_from(text)), 0);
	p.remote.port = 5060;
	return p;
}

static void who_was_heard_when(void **state)
{
	struct path alice = at("192.0.2.1", T_UDP, 0), other;
	struct heard *h;

	(void)state;
	assert_int_equal(heard_new(&h, &key, 1024), 0);
	assert_false(heard_within(h, &alice, 5000, UINT32_MAX));
	heard_note(h, &alice, 5000);
	assert_true(heard_within(h, &alice, 5000, 1000));
	assert_true(heard_within(h, &alice, 5900, 1000));
	assert_true(heard_within(h, &alice, 4900, 1000)); /* by a clock that is a moment behind */
	for (uint64_t ms = 6000; ms < 100000; ms += 10) /* never when it is longer ago */
		assert_false(heard_within(h, &alice, ms, 1000));
	other = at("192.0.2.2", T_UDP, 0);
	assert_false(heard_within(h, &other, 5000, 1000));
	other = alice;
	other.listener = 1;
	assert_false(heard_within(h, &other, 5000, 1000));
	other = alice;
	other.remote.port = 5061;
	assert_false(heard_within(h, &other, 5000, 1000));
	other = alice;
	other.flow = 7;
	other.transport = T_TCP;
	assert_false(heard_within(h, &other, 5000, 1000));
	heard_note(h, &other, 5000);
	other.remote.port = 1; /* a connection is what it is */
	assert_true(heard_within(h, &other, 5000, 1000));
	heard_free(h);
}

static void time_wraps(void **state)
{
	uint64_t wrap = (uint64_t)HEARD_GRAIN_MS << 31;
	struct path alice = at("192.0.2.1", T_UDP, 0);
	struct heard *h;

	(void)state;
	assert_int_equal(heard_new(&h, &key, 1024), 0);
	heard_note(h, &alice, wrap - 500);
	assert_true(heard_within(h, &alice, wrap + 400, 1000));
	assert_false(heard_within(h, &alice, wrap + 600, 1000));
	heard_note(h, &alice, 0);
	assert_true(heard_within(h, &alice, 900, 1000));
	heard_free(h);
}

/* A tenth as many as there are places: nobody is forgotten, or pings that were answered would count as lost. */
static void there_is_room(void **state)
{
	struct heard *h;

	(void)state;
	assert_int_equal(heard_new(&h, &key, HEARD_PLACES), 0);
	for (unsigned i = 0; i < HEARD_PLACES / 10; i++) {
		struct path p = { .transport = T_TCP, .flow = i + 1 };

		heard_note(h, &p, 1000000 + i);
	}
	for (unsigned i = 0; i < HEARD_PLACES / 10; i++) {
		struct path p = { .transport = T_TCP, .flow = i + 1 };

		assert_true(heard_within(h, &p, 1000000 + i, 1000));
	}
	heard_free(h);
}

/* Who was heard longest ago makes room, and nobody else. */
static void the_oldest_makes_room(void **state)
{
	struct path young = { .transport = T_TCP, .flow = 1 }, p = young;
	struct heard *h;

	(void)state;
	assert_int_equal(heard_new(&h, &key, 16), 0);
	for (p.flow = 2; p.flow < 2000; p.flow++) {
		heard_note(h, &young, 1000000 + p.flow * 100);
		heard_note(h, &p, 1000000 + p.flow * 100);
		assert_true(heard_within(h, &young, 1000000 + p.flow * 100, 1000));
	}
	heard_free(h);
}

/* Without room who was heard is forgotten, and nobody is taken for another. */
static void places_are_shared(void **state)
{
	unsigned forgotten = 0;
	struct heard *h;

	(void)state;
	assert_int_equal(heard_new(&h, &key, 256), 0);
	for (unsigned i = 0; i < 4096; i++) {
		struct path p = at("192.0.2.1", T_TCP, i + 1);

		assert_false(heard_within(h, &p, 1000000, UINT32_MAX));
		heard_note(h, &p, 1000000);
		assert_true(heard_within(h, &p, 1000000, 1000));
	}
	for (unsigned i = 0; i < 4096; i++) {
		struct path p = at("192.0.2.1", T_TCP, i + 1);

		forgotten += !heard_within(h, &p, 1000000, 1000);
	}
	assert_in_range(forgotten, 4096 - 256, 4096 - 200);
	heard_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_was_heard_when), cmocka_unit_test(time_wraps), cmocka_unit_test(there_is_room),
		cmocka_unit_test(the_oldest_makes_room), cmocka_unit_test(places_are_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
