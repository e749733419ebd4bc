/* RFC 4475's messages through view_scan(), against tests/data/rfc4475/expect.txt; the valid ones are read further. */
#include "base/buf.h"
#include "sip/header.h"
#include "sip/view.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define DATA SOURCE_DIR "/tests/data/rfc4475/"

static struct view view;

static struct buf *load(const char *name)
{
	static char bytes[65536];
	char path[512];
	FILE *f;
	size_t len;

	snprintf(path, sizeof(path), DATA "%s.dat", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: cannot be read", path);
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return buf_copy((struct sv){ bytes, len });
}

static void check(const char *name, const char *scan, const char *reason, const char *answer)
{
	int (*const scanners[])(struct view *, const char *, size_t, bool, struct view_fault *) = {
		view_scan,
		view_scan_plain,
	};
	struct buf *b = load(name);

	for (size_t i = 0; i < 2; i++) {
		struct view_fault fault = { 0 };
		int err = scanners[i](&view, b->data, b->len, false, &fault);

		if (strcmp(scan, "ok") == 0) {
			if (err)
				fail_msg("%s: refused with %s", name, fault.reason);
			continue;
		}
		if (err != -EBADMSG)
			fail_msg("%s: not refused", name);
		if (fault.status != atoi(scan) || strcmp(fault.reason, reason) != 0 ||
		    fault.is_answerable != !strcmp(answer, "yes"))
			fail_msg("%s: %u %s %d", name, fault.status, fault.reason, fault.is_answerable);
	}
	buf_put(b);
}

static void every_message_is_judged_as_written(void **state)
{
	FILE *f = fopen(DATA "expect.txt", "r");
	char line[200], name[40], section[20], scan_says[10], reason[40], answer[10], stack[40];
	unsigned n = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%39s %19s %9s %39s %9s %39s", name, section, scan_says, reason, answer,
		                        stack),
		                 6);
		check(name, scan_says, reason, answer);
		n++;
	}
	fclose(f);
	assert_int_equal(n, 49);
}

static void scan(struct buf **b, const char *name)
{
	struct view_fault fault;

	*b = load(name);
	assert_int_equal(view_scan(&view, (*b)->data, (*b)->len, false, &fault), 0);
}
static void assert_sv(struct sv v, const char *expected)
{
	if (!sv_eq(v, sv_from(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SV_ARG(v), expected);
}

static void wsinv_is_understood(void **state)
{
	struct name_addr a;
	struct via via;
	struct buf *b;
	struct sv list;

	(void)state;
	scan(&b, "wsinv");
	assert_int_equal(view.cseq, 9);
	assert_int_equal(view.method, M_INVITE);
	assert_int_equal(view.body_len, 150);
	assert_sv(tag_of(view_value(&view, HDR_TO)), "1918181833n");
	assert_sv(tag_of(view_value(&view, HDR_FROM)), "98asjd8");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_FROM)), 0);
	assert_sv(a.display, "\"J Rosenberg \\\\\\\"\"");
	assert_sv(a.uri, "sip:jdrosen@example.com");
	list = view_value(&view, HDR_VIA);
	assert_int_equal(via_next(&via, &list), 0);
	assert_sv(via.branch, "390skdjuw");
	assert_sv(via.host, "192.0.2.2");
	list = hdr_value(&view, view_find(&view, HDR_VIA, view.first[HDR_VIA]));
	assert_int_equal(via_next(&via, &list), 0);
	assert_sv(via.branch, "z9hG4bK9ikj8");
	assert_sv(via.host, "spindle.example.com");
	assert_int_equal(via_next(&via, &list), 0);
	assert_sv(via.branch, "z9hG4bK30239");
	assert_int_equal(via_next(&via, &list), -ENOENT);
	assert_sv(view_value(&view, HDR_SUBJECT), "");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_CONTACT)), 0);
	assert_sv(a.uri, "sip:jdrosen@example.com");
	buf_put(b);
}

static void intmeth_is_understood(void **state)
{
	struct name_addr a;
	struct uri u;
	struct buf *b;

	(void)state;
	scan(&b, "intmeth");
	assert_int_equal(view.method, M_OTHER);
	assert_sv(view_method(&view), "!interesting-Method0123456789_*+`.%indeed'~");
	assert_int_equal(uri_parse(&u, view_uri(&view)), 0);
	assert_sv(u.host, "example.com");
	assert_sv(u.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_TO)), 0);
	assert_int_equal(a.display.len, sizeof("\"BEL:\\x NUL:\\x DEL:\\x\"") - 1);
	assert_sv(tag_of(view_value(&view, HDR_FROM)), "_token~1'+`*%!-.");
	buf_put(b);
}

static void dblreq_ends_where_it_says(void **state)
{
	struct buf *b;

	(void)state;
	scan(&b, "dblreq");
	assert_int_equal(view.method, M_REGISTER);
	assert_int_equal(view.body_len, 0);
	assert_true(view.len < b->len);
	assert_sv(view_value(&view, HDR_CALL_ID), "dblreq.0ha0isndaksdj99sdfafnl3lk233412");
	buf_put(b);
}

static void escapes_stay_what_they_are(void **state)
{
	struct uri u;
	struct buf *b;

	(void)state;
	scan(&b, "esc01");
	assert_int_equal(uri_parse(&u, view_uri(&view)), 0);
	assert_sv(u.user, "sips%3Auser%40example.com");
	assert_sv(u.host, "example.net");
	buf_put(b);
	scan(&b, "esc02"); /* names and methods know no escapes: C%6Fntact is no Contact */
	assert_int_equal(view.method, M_OTHER);
	assert_non_null(view_find_name(&view, SV("C%6Fntact"), 0));
	buf_put(b);
	scan(&b, "semiuri");
	assert_int_equal(uri_parse(&u, view_uri(&view)), 0);
	assert_sv(u.user, "user;par=u%40example.net");
	assert_sv(u.params, "");
	buf_put(b);
}

static void contacts_with_question_marks(void **state)
{
	struct name_addr a;
	struct uri u;
	struct buf *b;

	(void)state;
	scan(&b, "regbadct");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_CONTACT)), -EBADMSG);
	buf_put(b);
	scan(&b, "regescrt");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_CONTACT)), 0);
	assert_int_equal(uri_parse(&u, a.uri), 0);
	assert_sv(u.headers, "Route=%3Csip:sip.example.com%3E");
	buf_put(b);
	scan(&b, "cparam01");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_CONTACT)), 0);
	assert_sv(a.params, ";unknownparam");
	buf_put(b);
	scan(&b, "cparam02");
	assert_int_equal(name_addr_parse(&a, view_value(&view, HDR_CONTACT)), 0);
	assert_sv(a.params, "");
	buf_put(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_is_judged_as_written),
		cmocka_unit_test(wsinv_is_understood),
		cmocka_unit_test(intmeth_is_understood),
		cmocka_unit_test(dblreq_ends_where_it_says),
		cmocka_unit_test(escapes_stay_what_they_are),
		cmocka_unit_test(contacts_with_question_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
