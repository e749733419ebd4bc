#include "sbc/cdr.h"
#include "base/list.h"
#include "base/mailbox.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

const struct counter_def cdr_counter_defs[CDR_COUNTERS] = {
	[CDR_WRITTEN] = { "cdr_written_total", "Call records written", false },
	[CDR_LOST] = { "cdr_lost_total", "Call records lost: too many waiting, or no memory", false },
	[CDR_WRITE_ERRORS] = { "cdr_write_errors_total", "Writes of call records that failed and were tried again", false },
	[CDR_DISK_LOW] = { "cdr_disk_low", "1 when the file system of the call records is nearly full", true },
};

enum { BATCH_BYTES = 1 << 16 };

struct cdr {
	struct cdr_sink sink;
	struct log *log;
	struct mailbox *mail;
	struct counters counters;
	_Atomic uint64_t lost;        /* by any worker */
	pthread_t thread;
	int fd;
	char path[1024];
	_Atomic bool is_reopening, is_stopping;
	off_t reserved;               /* the file's blocks reach to here */
	size_t held;
	char batch[BATCH_BYTES];
};

struct cdr_line {
	struct mail mail;
	size_t len;
	char text[];
};

static int file_open(struct cdr *c)
{
	struct stat st;
	int fd = open(c->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = fd;
	c->reserved = fstat(fd, &st) ? 0 : st.st_size;
	return 0;
}

/* Asks for blocks before they are needed; where the file system cannot, the alarm alone must do. */
static void reserve(struct cdr *c)
{
	struct statvfs fs;
	struct stat st;
	bool is_low;

	if (fstat(c->fd, &st) == 0 && st.st_size + BATCH_BYTES > c->reserved &&
	    fallocate(c->fd, FALLOC_FL_KEEP_SIZE, st.st_size, CDR_RESERVE_BYTES) == 0)
		c->reserved = st.st_size + CDR_RESERVE_BYTES;
	is_low = fstatvfs(c->fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < CDR_LOW_BYTES;
	if (is_low && !counter_get(&c->counters, CDR_DISK_LOW))
		log_error(c->log, "cdr.disk-low", "path=%s free_bytes=%lu", c->path, (unsigned long)(fs.f_bavail * fs.f_frsize));
	counter_set(&c->counters, CDR_DISK_LOW, is_low);
}

/* A line of which only a part could be written is taken back, so that it never lies in two files. */
static size_t whole_lines(struct cdr *c, size_t done)
{
	const char *end = done ? memrchr(c->batch, '\n', done) : NULL;
	size_t whole = end ? (size_t)(end + 1 - c->batch) : 0;
	struct stat st;

	if (whole == done || fstat(c->fd, &st) || ftruncate(c->fd, st.st_size - (off_t)(done - whole)))
		return done;
	return whole;
}

/* False: not all was written; what is left stays in the batch. */
static bool flush(struct cdr *c)
{
	size_t done = 0;
	int err = 0;

	while (done < c->held) {
		ssize_t n = write(c->fd, c->batch + done, c->held - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n ? errno : ENOSPC;
			break;
		}
		done += (size_t)n;
	}
	if (done < c->held)
		done = whole_lines(c, done);
	memmove(c->batch, c->batch + done, c->held - done);
	c->held -= done;
	if (!c->held)
		return true;
	counter_inc(&c->counters, CDR_WRITE_ERRORS);
	log_error(c->log, "cdr.write-failed", "path=%s error=%s", c->path, strerror(err));
	return false;
}

/* What is looked after between writes, also while they fail: another file may be what ends that. */
static void tend(struct cdr *c)
{
	int err;

	if (atomic_exchange(&c->is_reopening, false) && (err = file_open(c)))
		log_error(c->log, "cdr.reopen-failed", "path=%s error=%s", c->path, strerror(-err));
	reserve(c);
	counter_set(&c->counters, CDR_LOST, atomic_load(&c->lost) + mailbox_refused(c->mail));
}

static void wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* A full disk stops the writer, not the calls: lines wait in the mailbox up to its bound. */
static void line_deliver(struct mail *m, void *reader)
{
	struct cdr_line *l = owner_of(m, struct cdr_line, mail);
	struct cdr *c = reader;

	while (c->held + l->len > sizeof(c->batch) && !flush(c)) {
		if (atomic_load(&c->is_stopping)) {
			atomic_fetch_add(&c->lost, 1);
			free(l);
			return;
		}
		wait_ms(CDR_RETRY_MS);
		tend(c);
	}
	memcpy(c->batch + c->held, l->text, l->len);
	c->held += l->len;
	counter_inc(&c->counters, CDR_WRITTEN);
	free(l);
}

static void *writer(void *ctx)
{
	struct cdr *c = ctx;
	struct pollfd p = { .fd = mailbox_fd(c->mail), .events = POLLIN };
	bool is_last;

	do {
		is_last = atomic_load(&c->is_stopping);
		if (!is_last) {
			poll(&p, 1, c->held ? CDR_RETRY_MS : 60000);
			wait_ms(CDR_GATHER_MS);
		}
		tend(c);
		mailbox_ack(c->mail);
		while (mailbox_drain(c->mail, c, CDR_LINES_MAX))
			;
		flush(c);
		counter_set(&c->counters, CDR_LOST, atomic_load(&c->lost) + mailbox_refused(c->mail));
	} while (!is_last);
	return NULL;
}

static void cdr_write(struct cdr_sink *sink, struct sv line)
{
	struct cdr *c = owner_of(sink, struct cdr, sink);
	struct cdr_line *l = malloc(sizeof(*l) + line.len);

	if (!l || line.len > BATCH_BYTES) {
		free(l);
		atomic_fetch_add(&c->lost, 1);
		return;
	}
	l->mail.deliver = line_deliver;
	l->len = line.len;
	memcpy(l->text, line.p, line.len);
	if (mailbox_post(c->mail, &l->mail, true)) /* the mailbox counts what it refuses */
		free(l);
}

int cdr_new(struct cdr_sink **out, const char *path, struct log *log)
{
	struct cdr *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->sink.write = cdr_write;
	c->log = log;
	c->fd = -1;
	strncpy(c->path, path, sizeof(c->path) - 1);
	if ((err = mailbox_new(&c->mail, CDR_LINES_MAX)) || (err = counters_init(&c->counters, cdr_counter_defs, CDR_COUNTERS)) ||
	    (err = file_open(c)) || (err = -pthread_create(&c->thread, NULL, writer, c))) {
		if (c->fd >= 0)
			close(c->fd);
		counters_fini(&c->counters);
		mailbox_free(c->mail);
		free(c);
		return err;
	}
	*out = &c->sink;
	return 0;
}

static void nothing_deliver(struct mail *m, void *reader)
{
	(void)reader;
	free(m);
}

static void wake(struct cdr *c)
{
	struct mail *m = calloc(1, sizeof(*m));

	if (!m)
		return; /* the writer looks by itself once a minute */
	m->deliver = nothing_deliver;
	if (mailbox_post(c->mail, m, true))
		free(m);
}

void cdr_free(struct cdr_sink *sink)
{
	struct cdr *c;

	if (!sink)
		return;
	c = owner_of(sink, struct cdr, sink);
	atomic_store(&c->is_stopping, true);
	wake(c);
	pthread_join(c->thread, NULL);
	close(c->fd);
	counters_fini(&c->counters);
	mailbox_free(c->mail);
	free(c);
}

void cdr_reopen(struct cdr_sink *sink)
{
	struct cdr *c = owner_of(sink, struct cdr, sink);

	atomic_store(&c->is_reopening, true);
	wake(c);
}

const struct counters *cdr_counters(const struct cdr_sink *sink)
{
	return &owner_of(sink, struct cdr, sink)->counters;
}
