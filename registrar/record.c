#include "registrar/record.h"
#include "base/tlv.h"
#include "registrar/inside.h"
#include "registrar/register.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSION = 1, RECORD_MAX = 524288, RECORD_BINDINGS_MAX = 64 };

enum aor_field { AOR_VERSION = 1, AOR_USER, AOR_HOST, AOR_BINDING };
enum binding_field {
	BINDING_ID = 1, BINDING_CONTACT, BINDING_PARAMS, BINDING_ROUTES, BINDING_Q, BINDING_LEFT, BINDING_CALL_ID,
	BINDING_CSEQ, BINDING_REG_ID, BINDING_LISTENER, BINDING_REMOTE, BINDING_SERVICE, BINDING_PROOF, BINDING_FRONTED,
	BINDING_FIELDS,
};

/* Writing ---------------------------------------------------------------------------------------------------------- */

struct export {
	const struct registrar *r;
	const struct conf *conf;
	struct registrar_sink *sink;
	char *area;
};

static void put_binding(struct tlv_out *o, const struct export *e, const struct binding *b)
{
	uint64_t now = e->r->p.wheel->now_ms;
	size_t place = tlv_begin(o, AOR_BINDING);
	char text[ADDR_TEXT];

	tlv_put_u64(o, BINDING_ID, b->by_id.key);
	tlv_put(o, BINDING_CONTACT, binding_contact(b));
	tlv_put(o, BINDING_PARAMS, binding_params(b));
	tlv_put(o, BINDING_ROUTES, binding_routes(b));
	if (b->service_len)
		tlv_put(o, BINDING_SERVICE, binding_service(b));
	if (b->has_q)
		tlv_put_u64(o, BINDING_Q, b->q + 1u);
	tlv_put_u64(o, BINDING_LEFT, b->expires_ms > now ? b->expires_ms - now : 0);
	tlv_put_u64(o, BINDING_CALL_ID, b->call_id);
	tlv_put_u64(o, BINDING_CSEQ, b->cseq);
	tlv_put_u64(o, BINDING_REG_ID, b->reg_id);
	if (b->fronted_ms > now) {
		tlv_put_u64(o, BINDING_PROOF, b->proof);
		tlv_put_u64(o, BINDING_FRONTED, b->fronted_ms - now);
	}
	tlv_put(o, BINDING_LISTENER, e->conf->listeners[b->path.listener].text);
	tlv_put(o, BINDING_REMOTE, sv_from(addr_print(&b->path.remote, text)));
	tlv_end(o, place);
}

static bool export_aor(void *ctx, struct registration *a)
{
	struct export *e = ctx;
	struct tlv_out o;

	tlv_init(&o, e->area, RECORD_MAX);
	tlv_put_u64(&o, AOR_VERSION, VERSION);
	tlv_put(&o, AOR_USER, registration_user(a));
	tlv_put(&o, AOR_HOST, registration_host(a));
	for (struct binding *b = NULL; (b = registration_next(a, b));)
		put_binding(&o, e, b);
	if (!o.is_full) /* cannot be: there is room for as many bindings as an AOR may have, each as long as it may be */
		e->sink->put(e->sink, a->in_table.key, (struct sv){ e->area, o.len });
	return true;
}

int registrar_export(const struct registrar *r, const struct conf *c, struct registrar_sink *sink)
{
	struct export e = { .r = r, .conf = c, .sink = sink, .area = malloc(RECORD_MAX) };

	if (!e.area)
		return -ENOMEM;
	registrar_each(r, export_aor, &e);
	free(e.area);
	return 0;
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

/* Is `host` one, in the form that aor_parse() gives it? */
static bool host_is_canonical(struct sv host)
{
	bool is_ip6 = sv_chr(host, ':') < host.len;
	char room[AOR_TEXT_MAX + 16];
	struct aor aor;
	int n = snprintf(room, sizeof(room), is_ip6 ? "sip:x@[%.*s]" : "sip:x@%.*s", SV_ARG(host));

	return n > 0 && (size_t)n < sizeof(room) && aor_parse(&aor, (struct sv){ room, (size_t)n }) == 0 && sv_eq(aor_host(&aor), host);
}

static int read_aor(struct sv record, struct aor *aor)
{
	struct sv rest = record, bytes, user = SV(""), host = SV("");
	uint64_t version = 0;
	uint8_t field;
	int err;

	while ((err = tlv_next(&rest, &field, &bytes)) == 0) {
		if (field == AOR_VERSION)
			version = tlv_u64(bytes);
		else if (field == AOR_USER)
			user = bytes;
		else if (field == AOR_HOST)
			host = bytes;
	}
	if (err != -ENOENT || version != VERSION || !user.len || user.len + 1 + host.len > AOR_TEXT_MAX || !host_is_canonical(host))
		return -EBADMSG;
	memcpy(aor->text, user.p, user.len);
	aor->text[user.len] = '@';
	memcpy(aor->text + user.len + 1, host.p, host.len);
	aor->user_len = (uint16_t)user.len;
	aor->len = (uint16_t)(user.len + 1 + host.len);
	return 0;
}

static int find_listener(const struct conf *c, struct sv text)
{
	for (unsigned i = 0; i < c->n_listeners; i++)
		if (c->listeners[i].is_active && sv_eq(c->listeners[i].text, text))
			return (int)i;
	return -1;
}

static int fields_read(struct sv f[BINDING_FIELDS], struct sv bytes)
{
	struct sv one;
	uint8_t field;
	int err;

	memset(f, 0, BINDING_FIELDS * sizeof(f[0]));
	while ((err = tlv_next(&bytes, &field, &one)) == 0)
		if (field < BINDING_FIELDS)
			f[field] = one;
	return err == -ENOENT ? 0 : -EBADMSG;
}

static bool has_controls(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
			return true;
	return false;
}

/* Parameters as read_params() of register.c writes them; says where the instance is. */
static bool params_are_good(struct sv params, struct binding_text *t)
{
	struct sv rest = params, name, value;

	while (param_next(&rest, &name, &value)) {
		if (!sv_ieq(name, SV("+sip.instance")) || value.len <= 2)
			continue;
		t->instance_at = (uint16_t)(value.p - params.p);
		t->instance_len = (uint16_t)value.len;
	}
	return !rest.len && params.len <= REGISTER_PARAMS_MAX && !has_controls(params);
}

static bool routes_are_good(struct sv routes)
{
	struct sv rest = routes;
	struct name_addr na;
	struct uri u;
	int err;

	while ((err = name_addr_next(&na, &rest)) == 0)
		if (na.is_star || uri_parse(&u, na.uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
			return false;
	return err == -ENOENT && routes.len <= REGISTER_TEXT_MAX / 2 && !has_controls(routes);
}

static int read_text(const struct sv f[BINDING_FIELDS], struct binding_text *t)
{
	struct uri u;

	*t = (struct binding_text){ .contact = f[BINDING_CONTACT], .params = f[BINDING_PARAMS], .routes = f[BINDING_ROUTES],
	                            .service = f[BINDING_SERVICE] };
	if (t->contact.len > REGISTER_CONTACT_MAX || uri_parse(&u, t->contact) || (u.scheme != URI_SIP && u.scheme != URI_SIPS) ||
	    !params_are_good(t->params, t) || !routes_are_good(t->routes) || !routes_are_good(t->service))
		return -EBADMSG;
	return 0;
}

static int read_path(const struct conf *c, const struct sv f[BINDING_FIELDS], struct path *path)
{
	int listener = find_listener(c, f[BINDING_LISTENER]);

	*path = (struct path){ 0 };
	if (addr_parse(&path->remote, f[BINDING_REMOTE]) || !path->remote.port)
		return -EBADMSG;
	if (listener < 0)
		return -ENOENT;
	if (c->listeners[listener].bind.family != path->remote.family)
		return -EBADMSG;
	path->listener = (uint16_t)listener;
	path->transport = c->listeners[listener].transport;
	return 0;
}

/* A binding that nobody knows of yet. 0; -ENOENT: nothing is left of it; or an error. */
static int read_binding(struct registrar *r, const struct conf *c, struct sv bytes, struct binding **out)
{
	struct sv f[BINDING_FIELDS];
	struct binding_text text;
	struct binding *b;
	struct path path;
	uint64_t left, q, fronted;
	int err;

	if (fields_read(f, bytes) || !tlv_u64(f[BINDING_ID]) || read_text(f, &text))
		return -EBADMSG;
	left = tlv_u64(f[BINDING_LEFT]);
	q = tlv_u64(f[BINDING_Q]);
	fronted = tlv_u64(f[BINDING_FRONTED]);
	if (left > REGISTER_GRANTED_MAX_MS || fronted > REGISTER_GRANTED_MAX_MS || q > 1001 || tlv_u64(f[BINDING_CSEQ]) > UINT32_MAX ||
	    tlv_u64(f[BINDING_REG_ID]) > INT32_MAX)
		return -EBADMSG;
	if ((err = read_path(c, f, &path)))
		return err;
	if (!left)
		return -ENOENT;
	if (!(b = binding_new(r)))
		return -ENOMEM;
	if ((err = binding_set_text(r, b, &text))) {
		binding_free(r, b);
		return err;
	}
	b->by_id.key = tlv_u64(f[BINDING_ID]);
	b->expires_ms = r->p.wheel->now_ms + left;
	b->path = path;
	b->call_id = tlv_u64(f[BINDING_CALL_ID]);
	b->cseq = (uint32_t)tlv_u64(f[BINDING_CSEQ]);
	b->reg_id = text.instance_len ? (uint32_t)tlv_u64(f[BINDING_REG_ID]) : 0;
	b->is_outbound = b->reg_id != 0;
	b->has_q = q != 0;
	b->proof = tlv_u64(f[BINDING_PROOF]);
	b->fronted_ms = fronted ? r->p.wheel->now_ms + fronted : 0;
	b->q = q ? (uint16_t)(q - 1) : 1000;
	*out = b;
	return 0;
}

struct apply {
	struct binding *of[RECORD_BINDINGS_MAX];
	unsigned n;
};

static bool is_double(const struct registrar *r, const struct apply *all, uint64_t id)
{
	for (unsigned i = 0; i < all->n; i++)
		if (all->of[i]->by_id.key == id)
			return true;
	return registrar_binding(r, id) != NULL;
}

static int read_bindings(struct registrar *r, const struct conf *c, struct sv record, struct apply *all)
{
	struct sv rest = record, bytes;
	uint8_t field;

	while (tlv_next(&rest, &field, &bytes) == 0) {
		struct binding *b = NULL;
		int err;

		if (field != AOR_BINDING)
			continue;
		if ((err = read_binding(r, c, bytes, &b)) == -ENOENT)
			continue;
		if (err)
			return err;
		if (all->n == RECORD_BINDINGS_MAX || is_double(r, all, b->by_id.key)) {
			binding_free(r, b);
			return -EBADMSG;
		}
		all->of[all->n++] = b;
	}
	return 0;
}

static void link_bindings(struct registrar *r, const struct conf *c, struct registration *a, const struct apply *all)
{
	const struct conf_registrar *domain = conf_find_registrar(c, registration_host(a));
	uint64_t grace_end = r->p.wheel->now_ms + domain->flow_grace_ms;

	for (unsigned i = 0; i < all->n; i++) {
		struct binding *b = all->of[i];

		binding_link(r, a, b, b->by_id.key);
		binding_until(r, b, b->expires_ms);
		b->is_flow_lost = transport_is_stream(b->path.transport);
		if (b->is_flow_lost && grace_end < b->expires_ms)
			wheel_arm(r->p.wheel, &b->timer, grace_end);
		if (r->p.on_new)
			r->p.on_new(r->p.ctx, b);
	}
}

uint16_t registrar_record_shard(const struct registrar *r, struct sv record)
{
	struct aor aor;

	return read_aor(record, &aor) ? 0 : aor_shard(aor_key(r->p.key, &aor));
}

int registrar_apply(struct registrar *r, const struct conf *c, struct sv record)
{
	struct registration *a = NULL;
	struct apply all = { .n = 0 };
	struct aor aor;
	uint64_t key;
	int err;

	if (read_aor(record, &aor))
		return -EBADMSG;
	key = aor_key(r->p.key, &aor);
	if (!conf_find_registrar(c, aor_host(&aor)))
		return 0;
	if (registrar_find(r, key))
		return -EEXIST;
	if ((err = read_bindings(r, c, record, &all)) || !all.n)
		goto out;
	err = -ENOMEM;
	if (!(a = registration_new(r, &aor, key)))
		goto out;
	if ((err = registration_link(r, a)) == 0) {
		link_bindings(r, c, a, &all);
		return 0;
	}
	registration_free(r, a);
out:
	for (unsigned i = 0; i < all.n; i++)
		binding_free(r, all.of[i]);
	return err;
}
