/* sip/grammar.c - RFC 3261 §25.1: the character classes, and the cutters every header shares. */
#include "sip/grammar.h"
#include <errno.h>

/* Sixteen bytes a row, values of enum char_class added up. 0x80 to 0xff are in no class: UTF-8 has its place in
 * quoted strings, display names and free text only. tests/unit/sip/header.c rebuilds it from the RFC's lists. */
const uint8_t char_classes[256] = {
	128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
	128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
	128, 120, 128, 0, 112, 8, 48, 120, 112, 112, 120, 120, 144, 120, 120, 112,
	125, 125, 125, 125, 125, 125, 125, 125, 125, 125, 96, 144, 128, 16, 128, 80,
	0, 126, 126, 126, 126, 126, 126, 122, 122, 122, 122, 122, 122, 122, 122, 122,
	122, 122, 122, 122, 122, 122, 122, 122, 122, 122, 122, 96, 0, 96, 0, 120,
	8, 126, 126, 126, 126, 126, 126, 122, 122, 122, 122, 122, 122, 122, 122, 122,
	122, 122, 122, 122, 122, 122, 122, 122, 122, 122, 122, 0, 0, 0, 120, 128,
};

const char *quoted_end(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			break;
	}
	return NULL;
}

const char *param_cut(const char *p, const char *end, struct sv *name, struct sv *value)
{
	const char *at = skip_lws(p, end), *stop = skip_class(at, end, C_TOKEN);

	if (stop == at)
		return NULL;
	*name = sv_span(at, stop);
	*value = (struct sv){ NULL, 0 };
	p = skip_lws(stop, end);
	if (p < end && *p == '=') {
		at = stop = skip_lws(p + 1, end);
		if (at < end && *at == '"')
			stop = quoted_end(at, end);
		else
			while (stop < end && !is_class(*stop, C_STOP))
				stop++;
		if (!stop)
			return NULL;
		*value = sv_span(at, stop);
		p = skip_lws(stop, end);
	}
	return p == end || *p == ';' || *p == ',' ? p : NULL;
}

const char *params_end(const char *p, const char *end)
{
	struct sv name, value;

	p = skip_lws(p, end);
	while (p && p < end && *p == ';')
		p = param_cut(p + 1, end, &name, &value);
	return !p || p == end || *p == ',' ? p : NULL;
}

int number_parse(struct sv v, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!v.len)
		return -EBADMSG;
	for (size_t i = 0; i < v.len; i++) {
		if (!is_class(v.p[i], C_DIGIT))
			return -EBADMSG;
		if (n <= max)
			n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	if (n > max)
		return -ERANGE;
	*out = n;
	return 0;
}
