/* sbc/call/call.c - calls, legs and dialogs: how they come to be, are found, and go. */
#include "sbc/call/move.h"
#include "sbc/call/account.h"
#include "sbc/call/stick.h"
#include "sbc/call/sips.h"
#include "sbc/call/transfer.h"
#include "sbc/call/trunk.h"
#include "sbc/call/waiting.h"
#include "apps-router/route.h"
#include "nat/detect.h"
#include <errno.h>
#include <stdlib.h>

const struct counter_def call_counter_defs[CALL_COUNTERS] = {
	[CALLS_STARTED] = { "calls_started_total", "INVITEs that became a call", false },
	[CALLS_ANSWERED] = { "calls_answered_total", "Calls answered", false },
	[CALLS_FAILED] = { "calls_failed_total", "Calls that ended without answer", false },
	[CALLS_ENDED] = { "calls_ended_total", "Answered calls that ended", false },
	[CALLS_REFUSED] = { "calls_refused_total", "Initial requests refused by us", false },
	[CALLS_FAILOVERS] = { "calls_failovers_total", "Attempts given up for another destination", false },
	[CALLS_SPILLED] = { "calls_spilled_total", "Attempts at another pool, because theirs was full or down", false },
	[CALLS_NO_ACK] = { "calls_no_ack_total", "Answers never acknowledged by the caller", false },
	[CALLS_EXPIRED] = { "calls_expired_total", "Calls ended by their longest duration", false },
	[REQUESTS_RELAYED] = { "requests_relayed_total", "Requests passed from one side to the other", false },
	[REQUESTS_REFUSED] = { "requests_refused_total", "In-dialog requests answered by us with an error", false },
	[STRAY_REQUESTS] = { "stray_requests_total", "Requests for a dialog we do not hold", false },
	[STRAY_ACKS] = { "stray_acks_total", "ACKs for nothing", false },
	[STRAY_2XX] = { "stray_2xx_total", "Answers of forks or given-up attempts: acknowledged and ended", false },
	[NAMES_ASKED] = { "names_asked_total", "Requests that waited for another worker to say whom they name", false },
	[NAMES_UNANSWERED] = { "names_unanswered_total", "Requests refused since it could not be asked, or did not answer in time", false },
	[FORGED_TOKENS] = { "forged_tokens_total", "Identifiers in the place of ours that are not ours", false },
	[BODIES_REFUSED] = { "bodies_refused_total", "Bodies of event packages that could not be shown to the other side", false },
	[SUBSCRIPTIONS_STARTED] = { "subscriptions_started_total", "Subscriptions asked for, those of REFER included", false },
	[SUBSCRIPTIONS_ENDED] = { "subscriptions_ended_total", "Subscriptions that ended, whatever ended them", false },
	[SUBSCRIPTIONS_EXPIRED] = { "subscriptions_expired_total", "Subscriptions that ended because nobody refreshed them", false },
	[SUBSCRIPTIONS_REFUSED] = { "subscriptions_refused_total", "Subscriptions for which there was no room", false },
	[FORKS_REFUSED] = { "forks_refused_total", "Early dialogs or contacts beyond the bound of one call, or without memory", false },
	[REGISTERS_CUT] = { "registers_cut_total", "Answers to REGISTER that do not name all contacts: there was no room, or it would have "
	                    "been too much for an unvalidated source", false },
	[USERS_ASKED] = { "users_asked_total", "Requests that waited for a source of users", false },
	[USERS_UNANSWERED] = { "users_unanswered_total", "Requests for which a source of users had no answer, or none in time", false },
	[LOCATIONS_ASKED] = { "locations_asked_total", "Requests that waited for another worker to say who is registered", false },
	[LOCATIONS_UNANSWERED] = { "locations_unanswered_total", "Requests refused since it could not say so, or not in time", false },
	[SESSION_REFRESHES_SENT] = { "session_refreshes_sent_total", "Session refreshes (UPDATE, re-INVITE) of our own", false },
	[SESSION_REFRESHES_TAKEN] = { "session_refreshes_taken_total", "Session refreshes (UPDATE) answered by us", false },
	[SESSION_PINGS] = { "session_pings_total", "OPTIONS sent within calls to see whether an end is there", false },
	[CALLS_SESSION_EXPIRED] = { "calls_session_expired_total", "Calls ended because a session was not refreshed", false },
	[REDIRECTS_FOLLOWED] = { "redirects_followed_total", "Contacts of 3xx tried in place of the first destination", false },
	[REDIRECTS_REFUSED] = { "redirects_refused_total", "Contacts of 3xx not tried: known already, too many, or our own", false },
	[FLOWS_MOVED] = { "flows_moved_total", "Clients followed to another port or connection within a call", false },
	[FLOWS_KEPT] = { "flows_kept_total", "Requests within a call from elsewhere than its client: answered, nothing moved", false },
	[LEGS_STRAYED] = { "legs_strayed_total", "Destinations that named an address where nobody can reach them, followed instead",
	                   false },
	[CANCELS_STRAYED] = { "cancels_strayed_total", "CANCELs whose Via was not that of their INVITE any more", false },
	[HOPS_FAILED_OVER] = { "hops_failed_over_total", "Requests within a dialog sent to the next address of their target's name", 0 },
	[FLOW_NEWS_LOST] = { "flow_news_lost_total", "Moves of registered clients that a worker with calls could not be told of or asked "
	                                               "about",
	                     false },
	[FLOWS_GONE] = { "flows_gone_total", "Requests within a call that its client's connection or NAT did not take any more", false },
	[CALLS_MOVED] = { "calls_moved_total", "Calls moved to another destination, theirs being drained", false },
	[CALLS_STAYED] = { "calls_stayed_total", "Moves that came to nothing: the call stayed where it was", false },
	[MOVES_LOST] = { "moves_lost_total", "Calls that ended because neither another destination nor theirs took the caller's offer",
	                 false },
	[CHALLENGES_ANSWERED] = { "trunk_challenges_answered_total", "Challenges of trunks answered with their credentials", false },
	[CHALLENGES_REFUSED] = { "trunk_challenges_refused_total",
	                         "Challenges of trunks that could not be answered, or not again: our credentials were not taken", false },
	[CHALLENGES_ASTRAY] = { "trunk_challenges_astray_total",
	                        "Challenges within calls of trunks with credentials, from addresses not known to be theirs", false },
	[CALLS_SILENT] = { "calls_silent_total", "Calls ended because an end did not answer any more", false },
};

const struct reason call_reasons[WHY_COUNT] = {
#define X(name, id, status, phrase, text) [name] = { id, status, phrase, text },
	CALL_REASONS(X)
#undef X
};

/* Shown with the id as a label. */
static const struct counter_def reason_defs[WHY_COUNT] = {
#define X(name, reason, status, phrase, text) [name] = { reason, text, false },
	CALL_REASONS(X)
#undef X
};

int b2bua_new(struct b2bua **out, const struct b2bua_params *params)
{
	struct b2bua *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->p = *params;
	policies_init(&b->policies, token_hash_key(params->tokens));
	list_init(&b->all);
	list_init(&b->attempts_lost);
	list_init(&b->ended);
	list_init(&b->all_echoes);
	slab_init(&b->move_slab, "move", sizeof(struct move), params->max_calls);
	list_init(&b->trunk_watches);
	list_init(&b->accounts);
	slab_init(&b->ties, "tie", sizeof(struct tie), params->max_calls * 2);
	slab_init(&b->echo_slab, "echo", sizeof(struct echo), params->max_calls);
	list_init(&b->all_redirects);
	/* as many subscriptions as calls, so that neither takes the other's room */
	slab_init(&b->calls, "call", sizeof(struct call), params->max_calls * 2);
	slab_init(&b->far_legs, "leg", sizeof(struct leg), params->max_calls * 3);
	slab_init(&b->dialog_slab, "dialog", sizeof(struct dialog), params->max_calls * 3);
	slab_init(&b->setups, "setup", sizeof(struct setup), params->max_calls);
	slab_init(&b->attempts, "attempt", sizeof(struct attempt), params->max_calls * 2);
	slab_init(&b->relays, "relay", sizeof(struct relay), params->max_calls * 2);
	slab_init(&b->usages, "usage", sizeof(struct usage), params->max_calls * 2);
	slab_init(&b->redirect_slab, "redirect", sizeof(struct redirect), params->max_calls);
	slab_init(&b->sessions, "session", sizeof(struct session), params->max_calls);
	blocks_init(&b->texts);
	slab_init(&b->tombstones, "tombstone", sizeof(struct tombstone), params->max_calls * 4);
	if ((err = table_init(&b->legs, 0)) || (err = table_init(&b->dialogs, 0)) || (err = table_init(&b->tombs, 0)) ||
	    (err = table_init(&b->echoes, 0)) || (err = table_init(&b->waiting, 0)) || (err = table_init(&b->flow_ends, 0)) ||
	    (err = table_init(&b->ties_by_binding, 0)) || (err = table_init(&b->ties_by_leg, 0)) ||
	    (err = table_init(&b->redirects, 0)) || (err = table_init(&b->moves, 0)) ||
	    (err = sticks_init(b)) ||
	    (err = counters_init(&b->counters, call_counter_defs, CALL_COUNTERS)) ||
	    (err = counters_init(&b->nat_counters, nat_sign_defs, NAT_SIGNS)) ||
	    (err = counters_init(&b->hide_counters, hide_counter_defs, HIDE_COUNTERS)) ||
	    (err = counters_init(&b->reasons, reason_defs, WHY_COUNT))) {
		b2bua_free(b);
		return err;
	}
	guard_init(&b->guard, params->wheel, &b->hide_counters, params->log);
	*out = b;
	return 0;
}

static void tombstone_challenge_over(struct tombstone *t)
{
	if (!t->challenger)
		return;
	t->challenger = 0;
	t->b->n_challenged--;
	table_del(&t->b->tombs, &t->near);
}

static void tombstone_free(struct tombstone *t)
{
	struct b2bua *b = t->b;

	tombstone_challenge_over(t);
	if (t->has_dialog)
		table_del(&b->tombs, &t->from_near);
	if (t->has_far)
		table_del(&b->tombs, &t->from_far);
	list_del(&t->in_ended);
	wheel_disarm(b->p.wheel, &t->timer);
	slab_free(&b->tombstones, t);
}

void b2bua_free(struct b2bua *b)
{
	if (!b)
		return;
	b->is_ending = true;
	waiting_free_all(b);
	while (!list_empty(&b->all))
		call_free(owner_of(b->all.next, struct call, in_all));
	while (!list_empty(&b->ended))
		tombstone_free(owner_of(b->ended.next, struct tombstone, in_ended));
	while (!list_empty(&b->all_redirects))
		redirect_free(owner_of(b->all_redirects.next, struct redirect, in_all));
	while (!list_empty(&b->all_echoes))
		echo_free(owner_of(b->all_echoes.next, struct echo, in_echoes));
	trunk_watches_free(b);
	accounts_free(b);
	while (!list_empty(&b->attempts_lost))
		attempt_drop(owner_of(b->attempts_lost.next, struct attempt, in_lost));
	table_fini(&b->legs);
	table_fini(&b->dialogs);
	table_fini(&b->tombs);
	table_fini(&b->redirects);
	table_fini(&b->waiting);
	table_fini(&b->flow_ends);
	sticks_fini(b);
	table_fini(&b->ties_by_binding);
	table_fini(&b->ties_by_leg);
	table_fini(&b->moves);
	slab_fini(&b->redirect_slab);
	slab_fini(&b->calls);
	slab_fini(&b->far_legs);
	slab_fini(&b->dialog_slab);
	slab_fini(&b->setups);
	slab_fini(&b->attempts);
	slab_fini(&b->relays);
	slab_fini(&b->usages);
	slab_fini(&b->tombstones);
	slab_fini(&b->sessions);
	blocks_fini(&b->texts);
	slab_fini(&b->echo_slab);
	slab_fini(&b->ties);
	slab_fini(&b->move_slab);
	table_fini(&b->echoes);
	counters_fini(&b->counters);
	counters_fini(&b->hide_counters);
	counters_fini(&b->reasons);
	counters_fini(&b->nat_counters);
	hide_index_free(b->index);
	policies_fini(&b->policies);
	b->p.stack->guard = NULL;
	free(b);
}

int b2bua_adopt(struct b2bua *b, const struct conf *c)
{
	struct hide_index *index;
	int err = hide_index_new(&index, c);

	if (err)
		return err;
	if (sticky_adopt(b->sticky, c) || accounts_know(b, c) || policies_adopt(&b->policies, c)) {
		hide_index_free(index);
		return -ENOMEM;
	}
	hide_index_free(b->index);
	b->index = index;
	b->conf = c;
	accounts_adopt(b);
	guard_adopt(&b->guard, c, index);
	b->p.stack->guard = b->guard.base.check ? &b->guard.base : NULL;
	return 0;
}

void b2bua_close(struct b2bua *b)
{
	b->is_closed = true;
	accounts_leave(b);
}

bool b2bua_is_closed(const struct b2bua *b)
{
	return b->is_closed;
}

unsigned b2bua_accounts(const struct b2bua *b)
{
	return b->n_accounts;
}

size_t b2bua_calls(const struct b2bua *b)
{
	return b->calls.in_use - b->n_kept;
}

struct counters *b2bua_counters(struct b2bua *b)
{
	return &b->counters;
}

struct counters *b2bua_reasons(struct b2bua *b)
{
	return &b->reasons;
}

struct counters *b2bua_hide_counters(struct b2bua *b)
{
	return &b->hide_counters;
}

struct counters *b2bua_nat_counters(struct b2bua *b)
{
	return &b->nat_counters;
}

void b2bua_slabs(struct b2bua *b, void (*fn)(void *ctx, const struct slab *s), void *ctx)
{
	const struct slab *all[] = { &b->calls, &b->far_legs, &b->dialog_slab, &b->setups, &b->attempts, &b->relays,
	                             &b->tombstones, &b->usages, &b->sessions, &b->redirect_slab, &b->echo_slab, &b->ties, &b->move_slab,
	                             sticky_slab(b->sticky), &b->p.stack->servers, &b->p.stack->clients };

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		fn(ctx, all[i]);
}

unsigned b2bua_rule_sets(const struct b2bua *b)
{
	return policies_count(&b->policies);
}

void b2bua_trim(struct b2bua *b)
{
	struct slab *all[] = { &b->calls, &b->far_legs, &b->dialog_slab, &b->setups, &b->attempts, &b->relays, &b->tombstones,
	                       &b->usages, &b->sessions, &b->redirect_slab, &b->echo_slab, &b->ties, &b->move_slab, &b->p.stack->servers,
	                       &b->p.stack->clients };

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		slab_trim(all[i]);
	blocks_trim(&b->texts);
	accounts_retry(b);
	sticky_trim(b->sticky);
}

struct sticky *b2bua_sticky(struct b2bua *b)
{
	return b->sticky;
}

uint16_t path_zone(const struct b2bua *b, const struct path *p)
{
	return b->conf->listeners[p->listener].zone;
}

int conf_listener_for(const struct conf *c, uint16_t zone, uint8_t transport, uint8_t family)
{
	const struct conf_zone *z = &c->zones[zone];

	for (unsigned i = z->first_listener; i < (unsigned)z->first_listener + z->n_listeners; i++)
		if (c->listeners[i].is_active && c->listeners[i].transport == transport && c->listeners[i].bind.family == family)
			return (int)i;
	return -1;
}

/* Legs ------------------------------------------------------------------------------------------------------------- */

int leg_set_text(struct b2bua *b, struct leg *l, const struct leg_text *t)
{
	const struct sv part[] = { t->call_id, t->local, t->remote, t->target, t->routes };
	uint16_t *const len[] = { &l->call_id_len, &l->local_len, &l->remote_len, &l->target_len, &l->routes_len };
	size_t sum = 0, old = leg_text_len(l);
	char *text, *at;

	for (unsigned i = 0; i < 5; i++)
		sum += part[i].len;
	if (sum > CALL_TEXT_MAX)
		return -EMSGSIZE;
	if (!(text = at = blocks_alloc(&b->texts, sum)))
		return -ENOMEM;
	for (unsigned i = 0; i < 5; i++) {
		at = sv_copy(at, part[i]);
		*len[i] = (uint16_t)part[i].len;
	}
	blocks_free(&b->texts, l->text, old); /* after the copy: parts may come from it */
	l->text = text;
	return 0;
}

struct leg *leg_new(struct b2bua *b, struct call *c, uint64_t id)
{
	struct leg *l = slab_alloc(&b->far_legs);

	if (!l)
		return NULL;
	l->call = c;
	l->side = FAR;
	l->slot = POOL_NO_SLOT;
	l->shard = c->shard;
	table_add(&b->legs, &l->in_table, id);
	return l;
}

void leg_release(struct b2bua *b, struct leg *l)
{
	if (!l->has_slot)
		return;
	l->has_slot = false;
	dest_release(b->p.pools, b->p.worker, l->slot);
	dest_ended(b->p.pools, l->slot, b->p.wheel->now_ms - l->call->started_ms);
}

static void leg_fini(struct b2bua *b, struct leg *l)
{
	if (l->invite)
		client_own(l->invite, NULL, NULL);
	leg_release(b, l);
	if (l->is_tied)
		leg_untie(b, l);
	if (l->call)
		table_del(&b->legs, &l->in_table);
	blocks_free(&b->texts, l->text, leg_text_len(l));
}

void leg_free(struct b2bua *b, struct leg *l)
{
	if (!l)
		return;
	leg_fini(b, l);
	slab_free(&b->far_legs, l);
}

/* Dialogs ---------------------------------------------------------------------------------------------------------- */

int dialog_set_text(struct b2bua *b, struct dialog *d, struct sv tag, struct sv target, struct sv routes)
{
	size_t sum = tag.len + target.len + routes.len, old = dialog_text_len(d);
	char *text;

	if (sum > CALL_TEXT_MAX)
		return -EMSGSIZE;
	if (!(text = blocks_alloc(&b->texts, sum)))
		return -ENOMEM;
	sv_copy(sv_copy(sv_copy(text, tag), target), routes);
	blocks_free(&b->texts, d->text, old); /* after the copy: parts may come from it */
	d->text = text;
	d->tag_len = (uint16_t)tag.len;
	d->target_len = (uint16_t)target.len;
	d->routes_len = (uint16_t)routes.len;
	d->hop.is_known = false;
	return 0;
}

struct dialog *dialog_new(struct call *c, struct leg *far, uint64_t id, struct sv tag, struct sv target, struct sv routes)
{
	struct dialog *d;

	if (c->n_dialogs >= DIALOGS_PER_CALL_MAX || !(d = slab_alloc(&c->b->dialog_slab)))
		return NULL;
	if (dialog_set_text(c->b, d, tag, target, routes)) {
		slab_free(&c->b->dialog_slab, d);
		return NULL;
	}
	d->call = c;
	d->far = far;
	list_push(&c->dialogs, &d->in_call);
	c->n_dialogs++;
	table_add(&c->b->dialogs, &d->in_table, id);
	return d;
}

void dialog_free(struct dialog *d)
{
	struct call *c = d->call;

	list_each_safe(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->dialog == d)
			relay_free(r);
	}
	if (c->usages)
		usages_free(c, d);
	list_del(&d->in_call);
	c->n_dialogs--;
	table_del(&c->b->dialogs, &d->in_table);
	blocks_free(&c->b->texts, d->text, dialog_text_len(d));
	slab_free(&c->b->dialog_slab, d);
}

void dialogs_free(struct call *c)
{
	while (!list_empty(&c->dialogs))
		dialog_free(owner_of(c->dialogs.next, struct dialog, in_call));
}

void dialogs_free_of(struct call *c, const struct leg *far)
{
	list_each_safe(n, &c->dialogs)
		if (owner_of(n, struct dialog, in_call)->far == far)
			dialog_free(owner_of(n, struct dialog, in_call));
}

struct dialog *dialog_by_far_tag(struct call *c, const struct leg *far, struct sv tag)
{
	list_each(n, &c->dialogs) {
		struct dialog *d = owner_of(n, struct dialog, in_call);

		if (d->far == far && sv_eq(dialog_tag(d), tag))
			return d;
	}
	return NULL;
}

/* Calls ------------------------------------------------------------------------------------------------------------ */

bool is_trusted(const struct b2bua *b, const struct path *p)
{
	return route_is_trusted(b->conf, path_zone(b, p), &p->remote);
}

static int near_leg_init(struct call *c, const struct request *r, struct sv contact)
{
	char scratch[8192];
	struct arena a;
	struct out local, remote;
	struct leg_text t;
	char *area;
	size_t room = r->v->len;
	int err = -ENOMEM;

	arena_init(&a, scratch, sizeof(scratch), 4 * (size_t)NET_MESSAGE_MAX);
	if ((area = arena_alloc(&a, 2 * room))) {
		out_init(&local, area, room);
		out_init(&remote, area + room, room);
		out_value(&local, r->v, view_value(r->v, HDR_TO)); /* it has no tag: the request begins something */
		out_value(&remote, r->v, view_value(r->v, HDR_FROM));
		t = (struct leg_text){ .call_id = view_value(r->v, HDR_CALL_ID), .local = out_done(&local), .remote = out_done(&remote),
		                       .target = contact, .routes = route_set(&a, r->v, false) };
		err = local.is_full || remote.is_full ? -EMSGSIZE : leg_set_text(c->b, &c->near, &t);
	}
	arena_reset(&a);
	return err;
}

static void call_expires(struct timer *t)
{
	struct call *c = owner_of(t, struct call, timer);

	if (session_asks(c))
		return;
	counter_inc(&c->b->counters, CALLS_EXPIRED);
	call_hangup(c, 1 << NEAR | 1 << FAR, c->setup ? WHY_RING_TIMEOUT : WHY_MAX_DURATION);
}

struct call *call_alloc(struct b2bua *b, uint64_t leg_id, uint16_t shard)
{
	struct call *c = slab_alloc(&b->calls);

	if (!c)
		return NULL;
	c->b = b;
	c->shard = shard;
	c->method = M_INVITE;
	list_init(&c->dialogs);
	list_init(&c->relays);
	c->timer.fire = call_expires;
	c->near = (struct leg){ .call = c, .side = NEAR, .shard = shard };
	table_add(&b->legs, &c->near.in_table, leg_id);
	list_push(&b->all, &c->in_all);
	c->started_ms = b->p.wheel->now_ms;
	return c;
}

struct call *call_new(struct b2bua *b, const struct request *r, uint64_t leg_id, struct sv contact)
{
	bool is_full = r->v->method == M_INVITE && b2bua_calls(b) >= b->p.max_calls;
	struct call *c = is_full ? NULL : call_alloc(b, leg_id, r->shard);

	if (!c)
		return NULL;
	c->method = r->v->method;
	c->cseq = r->v->cseq;
	c->near.path = *r->from;
	c->near.follows_flow = is_followed(b, r);
	c->near.is_sips = sips_is(view_uri(r->v));
	wheel_arm_in(b->p.wheel, &c->timer, CALL_SETUP_MAX_MS);
	if (near_leg_init(c, r, contact) == 0)
		return c;
	call_free(c);
	return NULL;
}

void call_free(struct call *c)
{
	struct b2bua *b = c->b;

	wheel_disarm(b->p.wheel, &c->timer);
	if (c->moving)
		move_forget(c);
	if (c->setup)
		setup_drop(c->setup);
	if (c->session)
		session_free(c);
	if (c->is_stuck)
		stick_leave(c);
	dialogs_free(c);
	while (!list_empty(&c->relays))
		relay_free(owner_of(c->relays.next, struct relay, in_call));
	if (c->far && c->far->has_forks && c->far->invite)
		attempt_adopt(b, c->far);
	else
		leg_free(b, c->far);
	leg_fini(b, &c->near);
	if (c->trunk)
		trunk_go(c);
	if (c->policy)
		policies_release(&b->policies, c->policy);
	b->n_kept -= c->is_kept;
	list_del(&c->in_all);
	slab_free(&b->calls, c);
}

static void tombstone_expires(struct timer *t)
{
	tombstone_free(owner_of(t, struct tombstone, timer));
}

/* Of a request within a dialog: the id in our tag, and what has to agree with it (relay.c: place_near, place_far). The id comes from an
 * authentic token, so it alone is enough of a key. */
static uint64_t tomb_key(uint64_t id, struct sv call_id, struct sv tag, uint16_t zone)
{
	return hash_weak(hash_weak(id + zone, call_id), tag);
}

static void tombstone_add_dialog(struct tombstone *t, const struct call *c, const struct dialog *d)
{
	struct b2bua *b = c->b;

	t->has_dialog = true;
	t->has_far = c->far == d->far || (c->setup && attempt_of(c->setup, d->far));
	table_add(&b->tombs, &t->from_near, tomb_key(d->in_table.key, leg_call_id(&c->near), tag_of(leg_remote(&c->near)),
	                                             path_zone(b, &c->near.path)));
	if (!t->has_far)
		return; /* its attempt failed, and the leg has gone */
	table_add(&b->tombs, &t->from_far, tomb_key(d->far->in_table.key, leg_call_id(d->far), dialog_tag(d),
	                                            path_zone(b, &d->far->path)));
}

/* Of one leg only the last counts: whoever begins it again and again must not make the way to it longer. */
static void tombstone_add_challenge(struct tombstone *t, const struct call *c)
{
	struct b2bua *b = t->b;
	struct link *old = table_find(&b->tombs, c->near.in_table.key);

	if (old)
		tombstone_challenge_over(owner_of(old, struct tombstone, near));
	t->challenger = c->setup->challenger;
	t->ahead = c->setup->ahead;
	t->raises = c->setup->raises;
	t->min_s = c->setup->min_s;
	b->n_challenged++;
	table_add(&b->tombs, &t->near, c->near.in_table.key);
}

bool tombstone_new(struct call *c)
{
	struct b2bua *b = c->b;
	struct tombstone *t = slab_alloc(&b->tombstones);

	if (!t)
		return false;
	t->b = b;
	if (c->setup && c->setup->challenger)
		tombstone_add_challenge(t, c);
	t->timer.fire = tombstone_expires;
	list_push(&b->ended, &t->in_ended);
	if (!list_empty(&c->dialogs))
		tombstone_add_dialog(t, c, owner_of(c->dialogs.next, struct dialog, in_call));
	wheel_arm_in(b->p.wheel, &t->timer, CALL_TOMBSTONE_MS);
	return true;
}

const struct tombstone *tombstone_challenged(const struct b2bua *b, uint64_t near_id)
{
	for (struct link *l = table_find(&b->tombs, near_id); l; l = table_next(&b->tombs, l))
		if (owner_of(l, struct tombstone, near)->challenger)
			return owner_of(l, struct tombstone, near);
	return NULL;
}

bool tombstone_has(const struct b2bua *b, const struct request *r)
{
	return r->has_tag && table_find(&b->tombs, tomb_key(r->tag.id, view_value(r->v, HDR_CALL_ID), view_from_tag(r->v),
	                                                    path_zone(b, r->from)));
}
