/* tests/flow/bpf.h - classic BPF as the kernel runs it on a datagram: what sbc/steer.c makes, without sockets. */
#ifndef TESTS_FLOW_BPF_H
#define TESTS_FLOW_BPF_H
#include "base/sv.h"
#include <linux/filter.h>

/* The program's result. A load outside of the datagram ends it with 0, as in the kernel; an instruction that we do not know, or a
 * jump behind the end, fails the test. */
uint32_t bpf_run(const struct sock_filter *code, unsigned n, struct sv datagram);

#endif
