#include "sbc/loop.h"
#include "base/poller.h"
#include "sbc/clock.h"
#include "transports/resolver.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Timers fire up to this late, together: fewer wakes, and no SIP timer is finer. */
enum { TICK_MS = 10 };

struct loop {
	struct worker worker;
	struct poller *poller;
	struct net *net;
	struct resolver *resolver;
	struct watch mail, timer;
	struct turns turns;
	pthread_t thread;
	uint64_t timer_at_ms;         /* what it is set for; 0 = nothing */
	const struct conf *tls_of;    /* the snapshot whose certificates new connections get */
	bool is_turning;              /* time was read in this turn */
	bool has_mail;                /* more than a turn takes */
	_Atomic bool is_stopping;
};

/* Time is read once per turn, before the first thing that happens in it. What is due fires when the turn's events are
 * done: a timer must not pull away the connection that is being read. */
static void turn(struct loop *l)
{
	if (l->is_turning)
		return;
	l->is_turning = true;
	wheel_advance(&l->worker.wheel, clock_monotonic_ms(), 0);
}

static void on_look(struct wheel *w)
{
	turn(owner_of(owner_of(w, struct worker, wheel), struct loop, worker));
}

static void on_mail(struct watch *w, unsigned what)
{
	(void)w;
	(void)what; /* it woke us: the mail is taken at the end of each turn */
}

static void on_timer(struct watch *w, unsigned what)
{
	struct loop *l = owner_of(w, struct loop, timer);

	(void)what;
	l->timer_at_ms = 0;
	turn(l);
}

static void on_message(void *ctx, const struct path *from, char *bytes, size_t len, bool is_broken)
{
	struct loop *l = ctx;

	turn(l);
	worker_handler(&l->worker).on_message(&l->worker, from, bytes, len, is_broken);
}

static void on_icmp(void *ctx, const struct path *to, struct sv bytes, int error)
{
	struct loop *l = ctx;

	turn(l);
	worker_handler(&l->worker).on_icmp(&l->worker, to, bytes, error);
}

static void on_send_failed(void *ctx, const struct path *to, uint64_t cookie, int error)
{
	struct loop *l = ctx;

	worker_handler(&l->worker).on_send_failed(&l->worker, to, cookie, error);
}

static void on_flow_closed(void *ctx, uint64_t flow)
{
	struct loop *l = ctx;

	worker_handler(&l->worker).on_flow_closed(&l->worker, flow);
}

static void on_alive(void *ctx, const struct path *from)
{
	struct loop *l = ctx;

	turn(l);
	worker_handler(&l->worker).on_alive(&l->worker, from);
}

static bool is_proxy(void *ctx, uint16_t listener, const struct addr *remote)
{
	struct loop *l = ctx;

	return worker_handler(&l->worker).is_proxy(&l->worker, listener, remote);
}

static void on_upgrade(void *ctx, const struct path *at, bool is_ours, struct upgrade_rules *out)
{
	struct loop *l = ctx;

	turn(l); /* with the configuration in force */
	worker_handler(&l->worker).on_upgrade(&l->worker, at, is_ours, out);
}

static int to_worker(void *ctx, unsigned worker, struct mail *m, bool is_urgent)
{
	struct loop *l = ctx;

	return worker_post(&l->worker, worker, m, is_urgent);
}

static struct net *net_of(void *reader)
{
	return ((struct worker *)reader)->net;
}

/* One timer stands for the wheel; it is moved only when something is due earlier. It is watched edge-triggered: nobody has to read. */
static void set_timer(struct loop *l)
{
	uint64_t next = worker_next(&l->worker), at = next - next % TICK_MS + TICK_MS;
	struct itimerspec when = { 0 };

	if (next == UINT64_MAX || (l->timer_at_ms && l->timer_at_ms <= at))
		return;
	when.it_value = (struct timespec){ .tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000 };
	if (timerfd_settime(l->timer.fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
		l->timer_at_ms = at;
}

/* Connections that are there keep what they began with. */
static void adopt_tls(struct loop *l)
{
	const struct conf *c = l->tls_of = l->worker.conf;

	for (unsigned i = 0; i < c->n_listeners; i++)
		if (c->listeners[i].tls)
			sockets_set_tls(l->net, i, c->listeners[i].tls, c->zones[c->listeners[i].zone].dials);
}

/* Woken by a message, a worker does not push another one off the core they share: who runs finishes his turn, and meanwhile more than
 * one message comes for who waits. By default two workers on one core took 3.6 turns for a call and one took half a turn. An
 * operator's real-time priority is left alone; where the system does not allow this, it costs CPU and nothing else. */
static void wait_in_turn(void)
{
	if (sched_getscheduler(0) == SCHED_OTHER)
		sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
}

static void *loop_run(void *ctx)
{
	struct loop *l = ctx;
	unsigned ready = 0;

	wait_in_turn();
	while (!atomic_load_explicit(&l->is_stopping, memory_order_relaxed)) {
		sockets_flush(l->net);
		worker_wake_others(&l->worker);
		set_timer(l);
		l->is_turning = false;
		turns_end(&l->turns, ready);
		ready = poller_turn(l->poller, !l->has_mail && !mailbox_rest(l->worker.mail));
		mailbox_rise(l->worker.mail);
		turn(l);
		l->has_mail = worker_mail(&l->worker) == WORKER_MAIL_BATCH;
		worker_tick(&l->worker, l->worker.wheel.now_ms);
		if (l->worker.conf != l->tls_of)
			adopt_tls(l);
	}
	sockets_flush(l->net);
	worker_wake_others(&l->worker);
	return NULL;
}

static int loop_events(struct loop *l)
{
	int err = poller_new(&l->poller);

	if (err)
		return err;
	if ((l->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) < 0)
		return -errno;
	l->mail.fd = mailbox_fd(l->worker.mail);
	err = watch_set(l->poller, &l->mail, WATCH_READ | WATCH_EDGE);
	return err ? err : watch_set(l->poller, &l->timer, WATCH_READ | WATCH_EDGE);
}

static int loop_net(struct loop *l, struct shared *shared, struct listen_set *set)
{
	struct sockets_params p = { .poller = l->poller, .wheel = &l->worker.wheel, .log = shared->log, .set = set,
	                            .worker = l->worker.index, .tickets = shared->tickets,
	                            .handler = { .ctx = l, .on_message = on_message, .on_icmp = on_icmp,
	                                         .on_send_failed = on_send_failed, .on_flow_closed = on_flow_closed,
	                                         .on_alive = on_alive, .is_proxy = is_proxy,
	                                         .on_upgrade = on_upgrade },
	                            .to_worker = to_worker, .net_of = net_of, .ctx = l };
	const struct conf *c = atomic_load(&shared->conf);
	int err = sockets_new(&l->net, &p);

	if (!err)
		err = resolver_new(&l->resolver, l->poller, &l->worker.wheel, c->name_servers, c->n_name_servers, shared->log);
	if (!err)
		err = worker_join(&l->worker, l->net, l->resolver, sockets_pause_streams);
	if (!err)
		adopt_tls(l);
	return err;
}

int loop_new(struct loop **out, struct shared *shared, unsigned index, struct listen_set *set)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->mail.ready = on_mail;
	turns_init(&l->turns);
	l->timer = (struct watch){ on_timer, -1, 0 };
	if ((err = worker_init(&l->worker, shared, index, clock_monotonic_ms()))) {
		free(l);
		return err;
	}
	l->worker.wheel.look = on_look;
	if ((err = loop_events(l)) || (err = loop_net(l, shared, set))) {
		loop_free(l);
		return err;
	}
	*out = l;
	return 0;
}

int loop_start(struct loop *l)
{
	int err = sockets_start(l->net);

	return err ? err : -pthread_create(&l->thread, NULL, loop_run, l);
}

static void stop_deliver(struct mail *m, void *reader)
{
	(void)reader;
	free(m);
}

void loop_stop(struct loop *l)
{
	struct mail *wake = calloc(1, sizeof(*wake));

	atomic_store(&l->is_stopping, true);
	if (wake) {
		wake->deliver = stop_deliver;
		if (mailbox_post(l->worker.mail, wake, true))
			free(wake);
	}
	pthread_join(l->thread, NULL);
	while (worker_mail(&l->worker))
		; /* questions still get their answer */
	worker_wake_others(&l->worker);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	l->worker.is_ending = true;
	worker_mail(&l->worker); /* what came last is freed by its delivery */
	worker_fini(&l->worker);
	resolver_free(l->resolver);
	sockets_free(l->net);
	worker_release(&l->worker);
	if (l->timer.fd >= 0)
		close(l->timer.fd);
	poller_free(l->poller);
	free(l);
}

struct worker *loop_worker(struct loop *l)
{
	return &l->worker;
}

const struct counters *loop_net_counters(const struct loop *l)
{
	return sockets_counters(l->net);
}

const struct counters *loop_resolver_counters(const struct loop *l)
{
	return resolver_counters(l->resolver);
}

const struct turns *loop_turns(const struct loop *l)
{
	return &l->turns;
}

int loop_post(struct loop *l, struct mail *m, bool is_urgent)
{
	return mailbox_post(l->worker.mail, m, is_urgent);
}

int loop_put(struct loop *l, struct mail *m, bool is_urgent)
{
	return mailbox_put(l->worker.mail, m, is_urgent);
}

void loop_wake(struct loop *l)
{
	mailbox_wake(l->worker.mail);
}
