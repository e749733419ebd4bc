/* sbc/call/record.c - a call as one opaque record for another node (DESIGN §7): answered and ringing ones. Remaining lifetimes
 * travel, not times; listeners and destinations by name, not by number; flow handles stay behind. */
#include "sbc/call/record.h"
#include "sbc/call/fork.h"
#include "sbc/call/stick.h"
#include "sbc/call/trunk.h"
#include <errno.h>
#include <stdlib.h>

enum { RECORD_MAX = 262144, VERSION = 1 };

enum call_field { CALL_VERSION = 1, CALL_SHARD, CALL_AGE, CALL_ANSWERED, CALL_LEFT, CALL_NEAR, CALL_FAR, CALL_DIALOG,
	          CALL_RELAY, CALL_SETUP, CALL_STATUS, CALL_METHOD, CALL_CSEQ, CALL_USAGE, CALL_SESSION, CALL_POLICY, CALL_INVITE,
	          CALL_AHEAD, CALL_FORK, CALL_BRANCH, CALL_TRUNK, CALL_MOVES, CALL_STICK };
enum dialog_field { DIALOG_ID = 1, DIALOG_TAG, DIALOG_TARGET, DIALOG_ROUTES, DIALOG_CONFIRMED, DIALOG_NEAR_CSEQ, DIALOG_FAR_CSEQ,
	            DIALOG_BRANCH };
enum relay_field { RELAY_DIALOG = 1, RELAY_FROM, RELAY_IN, RELAY_OUT, RELAY_OFFER, RELAY_ANSWER, RELAY_SERVER, RELAY_CLIENT,
	           RELAY_MOVED };
enum usage_field { USAGE_DIALOG = 1, USAGE_NOTIFIER, USAGE_LEFT, USAGE_PACKAGE, USAGE_ID, USAGE_REFER, USAGE_NEAR_CSEQ, USAGE_FAR_CSEQ,
	           USAGE_ASKED, USAGE_ESTABLISHED };
enum setup_field { SETUP_SERVER = 1, SETUP_CLIENT, SETUP_REQUEST, SETUP_PROVISIONAL, SETUP_POOL, SETUP_TRIED, SETUP_AFTER, SETUP_ANSWER,
	           SETUP_DURATION, SETUP_OFFER, SETUP_AHEAD, SETUP_MIN_SE, SETUP_FOLLOWS, SETUP_STANDING, SETUP_RAISES };
enum txn_field { TXN_KEY = 1, TXN_HEAD, TXN_LAST, TXN_STATE, TXN_METHOD, TXN_STATUS, TXN_REQUEST };

/* Writing ---------------------------------------------------------------------------------------------------------- */

void record_put_addr(struct tlv_out *o, uint8_t field, const struct addr *a)
{
	char text[ADDR_TEXT];

	tlv_put(o, field, sv_from(addr_print(a, text)));
}

static const struct conf_destination *destination_of(const struct b2bua *b, uint16_t slot)
{
	uint32_t id;

	return pools_destination(b->p.pools, b->conf, slot, &id) ? &b->conf->destinations[id] : NULL;
}

void record_put_leg(struct tlv_out *o, uint8_t field, const struct b2bua *b, const struct leg *l)
{
	const struct conf_destination *d = l->has_slot ? destination_of(b, l->slot) : NULL;
	size_t place = tlv_begin(o, field);
	uint64_t aor, binding;

	tlv_put_u64(o, LEG_ID, l->in_table.key);
	tlv_put(o, LEG_ZONE, b->conf->zones[path_zone(b, &l->path)].name);
	tlv_put_u64(o, LEG_TRANSPORT, l->path.transport);
	record_put_addr(o, LEG_REMOTE, &l->path.remote);
	if (l->path.name)
		tlv_put(o, LEG_TLS_NAME, net_name_text(b->p.stack->net, l->path.name));
	tlv_put_u64(o, LEG_CSEQ, l->local_cseq);
	tlv_put(o, LEG_CALL_ID, leg_call_id(l));
	tlv_put(o, LEG_LOCAL, leg_local(l));
	tlv_put(o, LEG_REMOTE_PARTY, leg_remote(l));
	tlv_put(o, LEG_TARGET, leg_target(l));
	tlv_put(o, LEG_ROUTES, leg_routes(l));
	tlv_put_u64(o, LEG_FOLLOWS, l->follows_flow);
	tlv_put_u64(o, LEG_ATTEMPT, l->attempt);
	if (leg_is_tied_to(b, l, &aor, &binding)) {
		tlv_put_u64(o, LEG_AOR, aor);
		tlv_put_u64(o, LEG_BINDING, binding);
	}
	tlv_put_u64(o, LEG_BRANCH, l->branch);
	if (l->is_sips)
		tlv_put_u64(o, LEG_SIPS, 1);
	if (d) {
		tlv_put(o, LEG_POOL, b->conf->pools[d->pool].name);
		tlv_put(o, LEG_DESTINATION, d->name);
	}
	tlv_end(o, place);
}

/* A request on its way, but for an INVITE, is not part of the record: its sender repeats it, and is to be heard again. */
static uint32_t cseq_heard(const struct dialog *d, enum side from)
{
	uint32_t cseq = d->cseq_in[from];

	list_each(n, &d->call->relays) {
		const struct relay *r = owner_of(n, struct relay, in_call);

		if (r->dialog == d && r->from == from && r->method != M_INVITE && r->in_cseq == d->cseq_in[from])
			cseq--;
	}
	return cseq;
}

static void put_dialog(struct tlv_out *o, const struct dialog *d)
{
	size_t place = tlv_begin(o, CALL_DIALOG);

	tlv_put_u64(o, DIALOG_ID, d->in_table.key);
	tlv_put(o, DIALOG_TAG, dialog_tag(d));
	tlv_put(o, DIALOG_TARGET, dialog_target(d));
	tlv_put(o, DIALOG_ROUTES, dialog_routes(d));
	tlv_put_u64(o, DIALOG_CONFIRMED, d->is_confirmed);
	tlv_put_u64(o, DIALOG_NEAR_CSEQ, cseq_heard(d, NEAR));
	tlv_put_u64(o, DIALOG_FAR_CSEQ, cseq_heard(d, FAR));
	if (d->far->branch)
		tlv_put_u64(o, DIALOG_BRANCH, d->far->branch);
	tlv_end(o, place);
}

static void put_server(struct tlv_out *o, uint8_t field, const struct server_txn *st)
{
	struct server_record r;
	size_t place;

	if (!st)
		return;
	server_export(st, &r);
	place = tlv_begin(o, field);
	tlv_put_u64(o, TXN_KEY, r.key);
	tlv_put(o, TXN_HEAD, r.head);
	tlv_put(o, TXN_LAST, r.last);
	tlv_put_u64(o, TXN_STATE, r.state);
	tlv_put_u64(o, TXN_METHOD, r.method);
	tlv_put_u64(o, TXN_STATUS, r.status);
	tlv_end(o, place);
}

void record_put_client(struct tlv_out *o, uint8_t field, const struct client_txn *ct)
{
	struct client_record r;
	size_t place;

	if (!ct)
		return;
	client_export(ct, &r);
	place = tlv_begin(o, field);
	tlv_put_u64(o, TXN_KEY, r.id);
	tlv_put(o, TXN_REQUEST, r.request);
	tlv_put_u64(o, TXN_STATE, r.state);
	tlv_put_u64(o, TXN_METHOD, r.method);
	tlv_end(o, place);
}

/* An INVITE within the dialog that waits for its answer, or an answered one whose ACK is still to come. */
static void put_relay(struct tlv_out *o, const struct relay *r)
{
	size_t place = tlv_begin(o, CALL_RELAY);

	tlv_put_u64(o, RELAY_DIALOG, r->dialog->in_table.key);
	tlv_put_u64(o, RELAY_FROM, r->from);
	tlv_put_u64(o, RELAY_IN, r->in_cseq);
	tlv_put_u64(o, RELAY_OUT, r->out_cseq);
	tlv_put_u64(o, RELAY_OFFER, r->had_offer);
	tlv_put(o, RELAY_ANSWER, r->answer ? buf_sv(r->answer) : SV(""));
	put_server(o, RELAY_SERVER, r->st);
	record_put_client(o, RELAY_CLIENT, r->ct);
	tlv_put(o, RELAY_MOVED, (struct sv){ r->moved, r->moved ? r->moved_len : 0 });
	tlv_end(o, place);
}

static bool is_kept(const struct relay *r)
{
	return r->is_answered || (r->method == M_INVITE && r->st && r->ct && client_is_waiting(r->ct));
}

static void put_setup(struct tlv_out *o, const struct setup *s)
{
	size_t place = tlv_begin(o, CALL_SETUP);

	put_server(o, SETUP_SERVER, s->st);
	record_put_client(o, SETUP_CLIENT, s->attempt->ct);
	tlv_put(o, SETUP_REQUEST, buf_sv(s->request));
	tlv_put_u64(o, SETUP_PROVISIONAL, s->has_provisional);
	tlv_put(o, SETUP_POOL, s->direct ? SV("") : sv_from(s->pool)); /* who was sent on does not come back */
	tlv_put_u64(o, SETUP_FOLLOWS, s->follows);
	tlv_put_u64(o, SETUP_STANDING, s->standing);
	tlv_put_u64(o, SETUP_TRIED, s->n_tried);
	tlv_put_u64(o, SETUP_AFTER, s->after_ms);
	tlv_put_u64(o, SETUP_ANSWER, s->answer_ms);
	tlv_put_u64(o, SETUP_DURATION, s->max_duration_ms);
	tlv_put_u64(o, SETUP_OFFER, s->has_offer);
	tlv_put_u64(o, SETUP_AHEAD, s->attempt->ahead);
	tlv_put_u64(o, SETUP_MIN_SE, s->attempt->min_s);
	if (s->attempt->raises)
		tlv_put_u64(o, SETUP_RAISES, s->attempt->raises);
	tlv_end(o, place);
}

static void put_usage(struct tlv_out *o, const struct usage *u, uint64_t now)
{
	size_t place = tlv_begin(o, CALL_USAGE);

	tlv_put_u64(o, USAGE_DIALOG, u->dialog->in_table.key);
	tlv_put_u64(o, USAGE_NOTIFIER, u->notifier);
	tlv_put_u64(o, USAGE_LEFT, u->end_ms > now ? u->end_ms - now : 1);
	tlv_put(o, USAGE_PACKAGE, (struct sv){ u->event, u->package_len });
	tlv_put(o, USAGE_ID, (struct sv){ u->event + u->package_len, u->id_len });
	tlv_put_u64(o, USAGE_REFER, u->is_refer);
	tlv_put_u64(o, USAGE_NEAR_CSEQ, u->refer_cseq[NEAR]);
	tlv_put_u64(o, USAGE_FAR_CSEQ, u->refer_cseq[FAR]);
	tlv_put_u64(o, USAGE_ASKED, u->asked_s);
	tlv_put_u64(o, USAGE_ESTABLISHED, u->is_established);
	tlv_end(o, place);
}

static void put_usages(struct tlv_out *o, const struct call *c)
{
	if (c->is_kept) { /* that it has a method says so */
		tlv_put_u64(o, CALL_METHOD, c->method);
		tlv_put_u64(o, CALL_CSEQ, c->cseq);
	}
	for (const struct usage *u = c->usages; u; u = u->next)
		put_usage(o, u, c->b->p.wheel->now_ms);
}

static void put_call(struct tlv_out *o, const struct call *c)
{
	const struct b2bua *b = c->b;
	uint64_t now = b->p.wheel->now_ms, end = c->answered_ms ? c->answered_ms + c->longest_ms : c->timer.at_ms;

	tlv_put_u64(o, CALL_VERSION, VERSION);
	tlv_put_u64(o, CALL_SHARD, c->shard);
	tlv_put_u64(o, CALL_AGE, now - c->started_ms);
	tlv_put_u64(o, CALL_ANSWERED, c->answered_ms ? now - c->answered_ms + 1 : 0);
	tlv_put_u64(o, CALL_LEFT, end > now ? end - now : 1);
	tlv_put_u64(o, CALL_STATUS, c->status);
	tlv_put_u64(o, CALL_INVITE, c->cseq);
	tlv_put_u64(o, CALL_AHEAD, c->ahead);
	if (c->n_moves)
		tlv_put_u64(o, CALL_MOVES, c->n_moves);
	if (c->is_stuck)
		stick_put(o, CALL_STICK, c);
	if (c->policy)
		tlv_put_u64(o, CALL_POLICY, policies_name(&b->policies, c->policy));
	if (trunk_of_call(c))
		tlv_put(o, CALL_TRUNK, trunk_of_call(c)->name);
	record_put_leg(o, CALL_NEAR, b, &c->near);
	record_put_leg(o, CALL_FAR, b, c->far ? c->far : c->setup->attempt->leg);
	list_each(n, &c->dialogs)
		put_dialog(o, owner_of(n, struct dialog, in_call));
	list_each(n, &c->relays)
		if (is_kept(owner_of(n, struct relay, in_call)))
			put_relay(o, owner_of(n, struct relay, in_call));
	put_usages(o, c);
	session_put(o, CALL_SESSION, c);
	if (c->setup)
		put_setup(o, c->setup);
	if (c->setup && c->setup->fork)
		fork_put(o, CALL_FORK, CALL_BRANCH, c->setup->fork);
}

void b2bua_export(struct b2bua *b, struct b2bua_record_sink *sink)
{
	char *area = malloc(RECORD_MAX);
	struct tlv_out o;

	list_each(n, &b->all) {
		const struct call *c = owner_of(n, struct call, in_all);

		/* between two destinations there is nothing yet that could be lost: the caller repeats its INVITE */
		if (!area || (c->method != M_INVITE && !c->is_kept) || (!c->far && !(c->setup && c->setup->attempt && !c->setup->move)))
			continue;
		tlv_init(&o, area, RECORD_MAX);
		put_call(&o, c);
		if (!o.is_full)
			sink->put(sink, c->near.in_table.key, (struct sv){ o.p, o.len });
	}
	free(area);
}

/* Reading: first everything into plain values, then the objects --------------------------------------------------- */

int record_fields(struct fields *f, struct sv rest)
{
	struct sv bytes;
	uint8_t field;
	int err;

	for (unsigned i = 0; i < FIELDS; i++)
		f->of[i] = SV("");
	while ((err = tlv_next(&rest, &field, &bytes)) == 0)
		if (field < FIELDS)
			f->of[field] = bytes;
	return err == -ENOENT ? 0 : err;
}

uint64_t record_number(const struct fields *f, unsigned field)
{
	return tlv_u64(f->of[field]);
}

int record_path(const struct b2bua *b, const struct fields *f, struct path *path)
{
	int zone = conf_find_zone(b->conf, f->of[LEG_ZONE]);
	struct addr remote;
	int err;

	if (zone < 0 || addr_parse(&remote, f->of[LEG_REMOTE]))
		return -EBADMSG;
	err = path_to(b, path, (uint16_t)zone, (uint8_t)record_number(f, LEG_TRANSPORT), &remote);
	if (!err && f->of[LEG_TLS_NAME].len)
		path->name = net_name(b->p.stack->net, f->of[LEG_TLS_NAME]);
	return err;
}

int record_leg(struct b2bua *b, struct leg *l, const struct fields *f)
{
	struct leg_text t = { f->of[LEG_CALL_ID], f->of[LEG_LOCAL], f->of[LEG_REMOTE_PARTY], f->of[LEG_TARGET], f->of[LEG_ROUTES] };
	int err = record_path(b, f, &l->path);

	l->local_cseq = (uint32_t)record_number(f, LEG_CSEQ);
	l->follows_flow = record_number(f, LEG_FOLLOWS);
	l->is_sips = record_number(f, LEG_SIPS);
	l->attempt = (uint8_t)record_number(f, LEG_ATTEMPT);
	l->branch = (uint8_t)(record_number(f, LEG_BRANCH) <= FORK_BRANCHES_MAX ? record_number(f, LEG_BRANCH) : 0);
	if (!err)
		leg_tie(b, l, record_number(f, LEG_AOR), record_number(f, LEG_BINDING));
	return err ? err : leg_set_text(b, l, &t);
}

/* The destination counts this call as its own here too, if it still is one. */
static void leg_reserve(struct b2bua *b, struct leg *l, const struct fields *f)
{
	for (uint32_t i = 0; i < b->conf->n_destinations; i++) {
		const struct conf_destination *d = &b->conf->destinations[i];

		if (!sv_eq(d->name, f->of[LEG_DESTINATION]) || !sv_eq(b->conf->pools[d->pool].name, f->of[LEG_POOL]))
			continue;
		l->slot = pools_slot(b->p.pools, b->conf, i);
		l->has_slot = true;
		dest_reserve(b->p.pools, b->p.worker, l->slot);
		return;
	}
}

/* Of a ringing fork, the leg of one branch. */
static struct leg *leg_of_branch(struct call *c, struct leg *far, uint64_t branch)
{
	for (struct attempt *a = c->setup ? c->setup->attempt : NULL; branch && a; a = a->next)
		if (a->leg->branch == branch)
			return a->leg;
	return far;
}

static int dialog_apply(struct call *c, struct leg *far, struct sv bytes)
{
	struct fields f;
	struct dialog *d;
	uint64_t id;

	if (record_fields(&f, bytes) || !f.of[DIALOG_TAG].len || !(id = record_number(&f, DIALOG_ID)) || table_find(&c->b->dialogs, id))
		return -EBADMSG;
	far = leg_of_branch(c, far, record_number(&f, DIALOG_BRANCH));
	if (!(d = dialog_new(c, far, id, f.of[DIALOG_TAG], f.of[DIALOG_TARGET], f.of[DIALOG_ROUTES])))
		return -ENOMEM;
	d->is_confirmed = record_number(&f, DIALOG_CONFIRMED);
	d->cseq_in[NEAR] = (uint32_t)record_number(&f, DIALOG_NEAR_CSEQ);
	d->cseq_in[FAR] = (uint32_t)record_number(&f, DIALOG_FAR_CSEQ);
	return 0;
}

static int usage_apply(struct call *c, struct sv bytes)
{
	struct usage *u;
	struct fields f;
	struct link *l;

	if (record_fields(&f, bytes) || !(l = table_find(&c->b->dialogs, record_number(&f, USAGE_DIALOG))) ||
	    record_number(&f, USAGE_NOTIFIER) > FAR || owner_of(l, struct dialog, in_table)->call != c ||
	    f.of[USAGE_PACKAGE].len > USAGE_EVENT_MAX ||
	    f.of[USAGE_ID].len > USAGE_EVENT_MAX)
		return -EBADMSG;
	if (!(u = usage_new(owner_of(l, struct dialog, in_table), (enum side)record_number(&f, USAGE_NOTIFIER), f.of[USAGE_PACKAGE],
	                    f.of[USAGE_ID])))
		return -ENOMEM;
	u->is_refer = record_number(&f, USAGE_REFER);
	u->refer_cseq[NEAR] = (uint32_t)record_number(&f, USAGE_NEAR_CSEQ);
	u->refer_cseq[FAR] = (uint32_t)record_number(&f, USAGE_FAR_CSEQ);
	u->asked_s = (uint32_t)record_number(&f, USAGE_ASKED);
	u->is_established = record_number(&f, USAGE_ESTABLISHED);
	usage_until(u, record_number(&f, USAGE_LEFT));
	return 0;
}

static int usages_apply(struct call *c, struct sv record)
{
	struct sv bytes;
	uint8_t field;
	int err = 0;

	while (!err && tlv_next(&record, &field, &bytes) == 0)
		if (field == CALL_USAGE)
			err = usage_apply(c, bytes);
	return err;
}

/* A call that has only subscriptions. */
static int kept_apply(struct call *c, const struct fields *f)
{
	uint64_t method = record_number(f, CALL_METHOD);

	if (!method)
		return 0;
	if ((method != M_INVITE && method != M_SUBSCRIBE && method != M_REFER) || !c->far || !c->usages)
		return -EBADMSG;
	c->method = (uint8_t)method;
	c->cseq = (uint32_t)record_number(f, CALL_CSEQ);
	call_keep(c);
	return 0;
}

/* Transactions: no bytes, no transaction. */
static int server_apply(struct b2bua *b, struct sv bytes, const struct path *path, struct server_txn **out)
{
	struct server_record r = { .path = *path };
	struct fields f;

	if (!bytes.len)
		return 0;
	if (record_fields(&f, bytes))
		return -EBADMSG;
	r.key = record_number(&f, TXN_KEY);
	r.head = f.of[TXN_HEAD];
	r.last = f.of[TXN_LAST];
	r.state = (uint8_t)record_number(&f, TXN_STATE);
	r.method = (uint8_t)record_number(&f, TXN_METHOD);
	r.status = (uint16_t)record_number(&f, TXN_STATUS);
	return r.method == M_INVITE ? server_import(b->p.stack, &r, out) : -EBADMSG;
}

int record_client(struct b2bua *b, struct sv bytes, const struct path *path, const struct client_ops *ops, void *owner,
                        struct client_txn **out)
{
	struct client_record r = { .path = *path };
	struct fields f;

	if (!bytes.len)
		return 0;
	if (record_fields(&f, bytes))
		return -EBADMSG;
	r.id = record_number(&f, TXN_KEY);
	r.request = f.of[TXN_REQUEST];
	r.state = (uint8_t)record_number(&f, TXN_STATE);
	r.method = (uint8_t)record_number(&f, TXN_METHOD);
	return r.method == M_INVITE ? client_import(b->p.stack, &r, ops, owner, out) : -EBADMSG;
}

static int answer_apply(struct relay *r, struct sv bytes)
{
	struct view_fault fault;
	struct view v;

	if (!bytes.len || bytes.len > NET_MESSAGE_MAX)
		return -EBADMSG;
	if (!(r->answer = buf_copy_in(r->call->b->p.stack->bufs, bytes)))
		return -ENOMEM;
	return view_scan(&v, r->answer->data, r->answer->len, true, &fault) || v.status / 100 != 2 || v.method != M_INVITE ? -EBADMSG : 0;
}

static int relay_apply_answered(struct relay *r, const struct fields *f)
{
	int err = answer_apply(r, f->of[RELAY_ANSWER]);

	if (!err)
		relay_repeat(r);
	return err;
}

static int relay_apply_waiting(struct relay *r, const struct fields *f)
{
	if (!r->st || !r->ct || server_is_final(r->st) || !client_is_waiting(r->ct))
		return -EBADMSG;
	target_recall(r, f->of[RELAY_MOVED]);
	relay_watch(r);
	return 0;
}

static int relay_apply(struct call *c, struct sv bytes)
{
	struct b2bua *b = c->b;
	struct view nothing = { .method = M_INVITE };
	struct leg *in, *out;
	struct fields f;
	struct link *l;
	struct relay *r;
	struct dialog *d;
	int err;

	if (record_fields(&f, bytes) || !(l = table_find(&b->dialogs, record_number(&f, RELAY_DIALOG))) ||
	    record_number(&f, RELAY_FROM) > FAR || !c->far)
		return -EBADMSG;
	d = owner_of(l, struct dialog, in_table);
	if (d->call != c)
		return -EBADMSG;
	if (!(r = relay_new(c, d, (enum side)record_number(&f, RELAY_FROM), &nothing)))
		return -ENOMEM;
	in = r->from == NEAR ? &c->near : c->far;
	out = r->from == NEAR ? c->far : &c->near;
	r->in_cseq = (uint32_t)record_number(&f, RELAY_IN);
	r->out_cseq = (uint32_t)record_number(&f, RELAY_OUT);
	r->had_offer = record_number(&f, RELAY_OFFER);
	if ((err = server_apply(b, f.of[RELAY_SERVER], &in->path, &r->st)) ||
	    (err = record_client(b, f.of[RELAY_CLIENT], &out->path, &relay_client_ops, r, &r->ct)))
		return err;
	if (r->st)
		server_own(r->st, &relay_server_ops, r);
	return f.of[RELAY_ANSWER].len ? relay_apply_answered(r, &f) : relay_apply_waiting(r, &f);
}

/* What the request said of session timers: it is there to be read again. */
static int setup_words(struct setup *s)
{
	struct view_fault fault;
	struct view v;

	if (view_scan(&v, s->request->data, s->request->len, false, &fault))
		return -EBADMSG;
	s->call->cseq = v.cseq;
	if (session_speaks(&v))
		session_read(&s->session, &v);
	return 0;
}

static int setup_alloc(struct call *c, const struct fields *f)
{
	struct setup *s = slab_alloc(&c->b->setups);
	struct sv pool = f->of[SETUP_POOL];

	if (!s)
		return -ENOMEM;
	s->call = c;
	c->setup = s;
	s->has_provisional = record_number(f, SETUP_PROVISIONAL);
	s->has_offer = record_number(f, SETUP_OFFER);
	s->follows = record_number(f, SETUP_FOLLOWS);
	s->standing = (uint8_t)record_number(f, SETUP_STANDING);
	s->n_tried = (uint8_t)(record_number(f, SETUP_TRIED) < POOL_TRIES_MAX ? record_number(f, SETUP_TRIED) : POOL_TRIES_MAX);
	s->n_attempts = s->n_tried;
	s->after_ms = (uint32_t)record_number(f, SETUP_AFTER);
	s->answer_ms = (uint32_t)record_number(f, SETUP_ANSWER);
	s->max_duration_ms = (uint32_t)record_number(f, SETUP_DURATION);
	s->why = WHY_TIMEOUT;
	memcpy(s->pool, pool.p ? pool.p : "", pool.len < sizeof(s->pool) ? pool.len : sizeof(s->pool) - 1);
	return (s->request = buf_copy_in(c->b->p.stack->bufs, f->of[SETUP_REQUEST])) ? setup_words(s) : -ENOMEM;
}

int record_attempt(struct attempt *a, struct sv client, uint64_t ahead, uint64_t raises, uint64_t min_s)
{
	struct setup *s = a->setup;
	int err;

	a->has_response = true;
	a->ahead = (uint8_t)(ahead < ATTEMPT_AHEAD_MAX ? ahead : ATTEMPT_AHEAD_MAX);
	a->raises = (uint8_t)(raises < SESSION_RAISES_MAX ? raises : SESSION_RAISES_MAX);
	a->min_s = (uint32_t)(min_s < SESSION_MAX_S ? min_s : SESSION_MAX_S);
	if ((err = record_client(a->b, client, &a->leg->path, &attempt_ops, a, &a->ct)))
		return err;
	if (!a->ct || !client_is_waiting(a->ct))
		return -EBADMSG;
	a->branch_id = client_id(a->ct);
	wheel_arm_in(a->b->p.wheel, &a->timer, s->answer_ms ? s->answer_ms : CALL_SETUP_MAX_MS);
	return 0;
}

/* A ringing call: its rule is looked up again when it is needed, since `conf_gen` 0 is nobody's. */
static int setup_apply(struct call *c, struct leg *leg, struct sv bytes)
{
	struct b2bua *b = c->b;
	struct attempt *a;
	struct fields f;
	int err = record_fields(&f, bytes);

	if (err || (err = setup_alloc(c, &f)) || !(a = attempt_alloc(c->setup, leg))) {
		leg_free(b, leg);
		return err ? err : -ENOMEM;
	}
	c->setup->attempt = a;
	c->setup->tried[0] = leg->slot;
	if ((err = server_apply(b, f.of[SETUP_SERVER], &c->near.path, &c->setup->st)) ||
	    (err = record_attempt(a, f.of[SETUP_CLIENT], record_number(&f, SETUP_AHEAD), record_number(&f, SETUP_RAISES),
	                          record_number(&f, SETUP_MIN_SE))))
		return err;
	if (!c->setup->st || server_is_final(c->setup->st))
		return -EBADMSG;
	server_own(c->setup->st, &setup_server_ops, c->setup);
	return 0;
}

static int answered_apply(struct call *c, struct sv record, struct sv session)
{
	uint64_t longest = c->timer.at_ms - c->answered_ms;
	struct sv bytes;
	uint8_t field;
	int err = 0;

	while (!err && tlv_next(&record, &field, &bytes) == 0)
		if (field == CALL_RELAY)
			err = relay_apply(c, bytes);
	if (err || list_empty(&c->dialogs))
		return err ? err : -EBADMSG;
	if (!c->answered_ms)
		return 0; /* it never was a session */
	c->longest_ms = longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX;
	if ((err = session_apply(c, session)) == 0)
		session_watch(c);
	return err;
}

static int parts_apply(struct call *c, struct sv record, const struct fields *f)
{
	struct b2bua *b = c->b;
	struct fields near, far;
	struct leg *leg = NULL;
	struct sv rest = record, bytes;
	uint8_t field;
	int err;

	if (record_fields(&near, f->of[CALL_NEAR]) || record_fields(&far, f->of[CALL_FAR]) || !record_number(&far, LEG_ID) ||
	    table_find(&b->legs, record_number(&far, LEG_ID)))
		return -EBADMSG;
	if ((err = record_leg(b, &c->near, &near)))
		return err;
	if (!(leg = leg_new(b, c, record_number(&far, LEG_ID))))
		return -ENOMEM;
	if ((err = record_leg(b, leg, &far))) {
		leg_free(b, leg);
		return err;
	}
	leg_reserve(b, leg, &far);
	if (f->of[CALL_SETUP].len == 0)
		c->far = leg;
	else if ((err = setup_apply(c, leg, f->of[CALL_SETUP])) ||
	         (f->of[CALL_FORK].len && (err = fork_apply(c->setup, record, f->of[CALL_FORK], CALL_BRANCH))))
		return err;
	while (tlv_next(&rest, &field, &bytes) == 0)
		if (field == CALL_DIALOG && (err = dialog_apply(c, leg, bytes)))
			return err;
	if ((err = c->far ? answered_apply(c, record, f->of[CALL_SESSION]) : 0) || (err = usages_apply(c, record)))
		return err;
	return kept_apply(c, f);
}

/* Would a request towards this side be one? What the record says of its leg is then fit for every message of the call. */
int record_side_check(const struct call *c, const struct leg *l, struct sv uri, struct sv routes, struct sv remote_tag)
{
	struct compose compose = { .b = c->b };
	struct outgoing m = { .method = SV("BYE"), .leg = l, .uri = uri, .routes = routes, .cseq = 1, .max_forwards = 70,
	                      .remote_tag = remote_tag, .branch_id = 1 };
	SCOPED(buf_putp) struct buf *b = NULL;
	struct view_fault fault;
	struct view v;

	compose_request(&compose, &m);
	out_lit(&compose.o, "Content-Length: 0\r\n\r\n");
	if (!(b = compose_done(&compose)))
		return compose.o.is_full ? -EBADMSG : -ENOMEM;
	if (view_scan(&v, b->data, b->len, true, &fault) || v.body_len || (l->side == FAR && !tag_of(leg_local(l)).len) ||
	    (l->side == NEAR && (!tag_of(leg_remote(l)).len || tag_of(leg_local(l)).len)))
		return -EBADMSG;
	return 0;
}

static int call_check(const struct call *c, const struct leg *far)
{
	int err = record_side_check(c, &c->near, leg_target(&c->near), leg_routes(&c->near), SV(""));

	if (!err)
		err = record_side_check(c, far, SV("sip:any@example.invalid"), SV(""), SV(""));
	list_each(n, &c->dialogs) {
		const struct dialog *d = owner_of(n, struct dialog, in_call);

		struct sv target = c->setup && !d->target_len ? SV("sip:any@example.invalid") : dialog_target(d); /* target_early() */

		if (!err)
			err = record_side_check(c, d->far, target, dialog_routes(d), dialog_tag(d));
	}
	return err || !c->setup || !c->setup->fork ? err : fork_check(c->setup->fork);
}

/* A record that is refused has said nothing to anybody. */
static void discard(struct call *c)
{
	struct setup *s = c->setup;

	if (s && s->st)
		server_discard(STEAL(s->st));
	for (struct attempt *a = s ? s->attempt : NULL; a; a = a->next)
		if (a->ct)
			client_discard(STEAL(a->ct));
	list_each(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->st)
			server_discard(STEAL(r->st));
		if (r->ct)
			client_discard(STEAL(r->ct));
	}
	call_free(c);
}

uint16_t b2bua_record_shard(struct sv record)
{
	struct fields f;

	return record_fields(&f, record) ? 0 : (uint16_t)(record_number(&f, CALL_SHARD) % TOKEN_SHARDS);
}

int b2bua_apply(struct b2bua *b, struct sv record)
{
	struct fields f, near;
	struct call *c;
	uint64_t now = b->p.wheel->now_ms, age, answered, left;
	int err;

	if (record_fields(&f, record) || record_number(&f, CALL_VERSION) != VERSION || record_fields(&near, f.of[CALL_NEAR]) ||
	    !record_number(&near, LEG_ID) || record_number(&f, CALL_SHARD) >= TOKEN_SHARDS)
		return -EBADMSG;
	if (table_find(&b->legs, record_number(&near, LEG_ID)))
		return -EEXIST;
	if (!(c = call_alloc(b, record_number(&near, LEG_ID), (uint16_t)record_number(&f, CALL_SHARD))))
		return -ENOSPC;
	age = record_number(&f, CALL_AGE);
	answered = record_number(&f, CALL_ANSWERED);
	c->started_ms = age < now ? now - age : 0;
	c->answered_ms = answered ? now - (answered - 1 < now ? answered - 1 : 0) : 0;
	c->status = (uint16_t)record_number(&f, CALL_STATUS);
	c->cseq = (uint32_t)record_number(&f, CALL_INVITE);
	c->ahead = (uint8_t)record_number(&f, CALL_AHEAD);
	c->n_moves = (uint8_t)record_number(&f, CALL_MOVES);
	c->policy = policies_hold_named(&b->policies, record_number(&f, CALL_POLICY));
	if (f.of[CALL_TRUNK].len)
		trunk_admit_again(c, f.of[CALL_TRUNK]);
	left = record_number(&f, CALL_LEFT);
	wheel_arm_in(b->p.wheel, &c->timer, left < CALL_DURATION_MAX_MS ? left : CALL_DURATION_MAX_MS);
	if ((err = parts_apply(c, record, &f)) || (err = call_check(c, c->far ? c->far : c->setup->attempt->leg)))
		discard(c);
	else if (f.of[CALL_STICK].len)
		stick_apply(c, f.of[CALL_STICK]);
	return err;
}
