#include "base/poller.h"
#include "base/direct.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 64 };

struct poller {
	int fd;
	bool is_restless;
	int n, at; /* of those that are ready; at: the one being called */
	struct epoll_event ready[BATCH];
};

int poller_new(struct poller **out)
{
	struct poller *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	if ((p->fd = epoll_create1(EPOLL_CLOEXEC)) < 0) {
		err = -errno;
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

void poller_free(struct poller *p)
{
	if (!p)
		return;
	close(p->fd);
	free(p);
}

/* What of this turn has not been called yet is not called any more: its owner may be gone by then. */
static void forget(struct poller *p, const struct watch *w)
{
	for (int i = p->at + 1; i < p->n; i++)
		if (p->ready[i].data.ptr == w)
			p->ready[i].data.ptr = NULL;
}

int watch_set(struct poller *p, struct watch *w, unsigned what)
{
	struct epoll_event event = { .data.ptr = w };
	int op = !what ? EPOLL_CTL_DEL : w->what ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (what == w->what)
		return 0;
	event.events = (what & WATCH_READ ? EPOLLIN : 0u) | (what & WATCH_WRITE ? EPOLLOUT : 0u) | (what & WATCH_EDGE ? EPOLLET : 0u);
	if (epoll_ctl(p->fd, op, w->fd, &event) && what)
		return -errno;
	w->what = (uint8_t)what;
	if (!what)
		forget(p, w);
	return 0;
}

static unsigned what_of(uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP))
		return WATCH_READ | WATCH_WRITE;
	return (events & EPOLLIN ? WATCH_READ : 0u) | (events & EPOLLOUT ? WATCH_WRITE : 0u);
}

unsigned poller_turn(struct poller *p, bool may_sleep)
{
	int timeout = may_sleep && !p->is_restless ? -1 : 0, ready;

	p->is_restless = false;
	p->n = ready = direct_epoll_wait(p->fd, p->ready, BATCH, timeout); /* -1, EINTR: nobody is ready */
	for (p->at = 0; p->at < p->n; p->at++) {
		struct watch *w = p->ready[p->at].data.ptr;
		unsigned what = w ? what_of(p->ready[p->at].events) & w->what : 0;

		if (what)
			w->ready(w, what);
	}
	p->n = 0;
	return ready > 0 ? (unsigned)ready : 0;
}

void poller_again(struct poller *p)
{
	p->is_restless = true;
}

bool poller_is_restless(const struct poller *p)
{
	return p->is_restless;
}
