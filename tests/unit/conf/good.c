/* tests/unit/conf/good.c - what is written, and what holds when it is not. */
#include <unistd.h>
#include "base/log.h"
#include "tests/unit/conf/conf_test.h"
#include "tests/unit/certs.h"
#include "transports/net.h"

#define assert_sv(v, text) assert_text_equal((v), (text), __LINE__)

static void assert_text_equal(struct sv v, const char *text, int line)
{
	if (!sv_eq(v, sv_from(text)))
		fail_msg("line %d: \"%.*s\" is not \"%s\"", line, SV_ARG(v), text);
}

static void assert_addr(const struct addr *a, const char *text)
{
	char buf[ADDR_TEXT];

	assert_string_equal(addr_print(a, buf), text);
}

static void defaults_hold_for_what_is_not_written(void **state)
{
	struct conf *c = parsed(NODE ZONES POOLS ROUTES);
	const struct conf_pool *p = &c->pools[0];
	const struct conf_route *route = &c->routes[0];

	(void)state;
	assert_sv(c->file, "f");
	assert_sv(c->node, "n");
	assert_in_range(c->workers, 1, 64);
	assert_sv(c->state, "/var/lib/sbc");
	assert_int_equal(c->n_identity_keys, 0);
	assert_int_equal(c->admin_socket.len, 0);
	assert_int_equal(c->admin_http.len, 0);
	assert_int_equal(c->log_path.len, 0);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->log_format, LOG_LOGFMT);
	assert_true(c->cdr_is_on);
	assert_int_equal(c->shutdown_grace_ms, 30000);
	assert_int_equal(c->max_calls, 200000);
	assert_int_equal(c->n_name_servers, 0);
	assert_int_equal(c->zones[0].headers_unknown, UNKNOWN_PASS);
	assert_int_equal(c->zones[0].identity, IDENTITY_TRUST);
	assert_int_equal(c->zones[0].preferred_identity, PREFERRED_DROP);
	assert_int_equal(c->zones[0].masks, 0);
	assert_false(c->zones[0].drops_signature);
	assert_int_equal(c->zones[0].n_trust + c->zones[0].n_domains, 0);
	assert_int_equal(p->balance, BALANCE_ROUND_ROBIN);
	assert_int_equal(p->request_uri, RURI_KEEP);
	assert_true(p->probe.is_on);
	assert_int_equal(p->probe.every_ms, 5000);
	assert_int_equal(p->probe.timeout_ms, 1000);
	assert_int_equal(p->probe.down_after, 3);
	assert_int_equal(p->probe.up_after, 2);
	assert_int_equal(p->failover.after_ms, 2000);
	assert_int_equal(p->failover.n_on, 1);
	assert_int_equal(p->failover.on[0], 503);
	assert_int_equal(p->failover.tries, 3);
	assert_int_equal(p->answer_timeout_ms, 180000);
	assert_false(p->sticky.is_on);
	assert_int_equal(p->n_responses, 0);
	assert_int_equal(p->destinations[0].weight, 1);
	assert_int_equal(p->destinations[0].max_calls, 0);
	assert_int_equal(route->when.zone, -1);
	assert_int_equal(route->max_duration_ms, 0);
	assert_false(route->is_relay || route->has_rewrite || route->when.callee_registered);
	conf_free(c);
}

static void the_process_is_as_written(void **state)
{
	struct conf *c = parsed(NODE ZONES POOLS ROUTES
		"workers: 3\nstate: run/state\nlog: { file: /tmp/sbc.log, level: debug, format: json }\ncdr: off\n"
		"shutdown: { grace: 2m }\nlimits: { calls: 12 }\ndns: { servers: [127.0.0.53, \"[::1]:5353\"] }\n"
		"admin: { socket: /tmp/ctl.sock, http: \"[::1]:8080\", demo: share }\nidentity: { keys: [\"file:/dev/null\", \"file:/dev/zero\"] }\n");

	(void)state;
	assert_int_equal(c->workers, 3);
	assert_sv(c->state, "run/state");
	assert_sv(c->log_path, "/tmp/sbc.log");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->log_format, LOG_JSON);
	assert_false(c->cdr_is_on);
	assert_int_equal(c->shutdown_grace_ms, 120000);
	assert_int_equal(c->max_calls, 12);
	assert_int_equal(c->n_name_servers, 2);
	assert_sv(c->name_servers[1], "[::1]:5353");
	assert_sv(c->admin_socket, "/tmp/ctl.sock");
	assert_sv(c->admin_http, "[::1]:8080");
	assert_sv(c->admin_demo, "share");
	assert_int_equal(c->n_identity_keys, 2);
	assert_sv(c->identity_keys[0], "/dev/null");
	assert_sv(c->identity_keys[1], "/dev/zero");
	conf_free(c);
}

static void zones_and_listeners_are_as_written(void **state)
{
	struct conf *c = parsed(NODE
		"zones:\n"
		"  a:\n"
		"    listen: [\"udp:127.0.0.1:5060\", \"tcp:[2001:db8::1]:5060\", \"udp:[2001:db8::1]:5070\", \"ws:127.0.0.1:80/sip\"]\n"
		"    domains: [example.com, example.org]\n"
		"    trust: [10.0.0.0/8, \"2001:db8::/32\", 192.0.2.1]\n"
		"    headers: { unknown: drop }\n"
		"    identity: mask\n"
		"    preferred-identity: assert\n"
		"    nat: always\n"
		"    privacy: { mask: [to, pai, sdp-origin], identity: remove }\n"
		"  b:\n"
		"    advertise: sip.example.com\n"
		"    listen: [\"udp:127.0.0.1:6060\", \"ws:127.0.0.3:80\",\n"
		"             { bind: \"tcp:127.0.0.1:6060\", advertise: \"192.0.2.9:5080\" }]\n"
		"  c: { listen: \"udp:127.0.0.2:5060\", advertise: \"[2001:db8::2]:5062\" }\n" POOLS ROUTES);
	const struct conf_listener *l = c->listeners;

	(void)state;
	assert_int_equal(c->n_zones, 3);
	assert_int_equal(c->n_listeners, 8);
	assert_sv(c->zones[0].name, "a");
	assert_int_equal(c->zones[0].n_domains, 2);
	assert_sv(c->zones[0].domains[1], "example.org");
	assert_int_equal(c->zones[0].n_trust, 3);
	assert_int_equal(c->zones[0].trust[0].bits, 8);
	assert_int_equal(c->zones[0].trust[2].bits, 32);
	assert_int_equal(c->zones[0].headers_unknown, UNKNOWN_DROP);
	assert_int_equal(c->zones[0].identity, IDENTITY_MASK);
	assert_int_equal(c->zones[0].preferred_identity, PREFERRED_ASSERT);
	assert_int_equal(c->zones[0].nat, NAT_ALWAYS);
	assert_int_equal(c->zones[1].nat, NAT_AUTO);
	assert_int_equal(c->zones[0].masks, MASK_TO | MASK_PAI | MASK_SDP_ORIGIN);
	assert_true(c->zones[0].drops_signature);
	assert_int_equal(c->zones[1].first_listener, 4);
	assert_int_equal(c->zones[1].n_listeners, 3);
	assert_ptr_equal(c->zones[2].listeners, &l[7]);
	assert_int_equal(l[7].zone, 2);
	assert_int_equal(l[0].transport, T_UDP);
	assert_true(l[0].is_active && l[1].is_active && l[3].is_active && l[5].is_active);
	assert_addr(&l[1].bind, "[2001:db8::1]:5060");
	assert_sv(l[1].advertise, "[2001:db8::1]");
	assert_sv(l[1].advertise_host, "2001:db8::1");
	assert_sv(l[2].advertise, "[2001:db8::1]:5070");
	assert_sv(l[3].path, "/sip");
	assert_sv(l[3].text, "ws:127.0.0.1:80/sip");
	assert_sv(l[4].advertise, "sip.example.com:6060"); /* a name without a port: the bound one */
	assert_sv(l[5].advertise, "sip.example.com");      /* which ws need not show */
	assert_sv(l[6].advertise, "192.0.2.9:5080");
	assert_sv(l[6].advertise_host, "192.0.2.9");
	assert_int_equal(l[6].advertise_port, 5080);
	assert_addr(&l[6].bind, "127.0.0.1:6060");
	assert_sv(l[7].advertise, "[2001:db8::2]:5062");
	assert_sv(l[7].advertise_host, "2001:db8::2");
	assert_int_equal(l[6].mark.line, 15);
	conf_free(c);
}

/* What a key may be taken from, and who stays when his destination is drained. */
static void sticky_keys_are_as_written(void **state)
{
	static const struct { const char *text, *header; unsigned rooms; uint8_t key; bool stays; } cases[] = {
		{ "by: call-id", "", 0, STICKY_CALL_ID, false },
		{ "by: from-user", "", 0, STICKY_FROM_USER, false },
		{ "by: to-user, on-drain: stay", "", 0, STICKY_TO_USER, true },
		{ "by: domain, on-drain: move", "", 0, STICKY_DOMAIN, false },
		{ "by: source", "", 0, STICKY_SOURCE, false },
		{ "by: room", "", 0, STICKY_ROOM, true },
		{ "by: room, rooms: [\"conf-*\", \"1000-1999\"], on-drain: move", "", 2, STICKY_ROOM, false },
		{ "by: \"header:X-Tenant\"", "X-Tenant", 0, STICKY_HEADER, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[1024];
		struct conf *c;

		snprintf(text, sizeof(text), NODE ZONE("listen: \"udp:127.0.0.1:5060\"")
		         "pools: { p: { zone: a, sticky: { %s }, destinations: [{ name: d, uri: \"sip:10.0.0.1\" }] } }\n"
		         "routes: [{ to: { pool: p } }]\n", cases[i].text);
		c = parsed(text);
		assert_true(c->pools[0].sticky.is_on);
		assert_int_equal(c->pools[0].sticky.key, cases[i].key);
		assert_int_equal(c->pools[0].sticky.stays, cases[i].stays);
		assert_int_equal(c->pools[0].sticky.n_rooms, cases[i].rooms);
		assert_sv(c->pools[0].sticky.header, cases[i].header);
		assert_int_equal(c->pools[0].sticky.max, 100000);
		assert_int_equal(c->pools[0].sticky.ttl_ms, 7200000);
		conf_free(c);
	}
}

static void pools_and_destinations_are_as_written(void **state)
{
	struct conf *c = parsed(NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\", \"tcp:[::1]:5060\"]")
		"pools:\n"
		"  p: { zone: a, balance: hash, probe: off, destinations: [{ name: x, uri: \"sip:app.example.com\" }] }\n"
		"  q:\n"
		"    zone: a\n"
		"    balance: weighted\n"
		"    request-uri: destination\n"
		"    sticky: { by: call-id, ttl: 7d }\n"
		"    probe: { every: 250ms, timeout: 200ms, down-after: 5, up-after: 1 }\n"
		"    failover: { after: 500ms, on: [500, 503, 600], tries: 8 }\n"
		"    answer-timeout: 90s\n"
		"    responses: { 503: 480, 600: 603 }\n"
		"    destinations:\n"
		"      - { name: m1, uri: \"sip:10.0.0.1\", weight: 0, max-calls: 5 }\n"
		"      - { name: m2, uri: \"SIP:[::1]:6060;transport=tcp;lr\", weight: 1000 }\n" ROUTES);
	const struct conf_pool *p = &c->pools[0], *q = &c->pools[1];
	const struct conf_destination *d = c->destinations;

	(void)state;
	assert_int_equal(conf_find_pool(c, SV("q")), 1);
	assert_int_equal(conf_find_pool(c, SV("r")), -1);
	assert_int_equal(conf_find_zone(c, SV("a")), 0);
	assert_int_equal(conf_find_zone(c, SV("b")), -1);
	assert_false(p->probe.is_on);
	assert_int_equal(p->probe.every_ms, 5000);
	assert_int_equal(p->balance, BALANCE_HASH);
	assert_int_equal(q->balance, BALANCE_WEIGHTED);
	assert_int_equal(q->request_uri, RURI_DESTINATION);
	assert_true(q->sticky.is_on && q->probe.is_on);
	assert_sv(q->sticky.by, "call-id");
	assert_int_equal(q->sticky.ttl_ms, 7 * 86400000);
	assert_int_equal(q->probe.every_ms, 250);
	assert_int_equal(q->probe.up_after, 1);
	assert_int_equal(q->failover.after_ms, 500);
	assert_int_equal(q->failover.n_on, 3);
	assert_int_equal(q->failover.on[2], 600);
	assert_int_equal(q->answer_timeout_ms, 90000);
	assert_int_equal(q->n_responses, 2);
	assert_int_equal(q->responses[1].from, 600);
	assert_int_equal(q->responses[1].to, 603);
	assert_int_equal(c->n_destinations, 3);
	assert_int_equal(q->first_destination, 1);
	assert_ptr_equal(q->destinations, &d[1]);
	assert_false(d[0].is_numeric);
	assert_sv(d[0].host, "app.example.com");
	assert_int_equal(d[0].port, 0);
	assert_addr(&d[1].addr, "10.0.0.1:5060");
	assert_int_equal(d[1].weight, 0);
	assert_int_equal(d[1].max_calls, 5);
	assert_int_equal(d[1].transport, T_UDP);
	assert_addr(&d[2].addr, "[::1]:6060");
	assert_sv(d[2].host, "::1");
	assert_int_equal(d[2].port, 6060);
	assert_int_equal(d[2].transport, T_TCP);
	assert_int_equal(d[2].pool, 1);
	assert_int_equal(d[2].id, 2);
	conf_free(c);
}

/* RFC 3263 §4.1: a name without port and transport leaves open how it wants to be spoken to, and sips: is never less than TLS. */
static void what_a_uri_leaves_open(void **state)
{
	static const struct { const char *uri; bool is_open; uint8_t transport; } of[] = {
		{ "sip:h.example", true, T_UDP }, { "sip:h.example:5060", false, T_UDP }, { "sip:h.example;transport=udp", false, T_UDP },
		{ "sip:192.0.2.1", false, T_UDP }, { "sip:h.example;lr", true, T_UDP }, { "sips:h.example", true, T_TLS },
		{ "sips:h.example;transport=tcp", false, T_TLS }, { "sips:h.example:5071", false, T_TLS },
	};
	struct certs certs;
	char yaml[1024];

	(void)state;
	certs_make(&certs);
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		const struct conf_destination *d;
		struct resolve_query q;
		struct conf *c;

		snprintf(yaml, sizeof(yaml), "node: n\nzones: { a: { listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\", "
		         "\"tls:127.0.0.1:5061\"], tls: [{ name: sip.example.com, cert: %s/sip.pem, key: %s/sip.key }] } }\n"
		         "pools: { p: { zone: a, destinations: [{ name: d, uri: \"%s\" }] } }\n" ROUTES, certs.directory, certs.directory,
		         of[i].uri);
		c = parsed(yaml);
		d = &c->destinations[0];
		assert_int_equal(d->is_open, of[i].is_open);
		assert_int_equal(d->transport, of[i].transport);
		q = conf_destination_query(c, d);
		assert_int_equal(q.transport, of[i].is_open ? T_NONE : of[i].transport);
		assert_int_equal(q.family, 4);
		if (of[i].transport == T_TLS)
			assert_int_equal(q.transports & (1u << T_UDP | 1u << T_TCP | 1u << T_WS), 0);
		else if (of[i].is_open)
			assert_int_equal(q.transports & (1u << T_UDP | 1u << T_TCP | 1u << T_WS), 1u << T_UDP | 1u << T_TCP);
		conf_free(c);
	}
	certs_drop(&certs);
}

static void rules_are_as_written(void **state)
{
	struct conf *c = parsed(NODE ZONES POOLS
		"routes:\n"
		"  - { when: { method: REGISTER }, to: registrar }\n"
		"  - when:\n"
		"      zone: a\n"
		"      source: [10.0.0.0/8, 192.0.2.1]\n"
		"      method: [INVITE, X-FOO]\n"
		"      domain: \"*.example.com\"\n"
		"      user: [\"conf-*\", \"+49*\", \"1000-1999\"]\n"
		"      header: { X-Tenant: \"gold*\", Subject: \"?\" }\n"
		"      caller: any\n"
		"    to: { pool: p }\n"
		"    rewrite: { user: { strip: 2, prefix: \"+\" }, host: \"core.example.com:5062\", apply: [from, pai] }\n"
		"    relay: true\n"
		"    max-duration: 4h\n"
		"  - { to: { pool: p }, rewrite: { user: { regex: \"^0(.*)$\", replace: '+49\\1' } } }\n"
		"  - { when: { callee: registered }, to: location, answer-timeout: 25s }\n"
		"  - { when: { trunk: carrier, caller: trusted }, to: { reject: { status: 603, phrase: Decline } } }\n"
		"  - { to: { reject: 404 } }\n"
		"trunks: { carrier: { zone: a, match: { source: 192.0.2.1 } } }\n");
	const struct conf_route *r = c->routes;

	(void)state;
	assert_int_equal(c->n_routes, 6);
	assert_int_equal(r[0].action, ACT_REGISTRAR);
	assert_int_equal(r[0].when.caller, CALLER_ANY); /* who registers is not registered yet */
	assert_false(r[0].when.caller_is_written);
	assert_int_equal(r[1].line, 6);
	assert_int_equal(r[1].when.zone, 0);
	assert_int_equal(r[1].when.n_source, 2);
	assert_int_equal(r[1].when.n_methods, 2);
	assert_sv(r[1].when.methods[1], "X-FOO");
	assert_sv(r[1].when.domains[0], "*.example.com");
	assert_int_equal(r[1].when.n_users, 3);
	assert_int_equal(r[1].when.n_headers, 2);
	assert_sv(r[1].when.headers[0].name, "X-Tenant");
	assert_sv(r[1].when.headers[1].glob, "?");
	assert_int_equal(r[1].when.caller, CALLER_ANY);
	assert_true(r[1].when.caller_is_written && r[1].is_relay && r[1].has_rewrite);
	assert_int_equal(r[1].action, ACT_POOL);
	assert_int_equal(r[1].rewrite.user_strip, 2);
	assert_sv(r[1].rewrite.user_prefix, "+");
	assert_sv(r[1].rewrite.host, "core.example.com:5062");
	assert_true(r[1].rewrite.from && r[1].rewrite.pai && !r[1].rewrite.to && !r[1].rewrite.request_uri);
	assert_int_equal(r[1].max_duration_ms, 4 * 3600000);
	assert_non_null(r[2].rewrite.regex);
	assert_sv(r[2].rewrite.user_replace, "+49\\1");
	assert_true(r[2].rewrite.request_uri && !r[2].rewrite.from);
	assert_int_equal(r[2].when.caller, CALLER_REGISTERED);
	assert_int_equal(r[3].action, ACT_LOCATION);
	assert_int_equal(r[3].answer_timeout_ms, 25000);
	assert_true(r[3].when.callee_registered);
	assert_int_equal(c->asks, 0); /* there is nobody who could be registered */
	assert_sv(r[4].when.trunk, "carrier");
	assert_int_equal(r[4].when.caller, CALLER_TRUSTED);
	assert_int_equal(r[4].reject, 603);
	assert_sv(r[4].reject_phrase, "Decline");
	assert_int_equal(r[5].reject, 404);
	assert_int_equal(r[5].when.caller, CALLER_ANY); /* a refusal asks nothing of the caller */
	assert_sv(r[5].text, "any caller -> 404");
	assert_sv(r[1].text, "any caller in zone a from 10.0.0.0/8 or 192.0.2.1/32, method INVITE or X-FOO, user conf-* or +49* or "
	          "1000-1999, domain *.example.com, header X-Tenant like gold*, header Subject like ? -> pool p; cuts 2 from the user; "
	          "puts + before the user; host becomes core.example.com:5062 in From, P-Asserted-Identity; foreign hosts may pass; "
	          "at most 4h");
	conf_free(c);
}

static void regexes_are_bounded_by_what_they_unfold_to(void **state)
{
	static const struct { const char *regex; bool is_good; } cases[] = {
		{ "^00([0-9]{6,14})$", true }, { "^([0-9]{10})([0-9]{10})([0-9]{10})$", true },
		{ "[0-9]{500}", true }, { "[0-9]{501}", false }, { "[]{}]{500}", true }, { "[^]]{501}", false },
		{ "((a{8}){8}){8}", false }, { "(a{8}){8}b{400}", true }, { "(a{8}){8}b{437}", false },
		{ "a{99999999999999999999}", false }, { "\\\\{400}a", true },
		{ "a{", false }, { "a{2", false }, { "(((", false }, { ")", true },
		{ "(a|b){251}", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct conf_notes notes;
		struct conf *c = NULL;
		char yaml[1024];

		snprintf(yaml, sizeof(yaml), NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: '%s', replace: x } }"),
		         cases[i].regex);
		conf_notes_init(&notes);
		if (!conf_parse(&c, "f", sv_from(yaml), &notes) != cases[i].is_good)
			fail_msg("%s", cases[i].regex);
		conf_free(c);
		conf_notes_fini(&notes);
	}
}

static void environment_is_replaced_inside_values(void **state)
{
	struct conf *c;

	(void)state;
	setenv("SBC_TEST_A", "one", 1);
	setenv("SBC_TEST_PORT", "5080", 1);
	c = parsed("node: \"${SBC_TEST_A}-${SBC_TEST_A}\"\n" ZONES
	           DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:${SBC_TEST_PORT}\" }") ROUTES
	           "state: \"$${SBC_TEST_A}/$x$\"\nlimits: { calls: \"${SBC_TEST_PORT}\" }\n");
	assert_sv(c->node, "one-one");
	assert_addr(&c->destinations[0].addr, "127.0.0.1:5080");
	assert_sv(c->state, "${SBC_TEST_A}/$x$");
	assert_int_equal(c->max_calls, 5080);
	conf_free(c);
}

static void aliases_stand_for_what_they_name(void **state)
{
	struct conf *c = parsed(NODE
		"zones:\n"
		"  a: { listen: \"udp:127.0.0.1:5060\" }\n"
		"  b: { listen: \"udp:127.0.0.1:5061\", trust: &net [10.0.0.0/8] }\n"
		"pools: { p: &pool { zone: a, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] }, q: *pool }\n"
		"routes: [{ when: { source: *net, caller: trusted }, to: { pool: p } }]\n");

	(void)state;
	assert_int_equal(c->n_destinations, 2);
	assert_sv(c->pools[1].destinations[0].name, "d");
	assert_int_equal(c->routes[0].when.source[0].bits, 8);
	conf_free(c);
}

static void users_match_globs_and_ranges(void **state)
{
	static const struct { const char *pattern, *user; bool is_match; } cases[] = {
		{ "conf-*", "conf-1", true }, { "conf-*", "conf-", true }, { "conf-*", "Conf-1", false }, { "+49*", "+4930", true },
		{ "+49*", "4930", false }, { "+49", "+4930", false }, { "+49", "+49", true }, { "*", "", true },
		{ "1000-1999", "1000", true }, { "1000-1999", "1999", true }, { "1000-1999", "1500", true }, { "1000-1999", "2000", false },
		{ "1000-1999", "0999", false },
		{ "1000-1999", "15000", false }, { "1000-1999", "150", false }, { "1000-1999", "15a0", false },
		{ "1000-1999", "1000-1999", false }, { "a-b", "a-b", true }, { "1-", "1-", true }, { "-1", "-1", true },
		{ "12-9", "12-9", true }, { "12-ab", "12-ab", true },
		{ "", "", true }, { "", "x", false },
		{ "00000000000000000000001-00000000000000000000009", "00000000000000000000005", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (conf_user_match(sv_from(cases[i].pattern), sv_from(cases[i].user)) != cases[i].is_match)
			fail_msg("%s against %s", cases[i].pattern, cases[i].user);
	}
}

static char *description(const char *path)
{
	struct conf_notes notes;
	struct conf_text text = { 0 };
	struct conf *c = NULL;

	conf_notes_init(&notes);
	assert_int_equal(conf_load(&c, path, &notes), 0);
	assert_int_equal(conf_describe(c, &text), 0);
	conf_notes_fini(&notes);
	conf_free(c);
	return text.p;
}

static void the_summary_is_in_plain_words(void **state)
{
	static const char *const lines[] = {
		"node demo, ", "identity keys: build/run/state/identity.key, made at first start\n",
		"zone public\n  listens on udp:127.0.0.1:5060, advertised as 127.0.0.1\n", "  trusts nobody\n", "  trusts 127.0.0.0/8\n",
		"  asks ends without a session timer every 15m whether they are still there\n",
		"  listens on udp:127.0.0.1:5070, advertised as 127.0.0.1:5070\n", "pool apps in zone core, calls go in turn\n",
		"  app-1 at sip:127.0.0.1:5081\n", "a dead one is noticed after at most 7s, ", /* every 2 s * 3 + 1 s */
		"no response for 2s or on 503, at most 3 in all; without an answer it ends after 3m\n",
		"registrar 127.0.0.1: contacts are kept here, at most 10 each (then 403), for 1m to 1h; nobody is asked who they are\n",
		"  1. (line 34) any caller in zone public, method REGISTER -> registrar\n",
		"  2. (line 35) any caller in zone public, callee registered -> where the one called is registered\n",
		"  3. (line 36) any caller in zone public -> pool apps\n  4. (line 37) any caller -> 404\n  otherwise -> 404\n",
		"who may call: anyone\n",
	};
	char *first, *second, before[PATH_MAX];
	struct certs demo;

	(void)state;
	demo_enter(&demo, before);
	first = description(SOURCE_DIR "/conf/sbc.yaml");
	second = description(SOURCE_DIR "/conf/sbc.yaml");
	demo_leave(&demo, before);
	assert_string_equal(first, second);
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		if (!strstr(first, lines[i]))
			fail_msg("%s\ndoes not say: %s", first, lines[i]);
	}
	free(first);
	free(second);
}

static void the_summary_says_who_is_followed(void **state)
{
	static const struct { const char *yaml, *line; } of[] = {
		{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", nat: always") POOLS ROUTES, "  reaches everybody over the flow he came by\n" },
		{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", nat: never") POOLS ROUTES, "  reaches everybody where his Contact leads\n" },
		{ NODE ZONES POOLS ROUTES, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(of); i++) {
		struct conf *c = parsed(of[i].yaml);
		struct conf_text text = { 0 };

		assert_int_equal(conf_describe(c, &text), 0);
		for (size_t k = 0; k + 1 < COUNT_OF(of); k++)
			assert_int_equal(strstr(text.p, of[k].line) != NULL, i == k);
		free(text.p);
		conf_free(c);
	}
}

static void the_summary_says_who_is_kept_alive(void **state)
{
#define LISTEN "listen: \"udp:127.0.0.1:5060\", "
#define REGISTRAR "registrar: { example.com: { auth: none } }\n"
	static const struct { const char *yaml, *line; } of[] = {
		{ NODE ZONES POOLS ROUTES REGISTRAR, "  sends OPTIONS, pings on connections, to contacts that are silent for 30s; 3 without" },
		{ NODE ZONE(LISTEN "keepalive: { udp: options, tcp: off, learn: {}, misses: 5 }") POOLS ROUTES REGISTRAR,
		  "  sends OPTIONS to contacts that are silent for 30s (learnt by network); 5 without an answer remove one\n" },
		{ NODE ZONE(LISTEN "keepalive: { udp: empty, tcp: off }") POOLS ROUTES REGISTRAR,
		  "  sends empty datagrams to contacts that are silent for 30s\n" },
		{ NODE ZONE(LISTEN "keepalive: off") POOLS ROUTES REGISTRAR, NULL },
		{ NODE ZONES POOLS ROUTES, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(of); i++) {
		struct conf *c = parsed(of[i].yaml);
		struct conf_text text = { 0 };

		assert_int_equal(conf_describe(c, &text), 0);
		if (of[i].line)
			assert_non_null(strstr(text.p, of[i].line));
		else
			assert_null(strstr(text.p, "  sends "));
		free(text.p);
		conf_free(c);
	}
}

static void a_missing_file_is_one_note(void **state)
{
	struct conf_notes notes;
	struct conf *c = NULL;
	char line[256];

	(void)state;
	conf_notes_init(&notes);
	assert_int_equal(conf_load(&c, "/nonexistent/sbc.yaml", &notes), -ENOENT);
	assert_int_equal(notes.errors, 1);
	conf_note_format(owner_of(notes.list.next, struct conf_note, in_list), "/nonexistent/sbc.yaml", line, sizeof(line));
	assert_string_equal(line, "/nonexistent/sbc.yaml: no such file");
	conf_notes_fini(&notes);
	conf_notes_init(&notes);
	assert_int_equal(conf_load(&c, "/", &notes), -EISDIR);
	assert_int_equal(notes.errors, 1);
	assert_null(c);
	conf_notes_fini(&notes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold_for_what_is_not_written),
		cmocka_unit_test(the_process_is_as_written),
		cmocka_unit_test(zones_and_listeners_are_as_written),
		cmocka_unit_test(sticky_keys_are_as_written),
		cmocka_unit_test(pools_and_destinations_are_as_written),
		cmocka_unit_test(what_a_uri_leaves_open),
		cmocka_unit_test(rules_are_as_written),
		cmocka_unit_test(regexes_are_bounded_by_what_they_unfold_to),
		cmocka_unit_test(environment_is_replaced_inside_values),
		cmocka_unit_test(aliases_stand_for_what_they_name),
		cmocka_unit_test(users_match_globs_and_ranges),
		cmocka_unit_test(the_summary_is_in_plain_words),
		cmocka_unit_test(the_summary_says_who_is_followed),
		cmocka_unit_test(the_summary_says_who_is_kept_alive),
		cmocka_unit_test(a_missing_file_is_one_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
