/* transports/ws.h - WebSocket frames (RFC 6455 §5) on a byte stream, and the messages they make. Pure: no sockets, no clock. The
 * result does not depend on how the bytes were cut into pieces. Nothing is held between messages: a buffer exists only while a
 * frame or a message is incomplete. */
#ifndef TRANSPORTS_WS_H
#define TRANSPORTS_WS_H
#include "base/buf.h"
#include "transports/stream.h"

enum ws_opcode { WS_CONTINUED = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* RFC 6455 §7.4.1. */
enum ws_code {
	WS_CODE_NONE = 0,            /* a Close without one */
	WS_CODE_NORMAL = 1000, WS_CODE_GOING_AWAY = 1001, WS_CODE_PROTOCOL = 1002, WS_CODE_UNACCEPTABLE = 1003,
	WS_CODE_NO_TEXT = 1007, WS_CODE_POLICY = 1008, WS_CODE_TOO_BIG = 1009, WS_CODE_ERROR = 1011,
};

enum ws_limits {
	WS_CONTROL_MAX = 125,        /* bytes of a control frame's payload: RFC 6455 §5.5 */
	WS_HEAD_MAX = 14,            /* bytes of a frame's head */
	WS_OUR_HEAD_MAX = 4,         /* of a head of ours without a mask: nothing of ours is longer than NET_MESSAGE_MAX */
};

struct ws_held;
/* Zeroed is a fresh one of a server. */
struct ws {
	struct ws_held *held;        /* the incomplete frame or message, or the one just given out; else NULL */
	bool is_client;              /* the other side is a server, which does not mask */
	bool is_over;                /* closed or broken: whatever follows is skipped */
};

enum ws_got {
	WS_GOT_MORE,                 /* the input is used up */
	WS_GOT_MESSAGE,              /* one whole message */
	WS_GOT_PING, WS_GOT_PONG,
	WS_GOT_CLOSE,                /* their Close; nothing more will come */
	WS_GOT_FAULT,                /* what no WebSocket may send; nothing more will come */
	WS_GOT_FULL,                 /* memory or the budget is out; nothing more will come */
};

enum ws_fault { WS_FAULT_FRAME = 1, WS_FAULT_UNMASKED, WS_FAULT_TEXT, WS_FAULT_TOO_BIG };

struct ws_event {
	struct stream_message payload; /* of a message, ping, pong: until the next call, writable; with BUF_PAD readable bytes behind */
	uint16_t code;               /* CLOSE: theirs, or WS_CODE_NONE. FAULT: the one to close with */
	uint8_t fault;               /* enum ws_fault */
	bool is_text;                /* of a message */
};

/* Takes what it can from `*bytes` (which it moves) and says what it found. Call until WS_GOT_MORE. Text is UTF-8 when it comes out. What is
 * held counts in `budget`. BUF_PAD readable bytes must lie behind the input, which is written on. */
enum ws_got ws_next(struct ws *ws, struct stream_budget *budget, struct stream_message *bytes, struct ws_event *out);
/* Part of a frame or message has come, and not the whole. */
bool ws_is_partial(const struct ws *ws);
void ws_fini(struct ws *ws, struct stream_budget *budget);

/* The head of an unmasked final frame with a payload of `len` bytes (at most NET_MESSAGE_MAX). Returns its bytes. */
size_t ws_head(uint8_t opcode, size_t len, uint8_t out[WS_OUR_HEAD_MAX]);
/* A whole masked frame, as a client has to send it (RFC 6455 §5.3). `key` must be one that the payload's author could not foresee.
 * NULL when memory is out. */
struct buf *ws_masked(uint8_t opcode, struct sv payload, uint32_t key);
/* The payload of a Close. NULL when memory is out. */
struct buf *ws_close_payload(uint16_t code);
/* Whether it may go as text. */
bool ws_is_utf8(struct sv text);

#endif
