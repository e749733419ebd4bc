/* base/direct.h - the system calls of every packet, without glibc's cancellation points: in a program of several threads
 * each costs 31 instructions to let the thread be cancelled in it, which nobody here ever does. Results and errno as
 * those of the functions they are named after. */
#ifndef BASE_DIRECT_H
#define BASE_DIRECT_H
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int direct_epoll_wait(int fd, struct epoll_event *events, int most, int timeout_ms)
{
	return (int)syscall(SYS_epoll_pwait, fd, events, most, timeout_ms, NULL, (size_t)_NSIG / 8);
}
static inline int direct_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return (int)syscall(SYS_recvmmsg, fd, m, n, flags, NULL);
}
static inline int direct_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return (int)syscall(SYS_sendmmsg, fd, m, n, flags);
}

#endif
