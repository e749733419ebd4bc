#include "sbc/call/trunk.h"
#include "apps-router/route.h"
#include "dispatcher/pool.h"
#include "dispatcher/trunk.h"
#include "topohide/privacy.h"
#include <errno.h>

/* From a trunk --------------------------------------------------------------------------------------------------------- */

const struct conf_trunk *trunk_of(const struct b2bua *b, const struct request *r)
{
	int index = conf_trunk_at(b->conf, path_zone(b, r->from), &r->from->remote);

	return index < 0 ? NULL : &b->conf->trunks[index];
}

const struct conf_trunk *trunk_of_call(const struct call *c)
{
	return c->trunk ? trunk_of_slot(c->b->conf, (uint16_t)(c->trunk - 1)) : NULL;
}

int trunk_admit(struct call *c, const struct request *r)
{
	struct b2bua *b = c->b;
	const struct conf_trunk *t = trunk_of(b, r);
	int err = t ? trunk_enter(b->p.pools, b->conf, t, b->p.wheel->now_ms) : 0;

	if (t && !err)
		c->trunk = (uint16_t)(t->slot + 1);
	return err;
}

enum why trunk_why(int err)
{
	return err == -EBUSY ? WHY_TRUNK_FULL : WHY_TRUNK_FAST;
}

struct sv trunk_retry_line(char area[UNSUPPORTED_MAX])
{
	struct out o;

	out_init(&o, area, UNSUPPORTED_MAX);
	out_lit(&o, "Retry-After: ");
	out_u64(&o, TRUNK_RETRY_S);
	out_lit(&o, "\r\n");
	return out_done(&o);
}

void trunk_admit_again(struct call *c, struct sv name)
{
	int index = conf_find_trunk(c->b->conf, name);

	if (index < 0 || c->trunk)
		return;
	c->trunk = (uint16_t)(c->b->conf->trunks[index].slot + 1);
	trunk_reserve(c->b->p.pools, c->b->conf->trunks[index].slot);
}

void trunk_go(struct call *c)
{
	trunk_leave(c->b->p.pools, (uint16_t)(c->trunk - 1));
	c->trunk = 0;
}

/* To a trunk ----------------------------------------------------------------------------------------------------------- */

const struct conf_trunk *trunk_towards(const struct attempt *a)
{
	const struct conf *c = a->b->conf;
	uint32_t id;

	if (!a->leg->has_slot || !pools_destination(a->b->p.pools, c, a->leg->slot, &id) || !c->pools[c->destinations[id].pool].trunk)
		return NULL;
	return &c->trunks[c->pools[c->destinations[id].pool].trunk - 1];
}

/* RFC 2606 §2: a name that is nobody's, as in an anonymous From (RFC 3323 §4.1.1.3). */
static bool is_invalid(struct sv host)
{
	static const char end[] = ".invalid";
	size_t len = sizeof(end) - 1;

	return host.len >= len && sv_ieq(sv_skip(host, host.len - len), SV(".invalid"));
}

int trunk_uri(const struct conf_trunk *t, struct arena *a, struct sv *uri)
{
	const struct conf_rewrite to = { .host = t->domain };
	struct uri u;

	if (!t->domain.len || uri_parse(&u, *uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS) || is_invalid(u.host))
		return 0;
	return route_rewrite_uri(&to, a, *uri, uri);
}

static int with_domain(const struct conf_trunk *t, struct arena *a, struct sv *value)
{
	struct name_addr na;
	struct sv uri;
	int err;

	if (name_addr_parse(&na, *value))
		return 0;
	uri = na.uri;
	if (!(err = trunk_uri(t, a, &uri)))
		*value = with_uri(a, *value, na.uri, uri);
	return err;
}

int trunk_names(const struct b2bua *b, const struct conf_trunk *t, struct arena *a, const struct view *v, struct sv *from, struct sv *to)
{
	int err;

	if (!hide_may_mask(b->conf, t->zone, v))
		return 0;
	err = with_domain(t, a, from);
	return err ? err : with_domain(t, a, to);
}
