/* sbc/cdr.h - call detail records: JSON lines in an append file of their own (DECISIONS 28), written by a thread of its own within
 * CDR_GATHER_MS of the call's end. Blocks are reserved ahead, so that a disk that fills up is noticed before a record is lost. */
#ifndef SBC_CDR_H
#define SBC_CDR_H
#include "base/counters.h"
#include "base/log.h"
#include "sbc/call/b2bua.h"

enum cdr_limits {
	CDR_LINES_MAX = 65536,            /* waiting to be written; beyond: lost and counted */
	CDR_GATHER_MS = 50,               /* lines written together */
	CDR_RESERVE_BYTES = 4 << 20,      /* blocks asked of the file system ahead of the end */
	CDR_LOW_BYTES = 64 << 20,         /* free space below which the alarm is raised */
	CDR_RETRY_MS = 1000,              /* after a failed write: the lines are kept */
};

enum cdr_counter { CDR_WRITTEN, CDR_LOST, CDR_WRITE_ERRORS, CDR_DISK_LOW, CDR_COUNTERS };
extern const struct counter_def cdr_counter_defs[CDR_COUNTERS];

/* Appends to `path`. 0 or -errno. */
int cdr_new(struct cdr_sink **out, const char *path, struct log *log);
/* Writes what is left. NULL is allowed. */
void cdr_free(struct cdr_sink *sink);
/* Any thread: the file is opened anew before the next line. */
void cdr_reopen(struct cdr_sink *sink);
const struct counters *cdr_counters(const struct cdr_sink *sink);

#endif
