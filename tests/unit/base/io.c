/* tests/unit/base/io.c */
#include "base/io.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { MUCH = 1 << 20 };

struct reader {
	int fd;
	size_t got;
	bool is_same;
};

static void *read_slowly(void *arg)
{
	struct reader *r = arg;
	unsigned char some[777];
	ssize_t n;

	r->is_same = true;
	while ((n = read(r->fd, some, sizeof(some))) > 0)
		for (ssize_t i = 0; i < n; i++, r->got++)
			r->is_same &= some[i] == (unsigned char)(r->got * 31);
	return NULL;
}

/* A pipe takes 64 KiB, or one page, at a time. */
static void all_of_it_arrives(void **state)
{
	unsigned char *much = malloc(MUCH);
	struct reader r = { 0 };
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_non_null(much);
	for (size_t i = 0; i < MUCH; i++)
		much[i] = (unsigned char)(i * 31);
	assert_int_equal(pipe(ends), 0);
	(void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
	r.fd = ends[0];
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &r), 0);
	assert_int_equal(write_all(ends[1], (struct sv){ (char *)much, MUCH }), 0);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	free(much);
	assert_int_equal(r.got, MUCH);
	assert_true(r.is_same);
}

static void what_fails_is_said(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(write_all(ends[1], SV("hello")), -EPIPE);
	close(ends[1]);
	assert_int_equal(write_all(ends[1], SV("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_arrives),
		cmocka_unit_test(what_fails_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
