/* sbc/call/target.c - where the requests of a dialog go: the remote target of each side, and the requests that move it. */
#include "sbc/call/call.h"

static bool refreshes_target(uint8_t method)
{
	return method == M_INVITE || method == M_UPDATE || method == M_SUBSCRIBE || method == M_NOTIFY || method == M_REFER;
}

static struct sv target_of(const struct dialog *d, enum side side)
{
	return side == FAR ? dialog_target(d) : leg_target(&d->call->near);
}

static void target_set(struct dialog *d, enum side side, struct sv uri)
{
	struct leg *near = &d->call->near;

	if (side == FAR)
		dialog_set_text(d->call->b, d, dialog_tag(d), uri, dialog_routes(d));
	else
		leg_set_text(d->call->b, near,
		             &(struct leg_text){ leg_call_id(near), leg_local(near), leg_remote(near), uri, leg_routes(near) });
}

/* §12.2.2: what is refused has changed nothing. So the new target waits in the relay until the request is accepted. */
void target_asked(struct relay *r, const struct view *v)
{
	struct sv uri, now = target_of(r->dialog, r->from);

	if (!refreshes_target(r->method))
		return;
	uri = contact_uri_again(v, now);
	if (uri.p && !sv_eq(uri, now))
		target_recall(r, uri);
}

void target_recall(struct relay *r, struct sv uri)
{
	if (!uri.len || uri.len > CALL_TEXT_MAX || !(r->moved = blocks_alloc(&r->call->b->texts, uri.len)))
		return;
	memcpy(r->moved, uri.p, uri.len);
	r->moved_len = (uint16_t)uri.len;
}

void target_moved(struct dialog *d, enum side side, const struct view *v)
{
	struct sv now = target_of(d, side), uri = contact_uri_again(v, now);

	if (uri.p && !sv_eq(uri, now))
		target_set(d, side, uri);
}

void target_forget(struct relay *r)
{
	if (r->moved)
		blocks_free(&r->call->b->texts, STEAL(r->moved), r->moved_len);
}

/* By a 2xx, or a provisional that is sure to arrive (RFC 6141 §4.6). */
void target_answered(struct relay *r, const struct view *v)
{
	if (!refreshes_target(r->method) || v->status >= 300 || (v->status < 200 && !v->first[HDR_RSEQ]))
		return;
	if (r->moved)
		target_set(r->dialog, r->from, (struct sv){ r->moved, r->moved_len });
	target_forget(r);
	target_moved(r->dialog, !r->from, v);
}

struct sv invite_uri(const struct client_txn *ct, struct view *v)
{
	const struct buf *request = ct ? client_request(ct) : NULL;
	struct view_fault fault;

	if (!request || view_scan(v, request->data, request->len, false, &fault))
		return (struct sv){ NULL, 0 };
	return view_uri(v);
}

/* A provisional without Contact names no target: then its dialog is where the INVITE went. Borrowed from the INVITE. */
struct sv target_early(const struct dialog *d)
{
	const struct setup *s = d->call->setup;
	const struct attempt *a;
	struct sv uri = { NULL, 0 };
	struct view v;

	if (!dialog_target(d).len && s && (a = attempt_of(s, d->far)))
		uri = invite_uri(a->ct, &v);
	return uri.p ? uri : dialog_target(d);
}
