/* base/poller.h - waits for descriptors (epoll), each with the function that is called when it is ready. One thread. */
#ifndef BASE_POLLER_H
#define BASE_POLLER_H
#include <stdbool.h>
#include <stdint.h>

enum {
	WATCH_READ = 1,
	WATCH_WRITE = 2,
	WATCH_EDGE = 4, /* says once that something came, whether or not it is read */
};

/* Lies in its owner, who sets `ready` and `fd`. */
struct watch {
	void (*ready)(struct watch *w, unsigned what);
	int fd;
	uint8_t what; /* waited for now; 0: nothing */
};

struct poller;

/* 0, -ENOMEM, or what epoll says. */
int poller_new(struct poller **out);
/* NULL is allowed. */
void poller_free(struct poller *p);
/* From now on waits for `what` instead of what it waited for; 0: for nothing, and `ready` is not called any more. Before
 * the descriptor is closed. 0, or what epoll says: then it is as before. */
int watch_set(struct poller *p, struct watch *w, unsigned what);
/* Calls who is ready, an error or a hang-up being everything that is waited for. Sleeps until somebody is, if it may. What
 * is called may set any watch, and free its owner if it waits for nothing. How many were ready. */
unsigned poller_turn(struct poller *p, bool may_sleep);
/* The next turn does not sleep. */
void poller_again(struct poller *p);
bool poller_is_restless(const struct poller *p);

#endif
