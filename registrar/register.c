/* registrar/register.c - RFC 3261 §10.3 steps 6 and 7. Every Contact of the request becomes a wish; all are judged, then what they need
 * is allocated, then they come true: nothing has changed where anything is wrong. */
#include "registrar/inside.h"
#include "registrar/register.h"
#include "sip/txn.h"
#include <errno.h>

enum {
	DEFAULT_EXPIRES_S = 3600,     /* of a value that cannot be read (§10.2.1.1) */
	BRIEF_MAX_S = 3600,           /* 423 is for less than that (§10.3 step 7) */
	OUTBOUND_VIAS = 1,            /* more: there is a hop before us (RFC 5626 §6) */
};

/* What one Contact wants. */
struct wish {
	struct uri uri;
	struct binding_text text;
	struct sv instance;
	struct binding *old;       /* the binding it is about */
	struct binding *fresh;     /* the one it makes */
	char *block;               /* strings for one of them */
	uint64_t id;               /* of either */
	uint32_t expires_s, reg_id;
	uint16_t q;
	bool has_q, is_repetition;
};

struct wishes {
	struct registrar *r;
	const struct register_request *q;
	struct registration *aor;  /* NULL: it has no bindings yet */
	struct wish of[REGISTER_CONTACTS_MAX];
	unsigned n;
	bool is_star;
	bool has_outbound;         /* Supported: outbound */
	uint64_t call_id;
	struct sv routes;
	struct out text;
	char area[REGISTER_TEXT_MAX];
};

/* Reading ---------------------------------------------------------------------------------------------------------- */

/* Seconds; what is too large for 32 bits is the largest, what is no number has the default (§10.2.1.1). */
static uint32_t expires_parse(struct sv v)
{
	uint64_t n;
	int err = sv_u64(sv_trim(v), UINT32_MAX, &n);

	return err == -ERANGE ? UINT32_MAX : err ? DEFAULT_EXPIRES_S : (uint32_t)n;
}

/* qvalue (§25.1) in thousandths. 0 or -EBADMSG. */
static int q_parse(struct sv v, uint16_t *q)
{
	unsigned n = 0, digits = 0;

	if (!v.len || (v.p[0] != '0' && v.p[0] != '1') || v.len > 5 || (v.len > 1 && v.p[1] != '.'))
		return -EBADMSG;
	for (size_t i = 2; i < v.len; i++, digits++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return -EBADMSG;
		n = n * 10 + (unsigned)(v.p[i] - '0');
	}
	for (; digits < 3; digits++)
		n *= 10;
	if (v.p[0] == '1' && n)
		return -EBADMSG;
	*q = (uint16_t)(v.p[0] == '1' ? 1000 : n);
	return 0;
}

/* What only the answer says, or we keep apart. */
static bool is_kept_apart(struct sv name)
{
	return sv_ieq(name, SV("expires")) || sv_ieq(name, SV("q")) || sv_ieq(name, SV("pub-gruu")) || sv_ieq(name, SV("temp-gruu"));
}

static int read_param(struct wish *w, struct sv name, struct sv value)
{
	uint64_t n = 0;

	if (sv_ieq(name, SV("expires")))
		w->expires_s = expires_parse(value);
	else if (sv_ieq(name, SV("reg-id")) && (sv_u64(value, INT32_MAX, &n) || !n))
		return -EBADMSG;
	else if (sv_ieq(name, SV("reg-id")))
		w->reg_id = (uint32_t)n;
	else if (sv_ieq(name, SV("q")) && q_parse(value, &w->q))
		return -EBADMSG;
	else if (sv_ieq(name, SV("q")))
		w->has_q = true;
	return 0;
}

/* Writes the parameters as they are kept, and reads them. */
static int read_params(struct wishes *all, struct wish *w, struct sv params)
{
	struct out *o = &all->text;
	char *begin = o->at, *at;
	struct sv name, value;

	while (param_next(&params, &name, &value)) {
		if (read_param(w, name, value))
			return -EBADMSG;
		if (is_kept_apart(name))
			continue;
		out_lit(o, ";");
		out_sv(o, name);
		if (!value.len)
			continue;
		out_lit(o, "=");
		at = o->at;
		out_unfolded(o, value);
		if (!sv_ieq(name, SV("+sip.instance")) || value.len <= 2)
			continue;
		w->text.instance_at = (uint16_t)(at - begin);
		w->text.instance_len = (uint16_t)(o->at - at);
	}
	w->text.params = sv_span(begin, o->at);
	if (o->is_full || w->text.params.len > REGISTER_PARAMS_MAX || sv_trim(params).len)
		return -EBADMSG;
	w->instance = (struct sv){ begin + w->text.instance_at, w->text.instance_len };
	if (!w->instance.len)
		w->reg_id = 0; /* RFC 5626 §6: a reg-id alone says nothing */
	return 0;
}

static enum register_result read_contact(struct wishes *all, const struct name_addr *na, uint32_t expires_s)
{
	struct wish *w = &all->of[all->n];

	*w = (struct wish){ .expires_s = expires_s, .q = 1000, .text = { .contact = na->uri, .routes = all->routes,
	                                                                       .service = all->q->service } };
	if (na->uri.len > REGISTER_CONTACT_MAX || uri_parse(&w->uri, na->uri) || (w->uri.scheme != URI_SIP && w->uri.scheme != URI_SIPS))
		return REGISTER_BAD_CONTACT;
	if (read_params(all, w, na->params))
		return REGISTER_BAD_CONTACT;
	if (all->q->is_ours && w->expires_s && all->q->is_ours(all->q->ctx, &w->uri))
		return REGISTER_OURS;
	all->n++;
	return REGISTER_OK;
}

static enum register_result read_value(struct wishes *all, struct sv value, uint32_t expires_s)
{
	enum register_result result;
	struct name_addr na;
	int err;

	while ((err = name_addr_next(&na, &value)) == 0) {
		if (all->is_star || (na.is_star && all->n))
			return REGISTER_BAD_STAR;
		if (all->n == REGISTER_CONTACTS_MAX)
			return REGISTER_BAD_CONTACT;
		if (na.is_star)
			all->is_star = true;
		else if ((result = read_contact(all, &na, expires_s)))
			return result;
	}
	return err == -ENOENT ? REGISTER_OK : REGISTER_BAD_CONTACT;
}

/* RFC 5626 §6: one flow at a time. */
static bool has_several_flows(const struct wishes *all)
{
	unsigned n = 0;

	for (unsigned i = 0; i < all->n; i++)
		n += all->of[i].reg_id && all->of[i].expires_s;
	return n > 1;
}

static enum register_result read_contacts(struct wishes *all)
{
	const struct view *v = all->q->v;
	struct sv expires = view_value(v, HDR_EXPIRES);
	uint32_t expires_s = expires.p ? expires_parse(expires) : all->q->domain->expires.max_ms / 1000;
	enum register_result result;

	for (unsigned i = v->first[HDR_CONTACT]; i && i <= v->n; i++)
		if (v->h[i - 1].id == HDR_CONTACT && (result = read_value(all, hdr_value(v, &v->h[i - 1]), expires_s)))
			return result;
	if (all->is_star && (!expires.p || expires_s))
		return REGISTER_BAD_STAR;
	return has_several_flows(all) ? REGISTER_BAD_CONTACT : REGISTER_OK;
}

static unsigned count_vias(const struct view *v)
{
	unsigned n = 0;
	struct via via;

	for (unsigned i = v->first[HDR_VIA]; i && i <= v->n; i++) {
		struct sv value = hdr_value(v, &v->h[i - 1]);

		while (v->h[i - 1].id == HDR_VIA && n <= OUTBOUND_VIAS && via_next(&via, &value) == 0)
			n++;
	}
	return n;
}

/* The values of Path, from the one that requests visit first; `has_ob`: the first hop says that it keeps flows (RFC 5626 §5.1). */
static enum register_result read_path(struct wishes *all, bool *has_ob)
{
	const struct view *v = all->q->v;
	struct out *o = &all->text;
	struct name_addr na;
	struct uri u;
	unsigned n = 0;

	for (const struct hdr *h = view_find(v, HDR_PATH, 0); h; h = view_find(v, HDR_PATH, (unsigned)(h - v->h) + 1)) {
		struct sv value = hdr_value(v, h);
		int err;

		while ((err = name_addr_next(&na, &value)) == 0) {
			if (n == REGISTER_PATHS_MAX || na.is_star || uri_parse(&u, na.uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
				return REGISTER_BAD_PATH;
			out_sv(o, n++ ? SV(", <") : SV("<"));
			out_sv(o, na.uri);
			out_lit(o, ">");
			*has_ob = uri_has_param(&u, SV("ob")); /* of the last: nearest to the client */
		}
		if (err != -ENOENT)
			return REGISTER_BAD_PATH;
	}
	all->routes = out_done(o);
	return o->is_full || all->routes.len > REGISTER_TEXT_MAX / 2 ? REGISTER_BAD_PATH : REGISTER_OK;
}

static enum register_result read_request(struct wishes *all)
{
	bool has_ob = false, has_flow = false;
	enum register_result result;

	if ((result = read_path(all, &has_ob)) || (result = read_contacts(all)))
		return result;
	all->has_outbound = has_option(all->q->v, HDR_SUPPORTED, SV("outbound"));
	for (unsigned i = 0; i < all->n; i++) {
		if (!all->has_outbound)
			all->of[i].reg_id = 0;
		has_flow |= all->of[i].reg_id != 0;
	}
	if (has_flow && !has_ob && count_vias(all->q->v) > OUTBOUND_VIAS)
		return REGISTER_NO_OUTBOUND;
	return REGISTER_OK;
}

/* Judging ---------------------------------------------------------------------------------------------------------- */

/* Is it this contact? With a reg-id by instance and reg-id (RFC 5626 §6), else by the URI (RFC 3261 §19.1.4). */
static bool is_about(const struct wish *w, const struct binding *b)
{
	struct uri u;

	if (w->reg_id || b->reg_id)
		return w->reg_id == b->reg_id && sv_ieq(w->instance, binding_instance(b));
	return sv_eq(w->text.contact, binding_contact(b)) || (uri_parse(&u, binding_contact(b)) == 0 && uri_equal(&w->uri, &u));
}

static bool is_same_contact(const struct wish *a, const struct wish *b)
{
	if (a->reg_id || b->reg_id)
		return a->reg_id == b->reg_id && sv_ieq(a->instance, b->instance);
	return sv_eq(a->text.contact, b->text.contact) || uri_equal(&a->uri, &b->uri);
}

/* §10.3 step 7: the order of one client's requests is that of its CSeq. A repetition is answered as the first was, and changes nothing. */
static enum register_result judge_order(const struct wishes *all, const struct binding *b, bool *is_repetition)
{
	*is_repetition = b->call_id == all->call_id && all->q->v->cseq == b->cseq;
	return b->call_id == all->call_id && all->q->v->cseq < b->cseq ? REGISTER_OLD : REGISTER_OK;
}

/* A REGISTER that was late, or was repeated, behind the one that removed its contact does not bring it back. */
static bool was_removed(const struct wishes *all, const struct wish *w)
{
	struct registrar *r = all->r;
	uint64_t id = registrar_binding_id(r, all->q->aor_key, w->text.contact, w->instance, w->reg_id);
	const struct removed *gone = &r->removed[id % REMOVED_MAX];

	return gone->id == id && gone->call_id == all->call_id && all->q->v->cseq <= gone->cseq && r->p.wheel->now_ms < gone->until_ms;
}

/* A contact keeps its id when it comes back in another spelling: its first one may then be somebody else's. */
static uint64_t free_id(const struct wishes *all, const struct wish *w)
{
	uint64_t id = registrar_binding_id(all->r, all->q->aor_key, w->text.contact, w->instance, w->reg_id);

	while (!id || registrar_binding(all->r, id))
		id++;
	return id;
}

static enum register_result judge_wish(struct wishes *all, struct wish *w)
{
	uint32_t min_s = all->q->domain->expires.min_ms / 1000;

	for (const struct wish *other = all->of; other < w; other++)
		if (is_same_contact(other, w))
			return REGISTER_BAD_CONTACT;
	for (struct binding *b = NULL; all->aor && !w->old && (b = registration_next(all->aor, b));)
		if (is_about(w, b))
			w->old = b;
	for (const struct wish *other = all->of; w->old && other < w; other++)
		if (other->old == w->old) /* equality of URIs is not transitive: each of them is the same as this one */
			return REGISTER_BAD_CONTACT;
	w->id = w->old ? w->old->by_id.key : free_id(all, w);
	if (all->q->granted) { /* judged where it was granted */
		w->expires_s = all->q->granted(all->q->ctx, w->id, w->text.contact);
		return REGISTER_OK;
	}
	if (w->expires_s && w->expires_s < min_s && w->expires_s < BRIEF_MAX_S)
		return REGISTER_TOO_BRIEF;
	if (w->old)
		return judge_order(all, w->old, &w->is_repetition);
	return w->expires_s && was_removed(all, w) ? REGISTER_OLD : REGISTER_OK;
}

static enum register_result judge_star(struct wishes *all)
{
	enum register_result result;
	bool is_repetition;

	for (struct binding *b = NULL; all->aor && (b = registration_next(all->aor, b));)
		if ((result = judge_order(all, b, &is_repetition)))
			return result;
	return REGISTER_OK;
}

static bool is_wished_for(const struct wishes *all, const struct binding *b)
{
	for (unsigned i = 0; i < all->n; i++)
		if (all->of[i].old == b)
			return true;
	return false;
}

/* How many of the AOR's bindings have to go for the new ones; -1: that is not possible. */
static int judge_room(const struct wishes *all)
{
	unsigned now = all->aor ? all->aor->n : 0, others = 0;
	int too_many = (int)now - (int)(all->q->granted ? REGISTER_PASSED_MAX : all->q->domain->max_contacts);
	bool has_new = false;

	for (unsigned i = 0; i < all->n; i++) {
		const struct wish *w = &all->of[i];

		if (w->expires_s && !w->old)
			too_many++, has_new = true;
		else if (!w->expires_s && w->old)
			too_many--;
	}
	if (!has_new || too_many <= 0)
		return 0;
	for (struct binding *b = NULL; all->aor && (b = registration_next(all->aor, b));)
		others += !is_wished_for(all, b);
	return (all->q->granted || all->q->domain->when_full == FULL_REPLACE) && too_many <= (int)others ? too_many : -1;
}

/* Coming true ------------------------------------------------------------------------------------------------------ */

static bool is_text_same(const struct wish *w)
{
	return sv_eq(w->text.contact, binding_contact(w->old)) && sv_eq(w->text.params, binding_params(w->old)) &&
	       sv_eq(w->text.routes, binding_routes(w->old)) && sv_eq(w->text.service, binding_service(w->old));
}

/* What can fail. 0 or -ENOMEM. */
static int prepare(struct wishes *all, struct wish *w)
{
	struct registrar *r = all->r;

	if (!w->expires_s || w->is_repetition || (w->old && is_text_same(w)))
		return 0;
	if (!w->old && !(w->fresh = binding_new(r)))
		return -ENOMEM;
	return (w->block = binding_copy_text(r, &w->text)) ? 0 : -ENOMEM;
}

static void forget(struct wishes *all)
{
	for (unsigned i = 0; i < all->n; i++) {
		struct wish *w = &all->of[i];

		if (w->block)
			binding_drop_text(all->r, w->block, binding_text_size(&w->text));
		if (w->fresh)
			binding_free(all->r, w->fresh);
	}
}

static int prepare_all(struct wishes *all)
{
	bool has_new = false;

	for (unsigned i = 0; i < all->n; i++) {
		if (prepare(all, &all->of[i])) {
			forget(all);
			return -ENOMEM;
		}
		has_new |= all->of[i].fresh != NULL;
	}
	if (!has_new || all->aor)
		return 0;
	if (!(all->aor = registration_new(all->r, all->q->aor, all->q->aor_key))) {
		forget(all);
		return -ENOMEM;
	}
	if (registration_link(all->r, all->aor) == 0)
		return 0;
	registration_free(all->r, all->aor);
	forget(all);
	return -ENOMEM;
}

/* What was asked for, at most the domain's maximum, less by chance: up to `jitter` percent, the same for the same request. */
static uint64_t granted_ms(const struct wishes *all, const struct wish *w, uint64_t id)
{
	const struct conf_registrar *d = all->q->domain;
	uint64_t ms = w->expires_s * UINT64_C(1000), shortest;
	uint64_t chance = (id ^ all->call_id) + all->q->v->cseq * UINT64_C(0x9e3779b97f4a7c15);

	chance = (chance ^ chance >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32;
	if (all->q->granted)
		return ms < REGISTER_GRANTED_MAX_MS ? ms : REGISTER_GRANTED_MAX_MS;
	ms = ms < d->expires.max_ms ? ms : d->expires.max_ms;
	shortest = ms - ms * d->expires.jitter / 100;
	shortest = shortest < d->expires.min_ms ? d->expires.min_ms : shortest;
	return ms <= shortest ? ms : ms - (chance * (ms - shortest + 1) >> 32);
}

static void renew(struct wishes *all, struct wish *w, struct binding *b)
{
	struct registrar *r = all->r;

	if (w->block)
		binding_take_text(r, b, &w->text, STEAL(w->block));
	b->call_id = all->call_id;
	b->cseq = all->q->v->cseq;
	b->q = w->q;
	b->has_q = w->has_q;
	b->reg_id = w->reg_id;
	b->is_outbound = w->reg_id != 0;
	binding_set_path(r, b, all->q->from);
	binding_until(r, b, r->p.wheel->now_ms + granted_ms(all, w, b->by_id.key));
}

static void add(struct wishes *all, struct wish *w)
{
	struct registrar *r = all->r;
	struct binding *b = STEAL(w->fresh);

	binding_link(r, all->aor, b, w->id);
	renew(all, w, b);
	counter_inc(&r->counters, BINDINGS_ADDED);
	if (r->p.on_new)
		r->p.on_new(r->p.ctx, b);
	if (r->p.on_moved)
		r->p.on_moved(r->p.ctx, b);
}

static void refresh(struct wishes *all, struct wish *w)
{
	struct registrar *r = all->r;
	struct binding *b = w->old;
	bool has_moved = !path_eq(&b->path, all->q->from);

	renew(all, w, b);
	list_del(&b->in_aor);
	list_push(&b->aor->bindings, &b->in_aor);
	counter_inc(&r->counters, BINDINGS_REFRESHED);
	if (r->p.on_refreshed)
		r->p.on_refreshed(r->p.ctx, b);
	if (has_moved && r->p.on_moved)
		r->p.on_moved(r->p.ctx, b);
}

static void replace_oldest(struct wishes *all, int n)
{
	struct binding *next;

	for (struct binding *b = registration_next(all->aor, NULL); b && n > 0; b = next) {
		next = registration_next(all->aor, b);
		if (is_wished_for(all, b))
			continue;
		registrar_remove(all->r, b, GONE_REPLACED);
		n--;
	}
}

static void remove_binding(struct wishes *all, struct binding *b)
{
	struct registrar *r = all->r;

	r->removed[b->by_id.key % REMOVED_MAX] = (struct removed){ .id = b->by_id.key, .call_id = all->call_id, .cseq = all->q->v->cseq,
		                                                   .until_ms = r->p.wheel->now_ms + REMOVED_MS };
	registrar_remove(r, b, GONE_REMOVED);
}

/* First what comes, so that the registration does not go with its last binding in between. */
static void come_true(struct wishes *all, int n_replaced)
{
	for (unsigned i = 0; i < all->n; i++) {
		struct wish *w = &all->of[i];

		if (w->is_repetition)
			counter_inc(&all->r->counters, REGISTERS_REPEATED);
		else if (w->expires_s && w->old)
			refresh(all, w);
		else if (w->expires_s)
			add(all, w);
	}
	if (n_replaced)
		replace_oldest(all, n_replaced);
	for (unsigned i = 0; i < all->n; i++)
		if (!all->of[i].expires_s && all->of[i].old && !all->of[i].is_repetition)
			remove_binding(all, all->of[i].old);
}

/* What is this client's, and not kept behind us any more. */
static void remove_ungranted(struct wishes *all)
{
	struct binding *next;

	for (struct binding *b = all->aor ? registration_next(all->aor, NULL) : NULL; b; b = next) {
		next = registration_next(all->aor, b);
		if (path_eq(&b->path, all->q->from) && !all->q->granted(all->q->ctx, b->by_id.key, binding_contact(b))) {
			bool is_last = all->aor->n == 1;

			registrar_remove(all->r, b, GONE_REMOVED);
			if (is_last)
				return;
		}
	}
}

static void remove_star(struct wishes *all)
{
	for (unsigned n = all->aor ? all->aor->n : 0; n > 0; n--)
		remove_binding(all, registration_next(all->aor, NULL));
}

static enum register_result judge(struct wishes *all, int *n_replaced)
{
	enum register_result result;

	if (all->is_star)
		return all->q->granted ? REGISTER_OK : judge_star(all);
	for (unsigned i = 0; i < all->n; i++)
		if ((result = judge_wish(all, &all->of[i])))
			return result;
	*n_replaced = judge_room(all);
	return *n_replaced < 0 ? REGISTER_TOO_MANY : REGISTER_OK;
}

static void wishes_init(struct wishes *all, struct registrar *r, const struct register_request *q)
{
	all->r = r;
	all->q = q;
	all->n = 0;
	all->is_star = false;
	all->aor = registrar_find(r, q->aor_key);
	all->call_id = registrar_call_id(r, view_value(q->v, HDR_CALL_ID));
	out_init(&all->text, all->area, sizeof(all->area));
}

enum register_result registrar_contacts(struct registrar *r, const struct register_request *q,
                                        void (*fn)(void *ctx, const struct register_contact *c), void *ctx)
{
	struct wishes all;
	enum register_result result;

	wishes_init(&all, r, q);
	if ((result = read_request(&all)))
		return result;
	for (unsigned i = 0; i < all.n; i++) {
		struct wish *w = &all.of[i];

		if ((result = judge_wish(&all, w)) == REGISTER_BAD_CONTACT) /* the rest is judged where it goes to */
			return result;
		fn(ctx, &(struct register_contact){ w->id, w->text.contact, w->text.params, w->expires_s, w->q, w->has_q });
	}
	for (struct binding *b = NULL; all.is_star && all.aor && (b = registration_next(all.aor, b));)
		if (path_eq(&b->path, q->from))
			fn(ctx, &(struct register_contact){ .id = b->by_id.key, .uri = binding_contact(b), .params = binding_params(b) });
	return REGISTER_OK;
}

enum register_result registrar_register(struct registrar *r, const struct register_request *q, struct register_done *done)
{
	struct wishes all;
	enum register_result result;
	int n_replaced = 0;

	wishes_init(&all, r, q);
	*done = (struct register_done){ 0 };
	if ((result = read_request(&all)) || (result = judge(&all, &n_replaced)))
		return result;
	if (all.is_star && !q->granted) {
		remove_star(&all);
		return REGISTER_OK;
	}
	if (prepare_all(&all)) {
		counter_inc(&r->counters, BINDINGS_REFUSED);
		return REGISTER_FULL;
	}
	come_true(&all, n_replaced);
	all.aor = registrar_find(r, q->aor_key);
	if (q->granted)
		remove_ungranted(&all);
	for (unsigned i = 0; i < all.n; i++) {
		done->is_outbound |= all.of[i].reg_id != 0;
		done->is_new |= all.of[i].expires_s && !all.of[i].old;
	}
	return REGISTER_OK;
}

bool registrar_front(struct registrar *r, const struct register_request *q, uint64_t proof, uint32_t client_s)
{
	struct wishes all;
	struct wish *w = &all.of[0];
	struct binding *b;

	wishes_init(&all, r, q);
	if (read_request(&all) || all.n != 1 || !w->expires_s || judge_wish(&all, w) == REGISTER_BAD_CONTACT || !(b = w->old))
		return false;
	if (b->fronted_ms <= r->p.wheel->now_ms || b->is_flow_lost || !path_eq(&b->path, q->from) || b->call_id != all.call_id ||
	    q->v->cseq < b->cseq || b->proof != proof || b->q != w->q || b->has_q != w->has_q || b->reg_id != w->reg_id)
		return false;
	w->text.service = binding_service(b);
	if (!is_text_same(w))
		return false;
	b->cseq = q->v->cseq;
	binding_until(r, b, r->p.wheel->now_ms + client_s * UINT64_C(1000));
	list_del(&b->in_aor);
	list_push(&b->aor->bindings, &b->in_aor);
	counter_inc(&r->counters, BINDINGS_FRONTED);
	if (r->p.on_refreshed)
		r->p.on_refreshed(r->p.ctx, b);
	return true;
}
