/* sbc/call/sips.c - calls by sips URIs (sips.h). */
#include "sbc/call/sips.h"
#include <errno.h>

/* Does anybody here take TLS? */
static bool has_secure_listener(const struct b2bua *b, uint16_t zone)
{
	const struct conf_zone *z = &b->conf->zones[zone];

	for (unsigned i = z->first_listener; i < (unsigned)z->first_listener + z->n_listeners; i++)
		if (b->conf->listeners[i].is_active && transport_is_secure(b->conf->listeners[i].transport))
			return true;
	return false;
}

enum why sips_fault(const struct b2bua *b, const struct path *from)
{
	if (transport_is_secure(from->transport))
		return WHY_COUNT;
	return has_secure_listener(b, path_zone(b, from)) ? WHY_SIPS_OPEN : WHY_SCHEME;
}

int sips_aim(struct attempt *a, struct sv uri, struct sv asked)
{
	bool wants = a->setup->call->near.is_sips;

	a->leg->is_sips = uri.p == asked.p ? wants : sips_is(uri);
	if (!a->leg->is_sips)
		return wants ? -EPROTONOSUPPORT : 0;
	return transport_is_secure(a->leg->path.transport) ? 0 : -EPROTONOSUPPORT;
}

struct sv sips_warning(const struct b2bua *b, enum why why, const struct path *to, char area[UNSUPPORTED_MAX])
{
	struct out o;

	if (why != WHY_SIPS && why != WHY_SIPS_OPEN)
		return SV("");
	out_init(&o, area, UNSUPPORTED_MAX);
	out_lit(&o, "Warning: 380 ");
	out_sv(&o, b->conf->listeners[to->listener].advertise);
	out_lit(&o, " \"SIPS Not Allowed\"\r\n");
	return o.is_full ? SV("") : out_done(&o);
}

void sips_destination(struct out *o, const struct conf_destination *d, struct sv user)
{
	bool is_ip6 = sv_chr(d->host, ':') < d->host.len;

	out_lit(o, "sips:");
	out_sv(o, user);
	out_str(o, user.len ? "@" : "");
	out_str(o, is_ip6 ? "[" : "");
	out_sv(o, d->host);
	out_str(o, is_ip6 ? "]" : "");
	if (d->port) {
		out_lit(o, ":");
		out_u64(o, d->port);
	}
	if (d->transport == T_WSS)
		out_lit(o, ";transport=ws");
}

uint8_t sips_transport(bool is_sips, uint8_t transport)
{
	if (!is_sips)
		return transport == T_NONE ? T_UDP : transport;
	return transport == T_WS || transport == T_WSS ? T_WSS : transport == T_UDP ? T_NONE : T_TLS;
}
