/* The operators' decisions on disk: all of them come back; what is torn or foreign is put aside and stops nothing. */
#include "sbc/states.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct rig {
	struct pools *pools;
	struct wishes *wishes;
	char dir[64], file[96], bad[112];
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig || pools_new(&rig->pools, 1) || wishes_new(&rig->wishes, rig->pools))
		return -1;
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/states.XXXXXX");
	if (!mkdtemp(rig->dir))
		return -1;
	snprintf(rig->file, sizeof(rig->file), "%s/destinations.tlv", rig->dir);
	snprintf(rig->bad, sizeof(rig->bad), "%s.bad", rig->file);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	unlink(rig->file);
	unlink(rig->bad);
	rmdir(rig->dir);
	wishes_free(rig->wishes);
	pools_free(rig->pools);
	free(rig);
	return 0;
}

static void decide(struct rig *rig, const char *name, enum dest_wish wish)
{
	struct wish w = { .wish = wish, .version = 1, .since_ms = 1, .actor = "root", .reason = "why" };
	char area[WISH_RECORD_MAX];
	size_t len = wish_encode(&w, sv_from(name), area, sizeof(area));

	assert_int_equal(wishes_merge(rig->wishes, NULL, (struct sv){ area, len }, 0), 0);
}

static void forget(struct rig *rig)
{
	wishes_free(rig->wishes);
	assert_int_equal(wishes_new(&rig->wishes, rig->pools), 0);
}

static void all_of_it_comes_back(void **state)
{
	struct rig *rig = *state;
	const struct wish *w;

	states_load(rig->wishes, sv_from(rig->dir), NULL); /* no file yet */
	assert_int_equal(wishes_count(rig->wishes), 0);
	decide(rig, "media/a", WISH_DRAINING);
	decide(rig, "media/b", WISH_DISABLED);
	assert_int_equal(states_save(rig->wishes, sv_from(rig->dir)), 0);
	assert_false(wishes_are_unsaved(rig->wishes));
	forget(rig);
	states_load(rig->wishes, sv_from(rig->dir), NULL);
	assert_int_equal(wishes_count(rig->wishes), 2);
	w = wishes_find(rig->wishes, SV("media/b"));
	assert_int_equal(w->wish, WISH_DISABLED);
	assert_string_equal(w->actor, "root");
	assert_string_equal(w->reason, "why");
	assert_false(wishes_are_unsaved(rig->wishes));
	assert_int_equal(access(rig->bad, F_OK), -1);
}

/* As many as there may be fit into what is written. */
static void the_most_there_can_be(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < WISHES_MAX; i++) {
		char name[WISH_NAME_MAX + 1];

		snprintf(name, sizeof(name), "%0*u", WISH_NAME_MAX, i);
		decide(rig, name, WISH_DRAINING);
	}
	assert_int_equal(states_save(rig->wishes, sv_from(rig->dir)), 0);
	forget(rig);
	states_load(rig->wishes, sv_from(rig->dir), NULL);
	assert_int_equal(wishes_count(rig->wishes), WISHES_MAX);
}

static void where_nothing_can_be_written_it_says_so(void **state)
{
	struct rig *rig = *state;

	decide(rig, "media/a", WISH_DRAINING);
	assert_int_equal(states_save(rig->wishes, SV("/nowhere/at/all")), -ENOENT);
	assert_true(wishes_are_unsaved(rig->wishes));
}

static void put(struct rig *rig, const char *bytes, size_t len)
{
	FILE *f = fopen(rig->file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void what_is_torn_is_put_aside(void **state)
{
	struct rig *rig = *state;
	struct stat st;

	decide(rig, "media/a", WISH_DRAINING);
	decide(rig, "media/b", WISH_DRAINING);
	assert_int_equal(states_save(rig->wishes, sv_from(rig->dir)), 0);
	assert_int_equal(stat(rig->file, &st), 0);
	assert_int_equal(truncate(rig->file, st.st_size - 1), 0);
	forget(rig);
	states_load(rig->wishes, sv_from(rig->dir), NULL);
	assert_int_equal(wishes_count(rig->wishes), 1); /* what could be read */
	assert_int_equal(access(rig->bad, F_OK), 0);
	assert_int_equal(access(rig->file, F_OK), -1);
	put(rig, "\x01\x03\0new\x02\0", 8); /* fields, of another file */
	forget(rig);
	states_load(rig->wishes, sv_from(rig->dir), NULL);
	assert_int_equal(access(rig->file, F_OK), -1);
	put(rig, "\x01\x03\0new", 6);
	states_load(rig->wishes, sv_from(rig->dir), NULL);
	assert_int_equal(access(rig->file, F_OK), -1);
	put(rig, "#!/bin/sh", 9);
	forget(rig);
	states_load(rig->wishes, sv_from(rig->dir), NULL);
	assert_int_equal(wishes_count(rig->wishes), 0);
	assert_int_equal(access(rig->file, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_it_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_most_there_can_be, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_nothing_can_be_written_it_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_torn_is_put_aside, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
