/* sbc/call/register.c - REGISTER for a domain of `registrar` (RFC 3261 §10.3): may it, from whom, for whom. What it does to the bindings
 * is registrar/register.h. Answered without a transaction: a repetition changes nothing and gets the same answer again. */
#include "sbc/call/caller.h"
#include "sbc/call/pass.h"
#include "registrar/register.h"
#include <stdio.h>
#include <time.h>

enum {
	LINE_MAX_BYTES = 64,
	ANSWER_TIMES = 3, /* as long as its request, for who may have sent a stranger's address as his own */
};

/* What is known of the request on its way through. */
struct register_job {
	struct b2bua *b;
	const struct request *r;
	const struct registrant *to;
	struct register_request q;
	struct register_done done;
	uint8_t shown;             /* enum shown */
};

/* Which contacts an answer names: fewer when it would be too much. */
enum shown { SHOW_ALL, SHOW_FLOW, SHOW_OWN, SHOW_NONE };

static const uint8_t why_of[] = {
	[REGISTER_BAD_CONTACT] = WHY_REGISTER_CONTACT, [REGISTER_BAD_STAR] = WHY_REGISTER_STAR, [REGISTER_BAD_PATH] = WHY_REGISTER_PATH,
	[REGISTER_TOO_BRIEF] = WHY_REGISTER_BRIEF, [REGISTER_OLD] = WHY_REGISTER_OLD, [REGISTER_TOO_MANY] = WHY_REGISTER_MANY,
	[REGISTER_NO_OUTBOUND] = WHY_REGISTER_OUTBOUND, [REGISTER_OURS] = WHY_REGISTER_MINE, [REGISTER_FULL] = WHY_FULL,
};

/* Requests that are refused ------------------------------------------------------------------------------------------ */

static bool is_supported(struct sv tag)
{
	return sv_ieq(tag, SV("path")) || sv_ieq(tag, SV("outbound")) || sv_ieq(tag, SV("gruu"));
}

/* §8.2.2.3: the line that says what is required and cannot be had; empty when all can. */
static struct sv unsupported_line(const struct view *v, char area[UNSUPPORTED_MAX])
{
	bool any = false;
	struct out o;

	out_init(&o, area, UNSUPPORTED_MAX);
	for (unsigned i = v->first[HDR_REQUIRE]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]), tag;

		while (v->h[i - 1].id == HDR_REQUIRE && list_next(&tag, &rest)) {
			if (is_supported(tag) || o.is_full)
				continue;
			out_sv(&o, any ? SV(", ") : SV("Unsupported: "));
			out_unfolded(&o, tag);
			any = true;
		}
	}
	out_lit(&o, "\r\n");
	if (o.is_full) /* there is no room to name them */
		return SV("Unsupported: *\r\n");
	return any ? out_done(&o) : SV("");
}

static void refuse_number(const struct register_job *job, enum why why, const char *header, unsigned number)
{
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof(line), "%s: %u\r\n", header, number);

	refuse_with(job->b, job->r, why, 0, (struct sv){ line, (size_t)n });
}

/* One that will only be challenged takes no place: its client comes at once again, with credentials. */
static bool takes_place(const struct register_job *job)
{
	const struct conf_registrar *d = job->q.domain;

	return d->rate && (d->auth == AUTH_NONE || view_find(job->r->v, HDR_AUTHORIZATION, 0) || is_trusted(job->b, job->r->from));
}

/* Is there time for it now, by the domain's rate? Those who are registered come first. False: it was answered. */
static bool register_has_place(const struct register_job *job)
{
	const struct conf_registrar *d = job->q.domain;
	struct b2bua *b = job->b;
	bool is_known;
	unsigned wait_s;

	if (!takes_place(job))
		return true;
	is_known = registrar_find(b->p.registrar, job->q.aor_key);
	wait_s = admit(&b->p.admissions[d - b->conf->registrars], d->rate, b->p.wheel->now_ms, is_known);
	if (wait_s)
		refuse_number(job, WHY_REGISTER_RATE, "Retry-After", wait_s);
	return !wait_s;
}

/* Steps 1 to 5 but for who it is ------------------------------------------------------------------------------------ */

/* §10.2: nobody may register another, unless we trust whoever does it. Mostly From is To, letter for letter. */
static bool is_for_another(const struct register_job *job)
{
	struct name_addr from;
	struct aor aor;

	if (name_addr_parse(&from, view_value(job->r->v, HDR_FROM)))
		return !is_trusted(job->b, job->r->from);
	if (sv_eq(from.uri, job->to->uri))
		return false;
	return !is_trusted(job->b, job->r->from) && (aor_parse(&aor, from.uri) || !sv_eq(aor_sv(&aor), aor_sv(&job->to->aor)));
}

/* To was read where the request came in, unless it has waited or came from another worker. False: it is none that can register. */
static bool read_to(struct register_job *job, struct registrant *area)
{
	job->to = job->r->to;
	if (!job->to && registrant_of_value(area, token_hash_key(job->b->p.tokens), view_value(job->r->v, HDR_TO)) == 0)
		job->to = area;
	return job->to;
}

/* What is wrong with it, before anybody is asked who he is; WHY_COUNT: nothing. */
static enum why register_fault(struct register_job *job, const struct uri *uri, struct registrant *area)
{
	if (uri->user.len || uri->scheme == URI_TEL)
		return WHY_REGISTER_URI;
	if (!read_to(job, area) ||
	    (!sv_ieq(aor_host(&job->to->aor), uri->host) && conf_find_registrar(job->b->conf, aor_host(&job->to->aor)) != job->q.domain))
		return WHY_REGISTER_TO;
	if (is_for_another(job))
		return WHY_REGISTER_FROM;
	return WHY_COUNT;
}

/* Who sends it, and may he register this AOR (§10.3 steps 3 and 4)? Nothing has changed yet. False: it was answered. */
static bool register_is_permitted(const struct register_job *job)
{
	struct caller caller;

	if (job->q.domain->auth == AUTH_NONE || is_trusted(job->b, job->r->from))
		return true;
	if (!caller_shows(job->b, job->r, job->q.domain, HDR_AUTHORIZATION, aor_sv(&job->to->aor), &caller))
		return false;
	if (caller_owns(&caller, aor_user(&job->to->aor), aor_host(&job->to->aor)))
		return true;
	caller_refuse(job->b, job->r);
	return false;
}

/* Answers ------------------------------------------------------------------------------------------------------------- */

static bool is_our_contact(void *ctx, const struct uri *contact)
{
	static const uint8_t kinds[] = { TOKEN_LEG, TOKEN_BINDING, TOKEN_TRANSFER };
	const struct b2bua *b = ctx;
	struct token t;

	for (size_t i = 0; contact->user.len == TOKEN_LEN && i < sizeof(kinds); i++)
		if (token_read(b->p.tokens, kinds[i], contact->user, &t) == 0)
			return true;
	return false;
}

/* Was it registered by this very request? */
static bool is_own(const struct b2bua *b, const struct view *v, const struct binding *binding)
{
	return binding->cseq == v->cseq && binding->call_id == registrar_call_id(b->p.registrar, view_value(v, HDR_CALL_ID));
}

/* Nothing of one zone is shown in another, not even a user's own contacts. */
static bool is_shown(void *ctx, const struct register_request *q, const struct binding *binding)
{
	const struct register_job *job = ctx;

	switch (job->shown) {
	case SHOW_ALL:
		return path_zone(job->b, &binding->path) == path_zone(job->b, q->from);
	case SHOW_FLOW:
		return path_eq(&binding->path, q->from);
	case SHOW_OWN:
		return is_own(job->b, q->v, binding);
	default:
		return false;
	}
}

static size_t temp_gruu(void *ctx, const struct binding *binding, char out[64])
{
	const struct register_job *job = ctx;

	token_write(job->b->p.tokens, TOKEN_BINDING,
	            (struct token){ .id = binding->by_id.key, .shard = registration_shard(binding->aor) }, out);
	return TOKEN_LEN;
}

/* RFC 3261 §20.17: clients set their clocks by it. Written once a second. */
static void write_date(struct b2bua *b, struct out *o)
{
	time_t now = (time_t)(b->p.wall_ms(b->p.ctx) / 1000);
	struct date_line *line = &b->date;
	struct tm tm;

	if (line->s != now || !line->len)
		line->len = strftime(line->text, sizeof(line->text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&now, &tm));
	line->s = now;
	out_sv(o, (struct sv){ line->text, line->len });
}

static void write_answer(struct register_job *job, struct out *o)
{
	const struct register_answer a = { .request = &job->q, .done = job->done, .is_shown = is_shown,
	                                   .temp_gruu = temp_gruu, .ctx = job };
	const struct request *r = job->r;
	struct b2bua *b = job->b;
	uint64_t id = token_tag_id(b->p.tokens, 0, 0, view_value(r->v, HDR_CALL_ID));
	char tag[TOKEN_LEN];

	sip_stateless_begin(b->p.stack, r->v, r->from, 200, SV(""), tag_token(b, r->shard, id, tag), o);
	register_answer_write(b->p.registrar, &a, o);
	write_date(b, o);
}

/* DECISIONS 32. Credentials hold a nonce: who shows some has received it. */
static bool is_too_much(const struct register_job *job, const struct out *o)
{
	const struct request *r = job->r;

	return o->is_full || (job->q.domain->auth == AUTH_NONE && !transport_is_stream(r->from->transport) &&
	                      !is_trusted(job->b, r->from) &&
	                      (size_t)(o->at - o->begin) > ANSWER_TIMES * (size_t)r->v->len);
}

static void answer(struct register_job *job)
{
	struct b2bua *b = job->b;
	struct out o;

	write_answer(job, &o);
	while (is_too_much(job, &o) && job->shown < SHOW_NONE) {
		if (job->shown++ == SHOW_ALL)
			counter_inc(&b->counters, REGISTERS_CUT);
		write_answer(job, &o);
	}
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	sip_stateless_send(b->p.stack, job->r->from, &o);
}

static void register_contacts(struct register_job *job)
{
	enum register_result result = registrar_register(job->b->p.registrar, &job->q, &job->done);

	if (result == REGISTER_TOO_BRIEF)
		refuse_number(job, WHY_REGISTER_BRIEF, "Min-Expires", (job->q.domain->expires.min_ms + 999) / 1000);
	else if (result)
		refuse(job->b, job->r, why_of[result], 0);
	else
		answer(job);
	if (job->r->is_flow_closed) /* while it waited: what it made goes as if it had been there before */
		registrar_flow_closed(job->b->p.registrar, job->b->conf, job->r->from->flow);
	if (job->done.is_new)
		nat_count(job->b, job->r);
}

static void ignore_contact(void *ctx, const struct register_contact *c)
{
	(void)ctx;
	(void)c;
}

/* To the registrar behind us, which judges it: here only what would make no sense there. */
static void register_passes(const struct register_job *job, const struct conf_route *rule)
{
	enum register_result result = registrar_contacts(job->b->p.registrar, &job->q, ignore_contact, NULL);

	if (result)
		refuse(job->b, job->r, why_of[result], 0);
	else
		pass_register(job->b, job->r, &job->q, rule);
}

void register_request(struct b2bua *b, const struct request *r, const struct uri *uri, const struct conf_route *rule)
{
	struct register_job job = { .b = b, .r = r, .q = { .v = r->v, .from = r->from, .is_ours = is_our_contact, .ctx = b } };
	char area[UNSUPPORTED_MAX];
	struct registrant to;
	struct sv line;
	enum why why;

	job.q.domain = conf_find_registrar(b->conf, uri->host);
	if (!job.q.domain) {
		if (!b->conf->zones[path_zone(b, r->from)].is_silent_unknown)
			refuse(b, r, WHY_NO_DOMAIN, 0);
		return;
	}
	if ((line = unsupported_line(r->v, area)).len) {
		refuse_with(b, r, WHY_REGISTER_REQUIRE, 0, line);
		return;
	}
	if ((why = register_fault(&job, uri, &to)) != WHY_COUNT) {
		refuse(b, r, why, 0);
		return;
	}
	job.q.aor = &job.to->aor;
	job.q.aor_key = job.to->key;
	if (!register_is_permitted(&job) || !register_has_place(&job)) /* a place is only for who may have it */
		return;
	if (job.q.domain->mode == REGISTRAR_LOCAL)
		register_contacts(&job);
	else
		register_passes(&job, rule);
}
