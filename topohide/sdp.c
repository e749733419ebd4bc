/* topohide/sdp.c - the two lines of a session description that say who made it (RFC 4566 §5.2, §5.3): its origin's name and address, and
 * the session's name. Its id and version stay: they count (RFC 3264 §8). Everything else passes byte for byte. */
#include "topohide/lines.h"
#include "topohide/program.h"
#include "sip/header.h"

enum { ORIGIN_FIELDS = 6 };

static bool begins(struct sv line, const char *with)
{
	return line.len >= 2 && line.p[0] == with[0] && line.p[1] == with[1];
}

/* "o=alice 2890844526 2890842807 IN IP4 10.0.0.1": from the id to the version; "0 0" for a line that follows no grammar. */
static struct sv counting(struct sv line)
{
	struct sv rest = sv_skip(line, 2), field[ORIGIN_FIELDS];
	unsigned n = 0;

	while (rest.len && n < ORIGIN_FIELDS) {
		size_t end = sv_chr(rest, ' ');

		field[n++] = (struct sv){ rest.p, end };
		rest = sv_skip(rest, end + 1);
	}
	return n == ORIGIN_FIELDS && !rest.len ? sv_span(field[1].p, field[2].p + field[2].len) : SV("0 0");
}

static void origin_line(struct out *o, struct sv line, struct sv host)
{
	struct addr a;

	out_lit(o, "o=- ");
	out_sv(o, counting(line));
	out_str(o, addr_parse(&a, host) == 0 && a.family == 6 ? " IN IP6 " : " IN IP4 ");
	out_sv(o, host);
}

/* Several descriptions, as parts of one body, are masked each. */
static void mask(struct out *o, struct sv body, struct sv host)
{
	bool is_session = false;

	while (body.len) {
		size_t end = sv_chr(body, '\n');
		struct sv whole = { body.p, end < body.len ? end + 1 : end };
		struct sv line = { whole.p, end && whole.p[end - 1] == '\r' ? end - 1 : end };

		body = sv_skip(body, whole.len);
		is_session = begins(line, "v=") || (is_session && !begins(line, "m=") && !begins(line, "--"));
		if (is_session && begins(line, "o="))
			origin_line(o, line, host);
		else if (is_session && begins(line, "s="))
			out_lit(o, "s=-");
		else
			out_sv(o, line);
		out_sv(o, sv_skip(whole, line.len));
	}
}

/* A description, or parts that may be one; not what somebody signed. */
static bool has_description(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);
	static const char *const types[] = { "application/sdp", "multipart/mixed", "multipart/related", "multipart/alternative" };

	type = sv_trim((struct sv){ type.p, sv_chr(type, ';') });
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (sv_ieq(type, sv_from(types[i])))
			return true;
	return false;
}

struct sv policy_body(struct out *o, const struct policy_run *run, struct sv body)
{
	const struct hide *h = run->hide;
	const struct conf *c = hide_conf(h->index);
	struct out masked;

	if (!(c->zones[h->to_zone].masks & MASK_SDP_ORIGIN) || !body.len || !has_description(h->v) ||
	    !hide_may_mask(c, h->to_zone, h->v))
		return body;
	out_init(&masked, run->policies->area, POLICY_AREA / 2);
	mask(&masked, body, c->zones[h->to_zone].listeners->advertise_host); /* the same one for every message of a leg */
	o->is_full |= masked.is_full;
	return out_done(&masked);
}
