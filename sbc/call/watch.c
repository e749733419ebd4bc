/* sbc/call/watch.c - what somebody who watches dialogs (RFC 4235) is told of those on the other side: not by the identifiers they have
 * there, and not by addresses of there. */
#include "sbc/call/call.h"
#include "topohide/dialoginfo.h"
#include <errno.h>

struct watch {
	struct b2bua *b;
	struct hide *h;
	const struct leg *to;       /* NULL: it is only looked at */
	struct arena *arena;
	char names[4][SV_HEX];
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
		*name = sv_hex(hash_bytes(token_hash_key(w->b->p.tokens), name->p, name->len), w->names[which]);
}

static void map_names(void *ctx, struct dialoginfo_names *n)
{
	struct watch *w = ctx;

	if (hide_names_inside(w->h, n->id) || (n->call_id.len && sv_find(n->id, n->call_id) != SIZE_MAX))
		hash_name(w, 3, &n->id); /* often made of the Call-ID */
	hash_name(w, 0, &n->call_id);
	hash_name(w, 1, &n->local_tag);
	hash_name(w, 2, &n->remote_tag);
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
	const struct conf_zone *z = &c->zones[w->to ? path_zone(w->b, &w->to->path) : w->h->zone];

	return z->n_domains ? z->domains[0] : w->to ? c->listeners[w->to->path.listener].advertise : SV("");
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

void watch_out(struct compose *c, struct hide *h, const struct leg *to, struct sv body)
{
	struct arena arena;
	struct watch w = { .b = c->b, .h = h, .to = to, .arena = &arena };

	arena_init(&arena, NULL, 0, WATCH_MEMORY_MAX);
	if (watch_map(&w, body, &body))
		c->o.is_full = true;
	else
		out_body(&c->o, body);
	arena_reset(&arena);
}
