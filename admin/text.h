/* admin/text.h - bytes that are appended to, up to a bound. After a failure nothing more is added. Private to admin/. */
#ifndef ADMIN_TEXT_H
#define ADMIN_TEXT_H
#include "base/sv.h"
#include <stdarg.h>

struct text {
	char *p;
	size_t len, size, max;
	int err; /* 0, -ENOMEM, or -EFBIG beyond `max`: then the last piece is missing as a whole */
};

static inline struct text text_of(size_t max)
{
	return (struct text){ .max = max };
}
void text_fini(struct text *t);
/* Room for `n` more bytes: where they go, or NULL. They count only by text.len. */
char *text_room(struct text *t, size_t n);
void text_sv(struct text *t, struct sv v);
void text_str(struct text *t, const char *s);
void text_fill(struct text *t, char c, size_t n);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
/* For a terminal: what could move its cursor, and what is no UTF-8, as \xHH. Returns the columns it takes. */
size_t text_printable(struct text *t, struct sv v);

#endif
