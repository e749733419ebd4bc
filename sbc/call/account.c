#include "sbc/call/account.h"
#include "sbc/call/trunk.h"
#include "dispatcher/pool.h"
#include "dispatcher/trunk.h"
#include "registrar/register.h"
#include <errno.h>
#include <stdlib.h>

enum account_state { RESTING, RESOLVING, ASKING };

struct account {
	struct node in_all;
	struct timer timer;              /* RESTING: the next REGISTER; is_leaving: its end */
	struct b2bua *b;
	struct conf_trunk trunk;         /* its strings are in `text`; the pool is by the present snapshot, -1 when that has it no more */
	char *text;
	uint64_t id, call_id;            /* id: in its Contact */
	struct client_txn *ct;
	uint64_t branch_id, resolve_id;
	struct resolve_answer addrs;     /* of the destination that is tried */
	struct path path;                /* where the last REGISTER went */
	uint64_t until_ms;               /* registered; 0: not */
	uint32_t cseq, asked_s;
	uint16_t tried[POOL_TRIES_MAX];  /* slots */
	uint16_t slot, good, shard;      /* slot: that is tried; good: that answered last */
	uint8_t n_tried, next_addr;
	uint8_t n_failed, n_brief;       /* in a row */
	uint8_t state;                   /* enum account_state */
	bool is_leaving, was_good, is_wanted;
};

static void account_begin(struct account *a);
static void account_next(struct account *a);

/* A number that nobody else can foretell. */
static uint64_t chance(const struct account *a, uint64_t salt)
{
	return token_branch_id(a->b->p.tokens, a->id, salt, a->cseq);
}

static void rest(struct account *a, uint64_t ms)
{
	a->state = RESTING;
	wheel_arm_in(a->b->p.wheel, &a->timer, ms);
}

static void tell(struct account *a, unsigned status)
{
	struct trunk_registration r = { .until_ms = a->until_ms, .next_ms = a->timer.at_ms, .status = (uint16_t)status };

	if (!a->is_leaving)
		trunk_registered(a->b->p.pools, a->trunk.slot, &r);
}

static void account_stop(struct account *a)
{
	if (a->ct)
		client_own(STEAL(a->ct), NULL, NULL);
	if (a->state == RESOLVING)
		resolve_cancel(a->b->p.resolver, a->resolve_id);
	a->state = RESTING;
	wheel_disarm(a->b->p.wheel, &a->timer);
}

static void account_free(struct account *a)
{
	account_stop(a);
	list_del(&a->in_all);
	a->b->n_accounts--;
	free(a->text);
	free(a);
}

/* The request ------------------------------------------------------------------------------------------------------------ */

static void out_token(struct compose *c, const struct account *a, enum token_kind kind, uint64_t id)
{
	char text[TOKEN_LEN];

	token_write(c->b->p.tokens, kind, (struct token){ .id = id, .shard = a->shard }, text);
	out_sv(&c->o, (struct sv){ text, TOKEN_LEN });
}

static void out_aor(struct compose *c, const struct account *a, const char *name)
{
	out_str(&c->o, name);
	out_lit(&c->o, ": <sip:");
	out_sv(&c->o, a->trunk.registration.user);
	out_lit(&c->o, "@");
	out_sv(&c->o, a->trunk.domain);
	out_lit(&c->o, ">");
}

/* RFC 3261 §10.2. The Contact is the same after a restart and on another node: it takes the place of the one that is there. */
static struct buf *account_write(const struct account *a, uint32_t expires_s)
{
	struct compose c = { .b = a->b };
	const struct leg way = { .path = a->path, .shard = a->shard };

	out_init(&c.o, c.b->p.stack->scratch, SIP_SCRATCH);
	out_lit(&c.o, "REGISTER sip:");
	out_sv(&c.o, a->trunk.domain);
	out_lit(&c.o, " SIP/2.0\r\nVia: SIP/2.0/");
	out_str(&c.o, transport_name(a->path.transport));
	out_lit(&c.o, " ");
	out_sv(&c.o, c.b->conf->listeners[a->path.listener].advertise);
	out_lit(&c.o, ";branch=z9hG4bK");
	out_token(&c, a, TOKEN_BRANCH, a->branch_id);
	out_lit(&c.o, "\r\nMax-Forwards: 70\r\n");
	out_aor(&c, a, "From");
	out_lit(&c.o, ";tag=");
	out_token(&c, a, TOKEN_TAG, a->call_id);
	out_lit(&c.o, "\r\n");
	out_aor(&c, a, "To");
	out_lit(&c.o, "\r\nCall-ID: ");
	out_token(&c, a, TOKEN_TAG, a->id ^ a->call_id);
	out_lit(&c.o, "\r\nCSeq: ");
	out_u64(&c.o, a->cseq);
	out_lit(&c.o, " REGISTER\r\nContact: <");
	compose_our_uri(&c, &way, TOKEN_BINDING, (struct token){ .id = a->id, .shard = a->shard });
	out_lit(&c.o, ">;expires=");
	out_u64(&c.o, expires_s);
	out_lit(&c.o, "\r\nExpires: ");
	out_u64(&c.o, expires_s);
	out_lit(&c.o, "\r\nContent-Length: 0\r\n\r\n");
	return compose_done(&c);
}

static const struct client_ops account_ops;

/* To a->path. 0 or -errno. */
static int account_ask(struct account *a, uint32_t expires_s)
{
	SCOPED(buf_putp) struct buf *request = NULL;
	int err;

	a->cseq++;
	a->branch_id = chance(a, 0);
	if (!(request = account_write(a, expires_s)))
		return -ENOMEM;
	if ((err = client_start(a->b->p.stack, a->branch_id, M_REGISTER, &a->path, request, &account_ops, a, &a->ct)))
		return err;
	a->state = ASKING;
	wheel_disarm(a->b->p.wheel, &a->timer);
	return 0;
}

/* Where to --------------------------------------------------------------------------------------------------------------- */

static bool was_tried(const struct account *a, uint16_t slot)
{
	for (unsigned i = 0; i < a->n_tried; i++)
		if (a->tried[i] == slot)
			return true;
	return false;
}

/* The lower, the sooner: the one that answered last, then those that are up, by their tier, then the others. */
static unsigned rank_of(const struct account *a, const struct conf_destination *d, uint16_t slot)
{
	struct dest_info info;

	dest_info(a->b->p.pools, slot, &info);
	if (info.wish == WISH_DISABLED)
		return UINT32_MAX;
	if (!info.is_up)
		return UINT32_MAX / 2 + d->priority;
	return a->was_good && slot == a->good ? 0 : 1u + d->priority;
}

/* A registration is no call: it takes no place there, and no share of any limit. NULL: all were tried. */
static const struct conf_destination *choose(struct account *a)
{
	const struct conf *c = a->b->conf;
	const struct conf_pool *pool = &c->pools[a->trunk.pool];
	const struct conf_destination *best = NULL;
	unsigned least = UINT32_MAX;

	for (unsigned i = 0; i < pool->n_destinations && a->n_tried < POOL_TRIES_MAX; i++) {
		const struct conf_destination *d = &pool->destinations[i];
		uint16_t slot = pools_slot(a->b->p.pools, c, d->id);
		unsigned rank = slot == POOL_NO_SLOT || d->is_leaving || was_tried(a, slot) ? UINT32_MAX : rank_of(a, d, slot);

		if (rank >= least)
			continue;
		least = rank;
		best = d;
		a->slot = slot;
	}
	return best;
}

/* Half of the pause at least (RFC 5626 §4.5), and as long as was asked for. */
static void account_failed(struct account *a, unsigned status, uint32_t retry_after)
{
	uint64_t most = ACCOUNT_FIRST_MS, ms;

	if (a->is_leaving) {
		account_free(a);
		return;
	}
	for (unsigned i = 0; i < a->n_failed && most < ACCOUNT_LONGEST_MS; i++)
		most *= 2;
	most = most < ACCOUNT_LONGEST_MS ? most : ACCOUNT_LONGEST_MS;
	ms = most / 2 + chance(a, 1) % (most / 2);
	a->n_failed += a->n_failed < UINT8_MAX;
	a->n_brief = 0;
	rest(a, ms > 1000ull * retry_after ? ms : 1000ull * retry_after);
	if (a->n_failed == 1)
		log_warn(a->b->p.log, "trunk.unregistered", "trunk=%.*s status=%u", SV_ARG(a->trunk.name), status);
	tell(a, status);
}

/* Whom a TLS peer has to prove to be: by the destination that is tried, unless a reload took it away. */
static void account_expect(struct account *a)
{
	const struct b2bua *b = a->b;
	uint32_t id;

	if (pools_destination(b->p.pools, b->conf, a->slot, &id))
		path_expect_destination(b, &a->path, &b->conf->destinations[id]);
}

/* The next address of the name, else the next destination (RFC 3263 §4.3). */
static void account_try(struct account *a)
{
	struct b2bua *b = a->b;

	while (a->next_addr < a->addrs.n) {
		if (path_to_answer(b, &a->path, a->trunk.zone, &a->addrs, a->next_addr++))
			continue;
		account_expect(a);
		if (account_ask(a, a->asked_s) == 0)
			return;
	}
	account_next(a);
}

static void account_resolved(void *ctx, int err, const struct resolve_answer *found)
{
	struct account *a = ctx;

	a->state = RESTING;
	a->addrs.n = 0;
	if (!err)
		a->addrs = *found;
	account_try(a);
}

static void account_resolve(struct account *a, const struct conf_destination *d)
{
	struct resolve_query q = conf_destination_query(a->b->conf, d);
	int err = resolve(a->b->p.resolver, &q, &a->addrs, account_resolved, a, &a->resolve_id);

	if (err == -EINPROGRESS) {
		a->state = RESOLVING;
		wheel_disarm(a->b->p.wheel, &a->timer);
		return;
	}
	if (err)
		a->addrs.n = 0;
	account_try(a);
}

static void account_next(struct account *a)
{
	const struct conf_destination *d = a->is_leaving || a->trunk.pool < 0 ? NULL : choose(a);

	if (!d) {
		account_failed(a, 408, 0);
		return;
	}
	a->tried[a->n_tried++] = a->slot;
	a->next_addr = 0;
	if (!d->is_numeric) {
		account_resolve(a, d);
		return;
	}
	a->addrs = (struct resolve_answer){ .n = 1, .addr = { d->addr }, .transport = { d->transport } };
	account_try(a);
}

static void account_begin(struct account *a)
{
	a->n_tried = a->next_addr = 0;
	a->addrs.n = 0;
	account_next(a);
}

static void account_fire(struct timer *t)
{
	struct account *a = owner_of(t, struct account, timer);

	if (a->is_leaving)
		account_free(a);
	else
		account_begin(a);
}

/* Answers ---------------------------------------------------------------------------------------------------------------- */

static uint32_t seconds_of(struct sv value, uint32_t otherwise)
{
	uint64_t n;
	int err = sv_u64(sv_trim(value), UINT32_MAX, &n);

	return err == -ERANGE ? UINT32_MAX : err ? otherwise : (uint32_t)n;
}

/* §10.2.4: by our own Contact, else by Expires, else as it was asked for. Not longer than that either. */
static uint32_t granted_s(const struct account *a, const struct view *v)
{
	uint32_t s = seconds_of(view_value(v, HDR_EXPIRES), a->asked_s);

	for (unsigned i = v->first[HDR_CONTACT]; i && i <= v->n; i++) {
		struct sv rest = hdr_value(v, &v->h[i - 1]), expires;
		struct name_addr na;
		struct token token;
		struct uri u;

		while (v->h[i - 1].id == HDR_CONTACT && name_addr_next(&na, &rest) == 0)
			if (!na.is_star && uri_parse(&u, na.uri) == 0 && token_read(a->b->p.tokens, TOKEN_BINDING, u.user, &token) == 0 &&
			    token.id == a->id && param_find(na.params, SV("expires"), &expires))
				s = seconds_of(expires, s);
	}
	return s < a->asked_s ? s : a->asked_s;
}

/* Somewhere in the second half of what was granted, before the last fifth: those that began together do not come together again. */
static void account_granted(struct account *a, const struct view *v)
{
	uint64_t ms = 1000ull * granted_s(a, v), wait = ms / 2 + chance(a, 2) % (ms * 3 / 10 + 1);

	if (!ms) {
		a->until_ms = 0;
		account_failed(a, v->status, 0);
		return;
	}
	if (!a->until_ms || a->n_failed)
		log_info(a->b->p.log, "trunk.registered", "trunk=%.*s expires_s=%u", SV_ARG(a->trunk.name), (unsigned)(ms / 1000));
	a->until_ms = a->b->p.wheel->now_ms + ms;
	a->n_failed = a->n_brief = 0;
	a->good = a->slot;
	a->was_good = true;
	rest(a, wait > ACCOUNT_REFRESH_MIN_MS ? wait : ACCOUNT_REFRESH_MIN_MS);
	tell(a, v->status);
}

/* §10.2.8: longer, then. False: that is not what was asked for. */
static bool account_lengthened(struct account *a, const struct view *v)
{
	const struct hdr *h = view_find(v, HDR_MIN_EXPIRES, 0);
	uint32_t min = h ? seconds_of(hdr_value(v, h), 0) : 0;

	if (min <= a->asked_s || min > REGISTER_GRANTED_MAX_MS / 1000 || a->n_brief++ >= ACCOUNT_BRIEF_MAX)
		return false;
	a->asked_s = min;
	return account_ask(a, min) == 0;
}

static bool account_authorized(struct account *a, const struct view *v)
{
	struct trunk_again again = { .ct = a->ct, .cseq = a->cseq + 1, .shard = a->shard, .ops = &account_ops, .owner = a };

	a->cseq++;
	again.branch_id = chance(a, 0);
	if (trunk_answer(a->b, &a->trunk, &again, v, &a->ct) == 0) {
		a->branch_id = again.branch_id;
		return true;
	}
	counter_inc(&a->b->counters, CHALLENGES_REFUSED);
	return false;
}

/* 408 and what is wrong with a server: another one may be better. */
static bool is_servers(unsigned status)
{
	return status == 408 || status / 100 == 5;
}

static void account_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct account *a = owner;

	(void)from;
	if (v->status < 200)
		return;
	if ((v->status == 401 || v->status == 407) && account_authorized(a, v))
		return;
	a->ct = NULL;
	client_own(ct, NULL, NULL);
	a->state = RESTING;
	if (a->is_leaving)
		account_free(a);
	else if (v->status < 300)
		account_granted(a, v);
	else if (v->status == 423 && account_lengthened(a, v))
		return;
	else if (is_servers(v->status) && a->n_tried < a->b->conf->pools[a->trunk.pool].n_destinations && !retry_after_s(v))
		account_next(a);
	else
		account_failed(a, v->status, retry_after_s(v));
}

static void account_unanswered(void *owner, struct client_txn *ct, int err)
{
	struct account *a = owner;

	(void)err;
	a->ct = NULL;
	client_own(ct, NULL, NULL);
	a->state = RESTING;
	account_try(a);
}

static void account_ct_end(void *owner, struct client_txn *ct)
{
	(void)ct;
	((struct account *)owner)->ct = NULL;
}

static const struct client_ops account_ops = { .on_response = account_response, .on_failed = account_unanswered, .on_end = account_ct_end };

/* Coming and going ------------------------------------------------------------------------------------------------------- */

/* What `t` says, in memory of the account's own. */
static bool account_copy(struct account *a, const struct conf_trunk *t)
{
	const struct sv from[] = { t->name, t->domain, t->realm, t->user, t->password, t->registration.user };
	struct sv *const to[] = { &a->trunk.name, &a->trunk.domain, &a->trunk.realm, &a->trunk.user, &a->trunk.password,
		                  &a->trunk.registration.user };
	size_t sum = 1;
	char *text, *at;

	for (unsigned i = 0; i < 6; i++)
		sum += from[i].len;
	if (!(text = at = malloc(sum)))
		return false;
	a->trunk = *t;
	a->trunk.sources = NULL;
	a->trunk.n_sources = 0;
	a->trunk.tls_name = SV("");
	for (unsigned i = 0; i < 6; i++) {
		memcpy(at, from[i].p ? from[i].p : "", from[i].len);
		*to[i] = (struct sv){ at, from[i].len };
		at += from[i].len;
	}
	free(a->text);
	a->text = text;
	a->asked_s = t->registration.expires_ms / 1000;
	return true;
}

/* Its Contact: by its name, the same on every worker, node and after a restart. */
static uint64_t contact_id(const struct b2bua *b, struct sv name)
{
	uint64_t id = token_tag_id(b->p.tokens, 0, 1, name);

	return id ? id : 1;
}

static struct account *account_new(struct b2bua *b, const struct conf_trunk *t)
{
	struct account *a = calloc(1, sizeof(*a));
	uint64_t spread = (uint64_t)b->conf->n_trunks * ACCOUNT_SPREAD_MS;

	if (!a || !account_copy(a, t)) {
		free(a);
		return NULL;
	}
	a->b = b;
	a->id = contact_id(b, t->name);
	a->call_id = token_branch_id(b->p.tokens, a->id, b->p.wall_ms(b->p.ctx), 0); /* a new one after each start: its CSeq begins anew */
	a->shard = token_shard(b->p.tokens, t->name);
	a->timer.fire = account_fire;
	list_push(&b->accounts, &a->in_all);
	b->n_accounts++;
	rest(a, 1 + chance(a, 3) % (spread < ACCOUNT_SPREAD_MAX_MS ? spread : ACCOUNT_SPREAD_MAX_MS));
	tell(a, 0);
	return a;
}

/* §10.2.2. Where it is not known to be registered there is nothing to take back, but for a REGISTER whose answer is still to come. */
static void account_leave(struct account *a)
{
	bool may_be = a->until_ms > a->b->p.wheel->now_ms || a->ct;

	account_stop(a);
	trunk_registered(a->b->p.pools, a->trunk.slot, &(struct trunk_registration){ 0 });
	a->addrs.n = a->next_addr = 0; /* there is no other place for it */
	a->is_leaving = true;
	if (!may_be || account_ask(a, 0))
		account_free(a);
	else
		wheel_arm_in(a->b->p.wheel, &a->timer, ACCOUNT_LEAVE_MS);
}

static bool is_same_user(const struct conf_trunk *a, const struct conf_trunk *b)
{
	return a->zone == b->zone && sv_eq(a->domain, b->domain) && sv_eq(a->registration.user, b->registration.user);
}

static bool is_same(const struct conf_trunk *a, const struct conf_trunk *b)
{
	return is_same_user(a, b) && a->registration.expires_ms == b->registration.expires_ms && sv_eq(a->realm, b->realm) &&
	       sv_eq(a->user, b->user) && sv_eq(a->password, b->password);
}

static struct account *account_of(struct b2bua *b, struct sv name)
{
	list_each(n, &b->accounts) {
		struct account *a = owner_of(n, struct account, in_all);

		if (!a->is_leaving && sv_eq(a->trunk.name, name))
			return a;
	}
	return NULL;
}

/* An unchanged one goes on as it was; what is only asked for otherwise is asked for at once. False: no memory. */
static bool account_adopt(struct b2bua *b, const struct conf_trunk *t)
{
	struct account *a = account_of(b, t->name);

	if (a && !is_same_user(&a->trunk, t)) {
		account_leave(a);
		a = NULL;
	}
	if (!a)
		a = account_new(b, t);
	if (!a)
		return false;
	a->is_wanted = true;
	a->trunk.pool = t->pool;
	a->trunk.slot = t->slot;
	if (is_same(&a->trunk, t))
		return true;
	if (!account_copy(a, t))
		return false;
	account_stop(a);
	a->n_failed = a->n_brief = 0;
	rest(a, 1);
	return true;
}

static bool is_ours(const struct b2bua *b, const struct conf_trunk *t)
{
	return t->registers && token_shard(b->p.tokens, t->name) % b->p.workers == b->p.worker;
}

void accounts_adopt(struct b2bua *b)
{
	b->has_accounts_missing = false;
	list_each(n, &b->accounts)
		owner_of(n, struct account, in_all)->is_wanted = false;
	for (unsigned i = 0; i < b->conf->n_trunks && !b->is_closed; i++)
		if (is_ours(b, &b->conf->trunks[i]) && !account_adopt(b, &b->conf->trunks[i]))
			b->has_accounts_missing = true;
	list_each_safe(n, &b->accounts) {
		struct account *a = owner_of(n, struct account, in_all);

		if (a->is_wanted || a->is_leaving)
			continue;
		a->trunk.pool = -1;
		account_leave(a);
	}
}

void accounts_retry(struct b2bua *b)
{
	if (b->has_accounts_missing)
		accounts_adopt(b);
}

void accounts_leave(struct b2bua *b)
{
	list_each_safe(n, &b->accounts) {
		struct account *a = owner_of(n, struct account, in_all);

		if (!a->is_leaving)
			account_leave(a);
	}
}

void accounts_free(struct b2bua *b)
{
	list_each_safe(n, &b->accounts)
		account_free(owner_of(n, struct account, in_all));
	free(b->contacts);
}

/* Requests to our Contacts ----------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const struct trunk_contact *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

int accounts_know(struct b2bua *b, const struct conf *next)
{
	struct trunk_contact *all = next->n_trunks ? malloc(next->n_trunks * sizeof(*all)) : NULL;
	unsigned n = 0;

	if (next->n_trunks && !all)
		return -ENOMEM;
	for (unsigned i = 0; i < next->n_trunks; i++)
		if (next->trunks[i].registers)
			all[n++] = (struct trunk_contact){ contact_id(b, next->trunks[i].name), next->trunks[i].slot,
				                           next->trunks[i].zone };
	if (n)
		qsort(all, n, sizeof(*all), by_id);
	free(b->contacts);
	b->contacts = all;
	b->n_contacts = n;
	return 0;
}

uint16_t b2bua_trunk_contact(const struct b2bua *b, uint64_t id, const struct path *from)
{
	const struct trunk_contact key = { .id = id };
	const struct trunk_contact *found = b->n_contacts ? bsearch(&key, b->contacts, b->n_contacts, sizeof(key), by_id) : NULL;

	return found && found->zone == path_zone(b, from) ? (uint16_t)(found->slot + 1) : 0;
}
