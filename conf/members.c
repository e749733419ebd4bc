/* conf/members.c - who is in a pool: what the file lists, what its destinations-file lists, and what changed while the program runs
 * (live.h), in this order. */
#include "conf/reader.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include "transports/net.h"

/* The list of one pool while it grows. */
struct members {
	struct reader *r;
	struct conf_pool *pool;
	struct conf_destination *list;
	unsigned n, room;
};

static const struct row *destination_row(void)
{
	const struct row *pools = schema_key(schema_root(), SV("pools"));

	return schema_item(schema_key(schema_any(pools), SV("destinations")));
}

static void at(struct reader *r, struct conf_mark mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Where the next note belongs. */
static void at(struct reader *r, struct conf_mark mark, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->path, sizeof(r->path), fmt, args);
	va_end(args);
	r->path_len = strlen(r->path);
	r->mark = mark;
}

static struct conf_destination *member_new(struct members *m)
{
	struct conf_destination *grown;

	if (m->n == m->room) {
		m->room = m->room ? 2 * m->room : 8;
		if (!(grown = reader_alloc(m->r, m->room * sizeof(*grown))))
			return NULL;
		if (m->n)
			memcpy(grown, m->list, m->n * sizeof(*grown));
		m->list = grown;
	}
	m->list[m->n] = (struct conf_destination){ .mark = m->r->mark, .uri_mark = m->r->mark };
	return &m->list[m->n];
}

static struct conf_destination *member_find(const struct members *m, struct sv name)
{
	for (unsigned i = 0; i < m->n; i++)
		if (sv_eq(m->list[i].name, name))
			return &m->list[i];
	return NULL;
}

static void member_drop(struct members *m, struct conf_destination *d)
{
	memmove(d, d + 1, (size_t)(m->list + m->n - (d + 1)) * sizeof(*d));
	m->n--;
}

/* `key`: one of a destination's in the file. */
static bool set_key(struct members *m, struct conf_destination *d, struct sv key, struct sv text)
{
	const struct row *row = schema_key(destination_row(), key);
	unsigned errors = m->r->notes->errors;
	struct known known;
	char word[72], hint[256];

	if (row) {
		reader_set(m->r, row, text, d);
		return !m->r->err && m->r->notes->errors == errors;
	}
	known_init(&known, key);
	for (row = schema_next_key(destination_row(), NULL); row; row = schema_next_key(destination_row(), row))
		known_offer(&known, sv_from(schema_name(row)));
	note_error(m->r, "unknown key `%s`%s", printable(key, word), known_nearest_or_all(&known, hint));
	return false;
}

/* One more, its other keys as if they were not written. NULL: a note was made, or memory is out. */
static struct conf_destination *member_read(struct members *m, struct sv name, struct sv uri)
{
	struct conf_destination *d = member_new(m);

	if (!d)
		return NULL;
	reader_defaults(m->r, destination_row(), d);
	if (!set_key(m, d, SV("name"), name) || !set_key(m, d, SV("uri"), uri))
		return NULL;
	m->n++;
	return d;
}

/* destinations-file ---------------------------------------------------------------------------------------------- */

static struct sv next_word(struct sv *line)
{
	struct sv word;

	while (line->len && (*line->p == ' ' || *line->p == '\t' || *line->p == '\r'))
		*line = sv_skip(*line, 1);
	word = *line;
	word.len = 0;
	while (word.len < line->len && !strchr(" \t\r", line->p[word.len]))
		word.len++;
	*line = sv_skip(*line, word.len);
	return word;
}

/* NAME URI [KEY=VALUE...] */
static void read_line(struct members *m, struct sv line)
{
	struct sv name = next_word(&line), uri = next_word(&line), word;
	struct conf_destination *d;

	if (!name.len || *name.p == '#')
		return;
	if (!uri.len) {
		note_error(m->r, "write NAME URI, and behind them weight=5 and the like");
		return;
	}
	d = member_read(m, reader_dup(m->r, name), reader_dup(m->r, uri));
	while (d && (word = next_word(&line)).len && *word.p != '#') {
		size_t equals = sv_chr(word, '=');

		if (!set_key(m, d, (struct sv){ word.p, equals }, reader_dup(m->r, sv_skip(word, equals + 1))))
			return;
	}
}

static void read_lines(struct members *m, struct sv text)
{
	char word[72];

	for (unsigned line = 1; text.len && !m->r->err; line++) {
		size_t end = sv_chr(text, '\n');

		at(m->r, m->pool->mark, "pools.%.*s.destinations-file: %s:%u", SV_ARG(m->pool->name),
		   printable(m->pool->destinations_file, word), line);
		if (m->n >= CONF_DESTINATIONS_MAX) {
			note_error(m->r, "more than %d destinations", CONF_DESTINATIONS_MAX);
			return;
		}
		read_line(m, (struct sv){ text.p, end });
		text = sv_skip(text, end + 1);
	}
}

static void add_file(struct members *m)
{
	char path[CONF_TEXT_MAX + 1], *bytes = NULL;
	size_t len = 0;
	int err;

	if (!m->pool->destinations_file.len)
		return;
	snprintf(path, sizeof(path), "%.*s", SV_ARG(m->pool->destinations_file));
	at(m->r, m->pool->mark, "pools.%.*s.destinations-file", SV_ARG(m->pool->name));
	m->pool->destinations_stamp = conf_file_stamp(path); /* before it is read: what comes meanwhile is a change */
	err = reader_file(path, &bytes, &len);
	if (err == -ENOMEM)
		m->r->err = err;
	else if (err)
		note_error(m->r, "%s: %s", path, strerror(-err));
	else if (len > CONF_FILE_MAX)
		note_error(m->r, "%s: longer than 4 MiB", path);
	else
		read_lines(m, (struct sv){ bytes, len });
	free(bytes);
}

/* Changes --------------------------------------------------------------------------------------------------------- */

bool conf_who_is(const struct conf_who *who, struct sv pool, struct sv name)
{
	return sv_eq(sv_from(who->pool), pool) && sv_eq(sv_from(who->name), name);
}

static bool is_here(const struct members *m, const struct conf_who *who)
{
	return sv_eq(sv_from(who->pool), m->pool->name);
}

static void change(struct members *m, const struct conf_change *c)
{
	struct sv name = sv_from(c->who.name);
	struct conf_destination *d = member_find(m, name);

	at(m->r, (struct conf_mark){ 0 }, "sbcctl's change of %s/%s", c->who.pool, c->who.name);
	if (c->kind == CHANGE_ADD && d)
		note_warning(m->r, "the file has this destination now: what was added by hand is not used (sbcctl forget %s/%s)",
		             c->who.pool, c->who.name);
	else if (c->kind != CHANGE_ADD && !d)
		note_warning(m->r, "there is no such destination any more: it changes nothing (sbcctl forget %s/%s)", c->who.pool,
		             c->who.name);
	else if (c->kind == CHANGE_ADD && (d = member_read(m, reader_dup(m->r, name), reader_dup(m->r, sv_from(c->uri)))))
		d->weight = c->weight;
	else if (c->kind == CHANGE_WEIGHT)
		d->weight = c->weight;
	else if (c->kind == CHANGE_REMOVE)
		member_drop(m, d);
}

static void add_changes(struct members *m, const struct conf_live *live)
{
	static const uint8_t order[] = { CHANGE_REMOVE, CHANGE_ADD, CHANGE_WEIGHT };

	for (unsigned k = 0; k < sizeof(order); k++)
		for (unsigned i = 0; i < live->n_changes && !m->r->err; i++)
			if (live->changes[i].kind == order[k] && is_here(m, &live->changes[i].who))
				change(m, &live->changes[i]);
}

static void warn_of_lost_pools(struct reader *r, const struct conf_live *live)
{
	for (unsigned i = 0; i < live->n_changes; i++) {
		const struct conf_who *who = &live->changes[i].who;

		at(r, (struct conf_mark){ 0 }, "sbcctl's change of %s/%s", who->pool, who->name);
		if (conf_find_pool(r->conf, sv_from(who->pool)) < 0)
			note_warning(r, "there is no such pool any more: it changes nothing (sbcctl forget %s/%s)", who->pool, who->name);
	}
}

/* Addresses of names ---------------------------------------------------------------------------------------------- */

static const struct conf_addresses *addresses_of(const struct members *m, const struct conf_live *live, struct sv name)
{
	for (unsigned i = 0; live && i < live->n_addresses; i++)
		if (conf_who_is(&live->addresses[i].who, m->pool->name, name))
			return &live->addresses[i];
	return NULL;
}

/* NAME/192.0.2.1, NAME/[2001:db8::1]:5070: the port where it is not the usual one. */
static void add_address(struct members *m, const struct conf_destination *of, const struct addr *to, uint8_t transport, uint8_t tier)
{
	bool is_usual = to->port == scheme_port(transport);
	char text[ADDR_TEXT], host[ADDR_TEXT + 8], port[8] = "", uri[2 * ADDR_TEXT + 64], name[CONF_NAME_MAX + ADDR_TEXT + 16];
	struct conf_destination *d = member_new(m);

	if (!d)
		return;
	if (!is_usual)
		snprintf(port, sizeof(port), ":%u", to->port);
	snprintf(host, sizeof(host), to->family == 6 ? "[%s]" : "%s", addr_print_ip(to, text));
	snprintf(uri, sizeof(uri), "sip:%s%s;transport=%s", host, port, scheme_name(transport));
	snprintf(name, sizeof(name), "%.*s/%s%s", SV_ARG(of->name), is_usual ? text : host, port);
	if (member_find(m, sv_from(name)))
		return;
	*d = *of;
	d->name = reader_dup(m->r, sv_from(name));
	d->uri = reader_dup(m->r, sv_from(uri));
	d->host = reader_dup(m->r, sv_from(text));
	d->port = to->port;
	d->addr = *to;
	d->transport = transport;
	d->is_open = false;
	d->priority = (uint16_t)(of->priority + tier < UINT16_MAX ? of->priority + tier : UINT16_MAX);
	d->tls_name = conf_tls_name(of);
	d->is_numeric = true;
	d->is_address = true;
	m->n++;
}

/* The zone may have no listener of an address's family: nobody could get there. */
static bool can_reach(const struct reader *r, const struct conf_pool *p, uint8_t transport, const struct addr *to)
{
	const struct conf_zone *z = p->zone < r->conf->n_zones ? &r->conf->zones[p->zone] : NULL;

	for (unsigned i = 0; z && i < z->n_listeners; i++)
		if (z->listeners[i].transport == transport && z->listeners[i].bind.family == to->family)
			return true;
	return false;
}

/* In place of the name, once it is known what it leads to. */
static void expand(struct members *m, const struct conf_live *live)
{
	unsigned names = m->n, i = 0; /* behind them: addresses */

	while (i < names && !m->r->err) {
		struct conf_destination of = m->list[i];
		const struct conf_addresses *a = of.each_address && !of.is_numeric ? addresses_of(m, live, of.name) : NULL;
		unsigned before = m->n;

		for (unsigned k = 0; a && k < a->n && k < CONF_ADDRESSES_MAX && !m->r->err; k++) {
			uint8_t transport = a->transport[k] ? a->transport[k] : of.transport;

			if (can_reach(m->r, m->pool, transport, &a->addr[k]))
				add_address(m, &of, &a->addr[k], transport, a->tier[k]);
		}
		if (m->n > before) {
			member_drop(m, &m->list[i]);
			names--;
		} else {
			i++;
		}
	}
}

static struct conf_name name_of(const struct reader *r, const struct conf_pool *p, const struct conf_destination *d)
{
	const struct conf_zone none = { 0 }; /* it is said that there is no such zone */
	struct resolve_query q = conf_query_of(p->zone < r->conf->n_zones ? &r->conf->zones[p->zone] : &none, d);

	return (struct conf_name){ .pool = p->name, .name = d->name, .host = q.host, .port = q.port, .transport = q.transport,
		                   .transports = q.transports, .family = q.family };
}

/* Those whose addresses somebody has to ask for. */
static void keep_names(struct reader *r, struct members *m)
{
	struct conf *c = r->conf;

	for (unsigned i = 0; i < m->n && !r->err; i++) {
		const struct conf_destination *d = &m->list[i];

		if (!d->each_address || d->is_numeric)
			continue;
		at(r, d->mark, "pools.%.*s: %.*s", SV_ARG(m->pool->name), SV_ARG(d->name));
		if (d->name.len > CONF_EACH_NAME_MAX)
			note_error(r, "with each-address a name has at most %d characters: NAME/ADDRESS has to be one, too",
			           CONF_EACH_NAME_MAX);
		if (c->n_names == CONF_NAMES_MAX) {
			note_error(r, "more than %d destinations with each-address", CONF_NAMES_MAX);
			return;
		}
		if (!c->names && !(c->names = reader_alloc(r, CONF_NAMES_MAX * sizeof(*c->names))))
			return;
		c->names[c->n_names++] = name_of(r, m->pool, d);
	}
}

/* Who leaves ------------------------------------------------------------------------------------------------------ */

/* Weight 0 is what keeps new calls away. */
static void add_leaving(struct members *m, const struct conf_leaving *l)
{
	struct conf_destination *d;

	if (member_find(m, sv_from(l->who.name)))
		return;
	at(m->r, (struct conf_mark){ 0 }, "pools.%s: %s, which leaves", l->who.pool, l->who.name);
	if (!(d = member_new(m)))
		return;
	reader_defaults(m->r, destination_row(), d);
	if (!set_key(m, d, SV("uri"), reader_dup(m->r, sv_from(l->uri))))
		return;
	d->name = reader_dup(m->r, sv_from(l->who.name));
	d->weight = 0;
	d->is_leaving = true;
	m->n++;
}

/* The whole ------------------------------------------------------------------------------------------------------- */

static void gather_members(struct reader *r, struct conf_pool *pool)
{
	struct members m = { .r = r, .pool = pool, .list = pool->destinations, .n = pool->n_destinations,
		             .room = pool->n_destinations };
	unsigned errors = r->notes->errors;

	add_file(&m);
	if (r->live)
		add_changes(&m, r->live);
	keep_names(r, &m);
	if (!m.n && r->notes->errors == errors) {
		at(r, pool->mark, "pools.%.*s", SV_ARG(pool->name));
		note_error(r, "no destination is left: a pool has at least one");
	}
	expand(&m, r->live);
	for (unsigned i = 0; r->live && i < r->live->n_leaving && !r->err; i++)
		if (is_here(&m, &r->live->leaving[i].who))
			add_leaving(&m, &r->live->leaving[i]);
	pool->destinations = m.list;
	pool->n_destinations = m.n;
}

void members_gather(struct reader *r)
{
	if (r->notes->errors)
		return; /* what could not be read is said already */
	for (unsigned i = 0; i < r->conf->n_pools && !r->err; i++)
		gather_members(r, &r->conf->pools[i]);
	if (r->live)
		warn_of_lost_pools(r, r->live);
	r->path_len = 0;
	r->path[0] = '\0';
}
