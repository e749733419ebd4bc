/* sbc/call/direct.c - what our tokens stand for when somebody begins something new with one (DECISIONS 5): the Contact of a leg
 * stands for the other end of its call, the Contact of a redirection we passed for where it pointed. */
#include "sbc/call/call.h"
#include <errno.h>
#include <stdlib.h>

struct direct *direct_new(uint16_t zone, const struct path *path, struct sv uri, struct sv routes)
{
	struct direct *d = uri.len + routes.len <= CALL_TEXT_MAX ? malloc(sizeof(*d) + uri.len + routes.len) : NULL;

	if (!d)
		return NULL;
	*d = (struct direct){ .zone = zone, .has_path = path != NULL, .uri_len = (uint16_t)uri.len, .routes_len = (uint16_t)routes.len };
	if (path)
		d->path = *path;
	memcpy(d->text, uri.p, uri.len);
	memcpy(d->text + uri.len, routes.p, routes.len);
	return d;
}

struct leg *direct_leg(struct b2bua *b, struct token t, bool is_transfer, uint16_t zone, struct dialog **dialog)
{
	uint64_t id = is_transfer ? t.id ^ token_zone_mask(b->p.tokens, b->conf->zones[zone].name) : t.id;
	struct leg *l = leg_find(b, id), *meant;
	struct call *c = l ? l->call : NULL;
	struct dialog *d = c && !list_empty(&c->dialogs) ? owner_of(c->dialogs.next, struct dialog, in_call) : NULL;

	if (!l || (!is_transfer && path_zone(b, &l->path) != zone))
		return NULL;
	meant = is_transfer ? l : l->side == FAR ? &c->near : d ? d->far : NULL;
	if (!meant || (meant->side == FAR && (!d || d->far != meant || !d->target_len)))
		return NULL;
	*dialog = d;
	return meant;
}

static struct direct *direct_of_leg(struct b2bua *b, const struct leg *l, const struct dialog *d)
{
	const struct path *path = l->follows_flow ? &l->path : NULL;
	struct direct *direct = l->side == FAR ? direct_new(path_zone(b, &l->path), path, dialog_target(d), dialog_routes(d))
	                                       : direct_new(path_zone(b, &l->path), path, leg_target(l), leg_routes(l));

	if (direct)
		direct->leg = l->in_table.key;
	return direct;
}

struct direct *direct_find(struct b2bua *b, const struct request *r)
{
	struct dialog *d;
	struct leg *leg = direct_leg(b, r->leg, r->is_transfer, path_zone(b, r->from), &d);
	struct redirect *redirect;
	struct link *l;

	if (leg)
		return direct_of_leg(b, leg, d);
	if (r->is_transfer || !(l = table_find(&b->redirects, r->leg.id)))
		return NULL;
	redirect = owner_of(l, struct redirect, in_table);
	return path_zone(b, r->from) == redirect->near_zone ?
	               direct_new(redirect->far_zone, NULL, (struct sv){ redirect->uri, redirect->uri_len }, SV("")) : NULL;
}

void redirect_free(struct redirect *r)
{
	struct b2bua *b = r->b;

	table_del(&b->redirects, &r->in_table);
	wheel_disarm(b->p.wheel, &r->timer);
	list_del(&r->in_all);
	free(r->uri);
	slab_free(&b->redirect_slab, r);
}

static void redirect_expires(struct timer *t)
{
	redirect_free(owner_of(t, struct redirect, timer));
}

static struct redirect *redirect_new(struct b2bua *b, uint64_t id, uint16_t near_zone, uint16_t far_zone, struct sv uri)
{
	struct redirect *r = slab_alloc(&b->redirect_slab);

	if (!r)
		return NULL;
	if (!(r->uri = malloc(uri.len))) {
		slab_free(&b->redirect_slab, r);
		return NULL;
	}
	memcpy(r->uri, uri.p, uri.len);
	r->uri_len = (uint16_t)uri.len;
	r->b = b;
	r->near_zone = near_zone;
	r->far_zone = far_zone;
	r->timer.fire = redirect_expires;
	table_add(&b->redirects, &r->in_table, id);
	list_push(&b->all_redirects, &r->in_all);
	wheel_arm_in(b->p.wheel, &r->timer, CALL_REDIRECT_MS);
	return r;
}

static void redirect_line(struct compose *c, const struct call *call, uint64_t id, struct sv params)
{
	struct sv q;

	out_lit(&c->o, "Contact: <");
	compose_our_uri(c, &call->near, TOKEN_LEG, (struct token){ .id = id, .shard = call->shard });
	out_lit(&c->o, ">");
	if (param_find(params, SV("q"), &q) && q.len) {
		out_lit(&c->o, ";q=");
		out_sv(&c->o, q);
	}
	out_lit(&c->o, "\r\n");
}

void compose_redirects(struct compose *c, struct attempt *a, const struct view *v, const struct path *from)
{
	struct call *call = a->setup->call;
	struct name_addr na;
	struct uri u;
	unsigned n = 0;

	for (unsigned i = v->first[HDR_CONTACT]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]);

		if (v->h[i - 1].id != HDR_CONTACT)
			continue;
		while (n < CALL_REDIRECTS_MAX && name_addr_next(&na, &rest) == 0) {
			uint64_t id = token_tag_id(c->b->p.tokens, call->near.in_table.key, a->branch_id, na.uri);

			if (na.is_star || uri_parse(&u, na.uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
				continue;
			if (table_find(&c->b->redirects, id) ||
			    redirect_new(c->b, id, path_zone(c->b, &call->near.path), path_zone(c->b, from),
			                 uri_to_request(&u, na.uri))) {
				redirect_line(c, call, id, na.params);
				n++;
			}
		}
	}
}
