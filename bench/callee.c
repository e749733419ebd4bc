/* bench/callee.c - the called side: 100 and 180 at once, 200 after the ringing time and again until the ACK
 * (RFC 3261 §13.3.1.4), 200 to BYE and to OPTIONS. */
#include "bench/load.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/msg.h"

enum { BUCKETS = 1 << 16,
       CALL_LIFE_MS = 1800000,
       OTHERS_SHOWN = 5,
       OTHER_SHOWN_BYTES = 300 };
enum callee_state { FREE,
	            RINGING,
	            ANSWERED,
	            CONFIRMED };

struct callee_call {
	struct delayed timer;
	struct callee_call *in_bucket, *in_free;
	struct wire *wire;
	struct sockaddr_in peer;
	uint64_t branch, answered_ns;
	uint32_t slot, round; /* `round` tells the calls of one slot apart */
	uint8_t state, tries;
	uint16_t head_len;
	char head[LOAD_MESSAGE_MAX]; /* Via to CSeq of every response */
};

struct callee {
	struct wire **wires;
	unsigned n_wires, n_slots, used;
	uint32_t run;
	struct delay ringing, life;
	struct backoff again;
	struct callee_call *slots, *free;
	struct callee_call *bucket[BUCKETS];
	struct callee_counts counts;
};

struct callee *callee_new(struct wire **wires, unsigned n_wires, unsigned ring_ms, unsigned t1_ms, unsigned slots)
{
	struct callee *c = calloc(1, sizeof(*c));

	if (!c || !(c->slots = calloc(slots, sizeof(*c->slots))))
		return NULL;
	c->wires = wires;
	c->n_wires = n_wires;
	c->n_slots = slots;
	c->run = (uint32_t)clock_ns();
	delay_init(&c->ringing, ring_ms * 1000000ULL);
	delay_init(&c->life, CALL_LIFE_MS * 1000000ULL);
	backoff_init(&c->again, t1_ms);
	return c;
}

void callee_free(struct callee *c)
{
	free(c->slots);
	free(c);
}

/* Slots are taken afresh only when no used one is free, so that memory is touched as far as calls are up. */
static struct callee_call *call_new(struct callee *c)
{
	struct callee_call *call = c->free;

	if (call) {
		c->free = call->in_free;
	} else if (c->used < c->n_slots) {
		call = &c->slots[c->used];
		call->slot = c->used++;
		list_init(&call->timer.in_delay);
	}
	return call;
}

static void call_end(struct callee *c, struct callee_call *call)
{
	struct callee_call **at = &c->bucket[call->branch % BUCKETS];

	while (*at != call)
		at = &(*at)->in_bucket;
	*at = call->in_bucket;
	list_del(&call->timer.in_delay);
	call->state = FREE;
	call->round++;
	call->in_free = c->free;
	c->free = call;
}

static uint64_t branch_of(const struct msg *m)
{
	struct sv v = msg_param(m->via[0], ";branch=");
	uint64_t hash = 14695981039346656037ULL;

	for (size_t i = 0; i < v.len; i++)
		hash = (hash ^ (uint8_t)v.p[i]) * 1099511628211ULL;
	return hash ^ hash >> 32;
}

static struct callee_call *call_by_branch(struct callee *c, uint64_t branch)
{
	struct callee_call *call = c->bucket[branch % BUCKETS];

	while (call && call->branch != branch)
		call = call->in_bucket;
	return call;
}

/* Our own tag is "c", the run, the slot and its round. */
static struct callee_call *call_of(struct callee *c, const struct msg *m)
{
	struct sv tag = msg_param(m->to, ";tag=");
	uint32_t slot;

	if (tag.len != 25 || tag.p[0] != 'c' || hex_value(tag.p + 1) != c->run)
		return NULL;
	slot = hex_value(tag.p + 9);
	if (slot >= c->used || c->slots[slot].state == FREE || c->slots[slot].round != hex_value(tag.p + 17))
		return NULL;
	return &c->slots[slot];
}

/* The top Via gets received and rport as RFC 3581 §4 wants, when it asks. */
static void add_vias(struct text *t, const struct msg *m, const struct sockaddr_in *from)
{
	const char *p = m->via[0].p, *end = p + m->via[0].len, *q = memmem(p, m->via[0].len, ";rport", 6);
	char text[64], ip[INET_ADDRSTRLEN];

	if (q && q + 6 < end && q[6] != '=') {
		inet_ntop(AF_INET, &from->sin_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "=%u;received=%s", ntohs(from->sin_port), ip);
		text_add(t, sv_span(p, q + 6));
		text_str(t, text);
		text_add(t, sv_span(q + 6, end));
	} else {
		text_add(t, m->via[0]);
	}
	for (unsigned i = 1; i < m->n_via; i++)
		text_add(t, m->via[i]);
}

static void add_dialog(struct text *t, const struct msg *m)
{
	text_add(t, m->from);
	text_add(t, m->call_id);
	text_add(t, m->cseq);
}

static void add_tagged_to(struct callee *c, struct text *t, const struct msg *m, const struct callee_call *call)
{
	text_str(t, "To: ");
	text_add(t, msg_value(m->to));
	text_str(t, ";tag=c");
	text_hex(t, c->run);
	text_hex(t, call->slot);
	text_hex(t, call->round);
	text_str(t, "\r\n");
}

static void call_send(struct callee_call *call, const char *status, bool has_body)
{
	static const char sdp[] =
		"v=0\r\no=callee 1701 1701 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
		"m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n";
	struct text t = { .p = wire_next(call->wire), .max = WIRE_DATAGRAM_MAX };
	char text[32];

	text_str(&t, status);
	text_add(&t, (struct sv){ call->head, call->head_len });
	text_str(&t, "Contact: <sip:callee@");
	text_str(&t, call->wire->text);
	text_str(&t, ">\r\nServer: bench-callee/1.0\r\n"
	             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY\r\n");
	if (has_body) {
		snprintf(text, sizeof(text), "Content-Length: %zu\r\n\r\n", sizeof(sdp) - 1);
		text_str(&t, "Supported: replaces, timer\r\nContent-Type: application/sdp\r\n");
		text_str(&t, text);
		text_add(&t, (struct sv){ sdp, sizeof(sdp) - 1 });
	} else {
		text_str(&t, "Content-Length: 0\r\n\r\n");
	}
	wire_send(call->wire, t.len, &call->peer);
}

static void call_ring(struct callee_call *call)
{
	call_send(call, "SIP/2.0 180 Ringing\r\n", false);
}

static void call_answer(struct callee_call *call)
{
	call_send(call, "SIP/2.0 200 OK\r\n", true);
}

/* A response that belongs to no call: it repeats what the request says. */
static void reply(struct wire *w, const struct msg *m, const struct sockaddr_in *from, const char *status,
                  const char *tag)
{
	struct text t = { .p = wire_next(w), .max = WIRE_DATAGRAM_MAX };

	text_str(&t, status);
	add_vias(&t, m, from);
	text_str(&t, "To: ");
	text_add(&t, msg_value(m->to));
	text_str(&t, tag);
	text_str(&t, "\r\n");
	add_dialog(&t, m);
	text_str(&t, "Content-Length: 0\r\n\r\n");
	wire_send(w, t.len, from);
}

static void on_invite(struct callee *c, struct wire *w, const struct msg *m, const struct sockaddr_in *from,
                      uint64_t now_ns)
{
	uint64_t branch = branch_of(m);
	struct callee_call *call = call_by_branch(c, branch);
	struct text t;

	if (call) {
		c->counts.received_again++;
		if (call->state == RINGING)
			call_ring(call);
		return; /* once answered the 200 repeats by itself */
	}
	if (!(call = call_new(c))) {
		c->counts.refused++;
		reply(w, m, from, "SIP/2.0 486 Busy Here\r\n", ";tag=busy");
		return;
	}
	c->counts.invites++;
	call->wire = w;
	call->peer = *from;
	call->branch = branch;
	call->in_bucket = c->bucket[branch % BUCKETS];
	c->bucket[branch % BUCKETS] = call;
	call->state = RINGING;
	call->tries = 0;
	t = (struct text){ .p = call->head, .max = sizeof(call->head) };
	add_vias(&t, m, from);
	for (unsigned i = 0; i < m->n_record_route; i++)
		text_add(&t, m->record_route[i]);
	add_dialog(&t, m);
	add_tagged_to(c, &t, m, call);
	call->head_len = (uint16_t)t.len;
	reply(w, m, from, "SIP/2.0 100 Trying\r\n", "");
	call_ring(call);
	delay_arm(&c->ringing, &call->timer, now_ns);
}

static void on_ack(struct callee *c, const struct msg *m, uint64_t now_ns)
{
	struct callee_call *call = call_of(c, m);

	if (!call && sv_eq(msg_param(m->to, ";tag="), SV("busy")))
		return; /* of our own refusal */
	if (!call || call->state == RINGING) {
		c->counts.stray_acks++;
	} else if (call->state == CONFIRMED) {
		c->counts.received_again++;
	} else {
		c->counts.acks++;
		call->state = CONFIRMED;
		delay_arm(&c->life, &call->timer, now_ns);
	}
}

static void on_bye(struct callee *c, struct wire *w, const struct msg *m, const struct sockaddr_in *from)
{
	struct callee_call *call = call_of(c, m);

	reply(w, m, from, "SIP/2.0 200 OK\r\n", "");
	if (call) {
		c->counts.byes++;
		c->counts.early_byes += call->state != CONFIRMED;
		call_end(c, call);
	} else {
		c->counts.received_again++; /* the call has ended: the 200 was lost or late */
	}
}

/* A run with a CANCEL in it is never good; it is answered all the same (RFC 3261 §9.2). The 487 goes out once. */
static void on_cancel(struct callee *c, struct wire *w, const struct msg *m, const struct sockaddr_in *from)
{
	struct callee_call *call = call_by_branch(c, branch_of(m));

	reply(w, m, from, call ? "SIP/2.0 200 OK\r\n" : "SIP/2.0 481 Call Does Not Exist\r\n", ";tag=cancel");
	if (call && call->state == RINGING) {
		call_send(call, "SIP/2.0 487 Request Terminated\r\n", false);
		call_end(c, call);
	}
}

struct callee_counts callee_counts_since(const struct callee *c, const struct callee_counts *from)
{
	const struct callee_counts *n = &c->counts;

	return (struct callee_counts){
		.invites = n->invites - from->invites,
		.acks = n->acks - from->acks,
		.byes = n->byes - from->byes,
		.options = n->options - from->options,
		.sent_again = n->sent_again - from->sent_again,
		.received_again = n->received_again - from->received_again,
		.stray_acks = n->stray_acks - from->stray_acks,
		.early_byes = n->early_byes - from->early_byes,
		.unacked = n->unacked - from->unacked,
		.unended = n->unended - from->unended,
		.others = n->others - from->others,
		.refused = n->refused - from->refused,
	};
}

/* What should not have come: counted, and the first few shown. */
static void on_other(struct callee *c, struct sv bytes, const struct sockaddr_in *from)
{
	if (c->counts.others++ < OTHERS_SHOWN)
		fprintf(stderr, "bench-load: unexpected from port %u: %.*s\n", ntohs(from->sin_port),
		        (int)(bytes.len < OTHER_SHOWN_BYTES ? bytes.len : OTHER_SHOWN_BYTES), bytes.p);
}

static void on_datagram(struct callee *c, struct wire *w, struct sv bytes, const struct sockaddr_in *from,
                        uint64_t now_ns)
{
	struct msg m;

	if (!msg_scan(&m, bytes) || m.status) {
		on_other(c, bytes, from);
	} else if (m.method == M_INVITE) {
		on_invite(c, w, &m, from, now_ns);
	} else if (m.method == M_ACK) {
		on_ack(c, &m, now_ns);
	} else if (m.method == M_BYE) {
		on_bye(c, w, &m, from);
	} else if (m.method == M_CANCEL) {
		on_other(c, bytes, from);
		on_cancel(c, w, &m, from);
	} else if (m.method == M_OPTIONS) {
		c->counts.options++;
		reply(w, &m, from, "SIP/2.0 200 OK\r\n", ";tag=probe");
	} else {
		on_other(c, bytes, from);
		reply(w, &m, from, "SIP/2.0 501 Not Implemented\r\n", ";tag=none");
	}
}

void callee_receive(struct callee *c, struct wire *w, uint64_t now_ns)
{
	unsigned n = wire_receive(w);

	for (unsigned i = 0; i < n; i++)
		on_datagram(c, w, (struct sv){ w->in.bytes[i], w->in.head[i].msg_len }, &w->in.peer[i], now_ns);
}

uint64_t callee_tick(struct callee *c, uint64_t now_ns)
{
	struct callee_call *call;
	struct delayed *t;
	uint64_t next;

	while ((t = delay_due(&c->ringing, now_ns))) {
		call = owner_of(t, struct callee_call, timer);
		call->state = ANSWERED;
		call->answered_ns = now_ns;
		call_answer(call);
		backoff_arm(&c->again, t, call->tries = 0, now_ns);
	}
	while ((t = backoff_due(&c->again, now_ns))) {
		call = owner_of(t, struct callee_call, timer);
		if (now_ns - call->answered_ns >= LOAD_TIMEOUT_MS * 1000000ULL) {
			c->counts.unacked++;
			call_end(c, call);
			continue;
		}
		c->counts.sent_again++;
		call_answer(call);
		backoff_arm(&c->again, t, ++call->tries, now_ns);
	}
	while ((t = delay_due(&c->life, now_ns))) {
		c->counts.unended++;
		call_end(c, owner_of(t, struct callee_call, timer));
	}
	next = delay_next(&c->ringing);
	next = backoff_next(&c->again) < next ? backoff_next(&c->again) : next;
	return delay_next(&c->life) < next ? delay_next(&c->life) : next;
}
