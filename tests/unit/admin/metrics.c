/* The metrics page, byte for byte. */
#include "admin/metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { RECEIVED, CONNECTIONS, N };

static const struct counter_def udp_defs[N] = {
	[RECEIVED] = { "udp_received_total", "Datagrams\nread \\ kept.", false },
	[CONNECTIONS] = { "connections", "Open now.", true },
};
static const struct counter_def other_defs[1] = { { "other_total", "Others.", false } };

static void assert_page(struct metrics *m, const char *expected)
{
	struct metrics_text text;

	assert_int_equal(metrics_render(m, &text), 0);
	if (!sv_eq((struct sv){ text.p, text.len }, sv_from(expected)))
		fail_msg("the page is:\n%.*s", (int)text.len, text.p);
	free(text.p);
}

static const char tail[] = "# HELP sbc_metrics_left_out Lines this page has no room for.\n"
			   "# TYPE sbc_metrics_left_out gauge\n"
			   "sbc_metrics_left_out 0\n";

static void blocks_of_a_kind_are_summed(void **state)
{
	struct counters a, b, c;
	struct metrics *m;
	char page[1024] = "# HELP sbc_udp_received_total Datagrams\\nread \\\\ kept.\n"
			  "# TYPE sbc_udp_received_total counter\n"
			  "sbc_udp_received_total 18446744073709551615\n"
			  "# HELP sbc_connections Open now.\n"
			  "# TYPE sbc_connections gauge\n"
			  "sbc_connections 7\n"
			  "# HELP sbc_other_total Others.\n"
			  "# TYPE sbc_other_total counter\n"
			  "sbc_other_total 5\n";

	(void)state;
	assert_int_equal(counters_init(&a, udp_defs, N), 0);
	assert_int_equal(counters_init(&b, udp_defs, N), 0);
	assert_int_equal(counters_init(&c, other_defs, 1), 0);
	assert_int_equal(metrics_new(&m), 0);
	assert_int_equal(metrics_add(m, &a), 0);
	assert_int_equal(metrics_add(m, &c), 0);
	assert_int_equal(metrics_add(m, &b), 0);
	counter_set(&a, RECEIVED, UINT64_MAX - 1);
	counter_inc(&b, RECEIVED);
	counter_set(&a, CONNECTIONS, 3);
	counter_set(&b, CONNECTIONS, 4);
	counter_set(&c, 0, 5);
	strcat(page, tail);
	assert_page(m, page);
	metrics_free(m);
	counters_fini(&a);
	counters_fini(&b);
	counters_fini(&c);
}

static void write_pools(void *ctx, struct metrics_lines *l)
{
	const struct metrics_label hostile[] = { { "pool", SV("a\"b\\c\nd") }, { "destination", SV("m\xff\xc3\xa4\0z") } };
	const struct metrics_label plain[] = { { "pool", SV("media") } };

	(void)ctx;
	metrics_line(l, hostile, 2, 1);
	metrics_line(l, plain, 1, 0);
	metrics_line(l, NULL, 0, 9);
}

static void label_values_are_escaped(void **state)
{
	struct metrics *m;
	char page[1024] = "# HELP sbc_destination_up Is it up?\n"
			  "# TYPE sbc_destination_up gauge\n"
			  "sbc_destination_up{pool=\"a\\\"b\\\\c\\nd\",destination=\"m\xef\xbf\xbd\xc3\xa4\xef\xbf\xbdz\"} 1\n"
			  "sbc_destination_up{pool=\"media\"} 0\n"
			  "sbc_destination_up 9\n";

	(void)state;
	assert_int_equal(metrics_new(&m), 0);
	assert_int_equal(metrics_add_family(m, "destination_up", "Is it up?", true, write_pools, NULL), 0);
	strcat(page, tail);
	assert_page(m, page);
	metrics_free(m);
}

static void write_many(void *ctx, struct metrics_lines *l)
{
	unsigned *n = ctx;

	for (unsigned i = 0; i < *n; i++)
		metrics_line(l, NULL, 0, i);
}

static void lines_are_bounded(void **state)
{
	unsigned n = METRICS_LINES_MAX - 1;
	struct metrics_text text;
	struct metrics *m;

	(void)state;
	assert_int_equal(metrics_new(&m), 0);
	assert_int_equal(metrics_add_family(m, "first", "", true, write_many, &n), 0);
	assert_int_equal(metrics_add_family(m, "second", "", true, write_many, &n), 0);
	assert_int_equal(metrics_render(m, &text), 0);
	assert_true(sv_find((struct sv){ text.p, text.len }, SV("\nsbc_second 0\n")) != SIZE_MAX);
	assert_true(sv_find((struct sv){ text.p, text.len }, SV("\nsbc_second 1\n")) == SIZE_MAX);
	assert_true(sv_find((struct sv){ text.p, text.len }, SV("\nsbc_metrics_left_out 49998\n")) != SIZE_MAX);
	free(text.p);
	metrics_free(m);
}

static void write_long(void *ctx, struct metrics_lines *l)
{
	const struct metrics_label label = { "x", { ctx, 1 << 20 } };

	for (unsigned i = 0; i < 40; i++)
		metrics_line(l, &label, 1, 0);
}

static void a_page_beyond_its_bound_fails(void **state)
{
	char *long_value = calloc(1, 1 << 20);
	struct metrics_text text = { NULL, 0 };
	struct metrics *m;

	(void)state;
	assert_non_null(long_value);
	assert_int_equal(metrics_new(&m), 0);
	assert_int_equal(metrics_add_family(m, "long", "", true, write_long, long_value), 0);
	assert_int_equal(metrics_render(m, &text), -EFBIG);
	assert_null(text.p);
	metrics_free(m);
	free(long_value);
}

/* Prometheus refuses a page that tells the type of a name twice. */
static void a_name_is_given_once(void **state)
{
	static const struct counter_def same_name[1] = { { "connections", "Again.", true } };
	struct counters a, b;
	struct metrics *m;

	(void)state;
	assert_int_equal(counters_init(&a, udp_defs, N), 0);
	assert_int_equal(counters_init(&b, same_name, 1), 0);
	assert_int_equal(metrics_new(&m), 0);
	assert_int_equal(metrics_add(m, &a), 0);
	assert_int_equal(metrics_add(m, &b), -EEXIST);
	assert_int_equal(metrics_add_family(m, "connections", "", true, write_pools, NULL), -EEXIST);
	assert_int_equal(metrics_add_family(m, "up", "", true, write_pools, NULL), 0);
	assert_int_equal(metrics_add_family(m, "up", "", true, write_pools, NULL), -EEXIST);
	for (unsigned i = 1; i < METRICS_BLOCKS_MAX; i++)
		assert_int_equal(metrics_add(m, &a), 0);
	assert_int_equal(metrics_add(m, &a), -ENOSPC);
	metrics_free(m);
	counters_fini(&a);
	counters_fini(&b);
}

static void *count_on(void *arg)
{
	for (unsigned i = 0; i < 100000; i++)
		counter_inc(arg, RECEIVED);
	return NULL;
}

static void workers_count_while_it_is_read(void **state)
{
	struct metrics_text text;
	struct counters a;
	struct metrics *m;
	pthread_t thread;

	(void)state;
	assert_int_equal(counters_init(&a, udp_defs, N), 0);
	assert_int_equal(metrics_new(&m), 0);
	assert_int_equal(metrics_add(m, &a), 0);
	assert_int_equal(pthread_create(&thread, NULL, count_on, &a), 0);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(metrics_render(m, &text), 0);
		free(text.p);
	}
	pthread_join(thread, NULL);
	assert_int_equal(metrics_render(m, &text), 0);
	assert_true(sv_find((struct sv){ text.p, text.len }, SV("\nsbc_udp_received_total 100000\n")) != SIZE_MAX);
	free(text.p);
	metrics_free(m);
	counters_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_a_kind_are_summed),
		cmocka_unit_test(label_values_are_escaped),
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(a_page_beyond_its_bound_fails),
		cmocka_unit_test(a_name_is_given_once),
		cmocka_unit_test(workers_count_while_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
