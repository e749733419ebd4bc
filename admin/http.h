/* admin/http.h - the HTTP door: resources that modules register, and the files of one directory. It knows none of them. GET and HEAD only;
 * there is no authentication, so it listens on loopback and answers those who ask for loopback by name (a page of somewhere else that had
 * its name moved to 127.0.0.1 gets 421).
 *
 * libwebsockets serves the connections on a thread of its own, so that a control thread that is stuck is seen as such: a question that
 * is not answered in HTTP_ANSWER_MS gets 503. Everything declared here is called on the control thread. */
#ifndef ADMIN_HTTP_H
#define ADMIN_HTTP_H
#include "base/addr.h"
#include "base/counters.h"

struct event_base;
struct http;
struct http_reply;

enum http_limits {
	HTTP_CONNECTIONS_MAX = 64,
	HTTP_HEAD_MAX = 8192,      /* bytes of the headers of one request that we know; beyond: 431 */
	HTTP_HEAD_CUT = 16384,     /* of a whole head; beyond, the connection ends */
	HTTP_URI_MAX = 1024,       /* beyond: 414 */
	HTTP_QUESTIONS_MAX = 8,    /* at once with one resource, those that nobody waits for any more included */
	HTTP_RESOURCES_MAX = 16,
	HTTP_HEAD_MS = 10000,      /* to send a request, from the connection or the last answer on */
	HTTP_ANSWER_MS = 3000,     /* for the control thread to answer */
	HTTP_STALL_MS = 10000,     /* a reader that takes nothing for so long is dropped */
};

enum http_counter {
	HTTP_REQUESTS, HTTP_REFUSED_CONNECTIONS, HTTP_BAD_REQUESTS, HTTP_TIMED_OUT, HTTP_SLOW_CLIENTS, HTTP_COUNTERS
};

struct http_params {
	struct event_base *loop;
	struct addr bind;          /* port 0: any, see http_port */
	unsigned head_ms, answer_ms, stall_ms; /* instead of the limits above; 0: those */
};

/* Listens; nobody is served before http_start. 0, -EADDRINUSE, -ENOMEM, or what the system says. */
int http_new(struct http **out, const struct http_params *p);
/* The thread that serves ends. Questions that are not answered yet must not be answered any more. */
void http_free(struct http *h);
uint16_t http_port(const struct http *h);
const struct counters *http_counters(const struct http *h);

/* Answers now or later, by http_answer, exactly once. */
typedef void http_handler(void *ctx, struct http_reply *r);
/* Before http_start. `path` ("/ready") is kept as a pointer. 0, -EEXIST, -ENOSPC. */
int http_register(struct http *h, const char *path, http_handler *handler, void *ctx);
/* Reads the files of `dir`, to be served below "/" (what is taken: site.h). Once, before http_start. `*left_out` counts those that could
 * not be read or have no room. 0, -EEXIST, -ENOMEM, or why the directory could not be read. */
int http_add_files(struct http *h, const char *dir, unsigned *left_out);
/* 0 or -errno. */
int http_start(struct http *h);
/* `status` is 200 or 503; `type` is kept as a pointer; `body` is copied (no memory: 503 without one). */
void http_answer(struct http_reply *r, unsigned status, const char *type, struct sv body);

#endif
