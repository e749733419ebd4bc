/* A rule's changes to a URI: what they change, what they leave, what they refuse. */
#include "apps-router/route.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>

struct rewriting {
	const char *uri, *expected; /* NULL: -EBADMSG */
};

static void check(const struct conf_rewrite *rw, const struct rewriting *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sv uri = sv_from(cases[i].uri), out = { NULL, 0 };
		struct arena a;
		int err;

		arena_init(&a, NULL, 0, 0);
		err = route_rewrite_uri(rw, &a, uri, &out);
		assert_int_equal(err, cases[i].expected ? 0 : -EBADMSG);
		if (cases[i].expected && !sv_eq(out, sv_from(cases[i].expected)))
			fail_msg("%s became %.*s, not %s", cases[i].uri, SV_ARG(out), cases[i].expected);
		if (cases[i].expected && sv_eq(uri, sv_from(cases[i].expected)))
			assert_ptr_equal(out.p, uri.p); /* nothing changes: the bytes themselves */
		arena_reset(&a);
	}
}

#define CHECK(rw, ...) \
	do { \
		const struct rewriting cases_[] = { __VA_ARGS__ }; \
		check((rw), cases_, sizeof(cases_) / sizeof(cases_[0])); \
	} while (0)

static void strip_and_prefix(void **state)
{
	struct conf_rewrite rw = { .user_strip = 2, .user_prefix = SV("+49") };

	(void)state;
	CHECK(&rw, { "sip:0030123@example.com", "sip:+4930123@example.com" },
	      { "sip:%30030@example.com:5070;transport=tcp?x=y", "sip:+4930@example.com:5070;transport=tcp?x=y" },
	      { "SIPS:0030:pw@[2001:db8::1]:5061", "SIPS:+4930:pw@[2001:db8::1]:5061" },
	      { "sip:00@example.com", "sip:+49@example.com" }, { "sip:0@example.com", "sip:+49@example.com" },
	      { "sip:example.com", "sip:example.com" }, { "tel:0030;phone-context=+49", "tel:+4930;phone-context=+49" },
	      { "urn:service:sos", "urn:service:sos" }, { "sip:", NULL }, { "nonsense", NULL });
}

static void a_user_must_remain(void **state)
{
	struct conf_rewrite rw = { .user_strip = 4 };

	(void)state;
	CHECK(&rw, { "sip:12345@example.com", "sip:5@example.com" }, { "sip:1234@example.com", NULL },
	      { "sip:1@example.com", NULL }, { "tel:1234", NULL });
}

/* What was escaped and cannot stand bare is escaped again; what need not be is not. */
static void escapes_survive(void **state)
{
	struct conf_rewrite rw = { .user_prefix = SV("%23") };

	(void)state;
	CHECK(&rw, { "sip:a%40b%20c%00@example.com", "sip:%23a%40b%20c%00@example.com" },
	      { "sip:%61@example.com", "sip:%23a@example.com" }, { "sip:%ff@example.com", "sip:%23%FF@example.com" },
	      { "tel:+49", NULL }); /* no escapes in a number */
}

static void hosts_come_with_their_own_port(void **state)
{
	struct conf_rewrite rw = { .host = SV("pbx.example.net") };

	(void)state;
	CHECK(&rw, { "sip:alice@example.com:5070;lr?a=b", "sip:alice@pbx.example.net;lr?a=b" },
	      { "sip:[2001:db8::1]:5070", "sip:pbx.example.net" }, { "sip:a@x?a=b", "sip:a@pbx.example.net?a=b" },
	      { "sip:alice@pbx.example.net", "sip:alice@pbx.example.net" }, { "tel:+49", "tel:+49" });
	rw.host = SV("[2001:db8::2]:5080");
	rw.user_prefix = SV("9");
	CHECK(&rw, { "sip:1@example.com;x", "sip:91@[2001:db8::2]:5080;x" });
	rw.host = SV("two words");
	CHECK(&rw, { "sip:1@example.com", NULL });
}

static struct conf_rewrite by_regex(const char *pattern, const char *replace)
{
	regex_t *regex = calloc(1, sizeof(*regex));

	assert_non_null(regex);
	assert_int_equal(regcomp(regex, pattern, REG_EXTENDED), 0);
	return (struct conf_rewrite){ .user_regex = sv_from(pattern), .user_replace = sv_from(replace), .regex = regex };
}

static void rewrite_free(struct conf_rewrite *rw)
{
	regfree(rw->regex);
	free(rw->regex);
}

static void a_regex_makes_the_user(void **state)
{
	struct conf_rewrite rw = by_regex("^(00|[+])(49)?([0-9]+)$", "\\3%23\\2");

	(void)state;
	CHECK(&rw, { "sip:004930@example.com", "sip:30%2349@example.com" },
	      { "sip:+1555@example.com", "sip:1555%23@example.com" },       /* a group that took no part is empty */
	      { "sip:%2b4930@example.com", "sip:30%2349@example.com" },
	      { "sip:alice@example.com", "sip:alice@example.com" },
	      { "sip:0049%00@example.com", "sip:0049%00@example.com" },     /* a NUL does not end the text */
	      { "sip:example.com", "sip:example.com" });
	rewrite_free(&rw);
	rw = by_regex("^(.*)$", "\\1\\1\\1\\1\\1\\1\\1\\1");
	CHECK(&rw, { "sip:%20@h", "sip:%20%20%20%20%20%20%20%20@h" });    /* room for every group, escaped */
	rewrite_free(&rw);
	rw = by_regex("x*", "");
	CHECK(&rw, { "sip:abc@h", NULL });                                  /* nothing would remain */
	rewrite_free(&rw);
}

static void a_long_user_is_not_given_to_the_regex(void **state)
{
	struct conf_rewrite rw = by_regex("^(a+)b?$", "x");
	char uri[300] = "sip:";

	(void)state;
	memset(uri + 4, 'a', 256);
	strcpy(uri + 260, "@h");
	CHECK(&rw, { uri, "sip:x@h" });
	strcpy(uri + 260, "a@h");
	CHECK(&rw, { uri, uri });
	rewrite_free(&rw);
}

static void memory_that_is_out_is_reported(void **state)
{
	struct conf_rewrite rw = { .user_prefix = SV("123456789") };
	int err = -ENOMEM;

	(void)state;
	for (size_t limit = 1; err; limit++) {
		struct arena a;
		struct sv out;

		assert_in_range(limit, 1, 200);
		arena_init(&a, NULL, 0, limit);
		err = route_rewrite_uri(&rw, &a, SV("sip:a%20b@example.com"), &out);
		assert_true(err == 0 || err == -ENOMEM);
		arena_reset(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strip_and_prefix),
		cmocka_unit_test(a_user_must_remain),
		cmocka_unit_test(escapes_survive),
		cmocka_unit_test(hosts_come_with_their_own_port),
		cmocka_unit_test(a_regex_makes_the_user),
		cmocka_unit_test(a_long_user_is_not_given_to_the_regex),
		cmocka_unit_test(memory_that_is_out_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
