/* transports/expected.h - names that peers of connections to be made have to prove, each by a number that fits into a path. A WebSocket's
 * has the path behind it that is asked for: "sip.example.com/ws", or "/ws" where no name has to be proved. Bounded: the one that was not
 * asked for for longest makes room, and its number then stands for nobody. Whoever names a Contact can have names here; those that are
 * configured do not make room for them. One worker's; not to be moved once it is made. */
#ifndef TRANSPORTS_EXPECTED_H
#define TRANSPORTS_EXPECTED_H
#include "base/hash.h"
#include "base/list.h"
#include "base/table.h"
#include "transports/net.h"

enum expected_limits {
	EXPECTED_MAX = 4096,
	EXPECTED_LEN_MAX = NET_HOST_MAX + NET_URL_PATH_MAX,
	EXPECTED_KEEP_MS = 3600000,     /* a configured one, since it was last asked for */
};

struct name;
struct expected {
	struct table by_name;
	struct hash_key key;
	struct name **slots;            /* NULL until there is one */
	struct node by_use[2];          /* the rest; those that are configured: who was asked for last is at the end */
	uint32_t n;
	uint32_t generation;
};

/* 0 or -ENOMEM, -EIO. */
int expected_init(struct expected *s);
void expected_fini(struct expected *s);
/* 0 for no name; NET_NAME_NOBODY: it is too long, no room, no memory. `is_configured`: it stays so. */
uint32_t expected_id(struct expected *s, struct sv name, bool is_configured, uint64_t now_ms);
/* Empty: nobody's. */
struct sv expected_name(const struct expected *s, uint32_t id);
/* Its parts: whom to prove, and the path; either may be empty. */
struct sv expected_host(const struct expected *s, uint32_t id);
struct sv expected_path(const struct expected *s, uint32_t id);
/* When something was last said of a configured name, its user's to keep. NULL: it is none. */
uint64_t *expected_said_ms(struct expected *s, uint32_t id);

#endif
