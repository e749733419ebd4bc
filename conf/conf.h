/* conf/conf.h - the configuration as one immutable snapshot. Control thread builds it (conf_load), workers only read
 * it; strings and arrays live in the snapshot's arena and die with it. What outlives a loop turn copies what it needs. */
#ifndef CONF_CONF_H
#define CONF_CONF_H
#include "base/addr.h"
#include "base/list.h"
#include "transports/resolve.h"
#include <stdio.h>

/* What a file may hold. Beyond: an error that names the bound. */
enum conf_limits {
	CONF_FILE_MAX = 4 << 20,     /* bytes */
	CONF_NODES_MAX = 200000,     /* values visited, a value behind an alias each time it is used */
	CONF_DEPTH_MAX = 32,         /* lists and mappings inside each other */
	CONF_KEYS_MAX = 4096,        /* in one mapping */
	CONF_TEXT_MAX = 4096,        /* bytes of one value, after ${ENV} */
	CONF_NAME_MAX = 64,          /* of a zone, pool, destination, trunk */
	CONF_NOTES_MAX = 500,        /* kept; further ones are only counted */
	CONF_ZONES_MAX = 64,
	CONF_CERTS_MAX = 64,         /* in one zone */
	CONF_LISTENERS_MAX = 256,    /* in one zone, and all zones together */
	CONF_POOLS_MAX = 1024,
	CONF_DESTINATIONS_MAX = 4096,/* in one pool, and all pools together */
	CONF_SPILLS_MAX = 4,         /* pools that spill into each other, one after the other */
	CONF_ROUTES_MAX = 4096,
	CONF_ROOMS_MAX = 256,        /* patterns of `sticky.rooms` */
	CONF_REGEX_MAX = 256,        /* bytes of a regex */
	CONF_RULES_MAX = 256,        /* header rules in one list, and lists in all */
	CONF_RULE_NAMES_MAX = 64,    /* headers that one rule names */
	CONF_RULE_USES_MAX = 16,     /* lists in one place */
	CONF_HEADER_VALUE_MAX = 512, /* bytes of a value that a rule writes, filled in */
	CONF_REGISTRARS_MAX = 4096,  /* domains of `registrar` */
	CONF_USERS_MAX = 4096,       /* written in the file, of one domain; more stand in a file of their own */
	CONF_USER_MAX = 128,         /* bytes of one's name */
	CONF_REALM_MAX = 255,
	CONF_TRUNKS_MAX = 4096,
	CONF_SOURCES_MAX = 256,      /* of one trunk */
};

/* Where something stands in the file; 1-based. */
struct conf_mark {
	unsigned line, col;
};

/* A file named in the configuration, and where. */
struct conf_path {
	struct sv path;              /* empty: none */
	struct conf_mark mark;
};

struct tls_cert;
struct tls_trust;
struct tls_context;

/* One of `zones.*.tls`: read when the snapshot is made (tls.c). */
struct conf_cert {
	struct sv name;
	struct conf_path cert, key, ocsp;
	struct conf_mark mark;
	struct tls_cert *loaded;     /* counted */
};

/* `tls-options` of a listener: what is not written is its zone's. */
struct conf_tls {
	uint8_t min_version;         /* 0: the zone's; else enum tls_version of transports/tls.h + 1 */
	uint8_t verify_client;       /* 0: the zone's; else enum tls_verify + 1 */
	struct sv ciphers;           /* empty: the zone's; there: OpenSSL's own choice */
	struct conf_mark ciphers_mark;
};

struct conf_listener {
	uint8_t transport;           /* enum transport of transports/net.h */
	bool is_active;              /* false: its transport has not landed */
	uint16_t zone;               /* index */
	struct addr bind;
	struct sv path;              /* ws/wss: "/sip" */
	struct sv advertise;         /* host[:port] for Via and Contact, never empty; default: the bound address (IPv6 in
	                              * brackets); the port unless it is the transport's default */
	struct sv advertise_host;    /* without port */
	uint16_t advertise_port;
	struct sv text;              /* as written */
	struct conf_tls tls_options;
	struct tls_context *tls;     /* tls and wss: what its connections begin with; counted */
	struct conf_mark mark;
};

enum conf_guard { GUARD_OFF, GUARD_LOG, GUARD_BLOCK };
enum conf_unknown { UNKNOWN_PASS, UNKNOWN_DROP };
enum conf_identity { IDENTITY_TRUST, IDENTITY_DROP, IDENTITY_MASK };
enum conf_preferred { PREFERRED_DROP, PREFERRED_ASSERT };
enum conf_nat { NAT_AUTO, NAT_ALWAYS, NAT_NEVER };
enum conf_mask { MASK_FROM = 1, MASK_TO = 2, MASK_PAI = 4, MASK_SDP_ORIGIN = 8 }; /* bits */

/* One step of a header policy. */
enum conf_rule_action { RULE_UNSET, RULE_ADD, RULE_SET, RULE_RENAME, RULE_COPY, RULE_REMOVE, RULE_KEEP, RULE_MASK };
enum conf_message { MESSAGE_REQUEST, MESSAGE_RESPONSE, MESSAGE_ANY };
enum conf_piece_kind { PIECE_FROM_USER, PIECE_TO_USER, PIECE_SOURCE_ADDRESS, PIECE_SOURCE_ZONE, PIECE_CALL_ID, PIECE_TEXT };

/* A value is a row of these. */
struct conf_piece {
	uint8_t kind;                /* enum conf_piece_kind */
	struct sv text;              /* PIECE_TEXT */
};

struct conf_rule {
	uint8_t action;              /* enum conf_rule_action */
	uint8_t message;             /* enum conf_message */
	bool drops_signature;        /* an Identity of the message goes with it */
	struct sv *names; unsigned n_names;       /* one but for REMOVE, KEEP and MASK; those may end in '*' (headers not known) */
	struct sv to;                /* RENAME, COPY */
	struct sv value;             /* ADD, SET: as written */
	struct conf_piece *pieces; unsigned n_pieces; /* the same, read */
	struct sv *methods; unsigned n_methods;   /* none: any */
};

/* A named list of them, under `headers`. */
struct conf_rules {
	struct sv name;
	struct conf_rule *rules; unsigned n;
	struct conf_mark mark;
};

/* Which lists hold somewhere, by index in conf.rules: `in` for what comes from there, `out` for what goes there. */
struct conf_use {
	uint16_t *in, *out;
	unsigned n_in, n_out;
};

enum conf_keepalive_udp { KEEPALIVE_AUTO, KEEPALIVE_OPTIONS, KEEPALIVE_CRLF, KEEPALIVE_EMPTY, KEEPALIVE_OFF };
enum conf_keepalive_tcp { STREAM_KEEPALIVE_AUTO, STREAM_KEEPALIVE_CRLF, STREAM_KEEPALIVE_OFF };

struct conf_zone {
	struct sv name;
	uint16_t first_listener, n_listeners; /* in conf.listeners */
	struct conf_listener *listeners;      /* = &conf.listeners[first_listener] */
	struct sv *domains;  unsigned n_domains;
	struct sv *origins;  unsigned n_origins; /* patterns: whose pages may open WebSockets; none: any */
	struct prefix *trust; unsigned n_trust;
	struct prefix *proxies; unsigned n_proxies; /* who speaks the PROXY protocol */
	uint8_t headers_unknown;     /* enum conf_unknown */
	struct conf_use headers;
	uint8_t identity;            /* enum conf_identity: of what comes in */
	uint8_t preferred_identity;  /* enum conf_preferred */
	uint8_t nat;                 /* enum conf_nat */
	uint8_t masks;               /* enum conf_mask: of what goes out */
	bool drops_signature;        /* Identity (RFC 8224) does not go out: masks apply to what carried one, too */
	struct { uint32_t expires_ms, min_ms, ping_ms; } session; /* RFC 4028: 0 = only if asked, 90 s; 15 min, 0 = no pings */
	bool is_silent_unknown;      /* a REGISTER for a domain that is none of `registrar` gets no answer, instead of 404 */
	struct {
		bool is_on;
		uint8_t udp, tcp;    /* enum conf_keepalive_udp, _tcp; once read never AUTO */
		uint16_t misses;
		uint32_t every_ms;
		bool learns;         /* the interval over UDP, by network, between these two */
		uint32_t min_ms, max_ms;
	} keepalive;
	struct conf_cert *certs; unsigned n_certs;
	struct conf_tls tls_options; /* for its listeners and for what it dials */
	bool trusts_servers;         /* `verify-server: false`: their certificates are not asked for anything */
	struct conf_path ca, crl;    /* whom it believes; default: whom the system believes */
	struct tls_trust *believes;  /* counted, as the next; NULL: nobody is verified */
	struct tls_context *dials;   /* what connections out of it begin with */
	struct sv advertise;         /* zone-wide default for its listeners, or empty */
	struct conf_mark mark;       /* of its name */
};

enum conf_balance { BALANCE_ROUND_ROBIN, BALANCE_WEIGHTED, BALANCE_LEAST_CALLS, BALANCE_HASH, BALANCE_LATENCY };
enum conf_key { KEY_FROM_USER, KEY_TO_USER, KEY_CALL_ID, KEY_SOURCE, KEY_DOMAIN };
enum conf_sticky_key { STICKY_CALL_ID, STICKY_FROM_USER, STICKY_TO_USER, STICKY_DOMAIN, STICKY_SOURCE, STICKY_ROOM, STICKY_HEADER };
enum conf_request_uri { RURI_KEEP, RURI_DESTINATION };

struct conf_destination {
	struct sv name, uri;         /* uri as written: "sip:10.0.0.21:5060;transport=tcp" */
	struct sv host;              /* IPv6 without brackets */
	bool is_numeric;
	bool each_address;           /* every address of a name is a destination of its own (live.h) */
	bool is_address;             /* one of those */
	bool is_leaving;             /* nothing names it any more, its weight is 0, and it goes with its last call */
	struct addr addr;            /* when is_numeric, with the port (default 5060) */
	uint16_t port;               /* 0: none written */
	uint8_t transport;           /* default UDP; sips: TLS */
	bool is_open;                /* a name without port and transport=: DNS may say another one (RFC 3263 §4.1) */
	struct sv path;              /* ws, wss: where it takes WebSockets; empty: "/" */
	struct sv tls_name;          /* whom its certificate has to be for, if not its host */
	unsigned weight;             /* default 1, 0..1000; 0 = no calls */
	unsigned max_calls;          /* 0 = no limit */
	unsigned max_cps;            /* new calls a second; 0 = no limit */
	uint16_t priority;           /* tier: a higher number only when nobody of a lower one can */
	uint16_t pool;
	uint32_t id;                 /* index into conf.destinations */
	struct conf_mark mark, uri_mark;
};

/* Whom its certificate has to be for. */
static inline struct sv conf_tls_name(const struct conf_destination *d)
{
	return d->tls_name.len ? d->tls_name : d->host;
}

/* One line of `responses:`: what the caller gets instead of `from`. */
struct conf_response {
	uint16_t from, to;
};

struct conf_sticky {
	bool is_on;
	bool stays;          /* on-drain: stay: what has calls waits for their end */
	uint8_t on_drain;    /* as written: 0 = not at all, 1 = move, 2 = stay */
	uint8_t key;         /* enum conf_sticky_key */
	struct sv by;        /* as written */
	struct sv header;    /* STICKY_HEADER: its name */
	struct sv *rooms; unsigned n_rooms; /* STICKY_ROOM: whose Request-URIs have such a user; none = all */
	uint32_t ttl_ms, max;
};

struct conf_pool {
	struct sv name;
	uint16_t zone;
	uint8_t balance, request_uri;
	struct { bool is_on; uint32_t every_ms, timeout_ms; uint16_t down_after, up_after; } probe; /* 5 s, 1 s, 3, 2 */
	struct { uint32_t after_ms; uint16_t *on; unsigned n_on; unsigned tries; } failover;        /* 2 s, [503], 3 */
	struct { uint16_t *fail_on; unsigned n_fail_on; uint32_t retry_after_ms; } health;          /* [503], 60 s */
	struct { uint8_t by; uint16_t bound; } hash;           /* enum conf_key, from-user; percent of the mean, 125, 0 = none */
	uint32_t slow_start_ms;      /* 0 = none */
	uint16_t spill;              /* index + 1 of the pool that takes what finds no place here; 0 = none */
	struct sv spill_name; struct conf_mark spill_mark;     /* as written, or empty */
	bool is_plain;               /* calls in turn, one tier, no limits: the short way of picking will do */
	uint16_t trunk;              /* index + 1 of the trunk whose pool it is; 0 = none */
	uint32_t answer_timeout_ms;  /* default 3m (timer C) */
	struct conf_sticky sticky;
	uint32_t first_destination; unsigned n_destinations;   /* in conf.destinations */
	struct conf_destination *destinations;                 /* = &conf.destinations[first_destination] */
	struct sv destinations_file; uint64_t destinations_stamp; /* more of them, read with conf_file_stamp's word for it */
	struct conf_response *responses; unsigned n_responses; /* `responses: { 503: 480 }` towards the caller */
	struct conf_use headers;
	struct conf_mark mark;       /* of its name */
};

/* A destination with each_address, as it is written. */
struct conf_name {
	struct sv pool, name, host;
	uint16_t port;
	uint8_t transport, transports, family; /* as in struct resolve_query */
};

enum conf_caller { CALLER_REGISTERED, CALLER_AUTHENTICATED, CALLER_TRUSTED, CALLER_ANY };

struct conf_header {
	struct sv name, glob;
};

/* `when:` of a rule: absent conditions have is_set false / empty. All must hold. */
struct conf_when {
	int zone;                    /* -1: any */
	struct prefix *source; unsigned n_source;
	struct sv *methods; unsigned n_methods;   /* as written, exact case (RFC 3261 §7.1) */
	struct sv *domains; unsigned n_domains;   /* Request-URI's host, globs, case ignored */
	struct sv *users; unsigned n_users;       /* Request-URI's user: "conf-*", "+49*", "1000-1999" (see conf_user_match) */
	struct conf_header *headers; unsigned n_headers;
	uint8_t caller;              /* enum conf_caller; default CALLER_REGISTERED (trusted sources satisfy it too; DECISIONS
	                              * 15), CALLER_ANY for a rule that rejects or registers: a refusal asks nothing */
	bool caller_is_written;
	bool callee_registered;
	struct sv trunk;
};

enum conf_action { ACT_POOL, ACT_REJECT, ACT_REGISTRAR, ACT_LOCATION, ACT_RELAY, ACT_INACTIVE };

struct conf_rewrite {
	struct sv user_prefix;       /* put in front after stripping */
	unsigned user_strip;         /* characters cut from the front */
	struct sv user_regex, user_replace; void *regex; /* POSIX extended, compiled; \1..\9 in replace */
	struct sv host;
	bool request_uri, from, to, pai; /* what it applies to; default request_uri only */
};

enum conf_asks { ASKS_CALLER = 1, ASKS_CALLEE = 2 }; /* bits: whether they are registered */

struct conf_route {
	struct conf_when when;
	uint8_t action;              /* ACT_INACTIVE: written, but its part has not landed: 503 */
	uint16_t pool;               /* ACT_POOL */
	uint16_t reject;             /* ACT_REJECT: 300..699 */
	struct sv reject_phrase;     /* or empty */
	bool has_rewrite; struct conf_rewrite rewrite;
	bool is_relay;               /* `relay: true`: Request-URI hosts other than ours may pass (DECISIONS 15) */
	struct conf_use headers;     /* `out`: towards where it leads */
	uint32_t max_duration_ms;    /* 0 = none */
	uint32_t answer_timeout_ms;  /* ACT_LOCATION: of those that ring together; 0 = as CALL_DIRECT_ANSWER_MS and FORK_GROUP_MS say */
	bool follows_redirects;      /* else 3xx are passed on */
	unsigned line;               /* in the file, for `sbcctl route` and logs */
	unsigned col;
	struct sv text;              /* one line of plain words describing the rule */
};

/* Its requests go on to somebody. */
static inline bool route_leads_on(const struct conf_route *r)
{
	return r->action == ACT_POOL || r->action == ACT_LOCATION;
}

enum conf_registrar_mode { REGISTRAR_LOCAL, REGISTRAR_PASS, REGISTRAR_FRONT };
enum conf_registrar_auth { AUTH_NONE, AUTH_USERS };
enum conf_digest { CONF_MD5 = 1, CONF_SHA256 = 2 }; /* bits */
enum conf_when_full { FULL_REJECT, FULL_REPLACE };

struct conf_user {
	struct sv name, secret;
};

/* Registrations of one domain, under `registrar`. */
enum conf_registrar_contact { CONTACT_OURS, CONTACT_PATH };

struct conf_registrar {
	struct sv domain;
	uint8_t mode;                /* enum conf_registrar_mode */
	uint8_t auth;                /* enum conf_registrar_auth */
	bool asks;                   /* `auth` is a mapping */
	uint8_t algorithms;          /* bits: enum conf_digest */
	struct sv realm;             /* default: the domain */
	struct sv users_file;        /* empty: they stand here */
	struct conf_user *users; unsigned n_users;
	uint8_t when_full;           /* enum conf_when_full */
	int pool;                    /* -1: none */
	uint8_t contact;             /* enum conf_registrar_contact: how the registrar behind us finds the client */
	struct { uint32_t client_ms, upstream_ms; } front; /* 60 s, 1 h */
	struct { uint32_t min_ms, max_ms, jitter; } expires; /* 60 s, 1 h; jitter in percent */
	uint32_t max_contacts;       /* per AOR; default 10 */
	uint64_t rate;               /* REGISTER requests per minute, all workers together; 0: no limit */
	uint32_t flow_grace_ms;      /* default 10 s */
	uint32_t flow_timer_ms;      /* whole seconds; 0 = none */
	struct conf_mark mark;       /* of its domain */
};

/* A carrier (DECISIONS 17). */
struct conf_trunk {
	struct sv name;
	uint16_t zone;
	int pool;                    /* -1: none: calls only come from there */
	struct prefix *sources; unsigned n_sources;
	struct sv tls_name;          /* of its certificate, or empty */
	struct sv domain;            /* hosts of Request-URI, From and To there, or empty: they stay */
	struct sv realm;             /* whose challenges are answered; default: the domain */
	struct sv user, password;    /* for those; empty: none is */
	uint32_t max_calls;          /* at once, both directions together; 0 = no limit */
	uint64_t rate;               /* new ones a minute; 0 = no limit */
	bool registers;
	struct { struct sv user; uint32_t expires_ms; } registration; /* where we register, 1 h */
	uint16_t slot;               /* set by the publisher (dispatcher/trunk.h) */
	struct conf_mark mark;       /* of its name */
};

/* Of all trunks, those of one zone and family and length in a row by address, longer prefixes first. */
struct conf_source {
	struct prefix prefix;
	uint16_t zone, trunk;
	uint32_t n_row;              /* how many are left of its row, itself included */
};

struct conf {
	uint64_t gen;                /* set by the publisher */
	struct sv file, node;        /* node is required */
	unsigned workers;            /* resolved: auto = online cores */
	struct conf_rules *rules; unsigned n_rules;
	struct conf_zone *zones; unsigned n_zones;
	struct conf_listener *listeners; unsigned n_listeners;
	struct conf_pool *pools; unsigned n_pools;
	struct conf_destination *destinations; unsigned n_destinations;
	struct conf_name *names; unsigned n_names; /* whose addresses are asked for while the program runs */
	struct conf_route *routes; unsigned n_routes;
	struct conf_registrar *registrars; unsigned n_registrars; /* by domain, in order of their names */
	struct conf_trunk *trunks; unsigned n_trunks;
	struct conf_source *sources; uint32_t n_sources; /* of the trunks */
	bool has_trunk_names;        /* some are known by their certificates */
	uint8_t asks;                /* enum conf_asks: what its rules want to know, where there is a registrar */
	struct sv state;             /* directory; default /var/lib/sbc; "" never */
	struct sv *identity_keys; unsigned n_identity_keys; /* files, newest first; 0 = state/identity.key */
	struct sv admin_socket;      /* empty: none */
	struct sv admin_http;        /* ADDRESS:PORT on loopback; empty: none */
	struct sv admin_demo;        /* directory of the demo page; empty: none */
	struct sv log_path; uint8_t log_level, log_format;  /* enums of base/log.h; path empty: stderr */
	bool cdr_is_on;              /* default true: state/cdr.jsonl */
	uint8_t hiding_guard;        /* enum conf_guard */
	uint32_t shutdown_grace_ms;  /* default 30s */
	uint32_t max_calls;          /* per worker bound; default 200000 */
	struct sv *name_servers; unsigned n_name_servers; /* dns.servers; default: the system's */
	struct sv text;              /* what it was made of, before anything was laid over it */
	uint64_t certs_stamp;        /* of all files that TLS needs, as conf_file_stamp; 0: none */
	struct conf_arena *arena;    /* private */
};

/* One problem or warning with its place. */
struct conf_note {
	struct node in_list;
	bool is_error;
	unsigned line, col;          /* 1-based; 0 = the file as a whole */
	char *path;                  /* "pools.media.destinations[1].uri" */
	char *text;                  /* what is wrong and what would be right */
};
struct conf_notes {
	struct node list;
	unsigned errors, warnings;   /* all of them, also those beyond CONF_NOTES_MAX that are not in the list */
	bool out_of_memory;          /* a note could not be kept */
};
void conf_notes_init(struct conf_notes *n);
void conf_notes_fini(struct conf_notes *n);
/* One line without its end: "FILE:line:col: path: text", warnings "FILE:line:col: warning: path: text". Cut at `size`;
 * returns what snprintf returns. */
int conf_note_format(const struct conf_note *n, const char *file, char *buf, size_t size);
/* The same, with the end of the line, to a stream. */
void conf_note_print(FILE *to, const char *file, const struct conf_note *n);

/* Reads and checks `file` whole, collecting every problem. 0 with `*out` owned, or -EINVAL (see notes), -ENOENT or what
 * open and read say (with a note), -ENOMEM. Neither network nor name look-ups; ${ENV} and file: are read. */
int conf_load(struct conf **out, const char *file, struct conf_notes *notes);
/* The same from memory (tests, fuzzing); `file` only names it. */
int conf_parse(struct conf **out, const char *file, struct sv yaml, struct conf_notes *notes);
void conf_free(struct conf *c);
/* Changes with whatever is done to a file; 1 when there is none. */
uint64_t conf_file_stamp(const char *file);
/* The same of all files that TLS needs in `c`, as they are now; 0: none are named. */
uint64_t conf_certs_stamp(const struct conf *c);

/* Differences that a running process cannot take (listeners, zones, workers, state, identity keys ...): one error note
 * each, and -EINVAL; 0 when `next` can replace `now`. (The schema's reload class.) */
int conf_can_replace(const struct conf *now, const struct conf *next, struct conf_notes *notes);

/* A plain-words summary of what the file does (`--check`), the reference page (docs/configuration.md) and
 * conf/sbc.schema.json. 0 with `out->p` NUL-terminated and the caller's to free(), or -ENOMEM. */
struct conf_text { char *p; size_t len; };
int conf_describe(const struct conf *c, struct conf_text *out);
int conf_reference(struct conf_text *out);
int conf_json_schema(struct conf_text *out);

/* Glob ("conf-*", "+49*"), or numeric range "1000-1999" (same number of digits on both sides and in the user). */
bool conf_user_match(struct sv pattern, struct sv user);
/* "250ms", "5s", "3m", "2h", "7d", as in the file. 0; -EBADMSG, -ERANGE (more than 31 days). */
int conf_duration_ms(struct sv text, uint64_t *ms);
/* Index, or -1. */
int conf_find_pool(const struct conf *c, struct sv name);
/* NULL: none. */
const struct conf_destination *conf_find_destination(const struct conf *c, struct sv pool, struct sv name);
int conf_find_zone(const struct conf *c, struct sv name);

/* What a zone's listeners in use can send to. */
struct conf_reach {
	uint8_t transports;          /* a bit (1 << transport) each */
	uint8_t family;              /* 4, 6; 0: both, or none */
};
struct conf_reach conf_zone_reach(const struct conf_zone *z);
/* What a name may say where the URI does not: a sips: one, whose usual transport is TLS, nothing that is not encrypted. */
static inline uint8_t conf_open_transports(uint8_t usual)
{
	return usual == T_TLS ? 1u << T_TLS | 1u << T_WSS : 1u << T_UDP | 1u << T_TCP | 1u << T_TLS | 1u << T_WS | 1u << T_WSS;
}
/* Where its name leads, as its zone can get there. */
struct resolve_query conf_query_of(const struct conf_zone *z, const struct conf_destination *d);
struct resolve_query conf_destination_query(const struct conf *c, const struct conf_destination *d);
int conf_find_rules(const struct conf *c, struct sv name);
int conf_find_trunk(const struct conf *c, struct sv name);
/* The trunk whose source this address is in that zone, by the longest prefix; -1: none's. */
int conf_trunk_at(const struct conf *c, uint16_t zone, const struct addr *source);
/* The one in that zone that is known by this name, proved by a certificate; without case. -1: none. */
int conf_trunk_named(const struct conf *c, uint16_t zone, struct sv name);
/* Without case, a dot at the end ignored. NULL: no domain of `registrar`. */
const struct conf_registrar *conf_find_registrar(const struct conf *c, struct sv host);
/* Do we know its users, and ask them for passwords? What goes on to a registrar behind us is asked there. */
static inline bool conf_has_users(const struct conf_registrar *r)
{
	return r->auth == AUTH_USERS && r->mode != REGISTRAR_PASS;
}
/* Is it what some of our passwords are for? */
bool conf_has_realm(const struct conf *c, struct sv realm);

#endif
