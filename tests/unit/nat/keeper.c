/* tests/unit/nat/keeper.c - who is pinged when, and when somebody is gone. One contact or a few, to the slot. */
#include "nat/keeper.h"
#include "base/list.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { EVERY_MS = 30000, PHONES = 256 };

struct phone {
	struct keep keep;
	uint32_t every_ms;
	unsigned pings, deaths;
	uint64_t pinged_ms, spoke_ms;
	int kind;
	bool answers;
};

struct scene {
	struct wheel wheel;
	struct keeper *keeper;
	struct log *log;
	struct phone phones[PHONES];
	unsigned misses;
	bool removes_next;             /* a ping does, the one behind it */
	unsigned removed;
};

static struct keep_terms terms(void *ctx, const struct keep *e)
{
	struct scene *s = ctx;

	return (struct keep_terms){ owner_of(e, const struct phone, keep)->every_ms, s->misses };
}

static bool has_spoken(void *ctx, const struct keep *e, uint32_t within_ms)
{
	struct scene *s = ctx;
	const struct phone *p = owner_of(e, const struct phone, keep);

	return p->spoke_ms && s->wheel.now_ms - p->spoke_ms <= within_ms;
}

static void remove_next(struct scene *s, struct keep *e)
{
	struct keep *next = e->next;

	if (!s->removes_next || !next)
		return;
	keeper_remove(s->keeper, next);
	s->removed++;
}

static int ping(void *ctx, struct keep *e)
{
	struct scene *s = ctx;
	struct phone *p = owner_of(e, struct phone, keep);

	assert_true(keep_is_kept(e));
	p->pings++;
	p->pinged_ms = s->wheel.now_ms;
	remove_next(s, e);
	return p->kind;
}

static void on_dead(void *ctx, struct keep *e)
{
	struct phone *p = owner_of(e, struct phone, keep);

	(void)ctx;
	assert_false(keep_is_kept(e));
	p->deaths++;
}

static int scene_begin(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct keeper_params p = { .wheel = &s->wheel, .terms = terms, .has_spoken = has_spoken, .ping = ping, .on_dead = on_dead, .ctx = s };

	wheel_init(&s->wheel, 1000000);
	s->misses = 3;
	for (unsigned i = 0; i < PHONES; i++)
		s->phones[i].every_ms = EVERY_MS;
	*state = s;
	return keeper_new(&s->keeper, &p);
}

static int scene_end(void **state)
{
	struct scene *s = *state;

	keeper_free(s->keeper);
	if (s->wheel.count)
		return -1;
	free(s);
	return 0;
}

/* One that answers does so 20 ms after its ping. */
static void after_ms(struct scene *s, uint64_t ms)
{
	uint64_t until = s->wheel.now_ms + ms;

	while (s->wheel.now_ms < until) {
		wheel_advance(&s->wheel, s->wheel.now_ms + KEEPER_SLOT_MS, SIZE_MAX);
		for (struct phone *p = s->phones; p < s->phones + PHONES; p++)
			if (p->answers && p->pinged_ms && p->pinged_ms + 20 == s->wheel.now_ms)
				keeper_heard(s->keeper, &p->keep);
	}
}

static struct phone *come(struct scene *s, unsigned i, bool answers)
{
	struct phone *p = &s->phones[i];

	p->answers = answers;
	assert_int_equal(keeper_add(s->keeper, &p->keep, (uint64_t)i << 56), 0);
	assert_true(keep_is_kept(&p->keep));
	return p;
}

static uint64_t count(struct scene *s, enum keeper_counter which)
{
	return counter_get(keeper_counters(s->keeper), which);
}

/* Time until its next ping, which has to come. */
static uint64_t until_ping(struct scene *s, struct phone *p)
{
	unsigned before = p->pings;
	uint64_t begun = s->wheel.now_ms;

	while (p->pings == before && s->wheel.now_ms - begun <= 2 * EVERY_MS)
		after_ms(s, KEEPER_SLOT_MS);
	assert_int_equal(p->pings, before + 1);
	return s->wheel.now_ms - begun;
}

static bool is_at_home(const struct phone *p)
{
	return p->pinged_ms / KEEPER_SLOT_MS % (EVERY_MS / KEEPER_SLOT_MS) == p->keep.slot;
}

static void every_interval_at_its_place(void **state)
{
	struct scene *s = *state;
	struct phone *other = come(s, 200, true), *p;

	after_ms(s, 3 * EVERY_MS);
	p = come(s, 20, true);
	after_ms(s, 3 * EVERY_MS);
	assert_true(is_at_home(p));
	assert_true(is_at_home(other));
	keeper_remove(s->keeper, &other->keep);
	keeper_remove(s->keeper, &p->keep);
	assert_int_equal(s->wheel.count, 1); /* the keeper's, which finds nobody and sleeps */
	after_ms(s, EVERY_MS);
	assert_int_equal(s->wheel.count, 0);
}

/* Who was pinged half an interval away, because he had spoken, comes back to his place: else places would not tell how busy a slot is. */
static void back_to_its_place(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 20, true);

	after_ms(s, 3 * EVERY_MS);
	while (until_ping(s, p) != EVERY_MS)
		;
	after_ms(s, EVERY_MS - 1000);
	p->spoke_ms = s->wheel.now_ms;
	assert_int_equal(until_ping(s, p), EVERY_MS / 2 + 1000);
	assert_false(is_at_home(p));
	assert_int_equal(until_ping(s, p), EVERY_MS / 2);
	assert_true(is_at_home(p));
	assert_int_equal(until_ping(s, p), EVERY_MS);
	assert_true(is_at_home(p));
}

static void every_interval(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 20, true);

	assert_true(until_ping(s, p) <= EVERY_MS);
	for (unsigned i = 0; i < 10; i++) /* but for one ping more at first, which takes it to its place */
		assert_in_range(until_ping(s, p), i == 0 ? EVERY_MS / 2 : EVERY_MS, EVERY_MS);
	assert_int_equal(count(s, KEEPER_OPTIONS), p->pings);
	assert_int_equal(count(s, KEEPER_ANSWERS), p->pings - 1); /* the last is on its way */
	assert_int_equal(count(s, KEEPER_MISSES), 0);
	assert_int_equal(count(s, KEEPER_CONTACTS), 1);
}

static void nobody_is_silent_for_longer(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; i < PHONES; i++) {
		struct phone *p = come(s, i, true);
		uint64_t came_ms = s->wheel.now_ms;

		while (p->pings == 0)
			after_ms(s, KEEPER_SLOT_MS);
		assert_in_range(s->wheel.now_ms - came_ms, 1, EVERY_MS);
		for (unsigned n = 0; n < 4; n++)
			assert_in_range(until_ping(s, p), EVERY_MS / 2, EVERY_MS);
		after_ms(s, 777);
	}
}

static void three_misses(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 1, false);
	uint64_t first_ms;

	until_ping(s, p);
	first_ms = p->pinged_ms;
	assert_int_equal(until_ping(s, p), EVERY_MS / 2);
	assert_int_equal(until_ping(s, p), EVERY_MS / 2);
	after_ms(s, EVERY_MS / 2 - KEEPER_SLOT_MS);
	assert_int_equal(p->deaths, 0);
	after_ms(s, KEEPER_SLOT_MS);
	assert_int_equal(p->deaths, 1);
	assert_int_equal(s->wheel.now_ms - first_ms, 3 * EVERY_MS / 2);
	after_ms(s, 2 * EVERY_MS);
	assert_int_equal(p->pings, 3);
	assert_int_equal(p->deaths, 1);
	assert_int_equal(count(s, KEEPER_LOST), 1);
	assert_int_equal(count(s, KEEPER_MISSES), 3);
	assert_int_equal(count(s, KEEPER_CONTACTS), 0);
}

/* The same when the loop comes late to everything. */
static void three_misses_in_a_late_loop(void **state)
{
	struct scene *s = *state;

	for (unsigned late_ms = 110; late_ms < 200; late_ms += 10) {
		struct phone *p = come(s, late_ms, false);

		for (unsigned turns = 0; !p->deaths && turns < 1000; turns++)
			wheel_advance(&s->wheel, s->wheel.now_ms + late_ms, SIZE_MAX);
		assert_int_equal(p->pings, 3);
		assert_int_equal(p->deaths, 1);
	}
}

/* Whoever wants to be visited often is not kept waiting by those who do not. */
static void short_beside_long(void **state)
{
	struct scene *s = *state;
	struct phone *p = &s->phones[1];

	s->phones[200].every_ms = KEEPER_EVERY_MAX_MS;
	come(s, 200, true);
	p->every_ms = 5000;
	p = come(s, 1, true);
	after_ms(s, 5000);
	assert_int_equal(p->pings, 1);
}

static void an_answer_forgives(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 1, false);

	for (unsigned i = 0; i < 10; i++) {
		until_ping(s, p);
		until_ping(s, p); /* one miss */
		until_ping(s, p); /* two */
		keeper_heard(s->keeper, &p->keep);
	}
	assert_int_equal(p->deaths, 0);
	assert_int_equal(count(s, KEEPER_LOST), 0);
}

static void who_speaks_is_spared(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, true);

	for (unsigned i = 0; i < 20; i++) {
		p->spoke_ms = s->wheel.now_ms;
		after_ms(s, EVERY_MS / 2);
	}
	assert_int_equal(p->pings, 0);
	assert_true(count(s, KEEPER_SPARED) >= 19);
	p->spoke_ms = s->wheel.now_ms;
	assert_in_range(until_ping(s, p), EVERY_MS / 2, EVERY_MS);
	after_ms(s, 10 * EVERY_MS);
	assert_in_range(p->pings, 10, 12);
}

static void speaking_forgives(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, false);

	until_ping(s, p);
	until_ping(s, p);
	until_ping(s, p);
	p->spoke_ms = s->wheel.now_ms;
	until_ping(s, p);
	until_ping(s, p);
	until_ping(s, p);
	assert_int_equal(p->deaths, 0);
	after_ms(s, EVERY_MS / 2);
	assert_int_equal(p->deaths, 1);
}

static void what_needs_no_answer(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, false);

	p->kind = KEEP_CRLF;
	until_ping(s, p);
	until_ping(s, p);
	assert_int_equal(until_ping(s, p), EVERY_MS);
	assert_int_equal(until_ping(s, p), EVERY_MS);
	p->kind = KEEP_EMPTY;
	after_ms(s, 20 * EVERY_MS);
	assert_int_equal(p->deaths, 0);
	assert_int_equal(count(s, KEEPER_MISSES), 0);
	assert_int_equal(count(s, KEEPER_CRLF), 4);
	assert_int_equal(count(s, KEEPER_EMPTY), 20);
}

static void a_connection_that_is_gone(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, true);

	p->kind = -ENOTCONN;
	until_ping(s, p);
	assert_int_equal(p->deaths, 1);
	assert_int_equal(count(s, KEEPER_LOST), 1);
	p = come(s, 6, true);
	p->kind = -ENOBUFS;
	after_ms(s, 4 * EVERY_MS);
	assert_int_equal(p->deaths, 0);
	assert_true(count(s, KEEPER_FAILED) >= 4);
	assert_int_equal(count(s, KEEPER_MISSES), 0);
}

static void terms_change(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, true);

	until_ping(s, p);
	p->every_ms = 10000;
	after_ms(s, EVERY_MS);
	until_ping(s, p);
	until_ping(s, p);
	assert_int_equal(until_ping(s, p), 10000);
	p->every_ms = 1; /* as short as may be */
	after_ms(s, 10000);
	until_ping(s, p);
	assert_int_equal(until_ping(s, p), KEEPER_EVERY_MIN_MS);
	p->every_ms = 0;
	after_ms(s, EVERY_MS);
	assert_false(keep_is_kept(&p->keep));
	assert_int_equal(p->deaths, 0);
	assert_int_equal(keeper_add(s->keeper, &p->keep, 0), 0); /* needs none */
	assert_false(keep_is_kept(&p->keep));
	assert_int_equal(count(s, KEEPER_CONTACTS), 0);
	assert_int_equal(s->wheel.count, 0); /* nothing to wake up for */
}

static void intervals_are_bounded(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; i < KEEPER_RINGS_MAX; i++) {
		s->phones[i].every_ms = 2000 + 1000 * i;
		come(s, i, true);
	}
	s->phones[40].every_ms = 999000; /* cut to the longest */
	assert_int_equal(keeper_add(s->keeper, &s->phones[40].keep, 0), -ENOSPC);
	assert_int_equal(count(s, KEEPER_REFUSED), 1);
	keeper_remove(s->keeper, &s->phones[3].keep);
	assert_int_equal(keeper_add(s->keeper, &s->phones[40].keep, 0), 0); /* takes the place of an interval nobody has */
	assert_int_equal(keeper_add(s->keeper, &s->phones[40].keep, 0), 0);
	assert_int_equal(count(s, KEEPER_CONTACTS), KEEPER_RINGS_MAX);
}

static void pause_and_go_on(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, false), *late = &s->phones[6];

	until_ping(s, p);
	keeper_pause(s->keeper, true);
	assert_true(keeper_is_paused(s->keeper));
	assert_int_equal(s->wheel.count, 0);
	after_ms(s, 10 * EVERY_MS);
	late = come(s, 6, true);
	assert_int_equal(s->wheel.count, 0);
	after_ms(s, 10 * EVERY_MS);
	assert_int_equal(p->pings + late->pings, 1);
	assert_int_equal(p->deaths, 0);
	keeper_pause(s->keeper, false);
	after_ms(s, EVERY_MS);
	assert_true(late->pings > 0);
	assert_true(p->pings > 1);
	assert_int_equal(count(s, KEEPER_MISSES), p->pings - 2); /* what was asked before the pause does not count */
	after_ms(s, 2 * EVERY_MS);
	assert_int_equal(p->deaths, 1);
	assert_int_equal(late->deaths, 0);
}

/* What was asked before may have been answered unheard. */
static void a_long_sleep_kills_nobody(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, false);

	until_ping(s, p);
	until_ping(s, p);
	assert_int_equal(p->keep.misses, 1);
	for (unsigned i = 0; i < 10; i++)
		wheel_advance(&s->wheel, s->wheel.now_ms + 3600000, SIZE_MAX);
	assert_int_equal(p->deaths, 0);
	assert_int_equal(p->keep.misses, 1);
}

/* Of an answer that is only seen in that he has spoken, the next look may be late. */
static void a_late_look_finds_the_answer(void **state)
{
	struct scene *s = *state;
	struct phone *p = come(s, 5, false);

	for (unsigned i = 0; i < 8; i++) {
		until_ping(s, p);
		p->spoke_ms = s->wheel.now_ms + 20;
		after_ms(s, EVERY_MS / 2 - 100);
		wheel_advance(&s->wheel, s->wheel.now_ms + 1000, SIZE_MAX);
		after_ms(s, 100);
	}
	assert_int_equal(count(s, KEEPER_MISSES), 0);
	assert_int_equal(p->deaths, 0);
}

static void silence_of_all_is_our_own(void **state)
{
	struct scene *s = *state;
	uint64_t deaths = 0;

	for (unsigned i = 0; i < KEEPER_CROWD; i++)
		come(s, i, false);
	after_ms(s, 10 * EVERY_MS);
	assert_int_equal(count(s, KEEPER_LOST), 0);
	assert_true(count(s, KEEPER_SPARED_DEATHS) > 0);
	s->phones[0].answers = true; /* one is back: the others are gone */
	after_ms(s, 3 * EVERY_MS);
	for (unsigned i = 0; i < KEEPER_CROWD; i++)
		deaths += s->phones[i].deaths;
	assert_int_equal(deaths, KEEPER_CROWD - 1);
	assert_int_equal(s->phones[0].deaths, 0);
}

/* More contacts than places: whoever is pinged takes with him the one who would be next; they come back later. */
static void others_come_and_go_meanwhile(void **state)
{
	struct scene *s = *state;

	s->removes_next = true;
	for (unsigned i = 0; i < PHONES; i++) {
		s->phones[i].every_ms = KEEPER_EVERY_MIN_MS;
		come(s, i, i % 2);
	}
	for (unsigned round = 0; round < 10; round++) {
		unsigned removed = s->removed;

		after_ms(s, 2 * KEEPER_EVERY_MIN_MS);
		assert_true(s->removed > removed);
		for (unsigned i = 0; i < PHONES; i++)
			come(s, i, i % 2);
		assert_int_equal(count(s, KEEPER_CONTACTS), PHONES);
	}
	for (unsigned i = 0; i < PHONES; i++)
		keeper_remove(s->keeper, &s->phones[i].keep);
	assert_int_equal(count(s, KEEPER_CONTACTS), 0);
}

/* They go over 35 s or so; each line tells of 30. */
static void few_lines_for_all_that_are_lost(void **state)
{
	struct scene *s = *state;
	char path[] = "/tmp/sbc-keeper-XXXXXX", text[4096] = "";
	struct log_params lp = { .path = path, .level = LOG_INFO };
	struct keeper_params p = { .wheel = &s->wheel, .terms = terms, .has_spoken = has_spoken, .ping = ping, .on_dead = on_dead, .ctx = s };
	char *first, *second;
	FILE *f;

	close(mkstemp(path));
	assert_int_equal(log_new(&s->log, &lp), 0);
	p.log = s->log;
	keeper_free(s->keeper);
	assert_int_equal(keeper_new(&s->keeper, &p), 0);
	for (unsigned i = 0; i < KEEPER_CROWD - 1; i++)
		s->phones[i].every_ms = i < 8 ? 20000 : i < 12 ? 30000 : 40000;
	for (unsigned i = 0; i < KEEPER_CROWD - 1; i++)
		come(s, i, false);
	after_ms(s, 200000);
	assert_int_equal(count(s, KEEPER_LOST), KEEPER_CROWD - 1);
	log_free(s->log);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	unlink(path);
	first = strstr(text, "keepalive.lost count=");
	assert_non_null(first);
	second = strstr(first + 1, "keepalive.lost count=");
	assert_non_null(second);
	assert_null(strstr(second + 1, "keepalive.lost"));
	assert_int_equal(atoi(first + 21) + atoi(second + 21), KEEPER_CROWD - 1);
}

static void how_busy_it_was(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; i < PHONES; i++)
		come(s, i, true);
	after_ms(s, 4 * EVERY_MS);
	assert_in_range(count(s, KEEPER_MINUTE), 2 * PHONES - 2, 2 * PHONES + 2);
	assert_int_equal(count(s, KEEPER_BUSIEST), 1);
	assert_true(count(s, KEEPER_SLOTS_1) >= 3 * PHONES);
	assert_int_equal(count(s, KEEPER_SLOTS_3), 0);
	assert_int_equal(count(s, KEEPER_LATE), 0);
	wheel_advance(&s->wheel, s->wheel.now_ms + 1000, SIZE_MAX);
	after_ms(s, 1000);
	assert_true(count(s, KEEPER_LATE) > 0);
	assert_int_equal(count(s, KEEPER_SLOTS_3), 0); /* all the same */
	for (unsigned i = 0; i < PHONES; i++)
		keeper_remove(s->keeper, &s->phones[i].keep);
	assert_int_equal(count(s, KEEPER_MINUTE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, scene_begin, scene_end)
		CASE(every_interval_at_its_place), CASE(every_interval), CASE(back_to_its_place),
		CASE(three_misses_in_a_late_loop), CASE(short_beside_long), CASE(nobody_is_silent_for_longer), CASE(three_misses), CASE(an_answer_forgives),
		CASE(who_speaks_is_spared), CASE(speaking_forgives), CASE(what_needs_no_answer), CASE(a_connection_that_is_gone),
		CASE(terms_change), CASE(intervals_are_bounded), CASE(pause_and_go_on), CASE(a_late_look_finds_the_answer), CASE(a_long_sleep_kills_nobody),
		CASE(silence_of_all_is_our_own), CASE(others_come_and_go_meanwhile), CASE(few_lines_for_all_that_are_lost), CASE(how_busy_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
