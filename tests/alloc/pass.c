/* Each allocation fails in turn while a phone registers at a registrar behind us, refreshes, is asked for by it and leaves. Whatever
 * fails: nothing crashes, and when everything has expired nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define YAML \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER, caller: any }, to: registrar }, { when: { zone: public }, to: { pool: apps } }]\n" \
	"registrar: { example.com: { mode: front, pool: apps, contact: path } }\n"

struct phone {
	struct rig *rig;
	unsigned cseq;
};

/* Whoever hears something answers 200; the registrar grants what it was asked for. */
static void others_answer(struct phone *p)
{
	struct got g = { 0 };

	if (rig_take(p->rig, BOB, "REGISTER", &g))
		flow_answer(p->rig, BOB, CORE, &g, 200, "<sip:alice@example.com>;tag=b", got_value(&g, HDR_CONTACT),
		            "Service-Route: <sip:s@10.0.0.77;lr>\n", "");
	else if (rig_take(p->rig, BOB, "MESSAGE", &g))
		flow_answer(p->rig, BOB, CORE, &g, 200, "<sip:bob@example.com>;tag=b", NULL, "", "");
	got_free(&g);
	rig_forget(p->rig, ALICE);
}

static void says(struct phone *p, const char *method, const char *uri, const char *lines)
{
	p->cseq++;
	rig_say(p->rig, ALICE, EDGE, "",
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=a\nTo: <sip:alice@example.com>\nCall-ID: one\nCSeq: %u %s\n%s", method, uri, p->cseq, p->cseq,
	        method, lines);
	others_answer(p);
}

/* The registrar uses the Path it has of her, if it has one. */
static void is_asked_for(struct phone *p)
{
	char route[160] = "", *stop;
	struct got g = { 0 };

	p->cseq++;
	rig_say(p->rig, ALICE, EDGE, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=a\nTo: <sip:alice@example.com>\nCall-ID: two\nCSeq: %u REGISTER\n"
	        "Contact: <sip:1@192.0.2.10>\n", p->cseq, p->cseq);
	if (rig_take(p->rig, BOB, "REGISTER", &g)) {
		snprintf(route, sizeof(route), "%s", got_value(&g, HDR_PATH));
		flow_answer(p->rig, BOB, CORE, &g, 200, "<sip:alice@example.com>;tag=b", "<sip:1@192.0.2.10>;expires=3600", "", "");
	}
	got_free(&g);
	if ((stop = strchr(route, '>')))
		rig_say(p->rig, BOB, CORE, "",
		        "OPTIONS sip:1@192.0.2.10 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKb%u\nMax-Forwards: 70\nRoute: %.*s>\n"
		        "From: <sip:bob@example.com>;tag=b\nTo: <sip:alice@example.com>\nCall-ID: b%u\nCSeq: 1 OPTIONS\n", p->cseq,
		        (int)(stop - route), route, p->cseq);
	rig_forget(p->rig, ALICE);
	rig_forget(p->rig, BOB);
}

static void live(struct phone *p)
{
	says(p, "REGISTER", "sip:example.com", "Contact: <sip:1@192.0.2.10>, <sip:2@192.0.2.10>;q=0.5\n");
	says(p, "REGISTER", "sip:example.com", "Contact: <sip:1@192.0.2.10>\nPath: <sip:p.example.net;lr>\n");
	says(p, "REGISTER", "sip:example.com", "Contact: <sip:1@192.0.2.10>\nPath: <sip:p.example.net;lr>\n");
	says(p, "MESSAGE", "sip:carol@example.com", "");
	is_asked_for(p);
	says(p, "REGISTER", "sip:example.com", "Contact: *\nExpires: 0\n");
}

static void every_allocation_may_fail(void **state)
{
	unsigned n = 1;

	(void)state;
	for (bool has_failed = true; has_failed; n++) {
		struct phone p = { .rig = rig_new(YAML, 2, n) };

		oom_arm(n, 0);
		live(&p);
		has_failed = oom_disarm();
		live(&p); /* with memory again */
		rig_after(p.rig, 86400 * 1000);
		rig_forget(p.rig, BOB);
		rig_forget(p.rig, ALICE);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(registrar_bindings(p.rig->workers[i].registrar), 0);
		rig_free(p.rig, false);
	}
	printf("pass: %u allocations\n", n - 2);
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
