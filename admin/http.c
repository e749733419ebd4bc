/* admin/http.c - the control thread's side: the socket, what may be asked, questions and their answers. */
#include "admin/http_inside.h"
#include <errno.h>
#include <event2/event.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64 };

static const struct counter_def counter_defs[HTTP_COUNTERS] = {
	[HTTP_REQUESTS] = { "http_requests_total", "Requests over HTTP that were read, whatever their answer.", false },
	[HTTP_REFUSED_CONNECTIONS] = { "http_refused_connections_total", "HTTP connections refused because of their number.", false },
	[HTTP_BAD_REQUESTS] = { "http_bad_requests_total", "HTTP requests of another method or host, too long; upgrades.", false },
	[HTTP_TIMED_OUT] = { "http_timed_out_total", "HTTP requests not answered in time, or that there was no room for.", false },
	[HTTP_SLOW_CLIENTS] = { "http_slow_clients_total", "HTTP connections dropped: nothing sent or read for too long.", false },
};

/* Questions and answers ----------------------------------------------------------------------------------------- */

void http_on_question(struct mail *m, void *reader)
{
	struct http_reply *r = owner_of(m, struct http_reply, mail);

	(void)reader;
	if (atomic_load_explicit(&r->http->is_ending, memory_order_relaxed))
		free(r); /* nobody waits */
	else
		r->resource->handler(r->resource->ctx, r);
}

static void on_question(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;

	(void)fd;
	(void)what;
	mailbox_ack(h->questions);
	while (mailbox_drain(h->questions, h, HTTP_MAILS))
		;
}

static void keep_body(struct http_reply *r, struct sv body)
{
	r->body = malloc(body.len + 1);
	if (r->body) {
		memcpy(r->body, body.p ? body.p : "", body.len);
		r->len = body.len;
	} else
		r->status = 503;
}

void http_answer(struct http_reply *r, unsigned status, const char *type, struct sv body)
{
	struct http *h = r->http;

	r->status = status;
	r->type = type;
	keep_body(r, body);
	r->mail.deliver = serve_on_answer;
	mailbox_post(h->answers, &r->mail, true); /* there is room: HTTP_MAILS */
	lws_cancel_service(h->context);
}

int http_register(struct http *h, const char *path, http_handler *handler, void *ctx)
{
	for (unsigned i = 0; i < h->n_resources; i++)
		if (strcmp(h->resource[i].path, path) == 0)
			return -EEXIST;
	if (h->n_resources == HTTP_RESOURCES_MAX)
		return -ENOSPC;
	h->resource[h->n_resources++] = (struct http_resource){ .path = path, .handler = handler, .ctx = ctx };
	return 0;
}

int http_add_files(struct http *h, const char *dir, unsigned *left_out)
{
	return h->site ? -EEXIST : site_new(&h->site, dir, left_out);
}

/* Life ---------------------------------------------------------------------------------------------------------- */

static int listen_at(const struct addr *bind_to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(bind_to, &sa);
	int yes = 1, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) || bind(fd, (struct sockaddr *)&sa, len) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* The address as it was bound, with its port. */
static int learn_port(struct http *h)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(h->fd, (struct sockaddr *)&sa, &len))
		return -errno;
	return addr_from_sockaddr(&h->bind, (struct sockaddr *)&sa);
}

static int http_open(struct http *h, const struct http_params *p)
{
	int err;

	h->fd = listen_at(&p->bind);
	if (h->fd < 0)
		return h->fd;
	if ((err = learn_port(h)) || (err = counters_init(&h->counters, counter_defs, HTTP_COUNTERS)) ||
	    (err = mailbox_new(&h->questions, HTTP_MAILS)) ||
	    (err = mailbox_new(&h->answers, HTTP_MAILS)))
		return err;
	h->event = event_new(p->loop, mailbox_fd(h->questions), EV_READ | EV_PERSIST, on_question, h);
	if (!h->event || event_add(h->event, NULL))
		return -ENOMEM;
	return serve_open(h);
}

int http_new(struct http **out, const struct http_params *p)
{
	struct http *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->fd = -1;
	h->head_ms = p->head_ms ? p->head_ms : HTTP_HEAD_MS;
	h->answer_ms = p->answer_ms ? p->answer_ms : HTTP_ANSWER_MS;
	h->stall_ms = p->stall_ms ? p->stall_ms : HTTP_STALL_MS;
	list_init(&h->conns);
	if ((err = http_open(h, p))) {
		http_free(h);
		return err;
	}
	*out = h;
	return 0;
}

/* The thread inherits a mask without signals: they are the control thread's. */
int http_start(struct http *h)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&h->thread, NULL, serve_run, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	h->is_started = !err;
	return -err;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	atomic_store(&h->is_ending, true);
	if (h->is_started) {
		lws_cancel_service(h->context);
		pthread_join(h->thread, NULL);
	}
	serve_close(h);
	if (h->event)
		event_free(h->event);
	while (h->questions && mailbox_drain(h->questions, h, HTTP_MAILS))
		;
	while (h->answers && mailbox_drain(h->answers, h, HTTP_MAILS))
		;
	mailbox_free(h->questions);
	mailbox_free(h->answers);
	site_free(h->site);
	counters_fini(&h->counters);
	free(h);
}

uint16_t http_port(const struct http *h)
{
	return h->bind.port;
}

const struct counters *http_counters(const struct http *h)
{
	return &h->counters;
}
