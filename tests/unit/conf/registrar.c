/* conf/registrar.c: domains whose users register here, as they are read, found and told of. */
#include "tests/unit/conf/conf_test.h"

static void registrars_are_described_and_found(void **state)
{
	struct conf *c = parsed(NODE ZONES POOLS ROUTES
		"registrar:\n"
		"  example.net: { auth: none, expires: { min: 2m, max: 2h }, max-contacts: 3, when-full: replace-oldest, rate: 100/s }\n"
		"  Example.COM.: { auth: none, flow-grace: 1s }\n");
	struct conf_text text;

	(void)state;
	assert_int_equal(c->n_registrars, 2);
	assert_ptr_equal(conf_find_registrar(c, SV("example.com")), &c->registrars[0]);
	assert_ptr_equal(conf_find_registrar(c, SV("EXAMPLE.net.")), &c->registrars[1]);
	assert_null(conf_find_registrar(c, SV("example.org")));
	assert_null(conf_find_registrar(c, SV("")));
	assert_int_equal(c->registrars[0].flow_grace_ms, 1000);
	assert_int_equal(c->registrars[0].expires.max_ms, 3600000);
	assert_int_equal(c->registrars[0].max_contacts, 10);
	assert_int_equal(c->registrars[1].expires.min_ms, 120000);
	assert_int_equal(c->registrars[1].when_full, FULL_REPLACE);
	assert_int_equal(conf_describe(c, &text), 0);
	assert_non_null(strstr(text.p, "registrar example.net: contacts are kept here, at most 3 each (then the oldest goes), for 2m to 2h; "
	                               "nobody is asked who they are; 100/s REGISTER requests\n"));
	free(text.p);
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registrars_are_described_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
