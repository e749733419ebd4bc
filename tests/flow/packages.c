/* What passes in and beside subscriptions: dialog-info bodies (RFC 4235), and the methods that begin no dialog. Both ways, and nothing of
 * one side is seen on the other. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define FLOW_BOTH_WAYS \
	FLOW_ZONES \
	"pools:\n" \
	"  apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }\n" \
	"  phones: { zone: public, probe: off, destinations: [{ name: alice, uri: \"sip:192.0.2.10:5060\" }] }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }, { when: { zone: core }, to: { pool: phones }, relay: true }]\n"

#define DIALOG "Event: dialog\nSubscription-State: active;expires=3600\nContact: <sip:bob@10.0.0.21:5060>\n" \
	"Content-Type: application/dialog-info+xml\n"

static void alice_asks(struct flow *f, const char *method, const char *lines, const char *body)
{
	rig_say(f->rig, ALICE, EDGE, body,
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa%s%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: alice-call@192.0.2.10\n"
	        "CSeq: %u %s\n%s",
	        method, method, f->alice_cseq, f->alice_cseq, method, lines);
	f->alice_cseq++;
}

static void bob_asks(struct flow *f, const char *method, const char *lines, const char *body)
{
	rig_say(f->rig, BOB, CORE, body,
	        "%s sip:alice@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKb%s%u;rport\nMax-Forwards: 70\n"
	        "From: \"Bob\" <sip:bob@example.com>;tag=bob\nTo: <sip:alice@example.com>\nCall-ID: bob-call@10.0.0.21\n"
	        "CSeq: %u %s\n%s",
	        method, method, f->bob_cseq, f->bob_cseq, method, lines);
	f->bob_cseq++;
}

static void subscribed(struct flow *f, const char *yaml, unsigned workers)
{
	flow_begin(f, yaml, workers, 1);
	alice_asks(f, "SUBSCRIBE", "Event: dialog\nExpires: 3600\nContact: <sip:alice@192.0.2.10:5060>\n", "");
	flow_expect_at_bob(f, "SUBSCRIBE ");
	snprintf(f->far_from, sizeof(f->far_from), "%s", got_value(&f->at_bob, HDR_FROM));
	snprintf(f->far_to, sizeof(f->far_to), "%s;tag=bob", got_value(&f->at_bob, HDR_TO));
	snprintf(f->far_call_id, sizeof(f->far_call_id), "%s", got_value(&f->at_bob, HDR_CALL_ID));
	snprintf(f->far_contact, sizeof(f->far_contact), "%s", got_contact(&f->at_bob));
	flow_bob_answers(f, 200, "Expires: 3600\n", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

static void unsubscribed(struct flow *f)
{
	flow_bob_says(f, "NOTIFY", "Event: dialog\nSubscription-State: terminated\nContact: <sip:bob@10.0.0.21:5060>\n", "");
	flow_expect_at_alice(f, "NOTIFY ");
	flow_alice_answers(f, 200, "", "");
	rig_expect(f->rig, BOB, "SIP/2.0 200", &f->at_bob);
	rig_after(f->rig, 70000);
	assert_int_equal(rig_in_use(f->rig), 0);
	flow_end(f);
}

/* What Alice gets of Bob's body; NULL: he is refused. */
static const char *shown(struct flow *f, const char *body)
{
	flow_bob_says(f, "NOTIFY", DIALOG, body);
	flow_expect_at_alice(f, "NOTIFY ");
	flow_alice_answers(f, 200, "", "");
	rig_expect(f->rig, BOB, "SIP/2.0 200", &f->at_bob);
	return f->at_alice.v.base + f->at_alice.v.body;
}

static void refused(struct flow *f, const char *body)
{
	flow_bob_says(f, "NOTIFY", DIALOG, body);
	rig_expect(f->rig, BOB, "SIP/2.0 488", &f->at_bob);
	rig_expect_silence(f->rig, ALICE);
}

#define INFO "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\" entity=\"sip:bob@example.com\">"

/* Where a body names its side: people are found at the receiver's domain, dialogs by names that say nothing. */
static void dialog_info(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 8) {
		struct flow f;
		char first[1024];

		subscribed(&f, FLOW_ONE, workers);
		shown(&f, INFO "<dialog id=\"1\" call-id=\"xyz@10.0.0.21\" local-tag=\"lt\" remote-tag=\"rt\">"
		      "<local><identity>sip:bob@example.com</identity><target uri=\"sip:bob@10.0.0.21:5060;transport=tcp\"/></local>"
		      "<remote><identity display=\"Al\">sip:alice@10.0.0.10</identity></remote></dialog></dialog-info>");
		assert_false(got_has(&f.at_alice, "10.0.0."));
		assert_false(got_has(&f.at_alice, "xyz"));
		assert_false(got_has(&f.at_alice, "\"lt\""));
		assert_false(got_has(&f.at_alice, "\"rt\""));
		assert_true(got_has(&f.at_alice, "<target uri=\"sip:bob@example.com\"/>"));
		assert_true(got_has(&f.at_alice, "<identity display=\"Al\">sip:alice@example.com</identity>"));
		assert_true(got_has(&f.at_alice, "entity=\"sip:bob@example.com\""));
		snprintf(first, sizeof(first), "%.*s", SV_ARG(view_body(&f.at_alice.v)));
		shown(&f, INFO "<dialog id=\"1\" call-id=\"xyz@10.0.0.21\" local-tag=\"lt\" remote-tag=\"rt\">"
		      "<local><identity>sip:bob@example.com</identity><target uri=\"sip:bob@10.0.0.21:5060;transport=tcp\"/></local>"
		      "<remote><identity display=\"Al\">sip:alice@10.0.0.10</identity></remote></dialog></dialog-info>");
		assert_true(sv_eq(view_body(&f.at_alice.v), sv_from(first))); /* the same names each time */
		shown(&f, INFO "</dialog-info>");
		assert_true(sv_eq(view_body(&f.at_alice.v), SV(INFO "</dialog-info>")));
		unsubscribed(&f);
	}
}

/* A target that is a Contact of ours is no way to its far side. */
static void dialog_info_with_our_contact(void **state)
{
	struct flow f;
	char body[512];

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	snprintf(body, sizeof(body), INFO "<dialog id=\"1\" call-id=\"%s\"><remote><target uri=\"%s\"/></remote></dialog></dialog-info>",
	         f.far_call_id, f.far_contact);
	shown(&f, body);
	assert_false(got_has(&f.at_alice, f.far_call_id));
	assert_true(got_has(&f.at_alice, "<target uri=\"sip:example.com\"/>"));
	unsubscribed(&f);
}

/* What cannot be read or shown goes back to its sender, and is counted; the subscription lives. */
static void dialog_info_that_cannot_pass(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	refused(&f, "no xml at all, but 10.0.0.21");
	refused(&f, INFO "<note>my call is called alice-call, and my tag is bob-is-a-tag</note></dialog-info>" "<x/>");
	refused(&f, INFO "<identity>sip:10.0.0.21@10.0.0.21</identity></dialog-info>");
	refused(&f, "<!DOCTYPE x>" INFO "</dialog-info>");
	assert_int_equal(rig_count(f.rig, BODIES_REFUSED), 4);
	shown(&f, INFO "</dialog-info>");
	unsubscribed(&f);
}

/* Words that name the side where nothing is a URI. */
static void dialog_info_with_words(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	shown(&f, INFO "<note lang=\"at 10.0.0.21\">come to 10&#46;0.0.21, port 5060</note></dialog-info>");
	assert_true(got_has(&f.at_alice, "<note lang=\"at example.com\">come to example.com, port 5060</note>"));
	unsubscribed(&f);
}

/* As many dialogs as a busy server has; each is looked at. */
static void dialog_info_of_many(void **state)
{
	struct flow f;
	char body[32768] = INFO;

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	for (unsigned i = 0; i < 100; i++)
		sprintf(body + strlen(body), "<dialog id=\"%u\" call-id=\"c%u@10.0.0.21\"><local><identity display=\"A B C D\">sip:u%u@10.0.0.21</identity>"
		        "<target uri=\"sip:u%u@10.0.0.99\"/></local></dialog>", i, i, i, i);
	strcat(body, "</dialog-info>");
	shown(&f, body);
	assert_false(got_has(&f.at_alice, "10.0.0."));
	assert_true(got_has(&f.at_alice, "<identity display=\"A B C D\">sip:u99@example.com</identity>"));
	unsubscribed(&f);
}

#define LIST(inner) \
	"--50UBfW\r\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n<list/>\r\n--50UBfW\r\nContent-Type: application/dialog-info+xml\r\n\r\n" \
	inner "\r\n--50UBfW--\r\n"
#define MANY "Event: dialog\nSubscription-State: active;expires=3600\nContact: <sip:bob@10.0.0.21:5060>\nRequire: eventlist\n" \
	"Content-Type: multipart/related;type=\"application/rlmi+xml\";boundary=\"50UBfW\"\n"

/* RFC 4662: a list's reports are parts of one body. */
static void reports_of_a_list(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	flow_bob_says(&f, "NOTIFY", MANY,
	              LIST(INFO "<dialog id=\"1\" call-id=\"xyz\"><local><target uri=\"sip:bob@10.0.0.21\"/></local></dialog></dialog-info>"));
	flow_expect_at_alice(&f, "NOTIFY ");
	assert_false(got_has(&f.at_alice, "xyz"));
	assert_true(got_has(&f.at_alice, "--50UBfW\r\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n<list/>\r\n--50UBfW\r\n"));
	assert_true(got_has(&f.at_alice, "<target uri=\"sip:bob@example.com\"/></local></dialog></dialog-info>\r\n--50UBfW--\r\n"));
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_bob_says(&f, "NOTIFY", MANY, LIST("10.0.0.21"));
	rig_expect(f.rig, BOB, "SIP/2.0 488", &f.at_bob);
	flow_bob_says(&f, "NOTIFY", MANY, "--50UBfW\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/dialog-info+xml\r\n"
	              "\r\n<dialog-info/>\r\n--x--\r\n--50UBfW--\r\n");
	rig_expect(f.rig, BOB, "SIP/2.0 488", &f.at_bob);
	flow_bob_says(&f, "MESSAGE", "Content-Type: multipart/mixed;boundary=y\n", "--y\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\n"
	              "Content-Type: application/dialog-info+xml\r\n\r\n<dialog-info/>\r\n--x--\r\n--y--\r\n");
	rig_expect(f.rig, BOB, "SIP/2.0 488", &f.at_bob);
	flow_bob_says(&f, "NOTIFY", MANY, "--50UBfW\r\nContent-Type: application/dialog-info+xml\r\n\r\n<dialog-info/>\r\n"); /* cut */
	rig_expect(f.rig, BOB, "SIP/2.0 488", &f.at_bob);
	rig_expect_silence(f.rig, ALICE);
	unsubscribed(&f);
}

static void bob_notifies(struct flow *f, const char *type, const char *body, const char *wanted)
{
	char lines[256];

	snprintf(lines, sizeof(lines), "Event: dialog\nSubscription-State: active\nContact: <sip:bob@10.0.0.21:5060>\nContent-Type: %s\n", type);
	flow_bob_says(f, "NOTIFY", lines, body);
	if (!wanted) {
		rig_expect(f->rig, BOB, "SIP/2.0 488", &f->at_bob);
		rig_expect_silence(f->rig, ALICE);
		return;
	}
	flow_expect_at_alice(f, "NOTIFY ");
	assert_int_equal(f->at_alice.v.body_len, strlen(wanted));
	assert_memory_equal(f->at_alice.v.base + f->at_alice.v.body, wanted, strlen(wanted));
	flow_alice_answers(f, 200, "", "");
	rig_expect(f->rig, BOB, "SIP/2.0 200", &f->at_bob);
}

/* Other packages' bodies lose the names of their side, word by word, and nothing else; what is no package's body is not looked at. */
static void words_of_other_packages(void **state)
{
	static const char list[] =
		"--x\r\nContent-ID: <a@%s>\r\nContent-Type: application/rlmi+xml\r\n\r\n<list><resource cid=\"a@%s\"/></list>\r\n"
		"--x\r\nContent-Type: image/png\r\n\r\n\x89PNG 10.0.0.21\r\n--x--\r\n";
	struct flow f;
	char body[16640], wanted[16384], *b = body, *w = wanted;

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	bob_notifies(&f, "application/simple-message-summary", "Messages-Waiting: yes\r\nMessage-Account: sip:bob@10.0.0.21:5060\r\n",
	             "Messages-Waiting: yes\r\nMessage-Account: sip:bob@example.com\r\n");
	bob_notifies(&f, "application/pidf+xml;charset=utf-8", "<presence entity=\"pres:bob@[2001:db8::1]\"/>",
	             "<presence entity=\"pres:bob@[2001:db8::1]\"/>");
	for (unsigned i = 0; i < 900; i++) { /* more words than a header may have */
		b += sprintf(b, "<a>w%u</a>%s", i, i % 100 ? "" : "<c>sip:10.0.0.21</c>");
		w += sprintf(w, "<a>w%u</a>%s", i, i % 100 ? "" : "<c>sip:example.com</c>");
	}
	bob_notifies(&f, "application/pidf+xml", body, wanted);
	snprintf(body, sizeof(body), list, "10.0.0.21", "10.0.0.21");
	snprintf(wanted, sizeof(wanted), list, "example.com", "example.com");
	bob_notifies(&f, "multipart/related;boundary=x", body, wanted);
	bob_notifies(&f, "text/plain", "10.0.0.21", "10.0.0.21");
	snprintf(body, sizeof(body), "<presence id=\"%s\"/>", f.far_call_id);
	bob_notifies(&f, "application/pidf+xml", body, NULL);
	assert_int_equal(rig_count(f.rig, BODIES_REFUSED), 1);
	for (unsigned i = 0; i < WATCH_WORDS_MAX - 1; i++)
		body[2 * i] = 'a', body[2 * i + 1] = ' ';
	strcpy(body + 2 * (WATCH_WORDS_MAX - 1), "b");
	bob_notifies(&f, "application/pidf+xml", body, body);
	strcat(body, " c d"); /* one more than are looked at */
	bob_notifies(&f, "application/pidf+xml", body, NULL);
	unsubscribed(&f);
}

/* The id of a dialog stays, unless it is made of what is hidden. */
static void ids_made_of_identifiers(void **state)
{
	struct flow f;

	(void)state;
	subscribed(&f, FLOW_ONE, 2);
	shown(&f, INFO "<dialog id=\"7\"/><dialog id=\"x@10.0.0.21\"/><dialog id=\"a-b-c-1\" call-id=\"a-b-c\"/></dialog-info>");
	assert_true(got_has(&f.at_alice, "<dialog id=\"7\"/>"));
	assert_false(got_has(&f.at_alice, "10.0.0."));
	assert_false(got_has(&f.at_alice, "a-b-c"));
	unsubscribed(&f);
}

/* A second phone outside, who watches Bob. */
#define DAVE "192.0.2.20:5060"

static void dave_asks(struct flow *f, const char *method, const char *lines, const char *body)
{
	rig_say(f->rig, DAVE, EDGE, body,
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKd%s;rport\nMax-Forwards: 70\n"
	        "From: <sip:dave@example.com>;tag=dave\nTo: <sip:bob@example.com>\nCall-ID: dave-%s\nCSeq: 1 %s\n"
	        "Contact: <sip:dave@192.0.2.20:5060>\n%s",
	        method, method, method, method, lines);
}

/* Bob tells Dave of a dialog; `told` is what Dave reads of it. */
static void bob_tells_dave(struct flow *f, const char *dialog, char told[3][64])
{
	static const char *const names[] = { "call-id=\"", "local-tag=\"", "remote-tag=\"" };
	char from[256], call_id[64], contact[128], body[1024];
	struct got at_dave = { .packet = NULL };

	dave_asks(f, "SUBSCRIBE", "Event: dialog\nExpires: 600\n", "");
	rig_expect(f->rig, BOB, "SUBSCRIBE ", &f->at_bob);
	snprintf(from, sizeof(from), "%s", got_value(&f->at_bob, HDR_FROM));
	snprintf(call_id, sizeof(call_id), "%s", got_value(&f->at_bob, HDR_CALL_ID));
	snprintf(contact, sizeof(contact), "%s", got_contact(&f->at_bob));
	flow_bob_answers(f, 200, "Expires: 600\n", "");
	rig_expect(f->rig, DAVE, "SIP/2.0 200", &at_dave);
	snprintf(body, sizeof(body), INFO "%s</dialog-info>", dialog);
	rig_say(f->rig, BOB, CORE, body,
	        "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKtell\nMax-Forwards: 70\n"
	        "From: <sip:bob@example.com>;tag=bob\nTo: %s\nCall-ID: %s\nCSeq: 1 NOTIFY\n" DIALOG,
	        contact, from, call_id);
	rig_expect(f->rig, DAVE, "NOTIFY sip:dave@192.0.2.20:5060 SIP/2.0", &at_dave);
	assert_false(got_has(&at_dave, "10.0.0."));
	for (unsigned i = 0; i < 3; i++) {
		struct sv text = view_body(&at_dave.v);
		size_t at = sv_find(text, sv_from(names[i]));

		assert_true(at != SIZE_MAX);
		text = sv_skip(text, at + strlen(names[i]));
		snprintf(told[i], 64, "%.*s", (int)sv_chr(text, '"'), text.p);
	}
	rig_say(f->rig, DAVE, EDGE, "", "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\n", got_value(&at_dave, HDR_VIA),
	        got_value(&at_dave, HDR_FROM), got_value(&at_dave, HDR_TO), got_value(&at_dave, HDR_CALL_ID), got_value(&at_dave, HDR_CSEQ));
	rig_expect(f->rig, BOB, "SIP/2.0 200", &f->at_bob);
	got_free(&at_dave);
}

/* RFC 4235, RFC 3891: Dave picks up Bob's call by the names he was told, wherever call and subscription live; what reaches Bob are the
 * names that he has for it. */
static void picked_up(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct flow f;
		char dialog[512], told[3][64], replaces[256], wanted[512];
		struct got at_dave = { .packet = NULL };

		flow_begin(&f, FLOW_ONE, workers, 1);
		flow_invite(&f, BOB);
		flow_bob_answers(&f, 180, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 180");
		struct got invite = f.at_bob;

		f.at_bob = (struct got){ .packet = NULL };
		snprintf(dialog, sizeof(dialog), "<dialog id=\"1\" call-id=\"%s\" local-tag=\"bob\" remote-tag=\"%s\" direction=\"recipient\">"
		         "<state>early</state></dialog>", f.far_call_id, got_tag(&invite, HDR_FROM));
		bob_tells_dave(&f, dialog, told);
		assert_string_not_equal(told[0], f.far_call_id);
		assert_string_not_equal(told[1], "bob");
		snprintf(replaces, sizeof(replaces), "Replaces: %s;to-tag=%s;from-tag=%s;early-only\n", told[0], told[1], told[2]);
		dave_asks(&f, "INVITE", replaces, "");
		rig_expect(f.rig, DAVE, "SIP/2.0 100", &at_dave);
		rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
		snprintf(wanted, sizeof(wanted), "%s;to-tag=bob;from-tag=%s;early-only", f.far_call_id, got_tag(&invite, HDR_FROM));
		assert_string_equal(got_value(&f.at_bob, HDR_REPLACES), wanted);
		flow_bob_answers(&f, 486, "", "");
		rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
		rig_expect(f.rig, DAVE, "SIP/2.0 486", &at_dave);
		got_free(&at_dave);
		got_free(&f.at_bob);
		f.at_bob = invite;
		flow_bob_answers(&f, 486, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 486");
		flow_refused(&f);
		rig_after(f.rig, 40000);
		rig_forget(f.rig, BOB);
		rig_forget(f.rig, DAVE);
		flow_end(&f);
	}
}

/* Our tag in it, but a dialog that is over: it has a name that says nothing, and the rest passes. */
static void told_of_what_is_over(void **state)
{
	struct flow f;
	char dialog[512], told[3][64];

	(void)state;
	flow_answered(&f, FLOW_ONE, 8, 1);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	snprintf(dialog, sizeof(dialog), "<dialog id=\"1\" call-id=\"%s\" local-tag=\"bob\" remote-tag=\"%s\"/>", f.far_call_id,
	         strstr(f.far_from, ";tag=") + 5);
	bob_tells_dave(&f, dialog, told);
	assert_int_equal(strlen(told[0]), SV_HEX);
	assert_int_equal(strlen(told[1]), SV_HEX);
	assert_int_equal(strlen(told[2]), SV_HEX);
	rig_after(f.rig, 600000 + USAGE_GRACE_MS);
	flow_end(&f);
}

/* A server that reports its phones' dialogs as they see them: it is Alice's end that is meant. Whoever is asked first, the server, gets
 * names for it that lead to her when it sends the call on. */
static void picked_up_at_the_other_end(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 8) {
		struct flow f;
		char dialog[512], told[3][64], lines[512], wanted[512];
		struct got at_dave = { .packet = NULL };

		flow_answered(&f, FLOW_BOTH_WAYS, workers, 1);
		snprintf(dialog, sizeof(dialog), "<dialog id=\"1\" call-id=\"%s\" local-tag=\"%s\" remote-tag=\"bob\"/>", f.far_call_id,
		         strstr(f.far_from, ";tag=") + 5);
		bob_tells_dave(&f, dialog, told);
		snprintf(lines, sizeof(lines), "Replaces: %s;to-tag=%s;from-tag=%s\n", told[0], told[1], told[2]);
		dave_asks(&f, "INVITE", lines, "");
		rig_expect(f.rig, DAVE, "SIP/2.0 100", &at_dave);
		rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
		assert_false(got_has(&f.at_bob, f.far_call_id));
		snprintf(lines, sizeof(lines), "Replaces: %s\nContact: <sip:bob@10.0.0.21:5060>\n", got_value(&f.at_bob, HDR_REPLACES));
		flow_bob_answers(&f, 486, "", "");
		rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
		bob_asks(&f, "INVITE", lines, "");
		rig_expect(f.rig, BOB, "SIP/2.0 100", &f.at_bob);
		rig_expect(f.rig, ALICE, "INVITE sip:alice@example.com SIP/2.0", &f.at_alice);
		snprintf(wanted, sizeof(wanted), "alice-call@192.0.2.10;to-tag=alice;from-tag=%s", strstr(f.near_to, ";tag=") + 5);
		assert_string_equal(got_value(&f.at_alice, HDR_REPLACES), wanted);
		flow_alice_answers(&f, 486, "", "");
		got_free(&at_dave);
		rig_after(f.rig, 40000);
		rig_forget(f.rig, BOB);
		rig_forget(f.rig, ALICE);
		rig_forget(f.rig, DAVE);
		flow_alice_says(&f, "BYE", "", "");
		flow_expect_at_bob(&f, "BYE ");
		flow_bob_answers(&f, 200, "", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		flow_end(&f);
	}
}

/* RFC 3903: the entity tag is opaque and comes back as it went; a dialog-info body is looked at here too. */
static void publish(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_BOTH_WAYS, 2, 1);
	alice_asks(&f, "PUBLISH", "Event: presence\nExpires: 3600\nContent-Type: application/pidf+xml\n", "<presence/>");
	flow_expect_at_bob(&f, "PUBLISH sip:bob@example.com SIP/2.0");
	assert_string_equal(got_value(&f.at_bob, HDR_EVENT), "presence");
	flow_bob_answers(&f, 200, "SIP-ETag: dx200xyz\nExpires: 1800\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_string_equal(got_value(&f.at_alice, HDR_SIP_ETAG), "dx200xyz");
	assert_string_equal(got_value(&f.at_alice, HDR_EXPIRES), "1800");
	assert_false(got_has(&f.at_alice, "10.0.0."));
	alice_asks(&f, "PUBLISH", "Event: presence\nSIP-If-Match: dx200xyz\nExpires: 3600\n", "");
	flow_expect_at_bob(&f, "PUBLISH ");
	assert_string_equal(got_value(&f.at_bob, HDR_SIP_IF_MATCH), "dx200xyz");
	flow_bob_answers(&f, 412, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 412");
	alice_asks(&f, "PUBLISH", "Event: dialog\nExpires: 3600\nContent-Type: application/dialog-info+xml\n",
	           INFO "<dialog id=\"1\" call-id=\"alice-call@192.0.2.10\"/></dialog-info>");
	flow_expect_at_bob(&f, "PUBLISH ");
	assert_false(got_has(&f.at_bob, "192.0.2.10"));
	flow_bob_answers(&f, 200, "SIP-ETag: a\nExpires: 3600\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	alice_asks(&f, "PUBLISH", "Event: dialog\nExpires: 3600\nContent-Type: application/dialog-info+xml\n", "192.0.2.10");
	flow_expect_at_alice(&f, "SIP/2.0 488");
	bob_asks(&f, "PUBLISH", "Event: presence\nExpires: 3600\n", "");
	flow_expect_at_alice(&f, "PUBLISH sip:alice@example.com SIP/2.0");
	assert_false(got_has(&f.at_alice, "10.0.0."));
	flow_alice_answers(&f, 200, "SIP-ETag: b\nExpires: 3600\n", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	assert_false(got_has(&f.at_bob, "192.0.2."));
	assert_int_equal(f.rig->n_cdrs, 0);
	flow_end(&f);
}

/* Methods without dialog, in both directions, their bodies byte for byte. */
static void without_dialog(void **state)
{
	static const struct {
		const char *method, *lines, *body;
	} requests[] = {
		{ "MESSAGE", "Content-Type: text/plain\n", "Hello, 10.0.0.21 and 192.0.2.10!" },
		{ "OPTIONS", "Accept: application/sdp\n", "" },
		{ "NOTIFY", "Event: message-summary\nSubscription-State: active\nContent-Type: application/simple-message-summary\n",
		  "Messages-Waiting: yes\r\n" },
		{ "INFO", "", "" },
		{ "FROBNICATE", "", "x" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct flow f;
		char start[64];

		flow_begin(&f, FLOW_BOTH_WAYS, 2, i);
		snprintf(start, sizeof(start), "%s sip:bob@example.com SIP/2.0", requests[i].method);
		alice_asks(&f, requests[i].method, requests[i].lines, requests[i].body);
		flow_expect_at_bob(&f, start);
		assert_true(sv_eq(view_body(&f.at_bob.v), sv_from(requests[i].body)));
		assert_false(got_has(&f.at_bob, "alice-call"));
		flow_bob_answers(&f, 200, "Allow: INVITE, ACK\n", "");
		flow_expect_at_alice(&f, "SIP/2.0 200");
		assert_string_equal(got_value(&f.at_alice, HDR_CALL_ID), "alice-call@192.0.2.10");
		assert_false(got_has(&f.at_alice, "10.0.0."));
		snprintf(start, sizeof(start), "%s sip:alice@example.com SIP/2.0", requests[i].method);
		bob_asks(&f, requests[i].method, requests[i].lines, requests[i].body);
		flow_expect_at_alice(&f, start);
		assert_true(sv_eq(view_body(&f.at_alice.v), sv_from(requests[i].body)));
		assert_false(got_has(&f.at_alice, "bob-call"));
		flow_alice_answers(&f, 202, "", "");
		rig_expect(f.rig, BOB, "SIP/2.0 202", &f.at_bob);
		assert_false(got_has(&f.at_bob, "@192.0.2."));
		assert_int_equal(f.rig->n_cdrs, 0);
		flow_end(&f);
	}
}

/* What we say of ourselves holds for what passes through us. */
static void options_of_our_own(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "OPTIONS sip:203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKo;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:203.0.113.10>\nCall-ID: o\nCSeq: 1 OPTIONS\n");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_string_equal(got_value(&f.at_alice, HDR_ALLOW), "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, "
	                                                       "NOTIFY, REFER, PUBLISH");
	flow_end(&f);
}

/* RFC 6086: what each side takes is told, and the packages pass within the call, both ways. */
static void info_packages(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 2, 1);
	flow_alice_calls(&f, "Recv-Info: foo, bar\n", SDP);
	rig_expect(f.rig, ALICE, "SIP/2.0 100", &f.at_alice);
	flow_expect_at_bob(&f, "INVITE ");
	assert_string_equal(got_value(&f.at_bob, HDR_RECV_INFO), "foo, bar");
	flow_bob_answers(&f, 200, "Recv-Info: nil\nContent-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	assert_string_equal(got_value(&f.at_alice, HDR_RECV_INFO), "nil");
	flow_ack(&f);
	flow_bob_says(&f, "INFO", "Info-Package: foo\nContent-Type: application/foo\nContent-Disposition: Info-Package\n", "foo=1");
	flow_expect_at_alice(&f, "INFO sip:alice@192.0.2.10:5060 SIP/2.0");
	assert_string_equal(got_value(&f.at_alice, HDR_INFO_PACKAGE), "foo");
	assert_string_equal(got_value(&f.at_alice, HDR_CONTENT_DISPOSITION), "Info-Package");
	assert_true(sv_eq(view_body(&f.at_alice.v), SV("foo=1")));
	flow_alice_answers(&f, 200, "", "");
	rig_expect(f.rig, BOB, "SIP/2.0 200", &f.at_bob);
	flow_alice_says(&f, "INFO", "Info-Package: foo\nContent-Type: application/foo\n", "foo=2");
	flow_expect_at_bob(&f, "INFO sip:bob@10.0.0.21:5060 SIP/2.0");
	flow_bob_answers(&f, 469, "Recv-Info: \n", "");
	flow_expect_at_alice(&f, "SIP/2.0 469");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

/* Subscriptions the other way: a server watches a phone. */
static void server_subscribes(void **state)
{
	struct flow f;
	char to[256], contact[128];

	(void)state;
	flow_begin(&f, FLOW_BOTH_WAYS, 8, 1);
	bob_asks(&f, "SUBSCRIBE", "Event: reg\nExpires: 600\nContact: <sip:bob@10.0.0.21:5060>\n", "");
	flow_expect_at_alice(&f, "SUBSCRIBE sip:alice@example.com SIP/2.0");
	assert_false(got_has(&f.at_alice, "10.0.0."));
	struct got request = f.at_alice;

	snprintf(contact, sizeof(contact), "%s", got_contact(&request));
	snprintf(to, sizeof(to), "%s", got_value(&request, HDR_FROM));
	rig_say(f.rig, ALICE, EDGE, "",
	        "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKn1;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=al\nTo: %s\nCall-ID: %s\nCSeq: 1 NOTIFY\nContact: <sip:alice@192.0.2.10:5060>\n"
	        "Event: reg\nSubscription-State: active;expires=600\n",
	        contact, to, got_value(&request, HDR_CALL_ID));
	rig_expect(f.rig, BOB, "NOTIFY sip:bob@10.0.0.21:5060 SIP/2.0", &f.at_bob);
	assert_false(got_has(&f.at_bob, "192.0.2."));
	assert_string_equal(got_value(&f.at_bob, HDR_CALL_ID), "bob-call@10.0.0.21");
	flow_bob_answers(&f, 200, "", "");
	f.at_alice = (struct got){ .packet = NULL };
	rig_expect(f.rig, ALICE, "SIP/2.0 200", &f.at_alice);
	got_free(&f.at_alice);
	f.at_alice = request;
	rig_forget(f.rig, ALICE);
	rig_after(f.rig, SIP_TIMEOUT + 600000 + USAGE_GRACE_MS);
	rig_forget(f.rig, ALICE);
	rig_forget(f.rig, BOB);
	assert_int_equal(rig_in_use(f.rig), 0); /* the SUBSCRIBE itself was never answered */
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialog_info),
		cmocka_unit_test(dialog_info_with_our_contact),
		cmocka_unit_test(dialog_info_that_cannot_pass),
		cmocka_unit_test(dialog_info_with_words),
		cmocka_unit_test(dialog_info_of_many),
		cmocka_unit_test(reports_of_a_list),
		cmocka_unit_test(words_of_other_packages),
		cmocka_unit_test(ids_made_of_identifiers),
		cmocka_unit_test(picked_up),
		cmocka_unit_test(told_of_what_is_over),
		cmocka_unit_test(picked_up_at_the_other_end),
		cmocka_unit_test(publish),
		cmocka_unit_test(without_dialog),
		cmocka_unit_test(options_of_our_own),
		cmocka_unit_test(info_packages),
		cmocka_unit_test(server_subscribes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
