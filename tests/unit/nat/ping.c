/* tests/unit/nat/ping.c */
#include "nat/ping.h"
#include "base/buf.h"
#include "sip/view.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <stdio.h>

#define NAME "bcdefghijklmnopqrstuvwxyz23"

static void as_it_should_be(void **state)
{
	char out[PING_MAX + BUF_PAD] = "";
	struct view_fault fault;
	struct ping_form f;
	struct addr remote;
	struct view v;
	size_t len;

	(void)state;
	assert_int_equal(addr_parse(&remote, SV("192.0.2.1:5062")), 0);
	assert_int_equal(ping_form_init(&f, SV("203.0.113.10:5070")), 0);
	len = ping_write(&f, SV("sip:alice@10.0.0.1;x=y"), &remote, SV(NAME), UINT32_MAX, out);
	out[len] = '\0';
	assert_string_equal(out,
		"OPTIONS sip:alice@10.0.0.1;x=y SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 203.0.113.10:5070;branch=z9hG4bK" NAME "2147483647\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:ping@203.0.113.10:5070>;tag=ping\r\n"
		"To: <sip:ping@203.0.113.10:5070>\r\n"
		"Call-ID: " NAME "\r\n"
		"CSeq: 2147483647 OPTIONS\r\n"
		"Contact: <sip:203.0.113.10:5070>\r\n"
		"Content-Length: 0\r\n\r\n");
	assert_int_equal(view_scan(&v, out, len, false, &fault), 0);
	assert_int_equal(v.method, M_OPTIONS);
	ping_form_fini(&f);
	ping_form_fini(&f);
}

/* Whatever is configured and registered, it fits; what is too long for it is left. */
static void lengths(void **state)
{
	char host[PING_MAX], out[PING_MAX], uri[PING_URI_MAX + 2];
	struct ping_form f = { 0 };
	struct addr remote;
	unsigned longest = 0;

	(void)state;
	assert_int_equal(addr_parse(&remote, SV("[2001:db8:1111:2222:3333:4444:5555:6666]:65535")), 0);
	memset(host, 'h', sizeof(host));
	memset(uri, 'u', sizeof(uri));
	for (unsigned n = 1; n < sizeof(host); n++) {
		if (ping_form_init(&f, (struct sv){ host, n }))
			continue;
		longest = n;
		for (unsigned u = 0; u < sizeof(uri); u += PING_URI_MAX / 2) {
			size_t len = ping_write(&f, (struct sv){ uri, u }, &remote, (struct sv){ uri, PING_NAME_MAX }, UINT32_MAX, out);

			assert_true(len <= PING_MAX);
			assert_memory_equal(out + len - 4, "\r\n\r\n", 4); /* nothing was left out */
			assert_memory_equal(out + 8, u ? "uuu" : "sip", 3);
		}
		assert_true(ping_write(&f, (struct sv){ uri, PING_URI_MAX + 1 }, &remote, SV(NAME), 1, out) > 0);
		assert_memory_equal(out, "OPTIONS sip:[2001:db8:1111", 26);
		ping_form_fini(&f);
	}
	assert_true(longest > 255); /* any host name */
	assert_int_equal(ping_form_init(&f, (struct sv){ host, sizeof(host) }), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_it_should_be), cmocka_unit_test(lengths) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
