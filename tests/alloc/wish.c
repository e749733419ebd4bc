/* Each allocation fails in turn while an operator decides, a record comes in, and the state file is written and read: a decision is
 * taken whole or not at all, and the file that is there stays whole. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include "sbc/states.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const uint64_t wall = 1790000000000;

static struct wish draining(void)
{
	return (struct wish){ .wish = WISH_DRAINING, .version = 1, .since_ms = wall, .actor = "root", .reason = "upgrade" };
}

static enum dest_wish wish_of(struct rig *r)
{
	struct dest_info info;

	dest_info(r->shared.pools, dest_find(r->shared.pools, r->conf, SV("apps/bob"), NULL), &info);
	return info.wish;
}

/* By hand, or by a record. */
static int decide(struct rig *r, struct wishes *w, bool is_record)
{
	struct wish want = draining();
	char area[WISH_RECORD_MAX], hint[128];

	if (!is_record)
		return wishes_set(w, r->conf, SV("apps/bob"), &want, 1000, wall, hint);
	return wishes_merge(w, r->conf, (struct sv){ area, wish_encode(&want, SV("apps/bob"), area, sizeof(area)) }, 1000);
}

static void a_decision_is_taken_whole_or_not_at_all(void **state)
{
	struct rig *r = rig_new(FLOW_ONE, 1, 1);
	unsigned failed = 0;

	(void)state;
	for (unsigned is_record = 0; is_record < 2; is_record++)
		for (unsigned long n = 1, has_failed = true; has_failed; n++) {
			struct wishes *w = NULL;
			long live = oom_live();
			int err;

			oom_arm(n, 0);
			err = wishes_new(&w, r->shared.pools);
			err = err ? err : decide(r, w, is_record);
			has_failed = oom_disarm();
			assert_int_equal(err, has_failed ? -ENOMEM : 0);
			assert_int_equal(wish_of(r), has_failed ? WISH_IN_SERVICE : WISH_DRAINING);
			assert_int_equal(w ? wishes_count(w) : 0, !has_failed);
			dest_put_wish(r->shared.pools, dest_find(r->shared.pools, r->conf, SV("apps/bob"), NULL), WISH_IN_SERVICE, 0);
			wishes_free(w);
			assert_int_equal(oom_live(), live);
			failed += has_failed;
		}
	assert_true(failed >= 4);
	rig_free(r, true);
}

static void the_state_file_stays_whole(void **state)
{
	struct rig *r = rig_new(FLOW_ONE, 1, 1);
	char dir[] = "/tmp/alloc-wish.XXXXXX", file[64], bad[80];
	struct wishes *w;
	unsigned failed = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/destinations.tlv", dir);
	snprintf(bad, sizeof(bad), "%s.bad", file);
	assert_int_equal(wishes_new(&w, r->shared.pools), 0);
	assert_int_equal(decide(r, w, false), 0);
	assert_int_equal(states_save(w, sv_from(dir)), 0);
	for (unsigned long n = 1, has_failed = true; has_failed; n++) {
		int err;

		oom_arm(n, 0);
		err = states_save(w, sv_from(dir));
		has_failed = oom_disarm();
		assert_int_equal(err, has_failed ? -ENOMEM : 0);
		failed += has_failed;
	}
	wishes_free(w);
	for (unsigned long n = 1, has_failed = true; has_failed; n++) { /* what cannot be read for want of memory is put aside, not lost */
		assert_int_equal(wishes_new(&w, r->shared.pools), 0);
		oom_arm(n, 0);
		states_load(w, sv_from(dir), NULL);
		has_failed = oom_disarm();
		assert_int_equal(wishes_count(w), !has_failed);
		assert_int_equal(access(bad, F_OK), has_failed ? 0 : -1);
		assert_int_equal(access(file, F_OK), has_failed ? -1 : 0);
		if (has_failed)
			assert_int_equal(rename(bad, file), 0);
		wishes_free(w);
		failed += has_failed;
	}
	assert_true(failed >= 3);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(dir), 0);
	rig_free(r, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decision_is_taken_whole_or_not_at_all),
		cmocka_unit_test(the_state_file_stays_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
