/* topohide/dialoginfo.c - a reader of as much XML as dialog-info bodies need: elements, attributes, text and references. Nothing is
 * expanded but single characters, and every loop ends with the body. */
#include "topohide/dialoginfo.h"
#include <errno.h>

struct attribute {
	struct sv space, name, value; /* space: what stands before the name */
	char quote;
};

struct reader {
	struct sv rest;
	struct out *o;
	struct arena *arena;
	const struct dialoginfo *m;
	unsigned depth, n_elements, n;
	bool has_root;
	struct sv open[DIALOGINFO_DEPTH_MAX];
	struct attribute at[DIALOGINFO_ATTRIBUTES_MAX];
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '-' || c == '.' || c == ':' ||
	       (unsigned char)c >= 0x80;
}

static bool begins(struct sv text, struct sv with)
{
	return text.len >= with.len && memcmp(text.p, with.p, with.len) == 0;
}

/* From the reader's place, `n` bytes. */
static struct sv take(struct reader *r, size_t n)
{
	struct sv taken = { r->rest.p, n };

	r->rest = sv_skip(r->rest, n);
	return taken;
}

static struct sv take_space(struct reader *r)
{
	size_t n = 0;

	while (n < r->rest.len && is_space(r->rest.p[n]))
		n++;
	return take(r, n);
}

static struct sv take_name(struct reader *r)
{
	size_t n = 0;

	while (n < r->rest.len && is_name_char(r->rest.p[n]))
		n++;
	return take(r, n);
}

/* A name without its prefix: which namespace it stands for is not asked. */
static struct sv local_name(struct sv name)
{
	return sv_skip(name, sv_chr(name, ':') < name.len ? sv_chr(name, ':') + 1 : 0);
}

/* References ------------------------------------------------------------------------------------------------------- */

/* &#48; or &#x30; as what is looked at: nothing beyond ASCII is told apart. 0 or -EBADMSG. */
static int number_parse(struct sv digits, char *out)
{
	bool is_hex = digits.len && digits.p[0] == 'x';
	unsigned long n = 0;

	digits = sv_skip(digits, is_hex);
	if (!digits.len || digits.len > 7)
		return -EBADMSG;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.p[i], low = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			n = n * (is_hex ? 16 : 10) + (unsigned long)(c - '0');
		else if (is_hex && low >= 'a' && low <= 'f')
			n = n * 16 + (unsigned long)(low - 'a' + 10);
		else
			return -EBADMSG;
	}
	if ((n < ' ' && n != '\t' && n != '\r' && n != '\n') || n > 0x10ffff)
		return -EBADMSG;
	*out = n < 0x80 ? (char)n : '?';
	return 0;
}

static int reference_parse(struct sv name, char *out)
{
	static const struct {
		const char *name;
		char c;
	} known[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };

	if (name.len && name.p[0] == '#')
		return number_parse(sv_skip(name, 1), out);
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (sv_eq(name, sv_from(known[i].name))) {
			*out = known[i].c;
			return 0;
		}
	return -EBADMSG;
}

/* `raw` itself when there are none. */
static int undo_references(struct reader *r, struct sv raw, struct sv *out)
{
	char *text, *to;
	int err;

	*out = raw;
	if (sv_chr(raw, '&') == raw.len)
		return 0;
	if (!(text = to = arena_alloc(r->arena, raw.len)))
		return -ENOMEM;
	while (raw.len) {
		size_t plain = sv_chr(raw, '&'), end;

		memcpy(to, raw.p, plain);
		to += plain;
		raw = sv_skip(raw, plain);
		if (!raw.len)
			break;
		end = sv_chr(raw, ';');
		if (end == raw.len)
			return -EBADMSG;
		if ((err = reference_parse((struct sv){ raw.p + 1, end - 1 }, to++)))
			return err;
		raw = sv_skip(raw, end + 1);
	}
	*out = sv_span(text, to);
	return 0;
}

static void out_escaped(struct out *o, struct sv text)
{
	for (size_t i = 0; i < text.len; i++) {
		struct sv one = { text.p + i, 1 };

		switch (text.p[i]) {
		case '&': one = SV("&amp;"); break;
		case '<': one = SV("&lt;"); break;
		case '>': one = SV("&gt;"); break;
		case '"': one = SV("&quot;"); break;
		case '\'': one = SV("&apos;"); break;
		default: break;
		}
		out_sv(o, one);
	}
}

/* Values ----------------------------------------------------------------------------------------------------------- */

static void out_changed(struct out *o, struct sv raw, struct sv was, struct sv now)
{
	if (now.p == was.p && now.len == was.len)
		out_sv(o, raw);
	else
		out_escaped(o, now);
}

static int pass_value(struct reader *r, struct sv raw)
{
	struct sv was, now;
	int err = undo_references(r, raw, &was);

	now = was;
	if (err)
		return err;
	if (now.len && !r->m->value(r->m->ctx, &now))
		return -EPERM;
	out_changed(r->o, raw, was, now);
	return 0;
}

/* What stands between elements. */
static int pass_text(struct reader *r)
{
	struct sv raw = take(r, sv_chr(r->rest, '<'));

	if (!sv_trim(raw).len) {
		out_sv(r->o, raw);
		return 0;
	}
	return r->depth ? pass_value(r, raw) : -EBADMSG;
}

/* Elements --------------------------------------------------------------------------------------------------------- */

static int take_attribute(struct reader *r, struct sv space)
{
	struct attribute *a = &r->at[r->n];
	size_t end;

	if (r->n++ == DIALOGINFO_ATTRIBUTES_MAX || !space.len)
		return -EBADMSG;
	a->space = space;
	a->name = take_name(r);
	take_space(r);
	if (!a->name.len || !r->rest.len || *take(r, 1).p != '=')
		return -EBADMSG;
	take_space(r);
	if (!r->rest.len || (*r->rest.p != '"' && *r->rest.p != '\''))
		return -EBADMSG;
	a->quote = *take(r, 1).p;
	end = sv_chr(r->rest, a->quote);
	if (end == r->rest.len)
		return -EBADMSG;
	a->value = take(r, end);
	take(r, 1);
	for (unsigned i = 0; i + 1 < r->n; i++)
		if (sv_eq(r->at[i].name, a->name))
			return -EBADMSG;
	return sv_chr(a->value, '<') < a->value.len ? -EBADMSG : 0;
}

static struct sv *names_part(struct dialoginfo_names *n, struct sv name)
{
	name = local_name(name);
	return sv_eq(name, SV("call-id")) ? &n->call_id : sv_eq(name, SV("local-tag")) ? &n->local_tag :
	       sv_eq(name, SV("remote-tag")) ? &n->remote_tag : sv_eq(name, SV("id")) ? &n->id : NULL;
}

static int read_names(struct reader *r, struct dialoginfo_names *was)
{
	int err = 0;

	for (unsigned i = 0; i < r->n && !err; i++) {
		struct sv *part = names_part(was, r->at[i].name);

		if (part)
			err = part->len ? -EBADMSG : undo_references(r, r->at[i].value, part);
	}
	return err;
}

static void out_quote(struct out *o, char quote)
{
	out_sv(o, (struct sv){ &quote, 1 });
}

static int pass_attributes(struct reader *r, bool is_dialog)
{
	struct dialoginfo_names was = { SV(""), SV(""), SV(""), SV("") }, now;
	int err = is_dialog ? read_names(r, &was) : 0;

	now = was;
	if (!err && is_dialog)
		r->m->names(r->m->ctx, &now);
	for (unsigned i = 0; i < r->n && !err; i++) {
		const struct attribute *a = &r->at[i];
		struct sv *part = is_dialog ? names_part(&now, a->name) : NULL;

		out_sv(r->o, a->space);
		out_sv(r->o, a->name);
		out_lit(r->o, "=");
		out_quote(r->o, a->quote);
		if (part)
			out_changed(r->o, a->value, *names_part(&was, a->name), *part);
		else
			err = pass_value(r, a->value);
		out_quote(r->o, a->quote);
	}
	return err;
}

/* Which elements tell of a dialog by its identifiers (RFC 4235 §4.1.1, §4.1.4). */
static bool tells_names(struct sv name)
{
	name = local_name(name);
	return sv_eq(name, SV("dialog")) || sv_eq(name, SV("replaces"));
}

static bool may_begin(struct reader *r, struct sv name)
{
	if (!name.len || ++r->n_elements > DIALOGINFO_ELEMENTS_MAX || r->depth == DIALOGINFO_DEPTH_MAX)
		return false;
	if (r->depth)
		return true;
	if (r->has_root || !sv_eq(local_name(name), SV("dialog-info")))
		return false;
	r->has_root = true;
	return true;
}

static int pass_begin(struct reader *r)
{
	struct sv name, space;
	bool is_empty;
	int err = 0;

	out_sv(r->o, take(r, 1));
	name = take_name(r);
	if (!may_begin(r, name))
		return -EBADMSG;
	r->n = 0;
	for (space = take_space(r); !err && r->rest.len && *r->rest.p != '>' && *r->rest.p != '/'; space = take_space(r))
		err = take_attribute(r, space);
	if (err)
		return err;
	is_empty = begins(r->rest, SV("/>"));
	if (!is_empty && !begins(r->rest, SV(">")))
		return -EBADMSG;
	out_sv(r->o, name);
	if ((err = pass_attributes(r, tells_names(name))))
		return err;
	out_sv(r->o, take(r, is_empty ? 2 : 1));
	if (!is_empty)
		r->open[r->depth++] = name;
	return 0;
}

static int pass_end(struct reader *r)
{
	struct sv name;

	take(r, 2);
	name = take_name(r);
	take_space(r);
	if (!r->depth || !sv_eq(name, r->open[r->depth - 1]) || !begins(r->rest, SV(">")))
		return -EBADMSG;
	r->depth--;
	take(r, 1);
	out_lit(r->o, "</");
	out_sv(r->o, name);
	out_lit(r->o, ">");
	return 0;
}

static int skip_comment(struct reader *r)
{
	size_t end;

	take(r, 4);
	end = sv_find(r->rest, SV("--"));
	if (end == SIZE_MAX || !begins(sv_skip(r->rest, end), SV("-->")))
		return -EBADMSG;
	take(r, end + 3);
	return 0;
}

/* <?xml version="1.0" encoding="UTF-8"?>, only before everything else: written anew, since nothing else is read here. */
static int pass_declaration(struct reader *r)
{
	size_t end = sv_find(r->rest, SV("?>"));
	struct sv text = { r->rest.p + 5, end == SIZE_MAX ? 0 : end - 5 };

	if (!text.len || !is_space(*text.p) || sv_chr(text, '<') < text.len)
		return -EBADMSG;
	if (sv_find(text, SV("encoding")) != SIZE_MAX && sv_find(text, SV("UTF-8")) == SIZE_MAX && sv_find(text, SV("utf-8")) == SIZE_MAX)
		return -EBADMSG;
	take(r, end + 2);
	out_lit(r->o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
	return 0;
}

static int pass_one(struct reader *r)
{
	if (*r->rest.p != '<')
		return pass_text(r);
	if (begins(r->rest, SV("<!--")))
		return skip_comment(r);
	if (begins(r->rest, SV("</")))
		return pass_end(r);
	return pass_begin(r); /* <! and <? have no name */
}

int dialoginfo_map(struct out *o, struct sv body, struct arena *arena, const struct dialoginfo *m)
{
	struct reader r = { .rest = body, .o = o, .arena = arena, .m = m };
	int err = 0;

	for (size_t i = 0; i < body.len; i++)
		if ((unsigned char)body.p[i] < ' ' && !is_space(body.p[i]))
			return -EBADMSG;
	if (begins(r.rest, SV("\xef\xbb\xbf"))) /* a byte order mark of UTF-8 */
		take(&r, 3);
	if (begins(r.rest, SV("<?xml")))
		err = pass_declaration(&r);
	while (!err && r.rest.len)
		err = pass_one(&r);
	if (!err && (r.depth || !r.has_root))
		err = -EBADMSG;
	return err;
}
