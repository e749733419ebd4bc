#include "sbc/program.h"
#include "nat/heard.h"
#include "sbc/cdr.h"
#include "sbc/certs.h"
#include "sbc/clock.h"
#include "sbc/keys.h"
#include "sbc/live.h"
#include "sbc/loop.h"
#include "sbc/states.h"
#include "sbc/steer.h"
#include "sbc/verbs.h"
#include "sbc/watch.h"
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct program {
	struct shared shared;
	struct publisher publisher;
	uint8_t secrets[TOKEN_KEYS_MAX][TOKEN_SECRET_LEN];
	struct loop *loops[POOL_WORKERS_MAX];
	unsigned n_loops, n_started;
	struct event_base *base;
	struct event *signals[3], *poll;
	struct verbs *verbs;
	struct live *live;
	struct certs certs;
	struct watch watch;
	struct wishes *wishes;
	uint64_t stop_at_ms;            /* 0 = running */
	bool is_done;
};

static uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return clock_ms(CLOCK_REALTIME);
}

static int post(struct shared *s, unsigned worker, struct mail *m, bool is_urgent)
{
	struct program *n = owner_of(s, struct program, shared);

	return worker < n->n_loops ? loop_put(n->loops[worker], m, is_urgent) : -ENOBUFS;
}

static void wake(struct shared *s, unsigned worker)
{
	loop_wake(owner_of(s, struct program, shared)->loops[worker]);
}

static int fail(int err, const char *what)
{
	fprintf(stderr, "sbc: %s\n", what);
	return err;
}

/* As many descriptors as the system lets us have: streams need one each. */
static int check_descriptors(const struct conf *c)
{
	struct rlimit limit;
	rlim_t needed = 64 + (rlim_t)c->workers * (16 + 2 * c->n_listeners);
	char text[160];

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= needed)
		return 0;
	snprintf(text, sizeof(text), "too few file descriptors: %lu allowed, %lu needed for %u workers and %u listeners (ulimit -n)",
	         (unsigned long)limit.rlim_cur, (unsigned long)needed, c->workers, c->n_listeners);
	return fail(-EMFILE, text);
}

static int open_log(struct program *n, const struct conf *c)
{
	char path[1024], text[1200];
	struct log_params p = { .format = c->log_format, .level = c->log_level };
	int err;

	snprintf(path, sizeof(path), "%.*s", SV_ARG(c->log_path));
	p.path = c->log_path.len ? path : NULL;
	if ((err = log_new(&n->shared.log, &p))) {
		snprintf(text, sizeof(text), "%s: cannot open the log: %s", path, strerror(-err));
		return fail(err, text);
	}
	return 0;
}

static int open_cdr(struct program *n, const struct conf *c)
{
	char path[1024], text[1200];
	int err;

	if (!c->cdr_is_on)
		return 0;
	snprintf(path, sizeof(path), "%.*s/cdr.jsonl", SV_ARG(c->state));
	if ((err = cdr_new(&n->shared.cdr, path, n->shared.log))) {
		snprintf(text, sizeof(text), "%s: cannot open the call records: %s", path, strerror(-err));
		return fail(err, text);
	}
	return 0;
}

static struct listener listener_of(const struct conf_listener *c, unsigned workers, struct steer *steer)
{
	struct listener l = { .transport = c->transport, .is_active = c->is_active, .bind = c->bind };

	if (l.transport == T_UDP && steer_make(steer, c->advertise, workers) == 0) {
		l.steer = steer->code;
		l.n_steer = steer->n;
	}
	return l;
}

static int open_sockets(struct program *n, struct listen_set **set, char *error, size_t size)
{
	const struct conf *c = n->publisher.now;
	struct listener *listeners = calloc(c->n_listeners, sizeof(*listeners));
	struct steer *steers = calloc(c->n_listeners, sizeof(*steers));
	int err = -ENOMEM;

	if (listeners && steers) {
		for (unsigned i = 0; i < c->n_listeners; i++)
			listeners[i] = listener_of(&c->listeners[i], c->workers, &steers[i]);
		err = sockets_open(set, listeners, c->n_listeners, c->workers, n->shared.log, error, size);
	}
	free(listeners);
	free(steers);
	return err;
}

static int open_workers(struct program *n)
{
	const struct conf *c = n->publisher.now;
	SCOPED(listen_set_freep) struct listen_set *set = NULL;
	char error[256] = "out of memory";
	int err = open_sockets(n, &set, error, sizeof(error));

	if (err)
		return fail(err, error);
	for (; n->n_loops < c->workers; n->n_loops++)
		if ((err = loop_new(&n->loops[n->n_loops], &n->shared, n->n_loops, set)))
			return fail(err, strerror(-err));
	return 0;
}

static void wake_deliver(struct mail *m, void *reader)
{
	(void)reader; /* its turn adopts the new snapshot */
	free(m);
}

static void tell_workers(struct program *n, void (*deliver)(struct mail *m, void *reader))
{
	for (unsigned i = 0; i < n->n_loops; i++) {
		struct mail *m = calloc(1, sizeof(*m));

		if (!m)
			continue;
		m->deliver = deliver;
		if (loop_post(n->loops[i], m, true))
			free(m);
	}
}

static void on_published(void *ctx)
{
	tell_workers(ctx, wake_deliver);
}

static uint64_t adopted(void *ctx)
{
	struct program *n = ctx;
	uint64_t lowest = UINT64_MAX;

	for (unsigned i = 0; i < n->n_loops; i++) {
		uint64_t gen = atomic_load_explicit(&loop_worker(n->loops[i])->conf_gen, memory_order_acquire);

		lowest = gen < lowest ? gen : lowest;
	}
	return lowest;
}

static uint64_t live_now_ms(void *ctx)
{
	(void)ctx;
	return clock_monotonic_ms();
}

static void question_deliver(struct mail *m, void *reader)
{
	live_answer(((struct worker *)reader)->resolver, owner_of(m, struct live_question, mail));
}

/* One worker's resolver will do: its cache is asked again and again. */
static int ask(void *ctx, struct live_question *q)
{
	struct program *n = ctx;

	q->mail.deliver = question_deliver;
	return n->n_started ? loop_post(n->loops[0], &q->mail, true) : -EAGAIN;
}

static int open_live(struct program *n)
{
	int err = live_new(&n->live, &(struct live_params){ .publisher = &n->publisher, .log = n->shared.log, .now_ms = live_now_ms,
	                                                    .ask = ask, .on_published = on_published, .ctx = n });

	return err ? fail(err, strerror(-err)) : 0;
}

/* Keys of session tickets: the other node derives the same (DECISIONS 2). */
static int open_tickets(struct program *n)
{
	uint8_t secret[TLS_TICKET_SECRET];
	int err = token_derive(n->secrets[0], "sbc tls ticket", secret, sizeof(secret));

	if (!err)
		err = tls_tickets_new(&n->shared.tickets, secret, wall_ms, NULL);
	return err ? fail(err, "cannot derive the keys of TLS sessions") : 0;
}

int program_new(struct program **out, struct conf *c)
{
	struct program *n = calloc(1, sizeof(*n));
	struct hash_key key;
	char error[512];
	int err;

	if (!n) {
		conf_free(c);
		return fail(-ENOMEM, "out of memory");
	}
	n->shared.wall_ms = wall_ms;
	n->shared.post = post;
	n->shared.wake = wake;
	n->shared.workers = c->workers;
	n->shared.secrets = (const uint8_t(*)[TOKEN_SECRET_LEN])n->secrets;
	if ((err = check_descriptors(c)) || (err = open_log(n, c)))
		goto out;
	if ((err = keys_load(c, n->secrets, &n->shared.n_secrets, error, sizeof(error)))) {
		fail(err, error);
		goto out;
	}
	if ((err = open_cdr(n, c)))
		goto out;
	if ((err = random_bytes(&key, sizeof(key))) || (err = heard_new(&n->shared.heard, &key, HEARD_PLACES)) ||
	    (err = pools_new(&n->shared.pools, c->workers)) || (err = wishes_new(&n->wishes, n->shared.pools)) ||
	    (err = users_new(&n->shared.users, c->workers, n->shared.log))) {
		fail(err, strerror(-err));
		goto out;
	}
	states_load(n->wishes, c->state, n->shared.log);
	if ((err = publisher_init(&n->publisher, &n->shared, n->wishes, c, adopted, n))) {
		fail(err, strerror(-err));
		goto out;
	}
	c = NULL; /* the publisher's now */
	if ((err = open_live(n)) || (err = open_tickets(n)))
		goto out;
	n->certs = (struct certs){ .publisher = &n->publisher, .log = n->shared.log, .on_published = on_published, .ctx = n };
	if ((err = open_workers(n)))
		goto out;
	*out = n;
	return 0;
out:
	conf_free(c);
	program_free(n);
	return err;
}

static void on_poll(evutil_socket_t fd, short what, void *ctx)
{
	struct program *n = ctx;
	size_t calls = 0;

	(void)fd;
	(void)what;
	publisher_collect(&n->publisher);
	users_poll(n->shared.users);
	live_poll(n->live);
	certs_poll(&n->certs);
	watch_look(&n->watch, n->shared.pools, n->publisher.now, n->shared.log);
	if (!n->stop_at_ms)
		return;
	for (unsigned i = 0; i < n->n_loops; i++)
		calls += counter_get(&loop_worker(n->loops[i])->counters, CALLS_NOW) +
		         counter_get(&loop_worker(n->loops[i])->counters, ACCOUNTS_NOW); /* they are taken back */
	if (calls == 0 || clock_monotonic_ms() >= n->stop_at_ms) {
		if (calls)
			log_warn(n->shared.log, "sbc.stopping", "calls_left=%zu", calls);
		n->is_done = true;
		event_base_loopbreak(n->base);
	}
}

static void close_deliver(struct mail *m, void *reader)
{
	b2bua_close(((struct worker *)reader)->calls);
	free(m);
}

static int poll_every(struct program *n, int ms)
{
	struct timeval tick = { .tv_usec = ms * 1000 };

	return event_add(n->poll, &tick) ? -ENOMEM : 0;
}

static void stop(struct program *n)
{
	if (n->stop_at_ms) { /* asked twice: at once */
		n->is_done = true;
		event_base_loopbreak(n->base);
		return;
	}
	log_info(n->shared.log, "sbc.closing", "grace_ms=%u", n->publisher.now->shutdown_grace_ms);
	n->stop_at_ms = clock_monotonic_ms() + n->publisher.now->shutdown_grace_ms;
	tell_workers(n, close_deliver);
	(void)poll_every(n, PROGRAM_STOP_POLL_MS); /* or more slowly, when there is no memory */
}

static bool is_closing(void *ctx)
{
	return ((struct program *)ctx)->stop_at_ms;
}

static void log_notes(struct program *n, const struct conf_notes *notes)
{
	list_each(it, &notes->list) {
		const struct conf_note *note = owner_of(it, struct conf_note, in_list);

		log_at(n->shared.log, note->is_error ? LOG_ERROR : LOG_WARN, "conf.note", "line=%u col=%u path=%s text=%s", note->line,
		       note->col, note->path ? note->path : "", note->text);
	}
}

static int reload(void *ctx, struct conf_notes *notes)
{
	struct program *n = ctx;
	int err = publisher_reload(&n->publisher, notes);

	log_notes(n, notes);
	if (err)
		log_error(n->shared.log, "conf.rejected", "file=%.*s errors=%u error=%s", SV_ARG(n->publisher.now->file), notes->errors,
		          strerror(-err));
	else
		log_info(n->shared.log, "conf.reloaded", "gen=%lu", (unsigned long)n->publisher.now->gen);
	tell_workers(n, wake_deliver);
	return err;
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct program *n = ctx;
	struct conf_notes notes;

	(void)what;
	if (sig != SIGHUP) {
		stop(n);
		return;
	}
	log_reopen(n->shared.log);
	if (n->shared.cdr)
		cdr_reopen(n->shared.cdr);
	conf_notes_init(&notes);
	reload(n, &notes);
	conf_notes_fini(&notes);
}

static int program_events(struct program *n)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	if (!(n->base = event_base_new()))
		return -ENOMEM;
	for (unsigned i = 0; i < 3; i++)
		if (!(n->signals[i] = evsignal_new(n->base, numbers[i], on_signal, n)) || event_add(n->signals[i], NULL))
			return -ENOMEM;
	if (!(n->poll = event_new(n->base, -1, EV_PERSIST, on_poll, n)))
		return -ENOMEM;
	return poll_every(n, PROGRAM_POLL_MS);
}

/* The workers inherit a mask without signals: they are the control thread's. */
static int start_workers(struct program *n)
{
	sigset_t all, before;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; n->n_started < n->n_loops && !err; n->n_started += !err)
		err = loop_start(n->loops[n->n_started]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int program_run(struct program *n)
{
	const struct conf *c = n->publisher.now;
	struct verbs_params p = { .shared = &n->shared, .publisher = &n->publisher, .live = n->live, .certs = &n->certs, .loops = n->loops,
	                          .n_loops = n->n_loops,
	                          .reload = reload, .is_closing = is_closing, .ctx = n, .started_ms = clock_monotonic_ms() };
	int err;

	signal(SIGPIPE, SIG_IGN);
	if ((err = program_events(n)) || (err = start_workers(n)))
		return fail(1, strerror(-err));
	p.base = n->base;
	if (verbs_new(&n->verbs, &p))
		return 1; /* said why */
	log_info(n->shared.log, "sbc.ready", "node=%.*s workers=%u listeners=%u", SV_ARG(c->node), n->n_loops, c->n_listeners);
	while (!n->is_done)
		event_base_loop(n->base, EVLOOP_ONCE);
	log_info(n->shared.log, "sbc.stopped", "node=%.*s", SV_ARG(n->publisher.now->node));
	return 0;
}

void program_free(struct program *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < n->n_started; i++)
		loop_stop(n->loops[i]);
	verbs_free(n->verbs);
	for (unsigned i = 0; i < n->n_loops; i++)
		loop_free(n->loops[i]);
	for (unsigned i = 0; i < 3; i++)
		if (n->signals[i])
			event_free(n->signals[i]);
	if (n->poll)
		event_free(n->poll);
	if (n->base)
		event_base_free(n->base);
	live_free(n->live);
	publisher_fini(&n->publisher);
	wishes_free(n->wishes);
	tls_tickets_free(n->shared.tickets);
	users_free(n->shared.users);
	pools_free(n->shared.pools);
	heard_free(n->shared.heard);
	cdr_free(n->shared.cdr);
	log_free(n->shared.log);
	free(n);
}
