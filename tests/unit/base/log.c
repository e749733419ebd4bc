/* tests/unit/base/log.c */
#include "tests/unit/base/oom.h"
#include <pthread.h>

static int oom_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return oom_now() ? EAGAIN : pthread_create(t, attr, run, arg);
}

#define pthread_create oom_pthread_create
#include "base/log.c"
#undef pthread_create
#include "tests/unit/base/json_check.h"
#include "tests/unit/base/unit.h"
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { THREADS = 4, EACH = 3000 };

struct rig {
	char dir[32];
	char path[64], moved[64];
	char text[1 << 20]; /* what was read back last */
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	if (!rig)
		return -1;
	strcpy(rig->dir, "/tmp/unit-log-XXXXXX");
	if (!mkdtemp(rig->dir))
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/log", rig->dir);
	snprintf(rig->moved, sizeof(rig->moved), "%s/log.1", rig->dir);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	unlink(rig->path);
	unlink(rig->moved);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

static struct log *open_log(const char *path, unsigned lines)
{
	const struct log_params p = { .path = path, .level = LOG_INFO, .lines = lines };
	struct log *l = NULL;

	assert_int_equal(log_new(&l, &p), 0);
	return l;
}

static const char *contents(struct rig *rig, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, rig->text + len, sizeof(rig->text) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	rig->text[len] = '\0';
	return rig->text;
}

/* Behind the time stamp, which differs from run to run. */
static const char *line_after_ts(const char *line)
{
	assert_int_equal(strncmp(line, "ts=20", 5), 0);
	assert_int_equal(line[27], ' ');
	return line + 28;
}

static void wait_until(bool (*is_so)(void *ctx), void *ctx)
{
	for (int i = 0; i < 5000 && !is_so(ctx); i++)
		poll(NULL, 0, 1);
	assert_true(is_so(ctx));
}

static bool has_contents(void *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0;
}

static uint64_t ms_of_free(struct log *l)
{
	uint64_t begin = clock_ms(CLOCK_MONOTONIC);

	log_free(l);
	return clock_ms(CLOCK_MONOTONIC) - begin;
}

static void lines_reach_the_file(void **state)
{
	struct rig *rig = *state;
	struct log *l = open_log(rig->path, 0);
	const char *line;

	errno = EDOM;
	log_info(l, "call.answered", "call=%s setup_ms=%u", "a b", 35U);
	assert_int_equal(errno, EDOM);
	log_debug(l, "not.shown", "a=%d", 1);
	log_set_level(l, LOG_DEBUG);
	log_debug(l, "shown", "a=%d", 2);
	log_set_level(l, LOG_ERROR);
	log_warn(l, "not.shown", "a=%d", 3);
	assert_int_equal(log_lost(l), 0);
	log_free(l);
	line = contents(rig, rig->path);
	assert_int_equal(strncmp(line_after_ts(line), "level=info event=call.answered call=\"a b\" setup_ms=35\n",
				 54), 0);
	assert_string_equal(line_after_ts(strchr(line, '\n') + 1), "level=debug event=shown a=2\n");
}

static void no_log_no_crash(void **state)
{
	(void)state;
	log_error(NULL, "x", "a=%d", 1);
	log_write(NULL, LOG_ERROR, "x", "a=%d", 1);
	assert_false(log_is_on(NULL, LOG_ERROR));
	assert_int_equal(log_lost(NULL), 0);
	log_reopen(NULL);
	log_set_level(NULL, LOG_DEBUG);
	log_free(NULL);
}

static void json_lines(void **state)
{
	struct rig *rig = *state;
	const struct log_params p = { .path = rig->path, .format = LOG_JSON, .level = LOG_DEBUG };
	struct log *l;
	const char *text;

	assert_int_equal(log_new(&l, &p), 0);
	log_error(l, "peer.lost", "peer=%s for_ms=%d", "a\"\n\xff", 7);
	log_free(l);
	text = contents(rig, rig->path);
	assert_non_null(strstr(text, "\"level\":\"error\",\"event\":\"peer.lost\","
				     "\"peer\":\"a\\\"\\n\\u00ff\",\"for_ms\":7}\n"));
	assert_true(is_json((struct sv){ text, strlen(text) - 1 }));
}

struct writer {
	struct log *log;
	unsigned id;
};

static void *write_lines(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < EACH; i++)
		log_info(w->log, "line", "thread=%u n=%u", w->id, i);
	return NULL;
}

/* Room for all: nothing is lost, lines are whole, and each thread's stay in order. */
static void many_threads(void **state)
{
	struct rig *rig = *state;
	struct log *l = open_log(rig->path, THREADS * EACH);
	struct writer writers[THREADS];
	pthread_t threads[THREADS];
	unsigned next[THREADS] = { 0 }, lines = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ l, i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &writers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(log_lost(l), 0);
	log_free(l);
	for (const char *p = contents(rig, rig->path); *p; p = strchr(p, '\n') + 1, lines++) {
		unsigned thread, n;

		assert_int_equal(sscanf(line_after_ts(p), "level=info event=line thread=%u n=%u\n", &thread, &n), 2);
		assert_in_range(thread, 0, THREADS - 1);
		assert_int_equal(n, next[thread]++);
	}
	assert_int_equal(lines, THREADS * EACH);
}

/* A full ring costs lines, counted; written plus lost is what was logged. */
static void many_threads_small_ring(void **state)
{
	struct rig *rig = *state;
	struct log *l = open_log(rig->path, 16);
	struct writer writers[THREADS];
	pthread_t threads[THREADS];
	unsigned lines = 0;
	uint64_t lost;

	for (unsigned i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ l, i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &writers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	lost = log_lost(l);
	log_free(l);
	for (const char *p = contents(rig, rig->path); (p = strstr(p, "event=line ")); p++)
		lines++;
	assert_int_equal(lines + lost, THREADS * EACH);
}

static void pipe_path(char path[64], int fd)
{
	snprintf(path, 64, "/proc/self/fd/%d", fd);
}

/* Nobody reads: callers go on at once, lines are counted as lost, and the end comes within a second. */
static void reader_that_has_stopped(void **state)
{
	uint64_t begin = clock_ms(CLOCK_MONOTONIC);
	char path[64];
	struct log *l;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	pipe_path(path, fd[1]);
	l = open_log(path, 64);
	for (int i = 0; i < 5000; i++)
		log_info(l, "line", "n=%d text=%0100d", i, i);
	assert_true(log_lost(l) > 1000); /* a pipe holds 64 KiB */
	assert_true(clock_ms(CLOCK_MONOTONIC) - begin < 3000);
	assert_in_range(ms_of_free(l), 0, 1000);
	close(fd[0]);
	close(fd[1]);
}

struct drain {
	struct log *log;
	int fd;
	char seen[1 << 17];
	size_t len;
};

static bool has_report(void *ctx)
{
	struct drain *d = ctx;
	ssize_t n = 1;

	log_info(d->log, "again", "a=1");
	while (n > 0 && d->len < sizeof(d->seen) - 1) {
		n = read(d->fd, d->seen + d->len, sizeof(d->seen) - 1 - d->len);
		d->len += n > 0 ? (size_t)n : 0;
	}
	d->seen[d->len] = '\0';
	return strstr(d->seen, "level=warn event=log.lost lines=") != NULL;
}

/* When the reader goes on, the log says how much is missing. */
static void loss_is_told(void **state)
{
	struct drain *d = calloc(1, sizeof(*d));
	char path[64];
	int fd[2];

	(void)state;
	assert_non_null(d);
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	pipe_path(path, fd[1]);
	d->log = open_log(path, 16);
	d->fd = fd[0];
	for (int i = 0; i < 2000; i++)
		log_info(d->log, "line", "n=%d text=%0100d", i, i);
	assert_true(log_lost(d->log) > 0);
	wait_until(has_report, d);
	log_free(d->log);
	close(fd[0]);
	close(fd[1]);
	free(d);
}

/* Standard error may block although it polled writable: here a socket with a send buffer smaller than one write. */
static void standard_error_that_blocks(void **state)
{
	int pair[2], small = 1, saved = dup(STDERR_FILENO);
	struct log *l;
	uint64_t ms;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(dup2(pair[0], STDERR_FILENO), STDERR_FILENO);
	l = open_log(NULL, 64);
	for (int i = 0; i < 60; i++)
		log_info(l, "line", "n=%d text=%0100d", i, i);
	ms = ms_of_free(l);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pair[0]);
	close(pair[1]);
	assert_in_range(ms, 0, 1000);
}

struct loss {
	const struct log *log;
	uint64_t lines;
};

static bool is_lost(void *ctx)
{
	struct loss *loss = ctx;

	return log_lost(loss->log) == loss->lines;
}

static void full_disk(void **state)
{
	struct log *l = open_log("/dev/full", 1024);
	struct loss loss = { l, 300 };

	(void)state;
	for (int i = 0; i < 300; i++)
		log_info(l, "line", "n=%d", i);
	wait_until(is_lost, &loss); /* exactly: reports of ours do not count */
	log_free(l);
}

static void reader_that_is_gone(void **state)
{
	struct loss loss = { NULL, 1 };
	char path[64];
	struct log *l;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	pipe_path(path, fd[1]);
	l = open_log(path, 0);
	close(fd[0]);
	close(fd[1]);
	log_info(l, "line", "n=1"); /* SIGPIPE would end the test */
	loss.log = l;
	wait_until(is_lost, &loss);
	log_free(l);
}

/* A disk that fills up within a line: the next line that fits again starts on a line of its own. */
static void torn_line(void **state)
{
	struct rig *rig = *state;
	struct log *l = open_log(rig->path, 0);
	struct loss loss = { l, 1 };
	struct rlimit before, tight;
	const char *text;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 50;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	log_info(l, "first", "text=%050d", 1);
	wait_until(is_lost, &loss);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	log_info(l, "second", "a=1");
	log_free(l);
	text = contents(rig, rig->path);
	assert_int_equal(text[50], '\n');
	assert_int_equal(strncmp(line_after_ts(text + 51), "level=warn event=log.lost lines=1 total=1\n", 42), 0);
	assert_non_null(strstr(text + 51, "Z level=info event=second a=1\n"));
}

static void reopen_after_rename(void **state)
{
	struct rig *rig = *state;
	struct log *l = open_log(rig->path, 0);

	log_info(l, "before", "a=1");
	wait_until(has_contents, rig->path);
	assert_int_equal(rename(rig->path, rig->moved), 0);
	errno = EDOM;
	log_reopen(l);
	assert_int_equal(errno, EDOM);
	log_info(l, "after", "a=2");
	log_free(l);
	assert_null(strstr(contents(rig, rig->moved), "after"));
	assert_non_null(strstr(contents(rig, rig->moved), "event=before a=1\n"));
	assert_string_equal(line_after_ts(contents(rig, rig->path)), "level=info event=after a=2\n");
}

static void reopen_without_a_new_line(void **state)
{
	struct rig *rig = *state;
	struct log *l = open_log(rig->path, 0);
	struct stat st;

	assert_int_equal(rename(rig->path, rig->moved), 0);
	log_reopen(l);
	log_free(l);
	assert_int_equal(stat(rig->path, &st), 0);
}

/* A reopen that fails keeps the old file and says so there. */
static void reopen_that_fails(void **state)
{
	struct rig *rig = *state;
	char elsewhere[40];
	struct log *l = open_log(rig->path, 0);

	snprintf(elsewhere, sizeof(elsewhere), "%s.x", rig->dir);
	assert_int_equal(rename(rig->dir, elsewhere), 0);
	log_reopen(l);
	log_info(l, "after", "a=2");
	log_free(l);
	assert_int_equal(rename(elsewhere, rig->dir), 0);
	contents(rig, rig->path);
	assert_non_null(strstr(rig->text, "level=error event=log.reopen_failed path="));
	assert_non_null(strstr(rig->text, " error=\"No such file or directory\"\n"));
	assert_non_null(strstr(rig->text, "event=after a=2\n"));
}

/* Reopening also frees a writer that waits for a reader that has stopped. */
static void reopen_leaves_a_stuck_pipe(void **state)
{
	struct rig *rig = *state;
	struct log *l;
	int fd[2];
	char path[64];

	assert_int_equal(pipe(fd), 0);
	pipe_path(path, fd[1]);
	assert_int_equal(symlink(path, rig->path), 0);
	l = open_log(rig->path, 64);
	for (struct pollfd p = { .fd = fd[1], .events = POLLOUT }; poll(&p, 1, 0) == 1; )
		log_info(l, "line", "text=%0100d", 1);
	for (int i = 0; i < 64; i++)
		log_info(l, "line", "text=%0100d", 2);
	assert_int_equal(unlink(rig->path), 0);
	log_reopen(l);
	wait_until(has_contents, rig->path); /* what still lay in the ring */
	log_free(l);
	close(fd[0]);
	close(fd[1]);
}

static void what_cannot_be_opened(void **state)
{
	struct rig *rig = *state;
	struct log_params p = { .path = "/nowhere/at/all" };
	struct log *l = NULL;

	assert_int_equal(log_new(&l, &p), -ENOENT);
	p.path = rig->dir;
	assert_int_equal(log_new(&l, &p), -EISDIR);
	assert_int_equal(mkfifo(rig->path, 0600), 0);
	p.path = rig->path;
	assert_int_equal(log_new(&l, &p), -ENXIO); /* nobody reads it: an answer, not a wait */
	p.path = rig->moved;
	for (unsigned i = 1; i <= 6; i++) {
		oom_in = i;
		assert_true(log_new(&l, &p) < 0);
		assert_null(l);
		assert_int_equal(oom_in, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_reach_the_file, setup, teardown),
		cmocka_unit_test(no_log_no_crash),
		cmocka_unit_test_setup_teardown(json_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads_small_ring, setup, teardown),
		cmocka_unit_test(reader_that_has_stopped),
		cmocka_unit_test(loss_is_told),
		cmocka_unit_test(standard_error_that_blocks),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(reader_that_is_gone),
		cmocka_unit_test_setup_teardown(torn_line, setup, teardown),
		cmocka_unit_test_setup_teardown(reopen_after_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(reopen_without_a_new_line, setup, teardown),
		cmocka_unit_test_setup_teardown(reopen_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(reopen_leaves_a_stuck_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_opened, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
