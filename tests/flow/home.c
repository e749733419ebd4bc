#include "tests/flow/home.h"
#include "registrar/registrar.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

void home_says(struct phone *p, const char *user, const char *contact, const char *extra, const char *answer)
{
	static unsigned cseq;
	struct got got = { .packet = NULL };

	cseq++;
	rig_say(p->rig, p->at, p->listener, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKreg%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:%s@example.com>;tag=reg-%s\nTo: <sip:%s@example.com>\nCall-ID: reg-%s\nCSeq: %u REGISTER\nContact: %s\n%s",
	        p->at, cseq, user, p->name, user, p->name, cseq, contact, extra);
	rig_expect(p->rig, p->at, answer, &got);
	got_free(&got);
}

void home_registers(struct phone *p, const char *user, const char *params, const char *extra)
{
	char contact[512];

	snprintf(contact, sizeof(contact), "<%s>%s", p->uri, params);
	home_says(p, user, contact, extra, "SIP/2.0 200");
}

void home_end(struct rig *r)
{
	rig_after(r, 3600 * 1000 + 1);
	for (unsigned i = 0; i < r->shared.workers; i++)
		assert_int_equal(registrar_bindings(r->workers[i].registrar), 0);
	rig_free(r, true);
}
