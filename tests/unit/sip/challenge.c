/* Unit tests of sip/challenge.h: how often the same challenge is answered. What carriers and servers see is in flow-trunkauth. */
#include "sip/challenge.h"
#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define HEAD \
	"INVITE sip:b@carrier.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n" \
	"To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
#define OURS "Proxy-Authorization: Digest username=\"me\", realm=\"r\", nonce=\"n\", uri=\"sip:b@carrier.example\", response=\"0\""

static unsigned tries(const char *line, bool is_stale)
{
	const struct challenge c = { .realm = SV("r"), .nonce = SV("m"), .is_proxy = true, .is_stale = is_stale, .has_qop = true };
	struct view_fault fault;
	char text[2048];
	struct buf *b;
	struct view v;
	unsigned try;

	snprintf(text, sizeof(text), HEAD "%s%s\r\n", line, *line ? "\r\n" : "");
	b = buf_copy(sv_from(text));
	assert_non_null(b);
	assert_int_equal(view_scan(&v, b->data, b->len, false, &fault), 0);
	try = challenge_try(&c, &v, SV("me"));
	buf_put(b);
	return try;
}

/* §22.3: who saw our credentials and did not take them gets them once more at most, and only for a new nonce. */
static void answers_in_a_row(void **state)
{
	(void)state;
	assert_int_equal(tries("", false), 1);
	assert_int_equal(tries(OURS, false), 0);
	assert_int_equal(tries(OURS ", cnonce=\"10123456789abcdef\"", true), 2);
	assert_int_equal(tries(OURS ", cnonce=\"20123456789abcdef\"", true), 0);
	assert_int_equal(tries(OURS, true), 0); /* which one it was cannot be told */
}

static void of_somebody_else(void **state)
{
	(void)state;
	assert_int_equal(tries("Proxy-Authorization: Digest username=\"me\", realm=\"other\", nonce=\"n\"", false), 1);
	assert_int_equal(tries("Proxy-Authorization: Digest username=\"you\", realm=\"r\", nonce=\"n\"", false), 1);
	assert_int_equal(tries("Proxy-Authorization: Basic bWU6eW91", false), 1);
	assert_int_equal(tries("Authorization: Digest username=\"me\", realm=\"r\", nonce=\"n\"", false), 1);
}

/* Ours, as it would be if a value of it broke the line: answered again it would break again, and so on as long as the call lasts. */
static void what_cannot_be_read(void **state)
{
	(void)state;
	assert_int_equal(tries("Proxy-Authorization: Digest username=\"me\", realm=\"r\", nonce=\"n\", uri=\"tel:+4930\\\", response=\"0\"", false), 0);
	assert_int_equal(tries("Proxy-Authorization: Digest username=\"me\", realm=\"r\", nonce=\"n\", uri=\"tel:+4930\\\", response=\"0\"", true), 0);
	assert_int_equal(tries("Proxy-Authorization: Digest username=\"me\", nonce=\"n\"", true), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_in_a_row),
		cmocka_unit_test(of_somebody_else),
		cmocka_unit_test(what_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
