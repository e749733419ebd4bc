/* transports/stream.h - where one SIP message ends and the next begins on a byte stream (RFC 3261 §18.3, §7.5; RFC 5626
 * §3.5.1). Pure: no sockets, no clock. The result does not depend on how the bytes were cut into pieces. Nothing is
 * held between messages: a buffer exists only while a message is incomplete. */
#ifndef TRANSPORTS_STREAM_H
#define TRANSPORTS_STREAM_H
#include "base/sv.h"

/* What all streams of one worker together may hold of incomplete messages. */
struct stream_budget {
	size_t bytes, max;
};

struct stream_held;
/* Zeroed is a fresh one. */
struct stream {
	struct stream_held *held; /* the incomplete message, or the one just given out; else NULL */
	uint8_t crlf;             /* how much of CRLF CRLF has been seen between messages */
	bool is_over;             /* broken: whatever follows is skipped */
};

enum stream_got {
	STREAM_MORE,    /* the input is used up */
	STREAM_MESSAGE, /* one whole message */
	STREAM_BROKEN,  /* a head whose end or length cannot be known; nothing more will come of this stream */
	STREAM_PING,    /* CRLF CRLF between messages: RFC 5626 §3.5.1 wants a CRLF back */
	STREAM_FULL,    /* memory or the budget is out; nothing more will come of this stream */
};

struct stream_message {
	char *p; /* writable */
	size_t len;
};

/* Takes what it can from `*bytes` (which it moves) and says what it found. `out` is written for STREAM_MESSAGE and
 * STREAM_BROKEN and lies in the input or in the stream, until the next call. BUF_PAD readable bytes must lie behind the
 * input; as many lie behind what comes out. Call until STREAM_MORE. */
enum stream_got stream_next(struct stream *s, struct stream_budget *budget, struct stream_message *bytes,
                            struct stream_message *out);
/* Whether these bytes, whose end is known otherwise, are one message and not part of one or several: what follows the head is as long
 * as Content-Length says, where it says anything (RFC 7118 §5). */
bool stream_is_one(struct sv bytes);
/* Between messages and behind one CRLF, which was an answer to our own keep-alive: it does not count as half of one of theirs. */
bool stream_take_pong(struct stream *s);
/* Part of a message has come, and not the whole. */
bool stream_is_partial(const struct stream *s);
void stream_fini(struct stream *s, struct stream_budget *budget);

#endif
