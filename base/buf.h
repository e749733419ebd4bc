/* base/buf.h - a counted buffer of exact size holding one message. Counts are not atomic: a buffer
 * belongs to one thread; whoever hands bytes to another thread copies them (buf_copy) or hands over
 * the only reference. Behind the bytes lie BUF_PAD readable zero bytes, so that scanners may load
 * whole vectors. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/blocks.h"
#include "base/sv.h"

enum { BUF_PAD = 64 };

struct buf {
	uint32_t refs;
	uint32_t len : 31;
	uint32_t is_in_slab : 1;
	char data[];
};

/* One reference, `len` bytes uninitialised, pad zeroed. NULL when memory is out. */
struct buf *buf_new(size_t len);
struct buf *buf_copy(struct sv bytes);
/* The same from `from`, which has to outlive the buffer and belongs to the same thread. */
struct buf *buf_copy_in(struct blocks *from, struct sv bytes);
static inline struct buf *buf_get(struct buf *b)
{
	b->refs++;
	return b;
}
/* NULL is allowed. */
void buf_put(struct buf *b);
void buf_putp(struct buf **b); /* for SCOPED */
static inline struct sv buf_sv(const struct buf *b)
{
	return (struct sv){ b->data, b->len };
}

#endif
