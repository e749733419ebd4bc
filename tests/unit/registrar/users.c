/* Unit tests of registrar/users.h: files of users, and how a changed one comes into use. */
#include "registrar/users.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define MD5_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MD5_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REALM SV("example.com")
enum { MD5_BIT = 1 << DIGEST_MD5, SHA_BIT = 1 << DIGEST_SHA256 };

static int parse(struct user_table **t, const char *text, struct user_fault *fault)
{
	return user_table_new(t, strdup(text), strlen(text), fault);
}

static struct user_table *table(const char *text)
{
	struct user_fault fault;
	struct user_table *t;

	if (parse(&t, text, &fault))
		fail_msg("line %zu: %s", fault.line, fault.why);
	return t;
}

static void users_are_found(void **state)
{
	struct user_table *t = table("# users\n\nalice:example.com:" MD5_A "\r\nalice:example.com:" SHA_A "\n"
	                             "bob:example.com:" MD5_B ":robert,+4930123\nbob:example.org:" MD5_A);
	struct user_keys k;

	(void)state;
	assert_int_equal(user_table_lines(t), 4);
	assert_int_equal(user_table_find(t, SV("alice"), REALM, &k), 0);
	assert_int_equal(k.algorithms, MD5_BIT | SHA_BIT);
	assert_int_equal(k.ha1[DIGEST_SHA256][31], 0xaa);
	assert_int_equal(user_table_find(t, SV("bob"), REALM, &k), 0);
	assert_int_equal(k.algorithms, MD5_BIT);
	assert_int_equal(k.ha1[DIGEST_MD5][0], 0xbb);
	assert_true(user_owns(&k, SV("bob"), SV("bob"), REALM));
	assert_true(user_owns(&k, SV("bob"), SV("robert"), REALM));
	assert_true(user_owns(&k, SV("bob"), SV("+4930123"), REALM));
	assert_false(user_owns(&k, SV("bob"), SV("rob"), REALM));
	assert_false(user_owns(&k, SV("bob"), SV(""), REALM));
	assert_false(user_owns(&k, SV("bob"), SV("Bob"), REALM));
	assert_true(user_owns(&k, SV("bob@Example.com"), SV("bob"), REALM));
	assert_false(user_owns(&k, SV("bob@example.org"), SV("bob"), REALM));
	assert_int_equal(user_table_find(t, SV("bob"), SV("example.org"), &k), 0);
	assert_int_equal(k.aors_len, 0);
	assert_int_equal(user_table_find(t, SV("carol"), REALM, &k), -ENOENT);
	assert_int_equal(user_table_find(t, SV("alice"), SV("example.org"), &k), -ENOENT);
	assert_int_equal(user_table_find(t, SV(""), SV(""), &k), -ENOENT);
	user_table_free(t);
}

static unsigned offered(const char *text)
{
	struct user_table *t = table(text);
	unsigned bits = user_table_algorithms(t);

	user_table_free(t);
	return bits;
}

static void what_all_have_is_offered(void **state)
{
	(void)state;
	assert_int_equal(offered("a:r:" MD5_A "\nb:r:" MD5_A "\n"), MD5_BIT);
	assert_int_equal(offered("a:r:" MD5_A "\na:r:" SHA_A "\nb:r:" MD5_A "\n"), MD5_BIT);
	assert_int_equal(offered("a:r:" MD5_A "\na:r:" SHA_A "\n"), MD5_BIT | SHA_BIT);
	assert_int_equal(offered("a:r:" SHA_A "\n"), SHA_BIT);
	assert_int_equal(offered("a:r:" MD5_A "\nb:r:" SHA_A "\n"), MD5_BIT | SHA_BIT); /* none that all have */
	assert_int_equal(offered(""), MD5_BIT | SHA_BIT);
}

static void a_broken_file_is_refused_whole(void **state)
{
	static const struct {
		const char *text;
		size_t line;
	} broken[] = {
		{ "alice:example.com:" MD5_A "\nbob\n", 2 },
		{ "alice:example.com\n", 1 },
		{ "alice::" MD5_A, 1 },
		{ ":example.com:" MD5_A, 1 },
		{ "alice:example.com:" MD5_A "0", 1 },
		{ "alice:example.com:gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1 },
		{ "# x\n\nal\x01ice:example.com:" MD5_A, 3 },
		{ "alice:example.com:" MD5_A "\nalice:example.com:" MD5_B, 2 },
	};
	struct user_fault fault;
	struct user_table *t;

	(void)state;
	for (unsigned i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(parse(&t, broken[i].text, &fault), -EBADMSG);
		assert_int_equal(fault.line, broken[i].line);
	}
}

static char *many_lines(size_t n, size_t *len)
{
	char *text = malloc(n * 64 + 1);

	assert_non_null(text);
	*len = 0;
	for (size_t i = 0; i < n; i++)
		*len += (size_t)sprintf(text + *len, "user%07zu:example.com:%032zx\n", i, i);
	return text;
}

/* It is read in a second or two, and a look-up does not depend on how many there are. */
static void a_million_users(void **state)
{
	enum { MANY = 1000000 };
	struct user_fault fault;
	struct user_table *t;
	struct user_keys k;
	clock_t before, after;
	char name[16];
	size_t len;
	char *text = many_lines(MANY, &len);

	(void)state;
	before = clock();
	assert_int_equal(user_table_new(&t, text, len, &fault), 0);
	after = clock();
	print_message("a million users: read in %ld ms\n", (long)((after - before) * 1000 / CLOCKS_PER_SEC));
	assert_true(after - before < 10 * CLOCKS_PER_SEC); /* a table that degenerates takes hours */
	for (size_t i = 0; i < MANY; i += 997) {
		snprintf(name, sizeof(name), "user%07zu", i);
		assert_int_equal(user_table_find(t, sv_from(name), REALM, &k), 0);
		assert_int_equal(k.ha1[DIGEST_MD5][15], i & 0xff);
	}
	assert_int_equal(user_table_find(t, SV("user1000000"), REALM, &k), -ENOENT);
	user_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_found),
		cmocka_unit_test(what_all_have_is_offered),
		cmocka_unit_test(a_broken_file_is_refused_whole),
		cmocka_unit_test(a_million_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
