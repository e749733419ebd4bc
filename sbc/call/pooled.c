/* sbc/call/pooled.c - what a pool has to know of a call to choose for it, and what the call tells of the destination it went to. */
#include "sbc/call/call.h"

enum { RETRY_AFTER_MAX_S = 86400 };

/* What `hash.by` names: two parts, so that "a" at "bc" is not "ab" at "c". */
static void key_parts(const struct setup *s, const struct conf_pool *pool, const struct view *v, struct sv parts[2])
{
	const struct addr *source = &s->call->near.path.remote;
	struct name_addr from;
	struct uri u = { .scheme = 0 };
	struct sv uri = view_uri(v);

	if (pool->hash.by == KEY_FROM_USER)
		uri = name_addr_parse(&from, view_value(v, HDR_FROM)) ? SV("") : from.uri;
	if (pool->hash.by == KEY_CALL_ID || pool->hash.by == KEY_SOURCE || uri_parse(&u, uri))
		u = (struct uri){ .scheme = 0 };
	parts[0] = u.user.len ? u.user : u.opaque;
	parts[1] = pool->hash.by == KEY_TO_USER ? SV("") : u.host;
	if (pool->hash.by == KEY_DOMAIN)
		parts[0] = SV("");
	if (pool->hash.by == KEY_CALL_ID)
		parts[0] = view_value(v, HDR_CALL_ID);
	if (pool->hash.by == KEY_SOURCE)
		parts[0] = (struct sv){ (const char *)source->ip, source->family == 6 ? 16 : 4 };
}

/* Keyed: nobody outside can choose names that all lead to one destination. Both nodes of a pair have the same key. */
static uint64_t hash_key(const struct setup *s, const struct conf_pool *pool, const struct view *v)
{
	struct view_fault fault;
	struct sv parts[2];
	struct view again;

	if (!v && view_scan(&again, s->request->data, s->request->len, false, &fault))
		return s->call->near.in_table.key;
	key_parts(s, pool, v ? v : &again, parts);
	return hash_parts(token_hash_key(s->call->b->p.tokens), parts, 2);
}

/* The first of them that hashes says what the key is. */
static uint64_t key_of(const struct setup *s, const struct conf_pool *pool, const struct view *v)
{
	for (unsigned i = 0; i <= CONF_SPILLS_MAX && pool->balance != BALANCE_HASH; i++) {
		if (!pool->spill)
			return s->call->near.in_table.key;
		pool = &s->call->b->conf->pools[pool->spill - 1];
	}
	return hash_key(s, pool, v);
}

struct pool_query pooled_query(const struct setup *s, const struct conf_pool *pool, const struct view *v)
{
	const struct b2bua *b = s->call->b;

	return (struct pool_query){ .key = key_of(s, pool, v),
		                    .now_ms = b->p.wheel->now_ms, .worker = b->p.worker, .tried = s->tried, .n_tried = s->n_tried };
}

/* RFC 3261 §20.33: seconds, and remarks that say nothing to us. 0: none, or nothing of that kind. */
uint32_t retry_after_s(const struct view *v)
{
	struct sv value = view_value(v, HDR_RETRY_AFTER);
	uint64_t seconds;

	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] < '0' || value.p[i] > '9')
			value.len = i;
	if (!value.len)
		return 0;
	return sv_u64(value, RETRY_AFTER_MAX_S, &seconds) ? RETRY_AFTER_MAX_S : (uint32_t)seconds;
}

static bool is_failure(const struct conf_pool *pool, unsigned status)
{
	for (unsigned i = 0; i < pool->health.n_fail_on; i++)
		if (pool->health.fail_on[i] == status)
			return true;
	return false;
}

void pooled_answered(const struct attempt *a, const struct view *v)
{
	const struct setup *s = a->setup;
	struct b2bua *b = a->b;
	const struct conf_pool *pool;

	if (s->direct || !a->leg->has_slot || s->pick_gen != b->conf->gen || (v->status < 300 && dest_is_well(b->p.pools, a->leg->slot)))
		return;
	pool = &b->conf->pools[b->conf->destinations[a->destination].pool];
	if (is_failure(pool, v->status) && setup_has_address(s))
		return; /* one address of several: the destination has others */
	dest_report(b->p.pools, b->conf, a->destination, is_failure(pool, v->status) ? CALL_FAILED : CALL_OK, b->p.wheel->now_ms,
	            status_phrase(v->status));
	if (v->status == 503)
		dest_rest(b->p.pools, b->conf, a->destination, b->p.wheel->now_ms, retry_after_s(v));
}

void pooled_heard(struct attempt *a)
{
	a->is_timed = false;
	if (a->leg->has_slot)
		dest_latency(a->b->p.pools, a->leg->slot, (uint32_t)(a->b->p.wheel->now_ms - a->sent_ms) * 1000);
}
