/* tests/unit/conf/limits.c - hostile and oversized files end in one note each, quickly; memory that runs out ends cleanly. */
#include "base/arena.h"
#include "tests/unit/conf/conf_test.h"
#include "tests/unit/conf/failing_malloc.h"

/* A text put together by repetition. */
struct made {
	char *p;
	size_t len, size;
};

static void add(struct made *m, const char *piece, size_t times)
{
	size_t n = strlen(piece);

	if (m->len + n * times >= m->size) {
		m->size = (m->len + n * times + 1) * 2;
		assert_non_null(m->p = realloc(m->p, m->size));
	}
	for (size_t i = 0; i < times; i++, m->len += n)
		memcpy(m->p + m->len, piece, n);
	m->p[m->len] = '\0';
}

/* Refused with exactly `notes`. Frees the text. */
static void refused(struct made *m, const char *expected)
{
	struct conf_notes notes;
	struct conf *c = NULL;
	char text[4096];

	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&c, "f", (struct sv){ m->p, m->len }, &notes), -EINVAL);
	assert_string_equal(notes_text(&notes, text, sizeof(text)), expected);
	assert_null(c);
	conf_notes_fini(&notes);
	free(m->p);
}

static void no_bytes_at_all(void **state)
{
	struct made m = { 0 };

	(void)state;
	refused(&m, "1:1: the file says nothing: it needs at least node, zones, pools and routes");
}

static void too_long(void **state)
{
	struct made m = { 0 };

	(void)state;
	add(&m, "# filler\n", CONF_FILE_MAX / 9 + 1);
	refused(&m, " longer than 4 MiB");
}

static void nul_byte(void **state)
{
	struct made m = { 0 };

	(void)state;
	add(&m, "node: n\n", 1);
	add(&m, "x", 1);
	m.p[m.len - 1] = '\0';
	refused(&m, "2:1: a NUL byte: this is no text file");
}

static void not_utf8(void **state)
{
	static const char *const bytes[] = { "\x80", "\xc0\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
	                                     "\xf5\x80\x80\x80", "\xe2\x82", "\xff\xfe" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bytes); i++) {
		struct made m = { 0 };

		add(&m, "node: \xc3\xa4", 1); /* this one is */
		add(&m, bytes[i], 1);
		refused(&m, "1:8: not UTF-8: save the file in that encoding");
	}
}

/* Each line names the one above twice: 2^30 values from 30 lines. */
static void alias_bomb(void **state)
{
	struct made m = { 0 };
	char line[64];

	(void)state;
	add(&m, "node: n\nzones: { a: { listen: \"udp:127.0.0.1:5060\", trust: [&a0 [10.0.0.0/8], ", 1);
	for (unsigned i = 1; i < 30; i++) {
		snprintf(line, sizeof(line), "&a%u [*a%u, *a%u], ", i, i - 1, i - 1);
		add(&m, line, 1);
	}
	add(&m, "] } }\n" POOLS ROUTES, 1);
	/* the trust list takes networks, not lists: each is refused where it stands, none is entered */
	struct conf_notes notes;
	struct conf *c = NULL;

	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&c, "f", (struct sv){ m.p, m.len }, &notes), -EINVAL);
	assert_int_equal(notes.errors, 30);
	conf_notes_fini(&notes);
	free(m.p);
}

/* Where the schema lets aliases multiply (destinations of pools), the count of visited values ends it. */
static void alias_of_a_large_list(void **state)
{
	struct made m = { 0 };
	char pool[64];

	(void)state;
	add(&m, NODE ZONES "pools:\n  p: { zone: a, destinations: &d [", 1);
	add(&m, "{ name: d, uri: \"sip:127.0.0.1\", weight: 1 },", CONF_DESTINATIONS_MAX);
	add(&m, "] }\n", 1);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(pool, sizeof(pool), "  p%u: { zone: a, destinations: *d }\n", i);
		add(&m, pool, 1);
	}
	add(&m, ROUTES, 1);
	refused(&m, "4:173076: pools.p5.destinations[3845].uri: more than 200000 values, those behind aliases counted each time: the "
	            "file is too large");
}

static void a_value_that_contains_itself(void **state)
{
	struct made m = { 0 };

	(void)state;
	add(&m, NODE "zones: &z { a: *z }\n", 1);
	add(&m, POOLS ROUTES, 1);
	refused(&m, "2:8: zones.a: `listen:` is missing; it takes a list. Where the zone is listened on.\n"
	            "2:13: zones.a.a: unknown key `a`; there is: advertise, listen, domains, origins, trust, proxy-protocol, unknown-domain, headers, "
	            "identity, preferred-identity, keepalive, nat, session, privacy, tls, tls-options");
}

/* Each of these kept libyaml busy for more than half a minute. */
static void what_makes_libyaml_slow_does_not_reach_it(void **state)
{
	struct made m = { 0 };
	char line[32];

	(void)state;
	add(&m, "[", 1 << 22);
	refused(&m, "1:501: hundreds of [ and { are open here: close them");
	m = (struct made){ 0 };
	add(&m, "{a,", 1 << 20);
	refused(&m, "1:1501: hundreds of [ and { are open here: close them");
	m = (struct made){ 0 };
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "- &a%u 1\n", i);
		add(&m, line, 1);
	}
	refused(&m, "4097:3: thousands of anchors (&) up to here: write the values");
	m = (struct made){ 0 };
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "%%TAG !a%u! x\n", i);
		add(&m, line, 1);
	}
	refused(&m, "9:1: too many directives (%): a configuration needs none");
}

static void many_keys(void **state)
{
	struct made m = { 0 };
	char line[64];

	(void)state;
	add(&m, NODE ZONES POOLS ROUTES, 1);
	for (unsigned i = 0; i < CONF_KEYS_MAX; i++) {
		snprintf(line, sizeof(line), "k%u: 1\n", i);
		add(&m, line, 1);
	}
	refused(&m, "1:1: 4100 keys in one mapping; at most 4096 are possible");
}

static void notes_are_bounded_and_counted(void **state)
{
	struct made m = { 0 };
	struct conf_notes notes;
	struct conf *c = NULL;
	size_t kept = 0;

	(void)state;
	add(&m, NODE ZONES POOLS "routes:\n", 1);
	add(&m, "  - { to: { pool: q } }\n", 1000);
	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&c, "f", (struct sv){ m.p, m.len }, &notes), -EINVAL);
	list_each(it, &notes.list)
		kept++;
	assert_int_equal(kept, CONF_NOTES_MAX);
	assert_int_equal(notes.errors, 1000);
	conf_notes_fini(&notes);
	free(m.p);
}

static void one_value_is_bounded(void **state)
{
	struct made m = { 0 };

	(void)state;
	add(&m, NODE ZONES POOLS ROUTES "state: ", 1);
	add(&m, "x", CONF_TEXT_MAX + 1);
	refused(&m, "5:8: state: longer than 4096 bytes");
	m = (struct made){ 0 };
	add(&m, NODE ZONES POOLS ROUTES "state: ", 1);
	add(&m, "${HOME}", 3000);
	assert_int_equal(setenv("HOME", "/twelve-bytes", 1), 0);
	refused(&m, "5:8: state: longer than 4096 bytes");
}

static void listeners_and_destinations_of_all_parts_are_bounded(void **state)
{
	struct made m = { 0 };
	char line[96];

	(void)state;
	add(&m, NODE "zones:\n", 1);
	for (unsigned z = 0; z < 2; z++) {
		snprintf(line, sizeof(line), "  z%u:\n    listen:\n", z);
		add(&m, line, 1);
		for (unsigned i = 0; i < 150; i++) {
			snprintf(line, sizeof(line), "      - \"udp:127.0.%u.1:%u\"\n", z, i + 1);
			add(&m, line, 1);
		}
	}
	add(&m, "pools: {}\nroutes: [{ to: { reject: 404 } }]\n", 1);
	refused(&m, "263:9: zones: 300 listeners; at most 256 are possible");
	m = (struct made){ 0 };
	add(&m, NODE ZONES "pools:\n", 1);
	for (unsigned p = 0; p < 2; p++) {
		snprintf(line, sizeof(line), "  p%u: { zone: a, destinations: [\n", p);
		add(&m, line, 1);
		for (unsigned i = 0; i < 3000; i++) {
			snprintf(line, sizeof(line), "    { name: d%u, uri: \"sip:127.0.0.1\" },\n", i);
			add(&m, line, 1);
		}
		add(&m, "  ] }\n", 1);
	}
	add(&m, "routes: [{ to: { reject: 404 } }]\n", 1);
	refused(&m, "4103:5: pools: 6000 destinations; at most 4096 are possible");
}

/* No regex: regcomp() of glibc 2.36 frees twice when its memory runs out. */
static const char every_part[] =
	NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\", { bind: \"tcp:[::1]:5070\", advertise: x }],\n"
	"             trust: [10.0.0.0/8], tls: [] } }\n"
	"pools: { p: { zone: b, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }], responses: { 503: 480 } } }\n"
	"routes:\n"
	"  - { when: { user: [\"a*\"], header: { X: y }, caller: any }, to: { pool: p },\n"
	"      rewrite: { user: { strip: 1, prefix: \"00\" }, apply: [to, pai] } }\n"
	"  - { to: { reject: 404 }, bogus: 1 }\n";

/* Parses, describes, generates and compares. */
static void run_with(const char *yaml, bool is_good)
{
	struct conf_text text = { 0 };
	struct conf_notes notes;
	struct conf *c = NULL;
	int err;

	conf_notes_init(&notes);
	err = conf_parse(&c, "f", sv_from(yaml), &notes);
	if (!err && (err = conf_describe(c, &text)) == 0)
		free(text.p);
	if (!err && (err = conf_reference(&text)) == 0)
		free(text.p);
	if (!err && (err = conf_json_schema(&text)) == 0)
		free(text.p);
	if (!err)
		err = conf_can_replace(c, c, &notes);
	conf_free(c);
	conf_notes_fini(&notes);
	assert_int_equal(err, err == -ENOMEM ? -ENOMEM : is_good ? 0 : -EINVAL);
}

static void each_allocation_fails_in_turn(const char *yaml, bool is_good)
{
	bool has_failed = true;
	long lost = 0;
	unsigned n;

	for (n = 1; has_failed && n < 100000; n++) {
		long before = allocations_live();

		allocation_fails(n);
		run_with(yaml, is_good);
		has_failed = allocation_has_failed();
		allocation_fails(0);
		lost += allocations_live() - before;
	}
	assert_true(n > 50); /* it did go through them */
	/* libyaml's loader loses a node when its list of nodes cannot grow, which doubles: once per doubling */
	assert_in_range(lost, 0, 3);
}

static void memory_runs_out(void **state)
{
	(void)state;
	if (!allocations_can_fail())
		skip();
	each_allocation_fails_in_turn(every_part, false);
	each_allocation_fails_in_turn(NODE ZONES POOLS ROUTES, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_bytes_at_all),
		cmocka_unit_test(too_long),
		cmocka_unit_test(nul_byte),
		cmocka_unit_test(not_utf8),
		cmocka_unit_test(alias_bomb),
		cmocka_unit_test(alias_of_a_large_list),
		cmocka_unit_test(a_value_that_contains_itself),
		cmocka_unit_test(what_makes_libyaml_slow_does_not_reach_it),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(notes_are_bounded_and_counted),
		cmocka_unit_test(one_value_is_bounded),
		cmocka_unit_test(listeners_and_destinations_of_all_parts_are_bounded),
		cmocka_unit_test(memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
