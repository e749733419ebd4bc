/* tests/unit/base/json_check.h - a strict reader of JSON (RFC 8259) that only says yes or no. */
#ifndef TESTS_UNIT_BASE_JSON_CHECK_H
#define TESTS_UNIT_BASE_JSON_CHECK_H
#include "base/json.h"

static inline bool check_value(struct sv *v);

static inline bool check_take(struct sv *v, char c)
{
	if (!v->len || v->p[0] != c)
		return false;
	*v = sv_skip(*v, 1);
	return true;
}

static inline bool check_escape(struct sv *v)
{
	size_t n = v->len && v->p[0] == 'u' ? 5 : 1;

	if (v->len < n || !memchr("\"\\/bfnrtu", v->p[0], 9))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!strchr("0123456789abcdefABCDEF", v->p[i]) || !v->p[i])
			return false;
	*v = sv_skip(*v, n);
	return true;
}

static inline bool check_string(struct sv *v)
{
	if (!check_take(v, '"'))
		return false;
	while (v->len && v->p[0] != '"') {
		size_t n = utf8_len(*v);

		if (n == 0 || (unsigned char)v->p[0] < 0x20)
			return false;
		if (check_take(v, '\\')) {
			if (!check_escape(v))
				return false;
			continue;
		}
		*v = sv_skip(*v, n);
	}
	return check_take(v, '"');
}

static inline size_t check_digits(struct sv *v)
{
	size_t n = 0;

	for (; v->len && v->p[0] >= '0' && v->p[0] <= '9'; n++)
		*v = sv_skip(*v, 1);
	return n;
}

static inline bool check_number(struct sv *v)
{
	check_take(v, '-');
	if (!check_take(v, '0') && !check_digits(v))
		return false;
	if (check_take(v, '.') && !check_digits(v))
		return false;
	if (!check_take(v, 'e') && !check_take(v, 'E'))
		return true;
	if (!check_take(v, '+'))
		check_take(v, '-');
	return check_digits(v) > 0;
}

static inline bool check_members(struct sv *v, char end, bool has_keys)
{
	if (check_take(v, end))
		return true;
	do {
		if (has_keys && (!check_string(v) || !check_take(v, ':')))
			return false;
		if (!check_value(v))
			return false;
	} while (check_take(v, ','));
	return check_take(v, end);
}

static inline bool check_word(struct sv *v, struct sv word)
{
	if (v->len < word.len || memcmp(v->p, word.p, word.len))
		return false;
	*v = sv_skip(*v, word.len);
	return true;
}

static inline bool check_value(struct sv *v)
{
	if (v->len && v->p[0] == '"')
		return check_string(v);
	if (check_take(v, '{'))
		return check_members(v, '}', true);
	if (check_take(v, '['))
		return check_members(v, ']', false);
	return check_word(v, SV("true")) || check_word(v, SV("false")) || check_word(v, SV("null")) || check_number(v);
}

/* The whole of `v` is one value, no spaces around tokens. */
static inline bool is_json(struct sv v)
{
	return check_value(&v) && v.len == 0;
}

#endif
