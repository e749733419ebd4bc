/* conf/compare.c - what a new snapshot does to each destination, in words. */
#include "conf/live.h"
#include <stdarg.h>

const char *conf_fate_word(enum conf_fate fate)
{
	static const char *const words[] = { "kept", "changed", "added", "removed", "leaving" };

	return words[fate];
}

struct words {
	char text[512];
	size_t len;
};

static void add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct words *w, const char *fmt, ...)
{
	size_t room = sizeof(w->text) - w->len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(w->text + w->len, room, fmt, args);
	va_end(args);
	w->len += n > 0 && (size_t)n < room ? (size_t)n : room - 1;
}

static void add_number(struct words *w, const char *what, unsigned was, unsigned is)
{
	if (was != is)
		add(w, "%s%s %u -> %u", w->len ? ", " : "", what, was, is);
}

static void add_text(struct words *w, const char *what, struct sv was, struct sv is)
{
	add(w, "%s%s %.*s -> %.*s", w->len ? ", " : "", what, SV_ARG(was), SV_ARG(is));
}

static void differences(struct words *w, const struct conf_destination *was, const struct conf_destination *is)
{
	add_number(w, "weight", was->weight, is->weight);
	add_number(w, "max-calls", was->max_calls, is->max_calls);
	add_number(w, "max-cps", was->max_cps, is->max_cps);
	add_number(w, "priority", was->priority, is->priority);
	if (!sv_eq(was->path, is->path))
		add_text(w, "path", was->path, is->path);
	if (!sv_eq(was->tls_name, is->tls_name))
		add_text(w, "tls-name", conf_tls_name(was), conf_tls_name(is));
	if (sv_eq(was->uri, is->uri))
		return;
	add_text(w, "uri", was->uri, is->uri);
	add(w, " (begins anew)");
}

static void tell_of(const struct conf *was, const struct conf *is, const struct conf_destination *d, conf_tell *tell, void *ctx)
{
	struct sv pool = is->pools[d->pool].name;
	const struct conf_destination *old = conf_find_destination(was, pool, d->name);
	struct words w = { "", 0 };

	if (d->is_leaving && !(old && old->is_leaving)) {
		tell(ctx, FATE_LEAVING, pool, d->name, "");
		return;
	}
	if (old)
		differences(&w, old, d);
	tell(ctx, !old || (old->is_leaving && !d->is_leaving) ? FATE_ADDED : w.len ? FATE_CHANGED : FATE_KEPT, pool, d->name, w.text);
}

void conf_compare(const struct conf *was, const struct conf *is, conf_tell *tell, void *ctx)
{
	for (unsigned i = 0; i < is->n_destinations; i++)
		tell_of(was, is, &is->destinations[i], tell, ctx);
	for (unsigned i = 0; i < was->n_destinations; i++) {
		const struct conf_destination *d = &was->destinations[i];
		struct sv pool = was->pools[d->pool].name;

		if (!conf_find_destination(is, pool, d->name))
			tell(ctx, FATE_REMOVED, pool, d->name, "");
	}
}
