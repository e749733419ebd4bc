#include "sbc/call/trunk.h"
#include "apps-router/route.h"
#include "dispatcher/pool.h"
#include "dispatcher/trunk.h"
#include "topohide/privacy.h"
#include <errno.h>
#include <stdlib.h>

/* From a trunk --------------------------------------------------------------------------------------------------------- */

const struct conf_trunk *trunk_of(const struct b2bua *b, const struct request *r)
{
	int index;

	if (r->trunk)
		return trunk_of_slot(b->conf, (uint16_t)(r->trunk - 1));
	index = conf_trunk_at(b->conf, path_zone(b, r->from), &r->from->remote);
	return index < 0 ? NULL : &b->conf->trunks[index];
}

/* The user of the Request-URI is a token: in its place comes the one that stands for it at the carrier. */
void trunk_contact(struct b2bua *b, const struct request *r)
{
	const struct conf_trunk *t = trunk_of(b, r);
	struct sv uri = view_uri(r->v), user = t ? t->registration.user : SV("");
	size_t at = (size_t)(uri.p - r->v->base) + sv_chr(uri, ':') + 1, len = r->v->len - TOKEN_LEN + user.len;
	char *bytes = t && t->registers && len <= NET_MESSAGE_MAX ? malloc(len + BUF_PAD) : NULL;
	struct request again = *r;
	struct view_fault fault;
	struct view v;

	if (!bytes) {
		refuse(b, r, !t || !t->registers ? WHY_UNKNOWN_TARGET : len > NET_MESSAGE_MAX ? WHY_TOO_LARGE : WHY_FULL, 0);
		return;
	}
	memcpy(bytes, r->v->base, at);
	memcpy(bytes + at, user.p, user.len);
	memcpy(bytes + at + user.len, r->v->base + at + TOKEN_LEN, r->v->len - at - TOKEN_LEN);
	memset(bytes + len, 0, BUF_PAD);
	again.v = &v;
	again.is_contact = false;
	if (view_scan(&v, bytes, len, false, &fault))
		refuse(b, r, WHY_BAD_URI, 0);
	else
		initial_request(b, &again); /* whatever is kept of it is copied */
	free(bytes);
}

const struct conf_trunk *trunk_of_call(const struct call *c)
{
	return c->trunk ? trunk_of_slot(c->b->conf, (uint16_t)(c->trunk - 1)) : NULL;
}

int trunk_admit(struct call *c, const struct request *r)
{
	struct b2bua *b = c->b;
	const struct conf_trunk *t = trunk_of(b, r);
	int err = t ? trunk_enter(b->p.pools, b->conf, t, b->p.wheel->now_ms) : 0;

	if (t && !err)
		c->trunk = (uint16_t)(t->slot + 1);
	return err;
}

enum why trunk_why(int err)
{
	return err == -EBUSY ? WHY_TRUNK_FULL : err == -EAGAIN ? WHY_TRUNK_FAST : WHY_FULL;
}

struct sv trunk_retry_line(char area[UNSUPPORTED_MAX])
{
	struct out o;

	out_init(&o, area, UNSUPPORTED_MAX);
	out_lit(&o, "Retry-After: ");
	out_u64(&o, TRUNK_RETRY_S);
	out_lit(&o, "\r\n");
	return out_done(&o);
}

void trunk_admit_again(struct call *c, struct sv name)
{
	int index = conf_find_trunk(c->b->conf, name);

	if (index < 0 || c->trunk)
		return;
	c->trunk = (uint16_t)(c->b->conf->trunks[index].slot + 1);
	trunk_reserve(c->b->p.pools, c->b->conf->trunks[index].slot);
}

void trunk_go(struct call *c)
{
	trunk_leave(c->b->p.pools, (uint16_t)(c->trunk - 1));
	c->trunk = 0;
}

/* To a trunk ----------------------------------------------------------------------------------------------------------- */

/* Whose pool has this destination. */
static const struct conf_trunk *trunk_at(const struct b2bua *b, uint16_t slot)
{
	const struct conf *c = b->conf;
	uint32_t id;

	if (!pools_destination(b->p.pools, c, slot, &id) || !c->pools[c->destinations[id].pool].trunk)
		return NULL;
	return &c->trunks[c->pools[c->destinations[id].pool].trunk - 1];
}

const struct conf_trunk *trunk_called(const struct call *c)
{
	const struct setup *s = c->setup;

	if (c->far)
		return c->far->has_slot ? trunk_at(c->b, c->far->slot) : NULL;
	return s && setup_is_pooled(s) && s->n_tried ? trunk_at(c->b, s->tried[s->n_tried - 1]) : NULL;
}

const struct conf_trunk *trunk_towards(const struct attempt *a)
{
	return a->leg->has_slot && a->setup->call->method != M_REGISTER ? trunk_at(a->b, a->leg->slot) : NULL;
}

/* RFC 2606 §2: a name that is nobody's, as in an anonymous From (RFC 3323 §4.1.1.3). */
static bool is_invalid(struct sv host)
{
	static const char end[] = ".invalid";
	size_t len = sizeof(end) - 1;

	return host.len >= len && sv_ieq(sv_skip(host, host.len - len), SV(".invalid"));
}

int trunk_uri(const struct conf_trunk *t, struct arena *a, struct sv *uri)
{
	const struct conf_rewrite to = { .host = t->domain };
	struct uri u;

	if (!t->domain.len || uri_parse(&u, *uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS) || is_invalid(u.host))
		return 0;
	return route_rewrite_uri(&to, a, *uri, uri);
}

static int with_domain(const struct conf_trunk *t, struct arena *a, struct sv *value)
{
	struct name_addr na;
	struct sv uri;
	int err;

	if (name_addr_parse(&na, *value))
		return 0;
	uri = na.uri;
	if (!(err = trunk_uri(t, a, &uri)))
		*value = with_uri(a, *value, na.uri, uri);
	return err;
}

int trunk_names(const struct b2bua *b, const struct conf_trunk *t, struct arena *a, const struct view *v, struct sv *from, struct sv *to)
{
	int err;

	if (!hide_may_mask(b->conf, t->zone, v))
		return 0;
	err = with_domain(t, a, from);
	return err ? err : with_domain(t, a, to);
}

/* Credentials ---------------------------------------------------------------------------------------------------------- */

static void answered(void *ctx, int err, const struct resolve_answer *a)
{
	(void)ctx, (void)err, (void)a; /* too late: it was asked what is known now */
}

/* A name's addresses as far as they are known now. */
static bool name_has(const struct b2bua *b, const struct conf_destination *d, const struct addr *to)
{
	struct resolve_query q = conf_destination_query(b->conf, d); /* as its calls ask: who asks otherwise waits for his own answer */
	struct resolve_answer a;
	uint64_t id;
	int err = resolve(b->p.resolver, &q, &a, answered, NULL, &id);

	if (err == -EINPROGRESS)
		resolve_cancel(b->p.resolver, id);
	for (unsigned i = 0; !err && i < a.n; i++)
		if (addr_eq_ip(&a.addr[i], to))
			return true;
	return false;
}

struct sv trunk_home(const struct conf_trunk *t, const struct path *to, char text[ADDR_TEXT])
{
	return t && t->password.len ? sv_from(addr_print(&to->remote, text)) : SV("");
}

static struct addr home_of(const struct leg *l)
{
	struct addr home = { 0 };

	if (l->side == FAR && l->target_len && addr_parse(&home, leg_target(l)))
		home = (struct addr){ 0 };
	return home;
}

/* `home`, one of its destinations, or of the networks its calls come from. */
static bool is_its_own(const struct b2bua *b, const struct conf_trunk *t, const struct path *to, const struct addr *home)
{
	const struct conf_pool *pool = &b->conf->pools[t->pool];

	if (path_zone(b, to) != t->zone)
		return false;
	if (addr_eq_ip(home, &to->remote) || conf_trunk_at(b->conf, t->zone, &to->remote) == t - b->conf->trunks)
		return true;
	for (unsigned i = 0; i < pool->n_destinations; i++) {
		const struct conf_destination *d = &pool->destinations[i];

		if (d->is_numeric ? addr_eq_ip(&d->addr, &to->remote) : name_has(b, d, &to->remote))
			return true;
	}
	return false;
}

/* Whose leg it is, if that one has credentials. */
static const struct conf_trunk *with_credentials(const struct b2bua *b, const struct leg *l)
{
	const struct conf_trunk *t = l->side == NEAR ? trunk_of_call(l->call) : trunk_at(b, l->slot);

	return t && t->password.len ? t : NULL;
}

bool trunk_is_at(const struct b2bua *b, const struct leg *l, const struct path *to)
{
	const struct conf_trunk *t = with_credentials(b, l);
	struct addr home = home_of(l);

	return t && is_its_own(b, t, to, &home);
}

const struct conf_trunk *trunk_asked(struct b2bua *b, const struct leg *l, const struct path *to)
{
	const struct conf_trunk *t = with_credentials(b, l);

	if (!t || trunk_is_at(b, l, to))
		return t;
	counter_inc(&b->counters, CHALLENGES_ASTRAY);
	return NULL;
}

/* The line for what `request` was refused with. 0 or -errno. */
static int answer_line(struct b2bua *b, const struct conf_trunk *t, const struct trunk_again *again, const struct challenge *c,
                       struct out *o)
{
	struct challenge_self self = { .user = t->user, .password = t->password,
		                       .random = token_branch_id(b->p.tokens, again->branch_id, 0, again->cseq) };
	const struct buf *request = client_request(again->ct);
	struct view_fault fault;
	struct view v;
	unsigned try;

	if (!request || view_scan(&v, request->data, request->len, false, &fault) || !(try = challenge_try(c, &v, t->user)))
		return -ENOENT;
	return challenge_answer(auth_digester(b->p.auth), c, &self, &v, try, o);
}

int trunk_answer(struct b2bua *b, const struct conf_trunk *t, const struct trunk_again *again, const struct view *v,
                 struct client_txn **out)
{
	char area[CHALLENGE_ANSWER_MAX], branch[TOKEN_LEN];
	SCOPED(buf_putp)
	struct buf *request = NULL;
	struct challenge c;
	struct out line;
	int err;

	out_init(&line, area, sizeof(area));
	if (!t->password.len || challenge_find(&c, v, t->realm))
		return -ENOENT;
	if ((err = answer_line(b, t, again, &c, &line)))
		return err;
	token_write(b->p.tokens, TOKEN_BRANCH, (struct token){ .id = again->branch_id, .shard = again->shard }, branch);
	if (line.is_full || !(request = sip_request_again(b->p.stack, client_request(again->ct), (struct sv){ branch, TOKEN_LEN },
	                                                  again->cseq, challenge_header(&c), out_done(&line))))
		return -ENOMEM;
	if ((err = client_start(b->p.stack, again->branch_id, v->method, client_path(again->ct), request, again->ops, again->owner, out)))
		return err;
	client_own(again->ct, NULL, NULL);
	counter_inc(&b->counters, CHALLENGES_ANSWERED);
	return 0;
}

static struct leg *leg_towards(const struct relay *r)
{
	return r->from == NEAR ? r->dialog->far : &r->call->near;
}

bool trunk_relayed(struct relay *r, const struct view *v)
{
	struct b2bua *b = r->call->b;
	struct leg *l = leg_towards(r);
	const struct conf_trunk *t = trunk_asked(b, l, client_path(r->ct));
	struct trunk_again again = { .ct = r->ct, .cseq = l->local_cseq + 1, .shard = l->shard, .ops = &relay_client_ops, .owner = r };

	if (!t)
		return false;
	again.branch_id = token_branch_id(b->p.tokens, l->in_table.key, r->st ? server_id(r->st) : 0, again.cseq);
	if (client_is_cancelled(r->ct) || trunk_answer(b, t, &again, v, &r->ct)) {
		counter_inc(&b->counters, CHALLENGES_REFUSED);
		relay_refuse(r, WHY_TRUNK_CREDENTIALS);
		return true;
	}
	r->out_cseq = l->local_cseq = again.cseq;
	if (r->usage && r->method == M_REFER) /* its NOTIFYs name it by that */
		r->usage->refer_cseq[!r->from] = again.cseq;
	relay_watch(r);
	return true;
}

/* What nobody waits for ------------------------------------------------------------------------------------------------ */

struct trunk_watch {
	struct node in_all;
	struct b2bua *b;
	uint64_t leg;
	struct addr home;
	uint32_t cseq;
	uint16_t shard, trunk; /* trunk: slot */
};

static const struct client_ops watch_ops;

static void watch_response(void *owner, struct client_txn *ct, const struct view *v, const struct path *from)
{
	struct trunk_watch *w = owner;
	struct b2bua *b = w->b;
	const struct conf_trunk *t = trunk_of_slot(b->conf, w->trunk);
	struct trunk_again again = { .ct = ct, .cseq = w->cseq + 1, .shard = w->shard, .ops = &watch_ops, .owner = w };
	struct client_txn *next;

	(void)from;
	if (!t || !t->password.len || !trunk_is_challenge(b, v))
		return;
	if (!is_its_own(b, t, client_path(ct), &w->home)) {
		counter_inc(&b->counters, CHALLENGES_ASTRAY);
		return;
	}
	again.branch_id = token_branch_id(b->p.tokens, w->leg, client_id(ct), again.cseq); /* forks share leg and CSeq */
	if (trunk_answer(b, t, &again, v, &next) == 0)
		w->cseq = again.cseq;
	else
		counter_inc(&b->counters, CHALLENGES_REFUSED);
}

static void watch_end(void *owner, struct client_txn *ct)
{
	struct trunk_watch *w = owner;

	(void)ct;
	list_del(&w->in_all);
	free(w);
}

static const struct client_ops watch_ops = { .on_response = watch_response, .on_end = watch_end };

void trunk_watch(struct b2bua *b, const struct leg *l, uint32_t cseq, struct client_txn *ct)
{
	const struct conf_trunk *t = with_credentials(b, l);
	struct trunk_watch *w = t ? malloc(sizeof(*w)) : NULL;

	if (!w) /* without memory it is sent all the same */
		return;
	*w = (struct trunk_watch){ .b = b, .leg = l->in_table.key, .home = home_of(l), .cseq = cseq, .shard = l->shard, .trunk = t->slot };
	list_push(&b->trunk_watches, &w->in_all);
	client_own(ct, &watch_ops, w);
}

void trunk_watches_free(struct b2bua *b)
{
	list_each_safe(n, &b->trunk_watches)
		free(owner_of(n, struct trunk_watch, in_all));
}

void trunk_ack_credentials(struct compose *c, const struct leg *l, const struct client_txn *ct)
{
	static const enum hdr_id ids[] = { HDR_AUTHORIZATION, HDR_PROXY_AUTHORIZATION };
	const struct buf *request = ct ? client_request(ct) : NULL;
	struct view_fault fault;
	struct view v;

	if (!request || !trunk_is_at(c->b, l, &l->path) || view_scan(&v, request->data, request->len, false, &fault))
		return;
	for (unsigned i = 0; i < 2; i++) {
		const struct hdr *h = view_find(&v, ids[i], 0);

		if (!h)
			continue;
		out_sv(&c->o, hdr_name(&v, h));
		out_lit(&c->o, ": ");
		out_unfolded(&c->o, hdr_value(&v, h));
		out_lit(&c->o, "\r\n");
	}
}
