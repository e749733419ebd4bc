/* tests/unit/base/oom.h - included before a module's .c, it lets the n-th allocation of that module fail. */
#ifndef TESTS_UNIT_BASE_OOM_H
#define TESTS_UNIT_BASE_OOM_H
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static unsigned oom_in; /* the allocation that fails, counted from 1; 0: none */

static inline bool oom_now(void)
{
	if (oom_in == 0 || --oom_in > 0)
		return false;
	errno = ENOMEM;
	return true;
}

static inline void *oom_malloc(size_t n)
{
	return oom_now() ? NULL : malloc(n);
}

static inline void *oom_calloc(size_t n, size_t size)
{
	return oom_now() ? NULL : calloc(n, size);
}

static inline void *oom_aligned_alloc(size_t align, size_t n)
{
	return oom_now() ? NULL : aligned_alloc(align, n);
}

static inline char *oom_strdup(const char *s)
{
	return oom_now() ? NULL : strdup(s);
}

static bool mmap_is_odd; /* the next mapping starts one or two pages behind a round address */

static inline void *oom_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	enum { STEP = 4096 };
	char *p, *odd;

	if (oom_now())
		return MAP_FAILED;
	p = mmap(at, n + 2 * STEP, prot, flags, fd, off);
	if (p == MAP_FAILED || !mmap_is_odd) {
		munmap(p, n + 2 * STEP);
		return mmap(at, n, prot, flags, fd, off);
	}
	mmap_is_odd = false;
	odd = (uintptr_t)p % (2 * STEP) ? p : p + STEP;
	if (odd > p)
		munmap(p, STEP);
	munmap(odd + n, (size_t)(p + 2 * STEP - odd));
	return odd;
}

static inline int oom_eventfd(unsigned n, int flags)
{
	return oom_now() ? -1 : eventfd(n, flags);
}

#define malloc oom_malloc
#define calloc oom_calloc
#define aligned_alloc oom_aligned_alloc
#define strdup oom_strdup
#define mmap oom_mmap
#define eventfd oom_eventfd

#endif
