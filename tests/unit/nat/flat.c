/* tests/unit/nat/flat.c - the figure of DESIGN section 8: of 10,000 contacts and more, pinged every 30 s, the busiest 10 ms get at most
 * twice the mean: over a minute, right after a second in which the loop stood still, and after half of them left and others came.
 * Phases are random; so are the contacts that leave. */
#include "base/list.h"
#include "nat/keeper.h"
#include "tests/unit/base/unit.h"
#include <stdio.h>

enum { EVERY_MS = 30000, MINUTE = 60000 / KEEPER_SLOT_MS, ANSWERED_AFTER = 5 /* slots */, RINGS = 3 };

struct phone {
	struct keep keep;
	struct phone *next_answer;
	uint32_t every_ms;
	uint32_t pings;
	bool is_silent;
};

struct scene {
	struct wheel wheel;
	struct keeper *keeper;
	struct phone *phones;
	uint32_t n;
	uint64_t seed;
	struct phone *answers[ANSWERED_AFTER];
	uint32_t sent[2 * MINUTE];     /* by slot since `begun` */
	uint64_t begun, deaths;
};

static struct keep_terms terms(void *ctx, const struct keep *e)
{
	(void)ctx;
	return (struct keep_terms){ owner_of(e, const struct phone, keep)->every_ms, 3 };
}

static bool has_spoken(void *ctx, const struct keep *e, uint32_t within_ms)
{
	(void)ctx;
	(void)e;
	(void)within_ms;
	return false;
}

static int ping(void *ctx, struct keep *e)
{
	struct scene *s = ctx;
	struct phone *p = owner_of(e, struct phone, keep);
	uint64_t slot = s->wheel.now_ms / KEEPER_SLOT_MS;

	assert_true(slot - s->begun < COUNT_OF(s->sent));
	s->sent[slot - s->begun]++;
	p->pings++;
	if (!p->is_silent) {
		p->next_answer = s->answers[slot % ANSWERED_AFTER];
		s->answers[slot % ANSWERED_AFTER] = p;
	}
	return KEEP_OPTIONS;
}

static void on_dead(void *ctx, struct keep *e)
{
	struct scene *s = ctx;

	(void)e;
	s->deaths++;
}

static void begin_count(struct scene *s)
{
	memset(s->sent, 0, sizeof(s->sent));
	s->begun = s->wheel.now_ms / KEEPER_SLOT_MS;
}

static void step(struct scene *s)
{
	uint64_t now = s->wheel.now_ms + KEEPER_SLOT_MS;
	struct phone **answers = &s->answers[now / KEEPER_SLOT_MS % ANSWERED_AFTER], *p;

	while ((p = *answers)) {
		*answers = p->next_answer;
		keeper_heard(s->keeper, &p->keep);
	}
	wheel_advance(&s->wheel, now, SIZE_MAX);
}

static void pass(struct scene *s, unsigned slots)
{
	while (slots-- > 0)
		step(s);
}

static double busiest(const struct scene *s, unsigned from, unsigned to, double *mean)
{
	uint64_t sum = 0;
	uint32_t most = 0;

	for (unsigned i = from; i < to; i++) {
		sum += s->sent[i];
		most = s->sent[i] > most ? s->sent[i] : most;
	}
	*mean = (double)sum / (to - from);
	return most;
}

static void judge(struct scene *s, const char *what, unsigned from, unsigned to)
{
	double mean, most = busiest(s, from, to, &mean);

	print_message("%8u contacts, %-28s busiest 10 ms %5.0f, mean %8.2f: %.2f\n", s->n, what, most, mean, most / mean);
	assert_true(most <= 2 * mean);
}

/* Contacts register over a minute or so, in any order. */
static void come(struct scene *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		if (!keep_is_kept(&s->phones[i].keep))
			assert_int_equal(keeper_add(s->keeper, &s->phones[i].keep, any(&s->seed)), 0);
		if (i % (s->n / 3000) == 0) {
			begin_count(s);
			step(s);
		}
	}
}

static void go(struct scene *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (any_below(&s->seed, 2))
			keeper_remove(s->keeper, &s->phones[i].keep);
}

/* Answers that are on their way. */
static void settle(struct scene *s)
{
	begin_count(s);
	pass(s, EVERY_MS / KEEPER_SLOT_MS + 10);
}

static void scene_begin(struct scene *s, uint32_t n, const uint32_t *every_ms, unsigned n_every)
{
	struct keeper_params p = { .wheel = &s->wheel, .terms = terms, .has_spoken = has_spoken, .ping = ping, .on_dead = on_dead, .ctx = s };

	memset(s, 0, sizeof(*s));
	wheel_init(&s->wheel, 1234567);
	s->seed = 88172645463325252u + n;
	s->n = n;
	s->phones = calloc(n, sizeof(*s->phones));
	assert_non_null(s->phones);
	for (uint32_t i = 0; i < n; i++)
		s->phones[i].every_ms = every_ms[i % n_every];
	assert_int_equal(keeper_new(&s->keeper, &p), 0);
	come(s, 0, n);
	settle(s);
}

static void scene_end(struct scene *s)
{
	assert_int_equal(s->deaths, 0);
	keeper_free(s->keeper);
	assert_int_equal(s->wheel.count, 0);
	free(s->phones);
}

static void all_pinged(struct scene *s, uint32_t least, uint32_t most)
{
	for (uint32_t i = 0; i < s->n; i++)
		assert_in_range(s->phones[i].pings, least, most);
}

static void forget_pings(struct scene *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		s->phones[i].pings = 0;
}

static void is_flat(uint32_t n)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	scene_begin(s, n, (const uint32_t[]){ EVERY_MS }, 1);
	begin_count(s);
	forget_pings(s);
	pass(s, MINUTE);
	judge(s, "one minute:", 1, MINUTE + 1);
	all_pinged(s, 1, 3);
	begin_count(s);
	wheel_advance(&s->wheel, s->wheel.now_ms + 1000, SIZE_MAX); /* the loop stood still */
	pass(s, MINUTE - 100);
	judge(s, "after a stall of a second:", 100, MINUTE);
	go(s);
	begin_count(s);
	pass(s, 10); /* the answers that are on their way */
	begin_count(s);
	pass(s, MINUTE);
	if (n > 10000) /* else those that are left are fewer */
		judge(s, "after half of them left:", 1, MINUTE + 1);
	come(s, 0, n);
	settle(s);
	begin_count(s);
	forget_pings(s);
	pass(s, MINUTE);
	judge(s, "after others came:", 1, MINUTE + 1);
	all_pinged(s, 1, 3);
	scene_end(s);
	free(s);
}

static void flat_10000(void **state)
{
	(void)state;
	is_flat(10000);
}

static void flat_100000(void **state)
{
	(void)state;
	is_flat(100000);
}

static void flat_1000000(void **state)
{
	(void)state;
	is_flat(1000000);
}

static void flat_with_several_intervals(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	scene_begin(s, 30000, (const uint32_t[]){ 30000, 20000, 45000 }, RINGS);
	settle(s);
	begin_count(s);
	pass(s, MINUTE);
	judge(s, "20, 30 and 45 s:", 1, MINUTE + 1);
	scene_end(s);
	free(s);
}

/* Half of them answer nothing: they are asked twice as often, until they are gone. */
static void flat_while_many_are_silent(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	scene_begin(s, 100000, (const uint32_t[]){ EVERY_MS }, 1);
	for (uint32_t i = 0; i < s->n; i += 2)
		s->phones[i].is_silent = true;
	begin_count(s);
	pass(s, MINUTE);
	judge(s, "every other silent:", 1, MINUTE + 1);
	pass(s, MINUTE / 2);
	assert_int_equal(s->deaths, s->n / 2);
	s->deaths = 0;
	scene_end(s);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flat_10000),
		cmocka_unit_test(flat_100000),
		cmocka_unit_test(flat_1000000),
		cmocka_unit_test(flat_with_several_intervals),
		cmocka_unit_test(flat_while_many_are_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
