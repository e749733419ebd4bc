/* registrar/admit.c: a wave of registrations against a rate. */
#include "registrar/admit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { WAVE = 100000, RATE = 2000, WAVE_MS = 10000, LONGEST_MS = 120000 };

/* When a client comes next: those of one millisecond in a row. */
struct wave {
	struct admission a;
	unsigned *next, first[LONGEST_MS];
	unsigned admitted, per_s[LONGEST_MS / 1000], refusals;
};

static void comes(struct wave *w, unsigned client, unsigned at_ms)
{
	assert_true(at_ms < LONGEST_MS);
	w->next[client] = w->first[at_ms];
	w->first[at_ms] = client + 1;
}

/* Returns when the last one was admitted. */
static unsigned run(struct wave *w, unsigned known_every)
{
	unsigned last = 0;

	for (unsigned now = 0; now < LONGEST_MS && w->admitted < WAVE; now++)
		for (unsigned c = w->first[now], next; c; c = next) {
			unsigned wait = admit(&w->a, RATE * 60, 1000000 + now, known_every && c % known_every == 0);

			next = w->next[c - 1];
			if (wait) {
				w->refusals++;
				comes(w, c - 1, now + wait * 1000);
				continue;
			}
			w->admitted++;
			w->per_s[now / 1000]++;
			last = now;
		}
	return last;
}

static struct wave *wave_new(void)
{
	struct wave *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->next = calloc(WAVE, sizeof(*w->next));
	assert_non_null(w->next);
	return w;
}

static void wave_free(struct wave *w)
{
	free(w->next);
	free(w);
}

/* 100,000 within ten seconds, 2,000 a second: 50 seconds are needed, and not more than a fifth above that are taken. */
static void a_wave_is_back_as_fast_as_the_rate_allows(void **state)
{
	struct wave *w = wave_new();
	unsigned last;

	(void)state;
	for (unsigned i = 0; i < WAVE; i++)
		comes(w, i, i / (WAVE / WAVE_MS));
	last = run(w, 0);
	printf("%u clients, %u/s: all are back after %u.%03u s, %u refusals\n", WAVE, RATE, last / 1000, last % 1000, w->refusals);
	assert_int_equal(w->admitted, WAVE);
	assert_true(last <= WAVE / RATE * 1200);
	for (unsigned s = 0, sum = 0; s < LONGEST_MS / 1000; s++) {
		sum += w->per_s[s];
		assert_true(sum <= RATE * (s + 2));
	}
	wave_free(w);
}

/* All at once is no worse. */
static void all_at_once_too(void **state)
{
	struct wave *w = wave_new();

	(void)state;
	for (unsigned i = 0; i < WAVE; i++)
		comes(w, i, 0);
	assert_true(run(w, 0) <= WAVE / RATE * 1200);
	wave_free(w);
}

/* Strangers in any number: who is registered has his share. */
static void who_is_known_has_a_share(void **state)
{
	struct admission a = { 0 };
	unsigned known = 0, strangers = 0;

	(void)state;
	for (uint64_t ms = 1; ms <= 60000; ms++) {
		for (unsigned i = 0; i < 20; i++)
			strangers += admit(&a, RATE * 60, ms, false) == 0;
		known += admit(&a, RATE * 60, ms, true) == 0; /* 1,000 a second */
	}
	assert_int_equal(known, 60000);
	assert_in_range(strangers, 60000, 62500);
}

static void a_slow_rate_is_kept_too(void **state)
{
	struct admission a = { 0 };

	(void)state;
	assert_int_equal(admit(&a, 10, 5000, false), 0); /* ten a minute: one in six seconds */
	assert_int_equal(admit(&a, 10, 5000, false), 1);
	assert_int_equal(admit(&a, 10, 5000, false), 7);
	assert_int_equal(admit(&a, 10, 10999, false), 8);
	assert_int_equal(admit(&a, 10, 11000, false), 0);
}

/* A flood does not send everybody away for ever. */
static void no_place_is_promised_beyond_a_bound(void **state)
{
	struct admission a = { 0 };
	unsigned longest = 0, wait;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		wait = admit(&a, 600, 1000, false);
		longest = wait > longest ? wait : longest;
	}
	assert_int_equal(longest, ADMIT_WAIT_MAX_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wave_is_back_as_fast_as_the_rate_allows),
		cmocka_unit_test(all_at_once_too),
		cmocka_unit_test(who_is_known_has_a_share),
		cmocka_unit_test(a_slow_rate_is_kept_too),
		cmocka_unit_test(no_place_is_promised_beyond_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
