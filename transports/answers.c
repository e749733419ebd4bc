#include "transports/answers.h"
#include "base/hash.h"
#include "base/poller.h"
#include "base/table.h"
#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CLASS_IN = 1,
	EARLY_PART = 10, /* an answer is asked for anew in the last 1/10 of its time */
	STALE_LEFT_MS = RESOLVE_TIMEOUT_MS - RESOLVER_STALE_WAIT_MS,
};

/* What is known of one name and type. */
struct answer {
	struct link by_key;
	struct node by_use;          /* oldest first; not while it is asked for: then it stays */
	struct node in_news;
	struct node awaits;
	struct answers *of;
	struct question *question;   /* under way; NULL: none, or none that is waited for any more */
	struct dns_set *set;         /* the last good one; NULL: none */
	uint64_t until_ms;           /* `set` is fresh before this */
	uint64_t early_ms;           /* from here on it is asked anew */
	uint64_t retry_ms;           /* error: the servers are not asked before this */
	int error;                   /* the last question failed; 0: it did not */
	unsigned n_flying;           /* questions that c-ares has, late ones included */
	uint16_t type;
	bool is_foreign;
	char name[];
};

/* One that c-ares has; it cannot be called back. */
struct question {
	struct answer *answer;
	bool is_foreign;             /* counts as such */
	struct timer deadline;
};

/* A socket of c-ares. */
struct io {
	struct node in_all;
	struct answers *of;
	struct watch watch;
};

struct answers {
	struct answers_params p;
	struct hash_key key;
	ares_channel channel;
	struct timer tick;
	struct node ios, news;
	struct node uses[2];         /* by is_foreign */
	struct table table;
	unsigned n_flying;
	unsigned n_foreign, n_foreign_flying; /* answers; questions */
	bool is_ending;
};

static void count(struct answers *a, enum resolver_counter which)
{
	counter_inc(a->p.counters, which);
}

static uint64_t now_of(const struct answers *a)
{
	return a->p.wheel->now_ms;
}

/* The table ------------------------------------------------------------------------------------------------------- */

static uint64_t key_of(const struct answers *a, const char *name, uint16_t type)
{
	return hash_bytes(&a->key, name, strlen(name)) ^ type * UINT64_C(0x9e3779b97f4a7c15);
}

static struct answer *answer_find(const struct answers *a, const char *name, uint16_t type)
{
	for (struct link *l = table_find(&a->table, key_of(a, name, type)); l; l = table_next(&a->table, l)) {
		struct answer *e = owner_of(l, struct answer, by_key);

		if (e->type == type && strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

static void answer_free(struct answer *e)
{
	struct answers *a = e->of;

	table_del(&a->table, &e->by_key);
	a->n_foreign -= e->is_foreign;
	list_del(&e->by_use);
	list_del(&e->in_news);
	while (!list_empty(&e->awaits))
		list_del(e->awaits.next);
	counter_set(a->p.counters, RESOLVER_CACHED, a->table.count);
	free(e->set);
	free(e);
}

static bool free_oldest(struct answers *a, bool is_foreign)
{
	struct node *uses = &a->uses[is_foreign];

	if (list_empty(uses))
		return false;
	answer_free(owner_of(uses->next, struct answer, by_use));
	return true;
}

/* Each kind makes room for itself alone, and has more answers than questions under way: the one that goes has not been used for hundreds of
 * others, and is none that somebody holds who asks for this one (answers_get). */
static bool make_room(struct answers *a, bool is_foreign)
{
	size_t max = is_foreign ? RESOLVE_FOREIGN_CACHE_MAX : RESOLVE_CACHE_MAX;

	while ((is_foreign ? a->n_foreign : a->table.count - a->n_foreign) >= max)
		if (!free_oldest(a, is_foreign))
			return false;
	return true;
}

/* NULL: memory is out, or all places are taken by what is asked for. */
static struct answer *answer_new(struct answers *a, const char *name, uint16_t type, bool is_foreign)
{
	size_t len = strlen(name) + 1;
	struct answer *e = make_room(a, is_foreign) ? calloc(1, sizeof(*e) + len) : NULL;

	if (!e)
		return NULL;
	e->of = a;
	e->type = type;
	e->is_foreign = is_foreign;
	memcpy(e->name, name, len);
	list_init(&e->by_use);
	list_init(&e->in_news);
	list_init(&e->awaits);
	if (table_add(&a->table, &e->by_key, key_of(a, name, type))) {
		free(e);
		return NULL;
	}
	a->n_foreign += is_foreign;
	list_push(&a->uses[is_foreign], &e->by_use);
	counter_set(a->p.counters, RESOLVER_CACHED, a->table.count);
	return e;
}

static void answer_used(struct answer *e)
{
	list_del(&e->by_use);
	if (!e->n_flying)
		list_push(&e->of->uses[e->is_foreign], &e->by_use);
}

/* The configuration has it, too. */
static void answer_adopt(struct answer *e)
{
	e->of->n_foreign -= e->is_foreign;
	e->is_foreign = false;
}

/* What came --------------------------------------------------------------------------------------------------------- */

static uint32_t between(uint32_t min, uint32_t ttl_s, uint32_t max)
{
	return ttl_s < min ? min : ttl_s > max ? max : ttl_s;
}

static uint32_t lifetime(const struct dns_set *s)
{
	if (s->n)
		return between(RESOLVE_TTL_MIN_S, s->ttl_s, RESOLVE_TTL_MAX_S);
	return s->ttl_s == DNS_NO_TTL ? RESOLVE_NEGATIVE_S : between(RESOLVE_TTL_MIN_S, s->ttl_s, RESOLVE_NEGATIVE_MAX_S);
}

static bool is_stale_usable(const struct answer *e, unsigned wishes)
{
	return e->set && (e->set->n || wishes & ANSWERS_OPTIONAL) && e->until_ms + 1000ull * RESOLVER_STALE_MAX_S > now_of(e->of);
}

static void tell(struct answer *e)
{
	if (list_empty(&e->in_news))
		list_push(&e->of->news, &e->in_news);
}

static void answer_fails(struct answer *e, int error)
{
	e->error = error;
	e->retry_ms = now_of(e->of) + (error == -ENOBUFS ? 0 : 1000ull * RESOLVER_RETRY_S);
	tell(e);
}

static void answer_takes(struct answer *e, const struct dns_set *set)
{
	size_t size = dns_set_size(set);
	struct dns_set *copy = malloc(size);
	uint64_t life_ms = 1000ull * lifetime(set);

	if (!copy) {
		answer_fails(e, -ENOBUFS);
		return;
	}
	memcpy(copy, set, size);
	free(e->set);
	e->set = copy;
	e->error = 0;
	e->until_ms = now_of(e->of) + life_ms;
	e->early_ms = e->until_ms - life_ms / EARLY_PART;
	tell(e);
}

/* Everybody who waits for what has come asks anew. Outside of c-ares, which does not like to be called from its own callbacks. */
static void tell_news(struct answers *a)
{
	while (!list_empty(&a->news)) {
		struct answer *e = owner_of(a->news.next, struct answer, in_news);
		struct node awaits;

		list_del(&e->in_news);
		list_init(&awaits);
		while (!list_empty(&e->awaits)) {
			struct node *n = e->awaits.next;

			list_del(n);
			list_push(&awaits, n);
		}
		while (!list_empty(&awaits)) {
			struct node *n = awaits.next;

			list_del(n);
			a->p.on_news(a->p.ctx, owner_of(n, struct await, in_answer));
		}
	}
}

/* Questions --------------------------------------------------------------------------------------------------------- */

static int errno_of(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOBUFS;
	default:
		return -EIO;
	}
}

static void question_end(struct question *q)
{
	struct answer *e = q->answer;

	wheel_disarm(e->of->p.wheel, &q->deadline);
	if (e->question == q)
		e->question = NULL;
	e->n_flying--;
	e->of->n_flying--;
	e->of->n_foreign_flying -= q->is_foreign;
	answer_used(e);
	free(q);
}

/* `bytes` are there when a server said that there is nothing, too. What comes late is no worse for that. */
static void on_response(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct question *q = arg;
	struct answer *e = q->answer;
	bool is_current = e->question == q, is_negative = status == ARES_ENODATA || status == ARES_ENOTFOUND;
	struct dns_set set;
	int err;

	(void)timeouts;
	question_end(q);
	if (status != ARES_SUCCESS && !is_negative) {
		if (is_current && !e->of->is_ending)
			answer_fails(e, errno_of(status));
		return;
	}
	err = bytes && len > 0 ? dns_parse(&set, e->type, e->name, bytes, (size_t)len) : -EBADMSG;
	if (!err) {
		answer_takes(e, &set);
		return;
	}
	count(e->of, RESOLVER_MALFORMED);
	if (is_current)
		answer_fails(e, -EIO);
}

/* Nobody waits longer for it. */
static void on_deadline(struct timer *t)
{
	struct question *q = owner_of(t, struct question, deadline);
	struct answer *e = q->answer;

	e->question = NULL;
	answer_fails(e, -ETIMEDOUT);
	tell_news(e->of);
}

static void on_tick(struct timer *t)
{
	struct answers *a = owner_of(t, struct answers, tick);

	ares_process_fd(a->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	tell_news(a);
	if (a->n_flying)
		wheel_arm_in(a->p.wheel, t, RESOLVER_TICK_MS);
}

/* It may be answered, badly, on return. 0 or -ENOBUFS. */
static int answer_ask(struct answer *e)
{
	struct answers *a = e->of;
	bool is_allowed = a->n_flying < RESOLVE_QUESTIONS_MAX && (!e->is_foreign || a->n_foreign_flying < RESOLVE_FOREIGN_QUESTIONS_MAX);
	struct question *q = is_allowed ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return -ENOBUFS;
	q->answer = e;
	q->is_foreign = e->is_foreign;
	a->n_foreign_flying += q->is_foreign;
	q->deadline.fire = on_deadline;
	e->question = q;
	e->n_flying++;
	a->n_flying++;
	list_del(&e->by_use);
	wheel_arm_in(a->p.wheel, &q->deadline, RESOLVE_TIMEOUT_MS);
	if (!timer_is_armed(&a->tick))
		wheel_arm_in(a->p.wheel, &a->tick, RESOLVER_TICK_MS);
	count(a, RESOLVER_QUERIES);
	ares_query(a->channel, e->name, CLASS_IN, e->type, on_response, q);
	return 0;
}

static int answer_give(struct answer *e, const struct dns_set **out)
{
	*out = e->set;
	return 0;
}

static int answer_give_stale(struct answer *e, const struct dns_set **out, bool *is_stale)
{
	*is_stale = true;
	return answer_give(e, out);
}

/* It has no fresh answer. RFC 8767 §5: who has waited for RESOLVER_STALE_WAIT_MS takes an old one. */
static int answer_wait(struct answer *e, unsigned wishes, const struct dns_set **out, bool *is_stale, struct await *await)
{
	uint64_t now = now_of(e->of);
	bool has_failed = e->error != 0, is_urgent = has_failed || wishes & ANSWERS_URGENT;
	int err = 0;

	if (!e->question && (!has_failed || now >= e->retry_ms))
		err = answer_ask(e);
	if (err || (!e->question && !e->error && !e->set))
		return is_stale_usable(e, wishes) ? answer_give_stale(e, out, is_stale) : -ENOBUFS;
	if (!e->question && !e->error)
		return answer_give(e, out); /* it was answered on the spot */
	if (is_stale_usable(e, wishes) && (is_urgent || !e->question || e->question->deadline.at_ms <= now + STALE_LEFT_MS))
		return answer_give_stale(e, out, is_stale);
	if (!e->question || (has_failed && wishes & ANSWERS_OPTIONAL))
		return e->error;
	if (await)
		list_push(&e->awaits, &await->in_answer);
	return -EINPROGRESS;
}

int answers_get(struct answers *a, const char *name, uint16_t type, unsigned wishes, const struct dns_set **out, bool *is_stale,
                struct await *await)
{
	struct answer *e = answer_find(a, name, type);

	if (!e && !(e = answer_new(a, name, type, wishes & ANSWERS_FOREIGN)))
		return -ENOBUFS;
	if (!(wishes & ANSWERS_FOREIGN))
		answer_adopt(e);
	answer_used(e);
	if (!e->set || now_of(a) >= e->until_ms)
		return answer_wait(e, wishes, out, is_stale, await);
	if (now_of(a) >= e->early_ms && !e->question && (!e->error || now_of(a) >= e->retry_ms)) {
		count(a, RESOLVER_REFRESHED);
		(void)answer_ask(e); /* without: it is asked when its time is over */
	}
	return answer_give(e, out);
}

/* For operators ------------------------------------------------------------------------------------------------------ */

struct lister {
	void (*fn)(void *ctx, const struct resolve_entry *e);
	void *ctx;
	uint64_t now_ms;
};

static bool list_one(void *ctx, struct link *link)
{
	const struct lister *l = ctx;
	const struct answer *e = owner_of(link, struct answer, by_key);
	struct resolve_entry row = { .name = e->name, .type = e->type, .set = e->set, .error = e->error, .is_asking = e->question != NULL };

	row.is_stale = e->set && e->until_ms <= l->now_ms;
	row.left_ms = e->set && !row.is_stale ? e->until_ms - l->now_ms : 0;
	if (e->set || e->error || e->question)
		l->fn(l->ctx, &row);
	return true;
}

void answers_each(const struct answers *a, void (*fn)(void *ctx, const struct resolve_entry *e), void *ctx)
{
	table_each(&a->table, list_one, &(struct lister){ fn, ctx, now_of(a) });
}

static unsigned forget_among(struct node *uses, const char *name)
{
	unsigned n = 0;

	list_each_safe(node, uses) {
		struct answer *e = owner_of(node, struct answer, by_use);

		if (!dns_is_below(e->name, name))
			continue;
		answer_free(e);
		n++;
	}
	return n;
}

unsigned answers_forget(struct answers *a, const char *name)
{
	return forget_among(&a->uses[false], name) + forget_among(&a->uses[true], name);
}

/* c-ares ---------------------------------------------------------------------------------------------------------- */

static void on_io(struct watch *w, unsigned what)
{
	struct answers *a = owner_of(w, struct io, watch)->of;

	wheel_look(a->p.wheel);
	ares_process_fd(a->channel, what & WATCH_READ ? w->fd : ARES_SOCKET_BAD, what & WATCH_WRITE ? w->fd : ARES_SOCKET_BAD);
	tell_news(a); /* the watch may be gone */
}

static struct io *io_find(struct answers *a, int fd)
{
	list_each(n, &a->ios)
		if (owner_of(n, struct io, in_all)->watch.fd == fd)
			return owner_of(n, struct io, in_all);
	return NULL;
}

static void io_free(struct io *io)
{
	watch_set(io->of->p.poller, &io->watch, 0);
	list_del(&io->in_all);
	free(io);
}

static struct io *io_new(struct answers *a, int fd)
{
	struct io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->of = a;
	io->watch = (struct watch){ on_io, fd, 0 };
	list_push(&a->ios, &io->in_all);
	return io;
}

/* c-ares tells what it waits for. Without memory for it the question runs into its deadline. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct answers *a = arg;
	struct io *io = io_find(a, fd);
	unsigned what = (readable ? WATCH_READ : 0u) | (writable ? WATCH_WRITE : 0u);
	int err;

	if (!what) {
		if (io)
			io_free(io);
		return;
	}
	if (!io)
		io = io_new(a, fd);
	if (!io)
		return;
	if ((err = watch_set(a->p.poller, &io->watch, what)))
		log_warn(a->p.log, "dns.event", "error=%s", strerror(-err));
}

static int add_server(struct ares_addr_port_node *node, struct sv text)
{
	struct addr a;

	if (addr_parse(&a, text))
		return -EBADMSG;
	node->family = a.family == 4 ? AF_INET : AF_INET6;
	if (a.family == 4)
		memcpy(&node->addr.addr4, a.ip, 4);
	else
		memcpy(&node->addr.addr6, a.ip, 16);
	node->udp_port = node->tcp_port = a.port;
	return 0;
}

static void free_nodesp(struct ares_addr_port_node **nodes)
{
	free(*nodes);
}

static int set_servers(struct answers *a)
{
	unsigned n = a->p.n_servers;
	SCOPED(free_nodesp) struct ares_addr_port_node *nodes = n ? calloc(n, sizeof(*nodes)) : NULL;

	if (n == 0)
		return 0;
	if (!nodes)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		int err = add_server(&nodes[i], a->p.servers[i]);

		if (err)
			return err;
		nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
	}
	return ares_set_servers_ports(a->channel, nodes) == ARES_SUCCESS ? 0 : -ENOMEM;
}

static int start_ares(struct answers *a)
{
	struct ares_options o = { .timeout = RESOLVER_TRY_MS, .tries = RESOLVER_TRIES, .ndomains = 0, .lookups = "fb",
	                          .sock_state_cb = on_socket, .sock_state_cb_data = a };
	int status = ares_init_options(&a->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
	                               ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);

	if (status == ARES_SUCCESS)
		return 0;
	a->channel = NULL;
	return status == ARES_ENOMEM ? -ENOMEM : -EIO;
}

static void answers_freep(struct answers **a)
{
	answers_free(*a);
}

int answers_new(struct answers **out, const struct answers_params *p)
{
	SCOPED(answers_freep) struct answers *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->p = *p;
	a->tick.fire = on_tick;
	list_init(&a->ios);
	list_init(&a->uses[false]);
	list_init(&a->uses[true]);
	list_init(&a->news);
	if ((err = random_bytes(&a->key, sizeof(a->key))) || (err = table_init(&a->table, 0)) || (err = start_ares(a)) ||
	    (err = set_servers(a)))
		return err;
	*out = STEAL(a);
	return 0;
}

/* c-ares calls back for all that is under way, so that every answer ends among those that can be freed. */
void answers_free(struct answers *a)
{
	if (!a)
		return;
	a->is_ending = true;
	if (a->channel)
		ares_destroy(a->channel);
	while (free_oldest(a, true) || free_oldest(a, false))
		;
	while (!list_empty(&a->ios))
		io_free(owner_of(a->ios.next, struct io, in_all));
	wheel_disarm(a->p.wheel, &a->tick);
	table_fini(&a->table);
	free(a);
}
