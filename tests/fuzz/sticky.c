/* Fuzz: keys as requests bring them, and their records as another node would. A key is shown in words that a record may have; what is taken
 * from a record is exported again as a record that another node takes and exports alike. Input: pieces of {kind (1 byte), length (2 bytes,
 * little-endian), bytes}; kind 0: a record, else a key and (by its bits) what is asked. */
#include "dispatcher/sticky.h"
#include <stdlib.h>

enum { PIECES_MAX = 32, RECORDS_MAX = 64 };

#define YAML \
	"node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\" } }\npools: { p: { zone: a, sticky: { by: to-user, on-drain: stay, max: 8 }, " \
	"destinations: [{ name: x, uri: \"sip:10.0.0.1\" }, { name: y, uri: \"sip:10.0.0.2\" }] } }\nroutes: [{ to: { pool: p } }]\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hash_key hash = { 1, 2 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* struct pools is large: one for all. */
static struct pools *the_pools(const struct conf **conf)
{
	static struct pools *pools;
	static struct conf *c;
	struct conf_notes notes;

	if (!pools) {
		conf_notes_init(&notes);
		check(pools_new(&pools, 1) == 0 && conf_parse(&c, "fuzz", SV(YAML), &notes) == 0);
		conf_notes_fini(&notes);
		c->gen = 1;
		check(pools_adopt(pools, c) == 0);
	}
	*conf = c;
	return pools;
}

static struct sticky *begin(struct wheel *wheel)
{
	const struct conf *conf;
	struct sticky_params p = { .wheel = wheel, .pools = the_pools(&conf), .key = &hash, .workers = 1 };
	struct sticky *s;

	wheel_init(wheel, 1000);
	check(sticky_new(&s, &p) == 0 && sticky_adopt(s, conf) == 0);
	return s;
}

struct records {
	struct sticky_sink sink;
	struct { char bytes[STICKY_RECORD_MAX]; size_t len; } of[RECORDS_MAX];
	unsigned n;
};

static void keep(struct sticky_sink *sink, uint64_t key, struct sv record)
{
	struct records *all = owner_of(sink, struct records, sink);

	(void)key;
	check(all->n < RECORDS_MAX && record.len <= STICKY_RECORD_MAX);
	memcpy(all->of[all->n].bytes, record.p, record.len);
	all->of[all->n++].len = record.len;
}

static struct sv record_at(const struct records *all, unsigned i)
{
	return (struct sv){ all->of[i].bytes, all->of[i].len };
}

static void asks(struct sticky *s, unsigned kind, struct sv raw)
{
	char area[STICKY_TEXT_MAX];
	struct sticky_question q = { .pool = SV("p"), .text = sticky_text(&hash, raw, area), .counts = kind & 2,
		                     .wanted = (uint16_t)(kind & 4 ? 1 + (kind >> 6) : 0), .n_tried = kind >> 3 & 1, .tried = { kind >> 4 & 1 } };

	if (!raw.len)
		return;
	check(sticky_is_text(q.text));
	q.key = sticky_key(&hash, q.pool, q.text);
	check(sticky_ask(s, &q) == 0);
	if (kind & 32 && q.era)
		sticky_end(s, q.key, q.era);
}

static void check_records(const struct sticky *s)
{
	struct records first = { .sink = { keep } }, second = { .sink = { keep } };
	struct wheel wheel;
	struct sticky *other = begin(&wheel);

	sticky_export(s, &first.sink);
	check(first.n <= 8);
	for (unsigned i = 0; i < first.n; i++)
		check(sticky_apply(other, record_at(&first, i)) == 0);
	sticky_export(other, &second.sink);
	check(second.n == first.n);
	for (unsigned i = 0; i < first.n; i++)
		check(sv_eq(record_at(&first, i), record_at(&second, i)));
	sticky_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wheel wheel;
	struct sticky *s = begin(&wheel);

	for (unsigned n = 0; n < PIECES_MAX && size >= 3; n++) {
		size_t len = data[1] | (size_t)data[2] << 8;
		char *exact;

		len = len < size - 3 ? len : size - 3;
		check((exact = malloc(len + 1)) != NULL);
		memcpy(exact, data + 3, len);
		if (data[0])
			asks(s, data[0], (struct sv){ exact, len });
		else
			sticky_apply(s, (struct sv){ exact, len });
		free(exact);
		data += 3 + len;
		size -= 3 + len;
	}
	check_records(s);
	sticky_free(s);
	return 0;
}
