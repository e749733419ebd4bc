/* conf/check.c - what can only be judged when the whole snapshot stands: one part against another. Parts that could not be
 * read have a note already and are passed over here. */
#include <stdarg.h>
#include "conf/reader.h"
#include "transports/net.h"

static void at(struct reader *r, struct conf_mark mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Where the next note belongs. */
static void at(struct reader *r, struct conf_mark mark, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->path, sizeof(r->path), fmt, args);
	va_end(args);
	r->mark = mark;
}

static void at_listener(struct reader *r, const struct conf_listener *l)
{
	const struct conf_zone *z = &r->conf->zones[l->zone];

	at(r, l->mark, "zones.%.*s.listen[%u]", SV_ARG(z->name), (unsigned)(l - z->listeners));
}

/* Their connections are told apart by their first bytes. */
static bool may_share(const struct conf_listener *a, const struct conf_listener *b)
{
	unsigned both = 1u << a->transport | 1u << b->transport;

	return a->zone == b->zone && (both == (1u << T_TCP | 1u << T_WS) || both == (1u << T_TLS | 1u << T_WSS));
}

/* tcp, tls, ws and wss on one address and port are one socket. */
static bool is_same_socket(const struct conf_listener *a, const struct conf_listener *b)
{
	return !may_share(a, b) && (a->transport == T_UDP) == (b->transport == T_UDP) && addr_eq(&a->bind, &b->bind);
}

static void check_duplicate_listener(struct reader *r, const struct conf_listener *l)
{
	for (const struct conf_listener *other = r->conf->listeners; other < l; other++) {
		if (!is_same_socket(other, l))
			continue;
		at_listener(r, l);
		note_error(r, "the same address and port as on line %u: a socket belongs to one listener of one zone",
		           other->mark.line);
		return;
	}
}

/* A connection is the tls listener's until its first byte has been deciphered. */
static void check_shared_tls(struct reader *r, const struct conf_listener *l)
{
	const struct conf_zone *z = &r->conf->zones[l->zone];

	for (unsigned i = 0; l->transport == T_WSS && i < z->n_listeners; i++) {
		const struct conf_listener *other = &z->listeners[i];

		if (other->transport != T_TLS || !addr_eq(&other->bind, &l->bind) || tls_begins_alike(z, other, l))
			continue;
		at_listener(r, l);
		note_error(r, "shares its port with the tls listener on line %u, whose tls-options hold for both: write the same ones here",
		           other->mark.line);
	}
}

static void check_listeners(struct reader *r)
{
	const struct conf *c = r->conf;

	if (c->n_listeners > CONF_LISTENERS_MAX) {
		at(r, c->listeners[CONF_LISTENERS_MAX].mark, "zones");
		note_error(r, "%u listeners; at most %d are possible", c->n_listeners, CONF_LISTENERS_MAX);
		return;
	}
	for (unsigned i = 0; i < c->n_listeners; i++) {
		if (!c->listeners[i].bind.family)
			continue;
		check_duplicate_listener(r, &c->listeners[i]);
		check_shared_tls(r, &c->listeners[i]);
	}
}

static void check_proxies(struct reader *r, const struct conf_zone *z)
{
	bool has_streams = false;

	for (unsigned i = 0; i < z->n_proxies; i++) {
		if (z->proxies[i].net.family && z->proxies[i].bits == 0)
			note_warning(r, "proxy-protocol holds every address: everybody may say he is somebody else");
	}
	for (unsigned i = 0; i < z->n_listeners; i++)
		has_streams |= transport_is_stream(z->listeners[i].transport);
	if (z->n_proxies && !has_streams)
		note_warning(r, "proxy-protocol is about connections, and the zone listens for datagrams only");
}

static void check_zone(struct reader *r, const struct conf_zone *z)
{
	uint16_t port = 0;
	struct sv host;

	at(r, z->mark, "zones.%.*s", SV_ARG(z->name));
	for (unsigned i = 0; i < z->n_trust; i++) {
		if (z->trust[i].net.family && z->trust[i].bits == 0)
			note_warning(r, "trust holds every address: everybody may call, and everybody's identity is believed");
	}
	check_proxies(r, z);
	if (!z->advertise.len || !split_host_port(z->advertise, &host, &port) || !port)
		return;
	for (unsigned i = 1; i < z->n_listeners; i++) {
		if (z->listeners[i].bind.port != z->listeners[0].bind.port) {
			note_warning(r, "advertise has a port and the listeners have several: leave it out, or advertise per listener");
			return;
		}
	}
}

static void at_destination(struct reader *r, const struct conf_destination *d, bool is_uri)
{
	const struct conf_pool *p = &r->conf->pools[d->pool];

	at(r, is_uri ? d->uri_mark : d->mark, "pools.%.*s.destinations[%u]%s", SV_ARG(p->name),
	   (unsigned)(d->id - p->first_destination), is_uri ? ".uri" : "");
}

static void check_duplicate_name(struct reader *r, const struct conf_pool *p, const struct conf_destination *d)
{
	for (const struct conf_destination *other = p->destinations; other < d; other++) {
		if (!sv_eq(other->name, d->name))
			continue;
		at_destination(r, d, false);
		note_error(r, "the name %.*s is taken on line %u: `sbcctl drain %.*s/%.*s` must mean one", SV_ARG(d->name),
		           other->mark.line, SV_ARG(p->name), SV_ARG(d->name));
		return;
	}
}

/* "udp, tcp" */
static const char *transports_of(const struct conf_zone *z, char buf[64])
{
	size_t len = 0;

	buf[0] = '\0';
	for (uint8_t t = T_UDP; t < T_COUNT; t++) {
		for (unsigned i = 0; i < z->n_listeners; i++) {
			if (z->listeners[i].transport != t)
				continue;
			len += (size_t)snprintf(buf + len, 64 - len, "%s%s", len ? ", " : "", scheme_name(t));
			break;
		}
	}
	return buf;
}

struct reach {
	bool has_transport, has_family, is_active, is_own;
};

/* With a listener that could not be read, what the zone lacks is not known. */
static bool is_whole(const struct conf_zone *z)
{
	for (unsigned i = 0; i < z->n_listeners; i++) {
		if (!z->listeners[i].bind.family)
			return false;
	}
	return z->n_listeners > 0;
}

/* A destination is dialled from, or at least answered at (Via), a listener of the same transport and family. */
static struct reach reach_of(const struct conf_zone *z, const struct conf_destination *d)
{
	struct reach reach = { 0 };

	for (unsigned i = 0; i < z->n_listeners; i++) {
		const struct conf_listener *l = &z->listeners[i];

		if (l->transport != d->transport && !(d->is_open && conf_open_transports(d->transport) & 1u << l->transport))
			continue;
		reach.has_transport = true;
		if (d->is_numeric && l->bind.family != d->addr.family)
			continue;
		reach.has_family = true;
		reach.is_active |= l->is_active;
		reach.is_own |= d->is_numeric && addr_eq(&l->bind, &d->addr);
	}
	return reach;
}

static void check_reach(struct reader *r, const struct conf_zone *z, const struct conf_destination *d)
{
	struct reach reach = reach_of(z, d);
	char all[64];

	at_destination(r, d, true);
	if (!reach.has_transport)
		note_error(r, "goes over %s, and its zone %.*s has no such listener (it has: %s): add one, or write ;transport=",
		           scheme_name(d->transport), SV_ARG(z->name), transports_of(z, all));
	else if (!reach.has_family)
		note_error(r, "is an IPv%u address, and no %s listener of zone %.*s is: add one", d->addr.family,
		           scheme_name(d->transport), SV_ARG(z->name));
	else if (!reach.is_active)
		note_warning(r, "%s: not active in this version: no call goes there", scheme_name(d->transport));
	else if (reach.is_own)
		note_warning(r, "is a listener of ours: a call sent there comes back");
}

static bool is_used(const struct conf *c, unsigned pool)
{
	for (unsigned i = 0; i < c->n_routes; i++) {
		if (c->routes[i].action == ACT_POOL && c->routes[i].pool == pool)
			return true;
	}
	for (unsigned i = 0; i < c->n_pools; i++) {
		if (c->pools[i].spill == pool + 1)
			return true;
	}
	return c->pools[pool].trunk && c->trunks[c->pools[pool].trunk - 1].registers;
}

static void check_pool(struct reader *r, const struct conf_pool *p)
{
	const struct conf *c = r->conf;
	unsigned weights = 0;

	for (unsigned i = 0; i < p->n_destinations; i++) {
		const struct conf_destination *d = &p->destinations[i];

		weights += d->weight;
		if (d->name.len)
			check_duplicate_name(r, p, d);
		if (d->host.len && p->zone < c->n_zones && is_whole(&c->zones[p->zone]))
			check_reach(r, &c->zones[p->zone], d);
	}
	at(r, p->mark, "pools.%.*s", SV_ARG(p->name));
	if (r->notes->errors)
		return; /* what is missing because it could not be read says nothing */
	if (weights == 0)
		note_warning(r, "every destination has weight 0: no call goes there");
	if (!is_used(c, (unsigned)(p - c->pools)))
		note_warning(r, "no rule leads to this pool");
}

static bool find_spill(struct reader *r, struct conf_pool *p)
{
	int index = conf_find_pool(r->conf, p->spill_name);
	struct known known;
	char hint[256];

	if (index >= 0) {
		p->spill = (uint16_t)(index + 1);
		return true;
	}
	known_init(&known, p->spill_name);
	for (unsigned i = 0; i < r->conf->n_pools; i++)
		known_offer(&known, r->conf->pools[i].name);
	note_error(r, "there is no pool `%.*s`%s", SV_ARG(p->spill_name), known_nearest_or_all(&known, hint));
	return false;
}

static void at_spill(struct reader *r, const struct conf_pool *p)
{
	at(r, p->spill_mark, "pools.%.*s.spill", SV_ARG(p->name));
}

/* Pools name each other in any order, so they are found when all have been read. */
static void check_spills(struct reader *r)
{
	const struct conf *c = r->conf;
	bool is_found = true;

	for (unsigned i = 0; i < c->n_pools; i++) {
		at_spill(r, &c->pools[i]);
		is_found &= !c->pools[i].spill_name.len || find_spill(r, &c->pools[i]);
	}
	for (unsigned i = 0; i < c->n_pools && is_found; i++) {
		const struct conf_pool *p = &c->pools[i];
		unsigned n = 0;

		for (; p->spill && n <= CONF_SPILLS_MAX; n++)
			p = &c->pools[p->spill - 1];
		at_spill(r, &c->pools[i]);
		if (n > CONF_SPILLS_MAX)
			note_error(r, "goes round, or through more than %d pools", CONF_SPILLS_MAX);
	}
}

static void check_pools(struct reader *r)
{
	const struct conf *c = r->conf;

	if (c->n_destinations > CONF_DESTINATIONS_MAX) {
		at(r, c->destinations[CONF_DESTINATIONS_MAX].mark, "pools");
		note_error(r, "%u destinations; at most %d are possible", c->n_destinations, CONF_DESTINATIONS_MAX);
		return;
	}
	check_spills(r);
	for (unsigned i = 0; i < c->n_pools; i++)
		check_pool(r, &c->pools[i]);
}

/* Takes every request whatever it is; `zone`, when it has no other condition, takes every request of that zone. */
static bool takes_all(const struct conf_when *w)
{
	return w->caller == CALLER_ANY && !w->n_source && !w->n_methods && !w->n_domains && !w->n_users && !w->n_headers &&
	       !w->callee_registered && !w->trunk.len;
}

static void check_reachable(struct reader *r, unsigned i)
{
	const struct conf_route *route = &r->conf->routes[i];

	for (unsigned j = 0; j < i; j++) {
		const struct conf_route *earlier = &r->conf->routes[j];

		if (!takes_all(&earlier->when) || (earlier->when.zone != -1 && earlier->when.zone != route->when.zone))
			continue;
		at(r, (struct conf_mark){ route->line, route->col }, "routes[%u]", i);
		note_warning(r, "never reached: the rule on line %u takes everything that could come here", earlier->line);
		return;
	}
}

static bool has_trust(const struct conf *c, int zone)
{
	for (unsigned i = 0; i < c->n_zones; i++) {
		if ((zone == -1 || (unsigned)zone == i) && c->zones[i].n_trust)
			return true;
	}
	return false;
}

/* The default of `caller` keeps everyone out where nobody is trusted or can register. */
static void check_usable(struct reader *r, unsigned i)
{
	const struct conf_route *route = &r->conf->routes[i];

	if (!route_leads_on(route) || route->when.caller > CALLER_AUTHENTICATED || route->when.trunk.len || r->conf->n_registrars ||
	    has_trust(r->conf, route->when.zone))
		return;
	at(r, (struct conf_mark){ route->line, route->col }, "routes[%u]", i);
	note_warning(r, "nobody can use this rule: it is for registered callers, there is no `registrar`, and nobody is trusted there; "
	                "write caller: any, or trust: in the zone");
}

static bool has_users(const struct conf *c)
{
	for (unsigned i = 0; i < c->n_registrars; i++)
		if (conf_has_users(&c->registrars[i]))
			return true;
	return false;
}

/* Who somebody is can be shown only where passwords are known. */
static void check_authenticated(struct reader *r, unsigned i)
{
	const struct conf_route *route = &r->conf->routes[i];

	if (route->when.caller != CALLER_AUTHENTICATED || route->when.trunk.len || has_users(r->conf))
		return;
	at(r, (struct conf_mark){ route->line, route->col }, "routes[%u]", i);
	note_warning(r, "only trusted sources can use this rule: no domain of `registrar` has users (`auth: { users: FILE }`)");
}

static void check_registrar(struct reader *r, unsigned i)
{
	const struct conf_route *route = &r->conf->routes[i];

	if ((route->action != ACT_REGISTRAR && route->action != ACT_LOCATION && !route->when.callee_registered) || r->conf->n_registrars)
		return;
	at(r, (struct conf_mark){ route->line, route->col }, "routes[%u]", i);
	note_warning(r, "`registrar:` has no domain: nobody can register");
}

/* RFC 8224 §4: an Identity that passes signs From and To. */
static void check_signature(struct reader *r, unsigned i)
{
	const struct conf_route *route = &r->conf->routes[i];
	const struct conf_zone *zone;

	if (route->action != ACT_POOL || !route->has_rewrite || (!route->rewrite.from && !route->rewrite.to))
		return;
	zone = &r->conf->zones[r->conf->pools[route->pool].zone];
	if (zone->drops_signature)
		return;
	at(r, (struct conf_mark){ route->line, route->col }, "routes[%u]", i);
	note_warning(r, "rewrites From or To, which an Identity of the request signs (RFC 8224); write `privacy: { identity: remove }` "
	                "in zone "
	                "%.*s, unless none comes here", SV_ARG(zone->name));
}

/* Rules that could not be read would only add wrong remarks. */
static void check_routes(struct reader *r)
{
	for (unsigned i = 0; i < r->conf->n_routes && !r->notes->errors; i++) {
		check_reachable(r, i);
		check_usable(r, i);
		check_authenticated(r, i);
		check_registrar(r, i);
		check_signature(r, i);
	}
}

static bool use_has(const struct conf_use *use, unsigned rules)
{
	for (unsigned i = 0; i < use->n_in; i++) {
		if (use->in[i] == rules)
			return true;
	}
	for (unsigned i = 0; i < use->n_out; i++) {
		if (use->out[i] == rules)
			return true;
	}
	return false;
}

static bool rules_are_used(const struct conf *c, unsigned rules)
{
	for (unsigned i = 0; i < c->n_zones; i++) {
		if (use_has(&c->zones[i].headers, rules))
			return true;
	}
	for (unsigned i = 0; i < c->n_pools; i++) {
		if (use_has(&c->pools[i].headers, rules))
			return true;
	}
	for (unsigned i = 0; i < c->n_routes; i++) {
		if (use_has(&c->routes[i].headers, rules))
			return true;
	}
	return false;
}

static void check_header_rules(struct reader *r)
{
	for (unsigned i = 0; i < r->conf->n_rules && !r->notes->errors; i++) {
		if (rules_are_used(r->conf, i))
			continue;
		at(r, r->conf->rules[i].mark, "headers.%.*s", SV_ARG(r->conf->rules[i].name));
		note_warning(r, "no zone, pool or route uses this list: write its name in their `headers: { in: ..., out: ... }`");
	}
}

void conf_check(struct reader *r)
{
	check_header_rules(r);
	check_listeners(r);
	for (unsigned i = 0; i < r->conf->n_zones; i++)
		check_zone(r, &r->conf->zones[i]);
	trunks_check(r);
	check_pools(r);
	check_routes(r);
	conf_tls(r);
}
