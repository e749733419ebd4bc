/* conf/tls.c - certificates, keys and whom to believe, out of the files that zones name. Read when the snapshot is made, on the control
 * thread; a snapshot that only something else has changed in takes them from the one before (live.h). */
#include "conf/reader.h"
#include "transports/net.h"
#include "transports/tls.h"
#include <errno.h>
#include <stdarg.h>
#include <time.h>

enum { DAY_S = 86400 };

/* Rows of the schema ---------------------------------------------------------------------------------------------- */

static struct conf_path path_here(const struct reader *r, const struct value *v)
{
	return (struct conf_path){ v->text, r->mark };
}

void on_cert_open(struct reader *r, void *into)
{
	((struct conf_cert *)into)->mark = r->mark;
}

void on_cert_file(struct reader *r, const struct value *v, void *into)
{
	((struct conf_cert *)into)->cert = path_here(r, v);
}

void on_cert_key(struct reader *r, const struct value *v, void *into)
{
	((struct conf_cert *)into)->key = path_here(r, v);
}

void on_cert_ocsp(struct reader *r, const struct value *v, void *into)
{
	((struct conf_cert *)into)->ocsp = path_here(r, v);
}

static void take_ciphers(struct reader *r, const struct value *v, struct conf_tls *t)
{
	t->ciphers = v->text;
	t->ciphers_mark = r->mark;
}

void on_tls_version(struct reader *r, const struct value *v, void *into)
{
	(void)r;
	((struct conf_zone *)into)->tls_options.min_version = (uint8_t)(v->number + 1);
}

void on_tls_ciphers(struct reader *r, const struct value *v, void *into)
{
	take_ciphers(r, v, &((struct conf_zone *)into)->tls_options);
}

void on_tls_verify_client(struct reader *r, const struct value *v, void *into)
{
	(void)r;
	((struct conf_zone *)into)->tls_options.verify_client = (uint8_t)(v->number + 1);
}

void on_tls_verify_server(struct reader *r, const struct value *v, void *into)
{
	(void)r;
	((struct conf_zone *)into)->trusts_servers = !v->number;
}

void on_tls_ca(struct reader *r, const struct value *v, void *into)
{
	((struct conf_zone *)into)->ca = path_here(r, v);
}

void on_tls_crl(struct reader *r, const struct value *v, void *into)
{
	((struct conf_zone *)into)->crl = path_here(r, v);
}

void on_listener_tls_version(struct reader *r, const struct value *v, void *into)
{
	(void)r;
	((struct conf_listener *)into)->tls_options.min_version = (uint8_t)(v->number + 1);
}

void on_listener_ciphers(struct reader *r, const struct value *v, void *into)
{
	take_ciphers(r, v, &((struct conf_listener *)into)->tls_options);
}

void on_listener_verify_client(struct reader *r, const struct value *v, void *into)
{
	(void)r;
	((struct conf_listener *)into)->tls_options.verify_client = (uint8_t)(v->number + 1);
}

/* Notes ----------------------------------------------------------------------------------------------------------- */

static void at(struct reader *r, struct conf_mark mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void at(struct reader *r, struct conf_mark mark, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->path, sizeof(r->path), fmt, args);
	va_end(args);
	r->mark = mark;
}

static void at_cert(struct reader *r, const struct conf_zone *z, const struct conf_cert *c, const char *key, struct conf_mark mark)
{
	at(r, mark, "zones.%.*s.tls[%u]%s", SV_ARG(z->name), (unsigned)(c - z->certs), key);
}

static const char *text_of(struct sv v, char out[CONF_TEXT_MAX + 1])
{
	snprintf(out, CONF_TEXT_MAX + 1, "%.*s", SV_ARG(v));
	return v.len ? out : NULL;
}

/* No fault of a file. */
static bool may_pass(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

static void say(struct reader *r, int err, struct sv file, const char *text)
{
	char word[72];

	if (may_pass(err))
		r->err = err;
	if (err != -ENOMEM)
		note_error(r, "%s %s", printable(file, word), text);
}

/* Certificates ---------------------------------------------------------------------------------------------------- */

static bool is_secure(const struct conf_listener *l)
{
	return l->is_active && transport_is_secure(l->transport);
}

static bool has_secure_listener(const struct conf_zone *z)
{
	for (unsigned i = 0; i < z->n_listeners; i++)
		if (is_secure(&z->listeners[i]))
			return true;
	return false;
}

static bool is_same_cert(const struct conf_cert *a, const struct conf_cert *b)
{
	return sv_eq(a->name, b->name) && sv_eq(a->cert.path, b->cert.path) && sv_eq(a->key.path, b->key.path) &&
	       sv_eq(a->ocsp.path, b->ocsp.path);
}

/* The same in the snapshot before. */
static const struct conf_cert *cert_before(const struct reader *r, const struct conf_zone *z, const struct conf_cert *c)
{
	const struct conf *now = r->live ? r->live->now : NULL;
	int zone = now ? conf_find_zone(now, z->name) : -1;

	for (unsigned i = 0; zone >= 0 && i < now->zones[zone].n_certs; i++)
		if (now->zones[zone].certs[i].loaded && is_same_cert(&now->zones[zone].certs[i], c))
			return &now->zones[zone].certs[i];
	return NULL;
}

static bool keeps(const struct reader *r)
{
	return r->live && r->live->now && !r->live->reads_certs;
}

/* An expired one is served, since it may be all there is, but takes nobody's place who is not. */
static void check_time(struct reader *r, const struct conf_zone *z, const struct conf_cert *c, const struct conf_cert *before)
{
	const struct tls_cert_info *info = tls_cert_info(c->loaded);
	int64_t left = info->until_s - (int64_t)time(NULL);
	bool was_good = before && tls_cert_info(before->loaded)->until_s > (int64_t)time(NULL);

	at_cert(r, z, c, ".cert", c->cert.mark);
	if (left <= 0 && was_good)
		note_error(r, "expired %ld days ago; the one it would replace is good", (long)(-left / DAY_S));
	else if (left <= 0)
		note_warning(r, "expired %ld days ago: clients will refuse it", (long)(-left / DAY_S));
	else if (left < TLS_EXPIRY_WARNING_DAYS * DAY_S)
		note_warning(r, "expires in %ld days", (long)(left / DAY_S));
	if (info->from_s > (int64_t)time(NULL))
		note_warning(r, "is not valid yet: clients will refuse it");
}

static void check_cert(struct reader *r, const struct conf_zone *z, const struct conf_cert *c, const struct conf_cert *before)
{
	const struct tls_cert_info *info = tls_cert_info(c->loaded);

	check_time(r, z, c, before);
	at_cert(r, z, c, ".name", c->mark);
	if (!info->covers_name)
		note_error(r, "the certificate is not for %.*s, and clients would refuse it; it is for: %s", SV_ARG(c->name),
		           *info->names ? info->names : info->subject);
	at_cert(r, z, c, ".key", c->key.mark);
	if (info->key_is_open)
		note_warning(r, "everybody on this host may read it: chmod 600");
}

static void load_cert(struct reader *r, const struct conf_zone *z, struct conf_cert *c)
{
	const struct conf_cert *before = cert_before(r, z, c);
	char cert[CONF_TEXT_MAX + 1], key[CONF_TEXT_MAX + 1], ocsp[CONF_TEXT_MAX + 1];
	struct tls_problem why;
	int err;

	if (!c->name.len || !c->cert.path.len || !c->key.path.len)
		return; /* said when it was read */
	if (before && keeps(r)) {
		c->loaded = tls_cert_get(before->loaded);
		return;
	}
	err = tls_cert_new(&c->loaded, &(struct tls_cert_files){ c->name, text_of(c->cert.path, cert), text_of(c->key.path, key),
	                                                         text_of(c->ocsp.path, ocsp) }, &why);
	if (!err) {
		check_cert(r, z, c, before);
	} else if (why.file == TLS_CERT) {
		at_cert(r, z, c, ".cert", c->cert.mark);
		say(r, err, c->cert.path, why.text);
	} else {
		const struct conf_path *p = why.file == TLS_KEY ? &c->key : &c->ocsp;

		at_cert(r, z, c, why.file == TLS_KEY ? ".key" : ".ocsp", p->mark);
		say(r, err, p->path, why.text);
	}
}

/* Settings -------------------------------------------------------------------------------------------------------- */

/* What counts for this listener, its own or its zone's; without one: for what the zone dials. */
static struct conf_tls options_of(const struct conf_zone *z, const struct conf_listener *l)
{
	const struct conf_tls *all = &z->tls_options, *own = l ? &l->tls_options : all;

	return (struct conf_tls){
		.min_version = own->min_version ? own->min_version : all->min_version,
		.verify_client = own->verify_client ? own->verify_client : all->verify_client,
		.ciphers = own->ciphers.len ? own->ciphers : all->ciphers,
	};
}

static uint8_t version_of(const struct conf_tls *o)
{
	return o->min_version ? o->min_version - 1 : TLS_1_2;
}

static uint8_t verify_client_of(const struct conf_tls *o)
{
	return o->verify_client ? o->verify_client - 1 : TLS_VERIFY_NONE;
}

bool tls_asks_clients(const struct conf_zone *z)
{
	for (unsigned i = 0; i < z->n_listeners; i++) {
		struct conf_tls o = options_of(z, &z->listeners[i]);

		if (is_secure(&z->listeners[i]) && verify_client_of(&o) != TLS_VERIFY_NONE)
			return true;
	}
	return false;
}

bool tls_begins_alike(const struct conf_zone *z, const struct conf_listener *a, const struct conf_listener *b)
{
	struct conf_tls x = options_of(z, a), y = options_of(z, b);

	return version_of(&x) == version_of(&y) && verify_client_of(&x) == verify_client_of(&y) && sv_eq(x.ciphers, y.ciphers);
}

/* Whom to believe ------------------------------------------------------------------------------------------------- */

/* In the snapshot before, or (the system's, which are many) in another zone of this one. */
static struct tls_trust *trust_before(const struct reader *r, const struct conf_zone *z)
{
	const struct conf *now = r->live ? r->live->now : NULL;
	int zone = keeps(r) ? conf_find_zone(now, z->name) : -1;

	if (zone >= 0 && now->zones[zone].believes && sv_eq(now->zones[zone].ca.path, z->ca.path) &&
	    sv_eq(now->zones[zone].crl.path, z->crl.path))
		return now->zones[zone].believes;
	for (const struct conf_zone *other = r->conf->zones; other < z; other++)
		if (other->believes && !other->ca.path.len && !z->ca.path.len && !other->crl.path.len && !z->crl.path.len)
			return other->believes;
	return NULL;
}

static void load_trust(struct reader *r, struct conf_zone *z)
{
	struct tls_trust *before = trust_before(r, z);
	char ca[CONF_TEXT_MAX + 1], crl[CONF_TEXT_MAX + 1];
	struct tls_problem why;
	int err;

	if (before) {
		z->believes = tls_trust_get(before);
		return;
	}
	err = tls_trust_new(&z->believes, text_of(z->ca.path, ca), text_of(z->crl.path, crl), &why);
	if (!err)
		return;
	if (why.file == TLS_CA && !z->ca.path.len && !may_pass(err)) {
		at(r, z->mark, "zones.%.*s", SV_ARG(z->name));
		note_warning(r, "the system believes nobody (install ca-certificates, or write tls-options: { ca: FILE }): no connection "
		                "is made over TLS");
		return;
	}
	at(r, why.file == TLS_CA ? z->ca.mark : z->crl.mark, "zones.%.*s.tls-options.%s", SV_ARG(z->name),
	   why.file == TLS_CA ? "ca" : "crl");
	say(r, err, why.file == TLS_CA ? z->ca.path : z->crl.path, why.text);
}

/* What connections begin with ------------------------------------------------------------------------------------- */

static void make(struct reader *r, const struct conf_zone *z, const struct conf_listener *l, struct tls_context **out)
{
	const struct conf_tls *own = l ? &l->tls_options : &z->tls_options, o = options_of(z, l);
	struct tls_cert *certs[CONF_CERTS_MAX];
	char ciphers[CONF_TEXT_MAX + 1], why[256];
	struct tls_context_params p = {
		.is_server = l, .min_version = version_of(&o), .ciphers = text_of(o.ciphers, ciphers), .certs = certs,
		.verify = l ? verify_client_of(&o) : z->trusts_servers ? TLS_VERIFY_NONE : TLS_VERIFY_REQUIRE, .trust = z->believes,
	};
	int err;

	for (; p.n_certs < z->n_certs; p.n_certs++)
		certs[p.n_certs] = z->certs[p.n_certs].loaded;
	if (!(err = tls_context_new(out, &p, why, sizeof(why))))
		return;
	at(r, own->ciphers.len ? own->ciphers_mark : l ? l->mark : z->mark, "zones.%.*s.%s", SV_ARG(z->name), l ? "listen" : "tls-options");
	say(r, err, l ? l->text : SV("tls"), why);
}

/* Whoever may be verified by nobody's word is let in by anybody's. */
static bool check_zone(struct reader *r, const struct conf_zone *z)
{
	at(r, z->mark, "zones.%.*s.tls", SV_ARG(z->name));
	if (!z->n_certs)
		note_error(r, "a tls or wss listener needs a certificate: tls: [{ name: sip.example.com, cert: FILE, key: FILE }]");
	else if (tls_asks_clients(z) && !z->ca.path.len)
		note_error(r, "verify-client needs tls-options: { ca: FILE }: else whoever any public authority knows would come in");
	else
		return true;
	return false;
}

/* One that could not be read has a note. */
static bool has_all(const struct conf_zone *z)
{
	for (unsigned i = 0; i < z->n_certs; i++)
		if (!z->certs[i].loaded)
			return false;
	return true;
}

static void load_zone(struct reader *r, struct conf_zone *z)
{
	unsigned errors = r->notes->errors;

	if (!has_secure_listener(z)) {
		at(r, z->mark, "zones.%.*s.tls", SV_ARG(z->name));
		if (z->n_certs && !errors)
			note_warning(r, "no tls or wss listener shows these certificates");
		return;
	}
	if (!check_zone(r, z))
		return;
	for (unsigned i = 0; i < z->n_certs && !r->err; i++)
		load_cert(r, z, &z->certs[i]);
	if (!r->err && (!z->trusts_servers || tls_asks_clients(z)))
		load_trust(r, z);
	if (r->err || r->notes->errors > errors || !has_all(z))
		return;
	for (unsigned i = 0; i < z->n_listeners && !r->err; i++)
		if (is_secure(&z->listeners[i]))
			make(r, z, &z->listeners[i], &z->listeners[i].tls);
	/* Without anybody to believe nobody is dialled: verifying nobody has to be written. */
	if (!r->err && (z->believes || z->trusts_servers) && r->notes->errors == errors)
		make(r, z, NULL, &z->dials);
}

static uint64_t stamp_of(struct sv path)
{
	char text[CONF_TEXT_MAX + 1];

	return path.len ? conf_file_stamp(text_of(path, text)) : 0;
}

uint64_t conf_certs_stamp(const struct conf *c)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < c->n_zones; i++) {
		const struct conf_zone *z = &c->zones[i];

		if (!has_secure_listener(z))
			continue;
		for (unsigned j = 0; j < z->n_certs; j++)
			all = all * 31 + stamp_of(z->certs[j].cert.path) * 7 + stamp_of(z->certs[j].key.path) * 3 +
			      stamp_of(z->certs[j].ocsp.path);
		all = all * 31 + stamp_of(z->ca.path) * 3 + stamp_of(z->crl.path);
	}
	return all;
}

/* The files are looked at before they are read: what is written meanwhile is news. */
void conf_tls(struct reader *r)
{
	r->conf->certs_stamp = keeps(r) ? r->live->now->certs_stamp : conf_certs_stamp(r->conf);
	for (unsigned i = 0; i < r->conf->n_zones && !r->err; i++)
		load_zone(r, &r->conf->zones[i]);
}

void conf_tls_free(struct conf *c)
{
	for (unsigned i = 0; i < c->n_zones; i++) {
		struct conf_zone *z = &c->zones[i];

		for (unsigned j = 0; j < z->n_certs; j++)
			tls_cert_put(z->certs[j].loaded);
		for (unsigned j = 0; j < z->n_listeners; j++)
			tls_context_put(z->listeners[j].tls);
		tls_trust_put(z->believes);
		tls_context_put(z->dials);
	}
}
