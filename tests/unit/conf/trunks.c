/* conf/trunks.c: carriers as they are read, whose source an address is, and what --check tells of them. */
#include "tests/unit/conf/conf_test.h"

#define TRUNKS \
	NODE ZONES "pools: { p: { zone: a, destinations: [{ name: d, uri: \"sip:192.0.2.1\" }] } }\n" ROUTES \
		   "trunks:\n" \
		   "  big: { zone: a, pool: p, domain: carrier.example, match: { source: [10.0.0.0/8, \"2001:db8::/32\"] },\n" \
		   "         limits: { calls: 30, rate: 10/s }, register: { user: \"+4930\", expires: 30m }, credentials: \"${SBC_TEST_SECRET}\" }\n" \
		   "  small: { zone: a, realm: voip, match: { source: [10.1.0.0/16, 10.2.3.4, 10.2.3.5, \"2001:db8:0:8000::/49\"], " \
		   "tls-name: sip.voip.example } }\n" \
		   "  named: { zone: a, match: { tls-name: gw.example } }\n"

static int at(const struct conf *c, uint16_t zone, const char *address)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(address)), 0);
	return conf_trunk_at(c, zone, &a);
}

static void trunks_are_read(void **state)
{
	struct conf *c = parsed(TRUNKS);
	const struct conf_trunk *t = c->trunks;

	(void)state;
	assert_int_equal(c->n_trunks, 3);
	assert_int_equal(conf_find_trunk(c, SV("small")), 1);
	assert_int_equal(conf_find_trunk(c, SV("medium")), -1);
	assert_int_equal(t->pool, 0);
	assert_int_equal(t->max_calls, 30);
	assert_int_equal(t->rate, 600);
	assert_true(t->registers);
	assert_true(sv_eq(t->registration.user, SV("+4930")));
	assert_int_equal(t->registration.expires_ms, 1800000);
	assert_true(sv_eq(t->realm, SV("carrier.example")));
	assert_true(sv_eq(t->user, SV("me")));
	assert_true(sv_eq(t->password, SV("pass:word")));
	assert_int_equal(c->pools[0].trunk, 1);
	assert_false(c->pools[0].is_plain); /* it has limits */
	assert_true(sv_eq(t[1].realm, SV("voip")));
	assert_int_equal(t[1].pool, -1);
	assert_false(t[1].registers);
	conf_free(c);
}

/* The longest network decides, in its own zone only. */
static void an_address_belongs_to_one(void **state)
{
	struct conf *c = parsed(TRUNKS);

	(void)state;
	assert_int_equal(at(c, 0, "10.3.0.1"), 0);
	assert_int_equal(at(c, 0, "10.1.255.1"), 1);
	assert_int_equal(at(c, 0, "10.2.3.4"), 1);
	assert_int_equal(at(c, 0, "10.2.3.5"), 1);
	assert_int_equal(at(c, 0, "10.2.3.6"), 0);
	assert_int_equal(at(c, 0, "11.0.0.1"), -1);
	assert_int_equal(at(c, 0, "2001:db8:0:7fff::1"), 0);
	assert_int_equal(at(c, 0, "2001:db8:0:8000::1"), 1);
	assert_int_equal(at(c, 0, "2001:db9::1"), -1);
	assert_int_equal(at(c, 1, "10.3.0.1"), -1);
	conf_free(c);
}

static void trunks_are_described(void **state)
{
	struct conf *c = parsed(TRUNKS);
	struct conf_text text;

	(void)state;
	assert_int_equal(conf_describe(c, &text), 0);
	assert_non_null(strstr(text.p, "trunk big in zone a, reached by pool p, calls come from 10.0.0.0/8 or 2001:db8::/32\n"
	                               "  there Request-URI, From and To have the host carrier.example\n"
	                               "  at most 30 calls at once, both directions together\n"
	                               "  at most 10/s new calls\n"
	                               "  we register there as +4930 for 30m\n"
	                               "  its challenges for realm carrier.example are answered\n"));
	assert_non_null(strstr(text.p, "trunk small in zone a, calls come from 10.1.0.0/16 or 10.2.3.4/32 or 10.2.3.5/32 or 2001:db8:0:8000::/49 "
	                               "or whoever proves to be sip.voip.example over TLS\n"));
	assert_non_null(strstr(text.p, "trunk named in zone a, calls come from whoever proves to be gw.example over TLS\n"));
	assert_null(strstr(text.p, "pass:word"));
	free(text.p);
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trunks_are_read),
		cmocka_unit_test(an_address_belongs_to_one),
		cmocka_unit_test(trunks_are_described),
	};

	setenv("SBC_TEST_SECRET", "me:pass:word", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
