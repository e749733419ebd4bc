/* tests/flow/location.c - who is registered: `to: location`, `callee: registered`, `caller: registered` (DECISIONS 15, 19, 20), and what a
 * registered phone is reached by: its flow, its Path, its GRUU, one of its flows (RFC 3327, 5626, 5627). */
#include "tests/flow/home.h"
#include "registrar/registrar.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#define BOB_URI "sip:bob@example.com"
#define UUID "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
#define INSTANCE ";+sip.instance=\"<" UUID ">\""
/* Who is registered may call into the core; whoever it is, if nobody is, is sent to `fallback`. */
#define CALLERS \
	FLOW_ZONES HOME_POOLS \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { zone: public, caller: registered }, to: { pool: apps } }]\n" \
	HOME_REGISTRAR
#define CALLEES \
	FLOW_ZONES HOME_POOLS \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: any, callee: registered }, to: location }, " \
	"{ when: { caller: any }, to: { pool: apps } }]\n" HOME_REGISTRAR

struct scene {
	struct rig *rig;
	struct phone alice, desk, mobile, bob;
};

static void open_on(struct scene *s, const char *yaml, unsigned workers)
{
	s->rig = rig_new(yaml, workers, 1);
	phone_new(&s->alice, s->rig, "alice", ALICE);
	phone_new(&s->desk, s->rig, "desk", DESK);
	phone_new(&s->mobile, s->rig, "mobile", MOBILE);
	phone_new(&s->bob, s->rig, "bob", BOB);
}

static void close_scene(struct scene *s)
{
	struct phone *const all[] = { &s->alice, &s->desk, &s->mobile, &s->bob };

	phones_silent(all, 4);
	for (unsigned i = 0; i < 4; i++)
		phone_free(all[i]);
	home_end(s->rig);
}

static void is_refused(struct phone *p, const char *uri, const char *lines, const char *answer)
{
	p->call_id[0] = 0;
	phone_calls(p, uri, lines, OFFER);
	phone_gets(p, answer);
	phone_acks_refusal(p);
}

static void talks_and_ends(struct phone *a, struct phone *b, const char *uri)
{
	a->call_id[0] = b->call_id[0] = 0;
	a->peer_cseq = b->peer_cseq = 0;
	phones_talk(a, b, uri);
	phones_end(b, a);
}

/* `uri` leads to `p` only, who refuses. */
static void rings_only_at(struct scene *s, struct phone *p, const char *uri)
{
	phone_calls(&s->alice, uri, "", OFFER);
	phone_gets(&s->alice, "SIP/2.0 100");
	phone_gets(p, "INVITE ");
	phone_answers(p, 486, "", "");
	phone_gets(p, "ACK ");
	phone_gets(&s->alice, "SIP/2.0 486");
	phone_acks_refusal(&s->alice);
}

/* Where -------------------------------------------------------------------------------------------------------------- */

static void nobody_is_there(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 2);
	is_refused(&s.alice, BOB_URI, "", "SIP/2.0 480");
	is_refused(&s.alice, "sip:bob@203.0.113.10", "", "SIP/2.0 404"); /* ours, and nobody's domain */
	home_registers(&s.desk, "bob", "", "");
	is_refused(&s.alice, "sip:carol@example.com", "", "SIP/2.0 480");
	is_refused(&s.alice, "sip:Bob@example.com", "", "SIP/2.0 480"); /* users are told apart by case (§19.1.4) */
	rings_only_at(&s, &s.desk, "sip:%62ob@EXAMPLE.com;user=phone");
	home_registers(&s.desk, "bob", ";expires=0", "");
	is_refused(&s.alice, BOB_URI, "", "SIP/2.0 480");
	close_scene(&s);
}

/* Behind NAT, what it calls itself leads nowhere: the Request-URI says it as it was, and the flow leads there, within the dialog too. */
static void it_is_reached_over_its_flow(void **state)
{
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		open_on(&s, HOME, 2);
		snprintf(s.desk.uri, sizeof(s.desk.uri), "sip:desk@%s:9999;line=x", i ? "10.1.2.3" : "198.51.100.7");
		home_registers(&s.desk, "bob", "", "");
		phones_talk(&s.alice, &s.desk, BOB_URI);
		phones_exchange(&s.alice, &s.desk, "INFO", 200);
		phones_end(&s.alice, &s.desk);
		close_scene(&s);
	}
}

static void it_is_reached_over_its_connection(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 2);
	s.desk.listener = EDGE_TCP;
	home_registers(&s.desk, "bob", "", "");
	phone_calls(&s.alice, BOB_URI, "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.desk, "INVITE ");
	assert_int_equal(s.desk.invite.packet->transport, T_TCP);
	phone_answers(&s.desk, 603, "", "");
	phone_gets(&s.desk, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 603");
	phone_acks_refusal(&s.alice);
	close_scene(&s);
}

/* Who registered over a connection is called over that one and no other; without it he is not there. */
static void its_connection_is_its_flow(void **state)
{
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		open_on(&s, HOME, 2);
		s.rig->has_flows = true;
		s.desk.listener = EDGE_TCP;
		home_registers(&s.desk, "bob", "", "");
		if (i == 2)
			home_registers(&s.mobile, "bob", ";q=0.5", "");
		if (i > 0)
			rig_close(s.rig, DESK);
		phone_calls(&s.alice, BOB_URI, "", OFFER);
		if (i == 1) {
			phone_gets(&s.alice, "SIP/2.0 480");
			phone_acks_refusal(&s.alice);
		} else {
			phone_gets(&s.alice, "SIP/2.0 100");
			phone_gets(i ? &s.mobile : &s.desk, "INVITE ");
			phone_answers(i ? &s.mobile : &s.desk, 603, "", "");
			phone_gets(i ? &s.mobile : &s.desk, "ACK ");
			phone_gets(&s.alice, "SIP/2.0 603");
			phone_acks_refusal(&s.alice);
		}
		close_scene(&s);
	}
}

/* A connection that ends while it is called: another contact has its turn. */
static void a_connection_dies_in_the_fork(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 2);
	s.desk.listener = EDGE_TCP;
	home_registers(&s.desk, "bob", "", "");
	home_registers(&s.mobile, "bob", ";q=0.5", "");
	s.rig->is_refusing_streams = true;
	phone_calls(&s.alice, BOB_URI, "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	rig_after(s.rig, 10); /* well before any timer */
	phone_gets(&s.mobile, "INVITE ");
	phone_answers(&s.mobile, 486, "", "");
	phone_gets(&s.mobile, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 486");
	phone_acks_refusal(&s.alice);
	close_scene(&s);
}

/* RFC 3327 §5: by the proxies that it registered through. */
static void it_is_reached_by_its_path(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 1);
	home_registers(&s.desk, "bob", "", "Supported: path\nPath: <sip:192.0.2.31;lr>, <sip:inner.example.net;lr;ob>\n");
	phone_calls(&s.alice, BOB_URI, "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&s.desk, "INVITE ");
	assert_string_equal(got_value(&s.desk.invite, HDR_ROUTE), "<sip:192.0.2.31;lr>, <sip:inner.example.net;lr;ob>");
	assert_string_equal(got_uri(&s.desk.invite), s.desk.uri);
	phone_answers(&s.desk, 486, "", "");
	phone_gets(&s.desk, "ACK ");
	assert_string_equal(got_value(&s.desk.got, HDR_ROUTE), "<sip:192.0.2.31;lr>, <sip:inner.example.net;lr;ob>");
	phone_gets(&s.alice, "SIP/2.0 486");
	phone_acks_refusal(&s.alice);
	close_scene(&s);
}

static void the_first_rule_that_fits_counts(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, CALLEES, 4);
	talks_and_ends(&s.alice, &s.bob, BOB_URI);
	home_registers(&s.desk, "bob", "", "");
	talks_and_ends(&s.alice, &s.desk, BOB_URI);
	phone_free(&s.bob);
	phone_new(&s.bob, s.rig, "bob", BOB);
	talks_and_ends(&s.bob, &s.desk, BOB_URI); /* from the core as well */
	close_scene(&s);
}

static void every_method_finds_it(void **state)
{
	static const char *const methods[] = { "MESSAGE", "OPTIONS", "PUBLISH", "X-NEW", "INFO" };
	struct scene s;
	char start[128];

	(void)state;
	open_on(&s, HOME, 2);
	home_registers(&s.desk, "bob", "", "");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		snprintf(start, sizeof(start), "%s %s ", methods[i], s.desk.uri);
		phone_begins(&s.alice, methods[i], BOB_URI, "", "");
		rig_expect(s.rig, DESK, start, &s.desk.got);
		s.desk.last = &s.desk.got;
		phone_answers(&s.desk, 200, "", "");
		phone_gets(&s.alice, "SIP/2.0 200");
	}
	close_scene(&s);
}

#define TWO_DOMAINS \
	FLOW_ZONES HOME_POOLS "hiding: { guard: block }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: any }, to: location }]\n" \
	"registrar: { example.com: { auth: none, expires: { jitter: 0 } }, example.net: { auth: none } }\n"

/* RFC 5627 §5.1: a GRUU is one phone, here or not. */
static void a_gruu_is_one_phone(void **state)
{
	struct got got = { .packet = NULL };
	struct sv temp;
	char uri[256], other[256];
	struct scene s;

	(void)state;
	open_on(&s, TWO_DOMAINS, 4);
	home_registers(&s.desk, "bob", INSTANCE, "");
	rig_say(s.rig, MOBILE, EDGE, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP " MOBILE ";branch=z9hG4bKgruu\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=m\nTo: <sip:bob@example.com>\nCall-ID: m\nCSeq: 1 REGISTER\nSupported: gruu\n"
	        "Contact: <%s>;+sip.instance=\"<urn:uuid:m>\"\n", s.mobile.uri);
	rig_expect(s.rig, MOBILE, "SIP/2.0 200", &got);
	rings_only_at(&s, &s.desk, BOB_URI ";gr=" UUID);
	rings_only_at(&s, &s.mobile, BOB_URI ";gr=urn:uuid:m");
	rings_only_at(&s, &s.mobile, BOB_URI ";gr=urn%3Auuid:m");
	is_refused(&s.alice, BOB_URI ";gr=urn:uuid:other", "", "SIP/2.0 480");
	temp = sv_from(strstr(got.packet->bytes, "urn:uuid:m\";temp-gruu=\"") + 23);
	snprintf(uri, sizeof(uri), "%.*s", (int)sv_chr(temp, '"'), temp.p);
	s.alice.call_id[0] = 0;
	rings_only_at(&s, &s.mobile, uri);
	snprintf(other, sizeof(other), "%.*sexample.net;gr", (int)sv_chr(sv_from(uri), '@') + 1, uri);
	is_refused(&s.alice, other, "", "SIP/2.0 480"); /* what may be asked there says nothing of this domain */
	home_registers(&s.mobile, "bob", ";expires=0", "");
	is_refused(&s.alice, uri, "", "SIP/2.0 480");
	got_free(&got);
	close_scene(&s);
}

static void registers_flow(struct phone *p, unsigned reg_id)
{
	char params[128];

	snprintf(params, sizeof(params), INSTANCE ";reg-id=%u", reg_id);
	home_registers(p, "bob", params, "Supported: outbound, path\n");
}

/* RFC 5626 §5.3: one flow of a phone at a time, the one that was refreshed last; the next when that is dead, and only then. */
static void one_flow_at_a_time(void **state)
{
	struct scene s;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		open_on(&s, HOME, 2);
		registers_flow(&s.desk, 1);
		rig_after(s.rig, 1000);
		registers_flow(&s.mobile, 2); /* the same phone, at another address */
		phone_calls(&s.alice, BOB_URI, "", OFFER);
		phone_gets(&s.alice, "SIP/2.0 100");
		rig_expect_silence(s.rig, DESK);
		if (i == 0) {
			rig_refuse_last(s.rig, MOBILE, ECONNREFUSED);
			rig_forget(s.rig, MOBILE);
		} else if (i == 1) {
			rig_after(s.rig, FORK_SILENT_MS);
			rig_forget(s.rig, MOBILE);
		} else {
			phone_gets(&s.mobile, "INVITE ");
			phone_answers(&s.mobile, i == 2 ? 430 : i == 3 ? 408 : 486, "", "");
			phone_gets(&s.mobile, "ACK ");
		}
		if (i == 4) { /* the phone has spoken */
			rig_expect_silence(s.rig, DESK);
			phone_gets(&s.alice, "SIP/2.0 486");
			phone_acks_refusal(&s.alice);
		} else {
			phone_gets(&s.desk, "INVITE ");
			phone_answers(&s.desk, 180, "", "");
			phone_gets(&s.alice, "SIP/2.0 180");
			phone_answers_invite(&s.desk, 200, "", ANSWER);
			phone_gets(&s.alice, "SIP/2.0 200");
			phone_acks(&s.alice, "");
			phone_gets(&s.desk, "ACK ");
			phones_end(&s.alice, &s.desk);
		}
		close_scene(&s);
	}
}

/* Sixteen phones ring; the seventeenth does not, and is counted. */
static void contacts_are_bounded(void **state)
{
	struct got got = { .packet = NULL };
	char at[32], uri[64], contact[80];
	struct scene s;

	(void)state;
	open_on(&s, FLOW_ZONES HOME_POOLS
	            "routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: any }, to: location }]\n"
	            "registrar: { example.com: { auth: none, max-contacts: 64, expires: { min: 60s, max: 1h, jitter: 0 } } }\n", 1);
	for (unsigned i = 0; i < FORK_BRANCHES_MAX + 1; i++) {
		struct phone one;

		snprintf(at, sizeof(at), "192.0.2.%u:5060", 100 + i);
		phone_new(&one, s.rig, "one", at);
		snprintf(contact, sizeof(contact), "<%s>;q=0.%u", one.uri, i == 3 ? 1 : 5);
		home_says(&one, "bob", contact, "", "SIP/2.0 200");
	}
	phone_begins(&s.alice, "MESSAGE", BOB_URI, "", "");
	for (unsigned i = 0; i < FORK_BRANCHES_MAX + 1; i++) {
		snprintf(at, sizeof(at), "192.0.2.%u:5060", 100 + i);
		if (i == 3) { /* the one that matters least */
			rig_expect_silence(s.rig, at);
			continue;
		}
		snprintf(uri, sizeof(uri), "MESSAGE sip:NEAR-one@%s", at);
		rig_expect(s.rig, at, uri, &got);
		if (i == 0)
			flow_answer(s.rig, at, EDGE, &got, 200, got_value(&got, HDR_TO), NULL, "", "");
	}
	assert_int_equal(rig_count(s.rig, FORKS_REFUSED), 1);
	phone_gets(&s.alice, "SIP/2.0 200");
	for (unsigned i = 1; i < FORK_BRANCHES_MAX + 1; i++) { /* who does not answer is asked again: nobody listens */
		snprintf(at, sizeof(at), "192.0.2.%u:5060", 100 + i);
		rig_after(s.rig, 0);
		rig_forget(s.rig, at);
	}
	got_free(&got);
	rig_after(s.rig, 3600 * 1000);
	for (unsigned i = 1; i < FORK_BRANCHES_MAX + 1; i++) {
		snprintf(at, sizeof(at), "192.0.2.%u:5060", 100 + i);
		rig_forget(s.rig, at);
	}
	close_scene(&s);
}

/* Who -------------------------------------------------------------------------------------------------------------- */

static void who_is_registered_may_call(void **state)
{
	struct phone elsewhere;
	struct scene s;

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		open_on(&s, CALLERS, workers);
		is_refused(&s.alice, BOB_URI, "", "SIP/2.0 404");
		home_registers(&s.alice, "alice", "", "");
		talks_and_ends(&s.alice, &s.bob, BOB_URI);
		/* another flow is somebody else, whatever its From says */
		phone_new(&elsewhere, s.rig, "alice", "192.0.2.10:5062");
		is_refused(&elsewhere, BOB_URI, "", "SIP/2.0 404");
		elsewhere.at = ALICE;
		elsewhere.listener = EDGE_TCP;
		is_refused(&elsewhere, BOB_URI, "", "SIP/2.0 404");
		phone_free(&elsewhere);
		/* and so is another address of record over her flow */
		phone_new(&elsewhere, s.rig, "mallory", ALICE);
		is_refused(&elsewhere, BOB_URI, "", "SIP/2.0 404");
		phone_free(&elsewhere);
		home_registers(&s.alice, "alice", ";expires=0", "");
		is_refused(&s.alice, BOB_URI, "", "SIP/2.0 404");
		close_scene(&s);
	}
}

static void who_is_registered_speaks_for_himself(void **state)
{
	static const struct { const char *lines, *answer; } cases[] = {
		{ "P-Preferred-Identity: <sip:carol@example.com>\n", "SIP/2.0 403" },
		{ "P-Asserted-Identity: \"Boss\" <sip:boss@example.com>\n", "SIP/2.0 403" },
		{ "P-Asserted-Identity: <sip:alice@example.com>, <tel:+4930>\n", "SIP/2.0 403" },
		{ "P-Asserted-Identity: <sip:alice@example.com>\nP-Asserted-Identity: <sip:boss@example.com>\n", "SIP/2.0 403" },
		{ "P-Preferred-Identity: sip:\n", "SIP/2.0 403" },
		{ "P-Preferred-Identity: \"A\" <sip:%61lice@EXAMPLE.com>\n", NULL },
	};
	struct scene s;

	(void)state;
	open_on(&s, CALLERS, 2);
	home_registers(&s.alice, "alice", "", "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].answer) {
			is_refused(&s.alice, BOB_URI, cases[i].lines, cases[i].answer);
			continue;
		}
		s.alice.call_id[0] = 0;
		phone_calls(&s.alice, BOB_URI, cases[i].lines, OFFER);
		phone_gets(&s.alice, "SIP/2.0 100");
		phone_gets(&s.bob, "INVITE ");
		phone_answers(&s.bob, 486, "", "");
		phone_gets(&s.bob, "ACK ");
		phone_gets(&s.alice, "SIP/2.0 486");
		phone_acks_refusal(&s.alice);
	}
	close_scene(&s);
}

/* Waiting ---------------------------------------------------------------------------------------------------------- */

/* Alice's question is on its way to another worker. */
static void open_waiting(struct scene *s)
{
	uint64_t before;
	char user[32];

	open_on(s, HOME, 8);
	for (unsigned i = 0;; i++) { /* until one of her calls arrives where it belongs, and waits there */
		assert_true(i < 1000);
		before = rig_count(s->rig, LOCATIONS_ASKED);
		s->alice.call_id[0] = 0;
		snprintf(user, sizeof(user), "sip:u%u@example.com", i);
		s->rig->holds_mail = true;
		phone_calls(&s->alice, user, "", OFFER);
		rig_after(s->rig, 0);
		if (rig_count(s->rig, LOCATIONS_ASKED) > before)
			return;
		s->rig->holds_mail = false;
		phone_gets(&s->alice, "SIP/2.0 480");
		phone_acks_refusal(&s->alice);
	}
}

static void a_waiting_call_is_repeated_and_cancelled(void **state)
{
	uint64_t asked;
	struct scene s;

	(void)state;
	open_waiting(&s);
	asked = rig_count(s.rig, LOCATIONS_ASKED);
	rig_say(s.rig, ALICE, EDGE, OFFER,
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=%s;rport\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %u INVITE\n"
	        "Contact: <%s>\n", s.alice.target, ALICE, s.alice.branch, s.alice.local, s.alice.remote, s.alice.call_id,
	        s.alice.invite_cseq, s.alice.uri);
	rig_after(s.rig, 0);
	assert_int_equal(rig_count(s.rig, LOCATIONS_ASKED), asked);
	phone_cancels(&s.alice);
	rig_expect(s.rig, ALICE, "SIP/2.0 200", &s.alice.got);
	rig_expect(s.rig, ALICE, "SIP/2.0 487", &s.alice.got);
	phone_acks_refusal(&s.alice);
	s.rig->holds_mail = false; /* the answer finds nobody */
	close_scene(&s);
}

static void nobody_waits_for_ever(void **state)
{
	struct scene s;

	(void)state;
	open_waiting(&s);
	rig_after(s.rig, 1999);
	rig_expect_silence(s.rig, ALICE);
	rig_after(s.rig, 1);
	phone_gets(&s.alice, "SIP/2.0 503");
	phone_acks_refusal(&s.alice);
	assert_int_equal(rig_count(s.rig, LOCATIONS_UNANSWERED), 1);
	s.rig->holds_mail = false;
	close_scene(&s);
}

/* What has arrived in the meantime is what counts. */
static void a_registration_overtakes_nobody(void **state)
{
	struct scene s;
	struct phone late;

	(void)state;
	open_waiting(&s);
	s.rig->holds_mail = false;
	rig_after(s.rig, 0);
	phone_gets(&s.alice, "SIP/2.0 480");
	phone_acks_refusal(&s.alice);
	phone_new(&late, s.rig, "late", TABLET);
	home_registers(&late, "bob", "", "");
	s.alice.call_id[0] = 0;
	phone_calls(&s.alice, BOB_URI, "", OFFER);
	phone_gets(&s.alice, "SIP/2.0 100");
	phone_gets(&late, "INVITE ");
	phone_answers(&late, 486, "", "");
	phone_gets(&late, "ACK ");
	phone_gets(&s.alice, "SIP/2.0 486");
	phone_acks_refusal(&s.alice);
	phone_free(&late);
	close_scene(&s);
}

/* The caller's connection ends meanwhile: what becomes of the call reaches nobody, and nothing is left of it. */
static void the_caller_is_gone_when_the_answer_comes(void **state)
{
	struct scene s;

	(void)state;
	open_on(&s, HOME, 8);
	s.rig->has_flows = true;
	s.alice.listener = EDGE_TCP;
	s.rig->holds_mail = true;
	for (unsigned i = 0; i < 20; i++) { /* some of them wait for another worker */
		s.alice.call_id[0] = 0;
		phone_calls(&s.alice, BOB_URI, "", OFFER);
	}
	rig_after(s.rig, 0);
	rig_forget(s.rig, ALICE);
	rig_close(s.rig, ALICE);
	s.rig->holds_mail = false;
	rig_after(s.rig, 0);
	assert_true(rig_count(s.rig, LOCATIONS_ASKED) > 0);
	rig_expect_silence(s.rig, ALICE);
	close_scene(&s);
}

/* Its node stops: nothing is left of the question. */
static void the_node_stops_while_it_waits(void **state)
{
	struct scene s;

	(void)state;
	open_waiting(&s);
	phone_free(&s.alice);
	rig_free(s.rig, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(it_is_reached_over_its_flow),
		cmocka_unit_test(it_is_reached_over_its_connection),
		cmocka_unit_test(its_connection_is_its_flow),
		cmocka_unit_test(a_connection_dies_in_the_fork),
		cmocka_unit_test(it_is_reached_by_its_path),
		cmocka_unit_test(the_first_rule_that_fits_counts),
		cmocka_unit_test(every_method_finds_it),
		cmocka_unit_test(a_gruu_is_one_phone),
		cmocka_unit_test(one_flow_at_a_time),
		cmocka_unit_test(contacts_are_bounded),
		cmocka_unit_test(who_is_registered_may_call),
		cmocka_unit_test(who_is_registered_speaks_for_himself),
		cmocka_unit_test(a_waiting_call_is_repeated_and_cancelled),
		cmocka_unit_test(nobody_waits_for_ever),
		cmocka_unit_test(a_registration_overtakes_nobody),
		cmocka_unit_test(the_caller_is_gone_when_the_answer_comes),
		cmocka_unit_test(the_node_stops_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
