/* topohide/mask.c - another host in URIs that pass. */
#include "topohide/hide.h"
#include "sip/header.h"
#include <errno.h>

struct sv hide_domain(const struct conf *c, uint16_t zone, struct sv agent)
{
	return c->zones[zone].n_domains ? c->zones[zone].domains[0] : agent;
}

bool hide_may_mask(const struct conf *c, uint16_t to_zone, const struct view *v)
{
	return c->zones[to_zone].drops_signature || !view_find(v, HDR_IDENTITY, 0);
}

/* A URI's parameters but maddr, which is a second host (RFC 3261 §19.1.1). */
static void out_params(struct out *o, struct sv params)
{
	struct sv name, value;

	while (param_next(&params, &name, &value)) {
		if (sv_ieq(name, SV("maddr")))
			continue;
		out_lit(o, ";");
		out_sv(o, name);
		if (value.len) {
			out_lit(o, "=");
			out_sv(o, value);
		}
	}
}

/* `whole`, in which `text` is the URI `u`. */
static void out_masked(struct out *o, struct sv whole, struct sv text, const struct uri *u, struct sv domain)
{
	out_sv(o, sv_span(whole.p, u->host.p - (u->host_kind == 6)));
	out_sv(o, domain);
	out_params(o, u->params);
	if (u->headers.len) {
		out_lit(o, "?");
		out_sv(o, u->headers);
	}
	out_sv(o, sv_span(text.p + text.len, whole.p + whole.len));
}

bool hide_mask_hosts(struct out *o, struct sv value, struct sv domain)
{
	char *begin = o->at;
	struct name_addr na;
	struct uri u;
	int err;

	while ((err = name_addr_next(&na, &value)) == 0) {
		if (na.is_star || uri_parse(&u, na.uri)) {
			err = -1;
			break;
		}
		if (o->at > begin)
			out_lit(o, ", ");
		if (u.host.len)
			out_masked(o, na.whole, na.uri, &u, domain);
		else
			out_sv(o, na.whole); /* tel, urn */
	}
	if (err == -ENOENT && o->at > begin)
		return true;
	o->at = begin;
	return false;
}
