/* conf/parts.c - what the schema's rows for zones, listeners, pools and destinations do beyond storing a value. */
#include <stdarg.h>
#include <unistd.h>
#include "conf/reader.h"
#include "transports/net.h"

enum { SESSION_PING_MIN_MS = 32000 }; /* as long as an unanswered question takes */

struct scheme {
	const char *name;
	uint16_t port;       /* what Via and Contact may leave out: RFC 3261 §19.1.2, RFC 7118 §5 with RFC 6455 §3 */
	bool is_active, has_path;
};

static const struct scheme schemes[T_COUNT] = {
	[T_UDP] = { "udp", 5060, true, false },
	[T_TCP] = { "tcp", 5060, true, false },
	[T_TLS] = { "tls", 5061, true, false },
	[T_WS] = { "ws", 80, true, true },
	[T_WSS] = { "wss", 443, true, true },
};

const char *scheme_name(uint8_t transport)
{
	return transport < T_COUNT && schemes[transport].name ? schemes[transport].name : "?";
}

uint16_t scheme_port(uint8_t transport)
{
	return schemes[transport].port;
}

/* Lower case in the file; T_NONE when unknown. */
static uint8_t scheme_find(struct sv name)
{
	for (uint8_t t = T_UDP; t < T_COUNT; t++) {
		if (sv_eq(name, sv_from(schemes[t].name)))
			return t;
	}
	return T_NONE;
}

void on_workers_auto(struct reader *r, const struct value *v, void *into)
{
	struct conf *c = into;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	(void)r, (void)v;
	c->workers = cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
}

void on_zone_open(struct reader *r, void *into)
{
	struct conf_zone *z = into;

	z->mark = r->key_mark;
}

void on_zone_mask(struct reader *r, const struct value *v, void *into)
{
	struct conf_zone *z = into;

	(void)r;
	z->masks |= (uint8_t)(1u << v->number); /* in the order of enum conf_mask */
}

static bool is_multicast(const struct addr *a)
{
	return a->family == 6 ? a->ip[0] == 0xff : a->ip[0] >= 224 && a->ip[0] < 240;
}

static bool listener_address(struct reader *r, const struct scheme *s, struct sv text, struct addr *out)
{
	char word[72];

	if (addr_parse(out, text) < 0)
		note_error(r, "`%s` is no IP address and port: write \"%s:192.0.2.1:%u\", the address as this host has it",
		           printable(text, word), s->name, s->port);
	else if (addr_is_any(out))
		note_error(r, "%s is no address that others can send to, and this one is written into Via and Contact: write each "
		           "address of this host that is to be used", printable(text, word));
	else if (is_multicast(out))
		note_error(r, "a multicast address cannot be a listener: write an address of this host");
	else if (!out->port)
		note_error(r, "the port is missing: write \"%s:%s:%u\"", s->name, printable(text, word), s->port);
	else
		return true;
	return false;
}

/* As it stands in an HTTP request: nothing that ends it. */
static bool is_url_path(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == '?' || v.p[i] == '#')
			return false;
	return v.len == 0 || v.p[0] == '/';
}

void on_destination_path(struct reader *r, const struct value *v, void *into)
{
	struct conf_destination *d = into;
	char word[72];

	d->path = v->text;
	if (!v->text.len || !is_url_path(v->text))
		note_error(r, "`%s` is no path: write \"/sip\"", printable(v->text, word));
	else if (v->text.len > NET_URL_PATH_MAX)
		note_error(r, "longer than %d bytes", NET_URL_PATH_MAX);
}

/* TRANSPORT:ADDRESS:PORT[/path] */
void on_listener(struct reader *r, const struct value *v, void *into)
{
	struct conf_listener *l = into;
	size_t colon = sv_chr(v->text, ':'), slash = sv_chr(v->text, '/');
	struct sv name = { v->text.p, colon }, address = sv_skip((struct sv){ v->text.p, slash }, colon + 1);
	char word[72];

	l->mark = r->mark;
	l->text = v->text;
	l->path = sv_skip(v->text, slash);
	l->transport = scheme_find(name);
	l->is_active = schemes[l->transport].is_active;
	if (l->transport == T_NONE)
		note_error(r, "`%s` is no listener: write TRANSPORT:ADDRESS:PORT with udp, tcp, tls, ws or wss",
		           printable(v->text, word));
	else if (l->path.len && !schemes[l->transport].has_path)
		note_error(r, "a path (`%s`) has a meaning for ws and wss only: remove it", printable(l->path, word));
	else if (!is_url_path(l->path))
		note_error(r, "`%s` is no path: write \"/sip\"", printable(l->path, word));
	else if (listener_address(r, &schemes[l->transport], address, &l->bind) && !l->is_active && !r->later)
		note_warning(r, "%s listeners: not active in this version", schemes[l->transport].name);
}

bool is_same_listener(const void *now, const void *next, char was[192], char is[192])
{
	const struct conf_listener *a = now, *b = next;
	char text[72], name[72];

	if (a->transport == b->transport && addr_eq(&a->bind, &b->bind) && sv_eq(a->path, b->path) &&
	    sv_eq(a->advertise, b->advertise))
		return true;
	snprintf(was, 192, "%s as %s", printable(a->text, text), printable(a->advertise, name));
	snprintf(is, 192, "%s as %s", printable(b->text, text), printable(b->advertise, name));
	return false;
}

void on_listener_advertise(struct reader *r, const struct value *v, void *into)
{
	struct conf_listener *l = into;

	(void)r;
	l->advertise = v->text;
}

static struct sv dup_text(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct sv dup_text(struct reader *r, const char *fmt, ...)
{
	char buf[CONF_TEXT_MAX + 16];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	return reader_dup(r, (struct sv){ buf, (size_t)n });
}

/* Its own `advertise:`, else the zone's, else the bound address. A port that is not written is the bound one. */
static void set_advertise(struct reader *r, const struct conf_zone *z, struct conf_listener *l)
{
	struct sv written = l->advertise.len ? l->advertise : z->advertise, host = { 0 };
	char text[ADDR_TEXT];
	uint16_t port = 0;

	if (written.len && split_host_port(written, &host, &port)) {
		l->advertise_host = host;
		l->advertise = (struct sv){ written.p, host.len + (written.p[0] == '[' ? 2 : 0) };
	} else {
		l->advertise_host = dup_text(r, "%s", addr_print_ip(&l->bind, text));
		l->advertise = l->bind.family == 6 ? dup_text(r, "[%s]", text) : l->advertise_host;
	}
	l->advertise_port = port ? port : l->bind.port;
	if (l->advertise.p && l->advertise_port != schemes[l->transport].port)
		l->advertise = dup_text(r, "%.*s:%u", SV_ARG(l->advertise), l->advertise_port);
}

static void check_session(struct reader *r, const struct conf_zone *z)
{
	if (z->session.expires_ms && z->session.expires_ms < z->session.min_ms)
		note_error(r, "session: expires is shorter than min: what we ask for we would refuse ourselves");
	if (z->session.ping_ms && z->session.ping_ms < SESSION_PING_MIN_MS)
		note_error(r, "session: ping: write %ds or longer, or 0s for never", SESSION_PING_MIN_MS / 1000);
}

/* Who is trusted is a server; nobody stands between it and us. */
static void set_keepalive(struct reader *r, struct conf_zone *z)
{
	if (z->keepalive.learns && (z->keepalive.min_ms > z->keepalive.every_ms || z->keepalive.max_ms < z->keepalive.every_ms))
		note_error(r, "keepalive: learn: `every` does not lie between min and max");
	if (z->keepalive.udp == KEEPALIVE_AUTO)
		z->keepalive.udp = z->n_trust ? KEEPALIVE_OFF : KEEPALIVE_OPTIONS;
	if (z->keepalive.tcp == STREAM_KEEPALIVE_AUTO)
		z->keepalive.tcp = z->n_trust ? STREAM_KEEPALIVE_OFF : STREAM_KEEPALIVE_CRLF;
	if (z->keepalive.learns && z->keepalive.udp != KEEPALIVE_OPTIONS)
		note_error(r, "keepalive: learn: only answers teach anything: write `udp: options`, too");
	if (!z->keepalive.is_on) {
		z->keepalive.udp = KEEPALIVE_OFF;
		z->keepalive.tcp = STREAM_KEEPALIVE_OFF;
	}
}

void on_zone_done(struct reader *r, void *into)
{
	struct conf_zone *z = into;

	check_session(r, z);
	set_keepalive(r, z);
	for (unsigned i = 0; i < z->n_listeners && !r->err; i++) {
		z->listeners[i].zone = (uint16_t)(z - r->conf->zones);
		if (z->listeners[i].bind.family)
			set_advertise(r, z, &z->listeners[i]);
	}
}

void on_pool_open(struct reader *r, void *into)
{
	struct conf_pool *p = into;

	p->mark = r->key_mark;
	p->zone = UINT16_MAX; /* until it is read; stays when it is wrong */
}

void on_destination_open(struct reader *r, void *into)
{
	struct conf_destination *d = into;

	d->mark = r->mark;
}

/* Whoever is in a room is not alone there. */
static void sticky_done(struct reader *r, struct conf_pool *p)
{
	p->sticky.stays = p->sticky.on_drain ? p->sticky.on_drain == 2 : p->sticky.key == STICKY_ROOM;
	if (p->sticky.is_on && p->sticky.n_rooms && p->sticky.key != STICKY_ROOM)
		note_error(r, "sticky: `rooms` is for `by: room`");
}

void on_pool_done(struct reader *r, void *into)
{
	struct conf_pool *p = into;

	if (!p->n_destinations && !p->destinations_file.len && !r->notes->errors)
		note_error(r, "`destinations:` is missing; it takes a list. Its servers. Or `destinations-file:`, a file with one per "
		              "line");
	if (p->probe.timeout_ms > p->probe.every_ms)
		note_error(r, "probe: timeout is longer than every: a probe would start before the last one has ended");
	sticky_done(r, p);
}

void on_pool_spill(struct reader *r, const struct value *v, void *into)
{
	struct conf_pool *p = into;

	p->spill_name = v->text;
	p->spill_mark = r->mark;
}

/* At 100 percent and below there need not be anybody who may take a call. */
void on_hash_bound(struct reader *r, const struct value *v, void *into)
{
	struct conf_pool *p = into;

	p->hash.bound = (uint16_t)v->number;
	if (v->number && v->number <= 100)
		note_error(r, "write 101 or more, in percent of a destination's share, or 0 for no bound");
}

void on_sticky_by(struct reader *r, const struct value *v, void *into)
{
	struct conf_pool *p = into;

	(void)r;
	p->sticky.by = v->text;
	p->sticky.key = (uint8_t)v->number;
}

void on_sticky_header(struct reader *r, const struct value *v, void *into)
{
	static const char *const keys[] = { STICKY_KEYS };
	const struct row name = { .type = TY_METHOD };
	struct conf_pool *p = into;
	struct sv prefix = SV("header:"), text = v->text;
	char word[72], hint[256];
	struct value header;
	struct known known;

	if (text.len > prefix.len && sv_eq((struct sv){ text.p, prefix.len }, prefix)) {
		if (!value_read(r, &name, sv_skip(text, prefix.len), &header))
			return;
		p->sticky.by = text;
		p->sticky.key = STICKY_HEADER;
		p->sticky.header = header.text;
		return;
	}
	known_init(&known, text);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		known_offer(&known, sv_from(keys[i]));
	note_error(r, "`%s` is no key, and no `header:NAME`%s", printable(text, word), known_nearest_or_all(&known, hint));
}

void on_sticky_drain(struct reader *r, const struct value *v, void *into)
{
	struct conf_pool *p = into;

	(void)r;
	p->sticky.on_drain = (uint8_t)(v->number + 1);
}

/* ";transport=tcp;lr": everything else has no meaning for a next hop. */
static bool uri_params(struct reader *r, struct sv params, struct conf_destination *d)
{
	char word[72];

	while (params.len) {
		struct sv one = sv_skip(params, 1), value;
		size_t end = sv_chr(one, ';');

		params = sv_skip(one, end);
		one.len = end;
		value = sv_skip(one, sv_chr(one, '=') + 1);
		one.len = sv_chr(one, '=');
		if (sv_ieq(one, SV("transport")) && scheme_find(value) != T_NONE) {
			d->transport = scheme_find(value);
		} else if (sv_ieq(one, SV("transport"))) {
			note_error(r, "unknown transport `%s`: write udp, tcp, tls, ws or wss", printable(value, word));
			return false;
		} else if (!sv_ieq(one, SV("lr"))) {
			note_error(r, "parameter `%s` has no meaning here: only transport= has", printable(one, word));
			return false;
		}
	}
	return true;
}

static bool uri_host(struct reader *r, struct sv hostport, struct conf_destination *d)
{
	const struct row as_host = { .type = TY_HOST };
	struct value host;
	char word[72];

	if (sv_chr(hostport, '@') < hostport.len) {
		note_error(r, "a destination has no user part: write sip:HOST[:PORT]");
		return false;
	}
	if (!hostport.len || !split_host_port(hostport, &d->host, &d->port)) {
		note_error(r, "`%s` is no host and port: write sip:HOST[:PORT], an IPv6 address in brackets",
		           printable(hostport, word));
		return false;
	}
	if (!value_read(r, &as_host, d->host, &host))
		return false;
	d->is_numeric = addr_parse(&d->addr, d->host) == 0;
	if (d->is_numeric && (addr_is_any(&d->addr) || is_multicast(&d->addr))) {
		note_error(r, "`%s` is no address of a server", printable(d->host, word));
		return false;
	}
	return true;
}

/* sips: is TLS, whatever it is to run over (RFC 3261 §26.2.2). */
static uint8_t uri_default_transport(uint8_t written, bool is_sips)
{
	if (!is_sips)
		return written ? written : T_UDP;
	return written == T_WS || written == T_WSS ? T_WSS : T_TLS;
}

/* sip:HOST[:PORT][;transport=...] */
void on_destination_uri(struct reader *r, const struct value *v, void *into)
{
	struct conf_destination *d = into;
	size_t colon = sv_chr(v->text, ':');
	struct sv scheme = { v->text.p, colon }, rest = sv_skip(v->text, colon + 1);
	size_t semicolon = sv_chr(rest, ';');
	bool is_sips = sv_ieq(scheme, SV("sips"));
	bool is_written;
	char word[72];

	d->uri_mark = r->mark;
	d->uri = v->text;
	d->transport = T_NONE;
	if (colon == v->text.len || (!is_sips && !sv_ieq(scheme, SV("sip")))) {
		note_error(r, "`%s` is no SIP URI: write sip:HOST[:PORT][;transport=tcp]", printable(v->text, word));
		return;
	}
	if (!uri_params(r, sv_skip(rest, semicolon), d))
		return;
	if (is_sips && d->transport == T_UDP) {
		note_error(r, "sips: does not go over udp: write sip:, or transport=tls");
		return;
	}
	is_written = d->transport != T_NONE;
	d->transport = uri_default_transport(d->transport, is_sips);
	if (!uri_host(r, (struct sv){ rest.p, semicolon }, d))
		return;
	d->is_open = !is_written && !d->is_numeric && !d->port;
	if (d->is_numeric)
		d->addr.port = d->port ? d->port : schemes[d->transport].port;
}

/* Zones and pools each filled an array of their own: one array of all listeners, and one of all destinations. */
static void gather_listeners(struct reader *r, struct conf *c)
{
	unsigned n = 0;

	for (unsigned z = 0; z < c->n_zones; z++)
		c->n_listeners += c->zones[z].n_listeners;
	c->listeners = reader_alloc(r, (c->n_listeners + 1) * sizeof(*c->listeners));
	for (unsigned z = 0; z < c->n_zones && !r->err; z++) {
		struct conf_zone *zone = &c->zones[z];

		if (zone->n_listeners)
			memcpy(c->listeners + n, zone->listeners, zone->n_listeners * sizeof(*zone->listeners));
		zone->listeners = c->listeners + n;
		zone->first_listener = (uint16_t)n;
		n += zone->n_listeners;
	}
}

/* May its calls simply go round? */
static bool is_plain(const struct conf_pool *p)
{
	for (unsigned i = 0; i < p->n_destinations; i++) {
		const struct conf_destination *d = &p->destinations[i];

		if (d->max_calls || d->max_cps || d->priority != p->destinations[0].priority)
			return false;
	}
	return p->balance == BALANCE_ROUND_ROBIN && p->n_destinations && !p->slow_start_ms;
}

static void gather_destinations(struct reader *r, struct conf *c)
{
	uint32_t n = 0;

	for (unsigned p = 0; p < c->n_pools; p++)
		c->n_destinations += c->pools[p].n_destinations;
	c->destinations = reader_alloc(r, (c->n_destinations + 1) * sizeof(*c->destinations));
	for (unsigned p = 0; p < c->n_pools && !r->err; p++) {
		struct conf_pool *pool = &c->pools[p];

		if (pool->n_destinations)
			memcpy(c->destinations + n, pool->destinations, pool->n_destinations * sizeof(*pool->destinations));
		pool->destinations = c->destinations + n;
		pool->first_destination = n;
		for (unsigned i = 0; i < pool->n_destinations; i++, n++) {
			c->destinations[n].pool = (uint16_t)p;
			c->destinations[n].id = n;
		}
		pool->is_plain = is_plain(pool);
	}
}

/* What the rules want to know of who calls and who is called. */
static uint8_t routes_ask(const struct conf *c)
{
	uint8_t asks = 0;

	for (unsigned i = 0; i < c->n_routes && c->n_registrars; i++) {
		const struct conf_route *route = &c->routes[i];

		asks |= route->when.caller <= CALLER_AUTHENTICATED && !route->when.trunk.len ? ASKS_CALLER : 0;
		asks |= route->when.callee_registered || route->action == ACT_LOCATION ? ASKS_CALLEE : 0;
	}
	return asks;
}

void on_root_done(struct reader *r, void *into)
{
	struct conf *c = into;

	gather_listeners(r, c);
	members_gather(r);
	gather_destinations(r, c);
	registrars_sort(r);
	trunks_gather(r);
	c->asks = routes_ask(c);
	if (!r->err)
		conf_check(r);
}
