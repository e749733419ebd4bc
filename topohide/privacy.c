#include "topohide/privacy.h"

static const struct {
	const char *name;
	unsigned bit;
} values[] = {
	{ "id", PRIVACY_ID },           { "user", PRIVACY_USER },       { "header", PRIVACY_HEADER },
	{ "history", PRIVACY_HISTORY }, { "session", PRIVACY_SESSION }, { "critical", PRIVACY_CRITICAL },
	{ "none", 0 },
};

static unsigned bit_of(struct sv value)
{
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (sv_ieq(value, sv_from(values[i].name)))
			return values[i].bit;
	return PRIVACY_OTHER;
}

/* RFC 3323 §4.2: separated by ';'. Commas are seen in the field. */
static bool value_next(struct sv *value, struct sv *rest)
{
	while (rest->len) {
		size_t semicolon = sv_chr(*rest, ';'), comma = sv_chr(*rest, ','), end = semicolon < comma ? semicolon : comma;

		*value = sv_trim((struct sv){ rest->p, end });
		*rest = sv_skip(*rest, end + 1);
		if (value->len)
			return true;
	}
	return false;
}

unsigned privacy_of(const struct view *v)
{
	unsigned bits = 0, n = 0;

	for (unsigned i = v->first[HDR_PRIVACY]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]), value;

		if (v->h[i - 1].id != HDR_PRIVACY)
			continue;
		while (value_next(&value, &rest)) {
			if (++n > PRIVACY_VALUES_MAX)
				return bits | PRIVACY_OTHER;
			if (sv_ieq(value, SV("none")))
				return 0; /* nobody is to add any */
			bits |= bit_of(value);
		}
	}
	return bits;
}

void privacy_line(struct out *o, struct sv name, struct sv value, unsigned done)
{
	struct sv rest = value, one;
	bool is_first = true, is_left = false, is_done = false;

	for (unsigned n = 0; n < PRIVACY_VALUES_MAX && value_next(&one, &rest); n++) {
		is_done |= (bit_of(one) & done) != 0;
		is_left |= !(bit_of(one) & (done | PRIVACY_CRITICAL));
	}
	if (!is_done) {
		out_sv(o, sv_span(name.p, value.p + value.len));
		out_lit(o, "\r\n");
	}
	if (!is_done || !is_left)
		return;
	out_sv(o, name);
	rest = value;
	for (unsigned n = 0; n < PRIVACY_VALUES_MAX && value_next(&one, &rest); n++) {
		if (bit_of(one) & done)
			continue;
		out_str(o, is_first ? ": " : ";");
		out_sv(o, one);
		is_first = false;
	}
	out_lit(o, "\r\n");
}

static bool begins_with(struct sv text, struct sv with)
{
	return text.len >= with.len && sv_ieq((struct sv){ text.p, with.len }, with);
}

/* What stands behind `privacy =`: anything but "off" or "none"? */
static bool asks(struct sv behind)
{
	struct sv what = sv_trim(behind);

	if (!what.len || *what.p != '=')
		return false;
	what = sv_trim(sv_skip(what, 1));
	what = sv_skip(what, what.len && *what.p == '"');
	return !begins_with(what, SV("off")) && !begins_with(what, SV("none"));
}

bool privacy_is_asked_in(struct sv value)
{
	const struct sv key = SV("privacy");

	for (struct sv at = value; at.len > key.len; at = sv_skip(at, 1))
		if (begins_with(at, key) && asks(sv_skip(at, key.len)))
			return true;
	return false;
}
