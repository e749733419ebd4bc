/* base/mailbox.c - a ring of cells. A sender claims the position at `tail` while fewer than all cells lie between it
 * and `head`, fills the cell and marks it with the position (after D. Vyukov's bounded queue). The reader takes marked
 * cells in order; `head` alone tells senders that a cell is free again.
 *
 * Waking: `is_signalled` says that the eventfd has been written since the reader's last ack. A sender publishes its
 * mail, then sets the flag, and writes only if it was clear. The reader clears the flag before it looks into the
 * cells. Whoever finds the flag set knows that the reader has still to come, and will see the mail. A reader that is awake
 * and will look before it sleeps sets the flag itself. */
#include "base/mailbox.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LINE = 64, FEWEST = 4 };

struct cell {
	_Atomic size_t mark; /* position + 1 of the mail inside; 0 at first */
	struct mail *mail;
};

struct mailbox {
	_Alignas(LINE) _Atomic size_t tail; /* senders */
	_Alignas(LINE) _Atomic size_t head; /* the reader writes, senders look */
	_Alignas(LINE) _Atomic bool is_signalled;
	_Atomic uint64_t refused;
	_Alignas(LINE) size_t cells; /* from here on never written again */
	size_t for_all;              /* cells that mail which is not urgent may fill */
	int fd;
	struct cell *cell;
};

static void cells_init(struct mailbox *mb)
{
	for (size_t i = 0; i < mb->cells; i++) {
		atomic_init(&mb->cell[i].mark, 0);
		mb->cell[i].mail = NULL;
	}
}

int mailbox_new(struct mailbox **out, size_t cells)
{
	struct mailbox *mb;
	size_t n = FEWEST;

	if (cells > SIZE_MAX / 4 / sizeof(struct cell))
		return -ENOMEM;
	while (n < cells)
		n *= 2;
	mb = aligned_alloc(LINE, sizeof(*mb));
	if (!mb)
		return -ENOMEM;
	*mb = (struct mailbox){ .cells = n, .for_all = n - n / 4 };
	mb->cell = aligned_alloc(LINE, n * sizeof(*mb->cell));
	mb->fd = mb->cell ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	if (mb->fd < 0) {
		int err = mb->cell ? -errno : -ENOMEM;

		free(mb->cell);
		free(mb);
		return err;
	}
	cells_init(mb);
	*out = mb;
	return 0;
}

void mailbox_free(struct mailbox *mb)
{
	if (!mb)
		return;
	close(mb->fd);
	free(mb->cell);
	free(mb);
}

void mailbox_wake(struct mailbox *mb)
{
	uint64_t one = 1;

	if (atomic_exchange_explicit(&mb->is_signalled, true, memory_order_acq_rel))
		return;
	while (write(mb->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Claims the cell at the tail. A `head` read late only makes the box look fuller than it is; a tail read so late that
 * it lies behind the head (a huge `used`) fails the exchange and is read anew. */
static struct cell *claim(struct mailbox *mb, size_t room, size_t *pos)
{
	*pos = atomic_load_explicit(&mb->tail, memory_order_relaxed);
	for (;;) {
		size_t head = atomic_load_explicit(&mb->head, memory_order_acquire);
		size_t used = *pos - head;

		if (used >= room && used <= SIZE_MAX / 2)
			return NULL;
		if (atomic_compare_exchange_weak_explicit(&mb->tail, pos, *pos + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return &mb->cell[*pos & (mb->cells - 1)];
	}
}

int mailbox_put(struct mailbox *mb, struct mail *m, bool is_urgent)
{
	size_t pos;
	struct cell *cell = claim(mb, is_urgent ? mb->cells : mb->for_all, &pos);

	if (!cell) {
		atomic_fetch_add_explicit(&mb->refused, 1, memory_order_relaxed);
		return -ENOBUFS;
	}
	cell->mail = m;
	atomic_store_explicit(&cell->mark, pos + 1, memory_order_release);
	return 0;
}

int mailbox_post(struct mailbox *mb, struct mail *m, bool is_urgent)
{
	int err = mailbox_put(mb, m, is_urgent);

	if (!err)
		mailbox_wake(mb);
	return err;
}

size_t mailbox_drain(struct mailbox *mb, void *reader, size_t max)
{
	size_t pos = atomic_load_explicit(&mb->head, memory_order_relaxed);
	size_t n = 0;

	for (;; n++, pos++) {
		struct cell *cell = &mb->cell[pos & (mb->cells - 1)];
		struct mail *m;

		if (atomic_load_explicit(&cell->mark, memory_order_acquire) != pos + 1)
			return n; /* empty, or a sender is half way and will wake us */
		if (n == max)
			break;
		m = cell->mail;
		atomic_store_explicit(&mb->head, pos + 1, memory_order_release);
		m->deliver(m, reader);
	}
	mailbox_wake(mb); /* the rest is for the next turn of the loop */
	return n;
}

int mailbox_fd(const struct mailbox *mb)
{
	return mb->fd;
}

void mailbox_ack(struct mailbox *mb)
{
	uint64_t n;

	while (read(mb->fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	/* After the read: a sender in between finds the flag set, writes nothing, and its mail is drained now. */
	atomic_exchange_explicit(&mb->is_signalled, false, memory_order_acq_rel);
}

void mailbox_rise(struct mailbox *mb)
{
	atomic_store_explicit(&mb->is_signalled, true, memory_order_relaxed);
}

/* As with the ack: a sender whose exchange comes after ours writes, of one before it we see the mail. */
bool mailbox_rest(struct mailbox *mb)
{
	size_t pos = atomic_load_explicit(&mb->head, memory_order_relaxed);

	atomic_exchange_explicit(&mb->is_signalled, false, memory_order_acq_rel);
	if (atomic_load_explicit(&mb->cell[pos & (mb->cells - 1)].mark, memory_order_acquire) != pos + 1)
		return false;
	mailbox_rise(mb);
	return true;
}

uint64_t mailbox_refused(const struct mailbox *mb)
{
	return atomic_load_explicit(&mb->refused, memory_order_relaxed);
}
