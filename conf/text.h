/* conf/text.h - a text that grows. Start with zeros. Private to conf/. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H
#include "conf/conf.h"

struct text {
	char *p;
	size_t len, size;
	int err;
};

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0 with `*out` the caller's to free(), or -ENOMEM and nothing left. */
int text_end(struct text *t, struct conf_text *out);

#endif
