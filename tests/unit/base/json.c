/* tests/unit/base/json.c */
#include "base/json.h"
#include "tests/unit/base/json_check.h"
#include "tests/unit/base/unit.h"

static void assert_text(const struct json *j, const char *want)
{
	struct sv v = json_done(j);

	if (!sv_eq(v, sv_from(want)))
		fail_msg("got %.*s, want %s", SV_ARG(v), want);
}

static void nested(void **state)
{
	char area[400];
	struct json j;

	(void)state;
	json_init(&j, area, sizeof(area));
	json_object(&j);
	json_member_str(&j, "pool", SV("media"));
	json_member_u64(&j, "max", UINT64_MAX);
	json_member_i64(&j, "min", INT64_MIN);
	json_member_bool(&j, "up", true);
	json_key(&j, "none");
	json_null(&j);
	json_key(&j, "empty");
	json_object(&j);
	json_object_end(&j);
	json_key(&j, "list");
	json_array(&j);
	json_u64(&j, 1);
	json_array(&j);
	json_array_end(&j);
	json_bool(&j, false);
	json_raw(&j, SV("{\"a\":1}"));
	json_str(&j, SV("x"));
	json_array_end(&j);
	json_member_i64(&j, "last", -1);
	json_object_end(&j);
	assert_text(&j, "{\"pool\":\"media\",\"max\":18446744073709551615,\"min\":-9223372036854775808,\"up\":true,"
			"\"none\":null,\"empty\":{},\"list\":[1,[],false,{\"a\":1},\"x\"],\"last\":-1}");
	assert_true(is_json(json_done(&j)));
}

static void one_string(const char *bytes, size_t len, const char *want)
{
	char area[200];
	struct json j;

	json_init(&j, area, sizeof(area));
	json_str(&j, (struct sv){ bytes, len });
	assert_text(&j, want);
}

static void strings(void **state)
{
	(void)state;
	one_string(NULL, 0, "\"\"");
	one_string("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
	one_string("\r\n\t\0\x1f\x7f", 6, "\"\\r\\n\\t\\u0000\\u001f\\u007f\"");
	one_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\x9e", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\x9e\"");
	one_string("caf\xe9", 4, "\"caf\\u00e9\"");              /* Latin-1 */
	one_string("\xc0\xaf", 2, "\"\\u00c0\\u00af\"");            /* overlong */
	one_string("\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\""); /* a surrogate */
	one_string("\xf4\x90\x80\x80", 4, "\"\\u00f4\\u0090\\u0080\\u0080\"");
	one_string("\xe2\x82", 2, "\"\\u00e2\\u0082\"");            /* cut short */
	one_string("\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", 8, "\"\\u0085\\u2028\\u2029\"");
}

static void utf8_as_defined(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "a", 1 },            { "\x7f", 1 },         { "\x80", 0 },         { "\xc1\x80", 0 },
		{ "\xc2\x80", 2 },     { "\xdf\xbf", 2 },     { "\xdf\xc0", 0 },     { "\xe0\x9f\xbf", 0 },
		{ "\xe0\xa0\x80", 3 }, { "\xed\x9f\xbf", 3 }, { "\xed\xa0\x80", 0 }, { "\xef\xbf\xbf", 3 },
		{ "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 }, { "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 }, { "\xff", 0 }, { "\xf0\x90\x80x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (utf8_len(sv_from(cases[i].bytes)) != cases[i].len)
			fail_msg("case %zu", i);
	assert_int_equal(utf8_len((struct sv){ NULL, 0 }), 0);
}

/* Whatever a peer sends, the result parses. */
static void any_bytes_make_valid_json(void **state)
{
	uint64_t seed = 71;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char bytes[24], area[300];
		size_t len = any_below(&seed, sizeof(bytes) + 1);
		struct json j;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(any_below(&seed, 3) ? 0x80 + any_below(&seed, 128) : any_below(&seed, 128));
		json_init(&j, area, sizeof(area));
		json_object(&j);
		json_member_str(&j, "v", (struct sv){ bytes, len });
		json_object_end(&j);
		assert_true(is_json(json_done(&j)));
	}
}

static void small_document(struct json *j)
{
	json_object(j);
	json_member_str(j, "a", SV("b\n\xe9"));
	json_key(j, "n");
	json_array(j);
	json_u64(j, 12);
	json_array_end(j);
	json_object_end(j);
}

/* In every area that is too small: no byte behind it is touched, and the caller is told. */
static void overflow_is_remembered(void **state)
{
	struct json j;
	char area[100];
	size_t need;

	(void)state;
	json_init(&j, area, sizeof(area));
	small_document(&j);
	need = json_done(&j).len;
	assert_true(need > 20);
	for (size_t size = 0; size < need; size++) {
		char *exact = malloc(size ? size : 1); /* ASan watches its end */

		json_init(&j, exact, size);
		small_document(&j);
		assert_true(j.overflow);
		assert_null(json_done(&j).p);
		free(exact);
	}
	json_init(&j, area, 4);
	json_str(&j, SV("\n\n")); /* one escape and the quotes would fit */
	assert_null(json_done(&j).p);
	json_init(&j, area, need);
	small_document(&j);
	assert_int_equal(json_done(&j).len, need);
}

static void element_can_be_taken_back(void **state)
{
	char area[20];
	struct json j, before = { 0 };

	(void)state;
	json_init(&j, area, sizeof(area));
	json_array(&j);
	j.size--; /* room for the end */
	for (uint64_t i = 100; !j.overflow; i++) {
		before = j;
		json_u64(&j, i);
	}
	j = before;
	j.size++;
	json_array_end(&j);
	assert_text(&j, "[100,101,102,103]");
}

static void unbalanced_is_nothing(void **state)
{
	char area[50];
	struct json j;

	(void)state;
	json_init(&j, area, sizeof(area));
	assert_null(json_done(&j).p); /* empty */
	json_object(&j);
	assert_null(json_done(&j).p);
	json_object_end(&j);
	assert_non_null(json_done(&j).p);
	json_object_end(&j);
	assert_null(json_done(&j).p);
}

/* Plain bytes are copied in runs: each byte in each place of one looks as it does alone. */
static void bytes_look_the_same_in_every_place(void **state)
{
	char text[20], out[32], alone[8], want[32];
	size_t taken;

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof(text); at++) {
			char byte = (char)c;
			size_t n = json_escape(alone, sizeof(alone), (struct sv){ &byte, 1 }, &taken);

			memset(text, 'a', sizeof(text));
			text[at] = byte;
			memset(want, 'a', sizeof(want));
			memcpy(want + at, alone, n);
			assert_int_equal(json_escape(out, sizeof(out), (struct sv){ text, sizeof(text) }, &taken), sizeof(text) - 1 + n);
			assert_int_equal(taken, sizeof(text));
			assert_memory_equal(out, want, sizeof(text) - 1 + n);
		}
}

static void escape_stops_between_characters(void **state)
{
	char out[16];
	size_t taken;

	(void)state;
	assert_int_equal(json_escape(out, 3, SV("a\"b"), &taken), 3);
	assert_int_equal(taken, 2);
	assert_int_equal(json_escape(out, 2, SV("a\"b"), &taken), 1);
	assert_int_equal(taken, 1);
	assert_int_equal(json_escape(out, 3, SV("a\xe2\x82\xac"), &taken), 1);
	assert_int_equal(taken, 1);
	assert_int_equal(json_escape(out, 0, SV("a"), &taken), 0);
	assert_int_equal(taken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nested),                    cmocka_unit_test(strings),
		cmocka_unit_test(utf8_as_defined),           cmocka_unit_test(any_bytes_make_valid_json),
		cmocka_unit_test(overflow_is_remembered),    cmocka_unit_test(element_can_be_taken_back),
		cmocka_unit_test(unbalanced_is_nothing),     cmocka_unit_test(escape_stops_between_characters),
		cmocka_unit_test(bytes_look_the_same_in_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
