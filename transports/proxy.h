/* transports/proxy.h - the PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): what a balancer in front of us
 * writes before anything else, so that we know whose connection it passes. Pure. */
#ifndef TRANSPORTS_PROXY_H
#define TRANSPORTS_PROXY_H
#include "base/addr.h"

enum proxy_limits {
	PROXY_V1_MAX = 107, /* bytes of a line, with its CRLF */
	PROXY_MAX = 1024,   /* of version 2 with all that is added to the addresses */
};

struct proxy {
	struct addr remote; /* family 0: nobody is named (LOCAL, UNKNOWN), it is the balancer's own */
	struct addr local;  /* where it was accepted */
};

/* Reads the header `bytes` begin with. The number of bytes it takes, > 0; 0: this may become one, more is needed; or -EBADMSG.
 * Whatever begins with it is refused by its first wrong byte, so no more than PROXY_MAX bytes are ever needed. */
int proxy_parse(struct proxy *out, struct sv bytes);

#endif
