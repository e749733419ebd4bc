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
	struct sv trunk;                /* it comes from; empty: from none */
	/* First value of a header by name, for header conditions; {NULL,0} when absent. */
	struct sv (*header)(void *ctx, struct sv name);
	void *ctx;
};

struct route_result {
	const struct conf_route *rule;  /* NULL: no rule matched (404) */
	unsigned status;                /* 0: go on with rule->action; else answer this */
	bool wants_caller;              /* a rule before it would take the request from somebody who has shown who he is */
	const char *reason;             /* stable reason id with a status ("no-route", "rule-reject", "host-not-ours", "part-not-active") */
};

bool route_is_trusted(const struct conf *c, uint16_t zone, const struct addr *source);
/* The zone's listen addresses and advertised names (with no port or any of the zone's) and its domains and those of `registrar`, with any
 * port (DECISIONS 16).
 * Names: without case, one trailing dot ignored. Addresses: by value. */
bool route_host_is_ours(const struct conf *c, uint16_t zone, struct sv host, uint16_t port);
/* Is `host:port` exactly the address or advertised name of one of the zone's listeners (no port: its transport's default),
 * with no user: a request to ourselves (DECISIONS 18)? */
bool route_is_for_us(const struct conf *c, uint16_t zone, const struct uri *u);
/* Finds the rule. Checks in this order: caller conditions are part of matching (DECISIONS 15; whom we trust may use each rule,
 * who is authenticated each that asks for a registered caller, a trunk those that name it); a rule that rejects; host ours or rule
 * is_relay (or the URI is a tel or urn), else 403; a part that is not active. */
void route_find(const struct conf *c, const struct route_query *q, struct route_result *out);
/* A rule line for people: called for each rule with whether it matched and, if not, the condition that failed ("zone", "source",
 * "method", "domain", "user", "header", "trunk", "callee", "caller"). */
void route_explain(const struct conf *c, const struct route_query *q,
                   void (*line)(void *ctx, const struct conf_route *r, bool matched, const char *failed), void *ctx);
/* Rewrites the user and host of one URI; the result lies in `a` (or is `uri` itself when nothing changes). A URI without a
 * user gets none; in a tel URI the number is the user. The user is matched without its escapes; a regex leaves alone what it
 * does not match and users beyond 256 bytes. 0, -ENOMEM, -EBADMSG (no URI, or the result would be none). */
int route_rewrite_uri(const struct conf_rewrite *rw, struct arena *a, struct sv uri, struct sv *out);

#endif
