/* tests/unit/conf/reload.c - what a running process takes, and what it refuses, naming the key. */
#include "tests/unit/conf/conf_test.h"

#define LISTEN "listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]"

/* The notes of replacing `now` by `next`. */
static void replace(const char *now, const char *next, char *text, size_t size)
{
	struct conf *a = parsed(now), *b = parsed(next);
	struct conf_notes notes;
	int err;

	conf_notes_init(&notes);
	err = conf_can_replace(a, b, &notes);
	assert_int_equal(err, notes.errors ? -EINVAL : 0);
	notes_text(&notes, text, size);
	conf_notes_fini(&notes);
	conf_free(a);
	conf_free(b);
}

#define RESTARTS(was, is) "changed from " was " to " is ": takes effect at a restart only; put it back to reload the rest"

static const struct {
	const char *now, *next, *notes;
} cases[] = {
	{ NODE ZONES POOLS ROUTES, NODE ZONES POOLS ROUTES, "" },
	/* live: pools, rules, what a zone trusts, and the rest that is read anew each time */
	{ NODE ZONES POOLS ROUTES,
	  NODE ZONES DESTINATIONS("{ name: e, uri: \"sip:127.0.0.1:5090\" }") "routes: [{ to: { reject: 404 } }]\n", "" },
	{ NODE ZONE(LISTEN ", trust: [10.0.0.0/8]") POOLS ROUTES,
	  NODE ZONE(LISTEN ", domains: [x.com], headers: { unknown: drop }") POOLS ROUTES, "" },
	{ NODE ZONES POOLS ROUTES, NODE ZONES POOLS ROUTES "log: { level: debug }\nshutdown: { grace: 1s }\n", "" },
	/* restart */
	{ NODE ZONES POOLS ROUTES "workers: 2\n", "node: m\n" ZONES POOLS ROUTES "workers: 4\n",
	  " node: " RESTARTS("`n`", "`m`") "\n workers: " RESTARTS("2", "4") },
	{ NODE ZONES POOLS ROUTES,
	  NODE ZONES POOLS ROUTES "state: /tmp\ncdr: off\nlog: { format: json, file: /tmp/l }\nlimits: { calls: 5 }\n",
	  " state: " RESTARTS("`/var/lib/sbc`", "`/tmp`") "\n log.file: " RESTARTS("``", "`/tmp/l`") "\n log.format: "
	  RESTARTS("logfmt", "json") "\n cdr: " RESTARTS("on", "off") "\n limits.calls: " RESTARTS("200000", "5") },
	{ NODE ZONES POOLS ROUTES "admin: { socket: /a }\n",
	  NODE ZONES POOLS ROUTES "admin: { socket: /b, http: \"127.0.0.1:80\" }\ndns: { servers: [127.0.0.1] }\n",
	  " dns.servers: " RESTARTS("0", "1 entries") "\n admin.socket: " RESTARTS("`/a`", "`/b`") "\n admin.http: "
	  RESTARTS("``", "`127.0.0.1:80`") },
	{ NODE ZONES POOLS ROUTES "dns: { servers: [127.0.0.1] }\n", NODE ZONES POOLS ROUTES "dns: { servers: [127.0.0.2] }\n",
	  " dns.servers[0]: " RESTARTS("`127.0.0.1`", "`127.0.0.2`") },
	{ NODE ZONES POOLS ROUTES, NODE ZONES POOLS ROUTES "identity: { keys: [\"file:/dev/null\"] }\n",
	  " identity.keys: " RESTARTS("0", "1 entries") },
	{ NODE ZONE(LISTEN) POOLS ROUTES, NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5062\"]") POOLS ROUTES,
	  " zones.a.listen[1]: " RESTARTS("tcp:127.0.0.1:5060 as 127.0.0.1", "tcp:127.0.0.1:5062 as 127.0.0.1:5062") },
	{ NODE ZONE(LISTEN) POOLS ROUTES, NODE ZONES POOLS ROUTES, " zones.a.listen: " RESTARTS("2", "1 entries") },
	{ NODE ZONE(LISTEN) POOLS ROUTES, NODE ZONE(LISTEN ", advertise: x") POOLS ROUTES,
	  " zones.a.advertise: " RESTARTS("``", "`x`")
	  "\n zones.a.listen[0]: " RESTARTS("udp:127.0.0.1:5060 as 127.0.0.1", "udp:127.0.0.1:5060 as x")
	  "\n zones.a.listen[1]: " RESTARTS("tcp:127.0.0.1:5060 as 127.0.0.1", "tcp:127.0.0.1:5060 as x") },
	{ NODE "zones: { a: { listen: \"udp:127.0.0.1:5060\" }, b: { listen: \"udp:127.0.0.1:5061\" } }\n" POOLS ROUTES,
	  NODE "zones: { b: { listen: \"udp:127.0.0.1:5061\" }, a: { listen: \"udp:127.0.0.1:5060\" } }\n" POOLS ROUTES,
	  " zones: " RESTARTS("a", "b") "\n zones: " RESTARTS("b", "a") },
	{ NODE ZONES POOLS ROUTES,
	  NODE "zones: { a: { listen: \"udp:127.0.0.1:5060\" }, b: { listen: \"udp:127.0.0.1:5061\" } }\n" POOLS ROUTES,
	  " zones: " RESTARTS("1", "2 entries") },
};

static void differences_are_taken_or_named(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		replace(cases[i].now, cases[i].next, text, sizeof(text));
		if (strcmp(text, cases[i].notes) != 0)
			fail_msg("%s\nto\n%s\nsays:\n%s\nexpected:\n%s", cases[i].now, cases[i].next, text, cases[i].notes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(differences_are_taken_or_named) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
