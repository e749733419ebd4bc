/* Fuzz: what the builder makes of any message that the scanner accepts is a sound message, with each line of ours once and nothing in
 * it that must not pass. First byte: which messages are built of it (a response's head, a request, a request over a route set); the rest
 * is one message, its line ends as they are. */
#include "sbc/call/call.h"
#include "tests/fuzz/scene.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig *rig; /* one for all inputs: nothing of it changes */

static struct b2bua *node(void)
{
	if (!rig)
		rig = rig_new(FLOW_ONE, 1, 1);
	return rig->workers[0].calls;
}

static unsigned count(const struct view *v, enum hdr_id id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->n; i++)
		n += v->h[i].id == id;
	return n;
}

static void must(bool holds, const char *what, struct sv text)
{
	if (!holds)
		scene_wrong(what, text.p, text.len);
}

/* Each header by what may become of it (DECISIONS 7). */
static void check_headers(const struct view *v, const struct view *from, struct sv text)
{
	for (unsigned i = 0; i < v->n; i++) {
		enum hide_class class = hide_class_of(v->h[i].id);

		must(class != HIDE_HOP && class != HIDE_PRIVATE && class != HIDE_DIALOG, "a header that must not pass", text);
	}
	must(count(v, HDR_CONTENT_LENGTH) == 1 && count(v, HDR_CONTENT_TYPE) <= count(from, HDR_CONTENT_TYPE), "headers twice", text);
	must(count(v, HDR_FROM) == 1 && count(v, HDR_TO) == 1 && count(v, HDR_CALL_ID) == 1 && count(v, HDR_CSEQ) == 1, "headers twice", text);
	must(count(v, HDR_CONTACT) <= 1, "more than one Contact", text);
}

/* A report of another request or dialog loses what names the inside (transfer.c, watch.c); every other body passes as it is. */
static bool is_report(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);

	type = sv_trim((struct sv){ type.p, sv_chr(type, ';') });
	return sv_ieq(type, SV("message/sipfrag")) || sv_ieq(type, SV("application/dialog-info+xml"));
}

static void check(struct compose *c, const struct view *from, bool is_response)
{
	struct buf *b = compose_done(c);
	struct view_fault fault = { .reason = "" };
	struct view v;

	if (!b) {
		must(c->o.is_full, "nothing was built", SV(""));
		return;
	}
	must(view_scan(&v, b->data, b->len, true, &fault) == 0, fault.reason, buf_sv(b));
	must((v.status != 0) == is_response, "another kind of message", buf_sv(b));
	must(is_report(from) || sv_eq(view_body(&v), view_body(from)), "the body has changed", buf_sv(b));
	check_headers(&v, from, buf_sv(b));
	buf_put(b);
}

static void build_response(struct b2bua *b, const struct view *v, const struct path *from, const struct leg *leg)
{
	struct sip_stack *stack = b->p.stack;
	struct compose c = { .b = b };
	struct server_txn *st;

	if (v->status || server_new(stack, v, from, sip_request_key(stack, v), &st))
		return;
	server_begin(st, &c.o, 183, SV(""), SV("ourtag"));
	compose_contact(&c, leg, v, from);
	compose_rest(&c, v, from, leg);
	check(&c, v, true);
	server_discard(st);
}

/* As dial.c and relay.c do: with the parties and the URI of the message itself. */
static void build_request(struct b2bua *b, const struct view *v, const struct path *from, struct leg *leg, bool has_routes)
{
	struct compose c = { .b = b };
	char local[NET_MESSAGE_MAX], remote[NET_MESSAGE_MAX], scratch[2048];
	struct out lo, ro;
	struct arena arena;
	struct outgoing m = { .method = v->status ? SV("INFO") : view_method(v), .leg = leg, .cseq = 7, .max_forwards = 69, .branch_id = 1,
	                      .uri = v->status ? SV("sip:a@b") : view_uri(v), .routes = SV("") };
	struct uri u;

	arena_init(&arena, scratch, sizeof(scratch), NET_MESSAGE_MAX * 2);
	out_init(&lo, local, sizeof(local));
	out_init(&ro, remote, sizeof(remote));
	out_unfolded(&lo, view_value(v, HDR_FROM));
	out_unfolded(&ro, view_value(v, HDR_TO));
	if (contact_uri(v).p)
		m.uri = contact_uri(v);
	if (has_routes)
		m.routes = route_set(&arena, v, v->cseq & 1);
	if (!lo.is_full && !ro.is_full && uri_parse(&u, m.uri) == 0 &&
	    leg_set_text(b, leg, &(struct leg_text){ SV("ourcallid"), out_done(&lo), out_done(&ro), SV(""), SV("") }) == 0) {
		compose_request(&c, &m);
		compose_contact(&c, leg, v, from);
		compose_rest(&c, v, from, leg);
		check(&c, v, false);
	}
	arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct b2bua *b = node();
	struct buf *in = size > 1 ? buf_copy((struct sv){ (const char *)data + 1, size - 1 }) : NULL;
	struct path from = { .transport = T_UDP };
	struct leg leg = { .side = FAR, .shard = 3, .in_table = { .key = 99 } };
	struct view_fault fault;
	struct view v;

	if (!in)
		return 0;
	from.listener = rig_listener(rig, data[0] & 1 ? CORE : EDGE);
	leg.path.transport = T_UDP;
	leg.path.listener = rig_listener(rig, data[0] & 1 ? EDGE : CORE);
	if (addr_parse(&from.remote, data[0] & 1 ? SV("10.0.0.21:5060") : SV("192.0.2.10:5060")))
		abort();
	if (in->len <= NET_MESSAGE_MAX && view_scan(&v, in->data, in->len, data[0] & 2, &fault) == 0) {
		build_response(b, &v, &from, &leg);
		build_request(b, &v, &from, &leg, data[0] & 4);
	}
	blocks_free(&b->texts, leg.text, leg_text_len(&leg));
	buf_put(in);
	return 0;
}
