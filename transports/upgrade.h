/* transports/upgrade.h - how a connection becomes a WebSocket (RFC 6455 §4), of the subprotocol `sip` (RFC 7118 §4): the server's
 * side, which reads a request and says what to answer, and the client's. Pure: no sockets, no clock. What comes out does not
 * depend on how the bytes were cut into pieces. */
#ifndef TRANSPORTS_UPGRADE_H
#define TRANSPORTS_UPGRADE_H
#include "base/buf.h"
#include "transports/stream.h"

enum upgrade_limits {
	UPGRADE_HEAD_MAX = 8192,     /* bytes of a request or answer with its empty line */
	UPGRADE_LINE_MAX = 4096,     /* bytes of a line without its end */
	UPGRADE_HEADERS_MAX = 64,
	UPGRADE_KEY_LEN = 24,        /* 16 bytes in base64 */
	UPGRADE_ACCEPT_LEN = 28,     /* 20 bytes in base64 */
	UPGRADE_ANSWER_MAX = 256,
};

/* What a listener takes. */
struct upgrade_rules {
	struct sv path;              /* of the request's target, exact; empty: "/" */
	const struct sv *origins;    /* patterns (sv_glob) of which one has to fit an Origin that is sent */
	size_t n_origins;            /* 0: any */
};

struct upgrade_held;
/* Zeroed is a fresh one. */
struct upgrade {
	struct upgrade_held *held;   /* the incomplete head, or the one just read; else NULL */
};

enum upgrade_got {
	UPGRADE_MORE,                /* the input is used up */
	UPGRADE_READ,                /* a head, or as much as was needed to refuse it */
	UPGRADE_FULL,                /* memory or the budget is out */
};

/* One head, or its end was not found where it had to be. */
struct upgrade_head {
	struct sv text;              /* start line to empty line; valid until the next call */
	uint16_t status;             /* 0; or what to refuse it with: 400, 414, 431 */
};

/* Takes what it can from `*bytes` (which it moves) and says what it found; what lies behind the head stays in `*bytes`. What is held
 * counts in `budget`. */
enum upgrade_got upgrade_next(struct upgrade *u, struct stream_budget *budget, struct stream_message *bytes, struct upgrade_head *out);
void upgrade_fini(struct upgrade *u, struct stream_budget *budget);

/* Server: 101 and the key for upgrade_answer(), or what to refuse the request with. */
unsigned upgrade_judge(const struct upgrade_rules *rules, const struct upgrade_head *head, struct sv *key);
/* The whole answer; `key` for 101 only. Nothing that a request said is in it. 0 bytes: the library of digests failed. */
size_t upgrade_answer(unsigned status, struct sv key, char out[UPGRADE_ANSWER_MAX]);

/* Client: a fresh key of 16 random bytes. 0 or -errno. */
int upgrade_key(char out[UPGRADE_KEY_LEN]);
/* NULL when memory is out. `host` with its port where it is not the scheme's. */
struct buf *upgrade_request(struct sv host, struct sv path, struct sv key);
/* 0, or -EPROTO: this is not the answer of a WebSocket server for SIP that read `key`. */
int upgrade_check(const struct upgrade_head *head, struct sv key);

#endif
