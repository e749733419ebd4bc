/* sbc/ask.h - one question to all workers: `work` runs on each of them, `finish` on the control thread when the last has answered.
 * Control thread. */
#ifndef SBC_ASK_H
#define SBC_ASK_H
#include "sbc/loop.h"

/* Answers on their way back: more than questions (CTL_CONNECTIONS_MAX, HTTP_QUESTIONS_MAX for /live and /metrics each, and a few of our
 * own) times workers. */
enum { ASK_MAILS = 8192 };

struct event_base;
struct asker;

int asker_new(struct asker **out, struct event_base *base, struct loop *const *loops, unsigned n_loops);
/* Takes the answers that have come back. */
void asker_look(struct asker *a);
/* After the workers have ended. */
void asker_free(struct asker *a);

/* One worker's share; the first member of what its user needs there. */
struct ask_part {
	struct mail mail;
	struct ask *ask;
};

struct ask {
	void (*work)(struct ask *a, struct worker *w, struct ask_part *part);
	void (*finish)(struct ask *a);  /* ends with ask_fini */
	size_t part_size;
	struct asker *asker;            /* private, as the rest */
	unsigned waiting;
	struct ask_part *parts[POOL_WORKERS_MAX]; /* of those that answered; NULL: no memory, or its mailbox was full */
};

/* `a` stays until `finish`, which may be called before this returns. Parts begin as zeros. */
void ask_workers(struct asker *asker, struct ask *a);
/* Frees the parts. */
void ask_fini(struct ask *a);

#endif
