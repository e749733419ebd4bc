/* Unit tests of sip/multipart.h: where parts begin and end (RFC 2046 §5.1). */
#include "sip/multipart.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TYPE SV("multipart/related; boundary=abc")

static void expect(struct sv got, const char *wanted)
{
	assert_int_equal(got.len, strlen(wanted));
	assert_memory_equal(got.p, wanted, got.len);
}

static void parts(void **state)
{
	struct multipart m;
	struct part p;

	(void)state;
	assert_true(multipart_begin(&m, SV("Multipart/Mixed;x=\"a;boundary=no\";boundary=\"a b\""),
	                            SV("preamble\r\n--a b\r\nContent-Type: Text/Plain; x=y\r\nX: 1\r\n\r\none\r\n\r\n--a b \r\n\r\n"
	                               "two\n--a b\r\n--a b--\r\nepilogue")));
	assert_true(multipart_next(&m, &p));
	expect(p.headers, "Content-Type: Text/Plain; x=y\r\nX: 1");
	expect(p.type, "Text/Plain");
	expect(p.body, "one\r\n");
	assert_false(p.is_encoded);
	assert_true(multipart_next(&m, &p));
	expect(p.headers, "");
	expect(p.type, "");
	expect(p.body, "two");
	assert_true(multipart_next(&m, &p));
	expect(p.body, "");
	assert_false(multipart_next(&m, &p));
	assert_true(m.is_over);
	assert_false(multipart_next(&m, &p));
}

/* A boundary that another one begins with. */
static void boundaries_alike(void **state)
{
	struct multipart m;
	struct part p;

	(void)state;
	assert_true(multipart_begin(&m, TYPE, SV("--abc\r\n\r\nx\r\n--abcd\r\ny\r\n--abc--")));
	assert_true(multipart_next(&m, &p));
	expect(p.body, "x\r\n--abcd\r\ny");
	assert_false(multipart_next(&m, &p));
	assert_true(m.is_over);
}

static void encoded(void **state)
{
	static const struct {
		const char *header;
		bool is_encoded;
	} headers[] = { { "Content-Transfer-Encoding: base64", true }, { "content-transfer-encoding:quoted-printable", true },
		        { "Content-Transfer-Encoding: 8bit", false }, { "Content-Transfer-Encoding: BINARY", false },
		        { "Content-Length: 3", true } };

	(void)state;
	for (unsigned i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		struct multipart m;
		struct part p;
		char body[128];

		snprintf(body, sizeof(body), "--abc\r\n%s\r\n\r\nx\r\n--abc--", headers[i].header);
		assert_true(multipart_begin(&m, TYPE, sv_from(body)));
		assert_true(multipart_next(&m, &p));
		assert_int_equal(p.is_encoded, headers[i].is_encoded);
	}
}

static void not_multipart(void **state)
{
	static const char *const types[] = { "", "multipart/", "multipart/mixed", "multipart/mixed;boundary", "multipart/mixed;boundary=\"\"",
		                             "text/plain;boundary=abc",
		                             "multipart/mixed;boundary=12345678901234567890123456789012345678901234567890123456789012345678901" };
	struct multipart m;

	(void)state;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		assert_false(multipart_begin(&m, sv_from(types[i]), SV("--abc\r\n\r\n\r\n--abc--")));
}

/* Cut before its closing delimiter it is never over, wherever. */
static void cut_anywhere(void **state)
{
	static const char body[] = "--abc\r\nContent-Type: a/b\r\n\r\nx\r\n--abc--";

	(void)state;
	for (size_t len = 0; len < sizeof(body); len++) {
		char *copy = malloc(len + 1);
		struct multipart m;
		struct part p;

		assert_non_null(copy);
		memcpy(copy, body, len);
		assert_true(multipart_begin(&m, TYPE, (struct sv){ copy, len }));
		while (multipart_next(&m, &p))
			;
		assert_int_equal(m.is_over, len == sizeof(body) - 1);
		free(copy);
		if (len == sizeof(body) - 1)
			break;
	}
}

static void too_many(void **state)
{
	char body[MULTIPART_PARTS_MAX * 16 + 64] = "";

	(void)state;
	for (unsigned n = MULTIPART_PARTS_MAX; n <= MULTIPART_PARTS_MAX + 1; n++) {
		struct multipart m;
		struct part p;
		unsigned seen = 0;

		*body = '\0';
		for (unsigned i = 0; i < n; i++)
			strcat(body, "--abc\r\n\r\nx\r\n");
		strcat(body, "--abc--");
		assert_true(multipart_begin(&m, TYPE, sv_from(body)));
		while (multipart_next(&m, &p))
			seen++;
		assert_int_equal(seen, MULTIPART_PARTS_MAX);
		assert_int_equal(m.is_over, n == MULTIPART_PARTS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts),         cmocka_unit_test(boundaries_alike), cmocka_unit_test(encoded),
		cmocka_unit_test(not_multipart), cmocka_unit_test(cut_anywhere),     cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
