/* tests/unit/conf/headers.c - header rules: what may be written, what they become, and what --check says of those that would break
 * something. */
#include "tests/unit/conf/conf_test.h"

/* `rules` on line 1 behind "headers: { h: [ ", in use in zone a. */
#define WITH_RULES(rules) "headers: { h: [ " rules " ] }\n" NODE ZONE("listen: \"udp:127.0.0.1:5060\", headers: { in: h }") POOLS ROUTES

static const struct {
	const char *yaml, *notes;
} bads[] = {
	/* One thing, and all it needs */
	{ WITH_RULES("{ when: { message: request } }"), "1:17: headers.h[0]: a rule says what it does: add, set, rename, copy, remove, keep or mask" },
	{ WITH_RULES("{ copy: X-A, remove: X-B, to: X-C }"), "1:38: headers.h[0].remove: a rule does one thing: write a rule of its own for this" },
	{ WITH_RULES("{ add: X-A }"), "1:17: headers.h[0]: `value:` is missing: what the header says" },
	{ WITH_RULES("{ remove: X-A, value: v }"), "1:17: headers.h[0]: `remove` takes no `value:`; add and set do" },
	{ WITH_RULES("{ rename: X-A }"), "1:17: headers.h[0]: `to:` is missing: the other name" },
	{ WITH_RULES("{ mask: X-A, to: X-B }"), "1:17: headers.h[0]: `mask` takes no `to:`; rename and copy do" },
	{ WITH_RULES("{ add: X-A, vaule: v }"), "1:29: headers.h[0].vaule: unknown key `vaule`; did you mean `value`?" },
	/* What would break framing, routing or the dialog */
	{ WITH_RULES("{ remove: Via }"), "1:27: headers.h[0].remove: Via is ours on each side: a zone's `privacy: { mask: ... }` masks hosts, a "
	                                 "rule's `rewrite:` changes addresses; no header rule may touch it" },
	{ WITH_RULES("{ set: content-length, value: 0 }"), "1:24: headers.h[0].set: Content-Length describes the body, which passes as it is; no "
	                                                   "header rule may touch it" },
	{ WITH_RULES("{ remove: [X-A, Require] }"), "1:33: headers.h[0].remove[1]: Require is part of what the two sides agree on, and passes or is "
	                                            "written as that needs; no header rule may touch it" },
	{ WITH_RULES("{ copy: Proxy-Authorization, to: X-A }"), "1:25: headers.h[0].copy: Proxy-Authorization passes untouched, or nobody could "
	                                                        "log in (RFC 3261 §22); no header rule may touch it" },
	{ WITH_RULES("{ rename: X-A, to: Route }"), "1:36: headers.h[0].to: Route is ours on each side: a zone's `privacy: { mask: ... }` masks hosts, "
	                                            "a rule's `rewrite:` changes addresses; no header rule may touch it" },
	{ WITH_RULES("{ keep: Timestamp }"), "1:25: headers.h[0].keep: Timestamp concerns one hop only, and ends here; no header rule may touch it" },
	{ WITH_RULES("{ remove: v }"), "1:27: headers.h[0].remove: a compact form: write the header's full name" },
	{ WITH_RULES("{ remove: \"X A\" }"), "1:27: headers.h[0].remove: not a header: write its full name; in a list also the beginning of one that is "
	                                     "not known, and `*`" },
	{ WITH_RULES("{ remove: \"X-A: b\" }"), "1:27: headers.h[0].remove: not a header: write its full name; in a list also the beginning of one that "
	                                        "is not known, and `*`" },
	{ WITH_RULES("{ remove: \"*\" }"), "1:27: headers.h[0].remove: not a header: write its full name; in a list also the beginning of one that is "
	                                   "not known, and `*`" },
	{ WITH_RULES("{ copy: \"X-*\", to: X-A }"), "1:25: headers.h[0].copy: not a header: write its full name; in a list also the beginning of one "
	                                            "that is not known, and `*`" },
	/* RFC 8224 */
	{ WITH_RULES("{ remove: Date }"), "1:17: headers.h[0]: changes Date, which an Identity of the message signs (RFC 8224): write `identity: "
	                                  "remove` beside it" },
	{ WITH_RULES("{ rename: X-Date, to: date }"), "1:17: headers.h[0]: changes Date, which an Identity of the message signs (RFC 8224): write "
	                                              "`identity: remove` beside it" },
	{ WITH_RULES("{ copy: X-Date, to: date }"), "1:17: headers.h[0]: changes Date, which an Identity of the message signs (RFC 8224): write "
	                                            "`identity: remove` beside it" },
	{ WITH_RULES("{ set: Identity, value: x }"), "1:17: headers.h[0]: Identity is made by who signs with it: a rule can only `remove` it" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { host: x, apply: [from] }"),
	  "4:10: warning: routes[0]: rewrites From or To, which an Identity of the request signs (RFC 8224); write `privacy: { identity: remove }` "
	  "in zone a, unless none comes here" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", privacy: { identity: remove }") POOLS RULE("to: { pool: p }, rewrite: { host: x, apply: [to] }"),
	  "" },
	/* Values */
	{ WITH_RULES("{ add: X-A, value: \"a\\r\\nVia: b\" }"), "1:36: headers.h[0].value: control characters and line ends have no place in a value" },
	{ WITH_RULES("{ add: X-A, value: \"\" }"), "1:36: headers.h[0].value: a header's value has 1 to 512 bytes" },
	{ WITH_RULES("{ add: X-A, value: \" a\" }"), "1:36: headers.h[0].value: a header's value neither begins nor ends with a space" },
	{ WITH_RULES("{ add: X-A, value: \"${from-usr}\" }"), "1:36: headers.h[0].value: the environment has no variable `from-usr`: set it before the "
	                                                      "start, or write the value; of a message there is: from-user, to-user, source-address, "
	                                                      "source-zone, call-id" },
	{ WITH_RULES("{ add: \"${from-user}\", value: a }"), "1:24: headers.h[0].add: what a message holds (${from-user} and the like) can only be "
	                                                     "filled in where a rule of `headers` has its `value:`" },
	{ WITH_RULES("{ add: X-A, value: \"${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}"
	             "${call-id}${call-id}${call-id}${call-id}${call-id}${call-id}\" }"),
	  "1:36: headers.h[0].value: more than 16 pieces: texts and ${...}" },
	/* Conditions */
	{ WITH_RULES("{ remove: X-A, when: { message: reply } }"), "1:49: headers.h[0].when.message: `reply` is not one of: request, response, any" },
	{ WITH_RULES("{ remove: X-A, when: { method: invite } }"), "1:48: headers.h[0].when.method: methods are case-sensitive (RFC 3261 §7.1): write "
	                                                           "INVITE" },
	/* Use */
	{ "headers: { h: [{ remove: X-A }] }\n" NODE ZONE("listen: \"udp:127.0.0.1:5060\", headers: { in: [h, g] }") POOLS ROUTES,
	  "3:64: zones.a.headers.in[1]: `headers` has no list `g`; there is: h" },
	{ "headers: { h: [{ remove: X-A }] }\n" NODE ZONES POOLS ROUTES,
	  "1:12: warning: headers.h: no zone, pool or route uses this list: write its name in their `headers: { in: ..., out: ... }`" },
	{ "headers: { h: [] }\n" NODE ZONES POOLS ROUTES, "1:15: headers.h: it is empty (0 entries); it needs at least 1" },
};

static void each_problem_has_its_place_and_its_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bads); i++) {
		struct conf_notes notes;
		struct conf *c = NULL;
		char text[8192];

		conf_notes_init(&notes);
		conf_parse(&c, "f", sv_from(bads[i].yaml), &notes);
		if (strcmp(notes_text(&notes, text, sizeof(text)), bads[i].notes) != 0)
			fail_msg("%s\nsays:\n%s\nexpected:\n%s", bads[i].yaml, text, bads[i].notes);
		conf_free(c);
		conf_notes_fini(&notes);
	}
}

static void assert_sv(struct sv v, const char *text)
{
	if (!sv_eq(v, sv_from(text)))
		fail_msg("\"%.*s\" is not \"%s\"", SV_ARG(v), text);
}

static void rules_are_as_written(void **state)
{
	struct conf *c = parsed(
		"headers:\n"
		"  first:\n"
		"    - { add: X-Who, value: \"<${from-user}> ${to-user}$ ${x} at ${source-address}\", when: { message: request, method: [INVITE, FOO] } }\n"
		"    - { set: X-Zone, value: \"${source-zone}\" }\n"
		"    - { rename: X-A, to: X-B, when: { message: response } }\n"
		"    - { copy: Subject, to: X-Subject }\n"
		"    - { remove: [Date, \"X-*\"], identity: remove }\n"
		"    - { keep: User-Agent }\n"
		"    - { mask: Call-Info }\n"
		"  second: [{ remove: Identity }]\n" NODE ZONE("listen: \"udp:127.0.0.1:5060\", headers: { in: [second, first] }")
		"pools: { p: { zone: a, headers: { out: first }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] } }\n"
		"routes: [{ when: { caller: trusted }, to: { pool: p }, headers: { in: second, out: [first] } }]\n");
	const struct conf_rule *r = c->rules[0].rules;

	(void)state;
	assert_int_equal(c->n_rules, 2);
	assert_sv(c->rules[1].name, "second");
	assert_int_equal(c->rules[0].n, 7);
	assert_int_equal(r[0].action, RULE_ADD);
	assert_int_equal(r[0].message, MESSAGE_REQUEST);
	assert_int_equal(r[0].n_methods, 2);
	assert_sv(r[0].methods[1], "FOO");
	assert_int_equal(r[0].n_pieces, 6);
	assert_sv(r[0].pieces[0].text, "<");
	assert_int_equal(r[0].pieces[1].kind, PIECE_FROM_USER);
	assert_sv(r[0].pieces[2].text, "> ");
	assert_int_equal(r[0].pieces[3].kind, PIECE_TO_USER);
	assert_sv(r[0].pieces[4].text, "$ y at ");
	assert_int_equal(r[0].pieces[5].kind, PIECE_SOURCE_ADDRESS);
	assert_int_equal(r[1].action, RULE_SET);
	assert_int_equal(r[1].message, MESSAGE_ANY);
	assert_int_equal(r[1].pieces[0].kind, PIECE_SOURCE_ZONE);
	assert_int_equal(r[2].action, RULE_RENAME);
	assert_int_equal(r[2].message, MESSAGE_RESPONSE);
	assert_sv(r[2].to, "X-B");
	assert_int_equal(r[3].action, RULE_COPY);
	assert_int_equal(r[4].action, RULE_REMOVE);
	assert_int_equal(r[4].n_names, 2);
	assert_sv(r[4].names[1], "X-*");
	assert_true(r[4].drops_signature && !r[3].drops_signature);
	assert_int_equal(r[5].action, RULE_KEEP);
	assert_int_equal(r[6].action, RULE_MASK);
	assert_int_equal(c->zones[0].headers.n_in, 2);
	assert_int_equal(c->zones[0].headers.in[0], 1);
	assert_int_equal(c->zones[0].headers.in[1], 0);
	assert_int_equal(c->zones[0].headers.n_out, 0);
	assert_int_equal(c->pools[0].headers.n_out, 1);
	assert_int_equal(c->routes[0].headers.in[0], 1);
	assert_int_equal(c->routes[0].headers.out[0], 0);
	conf_free(c);
}

/* --check tells what they do. */
static void rules_in_plain_words(void **state)
{
	struct conf *c = parsed(WITH_RULES("{ add: X-A, value: \"${from-user}\", when: { message: request, method: [INVITE, BYE] } }, "
	                                   "{ rename: X-B, to: X-C }, { remove: [X-D, X-E], when: { message: response } }, "
	                                   "{ set: Date, value: now, identity: remove }"));
	struct conf_text text;

	(void)state;
	assert_int_equal(conf_describe(c, &text), 0);
	assert_non_null(strstr(text.p, "header rules h\n"
	                               "  adds X-A to ${from-user} in requests, method INVITE or BYE\n"
	                               "  renames X-B to X-C\n"
	                               "  removes X-D, X-E in responses\n"
	                               "  sets Date to now; an Identity goes with it\n"));
	assert_non_null(strstr(text.p, "  header rules for what comes from here: h\n"));
	free(text.p);
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_problem_has_its_place_and_its_remedy),
		cmocka_unit_test(rules_are_as_written),
		cmocka_unit_test(rules_in_plain_words),
	};

	setenv("x", "y", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
