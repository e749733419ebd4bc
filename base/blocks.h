/* base/blocks.h - memory for strings that live long: one slab per size class, so that they lie among their like and the heap,
 * where messages come and go, can shrink behind them. One thread. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H
#include "base/slab.h"

enum {
	BLOCKS_STEP = 16,
	BLOCKS_SLAB_MAX = 1024, /* bytes; larger ones come from the heap */
	BLOCKS_CLASSES = BLOCKS_SLAB_MAX / BLOCKS_STEP,
};

struct blocks {
	struct slab of[BLOCKS_CLASSES]; /* of[i]: blocks of (i + 1) * BLOCKS_STEP bytes */
	size_t bytes;                   /* handed out */
};

void blocks_init(struct blocks *b);
/* Uninitialised. NULL when memory is out. `size` may be 0. */
void *blocks_alloc(struct blocks *b, size_t size);
/* `size` as it was asked for. NULL is allowed. */
void blocks_free(struct blocks *b, void *p, size_t size);
void blocks_fini(struct blocks *b);

#endif
