/* conf/text.c - a text that grows; one error at the end instead of one per piece. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include "conf/text.h"

void text_add(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	if (t->err)
		return;
	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (t->len + (size_t)n + 1 > t->size) {
		size_t size = (t->len + (size_t)n + 1) * 2;
		char *p = realloc(t->p, size);

		if (!p) {
			t->err = -ENOMEM;
			return;
		}
		t->p = p;
		t->size = size;
	}
	va_start(args, fmt);
	vsnprintf(t->p + t->len, t->size - t->len, fmt, args);
	va_end(args);
	t->len += (size_t)n;
}

int text_end(struct text *t, struct conf_text *out)
{
	text_add(t, "%s", ""); /* an empty one is a string too */
	if (t->err) {
		free(t->p);
		return t->err;
	}
	*out = (struct conf_text){ t->p, t->len };
	return 0;
}
