/* conf/reload.c - which differences between two snapshots a running process cannot take: those of rows that say RESTART. */
#include <errno.h>
#include "conf/reader.h"

struct compare {
	struct conf_notes *notes;
	unsigned differences;
	char path[256];
	size_t path_len;
};

static void compare_row(struct compare *cmp, const struct row *row, const void *now, const void *next);

static void differ(struct compare *cmp, const char *was, const char *is)
{
	char text[512];

	cmp->differences++;
	snprintf(text, sizeof(text), "changed from %s to %s: takes effect at a restart only; put it back to reload the rest",
	         was, is);
	notes_add(cmp->notes, true, (struct conf_mark){ 0 }, cmp->path, text);
}

static size_t push(struct compare *cmp, const char *between, struct sv name)
{
	size_t before = cmp->path_len, room = sizeof(cmp->path) - before;
	char word[72];
	int n = snprintf(cmp->path + before, room, "%s%s", between, printable(name, word));

	cmp->path_len = before + ((size_t)n < room ? (size_t)n : room - 1);
	return before;
}

static void pop(struct compare *cmp, size_t before)
{
	cmp->path_len = before;
	cmp->path[before] = '\0';
}

static const void *pointer_at(const void *base, uint16_t slot)
{
	const void *p;

	memcpy(&p, (const char *)base + slot - 1, sizeof(p));
	return p;
}

/* A value as one would write it. */
static const char *as_text(const struct row *row, const void *base, char buf[96])
{
	const char *at = (const char *)base + row->slot - 1;
	uint64_t n = load_number(at, row->slot_size);
	char word[72];

	switch (row->type) {
	case TY_BOOL:
		return n ? "on" : "off";
	case TY_CHOICE:
		return row->choices[n];
	case TY_INT: case TY_DURATION: case TY_SIZE: case TY_RATE:
		return number_text(row->type, n, buf);
	default:
		snprintf(buf, 96, "`%s`", printable(*(const struct sv *)(const void *)at, word));
		return buf;
	}
}

static void compare_scalar(struct compare *cmp, const struct row *row, const void *now, const void *next)
{
	char a[96], b[96], was[96], is[96];

	snprintf(was, sizeof(was), "%s", as_text(row, now, a));
	snprintf(is, sizeof(is), "%s", as_text(row, next, b));
	if (strcmp(was, is) != 0)
		differ(cmp, was, is);
}

static void compare_map(struct compare *cmp, const struct row *map, const void *now, const void *next)
{
	for (const struct row *key = schema_next_key(map, NULL); key; key = schema_next_key(map, key)) {
		size_t before = push(cmp, cmp->path_len ? "." : "", sv_from(schema_name(key)));

		for (const struct row *shape = key; shape; shape = schema_other(shape))
			compare_row(cmp, shape, now, next);
		pop(cmp, before);
	}
}

static void compare_item(struct compare *cmp, const struct row *item, size_t i, const void *now, const void *next)
{
	char index[24], was[192], is[192];
	size_t before;

	if (item->key) {
		const struct sv *a = (const void *)((const char *)now + item->key - 1);
		const struct sv *b = (const void *)((const char *)next + item->key - 1);

		if (!sv_eq(*a, *b)) {
			differ(cmp, printable(*a, was), printable(*b, is));
			return;
		}
		before = push(cmp, ".", *a);
	} else {
		snprintf(index, sizeof(index), "[%zu]", i);
		before = push(cmp, "", sv_from(index));
	}
	if (item->same && !item->same(now, next, was, is))
		differ(cmp, was, is);
	else if (!item->same)
		compare_row(cmp, item, now, next);
	pop(cmp, before);
}

/* Arrays are compared place by place: indexes of zones and listeners are in use all over a running process. */
static void compare_array(struct compare *cmp, const struct row *row, const void *now, const void *next)
{
	const struct row *item = row->type == TY_LIST ? schema_item(row) : schema_any(row);
	uint64_t n_now = load_number((const char *)now + row->count - 1, row->count_size);
	uint64_t n_next = load_number((const char *)next + row->count - 1, row->count_size);
	const char *a = pointer_at(now, row->slot), *b = pointer_at(next, row->slot);
	char was[32], is[32];

	if (n_now != n_next) {
		snprintf(was, sizeof(was), "%llu", (unsigned long long)n_now);
		snprintf(is, sizeof(is), "%llu entries", (unsigned long long)n_next);
		differ(cmp, was, is);
	}
	for (size_t i = 0; i < n_now && i < n_next; i++)
		compare_item(cmp, item, i, a + i * item->size, b + i * item->size);
}

static void compare_row(struct compare *cmp, const struct row *row, const void *now, const void *next)
{
	if (row->type == TY_MAP)
		compare_map(cmp, row, now, next);
	else if (row->reload == LIVE || !row->slot)
		return;
	else if (type_is_scalar(row->type))
		compare_scalar(cmp, row, now, next);
	else
		compare_array(cmp, row, now, next);
}

int conf_can_replace(const struct conf *now, const struct conf *next, struct conf_notes *notes)
{
	struct compare cmp = { .notes = notes };

	compare_map(&cmp, schema_root(), now, next);
	if (notes->out_of_memory)
		return -ENOMEM;
	return cmp.differences ? -EINVAL : 0;
}
