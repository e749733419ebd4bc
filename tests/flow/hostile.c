/* Requests that are not what they say: forged, stolen and stale identifiers, the wrong zone, loops, merges (DECISIONS 1, 5, 15, 16;
 * RFC 3261 §8.2.2.2, §16.3). Whatever comes, the call in progress goes on as if it had not come. */
#include "tests/flow/flow.h"
#include "sbc/call/call.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void flow_drop(struct flow *f)
{
	rig_free(f->rig, false);
	got_free(&f->at_alice);
	got_free(&f->at_bob);
}

/* A request with every identifier given. */
static void say(struct flow *f, const char *from, const char *listener, const char *method, const char *uri, const char *from_tag,
                const char *to, const char *call_id, unsigned cseq)
{
	static unsigned branch;

	rig_say(f->rig, from, listener, "",
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKhostile%u\nMax-Forwards: 70\nFrom: <sip:alice@example.com>;tag=%s\n"
	        "To: %s\nCall-ID: %s\nCSeq: %u %s\n",
	        method, uri, from, ++branch, from_tag, to, call_id, cseq, method);
}

/* 481 for the request, nothing for its ACK, nothing at Bob, and the call can still be ended in order. */
static void expect_refused_and_call_untouched(struct flow *f, const char *at)
{
	rig_expect(f->rig, at, "SIP/2.0 481", &f->at_alice);
	rig_expect_silence(f->rig, at);
	rig_expect_silence(f->rig, BOB);
	assert_int_equal(rig_calls(f->rig), 1);
}

static void ends_in_order(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_end(f);
}

static void garble(char *text, size_t at)
{
	text[at] = text[at] == 'a' ? 'b' : 'a';
}

static const char *const methods[] = { "BYE", "INVITE", "INFO", "UPDATE", "WHATEVER" };
enum { METHODS = sizeof(methods) / sizeof(*methods) };

static void forged_to_tag(void **state)
{
	struct flow f;
	char to[256];

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	for (unsigned i = 0; i < METHODS; i++) {
		strcpy(to, f.near_to);
		garble(to, strlen(to) - 1 - i);
		say(&f, ALICE, EDGE, methods[i], f.near_contact, "alice", to, "alice-call@192.0.2.10", 20 + i);
		expect_refused_and_call_untouched(&f, ALICE);
	}
	say(&f, ALICE, EDGE, "ACK", f.near_contact, "alice", to, "alice-call@192.0.2.10", 1);
	rig_expect_silence(f.rig, ALICE);
	rig_expect_silence(f.rig, BOB);
	ends_in_order(&f);
}

/* §7.3.1: tags compare whatever their case, and so do our tokens; Alice's own tag does not. */
static void upper_case_tokens_are_ours(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	for (char *c = strstr(f.near_to, "tag=") + 4; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	ends_in_order(&f);
}

static void wrong_call_id(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	for (unsigned i = 0; i < METHODS; i++) {
		say(&f, ALICE, EDGE, methods[i], f.near_contact, "alice", f.near_to, "alice-call@192.0.2.11", 20 + i);
		expect_refused_and_call_untouched(&f, ALICE);
	}
	ends_in_order(&f);
}

static void wrong_from_tag(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	for (unsigned i = 0; i < METHODS; i++) {
		say(&f, ALICE, EDGE, methods[i], f.near_contact, "Alice", f.near_to, "alice-call@192.0.2.10", 20 + i);
		expect_refused_and_call_untouched(&f, ALICE);
	}
	ends_in_order(&f);
}

/* Two good tokens, of two calls. */
static void tokens_of_different_legs(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	say(&f, ALICE, EDGE, "BYE", f.far_contact, "alice", f.near_to, "alice-call@192.0.2.10", 20);
	expect_refused_and_call_untouched(&f, ALICE);
	ends_in_order(&f);
}

/* DECISIONS 1: a token is good in its leg's zone only. What Bob knows of his side does not work at the edge, nor the other way round. */
static void wrong_zone(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	say(&f, ALICE, CORE, "BYE", f.near_contact, "alice", f.near_to, "alice-call@192.0.2.10", 20);
	expect_refused_and_call_untouched(&f, ALICE);
	say(&f, "192.0.2.66:5060", EDGE, "BYE", f.far_contact, "bob", f.far_from, f.far_call_id, 200);
	expect_refused_and_call_untouched(&f, "192.0.2.66:5060");
	ends_in_order(&f);
}

/* A response whose branch is not ours, or ours for another method, or of a transaction long gone. */
static void forged_responses(void **state)
{
	struct flow f;
	char branch[64];

	(void)state;
	flow_begin(&f, FLOW_ONE, 8, 1);
	flow_invite(&f, BOB);
	snprintf(branch, sizeof(branch), "%s", got_branch(&f.at_bob));
	garble(branch, 20);
	rig_say(f.rig, BOB, CORE, "",
	        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.10;branch=%s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: 1 INVITE\n"
	        "Contact: <sip:bob@10.0.0.21>\n",
	        branch, f.far_from, got_value(&f.at_bob, HDR_TO), f.far_call_id);
	rig_say(f.rig, BOB, CORE, "",
	        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.10;branch=%s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: 1 BYE\n",
	        got_branch(&f.at_bob), f.far_from, got_value(&f.at_bob, HDR_TO), f.far_call_id);
	rig_expect_silence(f.rig, ALICE);
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	flow_end(&f);
}

/* DECISIONS 23: an ICMP error without a branch of ours, or about another address, proves nothing. */
static void forged_icmp(void **state)
{
	static const char text[] = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bKcccccccccccccccccccccccccc\r\n";
	struct flow f;
	struct path to = { .listener = 0, .transport = T_UDP };

	(void)state;
	flow_begin(&f, FLOW_TWO, 1, 1);
	flow_invite(&f, BOB);
	assert_int_equal(addr_parse(&to.remote, sv_from(BOB)), 0);
	to.listener = rig_listener(f.rig, CORE);
	worker_handler(&f.rig->workers[0]).on_icmp(&f.rig->workers[0], &to, SV(text), 111);
	worker_handler(&f.rig->workers[0]).on_icmp(&f.rig->workers[0], &to, SV(""), 111);
	assert_int_equal(addr_parse(&to.remote, sv_from(CAROL)), 0);
	worker_handler(&f.rig->workers[0]).on_icmp(&f.rig->workers[0], &to, (struct sv){ f.at_bob.packet->bytes, f.at_bob.packet->len }, 111);
	rig_after(f.rig, 10);
	rig_expect_silence(f.rig, CAROL);
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 486");
	flow_refused(&f);
	flow_end(&f);
}

/* Initial requests -------------------------------------------------------------------------------------------------- */

static void refused_at_once(struct flow *f, const char *uri, const char *extra, const char *answer)
{
	static unsigned n;

	rig_say(f->rig, ALICE, EDGE, "",
	        "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKfirst%u;rport\nFrom: <sip:alice@example.com>;tag=a\n"
	        "To: <sip:bob@example.com>\nCall-ID: first%u\nCSeq: 1 INVITE\n%s",
	        uri, n, n, extra);
	n++;
	rig_expect(f->rig, ALICE, answer, &f->at_alice);
	assert_true(*got_tag(&f->at_alice, HDR_TO) != 0);
	rig_say(f->rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKfirst%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=a\nTo: %s\nCall-ID: first%u\nCSeq: 1 ACK\n",
	        uri, n - 1, got_value(&f->at_alice, HDR_TO), n - 1);
	rig_expect_silence(f->rig, BOB);
}

#define HOPS "Max-Forwards: 70\n"
#define HERE "Contact: <sip:alice@192.0.2.10>\n"

static void initial_requests_that_go_nowhere(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	refused_at_once(&f, "sip:bob@example.com", "Max-Forwards: 0\n" HERE, "SIP/2.0 483");
	refused_at_once(&f, "sip:bob@example.com", HOPS, "SIP/2.0 400 Missing Contact");
	refused_at_once(&f, "sip:bob@elsewhere.example", HOPS HERE, "SIP/2.0 403");
	refused_at_once(&f, "http://example.com", HOPS HERE, "SIP/2.0 416");
	refused_at_once(&f, "sip:bob@example.com", HOPS HERE "Route: <sip:198.51.100.1;lr>\n", "SIP/2.0 403");
	refused_at_once(&f, "sip:bob@example.com", HOPS HERE "Replaces: 1@2;to-tag=a;from-tag=b\n", "SIP/2.0 481");
	assert_int_equal(f.rig->n_cdrs, 0);
	flow_end(&f);
}

/* §8.2.2.2: the same request on two ways, differing in branch only. */
static void merged_request(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 8, 1);
	flow_invite(&f, BOB);
	rig_say(f.rig, ALICE, EDGE, SDP,
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKotherway;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-call@192.0.2.10\n"
	        "CSeq: 1 INVITE\nContact: <sip:alice@192.0.2.10:5060>\n");
	rig_expect(f.rig, ALICE, "SIP/2.0 482", &f.at_alice);
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 486, "", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	rig_after(f.rig, 10);
	rig_forget(f.rig, ALICE);
	flow_drop(&f);
}

static void message_number(struct flow *f, unsigned n)
{
	rig_say(f->rig, ALICE, EDGE, "hello",
	        "MESSAGE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKmsg%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: chat\nCSeq: %u MESSAGE\n"
	        "Content-Type: text/plain\n", n, n);
}

/* To look through all that differ in CSeq only would take longer with each. */
static void too_many_messages(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 1; i <= CALLS_ALIKE_MAX; i++) {
		message_number(&f, i);
		flow_expect_at_bob(&f, "MESSAGE ");
	}
	rig_expect_silence(f.rig, ALICE);
	message_number(&f, CALLS_ALIKE_MAX + 1);
	rig_expect(f.rig, ALICE, "SIP/2.0 503", &f.at_alice);
	rig_expect_silence(f.rig, BOB);
	flow_bob_answers(&f, 200, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	message_number(&f, CALLS_ALIKE_MAX + 2); /* there is room again */
	flow_expect_at_bob(&f, "MESSAGE ");
	rig_after(f.rig, SIP_TIMEOUT);
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	flow_drop(&f);
}

/* What a destination has not answered yet is waited for, and found by its transaction alone: all of them have one id. */
static void calls_and_cancels_again_and_again(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < 5; i++) {
		f.alice_cseq++;
		flow_invite(&f, BOB);
		flow_cancel(&f);
		rig_after(f.rig, 1);
		rig_forget(f.rig, ALICE);
		assert_int_equal(f.rig->workers[0].calls->legs.count, 0);
	}
	assert_int_equal(rig_calls(f.rig), 0);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP); /* too late */
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	rig_after(f.rig, 2 * SIP_TIMEOUT);
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* Two messages typed quickly: the second need not wait for the answer to the first. Only the same one again is merged. */
static void pipelined_messages(void **state)
{
	struct flow f;
	struct got first;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	for (unsigned i = 1; i <= 3; i++)
		rig_say(f.rig, ALICE, EDGE, "hello",
		        "MESSAGE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKmsg%u;rport\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: chat\nCSeq: %u MESSAGE\n"
		        "Content-Type: text/plain\n",
		        i, i < 3 ? i : 2);
	flow_expect_at_bob(&f, "MESSAGE ");
	first = f.at_bob;
	f.at_bob = (struct got){ .packet = NULL };
	flow_expect_at_bob(&f, "MESSAGE ");
	rig_expect_silence(f.rig, BOB);
	rig_expect(f.rig, ALICE, "SIP/2.0 482", &f.at_alice);
	flow_bob_answers(&f, 200, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "2 MESSAGE");
	got_free(&f.at_bob);
	f.at_bob = first;
	flow_bob_answers(&f, 202, "", "");
	rig_expect(f.rig, ALICE, "SIP/2.0 202", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_CSEQ), "1 MESSAGE");
	flow_end(&f);
}

/* Max-Forwards counts down from side to side. */
static void max_forwards_counts_down(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "INFO %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlast\nMax-Forwards: 1\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 5 INFO\n",
	        f.near_contact, f.near_to);
	flow_expect_at_bob(&f, "INFO ");
	assert_string_equal(got_value(&f.at_bob, HDR_MAX_FORWARDS), "0");
	flow_drop(&f);
}

/* A challenge passes, and so does its answer, with the next CSeq on the same leg (DECISIONS 3, 9). */
static void challenge_and_credentials(void **state)
{
	struct flow f;
	char call_id[64], from[256];

	(void)state;
	flow_begin(&f, FLOW_TWO, 2, 1); /* Carol's turn comes next, but Bob it was who asked */
	flow_invite(&f, BOB);
	strcpy(call_id, f.far_call_id);
	strcpy(from, f.far_from);
	flow_bob_answers(&f, 407, "Proxy-Authenticate: Digest realm=\"example.com\", domain=\"sip:10.0.0.21\", nonce=\"n\"\n", "");
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	flow_expect_at_alice(&f, "SIP/2.0 407");
	assert_string_equal(got_value(&f.at_alice, HDR_PROXY_AUTHENTICATE), "Digest realm=\"example.com\", nonce=\"n\"");
	flow_refused(&f);
	f.alice_cseq = 2;
	flow_alice_calls(&f, "Proxy-Authorization: Digest username=\"alice\", response=\"x\"\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_string_equal(f.far_call_id, call_id);
	assert_string_equal(f.far_from, from);
	assert_string_equal(got_value(&f.at_bob, HDR_CSEQ), "2 INVITE");
	assert_string_equal(got_value(&f.at_bob, HDR_PROXY_AUTHORIZATION), "Digest username=\"alice\", response=\"x\"");
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* She gives up on one try and calls again with the same Call-ID and tag: the leg given up must not stand in the way of the new one. */
static void the_same_identifiers_again_while_the_old_leg_dies(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_invite(&f, BOB);
	flow_cancel(&f);
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	flow_expect_at_alice(&f, "SIP/2.0 487");
	flow_refused(&f);
	f.alice_cseq = 2;
	rig_forget(f.rig, BOB);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	rig_forget(f.rig, BOB);
	flow_bob_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "BYE ");
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	rig_after(f.rig, 60000);
	rig_forget(f.rig, BOB);
	flow_end(&f);
}

/* A From too long for a line of the call records: the call is recorded all the same. */
static void long_identifiers_are_recorded(void **state)
{
	struct flow f;
	char name[6001];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	flow_begin(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlong\nMax-Forwards: 70\n"
	        "From: \"%s\" <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: long\nCSeq: 1 INVITE\n" HERE,
	        name);
	rig_say(f.rig, ALICE, EDGE, "",
	        "CANCEL sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlong\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: long\nCSeq: 1 CANCEL\n");
	rig_after(f.rig, 100);
	assert_int_equal(f.rig->n_cdrs, 1);
	assert_non_null(strstr(f.rig->cdrs[0], "\"status\":487"));
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	flow_drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_to_tag),
		cmocka_unit_test(upper_case_tokens_are_ours),
		cmocka_unit_test(wrong_call_id),
		cmocka_unit_test(wrong_from_tag),
		cmocka_unit_test(tokens_of_different_legs),
		cmocka_unit_test(wrong_zone),
		cmocka_unit_test(forged_responses),
		cmocka_unit_test(forged_icmp),
		cmocka_unit_test(initial_requests_that_go_nowhere),
		cmocka_unit_test(merged_request),
		cmocka_unit_test(pipelined_messages),
		cmocka_unit_test(too_many_messages),
		cmocka_unit_test(calls_and_cancels_again_and_again),
		cmocka_unit_test(max_forwards_counts_down),
		cmocka_unit_test(challenge_and_credentials),
		cmocka_unit_test(the_same_identifiers_again_while_the_old_leg_dies),
		cmocka_unit_test(long_identifiers_are_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
