/* nat/heard.c - a place holds half the hash of who was heard there, and when: one word, read and written whole. Eight places, a line of
 * the cache, are for all whose hash leads there, and who was heard longest ago makes room. With one place each, two who are pinged in
 * turn would overwrite each other for ever, and one of them would seem dead. */
#include "nat/heard.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WAYS = 8, LINE = 64 };

struct heard {
	struct hash_key key;
	size_t mask;                /* of sets */
	_Atomic uint64_t *places;   /* in `area`, by whole lines */
	char area[];
};

int heard_new(struct heard **out, const struct hash_key *key, size_t places)
{
	struct heard *h = calloc(1, sizeof(*h) + places * sizeof(h->places[0]) + LINE);

	if (!h)
		return -ENOMEM;
	h->key = *key;
	h->mask = places / WAYS - 1;
	h->places = (_Atomic uint64_t *)(void *)(h->area + (LINE - (uintptr_t)h->area % LINE) % LINE);
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

static uint64_t place_read(const _Atomic uint64_t *place)
{
	return atomic_load_explicit(place, memory_order_relaxed);
}

/* Below 0: another worker's clock is a moment ahead. */
static int64_t ago(uint64_t place, uint64_t now_ms)
{
	return (int32_t)((when(now_ms) - (uint32_t)place) << 1) >> 1;
}

/* The place of `name`, or NULL. */
static _Atomic uint64_t *place_of(const struct heard *h, uint64_t name)
{
	_Atomic uint64_t *set = &h->places[(name & h->mask) * WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t place = place_read(&set[i]);

		if ((uint32_t)place && place >> 32 == name >> 32)
			return &set[i];
	}
	return NULL;
}

/* A free one, or that of who was heard longest ago. */
static _Atomic uint64_t *place_take(const struct heard *h, uint64_t name, uint64_t now_ms)
{
	_Atomic uint64_t *set = &h->places[(name & h->mask) * WAYS], *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t place = place_read(&set[i]);

		if (!(uint32_t)place)
			return &set[i];
		if (ago(place, now_ms) > ago(place_read(oldest), now_ms))
			oldest = &set[i];
	}
	return oldest;
}

void heard_note(struct heard *h, const struct path *from, uint64_t now_ms)
{
	uint64_t name = name_of(h, from);
	_Atomic uint64_t *place = place_of(h, name);

	if (!place)
		place = place_take(h, name, now_ms);
	atomic_store_explicit(place, name >> 32 << 32 | when(now_ms), memory_order_relaxed);
}

bool heard_within(const struct heard *h, const struct path *from, uint64_t now_ms, uint32_t within_ms)
{
	const _Atomic uint64_t *place = place_of(h, name_of(h, from));

	return place && (ago(place_read(place), now_ms) + 1) * HEARD_GRAIN_MS <= (int64_t)within_ms;
}
