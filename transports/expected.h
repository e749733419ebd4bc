/* transports/expected.h - names that peers of connections to be made have to prove, each by a number that fits into a path. A WebSocket's
 * has the path behind it that is asked for: "sip.example.com/ws", or "/ws" where no name has to be proved. Bounded: one that has not been
 * asked for in a long time makes room, and its number then stands for nobody. One worker's. */
#ifndef TRANSPORTS_EXPECTED_H
#define TRANSPORTS_EXPECTED_H
#include "base/hash.h"
#include "base/table.h"
#include "transports/net.h"

enum expected_limits {
	EXPECTED_MAX = 4096,
	EXPECTED_LEN_MAX = NET_HOST_MAX + NET_URL_PATH_MAX,
	EXPECTED_KEEP_MS = 3600000,
};

struct name;
struct expected {
	struct table by_name;
	struct hash_key key;
	struct name **slots;            /* NULL until there is one */
	uint32_t n;
	uint32_t generation;
};

/* 0 or -ENOMEM, -EIO. */
int expected_init(struct expected *s);
void expected_fini(struct expected *s);
/* Never 0, but for: a name too long, no room, no memory. */
uint32_t expected_id(struct expected *s, struct sv name, uint64_t now_ms);
/* Empty: nobody's. */
struct sv expected_name(const struct expected *s, uint32_t id);
/* Its parts: whom to prove, and the path; either may be empty. */
struct sv expected_host(const struct expected *s, uint32_t id);
struct sv expected_path(const struct expected *s, uint32_t id);

#endif
