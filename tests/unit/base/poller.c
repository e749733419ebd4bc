/* tests/unit/base/poller.c */
#include "base/poller.h"
#include "base/list.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
	struct watch watch;
	struct poller *p;
	struct end *victim; /* when this one is called, it gets another descriptor, */
	int other_fd;       /* this */
	unsigned calls, what;
};

static void on_end(struct watch *w, unsigned what)
{
	struct end *e = owner_of(w, struct end, watch);

	e->calls++;
	e->what = what;
	if (e->victim) {
		watch_set(e->p, &e->victim->watch, 0);
		close(e->victim->watch.fd);
		e->victim->watch.fd = e->other_fd;
		assert_int_equal(watch_set(e->p, &e->victim->watch, WATCH_READ), 0);
		e->victim = NULL;
	}
}

static void pair(struct poller *p, struct end **a, struct end **b)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	*a = calloc(1, sizeof(**a));
	*b = calloc(1, sizeof(**b));
	**a = (struct end){ .watch = { on_end, fd[0], 0 }, .p = p };
	**b = (struct end){ .watch = { on_end, fd[1], 0 }, .p = p };
}

static void end_free(struct end *e)
{
	watch_set(e->p, &e->watch, 0);
	close(e->watch.fd);
	free(e);
}

static void who_is_ready_is_called(void **state)
{
	struct poller *p;
	struct end *a, *b;

	(void)state;
	assert_int_equal(poller_new(&p), 0);
	pair(p, &a, &b);
	assert_int_equal(watch_set(p, &a->watch, WATCH_READ), 0);
	poller_turn(p, false);
	assert_int_equal(a->calls, 0);
	assert_int_equal(write(b->watch.fd, "x", 1), 1);
	poller_turn(p, true);
	poller_turn(p, true); /* not read: still ready */
	assert_int_equal(a->calls, 2);
	assert_int_equal(a->what, WATCH_READ);
	assert_int_equal(watch_set(p, &a->watch, WATCH_READ | WATCH_WRITE), 0);
	poller_turn(p, true);
	assert_int_equal(a->what, WATCH_READ | WATCH_WRITE);
	assert_int_equal(watch_set(p, &a->watch, WATCH_WRITE), 0);
	end_free(b); /* a hang-up is all that is waited for */
	poller_turn(p, true);
	assert_int_equal(a->what, WATCH_WRITE);
	assert_int_equal(a->calls, 4);
	assert_int_equal(watch_set(p, &a->watch, 0), 0);
	poller_turn(p, false);
	assert_int_equal(a->calls, 4);
	end_free(a);
	poller_free(p);
}

static void an_edge_is_told_once(void **state)
{
	struct end e = { .watch = { on_end, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 0 } };
	struct poller *p;
	uint64_t one = 1;

	(void)state;
	assert_int_equal(poller_new(&p), 0);
	e.p = p;
	assert_int_equal(watch_set(p, &e.watch, WATCH_READ | WATCH_EDGE), 0);
	for (unsigned i = 1; i < 4; i++) { /* never read, yet each write is told */
		assert_int_equal(write(e.watch.fd, &one, sizeof(one)), sizeof(one));
		poller_turn(p, true);
		poller_turn(p, false);
		assert_int_equal(e.calls, i);
	}
	close(e.watch.fd);
	poller_free(p);
}

/* Both are ready in one turn; whoever comes first gives the other's place to a new owner, who has heard nothing yet. */
static void who_is_gone_is_not_called(void **state)
{
	struct end *a, *b, *c, *d;
	struct poller *p;
	int pipes[2];

	(void)state;
	assert_int_equal(poller_new(&p), 0);
	assert_int_equal(pipe(pipes), 0);
	pair(p, &a, &b);
	pair(p, &c, &d);
	for (int i = 0; i < 2; i++)
		assert_int_equal(write((i ? d : b)->watch.fd, "x", 1), 1);
	assert_int_equal(watch_set(p, &a->watch, WATCH_READ), 0);
	assert_int_equal(watch_set(p, &c->watch, WATCH_READ), 0);
	a->victim = c;
	a->other_fd = pipes[0];
	poller_turn(p, true);
	assert_int_equal(a->calls, 1);
	assert_int_equal(c->calls, 0);
	close(pipes[1]); /* of a hang-up, a pipe says nothing but that */
	poller_turn(p, true);
	assert_int_equal(c->calls, 1);
	assert_int_equal(c->what, WATCH_READ);
	end_free(a);
	end_free(b);
	end_free(c);
	end_free(d);
	poller_free(p);
}

static void again_does_not_sleep(void **state)
{
	struct poller *p;

	(void)state;
	assert_int_equal(poller_new(&p), 0);
	assert_false(poller_is_restless(p));
	poller_again(p);
	assert_true(poller_is_restless(p));
	poller_turn(p, true); /* or this test never ends */
	assert_false(poller_is_restless(p));
	poller_free(p);
	poller_free(NULL);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	struct watch w = { on_end, -1, 0 };
	struct poller *p;

	(void)state;
	assert_int_equal(poller_new(&p), 0);
	assert_int_equal(watch_set(p, &w, WATCH_READ), -EBADF);
	assert_int_equal(w.what, 0);
	assert_int_equal(watch_set(p, &w, 0), 0);
	poller_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_ready_is_called), cmocka_unit_test(an_edge_is_told_once),
		cmocka_unit_test(who_is_gone_is_not_called), cmocka_unit_test(again_does_not_sleep),
		cmocka_unit_test(what_cannot_be_watched_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
