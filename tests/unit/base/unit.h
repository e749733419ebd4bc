/* tests/unit/base/unit.h - what all tests of base/ share: cmocka, a small random generator, failing allocators. */
#ifndef TESTS_UNIT_BASE_UNIT_H
#define TESTS_UNIT_BASE_UNIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* xorshift: the same numbers in every run. `*state` must not be 0. */
static inline uint64_t any(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t any_below(uint64_t *state, uint64_t n)
{
	return any(state) % n;
}

#endif
