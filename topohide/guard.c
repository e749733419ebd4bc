#include "topohide/guard.h"
#include "base/list.h"
#include "sip/header.h"
#include "topohide/lines.h"
#include <errno.h>

static const struct view nothing = { .base = "" };

void guard_init(struct guard *g, const struct wheel *wheel, struct counters *counters, struct log *log)
{
	*g = (struct guard){ .wheel = wheel, .counters = counters, .log = log };
}

/* Exceptions of DECISIONS 7 that are whole headers: challenges and credentials. */
static bool is_exempt(uint8_t id)
{
	return id == HDR_WWW_AUTHENTICATE || id == HDR_PROXY_AUTHENTICATE || id == HDR_AUTHORIZATION || id == HDR_PROXY_AUTHORIZATION ||
	       id == HDR_AUTHENTICATION_INFO;
}

static bool is_named(struct sv pattern, struct sv name)
{
	size_t len = pattern.len && pattern.p[pattern.len - 1] == '*' ? pattern.len - 1 : pattern.len;

	if (len == pattern.len)
		return sv_ieq(pattern, name);
	return name.len >= len && sv_ieq((struct sv){ pattern.p, len }, (struct sv){ name.p, len });
}

/* What a rule lets pass or writes is the operator's word (DECISIONS 7). */
static bool rule_writes(const struct conf_rule *r, struct sv name)
{
	if (r->action == RULE_RENAME || r->action == RULE_COPY)
		return sv_ieq(r->to, name);
	if (r->action != RULE_ADD && r->action != RULE_SET && r->action != RULE_KEEP)
		return false;
	for (unsigned i = 0; i < r->n_names; i++)
		if (is_named(r->names[i], name))
			return true;
	return false;
}

static bool is_ruled(const struct conf *c, struct sv name)
{
	for (unsigned i = 0; i < c->n_rules; i++)
		for (unsigned k = 0; k < c->rules[i].n; k++)
			if (rule_writes(&c->rules[i].rules[k], name))
				return true;
	return false;
}

/* The URI of From and To stays (DECISIONS 14): what stands around it is looked through. */
static bool address_leaks(struct hide *h, struct sv value)
{
	struct name_addr na;

	if (name_addr_parse(&na, value))
		return hide_names_inside(h, value);
	return hide_names_inside(h, na.display) || hide_names_inside(h, na.params);
}

/* What the receiver wrote himself, and may name whom he likes in: an answer repeats it, a request takes his route set and, in a dialog, his
 * names for it. It is only looked through for identifiers of the other side. */
static bool is_receivers(const struct view *v, uint8_t id)
{
	switch (id) {
	case HDR_CALL_ID:
	case HDR_ROUTE:
		return true;
	case HDR_VIA:
	case HDR_RECORD_ROUTE:
		return v->status;
	case HDR_FROM:
	case HDR_TO:
		return v->status || view_to_tag(v).len;
	default:
		return false;
	}
}

static bool header_leaks(struct hide *h, const struct view *v, const struct hdr *hdr)
{
	struct sv value = hdr_value(v, hdr);

	if (is_exempt(hdr->id))
		return false;
	if (is_receivers(v, hdr->id))
		return value.len <= HIDE_ESCAPED_MAX && hide_tells_identifiers(h, value);
	h->runs = 0; /* as many words for each header: a message has a bounded number of them */
	return hdr->id == HDR_FROM || hdr->id == HDR_TO ? address_leaks(h, value) : hide_names_inside(h, value);
}

/* Bodies that are signalling themselves: what they say of dialogs is mapped or left out. */
static bool is_signalling(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);

	type.len = sv_chr(type, ';');
	type = sv_trim(type);
	return sv_ieq(type, SV("message/sipfrag")) || sv_ieq(type, SV("application/dialog-info+xml"));
}

/* A line or an element at a time, each with as many words as a header. */
static bool body_leaks(struct hide *h, const struct view *v)
{
	struct sv rest = is_signalling(v) ? view_body(v) : SV("");

	while (rest.len) {
		size_t line = sv_chr(rest, '\n'), element = sv_chr((struct sv){ rest.p, line }, '>');

		h->runs = 0;
		if (hide_names_inside(h, (struct sv){ rest.p, element }))
			return true;
		rest = sv_skip(rest, element + 1);
	}
	return false;
}

/* Rules have no compact forms. */
static struct sv full_name(const struct view *v, const struct hdr *hdr)
{
	return hdr->id == HDR_OTHER ? hdr_name(v, hdr) : sv_from(hdr_id_name(hdr->id));
}

/* The name of the first header that tells of `h`'s side; empty: none. */
static struct sv leak_of(const struct conf *c, struct hide *h, const struct view *v)
{
	h->runs = 0;
	if (v->status && hide_names_inside(h, view_sv(v, v->phrase, v->phrase_len)))
		return SV("phrase");
	for (unsigned i = 0; i < v->n; i++)
		if (header_leaks(h, v, &v->h[i]) && !is_ruled(c, full_name(v, &v->h[i])))
			return hdr_name(v, &v->h[i]);
	return body_leaks(h, v) ? SV("body") : SV("");
}

/* What arrived and what leaves because of it belong to two sides, unless the one is answered by the other, or it goes on within a zone
 * after an answer from there: then the identifiers in that answer are ours, and may be what the next one is asked with. */
static bool has_cause(const struct guard *g, const struct path *to)
{
	const struct path *from = g->base.cause_from;

	if (!g->base.cause)
		return false;
	if (g->conf->listeners[from->listener].zone != g->conf->listeners[to->listener].zone)
		return true;
	return !g->base.cause->status && !addr_eq_ip(&from->remote, &to->remote);
}

static struct sv leak_in(struct guard *g, const struct path *to, const struct view *v)
{
	uint16_t zone = g->conf->listeners[to->listener].zone;
	struct sv leak = SV("");
	struct hide h;

	if (has_cause(g, to)) {
		const struct path *from = g->base.cause_from;

		hide_begin(&h, g->index, g->conf->listeners[from->listener].zone, &from->remote, g->base.cause, g->counters);
		hide_spare(&h, zone, &to->remote);
		return leak_of(g->conf, &h, v);
	}
	for (uint16_t z = 0; z < g->conf->n_zones && !leak.len; z++) {
		if (z == zone)
			continue;
		hide_begin(&h, g->index, z, &(struct addr){ .family = 0 }, &nothing, g->counters);
		hide_spare(&h, zone, &to->remote);
		leak = leak_of(g->conf, &h, v);
	}
	return leak;
}

static void report(struct guard *g, const struct path *to, const struct view *v, struct sv header)
{
	char text[ADDR_TEXT];

	if (g->has_logged && g->wheel->now_ms - g->logged_ms < GUARD_LOG_MS)
		return;
	g->has_logged = true;
	g->logged_ms = g->wheel->now_ms;
	log_error(g->log, "hiding.leak", "header=%.*s to=%s method=%s status=%u blocked=%d", SV_ARG(header), addr_print(&to->remote, text),
	          method_name(v->method), v->status, g->conf->hiding_guard == GUARD_BLOCK);
}

static int guard_check(struct sip_guard *base, const struct path *to, const struct buf *message)
{
	struct guard *g = owner_of(base, struct guard, base);
	struct view_fault fault;
	struct view v;
	struct sv leak;

	if (view_scan(&v, message->data, message->len, true, &fault))
		return 0; /* not one of ours: they are well-formed */
	leak = leak_in(g, to, &v);
	if (!leak.len)
		return 0;
	counter_inc(g->counters, HIDE_GUARD_FOUND);
	report(g, to, &v, leak);
	if (g->conf->hiding_guard != GUARD_BLOCK)
		return 0;
	counter_inc(g->counters, HIDE_GUARD_BLOCKED);
	return -EACCES;
}

void guard_adopt(struct guard *g, const struct conf *c, const struct hide_index *index)
{
	g->conf = c;
	g->index = index;
	g->base.check = c->hiding_guard == GUARD_OFF ? NULL : guard_check;
}
