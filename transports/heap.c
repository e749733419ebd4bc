#include "transports/heap.h"
#include "base/poison.h"
#include "base/slab.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Eight sizes for each power of two: 64, 72, 80, ... 61440 bytes. What is longer is rare, and malloc's. */
enum { FIRST_BITS = 6, LAST_BITS = 15, STEPS = 8, CLASSES = STEPS * (LAST_BITS - FIRST_BITS + 1) };

struct heap;

/* Before each piece of memory. */
struct piece {
	struct heap *heap; /* NULL: malloc's */
	union {
		size_t size;        /* behind this head */
		struct piece *next; /* of those that others have freed */
	};
};

struct heap {
	struct slab slabs[CLASSES];
	unsigned long refused;
	_Atomic(struct piece *) returned;
};

/* OpenSSL names no context when it asks. A thread that ends leaves its heap: somebody may still hold a piece of it. */
static _Thread_local struct heap *own;

static size_t class_size(unsigned class)
{
	size_t size = (size_t)1 << (FIRST_BITS + class / STEPS);

	return size + size / STEPS * (class % STEPS);
}

/* The smallest that holds `size` bytes; CLASSES when none does. */
static unsigned class_of(size_t size)
{
	unsigned bits, class;

	if (size <= (size_t)1 << FIRST_BITS)
		return 0;
	bits = (unsigned)(8 * sizeof(long)) - 1 - (unsigned)__builtin_clzl(size - 1); /* 2^bits < size <= 2^(bits + 1) */
	class = STEPS * (bits - FIRST_BITS) + (unsigned)((size - 1) >> (bits - 3) & (STEPS - 1)) + 1;
	return class < CLASSES ? class : CLASSES;
}

static struct heap *heap_new(void)
{
	struct heap *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	h->refused = 0;
	for (unsigned i = 0; i < CLASSES; i++)
		slab_init(&h->slabs[i], "openssl", class_size(i), 0);
	atomic_init(&h->returned, NULL);
	return h;
}

static void take_back(struct heap *h)
{
	struct piece *p = atomic_exchange_explicit(&h->returned, NULL, memory_order_acquire), *next;

	for (; p; p = next) {
		next = p->next;
		slab_free(slab_of(p), p);
	}
}

static void give_back(struct heap *h, struct piece *p)
{
	p->next = atomic_load_explicit(&h->returned, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&h->returned, &p->next, p, memory_order_release, memory_order_relaxed))
		;
}

static struct piece *long_piece(size_t size)
{
	struct piece *p = size <= SIZE_MAX - sizeof(*p) ? malloc(sizeof(*p) + size) : NULL;

	if (p)
		*p = (struct piece){ .heap = NULL, .size = size };
	return p;
}

static struct piece *short_piece(unsigned class)
{
	struct piece *p;

	if (!own && !(own = heap_new()))
		return NULL;
	if (atomic_load_explicit(&own->returned, memory_order_relaxed))
		take_back(own);
	if ((p = slab_alloc_raw(&own->slabs[class])))
		*p = (struct piece){ .heap = own, .size = class_size(class) - sizeof(*p) };
	return p;
}

void *heap_alloc(size_t size)
{
	unsigned class = size < (size_t)1 << (LAST_BITS + 1) ? class_of(size + sizeof(struct piece)) : CLASSES;
	struct piece *p = class < CLASSES ? short_piece(class) : long_piece(size);

	if (!p && own)
		own->refused++;
	return p ? p + 1 : NULL;
}

static void piece_free(struct piece *p)
{
	if (!p->heap)
		free(p);
	else if (p->heap == own)
		slab_free(slab_of(p), p);
	else
		give_back(p->heap, p);
}

void heap_free(void *bytes)
{
	if (bytes)
		piece_free((struct piece *)bytes - 1);
}

/* One that is to be less than a quarter moves, too. */
static void *piece_resize(struct piece *p, size_t size)
{
	void *moved;

	if (size <= p->size && size >= p->size / 4)
		return p + 1;
	if (!(moved = heap_alloc(size)))
		return NULL;
	memcpy(moved, p + 1, size < p->size ? size : p->size);
	piece_free(p);
	return moved;
}

void *heap_realloc(void *bytes, size_t size)
{
	if (!bytes)
		return heap_alloc(size);
	if (size)
		return piece_resize((struct piece *)bytes - 1, size);
	heap_free(bytes);
	return NULL;
}

void heap_trim(void)
{
	if (!own)
		return;
	take_back(own);
	for (unsigned i = 0; i < CLASSES; i++)
		slab_trim(&own->slabs[i]);
}

size_t heap_bytes(void)
{
	size_t n = 0;

	for (unsigned i = 0; own && i < CLASSES; i++)
		n += own->slabs[i].pages * SLAB_PAGE;
	return n;
}

unsigned long heap_refused(void)
{
	return own ? own->refused : 0;
}

static void *alloc_for(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return heap_alloc(size);
}

static void *realloc_for(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return heap_realloc(p, size);
}

static void free_for(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	heap_free(p);
}

int heap_init(void)
{
	if (POISON_ON)
		return 0;
	return CRYPTO_set_mem_functions(alloc_for, realloc_for, free_for) ? 0 : -EALREADY;
}
