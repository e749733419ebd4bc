/* Credentials of a hostile client: never beyond their bytes, what is complete has everything in its bounds, no nonce is one of ours, and
 * a file of users is read or refused. */
#include "registrar/nonce.h"
#include "registrar/users.h"
#include <stdlib.h>

static void must_lie_in(struct sv part, const char *from, size_t size)
{
	if (part.p && (part.p < from || part.p + part.len > from + size || part.len > DIGEST_VALUE_MAX))
		abort();
}

/* By a key that the input does not know, at the time it claims to be of. */
static void check_nonce(struct sv nonce)
{
	static const uint8_t keys[1][NONCE_KEY_LEN] = { { 1 } };
	static const struct hash_key hash = { 1, 2 };
	static const struct nonce_scope scope = { SV("example.com"), SV("public"), SV("alice@example.com") };
	struct digester *d = NULL;
	struct nonces *n = NULL;

	if (digester_new(&d) || nonces_new(&n, keys, 1, &hash, d))
		abort();
	if (!nonce_check(n, &scope, nonce, 1800000000000))
		abort();
	nonce_use(n, nonce, 1, 1, 1800000000000);
	nonces_free(n);
	digester_free(d);
}

static void check_credentials(const char *text, size_t size)
{
	struct digest_credentials c;

	if (digest_parse(&c, (struct sv){ text, size }))
		return;
	must_lie_in(c.realm, text, size);
	must_lie_in(c.nonce, text, size);
	must_lie_in(c.uri, text, size);
	must_lie_in(c.cnonce, text, size);
	must_lie_in(c.nc_text, text, size);
	if (c.user_len > DIGEST_USER_MAX || c.algorithm > DIGEST_ALGORITHMS)
		abort();
	if (c.is_complete && (!c.nc || !c.user_len || !c.nonce.len || !c.uri.len || !c.cnonce.len || c.nc_text.len != 8 ||
	                      c.algorithm == DIGEST_ALGORITHMS))
		abort();
	if (c.nonce.len == NONCE_LEN)
		check_nonce(c.nonce);
}

/* Takes `text`. */
static void check_table(char *text, size_t size)
{
	struct user_fault fault;
	struct user_table *t;
	struct user_keys keys;

	if (user_table_new(&t, text, size, &fault))
		return;
	if (user_table_find(t, SV("alice"), SV("example.com"), &keys) == 0)
		user_owns(&keys, SV("alice"), SV("bob"), SV("example.com"));
	user_table_algorithms(t);
	user_table_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	check_credentials(exact, size);
	check_table(exact, size);
	return 0;
}
