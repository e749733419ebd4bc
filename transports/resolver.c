#include "transports/resolver.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/poller.h"
#include "base/table.h"
#include "transports/net.h"
#include "transports/srv.h"
#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

const struct counter_def resolver_counter_defs[RESOLVER_COUNTERS] = {
	[RESOLVER_ASKED] = { "dns_asked_total", "Names asked for, cached or not", 0 },
	[RESOLVER_HITS] = { "dns_hits_total", "Answered from the cache", 0 },
	[RESOLVER_JOINED] = { "dns_joined_total", "Joined to the same question already on its way", 0 },
	[RESOLVER_QUERIES] = { "dns_questions_total", "Questions to the servers", 0 },
	[RESOLVER_FOUND] = { "dns_found_total", "Questions answered with addresses", 0 },
	[RESOLVER_NOT_FOUND] = { "dns_not_found_total", "Names that do not exist or have no address", 0 },
	[RESOLVER_FAILED] = { "dns_failed_total", "Questions the servers failed to answer", 0 },
	[RESOLVER_TIMED_OUT] = { "dns_timed_out_total", "Questions without an answer in time", 0 },
	[RESOLVER_STALE] = { "dns_stale_total", "Failures bridged with an answer past its time", 0 },
	[RESOLVER_REFUSED] = { "dns_refused_total", "Questions refused because too many were waiting", 0 },
	[RESOLVER_WAITING] = { "dns_waiting", "Who waits for an answer now", 1 },
	[RESOLVER_CACHED] = { "dns_cached", "Names in the cache", 1 },
};

/* What is asked, in a form in which equal questions are equal bytes. */
struct what {
	char host[SRV_NAME_MAX + 1]; /* lower case */
	uint8_t service;             /* enum transport whose SRV is asked first, or T_NONE */
	uint8_t family;              /* 4, 6, 0 */
};

struct entry {
	struct link by_key;
	struct node by_use;          /* oldest first */
	struct what what;
	struct found found;
	int error;                   /* 0: found */
	uint64_t until_ms;           /* fresh before this */
	uint64_t good_until_ms;      /* `found` may bridge failures before this */
};

struct question;
struct target {                      /* one name whose addresses are asked for */
	struct question *q;
	struct found_target of;
	struct addr addr[RESOLVE_ADDRS_MAX];
};

struct question {
	struct link by_key;
	struct node in_list;         /* of the resolver's finished ones, once it is */
	struct real *r;
	struct what what;
	struct node waiters;
	struct timer deadline;
	unsigned pending;            /* answers of c-ares still to come */
	bool is_finished, is_listed; /* listed: others may still join */
	int error;                   /* the worst so far */
	uint32_t ttl_s;
	unsigned n;
	struct target target[SRV_TARGETS_MAX];
};

struct waiter {
	struct link by_id;
	struct node in_question;
	uint16_t port;
	void (*done)(void *ctx, int err, const struct resolve_answer *a);
	void *ctx;
};

/* A socket of c-ares. */
struct io {
	struct node in_resolver;
	struct real *r;
	struct watch watch;
};

struct real {
	struct resolver resolver;
	struct poller *poller;
	struct wheel *wheel;
	struct log *log;
	struct counters counters;
	struct hash_key key;
	uint64_t random, last_id;
	ares_channel channel;
	struct timer tick;
	struct node ios, finished, uses;
	struct table questions, entries, waiters;
	size_t n_questions;
};

static struct real *real_of(struct resolver *r)
{
	return owner_of(r, struct real, resolver);
}

/* Names ----------------------------------------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of 1 to 63 bytes, 253 in all; a last dot is dropped. */
static int read_host(struct what *w, struct sv host)
{
	size_t label = 0;

	if (host.len && host.p[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > SRV_NAME_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < host.len; i++) {
		char c = host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] | 0x20 : host.p[i];

		if (c == '.' ? label == 0 : !is_name_byte(c))
			return -EBADMSG;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return -EBADMSG;
		w->host[i] = c;
	}
	return label ? 0 : -EBADMSG;
}

static const char *service_name(uint8_t transport)
{
	static const char *const names[T_COUNT] = {
		[T_UDP] = "_sip._udp", [T_TCP] = "_sip._tcp", [T_TLS] = "_sips._tcp",
	};

	return transport < T_COUNT ? names[transport] : NULL;
}

static int read_what(struct what *w, const struct resolve_query *q)
{
	*w = (struct what){ .family = q->family };
	if (q->port == 0 && service_name(q->transport))
		w->service = q->transport;
	return read_host(w, q->host);
}

static uint64_t key_of(const struct real *r, const struct what *w)
{
	return hash_bytes(&r->key, w, sizeof *w);
}

static uint16_t port_of(const struct resolve_query *q)
{
	return q->port ? q->port : q->default_port;
}

/* The cache ------------------------------------------------------------------------------------------------------- */

static struct entry *entry_find(const struct real *r, const struct what *w, uint64_t key)
{
	for (struct link *l = table_find(&r->entries, key); l; l = table_next(&r->entries, l)) {
		struct entry *e = owner_of(l, struct entry, by_key);

		if (memcmp(&e->what, w, sizeof *w) == 0)
			return e;
	}
	return NULL;
}

static void entry_free(struct real *r, struct entry *e)
{
	table_del(&r->entries, &e->by_key);
	list_del(&e->by_use);
	free(e);
	counter_set(&r->counters, RESOLVER_CACHED, r->entries.count);
}

/* NULL when memory is out: then nothing is remembered. */
static struct entry *entry_get(struct real *r, const struct what *w)
{
	uint64_t key = key_of(r, w);
	struct entry *e = entry_find(r, w, key);

	if (e)
		return e;
	if (r->entries.count >= RESOLVE_CACHE_MAX)
		entry_free(r, owner_of(r->uses.next, struct entry, by_use));
	e = calloc(1, sizeof *e);
	if (!e || table_add(&r->entries, &e->by_key, key)) {
		free(e);
		return NULL;
	}
	e->what = *w;
	list_push(&r->uses, &e->by_use);
	counter_set(&r->counters, RESOLVER_CACHED, r->entries.count);
	return e;
}

static uint64_t in_seconds(const struct real *r, uint32_t s)
{
	return r->wheel->now_ms + 1000ull * s;
}

static uint32_t bounded_ttl(uint32_t ttl_s)
{
	if (ttl_s < RESOLVE_TTL_MIN_S)
		return RESOLVE_TTL_MIN_S;
	return ttl_s > RESOLVE_TTL_MAX_S ? RESOLVE_TTL_MAX_S : ttl_s;
}

static void remember_found(struct real *r, const struct what *w, const struct found *f, uint32_t ttl_s)
{
	struct entry *e = entry_get(r, w);

	if (!e)
		return;
	e->error = 0;
	e->found = *f;
	e->until_ms = in_seconds(r, bounded_ttl(ttl_s));
	e->good_until_ms = e->until_ms + 1000ull * RESOLVER_STALE_MAX_S;
}

static void remember_not_found(struct real *r, const struct what *w)
{
	struct entry *e = entry_get(r, w);

	if (!e)
		return;
	e->error = -ENOENT;
	e->until_ms = in_seconds(r, RESOLVE_NEGATIVE_S);
	e->good_until_ms = 0;
}

/* RFC 8767: a failure of the servers does not take away what they said before. 0 with `*f`, or `error`. */
static int remember_failed(struct real *r, const struct what *w, int error, struct found *f)
{
	struct entry *e = entry_get(r, w);

	if (!e)
		return error;
	e->until_ms = in_seconds(r, RESOLVER_RETRY_S);
	e->error = e->good_until_ms > r->wheel->now_ms ? 0 : error;
	if (e->error)
		return error;
	counter_inc(&r->counters, RESOLVER_STALE);
	*f = e->found;
	return 0;
}

/* Waiters and questions ------------------------------------------------------------------------------------------- */

static void waiter_free(struct real *r, struct waiter *w)
{
	table_del(&r->waiters, &w->by_id);
	list_del(&w->in_question);
	free(w);
	counter_set(&r->counters, RESOLVER_WAITING, r->waiters.count);
}

/* `done` may ask and cancel as it likes: the list is read anew each time. */
static void answer_all(struct question *q, int err, const struct found *f)
{
	struct real *r = q->r;

	while (!list_empty(&q->waiters)) {
		struct waiter w = *owner_of(q->waiters.next, struct waiter, in_question);
		struct resolve_answer a = { 0 };

		waiter_free(r, owner_of(q->waiters.next, struct waiter, in_question));
		if (!err)
			found_order(f, w.port, &r->random, &a);
		w.done(w.ctx, err, &a);
	}
}

static void unlist(struct question *q)
{
	if (q->is_listed)
		table_del(&q->r->questions, &q->by_key);
	q->is_listed = false;
	wheel_disarm(q->r->wheel, &q->deadline);
}

static void question_free(struct question *q)
{
	struct real *r = q->r;

	unlist(q);
	while (!list_empty(&q->waiters))
		waiter_free(r, owner_of(q->waiters.next, struct waiter, in_question));
	list_del(&q->in_list);
	free(q);
	r->n_questions--;
}

/* Nobody waits longer; c-ares cannot forget one question, so this one stays until it has been called back. */
static void on_deadline(struct timer *t)
{
	struct question *q = owner_of(t, struct question, deadline);
	struct found f;
	int err = remember_failed(q->r, &q->what, -ETIMEDOUT, &f);

	counter_inc(&q->r->counters, RESOLVER_TIMED_OUT);
	unlist(q);
	answer_all(q, err, &f);
}

/* All of its targets, IPv4 first within each; a share for each when there are many. */
static void collect(const struct question *q, struct found *f)
{
	unsigned share = q->n ? RESOLVE_ADDRS_MAX / q->n : 0, at = 0;

	*f = (struct found){ 0 };
	for (unsigned i = 0; i < q->n; i++) {
		const struct target *t = &q->target[i];
		struct found_target *out = &f->target[f->n];

		if (t->of.n == 0)
			continue;
		*out = t->of;
		out->n = t->of.n < share ? t->of.n : (uint16_t)share;
		memcpy(&f->addr[at], t->addr, out->n * sizeof *t->addr);
		at += out->n;
		f->n++;
	}
}

/* What is known now that c-ares has said all. 0 with `*f`, or a negative error. */
static int conclude(struct question *q, struct found *f)
{
	struct real *r = q->r;

	collect(q, f);
	if (f->n) {
		counter_inc(&r->counters, RESOLVER_FOUND);
		remember_found(r, &q->what, f, q->ttl_s);
		return 0;
	}
	if (!q->error || q->error == -ENOENT) {
		counter_inc(&r->counters, RESOLVER_NOT_FOUND);
		remember_not_found(r, &q->what);
		return -ENOENT;
	}
	if (!q->is_listed)
		return q->error; /* its deadline has said so already */
	counter_inc(&r->counters, RESOLVER_FAILED);
	return remember_failed(r, &q->what, q->error, f);
}

/* Outside of c-ares, which does not like to be called from its own callbacks. */
static void answer_finished(struct real *r)
{
	while (!list_empty(&r->finished)) {
		struct question *q = owner_of(r->finished.next, struct question, in_list);
		struct found f;
		int err;

		list_del(&q->in_list);
		err = conclude(q, &f);
		unlist(q);
		answer_all(q, err, &f);
		question_free(q);
	}
}

/* c-ares ---------------------------------------------------------------------------------------------------------- */

static int errno_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* A failure outweighs "does not exist": with one of two answers missing nobody knows. */
static void note_error(struct question *q, int err)
{
	if (!q->error || q->error == -ENOENT)
		q->error = err;
}

static void note_ttl(struct question *q, int ttl_s)
{
	if (ttl_s >= 0 && (uint32_t)ttl_s < q->ttl_s)
		q->ttl_s = (uint32_t)ttl_s;
}

static void one_less(struct question *q)
{
	if (--q->pending > 0)
		return;
	q->is_finished = true;
	list_push(&q->r->finished, &q->in_list);
}

static void take_family(struct target *t, const struct ares_addrinfo *res, int family)
{
	for (const struct ares_addrinfo_node *n = res->nodes; n && t->of.n < RESOLVE_ADDRS_MAX; n = n->ai_next) {
		struct addr a;
		bool is_known = false;

		if (n->ai_family != family || addr_from_sockaddr(&a, n->ai_addr))
			continue;
		a.port = 0;
		note_ttl(t->q, n->ai_ttl);
		for (unsigned i = 0; i < t->of.n; i++)
			is_known = is_known || addr_eq_ip(&t->addr[i], &a);
		if (!is_known)
			t->addr[t->of.n++] = a;
	}
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
	struct target *t = arg;

	(void)timeouts;
	if (status == ARES_SUCCESS && res) {
		take_family(t, res, AF_INET);
		take_family(t, res, AF_INET6);
	}
	if (t->of.n == 0)
		note_error(t->q, errno_of(status));
	if (res)
		ares_freeaddrinfo(res);
	one_less(t->q);
}

static int af_of(uint8_t family)
{
	return family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
}

static void ask_addresses(struct question *q, const char *host, struct found_target of)
{
	struct ares_addrinfo_hints hints = { .ai_family = af_of(q->what.family), .ai_flags = ARES_AI_NOSORT };
	struct target *t = &q->target[q->n++];

	t->q = q;
	t->of = of;
	q->pending++;
	counter_inc(&q->r->counters, RESOLVER_QUERIES);
	ares_getaddrinfo(q->r->channel, host, NULL, &hints, on_addresses, t);
}

/* RFC 3263 §4.2: without SRV records the name itself. Servers that refuse or drop SRV questions are given the same
 * chance. A target of "." is an answer: there is no such service (RFC 2782). */
static void on_srv(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct question *q = arg;
	struct srv_answer a = { 0 };
	bool is_alive = status != ARES_EDESTRUCTION && status != ARES_ECANCELLED;

	(void)timeouts;
	if (status == ARES_SUCCESS && len > 0 && srv_parse(&a, bytes, (size_t)len))
		a = (struct srv_answer){ 0 };
	if (a.n)
		note_ttl(q, a.ttl_s > INT32_MAX ? INT32_MAX : (int)a.ttl_s);
	for (unsigned i = 0; i < a.n && is_alive; i++) {
		const struct srv *srv = &a.srv[i];

		ask_addresses(q, srv->host, (struct found_target){ srv->priority, srv->weight, srv->port, 0 });
	}
	if (a.n == 0 && !a.is_refused && is_alive)
		ask_addresses(q, q->what.host, (struct found_target){ 0 });
	one_less(q);
}

static bool is_in_hosts(struct real *r, const struct what *w, int family)
{
	struct hostent *h = NULL;

	if (w->family && af_of(w->family) != family)
		return false;
	if (ares_gethostbyname_file(r->channel, w->host, family, &h) != ARES_SUCCESS)
		return false;
	ares_free_hostent(h);
	return true;
}

static void ask_srv(struct question *q)
{
	char name[SRV_NAME_MAX + 16];

	snprintf(name, sizeof name, "%s.%s", service_name(q->what.service), q->what.host);
	q->pending++;
	counter_inc(&q->r->counters, RESOLVER_QUERIES);
	ares_query(q->r->channel, name, 1 /* IN */, 33 /* SRV */, on_srv, q);
}

static void on_tick(struct timer *t)
{
	struct real *r = owner_of(t, struct real, tick);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	answer_finished(r);
	if (r->n_questions)
		wheel_arm_in(r->wheel, t, RESOLVER_TICK_MS);
}

/* What c-ares answers on the spot (a hosts file, no memory) is finished on return. */
static void question_start(struct question *q)
{
	struct real *r = q->r;

	q->pending = 1;
	if (!q->what.service || is_in_hosts(r, &q->what, AF_INET) || is_in_hosts(r, &q->what, AF_INET6))
		ask_addresses(q, q->what.host, (struct found_target){ 0 });
	else
		ask_srv(q);
	if (!timer_is_armed(&r->tick))
		wheel_arm_in(r->wheel, &r->tick, RESOLVER_TICK_MS);
	one_less(q);
}

static void on_io(struct watch *w, unsigned what)
{
	struct real *r = owner_of(w, struct io, watch)->r;

	wheel_look(r->wheel);
	ares_process_fd(r->channel, what & WATCH_READ ? w->fd : ARES_SOCKET_BAD, what & WATCH_WRITE ? w->fd : ARES_SOCKET_BAD);
	answer_finished(r); /* the watch may be gone */
}

static struct io *io_find(struct real *r, int fd)
{
	list_each(n, &r->ios)
		if (owner_of(n, struct io, in_resolver)->watch.fd == fd)
			return owner_of(n, struct io, in_resolver);
	return NULL;
}

static void io_free(struct io *io)
{
	watch_set(io->r->poller, &io->watch, 0);
	list_del(&io->in_resolver);
	free(io);
}

static struct io *io_new(struct real *r, int fd)
{
	struct io *io = calloc(1, sizeof *io);

	if (!io)
		return NULL;
	io->r = r;
	io->watch = (struct watch){ on_io, fd, 0 };
	list_push(&r->ios, &io->in_resolver);
	return io;
}

/* c-ares tells what it waits for. Without memory for it the question runs into its deadline. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct real *r = arg;
	struct io *io = io_find(r, fd);
	unsigned what = (readable ? WATCH_READ : 0u) | (writable ? WATCH_WRITE : 0u);
	int err;

	if (!what) {
		if (io)
			io_free(io);
		return;
	}
	if (!io)
		io = io_new(r, fd);
	if (!io)
		return;
	if ((err = watch_set(r->poller, &io->watch, what)))
		log_warn(r->log, "dns.event", "error=%s", strerror(-err));
}

/* Asking ---------------------------------------------------------------------------------------------------------- */

static int answer_numeric(const struct resolve_query *q, struct addr a, struct resolve_answer *out)
{
	if (q->family && q->family != a.family)
		return -ENOENT;
	a.port = port_of(q);
	*out = (struct resolve_answer){ .n = 1, .addr = { a } };
	return 0;
}

/* 0, a remembered error, or -EAGAIN: the servers have to be asked. */
static int answer_cached(struct real *r, const struct what *w, uint64_t key, uint16_t port, struct resolve_answer *out)
{
	struct entry *e = entry_find(r, w, key);

	if (!e || e->until_ms <= r->wheel->now_ms)
		return -EAGAIN;
	counter_inc(&r->counters, RESOLVER_HITS);
	list_del(&e->by_use);
	list_push(&r->uses, &e->by_use);
	if (!e->error)
		found_order(&e->found, port, &r->random, out);
	return e->error;
}

static struct question *question_find(const struct real *r, const struct what *w, uint64_t key)
{
	for (struct link *l = table_find(&r->questions, key); l; l = table_next(&r->questions, l)) {
		struct question *q = owner_of(l, struct question, by_key);

		if (memcmp(&q->what, w, sizeof *w) == 0)
			return q;
	}
	return NULL;
}

static int question_new(struct question **out, struct real *r, const struct what *w, uint64_t key)
{
	struct question *q;

	if (r->n_questions >= RESOLVE_PENDING_MAX)
		return -ENOBUFS;
	q = calloc(1, sizeof *q);
	if (!q || table_add(&r->questions, &q->by_key, key)) {
		free(q);
		return -ENOBUFS;
	}
	q->r = r;
	q->what = *w;
	q->ttl_s = RESOLVE_TTL_MAX_S;
	q->is_listed = true;
	q->deadline.fire = on_deadline;
	list_init(&q->in_list);
	list_init(&q->waiters);
	r->n_questions++;
	wheel_arm_in(r->wheel, &q->deadline, RESOLVE_TIMEOUT_MS);
	*out = q;
	return 0;
}

static int wait_for(struct question *q, const struct waiter *like, uint64_t *id)
{
	struct real *r = q->r;
	struct waiter *w;

	if (r->waiters.count >= RESOLVE_PENDING_MAX)
		return -ENOBUFS;
	w = malloc(sizeof *w);
	if (!w)
		return -ENOBUFS;
	*w = *like;
	list_init(&w->in_question);
	if (table_add(&r->waiters, &w->by_id, ++r->last_id)) {
		free(w);
		return -ENOBUFS;
	}
	list_push(&q->waiters, &w->in_question);
	counter_set(&r->counters, RESOLVER_WAITING, r->waiters.count);
	*id = r->last_id;
	return -EINPROGRESS;
}

static int ask_servers(struct real *r, const struct what *what, uint64_t key, const struct waiter *like,
                       struct resolve_answer *out, uint64_t *id)
{
	struct question *q = question_find(r, what, key);
	struct found f;
	int err;

	if (q) {
		counter_inc(&r->counters, RESOLVER_JOINED);
		return wait_for(q, like, id);
	}
	err = question_new(&q, r, what, key);
	if (err)
		return err;
	err = wait_for(q, like, id);
	if (err != -EINPROGRESS) {
		question_free(q);
		return err;
	}
	question_start(q);
	if (!q->is_finished)
		return -EINPROGRESS;
	err = conclude(q, &f);
	question_free(q);
	if (!err)
		found_order(&f, like->port, &r->random, out);
	return err;
}

static int on_ask(struct resolver *resolver, const struct resolve_query *q, struct resolve_answer *out,
                  void (*done)(void *ctx, int err, const struct resolve_answer *a), void *ctx, uint64_t *id)
{
	struct real *r = real_of(resolver);
	struct waiter like = { .port = port_of(q), .done = done, .ctx = ctx };
	struct what what;
	struct addr a;
	uint64_t key;
	int err;

	if (addr_parse(&a, q->host) == 0 && a.port == 0)
		return answer_numeric(q, a, out);
	err = read_what(&what, q);
	if (err)
		return err;
	counter_inc(&r->counters, RESOLVER_ASKED);
	key = key_of(r, &what);
	err = answer_cached(r, &what, key, like.port, out);
	if (err != -EAGAIN)
		return err;
	err = ask_servers(r, &what, key, &like, out, id);
	if (err == -ENOBUFS)
		counter_inc(&r->counters, RESOLVER_REFUSED);
	return err;
}

static void on_cancel(struct resolver *resolver, uint64_t id)
{
	struct real *r = real_of(resolver);
	struct link *l = table_find(&r->waiters, id);

	if (l)
		waiter_free(r, owner_of(l, struct waiter, by_id));
}

static const struct resolver_ops ops = { .ask = on_ask, .cancel = on_cancel };

/* Life ------------------------------------------------------------------------------------------------------------ */

static int add_server(struct ares_addr_port_node *node, struct sv text)
{
	struct addr a;

	if (addr_parse(&a, text))
		return -EBADMSG;
	node->family = af_of(a.family);
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

static int set_servers(struct real *r, const struct sv *servers, unsigned n)
{
	SCOPED(free_nodesp) struct ares_addr_port_node *nodes = n ? calloc(n, sizeof *nodes) : NULL;

	if (n == 0)
		return 0;
	if (!nodes)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		int err = add_server(&nodes[i], servers[i]);

		if (err)
			return err;
		nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
	}
	return ares_set_servers_ports(r->channel, nodes) == ARES_SUCCESS ? 0 : -ENOMEM;
}

static int start_ares(struct real *r)
{
	struct ares_options o = { .timeout = RESOLVER_TRY_MS, .tries = RESOLVER_TRIES, .ndomains = 0, .lookups = "fb",
	                          .sock_state_cb = on_socket, .sock_state_cb_data = r };
	int status = ares_init_options(&r->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
	                               ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);

	if (status == ARES_SUCCESS)
		return 0;
	r->channel = NULL;
	return status == ARES_ENOMEM ? -ENOMEM : -EIO;
}

static int init(struct real *r, const struct sv *servers, unsigned n)
{
	int err = random_bytes(&r->key, sizeof r->key);

	if (!err)
		err = random_bytes(&r->random, sizeof r->random);
	if (!err)
		err = counters_init(&r->counters, resolver_counter_defs, RESOLVER_COUNTERS);
	if (!err)
		err = table_init(&r->questions, 0);
	if (!err)
		err = table_init(&r->entries, 0);
	if (!err)
		err = table_init(&r->waiters, 0);
	if (!err)
		err = start_ares(r);
	r->random |= 1; /* the generator stands still at 0 */
	return err ? err : set_servers(r, servers, n);
}

static void real_freep(struct real **r)
{
	if (*r)
		resolver_free(&(*r)->resolver);
}

int resolver_new(struct resolver **out, struct poller *poller, struct wheel *wheel, const struct sv *servers,
                 unsigned n, struct log *log)
{
	SCOPED(real_freep) struct real *r = calloc(1, sizeof *r);
	int err;

	if (!r)
		return -ENOMEM;
	r->resolver.ops = &ops;
	r->poller = poller;
	r->wheel = wheel;
	r->log = log;
	r->tick.fire = on_tick;
	list_init(&r->ios);
	list_init(&r->finished);
	list_init(&r->uses);
	err = init(r, servers, n);
	if (err)
		return err;
	*out = &STEAL(r)->resolver;
	return 0;
}

/* c-ares calls back for all that is pending, so that every question ends in the list of the finished. */
void resolver_free(struct resolver *resolver)
{
	struct real *r;

	if (!resolver)
		return;
	r = real_of(resolver);
	if (r->channel)
		ares_destroy(r->channel);
	while (!list_empty(&r->finished))
		question_free(owner_of(r->finished.next, struct question, in_list));
	while (!list_empty(&r->uses))
		entry_free(r, owner_of(r->uses.next, struct entry, by_use));
	while (!list_empty(&r->ios))
		io_free(owner_of(r->ios.next, struct io, in_resolver));
	wheel_disarm(r->wheel, &r->tick);
	table_fini(&r->questions);
	table_fini(&r->entries);
	table_fini(&r->waiters);
	counters_fini(&r->counters);
	free(r);
}

const struct counters *resolver_counters(const struct resolver *r)
{
	return &owner_of(r, const struct real, resolver)->counters;
}
