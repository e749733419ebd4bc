/* tests/flow/registrar.c - REGISTER to a registrar of ours (RFC 3261 §10.3, RFC 3665 §2). */
#include "tests/flow/flow.h"
#include "registrar/registrar.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define REGISTER_ROUTES "routes: [{ when: { method: REGISTER }, to: registrar }]\n"
#define POOLS "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
#define PLAIN FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"

struct client {
	struct rig *rig;
	struct got got;
	const char *from, *to, *user, *call_id;
	unsigned cseq, branch;
};

static struct client client_of(const char *yaml, unsigned workers)
{
	return (struct client){ .rig = rig_new(yaml, workers, 1), .from = ALICE, .to = EDGE, .user = "alice", .call_id = "reg-1" };
}

/* `lines`: each with its "\n". */
static void say(struct client *c, const char *uri, const char *to, const char *lines)
{
	rig_say(c->rig, c->from, c->to, "",
	        "REGISTER %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:%s@example.com>;tag=a\n"
	        "To: <%s>\nCall-ID: %s\nCSeq: %u REGISTER\n%s", uri, c->from, ++c->branch, c->user, to, c->call_id, c->cseq, lines);
}

static void registers(struct client *c, const char *lines, const char *answer)
{
	char to[128];

	snprintf(to, sizeof(to), "sip:%s@example.com", c->user);
	c->cseq++;
	say(c, "sip:example.com", to, lines);
	rig_expect(c->rig, c->from, answer, &c->got);
}

static size_t bindings(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

/* Whatever was registered expires. */
static void end(struct client *c)
{
	got_free(&c->got);
	rig_after(c->rig, 3600 * 1000 + 1);
	assert_int_equal(bindings(c->rig), 0);
	rig_free(c->rig, true);
}

static void a_new_binding_is_answered_with_what_was_granted(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10:5060>\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10:5060>;expires=3600");
	assert_string_equal(got_value(&c.got, HDR_DATE), "Tue, 14 Nov 2023 22:30:00 GMT");
	assert_string_not_equal(got_tag(&c.got, HDR_TO), "");
	assert_int_equal(bindings(c.rig), 1);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_binding_is_answered_with_what_was_granted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
