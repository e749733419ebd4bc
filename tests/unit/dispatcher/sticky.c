/* Keys that keep their destination, without calls: what a key looks like, who is forgotten and when, records of hostile nodes, a log that
 * cannot be flooded, and no memory. */
#include "tests/unit/base/unit.h"
#include "tests/unit/base/oom.h"
#include "base/blocks.c"
#include "base/counters.c"
#include "base/slab.c"
#include "base/table.c"
#include "dispatcher/sticky.c"
#include <stdio.h>
#include <unistd.h>

#define YAML(options) \
	"node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\" } }\npools: { p: { zone: a, spill: more, sticky: { by: to-user, " options " }, " \
	"destinations: [{ name: x, uri: \"sip:10.0.0.1\" }, { name: y, uri: \"sip:10.0.0.2\" }, { name: z, uri: \"sip:10.0.0.3\" }] }, " \
	"more: { zone: a, destinations: [{ name: w, uri: \"sip:10.0.0.4\" }] } }\nroutes: [{ to: { pool: p } }]\n"
#define PLAIN \
	"node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\" } }\npools: { p: { zone: a, destinations: [{ name: x, uri: \"sip:10.0.0.1\" }] } }\n" \
	"routes: [{ to: { pool: p } }]\n"

enum { START = 1000000, KEPT_MAX = 4096 };

struct peer {
	struct sticky *s;
	struct pools *pools;
	struct conf *conf;
	struct wheel wheel;
	struct log *log;
	uint64_t gen;
};

static const struct hash_key hash = { 1, 2 };

static int adopt(struct peer *n, const char *yaml)
{
	struct conf *old = n->conf, *next;
	struct conf_notes notes;
	int err;

	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&next, "test", sv_from(yaml), &notes), 0);
	conf_notes_fini(&notes);
	next->gen = ++n->gen;
	assert_int_equal(pools_adopt(n->pools, next), 0);
	if ((err = sticky_adopt(n->s, next))) {
		conf_free(next);
		return err;
	}
	n->conf = next;
	conf_free(old);
	return 0;
}

static struct sticky_params params(struct peer *n, unsigned workers)
{
	return (struct sticky_params){ .wheel = &n->wheel, .pools = n->pools, .log = n->log, .key = &hash, .workers = workers };
}

static void peer_begin(struct peer *n, const char *yaml, unsigned workers)
{
	struct sticky_params p;

	wheel_init(&n->wheel, START);
	assert_int_equal(pools_new(&n->pools, workers), 0);
	p = params(n, workers);
	assert_int_equal(sticky_new(&n->s, &p), 0);
	assert_int_equal(adopt(n, yaml), 0);
}

static void peer_end(struct peer *n)
{
	sticky_free(n->s);
	assert_int_equal(n->wheel.count, 0);
	pools_free(n->pools);
	conf_free(n->conf);
	log_free(n->log);
}

static void passes(struct peer *n, uint64_t ms)
{
	uint64_t to = n->wheel.now_ms + ms, next;

	while ((next = wheel_next(&n->wheel)) <= to)
		wheel_advance(&n->wheel, next, SIZE_MAX);
	wheel_advance(&n->wheel, to, SIZE_MAX);
}

static uint64_t counted(const struct peer *n, enum sticky_counter which)
{
	return counter_get(&n->s->counters, which);
}

static struct sticky_question question(const char *text)
{
	return (struct sticky_question){ .pool = SV("p"), .text = sv_from(text), .key = sticky_key(&hash, SV("p"), sv_from(text)) };
}

static uint16_t slot_of(const struct peer *n, uint32_t destination)
{
	return pools_slot(n->pools, n->conf, destination);
}

/* The number of the destination. */
static unsigned asks(struct peer *n, const char *text)
{
	struct sticky_question q = question(text);

	assert_int_equal(sticky_ask(n->s, &q), 0);
	for (uint32_t i = 0; i < n->conf->n_destinations; i++)
		if (slot_of(n, i) == q.slot)
			return i;
	fail_msg("no slot of the configuration");
	return 0;
}

static bool count_one(void *ctx, const struct sticky_info *i)
{
	(void)i;
	++*(unsigned *)ctx;
	return true;
}

static unsigned known(const struct peer *n, const char *text)
{
	unsigned sum = 0;

	sticky_each(n->s, SV("p"), sv_from(text), count_one, &sum);
	return sum;
}

/* Keys ------------------------------------------------------------------------------------------------------------- */

static void a_key_can_be_shown(void **state)
{
	static const struct { const char *raw, *text; } cases[] = {
		{ "alice@example.com", "alice@example.com" }, { "a b", "a%20b" }, { "50%", "50%25" }, { "\x7f\x01\n", "%7F%01%0A" },
		{ "m\xc3\xbcller", "m\xc3\xbcller" },
	};
	char raw[400], one[STICKY_TEXT_MAX], other[STICKY_TEXT_MAX];
	struct sv a, b;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		a = sticky_text(&hash, sv_from(cases[i].raw), one);
		assert_true(sv_eq(a, sv_from(cases[i].text)));
		assert_true(sticky_is_text(a));
	}
	for (size_t len = 1; len <= sizeof(raw); len++)
		for (unsigned filler = 0; filler < 2; filler++) {
			memset(raw, filler ? ' ' : 'x', len);
			a = sticky_text(&hash, (struct sv){ raw, len }, one);
			assert_true(sticky_is_text(a));
			raw[len - 1] = 'y';
			b = sticky_text(&hash, (struct sv){ raw, len }, other);
			assert_true(sticky_is_text(b));
			assert_false(sv_eq(a, b)); /* of a long one the hash tells */
		}
	assert_false(sticky_is_text(SV("")) || sticky_is_text(SV("a b")) || sticky_is_text((struct sv){ raw, STICKY_TEXT_MAX + 1 }));
	assert_int_not_equal(sticky_key(&hash, SV("p"), SV("xy")), sticky_key(&hash, SV("px"), SV("y")));
}

/* Asking ----------------------------------------------------------------------------------------------------------- */

static void what_is_tried_moves_it(void **state)
{
	struct peer n = { 0 };
	struct sticky_question q;
	unsigned first;

	(void)state;
	peer_begin(&n, YAML("ttl: 1h"), 1);
	first = asks(&n, "a");
	assert_int_equal(asks(&n, "a"), first);
	assert_int_equal(counted(&n, STICKY_KEPT), 1);
	q = question("a");
	for (unsigned i = 0; i < 3; i++) { /* each destination of the pool, and then the one that takes what it spills */
		q.tried[q.n_tried++] = slot_of(&n, i);
		assert_int_equal(sticky_ask(n.s, &q), 0);
		assert_int_equal(q.slot, i < 2 ? q.slot : slot_of(&n, 3));
	}
	assert_int_equal(asks(&n, "a"), 3);
	q.tried[q.n_tried++] = slot_of(&n, 3);
	assert_int_equal(sticky_ask(n.s, &q), -EHOSTDOWN);
	assert_int_equal(asks(&n, "a"), 3); /* nobody took it */
	for (unsigned i = 0; i < 4; i++) {
		struct dest_info info;

		dest_info(n.pools, slot_of(&n, i), &info);
		assert_int_equal(info.calls, 0); /* whoever asked counts */
		assert_int_equal(dest_load(n.pools, slot_of(&n, i)), 0);
	}
	q.pool = SV("more");
	assert_int_equal(sticky_ask(n.s, &q), -ENOENT);
	peer_end(&n);
}

static void calls_are_counted_where_they_are(void **state)
{
	struct peer n = { 0 };
	struct sticky_question a = question("a"), b = question("a"), users = question("a");
	uint64_t old;

	(void)state;
	peer_begin(&n, YAML("on-drain: stay"), 1);
	a.counts = b.counts = true;
	assert_int_equal(sticky_ask(n.s, &users), 0); /* a REGISTER, say */
	assert_int_equal(users.era, 0);
	assert_int_equal(sticky_ask(n.s, &a), 0);
	assert_int_equal(sticky_ask(n.s, &b), 0);
	assert_int_equal(sticky_ask(n.s, &b), 0); /* asked anew: once */
	assert_int_equal(oldest(&pool_named(n.s, SV("p"))->busy)->calls, 2);
	old = a.era;
	a.tried[a.n_tried++] = a.slot;
	assert_int_equal(sticky_ask(n.s, &a), 0);
	assert_int_not_equal(a.era, old);
	assert_int_equal(oldest(&pool_named(n.s, SV("p"))->busy)->calls, 1);
	sticky_end(n.s, b.key, b.era); /* it was where the key is no more */
	sticky_end(n.s, a.key, a.era + 1);
	assert_int_equal(oldest(&pool_named(n.s, SV("p"))->busy)->calls, 1);
	sticky_end(n.s, a.key, a.era);
	sticky_end(n.s, a.key, a.era);
	assert_int_equal(oldest(&pool_named(n.s, SV("p"))->idle)->calls, 0);
	peer_end(&n);
	n = (struct peer){ 0 };
	peer_begin(&n, YAML("on-drain: move"), 1);
	assert_int_equal(sticky_ask(n.s, &b), 0);
	assert_int_equal(b.era, 0);
	peer_end(&n);
}

static void what_is_wanted_is_told(void **state)
{
	struct peer n = { 0 };
	struct sticky_question q = question("a");

	(void)state;
	peer_begin(&n, YAML("on-drain: stay"), 1);
	q.counts = true;
	q.wanted = (uint16_t)(slot_of(&n, 2) + 1);
	assert_int_equal(sticky_ask(n.s, &q), 0);
	assert_true(q.era);
	assert_int_equal(asks(&n, "a"), 2);
	q.wanted = (uint16_t)(slot_of(&n, 1) + 1);
	assert_int_equal(sticky_ask(n.s, &q), 0);
	assert_int_equal(q.slot, slot_of(&n, 1));
	assert_int_equal(q.era, 0);
	assert_int_equal(asks(&n, "a"), 2); /* the key stays */
	q = question("b");
	q.wanted = POOL_DESTINATIONS_MAX; /* of another pool, or gone */
	assert_int_equal(sticky_ask(n.s, &q), 0);
	assert_int_equal(known(&n, "b"), 0);
	peer_end(&n);
}

#define OTHERS(more) \
	"node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\" } }\npools: { p: { zone: a, sticky: { by: to-user }, destinations: [" more \
	"{ name: y, uri: \"sip:10.0.0.2\" }] } }\nroutes: [{ to: { pool: p } }]\n"

/* A destination leaves, and its slot is given to another one: that one has not got its keys. */
static void a_slot_that_is_used_again(void **state)
{
	struct peer n = { 0 };
	uint16_t slot;

	(void)state;
	peer_begin(&n, OTHERS("{ name: x, uri: \"sip:10.0.0.1\" }, "), 1);
	assert_int_equal(asks(&n, "a"), 0);
	slot = slot_of(&n, 0);
	for (unsigned i = 0; i <= POOL_SNAPSHOTS; i++)
		assert_int_equal(adopt(&n, OTHERS("")), 0);
	assert_int_equal(adopt(&n, OTHERS("{ name: other, uri: \"sip:10.0.0.9\" }, ")), 0);
	assert_int_equal(slot_of(&n, 0), slot);
	asks(&n, "a");
	assert_int_equal(counted(&n, STICKY_MOVED_GONE), 1);
	asks(&n, "a");
	assert_int_equal(counted(&n, STICKY_MOVED_GONE), 1);
	peer_end(&n);
}

/* Time and room ---------------------------------------------------------------------------------------------------- */

static void fill(struct peer *n, unsigned from, unsigned to)
{
	char text[32];

	for (unsigned i = from; i < to; i++) {
		snprintf(text, sizeof(text), "user%u", i);
		asks(n, text);
	}
}

static void many_expire_in_turns(void **state)
{
	struct peer n = { 0 };

	(void)state;
	peer_begin(&n, YAML("ttl: 10s"), 1);
	fill(&n, 0, 1000);
	passes(&n, 9999);
	assert_int_equal(known(&n, ""), 1000);
	passes(&n, 1);
	assert_int_equal(known(&n, ""), 1000 - STICKY_BATCH);
	passes(&n, 1);
	assert_int_equal(known(&n, ""), 1000 - 2 * STICKY_BATCH);
	assert_int_equal(known(&n, "user999"), 1);
	asks(&n, "user999"); /* its time is over, though it is still there: it begins anew */
	assert_int_equal(counted(&n, STICKY_NEW), 1001);
	passes(&n, 10);
	assert_int_equal(known(&n, ""), 1);
	assert_int_equal(counted(&n, STICKY_EXPIRED), 1000);
	assert_int_equal(counted(&n, STICKY_ENTRIES), 1);
	peer_end(&n);
}

static void a_share_of_the_bound(void **state)
{
	struct peer n = { 0 };

	(void)state;
	peer_begin(&n, YAML("max: 1000"), 3);
	fill(&n, 0, 400);
	assert_int_equal(known(&n, ""), 334);
	assert_int_equal(known(&n, "user65"), 0);
	assert_int_equal(known(&n, "user66"), 1);
	assert_int_equal(adopt(&n, YAML("max: 10")), 0); /* a reload wants fewer: bit by bit */
	passes(&n, 1);
	assert_int_equal(known(&n, ""), 334 - STICKY_BATCH);
	passes(&n, 5);
	assert_int_equal(known(&n, ""), 4);
	assert_int_equal(known(&n, "user399"), 1);
	peer_end(&n);
}

static void what_has_calls_goes_last(void **state)
{
	struct peer n = { 0 };
	struct sticky_question q;
	char text[32];

	(void)state;
	peer_begin(&n, YAML("max: 20, on-drain: stay"), 1);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "room%u", i);
		q = question(text);
		q.counts = i < 4 || i > 10;
		assert_int_equal(sticky_ask(n.s, &q), 0);
	}
	fill(&n, 0, 7);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "room%u", i);
		assert_int_equal(known(&n, text), i < 4 || i > 10);
	}
	assert_int_equal(known(&n, ""), 20);
	assert_true(sticky_forget(n.s, SV("p"), SV("room0")));
	assert_false(sticky_forget(n.s, SV("p"), SV("room0")) || sticky_forget(n.s, SV("q"), SV("room1")));
	assert_int_equal(known(&n, ""), 19);
	peer_end(&n);
}

static struct sticky_question calls_room(struct peer *n, unsigned i)
{
	char text[32];
	struct sticky_question q;

	snprintf(text, sizeof(text), "room%u", i);
	q = question(text);
	q.counts = true;
	assert_int_equal(sticky_ask(n->s, &q), 0);
	q.text = SV(""); /* not borrowed from here */
	return q;
}

static unsigned rooms_known(const struct peer *n, unsigned from, unsigned to)
{
	char text[32];
	unsigned sum = 0;

	for (unsigned i = from; i < to; i++) {
		snprintf(text, sizeof(text), "room%u", i);
		sum += known(n, text);
	}
	return sum;
}

/* However many long conferences in a row are the oldest of all, users nobody calls go first. */
static void conferences_outlast_users(void **state)
{
	struct sticky_question q[130];
	struct peer n = { 0 };

	(void)state;
	peer_begin(&n, YAML("max: 100, ttl: 10s, on-drain: stay"), 1);
	for (unsigned i = 0; i < 60; i++)
		q[i] = calls_room(&n, i);
	fill(&n, 0, 40);
	for (unsigned i = 60; i < 100; i++)
		q[i] = calls_room(&n, i);
	assert_int_equal(rooms_known(&n, 0, 100), 100);
	assert_int_equal(known(&n, ""), 100);
	assert_int_equal(counted(&n, STICKY_EVICTED), 40);
	q[100] = calls_room(&n, 100); /* nobody else is left: then the oldest of them */
	assert_int_equal(rooms_known(&n, 0, 1), 0);
	assert_int_equal(rooms_known(&n, 1, 101), 100);
	passes(&n, 60000);
	assert_int_equal(known(&n, ""), 100);
	sticky_end(n.s, q[0].key, q[0].era); /* of one that was forgotten */
	for (unsigned i = 50; i < 60; i++)
		sticky_end(n.s, q[i].key, q[i].era);
	q[101] = calls_room(&n, 101);
	assert_int_equal(rooms_known(&n, 50, 51), 0); /* the first that has no calls any more */
	passes(&n, 9999);
	assert_int_equal(known(&n, ""), 100);
	passes(&n, 1);
	assert_int_equal(known(&n, ""), 91); /* the last call's end was ttl ago */
	assert_int_equal(adopt(&n, YAML("max: 10, ttl: 10s, on-drain: stay")), 0);
	passes(&n, 2);
	assert_int_equal(known(&n, ""), 10);
	assert_int_equal(rooms_known(&n, 92, 102), 10);
	assert_int_equal(adopt(&n, PLAIN), 0);
	assert_int_equal(counted(&n, STICKY_ENTRIES), 0);
	peer_end(&n);
}

/* A conference that moves has no calls where it goes, until they come. */
static void a_conference_that_moved_is_idle(void **state)
{
	struct sticky_question q;
	struct peer n = { 0 };

	(void)state;
	peer_begin(&n, YAML("ttl: 10s, on-drain: stay"), 1);
	q = calls_room(&n, 0);
	dest_put_wish(n.pools, q.slot, WISH_DISABLED, n.wheel.now_ms);
	asks(&n, "room0"); /* no call */
	assert_int_equal(counted(&n, STICKY_MOVED_DISABLED), 1);
	passes(&n, 10000);
	assert_int_equal(known(&n, ""), 0);
	sticky_end(n.s, q.key, q.era);
	peer_end(&n);
}

/* Records ---------------------------------------------------------------------------------------------------------- */

struct kept {
	struct sticky_sink sink;
	struct { char bytes[STICKY_RECORD_MAX]; size_t len; } of[KEPT_MAX];
	unsigned n;
};

static void keep(struct sticky_sink *sink, uint64_t key, struct sv record)
{
	struct kept *k = owner_of(sink, struct kept, sink);

	(void)key;
	assert_true(k->n < KEPT_MAX && record.len <= STICKY_RECORD_MAX);
	memcpy(k->of[k->n].bytes, record.p, record.len);
	k->of[k->n++].len = record.len;
}

static struct sv record_at(const struct kept *k, unsigned i)
{
	return (struct sv){ k->of[i].bytes, k->of[i].len };
}

static void records_tell_all(void **state)
{
	static struct kept first, second;
	struct peer a = { 0 }, b = { 0 };
	unsigned where;

	(void)state;
	first = second = (struct kept){ .sink = { keep } };
	peer_begin(&a, YAML("ttl: 1h, on-drain: stay"), 1);
	peer_begin(&b, YAML("ttl: 1h, on-drain: stay"), 1);
	asks(&a, "old");
	passes(&a, 600000);
	fill(&a, 0, 1000);
	where = asks(&a, "user7");
	calls_room(&a, 1);
	sticky_export(a.s, &first.sink);
	assert_int_equal(first.n, 1002);
	for (unsigned i = 0; i < first.n; i++) {
		struct sv record = record_at(&first, i);

		assert_int_equal(sticky_apply(b.s, record), 0);
		assert_int_equal(sticky_apply(b.s, record), -EEXIST);
	}
	assert_int_equal(sticky_record_shard(&hash, record_at(&first, 0)), sticky_shard(sticky_key(&hash, SV("p"), SV("old"))));
	sticky_export(b.s, &second.sink);
	assert_int_equal(second.n, first.n);
	for (unsigned i = 0; i < first.n; i++)
		assert_true(sv_eq(record_at(&first, i), record_at(&second, i)));
	assert_int_equal(asks(&b, "user7"), where);
	passes(&b, 3000000 - 1);
	assert_int_equal(known(&b, "old"), 1);
	passes(&b, 1);
	assert_int_equal(known(&b, "old"), 0); /* the time that was left */
	peer_end(&a);
	peer_end(&b);
}

/* What is cut, changed or of other times is refused, or says nothing. */
static void hostile_records(void **state)
{
	static struct kept all;
	struct peer n = { 0 }, gone = { 0 };
	char bytes[STICKY_RECORD_MAX], area[STICKY_RECORD_MAX];
	struct tlv_out o;

	(void)state;
	all = (struct kept){ .sink = { keep } };
	peer_begin(&n, YAML("ttl: 1h"), 1);
	asks(&n, "alice");
	sticky_export(n.s, &all.sink);
	assert_true(sticky_forget(n.s, SV("p"), SV("alice")));
	for (size_t len = 0; len < all.of[0].len; len++) {
		char *exact = malloc(len + 1);

		memcpy(exact, all.of[0].bytes, len);
		if (sticky_apply(n.s, (struct sv){ exact, len }) == 0)
			sticky_forget(n.s, SV("p"), SV("alice"));
		free(exact);
	}
	for (size_t i = 0; i < all.of[0].len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bytes, all.of[0].bytes, all.of[0].len);
			bytes[i] = (char)(bytes[i] ^ 1 << bit);
			sticky_apply(n.s, (struct sv){ bytes, all.of[0].len });
		}
	tlv_init(&o, area, sizeof(area));
	tlv_put_u64(&o, RECORD_VERSION, VERSION);
	tlv_put(&o, RECORD_POOL, SV("p"));
	tlv_put(&o, RECORD_TEXT, SV("new"));
	tlv_put(&o, RECORD_DEST_POOL, SV("p"));
	tlv_put(&o, RECORD_DEST, SV("y"));
	tlv_put(&o, 200, SV("of another version"));
	tlv_put_u64(&o, RECORD_LEFT, UINT64_MAX);
	assert_int_equal(sticky_apply(n.s, (struct sv){ o.p, o.len }), 0);
	assert_int_equal(asks(&n, "new"), 1);
	assert_true(time_left(entry_find(n.s, pool_named(n.s, SV("p")), sticky_key(&hash, SV("p"), SV("new")), SV("new"))) <= 3600000);
	peer_begin(&gone, PLAIN, 1); /* the pool is not sticky there */
	assert_int_equal(sticky_apply(gone.s, (struct sv){ o.p, o.len }), 0);
	assert_int_equal(counted(&gone, STICKY_ENTRIES), 0);
	peer_end(&gone);
	peer_end(&n);
}

/* Log and memory --------------------------------------------------------------------------------------------------- */

static unsigned lines_with(const char *path, const char *what)
{
	FILE *f = fopen(path, "r");
	unsigned n = 0;
	char line[1024];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, what) != NULL;
	fclose(f);
	return n;
}

static void a_drain_does_not_flood_the_log(void **state)
{
	char path[] = "/tmp/sticky-XXXXXX";
	struct log_params p = { .path = path, .level = LOG_INFO };
	struct peer n = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(log_new(&n.log, &p), 0);
	peer_begin(&n, YAML("ttl: 1h"), 1);
	fill(&n, 0, 300);
	dest_put_wish(n.pools, slot_of(&n, 0), WISH_DRAINING, n.wheel.now_ms);
	fill(&n, 0, 300);
	assert_int_equal(counted(&n, STICKY_MOVED_DRAINED), 100);
	passes(&n, STICKY_LOG_MS);
	dest_put_wish(n.pools, slot_of(&n, 1), WISH_DRAINING, n.wheel.now_ms);
	asks(&n, "user1");
	peer_end(&n);
	assert_int_equal(lines_with(path, "sticky.moved "), STICKY_LOGGED + 1);
	assert_int_equal(lines_with(path, "reason=draining"), STICKY_LOGGED + 1);
	assert_int_equal(lines_with(path, "sticky.moved_more keys=90"), 1);
	unlink(path);
}

static void without_memory(void **state)
{
	struct peer n = { 0 };
	struct sticky_params p;
	unsigned failures;

	(void)state;
	wheel_init(&n.wheel, START);
	assert_int_equal(pools_new(&n.pools, 1), 0);
	p = params(&n, 1);
	for (failures = 1;; failures++) {
		oom_in = failures;
		if (sticky_new(&n.s, &p) == 0)
			break;
	}
	assert_int_equal(failures, 4); /* itself, its table, its counters */
	oom_in = 1;
	assert_int_equal(adopt(&n, YAML("ttl: 1h")), -ENOMEM);
	assert_int_equal(adopt(&n, YAML("ttl: 1h")), 0);
	for (failures = 1; failures < 3; failures++) {
		oom_in = failures; /* of the entry, of its text: the answer is as good */
		asks(&n, "a");
		assert_int_equal(known(&n, "a"), 0);
		assert_int_equal(counted(&n, STICKY_NO_MEMORY), failures);
	}
	oom_in = 0;
	asks(&n, "a");
	assert_int_equal(known(&n, "a"), 1);
	peer_end(&n);
}

#define BOTH \
	"node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\" } }\npools: { p: { zone: a, sticky: { by: to-user }, destinations: " \
	"[{ name: x, uri: \"sip:10.0.0.1\" }] }, q: { zone: a, sticky: { by: to-user }, destinations: [{ name: x, uri: \"sip:10.0.0.1\" }] } }\n" \
	"routes: [{ to: { pool: p } }]\n"

/* A snapshot that could not be taken leaves nothing behind, while others have it already and ask by it. */
static void half_a_reload(void **state)
{
	struct sticky_question q = question("a");
	struct peer n = { 0 };

	(void)state;
	peer_begin(&n, PLAIN, 1);
	for (unsigned failures = 1; failures < 3; failures++) {
		oom_in = failures;
		assert_int_equal(adopt(&n, BOTH), -ENOMEM);
		assert_int_equal(sticky_ask(n.s, &q), -ENOENT);
		assert_int_equal(counted(&n, STICKY_ENTRIES), 0);
	}
	assert_int_equal(adopt(&n, BOTH), 0);
	asks(&n, "a");
	oom_in = 1;
	assert_int_equal(adopt(&n, YAML("max: 10")), 0); /* those that are there stay */
	assert_int_equal(oom_in, 1);
	oom_in = 0;
	assert_int_equal(known(&n, "a"), 1);
	peer_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_can_be_shown),
		cmocka_unit_test(what_is_tried_moves_it),
		cmocka_unit_test(calls_are_counted_where_they_are),
		cmocka_unit_test(what_is_wanted_is_told),
		cmocka_unit_test(a_slot_that_is_used_again),
		cmocka_unit_test(many_expire_in_turns),
		cmocka_unit_test(a_share_of_the_bound),
		cmocka_unit_test(what_has_calls_goes_last),
		cmocka_unit_test(conferences_outlast_users),
		cmocka_unit_test(a_conference_that_moved_is_idle),
		cmocka_unit_test(records_tell_all),
		cmocka_unit_test(hostile_records),
		cmocka_unit_test(a_drain_does_not_flood_the_log),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(half_a_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
