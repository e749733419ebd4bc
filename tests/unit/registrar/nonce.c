/* Unit tests of registrar/nonce.h: age, scope, keys that change, repetitions, and that nothing is accepted twice. */
#include "registrar/nonce.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { NOW = 1800000000 };
#define NOW_MS (UINT64_C(1000) * NOW)

static const struct hash_key key = { 1, 2 };
static const struct nonce_scope alice = { SV("example.com"), SV("public"), SV("alice@example.com") };

struct world {
	struct digester *digester;
	struct nonces *nonces;
};

static struct nonces *with_keys(struct digester *d, const uint8_t *fill, unsigned n)
{
	uint8_t keys[NONCE_KEYS_MAX][NONCE_KEY_LEN];
	struct nonces *nonces;

	for (unsigned i = 0; i < n; i++)
		memset(keys[i], fill[i], NONCE_KEY_LEN);
	assert_int_equal(nonces_new(&nonces, (const uint8_t(*)[NONCE_KEY_LEN])keys, n, &key, d), 0);
	return nonces;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(digester_new(&w->digester), 0);
	w->nonces = with_keys(w->digester, (const uint8_t[]){ 1 }, 1);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	nonces_free(w->nonces);
	digester_free(w->digester);
	free(w);
	return 0;
}

static struct sv text(const char nonce[NONCE_LEN])
{
	return (struct sv){ nonce, NONCE_LEN };
}

static void make(struct world *w, uint64_t request, uint64_t ms, char out[NONCE_LEN])
{
	assert_int_equal(nonce_make(w->nonces, &alice, request, ms, out), 0);
}

static void good_for_five_minutes(void **state)
{
	struct world *w = *state;
	char n[NONCE_LEN];

	make(w, 7, NOW_MS, n);
	assert_int_equal(nonce_check(w->nonces, &alice, text(n), NOW_MS), 0);
	assert_int_equal(nonce_check(w->nonces, &alice, text(n), NOW_MS + NONCE_AGE_MS), 0);
	assert_int_equal(nonce_check(w->nonces, &alice, text(n), NOW_MS + NONCE_AGE_MS + 1), -ESTALE);
	assert_int_equal(nonce_check(w->nonces, &alice, text(n), NOW_MS - NONCE_AHEAD_MS), 0);
	assert_int_equal(nonce_check(w->nonces, &alice, text(n), NOW_MS - NONCE_AHEAD_MS - 1), -ESTALE);
}

static void good_for_one_realm_zone_and_subject(void **state)
{
	static const struct nonce_scope others[] = {
		{ SV("example.org"), SV("public"), SV("alice@example.com") },
		{ SV("example.com"), SV("core"), SV("alice@example.com") },
		{ SV("example.com"), SV("public"), SV("bob@example.com") },
		{ SV("example.compublic"), SV(""), SV("alice@example.com") },
		{ SV("example.com"), SV("publicalice"), SV("@example.com") },
	};
	struct world *w = *state;
	char n[NONCE_LEN];

	make(w, 7, NOW_MS, n);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(nonce_check(w->nonces, &others[i], text(n), NOW_MS), -ESTALE);
}

static void a_changed_one_is_refused(void **state)
{
	struct world *w = *state;
	char n[NONCE_LEN], changed[NONCE_LEN];

	make(w, 7, NOW_MS, n);
	for (unsigned i = 0; i < NONCE_LEN; i++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(changed, n, NONCE_LEN);
			changed[i] = (char)byte;
			if (changed[i] != n[i] && nonce_check(w->nonces, &alice, text(changed), NOW_MS) == 0)
				fail_msg("byte %u as %u", i, byte);
		}
	assert_int_equal(nonce_check(w->nonces, &alice, (struct sv){ n, NONCE_LEN - 1 }, NOW_MS), -ESTALE);
	assert_int_equal(nonce_check(w->nonces, &alice, SV(""), NOW_MS), -ESTALE);
}

/* Lessons 55: a repeated request has no second nonce. */
static void a_repetition_gets_the_same(void **state)
{
	struct world *w = *state;
	char first[NONCE_LEN], again[NONCE_LEN];

	make(w, 7, NOW_MS, first);
	make(w, 7, NOW_MS + NONCE_AGAIN_MS, again);
	assert_memory_equal(first, again, NONCE_LEN);
	make(w, 7, NOW_MS + NONCE_AGAIN_MS + 1, again);
	assert_memory_not_equal(first, again, NONCE_LEN);
	make(w, 8, NOW_MS, again);
	assert_memory_not_equal(first, again, NONCE_LEN);
}

static void keys_change(void **state)
{
	struct world *w = *state;
	struct nonces *next = with_keys(w->digester, (const uint8_t[]){ 2, 1 }, 2);
	struct nonces *later = with_keys(w->digester, (const uint8_t[]){ 2 }, 1);
	char old[NONCE_LEN], new[NONCE_LEN];

	make(w, 7, NOW_MS, old);
	assert_int_equal(nonce_check(next, &alice, text(old), NOW_MS), 0);
	assert_int_equal(nonce_make(next, &alice, 7, NOW_MS, new), 0);
	assert_int_equal(nonce_check(later, &alice, text(new), NOW_MS), 0); /* another node with the same key */
	assert_int_equal(nonce_check(later, &alice, text(old), NOW_MS), -ESTALE);
	nonces_free(next);
	nonces_free(later);
}

static int use(struct world *w, const char *n, uint32_t nc, uint64_t request)
{
	return nonce_use(w->nonces, text(n), nc, request, NOW_MS);
}

static void each_count_once(void **state)
{
	struct world *w = *state;
	char n[NONCE_LEN];

	make(w, 7, NOW_MS, n);
	assert_int_equal(use(w, n, 1, 100), 0);
	assert_int_equal(use(w, n, 1, 100), -EALREADY);
	assert_int_equal(use(w, n, 1, 101), -ESTALE); /* another request with the same count: a replay */
	assert_int_equal(use(w, n, 5, 102), 0);
	assert_int_equal(use(w, n, 4, 103), -ESTALE);
	assert_int_equal(use(w, n, 1, 100), -ESTALE);
	assert_int_equal(use(w, n, 5, 102), -EALREADY);
	assert_int_equal(use(w, n, UINT32_MAX, 104), 0);
}

/* More nonces than can be remembered: some are asked for again, none is accepted twice. */
static void none_twice_though_the_set_is_full(void **state)
{
	enum { MANY = NONCE_BUCKETS * NONCE_WAYS * 2 };
	struct world *w = *state;
	char (*n)[NONCE_LEN] = malloc((size_t)MANY * NONCE_LEN);
	unsigned refused = 0;

	assert_non_null(n);
	for (unsigned i = 0; i < MANY; i++) {
		make(w, i + 1, NOW_MS + i, n[i]); /* later and later */
		refused += nonce_use(w->nonces, text(n[i]), 1, i, NOW_MS + i) != 0;
	}
	assert_int_equal(refused, 0); /* what is new finds room: what is old makes it */
	for (unsigned i = 0; i < MANY; i++)
		assert_int_not_equal(nonce_use(w->nonces, text(n[i]), 1, MANY + i, NOW_MS + MANY), 0);
	free(n);
}

/* Older ones that come after newer ones had to go may have been used. */
static void an_old_one_that_nobody_remembers_is_stale(void **state)
{
	enum { MANY = NONCE_BUCKETS * NONCE_WAYS * 4 };
	struct world *w = *state;
	char old[NONCE_LEN], n[NONCE_LEN];

	make(w, 1, NOW_MS, old);
	for (unsigned i = 0; i < MANY; i++) {
		make(w, i + 2, NOW_MS + 1 + i, n);
		assert_int_equal(nonce_use(w->nonces, text(n), 1, i, NOW_MS + MANY), 0);
	}
	assert_int_equal(nonce_use(w->nonces, text(old), 1, 0, NOW_MS + MANY), -ESTALE);
}

/* A clock that is set back: what is made now is good, whatever had been lost. */
static void the_clock_goes_back(void **state)
{
	enum { MANY = NONCE_BUCKETS * NONCE_WAYS * 4 };
	struct world *w = *state;
	char n[NONCE_LEN];

	for (unsigned i = 0; i < MANY; i++) {
		make(w, i + 1, NOW_MS + i, n);
		nonce_use(w->nonces, text(n), 1, i, NOW_MS + i);
	}
	make(w, MANY + 1, NOW_MS - 3600000, n);
	assert_int_equal(nonce_check(w->nonces, &alice, text(n), NOW_MS - 3600000), 0);
	assert_int_equal(nonce_use(w->nonces, text(n), 1, MANY, NOW_MS - 3600000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_for_five_minutes, setup, teardown),
		cmocka_unit_test_setup_teardown(good_for_one_realm_zone_and_subject, setup, teardown),
		cmocka_unit_test_setup_teardown(a_changed_one_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_repetition_gets_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_change, setup, teardown),
		cmocka_unit_test_setup_teardown(each_count_once, setup, teardown),
		cmocka_unit_test_setup_teardown(none_twice_though_the_set_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(an_old_one_that_nobody_remembers_is_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(the_clock_goes_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
