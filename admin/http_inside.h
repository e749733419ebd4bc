/* admin/http_inside.h - the two threads of the HTTP door. http.c is the control thread's side, http_serve.c the side that libwebsockets
 * calls. A question goes over by one mailbox and comes back by another. Private to admin/. */
#ifndef ADMIN_HTTP_INSIDE_H
#define ADMIN_HTTP_INSIDE_H
#include "admin/http.h"
#include "admin/site.h"
#include "base/list.h"
#include "base/mailbox.h"
#include <pthread.h>

struct lws;
struct lws_context;
struct lws_vhost;
struct http_conn;

struct http_resource {
	const char *path;
	http_handler *handler;
	void *ctx;
	unsigned n_questions;           /* not answered yet: the serving thread's */
};

enum { HTTP_MAILS = 2 * HTTP_RESOURCES_MAX * HTTP_QUESTIONS_MAX }; /* more than there can be on their way */

/* A question on its way to the control thread, then its answer on the way back. */
struct http_reply {
	struct mail mail;
	struct http *http;
	struct http_resource *resource;
	struct http_conn *conn;         /* the serving thread's; NULL: nobody waits any more */
	unsigned status;
	const char *type;
	char *body;
	size_t len;
};

struct http {
	struct http_resource resource[HTTP_RESOURCES_MAX]; /* but for their questions constant from http_start on, as what follows */
	unsigned n_resources;
	struct site *site;
	unsigned head_ms, answer_ms, stall_ms;
	struct addr bind;
	struct mailbox *questions, *answers;
	struct event *event;            /* questions have come: control thread */
	struct lws_context *context;
	pthread_t thread;
	bool is_started;
	_Atomic bool is_ending;
	/* The serving thread's. */
	int fd;                         /* where it accepts, until libwebsockets has it */
	struct lws_vhost *vhost;
	struct node conns;
	unsigned n_conns;
	struct counters counters;
};

/* Gives libwebsockets its context and the listening socket. 0 or -ENOMEM. Control thread, before the other one runs. */
int serve_open(struct http *h);
/* The serving thread: until h->is_ending. */
void *serve_run(void *http);
/* The context, the connections and the socket. After the thread has ended. */
void serve_close(struct http *h);

/* Deliver the mail: a question on the control thread, an answer on the serving one. */
void http_on_question(struct mail *m, void *reader);
void serve_on_answer(struct mail *m, void *reader);

#endif
