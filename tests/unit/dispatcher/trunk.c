/* What a carrier may take when other workers are faster, and a reload that finds no room for its trunks. */
#include "dispatcher/sticky.h"
#include "dispatcher/state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { START = 1000000, EACH = 4, WAIT_MS = 1000 };

static bool is_late; /* the place that is seen is somebody else's by the time it is taken */

static bool room_seen(struct pools *p, const struct map *map, const struct conf *c, const struct conf_pool *pool, uint64_t now_ms, bool is_new)
{
	return is_late || trunk_has_room(p, map, c, pool, now_ms, is_new);
}

#define trunk_has_room room_seen
#include "dispatcher/pick.c"
#undef trunk_has_room

/* Two tiers of two, max-cps of which one at once. */
#define YAML \
	"node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\" } }\npools: { out: { zone: a, sticky: { by: to-user, on-drain: stay }, destinations: [" \
	"{ name: w, uri: \"sip:10.0.0.1\", max-cps: 10 }, { name: x, uri: \"sip:10.0.0.2\", max-cps: 10 }, " \
	"{ name: y, uri: \"sip:10.0.0.3\", max-cps: 10, priority: 1 }, { name: z, uri: \"sip:10.0.0.4\", max-cps: 10, priority: 1 }] } }\n" \
	"trunks: { t: { zone: a, pool: out, match: { source: 10.0.0.0/24 }, limits: { calls: 1 } } }\nroutes: [{ to: { pool: out } }]\n"

struct rig {
	struct pools *pools;
	struct conf *conf;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct conf_notes notes;

	is_late = false;
	conf_notes_init(&notes);
	if (!rig || pools_new(&rig->pools, 2) || conf_parse(&rig->conf, "test", SV(YAML), &notes))
		return -1;
	conf_notes_fini(&notes);
	*state = rig;
	return pools_adopt(rig->pools, rig->conf);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	pools_free(rig->pools);
	conf_free(rig->conf);
	free(rig);
	return 0;
}

static int take(struct rig *rig, uint64_t now_ms, struct pick *out)
{
	return pool_pick(rig->pools, rig->conf, 0, &(struct pool_query){ .now_ms = now_ms }, out);
}

static uint64_t refused(const struct rig *rig)
{
	struct trunk_info info;

	trunk_info(rig->pools, rig->conf, &rig->conf->trunks[0], &info);
	return info.refused[TRUNK_FULL];
}

/* Calls that each destination is told to have had, and has. */
static void expect_calls(const struct rig *rig, uint64_t calls, uint32_t now)
{
	uint64_t sum = 0;
	uint32_t load = 0;

	for (uint32_t i = 0; i < EACH; i++) {
		struct dest_info info;

		dest_info(rig->pools, pools_slot(rig->pools, rig->conf, i), &info);
		sum += info.calls;
		load += dest_load(rig->pools, pools_slot(rig->pools, rig->conf, i));
	}
	assert_int_equal(sum, calls);
	assert_int_equal(load, now);
}

static void one_refusal_is_one(void **state)
{
	struct rig *rig = *state;
	struct pick first, pick;
	unsigned n = 0;

	assert_int_equal(take(rig, START, &first), 0);
	is_late = true;
	assert_int_equal(take(rig, START + WAIT_MS, &pick), -EBUSY);
	assert_int_equal(refused(rig), 1);
	expect_calls(rig, 1, 1);
	dest_release(rig->pools, 0, first.slot);
	while (take(rig, START + WAIT_MS, &pick) == 0) { /* one place of one destination's max-cps is gone */
		dest_release(rig->pools, 0, pick.slot);
		n++;
	}
	assert_int_equal(n, EACH - 1);
	assert_int_equal(refused(rig), 1);
	expect_calls(rig, EACH, 0);
}

static void who_knows_where_it_goes_is_refused_once(void **state)
{
	struct rig *rig = *state;
	struct pick first, pick;

	assert_int_equal(take(rig, START, &first), 0);
	assert_int_equal(sticky_take(rig->pools, rig->conf, 0, 0, first.slot, &pick), -EBUSY);
	assert_int_equal(refused(rig), 1);
	expect_calls(rig, 1, 1);
	dest_release(rig->pools, 0, first.slot);
	assert_int_equal(sticky_take(rig->pools, rig->conf, 0, 0, first.slot, &pick), 0);
	expect_calls(rig, 2, 1);
}

/* Where nothing may be used the trunk is not asked. */
static void nobody_is_up(void **state)
{
	struct rig *rig = *state;
	struct pick first, pick;

	assert_int_equal(take(rig, START, &first), 0);
	for (uint32_t i = 0; i < EACH; i++)
		for (unsigned k = 0; k < 3; k++)
			dest_report(rig->pools, rig->conf, i, PROBE_FAILED, START, "");
	assert_int_equal(take(rig, START + WAIT_MS, &pick), -EBUSY); /* for the least bad one */
	assert_int_equal(refused(rig), 1);
	for (uint32_t i = 0; i < EACH; i++)
		dest_put_wish(rig->pools, pools_slot(rig->pools, rig->conf, i), WISH_DISABLED, START);
	assert_int_equal(take(rig, START + WAIT_MS, &pick), -EHOSTDOWN);
	assert_int_equal(refused(rig), 1);
}

/* Slots -------------------------------------------------------------------------------------------------------------- */

struct names {
	struct conf conf;
	struct conf_trunk trunk[CONF_TRUNKS_MAX];
	char name[CONF_TRUNKS_MAX][12];
};

static int adopts(struct pools *p, struct names *names, uint64_t gen, char kind, unsigned from, unsigned to)
{
	names->conf = (struct conf){ .gen = gen, .trunks = names->trunk, .n_trunks = to - from };
	for (unsigned i = from; i < to; i++) {
		snprintf(names->name[i - from], sizeof(names->name[0]), "%c%u", kind, i);
		names->trunk[i - from] = (struct conf_trunk){ .name = sv_from(names->name[i - from]), .pool = -1 };
	}
	return pools_adopt(p, &names->conf);
}

/* What was refused keeps no slot: neither of those that were there, nor of those that were new. */
static void a_refused_reload_holds_nothing(void **state)
{
	struct names *names = calloc(1, sizeof(*names));
	struct pools *p;

	(void)state;
	assert_non_null(names);
	assert_int_equal(pools_new(&p, 1), 0);
	assert_int_equal(adopts(p, names, 1, 'a', 0, CONF_TRUNKS_MAX - 10), 0);
	assert_int_equal(adopts(p, names, 2, 'a', CONF_TRUNKS_MAX - 20, CONF_TRUNKS_MAX + 1), -ENOSPC);
	assert_int_equal(adopts(p, names, 2, 'c', 0, 10), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(names->trunk[i].slot, CONF_TRUNKS_MAX - 10 + i);
	assert_int_equal(adopts(p, names, 1 + POOL_SNAPSHOTS, 'b', 0, CONF_TRUNKS_MAX - 9), -ENOSPC); /* those of 2 may still be read */
	assert_int_equal(adopts(p, names, 1 + POOL_SNAPSHOTS, 'b', 0, CONF_TRUNKS_MAX - 10), 0);
	assert_int_equal(adopts(p, names, 2 + POOL_SNAPSHOTS, 'b', 100, CONF_TRUNKS_MAX), 0);
	assert_int_equal(names->trunk[0].slot, 100); /* whoever has one keeps it */
	names->conf = (struct conf){ .gen = 40, .trunks = names->trunk, .n_trunks = 2 };
	names->trunk[0].name = SV("new");
	names->trunk[1].name = SV("b0"); /* back after a long time */
	assert_int_equal(pools_adopt(p, &names->conf), 0);
	assert_int_equal(names->trunk[1].slot, 0);
	assert_int_not_equal(names->trunk[0].slot, 0);
	pools_free(p);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_refusal_is_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_knows_where_it_goes_is_refused_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_up, set_up, tear_down),
		cmocka_unit_test(a_refused_reload_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
