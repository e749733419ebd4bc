/* Storms: ten thousand calls at a time over bad networks, dying servers and callers of every kind; whatever happens, every call ends at
 * both ends, every request is answered once, nothing of one side is seen on the other, and nothing stays behind (DESIGN §9).
 *
 * Everything follows from the seed. `flow-storm SEED WORKERS [CALLS [TRACED | noise]]` replays one storm; TRACED is the number of
 * a call whose messages are printed as its ends see them. */
#include "tests/flow/flow.h"
#include "tests/flow/ua.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CALLS = 2000 };
#else
enum { CALLS = 10000 };
#endif
enum { SEEDS = 20, CALLERS = 40, SERVERS = 3, FORKS = 3, MIDS = 3, BELLS = 6, CALLS_PER_S = 400 };
enum { END_MS = 720000, PATIENCE_MS = 40000, STALE_MS = 20000 };

#define STORM_YAML \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, answer-timeout: 30s, failover: { after: 2s, on: [503], tries: 3 }, destinations: [" \
	"{ name: a, uri: \"sip:10.0.0.21:5060\" }, { name: b, uri: \"sip:10.0.0.22:5060\" }, " \
	"{ name: c, uri: \"sip:10.0.0.23:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 90s }]\n"

/* Neutral addresses: bodies pass as they are. */
#define BODY "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
#define WITH_BODY "Content-Type: application/sdp\r\n"

enum fate { ANSWERED, BUSY, DECLINED, REDIRECTED, UNANSWERED, OVERLOADED_FIRST };
enum hangup { BY_CALLER, BY_CALLEE, BY_BOTH };
enum forgery { FORGED_TAG, FORGED_CALL_ID, FORGED_FROM_TAG, FORGED_ZONE, FORGERIES };

/* What one call is going to do, whatever happens to it. */
struct plan {
	uint8_t fate, hangup, forks, forgery;
	bool cancels, asks_credentials, offers_late, is_reliable, never_acks, byes_first, answers_twice, forges, trying;
	bool has_timer, has_more;   /* RFC 4028: each side has us refresh it; the far one wants a longer interval first */
	bool pracks_late, pracks_wrong, rings_twice, updates_early, byes_early, cancels_late, speaks_late;
	uint32_t start_ms, cancel_ms, ring_ms, answer_ms, talk_ms, forge_ms, prack_ms, late_ms;
	uint16_t late_status;       /* of what is said when its branch is dead */
	struct mid {
		uint32_t at_ms;
		uint8_t method;
		bool by_callee;
	} mid[MIDS];
	unsigned mids;
};

struct storm_call;

/* One end of a dialog. */
struct end {
	struct ua *ua;
	struct storm_call *call;
	const struct bell *bell;    /* of a callee */
	struct timer hangup, mid, answer, again;
	enum { WAITING, TALKING, ENDED } state;
	unsigned next_mid, fork;
	uint64_t since_ms;
	bool is_callee, has_answered;
};

/* One server that was asked: an INVITE and the ends that may come of it. */
struct bell {
	struct storm_call *call;
	struct ua *ua;
	struct ua_server *invite;
	struct timer timer, late;
	struct buf *stray;          /* said then */
	struct end fork[FORKS];
	unsigned seq, step;
	bool is_refusing, is_asking, is_short;
};

struct storm_call {
	struct storm *storm;
	unsigned number, invites, cdrs, n_bells;
	struct plan plan;
	struct end caller;
	struct ua_client *invite;
	struct timer start, cancel, ack, forge;
	struct bell *bell[BELLS];
	uint64_t invited_ms;
	bool knows_credentials, has_cancelled, has_death, said_bye, is_finished;
	uint16_t status;
	struct early {              /* reliable provisionals that were, or will be, acknowledged */
		struct timer timer;
		struct storm_call *call;
		char tag[64], target[160];
		unsigned fork;
	} early[4];
};

struct storm {
	struct ua_world world;
	struct rig *rig;
	uint64_t seed;
	unsigned calls, traced;
	struct storm_call *call;
	char callers[CALLERS][24];
	uint16_t edge, core;
	struct timer death, reload;
	bool is_dead[SERVERS], has_deaths, is_noisy;
	unsigned deaths;
};

static const char *const servers[SERVERS] = { "10.0.0.21:5060", "10.0.0.22:5060", "10.0.0.23:5060" };

static uint64_t roll(struct storm *s, uint64_t n)
{
	return rig_random(s->rig, n);
}

static bool chance(struct storm *s, unsigned percent)
{
	return roll(s, 100) < percent;
}

static void in(struct storm *s, struct timer *t, void (*fire)(struct timer *t), uint64_t ms)
{
	t->fire = fire;
	wheel_arm(&s->rig->clock, t, s->rig->now_ms + ms);
}

/* Plans ------------------------------------------------------------------------------------------------------------ */

static uint8_t some_fate(struct storm *s)
{
	static const uint8_t of[20] = { BUSY, BUSY, DECLINED, REDIRECTED, UNANSWERED, OVERLOADED_FIRST };

	return of[roll(s, 20)];
}

static void plan_talk(struct storm *s, struct plan *p)
{
	static const uint8_t methods[] = { M_INVITE, M_INVITE, M_UPDATE, M_INFO };

	p->talk_ms = (uint32_t)roll(s, 8000);
	p->hangup = (uint8_t)(chance(s, 20) ? BY_BOTH : roll(s, 2));
	p->mids = chance(s, 40) ? (unsigned)roll(s, MIDS + 1) : 0;
	for (unsigned i = 0; i < p->mids; i++)
		p->mid[i] = (struct mid){ .at_ms = (uint32_t)roll(s, p->talk_ms + 1), .method = methods[roll(s, 4)],
		                          .by_callee = chance(s, 50) };
	if (p->mids > 1 && chance(s, 50)) { /* both at once: glare */
		p->mid[1] = p->mid[0];
		p->mid[1].by_callee = !p->mid[0].by_callee;
	}
}

static const uint16_t late_statuses[] = { 100, 180, 183, 199, 302, 404, 486, 487, 500, 503, 603 };

static struct plan plan_new(struct storm *s, unsigned number)
{
	struct plan p = { .fate = some_fate(s), .start_ms = number * 1000 / CALLS_PER_S };

	p.forks = (uint8_t)(chance(s, 70) ? 1 : 2 + roll(s, FORKS - 1));
	p.cancels = chance(s, 15);
	p.cancel_ms = (uint32_t)roll(s, 5000);
	p.asks_credentials = chance(s, 8);
	p.offers_late = chance(s, 10);
	p.is_reliable = chance(s, 20);
	p.never_acks = chance(s, 2);
	p.byes_first = chance(s, 3);
	p.answers_twice = p.forks > 1 && chance(s, 30);
	p.trying = chance(s, 50);
	p.ring_ms = (uint32_t)roll(s, 1500);
	p.answer_ms = chance(s, 10) ? 0 : (uint32_t)roll(s, 3000);
	p.forges = chance(s, 10);
	p.forgery = (uint8_t)roll(s, FORGERIES);
	p.forge_ms = (uint32_t)roll(s, 6000);
	p.pracks_late = chance(s, 30);
	p.pracks_wrong = chance(s, 10);
	p.prack_ms = (uint32_t)roll(s, 4000);
	p.rings_twice = chance(s, 20);
	p.updates_early = chance(s, 50);
	p.byes_early = p.forks == 1 && p.fate != OVERLOADED_FIRST && chance(s, 4);
	p.cancels_late = chance(s, 3);
	p.speaks_late = chance(s, 10);
	p.late_ms = 4000 + (uint32_t)roll(s, 66000); /* what was said in time has come by then, however often it was lost */
	p.late_status = late_statuses[roll(s, sizeof(late_statuses) / sizeof(*late_statuses))];
	plan_talk(s, &p);
	p.has_timer = number % 7 == 3;
	p.has_more = number % 5 == 3;
	if (p.has_timer && number % 2)
		p.talk_ms += 50000; /* beyond half of the interval */
	return p;
}

/* Both ends -------------------------------------------------------------------------------------------------------- */

static const char *said(const struct storm_call *c, const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text), "X-Call: %u\r\n%s", c->number, more);
	return text;
}

static void end_over(struct end *e)
{
	struct wheel *w = &e->call->storm->rig->clock;

	e->state = ENDED;
	wheel_disarm(w, &e->hangup);
	wheel_disarm(w, &e->mid);
	wheel_disarm(w, &e->answer);
	wheel_disarm(w, &e->again);
}

static void hang_up(struct end *e)
{
	if (e->state == ENDED || ua_asking(e->ua, M_BYE))
		return;
	e->call->said_bye = true;
	ua_request(e->ua, M_BYE, e->ua->peer_tag, said(e->call, ""), "");
}

static void hangup_fire(struct timer *t)
{
	hang_up(owner_of(t, struct end, hangup));
}

static void next_mid(struct end *e);

static void mid_fire(struct timer *t)
{
	struct end *e = owner_of(t, struct end, mid);
	const struct mid *m = &e->call->plan.mid[e->next_mid++];

	if (e->state == TALKING && !ua_asking(e->ua, M_BYE) &&
	    !(m->method == M_INVITE && (ua_asking(e->ua, M_INVITE) || ua_invite_of(e->ua))))
		ua_request(e->ua, m->method, e->ua->peer_tag, said(e->call, m->method == M_INFO ? "" : WITH_BODY),
		           m->method == M_INFO ? "" : BODY);
	next_mid(e);
}

static void next_mid(struct end *e)
{
	struct storm *s = e->call->storm;
	const struct plan *p = &e->call->plan;
	uint64_t at;

	while (e->next_mid < p->mids && p->mid[e->next_mid].by_callee != e->is_callee)
		e->next_mid++;
	if (e->next_mid >= p->mids)
		return;
	at = e->since_ms + p->mid[e->next_mid].at_ms;
	in(s, &e->mid, mid_fire, at > s->rig->now_ms ? at - s->rig->now_ms : 1);
}

static void talk(struct end *e)
{
	const struct plan *p = &e->call->plan;

	if (e->state != WAITING)
		return;
	e->state = TALKING;
	e->since_ms = e->call->storm->rig->now_ms;
	if (p->hangup == BY_BOTH || (p->hangup == BY_CALLEE) == e->is_callee)
		in(e->call->storm, &e->hangup, hangup_fire, p->talk_ms);
	else if (!e->is_callee) /* for a callee that dies */
		in(e->call->storm, &e->hangup, hangup_fire, p->talk_ms + PATIENCE_MS);
	next_mid(e);
}

static void answer_fire(struct timer *t)
{
	struct end *e = owner_of(t, struct end, answer);
	struct ua_server *s = ua_invite_of(e->ua);

	if (s && e->state != ENDED)
		ua_answer(e->ua, s, 200, said(e->call, WITH_BODY), BODY);
}

static void take_reinvite(struct end *e, struct ua_server *s)
{
	if (ua_asking(e->ua, M_INVITE))
		ua_answer(e->ua, s, 491, said(e->call, ""), "");
	else if (e->answer.pprev)
		ua_answer(e->ua, s, 500, said(e->call, "Retry-After: 1\r\n"), "");
	else
		in(e->call->storm, &e->answer, answer_fire, 1 + roll(e->call->storm, 300));
}

/* A fork whose answer is perhaps not the call's, or that of an attempt given up: the SBC ends it, and this end may do the same. */
static bool is_loser(const struct end *e)
{
	const struct storm_call *c = e->call;

	return e->is_callee && (c->plan.answers_twice || c->has_cancelled || c->n_bells > 1 || (!c->status && !e->ua->world->is_perfect));
}

static void take_bye(struct end *e, struct ua_server *s)
{
	const struct storm_call *c = e->call;
	struct ua_server *pending = ua_invite_of(e->ua);

	if (!c->said_bye && !c->has_death && !c->plan.never_acks && !is_loser(e))
		ua_fault(e->ua->world, e->ua, "BYE that nobody sent");
	ua_answer(e->ua, s, 200, said(c, ""), "");
	if (pending)
		ua_answer(e->ua, pending, 487, said(c, ""), "");
	if (e->is_callee && !e->bell->invite->status) { /* of an early dialog */
		ua_answer(e->ua, e->bell->invite, 487, said(c, ""), "");
		wheel_disarm(&c->storm->rig->clock, &((struct bell *)e->bell)->timer);
	}
	end_over(e);
}

static void within_dialog(struct end *e, struct ua_server *s)
{
	if (e->state == ENDED && s->method != M_BYE)
		ua_answer(e->ua, s, 481, said(e->call, ""), "");
	else if (s->method == M_BYE)
		take_bye(e, s);
	else if (s->method == M_INVITE)
		take_reinvite(e, s);
	else if (s->method == M_UPDATE && (ua_asking(e->ua, M_UPDATE) || (e->state == TALKING && ua_asking(e->ua, M_INVITE))))
		ua_answer(e->ua, s, 491, said(e->call, ""), "");
	else
		ua_answer(e->ua, s, 200, said(e->call, ""), "");
}

static void again_fire(struct timer *t)
{
	struct end *e = owner_of(t, struct end, again);

	if (e->state == TALKING && !ua_asking(e->ua, M_INVITE) && !ua_asking(e->ua, M_BYE) && !ua_invite_of(e->ua))
		ua_request(e->ua, M_INVITE, e->ua->peer_tag, said(e->call, WITH_BODY), BODY);
}

/* §14.1: the caller owns the Call-ID of his leg, the callee does not. */
static void ask_again(struct end *e)
{
	struct storm *s = e->call->storm;

	if (e->state == TALKING)
		in(s, &e->again, again_fire, e->is_callee ? roll(s, 200) * 10 : 2100 + roll(s, 190) * 10);
}

static void answered_within(struct end *e, struct ua_client *c)
{
	bool is_fine = c->status == 200 || c->status == 481 || e->call->has_death;

	if (c->method == M_BYE) {
		if (c->status != 200 && !(c->status == 481 && is_loser(e)) && !e->call->has_death)
			ua_fault(e->ua->world, e->ua, "BYE answered %u", c->status);
		end_over(e);
	} else if (c->method == M_INVITE && c->status < 300) {
		ua_ack(c, said(e->call, ""), "");
	} else if (c->method == M_INVITE && c->status == 491) {
		ask_again(e);
	} else if (!is_fine && c->method == M_INVITE && c->status != 487 && c->status != 500) {
		ua_fault(e->ua->world, e->ua, "re-INVITE answered %u", c->status);
	} else if (!is_fine && c->method != M_INVITE && !(c->method == M_UPDATE && c->status == 491) &&
	           (e->ua->world->is_perfect || c->status != 500)) {
		ua_fault(e->ua->world, e->ua, "%s answered %u", method_name(c->method), c->status);
	}
}

/* What the other end said of its call has to be of this call. */
static void same_call(struct ua *ua, const struct storm_call *c, const struct view *v)
{
	const struct hdr *h = view_find_name(v, SV("X-Call"), 0);
	uint64_t n = c->number;

	if (h && (sv_u64(hdr_value(v, h), UINT32_MAX, &n) || n != c->number))
		ua_fault(ua->world, ua, "a message of call %lu", (unsigned long)n);
}

static uint64_t number_in(const struct view *v, struct sv name)
{
	const struct hdr *h = view_find_name(v, name, 0);
	uint64_t n = 0;

	return h && sv_u64(hdr_value(v, h), UINT32_MAX, &n) == 0 ? n : 0;
}

/* Callees ---------------------------------------------------------------------------------------------------------- */

static const char *bell_said(struct bell *b, const struct end *fork, const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text), "X-Call: %u\r\nX-Seq: %u\r\nX-Fork: %u\r\n%s", b->call->number, ++b->seq, fork->fork, more);
	return text;
}

static void bell_over(struct bell *b)
{
	wheel_disarm(&b->call->storm->rig->clock, &b->timer);
	for (unsigned i = 0; i < b->call->plan.forks; i++)
		if (!b->fork[i].has_answered)
			end_over(&b->fork[i]);
}

static void ring(struct bell *b)
{
	const struct plan *p = &b->call->plan;
	static const char reliable[] = "Require: 100rel\r\nRSeq: 1\r\n";

	for (unsigned i = 0; i < p->forks * (p->rings_twice ? 2u : 1u); i++) {
		struct end *fork = &b->fork[i % p->forks];

		ua_answer(fork->ua, b->invite, p->is_reliable ? 183 : 180, bell_said(b, fork, p->is_reliable ? reliable : ""), "");
	}
}

static void pick_up(struct bell *b, struct end *fork)
{
	static const char by_update[] = WITH_BODY "Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n";
	static const char by_invite[] = WITH_BODY "Session-Expires: 90;refresher=uac\r\nAllow: INVITE\r\n";
	const struct storm_call *c = b->call;

	ua_answer(fork->ua, b->invite, 200, bell_said(b, fork, !c->plan.has_timer ? WITH_BODY : c->number % 4 == 1 ? by_update : by_invite), BODY);
	fork->has_answered = true;
}

static void refuse(struct bell *b, unsigned status)
{
	const char *more = status == 407 ? "Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"abc\"\r\n" :
	                   status == 422 ? "Min-SE: 100\r\n" : "";

	ua_answer(b->fork[0].ua, b->invite, status, bell_said(b, &b->fork[0], more), "");
	bell_over(b);
}

static void decide(struct bell *b)
{
	const struct plan *p = &b->call->plan;

	if (p->fate == OVERLOADED_FIRST && b->call->n_bells == 1)
		refuse(b, 503);
	else if (p->fate == BUSY)
		refuse(b, 486);
	else if (p->fate == DECLINED)
		refuse(b, 603);
	else if (p->fate == REDIRECTED)
		refuse(b, 302);
	else if (p->fate != UNANSWERED) {
		struct end *first = &b->fork[b->call->number % p->forks];

		pick_up(b, first);
		if (p->answers_twice)
			pick_up(b, &b->fork[(b->call->number + 1) % p->forks]);
		bell_over(b);
	}
}

static void late_fire(struct timer *t)
{
	struct bell *b = owner_of(t, struct bell, late);

	ua_send_stray(b->ua, b->stray);
}

/* Said when everything may be over, its branch as it was or not quite. */
static void speak_late(struct bell *b)
{
	const struct plan *p = &b->call->plan;
	size_t at;

	if (!p->speaks_late || b->stray)
		return;
	b->stray = ua_stray_answer(b->fork[0].ua, b->invite, p->late_status, "");
	at = sv_find(buf_sv(b->stray), SV("branch=z9hG4bK"));
	if (p->late_ms % 4 == 0 && at != SIZE_MAX)
		b->stray->data[at + 20] = b->stray->data[at + 20] == 'a' ? 'b' : 'a';
	in(b->call->storm, &b->late, late_fire, p->late_ms);
}

static void bell_fire(struct timer *t)
{
	struct bell *b = owner_of(t, struct bell, timer);
	const struct plan *p = &b->call->plan;

	if (b->ua->is_dead || b->invite->status)
		return;
	if (b->is_short) {
		refuse(b, 422);
	} else if (b->is_asking) {
		refuse(b, 407);
	} else if (b->step++ == 0) {
		if (p->ring_ms > 100 || p->answer_ms > 300 || p->is_reliable || p->fate == UNANSWERED || p->answers_twice)
			ring(b);
		in(b->call->storm, &b->timer, bell_fire, p->answer_ms);
	} else {
		decide(b);
		if (b->invite->status)
			speak_late(b);
	}
}

static unsigned server_at(const struct addr *a)
{
	for (unsigned i = 0; i < SERVERS; i++)
		if (a->ip[3] == 21 + i)
			return i;
	return 0;
}

/* Request-URI `sip:CALL@example.com`. */
static struct storm_call *call_of(struct storm *s, const struct view *v)
{
	struct uri u;
	uint64_t n;

	if (uri_parse(&u, view_uri(v)) || sv_u64(u.user, s->calls - 1, &n))
		return NULL;
	return &s->call[n];
}

static void fork_new(struct bell *b, unsigned i, const struct view *v)
{
	struct storm *s = b->call->storm;
	struct end *e = &b->fork[i];
	struct ua *ua;
	char tag[40];

	snprintf(tag, sizeof(tag), "FAR%lx", (unsigned long)++s->world.next_id);
	ua = ua_new(&s->world, b->ua->at, s->core, "FAR", view_value(v, HDR_CALL_ID), tag);
	*e = (struct end){ .ua = ua, .call = b->call, .bell = b, .fork = i, .is_callee = true };
	ua->owner = e;
	ua->number = b->call->number;
	ua->is_traced = b->ua->is_traced;
	ua->peer_cseq = v->cseq;
	ua->cseq = 100 * (i + 1);
	snprintf(ua->peer_tag, sizeof(ua->peer_tag), "%.*s", SV_ARG(tag_of(view_value(v, HDR_FROM))));
	snprintf(ua->local, sizeof(ua->local), "%.*s", SV_ARG(view_value(v, HDR_TO)));
	snprintf(ua->remote, sizeof(ua->remote), "%.*s", (int)sv_find(view_value(v, HDR_FROM), SV(";tag=")), view_value(v, HDR_FROM).p);
	struct sv contact = view_value(v, HDR_CONTACT);
	struct name_addr na = { .uri = SV("") };

	name_addr_next(&na, &contact);
	snprintf(ua->target, sizeof(ua->target), "%.*s", SV_ARG(na.uri));
	ua_listen(ua);
}

/* The INVITE came: forks, and what they will say when. */
static void bell_begin(struct bell *b, struct ua_server *invite, const struct view *v)
{
	struct storm_call *c = b->call;

	b->step = b->seq = 0;
	for (unsigned i = 0; i < c->plan.forks; i++) {
		if (b->invite) /* credentials have come: those who asked for them are gone */
			end_over(&b->fork[i]);
		fork_new(b, i, v);
	}
	b->invite = invite;
	b->is_asking = c->plan.asks_credentials && !view_find(v, HDR_PROXY_AUTHORIZATION, 0);
	b->is_short = c->plan.has_timer && c->plan.has_more && number_in(v, SV("Min-SE")) != 100;
	if (c->plan.trying)
		ua_answer(b->fork[0].ua, invite, 100, "", "");
	in(c->storm, &b->timer, bell_fire, c->plan.ring_ms);
}

static struct ua *on_invite(struct ua_world *w, const struct packet *p, const struct view *v)
{
	struct storm *s = w->ctx;
	struct storm_call *c = call_of(s, v);
	unsigned server = server_at(&p->to);
	struct bell *b;

	if (!c || c->n_bells == BELLS) {
		ua_fault(w, NULL, "an INVITE of no call:\n%s", p->bytes);
		return NULL;
	}
	if (s->is_dead[server]) {
		c->has_death = true;
		return NULL;
	}
	if (s->rig->now_ms > c->invited_ms + STALE_MS) /* what rings now would ring beyond timer B: nobody is left to cancel it */
		return NULL;
	b = c->bell[c->n_bells++] = calloc(1, sizeof(*b));
	assert_non_null(b);
	b->call = c;
	b->ua = ua_new(w, servers[server], s->core, "FAR", view_value(v, HDR_CALL_ID), "");
	b->ua->owner = b;
	b->ua->number = c->number;
	b->ua->is_traced = s->traced == c->number;
	ua_listen(b->ua);
	return b->ua;
}

static void on_request(struct ua *ua, struct ua_server *s, const struct view *v)
{
	struct end *e = ua->owner;

	if (!*ua->tag) {
		if (s->method == M_INVITE)
			bell_begin(ua->owner, s, v);
		else /* noise has taken its To-tag */
			ua_answer(ua, s, 481, "", "");
		return;
	}
	same_call(ua, e->call, v);
	if (s->method == M_PRACK) {
		uint32_t rseq = 0, cseq = 0;
		struct sv method;

		if (rack_parse(view_value(v, HDR_RACK), &rseq, &cseq, &method) || rseq < 1 || rseq > 2 || cseq != e->bell->invite->cseq)
			ua_fault(ua->world, ua, "RAck %u %u", rseq, cseq);
		if (rseq == 2) { /* acknowledges nothing: nobody loses a dialog by that (RFC 3262 §3) */
			ua_answer(ua, s, 481, said(e->call, ""), "");
			return;
		}
		if (number_in(v, SV("X-Fork")) != e->fork)
			ua_fault(ua->world, ua, "PRACK for another fork");
	}
	within_dialog(e, s);
	if (s->method == M_PRACK && e->state == WAITING && e->call->plan.updates_early && e->call->number % 2)
		ua_request(ua, M_UPDATE, ua->peer_tag, said(e->call, WITH_BODY), BODY);
}

static void on_cancel(struct ua *ua, struct ua_server *invite)
{
	struct bell *b = ua->owner;

	if (*ua->tag) { /* a re-INVITE: we end it */
		ua_answer(ua, invite, 487, said(((struct end *)ua->owner)->call, ""), "");
		return;
	}
	ua_answer(b->fork[0].ua, invite, 487, bell_said(b, &b->fork[0], ""), "");
	bell_over(b);
}

static void on_ack(struct ua *ua, struct ua_server *invite, const struct view *v)
{
	struct end *e = ua->owner;

	if (!*ua->tag || invite->status >= 300)
		return;
	same_call(ua, e->call, v);
	if (e->is_callee && invite->cseq == e->bell->invite->cseq && e->call->plan.offers_late && !v->body_len)
		ua_fault(ua->world, ua, "an ACK without the answer to a late offer");
	talk(e);
}

/* Callers ---------------------------------------------------------------------------------------------------------- */

static void invite_now(struct storm_call *c)
{
	char extra[320];

	c->invites++;
	c->invited_ms = c->storm->rig->now_ms;
	snprintf(extra, sizeof(extra), "X-Call: %u\r\n%s%s%s%s", c->number,
	         c->plan.has_timer ? "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n" : "", c->plan.is_reliable ? "Supported: 100rel\r\n" : "",
	         c->knows_credentials ? "Proxy-Authorization: Digest username=\"u\", realm=\"example.com\"\r\n" : "",
	         c->plan.offers_late ? "" : WITH_BODY);
	snprintf(c->caller.ua->target, sizeof(c->caller.ua->target), "sip:%u@example.com", c->number);
	c->invite = ua_request(c->caller.ua, M_INVITE, "", extra, c->plan.offers_late ? "" : BODY);
}

static void start_fire(struct timer *t)
{
	invite_now(owner_of(t, struct storm_call, start));
}

static void cancel_fire(struct timer *t)
{
	struct storm_call *c = owner_of(t, struct storm_call, cancel);

	if (!c->invite || c->invite->status)
		return;
	c->has_cancelled = true;
	ua_cancel(c->invite);
}

static void send_ack(struct storm_call *c)
{
	ua_ack(c->invite, said(c, c->plan.offers_late ? WITH_BODY : ""), c->plan.offers_late ? BODY : "");
}

static void ack_fire(struct timer *t)
{
	send_ack(owner_of(t, struct storm_call, ack));
}

/* §13.2.2.4, and what this caller makes of it. */
static void picked_up(struct storm_call *c, const struct view *v)
{
	struct ua *ua = c->caller.ua;
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na = { .uri = SV("") };

	if (name_addr_next(&na, &value))
		ua_fault(ua->world, ua, "a 2xx without Contact");
	snprintf(ua->target, sizeof(ua->target), "%.*s", SV_ARG(na.uri));
	snprintf(ua->peer_tag, sizeof(ua->peer_tag), "%.*s", SV_ARG(tag_of(view_value(v, HDR_TO))));
	if (c->plan.cancels_late)
		ua_cancel_late(c->invite);
	if (c->has_cancelled) {
		send_ack(c);
		c->caller.state = TALKING;
		hang_up(&c->caller);
	} else if (c->plan.never_acks) {
		c->caller.state = TALKING;
	} else if (c->plan.byes_first) {
		c->caller.state = TALKING;
		hang_up(&c->caller);
		in(c->storm, &c->ack, ack_fire, 20);
	} else {
		send_ack(c);
		talk(&c->caller);
	}
}

/* What this call may come to. */
static bool is_expected(const struct storm_call *c, unsigned status)
{
	static const uint16_t of[] = { [ANSWERED] = 200, [BUSY] = 486, [DECLINED] = 603, [REDIRECTED] = 302, [UNANSWERED] = 408,
		                       [OVERLOADED_FIRST] = 200 };

	if (status == of[c->plan.fate] || (c->has_cancelled && status == 487) || (c->plan.fate == OVERLOADED_FIRST && status == 500))
		return true;
	if (c->has_death && (status == 408 || status == 503 || status == 500))
		return true;
	return c->n_bells > 1 && (status == 500 || status == 408); /* the network lost what mattered */
}

static void refused(struct storm_call *c, unsigned status)
{
	if (status == 407 && c->plan.asks_credentials && !c->knows_credentials && !c->has_cancelled) {
		c->knows_credentials = true;
		c->status = 0;
		invite_now(c);
		return;
	}
	if (!is_expected(c, status) && !(status == 407 && c->has_cancelled))
		ua_fault(c->caller.ua->world, c->caller.ua, "INVITE answered %u", status);
	end_over(&c->caller);
}

/* Early requests of the caller carry the tag of their dialog; all go to one Contact. */
static void prack(struct storm_call *c, const struct early *e, unsigned rseq)
{
	char extra[160];

	snprintf(extra, sizeof(extra), "X-Call: %u\r\nX-Fork: %u\r\nRAck: %u %u INVITE\r\n", c->number, e->fork, rseq, c->invite->cseq);
	ua_request(c->caller.ua, M_PRACK, e->tag, extra, "");
}

static void prack_fire(struct timer *t)
{
	struct early *e = owner_of(t, struct early, timer);
	struct storm_call *c = e->call;
	struct ua *ua = c->caller.ua;

	if (c->caller.state == ENDED || ua_asking(ua, M_BYE))
		return;
	snprintf(ua->target, sizeof(ua->target), "%s", e->target);
	if (c->plan.pracks_wrong)
		prack(c, e, 2);
	prack(c, e, 1);
	if (c->plan.updates_early && c->number % 2 == 0 && !c->status && !ua_asking(ua, M_UPDATE))
		ua_request(ua, M_UPDATE, e->tag, said(c, WITH_BODY), BODY);
}

/* A tag that was not heard of before gets an early dialog. */
static struct early *early_of(struct storm_call *c, const struct view *v)
{
	struct sv tag = tag_of(view_value(v, HDR_TO)), value = view_value(v, HDR_CONTACT);
	struct name_addr na = { .uri = SV("") };

	for (unsigned i = 0; i < 4; i++) {
		struct early *e = &c->early[i];

		if (sv_eq(tag, sv_from(e->tag)))
			return NULL;
		if (*e->tag)
			continue;
		name_addr_next(&na, &value);
		e->call = c;
		e->fork = (unsigned)number_in(v, SV("X-Fork"));
		snprintf(e->tag, sizeof(e->tag), "%.*s", SV_ARG(tag));
		snprintf(e->target, sizeof(e->target), "%.*s", SV_ARG(na.uri));
		return e;
	}
	return NULL;
}

/* §15: the caller may hang up while it rings. */
static void bye_early(struct storm_call *c, const struct early *e)
{
	if (c->has_cancelled)
		return;
	c->has_cancelled = c->said_bye = true;
	snprintf(c->caller.ua->target, sizeof(c->caller.ua->target), "%s", e->target);
	ua_request(c->caller.ua, M_BYE, e->tag, said(c, ""), "");
}

static void take_provisional(struct storm_call *c, const struct view *v)
{
	struct early *e = tag_of(view_value(v, HDR_TO)).len && view_find(v, HDR_CONTACT, 0) ? early_of(c, v) : NULL;

	if (!e)
		return;
	if (c->plan.byes_early)
		bye_early(c, e);
	else if (view_find(v, HDR_RSEQ, 0))
		in(c->storm, &e->timer, prack_fire, c->plan.pracks_late ? c->plan.prack_ms : 0);
}

static void take_progress(struct storm_call *c, struct ua_client *invite, const struct view *v)
{
	uint64_t seq = number_in(v, SV("X-Seq"));

	if (seq && seq < invite->data && invite->ua->world->is_ordered)
		ua_fault(invite->ua->world, invite->ua, "%u overtaken: %lu after %u", v->status, (unsigned long)seq, invite->data);
	if (seq > invite->data)
		invite->data = (uint32_t)seq;
	if (v->status < 200) {
		take_provisional(c, v);
		return;
	}
	c->status = v->status;
	if (v->status < 300)
		picked_up(c, v);
	else
		refused(c, v->status);
}

static void on_response(struct ua *ua, struct ua_client *client, const struct view *v)
{
	struct end *e = ua->owner;

	same_call(ua, e->call, v);
	if (client == e->call->invite)
		take_progress(e->call, client, v);
	else if (v->status >= 200 && client->method != M_PRACK && client->method != M_CANCEL)
		answered_within(e, client);
}

static void on_unanswered(struct ua *ua, struct ua_client *c)
{
	struct end *e = ua->owner;

	if (!e->call->has_death || c == e->call->invite)
		ua_fault(ua->world, ua, "%s was never answered", method_name(c->method));
	if (c->method == M_BYE)
		end_over(e);
}

static void on_unacknowledged(struct ua *ua, struct ua_server *s)
{
	struct end *e = ua->owner;

	if (s->status < 300 && e->is_callee && e->state == WAITING && !is_loser(e))
		ua_fault(ua->world, ua, "2xx without ACK");
	if (s->status < 300)
		hang_up(e);
}

/* Forgers ---------------------------------------------------------------------------------------------------------- */

static void garble(char *text)
{
	size_t at = strlen(text) / 2;

	if (*text)
		text[at] = text[at] == 'a' ? 'b' : 'a';
}

static void forge_fire(struct timer *t)
{
	struct storm_call *c = owner_of(t, struct storm_call, forge);
	struct storm *s = c->storm;
	const struct ua *ua = c->caller.ua;
	char tag[64], from_tag[40], call_id[64], text[1024];
	int n;

	if (c->caller.state != TALKING || !*ua->peer_tag)
		return;
	strcpy(tag, ua->peer_tag);
	strcpy(from_tag, ua->tag);
	strcpy(call_id, ua->call_id);
	if (c->plan.forgery != FORGED_ZONE)
		garble(c->plan.forgery == FORGED_TAG ? tag : c->plan.forgery == FORGED_FROM_TAG ? from_tag : call_id);
	n = snprintf(text, sizeof(text),
	             "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKFORGED%u\r\nMax-Forwards: 70\r\n"
	             "From: %s;tag=%s\r\nTo: %s;tag=%s\r\n"
	             "Call-ID: %s\r\nCSeq: 9999 BYE\r\nContent-Length: 0\r\n\r\n",
	             ua->target, ua->at, c->number, ua->local, from_tag, ua->remote, tag, call_id);
	assert_true(n > 0 && (size_t)n < sizeof(text));
	rig_send_bytes(s->rig, &ua->addr, c->plan.forgery == FORGED_ZONE ? s->core : s->edge, text, (size_t)n);
}

static void on_stray(struct ua_world *w, const struct packet *p, const struct view *v)
{
	struct sv rest = view_value(v, HDR_VIA);
	struct via via;

	if (via_next(&via, &rest) == 0 && sv_find(via.branch, SV("FORGED")) != SIZE_MAX && (v->status == 481 || v->status == 200))
		return; /* 200: the call had ended meanwhile (RFC 5407 §3.2) */
	ua_fault(w, NULL, "a response to nothing:\n%s", p->bytes);
}

/* Weather, deaths, and looking on ----------------------------------------------------------------------------------- */

static bool has(const struct packet *p, const char *what, size_t len)
{
	return memmem(p->bytes, p->len, what, len) != NULL;
}

static void on_sent(void *ctx, const struct packet *p)
{
	bool leaks = p->to.ip[0] == 10 ? has(p, "NEAR", 4) || has(p, "192.0.2.", 8) || has(p, "203.0.113.", 10)
	                               : has(p, "FAR", 3) || has(p, "10.0.0.", 7);

	if (leaks)
		ua_fault(ctx, NULL, "one side sees the other:\n%s", p->bytes);
}

static void server_dies(struct storm *s, unsigned server)
{
	s->is_dead[server] = true;
	s->deaths++;
	list_each(n, &s->world.all) {
		struct ua *ua = owner_of(n, struct ua, in_all);

		if (strcmp(ua->at, servers[server]) != 0 || ua->is_dead)
			continue;
		ua->is_dead = true;
		if (*ua->tag) {
			struct end *e = ua->owner;

			e->call->has_death = e->call->has_death || e->state != ENDED;
			end_over(e);
		} else {
			struct bell *b = ua->owner;

			b->call->has_death = b->call->has_death || !b->invite || !b->invite->is_acked || b->is_short || b->is_asking;
			bell_over(b);
		}
	}
}

static void death_fire(struct timer *t)
{
	struct storm *s = owner_of(t, struct storm, death);
	unsigned server = (unsigned)roll(s, SERVERS);

	for (unsigned i = 0; i < SERVERS; i++)
		s->is_dead[i] = false;
	if (s->rig->now_ms < 1000000 + s->calls * 1000 / CALLS_PER_S) {
		server_dies(s, server);
		in(s, &s->death, death_fire, 4000 + roll(s, 4000));
	}
}

/* The same configuration again is a new snapshot all the same: what was chosen by the old one has to notice. */
static void reload_fire(struct timer *t)
{
	struct storm *s = owner_of(t, struct storm, reload);

	rig_reload(s->rig, STORM_YAML);
	if (s->rig->now_ms < 1000000 + s->calls * 1000 / CALLS_PER_S)
		in(s, &s->reload, reload_fire, 500 + roll(s, 2000));
}

/* Four kinds of networks: perfect, losing, losing and turning around, all of it more. Some with servers that die, some with reloads. */
static void storm_weather(struct storm *s)
{
	static const struct weather of[4] = {
		{ .delay_ms = 8 },
		{ .delay_ms = 15, .lost = 30 },
		{ .delay_ms = 10, .lost = 20, .doubled = 30, .late = 50, .late_ms = 300 },
		{ .delay_ms = 30, .lost = 80, .doubled = 80, .late = 200, .late_ms = 700 },
	};

	s->rig->weather = of[s->seed % 4];
	if (s->is_noisy)
		s->rig->weather.garbled = 100;
	s->world.is_ordered = s->seed % 4 < 2;
	s->world.is_perfect = s->seed % 4 == 0;
	s->has_deaths = s->seed / 4 % 2;
	if (s->has_deaths)
		in(s, &s->death, death_fire, 3000);
	if (s->seed / 8 % 2)
		in(s, &s->reload, reload_fire, 1000);
}

static void call_begin(struct storm *s, unsigned number)
{
	struct storm_call *c = &s->call[number];
	char call_id[64], tag[40];
	struct ua *ua;

	*c = (struct storm_call){ .storm = s, .number = number, .plan = plan_new(s, number) };
	snprintf(call_id, sizeof(call_id), "NEAR-%u@%s", number, s->callers[number % CALLERS]);
	snprintf(tag, sizeof(tag), "NEAR%lx", (unsigned long)++s->world.next_id);
	ua = ua_new(&s->world, s->callers[number % CALLERS], s->edge, "NEAR", sv_from(call_id), tag);
	ua->owner = &c->caller;
	ua->number = number;
	ua->is_traced = s->traced == number;
	ua->cseq = (uint32_t)roll(s, 1000);
	c->caller = (struct end){ .ua = ua, .call = c };
	strcpy(ua->local, "\"Caller\" <sip:someone@example.com>");
	snprintf(ua->remote, sizeof(ua->remote), "<sip:%u@example.com>", number);
	ua_listen(ua);
	in(s, &c->start, start_fire, c->plan.start_ms + 1);
	if (c->plan.cancels)
		in(s, &c->cancel, cancel_fire, c->plan.start_ms + 1 + c->plan.cancel_ms);
	if (c->plan.forges)
		in(s, &c->forge, forge_fire, c->plan.start_ms + 1 + c->plan.forge_ms);
}

/* What must be true when all is over ----------------------------------------------------------------------------------- */

static void count_cdrs(struct storm *s)
{
	for (size_t i = 0; i < s->rig->n_cdrs; i++) {
		const char *at = strstr(s->rig->cdrs[i], "\"call_id\":\"NEAR-");
		unsigned long n = at ? strtoul(at + 16, NULL, 10) : s->calls;

		if (n >= s->calls)
			ua_fault(&s->world, NULL, "a call record of no call: %s", s->rig->cdrs[i]);
		else
			s->call[n].cdrs++;
	}
}

static void check_bell(struct storm *s, const struct bell *b)
{
	/* One that was given up may lose its last chance to be cancelled: then only its own user stops it. */
	if (b->ua->is_dead || (!s->world.is_perfect && (b->call->n_bells > 1 || b->call->has_death) && !b->invite->status))
		return;
	if (!b->invite->status)
		ua_fault(&s->world, b->ua, "still rings");
	for (unsigned i = 0; i < b->call->plan.forks; i++)
		if (b->fork[i].state != ENDED)
			ua_fault(&s->world, b->fork[i].ua, "the callee's end has not ended");
}

static void check_request(struct storm *s, const struct storm_call *c, const struct ua_client *request)
{
	if (!request->is_over)
		ua_fault(&s->world, c->caller.ua, "%s without an answer", method_name(request->method));
}

static void check_call(struct storm *s, struct storm_call *c)
{
	if (c->caller.state != ENDED)
		ua_fault(&s->world, c->caller.ua, "the caller's end has not ended");
	for (unsigned i = 0; i < c->n_bells; i++)
		check_bell(s, c->bell[i]);
	list_each(n, &c->caller.ua->clients)
		check_request(s, c, owner_of(n, struct ua_client, in_ua));
	if (c->cdrs != c->invites)
		ua_fault(&s->world, c->caller.ua, "%u call records for %u INVITEs", c->cdrs, c->invites);
}

static void check_rest(struct storm *s)
{
	if (rig_calls(s->rig))
		ua_fault(&s->world, NULL, "%zu calls are left", rig_calls(s->rig));
	if (rig_in_use(s->rig))
		ua_fault(&s->world, NULL, "%zu objects are left", rig_in_use(s->rig));
	for (unsigned i = 0; i < SERVERS; i++)
		if (dest_load(s->rig->shared.pools, pools_slot(s->rig->shared.pools, s->rig->conf, i)))
			ua_fault(&s->world, NULL, "destination %u is still loaded", i);
}

static void storm_free(struct storm *s)
{
	ua_world_fini(&s->world);
	for (unsigned i = 0; i < s->calls; i++)
		for (unsigned k = 0; k < s->call[i].n_bells; k++) {
			buf_put(s->call[i].bell[k]->stray);
			free(s->call[i].bell[k]);
		}
	free(s->call);
	rig_free(s->rig, false);
	free(s);
}

static const struct ua_ops ops = { .on_invite = on_invite, .on_request = on_request, .on_cancel = on_cancel, .on_ack = on_ack,
	                           .on_response = on_response, .on_unanswered = on_unanswered,
	                           .on_unacknowledged = on_unacknowledged, .on_stray = on_stray };

static uint64_t storm(uint64_t seed, unsigned workers, unsigned calls, unsigned traced, bool is_noisy)
{
	struct storm *s = calloc(1, sizeof(*s));
	uint64_t faults;

	assert_non_null(s);
	s->seed = seed;
	s->calls = calls;
	s->traced = traced;
	s->is_noisy = is_noisy;
	s->rig = rig_new(STORM_YAML, workers, seed);
	s->edge = rig_listener(s->rig, EDGE);
	s->core = rig_listener(s->rig, CORE);
	s->rig->names[s->rig->n_names++] = (struct rig_name){ .host = "c.core.test", .addr = { { 10, 0, 0, 23 }, .family = 4 },
	                                                      .delay_ms = 1 + (unsigned)roll(s, 100) };
	ua_world_init(&s->world, s->rig, &ops, s);
	s->world.is_silent = is_noisy;
	s->rig->hooks.on_sent = on_sent;
	for (unsigned i = 0; i < CALLERS; i++)
		snprintf(s->callers[i], sizeof(s->callers[i]), "192.0.2.%u:5060", i + 1);
	storm_weather(s);
	s->call = calloc(calls, sizeof(*s->call));
	assert_non_null(s->call);
	for (unsigned i = 0; i < calls; i++)
		call_begin(s, i);
	rig_after(s->rig, calls * 1000 / CALLS_PER_S + END_MS);
	if (is_noisy) { /* what the ends make of damaged messages is not the SBC's fault */
		s->world.faults = 0;
		s->world.is_silent = false;
	} else {
		count_cdrs(s);
		for (unsigned i = 0; i < calls; i++)
			check_call(s, &s->call[i]);
	}
	check_rest(s);
	if ((faults = s->world.faults))
		fprintf(stderr, "%lu faults; replay with: flow-storm %lu %u %u%s\n", (unsigned long)faults, (unsigned long)seed, workers,
		        calls, is_noisy ? " noise" : "");
	storm_free(s);
	return faults;
}

struct trial {
	uint64_t seed;
	unsigned workers;
};

static void nothing_is_lost_in_the_storm(void **state)
{
	const struct trial *t = *state;

	assert_int_equal(storm(t->seed, t->workers, CALLS, UINT32_MAX, false), 0);
}

/* One message of ten arrives damaged: nothing breaks, and nothing stays behind. */
static void nothing_breaks_in_the_noise(void **state)
{
	const struct trial *t = *state;

	assert_int_equal(storm(t->seed, t->workers, CALLS, UINT32_MAX, true), 0);
}

/* `flow-storm half 1` and `half 2` share the seeds between two processes. */
static int run_seeds(unsigned first, unsigned step)
{
	static const unsigned workers[] = { 1, 2, 8 };
	static struct trial trial[SEEDS];
	static char name[SEEDS][40];
	struct CMUnitTest tests[SEEDS + 1];
	size_t n = 0;

	for (unsigned seed = first; seed <= SEEDS; seed += step, n++) {
		trial[n] = (struct trial){ seed, workers[seed % 3] };
		snprintf(name[n], sizeof(name[n]), "storm %u, %u workers", seed, trial[n].workers);
		tests[n] = (struct CMUnitTest){ .name = name[n], .test_func = nothing_is_lost_in_the_storm, .initial_state = &trial[n] };
	}
	tests[n++] = (struct CMUnitTest){ .name = "noise", .test_func = nothing_breaks_in_the_noise, .initial_state = &trial[0] };
	return _cmocka_run_group_tests("storms", tests, n, NULL, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "half"))
		return run_seeds((unsigned)atoi(argv[2]), 2);
	if (argc > 2) {
		bool is_noisy = argc > 4 && *argv[4] == 'n';

		return storm(strtoull(argv[1], NULL, 10), (unsigned)atoi(argv[2]), argc > 3 ? (unsigned)atoi(argv[3]) : CALLS,
		             argc > 4 && !is_noisy ? (unsigned)atoi(argv[4]) : UINT32_MAX, is_noisy) != 0;
	}
	return run_seeds(1, 1);
}
