/* Unit tests of topohide/token.h. The codec over all bit patterns (one traced call can look perfect while half of all tokens fail), every
 * single-bit forgery, and keys that change. */
#include "topohide/token.h"
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 50000, FORGED = 200 };
#else
enum { ROUNDS = 1000000, FORGED = 4000 };
#endif
static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

static uint64_t random_next(uint64_t *s)
{
	*s += 0x9e3779b97f4a7c15ULL; /* splitmix64 */
	uint64_t x = (*s ^ (*s >> 30)) * 0xbf58476d1ce4e5b9ULL;

	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static struct token_codec *codec(const uint8_t *fill, unsigned n)
{
	uint8_t secrets[TOKEN_KEYS_MAX][TOKEN_SECRET_LEN];
	struct token_codec *c;

	for (unsigned i = 0; i < n; i++)
		memset(secrets[i], fill[i], TOKEN_SECRET_LEN);
	assert_int_equal(token_codec_new(&c, (const uint8_t(*)[TOKEN_SECRET_LEN])secrets, n), 0);
	return c;
}

static struct token_codec *one_key(void)
{
	return codec((const uint8_t[]){ 1 }, 1);
}

static bool reads(struct token_codec *c, enum token_kind kind, const char *text, struct token *out)
{
	return token_read(c, kind, (struct sv){ text, TOKEN_LEN }, out) == 0;
}

static void round_trip(struct token_codec *c, enum token_kind kind, struct token t)
{
	char text[TOKEN_LEN], upper[TOKEN_LEN];
	struct token back;

	token_write(c, kind, t, text);
	for (unsigned i = 0; i < TOKEN_LEN; i++) {
		assert_non_null(strchr(digits, text[i]));
		upper[i] = (char)toupper(text[i]);
	}
	if (!reads(c, kind, text, &back) || back.id != t.id || back.shard != t.shard)
		fail_msg("kind %u, shard %u, id %016lx does not come back", kind, t.shard, (unsigned long)t.id);
	if (!reads(c, kind, upper, &back) || back.id != t.id)
		fail_msg("kind %u, shard %u, id %016lx: upper case", kind, t.shard, (unsigned long)t.id);
	for (unsigned other = 0; other < TOKEN_KINDS; other++)
		if (other != kind && reads(c, other, text, &back))
			fail_msg("kind %u is taken for kind %u", kind, other);
}

static void random_tokens_come_back(void **state)
{
	struct token_codec *c = one_key();
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++)
		round_trip(c, i % TOKEN_KINDS,
		           (struct token){ .id = random_next(&seed), .shard = (uint16_t)(random_next(&seed) % TOKEN_SHARDS) });
	token_codec_free(c);
}

/* Every bit alone, every bit missing, every shard. */
static void extreme_tokens_come_back(void **state)
{
	struct token_codec *c = one_key();

	(void)state;
	for (unsigned kind = 0; kind < TOKEN_KINDS; kind++) {
		for (unsigned bit = 0; bit < 64; bit++) {
			round_trip(c, kind, (struct token){ .id = 1ULL << bit });
			round_trip(c, kind, (struct token){ .id = ~(1ULL << bit), .shard = TOKEN_SHARDS - 1 });
		}
		round_trip(c, kind, (struct token){ .id = 0 });
		round_trip(c, kind, (struct token){ .id = UINT64_MAX, .shard = TOKEN_SHARDS - 1 });
		for (unsigned shard = 0; shard < TOKEN_SHARDS; shard++)
			round_trip(c, kind, (struct token){ .id = shard * 0x123456789ULL, .shard = (uint16_t)shard });
	}
	token_codec_free(c);
}

/* Each character exchanged for each other one, among them every flip of one bit; and none of them is another spelling of the token. */
static void forged_tokens_are_refused(void **state)
{
	struct token_codec *c = one_key();
	uint64_t seed = 2;
	char text[TOKEN_LEN];
	struct token t;

	(void)state;
	for (unsigned i = 0; i < FORGED; i++) {
		enum token_kind kind = i % TOKEN_KINDS;

		token_write(c, kind, (struct token){ .id = random_next(&seed), .shard = (uint16_t)(i % TOKEN_SHARDS) }, text);
		for (unsigned at = 0; at < TOKEN_LEN; at++) {
			char good = text[at];

			for (const char *d = digits; *d; d++) {
				text[at] = *d;
				if (*d != good && reads(c, kind, text, &t))
					fail_msg("%.*s is taken, with %c at %u", TOKEN_LEN, text, *d, at);
			}
			text[at] = good;
		}
	}
	token_codec_free(c);
}

/* Every byte at every place: a letter in either case is the same, no other byte is. */
static void bytes_have_one_meaning(void **state)
{
	struct token_codec *c = one_key();
	uint64_t seed = 4;
	char text[TOKEN_LEN];
	struct token t;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		token_write(c, i % TOKEN_KINDS, (struct token){ .id = random_next(&seed), .shard = (uint16_t)i }, text);
		for (unsigned at = 0; at < TOKEN_LEN; at++) {
			int good = text[at];

			for (int byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				assert_int_equal(reads(c, i % TOKEN_KINDS, text, &t), byte == good || byte == toupper(good));
			}
			text[at] = (char)good;
		}
	}
	token_codec_free(c);
}

static void what_is_no_token_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "a", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a1aaaaaaaaaaaaaaaaaaaaaaaaa", "a8aaaaaaaaaaaaaaaaaaaaaaaaa",
		"a@aaaaaaaaaaaaaaaaaaaaaaaaa", "a-aaaaaaaaaaaaaaaaaaaaaaaaa", "\xc1" "aaaaaaaaaaaaaaaaaaaaaaaaaa", "7aaaaaaaaaaaaaaaaaaaaaaaaaa",
		"[aaaaaaaaaaaaaaaaaaaaaaaaaa", "a\x12" "aaaaaaaaaaaaaaaaaaaaaaaaa", "a`aaaaaaaaaaaaaaaaaaaaaaaaa", "a{aaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct token_codec *c = one_key();
	struct token t;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		for (unsigned kind = 0; kind < TOKEN_KINDS; kind++)
			assert_int_equal(token_read(c, kind, sv_from(bad[i]), &t), -EBADMSG);
	token_codec_free(c);
}

static unsigned value_of(char c)
{
	return (unsigned)(strchr(digits, c) - digits);
}

/* The shard's lowest three bits in the clear, in every kind and under every key, and in no other way than that: one token has one
 * spelling apart from case. */
static void low_bits_of_the_shard_are_clear(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (uint8_t key = 1; key < 16; key++) {
		struct token_codec *c = codec(&key, 1);

		for (unsigned i = 0; i < 64 * TOKEN_KINDS; i++) {
			struct token t = { .id = random_next(&seed), .shard = (uint16_t)(random_next(&seed) % TOKEN_SHARDS) }, back;
			enum token_kind kind = i % TOKEN_KINDS;
			char text[TOKEN_LEN], other[TOKEN_LEN];
			unsigned first, last;

			token_write(c, kind, t, text);
			first = value_of(text[0]);
			last = value_of(text[TOKEN_LEN - 1]);
			assert_int_equal((first & 1) << 2 | (last & 3), t.shard & 7);
			for (unsigned change = 1; change < 8; change++) {
				memcpy(other, text, TOKEN_LEN);
				other[0] = digits[first ^ change >> 2];
				other[TOKEN_LEN - 1] = digits[last ^ (change & 3)];
				assert_false(reads(c, kind, other, &back));
			}
		}
		token_codec_free(c);
	}
}

/* DECISIONS 2: the newest signs, the older ones are still understood, and what was signed by none is refused. */
static void keys_rotate(void **state)
{
	struct token_codec *old = codec((const uint8_t[]){ 1 }, 1), *both = codec((const uint8_t[]){ 2, 1 }, 2);
	struct token_codec *young = codec((const uint8_t[]){ 2 }, 1), *strange = codec((const uint8_t[]){ 3 }, 1);
	struct token t;
	char text[TOKEN_LEN];

	(void)state;
	token_write(old, TOKEN_TAG, (struct token){ .id = 7, .shard = 5 }, text);
	assert_true(reads(both, TOKEN_TAG, text, &t));
	assert_int_equal(t.id, 7);
	assert_int_equal(t.shard, 5);
	assert_false(reads(young, TOKEN_TAG, text, &t));
	token_write(both, TOKEN_TAG, (struct token){ .id = 7, .shard = 5 }, text);
	assert_true(reads(young, TOKEN_TAG, text, &t));
	assert_false(reads(old, TOKEN_TAG, text, &t));
	assert_false(reads(strange, TOKEN_TAG, text, &t));
	token_codec_free(old);
	token_codec_free(both);
	token_codec_free(young);
	token_codec_free(strange);
}

/* Six keys and three letters: some share one, and all are understood. */
static void as_many_keys_as_there_may_be(void **state)
{
	const uint8_t fill[] = { 10, 11, 12, 13, 14, 15 };
	struct token_codec *all = codec(fill, TOKEN_KEYS_MAX), *none;
	uint8_t secret[TOKEN_KEYS_MAX + 1][TOKEN_SECRET_LEN] = { { 0 } };

	(void)state;
	for (unsigned i = 0; i < TOKEN_KEYS_MAX; i++) {
		struct token_codec *one = codec(fill + i, 1);
		char text[TOKEN_LEN];
		struct token t;

		token_write(one, TOKEN_BRANCH, (struct token){ .id = i + 1 }, text);
		assert_true(reads(all, TOKEN_BRANCH, text, &t));
		assert_int_equal(t.id, i + 1);
		token_codec_free(one);
	}
	assert_int_equal(token_codec_new(&none, (const uint8_t(*)[TOKEN_SECRET_LEN])secret, 0), -EINVAL);
	assert_int_equal(token_codec_new(&none, (const uint8_t(*)[TOKEN_SECRET_LEN])secret, TOKEN_KEYS_MAX + 1), -EINVAL);
	token_codec_free(all);
}

/* DECISIONS 3: ids follow from what the other side sent, on every node with these keys; each part counts, and none can be shifted into
 * the next. */
static void ids_follow_from_their_parts(void **state)
{
	struct token_codec *a = one_key(), *b = one_key();
	uint64_t id = token_leg_id(a, SV("public"), SV("call"), SV("tag"), SV("sip:x"));

	(void)state;
	assert_int_equal(id, token_leg_id(b, SV("public"), SV("call"), SV("tag"), SV("sip:x")));
	assert_int_not_equal(id, token_leg_id(a, SV("core"), SV("call"), SV("tag"), SV("sip:x")));
	assert_int_not_equal(id, token_leg_id(a, SV("public"), SV("cal"), SV("ltag"), SV("sip:x")));
	assert_int_not_equal(id, token_leg_id(a, SV("public"), SV("call"), SV("tagsip"), SV(":x")));
	assert_int_not_equal(id, token_leg_id(a, SV("public"), SV("call"), SV("TAG"), SV("sip:x")));
	assert_int_equal(token_attempt_id(a, id, 1), token_attempt_id(b, id, 1));
	assert_int_not_equal(token_attempt_id(a, id, 1), token_attempt_id(a, id, 2));
	assert_int_not_equal(token_attempt_id(a, id, 1), id);
	assert_int_not_equal(token_branch_id(a, id, 5, 1), token_branch_id(a, id, 5, 2));
	assert_int_not_equal(token_branch_id(a, id, 5, 1), token_branch_id(a, id, 6, 1));
	assert_int_equal(token_branch_id(a, id, 5, 1), token_branch_id(b, id, 5, 1));
	assert_int_not_equal(token_tag_id(a, id, 9, SV("x")), token_tag_id(a, id, 9, SV("y")));
	assert_int_not_equal(token_tag_id(a, id, 9, SV("x")), token_tag_id(a, id, 8, SV("x")));
	token_codec_free(a);
	token_codec_free(b);
}

/* Shards are spread evenly over Call-IDs that look alike. */
static void shards_are_spread(void **state)
{
	struct token_codec *c = one_key();
	unsigned of_worker[8] = { 0 };
	char call_id[32];

	(void)state;
	for (unsigned i = 0; i < 80000; i++) {
		int n = snprintf(call_id, sizeof(call_id), "call-%u@192.0.2.1", i);
		uint16_t shard = token_shard(c, (struct sv){ call_id, (size_t)n });

		assert_true(shard < TOKEN_SHARDS);
		of_worker[shard % 8]++;
	}
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(of_worker[i], 9500, 10500);
	token_codec_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tokens_come_back),
		cmocka_unit_test(extreme_tokens_come_back),
		cmocka_unit_test(forged_tokens_are_refused), cmocka_unit_test(bytes_have_one_meaning),
		cmocka_unit_test(what_is_no_token_is_refused),
		cmocka_unit_test(low_bits_of_the_shard_are_clear),
		cmocka_unit_test(keys_rotate),
		cmocka_unit_test(as_many_keys_as_there_may_be),
		cmocka_unit_test(ids_follow_from_their_parts),
		cmocka_unit_test(shards_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
