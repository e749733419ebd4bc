#include "transports/resolver.h"
#include "base/hash.h"
#include "base/table.h"
#include "transports/answers.h"
#include "transports/hosts.h"
#include "transports/srv.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct counter_def resolver_counter_defs[RESOLVER_COUNTERS] = {
	[RESOLVER_ASKED] = { "dns_asked_total", "Names asked for, cached or not", 0 },
	[RESOLVER_HITS] = { "dns_hits_total", "Answered without waiting", 0 },
	[RESOLVER_JOINED] = { "dns_joined_total", "Joined to the same question already on its way", 0 },
	[RESOLVER_QUERIES] = { "dns_questions_total", "Questions to the servers", 0 },
	[RESOLVER_FOUND] = { "dns_found_total", "Names answered with addresses after waiting", 0 },
	[RESOLVER_NOT_FOUND] = { "dns_not_found_total", "Names that do not exist or have no address, after waiting", 0 },
	[RESOLVER_FAILED] = { "dns_failed_total", "Names the servers failed to answer", 0 },
	[RESOLVER_TIMED_OUT] = { "dns_timed_out_total", "Names without an answer in time", 0 },
	[RESOLVER_STALE] = { "dns_stale_total", "Names answered with an answer past its time, because the servers fail", 0 },
	[RESOLVER_REFRESHED] = { "dns_refreshed_total", "Answers in use asked for again before their time was over", 0 },
	[RESOLVER_MALFORMED] = { "dns_malformed_total", "Messages of servers that could not be read", 0 },
	[RESOLVER_REFUSED] = { "dns_refused_total", "Names refused because too many were waiting or asked for", 0 },
	[RESOLVER_REFUSED_FOREIGN] = { "dns_refused_foreign_total", "Of these, names out of messages", 0 },
	[RESOLVER_WAITING] = { "dns_waiting", "Who waits for an answer now", 1 },
	[RESOLVER_CACHED] = { "dns_cached", "Answers in the cache", 1 },
};

/* What is asked, in a form in which equal questions are equal bytes. */
struct what {
	char host[DNS_NAME_MAX + 1]; /* lower case */
	uint8_t transport;           /* T_NONE: `transports` */
	uint8_t transports;
	uint8_t family;              /* 4, 6, 0 */
	bool has_port;               /* neither NAPTR nor SRV */
};

struct search_await {
	struct await await;
	struct search *search;
};

/* Those who wait for the same. */
struct search {
	struct link by_key;
	struct real *r;
	struct what what;
	struct node waiters;
	struct timer patience;       /* RESOLVER_STALE_WAIT_MS, then the deadline */
	uint64_t deadline_ms;
	bool is_urgent;              /* it has waited for RESOLVER_STALE_WAIT_MS */
	bool is_foreign;             /* all who wait have it out of messages */
	unsigned n_awaits;
	struct search_await awaits[RESOLVER_AWAITS_MAX];
};

struct waiter {
	struct link by_id;
	struct node in_search;
	struct search *search;       /* NULL: it has ended, and tells */
	bool is_foreign;
	uint16_t port;
	void (*done)(void *ctx, int err, const struct resolve_answer *a);
	void *ctx;
};

struct real {
	struct resolver resolver;
	struct answers *answers;
	struct hosts *hosts;
	struct wheel *wheel;
	struct counters counters;
	struct hash_key key;
	uint64_t random, last_id;
	struct table searches, waiters;
	unsigned n_foreign;          /* of the waiters */
};

/* One look at what is known: what is missing is asked for. */
struct walk {
	struct real *r;
	struct search *search;       /* who wants to be told; NULL: nobody yet */
	const struct what *what;
	unsigned wishes;             /* ANSWERS_*, of all of it */
	bool is_pending, is_stale, is_refused;
	bool is_starved;             /* something could not be asked for: nobody knows whether it is there */
	int error;                   /* the worst of the addresses' */
	unsigned n;
	struct found_target target[SRV_TARGETS_MAX];
	struct addr addr[SRV_TARGETS_MAX][RESOLVE_ADDRS_MAX];
};

static struct real *real_of(struct resolver *r)
{
	return owner_of(r, struct real, resolver);
}

/* Walking (RFC 3263 §4) ------------------------------------------------------------------------------------------- */

static int get(struct walk *w, const char *name, uint16_t type, unsigned wishes, const struct dns_set **out)
{
	struct search *s = w->search;
	struct await *await = NULL;
	int err;

	if (s && s->n_awaits < RESOLVER_AWAITS_MAX)
		await = &s->awaits[s->n_awaits].await;
	err = answers_get(w->r->answers, name, type, wishes | w->wishes, out, &w->is_stale, await);
	w->is_starved |= err == -ENOBUFS;
	if (err == -EINPROGRESS) {
		w->is_pending = true;
		if (await)
			s->n_awaits++;
	}
	return err;
}

/* A failure outweighs "does not exist": with one of two answers missing nobody knows. */
static void note_error(struct walk *w, int err)
{
	if (!w->error || w->error == -ENOENT)
		w->error = err;
}

static bool wants_family(const struct walk *w, uint8_t family)
{
	return !w->what->family || w->what->family == family;
}

static void add_addr(struct walk *w, unsigned target, const struct addr *a)
{
	struct found_target *t = &w->target[target];

	if (wants_family(w, a->family) && t->n < RESOLVE_ADDRS_MAX)
		w->addr[target][t->n++] = *a;
}

static const struct host *in_hosts(const struct walk *w, const char *name)
{
	return hosts_find(w->r->hosts, name, w->r->wheel->now_ms);
}

/* The addresses of one family. */
static void add_family(struct walk *w, unsigned target, const char *host, uint16_t type)
{
	const struct dns_set *set;
	int err = get(w, host, type, w->target[target].n ? ANSWERS_OPTIONAL : 0, &set);

	for (unsigned i = 0; !err && i < set->n; i++)
		add_addr(w, target, &set->addr[i]);
	if (err != -EINPROGRESS && (err || !set->n))
		note_error(w, err ? err : -ENOENT);
}

/* One more place with its addresses, IPv4 first. */
static void add_target(struct walk *w, const char *host, const struct found_target *like)
{
	const struct host *local;
	unsigned target = w->n;

	if (target == SRV_TARGETS_MAX)
		return;
	w->target[w->n++] = *like;
	local = in_hosts(w, host);
	if (local) {
		for (unsigned i = 0; i < local->n; i++)
			add_addr(w, target, &local->addr[i]);
		return;
	}
	if (wants_family(w, 4))
		add_family(w, target, host, DNS_A);
	if (wants_family(w, 6))
		add_family(w, target, host, DNS_AAAA);
}

static void add_services(struct walk *w, const char *name, uint8_t transport, uint8_t rank)
{
	const struct dns_set *set;

	if (get(w, name, DNS_SRV, ANSWERS_OPTIONAL, &set))
		return;
	w->is_refused |= set->is_refused;
	for (unsigned i = 0; i < set->n; i++) {
		const struct dns_srv *srv = &set->srv[i];

		add_target(w, srv->host, &(struct found_target){ .priority = srv->priority, .weight = srv->weight, .port = srv->port,
		                                                 .rank = rank, .transport = transport });
	}
}

static const char *service_name(uint8_t transport)
{
	static const char *const names[T_COUNT] = {
		[T_UDP] = "_sip._udp", [T_TCP] = "_sip._tcp", [T_TLS] = "_sips._tcp",
	};

	return names[transport];
}

/* The SRV records of the host itself. */
static void add_services_of(struct walk *w, uint8_t transport, uint8_t rank)
{
	char name[DNS_NAME_MAX + 16];

	if (!service_name(transport))
		return;
	snprintf(name, sizeof(name), "%s.%s", service_name(transport), w->what->host);
	if (strlen(name) <= DNS_NAME_MAX)
		add_services(w, name, transport, rank);
}

/* Whoever has waited long does not wait for one answer before he asks for the next: at the deadline, what never answered is done
 * without. */
static bool is_hurried(const struct walk *w)
{
	return w->wishes & ANSWERS_URGENT;
}

/* §4.1: the host says in NAPTR records how it wants to be spoken to; else the SRV records it has do. */
static void choose_transport(struct walk *w)
{
	uint8_t transports = w->what->transports, rank = 0;
	const struct dns_set *set;
	int err = get(w, w->what->host, DNS_NAPTR, ANSWERS_OPTIONAL, &set);

	if (err == -ENOBUFS || (err == -EINPROGRESS && !is_hurried(w)))
		return;
	for (unsigned i = 0; !err && i < set->n; i++)
		if (transports & 1u << set->naptr[i].transport)
			add_services(w, set->naptr[i].name, set->naptr[i].transport, ++rank);
	if (rank)
		return;
	for (uint8_t t = T_UDP; t < T_COUNT; t++)
		if (transports & 1u << t)
			add_services_of(w, t, t);
}

static void walk(struct walk *w)
{
	const struct what *what = w->what;
	uint8_t transport = what->transport ? what->transport : resolve_usual_transport(what->transports);

	if (!what->has_port && !in_hosts(w, what->host)) {
		if (what->transport)
			add_services_of(w, transport, 0);
		else
			choose_transport(w);
	}
	/* §4.2: without SRV records the name itself. */
	if (w->n == 0 && (!w->is_pending || is_hurried(w)) && !w->is_refused && !w->is_starved && transport)
		add_target(w, what->host, &(struct found_target){ .transport = transport });
}

static int by_address(const void *a, const void *b)
{
	return addr_order_ip(a, b);
}

/* All of its targets that have addresses; a share for each when there are many, the same one whatever order they came in. */
static void collect(struct walk *w, struct found *f)
{
	unsigned n = 0, share, at = 0;

	*f = (struct found){ 0 };
	for (unsigned i = 0; i < w->n; i++)
		n += w->target[i].n != 0;
	share = n ? RESOLVE_ADDRS_MAX / n : 0;
	for (unsigned i = 0; i < w->n; i++) {
		struct found_target *out = &f->target[f->n];

		if (w->target[i].n == 0)
			continue;
		*out = w->target[i];
		if (out->n > share) {
			qsort(w->addr[i], out->n, sizeof(*w->addr[i]), by_address);
			out->n = (uint16_t)share;
		}
		memcpy(&f->addr[at], w->addr[i], out->n * sizeof(*f->addr));
		at += out->n;
		f->n++;
	}
}

/* What is known now. 0 with `*f`, -EINPROGRESS (`s`, if there is one, will be told), -ENOENT, or how the servers failed. With `is_last`
 * what is still missing is done without. */
static int look_up(struct real *r, const struct what *what, unsigned wishes, struct search *s, bool is_last, struct found *f)
{
	struct walk w = { .r = r, .search = s, .what = what, .wishes = wishes };

	walk(&w);
	if (w.is_pending && !is_last)
		return -EINPROGRESS;
	collect(&w, f);
	if (f->n) {
		if (w.is_stale)
			counter_inc(&r->counters, RESOLVER_STALE);
		return 0;
	}
	return w.is_pending ? -ETIMEDOUT : w.is_starved ? -ENOBUFS : w.error ? w.error : -ENOENT;
}

/* Searches and who waits for them --------------------------------------------------------------------------------- */

static void waiter_free(struct real *r, struct waiter *w)
{
	table_del(&r->waiters, &w->by_id);
	list_del(&w->in_search);
	r->n_foreign -= w->is_foreign;
	free(w);
	counter_set(&r->counters, RESOLVER_WAITING, r->waiters.count);
}

static void search_rest(struct search *s)
{
	while (s->n_awaits)
		list_del(&s->awaits[--s->n_awaits].await.in_answer);
}

static void search_free(struct search *s)
{
	struct real *r = s->r;

	search_rest(s);
	table_del(&r->searches, &s->by_key);
	wheel_disarm(r->wheel, &s->patience);
	while (!list_empty(&s->waiters))
		waiter_free(r, owner_of(s->waiters.next, struct waiter, in_search));
	free(s);
}

static void count_end(struct real *r, int err)
{
	counter_inc(&r->counters, !err ? RESOLVER_FOUND : err == -ENOENT ? RESOLVER_NOT_FOUND : err == -ETIMEDOUT ? RESOLVER_TIMED_OUT :
	                          RESOLVER_FAILED);
}

/* `done` may ask and cancel as it likes: the search is out of the table, and its list is read anew each time. */
static void search_end(struct search *s, int err, const struct found *f)
{
	struct real *r = s->r;
	struct node waiters;

	count_end(r, err);
	list_init(&waiters);
	while (!list_empty(&s->waiters)) {
		struct node *n = s->waiters.next;

		owner_of(n, struct waiter, in_search)->search = NULL;
		list_del(n);
		list_push(&waiters, n);
	}
	search_free(s);
	while (!list_empty(&waiters)) {
		struct waiter w = *owner_of(waiters.next, struct waiter, in_search);
		struct resolve_answer a = { 0 };

		waiter_free(r, owner_of(waiters.next, struct waiter, in_search));
		if (!err)
			found_order(f, w.port, &r->random, &a);
		w.done(w.ctx, err, &a);
	}
}

static unsigned search_wishes(const struct search *s)
{
	return (s->is_foreign ? ANSWERS_FOREIGN : 0) | (s->is_urgent ? ANSWERS_URGENT : 0);
}

static void search_look(struct search *s, bool is_last)
{
	struct found f;
	int err;

	search_rest(s);
	err = look_up(s->r, &s->what, search_wishes(s), s, is_last, &f);
	if (err != -EINPROGRESS)
		search_end(s, err, &f);
}

static void on_news(void *ctx, struct await *await)
{
	(void)ctx;
	search_look(owner_of(await, struct search_await, await)->search, false);
}

static void on_patience(struct timer *t)
{
	struct search *s = owner_of(t, struct search, patience);
	bool is_last = s->r->wheel->now_ms >= s->deadline_ms;

	s->is_urgent = true;
	if (!is_last)
		wheel_arm(s->r->wheel, t, s->deadline_ms);
	search_look(s, is_last);
}

static uint64_t key_of(const struct real *r, const struct what *w)
{
	return hash_bytes(&r->key, w, sizeof(*w));
}

static struct search *search_find(const struct real *r, const struct what *w, uint64_t key)
{
	for (struct link *l = table_find(&r->searches, key); l; l = table_next(&r->searches, l)) {
		struct search *s = owner_of(l, struct search, by_key);

		if (memcmp(&s->what, w, sizeof(*w)) == 0)
			return s;
	}
	return NULL;
}

static struct search *search_new(struct real *r, const struct what *w, uint64_t key)
{
	struct search *s = calloc(1, sizeof(*s));

	if (!s || table_add(&r->searches, &s->by_key, key)) {
		free(s);
		return NULL;
	}
	s->r = r;
	s->what = *w;
	s->is_foreign = true; /* until somebody waits who has it elsewhere */
	s->patience.fire = on_patience;
	s->deadline_ms = r->wheel->now_ms + RESOLVE_TIMEOUT_MS;
	list_init(&s->waiters);
	for (unsigned i = 0; i < RESOLVER_AWAITS_MAX; i++) {
		list_init(&s->awaits[i].await.in_answer);
		s->awaits[i].search = s;
	}
	wheel_arm_in(r->wheel, &s->patience, RESOLVER_STALE_WAIT_MS);
	return s;
}

static int wait_for(struct search *s, const struct waiter *like, uint64_t *id)
{
	struct real *r = s->r;
	bool is_allowed = r->waiters.count < RESOLVE_PENDING_MAX && (!like->is_foreign || r->n_foreign < RESOLVE_FOREIGN_PENDING_MAX);
	struct waiter *w = is_allowed ? malloc(sizeof(*w)) : NULL;

	if (!w)
		return -ENOBUFS;
	*w = *like;
	w->search = s;
	list_init(&w->in_search);
	if (table_add(&r->waiters, &w->by_id, ++r->last_id)) {
		free(w);
		return -ENOBUFS;
	}
	r->n_foreign += w->is_foreign;
	s->is_foreign &= w->is_foreign;
	list_push(&s->waiters, &w->in_search);
	counter_set(&r->counters, RESOLVER_WAITING, r->waiters.count);
	*id = r->last_id;
	return -EINPROGRESS;
}

/* Asking ---------------------------------------------------------------------------------------------------------- */

static uint16_t port_of(const struct resolve_query *q)
{
	return q->port ? q->port : q->default_port;
}

static int answer_numeric(const struct resolve_query *q, struct addr a, struct resolve_answer *out)
{
	uint8_t transport = q->transport ? q->transport : resolve_usual_transport(q->transports);

	if ((q->family && q->family != a.family) || !transport)
		return -ENOENT;
	a.port = port_of(q) ? port_of(q) : resolve_default_port(transport);
	*out = (struct resolve_answer){ .n = 1, .addr = { a }, .transport = { transport } };
	return 0;
}

static int read_what(struct what *w, const struct resolve_query *q)
{
	*w = (struct what){ .family = q->family, .has_port = q->port != 0, .transport = q->transport < T_COUNT ? q->transport : T_NONE };
	if (!w->transport)
		w->transports = q->transports;
	return dns_name(w->host, q->host);
}

/* It is not known yet: one waits, alone or with others. */
static int wait_with_others(struct real *r, const struct what *what, const struct waiter *like, struct resolve_answer *out, uint64_t *id)
{
	uint64_t key = key_of(r, what);
	struct search *s = search_find(r, what, key);
	struct found f;
	int err;

	if (s) {
		counter_inc(&r->counters, RESOLVER_JOINED);
		return wait_for(s, like, id);
	}
	s = search_new(r, what, key);
	if (!s)
		return -ENOBUFS;
	err = wait_for(s, like, id);
	if (err == -EINPROGRESS)
		err = look_up(r, what, search_wishes(s), s, false, &f); /* now there is somebody to be told */
	if (err == -EINPROGRESS)
		return err;
	search_free(s);
	if (!err)
		found_order(&f, like->port, &r->random, out);
	return err;
}

static int on_ask(struct resolver *resolver, const struct resolve_query *q, struct resolve_answer *out,
                  void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id)
{
	struct real *r = real_of(resolver);
	struct waiter like = { .port = port_of(q), .done = done, .ctx = ctx, .is_foreign = q->is_foreign };
	struct what what;
	struct found f;
	struct addr a;
	int err;

	if (addr_parse(&a, q->host) == 0 && a.port == 0)
		return answer_numeric(q, a, out);
	err = read_what(&what, q);
	if (err)
		return err;
	counter_inc(&r->counters, RESOLVER_ASKED);
	err = look_up(r, &what, q->is_foreign ? ANSWERS_FOREIGN : 0, NULL, false, &f);
	if (!err)
		found_order(&f, like.port, &r->random, out);
	if (err != -EINPROGRESS && err != -ENOBUFS)
		counter_inc(&r->counters, RESOLVER_HITS);
	if (err == -EINPROGRESS)
		err = wait_with_others(r, &what, &like, out, id);
	if (err == -ENOBUFS) {
		counter_inc(&r->counters, RESOLVER_REFUSED);
		counter_add(&r->counters, RESOLVER_REFUSED_FOREIGN, q->is_foreign);
	}
	return err;
}

static void on_cancel(struct resolver *resolver, uint64_t id)
{
	struct real *r = real_of(resolver);
	struct link *l = table_find(&r->waiters, id);
	struct search *s;

	if (!l)
		return;
	s = owner_of(l, struct waiter, by_id)->search;
	waiter_free(r, owner_of(l, struct waiter, by_id));
	if (s && list_empty(&s->waiters)) /* so that there are never more of them than who wait */
		search_free(s);
}

struct lister {
	void (*fn)(void *ctx, const struct resolve_entry *e);
	void *ctx;
};

static void list_host(void *ctx, const struct host *h)
{
	const struct lister *l = ctx;
	struct dns_set set = { .type = DNS_HOSTS, .n = (uint16_t)h->n };

	memcpy(set.addr, h->addr, h->n * sizeof(*h->addr));
	l->fn(l->ctx, &(struct resolve_entry){ .name = h->name, .type = DNS_HOSTS, .set = &set, .left_ms = HOSTS_LOOK_MS });
}

static void on_each(const struct resolver *resolver, void (*fn)(void *ctx, const struct resolve_entry *e), void *ctx)
{
	const struct real *r = owner_of(resolver, const struct real, resolver);

	hosts_each_used(r->hosts, list_host, &(struct lister){ fn, ctx });
	answers_each(r->answers, fn, ctx);
}

static unsigned on_forget(struct resolver *resolver, const char *name)
{
	return answers_forget(real_of(resolver)->answers, name);
}

static const struct resolver_ops ops = { .ask = on_ask, .cancel = on_cancel, .each = on_each, .forget = on_forget };

/* Life ------------------------------------------------------------------------------------------------------------ */

static int init(struct real *r, struct answers_params *p)
{
	int err = random_bytes(&r->key, sizeof(r->key));

	if (!err)
		err = random_bytes(&r->random, sizeof(r->random));
	if (!err)
		err = counters_init(&r->counters, resolver_counter_defs, RESOLVER_COUNTERS);
	if (!err)
		err = table_init(&r->searches, 0);
	if (!err)
		err = table_init(&r->waiters, 0);
	r->random |= 1; /* the generator stands still at 0 */
	if (!err)
		err = hosts_new(&r->hosts, "/etc/hosts", p->log);
	p->counters = &r->counters;
	return err ? err : answers_new(&r->answers, p);
}

static void real_freep(struct real **r)
{
	if (*r)
		resolver_free(&(*r)->resolver);
}

int resolver_new(struct resolver **out, struct poller *poller, struct wheel *wheel, const struct sv *servers,
                 unsigned n, struct log *log)
{
	SCOPED(real_freep) struct real *r = calloc(1, sizeof(*r));
	struct answers_params p = { .poller = poller, .wheel = wheel, .log = log, .servers = servers, .n_servers = n, .on_news = on_news };
	int err;

	if (!r)
		return -ENOMEM;
	r->resolver.ops = &ops;
	r->wheel = wheel;
	err = init(r, &p);
	if (err)
		return err;
	*out = &STEAL(r)->resolver;
	return 0;
}

static bool free_one(void *ctx, struct link *l)
{
	struct search *s = owner_of(l, struct search, by_key);

	search_rest(s);
	wheel_disarm(((struct real *)ctx)->wheel, &s->patience);
	while (!list_empty(&s->waiters)) {
		struct waiter *w = owner_of(s->waiters.next, struct waiter, in_search);

		list_del(&w->in_search);
		free(w);
	}
	free(s);
	return true;
}

void resolver_free(struct resolver *resolver)
{
	struct real *r;

	if (!resolver)
		return;
	r = real_of(resolver);
	if (r->answers) /* made last */
		table_each(&r->searches, free_one, r);
	answers_free(r->answers);
	hosts_free(r->hosts);
	table_fini(&r->searches);
	table_fini(&r->waiters);
	counters_fini(&r->counters);
	free(r);
}

const struct counters *resolver_counters(const struct resolver *r)
{
	return &owner_of(r, const struct real, resolver)->counters;
}
