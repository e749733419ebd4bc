/* Each allocation fails in turn while phones register, refresh, replace and remove contacts, over datagrams and connections, and while
 * another node takes them over. Whatever fails: nothing crashes, a REGISTER that is refused has changed nothing, and when everything has
 * expired nothing is left. */
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include "registrar/record.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define YAML \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }]\n" \
	"registrar: { example.com: { auth: none, max-contacts: 3, when-full: replace-oldest, expires: { jitter: 0 } } }\n"

struct phone {
	struct rig *rig;
	unsigned cseq, held; /* held: contacts as the last 200 has them */
};

static unsigned contacts(const struct got *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->v.n; i++)
		n += g->v.h[i].id == HDR_CONTACT;
	return n;
}

static size_t bindings(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

static void says(struct phone *p, const char *to, const char *lines)
{
	struct got got = { 0 };
	size_t before = bindings(p->rig);

	p->cseq++;
	rig_say(p->rig, ALICE, to, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK%u\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=a\nTo: <sip:alice@example.com>\nCall-ID: one\nCSeq: %u REGISTER\n%s", p->cseq, p->cseq,
	        lines);
	if (rig_take(p->rig, ALICE, "SIP/2.0 200", &got))
		assert_int_equal(contacts(&got), bindings(p->rig));
	else if (rig_take(p->rig, ALICE, "SIP/2.0 503", &got))
		assert_int_equal(before, bindings(p->rig));
	rig_forget(p->rig, ALICE);
	got_free(&got);
}

static void live(struct phone *p)
{
	says(p, EDGE, "Contact: <sip:1@192.0.2.10>, <sip:2@192.0.2.10>\n");
	says(p, EDGE, "Contact: <sip:1@192.0.2.10>;audio, <sip:3@192.0.2.10>, <sip:4@192.0.2.10>\n");
	says(p, EDGE_TCP, "Supported: path, outbound\nPath: <sip:p.example.net;lr;ob>\n"
	                  "Contact: <sip:1@192.0.2.10>, <sip:5@192.0.2.10;transport=tcp>;reg-id=1;+sip.instance=\"<urn:x:1>\"\n");
	if (rig_flow_of(p->rig, ALICE))
		rig_close(p->rig, ALICE);
	says(p, EDGE, "Contact: <sip:3@192.0.2.10>;expires=0, <sip:1@192.0.2.10>;q=0.5\n");
}

struct record {
	struct registrar_sink sink;
	char *bytes;
	size_t len;
};

static void keep(struct registrar_sink *sink, uint64_t key, struct sv bytes)
{
	struct record *r = owner_of(sink, struct record, sink);

	(void)key;
	if (r->bytes)
		return;
	r->bytes = malloc(bytes.len);
	assert_non_null(r->bytes);
	memcpy(r->bytes, bytes.p, bytes.len);
	r->len = bytes.len;
}

static void ends(struct rig *r)
{
	rig_after(r, 3600 * 1000 + 20000);
	assert_int_equal(bindings(r), 0);
	rig_free(r, false);
}

static void every_allocation_may_fail(void **state)
{
	unsigned n = 1;

	(void)state;
	for (bool has_failed = true; has_failed; n++) {
		struct phone p = { .rig = rig_new(YAML, 2, n) };

		p.rig->has_flows = true;
		oom_arm(n, 0);
		live(&p);
		has_failed = oom_disarm();
		live(&p); /* with memory again */
		ends(p.rig);
	}
	printf("register: %u allocations\n", n - 2);
	assert_true(n > 20);
}

static void another_node_runs_out_of_memory(void **state)
{
	struct phone p = { .rig = rig_new(YAML, 1, 1) };
	struct record record = { .sink = { keep } };
	unsigned n = 1;

	(void)state;
	says(&p, EDGE, "Contact: <sip:1@192.0.2.10>, <sip:2@192.0.2.10>, <sip:3@192.0.2.10>\n");
	assert_int_equal(registrar_export(p.rig->workers[0].registrar, p.rig->conf, &record.sink), 0);
	for (bool has_failed = true; has_failed; n++) {
		struct rig *r = rig_new(YAML, 1, 1);
		int err;

		oom_arm(n, 0);
		err = registrar_apply(r->workers[0].registrar, r->conf, (struct sv){ record.bytes, record.len });
		has_failed = oom_disarm();
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(bindings(r), err ? 0 : 3);
		if (err)
			assert_int_equal(rig_in_use(r), 0);
		ends(r);
	}
	printf("apply: %u allocations\n", n - 2);
	assert_true(n > 5);
	free(record.bytes);
	ends(p.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(another_node_runs_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
