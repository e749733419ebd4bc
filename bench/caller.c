/* bench/caller.c - the calling side: INVITE, ACK, a pause, BYE, with the timers of RFC 3261 §17.1 and exact counts.
 * Calls start at random (exponential) distances around the rate, from a fixed seed: every target sees the same
 * arrivals. */
#include "bench/load.h"
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/link.h"
#include "bench/msg.h"

enum { DELAY_STEP_US = 50,
       DELAY_STEPS = 20000,
       ANSWER_MS = 60000,
       LATE_START_MAX = 32,
       SEED = 20240607 };
enum caller_state { FREE,
	            CALLING,
	            PROCEEDING,
	            UP,
	            ENDING };
enum { GOT_100 = 1,
       GOT_180 = 2 };

struct caller_call {
	struct delayed timer;
	struct node in_up; /* kept calls */
	struct caller_call *in_free;
	struct wire *wire;
	struct sockaddr_in invite_to, dialog_to;
	uint64_t sent_ns; /* of the first transmission of the request that runs */
	uint32_t slot, round;
	uint8_t state, tries, got;
	uint16_t invite_len, later_len;
	struct sv routes, target, to; /* in `dialog` */
	char dialog[LOAD_MESSAGE_MAX];
	char invite[LOAD_MESSAGE_MAX];
	char later[LOAD_MESSAGE_MAX]; /* ACK, then BYE */
};

struct caller {
	struct caller_plan plan;
	struct wire **wires;
	unsigned n_wires;
	uint32_t run, used;
	char target_text[32];
	uint64_t begun_ns, start_at_ns, keep_until_ns, bye_at_ns, ended_ns, random;
	struct delay answer, hold;
	struct backoff again;
	struct node up;
	struct caller_call *slots, *free;
	unsigned long started, up_now, established, completed, failed, sent_again, received_again, out_of_order,
		strays;
	unsigned long failed_by[7], unanswered; /* by class of response / without one */
	unsigned delays[DELAY_STEPS + 1]; /* INVITE to 180, in steps */
};

struct caller *caller_new(struct wire **wires, unsigned n_wires, const struct caller_plan *plan)
{
	struct caller *c = calloc(1, sizeof(*c));
	char ip[INET_ADDRSTRLEN];

	if (!c || !(c->slots = calloc(plan->slots, sizeof(*c->slots))))
		return NULL;
	c->plan = *plan;
	c->wires = wires;
	c->n_wires = n_wires;
	c->run = (uint32_t)clock_ns();
	c->random = SEED;
	inet_ntop(AF_INET, &plan->target.sin_addr, ip, sizeof(ip));
	if (plan->domain)
		snprintf(c->target_text, sizeof(c->target_text), "%s", plan->domain);
	else
		snprintf(c->target_text, sizeof(c->target_text), "%s:%u", ip, ntohs(plan->target.sin_port));
	c->begun_ns = c->start_at_ns = clock_ns();
	c->keep_until_ns = UINT64_MAX;
	delay_init(&c->answer, ANSWER_MS * 1000000ULL);
	delay_init(&c->hold, plan->hold_ms * 1000000ULL);
	backoff_init(&c->again, plan->t1_ms);
	list_init(&c->up);
	return c;
}

void caller_free(struct caller *c)
{
	free(c->slots);
	free(c);
}

/* Exponential around the mean: what independent callers look like. */
static uint64_t next_distance_ns(struct caller *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint64_t)(-log(((double)(c->random >> 11) + 1) / 9007199254740993.0) * 1e9 / c->plan.rate);
}

static void add_id(struct caller *c, struct text *t, const struct caller_call *call)
{
	text_hex(t, c->run);
	text_hex(t, call->slot);
	text_hex(t, call->round);
}

/* Via to CSeq of our requests. The branch is "z9hG4bK", a letter per transaction, and the call. */
static void add_head(struct caller *c, struct text *t, const struct caller_call *call, const char *branch,
                     const char *cseq)
{
	text_str(t, "Via: SIP/2.0/");
	text_str(t, c->plan.kind ? link_via(c->plan.kind) : "UDP");
	text_str(t, " ");
	text_str(t, call->wire->text);
	text_str(t, ";rport;branch=z9hG4bK");
	text_str(t, branch);
	add_id(c, t, call);
	text_str(t, "\r\nMax-Forwards: 70\r\nFrom: \"Alice Example\" <sip:alice@example.com>;tag=a");
	add_id(c, t, call);
	text_str(t, "\r\nCall-ID: ");
	add_id(c, t, call);
	text_str(t, "@bench.example.com\r\nCSeq: ");
	text_str(t, cseq);
	text_str(t, "\r\n");
}

static void build_invite(struct caller *c, struct caller_call *call)
{
	static const char sdp[] =
		"v=0\r\no=alice 2890844526 2890844526 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
		"t=0 0\r\nm=audio 30000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";
	struct text t = { .p = call->invite, .max = sizeof(call->invite) };
	char text[32];

	text_str(&t, "INVITE sip:");
	text_str(&t, c->plan.user);
	text_str(&t, "@");
	text_str(&t, c->target_text);
	text_str(&t, " SIP/2.0\r\n");
	add_head(c, &t, call, "i", "1 INVITE");
	text_str(&t, "To: <sip:");
	text_str(&t, c->plan.user);
	text_str(&t, "@");
	text_str(&t, c->target_text);
	text_str(&t, ">\r\nContact: <sip:alice@");
	text_str(&t, call->wire->text);
	if (c->plan.kind) {
		text_str(&t, ";transport=");
		text_str(&t, link_param(c->plan.kind));
	}
	text_str(&t, ">\r\nUser-Agent: bench-caller/1.0\r\n"
	             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY\r\n"
	             "Supported: replaces, timer\r\nContent-Type: application/sdp\r\n");
	snprintf(text, sizeof(text), "Content-Length: %zu\r\n\r\n", sizeof(sdp) - 1);
	text_str(&t, text);
	text_add(&t, (struct sv){ sdp, sizeof(sdp) - 1 });
	call->invite_len = (uint16_t)t.len;
}

/* ACK to a 2xx, or BYE: in the dialog (RFC 3261 §12.2.1.1, loose routing). */
static void build_later(struct caller *c, struct caller_call *call, const char *method, const char *branch,
                        const char *cseq)
{
	struct text t = { .p = call->later, .max = sizeof(call->later) };

	text_str(&t, method);
	text_str(&t, " ");
	text_add(&t, call->target);
	text_str(&t, " SIP/2.0\r\n");
	add_head(c, &t, call, branch, cseq);
	text_add(&t, call->to);
	text_add(&t, call->routes);
	text_str(&t, "User-Agent: bench-caller/1.0\r\nContent-Length: 0\r\n\r\n");
	call->later_len = (uint16_t)t.len;
}

static void call_send_later(struct caller_call *call)
{
	wire_send_copy(call->wire, call->later, call->later_len, &call->dialog_to);
}

/* ACK to a refusal: the INVITE's own branch, hop by hop (RFC 3261 §17.1.1.3). */
static void call_ack_refusal(struct caller *c, struct caller_call *call, const struct msg *m)
{
	struct text t = { .p = wire_next(call->wire), .max = WIRE_DATAGRAM_MAX };

	text_str(&t, "ACK sip:");
	text_str(&t, c->plan.user);
	text_str(&t, "@");
	text_str(&t, c->target_text);
	text_str(&t, " SIP/2.0\r\n");
	add_head(c, &t, call, "i", "1 ACK");
	text_add(&t, m->to);
	text_str(&t, "Content-Length: 0\r\n\r\n");
	wire_send(call->wire, t.len, &call->invite_to);
}

static bool call_start(struct caller *c, uint64_t now_ns)
{
	struct caller_call *call = c->free;

	if (call) {
		c->free = call->in_free;
	} else if (c->used < c->plan.slots) {
		call = &c->slots[c->used];
		call->slot = c->used++;
		list_init(&call->timer.in_delay);
		list_init(&call->in_up);
	} else {
		return false;
	}
	call->round++;
	call->wire = c->wires[c->started % c->n_wires];
	call->invite_to = c->plan.target;
	call->state = CALLING;
	call->tries = call->got = 0;
	call->sent_ns = now_ns;
	build_invite(c, call);
	wire_send_copy(call->wire, call->invite, call->invite_len, &call->invite_to);
	backoff_arm(&c->again, &call->timer, 0, now_ns);
	c->started++;
	return true;
}

static void call_end(struct caller *c, struct caller_call *call, bool is_failed, unsigned status)
{
	if (is_failed) {
		c->failed++;
		c->unanswered += !status;
		c->failed_by[status / 100]++;
	} else {
		c->completed++;
	}
	list_del(&call->timer.in_delay);
	list_del(&call->in_up);
	call->state = FREE;
	call->in_free = c->free;
	c->free = call;
}

static void call_bye(struct caller *c, struct caller_call *call, uint64_t now_ns)
{
	build_later(c, call, "BYE", "b", "2 BYE");
	call->state = ENDING;
	call->sent_ns = now_ns;
	call->tries = 0;
	call_send_later(call);
	backoff_arm(&c->again, &call->timer, 0, now_ns);
	c->up_now--;
}

/* What the dialog needs of its 2xx: remote target, tag, route set, next hop. */
static void call_learn(struct caller *c, struct caller_call *call, const struct msg *m)
{
	struct text t = { .p = call->dialog, .max = sizeof(call->dialog) };
	struct sv first;

	call->dialog_to = c->plan.target;
	msg_add_routes(&t, m, &first);
	call->routes = (struct sv){ call->dialog, t.len };
	if (!c->plan.keeps_to_target)
		msg_uri_address(first.len ? first : m->contact, &call->dialog_to);
	call->to = (struct sv){ call->dialog + t.len, m->to.len };
	text_add(&t, m->to);
	call->target = (struct sv){ call->dialog + t.len, m->contact.len };
	text_add(&t, m->contact);
}

static void on_answer(struct caller *c, struct caller_call *call, const struct msg *m, uint64_t now_ns)
{
	if (call->state > PROCEEDING) {
		c->received_again++;
		if (call->state == UP)
			call_send_later(call);
		return;
	}
	call_learn(c, call, m);
	build_later(c, call, "ACK", "k", "1 ACK");
	call_send_later(call);
	call->state = UP;
	c->up_now++;
	c->established++;
	list_del(&call->timer.in_delay);
	if (c->plan.keep_s)
		list_push(&c->up, &call->in_up);
	else
		delay_arm(&c->hold, &call->timer, now_ns);
}

static void on_progress(struct caller *c, struct caller_call *call, unsigned status, uint64_t now_ns)
{
	unsigned bit = status == 100 ? GOT_100 : GOT_180;

	if (call->got & bit) {
		c->received_again++;
		return;
	}
	call->got |= bit;
	if (call->state > PROCEEDING || (bit == GOT_100 && call->got & GOT_180)) {
		c->out_of_order++;
		return;
	}
	if (bit == GOT_180) {
		uint64_t step = (now_ns - call->sent_ns) / (DELAY_STEP_US * 1000);

		c->delays[step < DELAY_STEPS ? step : DELAY_STEPS]++;
	}
	call->state = PROCEEDING;
	delay_arm(&c->answer, &call->timer, now_ns);
}

static struct caller_call *call_of(struct caller *c, const struct msg *m)
{
	struct sv id = msg_value(m->call_id);
	uint32_t slot;

	if (id.len < 24 || hex_value(id.p) != c->run)
		return NULL;
	slot = hex_value(id.p + 8);
	if (slot >= c->used || c->slots[slot].state == FREE || c->slots[slot].round != hex_value(id.p + 16))
		return NULL;
	return &c->slots[slot];
}

static void on_response(struct caller *c, const struct msg *m, uint64_t now_ns)
{
	struct caller_call *call = call_of(c, m);

	if (!call) {
		c->received_again++; /* its call has ended */
	} else if (m->method == M_BYE) {
		if (call->state != ENDING)
			c->strays++;
		else if (m->status >= 200)
			call_end(c, call, m->status >= 300, m->status);
	} else if (m->method != M_INVITE) {
		c->strays++;
	} else if (m->status < 200) {
		on_progress(c, call, m->status, now_ns);
	} else if (m->status < 300) {
		on_answer(c, call, m, now_ns);
	} else {
		call_ack_refusal(c, call, m);
		if (call->state <= PROCEEDING)
			call_end(c, call, true, m->status);
	}
}

void caller_receive(struct caller *c, struct wire *w, uint64_t now_ns)
{
	struct msg m;

	do {
		wire_receive(w);
		for (unsigned i = 0; i < w->in.n; i++) {
			if (msg_scan(&m, (struct sv){ w->in.bytes[i], w->in.head[i].msg_len }) && m.status)
				on_response(c, &m, now_ns);
			else
				c->strays++;
		}
	} while (w->link && w->in.n);
}

static void call_send_again(struct caller *c, struct caller_call *call, uint64_t now_ns)
{
	if (now_ns - call->sent_ns >= LOAD_TIMEOUT_MS * 1000000ULL) {
		call_end(c, call, true, 0);
		return;
	}
	if (call->wire->link) { /* RFC 3261 §17.1.1.2: only the time-out */
		backoff_arm(&c->again, &call->timer, ++call->tries, now_ns);
		return;
	}
	c->sent_again++;
	if (call->state == CALLING)
		wire_send_copy(call->wire, call->invite, call->invite_len, &call->invite_to);
	else
		call_send_later(call);
	backoff_arm(&c->again, &call->timer, ++call->tries, now_ns);
}

static void timers_run(struct caller *c, uint64_t now_ns)
{
	struct delayed *t;

	while ((t = delay_due(&c->hold, now_ns)))
		call_bye(c, owner_of(t, struct caller_call, timer), now_ns);
	while ((t = backoff_due(&c->again, now_ns)))
		call_send_again(c, owner_of(t, struct caller_call, timer), now_ns);
	while ((t = delay_due(&c->answer, now_ns)))
		call_end(c, owner_of(t, struct caller_call, timer), true, 0);
}

/* Kept calls: told when all are up, ended at the rate they were made when the time is over. */
static void kept_run(struct caller *c, uint64_t now_ns)
{
	if (c->keep_until_ns == UINT64_MAX) {
		if (c->established + c->failed < c->plan.calls)
			return;
		c->keep_until_ns = c->bye_at_ns = now_ns + c->plan.keep_s * 1000000000ULL;
		printf("held %lu\n", c->up_now);
		fflush(stdout);
	}
	for (int i = 0; i < LATE_START_MAX && now_ns >= c->bye_at_ns && !list_empty(&c->up); i++) {
		struct caller_call *call = owner_of(c->up.next, struct caller_call, in_up);

		list_del(&call->in_up);
		call_bye(c, call, now_ns);
		c->bye_at_ns += next_distance_ns(c);
	}
}

uint64_t caller_tick(struct caller *c, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	timers_run(c, now_ns);
	for (int i = 0; i < LATE_START_MAX && c->started < c->plan.calls && now_ns >= c->start_at_ns; i++) {
		if (!call_start(c, now_ns))
			break;
		c->start_at_ns += next_distance_ns(c);
	}
	if (c->plan.keep_s) {
		kept_run(c, now_ns);
		if (!list_empty(&c->up) && c->keep_until_ns != UINT64_MAX)
			next = c->bye_at_ns;
	}
	/* late, or without a free slot: soon again */
	if (c->started < c->plan.calls && c->start_at_ns < next)
		next = c->start_at_ns > now_ns ? c->start_at_ns : now_ns + 100000;
	next = backoff_next(&c->again) < next ? backoff_next(&c->again) : next;
	next = delay_next(&c->hold) < next ? delay_next(&c->hold) : next;
	return delay_next(&c->answer) < next ? delay_next(&c->answer) : next;
}

bool caller_is_done(const struct caller *c)
{
	return c->completed + c->failed >= c->plan.calls;
}

static double delay_quantile_ms(const struct caller *c, double q)
{
	unsigned long n = 0, seen = 0;
	unsigned step = 0;

	for (step = 0; step <= DELAY_STEPS; step++)
		n += c->delays[step];
	for (step = 0; step < DELAY_STEPS; step++)
		if ((double)(seen += c->delays[step]) >= q * (double)n)
			break;
	return (step + 1) * DELAY_STEP_US / 1000.0;
}

static bool went_well(const struct caller *c, const struct callee_counts *callee)
{
	unsigned long wrong_here = c->failed + c->sent_again + c->received_again + c->out_of_order + c->strays;
	unsigned long wrong_there = callee->sent_again + callee->received_again + callee->stray_acks +
	                            callee->early_byes + callee->unacked + callee->unended + callee->others +
	                            callee->refused;

	return !wrong_here && !wrong_there && c->completed == c->plan.calls && callee->invites == c->plan.calls &&
	       callee->acks == c->plan.calls && callee->byes == c->plan.calls;
}

void caller_report(const struct caller *c, const struct callee_counts *callee, unsigned long cpu_us)
{
	double seconds = (double)(clock_ns() - c->begun_ns) / 1e9;
	unsigned long sent = 0, received = 0;

	for (unsigned i = 0; i < c->n_wires; i++) {
		sent += c->wires[i]->sent_bytes;
		received += c->wires[i]->received_bytes;
	}
	printf("{\"good\":%s,\"calls\":%u,\"completed\":%lu,\"failed\":%lu,\"unanswered\":%lu,\"failed_3xx\":%lu,"
	       "\"failed_4xx\":%lu,\"failed_5xx\":%lu,\"failed_6xx\":%lu,\"sent_again\":%lu,\"received_again\":%lu,"
	       "\"out_of_order\":%lu,\"strays\":%lu,",
	       went_well(c, callee) ? "true" : "false", c->plan.calls, c->completed, c->failed, c->unanswered,
	       c->failed_by[3], c->failed_by[4], c->failed_by[5], c->failed_by[6], c->sent_again, c->received_again,
	       c->out_of_order, c->strays);
	printf("\"callee_calls\":%lu,\"callee_acks\":%lu,\"callee_byes\":%lu,\"callee_sent_again\":%lu,"
	       "\"callee_received_again\":%lu,\"callee_stray_acks\":%lu,\"callee_early_byes\":%lu,"
	       "\"callee_unacked\":%lu,\"callee_unended\":%lu,\"callee_others\":%lu,\"callee_refused\":%lu,"
	       "\"probes\":%lu,",
	       callee->invites, callee->acks, callee->byes, callee->sent_again, callee->received_again,
	       callee->stray_acks, callee->early_byes, callee->unacked, callee->unended, callee->others,
	       callee->refused, callee->options);
	printf("\"seconds\":%.2f,\"rate\":%.0f,\"ring_ms_p50\":%.2f,\"ring_ms_p99\":%.2f,"
	       "\"stream_sent_bytes\":%lu,\"stream_received_bytes\":%lu,\"cpu_us_per_call\":%.1f}\n",
	       seconds, (double)c->started / seconds, delay_quantile_ms(c, 0.5), delay_quantile_ms(c, 0.99),
	       sent, received, (double)cpu_us / (c->started ? (double)c->started : 1));
	fflush(stdout);
}
