/* apps-router/route.c - matching. A rule's conditions are tried in one fixed order; the first that fails has a name, which is
 * what `sbcctl route` shows. */
#include "apps-router/route.h"
#include "transports/net.h"

enum { FOLD_ROOM = 1024 }; /* VIEW_URI_MAX: no Request-URI is longer */

/* Hosts --------------------------------------------------------------------------------------------------------- */

/* "example.com." is the same name (RFC 1034 §3.1); brackets belong to the notation of IPv6, not to the address. */
static struct sv host_core(struct sv host)
{
	if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		return sv_span(host.p + 1, host.p + host.len - 1);
	if (host.len > 1 && host.p[host.len - 1] == '.')
		host.len--;
	return host;
}

/* Addresses are compared as such, since IPv6 has many spellings (RFC 5118 §4.5); names without case (RFC 3261 §19.1.4). */
static bool host_eq(struct sv a, struct sv b)
{
	struct addr x, y;

	a = host_core(a);
	b = host_core(b);
	if (sv_ieq(a, b))
		return true;
	return addr_parse(&x, a) == 0 && addr_parse(&y, b) == 0 && addr_eq_ip(&x, &y);
}

static bool host_is_addr(struct sv host, const struct addr *addr)
{
	struct addr a;

	return addr_parse(&a, host_core(host)) == 0 && addr_eq_ip(&a, addr);
}

static struct sv fold_case(struct sv v, char room[FOLD_ROOM])
{
	for (size_t i = 0; i < v.len; i++)
		room[i] = v.p[i] >= 'A' && v.p[i] <= 'Z' ? (char)(v.p[i] | 0x20) : v.p[i];
	return (struct sv){ room, v.len };
}

static bool host_glob(struct sv pattern, struct sv host)
{
	char p[FOLD_ROOM], h[FOLD_ROOM];

	host = host_core(host);
	if (host_eq(pattern, host))
		return true;
	if (pattern.len > sizeof(p) || host.len > sizeof(h))
		return false;
	return sv_glob(fold_case(host_core(pattern), p), fold_case(host, h));
}

static bool listener_host_is(const struct conf_listener *l, struct sv host)
{
	return (!addr_is_any(&l->bind) && host_is_addr(host, &l->bind)) || host_eq(host, l->advertise_host);
}

static bool is_port_of_zone(const struct conf_zone *z, uint16_t port)
{
	for (unsigned i = 0; i < z->n_listeners; i++)
		if (z->listeners[i].bind.port == port || z->listeners[i].advertise_port == port)
			return true;
	return false;
}

static bool is_zone_host(const struct conf_zone *z, struct sv host, uint16_t port)
{
	for (unsigned i = 0; i < z->n_domains; i++)
		if (host_eq(host, z->domains[i]))
			return true;
	if (port && !is_port_of_zone(z, port))
		return false;
	for (unsigned i = 0; i < z->n_listeners; i++)
		if (listener_host_is(&z->listeners[i], host))
			return true;
	return false;
}

bool route_host_is_ours(const struct conf *c, uint16_t zone, struct sv host, uint16_t port)
{
	return is_zone_host(&c->zones[zone], host, port) || conf_find_registrar(c, host_core(host));
}

/* RFC 3261 §19.1.2, RFC 7118 §4.1 by way of RFC 6455 §3. */
static uint16_t default_port(uint8_t transport)
{
	switch (transport) {
	case T_TLS:
		return 5061;
	case T_WS:
		return 80;
	case T_WSS:
		return 443;
	default:
		return 5060;
	}
}

bool route_is_for_us(const struct conf *c, uint16_t zone, const struct uri *u)
{
	const struct conf_zone *z = &c->zones[zone];

	if ((u->scheme != URI_SIP && u->scheme != URI_SIPS) || u->user.len)
		return false;
	for (unsigned i = 0; i < z->n_listeners; i++) {
		const struct conf_listener *l = &z->listeners[i];
		uint16_t port = u->port ? u->port : default_port(l->transport);

		if (listener_host_is(l, u->host) && (port == l->bind.port || port == l->advertise_port))
			return true;
	}
	return false;
}

bool route_is_trusted(const struct conf *c, uint16_t zone, const struct addr *source)
{
	const struct conf_zone *z = &c->zones[zone];

	for (unsigned i = 0; i < z->n_trust; i++)
		if (prefix_has(&z->trust[i], source))
			return true;
	return false;
}

/* Conditions ---------------------------------------------------------------------------------------------------- */

static bool source_matches(const struct conf_when *w, const struct addr *source)
{
	for (unsigned i = 0; i < w->n_source; i++)
		if (prefix_has(&w->source[i], source))
			return true;
	return !w->n_source;
}

static bool method_matches(const struct conf_when *w, struct sv method)
{
	for (unsigned i = 0; i < w->n_methods; i++)
		if (sv_eq(w->methods[i], method))
			return true;
	return !w->n_methods;
}

static bool domain_matches(const struct conf_when *w, const struct uri *u)
{
	for (unsigned i = 0; i < w->n_domains; i++)
		if (u->host.len && host_glob(w->domains[i], u->host))
			return true;
	return !w->n_domains;
}

/* Whom a URI names: the user without escapes (RFC 3261 §19.1.4 compares them so), or the number of a tel URI (RFC 3966). */
static struct sv user_of(const struct uri *u, struct arena *a)
{
	if (u->scheme == URI_TEL)
		return (struct sv){ u->opaque.p, sv_chr(u->opaque, ';') };
	return unescape(a, u->user);
}

static bool is_one_of_users(const struct conf_when *w, struct sv user)
{
	for (unsigned i = 0; user.len && i < w->n_users; i++)
		if (conf_user_match(w->users[i], user))
			return true;
	return false;
}

static bool user_matches(const struct conf_when *w, const struct uri *u)
{
	char room[FOLD_ROOM + 64]; /* and what alignment takes: no Request-URI needs memory from elsewhere */
	struct arena a;
	bool matches;

	if (!w->n_users)
		return true;
	arena_init(&a, room, sizeof(room), FOLD_ROOM);
	matches = is_one_of_users(w, user_of(u, &a));
	arena_reset(&a);
	return matches;
}

static bool headers_match(const struct conf_when *w, const struct route_query *q)
{
	for (unsigned i = 0; i < w->n_headers; i++) {
		struct sv value = q->header ? q->header(q->ctx, w->headers[i].name) : (struct sv){ NULL, 0 };

		if (!value.p || !sv_glob(w->headers[i].glob, value))
			return false;
	}
	return true;
}

/* Whom we trust may do what an authenticated caller may, and that one what a registered one may (DECISIONS 15). */
static bool caller_matches(uint8_t caller, const struct route_query *q)
{
	switch (caller) {
	case CALLER_ANY:
		return true;
	case CALLER_TRUSTED:
		return q->is_trusted;
	case CALLER_AUTHENTICATED:
		return q->is_trusted || q->is_authenticated;
	default:
		return q->is_trusted || q->is_authenticated || q->is_registered;
	}
}

static const char caller_condition[] = "caller"; /* the last one that is tried */

/* The name of the first condition that fails; NULL when all hold. */
static const char *mismatch(const struct conf_when *w, const struct route_query *q)
{
	if (w->zone >= 0 && w->zone != q->zone)
		return "zone";
	if (!source_matches(w, &q->source))
		return "source";
	if (!method_matches(w, q->method))
		return "method";
	if (!domain_matches(w, &q->uri))
		return "domain";
	if (!user_matches(w, &q->uri))
		return "user";
	if (!headers_match(w, q))
		return "header";
	if (w->trunk.len && !sv_eq(w->trunk, q->trunk))
		return "trunk";
	if (w->callee_registered && !q->callee_is_registered)
		return "callee";
	if (w->trunk.len && w->caller <= CALLER_AUTHENTICATED) /* who is known by its source has shown who it is, to a rule that names it */
		return NULL;
	return caller_matches(w->caller, q) ? NULL : caller_condition;
}

/* What becomes of it -------------------------------------------------------------------------------------------- */

/* A number or URN names no host that we could be asked to relay to. */
static bool may_pass(const struct conf *c, const struct route_query *q, const struct conf_route *r)
{
	/* a registrar judges its domains itself */
	if (r->is_relay || r->action == ACT_RELAY || r->action == ACT_REGISTRAR || q->uri.scheme == URI_TEL || q->uri.scheme == URI_URN)
		return true;
	return q->uri.host.len && route_host_is_ours(c, q->zone, q->uri.host, q->uri.port);
}

static void judge(const struct conf *c, const struct route_query *q, struct route_result *out)
{
	const struct conf_route *r = out->rule;

	if (r->action == ACT_REJECT) {
		out->status = r->reject;
		out->reason = "rule-reject";
	} else if (!may_pass(c, q, r)) {
		out->status = 403;
		out->reason = "host-not-ours";
	} else if (r->action == ACT_INACTIVE) {
		out->status = 503;
		out->reason = "part-not-active";
	}
}

void route_find(const struct conf *c, const struct route_query *q, struct route_result *out)
{
	bool wants_caller = false;

	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct conf_when *w = &c->routes[i].when;
		const char *failed = mismatch(w, q);

		if (failed) {
			wants_caller |= failed == caller_condition && w->caller < CALLER_TRUSTED;
			continue;
		}
		*out = (struct route_result){ .rule = &c->routes[i], .wants_caller = wants_caller };
		judge(c, q, out);
		return;
	}
	*out = (struct route_result){ .status = 404, .reason = "no-route", .wants_caller = wants_caller };
}

void route_explain(const struct conf *c, const struct route_query *q,
                   void (*line)(void *ctx, const struct conf_route *r, bool matched, const char *failed), void *ctx)
{
	for (unsigned i = 0; i < c->n_routes; i++) {
		const char *failed = mismatch(&c->routes[i].when, q);

		line(ctx, &c->routes[i], !failed, failed);
	}
}
