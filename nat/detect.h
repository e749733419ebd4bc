/* nat/detect.h - who sits behind a NAT, and where requests to somebody go: pure functions over one message and the path it came by.
 * Nothing is kept, nothing is sent. */
#ifndef NAT_DETECT_H
#define NAT_DETECT_H
#include "base/counters.h"
#include "conf/conf.h"
#include "sip/header.h"
#include "sip/view.h"
#include "transports/net.h"

/* What in a message says that its sender does not see himself as we see him. One counter each. */
enum nat_sign {
	NAT_VIA_HOST,          /* the topmost Via's host is an address, and not the source's; or it is in `.invalid` */
	NAT_VIA_PORT,          /* datagrams: its port (none: 5060) is not the source's */
	NAT_CONTACT_PRIVATE,   /* Contact names a private address, the source is a public one */
	NAT_CONTACT_HOST,      /* Contact names another address than the source */
	NAT_CONTACT_PORT,      /* datagrams: the same address, another port */
	NAT_CONTACT_INVALID,   /* Contact's host is in `.invalid` (RFC 7118 §5: browsers know no address of theirs) */
	NAT_CONTACT_TRANSPORT, /* Contact says another transport than the one it came by */
	NAT_SDP_PRIVATE,       /* the body's first c= line names a private address, the source is a public one */
	NAT_SIGNS
};
extern const struct counter_def nat_sign_defs[NAT_SIGNS];

/* RFC 1918, RFC 6598, RFC 3927, RFC 4193, link-local and loopback addresses: nobody is reached there from elsewhere. */
bool nat_is_private(const struct addr *a);
/* The signs of a request, as bits (1 << enum nat_sign). What cannot be read is no sign. Does not allocate. */
unsigned nat_signs(const struct view *v, const struct path *from);

/* Do requests to who sent `v`, a request that begins a dialog, go to where its packets come from, whatever it says of itself? By `mode`:
 * always, never, or (auto) unless we trust it (a browser we trust is where its WebSocket is, all the same) or it is a proxy as RFC 3261
 * means them: somebody else's Via is below its own, which says the address and (datagrams) the port that it sends from, and the topmost
 * Record-Route is an address, a public one if the source is (`*route` is then that address, for the caller to see whose it is). A host
 * name proves nothing: it would have to be looked up first. */
bool nat_follows(enum conf_nat mode, bool is_trusted, const struct view *v, const struct path *from, struct addr *route);
/* A host of which nobody can be asked (RFC 6761 §6.4). */
bool nat_is_invalid(struct sv host);
/* May `host`, which somebody at `remote` names as where he is, lead to him? Not if it is in `.invalid`, or private and he is not. */
bool nat_is_reachable(struct sv host, const struct addr *remote);

#endif
