/* sbc/call/watch.c - what somebody who watches the other side is told of it. Dialogs (RFC 4235) not by the identifiers they have there;
 * and nothing by addresses of there. */
#include "sbc/call/transfer.h"
#include "sip/multipart.h"
#include "topohide/dialoginfo.h"
#include <errno.h>

struct watch {
	struct b2bua *b;
	struct hide *h;
	const struct compose *c;    /* NULL: it is only looked at */
	struct arena *arena;
	unsigned words;             /* looked through so far */
	struct end_names known;
	char hashed[4][SV_HEX];
};

struct watch_reader {
	void (*fn)(void *ctx, const struct dialoginfo_names *n);
	void *ctx;
};

static bool is_dialog_info(struct sv type)
{
	return sv_ieq(type, SV("application/dialog-info+xml"));
}

/* Parts of parts: a report in there would not be found. */
static bool has_parts(const struct part *p)
{
	return p->type.len > 10 && sv_ieq((struct sv){ p->type.p, 10 }, SV("multipart/")) &&
	       sv_find(p->body, SV("dialog-info")) != SIZE_MAX;
}

/* A report alone, or among others: that of a list (RFC 4662). */
bool watch_is_told(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);
	struct multipart m;
	struct part p;

	if (!v->body_len || is_dialog_info(sv_trim((struct sv){ type.p, sv_chr(type, ';') })))
		return v->body_len;
	if (!multipart_begin(&m, type, view_body(v)))
		return false;
	while (multipart_next(&m, &p))
		if (is_dialog_info(p.type) || has_parts(&p))
			return true;
	return false;
}

static bool names_inside(struct watch *w, struct sv text)
{
	bool is_inside;

	w->h->runs = 0; /* its bound is for one header, ours for the whole */
	is_inside = w->words > WATCH_WORDS_MAX || hide_names_inside(w->h, text);
	w->words += w->h->runs;
	return is_inside;
}

/* Bodies of packages that name people and places in words: XML, and the state of a mailbox (RFC 3842). */
static bool is_worded(struct sv type)
{
	return sv_ieq(type, SV("application/simple-message-summary")) || (type.len > 4 && sv_ieq(sv_skip(type, type.len - 4), SV("+xml")));
}

bool watch_maps(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);
	bool is_package = !v->status && (v->method == M_NOTIFY || v->method == M_PUBLISH);
	struct multipart m;

	if (!is_package || !v->body_len)
		return watch_is_told(v);
	return is_worded(sv_trim((struct sv){ type.p, sv_chr(type, ';') })) || multipart_begin(&m, type, SV(""));
}

/* The beginning of `text` that is looked at in one piece: it ends where no host name does. */
static struct sv piece_of(struct sv text)
{
	size_t len = text.len < WATCH_PIECE ? text.len : WATCH_PIECE;

	while (len < text.len && !strchr(" \t\r\n<>\",;", text.p[len]))
		len++;
	return (struct sv){ text.p, len };
}

static int mask_words(struct watch *w, struct out *o, struct sv text)
{
	while (text.len) {
		struct sv piece = piece_of(text);

		text = sv_skip(text, piece.len);
		if (!names_inside(w, piece)) {
			out_sv(o, piece);
			continue;
		}
		w->h->runs = 0;
		if (w->words > WATCH_WORDS_MAX || !hide_mask(o, w->h, piece))
			return -EPERM;
	}
	return 0;
}

/* What maps a body: reports of dialogs by `d`, words for `w`, which is NULL where only the reports are read. */
struct mapping {
	struct watch *w;
	struct arena *arena;
	const struct dialoginfo *d;
	bool has_words;             /* of a package: they are masked too */
};

static int map_part(struct out *o, const struct mapping *m, const struct part *p)
{
	bool has_words = m->w && m->has_words;
	int err = 0;

	if (has_words)
		err = mask_words(m->w, o, p->headers);
	else
		out_sv(o, p->headers);
	out_str(o, p->headers.len ? "\r\n\r\n" : "\r\n");
	if (err)
		return err;
	if (has_parts(p) || (is_dialog_info(p->type) && p->is_encoded))
		return -EBADMSG;
	if (is_dialog_info(p->type))
		return dialoginfo_map(o, p->body, m->arena, m->d);
	if (has_words && is_worded(p->type))
		return mask_words(m->w, o, p->body);
	out_sv(o, p->body);
	return 0;
}

/* Each part after the other; what stands before the first and behind the last ends here. */
static int map_parts(struct out *o, struct multipart *parts, const struct mapping *m)
{
	struct part p;
	int err = 0;

	while (!err && multipart_next(parts, &p)) {
		out_lit(o, "--");
		out_sv(o, parts->boundary);
		out_lit(o, "\r\n");
		err = map_part(o, m, &p);
		out_lit(o, "\r\n");
	}
	out_lit(o, "--");
	out_sv(o, parts->boundary);
	out_lit(o, "--\r\n");
	return err ? err : parts->is_over ? 0 : -EBADMSG;
}

static int map_body(struct out *o, const struct view *v, const struct mapping *m)
{
	struct multipart parts;

	if (multipart_begin(&parts, view_value(v, HDR_CONTENT_TYPE), view_body(v)))
		return map_parts(o, &parts, m);
	return watch_is_told(v) ? dialoginfo_map(o, view_body(v), m->arena, m->d) : mask_words(m->w, o, view_body(v));
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

	if (names_inside(w, n->id) || (n->call_id.len && sv_find(n->id, n->call_id) != SIZE_MAX))
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
	map_body(&nowhere, v, &(struct mapping){ .arena = &arena, .d = &m });
	arena_reset(&arena);
}

static bool is_token(struct watch *w, struct sv user)
{
	struct token t;

	return token_read(w->b->p.tokens, TOKEN_LEG, user, &t) == 0;
}

/* A URI whose host is the receiver's way to the other side: his own domain, or us. Its parameters are about the way there, too. */
static bool map_uri(struct watch *w, const struct uri *u, struct sv user, struct out *o)
{
	if (names_inside(w, user))
		return false;
	out_sv(o, u->scheme_text);
	out_lit(o, ":");
	if (user.len) {
		out_sv(o, user);
		out_lit(o, "@");
	}
	out_sv(o, hide_domain(w->b->conf, w->h->to_zone, w->h->agent));
	return true;
}

static bool map_value(void *ctx, struct sv *text)
{
	struct watch *w = ctx;
	struct sv trimmed = sv_trim(*text);
	size_t room = 4 * trimmed.len + VIEW_NAME_MAX;
	struct uri u = { .user = SV("") };
	bool is_uri = uri_parse(&u, trimmed) == 0 && (u.scheme == URI_SIP || u.scheme == URI_SIPS), is_shown;
	struct sv user = is_uri && is_token(w, u.user) ? SV("") : u.user;
	struct out o;
	char *area;

	if (!names_inside(w, *text) && (!is_uri || user.len == u.user.len))
		return true;
	if (w->words > WATCH_WORDS_MAX || !(area = arena_alloc(w->arena, room)))
		return false;
	out_init(&o, area, room);
	w->h->runs = 0;
	is_shown = is_uri ? map_uri(w, &u, user, &o) : hide_mask(&o, w->h, trimmed);
	*text = out_done(&o);
	return is_shown && !o.is_full;
}

/* 0 and the body in `*out`, or as dialoginfo_map(). */
static int watch_map(struct watch *w, struct sv *out)
{
	const struct dialoginfo m = { .ctx = w, .names = map_names, .value = map_value };
	const struct view *v = w->h->v;
	char *area = arena_alloc(w->arena, NET_MESSAGE_MAX);
	struct out o;
	int err;

	if (!area)
		return -ENOMEM;
	out_init(&o, area, NET_MESSAGE_MAX);
	err = map_body(&o, v, &(struct mapping){ .w = w, .arena = w->arena, .d = &m,
	                                         .has_words = !v->status && (v->method == M_NOTIFY || v->method == M_PUBLISH) });
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

	if (!watch_maps(v))
		return WHY_COUNT;
	arena_init(&arena, NULL, 0, WATCH_MEMORY_MAX);
	hide_from(&h, b, v, from);
	err = watch_map(&w, &body);
	arena_reset(&arena);
	if (!err)
		return WHY_COUNT;
	counter_inc(&b->counters, BODIES_REFUSED);
	return err == -ENOMEM ? WHY_FULL : WHY_BODY;
}

void watch_out(struct compose *c, struct hide *h)
{
	struct sv body;
	struct arena arena;
	struct watch w = { .b = c->b, .h = h, .c = c, .arena = &arena };

	arena_init(&arena, NULL, 0, WATCH_MEMORY_MAX);
	if (watch_map(&w, &body))
		c->o.is_full = true;
	else
		out_body(&c->o, body);
	arena_reset(&arena);
}
