/* `drain --then move`: a call goes on at another destination, its caller hears of it by a re-INVITE alone; and what comes between leaves it
 * where it was, or ends it as ever. */
#include "sbc/call/move.h"
#include "tests/flow/party.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define URI "sip:bob@example.com"
#define LATER "v=0\r\no=- 1 2 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4002 RTP/AVP 8\r\na=sendonly\r\n"
#define CAROLS "v=0\r\no=- 3 1 IN IP4 198.51.100.3\r\ns=-\r\nc=IN IP4 198.51.100.3\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\na=recvonly\r\n"
#define BOBS "v=0\r\no=- 2 2 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=audio 5002 RTP/AVP 8\r\na=recvonly\r\n"
#define REFUSED "m=audio 0 RTP/AVP 8\r\n"
#define THREE \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, failover: { after: 2s, on: [503], tries: 3 }, destinations: [" \
	"{ name: bob, uri: \"sip:10.0.0.21:5060\" }, { name: carol, uri: \"sip:10.0.0.22:5060\" }, " \
	"{ name: dave, uri: \"sip:10.0.0.23:5060\", priority: 2 }] } }\n" FLOW_ROUTES

/* The three of most tests. */
struct trio {
	struct rig *rig;
	struct phone a, b, c;
};

static uint16_t slot_of(struct rig *r, const char *name)
{
	uint16_t slot = dest_find(r->shared.pools, r->conf, sv_from(name), NULL);

	assert_int_not_equal(slot, POOL_NO_SLOT);
	return slot;
}

static void put(struct rig *r, const char *name, enum dest_wish wish)
{
	dest_put_wish(r->shared.pools, slot_of(r, name), wish, r->now_ms);
}

static void expect_calls(struct rig *r, unsigned at_bob, unsigned at_carol)
{
	assert_int_equal(dest_load(r->shared.pools, slot_of(r, "apps/bob")), at_bob);
	assert_int_equal(dest_load(r->shared.pools, slot_of(r, "apps/carol")), at_carol);
}

static unsigned move(struct rig *r, unsigned max)
{
	unsigned done = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		done += b2bua_move_at(r->workers[i].calls, slot_of(r, "apps/bob"), max);
	rig_after(r, 0);
	return done;
}

/* Alice talks to Bob, who is being drained; Carol is there. */
static void begin(struct trio *t, const char *yaml, unsigned workers)
{
	t->rig = rig_new(yaml, workers, 1);
	cast_watch(t->rig);
	put(t->rig, "apps/carol", WISH_DRAINING);
	phone_new(&t->a, t->rig, "alice", ALICE);
	phone_new(&t->b, t->rig, "bob", BOB);
	phone_new(&t->c, t->rig, "carol", CAROL);
	phones_talk(&t->a, &t->b, URI);
	put(t->rig, "apps/carol", WISH_IN_SERVICE);
	put(t->rig, "apps/bob", WISH_DRAINING);
}

static void end(struct trio *t)
{
	phones_silent((struct phone *const[]){ &t->a, &t->b, &t->c }, 3);
	phone_free(&t->a);
	phone_free(&t->b);
	phone_free(&t->c);
	rig_after(t->rig, 3600000);
	rig_forget(t->rig, ALICE);
	rig_forget(t->rig, BOB);
	rig_forget(t->rig, CAROL);
	rig_free(t->rig, true);
}

static bool has_body(const struct got *g, const char *body)
{
	return sv_eq(view_body(&g->v), sv_from(body));
}

static void asked(struct trio *t)
{
	assert_int_equal(move(t->rig, 10), 1);
	phone_gets(&t->a, "INVITE ");
	assert_int_equal(t->a.invite.v.body_len, 0);
}

static void offered(struct trio *t)
{
	asked(t);
	phone_answers_invite(&t->a, 200, "", LATER);
	phone_gets(&t->c, "INVITE ");
	assert_true(has_body(&t->c.invite, LATER));
	assert_string_equal(got_uri(&t->c.invite), URI);
	rig_expect_silence(t->rig, BOB);
}

static void bob_is_left(struct trio *t)
{
	phone_gets(&t->b, "BYE ");
	assert_true(got_has(&t->b.got, "text=\"moved\""));
	phone_answers(&t->b, 200, "", "");
}

static void moved(struct trio *t)
{
	offered(t);
	phone_answers_invite(&t->c, 200, "", CAROLS);
	phone_gets(&t->a, "ACK ");
	assert_true(has_body(&t->a.got, CAROLS));
	phone_gets(&t->c, "ACK ");
	assert_int_equal(t->c.got.v.body_len, 0);
	bob_is_left(t);
	expect_calls(t->rig, 0, 1);
}

/* The call is where it was, and does what it did. */
static void stayed(struct trio *t)
{
	assert_int_equal(rig_count(t->rig, CALLS_STAYED), 1);
	assert_int_equal(rig_count(t->rig, CALLS_MOVED), 0);
	expect_calls(t->rig, 1, 0);
	phones_exchange(&t->a, &t->b, "INFO", 200);
	phones_exchange(&t->b, &t->a, "INFO", 200);
	phones_end(&t->a, &t->b);
	assert_null(strstr(t->rig->cdrs[0], "moves"));
	end(t);
}

/* Bob takes her offer again. */
static void bob_has_it(struct trio *t)
{
	phone_gets(&t->b, "INVITE ");
	assert_true(has_body(&t->b.invite, LATER));
	phone_answers_invite(&t->b, 200, "", BOBS);
	phone_gets(&t->b, "ACK ");
	assert_int_equal(t->b.got.v.body_len, 0);
	phone_gets(&t->a, "ACK ");
	assert_true(has_body(&t->a.got, BOBS));
}

static void reinvite(struct phone *p, struct phone *q)
{
	phone_asks(p, "INVITE", "", OFFER);
	phone_gets(q, "INVITE ");
	assert_true(has_body(&q->invite, OFFER));
	phone_answers_invite(q, 200, "", ANSWER);
	phone_gets(p, "SIP/2.0 100");
	phone_gets(p, "SIP/2.0 200");
	phone_acks(p, "");
	phone_gets(q, "ACK ");
}

static void it_goes_on_elsewhere(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct trio t;

		begin(&t, FLOW_TWO, workers);
		moved(&t);
		assert_int_equal(move(t.rig, 10), 0);
		reinvite(&t.a, &t.c);
		reinvite(&t.c, &t.a);
		phones_exchange(&t.c, &t.a, "INFO", 200);
		phones_end(workers % 2 ? &t.a : &t.c, workers % 2 ? &t.c : &t.a);
		assert_int_equal(rig_count(t.rig, CALLS_MOVED), 1);
		assert_int_equal(rig_count(t.rig, CALLS_ENDED), 1);
		assert_int_equal(rig_count(t.rig, CALLS_STARTED), 1);
		assert_int_equal(t.rig->n_cdrs, 1);
		assert_non_null(strstr(t.rig->cdrs[0], "\"destination\":\"10.0.0.22:5060\""));
		assert_non_null(strstr(t.rig->cdrs[0], "\"moves\":1"));
		end(&t);
	}
}

/* Carol is drained next: back to Bob. */
static void and_on(void **state)
{
	struct phone b;
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	moved(&t);
	put(t.rig, "apps/bob", WISH_IN_SERVICE);
	put(t.rig, "apps/carol", WISH_DRAINING);
	assert_int_equal(b2bua_move_at(t.rig->workers[0].calls, slot_of(t.rig, "apps/carol"), 1), 1);
	phone_gets(&t.a, "INVITE ");
	phone_answers_invite(&t.a, 200, "", LATER);
	phone_new(&b, t.rig, "bob2", BOB);
	phone_gets(&b, "INVITE ");
	phone_answers_invite(&b, 200, "", BOBS);
	phone_gets(&t.a, "ACK ");
	phone_gets(&b, "ACK ");
	phone_gets(&t.c, "BYE ");
	phone_answers(&t.c, 200, "", "");
	expect_calls(t.rig, 1, 0);
	phones_end(&b, &t.a);
	assert_non_null(strstr(t.rig->cdrs[0], "\"moves\":2"));
	phone_free(&b);
	end(&t);
}

static void what_operators_see(void *ctx, const struct call_info *info)
{
	struct call_info *out = ctx;

	*out = *info;
}

static void sbcctl_shows_it(void **state)
{
	struct call_info info = { .id = 0 };
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	offered(&t);
	b2bua_each(t.rig->workers[0].calls, what_operators_see, &info);
	assert_true(sv_eq(info.state, SV("moving")));
	assert_int_equal(b2bua_calls(t.rig->workers[0].calls), 1);
	phone_answers_invite(&t.c, 200, "", CAROLS);
	phone_gets(&t.a, "ACK ");
	phone_gets(&t.c, "ACK ");
	bob_is_left(&t);
	b2bua_each(t.rig->workers[0].calls, what_operators_see, &info);
	assert_true(sv_eq(info.state, SV("answered")));
	assert_int_equal(info.moves, 1);
	phones_end(&t.a, &t.c);
	end(&t);
}

/* What the near side refuses has changed nothing; it is asked again later, not at once. */
static void the_caller_refuses(void **state)
{
	static const unsigned status[] = { 488, 491, 500, 407 };

	(void)state;
	for (unsigned i = 0; i < sizeof(status) / sizeof(*status); i++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		asked(&t);
		phone_answers_invite(&t.a, status[i], "", "");
		phone_gets(&t.a, "ACK ");
		assert_int_equal(move(t.rig, 10), 0);
		rig_after(t.rig, MOVE_REST_MS - 1000);
		assert_int_equal(move(t.rig, 10), 0);
		stayed(&t);
	}
}

static void asked_again_later(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	asked(&t);
	phone_answers_invite(&t.a, 491, "", "");
	phone_gets(&t.a, "ACK ");
	rig_after(t.rig, MOVE_REST_MS);
	asked(&t);
	phone_answers_invite(&t.a, 491, "", "");
	phone_gets(&t.a, "ACK ");
	rig_after(t.rig, 2 * MOVE_REST_MS - 1000);
	assert_int_equal(move(t.rig, 10), 0);
	rig_after(t.rig, 1000);
	moved(&t);
	phones_end(&t.a, &t.c);
	end(&t);
}

static void the_caller_is_gone(void **state)
{
	static const unsigned status[] = { 408, 481 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		asked(&t);
		phone_answers_invite(&t.a, status[i], "", "");
		phone_gets(&t.a, "ACK ");
		phone_gets(&t.b, "BYE ");
		phone_answers(&t.b, 200, "", "");
		assert_non_null(strstr(t.rig->cdrs[0], "dialog-lost"));
		end(&t);
	}
}

static void the_caller_offers_nothing(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	asked(&t);
	phone_answers_invite(&t.a, 200, "", "");
	phone_gets(&t.a, "ACK ");
	assert_int_equal(t.a.got.v.body_len, 0);
	phone_answers_invite(&t.a, 200, "", ""); /* again: so is the ACK */
	phone_gets(&t.a, "ACK ");
	stayed(&t);
}

/* It is withdrawn, and the offer that crosses the CANCEL goes where it has to. */
static void the_caller_takes_too_long(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	asked(&t);
	phone_answers_invite(&t.a, 180, "", "");
	rig_after(t.rig, MOVE_ASK_MS);
	phone_gets(&t.a, "CANCEL ");
	phone_answers(&t.a, 200, "", "");
	phone_answers_invite(&t.a, 487, "", "");
	phone_gets(&t.a, "ACK ");
	stayed(&t);
	begin(&t, FLOW_TWO, 1);
	asked(&t);
	phone_answers_invite(&t.a, 180, "", "");
	rig_after(t.rig, MOVE_ASK_MS);
	phone_gets(&t.a, "CANCEL ");
	phone_answers(&t.a, 200, "", "");
	phone_answers_invite(&t.a, 200, "", LATER);
	bob_has_it(&t);
	stayed(&t);
}

/* The 2xx is repeated until it has its ACK; nothing is done twice. */
static void answers_are_repeated(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	offered(&t);
	phone_answers_invite(&t.a, 200, "", LATER);
	phone_answers_invite(&t.c, 180, "", "");
	rig_after(t.rig, 1000);
	phones_silent((struct phone *const[]){ &t.a, &t.b, &t.c }, 3);
	phone_answers_invite(&t.c, 200, "", CAROLS);
	phone_gets(&t.a, "ACK ");
	phone_gets(&t.c, "ACK ");
	phone_answers_invite(&t.c, 200, "", CAROLS);
	phone_gets(&t.c, "ACK ");
	phone_answers_invite(&t.a, 200, "", LATER);
	phone_gets(&t.a, "ACK ");
	assert_true(has_body(&t.a.got, CAROLS));
	bob_is_left(&t);
	phones_end(&t.a, &t.c);
	end(&t);
}

static void nobody_else_takes_it(void **state)
{
	static const unsigned status[] = { 486, 503, 603, 302, 401 };

	(void)state;
	for (unsigned i = 0; i < sizeof(status) / sizeof(*status); i++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		offered(&t);
		phone_answers_invite(&t.c, 180, "", "");
		phone_answers_invite(&t.c, status[i], status[i] == 302 ? "Contact: <sip:x@10.0.0.99>\n" : "", "");
		phone_gets(&t.c, "ACK ");
		rig_after(t.rig, 10);
		bob_has_it(&t);
		stayed(&t);
	}
}

/* Carol rings and rings. */
static void the_other_one_takes_too_long(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	offered(&t);
	phone_answers_invite(&t.c, 180, "", "");
	rig_after(t.rig, MOVE_DIAL_MS);
	phone_gets(&t.c, "CANCEL ");
	phone_answers(&t.c, 200, "", "");
	phone_answers_invite(&t.c, 200, "", CAROLS); /* they cross */
	phone_gets(&t.c, "ACK ");
	phone_gets(&t.c, "BYE ");
	phone_answers(&t.c, 200, "", "");
	bob_has_it(&t);
	stayed(&t);
}

/* An answer without a description is none. */
static void the_other_one_answers_nothing(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	offered(&t);
	phone_answers_invite(&t.c, 200, "", "");
	phone_gets(&t.c, "ACK ");
	phone_gets(&t.c, "BYE ");
	phone_answers(&t.c, 200, "", "");
	rig_after(t.rig, 10);
	bob_has_it(&t);
	stayed(&t);
}

/* As for a new call: the next one. */
static void it_fails_over(void **state)
{
	struct phone d;
	struct trio t;

	(void)state;
	begin(&t, THREE, 1);
	offered(&t);
	phone_answers_invite(&t.c, 503, "", "");
	phone_gets(&t.c, "ACK ");
	phone_new(&d, t.rig, "dave", DAVE);
	phone_gets(&d, "INVITE ");
	assert_true(has_body(&d.invite, LATER));
	phone_answers_invite(&d, 200, "", CAROLS);
	phone_gets(&d, "ACK ");
	phone_gets(&t.a, "ACK ");
	bob_is_left(&t);
	expect_calls(t.rig, 0, 0);
	phones_end(&d, &t.a);
	phone_free(&d);
	end(&t);
}

/* Glare with the old destination (§14.1): it has what it wants a little later. */
static void bob_is_busy(void **state)
{
	static const unsigned status[] = { 491, 500 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		offered(&t);
		phone_answers_invite(&t.c, 486, "", "");
		phone_gets(&t.c, "ACK ");
		rig_after(t.rig, 10);
		phone_gets(&t.b, "INVITE ");
		phone_answers_invite(&t.b, status[i], "", "");
		phone_gets(&t.b, "ACK ");
		rig_after(t.rig, 2000);
		rig_expect_silence(t.rig, BOB);
		for (unsigned ms = 2000; ms < 4000 && !rig_has_message(t.rig, BOB); ms += 100)
			rig_after(t.rig, 100);
		bob_has_it(&t);
		stayed(&t);
	}
}

/* Nobody takes her offer: she gets an answer that refuses it (RFC 3264 §6), and all is over. */
static void neither_takes_it(void **state)
{
	static const unsigned status[] = { 488, 200, 0, 481 };

	(void)state;
	for (unsigned i = 0; i < sizeof(status) / sizeof(*status); i++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		offered(&t);
		phone_answers_invite(&t.c, 486, "", "");
		phone_gets(&t.c, "ACK ");
		rig_after(t.rig, 10);
		phone_gets(&t.b, "INVITE ");
		if (status[i])
			phone_answers_invite(&t.b, status[i], "", "");
		else
			phone_answers_invite(&t.b, 180, "", "");
		if (status[i])
			phone_gets(&t.b, "ACK ");
		rig_after(t.rig, MOVE_RETURN_MS);
		phone_gets(&t.a, "ACK ");
		assert_true(got_has(&t.a.got, REFUSED));
		phone_gets(&t.a, "BYE ");
		phone_answers(&t.a, 200, "", "");
		assert_non_null(strstr(t.rig->cdrs[0], status[i] == 481 ? "dialog-lost" : "move-lost"));
		assert_int_equal(rig_count(t.rig, MOVES_LOST), 1);
		expect_calls(t.rig, 0, 0);
		rig_forget(t.rig, BOB);
		rig_after(t.rig, 40000);
		rig_forget(t.rig, BOB);
		rig_forget(t.rig, ALICE);
		end(&t);
	}
}

/* Who says BYE in the middle has it, and nothing of the move is left. `step`: how far it has come. */
static void go_to(struct trio *t, unsigned step)
{
	if (step == 0) {
		asked(t);
		return;
	}
	offered(t);
	if (step == 1)
		return;
	phone_answers_invite(&t->c, 180, "", "");
	if (step == 2)
		return;
	phone_answers_invite(&t->c, 486, "", "");
	phone_gets(&t->c, "ACK ");
	rig_after(t->rig, 10);
	phone_gets(&t->b, "INVITE ");
}
enum { STEPS = 4 };

/* What the move has begun ends. */
static void all_is_over(struct trio *t, unsigned step)
{
	expect_calls(t->rig, 0, 0);
	assert_int_equal(rig_calls(t->rig), 0);
	if (step == 2) {
		phone_gets(&t->c, "CANCEL ");
		phone_answers(&t->c, 200, "", "");
		phone_answers_invite(&t->c, 487, "", "");
		phone_gets(&t->c, "ACK ");
	}
	assert_int_equal(t->rig->n_cdrs, 1);
	assert_null(strstr(t->rig->cdrs[0], "moves"));
	rig_after(t->rig, 100000);
	rig_forget(t->rig, ALICE);
	rig_forget(t->rig, BOB);
	rig_forget(t->rig, CAROL);
	end(t);
}

static void a_bye_in_the_middle(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * STEPS; i++) {
		struct trio t;
		struct phone *p, *q;
		unsigned step = i / 2;

		begin(&t, FLOW_TWO, 1);
		go_to(&t, step);
		p = i % 2 ? &t.b : &t.a;
		q = i % 2 ? &t.a : &t.b;
		phone_asks(p, "BYE", "", "");
		if (step)
			phone_gets(&t.a, "ACK ");
		if (step)
			assert_true(got_has(&t.a.got, REFUSED));
		phone_gets(q, "BYE ");
		phone_answers(q, 200, "", "");
		phone_gets(p, "SIP/2.0 200");
		assert_non_null(strstr(t.rig->cdrs[0], "\"bye\""));
		all_is_over(&t, step);
	}
}

static void a_hangup_in_the_middle(void **state)
{
	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		struct call_info info;
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		go_to(&t, step);
		b2bua_each(t.rig->workers[0].calls, what_operators_see, &info);
		assert_true(b2bua_hangup(t.rig->workers[0].calls, info.id, "test"));
		rig_after(t.rig, 0);
		if (step)
			phone_gets(&t.a, "ACK ");
		phone_gets(&t.a, "BYE ");
		phone_answers(&t.a, 200, "", "");
		phone_gets(&t.b, "BYE ");
		phone_answers(&t.b, 200, "", "");
		all_is_over(&t, step);
	}
}

/* A second offer, or what would tie the call to Bob, comes later (§14.2). */
static void requests_in_the_middle(void **state)
{
	static const struct { const char *method, *answer; } all[] = {
		{ "INVITE", "SIP/2.0 491" }, { "UPDATE", "SIP/2.0 491" }, { "INFO", "SIP/2.0 500" }, { "SUBSCRIBE", "SIP/2.0 500" },
	};

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		go_to(&t, step);
		for (unsigned i = 0; i < 2 * sizeof(all) / sizeof(*all); i++) {
			struct phone *p = i % 2 ? &t.b : &t.a;

			phone_asks(p, all[i / 2].method, "", i < 4 ? OFFER : "");
			phone_gets(p, all[i / 2].answer);
			if (i < 2)
				phone_acks_refusal(p);
		}
		rig_after(t.rig, 0);
		if (step == 0) {
			phone_answers_invite(&t.a, 488, "", "");
			phone_gets(&t.a, "ACK ");
		} else if (step == 3) {
			phone_answers_invite(&t.b, 200, "", BOBS);
			phone_gets(&t.b, "ACK ");
			phone_gets(&t.a, "ACK ");
		} else {
			phone_answers_invite(&t.c, 486, "", "");
			phone_gets(&t.c, "ACK ");
			rig_after(t.rig, 10);
			bob_has_it(&t);
		}
		stayed(&t);
	}
}

/* Another node knows nothing of it: the call is at Bob's. */
static void a_takeover_in_the_middle(void **state)
{
	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		struct trio t;

		begin(&t, FLOW_TWO, 1);
		go_to(&t, step);
		t.rig = t.a.rig = t.b.rig = t.c.rig = rig_take_over(t.rig, FLOW_TWO, 2, 1);
		put(t.rig, "apps/bob", WISH_DRAINING);
		expect_calls(t.rig, 1, 0);
		phones_exchange(&t.b, &t.a, "INFO", 200);
		asked(&t);
		phone_answers_invite(&t.a, 488, "", "");
		phone_gets(&t.a, "ACK ");
		phones_end(&t.a, &t.b);
		rig_after(t.rig, 100000);
		rig_forget(t.rig, CAROL);
		end(&t);
	}
}

static void a_takeover_after_it(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	moved(&t);
	t.rig = t.a.rig = t.b.rig = t.c.rig = rig_take_over(t.rig, FLOW_TWO, 4, 1);
	expect_calls(t.rig, 0, 1);
	reinvite(&t.a, &t.c);
	reinvite(&t.c, &t.a);
	phones_end(&t.c, &t.a);
	assert_non_null(strstr(t.rig->cdrs[0], "\"moves\":1"));
	end(&t);
}

/* Nobody is asked for nothing. */
static void nobody_else_is_there(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	put(t.rig, "apps/carol", WISH_DISABLED);
	assert_int_equal(move(t.rig, 10), 0);
	put(t.rig, "apps/carol", WISH_IN_SERVICE);
	moved(&t);
	phones_end(&t.a, &t.c);
	end(&t);
}

/* What is under way belongs to Bob. */
static void not_while_something_is_under_way(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	phone_asks(&t.a, "INFO", "", "");
	phone_gets(&t.b, "INFO ");
	assert_int_equal(move(t.rig, 10), 0);
	phone_answers(&t.b, 200, "", "");
	phone_gets(&t.a, "SIP/2.0 200");
	phone_asks(&t.a, "INVITE", "", OFFER);
	phone_gets(&t.b, "INVITE ");
	phone_gets(&t.a, "SIP/2.0 100");
	assert_int_equal(move(t.rig, 10), 0);
	phones_answered(&t.a, &t.b);
	phone_asks(&t.a, "REFER", "Refer-To: <sip:dave@example.com>\n", "");
	phone_gets(&t.b, "REFER ");
	phone_answers(&t.b, 202, "", "");
	phone_gets(&t.a, "SIP/2.0 202");
	assert_int_equal(move(t.rig, 10), 0);
	phone_notifies(&t.b, &t.a, "terminated;reason=noresource");
	rig_after(t.rig, SIP_TIMEOUT);
	moved(&t);
	phone_asks(&t.a, "BYE", "", "");
	phone_gets(&t.c, "BYE ");
	assert_int_equal(b2bua_move_at(t.rig->workers[0].calls, slot_of(t.rig, "apps/carol"), 1), 0);
	phone_answers(&t.c, 200, "", "");
	phone_gets(&t.a, "SIP/2.0 200");
	end(&t);
}

/* Somebody is about to take it over under its present name (RFC 3891): with Bob, who knows it by that. */
static void who_is_named_stays(void **state)
{
	struct phone anna, b2;
	char extra[512];
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 2);
	phone_new(&anna, t.rig, "anna", "192.0.2.77:5060");
	phone_new(&b2, t.rig, "bob", BOB);
	snprintf(extra, sizeof(extra), "Replaces: %s\n", phone_call_name(&t.a));
	phone_calls(&anna, URI, extra, OFFER);
	phone_gets(&anna, "SIP/2.0 100");
	phone_gets(&b2, "INVITE ");
	assert_int_equal(move(t.rig, 10), 0);
	phone_answers(&b2, 486, "", "");
	phone_gets(&b2, "ACK ");
	phone_gets(&anna, "SIP/2.0 486");
	phone_acks_refusal(&anna);
	assert_int_equal(move(t.rig, 10), 0);
	rig_after(t.rig, MOVE_NAMED_MS);
	phone_free(&anna);
	phone_free(&b2);
	moved(&t);
	phones_end(&t.a, &t.c);
	end(&t);
}

static void who_is_named_in_the_middle_stays(void **state)
{
	struct phone anna, b2;
	char extra[512];
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 2);
	offered(&t);
	phone_new(&anna, t.rig, "anna", "192.0.2.77:5060");
	phone_new(&b2, t.rig, "bob", BOB);
	snprintf(extra, sizeof(extra), "Replaces: %s\n", phone_call_name(&t.a));
	phone_calls(&anna, URI, extra, OFFER);
	phone_gets(&anna, "SIP/2.0 100");
	phone_gets(&b2, "INVITE ");
	phone_answers_invite(&t.c, 200, "", CAROLS);
	phone_gets(&t.c, "ACK ");
	phone_gets(&t.c, "BYE ");
	phone_answers(&t.c, 200, "", "");
	rig_after(t.rig, 10);
	bob_has_it(&t);
	phone_answers(&b2, 486, "", "");
	phone_gets(&b2, "ACK ");
	phone_gets(&anna, "SIP/2.0 486");
	phone_acks_refusal(&anna);
	phone_free(&anna);
	phone_free(&b2);
	stayed(&t);
}

/* Each leg's timer goes on with its own peer: Carol's terms are hers, and what we refresh with is what she was sent. */
static void session_timers(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, FLOW_TWO, 1);
	phone_asks(&t.a, "INVITE", "Supported: timer\nSession-Expires: 1800;refresher=uac\n", OFFER);
	phone_gets(&t.b, "INVITE ");
	phone_answers_invite(&t.b, 200, "", ANSWER);
	phone_gets(&t.a, "SIP/2.0 100");
	phone_gets(&t.a, "SIP/2.0 200");
	phone_acks(&t.a, "");
	phone_gets(&t.b, "ACK ");
	asked(&t);
	assert_true(got_has(&t.a.invite, "Session-Expires: 1800;refresher=uas"));
	phone_answers_invite(&t.a, 200, "Session-Expires: 1800;refresher=uas\nRequire: timer\n", LATER);
	phone_gets(&t.c, "INVITE ");
	assert_true(got_has(&t.c.invite, "Supported: timer"));
	phone_answers_invite(&t.c, 200, "Session-Expires: 200;refresher=uac\nRequire: timer\n", CAROLS);
	phone_gets(&t.a, "ACK ");
	phone_gets(&t.c, "ACK ");
	bob_is_left(&t);
	rig_after(t.rig, 100000);
	phone_gets(&t.c, "INVITE ");
	assert_true(has_body(&t.c.invite, LATER));
	phone_answers_invite(&t.c, 200, "Session-Expires: 200;refresher=uac\nRequire: timer\n", CAROLS);
	phone_gets(&t.c, "ACK ");
	phones_end(&t.c, &t.a);
	end(&t);
}

/* What the rule rewrites is rewritten again. */
static void the_rule_still_holds(void **state)
{
	static const char yaml[] = FLOW_ZONES
		"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, "
		"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n"
		"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, rewrite: { user: { prefix: \"00\" } } }]\n";
	struct trio t;

	(void)state;
	begin(&t, yaml, 1);
	asked(&t);
	phone_answers_invite(&t.a, 200, "", LATER);
	phone_gets(&t.c, "INVITE ");
	assert_string_equal(got_uri(&t.c.invite), "sip:00bob@example.com");
	assert_string_equal(got_uri(&t.c.invite), got_uri(&t.b.invite));
	phone_answers_invite(&t.c, 200, "", CAROLS);
	phone_gets(&t.a, "ACK ");
	phone_gets(&t.c, "ACK ");
	bob_is_left(&t);
	phones_end(&t.a, &t.c);
	end(&t);
}

/* Trunks --------------------------------------------------------------------------------------------------------------- */

#define ASKS "Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\"\n"
/* Whoever is asked is a trunk with credentials: the pool's, and the caller. */
#define TRUNKS FLOW_ZONES TRUNKS_REST
#define TRUNKS_REST \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] }\n" \
	"  out: { zone: public, probe: off, destinations: [{ name: alice, uri: \"sip:192.0.2.10:5060\" }] }\n" \
	"routes: [{ when: { trunk: edge }, to: { pool: apps } }]\n" \
	"trunks:\n" \
	"  edge: { zone: public, pool: out, match: { source: 192.0.2.10 }, domain: example.com, credentials: \"${SBC_TEST_TRUNK}\" }\n" \
	"  pbx: { zone: core, pool: apps, match: { source: 10.0.0.20/30 }, domain: example.com, credentials: \"${SBC_TEST_TRUNK}\" }\n"

/* Where Contacts are believed. */
#define TRUNKS_TRUSTED \
	"node: test\nzones:\n" \
	"  public: { listen: \"udp:203.0.113.10:5060\", domains: [example.com], keepalive: off, trust: [192.0.2.0/24] }\n" \
	"  core: { listen: \"udp:10.0.0.10:5060\", trust: [10.0.0.0/24] }\n" TRUNKS_REST

static void wants_credentials(struct phone *p, unsigned status)
{
	unsigned cseq = p->invite.v.cseq;

	assert_false(got_has(&p->invite, "uthorization: "));
	phone_answers_invite(p, status, status == 407 ? "Proxy-Authenticate: " ASKS : "WWW-Authenticate: " ASKS, "");
	phone_gets(p, "ACK ");
	phone_gets(p, "INVITE ");
	assert_true(got_has(&p->invite, "uthorization: Digest username=\"me\", realm=\"example.com\", nonce=\"n\""));
	assert_int_equal(p->invite.v.cseq, cseq + 1);
}

static void acknowledged(struct phone *p, const char *body)
{
	phone_gets(p, "ACK ");
	assert_true(has_body(&p->got, body));
	assert_int_equal(p->got.v.cseq, p->invite.v.cseq);
	assert_true(got_has(&p->got, "uthorization: Digest username=\"me\""));
}

static void acknowledged_without(struct phone *p)
{
	phone_gets(p, "ACK ");
	assert_int_equal(p->got.v.cseq, p->invite.v.cseq);
	assert_false(got_has(&p->got, "uthorization: "));
}

/* Each of the three asks for credentials, and each gets them: the move goes on, or back, as if nobody had asked. */
static void trunks_want_credentials(void **state)
{
	(void)state;
	for (unsigned goes_back = 0; goes_back < 2; goes_back++) {
		struct trio t;

		begin(&t, TRUNKS, 1);
		asked(&t);
		wants_credentials(&t.a, 401);
		phone_answers_invite(&t.a, 200, "", LATER);
		phone_gets(&t.c, "INVITE ");
		wants_credentials(&t.c, 407);
		assert_true(has_body(&t.c.invite, LATER));
		if (goes_back) {
			phone_answers_invite(&t.c, 486, "", "");
			phone_gets(&t.c, "ACK ");
			rig_after(t.rig, 10);
			phone_gets(&t.b, "INVITE ");
			wants_credentials(&t.b, 401);
			assert_true(has_body(&t.b.invite, LATER));
			phone_answers_invite(&t.b, 200, "", BOBS);
			acknowledged(&t.b, "");
			acknowledged(&t.a, BOBS);
			stayed(&t);
			continue;
		}
		phone_answers_invite(&t.c, 200, "", CAROLS);
		acknowledged(&t.a, CAROLS);
		acknowledged(&t.c, "");
		bob_is_left(&t);
		phones_exchange(&t.a, &t.c, "INFO", 200);
		phones_end(&t.c, &t.a);
		assert_int_equal(rig_count(t.rig, CHALLENGES_ANSWERED), 2);
		end(&t);
	}
}

/* RFC 3261 §22.3: where a 2xx leads elsewhere, its ACK goes there without them. */
static void credentials_stay_at_their_trunk(void **state)
{
	(void)state;
	for (unsigned hangs_up = 0; hangs_up < 2; hangs_up++) {
		struct trio t;

		begin(&t, TRUNKS_TRUSTED, 1);
		asked(&t);
		wants_credentials(&t.a, 401);
		snprintf(t.a.uri, sizeof(t.a.uri), "sip:NEAR-alice@192.0.2.99:5060");
		phone_answers_invite(&t.a, 200, "", LATER);
		phone_gets(&t.c, "INVITE ");
		wants_credentials(&t.c, 407);
		t.a.at = "192.0.2.99:5060";
		if (hangs_up) { /* and what is tried at Carol's is over before it is looked at */
			assert_int_equal(b2bua_hangup_at(t.rig->workers[0].calls, slot_of(t.rig, "apps/bob"), 10), 1);
			rig_after(t.rig, 1);
			acknowledged_without(&t.a);
		} else {
			snprintf(t.c.uri, sizeof(t.c.uri), "sip:FAR-carol@10.0.0.99:5060");
			phone_answers_invite(&t.c, 200, "", CAROLS);
			t.c.at = "10.0.0.99:5060";
			acknowledged_without(&t.a);
			acknowledged_without(&t.c);
			assert_int_equal(b2bua_hangup_at(t.rig->workers[0].calls, slot_of(t.rig, "apps/carol"), 1), 1);
		}
		rig_after(t.rig, 64000);
		rig_forget(t.rig, t.a.at);
		rig_forget(t.rig, t.c.at);
		rig_forget(t.rig, BOB);
		end(&t);
	}
}

/* Asked once more it is a refusal like any other; and a move that is off is not asked for again. */
static void credentials_that_are_not_taken(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, TRUNKS, 1);
	asked(&t);
	wants_credentials(&t.a, 401);
	phone_answers_invite(&t.a, 401, "WWW-Authenticate: " ASKS, "");
	phone_gets(&t.a, "ACK ");
	assert_int_equal(rig_count(t.rig, CHALLENGES_REFUSED), 1);
	stayed(&t);
	begin(&t, TRUNKS, 1);
	asked(&t);
	phone_answers_invite(&t.a, 180, "", "");
	rig_after(t.rig, MOVE_ASK_MS);
	phone_gets(&t.a, "CANCEL ");
	phone_answers(&t.a, 200, "", "");
	phone_answers_invite(&t.a, 401, "WWW-Authenticate: " ASKS, "");
	phone_gets(&t.a, "ACK ");
	stayed(&t);
}

/* Its INVITE's credentials are in an ACK that nobody had an answer for, too. */
static void a_hangup_while_credentials_are_out(void **state)
{
	struct trio t;

	(void)state;
	begin(&t, TRUNKS, 1);
	asked(&t);
	wants_credentials(&t.a, 401);
	phone_answers_invite(&t.a, 200, "", LATER);
	phone_gets(&t.c, "INVITE ");
	assert_int_equal(b2bua_hangup_at(t.rig->workers[0].calls, slot_of(t.rig, "apps/bob"), 1), 1);
	rig_after(t.rig, 1);
	phone_gets(&t.a, "ACK ");
	assert_true(got_has(&t.a.got, REFUSED) && got_has(&t.a.got, "uthorization: Digest username=\"me\""));
	phone_gets(&t.a, "BYE ");
	phone_answers(&t.a, 200, "", "");
	phone_gets(&t.b, "BYE ");
	phone_answers(&t.b, 200, "", "");
	rig_forget(t.rig, CAROL);
	end(&t);
}

/* Where the system says at once that nobody is there. */
static void a_dead_end(void **state)
{
	static const char yaml[] = FLOW_ZONES
		"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, "
		"{ name: carol, uri: \"sip:nowhere.test\" }] } }\n" FLOW_ROUTES;
	struct trio t;

	(void)state;
	begin(&t, yaml, 1);
	asked(&t);
	phone_answers_invite(&t.a, 200, "", LATER);
	rig_after(t.rig, 10);
	bob_has_it(&t);
	stayed(&t);
}

enum { CALLS = MOVES_AT_ONCE + 5 };

static void call_one(struct rig *r, struct phone *a, unsigned i)
{
	static char at[CALLS][32];
	struct phone b;

	snprintf(at[i], sizeof(at[i]), "192.0.2.%u:5060", 100 + i);
	phone_new(a, r, "anna", at[i]);
	phone_new(&b, r, "bob", BOB);
	phones_talk(a, &b, URI);
	phone_free(&b);
}

/* So many calls at a time, the oldest first. */
static void bounded(void **state)
{
	struct rig *r = rig_new(FLOW_TWO, 1, 1);
	struct phone *a = calloc(CALLS, sizeof(*a));

	(void)state;
	assert_non_null(a);
	put(r, "apps/carol", WISH_DRAINING);
	for (unsigned i = 0; i < CALLS; i++)
		call_one(r, &a[i], i);
	put(r, "apps/carol", WISH_IN_SERVICE);
	put(r, "apps/bob", WISH_DRAINING);
	assert_int_equal(move(r, 2), 2);
	assert_true(rig_has_message(r, a[0].at) && rig_has_message(r, a[1].at) && !rig_has_message(r, a[2].at));
	assert_int_equal(move(r, 1000), MOVES_AT_ONCE - 2);
	assert_int_equal(move(r, 1000), 0);
	phone_gets(&a[0], "INVITE ");
	phone_answers_invite(&a[0], 488, "", "");
	rig_after(r, 0);
	assert_int_equal(move(r, 1000), 1);
	for (unsigned i = 0; i < CALLS; i++) {
		rig_forget(r, a[i].at);
		phone_free(&a[i]);
	}
	rig_after(r, 100000);
	for (unsigned i = 0; i < CALLS; i++)
		rig_forget(r, a[i].at);
	rig_forget(r, BOB);
	rig_free(r, false);
	free(a);
}

/* Whatever is lost, doubled or late: all agree in the end on where the call is, if it is. */
static void agree(struct rig *r, const struct party *alice, const struct party *bob, const struct party *carol)
{
	bool is_at_carol = dest_load(r->shared.pools, slot_of(r, "apps/carol")) > 0;

	assert_int_equal(rig_calls(r), dest_load(r->shared.pools, slot_of(r, "apps/bob")) + is_at_carol);
	assert_int_equal(is_at_carol, rig_count(r, CALLS_MOVED));
	assert_true(alice->is_acked || !alice->has_invite);
	assert_true(bob->is_acked || !bob->has_invite);
	assert_int_equal(bob->has_bye, is_at_carol || !rig_calls(r));
	assert_int_equal(alice->has_bye, !rig_calls(r));
	if (carol->has_invite && carol->status == 200)
		assert_true(carol->is_acked && carol->has_bye == !is_at_carol);
}

static void in_bad_weather(void **state)
{
	static const unsigned carols[] = { 200, 200, 486, 0 };
	unsigned moved = 0, stayed = 0, lost = 0;

	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		struct party alice = { .at = ALICE, .listener = EDGE, .name = "NEAR-alice", .body = LATER, .status = 200 };
		struct party bob = { .at = BOB, .listener = CORE, .name = "FAR-bob", .body = BOBS, .status = 200 };
		struct party carol = { .at = CAROL, .listener = CORE, .name = "FAR-carol", .body = CAROLS, .status = carols[seed % 4] };
		struct party *const all[] = { &alice, &bob, &carol };
		struct trio t;

		begin(&t, FLOW_TWO, 1 + seed % 2);
		t.rig->random += seed * UINT64_C(0x9e3779b97f4a7c15);
		t.rig->weather = (struct weather){ .lost = 300, .doubled = 100, .late = 300, .late_ms = 900 };
		assert_int_equal(move(t.rig, 1), 1);
		for (unsigned i = 0; i < 1200; i++) { /* two minutes */
			for (unsigned k = 0; k < 3; k++) {
				if (i % 5 == 0)
					party_repeats(t.rig, all[k]);
				party_serve(t.rig, all[k]);
			}
			rig_after(t.rig, 100);
			if (i == 400)
				t.rig->weather = (struct weather){ 0 };
		}
		agree(t.rig, &alice, &bob, &carol);
		moved += rig_count(t.rig, CALLS_MOVED);
		stayed += rig_count(t.rig, CALLS_STAYED);
		lost += rig_count(t.rig, MOVES_LOST);
		for (unsigned k = 0; k < t.rig->shared.workers; k++) {
			b2bua_hangup_at(t.rig->workers[k].calls, slot_of(t.rig, "apps/bob"), 1);
			b2bua_hangup_at(t.rig->workers[k].calls, slot_of(t.rig, "apps/carol"), 1);
		}
		for (unsigned k = 0; k < 3; k++) {
			rig_after(t.rig, 1);
			party_serve(t.rig, all[k]);
			party_free(all[k]);
		}
		end(&t);
	}
	print_message("%u moved, %u stayed, %u lost\n", moved, stayed, lost);
	assert_true(moved > 50 && stayed > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_on_elsewhere),
		cmocka_unit_test(and_on),
		cmocka_unit_test(sbcctl_shows_it),
		cmocka_unit_test(the_caller_refuses),
		cmocka_unit_test(asked_again_later),
		cmocka_unit_test(the_caller_is_gone),
		cmocka_unit_test(the_caller_offers_nothing),
		cmocka_unit_test(the_caller_takes_too_long),
		cmocka_unit_test(answers_are_repeated),
		cmocka_unit_test(nobody_else_takes_it),
		cmocka_unit_test(the_other_one_takes_too_long),
		cmocka_unit_test(the_other_one_answers_nothing),
		cmocka_unit_test(it_fails_over),
		cmocka_unit_test(bob_is_busy),
		cmocka_unit_test(neither_takes_it),
		cmocka_unit_test(a_bye_in_the_middle),
		cmocka_unit_test(a_hangup_in_the_middle),
		cmocka_unit_test(requests_in_the_middle),
		cmocka_unit_test(a_takeover_in_the_middle),
		cmocka_unit_test(a_takeover_after_it),
		cmocka_unit_test(nobody_else_is_there),
		cmocka_unit_test(not_while_something_is_under_way),
		cmocka_unit_test(who_is_named_stays),
		cmocka_unit_test(who_is_named_in_the_middle_stays),
		cmocka_unit_test(session_timers),
		cmocka_unit_test(the_rule_still_holds),
		cmocka_unit_test(trunks_want_credentials),
		cmocka_unit_test(credentials_stay_at_their_trunk),
		cmocka_unit_test(credentials_that_are_not_taken),
		cmocka_unit_test(a_hangup_while_credentials_are_out),
		cmocka_unit_test(a_dead_end),
		cmocka_unit_test(bounded),
		cmocka_unit_test(in_bad_weather),
	};

	setenv("SBC_TEST_TRUNK", "me:pass:word", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
