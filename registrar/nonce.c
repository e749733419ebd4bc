#include "registrar/nonce.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum { RAW_LEN = 24, TIME_LEN = 6, SALT_LEN = 2, MAC_LEN = 16, HMAC_BLOCK = 64 };
_Static_assert(TIME_LEN + SALT_LEN + MAC_LEN == RAW_LEN && RAW_LEN / 3 * 4 == NONCE_LEN, "24 bytes are 32 characters");

/* What a challenge was made for, so that it is made the same way again. */
struct issued {
	uint64_t key, at_ms;
};

struct used {
	uint64_t nonce, request, at_ms;
	uint32_t nc;
};

/* When one has to go for another, everything made before it and not known here counts as used. */
struct bucket {
	struct used of[NONCE_WAYS];
	uint64_t lost_ms;
};

struct nonces {
	struct digester *digester;
	struct hash_key hash;
	unsigned n_keys;
	uint8_t inner[NONCE_KEYS_MAX][HMAC_BLOCK], outer[NONCE_KEYS_MAX][HMAC_BLOCK]; /* RFC 2104: the key with its pads */
	struct issued issued[NONCE_ISSUED];
	struct bucket *buckets;
};

int nonces_new(struct nonces **out, const uint8_t (*keys)[NONCE_KEY_LEN], unsigned n_keys, const struct hash_key *hash,
               struct digester *d)
{
	struct nonces *n = calloc(1, sizeof(*n));

	if (!n || !(n->buckets = calloc(NONCE_BUCKETS, sizeof(*n->buckets)))) {
		free(n);
		return -ENOMEM;
	}
	n->digester = d;
	n->hash = *hash;
	n->n_keys = n_keys < NONCE_KEYS_MAX ? n_keys : NONCE_KEYS_MAX;
	for (unsigned k = 0; k < n->n_keys; k++)
		for (unsigned i = 0; i < HMAC_BLOCK; i++) {
			uint8_t byte = i < NONCE_KEY_LEN ? keys[k][i] : 0;

			n->inner[k][i] = byte ^ 0x36;
			n->outer[k][i] = byte ^ 0x5c;
		}
	*out = n;
	return 0;
}

void nonces_free(struct nonces *n)
{
	if (!n)
		return;
	OPENSSL_cleanse(n->inner, sizeof(n->inner));
	OPENSSL_cleanse(n->outer, sizeof(n->outer));
	free(n->buckets);
	free(n);
}

/* HMAC-SHA-256, cut (RFC 2104 §5). Each part behind its length: none can be shifted into another. */
static int mac(struct nonces *n, unsigned key, const uint8_t head[TIME_LEN + SALT_LEN], const struct nonce_scope *s, uint8_t out[MAC_LEN])
{
	const uint32_t lens[] = { (uint32_t)s->realm.len, (uint32_t)s->zone.len, (uint32_t)s->about.len };
	uint8_t hash[DIGEST_KEY_MAX];
	const struct sv in[] = { { (const char *)n->inner[key], HMAC_BLOCK }, { (const char *)head, TIME_LEN + SALT_LEN },
		                 { (const char *)lens, sizeof(lens) }, s->realm, s->zone, s->about };
	const struct sv around[] = { { (const char *)n->outer[key], HMAC_BLOCK }, { (const char *)hash, sizeof(hash) } };

	if (digester_hash(n->digester, DIGEST_SHA256, in, 6, hash) || digester_hash(n->digester, DIGEST_SHA256, around, 2, hash))
		return -EIO;
	memcpy(out, hash, MAC_LEN);
	return 0;
}

/* base64url (RFC 4648 §5): all of it may stand in quotes. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void text_write(const uint8_t raw[RAW_LEN], char out[NONCE_LEN])
{
	for (unsigned i = 0; i < RAW_LEN / 3; i++) {
		uint32_t bits = (uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 | raw[3 * i + 2];

		for (unsigned j = 0; j < 4; j++)
			out[4 * i + j] = alphabet[bits >> (18 - 6 * j) & 63];
	}
}

static int letter_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static int text_read(struct sv text, uint8_t raw[RAW_LEN])
{
	if (text.len != NONCE_LEN)
		return -EBADMSG;
	for (unsigned i = 0; i < RAW_LEN / 3; i++) {
		uint32_t bits = 0;

		for (unsigned j = 0; j < 4; j++) {
			int v = letter_value(text.p[4 * i + j]);

			if (v < 0)
				return -EBADMSG;
			bits = bits << 6 | (uint32_t)v;
		}
		raw[3 * i] = (uint8_t)(bits >> 16);
		raw[3 * i + 1] = (uint8_t)(bits >> 8);
		raw[3 * i + 2] = (uint8_t)bits;
	}
	return 0;
}

static uint64_t time_of(const uint8_t raw[RAW_LEN])
{
	uint64_t ms = 0;

	for (unsigned i = 0; i < TIME_LEN; i++)
		ms = ms << 8 | raw[i];
	return ms;
}

/* When the request of this key was challenged first. An entry that another request takes costs a second nonce, which is as good. */
static uint64_t issued_at(struct nonces *n, uint64_t key, uint64_t wall_ms)
{
	struct issued *i = &n->issued[key % NONCE_ISSUED];

	if (i->key != key || wall_ms < i->at_ms || wall_ms - i->at_ms > NONCE_AGAIN_MS)
		*i = (struct issued){ key, wall_ms };
	return i->at_ms;
}

int nonce_make(struct nonces *n, const struct nonce_scope *s, uint64_t key, uint64_t wall_ms, char out[NONCE_LEN])
{
	const struct sv parts[] = { { (const char *)&key, sizeof(key) }, s->realm, s->zone, s->about };
	uint64_t salt = hash_parts(&n->hash, parts, 4), at_ms = issued_at(n, salt, wall_ms);
	uint8_t raw[RAW_LEN];

	for (unsigned i = 0; i < TIME_LEN; i++)
		raw[i] = (uint8_t)(at_ms >> (8 * (TIME_LEN - 1 - i)));
	raw[TIME_LEN] = (uint8_t)(salt >> 8);
	raw[TIME_LEN + 1] = (uint8_t)salt;
	if (mac(n, 0, raw, s, raw + TIME_LEN + SALT_LEN))
		return -EIO;
	text_write(raw, out);
	return 0;
}

static bool is_young(uint64_t at_ms, uint64_t wall_ms)
{
	return at_ms <= wall_ms ? wall_ms - at_ms <= NONCE_AGE_MS : at_ms - wall_ms <= NONCE_AHEAD_MS;
}

int nonce_check(struct nonces *n, const struct nonce_scope *s, struct sv nonce, uint64_t wall_ms)
{
	uint8_t raw[RAW_LEN], want[MAC_LEN];

	if (text_read(nonce, raw) || !is_young(time_of(raw), wall_ms))
		return -ESTALE;
	for (unsigned k = 0; k < n->n_keys; k++)
		if (!mac(n, k, raw, s, want) && !CRYPTO_memcmp(want, raw + TIME_LEN + SALT_LEN, MAC_LEN))
			return 0;
	return -ESTALE;
}

/* An empty one, or the one made first. */
static struct used *oldest(struct bucket *b)
{
	struct used *u = &b->of[0];

	for (unsigned i = 1; i < NONCE_WAYS; i++)
		if (b->of[i].at_ms < u->at_ms)
			u = &b->of[i];
	return u;
}

static int use_first(struct bucket *b, const struct used *new, uint64_t wall_ms)
{
	struct used *u = oldest(b);

	if (b->lost_ms > wall_ms + NONCE_AHEAD_MS)
		b->lost_ms = 0; /* the clock has gone back: nothing that is made now would ever be later */
	if (new->at_ms <= b->lost_ms)
		return -ESTALE;
	if (u->at_ms > b->lost_ms)
		b->lost_ms = u->at_ms;
	*u = *new;
	return 0;
}

int nonce_use(struct nonces *n, struct sv nonce, uint32_t nc, uint64_t request, uint64_t wall_ms)
{
	uint8_t raw[RAW_LEN];
	struct bucket *b;
	uint64_t id;

	if (text_read(nonce, raw))
		return -ESTALE;
	memcpy(&id, raw + TIME_LEN + SALT_LEN, sizeof(id)); /* of the MAC: as good as random */
	b = &n->buckets[id % NONCE_BUCKETS];
	for (unsigned i = 0; i < NONCE_WAYS; i++) {
		struct used *u = &b->of[i];

		if (u->nonce != id || !u->at_ms)
			continue;
		if (nc == u->nc && request == u->request)
			return -EALREADY;
		if (nc <= u->nc)
			return -ESTALE;
		u->nc = nc;
		u->request = request;
		return 0;
	}
	return use_first(b, &(struct used){ .nonce = id, .request = request, .at_ms = time_of(raw), .nc = nc }, wall_ms);
}
