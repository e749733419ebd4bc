/* topohide/guard.h - a last look at what leaves (`hiding.guard`): does it name the side that caused it, or any zone but the receiver's?
 * The rewrites of topohide/ and sbc/call/ leave nothing to find; this is for the day they do. One per worker. */
#ifndef TOPOHIDE_GUARD_H
#define TOPOHIDE_GUARD_H
#include "base/log.h"
#include "base/wheel.h"
#include "sip/txn.h"
#include "topohide/hide.h"

enum guard_limits { GUARD_LOG_MS = 10000 }; /* between two log lines: a peer may trigger them at will; the counters miss nothing */

struct guard {
	struct sip_guard base;            /* what the stack asks; base.cause is what is being worked on */
	const struct hide_index *index;
	const struct conf *conf;
	struct counters *counters;        /* hide_counter_defs */
	struct log *log;                  /* may be NULL */
	const struct wheel *wheel;
	uint64_t logged_ms;
	bool has_logged;
};

/* All of them outlive the guard. */
void guard_init(struct guard *g, const struct wheel *wheel, struct counters *counters, struct log *log);
/* Follows a snapshot. */
void guard_adopt(struct guard *g, const struct conf *c, const struct hide_index *index);

#endif
