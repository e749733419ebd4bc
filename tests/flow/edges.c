/* Edges of the grammar and of the state machines where this program was wrong once: what is sent there is what the RFC says. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* RFC 3261 §12.2.1.1, §19.1.1: a strict router takes the Request-URI, and the headers of its URI have no place there. */
static void a_strict_router_with_headers(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Record-Route: <sip:10.0.0.21:5060;strict?Subject=a&Route=b>\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	assert_string_equal(got_uri(&f.at_bob), "sip:10.0.0.21:5060;strict");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:bob@10.0.0.21:5060>");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE sip:10.0.0.21:5060;strict SIP/2.0");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* A refusal repeats what it refuses, so that it need not be a sound message itself. */
static void expect_raw(struct rig *r, const char *at, const char *start)
{
	struct packet *p;
	struct addr addr;

	rig_after(r, 0);
	assert_int_equal(addr_parse(&addr, sv_from(at)), 0);
	assert_false(list_empty(&r->inbox));
	p = owner_of(r->inbox.next, struct packet, in_list);
	if (!addr_eq(&p->to, &addr) || strncmp(p->bytes, start, strlen(start)) != 0)
		fail_msg("expected \"%s\" at %s, got:\n%s", start, at, p->bytes);
	list_del(&p->in_list);
	free(p);
}

/* RFC 3261 §25.1: a tag is a token, and a token is not empty. Passed on, or answered with our tag behind it, it would hide ours. */
static void an_empty_tag_is_no_tag(void **state)
{
	static const char *const tags[] = { ";tag=", ";tag", ";x=y;tag=;z", ";tag=;tag=a" };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < 2 * sizeof(tags) / sizeof(*tags); i++) {
		rig_say(f.rig, ALICE, EDGE, "",
		        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>%s\nTo: <sip:bob@example.com>%s\nCall-ID: a@192.0.2.10\nCSeq: 1 INVITE\n"
		        "Contact: <sip:alice@192.0.2.10:5060>\n",
		        i, i & 1 ? tags[i / 2] : ";tag=alice", i & 1 ? "" : tags[i / 2]);
		expect_raw(f.rig, ALICE, i & 1 ? "SIP/2.0 400 Bad Request (from-invalid)" : "SIP/2.0 400 Bad Request (to-invalid)");
		rig_expect_silence(f.rig, BOB);
	}
	flow_end(&f);
}

/* RFC 3261 §18.2.1, RFC 3581 §4: where a request came from is what the server saw, not what its sender says. */
static void received_is_what_we_saw(void **state)
{
	static const struct {
		const char *said, *answered;
	} vias[] = {
		{ "192.0.2.10:5060;branch=z9hG4bKa", "192.0.2.10:5060;branch=z9hG4bKa" },
		{ "192.0.2.10;received=10.0.0.21;branch=z9hG4bKb", "192.0.2.10;branch=z9hG4bKb" },
		{ "pc.example.com;branch=z9hG4bKc;RECEIVED=10.0.0.21", "pc.example.com;branch=z9hG4bKc;received=192.0.2.10" },
		{ "pc.example.com;rport=7;branch=z9hG4bKd", "pc.example.com;branch=z9hG4bKd;rport=5060;received=192.0.2.10" },
		{ "192.0.2.10:9;branch=z9hG4bKe;received=10.0.0.21;rport;x=y", "192.0.2.10:9;branch=z9hG4bKe;x=y;rport=5060;received=192.0.2.10" },
		{ "pc.example.com;branch=z9hG4bKf;rport;x", "pc.example.com;branch=z9hG4bKf;rport=5060;x;received=192.0.2.10" },
	};
	struct flow f;
	char expected[256];

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < sizeof(vias) / sizeof(*vias); i++) {
		rig_say(f.rig, ALICE, EDGE, "",
		        "OPTIONS sip:203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP %s, SIP/2.0/TCP a;received=b\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=1\nTo: <sip:203.0.113.10>\nCall-ID: a\nCSeq: 1 OPTIONS\n",
		        vias[i].said);
		rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
		snprintf(expected, sizeof(expected), "SIP/2.0/UDP %s, SIP/2.0/TCP a;received=b", vias[i].answered);
		assert_string_equal(got_value(&f.at_alice, HDR_VIA), expected);
	}
	flow_end(&f);
}

/* Who says BYE is gone, even when its CSeq makes us refuse it (§12.2.2): the other side is told. */
static void a_refused_bye_ends_the_call(void **state)
{
	static const char *const faults[] = { "", "Max-Forwards: 0\n" };
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		flow_answered(&f, FLOW_ONE, 1, 1);
		f.bob_cseq = 200;
		flow_bob_says(&f, "INFO", "", "");
		flow_expect_at_alice(&f, "INFO ");
		flow_alice_answers(&f, 200, "", "");
		flow_expect_at_bob(&f, "SIP/2.0 200");
		if (i == 0)
			f.bob_cseq = 150;
		f.bob_cseq++;
		rig_say(f.rig, BOB, CORE, "", "BYE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKbye\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %u BYE\n%s",
		        f.far_contact, BOB, f.far_to, f.far_from, f.far_call_id, f.bob_cseq, faults[i]);
		rig_expect(f.rig, BOB, i ? "SIP/2.0 483" : "SIP/2.0 500", &f.at_bob);
		flow_expect_at_alice(&f, "BYE ");
		flow_alice_answers(&f, 200, "", "");
		rig_expect_silence(f.rig, BOB);
		assert_int_equal(rig_calls(f.rig), 0);
		assert_int_equal(f.rig->n_cdrs, 1);
		flow_end(&f);
	}
}

static void alice_byes(struct flow *f, const char *call_id, const char *tag, unsigned n)
{
	rig_say(f->rig, ALICE, EDGE, "",
	        "BYE %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKbye%u\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=%s\nTo: %s\nCall-ID: %s\nCSeq: %u BYE\n",
	        f->near_contact, n, tag, f->near_to, call_id, n);
}

/* DECISIONS 5: what has ended knows its own by the same things as while it lasted, so that nobody sees 481 and then 200 for one BYE. */
static void only_its_own_find_a_tombstone(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	alice_byes(&f, "another-call", "alice", 2);
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	alice_byes(&f, "another-call", "alice", 2);
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	alice_byes(&f, "alice-call@192.0.2.10", "mallory", 3);
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	alice_byes(&f, "alice-call@192.0.2.10", "alice", 4);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	strcpy(f.far_call_id, "another-call");
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 481", &f.at_bob);
	flow_end(&f);
}

static void a_repeated_bye_gets_the_same_answer(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	alice_byes(&f, "alice-call@192.0.2.10", "alice", 2);
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 481, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	assert_int_equal(rig_calls(f.rig), 0);
	alice_byes(&f, "alice-call@192.0.2.10", "alice", 2);
	rig_expect(f.rig, ALICE, "SIP/2.0 481", &f.at_alice);
	flow_end(&f);
}

/* §9.1, DECISIONS 12: a destination that was given up before it said anything is cancelled when it rings, however late that is. */
static void a_late_provisional_is_cancelled(void **state)
{
	static const char *const transports[] = { "", ";transport=tcp" };
	char yaml[2048];
	struct flow f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(yaml, sizeof(yaml),
		         FLOW_ZONES "pools: { apps: { zone: core, probe: off, failover: { after: 8s, tries: 3 }, "
		                    "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060%s\" }, "
		                    "{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" FLOW_ROUTES, transports[i]);
		flow_begin(&f, yaml, 1, 1);
		flow_invite(&f, BOB);
		rig_after(f.rig, 39900);
		assert_int_equal(rig_forget(f.rig, BOB), i ? 0 : 6); /* repeated until 64*T1 and no more, on a stream never */
		flow_bob_answers(&f, 180, "", "");
		flow_expect_at_bob(&f, "CANCEL ");
		flow_bob_answers(&f, 200, "", "");
		rig_forget(f.rig, CAROL);
		flow_end(&f);
	}
}

/* RFC 3261 §8.1.1.8, RFC 6665 §8.1, RFC 3515 §2.2: what begins a dialog says where its sender is reached within it. */
static void a_dialog_needs_a_contact(void **state)
{
	static const char *const methods[] = { "INVITE", "SUBSCRIBE", "REFER" }, *const contacts[] = { "", "Contact: *\n", "Contact: <tel:1>\n" };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < 9; i++) {
		rig_say(f.rig, ALICE, EDGE, "",
		        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=1\nTo: <sip:bob@example.com>\nCall-ID: a%u\nCSeq: 1 %s\n"
		        "Event: presence\nRefer-To: <sip:carol@example.com>\n%s",
		        methods[i % 3], i, i, methods[i % 3], contacts[i / 3]);
		rig_expect(f.rig, ALICE, "SIP/2.0 400 Missing Contact", &f.at_alice);
		rig_expect_silence(f.rig, BOB);
	}
	flow_end(&f);
}

/* Several early dialogs: a BYE that is refused ends its own. */
static void a_refused_bye_ends_its_early_dialog(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	f.bob_tag = "second";
	flow_bob_answers(&f, 180, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	rig_say(f.rig, ALICE, EDGE, "",
	        "BYE %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKbye\nMax-Forwards: 0\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 BYE\n",
	        f.near_contact, f.near_to);
	rig_expect(f.rig, ALICE, "SIP/2.0 483", &f.at_alice);
	struct flow bye = f;

	bye.at_bob = (struct got){ .packet = NULL };
	flow_expect_at_bob(&bye, "BYE ");
	assert_string_equal(got_tag(&bye.at_bob, HDR_TO), "second");
	flow_bob_answers(&bye, 200, "", "");
	got_free(&bye.at_bob);
	f.bob_tag = "bob";
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* §9.2: a re-INVITE that waits for its next hop's name is over at once when it is cancelled; the other side never hears of it. */
static void a_reinvite_is_cancelled_while_a_name_is_looked_up(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	f.rig->names[f.rig->n_names++] = (struct rig_name){ .host = "bob.example.net", .delay_ms = 500 };
	assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("10.0.0.21")), 0);
	f.bob_contact = "<sip:bob@bob.example.net>";
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f.near_contact, f.near_to);
	rig_after(f.rig, 600);
	flow_expect_at_bob(&f, "ACK ");
	rig_forget(f.rig, ALICE);
	for (unsigned i = 0; i < 2; i++) {
		rig_say(f.rig, ALICE, EDGE, "",
		        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKre\nMax-Forwards: 70\n"
		        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 %s\n"
		        "Contact: <sip:alice@192.0.2.10:5060>\n",
		        i ? "CANCEL" : "INVITE", f.near_contact, f.near_to, i ? "CANCEL" : "INVITE");
		rig_expect(f.rig, ALICE, i ? "SIP/2.0 200" : "SIP/2.0 100", &f.at_alice);
	}
	rig_expect(f.rig, ALICE, "SIP/2.0 487", &f.at_alice);
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKre\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 ACK\n",
	        f.near_contact, f.near_to);
	rig_after(f.rig, 1000);
	rig_expect_silence(f.rig, BOB);
	f.alice_cseq = 2;
	flow_alice_says(&f, "BYE", "", "");
	rig_after(f.rig, 600);
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* RFC 3515 §2.4.6: the id of a refer event is another one on either side; what stands beside it is looked at like any other line. */
static void parameters_of_a_refer_event_are_hidden(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	f.alice_cseq = 7;
	flow_alice_says(&f, "REFER", "Refer-To: <sip:carol@example.com>\nContact: <sip:alice@192.0.2.10:5060>\n", "");
	flow_expect_at_bob(&f, "REFER ");
	unsigned long id = f.at_bob.v.cseq;
	char lines[256];

	flow_bob_answers(&f, 202, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 202");
	snprintf(lines, sizeof(lines), "Event: refer;x=10.0.0.21;id=%lu;y=z\nSubscription-State: active;expires=60\n", id);
	flow_bob_says(&f, "NOTIFY", lines, "");
	flow_expect_at_alice(&f, "NOTIFY ");
	assert_string_equal(got_value(&f.at_alice, HDR_EVENT), "refer;id=8;y=z");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* RFC 3263 §4.2: a name may have addresses of a family that the zone does not speak. */
static void the_first_address_that_can_be_reached(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	f.rig->names[f.rig->n_names++] = (struct rig_name){ .host = "bob.example.net" };
	assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("2001:db8::21")), 0);
	assert_int_equal(addr_parse(&f.rig->names[0].other, SV("10.0.0.21")), 0);
	f.bob_contact = "<sip:bob@bob.example.net>";
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_strict_router_with_headers),
		cmocka_unit_test(an_empty_tag_is_no_tag),
		cmocka_unit_test(received_is_what_we_saw),
		cmocka_unit_test(a_refused_bye_ends_the_call),
		cmocka_unit_test(only_its_own_find_a_tombstone),
		cmocka_unit_test(a_repeated_bye_gets_the_same_answer),
		cmocka_unit_test(a_late_provisional_is_cancelled),
		cmocka_unit_test(a_dialog_needs_a_contact),
		cmocka_unit_test(a_refused_bye_ends_its_early_dialog),
		cmocka_unit_test(a_reinvite_is_cancelled_while_a_name_is_looked_up),
		cmocka_unit_test(parameters_of_a_refer_event_are_hidden),
		cmocka_unit_test(the_first_address_that_can_be_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
