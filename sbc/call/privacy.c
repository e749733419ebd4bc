/* sbc/call/privacy.c - what a far leg is called where its caller, or the zone it is in, does not want to show who calls whom. Decided
 * once, when the leg begins: From and To stay in a dialog what they were. */
#include "sbc/call/call.h"
#include "apps-router/route.h"
#include "topohide/privacy.h"
#include <errno.h>

static const char anonymous[] = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/* RFC 3323 §5: what is asked for as critical and cannot be had: no request. The media are not ours, what we do not know we cannot do, and
 * an Identity that passes holds the name which From would hide. */
static bool is_impossible(unsigned asked, bool may_mask)
{
	return (asked & PRIVACY_CRITICAL) &&
	       ((asked & (PRIVACY_SESSION | PRIVACY_OTHER)) || ((asked & PRIVACY_USER) && !may_mask));
}

/* `value` with the zone's domain for its host; without memory, or when it is no URI with a host, as it was. */
static int mask(struct arena *a, struct sv domain, struct sv *value)
{
	size_t room = value->len + domain.len + 1;
	char *area = arena_alloc(a, room);
	struct out o;

	if (!area)
		return -ENOMEM;
	out_init(&o, area, room);
	if (hide_mask_hosts(&o, *value, domain))
		*value = out_done(&o);
	return 0;
}

int far_names(struct b2bua *b, const struct leg *far, struct arena *a, const struct view *v, struct sv *from, struct sv *to)
{
	const struct conf_listener *listener = &b->conf->listeners[far->path.listener];
	const struct conf_zone *zone = &b->conf->zones[listener->zone];
	bool may_mask = hide_may_mask(b->conf, listener->zone, v);
	unsigned asked = is_trusted(b, &far->path) ? 0 : privacy_of(v);
	struct sv domain = hide_domain(b->conf, listener->zone, listener->advertise);
	int err = 0;

	if (is_impossible(asked, may_mask))
		return -ENOTSUP;
	if (!may_mask)
		return 0;
	if (asked & PRIVACY_USER)
		*from = sv_from(anonymous);
	else if (zone->masks & MASK_FROM)
		err = mask(a, domain, from);
	if (!err && (zone->masks & MASK_TO))
		err = mask(a, domain, to);
	return err;
}

struct sv rewrite_identity(void *ctx, struct arena *a, struct sv uri)
{
	const struct compose *c = ctx;

	return route_rewrite_uri(c->rewrite, a, uri, &uri) ? (struct sv){ NULL, 0 } : uri;
}

enum { REALM_LOG_MS = 60000 };

void b2bua_probe_challenged(struct b2bua *b, const struct view *v, const struct path *from)
{
	char text[ADDR_TEXT];
	struct hide h;

	hide_begin(&h, b->index, path_zone(b, from), &from->remote, v, &b->hide_counters);
	if (!hide_realm_names_inside(&h))
		return;
	counter_inc(&b->hide_counters, HIDE_REALMS_INSIDE);
	if (b->realm_logged_ms && b->p.wheel->now_ms - b->realm_logged_ms < REALM_LOG_MS)
		return;
	b->realm_logged_ms = b->p.wheel->now_ms;
	log_warn(b->p.log, "hiding.realm", "destination=%s", addr_print(&from->remote, text));
}
