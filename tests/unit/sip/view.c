/* Unit tests of sip/view.h: both scanners on every input, each fault with its reason. */
#include "base/buf.h"
#include "sip/view.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct view fast, plain;
static struct view_fault fault;
static struct buf *held;

/* Scans an exact copy with both scanners, which must agree; leaves the result in `fast` and `fault`. */
static int scan_bytes(struct sv text, bool is_stream)
{
	struct view_fault other = { 0 };
	int err, err_plain;

	buf_put(held);
	held = buf_copy(text);
	fault = (struct view_fault){ 0 };
	err = view_scan(&fast, held->data, held->len, is_stream, &fault);
	err_plain = view_scan_plain(&plain, held->data, held->len, is_stream, &other);
	assert_int_equal(err, err_plain);
	assert_int_equal(fault.status, other.status);
	assert_ptr_equal(fault.reason, other.reason);
	assert_int_equal(fault.is_answerable, other.is_answerable);
	assert_memory_equal(&fast, &plain, offsetof(struct view, h));
	assert_memory_equal(fast.h, plain.h, fast.n * sizeof(*fast.h));
	return err;
}
static int scan(const char *text)
{
	return scan_bytes(sv_from(text), false);
}

#define LINES "Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKabc;rport\r\n" \
	      "Max-Forwards: 70\r\n" \
	      "From: \"Alice\" <sip:alice@example.com>;tag=a1\r\n" \
	      "To: <sip:bob@example.com>\r\n" \
	      "Call-ID: 77@192.0.2.1\r\n"
#define CSEQ "CSeq: 4711 INVITE\r\n"
#define INVITE "INVITE sip:bob@example.com SIP/2.0\r\n" LINES CSEQ

static void assert_sv(struct sv v, const char *expected)
{
	assert_int_equal(v.len, strlen(expected));
	assert_memory_equal(v.p, expected, v.len);
}
static void assert_fault(const char *text, const char *reason, unsigned status, bool is_answerable)
{
	assert_int_equal(scan(text), -EBADMSG);
	assert_string_equal(fault.reason, reason);
	assert_int_equal(fault.status, status);
	assert_int_equal(fault.is_answerable, is_answerable);
}

static void request_is_cut(void **state)
{
	(void)state;
	assert_int_equal(scan(INVITE "Content-Length: 4\r\n\r\nbodyand more"), 0);
	assert_int_equal(fast.method, M_INVITE);
	assert_int_equal(fast.status, 0);
	assert_int_equal(fast.cseq, 4711);
	assert_int_equal(fast.n, 7);
	assert_true(fast.has_content_length);
	assert_sv(view_method(&fast), "INVITE");
	assert_sv(view_uri(&fast), "sip:bob@example.com");
	assert_sv(view_body(&fast), "body");
	assert_int_equal(fast.len, fast.body + 4);
	assert_sv(view_value(&fast, HDR_CALL_ID), "77@192.0.2.1");
	assert_sv(hdr_name(&fast, view_first(&fast, HDR_FROM)), "From");
	assert_null(view_first(&fast, HDR_CONTACT));
	assert_null(view_value(&fast, HDR_SUBJECT).p);
}

static void response_is_cut(void **state)
{
	(void)state;
	assert_int_equal(scan("SIP/2.0 486 Busy Here\r\n" LINES CSEQ "\r\n"), 0);
	assert_int_equal(fast.status, 486);
	assert_int_equal(fast.method, M_INVITE);
	assert_sv(view_method(&fast), "INVITE");
	assert_sv(view_sv(&fast, fast.phrase, fast.phrase_len), "Busy Here");
	assert_int_equal(scan("SIP/2.0 200 \r\n" LINES CSEQ "\r\n"), 0);
	assert_int_equal(fast.phrase_len, 0);
	assert_int_equal(scan("sip/2.0 200\r\n" LINES CSEQ "\r\n"), 0);
	assert_int_equal(fast.phrase_len, 0);
}

static void unusual_spelling_is_understood(void **state)
{
	(void)state;
	assert_int_equal(scan("INVITE sip:bob@example.com sip/2.0\r\n"
	                      "v:SIP / 2.0 /\r\n UDP 192.0.2.1 : 5062 ; branch = z9hG4bKabc\r\n"
	                      "FROM\t :  Alice\r\n\t<sip:alice@example.com>; tag=a1\r\n"
	                      "t: <sip:bob@example.com>\r\nI: 77@192.0.2.1\r\ncseq: 0004711\r\n  INVITE\r\n"
	                      "max-forwards:255 \r\nl:   \r\n  2\t\r\nX-Empty:\r\nX-Fold: \r\n \r\n\tb  \r\n\r\nxy"),
	                 0);
	assert_int_equal(fast.cseq, 4711);
	assert_sv(view_body(&fast), "xy");
	assert_sv(view_value(&fast, HDR_CONTENT_LENGTH), "2");
	assert_sv(hdr_value(&fast, view_find_name(&fast, SV("x-empty"), 0)), "");
	assert_sv(hdr_value(&fast, view_find_name(&fast, SV("X-FOLD"), 0)), "b");
	assert_true(fast.has_folds);
	assert_int_equal(scan("INVITE sip:b SIP/2.0\r\nX-Odd :\tb\r\n" LINES CSEQ "\r\n"), 0);
	assert_false(fast.has_folds);
}

static void first_and_next_are_found(void **state)
{
	const struct hdr *h;

	(void)state;
	assert_int_equal(scan(INVITE "Contact: <sip:a@b.c>\r\nRoute: <sip:one.example;lr>\r\nX-A: 1\r\n"
	                             "Route: <sip:two.example;lr>\r\nAllow: BYE\r\nx-a: 2\r\n\r\n"),
	                 0);
	h = view_find(&fast, HDR_ROUTE, 0);
	assert_sv(hdr_value(&fast, h), "<sip:one.example;lr>");
	h = view_find(&fast, HDR_ROUTE, (unsigned)(h - fast.h) + 1);
	assert_sv(hdr_value(&fast, h), "<sip:two.example;lr>");
	assert_null(view_find(&fast, HDR_ROUTE, (unsigned)(h - fast.h) + 1));
	assert_sv(hdr_value(&fast, view_find(&fast, HDR_ALLOW, 0)), "BYE");
	assert_null(view_find(&fast, HDR_RSEQ, 0));
	h = view_find_name(&fast, SV("X-A"), 0);
	assert_sv(hdr_value(&fast, view_find_name(&fast, SV("X-A"), (unsigned)(h - fast.h) + 1)), "2");
	assert_sv(hdr_value(&fast, view_find(&fast, HDR_OTHER, 0)), "1");
}

static void keep_alive_is_not_a_message(void **state)
{
	(void)state;
	assert_int_equal(scan(""), -EAGAIN);
	assert_int_equal(scan("\r\n\r\n"), -EAGAIN);
	assert_int_equal(scan_bytes(SV("\0\0\0\0"), false), -EAGAIN);
	assert_int_equal(scan("\r\n\r\n" INVITE "\r\n"), 0);
	assert_sv(view_uri(&fast), "sip:bob@example.com");
	assert_ptr_equal(fast.base, held->data + 4);
}

static void start_line_faults(void **state)
{
	char text[3000];

	(void)state;
	assert_fault("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "not-sip", 0, false);
	assert_fault("hello", "not-sip", 0, false);
	assert_fault("INVITE sip:bob@example.com SIP/7.0\r\n" LINES CSEQ "\r\n", "version-unsupported", 505, true);
	assert_fault("SIP/3.0 200 OK\r\n" LINES CSEQ "\r\n", "version-unsupported", 505, false);
	assert_fault("INVITE  sip:bob@example.com SIP/2.0\r\n" LINES CSEQ "\r\n", "request-uri-invalid", 400, true);
	assert_fault("INVITE sip:bob@example.com  SIP/2.0\r\n" LINES CSEQ "\r\n", "request-uri-invalid", 400, true);
	assert_fault("INVITE sip:bob@example.com SIP/2.0 \r\n" LINES CSEQ "\r\n", "start-line-invalid", 400, true);
	assert_fault("INVITE sip:bob@example.com SIP/2.0\r\n \r\n" LINES CSEQ "\r\n", "start-line-invalid", 400, true);
	assert_fault("INVITE SIP/2.0\r\n" LINES CSEQ "\r\n", "start-line-invalid", 400, true);
	assert_fault(" INVITE sip:bob@example.com SIP/2.0\r\n" LINES CSEQ "\r\n", "method-invalid", 400, true);
	assert_fault("IN(ITE sip:bob@example.com SIP/2.0\r\n" LINES CSEQ "\r\n", "method-invalid", 400, true);
	assert_fault("INVITE <sip:bob@example.com> SIP/2.0\r\n" LINES CSEQ "\r\n", "request-uri-invalid", 400, true);
	assert_fault("INVITE sip:b@e.com?a=b SIP/2.0\r\n" LINES CSEQ "\r\n", "request-uri-headers", 400, true);
	for (int i = 0; i < 33; i++) { /* wherever it stands among the bytes looked at together */
		snprintf(text, sizeof(text), "INVITE tel:+%.*s\\ SIP/2.0\r\n" LINES CSEQ "\r\n", i, "012345678901234567890123456789012");
		assert_fault(text, "request-uri-invalid", 400, true);
	}
	assert_int_equal(scan("INVITE sip:~b^|@example.com SIP/2.0\r\n" LINES CSEQ "\r\n"), 0);
	assert_fault("ACK <sip:b@e.com> SIP/2.0\r\n" LINES "CSeq: 1 ACK\r\n\r\n", "request-uri-invalid", 400, false);
	assert_fault("SIP/2.0 099 Low\r\n" LINES CSEQ "\r\n", "status-invalid", 400, false);
	assert_fault("SIP/2.0 700 High\r\n" LINES CSEQ "\r\n", "status-invalid", 400, false);
	assert_fault("SIP/2.0 2000 Long\r\n" LINES CSEQ "\r\n", "status-invalid", 400, false);
	assert_int_equal(scan("INVITE sip:a?b@example.com SIP/2.0\r\n" LINES CSEQ "\r\n"), 0);
	snprintf(text, sizeof(text), "INVITE sip:%01020d SIP/2.0\r\n%s", 1, LINES CSEQ "\r\n");
	assert_int_equal(scan(text), 0);
	snprintf(text, sizeof(text), "INVITE sip:%01021d SIP/2.0\r\n%s", 1, LINES CSEQ "\r\n");
	assert_fault(text, "request-uri-too-long", 414, true);
}

static void header_line_faults(void **state)
{
	(void)state;
	assert_fault(INVITE, "headers-unterminated", 400, true);
	assert_fault(INVITE "X: a\rb\r\n\r\n", "line-end-invalid", 400, true);
	assert_fault(INVITE "X: a\nb\r\n\r\n", "line-end-invalid", 400, true);
	assert_fault("INVITE sip:a@b.c SIP/2.0\nVia: x\n\n", "line-end-invalid", 400, false);
	assert_fault(INVITE "X: a\001b\r\n\r\n", "control-byte", 400, true);
	assert_fault(INVITE "X: \\\001b\r\n\r\n", "control-byte", 400, true);
	assert_int_equal(scan(INVITE "X: \"\\\001b\"\r\n\r\n"), 0);
	assert_int_equal(scan_bytes(SV(INVITE "X: \"\\\0b\"\r\n\r\n"), false), 0);
	assert_int_equal(scan_bytes(SV(INVITE "X: a\0b\r\n\r\n"), false), -EBADMSG);
	assert_string_equal(fault.reason, "control-byte");
	assert_fault(INVITE "no colon here\r\n\r\n", "header-line-invalid", 400, true);
	assert_fault(INVITE ": no name\r\n\r\n", "header-name-invalid", 400, true);
	assert_fault(INVITE "Bad Name: x\r\n\r\n", "header-name-invalid", 400, true);
	assert_fault(INVITE "Bad@Name: x\r\n\r\n", "header-name-invalid", 400, true);
	/* CR | 0x20 is '-': such a name must not pass for Call-ID */
	assert_fault(INVITE "Contact\r\rx: y\r\n\r\n", "line-end-invalid", 400, true);
	assert_fault("INVITE sip:b@e.com SIP/2.0\r\nCall\rID: a\r\n" LINES CSEQ "\r\n", "line-end-invalid", 400, true);
}

static void sizes_are_bounded(void **state)
{
	static char text[90000];
	size_t n = 0;

	(void)state;
	snprintf(text, sizeof(text), INVITE "%0255d: x\r\n\r\n", 1);
	assert_int_equal(scan(text), 0);
	snprintf(text, sizeof(text), INVITE "%0256d: x\r\n\r\n", 1);
	assert_fault(text, "header-name-too-long", 400, true);
	snprintf(text, sizeof(text), INVITE "X: %016381d\r\n\r\n", 1);
	assert_int_equal(scan(text), 0);
	snprintf(text, sizeof(text), INVITE "X: %016382d\r\n\r\n", 1);
	assert_fault(text, "header-line-too-long", 400, true);

	n = (size_t)snprintf(text, sizeof(text), INVITE);
	for (int i = 6; i < VIEW_HEADERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "X-%d: y\r\n", i);
	snprintf(text + n, sizeof(text) - n, "\r\n");
	assert_int_equal(scan(text), 0);
	assert_int_equal(fast.n, VIEW_HEADERS_MAX);
	snprintf(text + n, sizeof(text) - n, "One: more\r\n\r\n");
	assert_fault(text, "too-many-headers", 400, true);

	n = (size_t)snprintf(text, sizeof(text), INVITE "\r\n");
	memset(text + n, 'x', 65535 - n);
	text[65535] = '\0';
	assert_int_equal(scan(text), 0);
	text[65535] = 'x';
	assert_fault(text, "message-too-large", 513, true);
}

static void needed_headers_are_missed(void **state)
{
	static const char *const lines[] = {
		"Via: SIP/2.0/UDP 192.0.2.1\r\n",
		"From: <sip:a@b.c>;tag=1\r\n",
		"To: <sip:b@b.c>\r\n",
		"Call-ID: 1\r\n",
		"CSeq: 1 INVITE\r\n",
	};
	static const char *const reasons[] = {
		"via-missing",
		"from-missing",
		"to-missing",
		"call-id-missing",
		"cseq-missing",
	};
	char text[400];

	(void)state;
	for (int missing = 0; missing < 5; missing++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "INVITE sip:a@b.c SIP/2.0\r\n");

		for (int i = 0; i < 5; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", i == missing ? "" : lines[i]);
		snprintf(text + n, sizeof(text) - n, "\r\n");
		assert_fault(text, reasons[missing], 400, false);
	}
	assert_fault(INVITE CSEQ "\r\n", "header-repeated", 400, true);
	assert_fault(INVITE "f: <sip:a@b.c>;tag=1\r\n\r\n", "header-repeated", 400, true);
	assert_fault(INVITE "Max-Forwards: 1\r\n\r\n", "header-repeated", 400, true);
	assert_fault(INVITE "l: 0\r\nContent-Length: 0\r\n\r\n", "header-repeated", 400, true);
}

static void values_are_checked(void **state)
{
	static const struct {
		const char *id, *value, *reason;
	} cases[] = {
		{ "CSeq", "2147483648 INVITE", "cseq-out-of-range" },
		{ "CSeq", "99999999999999999999999999 INVITE", "cseq-out-of-range" },
		{ "CSeq", "1 BYE", "cseq-method-mismatch" },
		{ "CSeq", "1 invite", "cseq-method-mismatch" },
		{ "CSeq", "1INVITE", "cseq-invalid" },
		{ "CSeq", "99999999999 IN@VITE", "cseq-invalid" },
		{ "CSeq", "-1 INVITE", "cseq-invalid" },
		{ "CSeq", "1", "cseq-invalid" },
		{ "CSeq", "1 INVITE x", "cseq-invalid" },
		{ "CSeq", "", "cseq-invalid" },
		{ "Max-Forwards", "256", "max-forwards-invalid" },
		{ "Max-Forwards", "-1", "max-forwards-invalid" },
		{ "Max-Forwards", "", "max-forwards-invalid" },
		{ "Content-Length", "-1", "content-length-invalid" },
		{ "Content-Length", "1x", "content-length-invalid" },
		{ "Content-Length", "", "content-length-invalid" },
		{ "Content-Length", "5", "content-length-mismatch" },
		{ "Content-Length", "65536", "message-too-large" },
		{ "Content-Length", "18446744073709551620", "message-too-large" }, /* 4 in 64 bits */
		{ "Call-ID", "a b", "call-id-invalid" },
		{ "Call-ID", "", "call-id-invalid" },
		{ "From", "\"Open <sip:a@b.c>;tag=1", "from-invalid" },
		{ "From", "*", "from-invalid" },
		{ "From", "<sip:>;tag=1", "from-invalid" },
		{ "To", "<sip:a@b.c>, <sip:d@e.f>", "to-invalid" },
		{ "To", "<sip:a@b.c", "to-invalid" },
	};
	char text[600];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *id = cases[i].id, *value = cases[i].value;

#define LINE(name, usual) strcmp(id, name) ? name ": " usual "\r\n" : ""
		snprintf(text, sizeof(text),
		         "INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n%s%s%s%s%s: %s\r\n\r\nbody",
		         LINE("From", "<sip:a@b.c>;tag=1"),
		         LINE("To", "<sip:a@b.c>"), LINE("Call-ID", "1"),
		         LINE("CSeq", "1 INVITE"), id, value);
		assert_fault(text, cases[i].reason, 400 + 113 * !strcmp(cases[i].reason, "message-too-large"), true);
	}
	assert_int_equal(scan("INVITE sip:a@b.c SIP/2.0\r\n" LINES "CSeq: 2147483647 INVITE\r\n\r\n"), 0);
}

static void top_via_is_checked(void **state)
{
#define BEHIND_VIA "\r\nFrom: <sip:a@b.c>\r\nTo: <sip:a@b.c>\r\nCall-ID: 1\r\n" CSEQ "\r\n"
	(void)state;
	assert_int_equal(scan("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx" BEHIND_VIA), 0);
	assert_int_equal(scan("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP h" BEHIND_VIA), 0);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK" BEHIND_VIA, "via-branch-empty",
	             400, true);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=Z9HG4BK" BEHIND_VIA,
	             "via-branch-empty",
	             400, true);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP 1..2.3;rport" BEHIND_VIA, "via-invalid", 400, false);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4:0" BEHIND_VIA, "via-invalid", 400, false);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4:65536" BEHIND_VIA, "via-invalid", 400,
	             false);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0/UDP h;rport," BEHIND_VIA, "via-invalid", 400, false);
	assert_fault("INVITE sip:a@b.c SIP/2.0\r\nVia: SIP/2.0 UDP h" BEHIND_VIA, "via-invalid", 400, false);
}

static void streams_need_exact_lengths(void **state)
{
	(void)state;
	assert_int_equal(scan_bytes(SV(INVITE "Content-Length: 4\r\n\r\nbody"), true), 0);
	assert_int_equal(scan_bytes(SV(INVITE "Content-Length: 3\r\n\r\nbody"), true), -EBADMSG);
	assert_string_equal(fault.reason, "content-length-mismatch");
	assert_int_equal(scan_bytes(SV(INVITE "\r\nbody"), true), -EBADMSG);
	assert_string_equal(fault.reason, "content-length-missing");
	assert_int_equal(scan_bytes(SV(INVITE "Content-Length: 3\r\n\r\nbody"), false), 0);
	assert_sv(view_body(&fast), "bod");
	assert_int_equal(scan_bytes(SV(INVITE "\r\nbody"), false), 0);
	assert_sv(view_body(&fast), "body");
	assert_false(fast.has_content_length);
}

/* Every prefix of a message, and every message with one byte changed: the scanners agree and stay inside. */
static void scanners_agree(void **state)
{
	static const char message[] = "SUBSCRIBE sip:bob@example.com;a=b SIP/2.0\r\n" LINES "CSeq: 9 SUBSCRIBE\r\n"
				      "P-Preferred-Identity: <sip:a@b.c>\r\nx:1\r\nContent-Length: 3\r\n\r\nabc";
	static const unsigned char bytes[] = "\0\t\n\r\x1a \"%()*,-./09:;<=>?@AZ[]_az\x7f\x80\xff";
	char copy[sizeof(message)];

	(void)state;
	assert_int_equal(scan(message), 0);
	for (size_t n = 0; n < sizeof(message); n++)
		scan_bytes((struct sv){ message, n }, n & 1);
	for (size_t i = 0; i < sizeof(message) - 1; i++)
		for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
			memcpy(copy, message, sizeof(copy));
			copy[i] = (char)bytes[k];
			scan_bytes((struct sv){ copy, sizeof(copy) - 1 }, false);
		}
}

/* Of an address in the topmost Via nothing but four numbers up to 255 passes, nor a port that is none; a name does. */
static void sent_by_is_judged(void **state)
{
	static const struct {
		const char *sent_by, *host;
		unsigned port;
	} good[] = {
		{ "0.0.0.0", "0.0.0.0", 0 },
		{ "255.255.255.255:65535", "255.255.255.255", 65535 },
		{ "199.9.249.1:00001", "199.9.249.1", 1 },
		{ "10.0.0.1:000005060", "10.0.0.1", 5060 },
		{ "1.2.3.a", "1.2.3.a", 0 },
		{ "1.2.3.4.example", "1.2.3.4.example", 0 },
	};
	static const char *const bad[] = { "256.1.1.1", "1.260.1.1", "1.1.300.1", "1.1.1.256", "1.1.1", "1.1.1.1.1", "1..1.1", ".1.1.1",
		                           "1.1.1.", "0001.1.1.1", "1.1.1.1000", "1", "111111111111111111", "1.1.1.1:", "1.1.1.1:0",
		                           "1.1.1.1:65536", "1.1.1.1:4294972356" /* 5060 + 2^32 */, "1.1.1.1:5060x", "1.2.3.4a" };
	char text[600];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		snprintf(text, sizeof(text), "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa\r\n%s\r\n", good[i].sent_by,
		         strstr(INVITE, "Max-"));
		assert_int_equal(scan(text), 0);
		assert_sv(view_via_host(&fast), good[i].host);
		assert_int_equal(fast.via_port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa\r\n%s\r\n", bad[i],
		         strstr(INVITE, "Max-"));
		assert_fault(text, "via-invalid", 400, false);
	}
}

/* Long, short, upper, lower and almost right: through the table of the fast scanner and the plain search. */
static void names_are_known(void **state)
{
	static const char compact[] = "vftimlckaueoynrbjdxs";
	char text[600];

	(void)state;
	for (unsigned id = HDR_OTHER + 1; id < HDR_COUNT; id++) {
		const char *name = hdr_id_name((enum hdr_id)id);

		assert_true(strlen(name) > 1);
		assert_int_equal(hdr_id_parse(sv_from(name)), id);
		if (id < HDR_HOT) /* they would be repeated or checked: request_is_cut covers them */
			continue;
		for (int variant = 0; variant < 4; variant++) {
			const char *more = variant == 3 ? "x" : "";
			size_t at = (size_t)snprintf(text, sizeof(text), INVITE "%s%s: x\r\n\r\n", name, more);
			char *p = text + at - strlen(name) - strlen(": x\r\n\r\n");

			for (; *p != ':'; p++)
				if (variant < 2 && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
					*p = (char)(variant ? *p | 0x20 : *p & ~0x20);
			assert_int_equal(scan(text), 0);
			assert_int_equal(fast.h[fast.n - 1].id, variant == 3 ? HDR_OTHER : id);
		}
	}
	/* the same start, length and end as a known one */
	assert_int_equal(scan(INVITE "Accept-EEncoding: x\r\nContent-Diposition: y\r\n\r\n"), 0);
	for (unsigned i = 6; i < 8; i++)
		assert_int_equal(fast.h[i].id, HDR_OTHER);
	assert_fault(INVITE "To:<sip:b>\r\n\r\n", "header-repeated", 400, true);
	for (const char *c = compact; *c; c++)
		assert_int_not_equal(hdr_id_parse((struct sv){ c, 1 }), HDR_OTHER);
	assert_int_equal(hdr_id_parse(SV("V")), HDR_VIA);
	assert_int_equal(hdr_id_parse(SV("z")), HDR_OTHER);
	assert_int_equal(hdr_id_parse(SV("")), HDR_OTHER);
	assert_string_equal(hdr_id_name(HDR_OTHER), "");
}

/* A name cut short may fall into its own slot again; scan() compares the two scanners. */
static void names_cut_short_are_not_taken_for_whole(void **state)
{
	char text[600];

	(void)state;
	for (unsigned id = HDR_OTHER + 1; id < HDR_COUNT; id++) {
		const char *name = hdr_id_name((enum hdr_id)id);

		for (int len = (int)strlen(name) - 1; len > 1; len--) {
			snprintf(text, sizeof(text), INVITE "%.*s: x\r\n\r\n", len, name);
			assert_int_equal(scan(text), 0);
			assert_int_equal(fast.h[6].id, hdr_id_parse((struct sv){ name, (size_t)len }));
		}
	}
}

static void methods_and_phrases(void **state)
{
	(void)state;
	for (unsigned m = M_INVITE; m < M_COUNT; m++)
		assert_int_equal(method_parse(sv_from(method_name((uint8_t)m))), m);
	assert_int_equal(method_parse(SV("invite")), M_OTHER);
	assert_int_equal(method_parse(SV("INVITES")), M_OTHER);
	assert_int_equal(method_parse(SV("")), M_OTHER);
	assert_string_equal(method_name(M_OTHER), "");
	assert_string_equal(method_name(200), "");
	assert_string_equal(status_phrase(486), "Busy Here");
	assert_string_equal(status_phrase(499), "Client Error");
	assert_string_equal(status_phrase(99), "Unknown");
}

static void reasons_are_complete(void **state)
{
	(void)state;
	assert_true(view_reasons_count > 30);
	for (size_t i = 1; i < view_reasons_count; i++) {
		assert_non_null(view_reasons[i].id);
		assert_int_equal(view_reasons[i].text[strlen(view_reasons[i].text) - 1], '.');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(view_reasons[i].id, view_reasons[k].id);
	}
}

static int end(void **state)
{
	(void)state;
	buf_putp(&held);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_cut),
		cmocka_unit_test(response_is_cut),
		cmocka_unit_test(unusual_spelling_is_understood),
		cmocka_unit_test(first_and_next_are_found),
		cmocka_unit_test(keep_alive_is_not_a_message),
		cmocka_unit_test(start_line_faults),
		cmocka_unit_test(header_line_faults),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(needed_headers_are_missed),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(top_via_is_checked),
		cmocka_unit_test(streams_need_exact_lengths),
		cmocka_unit_test(scanners_agree),
		cmocka_unit_test(sent_by_is_judged),
		cmocka_unit_test(names_are_known),
		cmocka_unit_test(names_cut_short_are_not_taken_for_whole),
		cmocka_unit_test(methods_and_phrases),
		cmocka_unit_test(reasons_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
