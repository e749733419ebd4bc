/* base/arena.h - memory that dies together. A first chunk may be lent by the caller (stack, worker
 * scratch); more comes from malloc and goes with arena_reset. Under ASan what is not handed out is
 * poisoned, with a gap behind each piece, so that over-reads show; after arena_reset the lent chunk is
 * clean again, so reset an arena over a stack array before its function returns. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/sv.h"

struct arena {
	char *first;
	size_t first_size;
	char *at, *end;
	struct arena_chunk *more;
	size_t bytes, limit; /* handed out / bound; 0 = no bound */
};

/* `first` may be NULL with size 0. */
void arena_init(struct arena *a, void *first, size_t size, size_t limit);
/* 16-byte aligned, uninitialised. NULL when memory or the limit is out. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of `v`, with a NUL behind it (not counted). {NULL,0} when memory is out. */
struct sv arena_dup(struct arena *a, struct sv v);
/* Everything handed out is gone; extra chunks are freed. */
void arena_reset(struct arena *a);

#endif
