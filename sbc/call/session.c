/* sbc/call/session.c - session timers (RFC 4028), and the question whether the ends are still there for those that have none. We are
 * user agent server on the leg that asks and client on the other: two agreements. Where the peer leaves it to us, the peer refreshes. */
#include "sbc/call/move.h"
#include "sbc/call/trunk.h"
#include "base/tlv.h"
#include <errno.h>

enum {
	BUSY_MS = 2000,                /* something else is under way: later */
	GLARE_MS = 2000, GLARE_OWNER_MS = 2100, GLARE_OWNER_MORE_MS = 1900, /* RFC 3261 §14.1 */
};

/* An interval, and who refreshes; 0: none. */
struct terms {
	uint32_t interval_s;
	bool is_ours;
};

static void leg_fire(struct timer *t);
static const struct client_ops ask_ops;

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Words ------------------------------------------------------------------------------------------------------------- */

/* delta-seconds *(;generic-param); what is no number counts as absent, what is too large as the most. */
static uint32_t seconds_of(struct sv value, struct sv *params)
{
	size_t end = sv_chr(value, ';');
	uint64_t n = 0;
	int err = sv_u64(sv_trim((struct sv){ value.p, end }), SESSION_MAX_S, &n);

	*params = sv_skip(value, end);
	return err == -ERANGE ? SESSION_MAX_S : err ? 0 : (uint32_t)n;
}

void session_read(struct session_words *w, const struct view *v)
{
	struct sv params, refresher = SV("");

	*w = (struct session_words){ .min_s = SESSION_MIN_S };
	w->is_supported = (v->first[HDR_SUPPORTED] && has_option(v, HDR_SUPPORTED, SV("timer"))) ||
	                  (v->first[HDR_REQUIRE] && has_option(v, HDR_REQUIRE, SV("timer")));
	if (v->first[HDR_SESSION_EXPIRES]) {
		w->expires_s = seconds_of(view_value(v, HDR_SESSION_EXPIRES), &params);
		param_find(params, SV("refresher"), &refresher);
		w->refresher = sv_ieq(refresher, SV("uac")) ? REFRESHER_UAC : sv_ieq(refresher, SV("uas")) ? REFRESHER_UAS : REFRESHER_OPEN;
	}
	if (w->is_supported || w->expires_s)
		w->min_s = larger(seconds_of(view_value(v, HDR_MIN_SE), &params), SESSION_MIN_S);
	if (!w->expires_s && v->method != M_UPDATE)
		return; /* how the peer is refreshed matters to whom it asked to be */
	w->has_allow = view_find(v, HDR_ALLOW, 0) != NULL;
	w->has_update = v->method == M_UPDATE || has_option(v, HDR_ALLOW, SV("UPDATE"));
}

static const struct conf_zone *zone_of(const struct b2bua *b, const struct path *p)
{
	return &b->conf->zones[path_zone(b, p)];
}

static uint32_t least_of(const struct conf_zone *zone)
{
	return larger(zone->session.min_ms / 1000, SESSION_MIN_S);
}

bool session_is_short(const struct b2bua *b, const struct path *from, const struct view *v)
{
	struct session_words w;

	if (!v->first[HDR_SESSION_EXPIRES])
		return false;
	session_read(&w, v);
	return w.is_supported && w.expires_s && w.expires_s < least_of(zone_of(b, from));
}

struct sv session_min_line(const struct b2bua *b, const struct path *from, char area[64])
{
	struct out o;

	out_init(&o, area, 64);
	out_lit(&o, "Min-SE: ");
	out_u64(&o, least_of(zone_of(b, from)));
	out_lit(&o, "\r\n");
	return out_done(&o);
}

/* §9: what we agree to as the server of a request that said `asked`. `now`: what is in force on that leg, or NULL. */
static struct terms accepted(const struct session_words *asked, const struct conf_zone *zone, const struct session_leg *now)
{
	uint32_t most = zone->session.expires_ms / 1000;
	bool is_running = now && now->expires_ms;
	struct terms t = { 0, true };

	if (asked->expires_s) {
		t.interval_s = most ? smaller(asked->expires_s, larger(most, asked->min_s)) : asked->expires_s;
		t.is_ours = !asked->is_supported || asked->refresher == REFRESHER_UAS;
	} else if (asked->is_supported) {
		t.interval_s = is_running ? now->interval_s : most;
		t.is_ours = is_running && now->is_ours;
	}
	if (t.interval_s)
		t.interval_s = smaller(larger(t.interval_s, SESSION_MIN_S), SESSION_MAX_S);
	return t;
}

/* §7.1: what we ask for as the client. Where nothing is in force yet, the peer shall refresh. */
static struct terms offered(const struct session_words *asked, const struct conf_zone *zone, const struct session_leg *now,
                            uint32_t min_s)
{
	uint32_t most = zone->session.expires_ms / 1000;
	bool is_running = now && now->expires_ms;
	uint32_t interval = is_running ? now->interval_s : most ? most : asked ? asked->expires_s : 0;

	return (struct terms){ interval ? larger(larger(interval, min_s), least_of(zone)) : 0, is_running && now->is_ours };
}

/* §7.2: what a 2xx to our request has settled. Who does not say who refreshes leaves it to us. */
static struct terms settled(const struct session_words *w)
{
	return (struct terms){ w->expires_s ? larger(w->expires_s, SESSION_MIN_S) : 0, w->refresher != REFRESHER_UAS };
}

static void expires_line(struct compose *c, struct terms t, bool is_client)
{
	out_lit(&c->o, "Session-Expires: ");
	out_u64(&c->o, t.interval_s);
	out_str(&c->o, t.is_ours == is_client ? ";refresher=uac\r\n" : ";refresher=uas\r\n");
}

/* Who asks for nothing and passes on nobody's wish says nothing of timers either. */
static void offer_lines(struct compose *c, struct terms t, bool is_wished, const struct conf_zone *zone, uint32_t min_s)
{
	uint32_t min = larger(least_of(zone), min_s);

	if (t.interval_s || is_wished)
		out_lit(&c->o, "Supported: timer\r\n");
	if (!t.interval_s)
		return;
	expires_line(c, t, true);
	if (min == SESSION_MIN_S)
		return;
	out_lit(&c->o, "Min-SE: ");
	out_u64(&c->o, min);
	out_lit(&c->o, "\r\n");
}

/* §9: Require: timer whenever the peer knows what that is. */
static void accept_lines(struct compose *c, struct terms t, const struct session_words *asked)
{
	if (!t.interval_s)
		return;
	expires_line(c, t, false);
	if (asked->is_supported)
		out_lit(&c->o, "Require: timer\r\n");
}

void session_offer(struct compose *c, const struct session_words *asked, const struct conf_zone *zone, uint32_t min_s)
{
	offer_lines(c, offered(asked, zone, NULL, min_s), asked->is_supported, zone, min_s);
}

void session_accept(struct compose *c, const struct session_words *asked, const struct conf_zone *zone)
{
	accept_lines(c, accepted(asked, zone, NULL), asked);
}

uint32_t session_raise(const struct session_words *asked, const struct conf_zone *zone, uint32_t min_s, const struct view *v)
{
	struct terms t = offered(asked, zone, NULL, min_s);
	struct sv params;
	uint32_t min = seconds_of(view_value(v, HDR_MIN_SE), &params);

	return t.interval_s && min > t.interval_s && min < SESSION_MAX_S ? min : 0;
}

/* Legs -------------------------------------------------------------------------------------------------------------- */

static struct leg *leg_of(const struct call *c, unsigned side)
{
	return side == NEAR ? (struct leg *)&c->near : c->far;
}

static struct dialog *dialog_of(const struct call *c)
{
	return owner_of(c->dialogs.next, struct dialog, in_call);
}

static struct wheel *wheel_of(const struct session_leg *l)
{
	return l->session->call->b->p.wheel;
}

static uint32_t ping_ms(const struct call *c, unsigned side)
{
	return zone_of(c->b, &leg_of(c, side)->path)->session.ping_ms;
}

/* When a leg is asked first: somewhere in the second half of the interval, by its id, so that calls that began together (or came here
 * together) are not asked together. */
static uint64_t spread(const struct call *c, unsigned side)
{
	uint64_t half = ping_ms(c, side) / 2;

	return half + half * (leg_of(c, side)->in_table.key & 0xffff) / 0x10000;
}

static uint64_t deadline(const struct session_leg *l)
{
	return l->expires_ms - 1000ull * smaller(SESSION_MARGIN_S, l->interval_s / 3);
}

static void again_in(struct session_leg *l, uint64_t ms)
{
	struct wheel *w = wheel_of(l);
	uint64_t at = w->now_ms + ms;

	wheel_arm(w, &l->timer, l->expires_ms && deadline(l) < at ? deadline(l) : at);
}

static void rest(struct session_leg *l, uint64_t ms)
{
	if (ms)
		wheel_arm_in(wheel_of(l), &l->timer, ms);
	else
		wheel_disarm(wheel_of(l), &l->timer);
}

static bool wants_sdp(const struct session_leg *l)
{
	return l->expires_ms && l->is_ours && !l->has_update;
}

/* From now on these terms hold. */
static void leg_agree(struct session_leg *l, struct terms t)
{
	struct call *c = l->session->call;

	l->interval_s = t.interval_s;
	l->is_ours = t.is_ours;
	l->raises = l->unsent = 0;
	l->expires_ms = t.interval_s ? c->b->p.wheel->now_ms + 1000ull * t.interval_s : 0;
	if (!wants_sdp(l))
		buf_put(STEAL(l->sdp));
	if (!t.interval_s)
		rest(l, spread(c, l->side));
	else
		again_in(l, t.is_ours ? 500ull * t.interval_s : 1000ull * t.interval_s);
}

static void leg_hears(struct session_leg *l, const struct session_words *w)
{
	if (w->has_allow || w->has_update)
		l->has_update = w->has_update;
}

/* The call's, made when it is needed first. NULL: no memory; the longest duration ends the call. */
static struct session *session_of(struct call *c)
{
	struct session *s = c->session ? c->session : slab_alloc(&c->b->sessions);

	if (!s || c->session)
		return s;
	s->call = c;
	c->session = s;
	for (unsigned side = NEAR; side <= FAR; side++) {
		struct session_leg *l = &s->leg[side];

		l->session = s;
		l->side = (uint8_t)side;
		l->timer.fire = leg_fire;
		leg_agree(l, (struct terms){ 0 });
	}
	session_watch(c);
	return s;
}

void session_free(struct call *c)
{
	struct session *s = STEAL(c->session);

	for (unsigned side = NEAR; s && side <= FAR; side++) {
		struct session_leg *l = &s->leg[side];

		wheel_disarm(c->b->p.wheel, &l->timer);
		buf_put(l->sdp);
		if (!l->ct)
			continue;
		client_own(l->ct, NULL, NULL);
		if (l->method == M_INVITE)
			client_cancel(l->ct, SV(""));
	}
	slab_free(&c->b->sessions, s);
}

static bool is_sdp(const struct view *v)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE), sdp = SV("application/sdp");

	return v->body_len && type.len >= sdp.len && sv_ieq((struct sv){ type.p, sdp.len }, sdp);
}

void session_sent(struct call *c, unsigned side, const struct buf *message)
{
	struct session_leg *l = c->session ? &c->session->leg[side] : NULL;
	struct view_fault fault;
	struct view v;
	struct buf *sdp;

	if (!l || !wants_sdp(l) || !message || view_scan(&v, message->data, message->len, false, &fault) || !is_sdp(&v) ||
	    v.body_len > SESSION_SDP_MAX || !(sdp = buf_copy_in(c->b->p.stack->bufs, view_body(&v))))
		return;
	buf_put(l->sdp);
	l->sdp = sdp;
}

/* Settles both legs of a transaction that came from `from` with `asked` and was answered by `v`. */
static void settle(struct relay *r, const struct session_words *asked, const struct view *v)
{
	struct call *c = r->call;
	unsigned from = r->from;
	struct session_leg *now = c->session ? &c->session->leg[from] : NULL;
	struct terms here = accepted(asked, zone_of(c->b, &leg_of(c, from)->path), now), there;
	struct session_words w = { 0 };
	struct session *s;

	if (v->first[HDR_SESSION_EXPIRES])
		session_read(&w, v);
	there = settled(&w);
	if ((!c->session && !here.interval_s && !there.interval_s) || !(s = session_of(c)))
		return;
	leg_hears(&s->leg[from], asked);
	leg_hears(&s->leg[!from], &w);
	leg_agree(&s->leg[from], here);
	leg_agree(&s->leg[!from], there);
	session_sent(c, from, r->answer);
	session_sent(c, !from, r->ct ? client_request(r->ct) : NULL);
}

void session_begin(struct relay *r, const struct session_words *asked, const struct view *v)
{
	const struct call *c = r->call;

	if (asked->expires_s || v->first[HDR_SESSION_EXPIRES] || (asked->is_supported && zone_of(c->b, &c->near.path)->session.expires_ms))
		settle(r, asked, v);
	session_watch(r->call);
}

void session_renew(struct relay *r, const struct view *v)
{
	if (r->method != M_INVITE && r->method != M_UPDATE)
		return;
	if (!r->call->setup && (r->call->session || r->session.is_supported || r->session.expires_s || v->first[HDR_SESSION_EXPIRES]))
		settle(r, &r->session, v);
}

bool session_told(struct relay *r, const struct view *v)
{
	struct sv params;
	uint32_t min = seconds_of(view_value(v, HDR_MIN_SE), &params);
	struct session *s = min && min < SESSION_MAX_S && !r->call->setup ? session_of(r->call) : NULL;

	if (!s)
		return false;
	s->leg[!r->from].min_s = larger(s->leg[!r->from].min_s, min);
	return true;
}

void session_request_lines(struct compose *c, const struct relay *r)
{
	const struct call *call = r->call;
	const struct leg *to = r->from == NEAR ? r->dialog->far : &call->near;
	const struct conf_zone *zone = zone_of(c->b, &to->path);
	const struct session_leg *now = call->session ? &call->session->leg[!r->from] : NULL;
	uint32_t min_s = now ? now->min_s : 0;

	if (r->method != M_INVITE && r->method != M_UPDATE)
		return;
	/* an interval of a session that has not begun means nothing (§7.4) */
	offer_lines(c, call->setup ? (struct terms){ 0 } : offered(&r->session, zone, now, min_s), r->session.is_supported, zone, min_s);
}

void session_response_lines(struct compose *c, const struct relay *r)
{
	const struct call *call = r->call;
	const struct session_leg *now = call->session ? &call->session->leg[r->from] : NULL;

	if ((r->method == M_INVITE || r->method == M_UPDATE) && !call->setup)
		accept_lines(c, accepted(&r->session, zone_of(c->b, &leg_of(call, r->from)->path), now), &r->session);
}

void session_ask_lines(struct compose *c, const struct call *call, unsigned side)
{
	const struct session_leg *l = call->session ? &call->session->leg[side] : NULL;
	const struct conf_zone *zone = zone_of(c->b, &leg_of(call, side)->path);

	if (l)
		offer_lines(c, offered(NULL, zone, l, l->min_s), true, zone, l->min_s);
}

/* Refreshes that end here ------------------------------------------------------------------------------------------- */

/* What an UPDATE may carry that is nothing but a refresh: anything else is for the other side to see. */
static bool says_only_refresh(const struct view *v)
{
	static const bool is_plain[HDR_COUNT] = {
		[HDR_VIA] = true, [HDR_FROM] = true, [HDR_TO] = true, [HDR_CALL_ID] = true, [HDR_CSEQ] = true, [HDR_CONTACT] = true,
		[HDR_MAX_FORWARDS] = true, [HDR_CONTENT_LENGTH] = true, [HDR_ROUTE] = true, [HDR_RECORD_ROUTE] = true,
		[HDR_SUPPORTED] = true, [HDR_SESSION_EXPIRES] = true, [HDR_MIN_SE] = true, [HDR_ALLOW] = true, [HDR_ALLOW_EVENTS] = true,
		[HDR_ACCEPT] = true, [HDR_ACCEPT_ENCODING] = true, [HDR_ACCEPT_LANGUAGE] = true, [HDR_USER_AGENT] = true,
		[HDR_SERVER] = true, [HDR_ORGANIZATION] = true, [HDR_DATE] = true, [HDR_TIMESTAMP] = true,
	};

	for (unsigned i = 0; i < v->n; i++)
		if (!is_plain[v->h[i].id] && !(v->h[i].id == HDR_REQUIRE && sv_ieq(hdr_value(v, &v->h[i]), SV("timer"))))
			return false;
	return true;
}

bool session_takes(struct dialog *d, unsigned side, const struct request *r)
{
	struct call *call = d->call;
	struct compose c = { .b = call->b };
	struct session_words asked;
	struct server_txn *st;
	struct session *s;
	struct terms t;

	if (r->v->method != M_UPDATE || !r->v->first[HDR_SESSION_EXPIRES] || r->v->body_len || !says_only_refresh(r->v))
		return false;
	if (!call->answered_ms || call->is_kept || call->is_ending || !(s = session_of(call)) ||
	    server_new(c.b->p.stack, r->v, r->from, r->key, &st))
		return false;
	if (dialog_heard(d, side, r))
		target_moved(d, side, r->v);
	session_read(&asked, r->v);
	t = accepted(&asked, zone_of(c.b, r->from), &s->leg[side]);
	server_begin(st, &c.o, 200, SV(""), SV(""));
	compose_own_contact(&c, leg_of(call, side));
	out_lit(&c.o, "Supported: timer\r\n");
	accept_lines(&c, t, &asked);
	out_lit(&c.o, "Content-Length: 0\r\n\r\n");
	server_send(st, 200, &c.o);
	leg_hears(&s->leg[side], &asked);
	leg_agree(&s->leg[side], t);
	counter_inc(&c.b->counters, SESSION_REFRESHES_TAKEN);
	return true;
}

/* Our own requests -------------------------------------------------------------------------------------------------- */

bool session_is_inviting(const struct call *c)
{
	for (unsigned side = NEAR; side <= FAR; side++)
		if (c->session->leg[side].ct && c->session->leg[side].method == M_INVITE)
			return true;
	return false;
}

bool session_is_asking(const struct call *c)
{
	return c->session->leg[NEAR].ct || c->session->leg[FAR].ct;
}

static bool is_invite_pending(const struct call *c)
{
	if (c->moving > MOVE_RESTS)
		return true;
	list_each(n, &c->relays)
		if (owner_of(n, struct relay, in_call)->method == M_INVITE)
			return true;
	return session_is_inviting(c);
}

static struct buf *ask_write(struct session_leg *l, const struct outgoing *m)
{
	struct call *call = l->session->call;
	struct compose c = { .b = call->b };
	const struct conf_zone *zone = zone_of(c.b, &m->leg->path);
	struct sv sdp = l->method == M_INVITE ? buf_sv(l->sdp) : SV("");

	compose_request(&c, m);
	if (l->method == M_OPTIONS) {
		out_lit(&c.o, "Accept: application/sdp\r\n");
	} else {
		compose_own_contact(&c, m->leg);
		offer_lines(&c, offered(NULL, zone, l, l->min_s), true, zone, l->min_s);
	}
	if (sdp.len)
		out_lit(&c.o, "Content-Type: application/sdp\r\n");
	out_lit(&c.o, "Content-Length: ");
	out_u64(&c.o, sdp.len);
	out_lit(&c.o, "\r\n\r\n");
	out_sv(&c.o, sdp);
	return compose_done(&c);
}

/* A refresh by UPDATE where the peer takes it, else by a re-INVITE that changes nothing (§7.4); OPTIONS where there is no timer. */
static int ask(struct session_leg *l)
{
	struct call *c = l->session->call;
	struct leg *leg = leg_of(c, l->side);
	SCOPED(buf_putp) struct buf *request = NULL;
	char tag[TOKEN_LEN];
	struct outgoing m;

	l->method = !l->expires_ms ? M_OPTIONS : l->has_update || !l->sdp ? M_UPDATE : M_INVITE;
	l->cseq = ++leg->local_cseq;
	m = own_request(dialog_of(c), l->side, sv_from(method_name(l->method)), l->cseq, tag);
	leg->path = path_at_hand(c->b, leg, m.uri, m.routes);
	if (!(request = ask_write(l, &m)))
		return -ENOMEM;
	counter_inc(&c->b->counters, l->method == M_OPTIONS ? SESSION_PINGS : SESSION_REFRESHES_SENT);
	return client_start(c->b->p.stack, m.branch_id, l->method, &leg->path, request, &ask_ops, l, &l->ct);
}

static void end(struct session_leg *l)
{
	struct call *c = l->session->call;
	bool is_silent = !l->expires_ms;

	counter_inc(&c->b->counters, is_silent ? CALLS_SILENT : CALLS_SESSION_EXPIRED);
	call_hangup(c, 1 << NEAR | 1 << FAR, is_silent ? WHY_SILENT : WHY_SESSION_EXPIRED);
}

/* It could not be sent, or the transport broke: that proves nothing yet. */
static void ask_unsent(struct session_leg *l, int err)
{
	if (!l->expires_ms && err != -ENOMEM && err != -ENOSPC && ++l->unsent >= SESSION_PINGS_UNSENT_MAX)
		end(l);
	else
		again_in(l, SESSION_RETRY_MS);
}

static void ask_now(struct session_leg *l)
{
	int err = ask(l);

	if (err)
		ask_unsent(l, err);
	else if (l->expires_ms)
		wheel_arm(wheel_of(l), &l->timer, deadline(l)); /* whatever comes of it */
}

static void leg_fire(struct timer *t)
{
	struct session_leg *l = owner_of(t, struct session_leg, timer);
	struct call *c = l->session->call;

	if (l->expires_ms && c->b->p.wheel->now_ms >= deadline(l))
		end(l);
	else if (l->expires_ms && !l->is_ours)
		again_in(l, 1000ull * l->interval_s);
	else if (l->ct || c->is_ending || is_invite_pending(c))
		again_in(l, BUSY_MS);
	else if (l->expires_ms || ping_ms(c, l->side))
		ask_now(l);
}

static void acknowledge(struct session_leg *l, struct client_txn *ct, struct sv to_tag)
{
	struct call *call = l->session->call;
	struct compose c = { .b = call->b };
	struct leg *leg = leg_of(call, l->side);
	SCOPED(buf_putp) struct buf *ack = NULL;
	char tag[TOKEN_LEN];
	struct outgoing m = own_request(dialog_of(call), l->side, SV("ACK"), l->cseq, tag);

	leg->path = path_at_hand(c.b, leg, m.uri, m.routes);
	compose_request(&c, &m);
	trunk_ack_lines(&c, leg, ct);
	out_lit(&c.o, "Content-Length: 0\r\n\r\n");
	if ((ack = compose_done(&c)))
		client_ack(ct, &leg->path, ack, to_tag);
}

/* RFC 3261 §14.1: who owns the Call-ID waits longer. */
static void after_glare(struct session_leg *l)
{
	struct call *c = l->session->call;
	uint64_t random = token_branch_id(c->b->p.tokens, leg_of(c, l->side)->in_table.key, 0, l->cseq);

	again_in(l, l->side == FAR ? GLARE_OWNER_MS + random % GLARE_OWNER_MORE_MS : 10 + random % GLARE_MS);
}

static void raise(struct session_leg *l, const struct view *v)
{
	struct sv params;
	uint32_t min = seconds_of(view_value(v, HDR_MIN_SE), &params);

	if (min <= l->min_s || min >= SESSION_MAX_S || ++l->raises > SESSION_RAISES_MAX) {
		again_in(l, SESSION_RETRY_MS);
		return;
	}
	l->min_s = min;
	ask_now(l);
}

static void refreshed(struct session_leg *l, const struct view *v)
{
	struct session_words w;

	session_read(&w, v);
	leg_hears(l, &w);
	leg_agree(l, settled(&w));
}

void session_settled(struct call *c, unsigned side, const struct view *v, bool is_another)
{
	struct session *s = c->session || v->first[HDR_SESSION_EXPIRES] ? session_of(c) : NULL;

	if (!s)
		return;
	if (is_another) {
		s->leg[side].has_update = false;
		s->leg[side].min_s = 0;
	}
	refreshed(&s->leg[side], v);
}

/* §10: 408 and 481 end the call; what else is said is at least said by somebody. */
static void ask_answered(struct session_leg *l, const struct view *v)
{
	l->unsent = 0;
	if (v->status == 408 || v->status == 481)
		end(l);
	else if (l->method == M_OPTIONS && !l->expires_ms)
		rest(l, ping_ms(l->session->call, l->side));
	else if (l->method == M_OPTIONS)
		return; /* a timer was agreed on meanwhile */
	else if (v->status < 300)
		refreshed(l, v);
	else if (v->status == 491)
		after_glare(l);
	else if (v->status == 422)
		raise(l, v);
	else
		again_in(l, SESSION_RETRY_MS);
}

/* A trunk wants to see its credentials first. */
static bool ask_authorized(struct session_leg *l, const struct view *v)
{
	struct b2bua *b = l->session->call->b;
	struct leg *leg = leg_of(l->session->call, l->side);
	const struct conf_trunk *t = trunk_asked(b, leg, client_path(l->ct));
	struct trunk_again again = { .ct = l->ct, .cseq = leg->local_cseq + 1, .shard = leg->shard, .ops = &ask_ops, .owner = l };

	again.branch_id = token_branch_id(b->p.tokens, leg->in_table.key, leg->branch, again.cseq);
	if (!t || trunk_answer(b, t, &again, v, &l->ct))
		return false;
	l->cseq = leg->local_cseq = again.cseq;
	return true;
}

static void ask_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct session_leg *l = owner;
	struct call *c = l->session->call;

	(void)from;
	if (v->status < 200 || (trunk_is_challenge(c->b, v) && ask_authorized(l, v)))
		return;
	if (v->status < 300 && l->method != M_OPTIONS)
		target_moved(dialog_of(c), l->side, v);
	if (v->status < 300 && l->method == M_INVITE)
		acknowledge(l, ct, view_to_tag(v));
	l->ct = NULL;
	client_own(ct, NULL, NULL);
	ask_answered(l, v);
}

static void ask_failed(void *owner, struct client_txn *ct, int err)
{
	struct session_leg *l = owner;

	l->ct = NULL;
	client_own(ct, NULL, NULL);
	if (err == -ETIMEDOUT)
		end(l);
	else
		ask_unsent(l, err);
}

static void ask_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct session_leg *)owner)->ct = NULL;
}

static const struct client_ops ask_ops = { .on_response = ask_response, .on_failed = ask_failed, .on_end = ask_end };

/* The call's own timer ---------------------------------------------------------------------------------------------- */

void session_watch(struct call *c)
{
	struct wheel *w = c->b->p.wheel;
	uint64_t at = c->answered_ms + c->longest_ms;

	for (unsigned side = NEAR; !c->session && side <= FAR; side++) {
		uint64_t ms = spread(c, side), first = c->answered_ms + ms;

		if (ms && first <= w->now_ms)
			first = w->now_ms + ms;
		if (ms && first < at)
			at = first;
	}
	wheel_arm(w, &c->timer, at);
}

bool session_asks(struct call *c)
{
	struct wheel *w = c->b->p.wheel;
	uint64_t ends_ms = c->answered_ms + c->longest_ms;
	struct session *s;

	if (c->setup || c->session || !c->answered_ms || w->now_ms >= ends_ms)
		return false;
	if (!(s = session_of(c))) {
		wheel_arm(w, &c->timer, w->now_ms + SESSION_RETRY_MS < ends_ms ? w->now_ms + SESSION_RETRY_MS : ends_ms);
		return true;
	}
	for (unsigned side = NEAR; side <= FAR; side++)
		if (ping_ms(c, side))
			wheel_arm(w, &s->leg[side].timer, c->answered_ms + spread(c, side));
	return true;
}

/* Records ----------------------------------------------------------------------------------------------------------- */

enum session_field { SESSION_LEG = 1 };
enum session_leg_field { LEG_SIDE = 1, LEG_LEFT, LEG_INTERVAL, LEG_MIN, LEG_OURS, LEG_UPDATE, LEG_SDP };

void session_put(struct tlv_out *o, uint8_t field, const struct call *c)
{
	size_t place = c->session ? tlv_begin(o, field) : 0;
	uint64_t now = c->b->p.wheel->now_ms;

	for (unsigned side = NEAR; c->session && side <= FAR; side++) {
		const struct session_leg *l = &c->session->leg[side];
		size_t at;

		if (!l->expires_ms)
			continue;
		at = tlv_begin(o, SESSION_LEG);
		tlv_put_u64(o, LEG_SIDE, side);
		tlv_put_u64(o, LEG_LEFT, l->expires_ms > now ? l->expires_ms - now : 1);
		tlv_put_u64(o, LEG_INTERVAL, l->interval_s);
		tlv_put_u64(o, LEG_MIN, l->min_s);
		tlv_put_u64(o, LEG_OURS, l->is_ours);
		tlv_put_u64(o, LEG_UPDATE, l->has_update);
		if (l->sdp)
			tlv_put(o, LEG_SDP, buf_sv(l->sdp));
		tlv_end(o, at);
	}
	if (c->session)
		tlv_end(o, place);
}

static int leg_apply(struct call *c, struct sv rest)
{
	struct sv bytes, sdp = SV("");
	uint64_t of[LEG_SDP] = { 0 };
	struct session_leg *l;
	struct session *s;
	uint8_t field;
	int err;

	while ((err = tlv_next(&rest, &field, &bytes)) == 0) {
		if (field && field < LEG_SDP)
			of[field] = tlv_u64(bytes);
		else if (field == LEG_SDP)
			sdp = bytes;
	}
	if (err != -ENOENT || of[LEG_SIDE] > FAR || of[LEG_INTERVAL] < SESSION_MIN_S || of[LEG_INTERVAL] > SESSION_MAX_S ||
	    of[LEG_LEFT] > 1000 * of[LEG_INTERVAL] || of[LEG_MIN] > SESSION_MAX_S || sdp.len > SESSION_SDP_MAX)
		return -EBADMSG;
	if (!(s = session_of(c)))
		return -ENOMEM;
	l = &s->leg[of[LEG_SIDE]];
	if (sdp.len && !l->sdp && !(l->sdp = buf_copy_in(c->b->p.stack->bufs, sdp)))
		return -ENOMEM;
	l->has_update = of[LEG_UPDATE];
	l->min_s = (uint32_t)of[LEG_MIN];
	l->interval_s = (uint32_t)of[LEG_INTERVAL];
	l->is_ours = of[LEG_OURS];
	l->expires_ms = c->b->p.wheel->now_ms + of[LEG_LEFT];
	/* what was due meanwhile, or is on its way there, is asked anew: not by all calls in the same moment */
	again_in(l, !l->is_ours                         ? of[LEG_LEFT]
	            : of[LEG_LEFT] > 500 * of[LEG_INTERVAL] ? of[LEG_LEFT] - 500 * of[LEG_INTERVAL]
	                                                : 1 + leg_of(c, l->side)->in_table.key % BUSY_MS);
	return 0;
}

int session_apply(struct call *c, struct sv record)
{
	struct sv bytes;
	uint8_t field;
	int err = 0;

	while (!err && !(err = tlv_next(&record, &field, &bytes)))
		if (field == SESSION_LEG)
			err = leg_apply(c, bytes);
	return err == -ENOENT ? 0 : err;
}
