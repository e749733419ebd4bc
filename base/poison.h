/* base/poison.h - tells AddressSanitizer which bytes of our own allocators nobody may touch. Does nothing in
 * other builds. */
#ifndef BASE_POISON_H
#define BASE_POISON_H
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_BUILD 1
#endif
#endif

#ifdef POISON_BUILD
#include <sanitizer/asan_interface.h>
enum { POISON_ON = 1, POISON_GAP = 16 }; /* bytes nobody owns behind each piece */

static inline void poison(const void *p, size_t len)
{
	__asm__("" : "+r"(p)); /* gcc 12 takes the const argument for a read of what malloc has just returned */
	__asan_poison_memory_region(p, len);
}

static inline void unpoison(const void *p, size_t len)
{
	__asan_unpoison_memory_region(p, len);
}

static inline bool is_poisoned(const void *p)
{
	return __asan_address_is_poisoned(p);
}
#else
enum { POISON_ON = 0, POISON_GAP = 0 };

static inline void poison(const void *p, size_t len)
{
	(void)p;
	(void)len;
}

static inline void unpoison(const void *p, size_t len)
{
	(void)p;
	(void)len;
}

static inline bool is_poisoned(const void *p)
{
	(void)p;
	return false;
}
#endif

#endif
