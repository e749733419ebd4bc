/* transports/held.h - memory for messages and heads that have come in part, counted in their worker's budget. Private to transports/. */
#ifndef TRANSPORTS_HELD_H
#define TRANSPORTS_HELD_H
#include "transports/stream.h"

/* `held`, of `had` bytes (NULL: 0), becomes one of `size`; what is new in it is not initialised. NULL: the budget or memory is out, and
 * nothing has changed. */
void *held_resize(void *held, struct stream_budget *budget, size_t had, size_t size);
/* NULL is allowed. */
void held_free(void *held, struct stream_budget *budget, size_t had);

/* These bytes have been taken from the input. */
static inline void held_took(struct stream_message *in, size_t n)
{
	in->p += n;
	in->len -= n;
}

#endif
