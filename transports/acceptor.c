/* Listening TCP sockets: a bounded number of connections per wake, and a way on when file descriptors run out. */
#include "transports/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void pause_over(struct timer *t)
{
	struct acceptor *a = owner_of(t, struct acceptor, pause);

	if (watch_set(a->s->p.poller, &a->watch, WATCH_READ))
		wheel_arm_in(a->s->p.wheel, t, SOCKETS_ACCEPT_PAUSE_MS);
}

static void pause_accepting(struct acceptor *a)
{
	watch_set(a->s->p.poller, &a->watch, 0);
	wheel_arm_in(a->s->p.wheel, &a->pause, SOCKETS_ACCEPT_PAUSE_MS);
}

/* Out of descriptors: the connection stays in the backlog and its event would fire for ever. The descriptor kept for
 * this takes it in and hangs up. 0, -EAGAIN: nobody waits (accept says EMFILE even then), -EMFILE: nothing is kept. */
static int accept_and_close(struct acceptor *a)
{
	struct sockets *s = a->s;
	int fd;

	if (s->reserve_fd < 0)
		return -EMFILE;
	close(s->reserve_fd);
	fd = accept4(a->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		close(fd);
		counter_inc(&s->counters, NET_TCP_ACCEPT_NO_FILES);
	}
	s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? 0 : -EAGAIN;
}

static void take_in(struct acceptor *a, int fd, const struct sockaddr_storage *sa)
{
	struct addr remote;

	if (addr_from_sockaddr(&remote, (const struct sockaddr *)sa) == 0 &&
	    conn_accepted(a->s, a->listener, fd, &remote) == 0) {
		counter_inc(&a->s->counters, NET_TCP_ACCEPTED);
		return;
	}
	counter_inc(&a->s->counters, NET_TCP_ACCEPT_REFUSED);
	close(fd);
}

/* What accept said: true, and there may be more behind it. */
static bool goes_on(struct acceptor *a, int error)
{
	if (error == EAGAIN)
		return false;
	if (error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM)
		return true;
	if (error == EMFILE)
		error = -accept_and_close(a);
	if (error != 0 && error != EAGAIN)
		pause_accepting(a);
	return error == 0;
}

static void on_acceptable(struct watch *w, unsigned what)
{
	struct acceptor *a = owner_of(w, struct acceptor, watch);

	(void)what;
	wheel_look(a->s->p.wheel);
	for (unsigned i = 0; i < SOCKETS_ACCEPT_BATCH; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		int fd = accept4(w->fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			take_in(a, fd, &sa);
		else if (!goes_on(a, errno))
			return;
	}
}

int acceptor_new(struct acceptor **out, struct sockets *s, int fd, uint16_t listener)
{
	struct acceptor *a = calloc(1, sizeof *a);

	if (!a)
		return -ENOMEM;
	*a = (struct acceptor){ .s = s, .watch = { on_acceptable, fd, 0 }, .listener = listener, .pause.fire = pause_over };
	*out = a;
	return 0;
}

int acceptor_start(struct acceptor *a)
{
	return watch_set(a->s->p.poller, &a->watch, WATCH_READ);
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	watch_set(a->s->p.poller, &a->watch, 0);
	wheel_disarm(a->s->p.wheel, &a->pause);
	close(a->watch.fd);
	free(a);
}
