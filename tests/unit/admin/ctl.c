/* The control socket over real Unix sockets in a directory of its own; server and clients in one thread, and the clock is
 * turned by hand. */
#include "admin/ctl.h"
#include "base/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* libevent's timers ask this clock; the tests move it on instead of sleeping. */
static uint64_t clock_ahead_ms;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int err = (int)syscall(SYS_clock_gettime, id, ts);
	uint64_t ms = (uint64_t)ts->tv_nsec / 1000000 + clock_ahead_ms % 1000;

	ts->tv_sec += (time_t)(clock_ahead_ms / 1000 + ms / 1000);
	ts->tv_nsec = ts->tv_nsec % 1000000 + (long)(ms % 1000) * 1000000;
	return err;
}

enum { HELD_MAX = 8, ANSWER_MAX = 1 << 22 };

struct rig {
	char dir[32], path[64], lock[80];
	struct event_base *loop;
	struct ctl *ctl;
	struct ctl_reply *held[HELD_MAX]; /* of verb "later" */
	unsigned n_held, n_gone;
	int argc;                       /* of the last "echo" */
	char actor[32];
};

/* An answer taken apart. */
struct answer {
	char out[65536], err[4096];
	size_t out_len, err_len;
	unsigned beats;
	int code;                       /* -1: none came */
};

static void turn(struct rig *rig)
{
	for (unsigned i = 0; i < 8; i++)
		event_base_loop(rig->loop, EVLOOP_NONBLOCK);
}

static void after(struct rig *rig, unsigned ms)
{
	clock_ahead_ms += ms;
	turn(rig);
}

/* Verbs --------------------------------------------------------------------------------------------------------- */

static void on_echo(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct rig *rig = ctx;

	rig->argc = argc;
	assert_null(argv[argc]);
	snprintf(rig->actor, sizeof(rig->actor), "%s", ctl_actor(r));
	for (int i = 1; i < argc; i++) {
		ctl_text(r, sv_from(argv[i]));
		ctl_text(r, SV("\n"));
	}
	ctl_done(r);
}

static void on_table(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)ctx;
	(void)argc;
	(void)argv;
	ctl_columns(r, 5, "name", "load", "is_up", "since_ms", "why");
	ctl_row(r, cell_str("media/m1"), cell_u64(7), cell_bool(true), cell_ms(65000), cell_str("probe: answered 200"));
	ctl_row(r, cell_str("media/longer"), cell_u64(12345), cell_bool(false), cell_ms(3400), cell_sv(SV("a\x1b[2J\xff\"\0b")));
	ctl_row(r, cell_str("m\xc3\xa4" "dia/m2"), cell_none());
	ctl_note(r, "%d destinations", 3);
	ctl_done(r);
}

static void on_gone(void *ctx, struct ctl_reply *r)
{
	struct rig *rig = ctx;

	(void)r;
	rig->n_gone++;
}

static void on_later(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct rig *rig = ctx;

	assert_true(rig->n_held < HELD_MAX);
	rig->held[rig->n_held++] = r;
	ctl_on_gone(r, on_gone, rig);
	if (argc > 1 && strcmp(argv[1], "--wait") == 0)
		ctl_wait(r);
}

static void on_many(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	char kilobyte[1024];
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	(void)ctx;
	memset(kilobyte, 'x', sizeof(kilobyte));
	ctl_columns(r, 1, "kilobyte");
	while (n--)
		ctl_row(r, cell_sv((struct sv){ kilobyte, sizeof(kilobyte) }));
	ctl_done(r);
}

static void on_refuse(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)ctx;
	(void)argv;
	ctl_text(r, SV("not seen"));
	if (argc > 1)
		ctl_fail_usage(r);
	else
		ctl_fail(r, CTL_FAILED, "there is no `%s`", "media/m9");
}

static void on_check(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	(void)ctx;
	(void)argc;
	(void)argv;
	ctl_text(r, SV("f:1:1: wrong\n"));
	ctl_exit_code(r, CTL_FAILED);
	ctl_done(r);
}

/* Rig ----------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	strcpy(rig->dir, "/tmp/sbc-ctl-XXXXXX");
	if (!mkdtemp(rig->dir))
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/ctl.sock", rig->dir);
	snprintf(rig->lock, sizeof(rig->lock), "%s.lock", rig->path);
	rig->loop = event_base_new();
	*state = rig;
	if (!rig->loop || ctl_new(&rig->ctl, rig->loop, rig->path))
		return -1;
	ctl_register(rig->ctl, "echo", "[WORD...]", "says it again", on_echo, rig);
	ctl_register(rig->ctl, "table", "", "a table", on_table, rig);
	ctl_register(rig->ctl, "later", "[--wait]", "answers when told", on_later, rig);
	ctl_register(rig->ctl, "many", "N", "kilobytes", on_many, rig);
	ctl_register(rig->ctl, "refuse", "[ANYTHING]", "fails", on_refuse, rig);
	ctl_register(rig->ctl, "check", "", "answers and fails", on_check, rig);
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	ctl_free(rig->ctl);
	event_base_free(rig->loop);
	unlink(rig->lock);
	assert_int_equal(rmdir(rig->dir), 0); /* nothing else is left */
	free(rig);
	return 0;
}

static int dial(struct rig *rig)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, rig->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void put_len(char *to, size_t len)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (char)(len >> (24 - 8 * i));
}

/* `words` are separated by single blanks. */
static size_t question(char *to, bool is_json, const char *words)
{
	size_t len = strlen(words) + 1;

	put_len(to, len + 1);
	to[4] = is_json ? CTL_FLAG_JSON : 0;
	memcpy(to + 5, words, len);
	for (char *p = to + 5; *p; p++)
		if (*p == ' ')
			*p = '\0';
	return len + 5;
}

static void say(int fd, bool is_json, const char *words)
{
	char q[512];
	size_t len = question(q, is_json, words);

	assert_int_equal(send(fd, q, len, MSG_NOSIGNAL), len);
}

static char *read_all(struct rig *rig, int fd, size_t *len)
{
	char *all = malloc(ANSWER_MAX);
	ssize_t n;

	assert_non_null(all);
	*len = 0;
	do {
		turn(rig);
		while ((n = recv(fd, all + *len, ANSWER_MAX - *len, 0)) > 0)
			*len += (size_t)n;
	} while (n < 0 && errno == EAGAIN && *len && all[0] == 'o' && *len < 6);
	return all;
}

static void take_frame(struct answer *a, char kind, const char *p, size_t len)
{
	switch (kind) {
	case 'o':
		assert_true(a->out_len + len < sizeof(a->out));
		memcpy(a->out + a->out_len, p, len);
		a->out_len += len;
		break;
	case 'e':
		assert_true(a->err_len + len < sizeof(a->err));
		memcpy(a->err + a->err_len, p, len);
		a->err_len += len;
		break;
	case 'w':
		assert_int_equal(len, 0);
		a->beats++;
		break;
	default:
		assert_int_equal(kind, 'x');
		assert_int_equal(len, 1);
		a->code = (uint8_t)*p;
	}
}

/* Everything the server has sent so far. */
static struct answer hear(struct rig *rig, int fd)
{
	struct answer a = { .code = -1 };
	size_t len, at = 0, n;
	char *all = read_all(rig, fd, &len);

	while (at < len) {
		assert_true(len - at >= 5);
		n = (size_t)(uint8_t)all[at + 1] << 24 | (size_t)(uint8_t)all[at + 2] << 16 |
		    (size_t)(uint8_t)all[at + 3] << 8 | (uint8_t)all[at + 4];
		assert_true(len - at - 5 >= n);
		take_frame(&a, all[at], all + at + 5, n);
		at += 5 + n;
	}
	free(all);
	return a;
}

static struct answer ask(struct rig *rig, bool is_json, const char *words)
{
	int fd = dial(rig);
	struct answer a;

	say(fd, is_json, words);
	a = hear(rig, fd);
	close(fd);
	turn(rig);
	return a;
}

static uint64_t counted(struct rig *rig, enum ctl_counter which)
{
	return counter_get(ctl_counters(rig->ctl), which);
}

/* Answers ------------------------------------------------------------------------------------------------------- */

static void arguments_arrive_and_text_returns(void **state)
{
	struct rig *rig = *state;
	struct answer a = ask(rig, false, "echo one  two");
	char who[32];

	assert_int_equal(a.code, CTL_OK);
	assert_int_equal(rig->argc, 4); /* an empty word is one, too */
	assert_string_equal(a.out, "one\n\ntwo\n");
	snprintf(who, sizeof(who), "%s", getpwuid(getuid()) ? getpwuid(getuid())->pw_name : "");
	if (!*who)
		snprintf(who, sizeof(who), "uid %u", (unsigned)getuid());
	assert_string_equal(rig->actor, who);
	a = ask(rig, true, "echo a\"b");
	assert_string_equal(a.out, "{\"text\":\"a\\\"b\\n\"}\n");
	assert_int_equal(counted(rig, CTL_REQUESTS), 2);
}

static void tables_are_aligned_and_harmless(void **state)
{
	struct answer a = ask(*state, false, "table");

	assert_int_equal(a.code, CTL_OK);
	assert_string_equal(a.out, "NAME           LOAD  IS_UP  SINCE  WHY\n"
				   "media/m1          7  yes    1m05s  probe: answered 200\n"
				   "media/longer  12345  no      3.4s  a\\x1b[2J\\xff\"\\x00b\n"
				   "m\xc3\xa4" "dia/m2          -  -          -  -\n"
				   "3 destinations\n");
}

static void tables_become_json(void **state)
{
	struct answer a = ask(*state, true, "table");

	assert_string_equal(a.out,
		"[\n{\"name\":\"media/m1\",\"load\":7,\"is_up\":true,\"since_ms\":65000,\"why\":\"probe: answered 200\"},\n"
		"{\"name\":\"media/longer\",\"load\":12345,\"is_up\":false,\"since_ms\":3400,"
		"\"why\":\"a\\u001b[2J\\u00ff\\\"\\u0000b\"},\n"
		"{\"name\":\"m\xc3\xa4" "dia/m2\",\"load\":null,\"is_up\":null,\"since_ms\":null,\"why\":null}\n]\n");
}

static void an_empty_table_is_an_empty_list(void **state)
{
	assert_string_equal(ask(*state, true, "many 0").out, "[\n]\n");
	assert_string_equal(ask(*state, false, "many 0").out, "KILOBYTE\n");
}

static void failures_have_a_line_and_a_code(void **state)
{
	struct answer a = ask(*state, false, "refuse");

	assert_int_equal(a.code, CTL_FAILED);
	assert_string_equal(a.err, "there is no `media/m9`\n");
	assert_int_equal(a.out_len, 0);
	a = ask(*state, true, "refuse x");
	assert_int_equal(a.code, CTL_USAGE);
	assert_string_equal(a.err, "usage: refuse [ANYTHING]\n");
	a = ask(*state, false, "check");
	assert_int_equal(a.code, CTL_FAILED);
	assert_string_equal(a.out, "f:1:1: wrong\n");
}

static void unknown_verbs_get_the_nearest(void **state)
{
	struct answer a = ask(*state, false, "tabel");

	assert_int_equal(a.code, CTL_USAGE);
	assert_string_equal(a.err, "unknown verb `tabel`; did you mean `table`?\n");
	a = ask(*state, false, "xyzzy\x1b\xc2\x9b\xc2\xa0");
	assert_string_equal(a.err, "unknown verb `xyzzy\\x1b\\xc2\\x9b\xc2\xa0`; `help` lists them\n");
	a = ask(*state, false, ""); /* one argument, empty */
	assert_int_equal(a.code, CTL_USAGE);
}

static void help_lists_the_verbs(void **state)
{
	struct answer a = ask(*state, false, "help");

	assert_non_null(strstr(a.out, "\nlater   [--wait]    answers when told\n"));
	assert_non_null(strstr(a.out, "\nhelp    [VERB]      what may be asked\n"));
	a = ask(*state, false, "help table");
	assert_null(strstr(a.out, "later"));
	assert_non_null(strstr(a.out, "a table"));
	assert_int_equal(ask(*state, false, "help nothing").code, CTL_USAGE);
}

static void a_verb_is_registered_once(void **state)
{
	struct rig *rig = *state;
	static char name[CTL_VERBS_MAX][16];
	int err = 0;

	assert_int_equal(ctl_register(rig->ctl, "echo", "", "", on_echo, rig), -EEXIST);
	for (unsigned i = 0; i < CTL_VERBS_MAX && !err; i++) {
		snprintf(name[i], sizeof(name[i]), "v%u", i);
		err = ctl_register(rig->ctl, name[i], "", "", on_echo, rig);
	}
	assert_int_equal(err, -ENOSPC);
}

/* Later --------------------------------------------------------------------------------------------------------- */

static void an_answer_may_come_later(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);

	say(fd, false, "later");
	turn(rig);
	assert_int_equal(rig->n_held, 1);
	assert_int_equal(hear(rig, fd).code, -1);
	assert_string_equal(ask(rig, false, "echo meanwhile").out, "meanwhile\n");
	ctl_text(rig->held[0], SV("now"));
	ctl_done(rig->held[0]);
	assert_string_equal(hear(rig, fd).out, "now");
	assert_int_equal(rig->n_gone, 0);
	close(fd);
}

static void a_client_that_leaves_is_no_harm(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);

	say(fd, false, "later");
	turn(rig);
	close(fd);
	turn(rig);
	assert_int_equal(rig->n_gone, 1);
	ctl_columns(rig->held[0], 1, "x");
	ctl_row(rig->held[0], cell_str("for nobody"));
	ctl_text(rig->held[0], SV("for nobody"));
	ctl_note(rig->held[0], "for nobody");
	ctl_wait(rig->held[0]);
	ctl_fail(rig->held[0], CTL_FAILED, "for nobody");
	assert_int_equal(rig->n_gone, 1);
}

static void an_answer_has_a_deadline(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	struct answer a;

	say(fd, false, "later");
	turn(rig);
	after(rig, CTL_ANSWER_MS - 100);
	assert_int_equal(hear(rig, fd).code, -1);
	after(rig, 200);
	a = hear(rig, fd);
	assert_int_equal(a.code, CTL_FAILED);
	assert_string_equal(a.err, "timed out: a worker did not answer\n");
	assert_int_equal(counted(rig, CTL_TIMED_OUT), 1);
	assert_int_equal(rig->n_gone, 1);
	ctl_done(rig->held[0]); /* the worker answers after all */
	close(fd);
}

/* The client hears a beat while it waits, so that it can tell a long wait from a dead process. */
static void a_verb_may_wait_without_deadline(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	struct answer a;

	say(fd, false, "later --wait");
	turn(rig);
	for (unsigned i = 0; i < 10; i++) {
		after(rig, CTL_BEAT_MS + 100);
		a = hear(rig, fd);
		assert_int_equal(a.beats, 1);
		assert_int_equal(a.code, -1);
	}
	ctl_text(rig->held[0], SV("drained\n"));
	ctl_done(rig->held[0]);
	a = hear(rig, fd);
	assert_string_equal(a.out, "drained\n");
	assert_int_equal(a.code, CTL_OK);
	close(fd);
}

/* Lines on the way, at once; one that nobody reads is left out rather than kept without end. */
static void progress_is_seen_while_it_waits(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	struct answer a;

	say(fd, false, "later --wait");
	turn(rig);
	ctl_progress(rig->held[0], "%d left", 7);
	a = hear(rig, fd);
	assert_string_equal(a.out, "7 left\n");
	assert_int_equal(a.code, -1);
	for (unsigned i = 0; i < 100 * CTL_PROGRESS_MAX; i++) /* no turn of the loop: as if the socket were full */
		ctl_progress(rig->held[0], "more");
	ctl_note(rig->held[0], "done");
	ctl_done(rig->held[0]);
	a = hear(rig, fd);
	assert_int_equal(a.code, CTL_OK);
	assert_true(a.out_len > 1000 && a.out_len < 2 * CTL_PROGRESS_MAX);
	assert_non_null(strstr(a.out, "more\ndone\n"));
	close(fd);
}

/* Without ctl_wait, and for nobody: no word of it. */
static void progress_is_for_who_waits(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);

	say(fd, false, "later");
	turn(rig);
	ctl_progress(rig->held[0], "not yet");
	assert_string_equal(hear(rig, fd).out, "");
	close(fd);
	turn(rig);
	ctl_progress(rig->held[0], "for nobody");
	ctl_done(rig->held[0]);
}

static void the_server_may_end_before_its_answers(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);

	say(fd, false, "later");
	turn(rig);
	ctl_free(rig->ctl);
	rig->ctl = NULL;
	assert_int_equal(rig->n_gone, 1);
	ctl_text(rig->held[0], SV("too late"));
	ctl_done(rig->held[0]);
	close(fd);
}

/* Bounds -------------------------------------------------------------------------------------------------------- */

static void questions_may_come_in_pieces(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	char q[64];
	size_t len = question(q, false, "echo slowly");

	for (size_t i = 0; i < len; i++) {
		assert_int_equal(send(fd, q + i, 1, MSG_NOSIGNAL), 1);
		turn(rig);
	}
	assert_string_equal(hear(rig, fd).out, "slowly\n");
	close(fd);
}

static void bad_questions_are_refused(void **state)
{
	static const struct { size_t len; const char *bytes; } cases[] = {
		{ 0, "" },                       /* no flags even */
		{ 1, "\0" },                     /* no verb */
		{ 5, "\0echo" },                 /* not ended */
		{ CTL_REQUEST_MAX + 1, "" }, { UINT32_MAX, "" },
	};
	struct rig *rig = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t sent = cases[i].len > 5 ? 0 : cases[i].len;
		int fd = dial(rig);
		char q[16];

		put_len(q, cases[i].len);
		memcpy(q + 4, cases[i].bytes, sent);
		assert_int_equal(send(fd, q, 4 + sent, 0), 4 + sent);
		assert_int_equal(hear(rig, fd).code, CTL_USAGE);
		close(fd);
	}
	assert_int_equal(counted(rig, CTL_BAD_REQUESTS), sizeof(cases) / sizeof(cases[0]));
	assert_int_equal(counted(rig, CTL_REQUESTS), 0);
}

static void arguments_are_bounded(void **state)
{
	char words[5 + 2 * CTL_ARGS_MAX + 1] = "echo";

	for (unsigned i = 1; i < CTL_ARGS_MAX; i++)
		strcat(words, " x");
	assert_int_equal(ask(*state, false, words).code, CTL_OK);
	strcat(words, " x");
	assert_int_equal(ask(*state, false, words).code, CTL_USAGE);
}

static void the_longest_question_is_answered(void **state)
{
	struct rig *rig = *state;
	size_t len = 4 + CTL_REQUEST_MAX, sent = 0;
	char *q = malloc(len);
	int fd = dial(rig);

	assert_non_null(q);
	memset(q, 'x', len);
	put_len(q, CTL_REQUEST_MAX);
	memcpy(q + 4, "\0later", 7);
	q[len - 1] = '\0';
	while (sent < len) {
		ssize_t n = send(fd, q + sent, len - sent, 0);

		sent += n > 0 ? (size_t)n : 0;
		turn(rig);
	}
	assert_int_equal(rig->n_held, 1);
	ctl_done(rig->held[0]);
	assert_int_equal(hear(rig, fd).code, CTL_OK);
	close(fd);
	free(q);
}

static void whoever_goes_on_talking_is_gone(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);

	say(fd, false, "later");
	say(fd, false, "later");
	turn(rig);
	assert_int_equal(rig->n_held, 1);
	assert_int_equal(rig->n_gone, 1);
	ctl_done(rig->held[0]);
	close(fd);
}

static void whoever_asks_nothing_is_dropped(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	char byte;

	assert_int_equal(send(fd, "\0", 1, 0), 1);
	turn(rig);
	after(rig, CTL_REQUEST_MS + 100);
	assert_true(recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET);
	assert_int_equal(counted(rig, CTL_BAD_REQUESTS), 1);
	close(fd);
}

static void connections_are_bounded(void **state)
{
	struct rig *rig = *state;
	int fd[CTL_CONNECTIONS_MAX], more;
	struct answer a;

	for (unsigned i = 0; i < CTL_CONNECTIONS_MAX; i++) {
		fd[i] = dial(rig);
		turn(rig);
	}
	more = dial(rig);
	a = hear(rig, more);
	assert_int_equal(a.code, CTL_FAILED);
	assert_string_equal(a.err, "too many questions at a time\n");
	assert_int_equal(counted(rig, CTL_REFUSED_CONNECTIONS), 1);
	close(more);
	for (unsigned i = 0; i < CTL_CONNECTIONS_MAX; i++)
		close(fd[i]);
	turn(rig);
	assert_string_equal(ask(rig, false, "echo again").out, "again\n");
}

static void a_reader_that_does_not_read_is_dropped(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);

	say(fd, false, "many 4096");
	turn(rig);
	after(rig, CTL_STALL_MS - 100);
	assert_int_equal(counted(rig, CTL_SLOW_READERS), 0);
	after(rig, 200);
	assert_int_equal(counted(rig, CTL_SLOW_READERS), 1);
	close(fd);
}

/* A slow one, though, that takes a little now and then gets all of it. */
static void a_slow_reader_gets_everything(void **state)
{
	struct rig *rig = *state;
	size_t all = 5 + sizeof("KILOBYTE\n") - 1 + 2048 * 1025 + 6, got = 0;
	int fd = dial(rig);
	char chunk[65536];
	ssize_t n;

	say(fd, false, "many 2048");
	turn(rig);
	for (;;) {
		after(rig, CTL_STALL_MS / 2);
		while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
			got += (size_t)n;
		if (n == 0 || errno != EAGAIN)
			break;
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, all);
	close(fd);
}

/* Streams the answer's frames away; keeps the last bytes. */
static int code_of_a_long_answer(struct rig *rig, const char *words, char *err, size_t size)
{
	char *chunk = malloc(1 << 20);
	uint8_t frame[5], code = 0xff;
	size_t left = 0, head = 0, err_len = 0, out_len = 0;
	int fd = dial(rig);
	ssize_t n;

	say(fd, false, words);
	do {
		event_base_loop(rig->loop, EVLOOP_NONBLOCK);
		n = recv(fd, chunk, 1 << 20, 0);
		for (ssize_t i = 0; i < n; i++) {
			if (head < 5) {
				frame[head++] = (uint8_t)chunk[i];
				left = (size_t)frame[1] << 24 | (size_t)frame[2] << 16 | (size_t)frame[3] << 8 | frame[4];
				continue;
			}
			out_len += frame[0] == 'o';
			if (frame[0] == 'e' && err_len + 1 < size)
				err[err_len++] = chunk[i];
			if (frame[0] == 'x')
				code = (uint8_t)chunk[i];
			if (!--left)
				head = 0;
		}
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	err[err_len] = '\0';
	assert_int_equal(out_len % (1024 + 1), sizeof("KILOBYTE\n") - 1); /* whole rows only */
	free(chunk);
	close(fd);
	return code;
}

static void rows_beyond_the_bound_are_left_out_and_told(void **state)
{
	struct rig *rig = *state;
	char err[128];

	assert_int_equal(code_of_a_long_answer(rig, "many 20000", err, sizeof(err)), CTL_FAILED);
	assert_non_null(strstr(err, "rows left out: a table has at most 16 MiB\n"));
	assert_int_equal(counted(rig, CTL_TRUNCATED), 1);
	assert_int_equal(code_of_a_long_answer(rig, "many 16000", err, sizeof(err)), CTL_OK);
}

/* The file ------------------------------------------------------------------------------------------------------ */

static void the_socket_is_for_owner_and_group(void **state)
{
	struct rig *rig = *state;
	struct stat st;

	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_true(S_ISSOCK(st.st_mode));
}

static void a_living_process_keeps_its_socket(void **state)
{
	struct rig *rig = *state;
	struct ctl *other;

	assert_int_equal(ctl_new(&other, rig->loop, rig->path), -EADDRINUSE);
	assert_string_equal(ask(rig, false, "echo alive").out, "alive\n");
}

static void what_a_dead_process_left_is_replaced(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ctl_free(rig->ctl);
	rig->ctl = NULL;
	strcpy(sa.sun_path, rig->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd); /* as a crash does: the file stays */
	assert_int_equal(ctl_new(&rig->ctl, rig->loop, rig->path), 0);
	assert_non_null(strstr(ask(rig, false, "help").out, "what may be asked"));
}

static void other_files_are_left_alone(void **state)
{
	struct rig *rig = *state;
	struct stat st;
	int fd;

	ctl_free(rig->ctl);
	rig->ctl = NULL;
	fd = open(rig->path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(ctl_new(&rig->ctl, rig->loop, rig->path), -ENOTSOCK);
	assert_int_equal(stat(rig->path, &st), 0);
	unlink(rig->path);
	assert_int_equal(ctl_new(&rig->ctl, rig->loop, rig->path), 0); /* and the lock was not kept */
}

static void its_directory_is_made_but_no_more(void **state)
{
	struct rig *rig = *state;
	char path[96], dir[64];
	struct ctl *other;

	snprintf(path, sizeof(path), "%s/a/b/ctl.sock", rig->dir);
	assert_int_equal(ctl_new(&other, rig->loop, path), -ENOENT);
	snprintf(path, sizeof(path), "%s/a/ctl.sock", rig->dir);
	assert_int_equal(ctl_new(&other, rig->loop, path), 0);
	ctl_free(other);
	strcat(path, ".lock");
	unlink(path);
	snprintf(dir, sizeof(dir), "%s/a", rig->dir);
	assert_int_equal(rmdir(dir), 0);
}

static void paths_are_bounded(void **state)
{
	struct rig *rig = *state;
	char path[CTL_PATH_MAX + 2];
	struct ctl *other;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ctl_new(&other, rig->loop, path), -ENAMETOOLONG);
	assert_int_equal(ctl_new(&other, rig->loop, ""), -EINVAL);
}

#define case_of(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		case_of(arguments_arrive_and_text_returns),
		case_of(tables_are_aligned_and_harmless),
		case_of(tables_become_json),
		case_of(an_empty_table_is_an_empty_list),
		case_of(failures_have_a_line_and_a_code),
		case_of(unknown_verbs_get_the_nearest),
		case_of(help_lists_the_verbs),
		case_of(a_verb_is_registered_once),
		case_of(an_answer_may_come_later),
		case_of(a_client_that_leaves_is_no_harm),
		case_of(an_answer_has_a_deadline),
		case_of(a_verb_may_wait_without_deadline),
		case_of(progress_is_seen_while_it_waits),
		case_of(progress_is_for_who_waits),
		case_of(the_server_may_end_before_its_answers),
		case_of(questions_may_come_in_pieces),
		case_of(bad_questions_are_refused),
		case_of(arguments_are_bounded),
		case_of(the_longest_question_is_answered),
		case_of(whoever_goes_on_talking_is_gone),
		case_of(whoever_asks_nothing_is_dropped),
		case_of(connections_are_bounded),
		case_of(a_reader_that_does_not_read_is_dropped),
		case_of(a_slow_reader_gets_everything),
		case_of(rows_beyond_the_bound_are_left_out_and_told),
		case_of(the_socket_is_for_owner_and_group),
		case_of(a_living_process_keeps_its_socket),
		case_of(what_a_dead_process_left_is_replaced),
		case_of(other_files_are_left_alone),
		case_of(its_directory_is_made_but_no_more),
		case_of(paths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
