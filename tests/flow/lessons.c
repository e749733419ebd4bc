/* What comparable systems learnt the hard way about hiding (docs/hiding.md has the whole list): those lessons that no other test is
 * about. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* 2: a 481 made here went out with the other side's Call-ID. Whoever asks reads his own identifiers in the answer, and nobody else's. */
static void lesson_02_a_481_shows_its_askers_identifiers(void **state)
{
	static const char text[] = "BYE %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKx%u\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\n"
				   "CSeq: 900 BYE\n";
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	rig_say(f.rig, ALICE, EDGE, "", text, f.near_contact, ALICE, 1, "<sip:alice@example.com>;tag=other", f.near_to, "alice-call@192.0.2.10");
	flow_expect_at_alice(&f, "SIP/2.0 481");
	assert_string_equal(got_value(&f.at_alice, HDR_CALL_ID), "alice-call@192.0.2.10");
	assert_string_equal(got_value(&f.at_alice, HDR_FROM), "<sip:alice@example.com>;tag=other");
	assert_false(got_has(&f.at_alice, f.far_call_id));
	rig_say(f.rig, BOB, CORE, "", text, f.far_contact, BOB, 2, "<sip:bob@example.com>;tag=other", f.far_from, f.far_call_id);
	flow_expect_at_bob(&f, "SIP/2.0 481");
	assert_string_equal(got_value(&f.at_bob, HDR_CALL_ID), f.far_call_id);
	assert_false(got_has(&f.at_bob, "alice-call"));
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

static void same_ids(const struct got *g, const char *call_id, const char *tag, enum hdr_id ours)
{
	assert_string_equal(got_value(g, HDR_CALL_ID), call_id);
	assert_string_equal(got_tag(g, ours), tag);
}

/* 3: the INVITE went with one Call-ID, its ACK with another. One on each side, from the INVITE to the BYE, through CANCEL and the ACK of a
 * refusal too. */
static void lesson_03_one_call_id_on_each_side_from_invite_to_bye(void **state)
{
	char call_id[64], tag[64];
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	strcpy(call_id, f.far_call_id);
	snprintf(tag, sizeof(tag), "%s", got_tag(&f.at_bob, HDR_FROM));
	flow_bob_answers(&f, 180, "Require: 100rel\nRSeq: 1\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 180");
	same_ids(&f.at_alice, "alice-call@192.0.2.10", "alice", HDR_FROM);
	flow_alice_says(&f, "PRACK", "RAck: 1 1 INVITE\n", "");
	rig_expect(f.rig, BOB, "PRACK ", &f.at_bob);
	same_ids(&f.at_bob, call_id, tag, HDR_FROM);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	f.alice_cseq = 1;
	flow_cancel(&f);
	rig_expect(f.rig, BOB, "CANCEL ", &f.at_bob);
	same_ids(&f.at_bob, call_id, tag, HDR_FROM);
	flow_bob_answers(&f, 200, "", "");
	rig_after(f.rig, 40000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
	flow_answered(&f, FLOW_ONE, 2, 1);
	same_ids(&f.at_bob, f.far_call_id, got_tag(&f.at_bob, HDR_FROM), HDR_FROM);
	assert_string_equal(f.far_call_id, call_id); /* derived: the same again (DECISIONS 3) */
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	same_ids(&f.at_bob, call_id, tag, HDR_FROM);
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	same_ids(&f.at_alice, "alice-call@192.0.2.10", "alice", HDR_FROM);
	flow_end(&f);
}

/* 6: hiding that rewrites Contacts only lost the route set when the target moved. It stays: what the dialog began with. */
static void lesson_06_the_route_set_outlives_a_target_refresh(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Record-Route: <sip:10.0.0.21:5060;lr;x=1>\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_false(got_has(&f.at_alice, "Record-Route"));
	flow_ack(&f);
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:10.0.0.21:5060;lr;x=1>");
	flow_bob_says(&f, "UPDATE", "Contact: <sip:moved@10.0.0.77>\n", "");
	flow_expect_at_alice(&f, "UPDATE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE sip:moved@10.0.0.77 SIP/2.0");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:10.0.0.21:5060;lr;x=1>");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* 7: phones cut long Contacts, and every later request of the call was lost. */
static void lesson_07_identifiers_are_short(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	assert_int_equal(strcspn(f.near_contact, "@"), strlen("sip:") + TOKEN_LEN);
	assert_int_equal(strcspn(f.far_contact, "@"), strlen("sip:") + TOKEN_LEN);
	assert_null(strchr(f.near_contact, ';'));
	assert_null(strchr(f.far_contact, ';'));
	assert_int_equal(strlen(f.far_call_id), TOKEN_LEN);
	assert_int_equal(strlen(got_branch(&f.at_bob)), strlen("z9hG4bK") + TOKEN_LEN);
	assert_int_equal(strlen(got_tag(&f.at_alice, HDR_TO)), TOKEN_LEN);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

/* 10: a repeated BYE found no dialog and was refused. The tombstone answers it, until nobody repeats it any more. */
static void lesson_10_a_repeated_bye_is_answered_again(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	for (unsigned i = 0; i < 6; i++) {
		rig_after(f.rig, 5000);
		f.alice_cseq--;
		flow_alice_says(&f, "BYE", "", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		rig_expect_silence(f.rig, BOB);
	}
	assert_int_equal(rig_calls(f.rig), 0);
	flow_end(&f);
}

/* 11: loading a module changed how hiding works. A call looks the same, byte by byte, whatever else is switched on. */
static void lesson_11_no_feature_changes_how_hiding_works(void **state)
{
	static const char *const others[] = {
		"hiding: { guard: log }\n" FLOW_ONE,
		"limits: { calls: 10 }\n" FLOW_ONE,
		FLOW_ZONES "pools: { apps: { zone: core, probe: off, failover: { after: 5s, on: [500] }, answer-timeout: 20s, balance: hash, "
			   "destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\", max-calls: 7 }] } }\n"
			   "routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, max-duration: 60s }]\n",
	};
	char at_bob[4096], at_alice[4096];
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	snprintf(at_bob, sizeof(at_bob), "%.*s", (int)f.at_bob.packet->len, f.at_bob.packet->bytes);
	flow_bob_answers(&f, 486, "X-Why: at 10.0.0.21\nX-How: so\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 486");
	snprintf(at_alice, sizeof(at_alice), "%.*s", (int)f.at_alice.packet->len, f.at_alice.packet->bytes);
	rig_forget(f.rig, BOB);
	flow_refused(&f);
	flow_end(&f);
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
		flow_begin(&f, others[i], 1 + i, i);
		flow_invite(&f, BOB);
		assert_int_equal(f.at_bob.packet->len, strlen(at_bob));
		assert_memory_equal(f.at_bob.packet->bytes, at_bob, strlen(at_bob));
		flow_bob_answers(&f, 486, "X-Why: at 10.0.0.21\nX-How: so\n", "");
		flow_expect_at_alice(&f, "SIP/2.0 486");
		assert_int_equal(f.at_alice.packet->len, strlen(at_alice));
		assert_memory_equal(f.at_alice.packet->bytes, at_alice, strlen(at_alice));
		rig_forget(f.rig, BOB);
		flow_refused(&f);
		flow_end(&f);
	}
}

#define SPIRAL \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: carol, uri: \"sip:10.0.0.22:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }, { when: { zone: core }, to: { pool: apps }, relay: true }]\n"

/* 12: of a call that passed twice, one half was restored after a restart: Call-ID and tags were the same. Bob is a proxy here, which sends
 * our own INVITE back to us; another node takes both calls over, and the BYE passes both. */
static void lesson_12_a_call_that_passes_twice_outlives_a_node(void **state)
{
	struct flow f, second;
	char via[256];

	(void)state;
	flow_begin(&f, SPIRAL, 2, 1);
	flow_invite(&f, BOB);
	snprintf(via, sizeof(via), "%s", got_value(&f.at_bob, HDR_VIA));
	rig_say(f.rig, BOB, CORE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKspiral\nVia: %s\nMax-Forwards: 68\n"
	        "From: %s\nTo: <sip:bob@example.com>\nCall-ID: %s\nCSeq: 1 INVITE\nContact: <%s>\n",
	        via, f.far_from, f.far_call_id, f.far_contact);
	second = f;
	second.bob = CAROL;
	second.at_alice = second.at_bob = (struct got){ .packet = NULL };
	flow_expect_at_bob(&second, "INVITE ");
	flow_bob_answers(&second, 200, "", SDP);
	rig_expect(f.rig, BOB, "SIP/2.0 100", &f.at_bob);
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	rig_say(f.rig, BOB, CORE, SDP, "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: 1 INVITE\nContact: <%s>\n", via,
	        f.far_from, got_value(&f.at_bob, HDR_TO), f.far_call_id, got_contact(&f.at_bob));
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_say(f.rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n",
	        f.near_contact, f.near_to);
	flow_expect_at_bob(&second, "ACK sip:bob@10.0.0.22:5060");
	assert_int_equal(rig_calls(f.rig), 2);
	f.rig = second.rig = rig_take_over(f.rig, SPIRAL, 3, 2);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&second, "BYE sip:bob@10.0.0.22:5060");
	flow_bob_answers(&second, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_int_equal(rig_calls(f.rig), 0);
	got_free(&second.at_bob);
	flow_end(&f);
}

/* 13: Replaces has to be rewritten, or it names a dialog that its reader never heard of. One that we cannot rewrite does not pass. */
static void lesson_13_a_dialog_we_do_not_know_is_not_passed_on(void **state)
{
	static const char lines[] = "Refer-To: <sip:carol@other.example?Replaces=1%40x%3Bto-tag%3Da%3Bfrom-tag%3Db&Subject=x>\n";
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "REFER", lines, "");
	flow_expect_at_alice(&f, "SIP/2.0 403");
	rig_expect_silence(f.rig, BOB);
	flow_alice_says(&f, "INFO", lines, ""); /* where it means nothing */
	flow_expect_at_bob(&f, "INFO ");
	assert_string_equal(got_value(&f.at_bob, HDR_REFER_TO), "<sip:carol@other.example?Subject=x>");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	flow_end(&f);
}

/* 18: point releases changed what goes out. Every message of a plain call, byte by byte; the words behind $ are tokens, the same word the
 * same token. */
static void golden(char names[16][TOKEN_LEN + 1], const struct got *g, const char *expected)
{
	const char *p = g->packet->bytes, *end = p + g->packet->len;

	for (const char *e = expected; *e; e++) {
		if (*e == '\n' && p < end && *p == '\r')
			p++;
		if (*e != '$') {
			if (p == end || *p++ != *e)
				fail_msg("expected:\n%s\ngot:\n%.*s\nthey part at: %.20s", expected, (int)g->packet->len, g->packet->bytes, e);
			continue;
		}
		char *name = names[*++e - 'a'];

		if (!*name)
			snprintf(name, TOKEN_LEN + 1, "%.*s", TOKEN_LEN, p);
		if (end - p < TOKEN_LEN || memcmp(p, name, TOKEN_LEN) != 0)
			fail_msg("another token for $%c in:\n%.*s", *e, (int)g->packet->len, g->packet->bytes);
		p += TOKEN_LEN;
	}
	assert_true(p == end);
}

static void lesson_18_golden_messages(void **state)
{
	char names[16][TOKEN_LEN + 1] = { "" };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_alice_calls(&f, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	golden(names, &f.at_alice,
	       "SIP/2.0 100 Trying\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv1;rport=5060;received=192.0.2.10\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=alice\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 INVITE\nTo: <sip:bob@example.com>\n"
	       "Content-Length: 0\n\n");
	flow_expect_at_bob(&f, "INVITE ");
	golden(names, &f.at_bob,
	       "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bK$a\nMax-Forwards: 69\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=$b\nTo: <sip:bob@example.com>\nCall-ID: $c\nCSeq: 1 INVITE\n"
	       "Contact: <sip:$c@10.0.0.10>\nAllow: INVITE, ACK, BYE, CANCEL\nContent-Length: 0\n\n");
	flow_bob_answers(&f, 180, "Server: App\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 180");
	golden(names, &f.at_alice,
	       "SIP/2.0 180 Ringing\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv1;rport=5060;received=192.0.2.10\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=alice\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 INVITE\nTo: <sip:bob@example.com>;tag=$d\n"
	       "Contact: <sip:$e@203.0.113.10>\nContent-Length: 0\n\n");
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	golden(names, &f.at_alice,
	       "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv1;rport=5060;received=192.0.2.10\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=alice\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 INVITE\nTo: <sip:bob@example.com>;tag=$d\n"
	       "Contact: <sip:$e@203.0.113.10>\nContent-Type: application/sdp\nContent-Length: 116\n\n"
	       "v=0\no=alice 1 1 IN IP4 192.0.2.10\ns=-\nc=IN IP4 192.0.2.10\nt=0 0\nm=audio 49170 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n");
	flow_ack(&f);
	golden(names, &f.at_bob,
	       "ACK sip:bob@10.0.0.21:5060 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bK$f\nMax-Forwards: 69\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=$b\nTo: <sip:bob@example.com>;tag=bob\nCall-ID: $c\nCSeq: 1 ACK\nContent-Length: 0\n\n");
	flow_bob_says(&f, "INVITE", "Contact: <sip:bob@10.0.0.21:5060>\n", "");
	rig_expect(f.rig, BOB, "SIP/2.0 100", &f.at_bob);
	flow_expect_at_alice(&f, "INVITE ");
	golden(names, &f.at_alice,
	       "INVITE sip:alice@192.0.2.10:5060 SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK$g\nMax-Forwards: 69\n"
	       "From: <sip:bob@example.com>;tag=$d\nTo: \"Alice\" <sip:alice@example.com>;tag=alice\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 INVITE\n"
	       "Contact: <sip:$e@203.0.113.10>\nContent-Length: 0\n\n");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob); /* it was dropped elsewhere */
	golden(names, &f.at_bob,
	       "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKbINVITE101\nFrom: <sip:bob@example.com>;tag=bob\nCall-ID: $c\n"
	       "CSeq: 101 INVITE\nTo: \"Alice\" <sip:alice@example.com>;tag=$b\nContact: <sip:$c@10.0.0.10>\nContent-Length: 0\n\n");
	f.bob_cseq--; /* the INVITE's */
	flow_bob_says(&f, "ACK", "", "");
	flow_expect_at_alice(&f, "ACK ");
	golden(names, &f.at_alice,
	       "ACK sip:alice@192.0.2.10:5060 SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK$h\nMax-Forwards: 69\n"
	       "From: <sip:bob@example.com>;tag=$d\nTo: \"Alice\" <sip:alice@example.com>;tag=alice\nCall-ID: alice-call@192.0.2.10\nCSeq: 1 ACK\n"
	       "Content-Length: 0\n\n");
	flow_alice_says(&f, "BYE", "User-Agent: Phone\n", "");
	flow_expect_at_bob(&f, "BYE ");
	golden(names, &f.at_bob,
	       "BYE sip:bob@10.0.0.21:5060 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bK$i\nMax-Forwards: 69\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=$b\nTo: <sip:bob@example.com>;tag=bob\nCall-ID: $c\nCSeq: 2 BYE\nContent-Length: 0\n\n");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	golden(names, &f.at_alice,
	       "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKBYE2;rport=5060;received=192.0.2.10\n"
	       "From: \"Alice\" <sip:alice@example.com>;tag=alice\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 BYE\nTo: <sip:bob@example.com>;tag=$d\n"
	       "Contact: <sip:$e@203.0.113.10>\nContent-Length: 0\n\n");
	flow_end(&f);
}

/* 21: a BYE before the 200 opened a connection of its own. What goes to a client goes to where its INVITE came from, from the first message
 * on, whatever its Contact says. */
static void lesson_21_requests_keep_to_the_flow_from_the_first_message(void **state)
{
	static const char phone[] = "192.0.2.10:41000";
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, phone, EDGE_TCP, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bKtcp;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: tcp-call\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10:5060;transport=tcp>\nContent-Type: application/sdp\n");
	rig_expect(f.rig, phone, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 180, "", "");
	rig_expect(f.rig, phone, "SIP/2.0 180", &f.at_alice);
	flow_bob_says(&f, "UPDATE", "", "");
	rig_expect(f.rig, phone, "UPDATE ", &f.at_alice);
	assert_int_equal(f.at_alice.packet->transport, T_TCP);
	flow_bob_says(&f, "BYE", "", "");
	rig_expect(f.rig, phone, "BYE ", &f.at_alice);
	assert_int_equal(f.at_alice.packet->transport, T_TCP);
	rig_expect_silence(f.rig, ALICE);
	rig_after(f.rig, 200000);
	rig_expect_silence(f.rig, ALICE);
	rig_forget(f.rig, phone);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* 22: a token of somewhere else was decoded to a request line of nonsense. Ours are good in the zone that was shown them, and nowhere else. */
static void lesson_22_a_token_is_good_in_its_zone_only(void **state)
{
	static const char text[] = "INVITE sip:%.*s@%s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:x@example.com>;tag=x\n"
				   "To: <sip:y@example.com>\nCall-ID: again%u\nCSeq: 1 INVITE\nContact: <sip:x@%s>\n";
	struct flow f;
	struct got third = { .packet = NULL };
	char token[TOKEN_LEN + 1];

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 302, "Contact: <sip:other@10.0.0.33:5060>\n", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 302");
	flow_refused(&f);
	snprintf(token, sizeof(token), "%s", got_contact(&f.at_alice) + strlen("sip:"));
	rig_say(f.rig, BOB, CORE, "", text, TOKEN_LEN, token, "10.0.0.10", BOB, 1, 1, BOB);
	rig_expect(f.rig, BOB, "SIP/2.0 404", &f.at_bob);
	rig_expect_silence(f.rig, "10.0.0.33:5060");
	rig_say(f.rig, ALICE, EDGE, "", text, TOKEN_LEN, token, "203.0.113.10", ALICE, 2, 2, ALICE);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	rig_expect(f.rig, "10.0.0.33:5060", "INVITE sip:other@10.0.0.33:5060 SIP/2.0", &third);
	token[5] = token[5] == 'a' ? 'b' : 'a';
	rig_say(f.rig, ALICE, EDGE, "", text, TOKEN_LEN, token, "203.0.113.10", ALICE, 3, 3, ALICE);
	rig_expect(f.rig, BOB, "INVITE sip:", &f.at_bob); /* not ours: a user like any other */
	assert_true(got_has(&f.at_bob, token));
	got_free(&third);
	rig_after(f.rig, 100000);
	rig_forget(f.rig, BOB);
	rig_forget(f.rig, "10.0.0.33:5060");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lesson_02_a_481_shows_its_askers_identifiers),
		cmocka_unit_test(lesson_03_one_call_id_on_each_side_from_invite_to_bye),
		cmocka_unit_test(lesson_06_the_route_set_outlives_a_target_refresh),
		cmocka_unit_test(lesson_07_identifiers_are_short),
		cmocka_unit_test(lesson_10_a_repeated_bye_is_answered_again),
		cmocka_unit_test(lesson_11_no_feature_changes_how_hiding_works),
		cmocka_unit_test(lesson_12_a_call_that_passes_twice_outlives_a_node),
		cmocka_unit_test(lesson_13_a_dialog_we_do_not_know_is_not_passed_on),
		cmocka_unit_test(lesson_18_golden_messages),
		cmocka_unit_test(lesson_22_a_token_is_good_in_its_zone_only),
		cmocka_unit_test(lesson_21_requests_keep_to_the_flow_from_the_first_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
