/* sbc/call/forked.c - a ringing fork as part of its call's record: its branches in their places, with what is on its way, and what is
 * still to be tried. */
#include "sbc/call/fork.h"
#include "sbc/call/record.h"
#include <errno.h>

enum fork_field { FORK_BREADTH_LEFT = 1, FORK_SHARE, FORK_GROUP, FORK_LEFT, FORK_AOR };
/* LEG_ZONE, LEG_TRANSPORT and LEG_REMOTE are those of its flow. */
enum branch_field { BRANCH_URI = 16, BRANCH_ROUTES, BRANCH_Q, BRANCH_HOP, BRANCH_STATE, BRANCH_BINDING, BRANCH_INSTANCE, BRANCH_HAS_PATH,
	            BRANCH_REDIRECT, BRANCH_LEG, BRANCH_CLIENT, BRANCH_AHEAD, BRANCH_MIN_SE,
	            BRANCH_IS_NAMED, BRANCH_RAISES };

static struct attempt *attempt_of_place(const struct setup *s, unsigned place)
{
	struct attempt *a = s->attempt;

	while (a && a->leg->branch != place + 1)
		a = a->next;
	return a;
}

/* The setup's first attempt is in its own place of the record. */
static void put_branch(struct tlv_out *o, uint8_t field, const struct setup *s, unsigned place)
{
	const struct branch *br = &s->fork->of[place];
	const struct attempt *a = attempt_of_place(s, place);
	const struct b2bua *b = s->call->b;
	size_t begin = tlv_begin(o, field);

	tlv_put(o, BRANCH_URI, direct_uri(br->direct));
	tlv_put(o, BRANCH_ROUTES, direct_routes(br->direct));
	tlv_put_u64(o, BRANCH_Q, br->q);
	tlv_put_u64(o, BRANCH_HOP, br->hop);
	tlv_put_u64(o, BRANCH_STATE, br->state == BRANCH_ASKING ? BRANCH_WAITING : br->state);
	tlv_put_u64(o, BRANCH_BINDING, br->binding);
	tlv_put_u64(o, BRANCH_INSTANCE, br->instance);
	tlv_put_u64(o, BRANCH_REDIRECT, br->direct->is_redirect);
	tlv_put(o, LEG_ZONE, b->conf->zones[br->direct->zone].name);
	if (br->direct->has_path) {
		tlv_put_u64(o, BRANCH_HAS_PATH, 1);
		tlv_put_u64(o, BRANCH_IS_NAMED, br->direct->is_named);
		tlv_put_u64(o, LEG_TRANSPORT, br->direct->path.transport);
		record_put_addr(o, LEG_REMOTE, &br->direct->path.remote);
	}
	if (a && a != s->attempt) {
		record_put_leg(o, BRANCH_LEG, b, a->leg);
		record_put_client(o, BRANCH_CLIENT, a->ct);
		tlv_put_u64(o, BRANCH_AHEAD, a->ahead);
		tlv_put_u64(o, BRANCH_MIN_SE, a->min_s);
		if (a->raises)
			tlv_put_u64(o, BRANCH_RAISES, a->raises);
	}
	tlv_end(o, begin);
}

void fork_put(struct tlv_out *o, uint8_t fork_field, uint8_t branch_field, const struct fork *f)
{
	uint64_t now = f->setup->call->b->p.wheel->now_ms;
	size_t begin = tlv_begin(o, fork_field);

	tlv_put_u64(o, FORK_BREADTH_LEFT, f->breadth);
	tlv_put_u64(o, FORK_SHARE, f->share);
	tlv_put_u64(o, FORK_GROUP, f->group_ms);
	tlv_put_u64(o, FORK_LEFT, f->end_ms > now ? f->end_ms - now : 1);
	tlv_put_u64(o, FORK_AOR, f->aor);
	tlv_end(o, begin);
	for (unsigned i = 0; i < f->n; i++)
		put_branch(o, branch_field, f->setup, i);
}

/* What was on its way there. */
static int live_apply(struct branch *br, const struct fields *f, uint64_t leg_id, uint8_t place)
{
	struct setup *s = br->fork->setup;
	struct b2bua *b = s->call->b;
	struct fields leg;
	struct attempt *a;
	struct leg *l;
	int err;

	if (record_fields(&leg, f->of[BRANCH_LEG]))
		return -EBADMSG;
	if (!(l = leg_new(b, s->call, leg_id)))
		return -ENOMEM;
	if ((err = record_leg(b, l, &leg)) || !(a = attempt_alloc(s, l))) {
		leg_free(b, l);
		return err ? err : -ENOMEM;
	}
	l->branch = place;
	a->direct = br->direct;
	a->next = s->attempt->next; /* the first stays the first */
	s->attempt->next = a;
	return record_attempt(a, f->of[BRANCH_CLIENT], record_number(f, BRANCH_AHEAD), record_number(f, BRANCH_RAISES),
	                      record_number(f, BRANCH_MIN_SE));
}

static struct direct *direct_apply(const struct b2bua *b, const struct fields *f, int *err)
{
	int zone = conf_find_zone(b->conf, f->of[LEG_ZONE]);
	bool has_path = record_number(f, BRANCH_HAS_PATH);
	struct path path;
	struct direct *d;

	*err = -EBADMSG;
	if (zone < 0 || (has_path && (*err = record_path(b, f, &path))))
		return NULL;
	*err = -ENOMEM;
	if ((d = direct_new((uint16_t)zone, has_path ? &path : NULL, f->of[BRANCH_URI], f->of[BRANCH_ROUTES]))) {
		d->is_redirect = record_number(f, BRANCH_REDIRECT);
		d->is_named = record_number(f, BRANCH_IS_NAMED);
		d->keeps_to = true;
	}
	return d;
}

static int branch_apply(struct fork *fork, struct sv bytes)
{
	struct setup *s = fork->setup;
	struct fields f;
	struct branch *br;
	struct direct *d;
	uint64_t state;
	int err;

	if (record_fields(&f, bytes))
		return -EBADMSG;
	if (!(d = direct_apply(s->call->b, &f, &err)))
		return err;
	if (!(br = fork_add(fork, d)))
		return -EBADMSG;
	state = record_number(&f, BRANCH_STATE);
	br->state = (uint8_t)(state == BRANCH_WAITING || state == BRANCH_SPARE ? state : BRANCH_OVER);
	br->q = (uint16_t)(record_number(&f, BRANCH_Q) < 1000 ? record_number(&f, BRANCH_Q) : 1000);
	br->hop = (uint8_t)(record_number(&f, BRANCH_HOP) < REDIRECT_HOPS_MAX ? record_number(&f, BRANCH_HOP) : REDIRECT_HOPS_MAX);
	br->binding = record_number(&f, BRANCH_BINDING);
	br->instance = record_number(&f, BRANCH_INSTANCE);
	if (state != BRANCH_LIVE)
		return 0;
	if (s->attempt->leg->branch == fork->n)
		s->attempt->direct = br->direct;
	else if ((err = live_apply(br, &f, s->attempt->leg->in_table.key, fork->n)))
		return err;
	br->state = BRANCH_LIVE;
	fork->n_live++;
	return 0;
}

static uint8_t bounded(uint64_t n, uint64_t most)
{
	return (uint8_t)(n < 1 ? 1 : n < most ? n : most);
}

int fork_apply(struct setup *s, struct sv record, struct sv bytes, uint8_t branch_field)
{
	struct fork *fork = fork_alloc(s);
	struct fields f;
	uint8_t field;
	int err;

	if (!fork)
		return -ENOMEM;
	if ((err = record_fields(&f, bytes)))
		return err;
	fork->breadth = bounded(record_number(&f, FORK_BREADTH_LEFT), FORK_BRANCHES_MAX);
	fork->aor = record_number(&f, FORK_AOR);
	fork->share = bounded(record_number(&f, FORK_SHARE), UINT8_MAX);
	fork->group_ms = (uint32_t)(record_number(&f, FORK_GROUP) < CALL_SETUP_MAX_MS ? record_number(&f, FORK_GROUP) : CALL_SETUP_MAX_MS);
	while (!err && tlv_next(&record, &field, &bytes) == 0)
		if (field == branch_field)
			err = branch_apply(fork, bytes);
	if (err || !s->attempt->direct)
		return err ? err : -EBADMSG;
	fork_wait(fork, record_number(&f, FORK_LEFT) < fork->group_ms ? record_number(&f, FORK_LEFT) : fork->group_ms);
	return 0;
}

int fork_check(const struct fork *f)
{
	const struct setup *s = f->setup;
	int err = 0;

	for (unsigned i = 0; !err && i < f->n; i++) {
		const struct attempt *a = attempt_of_place(s, i);

		err = record_side_check(s->call, a ? a->leg : s->attempt->leg, direct_uri(f->of[i].direct),
		                        direct_routes(f->of[i].direct), SV(""));
	}
	return err;
}
