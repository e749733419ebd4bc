/* base/blocks.h - memory of any size from slabs, one per size class: what lives long and what comes and goes do not lie between each
 * other as on the heap, so that pages fall empty and go back to the system. One thread. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H
#include "base/slab.h"

enum {
	BLOCKS_STEP = 16,
	BLOCKS_SLAB_MAX = 2048, /* bytes; larger ones come from the heap */
	BLOCKS_CLASSES = BLOCKS_SLAB_MAX / BLOCKS_STEP,
};

struct blocks {
	struct slab of[BLOCKS_CLASSES]; /* of[i]: blocks of (i + 1) * BLOCKS_STEP bytes */
};

void blocks_init(struct blocks *b);
/* Uninitialised. NULL when memory is out. `size` may be 0. */
void *blocks_alloc(struct blocks *b, size_t size);
/* Where `size` comes from; NULL when that is the heap. */
struct slab *blocks_slab(struct blocks *b, size_t size);
/* `size` as it was asked for. NULL is allowed. */
void blocks_free(struct blocks *b, void *p, size_t size);
void blocks_fini(struct blocks *b);

#endif
