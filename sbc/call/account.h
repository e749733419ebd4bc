/* sbc/call/account.h - our registrations at trunks (`register:`): one REGISTER client (RFC 3261 §10.2) per trunk, on the worker of its
 * name. It asks one destination of the pool after the other until one answers, comes again before what it was granted is over, waits
 * longer and longer while it is refused, and says good-bye when its trunk is gone or the SBC closes. How it is, is told by trunk_info. */
#ifndef SBC_CALL_ACCOUNT_H
#define SBC_CALL_ACCOUNT_H
#include "sbc/call/call.h"

enum account_limits {
	ACCOUNT_FIRST_MS = 30000,        /* upper bound of the first pause after a failure; doubles, */
	ACCOUNT_LONGEST_MS = 3600000,    /* up to this (RFC 5626 §4.5: half of it at least, and the rest by chance) */
	ACCOUNT_REFRESH_MIN_MS = 5000,   /* never sooner, whatever was granted */
	ACCOUNT_LEAVE_MS = 2000,         /* for the answer to the last REGISTER */
	ACCOUNT_SPREAD_MS = 20,          /* per trunk of the configuration: over so much their first REGISTERs are spread, */
	ACCOUNT_SPREAD_MAX_MS = 30000,   /* and no more */
	ACCOUNT_BRIEF_MAX = 2,           /* 423s in a row that are obeyed */
};

/* The Contacts that we register with, for requests to them; every worker has them all. 0 or -ENOMEM: then nothing has changed. */
int accounts_know(struct b2bua *b, const struct conf *next);
/* b->conf is another one: accounts of this worker come, go, and change. What finds no memory is tried again by accounts_retry. */
void accounts_adopt(struct b2bua *b);
void accounts_retry(struct b2bua *b);
/* The SBC closes. */
void accounts_leave(struct b2bua *b);
/* Without a word to anybody. */
void accounts_free(struct b2bua *b);

#endif
