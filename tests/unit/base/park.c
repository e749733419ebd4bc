/* tests/unit/base/park.c */
#include "base/park.h"
#include "tests/unit/base/unit.h"
#include <errno.h>

struct job {
	struct parked parked;
	int result, resumed;
	struct park *again; /* where it parks once more when resumed */
	int again_err;
};

struct rig {
	struct wheel wheel;
	struct park park;
	struct job jobs[4];
};

static void on_resume(struct parked *p, int result)
{
	struct job *job = owner_of(p, struct job, parked);

	assert_null(p->park);
	job->result = result;
	job->resumed++;
	if (job->again)
		job->again_err = park(job->again, p, 5000, on_resume);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	if (!rig)
		return -1;
	wheel_init(&rig->wheel, 0);
	park_init(&rig->park, &rig->wheel, 3);
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void park_at(struct rig *rig, int job, uint64_t deadline_ms)
{
	assert_int_equal(park(&rig->park, &rig->jobs[job].parked, deadline_ms, on_resume), 0);
}

static void expect(struct job *job, int resumed, int result)
{
	assert_int_equal(job->resumed, resumed);
	assert_int_equal(job->result, result);
}

static void answer_resumes_once(void **state)
{
	struct rig *rig = *state;

	park_at(rig, 0, 1000);
	park_wake(&rig->jobs[0].parked, 200);
	park_wake(&rig->jobs[0].parked, 201);
	wheel_advance(&rig->wheel, 2000, SIZE_MAX);
	expect(&rig->jobs[0], 1, 200);
	assert_int_equal(rig->park.count, 0);
	assert_int_equal(rig->park.timed_out, 0);
	assert_int_equal(rig->wheel.count, 0);
}

static void deadline_resumes_once(void **state)
{
	struct rig *rig = *state;

	park_at(rig, 0, 1000);
	wheel_advance(&rig->wheel, 999, SIZE_MAX);
	expect(&rig->jobs[0], 0, 0);
	wheel_advance(&rig->wheel, 1000, SIZE_MAX);
	expect(&rig->jobs[0], 1, -ETIMEDOUT);
	park_wake(&rig->jobs[0].parked, 200);
	expect(&rig->jobs[0], 1, -ETIMEDOUT);
	assert_int_equal(rig->park.timed_out, 1);
}

static void bound(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 3; i++)
		park_at(rig, i, 1000);
	assert_int_equal(park(&rig->park, &rig->jobs[3].parked, 1000, on_resume), -ENOBUFS);
	assert_null(rig->jobs[3].parked.park);
	assert_int_equal(rig->park.refused, 1);
	assert_int_equal(rig->park.parked, 3);
	park_wake(&rig->jobs[1].parked, 0);
	park_at(rig, 3, 1000);
	assert_int_equal(rig->park.count, 3);
}

static void cancelled_is_forgotten(void **state)
{
	struct rig *rig = *state;

	park_at(rig, 0, 1000);
	park_cancel(&rig->jobs[0].parked);
	park_cancel(&rig->jobs[0].parked);
	wheel_advance(&rig->wheel, 2000, SIZE_MAX);
	expect(&rig->jobs[0], 0, 0);
	assert_int_equal(rig->park.count, 0);
}

static void may_park_again_when_resumed(void **state)
{
	struct rig *rig = *state;

	rig->jobs[0].again = &rig->park;
	park_at(rig, 0, 1000);
	wheel_advance(&rig->wheel, 1000, SIZE_MAX);
	expect(&rig->jobs[0], 1, -ETIMEDOUT);
	assert_int_equal(rig->jobs[0].again_err, 0);
	assert_int_equal(rig->park.count, 1);
	rig->jobs[0].again = NULL;
	wheel_advance(&rig->wheel, 5000, SIZE_MAX);
	expect(&rig->jobs[0], 2, -ETIMEDOUT);
}

static void end_resumes_all(void **state)
{
	struct rig *rig = *state;

	rig->jobs[0].again = &rig->park; /* refused: the end does not wait */
	park_at(rig, 0, 1000);
	park_at(rig, 1, 1000);
	park_fini(&rig->park);
	expect(&rig->jobs[0], 1, -ECANCELED);
	expect(&rig->jobs[1], 1, -ECANCELED);
	assert_int_equal(rig->jobs[0].again_err, -ENOBUFS);
	assert_int_equal(rig->wheel.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answer_resumes_once, setup, teardown),
		cmocka_unit_test_setup_teardown(deadline_resumes_once, setup, teardown),
		cmocka_unit_test_setup_teardown(bound, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(may_park_again_when_resumed, setup, teardown),
		cmocka_unit_test_setup_teardown(end_resumes_all, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
