/* sbc/call/waiting.h - a request that waits for what other workers know (DECISIONS 20): whom it names, who is registered. Its transaction
 * takes repetitions and CANCEL meanwhile; what goes on makes one of its own. */
#ifndef SBC_CALL_WAITING_H
#define SBC_CALL_WAITING_H
#include "sbc/call/call.h"

enum waiting_limits {
	WAITING_MS = 2000,           /* for other workers' answers */
};

struct waiting;

/* The request waits for what is known by `ticket` (b->last_ticket), for WAITING_MS; then it is refused for `late`, and counted in
 * `counter`. NULL: there is no room. */
struct waiting *waiting_new(struct b2bua *b, const struct request *r, uint64_t ticket, enum why late, enum call_counter counter);
/* NULL: it was given up, or came from somewhere else. */
struct waiting *waiting_find(struct b2bua *b, uint64_t ticket);
/* The wait is over: calls `go_on` with the request as it came; NULL when its transaction has ended. `w` is gone. */
void waiting_end(struct waiting *w, void (*go_on)(struct b2bua *b, struct request *r, void *with), void *with);
void waiting_free_all(struct b2bua *b);

#endif
