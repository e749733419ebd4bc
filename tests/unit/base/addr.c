/* tests/unit/base/addr.c */
#include "base/addr.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <netinet/in.h>

static void reads_and_prints(void **state)
{
	static const struct {
		const char *text, *ip, *full; /* full NULL: refused */
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1:0" },
		{ "192.0.2.1:5060", "192.0.2.1", "192.0.2.1:5060" },
		{ "127.0.0.1:0", "127.0.0.1", "127.0.0.1:0" },
		{ "2001:db8::1", "2001:db8::1", "[2001:db8::1]:0" },
		{ "[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]:0" },
		{ "[2001:db8::1]:65535", "2001:db8::1", "[2001:db8::1]:65535" },
		{ "::", "::", "[::]:0" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:0" },
		{ "[::ffff:c000:201]:5060", "192.0.2.1", "192.0.2.1:5060" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888",
		  "[1111:2222:3333:4444:5555:6666:7777:8888]:0" },
		{ "2001:db8:::192.0.2.1", "2001:db8::c000:201", "[2001:db8::c000:201]:0" }, /* RFC 5118 §4.10 */
		{ "2001:db8::::192.0.2.1", NULL, NULL },
		{ "2001:db8:::1", NULL, NULL },
		{ "", NULL, NULL },
		{ "example.com", NULL, NULL },
		{ "192.0.2", NULL, NULL },
		{ "192.0.2.256", NULL, NULL },
		{ "192.0.2.01", NULL, NULL },
		{ " 192.0.2.1", NULL, NULL },
		{ "192.0.2.1:", NULL, NULL },
		{ "192.0.2.1:65536", NULL, NULL },
		{ "192.0.2.1:-1", NULL, NULL },
		{ "192.0.2.1:000080", NULL, NULL },
		{ "[192.0.2.1]:5060", NULL, NULL },
		{ "[2001:db8::1", NULL, NULL },
		{ "[2001:db8::1]5060", NULL, NULL },
		{ "[2001:db8::1]:", NULL, NULL },
		{ "2001:db8::1]:5060", NULL, NULL },
		{ "[]", NULL, NULL },
		{ "[", NULL, NULL },
		{ "fe80::1%eth0", NULL, NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NULL, NULL },
	};
	char buf[ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct addr a = { .port = 77 };
		int err = addr_parse(&a, sv_from(cases[i].text));

		if (err != (cases[i].full ? 0 : -EBADMSG))
			fail_msg("%s: %d", cases[i].text, err);
		if (err) {
			assert_int_equal(a.port, 77);
			continue;
		}
		assert_string_equal(addr_print(&a, buf), cases[i].full);
		assert_string_equal(addr_print_ip(&a, buf), cases[i].ip);
	}
	assert_int_equal(addr_parse(&(struct addr){ 0 }, (struct sv){ "1.2.3.4\0x", 9 }), -EBADMSG);
	assert_int_equal(addr_parse(&(struct addr){ 0 }, (struct sv){ NULL, 0 }), -EBADMSG);
	assert_string_equal(addr_print(&(struct addr){ 0 }, buf), "none:0");
}

static void every_octet(void **state)
{
	char buf[ADDR_TEXT];

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		struct addr a = { .ip = { (uint8_t)i, 1, 20, (uint8_t)(255 - i) }, .family = 4, .port = (uint16_t)(i * 257) }, back;

		assert_int_equal(addr_parse(&back, sv_from(addr_print(&a, buf))), 0);
		assert_true(addr_eq(&a, &back));
		assert_int_equal(addr_parse(&back, sv_from(addr_print_ip(&a, buf))), 0);
		assert_true(addr_eq_ip(&a, &back));
	}
}

static void comparing(void **state)
{
	struct addr a, b, mapped;

	(void)state;
	assert_int_equal(addr_parse(&a, SV("192.0.2.1:5060")), 0);
	assert_int_equal(addr_parse(&b, SV("192.0.2.1:5061")), 0);
	assert_int_equal(addr_parse(&mapped, SV("[::ffff:192.0.2.1]:5060")), 0);
	assert_false(addr_eq(&a, &b));
	assert_true(addr_eq_ip(&a, &b));
	assert_true(addr_eq(&a, &mapped));
	assert_memory_equal(&a, &mapped, sizeof(a)); /* bytes can be hashed */
	b.scope = 3;
	assert_false(addr_eq_ip(&a, &b));
	assert_false(addr_is_any(&a));
	assert_int_equal(addr_parse(&a, SV("0.0.0.0")), 0);
	assert_true(addr_is_any(&a));
	assert_int_equal(addr_parse(&b, SV("::")), 0);
	assert_true(addr_is_any(&b));
	assert_false(addr_eq_ip(&a, &b));
	assert_false(addr_is_any(&(struct addr){ 0 }));
}

static void sockaddr_round_trip(void **state)
{
	static const char *const texts[] = { "192.0.2.1:5060", "[2001:db8::1]:5061" };
	static const socklen_t lengths[] = { sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6) };
	struct sockaddr_storage ss;
	struct addr a, back;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(addr_parse(&a, sv_from(texts[i])), 0);
		a.scope = i ? 7 : 0;
		assert_int_equal(addr_to_sockaddr(&a, &ss), lengths[i]);
		assert_int_equal(addr_from_sockaddr(&back, (struct sockaddr *)&ss), 0);
		assert_true(addr_eq(&a, &back));
	}
	assert_int_equal(ss.ss_family, AF_INET6);
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_scope_id, 7);
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_port, htons(5061));
	ss.ss_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr(&back, (struct sockaddr *)&ss), -EAFNOSUPPORT);
	assert_int_equal(addr_to_sockaddr(&(struct addr){ 0 }, &ss), 0);
}

static void mapped_sockaddr_is_ipv4(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(5060), .sin6_scope_id = 2 };
	struct addr a, want;

	(void)state;
	memcpy(in6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in6), 0);
	assert_int_equal(addr_parse(&want, SV("192.0.2.1:5060")), 0);
	assert_true(addr_eq(&a, &want));
}

static void prefixes(void **state)
{
	static const struct {
		const char *prefix, *addr;
		int has; /* -1: the prefix is refused */
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", 1 },     { "10.0.0.0/8", "11.0.0.0", 0 },
		{ "10.1.2.3/8", "10.9.9.9", 1 },       { "10.0.0.0/9", "10.127.255.255", 1 },
		{ "10.0.0.0/9", "10.128.0.0", 0 },     { "192.0.2.1", "192.0.2.1:5060", 1 },
		{ "192.0.2.1", "192.0.2.2", 0 },       { "0.0.0.0/0", "203.0.113.9", 1 },
		{ "0.0.0.0/0", "::1", 0 },             { "::/0", "::1", 1 },
		{ "::/0", "192.0.2.1", 0 },            { "2001:db8::/33", "2001:db8:7fff::1", 1 },
		{ "2001:db8::/33", "2001:db8:8000::", 0 }, { "::ffff:10.0.0.0/104", "10.1.1.1", 1 },
		{ "::ffff:10.0.0.0/104", "11.1.1.1", 0 },  { "::ffff:10.0.0.0/95", "10.1.1.1", -1 },
		{ "10.0.0.0/33", "10.0.0.0", -1 },     { "2001:db8::/129", "::", -1 },
		{ "10.0.0.0/", "10.0.0.0", -1 },       { "10.0.0.0/8x", "10.0.0.0", -1 },
		{ "10.0.0.0/0008", "10.0.0.0", -1 },   { "10.0.0.0:5060/8", "10.0.0.0", -1 },
		{ "[2001:db8::]/32", "::", -1 },       { "/8", "::", -1 },
		{ "", "::", -1 },                      { "example.com/8", "::", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct prefix p;
		struct addr a;
		int err = prefix_parse(&p, sv_from(cases[i].prefix));

		if (err != (cases[i].has < 0 ? -EBADMSG : 0))
			fail_msg("%s: %d", cases[i].prefix, err);
		assert_int_equal(addr_parse(&a, sv_from(cases[i].addr)), 0);
		if (!err && prefix_has(&p, &a) != cases[i].has)
			fail_msg("%s in %s", cases[i].addr, cases[i].prefix);
	}
	struct prefix all;
	assert_int_equal(prefix_parse(&all, SV("::/0")), 0);
	assert_false(prefix_has(&all, &(struct addr){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_prints),          cmocka_unit_test(comparing),
		cmocka_unit_test(every_octet),
		cmocka_unit_test(sockaddr_round_trip),       cmocka_unit_test(mapped_sockaddr_is_ipv4),
		cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
