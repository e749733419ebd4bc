/* base/table.h - intrusive hash table over 64-bit keys that are already well mixed (keyed hashes, token
 * ids). Grows and shrinks a few buckets per operation: no operation ever rehashes all. One thread. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H
#include <stddef.h>
#include <stdint.h>

struct link {
	struct link *next;
	uint64_t key;
};

struct table {
	struct link **cur, **old; /* `old` is being moved over, from bucket `moved` on */
	size_t cur_mask, old_mask, moved;
	size_t count, max;
	size_t refused;
};

/* `max` bounds the entries (0 = none). 0 or -ENOMEM. */
int table_init(struct table *t, size_t max);
void table_fini(struct table *t);
/* Several entries may share a key. 0, or -ENOSPC at the bound. A failed growth only makes chains longer. */
int table_add(struct table *t, struct link *l, uint64_t key);
struct link *table_find(const struct table *t, uint64_t key);
/* The next entry with the same key, or NULL. */
struct link *table_next(const struct table *t, const struct link *l);
void table_del(struct table *t, struct link *l);
/* Calls `fn` for each entry; `fn` must not add or delete. Stops when it returns false. It may
 * free the entries of a table that only table_fini() comes to after that. */
void table_each(const struct table *t, _Bool (*fn)(void *ctx, struct link *l), void *ctx);

#endif
