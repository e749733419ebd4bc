/* sbc/call/hop.c - how a URI says where a request goes: over which transports, and to whose addresses (RFC 3263 §4). */
#include "sbc/call/sips.h"
#include <errno.h>

uint8_t hop_transport(const struct uri *u, struct resolve_query *q)
{
	bool is_sips = u->scheme == URI_SIPS;
	uint8_t written = uri_transport(u), usual = sips_transport(is_sips, written);

	q->transport = written ? usual : T_NONE;
	q->transports = conf_open_transports(is_sips ? T_TLS : T_UDP);
	return usual;
}

int hop_resolve(const struct b2bua *b, uint16_t zone, const struct resolve_query *q, struct resolve_answer *out,
                void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id)
{
	struct conf_reach reach = conf_zone_reach(&b->conf->zones[zone]);
	struct resolve_query query = *q;

	query.family = reach.family;
	query.transports &= reach.transports;
	return resolve(b->p.resolver, &query, out, done, ctx, id);
}

int path_to_answer(const struct b2bua *b, struct path *path, uint16_t zone, const struct resolve_answer *a, unsigned i)
{
	return path_to(b, path, zone, a->transport[i], &a->addr[i]);
}
