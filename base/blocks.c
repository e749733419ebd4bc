#include "base/blocks.h"
#include <stdlib.h>

static size_t class_size(unsigned i)
{
	return i < BLOCKS_FINE ? (size_t)(i + 1) * BLOCKS_FINE_STEP
	                       : BLOCKS_FINE_MAX + (size_t)(i + 1 - BLOCKS_FINE) * BLOCKS_COARSE_STEP;
}

void blocks_init(struct blocks *b)
{
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		slab_init(&b->of[i], "block", class_size(i), 0);
}

struct slab *blocks_slab(struct blocks *b, size_t size)
{
	if (size > BLOCKS_SLAB_MAX)
		return NULL;
	if (size > BLOCKS_FINE_MAX)
		return &b->of[BLOCKS_FINE + (size - BLOCKS_FINE_MAX - 1) / BLOCKS_COARSE_STEP];
	return &b->of[size ? (size - 1) / BLOCKS_FINE_STEP : 0];
}

void *blocks_alloc(struct blocks *b, size_t size)
{
	struct slab *s = blocks_slab(b, size);

	return s ? slab_alloc_raw(s) : malloc(size);
}

void blocks_free(struct blocks *b, void *p, size_t size)
{
	struct slab *s = blocks_slab(b, size);

	if (s)
		slab_free(s, p);
	else
		free(p);
}

void blocks_trim(struct blocks *b)
{
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		slab_trim(&b->of[i]);
}

void blocks_fini(struct blocks *b)
{
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		slab_fini(&b->of[i]);
}
