/* sbc/program.h - the process: configuration published to the workers, their start and their end, the control thread. */
#ifndef SBC_PROGRAM_H
#define SBC_PROGRAM_H
#include "conf/conf.h"

struct program;

enum node_limits {
	PROGRAM_POLL_MS = 500,          /* how often old snapshots are freed and the pools looked at */
	PROGRAM_STOP_POLL_MS = 100,     /* how often a closing node looks whether its calls are over */
};

/* Opens everything that can fail at start (sockets, keys, files) and says in one line on standard error what did. 0 or -errno;
 * `c` becomes the node's in either case. */
int program_new(struct program **out, struct conf *c);
/* Runs until SIGTERM or SIGINT; SIGHUP reloads and reopens the log. Returns the exit code. */
int program_run(struct program *n);
void program_free(struct program *n);

#endif
