#include "transports/ws.h"
#include "base/json.h"
#include "transports/held.h"
#include "transports/net.h"
#include <endian.h>
#include <stdlib.h>

enum { FIRST_CAP = 1024 }; /* bytes of a message's first buffer */

struct frame {
	uint64_t len;
	uint32_t mask;               /* as it lies in memory */
	uint8_t opcode;
	uint8_t head;                /* bytes of its head */
	bool is_final, is_masked, is_odd; /* odd: reserved bits, or a length in more bytes than it needs */
};

struct ws_held {
	struct frame frame;          /* once its head is whole */
	uint64_t at;                 /* bytes of its payload that have come */
	uint32_t len, cap;           /* of the message */
	uint8_t n_head;
	bool has_frame;
	bool is_given;               /* handed out: goes with the next call, or its payload does */
	uint8_t message;             /* opcode of the message that has begun; 0: none has */
	uint8_t head[WS_HEAD_MAX];
	char control[WS_CONTROL_MAX + BUF_PAD];
	char data[];                 /* cap + BUF_PAD */
};

/* Masks and text -------------------------------------------------------------------------------------------------- */

/* RFC 6455 §5.3; `at`: bytes of the payload before these. */
static void apply_mask(char *p, size_t len, uint32_t mask, uint64_t at)
{
	unsigned char key[4];
	uint64_t word = 0;
	size_t i = 0;

	if (!mask)
		return;
	memcpy(key, &mask, 4);
	for (unsigned k = 0; k < 8; k++)
		((unsigned char *)&word)[k] = key[(at + k) & 3];
	for (uint64_t eight; i + 8 <= len; i += 8) {
		memcpy(&eight, p + i, 8);
		eight ^= word;
		memcpy(p + i, &eight, 8);
	}
	for (; i < len; i++)
		p[i] = (char)((unsigned char)p[i] ^ key[(at + i) & 3]);
}

bool ws_is_utf8(struct sv text)
{
	while (text.len) {
		uint64_t eight;
		size_t n;

		if (text.len >= 8 && (memcpy(&eight, text.p, 8), !(eight & 0x8080808080808080ull)))
			n = 8;
		else
			n = utf8_len(text);
		if (!n)
			return false;
		text = sv_skip(text, n);
	}
	return true;
}

/* Heads ----------------------------------------------------------------------------------------------------------- */

static bool is_control(uint8_t opcode)
{
	return opcode & 8;
}

/* RFC 6455 §5.2. Writes `f` and returns true when the `n` bytes are enough. */
static bool read_head(struct frame *f, const uint8_t *p, size_t n)
{
	uint8_t size = n > 1 ? p[1] & 0x7f : 0;
	size_t need = 2 + (size == 126 ? 2 : size == 127 ? 8 : 0) + (n > 1 && p[1] & 0x80 ? 4 : 0);

	if (n < need)
		return false;
	*f = (struct frame){ .len = size, .opcode = p[0] & 0x0f, .head = (uint8_t)need, .is_final = p[0] & 0x80,
	                     .is_masked = p[1] & 0x80, .is_odd = p[0] & 0x70 };
	if (size == 126) {
		f->len = (uint64_t)p[2] << 8 | p[3];
		f->is_odd |= f->len < 126;
	} else if (size == 127) {
		uint64_t len;

		memcpy(&len, p + 2, 8);
		f->len = be64toh(len);
		f->is_odd |= f->len <= UINT16_MAX || f->len >> 63;
	}
	if (f->is_masked)
		memcpy(&f->mask, p + need - 4, 4);
	return true;
}

static bool is_known(uint8_t opcode)
{
	return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

/* 0, or an enum ws_fault. `message`: what has begun, `have`: bytes of it. */
static uint8_t judge(const struct ws *ws, const struct frame *f, uint8_t message, uint32_t have)
{
	if (f->is_odd || !is_known(f->opcode))
		return WS_FAULT_FRAME;
	if (f->is_masked == ws->is_client) /* RFC 6455 §5.1: a client masks, a server does not */
		return f->is_masked ? WS_FAULT_FRAME : WS_FAULT_UNMASKED;
	if (is_control(f->opcode))
		return f->is_final && f->len <= WS_CONTROL_MAX ? 0 : WS_FAULT_FRAME;
	if ((f->opcode == WS_CONTINUED) != (message != 0))
		return WS_FAULT_FRAME;
	return f->len > NET_MESSAGE_MAX - have ? WS_FAULT_TOO_BIG : 0;
}

/* Holding --------------------------------------------------------------------------------------------------------- */

static size_t size_of(const struct ws_held *h)
{
	return h ? sizeof *h + h->cap + BUF_PAD : 0;
}

static void drop(struct ws *ws, struct stream_budget *budget)
{
	held_free(ws->held, budget, size_of(ws->held));
	ws->held = NULL;
}

/* Makes room for a message of `need` bytes. Grows with what arrives, never with what was only promised. False: refused. */
static bool make_room(struct ws *ws, struct stream_budget *budget, uint32_t need)
{
	struct ws_held *h = ws->held;
	bool is_new = !h;
	uint32_t cap = h ? h->cap : 0;

	if (h && need <= cap)
		return true;
	if (need)
		cap = cap ? 2 * cap : FIRST_CAP;
	if (cap < need)
		cap = need;
	h = held_resize(h, budget, size_of(h), sizeof *h + cap + BUF_PAD);
	if (!h)
		return false;
	if (is_new)
		memset(h, 0, sizeof *h);
	h->cap = cap;
	ws->held = h;
	return true;
}

static enum ws_got end(struct ws *ws, struct stream_budget *budget, enum ws_got got)
{
	drop(ws, budget);
	ws->is_over = true;
	return got;
}

static enum ws_got is_faulty(struct ws *ws, struct stream_budget *budget, uint8_t fault, struct ws_event *out)
{
	*out = (struct ws_event){ .fault = fault, .code = fault == WS_FAULT_TEXT ? WS_CODE_NO_TEXT :
	                                                  fault == WS_FAULT_TOO_BIG ? WS_CODE_TOO_BIG : WS_CODE_PROTOCOL };
	return end(ws, budget, WS_GOT_FAULT);
}

/* Whole frames ---------------------------------------------------------------------------------------------------- */

/* RFC 6455 §7.4: what may stand in a Close; the others say what happened where there was none. */
static bool is_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum ws_got closed(struct ws *ws, struct stream_budget *budget, struct sv payload, struct ws_event *out)
{
	unsigned code = payload.len < 2 ? WS_CODE_NONE : (unsigned)((uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1]);

	if (payload.len == 1 || (payload.len && !is_code(code)))
		return is_faulty(ws, budget, WS_FAULT_FRAME, out);
	if (!ws_is_utf8(sv_skip(payload, 2)))
		return is_faulty(ws, budget, WS_FAULT_TEXT, out);
	*out = (struct ws_event){ .code = (uint16_t)code };
	return end(ws, budget, WS_GOT_CLOSE);
}

/* A whole control frame or message, without its mask. */
static enum ws_got whole(struct ws *ws, struct stream_budget *budget, uint8_t opcode, struct stream_message payload,
                         struct ws_event *out)
{
	struct sv text = { payload.p, payload.len };

	if (opcode == WS_CLOSE)
		return closed(ws, budget, text, out);
	if (opcode == WS_TEXT && !ws_is_utf8(text)) /* RFC 6455 §8.1 */
		return is_faulty(ws, budget, WS_FAULT_TEXT, out);
	*out = (struct ws_event){ .payload = payload, .is_text = opcode == WS_TEXT };
	return opcode == WS_PING ? WS_GOT_PING : opcode == WS_PONG ? WS_GOT_PONG : WS_GOT_MESSAGE;
}

/* The common case: a message in one frame that lies whole in the input, and stays there. WS_GOT_MORE: it is not that. */
static enum ws_got from_input(struct ws *ws, struct stream_budget *budget, struct stream_message *in, struct ws_event *out)
{
	struct stream_message payload;
	struct frame f;
	uint8_t fault;

	if (!read_head(&f, (const uint8_t *)in->p, in->len))
		return WS_GOT_MORE;
	if ((fault = judge(ws, &f, 0, 0)))
		return is_faulty(ws, budget, fault, out);
	if (!f.is_final || f.len > in->len - f.head)
		return WS_GOT_MORE;
	payload = (struct stream_message){ in->p + f.head, f.len };
	held_took(in, f.head + f.len);
	apply_mask(payload.p, payload.len, f.mask, 0);
	return whole(ws, budget, f.opcode, payload, out);
}

/* In pieces ------------------------------------------------------------------------------------------------------- */

/* What was handed out is over: all of it, or a control frame within a message. */
static void settle(struct ws *ws, struct stream_budget *budget)
{
	struct ws_held *h = ws->held;

	if (!h || !h->is_given)
		return;
	h->is_given = false;
	if (!h->message)
		drop(ws, budget);
}

/* Byte by byte: it is 14 at most. True when the frame's head is whole. */
static bool take_head(struct ws_held *h, struct stream_message *in)
{
	while (in->len && !h->has_frame) {
		h->head[h->n_head++] = (uint8_t)*in->p;
		held_took(in, 1);
		h->has_frame = read_head(&h->frame, h->head, h->n_head);
	}
	h->at = 0;
	return h->has_frame;
}

/* Some of the frame's payload. False: no room. */
static bool take_payload(struct ws *ws, struct stream_budget *budget, struct stream_message *in)
{
	const struct frame *f = &ws->held->frame;
	uint64_t rest = f->len - ws->held->at;
	uint32_t n = (uint32_t)(in->len < rest ? in->len : rest);
	char *to;

	if (!n)
		return true;
	if (is_control(f->opcode)) {
		to = ws->held->control + ws->held->at;
	} else {
		if (!make_room(ws, budget, ws->held->len + n))
			return false;
		f = &ws->held->frame;
		to = ws->held->data + ws->held->len;
		ws->held->len += n;
	}
	memcpy(to, in->p, n);
	apply_mask(to, n, f->mask, ws->held->at);
	ws->held->at += n;
	held_took(in, n);
	return true;
}

/* The frame is complete. WS_GOT_MORE: its message is not. */
static enum ws_got frame_end(struct ws *ws, struct stream_budget *budget, struct ws_event *out)
{
	struct ws_held *h = ws->held;
	uint8_t opcode = h->frame.opcode;

	h->has_frame = false;
	h->n_head = 0;
	if (is_control(opcode)) {
		h->is_given = true;
		return whole(ws, budget, opcode, (struct stream_message){ h->control, h->frame.len }, out);
	}
	if (!h->frame.is_final)
		return WS_GOT_MORE;
	opcode = h->message;
	h->message = 0;
	h->is_given = true;
	memset(h->data + h->len, 0, BUF_PAD);
	return whole(ws, budget, opcode, (struct stream_message){ h->data, h->len }, out);
}

static enum ws_got from_held(struct ws *ws, struct stream_budget *budget, struct stream_message *in, struct ws_event *out)
{
	while (in->len) {
		struct ws_held *h = ws->held;
		enum ws_got got = WS_GOT_MORE;
		uint8_t fault;

		if (!h->has_frame) {
			if (!take_head(h, in))
				break;
			if ((fault = judge(ws, &h->frame, h->message, h->len)))
				return is_faulty(ws, budget, fault, out);
			if (!is_control(h->frame.opcode) && !h->message)
				h->message = h->frame.opcode;
		}
		if (!take_payload(ws, budget, in))
			return end(ws, budget, WS_GOT_FULL);
		if (ws->held->at == ws->held->frame.len)
			got = frame_end(ws, budget, out);
		if (got != WS_GOT_MORE)
			return got;
	}
	return WS_GOT_MORE;
}

enum ws_got ws_next(struct ws *ws, struct stream_budget *budget, struct stream_message *in, struct ws_event *out)
{
	enum ws_got got;

	settle(ws, budget);
	if (ws->is_over)
		held_took(in, in->len);
	if (!in->len)
		return WS_GOT_MORE;
	if (!ws->held) {
		got = from_input(ws, budget, in, out);
		if (got != WS_GOT_MORE)
			return got;
		if (!make_room(ws, budget, 0))
			return end(ws, budget, WS_GOT_FULL);
	}
	return from_held(ws, budget, in, out);
}

bool ws_is_partial(const struct ws *ws)
{
	return ws->held && !(ws->held->is_given && !ws->held->message);
}

void ws_fini(struct ws *ws, struct stream_budget *budget)
{
	drop(ws, budget);
}

/* Out ------------------------------------------------------------------------------------------------------------- */

size_t ws_head(uint8_t opcode, size_t len, uint8_t out[WS_OUR_HEAD_MAX])
{
	out[0] = 0x80 | opcode;
	out[1] = (uint8_t)(len < 126 ? len : 126);
	if (len < 126)
		return 2;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	return 4;
}

struct buf *ws_masked(uint8_t opcode, struct sv payload, uint32_t key)
{
	uint8_t head[WS_OUR_HEAD_MAX];
	size_t n = ws_head(opcode, payload.len, head);
	struct buf *b = buf_new(n + 4 + payload.len);

	if (!b)
		return NULL;
	head[1] |= 0x80;
	memcpy(b->data, head, n);
	memcpy(b->data + n, &key, 4);
	if (payload.len)
		memcpy(b->data + n + 4, payload.p, payload.len);
	apply_mask(b->data + n + 4, payload.len, key, 0);
	return b;
}

struct buf *ws_close_payload(uint16_t code)
{
	char two[2] = { (char)(code >> 8), (char)(code & 0xff) };

	return buf_copy((struct sv){ two, code == WS_CODE_NONE ? 0 : 2 });
}
