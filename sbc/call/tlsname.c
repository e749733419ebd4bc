/* sbc/call/tlsname.c - whom the other end of a TLS connection has to prove to be: the host of its next hop (RFC 5922 §7.3); and which path
 * a WebSocket to a destination asks for. */
#include "sbc/call/call.h"

/* A destination that is written as this address and has a name of its own keeps it where its Contact or Record-Route is an address, too. */
static struct sv name_at(const struct b2bua *b, const struct path *path)
{
	const struct conf *c = b->conf;
	uint16_t zone = path_zone(b, path);

	for (uint32_t i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];

		if (d->tls_name.len && d->is_numeric && c->pools[d->pool].zone == zone && d->transport == path->transport &&
		    addr_eq_ip(&d->addr, &path->remote))
			return d->tls_name;
	}
	return SV("");
}

void path_expect(const struct b2bua *b, struct path *path, struct sv host)
{
	struct sv name;

	if (!transport_is_secure(path->transport))
		return;
	name = name_at(b, path);
	path->name = name.len ? net_name_configured(b->p.stack->net, name) : net_name(b->p.stack->net, host);
}

static void expect_hop(const struct b2bua *b, struct path *path, struct sv target, struct sv routes)
{
	const struct leg nobody = { .side = FAR };
	struct resolve_query q;

	if (next_hop(&nobody, target, routes, &q) == 0 && q.host.len)
		path_expect(b, path, q.host);
}

void path_expect_direct(const struct b2bua *b, struct path *path, const struct direct *direct)
{
	if (transport_is_secure(path->transport))
		expect_hop(b, path, direct_uri(direct), direct_routes(direct));
}

/* Where its dialog goes on at the same place, a WebSocket asks for the same path. */
static void keep_url_path(const struct b2bua *b, struct path *path, uint32_t was)
{
	struct net *net = b->p.stack->net;
	struct sv text = net_name_text(net, was), url_path = sv_skip(text, sv_chr(text, '/'));

	if (url_path.len && path->name != NET_NAME_NOBODY) /* without the host nobody would have to prove anything */
		path->name = net_name_for(net, path->transport, net_name_text(net, path->name), url_path, false);
}

void path_expect_within(const struct relay *r, struct path *path, uint32_t was)
{
	const struct call *call = r->call;

	if (transport_is_secure(path->transport) && r->from == NEAR)
		expect_hop(call->b, path, dialog_target(r->dialog), dialog_routes(r->dialog));
	else if (transport_is_secure(path->transport))
		expect_hop(call->b, path, leg_target(&call->near), leg_routes(&call->near));
	keep_url_path(call->b, path, was);
}

void path_expect_destination(const struct b2bua *b, struct path *path, const struct conf_destination *d)
{
	if (path->transport > T_TCP)
		path->name = net_name_for(b->p.stack->net, path->transport, conf_tls_name(d), d->path, true);
}
