/* RFC 5359 section 2, service examples, each named by its section. The SBC stands where the RFC draws the proxy: Alice is on the public
 * side, Bob, Carol and the servers behind; what the RFC's proxy decides (forwarding, screening, finding) a server behind us does. */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SERVER DAVE /* music, parking, announcements, a web page */
#define POOL(name, zone, address) \
	"  " name ": { zone: " zone ", probe: off, destinations: [{ name: " name ", uri: \"sip:" address "\" }] }\n"
#define ROUTE(name) "  - { when: { caller: any, user: \"" name "\" }, to: { pool: " name " } }\n"
#define YAML \
	FLOW_ZONES "    domains: [\"example.com\"]\n" "pools:\n" \
		POOL("alice", "public", "192.0.2.10:5060") POOL("bob", "core", "10.0.0.21:5060") \
		POOL("carol", "core", "10.0.0.22:5060") POOL("server", "core", "10.0.0.23:5060") \
	"routes:\n" ROUTE("alice") ROUTE("bob") ROUTE("carol") ROUTE("server")
#define BOB_URI "sip:bob@example.com"
#define CAROL_URI "sip:carol@example.com"
#define HOLD "v=0\r\no=- 2 2 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\na=sendonly\r\n"
#define HELD "v=0\r\no=- 1 2 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=recvonly\r\n"
#define MUSIC "v=0\r\no=- 9 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\na=sendonly\r\n"

/* Everybody has a few dialogs: alice1 and bob1 talk to each other at first. */
struct scene {
	struct rig *rig;
	struct phone alice1, alice2, bob1, bob2, carol1, carol2, server1, server2;
};

static void begin(struct scene *s)
{
	s->rig = rig_new(YAML, 2, 1);
	cast_watch(s->rig);
	phone_new(&s->alice1, s->rig, "alice1", ALICE);
	phone_new(&s->alice2, s->rig, "alice2", ALICE);
	phone_new(&s->bob1, s->rig, "bob1", BOB);
	phone_new(&s->bob2, s->rig, "bob2", BOB);
	phone_new(&s->carol1, s->rig, "carol1", CAROL);
	phone_new(&s->carol2, s->rig, "carol2", CAROL);
	phone_new(&s->server1, s->rig, "server1", SERVER);
	phone_new(&s->server2, s->rig, "server2", SERVER);
}

static void talk(struct scene *s)
{
	begin(s);
	phones_talk(&s->alice1, &s->bob1, BOB_URI);
}

static void all_is_silent(struct scene *s)
{
	static const char *const all[] = { ALICE, BOB, CAROL, SERVER };

	for (unsigned i = 0; i < 4; i++)
		rig_expect_silence(s->rig, all[i]);
}

static void end(struct scene *s)
{
	struct phone *const all[] = { &s->alice1, &s->alice2, &s->bob1, &s->bob2, &s->carol1, &s->carol2, &s->server1, &s->server2 };

	all_is_silent(s);
	rig_after(s->rig, 3600000);
	all_is_silent(s);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		phone_free(all[i]);
	rig_free(s->rig, true);
}

/* re-INVITE: the offer, the answer, byte for byte, and the ACK. */
static void reinvites(struct phone *p, struct phone *q, const char *offer, const char *answer)
{
	phone_asks(p, "INVITE", "", offer);
	phone_gets(p, "SIP/2.0 100");
	phone_gets(q, "INVITE ");
	assert_true(sv_eq(view_body(&q->invite.v), sv_from(offer)));
	phone_answers(q, 200, "", answer);
	phone_gets(p, "SIP/2.0 200");
	assert_true(sv_eq(view_body(&p->got.v), sv_from(answer)));
	phone_acks(p, "");
	phone_gets(q, "ACK ");
}

static void calls(struct phone *p, const char *uri, struct phone *q)
{
	phone_calls(p, uri, "", OFFER);
	phone_gets(p, "SIP/2.0 100");
	phone_gets(q, "INVITE ");
}

static void rings(struct phone *p, struct phone *q)
{
	phone_answers_invite(q, 180, "", "");
	phone_gets(p, "SIP/2.0 180");
}

/* Hold --------------------------------------------------------------------------------------------------------------- */

/* 2.1 Call hold: by the callee, and by the caller; and taken back. */
static void s2_1_call_hold(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	reinvites(&s.bob1, &s.alice1, HOLD, HELD);
	reinvites(&s.bob1, &s.alice1, OFFER, ANSWER);
	reinvites(&s.alice1, &s.bob1, HOLD, HELD);
	reinvites(&s.alice1, &s.bob1, OFFER, ANSWER);
	phones_end(&s.alice1, &s.bob1);
	end(&s);
}

/* 2.2 Consultation hold: Bob holds Alice, talks to Carol, and comes back. */
static void s2_2_consultation_hold(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	reinvites(&s.bob1, &s.alice1, HOLD, HELD);
	phones_talk(&s.bob2, &s.carol1, CAROL_URI);
	phones_end(&s.bob2, &s.carol1);
	reinvites(&s.bob1, &s.alice1, OFFER, ANSWER);
	phones_end(&s.bob1, &s.alice1);
	end(&s);
}

/* 2.3 Music on hold: Bob asks Alice for an offer, gives it to the music server, and its answer to her in the ACK. */
static void s2_3_music_on_hold(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	phone_asks(&s.bob1, "INVITE", "", "");
	phone_gets(&s.bob1, "SIP/2.0 100");
	phone_gets(&s.alice1, "INVITE ");
	assert_int_equal(s.alice1.invite.v.body_len, 0);
	phone_answers(&s.alice1, 200, "", HELD);
	phone_gets(&s.bob1, "SIP/2.0 200");
	phone_calls(&s.bob2, "sip:server@example.com", "", HELD);
	phone_gets(&s.bob2, "SIP/2.0 100");
	phone_gets(&s.server1, "INVITE ");
	phone_answers(&s.server1, 200, "", MUSIC);
	phone_gets(&s.bob2, "SIP/2.0 200");
	phone_acks(&s.bob2, "");
	phone_gets(&s.server1, "ACK ");
	phone_acks(&s.bob1, MUSIC);
	phone_gets(&s.alice1, "ACK ");
	assert_true(sv_eq(view_body(&s.alice1.got.v), SV(MUSIC)));
	phones_end(&s.bob2, &s.server1);
	reinvites(&s.bob1, &s.alice1, OFFER, ANSWER);
	phones_end(&s.alice1, &s.bob1);
	end(&s);
}

/* Transfer ----------------------------------------------------------------------------------------------------------- */

static void notified(struct phone *from, struct phone *to, const char *state, const char *status_line)
{
	char extra[128];

	snprintf(extra, sizeof(extra), "Event: refer\nSubscription-State: %s\n", state);
	phone_asks(from, "NOTIFY", extra, status_line);
	phone_gets(to, "NOTIFY ");
	assert_non_null(strstr(to->got.packet->bytes, status_line));
	phone_answers(to, 200, "", "");
	phone_gets(from, "SIP/2.0 200");
}

/* Bob refers `q`, with whom he talks as `p`, to Carol by name; then hangs up. */
static void refers_to_carol(struct phone *p, struct phone *q)
{
	phone_asks(p, "REFER", "Refer-To: <sip:carol@example.com>\nReferred-By: <sip:bob@example.com>\n", "");
	phone_gets(q, "REFER ");
	assert_string_equal(got_value(&q->got, HDR_REFER_TO), "<sip:carol@example.com>");
	assert_string_equal(got_value(&q->got, HDR_REFERRED_BY), "<sip:bob@example.com>");
	phone_answers(q, 202, "", "");
	phone_gets(p, "SIP/2.0 202");
	notified(q, p, "active;expires=60", "SIP/2.0 100 Trying\r\n");
}

/* 2.4 Unattended: Bob hangs up at once, and is told all the same what has become of it. */
static void s2_4_transfer_unattended(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	refers_to_carol(&s.bob1, &s.alice1);
	phones_end(&s.bob1, &s.alice1);
	phone_calls(&s.alice2, CAROL_URI, "Referred-By: <sip:bob@example.com>\n", OFFER);
	phone_gets(&s.alice2, "SIP/2.0 100");
	phone_gets(&s.carol1, "INVITE " CAROL_URI);
	assert_string_equal(got_value(&s.carol1.invite, HDR_REFERRED_BY), "<sip:bob@example.com>");
	rings(&s.alice2, &s.carol1);
	phones_answered(&s.alice2, &s.carol1);
	notified(&s.alice1, &s.bob1, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
	phones_end(&s.carol1, &s.alice2);
	end(&s);
}

/* 2.5 Attended: Bob talks to Carol first; Alice's call then replaces his. */
static void s2_5_transfer_attended(void **state)
{
	struct wish wish;
	struct scene s;

	(void)state;
	talk(&s);
	reinvites(&s.bob1, &s.alice1, HOLD, HELD);
	phones_talk(&s.bob2, &s.carol1, CAROL_URI);
	reinvites(&s.bob2, &s.carol1, HOLD, HELD);
	phone_refers(&s.bob1, &s.alice1, &s.bob2, "Replaces", &wish);
	phone_follows(&s.alice2, &wish);
	snprintf(s.carol2.uri, sizeof(s.carol2.uri), "%s", s.carol1.uri); /* the same phone */
	phone_gets(&s.carol2, "INVITE ");
	call_is_named(&s.carol2.invite, HDR_REPLACES, &s.carol1);
	phones_answered(&s.alice2, &s.carol2);
	phones_end(&s.carol1, &s.bob2);
	notified(&s.alice1, &s.bob1, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
	phones_end(&s.bob1, &s.alice1);
	phones_end(&s.alice2, &s.carol2);
	end(&s);
}

/* 2.6 Instant messaging: Bob writes to Alice, within the call and beside it, and has her write to Carol. */
static void s2_6_transfer_instant_messaging(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	phone_asks(&s.bob1, "MESSAGE", "", "Ask Carol.\r\n");
	phone_gets(&s.alice1, "MESSAGE ");
	assert_true(got_has(&s.alice1.got, "\r\nContent-Type: text/plain\r\n"));
	assert_true(sv_eq(view_body(&s.alice1.got.v), SV("Ask Carol.\r\n")));
	phone_answers(&s.alice1, 200, "", "");
	phone_gets(&s.bob1, "SIP/2.0 200");
	phone_asks(&s.bob1, "REFER", "Refer-To: <sip:carol@example.com;method=MESSAGE>\n", "");
	phone_gets(&s.alice1, "REFER ");
	assert_string_equal(got_value(&s.alice1.got, HDR_REFER_TO), "<sip:carol@example.com;method=MESSAGE>");
	phone_answers(&s.alice1, 202, "", "");
	phone_gets(&s.bob1, "SIP/2.0 202");
	phone_begins(&s.alice2, "MESSAGE", CAROL_URI, "", "Bob says so.\r\n");
	phone_gets(&s.carol1, "MESSAGE ");
	assert_true(sv_eq(view_body(&s.carol1.got.v), SV("Bob says so.\r\n")));
	phone_answers(&s.carol1, 200, "", "");
	phone_gets(&s.alice2, "SIP/2.0 200");
	notified(&s.alice1, &s.bob1, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
	phones_end(&s.alice1, &s.bob1);
	end(&s);
}

/* Forwarding: Bob's server asks Carol, whom we do not see; to us she is another To-tag ------------------------------- */

static void forwarded(struct scene *s)
{
	phone_free(&s->carol1);
	phone_fork(&s->carol1, &s->bob1, "carol1");
	phone_answers_invite(&s->carol1, 181, "", "");
	phone_gets(&s->alice1, "SIP/2.0 181");
	rings(&s->alice1, &s->carol1);
	phones_answered(&s->alice1, &s->carol1);
}

static void carol_hangs_up(struct scene *s)
{
	phones_end(&s->carol1, &s->alice1);
	end(s);
}

/* 2.7 Unconditional. */
static void s2_7_forwarding_unconditional(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	calls(&s.alice1, BOB_URI, &s.bob1);
	forwarded(&s);
	carol_hangs_up(&s);
}

/* 2.8 Busy: the server has heard it, we have not. The other way, by a 302, is 2.8 too where the caller follows it. */
static void s2_8_forwarding_busy(void **state)
{
	char contact[128];
	struct scene s;

	(void)state;
	begin(&s);
	calls(&s.alice1, BOB_URI, &s.bob1);
	phone_answers(&s.bob1, 302, "Contact: <sip:carol@10.0.0.22>\n", "");
	phone_gets(&s.bob1, "ACK ");
	phone_gets(&s.alice1, "SIP/2.0 302");
	phone_acks_refusal(&s.alice1);
	snprintf(contact, sizeof(contact), "%s", got_contact(&s.alice1.got));
	calls(&s.alice2, contact, &s.carol1);
	rings(&s.alice2, &s.carol1);
	phones_answered(&s.alice2, &s.carol1);
	phones_end(&s.alice2, &s.carol1);
	*s.alice1.call_id = '\0';
	s.alice1.cseq = 0;
	calls(&s.alice1, BOB_URI, &s.bob1);
	forwarded(&s);
	carol_hangs_up(&s);
}

/* 2.9 No answer: Bob rang, then Carol. His early dialog is over when hers is answered. */
static void s2_9_forwarding_no_answer(void **state)
{
	struct phone early;
	struct scene s;

	(void)state;
	begin(&s);
	calls(&s.alice1, BOB_URI, &s.bob1);
	rings(&s.alice1, &s.bob1);
	phone_twin(&early, &s.alice1);
	rig_after(s.rig, 10000);
	forwarded(&s);
	assert_string_not_equal(early.remote, s.alice1.remote);
	phone_asks(&early, "UPDATE", "", "");
	phone_gets(&early, "SIP/2.0 481");
	phone_free(&early);
	carol_hangs_up(&s);
}

/* Conferences -------------------------------------------------------------------------------------------------------- */

/* 2.10 A third party is added: Bob calls Carol, becomes the focus, and says so to both. */
static void s2_10_third_party_is_added(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	s.bob1.features = s.bob2.features = ";isfocus";
	phones_talk(&s.bob2, &s.carol1, CAROL_URI);
	assert_non_null(strstr(got_value(&s.carol1.invite, HDR_CONTACT), ">;isfocus"));
	reinvites(&s.bob1, &s.alice1, OFFER, ANSWER);
	assert_non_null(strstr(got_value(&s.alice1.invite, HDR_CONTACT), ">;isfocus"));
	phones_end(&s.alice1, &s.bob1);
	phones_end(&s.carol1, &s.bob2);
	end(&s);
}

/* The call of `p` as a header names it to `p` himself. */
static const char *own_call(const char *header, const struct phone *p)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s: %s;to-tag=%.*s;from-tag=%.*s\n", header, p->call_id, SV_ARG(tag_of(sv_from(p->local))),
	         SV_ARG(tag_of(sv_from(p->remote))));
	return text;
}

/* 2.11 A third party joins: Carol knows Bob's dialog and joins it. */
static void s2_11_third_party_joins(void **state)
{
	struct scene s;

	(void)state;
	talk(&s);
	phone_calls(&s.carol1, BOB_URI, own_call("Join", &s.bob1), OFFER);
	phone_gets(&s.carol1, "SIP/2.0 100");
	s.bob2.features = ";isfocus";
	phone_gets(&s.bob2, "INVITE " BOB_URI);
	call_is_named(&s.bob2.invite, HDR_JOIN, &s.bob1);
	phones_answered(&s.carol1, &s.bob2);
	assert_non_null(strstr(got_value(&s.carol1.got, HDR_CONTACT), ">;isfocus"));
	s.bob1.features = ";isfocus";
	reinvites(&s.bob1, &s.alice1, OFFER, ANSWER);
	phones_end(&s.carol1, &s.bob2);
	phones_end(&s.bob1, &s.alice1);
	end(&s);
}

/* Finding and screening ---------------------------------------------------------------------------------------------- */

/* 2.12 Find-me: three phones ring, one answers; the others are the server's to end, and a late answer of one is ours. */
static void s2_12_find_me(void **state)
{
	struct phone home, work, early;
	struct scene s;

	(void)state;
	begin(&s);
	calls(&s.alice1, BOB_URI, &s.bob1);
	phone_fork(&home, &s.bob1, "home");
	phone_fork(&work, &s.bob1, "work");
	rings(&s.alice1, &s.bob1);
	phone_twin(&early, &s.alice1);
	phone_answers_invite(&home, 183, "", ANSWER);
	phone_gets(&s.alice1, "SIP/2.0 183");
	rings(&s.alice1, &work);
	phones_answered(&s.alice1, &work);
	phone_answers_invite(&home, 200, "", ANSWER);
	phone_gets(&home, "ACK ");
	phone_gets(&home, "BYE ");
	phone_answers(&home, 200, "", "");
	phone_asks(&early, "BYE", "", "");
	phone_gets(&early, "SIP/2.0 481");
	phones_end(&s.alice1, &work);
	phone_free(&home);
	phone_free(&work);
	phone_free(&early);
	end(&s);
}

/* 2.13 Incoming call screening: the server asks who she is, and sends her to an announcement, early media without an answer. */
static void s2_13_incoming_call_screening(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	calls(&s.alice1, BOB_URI, &s.bob1);
	phone_answers(&s.bob1, 407, "Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"n1\"\n", "");
	phone_gets(&s.bob1, "ACK ");
	phone_gets(&s.alice1, "SIP/2.0 407");
	phone_acks_refusal(&s.alice1);
	phone_calls(&s.alice1, BOB_URI, "Proxy-Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"n1\"\n", OFFER);
	phone_gets(&s.alice1, "SIP/2.0 100");
	phone_gets(&s.bob1, "INVITE ");
	phone_answers(&s.bob1, 183, "", ANSWER);
	phone_gets(&s.alice1, "SIP/2.0 183");
	assert_true(got_has(&s.alice1.got, ANSWER));
	phone_answers_invite(&s.bob1, 403, "Error-Info: <sip:screened@announcements.example.org>\n", "");
	phone_gets(&s.bob1, "ACK ");
	phone_gets(&s.alice1, "SIP/2.0 403");
	assert_string_equal(got_value(&s.alice1.got, HDR_ERROR_INFO), "<sip:screened@announcements.example.org>");
	phone_acks_refusal(&s.alice1);
	end(&s);
}

/* 2.14 Outgoing call screening: a server between refuses, in words of its own; where its announcement is passes if it tells nothing of the
 * inside. */
static void s2_14_outgoing_call_screening(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	calls(&s.alice1, BOB_URI, &s.bob1);
	phone_answers(&s.bob1, 403, "Error-Info: <sip:screened@10.0.0.23>\n", "");
	phone_gets(&s.bob1, "ACK ");
	phone_gets(&s.alice1, "SIP/2.0 403 Forbidden");
	assert_null(view_find(&s.alice1.got.v, HDR_ERROR_INFO, 0));
	phone_acks_refusal(&s.alice1);
	end(&s);
}

/* Parking, picking up, redialling ------------------------------------------------------------------------------------ */

/* `p` refers `q`, outside of any dialog, by `lines`; `q` accepts. */
static void refers_beside(struct phone *p, const char *uri, const char *lines, struct phone *q, struct wish *wish)
{
	phone_begins(p, "REFER", uri, lines, "");
	phone_gets(q, "REFER ");
	wish_of(&q->got, wish);
	phone_answers(q, 202, "", "");
	phone_gets(p, "SIP/2.0 202");
	notified(q, p, "active;expires=60", "SIP/2.0 100 Trying\r\n");
}

/* 2.15 Call park: Bob has the park server take his call with Alice; Carol takes it from there. */
static void s2_15_call_park(void **state)
{
	struct phone alice3, server3;
	struct wish wish;
	struct scene s;

	(void)state;
	talk(&s);
	phone_new(&alice3, s.rig, "alice3", ALICE);
	phone_new(&server3, s.rig, "server3", SERVER);
	refers_beside(&s.bob2, "sip:server@example.com", phone_refer_lines(&s.bob1, "Replaces"), &s.server1, &wish);
	phone_follows(&s.server2, &wish);
	snprintf(s.alice2.uri, sizeof(s.alice2.uri), "%s", s.alice1.uri);
	phone_gets(&s.alice2, "INVITE ");
	call_is_named(&s.alice2.invite, HDR_REPLACES, &s.alice1);
	phones_answered(&s.server2, &s.alice2);
	phones_end(&s.alice1, &s.bob1);
	notified(&s.server1, &s.bob2, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
	/* Carol asks the park server, which refers her to Alice in the same way. */
	refers_beside(&server3, CAROL_URI, phone_refer_lines(&s.server2, "Replaces"), &s.carol1, &wish);
	phone_follows(&s.carol2, &wish);
	snprintf(alice3.uri, sizeof(alice3.uri), "%s", s.alice1.uri);
	phone_gets(&alice3, "INVITE ");
	call_is_named(&alice3.invite, HDR_REPLACES, &s.alice2);
	phones_answered(&s.carol2, &alice3);
	phones_end(&s.alice2, &s.server2);
	notified(&s.carol1, &server3, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
	phones_end(&alice3, &s.carol2);
	phone_free(&alice3);
	phone_free(&server3);
	end(&s);
}

#define INFO(dialogs) \
	"<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"%u\" state=\"full\" " \
	"entity=\"sip:bob@example.com\">" dialogs "</dialog-info>"

/* A dialog-info body about Bob's call. */
static void tells(struct phone *from, struct phone *to, const struct phone *call, unsigned version, const char *state)
{
	char body[2048], target[1024] = "";

	if (call)
		snprintf(target, sizeof(target), "<dialog id=\"1\" call-id=\"%s\" local-tag=\"%.*s\" remote-tag=\"%.*s\" direction=\"recipient\">"
		         "<state>%s</state><remote><target uri=\"%s\"/></remote></dialog>", call->call_id, SV_ARG(tag_of(sv_from(call->local))),
		         SV_ARG(tag_of(sv_from(call->remote))), state, call->target);
	snprintf(body, sizeof(body), INFO("%s"), version, target);
	phone_asks(from, "NOTIFY", "Event: dialog\nSubscription-State: active;expires=600\n", body);
	phone_gets(to, "NOTIFY ");
	phone_answers(to, 200, "", "");
	phone_gets(from, "SIP/2.0 200");
}

static void subscribes(struct phone *p, struct phone *q)
{
	phone_begins(p, "SUBSCRIBE", BOB_URI, "Event: dialog\nAccept: application/dialog-info+xml\nExpires: 600\n", "");
	phone_gets(q, "SUBSCRIBE ");
	phone_answers(q, 200, "Expires: 600\n", "");
	phone_gets(p, "SIP/2.0 200");
}

/* No more of it. */
static void unsubscribes(struct phone *p, struct phone *q)
{
	phone_asks(p, "SUBSCRIBE", "Event: dialog\nExpires: 0\n", "");
	phone_gets(q, "SUBSCRIBE ");
	phone_answers(q, 200, "Expires: 0\n", "");
	phone_gets(p, "SIP/2.0 200");
	phone_asks(q, "NOTIFY", "Event: dialog\nSubscription-State: terminated;reason=timeout\n", "");
	phone_gets(p, "NOTIFY ");
	phone_answers(p, 200, "", "");
	phone_gets(q, "SIP/2.0 200");
}

/* The value of an attribute in the body that `p` got. */
static const char *attribute(const struct phone *p, const char *name)
{
	static char text[4][128];
	static unsigned next;
	char *t = text[next++ % 4], what[32];
	const char *at;

	snprintf(what, sizeof(what), " %s=\"", name);
	assert_non_null(at = strstr(p->got.packet->bytes, what));
	snprintf(t, sizeof(text[0]), "%.*s", (int)strcspn(at + strlen(what), "\""), at + strlen(what));
	return t;
}

/* 2.16 Call pickup: Carol watches Bob's phone, sees it ring, and replaces the ringing call at Alice, who then cancels hers. */
static void s2_16_call_pickup(void **state)
{
	char extra[512];
	struct scene s;

	(void)state;
	begin(&s);
	subscribes(&s.carol1, &s.bob2);
	tells(&s.bob2, &s.carol1, NULL, 0, "");
	calls(&s.alice1, BOB_URI, &s.bob1);
	rings(&s.alice1, &s.bob1);
	tells(&s.bob2, &s.carol1, &s.bob1, 1, "early");
	snprintf(extra, sizeof(extra), "Replaces: %s;to-tag=%s;from-tag=%s\n", attribute(&s.carol1, "call-id"),
	         attribute(&s.carol1, "remote-tag"), attribute(&s.carol1, "local-tag"));
	phone_calls(&s.carol2, "sip:alice@example.com", extra, OFFER);
	phone_gets(&s.carol2, "SIP/2.0 100");
	phone_gets(&s.alice2, "INVITE ");
	call_is_named(&s.alice2.invite, HDR_REPLACES, &s.alice1);
	phones_answered(&s.carol2, &s.alice2);
	phone_cancels(&s.alice1);
	rig_expect(s.rig, ALICE, "SIP/2.0 200", &s.alice1.got);
	rig_expect(s.rig, ALICE, "SIP/2.0 487", &s.alice1.got);
	phone_acks_refusal(&s.alice1);
	phone_gets(&s.bob1, "CANCEL ");
	phone_answers(&s.bob1, 200, "", "");
	phone_answers_invite(&s.bob1, 487, "", "");
	phone_gets(&s.bob1, "ACK ");
	tells(&s.bob2, &s.carol1, NULL, 2, "");
	unsubscribes(&s.carol1, &s.bob2);
	phones_end(&s.carol2, &s.alice2);
	end(&s);
}

/* 2.17 Automatic redial: Bob is busy; Alice watches his phone, and calls again when it is free. */
static void s2_17_automatic_redial(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	phones_talk(&s.carol1, &s.bob1, BOB_URI);
	calls(&s.alice1, BOB_URI, &s.bob2);
	phone_answers_invite(&s.bob2, 486, "", "");
	phone_gets(&s.bob2, "ACK ");
	phone_gets(&s.alice1, "SIP/2.0 486");
	phone_acks_refusal(&s.alice1);
	phone_free(&s.bob2);
	phone_new(&s.bob2, s.rig, "bob2", BOB);
	subscribes(&s.alice2, &s.bob2);
	tells(&s.bob2, &s.alice2, &s.bob1, 0, "confirmed"); /* with nothing of Carol's call that is hers: the watch looks */
	phones_end(&s.carol1, &s.bob1);
	tells(&s.bob2, &s.alice2, NULL, 1, "");
	unsubscribes(&s.alice2, &s.bob2);
	phone_free(&s.bob1);
	phone_new(&s.bob1, s.rig, "bob1", BOB);
	*s.alice1.call_id = '\0';
	s.alice1.cseq = 0;
	phones_talk(&s.alice1, &s.bob1, BOB_URI);
	phones_end(&s.alice1, &s.bob1);
	end(&s);
}

/* 2.18 Click to dial: a web server has Alice's phone call Bob. */
static void s2_18_click_to_dial(void **state)
{
	struct wish wish;
	struct scene s;

	(void)state;
	begin(&s);
	refers_beside(&s.server1, "sip:alice@example.com", "Refer-To: <" BOB_URI ">\nReferred-By: <sip:web@example.com>\n", &s.alice1, &wish);
	assert_string_equal(wish.uri, BOB_URI);
	phone_calls(&s.alice2, wish.uri, "Referred-By: <sip:web@example.com>\n", OFFER);
	phone_gets(&s.alice2, "SIP/2.0 100");
	phone_gets(&s.bob1, "INVITE ");
	rings(&s.alice2, &s.bob1);
	phones_answered(&s.alice2, &s.bob1);
	notified(&s.alice1, &s.server1, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
	phones_end(&s.alice2, &s.bob1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s2_1_call_hold),
		cmocka_unit_test(s2_2_consultation_hold),
		cmocka_unit_test(s2_3_music_on_hold),
		cmocka_unit_test(s2_4_transfer_unattended),
		cmocka_unit_test(s2_5_transfer_attended),
		cmocka_unit_test(s2_6_transfer_instant_messaging),
		cmocka_unit_test(s2_7_forwarding_unconditional),
		cmocka_unit_test(s2_8_forwarding_busy),
		cmocka_unit_test(s2_9_forwarding_no_answer),
		cmocka_unit_test(s2_10_third_party_is_added),
		cmocka_unit_test(s2_11_third_party_joins),
		cmocka_unit_test(s2_12_find_me),
		cmocka_unit_test(s2_13_incoming_call_screening),
		cmocka_unit_test(s2_14_outgoing_call_screening),
		cmocka_unit_test(s2_15_call_park),
		cmocka_unit_test(s2_16_call_pickup),
		cmocka_unit_test(s2_17_automatic_redial),
		cmocka_unit_test(s2_18_click_to_dial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
