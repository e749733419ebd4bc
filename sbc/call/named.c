/* sbc/call/named.c - finding whom a request names: read here, looked up on the worker that holds it (DECISIONS 10, 20). */
#include "sbc/call/move.h"
#include "sbc/call/transfer.h"
#include "sbc/call/waiting.h"
#include "topohide/dialoginfo.h"
#include <errno.h>
#include <stdlib.h>

/* Reading ---------------------------------------------------------------------------------------------------------- */

static bool is_dialog_name(unsigned header)
{
	return header == HDR_REPLACES || header == HDR_JOIN || header == HDR_TARGET_DIALOG;
}

bool names_anybody(const struct view *v)
{
	if (v->method == M_ACK || v->method == M_BYE || v->method == M_CANCEL || v->method == M_PRACK)
		return false;
	if (v->method == M_REFER || (v->body_len && v->method != M_INVITE && watch_is_told(v)))
		return true;
	return view_has(v, HDR_REPLACES) || view_has(v, HDR_JOIN) || view_has(v, HDR_TARGET_DIALOG);
}

struct names *names_get(struct names *n)
{
	if (n)
		n->refs++;
	return n;
}

const struct end *names_end(const struct names *n, struct sv call_id, struct sv to_tag, struct sv from_tag)
{
	for (unsigned i = 0; n && i < n->n; i++) {
		const struct name *x = &n->name[i];

		if (x->is_known && x->header == HDR_CONTENT_TYPE && sv_eq(x->call_id, call_id) && sv_eq(x->to_tag, to_tag) &&
		    sv_eq(x->from_tag, from_tag))
			return &x->end;
	}
	return NULL;
}

void names_put(struct names *n)
{
	if (!n || --n->refs)
		return;
	for (unsigned i = 0; i < n->n; i++)
		free(n->name[i].end.text);
	free(n);
}

/* The tokens in a dialog's identifiers. One of the tags is ours, or all three are a TOKEN_TRANSFER each, which agree. */
static void name_tokens(struct b2bua *b, struct name *x)
{
	struct token own, ours;

	if (token_read(b->p.tokens, TOKEN_TRANSFER, x->call_id, &x->token) == 0) {
		x->is_transfer = true;
		x->is_asked = token_read(b->p.tokens, TOKEN_TRANSFER, x->to_tag, &own) ||
		              token_read(b->p.tokens, TOKEN_TRANSFER, x->from_tag, &ours) || own.id != ~ours.id;
		x->check = x->is_asked ? 0 : own.id;
		return;
	}
	if (token_read(b->p.tokens, TOKEN_TAG, x->to_tag, &x->token) == 0)
		return; /* of a call through us twice both may be: then this is the one */
	x->is_swapped = true;
	x->is_asked = token_read(b->p.tokens, TOKEN_TAG, x->from_tag, &x->token); /* nothing of ours: unknown */
}

/* `value`, unescaped into `o` if it was embedded, as one more name. 0 or -EBADMSG. */
static int name_dialog(struct b2bua *b, struct names *n, struct out *o, unsigned header, bool is_embedded, struct sv value)
{
	char *from = o->at;
	struct dialog_ref ref;
	struct name *x;

	if (is_embedded)
		o->at += unescape_to(o->at, value); /* there is room for all values */
	else
		out_sv(o, value);
	if (n->n == NAMES_MAX || dialog_ref_parse(NULL, &ref, sv_span(from, o->at)))
		return -EBADMSG;
	x = &n->name[n->n++];
	*x = (struct name){ .header = (uint8_t)header, .is_embedded = is_embedded, .is_early_only = ref.is_early_only,
	                    .call_id = ref.call_id, .to_tag = ref.to_tag, .from_tag = ref.from_tag };
	name_tokens(b, x);
	return 0;
}

/* A Contact of ours as Refer-To's URI stands for somebody, too. */
static int name_contact(struct b2bua *b, struct names *n, const struct uri *u)
{
	struct name x = { .header = HDR_REFER_TO };

	if (u->scheme != URI_SIP && u->scheme != URI_SIPS)
		return 0;
	if (token_read(b->p.tokens, TOKEN_LEG, u->user, &x.token)) {
		if (token_read(b->p.tokens, TOKEN_TRANSFER, u->user, &x.token))
			return 0;
		x.is_transfer = true;
	}
	if (n->n == NAMES_MAX)
		return -EBADMSG;
	n->name[n->n++] = x;
	return 0;
}

/* RFC 3515 §2.1: exactly one Refer-To, and a URI. */
static int name_refer_to(struct b2bua *b, struct names *n, struct out *o, const struct view *v)
{
	const struct hdr *h = view_find(v, HDR_REFER_TO, 0);
	struct sv headers, name, value;
	struct name_addr na;
	struct uri u;

	if (!h || view_find(v, HDR_REFER_TO, (unsigned)(h - v->h) + 1) || name_addr_parse(&na, hdr_value(v, h)) || na.is_star ||
	    uri_parse(&u, na.uri) || name_contact(b, n, &u))
		return -EBADMSG;
	headers = u.headers;
	while (uri_header_next(&headers, &name, &value)) {
		unsigned id = hdr_id_parse(name);

		if (is_dialog_name(id) && name_dialog(b, n, o, id, true, value))
			return -EBADMSG;
	}
	return 0;
}

struct body_reader {
	struct b2bua *b;
	struct names *n;
	struct out *o;
};

/* A dialog of a body as a Replaces would name it that comes of it: its own tag is what the other end calls to-tag. Those that have nothing
 * of ours are not asked for. */
static void name_in_body(void *ctx, const struct dialoginfo_names *d)
{
	const struct body_reader *r = ctx;
	struct names *n = r->n;
	struct sv part[] = { d->call_id, d->local_tag, d->remote_tag };
	struct out o = *r->o;
	struct name *x;

	for (unsigned i = 0; i < 3; i++) {
		char *from = o.at;

		out_sv(&o, part[i]);
		part[i] = sv_span(from, o.at);
	}
	if (n->n == NAMES_MAX || o.is_full || !d->call_id.len)
		return;
	x = &n->name[n->n];
	*x = (struct name){ .header = HDR_CONTENT_TYPE, .call_id = part[0], .to_tag = part[1], .from_tag = part[2] };
	name_tokens(r->b, x);
	if (x->is_asked || x->is_transfer)
		return;
	n->n++;
	*r->o = o;
}

static unsigned count_of(const struct names *n, unsigned header, bool is_embedded)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n->n; i++)
		count += n->name[i].header == header && n->name[i].is_embedded == is_embedded;
	return count;
}

static bool contradicts(const struct names *n, bool is_embedded)
{
	return count_of(n, HDR_REPLACES, is_embedded) + count_of(n, HDR_JOIN, is_embedded) > 1 ||
	       count_of(n, HDR_TARGET_DIALOG, is_embedded) > 1;
}

/* RFC 3891 §3, RFC 3911 §4: one of Replaces and Join, and only in an INVITE that begins a dialog. */
static void read_names(struct b2bua *b, const struct view *v, struct names *n, struct out *o)
{
	bool begins_call = v->method == M_INVITE && !view_to_tag(v).len;

	for (unsigned i = 0; i < v->n && n->why == WHY_COUNT; i++)
		if (is_dialog_name(v->h[i].id) &&
		    ((!begins_call && v->h[i].id != HDR_TARGET_DIALOG) || name_dialog(b, n, o, v->h[i].id, false, hdr_value(v, &v->h[i]))))
			n->why = WHY_BAD_DIALOG_NAME;
	if (n->why == WHY_COUNT && v->method == M_REFER && name_refer_to(b, n, o, v))
		n->why = WHY_BAD_REFER_TO;
	if (n->why == WHY_COUNT && watch_is_told(v))
		watch_each(v, name_in_body, &(struct body_reader){ b, n, o });
	if (n->why == WHY_COUNT && (contradicts(n, false) || contradicts(n, true)))
		n->why = WHY_BAD_DIALOG_NAME;
}

static size_t text_of(const struct view *v)
{
	size_t len = 0;

	for (unsigned i = 0; i < v->n; i++)
		if (is_dialog_name(v->h[i].id) || v->h[i].id == HDR_REFER_TO)
			len += v->h[i].value_len;
	if (watch_is_told(v))
		len += v->body_len < NAMES_BODY_MAX ? v->body_len : NAMES_BODY_MAX;
	return len;
}

static struct names *names_new(struct b2bua *b, const struct request *r)
{
	size_t room = text_of(r->v);
	bool is_too_long = room > NAMES_TEXT_MAX;
	struct names *n = malloc(sizeof(*n) + (is_too_long ? 0 : room));
	struct out o;

	if (!n)
		return NULL;
	*n = (struct names){ .refs = 1, .home = b->p.worker, .zone = path_zone(b, r->from),
	                     .why = is_too_long ? WHY_BAD_DIALOG_NAME : WHY_COUNT };
	out_init(&o, n->text, room);
	if (!is_too_long)
		read_names(b, r->v, n, &o);
	return n;
}

/* Looking up ------------------------------------------------------------------------------------------------------- */

static struct dialog *dialog_with_id(struct call *c, uint64_t id)
{
	list_each(node, &c->dialogs)
		if (owner_of(node, struct dialog, in_call)->in_table.key == id)
			return owner_of(node, struct dialog, in_call);
	return NULL;
}

/* With the tags turned over it is the other end that is meant: who was told of a dialog by one end takes it over at the other (RFC 5359
 * §2.16). */
static struct dialog *dialog_of_transfer(struct b2bua *b, const struct name *x, uint16_t zone, struct leg **end)
{
	uint64_t mask = token_zone_mask(b->p.tokens, b->conf->zones[zone].name);
	struct leg *l = leg_find(b, x->token.id ^ mask);
	struct dialog *d = l ? dialog_with_id(l->call, x->check ^ mask) : NULL, *turned = NULL;

	if (l && !d)
		d = turned = dialog_with_id(l->call, ~x->check ^ mask);
	if (!d || (l->side == FAR && d->far != l))
		return NULL;
	*end = !turned ? l : l->side == NEAR ? d->far : &l->call->near;
	return d;
}

/* Of any of the legs of this id: those of a fork share it. */
static struct dialog *dialog_by_tag(struct call *c, uint64_t leg, struct sv far_tag)
{
	list_each(n, &c->dialogs) {
		struct dialog *d = owner_of(n, struct dialog, in_call);

		if (d->far->in_table.key == leg && sv_eq(dialog_tag(d), far_tag))
			return d;
	}
	return NULL;
}

/* By the identifiers of a leg: `ours` has been read, `other` is the remote's tag. The one who names it has to be in the leg's zone. */
static struct dialog *dialog_of_leg(struct b2bua *b, const struct name *x, uint16_t zone, struct leg **at)
{
	struct sv other = x->is_swapped ? x->to_tag : x->from_tag;
	struct link *link = table_find(&b->dialogs, x->token.id);
	struct dialog *d = link ? owner_of(link, struct dialog, in_table) : NULL;
	struct leg *l = d ? &d->call->near : leg_find(b, x->token.id);

	if (!l || !sv_eq(leg_call_id(l), x->call_id) || path_zone(b, &l->path) != zone)
		return NULL;
	*at = l;
	if (d)
		return sv_eq(tag_of(leg_remote(l)), other) ? d : NULL;
	d = l->side == FAR ? dialog_by_tag(l->call, x->token.id, other) : NULL;
	*at = d ? d->far : l;
	return d;
}

static bool end_set(struct b2bua *b, struct end *e, const struct leg *l, const struct dialog *d)
{
	char token[TOKEN_LEN];
	uint64_t tag_id = l->side == NEAR && d ? d->in_table.key : l->in_table.key;
	const struct sv part[] = { leg_call_id(l), l->side == NEAR ? tag_of(leg_remote(l)) : dialog_tag(d),
		                   tag_token(b, l->shard, tag_id, token), l->side == NEAR ? leg_target(l) : dialog_target(d) };
	struct out o;
	size_t len = 0;

	for (unsigned i = 0; i < 4; i++)
		len += part[i].len;
	if (!(e->text = malloc(len)))
		return false;
	out_init(&o, e->text, len);
	for (unsigned i = 0; i < 4; i++)
		out_sv(&o, part[i]);
	e->leg = l->in_table.key;
	e->dialog = d ? d->in_table.key : 0;
	e->shard = l->shard;
	e->path = l->path;
	e->zone = path_zone(b, &l->path);
	e->slot = l->has_slot ? (uint16_t)(l->slot + 1) : 0;
	e->call_id_len = (uint16_t)part[0].len;
	e->own_len = (uint16_t)part[1].len;
	e->ours_len = (uint16_t)part[2].len;
	e->target_len = (uint16_t)part[3].len;
	return true;
}

static bool begins_in_its_place(unsigned header)
{
	return header == HDR_REPLACES || header == HDR_JOIN;
}

static void name_look_up(struct b2bua *b, struct names *n, struct name *x)
{
	struct dialog *d = NULL;
	struct leg *l = NULL;

	if (x->header == HDR_REFER_TO) {
		l = direct_leg(b, x->token, x->is_transfer, n->zone, &d);
	} else if (x->is_transfer) {
		d = dialog_of_transfer(b, x, n->zone, &l);
		l = d ? l : NULL;
	} else if ((d = dialog_of_leg(b, x, n->zone, &l))) {
		if (!x->is_swapped) /* who is to get it is at the other end */
			l = l->side == NEAR ? d->far : &d->call->near;
	} else {
		l = NULL;
	}
	if (l && begins_in_its_place(x->header) && (l->call->is_kept || l->call->method != M_INVITE))
		l = NULL; /* only a subscription is left of it, or was ever there */
	x->is_asked = true;
	if (l && !(x->is_known = end_set(b, &x->end, l, d)))
		n->has_no_memory = true;
	if (l && x->is_known && is_dialog_name(x->header))
		move_named(l->call);
}

/* Answers what this worker holds, and sends them on to the next or home. 0: they are at home, and all is answered. */
static int names_travel(struct b2bua *b, struct names *n)
{
	unsigned to = n->home;

	for (unsigned i = 0; i < n->n; i++) {
		struct name *x = &n->name[i];

		if (!x->is_asked && x->token.shard % b->p.workers == b->p.worker)
			name_look_up(b, n, x);
		if (!x->is_asked && to == n->home)
			to = x->token.shard % b->p.workers;
	}
	if (to == b->p.worker)
		return 0;
	return b->p.send(b->p.ctx, to, &n->errand) ? -ENOBUFS : -EINPROGRESS;
}

/* Going on --------------------------------------------------------------------------------------------------------- */

/* RFC 3891 §3: a call that is to be replaced or joined has to be there. A Refer-To has to lead somewhere; Target-Dialog only helps, and
 * so does a body. */
static enum why judge(const struct names *n)
{
	if (n->why != WHY_COUNT)
		return n->why;
	for (unsigned i = 0; i < n->n; i++) {
		const struct name *x = &n->name[i];

		if (x->is_known || x->header == HDR_TARGET_DIALOG || x->header == HDR_CONTENT_TYPE)
			continue;
		return n->has_no_memory ? WHY_FULL : x->is_embedded || x->header == HDR_REFER_TO ? WHY_REFER_UNKNOWN : WHY_TRANSFER;
	}
	return WHY_COUNT;
}

static void go_on(struct b2bua *b, const struct request *r, struct names *n)
{
	struct request request = *r;

	n->why = judge(n);
	request.names = n;
	b2bua_dispatch(b, &request);
	names_put(n);
}

/* Takes the names. */
static void names_are_here(struct b2bua *b, struct request *r, void *with)
{
	if (r)
		go_on(b, r, with);
	else
		names_put(with);
}

void names_arrive(struct b2bua *b, struct names *n)
{
	int err = names_travel(b, n);
	struct waiting *w = err ? NULL : waiting_find(b, n->ticket);

	if (w)
		waiting_end(w, names_are_here, n);
	else if (err != -EINPROGRESS) /* given up meanwhile, or lost on its way: who waits has a deadline */
		names_put(n);
}

/* What would have to wait and cannot. */
static void refuse_unnamed(struct b2bua *b, const struct request *r)
{
	struct names none = { .refs = 2, .why = WHY_FULL }; /* nobody frees it */
	struct request request = *r;

	counter_inc(&b->counters, NAMES_UNANSWERED);
	request.names = &none;
	b2bua_dispatch(b, &request);
}

void names_request(struct b2bua *b, const struct request *r)
{
	struct names *n = names_new(b, r);
	int err;

	if (!n) {
		refuse_unnamed(b, r);
		return;
	}
	n->ticket = ++b->last_ticket;
	if (n->why != WHY_COUNT || (err = names_travel(b, n)) == 0) {
		go_on(b, r, n);
		return;
	}
	if (err == -EINPROGRESS) {
		counter_inc(&b->counters, NAMES_ASKED);
		/* the names are on their way, and answer to their ticket when they are back */
		if (!waiting_new(b, r, b->last_ticket, WHY_NAMES_LATE, NAMES_UNANSWERED))
			refuse_unnamed(b, r);
		return;
	}
	names_put(n);
	refuse_unnamed(b, r);
}

const struct end *names_end_in(const struct names *n, uint16_t zone)
{
	for (unsigned i = 0; n && i < n->n; i++)
		if (n->name[i].is_known && !n->name[i].is_embedded && is_dialog_name(n->name[i].header) && n->name[i].end.zone == zone)
			return &n->name[i].end;
	return NULL;
}
