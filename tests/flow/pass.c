/* tests/flow/pass.c - registrars behind us (`mode: pass`, `mode: front`; RFC 3665 §2, RFC 3327, RFC 3608). Bob is the registrar. */
#include "tests/flow/flow.h"
#include "registrar/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define PHONE "192.0.2.10:5060"
#define OTHER "192.0.2.11:5060"
#define MALLORY "198.51.100.66:5060"
#define ROUTES \
	"routes: [{ when: { method: REGISTER, caller: any }, to: registrar }, { when: { zone: public }, to: { pool: apps } }, " \
	"{ when: { zone: core }, to: { pool: apps } }]\n"
#define POOLS "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
#define PASS FLOW_ZONES POOLS ROUTES "registrar: { example.com: { mode: pass, pool: apps } }\n"
#define PATH FLOW_ZONES POOLS ROUTES "registrar: { example.com: { mode: pass, pool: apps, contact: path } }\n"
#define FRONT FLOW_ZONES POOLS ROUTES \
	"registrar: { example.com: { mode: front, pool: apps, front: { client: 60s, upstream: 1h } } }\n"

struct client {
	struct rig *rig;
	struct got got, at_bob;
	const char *from, *to, *contact, *call_id, *tag;
	unsigned cseq, branch;
	char token[128];               /* the URI that Bob has of it */
};

static struct client client_of(struct rig *rig, const char *from)
{
	return (struct client){ .rig = rig, .from = from, .to = EDGE, .contact = "<sip:alice@192.168.1.7:5060>", .call_id = "reg-1@phone", .tag = "a" };
}

/* What Alice asks of the registrar; `lines` each with its "\n". */
static void asks(struct client *c, const char *lines)
{
	c->cseq++;
	rig_say(c->rig, c->from, c->to, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.168.1.7:5060;branch=z9hG4bK%s%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=%s%u\nTo: <sip:alice@example.com>\nCall-ID: %s\nCSeq: %u REGISTER\n%s",
	        c->call_id, ++c->branch, c->tag, c->cseq, c->call_id, c->cseq, lines);
}

static void asks_for(struct client *c, unsigned seconds, const char *more)
{
	char lines[512];

	snprintf(lines, sizeof(lines), "Contact: %s;expires=%u\n%s", c->contact, seconds, more);
	asks(c, lines);
}

/* The URI of a Contact, or of Path. */
static void uri_of(const char *value, char out[128])
{
	const char *begin = strchr(value, '<'), *stop = begin ? strchr(begin, '>') : NULL;

	assert_non_null(stop);
	assert_true(stop - begin < 128);
	snprintf(out, 128, "%.*s", (int)(stop - begin - 1), begin + 1);
}

static void expect_at_bob(struct client *c)
{
	rig_expect(c->rig, BOB, "REGISTER sip:example.com SIP/2.0", &c->at_bob);
	assert_null(memmem(c->at_bob.v.base, c->at_bob.v.len, "192.168.1.7", 11));
	assert_null(memmem(c->at_bob.v.base, c->at_bob.v.len, "192.0.2.1", 9));
	if (c->at_bob.v.first[HDR_CONTACT])
		uri_of(got_value(&c->at_bob, HDR_CONTACT), c->token);
}

static void bob_says(struct client *c, unsigned status, const char *lines)
{
	flow_answer(c->rig, BOB, CORE, &c->at_bob, status, "<sip:alice@example.com>;tag=b", NULL, lines, "");
}

/* A 200 of Bob's that lists `token` and whatever else. */
static void bob_grants(struct client *c, unsigned seconds, const char *more)
{
	char lines[1024];

	snprintf(lines, sizeof(lines), "Contact: <%s>;expires=%u\n%s", c->token, seconds, more);
	bob_says(c, 200, lines);
}

static void registers(struct client *c)
{
	asks_for(c, 3600, "");
	expect_at_bob(c);
	bob_grants(c, 1800, "");
	rig_expect(c->rig, c->from, "SIP/2.0 200", &c->got);
}

static size_t bindings(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

static size_t count(const struct got *g, enum hdr_id id)
{
	size_t n = 0;

	for (unsigned i = 0; i < g->v.n; i++)
		n += g->v.h[i].id == id;
	return n;
}

static void done(struct client *c)
{
	got_free(&c->got);
	got_free(&c->at_bob);
}

static void end(struct rig *rig)
{
	rig_after(rig, 7 * 86400 * 1000);
	rig_forget(rig, BOB);
	rig_forget(rig, PHONE);
	rig_forget(rig, OTHER);
	assert_int_equal(bindings(rig), 0);
	rig_free(rig, true);
}

/* RFC 5626: the answer comes when the client's connection has gone: the contact goes as if it had been there before. */
static void a_connection_closes_before_the_answer(void **state)
{
	struct client c = client_of(rig_new(PASS, 2, 1), PHONE);

	(void)state;
	c.rig->has_flows = true;
	c.to = EDGE_TCP;
	asks_for(&c, 3600, "");
	expect_at_bob(&c);
	rig_close(c.rig, PHONE);
	rig_after(c.rig, 100);
	bob_grants(&c, 1800, "");
	assert_int_equal(bindings(c.rig), 1);
	rig_after(c.rig, 11000);
	assert_int_equal(bindings(c.rig), 0);
	rig_forget(c.rig, PHONE);
	registers(&c); /* over another one */
	rig_after(c.rig, 11000);
	assert_int_equal(bindings(c.rig), 1);
	done(&c);
	end(c.rig);
}

/* RFC 3665 §2.1: asked who he is by the registrar, not by us; each side sees its own names. */
static void a_registration_passes_with_its_challenge(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);
	char call_id[64];

	(void)state;
	asks_for(&c, 3600, "");
	expect_at_bob(&c);
	assert_true(strstr(c.token, "@10.0.0.10") != NULL);
	snprintf(call_id, sizeof(call_id), "%s", got_value(&c.at_bob, HDR_CALL_ID));
	bob_says(&c, 401, "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n1\"\n");
	rig_expect(c.rig, PHONE, "SIP/2.0 401", &c.got);
	assert_string_equal(got_value(&c.got, HDR_WWW_AUTHENTICATE), "Digest realm=\"example.com\", nonce=\"n1\"");
	assert_int_equal(bindings(c.rig), 0);
	asks_for(&c, 3600, "Authorization: Digest username=\"alice\",realm=\"example.com\",nonce=\"n1\",uri=\"sip:example.com\",response=\"x\"\n");
	expect_at_bob(&c);
	assert_string_equal(got_value(&c.at_bob, HDR_CALL_ID), call_id);
	assert_int_equal(c.at_bob.v.cseq, 2);
	assert_int_equal(count(&c.at_bob, HDR_AUTHORIZATION), 1);
	bob_grants(&c, 1800, "P-Associated-URI: <sip:alice@example.com>\n");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.168.1.7:5060>;expires=1800");
	assert_int_equal(bindings(c.rig), 1);
	done(&c);
	end(c.rig);
}

/* DECISIONS 34: over refreshes and a new port the registrar has one contact of it, in one line of requests. */
static void a_refresh_names_the_same_contact(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);
	char token[128], call_id[64];

	(void)state;
	registers(&c);
	snprintf(token, sizeof(token), "%s", c.token);
	snprintf(call_id, sizeof(call_id), "%s", got_value(&c.at_bob, HDR_CALL_ID));
	c.from = OTHER;
	registers(&c);
	assert_string_equal(c.token, token);
	assert_string_equal(got_value(&c.at_bob, HDR_CALL_ID), call_id);
	assert_int_equal(c.at_bob.v.cseq, 2);
	assert_int_equal(bindings(c.rig), 1);
	done(&c);
	end(c.rig);
}

static void bob_calls(struct client *c, const char *from, const char *at, const char *uri, const char *more)
{
	static unsigned n;

	rig_say(c->rig, from, at, "",
	        "OPTIONS %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKbob%u\nMax-Forwards: 70\nFrom: <sip:bob@example.com>;tag=bob\n"
	        "To: <sip:alice@example.com>\nCall-ID: from-bob-%u\nCSeq: 1 OPTIONS\n%s", uri, from, n, n, more);
	n++;
}

/* What the registrar knows of her leads to her, by her own Contact and over her flow. */
static void a_request_for_our_contact_reaches_the_client(void **state)
{
	struct client c = client_of(rig_new(PASS, 8, 1), PHONE);

	(void)state;
	registers(&c);
	bob_calls(&c, BOB, CORE, c.token, "");
	rig_expect(c.rig, PHONE, "OPTIONS sip:alice@192.168.1.7:5060 SIP/2.0", &c.got);
	assert_null(memmem(c.got.v.base, c.got.v.len, "10.0.0.", 7));
	flow_answer(c.rig, PHONE, EDGE, &c.got, 200, "<sip:alice@example.com>;tag=x", NULL, "", "");
	rig_expect(c.rig, BOB, "SIP/2.0 200", &c.at_bob);
	assert_null(memmem(c.at_bob.v.base, c.at_bob.v.len, "192.", 4));
	done(&c);
	end(c.rig);
}

/* Only who is behind us may use it; and nothing that is gone leads anywhere. */
static void our_contact_is_for_the_registrar_alone(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);
	char uri[128];

	(void)state;
	registers(&c);
	bob_calls(&c, MALLORY, EDGE, c.token, "");
	rig_expect(c.rig, MALLORY, "SIP/2.0 404", &c.got);
	bob_calls(&c, "10.9.9.9:5060", CORE, c.token, ""); /* in the registrar's zone, and none of those that it trusts */
	rig_expect(c.rig, "10.9.9.9:5060", "SIP/2.0 404", &c.got);
	rig_expect_silence(c.rig, PHONE);
	snprintf(uri, sizeof(uri), "%s", c.token);
	asks_for(&c, 0, "");
	expect_at_bob(&c);
	assert_string_equal(got_value(&c.at_bob, HDR_CONTACT) + strlen(got_value(&c.at_bob, HDR_CONTACT)) - 10, ";expires=0");
	bob_says(&c, 200, "");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_int_equal(count(&c.got, HDR_CONTACT), 0);
	assert_int_equal(bindings(c.rig), 0);
	bob_calls(&c, BOB, CORE, uri, "");
	rig_expect(c.rig, BOB, "SIP/2.0 404", &c.at_bob);
	done(&c);
	end(c.rig);
}

/* Two phones of one AOR: the registrar lists both, each hears of itself. */
static void a_client_sees_its_own_contacts_only(void **state)
{
	struct rig *rig = rig_new(PASS, 2, 1);
	struct client a = client_of(rig, PHONE), b = client_of(rig, OTHER);
	char both[512];

	(void)state;
	registers(&a);
	b.contact = "<sip:alice@192.168.1.8:5060>;q=0.7";
	b.call_id = "reg-2@phone";
	asks_for(&b, 3600, "");
	expect_at_bob(&b);
	assert_non_null(strstr(got_value(&b.at_bob, HDR_CONTACT), ";q=0.700"));
	snprintf(both, sizeof(both), "Contact: <%s>;expires=1700, <sip:alice@203.0.113.99>;expires=5\n", a.token);
	bob_grants(&b, 1800, both);
	rig_expect(rig, OTHER, "SIP/2.0 200", &b.got);
	assert_int_equal(count(&b.got, HDR_CONTACT), 1);
	assert_string_equal(got_value(&b.got, HDR_CONTACT), "<sip:alice@192.168.1.8:5060>;q=0.700;expires=1800");
	assert_int_equal(bindings(rig), 2);
	/* RFC 3665 §2.3: what is there? */
	asks(&a, "");
	expect_at_bob(&a);
	assert_int_equal(count(&a.at_bob, HDR_CONTACT), 0);
	snprintf(both, sizeof(both), "Contact: <%s>;expires=1600, <%s>;expires=1500\n", a.token, b.token);
	bob_says(&a, 200, both);
	rig_expect(rig, PHONE, "SIP/2.0 200", &a.got);
	assert_int_equal(count(&a.got, HDR_CONTACT), 1);
	assert_int_equal(bindings(rig), 2);
	/* RFC 3665 §2.4: `*` is about her own. */
	asks(&a, "Contact: *\nExpires: 0\n");
	expect_at_bob(&a);
	assert_int_equal(count(&a.at_bob, HDR_CONTACT), 1);
	assert_non_null(strstr(got_value(&a.at_bob, HDR_CONTACT), ";expires=0"));
	snprintf(both, sizeof(both), "Contact: <%s>;expires=1500\n", b.token);
	bob_says(&a, 200, both);
	rig_expect(rig, PHONE, "SIP/2.0 200", &a.got);
	assert_int_equal(bindings(rig), 1);
	done(&a);
	done(&b);
	end(rig);
}

/* RFC 3665 §2.5, and 423: what the registrar refuses changes nothing. */
static void a_refusal_changes_nothing(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);

	(void)state;
	registers(&c);
	asks_for(&c, 5, "");
	expect_at_bob(&c);
	bob_says(&c, 423, "Min-Expires: 60\n");
	rig_expect(c.rig, PHONE, "SIP/2.0 423", &c.got);
	assert_string_equal(got_value(&c.got, HDR_MIN_EXPIRES), "60");
	asks_for(&c, 3600, "");
	expect_at_bob(&c);
	bob_says(&c, 403, "");
	rig_expect(c.rig, PHONE, "SIP/2.0 403", &c.got);
	assert_int_equal(bindings(c.rig), 1);
	/* a 200 that says nothing of it is another matter */
	asks_for(&c, 3600, "");
	expect_at_bob(&c);
	bob_says(&c, 200, "");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_int_equal(bindings(c.rig), 0);
	done(&c);
	end(c.rig);
}

/* RFC 3327: her Contact as it is, and a Path of ours that leads back. */
static void with_path_the_contact_stays(void **state)
{
	struct client c = client_of(rig_new(PATH, 2, 1), PHONE);
	char route[160];

	(void)state;
	asks_for(&c, 3600, "");
	rig_expect(c.rig, BOB, "REGISTER", &c.at_bob);
	assert_string_equal(got_value(&c.at_bob, HDR_CONTACT), "<sip:alice@192.168.1.7:5060>;expires=3600");
	uri_of(got_value(&c.at_bob, HDR_PATH), c.token);
	assert_non_null(strstr(c.token, ";lr"));
	bob_says(&c, 200, "Contact: <sip:alice@192.168.1.7:5060>;expires=1200\n");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.168.1.7:5060>;expires=1200");
	assert_int_equal(count(&c.got, HDR_PATH), 0);
	snprintf(route, sizeof(route), "Route: <%s>\n", c.token);
	bob_calls(&c, BOB, CORE, "sip:alice@192.168.1.7:5060", route);
	rig_expect(c.rig, PHONE, "OPTIONS sip:alice@192.168.1.7:5060 SIP/2.0", &c.got);
	assert_int_equal(count(&c.got, HDR_ROUTE), 0);
	flow_answer(c.rig, PHONE, EDGE, &c.got, 200, "<sip:alice@example.com>;tag=x", NULL, "", "");
	rig_expect(c.rig, BOB, "SIP/2.0 200", &c.at_bob);
	done(&c);
	end(c.rig);
}

/* RFC 3608: where her requests are to go first is between the registrar and us. */
static void a_service_route_is_kept_and_used(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);

	(void)state;
	asks_for(&c, 3600, "");
	expect_at_bob(&c);
	bob_grants(&c, 1800, "Service-Route: <sip:orig@10.0.0.77;lr>\n");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_int_equal(count(&c.got, HDR_SERVICE_ROUTE), 0);
	assert_null(memmem(c.got.v.base, c.got.v.len, "10.0.0.", 7));
	rig_say(c.rig, PHONE, EDGE, "",
	        "MESSAGE sip:carol@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.168.1.7:5060;branch=z9hG4bKmsg;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=m\nTo: <sip:carol@example.com>\nCall-ID: msg\nCSeq: 1 MESSAGE\n");
	rig_expect(c.rig, BOB, "MESSAGE sip:carol@example.com SIP/2.0", &c.at_bob);
	assert_string_equal(got_value(&c.at_bob, HDR_ROUTE), "<sip:orig@10.0.0.77;lr>");
	flow_answer(c.rig, BOB, CORE, &c.at_bob, 200, "<sip:carol@example.com>;tag=x", NULL, "", "");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	done(&c);
	end(c.rig);
}

/* GRUUs of the registrar (RFC 5627) are hers to use. */
static void gruus_of_the_registrar_pass(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);

	(void)state;
	c.contact = "<sip:alice@192.168.1.7:5060>;+sip.instance=\"<urn:uuid:1>\"";
	asks_for(&c, 3600, "Supported: gruu\n");
	expect_at_bob(&c);
	assert_non_null(strstr(got_value(&c.at_bob, HDR_CONTACT), ";+sip.instance=\"<urn:uuid:1>\""));
	assert_non_null(strstr(got_value(&c.at_bob, HDR_SUPPORTED), "gruu"));
	{
		char lines[512];

		snprintf(lines, sizeof(lines), "Contact: <%s>;pub-gruu=\"sip:alice@example.com;gr=1\";expires=900\n", c.token);
		bob_says(&c, 200, lines);
	}
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_non_null(strstr(got_value(&c.got, HDR_CONTACT), ";pub-gruu=\"sip:alice@example.com;gr=1\""));
	done(&c);
	end(c.rig);
}

/* More Contacts than anybody has, times that are none, schemes that are none. */
static void a_hostile_registrar_does_no_harm(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);
	char *lines = calloc(1, 8000);
	size_t n = 0;

	(void)state;
	asks_for(&c, 3600, "");
	expect_at_bob(&c);
	n += (size_t)sprintf(lines, "Contact: <%s>;expires=99999999999999\n", c.token);
	for (unsigned i = 0; i < 80; i++)
		n += (size_t)sprintf(lines + n, "Contact: <sip:x%u@10.9.9.9>;expires=%d\n", i, (int)i - 40);
	sprintf(lines + n, "Contact: *\nService-Route: nonsense\n");
	bob_says(&c, 200, lines);
	free(lines);
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.168.1.7:5060>;expires=604800");
	assert_int_equal(count(&c.got, HDR_CONTACT), 1);
	assert_int_equal(bindings(c.rig), 1);
	done(&c);
	end(c.rig);
}

static void the_registrar_does_not_answer(void **state)
{
	struct client c = client_of(rig_new(PASS, 1, 1), PHONE);

	(void)state;
	asks_for(&c, 3600, "");
	rig_after(c.rig, 33000);
	rig_expect(c.rig, PHONE, "SIP/2.0 408", &c.got);
	assert_int_equal(bindings(c.rig), 0);
	done(&c);
	end(c.rig);
}

/* front ---------------------------------------------------------------------------------------------------------------- */

#define PROOF(nonce, nc) \
	"Authorization: Digest username=\"alice\",realm=\"example.com\",nonce=\"" nonce "\",uri=\"sip:example.com\",qop=auth,nc=0000000" nc \
	",cnonce=\"c\",response=\"0123456789abcdef0123456789abcdef\"\n"

static struct client fronted_for(unsigned seconds)
{
	struct client c = client_of(rig_new(FRONT, 2, 1), PHONE);

	asks_for(&c, 3600, PROOF("n1", "1"));
	expect_at_bob(&c);
	assert_non_null(strstr(got_value(&c.at_bob, HDR_CONTACT), ";expires=3600"));
	bob_grants(&c, seconds, "");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.168.1.7:5060>;expires=60");
	return c;
}

static struct client fronted(void)
{
	return fronted_for(3600);
}

static void expect_absorbed(struct client *c, const char *lines)
{
	asks_for(c, 3600, lines);
	rig_expect(c->rig, c->from, "SIP/2.0 200", &c->got);
	assert_string_equal(got_value(&c->got, HDR_CONTACT), "<sip:alice@192.168.1.7:5060>;expires=60");
	rig_expect_silence(c->rig, BOB);
}

/* Refreshes end here for half of what was granted; then one passes. */
static void refreshes_end_at_the_edge(void **state)
{
	struct client c = fronted();

	(void)state;
	for (unsigned i = 0; i < 35; i++) {
		rig_after(c.rig, 50000);
		expect_absorbed(&c, PROOF("n1", "2"));
	}
	rig_after(c.rig, 50100);
	asks_for(&c, 3600, PROOF("n1", "3"));
	expect_at_bob(&c);
	bob_grants(&c, 3600, "");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	rig_after(c.rig, 50000);
	expect_absorbed(&c, PROOF("n1", "4"));
	assert_int_equal(bindings(c.rig), 1);
	rig_after(c.rig, 61000);
	assert_int_equal(bindings(c.rig), 0); /* it did not come back */
	done(&c);
	end(c.rig);
}

/* LESSONS 54: nobody is let in on another's credentials. Whatever is not the same goes to the registrar. */
static void what_is_not_a_mere_refresh_passes(void **state)
{
	static const struct { const char *from, *contact, *call_id, *proof; } others[] = {
		{ OTHER, NULL, NULL, PROOF("n1", "2") },
		{ NULL, "<sip:alice@192.168.1.8:5060>", NULL, PROOF("n1", "2") },
		{ NULL, "<sip:alice@192.168.1.7:5060>;q=0.5", NULL, PROOF("n1", "2") },
		{ NULL, "<sip:alice@192.168.1.7:5060>;methods=\"INVITE\"", NULL, PROOF("n1", "2") },
		{ NULL, "<sip:alice@192.168.1.7:5060>, <sip:alice@192.168.1.8>", NULL, PROOF("n1", "2") },
		{ NULL, NULL, "another@phone", PROOF("n1", "2") },
		{ NULL, NULL, NULL, "" },
		{ NULL, NULL, NULL, PROOF("n2", "1") },
		{ NULL, NULL, NULL, "Authorization: nonsense\n" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct client c = fronted();

		c.from = others[i].from ? others[i].from : c.from;
		c.contact = others[i].contact ? others[i].contact : c.contact;
		c.call_id = others[i].call_id ? others[i].call_id : c.call_id;
		asks_for(&c, 3600, others[i].proof);
		rig_expect(c.rig, BOB, "REGISTER", &c.at_bob);
		rig_expect_silence(c.rig, c.from);
		bob_says(&c, 403, "");
		rig_expect(c.rig, c.from, "SIP/2.0 403", &c.got);
		assert_int_equal(bindings(c.rig), 1);
		done(&c);
		end(c.rig);
	}
	struct client c = fronted();

	asks_for(&c, 0, PROOF("n1", "2")); /* leaving is for the registrar to hear */
	expect_at_bob(&c);
	bob_says(&c, 200, "");
	rig_expect(c.rig, PHONE, "SIP/2.0 200", &c.got);
	assert_int_equal(bindings(c.rig), 0);
	done(&c);
	end(c.rig);
}

struct records {
	struct registrar_sink sink;
	char bytes[8][2048];
	struct sv of[8];
	unsigned n;
};

static void put(struct registrar_sink *sink, uint64_t key, struct sv record)
{
	struct records *r = owner_of(sink, struct records, sink);

	(void)key;
	assert_true(r->n < 8 && record.len <= sizeof(r->bytes[0]));
	memcpy(r->bytes[r->n], record.p, record.len);
	r->of[r->n] = (struct sv){ r->bytes[r->n], record.len };
	r->n++;
}

/* The other node knows her by the same token, and absorbs as the first one did. */
static void goes_on_elsewhere(unsigned granted_s)
{
	struct client c = fronted_for(granted_s);
	struct records r = { .sink = { .put = put } };
	struct rig *next = rig_new(FRONT, 3, 2);

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(registrar_export(c.rig->workers[i].registrar, c.rig->conf, &r.sink), 0);
	assert_int_equal(r.n, 1);
	done(&c);
	end(c.rig);
	c.rig = next;
	for (unsigned i = 0; i < r.n; i++) {
		unsigned shard = registrar_record_shard(next->workers[0].registrar, r.of[i]);

		assert_int_equal(registrar_apply(next->workers[shard % 3].registrar, next->conf, r.of[i]), 0);
	}
	expect_absorbed(&c, PROOF("n1", "2"));
	bob_calls(&c, BOB, CORE, c.token, "");
	rig_expect(next, PHONE, "OPTIONS sip:alice@192.168.1.7:5060 SIP/2.0", &c.got);
	flow_answer(next, PHONE, EDGE, &c.got, 200, "<sip:alice@example.com>;tag=x", NULL, "", "");
	rig_expect(next, BOB, "SIP/2.0 200", &c.at_bob);
	done(&c);
	end(next);
}

static void a_second_node_goes_on(void **state)
{
	(void)state;
	goes_on_elsewhere(3600);
	goes_on_elsewhere(UINT32_MAX); /* there are registrars that say so */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registration_passes_with_its_challenge),
		cmocka_unit_test(a_refresh_names_the_same_contact),
		cmocka_unit_test(a_connection_closes_before_the_answer),
		cmocka_unit_test(a_request_for_our_contact_reaches_the_client),
		cmocka_unit_test(our_contact_is_for_the_registrar_alone),
		cmocka_unit_test(a_client_sees_its_own_contacts_only),
		cmocka_unit_test(a_refusal_changes_nothing),
		cmocka_unit_test(with_path_the_contact_stays),
		cmocka_unit_test(a_service_route_is_kept_and_used),
		cmocka_unit_test(gruus_of_the_registrar_pass),
		cmocka_unit_test(a_hostile_registrar_does_no_harm),
		cmocka_unit_test(the_registrar_does_not_answer),
		cmocka_unit_test(refreshes_end_at_the_edge),
		cmocka_unit_test(what_is_not_a_mere_refresh_passes),
		cmocka_unit_test(a_second_node_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
