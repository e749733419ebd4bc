/* transports/answers.h - the answers of name servers to one question each, by name and type: asked by c-ares, one question at a time for
 * all who want to know it, and kept as long as they say (RFC 1035, RFC 2308 for what is not there). One per worker, on its thread.
 * - An answer asked for in the last tenth of its time is asked anew meanwhile, so that names in use never have to be waited for.
 * - When the servers fail (not: when they say that something is not there) the last good answer is used on, for at most
 *   RESOLVER_STALE_MAX_S after its time (RFC 8767), and they are asked again after RESOLVER_RETRY_S.
 * - That something is not there is known of this name and type only. */
#ifndef TRANSPORTS_ANSWERS_H
#define TRANSPORTS_ANSWERS_H
#include "base/counters.h"
#include "base/list.h"
#include "transports/dns.h"
#include "transports/resolver.h"

struct answers;

/* Who waits for an answer. Those given to on_news are in no list any more. */
struct await {
	struct node in_answer; /* list_init()ed */
};

struct answers_params {
	struct poller *poller;
	struct wheel *wheel;
	struct log *log;
	struct counters *counters;                     /* resolver_counter_defs */
	const struct sv *servers;
	unsigned n_servers;
	void (*on_news)(void *ctx, struct await *w);   /* ask again: there is an answer, or none is to be expected */
	void *ctx;
};

/* As resolver_new. */
int answers_new(struct answers **out, const struct answers_params *p);
/* Who waits hears nothing. NULL is allowed. */
void answers_free(struct answers *a);

enum answers_wish {
	ANSWERS_OPTIONAL = 1, /* one can do without: a question that failed last time is not waited for again; absence may be stale, too */
	ANSWERS_URGENT = 2,   /* an old answer will do at once */
	ANSWERS_FOREIGN = 4,  /* a name out of a message: RESOLVE_FOREIGN_*_MAX hold, until it is asked for without this */
};

/* `wishes`: ANSWERS_* together. `is_stale`: set (never cleared) when the answer is past its time. 0: the set, which may have no records,
 * is borrowed until control returns to the loop. -EINPROGRESS: `await` (NULL: nobody, yet) will be told. Another error: the servers
 * failed; -ENOBUFS: too many questions, or memory is out. */
int answers_get(struct answers *a, const char *name, uint16_t type, unsigned wishes, const struct dns_set **out, bool *is_stale,
                struct await *await);
/* As in struct resolver_ops. */
void answers_each(const struct answers *a, void (*fn)(void *ctx, const struct resolve_entry *e), void *ctx);
unsigned answers_forget(struct answers *a, const char *name);

#endif
