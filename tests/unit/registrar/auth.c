/* Unit tests of registrar/auth.h: a check costs the same for everybody, and what a challenge says. */
#include "registrar/auth.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW_MS UINT64_C(1800000000000)
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct hash_key key = { 1, 2 };
static const struct conf_registrar domain = { .domain = SV("example.com"), .realm = SV("example.com"), .auth = AUTH_USERS,
	                                            .algorithms = CONF_MD5 | CONF_SHA256 };
static const struct path from = { .remote = { .family = 4, .port = 5060 } };

struct world {
	struct auth *auth;
	char text[2048]; /* and what may be read behind it */
	struct view v;
	struct auth_query q;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const uint8_t keys[1][NONCE_KEY_LEN] = { { 7 } };

	assert_non_null(w);
	assert_int_equal(auth_new(&w->auth, keys, 1, &key), 0);
	w->q = (struct auth_query){ .v = &w->v, .from = &from, .domain = &domain, .zone = SV("public"), .about = SV("alice@example.com"),
	                            .header = HDR_AUTHORIZATION, .key = 1, .wall_ms = NOW_MS };
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	auth_free(w->auth);
	free(w);
	return 0;
}

/* A REGISTER of `user`, whose answer is wrong, with a nonce of ours. */
static void read_request(struct world *w, const char *user)
{
	char lines[AUTH_CHALLENGE_MAX], nonce[NONCE_LEN + 1] = "";
	struct view_fault fault;
	struct out o;
	int len;

	out_init(&o, lines, sizeof(lines) - 1);
	auth_challenge(w->auth, &w->q, false, 1u << DIGEST_SHA256, &o);
	*o.at = '\0';
	assert_int_equal(sscanf(strstr(lines, "nonce=\""), "nonce=\"%32[^\"]\"", nonce), 1);
	len = snprintf(w->text, sizeof(w->text) - 128,
	               "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:a@b>\r\n"
	               "Call-ID: x\r\nCSeq: 1 REGISTER\r\nAuthorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%s\", "
	               "uri=\"sip:example.com\", response=\"" SHA_A "\", algorithm=SHA-256, cnonce=\"c\", qop=auth, nc=00000001\r\n"
	               "Content-Length: 0\r\n\r\n", user, nonce);
	assert_int_equal(view_scan(&w->v, w->text, (size_t)len, false, &fault), 0);
}

/* Hash blocks of the whole check. */
static uint64_t cost(struct world *w, const char *user, const struct user_keys *keys)
{
	struct digest_credentials c;
	uint64_t before;

	read_request(w, user);
	before = digester_blocks(auth_digester(w->auth));
	assert_int_equal(auth_read(w->auth, &w->q, &c), AUTH_ASK);
	assert_int_equal(auth_judge(w->auth, &w->q, &c, keys), AUTH_WRONG);
	return digester_blocks(auth_digester(w->auth)) - before;
}

static void nobody_costs_what_somebody_costs(void **state)
{
	struct world *w = *state;
	const struct user_keys known = { .algorithms = 1 << DIGEST_SHA256 }, other = { .algorithms = 1 << DIGEST_MD5 };
	uint64_t somebody = cost(w, "alice", &known);

	assert_true(somebody > 0);
	assert_int_equal(cost(w, "carol", NULL), somebody);
	assert_int_equal(cost(w, "david", &other), somebody); /* he has no key of this kind */
}

/* Nobody knows the key of who is not there, so nobody can be him. */
static void nobody_has_no_key_of_zeros(void **state)
{
	struct world *w = *state;
	const struct user_keys none = { 0 };
	struct digest_credentials c;
	uint8_t zeros[DIGEST_KEY_MAX] = { 0 };

	read_request(w, "carol");
	assert_int_equal(auth_read(w->auth, &w->q, &c), AUTH_ASK);
	for (unsigned bits = 0; bits < 256; bits++) { /* whatever was put in place of the response */
		memset(c.response, (int)bits, sizeof(c.response));
		assert_false(digest_matches(auth_digester(w->auth), &c, SV("REGISTER"), zeros));
		assert_int_equal(auth_judge(w->auth, &w->q, &c, &none), AUTH_WRONG);
	}
}

static void what_a_challenge_says(void **state)
{
	struct world *w = *state;
	char lines[AUTH_CHALLENGE_MAX], sha[200], md5[200];
	struct out o;

	out_init(&o, lines, sizeof(lines) - 1);
	auth_challenge(w->auth, &w->q, true, 1u << DIGEST_SHA256 | 1u << DIGEST_MD5, &o);
	*o.at = '\0';
	assert_int_equal(sscanf(lines,
	                        "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"%*32[-_A-Za-z0-9]\", %199[^\n]\n"
	                        "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"%*32[-_A-Za-z0-9]\", %199[^\n]\n", sha, md5), 2);
	assert_string_equal(sha, "algorithm=SHA-256, qop=\"auth\", stale=true\r");
	assert_string_equal(md5, "algorithm=MD5, qop=\"auth\", stale=true\r");
	out_init(&o, lines, 100);
	auth_challenge(w->auth, &w->q, true, 1u << DIGEST_SHA256 | 1u << DIGEST_MD5, &o);
	assert_true(o.is_full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_costs_what_somebody_costs, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_has_no_key_of_zeros, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_challenge_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
