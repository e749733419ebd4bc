/* sbc/call/initial.c - requests that begin something: what is wrong with them, what the rules say. One way for INVITE and for
 * every other method; where it goes is dial.c. */
#include "sbc/call/caller.h"
#include "sbc/call/fork.h"
#include "sbc/call/locate.h"
#include "sbc/call/pass.h"
#include "sbc/call/transfer.h"
#include "sbc/call/sips.h"
#include "sbc/call/trunk.h"
#include "apps-router/route.h"
#include <errno.h>
#include <stdlib.h>

bool wants_extension(const struct view *v)
{
	return v->first[HDR_PROXY_REQUIRE] && v->method != M_ACK && v->method != M_CANCEL;
}

struct sv refusal_line(const struct b2bua *b, enum why why, const struct request *r, char area[UNSUPPORTED_MAX])
{
	const struct view *v = r->v;
	struct out o;

	if (why == WHY_SESSION_SHORT)
		return session_min_line(b, r->from, area);
	if (why == WHY_TRUNK_FULL || why == WHY_TRUNK_FAST)
		return trunk_retry_line(area);
	if (why != WHY_EXTENSION)
		return sips_warning(b, why, r->from, area);
	out_init(&o, area, UNSUPPORTED_MAX);
	out_lit(&o, "Unsupported: ");
	out_unfolded(&o, view_value(v, HDR_PROXY_REQUIRE));
	out_lit(&o, "\r\n");
	return o.is_full ? SV("") : out_done(&o);
}

void refuse_with(struct b2bua *b, const struct request *r, enum why why, unsigned status, struct sv lines)
{
	const struct reason *reason = &call_reasons[why];
	char tag[TOKEN_LEN];
	uint64_t id;

	status = status ? status : reason->status;
	counter_inc(&b->counters, CALLS_REFUSED);
	counter_inc(&b->reasons, why);
	log_debug(b->p.log, "request.refused", "status=%u reason=%s", status, reason->id);
	if (r->v->method == M_ACK)
		return;
	/* One answer without state, the same for each repetition of the request (§8.2.7, DECISIONS 32): a forged source gets no more
	 * out of us than it put in. */
	id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));
	sip_answer_stateless(b->p.stack, r->v, r->from, status, sv_from(reason->phrase), tag_token(b, r->shard, id, tag), lines);
}

void refuse(struct b2bua *b, const struct request *r, enum why why, unsigned status)
{
	char area[UNSUPPORTED_MAX];

	refuse_with(b, r, why, status, refusal_line(b, why, r, area));
}

/* DECISIONS 18. */
static void answer_options(struct b2bua *b, const struct request *r)
{
	char tag[TOKEN_LEN];
	uint64_t id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));

	if (b->is_closed) {
		refuse(b, r, WHY_CLOSING, 0);
		return;
	}
	sip_answer_stateless(b->p.stack, r->v, r->from, 200, SV(""), tag_token(b, r->shard, id, tag),
	                     SV("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, NOTIFY, REFER, "
	                        "PUBLISH\r\n"
	                        "Accept: application/sdp\r\nSupported: 100rel, timer, replaces, join, tdialog, norefersub\r\n"));
}

static struct sv query_header(void *ctx, struct sv name)
{
	const struct view *v = ctx;
	enum hdr_id id = hdr_id_parse(name);
	const struct hdr *h = id == HDR_OTHER ? view_find_name(v, name, 0) : view_find(v, id, 0);

	return h ? hdr_value(v, h) : (struct sv){ NULL, 0 };
}

/* Routes that are left when ours are taken off: from an untrusted source nobody chooses our next hop (DECISIONS 15). */
static bool has_foreign_route(const struct b2bua *b, const struct request *r)
{
	uint16_t zone = path_zone(b, r->from);
	struct name_addr na;
	struct uri u;

	for (unsigned i = r->v->first[HDR_ROUTE]; i && i <= r->v->n; i++) {
		struct sv rest = hdr_value(r->v, &r->v->h[i - 1]);

		if (r->v->h[i - 1].id != HDR_ROUTE)
			continue;
		while (name_addr_next(&na, &rest) == 0)
			if (uri_parse(&u, na.uri) || !route_host_is_ours(b->conf, zone, u.host, u.port))
				return true;
	}
	return false;
}

/* Somebody will have to be reached within it. */
static bool begins_dialog(uint8_t method)
{
	return method == M_INVITE || method == M_SUBSCRIBE || method == M_REFER;
}

/* What is wrong with a request before any rule is asked; WHY_COUNT = nothing. */
static enum why initial_fault(struct b2bua *b, const struct request *r, struct uri *uri, struct sv *contact)
{
	struct sv hops = view_value(r->v, HDR_MAX_FORWARDS);
	uint64_t n;

	if (uri_parse(uri, view_uri(r->v)))
		return WHY_BAD_URI;
	if (uri->scheme != URI_SIP && uri->scheme != URI_SIPS && uri->scheme != URI_TEL)
		return WHY_SCHEME;
	if (uri->scheme == URI_SIPS && sips_fault(b, r->from) != WHY_COUNT)
		return sips_fault(b, r->from);
	if (hops.p && sv_u64(hops, 255, &n) == 0 && n == 0)
		return WHY_HOPS;
	if (wants_extension(r->v))
		return WHY_EXTENSION;
	if (!contact_read(r->v, contact))
		return WHY_BAD_CONTACT;
	if (begins_dialog(r->v->method) && !contact->p)
		return WHY_NO_CONTACT;
	if (r->v->method == M_INVITE && session_is_short(b, r->from, r->v))
		return WHY_SESSION_SHORT;
	if (names_fault(r) != WHY_COUNT)
		return names_fault(r);
	if (!is_trusted(b, r->from) && has_foreign_route(b, r))
		return WHY_FOREIGN_ROUTE;
	return r->v->method != M_INVITE && r->v->body_len ? watch_fault(b, r->v, r->from) : WHY_COUNT;
}

static enum why route_why(const char *reason)
{
	for (unsigned i = 0; i < WHY_COUNT; i++)
		if (!strcmp(call_reasons[i].id, reason))
			return i;
	return WHY_RULE;
}

static int setup_new(struct call *c, const struct request *r)
{
	struct b2bua *b = c->b;
	struct setup *s = slab_alloc(&b->setups);

	if (!s)
		return -ENOMEM;
	s->call = c;
	s->has_offer = r->v->body_len != 0;
	if (session_speaks(r->v))
		session_read(&s->session, r->v);
	s->why = WHY_NO_DESTINATION;
	if (!(s->request = buf_copy_in(b->p.stack->bufs, (struct sv){ r->v->base, r->v->len }))) {
		slab_free(&b->setups, s);
		return -ENOMEM;
	}
	c->setup = s;
	return 0;
}

static void setup_by_rule(struct setup *s, const struct conf_route *rule)
{
	const struct conf *c = s->call->b->conf;
	const struct conf_pool *pool = rule->action == ACT_POOL ? &c->pools[rule->pool] :
	                               s->passing ? passing_pool(s->call->b, s->passing) : NULL;

	s->rule = rule;
	s->conf_gen = c->gen;
	s->after_ms = pool ? pool->failover.after_ms : 0;
	s->answer_ms = pool ? pool->answer_timeout_ms : rule->answer_timeout_ms ? rule->answer_timeout_ms : CALL_DIRECT_ANSWER_MS;
	s->max_duration_ms = rule->max_duration_ms;
	s->follows = rule->follows_redirects;
	if (s->call->b->policies.is_on)
		s->call->policy = policies_hold(&s->call->b->policies, (unsigned)(rule - c->routes));
	if (pool)
		memcpy(s->pool, pool->name.p, pool->name.len < sizeof(s->pool) ? pool->name.len : sizeof(s->pool) - 1);
}

static void setup_cancelled(void *owner, struct server_txn *st)
{
	struct setup *s = owner;
	char tag[TOKEN_LEN];
	struct call *c = s->call;
	struct node *first = c->dialogs.next;
	uint64_t id = first == &c->dialogs ? c->near.in_table.key : owner_of(first, struct dialog, in_call)->in_table.key;

	server_answer(st, 487, SV(""), tag_token(c->b, c->shard, id, tag), SV(""));
	c->status = 487;
	call_finish(c, WHY_CANCELLED);
}

static void setup_st_end(void *owner, struct server_txn *st)
{
	(void)st;
	((struct setup *)owner)->st = NULL;
}

const struct server_ops setup_server_ops = { .on_cancel = setup_cancelled, .on_end = setup_st_end };

/* §8.2.2.2: the same request on another way. Of requests that begin no dialog, one with another CSeq is another request; a second INVITE
 * would begin the dialog that the first one is about to begin. WHY_COUNT: neither that nor one of too many. */
static enum why merged_why(const struct b2bua *b, const struct view *v, uint64_t id)
{
	unsigned n = 0;

	for (struct link *l = table_find(&b->legs, id); l; l = table_next(&b->legs, l)) {
		const struct call *c = owner_of(l, struct leg, in_table)->call;

		if (c && (c->cseq == v->cseq || (c->method == M_INVITE && v->method == M_INVITE && !c->is_kept)))
			return WHY_MERGED;
		if (++n == CALLS_ALIKE_MAX)
			return WHY_ALIKE;
	}
	return WHY_COUNT;
}

/* RFC 3261 §16.3 step 4: a server that passed our request on as a proxy sent it back to us (it kept our Call-ID), for the same
 * user, by the same zone and to the same rule as that request had come: it would go round for ever. The first time round is a
 * spiral, a call of its own; a server that makes new calls of ours is stopped by Max-Forwards. */
static bool is_loop(struct b2bua *b, const struct request *r, const struct conf_route *rule)
{
	struct sv call_id = view_value(r->v, HDR_CALL_ID);
	const struct setup *s;
	struct view_fault fault;
	struct leg *l;
	struct token far;
	struct view v;

	if (call_id.len != TOKEN_LEN || token_read(b->p.tokens, TOKEN_LEG, call_id, &far) || !(l = leg_find(b, far.id)) || l->side != FAR)
		return false;
	s = l->call->setup;
	return s && s->rule == rule && s->conf_gen == b->conf->gen && path_zone(b, &l->call->near.path) == path_zone(b, r->from) &&
	       !view_scan(&v, s->request->data, s->request->len, false, &fault) && sv_eq(view_uri(&v), view_uri(r->v));
}

/* By a rule, perhaps to where the one called is registered; without one to what a token stands for. 0, or as fork_new. */
static int setup_aim(struct setup *s, const struct request *r, const struct conf_route *rule)
{
	s->standing = located_standing(r->located);
	if (rule && rule->when.caller <= CALLER_AUTHENTICATED && !rule->when.trunk.len)
		s->standing |= CALLER_IS_AUTHENTICATED; /* it fits him: it is to do so after a reload, too */
	if ((s->located = located_get(r->located)) && r->located->caller_binding)
		leg_tie(s->call->b, &s->call->near, r->located->caller.key, r->located->caller_binding);
	s->passing = r->passing;
	if (rule)
		setup_by_rule(s, rule);
	else
		s->answer_ms = CALL_DIRECT_ANSWER_MS;
	return (rule ? rule->action == ACT_LOCATION : r->is_binding) ? fork_new(s, r->located, r->v) : 0;
}

/* A client's registrations have From-tags of their own each, but should be one line of requests for the registrar behind us, which goes
 * by Call-ID (RFC 3261 §10.3 step 7). */
static struct sv id_tag(const struct request *r)
{
	return r->passing ? SV("") : view_from_tag(r->v);
}

void start_call(struct b2bua *b, const struct request *r, struct sv contact, const struct conf_route *rule, struct direct *direct)
{
	struct sv zone = b->conf->zones[path_zone(b, r->from)].name;
	uint64_t id = token_leg_id(b->p.tokens, zone, view_value(r->v, HDR_CALL_ID), id_tag(r),
	                           view_uri(r->v));
	enum why merged = merged_why(b, r->v, id);
	bool is_full = r->v->method == M_SUBSCRIBE && usages_are_full(b);
	struct call *c = merged != WHY_COUNT || is_full ? NULL : call_new(b, r, id, contact);
	int err = 0;

	if (!c || (b->conf->n_trunks && (err = trunk_admit(c, r))) || setup_new(c, r) || (err = setup_aim(c->setup, r, rule)) ||
	    server_new(b->p.stack, r->v, r->from, r->key, &c->setup->st)) {
		free(direct);
		if (!c || !c->setup || !c->setup->passing) /* nobody has taken it yet */
			passing_free(r->passing);
		if (c)
			call_free(c);
		refuse(b, r, merged != WHY_COUNT ? merged : err == -E2BIG ? WHY_BREADTH : trunk_why(err), 0);
		return;
	}
	c->setup->direct = direct;
	if ((c->setup->names = names_get(r->names)) && direct)
		r->names->goes_to = direct->leg;
	server_own(c->setup->st, &setup_server_ops, c->setup);
	counter_inc(&b->counters, r->v->method == M_INVITE ? CALLS_STARTED : REQUESTS_RELAYED);
	if (r->v->method == M_INVITE)
		server_answer(c->setup->st, 100, SV(""), SV(""), SV(""));
	dial(c->setup, r->v);
}

struct route_query query_of(const struct b2bua *b, const struct view *v, const struct path *from, const struct conf_trunk *trunk)
{
	return (struct route_query){ .zone = path_zone(b, from), .source = from->remote, .method = view_method(v),
	                             .is_trusted = is_trusted(b, from), .header = query_header, .ctx = (void *)v,
	                             .trunk = trunk ? trunk->name : SV("") };
}

/* Why it goes no further though a rule matches; WHY_COUNT: it does. */
static enum why rule_fault(const struct request *r, const struct conf_route *rule)
{
	if (!rule)
		return WHY_NO_ROUTE;
	if (rule->action != ACT_POOL && rule->action != ACT_LOCATION)
		return WHY_NOT_ACTIVE;
	if (r->located && rule->when.caller < CALLER_TRUSTED && !located_owns(r->located, r->v))
		return WHY_NOT_OWNER;
	if (rule->action == ACT_POOL || (r->located && r->located->n))
		return WHY_COUNT;
	if (r->located && r->located->has_no_memory)
		return WHY_FULL;
	return r->located && r->located->callee_is_ours ? WHY_NOT_REGISTERED : WHY_NO_ROUTE;
}

void initial_request(struct b2bua *b, const struct request *r)
{
	struct route_query q = query_of(b, r->v, r->from, b->conf->n_trunks ? trunk_of(b, r) : NULL);
	struct route_result result;
	struct sv contact = { 0 };
	enum why why;

	if (r->is_contact) {
		trunk_contact(b, r);
		return;
	}
	why = initial_fault(b, r, &q.uri, &contact);
	if (why != WHY_COUNT) {
		refuse(b, r, why, 0);
		return;
	}
	if (r->v->method == M_OPTIONS && route_is_for_us(b->conf, q.zone, &q.uri)) {
		answer_options(b, r);
		return;
	}
	if (b->is_closed) {
		refuse(b, r, WHY_CLOSING, 0);
		return;
	}
	if (r->has_leg) {
		struct direct *direct = direct_find(b, r);

		if (direct)
			start_call(b, r, contact, NULL, direct);
		else
			refuse(b, r, WHY_UNKNOWN_TARGET, 0);
		return;
	}
	if (r->is_binding && r->v->method != M_REGISTER && pass_request(b, r, &q.uri, contact))
		return;
	if (b->conf->asks && !r->located && r->v->method != M_REGISTER && locate(b, r, &q.uri))
		return;
	standing_tell(located_standing(r->located), &q);
	route_find(b->conf, &q, &result);
	if (result.wants_caller && !q.trunk.len && !caller_admits(b, r, &q, &result))
		return;
	if (result.status)
		refuse(b, r, route_why(result.reason), result.status);
	else if (result.rule && result.rule->action == ACT_REGISTRAR)
		register_request(b, r, &q.uri, result.rule);
	else if ((why = rule_fault(r, result.rule)) != WHY_COUNT)
		refuse(b, r, why, 0);
	else if (is_loop(b, r, result.rule))
		refuse(b, r, WHY_LOOP, 0);
	else
		start_call(b, r, contact, result.rule, NULL);
}
