/* nat/heard.c - a place holds half the hash of who was heard there last, and when: one word, read and written whole. */
#include "nat/heard.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct heard {
	struct hash_key key;
	size_t mask;
	_Atomic uint64_t places[];
};

int heard_new(struct heard **out, const struct hash_key *key, size_t places)
{
	struct heard *h = calloc(1, sizeof(*h) + places * sizeof(h->places[0]));

	if (!h)
		return -ENOMEM;
	h->key = *key;
	h->mask = places - 1;
	*out = h;
	return 0;
}

void heard_free(struct heard *h)
{
	free(h);
}

static uint64_t name_of(const struct heard *h, const struct path *from)
{
	struct {
		struct addr remote;
		uint16_t listener, transport;
	} datagram = { from->remote, from->listener, from->transport };

	_Static_assert(sizeof(datagram) == sizeof(struct addr) + 4, "padding would be hashed");
	return from->flow ? hash_bytes(&h->key, &from->flow, sizeof(from->flow)) : hash_bytes(&h->key, &datagram, sizeof(datagram));
}

/* Never 0: that is a place nobody was noted in. */
static uint32_t when(uint64_t now_ms)
{
	return (uint32_t)(now_ms / HEARD_GRAIN_MS) | 1u << 31;
}

void heard_note(struct heard *h, const struct path *from, uint64_t now_ms)
{
	uint64_t name = name_of(h, from);

	atomic_store_explicit(&h->places[name & h->mask], name >> 32 << 32 | when(now_ms), memory_order_relaxed);
}

bool heard_within(const struct heard *h, const struct path *from, uint64_t now_ms, uint32_t within_ms)
{
	uint64_t name = name_of(h, from);
	uint64_t place = atomic_load_explicit(&h->places[name & h->mask], memory_order_relaxed);
	int64_t ago = (int32_t)((when(now_ms) - (uint32_t)place) << 1) >> 1; /* below 0: another worker's clock is a moment ahead */

	if (!(uint32_t)place || place >> 32 != name >> 32)
		return false;
	return (ago + 1) * HEARD_GRAIN_MS <= (int64_t)within_ms;
}
