/* bench/flows.h - clients that register over connections of their own, each from an address of its own, and answer pings there
 * (RFC 5626 §3.5.1: two CRLF, answered by one). */
#ifndef BENCH_FLOWS_H
#define BENCH_FLOWS_H
#include "bench/wire.h"

struct flows_counts {
	unsigned long registered, failed;
	uint64_t ended_ns; /* when the last of them got its answer */
};

struct flows;
/* As many as `n`, opened by flows_tick. NULL without memory. */
struct flows *flows_new(const struct sockaddr_in *target, unsigned n, unsigned expires_s);
/* A descriptor to wait for. */
int flows_fd(const struct flows *f);
/* Opens so many a second from now on. */
void flows_begin(struct flows *f, unsigned rate, uint64_t now_ns);
/* Does what is due; the time of the next. */
uint64_t flows_tick(struct flows *f, uint64_t now_ns);
/* Reads what is there: the number of pings, all of them answered. */
unsigned flows_receive(struct flows *f, uint64_t now_ns);
bool flows_are_up(const struct flows *f); /* or have failed */
struct flows_counts flows_counts(const struct flows *f);

#endif
