/* `sbcctl route`, word for word: what it says of a configuration, of what it assumes, and of questions that are none. The control socket's
 * side is played here. */
#include "sbc/explain.h"
#include "admin/ctl.h"
#include "tests/unit/conf/conf_test.h"
#include <stdio.h>

static const char yaml[] =
	"node: n\n"
	"zones:\n"
	"  a: { listen: \"udp:127.0.0.1:5060\", domains: [example.com], trust: [10.0.0.0/8] }\n"
	"pools: { p: { zone: a, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] } }\n"
	"registrar: { example.com: { auth: none } }\n"
	"trunks: { carrier: { zone: a, match: { source: 192.0.2.0/24 } } }\n"
	"routes:\n"
	"  - { when: { method: MESSAGE, caller: any }, to: { reject: 405 } }\n"
	"  - { when: { trunk: carrier }, to: { pool: p } }\n"
	"  - { when: { callee: registered }, to: location }\n"
	"  - { when: { header: { X-Plan: \"gold*\" } }, to: { pool: p }, rewrite: { user: { regex: \"^00(.*)$\", replace: '+\\1' } } }\n"
	"  - { when: { caller: any, user: \"9*\" }, to: { pool: p } }\n";

static struct {
	char text[4096];
	size_t len;
	ctl_handler *handler;
	void *ctx;
	unsigned ended;
} seen;

static void add(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static void add(const char *fmt, va_list ap)
{
	seen.len += (size_t)vsnprintf(seen.text + seen.len, sizeof(seen.text) - seen.len, fmt, ap);
	assert_true(seen.len + 2 < sizeof(seen.text));
	seen.text[seen.len++] = '\n';
	seen.text[seen.len] = '\0';
}

int ctl_register(struct ctl *c, const char *verb, const char *usage, const char *help, ctl_handler *handler, void *ctx)
{
	(void)c, (void)usage, (void)help;
	assert_string_equal(verb, "route");
	seen.handler = handler;
	seen.ctx = ctx;
	return 0;
}

void ctl_columns(struct ctl_reply *r, unsigned n, ...)
{
	(void)r;
	assert_int_equal(n, 5);
}

/* "LINE: what it fails by"; or "LINE takes it", and with which status. The rule's text is the configuration's. */
static void row(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void row(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(fmt, ap);
	va_end(ap);
}

void ctl_row_cells(struct ctl_reply *r, const struct ctl_cell *c, size_t n)
{
	(void)r;
	assert_int_equal(n, 5);
	assert_int_equal(c[4].kind, CELL_STR);
	assert_int_equal(c[2].kind, c[1].u64 ? CELL_NONE : CELL_STR);
	if (!c[1].u64)
		row("%u: %.*s", (unsigned)c[0].u64, SV_ARG(c[2].str));
	else if (c[3].kind == CELL_NONE)
		row("%u takes it", (unsigned)c[0].u64);
	else
		row("%u takes it, %u", (unsigned)c[0].u64, (unsigned)c[3].u64);
}

void ctl_note(struct ctl_reply *r, const char *fmt, ...)
{
	va_list ap;

	(void)r;
	va_start(ap, fmt);
	add(fmt, ap);
	va_end(ap);
}

void ctl_fail(struct ctl_reply *r, int exit_code, const char *fmt, ...)
{
	va_list ap;

	(void)r;
	assert_int_equal(exit_code, CTL_USAGE);
	va_start(ap, fmt);
	add(fmt, ap);
	va_end(ap);
	seen.ended++;
}

void ctl_fail_usage(struct ctl_reply *r)
{
	(void)r;
	row("usage");
	seen.ended++;
}

void ctl_done(struct ctl_reply *r)
{
	(void)r;
	seen.ended++;
}

#define ALONE "asked of the configuration alone: tokens of ours, dialogs, limits and who is up now come on top\n"
#define NO_CALLER "the caller is not registered (assumed: registrations are not looked at, --caller says otherwise)\n"
#define NO_CALLEE "the one called is not registered (assumed: registrations are not looked at, --callee registered says otherwise)\n"
#define UP_TO_10 "8: method\n9: trunk\n10: callee\n"

static const struct {
	const char *words[12], *answer;
} questions[] = {
	/* What rules want to know */
	{ { "a", "198.51.100.1", "INVITE", "sip:911@example.com" },
	  UP_TO_10 "11: header\n12 takes it\n" NO_CALLER NO_CALLEE ALONE },
	{ { "a", "198.51.100.1", "INVITE", "sip:alice@example.com" },
	  UP_TO_10 "11: header\n12: user\nanswered with 404 (no-route)\n" NO_CALLER NO_CALLEE ALONE },
	{ { "a", "198.51.100.1", "INVITE", "sip:911@example.org" },
	  UP_TO_10 "11: header\n12 takes it, 403\nanswered with 403 (host-not-ours)\n" NO_CALLER NO_CALLEE ALONE },
	{ { "a", "198.51.100.1", "MESSAGE", "sip:911@example.com" },
	  "8 takes it, 405\nanswered with 405 (rule-reject)\n" ALONE },
	/* What is assumed otherwise */
	{ { "a", "198.51.100.1", "INVITE", "sip:alice@example.com", "--callee", "registered" },
	  "8: method\n9: trunk\n10: caller\n11: header\n12: user\nanswered with 404 (no-route)\n"
	  "a rule is for callers who show who they are: whoever is of a domain with users is challenged instead\n" NO_CALLER
	  "the one called is registered (assumed: registrations are not looked at)\n" ALONE },
	{ { "a", "198.51.100.1", "INVITE", "sip:911@example.com", "--header", "x-plan: golden" },
	  UP_TO_10 "11: caller\n12 takes it\na rule before it is for callers who show who they are\n" NO_CALLER NO_CALLEE ALONE },
	{ { "a", "198.51.100.1", "INVITE", "sip:0049@example.com", "--caller", "registered", "--header", "X-Plan:gold" },
	  UP_TO_10 "11 takes it\nthe Request-URI becomes sip:+49@example.com\n"
	  "the caller is registered (assumed: registrations are not looked at, --caller says otherwise)\n" NO_CALLEE ALONE },
	{ { "a", "198.51.100.1", "INVITE", "sips:alice@example.com", "--caller", "authenticated", "--callee", "registered" },
	  "8: method\n9: trunk\n10 takes it\n"
	  "the caller has shown who he is (assumed: registrations are not looked at, --caller says otherwise)\n"
	  "the one called is registered (assumed: registrations are not looked at)\n"
	  "sips: only if it came by TLS or WSS, and if where it goes can be reached so; neither is looked at\n" ALONE },
	/* What the source says */
	{ { "a", "10.1.2.3", "INVITE", "sip:1@example.com", "--callee", "registered" },
	  "8: method\n9: trunk\n10 takes it\nthe source is trusted\nthe one called is registered (assumed: registrations are not looked at)\n" ALONE },
	{ { "a", "192.0.2.7:5070", "INVITE", "sip:1@example.com" },
	  "8: method\n9 takes it\nthe source is trunk carrier\n" NO_CALLER ALONE },
	/* What no rule is asked about */
	{ { "a", "198.51.100.1", "OPTIONS", "sip:127.0.0.1" }, "answered with 200: it is for ourselves, no rule is asked\n" },
	/* What is no question */
	{ { "a", "198.51.100.1", "INVITE" }, "usage\n" },
	{ { "b", "198.51.100.1", "INVITE", "sip:a@b" }, "b: there is no such zone\n" },
	{ { "a", "example.com", "INVITE", "sip:a@b" }, "example.com: is no address\n" },
	{ { "a", "198.51.100.1", "INVITE", "alice" }, "alice: is no URI\n" },
	{ { "a", "198.51.100.1", "INVITE", "sip:a@b", "--caller" }, "usage\n" },
	{ { "a", "198.51.100.1", "INVITE", "sip:a@b", "--caller", "any" }, "usage\n" },
	{ { "a", "198.51.100.1", "INVITE", "sip:a@b", "--header", "X-Plan" }, "X-Plan: is no header: write \"NAME: VALUE\"\n" },
	{ { "a", "198.51.100.1", "INVITE", "sip:a@b", "--nonsense", "1" }, "usage\n" },
};

static void what_it_says(void **state)
{
	struct publisher p = { .now = parsed(yaml) };

	(void)state;
	assert_int_equal(explain_verbs(NULL, &p), 0);
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		char *argv[16] = { (char *)"route" };
		int argc = 1;

		while (argc < 12 && questions[i].words[argc - 1]) {
			argv[argc] = (char *)questions[i].words[argc - 1];
			argc++;
		}
		seen.len = 0;
		seen.ended = 0;
		seen.handler(seen.ctx, NULL, argc, argv);
		assert_int_equal(seen.ended, 1);
		assert_string_equal(seen.text, questions[i].answer);
	}
	conf_free(p.now);
}

static void too_many_headers(void **state)
{
	struct publisher p = { .now = parsed(yaml) };
	char *argv[5 + 2 * 17 + 1] = { (char *)"route", (char *)"a", (char *)"198.51.100.1", (char *)"INVITE", (char *)"sip:a@b" };

	(void)state;
	assert_int_equal(explain_verbs(NULL, &p), 0);
	for (unsigned i = 0; i < 17; i++) {
		argv[5 + 2 * i] = (char *)"--header";
		argv[6 + 2 * i] = (char *)"A: b";
	}
	seen.len = 0;
	seen.handler(seen.ctx, NULL, 5 + 2 * 17, argv);
	assert_string_equal(seen.text, "A: b: too many headers\n");
	conf_free(p.now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(too_many_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
