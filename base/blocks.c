#include "base/blocks.h"
#include <stdlib.h>

void blocks_init(struct blocks *b)
{
	b->bytes = 0;
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		slab_init(&b->of[i], "text", (size_t)(i + 1) * BLOCKS_STEP, 0);
}

static struct slab *class_of(struct blocks *b, size_t size)
{
	return size > BLOCKS_SLAB_MAX ? NULL : &b->of[size ? (size - 1) / BLOCKS_STEP : 0];
}

void *blocks_alloc(struct blocks *b, size_t size)
{
	struct slab *s = class_of(b, size);
	void *p = s ? slab_alloc(s) : malloc(size);

	if (p)
		b->bytes += size;
	return p;
}

void blocks_free(struct blocks *b, void *p, size_t size)
{
	struct slab *s = class_of(b, size);

	if (!p)
		return;
	b->bytes -= size;
	if (s)
		slab_free(s, p);
	else
		free(p);
}

void blocks_fini(struct blocks *b)
{
	for (unsigned i = 0; i < BLOCKS_CLASSES; i++)
		slab_fini(&b->of[i]);
}
