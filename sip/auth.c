/* sip/auth.c - challenges and credentials cut into their parameters (RFC 3261 §25.1, RFC 7235 §2.1). */
#include "sip/grammar.h"
#include "sip/header.h"
#include <errno.h>

bool auth_scheme(struct sv value, struct sv *scheme, struct sv *params)
{
	const char *end = value.p + value.len, *p = skip_class(value.p, end, C_TOKEN);

	if (p == value.p || (p < end && !is_lws(*p)))
		return false;
	*scheme = sv_span(value.p, p);
	*params = sv_span(skip_lws(p, end), end);
	return true;
}

/* A value is not folded: what is in it is compared and hashed as it stands. */
static bool has_control(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
			return true;
	return false;
}

/* `p` is behind the '='. Returns what is behind the value, or NULL. */
static const char *cut_value(struct auth_param *a, const char *p, const char *end)
{
	const char *stop;

	a->is_quoted = p < end && *p == '"';
	if (!a->is_quoted) {
		stop = skip_class(p, end, C_TOKEN);
		a->value = sv_span(p, stop);
		return a->value.len ? stop : NULL;
	}
	if (!(stop = quoted_end(p, end)))
		return NULL;
	a->value = sv_span(p + 1, stop - 1);
	return has_control(a->value) ? NULL : stop;
}

int auth_param_next(struct auth_param *out, struct sv *rest)
{
	const char *end = rest->p + rest->len, *from = skip_lws(rest->p, end), *p = skip_class(from, end, C_TOKEN);
	struct auth_param a = { .name = sv_span(from, p) };

	if (from == end)
		return -ENOENT;
	p = skip_lws(p, end);
	if (!a.name.len || p == end || *p != '=' || !(p = cut_value(&a, skip_lws(p + 1, end), end)))
		return -EBADMSG;
	p = skip_lws(p, end);
	if (p < end && (*p != ',' || skip_lws(p + 1, end) == end))
		return -EBADMSG; /* something behind it, or a comma with nothing behind */
	*rest = p < end ? sv_span(p + 1, end) : (struct sv){ end, 0 };
	*out = a;
	return 0;
}
