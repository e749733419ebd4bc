/* Clients behind NATs and the gateways in front of them that "help": whatever becomes of their words on the way, they are reached where
 * their packets come from, by the name that they gave themselves; and nobody else is (DECISIONS 22, 26). */
#include "tests/flow/cast.h"
#include "nat/detect.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NATTED "192.0.2.10:41234"
#define INNER "sip:alice@192.168.1.2:5060;line=7f3;ob"
#define PRIVATE_SDP \
	"v=0\r\no=alice 1 1 IN IP4 192.168.1.2\r\ns=-\r\nc=IN IP4 192.168.1.2\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n"
#define PUBLIC_SDP \
	"v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 61170 RTP/AVP 0\r\n"

/* What one message of hers looks like when it arrives. NULL: as she wrote it. */
struct words {
	const char *source, *via, *contact, *host, *lines, *sdp;
};
static const struct words as_written = { NATTED, "192.168.1.2:5060;rport", INNER, NULL, "", PRIVATE_SDP };

struct client {
	struct flow f;                /* f.at_alice, f.at_bob: what came last */
	const char *listener, *transport, *call_id;
	struct words now;
	unsigned cseq, branch;
};

static void client_begin(struct client *c, const char *yaml)
{
	*c = (struct client){ .listener = EDGE, .transport = "UDP", .call_id = "natted@192.168.1.2", .now = as_written };
	flow_begin(&c->f, yaml, 2, 1);
}

static const char *or(const char *a, const char *b)
{
	return a ? a : b;
}

/* The Request-URI: our Contact as she has it, its host perhaps exchanged on the way. */
static const char *target_of(const struct client *c, const struct words *w)
{
	static char uri[256];

	if (!*c->f.near_contact)
		return "sip:bob@example.com";
	if (!w->host)
		return c->f.near_contact;
	snprintf(uri, sizeof(uri), "%.*s@%s", (int)strcspn(c->f.near_contact, "@"), c->f.near_contact, w->host);
	return uri;
}

/* A request as `w` has it; ACK and CANCEL carry the INVITE's number. */
static void client_says(struct client *c, const char *method, const struct words *w)
{
	bool is_invite = !strcmp(method, "INVITE"), is_new = strcmp(method, "ACK") && strcmp(method, "CANCEL");
	const char *body = is_invite ? or(w->sdp, PRIVATE_SDP) : "";

	c->cseq += is_new;
	c->branch += strcmp(method, "CANCEL") != 0;
	rig_say(c->f.rig, or(w->source, c->now.source), c->listener, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/%s %s;branch=z9hG4bKnat%u\nMax-Forwards: 70\nFrom: \"Alice\" <sip:alice@example.com>;tag=alice\n"
	        "To: %s\nCall-ID: %s\nCSeq: %u %s\n%s%s%s%s%s",
	        method, target_of(c, w), c->transport, or(w->via, c->now.via), c->branch,
	        *c->f.near_to && strcmp(method, "CANCEL") ? c->f.near_to : "<sip:bob@example.com>", c->call_id, c->cseq, method,
	        is_invite ? "Contact: <" : "", is_invite ? or(w->contact, c->now.contact) : "", is_invite ? ">\n" : "",
	        *body ? "Content-Type: application/sdp\n" : "", or(w->lines, ""));
}

/* She answers what she got last; its Vias come back as they were, the gateway permitting. */
static void client_answers(struct client *c, unsigned status, const char *source)
{
	char contact[160];

	snprintf(contact, sizeof(contact), "<%s>", c->now.contact);
	flow_answer(c->f.rig, source, c->listener, &c->f.at_alice, status, got_value(&c->f.at_alice, HDR_TO), contact, "", "");
}

static void client_gets(struct client *c, const char *at, const char *start)
{
	struct flow *f = &c->f;

	rig_expect(f->rig, at, start, &f->at_alice);
	if (f->at_alice.v.status < 180 || !*got_tag(&f->at_alice, HDR_TO))
		return;
	snprintf(f->near_to, sizeof(f->near_to), "%s", got_value(&f->at_alice, HDR_TO));
	if (*got_contact(&f->at_alice))
		snprintf(f->near_contact, sizeof(f->near_contact), "%s", got_contact(&f->at_alice));
}

/* Her INVITE, Bob's 200, her ACK. */
static void client_calls(struct client *c, const struct words *invite, const struct words *ack)
{
	const char *at = or(invite->source, c->now.source);

	client_says(c, "INVITE", invite);
	client_gets(c, at, "SIP/2.0 100");
	flow_expect_at_bob(&c->f, "INVITE ");
	flow_bob_answers(&c->f, 180, "", "");
	client_gets(c, at, "SIP/2.0 180");
	flow_bob_answers(&c->f, 200, "Content-Type: application/sdp\n", SDP);
	client_gets(c, at, "SIP/2.0 200");
	client_says(c, "ACK", ack);
	flow_expect_at_bob(&c->f, "ACK ");
}

/* Bob asks something: she gets it at `at`, addressed to `uri`, and he gets her answer. */
static void bob_reaches(struct client *c, const char *at, const char *uri)
{
	char line[256];

	flow_bob_says(&c->f, "INFO", "", "");
	snprintf(line, sizeof(line), "INFO %s SIP/2.0", uri);
	client_gets(c, at, line);
	client_answers(c, 200, at);
	rig_expect(c->f.rig, BOB, "SIP/2.0 200", &c->f.at_bob);
}

/* She asks something as `w` has it, and gets the answer where she sent it from. */
static void client_reaches(struct client *c, const char *method, const struct words *w)
{
	char line[32];

	client_says(c, method, w);
	if (!strcmp(method, "INVITE"))
		client_gets(c, or(w->source, c->now.source), "SIP/2.0 100");
	snprintf(line, sizeof(line), "%s ", method);
	flow_expect_at_bob(&c->f, line);
	flow_bob_answers(&c->f, 200, "", "");
	client_gets(c, or(w->source, c->now.source), "SIP/2.0 200");
	if (!strcmp(method, "INVITE")) {
		client_says(c, "ACK", w);
		flow_expect_at_bob(&c->f, "ACK ");
	}
}

static void bob_hangs_up(struct client *c, const char *at)
{
	flow_bob_says(&c->f, "BYE", "", "");
	client_gets(c, at, "BYE ");
	client_answers(c, 200, at);
	rig_expect(c->f.rig, BOB, "SIP/2.0 200", &c->f.at_bob);
}

static void client_end(struct client *c)
{
	rig_forget(c->f.rig, c->now.source);
	flow_end(&c->f);
}

/* Her Contact is hers: it comes back to her as it was, over the flow she called by. */
static void she_is_reached_where_she_is(void **state)
{
	struct client c;

	(void)state;
	client_begin(&c, FLOW_ONE);
	client_calls(&c, &as_written, &as_written);
	assert_true(got_has(&c.f.at_alice, ";rport=41234") && got_has(&c.f.at_alice, ";received=192.0.2.10"));
	bob_reaches(&c, NATTED, INNER);
	rig_expect_silence(c.f.rig, "192.168.1.2:5060");
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

/* Contacts are opaque: whatever can be a URI comes back byte for byte. */
static void contacts_come_back_as_they_were(void **state)
{
	static const char *const contacts[] = {
		"sip:alice@192.168.1.2", "sip:alice@192.168.1.2:9;transport=UDP;rinstance=0a1b2c", "sip:al%69ce@192.0.2.10:1",
		"sip:alice@df7jal23ls0d.invalid;transport=ws", "sip:alice@[fe80::1]:5060", "sip:alice@host_with_underscore:5060",
		"sips:alice@10.0.0.21:5061;transport=tls", "sip:192.168.1.2", "SIP:ALICE@192.168.1.2;X-Y=\x7e;p", "sip:alice@0.0.0.0",
		"sip:alice@203.0.113.10:5060", "sip:alice:pw@192.168.1.2", "sip:alice@127.0.0.1:5060;transport=tcp;maddr=10.0.0.21;lr",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(contacts) / sizeof(*contacts); i++) {
		struct client c;

		client_begin(&c, FLOW_ONE);
		c.now.contact = contacts[i];
		client_calls(&c, &c.now, &c.now);
		bob_reaches(&c, NATTED, contacts[i]);
		bob_hangs_up(&c, NATTED);
		client_end(&c);
	}
}

/* A gateway that rewrites this in one message and not in the next: in each of INVITE, ACK, re-INVITE, INFO and BYE in turn, and in all. */
static void gateways_that_help(void **state)
{
	static const struct words helped[] = {
		{ .via = "192.0.2.10:41234;rport" },
		{ .via = "192.0.2.10:41234" },                    /* rport is gone */
		{ .via = "192.168.1.2:5060" },
		{ .via = "192.168.1.2:5060;rport=5060;received=192.168.1.2" }, /* it knows better */
		{ .via = "  192.168.1.2 : 5060 ; RPORT" },
		{ .contact = "sip:alice@192.0.2.10:41234" },
		{ .contact = "sip:alice@192.0.2.10:41234;line=7f3;ob" },
		{ .contact = "sip:alice@198.51.100.77:5060" },    /* another NAT in between */
		{ .host = "192.0.2.1:5060" },                     /* our address is its own now */
		{ .host = "192.168.1.1" },
		{ .host = "EDGE.invalid:9;transport=UDP" },
		{ .sdp = PUBLIC_SDP },                            /* and Content-Length with it */
		{ .lines = "supported : timer\nX-ALG:  helped\nRoute: <sip:203.0.113.10;lr>\n" },
		{ .via = "192.0.2.10:41234", .contact = "sip:alice@192.0.2.10:41234", .host = "192.0.2.1", .sdp = PUBLIC_SDP },
	};
	enum { INVITE, ACK, REINVITE, INFO, BYE, ALL, WHERE };

	(void)state;
	for (unsigned i = 0; i < sizeof(helped) / sizeof(*helped); i++) {
		for (unsigned where = 0; where < WHERE; where++) {
			const struct words *w[ALL];
			struct client c;

			for (unsigned k = 0; k < ALL; k++)
				w[k] = where == k || where == ALL ? &helped[i] : &as_written;
			client_begin(&c, FLOW_ONE);
			client_calls(&c, w[INVITE], w[ACK]);
			bob_reaches(&c, NATTED, or(w[INVITE]->contact, INNER));
			client_reaches(&c, "INVITE", w[REINVITE]);
			bob_reaches(&c, NATTED, or(w[REINVITE]->contact, INNER));
			client_reaches(&c, "INFO", w[INFO]);
			client_reaches(&c, "BYE", w[BYE]);
			client_end(&c);
		}
	}
}

/* A body that its Content-Length cuts is not hers any more (§18.3): refused, and the call that is there is none the worse. */
static void a_wrong_content_length_is_refused(void **state)
{
	struct client c;
	char text[1024];

	(void)state;
	client_begin(&c, FLOW_ONE);
	client_calls(&c, &as_written, &as_written);
	snprintf(text, sizeof(text),
	         "INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.2:5060;branch=z9hG4bKcut;rport\r\nMax-Forwards: 70\r\n"
	         "From: <sip:alice@example.com>;tag=alice\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 9 INVITE\r\nContact: <" INNER ">\r\n"
	         "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", c.f.near_contact, c.f.near_to, c.call_id,
	         strlen(PRIVATE_SDP), PUBLIC_SDP);
	rig_send(c.f.rig, NATTED, EDGE, text);
	client_gets(&c, NATTED, "SIP/2.0 400");
	bob_reaches(&c, NATTED, INNER);
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

/* One identifier changed is another dialog: a Call-ID with a "better" host in it is not hers (DECISIONS 5). */
static void another_call_id_is_another_call(void **state)
{
	struct client c;

	(void)state;
	client_begin(&c, FLOW_ONE);
	client_calls(&c, &as_written, &as_written);
	c.call_id = "natted@192.0.2.10";
	client_says(&c, "BYE", &as_written);
	client_gets(&c, NATTED, "SIP/2.0 481");
	bob_reaches(&c, NATTED, INNER);
	c.call_id = "natted@192.168.1.2";
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

/* A CANCEL finds its INVITE though the gateway rewrote the Via of one of them; from elsewhere it does not. */
static void a_cancel_with_another_via(void **state)
{
	struct words helped = { .via = "192.0.2.10:41234;rport" }, stranger = { .via = "192.0.2.66:5060", .source = "192.0.2.66:5060" };
	struct client c;

	(void)state;
	client_begin(&c, FLOW_ONE);
	client_says(&c, "INVITE", &as_written);
	client_gets(&c, NATTED, "SIP/2.0 100");
	flow_expect_at_bob(&c.f, "INVITE ");
	flow_bob_answers(&c.f, 180, "", "");
	rig_forget(c.f.rig, NATTED);
	client_says(&c, "CANCEL", &stranger);
	rig_expect(c.f.rig, "192.0.2.66:5060", "SIP/2.0 481", &c.f.at_alice);
	rig_expect_silence(c.f.rig, BOB);
	c.cseq++;
	client_says(&c, "CANCEL", &helped);
	client_gets(&c, NATTED, "SIP/2.0 481"); /* another INVITE's */
	c.cseq--;
	client_says(&c, "CANCEL", &helped);
	client_gets(&c, NATTED, "SIP/2.0 200");
	client_gets(&c, NATTED, "SIP/2.0 487");
	rig_expect(c.f.rig, BOB, "CANCEL ", &c.f.at_bob);
	flow_bob_answers(&c.f, 200, "", "");
	assert_int_equal(rig_count(c.f.rig, CANCELS_STRAYED), 1);
	client_says(&c, "ACK", &helped); /* not that of the 487, by its Via: it is repeated for its time, and that is all */
	rig_after(c.f.rig, 40000);
	rig_forget(c.f.rig, BOB);
	client_end(&c);
}

/* Her NAT forgot her port and gave her another: she is followed from her first request on, in the middle of it, too. */
static void her_port_changes(void **state)
{
	static const char *const method[] = { "INFO", "INVITE", "UPDATE" };
	struct words moved = as_written;
	struct client c;

	(void)state;
	moved.source = "192.0.2.10:52000";
	for (unsigned i = 0; i < sizeof(method) / sizeof(*method); i++) {
		client_begin(&c, FLOW_ONE);
		client_calls(&c, &as_written, &as_written);
		client_reaches(&c, method[i], &moved);
		bob_reaches(&c, moved.source, INNER);
		rig_expect_silence(c.f.rig, NATTED);
		assert_int_equal(rig_count(c.f.rig, FLOWS_MOVED), 1);
		bob_hangs_up(&c, moved.source);
		client_end(&c);
	}
	client_begin(&c, FLOW_ONE); /* before her ACK */
	client_calls(&c, &as_written, &moved);
	bob_reaches(&c, moved.source, INNER);
	client_reaches(&c, "BYE", &as_written); /* and back */
	client_end(&c);
}

/* An answer from elsewhere is an answer: its branch is ours. But it proves nothing about where the next request will find her. */
static void an_answer_from_elsewhere_moves_nothing(void **state)
{
	static const char *const from[] = { "192.0.2.10:52000", "192.0.2.66:5060" };
	struct client c;

	(void)state;
	for (unsigned i = 0; i < sizeof(from) / sizeof(*from); i++) {
		client_begin(&c, FLOW_ONE);
		client_calls(&c, &as_written, &as_written);
		flow_bob_says(&c.f, "INFO", "", "");
		client_gets(&c, NATTED, "INFO ");
		client_answers(&c, 200, from[i]);
		rig_expect(c.f.rig, BOB, "SIP/2.0 200", &c.f.at_bob);
		bob_reaches(&c, NATTED, INNER);
		bob_hangs_up(&c, NATTED);
		client_end(&c);
	}
}

/* DECISIONS 26: who knows every identifier of the call gets his answers, and does not get the call. */
static void a_transferee_cannot_take_the_call(void **state)
{
	struct words thief = { .source = "192.0.2.66:5060", .via = "192.0.2.66:5060", .contact = "sip:thief@192.0.2.66", .sdp = PUBLIC_SDP };
	static const char *const method[] = { "INFO", "INVITE", "UPDATE" };

	(void)state;
	for (unsigned i = 0; i < sizeof(method) / sizeof(*method); i++) {
		struct client c;

		client_begin(&c, FLOW_ONE);
		client_calls(&c, &as_written, &as_written);
		client_reaches(&c, method[i], &thief);
		bob_reaches(&c, NATTED, INNER); /* neither her flow nor her name has moved */
		assert_int_equal(rig_count(c.f.rig, FLOWS_KEPT), strcmp(method[i], "INVITE") ? 1 : 2); /* and its ACK */
		client_reaches(&c, "INFO", &as_written);
		bob_hangs_up(&c, NATTED);
		rig_expect_silence(c.f.rig, thief.source);
		client_end(&c);
	}
}

/* A session refresh is answered by us: that moves no target of hers either. */
static void nor_by_a_refresh_of_the_session(void **state)
{
	struct words thief = { .source = "192.0.2.66:5060", .via = "192.0.2.66:5060",
		               .lines = "Contact: <sip:thief@192.0.2.66>\nSupported: timer\nSession-Expires: 1800;refresher=uac\n" };
	struct client c;

	(void)state;
	client_begin(&c, FLOW_ONE);
	client_calls(&c, &as_written, &as_written);
	client_says(&c, "UPDATE", &thief);
	client_gets(&c, thief.source, "SIP/2.0 200");
	bob_reaches(&c, NATTED, INNER);
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

/* Who is called at the Contact that we gave for her gets her over her flow, and so does every later request of that call. */
static void a_call_to_her_contact_stays_on_her_flow(void **state)
{
	struct got carol = { 0 };
	char to[256], contact[128];
	struct client c;
	struct rig *r;

	(void)state;
	client_begin(&c, FLOW_ONE);
	r = c.f.rig;
	client_calls(&c, &as_written, &as_written);
	rig_say(r, CAROL, CORE, SDP, "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.22:5060;branch=z9hG4bKc1\nMax-Forwards: 70\n"
	        "From: <sip:carol@example.com>;tag=c\nTo: <%s>\nCall-ID: carols\nCSeq: 1 INVITE\nContact: <sip:carol@10.0.0.22>\n"
	        "Content-Type: application/sdp\n", c.f.far_contact, c.f.far_contact);
	rig_expect(r, CAROL, "SIP/2.0 100", &carol);
	rig_expect(r, NATTED, "INVITE " INNER " SIP/2.0", &c.f.at_alice);
	snprintf(to, sizeof(to), "%s;tag=again", got_value(&c.f.at_alice, HDR_TO));
	flow_answer(r, NATTED, EDGE, &c.f.at_alice, 200, to, "<sip:alice@198.51.100.77>", "Content-Type: application/sdp\n", PRIVATE_SDP);
	rig_expect(r, CAROL, "SIP/2.0 200", &carol);
	snprintf(to, sizeof(to), "%s", got_value(&carol, HDR_TO));
	snprintf(contact, sizeof(contact), "%s", got_contact(&carol));
	for (unsigned i = 0; i < 2; i++) {
		rig_say(r, CAROL, CORE, "", "%s %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.22:5060;branch=z9hG4bKc%u\nMax-Forwards: 70\n"
		        "From: <sip:carol@example.com>;tag=c\nTo: %s\nCall-ID: carols\nCSeq: %u %s\n", i ? "BYE" : "ACK", contact, i + 2, to,
		        i + 1, i ? "BYE" : "ACK");
		rig_expect(r, NATTED, i ? "BYE sip:alice@198.51.100.77 SIP/2.0" : "ACK sip:alice@198.51.100.77 SIP/2.0", &c.f.at_alice);
	}
	client_answers(&c, 200, NATTED);
	rig_expect(r, CAROL, "SIP/2.0 200", &carol);
	got_free(&carol);
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

/* What is repeated, or older than what came, moves nothing: it may be a recording. */
static void an_old_request_moves_nothing(void **state)
{
	struct words moved = as_written;
	struct client c;

	(void)state;
	moved.source = "192.0.2.10:52000";
	client_begin(&c, FLOW_ONE);
	client_calls(&c, &as_written, &as_written);
	client_reaches(&c, "INFO", &as_written);
	c.cseq--;
	client_says(&c, "INFO", &moved);
	client_gets(&c, moved.source, "SIP/2.0 500");
	bob_reaches(&c, NATTED, INNER);
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

/* Over TCP: another connection from the same address is hers, another address is not. */
static void a_stream_client_comes_back(void **state)
{
	struct words again = as_written, thief = as_written;
	struct client c;

	(void)state;
	client_begin(&c, FLOW_ONE);
	c.listener = EDGE_TCP;
	c.transport = "TCP";
	again.source = "192.0.2.10:52000";
	thief.source = "192.0.2.66:5060";
	client_calls(&c, &as_written, &as_written);
	bob_reaches(&c, NATTED, INNER);
	client_reaches(&c, "INFO", &thief);
	bob_reaches(&c, NATTED, INNER);
	client_reaches(&c, "INFO", &again);
	bob_reaches(&c, again.source, INNER);
	assert_int_equal(c.f.at_alice.packet->transport, T_TCP);
	c.listener = EDGE; /* the same address by another transport */
	c.transport = "UDP";
	client_reaches(&c, "INFO", &as_written);
	c.listener = EDGE_TCP;
	bob_reaches(&c, again.source, INNER);
	assert_int_equal(c.f.at_alice.packet->transport, T_TCP);
	bob_hangs_up(&c, again.source);
	client_end(&c);
}

/* Her connection is gone, and she has not come back: whoever asks for her hears that she is not there, not that a server failed. Her call
 * is not over: she may come back. */
static void a_dead_flow(void **state)
{
	struct words again = as_written;
	struct client c;

	(void)state;
	client_begin(&c, FLOW_ONE);
	c.listener = EDGE_TCP;
	c.transport = "TCP";
	client_calls(&c, &as_written, &as_written);
	c.f.rig->is_refusing_streams = true;
	flow_bob_says(&c.f, "INFO", "", "");
	rig_after(c.f.rig, 10);
	rig_expect(c.f.rig, BOB, "SIP/2.0 480", &c.f.at_bob);
	assert_int_equal(rig_count(c.f.rig, FLOWS_GONE), 1);
	c.f.rig->is_refusing_streams = false;
	again.source = "192.0.2.10:52000";
	client_reaches(&c, "INFO", &again);
	bob_reaches(&c, again.source, INNER);
	bob_hangs_up(&c, again.source);
	client_end(&c);
	client_begin(&c, FLOW_ONE); /* UDP: her NAT says so */
	client_calls(&c, &as_written, &as_written);
	flow_bob_says(&c.f, "INFO", "", "");
	rig_after(c.f.rig, 1);
	rig_refuse_last(c.f.rig, NATTED, ECONNREFUSED);
	rig_expect(c.f.rig, BOB, "SIP/2.0 480", &c.f.at_bob);
	rig_forget(c.f.rig, NATTED);
	bob_hangs_up(&c, NATTED);
	client_end(&c);
}

static uint64_t signs(struct rig *r, enum nat_sign which)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += counter_get(b2bua_nat_counters(r->workers[i].calls), which);
	return n;
}

/* Those who register are counted by what tells of their NAT, once each: not when they come again, and not whom we trust. */
static void who_comes_from_behind_a_nat_is_counted(void **state)
{
	static const struct { const char *via, *contact; unsigned signs; } of[] = {
		{ "192.168.1.2:5060;rport", INNER, 1 << NAT_VIA_HOST | 1 << NAT_VIA_PORT | 1 << NAT_CONTACT_PRIVATE | 1 << NAT_CONTACT_HOST },
		{ "192.0.2.10:41234", "sip:alice@192.0.2.10:41234", 0 },
		{ "192.0.2.10:41234", "sip:alice@x.invalid;transport=ws", 1 << NAT_CONTACT_INVALID | 1 << NAT_CONTACT_TRANSPORT },
	};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof(of) / sizeof(*of); i++) {
		const char *trust = i % 2 ? "    trust: \"192.0.2.10\"\n" : "";
		char yaml[1024];
		struct got got = { 0 };
		struct rig *r;

		snprintf(yaml, sizeof(yaml), "node: test\nzones:\n  public:\n    listen: \"udp:203.0.113.10:5060\"\n%s"
		         "routes: [{ when: { method: REGISTER }, to: registrar }]\npools: {}\n"
		         "registrar: { example.com: { auth: none, expires: { jitter: 0 } } }\n", trust);
		r = rig_new(yaml, 2, 1);
		for (unsigned cseq = 1; cseq <= 2; cseq++) {
			rig_say(r, NATTED, EDGE, "", "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\nMax-Forwards: 70\n"
			        "From: <sip:alice@example.com>;tag=r\nTo: <sip:alice@example.com>\nCall-ID: r\nCSeq: %u REGISTER\nContact: <%s>\n",
			        of[i / 2].via, cseq, cseq, of[i / 2].contact);
			rig_expect(r, NATTED, "SIP/2.0 200", &got);
			for (unsigned k = 0; k < NAT_SIGNS; k++)
				assert_int_equal(signs(r, k), i % 2 ? 0 : of[i / 2].signs >> k & 1);
		}
		got_free(&got);
		rig_after(r, 3600 * 1000 + 1);
		rig_forget(r, NATTED);
		rig_free(r, true);
	}
}

/* A proxy in the zone of untrusted clients, its words true: the dialog goes where its Record-Route leads. */
static void a_proxy_is_reached_by_its_routes(void **state)
{
	static const struct { const char *via, *route, *at; } of[] = {
		{ "192.0.2.10:41234", "sip:192.0.2.10:41234;lr", NATTED },
		{ "192.0.2.10:41234", "sip:192.0.2.99:5070;lr", "192.0.2.99:5070" },
		{ "192.0.2.10:41234;rport", "sip:192.168.1.2;lr", NATTED },   /* leads nowhere */
		{ "192.168.1.2;rport", "sip:192.0.2.99:5070;lr", NATTED },    /* does not know where it is: why should it know this */
		{ "192.0.2.10:41234", "sip:198.51.100.21:5060;lr", NATTED },  /* a server of ours */
		{ "192.0.2.10:41234", "sip:198.51.100.33:5060;lr", NATTED },  /* somebody we trust */
		{ "192.0.2.10:41234", "sip:203.0.113.10:5060;lr", NATTED },   /* us */
	};
	static const char yaml[] =
		"node: test\nzones:\n  public:\n    listen: \"udp:203.0.113.10:5060\"\n    domains: example.com\n"
		"  core:\n    listen: \"udp:10.0.0.10:5060\"\n    trust: [\"10.0.0.0/24\", \"198.51.100.32/28\"]\n"
		"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] }, "
		"other: { zone: core, probe: off, destinations: [{ name: x, uri: \"sip:198.51.100.21:5060\" }] } }\n" FLOW_ROUTES;

	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct words proxied = as_written;
		char lines[128];
		struct client c;

		snprintf(lines, sizeof(lines), "Via: SIP/2.0/UDP 192.168.1.2;branch=z9hG4bKinner\nRecord-Route: <%s>\n", of[i].route);
		proxied.via = of[i].via;
		proxied.lines = lines;
		client_begin(&c, yaml);
		client_calls(&c, &proxied, &(struct words){ .via = of[i].via });
		flow_bob_says(&c.f, "INFO", "", "");
		client_gets(&c, of[i].at, "INFO " INNER " SIP/2.0");
		assert_true(got_has(&c.f.at_alice, of[i].route)); /* the route set stays */
		client_answers(&c, 200, of[i].at);
		rig_expect(c.f.rig, BOB, "SIP/2.0 200", &c.f.at_bob);
		bob_hangs_up(&c, of[i].at);
		client_end(&c);
	}
}

/* `nat` of a zone says otherwise. */
static void a_zone_may_say_otherwise(void **state)
{
	static const char yaml[] =
		"node: test\nzones:\n  public:\n    listen: \"udp:203.0.113.10:5060\"\n    domains: example.com\n    nat: %s\n%s"
		"  core:\n    listen: \"udp:10.0.0.10:5060\"\n    trust: \"10.0.0.0/24\"\n"
		"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" FLOW_ROUTES;
	static const struct { const char *nat, *trust, *at; } of[] = {
		{ "auto", "", NATTED }, { "always", "", NATTED }, { "never", "", "192.168.1.2:5060" },
		{ "auto", "    trust: \"192.0.2.10\"\n", "192.168.1.2:5060" }, { "always", "    trust: \"192.0.2.10\"\n", NATTED },
		{ "never", "    trust: \"192.0.2.10\"\n", "192.168.1.2:5060" },
	};
	char text[1024];

	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct client c;

		snprintf(text, sizeof(text), yaml, of[i].nat, of[i].trust);
		client_begin(&c, text);
		client_calls(&c, &as_written, &as_written);
		bob_reaches(&c, of[i].at, INNER);
		bob_hangs_up(&c, of[i].at);
		client_end(&c);
	}
}

/* A destination behind a NAT of its own, in a zone where nobody is trusted: the ACK and what follows go where the INVITE went. */
static void a_destination_behind_a_nat(void **state)
{
	static const struct { const char *contact, *lines, *at; } of[] = {
		{ "<sip:bob@192.168.7.7:5060>", "", "192.0.2.30:5060" }, { "<sip:bob@a.invalid>", "", "192.0.2.30:5060" },
		{ "<sip:bob@192.0.2.31:5062>", "", "192.0.2.31:5062" }, /* a better place: believed */
		{ "<sip:bob@192.0.2.31>", "Record-Route: <sip:10.9.9.9;lr>\n", "192.0.2.30:5060" },
		{ "<sip:bob@10.9.9.9>", "Record-Route: <sip:192.0.2.31:5062;lr>\n", "192.0.2.31:5062" },
	};
	static const char yaml[] =
		"node: test\nzones:\n  public:\n    listen: \"udp:203.0.113.10:5060\"\n    domains: example.com\n"
		"  core:\n    listen: \"udp:10.0.0.10:5060\"\n    trust: \"10.0.0.0/24\"\n"
		"pools: { out: { zone: public, probe: off, destinations: [{ name: far, uri: \"sip:192.0.2.30:5060\" }] } }\n"
		"routes: [{ when: { zone: core }, to: { pool: out }, relay: true }]\n";

	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct rig *r = rig_new(yaml, 1, 1);
		struct got at_core = { 0 }, far = { 0 };
		char to[256];

		rig_say(r, BOB, CORE, SDP, "INVITE sip:x@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bK1\nMax-Forwards: 70\n"
		        "From: <sip:bob@example.com>;tag=b\nTo: <sip:x@example.com>\nCall-ID: c\nCSeq: 1 INVITE\nContact: <sip:bob@10.0.0.21>\n"
		        "Content-Type: application/sdp\n");
		rig_expect(r, BOB, "SIP/2.0 100", &at_core);
		rig_expect(r, "192.0.2.30:5060", "INVITE ", &far);
		snprintf(to, sizeof(to), "%s;tag=far", got_value(&far, HDR_TO));
		flow_answer(r, "192.0.2.30:5060", EDGE, &far, 200, to, of[i].contact, of[i].lines, "");
		rig_expect(r, BOB, "SIP/2.0 200", &at_core);
		rig_say(r, BOB, CORE, "", "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bK2\nMax-Forwards: 70\n"
		        "From: <sip:bob@example.com>;tag=b\nTo: %s\nCall-ID: c\nCSeq: 1 ACK\n", got_contact(&at_core), got_value(&at_core, HDR_TO));
		rig_expect(r, of[i].at, "ACK ", &far);
		rig_say(r, BOB, CORE, "", "BYE %s SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bK3\nMax-Forwards: 70\n"
		        "From: <sip:bob@example.com>;tag=b\nTo: %s\nCall-ID: c\nCSeq: 2 BYE\n", got_contact(&at_core), got_value(&at_core, HDR_TO));
		rig_expect(r, of[i].at, "BYE ", &far);
		flow_answer(r, of[i].at, EDGE, &far, 200, got_value(&far, HDR_TO), NULL, "", "");
		rig_expect(r, BOB, "SIP/2.0 200", &at_core);
		got_free(&at_core);
		got_free(&far);
		rig_after(r, 3600000);
		rig_free(r, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(she_is_reached_where_she_is),
		cmocka_unit_test(contacts_come_back_as_they_were),
		cmocka_unit_test(gateways_that_help),
		cmocka_unit_test(a_wrong_content_length_is_refused),
		cmocka_unit_test(another_call_id_is_another_call),
		cmocka_unit_test(a_cancel_with_another_via),
		cmocka_unit_test(her_port_changes),
		cmocka_unit_test(an_answer_from_elsewhere_moves_nothing),
		cmocka_unit_test(a_transferee_cannot_take_the_call),
		cmocka_unit_test(nor_by_a_refresh_of_the_session),
		cmocka_unit_test(a_call_to_her_contact_stays_on_her_flow),
		cmocka_unit_test(an_old_request_moves_nothing),
		cmocka_unit_test(a_stream_client_comes_back),
		cmocka_unit_test(a_dead_flow),
		cmocka_unit_test(who_comes_from_behind_a_nat_is_counted),
		cmocka_unit_test(a_proxy_is_reached_by_its_routes),
		cmocka_unit_test(a_zone_may_say_otherwise),
		cmocka_unit_test(a_destination_behind_a_nat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
