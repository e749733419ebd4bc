/* sbc/call/redirect.c - redirections that we follow ourselves instead of passing them on (RFC 3261 §8.1.3.4, §16.5): the Contacts become
 * further attempts of the same setup, best first, in the zone of the one who named them. Never the same twice, never back to ourselves. */
#include "sbc/call/call.h"
#include <errno.h>
#include <stdlib.h>

enum { TEXT_MAX = 8192, Q_MAX = 1000 };

struct target {
	struct sv uri;
	uint16_t q, zone;
	uint8_t hop;               /* how many redirections led to it */
	bool is_tried;
};

struct trail {
	unsigned n;
	uint8_t hop;               /* of the one that is tried now */
	size_t text_len;
	struct target of[REDIRECT_TARGETS_MAX];
	char text[TEXT_MAX];
};

/* qvalue: "0", "0.7", "1.000"; what is none counts as 1. */
static uint16_t q_of(struct sv params)
{
	struct sv q, digits;
	unsigned n = 0, scale = Q_MAX / 10;

	if (!param_find(params, SV("q"), &q) || !q.len || *q.p != '0')
		return Q_MAX;
	for (digits = sv_skip(q, 2); digits.len && scale; digits = sv_skip(digits, 1), scale /= 10) {
		if (*digits.p < '0' || *digits.p > '9')
			return Q_MAX;
		n += (unsigned)(*digits.p - '0') * scale;
	}
	return (uint16_t)n;
}

/* Do both lead to the same place? What differs in parameters only does. */
static bool is_same(const struct uri *a, struct sv text)
{
	struct uri b;

	return uri_parse(&b, text) == 0 && a->scheme == b.scheme && a->port == b.port && sv_eq(a->user, b.user) &&
	       sv_ieq(a->host, b.host) && uri_transport(a) == uri_transport(&b);
}

static bool is_known(const struct trail *t, const struct uri *u)
{
	for (unsigned i = 0; i < t->n; i++)
		if (is_same(u, t->of[i].uri))
			return true;
	return false;
}

static bool trail_add(struct trail *t, struct sv uri, const struct target *like)
{
	if (t->n == REDIRECT_TARGETS_MAX || uri.len > TEXT_MAX - t->text_len)
		return false;
	memcpy(t->text + t->text_len, uri.p, uri.len);
	t->of[t->n] = *like;
	t->of[t->n++].uri = (struct sv){ t->text + t->text_len, uri.len };
	t->text_len += uri.len;
	return true;
}

/* The first entry is whom the request asked for. */
static struct trail *trail_of(struct setup *s)
{
	struct view_fault fault;
	struct view v;

	if (!s->trail && (s->trail = calloc(1, sizeof(*s->trail))) && !view_scan(&v, s->request->data, s->request->len, false, &fault))
		trail_add(s->trail, view_uri(&v), &(struct target){ .is_tried = true });
	return s->trail;
}

/* One Contact: false when there is nothing in it that could be followed. */
static bool take_one(struct attempt *a, struct trail *t, const struct name_addr *na)
{
	struct target to = { .q = q_of(na->params), .zone = path_zone(a->b, &a->leg->path), .hop = (uint8_t)(t->hop + 1) };
	struct uri u;

	if (na->is_star || uri_parse(&u, na->uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
		return false;
	if (to.hop > REDIRECT_HOPS_MAX || is_known(t, &u) ||
	    !trail_add(t, u.headers.p ? sv_span(na->uri.p, u.headers.p - 1) : na->uri, &to))
		counter_inc(&a->b->counters, REDIRECTS_REFUSED);
	return true;
}

bool redirect_take(struct attempt *a, const struct view *v)
{
	struct setup *s = a->setup;
	struct trail *t = s->follows && v->status >= 300 && v->status <= 302 ? trail_of(s) : NULL;
	struct name_addr na;
	bool is_taken = false;
	unsigned n = 0;

	if (!t)
		return false;
	for (unsigned i = v->first[HDR_CONTACT]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]);

		while (v->h[i - 1].id == HDR_CONTACT && n < REDIRECT_TARGETS_MAX && name_addr_next(&na, &rest) == 0) {
			is_taken |= take_one(a, t, &na);
			n++;
		}
	}
	if (is_taken)
		s->why = WHY_REDIRECT_LOOP; /* unless one of them is tried */
	return is_taken;
}

static struct target *best_of(struct trail *t)
{
	struct target *best = NULL;

	for (unsigned i = 0; t && i < t->n; i++)
		if (!t->of[i].is_tried && (!best || t->of[i].q > best->q))
			best = &t->of[i];
	return best;
}

bool redirect_has_next(const struct setup *s)
{
	return best_of(s->trail) != NULL;
}

bool redirect_begin(struct setup *s, uint8_t hop, struct sv uri)
{
	struct trail *t = s->follows ? trail_of(s) : NULL;
	struct uri u;

	if (!t)
		return false;
	t->hop = hop;
	if (uri_parse(&u, uri) == 0 && !is_known(t, &u))
		trail_add(t, uri, &(struct target){ .is_tried = true });
	return true;
}

struct direct *redirect_pop(struct setup *s, uint16_t *q, uint8_t *hop)
{
	struct target *to = best_of(s->trail);
	struct direct *direct = to ? direct_new(to->zone, NULL, to->uri, SV("")) : NULL;

	if (!direct)
		return NULL;
	direct->is_redirect = direct->keeps_to = true;
	to->is_tried = true;
	*q = to->q;
	*hop = to->hop;
	counter_inc(&s->call->b->counters, REDIRECTS_FOLLOWED);
	return direct;
}

bool redirect_next(struct setup *s, const struct view *v)
{
	uint16_t q;
	uint8_t hop;
	struct direct *direct = redirect_pop(s, &q, &hop);

	if (!direct)
		return false;
	dialogs_free(s->call); /* early ones of who sent us on */
	free(s->direct);
	s->direct = direct;
	s->trail->hop = hop;
	s->n_tried = 0;
	s->ahead = s->raises = 0;
	s->min_s = 0;
	dial(s, v);
	return true;
}

bool redirect_is_loop(const struct conf *c, const struct direct *d, const struct addr *to)
{
	for (unsigned i = 0; d->is_redirect && i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		struct addr advertised;

		if (addr_eq(&l->bind, to))
			return true;
		if (addr_parse(&advertised, l->advertise_host) == 0 && addr_eq_ip(&advertised, to) && l->advertise_port == to->port)
			return true;
	}
	return false;
}
