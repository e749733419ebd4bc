/* base/buf.c */
#include "base/buf.h"
#include <stdlib.h>

struct buf *buf_new(size_t len)
{
	struct buf *b;

	if (len > UINT32_MAX)
		return NULL;
	b = malloc(sizeof(*b) + len + BUF_PAD);
	if (!b)
		return NULL;
	b->refs = 1;
	b->len = (uint32_t)len;
	memset(b->data + len, 0, BUF_PAD);
	return b;
}

struct buf *buf_copy(struct sv bytes)
{
	struct buf *b = buf_new(bytes.len);

	if (b && bytes.len)
		memcpy(b->data, bytes.p, bytes.len);
	return b;
}

void buf_put(struct buf *b)
{
	if (b && --b->refs == 0)
		free(b);
}

void buf_putp(struct buf **b)
{
	buf_put(*b);
}
