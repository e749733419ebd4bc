/* sbc/call/watch.c - what somebody who watches dialogs (RFC 4235) is told of those on the other side: not by the identifiers they have
 * there, and not by addresses of there. */
#include "sbc/call/transfer.h"
#include "topohide/dialoginfo.h"
#include <errno.h>

struct watch {
	struct b2bua *b;
	struct hide *h;
	const struct compose *c;    /* NULL: it is only looked at */
	struct arena *arena;
	struct end_names known;
	char hashed[4][SV_HEX];
};

struct watch_reader {
	void (*fn)(void *ctx, const struct dialoginfo_names *n);
	void *ctx;
};

bool watch_is_told(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);

	return v->body_len && sv_ieq(sv_trim((struct sv){ type.p, sv_chr(type, ';') }), SV("application/dialog-info+xml"));
}

/* A name that says nothing, the same each time, so that one report can be told from the next. */
static void hash_name(struct watch *w, unsigned which, struct sv *name)
{
	if (name->len)
		*name = sv_hex(hash_bytes(token_hash_key(w->b->p.tokens), name->p, name->len), w->hashed[which]);
}

/* A dialog that we hold is named as whoever is to take it over has to name it (DECISIONS 10). */
static void map_names(void *ctx, struct dialoginfo_names *n)
{
	struct watch *w = ctx;
	const struct end *e = w->c ? names_end(w->c->names, n->call_id, n->local_tag, n->remote_tag) : NULL;

	if (hide_names_inside(w->h, n->id) || (n->call_id.len && sv_find(n->id, n->call_id) != SIZE_MAX))
		hash_name(w, 3, &n->id); /* often made of the Call-ID */
	if (!e) {
		hash_name(w, 0, &n->call_id);
		hash_name(w, 1, &n->local_tag);
		hash_name(w, 2, &n->remote_tag);
		return;
	}
	transfer_names(w->c, e, &w->known);
	n->call_id = w->known.call_id;
	n->local_tag = w->known.own;
	n->remote_tag = w->known.ours;
}

static void read_names(void *ctx, struct dialoginfo_names *n)
{
	const struct watch_reader *r = ctx;

	r->fn(r->ctx, n);
}

static bool pass_value(void *ctx, struct sv *text)
{
	(void)ctx;
	(void)text;
	return true;
}

void watch_each(const struct view *v, void (*fn)(void *ctx, const struct dialoginfo_names *n), void *ctx)
{
	struct watch_reader r = { fn, ctx };
	const struct dialoginfo m = { .ctx = &r, .names = read_names, .value = pass_value };
	struct arena arena;
	struct out nowhere;
	char area[1];

	arena_init(&arena, NULL, 0, WATCH_MEMORY_MAX);
	out_init(&nowhere, area, 0);
	dialoginfo_map(&nowhere, view_body(v), &arena, &m);
	arena_reset(&arena);
}

static bool is_token(struct watch *w, struct sv user)
{
	struct token t;

	return token_read(w->b->p.tokens, TOKEN_LEG, user, &t) == 0;
}

/* Where the receiver reaches the other side: at his own domain, or at us. */
static struct sv shown_host(const struct watch *w)
{
	const struct conf *c = w->b->conf;
	const struct path *to = w->c ? &w->c->to->path : NULL;
	const struct conf_zone *z = &c->zones[to ? path_zone(w->b, to) : w->h->zone];

	return z->n_domains ? z->domains[0] : to ? c->listeners[to->listener].advertise : SV("");
}

static bool map_value(void *ctx, struct sv *text)
{
	struct watch *w = ctx;
	struct sv trimmed = sv_trim(*text), host;
	struct uri u;
	struct out o;
	char *area;
	bool is_uri = uri_parse(&u, trimmed) == 0 && (u.scheme == URI_SIP || u.scheme == URI_SIPS);
	struct sv user = is_uri && is_token(w, u.user) ? SV("") : u.user;

	if (!hide_names_inside(w->h, *text) && (!is_uri || user.len == u.user.len))
		return true;
	if (!is_uri || hide_names_inside(w->h, user))
		return false;
	host = shown_host(w);
	if (!(area = arena_alloc(w->arena, trimmed.len + host.len)))
		return false;
	out_init(&o, area, trimmed.len + host.len);
	out_sv(&o, u.scheme_text);
	out_lit(&o, ":");
	if (user.len) {
		out_sv(&o, user);
		out_lit(&o, "@");
	}
	out_sv(&o, host);
	*text = out_done(&o);
	return !o.is_full;
}

/* 0 and the body in `*out`, or as dialoginfo_map(). */
static int watch_map(struct watch *w, struct sv body, struct sv *out)
{
	const struct dialoginfo m = { .ctx = w, .names = map_names, .value = map_value };
	char *area = arena_alloc(w->arena, NET_MESSAGE_MAX);
	struct out o;
	int err;

	if (!area)
		return -ENOMEM;
	out_init(&o, area, NET_MESSAGE_MAX);
	err = dialoginfo_map(&o, body, w->arena, &m);
	*out = out_done(&o);
	return err ? err : o.is_full ? -EMSGSIZE : 0;
}

enum why watch_fault(struct b2bua *b, const struct view *v, const struct path *from)
{
	struct arena arena;
	struct hide h;
	struct watch w = { .b = b, .h = &h, .arena = &arena };
	struct sv body;
	int err;

	if (!watch_is_told(v))
		return WHY_COUNT;
	arena_init(&arena, NULL, 0, WATCH_MEMORY_MAX);
	hide_from(&h, b, v, from);
	err = watch_map(&w, view_body(v), &body);
	arena_reset(&arena);
	if (!err)
		return WHY_COUNT;
	counter_inc(&b->counters, BODIES_REFUSED);
	return err == -ENOMEM ? WHY_FULL : WHY_BODY;
}

void watch_out(struct compose *c, struct hide *h, struct sv body)
{
	struct arena arena;
	struct watch w = { .b = c->b, .h = h, .c = c, .arena = &arena };

	arena_init(&arena, NULL, 0, WATCH_MEMORY_MAX);
	if (watch_map(&w, body, &body))
		c->o.is_full = true;
	else
		out_body(&c->o, body);
	arena_reset(&arena);
}
