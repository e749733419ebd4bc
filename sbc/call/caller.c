#include "sbc/call/caller.h"
#include "sbc/call/transfer.h"
#include "sbc/call/waiting.h"
#include "apps-router/route.h"
#include <errno.h>
#include <stdlib.h>

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
	unsigned had = b->p.users->algorithms(b->p.users, q->domain) & q->domain->algorithms;
	unsigned bits = had ? had : q->domain->algorithms; /* nobody has what is wanted: nobody gets anything else */
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

/* A question on its way to a source. The request that waits for the answer may be gone before it comes. */
struct asking {
	struct user_ask ask;
	struct parked deadline;
	struct b2bua *b;
	uint64_t ticket;           /* of what waits */
};

static void asking_end(struct asking *a)
{
	park_cancel(&a->deadline);
	free(a);
}

static void asking_forget(struct asking *a)
{
	a->b->p.users->cancel(a->b->p.users, &a->ask);
	asking_end(a);
}

static void asking_late(struct parked *job, int result)
{
	(void)result; /* the request was answered already, or the worker ends */
	asking_forget(owner_of(job, struct asking, deadline));
}

static void go_on(struct b2bua *b, struct request *r, void *with)
{
	if (!r)
		return;
	r->asked = with;
	b2bua_dispatch(b, r);
}

static void answered(struct user_ask *ask, int err, const struct user_keys *keys)
{
	struct asking *a = owner_of(ask, struct asking, ask);
	struct waiting *w = waiting_find(a->b, a->ticket);
	struct asked asked = { err, keys };

	asking_end(a);
	if (w)
		waiting_end(w, go_on, &asked);
}

/* The request waits, and comes again with the answer. 0, or why it cannot. */
static int ask_later(struct b2bua *b, const struct request *r, const struct auth_query *q, struct sv user)
{
	struct asking *a = malloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	*a = (struct asking){ .ask.answer = answered, .b = b, .ticket = ++b->last_ticket };
	if (park(b->p.park, &a->deadline, b->p.wheel->now_ms + WAITING_MS + 1, asking_late) ||
	    b->p.users->ask(b->p.users, q->domain, user, &a->ask)) {
		asking_end(a);
		return -ENOBUFS;
	}
	if (!waiting_new(b, r, a->ticket, WHY_USERS, USERS_UNANSWERED)) {
		asking_forget(a);
		return -ENOBUFS;
	}
	counter_inc(&b->counters, USERS_ASKED);
	return 0;
}

/* 0, or -ENOENT: there is nobody of that name. -EINPROGRESS: the request waits. Else nobody can say. */
static int find_keys(struct b2bua *b, const struct request *r, const struct auth_query *q, struct caller *c)
{
	struct sv user = digest_user(&c->credentials);
	int err;

	if (r->asked) {
		if (!r->asked->err)
			c->keys = *r->asked->keys;
		return r->asked->err == -EINPROGRESS ? -EIO : r->asked->err;
	}
	err = b->p.users->find(b->p.users, q->domain, user, &c->keys);
	return err == -EINPROGRESS && ask_later(b, r, q, user) ? -EIO : err;
}

/* What an answer has to say to it. False: nothing, it waits. */
static bool judge(struct b2bua *b, const struct request *r, const struct auth_query *q, struct caller *c, enum auth_verdict *verdict)
{
	int err;

	*verdict = auth_read(b->p.auth, q, &c->credentials);
	if (*verdict != AUTH_ASK)
		return true;
	err = find_keys(b, r, q, c);
	if (!err || err == -ENOENT)
		*verdict = auth_judge(b->p.auth, q, &c->credentials, err ? NULL : &c->keys);
	else if (err != -EINPROGRESS)
		counter_inc(&b->counters, USERS_UNANSWERED);
	return err != -EINPROGRESS;
}

bool caller_shows(struct b2bua *b, const struct request *r, const struct conf_registrar *domain, uint8_t header, struct sv about,
                  struct caller *out)
{
	const struct auth_query q = { .v = r->v, .from = r->from, .domain = domain, .zone = b->conf->zones[path_zone(b, r->from)].name,
	                              .about = about, .header = header, .key = r->key, .wall_ms = b->p.wall_ms(b->p.ctx) };
	enum auth_verdict verdict;

	if (!judge(b, r, &q, out, &verdict))
		return false;
	if (verdict == AUTH_GOOD)
		return true;
	if (verdict == AUTH_BAD)
		refuse(b, r, WHY_BAD_CREDENTIALS, 0);
	else if (verdict == AUTH_ASK)
		refuse(b, r, WHY_USERS, 0);
	else
		challenge(b, r, &q, verdict == AUTH_STALE);
	return false;
}

/* Rules ------------------------------------------------------------------------------------------------------------ */

/* A telephone number belongs to whom the file of users says. */
static bool owns_uri(const struct caller *c, const struct conf *conf, const struct conf_registrar *domain, struct sv text)
{
	struct aor aor;
	struct uri u;

	if (uri_parse(&u, text))
		return false;
	if (u.scheme == URI_TEL)
		return caller_owns(c, (struct sv){ u.opaque.p, sv_chr(u.opaque, ';') }, SV(""));
	return aor_of_uri(&aor, &u) == 0 && conf_find_registrar(conf, aor_host(&aor)) == domain &&
	       caller_owns(c, aor_user(&aor), aor_host(&aor));
}

static bool owns_all(const struct caller *c, const struct conf *conf, const struct conf_registrar *domain, const struct view *v,
                     enum hdr_id id)
{
	struct name_addr na;

	for (const struct hdr *h = view_find(v, id, 0); h; h = view_find(v, id, (unsigned)(h - v->h) + 1)) {
		struct sv rest = hdr_value(v, h);
		int err;

		while (!(err = name_addr_next(&na, &rest)))
			if (!owns_uri(c, conf, domain, na.uri))
				return false;
		if (err != -ENOENT)
			return false;
	}
	return true;
}

/* Somebody of a domain whose users we know can be asked; of others nothing can be known. */
static const struct conf_registrar *domain_of_caller(const struct b2bua *b, const struct view *v)
{
	const struct conf_registrar *domain;
	struct aor aor;

	if (aor_of_value(&aor, view_value(v, HDR_FROM)) || !(domain = conf_find_registrar(b->conf, aor_host(&aor))))
		return NULL;
	return conf_has_users(domain) ? domain : NULL;
}

bool caller_admits(struct b2bua *b, const struct request *r, struct route_query *q, struct route_result *result)
{
	const struct conf_registrar *domain = domain_of_caller(b, r->v);
	struct caller c;

	if (!domain)
		return true;
	if (!caller_shows(b, r, domain, HDR_PROXY_AUTHORIZATION, view_value(r->v, HDR_CALL_ID), &c))
		return false;
	if (!owns_all(&c, b->conf, domain, r->v, HDR_FROM) || !owns_all(&c, b->conf, domain, r->v, HDR_P_ASSERTED_IDENTITY) ||
	    !owns_all(&c, b->conf, domain, r->v, HDR_P_PREFERRED_IDENTITY)) {
		caller_refuse(b, r);
		return false;
	}
	q->is_authenticated = true;
	route_find(b->conf, q, result);
	return true;
}
