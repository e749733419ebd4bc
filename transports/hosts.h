/* transports/hosts.h - the names the operator has given addresses in /etc/hosts, in memory. The file is looked at (stat) when a name is
 * asked for and HOSTS_LOOK_MS are over, and read when it has changed: what peers name costs no file. Of too many names the first ones
 * are known, and the log says so. One per worker, on its thread. */
#ifndef TRANSPORTS_HOSTS_H
#define TRANSPORTS_HOSTS_H
#include "base/log.h"
#include "transports/dns.h"

enum hosts_limits {
	HOSTS_LOOK_MS = 30000,
	HOSTS_NAMES_MAX = 4096,
	HOSTS_BYTES_MAX = 1 << 20, /* of the file */
};

struct host {
	unsigned n;
	struct addr addr[DNS_KEPT_MAX]; /* without ports, each once, IPv4 first */
	const char *name;               /* as dns_name has it */
};

struct hosts;

/* `path` is borrowed for good. 0, also without a file, or -ENOMEM. */
int hosts_new(struct hosts **out, const char *path, struct log *log);
/* NULL is allowed. */
void hosts_free(struct hosts *h);
/* `name` as dns_name has it. Borrowed until the next look-up; NULL: it is not there. */
const struct host *hosts_find(struct hosts *h, const char *name, uint64_t now_ms);
/* Those that were found since the file was read. */
void hosts_each_used(const struct hosts *h, void (*fn)(void *ctx, const struct host *host), void *ctx);

#endif
