#include "sbc/call/stick.h"
#include "base/tlv.h"
#include "registrar/aor.h"
#include "sbc/call/move.h"
#include "sbc/call/record.h"
#include <errno.h>
#include <stdlib.h>

enum step { STICK_ASKS, STICK_ANSWERS, STICK_ENDS };
enum stick_field { STICK_POOL = 1, STICK_TEXT };

/* A question, its answer, and what a call holds of it. */
struct stick {
	struct b2bua_errand errand;
	struct link in_table;        /* held; key: the id of the call's near leg */
	struct node in_owed;         /* its end is still to be told */
	uint64_t leg, ticket;        /* ticket: of the setup that waits; 0: nobody does */
	unsigned home;
	uint8_t step;
	int err;                     /* of sticky_ask */
	struct sticky_question q;    /* its texts lie in `text` */
	char text[];
};

/* The key ---------------------------------------------------------------------------------------------------------- */

/* Room for what is not in the request as it is meant. */
struct key_area {
	struct aor aor;
	char text[ADDR_TEXT];
};

static struct sv user_of_uri(const struct uri *u, struct aor *area)
{
	if (u->scheme == URI_TEL)
		return u->opaque;
	return aor_of_uri(area, u) ? SV("") : aor_user(area);
}

/* RFC 3892: who was asked by somebody to call goes where that one is. */
static struct sv from_user(const struct view *v, struct aor *area)
{
	struct name_addr from;
	struct uri u;

	if (aor_of_value(area, view_value(v, HDR_REFERRED_BY)) == 0 || aor_of_value(area, view_value(v, HDR_FROM)) == 0)
		return aor_sv(area);
	if (name_addr_parse(&from, view_value(v, HDR_FROM)) || uri_parse(&u, from.uri) || u.scheme != URI_TEL)
		return SV("");
	return u.opaque;
}

static struct sv domain_of(const struct uri *u, struct aor *area)
{
	struct uri any = *u;

	any.user = SV("-"); /* hosts are compared as an AOR's are */
	return aor_of_uri(area, &any) ? SV("") : aor_host(area);
}

static bool is_room(const struct conf_pool *pool, struct sv user)
{
	for (unsigned i = 0; i < pool->sticky.n_rooms; i++)
		if (conf_user_match(pool->sticky.rooms[i], user))
			return true;
	return !pool->sticky.n_rooms;
}

static struct sv header_value(const struct view *v, struct sv name)
{
	enum hdr_id id = hdr_id_parse(name);
	const struct hdr *h = id == HDR_OTHER ? view_find_name(v, name, 0) : view_find(v, id, 0);

	return h ? sv_trim(hdr_value(v, h)) : SV("");
}

/* Empty: it has none, and goes wherever `balance` says. */
static struct sv raw_key(const struct setup *s, const struct conf_pool *pool, const struct view *v, struct key_area *area)
{
	struct uri u;

	if (pool->sticky.key == STICKY_CALL_ID)
		return view_value(v, HDR_CALL_ID);
	if (pool->sticky.key == STICKY_SOURCE)
		return sv_from(addr_print_ip(&s->call->near.path.remote, area->text));
	if (pool->sticky.key == STICKY_HEADER)
		return header_value(v, pool->sticky.header);
	if (pool->sticky.key == STICKY_FROM_USER)
		return from_user(v, &area->aor);
	if (uri_parse(&u, view_uri(v)))
		return SV("");
	if (pool->sticky.key == STICKY_DOMAIN)
		return domain_of(&u, &area->aor);
	if (pool->sticky.key == STICKY_TO_USER)
		return user_of_uri(&u, &area->aor);
	return aor_of_uri(&area->aor, &u) || !is_room(pool, aor_user(&area->aor)) ? SV("") : aor_sv(&area->aor);
}

/* The question of this request, its texts in the pool and in `area`. False: it has no key. */
static bool question_of(const struct setup *s, const struct conf_pool *pool, const struct view *v, char area[STICKY_TEXT_MAX],
                        struct sticky_question *q)
{
	const struct hash_key *hash = token_hash_key(s->call->b->p.tokens);
	struct view_fault fault;
	struct key_area room;
	struct view again;
	struct sv raw;

	if (!v && view_scan(&again, s->request->data, s->request->len, false, &fault))
		return false;
	v = v ? v : &again;
	raw = raw_key(s, pool, v, &room);
	if (!raw.len)
		return false;
	*q = (struct sticky_question){ .pool = pool->name, .text = sticky_text(hash, raw, area), .n_tried = s->n_tried,
		                       .balance_key = pooled_query(s, pool, v).key, .counts = s->call->method == M_INVITE };
	memcpy(q->tried, s->tried, s->n_tried * sizeof(q->tried[0]));
	if (s->move && q->n_tried < POOL_TRIES_MAX) /* it leaves that one */
		q->tried[q->n_tried++] = s->move->call->far->slot;
	q->key = sticky_key(hash, q->pool, q->text);
	return true;
}

/* Sticks ----------------------------------------------------------------------------------------------------------- */

static unsigned owner_of_key(const struct b2bua *b, uint64_t key)
{
	return sticky_shard(key) % b->p.workers;
}

static struct stick *stick_new(const struct call *c, const struct sticky_question *q)
{
	struct stick *k = malloc(sizeof(*k) + q->pool.len + q->text.len);

	if (!k)
		return NULL;
	*k = (struct stick){ .errand.kind = ERRAND_STICK, .leg = c->near.in_table.key, .home = c->b->p.worker, .q = *q };
	memcpy(k->text, q->pool.p, q->pool.len);
	memcpy(k->text + q->pool.len, q->text.p, q->text.len);
	k->q.pool.p = k->text;
	k->q.text.p = k->text + q->pool.len;
	return k;
}

/* Tells the owner that the call is not there any more; `k` is gone. What cannot be told now is told later. */
static void stick_end(struct b2bua *b, struct stick *k)
{
	unsigned owner = owner_of_key(b, k->q.key);

	if (!k->q.era || b->is_ending) { /* at the end nobody listens any more */
		free(k);
		return;
	}
	if (owner == b->p.worker) {
		sticky_end(b->sticky, k->q.key, k->q.era);
		free(k);
		return;
	}
	k->step = STICK_ENDS;
	if (b->p.send(b->p.ctx, owner, &k->errand) == 0)
		return;
	list_push(&b->owed_sticks, &k->in_owed);
	if (!timer_is_armed(&b->owed_timer))
		wheel_arm_in(b->p.wheel, &b->owed_timer, STICK_OWED_MS);
}

/* In the order in which they came: what finds no room waits again, and all behind it. */
static void owed_fire(struct timer *t)
{
	struct b2bua *b = owner_of(t, struct b2bua, owed_timer);

	while (!list_empty(&b->owed_sticks)) {
		struct stick *k = owner_of(b->owed_sticks.next, struct stick, in_owed);

		list_del(&k->in_owed); /* first: once sent it is the owner's */
		if (b->p.send(b->p.ctx, owner_of_key(b, k->q.key), &k->errand) == 0)
			continue;
		list_push_front(&b->owed_sticks, &k->in_owed);
		wheel_arm_in(b->p.wheel, t, STICK_OWED_MS);
		return;
	}
}

static struct stick *stick_of(const struct call *c)
{
	struct link *l = table_find(&c->b->sticks, c->near.in_table.key);

	return owner_of(l, struct stick, in_table); /* a call that is_stuck has one */
}

/* The call does not hold it any more. */
static struct stick *stick_take_off(struct call *c)
{
	struct stick *k = stick_of(c);

	table_del(&c->b->sticks, &k->in_table);
	c->is_stuck = false;
	return k;
}

void stick_leave(struct call *c)
{
	stick_end(c->b, stick_take_off(c));
}

/* The call holds what it is counted as, or nothing. */
static void stick_hold(struct call *c, struct stick *k)
{
	if (c->is_stuck)
		stick_leave(c);
	if (!k->q.era) {
		free(k);
		return;
	}
	k->leg = c->near.in_table.key;
	table_add(&c->b->sticks, &k->in_table, k->leg); /* as many as calls at most */
	c->is_stuck = true;
}

void stick_change(struct call *c, struct call *with)
{
	struct stick *one = c->is_stuck ? stick_take_off(c) : NULL, *other = with->is_stuck ? stick_take_off(with) : NULL;

	if (other)
		stick_hold(c, other);
	if (one)
		stick_hold(with, one);
}

/* Asking ----------------------------------------------------------------------------------------------------------- */

/* The owner is here: nothing is allocated but for a call that is counted. */
static int ask_here(struct call *c, struct stick *k, struct sticky_question *q)
{
	struct b2bua *b = c->b;
	int err = sticky_ask(b->sticky, q);

	if (!q->era) {
		free(k);
		return err;
	}
	if (!k && !(k = stick_new(c, q))) { /* it is not counted: a drain will not wait for it */
		sticky_end(b->sticky, q->key, q->era);
		counter_inc(sticky_counters(b->sticky), STICKY_NO_MEMORY);
		return err;
	}
	k->q.era = q->era;
	stick_hold(c, k);
	return err;
}

/* What was held becomes the next question of the same key: it says under which era the call was counted. */
static struct stick *stick_again(struct stick *k, const struct sticky_question *q)
{
	struct sv pool = k->q.pool, text = k->q.text;

	k->q = *q;
	k->q.pool = pool;
	k->q.text = text;
	k->step = STICK_ASKS;
	return k;
}

/* -EINPROGRESS, -ENOMEM or -ENOBUFS; `k` is gone. */
static int ask_there(struct call *c, struct stick *k, const struct sticky_question *q, uint64_t ticket)
{
	struct b2bua *b = c->b;

	k = k ? stick_again(k, q) : stick_new(c, q);
	if (!k)
		return -ENOMEM;
	k->ticket = ticket;
	if (b->p.send(b->p.ctx, owner_of_key(b, q->key), &k->errand) == 0) {
		counter_inc(sticky_counters(b->sticky), STICKY_ASKED);
		return -EINPROGRESS;
	}
	stick_end(b, k);
	return -ENOBUFS;
}

/* 0: q->slot is the answer; -EINPROGRESS: it will come; what sticky_ask says; -ENOMEM, -ENOBUFS. */
static int ask(struct call *c, struct sticky_question *q, uint64_t ticket)
{
	struct stick *k = c->is_stuck ? stick_take_off(c) : NULL;

	if (k && k->q.key != q->key) /* a reload has made its key another one */
		stick_end(c->b, STEAL(k));
	if (k)
		q->era = k->q.era;
	return owner_of_key(c->b, q->key) == c->b->p.worker ? ask_here(c, k, q) : ask_there(c, k, q, ticket);
}

/* Setups ----------------------------------------------------------------------------------------------------------- */

/* No key, or nobody knows of it: like a pool that is not sticky. */
static int choose_freely(struct setup *s, const struct conf_pool *pool, uint16_t index, const struct view *v)
{
	struct b2bua *b = s->call->b;
	struct pool_query q = pooled_query(s, pool, v);

	if (s->call->is_stuck)
		stick_leave(s->call); /* it is elsewhere */
	return pool_pick(b->p.pools, b->conf, index, &q, &s->pick);
}

static int take(struct setup *s, const struct conf_pool *pool, uint16_t index, const struct view *v)
{
	struct b2bua *b = s->call->b;
	int err = sticky_take(b->p.pools, b->conf, index, b->p.worker, s->stick.slot, &s->pick);

	if (!err || (err == -EBUSY && pool->sticky.stays)) /* others were faster; the calls of a room meet, or are not */
		return err;
	return choose_freely(s, pool, index, v);
}

static int too_late(struct setup *s, const struct conf_pool *pool, uint16_t index, const struct view *v)
{
	counter_inc(sticky_counters(s->call->b->sticky), STICKY_UNANSWERED);
	return pool->sticky.stays ? -ETIMEDOUT : choose_freely(s, pool, index, v);
}

static int take_answer(struct setup *s, int err, const struct conf_pool *pool, uint16_t index, const struct view *v)
{
	if (!err)
		return take(s, pool, index, v);
	return err == -ENOENT ? choose_freely(s, pool, index, v) : err;
}

static void stick_woken(struct parked *job, int result)
{
	struct setup *s = owner_of(job, struct setup, parked);

	(void)result; /* the deadline came first, or the worker ends */
	s->stick.state = STICK_LATE;
	dial(s, NULL);
}

static int await(struct setup *s)
{
	struct b2bua *b = s->call->b;

	if (park(b->p.park, &s->parked, b->p.wheel->now_ms + STICK_WAIT_MS, stick_woken))
		return -ENOBUFS;
	s->stick.state = STICK_ASKING;
	return -EINPROGRESS;
}

int stick_choose(struct setup *s, const struct conf_pool *pool, uint16_t index, const struct view *v)
{
	uint8_t state = s->stick.state;
	struct b2bua *b = s->call->b;
	char area[STICKY_TEXT_MAX];
	struct sticky_question q;
	int err;

	s->stick.state = STICK_NONE;
	if (state == STICK_ANSWERED)
		return take_answer(s, s->stick.err, pool, index, v);
	if (state == STICK_LATE)
		return too_late(s, pool, index, v);
	if (!question_of(s, pool, v, area, &q))
		return choose_freely(s, pool, index, v);
	s->stick.ticket = ++b->last_ticket;
	err = ask(s->call, &q, s->stick.ticket);
	if (err == -EINPROGRESS && (err = await(s)) == -EINPROGRESS)
		return err;
	s->stick.ticket = 0;
	if (err == -ENOMEM || err == -ENOBUFS)
		return too_late(s, pool, index, v);
	s->stick.slot = q.slot;
	return take_answer(s, err, pool, index, v);
}

void stick_follow(struct setup *s, const struct conf_pool *pool, const struct view *v)
{
	char area[STICKY_TEXT_MAX];
	struct sticky_question q;

	if (!question_of(s, pool, v, area, &q))
		return;
	q.wanted = (uint16_t)(s->pick.slot + 1);
	ask(s->call, &q, 0); /* whatever comes of it, the call goes there */
}

void stick_forget(struct setup *s)
{
	if (s->stick.state == STICK_ASKING)
		park_cancel(&s->parked);
}

/* Mail ------------------------------------------------------------------------------------------------------------- */

static struct call *call_of(const struct b2bua *b, const struct stick *k)
{
	for (struct link *l = table_find(&b->legs, k->leg); l; l = table_next(&b->legs, l)) {
		struct leg *leg = owner_of(l, struct leg, in_table);

		if (leg->side == NEAR && leg->call)
			return leg->call;
	}
	return NULL;
}

static void answer(struct b2bua *b, struct stick *k)
{
	k->err = sticky_ask(b->sticky, &k->q);
	k->step = STICK_ANSWERS;
	if (b->p.send(b->p.ctx, k->home, &k->errand) == 0)
		return;
	if (k->q.era) /* who asked has a deadline, and refuses or goes elsewhere */
		sticky_end(b->sticky, k->q.key, k->q.era);
	free(k);
}

/* Whoever waited for it may have given up meanwhile. */
static void come_home(struct b2bua *b, struct stick *k)
{
	struct call *c = call_of(b, k);
	struct setup *s = c && k->ticket ? c->setup : NULL;

	if (!c || (c->is_kept && !c->setup) || (k->ticket && (!s || s->stick.state != STICK_ASKING || s->stick.ticket != k->ticket))) {
		stick_end(b, k);
		return;
	}
	if (s) {
		park_cancel(&s->parked);
		s->stick.state = STICK_ANSWERED;
		s->stick.slot = k->q.slot;
		s->stick.err = (int16_t)k->err;
	}
	stick_hold(c, k);
	if (s)
		dial(s, NULL);
}

void stick_arrive(struct b2bua *b, struct b2bua_errand *e)
{
	struct stick *k = owner_of(e, struct stick, errand);

	if (k->step == STICK_ASKS) {
		answer(b, k);
	} else if (k->step == STICK_ANSWERS) {
		come_home(b, k);
	} else {
		sticky_end(b->sticky, k->q.key, k->q.era);
		free(k);
	}
}

void stick_errand_free(struct b2bua_errand *e)
{
	free(owner_of(e, struct stick, errand));
}

int sticks_init(struct b2bua *b)
{
	struct sticky_params p = { .wheel = b->p.wheel, .pools = b->p.pools, .log = b->p.log, .key = token_hash_key(b->p.tokens),
		                   .worker = b->p.worker, .workers = b->p.workers };

	list_init(&b->owed_sticks);
	b->owed_timer.fire = owed_fire;
	return table_init(&b->sticks, 0) ? -ENOMEM : sticky_new(&b->sticky, &p);
}

void sticks_fini(struct b2bua *b)
{
	if (!b->owed_timer.fire)
		return; /* it never began */
	list_each_safe(n, &b->owed_sticks)
		free(owner_of(n, struct stick, in_owed));
	wheel_disarm(b->p.wheel, &b->owed_timer);
	sticky_free(b->sticky);
	table_fini(&b->sticks);
}

/* Records ---------------------------------------------------------------------------------------------------------- */

void stick_put(struct tlv_out *o, uint8_t field, const struct call *c)
{
	const struct stick *k = stick_of(c);
	size_t place = tlv_begin(o, field);

	tlv_put(o, STICK_POOL, k->q.pool);
	tlv_put(o, STICK_TEXT, k->q.text);
	tlv_end(o, place);
}

void stick_apply(struct call *c, struct sv bytes)
{
	const struct leg *far = c->far ? c->far : c->setup && c->setup->attempt ? c->setup->attempt->leg : NULL;
	struct sticky_question q = { .counts = true };
	struct fields f;

	if (!far || !far->has_slot || record_fields(&f, bytes) || !sticky_is_text(f.of[STICK_TEXT]) || f.of[STICK_POOL].len > CONF_NAME_MAX)
		return;
	q.pool = f.of[STICK_POOL];
	q.text = f.of[STICK_TEXT];
	q.key = sticky_key(token_hash_key(c->b->p.tokens), q.pool, q.text);
	q.wanted = (uint16_t)(far->slot + 1);
	ask(c, &q, 0);
}
