#include "registrar/auth.h"
#include "sip/header.h"
#include <errno.h>
#include <stdlib.h>

const struct counter_def auth_counter_defs[AUTH_COUNTERS] = {
	[AUTH_CHALLENGES] = { "auth_challenges_total", "401 and 407 that asked for credentials", false },
	[AUTH_SILENCES] = { "auth_silences_total", "Challenges not sent: too long for what an unvalidated source had sent", false },
	[AUTH_ACCEPTED] = { "auth_accepted_total", "Requests whose credentials were right", false },
	[AUTH_REFUSED] = { "auth_refused_total", "Requests whose credentials were not", false },
	[AUTH_STALES] = { "auth_stale_total", "Credentials with a nonce too old, or used before", false },
	[AUTH_NOT_OWNED] = { "auth_not_owned_total", "Requests in the name of an address that is not the user's", false },
};

_Static_assert((int)CONF_MD5 == 1 << DIGEST_MD5 && (int)CONF_SHA256 == 1 << DIGEST_SHA256, "one set of bits");

struct auth {
	struct digester *digester;
	struct nonces *nonces;
	struct hash_key hash;
	struct counters counters;
	uint8_t nobody[NONCE_KEY_LEN]; /* makes the key of users there are not */
};

int auth_new(struct auth **out, const uint8_t (*keys)[NONCE_KEY_LEN], unsigned n_keys, const struct hash_key *hash)
{
	struct auth *a = calloc(1, sizeof(*a));
	int err = a ? digester_new(&a->digester) : -ENOMEM;

	if (!err)
		err = nonces_new(&a->nonces, keys, n_keys, hash, a->digester);
	if (!err)
		err = counters_init(&a->counters, auth_counter_defs, AUTH_COUNTERS);
	if (err) {
		auth_free(a);
		return err;
	}
	a->hash = *hash;
	memcpy(a->nobody, keys[0], sizeof(a->nobody));
	*out = a;
	return 0;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	counters_fini(&a->counters);
	nonces_free(a->nonces);
	digester_free(a->digester);
	free(a);
}

struct counters *auth_counters(struct auth *a)
{
	return &a->counters;
}

struct digester *auth_digester(struct auth *a)
{
	return a->digester;
}

static struct nonce_scope scope_of(const struct auth_query *q)
{
	return (struct nonce_scope){ q->domain->realm, q->zone, q->about };
}

/* RFC 7616 §3.4.6: what was signed is what is asked for. Nearly all repeat it byte for byte. */
static bool is_request_uri(struct sv uri, const struct view *v)
{
	struct uri a, b;

	return sv_eq(uri, view_uri(v)) || (!uri_parse(&a, uri) && !uri_parse(&b, view_uri(v)) && uri_equal(&a, &b));
}

/* RFC 3261 §22.3: those for our realm, among all that the request carries. -ENOENT: none. */
static int find_credentials(const struct auth_query *q, struct digest_credentials *c)
{
	const struct hdr *h = view_find(q->v, q->header, 0);

	for (unsigned n = 0; h && n < AUTH_HEADERS_MAX; n++) {
		int err = digest_parse(c, hdr_value(q->v, h));

		if (err == -EBADMSG || (!err && sv_eq(c->realm, q->domain->realm)))
			return err;
		h = view_find(q->v, q->header, (unsigned)(h - q->v->h) + 1);
	}
	return -ENOENT;
}

enum auth_verdict auth_read(struct auth *a, const struct auth_query *q, struct digest_credentials *c)
{
	const struct nonce_scope scope = scope_of(q);
	int err = find_credentials(q, c);

	if (err)
		return err == -EBADMSG ? AUTH_BAD : AUTH_MISSING;
	if (!c->is_complete || !(q->domain->algorithms & 1u << c->algorithm) || !is_request_uri(c->uri, q->v)) {
		counter_inc(&a->counters, AUTH_REFUSED);
		return AUTH_WRONG;
	}
	if (nonce_check(a->nonces, &scope, c->nonce, q->wall_ms)) {
		counter_inc(&a->counters, AUTH_STALES);
		return AUTH_STALE;
	}
	return AUTH_ASK;
}

/* Of a user whom nobody knows; nobody knows the password that goes with it. */
static int nobodys_key(struct auth *a, const struct digest_credentials *c, uint8_t ha1[DIGEST_KEY_MAX])
{
	const struct sv parts[] = { { (const char *)a->nobody, sizeof(a->nobody) }, digest_user(c), SV(":"), c->realm };

	return digester_hash(a->digester, DIGEST_SHA256, parts, 4, ha1);
}

/* A repetition is the same bytes from the same place. */
static uint64_t request_hash(const struct auth *a, const struct auth_query *q)
{
	const struct addr *from = &q->from->remote;
	const struct sv parts[] = { { q->v->base, q->v->len }, { (const char *)from->ip, sizeof(from->ip) },
		                    { (const char *)&from->port, sizeof(from->port) } };

	return hash_parts(&a->hash, parts, 3);
}

enum auth_verdict auth_judge(struct auth *a, const struct auth_query *q, const struct digest_credentials *c, const struct user_keys *keys)
{
	bool is_known = keys && keys->algorithms & 1u << c->algorithm;
	uint8_t ha1[DIGEST_KEY_MAX];
	bool is_right = !nobodys_key(a, c, ha1); /* made for everybody, so that it takes the same time */

	if (is_known)
		memcpy(ha1, keys->ha1[c->algorithm], sizeof(ha1));
	is_right &= digest_matches(a->digester, c, view_method(q->v), ha1);
	if (!is_right || !is_known) {
		counter_inc(&a->counters, AUTH_REFUSED);
		return AUTH_WRONG;
	}
	if (nonce_use(a->nonces, c->nonce, c->nc, request_hash(a, q), q->wall_ms) == -ESTALE) {
		counter_inc(&a->counters, AUTH_STALES);
		return AUTH_STALE;
	}
	counter_inc(&a->counters, AUTH_ACCEPTED);
	return AUTH_GOOD;
}

/* RFC 8760 §2.3: the one to be preferred first. */
static const uint8_t preference[DIGEST_ALGORITHMS] = { DIGEST_SHA256, DIGEST_MD5 };

void auth_challenge(struct auth *a, const struct auth_query *q, bool is_stale, unsigned bits, struct out *o)
{
	const struct nonce_scope scope = scope_of(q);
	char nonce[NONCE_LEN];

	if (nonce_make(a->nonces, &scope, q->key, q->wall_ms, nonce)) {
		o->is_full = true; /* there is no answer without it */
		return;
	}
	for (unsigned i = 0; i < DIGEST_ALGORITHMS; i++) {
		if (!(bits & 1u << preference[i]))
			continue;
		out_sv(o, q->header == HDR_AUTHORIZATION ? SV("WWW-Authenticate") : SV("Proxy-Authenticate"));
		out_lit(o, ": Digest realm=\"");
		out_sv(o, q->domain->realm);
		out_lit(o, "\", nonce=\"");
		out_sv(o, (struct sv){ nonce, NONCE_LEN });
		out_lit(o, "\", algorithm=");
		out_sv(o, digest_name(preference[i]));
		out_lit(o, ", qop=\"auth\"");
		out_sv(o, is_stale ? SV(", stale=true\r\n") : SV("\r\n"));
	}
}
