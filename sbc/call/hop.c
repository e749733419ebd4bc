/* sbc/call/hop.c - how a URI says where a request goes: over which transports, and to whose addresses (RFC 3263 §4). */
#include "sbc/call/sips.h"
#include <errno.h>
#include <stdlib.h>

uint8_t hop_transport(const struct uri *u, struct resolve_query *q)
{
	bool is_sips = u->scheme == URI_SIPS;
	uint8_t written = uri_transport(u), usual = sips_transport(is_sips, written);

	q->transport = written ? usual : T_NONE;
	q->transports = conf_open_transports(is_sips ? T_TLS : T_UDP);
	return usual;
}

int hop_resolve(const struct b2bua *b, uint16_t zone, const struct resolve_query *q, struct resolve_answer *out,
                void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id)
{
	struct conf_reach reach = conf_zone_reach(&b->conf->zones[zone]);
	struct resolve_query query = *q;

	query.family = reach.family;
	query.transports &= reach.transports;
	return resolve(b->p.resolver, &query, out, done, ctx, id);
}

int path_to_answer(const struct b2bua *b, struct path *path, uint16_t zone, const struct resolve_answer *a, unsigned i)
{
	return path_to(b, path, zone, a->transport[i], &a->addr[i]);
}

/* The next one ----------------------------------------------------------------------------------------------------- */

/* Of a request within a dialog whose next hop has several addresses. */
struct hops {
	struct relay *relay;
	struct resolve_answer addrs;
	struct buf *request;       /* as it came */
	struct timer silence;
	struct path path;          /* of the one that is tried now, if n_tried; the leg stays where it is until that one has answered */
	unsigned left;             /* a bit for each address not yet tried */
	unsigned n_tried;
};

_Static_assert(RESOLVE_ADDRS_MAX <= 8 * sizeof(unsigned), "a bit for each address");

static struct leg *leg_to(const struct relay *r)
{
	return r->from == NEAR ? r->dialog->far : &r->call->near;
}

static void hops_fire(struct timer *t)
{
	struct relay *r = owner_of(t, struct hops, silence)->relay;

	if (r->ct && client_is_waiting(r->ct))
		relay_again(r);
}

/* Without memory for them there are no others. */
static void hops_keep(struct relay *r, const struct view *v, const struct resolve_answer *a, unsigned left)
{
	struct hops *h = calloc(1, sizeof(*h));

	if (!h || !(h->request = buf_copy_in(r->call->b->p.stack->bufs, (struct sv){ v->base, v->len }))) {
		free(h);
		return;
	}
	h->relay = r;
	h->addrs = *a;
	h->left = left;
	h->silence.fire = hops_fire;
	r->hops = h;
}

/* The server that the dialog is with, as long as its name has it. */
static bool is_same_place(const struct leg *l, const struct resolve_answer *a, unsigned i)
{
	return addr_eq(&a->addr[i], &l->path.remote) && a->transport[i] == l->path.transport;
}

int hops_take(struct relay *r, const struct view *v, const struct resolve_answer *a)
{
	const struct b2bua *b = r->call->b;
	struct leg *l = leg_to(r);
	uint16_t zone = path_zone(b, &l->path);
	unsigned left = 0, taken = 0;
	struct path path;
	uint32_t was;

	for (unsigned i = 0; i < a->n; i++) {
		if (path_to_answer(b, &path, zone, a, i))
			continue;
		if (!left || is_same_place(l, a, i))
			taken = i;
		left |= 1u << i;
	}
	if (!left)
		return -ENETUNREACH;
	was = is_same_place(l, a, taken) ? l->path.name : 0;
	path_to_answer(b, &l->path, zone, a, taken);
	path_expect_within(r, &l->path, was);
	left &= ~(1u << taken);
	if (left && !r->is_answered) /* an ACK has nothing to fail by */
		hops_keep(r, v, a, left);
	return 0;
}

unsigned hops_tried(const struct relay *r)
{
	return r->hops ? r->hops->n_tried : 0;
}

bool hops_next(struct relay *r)
{
	const struct b2bua *b = r->call->b;
	struct hops *h = r->hops;
	uint16_t zone = path_zone(b, &leg_to(r)->path);

	while (h && h->left) {
		unsigned i = (unsigned)__builtin_ctz(h->left);

		h->left &= h->left - 1;
		if (path_to_answer(b, &h->path, zone, &h->addrs, i))
			continue;
		path_expect_within(r, &h->path, 0);
		h->n_tried++;
		return true;
	}
	return false;
}

const struct path *hops_path(const struct relay *r)
{
	return hops_tried(r) ? &r->hops->path : &leg_to(r)->path;
}

int hops_request(const struct relay *r, struct view *v)
{
	struct view_fault fault;

	return view_scan(v, r->hops->request->data, r->hops->request->len, false, &fault) ? -EBADMSG : 0;
}

/* A silent INVITE may have been heard all the same, and its 2xx would find nobody: that one has all the time of its transaction. */
void hops_watch(struct relay *r)
{
	if (r->hops->left && r->method != M_INVITE)
		wheel_arm_in(r->call->b->p.wheel, &r->hops->silence, HOP_SILENT_MS);
}

/* Refusals come from who never looked for the dialog (challenges, 404, 405, 500), and so do answers to OPTIONS. */
static bool shows_dialog(const struct relay *r, unsigned status)
{
	return status > 100 && status < 300 && r->method != M_OPTIONS;
}

/* What the dialog's own server would end it by (RFC 5057 §5.1), a BYE's end by any refusal but a challenge among it. */
static bool ends_dialog(const struct relay *r, unsigned status)
{
	return status == 481 || status == 408 || (r->method == M_BYE && status >= 300 && status != 401 && status != 407);
}

bool hops_heard(struct relay *r, unsigned status)
{
	wheel_disarm(r->call->b->p.wheel, &r->hops->silence);
	if (!hops_tried(r))
		return true;
	if (shows_dialog(r, status))
		leg_to(r)->path = r->hops->path;
	return !ends_dialog(r, status);
}

void hops_free(struct relay *r)
{
	struct hops *h = STEAL(r->hops);

	if (!h)
		return;
	wheel_disarm(r->call->b->p.wheel, &h->silence);
	buf_put(h->request);
	free(h);
}
