#include "tests/alloc/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { RING_MS = 200, ANSWER_MS = 400, STEP_MS = 1000, LONG_MS = 4000000 };

static const char body[] = SDP;

static void in(struct scene *s, struct timer *t, void (*fire)(struct timer *t), uint64_t ms)
{
	t->fire = fire;
	wheel_arm(&s->rig->clock, t, s->rig->now_ms + ms);
}

/* The test's own memory never runs out. */
static void on_packet(void *ctx, const struct packet *p)
{
	struct ua_world *w = ctx;
	struct scene *s = owner_of(w, struct scene, world);

	oom_pause();
	s->deliver(ctx, p);
	oom_resume();
}

static struct sv contact_of(const struct view *v)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na = { .uri = SV("") };

	name_addr_next(&na, &value);
	return na.uri;
}

/* Callees ---------------------------------------------------------------------------------------------------------- */

static struct callee *callee_of(struct scene *s, const struct ua *ua)
{
	for (unsigned i = 0; i < s->n_callees; i++)
		if (s->callee[i].bell == ua || s->callee[i].ua == ua)
			return &s->callee[i];
	return NULL;
}

static void callee_step(struct timer *t)
{
	struct callee *c = owner_of(t, struct callee, step);
	struct scene *s = owner_of(c->bell->world, struct scene, world);
	const struct script *script = s->script;
	bool is_first = strstr(c->bell->at, "10.0.0.21") != NULL;

	oom_pause();
	if (c->steps++ == 0 && is_first && script->is_first_busy) {
		ua_answer(c->ua, c->invite, 503, "", "");
		c->is_over = true;
	} else if (is_first && script->is_first_silent) {
		c->is_over = true;
	} else if (c->steps == 1) {
		ua_answer(c->ua, c->invite, 180, "", "");
		in(s, &c->step, callee_step, ANSWER_MS);
	} else if (c->steps == 2 && !c->invite->status) {
		c->has_answered = true;
		ua_answer(c->ua, c->invite, 200, script->answer_extra ? script->answer_extra : "", body);
	} else if (c->steps == 3 && !c->is_over && c->is_acked) {
		ua_request(c->ua, M_UPDATE, c->ua->peer_tag, "", "");
	}
	oom_resume();
}

static struct ua *on_invite(struct ua_world *w, const struct packet *p, const struct view *v)
{
	struct scene *s = owner_of(w, struct scene, world);
	struct callee *c = &s->callee[s->n_callees];
	char at[ADDR_TEXT];

	if (s->n_callees == CALLEES_MAX) {
		ua_fault(w, NULL, "too many INVITEs");
		return NULL;
	}
	s->n_callees++;
	*c = (struct callee){ .bell = NULL };
	c->bell = ua_new(w, strstr(addr_print(&p->to, at), "10.0.0.21") ? BOB : CAROL, rig_listener(s->rig, CORE), "FAR",
	                 view_value(v, HDR_CALL_ID), "");
	ua_listen(c->bell);
	return c->bell;
}

static void begin_dialog(struct scene *s, struct callee *c, struct ua_server *invite, const struct view *v)
{
	struct ua *ua;
	char tag[40];

	snprintf(tag, sizeof(tag), "FAR%lx", (unsigned long)++s->world.next_id);
	ua = c->ua = ua_new(&s->world, c->bell->at, c->bell->listener, "FAR", view_value(v, HDR_CALL_ID), tag);
	c->invite = invite;
	ua->peer_cseq = v->cseq;
	snprintf(ua->peer_tag, sizeof(ua->peer_tag), "%.*s", SV_ARG(tag_of(view_value(v, HDR_FROM))));
	snprintf(ua->local, sizeof(ua->local), "%.*s", SV_ARG(view_value(v, HDR_TO)));
	snprintf(ua->remote, sizeof(ua->remote), "%.*s", (int)sv_find(view_value(v, HDR_FROM), SV(";tag=")), view_value(v, HDR_FROM).p);
	snprintf(ua->target, sizeof(ua->target), "%.*s", SV_ARG(contact_of(v)));
	ua_listen(ua);
	in(s, &c->step, callee_step, RING_MS);
}

static void on_request(struct ua *ua, struct ua_server *st, const struct view *v)
{
	struct scene *s = owner_of(ua->world, struct scene, world);
	struct callee *c = callee_of(s, ua);

	if (c && !*ua->tag) {
		begin_dialog(s, c, st, v);
		return;
	}
	if (st->method == M_INVITE || st->method == M_UPDATE) {
		ua_answer(ua, st, c ? c->is_over ? 481 : 200 : s->has_ended ? 481 : 200, "", body);
		return;
	}
	ua_answer(ua, st, 200, "", "");
	if (st->method != M_BYE)
		return;
	if (c)
		c->is_over = true;
	else
		s->has_ended = true;
}

static void on_cancel(struct ua *ua, struct ua_server *invite)
{
	struct scene *s = owner_of(ua->world, struct scene, world);
	struct callee *c = callee_of(s, ua);

	if (c && !*ua->tag)
		c->is_over = true;
	ua_answer(c && !*ua->tag ? c->ua : ua, invite, 487, "", "");
}

static void on_ack(struct ua *ua, struct ua_server *invite, const struct view *v)
{
	struct scene *s = owner_of(ua->world, struct scene, world);
	struct callee *c = callee_of(s, ua);

	(void)v;
	if (!c || !*ua->tag || c->is_acked || invite->status >= 300)
		return;
	c->is_acked = true;
	if (s->script->changes)
		in(s, &c->step, callee_step, 2 * STEP_MS);
}

/* The caller ------------------------------------------------------------------------------------------------------- */

static void hang_up(struct scene *s)
{
	struct callee *c = s->n_callees ? &s->callee[s->n_callees - 1] : NULL;

	if (s->script->callee_hangs_up && c && c->has_answered && !c->is_over)
		ua_request(c->ua, M_BYE, c->ua->peer_tag, "", "");
	else
		ua_request(s->caller, M_BYE, s->caller->peer_tag, "", "");
}

static void caller_step(struct timer *t)
{
	struct scene *s = owner_of(t, struct scene, step);

	oom_pause();
	s->steps++;
	if (s->has_ended) {
		/* the other side was first */
	} else if (s->steps == 1 && s->script->changes) {
		ua_request(s->caller, M_INVITE, s->caller->peer_tag, "", body);
		in(s, &s->step, caller_step, 60 * STEP_MS); /* behind all time-outs */
	} else {
		hang_up(s);
	}
	oom_resume();
}

static void picked_up(struct scene *s, struct ua_client *c, const struct view *v)
{
	snprintf(s->caller->target, sizeof(s->caller->target), "%.*s", SV_ARG(contact_of(v)));
	snprintf(s->caller->peer_tag, sizeof(s->caller->peer_tag), "%.*s", SV_ARG(tag_of(view_value(v, HDR_TO))));
	if (s->script->never_acks)
		return;
	ua_ack(c, "", "");
	if (c == s->invite)
		in(s, &s->step, caller_step, STEP_MS);
}

static void on_response(struct ua *ua, struct ua_client *c, const struct view *v)
{
	struct scene *s = owner_of(ua->world, struct scene, world);
	struct callee *callee = callee_of(s, ua);

	if (v->status < 200)
		return;
	if (c->method == M_BYE && callee)
		callee->is_over = true;
	else if (c->method == M_BYE)
		s->has_ended = true;
	if (callee || c->method != M_INVITE)
		return;
	if (c == s->invite) {
		s->status = v->status;
		s->has_ended = v->status >= 300;
	}
	if (v->status < 300)
		picked_up(s, c, v);
}

static void on_unanswered(struct ua *ua, struct ua_client *c)
{
	struct scene *s = owner_of(ua->world, struct scene, world);
	struct callee *callee = callee_of(s, ua);

	s->was_unanswered |= c->method != M_UPDATE;
	if (c->method == M_BYE && callee)
		callee->is_over = true;
	else if (c->method == M_BYE || c == s->invite)
		s->has_ended = true;
}

static void on_unacknowledged(struct ua *ua, struct ua_server *st)
{
	(void)ua;
	(void)st; /* who answered waits for a BYE, and that is checked */
}

static void on_stray(struct ua_world *w, const struct packet *p, const struct view *v)
{
	(void)w;
	(void)p;
	(void)v;
}

static const struct ua_ops ops = { .on_invite = on_invite, .on_request = on_request, .on_cancel = on_cancel, .on_ack = on_ack,
	                           .on_response = on_response, .on_unanswered = on_unanswered,
	                           .on_unacknowledged = on_unacknowledged, .on_stray = on_stray };

/* The whole -------------------------------------------------------------------------------------------------------- */

void scene_begin(struct scene *s, const struct script *script)
{
	*s = (struct scene){ .script = script, .rig = rig_new(script->yaml, script->workers, 1) };
	if (script->has_names) {
		s->rig->names[0] = (struct rig_name){ .host = "bob.example.net", .delay_ms = 150 };
		assert_int_equal(addr_parse(&s->rig->names[0].addr, SV("10.0.0.21")), 0);
		s->rig->n_names = 1;
	}
	ua_world_init(&s->world, s->rig, &ops, s);
	s->deliver = s->rig->hooks.on_packet;
	s->rig->hooks.on_packet = on_packet;
}

static void call_begin(struct scene *s)
{
	struct ua *ua;
	char call_id[32];

	snprintf(call_id, sizeof(call_id), "call-%u@NEAR", ++s->calls);
	ua = s->caller = ua_new(&s->world, ALICE, rig_listener(s->rig, EDGE), "NEAR", sv_from(call_id), "NEARtag");
	snprintf(ua->target, sizeof(ua->target), "sip:bob@example.com");
	snprintf(ua->local, sizeof(ua->local), "<sip:alice@example.com>");
	snprintf(ua->remote, sizeof(ua->remote), "<sip:bob@example.com>");
	ua_listen(ua);
	s->n_callees = s->steps = 0;
	s->status = 0;
	s->has_ended = s->was_unanswered = false;
	s->invite = ua_request(ua, M_INVITE, "", "Content-Type: application/sdp\r\n", body);
}

static void check_ends(struct scene *s)
{
	if (s->was_unanswered)
		ua_fault(&s->world, s->caller, "a request was never answered");
	if (!s->status || !s->has_ended)
		ua_fault(&s->world, s->caller, "the caller's call did not end: status %u", s->status);
	if (s->status >= 300 && s->status != 500 && s->status != 503 && s->status != 408)
		ua_fault(&s->world, s->caller, "refused with %u", s->status);
	for (unsigned i = 0; i < s->n_callees; i++)
		if (s->callee[i].has_answered && !s->callee[i].is_over)
			ua_fault(&s->world, s->callee[i].ua, "who answered is left alone");
}

bool scene_call(struct scene *s, unsigned long first, unsigned long more, bool is_strict)
{
	bool has_failed;

	call_begin(s);
	oom_arm(first, more);
	rig_after(s->rig, 20000); /* setting up, talking, changing */
	if (more && more < 1000)
		rig_after(s->rig, 60000);
	has_failed = oom_disarm();
	rig_after(s->rig, LONG_MS);
	if (more && rig_calls(s->rig)) /* memory was out for as long as a BYE is repeated: the longest duration of a call ends it */
		rig_after(s->rig, CALL_MAX_MS);
	if (is_strict)
		check_ends(s);
	if (rig_calls(s->rig) || rig_in_use(s->rig))
		ua_fault(&s->world, s->caller, "%zu calls and %zu objects are left", rig_calls(s->rig), rig_in_use(s->rig));
	return has_failed;
}

void scene_good_call(struct scene *s)
{
	struct script plain = { .yaml = s->script->yaml, .workers = s->script->workers };
	const struct script *script = s->script;

	s->script = &plain;
	scene_call(s, 0, 0, true);
	s->script = script;
	if (s->status != 200 || s->n_callees != 1 || !s->callee[0].is_acked)
		ua_fault(&s->world, s->caller, "the call afterwards: status %u, %u callees", s->status, s->n_callees);
}

uint64_t scene_end(struct scene *s)
{
	uint64_t faults = s->world.faults;

	ua_world_fini(&s->world);
	rig_free(s->rig, !faults);
	return faults;
}

static bool fail_at(const struct script *script, unsigned long first, unsigned long more, uint64_t *faults)
{
	long live = oom_live();
	struct scene s;
	bool has_failed;

	scene_begin(&s, script);
	has_failed = scene_call(&s, first, more, more == 0);
	if (s.world.faults) {
		fprintf(stderr, "with allocation %lu failing, and %lu more:\n", first, more);
		oom_show();
	}
	scene_good_call(&s);
	*faults += scene_end(&s);
	if (oom_live() != live)
		fprintf(stderr, "with allocation %lu failing, and %lu more: %ld leaked\n", first, more, oom_live() - live);
	*faults += oom_live() != live;
	return has_failed;
}

void scene_fail_each(const struct script *script, const char *name)
{
	static const unsigned long more[] = { 0, 1, 5, 100000 };
	uint64_t faults = 0;

	for (unsigned i = 0; i < sizeof(more) / sizeof(*more); i++) {
		unsigned long n = 1;

		while (fail_at(script, n, more[i], &faults))
			n++;
		if (i == 0)
			print_message("%s: %lu allocations, each of them failed\n", name, n - 1);
		assert_true(n > 10);
	}
	assert_int_equal(faults, 0);
}
