#include "sbc/ask.h"
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

struct asker {
	struct loop *const *loops;
	unsigned n_loops;
	struct mailbox *mail;
	struct event *event;
};

static void on_mail(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	asker_look(ctx);
}

void asker_look(struct asker *a)
{
	mailbox_ack(a->mail);
	while (mailbox_drain(a->mail, a, ASK_MAILS))
		;
}

int asker_new(struct asker **out, struct event_base *base, struct loop *const *loops, unsigned n_loops)
{
	struct asker *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->loops = loops;
	a->n_loops = n_loops;
	err = mailbox_new(&a->mail, ASK_MAILS);
	if (!err && (!(a->event = event_new(base, mailbox_fd(a->mail), EV_READ | EV_PERSIST, on_mail, a)) || event_add(a->event, NULL)))
		err = -ENOMEM;
	if (err) {
		asker_free(a);
		return err;
	}
	*out = a;
	return 0;
}

void asker_free(struct asker *a)
{
	if (!a)
		return;
	if (a->event)
		event_free(a->event);
	mailbox_free(a->mail);
	free(a);
}

void ask_fini(struct ask *a)
{
	for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
		free(a->parts[i]);
}

static void one_answered(struct ask *a)
{
	if (--a->waiting == 0)
		a->finish(a);
}

static void part_back(struct mail *m, void *reader)
{
	(void)reader;
	one_answered(owner_of(m, struct ask_part, mail)->ask);
}

/* On the worker. */
static void part_work(struct mail *m, void *reader)
{
	struct ask_part *part = owner_of(m, struct ask_part, mail);
	struct ask *a = part->ask;

	a->work(a, reader, part);
	m->deliver = part_back;
	mailbox_post(a->asker->mail, m, true); /* finds room: see ASK_MAILS */
}

void ask_workers(struct asker *asker, struct ask *a)
{
	a->asker = asker;
	a->waiting = 1; /* ours, until all are asked */
	for (unsigned i = 0; i < asker->n_loops; i++) {
		struct ask_part *part = calloc(1, a->part_size);

		if (!part)
			continue;
		part->mail.deliver = part_work;
		part->ask = a;
		a->parts[i] = part;
		a->waiting++;
		if (loop_post(asker->loops[i], &part->mail, true)) {
			a->waiting--;
			a->parts[i] = NULL;
			free(part);
		}
	}
	one_answered(a);
}
