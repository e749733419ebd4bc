#include "topohide/lines.h"
#include "sip/header.h"
#include "base/hash.h"
#include <errno.h>
#include <stdlib.h>

const struct counter_def hide_counter_defs[HIDE_COUNTERS] = {
	[HIDE_DROPPED_UNKNOWN] = { "hiding_unknown_headers_dropped_total", "Unknown headers dropped by the zone's rule", false },
	[HIDE_DROPPED_ADDRESS] = { "hiding_headers_dropped_total", "Headers dropped because they named the other side", false },
	[HIDE_DROPPED_IDENTITY] = { "hiding_identities_dropped_total", "Identity headers from untrusted sources or private", false },
	[HIDE_RULES_SKIPPED] = { "header_rules_skipped_total", "Header rules left out of a message: nothing to fill in, or no room",
	                         false },
	[HIDE_GUARD_FOUND] = { "hiding_guard_found_total", "Messages in which the guard found what hiding should have kept back", false },
	[HIDE_GUARD_BLOCKED] = { "hiding_guard_blocked_total", "Of these: not sent", false },
	[HIDE_REALMS_INSIDE] = { "hiding_realms_naming_inside_total", "Answers to probes whose challenge has an inside name as its realm",
	                         false },
	[HIDE_DROPPED_DIALOG] = { "hiding_dialog_names_dropped_total", "Headers naming a dialog that were not passed", false },
};

/* DECISIONS 7. What is not listed is HIDE_UNKNOWN. */
static const uint8_t classes[HDR_COUNT] = {
	[HDR_VIA] = HIDE_OURS, [HDR_FROM] = HIDE_OURS, [HDR_TO] = HIDE_OURS, [HDR_CALL_ID] = HIDE_OURS, [HDR_CSEQ] = HIDE_OURS,
	[HDR_CONTACT] = HIDE_OURS, [HDR_MAX_FORWARDS] = HIDE_OURS, [HDR_CONTENT_LENGTH] = HIDE_OURS, [HDR_ROUTE] = HIDE_OURS,
	[HDR_RECORD_ROUTE] = HIDE_OURS, [HDR_RACK] = HIDE_OURS, [HDR_SESSION_EXPIRES] = HIDE_OURS, [HDR_MIN_SE] = HIDE_OURS,
	[HDR_FLOW_TIMER] = HIDE_HOP, [HDR_MAX_BREADTH] = HIDE_HOP, [HDR_PATH] = HIDE_HOP, [HDR_PROXY_REQUIRE] = HIDE_HOP,
	[HDR_SERVICE_ROUTE] = HIDE_HOP, [HDR_TIMESTAMP] = HIDE_HOP, [HDR_IN_REPLY_TO] = HIDE_HOP,
	[HDR_USER_AGENT] = HIDE_PRIVATE, [HDR_SERVER] = HIDE_PRIVATE, [HDR_ORGANIZATION] = HIDE_PRIVATE,
	[HDR_REPLACES] = HIDE_DIALOG, [HDR_JOIN] = HIDE_DIALOG, [HDR_TARGET_DIALOG] = HIDE_DIALOG,
	[HDR_P_ASSERTED_IDENTITY] = HIDE_IDENTITY, [HDR_P_PREFERRED_IDENTITY] = HIDE_IDENTITY,
	[HDR_REMOTE_PARTY_ID] = HIDE_IDENTITY, [HDR_DIVERSION] = HIDE_IDENTITY, [HDR_HISTORY_INFO] = HIDE_IDENTITY,
	[HDR_P_ASSOCIATED_URI] = HIDE_IDENTITY, [HDR_P_CALLED_PARTY_ID] = HIDE_IDENTITY,
	[HDR_SUPPORTED] = HIDE_OPTIONS, [HDR_REQUIRE] = HIDE_OPTIONS, [HDR_UNSUPPORTED] = HIDE_OPTIONS,
	[HDR_WWW_AUTHENTICATE] = HIDE_CHALLENGE, [HDR_PROXY_AUTHENTICATE] = HIDE_CHALLENGE,
	[HDR_WARNING] = HIDE_WARNING,
	[HDR_ALERT_INFO] = HIDE_CHECKED, [HDR_CALL_INFO] = HIDE_CHECKED, [HDR_ERROR_INFO] = HIDE_CHECKED,
	[HDR_REFER_TO] = HIDE_REFER, [HDR_REFERRED_BY] = HIDE_REFER, [HDR_REPLY_TO] = HIDE_CHECKED,
	[HDR_REASON] = HIDE_CHECKED, [HDR_SUBJECT] = HIDE_CHECKED, [HDR_GEOLOCATION] = HIDE_CHECKED,
	[HDR_GEOLOCATION_ERROR] = HIDE_CHECKED, [HDR_FEATURE_CAPS] = HIDE_CHECKED, [HDR_IDENTITY_INFO] = HIDE_CHECKED,
	[HDR_AUTHENTICATION_INFO] = HIDE_PASS, [HDR_AUTHORIZATION] = HIDE_CREDENTIALS, [HDR_PROXY_AUTHORIZATION] = HIDE_CREDENTIALS,
	[HDR_ALLOW] = HIDE_WORDS, [HDR_ALLOW_EVENTS] = HIDE_WORDS, [HDR_CONTENT_TYPE] = HIDE_TYPE,
	[HDR_ACCEPT] = HIDE_CHECKED, [HDR_ACCEPT_CONTACT] = HIDE_CHECKED, [HDR_ACCEPT_ENCODING] = HIDE_CHECKED,
	[HDR_ACCEPT_LANGUAGE] = HIDE_CHECKED, [HDR_CONTENT_DISPOSITION] = HIDE_CHECKED, [HDR_CONTENT_ENCODING] = HIDE_CHECKED,
	[HDR_CONTENT_LANGUAGE] = HIDE_CHECKED, [HDR_DATE] = HIDE_CHECKED, [HDR_EVENT] = HIDE_CHECKED, [HDR_EXPIRES] = HIDE_CHECKED,
	[HDR_GEOLOCATION_ROUTING] = HIDE_CHECKED, [HDR_IDENTITY] = HIDE_SIGNATURE, [HDR_INFO_PACKAGE] = HIDE_CHECKED,
	[HDR_MIME_VERSION] = HIDE_CHECKED, [HDR_MIN_EXPIRES] = HIDE_CHECKED,
	[HDR_P_EARLY_MEDIA] = HIDE_CHECKED, [HDR_PRIORITY] = HIDE_CHECKED, [HDR_PRIVACY] = HIDE_ASKED,
	[HDR_RECV_INFO] = HIDE_CHECKED, [HDR_REFER_SUB] = HIDE_CHECKED, [HDR_REJECT_CONTACT] = HIDE_CHECKED,
	[HDR_REQUEST_DISPOSITION] = HIDE_CHECKED, [HDR_RETRY_AFTER] = HIDE_CHECKED, [HDR_RSEQ] = HIDE_CHECKED,
	[HDR_SESSION_ID] = HIDE_CHECKED, [HDR_SIP_ETAG] = HIDE_CHECKED,
	[HDR_SIP_IF_MATCH] = HIDE_CHECKED, [HDR_SUBSCRIPTION_STATE] = HIDE_CHECKED, [HDR_USER_TO_USER] = HIDE_CHECKED,
};

enum hide_class hide_class_of(enum hdr_id id)
{
	return id < HDR_COUNT ? classes[id] : HIDE_UNKNOWN;
}

void hide_begin(struct hide *h, const struct hide_index *index, uint16_t zone, const struct addr *source, const struct view *v,
                struct counters *counters)
{
	h->index = index;
	h->v = v;
	h->counters = counters;
	h->source = source;
	h->zone = h->to_zone = zone;
	h->is_trusted = h->trusts_receiver = false;
	h->agent = SV("");
	h->line = NULL;
	h->rewrite = NULL;
	h->has_hosts = h->has_asked = false;
	h->spared = NULL;
	h->n_hosts = h->runs = 0;
}

void hide_line(struct out *o, struct sv name, struct sv value)
{
	out_sv(o, sv_span(name.p, value.p + value.len));
	out_lit(o, "\r\n");
}

void hide_spare(struct hide *h, uint16_t zone, const struct addr *to)
{
	h->spared = to;
	h->spared_zone = zone;
}

/* Option tags that concern one hop or our own registrar only, and `timer`, which each leg agrees on for itself (DECISIONS 8). */
static bool option_stays(struct sv tag)
{
	switch (tag.len) {
	case 4:
		return sv_ieq(tag, SV("path")) || sv_ieq(tag, SV("gruu"));
	case 5:
		return sv_ieq(tag, SV("timer"));
	default:
		return sv_ieq(tag, SV("outbound"));
	}
}

/* Option tags are tokens: between commas there is nothing else (RFC 3261 §25.1). */
static bool option_next(struct sv *tag, struct sv *rest)
{
	size_t comma = sv_chr(*rest, ',');

	*tag = sv_trim((struct sv){ rest->p, comma });
	*rest = sv_skip(*rest, comma + 1);
	return tag->len || rest->len;
}

/* One that everybody has names nobody. */
static bool option_is_common(struct sv tag)
{
	return sv_eq(tag, SV("replaces")) || sv_eq(tag, SV("100rel"));
}

static bool option_ends_here(struct hide *h, struct sv tag)
{
	return !option_is_common(tag) && (option_stays(tag) || hide_names_inside(h, tag));
}

static void options_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	struct sv rest = value, tag;
	unsigned passed = 0, ended = 0;
	char *begin = o->at;
	bool was_full = o->is_full;

	while (option_next(&tag, &rest)) {
		if (option_ends_here(h, tag)) {
			ended++;
			continue;
		}
		out_sv(o, passed ? SV(", ") : name);
		if (!passed++)
			out_lit(o, ": ");
		out_sv(o, tag);
	}
	if (ended && passed) {
		out_lit(o, "\r\n");
	} else if (!ended) { /* as it came, which may be shorter */
		o->at = begin;
		o->is_full = was_full;
		hide_line(o, name, value);
	}
}

/* A challenge is `scheme param *(, param)`: where the parameters begin. */
static size_t scheme_end(struct sv challenge)
{
	size_t end = 0;

	while (end < challenge.len && !strchr(" \t\r\n", challenge.p[end]))
		end++;
	return end;
}

static bool is_param(struct sv param, struct sv name)
{
	size_t equals = sv_chr(param, '=');

	return equals < param.len && sv_ieq(sv_trim((struct sv){ param.p, equals }), name);
}

/* Digest challenge without `domain` (DECISIONS 9). */
static void challenge_line(struct out *o, struct sv name, struct sv value)
{
	size_t space = scheme_end(value);
	struct sv rest = sv_skip(value, space), param;
	bool is_first = true;

	out_sv(o, name);
	out_lit(o, ": ");
	out_sv(o, (struct sv){ value.p, space });
	while (list_next(&param, &rest)) {
		if (is_param(param, SV("domain")))
			continue;
		out_str(o, is_first ? " " : ", ");
		out_sv(o, param);
		is_first = false;
	}
	out_lit(o, "\r\n");
}

static bool realm_names_inside(struct hide *h, struct sv challenge)
{
	struct sv rest = sv_skip(challenge, scheme_end(challenge)), param;

	while (list_next(&param, &rest))
		if (is_param(param, SV("realm")) && hide_names_inside(h, sv_skip(param, sv_chr(param, '=') + 1)))
			return true;
	return false;
}

bool hide_realm_names_inside(struct hide *h)
{
	for (unsigned i = 0; i < h->v->n; i++)
		if (classes[h->v->h[i].id] == HIDE_CHALLENGE && realm_names_inside(h, hdr_value(h->v, &h->v->h[i])))
			return true;
	return false;
}

/* Those for a realm of ours were read here and are nobody else's business; others' pass untouched (DECISIONS 9). */
static void credentials_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	struct sv scheme, rest;
	struct auth_param p;

	if (auth_scheme(value, &scheme, &rest))
		while (auth_param_next(&p, &rest) == 0)
			if (sv_ieq(p.name, SV("realm")) && conf_has_realm(hide_conf(h->index), p.value))
				return;
	hide_line(o, name, value);
}

/* RFC 3261 §20.43: warn-code SP warn-agent SP quoted text. The agent becomes us; a text that names the inside ends here. */
static void warning_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	struct sv rest = value, one;
	bool is_first = true;

	while (list_next(&one, &rest)) {
		size_t code = sv_chr(one, ' ');
		struct sv text = sv_skip(one, code + 1);

		text = sv_skip(text, sv_chr(text, ' ') + 1);
		if (code != 3 || text.len < 2 || *text.p != '"' || hide_names_inside(h, text)) {
			counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
			continue;
		}
		if (is_first)
			out_sv(o, name);
		out_str(o, is_first ? ": " : ", ");
		out_sv(o, (struct sv){ one.p, 3 });
		out_lit(o, " ");
		out_sv(o, h->agent);
		out_lit(o, " ");
		out_sv(o, text);
		is_first = false;
	}
	if (!is_first)
		out_lit(o, "\r\n");
}

void hide_checked_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	if (hide_names_inside(h, value))
		counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
	else
		hide_line(o, name, value);
}

/* Method names and the like, as they nearly always are: what is no capital letter is looked through. */
static void words_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	if (sv_is_capitals(value))
		hide_line(o, name, value);
	else
		hide_checked_line(o, h, name, value);
}

/* A body needs its type: it loses those parameters that name the sending side, and goes on. */
static void type_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	struct sv rest, param, word;

	if (sv_eq(value, SV("application/sdp")) || !hide_names_inside(h, value)) {
		hide_line(o, name, value);
		return;
	}
	counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
	rest = sv_skip(value, sv_chr(value, ';'));
	hide_line(o, name, sv_trim((struct sv){ value.p, value.len - rest.len }));
	o->at -= 2;
	while (param_next(&rest, &param, &word)) {
		struct sv whole = sv_span(param.p, word.p ? word.p + word.len : param.p + param.len);

		if (hide_names_inside(h, whole))
			continue;
		out_lit(o, ";");
		out_sv(o, whole);
	}
	out_lit(o, "\r\n");
}

static void unknown_line(struct out *o, struct hide *h, struct sv name, struct sv value);

/* Inlined: some 170 headers of a call come through here. */
static inline __attribute__((always_inline)) void pass_one(struct out *o, struct hide *h, const struct hdr *hdr)
{
	struct sv name = hdr_name(h->v, hdr), value = hdr_value(h->v, hdr);

	switch (classes[hdr->id]) {
	case HIDE_PASS:
		hide_line(o, name, value);
		return;
	case HIDE_WORDS:
		words_line(o, h, name, value);
		return;
	case HIDE_TYPE:
		type_line(o, h, name, value);
		return;
	case HIDE_OPTIONS:
		options_line(o, h, name, value);
		return;
	case HIDE_IDENTITY:
		identity_line(o, h, hdr->id, name, value);
		return;
	case HIDE_CHALLENGE:
		challenge_line(o, name, value);
		return;
	case HIDE_CREDENTIALS:
		credentials_line(o, h, name, value);
		return;
	case HIDE_WARNING:
		warning_line(o, h, name, value);
		return;
	case HIDE_CHECKED:
		if (h->v->first[HDR_PRIVACY] && is_private(h, hdr->id))
			counter_inc(h->counters, HIDE_DROPPED_IDENTITY);
		else
			hide_checked_line(o, h, name, value);
		return;
	case HIDE_ASKED:
		privacy_asked_line(o, h, name, value);
		return;
	case HIDE_SIGNATURE:
		signature_line(o, h, name, value);
		return;
	case HIDE_UNKNOWN:
		unknown_line(o, h, name, value);
		return;
	case HIDE_REFER:
		if (!h->line)
			hide_checked_line(o, h, name, value);
		else if (!h->line(h->ctx, o, h, hdr))
			counter_inc(h->counters, HIDE_DROPPED_ADDRESS);
		return;
	case HIDE_DIALOG:
		if (!h->line || !h->line(h->ctx, o, h, hdr))
			counter_inc(h->counters, HIDE_DROPPED_DIALOG);
		return;
	default:
		return;
	}
}

void hide_pass(struct out *o, struct hide *h, const struct hdr *hdr)
{
	pass_one(o, h, hdr);
}

void hide_headers(struct out *o, struct hide *h)
{
	const struct hdr *end = h->v->h + h->v->n;

	for (const struct hdr *hdr = h->v->h; hdr < end; hdr++)
		if (classes[hdr->id] != HIDE_OURS)
			pass_one(o, h, hdr);
}

/* RFC 3840 §9: a feature tag is one of the base tags or begins with '+'. */
static bool is_feature_tag(struct sv name)
{
	static const char *const base[] = { "audio", "automata", "class", "duplex", "data", "control", "mobility", "description",
	                                    "events", "priority", "methods", "schemes", "application", "video", "language",
	                                    "type", "isfocus", "actor", "text", "extensions" };

	if (name.len && *name.p == '+')
		return true;
	for (unsigned i = 0; i < sizeof(base) / sizeof(*base); i++)
		if (sv_ieq(name, sv_from(base[i])))
			return true;
	return false;
}

void hide_contact_params(struct out *o, struct hide *h, struct sv params)
{
	struct sv name, value;

	while (param_next(&params, &name, &value)) {
		if (!is_feature_tag(name) || hide_names_inside(h, name) || hide_names_inside(h, value))
			continue;
		out_lit(o, ";");
		out_sv(o, name);
		if (value.len) {
			out_lit(o, "=");
			out_sv(o, value);
		}
	}
}

/* The index: one set of hosts per snapshot, each with the zone it belongs to ---------------------------------------- */

struct host {
	struct sv name;       /* empty: by address */
	struct addr addr;
	uint16_t zone;
	uint16_t next;        /* index + 1 */
};

enum { BUCKETS = 1024, HOSTS_MAX = 16384 };

struct hide_index {
	const struct conf *conf;
	struct hash_key key;
	struct host *hosts;
	unsigned n, room;
	uint64_t lengths;     /* a bit for each length that a name has; the last one for all longer ones */
	uint16_t bucket[BUCKETS];
};

const struct conf *hide_conf(const struct hide_index *x)
{
	return x->conf;
}

static uint64_t host_hash(const struct hide_index *x, struct sv name, const struct addr *a)
{
	return name.len ? hash_nocase(&x->key, name) : hash_bytes(&x->key, a->ip, sizeof(a->ip));
}

static uint64_t length_bit(struct sv name)
{
	return UINT64_C(1) << (name.len < 63 ? name.len : 63);
}

static void index_add(struct hide_index *x, uint16_t zone, struct sv name, const struct addr *a)
{
	struct host *h;
	uint16_t *head = &x->bucket[host_hash(x, name, a) % BUCKETS];

	if (x->n == x->room || (!name.len && !a->family))
		return;
	h = &x->hosts[x->n++];
	x->lengths |= name.len ? length_bit(name) : 0;
	*h = (struct host){ .name = name, .zone = zone, .next = *head };
	if (a)
		h->addr = *a;
	*head = (uint16_t)x->n;
}

int hide_index_new(struct hide_index **out, const struct conf *c)
{
	struct hide_index *x = calloc(1, sizeof(*x));
	unsigned room = 2 * c->n_listeners + c->n_destinations;
	int err;

	if (!x)
		return -ENOMEM;
	x->conf = c;
	x->room = room < HOSTS_MAX ? room : HOSTS_MAX;
	x->hosts = calloc(x->room ? x->room : 1, sizeof(*x->hosts));
	err = x->hosts ? random_bytes(&x->key, sizeof(x->key)) : -ENOMEM;
	if (err) {
		hide_index_free(x);
		return err;
	}
	for (unsigned i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		struct addr a;

		index_add(x, l->zone, SV(""), &l->bind);
		if (addr_parse(&a, l->advertise_host) == 0)
			index_add(x, l->zone, SV(""), &a);
		else
			index_add(x, l->zone, l->advertise_host, NULL);
	}
	for (unsigned i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];

		index_add(x, c->pools[d->pool].zone, d->is_numeric ? SV("") : d->host, d->is_numeric ? &d->addr : NULL);
	}
	*out = x;
	return 0;
}

void hide_index_free(struct hide_index *x)
{
	if (!x)
		return;
	free(x->hosts);
	free(x);
}

static bool index_has(const struct hide_index *x, uint16_t zone, struct sv name, const struct addr *a)
{
	if (!a && !(x->lengths & length_bit(name)))
		return false;
	for (uint16_t i = x->bucket[host_hash(x, a ? SV("") : name, a) % BUCKETS]; i; i = x->hosts[i - 1].next) {
		const struct host *h = &x->hosts[i - 1];

		if (h->zone == zone && (a ? h->addr.family && addr_eq_ip(&h->addr, a) : sv_ieq(h->name, name)))
			return true;
	}
	return false;
}

static void collect_hosts(struct hide *h);

static bool zone_trusts(const struct hide_index *x, uint16_t zone, const struct addr *a)
{
	const struct conf_zone *z = &x->conf->zones[zone];

	for (unsigned i = 0; i < z->n_trust; i++)
		if (z->trust[i].bits && prefix_has(&z->trust[i], a))
			return true;
	return false;
}

static bool address_is_spared(const struct hide *h, const struct addr *a)
{
	return h->spared && (addr_eq_ip(a, h->spared) || index_has(h->index, h->spared_zone, SV(""), a) ||
	                     zone_trusts(h->index, h->spared_zone, a));
}

static bool message_names_address(struct hide *h, const struct addr *a)
{
	struct addr one;

	if (!h->has_hosts)
		collect_hosts(h);
	for (unsigned i = 0; i < h->n_hosts; i++)
		if (addr_parse(&one, h->hosts[i]) == 0 && addr_eq_ip(&one, a))
			return true;
	return false;
}

static bool address_is_inside(struct hide *h, const struct addr *a)
{
	if (address_is_spared(h, a))
		return false;
	return addr_eq_ip(a, h->source) || index_has(h->index, h->zone, SV(""), a) || zone_trusts(h->index, h->zone, a) ||
	       message_names_address(h, a);
}

/* Hosts that the message itself names as the sender's: its Vias, Record-Routes and Contact. Collected once. */
static void add_host(struct hide *h, struct sv host)
{
	if (host.len && h->n_hosts < HIDE_HOSTS_MAX)
		h->hosts[h->n_hosts++] = host;
}

static void collect_hosts(struct hide *h)
{
	const struct view *v = h->v;
	struct name_addr na;
	struct via via;
	struct uri uri;

	for (unsigned i = 0; i < v->n && h->n_hosts < HIDE_HOSTS_MAX; i++) {
		struct sv rest = hdr_value(v, &v->h[i]);

		if (v->h[i].id == HDR_VIA)
			while (h->n_hosts < HIDE_HOSTS_MAX && via_next(&via, &rest) == 0)
				add_host(h, via.host);
		else if (v->h[i].id == HDR_CONTACT || v->h[i].id == HDR_RECORD_ROUTE)
			while (h->n_hosts < HIDE_HOSTS_MAX && name_addr_next(&na, &rest) == 0 && uri_parse(&uri, na.uri) == 0)
				add_host(h, uri.host);
	}
	h->has_hosts = true;
}

static bool message_names_host(struct hide *h, struct sv host)
{
	if (!h->has_hosts)
		collect_hosts(h);
	for (unsigned i = 0; i < h->n_hosts; i++)
		if (sv_ieq(h->hosts[i], host))
			return true;
	return false;
}

static bool host_char(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '-' || c == ':' ||
	       c == '_';
}

static struct sv without_port(struct sv run)
{
	size_t colon = sv_chr(run, ':');

	return colon < run.len && sv_chr(sv_skip(run, colon + 1), ':') == run.len - colon - 1 ? (struct sv){ run.p, colon } : run;
}

static bool host_is_inside(struct hide *h, struct sv host)
{
	bool may_be_address = host.len && ((*host.p >= '0' && *host.p <= '9') || sv_chr(host, ':') < host.len);
	struct addr a;

	if (may_be_address && (addr_parse(&a, host) == 0 || addr_parse(&a, without_port(host)) == 0))
		return address_is_inside(h, &a);
	host = without_port(host);
	if (!host.len || (!index_has(h->index, h->zone, host, NULL) && !message_names_host(h, host)))
		return false;
	return !h->spared || !index_has(h->index, h->spared_zone, host, NULL);
}

/* Four numbers at the beginning of `text`, not going on as a longer fifth. */
static bool quad_at(struct sv text, struct addr *out)
{
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		size_t from = at;

		while (at < text.len && at < from + 3 && text.p[at] >= '0' && text.p[at] <= '9')
			at++;
		if (at == from || (i < 3 && (at == text.len || text.p[at++] != '.')))
			return false;
	}
	if (at < text.len && text.p[at] >= '0' && text.p[at] <= '9')
		return false;
	return addr_parse(out, (struct sv){ text.p, at }) == 0;
}

/* Identifiers are often made of an address: "1234-10.0.0.1". */
static bool embeds_address(struct hide *h, struct sv run)
{
	bool in_number = false;
	struct addr a;

	if (sv_chr(run, '.') == run.len)
		return false;
	for (size_t i = 0; i < run.len; i++) {
		bool is_digit = run.p[i] >= '0' && run.p[i] <= '9';

		if (is_digit && !in_number && quad_at(sv_skip(run, i), &a) && address_is_inside(h, &a))
			return true;
		in_number = is_digit;
	}
	return false;
}

/* So are they of a name: "1234-host.example-5060". A run with more hyphens than a UUID and its neighbours have is no such thing. */
static bool embeds_name(struct hide *h, struct sv run)
{
	size_t cut[HIDE_HYPHENS_MAX + 2] = { 0 };
	unsigned n = 1;

	for (size_t i = 0; i < run.len; i++)
		if (run.p[i] == '-') {
			if (n > HIDE_HYPHENS_MAX)
				return false;
			cut[n++] = i + 1;
		}
	cut[n] = run.len + 1;
	for (unsigned from = 0; n > 1 && from < n; from++)
		for (unsigned to = from + 1; to <= n; to++)
			if (host_is_inside(h, (struct sv){ run.p + cut[from], cut[to] - 1 - cut[from] }))
				return true;
	return false;
}

/* "10.0.0.1", "host.example:5060", but also "sip:10.0.0.1" and "node:sip:app.example:5060": what is behind each colon counts too. */
static bool run_is_inside(struct hide *h, struct sv run)
{
	struct sv rest;

	while (run.len && strchr(".:-", run.p[run.len - 1]))
		run.len--;
	rest = run;
	for (unsigned i = 0; rest.len > 1; i++) {
		if (i == HIDE_COLONS_MAX || host_is_inside(h, rest))
			return true;
		rest = sv_skip(rest, sv_chr(rest, ':') + 1);
	}
	return run.len > 1 && (embeds_address(h, run) || embeds_name(h, run));
}

/* A name may hold underscores (containers' do), but they may as well stand between an address and something else. */
static bool word_is_inside(struct hide *h, struct sv word)
{
	if (sv_chr(word, '_') < word.len && run_is_inside(h, word))
		return true;
	while (word.len) {
		size_t end = sv_chr(word, '_');

		if (++h->runs > HIDE_RUNS_MAX || run_is_inside(h, (struct sv){ word.p, end }))
			return true;
		word = sv_skip(word, end + 1);
	}
	return false;
}

static bool words_name_inside(struct hide *h, struct sv text)
{
	size_t at = 0;

	while (at < text.len) {
		size_t from = at;

		while (at < text.len && host_char(text.p[at]))
			at++;
		if (at > from && word_is_inside(h, (struct sv){ text.p + from, at - from }))
			return true;
		at += at == from;
	}
	return false;
}

static bool has_words(struct sv text, struct sv words)
{
	if (words.len < HIDE_ID_MIN)
		return false;
	while (text.len >= words.len) { /* memmem would make a table of `words` first, each time */
		size_t at = sv_chr((struct sv){ text.p, text.len - words.len + 1 }, *words.p);

		text = sv_skip(text, at);
		if (text.len >= words.len && memcmp(text.p, words.p, words.len) == 0)
			return true;
		text = sv_skip(text, 1);
	}
	return false;
}

/* The sender's dialog, transaction and software, by the words he has for them. */
static bool names_identifiers(const struct hide *h, struct sv text)
{
	const struct view *v = h->v;
	const struct hdr *agent = view_find(v, HDR_USER_AGENT, 0), *server = view_find(v, HDR_SERVER, 0);

	return has_words(text, view_value(v, HDR_CALL_ID)) || has_words(text, view_from_tag(v)) || has_words(text, view_to_tag(v)) ||
	       has_words(text, view_via_branch(v)) || (agent && has_words(text, hdr_value(v, agent))) ||
	       (server && has_words(text, hdr_value(v, server)));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Escapes of URIs and quoted strings undone (RFC 3261 §25.1). */
static struct sv without_escapes(struct sv text, char area[HIDE_ESCAPED_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '%' && i + 2 < text.len && hex_digit(text.p[i + 1]) >= 0 && hex_digit(text.p[i + 2]) >= 0) {
			c = (char)(hex_digit(text.p[i + 1]) << 4 | hex_digit(text.p[i + 2]));
			i += 2;
		} else if (c == '\\' && i + 1 < text.len) {
			c = text.p[++i];
		}
		area[n++] = c;
	}
	return (struct sv){ area, n };
}

static bool text_names_inside(struct hide *h, struct sv text)
{
	return words_name_inside(h, text) || names_identifiers(h, text);
}

bool hide_names_inside(struct hide *h, struct sv text)
{
	char area[HIDE_ESCAPED_MAX];

	if (text_names_inside(h, text))
		return true;
	if (sv_chr(text, '%') == text.len && sv_chr(text, '\\') == text.len)
		return false;
	return text.len > HIDE_ESCAPED_MAX || text_names_inside(h, without_escapes(text, area));
}

bool hide_tells_identifiers(const struct hide *h, struct sv text)
{
	char area[HIDE_ESCAPED_MAX];

	return names_identifiers(h, text) || text.len > HIDE_ESCAPED_MAX || names_identifiers(h, without_escapes(text, area));
}

/* How much of an inside word to leave: "udp:" of "udp:10.0.0.21:5060", the longest beginning behind which all is still inside. */
static size_t prefix_of(struct hide *h, struct sv word)
{
	size_t kept = 0, at = 0;

	for (unsigned i = 0; i < HIDE_COLONS_MAX && (at += sv_chr(sv_skip(word, at), ':') + 1) < word.len; i++)
		if (word_is_inside(h, sv_skip(word, at)) && !word_is_inside(h, (struct sv){ word.p, at - 1 }))
			kept = at;
	return kept;
}

/* `text` from the inside word of `*len` bytes on: what of it, brackets and port of an IPv6 address too, the domain stands for. */
static void mask_word(struct out *o, struct hide *h, struct sv text, size_t from, size_t *end, struct sv domain)
{
	bool has_brackets = from && text.p[from - 1] == '[' && *end < text.len && text.p[*end] == ']';
	struct sv word = { text.p + from, *end - from };

	if (has_brackets) {
		o->at -= o->at > o->begin;
		for (*end += 1; *end < text.len && (text.p[*end] == ':' || (text.p[*end] >= '0' && text.p[*end] <= '9'));)
			*end += 1;
	} else {
		out_sv(o, (struct sv){ word.p, prefix_of(h, word) });
	}
	out_sv(o, domain);
}

bool hide_mask(struct out *o, struct hide *h, struct sv text)
{
	struct sv domain = hide_domain(h->index->conf, h->to_zone, h->agent);
	char *begin = o->at;
	bool is_whole = true;
	size_t at = 0;

	if (!hide_names_inside(h, text)) {
		out_sv(o, text);
		return true;
	}
	if (hide_tells_identifiers(h, text))
		return false; /* with another host it would not be known again */
	while (is_whole && at < text.len) {
		size_t from = at;

		while (at < text.len && host_char(text.p[at]))
			at++;
		if (at == from)
			out_sv(o, (struct sv){ text.p + at++, 1 });
		else if (!word_is_inside(h, (struct sv){ text.p + from, at - from }))
			out_sv(o, (struct sv){ text.p + from, at - from });
		else if (at - from <= HIDE_HOST_MAX && h->runs <= HIDE_RUNS_MAX)
			mask_word(o, h, text, from, &at, domain);
		else
			is_whole = false; /* no host is that long, no value has so many words */
	}
	if (is_whole && !hide_names_inside(h, sv_span(begin, o->at)))
		return true;
	o->at = begin;
	return false;
}

static void unknown_line(struct out *o, struct hide *h, struct sv name, struct sv value)
{
	if (h->index->conf->zones[h->zone].headers_unknown == UNKNOWN_DROP)
		counter_inc(h->counters, HIDE_DROPPED_UNKNOWN);
	else
		hide_checked_line(o, h, name, value);
}
