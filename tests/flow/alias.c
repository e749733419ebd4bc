/* tests/flow/alias.c - RFC 5923: whose connection is used for requests to where it says it listens. What becomes of it then:
 * tests/unit/transports/tcp.c. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define PEER "10.0.0.21:40000"

static void is_told(const char *from, const char *listener, const char *via, uint16_t port)
{
	struct rig *r = rig_new(FLOW_ONE, 2, 1);

	rig_say(r, from, listener, "",
	        "OPTIONS sip:%s SIP/2.0\nVia: SIP/2.0/%s;branch=z9hG4bKx\nMax-Forwards: 70\nFrom: <sip:peer@example.com>;tag=p\n"
	        "To: <sip:%s>\nCall-ID: alias\nCSeq: 1 OPTIONS\n", listener + 4, via, listener + 4);
	rig_after(r, 0);
	assert_int_equal(rig_forget(r, from), 1);
	assert_int_equal(r->alias_port, port);
	rig_free(r, true);
}

static void a_trusted_server_says_where_it_listens(void **state)
{
	(void)state;
	is_told(PEER, CORE_TCP, "TCP 10.0.0.21:5070;alias", 5070);
	is_told(PEER, CORE_TCP, "TCP 10.0.0.21;rport;ALIAS", 5060);
}

static void nobody_else_is_believed(void **state)
{
	(void)state;
	is_told(PEER, CORE_TCP, "TCP 10.0.0.21:5070", 0);
	is_told(PEER, CORE_TCP, "TCP 10.0.0.21:5070;noalias", 0);
	is_told(PEER, CORE_TCP, "TCP 10.0.0.22:5070;alias", 0);            /* another's address */
	is_told(PEER, CORE_TCP, "TCP core.example.com:5070;alias", 0);     /* perhaps another's */
	is_told("192.0.2.10:40000", EDGE_TCP, "TCP 192.0.2.10:5060;alias", 0); /* nobody we trust */
	is_told("10.0.0.21:40000", CORE, "UDP 10.0.0.21:5060;alias", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trusted_server_says_where_it_listens),
		cmocka_unit_test(nobody_else_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
