/* conf/registrar.c - domains whose registrations end or pass here. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
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

/* It is read later, and again and again: that it is not there now is no fault of this file. */
void on_users_file(struct reader *r, const struct value *v, void *into)
{
	struct conf_registrar *reg = into;
	char name[CONF_TEXT_MAX + 1], word[72];

	reg->users_file = v->text;
	memcpy(name, v->text.p, v->text.len);
	name[v->text.len] = '\0';
	if (access(name, R_OK))
		note_warning(r, "%s cannot be read now: nobody can register", printable(v->text, word));
}

static struct sv without_end(struct sv line)
{
	while (line.len && (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
		line.len--;
	return line;
}

struct sv secret_read(struct reader *r, struct sv path)
{
	char name[CONF_TEXT_MAX + 1], text[CONF_TEXT_MAX];
	ssize_t got = -1;
	int fd;

	text[0] = '\0';
	memcpy(name, path.p, path.len);
	name[path.len] = '\0';
	if ((fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) >= 0) {
		got = read(fd, text, sizeof(text));
		close(fd);
	}
	return reader_dup(r, without_end((struct sv){ text, got > 0 ? (size_t)got : 0 }));
}

void on_auth_algorithm(struct reader *r, const struct value *v, void *into)
{
	struct conf_registrar *reg = into;

	(void)r;
	reg->algorithms |= (uint8_t)(1u << v->number); /* in the order of enum conf_digest */
}

void on_user_secret(struct reader *r, const struct value *v, void *into)
{
	struct conf_user *user = into;

	user->secret = v->is_path ? secret_read(r, v->text) : v->text;
	if (!user->secret.len || sv_chr(user->secret, '\n') < user->secret.len || sv_chr(user->secret, '\0') < user->secret.len)
		note_error(r, "there is no password in it: one line");
	if (user->name.len > CONF_USER_MAX)
		note_error(r, "a user's name has at most %d bytes", CONF_USER_MAX);
}

bool is_realm(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f || strchr("\"\\:", v.p[i]))
			return false;
	return v.len && v.len <= CONF_REALM_MAX;
}

static void check_auth(struct reader *r, struct conf_registrar *reg)
{
	if (!reg->asks)
		return;
	if (reg->users_file.len ? reg->n_users : !reg->n_users && !r->notes->errors)
		note_error(r, "auth: users stand in one place: write `users: FILE` or `inline: { NAME: PASSWORD }`");
	if (!reg->algorithms)
		reg->algorithms = CONF_MD5 | CONF_SHA256;
	if (!reg->realm.len)
		reg->realm = reg->domain;
	else if (!is_realm(reg->realm))
		note_error(r, "auth: a realm has at most %d bytes, no quotes, backslashes and colons", CONF_REALM_MAX);
}

void on_registrar_done(struct reader *r, void *into)
{
	struct conf_registrar *reg = into;

	check_auth(r, reg);
	if (reg->mode != REGISTRAR_LOCAL && !reg->asks)
		reg->auth = AUTH_NONE;
	if (reg->expires.min_ms > reg->expires.max_ms)
		note_error(r, "expires: min is longer than max: nobody could register");
	if (reg->mode == REGISTRAR_LOCAL && reg->pool >= 0)
		note_error(r, "pool: has no meaning with `mode: local`");
	if (reg->mode != REGISTRAR_LOCAL && reg->pool < 0)
		note_error(r, "`pool:` is missing: where the registrar behind us is");
	if (reg->mode == REGISTRAR_LOCAL && !reg->asks && reg->auth != AUTH_NONE)
		note_error(r, "`auth:` is missing: users, or `none`");
	if (reg->front.client_ms * 2 > reg->front.upstream_ms)
		note_error(r, "front: `upstream` has to be twice `client` at least: what the registrar behind us hears less often");
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

bool conf_has_realm(const struct conf *c, struct sv realm)
{
	for (unsigned i = 0; i < c->n_registrars; i++)
		if (conf_has_users(&c->registrars[i]) && sv_eq(c->registrars[i].realm, realm))
			return true;
	return false;
}
