/* conf/registrar.c - domains whose registrations end or pass here. */
#include <stdlib.h>
#include "conf/reader.h"

void on_registrar_open(struct reader *r, void *into)
{
	struct conf_registrar *reg = into;

	reg->mark = r->key_mark;
	reg->auth = AUTH_USERS; /* until it is read that nobody is asked */
	reg->pool = -1;
}

void on_registrar_pool(struct reader *r, const struct value *v, void *into)
{
	struct conf_registrar *reg = into;

	(void)r;
	reg->pool = (int)v->number;
}

void on_registrar_open_to_all(struct reader *r, const struct value *v, void *into)
{
	struct conf_registrar *reg = into;

	(void)v;
	reg->auth = AUTH_NONE;
	note_warning(r, "whoever asks is registered: nobody has to say who they are");
}

void on_registrar_done(struct reader *r, void *into)
{
	struct conf_registrar *reg = into;

	if (reg->expires.min_ms > reg->expires.max_ms)
		note_error(r, "expires: min is longer than max: nobody could register");
	if (reg->mode == REGISTRAR_LOCAL && reg->pool >= 0)
		note_error(r, "pool: has no meaning with `mode: local`");
	if (reg->mode != REGISTRAR_LOCAL && reg->pool < 0)
		note_error(r, "`pool:` is missing: where the registrar behind us is");
	if (reg->mode != REGISTRAR_LOCAL)
		note_warning(r, "mode: pass and front: not active in this version");
}

/* Lower case; without a dot at the end (RFC 1034 §3.1). */
static int compare(struct sv a, struct sv b)
{
	a.len -= a.len > 1 && a.p[a.len - 1] == '.';
	b.len -= b.len > 1 && b.p[b.len - 1] == '.';
	for (size_t i = 0; i < a.len && i < b.len; i++) {
		int x = (uint8_t)a.p[i], y = (uint8_t)b.p[i];

		x |= x >= 'A' && x <= 'Z' ? 0x20 : 0;
		y |= y >= 'A' && y <= 'Z' ? 0x20 : 0;
		if (x != y)
			return x - y;
	}
	return a.len < b.len ? -1 : a.len > b.len;
}

static int by_domain(const void *a, const void *b)
{
	return compare(((const struct conf_registrar *)a)->domain, ((const struct conf_registrar *)b)->domain);
}

static int of_host(const void *host, const void *b)
{
	return compare(*(const struct sv *)host, ((const struct conf_registrar *)b)->domain);
}

void registrars_sort(struct reader *r)
{
	struct conf *c = r->conf;
	char word[72];

	if (!c->n_registrars)
		return;
	qsort(c->registrars, c->n_registrars, sizeof(*c->registrars), by_domain);
	for (unsigned i = 1; i < c->n_registrars; i++) {
		if (by_domain(&c->registrars[i - 1], &c->registrars[i]) != 0)
			continue;
		r->mark = c->registrars[i].mark;
		note_error(r, "registrar: domain %s stands here twice", printable(c->registrars[i].domain, word));
	}
}

const struct conf_registrar *conf_find_registrar(const struct conf *c, struct sv host)
{
	return c->n_registrars ? bsearch(&host, c->registrars, c->n_registrars, sizeof(*c->registrars), of_host) : NULL;
}
