/* Calls of registered clients go where their bindings go, and nobody else's do (DECISIONS 26). */
#include "tests/flow/roam.h"
#include "sbc/call/call.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const unsigned workers[] = { 1, 2, 8 };
static void (*const begins[])(struct client *c) = { calls, is_called };
enum { RUNS = 6 };

static void begin(struct client *c, unsigned run)
{
	roam_begin(c, workers[run / 2], NULL);
	registers(c, HOTEL, EDGE, true);
	begins[run % 2](c);
}

/* Her network changes, and she registers again: whoever asks for her finds her there, and what she asks is hers. */
static void a_call_goes_where_she_registers(void **state)
{
	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct client c;

		begin(&c, run);
		is_found(&c, HOTEL, EDGE, "INFO");
		registers(&c, TRAIN, EDGE, true);
		assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 1);
		is_found(&c, TRAIN, EDGE, "INFO");
		registers(&c, CAFE, EDGE_TCP, true); /* by another transport, too */
		is_found(&c, CAFE, EDGE_TCP, "INFO");
		is_heard(&c, "INVITE", INNER);
		assert_int_equal(rig_count(c.rig, FLOWS_KEPT), 0);
		is_found(&c, CAFE, EDGE_TCP, "BYE");
		roam_end(&c);
	}
}

/* The registration ran out in the tunnel: it is the same phone all the same. */
static void she_registers_anew(void **state)
{
	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct client c;

		begin(&c, run);
		c.params = ";expires=0" PHONE;
		registers(&c, HOTEL, EDGE, true);
		c.params = PHONE;
		registers(&c, TRAIN, EDGE, true);
		is_found(&c, TRAIN, EDGE, "BYE");
		roam_end(&c);
	}
}

/* A phone that cannot say that it is the same one has another Contact at the next place, and thus another binding. Its first request within
 * the call tells: its own user's binding is over that flow. From then on that binding is the call's. */
static void her_first_request_from_there_tells(void **state)
{
	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct client c;

		roam_begin(&c, workers[run / 2], NULL);
		c.params = "";
		registers(&c, HOTEL, EDGE, true);
		begins[run % 2](&c);
		c.contact = "sip:alice@10.20.30.40:5060";
		registers(&c, TRAIN, EDGE, true);
		is_found(&c, HOTEL, EDGE, "INFO"); /* nobody can know yet */
		is_heard(&c, "INVITE", "sip:alice@10.20.30.40:5060");
		assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 1);
		is_found(&c, TRAIN, EDGE, "INFO");
		registers(&c, CAFE, EDGE, true);
		is_found(&c, CAFE, EDGE, "BYE");
		roam_end(&c);
	}
}

/* Who knows every identifier of her call and has an account of his own gets answers, and not her call. */
static void a_thief_with_an_account(void **state)
{
	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct client c;

		begin(&c, run);
		c.user = "mallory";
		c.contact = "sip:mallory@" THIEF;
		registers(&c, THIEF, EDGE, true);
		is_heard(&c, "INFO", NULL);
		is_heard(&c, "INVITE", "sip:mallory@" THIEF);
		assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 0);
		assert_true(rig_count(c.rig, FLOWS_KEPT) >= 2);
		is_found(&c, HOTEL, EDGE, "INFO");
		assert_true(got_has(&c.got, INNER)); /* nor is her name his */
		is_found(&c, HOTEL, EDGE, "BYE");
		roam_end(&c);
	}
}

/* Where nobody has to say who he is, anybody can register as her: new calls go there, hers does not. */
static void without_credentials_nothing_moves(void **state)
{
	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct client c;

		roam_begin(&c, workers[run / 2], "none");
		registers(&c, HOTEL, EDGE, true);
		begins[run % 2](&c);
		registers(&c, THIEF, EDGE, true);
		is_found(&c, HOTEL, EDGE, "INFO");
		is_heard(&c, "INVITE", "sip:alice@" THIEF);
		is_found(&c, HOTEL, EDGE, "BYE");
		roam_end(&c);
	}
}

/* She is asked for at the worker of her registration, and meanwhile she moves on by herself: the answer is old news. */
static void an_answer_that_comes_too_late(void **state)
{
	struct client c;

	(void)state;
	roam_begin(&c, 8, NULL);
	c.params = "";
	registers(&c, HOTEL, EDGE, true);
	calls(&c);
	c.contact = "sip:alice@10.20.30.40:5060";
	registers(&c, TRAIN, EDGE, true);
	c.rig->holds_mail = true;
	is_heard(&c, "INFO", NULL);
	c.at = "192.0.2.10:7777";
	is_heard(&c, "INFO", NULL);
	c.rig->holds_mail = false;
	rig_after(c.rig, 1);
	assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 1);
	is_found(&c, "192.0.2.10:7777", EDGE, "BYE");
	roam_end(&c);
}

/* What was spoken over TLS does not go on in the open, whoever registers how. */
static void never_from_secret_to_open(void **state)
{
	(void)state;
	for (unsigned run = 0; run < 2; run++) {
		struct client c;
		struct leg *leg = NULL;
		struct call *call;

		begin(&c, run);
		list_each(n, &c.rig->workers[0].calls->all) {
			call = owner_of(n, struct call, in_all);
			leg = run ? call->far : &call->near;
		}
		leg->path.transport = T_TLS; /* as if it were */
		registers(&c, TRAIN, EDGE, true);
		c.at = CAFE;
		is_heard(&c, "INFO", NULL);
		assert_int_equal(leg->path.transport, T_TLS);
		assert_int_equal(rig_count(c.rig, FLOWS_MOVED), 0);
		leg->path.transport = T_UDP;
		is_found(&c, HOTEL, EDGE, "BYE");
		roam_end(&c);
	}
}

/* Ringing, too: early dialogs go where she is, CANCEL included. */
static void while_it_rings(void **state)
{
	struct client c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		roam_begin(&c, workers[i], NULL);
		registers(&c, HOTEL, EDGE, true);
		c.his = (struct end){ .local = "<sip:bob@example.com>;tag=bob", .remote = "<sip:alice@example.com>", .call_id = "his",
			              .target = "sip:alice@example.com" };
		he_says(&c, "INVITE");
		his(&c, "SIP/2.0 100");
		hers(&c, HOTEL, "INVITE ");
		copy(c.his.remote, sizeof(c.his.remote), got_value(&c.got, HDR_TO));
		snprintf(c.hers.local, sizeof(c.hers.local), "%s;tag=alice", got_value(&c.got, HDR_TO));
		registers(&c, TRAIN, EDGE, true);
		flow_answer(c.rig, TRAIN, EDGE, &c.got, 180, c.hers.local, "<" INNER ">", "", ""); /* by its branch */
		his(&c, "SIP/2.0 180");
		copy(c.his.remote, sizeof(c.his.remote), got_value(&c.bobs, HDR_TO));
		copy(c.his.target, sizeof(c.his.target), got_contact(&c.bobs));
		flow_answer(c.rig, TRAIN, EDGE, &c.got, 200, c.hers.local, "<" INNER ">", "", "");
		his(&c, "SIP/2.0 200");
		he_says(&c, "ACK");
		hers(&c, TRAIN, "ACK ");
		is_found(&c, TRAIN, EDGE, "BYE");
		roam_end(&c);
	}
}

/* She waits for Bob to answer, and then for what she asked him, elsewhere than where she asked. */
static void an_answer_finds_her(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct client c;

		roam_begin(&c, workers[i], NULL);
		registers(&c, HOTEL, EDGE, true);
		c.hers = (struct end){ .local = "<sip:alice@example.com>;tag=alice", .remote = "<sip:bob@example.com>", .call_id = "hers",
			               .target = "sip:bob@example.com" };
		she_says(&c, "INVITE", INNER);
		hers(&c, HOTEL, "SIP/2.0 100");
		his(&c, "INVITE ");
		registers(&c, TRAIN, EDGE_TCP, true);
		snprintf(c.his.local, sizeof(c.his.local), "%s;tag=bob", got_value(&c.bobs, HDR_TO));
		answers(&c, &c.bobs, BOB, CORE, c.his.local, "<sip:bob@" BOB ">");
		hers(&c, TRAIN, "SIP/2.0 200");
		copy(c.hers.remote, sizeof(c.hers.remote), got_value(&c.got, HDR_TO));
		copy(c.hers.target, sizeof(c.hers.target), got_contact(&c.got));
		registers(&c, CAFE, EDGE, true);
		rig_after(c.rig, 500);
		hers(&c, CAFE, "SIP/2.0 200"); /* again: it is not acknowledged */
		she_says(&c, "ACK", NULL);
		his(&c, "ACK ");
		she_says(&c, "BYE", NULL);
		his(&c, "BYE ");
		registers(&c, TRAIN, EDGE, true);
		answers(&c, &c.bobs, BOB, CORE, got_value(&c.bobs, HDR_TO), NULL);
		hers(&c, TRAIN, "SIP/2.0 200");
		roam_end(&c);
	}
}

/* Bob gives up: what rings there, stops there. And what he asks her is asked again where she is. */
static void a_cancel_finds_her(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct client c;
		unsigned branch;

		roam_begin(&c, workers[i], NULL);
		registers(&c, HOTEL, EDGE, true);
		c.his = (struct end){ .local = "<sip:bob@example.com>;tag=bob", .remote = "<sip:alice@example.com>", .call_id = "his",
			              .target = "sip:alice@example.com" };
		he_says(&c, "INVITE");
		branch = c.branch;
		his(&c, "SIP/2.0 100");
		hers(&c, HOTEL, "INVITE ");
		snprintf(c.hers.local, sizeof(c.hers.local), "%s;tag=alice", got_value(&c.got, HDR_TO));
		flow_answer(c.rig, HOTEL, EDGE, &c.got, 180, c.hers.local, "<" INNER ">", "", "");
		his(&c, "SIP/2.0 180");
		registers(&c, TRAIN, EDGE, true);
		rig_say(c.rig, BOB, CORE, "", "CANCEL sip:alice@example.com SIP/2.0\nVia: SIP/2.0/UDP " BOB ";branch=z9hG4bKd%u;rport\n"
		        "Max-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: his\nCSeq: 1 CANCEL\n", branch, c.his.local, c.his.remote);
		his(&c, "SIP/2.0 200");
		his(&c, "SIP/2.0 487");
		hers(&c, TRAIN, "CANCEL ");
		rig_forget(c.rig, TRAIN);
		roam_end(&c);
		begin(&c, 2 * i + 1);
		he_says(&c, "INFO");
		hers(&c, HOTEL, "INFO ");
		registers(&c, TRAIN, EDGE, true);
		rig_after(c.rig, 500);
		hers(&c, TRAIN, "INFO ");
		answers(&c, &c.got, TRAIN, EDGE, got_value(&c.got, HDR_TO), NULL);
		his(&c, "SIP/2.0 200");
		is_found(&c, TRAIN, EDGE, "BYE");
		roam_end(&c);
	}
}

/* Another node has the call now, and her phone comes back to that one. */
static void after_a_takeover(void **state)
{
	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct client c;

		begin(&c, run);
		c.rig = rig_take_over(c.rig, c.yaml, workers[run / 2], 1);
		registers(&c, TRAIN, EDGE, true);
		is_found(&c, TRAIN, EDGE, "INFO");
		is_found(&c, TRAIN, EDGE, "BYE");
		roam_end(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_goes_where_she_registers),
		cmocka_unit_test(she_registers_anew),
		cmocka_unit_test(her_first_request_from_there_tells),
		cmocka_unit_test(a_thief_with_an_account),
		cmocka_unit_test(without_credentials_nothing_moves),
		cmocka_unit_test(an_answer_that_comes_too_late),
		cmocka_unit_test(never_from_secret_to_open),
		cmocka_unit_test(while_it_rings),
		cmocka_unit_test(an_answer_finds_her),
		cmocka_unit_test(a_cancel_finds_her),
		cmocka_unit_test(after_a_takeover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
