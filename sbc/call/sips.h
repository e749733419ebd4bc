/* sbc/call/sips.h - what a sips URI asks for (RFC 3261 §26.2.2, RFC 5630): every hop by TLS, or no hop at all. A leg whose dialog began
 * with a sips Request-URI is such a leg (leg.is_sips): our Contact in it is a sips URI, its requests go by TLS or WSS only, and none is
 * taken that came otherwise. A call that came by a sips URI leaves by one. Private to sbc/call/. */
#ifndef SBC_CALL_SIPS_H
#define SBC_CALL_SIPS_H
#include "sbc/call/call.h"

/* Of what kind is the URI, which was parsed before? */
static inline bool sips_is(struct sv uri)
{
	return uri.len > 5 && uri.p[4] == ':' && (uri.p[3] | 0x20) == 's'; /* no other scheme of four letters gets so far */
}
/* What is wrong with a request to a sips URI that came over `from`: it is broken already, and whoever has no TLS does not know the scheme.
 * WHY_COUNT: nothing. */
enum why sips_fault(const struct b2bua *b, const struct path *from);
/* May the request of an attempt go where it is to go? `uri` is its Request-URI, of the request `v`. 0, or -EPROTONOSUPPORT. Says of the
 * leg what it is. */
int sips_aim(struct attempt *a, struct sv uri, struct sv asked);
/* Warning of a refusal that is for this (RFC 5630 §6.2); else empty. */
struct sv sips_warning(const struct b2bua *b, enum why why, const struct path *to, char area[UNSUPPORTED_MAX]);
/* "sips:user@host" of a destination's URI, without a transport that goes without saying. */
void sips_destination(struct out *o, const struct conf_destination *d, struct sv user);
/* The transport to a SIP URI whose parameters say `transport` (T_NONE: nothing): RFC 3261 §19.1.1, RFC 7118 §5. T_NONE: sips, and none that
 * it could be. */
uint8_t sips_transport(bool is_sips, uint8_t transport);

#endif
