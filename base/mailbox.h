/* base/mailbox.h - the one door between threads: bounded, lock-free, many senders, one reader; first in
 * first out per sender; one eventfd wake per batch. */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded at the start of what is sent. `deliver` runs on the reader's thread and owns the mail. */
struct mail {
	void (*deliver)(struct mail *m, void *reader);
};

struct mailbox; /* cache-line separated cells and indexes: see mailbox.c */

/* `cells` is rounded up to a power of two. 0, -ENOMEM, or what eventfd says. */
int mailbox_new(struct mailbox **out, size_t cells);
/* Mails still inside are delivered by nobody: the caller drains first. */
void mailbox_free(struct mailbox *mb);
/* Any thread. `is_urgent` may use the last quarter of the cells (in-dialog requests, responses, control);
 * others are refused there. 0 = handed over, or -ENOBUFS: still the caller's. Counts refusals. */
int mailbox_post(struct mailbox *mb, struct mail *m, bool is_urgent);
/* The same in two steps, for who hands over many at once: the reader may sleep on until mailbox_wake(). */
int mailbox_put(struct mailbox *mb, struct mail *m, bool is_urgent);
void mailbox_wake(struct mailbox *mb);
/* Reader only: delivers up to `max` mails; returns how many. What `max` left inside makes the descriptor readable
 * again. */
size_t mailbox_drain(struct mailbox *mb, void *reader, size_t max);
/* Readable when there is mail. mailbox_ack() before draining makes it quiet again. */
int mailbox_fd(const struct mailbox *mb);
void mailbox_ack(struct mailbox *mb);
/* Instead of mailbox_ack(), for a reader that drains in each of its turns and watches the descriptor edge-triggered:
 * mailbox_rest() before it sleeps, mailbox_rise() when it wakes. In between senders have to write, but nobody has to
 * read; otherwise they do not even write. True: mail came meanwhile, so it should not sleep. */
bool mailbox_rest(struct mailbox *mb);
void mailbox_rise(struct mailbox *mb);
uint64_t mailbox_refused(const struct mailbox *mb);

#endif
