#include "transports/held.h"
#include "transports/net.h"
#include <errno.h>
#include <stdlib.h>

enum {
	FIRST_CAP = 1024,   /* bytes of a message's first buffer */
	TAKE_STEP = 2048,   /* bytes copied at a time while the end of the head is not known */
};

/* How far a message has been understood. All numbers are offsets from its first byte. */
struct scan {
	uint32_t at;       /* looked at so far */
	uint32_t line;     /* where the current line begins */
	uint32_t length;   /* what stands behind the name and colon of Content-Length; 0 = none seen */
	uint32_t head;     /* the head's bytes with its empty line; 0 = not known yet */
	uint32_t whole;    /* head and body */
	bool is_twice;     /* Content-Length was there before */
};

struct stream_held {
	struct scan scan;
	uint32_t len, cap;
	bool is_given;     /* handed out: goes with the next call */
	char data[];       /* cap + BUF_PAD */
};

/* Lines and folds ------------------------------------------------------------------------------------------------- */

/* The bytes of the name and colon when this is a Content-Length line (HCOLON: RFC 3261 §25.1), else 0. */
static size_t length_name(struct sv line)
{
	static const struct sv names[] = { { "content-length", 14 }, { "l", 1 } };

	for (size_t i = 0; i < 2; i++) {
		size_t at = names[i].len;

		if (line.len <= at || !sv_ieq((struct sv){ line.p, at }, names[i]))
			continue;
		while (at < line.len && (line.p[at] == ' ' || line.p[at] == '\t'))
			at++;
		if (at < line.len && line.p[at] == ':')
			return at + 1;
	}
	return 0;
}

/* Past linear white space with its folds (LWS). */
static size_t skip_lws(struct sv v, size_t at)
{
	for (;;) {
		while (at < v.len && (v.p[at] == ' ' || v.p[at] == '\t'))
			at++;
		if (at + 2 >= v.len || v.p[at] != '\r' || v.p[at + 1] != '\n')
			return at;
		if (v.p[at + 2] != ' ' && v.p[at + 2] != '\t')
			return at;
		at += 2;
	}
}

/* `head` from behind the colon of its Content-Length on. 0, or -EBADMSG: not one number, or more than any message may have. */
static int read_length(struct sv head, uint32_t *out)
{
	size_t at = skip_lws(head, 0), first = at;
	uint32_t n = 0;

	for (; at < head.len && head.p[at] >= '0' && head.p[at] <= '9'; at++) {
		n = n * 10 + (uint32_t)(head.p[at] - '0');
		if (n > NET_MESSAGE_MAX)
			return -EBADMSG;
	}
	if (at == first)
		return -EBADMSG;
	at = skip_lws(head, at);
	if (at + 2 > head.len || head.p[at] != '\r' || head.p[at + 1] != '\n')
		return -EBADMSG;
	*out = n;
	return 0;
}

static void note_line(struct scan *sc, const char *p, uint32_t end)
{
	char first = p[sc->line] | 0x20;
	size_t name;

	if (sc->line == 0 || (first != 'c' && first != 'l'))
		return;
	if (first == 'c' && (end - sc->line < 9 || (p[sc->line + 8] | 0x20) != 'l'))
		return; /* Contact, Call-ID, CSeq, Content-Type: one look instead of a comparison each */
	if (!(name = length_name(sv_span(p + sc->line, p + end))))
		return;
	if (sc->length)
		sc->is_twice = true;
	else
		sc->length = sc->line + (uint32_t)name;
}

/* Looks for the empty line among `len` bytes; only CRLF ends a line, so that our idea of a head is never longer or
 * shorter than a strict neighbour's. True when the head is complete. */
static bool find_head(struct scan *sc, const char *p, uint32_t len)
{
	uint32_t to = len < NET_HEAD_MAX ? len : NET_HEAD_MAX;

	while (sc->at < to) {
		const char *nl = memchr(p + sc->at, '\n', to - sc->at);
		uint32_t end;

		if (!nl) {
			sc->at = to;
			break;
		}
		sc->at = end = (uint32_t)(nl - p) + 1;
		if (end < 2 || p[end - 2] != '\r')
			continue;
		if (end - sc->line == 2) {
			sc->head = end;
			return true;
		}
		note_line(sc, p, end);
		sc->line = end;
	}
	return false;
}

/* STREAM_MORE, STREAM_MESSAGE or STREAM_BROKEN, for the message that begins at `p`. Missing or doubtful
 * Content-Length: RFC 3261 §18.3, §20.14. */
static enum stream_got judge(struct scan *sc, const char *p, uint32_t len)
{
	uint32_t body;

	if (!sc->head) {
		if (!find_head(sc, p, len))
			return len < NET_HEAD_MAX ? STREAM_MORE : STREAM_BROKEN;
		if (!sc->length || sc->is_twice || read_length(sv_span(p + sc->length, p + sc->head), &body))
			return STREAM_BROKEN;
		sc->whole = sc->head + body;
		if (sc->whole > NET_MESSAGE_MAX)
			return STREAM_BROKEN;
	}
	return len < sc->whole ? STREAM_MORE : STREAM_MESSAGE;
}

/* How long what `judge` decided on is. */
static uint32_t judged_len(const struct scan *sc, enum stream_got got)
{
	if (got == STREAM_MESSAGE)
		return sc->whole;
	return sc->head ? sc->head : NET_HEAD_MAX;
}

/* Holding --------------------------------------------------------------------------------------------------------- */

static size_t size_of(const struct stream_held *h)
{
	return h ? sizeof *h + h->cap + BUF_PAD : 0;
}

static void drop(struct stream *s, struct stream_budget *budget)
{
	held_free(s->held, budget, size_of(s->held));
	s->held = NULL;
}

/* Makes room for `need` bytes. Grows with what arrives, never with what was only promised. False: refused. */
static bool make_room(struct stream *s, struct stream_budget *budget, uint32_t need)
{
	uint32_t had = s->held ? s->held->cap : 0, cap = had ? 2 * had : FIRST_CAP;
	struct stream_held *h;

	if (need <= had)
		return true;
	if (cap < need)
		cap = need;
	if (s->held && s->held->scan.whole && cap > s->held->scan.whole)
		cap = s->held->scan.whole;
	h = held_resize(s->held, budget, size_of(s->held), sizeof *h + cap + BUF_PAD);
	if (!h)
		return false;
	if (!had)
		memset(h, 0, sizeof *h);
	h->cap = cap;
	s->held = h;
	return true;
}

static bool held_append(struct stream *s, struct stream_budget *budget, struct stream_message *in, uint32_t n)
{
	uint32_t len = s->held ? s->held->len : 0;

	if (!make_room(s, budget, len + n))
		return false;
	memcpy(s->held->data + len, in->p, n);
	s->held->len = len + n;
	held_took(in, n);
	return true;
}

static enum stream_got is_full(struct stream *s, struct stream_budget *budget)
{
	drop(s, budget);
	s->is_over = true;
	return STREAM_FULL;
}

/* Messages -------------------------------------------------------------------------------------------------------- */

/* The common case: the message lies whole in the input, and stays there. */
static enum stream_got from_input(struct stream *s, struct stream_budget *budget, struct stream_message *in,
                                  struct stream_message *out)
{
	struct scan sc = { 0 };
	uint32_t len = in->len < NET_MESSAGE_MAX ? (uint32_t)in->len : NET_MESSAGE_MAX;
	enum stream_got got = judge(&sc, in->p, len);

	if (got == STREAM_MORE) {
		if (!held_append(s, budget, in, len))
			return is_full(s, budget);
		s->held->scan = sc;
		return STREAM_MORE;
	}
	*out = (struct stream_message){ in->p, judged_len(&sc, got) };
	held_took(in, out->len);
	s->is_over = got == STREAM_BROKEN;
	return got;
}

/* How much of the input the held message may take at once: its known rest, or a step towards the end of its head. */
static uint32_t held_wants(const struct stream_held *h, size_t there)
{
	uint32_t most = h->scan.whole ? h->scan.whole - h->len : NET_HEAD_MAX - h->len;

	if (!h->scan.whole && most > TAKE_STEP)
		most = TAKE_STEP;
	return there < most ? (uint32_t)there : most;
}

static enum stream_got from_held(struct stream *s, struct stream_budget *budget, struct stream_message *in,
                                 struct stream_message *out)
{
	enum stream_got got = STREAM_MORE;
	uint32_t len;

	while (got == STREAM_MORE && in->len > 0) {
		if (!held_append(s, budget, in, held_wants(s->held, in->len)))
			return is_full(s, budget);
		got = judge(&s->held->scan, s->held->data, s->held->len);
	}
	if (got == STREAM_MORE)
		return STREAM_MORE;
	/* What was taken too much came with the last step: the head's end cannot lie before it. */
	len = judged_len(&s->held->scan, got);
	in->p -= s->held->len - len;
	in->len += s->held->len - len;
	memset(s->held->data + len, 0, BUF_PAD);
	s->held->is_given = true;
	s->is_over = got == STREAM_BROKEN;
	*out = (struct stream_message){ s->held->data, len };
	return got;
}

/* CR and LF before a message mean nothing (RFC 3261 §7.5), except that two CRLFs in a row are a keep-alive. */
static bool skip_crlf(struct stream *s, struct stream_message *in)
{
	while (in->len > 0 && (*in->p == '\r' || *in->p == '\n')) {
		bool is_next = *in->p == "\r\n\r\n"[s->crlf];

		s->crlf = is_next ? s->crlf + 1 : *in->p == '\r';
		held_took(in, 1);
		if (s->crlf == 4) {
			s->crlf = 0;
			return true;
		}
	}
	if (in->len > 0)
		s->crlf = 0;
	return false;
}

enum stream_got stream_next(struct stream *s, struct stream_budget *budget, struct stream_message *in,
                            struct stream_message *out)
{
	if (s->held && s->held->is_given)
		drop(s, budget);
	if (s->is_over)
		held_took(in, in->len);
	if (in->len == 0)
		return STREAM_MORE;
	if (s->held)
		return from_held(s, budget, in, out);
	if (skip_crlf(s, in))
		return STREAM_PING;
	if (in->len == 0)
		return STREAM_MORE;
	return from_input(s, budget, in, out);
}

bool stream_is_one(struct sv bytes)
{
	struct scan sc = { 0 };
	uint32_t body;

	while (bytes.len && (*bytes.p == '\r' || *bytes.p == '\n'))
		bytes = sv_skip(bytes, 1);
	if (bytes.len > NET_MESSAGE_MAX || !find_head(&sc, bytes.p, (uint32_t)bytes.len))
		return false;
	if (!sc.length || sc.is_twice || read_length(sv_span(bytes.p + sc.length, bytes.p + sc.head), &body))
		return true; /* what is wrong with it is for whoever reads it */
	return sc.head + body <= bytes.len && !sv_trim(sv_skip(bytes, sc.head + body)).len;
}

bool stream_take_pong(struct stream *s)
{
	if (s->crlf != 2)
		return false;
	s->crlf = 0;
	return true;
}

bool stream_is_partial(const struct stream *s)
{
	return s->held && !s->held->is_given;
}

void stream_fini(struct stream *s, struct stream_budget *budget)
{
	drop(s, budget);
}
