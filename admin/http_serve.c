/* admin/http_serve.c - the serving thread: what libwebsockets tells of connections, and what they are answered. A connection goes through
 * READING (a request's head), ASKING (the control thread has it), WRITING, and back to READING or to its end; each has a deadline. */
#include "admin/http_inside.h"
#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 16384, HEADERS_MAX = 2048, SPARE_FDS = 16, ACCEPTS_MAX = 16, ACCEPT_PAUSE_MS = 1000, WAKE_MS = 1000 };

/* A page of ours may run our scripts and open WebSockets, to wherever its user says; nobody may frame it. */
static const char csp[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob: mediastream:; "
			  "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
static const char plain[] = "text/plain; charset=utf-8";

enum conn_state { READING, ASKING, WRITING };

struct answer {
	unsigned status;
	const char *type;
	struct sv body;
	char *owned;            /* the body's memory, if it is not a constant */
	size_t sent;
	bool is_head, ends, has_headers; /* HEAD: no body; the connection ends with it; headers are written */
};

struct http_conn {
	struct node in_http;
	struct http *http;
	struct lws *wsi;        /* NULL: gone while it was being adopted */
	enum conn_state state;
	bool is_adopted;
	struct http_reply *reply; /* while ASKING */
	struct answer answer;
};

static int conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
static int accept_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = conn_callback, .rx_buffer_size = 0 },
	{ .name = "accept", .callback = accept_callback, .rx_buffer_size = 0 },
	{ .name = NULL },
};

static void deadline(struct http_conn *c, unsigned ms)
{
	lws_set_timer_usecs(c->wsi, (lws_usec_t)ms * 1000);
}

/* Answers ------------------------------------------------------------------------------------------------------- */

static void answer_fini(struct answer *a)
{
	free(a->owned);
	*a = (struct answer){ 0 };
}

/* The answer stands; it is written when the socket takes it. */
static int conn_answer(struct http_conn *c, const struct answer *a)
{
	c->answer = *a;
	c->state = WRITING;
	deadline(c, c->http->stall_ms);
	return lws_callback_on_writable(c->wsi) < 0 ? -1 : 0;
}

/* One line of ours. The connection ends where more of the request may follow. */
static int conn_say(struct http_conn *c, unsigned status, bool is_head, bool ends, const char *line)
{
	return conn_answer(c, &(struct answer){ .status = status, .type = plain, .body = sv_from(line), .is_head = is_head, .ends = ends });
}

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), at, end);
}

static int add_headers(struct http_conn *c, unsigned char **at, unsigned char *end)
{
	static const char *const always[][2] = {
		{ "content-security-policy:", csp }, { "x-content-type-options:", "nosniff" }, { "referrer-policy:", "no-referrer" },
		{ "cross-origin-resource-policy:", "same-origin" }, { "cache-control:", "no-store" },
	};
	const struct answer *a = &c->answer;
	int err = lws_add_http_common_headers(c->wsi, a->status, a->type, a->body.len, at, end);

	for (unsigned i = 0; i < sizeof(always) / sizeof(*always) && !err; i++)
		err = add_header(c->wsi, always[i][0], always[i][1], at, end);
	if (a->status == 405 && !err)
		err = add_header(c->wsi, "allow:", "GET, HEAD", at, end);
	if (a->ends && !err)
		err = add_header(c->wsi, "connection:", "close", at, end);
	return err;
}

static int write_headers(struct http_conn *c)
{
	unsigned char room[LWS_PRE + HEADERS_MAX], *start = room + LWS_PRE, *at = start;

	c->answer.has_headers = true;
	if (add_headers(c, &at, room + sizeof(room) - 1) || lws_finalize_write_http_header(c->wsi, start, &at, room + sizeof(room)))
		return -1;
	return 0;
}

static int conn_written(struct http_conn *c)
{
	bool ends = c->answer.ends;

	answer_fini(&c->answer);
	c->state = READING;
	deadline(c, c->http->head_ms);
	return ends || lws_http_transaction_completed(c->wsi) ? -1 : 0;
}

/* As much as one turn takes; -1 ends the connection. */
static int conn_write(struct http_conn *c)
{
	struct answer *a = &c->answer;
	size_t left = a->body.len - a->sent, n = left < CHUNK ? left : CHUNK;
	unsigned char room[LWS_PRE + CHUNK];

	if (c->state != WRITING)
		return 0;
	if (!a->has_headers) {
		if (write_headers(c))
			return -1;
	} else {
		memcpy(room + LWS_PRE, a->body.p + a->sent, n);
		if (lws_write(c->wsi, room + LWS_PRE, n, n == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
			return -1;
		a->sent += n;
	}
	if (a->is_head || a->sent == a->body.len)
		return conn_written(c);
	deadline(c, c->http->stall_ms);
	return lws_callback_on_writable(c->wsi) < 0 ? -1 : 0;
}

/* Questions ----------------------------------------------------------------------------------------------------- */

static void orphan(struct http_conn *c)
{
	if (c->reply)
		c->reply->conn = NULL;
	c->reply = NULL;
}

void serve_on_answer(struct mail *m, void *reader)
{
	struct http_reply *r = owner_of(m, struct http_reply, mail);
	struct http_conn *c = r->conn;

	(void)reader;
	r->resource->n_questions--;
	if (c) {
		bool is_head = c->answer.is_head;

		orphan(c);
		if (conn_answer(c, &(struct answer){ .status = r->status, .type = r->type, .body = { r->body, r->len }, .owned = r->body,
		                                     .is_head = is_head }))
			lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_ACK, LWS_TO_KILL_ASYNC);
	} else
		free(r->body);
	free(r);
}

static int conn_ask(struct http_conn *c, struct http_resource *resource, bool is_head)
{
	struct http *h = c->http;
	struct http_reply *r = resource->n_questions < HTTP_QUESTIONS_MAX ? calloc(1, sizeof(*r)) : NULL;

	if (!r) {
		counter_inc(&h->counters, HTTP_TIMED_OUT);
		return conn_say(c, 503, is_head, false, "busy: earlier questions are not answered yet\n");
	}
	*r = (struct http_reply){ .mail = { http_on_question }, .http = h, .resource = resource, .conn = c };
	resource->n_questions++;
	c->reply = r;
	c->answer.is_head = is_head;
	c->state = ASKING;
	deadline(c, h->answer_ms);
	mailbox_post(h->questions, &r->mail, true); /* there is room: HTTP_MAILS */
	return 0;
}

/* The loop of the control thread does not turn, or a worker's does not. */
static int conn_give_up(struct http_conn *c)
{
	counter_inc(&c->http->counters, HTTP_TIMED_OUT);
	orphan(c);
	return conn_say(c, 503, c->answer.is_head, false, "no answer from within in time\n");
}

/* Requests ------------------------------------------------------------------------------------------------------ */

/* Who reaches a loopback address by another name was sent there by that name's owner (DNS rebinding). */
static bool is_for_us(struct lws *wsi)
{
	char host[128];
	int len = lws_hdr_total_length(wsi, WSI_TOKEN_HOST);
	struct addr a;

	if (!len)
		return true; /* HTTP/1.0: no browser */
	if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) < 0)
		return false;
	if (addr_parse(&a, sv_from(host)) == 0)
		return addr_is_loopback(&a);
	host[strcspn(host, ":")] = '\0';
	return strcasecmp(host, "localhost") == 0;
}

/* Those that libwebsockets has a number for; what it has none for counts towards HTTP_HEAD_CUT only. */
static size_t head_bytes(struct lws *wsi)
{
	size_t n = 0;

	for (int t = 0; t < WSI_TOKEN_COUNT; t++)
		n += (size_t)lws_hdr_total_length(wsi, (enum lws_token_indexes)t);
	return n;
}

static int refuse(struct http_conn *c, unsigned status, const char *line)
{
	counter_inc(&c->http->counters, HTTP_BAD_REQUESTS);
	return conn_say(c, status, false, true, line);
}

static int conn_request(struct http_conn *c)
{
	struct http *h = c->http;
	const struct site_file *file;
	char *uri = NULL;
	int len = 0, method = lws_http_get_uri_and_method(c->wsi, &uri, &len);
	bool is_head = method == LWSHUMETH_HEAD;
	struct sv path = { uri, len > 0 ? (size_t)len : 0 };

	counter_inc(&h->counters, HTTP_REQUESTS);
	if (method != LWSHUMETH_GET && !is_head)
		return refuse(c, 405, "only GET and HEAD\n");
	if (head_bytes(c->wsi) > HTTP_HEAD_MAX + HTTP_URI_MAX)
		return refuse(c, path.len > HTTP_URI_MAX ? 414 : 431, "the request is too long\n");
	if (!is_for_us(c->wsi))
		return refuse(c, 421, "this is 127.0.0.1, [::1] or localhost\n");
	if (path.len > HTTP_URI_MAX)
		return refuse(c, 414, "the address is too long\n");
	for (unsigned i = 0; i < h->n_resources; i++)
		if (sv_eq(path, sv_from(h->resource[i].path)))
			return conn_ask(c, &h->resource[i], is_head);
	file = site_find(h->site, path);
	if (!file)
		return conn_say(c, 404, is_head, false, "nothing is here\n");
	return conn_answer(c, &(struct answer){ .status = 200, .type = file->type, .body = file->bytes, .is_head = is_head });
}

/* Connections --------------------------------------------------------------------------------------------------- */

static void conn_gone(struct http_conn *c)
{
	orphan(c);
	answer_fini(&c->answer);
	c->wsi = NULL;
	if (!c->is_adopted)
		return; /* conn_new frees it */
	list_del(&c->in_http);
	c->http->n_conns--;
	free(c);
}

static int on_deadline(struct http_conn *c)
{
	if (c->state == ASKING)
		return conn_give_up(c);
	counter_inc(&c->http->counters, HTTP_SLOW_CLIENTS);
	return -1;
}

static int conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct http_conn *c = lws_get_opaque_user_data(wsi);

	(void)user;
	(void)in;
	(void)len;
	if (!c)
		return 0; /* libwebsockets' own */
	c->wsi = wsi;
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return conn_request(c);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return conn_write(c);
	case LWS_CALLBACK_TIMER:
		return on_deadline(c);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: /* neither WebSocket nor HTTP/2 */
		counter_inc(&c->http->counters, HTTP_BAD_REQUESTS);
		return -1;
	case LWS_CALLBACK_WSI_DESTROY:
		conn_gone(c);
		return 0;
	default:
		return 0;
	}
}

/* -ENOMEM, or the connection has its deadline and runs. */
static int conn_new(struct http *h, int fd)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	lws_adopt_desc_t how = { .vh = h->vhost, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .fd = { .sockfd = fd }, .opaque = c };

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->http = h;
	c->wsi = lws_adopt_descriptor_vhost_via_info(&how);
	if (!c->wsi) { /* it has closed `fd` */
		free(c);
		return -ENOMEM;
	}
	c->is_adopted = true;
	list_push(&h->conns, &c->in_http);
	h->n_conns++;
	deadline(c, h->head_ms);
	return 0;
}

static void accept_one(struct http *h, int fd)
{
	if (h->n_conns == HTTP_CONNECTIONS_MAX) {
		counter_inc(&h->counters, HTTP_REFUSED_CONNECTIONS);
		close(fd);
	} else if (conn_new(h, fd))
		counter_inc(&h->counters, HTTP_REFUSED_CONNECTIONS);
}

static void accept_all(struct http *h, struct lws *wsi)
{
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		int fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			accept_one(h, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			lws_rx_flow_control(wsi, 0); /* it would be ready at once, again and again */
			lws_set_timer_usecs(wsi, (lws_usec_t)ACCEPT_PAUSE_MS * 1000);
			return;
		} else if (errno == EAGAIN)
			return;
	}
}

static int accept_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct http *h = lws_context_user(lws_get_context(wsi));

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_RAW_RX_FILE)
		accept_all(h, wsi);
	else if (reason == LWS_CALLBACK_TIMER)
		lws_rx_flow_control(wsi, 1);
	else if (reason == LWS_CALLBACK_RAW_CLOSE_FILE)
		h->fd = -1; /* closed by libwebsockets */
	return 0;
}

/* Life ---------------------------------------------------------------------------------------------------------- */

int serve_open(struct http *h)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER, /* we listen ourselves: errors have names then, and connections a bound */
		.protocols = protocols,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME,
		.user = h,
		.fd_limit_per_thread = HTTP_CONNECTIONS_MAX + SPARE_FDS,
		.max_http_header_data = HTTP_HEAD_CUT,
		.max_http_header_pool = HTTP_CONNECTIONS_MAX,
		.server_string = "sbc",
		.vhost_name = "admin",
	};
	lws_sock_file_fd_type fd = { .filefd = h->fd };

	lws_set_log_level(0, NULL);
	h->context = lws_create_context(&info);
	h->vhost = h->context ? lws_create_vhost(h->context, &info) : NULL;
	if (!h->vhost || !lws_adopt_descriptor_vhost(h->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "accept", NULL))
		return -ENOMEM;
	return 0;
}

void *serve_run(void *http)
{
	struct http *h = http;

	while (!atomic_load_explicit(&h->is_ending, memory_order_relaxed) && lws_service(h->context, WAKE_MS) >= 0) {
		mailbox_ack(h->answers);
		while (mailbox_drain(h->answers, h, HTTP_MAILS))
			;
	}
	return NULL;
}

void serve_close(struct http *h)
{
	if (h->context)
		lws_context_destroy(h->context);
	if (h->fd >= 0)
		close(h->fd);
}
