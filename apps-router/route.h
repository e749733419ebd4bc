/* apps-router/route.h - ordered rules, first match wins: what is to happen to a request. Pure: reads the snapshot and the
 * query, changes nothing, so that the same code explains a route (`sbcctl route`). */
#ifndef APPS_ROUTER_ROUTE_H
#define APPS_ROUTER_ROUTE_H
#include "base/arena.h"
#include "conf/conf.h"
#include "sip/header.h"

struct route_query {
	uint16_t zone;
	struct addr source;
	struct sv method;
	struct uri uri;                 /* Request-URI */
	bool is_trusted;                /* source is in the zone's trust list (route_is_trusted) */
	bool is_registered, is_authenticated, callee_is_registered;
	/* First value of a header by name, for header conditions; {NULL,0} when absent. */
	struct sv (*header)(void *ctx, struct sv name);
	void *ctx;
};

struct route_result {
	const struct conf_route *rule;  /* NULL: no rule matched (404) */
	unsigned status;                /* 0: go on with rule->action; else answer this */
	const char *reason;             /* stable reason id with a status ("no-route", "rule-reject", "host-not-ours", "part-not-active") */
};

bool route_is_trusted(const struct conf *c, uint16_t zone, const struct addr *source);
/* Our own listen addresses, advertised names (with any of our ports) and the zone's domains (DECISIONS 16). */
bool route_host_is_ours(const struct conf *c, uint16_t zone, struct sv host, uint16_t port);
/* Is `host:port` exactly the address of one of the zone's listeners, with no user: a request to ourselves (DECISIONS 18)? */
bool route_is_for_us(const struct conf *c, uint16_t zone, const struct uri *u);
/* Finds the rule. Checks in this order: caller conditions are part of matching (DECISIONS 15); host ours or rule is_relay, else 403. */
void route_find(const struct conf *c, const struct route_query *q, struct route_result *out);
/* A rule line for people: called for each rule with whether it matched and, if not, the condition that failed. */
void route_explain(const struct conf *c, const struct route_query *q,
                   void (*line)(void *ctx, const struct conf_route *r, bool matched, const char *failed), void *ctx);
/* Rewrites the user and host of one URI; the result lies in `a` (or is `uri` itself when nothing changes). 0, -ENOMEM,
 * -EBADMSG (the result would be no URI). */
int route_rewrite_uri(const struct conf_rewrite *rw, struct arena *a, struct sv uri, struct sv *out);

#endif
