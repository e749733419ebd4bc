/* A name with several addresses (RFC 3263 §4.3): the next one is tried when one says nothing at all, 503, or cannot be reached; what goes
 * wrong at one address concerns that request and nobody else. */
#include "dispatcher/pool.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define DAVE "10.0.0.23:5060"
#define SDP_LINE "Content-Type: application/sdp\n"
#define NAME "bobs.example.net"
#define NAMED(failover, uri) \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, " failover "destinations: [{ name: bob, uri: \"" uri "\" }] } }\n" FLOW_ROUTES
#define FOLLOW \
	FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, redirects: follow }]\n"

/* NAME leads to these, in this order. */
static void leads(struct rig *r, struct resolve_answer *all, const char *a, const char *b, const char *c)
{
	const char *const of[] = { a, b, c };

	*all = (struct resolve_answer){ 0 };
	for (; all->n < 3 && of[all->n]; all->n++)
		assert_int_equal(addr_parse(&all->addr[all->n], sv_from(of[all->n])), 0);
	r->names[0] = (struct rig_name){ .host = NAME, .all = all };
	r->n_names = 1;
}

static void begin(struct flow *f, struct resolve_answer *all, const char *yaml)
{
	flow_begin(f, yaml, 1, 1);
	leads(f->rig, all, BOB, CAROL, DAVE);
}

static void next_is(struct flow *f, const char *who, const char *start)
{
	f->bob = who;
	flow_expect_at_bob(f, start);
}

static void refuses(struct flow *f, unsigned status)
{
	flow_bob_answers(f, status, "", "");
	flow_expect_at_bob(f, "ACK ");
}

static void answered(struct flow *f)
{
	flow_bob_answers(f, 200, SDP_LINE, SDP);
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_ack(f);
}

static void hangs_up(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

static struct dest_info health(const struct flow *f)
{
	struct dest_info info;

	dest_info(f->rig->shared.pools, 0, &info);
	return info;
}

/* Requests that begin something --------------------------------------------------------------------------------- */

/* kamailio/kamailio#4911: what failed at one address takes neither the destination nor other calls with it. */
static void a_call_goes_from_address_to_address(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("failover: { tries: 1 }, ", "sip:" NAME));
	flow_invite(&f, BOB); /* silent */
	rig_after(f.rig, 1999);
	rig_forget(f.rig, BOB);
	rig_expect_silence(f.rig, CAROL);
	rig_after(f.rig, 1);
	next_is(&f, CAROL, "INVITE ");
	refuses(&f, 503);
	next_is(&f, DAVE, "INVITE ");
	rig_expect_silence(f.rig, BOB);
	assert_true(health(&f).is_up);
	assert_int_equal(health(&f).load, 1);
	answered(&f);
	hangs_up(&f);
}

static void all_of_them_fail(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("failover: { tries: 1 }, ", "sip:" NAME));
	flow_invite(&f, BOB);
	refuses(&f, 503);
	next_is(&f, CAROL, "INVITE ");
	refuses(&f, 503);
	next_is(&f, DAVE, "INVITE ");
	refuses(&f, 503);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	flow_refused(&f);
	assert_int_equal(health(&f).load, 0);
	flow_end(&f);
}

/* What rang is not asked again elsewhere. */
static void after_a_provisional_there_is_no_next_one(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("", "sip:" NAME));
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	refuses(&f, 503);
	flow_expect_at_alice(&f, "SIP/2.0 500");
	flow_refused(&f);
	rig_expect_silence(f.rig, CAROL);
	flow_end(&f);
}

static void a_port_that_is_closed(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("", "sip:" NAME));
	flow_alice_calls(&f, "", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	rig_refuse_last(f.rig, BOB, ECONNREFUSED);
	rig_forget(f.rig, BOB);
	next_is(&f, CAROL, "INVITE ");
	assert_true(health(&f).is_up);
	answered(&f);
	hangs_up(&f);
}

/* Every address with the transport that DNS gives it. */
static void each_address_by_its_transport(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("", "sip:" NAME));
	all.transport[0] = T_TLS; /* the zone has none */
	all.transport[1] = T_TCP;
	flow_alice_calls(&f, "", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	next_is(&f, CAROL, "INVITE ");
	assert_int_equal(f.at_bob.packet->transport, T_TCP);
	assert_true(got_has(&f.at_bob, "Via: SIP/2.0/TCP "));
	flow_answer(f.rig, CAROL, CORE_TCP, &f.at_bob, 503, f.far_to, NULL, "", "");
	flow_expect_at_bob(&f, "ACK ");
	next_is(&f, DAVE, "INVITE ");
	assert_int_equal(f.at_bob.packet->transport, T_UDP);
	answered(&f);
	hangs_up(&f);
}

static void message(struct flow *f, unsigned n)
{
	rig_say(f->rig, ALICE, EDGE, "hello",
	        "MESSAGE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKmsg%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: m%u\nCSeq: 1 MESSAGE\n"
	        "Content-Type: text/plain\n", n, n);
}

/* Three failures in a row take a destination down; here one of its addresses fails three times, by refusal or silence. */
static void failures_of_one_address_add_up_to_nothing(void **state)
{
	(void)state;
	for (unsigned is_silent = 0; is_silent < 2; is_silent++) {
		struct resolve_answer all;
		struct flow f;

		begin(&f, &all, NAMED("", "sip:" NAME));
		for (unsigned i = 0; i < 3; i++) {
			message(&f, i);
			next_is(&f, BOB, "MESSAGE ");
			if (!is_silent)
				flow_bob_answers(&f, 503, "", "");
		}
		rig_after(f.rig, is_silent ? 2000 : 1);
		rig_forget(f.rig, BOB);
		assert_true(health(&f).is_up);
		for (unsigned i = 0; i < 3; i++) {
			next_is(&f, CAROL, "MESSAGE ");
			flow_bob_answers(&f, 200, "", "");
			flow_expect_at_alice(&f, "SIP/2.0 200");
		}
		flow_end(&f);
	}
}

/* The last address speaks for the destination. */
static void failures_of_all_addresses_do(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("", "sip:" NAME));
	leads(f.rig, &all, BOB, CAROL, NULL);
	for (unsigned i = 0; i < 3; i++) {
		message(&f, i);
		next_is(&f, BOB, "MESSAGE ");
		flow_bob_answers(&f, 503, "", "");
		next_is(&f, CAROL, "MESSAGE ");
		flow_bob_answers(&f, 503, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 500");
	}
	assert_false(health(&f).is_up);
	flow_end(&f);
}

static void other_requests_go_on_too(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("", "sip:" NAME));
	message(&f, 1);
	next_is(&f, BOB, "MESSAGE ");
	flow_bob_answers(&f, 503, "", "");
	next_is(&f, CAROL, "MESSAGE ");
	rig_after(f.rig, 2000);
	rig_forget(f.rig, CAROL);
	next_is(&f, DAVE, "MESSAGE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* Without a pool, too: a redirection that is followed. */
static void what_a_redirection_names(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, FOLLOW);
	leads(f.rig, &all, CAROL, DAVE, "10.0.0.24:5060");
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 302, "Contact: <sip:c@" NAME ">\n", "");
	flow_expect_at_bob(&f, "ACK ");
	next_is(&f, CAROL, "INVITE sip:c@" NAME);
	refuses(&f, 503);
	next_is(&f, DAVE, "INVITE sip:c@" NAME);
	rig_after(f.rig, HOP_SILENT_MS);
	rig_forget(f.rig, DAVE);
	next_is(&f, "10.0.0.24:5060", "INVITE sip:c@" NAME);
	answered(&f);
	hangs_up(&f);
}

/* RFC 3261 §26.2.2: a sips: URI that this zone cannot reach over TLS is not reached at all. */
static void sips_never_goes_in_the_clear(void **state)
{
	static const char *const contacts[] = { "sips:c@10.0.0.22", "sips:c@10.0.0.22:5060;transport=tcp", ("sips:c@" NAME),
		                                "sips:c@10.0.0.22;transport=udp" };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct resolve_answer all;
		struct flow f;
		char line[128];

		begin(&f, &all, FOLLOW);
		leads(f.rig, &all, CAROL, NULL, NULL);
		snprintf(line, sizeof(line), "Contact: <%s>\n", contacts[i]);
		flow_invite(&f, BOB);
		flow_bob_answers(&f, 302, line, "");
		flow_expect_at_bob(&f, "ACK ");
		rig_after(f.rig, 10);
		rig_expect_silence(f.rig, CAROL);
		rig_expect_silence(f.rig, "10.0.0.22:5061");
		flow_expect_at_alice(&f, i < 3 ? "SIP/2.0 503" : "SIP/2.0 400"); /* the last one contradicts itself */
		flow_refused(&f);
		flow_end(&f);
	}
}

/* Answers what has come to `who`, or only hears it. */
static unsigned probes_at(struct flow *f, const char *who, bool answers)
{
	unsigned n = 0;

	while (rig_has_message(f->rig, who)) {
		rig_expect(f->rig, who, "OPTIONS ", &f->at_bob);
		if (answers)
			flow_answer(f->rig, who, CORE, &f->at_bob, 200, "<sip:" NAME ">;tag=x", NULL, "", "");
		n++;
	}
	return n;
}

/* Probes do not hang on the first address either: the destination is down when no address answers. */
static void probes_find_the_address_that_lives(void **state)
{
	struct resolve_answer all;
	struct flow f;
	unsigned at[2] = { 0 };

	(void)state;
	flow_begin(&f, FLOW_ZONES "pools: { apps: { zone: core, probe: { every: 1s, timeout: 500ms, down-after: 3 }, "
	           "destinations: [{ name: bob, uri: \"sip:" NAME "\" }] } }\n" FLOW_ROUTES, 1, 1);
	leads(f.rig, &all, BOB, CAROL, NULL);
	for (unsigned i = 0; i < 300; i++) {
		rig_after(f.rig, 100);
		at[0] += probes_at(&f, BOB, false);
		at[1] += probes_at(&f, CAROL, true);
		assert_true(health(&f).is_up);
	}
	assert_true(at[0] > 0);   /* there it began */
	assert_true(at[1] >= 20); /* and there it stays: where it is answered */
	leads(f.rig, &all, BOB, NULL, NULL);
	rig_after(f.rig, 10000);
	assert_false(health(&f).is_up);
	probes_at(&f, BOB, false);
	rig_free(f.rig, false);
	got_free(&f.at_bob);
}

/* One that nobody answers is over with its time-out: nothing of it is repeated, or kept, while others come after it. */
static void a_dead_server_has_one_probe_at_a_time(void **state)
{
	struct flow f;
	unsigned n = 0, at_rest = 0;

	(void)state;
	flow_begin(&f, FLOW_ZONES "pools: { apps: { zone: core, probe: { every: 1s, timeout: 900ms, down-after: 3 }, "
	           "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES, 1, 1);
	for (unsigned i = 0; i < 100; i++) {
		rig_after(f.rig, 100);
		n += probes_at(&f, BOB, false);
		assert_true(f.rig->workers[0].probes.in_use <= 1);
	}
	assert_in_range(n, 18, 20); /* each once more after 500 ms (timer E) */
	assert_false(health(&f).is_up);
	for (unsigned i = 0; i < 100; i++) {
		rig_after(f.rig, 100);
		probes_at(&f, BOB, true);
		at_rest += f.rig->workers[0].probes.in_use == 0;
	}
	assert_true(health(&f).is_up);
	assert_true(at_rest >= 70); /* an answered one has gone, for all that its transaction lives on for T4 */
	rig_free(f.rig, false);
	got_free(&f.at_bob);
}

/* Requests within a dialog --------------------------------------------------------------------------------------- */

/* A call whose far target is a name; Bob has answered it. */
static void in_dialog(struct flow *f, struct resolve_answer *all)
{
	flow_begin(f, FLOW_ONE, 1, 1);
	leads(f->rig, all, BOB, CAROL, DAVE);
	f->bob_contact = "<sip:bob@" NAME ">";
	flow_invite(f, BOB);
	answered(f);
}

/* Strangers' names have bounds of their own (RESOLVE_FOREIGN_*): a destination's is the configuration's, a Contact's theirs. */
static void whose_name_it_is(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	begin(&f, &all, NAMED("", "sip:" NAME));
	f.bob_contact = "<sip:bob@" NAME ">";
	flow_invite(&f, BOB);
	answered(&f);
	assert_int_equal(f.rig->foreign_names, 1); /* the ACK's */
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(f.rig->foreign_names, 2);
	hangs_up(&f);
}

static void the_next_one_gets_the_same_request(void **state)
{
	struct resolve_answer all;
	struct flow f;
	char branch[128], cseq[64];

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	snprintf(branch, sizeof(branch), "%s", got_branch(&f.at_bob));
	snprintf(cseq, sizeof(cseq), "%s", got_value(&f.at_bob, HDR_CSEQ));
	flow_bob_answers(&f, 503, "", "");
	rig_expect_silence(f.rig, ALICE);
	next_is(&f, CAROL, "INFO sip:bob@" NAME);
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), cseq);
	assert_string_not_equal(got_branch(&f.at_bob), branch);
	rig_after(f.rig, HOP_SILENT_MS - 1);
	rig_forget(f.rig, CAROL);
	rig_expect_silence(f.rig, DAVE);
	rig_after(f.rig, 1);
	next_is(&f, DAVE, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_after(f.rig, 60000);
	rig_expect_silence(f.rig, CAROL); /* given up, not repeated */
	hangs_up(&f);                     /* at Dave's: the dialog is there now */
}

static void a_late_answer_is_nobodys(void **state)
{
	struct resolve_answer all;
	struct flow f;
	struct got late = { 0 };

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "INFO", "", "");
	rig_expect(f.rig, BOB, "INFO ", &late);
	rig_after(f.rig, HOP_SILENT_MS);
	rig_forget(f.rig, BOB);
	next_is(&f, CAROL, "INFO ");
	flow_answer(f.rig, BOB, CORE, &late, 500, got_value(&late, HDR_TO), NULL, "", "");
	rig_expect_silence(f.rig, ALICE);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	got_free(&late);
	hangs_up(&f);
}

/* A silent re-INVITE may have been heard: it has all the time of its transaction; a closed port is another matter. */
static void a_reinvite_is_patient(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "INVITE", SDP_LINE, SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	rig_after(f.rig, 10000);
	rig_expect_silence(f.rig, CAROL);
	rig_refuse_last(f.rig, BOB, ECONNREFUSED);
	rig_forget(f.rig, BOB);
	next_is(&f, CAROL, "INVITE ");
	flow_bob_answers(&f, 200, SDP_LINE, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	hangs_up(&f);
}

static void what_was_cancelled_goes_nowhere_else(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "INVITE", SDP_LINE, SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 100, "", "");
	rig_say(f.rig, ALICE, EDGE, "",
	        "CANCEL %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=%s;rport\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\n"
	        "CSeq: %u CANCEL\n", f.near_contact, got_branch(&f.at_alice), got_value(&f.at_alice, HDR_FROM),
	        got_value(&f.at_alice, HDR_TO), got_value(&f.at_alice, HDR_CALL_ID), f.alice_cseq);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_forget(f.rig, BOB);
	flow_bob_answers(&f, 503, "", "");
	rig_expect_silence(f.rig, CAROL);
	rig_after(f.rig, 1);
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	hangs_up(&f);
}

/* A request to a token of ours, which stands for Bob's Contact: no pool says anything of it. */
static void what_a_token_stands_for(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	rig_say(f.rig, ALICE, EDGE, "",
	        "MESSAGE %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKtoken;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=other\nTo: <%s>\nCall-ID: token\nCSeq: 1 MESSAGE\n", f.near_contact, f.near_contact);
	next_is(&f, BOB, "MESSAGE sip:bob@" NAME);
	flow_bob_answers(&f, 503, "", "");
	next_is(&f, CAROL, "MESSAGE sip:bob@" NAME);
	rig_after(f.rig, HOP_SILENT_MS);
	rig_forget(f.rig, CAROL);
	next_is(&f, DAVE, "MESSAGE sip:bob@" NAME);
	flow_bob_answers(&f, 200, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	f.bob = BOB;
	hangs_up(&f);
}

/* When nobody is left it ends as it does with one address. */
static void nobody_is_left(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 503, "", "");
	next_is(&f, CAROL, "INFO ");
	flow_bob_answers(&f, 503, "", "");
	next_is(&f, DAVE, "INFO ");
	flow_bob_answers(&f, 503, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 503");
	assert_int_equal(rig_count(f.rig, HOPS_FAILED_OVER), 2);
	f.bob = BOB; /* nobody else has shown that the dialog is there */
	hangs_up(&f);
}

/* Servers of one name that do not share their dialogs: what another one does not know of is still at its own. */
static void strangers_end_nothing(void **state)
{
	static const char *const methods[] = { "INFO", "UPDATE", "MESSAGE" };
	struct resolve_answer all;
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		in_dialog(&f, &all);
		flow_alice_says(&f, methods[i % 3], "", "");
		rig_expect(f.rig, BOB, methods[i % 3], &f.at_bob);
		if (i < 3) {
			flow_bob_answers(&f, 503, "", "");
		} else {
			rig_after(f.rig, HOP_SILENT_MS);
			rig_forget(f.rig, BOB);
		}
		next_is(&f, CAROL, methods[i % 3]);
		flow_bob_answers(&f, 481, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 503"); /* she would take 481 for the end of her dialog */
		rig_expect_silence(f.rig, DAVE);
		f.bob = BOB;
		flow_alice_says(&f, "INFO", "", "");
		flow_expect_at_bob(&f, "INFO ");
		flow_bob_answers(&f, 200, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		hangs_up(&f);
	}
}

static void gone_to_carol(struct flow *f, const char *method)
{
	flow_alice_says(f, method, "", "");
	f->bob = BOB;
	flow_expect_at_bob(f, method);
	rig_after(f->rig, HOP_SILENT_MS);
	rig_forget(f->rig, BOB);
	next_is(f, CAROL, method);
}

static void still_at_bobs(struct flow *f)
{
	f->bob = BOB;
	flow_alice_says(f, "INFO", "", "");
	flow_expect_at_bob(f, "INFO ");
	rig_expect_silence(f->rig, CAROL);
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

static const unsigned refusals[] = { 302, 400, 401, 403, 404, 405, 407, 408, 481, 500, 501, 603 };

/* Who refuses before he looks for the dialog need not have it: it stays where it is, also for its own server's 481. */
static void refusals_move_nothing(void **state)
{
	static const char *const methods[] = { "INFO", "UPDATE" };
	struct resolve_answer all;
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof(refusals) / sizeof(*refusals); i++) {
		unsigned status = refusals[i / 2];
		char start[32];

		in_dialog(&f, &all);
		gone_to_carol(&f, methods[i % 2]);
		flow_bob_answers(&f, status, "", "");
		snprintf(start, sizeof(start), "SIP/2.0 %u", status == 408 || status == 481 ? 503 : status);
		flow_expect_at_alice(&f, start);
		rig_expect_silence(f.rig, DAVE);
		still_at_bobs(&f);
		hangs_up(&f);
	}
}

/* Anybody answers OPTIONS. */
static void options_move_nothing(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	gone_to_carol(&f, "OPTIONS");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	still_at_bobs(&f);
	hangs_up(&f);
}

/* Nor does their silence: the dialog's own server was given two seconds. */
static void silent_strangers_end_nothing(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "UPDATE", "", "");
	flow_expect_at_bob(&f, "UPDATE ");
	rig_after(f.rig, 2 * HOP_SILENT_MS + SIP_TIMEOUT);
	rig_forget(f.rig, BOB);
	rig_forget(f.rig, CAROL);
	rig_forget(f.rig, DAVE);
	flow_expect_at_alice(&f, "SIP/2.0 503");
	hangs_up(&f);
}

/* A BYE is heard where the dialog is, whatever another server says to it. */
static void strangers_hear_a_bye(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	rig_after(f.rig, HOP_SILENT_MS);
	rig_forget(f.rig, BOB);
	next_is(&f, CAROL, "BYE ");
	flow_bob_answers(&f, 481, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	next_is(&f, BOB, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	rig_expect_silence(f.rig, CAROL);
	flow_end(&f);
}

/* One is done where it was accepted; a challenge is the caller's to answer, and his next BYE begins where the dialog is. */
static void a_bye_that_strangers_refuse(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		bool is_challenge = refusals[i] == 401 || refusals[i] == 407;

		in_dialog(&f, &all);
		gone_to_carol(&f, "BYE");
		flow_bob_answers(&f, refusals[i], "", "");
		flow_expect_at_alice(&f, is_challenge ? "SIP/2.0 40" : "SIP/2.0 200");
		if (is_challenge)
			flow_alice_says(&f, "BYE", "", "");
		next_is(&f, BOB, "BYE ");
		flow_bob_answers(&f, 200, "", "");
		if (is_challenge)
			flow_expect_at_alice(&f, "SIP/2.0 200");
		rig_expect_silence(f.rig, CAROL);
		flow_end(&f);
	}
}

/* A BYE to nobody: the caller has its answer all the same, and nothing is left. */
static void a_bye_finds_nobody(void **state)
{
	struct resolve_answer all;
	struct flow f;

	(void)state;
	in_dialog(&f, &all);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	rig_after(f.rig, HOP_SILENT_MS);
	rig_forget(f.rig, BOB);
	next_is(&f, CAROL, "BYE ");
	rig_after(f.rig, 20000);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_forget(f.rig, BOB);
	rig_forget(f.rig, CAROL);
	rig_forget(f.rig, DAVE);
	flow_end(&f);
}

/* Responses -------------------------------------------------------------------------------------------------------- */

/* RFC 3261 §18.2.2, RFC 3263 §5: the connection is gone; the client listens where its Via says. */
static void a_response_finds_another_connection(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	f.rig->has_flows = true;
	rig_say(f.rig, "192.0.2.10:40000", EDGE_TCP, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.10:5070;branch=z9hG4bKinv1\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: c1\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10:5070;transport=tcp>\nContent-Type: application/sdp\n");
	rig_expect(f.rig, "192.0.2.10:40000", "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	rig_lose(f.rig, "192.0.2.10:40000");
	flow_bob_answers(&f, 486, "", "");
	flow_expect_at_bob(&f, "ACK ");
	rig_expect(f.rig, "192.0.2.10:5070", "SIP/2.0 486", &f.at_alice);
	assert_int_equal(f.at_alice.packet->transport, T_TCP);
	rig_expect_silence(f.rig, "192.0.2.10:40000");
	flow_end(&f);
}

/* The same where the connection was another worker's, as it is for most calls: it is known only later, for whatever is sent. */
static void a_response_finds_one_from_any_worker(void **state)
{
	static const unsigned status[] = { 486, 200 };
	struct rig *r = rig_new(FLOW_ONE, 8, 1);
	struct got alice = { 0 }, bob = { 0 };

	(void)state;
	r->has_flows = true;
	for (unsigned i = 0; i < 16; i++) {
		char from[32], listens[32], to[128];

		snprintf(from, sizeof(from), "192.0.2.10:%u", 40000 + i);
		snprintf(listens, sizeof(listens), "192.0.2.10:%u", 5070 + i);
		rig_say(r, from, EDGE_TCP, "",
		        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/TCP %s;branch=z9hG4bKany%u\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=a%u\nTo: <sip:bob@example.com>\nCall-ID: any%u\nCSeq: 1 INVITE\n"
		        "Contact: <sip:alice@192.0.2.10:5070;transport=tcp>\n", listens, i, i, i);
		rig_expect(r, from, "SIP/2.0 100", &alice);
		rig_expect(r, BOB, "INVITE ", &bob);
		rig_lose(r, from);
		snprintf(to, sizeof(to), "%s;tag=bob", got_value(&bob, HDR_TO));
		flow_answer(r, BOB, CORE, &bob, 180, to, "<sip:bob@10.0.0.21>", "", "");
		rig_expect(r, listens, "SIP/2.0 180", &alice);
		flow_answer(r, BOB, CORE, &bob, status[i % 2], to, status[i % 2] < 300 ? "<sip:bob@10.0.0.21>" : NULL, "", "");
		rig_expect(r, listens, status[i % 2] == 200 ? "SIP/2.0 200" : "SIP/2.0 486", &alice);
		rig_expect_silence(r, listens); /* once each */
		if (status[i % 2] == 200) {
			rig_after(r, 500);
			rig_expect(r, listens, "SIP/2.0 200", &alice);
		}
		rig_forget(r, BOB);
		rig_after(r, 3600000);
		rig_forget(r, BOB);
		rig_forget(r, listens);
	}
	got_free(&alice);
	got_free(&bob);
	rig_free(r, true);
}

/* RFC 5922 §7.3: over TLS whoever is connected to has to prove its sent-by. */
static void a_response_over_tls(void **state)
{
	static const char *const hosts[] = { "gw.example.net", "192.0.2.10" };

	(void)state;
	for (unsigned is_address = 0; is_address < 2; is_address++) {
		struct rig *r = rig_new(FLOW_ONE, 1, 1);
		struct got alice = { 0 }, bob = { 0 };

		r->has_flows = true;
		rig_becomes(r, EDGE_TCP, T_TLS);
		rig_say(r, "192.0.2.10:40000", "tcp:203.0.113.10:5060", "",
		        "MESSAGE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/TLS %s:5071;branch=z9hG4bKtls\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: tls\nCSeq: 1 MESSAGE\n", hosts[is_address]);
		rig_expect(r, BOB, "MESSAGE ", &bob);
		rig_lose(r, "192.0.2.10:40000");
		flow_answer(r, BOB, CORE, &bob, 200, "<sip:bob@example.com>;tag=bob", NULL, "", "");
		rig_expect(r, "192.0.2.10:5071", "SIP/2.0 200", &alice);
		assert_string_equal(alice.packet->tls_name, is_address ? "" : hosts[0]); /* the address itself */
		got_free(&alice);
		got_free(&bob);
		rig_after(r, 3600000);
		rig_free(r, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_goes_from_address_to_address),
		cmocka_unit_test(failures_of_one_address_add_up_to_nothing),
		cmocka_unit_test(failures_of_all_addresses_do),
		cmocka_unit_test(all_of_them_fail),
		cmocka_unit_test(after_a_provisional_there_is_no_next_one),
		cmocka_unit_test(a_port_that_is_closed),
		cmocka_unit_test(each_address_by_its_transport),
		cmocka_unit_test(other_requests_go_on_too),
		cmocka_unit_test(what_a_redirection_names),
		cmocka_unit_test(sips_never_goes_in_the_clear),
		cmocka_unit_test(probes_find_the_address_that_lives),
		cmocka_unit_test(a_dead_server_has_one_probe_at_a_time),
		cmocka_unit_test(the_next_one_gets_the_same_request),
		cmocka_unit_test(whose_name_it_is),
		cmocka_unit_test(a_late_answer_is_nobodys),
		cmocka_unit_test(a_reinvite_is_patient),
		cmocka_unit_test(what_was_cancelled_goes_nowhere_else),
		cmocka_unit_test(what_a_token_stands_for),
		cmocka_unit_test(nobody_is_left),
		cmocka_unit_test(strangers_end_nothing),
		cmocka_unit_test(silent_strangers_end_nothing),
		cmocka_unit_test(refusals_move_nothing),
		cmocka_unit_test(options_move_nothing),
		cmocka_unit_test(strangers_hear_a_bye),
		cmocka_unit_test(a_bye_that_strangers_refuse),
		cmocka_unit_test(a_bye_finds_nobody),
		cmocka_unit_test(a_response_finds_another_connection),
		cmocka_unit_test(a_response_finds_one_from_any_worker),
		cmocka_unit_test(a_response_over_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
