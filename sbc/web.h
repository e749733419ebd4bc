/* sbc/web.h - what this program says over HTTP (admin/http.h): /live, /ready, /metrics and the demo page. Control thread. */
#ifndef SBC_WEB_H
#define SBC_WEB_H
#include "admin/http.h"
#include "sbc/ask.h"
#include "sbc/publish.h"

struct web;

struct web_params {
	struct event_base *base;
	struct shared *shared;
	const struct publisher *publisher;
	struct asker *asker;
	unsigned n_loops;
	http_handler *metrics;
	void *metrics_ctx;
	/* SIGTERM has come: no new calls. */
	bool (*is_closing)(void *ctx);
	void *ctx;
};

/* Listens where the configuration says; NULL in `*out` when it says nowhere. 0, or -errno after saying why on standard error. */
int web_new(struct web **out, const struct web_params *p);
/* After the last answers of the workers were taken. */
void web_free(struct web *w);
/* NULL without a door. */
const struct counters *web_counters(const struct web *w);

#endif
