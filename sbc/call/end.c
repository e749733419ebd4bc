/* sbc/call/end.c - how calls end: what each side is told, what is written down, what stays for a while. */
#include "sbc/call/locate.h"
#include "sbc/call/move.h"
#include "sbc/call/stick.h"
#include "sbc/call/transfer.h"
#include "sbc/call/trunk.h"
#include "base/json.h"

enum { CDR_TEXT_MAX = 384, CDR_LINE_MAX = 3 * 6 * CDR_TEXT_MAX + 1024 };

/* The tombstone answers a BYE that is repeated: its transaction need not keep the answer, if it was the same. */
static void forget_byes(struct call *c)
{
	list_each(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->method == M_BYE && r->st && server_status(r->st) == 200)
			server_forget(r->st); /* on_end takes it out of the relay */
	}
}

void call_finish(struct call *c, enum why why)
{
	list_each(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->is_answered)
			relay_ack_alone(r);
	}
	if (c->method == M_INVITE && !c->is_kept) {
		counter_inc(&c->b->counters, c->answered_ms ? CALLS_ENDED : CALLS_FAILED);
		write_cdr(c, why);
		if (tombstone_new(c))
			forget_byes(c);
	} else if (c->setup && c->setup->challenger) {
		tombstone_new(c);
	}
	if (usage_keeps(c, why))
		usage_keep(c);
	else
		call_free(c);
}

void call_hangup(struct call *c, unsigned sides, enum why why)
{
	if (c->setup) {
		c->setup->why = why;
		buf_put(STEAL(c->setup->best));
		setup_fail(c->setup);
		return;
	}
	if (c->moving)
		move_stop(c);
	list_each(n, &c->relays) {
		struct relay *r = owner_of(n, struct relay, in_call);

		if (r->is_answered)
			relay_ack_alone(r);
	}
	if (c->method != M_INVITE || c->is_kept)
		sides = 0; /* BYE ends sessions */
	list_each(n, &c->dialogs)
		for (enum side side = NEAR; side <= FAR; side++)
			if (sides & 1u << side)
				send_bye(owner_of(n, struct dialog, in_call), side, why);
	call_finish(c, why);
}

bool b2bua_hangup(struct b2bua *b, uint64_t id, const char *why)
{
	list_each(n, &b->all) {
		struct call *c = owner_of(n, struct call, in_all);

		if (c->near.in_table.key != id)
			continue;
		log_info(b->p.log, "call.hangup", "call=%016lx by=%s", (unsigned long)id, why);
		call_hangup(c, 1 << NEAR | 1 << FAR, WHY_OPERATOR);
		return true;
	}
	return false;
}

static const char *state_of(const struct call *c)
{
	if (!c->setup)
		return c->is_ending ? "ending" : c->moving > MOVE_RESTS ? "moving" : "answered";
	return c->setup->has_provisional ? "ringing" : "trying";
}

void b2bua_each(struct b2bua *b, void (*fn)(void *ctx, const struct call_info *info), void *ctx)
{
	list_each(n, &b->all) {
		const struct call *c = owner_of(n, struct call, in_all);
		const struct leg *far = c->far ? c->far : c->setup && c->setup->attempt ? c->setup->attempt->leg : NULL;
		struct call_info info = { .id = c->near.in_table.key, .from = leg_remote(&c->near), .to = leg_local(&c->near),
		                          .near_call_id = leg_call_id(&c->near), .near = c->near.path.remote,
		                          .state = sv_from(state_of(c)), .age_ms = b->p.wheel->now_ms - c->started_ms,
		                          .dialogs = c->n_dialogs, .legs = far ? 2 : 1, .moves = c->n_moves };

		if (far) {
			info.far_call_id = leg_call_id(far);
			info.far = far->path.remote;
		}
		if (c->answered_ms)
			info.answered_ms = b->p.wheel->now_ms - c->answered_ms;
		if (c->method == M_INVITE && !c->is_kept)
			fn(ctx, &info);
	}
}

/* A caller may make his identifiers as long as a message: what bills him takes their beginning. */
static struct sv clipped(struct sv v)
{
	return v.len > CDR_TEXT_MAX ? (struct sv){ v.p, CDR_TEXT_MAX } : v;
}

static void write_trunks(struct json *j, const struct call *c)
{
	const struct conf_trunk *from = trunk_of_call(c), *to = trunk_called(c);

	if (from)
		json_member_str(j, "from_trunk", from->name);
	if (to)
		json_member_str(j, "to_trunk", to->name);
}

/* One line per call (DECISIONS 28). `id` is the call's own, equal on both nodes of a pair. */
void write_cdr(const struct call *c, enum why why)
{
	struct b2bua *b = c->b;
	uint64_t now = b->p.wheel->now_ms;
	char line[CDR_LINE_MAX], id[SV_HEX], text[ADDR_TEXT];
	const struct reason *reason = &call_reasons[why];
	struct json j;

	if (!b->p.cdr)
		return;
	json_init(&j, line, sizeof(line) - 1);
	json_object(&j);
	json_member_word(&j, "cdr_id", sv_hex(c->near.in_table.key, id));
	json_member_u64(&j, "start_ms", b->p.wall_ms(b->p.ctx) - (now - c->started_ms));
	json_member_u64(&j, "setup_ms", (c->answered_ms ? c->answered_ms : now) - c->started_ms);
	json_member_u64(&j, "duration_ms", c->answered_ms ? now - c->answered_ms : 0);
	json_member_str(&j, "from", clipped(leg_remote(&c->near)));
	json_member_str(&j, "to", clipped(leg_local(&c->near)));
	json_member_str(&j, "call_id", clipped(leg_call_id(&c->near)));
	json_member_word(&j, "source", sv_from(addr_print(&c->near.path.remote, text)));
	if (c->near.path.transport != T_UDP)
		json_member_word(&j, "transport", sv_from(transport_name(c->near.path.transport)));
	if (c->far)
		json_member_word(&j, "destination", sv_from(addr_print(&c->far->path.remote, text)));
	if (b->conf->n_trunks)
		write_trunks(&j, c);
	json_member_u64(&j, "status", c->status);
	json_member_word(&j, "reason", sv_from(reason->id));
	if (c->n_moves)
		json_member_u64(&j, "moves", c->n_moves);
	json_object_end(&j);
	struct sv done = json_done(&j);

	if (!done.len)
		return; /* cannot be: CDR_LINE_MAX has room for three texts escaped in full */
	line[done.len] = '\n';
	b->p.cdr->write(b->p.cdr, (struct sv){ line, done.len + 1 });
}

void b2bua_request(struct b2bua *b, const struct request *r)
{
	if (names_anybody(r->v))
		names_request(b, r);
	else
		b2bua_dispatch(b, r);
}

void b2bua_dispatch(struct b2bua *b, const struct request *r)
{
	if (view_to_tag(r->v).len)
		dialog_request(b, r);
	else if (r->v->method == M_CANCEL && cancel_strayed(b, r))
		return;
	else if (r->v->method == M_CANCEL)
		sip_answer_stateless(b->p.stack, r->v, r->from, 481, SV(""), SV("unknown"), SV(""));
	else if (r->v->method == M_ACK)
		counter_inc(&b->counters, STRAY_ACKS);
	else
		initial_request(b, r);
}

void b2bua_errand(struct b2bua *b, struct b2bua_errand *e)
{
	if (e->kind == ERRAND_LOCATED)
		located_arrive(b, owner_of(e, struct located, errand));
	else if (e->kind == ERRAND_FLOW)
		flow_errand_arrive(b, e);
	else if (e->kind == ERRAND_STICK)
		stick_arrive(b, e);
	else
		names_arrive(b, owner_of(e, struct names, errand));
}

void b2bua_errand_free(struct b2bua_errand *e)
{
	if (e->kind == ERRAND_LOCATED)
		located_put(owner_of(e, struct located, errand));
	else if (e->kind == ERRAND_FLOW)
		flow_errand_free(e);
	else if (e->kind == ERRAND_STICK)
		stick_errand_free(e);
	else
		names_put(owner_of(e, struct names, errand));
}
