/* sbc/call/compose.c - the messages we write: our own lines first, then what may pass of the other leg's. */
#include "sbc/call/sips.h"
#include "sbc/call/transfer.h"
#include "sbc/call/trunk.h"
#include "nat/detect.h"
#include <errno.h>

struct sv tag_token(struct b2bua *b, uint16_t shard, uint64_t id, char out[TOKEN_LEN])
{
	token_write(b->p.tokens, TOKEN_TAG, (struct token){ .id = id, .shard = shard }, out);
	return (struct sv){ out, TOKEN_LEN };
}

static void token_out(struct compose *c, enum token_kind kind, uint16_t shard, uint64_t id)
{
	char text[TOKEN_LEN];

	token_write(c->b->p.tokens, kind, (struct token){ .id = id, .shard = shard }, text);
	out_sv(&c->o, (struct sv){ text, TOKEN_LEN });
}

static const struct conf_listener *listener_of(const struct b2bua *b, const struct path *p)
{
	return &b->conf->listeners[p->listener];
}

static void tagged_line(struct out *o, struct sv name, struct sv value, struct sv tag)
{
	out_sv(o, name);
	out_sv(o, value);
	if (tag.len) {
		out_lit(o, ";tag=");
		out_sv(o, tag);
	}
	out_lit(o, "\r\n");
}

/* Request-URI and Route of a target and a route set. A first route without `lr` is a strict router: it takes the Request-URI, and the
 * target goes to the end (§12.2.1.1). */
static void target_lines(struct compose *c, const struct outgoing *m, struct sv *uri, struct sv *routes, bool *is_strict)
{
	struct sv rest = m->routes;
	struct name_addr first;
	struct uri u;

	*uri = m->uri;
	*routes = m->routes;
	*is_strict = rest.len && name_addr_next(&first, &rest) == 0 && uri_parse(&u, first.uri) == 0 &&
	             !uri_has_param(&u, SV("lr"));
	if (*is_strict) {
		*uri = uri_to_request(&u, first.uri);
		*routes = sv_trim(rest);
	}
	out_sv(&c->o, m->method);
	out_lit(&c->o, " ");
	out_sv(&c->o, *uri);
	out_lit(&c->o, " SIP/2.0\r\n");
}

static void route_line(struct compose *c, const struct outgoing *m, struct sv routes, bool is_strict)
{
	if (!routes.len && !is_strict)
		return;
	out_lit(&c->o, "Route: ");
	out_sv(&c->o, routes);
	if (is_strict) {
		out_str(&c->o, routes.len ? ", <" : "<");
		out_sv(&c->o, m->uri);
		out_lit(&c->o, ">");
	}
	out_lit(&c->o, "\r\n");
}

void compose_request(struct compose *c, const struct outgoing *m)
{
	const struct leg *l = m->leg;
	const struct conf_listener *listener = listener_of(c->b, &l->path);
	struct sv uri, routes;
	bool is_strict;

	out_init(&c->o, c->b->p.stack->scratch, SIP_SCRATCH);
	target_lines(c, m, &uri, &routes, &is_strict);
	out_lit(&c->o, "Via: SIP/2.0/");
	out_str(&c->o, transport_name(l->path.transport));
	out_lit(&c->o, " ");
	out_sv(&c->o, listener->advertise);
	out_lit(&c->o, ";branch=z9hG4bK");
	token_out(c, TOKEN_BRANCH, l->shard, m->branch_id);
	out_lit(&c->o, "\r\nMax-Forwards: ");
	out_u64(&c->o, m->max_forwards);
	out_lit(&c->o, "\r\n");
	route_line(c, m, routes, is_strict);
	tagged_line(&c->o, SV("From: "), leg_local(l), m->local_tag);
	tagged_line(&c->o, SV("To: "), leg_remote(l), m->remote_tag);
	out_lit(&c->o, "Call-ID: ");
	out_sv(&c->o, leg_call_id(l));
	out_lit(&c->o, "\r\nCSeq: ");
	out_u64(&c->o, m->cseq);
	out_lit(&c->o, " ");
	out_sv(&c->o, m->method);
	out_lit(&c->o, "\r\n");
}

/* `u` stays as it is when the URI is `known`. */
static struct sv contact_target(const struct name_addr *na, struct sv known, struct uri *u)
{
	if (na->is_star)
		return (struct sv){ NULL, 0 };
	if (known.len && sv_eq(na->uri, known))
		return na->uri;
	if (uri_parse(u, na->uri) || (u->scheme != URI_SIP && u->scheme != URI_SIPS))
		return (struct sv){ NULL, 0 };
	return uri_to_request(u, na->uri);
}

struct sv contact_uri_parsed(const struct view *v, struct sv known, struct uri *u)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na;

	u->host = SV("");
	if (!value.len || name_addr_next(&na, &value))
		return (struct sv){ NULL, 0 };
	return contact_target(&na, known, u);
}

struct sv contact_uri_again(const struct view *v, struct sv known)
{
	struct uri u;

	return contact_uri_parsed(v, known, &u);
}

struct sv contact_uri(const struct view *v)
{
	return contact_uri_again(v, SV(""));
}

bool contact_read(const struct view *v, struct sv *contact)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na;
	struct uri u;

	*contact = (struct sv){ NULL, 0 };
	if (!value.p)
		return true;
	if (name_addr_next(&na, &value))
		return false;
	if (v->method != M_REGISTER)
		*contact = contact_target(&na, SV(""), &u);
	return true;
}

void compose_our_host(struct compose *c, const struct leg *leg)
{
	out_sv(&c->o, listener_of(c->b, &leg->path)->advertise);
	if (leg->path.transport != T_UDP && !(leg->is_sips && leg->path.transport == T_TLS)) { /* goes without saying: RFC 5630 §3.1.4 */
		out_lit(&c->o, ";transport=");
		out_str(&c->o, leg->path.transport == T_TCP ? "tcp" : leg->path.transport == T_TLS ? "tls" : "ws");
	}
}

void compose_our_uri(struct compose *c, const struct leg *leg, enum token_kind kind, struct token t)
{
	if (leg->is_sips)
		out_lit(&c->o, "sips:");
	else
		out_lit(&c->o, "sip:");
	token_out(c, kind, t.shard, t.id);
	out_lit(&c->o, "@");
	compose_our_host(c, leg);
}

static void contact_begin(struct compose *c, const struct leg *leg)
{
	out_lit(&c->o, "Contact: <");
	compose_our_uri(c, leg, TOKEN_LEG, (struct token){ .id = leg->in_table.key, .shard = leg->shard });
	out_lit(&c->o, ">");
}

void compose_own_contact(struct compose *c, const struct leg *leg)
{
	contact_begin(c, leg);
	out_lit(&c->o, "\r\n");
}

void compose_contact(struct compose *c, const struct leg *leg, const struct view *v, const struct path *from)
{
	struct sv value = view_value(v, HDR_CONTACT);
	bool is_bare = value.len && value.p[value.len - 1] == '>' && sv_chr(value, ',') == value.len; /* one, no parameters */
	struct name_addr na;
	struct hide h;

	if (!value.len || (!is_bare && name_addr_next(&na, &value)))
		return;
	contact_begin(c, leg);
	if (!is_bare) {
		hide_from(&h, c->b, v, from);
		hide_contact_params(&c->o, &h, na.params);
	}
	out_lit(&c->o, "\r\n");
}

void hide_from(struct hide *h, struct b2bua *b, const struct view *v, const struct path *from)
{
	hide_begin(h, b->index, path_zone(b, from), &from->remote, v, &b->hide_counters);
}

struct sv compose_address(struct b2bua *b, struct arena *a, const struct view *v, const struct path *from, struct sv value)
{
	struct hide h;

	if (hide_address_is_plain(value))
		return value;
	hide_from(&h, b, v, from);
	return hide_address(a, &h, value);
}

struct sv compose_phrase(struct b2bua *b, const struct view *v, const struct path *from)
{
	struct sv phrase = view_sv(v, v->phrase, v->phrase_len);
	struct hide h;

	if (sv_eq(phrase, sv_from(status_phrase(v->status))))
		return phrase;
	hide_from(&h, b, v, from);
	return hide_names_inside(&h, phrase) ? SV("") : phrase;
}

void out_body(struct out *o, struct sv body)
{
	out_lit(o, "Content-Length: ");
	out_u64(o, body.len);
	out_lit(o, "\r\n\r\n");
	out_sv(o, body);
}

/* The headers as the rules want them; the body that goes with them. */
static struct sv compose_by_rules(struct compose *c, struct hide *h, const struct leg *to, struct sv body)
{
	struct policy_run run = { .policies = &c->b->policies, .hide = h, .set = to->call ? to->call->policy : 0,
		                      .to_far = to->side == FAR, .call_id = leg_call_id(to) };

	policy_headers(&c->o, &run);
	return policy_body(&c->o, &run, body);
}

void compose_rest(struct compose *c, const struct view *v, const struct path *from, const struct leg *to)
{
	char area[TRANSFER_FRAG_MAX];
	struct sv body = view_body(v);
	struct hide h;

	hide_from(&h, c->b, v, from);
	h.to_zone = path_zone(c->b, &to->path);
	h.is_trusted = is_trusted(c->b, from);
	h.trusts_receiver = is_trusted(c->b, &to->path);
	h.agent = listener_of(c->b, &to->path)->advertise;
	h.line = transfer_line;
	h.ctx = c;
	if (c->rewrite)
		h.rewrite = rewrite_identity;
	c->to = to;
	if (c->b->policies.is_on)
		body = compose_by_rules(c, &h, to, body);
	else
		hide_headers(&c->o, &h);
	if (body.len && v->method != M_INVITE && watch_maps(v)) {
		watch_out(c, &h);
		return;
	}
	if (body.len && !sv_eq(view_value(v, HDR_CONTENT_TYPE), SV("application/sdp"))) {
		body = transfer_frag(&h, body, area);
		if (v->method == M_INVITE && watch_is_told(v) && hide_names_inside(&h, body))
			body = SV(""); /* a report of dialogs has no place there, and nobody maps it */
	}
	out_body(&c->o, body);
}

struct buf *compose_done(struct compose *c)
{
	return c->o.is_full ? NULL : buf_copy_in(c->b->p.stack->bufs, out_done(&c->o));
}

/* RFC 3326: why we end it, in words that name nobody. */
void compose_reason(struct compose *c, enum why why)
{
	out_lit(&c->o, "Reason: SIP;cause=");
	out_u64(&c->o, call_reasons[why].status ? call_reasons[why].status : 480);
	out_lit(&c->o, ";text=\"");
	out_str(&c->o, call_reasons[why].id);
	out_lit(&c->o, "\"\r\n");
}

struct sv route_set(struct arena *a, const struct view *v, bool is_reversed)
{
	struct sv all[64];
	struct name_addr na;
	unsigned n = 0;
	size_t len = 0;
	char *text, *at;

	for (unsigned i = v->first[HDR_RECORD_ROUTE]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]);

		if (v->h[i - 1].id != HDR_RECORD_ROUTE)
			continue;
		while (n < 64 && name_addr_next(&na, &rest) == 0) {
			all[n++] = na.whole;
			len += na.whole.len + 2;
		}
	}
	if (!n || !(text = at = arena_alloc(a, len)))
		return SV("");
	for (unsigned i = 0; i < n; i++) {
		struct sv one = all[is_reversed ? n - 1 - i : i];
		struct out o;

		out_init(&o, at, one.len + 2);
		out_unfolded(&o, one);
		if (i + 1 < n)
			out_lit(&o, ", ");
		at = o.at;
	}
	return sv_span(text, at);
}

/* Whom to ask for the address of `u`, a SIP URI. -EBADMSG: it contradicts itself. */
static int hop_of(const struct leg *l, const struct uri *u, struct resolve_query *q)
{
	uint8_t usual = hop_transport(u, q);
	struct addr addr;

	if (usual == T_NONE)
		return -EBADMSG;
	if (usual == T_WS && l->path.transport == T_WSS) /* URIs have no other word for it: RFC 7118 §5 */
		usual = q->transport = T_WSS;
	if (l->is_sips && !transport_is_secure(usual))
		return 0; /* it stays where it is rather than be led into the open */
	q->port = u->port;
	if (addr_parse(&addr, u->host) == 0) {
		addr.port = u->port ? u->port : resolve_default_port(usual);
		if (addr_eq(&addr, &l->path.remote) && usual == l->path.transport)
			return 0;
	}
	q->host = u->host;
	return 0;
}

void hop_learn(struct dialog *d, const struct uri *target)
{
	struct resolve_query q = { .host = SV("") };

	if (!target->host.len || d->far->follows_flow)
		return;
	if (d->routes_len) {
		struct sv routes = dialog_routes(d);
		struct name_addr na;
		struct uri u;

		if (name_addr_next(&na, &routes) == 0 && uri_parse(&u, na.uri) == 0)
			leg_strays(d->far, u.host);
		return;
	}
	if (hop_of(d->far, target, &q))
		return;
	if (!q.host.len)
		d->hop = (struct hop){ d->far->path.remote, d->far->path.transport, true };
	else
		leg_strays(d->far, target->host);
}

int next_hop(const struct leg *l, struct sv target, struct sv routes, struct resolve_query *q)
{
	struct name_addr na;
	struct uri u;
	struct sv hop = target;
	int err;

	*q = (struct resolve_query){ .host = SV(""), .is_foreign = true };
	if (l->follows_flow)
		return 0;
	if (routes.len && name_addr_next(&na, &routes) == 0)
		hop = na.uri;
	if (uri_parse(&u, hop) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
		return -EBADMSG;
	err = hop_of(l, &u, q);
	if (q->host.len && nat_is_invalid(q->host)) /* RFC 7118 §5, RFC 6761 §6.4: nobody is there, and nobody is to be asked */
		q->host = SV("");
	return err;
}

int path_to(const struct b2bua *b, struct path *path, uint16_t zone, uint8_t transport, const struct addr *to)
{
	int listener = conf_listener_for(b->conf, zone, transport, to->family);

	if (listener < 0)
		return -EAFNOSUPPORT;
	*path = (struct path){ .remote = *to, .listener = (uint16_t)listener, .transport = transport };
	return 0;
}

struct path path_at_hand(const struct b2bua *b, const struct leg *l, struct sv target, struct sv routes)
{
	uint16_t zone = path_zone(b, &l->path);
	struct path path = l->path;
	struct resolve_answer a;
	struct resolve_query q;
	struct addr to;
	uint64_t id;

	if (next_hop(l, target, routes, &q) || !q.host.len || addr_parse(&to, q.host))
		return path;
	if (hop_resolve(b, zone, &q, &a, NULL, NULL, &id) == 0 && /* a number: at once */
	    path_to_answer(b, &path, zone, &a, 0) == 0)
		path_expect(b, &path, q.host);
	return path;
}

bool path_outgrown(const struct b2bua *b, struct path *path, size_t len)
{
	const struct conf *c = b->conf;
	uint16_t zone = path_zone(b, path);

	if (len <= SIP_DATAGRAM_MAX || path->transport != T_UDP)
		return false;
	for (uint32_t i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];

		if (d->transport == T_TCP && d->is_numeric && c->pools[d->pool].zone == zone && addr_eq_ip(&d->addr, &path->remote))
			return path_to(b, path, zone, T_TCP, &d->addr) == 0;
	}
	counter_inc(&b->p.stack->counters, SIP_TOO_LARGE);
	return false;
}

struct outgoing own_request(const struct dialog *d, enum side to, struct sv method, uint32_t cseq, char tag[TOKEN_LEN])
{
	struct call *call = d->call;
	const struct leg *l = to == NEAR ? &call->near : d->far;

	return (struct outgoing){
		.method = method, .leg = l, .cseq = cseq, .max_forwards = 70,
		.branch_id = token_branch_id(call->b->p.tokens, l->in_table.key, l->branch, cseq),
		.uri = to == NEAR ? leg_target(l) : dialog_target(d), .routes = to == NEAR ? leg_routes(l) : dialog_routes(d),
		.local_tag = to == NEAR ? tag_token(call->b, call->shard, d->in_table.key, tag) : SV(""),
		.remote_tag = to == NEAR ? SV("") : dialog_tag(d),
	};
}

int send_bye(struct dialog *d, enum side to, enum why why)
{
	struct call *call = d->call;
	struct compose c = { .b = call->b };
	struct leg *l = to == NEAR ? &call->near : d->far;
	SCOPED(buf_putp) struct buf *b = NULL;
	struct client_txn *ct;
	char tag[TOKEN_LEN];
	int err;
	struct outgoing m = own_request(d, to, SV("BYE"), ++l->local_cseq, tag);

	l->path = path_at_hand(call->b, l, m.uri, m.routes);
	compose_request(&c, &m);
	compose_reason(&c, why);
	out_lit(&c.o, "Content-Length: 0\r\n\r\n");
	if (!(b = compose_done(&c)))
		return -ENOMEM;
	if ((err = client_start(call->b->p.stack, m.branch_id, M_BYE, &l->path, b, NULL, NULL, &ct)))
		return err;
	if (call->b->conf->n_trunks)
		trunk_watch(call->b, l, m.cseq, ct);
	return 0;
}
