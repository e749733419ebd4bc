/* base/log.c - callers format into their own stack, claim a place in the ring and copy the line there: no lock, no
 * allocation, no system call but one eventfd write per batch. The writer thread gathers lines and writes them. It
 * waits for the file to become writable with poll and never writes more than a pipe takes at once, so a reader that
 * has stopped holds up nobody, not even the end of the program. */
#include "base/log.h"
#include "base/list.h"
#include "base/log_line.h"
#include "base/sv.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	CACHE_LINE = 64,
	LINES = 8192,         /* of the ring, when the caller names no number */
	FEWEST = 16,
	MOST = 1 << 20,
	BATCH = PIPE_BUF,     /* a pipe that polls writable takes this much without blocking */
	LOOK_MS = 50,         /* how often a writer that waits for its reader looks up */
	LAST_WRITES_MS = 700, /* log_free: for what is left in the ring, */
	PATIENCE_MS = 850,    /* for the thread before it is cancelled, */
	CANCEL_MS = 100,      /* and after */
};

struct slot {
	_Atomic size_t mark; /* ring position + 1 of the line inside; 0 at first */
	uint16_t len;
	char text[LOG_LINE];
};

struct log {
	_Alignas(CACHE_LINE) _Atomic size_t tail; /* callers */
	_Alignas(CACHE_LINE) _Atomic size_t head; /* the writer; callers look */
	_Alignas(CACHE_LINE) _Atomic bool is_signalled; /* see mailbox.c */
	_Atomic bool wants_reopen, is_stopping;
	_Atomic uint64_t stop_at_ms, lost;
	_Alignas(CACHE_LINE) _Atomic int level;
	enum log_format format;
	size_t slots;
	struct slot *slot;
	int wake_fd, done_fd;
	pthread_t thread;
	char *path; /* NULL: standard error */
	/* The writer's own: */
	int fd;
	bool is_torn; /* the file ends within a line */
	uint64_t told_lost, telling_lost;
	int reopen_err;
	size_t batch_len, own_len; /* own: up to here the writer's own reports */
	char batch[BATCH];         /* begins with a newline, written only after a torn line */
};

static uint64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void wake(struct log *l)
{
	if (!atomic_exchange_explicit(&l->is_signalled, true, memory_order_acq_rel))
		signal_fd(l->wake_fd);
}

static void lose(struct log *l, uint64_t lines)
{
	atomic_fetch_add_explicit(&l->lost, lines, memory_order_relaxed);
}

/* ---- callers ---- */

/* As in mailbox.c: a position that is older than `head` fails the exchange and is read anew. */
static struct slot *claim(struct log *l, size_t *pos)
{
	*pos = atomic_load_explicit(&l->tail, memory_order_relaxed);
	for (;;) {
		size_t used = *pos - atomic_load_explicit(&l->head, memory_order_acquire);

		if (used >= l->slots && used <= SIZE_MAX / 2)
			return NULL;
		if (atomic_compare_exchange_weak_explicit(&l->tail, pos, *pos + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return &l->slot[*pos & (l->slots - 1)];
	}
}

void log_write(struct log *l, enum log_level level, const char *event, const char *fmt, ...)
{
	char text[LOG_LINE];
	int saved = errno;
	struct slot *slot;
	size_t pos, len;
	va_list args;

	if (!l)
		return;
	va_start(args, fmt);
	len = log_line(text, l->format, level, clock_ms(CLOCK_REALTIME), event, fmt, args);
	va_end(args);
	slot = claim(l, &pos);
	if (slot) {
		memcpy(slot->text, text, len);
		slot->len = (uint16_t)len;
		atomic_store_explicit(&slot->mark, pos + 1, memory_order_release);
		wake(l);
	} else {
		lose(l, 1);
	}
	errno = saved;
}

bool log_is_on(const struct log *l, enum log_level level)
{
	return l && (int)level <= atomic_load_explicit(&l->level, memory_order_relaxed);
}

void log_set_level(struct log *l, enum log_level level)
{
	if (l)
		atomic_store_explicit(&l->level, (int)level, memory_order_relaxed);
}

uint64_t log_lost(const struct log *l)
{
	return l ? atomic_load_explicit(&l->lost, memory_order_relaxed) : 0;
}

void log_reopen(struct log *l)
{
	int saved = errno;

	if (!l)
		return;
	atomic_store_explicit(&l->wants_reopen, true, memory_order_release);
	wake(l);
	errno = saved;
}

/* ---- the writer ---- */

/* Not blocking: a FIFO nobody reads must not hold up the start, nor a full pipe the writer. */
static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	return fd < 0 ? -errno : fd;
}

static void add_own(struct log *l, enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A line of the writer's own. */
static void add_own(struct log *l, enum log_level level, const char *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	l->batch_len += log_line(l->batch + l->batch_len, l->format, level, clock_ms(CLOCK_REALTIME), event, fmt, args);
	va_end(args);
}

static void reopen(struct log *l)
{
	int fd;

	if (!atomic_exchange_explicit(&l->wants_reopen, false, memory_order_acq_rel) || !l->path)
		return;
	fd = open_file(l->path);
	l->reopen_err = fd < 0 ? -fd : 0;
	if (fd < 0) /* better the old file than none */
		return;
	close(l->fd);
	l->fd = fd;
	l->is_torn = false;
}

static bool is_late(const struct log *l)
{
	return atomic_load_explicit(&l->is_stopping, memory_order_acquire) &&
	       clock_ms(CLOCK_MONOTONIC) >= atomic_load_explicit(&l->stop_at_ms, memory_order_relaxed);
}

/* False when it is given up, for the end or for another file. */
static bool wait_writable(struct log *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLOUT };

	do {
		if (poll(&p, 1, LOOK_MS) > 0)
			return true;
	} while (!is_late(l) && !atomic_load_explicit(&l->wants_reopen, memory_order_acquire));
	return false;
}

static uint64_t count_lines(struct sv v)
{
	uint64_t n = 0;

	for (; v.len; n++)
		v = sv_skip(v, sv_chr(v, '\n') + 1);
	return n;
}

static void batch_clear(struct log *l)
{
	l->batch[0] = '\n';
	l->batch_len = l->own_len = 1;
}

/* The batch is done with, except for `left`. */
static void settle(struct log *l, struct sv left)
{
	struct sv callers = { l->batch + l->own_len, l->batch_len - l->own_len };

	if (left.p < callers.p) {
		lose(l, count_lines(callers));
	} else {
		l->told_lost = l->telling_lost;
		l->reopen_err = 0;
		lose(l, count_lines(left));
	}
	batch_clear(l);
}

/* Writes the batch. What fails is lost and counted; lines are never tried twice. */
static void flush(struct log *l)
{
	struct sv left = sv_skip((struct sv){ l->batch, l->batch_len }, l->is_torn ? 0 : 1);

	while (left.len && wait_writable(l)) {
		ssize_t n = write(l->fd, left.p, left.len);

		if (n < 0 && errno == EAGAIN)
			poll(NULL, 0, 1); /* polled writable and was not: another process writes there too */
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			break;
		if (n <= 0)
			continue;
		left = sv_skip(left, (size_t)n);
		l->is_torn = left.p[-1] != '\n';
	}
	settle(l, left);
}

static bool take_line(struct log *l)
{
	size_t pos = atomic_load_explicit(&l->head, memory_order_relaxed);
	struct slot *slot = &l->slot[pos & (l->slots - 1)];

	if (atomic_load_explicit(&slot->mark, memory_order_acquire) != pos + 1)
		return false;
	memcpy(l->batch + l->batch_len, slot->text, slot->len);
	l->batch_len += slot->len;
	atomic_store_explicit(&l->head, pos + 1, memory_order_release);
	return true;
}

/* Takes lines up to the size of a batch. The reports in front of them ride along with a caller's line, so that a
 * full disk does not make work of its own. */
static bool gather(struct log *l)
{
	l->telling_lost = log_lost(l);
	if (l->telling_lost != l->told_lost)
		add_own(l, LOG_WARN, "log.lost", "lines=%" PRIu64 " total=%" PRIu64,
			l->telling_lost - l->told_lost, l->telling_lost);
	errno = l->reopen_err;
	if (l->reopen_err)
		add_own(l, LOG_ERROR, "log.reopen_failed", "path=%s error=%m", l->path);
	l->own_len = l->batch_len;
	while (l->batch_len + LOG_LINE <= BATCH && take_line(l))
		;
	if (l->batch_len > l->own_len)
		return true;
	batch_clear(l);
	return false;
}

static void sleep_until_woken(struct log *l)
{
	struct pollfd p = { .fd = l->wake_fd, .events = POLLIN };
	uint64_t n;

	poll(&p, 1, -1);
	while (read(l->wake_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	atomic_exchange_explicit(&l->is_signalled, false, memory_order_acq_rel);
}

static void on_end(void *arg)
{
	signal_fd(((struct log *)arg)->done_fd);
}

static void *run(void *arg)
{
	struct log *l = arg;
	bool is_last;

	pthread_cleanup_push(on_end, l);
	do {
		sleep_until_woken(l);
		is_last = atomic_load_explicit(&l->is_stopping, memory_order_acquire);
		reopen(l);
		while (!is_late(l) && gather(l)) {
			reopen(l); /* what was logged after log_reopen goes to the new file */
			flush(l);
		}
	} while (!is_last);
	pthread_cleanup_pop(1);
	return NULL;
}

/* ---- making and ending ---- */

static void release(struct log *l)
{
	if (l->path && l->fd >= 0)
		close(l->fd);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->done_fd >= 0)
		close(l->done_fd);
	free(l->path);
	free(l->slot);
	free(l);
}

static void releasep(struct log **l)
{
	if (*l)
		release(*l);
}

/* Nothing opened yet. */
static struct log *log_blank(const struct log_params *p)
{
	struct log *l = aligned_alloc(CACHE_LINE, sizeof(*l));
	size_t wanted = p->lines ? p->lines : LINES;

	if (!l)
		return NULL;
	*l = (struct log){ .format = p->format, .slots = FEWEST, .wake_fd = -1, .done_fd = -1, .fd = STDERR_FILENO };
	atomic_init(&l->level, (int)p->level);
	while (l->slots < wanted && l->slots < MOST)
		l->slots *= 2;
	batch_clear(l);
	return l;
}

/* The thread takes no signals: they are for the control thread, and a closed pipe has to be EPIPE. */
static int start_thread(struct log *l)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int log_new(struct log **out, const struct log_params *p)
{
	SCOPED(releasep) struct log *l = log_blank(p);
	int err;

	if (!l)
		return -ENOMEM;
	l->slot = calloc(l->slots, sizeof(*l->slot)); /* zero pages: used when lines come */
	if (p->path)
		l->path = strdup(p->path);
	if (!l->slot || (p->path && !l->path))
		return -ENOMEM;
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->done_fd = l->wake_fd < 0 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->done_fd < 0)
		return -errno;
	if (l->path && (l->fd = open_file(l->path)) < 0)
		return l->fd;
	if ((err = start_thread(l)))
		return err;
	*out = STEAL(l);
	return 0;
}

static bool is_done(struct log *l, int patience_ms)
{
	struct pollfd p = { .fd = l->done_fd, .events = POLLIN };
	uint64_t until = clock_ms(CLOCK_MONOTONIC) + (uint64_t)patience_ms;

	for (;;) {
		uint64_t now = clock_ms(CLOCK_MONOTONIC);
		int n = poll(&p, 1, now < until ? (int)(until - now) : 0);

		if (n >= 0 || errno != EINTR)
			return n > 0;
	}
}

void log_free(struct log *l)
{
	if (!l)
		return;
	atomic_store_explicit(&l->stop_at_ms, clock_ms(CLOCK_MONOTONIC) + LAST_WRITES_MS, memory_order_relaxed);
	atomic_store_explicit(&l->is_stopping, true, memory_order_release);
	wake(l);
	if (!is_done(l, PATIENCE_MS)) {
		pthread_cancel(l->thread); /* within write: a terminal that is held, a file system that is gone */
		if (!is_done(l, CANCEL_MS)) {
			pthread_detach(l->thread);
			return; /* it may still wake up: what it uses stays */
		}
	}
	pthread_join(l->thread, NULL);
	release(l);
}
