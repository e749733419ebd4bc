/* Which rule takes a request, over snapshots built by hand. */
#include "apps-router/route.h"
#include "transports/net.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { PUBLIC, CORE, RULES_MAX = 4 };

struct rig {
	struct conf conf;
	struct conf_zone zone[2];
	struct conf_listener listener[4];
	struct sv domain[2];
	struct prefix trust[1];
	struct conf_route rule[RULES_MAX];
	struct route_query q;
	struct sv tenant;        /* of the request: X-Tenant, or none */
};

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(text)), 0);
	return a;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, sv_from(text)), 0);
	return p;
}

static struct sv header_of(void *ctx, struct sv name)
{
	struct rig *rig = ctx;

	return sv_ieq(name, SV("X-Tenant")) ? rig->tenant : (struct sv){ NULL, 0 };
}

static void listener(struct rig *rig, unsigned i, uint8_t transport, const char *bind, const char *host, uint16_t port)
{
	rig->listener[i] = (struct conf_listener){ .transport = transport, .bind = addr(bind), .advertise_host = sv_from(host),
		                                   .advertise_port = port };
}

static void request(struct rig *rig, const char *method, const char *uri)
{
	rig->q.method = sv_from(method);
	assert_int_equal(uri_parse(&rig->q.uri, sv_from(uri)), 0);
}

static void rig_init(struct rig *rig)
{
	*rig = (struct rig){ 0 };
	listener(rig, 0, T_UDP, "203.0.113.10:5060", "203.0.113.10", 5060);
	listener(rig, 1, T_TLS, "203.0.113.10:5061", "sip.example.com", 5061);
	listener(rig, 2, T_UDP, "[2001:db8::10]:5070", "2001:db8::10", 5070);
	listener(rig, 3, T_UDP, "10.0.0.10:5060", "10.0.0.10", 5060);
	rig->domain[0] = SV("example.com");
	rig->domain[1] = SV("Example.NET.");
	rig->trust[0] = prefix("10.0.0.0/24");
	rig->zone[PUBLIC] = (struct conf_zone){ .name = SV("public"), .listeners = &rig->listener[0], .n_listeners = 3,
		                                .domains = rig->domain, .n_domains = 2 };
	rig->zone[CORE] = (struct conf_zone){ .name = SV("core"), .listeners = &rig->listener[3], .n_listeners = 1,
		                              .trust = rig->trust, .n_trust = 1 };
	for (unsigned i = 0; i < RULES_MAX; i++)
		rig->rule[i] = (struct conf_route){ .when = { .zone = -1, .caller = CALLER_ANY }, .line = i + 1 };
	rig->conf = (struct conf){ .zones = rig->zone, .n_zones = 2, .listeners = rig->listener, .n_listeners = 4,
		                   .routes = rig->rule, .n_routes = 1 };
	rig->q = (struct route_query){ .zone = PUBLIC, .source = addr("198.51.100.7:5060"), .header = header_of, .ctx = rig };
	request(rig, "INVITE", "sip:alice@example.com");
}

/* Line of the rule found, or 0; and the status. */
static unsigned found(struct rig *rig, unsigned *status)
{
	struct route_result r;

	route_find(&rig->conf, &rig->q, &r);
	*status = r.status;
	assert_true(!r.status == !r.reason);
	return r.rule ? r.rule->line : 0;
}

static bool goes(struct rig *rig)
{
	unsigned status;

	return found(rig, &status) == 1 && status == 0;
}

/* What keeps rule 1 from matching; "" when it matches. */
static void explained(void *ctx, const struct conf_route *r, bool matched, const char *failed)
{
	const char **out = ctx;

	assert_true(matched == !failed);
	if (r->line == 1)
		*out = failed ? failed : "";
}

static const char *obstacle(struct rig *rig)
{
	const char *why = NULL;

	route_explain(&rig->conf, &rig->q, explained, &why);
	assert_non_null(why);
	return why;
}

static void the_first_that_matches_wins(void **state)
{
	struct sv invite = SV("INVITE");
	struct rig rig;
	unsigned status;

	(void)state;
	rig_init(&rig);
	rig.conf.n_routes = 3;
	rig.rule[0].when.methods = &invite;
	rig.rule[0].when.n_methods = 1;
	rig.rule[1].when.zone = CORE;
	assert_int_equal(found(&rig, &status), 1);
	request(&rig, "MESSAGE", "sip:alice@example.com");
	assert_int_equal(found(&rig, &status), 3);
	assert_string_equal(obstacle(&rig), "method");
	rig.conf.n_routes = 2;
	assert_int_equal(found(&rig, &status), 0);
	assert_int_equal(status, 404);
}

/* RFC 3261 §7.1: methods are case-sensitive. */
static void methods_are_compared_exactly(void **state)
{
	struct sv methods[] = { SV("INVITE"), SV("X-Custom") };
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].when.methods = methods;
	rig.rule[0].when.n_methods = 2;
	assert_true(goes(&rig));
	request(&rig, "X-Custom", "sip:alice@example.com");
	assert_true(goes(&rig));
	request(&rig, "invite", "sip:alice@example.com");
	assert_false(goes(&rig));
}

static void zone_and_source(void **state)
{
	struct prefix net[2];
	struct rig rig;

	(void)state;
	rig_init(&rig);
	net[0] = prefix("192.0.2.0/24");
	net[1] = prefix("2001:db8::/32");
	rig.rule[0].when.zone = PUBLIC;
	assert_true(goes(&rig));
	rig.rule[0].when.source = net;
	rig.rule[0].when.n_source = 2;
	assert_string_equal(obstacle(&rig), "source");
	rig.q.source = addr("[2001:db8::7]:5060");
	assert_true(goes(&rig));
	rig.rule[0].when.zone = CORE;
	assert_string_equal(obstacle(&rig), "zone");
}

static void domains_ignore_case_and_notation(void **state)
{
	struct sv patterns[] = { SV("*.Example.com"), SV("example.org."), SV("[2001:db8::10]"), SV("a?c.test") };
	static const struct { const char *uri; bool matches; } cases[] = {
		{ "sip:a@PBX.example.COM", true }, { "sip:a@pbx.example.com.", true }, { "sip:a@example.com", false },
		{ "sip:a@Example.org", true }, { "sip:a@EXAMPLE.org.:5060", true }, { "sip:a@example.org.uk", false },
		{ "sip:a@[2001:DB8:0:0::10]", true }, { "sip:a@[2001:db8::11]", false }, { "sip:a@aBc.test", true },
		{ "tel:+4912345", false },
	};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].is_relay = true;
	rig.rule[0].when.domains = patterns;
	rig.rule[0].when.n_domains = 4;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		request(&rig, "INVITE", cases[i].uri);
		assert_int_equal(goes(&rig), cases[i].matches);
	}
	assert_string_equal(obstacle(&rig), "domain");
}

static void users_are_matched_without_escapes(void **state)
{
	struct sv patterns[] = { SV("conf-*"), SV("+49*"), SV("1000-1999") };
	static const struct { const char *uri; bool matches; } cases[] = {
		{ "sip:conf-1@example.com", true }, { "sip:Conf-1@example.com", false }, { "sip:c%6Fnf%2D1@example.com", true },
		{ "sip:+4930@example.com", true }, { "sip:%2b4930@example.com", true }, { "sip:1500@example.com", true },
		{ "sip:2000@example.com", false }, { "sip:example.com", false }, { "tel:+4930;phone-context=x", true },
		{ "tel:4930", false }, { "sip:conf-1:secret@example.com", true }, { "sip:xconf-1@example.com", false },
	};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].when.users = patterns;
	rig.rule[0].when.n_users = 3;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		request(&rig, "INVITE", cases[i].uri);
		assert_int_equal(goes(&rig), cases[i].matches);
	}
	assert_string_equal(obstacle(&rig), "user");
}

static void every_header_condition_must_hold(void **state)
{
	struct conf_header headers[] = { { SV("x-tenant"), SV("gold*") }, { SV("X-Tenant"), SV("*1") } };
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].when.headers = headers;
	rig.rule[0].when.n_headers = 2;
	assert_string_equal(obstacle(&rig), "header"); /* absent */
	rig.tenant = SV("gold-2");
	assert_false(goes(&rig));
	rig.tenant = SV("gold-1");
	assert_true(goes(&rig));
	headers[0].glob = headers[1].glob = SV("*");
	rig.tenant = (struct sv){ NULL, 0 };
	assert_false(goes(&rig)); /* anything at all, but something */
	rig.tenant = SV("");
	assert_true(goes(&rig));
	rig.q.header = NULL;
	assert_false(goes(&rig));
}

/* DECISIONS 15. */
static void who_may_call(void **state)
{
	static const struct { uint8_t asked; bool unknown, registered, authenticated, trusted; } cases[] = {
		{ CALLER_ANY, true, true, true, true },
		{ CALLER_REGISTERED, false, true, true, true },
		{ CALLER_AUTHENTICATED, false, false, true, true },
		{ CALLER_TRUSTED, false, false, false, true },
	};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig.rule[0].when.caller = cases[i].asked;
		rig.q.is_registered = rig.q.is_authenticated = rig.q.is_trusted = false;
		assert_int_equal(goes(&rig), cases[i].unknown);
		if (!cases[i].unknown)
			assert_string_equal(obstacle(&rig), "caller");
		rig.q.is_registered = true;
		assert_int_equal(goes(&rig), cases[i].registered);
		rig.q.is_registered = false;
		rig.q.is_authenticated = true;
		assert_int_equal(goes(&rig), cases[i].authenticated);
		rig.q.is_authenticated = false;
		rig.q.is_trusted = true;
		assert_int_equal(goes(&rig), cases[i].trusted);
	}
}

/* Whether it is worth asking a caller who he is. */
static bool wants_caller(struct rig *rig)
{
	struct route_result r;

	route_find(&rig->conf, &rig->q, &r);
	return r.wants_caller;
}

static void who_would_be_asked(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.conf.n_routes = 2;
	assert_false(wants_caller(&rig));
	rig.rule[0].when.caller = CALLER_TRUSTED; /* nobody becomes that by a password */
	assert_false(wants_caller(&rig));
	rig.rule[0].when.caller = CALLER_AUTHENTICATED;
	assert_true(wants_caller(&rig));
	rig.rule[0].when.zone = CORE; /* it would not be for him anyhow */
	assert_false(wants_caller(&rig));
	rig.rule[0].when.zone = -1;
	rig.rule[0].when.caller = CALLER_REGISTERED;
	assert_true(wants_caller(&rig));
	rig.q.is_registered = true;
	assert_false(wants_caller(&rig));
	rig.q.is_registered = false;
	rig.rule[0].when.caller = CALLER_ANY; /* a rule behind the one that is found */
	rig.rule[1].when.caller = CALLER_REGISTERED;
	assert_false(wants_caller(&rig));
	rig.rule[0].when.caller = rig.rule[1].when.caller = CALLER_REGISTERED; /* none is found */
	assert_true(wants_caller(&rig));
}

static void the_callee_may_have_to_be_registered(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].when.callee_registered = true;
	assert_string_equal(obstacle(&rig), "callee");
	rig.q.callee_is_registered = true;
	assert_true(goes(&rig));
}

/* DECISIONS 17: a rule that names the trunk needs no more of its caller, unless it says trusted. */
static void a_trunk_is_known_to_rules_that_name_it(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].when.trunk = SV("carrier");
	rig.rule[0].when.caller = CALLER_REGISTERED;
	rig.q.is_trusted = false;
	assert_string_equal(obstacle(&rig), "trunk");
	rig.q.trunk = SV("carrie");
	assert_string_equal(obstacle(&rig), "trunk");
	rig.q.trunk = SV("carrier");
	assert_true(goes(&rig));
	rig.rule[0].when.caller = CALLER_TRUSTED;
	assert_string_equal(obstacle(&rig), "caller");
	rig.rule[0].when.caller = CALLER_AUTHENTICATED;
	assert_true(goes(&rig));
	rig.rule[0].when.trunk = SV(""); /* it has not shown who it is to any other */
	assert_string_equal(obstacle(&rig), "caller");
}

/* DECISIONS 15: hosts that are not ours need a rule that says relay. */
static void foreign_hosts_are_refused(void **state)
{
	struct rig rig;
	unsigned status;

	(void)state;
	rig_init(&rig);
	request(&rig, "INVITE", "sip:alice@elsewhere.test");
	assert_int_equal(found(&rig, &status), 1);
	assert_int_equal(status, 403);
	rig.rule[0].is_relay = true;
	assert_true(goes(&rig));
	rig.rule[0].is_relay = false;
	rig.rule[0].action = ACT_RELAY;
	assert_true(goes(&rig));
	rig.rule[0].action = ACT_POOL;
	request(&rig, "INVITE", "tel:+4930");
	assert_true(goes(&rig));
	request(&rig, "INVITE", "urn:service:sos"); /* RFC 5031 */
	assert_true(goes(&rig));
	request(&rig, "INVITE", "http://example.com/x");
	found(&rig, &status);
	assert_int_equal(status, 403);
}

static void rejection_and_parts_that_are_not_there(void **state)
{
	struct route_result r;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.rule[0].action = ACT_REJECT;
	rig.rule[0].reject = 484;
	request(&rig, "INVITE", "sip:alice@elsewhere.test"); /* a rule's own refusal comes first */
	route_find(&rig.conf, &rig.q, &r);
	assert_int_equal(r.status, 484);
	assert_string_equal(r.reason, "rule-reject");
	rig.rule[0].action = ACT_INACTIVE;
	route_find(&rig.conf, &rig.q, &r);
	assert_int_equal(r.status, 403);
	assert_string_equal(r.reason, "host-not-ours");
	request(&rig, "INVITE", "sip:alice@example.com");
	route_find(&rig.conf, &rig.q, &r);
	assert_int_equal(r.status, 503);
	assert_string_equal(r.reason, "part-not-active");
	rig.conf.n_routes = 0;
	route_find(&rig.conf, &rig.q, &r);
	assert_string_equal(r.reason, "no-route");
	assert_null(r.rule);
}

static void what_counts_as_ours(void **state)
{
	static const struct { const char *host; uint16_t port; bool in_public, in_core; } cases[] = {
		{ "example.com", 0, true, false }, { "EXAMPLE.com.", 5060, true, false }, { "example.net", 9999, true, false },
		{ "sub.example.com", 0, false, false }, { "example.co", 0, false, false },
		{ "203.0.113.10", 0, true, false }, { "203.0.113.10", 5061, true, false }, { "203.0.113.10", 5070, true, false },
		{ "203.0.113.10", 5080, false, false }, { "sip.example.com", 5061, true, false },
		{ "2001:DB8:0::10", 5070, true, false }, { "2001:db8::11", 5070, false, false },
		{ "10.0.0.10", 5060, false, true }, { "::ffff:203.0.113.10", 0, true, false },
	};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sv host = sv_from(cases[i].host);

		assert_int_equal(route_host_is_ours(&rig.conf, PUBLIC, host, cases[i].port), cases[i].in_public);
		assert_int_equal(route_host_is_ours(&rig.conf, CORE, host, cases[i].port), cases[i].in_core);
	}
	rig.listener[0].bind = addr("0.0.0.0:5060"); /* bound to all: only what is advertised has a name */
	assert_false(route_host_is_ours(&rig.conf, PUBLIC, SV("0.0.0.0"), 5060));
}

/* DECISIONS 18. */
static void a_request_to_ourselves(void **state)
{
	static const struct { const char *uri; bool is_for_us; } cases[] = {
		{ "sip:203.0.113.10", true }, { "sip:203.0.113.10:5060", true }, { "sip:203.0.113.10:5061", true },
		{ "sip:203.0.113.10:5070", false }, { "sip:x@203.0.113.10", false }, { "sip:SIP.example.com:5061;lr", true },
		{ "sips:sip.example.com", true }, { "sip:[2001:db8::10]", false }, { "sip:[2001:DB8::0:10]:5070", true },
		{ "sip:example.com", false }, { "sip:10.0.0.10", false }, { "tel:+4930", false },
	};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uri u;

		assert_int_equal(uri_parse(&u, sv_from(cases[i].uri)), 0);
		assert_int_equal(route_is_for_us(&rig.conf, PUBLIC, &u), cases[i].is_for_us);
	}
}

/* DECISIONS 16. */
static void trust_is_by_zone_and_source(void **state)
{
	struct addr inside = addr("10.0.0.7:5060"), outside = addr("10.0.1.7:5060");
	struct rig rig;

	(void)state;
	rig_init(&rig);
	assert_true(route_is_trusted(&rig.conf, CORE, &inside));
	assert_false(route_is_trusted(&rig.conf, CORE, &outside));
	assert_false(route_is_trusted(&rig.conf, PUBLIC, &inside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_matches_wins),
		cmocka_unit_test(methods_are_compared_exactly),
		cmocka_unit_test(zone_and_source),
		cmocka_unit_test(domains_ignore_case_and_notation),
		cmocka_unit_test(users_are_matched_without_escapes),
		cmocka_unit_test(every_header_condition_must_hold),
		cmocka_unit_test(who_may_call),
		cmocka_unit_test(the_callee_may_have_to_be_registered),
		cmocka_unit_test(a_trunk_is_known_to_rules_that_name_it),
		cmocka_unit_test(foreign_hosts_are_refused),
		cmocka_unit_test(who_would_be_asked),
		cmocka_unit_test(rejection_and_parts_that_are_not_there),
		cmocka_unit_test(what_counts_as_ours),
		cmocka_unit_test(a_request_to_ourselves),
		cmocka_unit_test(trust_is_by_zone_and_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
