#include "tests/fuzz/scene.h"
#include "sbc/call/call.h"
#include "topohide/hide.h"
#include <stdio.h>
#include <stdlib.h>

#define ALICE_IP "192.0.2.10"

/* What the other side must not see: Call-IDs, tags, branches, addresses. */
static const struct secret {
	enum side_of { OF_NEAR, OF_FAR } side;
	bool is_address;
	const char *text;
} secrets[] = {
	{ OF_NEAR, false, "nearcall" }, { OF_NEAR, false, "neartag" },  { OF_NEAR, false, "nearbranch" },
	{ OF_NEAR, true, ALICE_IP }, { OF_NEAR, true, "203.0.113.10" },
	{ OF_FAR, false, "fartag" },    { OF_FAR, false, "farbranch" },
	{ OF_FAR, true, "10.0.0.21" },  { OF_FAR, true, "10.0.0.22" },  { OF_FAR, true, "10.0.0.10" },
};
enum { SECRETS = sizeof(secrets) / sizeof(*secrets) };

void scene_wrong(const char *what, const char *bytes, size_t len)
{
	fprintf(stderr, "WRONG: %s\n%.*s\n", what, (int)len, bytes);
	abort();
}

static bool is_host_char(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '-' || c == ':' || c == '_';
}

static bool holds(struct sv text, const struct secret *s, bool as_word)
{
	struct sv what = sv_from(s->text);
	size_t at, from = 0;

	while ((at = sv_find(sv_skip(text, from), what)) != SIZE_MAX) {
		const char *p = text.p + from + at, *end = p + what.len;

		if (!as_word || ((p == text.p || !is_host_char(p[-1])) && (end == text.p + text.len || !is_host_char(*end))))
			return true;
		from += at + 1;
	}
	return false;
}

static void check_text(const struct scene *s, enum side_of to, struct sv text, bool only_addresses, const struct packet *p)
{
	for (unsigned i = 0; i < SECRETS; i++)
		if (secrets[i].side != to && !(s->known & 1u << i) && (secrets[i].is_address || !only_addresses) &&
		    holds(text, &secrets[i], only_addresses))
			scene_wrong(secrets[i].text, p->bytes, p->len);
}

static void check_header(const struct scene *s, enum side_of to, const struct view *v, const struct hdr *h, const struct packet *p)
{
	switch (hide_class_of(h->id)) {
	case HIDE_OURS:
		if (h->id == HDR_FROM || h->id == HDR_TO)
			check_text(s, to, tag_of(hdr_value(v, h)), false, p);
		else
			check_text(s, to, hdr_value(v, h), false, p);
		return;
	case HIDE_CHECKED:
	case HIDE_UNKNOWN:
	case HIDE_WARNING:
		check_text(s, to, hdr_value(v, h), true, p);
		return;
	case HIDE_HOP:
		if (h->id == HDR_MAX_BREADTH) /* a fork writes its own */
			return;
		/* fall through */
	case HIDE_PRIVATE:
	case HIDE_DIALOG:
		scene_wrong("a header that must not pass", p->bytes, p->len);
	default:
		return;
	}
}

/* What is refused for its form is repeated in the answer with that form; the answer's own lines are sound all the same. */
static bool is_answer_to_fault(const struct packet *p)
{
	struct sv text = { p->bytes, p->len }, end = SV("Content-Length: 0\r\n\r\n");

	if (p->len < 64 || (memcmp(p->bytes, "SIP/2.0 4", 9) != 0 && memcmp(p->bytes, "SIP/2.0 505", 11) != 0))
		return false;
	return sv_find(text, SV(")\r\nVia: ")) < 64 && sv_find(text, SV("\r\n\r\n")) == p->len - 4 && memcmp(p->bytes + p->len - end.len, end.p, end.len) == 0;
}

/* Every message of ours: sound, and nobody else's. */
static void on_sent(void *ctx, const struct packet *p)
{
	const struct scene *s = ctx;
	struct view_fault fault;
	const struct conf *c = s->rig->conf;
	enum side_of to = sv_eq(c->zones[c->listeners[p->listener].zone].name, SV("core")) ? OF_FAR : OF_NEAR;
	unsigned lengths = 0;
	struct view v;

	if (view_scan(&v, p->bytes, p->len, true, &fault)) {
		if (!is_answer_to_fault(p))
			scene_wrong(fault.reason, p->bytes, p->len);
		return;
	}
	for (unsigned i = 0; i < v.n; i++) {
		check_header(s, to, &v, &v.h[i], p);
		lengths += v.h[i].id == HDR_CONTENT_LENGTH;
	}
	if (lengths != 1)
		scene_wrong("Content-Length", p->bytes, p->len);
	if (v.status)
		check_text(s, to, view_sv(&v, v.phrase, v.phrase_len), true, p);
}

/* The ends --------------------------------------------------------------------------------------------------------- */

static void keep(char *to, size_t size, struct sv v)
{
	snprintf(to, size, "%.*s", (int)(v.len < size ? v.len : size - 1), v.p);
}

static struct sv contact_user(const struct view *v)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na;
	struct uri u;

	return value.len && name_addr_next(&na, &value) == 0 && uri_parse(&u, na.uri) == 0 ? u.user : SV("");
}

static struct scene_call *call_of(struct scene *s, const struct view *v, bool *is_near)
{
	struct sv id = view_value(v, HDR_CALL_ID), uri = view_uri(v);

	*is_near = id.len > 8 && memcmp(id.p, "nearcall", 8) == 0;
	if (*is_near)
		return id.p[8] >= '0' && id.p[8] < '0' + SCENE_CALLS ? &s->call[id.p[8] - '0'] : NULL;
	for (unsigned i = 0; i < SCENE_CALLS; i++)
		if (*s->call[i].far_call_id && sv_eq(id, sv_from(s->call[i].far_call_id)))
			return &s->call[i];
	if (v->method == M_INVITE && !v->status && uri.len > 8 && memcmp(uri.p, "sip:call", 8) == 0 && uri.p[8] >= '0' &&
	    uri.p[8] < '0' + SCENE_CALLS)
		return &s->call[uri.p[8] - '0'];
	return NULL;
}

static void remember_request(struct scene_call *c, const struct view *v, bool is_near)
{
	struct sv list = view_value(v, HDR_VIA), rest = list;
	struct via via;

	if (via_next(&via, &rest))
		return;
	keep(c->via[!is_near], sizeof(c->via[0]), list);
	keep(c->branch[!is_near], sizeof(c->branch[0]), via.branch);
	c->cseq[!is_near] = v->cseq;
	if (is_near || v->method != M_INVITE || tag_of(view_value(v, HDR_TO)).len)
		return;
	keep(c->far_call_id, sizeof(c->far_call_id), view_value(v, HDR_CALL_ID));
	keep(c->far_tag, sizeof(c->far_tag), tag_of(view_value(v, HDR_FROM)));
	keep(c->far_contact, sizeof(c->far_contact), contact_user(v));
}

static void on_packet(void *ctx, const struct packet *p)
{
	struct scene *s = ctx;
	struct view_fault fault;
	struct scene_call *c;
	struct view v;
	bool is_near;

	if (view_scan(&v, p->bytes, p->len, true, &fault) || !(c = call_of(s, &v, &is_near)))
		return;
	if (!v.status) {
		remember_request(c, &v, is_near);
	} else if (is_near && v.status > 100 && v.method == M_INVITE) {
		keep(c->near_tag, sizeof(c->near_tag), tag_of(view_value(&v, HDR_TO)));
		if (contact_user(&v).len)
			keep(c->near_contact, sizeof(c->near_contact), contact_user(&v));
	}
}

/* What a side says itself is no secret to it; and where Alice is may be said by anybody else on her side. */
static void learn(struct scene *s, enum side_of from, bool is_stranger, struct sv text)
{
	for (unsigned i = 0; i < SECRETS; i++)
		if ((secrets[i].side != from || (is_stranger && !strcmp(secrets[i].text, ALICE_IP))) && holds(text, &secrets[i], false))
			s->known |= 1u << i;
}

void scene_send(struct scene *s, const char *from, const char *to, const char *bytes, size_t len, bool is_broken)
{
	struct rig *r = s->rig;
	uint16_t listener = rig_listener(r, to);
	struct path path = { .listener = listener, .transport = r->conf->listeners[listener].transport };
	struct worker *w = &r->workers[r->shared.workers - 1];
	char *copy;

	if (addr_parse(&path.remote, sv_from(from)))
		abort();
	learn(s, strstr(to, "10.0.0.10") ? OF_FAR : OF_NEAR, strcmp(from, ALICE) != 0, (struct sv){ bytes, len });
	if (!is_broken) {
		rig_send_bytes(r, &path.remote, listener, bytes, len);
		rig_after(r, 0);
		return;
	}
	if (!(copy = calloc(1, len + BUF_PAD)))
		return;
	memcpy(copy, bytes, len);
	worker_handler(w).on_message(w, &path, copy, len, true);
	free(copy);
	rig_after(r, 0);
}

/* Life ------------------------------------------------------------------------------------------------------------- */

void scene_say(struct scene *s, const char *from, const char *to, const char *fmt, ...)
{
	char lines[4096], text[8192];
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(lines, sizeof(lines), fmt, ap);
	va_end(ap);
	for (const char *p = lines; *p; p++) {
		if (*p == '\n')
			text[n++] = '\r';
		text[n++] = *p;
	}
	scene_send(s, from, to, text, n, false);
}

void scene_call(struct scene *s, unsigned n, enum scene_state state)
{
	struct scene_call *c = &s->call[n];

	scene_say(s, ALICE, EDGE,
	    "INVITE sip:call%u@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnearbranch%u;rport\nMax-Forwards: 70\n"
	    "From: <sip:alice@example.com>;tag=neartag%u\nTo: <sip:call%u@example.com>\nCall-ID: nearcall%u\nCSeq: 1 INVITE\n"
	    "Contact: <sip:alice@192.0.2.10:5060>\nContent-Length: 0\n\n",
	    n, n, n, n, n);
	for (unsigned status = 180; state >= SCENE_RINGING && status <= 200; status += 20) {
		scene_say(s, BOB, CORE,
		    "SIP/2.0 %u Fine\nVia: %s\nFrom: <sip:alice@example.com>;tag=%s\nTo: <sip:call%u@example.com>;tag=fartag%u\n"
		    "Call-ID: %s\nCSeq: %u INVITE\nContact: <sip:bob@10.0.0.21:5060>\nContent-Length: 0\n\n",
		    status, c->via[OF_FAR], c->far_tag, n, n, c->far_call_id, c->cseq[OF_FAR]);
		if (state == SCENE_RINGING)
			return;
	}
	if (state == SCENE_ANSWERED)
		scene_say(s, ALICE, EDGE,
		    "ACK sip:%s@203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKnearbranchack%u;rport\nMax-Forwards: 70\n"
		    "From: <sip:alice@example.com>;tag=neartag%u\nTo: <sip:call%u@example.com>;tag=%s\nCall-ID: nearcall%u\nCSeq: 1 ACK\n"
		    "Content-Length: 0\n\n",
		    c->near_contact, n, n, n, c->near_tag, n);
}

static void name_add(struct rig *r, const char *host, const char *addr, unsigned delay_ms)
{
	struct rig_name *n = &r->names[r->n_names++];

	*n = (struct rig_name){ .host = host, .delay_ms = delay_ms };
	if (addr && addr_parse(&n->addr, sv_from(addr)))
		abort();
}

void scene_begin(struct scene *s, unsigned workers)
{
	*s = (struct scene){ .rig = rig_new(FLOW_ONE, workers, 1) };
	s->rig->hooks = (struct rig_hooks){ .ctx = s, .on_sent = on_sent, .on_packet = on_packet };
	name_add(s->rig, "now.example.net", "10.0.0.22", 0);
	name_add(s->rig, "soon.example.net", "10.0.0.22", 100);
	name_add(s->rig, "late.example.net", "10.0.0.22", 6000);
	name_add(s->rig, "never.example.net", NULL, 100);
}

void scene_reload(struct scene *s)
{
	s->has_two = !s->has_two;
	rig_reload(s->rig, s->has_two ? FLOW_TWO : FLOW_ONE);
}

/* Subscriptions, too, which may last for weeks. */
static void hang_up_all(struct scene *s)
{
	for (unsigned i = 0; i < s->rig->shared.workers; i++) {
		struct b2bua *b = s->rig->workers[i].calls;

		while (!list_empty(&b->all))
			b2bua_hangup(b, owner_of(b->all.next, struct call, in_all)->near.in_table.key, "fuzz");
	}
}

void scene_end(struct scene *s)
{
	hang_up_all(s);
	rig_after(s->rig, CALL_REDIRECT_MS + 200000);
	if (rig_calls(s->rig) || rig_in_use(s->rig))
		scene_wrong("something is left", "", 0);
	rig_free(s->rig, false);
}
