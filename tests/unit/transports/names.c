#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/net.h"

static void every_transport_has_a_name_in_any_case(void **state)
{
	(void)state;
	for (uint8_t t = T_UDP; t < T_COUNT; t++)
		assert_int_equal(transport_parse(sv_from(transport_name(t))), t);
	assert_string_equal(transport_name(T_WSS), "WSS");
	assert_int_equal(transport_parse(SV("tLs")), T_TLS);
}

static void others_have_none(void **state)
{
	(void)state;
	assert_int_equal(transport_parse(SV("SCTP")), T_NONE);
	assert_int_equal(transport_parse(SV("")), T_NONE);
	assert_int_equal(transport_parse(SV("TCPX")), T_NONE);
	assert_string_equal(transport_name(T_COUNT), "");
	assert_string_equal(transport_name(255), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_transport_has_a_name_in_any_case),
		cmocka_unit_test(others_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
