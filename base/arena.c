/* base/arena.c - pieces are cut off the current chunk. The lent chunk is poisoned from its first piece until the
 * reset and clean outside of that time, because it may be the caller's stack. */
#include "base/arena.h"
#include "base/poison.h"
#include <stdlib.h>

enum { ALIGN = 16, CHUNK = 4096, CHUNK_MAX = 65536 };

struct arena_chunk {
	struct arena_chunk *older;
	size_t size;
	_Alignas(ALIGN) char data[];
};

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void lend(struct arena *a)
{
	size_t skip = round_up((uintptr_t)a->first) - (uintptr_t)a->first;

	a->at = a->end = NULL;
	if (a->first_size <= skip)
		return;
	a->at = a->first + skip;
	a->end = a->first + a->first_size;
}

void arena_init(struct arena *a, void *first, size_t size, size_t limit)
{
	*a = (struct arena){ .first = first, .first_size = first ? size : 0, .limit = limit };
	lend(a);
}

static int more(struct arena *a, size_t need)
{
	size_t size = a->more ? a->more->size * 2 : CHUNK;
	struct arena_chunk *chunk;

	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < need)
		size = need;
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return -1;
	chunk->older = a->more;
	chunk->size = size;
	a->more = chunk;
	a->at = chunk->data;
	a->end = chunk->data + size;
	poison(chunk->data, size);
	return 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need;
	char *p;

	size += size == 0; /* each piece has an address of its own and counts */
	need = round_up(size) + POISON_GAP;
	if (size > SIZE_MAX / 2 || (a->limit && (size > a->limit || a->bytes > a->limit - size)))
		return NULL;
	if ((size_t)(a->end - a->at) < need && more(a, need))
		return NULL;
	if (a->bytes == 0 && !a->more)
		poison(a->at, (size_t)(a->end - a->at));
	p = a->at;
	a->at += need;
	a->bytes += size;
	unpoison(p, size);
	return p;
}

struct sv arena_dup(struct arena *a, struct sv v)
{
	char *p = v.len < SIZE_MAX ? arena_alloc(a, v.len + 1) : NULL;

	if (!p)
		return (struct sv){ NULL, 0 };
	if (v.len)
		memcpy(p, v.p, v.len);
	p[v.len] = '\0';
	return (struct sv){ p, v.len };
}

void arena_reset(struct arena *a)
{
	while (a->more) {
		struct arena_chunk *chunk = a->more;

		a->more = chunk->older;
		unpoison(chunk->data, chunk->size);
		free(chunk);
	}
	unpoison(a->first, a->first_size);
	a->bytes = 0;
	lend(a);
}
