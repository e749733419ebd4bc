/* bench/load.h - the two roles of the load generator: the called side, which stays, and the calling side, one object
 * per run. Both live on one thread and know only the messages, not each other; each is told which socket has datagrams
 * and what time it is, and says when it wants to be called next. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include "bench/wire.h"

enum load_limits {
	LOAD_PORTS_MAX = 1024,
	LOAD_SLOTS_MAX = 400000, /* calls at a time */
	LOAD_MESSAGE_MAX = 2048, /* one of our own messages */
	LOAD_T1_MS = 500,
	LOAD_T2_MS = 4000,
	LOAD_TIMEOUT_MS = 64 * LOAD_T1_MS, /* RFC 3261 §17.1.1.1 */
};

struct callee_counts {
	unsigned long invites, acks, byes, options;
	unsigned long sent_again, received_again; /* retransmissions by us / duplicates from the other side */
	unsigned long stray_acks; /* that no answered call of ours fits */
	unsigned long early_byes; /* before the ACK */
	unsigned long unacked, unended; /* given up */
	unsigned long others; /* CANCEL, other methods, what is no request */
	unsigned long refused; /* no slot */
};

struct callee;
/* `ring_ms` from 180 to 200. NULL without memory. */
struct callee *callee_new(struct wire **wires, unsigned n_wires, unsigned ring_ms, unsigned t1_ms, unsigned slots);
void callee_free(struct callee *c);
void callee_receive(struct callee *c, struct wire *w, uint64_t now_ns);
/* Does what is due; the time of the next. */
uint64_t callee_tick(struct callee *c, uint64_t now_ns);
/* What it has counted since `from` (all zero: since it began). */
struct callee_counts callee_counts_since(const struct callee *c, const struct callee_counts *from);

struct caller_plan {
	struct sockaddr_in target; /* the system under test */
	bool keeps_to_target; /* in-dialog requests go to the target, too, whatever Contact and routes say (relay) */
	unsigned kind; /* enum link_kind of its streams; LINK_NONE: UDP */
	unsigned calls, rate, hold_ms, t1_ms, ports;
	unsigned slots; /* calls at a time; one that would exceed it waits */
	unsigned keep_s; /* > 0: all calls are set up and kept this long before the first BYE */
	const char *user, *domain; /* called; NULL: at the target's address */
};

struct caller;
struct caller *caller_new(struct wire **wires, unsigned n_wires, const struct caller_plan *plan);
void caller_free(struct caller *c);
void caller_receive(struct caller *c, struct wire *w, uint64_t now_ns);
uint64_t caller_tick(struct caller *c, uint64_t now_ns);
bool caller_is_done(const struct caller *c);
/* One line of JSON, with what the callee counted meanwhile and the CPU time both roles took. */
void caller_report(const struct caller *c, const struct callee_counts *callee, unsigned long cpu_us);

#endif
