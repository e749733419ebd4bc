/* dispatcher/wish.c */
#include "dispatcher/wish.h"
#include "base/hash.h"
#include "base/table.h"
#include "base/tlv.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The numbers are for ever. */
enum wish_field { WISH_NAME = 1, WISH_WISH, WISH_VERSION, WISH_SINCE, WISH_ACTOR, WISH_REASON, WISH_DEADLINE, WISH_THEN, WISH_GONE };

struct entry {
	struct link in_table;
	struct node in_all;
	struct wish wish;
	bool is_named;           /* by the configuration that is being applied */
	uint16_t name_len;
	char name[WISH_NAME_MAX];
};

struct wishes {
	struct pools *pools;
	struct table by_name;
	struct node all;
	unsigned n;
	bool is_unsaved;
};

static struct sv entry_name(const struct entry *e)
{
	return (struct sv){ e->name, e->name_len };
}

int wishes_new(struct wishes **out, struct pools *p)
{
	struct wishes *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->pools = p;
	list_init(&w->all);
	if (table_init(&w->by_name, 0)) {
		free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

static void entry_free(struct wishes *w, struct entry *e)
{
	table_del(&w->by_name, &e->in_table);
	list_del(&e->in_all);
	w->n--;
	free(e);
}

void wishes_free(struct wishes *w)
{
	if (!w)
		return;
	while (!list_empty(&w->all))
		entry_free(w, owner_of(w->all.next, struct entry, in_all));
	table_fini(&w->by_name);
	free(w);
}

/* Names are the operator's: nobody gains from two that hash alike. */
static struct entry *entry_find(const struct wishes *w, struct sv name)
{
	for (struct link *l = table_find(&w->by_name, hash_weak(0, name)); l; l = table_next(&w->by_name, l)) {
		struct entry *e = owner_of(l, struct entry, in_table);

		if (sv_eq(entry_name(e), name))
			return e;
	}
	return NULL;
}

static struct entry *gone_longest(const struct wishes *w)
{
	struct entry *oldest = NULL;

	list_each(it, &w->all) {
		struct entry *e = owner_of(it, struct entry, in_all);

		if (e->wish.gone_ms && (!oldest || e->wish.gone_ms < oldest->wish.gone_ms))
			oldest = e;
	}
	return oldest;
}

static struct entry *entry_new(struct wishes *w, struct sv name)
{
	struct entry *e, *oldest = w->n >= WISHES_MAX ? gone_longest(w) : NULL;

	if (w->n >= WISHES_MAX && !oldest)
		return NULL; /* cannot be: a configuration has half as many destinations */
	if (!(e = calloc(1, sizeof(*e))))
		return NULL;
	if (oldest)
		entry_free(w, oldest);
	memcpy(e->name, name.p, name.len);
	e->name_len = (uint16_t)name.len;
	table_add(&w->by_name, &e->in_table, hash_weak(0, name));
	list_push(&w->all, &e->in_all);
	w->n++;
	return e;
}

const struct wish *wishes_find(const struct wishes *w, struct sv name)
{
	const struct entry *e = entry_find(w, name);

	return e ? &e->wish : NULL;
}

void wishes_each(const struct wishes *w, void (*fn)(void *ctx, struct sv name, const struct wish *wish), void *ctx)
{
	list_each(it, &w->all) {
		const struct entry *e = owner_of(it, struct entry, in_all);

		fn(ctx, entry_name(e), &e->wish);
	}
}

size_t wishes_count(const struct wishes *w)
{
	return w->n;
}

bool wishes_are_unsaved(const struct wishes *w)
{
	return w->is_unsaved;
}

void wishes_are_saved(struct wishes *w)
{
	w->is_unsaved = false;
}

/* With the configuration ------------------------------------------------------------------------------------------ */

static struct sv name_of(const struct conf *c, uint32_t destination, char area[WISH_NAME_MAX + 1])
{
	const struct conf_destination *d = &c->destinations[destination];

	return (struct sv){ area, (size_t)snprintf(area, WISH_NAME_MAX + 1, "%.*s/%.*s", SV_ARG(c->pools[d->pool].name), SV_ARG(d->name)) };
}

/* What no configuration names any more is kept for a while: it may be back tomorrow, and then is still to be drained. */
static void note_absence(struct wishes *w, uint64_t wall_ms)
{
	list_each_safe(it, &w->all) {
		struct entry *e = owner_of(it, struct entry, in_all);
		bool was_named = !e->wish.gone_ms;

		if (e->is_named)
			e->wish.gone_ms = 0;
		else if (was_named)
			e->wish.gone_ms = wall_ms ? wall_ms : 1;
		w->is_unsaved |= e->is_named != was_named;
		if (e->wish.gone_ms && e->wish.gone_ms + WISH_KEEP_DAYS * UINT64_C(86400000) < wall_ms) {
			entry_free(w, e);
			w->is_unsaved = true;
		}
	}
}

void wishes_apply(struct wishes *w, const struct conf *c, uint64_t wall_ms)
{
	char area[WISH_NAME_MAX + 1];

	list_each(it, &w->all)
		owner_of(it, struct entry, in_all)->is_named = false;
	for (uint32_t i = 0; i < c->n_destinations; i++) {
		struct entry *e = entry_find(w, name_of(c, i, area));

		if (!e)
			continue;
		e->is_named = true;
		dest_put_wish(w->pools, pools_slot(w->pools, c, i), e->wish.wish, 0);
	}
	note_absence(w, wall_ms);
}

int wishes_set(struct wishes *w, const struct conf *c, struct sv name, const struct wish *want, uint64_t now_ms, uint64_t wall_ms,
               char hint[128])
{
	uint16_t slot = dest_find(w->pools, c, name, hint);
	struct entry *e;
	uint64_t version;

	if (slot == POOL_NO_SLOT)
		return -ENOENT;
	e = entry_find(w, name);
	if (!e && !(e = entry_new(w, name)))
		return -ENOMEM;
	version = e->wish.version + 1;
	e->wish = *want;
	e->wish.version = version;
	e->wish.since_ms = wall_ms;
	e->wish.gone_ms = 0;
	w->is_unsaved = true;
	dest_put_wish(w->pools, slot, want->wish, now_ms);
	return 0;
}

/* Records ----------------------------------------------------------------------------------------------------------- */

size_t wish_encode(const struct wish *wish, struct sv name, char *area, size_t size)
{
	struct tlv_out o;

	tlv_init(&o, area, size);
	tlv_put(&o, WISH_NAME, name);
	tlv_put_u64(&o, WISH_WISH, wish->wish);
	tlv_put_u64(&o, WISH_VERSION, wish->version);
	tlv_put_u64(&o, WISH_SINCE, wish->since_ms);
	tlv_put(&o, WISH_ACTOR, sv_from(wish->actor));
	tlv_put(&o, WISH_REASON, sv_from(wish->reason));
	if (wish->deadline_ms) {
		tlv_put_u64(&o, WISH_DEADLINE, wish->deadline_ms);
		tlv_put_u64(&o, WISH_THEN, wish->then);
	}
	if (wish->gone_ms)
		tlv_put_u64(&o, WISH_GONE, wish->gone_ms);
	return o.is_full ? 0 : o.len;
}

static int decode_text(char *to, size_t max, struct sv text)
{
	if (text.len > max || memchr(text.p, '\0', text.len))
		return -EBADMSG;
	memcpy(to, text.p, text.len);
	to[text.len] = '\0';
	return 0;
}

static int decode_number(uint64_t *to, uint64_t max, struct sv bytes)
{
	if (bytes.len > 8 || tlv_u64(bytes) > max)
		return -EBADMSG;
	*to = tlv_u64(bytes);
	return 0;
}

static int decode_field(struct wish *out, struct sv *name, uint8_t field, struct sv bytes)
{
	uint64_t number = 0;
	int err;

	switch (field) {
	case WISH_NAME:
		*name = bytes;
		return bytes.len > 0 && bytes.len <= WISH_NAME_MAX ? 0 : -EBADMSG;
	case WISH_WISH:
		err = decode_number(&number, WISH_DISABLED, bytes);
		out->wish = (enum dest_wish)number;
		return err;
	case WISH_THEN: /* what a later version knows to do is left to it */
		err = decode_number(&number, UINT64_MAX, bytes);
		out->then = number < THEN_COUNT ? (enum wish_then)number : THEN_NOTHING;
		return err;
	case WISH_VERSION:
		return decode_number(&out->version, UINT64_MAX - 1, bytes);
	case WISH_SINCE:
		return decode_number(&out->since_ms, UINT64_MAX, bytes);
	case WISH_DEADLINE:
		return decode_number(&out->deadline_ms, UINT64_MAX, bytes);
	case WISH_GONE:
		return decode_number(&out->gone_ms, UINT64_MAX, bytes);
	case WISH_ACTOR:
		return decode_text(out->actor, WISH_ACTOR_MAX, bytes);
	case WISH_REASON:
		return decode_text(out->reason, WISH_REASON_MAX, bytes);
	default:
		return 0;
	}
}

int wish_decode(struct wish *out, struct sv *name, struct sv record)
{
	struct wish wish = { 0 };
	struct sv bytes;
	uint8_t field;
	int err;

	*name = (struct sv){ NULL, 0 };
	while (!(err = tlv_next(&record, &field, &bytes)))
		if ((err = decode_field(&wish, name, field, bytes)))
			return err;
	if (err != -ENOENT || !name->len || !wish.version)
		return -EBADMSG;
	*out = wish;
	return 0;
}

void wishes_export(const struct wishes *w, void (*put)(void *ctx, struct sv record), void *ctx)
{
	char area[WISH_RECORD_MAX];

	list_each(it, &w->all) {
		const struct entry *e = owner_of(it, struct entry, in_all);
		size_t len = wish_encode(&e->wish, entry_name(e), area, sizeof(area));

		put(ctx, (struct sv){ area, len });
	}
}

/* Whether a destination is in this node's configuration is no part of the decision. */
static bool is_newer(const struct wish *a, const struct wish *b, struct sv name)
{
	char left[WISH_RECORD_MAX], right[WISH_RECORD_MAX];
	struct wish l = *a, r = *b;
	size_t left_len, right_len;
	int order;

	if (a->version != b->version)
		return a->version > b->version;
	if (a->since_ms != b->since_ms)
		return a->since_ms > b->since_ms;
	l.gone_ms = r.gone_ms = 0;
	left_len = wish_encode(&l, name, left, sizeof(left));
	right_len = wish_encode(&r, name, right, sizeof(right));
	order = memcmp(left, right, left_len < right_len ? left_len : right_len);
	return order ? order > 0 : left_len > right_len;
}

int wishes_merge(struct wishes *w, const struct conf *c, struct sv record, uint64_t now_ms)
{
	struct wish wish;
	struct entry *e;
	struct sv name;
	uint16_t slot;
	int err = wish_decode(&wish, &name, record);

	if (err)
		return err;
	e = entry_find(w, name);
	if (e && !is_newer(&wish, &e->wish, name))
		return -EALREADY;
	if (!e && !(e = entry_new(w, name)))
		return -ENOMEM;
	slot = c ? dest_find(w->pools, c, name, NULL) : POOL_NO_SLOT;
	if (c)
		wish.gone_ms = slot != POOL_NO_SLOT ? 0 : e->wish.gone_ms ? e->wish.gone_ms : wish.since_ms;
	e->wish = wish;
	w->is_unsaved = true;
	dest_put_wish(w->pools, slot, wish.wish, now_ms);
	return 0;
}

const char *wish_word(enum dest_wish wish)
{
	return wish == WISH_DISABLED ? "disabled" : wish == WISH_DRAINING ? "draining" : "in service";
}
