#include "sbc/explain.h"
#include "admin/ctl.h"
#include "apps-router/route.h"
#include <string.h>

enum { HEADERS_MAX = 16 };

/* What is asked, and what it is answered. */
struct what_if {
	const struct conf *conf;
	struct ctl_reply *reply;
	struct route_query q;
	struct conf_header headers[HEADERS_MAX];
	unsigned n_headers;
	struct route_result result;
	bool is_decided;
	uint8_t asks;              /* enum conf_asks: what the rules up to the one that decides want to know */
};

static struct sv header_of(void *ctx, struct sv name)
{
	const struct what_if *w = ctx;

	for (unsigned i = 0; i < w->n_headers; i++)
		if (sv_ieq(w->headers[i].name, name))
			return w->headers[i].glob;
	return (struct sv){ NULL, 0 };
}

/* The question ---------------------------------------------------------------------------------------------------- */

static bool fault(const struct what_if *w, const char *what, const char *text)
{
	ctl_fail(w->reply, CTL_USAGE, "%s: %s", text, what);
	return false;
}

/* "NAME: VALUE", as in a message. */
static bool take_header(struct what_if *w, const char *text)
{
	struct sv all = sv_from(text);
	size_t colon = sv_chr(all, ':');

	if (colon == all.len || !colon)
		return fault(w, "is no header: write \"NAME: VALUE\"", text);
	if (w->n_headers == HEADERS_MAX)
		return fault(w, "too many headers", text);
	w->headers[w->n_headers++] = (struct conf_header){ sv_trim((struct sv){ all.p, colon }), sv_trim(sv_skip(all, colon + 1)) };
	return true;
}

static bool take_option(struct what_if *w, const char *option, const char *value)
{
	bool is_registered = value && !strcmp(value, "registered"), is_authenticated = value && !strcmp(value, "authenticated");

	if (!strcmp(option, "--header") && value)
		return take_header(w, value);
	if (!strcmp(option, "--callee") && is_registered) {
		w->q.callee_is_registered = true;
		return true;
	}
	if (strcmp(option, "--caller") != 0 || (!is_registered && !is_authenticated)) {
		ctl_fail_usage(w->reply);
		return false;
	}
	w->q.is_registered = is_registered;
	w->q.is_authenticated = is_authenticated;
	return true;
}

/* ZONE SOURCE METHOD URI, then options. False: it has been refused. */
static bool take_question(struct what_if *w, int argc, char **argv)
{
	int zone = argc < 5 ? -1 : conf_find_zone(w->conf, sv_from(argv[1])), trunk;

	if (argc < 5) {
		ctl_fail_usage(w->reply);
		return false;
	}
	if (zone < 0)
		return fault(w, "there is no such zone", argv[1]);
	if (addr_parse(&w->q.source, sv_from(argv[2])))
		return fault(w, "is no address", argv[2]);
	if (uri_parse(&w->q.uri, sv_from(argv[4])))
		return fault(w, "is no URI", argv[4]);
	w->q.zone = (uint16_t)zone;
	w->q.method = sv_from(argv[3]);
	w->q.is_trusted = route_is_trusted(w->conf, w->q.zone, &w->q.source);
	w->q.header = header_of;
	w->q.ctx = w;
	if ((trunk = conf_trunk_at(w->conf, w->q.zone, &w->q.source)) >= 0)
		w->q.trunk = w->conf->trunks[trunk].name;
	for (int i = 5; i < argc; i += 2)
		if (!take_option(w, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			return false;
	return true;
}

/* The answer ------------------------------------------------------------------------------------------------------ */

/* Rules behind the one that decides are not asked. */
static void show_rule(void *ctx, const struct conf_route *r, bool matched, const char *failed)
{
	struct what_if *w = ctx;

	if (w->is_decided)
		return;
	w->is_decided = matched;
	w->asks |= r->when.caller <= CALLER_AUTHENTICATED ? ASKS_CALLER : 0;
	w->asks |= r->when.callee_registered ? ASKS_CALLEE : 0;
	ctl_row(w->reply, cell_u64(r->line), cell_bool(matched), matched ? cell_none() : cell_str(failed),
	        matched && w->result.status ? cell_u64(w->result.status) : cell_none(), cell_sv(r->text));
}

static void say_rewritten(const struct what_if *w, struct sv uri)
{
	const struct conf_route *rule = w->result.rule;
	char room[2048];
	struct arena a;
	struct sv out;

	if (!rule->has_rewrite || !rule->rewrite.request_uri)
		return;
	arena_init(&a, room, sizeof(room), sizeof(room));
	if (route_rewrite_uri(&rule->rewrite, &a, uri, &out))
		ctl_note(w->reply, "rewritten the Request-URI would be none: it is refused");
	else
		ctl_note(w->reply, "the Request-URI becomes %.*s", SV_ARG(out));
	arena_reset(&a);
}

static void say_outcome(const struct what_if *w, struct sv uri)
{
	const struct route_result *result = &w->result;

	if (result->status)
		ctl_note(w->reply, "answered with %u (%s)", result->status, result->reason);
	else
		say_rewritten(w, uri);
	if (result->wants_caller && !result->status)
		ctl_note(w->reply, "a rule before it is for callers who show who they are");
	else if (result->wants_caller)
		ctl_note(w->reply, "a rule is for callers who show who they are: whoever is of a domain with users is challenged instead");
}

/* What else would count, and is not known here. */
static void say_assumed(const struct what_if *w)
{
	const struct route_query *q = &w->q;
	const char *caller = q->is_trusted ? "the source is trusted" : q->is_authenticated ? "the caller has shown who he is" :
	                     q->is_registered ? "the caller is registered" : "the caller is not registered";

	if (q->trunk.len)
		ctl_note(w->reply, "the source is trunk %.*s", SV_ARG(q->trunk));
	if (w->asks & ASKS_CALLER)
		ctl_note(w->reply, "%s%s", caller,
		         q->is_trusted ? "" : " (assumed: registrations are not looked at, --caller says otherwise)");
	if (w->asks & ASKS_CALLEE)
		ctl_note(w->reply, "the one called is %sregistered (assumed: registrations are not looked at%s)",
		         q->callee_is_registered ? "" : "not ", q->callee_is_registered ? "" : ", --callee registered says otherwise");
	if (q->uri.scheme == URI_SIPS)
		ctl_note(w->reply, "sips: only if it came by TLS or WSS, and if where it goes can be reached so; neither is looked at");
	ctl_note(w->reply, "asked of the configuration alone: tokens of ours, dialogs, limits and who is up now come on top");
}

static void verb_route(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	const struct publisher *p = ctx;
	struct what_if w = { .conf = p->now, .reply = r };

	if (!take_question(&w, argc, argv))
		return;
	ctl_columns(r, 5, "line", "takes_it", "fails_by", "status", "rule");
	if (sv_eq(w.q.method, SV("OPTIONS")) && route_is_for_us(w.conf, w.q.zone, &w.q.uri)) {
		ctl_note(r, "answered with 200: it is for ourselves, no rule is asked");
		ctl_done(r);
		return;
	}
	route_find(w.conf, &w.q, &w.result);
	route_explain(w.conf, &w.q, show_rule, &w);
	say_outcome(&w, sv_from(argv[4]));
	say_assumed(&w);
	ctl_done(r);
}

int explain_verbs(struct ctl *ctl, struct publisher *p)
{
	return ctl_register(ctl, "route",
	                    "ZONE SOURCE METHOD URI [--caller registered|authenticated] [--callee registered] "
	                    "[--header \"NAME: VALUE\"]...",
	                    "which rule a request would go by, and why not by those before it", verb_route, p);
}
