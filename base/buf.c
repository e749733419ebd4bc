/* base/buf.c */
#include "base/buf.h"
#include <stdlib.h>

enum { LEN_MAX = INT32_MAX };

static struct buf *buf_at(void *p, size_t len, bool is_in_slab)
{
	struct buf *b = p;

	if (!b)
		return NULL;
	b->refs = 1;
	b->len = (uint32_t)len & LEN_MAX;
	b->is_in_slab = is_in_slab;
	memset(b->data + len, 0, BUF_PAD);
	return b;
}

struct buf *buf_new(size_t len)
{
	return len > LEN_MAX ? NULL : buf_at(malloc(sizeof(struct buf) + len + BUF_PAD), len, false);
}

static struct buf *fill(struct buf *b, struct sv bytes)
{
	if (b && bytes.len)
		memcpy(b->data, bytes.p, bytes.len);
	return b;
}

struct buf *buf_copy(struct sv bytes)
{
	return fill(buf_new(bytes.len), bytes);
}

struct buf *buf_copy_in(struct blocks *from, struct sv bytes)
{
	struct slab *s = blocks_slab(from, sizeof(struct buf) + bytes.len + BUF_PAD);

	return s ? fill(buf_at(slab_alloc_raw(s), bytes.len, true), bytes) : buf_copy(bytes);
}

void buf_put(struct buf *b)
{
	if (!b || --b->refs)
		return;
	if (b->is_in_slab)
		slab_free(slab_of(b), b);
	else
		free(b);
}

void buf_putp(struct buf **b)
{
	buf_put(*b);
}
