/* topohide/apply.c - header rules on one message: what hiding lets pass becomes a row of lines, each rule changes the row, and what is
 * left of it is written. */
#include "topohide/lines.h"
#include "topohide/program.h"
#include "sip/header.h"

enum { PROGRAMS = 3, LINES = VIEW_HEADERS_MAX + POLICY_LINES_MAX };

struct line {
	struct sv text;          /* name and value as they stand; empty: of the two below */
	struct sv name, value;
	uint8_t id;
	bool is_gone;
};

struct row {
	const struct policy_run *run;
	struct hide *h;
	struct out pen;          /* for values */
	const struct program *programs[PROGRAMS];
	unsigned n;
	unsigned n_left;         /* of them not gone */
	struct line line[LINES];
};

static bool has_method(const struct rule *rule, const struct view *v)
{
	if (rule->any_method || v->method != M_OTHER)
		return rule->any_method || (rule->methods & 1u << v->method);
	for (unsigned i = 0; i < rule->n_methods; i++)
		if (sv_eq(rule->other_methods[i], view_method(v)))
			return true;
	return false;
}

static bool is_meant(const struct rule *rule, const struct view *v)
{
	if (rule->message != MESSAGE_ANY && (rule->message == MESSAGE_RESPONSE) != (v->status != 0))
		return false;
	return has_method(rule, v);
}

static bool is_named(const struct rule *rule, uint8_t id, struct sv name)
{
	for (unsigned i = 0; i < rule->n_names; i++) {
		const struct rule_name *one = &rule->names[i];
		struct sv begin = { name.p, one->is_glob && one->text.len < name.len ? one->text.len : name.len };

		if (id == one->id && (id != HDR_OTHER || sv_ieq(one->text, begin)))
			return true;
	}
	return false;
}

/* Lines ------------------------------------------------------------------------------------------------------------ */

static void line_make(struct row *r, const struct rule_name *name, struct sv value)
{
	if (r->n == LINES || r->n_left >= POLICY_LINES_MAX) {
		counter_inc(r->h->counters, HIDE_RULES_SKIPPED);
		return;
	}
	r->line[r->n++] = (struct line){ .name = name->text, .value = value, .id = name->id };
	r->n_left++;
}

static void line_drop(struct row *r, struct line *line)
{
	r->n_left -= !line->is_gone;
	line->is_gone = true;
}

/* What was written for `hdr`: an identity may have got another name. */
static void line_take(struct row *r, const struct hdr *hdr, struct sv text)
{
	struct line *line = &r->line[r->n++]; /* at most one for each header of a message */
	size_t colon = sv_chr(text, ':');

	*line = (struct line){ .text = text, .name = sv_trim((struct sv){ text.p, colon }), .value = sv_trim(sv_skip(text, colon + 1)) };
	line->id = sv_eq(line->name, hdr_name(r->h->v, hdr)) ? hdr->id : hdr_id_parse(line->name);
	r->n_left++;
}

/* The first rule that lets this header pass in another way than its class says: keep or mask. NULL: none. */
static const struct rule *way_of(const struct row *r, const struct hdr *hdr)
{
	enum hide_class class = hide_class_of(hdr->id);

	if (class != HIDE_UNKNOWN && class != HIDE_CHECKED && class != HIDE_PRIVATE && class != HIDE_WORDS)
		return NULL;
	for (unsigned i = 0; i < PROGRAMS; i++)
		for (unsigned k = 0; k < r->programs[i]->n; k++) {
			const struct rule *rule = &r->programs[i]->rules[k];

			if ((rule->action == RULE_KEEP || rule->action == RULE_MASK) && is_meant(rule, r->h->v) &&
			    is_named(rule, hdr->id, hdr_name(r->h->v, hdr)))
				return rule;
		}
	return NULL;
}

static void masked_line(struct out *o, struct hide *h, const struct hdr *hdr)
{
	struct sv name = hdr_name(h->v, hdr), value = hdr_value(h->v, hdr);
	char *begin = o->at;

	out_sv(o, sv_span(name.p, value.p));
	if (hide_mask(o, h, value)) {
		out_lit(o, "\r\n");
		return;
	}
	o->at = begin;
	counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
}

static void pass(struct row *r, struct out *o, const struct hdr *hdr)
{
	const struct rule *way = is_private(r->h, hdr->id) ? NULL : way_of(r, hdr);

	if (!way)
		hide_pass(o, r->h, hdr);
	else if (way->action == RULE_KEEP)
		hide_line(o, hdr_name(r->h->v, hdr), hdr_value(r->h->v, hdr));
	else
		masked_line(o, r->h, hdr);
}

static void collect(struct row *r, struct out *o)
{
	const struct view *v = r->h->v;

	for (unsigned i = 0; i < v->n; i++) {
		char *begin = o->at;

		if (hide_class_of(v->h[i].id) == HIDE_OURS)
			continue;
		pass(r, o, &v->h[i]);
		if (o->at > begin)
			line_take(r, &v->h[i], sv_span(begin, o->at - 2));
	}
}

/* Values ----------------------------------------------------------------------------------------------------------- */

static struct sv user_in(struct sv text)
{
	struct uri u;

	if (uri_parse(&u, text))
		return SV("");
	return u.scheme == URI_TEL ? (struct sv){ u.opaque.p, sv_chr(u.opaque, ';') } : u.user;
}

static struct sv user_of(const struct view *v, enum hdr_id id)
{
	struct name_addr na;

	return name_addr_parse(&na, view_value(v, id)) ? SV("") : user_in(na.uri);
}

static struct sv piece_of(const struct row *r, const struct conf_piece *piece, char area[ADDR_TEXT])
{
	const struct view *v = r->h->v;

	switch (piece->kind) {
	case PIECE_FROM_USER:
		return user_of(v, HDR_FROM);
	case PIECE_TO_USER: /* within a dialog the Request-URI is ours */
		return v->status || view_to_tag(v).len ? user_of(v, HDR_TO) : user_in(view_uri(v));
	case PIECE_SOURCE_ADDRESS:
		return sv_from(addr_print_ip(r->h->source, area));
	case PIECE_SOURCE_ZONE:
		return hide_conf(r->h->index)->zones[r->h->zone].name;
	case PIECE_CALL_ID:
		return r->run->call_id;
	default:
		return piece->text;
	}
}

/* False: something that is to be filled in is not there, or does not belong into a line, or it is all too long. */
static bool value_of(struct row *r, const struct rule *rule, struct sv *value)
{
	char *begin = r->pen.at, area[ADDR_TEXT];

	for (unsigned i = 0; i < rule->n_pieces; i++) {
		struct sv piece = piece_of(r, &rule->pieces[i], area);

		for (size_t k = 0; k < piece.len; k++)
			if ((unsigned char)piece.p[k] < 0x20 || piece.p[k] == 0x7f)
				piece.len = 0;
		if (!piece.len || piece.len > CONF_HEADER_VALUE_MAX)
			return false;
		out_sv(&r->pen, piece);
	}
	*value = sv_span(begin, r->pen.at);
	return !r->pen.is_full && value->len <= CONF_HEADER_VALUE_MAX;
}

/* Rules ------------------------------------------------------------------------------------------------------------ */

static unsigned remove_named(struct row *r, const struct rule *rule)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++) {
		if (r->line[i].is_gone || !is_named(rule, r->line[i].id, r->line[i].name))
			continue;
		line_drop(r, &r->line[i]);
		n++;
	}
	return n;
}

static unsigned rename_named(struct row *r, const struct rule *rule)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++) {
		struct line *line = &r->line[i];

		if (line->is_gone || !is_named(rule, line->id, line->name))
			continue;
		*line = (struct line){ .name = rule->to.text, .value = line->value, .id = rule->to.id };
		n++;
	}
	return n;
}

static unsigned copy_named(struct row *r, const struct rule *rule)
{
	unsigned n = 0, before = r->n;

	for (unsigned i = 0; i < before; i++) {
		if (r->line[i].is_gone || !is_named(rule, r->line[i].id, r->line[i].name))
			continue;
		line_make(r, &rule->to, r->line[i].value);
		n++;
	}
	return n;
}

static unsigned write_one(struct row *r, const struct rule *rule)
{
	struct sv value;

	if (!value_of(r, rule, &value)) {
		counter_inc(r->h->counters, HIDE_RULES_SKIPPED);
		return 0;
	}
	if (rule->action == RULE_SET)
		remove_named(r, rule);
	line_make(r, &rule->names[0], value);
	return 1;
}

/* How many lines it concerned. */
static unsigned apply_rule(struct row *r, const struct rule *rule)
{
	switch (rule->action) {
	case RULE_ADD:
	case RULE_SET:
		return write_one(r, rule);
	case RULE_RENAME:
		return rename_named(r, rule);
	case RULE_COPY:
		return copy_named(r, rule);
	case RULE_REMOVE:
		return remove_named(r, rule);
	default:
		return 0; /* keep, mask: see collect */
	}
}

static void drop_signature(struct row *r)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->line[i].id == HDR_IDENTITY)
			line_drop(r, &r->line[i]);
}

static void apply(struct row *r, const struct program *program)
{
	for (unsigned i = 0; i < program->n; i++) {
		const struct rule *rule = &program->rules[i];

		if (is_meant(rule, r->h->v) && apply_rule(r, rule) && rule->drops_signature)
			drop_signature(r);
	}
}

static void write_row(struct row *r, struct out *o)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct line *line = &r->line[i];

		/* what a rule wrote is no way around the caller's wish */
		if (line->is_gone || identity_is_withheld(r->h, line->id, line->value))
			continue;
		if (line->text.len) {
			out_sv(o, line->text);
		} else {
			out_sv(o, line->name);
			out_lit(o, ": ");
			out_sv(o, line->value);
		}
		out_lit(o, "\r\n");
	}
}

void policy_headers(struct out *o, const struct policy_run *run)
{
	static const struct program none;
	const struct policies *p = run->policies;
	const struct policy_set *set = run->set ? p->sets[run->set - 1] : NULL;
	struct row r;
	struct out passed;

	r.run = run;
	r.h = run->hide;
	r.n = r.n_left = 0;
	r.programs[0] = &p->zones->in[r.h->zone];
	r.programs[1] = !set ? &none : run->to_far ? &set->out : &set->in;
	r.programs[2] = &p->zones->out[r.h->to_zone];
	out_init(&passed, p->area, POLICY_AREA / 2);
	out_init(&r.pen, p->area + POLICY_AREA / 2, POLICY_AREA / 2);
	collect(&r, &passed);
	for (unsigned i = 0; i < PROGRAMS; i++)
		apply(&r, r.programs[i]);
	o->is_full |= passed.is_full;
	write_row(&r, o);
}
