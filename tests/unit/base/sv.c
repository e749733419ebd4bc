/* tests/unit/base/sv.c */
#include "base/sv.h"
#include "tests/unit/base/unit.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void equality(void **state)
{
	(void)state;
	assert_true(sv_eq(SV("abc"), SV("abc")));
	assert_false(sv_eq(SV("abc"), SV("abC")));
	assert_false(sv_eq(SV("abc"), SV("ab")));
	assert_true(sv_eq(SV(""), (struct sv){ NULL, 0 }));
	assert_true(sv_ieq(SV("Call-ID"), SV("cALL-id")));
	assert_false(sv_ieq(SV("abc"), SV("ab")));
	assert_true(sv_ieq(SV(""), (struct sv){ NULL, 0 }));
}

/* Only letters fold: `[` and `{`, CR and `-`, `@` and back-quote differ by the same bit. */
static void folding_takes_letters_only(void **state)
{
	(void)state;
	assert_false(sv_ieq(SV("["), SV("{")));
	assert_false(sv_ieq(SV("\r"), SV("-")));
	assert_false(sv_ieq(SV("@"), SV("`")));
	assert_false(sv_ieq(SV("\xc4"), SV("\xe4")));
	assert_true(sv_ieq(SV("AZ"), SV("az")));
}

static void searching(void **state)
{
	(void)state;
	assert_int_equal(sv_chr(SV("a@b"), '@'), 1);
	assert_int_equal(sv_chr(SV("ab"), '@'), 2);
	assert_int_equal(sv_chr((struct sv){ NULL, 0 }, '@'), 0);
	assert_int_equal(sv_find(SV("xx10.0.0.1yy"), SV("10.0.0.1")), 2);
	assert_int_equal(sv_find(SV("abc"), SV("abcd")), SIZE_MAX);
	assert_int_equal(sv_find(SV("abc"), SV("x")), SIZE_MAX);
	assert_int_equal(sv_find(SV("abc"), SV("")), 0);
	assert_int_equal(sv_find((struct sv){ NULL, 0 }, SV("")), 0);
	assert_int_equal(sv_find((struct sv){ "a\0b", 3 }, SV("b")), 2);
}

static void cutting(void **state)
{
	(void)state;
	assert_true(sv_eq(sv_trim(SV(" \t\r\n a b \r\n")), SV("a b")));
	assert_int_equal(sv_trim(SV(" \t ")).len, 0);
	assert_int_equal(sv_trim((struct sv){ NULL, 0 }).len, 0);
	assert_true(sv_eq(sv_skip(SV("abc"), 1), SV("bc")));
	assert_int_equal(sv_skip(SV("abc"), 4).len, 0);
	assert_null(sv_skip((struct sv){ NULL, 0 }, 4).p);
	assert_int_equal(sv_from(NULL).len, 0);
	assert_int_equal(sv_from("ab").len, 2);
}

static void numbers(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_int_equal(sv_u64(SV(""), 9, &n), -EBADMSG);
	assert_int_equal(sv_u64(SV("-1"), 9, &n), -EBADMSG);
	assert_int_equal(sv_u64(SV("1 "), 9, &n), -EBADMSG);
	assert_int_equal(sv_u64(SV("10"), 9, &n), -ERANGE);
	assert_int_equal(sv_u64(SV("18446744073709551616"), UINT64_MAX, &n), -ERANGE);
	assert_int_equal(sv_u64(SV("99999999999999999999999999"), UINT64_MAX, &n), -ERANGE);
	assert_int_equal(sv_u64(SV("99999999999999999999999999x"), UINT64_MAX, &n), -EBADMSG);
	assert_int_equal(n, 7); /* written on success only */
	assert_int_equal(sv_u64(SV("0009"), 9, &n), 0);
	assert_int_equal(n, 9);
	assert_int_equal(sv_u64(SV("18446744073709551615"), UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
}

static void globs(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {
		{ "", "", true },           { "", "a", false },          { "*", "", true },
		{ "*", "abc", true },       { "?", "", false },          { "?", "a", true },
		{ "conf-*", "conf-1", true }, { "conf-*", "conf-", true }, { "conf-*", "Conf-1", false },
		{ "*.example.com", "a.example.com", true },  { "*.example.com", "example.com", false },
		{ "a*b*c", "aXbYbZc", true }, { "a*b*c", "aXbYbZ", false }, { "a*a", "a", false },
		{ "a*a", "aa", true },      { "*a?c*", "xxabcxx", true }, { "*a?c*", "xxabxx", false },
		{ "**", "x", true },        { "a**b", "ab", true },      { "ab*", "a", false },
		{ "*ab", "aab", true },     { "*?b", "b", false },       { "*aab*", "aaaab", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (sv_glob(sv_from(cases[i].pattern), sv_from(cases[i].text)) != cases[i].fits)
			fail_msg("%s on %s", cases[i].pattern, cases[i].text);
	assert_true(sv_glob((struct sv){ NULL, 0 }, (struct sv){ NULL, 0 }));
	assert_true(sv_glob(SV("*"), (struct sv){ NULL, 0 }));
}

/* The definition, exponential and obviously right. */
static bool naive_glob(struct sv p, struct sv t)
{
	if (!p.len)
		return !t.len;
	if (p.p[0] == '*')
		return naive_glob(sv_skip(p, 1), t) || (t.len && naive_glob(p, sv_skip(t, 1)));
	return t.len && (p.p[0] == '?' || p.p[0] == t.p[0]) && naive_glob(sv_skip(p, 1), sv_skip(t, 1));
}

static void globs_as_defined(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char p[7], t[9];
		struct sv pattern = { p, any_below(&seed, sizeof(p)) };
		struct sv text = { t, any_below(&seed, sizeof(t)) };

		for (size_t i = 0; i < pattern.len; i++)
			p[i] = "ab*?"[any_below(&seed, 4)];
		for (size_t i = 0; i < text.len; i++)
			t[i] = "ab"[any_below(&seed, 2)];
		if (sv_glob(pattern, text) != naive_glob(pattern, text))
			fail_msg("%.*s on %.*s", SV_ARG(pattern), SV_ARG(text));
	}
}

/* With backtracking over each star this would take longer than the universe has lasted. */
static void hostile_glob_ends(void **state)
{
	static char text[60000];
	char pattern[2 * 40];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 1] = 'b';
	assert_false(sv_glob((struct sv){ pattern, sizeof(pattern) }, (struct sv){ text, sizeof(text) }));
}

static void numbers_written(void **state)
{
	static const uint64_t numbers[] = { 0, 9, 10, 65535, 1234567890, UINT64_MAX };
	char area[SV_DECIMAL], hex[SV_HEX], text[24];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		struct sv decimal = sv_decimal(numbers[i], area);

		snprintf(text, sizeof(text), "%" PRIu64, numbers[i]);
		assert_true(sv_eq(decimal, sv_from(text)));
		snprintf(text, sizeof(text), "%016" PRIx64, numbers[i]);
		assert_true(sv_eq(sv_hex(numbers[i], hex), sv_from(text)));
	}
}

/* Each length has its way: what is copied, what is returned, and what lies around it. */
static void short_texts_copied(void **state)
{
	char from[80], to[82];

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (char)(i + 1);
	for (size_t len = 0; len <= sizeof(from); len++) {
		memset(to, 0, sizeof(to));
		assert_ptr_equal(sv_copy(to + 1, (struct sv){ from + sizeof(from) - len, len }), to + 1 + len);
		assert_memory_equal(to + 1, from + sizeof(from) - len, len);
		assert_true(to[0] == 0 && to[len + 1] == 0);
	}
	assert_ptr_equal(sv_copy(to, (struct sv){ NULL, 0 }), to);
}

/* Every byte at every place of words of every length. */
static void capitals_are_told(void **state)
{
	static const char words[] = "INVITE, ACK, ZZTOP, BYE, CANCEL, OPTIONS";
	char text[sizeof(words)];

	(void)state;
	assert_true(sv_is_capitals(SV("")));
	for (size_t len = 1; len < sizeof(words); len++) {
		assert_true(sv_is_capitals((struct sv){ words, len }));
		for (size_t at = 0; at < len; at++)
			for (unsigned c = 0; c < 256; c++) {
				memcpy(text, words, sizeof(words));
				text[at] = (char)c;
				assert_int_equal(sv_is_capitals((struct sv){ text, len }), (c >= 'A' && c <= 'Z') || c == ',' || c == ' ');
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capitals_are_told), cmocka_unit_test(equality),         cmocka_unit_test(folding_takes_letters_only),
		cmocka_unit_test(searching),        cmocka_unit_test(cutting),
		cmocka_unit_test(numbers),          cmocka_unit_test(globs),
		cmocka_unit_test(globs_as_defined), cmocka_unit_test(hostile_glob_ends),
		cmocka_unit_test(numbers_written),  cmocka_unit_test(short_texts_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
