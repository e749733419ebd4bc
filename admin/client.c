/* admin/client.c */
#include "admin/client.h"
#include "admin/ctl.h"
#include "admin/text.h"
#include "base/io.h"
#include "base/list.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD = 5 };

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Up to `len` bytes of what comes. The number, or -errno; -ECONNRESET when the other side has closed. */
static ssize_t read_some(int fd, char *p, size_t len)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	ssize_t n;

	do {
		n = poll(&wait, 1, CLIENT_SILENCE_MS);
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = recv(fd, p, len, 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? n : n == 0 ? -ECONNRESET : -errno;
}

static int read_all(int fd, char *p, size_t len)
{
	while (len) {
		ssize_t n = read_some(fd, p, len);

		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* One frame's bytes on to `to`; -1: away with them. All of it is read before anything is written, so that a pager at the other
 * end of `to` does not make sbc think that we have stopped reading. */
static int copy(int fd, int to, size_t len)
{
	struct text frame = text_of(CTL_ANSWER_MAX);
	char *room = text_room(&frame, len);
	int err = room ? read_all(fd, room, len) : frame.err == -EFBIG ? -EPROTO : frame.err;

	if (!err && to >= 0)
		err = write_all(to, (struct sv){ room, len });
	text_fini(&frame);
	return err;
}

/* The exit code, or -errno. */
static int read_answer(int fd, int out, int err)
{
	for (;;) {
		uint8_t head[HEAD], code;
		size_t len;
		int failed = read_all(fd, (char *)head, HEAD);

		if (failed)
			return failed;
		len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
		if (head[0] == 'x')
			return len == 1 && read_all(fd, (char *)&code, 1) == 0 ? code : -EPROTO;
		failed = copy(fd, head[0] == 'o' ? out : head[0] == 'e' ? err : -1, len);
		if (failed)
			return failed;
	}
}

static int send_question(int fd, bool is_json, int argc, char *const *argv)
{
	struct text q = text_of(4 + CTL_REQUEST_MAX);
	size_t len;
	int err;

	text_fill(&q, 0, 4);
	text_fill(&q, is_json ? CTL_FLAG_JSON : 0, 1);
	for (int i = 0; i < argc; i++)
		text_sv(&q, (struct sv){ argv[i], strlen(argv[i]) + 1 });
	err = q.err == -EFBIG ? -E2BIG : q.err;
	if (!err) {
		len = q.len - 4;
		for (unsigned i = 0; i < 4; i++)
			q.p[i] = (char)(len >> (24 - 8 * i));
		err = send(fd, q.p, q.len, MSG_NOSIGNAL) == (ssize_t)q.len ? 0 : -errno;
	}
	text_fini(&q);
	return err;
}

static int connect_to(const char *path, int *fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) > CTL_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return *fd < 0 || connect(*fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
}

/* What a person can do about it. */
static const char *advice(int failed)
{
	switch (failed) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "is sbc running with admin.socket set?";
	case -EACCES:
		return "the socket is for its owner and group";
	case -EAGAIN:
		return "too many others are asking";
	case -ETIMEDOUT:
		return "sbc does not answer";
	case -ECONNRESET:
		return "the connection was closed before the answer was complete";
	default:
		return "no answer";
	}
}

int client_ask(const char *path, bool is_json, int argc, char *const *argv, int out, int err)
{
	SCOPED(fd_close) int fd = -1;
	int code = connect_to(path, &fd);

	if (!code)
		code = send_question(fd, is_json, argc, argv);
	/* Whoever refuses to listen (too many connections) closes at once: the answer may still tell. */
	if (!code || code == -EPIPE || code == -ECONNRESET)
		code = read_answer(fd, out, err);
	if (code >= 0)
		return code;
	dprintf(err, "sbcctl: %s: %s: %s\n", path, strerror(-code), advice(code));
	return CTL_FAILED;
}
