/* base/slab.c - a page is 64 KiB aligned to 64 KiB, so the page of an object is found by masking its address.
 * Objects are cut off the page one by one (untouched memory stays untouched), then recycled: last freed first,
 * because it is warm; under ASan first freed first, so that a stale pointer meets poison for longer. */
#include "base/slab.h"
#include "base/poison.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 16 };

struct hole {
	struct hole *next;
};

struct page {
	struct node in_slab; /* partial or full */
	struct slab *slab;
	struct hole *holes, *last_hole;
	size_t used;         /* objects handed out */
	size_t cut;          /* slots ever handed out; those behind were never touched */
};

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static size_t head_size(void)
{
	return round_up(sizeof(struct page));
}

/* The heap under ASan: leak checks see into it. Else mmap, so that an empty page really goes back. */
static void *page_map(void)
{
	char *p, *aligned;

	if (POISON_ON)
		return aligned_alloc(SLAB_PAGE, SLAB_PAGE);
	p = mmap(NULL, SLAB_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if ((uintptr_t)p % SLAB_PAGE == 0)
		return p; /* usual: the kernel goes down from the last one */
	munmap(p, SLAB_PAGE);
	p = mmap(NULL, 2 * SLAB_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	aligned = (char *)(((uintptr_t)p + SLAB_PAGE - 1) & ~(uintptr_t)(SLAB_PAGE - 1));
	if (aligned > p)
		munmap(p, (size_t)(aligned - p));
	munmap(aligned + SLAB_PAGE, (size_t)(p + SLAB_PAGE - aligned));
	return aligned;
}

static void page_unmap(struct page *page)
{
	unpoison(page, SLAB_PAGE);
	if (POISON_ON)
		free(page);
	else
		munmap(page, SLAB_PAGE);
}

static struct page *page_new(struct slab *s)
{
	struct page *page = page_map();

	if (!page)
		return NULL;
	memset(page, 0, sizeof(*page));
	page->slab = s;
	poison((char *)page + head_size(), SLAB_PAGE - head_size());
	list_push_front(&s->partial, &page->in_slab);
	s->pages++;
	return page;
}

static void page_free(struct slab *s, struct page *page)
{
	list_del(&page->in_slab);
	s->pages--;
	page_unmap(page);
}

static struct page *page_of(void *p)
{
	return (struct page *)((uintptr_t)p & ~(uintptr_t)(SLAB_PAGE - 1));
}

static void *page_take(struct page *page, size_t size)
{
	struct hole *hole = page->holes;

	if (!hole) {
		hole = (struct hole *)((char *)page + head_size() + page->cut++ * page->slab->slot);
		unpoison(hole, size);
		return hole;
	}
	unpoison(hole, size > sizeof(*hole) ? size : sizeof(*hole));
	page->holes = hole->next;
	if (size < sizeof(*hole))
		poison((char *)hole + size, sizeof(*hole) - size);
	return hole;
}

static void page_give(struct page *page, struct hole *hole, size_t size)
{
	if (POISON_ON)
		memset(hole, 0xdd, size); /* a second free of the same object is reported here */
	unpoison(hole, sizeof(*hole));
	hole->next = POISON_ON ? NULL : page->holes;
	if (POISON_ON && page->holes) {
		unpoison(page->last_hole, sizeof(*hole));
		page->last_hole->next = hole;
		poison(page->last_hole, sizeof(*hole));
	} else {
		page->holes = hole;
	}
	page->last_hole = hole;
	poison(hole, round_up(size));
}

void slab_init(struct slab *s, const char *name, size_t size, size_t max)
{
	*s = (struct slab){ .name = name, .size = size ? size : 1, .max = max };
	s->slot = round_up(s->size) + POISON_GAP;
	s->slots = (SLAB_PAGE - head_size()) / s->slot;
	assert(s->slots > 0);
	list_init(&s->partial);
	list_init(&s->full);
}

void *slab_alloc_raw(struct slab *s)
{
	struct page *page = NULL;
	void *p;

	if (!s->max || s->in_use < s->max)
		page = list_empty(&s->partial) ? page_new(s) : owner_of(s->partial.next, struct page, in_slab);
	if (!page) {
		s->refused++;
		return NULL;
	}
	p = page_take(page, s->size);
	s->in_use++;
	if (page == s->spare)
		s->spare = NULL;
	if (++page->used == s->slots) {
		list_del(&page->in_slab);
		list_push(&s->full, &page->in_slab);
	}
	return p;
}

void *slab_alloc(struct slab *s)
{
	void *p = slab_alloc_raw(s);

	return p ? memset(p, 0, s->size) : NULL;
}

struct slab *slab_of(void *p)
{
	return page_of(p)->slab;
}

void slab_free(struct slab *s, void *p)
{
	struct page *page = page_of(p);

	if (!p)
		return;
	assert(page->slab == s);
	page_give(page, p, s->size);
	s->in_use--;
	if (page->used-- == s->slots) {
		list_del(&page->in_slab);
		list_push_front(&s->partial, &page->in_slab);
	}
	if (page->used)
		return;
	if (s->spare) {
		page_free(s, page);
		return;
	}
	s->spare = page; /* kept, and used last: one object made and freed in turn must not map and unmap */
	list_del(&page->in_slab);
	list_push(&s->partial, &page->in_slab);
}

void slab_trim(struct slab *s)
{
	struct page *page = s->spare;

	if (!page)
		return;
	s->spare = NULL;
	page_free(s, page);
}

static void free_pages(struct slab *s, struct node *pages)
{
	list_each_safe(it, pages)
		page_free(s, owner_of(it, struct page, in_slab));
}

size_t slab_fini(struct slab *s)
{
	size_t left = s->in_use;

	free_pages(s, &s->partial);
	free_pages(s, &s->full);
	s->in_use = 0;
	s->spare = NULL;
	return left;
}
