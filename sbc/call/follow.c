/* sbc/call/follow.c - clients behind NATs: whose requests go to where his packets come from, and what moves him (DECISIONS 26). */
#include "sbc/call/call.h"
#include "apps-router/route.h"
#include "nat/detect.h"

/* One of ours, of those we trust anywhere, or of our destinations: an untrusted proxy is none of these, whatever it writes. */
static bool is_inside(const struct conf *c, const struct addr *a)
{
	for (unsigned i = 0; i < c->n_listeners; i++)
		if (addr_eq_ip(&c->listeners[i].bind, a))
			return true;
	for (uint32_t i = 0; i < c->n_destinations; i++)
		if (c->destinations[i].is_numeric && addr_eq_ip(&c->destinations[i].addr, a))
			return true;
	for (unsigned i = 0; i < c->n_zones; i++)
		if (route_is_trusted(c, (uint16_t)i, a))
			return true;
	return false;
}

bool is_followed(const struct b2bua *b, const struct request *r)
{
	struct addr route = { .family = 0 };

	return nat_follows(b->conf->zones[path_zone(b, r->from)].nat, is_trusted(b, r->from), r->v, r->from, &route) ||
	       (route.family && is_inside(b->conf, &route));
}

/* Whom we trust says where he is. */
void nat_count(struct b2bua *b, const struct request *r)
{
	unsigned signs = is_trusted(b, r->from) ? 0 : nat_signs(r->v, r->from);

	for (; signs; signs &= signs - 1)
		counter_inc(&b->nat_counters, (unsigned)__builtin_ctz(signs));
}

void leg_strays(struct leg *far, struct sv host)
{
	struct b2bua *b = far->call->b;
	enum conf_nat mode = b->conf->zones[path_zone(b, &far->path)].nat;

	if (mode == NAT_NEVER || (mode == NAT_AUTO && (is_trusted(b, &far->path) || nat_is_reachable(host, &far->path.remote))))
		return;
	counter_inc(&b->counters, LEGS_STRAYED);
	far->follows_flow = true;
}

/* A NAT gave its client another port, or the client came back over another connection: its address and transport are the same. Responses
 * do not get here: a response proves that its sender saw the request, not that more will find him there, and it may be any age. */
bool leg_heard(struct leg *l, const struct path *from)
{
	struct b2bua *b = l->call->b;

	if (!l->follows_flow || (addr_eq(&from->remote, &l->path.remote) && from->transport == l->path.transport &&
	                         from->flow == l->path.flow && from->listener == l->path.listener))
		return true;
	if (from->transport != l->path.transport || !addr_eq_ip(&from->remote, &l->path.remote)) {
		if (l->is_tied && leg_asks(l, from))
			return true;
		counter_inc(&b->counters, FLOWS_KEPT);
		return false;
	}
	counter_inc(&b->counters, FLOWS_MOVED);
	l->path = *from;
	return true;
}

/* 503 would say that a server failed, and servers draw conclusions from that: it is one client that cannot be reached. */
enum why leg_lost(const struct leg *l)
{
	if (!l->follows_flow)
		return WHY_UNREACHABLE;
	counter_inc(&l->call->b->counters, FLOWS_GONE);
	return WHY_FLOW_GONE;
}

/* Gateways that rewrite the Via of one request and not of the next leave nothing to match by but what RFC 2543 had (§17.2.3). */
bool cancel_strayed(struct b2bua *b, const struct request *r)
{
	const struct view *v = r->v;
	uint64_t id = token_leg_id(b->p.tokens, b->conf->zones[path_zone(b, r->from)].name, view_value(v, HDR_CALL_ID), view_from_tag(v),
	                           view_uri(v));
	struct leg *l = leg_find(b, id);
	struct setup *s = l && l->side == NEAR ? l->call->setup : NULL;

	if (!s || !s->st || l->call->cseq != v->cseq || l->call->method != M_INVITE || !leg_heard(l, r->from) || !l->follows_flow)
		return false;
	counter_inc(&b->counters, CANCELS_STRAYED);
	sip_answer_stateless(b->p.stack, v, r->from, 200, SV(""), SV("cancelled"), SV(""));
	setup_server_ops.on_cancel(s, s->st);
	return true;
}
