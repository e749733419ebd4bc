#include "sbc/web.h"
#include "transports/sockets.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char plain[] = "text/plain; charset=utf-8";

struct web {
	struct web_params p;
	struct http *http;
};

/* /live: every loop turns. The control thread's does, or nobody would be here; a worker's when its answer comes. The door itself says 503
 * to who has waited too long. */
struct pulse {
	struct ask ask;
	struct http_reply *reply;
	unsigned n_loops;
};

static void pulse_work(struct ask *a, struct worker *w, struct ask_part *part)
{
	(void)a;
	(void)w;
	(void)part;
}

static void pulse_finish(struct ask *a)
{
	struct pulse *pulse = owner_of(a, struct pulse, ask);
	unsigned n = 0;
	char line[64];

	for (unsigned i = 0; i < pulse->n_loops; i++)
		n += a->parts[i] != NULL;
	snprintf(line, sizeof(line), "%u of %u workers turn\n", n, pulse->n_loops);
	http_answer(pulse->reply, n == pulse->n_loops ? 200 : 503, plain, sv_from(line));
	ask_fini(a);
	free(pulse);
}

static void on_live(void *ctx, struct http_reply *r)
{
	struct web *w = ctx;
	struct pulse *pulse = calloc(1, sizeof(*pulse));

	if (!pulse) {
		http_answer(r, 503, plain, SV("out of memory\n"));
		return;
	}
	pulse->ask = (struct ask){ .work = pulse_work, .finish = pulse_finish, .part_size = sizeof(struct ask_part) };
	pulse->reply = r;
	pulse->n_loops = w->p.n_loops;
	ask_workers(w->p.asker, &pulse->ask);
}

/* /ready: may new calls be sent here? The listeners are bound, or the program would not run. */
static bool pool_is_ready(const struct web *w, const struct conf *c, unsigned pool)
{
	const struct conf_pool *p = &c->pools[pool];

	for (unsigned i = 0; i < p->n_destinations; i++) {
		struct dest_info info;
		uint16_t slot = pools_slot(w->p.shared->pools, c, p->destinations[i].id);

		if (slot == POOL_NO_SLOT)
			continue;
		dest_info(w->p.shared->pools, slot, &info);
		if (info.is_up && info.wish == WISH_IN_SERVICE)
			return true;
	}
	return false;
}

static void on_ready(void *ctx, struct http_reply *r)
{
	const struct web *w = ctx;
	const struct conf *c = w->p.publisher->now;
	char line[256];

	if (w->p.is_closing(w->p.ctx)) {
		http_answer(r, 503, plain, SV("closing: no new calls\n"));
		return;
	}
	for (unsigned i = 0; i < c->n_pools; i++) {
		if (pool_is_ready(w, c, i))
			continue;
		snprintf(line, sizeof(line), "pool %.*s: no destination is up and in service\n", SV_ARG(c->pools[i].name));
		http_answer(r, 503, plain, sv_from(line));
		return;
	}
	http_answer(r, 200, plain, SV("ready\n"));
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static int say(const struct http_params *p, int err)
{
	char name[ADDR_TEXT], who[128] = "";

	if (err == -EADDRINUSE)
		holder_print(T_TCP, &p->bind, who, sizeof(who));
	fprintf(stderr, "sbc: admin.http %s: %s%s\n", addr_print(&p->bind, name), *who ? "address in use by " : strerror(-err), who);
	return err;
}

/* Nobody's calls wait for a page. */
static void add_demo(struct web *w, const struct conf *c)
{
	char dir[1024];
	unsigned left_out = 0;
	int err;

	if (!c->admin_demo.len)
		return;
	snprintf(dir, sizeof(dir), "%.*s", SV_ARG(c->admin_demo));
	if ((err = http_add_files(w->http, dir, &left_out)))
		log_warn(w->p.shared->log, "admin.demo", "directory=%s error=%s", dir, strerror(-err));
	else if (left_out)
		log_warn(w->p.shared->log, "admin.demo", "directory=%s files_left_out=%u", dir, left_out);
}

static int open_door(struct web *w, const struct http_params *p)
{
	int err = http_new(&w->http, p);

	if (err)
		return say(p, err);
	if ((err = http_register(w->http, "/live", on_live, w)) || (err = http_register(w->http, "/ready", on_ready, w)) ||
	    (err = http_register(w->http, "/metrics", w->p.metrics, w->p.metrics_ctx)))
		return err;
	add_demo(w, w->p.publisher->now);
	return (err = http_start(w->http)) ? say(p, err) : 0;
}

int web_new(struct web **out, const struct web_params *p)
{
	const struct conf *c = p->publisher->now;
	struct http_params door = { .loop = p->base };
	struct web *w;
	int err;

	*out = NULL;
	if (!c->admin_http.len)
		return 0;
	if ((err = addr_parse(&door.bind, c->admin_http)))
		return err;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->p = *p;
	if ((err = open_door(w, &door))) {
		web_free(w);
		return err;
	}
	*out = w;
	return 0;
}

void web_free(struct web *w)
{
	if (w)
		http_free(w->http);
	free(w);
}

const struct counters *web_counters(const struct web *w)
{
	return w ? http_counters(w->http) : NULL;
}
