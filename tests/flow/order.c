/* DECISIONS 13: messages of one source reach one call in the order they arrived, whichever workers they pass. 100,000 pairs of messages sent
 * back to back from one port: INVITE and its CANCEL, ACK and the re-INVITE behind it, ACK and BYE. Were a pair turned
 * around, the CANCEL would find nothing (481), the re-INVITE would come too early or the BYE too late; and 180, 183, 200 would not arrive
 * as Bob said them. With two, four and eight workers the kernel gives what bears a token to the call's own (sbc/steer.h), past the
 * mail that brings INVITE and CANCEL there; with three all of it is mail. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CALLS = 3000 };
#else
enum { CALLS = 60000 };
#endif
enum { PER_MS = 20, REINVITES = 2 };

/* Every third call is answered and makes three pairs; the others are cancelled. */
struct talk {
	char contact[64], to[128];      /* as Alice knows them */
	unsigned cseq, progress;        /* progress: the last of 180, 183, 200 that she has heard */
	bool is_acked, is_over;         /* as Bob knows it */
};

struct order {
	struct rig *rig;
	struct talk *talk;
	struct addr alice, bob;
	uint16_t edge, core;
	unsigned pairs, over;
};

static bool is_answered(unsigned call)
{
	return call % 3 == 0;
}

static void say(struct order *o, bool is_alice, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(struct order *o, bool is_alice, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_true(n > 0 && (size_t)n < sizeof(text));
	rig_send_bytes(o->rig, is_alice ? &o->alice : &o->bob, is_alice ? o->edge : o->core, text, (size_t)n);
}

static void alice_asks(struct order *o, unsigned call, const char *method, unsigned cseq, const char *branch)
{
	const struct talk *t = &o->talk[call];

	say(o, true,
	     "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%s%u-%u\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
	     "To: %s\r\nCall-ID: %u\r\nCSeq: %u %s\r\nContact: <sip:alice@192.0.2.10>\r\nContent-Length: 0\r\n\r\n",
	     method, *t->contact ? t->contact : "sip:bob@example.com", branch, call, cseq, *t->to ? t->to : "<sip:bob@example.com>", call,
	     cseq, method);
}

static void bob_answers(struct order *o, const struct view *v, unsigned call, unsigned status)
{
	struct sv to = view_value(v, HDR_TO);

	say(o, false,
	     "SIP/2.0 %u X\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: %.*s%s\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\nContact: <sip:%u@10.0.0.21>\r\n"
	     "Content-Length: 0\r\n\r\n",
	     status, SV_ARG(view_value(v, HDR_VIA)), SV_ARG(view_value(v, HDR_FROM)), SV_ARG(to), tag_of(to).len ? "" : ";tag=b",
	     SV_ARG(view_value(v, HDR_CALL_ID)), SV_ARG(view_value(v, HDR_CSEQ)), call);
}

/* The call's number is the Call-ID at Alice's end, and in his Contact at Bob's: the Request-URI of all but the first INVITE, which is
 * looked up by To's user. */
static void at_bob(struct order *o, const struct view *v)
{
	struct uri u;
	uint64_t call = 0;
	struct talk *t;

	assert_int_equal(uri_parse(&u, view_uri(v)), 0);
	if (v->status || sv_u64(u.user, CALLS - 1, &call)) { /* an initial INVITE, its ACK or CANCEL: by Subject */
		const struct hdr *h = view_find(v, HDR_SUBJECT, 0);

		if (!h)
			return;
		assert_int_equal(sv_u64(hdr_value(v, h), CALLS - 1, &call), 0);
	}
	t = &o->talk[call];
	if (v->method == M_ACK) {
		t->is_acked = true;
	} else if (v->method == M_INVITE && !tag_of(view_value(v, HDR_TO)).len) {
		if (is_answered((unsigned)call)) {
			bob_answers(o, v, (unsigned)call, 180);
			bob_answers(o, v, (unsigned)call, 183);
			bob_answers(o, v, (unsigned)call, 200);
		} else {
			bob_answers(o, v, (unsigned)call, 486);
		}
	} else {
		if (!t->is_acked)
			fail_msg("%s of call %lu overtook the ACK before it", method_name(v->method), (unsigned long)call);
		if (v->method == M_INVITE)
			t->is_acked = false;
		bob_answers(o, v, (unsigned)call, 200);
	}
}

static void alice_goes_on(struct order *o, unsigned call, unsigned cseq)
{
	struct talk *t = &o->talk[call];

	alice_asks(o, call, "ACK", cseq, "ack");
	alice_asks(o, call, cseq <= REINVITES ? "INVITE" : "BYE", cseq + 1, "next");
	t->cseq = cseq + 1;
	o->pairs++;
}

static void at_alice(struct order *o, const struct view *v)
{
	unsigned call = (unsigned)strtoul(view_value(v, HDR_CALL_ID).p, NULL, 10);
	struct talk *t = &o->talk[call];

	if (v->status == 481 || v->status == 500 || v->status == 491)
		fail_msg("call %u: %u to %s", call, v->status, method_name(v->method));
	if (v->method == M_BYE) {
		o->over++;
		return;
	}
	if (v->method != M_INVITE || v->status == 100)
		return;
	if (v->cseq == 1) {
		if (v->status < t->progress)
			fail_msg("call %u: %u after %u", call, v->status, t->progress);
		t->progress = v->status;
	}
	if (v->status >= 300) {
		assert_int_equal(v->status, 487);
		snprintf(t->to, sizeof(t->to), "%.*s", SV_ARG(view_value(v, HDR_TO)));
		alice_asks(o, call, "ACK", 1, "");
		o->over++;
	} else if (v->status >= 200 && v->cseq >= t->cseq) {
		struct sv contact = view_value(v, HDR_CONTACT);
		struct name_addr na;

		assert_int_equal(name_addr_next(&na, &contact), 0);
		snprintf(t->contact, sizeof(t->contact), "%.*s", SV_ARG(na.uri));
		snprintf(t->to, sizeof(t->to), "%.*s", SV_ARG(view_value(v, HDR_TO)));
		alice_goes_on(o, call, v->cseq);
	}
}

static void on_packet(void *ctx, const struct packet *p)
{
	struct view v;
	struct view_fault fault;

	assert_int_equal(view_scan(&v, p->bytes, p->len, false, &fault), 0);
	if (p->to.ip[0] == 10)
		at_bob(ctx, &v);
	else
		at_alice(ctx, &v);
}

static void call_begins(struct order *o, unsigned call)
{
	say(o, true,
	     "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u-1\r\nMax-Forwards: 70\r\n"
	     "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: %u\r\nCSeq: 1 INVITE\r\nSubject: %u\r\n"
	     "Contact: <sip:alice@192.0.2.10>\r\nContent-Length: 0\r\n\r\n",
	     call, call, call);
	if (is_answered(call))
		return;
	alice_asks(o, call, "CANCEL", 1, "");
	o->pairs++;
}

static uint64_t handed_over(struct rig *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += counter_get(&r->workers[i].counters, MESSAGES_HANDED_OVER);
	return n;
}

static void run(unsigned workers, bool is_steered)
{
	struct order o = { .rig = rig_new(FLOW_ONE, workers, 1), .talk = calloc(CALLS, sizeof(*o.talk)) };

	assert_non_null(o.talk);
	assert_int_equal(addr_parse(&o.alice, sv_from(ALICE)), 0);
	assert_int_equal(addr_parse(&o.bob, sv_from(BOB)), 0);
	o.edge = rig_listener(o.rig, EDGE);
	o.core = rig_listener(o.rig, CORE);
	o.rig->hooks = (struct rig_hooks){ .ctx = &o, .on_packet = on_packet };
	o.rig->weather.delay_ms = 1;
	for (unsigned i = 0; i < CALLS; i++) {
		call_begins(&o, i);
		if (i % PER_MS == PER_MS - 1)
			rig_after(o.rig, 1);
	}
	rig_after(o.rig, 200000);
	assert_int_equal(o.over, CALLS);
	assert_int_equal(o.pairs, CALLS / 3 * (REINVITES + 1) + CALLS - CALLS / 3);
	/* a refused call has three messages without a token: INVITE, CANCEL and ACK */
	assert_int_equal(handed_over(o.rig) <= CALLS / 3 + (CALLS - CALLS / 3) * 3, is_steered);
	free(o.talk);
	rig_free(o.rig, true);
}

static void pairs_keep_their_order_with_two_workers(void **state)
{
	(void)state;
	run(2, true);
}

static void with_four(void **state)
{
	(void)state;
	run(4, true);
}

static void with_eight(void **state)
{
	(void)state;
	run(8, true);
}

static void with_three_which_no_token_names(void **state)
{
	(void)state;
	run(3, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_keep_their_order_with_two_workers),
		cmocka_unit_test(with_four),
		cmocka_unit_test(with_eight),
		cmocka_unit_test(with_three_which_no_token_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
