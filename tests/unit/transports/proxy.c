/* The PROXY protocol: whatever way it is cut, whatever is wrong in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "transports/proxy.h"
#include <errno.h>
#include <stdlib.h>

enum { BEHIND = 16 };

static const char v2_tcp4[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\2\1\xcb\0\x71\7\x30\x39\x13\xc4\3\0\0"; /* with an empty TLV */
static const char v2_tcp6[] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
			      "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x30\x39\x13\xc5";

/* From bytes of exactly that many, so that a sanitizer sees the end. */
static int parse(struct proxy *out, const char *p, size_t len)
{
	char *exact = malloc(len ? len : 1);
	int n;

	assert_non_null(exact);
	memcpy(exact, p, len);
	n = proxy_parse(out, (struct sv){ exact, len });
	free(exact);
	return n;
}

/* Every cut of it wants more; whole, with something behind it, it is what it says and no longer. */
static void takes(const char *p, size_t len, const char *remote, const char *local)
{
	char bytes[PROXY_MAX + BEHIND], text[ADDR_TEXT];
	struct proxy got;

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(parse(&got, p, cut), 0);
	memcpy(bytes, p, len);
	memset(bytes + len, '\n', BEHIND);
	assert_int_equal(parse(&got, bytes, len), len);
	assert_int_equal(parse(&got, bytes, len + BEHIND), len);
	if (!remote) {
		assert_int_equal(got.remote.family, 0);
		return;
	}
	assert_string_equal(addr_print(&got.remote, text), remote);
	assert_string_equal(addr_print(&got.local, text), local);
}

/* `at`: the number of bytes at which it is known to be wrong; one less, and it still might become one. */
static void refuses(const char *p, size_t len, size_t at)
{
	struct proxy got;

	for (size_t cut = 0; cut <= len; cut++)
		assert_int_equal(parse(&got, p, cut), cut < at ? 0 : -EBADMSG);
}

static void takes_line(const char *line, const char *remote, const char *local)
{
	takes(line, strlen(line), remote, local);
}

/* Wrong in its words, which are looked at when the line is whole. */
static void refuses_line(const char *line)
{
	refuses(line, strlen(line), strlen(line));
}

static void a_line_names_both_ends(void **state)
{
	(void)state;
	takes_line("PROXY TCP4 192.0.2.1 203.0.113.7 12345 5060\r\n", "192.0.2.1:12345", "203.0.113.7:5060");
	takes_line("PROXY TCP6 2001:db8::1 2001:db8::2 65535 5061\r\n", "[2001:db8::1]:65535", "[2001:db8::2]:5061");
	takes_line("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", "192.0.2.1:1", "192.0.2.2:2");
	takes_line("PROXY UNKNOWN\r\n", NULL, NULL);
	takes_line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", NULL, NULL);
}

static void a_line_that_is_wrong_is_refused(void **state)
{
	static const char *const lines[] = {
		"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
		"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 100000 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 0 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 0\r\n", "PROXY TCP4 0.0.0.0 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1:7 192.0.2.2 1 2\r\n", "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
		"PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", "PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n", "PROXY TCP4 example 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		refuses_line(lines[i]);
	refuses("PROXYTCP4", 9, 6);
	refuses("OPTIONS sip:a SIP/2.0\r\n", 23, 1);
	refuses("PPROXY TCP4", 11, 2);
}

/* Whoever never ends the line is refused by its length. */
static void a_line_has_its_length(void **state)
{
	char line[PROXY_V1_MAX + 2];

	(void)state;
	memset(line, ' ', sizeof line);
	memcpy(line, "PROXY UNKNOWN", 13);
	memcpy(line + PROXY_V1_MAX - 2, "\r\n", 2);
	takes(line, PROXY_V1_MAX, NULL, NULL);
	memset(line, ' ', sizeof line);
	memcpy(line, "PROXY UNKNOWN", 13);
	memcpy(line + PROXY_V1_MAX - 1, "\r\n", 2);
	refuses(line, PROXY_V1_MAX + 1, PROXY_V1_MAX);
}

static void bytes_name_both_ends(void **state)
{
	static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0", strange[] = "\r\n\r\n\0\r\nQUIT\n\x20\xff\0\2xx",
			  unspecified[] = "\r\n\r\n\0\r\nQUIT\n\x21\x00\0\3xyz";

	(void)state;
	takes(v2_tcp4, sizeof v2_tcp4 - 1, "192.0.2.1:12345", "203.0.113.7:5060");
	takes(v2_tcp6, sizeof v2_tcp6 - 1, "[2001:db8::1]:12345", "[2001:db8::2]:5061");
	takes(local, sizeof local - 1, NULL, NULL);
	takes(strange, sizeof strange - 1, NULL, NULL);
	takes(unspecified, sizeof unspecified - 1, NULL, NULL);
}

/* One byte of it changed to something else. */
static void twisted(size_t at, char to, size_t known_at)
{
	char p[sizeof v2_tcp4];

	memcpy(p, v2_tcp4, sizeof p);
	p[at] = to;
	refuses(p, known_at > sizeof p - 1 ? known_at : sizeof p - 1, known_at);
}

static void bytes_that_are_wrong_are_refused(void **state)
{
	(void)state;
	twisted(4, 1, 5);      /* the signature */
	twisted(11, 'x', 12);
	twisted(12, 0x11, 13); /* version 1 */
	twisted(12, 0x22, 13); /* a command nobody knows */
	twisted(13, 0x12, 31); /* datagrams */
	twisted(13, 0x41, 31);
	twisted(13, 0x21, 31); /* too short for IPv6 */
	twisted(15, 11, 27);   /* too short for IPv4 */
	twisted(14, 4, 16);    /* longer than any */
}

static void bytes_without_a_port_or_address_are_refused(void **state)
{
	char p[sizeof v2_tcp4];

	(void)state;
	memcpy(p, v2_tcp4, sizeof p);
	p[24] = p[25] = 0;
	refuses(p, sizeof p - 1, sizeof p - 1);
	memcpy(p, v2_tcp4, sizeof p);
	memset(p + 16, 0, 4);
	refuses(p, sizeof p - 1, sizeof p - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_names_both_ends),
		cmocka_unit_test(a_line_that_is_wrong_is_refused),
		cmocka_unit_test(a_line_has_its_length),
		cmocka_unit_test(bytes_name_both_ends),
		cmocka_unit_test(bytes_that_are_wrong_are_refused),
		cmocka_unit_test(bytes_without_a_port_or_address_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
