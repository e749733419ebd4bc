#include "conf/conf.h"

struct conf_reach conf_zone_reach(const struct conf_zone *z)
{
	struct conf_reach reach = { 0 };
	bool has_family[7] = { false };

	for (unsigned i = 0; i < z->n_listeners; i++) {
		const struct conf_listener *l = &z->listeners[i];

		if (!l->is_active || l->bind.family > 6)
			continue;
		reach.transports |= (uint8_t)(1u << l->transport);
		has_family[l->bind.family] = true;
	}
	reach.family = has_family[4] == has_family[6] ? 0 : has_family[4] ? 4 : 6;
	return reach;
}

struct resolve_query conf_query_of(const struct conf_zone *z, const struct conf_destination *d)
{
	struct conf_reach reach = conf_zone_reach(z);

	return (struct resolve_query){ .host = d->host, .port = d->port, .family = reach.family,
		                       .transport = d->is_open ? T_NONE : d->transport,
		                       .transports = d->is_open ? conf_open_transports(d->transport) & reach.transports : 0 };
}

struct resolve_query conf_destination_query(const struct conf *c, const struct conf_destination *d)
{
	return conf_query_of(&c->zones[c->pools[d->pool].zone], d);
}
