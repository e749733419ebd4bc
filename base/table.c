/* base/table.c - chained buckets; while the bucket array changes size, old and new stand side by side and each
 * add or delete moves a few buckets over. An entry is in `old` exactly while its old bucket has not been moved,
 * so a key has one place to look, and entries of one key keep their order when their bucket moves. */
#include "base/table.h"
#include <errno.h>
#include <stdlib.h>

enum {
	FEWEST = 16,      /* buckets */
	MOVES = 4,        /* old buckets moved per add or delete */
	SPARSE = 8,       /* shrink when there are fewer entries than buckets / SPARSE */
};

int table_init(struct table *t, size_t max)
{
	*t = (struct table){ .max = max, .cur_mask = FEWEST - 1 };
	t->cur = calloc(FEWEST, sizeof(*t->cur));
	return t->cur ? 0 : -ENOMEM;
}

void table_fini(struct table *t)
{
	free(t->cur);
	free(t->old);
	*t = (struct table){ 0 };
}

static struct link **bucket_of(const struct table *t, uint64_t key)
{
	if (t->old && (key & t->old_mask) >= t->moved)
		return &t->old[key & t->old_mask];
	return &t->cur[key & t->cur_mask];
}

/* Into one bucket, or two when the table grows; their ends are kept, since many entries may share a key. */
static void move_bucket(struct table *t, struct link *l)
{
	struct link *next, **ends[2] = { NULL, NULL };

	for (; l; l = next) {
		size_t to = l->key & t->cur_mask;
		struct link ***end = &ends[to > t->old_mask];

		next = l->next;
		if (!*end)
			*end = &t->cur[to];
		while (**end)
			*end = &(**end)->next;
		l->next = NULL;
		**end = l;
	}
}

/* Shrinking has begun, nobody is left, and there may never be an operation that goes on with it. */
static void start_anew(struct table *t)
{
	struct link **fresh = calloc(FEWEST, sizeof(*fresh));

	if (!fresh)
		return;
	free(t->old);
	free(t->cur);
	t->old = NULL;
	t->cur = fresh;
	t->cur_mask = FEWEST - 1;
}

static void move_some(struct table *t)
{
	if (!t->count) {
		start_anew(t);
		return;
	}
	for (int i = 0; i < MOVES && t->old; i++) {
		move_bucket(t, t->old[t->moved]);
		if (t->moved++ < t->old_mask)
			continue;
		free(t->old);
		t->old = NULL;
	}
}

static void resize(struct table *t, size_t buckets)
{
	struct link **fresh = calloc(buckets, sizeof(*fresh));

	if (!fresh)
		return; /* longer chains, or memory kept a while; tried again by the next operation */
	t->old = t->cur;
	t->old_mask = t->cur_mask;
	t->moved = 0;
	t->cur = fresh;
	t->cur_mask = buckets - 1;
}

/* Moving MOVES buckets per operation ends a move long before the next one can be wanted. */
static __attribute__((noinline)) void change_size(struct table *t, size_t buckets)
{
	if (t->old)
		move_some(t);
	else
		resize(t, t->count > buckets ? buckets * 2 : buckets / 2);
}

static inline void fit(struct table *t)
{
	size_t buckets = t->cur_mask + 1;

	if (t->old || t->count > buckets || (t->count < buckets / SPARSE && buckets > FEWEST))
		change_size(t, buckets);
}

int table_add(struct table *t, struct link *l, uint64_t key)
{
	struct link **bucket;

	if (t->max && t->count >= t->max) {
		t->refused++;
		return -ENOSPC;
	}
	bucket = bucket_of(t, key);
	l->key = key;
	l->next = *bucket;
	*bucket = l;
	t->count++;
	fit(t);
	return 0;
}

static struct link *same_key(struct link *l, uint64_t key)
{
	while (l && l->key != key)
		l = l->next;
	return l;
}

struct link *table_find(const struct table *t, uint64_t key)
{
	return same_key(*bucket_of(t, key), key);
}

struct link *table_next(const struct table *t, const struct link *l)
{
	(void)t;
	return same_key(l->next, l->key);
}

void table_del(struct table *t, struct link *l)
{
	struct link **at = bucket_of(t, l->key);

	while (*at && *at != l)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = l->next;
	l->next = NULL;
	t->count--;
	fit(t);
}

static _Bool chain_each(struct link *l, _Bool (*fn)(void *ctx, struct link *l), void *ctx)
{
	for (struct link *next; l; l = next) {
		next = l->next;
		if (!fn(ctx, l))
			return 0;
	}
	return 1;
}

void table_each(const struct table *t, _Bool (*fn)(void *ctx, struct link *l), void *ctx)
{
	for (size_t i = t->moved; t->old && i <= t->old_mask; i++)
		if (!chain_each(t->old[i], fn, ctx))
			return;
	for (size_t i = 0; i <= t->cur_mask; i++)
		if (!chain_each(t->cur[i], fn, ctx))
			return;
}
