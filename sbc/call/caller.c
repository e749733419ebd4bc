#include "sbc/call/caller.h"
#include <errno.h>

enum { END_LEN = sizeof("Content-Length: 0\r\n\r\n") - 1 };

bool caller_owns(const struct caller *c, struct sv user, struct sv host)
{
	return user_owns(&c->keys, digest_user(&c->credentials), user, host);
}

void caller_refuse(struct b2bua *b, const struct request *r)
{
	counter_inc(auth_counters(b->p.auth), AUTH_NOT_OWNED);
	refuse(b, r, WHY_NOT_OWNER, 0);
}

/* Challenges ------------------------------------------------------------------------------------------------------- */

/* DECISIONS 32: whoever has not shown that he receives gets 1.5 times what he sent at most. */
static bool is_too_much(const struct b2bua *b, const struct request *r, const struct out *o)
{
	return o->is_full || (!transport_is_stream(r->from->transport) && !is_trusted(b, r->from) &&
	                      2 * ((size_t)(o->at - o->begin) + END_LEN) > 3 * (size_t)r->v->len);
}

static void write_challenge(struct b2bua *b, const struct request *r, const struct auth_query *q, bool is_stale, unsigned bits,
                            struct out *o)
{
	unsigned status = q->header == HDR_AUTHORIZATION ? 401 : 407;
	uint64_t id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));
	char tag[TOKEN_LEN];

	sip_stateless_begin(b->p.stack, r->v, r->from, status, SV(""), tag_token(b, r->shard, id, tag), o);
	auth_challenge(b->p.auth, q, is_stale, bits, o);
}

/* Exactly one answer, without state; one challenge if two do not fit, which is the one that everybody knows; else none. */
static void challenge(struct b2bua *b, const struct request *r, const struct auth_query *q, bool is_stale)
{
	unsigned bits = b->p.users->algorithms(b->p.users, q->domain);
	unsigned one = bits & 1u << DIGEST_MD5 ? 1u << DIGEST_MD5 : bits;
	struct out o;

	write_challenge(b, r, q, is_stale, bits, &o);
	if (is_too_much(b, r, &o) && one != bits)
		write_challenge(b, r, q, is_stale, one, &o);
	if (is_too_much(b, r, &o)) {
		counter_inc(auth_counters(b->p.auth), AUTH_SILENCES);
		return;
	}
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	counter_inc(auth_counters(b->p.auth), AUTH_CHALLENGES);
	log_debug(b->p.log, "request.challenged", "reason=%s stale=%d", call_reasons[WHY_CHALLENGE].id, is_stale);
	sip_stateless_send(b->p.stack, r->from, &o);
}

/* Users ------------------------------------------------------------------------------------------------------------ */

/* What the source says. AUTH_ASK: nothing, now. */
static enum auth_verdict ask(struct b2bua *b, const struct auth_query *q, struct caller *c)
{
	int err = b->p.users->find(b->p.users, q->domain, digest_user(&c->credentials), &c->keys);

	if (err && err != -ENOENT)
		return AUTH_ASK;
	return auth_judge(b->p.auth, q, &c->credentials, err ? NULL : &c->keys);
}

bool caller_shows(struct b2bua *b, const struct request *r, const struct conf_registrar *domain, uint8_t header, struct sv about,
                  struct caller *out)
{
	const struct auth_query q = { .v = r->v, .from = r->from, .domain = domain, .zone = b->conf->zones[path_zone(b, r->from)].name,
	                              .about = about, .header = header, .key = r->key, .wall_ms = b->p.wall_ms(b->p.ctx) };
	enum auth_verdict verdict = auth_read(b->p.auth, &q, &out->credentials);

	if (verdict == AUTH_ASK)
		verdict = ask(b, &q, out);
	switch (verdict) {
	case AUTH_GOOD:
		return true;
	case AUTH_BAD:
		refuse(b, r, WHY_BAD_CREDENTIALS, 0);
		return false;
	case AUTH_ASK:
		counter_inc(auth_counters(b->p.auth), AUTH_UNANSWERED);
		refuse(b, r, WHY_USERS, 0);
		return false;
	default:
		challenge(b, r, &q, verdict == AUTH_STALE);
		return false;
	}
}
