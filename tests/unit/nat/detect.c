/* Unit tests of nat/detect.h: each sign by itself, what is none, and whom requests follow. */
#include "nat/detect.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(text)), 0);
	return a;
}

/* A request with these Vias, Contact and Record-Route (whole lines) and body, from `source`. */
static struct view *request(struct path *from, const char *source, uint8_t transport, const char *lines, const char *body)
{
	static char text[2048];
	static struct view v;
	struct view_fault fault;
	int n = snprintf(text, sizeof(text) - BUF_PAD, "INVITE sip:b@example.com SIP/2.0\r\n%sMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\n"
	                 "To: <sip:b@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: %zu\r\n\r\n%s", lines, strlen(body), body);

	assert_in_range(n, 1, (int)sizeof(text) - BUF_PAD - 1);
	memset(text + n, 0, BUF_PAD);
	assert_int_equal(view_scan(&v, text, (size_t)n, false, &fault), 0);
	*from = (struct path){ .remote = addr(source), .transport = transport };
	return &v;
}

#define VIA(by) "Via: SIP/2.0/UDP " by ";branch=z9hG4bK1\r\n"
#define CONTACT(uri) "Contact: <" uri ">\r\n"
#define INNER VIA("192.168.1.2")
#define ROUTE(uri) "Record-Route: <" uri ">\r\n"

static void private_addresses(void **state)
{
	static const struct { const char *text; bool is_private; } of[] = {
		{ "10.0.0.0", true }, { "10.255.255.255", true }, { "9.255.255.255", false }, { "11.0.0.0", false },
		{ "172.16.0.0", true }, { "172.31.255.255", true }, { "172.15.255.255", false }, { "172.32.0.0", false },
		{ "192.168.0.0", true }, { "192.168.255.255", true }, { "192.167.255.255", false }, { "192.169.0.0", false },
		{ "100.64.0.0", true }, { "100.127.255.255", true }, { "100.63.255.255", false }, { "100.128.0.0", false },
		{ "169.254.0.1", true }, { "169.253.0.1", false }, { "127.0.0.1", true }, { "128.0.0.1", false }, { "0.0.0.0", true },
		{ "192.0.2.1", false }, { "fc00::1", true }, { "fdff::1", true }, { "fbff::1", false }, { "fe00::1", false },
		{ "fe80::1", true }, { "febf::1", true }, { "fec0::1", false }, { "::1", true }, { "::2", false }, { "::", true },
		{ "2001:db8::1", false }, { "::ffff:10.0.0.1", true },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct addr a = addr(of[i].text);

		if (nat_is_private(&a) != of[i].is_private)
			fail_msg("%s is %sprivate", of[i].text, of[i].is_private ? "" : "not ");
	}
}

static void each_sign(void **state)
{
	static const struct { const char *source; uint8_t transport; const char *lines, *body; unsigned signs; } of[] = {
		/* nothing to see */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.1"), "v=0\r\nc=IN IP4 192.0.2.1\r\n", 0 },
		{ "192.0.2.1:7777", T_UDP, VIA("192.0.2.1:7777;rport") CONTACT("sip:a@192.0.2.1:7777;transport=UDP"), "", 0 },
		{ "192.0.2.1:7777", T_TCP, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.1;transport=tcp"), "", 0 }, /* it listens elsewhere */
		{ "[2001:db8::1]:5060", T_UDP, VIA("[2001:DB8:0::1]") CONTACT("sip:a@[2001:db8::0:1]"), "", 0 },
		{ "10.0.0.5:5060", T_UDP, VIA("10.0.0.5") CONTACT("sip:a@10.0.0.5"), "v=0\r\nc=IN IP4 10.0.0.5\r\n", 0 }, /* no NAT inside */
		{ "192.0.2.1:5060", T_UDP, VIA("phone.example.com") CONTACT("sip:a@phone.example.com"), "", 0 }, /* names prove nothing */
		/* one thing each */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.2"), "", 1 << NAT_VIA_HOST },
		{ "192.0.2.1:5060", T_UDP, VIA("x2.Invalid"), "", 1 << NAT_VIA_HOST },
		{ "192.0.2.1:7777", T_UDP, VIA("192.0.2.1"), "", 1 << NAT_VIA_PORT },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1:5062"), "", 1 << NAT_VIA_PORT },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@192.168.1.2"), "", 1 << NAT_CONTACT_PRIVATE | 1 << NAT_CONTACT_HOST },
		{ "10.0.0.5:5060", T_UDP, VIA("10.0.0.5") CONTACT("sip:a@192.168.1.2"), "", 1 << NAT_CONTACT_HOST },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.2"), "", 1 << NAT_CONTACT_HOST },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.1:5070"), "", 1 << NAT_CONTACT_PORT },
		{ "192.0.2.1:7777", T_UDP, VIA("192.0.2.1:7777") CONTACT("sip:a@192.0.2.1"), "", 1 << NAT_CONTACT_PORT },
		{ "192.0.2.1:4444", T_WS, VIA("192.0.2.1") CONTACT("sip:a@df7jal23ls0d.invalid;transport=ws"), "", 1 << NAT_CONTACT_INVALID },
		{ "192.0.2.1:4444", T_WSS, VIA("192.0.2.1") CONTACT("sip:a@df7jal23ls0d.invalid.;transport=ws"), "", 1 << NAT_CONTACT_INVALID },
		{ "192.0.2.1:4444", T_WS, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.1;transport=wss"), "", 1 << NAT_CONTACT_TRANSPORT },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.1;transport=tcp"), "", 1 << NAT_CONTACT_TRANSPORT },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1"), "v=0\r\nc=IN IP4 192.168.1.2/127\r\nt=0 0\r\n", 1 << NAT_SDP_PRIVATE },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1"), "v=0\r\nc=IN IP4 10.1.2.3", 1 << NAT_SDP_PRIVATE },
		{ "[2001:db8::1]:5060", T_UDP, VIA("[2001:db8::1]"), "v=0\nc=IN IP6 fe80::1\n", 1 << NAT_SDP_PRIVATE },
		/* and what is no sign */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1"), "v=0\r\nc=IN IP4 0.0.0.0\r\n", 0 }, /* on hold */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1"), "v=0\r\nc=IN IP4", 0 },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1"), "v=0\r\nc=IN IP4 ", 0 },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1"), "v=0\r\nc=IN IP4 nowhere\r\n", 0 },
		{ "10.0.0.5:5060", T_UDP, VIA("10.0.0.5"), "v=0\r\nc=IN IP4 192.168.1.2\r\n", 0 },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("tel:+4930"), "", 0 },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@invalid"), "", 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct path from;
		const struct view *v = request(&from, of[i].source, of[i].transport, of[i].lines, of[i].body);

		if (nat_signs(v, &from) != of[i].signs)
			fail_msg("case %u: %x is not %x\n%s%s", i, nat_signs(v, &from), of[i].signs, of[i].lines, of[i].body);
	}
}

/* Clients are where their packets come from; proxies only where they prove that they are where they say. */
static void whom_requests_follow(void **state)
{
	static const struct { const char *source; uint8_t transport; const char *lines; bool is_followed; const char *route; } of[] = {
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") CONTACT("sip:a@192.0.2.1"), true, NULL }, /* no NAT, and no harm */
		{ "192.0.2.1:7777", T_UDP, VIA("192.168.1.2") CONTACT("sip:a@192.168.1.2"), true, NULL },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") VIA("192.0.2.9") CONTACT("sip:a@192.0.2.9"), true, NULL }, /* no Record-Route */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") INNER ROUTE("sip:192.0.2.1;lr"), false, "192.0.2.1" },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") INNER ROUTE("sip:198.51.100.7:5070;lr") ROUTE("sip:10.0.0.1;lr"), false, "198.51.100.7" },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") ROUTE("sip:192.0.2.9;lr"), true, NULL }, /* who says that it is one? */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1, SIP/2.0/UDP 10.0.0.9") ROUTE("sip:192.0.2.1;lr"), false, "192.0.2.1" },
		{ "192.0.2.1:33333", T_TCP, VIA("192.0.2.1") INNER ROUTE("sip:192.0.2.1;transport=tcp;lr"), false, "192.0.2.1" },
		{ "10.0.0.5:5060", T_UDP, VIA("10.0.0.5") INNER ROUTE("sip:10.0.0.6;lr"), false, "10.0.0.6" },
		{ "192.0.2.1:7777", T_UDP, VIA("192.0.2.1") INNER ROUTE("sip:192.0.2.1;lr"), true, NULL }, /* its Via has another port */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.2") INNER ROUTE("sip:192.0.2.2;lr"), true, NULL }, /* another address */
		{ "192.0.2.1:5060", T_UDP, VIA("proxy.example.com") INNER ROUTE("sip:192.0.2.1;lr"), true, NULL }, /* a name proves nothing */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") INNER ROUTE("sip:proxy.example.com;lr"), true, NULL },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") INNER ROUTE("sip:10.0.0.21;lr"), true, NULL }, /* nothing is there for us */
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") INNER ROUTE("sip:x.invalid;lr"), true, NULL },
		{ "192.0.2.1:5060", T_UDP, VIA("192.0.2.1") INNER ROUTE("tel:+49"), true, NULL },
	};
	struct addr none = { .family = 0 };
	struct path browser;
	const struct view *b = request(&browser, "192.0.2.1:4444", T_WSS, VIA("x.invalid") CONTACT("sip:a@x.invalid;transport=ws"), "");

	(void)state;
	assert_true(nat_follows(NAT_AUTO, true, b, &browser, &none)); /* where else? */
	for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct addr route = { .family = 0 }, expected = { .family = 0 };
		struct path from;
		const struct view *v = request(&from, of[i].source, of[i].transport, of[i].lines, "");

		if (of[i].route)
			expected = addr(of[i].route);
		if (nat_follows(NAT_AUTO, false, v, &from, &route) != of[i].is_followed || !addr_eq(&route, &expected))
			fail_msg("case %u: %s", i, of[i].lines);
		assert_false(nat_follows(NAT_AUTO, true, v, &from, &route));
		assert_true(nat_follows(NAT_ALWAYS, true, v, &from, &route));
		assert_false(nat_follows(NAT_NEVER, false, v, &from, &route));
	}
}

static void what_may_be_reached(void **state)
{
	struct addr outside = addr("192.0.2.1"), inside = addr("10.0.0.21");

	(void)state;
	assert_true(nat_is_reachable(SV("198.51.100.1"), &outside));
	assert_true(nat_is_reachable(SV("pbx.example.com"), &outside));
	assert_false(nat_is_reachable(SV("192.168.1.2"), &outside));
	assert_false(nat_is_reachable(SV("a.invalid"), &outside));
	assert_true(nat_is_reachable(SV("192.168.1.2"), &inside));
	assert_false(nat_is_reachable(SV("a.invalid"), &inside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_addresses),
		cmocka_unit_test(each_sign),
		cmocka_unit_test(whom_requests_follow),
		cmocka_unit_test(what_may_be_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
