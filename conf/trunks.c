/* conf/trunks.c - carriers: what the schema's rows for them do beyond storing a value, and whose source an address is. */
#include "conf/reader.h"
#include <stdlib.h>

void on_trunk_open(struct reader *r, void *into)
{
	struct conf_trunk *t = into;

	t->mark = r->key_mark;
	t->pool = -1;
	t->zone = UINT16_MAX; /* until it is read; stays when it is wrong */
}

void on_trunk_pool(struct reader *r, const struct value *v, void *into)
{
	struct conf_trunk *t = into;

	(void)r;
	t->pool = (int)v->number;
}

static bool has_control(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
			return true;
	return false;
}

/* "USER:PASSWORD"; a password may hold colons. */
void on_trunk_credentials(struct reader *r, const struct value *v, void *into)
{
	struct conf_trunk *t = into;
	struct sv text = v->is_path ? secret_read(r, v->text) : v->text;
	size_t colon = sv_chr(text, ':');

	t->user = (struct sv){ text.p, colon };
	t->password = sv_skip(text, colon + 1);
	if (!t->user.len || !t->password.len || has_control(text))
		note_error(r, "there are no credentials in it: one line USER:PASSWORD");
	if (t->user.len > CONF_USER_MAX || sv_chr(t->user, '"') < t->user.len || sv_chr(t->user, '\\') < t->user.len)
		note_error(r, "a user's name has at most %d bytes, no quotes and no backslashes", CONF_USER_MAX);
}

void on_trunk_user(struct reader *r, const struct value *v, void *into)
{
	struct conf_trunk *t = into;

	t->registers = true;
	t->registration.user = v->text;
	if (!is_user_text(v->text, false))
		note_error(r, "a character that a user part cannot have (RFC 3261 §25.1): write it as %%HH");
	if (!v->text.len || v->text.len > CONF_USER_MAX)
		note_error(r, "a user has 1 to %d bytes", CONF_USER_MAX);
}

/* What needs another of its keys. */
void on_trunk_done(struct reader *r, void *into)
{
	struct conf_trunk *t = into;

	if (!t->realm.len)
		t->realm = t->domain;
	else if (!is_realm(t->realm))
		note_error(r, "a realm has at most %d bytes, no quotes, backslashes and colons", CONF_REALM_MAX);
	if (sv_chr(t->domain, ':') < t->domain.len && t->domain.p[0] != '[')
		note_error(r, "domain: write an IPv6 address in brackets");
	if (t->registers && t->pool < 0)
		note_error(r, "register: `pool:` is missing: where we register");
	if (t->registers && !t->domain.len)
		note_error(r, "register: `domain:` is missing: where `%.*s` belongs to", SV_ARG(t->registration.user));
	if (t->password.len && t->pool < 0)
		note_error(r, "credentials: `pool:` is missing: whom they are for");
	if (t->password.len && !t->realm.len)
		note_error(r, "credentials: `domain:` or `realm:` is missing: what they are for");
	if (!t->n_sources && !t->tls_name.len && !t->registers)
		note_warning(r, "no request is known to come from it: write `match: { source: ... }`");
}

/* Sources ------------------------------------------------------------------------------------------------------------ */

/* The first `bits` of two addresses of one family. */
static int compare_bits(const struct addr *a, const struct addr *b, unsigned bits)
{
	unsigned whole = bits / 8, mask = 0xff00u >> bits % 8 & 0xff;
	int order = memcmp(a->ip, b->ip, whole);

	return order || !mask ? order : (a->ip[whole] & (int)mask) - (b->ip[whole] & (int)mask);
}

static int by_family_and_bits(const struct conf_source *a, const struct conf_source *b)
{
	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	if (a->prefix.net.family != b->prefix.net.family)
		return a->prefix.net.family < b->prefix.net.family ? -1 : 1;
	return (int)b->prefix.bits - (int)a->prefix.bits;
}

/* Longest prefixes first, and in a row of one length by address. */
static int by_source(const void *a, const void *b)
{
	const struct conf_source *x = a, *y = b;
	int order = by_family_and_bits(x, y);

	return order ? order : compare_bits(&x->prefix.net, &y->prefix.net, x->prefix.bits);
}

static int of_source(const void *source, const void *entry)
{
	const struct conf_source *e = entry;

	return compare_bits(source, &e->prefix.net, e->prefix.bits);
}

/* How many entries follow in a row of one zone, family and length. */
static void count_rows(struct conf *c)
{
	for (uint32_t i = c->n_sources; i-- > 0;) {
		bool goes_on = i + 1 < c->n_sources && by_family_and_bits(&c->sources[i], &c->sources[i + 1]) == 0;

		c->sources[i].n_row = goes_on ? c->sources[i + 1].n_row + 1 : 1;
	}
}

static void check_doubles(struct reader *r)
{
	struct conf *c = r->conf;

	for (uint32_t i = 1; i < c->n_sources; i++) {
		const struct conf_source *a = &c->sources[i - 1], *b = &c->sources[i];
		char text[ADDR_TEXT];

		if (by_source(a, b) || a->trunk == b->trunk)
			continue;
		r->mark = c->trunks[b->trunk].mark;
		snprintf(r->path, sizeof(r->path), "trunks.%.*s.match.source", SV_ARG(c->trunks[b->trunk].name));
		note_error(r, "%s/%u is a source of trunk %.*s, too: a request comes from one", addr_print_ip(&b->prefix.net, text),
		           b->prefix.bits, SV_ARG(c->trunks[a->trunk].name));
	}
}

void trunks_gather(struct reader *r)
{
	struct conf *c = r->conf;
	uint32_t n = 0;

	for (unsigned i = 0; i < c->n_trunks; i++)
		n += c->trunks[i].n_sources;
	if (!(c->sources = reader_alloc(r, (n + 1) * sizeof(*c->sources))))
		return;
	for (unsigned i = 0; i < c->n_trunks; i++) {
		const struct conf_trunk *t = &c->trunks[i];

		for (unsigned k = 0; k < t->n_sources && t->zone < c->n_zones; k++)
			if (t->sources[k].net.family)
				c->sources[c->n_sources++] = (struct conf_source){ .prefix = t->sources[k], .zone = t->zone,
				                                           .trunk = (uint16_t)i };
	}
	qsort(c->sources, c->n_sources, sizeof(*c->sources), by_source);
	count_rows(c);
	check_doubles(r);
}

int conf_trunk_at(const struct conf *c, uint16_t zone, const struct addr *source)
{
	for (uint32_t i = 0; i < c->n_sources; i += c->sources[i].n_row) {
		const struct conf_source *row = &c->sources[i], *found;

		if (row->zone != zone || row->prefix.net.family != source->family)
			continue;
		if ((found = bsearch(source, row, row->n_row, sizeof(*row), of_source)))
			return found->trunk;
	}
	return -1;
}

int conf_trunk_named(const struct conf *c, uint16_t zone, struct sv name)
{
	for (unsigned i = 0; i < c->n_trunks; i++)
		if (c->trunks[i].zone == zone && c->trunks[i].tls_name.len && sv_ieq(c->trunks[i].tls_name, name))
			return (int)i;
	return -1;
}

int conf_find_trunk(const struct conf *c, struct sv name)
{
	for (unsigned i = 0; i < c->n_trunks; i++)
		if (sv_eq(c->trunks[i].name, name))
			return (int)i;
	return -1;
}

/* Checks of the whole -------------------------------------------------------------------------------------------------- */

static void at_trunk(struct reader *r, const struct conf_trunk *t)
{
	snprintf(r->path, sizeof(r->path), "trunks.%.*s", SV_ARG(t->name));
	r->mark = t->mark;
}

static void check_pool(struct reader *r, struct conf_trunk *t)
{
	struct conf *c = r->conf;
	struct conf_pool *pool = &c->pools[t->pool];

	if (pool->trunk)
		note_error(r, "pool %.*s belongs to trunk %.*s already: each has one of its own", SV_ARG(pool->name),
		           SV_ARG(c->trunks[pool->trunk - 1].name));
	else if (pool->zone != t->zone)
		note_error(r, "pool %.*s is in another zone", SV_ARG(pool->name));
	pool->trunk = (uint16_t)(t - c->trunks + 1);
	if (t->max_calls || t->rate)
		pool->is_plain = false;
}

/* RFC 8224 §4: an Identity that passes signs From and To. */
static void check_domain(struct reader *r, const struct conf_trunk *t)
{
	if (t->domain.len && t->pool >= 0 && !r->conf->zones[t->zone].drops_signature)
		note_warning(r, "domain: From and To of requests with an Identity (RFC 8224) stay as they are; write `privacy: { identity: "
		                "remove }` in zone %.*s, unless none goes there",
		             SV_ARG(r->conf->zones[t->zone].name));
}

/* Is there a destination of its pool whose server has to prove who it is? */
static bool verifies_servers(const struct conf *c, const struct conf_trunk *t)
{
	const struct conf_zone *z = &c->zones[t->zone];
	const struct conf_pool *pool = t->pool < 0 ? NULL : &c->pools[t->pool];

	for (unsigned i = 0; pool && !z->trusts_servers && i < pool->n_destinations; i++) {
		struct resolve_query q = conf_query_of(z, &pool->destinations[i]);

		if ((q.transport ? 1u << q.transport : q.transports) & (1u << T_TLS | 1u << T_WSS))
			return true;
	}
	return false;
}

/* Of two trunks with one name the first would get all. */
static void check_name(struct reader *r, const struct conf_trunk *t)
{
	struct conf *c = r->conf;
	int first = conf_trunk_named(c, t->zone, t->tls_name);

	c->has_trunk_names = true;
	if (first >= 0 && &c->trunks[first] != t)
		note_error(r, "match.tls-name: %.*s is the name of trunk %.*s, too: a request comes from one", SV_ARG(t->tls_name),
		           SV_ARG(c->trunks[first].name));
	if (!tls_asks_clients(&c->zones[t->zone]) && !verifies_servers(c, t))
		note_warning(r, "match.tls-name: nobody proves a name in zone %.*s: a tls or wss listener there has to ask for "
		                "certificates (`tls-options: { verify-client: optional }`), or the pool be reached over TLS, with "
		                "`verify-server`",
		             SV_ARG(c->zones[t->zone].name));
}

static void check_rule(struct reader *r, const struct conf_route *route, unsigned i)
{
	int index = conf_find_trunk(r->conf, route->when.trunk);
	struct known known;
	char hint[256];

	if (!route->when.trunk.len || (index >= 0 && (route->when.zone < 0 || route->when.zone == r->conf->trunks[index].zone)))
		return;
	snprintf(r->path, sizeof(r->path), "routes[%u].when.trunk", i);
	r->mark = (struct conf_mark){ route->line, route->col };
	if (index >= 0) {
		note_warning(r, "never: trunk %.*s is in another zone", SV_ARG(route->when.trunk));
		return;
	}
	known_init(&known, route->when.trunk);
	for (unsigned k = 0; k < r->conf->n_trunks; k++)
		known_offer(&known, r->conf->trunks[k].name);
	note_error(r, "there is no trunk `%.*s`%s", SV_ARG(route->when.trunk), known_nearest_or_all(&known, hint));
}

void trunks_check(struct reader *r)
{
	struct conf *c = r->conf;

	for (unsigned i = 0; i < c->n_trunks; i++) {
		struct conf_trunk *t = &c->trunks[i];

		at_trunk(r, t);
		if (t->tls_name.len && t->zone < c->n_zones)
			check_name(r, t);
		if (t->pool < 0 || t->zone >= c->n_zones)
			continue;
		check_pool(r, t);
		check_domain(r, t);
	}
	for (unsigned i = 0; i < c->n_routes; i++)
		check_rule(r, &c->routes[i], i);
}
