/* admin/client.h - the asking side of the control socket (the protocol: ctl.h). */
#ifndef ADMIN_CLIENT_H
#define ADMIN_CLIENT_H
#include <stdbool.h>

/* Asks the process at `path` and copies its answer to the file descriptors `out` and `err`. Returns the answer's exit code;
 * 1 when there was no answer (`err` says why). Waits up to CLIENT_SILENCE_MS for each sign of life. */
enum { CLIENT_SILENCE_MS = 15000 };
int client_ask(const char *path, bool is_json, int argc, char *const *argv, int out, int err);

#endif
