/* base/slab.h - objects of one size in pages of 64 KiB. An empty page is given back to the system (one is
 * kept). Freed objects are poisoned under ASan. One thread. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H
#include <stddef.h>
#include "base/list.h"

enum { SLAB_PAGE = 64 * 1024 };

struct page;

struct slab {
	const char *name;
	size_t size;
	size_t max;             /* most objects in use; 0 = no bound */
	size_t slot, slots;     /* bytes from one object to the next, and objects in a page */
	size_t in_use, pages;
	size_t refused;         /* allocations refused by `max` or by the system */
	struct node partial;    /* pages with room */
	struct node full;
	struct page *spare;     /* the one empty page that is kept, or NULL */
};

/* `size` up to 60 KiB. */
void slab_init(struct slab *s, const char *name, size_t size, size_t max);
/* Zeroed, 16-byte aligned. NULL when the bound is reached or memory is out. O(1). */
void *slab_alloc(struct slab *s);
/* The same, uninitialised. */
void *slab_alloc_raw(struct slab *s);
/* NULL is allowed. */
void slab_free(struct slab *s, void *p);
/* The slab that `p` was allocated from. */
struct slab *slab_of(void *p);
/* Gives the spare page back too: now and then, not at every turn. */
void slab_trim(struct slab *s);
/* Gives back every page. Objects still in use are a bug: they are counted and returned. */
size_t slab_fini(struct slab *s);

#endif
