/* conf/describe.c - what a configuration does, in plain words. */
#include "conf/reader.h"
#include "conf/text.h"

static void add_list(struct text *t, const char *what, const struct sv *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		text_add(t, "%s%.*s", i ? " or " : what, SV_ARG(v[i]));
}

static void add_prefixes(struct text *t, const char *what, const char *between, const struct prefix *p, unsigned n)
{
	char buf[ADDR_TEXT];

	for (unsigned i = 0; i < n; i++)
		text_add(t, "%s%s/%u", i ? between : what, addr_print_ip(&p[i].net, buf), p[i].bits);
}

static void add_ms(struct text *t, uint64_t ms)
{
	char buf[32];

	text_add(t, "%s", number_text(TY_DURATION, ms, buf));
}

static void add_when(struct text *t, const struct conf *c, const struct conf_when *w)
{
	static const char *const callers[] = { "a registered caller", "an authenticated caller", "a trusted caller", "any caller" };

	if (w->trunk.len && w->caller <= CALLER_AUTHENTICATED) /* it need not be more than that */
		text_add(t, "trunk %.*s", SV_ARG(w->trunk));
	else
		text_add(t, "%s", callers[w->caller]);
	if (w->zone >= 0)
		text_add(t, " in zone %.*s", SV_ARG(c->zones[w->zone].name));
	add_prefixes(t, " from ", " or ", w->source, w->n_source);
	add_list(t, ", method ", w->methods, w->n_methods);
	add_list(t, ", user ", w->users, w->n_users);
	add_list(t, ", domain ", w->domains, w->n_domains);
	for (unsigned i = 0; i < w->n_headers; i++)
		text_add(t, ", header %.*s like %.*s", SV_ARG(w->headers[i].name), SV_ARG(w->headers[i].glob));
	if (w->callee_registered)
		text_add(t, ", callee registered");
	if (w->trunk.len && w->caller > CALLER_AUTHENTICATED)
		text_add(t, ", trunk %.*s", SV_ARG(w->trunk));
}

static void add_rewrite(struct text *t, const struct conf_rewrite *rw)
{
	const char *between = " in ";
	const struct { bool is_on; const char *name; } to[] = {
		{ rw->request_uri, "Request-URI" }, { rw->from, "From" }, { rw->to, "To" }, { rw->pai, "P-Asserted-Identity" },
	};

	if (rw->user_strip)
		text_add(t, "; cuts %u from the user", rw->user_strip);
	if (rw->user_prefix.len)
		text_add(t, "; puts %.*s before the user", SV_ARG(rw->user_prefix));
	if (rw->regex)
		text_add(t, "; user %.*s becomes %.*s", SV_ARG(rw->user_regex), SV_ARG(rw->user_replace));
	if (rw->host.len)
		text_add(t, "; host becomes %.*s", SV_ARG(rw->host));
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		if (!to[i].is_on)
			continue;
		text_add(t, "%s%s", between, to[i].name);
		between = ", ";
	}
}

static void add_route(struct text *t, const struct conf *c, const struct conf_route *route)
{
	add_when(t, c, &route->when);
	switch (route->action) {
	case ACT_POOL:
		text_add(t, " -> pool %.*s", SV_ARG(c->pools[route->pool].name));
		break;
	case ACT_REJECT:
		text_add(t, " -> %u%s%.*s", route->reject, route->reject_phrase.len ? " " : "", SV_ARG(route->reject_phrase));
		break;
	case ACT_REGISTRAR:
		text_add(t, " -> registrar");
		break;
	case ACT_LOCATION:
		text_add(t, " -> where the one called is registered");
		break;
	default:
		text_add(t, " -> 503 (what it leads to is not active in this version)");
	}
	if (route->has_rewrite)
		add_rewrite(t, &route->rewrite);
	if (route->is_relay)
		text_add(t, "; foreign hosts may pass");
	for (unsigned i = 0; i < route->headers.n_out; i++)
		text_add(t, "%s%.*s", i ? ", " : "; header rules ", SV_ARG(c->rules[route->headers.out[i]].name));
	for (unsigned i = 0; i < route->headers.n_in; i++)
		text_add(t, "%s%.*s", i ? ", " : "; coming back ", SV_ARG(c->rules[route->headers.in[i]].name));
	if (route->max_duration_ms) {
		text_add(t, "; at most ");
		add_ms(t, route->max_duration_ms);
	}
	if (route->follows_redirects)
		text_add(t, "; follows redirections");
}

int describe_route(const struct conf *c, const struct conf_route *route, struct conf_text *out)
{
	struct text t = { 0 };

	add_route(&t, c, route);
	return text_end(&t, out);
}

static void add_rule(struct text *t, const struct conf_rule *rule)
{
	static const char *const verbs[] = { "", "adds ", "sets ", "renames ", "copies ", "removes ", "keeps ", "masks the inside in " };
	static const char *const messages[] = { " in requests", " in responses", "" };

	text_add(t, "  ");
	for (unsigned i = 0; i < rule->n_names; i++)
		text_add(t, "%s%.*s", i ? ", " : verbs[rule->action], SV_ARG(rule->names[i]));
	if (rule->to.len || rule->value.len)
		text_add(t, " to %.*s", SV_ARG(rule->to.len ? rule->to : rule->value));
	text_add(t, "%s", messages[rule->message]);
	add_list(t, ", method ", rule->methods, rule->n_methods);
	text_add(t, "%s\n", rule->drops_signature ? "; an Identity goes with it" : "");
}

static void add_rules(struct text *t, const struct conf_rules *rules)
{
	text_add(t, "header rules %.*s\n", SV_ARG(rules->name));
	for (unsigned i = 0; i < rules->n; i++)
		add_rule(t, &rules->rules[i]);
}

static void add_use(struct text *t, const struct conf *c, const struct conf_use *use)
{
	for (unsigned i = 0; i < use->n_in; i++)
		text_add(t, "%s%.*s", i ? ", " : "  header rules for what comes from here: ", SV_ARG(c->rules[use->in[i]].name));
	text_add(t, "%s", use->n_in ? "\n" : "");
	for (unsigned i = 0; i < use->n_out; i++)
		text_add(t, "%s%.*s", i ? ", " : "  header rules for what goes there: ", SV_ARG(c->rules[use->out[i]].name));
	text_add(t, "%s", use->n_out ? "\n" : "");
}

/* What a zone tells and is told about who calls. */
static void add_privacy(struct text *t, const struct conf_zone *z)
{
	static const char *const masks[] = { "the hosts of From", "the hosts of To", "the hosts of P-Asserted-Identity",
	                                     "the origin of SDP" };
	const char *between = "  does not see ";

	if (z->identity != IDENTITY_TRUST)
		text_add(t, "  identity headers from here %s\n", z->identity == IDENTITY_DROP ? "are dropped" : "lose their hosts");
	if (z->preferred_identity == PREFERRED_ASSERT)
		text_add(t, "  a trusted source's P-Preferred-Identity is asserted\n");
	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		if (!(z->masks & 1u << i))
			continue;
		text_add(t, "%s%s", between, masks[i]);
		between = ", ";
	}
	if (z->masks)
		text_add(t, "%s\n", z->drops_signature ? "; Identity is removed" : "; not in messages with Identity");
}

/* Only registrations are kept alive. */
static void add_keepalive(struct text *t, const struct conf *c, const struct conf_zone *z)
{
	static const char *const kinds[] = { "", "OPTIONS", "CRLF", "empty datagrams", "nothing over UDP" };

	if (!c->n_registrars || (z->keepalive.udp == KEEPALIVE_OFF && z->keepalive.tcp == STREAM_KEEPALIVE_OFF))
		return;
	text_add(t, "  sends %s%s to contacts that are silent for ", kinds[z->keepalive.udp],
	         z->keepalive.tcp == STREAM_KEEPALIVE_OFF ? "" : ", pings on connections,");
	add_ms(t, z->keepalive.every_ms);
	text_add(t, z->keepalive.learns ? " (learnt by network)" : "");
	if (z->keepalive.udp == KEEPALIVE_OPTIONS || z->keepalive.tcp == STREAM_KEEPALIVE_CRLF)
		text_add(t, "; %u without an answer remove one", z->keepalive.misses);
	text_add(t, "\n");
}

static void add_zone(struct text *t, const struct conf *c, const struct conf_zone *z)
{
	text_add(t, "zone %.*s\n", SV_ARG(z->name));
	for (unsigned i = 0; i < z->n_listeners; i++) {
		const struct conf_listener *l = &z->listeners[i];

		text_add(t, "  listens on %.*s, advertised as %.*s%s\n", SV_ARG(l->text), SV_ARG(l->advertise),
		         l->is_active ? "" : " (not active in this version)");
	}
	if (z->n_domains) {
		add_list(t, "  is responsible for ", z->domains, z->n_domains);
		text_add(t, ", and for its own addresses\n");
	}
	if (z->n_origins) {
		add_list(t, "  takes WebSockets from pages of ", z->origins, z->n_origins);
		text_add(t, "\n");
	}
	if (z->n_trust) {
		add_prefixes(t, "  trusts ", ", ", z->trust, z->n_trust);
		text_add(t, "\n");
	} else {
		text_add(t, "  trusts nobody\n");
	}
	if (z->n_proxies) {
		add_prefixes(t, "  takes the PROXY protocol from ", ", ", z->proxies, z->n_proxies);
		text_add(t, "\n");
	}
	if (z->nat == NAT_ALWAYS)
		text_add(t, "  reaches everybody over the flow he came by\n");
	else if (z->nat == NAT_NEVER)
		text_add(t, "  reaches everybody where his Contact leads\n");
	add_keepalive(t, c, z);
	if (z->session.expires_ms) {
		text_add(t, "  agrees on session timers of at most ");
		add_ms(t, z->session.expires_ms);
		text_add(t, " with both ends of each call\n");
	}
	if (z->session.ping_ms) {
		text_add(t, "  asks ends without a session timer every ");
		add_ms(t, z->session.ping_ms);
		text_add(t, " whether they are still there\n");
	}
	if (z->headers_unknown == UNKNOWN_DROP)
		text_add(t, "  drops headers that are not known\n");
	add_privacy(t, z);
	add_use(t, c, &z->headers);
}

static void add_health(struct text *t, const struct conf_pool *p)
{
	if (p->probe.is_on) {
		text_add(t, "  asks each with OPTIONS every ");
		add_ms(t, p->probe.every_ms);
		text_add(t, "; a dead one is noticed after at most ");
		add_ms(t, (uint64_t)p->probe.every_ms * p->probe.down_after + p->probe.timeout_ms);
		text_add(t, ", and is back after %u answers\n", p->probe.up_after);
	} else {
		text_add(t, "  is not probed: only calls show that a destination is dead\n");
	}
	for (unsigned i = 0; i < p->health.n_fail_on; i++)
		text_add(t, "%s%u", i ? ", " : "  of its answers to calls, these count as failures: ", p->health.fail_on[i]);
	text_add(t, "%s", p->health.n_fail_on ? "\n" : "");
	if (p->slow_start_ms) {
		text_add(t, "  who returns gets his weight over ");
		add_ms(t, p->slow_start_ms);
		text_add(t, "\n");
	}
	text_add(t, "  a call goes on to the next destination when there is no response for ");
	add_ms(t, p->failover.after_ms);
	for (unsigned i = 0; i < p->failover.n_on; i++)
		text_add(t, "%s%u", i ? ", " : " or on ", p->failover.on[i]);
	text_add(t, ", at most %u in all; without an answer it ends after ", p->failover.tries);
	add_ms(t, p->answer_timeout_ms);
	text_add(t, "\n");
}

static void add_destination(struct text *t, const struct conf_pool *p, const struct conf_destination *d)
{
	text_add(t, "  %.*s at %.*s%s%.*s%s", SV_ARG(d->name), SV_ARG(d->uri), d->path.len ? ", path " : "", SV_ARG(d->path),
	         d->each_address && !d->is_numeric ? ", each address of it" : "");
	if (d->tls_name.len)
		text_add(t, ", which proves to be %.*s", SV_ARG(d->tls_name));
	if (p->balance != BALANCE_ROUND_ROBIN)
		text_add(t, ", weight %u", d->weight);
	if (d->max_calls)
		text_add(t, ", at most %u calls", d->max_calls);
	if (d->max_cps)
		text_add(t, ", at most %u calls a second", d->max_cps);
	if (d->priority)
		text_add(t, ", tier %u", d->priority);
	text_add(t, "\n");
}

static void add_pool(struct text *t, const struct conf *c, const struct conf_pool *p)
{
	static const char *const balances[] = { "in turn", "by weight", "to the least loaded", "by hash",
	                                        "to the quickest" };
	static const char *const keys[] = { "From", "the called user", "Call-ID", "the source address", "the called domain" };

	text_add(t, "pool %.*s in zone %.*s, calls go %s%s%s\n", SV_ARG(p->name), SV_ARG(c->zones[p->zone].name),
	         balances[p->balance], p->balance == BALANCE_HASH ? " of " : "", p->balance == BALANCE_HASH ? keys[p->hash.by] : "");
	if (p->spill)
		text_add(t, "  what finds no place goes to pool %.*s\n", SV_ARG(c->pools[p->spill - 1].name));
	if (p->sticky.is_on) {
		text_add(t, "  the same %.*s goes to the same destination, for ", SV_ARG(p->sticky.by));
		add_ms(t, p->sticky.ttl_ms);
		text_add(t, " after its last call");
		if (p->sticky.n_rooms)
			add_list(t, ", users ", p->sticky.rooms, p->sticky.n_rooms);
		text_add(t, "; when that one is drained, %s\n",
		         p->sticky.stays ? "as long as it has calls there" : "it moves with its next call");
	}
	for (unsigned i = 0; i < p->n_destinations; i++)
		add_destination(t, p, &p->destinations[i]);
	if (p->destinations_file.len)
		text_add(t, "  those of %.*s among them: that file is read again whenever it changes\n", SV_ARG(p->destinations_file));
	add_health(t, p);
	for (unsigned i = 0; i < p->n_responses; i++)
		text_add(t, "  its %u reaches the caller as %u\n", p->responses[i].from, p->responses[i].to);
	add_use(t, c, &p->headers);
}

static void add_routes(struct text *t, const struct conf *c)
{
	unsigned anyone = 0, calls = 0;

	text_add(t, "rules, first match wins\n");
	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct conf_route *route = &c->routes[i];

		calls += route_leads_on(route);
		anyone += route_leads_on(route) && route->when.caller == CALLER_ANY;
		text_add(t, "  %u. (line %u) %.*s\n", i + 1, route->line, SV_ARG(route->text));
	}
	text_add(t, "  otherwise -> 404\nwho may call: ");
	if (anyone == calls && calls)
		text_add(t, "anyone\n");
	else if (anyone)
		text_add(t, "anyone by %u of the %u rules that lead on, trusted sources by all\n", anyone, calls);
	else
		text_add(t, "trusted sources\n");
}

/* DECISIONS 2. Keys from a cluster's secret come with the cluster. */
static void add_keys(struct text *t, const struct conf *c)
{
	add_list(t, "identity keys: ", c->identity_keys, c->n_identity_keys);
	if (c->n_identity_keys)
		text_add(t, "; the first signs\n");
	else
		text_add(t, "identity keys: %.*s/identity.key, made at first start\n", SV_ARG(c->state));
}

static void add_process(struct text *t, const struct conf *c)
{
	text_add(t, "node %.*s, %u worker%s, at most %u calls each\n", SV_ARG(c->node), c->workers, c->workers == 1 ? "" : "s",
	         c->max_calls);
	text_add(t, "state in %.*s; CDRs %s\n", SV_ARG(c->state), c->cdr_is_on ? "in its cdr.jsonl" : "off");
	add_keys(t, c);
	if (c->admin_socket.len)
		text_add(t, "sbcctl at %.*s\n", SV_ARG(c->admin_socket));
	if (c->admin_http.len)
		text_add(t, "/live, /ready and /metrics at http://%.*s%s\n", SV_ARG(c->admin_http),
		         c->admin_demo.len ? "/, and the demo page" : "");
	text_add(t, "at SIGTERM calls have ");
	add_ms(t, c->shutdown_grace_ms);
	text_add(t, " to end\n");
}

static void add_registrar(struct text *t, const struct conf *c, const struct conf_registrar *d)
{
	char buf[32];

	text_add(t, "registrar %.*s: ", SV_ARG(d->domain));
	if (d->mode == REGISTRAR_LOCAL)
		text_add(t, "contacts are kept here, at most %u each (%s)", d->max_contacts,
		         d->when_full == FULL_REPLACE ? "then the oldest goes" : "then 403");
	else
		text_add(t, "passed to pool %.*s", d->pool < 0 ? 1 : (int)c->pools[d->pool].name.len,
		         d->pool < 0 ? "?" : c->pools[d->pool].name.p);
	text_add(t, ", for ");
	add_ms(t, d->expires.min_ms);
	text_add(t, " to ");
	add_ms(t, d->expires.max_ms);
	text_add(t, d->auth == AUTH_NONE ? "; nobody is asked who they are" : "; users show who they are");
	if (d->rate)
		text_add(t, "; %s REGISTER requests", number_text(TY_RATE, d->rate, buf));
	text_add(t, "\n");
}

static void add_trunk(struct text *t, const struct conf *c, const struct conf_trunk *k)
{
	char buf[32];

	text_add(t, "trunk %.*s in zone %.*s", SV_ARG(k->name), SV_ARG(c->zones[k->zone].name));
	if (k->pool >= 0)
		text_add(t, ", reached by pool %.*s", SV_ARG(c->pools[k->pool].name));
	add_prefixes(t, ", calls come from ", " or ", k->sources, k->n_sources);
	if (k->tls_name.len)
		text_add(t, "%s whoever proves to be %.*s over TLS", k->n_sources ? " or" : ", calls come from", SV_ARG(k->tls_name));
	text_add(t, "\n");
	if (k->domain.len && k->pool >= 0)
		text_add(t, "  there Request-URI, From and To have the host %.*s\n", SV_ARG(k->domain));
	if (k->max_calls)
		text_add(t, "  at most %u calls at once, both directions together\n", k->max_calls);
	if (k->rate)
		text_add(t, "  at most %s new calls\n", number_text(TY_RATE, k->rate, buf));
	if (k->registers) {
		text_add(t, "  we register there as %.*s for ", SV_ARG(k->registration.user));
		add_ms(t, k->registration.expires_ms);
		text_add(t, "\n");
	}
	if (k->password.len)
		text_add(t, "  its challenges for realm %.*s are answered\n", SV_ARG(k->realm));
}

int conf_describe(const struct conf *c, struct conf_text *out)
{
	struct text t = { 0 };

	add_process(&t, c);
	for (unsigned i = 0; i < c->n_rules; i++)
		add_rules(&t, &c->rules[i]);
	for (unsigned i = 0; i < c->n_zones; i++)
		add_zone(&t, c, &c->zones[i]);
	for (unsigned i = 0; i < c->n_pools; i++)
		add_pool(&t, c, &c->pools[i]);
	for (unsigned i = 0; i < c->n_registrars; i++)
		add_registrar(&t, c, &c->registrars[i]);
	for (unsigned i = 0; i < c->n_trunks; i++)
		add_trunk(&t, c, &c->trunks[i]);
	add_routes(&t, c);
	return text_end(&t, out);
}
