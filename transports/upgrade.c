#include "transports/upgrade.h"
#include "base/hash.h"
#include "transports/held.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 1024, ACCEPT_BYTES = 20, KEY_BYTES = 16 };

/* How far a head has been understood. All numbers are offsets from its first byte. */
struct scan {
	uint32_t at;                 /* looked at so far */
	uint32_t line;               /* where the current line begins */
	uint32_t n_lines;            /* whole ones */
	uint16_t status;             /* why it goes no further; 0: nothing is wrong yet */
};

struct upgrade_held {
	struct scan scan;
	uint32_t len, cap;
	bool is_given;
	char data[];
};

/* The end of a head ----------------------------------------------------------------------------------------------- */

static uint16_t too_long(const struct scan *sc)
{
	return sc->n_lines ? 431 : 414;
}

/* Only CRLF ends a line. */
static bool line_ends(struct scan *sc, const char *p, uint32_t end)
{
	uint32_t len = end - sc->line;

	if (len > UPGRADE_LINE_MAX + 2)
		sc->status = too_long(sc);
	else if (len < 2 || p[end - 2] != '\r')
		sc->status = 400;
	else if (len == 2 && sc->n_lines)
		return true;
	else if (len == 2)
		sc->status = 400;
	else if (sc->n_lines++ > UPGRADE_HEADERS_MAX)
		sc->status = 431;
	sc->line = end;
	return sc->status != 0;
}

/* True: it goes no further, because the head is whole (up to `at`) or wrong. */
static bool find_end(struct scan *sc, const char *p, uint32_t len)
{
	uint32_t to = len < UPGRADE_HEAD_MAX ? len : UPGRADE_HEAD_MAX;

	while (sc->at < to) {
		const char *nl = memchr(p + sc->at, '\n', to - sc->at);

		sc->at = nl ? (uint32_t)(nl - p) + 1 : to;
		if (!nl)
			break;
		if (line_ends(sc, p, sc->at))
			return true;
	}
	if (sc->at - sc->line > UPGRADE_LINE_MAX + 2 || sc->at == UPGRADE_HEAD_MAX)
		sc->status = too_long(sc);
	return sc->status != 0;
}

/* Holding --------------------------------------------------------------------------------------------------------- */

static size_t size_of(const struct upgrade_held *h)
{
	return h ? sizeof *h + h->cap : 0;
}

static void drop(struct upgrade *u, struct stream_budget *budget)
{
	held_free(u->held, budget, size_of(u->held));
	u->held = NULL;
}

static bool make_room(struct upgrade *u, struct stream_budget *budget, uint32_t need)
{
	uint32_t had = u->held ? u->held->cap : 0, cap = had ? had : FIRST_CAP;
	struct upgrade_held *h;

	while (cap < need)
		cap *= 2;
	if (cap == had)
		return true;
	h = held_resize(u->held, budget, size_of(u->held), sizeof *h + cap);
	if (!h)
		return false;
	if (!had)
		memset(h, 0, sizeof *h);
	h->cap = cap;
	u->held = h;
	return true;
}

static void give(struct upgrade_head *out, const struct scan *sc, const char *p)
{
	*out = (struct upgrade_head){ { p, sc->at }, sc->status };
}

static enum upgrade_got from_held(struct upgrade *u, struct stream_budget *budget, struct stream_message *in, struct upgrade_head *out)
{
	uint32_t len = u->held ? u->held->len : 0;
	uint32_t n = (uint32_t)(in->len < UPGRADE_HEAD_MAX - len ? in->len : UPGRADE_HEAD_MAX - len);
	struct upgrade_held *h;

	if (!make_room(u, budget, len + n)) {
		drop(u, budget);
		return UPGRADE_FULL;
	}
	h = u->held;
	memcpy(h->data + len, in->p, n);
	h->len = len + n;
	if (!find_end(&h->scan, h->data, h->len)) {
		held_took(in, n);
		return UPGRADE_MORE;
	}
	held_took(in, h->scan.at - len); /* it did not end before these */
	h->is_given = true;
	give(out, &h->scan, h->data);
	return UPGRADE_READ;
}

enum upgrade_got upgrade_next(struct upgrade *u, struct stream_budget *budget, struct stream_message *in, struct upgrade_head *out)
{
	struct scan sc = { 0 };

	if (u->held && u->held->is_given)
		drop(u, budget);
	if (!in->len)
		return UPGRADE_MORE;
	if (u->held || !find_end(&sc, in->p, in->len < UPGRADE_HEAD_MAX ? (uint32_t)in->len : UPGRADE_HEAD_MAX))
		return from_held(u, budget, in, out);
	give(out, &sc, in->p); /* the common case: it came whole */
	held_took(in, sc.at);
	return UPGRADE_READ;
}

void upgrade_fini(struct upgrade *u, struct stream_budget *budget)
{
	drop(u, budget);
}

/* Headers --------------------------------------------------------------------------------------------------------- */

/* Those that we look at. One of them that may be there once only and is there twice makes a head wrong. */
enum field { FIELD_NONE, HOST, UPGRADE, CONNECTION, KEY, VERSION, PROTOCOL, ORIGIN, ACCEPT, EXTENSIONS, LENGTH, CODING, FIELDS };

static const struct {
	const char *name;
	bool is_list;                /* several make one: RFC 9110 §5.3 */
} fields[FIELDS] = {
	[FIELD_NONE] = { "", true }, [HOST] = { "host", false }, [UPGRADE] = { "upgrade", true }, [CONNECTION] = { "connection", true },
	[KEY] = { "sec-websocket-key", false }, [VERSION] = { "sec-websocket-version", false },
	[PROTOCOL] = { "sec-websocket-protocol", true }, [ORIGIN] = { "origin", false }, [ACCEPT] = { "sec-websocket-accept", false },
	[EXTENSIONS] = { "sec-websocket-extensions", true }, [LENGTH] = { "content-length", false },
	[CODING] = { "transfer-encoding", true },
};

struct http {
	struct sv start;             /* its start line */
	struct sv values[FIELDS];    /* of the last one of each name */
	bool has[FIELDS];
	/* What lists of tokens are asked for, whichever line it stands in. */
	bool upgrades_websocket, connection_upgrades, speaks_sip;
};

/* RFC 9110 §5.6.2. */
static bool is_token(struct sv v)
{
	for (size_t i = 0; i < v.len; i++) {
		char c = v.p[i], lower = (char)(c | 0x20);

		if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c))))
			return false;
	}
	return v.len > 0;
}

static bool has_controls(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if (((unsigned char)v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
			return true;
	return false;
}

static enum field field_of(struct sv name)
{
	for (enum field f = HOST; f < FIELDS; f++)
		if (sv_ieq(name, sv_from(fields[f].name)))
			return f;
	return FIELD_NONE;
}

/* Whether `token` is one of a list's. `any_case` as its header says. */
static bool lists(struct sv list, struct sv token, bool any_case)
{
	while (list.len) {
		size_t comma = sv_chr(list, ',');
		struct sv one = sv_trim((struct sv){ list.p, comma });

		if (any_case ? sv_ieq(one, token) : sv_eq(one, token))
			return true;
		list = sv_skip(list, comma + 1);
	}
	return false;
}

/* False: it is no header, or one too many of its name. */
static bool read_header(struct http *h, struct sv line)
{
	size_t colon = sv_chr(line, ':');
	struct sv name = { line.p, colon }, value = sv_skip(line, colon + 1);
	enum field f;

	if (colon == line.len || !is_token(name) || has_controls(value)) /* folding is no more: RFC 9112 §5.2 */
		return false;
	f = field_of(name);
	if (h->has[f] && !fields[f].is_list)
		return false;
	value = sv_trim(value);
	h->has[f] = true;
	h->values[f] = value;
	h->upgrades_websocket |= f == UPGRADE && lists(value, SV("websocket"), true);
	h->connection_upgrades |= f == CONNECTION && lists(value, SV("upgrade"), true);
	h->speaks_sip |= f == PROTOCOL && lists(value, SV("sip"), false);
	return true;
}

static struct sv next_line(struct sv *text)
{
	size_t nl = sv_chr(*text, '\n');
	struct sv line = { text->p, nl - 1 }; /* upgrade_next() knows of the CR */

	*text = sv_skip(*text, nl + 1);
	return line;
}

static bool read_http(struct http *h, struct sv text)
{
	struct sv line;

	*h = (struct http){ .start = next_line(&text) };
	while (line = next_line(&text), line.len)
		if (!read_header(h, line))
			return false;
	return true;
}

/* The server's side ----------------------------------------------------------------------------------------------- */

/* Cuts `line` at its next blank. */
static struct sv next_word(struct sv *line)
{
	size_t blank = sv_chr(*line, ' ');
	struct sv word = { line->p, blank };

	*line = sv_skip(*line, blank + 1);
	return word;
}

/* Without scheme and authority (RFC 9112 §3.2.2), without query. */
static struct sv path_of(struct sv target)
{
	size_t authority = sv_find(target, SV("://"));

	if (target.len && target.p[0] != '/' && authority != SIZE_MAX) {
		target = sv_skip(target, authority + 3);
		target = sv_skip(target, sv_chr(target, '/'));
	}
	target.len = sv_chr(target, '?');
	return target.len ? target : SV("/");
}

/* RFC 9112 §3: method SP target SP HTTP/1.x. 0, or what to refuse it with. */
static unsigned judge_line(const struct upgrade_rules *rules, struct sv line)
{
	struct sv method = next_word(&line), target = next_word(&line);
	struct sv want = rules->path.len ? rules->path : SV("/");

	if (!is_token(method) || !target.len || has_controls(target) || line.len != 8 || memcmp(line.p, "HTTP/1.", 7) != 0)
		return 400;
	if (line.p[7] < '1' || line.p[7] > '9') /* RFC 6455 §4.1: at least 1.1 */
		return 400;
	if (!sv_eq(method, SV("GET")))
		return 405;
	return sv_eq(path_of(target), want) ? 0 : 404;
}

static bool is_base64(struct sv v, size_t letters, size_t len)
{
	if (v.len != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = v.p[i], lower = (char)(c | 0x20);
		bool is_letter = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';

		if (i < letters ? !is_letter : c != '=')
			return false;
	}
	return true;
}

/* Who sends no Origin is no browser, and could send any (RFC 6455 §10.2). */
static bool is_from_home(const struct upgrade_rules *rules, const struct http *h)
{
	if (!rules->n_origins || !h->has[ORIGIN])
		return true;
	for (size_t i = 0; i < rules->n_origins; i++)
		if (sv_glob(rules->origins[i], h->values[ORIGIN]))
			return true;
	return false;
}

unsigned upgrade_judge(const struct upgrade_rules *rules, const struct upgrade_head *head, struct sv *key)
{
	struct http h;
	unsigned status;

	if (head->status)
		return head->status;
	if (!read_http(&h, head->text))
		return 400;
	if ((status = judge_line(rules, h.start)))
		return status;
	if (!h.has[HOST] || h.has[CODING] || (h.has[LENGTH] && !sv_eq(h.values[LENGTH], SV("0"))))
		return 400;
	if (!h.upgrades_websocket || !h.has[VERSION] || !sv_eq(h.values[VERSION], SV("13")))
		return 426;
	if (!h.connection_upgrades || !is_base64(h.values[KEY], 22, UPGRADE_KEY_LEN))
		return 400;
	if (!is_from_home(rules, &h))
		return 403;
	if (!h.speaks_sip) /* RFC 7118 §4 */
		return 400;
	*key = h.values[KEY];
	return 101;
}

/* RFC 6455 §4.2.2, 5.4. */
static bool accept_of(struct sv key, char out[UPGRADE_ACCEPT_LEN + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[UPGRADE_KEY_LEN + sizeof guid], hash[EVP_MAX_MD_SIZE];
	unsigned len;

	memcpy(text, key.p, UPGRADE_KEY_LEN);
	memcpy(text + UPGRADE_KEY_LEN, guid, sizeof guid);
	if (EVP_Digest(text, UPGRADE_KEY_LEN + sizeof guid - 1, hash, &len, EVP_sha1(), NULL) != 1 || len != ACCEPT_BYTES)
		return false;
	EVP_EncodeBlock((unsigned char *)out, hash, ACCEPT_BYTES);
	return true;
}

static const char *phrase(unsigned status)
{
	switch (status) {
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed\r\nAllow: GET";
	case 414: return "URI Too Long";
	case 426: return "Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable\r\nRetry-After: 5";
	default:  return "Bad Request";
	}
}

/* Who looks here with a browser, to accept our certificate, is told that all is well. */
static const char no_page[] = "This is a WebSocket for SIP, without a page: a phone in this browser can use it.\n";

size_t upgrade_answer(unsigned status, struct sv key, char out[UPGRADE_ANSWER_MAX])
{
	const char *body = status == 426 ? no_page : "";
	char accept[UPGRADE_ACCEPT_LEN + 1];
	int n;

	if (status == 101 && !accept_of(key, accept))
		return 0;
	if (status == 101)
		n = snprintf(out, UPGRADE_ANSWER_MAX, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: sip\r\n\r\n", accept);
	else
		n = snprintf(out, UPGRADE_ANSWER_MAX, "HTTP/1.1 %u %s\r\nConnection: close%s\r\nContent-Length: %zu\r\n\r\n%s", status,
		             phrase(status), status == 426 ? ", Upgrade" : "", strlen(body), body);
	return (size_t)n;
}

/* The client's side ----------------------------------------------------------------------------------------------- */

int upgrade_key(char out[UPGRADE_KEY_LEN])
{
	unsigned char bytes[KEY_BYTES];
	char text[UPGRADE_KEY_LEN + 1];
	int err = random_bytes(bytes, sizeof bytes);

	if (err)
		return err;
	EVP_EncodeBlock((unsigned char *)text, bytes, sizeof bytes);
	memcpy(out, text, UPGRADE_KEY_LEN);
	return 0;
}

struct buf *upgrade_request(struct sv host, struct sv path, struct sv key)
{
	static const char format[] = "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	                             "Sec-WebSocket-Key: %.*s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
	struct sv target = path.len ? path : SV("/");
	int n = snprintf(NULL, 0, format, SV_ARG(target), SV_ARG(host), SV_ARG(key));
	struct buf *b = buf_new((size_t)n);

	if (b) /* its end falls into the pad, which is zero anyway */
		snprintf(b->data, (size_t)n + 1, format, SV_ARG(target), SV_ARG(host), SV_ARG(key));
	return b;
}

/* RFC 6455 §4.1, what a client checks; RFC 7118 §4.1. We offered no extension, so there may be none. */
int upgrade_check(const struct upgrade_head *head, struct sv key)
{
	char accept[UPGRADE_ACCEPT_LEN + 1];
	struct http h;

	if (head->status || !read_http(&h, head->text) || !accept_of(key, accept))
		return -EPROTO;
	if (h.start.len < 13 || memcmp(h.start.p, "HTTP/1.1 101 ", 13) != 0 || !h.upgrades_websocket || !h.connection_upgrades)
		return -EPROTO;
	if (!sv_eq(h.values[ACCEPT], (struct sv){ accept, UPGRADE_ACCEPT_LEN }) || h.has[EXTENSIONS] ||
	    !sv_eq(h.values[PROTOCOL], SV("sip")))
		return -EPROTO;
	return 0;
}
