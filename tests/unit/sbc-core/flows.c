/* sbc/flows.c: who is told when a connection is gone. */
#include "sbc/flows.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct told {
	uint64_t flow[64];
	unsigned n[64], refused;
	uint64_t deaf; /* bits: workers whose mailbox is full */
};

static int tell(void *ctx, unsigned worker, uint64_t flow)
{
	struct told *t = ctx;

	if (t->deaf >> worker & 1) {
		t->refused++;
		return -ENOBUFS;
	}
	t->flow[worker] = flow;
	t->n[worker]++;
	return 0;
}

static void each_worker_hears_once(void **state)
{
	struct told t = { 0 };
	struct flows f;

	(void)state;
	flows_init(&f);
	assert_int_equal(flows_start(&f), 0);
	flows_note(&f, 1ull << 32 | 7, 0);
	flows_note(&f, 1ull << 32 | 7, 63);
	flows_note(&f, 1ull << 32 | 7, 63);
	flows_note(&f, 2ull << 32 | 7, 5);
	flows_closed(&f, 3ull << 32 | 7, tell, &t);
	flows_closed(&f, 1ull << 32 | 7, tell, &t);
	flows_closed(&f, 1ull << 32 | 7, tell, &t);
	assert_true(t.n[0] == 1 && t.n[63] == 1 && t.n[5] == 0);
	assert_true(t.flow[0] == (1ull << 32 | 7) && t.flow[63] == t.flow[0]);
	assert_int_equal(f.slab.in_use, 1);
	flows_fini(&f);
}

static void who_could_not_be_told_is_told_later(void **state)
{
	struct told t = { .deaf = 1 << 2 };
	struct flows f;

	(void)state;
	flows_init(&f);
	assert_int_equal(flows_start(&f), 0);
	flows_note(&f, 9, 1);
	flows_note(&f, 9, 2);
	flows_closed(&f, 9, tell, &t);
	assert_true(t.n[1] == 1 && t.n[2] == 0 && flows_any_closed(&f));
	flows_note(&f, 9, 3); /* nothing of the old one hangs on */
	flows_retry(&f, tell, &t);
	assert_true(t.n[1] == 1 && t.n[2] == 0 && t.n[3] == 0 && t.refused == 2);
	t.deaf = 0;
	flows_retry(&f, tell, &t);
	assert_true(t.n[1] == 1 && t.n[2] == 1 && t.n[3] == 0 && !flows_any_closed(&f));
	assert_int_equal(f.slab.in_use, 1);
	flows_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_worker_hears_once),
		cmocka_unit_test(who_could_not_be_told_is_told_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
