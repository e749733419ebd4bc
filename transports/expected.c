#include "transports/expected.h"
#include "base/list.h"
#include <errno.h>
#include <stdlib.h>

enum { SLOT_BITS = 12 };
_Static_assert(EXPECTED_MAX == 1 << SLOT_BITS, "a number is a generation and a slot");

struct name {
	struct link in_table;
	uint64_t used_ms;
	uint32_t id;
	uint32_t len;
	char text[];
};

int expected_init(struct expected *s)
{
	int err = random_bytes(&s->key, sizeof(s->key));

	return err ? err : table_init(&s->by_name, EXPECTED_MAX);
}

void expected_fini(struct expected *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free(s->slots[i]);
	free(s->slots);
	table_fini(&s->by_name);
}

/* Names have no case, paths have. */
static bool is_same(struct sv a, struct sv b)
{
	return sv_ieq(a, b) && sv_eq(sv_skip(a, sv_chr(a, '/')), sv_skip(b, sv_chr(b, '/')));
}

static struct name *find(const struct expected *s, struct sv text, uint64_t key)
{
	for (struct link *l = table_find(&s->by_name, key); l; l = table_next(&s->by_name, l)) {
		struct name *n = owner_of(l, struct name, in_table);

		if (is_same((struct sv){ n->text, n->len }, text))
			return n;
	}
	return NULL;
}

/* A slot of its own, or that of whoever has been silent for longest, if that is long. NULL: neither. */
static struct name **place(struct expected *s, uint64_t now_ms)
{
	struct name **oldest;

	if (!s->slots)
		return s->slots = calloc(EXPECTED_MAX, sizeof(struct name *)); /* all of them are free */
	if (s->n < EXPECTED_MAX)
		return &s->slots[s->n];
	oldest = &s->slots[0];
	for (uint32_t i = 1; i < EXPECTED_MAX; i++)
		if (s->slots[i]->used_ms < (*oldest)->used_ms)
			oldest = &s->slots[i];
	return (*oldest)->used_ms + EXPECTED_KEEP_MS <= now_ms ? oldest : NULL;
}

static struct name *add(struct expected *s, struct sv text, uint64_t key, uint64_t now_ms)
{
	struct name **at = place(s, now_ms), *n = at ? malloc(sizeof(*n) + text.len) : NULL;

	if (!n)
		return NULL;
	if (*at) {
		table_del(&s->by_name, &(*at)->in_table);
		free(*at);
	} else {
		s->n++;
	}
	if (++s->generation >> (32 - SLOT_BITS))
		s->generation = 1;
	*n = (struct name){ .id = s->generation << SLOT_BITS | (uint32_t)(at - s->slots), .len = (uint32_t)text.len };
	memcpy(n->text, text.p, text.len);
	*at = n;
	(void)table_add(&s->by_name, &n->in_table, key); /* there is room: as many as slots */
	return n;
}

uint32_t expected_id(struct expected *s, struct sv name, uint64_t now_ms)
{
	uint64_t key;
	struct name *n;

	if (name.len && name.p[name.len - 1] == '.' && sv_chr(name, '/') == name.len)
		name.len--;
	if (!name.len || sv_chr(name, '/') > NET_HOST_MAX || name.len > EXPECTED_LEN_MAX)
		return 0;
	key = hash_nocase(&s->key, name);
	if (!(n = find(s, name, key)) && !(n = add(s, name, key, now_ms)))
		return 0;
	n->used_ms = now_ms;
	return n->id;
}

struct sv expected_name(const struct expected *s, uint32_t id)
{
	uint32_t slot = id & (EXPECTED_MAX - 1);

	if (slot >= s->n || s->slots[slot]->id != id)
		return (struct sv){ NULL, 0 };
	return (struct sv){ s->slots[slot]->text, s->slots[slot]->len };
}

struct sv expected_host(const struct expected *s, uint32_t id)
{
	struct sv name = expected_name(s, id);

	return (struct sv){ name.p, sv_chr(name, '/') };
}

struct sv expected_path(const struct expected *s, uint32_t id)
{
	struct sv name = expected_name(s, id);

	return sv_skip(name, sv_chr(name, '/'));
}
