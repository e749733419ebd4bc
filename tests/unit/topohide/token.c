/* tests/unit/topohide/token.c */
#include "topohide/token.h"
#include "tests/unit/base/unit.h"
#include <errno.h>

static struct token_codec *codec_with(const uint8_t *firsts, unsigned n)
{
	uint8_t secrets[TOKEN_KEYS_MAX][TOKEN_SECRET_LEN];
	struct token_codec *c;

	for (unsigned k = 0; k < n; k++)
		for (unsigned i = 0; i < TOKEN_SECRET_LEN; i++)
			secrets[k][i] = (uint8_t)(firsts[k] + i);
	assert_int_equal(token_codec_new(&c, (const uint8_t(*)[TOKEN_SECRET_LEN])secrets, n), 0);
	return c;
}

static int setup(void **state)
{
	*state = codec_with((const uint8_t[]){ 0 }, 1);
	return 0;
}

static int teardown(void **state)
{
	token_codec_free(*state);
	return 0;
}

static int read_text(struct token_codec *c, enum token_kind kind, const char text[TOKEN_LEN], struct token *out)
{
	return token_read(c, kind, (struct sv){ text, TOKEN_LEN }, out);
}

static void comes_back(struct token_codec *c, enum token_kind kind, struct token t)
{
	struct token back = { 0 };
	char text[TOKEN_LEN];

	token_write(c, kind, t, text);
	for (unsigned i = 0; i < TOKEN_LEN; i++)
		assert_true((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '2' && text[i] <= '7'));
	assert_int_equal(read_text(c, kind, text, &back), 0);
	assert_true(back.id == t.id && back.shard == t.shard);
}

/* One traced call can look perfect while half of all tokens fail. */
static void every_bit_comes_back(void **state)
{
	uint64_t seed = 27;

	for (enum token_kind kind = 0; kind < TOKEN_KINDS; kind++) {
		comes_back(*state, kind, (struct token){ .id = 0, .shard = 0 });
		comes_back(*state, kind, (struct token){ .id = UINT64_MAX, .shard = TOKEN_SHARDS - 1 });
		for (unsigned bit = 0; bit < 64; bit++)
			comes_back(*state, kind, (struct token){ .id = 1ull << bit, .shard = (uint16_t)(1u << bit % 12) });
		for (unsigned i = 0; i < 5000; i++)
			comes_back(*state, kind, (struct token){ .id = any(&seed), .shard = (uint16_t)any_below(&seed, TOKEN_SHARDS) });
	}
}

/* The peer node and the next release must write the same ones. */
static void known_tokens(void **state)
{
	static const struct token tokens[] = { { 0, 0 }, { 0x0123456789abcdef, 0xfff }, { UINT64_MAX, 0x800 } };
	static const char *const texts[TOKEN_KINDS][3] = {
		{ "bkbe3ks4kqdtaq5is6qedszicsm", "b44z3xkdgarkwikejdofcm4xcxe", "bwysxlnbajoms7qmgxrusaioj4u" },
		{ "hrw27lzyo23543su4aofisso6wu", "hakxqponey6usuj3a32bjnodvyq", "h3sfos4fe3ibxbw3oqkfbqzekme" },
		{ "nuqobdi6ttvcvh4p3ol5ts362ma", "nucv6kkojyv3pop7miojryycvx4", "ngolgxfvmropc252wonotpolhva" },
		{ "twkrvhjzixctuxwcgn3mxopufp4", "tmybgbrkefydneixxeybsbfv3em", "tl4t5amesywflbj66boh7amlg3a" },
	};
	char text[TOKEN_LEN];

	for (enum token_kind kind = 0; kind < TOKEN_KINDS; kind++)
		for (unsigned i = 0; i < COUNT_OF(tokens); i++) {
			token_write(*state, kind, tokens[i], text);
			assert_memory_equal(text, texts[kind][i], TOKEN_LEN);
		}
}

static void every_other_character_is_refused(void **state)
{
	char text[TOKEN_LEN], changed[TOKEN_LEN];
	struct token t;

	token_write(*state, TOKEN_LEG, (struct token){ .id = 0x1122334455667788, .shard = 99 }, text);
	for (unsigned at = 0; at < TOKEN_LEN; at++)
		for (unsigned c = 0; c < 256; c++) {
			memcpy(changed, text, TOKEN_LEN);
			changed[at] = (char)c;
			bool is_capital = c >= 'A' && c <= 'Z';
			bool is_same_letter = changed[at] == text[at] || (is_capital && text[at] >= 'a' && (char)(c | 0x20) == text[at]);

			if ((read_text(*state, TOKEN_LEG, changed, &t) == 0) != is_same_letter)
				fail_msg("character %u as %u", at, c);
		}
}

static void kinds_and_lengths_are_told_apart(void **state)
{
	char text[TOKEN_LEN + 1] = "";
	struct token t;

	for (enum token_kind kind = 0; kind < TOKEN_KINDS; kind++) {
		token_write(*state, kind, (struct token){ .id = 7, .shard = 7 }, text);
		for (enum token_kind other = 0; other < TOKEN_KINDS; other++)
			assert_int_equal(read_text(*state, other, text, &t), other == kind ? 0 : -EBADMSG);
		assert_int_equal(token_read(*state, kind, (struct sv){ text, TOKEN_LEN - 1 }, &t), -EBADMSG);
		assert_int_equal(token_read(*state, kind, (struct sv){ text, TOKEN_LEN + 1 }, &t), -EBADMSG);
	}
	assert_int_equal(token_read(*state, TOKEN_LEG, SV(""), &t), -EBADMSG);
}

/* DECISIONS 2: the newest key signs, older ones are understood as long as they are listed. */
static void keys_follow_each_other(void **state)
{
	struct token_codec *old = *state, *both = codec_with((const uint8_t[]){ 100, 0 }, 2);
	struct token_codec *fresh = codec_with((const uint8_t[]){ 100 }, 1);
	char text[TOKEN_LEN], same[TOKEN_LEN];
	struct token t = { .id = 5, .shard = 6 }, back;

	token_write(old, TOKEN_TAG, t, text);
	assert_int_equal(read_text(both, TOKEN_TAG, text, &back), 0);
	assert_int_equal(back.id, 5);
	assert_int_equal(read_text(fresh, TOKEN_TAG, text, &back), -EBADMSG);
	token_write(both, TOKEN_TAG, t, text);
	token_write(fresh, TOKEN_TAG, t, same);
	assert_memory_equal(text, same, TOKEN_LEN);
	assert_int_equal(read_text(old, TOKEN_TAG, text, &back), -EBADMSG);
	token_codec_free(both);
	token_codec_free(fresh);
	assert_int_equal(token_codec_new(&both, NULL, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_bit_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(known_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(every_other_character_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds_and_lengths_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_follow_each_other, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
