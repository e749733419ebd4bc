/* sbc/steer.h - which of a listener's sockets the kernel gives a datagram to. Each worker has a socket of its own, and by itself the
 * kernel chooses by a hash of the addresses: most messages would come to a worker that does not own their call, and would have to be
 * handed over. A token says in the clear which worker that is (topohide/token.h), and a classic BPF program of ours at the sockets'
 * group (SO_ATTACH_REUSEPORT_CBPF) reads it where we always write it:
 *
 *   a response   "SIP/2.0 ... \nVia: SIP/2.0/UDP " the listener's advertised text, parameters "z9hG4bK" TOKEN
 *   a request    METHOD " sip:" TOKEN "@"
 *
 * All else is left to the kernel's hash: requests that begin something, those whose sender ignores our Contact, responses that spell
 * our Via in their own way. It is a matter of cost alone: whatever arrives where it does not belong is handed over as before, and
 * what stands where the token should, forged or not, chooses a worker and nothing else. */
#ifndef SBC_STEER_H
#define SBC_STEER_H
#include "base/sv.h"
#include <linux/filter.h>

enum steer_limits {
	STEER_LEAST = 128,          /* bytes of a datagram; no SIP message has fewer */
	STEER_LINE_MAX = 96,        /* bytes of a status line that are looked at */
	STEER_METHOD_MAX = 12,
	STEER_PARAMS_MAX = 80,      /* bytes between our sent-by and the branch's token: some put received and rport there */
	STEER_SENT_BY_MAX = 256,
	STEER_CODE_MAX = 1024,      /* the kernel takes four times as many */
};

struct steer {
	struct sock_filter code[STEER_CODE_MAX];
	unsigned short n;
};

/* For a listener that writes `sent_by` in its Vias. 0, or -ENOTSUP: this number of workers cannot be told by three bits (2, 4 and 8
 * can), or -E2BIG. */
int steer_make(struct steer *s, struct sv sent_by, unsigned workers);

#endif
