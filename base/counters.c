/* base/counters.c */
#include "base/counters.h"
#include <errno.h>
#include <stdlib.h>

enum { LINE = 64 }; /* bytes of a cache line: two workers' blocks never share one */

int counters_init(struct counters *c, const struct counter_def *defs, size_t n)
{
	size_t bytes;
	_Atomic uint64_t *value;

	if (n > SIZE_MAX / sizeof(*value) - LINE)
		return -ENOMEM;
	bytes = ((n ? n : 1) * sizeof(*value) + LINE - 1) / LINE * LINE;
	value = aligned_alloc(LINE, bytes);
	if (!value)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		atomic_init(&value[i], 0);
	*c = (struct counters){ .defs = defs, .n = n, .value = value };
	return 0;
}

void counters_fini(struct counters *c)
{
	free(c->value);
	*c = (struct counters){ 0 };
}
