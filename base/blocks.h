/* base/blocks.h - memory of any size from slabs, one per size class: what lives long and what comes and goes do not lie between each
 * other as on the heap, so that pages fall empty and go back to the system. One thread. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H
#include "base/slab.h"

enum {
	BLOCKS_FINE_STEP = 16, BLOCKS_FINE_MAX = 256,    /* sizes up to 256 bytes in steps of 16 */
	BLOCKS_COARSE_STEP = 64, BLOCKS_SLAB_MAX = 2048, /* above in steps of 64; larger ones come from the heap */
	BLOCKS_FINE = BLOCKS_FINE_MAX / BLOCKS_FINE_STEP,
	BLOCKS_CLASSES = BLOCKS_FINE + (BLOCKS_SLAB_MAX - BLOCKS_FINE_MAX) / BLOCKS_COARSE_STEP,
};

struct blocks {
	struct slab of[BLOCKS_CLASSES];
};

void blocks_init(struct blocks *b);
/* Uninitialised. NULL when memory is out. `size` may be 0. */
void *blocks_alloc(struct blocks *b, size_t size);
/* Where `size` comes from; NULL when that is the heap. */
struct slab *blocks_slab(struct blocks *b, size_t size);
/* `size` as it was asked for. NULL is allowed. */
void blocks_free(struct blocks *b, void *p, size_t size);
void blocks_trim(struct blocks *b); /* slab_trim for each */
void blocks_fini(struct blocks *b);

#endif
