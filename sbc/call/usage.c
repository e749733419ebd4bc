/* sbc/call/usage.c - subscriptions: what a dialog is used for besides its INVITE (RFC 5057, RFC 6665). Each is made by a SUBSCRIBE or a
 * REFER, lives by the expiry times that go past here, and goes silently: the two sides know as much as we do. A call that has nothing
 * else (begun by SUBSCRIBE, or whose BYE came before a REFER's last NOTIFY) is kept by its usages and goes with the last of them. */
#include "sbc/call/call.h"
#include "sbc/call/stick.h"
#include "sbc/call/trunk.h"

/* What an Event header says: package and id (RFC 6665 §8.2.1: both are compared byte by byte). */
struct event {
	struct sv package, id;
};

static const struct event refer_event = { { "refer", 5 }, { "", 0 } };

static struct sv clipped(struct sv v)
{
	return v.len > USAGE_EVENT_MAX ? (struct sv){ v.p, USAGE_EVENT_MAX } : v;
}

static struct sv header_of(const struct view *v, enum hdr_id id)
{
	const struct hdr *h = view_find(v, id, 0);

	return h ? hdr_value(v, h) : SV("");
}

/* A value of a token and parameters: Event, Subscription-State. */
static struct sv word_of(struct sv value, struct sv *params)
{
	size_t at = sv_chr(value, ';');

	*params = sv_skip(value, at);
	return sv_trim((struct sv){ value.p, at });
}

static struct event event_of(const struct view *v)
{
	struct sv params, id = SV("");
	struct event e = { .package = clipped(word_of(header_of(v, HDR_EVENT), &params)) };

	e.id = param_find(params, SV("id"), &id) ? clipped(id) : SV("");
	return e;
}

static bool is_refer(struct event e)
{
	return sv_eq(e.package, refer_event.package);
}

static struct event usage_event(const struct usage *u)
{
	return (struct event){ { u->event, u->package_len }, { u->event + u->package_len, u->id_len } };
}

/* Lives and deaths ------------------------------------------------------------------------------------------------- */

static void usage_fire(struct timer *t);

void usage_until(struct usage *u, uint64_t in_ms)
{
	struct wheel *w = u->dialog->call->b->p.wheel;

	u->end_ms = w->now_ms + (in_ms < USAGE_MAX_MS ? in_ms : USAGE_MAX_MS);
	wheel_arm(w, &u->timer, u->end_ms);
}

struct usage *usage_new(struct dialog *d, enum side notifier, struct sv package, struct sv id)
{
	struct call *c = d->call;
	struct b2bua *b = c->b;
	struct usage **end = &c->usages, *u;
	unsigned n = 0;

	for (; *end; end = &(*end)->next)
		n++;
	if (n >= USAGES_PER_CALL_MAX || !(u = slab_alloc(&b->usages))) {
		counter_inc(&b->counters, SUBSCRIPTIONS_REFUSED);
		return NULL;
	}
	if (!(u->event = blocks_alloc(&b->texts, package.len + id.len))) {
		slab_free(&b->usages, u);
		counter_inc(&b->counters, SUBSCRIPTIONS_REFUSED);
		return NULL;
	}
	memcpy(u->event, package.p ? package.p : "", package.len);
	memcpy(u->event + package.len, id.p ? id.p : "", id.len);
	u->package_len = (uint16_t)package.len;
	u->id_len = (uint16_t)id.len;
	u->dialog = d;
	u->notifier = (uint8_t)notifier;
	u->timer.fire = usage_fire;
	usage_until(u, USAGE_NEW_MS);
	*end = u;
	counter_inc(&b->counters, SUBSCRIPTIONS_STARTED);
	return u;
}

static void usage_free(struct usage *u)
{
	struct call *c = u->dialog->call;
	struct b2bua *b = c->b;
	struct usage **at = &c->usages;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	list_each(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->usage == u)
			r->usage = NULL;
	}
	wheel_disarm(b->p.wheel, &u->timer);
	blocks_free(&b->texts, u->event, (size_t)u->package_len + u->id_len);
	slab_free(&b->usages, u);
	counter_inc(&b->counters, SUBSCRIPTIONS_ENDED);
}

void usages_free(struct call *c, const struct dialog *d)
{
	for (struct usage *u = c->usages, *next; u; u = next) {
		next = u->next;
		if (u->dialog == d)
			usage_free(u);
	}
}

static bool dialog_is_used(const struct dialog *d)
{
	for (const struct usage *u = d->call->usages; u; u = u->next)
		if (u->dialog == d)
			return true;
	return false;
}

bool usages_are_full(struct b2bua *b)
{
	bool are_full = b->n_kept >= b->p.max_calls;

	if (are_full)
		counter_inc(&b->counters, SUBSCRIPTIONS_REFUSED);
	return are_full;
}

/* The only place where a usage ends by itself: nothing is on its way in it, and nobody up the stack holds its call. */
static void usage_fire(struct timer *t)
{
	struct usage *u = owner_of(t, struct usage, timer);
	struct dialog *d = u->dialog;
	struct call *c = d->call;

	if (u->n_relays)
		return; /* the last of them arms it again */
	if (u->is_established && !u->is_over)
		counter_inc(&c->b->counters, SUBSCRIPTIONS_EXPIRED);
	usage_free(u);
	if (!c->is_kept || dialog_is_used(d))
		return;
	if (c->usages)
		dialog_free(d);
	else
		call_free(c);
}

static void usage_end(struct usage *u)
{
	u->is_over = true;
	usage_until(u, 0);
}

void usage_leave(struct relay *r)
{
	struct usage *u = STEAL(r->usage);

	if (--u->n_relays == 0)
		wheel_arm(r->call->b->p.wheel, &u->timer, u->end_ms);
}

/* Requests --------------------------------------------------------------------------------------------------------- */

/* The id of a refer event is the CSeq number of its REFER on this side; without one it is the first (RFC 3515 §2.4.6). */
static bool refer_is(const struct usage *u, enum side side, struct event e)
{
	uint64_t id;

	return u->is_refer && (!e.id.len || (sv_u64(e.id, UINT32_MAX, &id) == 0 && id == u->refer_cseq[side]));
}

static struct usage *usage_find(const struct dialog *d, enum side notifier, enum side sender, struct event e)
{
	for (struct usage *u = d->call->usages; u; u = u->next) {
		struct event mine = usage_event(u);

		if (u->dialog != d || u->notifier != notifier || !sv_eq(mine.package, e.package))
			continue;
		if (u->is_refer ? refer_is(u, sender, e) : sv_eq(mine.id, e.id))
			return u;
	}
	return NULL;
}

/* RFC 6665 §4.1.3: what NOTIFY says of its subscription. */
static void hear_state(struct usage *u, const struct relay *r, const struct view *v)
{
	struct sv params, seconds, state = word_of(header_of(v, HDR_SUBSCRIPTION_STATE), &params);
	uint64_t n;

	u->is_established = true;
	if (sv_ieq(state, SV("terminated")))
		u->last_cseq = r->in_cseq; /* its answer ends it */
	else if (param_find(params, SV("expires"), &seconds) && sv_u64(seconds, UINT32_MAX, &n) == 0)
		usage_until(u, n * 1000 + USAGE_GRACE_MS);
	else if (u->is_refer && u->end_ms < r->call->b->p.wheel->now_ms + USAGE_REFER_MS)
		usage_until(u, USAGE_REFER_MS);
}

static uint32_t seconds_of(const struct view *v, uint32_t otherwise)
{
	struct sv value = view_value(v, HDR_EXPIRES);
	uint64_t n;

	return value.len && sv_u64(sv_trim(value), UINT32_MAX, &n) == 0 ? (uint32_t)n : otherwise;
}

/* RFC 6665 §4.4.1: it is NOTIFY that makes the dialog of a subscription, and its route set; a 2xx that came first was a guess. */
static void settle_routes(struct dialog *d, const struct view *v)
{
	struct sv target = contact_uri(v);
	char scratch[2048];
	struct arena arena;

	arena_init(&arena, scratch, sizeof(scratch), NET_MESSAGE_MAX * 2);
	if (dialog_set_text(d->call->b, d, dialog_tag(d), target.p ? target : dialog_target(d), route_set(&arena, v, false)) == 0)
		d->is_confirmed = true;
	arena_reset(&arena);
}

static struct usage *usage_joined(const struct relay *r, const struct view *v)
{
	struct event e = r->method == M_REFER ? refer_event : event_of(v);
	enum side notifier = r->method == M_NOTIFY ? r->from : !r->from;
	struct usage *u = r->method == M_REFER ? NULL : usage_find(r->dialog, notifier, r->from, e);

	if (u || r->method == M_NOTIFY)
		return u;
	if ((u = usage_new(r->dialog, notifier, e.package, e.id)) && r->method == M_REFER) {
		u->is_refer = true;
		u->refer_cseq[r->from] = r->in_cseq;
	}
	return u;
}

/* RFC 7614 §4: whoever refers wants no subscription in this dialog. */
static bool wants_none(const struct view *request)
{
	return has_option(request, HDR_REQUIRE, SV("nosub")) || has_option(request, HDR_REQUIRE, SV("explicitsub"));
}

bool usage_join(struct relay *r, const struct view *v)
{
	struct usage *u;

	if (r->method == M_REFER && wants_none(v))
		return true;
	if (r->method == M_NOTIFY && r->from == FAR && r->call->method != M_INVITE && !r->dialog->is_confirmed)
		settle_routes(r->dialog, v);
	if (!(u = usage_joined(r, v)))
		return r->method == M_NOTIFY; /* nobody's: talk, hold, message waiting; the other side knows what to do with it */
	r->usage = u;
	u->n_relays++;
	if (r->method == M_NOTIFY)
		hear_state(u, r, v);
	else if (r->method == M_SUBSCRIBE)
		u->asked_s = seconds_of(v, USAGE_DEFAULT_S);
	return true;
}

/* The Event line of a refer event with another id than the receiver knows. */
static void event_line(struct compose *c, uint32_t id, struct sv params, struct hide *h)
{
	struct sv name, value;

	out_lit(&c->o, "Event: refer;id=");
	out_u64(&c->o, id);
	while (param_next(&params, &name, &value)) {
		struct sv whole = sv_span(name.p, value.p + value.len);

		if (sv_ieq(name, SV("id")) || hide_names_inside(h, whole))
			continue;
		out_lit(&c->o, ";");
		out_unfolded(&c->o, whole);
	}
	out_lit(&c->o, "\r\n");
}

const struct view *usage_lines(struct compose *c, const struct relay *r, const struct view *v, struct view *other)
{
	struct usage *u = r->usage;
	const struct hdr *h = view_find(v, HDR_EVENT, 0);
	enum side to = !r->from;
	struct sv params, id;
	struct hide hide;

	if (u->is_refer && r->method == M_REFER)
		u->refer_cseq[to] = r->out_cseq;
	if (!u->is_refer || r->method == M_REFER || !h || !u->refer_cseq[to])
		return v;
	word_of(hdr_value(v, h), &params);
	if (!param_find(params, SV("id"), &id))
		return v;
	hide_from(&hide, c->b, v, r->from == NEAR ? &r->call->near.path : &r->dialog->far->path);
	event_line(c, u->refer_cseq[to], params, &hide);
	memcpy(other, v, offsetof(struct view, h) + v->n * sizeof(v->h[0])); /* behind its headers there may be nothing */
	other->h[h - v->h].id = HDR_RACK; /* one of those that the builder writes itself */
	return other;
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

enum loss { LOSES_NOTHING, LOSES_USAGE, LOSES_DIALOG };

/* RFC 5057 §5.1. */
static enum loss loss_of(unsigned status)
{
	switch (status) {
	case 405: case 408: case 480: case 481: case 489: case 501:
		return LOSES_USAGE;
	case 404: case 410: case 416: case 482: case 483: case 484: case 485: case 502: case 604:
		return LOSES_DIALOG;
	default:
		return LOSES_NOTHING;
	}
}

static void usage_lost(struct usage *u, enum loss loss)
{
	if (loss == LOSES_USAGE)
		usage_end(u);
	for (struct usage *other = u->dialog->call->usages; loss == LOSES_DIALOG && other; other = other->next)
		if (other->dialog == u->dialog)
			usage_end(other);
}

/* RFC 6665 §4.1.2.1: the answer says how long. 0 ends it with the NOTIFY that follows. */
static void usage_granted(struct usage *u, const struct view *v)
{
	uint32_t seconds = v ? seconds_of(v, u->asked_s) : u->asked_s;

	u->is_established = true;
	usage_until(u, seconds ? (uint64_t)seconds * 1000 + USAGE_GRACE_MS : SIP_TIMEOUT);
}

/* RFC 4488 §4: its recipient may have agreed that there is no subscription. */
static bool is_without_subscription(const struct view *v)
{
	struct sv params;

	return v && sv_ieq(word_of(header_of(v, HDR_REFER_SUB), &params), SV("false"));
}

static void usage_accepted(struct usage *u, uint8_t method, const struct view *v)
{
	if (u->is_over)
		return;
	if (method == M_SUBSCRIBE) {
		usage_granted(u, v);
	} else if (method == M_REFER && is_without_subscription(v)) {
		usage_end(u);
	} else if (method == M_REFER && !u->is_established) {
		u->is_established = true;
		usage_until(u, USAGE_REFER_MS);
	}
}

void usage_answered(struct relay *r, unsigned status, const struct view *v)
{
	struct usage *u = r->usage;
	bool is_challenge = status == 401 || status == 407;

	if (status < 300)
		usage_accepted(u, r->method, v);
	else if (!u->is_established && !is_challenge)
		usage_end(u);
	else
		usage_lost(u, r->method == M_REFER ? LOSES_NOTHING : loss_of(status));
	if (r->method == M_NOTIFY && u->last_cseq == r->in_cseq && !is_challenge)
		usage_end(u);
	if (r->method == M_REFER && status >= 300)
		usage_end(u);
}

/* Dialogs of their own --------------------------------------------------------------------------------------------- */

/* The event that the call began with. */
static bool is_event_of(const struct call *c, struct event e)
{
	struct view_fault fault;
	struct view v;

	if (c->method == M_REFER)
		return is_refer(e);
	if (!c->setup) {
		struct event mine = c->usages ? usage_event(c->usages) : refer_event;

		return c->usages && sv_eq(mine.package, e.package) && sv_eq(mine.id, e.id);
	}
	if (view_scan(&v, c->setup->request->data, c->setup->request->len, false, &fault))
		return false;
	struct event mine = event_of(&v);

	return sv_eq(mine.package, e.package) && sv_eq(mine.id, e.id);
}

static struct usage *usage_initial(struct dialog *d, struct event e)
{
	struct call *c = d->call;
	struct usage *u = usage_new(d, FAR, e.package, e.id);

	if (u && c->method == M_REFER) {
		u->is_refer = true;
		u->refer_cseq[NEAR] = c->cseq;
		u->refer_cseq[FAR] = d->far->local_cseq; /* as attempt_send() passed it */
	}
	return u;
}

static struct dialog *dialog_begin(struct call *c, struct leg *far, struct sv tag, struct sv target, struct sv routes, struct event e)
{
	uint64_t id = token_tag_id(c->b->p.tokens, c->near.in_table.key, far->in_table.key + far->branch, tag);
	struct dialog *d = dialog_new(c, far, id, tag, target, routes);

	if (!d)
		return NULL;
	d->cseq_in[NEAR] = c->cseq;
	if (usage_initial(d, e))
		return d;
	dialog_free(d);
	return NULL;
}

/* The first sign of life of its destination: it is not given up any more. */
static void setup_hears(struct setup *s, const struct leg *far)
{
	struct attempt *a = attempt_of(s, far);

	s->has_provisional = true;
	if (!a)
		return;
	a->has_response = true;
	wheel_disarm(s->call->b->p.wheel, &a->timer);
}

struct dialog *usage_dialog(struct leg *far, const struct view *v)
{
	struct call *c = far->call;
	struct sv target = contact_uri(v), tag = view_from_tag(v);
	struct dialog *d = NULL;
	char scratch[2048];
	struct arena arena;

	if ((c->method != M_SUBSCRIBE && c->method != M_REFER) || !target.p || !tag.len ||
	    c->b->p.wheel->now_ms >= c->started_ms + SIP_TIMEOUT || !is_event_of(c, event_of(v)))
		return NULL;
	arena_init(&arena, scratch, sizeof(scratch), NET_MESSAGE_MAX * 2);
	if ((d = dialog_begin(c, far, tag, target, route_set(&arena, v, false), event_of(v)))) {
		d->is_confirmed = true;
		if (c->setup)
			setup_hears(c->setup, far);
	}
	arena_reset(&arena);
	return d;
}

/* The dialog of a 2xx. A NOTIFY may have made it already, and then knows better. */
static struct dialog *answered_dialog(struct attempt *a, const struct view *v, struct event e)
{
	struct call *c = a->setup->call;
	struct sv tag = view_to_tag(v), target = contact_uri(v), routes;
	struct dialog *d = dialog_by_far_tag(c, a->leg, tag);
	char scratch[2048], text[ADDR_TEXT + 24] = "sip:";
	struct arena arena;

	if (d)
		return d;
	if (!target.p) { /* RFC 6665 §4.1.2.1 wants one; until NOTIFY brings it, where the request went */
		addr_print(&a->leg->path.remote, text + 4);
		strcat(text, a->leg->path.transport == T_TCP ? ";transport=tcp" : "");
		target = sv_from(text);
	}
	arena_init(&arena, scratch, sizeof(scratch), NET_MESSAGE_MAX * 2);
	routes = route_set(&arena, v, true);
	d = dialog_begin(c, a->leg, tag, target, routes, e);
	arena_reset(&arena);
	return d;
}

bool begins_usage(const struct setup *s, const struct view *v)
{
	struct view_fault fault;
	struct view request;

	if (!view_to_tag(v).len || s->call->method != M_REFER)
		return view_to_tag(v).len && s->call->method == M_SUBSCRIBE;
	return !is_without_subscription(v) && view_scan(&request, s->request->data, s->request->len, false, &fault) == 0 &&
	       !wants_none(&request);
}

/* The usage that the request began in this dialog; a NOTIFY may have ended it already. */
static struct usage *initial_usage(struct dialog *d, struct event e)
{
	struct usage *u = usage_find(d, FAR, NEAR, e);

	return u ? u : usage_initial(d, e);
}

void call_keep(struct call *c)
{
	c->is_kept = true;
	c->is_ending = false;
	c->b->n_kept++;
	wheel_disarm(c->b->p.wheel, &c->timer);
	if (c->session)
		session_free(c);
	if (c->is_stuck)
		stick_leave(c);
	leg_release(c->b, c->far); /* a subscription may last for weeks: no drain waits for it */
	if (c->trunk)
		trunk_go(c);
}

void usage_begin(struct attempt *a, const struct view *v, const struct path *from)
{
	struct setup *s = a->setup;
	struct call *c = s->call;
	struct view_fault fault;
	struct view request;
	struct dialog *d = NULL;
	struct usage *u = NULL;

	if (view_scan(&request, s->request->data, s->request->len, false, &fault) == 0) {
		struct event e = c->method == M_REFER ? refer_event : event_of(&request);

		if ((d = answered_dialog(a, v, e)) && (u = initial_usage(d, e)))
			u->asked_s = seconds_of(&request, USAGE_DEFAULT_S);
	}
	if (!u || (s->st && setup_pass(s, v, from, d->in_table.key))) {
		s->why = WHY_FULL; /* its NOTIFY gets 481, which ends the subscription (RFC 6665 §4.2.2) */
		setup_fail(s);
		return;
	}
	usage_accepted(u, c->method, v);
	c->status = v->status;
	c->far = STEAL(a->leg);
	if (s->st)
		server_own(s->st, NULL, NULL);
	setup_leave(a);
	call_keep(c);
}

/* The session's end -------------------------------------------------------------------------------------------------- */

bool usage_keeps(const struct call *c, enum why why)
{
	return c->usages && !c->is_kept && !c->setup && why != WHY_OPERATOR;
}

/* Methods that only make sense where there is a session. */
static bool is_of_session(uint8_t method)
{
	return method == M_INVITE || method == M_ACK || method == M_BYE || method == M_PRACK || method == M_UPDATE || method == M_INFO;
}

bool usage_admits(const struct call *c, uint8_t method)
{
	return (c->method == M_INVITE && !c->is_kept) || !is_of_session(method);
}

void usage_keep(struct call *c)
{
	list_each_safe(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (is_of_session(r->method))
			relay_free(r);
	}
	call_keep(c);
}
