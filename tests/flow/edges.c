/* Edges of the grammar and of the state machines where this program was wrong once: what is sent there is what the RFC says. */
#include "tests/flow/flow.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* RFC 3261 §12.2.1.1, §19.1.1: a strict router takes the Request-URI, and the headers of its URI have no place there. */
static void a_strict_router_with_headers(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 200, "Record-Route: <sip:10.0.0.21:5060;strict?Subject=a&Route=b>\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	assert_string_equal(got_uri(&f.at_bob), "sip:10.0.0.21:5060;strict");
	assert_string_equal(got_value(&f.at_bob, HDR_ROUTE), "<sip:bob@10.0.0.21:5060>");
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_bob(&f, "BYE sip:10.0.0.21:5060;strict SIP/2.0");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_strict_router_with_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
