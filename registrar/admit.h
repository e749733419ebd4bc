/* registrar/admit.h - how many REGISTER requests of one domain are dealt with, all workers together (DECISIONS 19). A wave that is larger
 * comes back spread: whoever is refused is told when there is a place for him. Nothing is kept of anybody. Any thread. */
#ifndef REGISTRAR_ADMIT_H
#define REGISTRAR_ADMIT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum admit_limits {
	ADMIT_BURST_MS = 1000,         /* what was not used is kept so long */
	ADMIT_KNOWN_MS = 250,          /* those who are registered may go so far beyond: a share is theirs whoever else comes */
	ADMIT_WAIT_MAX_S = 600,        /* the latest place that is promised; behind it the queue begins anew */
};

/* Zeroed: nobody has come yet. */
struct admission {
	_Atomic uint64_t level_us;     /* when all that was admitted has had its time */
	_Atomic uint64_t promised_us;  /* the last place that was given to somebody */
};

/* 0: go on. Else how many seconds later there is a place, at least 1. `per_minute` > 0. */
unsigned admit(struct admission *a, uint64_t per_minute, uint64_t now_ms, bool is_known);

#endif
