#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

void flow_begin(struct flow *f, const char *yaml, unsigned workers, uint64_t seed)
{
	*f = (struct flow){ .rig = rig_new(yaml, workers, seed), .bob = BOB, .alice_cseq = 1, .bob_cseq = 100 };
}

void flow_end(struct flow *f)
{
	got_free(&f->at_alice);
	got_free(&f->at_bob);
	rig_after(f->rig, 3600000);
	rig_forget(f->rig, ALICE);
	rig_free(f->rig, true);
}

void flow_alice_calls(struct flow *f, const char *extra, const char *body)
{
	rig_say(f->rig, ALICE, EDGE, body,
	        "INVITE sip:bob@example.com SIP/2.0\n"
	        "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv%u;rport\n"
	        "Max-Forwards: 70\nFrom: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\n"
	        "Call-ID: alice-call@192.0.2.10\nCSeq: %u INVITE\nContact: <sip:alice@192.0.2.10:5060>\n"
	        "User-Agent: Phone 1.0\nAllow: INVITE, ACK, BYE, CANCEL\n%s%s",
	        f->alice_cseq, f->alice_cseq, *body ? "Content-Type: application/sdp\n" : "", extra);
}

static void to_invite(struct flow *f, const char *method, const char *to)
{
	rig_say(f->rig, ALICE, EDGE, "",
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKinv%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u %s\n",
	        method, f->alice_cseq, to, f->alice_cseq, method);
}

void flow_cancel(struct flow *f)
{
	to_invite(f, "CANCEL", "<sip:bob@example.com>");
}

void flow_refused(struct flow *f)
{
	to_invite(f, "ACK", got_value(&f->at_alice, HDR_TO));
}

void flow_invite(struct flow *f, const char *bob)
{
	f->bob = bob;
	flow_alice_calls(f, "", SDP);
	rig_expect(f->rig, ALICE, "SIP/2.0 100", &f->at_alice);
	flow_expect_at_bob(f, "INVITE ");
}

static void copy(char *to, size_t size, const char *from)
{
	assert_true(strlen(from) < size);
	strcpy(to, from);
}

void flow_expect_at_alice(struct flow *f, const char *start)
{
	rig_expect(f->rig, ALICE, start, &f->at_alice);
	if (f->at_alice.v.status > 100 && *got_tag(&f->at_alice, HDR_TO)) {
		copy(f->near_to, sizeof(f->near_to), got_value(&f->at_alice, HDR_TO));
		if (*got_contact(&f->at_alice))
			copy(f->near_contact, sizeof(f->near_contact), got_contact(&f->at_alice));
	}
}

void flow_expect_at_bob(struct flow *f, const char *start)
{
	rig_expect(f->rig, f->bob, start, &f->at_bob);
	if (f->at_bob.v.method != M_INVITE || f->at_bob.v.status)
		return;
	copy(f->far_from, sizeof(f->far_from), got_value(&f->at_bob, HDR_FROM));
	snprintf(f->far_to, sizeof(f->far_to), "%s;tag=%s", got_value(&f->at_bob, HDR_TO), f->bob_tag ? f->bob_tag : "bob");
	if (*got_tag(&f->at_bob, HDR_TO))
		copy(f->far_to, sizeof(f->far_to), got_value(&f->at_bob, HDR_TO));
	copy(f->far_call_id, sizeof(f->far_call_id), got_value(&f->at_bob, HDR_CALL_ID));
	copy(f->far_contact, sizeof(f->far_contact), got_contact(&f->at_bob));
}

void flow_answer(struct rig *r, const char *who, const char *listener, const struct got *g, unsigned status, const char *to,
                 const char *contact, const char *extra, const char *body)
{
	char vias[2048] = "";

	for (unsigned i = 0; i < g->v.n; i++)
		if (g->v.h[i].id == HDR_VIA)
			snprintf(vias + strlen(vias), sizeof(vias) - strlen(vias), "Via: %.*s\n", SV_ARG(hdr_value(&g->v, &g->v.h[i])));
	rig_say(r, who, listener, body, "SIP/2.0 %u %s\n%sFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\n%s%s%s%s", status,
	        status_phrase(status), vias, got_value(g, HDR_FROM), to, got_value(g, HDR_CALL_ID), got_value(g, HDR_CSEQ),
	        contact ? "Contact: " : "", contact ? contact : "", contact ? "\n" : "", extra);
}

void flow_bob_answers(struct flow *f, unsigned status, const char *extra, const char *body)
{
	char contact[128], to[512];

	snprintf(contact, sizeof(contact), "<sip:bob@%s>", f->bob);
	snprintf(to, sizeof(to), "%s%s%s", got_value(&f->at_bob, HDR_TO), *got_tag(&f->at_bob, HDR_TO) ? "" : ";tag=",
	         *got_tag(&f->at_bob, HDR_TO) ? "" : f->bob_tag ? f->bob_tag : "bob");
	flow_answer(f->rig, f->bob, CORE, &f->at_bob, status, status == 100 ? got_value(&f->at_bob, HDR_TO) : to,
	            status <= 100 || status >= 300 ? NULL : f->bob_contact ? f->bob_contact : contact, extra, body);
}

void flow_alice_answers(struct flow *f, unsigned status, const char *extra, const char *body)
{
	flow_answer(f->rig, ALICE, EDGE, &f->at_alice, status, got_value(&f->at_alice, HDR_TO),
	            status > 100 && status < 300 ? "<sip:alice@192.0.2.10:5060>" : NULL, extra, body);
}

void flow_ack(struct flow *f)
{
	rig_say(f->rig, ALICE, EDGE, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKack%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u ACK\n",
	        f->near_contact, f->alice_cseq, f->near_to, f->alice_cseq);
	flow_expect_at_bob(f, "ACK ");
}

void flow_answered(struct flow *f, const char *yaml, unsigned workers, uint64_t seed)
{
	flow_begin(f, yaml, workers, seed);
	flow_invite(f, BOB);
	flow_bob_answers(f, 180, "", "");
	flow_expect_at_alice(f, "SIP/2.0 180");
	flow_bob_answers(f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_ack(f);
}

void flow_alice_says(struct flow *f, const char *method, const char *extra, const char *body)
{
	f->alice_cseq++;
	rig_say(f->rig, ALICE, EDGE, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%s%u;rport\nMax-Forwards: 70\n"
	        "From: \"Alice\" <sip:alice@example.com>;tag=alice\nTo: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: %u %s\n%s",
	        method, f->near_contact, method, f->alice_cseq, f->near_to, f->alice_cseq, method, extra);
}

void flow_bob_says(struct flow *f, const char *method, const char *extra, const char *body)
{
	f->bob_cseq++;
	rig_say(f->rig, f->bob, CORE, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKb%s%u\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\n"
	        "CSeq: %u %s\n%s",
	        method, f->far_contact, f->bob, method, f->bob_cseq, f->far_to, f->far_from, f->far_call_id, f->bob_cseq, method, extra);
}
