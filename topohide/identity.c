/* topohide/identity.c - who somebody is: told by whom we believe, kept from those who are not to know (RFC 3323, RFC 3325, RFC 7044). */
#include "topohide/lines.h"
#include "topohide/privacy.h"
#include "sip/header.h"
#include <errno.h>

enum { IDENTITY_MAX = 2048 }; /* bytes of identities that a rule rewrites */

/* Read once: there may be many Privacy headers, and long ones. */
static unsigned asked_of(struct hide *h)
{
	if (!h->has_asked)
		h->asked = (uint8_t)privacy_of(h->v);
	h->has_asked = true;
	return h->asked;
}

bool is_private(struct hide *h, enum hdr_id id)
{
	return (id == HDR_SUBJECT || id == HDR_CALL_INFO || id == HDR_REPLY_TO) && !h->trusts_receiver && (asked_of(h) & PRIVACY_USER);
}

void privacy_asked_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	unsigned done = PRIVACY_HEADER | PRIVACY_HISTORY;

	if (hide_may_mask(hide_conf(h->index), h->to_zone, h->v))
		done |= PRIVACY_USER;
	if (h->trusts_receiver || !asked_of(h))
		hide_checked_line(o, h, name, value);
	else
		privacy_line(o, name, value, done);
}

void signature_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	if (hide_conf(h->index)->zones[h->to_zone].drops_signature)
		counter_inc(h->counters, HIDE_DROPPED_IDENTITY);
	else
		hide_checked_line(o, h, name, value);
}

bool identity_is_withheld(struct hide *h, enum hdr_id id, struct sv value)
{
	unsigned asked = h->trusts_receiver ? 0 : asked_of(h);

	switch (id) {
	case HDR_P_ASSERTED_IDENTITY:
	case HDR_P_PREFERRED_IDENTITY:
		return asked & (PRIVACY_ID | PRIVACY_USER);
	case HDR_REMOTE_PARTY_ID:
		return (asked & (PRIVACY_ID | PRIVACY_USER)) || (!h->trusts_receiver && privacy_is_asked_in(value));
	case HDR_HISTORY_INFO:
		return (asked & (PRIVACY_HISTORY | PRIVACY_HEADER)) || (!h->trusts_receiver && privacy_is_asked_in(value));
	case HDR_DIVERSION:
		return !h->trusts_receiver && privacy_is_asked_in(value);
	default:
		return false;
	}
}

/* A preferred identity is for us, and ends here (RFC 3325 §9.2); where the zone says so, it is the one that we assert (§5). */
static bool is_asserted(const struct hide *h, enum hdr_id id)
{
	return id != HDR_P_PREFERRED_IDENTITY ||
	       (hide_conf(h->index)->zones[h->zone].preferred_identity == PREFERRED_ASSERT && !view_find(h->v, HDR_P_ASSERTED_IDENTITY, 0));
}

static bool is_pai(enum hdr_id id)
{
	return id == HDR_P_ASSERTED_IDENTITY || id == HDR_P_PREFERRED_IDENTITY;
}

/* `value` with each URI as the rule wants it; {NULL, 0}: one that it cannot rewrite, or no memory. */
static struct sv rewritten(struct hide *h, struct arena *a, struct sv value)
{
	char *area = arena_alloc(a, IDENTITY_MAX);
	struct name_addr na;
	struct out o;
	int err;

	if (!area)
		return (struct sv){ NULL, 0 };
	out_init(&o, area, IDENTITY_MAX);
	while ((err = name_addr_next(&na, &value)) == 0) {
		struct sv uri = h->rewrite(h->ctx, a, na.uri);

		if (!uri.p)
			return uri;
		out_str(&o, o.at > o.begin ? ", " : "");
		out_sv(&o, sv_span(na.whole.p, na.uri.p));
		out_sv(&o, uri);
		out_sv(&o, sv_span(na.uri.p + na.uri.len, na.whole.p + na.whole.len));
	}
	return err == -ENOENT && !o.is_full ? out_done(&o) : (struct sv){ NULL, 0 };
}

/* Does the zone it comes from, or the one it goes to, want every host of it masked? */
static bool masks_all(const struct hide *h, enum hdr_id id)
{
	const struct conf *c = hide_conf(h->index);

	return c->zones[h->zone].identity == IDENTITY_MASK || (is_pai(id) && (c->zones[h->to_zone].masks & MASK_PAI));
}

/* False, with nothing written: something is left that names the sending side. */
static bool masked(struct out *o, struct hide *h, enum hdr_id id, struct sv value)
{
	char *begin = o->at;

	if (!masks_all(h, id))
		return hide_mask(o, h, value);
	return !hide_tells_identifiers(h, value) &&
	       hide_mask_hosts(o, value, hide_domain(hide_conf(h->index), h->to_zone, h->agent)) &&
	       !hide_names_inside(h, sv_span(begin, o->at));
}

static bool masked_by_rule(struct out *o, struct hide *h, enum hdr_id id, struct sv value)
{
	char scratch[IDENTITY_MAX];
	struct arena a;
	bool is_done;

	if (!h->rewrite || !is_pai(id) || hide_tells_identifiers(h, value))
		return masked(o, h, id, value);
	arena_init(&a, scratch, sizeof(scratch), 8 * IDENTITY_MAX);
	value = rewritten(h, &a, value);
	is_done = value.p && masked(o, h, id, value);
	arena_reset(&a);
	return is_done;
}

void identity_line(struct out *o, struct hide *h, enum hdr_id id, struct sv name, struct sv value)
{
	char *begin = o->at;

	if (!h->is_trusted || hide_conf(h->index)->zones[h->zone].identity == IDENTITY_DROP || !is_asserted(h, id) ||
	    identity_is_withheld(h, id, value)) {
		counter_inc(h->counters, HIDE_DROPPED_IDENTITY);
		return;
	}
	out_sv(o, id == HDR_P_PREFERRED_IDENTITY ? SV("P-Asserted-Identity: ") : sv_span(name.p, value.p));
	if (masked_by_rule(o, h, id, value)) {
		out_lit(o, "\r\n");
		return;
	}
	o->at = begin;
	counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
}
