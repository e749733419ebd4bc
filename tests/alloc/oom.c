#include "tests/alloc/oom.h"
#include "base/slab.h"
#include <errno.h>
#include <execinfo.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What --wrap calls them. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void __real_free(void *p);
void *__real_slab_alloc(struct slab *s);
void *__real_slab_alloc_raw(struct slab *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void __wrap_free(void *p);
void *__wrap_slab_alloc(struct slab *s);
void *__wrap_slab_alloc_raw(struct slab *s);

/* One per process, as memory is. */
static struct {
	unsigned long first, last, at, asked;
	unsigned paused;
	bool is_armed, has_failed;
	long live;
	void *where[12];
	int depth;
} oom;

void oom_arm(unsigned long first, unsigned long more)
{
	oom.first = first;
	oom.last = first + more;
	oom.at = 0;
	oom.is_armed = true;
	oom.has_failed = false;
}

bool oom_disarm(void)
{
	oom.is_armed = false;
	return oom.has_failed;
}

void oom_pause(void)
{
	oom.paused++;
}

void oom_resume(void)
{
	oom.paused--;
}

long oom_live(void)
{
	return oom.live;
}

unsigned long oom_asked(void)
{
	return oom.asked;
}

void oom_show(void)
{
	backtrace_symbols_fd(oom.where, oom.depth, STDERR_FILENO);
}

static bool is_out(void)
{
	if (oom.paused)
		return false;
	oom.asked++;
	if (!oom.is_armed || ++oom.at < oom.first || oom.at > oom.last)
		return false;
	if (!oom.has_failed)
		oom.depth = backtrace(oom.where, sizeof(oom.where) / sizeof(*oom.where));
	oom.has_failed = true;
	errno = ENOMEM;
	return true;
}

static void *counted(void *p)
{
	oom.live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t n)
{
	return is_out() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return is_out() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q = is_out() ? NULL : __real_realloc(p, n);

	return p ? q : counted(q);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	void *q = is_out() ? NULL : __real_reallocarray(p, n, size);

	return p ? q : counted(q);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return is_out() ? NULL : counted(__real_aligned_alloc(align, n));
}

char *__wrap_strdup(const char *s)
{
	return is_out() ? NULL : counted(__real_strdup(s));
}

/* Pages of slabs: mapped and unmapped whole, in all cases but the first of an odd address. */
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	return is_out() ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, off);
}

/* Each object of a slab, too, not only its pages. */
void *__wrap_slab_alloc(struct slab *s)
{
	return is_out() ? NULL : __real_slab_alloc(s);
}

void *__wrap_slab_alloc_raw(struct slab *s)
{
	return is_out() ? NULL : __real_slab_alloc_raw(s);
}

void __wrap_free(void *p)
{
	oom.live -= p != NULL;
	__real_free(p);
}
