/* tests/unit/base/log_line.c */
#include "base/log_line.h"
#include "tests/unit/base/json_check.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { JULY = 1782864000 }; /* 2026-07-01T00:00:00Z */

static char last[LOG_LINE + 1];

static size_t make(enum log_format format, uint64_t ms, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static size_t make(enum log_format format, uint64_t ms, const char *fmt, ...)
{
	char *exact = malloc(LOG_LINE); /* ASan watches its end */
	va_list args;
	size_t len;

	assert_non_null(exact);
	va_start(args, fmt);
	len = log_line(exact, format, LOG_INFO, ms, "ev", fmt, args);
	va_end(args);
	assert_in_range(len, 1, LOG_LINE);
	memcpy(last, exact, len);
	last[len] = '\0';
	free(exact);
	assert_int_equal(last[len - 1], '\n');
	assert_int_equal(strlen(last), len);
	assert_ptr_equal(strchr(last, '\n'), last + len - 1);
	return len;
}

#define LOGFMT "ts=2026-07-01T00:00:00.000Z level=info event=ev"
#define JSON "{\"ts\":\"2026-07-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"ev\""
#define assert_logfmt(want, ...) \
	do { \
		make(LOG_LOGFMT, JULY * 1000ULL, __VA_ARGS__); \
		assert_string_equal(last, LOGFMT want "\n"); \
	} while (0)
#define assert_json(want, ...) \
	do { \
		make(LOG_JSON, JULY * 1000ULL, __VA_ARGS__); \
		assert_string_equal(last, JSON want "}\n"); \
	} while (0)

static void pairs(void **state)
{
	(void)state;
	assert_logfmt(" call=ab12 pool=media setup_ms=35", "call=%s pool=%s setup_ms=%u", "ab12", "media", 35U);
	assert_json(",\"call\":\"ab12\",\"setup_ms\":35", "call=%s setup_ms=%u", "ab12", 35U);
	assert_logfmt("", " ");
	assert_logfmt(" a=1 b=2", "  a=1   b=2 ");
	assert_json(",\"a\":\"1\",\"b\":-2", "a=1 b=%d", -2);
	assert_logfmt(" to=10.0.0.1:5060", "to=%s:%u", "10.0.0.1", 5060U);
	assert_json(",\"to\":\"10.0.0.1:5060\"", "to=%s:%u", "10.0.0.1", 5060U);
}

/* What is no pair is still told, under a key of ours. */
static void words_without_a_key(void **state)
{
	(void)state;
	assert_logfmt(" msg=started", "started");
	assert_logfmt(" msg=\"two words\" n=1", "%s n=%d", "two words", 1);
	assert_logfmt(" msg=\"a=b\"", "%s=b", "a");
	assert_logfmt(" msg=\"=x\"", "=x");
}

static void literal_quotes_hold_spaces(void **state)
{
	(void)state;
	assert_logfmt(" why=\"no route to x\" n=1", "why=\"no route to %s\" n=%d", "x", 1);
	assert_json(",\"why\":\"no route to x\",\"n\":1", "why=\"no route to %s\" n=%d", "x", 1);
	assert_logfmt(" why=\"open end\"", "why=\"open end");
	assert_logfmt(" why=\"\" n=1", "why=\"\" n=1");
}

static void integers(void **state)
{
	(void)state;
	assert_logfmt(" a=-1 b=255 c=-32768 d=65535", "a=%hhd b=%hhu c=%hd d=%hu", (signed char)-1, (unsigned char)255,
		      (short)-32768, (unsigned short)65535);
	assert_logfmt(" a=-9223372036854775808 b=18446744073709551615", "a=%ld b=%lu", INT64_MIN, UINT64_MAX);
	assert_logfmt(" a=-1 b=2 c=-3 d=4", "a=%lld b=%llu c=%jd d=%ju", -1LL, 2ULL, (intmax_t)-3, (uintmax_t)4);
	assert_logfmt(" a=-1 b=2 c=-3", "a=%zd b=%zu c=%td", (ssize_t)-1, (size_t)2, (ptrdiff_t)-3);
	assert_logfmt(" a=ff b=FF c=17 d=0000002a", "a=%x b=%X c=%o d=%08x", 255U, 255U, 15U, 42U);
	assert_logfmt(" a=\"    7\" b=007 c=\"   8\" d=009", "a=%5d b=%.3d c=%*d d=%.*d", 7, 7, 4, 8, 3, 9);
	assert_logfmt(" a=c b=% c=0x10", "a=%c b=%% c=%p", 'c', (void *)16);
}

static void json_numbers_are_valid(void **state)
{
	(void)state;
	assert_json(",\"a\":\"ff\",\"b\":\"007\",\"c\":0,\"d\":-5", "a=%x b=%03d c=%u d=%i", 255U, 7, 0U, -5);
	assert_json(",\"a\":1.50,\"b\":\"nan\",\"c\":\"inf\",\"d\":\"12%\"", "a=%.2f b=%f c=%g d=%d%%", 1.5,
		    (double)NAN, (double)INFINITY, 12);
	assert_json(",\"a\":\"    7\",\"b\":\"1x\",\"c\":\"\"", "a=%5d b=%dx c=%s", 7, 1, "");
	assert_json(",\"a\":1.250000,\"b\":5e+20,\"c\":1.0e+00", "a=%Lf b=%g c=%.1e", 1.25L, 5e20, 1.0);
}

static void strings(void **state)
{
	const char unended[3] = { 'a', 'b', 'c' };
	const char *volatile nothing = NULL; /* volatile: the compiler would object */

	(void)state;
	assert_logfmt(" a=ab b=abc c=\"\" d=abc", "a=%.2s b=%.*s c=%.*s d=%s", "abcdef", 3, unended, 0, nothing,
		      "abc");
	assert_logfmt(" a=\"\"", "a=%s", nothing);
	assert_logfmt(" a=abc", "a=%.*s", -1, "abc");
	assert_logfmt(" a=abc b=1", "a=%-20s b=%d", "abc", 1);
	errno = ENOENT;
	assert_logfmt(" error=\"No such file or directory\"", "error=%m");
}

/* A peer's bytes stay inside their value. */
static void nothing_can_be_forged(void **state)
{
	(void)state;
	assert_logfmt(" user=\"x level=error\"", "user=%s", "x level=error");
	assert_logfmt(" user=\"a\\\" b=\\\"c\"", "user=%s", "a\" b=\"c");
	assert_logfmt(" user=\"a\\nts=1\"", "user=%s", "a\nts=1");
	assert_logfmt(" user=\"a\\\\\"", "user=%s", "a\\");
	assert_logfmt(" user=\"\\u001b[2J\"", "user=%s", "\x1b[2J");
	assert_logfmt(" user=\"\\u009b2J\" n=1", "user=%s n=%d", "\xc2\x9b" "2J", 1);
	assert_logfmt(" user=%s%n", "user=%s", "%s%n");
	assert_logfmt(" user=\"\\n\"", "user=%c", '\n');
	assert_json(",\"user\":\"a\\\",\\\"b\\\":\\\"c\"", "user=%s", "a\",\"b\":\"c");
}

static void times(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 951782399999, "2000-02-28T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 951868800000, "2000-03-01T00:00:00.000Z" },
		{ 1735689599001, "2024-12-31T23:59:59.001Z" },
		{ 1735689600000, "2025-01-01T00:00:00.000Z" },
		{ 4107542400000, "2100-03-01T00:00:00.000Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		make(LOG_LOGFMT, cases[i].ms, "a=1");
		assert_memory_equal(last + 3, cases[i].text, 24);
	}
	make(LOG_LOGFMT, UINT64_MAX, "a=1");
}

static void every_day_for_centuries(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 200000; day += 13) {
		time_t t = (time_t)day * 86400 + 3661;
		struct tm tm;
		char want[32];

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
		make(LOG_LOGFMT, (uint64_t)t * 1000, " ");
		assert_memory_equal(last + 3, want, 19);
	}
}

static void long_lines_are_cut_and_say_so(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	make(LOG_LOGFMT, 0, "a=1 b=%s c=2", text);
	assert_non_null(strstr(last, "xxx\" cut=true\n"));
	assert_null(strstr(last, "c=2"));
	assert_true(strlen(last) > LOG_LINE - 20);
	make(LOG_JSON, 0, "a=1 b=%s c=%d", text, 2);
	assert_non_null(strstr(last, "xxx\",\"cut\":true}\n"));
	for (size_t n = 880; n < 960; n++) { /* the end of the line within each part of what follows */
		make(LOG_JSON, 0, "b=%.*s c=%d dd=%s", (int)n, text, 12345, "\n\n");
		assert_true(is_json((struct sv){ last, strlen(last) - 1 }));
		assert_true(!strstr(last, "\"c\"") || strstr(last, "\"c\":12345")); /* no half number */
		assert_true(strstr(last, "\\n\\n\"}\n") || strstr(last, "\"cut\":true}\n"));
		make(LOG_LOGFMT, 0, "b=%.*s c=%d dd=%s", (int)n, text, 12345, "\n\n");
		assert_true(!strstr(last, " c=") || strstr(last, " c=12345"));
		assert_true(strstr(last, "\\n\\n\"\n") || strstr(last, " cut=true\n"));
	}
}

/* Reads `key=value` or `key="..."`; returns what is behind it, or NULL. */
static const char *skip_pair(const char *p, const char *key)
{
	size_t n = strlen(key);

	if (strncmp(p, key, n) || p[n] != '=')
		return NULL;
	p += n + 1;
	if (*p == '"') {
		for (p++; *p && *p != '"'; p++)
			p += *p == '\\';
		return *p ? p + 1 : NULL;
	}
	for (; *p && !strchr(" \n", *p); p++)
		if (strchr("\"\\=", *p))
			return NULL;
	return p;
}

static void any_bytes_stay_in_their_value(void **state)
{
	static const char *const keys[] = { "ts", "level", "event", "a", "b" };
	static const char nasty[] = " \"\\=\n\r%{},:\x7f\xc2\x85\xe2"; /* its NUL too */
	uint64_t seed = 81;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char bytes[33];
		size_t len = any_below(&seed, sizeof(bytes));
		const char *p = last;

		for (size_t i = 0; i < len; i++)
			bytes[i] = any_below(&seed, 2) ? nasty[any_below(&seed, COUNT_OF(nasty))] : (char)any(&seed);
		bytes[len] = '\0';
		make(LOG_LOGFMT, 0, "a=%s b=%.*s", bytes, (int)len, bytes);
		for (size_t i = 0; i < COUNT_OF(keys); i++) {
			p = skip_pair(p, keys[i]);
			assert_non_null(p);
			assert_true(*p++ == (i + 1 < COUNT_OF(keys) ? ' ' : '\n'));
		}
		make(LOG_JSON, 0, "a=%s b=%.*s", bytes, (int)len, bytes);
		assert_true(is_json((struct sv){ last, strlen(last) - 1 }));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(words_without_a_key),
		cmocka_unit_test(literal_quotes_hold_spaces),
		cmocka_unit_test(integers),
		cmocka_unit_test(json_numbers_are_valid),
		cmocka_unit_test(strings),
		cmocka_unit_test(nothing_can_be_forged),
		cmocka_unit_test(times),
		cmocka_unit_test(every_day_for_centuries),
		cmocka_unit_test(long_lines_are_cut_and_say_so),
		cmocka_unit_test(any_bytes_stay_in_their_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
