/* What operators decided: it lasts over reloads and absences, travels as records, and of two decisions the same one wins everywhere. */
#include "dispatcher/wish.h"
#include "base/tlv.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

enum { N = 3 };

static const uint64_t day_ms = 86400000, wall = 1790000000000;

/* A node with destinations media/a, media/b, media/c. */
struct rig {
	struct pools *pools;
	struct wishes *wishes;
	struct conf conf;
	struct conf_pool pool;
	struct conf_destination dest[N];
};

static void adopt(struct rig *rig, uint64_t wall_ms)
{
	rig->conf.gen++;
	assert_int_equal(pools_adopt(rig->pools, &rig->conf), 0);
	wishes_apply(rig->wishes, &rig->conf, wall_ms);
}

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(pools_new(&rig->pools, 1), 0);
	assert_int_equal(wishes_new(&rig->wishes, rig->pools), 0);
	rig->pool = (struct conf_pool){ .name = SV("media"), .n_destinations = N, .destinations = rig->dest };
	for (uint32_t i = 0; i < N; i++)
		rig->dest[i] = (struct conf_destination){ .name = { &"abc"[i], 1 }, .id = i, .weight = 1 };
	rig->conf = (struct conf){ .pools = &rig->pool, .n_pools = 1, .destinations = rig->dest, .n_destinations = N };
	adopt(rig, wall);
	return rig;
}

static void rig_free(struct rig *rig)
{
	wishes_free(rig->wishes);
	pools_free(rig->pools);
	free(rig);
}

static struct wish drain_by(const char *actor, const char *reason)
{
	struct wish w = { .wish = WISH_DRAINING };

	snprintf(w.actor, sizeof(w.actor), "%s", actor);
	snprintf(w.reason, sizeof(w.reason), "%s", reason);
	return w;
}

static void set(struct rig *rig, const char *name, struct wish want, uint64_t wall_ms)
{
	char hint[128];

	assert_int_equal(wishes_set(rig->wishes, &rig->conf, sv_from(name), &want, 5000, wall_ms, hint), 0);
}

static enum dest_wish wish_of(const struct rig *rig, const char *name)
{
	struct dest_info info;

	dest_info(rig->pools, dest_find(rig->pools, &rig->conf, sv_from(name), NULL), &info);
	return info.wish;
}

static void a_decision_is_kept_with_author_reason_and_time(void **state)
{
	struct rig *rig = rig_new();
	struct wish want = drain_by("root", "upgrade 4.2");
	const struct wish *is;
	char hint[128];

	(void)state;
	assert_null(wishes_find(rig->wishes, SV("media/b")));
	assert_false(wishes_are_unsaved(rig->wishes));
	set(rig, "media/b", want, wall + 7);
	is = wishes_find(rig->wishes, SV("media/b"));
	assert_int_equal(is->wish, WISH_DRAINING);
	assert_int_equal(is->since_ms, wall + 7);
	assert_int_equal(is->version, 1);
	assert_string_equal(is->actor, "root");
	assert_string_equal(is->reason, "upgrade 4.2");
	assert_int_equal(wish_of(rig, "media/b"), WISH_DRAINING);
	assert_int_equal(wish_of(rig, "media/a"), WISH_IN_SERVICE);
	assert_true(wishes_are_unsaved(rig->wishes));
	wishes_are_saved(rig->wishes);
	adopt(rig, wall + 7); /* a reload that changes nothing */
	assert_false(wishes_are_unsaved(rig->wishes));
	assert_int_equal(wish_of(rig, "media/b"), WISH_DRAINING);
	set(rig, "media/b", (struct wish){ .wish = WISH_IN_SERVICE }, wall + 8);
	assert_int_equal(wishes_find(rig->wishes, SV("media/b"))->version, 2);
	assert_int_equal(wish_of(rig, "media/b"), WISH_IN_SERVICE);
	assert_int_equal(wishes_set(rig->wishes, &rig->conf, SV("media/x"), &want, 1, wall, hint), -ENOENT);
	assert_string_equal(hint, "media/a");
	rig_free(rig);
}

static void a_destination_that_comes_back_tells_since_when(void **state)
{
	struct rig *rig = rig_new();
	uint16_t slot = pools_slot(rig->pools, &rig->conf, 1);

	(void)state;
	assert_int_equal(dest_returned_ms(rig->pools, slot), 0);
	set(rig, "media/b", drain_by("root", ""), wall);
	assert_int_equal(dest_returned_ms(rig->pools, slot), 0);
	set(rig, "media/b", (struct wish){ .wish = WISH_IN_SERVICE }, wall);
	assert_int_equal(dest_returned_ms(rig->pools, slot), 5000);
	assert_int_equal(dest_returned_ms(rig->pools, POOL_NO_SLOT), 0);
	rig_free(rig);
}

/* Its slot may have been another's meanwhile. */
static void an_absence_does_not_end_a_drain_unless_it_is_long(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	set(rig, "media/c", drain_by("root", ""), wall);
	rig->conf.n_destinations = rig->pool.n_destinations = 2;
	adopt(rig, wall + day_ms);
	assert_int_equal(wishes_find(rig->wishes, SV("media/c"))->gone_ms, wall + day_ms);
	adopt(rig, wall + 20 * day_ms);
	assert_int_equal(wishes_find(rig->wishes, SV("media/c"))->gone_ms, wall + day_ms); /* since then, not since the last look */
	for (unsigned i = 0; i < POOL_SNAPSHOTS; i++) /* until the slot is nobody's */
		adopt(rig, wall + 20 * day_ms);
	rig->dest[2].name = SV("d");
	rig->conf.n_destinations = rig->pool.n_destinations = 3;
	adopt(rig, wall + 21 * day_ms);
	assert_int_equal(wish_of(rig, "media/d"), WISH_IN_SERVICE);
	rig->dest[2].name = SV("c");
	adopt(rig, wall + 22 * day_ms);
	assert_int_equal(wish_of(rig, "media/c"), WISH_DRAINING);
	assert_int_equal(wishes_find(rig->wishes, SV("media/c"))->gone_ms, 0);
	rig->conf.n_destinations = rig->pool.n_destinations = 2;
	adopt(rig, wall + 30 * day_ms);
	adopt(rig, wall + (31 + WISH_KEEP_DAYS) * day_ms);
	assert_null(wishes_find(rig->wishes, SV("media/c")));
	rig_free(rig);
}

/* Records ---------------------------------------------------------------------------------------------------------- */

struct copies {
	struct rig *to;
	unsigned n;
	int err;
};

static void copy(void *ctx, struct sv record)
{
	struct copies *c = ctx;

	c->n++;
	c->err = wishes_merge(c->to->wishes, &c->to->conf, record, 9000);
}

static int send_all(const struct rig *from, struct rig *to)
{
	struct copies c = { .to = to };

	wishes_export(from->wishes, copy, &c);
	return c.err;
}

static void a_record_holds_all_of_it(void **state)
{
	struct wish w = drain_by("uid 1000", "a \"reason\" with \xc3\xa4"), out;
	char area[WISH_RECORD_MAX];
	struct sv name;
	size_t len;

	(void)state;
	w.version = 300;
	w.since_ms = wall;
	w.deadline_ms = wall + 60000;
	w.gone_ms = wall + 5;
	for (unsigned then = THEN_HANGUP; then < THEN_COUNT; then++) {
		w.then = (enum wish_then)then;
		len = wish_encode(&w, SV("media/b"), area, sizeof(area));
		assert_int_not_equal(len, 0);
		assert_int_equal(wish_decode(&out, &name, (struct sv){ area, len }), 0);
		assert_true(sv_eq(name, SV("media/b")));
		assert_memory_equal(&out, &w, sizeof(w));
	}
	assert_int_equal(wish_encode(&w, SV("media/b"), area, len - 1), 0);
	for (size_t cut = 0; cut < len; cut++) { /* in memory of its own: whoever reads beyond is seen */
		char *part = malloc(cut ? cut : 1);

		assert_non_null(part);
		memcpy(part, area, cut);
		(void)wish_decode(&out, &name, (struct sv){ part, cut });
		free(part);
	}
}

/* Most that a decision can hold fits into a record. */
static void the_longest_record_has_room(void **state)
{
	struct wish w = { .wish = WISH_DISABLED, .then = THEN_HANGUP, .version = UINT64_MAX - 1, .since_ms = UINT64_MAX,
	                  .deadline_ms = UINT64_MAX, .gone_ms = UINT64_MAX };
	char area[WISH_RECORD_MAX], name[WISH_NAME_MAX];

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(w.actor, 'a', WISH_ACTOR_MAX);
	memset(w.reason, 'r', WISH_REASON_MAX);
	assert_int_not_equal(wish_encode(&w, (struct sv){ name, sizeof(name) }, area, sizeof(area)), 0);
}

static void assert_bad(struct tlv_out *o)
{
	struct wish out;
	struct sv name;

	assert_false(o->is_full);
	assert_int_equal(wish_decode(&out, &name, (struct sv){ o->p, o->len }), -EBADMSG);
}

static void what_no_record_can_say_is_refused(void **state)
{
	char area[1024], name[WISH_NAME_MAX + 1] = { 'n' };
	struct { uint8_t field; struct sv bytes; } bad[] = {
		{ 2, SV("\x03") }, { 2, SV("123456789") }, { 3, SV("\xff\xff\xff\xff\xff\xff\xff\xff") }, { 3, SV("") },
		{ 1, SV("") }, { 1, { name, sizeof(name) } }, { 5, SV("a\0b") }, { 5, SV("0123456789012345678901234567890x") },
	};
	struct tlv_out o;
	struct wish out;
	struct sv got;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		tlv_init(&o, area, sizeof(area));
		tlv_put(&o, 1, SV("media/b"));
		tlv_put_u64(&o, 3, 1);
		tlv_put(&o, bad[i].field, bad[i].bytes);
		assert_bad(&o);
	}
	tlv_init(&o, area, sizeof(area));
	tlv_put_u64(&o, 3, 1);
	assert_bad(&o); /* no name */
	tlv_put(&o, 1, SV("media/b"));
	tlv_put(&o, 200, SV("of a later version"));
	tlv_put_u64(&o, 8, 77); /* another `then` */
	assert_int_equal(wish_decode(&out, &got, (struct sv){ area, o.len }), 0);
	assert_int_equal(out.then, THEN_NOTHING);
}

static void the_higher_version_wins(void **state)
{
	struct rig *here = rig_new(), *there = rig_new();

	(void)state;
	set(here, "media/a", drain_by("root", ""), wall);
	assert_int_equal(send_all(here, there), 0);
	assert_int_equal(wish_of(there, "media/a"), WISH_DRAINING);
	assert_int_equal(send_all(here, there), -EALREADY); /* the same again */
	set(there, "media/a", (struct wish){ .wish = WISH_IN_SERVICE }, wall - 1000); /* its clock is behind */
	assert_int_equal(send_all(here, there), -EALREADY);
	assert_int_equal(wish_of(there, "media/a"), WISH_IN_SERVICE);
	assert_int_equal(send_all(there, here), 0);
	assert_int_equal(wish_of(here, "media/a"), WISH_IN_SERVICE);
	assert_int_equal(dest_returned_ms(here->pools, pools_slot(here->pools, &here->conf, 0)), 9000);
	rig_free(here);
	rig_free(there);
}

/* LESSONS 62: after a split both nodes are of one mind, whoever speaks first. */
static void of_equal_versions_the_same_one_wins_on_both(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *here = rig_new(), *there = rig_new();

		set(here, "media/a", drain_by("anna", "x"), wall + i);
		set(there, "media/a", drain_by("bert", "x"), wall);
		(void)send_all(here, there);
		(void)send_all(there, here);
		assert_string_equal(wishes_find(here->wishes, SV("media/a"))->actor, i ? "anna" : "bert");
		assert_string_equal(wishes_find(there->wishes, SV("media/a"))->actor, i ? "anna" : "bert");
		rig_free(here);
		rig_free(there);
	}
	(void)state;
}

/* The peer may have destinations that this node has not yet, and a file is read before there is a configuration. */
static void what_is_not_here_yet_is_kept_for_it(void **state)
{
	struct rig *here = rig_new(), *there = rig_new();
	struct copies c = { .to = there };

	(void)state;
	set(here, "media/c", drain_by("root", ""), wall);
	there->conf.n_destinations = there->pool.n_destinations = 2;
	adopt(there, wall);
	assert_int_equal(send_all(here, there), 0);
	assert_int_equal(wishes_find(there->wishes, SV("media/c"))->gone_ms, wall);
	there->conf.n_destinations = there->pool.n_destinations = 3;
	adopt(there, wall);
	assert_int_equal(wish_of(there, "media/c"), WISH_DRAINING);
	wishes_free(there->wishes);
	assert_int_equal(wishes_new(&there->wishes, there->pools), 0);
	there->conf.gen += POOL_SNAPSHOTS + 1; /* nobody's yet */
	wishes_export(here->wishes, copy, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.err, 0);
	adopt(there, wall);
	assert_int_equal(wish_of(there, "media/c"), WISH_DRAINING);
	rig_free(here);
	rig_free(there);
}

/* A peer may name what it likes: there is a bound, and it costs those that have been gone longest. */
static void there_is_a_bound(void **state)
{
	struct rig *rig = rig_new();
	char area[WISH_RECORD_MAX], name[32];

	(void)state;
	set(rig, "media/a", drain_by("root", ""), wall);
	for (unsigned i = 0; i < WISHES_MAX + 100; i++) {
		struct wish w = { .version = 1, .since_ms = wall + i };
		size_t len;

		snprintf(name, sizeof(name), "other/%u", i);
		len = wish_encode(&w, sv_from(name), area, sizeof(area));
		assert_int_equal(wishes_merge(rig->wishes, &rig->conf, (struct sv){ area, len }, 1), 0);
	}
	assert_null(wishes_find(rig->wishes, SV("other/0")));
	assert_null(wishes_find(rig->wishes, SV("other/100")));
	assert_non_null(wishes_find(rig->wishes, SV("other/101")));
	assert_non_null(wishes_find(rig->wishes, SV("media/a")));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decision_is_kept_with_author_reason_and_time),
		cmocka_unit_test(a_destination_that_comes_back_tells_since_when),
		cmocka_unit_test(an_absence_does_not_end_a_drain_unless_it_is_long),
		cmocka_unit_test(a_record_holds_all_of_it),
		cmocka_unit_test(the_longest_record_has_room),
		cmocka_unit_test(what_no_record_can_say_is_refused),
		cmocka_unit_test(the_higher_version_wins),
		cmocka_unit_test(of_equal_versions_the_same_one_wins_on_both),
		cmocka_unit_test(what_is_not_here_yet_is_kept_for_it),
		cmocka_unit_test(there_is_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
