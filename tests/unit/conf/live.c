/* tests/unit/conf/live.c - what is laid over the file: changes by hand, a file of destinations, addresses of names, who leaves. */
#include "tests/unit/conf/conf_test.h"
#include <stdio.h>
#include <unistd.h>
#include "conf/live.h"

#define D(name) "{ name: " name ", uri: \"sip:127.0.0.1:5080\", weight: 3 }"
#define ZONE6 ZONE("listen: [\"udp:127.0.0.1:5060\", \"udp:[::1]:5060\"]")

static struct conf_change changed(uint8_t kind, const char *pool, const char *name, unsigned weight, const char *uri)
{
	struct conf_change c = { .kind = kind, .weight = weight };

	snprintf(c.who.pool, sizeof(c.who.pool), "%s", pool);
	snprintf(c.who.name, sizeof(c.who.name), "%s", name);
	snprintf(c.uri, sizeof(c.uri), "%s", uri);
	return c;
}

/* "a 3 sip:..., b 1 ...!" for the destinations; '!' leaves. */
static const char *list_of(const struct conf *c, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];

		assert_int_equal(d->id, i);
		at += (size_t)snprintf(buf + at, size - at, "%s%.*s %u %.*s%s", i ? ", " : "", SV_ARG(d->name), d->weight, SV_ARG(d->uri),
		                       d->is_leaving ? "!" : "");
		assert_true(at < size);
	}
	return buf;
}

/* The list that comes of `live` over `yaml`, or the notes when that is refused; behind it the warnings. */
static void expect(const char *yaml, const struct conf_live *live, const char *list, const char *said)
{
	struct conf_notes notes;
	struct conf *c = NULL;
	char text[8192];

	conf_notes_init(&notes);
	assert_int_equal(conf_parse_live(&c, "f", sv_from(yaml), live, &notes), list ? 0 : -EINVAL);
	assert_string_equal(notes_text(&notes, text, sizeof(text)), said);
	if (list) {
		assert_string_equal(list_of(c, text, sizeof(text)), list);
		assert_true(sv_eq(c->text, sv_from(yaml)));
	}
	conf_notes_fini(&notes);
	conf_free(c);
}

static void changes_come_in_their_order(void **state)
{
	struct conf_change all[] = {
		changed(CHANGE_WEIGHT, "p", "y", 7, ""), changed(CHANGE_ADD, "p", "y", 2, "sip:127.0.0.1:5090;transport=udp"),
		changed(CHANGE_WEIGHT, "p", "a", 0, ""), changed(CHANGE_REMOVE, "p", "b", 0, ""),
		changed(CHANGE_ADD, "p", "b", 9, "sip:127.0.0.1:5091"),
	};
	struct conf_live live = { .changes = all, .n_changes = COUNT_OF(all) };

	(void)state;
	expect(NODE ZONES DESTINATIONS(D("a") ", " D("b")) ROUTES, &live,
	       "a 0 sip:127.0.0.1:5080, y 7 sip:127.0.0.1:5090;transport=udp, b 9 sip:127.0.0.1:5091", "");
	live.n_changes = 4;
	expect(NODE ZONES DESTINATIONS(D("a") ", " D("b")) ROUTES, &live,
	       "a 0 sip:127.0.0.1:5080, y 7 sip:127.0.0.1:5090;transport=udp", "");
}

/* The file was changed since: what does not fit any more is said, and does no harm. */
static void changes_without_an_object_are_said(void **state)
{
	struct conf_change all[] = {
		changed(CHANGE_ADD, "p", "a", 2, "sip:127.0.0.1:5090"), changed(CHANGE_WEIGHT, "p", "z", 1, ""),
		changed(CHANGE_REMOVE, "q", "x", 0, ""),
	};
	struct conf_live live = { .changes = all, .n_changes = COUNT_OF(all) };

	(void)state;
	expect(NODE ZONES DESTINATIONS(D("a")) ROUTES, &live, "a 3 sip:127.0.0.1:5080",
	       " warning: sbcctl's change of p/a: the file has this destination now: what was added by hand is not used (sbcctl forget "
	       "p/a)\n"
	       " warning: sbcctl's change of p/z: there is no such destination any more: it changes nothing (sbcctl forget p/z)\n"
	       " warning: sbcctl's change of q/x: there is no such pool any more: it changes nothing (sbcctl forget q/x)");
}

static void bad_changes_are_refused_as_in_the_file(void **state)
{
	static const struct { const char *name, *uri, *said; } cases[] = {
		{ "x y", "sip:127.0.0.1", " sbcctl's change of p/x y: not a name: write 1 to 64 letters, digits, `-`, `_` and `.`" },
		{ "x", "127.0.0.1", " sbcctl's change of p/x: `127.0.0.1` is no SIP URI: write sip:HOST[:PORT][;transport=tcp]" },
		{ "x", "sip:127.0.0.1;transport=tcp", " pools.p.destinations[1].uri: goes over tcp, and its zone a has no such listener (it has: "
		  "udp): add one, or write ;transport=" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct conf_change one = changed(CHANGE_ADD, "p", cases[i].name, 1, cases[i].uri);
		struct conf_live live = { .changes = &one, .n_changes = 1 };

		expect(NODE ZONES DESTINATIONS(D("a")) ROUTES, &live, NULL, cases[i].said);
	}
}

static void the_last_one_stays(void **state)
{
	struct conf_change one = changed(CHANGE_REMOVE, "p", "a", 0, "");
	struct conf_live live = { .changes = &one, .n_changes = 1 };

	(void)state;
	expect(NODE ZONES DESTINATIONS(D("a")) ROUTES, &live, NULL, "3:10: pools.p: no destination is left: a pool has at least one");
}

/* destinations-file ---------------------------------------------------------------------------------------------- */

static void file_write(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void a_file_lists_destinations(void **state)
{
	static const struct { const char *text, *list, *said; } cases[] = {
		{ "# ours\n\nb sip:127.0.0.1:5081 weight=5 max-calls=10 # big\r\n\tc   sip:127.0.0.1:5082\tpriority=1",
		  "a 3 sip:127.0.0.1:5080, b 5 sip:127.0.0.1:5081, c 1 sip:127.0.0.1:5082", "" },
		{ "", "a 3 sip:127.0.0.1:5080", "" },
		{ "b\n", NULL, "FILE:1: write NAME URI, and behind them weight=5 and the like" },
		{ "\nb sip:127.0.0.1:5081 wieght=5\n", NULL, "FILE:2: unknown key `wieght`; did you mean `weight`?" },
		{ "b sip:127.0.0.1:5081 weight=5000\n", NULL, "FILE:1: out of bounds: 0 to 1000" },
		{ "b sip:127.0.0.1:5081 weight\n", NULL, "FILE:1: not a number: write digits only" },
		{ "b tel:1\n", NULL, "FILE:1: `tel:1` is no SIP URI: write sip:HOST[:PORT][;transport=tcp]" },
		{ "a sip:127.0.0.1:5081\n", NULL, "3:10: pools.p.destinations[1]: the name a is taken on line 3: `sbcctl drain p/a` must mean "
		  "one" },
	};
	char file[] = "/tmp/conf-live-XXXXXX", yaml[1024], said[1024];
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(yaml, sizeof(yaml), NODE ZONES POOL("destinations-file: %s, destinations: [%s]") ROUTES, file, D("a"));
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		bool is_line = !strncmp(cases[i].said, "FILE:", 5);

		file_write(file, cases[i].text);
		snprintf(said, sizeof(said), "%s%s%s", is_line ? "3:10: pools.p.destinations-file: " : "", is_line ? file : "",
		         cases[i].said + (is_line ? 4 : 0));
		expect(yaml, NULL, cases[i].list, said);
	}
	file_write(file, "# nobody\n");
	snprintf(yaml, sizeof(yaml), NODE ZONES POOL("destinations-file: %s") ROUTES, file);
	expect(yaml, NULL, NULL, "3:10: pools.p: no destination is left: a pool has at least one");
	file_write(file, "z sip:127.0.0.1:5081\n");
	expect(yaml, NULL, "z 1 sip:127.0.0.1:5081", "");
	unlink(file);
}

static void a_stamp_changes_with_the_file(void **state)
{
	char file[] = "/tmp/conf-live-XXXXXX";
	uint64_t before;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	before = conf_file_stamp(file);
	assert_int_equal(conf_file_stamp(file), before);
	file_write(file, "x");
	assert_int_not_equal(conf_file_stamp(file), before);
	unlink(file);
	assert_int_equal(conf_file_stamp(file), 1);
}

/* Addresses of names ---------------------------------------------------------------------------------------------- */

static struct conf_addresses leads(const char *name, unsigned n, const char *const *to)
{
	struct conf_addresses a = { .who = { .pool = "p" }, .n = n };

	snprintf(a.who.name, sizeof(a.who.name), "%s", name);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(addr_parse(&a.addr[i], sv_from(to[i])), 0);
	return a;
}

static void a_name_becomes_its_addresses(void **state)
{
	static const char *const to[] = { "192.0.2.1:5060", "192.0.2.2:5070", "[2001:db8::1]:5060", "[2001:db8::2]:5070", "192.0.2.1:5060" };
	const char *yaml = NODE ZONE6 DESTINATIONS(D("a") ", { name: n, uri: \"sip:app.example.com\", each-address: on, weight: 4 }, " D("z"))
		ROUTES;
	struct conf_addresses one = leads("n", COUNT_OF(to), to);
	struct conf_live live = { .addresses = &one, .n_addresses = 1 };
	struct conf *c = parsed(yaml);

	(void)state;
	assert_int_equal(c->n_names, 1);
	assert_true(sv_eq(c->names[0].name, SV("n")) && sv_eq(c->names[0].pool, SV("p")) && sv_eq(c->names[0].host, SV("app.example.com")));
	conf_free(c);
	expect(yaml, NULL, "a 3 sip:127.0.0.1:5080, n 4 sip:app.example.com, z 3 sip:127.0.0.1:5080", "");
	expect(yaml, &live,
	       "a 3 sip:127.0.0.1:5080, z 3 sip:127.0.0.1:5080, n/192.0.2.1 4 sip:192.0.2.1;transport=udp, "
	       "n/192.0.2.2:5070 4 sip:192.0.2.2:5070;transport=udp, n/2001:db8::1 4 sip:[2001:db8::1];transport=udp, "
	       "n/[2001:db8::2]:5070 4 sip:[2001:db8::2]:5070;transport=udp", "");
	expect(NODE ZONES DESTINATIONS("{ name: n, uri: \"sip:app.example.com\", each-address: on }") ROUTES, &live,
	       "n/192.0.2.1 1 sip:192.0.2.1;transport=udp, n/192.0.2.2:5070 1 sip:192.0.2.2:5070;transport=udp", "");
	one.n = 0;
	expect(yaml, &live, "a 3 sip:127.0.0.1:5080, n 4 sip:app.example.com, z 3 sip:127.0.0.1:5080", "");
	expect(NODE ZONES DESTINATIONS("{ name: n2345678901234567, uri: \"sip:app.example.com\", each-address: on }") ROUTES, NULL, NULL,
	       "3:39: pools.p: n2345678901234567: with each-address a name has at most 16 characters: NAME/ADDRESS has to be one, too");
}

/* Who leaves ------------------------------------------------------------------------------------------------------ */

static void who_leaves_gets_no_calls(void **state)
{
	struct conf_leaving gone[] = { { { "p", "n/192.0.2.1" }, "sip:192.0.2.1;transport=udp" }, { { "p", "a" }, "sip:127.0.0.1:1" },
		                       { { "q", "b" }, "sip:127.0.0.1:1" } };
	struct conf_live live = { .leaving = gone, .n_leaving = COUNT_OF(gone) };

	(void)state;
	expect(NODE ZONES DESTINATIONS(D("a")) ROUTES, &live, "a 3 sip:127.0.0.1:5080, n/192.0.2.1 0 sip:192.0.2.1;transport=udp!", "");
}

/* What a reload says ---------------------------------------------------------------------------------------------- */

static void tell(void *ctx, enum conf_fate fate, struct sv pool, struct sv name, const char *what)
{
	char *text = ctx;

	snprintf(text + strlen(text), 1024 - strlen(text), "%.*s/%.*s %s %s\n", SV_ARG(pool), SV_ARG(name), conf_fate_word(fate), what);
}

static void every_difference_is_named(void **state)
{
	struct conf *was = parsed(NODE ZONES DESTINATIONS(D("a") ", " D("b") ", " D("c") ", " D("d") ", " D("f")) ROUTES), *is = NULL;
	struct conf_leaving gone = { { "p", "d" }, "sip:127.0.0.1:5080" };
	struct conf_live live = { .leaving = &gone, .n_leaving = 1 };
	struct conf_notes notes;
	char text[1024] = "";

	(void)state;
	conf_notes_init(&notes);
	assert_int_equal(conf_parse_live(&is, "f", SV(NODE ZONES DESTINATIONS(
		"{ name: b, uri: \"sip:127.0.0.1:5081\", weight: 4, max-calls: 9, max-cps: 8, priority: 7 }, " D("a") ", " D("e") ", "
		"{ name: f, uri: \"sip:127.0.0.1:5080\", weight: 3, tls-name: gw.example }") ROUTES),
		&live, &notes), 0);
	conf_compare(was, is, tell, text);
	assert_string_equal(text,
		"p/b changed weight 3 -> 4, max-calls 0 -> 9, max-cps 0 -> 8, priority 0 -> 7, uri sip:127.0.0.1:5080 -> "
		"sip:127.0.0.1:5081 (begins anew)\n"
		"p/a kept \np/e added \np/f changed tls-name 127.0.0.1 -> gw.example\np/d leaving \np/c removed \n");
	conf_notes_fini(&notes);
	conf_free(was);
	conf_free(is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_come_in_their_order),
		cmocka_unit_test(changes_without_an_object_are_said),
		cmocka_unit_test(bad_changes_are_refused_as_in_the_file),
		cmocka_unit_test(the_last_one_stays),
		cmocka_unit_test(a_file_lists_destinations),
		cmocka_unit_test(a_stamp_changes_with_the_file),
		cmocka_unit_test(a_name_becomes_its_addresses),
		cmocka_unit_test(who_leaves_gets_no_calls),
		cmocka_unit_test(every_difference_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
