#include "transports/expected.h"
#include "transports/net.h"
#include <errno.h>
#include <stdlib.h>

enum { SLOT_BITS = 12 };
_Static_assert(EXPECTED_MAX == 1 << SLOT_BITS, "a number is a generation and a slot");

struct name {
	struct link in_table;
	struct node by_use;
	uint64_t used_ms, said_ms;
	uint32_t id;
	uint16_t len;
	bool is_configured;
	char text[];
};

int expected_init(struct expected *s)
{
	int err = random_bytes(&s->key, sizeof(s->key));

	list_init(&s->by_use[false]);
	list_init(&s->by_use[true]);
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

/* Who makes room. NULL: all of them are configured, and have been asked for lately. */
static struct name *oldest(const struct expected *s, uint64_t now_ms)
{
	struct name *n;

	if (!list_empty(&s->by_use[false]))
		return owner_of(s->by_use[false].next, struct name, by_use);
	n = owner_of(s->by_use[true].next, struct name, by_use);
	return n->used_ms + EXPECTED_KEEP_MS <= now_ms ? n : NULL;
}

static uint32_t slot_of(uint32_t id)
{
	return id & (EXPECTED_MAX - 1);
}

static struct name **place(struct expected *s, uint64_t now_ms)
{
	struct name *n;

	if (!s->slots)
		return s->slots = calloc(EXPECTED_MAX, sizeof(struct name *)); /* all of them are free */
	if (s->n < EXPECTED_MAX)
		return &s->slots[s->n];
	return (n = oldest(s, now_ms)) ? &s->slots[slot_of(n->id)] : NULL;
}

static struct name *add(struct expected *s, struct sv text, uint64_t key, uint64_t now_ms)
{
	struct name **at = place(s, now_ms), *n = at ? malloc(sizeof(*n) + text.len) : NULL;

	if (!n)
		return NULL;
	if (*at) {
		list_del(&(*at)->by_use);
		table_del(&s->by_name, &(*at)->in_table);
		free(*at);
	} else {
		s->n++;
	}
	if (++s->generation >= NET_NAME_NOBODY >> SLOT_BITS)
		s->generation = 1;
	*n = (struct name){ .id = s->generation << SLOT_BITS | (uint32_t)(at - s->slots), .len = (uint16_t)text.len };
	list_init(&n->by_use);
	memcpy(n->text, text.p, text.len);
	*at = n;
	(void)table_add(&s->by_name, &n->in_table, key); /* there is room: as many as slots */
	return n;
}

uint32_t expected_id(struct expected *s, struct sv name, bool is_configured, uint64_t now_ms)
{
	uint64_t key;
	struct name *n;

	if (name.len && name.p[name.len - 1] == '.' && sv_chr(name, '/') == name.len)
		name.len--;
	if (!name.len)
		return 0;
	if (sv_chr(name, '/') > NET_HOST_MAX || name.len > EXPECTED_LEN_MAX)
		return NET_NAME_NOBODY;
	key = hash_nocase(&s->key, name);
	if (!(n = find(s, name, key)) && !(n = add(s, name, key, now_ms)))
		return NET_NAME_NOBODY;
	n->used_ms = now_ms;
	n->is_configured |= is_configured;
	list_del(&n->by_use);
	list_push(&s->by_use[n->is_configured], &n->by_use);
	return n->id;
}

static struct name *find_id(const struct expected *s, uint32_t id)
{
	uint32_t slot = slot_of(id);

	return slot < s->n && s->slots[slot]->id == id ? s->slots[slot] : NULL;
}

struct sv expected_name(const struct expected *s, uint32_t id)
{
	const struct name *n = find_id(s, id);

	return n ? (struct sv){ n->text, n->len } : (struct sv){ NULL, 0 };
}

uint64_t *expected_said_ms(struct expected *s, uint32_t id)
{
	struct name *n = find_id(s, id);

	return n && n->is_configured ? &n->said_ms : NULL;
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
