/* tests/unit/base/hash.c */
#include "base/hash.h"
#include "tests/unit/base/unit.h"

/* Key 00 01 .. 0f as in the paper; message 00 01 .. n-1. Computed by a program that gives the paper's results for 2-4. */
static const struct hash_key paper_key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static const struct {
	size_t len;
	uint64_t hash;
} vectors[] = {
	{ 0, 0xabac0158050fc4dc }, { 1, 0xc9f49bf37d57ca93 }, { 2, 0x82cb9b024dc7d44d }, { 3, 0x8bf80ab8e7ddf7fb },
	{ 4, 0xcf75576088d38328 }, { 5, 0xdef9d52f49533b67 }, { 6, 0xc50d2b50c59f22a7 }, { 7, 0xd3927d989bb11140 },
	{ 8, 0x369095118d299a8e }, { 15, 0xd320d86d2a519956 },
};

static void vectors_are_right(void **state)
{
	unsigned char message[16];

	(void)state;
	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	for (size_t i = 0; i < COUNT_OF(vectors); i++)
		assert_true(hash_bytes(&paper_key, message, vectors[i].len) == vectors[i].hash);
	assert_true(hash_bytes(&paper_key, NULL, 0) == vectors[0].hash);
}

static void parts_are_lengths_and_bytes(void **state)
{
	static const char three[] = "\3\0\0\0\3\0\0\0" "\0\0\0\0\x9\0\0\0" "abc\0\0\0\0\0" "12345678" "9\0\0\0\0\0\0";
	static const char two[] = "\2\0\0\0\1\0\0\0" "\x8\0\0\0\0\0\0\0" "a\0\0\0\0\0\0\0" "12345678";
	const struct sv parts[] = { SV("abc"), { NULL, 0 }, SV("123456789") }, others[] = { SV("a"), SV("12345678") };

	(void)state;
	assert_true(hash_parts(&paper_key, parts, 3) == hash_bytes(&paper_key, three, sizeof(three)));
	assert_true(hash_parts(&paper_key, others, 2) == hash_bytes(&paper_key, two, sizeof(two) - 1));
}

static void parts_cannot_be_shifted(void **state)
{
	const struct sv a[] = { SV("ab"), SV("c") }, b[] = { SV("a"), SV("bc") }, c[] = { SV("abc") }, d[] = { SV("abc"), { NULL, 0 } };

	(void)state;
	assert_true(hash_parts(&paper_key, a, 2) != hash_parts(&paper_key, b, 2));
	assert_true(hash_parts(&paper_key, a, 2) != hash_parts(&paper_key, c, 1));
	assert_true(hash_parts(&paper_key, c, 1) != hash_parts(&paper_key, d, 2));
}

static void case_is_folded(void **state)
{
	char text[300];
	uint64_t seed = 3;

	(void)state;
	assert_true(hash_nocase(&paper_key, SV("Example.COM")) == hash_bytes(&paper_key, "example.com", 11));
	assert_true(hash_nocase(&paper_key, SV("a[")) != hash_nocase(&paper_key, SV("a{")));
	for (size_t len = 0; len < sizeof(text); len++) { /* around every length's end, 256 too */
		text[len] = (char)('a' + any_below(&seed, 26));
		assert_true(hash_nocase(&paper_key, (struct sv){ text, len }) == hash_bytes(&paper_key, text, len));
	}
}

static void key_matters(void **state)
{
	const struct hash_key other = { paper_key.k0, paper_key.k1 ^ 1 };

	(void)state;
	assert_true(hash_bytes(&paper_key, "a", 1) != hash_bytes(&other, "a", 1));
}

static void random_fills(void **state)
{
	unsigned char bytes[600] = { 0 }, again[600] = { 0 };
	size_t zeros = 0;

	(void)state;
	assert_int_equal(random_bytes(bytes, sizeof(bytes)), 0);
	assert_int_equal(random_bytes(again, sizeof(again)), 0);
	assert_memory_not_equal(bytes, again, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	assert_true(zeros < 40); /* 2.3 expected */
	assert_int_equal(random_bytes(NULL, 0), 0);
}

/* One changed bit, one byte more, another seed: another result. */
static void weak_one_still_tells_texts_apart(void **state)
{
	char text[40] = "a84b4c76e66710-alice@client.example.com";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		uint64_t h = hash_weak(1, (struct sv){ text, len });

		assert_true(h == hash_weak(1, (struct sv){ text, len }));
		assert_true(h != hash_weak(2, (struct sv){ text, len }));
		assert_true(h != hash_weak(1, (struct sv){ text, len + 1 }));
		for (size_t bit = 0; bit < 8 * len; bit++) {
			text[bit / 8] ^= (char)(1 << bit % 8);
			assert_true(h != hash_weak(1, (struct sv){ text, len }));
			text[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weak_one_still_tells_texts_apart), cmocka_unit_test(vectors_are_right),    cmocka_unit_test(parts_are_lengths_and_bytes),
		cmocka_unit_test(parts_cannot_be_shifted), cmocka_unit_test(case_is_folded),
		cmocka_unit_test(key_matters),             cmocka_unit_test(random_fills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
