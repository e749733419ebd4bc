/* admin/ctl.c - the server's side of the control socket: connections, deadlines, and which verb is meant. A connection
 * goes through READING (the question), ANSWERING (a reply is being put together), WRITING, and is closed. */
#include "admin/reply.h"
#include "base/nearest.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_HEAD = 4, BACKLOG = 64, ACCEPT_PAUSE_MS = 1000, PASSWD_LINES_MAX = 10000 };

static const struct counter_def counter_defs[CTL_COUNTERS] = {
	[CTL_REQUESTS] = { "ctl_requests_total", "Questions on the control socket.", false },
	[CTL_REFUSED_CONNECTIONS] = { "ctl_refused_connections_total", "Connections refused because of their number.", false },
	[CTL_BAD_REQUESTS] = { "ctl_bad_requests_total", "Questions that were malformed, too long or too late.", false },
	[CTL_TIMED_OUT] = { "ctl_timed_out_total", "Questions that nobody answered in time.", false },
	[CTL_SLOW_READERS] = { "ctl_slow_readers_total", "Connections dropped because their answer was not read.", false },
	[CTL_TRUNCATED] = { "ctl_truncated_total", "Answers that were too long.", false },
};

struct verb {
	const char *name, *usage, *help;
	ctl_handler *handler;
	void *ctx;
};

struct ctl {
	struct event_base *loop;
	struct event accept, resume;    /* resume: accept again after a pause */
	int fd, lock_fd;
	char path[CTL_PATH_MAX + 1];
	struct node conns, replies;
	unsigned n_conns, n_verbs;
	struct verb verb[CTL_VERBS_MAX];
	struct counters counters;
};

enum conn_state { READING, ANSWERING, WRITING };

struct conn {
	struct node in_ctl;
	struct ctl *ctl;
	struct event read, write, timer;
	int fd;
	enum conn_state state;
	struct ctl_reply *reply;        /* while ANSWERING */
	struct text in;                 /* head and question */
	struct text out;
	size_t sent;
};

static struct timeval tv_of(unsigned ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

static void timer_set(struct event *timer, unsigned ms)
{
	struct timeval tv = tv_of(ms);

	event_add(timer, &tv);
}

/* The reply's holder learns that nobody waits any more; the reply stays until it ends it. */
static void orphan(struct conn *c)
{
	struct ctl_reply *r = c->reply;

	c->reply = NULL;
	if (!r)
		return;
	r->conn = NULL;
	if (r->on_gone)
		r->on_gone(r->gone_ctx, r); /* may free it */
}

static void conn_free(struct conn *c)
{
	event_del(&c->read);
	event_del(&c->write);
	event_del(&c->timer);
	close(c->fd);
	list_del(&c->in_ctl);
	c->ctl->n_conns--;
	orphan(c);
	text_fini(&c->in);
	text_fini(&c->out);
	free(c);
}

/* Writing ------------------------------------------------------------------------------------------------------- */

/* What is there goes out as far as the socket takes it. False when the connection is no more. */
static bool conn_flush(struct conn *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			event_add(&c->write, NULL);
			return true;
		}
		if (n < 0) {
			conn_free(c);
			return false;
		}
		c->sent += (size_t)n;
		if (c->state == WRITING)
			timer_set(&c->timer, CTL_STALL_MS);
	}
	event_del(&c->write);
	c->sent = c->out.len = 0;
	if (c->state != WRITING)
		return true;
	conn_free(c);
	return false;
}

/* The frames in `out` are all of the answer. They are sent from the loop, so that no caller loses the connection under
 * its feet. */
static void conn_finish(struct conn *c)
{
	c->state = WRITING;
	timer_set(&c->timer, CTL_STALL_MS);
	event_add(&c->write, NULL);
	if (c->out.err)
		timer_set(&c->timer, 0); /* not even an error line: nothing to say */
}

static void conn_refuse(struct conn *c, enum ctl_exit code, const char *line)
{
	orphan(c);
	frames_error(&c->out, code, sv_from(line));
	conn_finish(c);
}

/* Ending a reply ------------------------------------------------------------------------------------------------ */

void ctl_done(struct ctl_reply *r)
{
	struct conn *c = r->conn;

	if (c) {
		reply_render(r, &c->out);
		if (r->rows_left_out)
			counter_inc(&c->ctl->counters, CTL_TRUNCATED);
		c->reply = NULL;
		conn_finish(c);
	}
	reply_free(r);
}

void ctl_fail(struct ctl_reply *r, int exit_code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_vprintf(&r->error, fmt, args);
	va_end(args);
	text_str(&r->error, "\n");
	if (r->error.err) {
		text_fini(&r->error);
		text_str(&r->error, "failed\n");
	}
	r->exit_code = exit_code;
	ctl_done(r);
}

void ctl_fail_usage(struct ctl_reply *r)
{
	ctl_fail(r, CTL_USAGE, "usage: %s %s", r->verb, r->usage);
}

void ctl_wait(struct ctl_reply *r)
{
	if (!r->conn || r->may_wait)
		return;
	r->may_wait = true;
	timer_set(&r->conn->timer, CTL_BEAT_MS);
}

void ctl_progress(struct ctl_reply *r, const char *fmt, ...)
{
	struct text line = text_of(CTL_PROGRESS_MAX);
	va_list args;

	va_start(args, fmt);
	text_vprintf(&line, fmt, args);
	va_end(args);
	text_str(&line, "\n");
	if (r->conn && r->may_wait && !line.err && r->conn->out.len < CTL_PROGRESS_MAX) {
		frame_add(&r->conn->out, 'o', (struct sv){ line.p, line.len });
		event_add(&r->conn->write, NULL); /* sent from the loop: see conn_finish */
	}
	text_fini(&line);
}

void ctl_on_gone(struct ctl_reply *r, void (*on_gone)(void *ctx, struct ctl_reply *r), void *ctx)
{
	r->on_gone = on_gone;
	r->gone_ctx = ctx;
}

/* Verbs --------------------------------------------------------------------------------------------------------- */

int ctl_register(struct ctl *c, const char *verb, const char *usage, const char *help, ctl_handler *handler, void *ctx)
{
	for (unsigned i = 0; i < c->n_verbs; i++)
		if (strcmp(c->verb[i].name, verb) == 0)
			return -EEXIST;
	if (c->n_verbs == CTL_VERBS_MAX)
		return -ENOSPC;
	c->verb[c->n_verbs++] = (struct verb){ verb, usage, help, handler, ctx };
	return 0;
}

static void on_help(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct ctl *c = ctx;

	ctl_columns(r, 3, "verb", "arguments", "help");
	for (unsigned i = 0; i < c->n_verbs; i++)
		if (argc < 2 || strcmp(argv[1], c->verb[i].name) == 0)
			ctl_row(r, cell_str(c->verb[i].name), cell_str(c->verb[i].usage), cell_str(c->verb[i].help));
	if (argc > 1 && !r->n_rows && r->conn)
		ctl_fail(r, CTL_USAGE, "no verb of that name");
	else
		ctl_done(r);
}

static void refuse_unknown(struct ctl *c, struct ctl_reply *r, const char *name)
{
	struct nearest near;
	struct text shown = text_of(256);

	nearest_init(&near, sv_from(name));
	for (unsigned i = 0; i < c->n_verbs; i++)
		nearest_offer(&near, sv_from(c->verb[i].name));
	text_printable(&shown, (struct sv){ name, strnlen(name, 32) });
	ctl_fail(r, CTL_USAGE, "unknown verb `%.*s`%s%.*s%s", (int)shown.len, shown.len ? shown.p : "",
	         near.best.len ? "; did you mean `" : "; `help` lists them", SV_ARG(near.best), near.best.len ? "`?" : "");
	text_fini(&shown);
}

static void dispatch(struct ctl *c, struct ctl_reply *r, int argc, char **argv)
{
	for (unsigned i = 0; i < c->n_verbs; i++) {
		const struct verb *v = &c->verb[i];

		if (strcmp(v->name, argv[0]) != 0)
			continue;
		r->verb = v->name;
		r->usage = v->usage;
		v->handler(v->ctx, r, argc, argv);
		return;
	}
	refuse_unknown(c, r, argv[0]);
}

/* Reading ------------------------------------------------------------------------------------------------------- */

/* From the file alone: getpwuid may ask a directory over the network, and this thread waits for nobody. */
static bool name_of_uid(uid_t uid, char *out, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd entry, *found;
	char room[1024];
	bool is_known = false;

	for (unsigned i = 0; f && i < PASSWD_LINES_MAX && !is_known && fgetpwent_r(f, &entry, room, sizeof(room), &found) == 0; i++)
		if (found->pw_uid == uid) {
			snprintf(out, size, "%s", found->pw_name);
			is_known = true;
		}
	if (f)
		fclose(f);
	return is_known;
}

static void name_actor(struct conn *c, struct ctl_reply *r)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		snprintf(r->actor, sizeof(r->actor), "unknown");
	else if (!name_of_uid(who.uid, r->actor, sizeof(r->actor)))
		snprintf(r->actor, sizeof(r->actor), "uid %u", (unsigned)who.uid);
}

/* Cuts NUL-ended arguments. 0, or -EBADMSG. */
static int cut_arguments(char *p, size_t len, char *argv[CTL_ARGS_MAX + 1], int *argc)
{
	char *end = p + len;

	*argc = 0;
	if (!len || end[-1])
		return -EBADMSG;
	for (; p < end; p += strlen(p) + 1) {
		if (*argc == CTL_ARGS_MAX)
			return -EBADMSG;
		argv[(*argc)++] = p;
	}
	argv[*argc] = NULL;
	return 0;
}

static void bad_request(struct conn *c, const char *line)
{
	counter_inc(&c->ctl->counters, CTL_BAD_REQUESTS);
	conn_refuse(c, CTL_USAGE, line);
}

/* The question is complete: flags and arguments behind the head. */
static void conn_ask(struct conn *c)
{
	char *question = c->in.p + REQUEST_HEAD, *argv[CTL_ARGS_MAX + 1];
	struct ctl_reply *r;
	int argc;

	if (cut_arguments(question + 1, c->in.len - REQUEST_HEAD - 1, argv, &argc)) {
		bad_request(c, "a question is a verb and its arguments, at most 64, each ended by NUL\n");
		return;
	}
	r = reply_new(question[0] & CTL_FLAG_JSON);
	if (!r) {
		conn_refuse(c, CTL_FAILED, "out of memory\n");
		return;
	}
	counter_inc(&c->ctl->counters, CTL_REQUESTS);
	name_actor(c, r);
	list_push(&c->ctl->replies, &r->in_ctl);
	r->conn = c;
	c->reply = r;
	c->state = ANSWERING;
	timer_set(&c->timer, CTL_ANSWER_MS);
	dispatch(c->ctl, r, argc, argv);
}

static size_t question_len(const struct text *in)
{
	size_t len = 0;

	for (unsigned i = 0; i < REQUEST_HEAD; i++)
		len = len << 8 | (uint8_t)in->p[i];
	return len;
}

/* How many bytes are still missing: 0 = complete; SIZE_MAX = never. */
static size_t missing(const struct conn *c)
{
	size_t len;

	if (c->in.len < REQUEST_HEAD)
		return REQUEST_HEAD - c->in.len;
	len = question_len(&c->in);
	return len < 1 || len > CTL_REQUEST_MAX ? SIZE_MAX : REQUEST_HEAD + len - c->in.len;
}

/* Never reads beyond the question, so what follows it is seen as what it is: too much. */
static void conn_read(struct conn *c)
{
	size_t want;

	while ((want = missing(c)) && want != SIZE_MAX) {
		char *to = text_room(&c->in, want);
		ssize_t n = to ? recv(c->fd, to, want, MSG_DONTWAIT) : 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn_free(c);
			return;
		}
		c->in.len += (size_t)n;
	}
	if (want)
		bad_request(c, "a question has 1 to 65536 bytes\n");
	else
		conn_ask(c);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	char byte;

	(void)what;
	if (c->state == READING) {
		conn_read(c);
	} else if (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR))
		conn_free(c); /* it closed, or went on talking: either way it is gone */
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_flush(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	switch (c->state) {
	case READING:
		counter_inc(&c->ctl->counters, CTL_BAD_REQUESTS);
		conn_free(c);
		break;
	case ANSWERING:
		if (c->reply->may_wait) {
			timer_set(&c->timer, CTL_BEAT_MS);
			if (c->out.len == 0) /* else the last one still waits to be read */
				frame_add(&c->out, 'w', (struct sv){ NULL, 0 });
			conn_flush(c);
			break;
		}
		counter_inc(&c->ctl->counters, CTL_TIMED_OUT);
		conn_refuse(c, CTL_FAILED, "timed out: a worker did not answer\n");
		break;
	case WRITING:
		counter_inc(&c->ctl->counters, CTL_SLOW_READERS);
		conn_free(c);
		break;
	}
}

/* Accepting ----------------------------------------------------------------------------------------------------- */

static struct conn *conn_new(struct ctl *ctl, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct conn){ .ctl = ctl, .fd = fd, .in = text_of(REQUEST_HEAD + CTL_REQUEST_MAX),
		            .out = text_of(CTL_ANSWER_MAX) };
	event_assign(&c->read, ctl->loop, fd, EV_READ | EV_PERSIST, on_read, c);
	event_assign(&c->write, ctl->loop, fd, EV_WRITE, on_write, c);
	event_assign(&c->timer, ctl->loop, -1, 0, on_timer, c);
	list_push(&ctl->conns, &c->in_ctl);
	ctl->n_conns++;
	event_add(&c->read, NULL);
	timer_set(&c->timer, CTL_REQUEST_MS);
	return c;
}

/* Says so if the socket takes it at once. */
static void refuse_connection(struct ctl *ctl, int fd)
{
	struct text out = text_of(256);

	counter_inc(&ctl->counters, CTL_REFUSED_CONNECTIONS);
	frames_error(&out, CTL_FAILED, SV("too many questions at a time\n"));
	if (out.len)
		(void)!send(fd, out.p, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	text_fini(&out);
	close(fd);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct ctl *ctl = arg;
	int fd;

	(void)what;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (ctl->n_conns >= CTL_CONNECTIONS_MAX || !conn_new(ctl, fd))
			refuse_connection(ctl, fd);
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		event_del(&ctl->accept); /* it would be ready at once, again and again */
		timer_set(&ctl->resume, ACCEPT_PAUSE_MS);
	}
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *ctl = arg;

	(void)fd;
	(void)what;
	event_add(&ctl->accept, NULL);
}

/* The socket's file --------------------------------------------------------------------------------------------- */

/* The directory alone may be missing (/run is empty after a start); not those above it. */
static void make_directory(const char *path)
{
	char dir[CTL_PATH_MAX + 1];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return;
	*slash = '\0';
	mkdir(dir, 0755); /* what is wrong shows when the lock is opened */
}

/* The lock, not the socket, says whether its owner lives: it goes with the process, and two that start at once cannot
 * both take it. */
static int lock_path(const char *path)
{
	char lock[CTL_PATH_MAX + 8];
	int fd, err;

	snprintf(lock, sizeof(lock), "%s.lock", path);
	fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	close(fd);
	return err;
}

static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	return unlink(path) ? -errno : 0;
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, err;

	if ((err = remove_stale(path)))
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	memcpy(sa.sun_path, path, strlen(path));
	/* The file is made with the socket's mode, less the umask: never for a moment wider than it is to be. */
	if (fchmod(fd, 0660) || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || chmod(path, 0660) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Lock and socket. On failure neither is left behind. */
static int ctl_open(struct ctl *c)
{
	make_directory(c->path);
	c->lock_fd = lock_path(c->path);
	if (c->lock_fd < 0)
		return c->lock_fd;
	c->fd = listen_at(c->path);
	if (c->fd >= 0)
		return 0;
	close(c->lock_fd);
	return c->fd;
}

int ctl_new(struct ctl **out, struct event_base *loop, const char *path)
{
	struct ctl *c;
	int err;

	if (!*path || strlen(path) > CTL_PATH_MAX)
		return *path ? -ENAMETOOLONG : -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->loop = loop;
	snprintf(c->path, sizeof(c->path), "%s", path);
	list_init(&c->conns);
	list_init(&c->replies);
	if ((err = counters_init(&c->counters, counter_defs, CTL_COUNTERS)) || (err = ctl_open(c))) {
		counters_fini(&c->counters);
		free(c);
		return err;
	}
	event_assign(&c->accept, loop, c->fd, EV_READ | EV_PERSIST, on_accept, c);
	event_assign(&c->resume, loop, -1, 0, on_resume, c);
	event_add(&c->accept, NULL);
	ctl_register(c, "help", "[VERB]", "what may be asked", on_help, c);
	*out = c;
	return 0;
}

void ctl_free(struct ctl *c)
{
	if (!c)
		return;
	event_del(&c->accept);
	event_del(&c->resume);
	while (!list_empty(&c->conns))
		conn_free(owner_of(c->conns.next, struct conn, in_ctl));
	while (!list_empty(&c->replies))
		list_del(c->replies.next); /* their holders free them */
	unlink(c->path);
	close(c->fd);
	close(c->lock_fd);
	counters_fini(&c->counters);
	free(c);
}

const struct counters *ctl_counters(const struct ctl *c)
{
	return &c->counters;
}
