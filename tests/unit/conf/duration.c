/* Durations as operators write them on a command line: as in the file. */
#include "conf/conf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>

static void as_in_the_file(void **state)
{
	static const struct { const char *text; uint64_t ms; } good[] = {
		{ "0s", 0 }, { "250ms", 250 }, { "5s", 5000 }, { "3m", 180000 }, { "2h", 7200000 }, { "31d", 31 * UINT64_C(86400000) },
	};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(conf_duration_ms(sv_from(good[i].text), &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
}

static void nothing_else(void **state)
{
	static const char *const bad[] = { "", "5", "s", "5 s", " 5s", "5s ", "-5s", "1.5h", "5S", "5sec", "0x5s", "5ms5s" };
	static const char *const large[] = { "32d", "18446744073709551616ms", "18446744073709551615d", "2678400001ms", "99999999999h" };
	uint64_t ms = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(conf_duration_ms(sv_from(bad[i]), &ms), -EBADMSG);
	for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++)
		assert_int_equal(conf_duration_ms(sv_from(large[i]), &ms), -ERANGE);
	assert_int_equal(ms, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_in_the_file),
		cmocka_unit_test(nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
