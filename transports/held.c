#include "transports/held.h"
#include <stdlib.h>

void *held_resize(void *held, struct stream_budget *budget, size_t had, size_t size)
{
	void *p;

	if (budget->bytes - had + size > budget->max || !(p = realloc(held, size)))
		return NULL;
	budget->bytes += size - had;
	return p;
}

void held_free(void *held, struct stream_budget *budget, size_t had)
{
	budget->bytes -= held ? had : 0;
	free(held);
}
