/* admin/text.c */
#include "admin/text.h"
#include "base/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SIZE = 1024 };

void text_fini(struct text *t)
{
	free(t->p);
	*t = text_of(t->max);
}

char *text_room(struct text *t, size_t n)
{
	size_t size = t->size ? t->size : FIRST_SIZE;
	char *p;

	if (t->err || n > t->max - t->len) {
		t->err = t->err ? t->err : -EFBIG;
		return NULL;
	}
	while (size < t->len + n)
		size *= 2;
	if (size > t->size) {
		p = realloc(t->p, size);
		if (!p) {
			t->err = -ENOMEM;
			return NULL;
		}
		t->p = p;
		t->size = size;
	}
	return t->p + t->len;
}

void text_sv(struct text *t, struct sv v)
{
	char *to = text_room(t, v.len);

	if (!to || !v.len)
		return;
	memcpy(to, v.p, v.len);
	t->len += v.len;
}

void text_str(struct text *t, const char *s)
{
	text_sv(t, sv_from(s));
}

void text_fill(struct text *t, char c, size_t n)
{
	char *to = text_room(t, n);

	if (!to)
		return;
	memset(to, c, n);
	t->len += n;
}

void text_vprintf(struct text *t, const char *fmt, va_list args)
{
	va_list again;
	char *to;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	to = text_room(t, n < 0 ? 0 : (size_t)n + 1);
	if (to && n > 0) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		t->len += (size_t)n;
	}
	va_end(again);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_vprintf(t, fmt, args);
	va_end(args);
}

/* C0, DEL, and C1 in its two-byte form: the bytes that terminals obey. */
static bool is_control(struct sv c)
{
	uint8_t first = (uint8_t)c.p[0];

	return first < ' ' || first == 0x7f || (first == 0xc2 && (uint8_t)c.p[1] < 0xa0);
}

size_t text_printable(struct text *t, struct sv v)
{
	size_t columns = 0, n;

	for (; v.len; v = sv_skip(v, n)) {
		n = utf8_len(v);
		if (n && !is_control((struct sv){ v.p, n })) {
			text_sv(t, (struct sv){ v.p, n });
			columns++;
			continue;
		}
		n = 1;
		text_printf(t, "\\x%02x", (uint8_t)v.p[0]);
		columns += 4;
	}
	return columns;
}
