#include "tests/flow/game.h"
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { HEARD = 24, SAID = 12, DAY_MS = 86400000 };

#define ENEMY_POOLS(more) \
	"pools: { apps: { zone: core, probe: off, balance: round-robin, failover: { after: 2s, on: [503], tries: 3 }" more ", destinations: [" \
	"{ name: bob, uri: \"sip:10.0.0.21:5060\" }, { name: carol, uri: \"sip:10.0.0.22:5060;transport=tcp\" }, " \
	"{ name: dave, uri: \"sip:dave.example.net\" }] } }\n"
#define ENEMY_YAML(head, public, core, pool, route) \
	"node: test\n" head \
	"zones:\n" \
	"  public:\n" \
	"    listen: [\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\"]\n" \
	"    domains: [\"example.com\"]\n" \
	"    session: { expires: 10m, ping: 5m }\n" public \
	"  core:\n" \
	"    listen: [\"udp:10.0.0.10:5060\", \"tcp:10.0.0.10:5060\"]\n" \
	"    trust: [\"10.0.0.0/24\"]\n" \
	"    session: { ping: 7m }\n" core \
	ENEMY_POOLS(pool) \
	"routes:\n" \
	"  - { when: { zone: public, caller: any }, relay: true, to: { pool: apps }" route " }\n" \
	"  - { when: { zone: core }, to: { pool: apps } }\n"

/* By seed: as little as there can be, or a rule for everything. */
static const char *const yamls[] = {
	ENEMY_YAML("", "", "", "", ""),
	ENEMY_YAML("hiding: { guard: block }\n"
	           "headers:\n"
	           "  every: [{ remove: [Warning, \"X-*\"] }, { set: X-Set, value: \"${from-user}/${source-address}\" }, { add: X-Add, value: one }, "
	           "{ rename: Diversion, to: X-Old }, { copy: Reason, to: X-Reason }, { keep: [User-Agent] }, { mask: [Call-Info] }]\n",
	           "    headers: { in: every, out: every }\n    privacy: { mask: [from, to, pai, sdp-origin], identity: remove }\n"
	           "    identity: mask\n",
	           "    headers: { in: every, out: every }\n    privacy: { mask: [sdp-origin] }\n    preferred-identity: assert\n",
	           ", headers: { in: every, out: every }", ", headers: { in: every, out: every }, redirects: follow"),
};

#define REPORT \
	"<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\" entity=\"sip:b@10.0.0.21\">" \
	"<dialog id=\"a\" call-id=\"x\" local-tag=\"y\"><state>early</state></dialog></dialog-info>"

struct heard {
	struct packet *p;
	struct view v;
};

struct enemy {
	struct rig *rig;
	struct heard heard[HEARD];
	struct packet *said[SAID];
	char text[16384], body[1024];
	size_t len;
	unsigned n;                  /* of what he says; CSeq numbers follow it */
	const char *yaml;
	const struct game_rules *rules;
};

static unsigned roll(struct enemy *e, unsigned n)
{
	return (unsigned)rig_random(e->rig, n);
}

#define PICK(e, list) ((list)[roll((e), sizeof(list) / sizeof(*(list)))])

/* What the node says ----------------------------------------------------------------------------------------------- */

/* A message that cannot be read is answered with its own From and the like, as they came: also when something else was wrong first. */
static bool refuses_unreadable(const char *text)
{
	char start[16];

	for (size_t i = 0; i < view_reasons_count; i++) {
		snprintf(start, sizeof(start), "SIP/2.0 %u ", view_reasons[i].status);
		if (!strncmp(text, start, strlen(start)))
			return true;
	}
	return false;
}

static void on_sent(void *ctx, const struct packet *p)
{
	struct view_fault fault;
	struct view v;

	(void)ctx;
	if (view_scan(&v, p->bytes, p->len, true, &fault) && !refuses_unreadable(p->bytes))
		fail_msg("malformed (%s):\n%s", fault.reason, p->bytes);
}

static void listen_to_node(struct enemy *e)
{
	struct view_fault fault;

	while (!list_empty(&e->rig->inbox)) {
		struct packet *p = owner_of(e->rig->inbox.next, struct packet, in_list);
		struct heard *h = &e->heard[roll(e, HEARD)];

		list_del(&p->in_list);
		free(h->p);
		h->p = p;
		if (view_scan(&h->v, p->bytes, p->len, true, &fault)) {
			free(p);
			h->p = NULL;
		}
	}
}

static struct sv contact_uri_of(const struct view *v)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na;

	return value.len && name_addr_next(&na, &value) == 0 && !na.is_star ? na.uri : SV("");
}

static const struct heard *remember(struct enemy *e, bool is_request)
{
	for (unsigned i = 0; i < 8; i++) {
		const struct heard *h = &e->heard[roll(e, HEARD)];

		if (h->p && (h->v.status == 0) == is_request)
			return h;
	}
	return NULL;
}

/* What he says ----------------------------------------------------------------------------------------------------- */

static void put(struct enemy *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct enemy *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->text + e->len, sizeof(e->text) - e->len - 2048, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof(e->text) - e->len - 2048);
	e->len += (size_t)n;
	e->len += (size_t)sprintf(e->text + e->len, "\r\n");
}

static void send_packet(struct enemy *e, const struct addr *from, uint16_t listener, const char *bytes, size_t len)
{
	rig_send_bytes(e->rig, from, listener, bytes, len);
}

/* Ends the message, sends it, and keeps it to say it again. */
static void say(struct enemy *e, const struct addr *from, uint16_t listener)
{
	unsigned slot = roll(e, SAID);
	struct packet *p;

	if (*e->body)
		put(e, "Content-Type: %s", *e->body == 'v' ? "application/sdp" : *e->body == '<' ? "application/dialog-info+xml" : "message/sipfrag");
	put(e, "Content-Length: %zu", strlen(e->body));
	put(e, "%s", "");
	e->len += (size_t)sprintf(e->text + e->len, "%s", e->body);
	assert_non_null(p = calloc(1, sizeof(*p) + e->len + BUF_PAD));
	p->from = *from;
	p->listener = listener;
	p->len = e->len;
	memcpy(p->bytes, e->text, e->len);
	free(e->said[slot]);
	e->said[slot] = p;
	send_packet(e, from, listener, e->text, e->len);
}

/* Names a dialog that he has seen somewhere, or nobody. */
static void put_dialog(struct enemy *e, const char *before, const char *between, const char *after)
{
	const struct heard *h = remember(e, roll(e, 2));
	char to[64] = "a", from[64] = "b";
	struct sv id = h ? view_value(&h->v, HDR_CALL_ID) : SV("nobody");

	if (h) {
		snprintf(to, sizeof(to), "%.*s", SV_ARG(view_to_tag(&h->v)));
		snprintf(from, sizeof(from), "%.*s", SV_ARG(view_from_tag(&h->v)));
	}
	put(e, "%s%.*s%sto-tag%s%s%sfrom-tag%s%s%s", before, SV_ARG(id), between, *between == ';' ? "=" : "%3D", roll(e, 2) ? to : from, between,
	    *between == ';' ? "=" : "%3D", roll(e, 2) ? from : to, after);
}

static void put_extra(struct enemy *e)
{
	static const char *const lines[] = {
		"Session-Expires: 90;refresher=uas", "Session-Expires: 1800;refresher=uac", "Session-Expires: 4294967295", "Session-Expires: 5",
		"Min-SE: 120", "Min-SE: 99999999999", "Supported: timer, 100rel, replaces", "Require: 100rel", "Require: timer", "RSeq: 7", "RSeq: 0",
		"Event: presence", "Event: refer", "Event: dialog;id=7", "Event: refer;id=1;x=10.0.0.21", "Subscription-State: active;expires=3600",
		"Subscription-State: terminated;reason=timeout", "Subscription-State: pending", "Expires: 0", "Expires: 600", "Expires: 50000",
		"Refer-To: <sip:carol@example.com>", "Refer-To: <sip:>", "Refer-Sub: false", "Record-Route: <sip:10.0.0.99;lr>",
		"Record-Route: <sip:10.0.0.98>", "Privacy: id", "P-Asserted-Identity: <sip:a@10.0.0.21>", "RAck: 7 1 INVITE", "RAck: 0 0 X",
		"Max-Forwards: 0", "Reason: SIP;cause=200", "Retry-After: 1", "Allow: INVITE, UPDATE", "Contact: <sip:x@10.0.0.77:5070;transport=tcp>",
		"Contact: <sip:x@dave.example.net>", "Contact: *", "Proxy-Require: x", "Warning: 399 10.0.0.21 \"x\"", "Reason: Q.850;cause=16",
		"WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"", "Identity: x", "User-Agent: y", "Call-Info: <http://10.0.0.21/>", "X-Old: 1",
		"P-Preferred-Identity: <sip:b@10.0.0.21>", "Diversion: <sip:x@10.0.0.21>", "Route: <sip:10.0.0.10;lr>",
	};
	unsigned which = roll(e, 8);

	if (which == 0)
		put_dialog(e, "Replaces: ", ";", roll(e, 2) ? "" : ";early-only");
	else if (which == 1)
		put_dialog(e, roll(e, 2) ? "Join: " : "Target-Dialog: ", ";", "");
	else if (which == 2)
		put_dialog(e, "Refer-To: <sip:carol@example.com?Replaces=", "%3B", ">");
	else
		put(e, "%s", PICK(e, lines));
}

static void begin(struct enemy *e)
{
	static const char *const bodies[] = {
		"", "", "", SDP, SDP, "SIP/2.0 200 OK\r\n",
		REPORT,
	};

	e->len = 0;
	e->n++;
	snprintf(e->body, sizeof(e->body), "%s", PICK(e, bodies));
}

static const char *some_method(struct enemy *e)
{
	static const char *const methods[] = { "INVITE", "INVITE", "BYE", "BYE", "UPDATE", "UPDATE", "PRACK", "SUBSCRIBE", "NOTIFY", "NOTIFY",
		                               "REFER", "INFO", "MESSAGE", "OPTIONS", "PUBLISH", "ACK", "ACK", "CANCEL", "FOO" };

	return PICK(e, methods);
}

static struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(text)), 0);
	return a;
}

/* Something new, from either side, often by names used before. */
static void begins_something(struct enemy *e)
{
	static const char *const methods[] = { "INVITE", "INVITE", "INVITE", "INVITE", "SUBSCRIBE", "SUBSCRIBE", "REFER", "MESSAGE", "OPTIONS", "NOTIFY" };
	static const char *const near[] = { ALICE, ALICE, "192.0.2.11:5062" }, *const far[] = { BOB, CAROL };
	bool is_near = roll(e, 4);
	struct addr from = address(is_near ? PICK(e, near) : PICK(e, far));
	const char *method = PICK(e, methods);
	const struct heard *h = roll(e, 6) ? NULL : remember(e, roll(e, 2)); /* to a Contact of the node's */
	struct sv uri = h ? contact_uri_of(&h->v) : SV("");
	bool is_tcp = roll(e, 4) == 0;
	uint16_t listener = rig_listener(e->rig, is_near ? (is_tcp ? EDGE_TCP : EDGE) : is_tcp ? CORE_TCP : CORE);
	char text[ADDR_TEXT];

	begin(e);
	put(e, "%s %.*s SIP/2.0", method, SV_ARG(uri.len ? uri : SV("sip:bob@example.com")));
	put(e, "Via: SIP/2.0/%s %s;branch=z9hG4bK%u%s", is_tcp ? "TCP" : "UDP", addr_print(&from, text), e->n, roll(e, 2) ? ";rport" : "");
	put(e, "From: <sip:alice@example.com>;tag=t%u", roll(e, 3));
	put(e, "To: <sip:bob@example.com>");
	put(e, "Call-ID: c%u", roll(e, 2) ? roll(e, 4) : e->n);
	put(e, "CSeq: %u %s", roll(e, 2) ? 1 : e->n, method);
	put(e, "Contact: <sip:alice@%s>", addr_print(&from, text));
	if (!strcmp(method, "SUBSCRIBE"))
		put(e, "Event: %s", roll(e, 2) ? "presence" : "dialog");
	if (!strcmp(method, "REFER"))
		put(e, "Refer-To: <sip:carol@example.com>");
	for (unsigned i = roll(e, 3); i; i--)
		put_extra(e);
	say(e, &from, listener);
}

static void put_all(struct enemy *e, const struct view *v, enum hdr_id id)
{
	for (unsigned i = 0; i < v->n; i++)
		if (v->h[i].id == id)
			put(e, "%s: %.*s", hdr_id_name(id), SV_ARG(hdr_value(v, &v->h[i])));
}

static void answers_something(struct enemy *e)
{
	static const unsigned finals[] = { 200, 200, 200, 200, 202, 204, 302, 400, 401, 404, 408, 410, 422, 423, 480, 481, 486, 487, 489, 491,
		                           500, 503, 603 };
	static const unsigned provisionals[] = { 100, 180, 180, 183, 199 };
	const struct heard *h = remember(e, true);
	unsigned status = roll(e, 3) ? PICK(e, finals) : PICK(e, provisionals);
	char text[ADDR_TEXT];

	if (!h || (h->v.method == M_ACK && roll(e, 20)))
		return;
	begin(e);
	put(e, "SIP/2.0 %u Whatever", status);
	put_all(e, &h->v, HDR_VIA);
	put_all(e, &h->v, HDR_RECORD_ROUTE);
	put_all(e, &h->v, HDR_FROM);
	put(e, "To: %.*s%s", SV_ARG(view_value(&h->v, HDR_TO)), view_to_tag(&h->v).len || status == 100 ? "" : roll(e, 4) ? ";tag=x" : ";tag=y");
	put_all(e, &h->v, HDR_CALL_ID);
	put_all(e, &h->v, HDR_CSEQ);
	if (roll(e, 5))
		put(e, "Contact: <sip:bob@%s>", addr_print(&h->p->to, text));
	for (unsigned i = roll(e, 3); i; i--)
		put_extra(e);
	say(e, &h->p->to, h->p->listener);
}

/* A request within the dialog of something heard. */
static void goes_on(struct enemy *e)
{
	const struct heard *h = remember(e, roll(e, 2));
	const char *method = some_method(e);
	char text[ADDR_TEXT];
	struct sv uri;
	bool is_uac;

	if (!h)
		return;
	is_uac = h->v.status != 0;
	uri = contact_uri_of(&h->v);
	begin(e);
	put(e, "%s %.*s SIP/2.0", method, SV_ARG(uri.len ? uri : SV("sip:bob@example.com")));
	put(e, "Via: SIP/2.0/UDP %s;branch=z9hG4bK%u", addr_print(&h->p->to, text), e->n);
	put(e, "From: %.*s%s", SV_ARG(view_value(&h->v, is_uac ? HDR_FROM : HDR_TO)), is_uac || view_to_tag(&h->v).len ? "" : ";tag=x");
	put(e, "To: %.*s", SV_ARG(view_value(&h->v, is_uac ? HDR_TO : HDR_FROM)));
	put_all(e, &h->v, HDR_CALL_ID);
	put(e, "CSeq: %u %s", !strcmp(method, "ACK") || roll(e, 8) == 0 ? h->v.cseq : 100 + e->n, method);
	if (roll(e, 3))
		put(e, "Contact: <sip:moved@%s>", addr_print(&h->p->to, text));
	if (!strcmp(method, "NOTIFY") && roll(e, 4))
		put(e, "Event: %s\r\nSubscription-State: %s", roll(e, 2) ? "refer" : "presence", roll(e, 3) ? "active;expires=300" : "terminated");
	if (!strcmp(method, "REFER"))
		put(e, "Refer-To: <sip:carol@example.com>");
	if (!strcmp(method, "PRACK"))
		put(e, "RAck: 7 %u INVITE", h->v.cseq);
	for (unsigned i = roll(e, 3); i; i--)
		put_extra(e);
	say(e, &h->p->to, h->p->listener);
}

/* The CANCEL or ACK of something he said, or that again. */
static void comes_back_to_it(struct enemy *e)
{
	const struct packet *p = e->said[roll(e, SAID)];
	const char *method = roll(e, 2) ? "CANCEL" : "ACK";
	struct view_fault fault;
	struct view v;

	if (!p)
		return;
	if (roll(e, 2) || view_scan(&v, p->bytes, p->len, true, &fault) || v.status) {
		send_packet(e, &p->from, p->listener, p->bytes, p->len);
		return;
	}
	e->len = 0;
	put(e, "%s %.*s SIP/2.0", method, SV_ARG(view_uri(&v)));
	put_all(e, &v, HDR_VIA);
	put_all(e, &v, HDR_FROM);
	put_all(e, &v, HDR_TO);
	put_all(e, &v, HDR_CALL_ID);
	put(e, "CSeq: %u %s", v.cseq, method);
	put(e, "Content-Length: 0");
	put(e, "%s", "");
	send_packet(e, &p->from, p->listener, e->text, e->len);
}

static void time_passes(struct enemy *e)
{
	static const unsigned times[] = { 0, 0, 10, 500, 2000, 5000, 33000, 100000, 700000 };

	rig_after(e->rig, PICK(e, times));
}

static void hang_up_one(void *ctx, const struct call_info *info)
{
	*(uint64_t *)ctx = info->id;
}

static bool hang_up(struct enemy *e)
{
	for (unsigned i = 0; i < e->rig->shared.workers; i++) {
		uint64_t id = 0;

		b2bua_each(e->rig->workers[i].calls, hang_up_one, &id);
		if (id && b2bua_hangup(e->rig->workers[i].calls, id, "enemy"))
			return true;
	}
	return false;
}

/* What one node holds another can take, whole. */
struct heir {
	struct b2bua_record_sink sink;
	struct rig *rig;
	bool may_fail;
};

static void inherit(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	struct heir *h = owner_of(sink, struct heir, sink);
	struct worker *w = &h->rig->workers[b2bua_record_shard(record) % h->rig->shared.workers];
	int err = b2bua_apply(w->calls, record);

	if (err && err != -EEXIST && !h->may_fail)
		fail_msg("the record of call %lx is refused: %d", (unsigned long)id, err);
}

static void memory(struct enemy *e, bool is_tight)
{
	if (e->rules->memory)
		e->rules->memory(is_tight, is_tight ? 1 + roll(e, 30) : 0, is_tight ? roll(e, 3) : 0);
}

static void dies_and_is_replaced(struct enemy *e, uint64_t seed)
{
	struct rig *old = e->rig;
	struct heir heir = { { inherit }, rig_new(e->yaml, 1 + (unsigned)(seed % 2), seed + 1), e->rules->memory != NULL };

	memory(e, true);
	for (unsigned i = 0; i < old->shared.workers; i++)
		b2bua_export(old->workers[i].calls, &heir.sink);
	listen_to_node(e);
	e->rig = heir.rig;
	e->rig->hooks.on_sent = on_sent;
	e->rig->hooks.ctx = e;
	rig_free(old, false);
}

static void reloads(struct enemy *e)
{
	memory(e, false); /* tests/alloc/reload.c is about that */
	rig_reload(e->rig, roll(e, 4) ? e->yaml : PICK(e, yamls));
}

static void step(struct enemy *e)
{
	unsigned what = roll(e, 100);

	if (what < 20)
		begins_something(e);
	else if (what < 55)
		answers_something(e);
	else if (what < 75)
		goes_on(e);
	else if (what < 83)
		comes_back_to_it(e);
	else if (what < 97)
		time_passes(e);
	else if (what < 98)
		hang_up(e);
	else if (what < 99)
		reloads(e);
	else
		e->rig->is_refusing_streams = !e->rig->is_refusing_streams;
	rig_after(e->rig, 0);
	listen_to_node(e);
}

void game_play(const struct game_rules *rules, uint64_t seed, unsigned steps)
{
	struct enemy *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->rules = rules;
	e->yaml = yamls[seed / 4 % 2];
	e->rig = rig_new(e->yaml, 1 + (unsigned)(seed % 3), seed);
	e->rig->names[e->rig->n_names++] = (struct rig_name){ .host = "dave.example.net", .addr = address("10.0.0.23:5060"), .delay_ms = seed & 1 ? 300 : 0 };
	e->rig->hooks.on_sent = on_sent;
	e->rig->hooks.ctx = e;
	if (seed / 8 % 2)
		e->rig->weather = (struct weather){ .lost = 50, .doubled = 50, .late = 100, .late_ms = 700, .garbled = 60 };
	for (unsigned i = 0; i < steps; i++) {
		if (i == steps / 2 && seed % 4 == 3)
			dies_and_is_replaced(e, seed);
		memory(e, true);
		step(e);
		memory(e, false);
	}
	while (hang_up(e))
		;
	for (unsigned day = 0; day < 2; day++) { /* subscriptions go when their time has come */
		rig_after(e->rig, DAY_MS);
		listen_to_node(e);
	}
	assert_int_equal(rig_calls(e->rig), 0);
	rig_free(e->rig, true);
	for (unsigned i = 0; i < HEARD; i++)
		free(e->heard[i].p);
	for (unsigned i = 0; i < SAID; i++)
		free(e->said[i]);
	free(e);
}
