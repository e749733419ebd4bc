/* bench/link.c - see link.h. */
#include "bench/link.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { READ_BYTES = 16384,
       FRAME_HEAD_MAX = 14,
       FIRST_BYTES = 1024 };
enum { FRAME_TEXT = 1,
       FRAME_BINARY = 2,
       FRAME_CLOSE = 8,
       FRAME_PING = 9,
       FRAME_PONG = 10 };

/* Names -------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *via;
} kinds[] = { [LINK_TCP] = { "tcp", "TCP" }, [LINK_TLS] = { "tls", "TLS" }, [LINK_WS] = { "ws", "WS" }, [LINK_WSS] = { "wss", "WSS" } };

enum link_kind link_kind(const char *text)
{
	for (enum link_kind k = LINK_TCP; k <= LINK_WSS; k++)
		if (strcmp(text, kinds[k].name) == 0)
			return k;
	return LINK_NONE;
}

const char *link_via(enum link_kind kind)
{
	return kinds[kind].via;
}

/* RFC 7118 §5.2.1: `ws` in URIs, secure or not. */
const char *link_param(enum link_kind kind)
{
	return kind == LINK_WSS ? "ws" : kinds[kind].name;
}

struct in_addr link_address(unsigned i)
{
	return (struct in_addr){ htonl((127u << 24 | 96u << 16) + 1 + i) };
}

void link_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

bool link_to_init(struct link_to *to)
{
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes as to a file */
	if (!link_has_tls(to->kind))
		return true;
	if (!(to->tls = SSL_CTX_new(TLS_client_method())))
		return false;
	SSL_CTX_set_verify(to->tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(to->tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(to->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return true;
}

/* Bytes -------------------------------------------------------------------------------------------------------------- */

static void bytes_free(struct link_bytes *b)
{
	free(b->p);
	*b = (struct link_bytes){ 0 };
}

static size_t bytes_left(const struct link_bytes *b)
{
	return b->len - b->at;
}

/* Room for `n` more behind what is there. */
static bool bytes_room(struct link_bytes *b, size_t n)
{
	size_t size = b->size ? b->size : FIRST_BYTES;
	char *p;

	if (b->at) {
		memmove(b->p, b->p + b->at, bytes_left(b));
		b->len -= b->at;
		b->at = 0;
	}
	while (size < b->len + n)
		size *= 2;
	if (size == b->size)
		return true;
	if (!(p = realloc(b->p, size)))
		return false;
	b->p = p;
	b->size = size;
	return true;
}

/* What is used up is given back whole: an idle link holds no buffer. */
static void bytes_take(struct link_bytes *b, size_t n)
{
	b->at += n;
	if (b->at == b->len)
		bytes_free(b);
}

static bool gone(struct link *l, const char *why)
{
	l->why = why;
	link_close(l, true);
	return false;
}

/* Reading and writing ------------------------------------------------------------------------------------------------ */

enum moved { MOVED,
	     MOVED_NOTHING,
	     MOVED_OVER };

static enum moved tls_moved(struct link *l, int n)
{
	int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(l->ssl, n);

	l->wants_write = error == SSL_ERROR_WANT_WRITE;
	if (error == SSL_ERROR_NONE)
		return MOVED;
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? MOVED_NOTHING : MOVED_OVER;
}

static enum moved plain_moved(ssize_t n)
{
	if (n > 0)
		return MOVED;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? MOVED_NOTHING : MOVED_OVER;
}

static enum moved link_read(struct link *l, char *p, size_t size, size_t *n)
{
	enum moved how;
	ssize_t got;

	if (l->ssl) {
		ERR_clear_error();
		got = SSL_read(l->ssl, p, (int)size);
		how = tls_moved(l, (int)got);
	} else {
		got = recv(l->fd, p, size, 0);
		how = plain_moved(got);
	}
	*n = how == MOVED ? (size_t)got : 0;
	return how;
}

bool link_push(struct link *l)
{
	while (bytes_left(&l->out)) {
		enum moved how;
		ssize_t n;

		if (l->ssl) {
			ERR_clear_error();
			n = SSL_write(l->ssl, l->out.p + l->out.at, (int)bytes_left(&l->out));
			how = tls_moved(l, (int)n);
		} else {
			n = send(l->fd, l->out.p + l->out.at, bytes_left(&l->out), MSG_NOSIGNAL);
			how = plain_moved(n);
		}
		if (how == MOVED_OVER)
			return gone(l, "writing");
		if (how == MOVED_NOTHING)
			return true;
		bytes_take(&l->out, (size_t)n);
	}
	return true;
}

static bool fill(struct link *l)
{
	size_t n;

	for (;;) {
		if (bytes_left(&l->in) > LINK_WAITING_MAX || !bytes_room(&l->in, READ_BYTES))
			return gone(l, "no room");
		switch (link_read(l, l->in.p + l->in.len, READ_BYTES, &n)) {
		case MOVED_OVER:
			l->is_over = true;
			return true;
		case MOVED_NOTHING:
			if (!bytes_left(&l->in))
				bytes_free(&l->in);
			return true;
		default:
			l->in.len += n;
		}
	}
}

static bool put(struct link *l, const char *p, size_t len)
{
	if (bytes_left(&l->out) + len > LINK_WAITING_MAX || !bytes_room(&l->out, len))
		return false;
	memcpy(l->out.p + l->out.len, p, len);
	l->out.len += len;
	return true;
}

/* WebSocket ---------------------------------------------------------------------------------------------------------- */

/* RFC 6455 §4.1. */
static bool ask_upgrade(struct link *l)
{
	unsigned char nonce[16];
	char text[512], host[INET_ADDRSTRLEN];
	int n;

	RAND_bytes(nonce, sizeof(nonce));
	EVP_EncodeBlock((unsigned char *)l->key, nonce, sizeof(nonce));
	inet_ntop(AF_INET, &l->to->target.sin_addr, host, sizeof(host));
	n = snprintf(text, sizeof(text),
	             "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
	             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
	             l->to->path, l->to->name ? l->to->name : host, l->key);
	return put(l, text, (size_t)n);
}

/* RFC 6455 §4.2.2 step 5.4: what the server must answer to our key. */
static void accept_of(const char *key, char out[32])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char text[128];
	unsigned n = 0;

	snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	EVP_Digest(text, strlen(text), hash, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)out, hash, (int)n);
}

static bool is_upgraded(struct link *l)
{
	const char *p = l->in.p + l->in.at, *end;
	size_t len = bytes_left(&l->in);
	char wanted[32];

	if (!len || !(end = memmem(p, len, "\r\n\r\n", 4)))
		return true;
	accept_of(l->key, wanted);
	if (len < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0 || !memmem(p, (size_t)(end - p), wanted, strlen(wanted)))
		return gone(l, "upgrade refused");
	bytes_take(&l->in, (size_t)(end + 4 - p));
	l->state = LINK_UP;
	return true;
}

/* RFC 6455 §5.2, masked as clients must. */
static bool put_frame(struct link *l, unsigned kind, const char *p, size_t len)
{
	unsigned char head[FRAME_HEAD_MAX] = { (unsigned char)(0x80 | kind) }, *mask;
	size_t n = 2;

	if (len < 126) {
		head[1] = (unsigned char)len;
	} else {
		head[1] = 126;
		head[2] = (unsigned char)(len >> 8);
		head[3] = (unsigned char)len;
		n = 4;
	}
	head[1] |= 0x80;
	mask = head + n;
	RAND_bytes(mask, 4);
	if (len > 65535 || !put(l, (char *)head, n + 4) || !put(l, p, len))
		return false;
	for (size_t i = 0; i < len; i++)
		l->out.p[l->out.len - len + i] ^= (char)mask[i & 3];
	return true;
}

/* The next frame, whole: its kind, or -1 when there is none. A server neither masks nor, to us, fragments. */
static int next_frame(struct link *l, struct sv *out)
{
	const unsigned char *p = (unsigned char *)l->in.p + l->in.at;
	size_t have = bytes_left(&l->in), head = 2, len;

	if (have < 2)
		return -1;
	len = p[1] & 0x7f;
	if (len == 126) {
		head = 4;
		if (have < head)
			return -1;
		len = (size_t)p[2] << 8 | p[3];
	}
	if (!(p[0] & 0x80) || p[0] & 0x70 || p[1] & 0x80 || len == 127) {
		gone(l, "frame");
		return -1;
	}
	if (have < head + len)
		return -1;
	*out = (struct sv){ (const char *)p + head, len };
	return p[0] & 15;
}

static bool next_of_frames(struct link *l, struct sv *out)
{
	for (;;) {
		int kind = next_frame(l, out);

		if (kind < 0)
			return false;
		l->in.at = (size_t)(out->p + out->len - l->in.p); /* the bytes stay where they are */
		if (kind == FRAME_PING) {
			l->pings++;
			put_frame(l, FRAME_PONG, out->p, out->len);
		} else if (kind == FRAME_CLOSE) {
			l->is_over = true;
		} else if (kind == FRAME_TEXT || kind == FRAME_BINARY) {
			return true;
		}
	}
}

/* Streams ------------------------------------------------------------------------------------------------------------ */

/* RFC 3261 §18.3: 0 when it has not come whole. */
static size_t message_length(struct sv v)
{
	const char *end = memmem(v.p, v.len, "\r\n\r\n", 4), *p;
	size_t head, body;

	if (!end)
		return 0;
	head = (size_t)(end + 4 - v.p);
	p = memmem(v.p, head, "\r\nContent-Length:", 17);
	if (!p && !(p = memmem(v.p, head, "\r\nl:", 4)))
		return head;
	body = strtoul(strchr(p, ':') + 1, NULL, 10);
	return v.len >= head + body ? head + body : 0;
}

static bool next_of_stream(struct link *l, struct sv *out)
{
	struct sv v = { l->in.p + l->in.at, bytes_left(&l->in) };
	unsigned crlf = 0;

	for (; v.len && (*v.p == '\r' || *v.p == '\n'); v.p++, v.len--)
		if (++crlf == 4) { /* RFC 5626 §3.5.1 */
			l->pings++;
			put(l, "\r\n", 2);
			l->in.at = (size_t)(v.p + 1 - l->in.p);
			crlf = 0;
		}
	if (crlf && !v.len)
		return false; /* perhaps half of a ping */
	l->in.at = l->in.len - v.len;
	v.len = v.len ? message_length(v) : 0;
	l->in.at += v.len;
	*out = v;
	return v.len > 0;
}

bool link_next(struct link *l, struct sv *out)
{
	bool is_there;

	if (l->state != LINK_UP)
		return false;
	is_there = link_has_frames(l->to->kind) ? next_of_frames(l, out) : next_of_stream(l, out);
	if (!is_there && l->state == LINK_UP) {
		if (!bytes_left(&l->in))
			bytes_free(&l->in);
		link_push(l); /* pongs */
	}
	return is_there;
}

bool link_send(struct link *l, struct sv m)
{
	if (l->state != LINK_UP)
		return false;
	if (!(link_has_frames(l->to->kind) ? put_frame(l, FRAME_TEXT, m.p, m.len) : put(l, m.p, m.len)))
		return false;
	return link_push(l);
}

/* Steps -------------------------------------------------------------------------------------------------------------- */

static bool tls_begin(struct link *l)
{
	l->state = LINK_SHAKING;
	if (!(l->ssl = SSL_new(l->to->tls)) || SSL_set_fd(l->ssl, l->fd) != 1)
		return gone(l, "no TLS");
	if (l->to->name)
		SSL_set_tlsext_host_name(l->ssl, l->to->name);
	SSL_set_connect_state(l->ssl);
	return true;
}

static bool secured(struct link *l)
{
	if (!link_has_frames(l->to->kind)) {
		l->state = LINK_UP;
		return true;
	}
	l->state = LINK_UPGRADING;
	return ask_upgrade(l) && link_push(l);
}

/* Version 1, before anything else, as a balancer in front of the server would. */
static bool say_proxy(struct link *l)
{
	struct sockaddr_in self = { 0 };
	socklen_t len = sizeof(self);
	char text[128], host[INET_ADDRSTRLEN];
	int n;

	if (getsockname(l->fd, (struct sockaddr *)&self, &len) < 0)
		return gone(l, "PROXY header");
	self.sin_addr.s_addr = htonl(198u << 24 | 18u << 16 | (ntohl(self.sin_addr.s_addr) & 0x1ffff));
	inet_ntop(AF_INET, &self.sin_addr, host, sizeof(host));
	n = snprintf(text, sizeof(text), "PROXY TCP4 %s 203.0.113.7 %u 5060\r\n", host, ntohs(self.sin_port));
	return send(l->fd, text, (size_t)n, MSG_NOSIGNAL) == n || gone(l, "PROXY header");
}

static bool connected(struct link *l)
{
	int error = 0, on = 1;
	socklen_t len = sizeof(error);

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		errno = error;
		return gone(l, "connecting");
	}
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (l->to->says_proxy && !say_proxy(l))
		return false;
	return link_has_tls(l->to->kind) ? tls_begin(l) : secured(l);
}

static bool shake(struct link *l)
{
	ERR_clear_error();
	switch (tls_moved(l, SSL_do_handshake(l->ssl))) {
	case MOVED: return secured(l);
	case MOVED_OVER: return gone(l, "handshake");
	default: return true;
	}
}

bool link_step(struct link *l)
{
	if (l->state == LINK_CONNECTING && !connected(l))
		return false;
	if (l->state == LINK_SHAKING && !shake(l))
		return false;
	if (l->state < LINK_UPGRADING)
		return l->state != LINK_GONE;
	if (!fill(l) || (l->state == LINK_UPGRADING && !is_upgraded(l)))
		return false;
	if (l->is_over && !bytes_left(&l->in))
		return gone(l, "ended by the other side");
	return l->state == LINK_GONE ? false : link_push(l);
}

unsigned link_wants(const struct link *l)
{
	bool is_writing = l->state == LINK_CONNECTING || l->wants_write || (l->state >= LINK_UPGRADING && bytes_left(&l->out));

	return EPOLLIN | (is_writing ? (unsigned)EPOLLOUT : 0);
}

bool link_open(struct link *l, const struct link_to *to, struct in_addr from, int receive_buffer)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr = from };

	*l = (struct link){ .to = to, .state = LINK_CONNECTING };
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return gone(l, "socket");
	if (receive_buffer) { /* small segments, too: with loopback's the other side's kernel would take megabytes */
		int segment = 536;

		setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
		setsockopt(l->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	}
	if (bind(l->fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    (connect(l->fd, (const struct sockaddr *)&to->target, sizeof(to->target)) < 0 && errno != EINPROGRESS))
		return gone(l, "connecting");
	return true;
}

void link_close(struct link *l, bool is_reset)
{
	struct linger now = { .l_onoff = 1 };
	int error = errno;

	if (l->state == LINK_GONE && l->fd < 0)
		return;
	SSL_free(l->ssl);
	l->ssl = NULL;
	bytes_free(&l->in);
	bytes_free(&l->out);
	if (l->fd >= 0 && is_reset)
		setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->state = LINK_GONE;
	errno = error;
}
