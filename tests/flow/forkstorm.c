/* tests/flow/forkstorm.c - seeded storms over forks: calls to somebody with several phones that ring, answer, refuse, redirect or keep
 * silent as they like, cancelled now and then, over a network that loses, doubles and reorders. Whatever happens: the caller gets one
 * answer, who answered is either in the call or hung up, every call ends, nothing is left. `flow-forkstorm SEED` replays one. */
#include "tests/flow/home.h"
#include "tests/flow/ua.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PHONES = 3, CALLS = 12, SEEDS = 40, LONG_MS = 700000 };
enum mood { RINGS, ANSWERS, REFUSES, DECLINES, IS_GONE, IS_SILENT, REDIRECTS, MOODS };

static const char *const phones[PHONES] = { DESK, MOBILE, TABLET };

/* One phone in the present call. */
struct ring {
	struct storm *storm;
	struct ua *bell, *ua;
	struct ua_server *invite;
	struct timer step;
	uint8_t mood, steps;
	bool has_answered, is_over;
};

struct storm {
	struct rig *rig;
	struct ua_world world;
	struct ua *caller;
	struct ua_client *invite;
	struct ring ring[PHONES];
	struct timer step;
	unsigned calls, n_answered, n_finals;
	size_t n_idle;             /* objects: the registrations */
	uint16_t status;
	bool has_ended;
};

static void in(struct storm *s, struct timer *t, void (*fire)(struct timer *t), uint64_t ms)
{
	t->fire = fire;
	wheel_arm(&s->rig->clock, t, s->rig->now_ms + ms);
}

static struct storm *storm_of(const struct ua *ua)
{
	return owner_of(ua->world, struct storm, world);
}

static struct ring *ring_of(struct storm *s, const struct ua *ua)
{
	for (unsigned i = 0; i < PHONES; i++)
		if (ua && (s->ring[i].bell == ua || s->ring[i].ua == ua))
			return &s->ring[i];
	return NULL;
}

static struct sv contact_of(const struct view *v)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na = { .uri = SV("") };

	name_addr_next(&na, &value);
	return na.uri;
}

/* Phones ----------------------------------------------------------------------------------------------------------- */

static void step(struct timer *t)
{
	struct ring *r = owner_of(t, struct ring, step);
	struct storm *s = r->storm;
	static const unsigned refusals[] = { 486, 480, 404, 500, 503 };

	if (r->is_over || r->invite->status || r->mood == IS_SILENT)
		return;
	if (r->steps++ == 0 && r->mood != IS_GONE) {
		ua_answer(r->ua, r->invite, rig_random(s->rig, 4) ? 180 : 183, "", "");
		in(s, &r->step, step, 50 + rig_random(s->rig, 3000));
		return;
	}
	r->has_answered = r->mood == ANSWERS;
	r->is_over = r->mood != ANSWERS && r->mood != RINGS;
	if (r->mood == ANSWERS)
		ua_answer(r->ua, r->invite, 200, "Content-Type: application/sdp\r\n", ANSWER);
	else if (r->mood == REFUSES)
		ua_answer(r->ua, r->invite, refusals[rig_random(s->rig, 5)], "", "");
	else if (r->mood == DECLINES)
		ua_answer(r->ua, r->invite, 603, "", "");
	else if (r->mood == IS_GONE)
		ua_answer(r->ua, r->invite, 430, "", "");
	else if (r->mood == REDIRECTS)
		ua_answer(r->ua, r->invite, 302, "", "");
}

static struct ua *on_invite(struct ua_world *w, const struct packet *p, const struct view *v)
{
	struct storm *s = owner_of(w, struct storm, world);
	char at[ADDR_TEXT];
	unsigned i = 0;

	addr_print(&p->to, at);
	while (i < PHONES && strcmp(phones[i], at) != 0)
		i++;
	if (i == PHONES || s->ring[i].bell) /* of an earlier call, late */
		return NULL;
	s->ring[i].bell = ua_new(w, phones[i], rig_listener(s->rig, EDGE), "FAR", view_value(v, HDR_CALL_ID), "");
	ua_listen(s->ring[i].bell);
	return s->ring[i].bell;
}

static void begin_dialog(struct storm *s, struct ring *r, struct ua_server *invite, const struct view *v)
{
	struct ua *ua;
	char tag[40];

	snprintf(tag, sizeof(tag), "FAR%lx", (unsigned long)++s->world.next_id);
	ua = r->ua = ua_new(&s->world, r->bell->at, r->bell->listener, "FAR", view_value(v, HDR_CALL_ID), tag);
	r->invite = invite;
	ua->peer_cseq = v->cseq;
	snprintf(ua->peer_tag, sizeof(ua->peer_tag), "%.*s", SV_ARG(tag_of(view_value(v, HDR_FROM))));
	snprintf(ua->local, sizeof(ua->local), "%.*s", SV_ARG(view_value(v, HDR_TO)));
	snprintf(ua->remote, sizeof(ua->remote), "%.*s", (int)sv_find(view_value(v, HDR_FROM), SV(";tag=")), view_value(v, HDR_FROM).p);
	snprintf(ua->target, sizeof(ua->target), "%.*s", SV_ARG(contact_of(v)));
	ua_listen(ua);
	in(s, &r->step, step, rig_random(s->rig, 800));
}

static void on_request(struct ua *ua, struct ua_server *st, const struct view *v)
{
	struct storm *s = storm_of(ua);
	struct ring *r = ring_of(s, ua);

	if (r && !*ua->tag) {
		begin_dialog(s, r, st, v);
		return;
	}
	ua_answer(ua, st, 200, "", "");
	if (st->method != M_BYE)
		return;
	if (r)
		r->is_over = true;
	else
		s->has_ended = true;
}

static void on_cancel(struct ua *ua, struct ua_server *invite)
{
	struct ring *r = ring_of(storm_of(ua), ua);

	if (r && !*ua->tag) {
		r->is_over = true;
		ua_answer(r->ua, invite, 487, "", "");
	}
}

static void on_ack(struct ua *ua, struct ua_server *invite, const struct view *v)
{
	(void)ua, (void)invite, (void)v;
}

/* The caller ------------------------------------------------------------------------------------------------------- */

static void hang_up(struct timer *t)
{
	struct storm *s = owner_of(t, struct storm, step);

	if (!s->has_ended)
		ua_request(s->caller, M_BYE, s->caller->peer_tag, "", "");
}

static void cancel(struct timer *t)
{
	struct storm *s = owner_of(t, struct storm, step);

	if (!s->status)
		ua_cancel(s->invite);
}

static void on_response(struct ua *ua, struct ua_client *c, const struct view *v)
{
	struct storm *s = storm_of(ua);

	if (v->status < 200)
		return;
	if (c->method == M_BYE)
		s->has_ended = true;
	if (c != s->invite)
		return;
	s->status = v->status;
	s->n_finals++;
	s->has_ended = v->status >= 300;
	if (v->status >= 300)
		return;
	snprintf(ua->target, sizeof(ua->target), "%.*s", SV_ARG(contact_of(v)));
	snprintf(ua->peer_tag, sizeof(ua->peer_tag), "%.*s", SV_ARG(tag_of(view_value(v, HDR_TO))));
	ua_ack(c, "", "");
	in(s, &s->step, hang_up, 500 + rig_random(s->rig, 4000));
}

static void on_unanswered(struct ua *ua, struct ua_client *c)
{
	struct storm *s = storm_of(ua);

	if (c == s->invite || c->method == M_BYE)
		ua_fault(ua->world, ua, "never answered");
	s->has_ended = true;
}

static void on_unacknowledged(struct ua *ua, struct ua_server *st)
{
	(void)st;
	ua_fault(ua->world, ua, "never acknowledged");
}

static void on_stray(struct ua_world *w, const struct packet *p, const struct view *v)
{
	(void)w, (void)p, (void)v; /* what comes again when its UA is gone */
}

static const struct ua_ops ops = { .on_invite = on_invite, .on_request = on_request, .on_cancel = on_cancel, .on_ack = on_ack,
	                           .on_response = on_response, .on_unanswered = on_unanswered,
	                           .on_unacknowledged = on_unacknowledged, .on_stray = on_stray };

/* The storm -------------------------------------------------------------------------------------------------------- */

static void call_begin(struct storm *s)
{
	struct ua *ua;
	char call_id[32];

	snprintf(call_id, sizeof(call_id), "call-%u@NEAR", ++s->calls);
	ua = s->caller = ua_new(&s->world, ALICE, rig_listener(s->rig, EDGE), "NEAR", sv_from(call_id), "NEARtag");
	snprintf(ua->target, sizeof(ua->target), "sip:bob@example.com");
	snprintf(ua->local, sizeof(ua->local), "<sip:alice@example.com>");
	snprintf(ua->remote, sizeof(ua->remote), "<sip:bob@example.com>");
	ua_listen(ua);
	for (unsigned i = 0; i < PHONES; i++) {
		wheel_disarm(&s->rig->clock, &s->ring[i].step);
		s->ring[i] = (struct ring){ .storm = s, .mood = (uint8_t)rig_random(s->rig, MOODS) };
	}
	s->status = 0;
	s->n_finals = 0;
	s->has_ended = false;
	s->invite = ua_request(ua, M_INVITE, "", "Content-Type: application/sdp\r\n", OFFER);
	if (rig_random(s->rig, 3) == 0)
		in(s, &s->step, cancel, rig_random(s->rig, 4000));
}

static void call_check(struct storm *s)
{
	if (!s->status || !s->has_ended || s->n_finals != 1)
		ua_fault(&s->world, s->caller, "status %u, %u finals, %s", s->status, s->n_finals, s->has_ended ? "ended" : "not ended");
	for (unsigned i = 0; i < PHONES; i++) {
		if (s->ring[i].has_answered && !s->ring[i].is_over)
			ua_fault(&s->world, s->ring[i].ua, "who answered is left alone");
		s->n_answered += s->ring[i].has_answered;
	}
	if (rig_calls(s->rig) || rig_in_use(s->rig) > s->n_idle)
		ua_fault(&s->world, s->caller, "%zu calls and %zu objects are left", rig_calls(s->rig), rig_in_use(s->rig) - s->n_idle);
}

/* Contacts are there for an hour of the storm's time: before it has passed they come again, in calm weather. */
static void phones_register(struct rig *r)
{
	struct rig_hooks hooks = r->hooks;
	struct weather weather = r->weather;
	char params[32];

	r->hooks = (struct rig_hooks){ .ctx = NULL };
	r->weather = (struct weather){ .lost = 0 };
	for (unsigned i = 0; i < PHONES; i++) {
		struct phone phone;

		phone_new(&phone, r, "phone", phones[i]);
		snprintf(params, sizeof(params), ";q=0.%u", i == 2 ? 3 : 5);
		rig_forget(r, phones[i]);
		home_registers(&phone, "bob", params, "");
	}
	r->hooks = hooks;
	r->weather = weather;
}

static uint64_t storm(uint64_t seed, unsigned *answered)
{
	struct storm s = { .rig = rig_new(HOME, 1u << seed % 4, seed) };
	uint64_t faults;

	ua_world_init(&s.world, s.rig, &ops, &s);
	s.rig->weather = (struct weather){ .lost = (unsigned)(seed % 5) * 30, .doubled = 50, .late = 100, .late_ms = 300, .delay_ms = 5 };
	for (unsigned i = 0; i < CALLS; i++) {
		phones_register(s.rig);
		s.n_idle = rig_in_use(s.rig);
		call_begin(&s);
		rig_after(s.rig, LONG_MS);
		call_check(&s);
	}
	*answered += s.n_answered;
	faults = s.world.faults;
	ua_world_fini(&s.world);
	s.rig->hooks = (struct rig_hooks){ .ctx = NULL };
	if (faults)
		fprintf(stderr, "seed %lu: %lu faults\n", (unsigned long)seed, (unsigned long)faults);
	rig_after(s.rig, 3600 * 1000 + 1);
	rig_free(s.rig, !faults);
	return faults;
}

static void forks_in_bad_weather(void **state)
{
	unsigned answered = 0;
	uint64_t faults = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		faults += storm(seed, &answered);
	print_message("%u calls, %u answers\n", SEEDS * CALLS, answered);
	assert_int_equal(faults, 0);
	assert_true(answered > SEEDS * CALLS / 20);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forks_in_bad_weather),
	};
	unsigned answered = 0;

	if (argc > 1)
		return storm(strtoull(argv[1], NULL, 10), &answered) != 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
