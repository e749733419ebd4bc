/* The program sbcctl against a server in another thread: what it says, and with which exit code. */
#include "admin/ctl.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 4 << 20, LINES = 40000, LINE = 66 };

struct rig {
	char dir[32], path[64], program[PATH_MAX];
	struct event_base *loop;
	struct event *stop;
	struct ctl *ctl;
	int stop_fd[2];
	pthread_t thread;
	char *out, err[4096];           /* of the last run */
	size_t out_len;
};

static void on_echo(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)ctx;
	ctl_columns(r, 1, "word");
	for (int i = 0; i < argc; i++)
		ctl_row(r, cell_str(argv[i]));
	ctl_done(r);
}

/* More than any socket buffer holds. */
static void on_much(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	char line[LINE + 1];

	(void)ctx;
	(void)argc;
	(void)argv;
	for (unsigned i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%064u\n", i);
		ctl_text(r, (struct sv){ line, LINE - 1 });
	}
	ctl_done(r);
}

static void on_fail(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)ctx;
	(void)argv;
	ctl_fail(r, argc > 1 ? 77 : CTL_FAILED, "it cannot be");
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void *serve(void *arg)
{
	struct rig *rig = arg;

	event_base_dispatch(rig->loop);
	return NULL;
}

/* <build>/tests/unit/this-test and <build>/sbcctl. */
static void find_program(char program[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", program, PATH_MAX - 1);

	assert_in_range(n, 1, PATH_MAX - 1);
	program[n] = '\0';
	for (unsigned i = 0; i < 3; i++)
		*strrchr(program, '/') = '\0';
	strncat(program, "/sbcctl", PATH_MAX - strlen(program) - 1);
	assert_int_equal(access(program, X_OK), 0);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig || !(rig->out = malloc(OUTPUT_MAX)))
		return -1;
	find_program(rig->program);
	strcpy(rig->dir, "/tmp/sbc-ctl-XXXXXX");
	if (!mkdtemp(rig->dir) || pipe(rig->stop_fd))
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/ctl.sock", rig->dir);
	rig->loop = event_base_new();
	rig->stop = event_new(rig->loop, rig->stop_fd[0], EV_READ, on_stop, rig->loop);
	event_add(rig->stop, NULL);
	if (ctl_new(&rig->ctl, rig->loop, rig->path))
		return -1;
	ctl_register(rig->ctl, "echo", "[WORD...]", "says it again", on_echo, NULL);
	ctl_register(rig->ctl, "check", "FILE", "says it again", on_echo, NULL);
	ctl_register(rig->ctl, "much", "", "says much", on_much, NULL);
	ctl_register(rig->ctl, "fail", "", "fails", on_fail, NULL);
	unsetenv("SBC_SOCKET");
	*state = rig;
	return pthread_create(&rig->thread, NULL, serve, rig);
}

static void stop_serving(struct rig *rig)
{
	if (!rig->ctl)
		return;
	assert_int_equal(write(rig->stop_fd[1], "x", 1), 1);
	pthread_join(rig->thread, NULL);
	ctl_free(rig->ctl);
	rig->ctl = NULL;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char lock[80];

	stop_serving(rig);
	event_free(rig->stop);
	event_base_free(rig->loop);
	close(rig->stop_fd[0]);
	close(rig->stop_fd[1]);
	snprintf(lock, sizeof(lock), "%s.lock", rig->path);
	unlink(lock);
	rmdir(rig->dir);
	free(rig->out);
	free(rig);
	return 0;
}

static size_t slurp(int fd, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size && (n = read(fd, to + len, size - 1 - len)) > 0)
		len += (size_t)n;
	to[len] = '\0';
	close(fd);
	return len;
}

/* Runs sbcctl with the words of `command` ("@" stands for the socket); its exit code. */
static int run(struct rig *rig, const char *command)
{
	char words[512], *argv[96] = { rig->program }, *save = NULL;
	int out[2], err[2], status, argc = 1;
	pid_t pid;

	snprintf(words, sizeof(words), "%s", command);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "@") == 0 ? rig->path : w;
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		close(out[0]);
		close(err[0]);
		execv(rig->program, argv);
		_exit(99);
	}
	close(out[1]);
	close(err[1]);
	rig->out_len = slurp(out[0], rig->out, OUTPUT_MAX);
	slurp(err[0], rig->err, sizeof(rig->err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void it_asks_and_prints(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(run(rig, "-s @ echo one -x --two"), CTL_OK);
	assert_string_equal(rig->out, "WORD\necho\none\n-x\n--two\n");
	assert_string_equal(rig->err, "");
	assert_int_equal(run(rig, "--socket @ --json echo"), CTL_OK);
	assert_string_equal(rig->out, "[\n{\"word\":\"echo\"}\n]\n");
	assert_int_equal(run(rig, "-s @ echo --json"), CTL_OK);
	assert_string_equal(rig->out, "[\n{\"word\":\"echo\"}\n]\n");
	assert_int_equal(run(rig, "-s @ echo -- --json"), CTL_OK);
	assert_string_equal(rig->out, "WORD\necho\n--json\n");
}

static void the_socket_may_stand_in_the_environment(void **state)
{
	struct rig *rig = *state;

	setenv("SBC_SOCKET", rig->path, 1);
	assert_int_equal(run(rig, "help"), CTL_OK);
	assert_non_null(strstr(rig->out, "says it again"));
}

static void exit_codes_pass_through(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(run(rig, "-s @ fail"), CTL_FAILED);
	assert_string_equal(rig->err, "it cannot be\n");
	assert_int_equal(run(rig, "-s @ fail x"), 77);
	assert_int_equal(run(rig, "-s @ ecko"), CTL_USAGE);
	assert_string_equal(rig->err, "unknown verb `ecko`; did you mean `echo`?\n");
}

static void long_answers_arrive_whole(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(run(rig, "-s @ much"), CTL_OK);
	assert_int_equal(rig->out_len, LINES * (LINE - 1));
}

static void files_are_meant_from_here(void **state)
{
	struct rig *rig = *state;
	char here[PATH_MAX], expected[2 * PATH_MAX];

	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(run(rig, "-s @ check ../sbc.yaml"), CTL_OK);
	snprintf(expected, sizeof(expected), "WORD\ncheck\n%s/../sbc.yaml\n", here);
	assert_string_equal(rig->out, expected);
	assert_int_equal(run(rig, "-s @ check /etc/sbc.yaml"), CTL_OK);
	assert_string_equal(rig->out, "WORD\ncheck\n/etc/sbc.yaml\n");
	assert_int_equal(run(rig, "-s @ echo sbc.yaml"), CTL_OK);
	assert_string_equal(rig->out, "WORD\necho\nsbc.yaml\n");
}

static void without_sbc_it_says_what_to_do(void **state)
{
	struct rig *rig = *state;

	stop_serving(rig);
	assert_int_equal(run(rig, "-s @ help"), CTL_FAILED);
	assert_non_null(strstr(rig->err, "is sbc running with admin.socket set?"));
	assert_non_null(strstr(rig->err, rig->path));
	assert_int_equal(rig->out_len, 0);
}

static void its_own_options(void **state)
{
	struct rig *rig = *state;
	char many[300] = "-s @ echo";

	assert_int_equal(run(rig, "--help"), CTL_OK);
	assert_non_null(strstr(rig->out, "usage: sbcctl"));
	assert_int_equal(run(rig, "--version"), CTL_OK);
	assert_int_equal(strncmp(rig->out, "sbcctl 0.", 9), 0);
	assert_int_equal(run(rig, ""), CTL_USAGE);
	assert_non_null(strstr(rig->err, "usage: sbcctl"));
	assert_int_equal(run(rig, "--nonsense"), CTL_USAGE);
	assert_int_equal(run(rig, "-s"), CTL_USAGE);
	for (unsigned i = 0; i < CTL_ARGS_MAX; i++)
		strcat(many, " x");
	assert_int_equal(run(rig, many), CTL_USAGE);
	assert_non_null(strstr(rig->err, "more than 64 arguments"));
}

static void too_many_at_a_time_are_told(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd[CTL_CONNECTIONS_MAX];

	strcpy(sa.sun_path, rig->path);
	for (unsigned i = 0; i < CTL_CONNECTIONS_MAX; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	for (unsigned i = 0; i < 20; i++) { /* whichever is first, its question or our refusal */
		assert_int_equal(run(rig, "-s @ echo"), CTL_FAILED);
		assert_string_equal(rig->err, "too many questions at a time\n");
	}
	for (unsigned i = 0; i < CTL_CONNECTIONS_MAX; i++)
		close(fd[i]);
}

/* A server that is no sbc, or an older one, must not be believed. */
static void strange_answers_are_refused(void **state)
{
	static const struct { const char *bytes; size_t len; } answers[] = {
		{ "", 0 }, { "o\0\0\0\5abc", 8 }, { "x\0\0\0\2ab", 7 }, { "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
		{ "o\xff\xff\xff\xff" "abc", 8 },
	};
	struct rig *rig = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t server;

	stop_serving(rig);
	strcpy(sa.sun_path, rig->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 8), 0);
	server = fork();
	if (server == 0) {
		alarm(30); /* nobody waits for it when the test fails */
		for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
			char question[64];
			int fd = accept(listener, NULL, NULL);

			if (recv(fd, question, sizeof(question), 0) > 0)
				(void)!send(fd, answers[i].bytes, answers[i].len, MSG_NOSIGNAL);
			close(fd);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		assert_int_equal(run(rig, "-s @ help"), CTL_FAILED);
		assert_non_null(strstr(rig->err, "sbcctl: "));
	}
	assert_int_equal(waitpid(server, NULL, 0), server);
	close(listener);
	unlink(rig->path);
}

#define case_of(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		case_of(it_asks_and_prints),
		case_of(the_socket_may_stand_in_the_environment),
		case_of(exit_codes_pass_through),
		case_of(long_answers_arrive_whole),
		case_of(files_are_meant_from_here),
		case_of(without_sbc_it_says_what_to_do),
		case_of(its_own_options),
		case_of(too_many_at_a_time_are_told),
		case_of(strange_answers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
