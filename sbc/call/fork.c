/* sbc/call/fork.c - which branches of a fork are begun, and when; what becomes of the others when one of them ends. What comes back for
 * each is answer.c, as for any attempt. */
#include "sbc/call/fork.h"
#include "sbc/call/locate.h"
#include <errno.h>
#include <stdlib.h>

static void branch_begin(struct branch *br, const struct view *v);

static struct b2bua *b2bua_of(const struct fork *f)
{
	return f->setup->call->b;
}

static struct branch *branch_of(const struct attempt *a)
{
	return &a->setup->fork->of[a->leg->branch - 1];
}

static bool has_any(const struct fork *f, enum branch_state state)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->of[i].state == state)
			return true;
	return false;
}

/* It is in none of the lists of those under way any more. */
static void branch_end(struct branch *br)
{
	struct fork *f = br->fork;

	if (br->state == BRANCH_ASKING) {
		resolve_cancel(b2bua_of(f)->p.resolver, br->resolve_id);
		park_cancel(&br->parked);
	}
	f->n_live -= br->state == BRANCH_ASKING || br->state == BRANCH_LIVE;
	br->state = BRANCH_OVER;
}

/* Its early dialogs end with it: nobody there hears of them any more. */
static void branch_leave(struct attempt *a)
{
	struct branch *br = branch_of(a);

	dialogs_free_of(a->setup->call, a->leg);
	attempt_leave(a);
	branch_end(br);
}

/* Spares --------------------------------------------------------------------------------------------------------- */

static struct branch *spare_of(const struct branch *br)
{
	struct fork *f = br->fork;

	for (unsigned i = 0; br->instance && i < f->n; i++)
		if (f->of[i].state == BRANCH_SPARE && f->of[i].instance == br->instance)
			return &f->of[i];
	return NULL;
}

/* RFC 5626 §5.3: a phone is asked over one of its flows at a time; over the next when that one turned out to be dead. */
static void branch_was_dead(struct branch *br, const struct view *v)
{
	struct branch *spare = spare_of(br);

	if (spare)
		branch_begin(spare, v);
}

static void branch_has_spoken(const struct branch *br)
{
	for (struct branch *spare = spare_of(br); spare; spare = spare_of(br))
		spare->state = BRANCH_OVER;
}

/* Beginning ------------------------------------------------------------------------------------------------------ */

static void group_watch(struct fork *f);

static int branch_send(struct branch *br, const struct view *v, const struct path *path)
{
	struct fork *f = br->fork;
	int err = attempt_begin(f->setup, v, path, br->direct, (uint8_t)(br - f->of + 1));

	if (err)
		return err;
	if (br->binding)
		leg_tie(b2bua_of(f), f->setup->attempt->leg, f->aor, br->binding);
	br->state = BRANCH_LIVE;
	f->n_live++;
	return 0;
}

/* To the `i`th of its addresses. */
static int branch_path(const struct branch *br, const struct resolve_answer *a, unsigned i, struct path *path)
{
	int err = path_to_answer(b2bua_of(br->fork), path, br->direct->zone, a, i);

	if (!err)
		path_expect_direct(b2bua_of(br->fork), path, br->direct);
	return err;
}

/* The other addresses of its name are spares, as other flows of a phone are (RFC 3263 §4.3). Those without room or memory are left out. */
static void add_addresses(struct branch *br, const struct resolve_answer *a, unsigned from)
{
	struct fork *f = br->fork;

	for (unsigned i = from; i < a->n; i++) {
		struct direct *d;
		struct branch *spare;
		struct path path;

		if (branch_path(br, a, i, &path) ||
		    !(d = direct_new(br->direct->zone, &path, direct_uri(br->direct), direct_routes(br->direct))))
			continue;
		d->is_named = true;
		d->is_redirect = br->direct->is_redirect;
		d->keeps_to = br->direct->keeps_to;
		if (!(spare = fork_add(f, d)))
			return;
		if (!br->instance)
			br->instance = (uint64_t)(br - f->of) + 1; /* so small a number is no phone's */
		spare->instance = br->instance;
		spare->binding = br->binding;
		spare->q = br->q;
		spare->hop = br->hop;
		spare->state = BRANCH_SPARE;
	}
}

/* To the first of its addresses that will do. */
static int branch_at(struct branch *br, const struct view *v, const struct resolve_answer *a)
{
	struct b2bua *b = b2bua_of(br->fork);
	struct setup *s = br->fork->setup;
	struct path path;

	s->why = WHY_UNREACHABLE;
	for (unsigned i = 0; i < a->n; i++) {
		if (redirect_is_loop(b->conf, br->direct, &a->addr[i])) {
			counter_inc(&b->counters, REDIRECTS_REFUSED);
			s->why = WHY_REDIRECT_LOOP;
		} else if (branch_path(br, a, i, &path) == 0 && branch_send(br, v, &path) == 0) {
			add_addresses(br, a, i + 1);
			if (!timer_is_armed(&br->fork->timer))
				group_watch(br->fork);
			return 0;
		}
	}
	return -ENETUNREACH;
}

/* Resumed with its name, or without. */
static void branch_resume(struct branch *br, const struct resolve_answer *a)
{
	struct setup *s = br->fork->setup;
	struct view_fault fault;
	struct view v;

	br->fork->n_live--;
	br->state = BRANCH_OVER;
	s->why = WHY_NO_NAME;
	if (!a || view_scan(&v, s->request->data, s->request->len, false, &fault) || branch_at(br, &v, a))
		fork_dial(s, NULL);
}

static void branch_woken(struct parked *job, int result)
{
	struct branch *br = owner_of(job, struct branch, parked);

	(void)result; /* the deadline came first, or the worker ends */
	resolve_cancel(b2bua_of(br->fork)->p.resolver, br->resolve_id);
	branch_resume(br, NULL);
}

static void branch_named(void *ctx, int err, const struct resolve_answer *a)
{
	struct branch *br = ctx;

	park_cancel(&br->parked);
	branch_resume(br, err || !a->n ? NULL : a);
}

/* Where a redirection leads is a name, perhaps: then the branch waits for it in the park (DECISIONS 20). */
static int branch_ask(struct branch *br, const struct view *v)
{
	struct b2bua *b = b2bua_of(br->fork);
	struct setup *s = br->fork->setup;
	struct leg probe = { .side = FAR };
	struct resolve_query q;
	struct resolve_answer a;
	int err;

	s->why = WHY_BAD_URI;
	if (next_hop(&probe, direct_uri(br->direct), direct_routes(br->direct), &q))
		return -EBADMSG;
	s->why = WHY_NO_NAME;
	if (!q.host.len)
		return -ENOENT;
	err = hop_resolve(b, br->direct->zone, &q, &a, branch_named, br, &br->resolve_id);
	if (err == 0 && a.n)
		return branch_at(br, v, &a);
	s->why = WHY_NO_NAME;
	if (err != -EINPROGRESS)
		return -ENOENT;
	if (park(b->p.park, &br->parked, b->p.wheel->now_ms + CALL_RESOLVE_MS, branch_woken)) {
		resolve_cancel(b->p.resolver, br->resolve_id);
		return -ENOBUFS;
	}
	br->state = BRANCH_ASKING;
	br->fork->n_live++;
	return 0;
}

/* What cannot be sent is over: the others go on. */
static void branch_begin(struct branch *br, const struct view *v)
{
	br->state = BRANCH_OVER;
	if (br->direct->has_path ? branch_send(br, v, &br->direct->path) : branch_ask(br, v))
		branch_was_dead(br, v);
}

static int best_q(const struct fork *f)
{
	int best = -1;

	for (unsigned i = 0; i < f->n; i++)
		if (f->of[i].state == BRANCH_WAITING && f->of[i].q > best)
			best = f->of[i].q;
	return best;
}

/* Its time begins, and that of its first word. */
static void group_watch(struct fork *f)
{
	struct wheel *w = b2bua_of(f)->p.wheel;

	f->end_ms = w->now_ms + f->group_ms;
	if (has_any(f, BRANCH_WAITING) || has_any(f, BRANCH_SPARE))
		wheel_arm_in(w, &f->timer, FORK_SILENT_MS < f->group_ms ? FORK_SILENT_MS : f->group_ms);
	else
		wheel_disarm(w, &f->timer);
}

/* Those of the highest q, as many as may be at once. False: none is left. */
static bool group_begin(struct fork *f, const struct view *v)
{
	int q = best_q(f);

	for (unsigned i = 0; i < f->n && f->n_live < f->breadth; i++)
		if (f->of[i].state == BRANCH_WAITING && f->of[i].q == q)
			branch_begin(&f->of[i], v);
	group_watch(f);
	return q >= 0;
}

void fork_dial(struct setup *s, const struct view *v)
{
	struct fork *f = s->fork;
	struct view_fault fault;
	struct view again;

	if (f->n_live)
		return;
	if (!v && view_scan(&again, s->request->data, s->request->len, false, &fault)) {
		setup_fail(s);
		return;
	}
	while (!f->n_live && group_begin(f, v ? v : &again))
		;
	if (f->n_live)
		return;
	if (s->why == WHY_UNREACHABLE)
		s->why = WHY_FLOW_LOST;
	setup_fail(s);
}

/* Ending --------------------------------------------------------------------------------------------------------- */

static bool is_dead(unsigned status)
{
	return status == 408 || status == 430;
}

/* Contacts of the 3xx that has just ended a branch: its place is theirs. */
static void redirects_begin(struct fork *f, const struct view *v)
{
	for (unsigned i = 0; i < f->n; i++) {
		bool is_next = f->of[i].is_next;

		f->of[i].is_next = false;
		if (is_next && f->of[i].state == BRANCH_WAITING && f->n_live < f->breadth)
			branch_begin(&f->of[i], v);
	}
}

/* What follows the end of one branch, before the next group. */
static void branch_succeed(struct branch *br, bool was_dead)
{
	struct fork *f = br->fork;
	struct setup *s = f->setup;
	struct view_fault fault;
	struct view v;

	if (!was_dead)
		branch_has_spoken(br);
	if (view_scan(&v, s->request->data, s->request->len, false, &fault) == 0) {
		branch_was_dead(br, &v);
		redirects_begin(f, &v);
	}
	fork_dial(s, NULL);
}

/* 503 says that this address cannot, not that nobody can. */
static bool has_address(const struct branch *br)
{
	const struct branch *spare = spare_of(br);

	return spare && spare->direct->is_named;
}

void fork_final(struct attempt *a, unsigned status)
{
	struct setup *s = a->setup;
	struct branch *br = branch_of(a);
	bool was_dead = is_dead(status) || (status == 503 && has_address(br));

	branch_leave(a);
	attempt_drop(a);
	if (status >= 600) /* §16.7 step 5: everybody's word */
		setup_fail(s);
	else
		branch_succeed(br, was_dead);
}

void fork_given_up(struct attempt *a)
{
	struct branch *br = branch_of(a);
	bool was_dead = !a->has_response;

	branch_leave(a);
	attempt_abandon(a);
	branch_succeed(br, was_dead);
}

/* Silent ones are asked over their other flows. */
static bool silent_replaced(struct fork *f, const struct view *v)
{
	struct setup *s = f->setup;
	bool is_any = false;

	for (struct attempt *a = s->attempt, *next; a; a = next) {
		struct branch *br = branch_of(a);

		next = a->next;
		if (a->has_response || !spare_of(br))
			continue;
		branch_leave(a);
		attempt_abandon(a);
		branch_was_dead(br, v); /* what it begins is before `next` */
		is_any = true;
	}
	return is_any;
}

static bool is_heard(const struct setup *s)
{
	for (const struct attempt *a = s->attempt; a; a = a->next)
		if (a->has_response)
			return true;
	return false;
}

static void group_end(struct fork *f)
{
	struct setup *s = f->setup;

	s->why = is_heard(s) ? WHY_RING_TIMEOUT : WHY_TIMEOUT;
	while (s->attempt) {
		struct attempt *a = s->attempt;

		branch_leave(a);
		attempt_abandon(a);
	}
	for (unsigned i = 0; i < f->n; i++)
		if (f->of[i].state == BRANCH_ASKING || f->of[i].state == BRANCH_SPARE)
			branch_end(&f->of[i]);
	fork_dial(s, NULL);
}

static void fork_fire(struct timer *t)
{
	struct fork *f = owner_of(t, struct fork, timer);
	struct setup *s = f->setup;
	struct wheel *w = b2bua_of(f)->p.wheel;
	struct view_fault fault;
	struct view v;

	if (view_scan(&v, s->request->data, s->request->len, false, &fault) == 0 && silent_replaced(f, &v)) {
		wheel_arm_in(w, &f->timer, FORK_SILENT_MS);
		return;
	}
	if (!has_any(f, BRANCH_WAITING))
		return;
	if (is_heard(s) && w->now_ms < f->end_ms)
		wheel_arm(w, &f->timer, f->end_ms);
	else
		group_end(f);
}

bool fork_redirected(struct attempt *a, const struct view *v)
{
	struct branch *br = branch_of(a), *more;
	struct direct *d;
	int best = -1;
	uint16_t q;
	uint8_t hop;

	if (!redirect_begin(a->setup, br->hop, direct_uri(br->direct)) || !redirect_take(a, v))
		return false;
	while ((d = redirect_pop(a->setup, &q, &hop))) {
		if (!(more = fork_add(br->fork, d))) {
			counter_inc(&a->b->counters, REDIRECTS_REFUSED);
			continue;
		}
		more->q = q;
		more->hop = hop;
		more->is_next = best < 0 || q == best; /* they come best first */
		best = best < 0 ? q : best;
	}
	return true;
}

unsigned fork_rank(unsigned status)
{
	switch (status) {
	case 401: case 407:
		return 2;
	case 415: case 420: case 484:
		return 3;
	case 408: case 480: case 481: case 487:
		return 5; /* of one phone, not of who is called */
	default:
		return status < 400 ? 1 : status < 500 ? 4 : 6;
	}
}

/* Life ----------------------------------------------------------------------------------------------------------- */

void fork_lines(struct compose *c, const struct fork *f)
{
	out_lit(&c->o, "Max-Breadth: ");
	out_u64(&c->o, f->share);
	out_lit(&c->o, "\r\n");
}

struct fork *fork_alloc(struct setup *s)
{
	struct fork *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->setup = s;
	f->timer.fire = fork_fire;
	f->group_ms = FORK_GROUP_MS;
	f->breadth = f->share = 1;
	s->fork = f;
	return f;
}

struct branch *fork_add(struct fork *f, struct direct *direct)
{
	struct branch *br = f->n < FORK_BRANCHES_MAX && direct ? &f->of[f->n++] : NULL;

	if (!br) {
		free(direct);
		return NULL;
	}
	*br = (struct branch){ .fork = f, .direct = direct, .state = BRANCH_WAITING };
	return br;
}

static int target_add(struct fork *f, const struct located_target *t)
{
	struct direct *d = direct_new(path_zone(b2bua_of(f), &t->path), &t->path, t->uri, t->routes);
	struct branch *br;

	if (d)
		d->keeps_to = true;
	if (!(br = fork_add(f, d)))
		return -ENOMEM;
	br->q = t->q;
	br->binding = t->binding;
	for (unsigned i = 0; t->instance && i + 1 < f->n; i++)
		if (f->of[i].instance == t->instance)
			br->state = BRANCH_SPARE;
	br->instance = t->instance;
	return 0;
}

/* RFC 5393 §5.3.3: what the request may fork into, here and beyond, is divided among the branches. */
static bool breadth_read(struct fork *f, const struct view *v)
{
	struct sv value = view_value(v, HDR_MAX_BREADTH);
	unsigned most = f->setup->follows ? FORK_BRANCHES_MAX : f->n;
	uint64_t n = FORK_BREADTH;

	if (value.p && sv_u64(sv_trim(value), UINT8_MAX, &n))
		n = FORK_BREADTH;
	if (!n)
		return false;
	f->breadth = (uint8_t)(n < most ? n : most);
	f->share = (uint8_t)(n / f->breadth);
	return true;
}

int fork_new(struct setup *s, const struct located *to, const struct view *v)
{
	struct fork *f = to->n ? fork_alloc(s) : NULL;
	int err = 0;

	if (!f)
		return to->n ? -ENOMEM : -ENOENT;
	f->aor = to->callee.key;
	if (s->rule && s->rule->answer_timeout_ms)
		f->group_ms = s->rule->answer_timeout_ms;
	for (unsigned i = 0; !err && i < to->n; i++)
		err = target_add(f, &to->target[i]);
	return err ? err : breadth_read(f, v) ? 0 : -E2BIG;
}

void fork_free(struct fork *f)
{
	if (!f)
		return;
	wheel_disarm(b2bua_of(f)->p.wheel, &f->timer);
	for (unsigned i = 0; i < f->n; i++) {
		branch_end(&f->of[i]);
		free(f->of[i].direct);
	}
	f->setup->fork = NULL;
	free(f);
}

void fork_wait(struct fork *f, uint64_t ms)
{
	struct wheel *w = b2bua_of(f)->p.wheel;

	f->end_ms = w->now_ms + ms;
	if (has_any(f, BRANCH_WAITING) || has_any(f, BRANCH_SPARE))
		wheel_arm(w, &f->timer, f->end_ms);
}
