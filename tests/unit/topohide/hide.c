/* Unit tests of topohide/hide.h: every class of headers, and every way a value can name the side it comes from (DECISIONS 7, 8, 9). */
#include "topohide/hide.h"
#include "topohide/privacy.h"
#include "sip/header.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char yaml[] =
	"node: test\n"
	"zones:\n"
	"  public: { listen: [\"udp:203.0.113.10:5060\"], domains: [\"example.com\"] }\n"
	"  core:\n"
	"    listen: [\"udp:10.0.0.10:5060\", \"udp:[2001:db8::10]:5060\"]\n"
	"    advertise: edge.inside.example\n"
	"    trust: [\"10.9.0.0/16\", \"2001:db8:9::/48\"]\n"
	"  strict: { listen: [\"udp:172.16.0.1:5060\"], headers: { unknown: drop }, identity: drop }\n"
	"  carrier:\n"
	"    listen: [\"udp:198.51.100.1:5060\"]\n"
	"    identity: mask\n"
	"    preferred-identity: assert\n"
	"    domains: [carrier.example, second.example]\n"
	"    privacy: { mask: [from, pai], identity: remove }\n"
	"pools:\n"
	"  apps: { zone: core, probe: off, destinations: [{ name: a, uri: \"sip:10.0.0.21:5060\" }, { name: b, uri: \"sip:app.inside.example\" }] }\n"
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps } }]\n";

struct rig {
	struct conf *conf;
	struct hide_index *index;
	struct counters counters;
	char area[4096], text[8192];
	size_t room; /* in `area`; 0: all of it */
};

static int rig_open(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct conf_notes notes;

	assert_non_null(r);
	conf_notes_init(&notes);
	if (conf_parse(&r->conf, "test.yaml", sv_from(yaml), &notes)) {
		list_each(n, &notes.list)
			conf_note_print(stderr, "test.yaml", owner_of(n, struct conf_note, in_list));
		return -1;
	}
	conf_notes_fini(&notes);
	assert_int_equal(hide_index_new(&r->index, r->conf), 0);
	assert_int_equal(counters_init(&r->counters, hide_counter_defs, HIDE_COUNTERS), 0);
	*state = r;
	return 0;
}

static int rig_close(void **state)
{
	struct rig *r = *state;

	hide_index_free(r->index);
	counters_fini(&r->counters);
	conf_free(r->conf);
	free(r);
	return 0;
}

enum trust { NOBODY, SENDER = 1, RECEIVER = 2 };

/* What is left of these header lines when a message with them crosses from `zone` to `to`. */
static const char *crossing_to(struct rig *r, const char *zone, const char *to, unsigned trust, const char *lines)
{
	struct view v;
	struct view_fault fault;
	struct addr source;
	struct hide h;
	struct out o;
	int index = conf_find_zone(r->conf, sv_from(zone));
	int n = snprintf(r->text, sizeof(r->text) - 64,
	                 "INFO sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP via.inside.example;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
	                 "To: <sip:b@x>;tag=2\r\nCall-ID: long-call-id@10.0.0.21\r\nCSeq: 1 INFO\r\nMax-Forwards: 70\r\n"
	                 "Contact: <sip:me@contact.inside.example>\r\n"
	                 "%sContent-Length: 0\r\n\r\n",
	                 lines);

	assert_true(index >= 0 && n > 0);
	memset(r->text + n, 0, 64);
	if (view_scan(&v, r->text, (size_t)n, false, &fault))
		fail_msg("%s:\n%s", fault.reason, lines);
	assert_int_equal(addr_parse(&source, SV("10.7.7.7:5060")), 0);
	hide_begin(&h, r->index, (uint16_t)index, &source, &v, &r->counters);
	h.to_zone = (uint16_t)conf_find_zone(r->conf, sv_from(to));
	h.is_trusted = trust & SENDER;
	h.trusts_receiver = trust & RECEIVER;
	h.agent = SV("203.0.113.10");
	out_init(&o, r->area, r->room ? r->room : sizeof(r->area) - 1);
	hide_headers(&o, &h);
	assert_false(o.is_full);
	*o.at = '\0';
	return r->area;
}

static const char *crossing(struct rig *r, const char *zone, unsigned trust, const char *lines)
{
	return crossing_to(r, zone, "public", trust, lines);
}

static void passes(struct rig *r, const char *line)
{
	assert_string_equal(crossing(r, "core", NOBODY, line), line);
}

static void becomes(struct rig *r, const char *line, const char *other)
{
	assert_string_equal(crossing(r, "core", NOBODY, line), other);
}

static void ends_here(struct rig *r, const char *line)
{
	becomes(r, line, "");
}

/* Classes ---------------------------------------------------------------------------------------------------------- */

/* No header without a class that somebody chose. */
static void every_header_has_a_class(void **state)
{
	(void)state;
	for (unsigned id = HDR_OTHER + 1; id < HDR_COUNT; id++)
		if (hide_class_of(id) == HIDE_UNKNOWN)
			fail_msg("%s has no class", hdr_id_name(id));
	assert_int_equal(hide_class_of(HDR_OTHER), HIDE_UNKNOWN);
}

static void end_to_end_headers_pass_as_they_are(void **state)
{
	passes(*state, "Content-Type: multipart/mixed;boundary=\"a b\"\r\n");
	passes(*state, "Allow: INVITE, ACK\r\nAllow: BYE\r\n");
	becomes(*state, "Session-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n", ""); /* each leg's own */
	passes(*state, "Authorization: Digest username=\"a\", uri=\"sip:10.0.0.21\"\r\n"); /* DECISIONS 9: credentials are untouched */
	passes(*state, "RSeq: 5\r\nPrivacy: id\r\nRetry-After: 10 (busy)\r\n");
	passes(*state, "Privacy: none\r\n");
	passes(*state, "User-to-User: 0102;encoding=hex\r\n");
	passes(*state, "Event: presence\r\nSubscription-State: active;expires=60\r\n");
	passes(*state, "Identity: abc;info=<https://cert.example/x>\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n");
}

static void ours_hop_by_hop_and_private_end_here(void **state)
{
	ends_here(*state, "Route: <sip:x;lr>\r\nRecord-Route: <sip:y;lr>\r\nRAck: 1 1 INVITE\r\n");
	ends_here(*state, "Proxy-Require: foo\r\nPath: <sip:p;lr>\r\nTimestamp: 54\r\nFlow-Timer: 5\r\nMax-Breadth: 60\r\n");
	ends_here(*state, "User-Agent: Secret 1.0\r\nServer: Secret 1.0\r\nOrganization: Them\r\n");
	ends_here(*state, "In-Reply-To: 70710@inside.example\r\n");
}

/* Identifiers of dialogs are mapped by the call or do not pass. */
static void names_of_dialogs_end_here(void **state)
{
	struct rig *r = *state;

	ends_here(r, "Replaces: 98732@x;from-tag=r33th4x0r;to-tag=ff87ff\r\n");
	ends_here(r, "Join: 98732@x;from-tag=a;to-tag=b\r\n");
	ends_here(r, "Target-Dialog: 98732@x;local-tag=a;remote-tag=b\r\n");
	assert_int_equal(counter_get(&r->counters, HIDE_DROPPED_DIALOG), 3);
}

/* RFC 3325: from whom we believe; with Privacy: id to nobody whom we do not; a preferred one to nobody. */
static void identities_go_by_trust(void **state)
{
	static const char pai[] = "P-Asserted-Identity: <sip:+49@example.com>\r\n";
	static const char private[] = "P-Asserted-Identity: <sip:+49@example.com>\r\nPrivacy: critical; ID\r\n";
	struct rig *r = *state;

	ends_here(r, pai);
	ends_here(r, "Remote-Party-ID: <sip:a@b>\r\nDiversion: <sip:a@b>\r\nHistory-Info: <sip:a@b>;index=1\r\n");
	assert_string_equal(crossing(r, "core", SENDER, pai), pai);
	assert_string_equal(crossing(r, "core", SENDER, private), "Privacy: critical; ID\r\n");
	assert_string_equal(crossing(r, "core", SENDER | RECEIVER, private), private);
	assert_string_equal(crossing(r, "core", SENDER | RECEIVER, "P-Preferred-Identity: <sip:a@b>\r\n"), "");
}

/* A believed identity that names the inside leaves with the receiver's domain in that place; what cannot be mended does not leave. */
static void identities_lose_inside_hosts(void **state)
{
	static const struct {
		const char *value, *left;
	} cases[] = {
		{ "<sip:+49@10.0.0.21>", "<sip:+49@example.com>" },
		{ "\"A\" <sip:+49@10.0.0.21:5060;user=phone>, <tel:+49>", "\"A\" <sip:+49@example.com;user=phone>, <tel:+49>" },
		{ "<sip:+49@[2001:db8::10]:5060;user=phone>", "<sip:+49@example.com;user=phone>" },
		{ "<sip:app.inside.example>", "<sip:example.com>" },
		{ "<sip:a@x.example;maddr=10.0.0.21>", "<sip:a@x.example;maddr=example.com>" },
		{ "\"at 10.0.0.21\" <sip:a@x.example>", "\"at example.com\" <sip:a@x.example>" },
		{ "<tel:42;phone-context=app.inside.example>", "<tel:42;phone-context=example.com>" },
		{ "<sip:bob@contact.inside.example>", "<sip:bob@example.com>" },
		{ "<sip:a@outside.example>  , <sip:b@x>", "<sip:a@outside.example>  , <sip:b@x>" },
	};
	static const char *const headers[] = { "P-Asserted-Identity", "Remote-Party-ID", "Diversion", "History-Info", "P-Associated-URI",
	                                       "P-Called-Party-ID" };
	struct rig *r = *state;
	char line[256], left[256];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned k = 0; k < sizeof(headers) / sizeof(*headers); k++) {
			snprintf(line, sizeof(line), "%s: %s\r\n", headers[k], cases[i].value);
			snprintf(left, sizeof(left), "%s: %s\r\n", headers[k], cases[i].left);
			assert_string_equal(crossing(r, "core", SENDER, line), left);
		}
	}
	/* a zone without domains: our address there */
	assert_string_equal(crossing_to(r, "core", "strict", SENDER, "Diversion: <sip:a@10.0.0.21>\r\n"), "Diversion: <sip:a@203.0.113.10>\r\n");
	assert_int_equal(counter_get(&r->counters, HIDE_DROPPED_ADDRESS), 0);
}

/* An identifier that holds an address would not be known again with another host in it: such a line ends here. */
static void identities_with_identifiers_end_here(void **state)
{
	assert_string_equal(crossing(*state, "core", SENDER, "Diversion: <sip:long-call-id@10.0.0.21>\r\n"), "");
	assert_string_equal(crossing(*state, "core", SENDER, "Diversion: <sip:lon%67-call-id@10.0.0.21>\r\n"), "");
	assert_string_equal(crossing_to(*state, "core", "carrier", SENDER, "P-Asserted-Identity: <sip:long-call-id@10.0.0.21>\r\n"), "");
}

/* A word that is too long for a host, the last one of its line. */
static void endless_words_end_here(void **state)
{
	char text[600] = "Diversion: <sip:a@b>;x=10.0.0.21";

	memset(text + strlen(text), '-', HIDE_HOST_MAX);
	strcpy(text + strlen("Diversion: <sip:a@b>;x=10.0.0.21") + HIDE_HOST_MAX, "x\r\n");
	assert_string_equal(crossing(*state, "core", SENDER, text), "");
}

/* Work is bounded: where a value is too long to be looked through, it ends here. */
static void endless_identities_end_here(void **state)
{
	char text[3000] = "Diversion: <sip:a@10.0.0.21>;x=\"";

	for (unsigned i = 0; i < HIDE_RUNS_MAX + 10; i++)
		strcat(text, "a ");
	strcat(text, "\"\r\n");
	assert_string_equal(crossing(*state, "core", SENDER, text), "");
	strcpy(text, "Diversion: <sip:10.0.0.21");
	for (unsigned i = 0; i < 1000; i++)
		strcat(text, "::");
	strcat(text, ">\r\n");
	assert_string_equal(crossing(*state, "core", SENDER, text), "");
}

/* `identity:` of the zone it comes from, `privacy.mask: pai` of the one it goes to. */
static void identities_by_zone(void **state)
{
	static const char pai[] = "P-Asserted-Identity: \"A\" <sip:+49@x.example:5080;user=phone;maddr=1.2.3.4>, <tel:+49>\r\n";
	struct rig *r = *state;

	assert_string_equal(crossing(r, "strict", SENDER | RECEIVER, pai), "");
	assert_string_equal(crossing(r, "core", SENDER, pai), pai);
	assert_string_equal(crossing(r, "carrier", SENDER, pai), "P-Asserted-Identity: \"A\" <sip:+49@example.com;user=phone>, <tel:+49>\r\n");
	assert_string_equal(crossing_to(r, "core", "carrier", SENDER, pai),
	                    "P-Asserted-Identity: \"A\" <sip:+49@carrier.example;user=phone>, <tel:+49>\r\n");
	assert_string_equal(crossing_to(r, "core", "carrier", SENDER, "Diversion: <sip:a@b>\r\n"), "Diversion: <sip:a@b>\r\n");
	assert_string_equal(crossing(r, "carrier", SENDER, "Diversion: <sip:a@b:99?x=y>;reason=no-answer\r\n"),
	                    "Diversion: <sip:a@example.com?x=y>;reason=no-answer\r\n");
	assert_string_equal(crossing(r, "carrier", NOBODY, pai), "");
	assert_int_equal(counter_get(&r->counters, HIDE_DROPPED_IDENTITY), 2);
	assert_string_equal(crossing(r, "carrier", SENDER, "P-Asserted-Identity: <sip:a b>\r\n"), "");
	assert_int_equal(counter_get(&r->counters, HIDE_DROPPED_ADDRESS), 1);
}

/* RFC 3325 §5: what a trusted side prefers is what we assert, where the zone says so and nobody has asserted anything. */
static void preferred_identities(void **state)
{
	static const char ppi[] = "P-Preferred-Identity: <sip:a@198.51.100.1>\r\n";
	struct rig *r = *state;

	assert_string_equal(crossing(r, "core", SENDER, ppi), "");
	assert_string_equal(crossing(r, "carrier", NOBODY, ppi), "");
	assert_string_equal(crossing(r, "carrier", SENDER, ppi), "P-Asserted-Identity: <sip:a@example.com>\r\n");
	assert_string_equal(crossing(r, "carrier", SENDER, "P-Preferred-Identity: <sip:a@b>\r\nP-Asserted-Identity: <tel:1>\r\n"),
	                    "P-Asserted-Identity: <tel:1>\r\n");
	assert_string_equal(crossing(r, "carrier", SENDER, "P-Preferred-Identity: <sip:a@b>\r\nPrivacy: id\r\n"), "Privacy: id\r\n");
}

/* RFC 3323 §5.3, RFC 7044 §10.1.2: what those whom we do not trust do not get to see; what was done is no longer asked for. */
static void privacy(void **state)
{
	static const struct {
		const char *lines, *left;
	} cases[] = {
		{ "Privacy: user\r\nSubject: s\r\nCall-Info: <http://x>\r\nReply-To: <sip:a@b>\r\nReason: Q.850;cause=16\r\n", "Reason: Q.850;cause=16\r\n" },
		{ "Privacy: id;user\r\n", "Privacy: id\r\n" },
		{ "Privacy: header, critical\r\n", "" },
		{ "Privacy: session;critical\r\n", "Privacy: session;critical\r\n" },
		{ "Privacy: user;none\r\nSubject: s\r\n", "Privacy: user;none\r\nSubject: s\r\n" },
		{ "Privacy: user\r\nP-Asserted-Identity: <tel:1>\r\nRemote-Party-ID: <tel:1>\r\n", "" },
		{ "Privacy: id\r\nDiversion: <tel:1>\r\nHistory-Info: <tel:1>;index=1\r\n",
		  "Privacy: id\r\nDiversion: <tel:1>\r\nHistory-Info: <tel:1>;index=1\r\n" },
		{ "Privacy: history\r\nHistory-Info: <tel:1>;index=1\r\n", "" },
		{ "Privacy: header\r\nHistory-Info: <tel:1>;index=1\r\n", "" },
		{ "History-Info: <sip:a@b?Privacy=history>;index=1\r\n", "" },
		{ "History-Info: <sip:a@b?Privacy=none>;index=1\r\n", "History-Info: <sip:a@b?Privacy=none>;index=1\r\n" },
		{ "Diversion: <tel:1>;privacy = \"full\"\r\n", "" },
		{ "Diversion: <tel:1>;privacy=off\r\n", "Diversion: <tel:1>;privacy=off\r\n" },
		{ "Remote-Party-ID: <tel:1>;PRIVACY=name;screen=yes\r\n", "" },
		{ "Remote-Party-ID: <tel:1>;privacy\r\n", "Remote-Party-ID: <tel:1>;privacy\r\n" },
		{ "Identity: x\r\nPrivacy: user\r\n", "Identity: x\r\nPrivacy: user\r\n" },
	};
	struct rig *r = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_string_equal(crossing(r, "core", SENDER, cases[i].lines), cases[i].left);
		assert_string_equal(crossing(r, "core", SENDER | RECEIVER, cases[i].lines), cases[i].lines);
	}
}

/* Work per message is bounded; what was not looked at may be anything. */
static void endless_privacy(void **state)
{
	struct rig *r = *state;
	char text[512] = "Privacy: user";

	for (unsigned i = 1; i < PRIVACY_VALUES_MAX; i++)
		strcat(text, ";id");
	strcat(text, ";none\r\nSubject: s\r\n");
	assert_null(strstr(crossing(r, "core", SENDER, text), "Subject"));
	assert_null(strstr(crossing(r, "core", SENDER, text), "none"));
	strcpy(text, "Privacy: user;none;id\r\nSubject: s\r\n");
	assert_non_null(strstr(crossing(r, "core", SENDER, text), "Subject"));
}

/* RFC 8224: where From, To or the SDP are changed, the signature over them does not go out. */
static void signatures_by_zone(void **state)
{
	struct rig *r = *state;

	assert_string_equal(crossing_to(r, "core", "carrier", NOBODY, "Identity: x\r\nDate: now\r\nPrivacy: user\r\n"), "Date: now\r\n");
}

/* Hosts of From and To (hide_mask_hosts). */
static void masked_hosts(void **state)
{
	static const struct {
		const char *value, *left;
	} cases[] = {
		{ "\"A\" <sip:a:pw@10.0.0.1:5060;user=phone>;tag=1", "\"A\" <sip:a:pw@d.example;user=phone>;tag=1" },
		{ "sip:a@10.0.0.1:5060;tag=1", "sip:a@d.example;tag=1" },
		{ "<sips:[2001:db8::1]:5061>", "<sips:d.example>" },
		{ "<tel:+49;phone-context=x>;tag=2", "<tel:+49;phone-context=x>;tag=2" },
		{ "<sip:a@b;maddr=1.2.3.4;lr>", "<sip:a@d.example;lr>" },
		{ "<sip:@>", NULL },
		{ "*", NULL },
		{ "", NULL },
	};
	char area[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct out o;

		out_init(&o, area, sizeof(area) - 1);
		assert_int_equal(hide_mask_hosts(&o, sv_from(cases[i].value), SV("d.example")), cases[i].left != NULL);
		*o.at = '\0';
		assert_string_equal(area, cases[i].left ? cases[i].left : "");
	}
}

/* DECISIONS 8: what concerns one hop or our own registrar is taken out of the list. */
static void option_tags(void **state)
{
	passes(*state, "Supported: 100rel, replaces\r\n");
	becomes(*state, "Supported: 100rel, Timer\r\nRequire: timer\r\n", "Supported: 100rel\r\n");
	passes(*state, "Require: 100rel\r\n");
	becomes(*state, "Supported: path, 100rel , gruu,timer, OUTBOUND,replaces\r\n", "Supported: 100rel, replaces\r\n");
	ends_here(*state, "Require: path\r\n");
	becomes(*state, "k: outbound,replaces\r\n", "k: replaces\r\n");
}

/* A list that passes as it came needs no more room than it came with. */
static void option_tags_fit_as_they_came(void **state)
{
	struct rig *r = *state;
	char line[1024] = "Supported: 100rel";

	for (unsigned i = 0; i < 80; i++)
		strcat(line, ",replaces");
	strcat(line, "\r\n");
	r->room = strlen(line);
	passes(r, line);
}

/* DECISIONS 9: a challenge loses `domain`, whatever white space stands where. */
static void challenges(void **state)
{
	passes(*state, "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"a,b\", qop=\"auth,auth-int\"\r\n");
	becomes(*state, "Proxy-Authenticate: Digest realm=\"r\", domain=\"sip:10.0.0.21 sip:b\", nonce=\"n\"\r\n",
	        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
	becomes(*state, "WWW-Authenticate: Digest Domain = \"sip:10.0.0.21\",realm=\"r\"\r\n", "WWW-Authenticate: Digest realm=\"r\"\r\n");
	becomes(*state, "WWW-Authenticate: Digest\trealm=\"r\",domain=\"sip:10.0.0.21\"\r\n", "WWW-Authenticate: Digest realm=\"r\"\r\n");
	becomes(*state, "WWW-Authenticate: Digest\r\n\tdomain=\"sip:10.0.0.21\",realm=\"r\"\r\n", "WWW-Authenticate: Digest realm=\"r\"\r\n");
	passes(*state, "WWW-Authenticate: Digest realm=\"r\", domains=\"x\"\r\n");
}

/* §20.43: the agent becomes us; a text that names the inside ends here. */
static void warnings(void **state)
{
	becomes(*state, "Warning: 370 10.0.0.21:5060 \"Insufficient bandwidth\"\r\n", "Warning: 370 203.0.113.10 \"Insufficient bandwidth\"\r\n");
	becomes(*state, "Warning: 301 host \"a, b\", 399 x \"at 10.0.0.21\", 307 y \"c\"\r\n",
	        "Warning: 301 203.0.113.10 \"a, b\", 307 203.0.113.10 \"c\"\r\n");
	ends_here(*state, "Warning: 399 x \"ask app.inside.example\"\r\n");
	ends_here(*state, "Warning: nonsense\r\n");
}

static void checked_headers(void **state)
{
	struct rig *r = *state;

	passes(r, "Refer-To: <sip:carol@example.com>\r\n");
	passes(r, "Reason: Q.850;cause=16;text=\"bye\"\r\nSubject: lunch at 12:30\r\n");
	ends_here(r, "Refer-To: <sip:carol@10.0.0.21>\r\n");
	ends_here(r, "Call-Info: <http://app.inside.example/pic>;purpose=icon\r\n");
	ends_here(r, "Alert-Info: <http://10.9.4.4/ring.wav>\r\n");
	ends_here(r, "Reply-To: sip:x@contact.inside.example\r\n");
	ends_here(r, "Reason: SIP;text=\"lost via.inside.example\"\r\n");
	assert_int_equal(counter_get(&r->counters, HIDE_DROPPED_ADDRESS), 5);
}

static void unknown_headers(void **state)
{
	struct rig *r = *state;

	passes(r, "X-Anything: at all,  as is;x=y\r\nx-anything: 2\r\n");
	ends_here(r, "X-Where: 10.0.0.21\r\n");
	assert_string_equal(crossing(r, "strict", NOBODY, "X-Anything: 1\r\nSubject: s\r\n"), "Subject: s\r\n");
	assert_int_equal(counter_get(&r->counters, HIDE_DROPPED_UNKNOWN), 1);
}

/* Lines keep their order and their number. */
static void order_is_kept(void **state)
{
	static const char lines[] = "X-B: 1\r\nAllow: INVITE\r\nX-A: 2\r\nSubject: s\r\nX-B: 3\r\nContent-Type: text/plain\r\n";

	passes(*state, lines);
}

/* RFC 3840: feature tags pass, everything else of a Contact does not. */
static void contact_parameters(void **state)
{
	static const struct {
		const char *params, *left;
	} cases[] = {
		{ "", "" },
		{ ";expires=60;q=0.5", "" },
		{ ";isfocus", ";isfocus" },
		{ ";+sip.instance=\"<urn:uuid:1>\";reg-id=1;audio;METHODS=\"INVITE,BYE\"", ";+sip.instance=\"<urn:uuid:1>\";audio;METHODS=\"INVITE,BYE\"" },
		{ ";alias=10.0.0.21~5060~1;text", ";text" },
		{ ";+sip.instance=\"<urn:x:10.0.0.21>\";+app.inside.example;+b=\"c\"", ";+b=\"c\"" },
	};
	static const struct view none;
	struct addr source = { .family = 4 };
	struct rig *r = *state;
	struct hide h;
	char area[256];

	hide_begin(&h, r->index, (uint16_t)conf_find_zone(r->conf, SV("core")), &source, &none, &r->counters);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct out o;

		out_init(&o, area, sizeof(area) - 1);
		hide_contact_params(&o, &h, sv_from(cases[i].params));
		*o.at = '\0';
		assert_string_equal(area, cases[i].left);
	}
}

/* Names of the inside ------------------------------------------------------------------------------------------------ */

static bool names_inside(struct rig *r, const char *zone, const char *text)
{
	char line[2048];

	snprintf(line, sizeof(line), "X-Text: %s\r\n", text);
	return !*crossing(r, zone, NOBODY, line);
}

static void what_names_the_inside(void **state)
{
	static const char *const inside[] = {
		"10.0.0.21", "10.0.0.10", "2001:db8::10", "[2001:DB8:0:0::10]:5060", "10.0.0.21:5099", "sip:a@10.0.0.21;lr", "<sip:10.0.0.21>",
		"\"10.0.0.21\"", "(10.0.0.21)", "at 10.0.0.21.", "x=10.0.0.21;y", "a,10.0.0.21,b", "http://10.0.0.21/x", "10.9.255.255",
		"2001:db8:9::5", "::ffff:10.0.0.21", "app.inside.example", "APP.Inside.Example:5060", "edge.inside.example",
		"sip:x@app.inside.example;transport=tcp", "via.inside.example", "contact.inside.example", "10.7.7.7", "udp:10.0.0.21:5060",
		"sip:10.0.0.21", "1234-10.0.0.21", "z9hG4bK-10.0.0.21-5060", "id10.0.0.21x", "10.0.0.21.5060", "v10.0.0.21.internal",
	};
	static const char *const outside[] = {
		"", "x", "10.0.0.22", "10.0.0.2", "110.0.0.21", "10.0.0.210", "10.10.0.1", "2001:db8::11", "inside.example", "example.com",
		"my-app.inside.example.org", "203.0.113.10", "1.2.3", "10.0.0.", "12:30", "a-b_c", "5060", "10,0,0,21", "10.0.0.256", "1.10.0.0.22",
	};

	for (unsigned i = 0; i < sizeof(inside) / sizeof(*inside); i++)
		if (!names_inside(*state, "core", inside[i]))
			fail_msg("\"%s\" names the inside, and passed", inside[i]);
	for (unsigned i = 0; i < sizeof(outside) / sizeof(*outside); i++)
		if (names_inside(*state, "core", outside[i]))
			fail_msg("\"%s\" names nothing inside, and was dropped", outside[i]);
}

/* Escapes do not help, nor what stands around a name. */
static void names_in_disguise(void **state)
{
	static const char *const inside[] = {
		"sip:a@10%2E0%2e0.21", "<sip:x@y?Call-Info=%3Csip:app.inside.example%3E>", "\"10\\.0.0.21\"", "%31%30.0.0.21",
		"id-app.inside.example-5060", "app.inside.example-5060", "1-2-app.inside.example", "[::ffff:a00:15]", "::ffff:a00:15",
	};

	for (unsigned i = 0; i < sizeof(inside) / sizeof(*inside); i++)
		if (!names_inside(*state, "core", inside[i]))
			fail_msg("\"%s\" names the inside, and passed", inside[i]);
	assert_false(names_inside(*state, "core", "sip:a%40b@10%2E0.0.22"));
	assert_false(names_inside(*state, "core", "a-b-c-d-e-f-g-h-i-10"));
}

/* A text with escapes that is too long to be looked through counts as naming the inside. */
static void endless_escapes_end_here(void **state)
{
	char text[HIDE_ESCAPED_MAX + 64];

	memset(text, ';', sizeof(text));
	snprintf(text, sizeof(text), "X-Text: ");
	memset(text + 8, ';', HIDE_ESCAPED_MAX);
	memcpy(text + 8 + HIDE_ESCAPED_MAX - 3, "%41", 3);
	memcpy(text + 8 + HIDE_ESCAPED_MAX, "\r\n", 3);
	passes(*state, text);
	memcpy(text + 8 + HIDE_ESCAPED_MAX, ";\r\n", 4);
	ends_here(*state, text);
}

/* What the sender calls his dialog, his transaction and his software is his own, wherever it stands. */
static void identifiers_end_here(void **state)
{
	static const char head[] = "INFO sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP v;branch=z9hG4bKbranch77\r\nFrom: <sip:a@x>;tag=from-tag-1\r\n"
				   "To: <sip:b@x>;tag=to-tag-01\r\nCall-ID: call-id-0\r\nCSeq: 1 INFO\r\nMax-Forwards: 70\r\n"
				   "User-Agent: Phone 1.0\r\nServer: Server 2.0\r\n";
	static const char *const words[] = { "z9hG4bKbranch77", "from-tag-1", "to-tag-01", "call-id-0", "Phone 1.0", "Server 2.0" };
	struct rig *r = *state;

	for (unsigned i = 0; i < 6; i++) {
		struct addr source = { .family = 4 };
		struct view_fault fault;
		struct view v;
		struct hide h;
		int n = snprintf(r->text, sizeof(r->text) - 64, "%sContent-Length: 0\r\n\r\n", head);
		char text[64];

		memset(r->text + n, 0, 64);
		assert_int_equal(view_scan(&v, r->text, (size_t)n, false, &fault), 0);
		hide_begin(&h, r->index, (uint16_t)conf_find_zone(r->conf, SV("core")), &source, &v, &r->counters);
		snprintf(text, sizeof(text), "(as %s!)", words[i]);
		assert_true(hide_names_inside(&h, sv_from(text)));
		text[4] ^= 1;
		assert_false(hide_names_inside(&h, sv_from(text)));
	}
}

/* The type of a body stays, its parameters may not. */
static void types_of_bodies(void **state)
{
	passes(*state, "Content-Type: text/plain;charset=utf-8\r\n");
	becomes(*state, "Content-Type: message/x;at=10.0.0.21 ; boundary=\"a b\";from=app.inside.example\r\n",
	        "Content-Type: message/x;boundary=\"a b\"\r\n");
	becomes(*state, "c: text/plain;x=10.0.0.21\r\n", "c: text/plain\r\n");
	becomes(*state, "Supported: replaces, 10.0.0.21, x\r\n", "Supported: replaces, x\r\n");
	ends_here(*state, "Allow: INVITE, 10.0.0.21\r\nEvent: presence;id=10.0.0.21\r\n");
}

static const char *address_of(struct rig *r, const char *value)
{
	struct addr source = { .family = 4 };
	struct view v = { .base = r->text };
	struct arena a;
	struct hide h;
	struct sv out;

	if (hide_address_is_plain(sv_from(value)))
		return value;
	arena_init(&a, r->area, sizeof(r->area), sizeof(r->area));
	hide_begin(&h, r->index, (uint16_t)conf_find_zone(r->conf, SV("core")), &source, &v, &r->counters);
	out = hide_address(&a, &h, sv_from(value));
	snprintf(r->text, sizeof(r->text), "%.*s", SV_ARG(out));
	arena_reset(&a);
	return r->text;
}

/* From and To keep their URI; a display name and parameters that name the inside go. */
static void addresses_keep_their_uri(void **state)
{
	static const char *const same[] = { "\"Alice A\" <sip:a@10.0.0.21>;tag=x", "<sip:a@10.0.0.21>", "sip:a@b;tag=1", "\"A. B.\" <sip:a@b;user=phone>;x=y" };

	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(address_of(*state, same[i]), same[i]);
	assert_string_equal(address_of(*state, "\"at 10.0.0.21\" <sip:a@10.0.0.21;maddr=10.0.0.21;user=phone?a=10.0.0.21>;x=app.inside.example;tag=10.0.0.21"),
	                    "<sip:a@10.0.0.21;user=phone>;tag=10.0.0.21");
	assert_string_equal(address_of(*state, "\"<10.0.0.21\" <sip:a@b>;tag=x"), "<sip:a@b>;tag=x"); /* the first < is no URI's */
}

/* Each zone has its own inside. */
static void the_other_zone_is_no_secret_from_itself(void **state)
{
	assert_true(names_inside(*state, "public", "203.0.113.10"));
	assert_false(names_inside(*state, "public", "10.0.0.21"));
	assert_false(names_inside(*state, "core", "203.0.113.10"));
}

/* A value too long to be looked through counts as naming the inside: work per message is bounded. */
static void endless_values_end_here(void **state)
{
	char text[1800] = "";

	for (unsigned i = 0; i < HIDE_RUNS_MAX; i++)
		strcat(text, "a ");
	assert_false(names_inside(*state, "core", text));
	strcat(text, "a a a");
	assert_true(names_inside(*state, "core", text));
}

/* Random printable bytes: no crash, no over-read (ASan), and an address put among them is found. */
static void random_values(void **state)
{
	uint64_t x = 88172645463325252ULL;
	char text[200];

	for (unsigned i = 0; i < 20000; i++) {
		size_t len = i % 150;

		for (size_t k = 0; k < len; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			text[k] = (char)(' ' + x % 95);
		}
		text[len] = '\0';
		names_inside(*state, "core", text);
		memcpy(text + len, " 10.0.0.21 ", 12);
		if (!names_inside(*state, "core", text))
			fail_msg("passed: %s", text);
	}
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_open, rig_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_header_has_a_class),
		WITH_RIG(end_to_end_headers_pass_as_they_are),
		WITH_RIG(ours_hop_by_hop_and_private_end_here),
		WITH_RIG(names_of_dialogs_end_here),
		WITH_RIG(identities_go_by_trust),
		WITH_RIG(identities_lose_inside_hosts),
		WITH_RIG(identities_with_identifiers_end_here),
		WITH_RIG(endless_words_end_here),
		WITH_RIG(endless_identities_end_here),
		WITH_RIG(identities_by_zone),
		WITH_RIG(preferred_identities),
		WITH_RIG(privacy),
		WITH_RIG(endless_privacy),
		WITH_RIG(signatures_by_zone),
		cmocka_unit_test(masked_hosts),
		WITH_RIG(option_tags),
		WITH_RIG(option_tags_fit_as_they_came),
		WITH_RIG(challenges),
		WITH_RIG(warnings),
		WITH_RIG(checked_headers),
		WITH_RIG(unknown_headers),
		WITH_RIG(order_is_kept),
		WITH_RIG(contact_parameters),
		WITH_RIG(what_names_the_inside),
		WITH_RIG(names_in_disguise),
		WITH_RIG(endless_escapes_end_here),
		WITH_RIG(identifiers_end_here),
		WITH_RIG(types_of_bodies),
		WITH_RIG(addresses_keep_their_uri),
		WITH_RIG(the_other_zone_is_no_secret_from_itself),
		WITH_RIG(endless_values_end_here),
		WITH_RIG(random_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
