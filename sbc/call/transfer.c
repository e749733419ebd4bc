/* sbc/call/transfer.c - how whom a message names is written for who gets it (DECISIONS 10): by the identifiers of his own leg if he is
 * the remote that is meant, else by tokens that only mean something when they come back to us. And what else a transfer tells: who
 * asked for it, and how it goes on. */
#include "sbc/call/transfer.h"

/* The remote that is meant gets the message: the leg says so, or its destination, or where it is (DECISIONS 10). */
static bool is_for_remote(const struct compose *c, const struct end *e)
{
	const struct leg *to = c->to;
	const struct path *a = &to->path, *b = &e->path;

	if (to->in_table.key == e->leg || (c->names && c->names->goes_to == e->leg))
		return true;
	if (path_zone(c->b, a) != e->zone || !addr_eq_ip(&a->remote, &b->remote))
		return false;
	if (to->has_slot && e->slot == to->slot + 1)
		return true;
	return a->transport == b->transport && a->remote.port == b->remote.port && a->flow == b->flow;
}

static const struct name *name_of(const struct names *n, unsigned header, bool is_embedded)
{
	for (unsigned i = 0; n && i < n->n; i++)
		if (n->name[i].header == header && n->name[i].is_embedded == is_embedded)
			return n->name[i].is_known ? &n->name[i] : NULL;
	return NULL;
}

static uint64_t zone_mask(const struct compose *c)
{
	return token_zone_mask(c->b->p.tokens, c->b->conf->zones[path_zone(c->b, &c->to->path)].name);
}

static struct sv transfer_token(const struct compose *c, uint16_t shard, uint64_t id, char area[TOKEN_LEN])
{
	token_write(c->b->p.tokens, TOKEN_TRANSFER, (struct token){ .id = id, .shard = shard }, area);
	return (struct sv){ area, TOKEN_LEN };
}

/* A dialog as the receiver knows it, or by three tokens: its leg, itself, and itself turned over. */
void transfer_names(const struct compose *c, const struct end *e, struct end_names *out)
{
	bool is_known = is_for_remote(c, e);
	uint64_t mask = zone_mask(c), id = e->dialog ^ mask;

	out->call_id = is_known ? end_call_id(e) : transfer_token(c, e->shard, e->leg ^ mask, out->area[0]);
	out->own = is_known ? end_own(e) : transfer_token(c, e->shard, id, out->area[1]);
	out->ours = is_known ? end_ours(e) : transfer_token(c, e->shard, ~id, out->area[2]);
}

static void out_dialog(struct out *o, const struct compose *c, const struct name *x)
{
	bool is_target = x->header == HDR_TARGET_DIALOG;
	struct end_names names = { .call_id = SV("") };

	transfer_names(c, &x->end, &names);
	out_sv(o, names.call_id);
	out_str(o, is_target ? ";local-tag=" : ";to-tag=");
	out_sv(o, names.own);
	out_str(o, is_target ? ";remote-tag=" : ";from-tag=");
	out_sv(o, names.ours);
	if (x->is_early_only)
		out_lit(o, ";early-only");
}

static bool dialog_line(struct compose *c, struct out *o, unsigned header)
{
	const struct name *x = name_of(c->names, header, false);

	if (!x)
		return false;
	out_str(o, hdr_id_name((enum hdr_id)header));
	out_lit(o, ": ");
	out_dialog(o, c, x);
	out_lit(o, "\r\n");
	return true;
}

/* Refer-To and Referred-By ------------------------------------------------------------------------------------------ */

static bool is_token(struct compose *c, struct sv user)
{
	struct token t;

	return token_read(c->b->p.tokens, TOKEN_LEG, user, &t) == 0 || token_read(c->b->p.tokens, TOKEN_TRANSFER, user, &t) == 0;
}

static void out_param(struct out *o, const struct uri *u, const char *name)
{
	struct sv value;

	if (!param_find(u->params, sv_from(name), &value))
		return;
	out_lit(o, ";");
	out_str(o, name);
	if (value.len) {
		out_lit(o, "=");
		out_sv(o, value);
	}
}

/* Whoever stands for `x` towards the receiver. */
static void out_contact(struct compose *c, const struct name *x, const struct uri *u)
{
	if (is_for_remote(c, &x->end))
		out_sv(&c->o, end_target(&x->end));
	else
		compose_our_uri(c, c->to, TOKEN_TRANSFER, (struct token){ .id = x->end.leg ^ zone_mask(c), .shard = x->end.shard });
	out_param(&c->o, u, "method");
}

/* A URI without its headers. Whoever is addressed at a host of the sending side is reached through us. False: it cannot be shown. */
static bool out_uri(struct compose *c, struct hide *h, const struct uri *u, struct sv text)
{
	bool is_sip = u->scheme == URI_SIP || u->scheme == URI_SIPS;
	struct sv user = is_sip && is_token(c, u->user) ? SV("") : u->user;

	if (!hide_names_inside(h, text) && user.len == u->user.len) {
		out_sv(&c->o, text);
		return true;
	}
	if (!is_sip || hide_names_inside(h, user))
		return false;
	out_sv(&c->o, u->scheme_text);
	out_lit(&c->o, ":");
	if (user.len) {
		out_sv(&c->o, user);
		out_lit(&c->o, "@");
	}
	compose_our_host(c, c->to);
	out_param(&c->o, u, "user");
	out_param(&c->o, u, "method");
	return true;
}

static void out_embedded(struct compose *c, struct hide *h, struct sv headers)
{
	char area[NAMES_TEXT_MAX];
	char between = '?';
	struct sv name, value;

	while (uri_header_next(&headers, &name, &value)) {
		unsigned id = hdr_id_parse(name);
		bool is_dialog = hide_class_of((enum hdr_id)id) == HIDE_DIALOG;
		const struct name *x = is_dialog ? name_of(c->names, id, true) : NULL;
		struct out text;

		out_init(&text, area, sizeof(area));
		if (x)
			out_dialog(&text, c, x);
		else
			text.at += unescape_to(text.at, value.len < sizeof(area) ? value : SV(""));
		if ((is_dialog && !x) || hide_names_inside(h, x ? SV("") : out_done(&text))) {
			counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
			continue;
		}
		out_sv(&c->o, (struct sv){ &between, 1 });
		between = '&';
		out_sv(&c->o, name);
		out_lit(&c->o, "=");
		if (x)
			out_uri_header(&c->o, out_done(&text));
		else
			out_sv(&c->o, value);
	}
}

static bool address_line(struct compose *c, struct hide *h, const struct hdr *hdr, struct sv value)
{
	const struct name *x = hdr->id == HDR_REFER_TO ? name_of(c->names, HDR_REFER_TO, false) : NULL;
	struct name_addr na;
	struct uri u;

	if (name_addr_parse(&na, value) || na.is_star || uri_parse(&u, na.uri))
		return false;
	out_str(&c->o, hdr_id_name((enum hdr_id)hdr->id));
	out_lit(&c->o, ": ");
	if (na.display.len && !hide_names_inside(h, na.display)) {
		out_sv(&c->o, na.display);
		out_lit(&c->o, " ");
	}
	out_lit(&c->o, "<");
	if (x)
		out_contact(c, x, &u);
	else if (!out_uri(c, h, &u, uri_to_request(&u, na.uri)))
		return false;
	out_embedded(c, h, u.headers);
	out_lit(&c->o, ">");
	if (!hide_names_inside(h, na.params))
		out_sv(&c->o, na.params);
	out_lit(&c->o, "\r\n");
	return true;
}

bool transfer_line(void *ctx, struct out *o, struct hide *h, const struct hdr *hdr)
{
	struct compose *c = ctx;
	char *begin = o->at;
	bool is_written = hide_class_of((enum hdr_id)hdr->id) == HIDE_DIALOG ? dialog_line(c, o, hdr->id)
	                                                                    : address_line(c, h, hdr, hdr_value(h->v, hdr));

	if (!is_written)
		o->at = begin;
	return is_written;
}

/* How it goes on ---------------------------------------------------------------------------------------------------- */

static bool is_status_line(struct sv line, unsigned *status)
{
	uint64_t n;

	if (line.len < 11 || !sv_ieq((struct sv){ line.p, 8 }, SV("SIP/2.0 ")) || sv_u64((struct sv){ line.p + 8, 3 }, 699, &n) || n < 100)
		return false;
	*status = (unsigned)n;
	return line.len == 11 || line.p[11] == ' ';
}

/* Lines behind the first: what is of one leg only, or names somebody there. */
static bool tells_too_much(struct hide *h, struct sv lines)
{
	struct sv rest = lines;

	while (rest.len) {
		size_t end = sv_chr(rest, '\n');
		struct sv line = { rest.p, end };
		enum hide_class class = hide_class_of(hdr_id_parse(sv_trim((struct sv){ line.p, sv_chr(line, ':') })));

		if (class != HIDE_PASS && class != HIDE_UNKNOWN && class != HIDE_CHECKED && class != HIDE_OPTIONS)
			return true;
		rest = sv_skip(rest, end + 1);
	}
	return hide_names_inside(h, lines);
}

struct sv transfer_frag(struct hide *h, struct sv body, char area[TRANSFER_FRAG_MAX])
{
	struct sv type = view_value(h->v, HDR_CONTENT_TYPE), line;
	size_t end = sv_chr(body, '\n');
	unsigned status;
	struct out o;

	if (!sv_ieq(sv_trim((struct sv){ type.p, sv_chr(type, ';') }), SV("message/sipfrag")) || !body.len)
		return body;
	line = sv_trim((struct sv){ body.p, end });
	if (!is_status_line(line, &status))
		return tells_too_much(h, body) ? SV("") : body;
	if (hide_names_inside(h, line)) {
		out_init(&o, area, TRANSFER_FRAG_MAX);
		out_lit(&o, "SIP/2.0 ");
		out_u64(&o, status);
		out_lit(&o, " ");
		out_str(&o, status_phrase(status));
		out_lit(&o, "\r\n");
		return out_done(&o);
	}
	return tells_too_much(h, sv_skip(body, end + 1)) ? (struct sv){ body.p, end + (end < body.len) } : body;
}
