#include "sbc/call/pass.h"
#include "apps-router/route.h"
#include "registrar/digest.h"
#include "sbc/call/flowend.h"
#include "sbc/call/locate.h"
#include <errno.h>
#include <stdlib.h>

enum {
	DEFAULT_EXPIRES_S = 3600,      /* of a Contact that was granted without a time (RFC 3261 §10.2.1.1) */
	SERVICE_MAX = 2048,            /* bytes of a Service-Route */
	GRANTS_MAX = REGISTER_PASSED_MAX,
};

struct passing {
	struct b2bua *b;
	struct flow_end flow_end;      /* of its client */
	struct aor aor;
	uint64_t aor_key;
};

void passing_free(struct passing *p)
{
	if (p)
		flow_end_forget(p->b, &p->flow_end);
	free(p);
}

static const struct conf_registrar *domain_of(const struct b2bua *b, const struct passing *p)
{
	const struct conf_registrar *d = conf_find_registrar(b->conf, aor_host(&p->aor));

	return d && d->mode != REGISTRAR_LOCAL ? d : NULL;
}

const struct conf_pool *passing_pool(const struct b2bua *b, const struct passing *p)
{
	const struct conf_registrar *d = domain_of(b, p);

	return d ? &b->conf->pools[d->pool] : NULL;
}

/* What a refresh has to show again: by whom, and upon which challenge, it was accepted. The response itself is new each time, and only the
 * registrar could judge it; what is absorbed gives nobody more than the registrar has granted. 0: no credentials. */
static uint64_t proof_of(const struct b2bua *b, const struct view *v)
{
	const struct hdr *h = view_find(v, HDR_AUTHORIZATION, 0);
	struct digest_credentials c;
	struct sv parts[3];
	uint64_t hash;

	if (!h)
		return 0;
	if (digest_parse(&c, hdr_value(v, h)))
		return 1;
	parts[0] = digest_user(&c);
	parts[1] = c.realm;
	parts[2] = c.nonce;
	hash = hash_parts(token_hash_key(b->p.tokens), parts, 3);
	return hash > 1 ? hash : 2;
}

/* Passing on --------------------------------------------------------------------------------------------------------- */

static void answer_fronted(struct b2bua *b, const struct request *r, const struct register_request *q);

void pass_register(struct b2bua *b, const struct request *r, const struct register_request *q, const struct conf_route *rule)
{
	struct request passed = *r;

	if (q->domain->mode == REGISTRAR_FRONT &&
	    registrar_front(b->p.registrar, q, proof_of(b, q->v), q->domain->front.client_ms / 1000)) {
		answer_fronted(b, r, q);
		return;
	}
	if (!(passed.passing = malloc(sizeof(*passed.passing)))) {
		refuse(b, r, WHY_FULL, 0);
		return;
	}
	*passed.passing = (struct passing){ .b = b, .aor = *q->aor, .aor_key = q->aor_key };
	flow_end_watch(b, &passed.passing->flow_end, r);
	start_call(b, &passed, SV(""), rule, NULL);
}

struct contacts {
	struct compose *c;
	const struct leg *leg;
	const struct conf_registrar *domain;
	uint16_t shard;
	struct hide hide;
	uint64_t first;                /* binding that Path names; 0: none yet */
};

static struct token binding_token(const struct contacts *all, uint64_t id)
{
	return (struct token){ .id = id, .shard = all->shard };
}

static void write_contact(void *ctx, const struct register_contact *contact)
{
	struct contacts *all = ctx;
	struct out *o = &all->c->o;
	uint32_t expires_s = contact->expires_s;

	if (!all->first)
		all->first = contact->id;
	if (expires_s && all->domain->mode == REGISTRAR_FRONT)
		expires_s = all->domain->front.upstream_ms / 1000;
	out_lit(o, "Contact: <");
	if (all->domain->contact == CONTACT_PATH)
		out_sv(o, contact->uri);
	else
		compose_our_uri(all->c, all->leg, TOKEN_BINDING, binding_token(all, contact->id));
	out_lit(o, ">");
	hide_contact_params(o, &all->hide, contact->params);
	if (contact->has_q) {
		out_lit(o, ";q=");
		out_str(o, contact->q == 1000 ? "1." : "0.");
		for (unsigned scale = 100; scale; scale /= 10)
			out_u64(o, contact->q / scale % 10);
	}
	out_lit(o, ";expires=");
	out_u64(o, expires_s);
	out_lit(o, "\r\n");
}

static struct register_request request_of(const struct b2bua *b, const struct setup *s, const struct view *v)
{
	return (struct register_request){ .v = v, .from = &s->call->near.path, .domain = domain_of(b, s->passing), .aor = &s->passing->aor,
		                          .aor_key = s->passing->aor_key };
}

void pass_contacts(struct compose *c, const struct setup *s, const struct leg *leg, const struct view *v)
{
	struct contacts all = { .c = c, .leg = leg, .domain = domain_of(c->b, s->passing),
	                        .shard = aor_shard(s->passing->aor_key) };
	struct register_request q = request_of(c->b, s, v);

	if (!all.domain) /* a reload took it away: then there is no pool either */
		return;
	hide_from(&all.hide, c->b, v, &s->call->near.path);
	registrar_contacts(c->b->p.registrar, &q, write_contact, &all);
	if (has_option(v, HDR_SUPPORTED, SV("gruu")))
		out_lit(&c->o, "Supported: gruu\r\n");
	if (all.domain->contact != CONTACT_PATH || !all.first)
		return;
	out_lit(&c->o, "Path: <");
	compose_our_uri(c, leg, TOKEN_BINDING, binding_token(&all, all.first));
	out_lit(&c->o, ";lr>\r\nSupported: path\r\n");
}

/* What was granted ---------------------------------------------------------------------------------------------------- */

struct grant {
	uint64_t id;                   /* ours; 0: another's, or with `contact: path` */
	struct sv uri, params;
	uint32_t seconds;
};

struct grants {
	struct b2bua *b;
	const struct path *client;
	const struct conf_registrar *domain;
	unsigned n;
	struct grant of[GRANTS_MAX];
	char more[512];                /* of the Contact that is written */
};

static uint32_t seconds_of(struct sv value, uint32_t otherwise)
{
	uint64_t n;
	int err = sv_u64(sv_trim(value), UINT32_MAX, &n);

	return err == -ERANGE ? UINT32_MAX : err ? otherwise : (uint32_t)n;
}

static void grant_read(struct grants *g, const struct name_addr *na, uint32_t otherwise)
{
	struct grant *one = &g->of[g->n];
	struct token token;
	struct sv expires;
	struct uri u;

	if (na->is_star || uri_parse(&u, na->uri))
		return;
	*one = (struct grant){ .uri = na->uri, .params = na->params, .seconds = otherwise };
	if (param_find(na->params, SV("expires"), &expires))
		one->seconds = seconds_of(expires, otherwise);
	if (token_read(g->b->p.tokens, TOKEN_BINDING, u.user, &token) == 0)
		one->id = token.id;
	g->n += one->id || g->domain->contact == CONTACT_PATH; /* others came by another way than ours */
}

static void grants_read(struct grants *g, const struct view *v)
{
	uint32_t otherwise = seconds_of(view_value(v, HDR_EXPIRES), DEFAULT_EXPIRES_S);
	struct name_addr na;

	for (unsigned i = v->first[HDR_CONTACT]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]);

		while (v->h[i - 1].id == HDR_CONTACT && g->n < GRANTS_MAX && name_addr_next(&na, &rest) == 0)
			grant_read(g, &na, otherwise);
	}
}

static const struct grant *grant_find(const struct grants *g, uint64_t id, struct sv contact)
{
	struct uri a, b;

	for (unsigned i = 0; i < g->n; i++) {
		const struct grant *one = &g->of[i];

		if (one->id == id)
			return one;
		if (g->domain->contact == CONTACT_PATH && uri_parse(&a, contact) == 0 && uri_parse(&b, one->uri) == 0 && uri_equal(&a, &b))
			return one;
	}
	return NULL;
}

static uint32_t granted(void *ctx, uint64_t id, struct sv contact)
{
	const struct grants *g = ctx;
	const struct grant *one = grant_find(g, id, contact);
	uint32_t client_s = g->domain->front.client_ms / 1000;

	if (!one)
		return 0;
	return g->domain->mode == REGISTRAR_FRONT && one->seconds > client_s ? client_s : one->seconds;
}

/* Those over the flow that asks are this client's. */
static bool passed(void *ctx, const struct binding *binding, struct sv *more)
{
	static const struct sv names[] = { { "pub-gruu", 8 }, { "temp-gruu", 9 } };
	struct grants *g = ctx;
	const struct grant *one = grant_find(g, binding->by_id.key, binding_contact(binding));
	struct out o;

	if (!path_eq(&binding->path, g->client))
		return false;
	out_init(&o, g->more, sizeof(g->more));
	for (unsigned i = 0; one && i < 2; i++) {
		struct sv value;

		if (!param_find(one->params, names[i], &value) || !value.len)
			continue;
		out_lit(&o, ";");
		out_sv(&o, names[i]);
		out_lit(&o, "=");
		out_unfolded(&o, value);
	}
	*more = o.is_full ? SV("") : out_done(&o);
	return true;
}

/* A route set as bindings keep it; what cannot be one is none. */
static struct sv service_read(const struct view *v, char area[SERVICE_MAX])
{
	struct name_addr na;
	struct uri u;
	struct out o;

	out_init(&o, area, SERVICE_MAX);
	for (const struct hdr *h = view_find(v, HDR_SERVICE_ROUTE, 0); h; h = view_find(v, HDR_SERVICE_ROUTE, (unsigned)(h - v->h) + 1)) {
		struct sv rest = hdr_value(v, h);

		while (name_addr_next(&na, &rest) == 0) {
			if (na.is_star || uri_parse(&u, na.uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
				return SV("");
			out_sv(&o, o.at > area ? SV(", <") : SV("<"));
			out_sv(&o, na.uri);
			out_lit(&o, ">");
		}
	}
	return o.is_full ? SV("") : out_done(&o);
}

/* From now on, for half of what was granted, refreshes need not go further. */
static void front_begin(const struct grants *g, uint64_t aor_key, uint64_t proof)
{
	const struct registration *aor = registrar_find(g->b->p.registrar, aor_key);
	uint64_t now = g->b->p.wheel->now_ms;

	for (struct binding *b = NULL; aor && (b = registration_next(aor, b));) {
		const struct grant *one = path_eq(&b->path, g->client) ? grant_find(g, b->by_id.key, binding_contact(b)) : NULL;

		if (!one)
			continue;
		b->proof = proof;
		b->fronted_ms = now + (500ull * one->seconds < REGISTER_GRANTED_MAX_MS ? 500ull * one->seconds : REGISTER_GRANTED_MAX_MS);
	}
}

int pass_granted(struct attempt *a, const struct view *v, const struct path *from, uint64_t tag_id)
{
	struct setup *s = a->setup;
	struct b2bua *b = a->b;
	struct compose c = { .b = b };
	struct grants g = { .b = b, .client = &s->call->near.path };
	char service[SERVICE_MAX], tag[TOKEN_LEN];
	struct register_answer answer = { .passed = passed, .ctx = &g };
	struct register_request q;
	struct view_fault fault;
	struct view request;

	if (view_scan(&request, s->request->data, s->request->len, false, &fault))
		return -EBADMSG;
	q = request_of(b, s, &request);
	if (!(g.domain = q.domain))
		return -ENOENT;
	q.granted = granted;
	q.ctx = &g;
	q.service = service_read(v, service);
	grants_read(&g, v);
	if (registrar_register(b->p.registrar, &q, &answer.done))
		return -ENOMEM;
	if (s->passing->flow_end.is_closed)
		registrar_flow_closed(b->p.registrar, b->conf, s->call->near.path.flow);
	if (q.domain->mode == REGISTRAR_FRONT)
		front_begin(&g, q.aor_key, proof_of(b, &request));
	if (!s->st)
		return 0;
	server_begin(s->st, &c.o, v->status, SV(""), tag_token(b, s->call->shard, tag_id, tag));
	answer.request = &q;
	register_answer_write(b->p.registrar, &answer, &c.o);
	compose_rest(&c, v, from, &s->call->near);
	return server_send(s->st, v->status, &c.o);
}

static void answer_fronted(struct b2bua *b, const struct request *r, const struct register_request *q)
{
	struct grants g = { .b = b, .client = r->from, .domain = q->domain };
	struct register_answer answer = { .request = q, .passed = passed, .ctx = &g };
	uint64_t id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));
	char tag[TOKEN_LEN];
	struct out o;

	sip_stateless_begin(b->p.stack, r->v, r->from, 200, SV(""), tag_token(b, r->shard, id, tag), &o);
	register_answer_write(b->p.registrar, &answer, &o);
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	sip_stateless_send(b->p.stack, r->from, &o);
}

/* Requests for a binding ------------------------------------------------------------------------------------------------ */

bool pass_request(struct b2bua *b, const struct request *r, const struct uri *uri, struct sv contact)
{
	const struct binding *to = registrar_binding(b->p.registrar, r->leg.id);
	const struct conf_registrar *d = to ? conf_find_registrar(b->conf, registration_host(to->aor)) : NULL;
	struct request direct = *r;

	if (conf_find_registrar(b->conf, uri->host) && (!d || d->mode == REGISTRAR_LOCAL))
		return false; /* a temporary GRUU: the rules say who may use it */
	if (!d || d->mode == REGISTRAR_LOCAL || !is_trusted(b, r->from) || path_zone(b, r->from) != b->conf->pools[d->pool].zone) {
		refuse(b, r, WHY_UNKNOWN_TARGET, 0);
		return true;
	}
	if (!(direct.located = located_binding(b, to))) {
		refuse(b, r, WHY_FULL, 0);
		return true;
	}
	start_call(b, &direct, contact, NULL, NULL);
	located_put(direct.located);
	return true;
}

struct sv pass_service(const struct setup *s, const struct view *v)
{
	const struct b2bua *b = s->call->b;
	const struct conf_registrar *d;
	struct aor aor;

	if (!s->located || !s->located->service.len || aor_of_value(&aor, view_value(v, HDR_FROM)) ||
	    !(d = conf_find_registrar(b->conf, aor_host(&aor))) || d->pool < 0 || !sv_eq(b->conf->pools[d->pool].name, sv_from(s->pool)))
		return SV("");
	return s->located->service;
}
