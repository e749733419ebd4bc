/* The writer of call records and a file that takes no more: lines wait, none is lost or torn, and a reopened file ends the waiting. */
#include "sbc/cdr.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { LINE = 1000, LINES = 300, FILE_MAX = 100500, WAIT_MS = 20000 }; /* FILE_MAX ends within a line */

static void write_line(struct cdr_sink *cdr, unsigned i)
{
	char line[LINE + 1];

	memset(line, 'x', LINE);
	snprintf(line, sizeof(line), "{\"n\":%u,", i);
	line[strlen(line)] = 'x';
	line[LINE - 2] = '}';
	line[LINE - 1] = '\n';
	cdr->write(cdr, (struct sv){ line, LINE });
}

/* Reads its lines, which begin with number `next`; returns the number behind the last. */
static unsigned read_lines(const char *path, unsigned next)
{
	char line[LINE + 2];
	unsigned n;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(strlen(line), LINE);
		assert_int_equal(sscanf(line, "{\"n\":%u,", &n), 1);
		assert_int_equal(n, next++);
	}
	fclose(f);
	return next;
}

static uint64_t counted(struct cdr_sink *cdr, enum cdr_counter which)
{
	return counter_get(cdr_counters(cdr), which);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_file_loses_nothing(void **state)
{
	char dir[] = "/tmp/cdr-XXXXXX", path[64], old[64];
	struct cdr_sink *cdr;
	unsigned n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cdr", dir);
	snprintf(old, sizeof(old), "%s/old", dir);
	signal(SIGXFSZ, SIG_IGN);
	limit_files(FILE_MAX);
	assert_int_equal(cdr_new(&cdr, path, NULL), 0);
	for (unsigned i = 0; i < LINES; i++)
		write_line(cdr, i);
	for (unsigned ms = 0; !counted(cdr, CDR_WRITE_ERRORS) && ms < WAIT_MS; ms += 10)
		usleep(10000);
	assert_true(counted(cdr, CDR_WRITE_ERRORS) > 0);
	assert_int_equal(rename(path, old), 0);
	limit_files(RLIM_INFINITY);
	cdr_reopen(cdr);
	for (unsigned ms = 0; counted(cdr, CDR_WRITTEN) < LINES && ms < WAIT_MS; ms += 10)
		usleep(10000);
	cdr_free(cdr);
	n = read_lines(old, 0);
	assert_true(n > 0 && n < LINES);
	assert_int_equal(read_lines(path, n), LINES);
	unlink(old);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_file_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
