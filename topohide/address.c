/* topohide/address.c - From and To on their way to the other side: their URIs stay (DECISIONS 14), what else they tell of their sender
 * does not. */
#include "topohide/hide.h"
#include "sip/header.h"

bool hide_address_is_plain(struct sv value)
{
	size_t open = sv_chr(value, '<');
	struct sv rest = sv_skip(value, open < value.len ? open : 0), params = sv_skip(rest, sv_chr(rest, ';'));
	unsigned odd = 0;

	for (const char *p = value.p; p < rest.p; p++)
		odd |= *p == '.' || *p == ':' || *p == '_' || *p == '%' || *p == '\\' || *p == ';';
	if (odd || sv_chr(rest, '?') < rest.len || sv_chr(sv_skip(rest, 1), '<') + 1 < rest.len) /* a quoted < comes before the URI's */
		return false;
	return !params.len || (params.len > 5 && memcmp(params.p, ";tag=", 5) == 0 && sv_chr(sv_skip(params, 1), ';') == params.len - 1);
}

/* Appends those parameters that name nobody. The tag is ours to exchange, whatever it looks like. */
static void params_out(struct out *o, struct hide *h, struct sv params)
{
	struct sv name, value;

	while (param_next(&params, &name, &value)) {
		struct sv whole = sv_span(name.p, value.p ? value.p + value.len : name.p + name.len);

		if (!sv_ieq(name, SV("tag")) && hide_names_inside(h, whole))
			continue;
		out_lit(o, ";");
		out_sv(o, whole);
	}
}

static void uri_out(struct out *o, struct hide *h, struct sv text)
{
	struct uri u;

	if (uri_parse(&u, text) || !u.params.len) {
		out_sv(o, text);
		return;
	}
	out_sv(o, sv_span(text.p, u.params.p));
	params_out(o, h, u.params);
	if (u.headers.p && !hide_names_inside(h, u.headers)) {
		out_lit(o, "?");
		out_sv(o, u.headers);
	}
}

struct sv hide_address(struct arena *a, struct hide *h, struct sv value)
{
	size_t room = value.len + 8;
	char *area = arena_alloc(a, room);
	struct name_addr na;
	struct out o;

	if (!area || name_addr_parse(&na, value))
		return value;
	out_init(&o, area, room);
	if (na.display.len && !hide_names_inside(h, na.display)) {
		out_sv(&o, na.display);
		out_lit(&o, " ");
	}
	out_lit(&o, "<");
	uri_out(&o, h, na.uri);
	out_lit(&o, ">");
	params_out(&o, h, na.params);
	return o.is_full ? value : out_done(&o);
}
