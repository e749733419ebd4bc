#include "registrar/inside.h"
#include <errno.h>
#include <stdlib.h>

enum { FLOW_PARTS = 32 };      /* keys under which the bindings of one connection stand */

const struct counter_def registrar_counter_defs[REGISTRAR_COUNTERS] = {
	[BINDINGS_NOW] = { "bindings", "Registered contacts held now", true },
	[AORS_NOW] = { "registered_aors", "Addresses of record with at least one contact", true },
	[BINDINGS_ADDED] = { "bindings_added_total", "Contacts registered that were not before", false },
	[BINDINGS_REFRESHED] = { "bindings_refreshed_total", "Contacts registered again", false },
	[BINDINGS_FRONTED] = { "bindings_fronted_total", "Refreshes that the registrar behind us did not hear of (`mode: front`)", false },
	[REGISTERS_REPEATED] = { "bindings_repeated_total", "Contacts in a REGISTER that had been heard before", false },
	[BINDINGS_EXPIRED] = { "bindings_expired_total", "Contacts that were not refreshed in time", false },
	[BINDINGS_REMOVED] = { "bindings_removed_total", "Contacts that their user removed", false },
	[BINDINGS_REPLACED] = { "bindings_replaced_total", "Contacts that went for a newer one of their AOR (`when-full: replace-oldest`)",
	                        false },
	[BINDINGS_FLOW_LOST] = { "bindings_flow_lost_total", "Contacts that went with their connection", false },
	[BINDINGS_SILENT] = { "bindings_silent_total", "Contacts that no longer answered keep-alives", false },
	[BINDINGS_BY_OPERATOR] = { "bindings_unregistered_total", "Contacts removed by `sbcctl unregister`", false },
	[BINDINGS_REFUSED] = { "bindings_refused_total", "Contacts refused because a bound was reached or memory was out", false },
};

static const uint8_t counter_of[] = {
	[GONE_EXPIRED] = BINDINGS_EXPIRED, [GONE_REMOVED] = BINDINGS_REMOVED, [GONE_REPLACED] = BINDINGS_REPLACED,
	[GONE_FLOW] = BINDINGS_FLOW_LOST, [GONE_SILENT] = BINDINGS_SILENT, [GONE_OPERATOR] = BINDINGS_BY_OPERATOR,
};

/* It is told of while all of it is still there. */
static void binding_leave(struct registrar *r, struct binding *b, enum gone why)
{
	if (r->p.on_gone)
		r->p.on_gone(r->p.ctx, b, why);
	wheel_disarm(r->p.wheel, &b->timer);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

int registrar_new(struct registrar **out, const struct registrar_params *p)
{
	struct registrar *r = calloc(1, sizeof(*r));
	size_t max = p->max_bindings ? p->max_bindings : REGISTRAR_BINDINGS_MAX;
	int err;

	if (!r)
		return -ENOMEM;
	r->p = *p;
	slab_init(&r->bindings, "binding", sizeof(struct binding) + p->extra, max);
	blocks_init(&r->texts);
	r->text_max = max * REGISTRAR_TEXT_EACH;
	if ((err = table_init(&r->aors, max)) || (err = table_init(&r->by_id, max)) || (err = table_init(&r->by_flow, max)) ||
	    (err = table_init(&r->domains, max)) ||
	    (err = counters_init(&r->counters, registrar_counter_defs, REGISTRAR_COUNTERS))) {
		registrar_free(r);
		return err;
	}
	*out = r;
	return 0;
}

/* All of an AOR goes, and nobody will look for it: the tables go with it. */
static bool drop(void *ctx, struct link *l)
{
	struct registration *a = owner_of(l, struct registration, in_table);
	struct registrar *r = ctx;

	for (struct binding *b = registration_next(a, NULL), *next; b; b = next) {
		next = registration_next(a, b);
		binding_leave(r, b, GONE_CLOSING);
		binding_free(r, b);
	}
	registration_free(r, a);
	return true;
}

void registrar_free(struct registrar *r)
{
	if (!r)
		return;
	if (r->counters.value)
		table_each(&r->aors, drop, r);
	table_fini(&r->aors);
	table_fini(&r->by_id);
	table_fini(&r->by_flow);
	table_fini(&r->domains);
	slab_fini(&r->bindings);
	blocks_fini(&r->texts);
	counters_fini(&r->counters);
	free(r);
}

/* Domains ---------------------------------------------------------------------------------------------------------- */

static struct registrar_domain *domain_get(struct registrar *r, struct sv name)
{
	uint64_t key = hash_bytes(r->p.key, name.p, name.len);
	struct link *l = table_find(&r->domains, key);
	struct registrar_domain *d = l ? owner_of(l, struct registrar_domain, in_table) : NULL;

	if (!d) {
		if (!(d = blocks_alloc(&r->texts, sizeof(*d) + name.len)))
			return NULL;
		*d = (struct registrar_domain){ .len = (uint16_t)name.len };
		memcpy(d->name, name.p, name.len);
		table_add(&r->domains, &d->in_table, key); /* its bound is that of the AORs */
	}
	d->n_aors++;
	return d;
}

static void domain_put(struct registrar *r, struct registrar_domain *d)
{
	if (--d->n_aors)
		return;
	table_del(&r->domains, &d->in_table);
	blocks_free(&r->texts, d, sizeof(*d) + d->len);
}

/* Registrations ---------------------------------------------------------------------------------------------------- */

struct registration *registrar_find(const struct registrar *r, uint64_t key)
{
	struct link *l = table_find(&r->aors, key);

	return l ? owner_of(l, struct registration, in_table) : NULL;
}

struct registration *registration_new(struct registrar *r, const struct aor *aor, uint64_t key)
{
	struct registration *a = blocks_alloc(&r->texts, sizeof(*a) + aor->len);

	if (!a)
		return NULL;
	*a = (struct registration){ .in_table = { .key = key }, .aor_len = aor->len, .user_len = aor->user_len };
	list_init(&a->bindings);
	memcpy(a->aor, aor->text, aor->len);
	if ((a->domain = domain_get(r, aor_host(aor))))
		return a;
	blocks_free(&r->texts, a, sizeof(*a) + a->aor_len);
	return NULL;
}

int registration_link(struct registrar *r, struct registration *a)
{
	int err = table_add(&r->aors, &a->in_table, a->in_table.key);

	counter_set(&r->counters, AORS_NOW, r->aors.count);
	return err;
}

void registration_free(struct registrar *r, struct registration *a)
{
	domain_put(r, a->domain);
	blocks_free(&r->texts, a, sizeof(*a) + a->aor_len);
}

static void registration_drop(struct registrar *r, struct registration *a)
{
	table_del(&r->aors, &a->in_table);
	counter_set(&r->counters, AORS_NOW, r->aors.count);
	registration_free(r, a);
}

/* Bindings --------------------------------------------------------------------------------------------------------- */

uint64_t registrar_binding_id(const struct registrar *r, uint64_t key, struct sv contact, struct sv instance, uint32_t reg_id)
{
	char number[SV_DECIMAL], aor[SV_HEX];
	bool has_flow = instance.len && reg_id;
	const struct sv parts[] = { sv_hex(key, aor), has_flow ? SV("instance") : SV("contact"), has_flow ? instance : contact,
		                    sv_decimal(has_flow ? reg_id : 0, number) };
	uint64_t id = hash_parts(r->p.key, parts, sizeof(parts) / sizeof(parts[0]));

	return id ? id : 1;
}

uint64_t registrar_call_id(const struct registrar *r, struct sv call_id)
{
	return hash_bytes(r->p.key, call_id.p, call_id.len);
}

struct binding *registrar_binding(const struct registrar *r, uint64_t id)
{
	struct link *l = table_find(&r->by_id, id);

	return l ? owner_of(l, struct binding, by_id) : NULL;
}


/* A binding finds its registrar by its slab. */
static struct registrar *registrar_of(struct binding *b)
{
	return owner_of(slab_of(b), struct registrar, bindings);
}

static void binding_fire(struct timer *t)
{
	struct binding *b = owner_of(t, struct binding, timer);

	registrar_remove(registrar_of(b), b, b->is_flow_lost ? GONE_FLOW : GONE_EXPIRED);
}

struct binding *binding_new(struct registrar *r)
{
	struct binding *b = slab_alloc(&r->bindings);

	if (!b)
		return NULL;
	b->q = 1000;
	b->timer.fire = binding_fire;
	list_init(&b->in_aor);
	return b;
}

char *binding_copy_text(struct registrar *r, const struct binding_text *t)
{
	const struct sv parts[] = { t->contact, t->params, t->routes, t->service };
	size_t size = binding_text_size(t);
	char *block = size <= r->text_max - r->text_bytes ? blocks_alloc(&r->texts, size) : NULL, *at = block;

	for (size_t i = 0; block && i < sizeof(parts) / sizeof(parts[0]); at += parts[i++].len)
		memcpy(at, parts[i].p ? parts[i].p : "", parts[i].len);
	r->text_bytes += block ? size : 0;
	return block;
}

void binding_drop_text(struct registrar *r, char *block, size_t size)
{
	r->text_bytes -= block ? size : 0;
	blocks_free(&r->texts, block, size);
}

void binding_take_text(struct registrar *r, struct binding *b, const struct binding_text *t, char *block)
{
	binding_drop_text(r, b->text, binding_text_len(b));
	b->text = block;
	b->contact_len = (uint16_t)t->contact.len;
	b->params_len = (uint16_t)t->params.len;
	b->routes_len = (uint16_t)t->routes.len;
	b->service_len = (uint16_t)t->service.len;
	b->instance_at = t->instance_at;
	b->instance_len = t->instance_len;
}

int binding_set_text(struct registrar *r, struct binding *b, const struct binding_text *t)
{
	char *block = binding_copy_text(r, t);

	if (!block)
		return -ENOMEM;
	binding_take_text(r, b, t, block);
	return 0;
}

/* One connection may carry a proxy's whole subscribers: so that none of its bindings has to be looked for among all of them, they stand
 * under several keys. */
static uint64_t key_over(uint64_t flow, uint64_t part)
{
	return flow_key(flow) + part % FLOW_PARTS * UINT64_C(0x9e3779b97f4a7c15);
}

void binding_set_path(struct registrar *r, struct binding *b, const struct path *path)
{
	if (b->path.flow)
		table_del(&r->by_flow, &b->by_flow);
	if (path->flow && !b->routes_len) /* else the connection is that of a proxy, and the contact does not go with it (RFC 3327 §5.4) */
		table_add(&r->by_flow, &b->by_flow, key_over(path->flow, b->by_id.key)); /* its bound is that of the bindings */
	b->aor->domain->by_transport[b->path.transport]--;
	b->aor->domain->by_transport[path->transport]++;
	b->path = *path;
	b->is_flow_lost = false;
}

void binding_until(struct registrar *r, struct binding *b, uint64_t expires_ms)
{
	b->expires_ms = expires_ms;
	wheel_arm(r->p.wheel, &b->timer, expires_ms);
}

void binding_link(struct registrar *r, struct registration *a, struct binding *b, uint64_t id)
{
	b->aor = a;
	list_push(&a->bindings, &b->in_aor);
	a->n++;
	a->domain->by_transport[b->path.transport]++;
	table_add(&r->by_id, &b->by_id, id); /* its bound is that of the bindings */
	counter_set(&r->counters, BINDINGS_NOW, r->by_id.count);
}

void binding_free(struct registrar *r, struct binding *b)
{
	binding_drop_text(r, b->text, binding_text_len(b));
	slab_free(&r->bindings, b);
}

void registrar_remove(struct registrar *r, struct binding *b, enum gone why)
{
	struct registration *a = b->aor;

	binding_leave(r, b, why);
	counter_inc(&r->counters, counter_of[why]);
	if (b->path.flow)
		table_del(&r->by_flow, &b->by_flow);
	table_del(&r->by_id, &b->by_id);
	counter_set(&r->counters, BINDINGS_NOW, r->by_id.count);
	list_del(&b->in_aor);
	a->domain->by_transport[b->path.transport]--;
	binding_free(r, b);
	if (--a->n == 0)
		registration_drop(r, a);
}

static void flow_lost(struct registrar *r, const struct conf *c, struct binding *b)
{
	const struct conf_registrar *domain = conf_find_registrar(c, registration_host(b->aor));
	uint64_t end = r->p.wheel->now_ms + (domain ? domain->flow_grace_ms : 0);

	b->is_flow_lost = true;
	wheel_arm(r->p.wheel, &b->timer, end < b->expires_ms ? end : b->expires_ms);
}

void registrar_flow_closed(struct registrar *r, const struct conf *c, uint64_t flow)
{
	for (unsigned i = 0; i < FLOW_PARTS && r->by_flow.count; i++)
		for (struct link *l = table_find(&r->by_flow, key_over(flow, i)); l; l = table_next(&r->by_flow, l))
			flow_lost(r, c, owner_of(l, struct binding, by_flow));
}

/* Looking ---------------------------------------------------------------------------------------------------------- */

struct each {
	bool (*fn)(void *ctx, struct registration *aor);
	void *ctx;
};

static bool each_aor(void *ctx, struct link *l)
{
	const struct each *e = ctx;

	return e->fn(e->ctx, owner_of(l, struct registration, in_table));
}

void registrar_each(const struct registrar *r, bool (*fn)(void *ctx, struct registration *aor), void *ctx)
{
	struct each e = { fn, ctx };

	table_each(&r->aors, each_aor, &e);
}

struct each_domain {
	void (*fn)(void *ctx, struct sv domain, const uint32_t by_transport[T_COUNT]);
	void *ctx;
};

static bool each_domain(void *ctx, struct link *l)
{
	const struct each_domain *e = ctx;
	const struct registrar_domain *d = owner_of(l, struct registrar_domain, in_table);

	e->fn(e->ctx, (struct sv){ d->name, d->len }, d->by_transport);
	return true;
}

void registrar_domains(const struct registrar *r, void (*fn)(void *ctx, struct sv domain, const uint32_t by_transport[T_COUNT]), void *ctx)
{
	struct each_domain e = { fn, ctx };

	table_each(&r->domains, each_domain, &e);
}

size_t registrar_bindings(const struct registrar *r)
{
	return r->by_id.count;
}

struct counters *registrar_counters(struct registrar *r)
{
	return &r->counters;
}

void registrar_slabs(struct registrar *r, void (*fn)(void *ctx, const struct slab *s), void *ctx)
{
	fn(ctx, &r->bindings);
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		fn(ctx, &r->texts.of[i]);
}

void registrar_trim(struct registrar *r)
{
	slab_trim(&r->bindings);
	blocks_trim(&r->texts);
}
