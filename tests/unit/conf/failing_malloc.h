/* tests/unit/conf/failing_malloc.h - the n-th allocation of the whole program fails, the libraries' included, and what is
 * live is counted. Under a sanitizer the allocator is the sanitizer's: nothing can be made to fail there. */
#ifndef TESTS_UNIT_CONF_FAILING_MALLOC_H
#define TESTS_UNIT_CONF_FAILING_MALLOC_H
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static inline bool allocations_can_fail(void)
{
	return false;
}
static inline void allocation_fails(unsigned n)
{
	(void)n;
}
static inline bool allocation_has_failed(void)
{
	return false;
}
static inline long allocations_live(void)
{
	return 0;
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static struct {
	unsigned in; /* the allocation that fails, counted from 1; 0: none */
	bool has_failed;
	long live;
} failing;

static inline bool allocations_can_fail(void)
{
	return true;
}

static inline void allocation_fails(unsigned n)
{
	failing.in = n;
	failing.has_failed = false;
}

static inline bool allocation_has_failed(void)
{
	return failing.has_failed;
}

static inline long allocations_live(void)
{
	return failing.live;
}

static bool fails_now(void)
{
	if (failing.in == 0 || --failing.in > 0)
		return false;
	failing.has_failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	void *p = fails_now() ? NULL : __libc_malloc(n);

	failing.live += p != NULL;
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p = fails_now() ? NULL : __libc_calloc(n, size);

	failing.live += p != NULL;
	return p;
}

void *realloc(void *p, size_t n)
{
	void *q = fails_now() ? NULL : __libc_realloc(p, n);

	failing.live += !p && q;
	return q;
}

void free(void *p)
{
	failing.live -= p != NULL;
	__libc_free(p);
}
#endif

#endif
