/* conf/schema.c - the table, and how to walk it. */
#include "conf/reader.h"

#define FIELD(s, m) .slot = offsetof(struct s, m) + 1, .slot_size = sizeof(((struct s *)0)->m)
#define ARRAY(s, m, n) FIELD(s, m), .count = offsetof(struct s, n) + 1, .count_size = sizeof(((struct s *)0)->n)
#define WHOLE(t) .size = sizeof(t), .slot = 1, .slot_size = sizeof(t) /* the item is the value */
#define KEY(s, m) .key = offsetof(struct s, m) + 1
#define ONE_OF(...) .choices = (const char *const[]){ __VA_ARGS__, NULL }
#define MS(s) ((s) * 1000ull)

/* Preorder: what is read first stands first. Zones before pools before routes, because those name these. */
static const struct row rows[] = {
	{ .path = "", .type = TY_MAP, .done = on_root_done, .help = "One file, read whole or not at all." },

	{ .path = "node", .type = TY_NAME, .reload = RESTART, .is_required = true, FIELD(conf, node),
	  .help = "Name of this node: in logs and CDRs, and what breaks a tie between the nodes of a pair." },
	{ .path = "workers", .type = TY_CHOICE, .reload = RESTART, .unset = "auto", ONE_OF("auto"), .take = on_workers_auto,
	  .help = "`auto`: one worker per core." },
	{ .path = "workers", .type = TY_INT, .reload = RESTART, .min = 1, .max = 64, FIELD(conf, workers),
	  .help = "Threads that carry calls." },

	{ .path = "headers", .type = TY_NAMES, .max = CONF_RULES_MAX, ARRAY(conf, rules, n_rules),
	  .help = "Named lists of rules for headers. Zones, pools and routes say which lists hold for what comes `in` from there and what "
	          "goes `out` to there: first those of the zone it comes from, then the route's and the pool's, then those of the zone it "
	          "goes to. They see what hiding lets pass." },
	{ .path = "headers.*", .type = TY_LIST, .min = 1, .max = CONF_RULES_MAX, .size = sizeof(struct conf_rules), KEY(conf_rules, name),
	  ARRAY(conf_rules, rules, n), .open = on_rules_open, .help = "One list; its rules apply in turn." },
	{ .path = "headers.*[]", .type = TY_MAP, .size = sizeof(struct conf_rule), .open = on_rule_open, .done = on_rule_done,
	  .help = "One rule: exactly one of `add`, `set`, `rename`, `copy`, `remove`, `keep`, `mask`." },
	{ .path = "headers.*[].add", .type = TY_HEADER, .take = on_rule_add, .help = "One more of this header, with `value`." },
	{ .path = "headers.*[].set", .type = TY_HEADER, .take = on_rule_set,
	  .help = "This header with `value`, instead of all there are." },
	{ .path = "headers.*[].rename", .type = TY_HEADER, .take = on_rule_rename, .help = "Each of them gets the name in `to`." },
	{ .path = "headers.*[].copy", .type = TY_HEADER, .take = on_rule_copy, .help = "Each of them once more, with the name in `to`." },
	{ .path = "headers.*[].remove", .type = TY_LIST, .takes_one = true, .min = 1, .max = CONF_RULE_NAMES_MAX, .open = on_rule_remove,
	  ARRAY(conf_rule, names, n_names), .help = "All of these end here." },
	{ .path = "headers.*[].remove[]", .type = TY_HEADER, WHOLE(struct sv), .help = "`X-Debug`, `\"X-*\"`." },
	{ .path = "headers.*[].keep", .type = TY_LIST, .takes_one = true, .min = 1, .max = CONF_RULE_NAMES_MAX, .open = on_rule_keep,
	  ARRAY(conf_rule, names, n_names),
	  .help = "These pass byte for byte though they would end here: headers that are not known, or tell of the sender's software, or "
	          "name the inside." },
	{ .path = "headers.*[].keep[]", .type = TY_HEADER, WHOLE(struct sv), .help = "`User-Agent`, `\"X-*\"`." },
	{ .path = "headers.*[].mask", .type = TY_LIST, .takes_one = true, .min = 1, .max = CONF_RULE_NAMES_MAX, .open = on_rule_mask,
	  ARRAY(conf_rule, names, n_names),
	  .help = "Where these name the inside, that place becomes the receiving zone's domain, and they pass." },
	{ .path = "headers.*[].mask[]", .type = TY_HEADER, WHOLE(struct sv), .help = "`Call-Info`, `\"X-*\"`." },
	{ .path = "headers.*[].to", .type = TY_HEADER, FIELD(conf_rule, to), .help = "The other name, for `rename` and `copy`." },
	{ .path = "headers.*[].value", .type = TY_TEMPLATE, .take = on_rule_value,
	  .help = "For `add` and `set`. A rule whose value has nothing to fill in, or becomes too long, is left out for that message." },
	{ .path = "headers.*[].identity", .type = TY_CHOICE, ONE_OF("remove"), .take = on_rule_signature,
	  .help = "Identity (RFC 8224) signs Date: a rule that changes it has to say that an Identity is removed with it." },
	{ .path = "headers.*[].when", .type = TY_MAP, .min = 1, .help = "All conditions have to hold; without any, for every message." },
	{ .path = "headers.*[].when.message", .type = TY_CHOICE, .unset = "any", ONE_OF("request", "response", "any"),
	  FIELD(conf_rule, message),
	  .help = "What kind." },
	{ .path = "headers.*[].when.method", .type = TY_LIST, .takes_one = true, .min = 1, .max = 64, ARRAY(conf_rule, methods, n_methods),
	  .help = "Its method; of a response the one it answers." },
	{ .path = "headers.*[].when.method[]", .type = TY_METHOD, WHOLE(struct sv), .help = "A method, in capitals." },

	{ .path = "zones", .type = TY_NAMES, .reload = RESTART, .is_required = true, .min = 1, .max = CONF_ZONES_MAX,
	  ARRAY(conf, zones, n_zones),
	  .help = "Networks this SBC stands in. A message belongs to the zone of the listener it came in on; nothing of one "
	          "zone is shown in another." },
	{ .path = "zones.*", .type = TY_MAP, .size = sizeof(struct conf_zone), KEY(conf_zone, name), .open = on_zone_open,
	  .done = on_zone_done, .help = "One zone." },
	{ .path = "zones.*.advertise", .type = TY_HOST_PORT, .reload = RESTART, FIELD(conf_zone, advertise),
	  .help = "Host or name, with a port if need be, that stands in Via and Contact instead of the bound address: behind a "
	          "1:1 NAT, or where carriers want the certificate's name. For every listener of the zone that has none of its "
	          "own. Default: the bound address." },
	{ .path = "zones.*.listen", .type = TY_LIST, .reload = RESTART, .is_required = true, .takes_one = true, .min = 1,
	  .max = CONF_LISTENERS_MAX, ARRAY(conf_zone, listeners, n_listeners),
	  .help = "Where the zone is listened on." },
	{ .path = "zones.*.listen[]", .type = TY_LISTENER, .reload = RESTART, .size = sizeof(struct conf_listener),
	  .take = on_listener, .same = is_same_listener,
	  .help = "TRANSPORT:ADDRESS:PORT with transport udp, tcp, tls, ws or wss; ws and wss take a path behind the port. "
	          "The address is a concrete one. ws may have that of a tcp listener, "
	          "wss that of a tls one: what begins with `GET ` is for it." },
	{ .path = "zones.*.listen[]", .type = TY_MAP, .reload = RESTART, .size = sizeof(struct conf_listener),
	  .help = "The same, with an advertised address of its own." },
	{ .path = "zones.*.listen[].bind", .type = TY_LISTENER, .reload = RESTART, .is_required = true, .take = on_listener,
	  .help = "TRANSPORT:ADDRESS:PORT." },
	{ .path = "zones.*.listen[].advertise", .type = TY_HOST_PORT, .reload = RESTART, .take = on_listener_advertise,
	  .help = "As `advertise` of the zone, for this listener only." },
	{ .path = "zones.*.listen[].tls-options", .type = TY_MAP, .help = "For tls and wss: instead of the zone's. A tls and a wss "
	  "listener at one address and port need the same." },
	{ .path = "zones.*.listen[].tls-options.min-version", .type = TY_CHOICE, ONE_OF("1.2", "1.3"), .take = on_listener_tls_version,
	  .help = "As `tls-options` of the zone." },
	{ .path = "zones.*.listen[].tls-options.ciphers", .type = TY_TEXT, .take = on_listener_ciphers,
	  .help = "As `tls-options` of the zone." },
	{ .path = "zones.*.listen[].tls-options.verify-client", .type = TY_CHOICE, ONE_OF("none", "optional", "require"),
	  .take = on_listener_verify_client, .help = "As `tls-options` of the zone." },
	{ .path = "zones.*.domains", .type = TY_LIST, .takes_one = true, .max = 4096, ARRAY(conf_zone, domains, n_domains),
	  .help = "Domains that are ours in a Request-URI. Our own listen addresses and advertised names always are." },
	{ .path = "zones.*.domains[]", .type = TY_HOST, WHOLE(struct sv), .help = "A domain." },
	{ .path = "zones.*.origins", .type = TY_LIST, .takes_one = true, .max = 256, ARRAY(conf_zone, origins, n_origins),
	  .help = "Whose pages may open a WebSocket here, as browsers name them in Origin. A request without one is none of a browser's, "
	          "and passes. Default: any." },
	{ .path = "zones.*.origins[]", .type = TY_GLOB, WHOLE(struct sv), .help = "`https://phone.example.com`, `https://*.example.com`." },
	{ .path = "zones.*.trust", .type = TY_LIST, .takes_one = true, .max = 4096, ARRAY(conf_zone, trust, n_trust),
	  .help = "Sources whose identity headers are believed and who may call without being registered." },
	{ .path = "zones.*.trust[]", .type = TY_PREFIX, WHOLE(struct prefix), .help = "A network, or one address." },
	{ .path = "zones.*.proxy-protocol", .type = TY_LIST, .takes_one = true, .max = 256, ARRAY(conf_zone, proxies, n_proxies),
	  .help = "Balancers whose connections begin with a PROXY header (version 1 or 2), before TLS: the client that it names is then "
	          "the connection's source. Without the header, such a connection is ended. From everybody else it is garbage." },
	{ .path = "zones.*.proxy-protocol[]", .type = TY_PREFIX, WHOLE(struct prefix), .help = "A network, or one address." },
	{ .path = "zones.*.unknown-domain", .type = TY_CHOICE, .unset = "reject", ONE_OF("reject", "silent"),
	  FIELD(conf_zone, is_silent_unknown),
	  .help = "A REGISTER for a domain that is none of `registrar`. `reject`: 404. `silent`: no answer." },
	{ .path = "zones.*.headers", .type = TY_MAP, .help = "What passes into and out of this zone." },
	{ .path = "zones.*.headers.unknown", .type = TY_CHOICE, .unset = "pass", ONE_OF("pass", "drop"),
	  FIELD(conf_zone, headers_unknown),
	  .help = "Headers we do not know. `pass`: byte-exact, unless the value holds an address or host of the sending side." },
	{ .path = "zones.*.headers.in", .type = TY_LIST, .takes_one = true, .max = CONF_RULE_USES_MAX,
	  ARRAY(conf_zone, headers.in, headers.n_in), .help = "Header rules for what comes from this zone." },
	{ .path = "zones.*.headers.in[]", .type = TY_RULES, WHOLE(uint16_t), .help = "A list of `headers`." },
	{ .path = "zones.*.headers.out", .type = TY_LIST, .takes_one = true, .max = CONF_RULE_USES_MAX,
	  ARRAY(conf_zone, headers.out, headers.n_out), .help = "Header rules for what goes to this zone." },
	{ .path = "zones.*.headers.out[]", .type = TY_RULES, WHOLE(uint16_t), .help = "A list of `headers`." },
	{ .path = "zones.*.identity", .type = TY_CHOICE, .unset = "trust", ONE_OF("trust", "drop", "mask"), FIELD(conf_zone, identity),
	  .help = "P-Asserted-Identity, Remote-Party-ID, Diversion, History-Info and their kin as they come in. `trust`: those of trusted "
	          "sources pass, and a host that names the inside becomes the receiving zone's domain; from others they end here. "
	          "`mask`: the same, and every host becomes that domain. `drop`: none passes." },
	{ .path = "zones.*.preferred-identity", .type = TY_CHOICE, .unset = "drop", ONE_OF("drop", "assert"),
	  FIELD(conf_zone, preferred_identity),
	  .help = "P-Preferred-Identity of a trusted source. `assert`: leaves as P-Asserted-Identity when there is none (RFC 3325 §5)." },
	{ .path = "zones.*.keepalive", .type = TY_BOOL, .unset = "on", FIELD(conf_zone, keepalive.is_on),
	  .help = "`off`: none is sent into this zone." },
	{ .path = "zones.*.keepalive", .type = TY_MAP,
	  .help = "What is sent to contacts that registered from this zone so that the way to them stays open, and how it is seen that one "
	          "is gone. None goes to a contact that has just spoken." },
	{ .path = "zones.*.keepalive.udp", .type = TY_CHOICE, .unset = "auto", ONE_OF("auto", "options", "crlf", "empty", "off"),
	  FIELD(conf_zone, keepalive.udp),
	  .help = "`options`: any answer says that the contact is there. `crlf` and `empty` cost less, but nobody answers them: a contact "
	          "that is gone stays until it expires. `auto`: `options` in a zone that trusts nobody, else `off`." },
	{ .path = "zones.*.keepalive.tcp", .type = TY_CHOICE, .unset = "auto", ONE_OF("auto", "crlf", "off"),
	  FIELD(conf_zone, keepalive.tcp),
	  .help = "On connections. `crlf`: two CRLF (RFC 5626 §3.5.1), which clients that registered with `outbound` answer; of others TCP "
	          "tells whether they are there. On WebSockets a ping, which all answer. "
	          "`auto`: `crlf` in a zone that trusts nobody, else `off`." },
	{ .path = "zones.*.keepalive.every", .type = TY_DURATION, .unset = "30s", .min = MS(2), .max = MS(600),
	  FIELD(conf_zone, keepalive.every_ms), .help = "No contact is silent for longer." },
	{ .path = "zones.*.keepalive.misses", .type = TY_INT, .unset = "3", .min = 1, .max = 100, FIELD(conf_zone, keepalive.misses),
	  .help = "So many without an answer, sent half an interval apart, and the contact is removed." },
	{ .path = "zones.*.keepalive.learn", .type = TY_MAP, FIELD(conf_zone, keepalive.learns),
	  .help = "Over UDP `every` is where each network (/24, /64) begins: contacts that are lost, or come back from another port, make "
	          "its interval shorter, and a hundred answers in a row longer. `{}`: with these bounds." },
	{ .path = "zones.*.keepalive.learn.min", .type = TY_DURATION, .unset = "15s", .min = MS(2), .max = MS(600),
	  FIELD(conf_zone, keepalive.min_ms), .help = "Never shorter. Not longer than `every`." },
	{ .path = "zones.*.keepalive.learn.max", .type = TY_DURATION, .unset = "2m", .min = MS(2), .max = MS(600),
	  FIELD(conf_zone, keepalive.max_ms), .help = "Never longer. Not shorter than `every`." },
	{ .path = "zones.*.nat", .type = TY_CHOICE, .unset = "auto", ONE_OF("auto", "always", "never"), FIELD(conf_zone, nat),
	  .help = "Where requests to somebody in this zone go. `auto`: to untrusted clients over the flow they came by, whatever their "
	          "Contact says; to trusted sources, to proxies that are where they say (several "
	          "Vias, the first of which names the source, and Record-Route) and to destinations where Contact and Record-Route lead, "
	          "unless that is a private address behind a public one. "
	          "`always`: over their flow. `never`: where Contact and Record-Route lead (RFC 3261)." },
	{ .path = "zones.*.session", .type = TY_MAP,
	  .help = "How long a call is believed in without a word from its ends in this zone (session timers, RFC 4028). Each side of a "
	          "call agrees on its own." },
	{ .path = "zones.*.session.expires", .type = TY_DURATION, .unset = "0s", .max = MS(86400), FIELD(conf_zone, session.expires_ms),
	  .help = "The interval we ask for, and the longest we agree to. 0s: only what the ends ask for." },
	{ .path = "zones.*.session.min", .type = TY_DURATION, .unset = "90s", .min = MS(90), .max = MS(86400),
	  FIELD(conf_zone, session.min_ms), .help = "A shorter interval is answered 422." },
	{ .path = "zones.*.session.ping", .type = TY_DURATION, .unset = "15m", .max = MS(86400), FIELD(conf_zone, session.ping_ms),
	  .help = "Ends without a session timer are asked (OPTIONS within the call) in such intervals whether they are still there; "
	          "no answer, 408 or 481 ends the call. 0s: never." },
	{ .path = "zones.*.privacy", .type = TY_MAP, .min = 1, .help = "What is masked on its way into this zone." },
	{ .path = "zones.*.privacy.mask", .type = TY_LIST, .takes_one = true, .max = 4,
	  .help = "The host in From, To (when a call begins; it stays so) or P-Asserted-Identity becomes the zone's first domain, or "
	          "without domains our address there. In session descriptions the origin's user becomes `-`, its address ours, and the "
	          "session's name `-`." },
	{ .path = "zones.*.privacy.mask[]", .type = TY_CHOICE, ONE_OF("from", "to", "pai", "sdp-origin"), .take = on_zone_mask,
	  .help = "`pai`: P-Asserted-Identity. `sdp-origin`: without it, SDP passes byte for byte." },
	{ .path = "zones.*.privacy.identity", .type = TY_CHOICE, .unset = "keep", ONE_OF("keep", "remove"),
	  FIELD(conf_zone, drops_signature),
	  .help = "Identity (RFC 8224), a signature over From, To, Date and SDP. `keep`: it passes, and a message with it is not masked. "
	          "`remove`: it ends here, and everything is masked." },
	{ .path = "zones.*.tls", .type = TY_LIST, .min = 1, .max = CONF_CERTS_MAX, ARRAY(conf_zone, certs, n_certs),
	  .help = "Certificates for tls and wss listeners, chosen by the name a client asks for: that name, else a wildcard, else "
	          "the first. One name may have two, an RSA and an ECDSA one. The first is shown to servers that ask for one, too. "
	          "New files are taken up a moment after they were written, or by `sbcctl certificates --reload`." },
	{ .path = "zones.*.tls[]", .type = TY_MAP, .size = sizeof(struct conf_cert), .open = on_cert_open, .help = "One certificate." },
	{ .path = "zones.*.tls[].name", .type = TY_SERVER_NAME, .is_required = true, FIELD(conf_cert, name), .help = "Server name." },
	{ .path = "zones.*.tls[].cert", .type = TY_FILE, .is_required = true, .take = on_cert_file, .help = "PEM file with the chain." },
	{ .path = "zones.*.tls[].key", .type = TY_FILE, .is_required = true, .take = on_cert_key,
	  .help = "PEM file with the private key, without a password." },
	{ .path = "zones.*.tls[].ocsp", .type = TY_FILE, .take = on_cert_ocsp,
	  .help = "File with an OCSP response (DER), which is given to clients that ask for it." },
	{ .path = "zones.*.tls-options", .type = TY_MAP,
	  .help = "How TLS is spoken in this zone. Connections that are there stay as they are." },
	{ .path = "zones.*.tls-options.min-version", .type = TY_CHOICE, .unset = "1.2", ONE_OF("1.2", "1.3"), .take = on_tls_version,
	  .help = "The oldest version spoken." },
	{ .path = "zones.*.tls-options.ciphers", .type = TY_TEXT, .take = on_tls_ciphers,
	  .help = "Ciphers as OpenSSL writes them, with `:` between, those of TLS 1.3 among them. Default: OpenSSL's own choice." },
	{ .path = "zones.*.tls-options.verify-client", .type = TY_CHOICE, .unset = "none", ONE_OF("none", "optional", "require"),
	  .take = on_tls_verify_client,
	  .help = "Certificates of those who connect to us. `optional`: one that is shown has to be good. `require`: nobody comes "
	          "in without. Needs `ca`. Sessions are then not resumed." },
	{ .path = "zones.*.tls-options.verify-server", .type = TY_BOOL, .unset = "on", .take = on_tls_verify_server,
	  .help = "Certificates of those we connect to: from somebody in `ca`, and for the name in the URI (RFC 5922), its "
	          "address if it has none, or for `tls-name` of a destination." },
	{ .path = "zones.*.tls-options.ca", .type = TY_FILE, .take = on_tls_ca,
	  .help = "PEM file with those who are believed. Default: whom the system believes (package ca-certificates)." },
	{ .path = "zones.*.tls-options.crl", .type = TY_FILE, .take = on_tls_crl,
	  .help = "PEM file with revocation lists of whoever signs the certificates in this zone." },

	{ .path = "pools", .type = TY_NAMES, .is_required = true, .max = CONF_POOLS_MAX, ARRAY(conf, pools, n_pools),
	  .help = "Sets of servers that calls are handed to." },
	{ .path = "pools.*", .type = TY_MAP, .size = sizeof(struct conf_pool), KEY(conf_pool, name), .open = on_pool_open,
	  .done = on_pool_done, .help = "One pool." },
	{ .path = "pools.*.zone", .type = TY_ZONE, .is_required = true, FIELD(conf_pool, zone),
	  .help = "The zone its destinations are in: calls leave by that zone's listeners." },
	{ .path = "pools.*.balance", .type = TY_CHOICE, .unset = "round-robin",
	  ONE_OF("round-robin", "weighted", "least-calls", "hash", "latency"), FIELD(conf_pool, balance),
	  .help = "How a call picks its destination. `round-robin`: in turn. `weighted`: in turn by weight. `least-calls`: fewest calls "
	          "for its weight. `hash`: the same key (see `hash`) keeps its destination while that one is up. `latency`: whoever "
	          "answers sooner and has less to do is likelier." },
	{ .path = "pools.*.hash", .type = TY_MAP, .help = "Of `balance: hash`." },
	{ .path = "pools.*.hash.by", .type = TY_CHOICE, .unset = "from-user", ONE_OF("from-user", "to-user", "call-id", "source", "domain"),
	  FIELD(conf_pool, hash.by),
	  .help = "The key. `from-user`: user and host of From. `to-user`, `domain`: user, host of the Request-URI. `source`: the address "
	          "it came from." },
	{ .path = "pools.*.hash.bound", .type = TY_INT, .unset = "125", .max = 1000, .take = on_hash_bound,
	  .help = "A destination that has this many percent of its share of the pool's calls (and 16 calls) gets no more: new calls of its "
	          "keys go where they would go without it. 101 or more; 0: no bound." },
	{ .path = "pools.*.slow-start", .type = TY_DURATION, .unset = "0s", .max = MS(3600), FIELD(conf_pool, slow_start_ms),
	  .help = "A destination that returns gets its weight little by little, over this time." },
	{ .path = "pools.*.spill", .type = TY_NAME, .take = on_pool_spill,
	  .help = "The pool that takes calls for which no destination here is up and has room. They keep the header rules, `failover`, "
	          "`responses` and time-outs of this one. At most 4 in a row." },
	{ .path = "pools.*.request-uri", .type = TY_CHOICE, .unset = "keep", ONE_OF("keep", "destination"),
	  FIELD(conf_pool, request_uri),
	  .help = "`keep`: the destination is only the next hop. `destination`: its host replaces the Request-URI's." },
	{ .path = "pools.*.sticky", .type = TY_MAP, FIELD(conf_pool, sticky.is_on),
	  .help = "Calls with the same key go to the same destination: a conference is on one server." },
	{ .path = "pools.*.sticky.by", .type = TY_CHOICE, .is_required = true, ONE_OF(STICKY_KEYS), .take = on_sticky_by,
	  .help = "The key. `from-user`: user and host of Referred-By, else of From. `to-user`, `domain`: user, host of the Request-URI. "
	          "`source`: the address it came from. `room`: user and host of Request-URIs whose user is one of `rooms`." },
	{ .path = "pools.*.sticky.by", .type = TY_TEXT, .is_required = true, .take = on_sticky_header,
	  .help = "`header:NAME`: the first value of that header. A request without a key goes wherever `balance` says." },
	{ .path = "pools.*.sticky.rooms", .type = TY_LIST, .takes_one = true, .min = 1, .max = CONF_ROOMS_MAX,
	  ARRAY(conf_pool, sticky.rooms, sticky.n_rooms), .help = "Of `by: room`: which users are rooms. Without it all are." },
	{ .path = "pools.*.sticky.rooms[]", .type = TY_USER, WHOLE(struct sv),
	  .help = "`conf-*`, `+49*`, a range `1000-1999` of numbers with as many digits, or the user itself." },
	{ .path = "pools.*.sticky.on-drain", .type = TY_CHOICE, ONE_OF("move", "stay"), .take = on_sticky_drain,
	  .help = "When the destination is drained. `move`: the next new call or registration of the key goes elsewhere, and the key with "
	          "it. `stay`: new calls of the key still go there as long as it has calls there. Unless written: `stay` for rooms, else "
	          "`move`." },
	{ .path = "pools.*.sticky.max", .type = TY_INT, .unset = "100000", .min = 1, .max = 10000000, FIELD(conf_pool, sticky.max),
	  .help = "Keys that are remembered; each worker has its share of them. Beyond, the one that was not used for longest goes." },
	{ .path = "pools.*.sticky.ttl", .type = TY_DURATION, .unset = "2h", .min = MS(1), .max = MS(7 * 86400),
	  FIELD(conf_pool, sticky.ttl_ms), .help = "How long after the last call an entry is kept." },
	{ .path = "pools.*.probe", .type = TY_BOOL, .unset = "on", FIELD(conf_pool, probe.is_on),
	  .help = "`off`: destinations are not asked; only real calls say how they are." },
	{ .path = "pools.*.probe", .type = TY_MAP, .help = "OPTIONS to every destination." },
	{ .path = "pools.*.probe.every", .type = TY_DURATION, .unset = "5s", .min = 100, .max = MS(3600),
	  FIELD(conf_pool, probe.every_ms), .help = "Interval." },
	{ .path = "pools.*.probe.timeout", .type = TY_DURATION, .unset = "1s", .min = 50, .max = MS(60),
	  FIELD(conf_pool, probe.timeout_ms), .help = "No answer after this is a failed probe. Not longer than `every`." },
	{ .path = "pools.*.probe.down-after", .type = TY_INT, .unset = "3", .min = 1, .max = 100,
	  FIELD(conf_pool, probe.down_after), .help = "Failed probes in a row until a destination is down." },
	{ .path = "pools.*.probe.up-after", .type = TY_INT, .unset = "2", .min = 1, .max = 100,
	  FIELD(conf_pool, probe.up_after), .help = "Answered probes in a row until it is up again." },
	{ .path = "pools.*.failover", .type = TY_MAP,
	  .help = "When a call is tried at another destination. Always at once on ICMP errors, refused or broken transport." },
	{ .path = "pools.*.failover.after", .type = TY_DURATION, .unset = "2s", .min = 100, .max = MS(32),
	  FIELD(conf_pool, failover.after_ms), .help = "No response at all, not even 100, for this long." },
	{ .path = "pools.*.failover.on", .type = TY_LIST, .unset = "503", .takes_one = true, .max = 64,
	  ARRAY(conf_pool, failover.on, failover.n_on), .help = "Final responses that make it try the next." },
	{ .path = "pools.*.failover.on[]", .type = TY_INT, .min = 300, .max = 699, WHOLE(uint16_t), .help = "A status." },
	{ .path = "pools.*.failover.tries", .type = TY_INT, .unset = "3", .min = 1, .max = 8, FIELD(conf_pool, failover.tries),
	  .help = "Destinations a call may try, the first included." },
	{ .path = "pools.*.health", .type = TY_MAP, .help = "What calls say about a destination." },
	{ .path = "pools.*.health.fail-on", .type = TY_LIST, .unset = "503", .takes_one = true, .max = 64,
	  ARRAY(conf_pool, health.fail_on, health.n_fail_on),
	  .help = "Final responses to calls that count as failures: `down-after` of them in a row take a destination out. Silence and "
	          "broken transport always count; any other final response is a success." },
	{ .path = "pools.*.health.fail-on[]", .type = TY_INT, .min = 300, .max = 699, WHOLE(uint16_t), .help = "A status." },
	{ .path = "pools.*.health.retry-after", .type = TY_DURATION, .unset = "60s", .max = MS(3600),
	  FIELD(conf_pool, health.retry_after_ms),
	  .help = "A 503 with Retry-After: no new calls to who sent it for that long, at most for this. 0s: it is not obeyed." },
	{ .path = "pools.*.answer-timeout", .type = TY_DURATION, .unset = "3m", .min = MS(1), .max = MS(3600),
	  FIELD(conf_pool, answer_timeout_ms), .help = "Ringing without a final response (timer C, RFC 3261 §16.6 item 11)." },
	{ .path = "pools.*.responses", .type = TY_NAMES, .key_type = TY_INT, .max = 64, .min = 0,
	  ARRAY(conf_pool, responses, n_responses),
	  .help = "Final responses the caller gets as another one: `{ 503: 480 }`. A 503 not named here leaves as 500." },
	{ .path = "pools.*.responses.*", .type = TY_INT, .min = 300, .max = 699, .size = sizeof(struct conf_response),
	  KEY(conf_response, from), FIELD(conf_response, to), .help = "Status from the pool: status to the caller." },
	{ .path = "pools.*.headers", .type = TY_MAP, .help = "Header rules; a call keeps those it began with." },
	{ .path = "pools.*.headers.in", .type = TY_LIST, .takes_one = true, .max = CONF_RULE_USES_MAX,
	  ARRAY(conf_pool, headers.in, headers.n_in), .help = "Header rules for what comes from its destinations." },
	{ .path = "pools.*.headers.in[]", .type = TY_RULES, WHOLE(uint16_t), .help = "A list of `headers`." },
	{ .path = "pools.*.headers.out", .type = TY_LIST, .takes_one = true, .max = CONF_RULE_USES_MAX,
	  ARRAY(conf_pool, headers.out, headers.n_out), .help = "Header rules for what goes to its destinations." },
	{ .path = "pools.*.headers.out[]", .type = TY_RULES, WHOLE(uint16_t), .help = "A list of `headers`." },
	{ .path = "pools.*.destinations-file", .type = TY_FILE, FIELD(conf_pool, destinations_file),
	  .help = "More servers, one per line: NAME URI, and behind them any of `weight=5`, `max-calls=100`, `max-cps=10`, `priority=1`, "
	          "`each-address=on`; `#` begins a remark. Looked at twice a second, read when it has changed. Write it beside and rename "
	          "it." },
	{ .path = "pools.*.destinations", .type = TY_LIST, .min = 1, .max = CONF_DESTINATIONS_MAX,
	  ARRAY(conf_pool, destinations, n_destinations), .help = "Its servers." },
	{ .path = "pools.*.destinations[]", .type = TY_MAP, .size = sizeof(struct conf_destination),
	  .open = on_destination_open, .help = "One server." },
	{ .path = "pools.*.destinations[].name", .type = TY_NAME, .is_required = true, FIELD(conf_destination, name),
	  .help = "Its name, one of a kind in the pool: `sbcctl drain POOL/NAME`." },
	{ .path = "pools.*.destinations[].uri", .type = TY_URI, .is_required = true, .take = on_destination_uri,
	  .help = "sip:HOST[:PORT][;transport=udp|tcp|tls|ws|wss]. A name is looked up by RFC 3263." },
	{ .path = "pools.*.destinations[].path", .type = TY_TEXT, .take = on_destination_path,
	  .help = "Where it takes WebSockets (ws and wss). Default: `/`." },
	{ .path = "pools.*.destinations[].each-address", .type = TY_BOOL, .unset = "off", FIELD(conf_destination, each_address),
	  .help = "`on`: every address that the name leads to (SRV, A, AAAA; eight at most, of more always the same) is a destination of "
	          "its own, NAME/ADDRESS, with a health, a load and these limits of its own; asked for again when its time to live is "
	          "over. Those that disappear get no new calls. `off`: one destination, its addresses tried in turn." },
	{ .path = "pools.*.destinations[].tls-name", .type = TY_HOST, FIELD(conf_destination, tls_name),
	  .help = "Over TLS: the name its certificate has to be for, when that is not the host of `uri`." },
	{ .path = "pools.*.destinations[].weight", .type = TY_INT, .unset = "1", .max = 1000, FIELD(conf_destination, weight),
	  .help = "Its share with `balance: weighted`, `least-calls`, `hash` and `latency`; 0: no calls." },
	{ .path = "pools.*.destinations[].max-calls", .type = TY_INT, .unset = "0", .max = 1000000,
	  FIELD(conf_destination, max_calls), .help = "Calls at once; 0: no limit." },
	{ .path = "pools.*.destinations[].max-cps", .type = TY_INT, .unset = "0", .max = 100000, FIELD(conf_destination, max_cps),
	  .help = "New calls a second, a tenth of them at once; 0: no limit." },
	{ .path = "pools.*.destinations[].priority", .type = TY_INT, .unset = "0", .max = 100, FIELD(conf_destination, priority),
	  .help = "Its tier: a higher number gets calls only while nobody of a lower one is up and has room." },

	{ .path = "routes", .type = TY_LIST, .is_required = true, .min = 1, .max = CONF_ROUTES_MAX, ARRAY(conf, routes, n_routes),
	  .help = "Rules, first match wins. No match: 404." },
	{ .path = "routes[]", .type = TY_MAP, .size = sizeof(struct conf_route), .open = on_route_open, .done = on_route_done,
	  .help = "One rule." },
	{ .path = "routes[].when", .type = TY_MAP, .help = "All conditions have to hold; without any, every request matches." },
	{ .path = "routes[].when.zone", .type = TY_ZONE, .take = on_when_zone, .help = "The zone the request came in by." },
	{ .path = "routes[].when.source", .type = TY_LIST, .takes_one = true, .min = 1, .max = 256,
	  ARRAY(conf_route, when.source, when.n_source), .help = "Where it came from." },
	{ .path = "routes[].when.source[]", .type = TY_PREFIX, WHOLE(struct prefix), .help = "A network, or one address." },
	{ .path = "routes[].when.method", .type = TY_LIST, .takes_one = true, .min = 1, .max = 64,
	  ARRAY(conf_route, when.methods, when.n_methods), .help = "Its method." },
	{ .path = "routes[].when.method[]", .type = TY_METHOD, WHOLE(struct sv), .help = "A method, in capitals." },
	{ .path = "routes[].when.domain", .type = TY_LIST, .takes_one = true, .min = 1, .max = 256,
	  ARRAY(conf_route, when.domains, when.n_domains), .help = "The host of the Request-URI." },
	{ .path = "routes[].when.domain[]", .type = TY_GLOB, WHOLE(struct sv), .help = "A name; `*` and `?` as in file names." },
	{ .path = "routes[].when.user", .type = TY_LIST, .takes_one = true, .min = 1, .max = 256,
	  ARRAY(conf_route, when.users, when.n_users), .help = "The user part of the Request-URI." },
	{ .path = "routes[].when.user[]", .type = TY_USER, WHOLE(struct sv),
	  .help = "`conf-*`, `+49*`, a range `1000-1999` of numbers with as many digits, or the user itself." },
	{ .path = "routes[].when.header", .type = TY_NAMES, .key_type = TY_METHOD, .min = 1, .max = 32,
	  ARRAY(conf_route, when.headers, when.n_headers), .help = "Headers: `{ X-Tenant: \"gold*\" }`. All have to match." },
	{ .path = "routes[].when.header.*", .type = TY_GLOB, .size = sizeof(struct conf_header), KEY(conf_header, name),
	  FIELD(conf_header, glob), .help = "What the first value has to look like." },
	{ .path = "routes[].when.caller", .type = TY_CHOICE, .unset = "registered",
	  ONE_OF("registered", "authenticated", "trusted", "any"), .take = on_when_caller,
	  .help = "Who may use the rule. `registered`: the address of record in From is registered over the very flow the request comes "
	          "by. "
	          "Trusted sources may use each. A rule that rejects or registers asks nothing unless it says so." },
	{ .path = "routes[].when.callee", .type = TY_CHOICE, ONE_OF("registered"), .take = on_when_callee,
	  .help = "Something is registered here for the one called." },
	{ .path = "routes[].when.trunk", .type = TY_NAME, FIELD(conf_route, when.trunk),
	  .help = "The trunk the request came from. It satisfies `caller: registered` and `authenticated` of this rule." },
	{ .path = "routes[].to", .type = TY_CHOICE, .is_required = true, ONE_OF("registrar", "location"), .take = on_to_part,
	  .help = "`registrar`: for REGISTER, to what `registrar` says of its domain. `location`: to where the one called is registered, "
	          "over the flow that registered: all contacts of one q at once, those of the highest first." },
	{ .path = "routes[].to", .type = TY_MAP, .is_required = true, .min = 1, .max = 1, .help = "Where the request goes." },
	{ .path = "routes[].to.pool", .type = TY_POOL, .take = on_to_pool, .help = "To a pool." },
	{ .path = "routes[].to.reject", .type = TY_INT, .min = 300, .max = 699, .take = on_to_reject,
	  .help = "Answered with this status." },
	{ .path = "routes[].to.reject", .type = TY_MAP, .help = "The same, with a phrase of its own." },
	{ .path = "routes[].to.reject.status", .type = TY_INT, .is_required = true, .min = 300, .max = 699, .take = on_to_reject,
	  .help = "Status." },
	{ .path = "routes[].to.reject.phrase", .type = TY_TEXT, FIELD(conf_route, reject_phrase),
	  .help = "Reason phrase. Default: the usual one of the status." },
	{ .path = "routes[].rewrite", .type = TY_MAP, FIELD(conf_route, has_rewrite), .min = 1, .done = on_rewrite_done,
	  .help = "Changes addresses on their way." },
	{ .path = "routes[].rewrite.user", .type = TY_MAP, .min = 1, .help = "The user part: `strip` and `prefix`, or `regex`." },
	{ .path = "routes[].rewrite.user.strip", .type = TY_INT, .unset = "0", .max = 64, FIELD(conf_route, rewrite.user_strip),
	  .help = "Characters cut from the front." },
	{ .path = "routes[].rewrite.user.prefix", .type = TY_TEXT, FIELD(conf_route, rewrite.user_prefix),
	  .help = "Put in front after that." },
	{ .path = "routes[].rewrite.user.regex", .type = TY_REGEX, .take = on_rewrite_regex,
	  .help = "POSIX extended expression; a user that does not match stays as it is." },
	{ .path = "routes[].rewrite.user.replace", .type = TY_TEXT, FIELD(conf_route, rewrite.user_replace),
	  .help = "What the whole user becomes; `\\1` to `\\9` are its groups." },
	{ .path = "routes[].rewrite.host", .type = TY_HOST_PORT, FIELD(conf_route, rewrite.host),
	  .help = "The host, with a port if need be." },
	{ .path = "routes[].rewrite.apply", .type = TY_LIST, .takes_one = true, .unset = "request-uri", .min = 1, .max = 4,
	  .help = "Where." },
	{ .path = "routes[].rewrite.apply[]", .type = TY_CHOICE, ONE_OF("request-uri", "from", "to", "pai"),
	  .take = on_rewrite_apply, .help = "`pai`: P-Asserted-Identity." },
	{ .path = "routes[].headers", .type = TY_MAP, .help = "Header rules; a call keeps those it began with." },
	{ .path = "routes[].headers.in", .type = TY_LIST, .takes_one = true, .max = CONF_RULE_USES_MAX,
	  ARRAY(conf_route, headers.in, headers.n_in), .help = "Header rules for what comes from where the rule leads." },
	{ .path = "routes[].headers.in[]", .type = TY_RULES, WHOLE(uint16_t), .help = "A list of `headers`." },
	{ .path = "routes[].headers.out", .type = TY_LIST, .takes_one = true, .max = CONF_RULE_USES_MAX,
	  ARRAY(conf_route, headers.out, headers.n_out), .help = "Header rules for what goes to where the rule leads." },
	{ .path = "routes[].headers.out[]", .type = TY_RULES, WHOLE(uint16_t), .help = "A list of `headers`." },
	{ .path = "routes[].relay", .type = TY_BOOL, .unset = "off", FIELD(conf_route, is_relay),
	  .help = "Request-URIs whose host is not ours may pass; otherwise they get 403." },
	{ .path = "routes[].max-duration", .type = TY_DURATION, .min = MS(1), .max = MS(7 * 86400),
	  FIELD(conf_route, max_duration_ms), .help = "The call is ended after this long. Default: never." },
	{ .path = "routes[].answer-timeout", .type = TY_DURATION, .min = MS(1), .max = MS(3600), FIELD(conf_route, answer_timeout_ms),
	  .help = "With `to: location`: how long contacts of one q ring before those of the next one do, and the last ones before the call "
	          "is given up. Default: 20s and 3m." },

	{ .path = "routes[].redirects", .type = TY_CHOICE, .unset = "relay", ONE_OF("relay", "follow"),
	  FIELD(conf_route, follows_redirects),
	  .help = "300, 301 and 302. `relay`: the caller gets them, with Contacts of ours. `follow`: their Contacts are tried by us, "
	          "in the pool's zone, best first; at most 5 one after the other, none twice, none of our own." },

	{ .path = "state", .type = TY_PATH, .reload = RESTART, .unset = "/var/lib/sbc", FIELD(conf, state),
	  .help = "Directory for keys, CDRs, operator states and the term. A relative path counts from the working directory." },
	{ .path = "identity", .type = TY_MAP, .reload = RESTART, .help = "Keys that make and check our tokens." },
	{ .path = "identity.keys", .type = TY_LIST, .reload = RESTART, .takes_one = true, .min = 1, .max = 8,
	  ARRAY(conf, identity_keys, n_identity_keys),
	  .help = "The newest first: it signs; the others stay valid. Default: a key file made at first start in the state "
	          "directory." },
	{ .path = "identity.keys[]", .type = TY_KEY_FILE, .reload = RESTART, WHOLE(struct sv), .help = "`file:PATH`." },
	{ .path = "log", .type = TY_MAP, .help = "The log." },
	{ .path = "log.file", .type = TY_PATH, .reload = RESTART, FIELD(conf, log_path),
	  .help = "Where to; reopened on SIGHUP. Default: standard error." },
	{ .path = "log.level", .type = TY_CHOICE, .unset = "info", ONE_OF("error", "warn", "info", "debug"), FIELD(conf, log_level),
	  .help = "What is written." },
	{ .path = "log.format", .type = TY_CHOICE, .reload = RESTART, .unset = "logfmt", ONE_OF("logfmt", "json"),
	  FIELD(conf, log_format), .help = "How it is written." },
	{ .path = "cdr", .type = TY_BOOL, .reload = RESTART, .unset = "on", FIELD(conf, cdr_is_on),
	  .help = "One line per call in `cdr.jsonl` of the state directory." },
	{ .path = "hiding", .type = TY_MAP, .help = "Hiding itself has no switch." },
	{ .path = "hiding.guard", .type = TY_CHOICE, .unset = "off", ONE_OF("off", "log", "block"), FIELD(conf, hiding_guard),
	  .help = "A last look at every message that leaves: does it name an address, host or identifier of another side? `log` counts it "
	          "(`hiding_guard_found_total`) and logs a line every ten seconds at most; `block` keeps it back, too: a request is "
	          "answered "
	          "500, a response becomes 500, and nothing hangs." },
	{ .path = "shutdown", .type = TY_MAP, .help = "How it ends." },
	{ .path = "shutdown.grace", .type = TY_DURATION, .unset = "30s", .max = MS(86400), FIELD(conf, shutdown_grace_ms),
	  .help = "After SIGTERM: how long calls may go on." },
	{ .path = "limits", .type = TY_MAP, .reload = RESTART, .help = "Bounds of one worker." },
	{ .path = "limits.calls", .type = TY_INT, .reload = RESTART, .unset = "200000", .min = 1, .max = 10000000,
	  FIELD(conf, max_calls), .help = "Calls at once per worker, and as many subscriptions beside them; beyond: 503." },
	{ .path = "dns", .type = TY_MAP, .reload = RESTART, .help = "Name look-ups." },
	{ .path = "dns.servers", .type = TY_LIST, .reload = RESTART, .takes_one = true, .min = 1, .max = 8,
	  ARRAY(conf, name_servers, n_name_servers), .help = "Name servers. Default: the system's." },
	{ .path = "dns.servers[]", .type = TY_SOCKET, .reload = RESTART, WHOLE(struct sv), .help = "ADDRESS or ADDRESS:PORT." },
	{ .path = "admin", .type = TY_MAP, .reload = RESTART, .help = "Doors for operators." },
	{ .path = "admin.socket", .type = TY_PATH, .reload = RESTART, .max = 107, FIELD(conf, admin_socket),
	  .help = "Unix socket for sbcctl. Default: none." },
	{ .path = "admin.http", .type = TY_SOCKET, .reload = RESTART, .min = 1, FIELD(conf, admin_http), .take = on_admin_http,
	  .help = "/live, /ready and /metrics over HTTP, on a loopback address: see docs/admin.md. Default: none." },
	{ .path = "admin.demo", .type = TY_PATH, .reload = RESTART, FIELD(conf, admin_demo),
	  .help = "Directory of the demo page, read at start and served there as `/`. Default: none." },

	{ .path = "registrar", .type = TY_NAMES, .key_type = TY_HOST, .min = 1, .max = CONF_REGISTRARS_MAX,
	  ARRAY(conf, registrars, n_registrars), .help = "Domains whose registrations end or pass here. They are ours in a Request-URI." },
	{ .path = "registrar.*", .type = TY_MAP, .size = sizeof(struct conf_registrar), KEY(conf_registrar, domain),
	  .open = on_registrar_open, .done = on_registrar_done, .help = "One domain." },
	{ .path = "registrar.*.mode", .type = TY_CHOICE, .unset = "local", ONE_OF("local", "pass", "front"), FIELD(conf_registrar, mode),
	  .help = "`local`: we are its registrar. `pass`: the one behind us is. `front`: the one behind us is, and refreshes end here." },
	{ .path = "registrar.*.pool", .type = TY_POOL, .take = on_registrar_pool, .help = "The registrar behind us." },
	{ .path = "registrar.*.contact", .type = TY_CHOICE, .unset = "ours", ONE_OF("ours", "path"), FIELD(conf_registrar, contact),
	  .help = "With `pass` and `front`, how the registrar behind us finds the client. `ours`: it is given a Contact of ours. `path`: "
	          "the client's own, with a Path of ours (RFC 3327); it then knows the client's address." },
	{ .path = "registrar.*.front", .type = TY_MAP, .help = "With `front`, how often who is heard of." },
	{ .path = "registrar.*.front.client", .type = TY_DURATION, .unset = "60s", .min = MS(10), .max = MS(86400),
	  FIELD(conf_registrar, front.client_ms), .help = "What the client is granted." },
	{ .path = "registrar.*.front.upstream", .type = TY_DURATION, .unset = "1h", .min = MS(60), .max = MS(7 * 86400),
	  FIELD(conf_registrar, front.upstream_ms), .help = "What the registrar behind us is asked for; it hears again after half of it." },
	{ .path = "registrar.*.auth", .type = TY_CHOICE, ONE_OF("none"), .take = on_registrar_open_to_all,
	  .help = "Nobody is asked who they are." },
	{ .path = "registrar.*.auth", .type = TY_MAP, FIELD(conf_registrar, asks), .min = 1,
	  .help = "Everybody is asked for a password (digest, RFC 7616): whoever registers, and callers for whom a rule wants it. Users "
	          "stand in one place: `users` or `inline`." },
	{ .path = "registrar.*.auth.users", .type = TY_PATH, .take = on_users_file,
	  .help = "A file with lines `user:realm:ha1`, read again when it changes; see docs/authentication.md." },
	{ .path = "registrar.*.auth.algorithms", .type = TY_LIST, .takes_one = true, .min = 1, .max = 2,
	  .help = "What passwords may be shown by. A challenge offers what all users have of it, SHA-256 first; there are telephones "
	          "that give up when they meet it. Default: both." },
	{ .path = "registrar.*.auth.algorithms[]", .type = TY_CHOICE, ONE_OF("md5", "sha-256"), .take = on_auth_algorithm,
	  .help = "`sha-256` (RFC 8760), or `md5`." },
	{ .path = "registrar.*.auth.inline", .type = TY_NAMES, .key_type = TY_METHOD, .min = 1, .max = CONF_USERS_MAX,
	  ARRAY(conf_registrar, users, n_users), .help = "The users themselves, for a handful of them." },
	{ .path = "registrar.*.auth.inline.*", .type = TY_SECRET, .size = sizeof(struct conf_user), KEY(conf_user, name),
	  .take = on_user_secret, .help = "The password." },
	{ .path = "registrar.*.auth.realm", .type = TY_TEXT, FIELD(conf_registrar, realm),
	  .help = "What passwords are for; it goes into what a file holds of them. Default: the domain." },
	{ .path = "registrar.*.expires", .type = TY_MAP, .help = "How long a registration lasts." },
	{ .path = "registrar.*.expires.min", .type = TY_DURATION, .unset = "60s", .min = MS(1), .max = MS(7 * 86400),
	  FIELD(conf_registrar, expires.min_ms), .help = "Less is answered 423, unless it is an hour or more (RFC 3261 §10.3)." },
	{ .path = "registrar.*.expires.max", .type = TY_DURATION, .unset = "1h", .min = MS(1), .max = MS(7 * 86400),
	  FIELD(conf_registrar, expires.max_ms), .help = "More is cut to this." },
	{ .path = "registrar.*.expires.jitter", .type = TY_INT, .unset = "10", .max = 50, FIELD(conf_registrar, expires.jitter),
	  .help = "Percent by which what is granted is cut at random, so that those who came together do not return together." },
	{ .path = "registrar.*.max-contacts", .type = TY_INT, .unset = "10", .min = 1, .max = 64, FIELD(conf_registrar, max_contacts),
	  .help = "Contacts of one address of record." },
	{ .path = "registrar.*.when-full", .type = TY_CHOICE, .unset = "reject", ONE_OF("reject", "replace-oldest"),
	  FIELD(conf_registrar, when_full),
	  .help = "One more contact than that. `reject`: 403. `replace-oldest`: the one refreshed longest ago goes." },
	{ .path = "registrar.*.rate", .type = TY_RATE, .min = 1, .max = 60000000, FIELD(conf_registrar, rate),
	  .help = "REGISTER requests that are dealt with; beyond: 503 with Retry-After, those who are registered first. Default: no "
	          "limit." },
	{ .path = "registrar.*.flow-grace", .type = TY_DURATION, .unset = "10s", .max = MS(3600), FIELD(conf_registrar, flow_grace_ms),
	  .help = "How long a contact outlives the connection it came over." },
	{ .path = "registrar.*.flow-timer", .type = TY_DURATION, .min = MS(10), .max = MS(3600), FIELD(conf_registrar, flow_timer_ms),
	  .help = "Flow-Timer (RFC 5626 §10) for clients that register a connection as outbound: how often at least they send keep-alives "
	          "of their own. Without it they do as they like; whether they are there is found out by ours (`zones.*.keepalive`)." },
	{ .path = "guard", .type = TY_MAP, .is_later = true, .help = "Floods and abuse." },
	{ .path = "guard.per-source", .type = TY_MAP, .help = "What one unknown source may send." },
	{ .path = "guard.per-source.rate", .type = TY_RATE, .unset = "50/s", .min = 1, .max = 60000000, .help = "Requests." },
	{ .path = "guard.per-source.burst", .type = TY_INT, .unset = "200", .min = 1, .max = 1000000, .help = "At once." },
	{ .path = "guard.per-source.block", .type = TY_DURATION, .unset = "60s", .min = MS(1), .max = MS(86400),
	  .help = "How long it is not heard then." },
	{ .path = "guard.domains", .type = TY_NAMES, .key_type = TY_HOST, .min = 1, .max = 4096, .help = "What one domain may send." },
	{ .path = "guard.domains.*", .type = TY_MAP, .help = "One domain." },
	{ .path = "guard.domains.*.registers", .type = TY_RATE, .min = 1, .max = 60000000, .help = "REGISTER requests." },
	{ .path = "guard.domains.*.calls", .type = TY_RATE, .min = 1, .max = 60000000, .help = "New calls." },
	{ .path = "trunks", .type = TY_NAMES, .min = 1, .max = CONF_TRUNKS_MAX, ARRAY(conf, trunks, n_trunks),
	  .help = "Carriers; see docs/trunks.md." },
	{ .path = "trunks.*", .type = TY_MAP, .size = sizeof(struct conf_trunk), KEY(conf_trunk, name), .open = on_trunk_open,
	  .done = on_trunk_done, .help = "One carrier." },
	{ .path = "trunks.*.zone", .type = TY_ZONE, .is_required = true, FIELD(conf_trunk, zone), .help = "Where it is." },
	{ .path = "trunks.*.match", .type = TY_MAP, .min = 1, .help = "How its requests are known." },
	{ .path = "trunks.*.match.source", .type = TY_LIST, .takes_one = true, .min = 1, .max = CONF_SOURCES_MAX,
	  ARRAY(conf_trunk, sources, n_sources),
	  .help = "By address; the longest network that holds it decides. An address belongs to one trunk of a zone." },
	{ .path = "trunks.*.match.source[]", .type = TY_PREFIX, WHOLE(struct prefix), .help = "A network, or one address." },
	{ .path = "trunks.*.match.tls-name", .type = TY_HOST, FIELD(conf_trunk, tls_name),
	  .help = "Or by a name that its certificate proves (RFC 5922), over TLS or WSS; before its address is asked. A name belongs to "
	          "one trunk of a zone. Clients prove theirs to listeners that ask (`verify-client`), the servers of its pool "
	          "to us when we connect, unless `verify-server` is off." },
	{ .path = "trunks.*.pool", .type = TY_POOL, .take = on_trunk_pool,
	  .help = "Where calls to it go; in its zone, and its own: whatever a rule sends there goes to this trunk." },
	{ .path = "trunks.*.domain", .type = TY_HOST, FIELD(conf_trunk, domain),
	  .help = "Host of Request-URI, From and To of what goes to its pool. Default: they stay." },
	{ .path = "trunks.*.realm", .type = TY_TEXT, FIELD(conf_trunk, realm),
	  .help = "Whose challenges are answered with `credentials`. Default: the domain." },
	{ .path = "trunks.*.limits", .type = TY_MAP, .help = "What it may take; more is refused with 503." },
	{ .path = "trunks.*.limits.calls", .type = TY_INT, .min = 1, .max = 1000000, FIELD(conf_trunk, max_calls),
	  .help = "Calls at once, both directions together." },
	{ .path = "trunks.*.limits.rate", .type = TY_RATE, .min = 1, .max = 60000000, FIELD(conf_trunk, rate),
	  .help = "New calls, both directions together; a second's worth may come at once." },
	{ .path = "trunks.*.register", .type = TY_MAP, .help = "We register there. Calls to the Contact are from this trunk." },
	{ .path = "trunks.*.register.user", .type = TY_TEXT, .is_required = true, .take = on_trunk_user, .help = "As whom." },
	{ .path = "trunks.*.register.expires", .type = TY_DURATION, .unset = "1h", .min = MS(30), .max = MS(7 * 86400),
	  FIELD(conf_trunk, registration.expires_ms), .help = "For how long." },
	{ .path = "trunks.*.credentials", .type = TY_SECRET, .take = on_trunk_credentials,
	  .help = "USER:PASSWORD, for challenges of its own destinations with its realm only." },
	{ .path = "cluster", .type = TY_CHOICE, .reload = RESTART, .is_later = true, ONE_OF("local"),
	  .help = "`local`: a passive second process on this host." },
	{ .path = "cluster", .type = TY_MAP, .reload = RESTART, .is_later = true, .help = "The other node of the pair." },
	{ .path = "cluster.peer", .type = TY_SOCKET, .reload = RESTART, .is_required = true, .min = 1, .help = "Its address and port." },
	{ .path = "cluster.listen", .type = TY_SOCKET, .reload = RESTART, .is_required = true, .min = 1, .help = "Our own." },
	{ .path = "cluster.secret", .type = TY_SECRET, .reload = RESTART, .is_required = true,
	  .help = "Shared by both; token keys are derived from it unless `identity.keys` is written." },
	{ .path = "cluster.role", .type = TY_CHOICE, .reload = RESTART, .unset = "auto", ONE_OF("auto", "external"),
	  .help = "`auto`: who holds the addresses. `external`: who is told to (`sbcctl role active`)." },
	{ .path = "cluster.roles", .type = TY_NAMES, .reload = RESTART, .min = 1, .max = 16,
	  .help = "Addresses that move together. Default: all listener addresses that are not permanent on the node." },
	{ .path = "cluster.roles.*", .type = TY_MAP, .reload = RESTART, .help = "One role." },
	{ .path = "cluster.roles.*.addresses", .type = TY_LIST, .reload = RESTART, .is_required = true, .takes_one = true, .min = 1,
	  .max = 64, .help = "Its addresses." },
	{ .path = "cluster.roles.*.addresses[]", .type = TY_PREFIX, .reload = RESTART, .help = "An address." },
	{ .path = "cluster.release", .type = TY_TEXT, .reload = RESTART, .help = "Command that removes a doubled address." },
	{ .path = "cluster.buffer", .type = TY_SIZE, .reload = RESTART, .unset = "64MiB", .min = 64 << 10, .max = 1ull << 30,
	  .help = "Records waiting for the peer; beyond: a snapshot instead." },
	{ .path = "takeover", .type = TY_MAP, .is_later = true, .help = "A new process takes over from the old one." },
	{ .path = "takeover.drain", .type = TY_DURATION, .unset = "30m", .max = MS(86400),
	  .help = "How long the old one keeps its connections." },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

const struct row *schema_root(void)
{
	return &rows[0];
}

const struct row *schema_end(void)
{
	return rows + N_ROWS;
}

/* What stands behind `parent`'s path in `row`'s, or NULL when it does not lie below. */
static const char *below(const struct row *parent, const struct row *row)
{
	size_t len = strlen(parent->path);

	if (row == parent || strncmp(row->path, parent->path, len) != 0)
		return NULL;
	if (len == 0)
		return row->path;
	return row->path[len] == '.' ? row->path + len + 1 : row->path[len] == '[' ? row->path + len : NULL;
}

static const struct row *find(const struct row *parent, struct sv last)
{
	for (const struct row *row = parent + 1; row < rows + N_ROWS; row++) {
		const char *rest = below(parent, row);

		if (rest && sv_eq(sv_from(rest), last))
			return row;
	}
	return NULL;
}

const struct row *schema_key(const struct row *map, struct sv key)
{
	for (size_t i = 0; i < key.len; i++) {
		if (strchr(".[]*", key.p[i]))
			return NULL; /* part of a path, never of a key */
	}
	return find(map, key);
}

const struct row *schema_any(const struct row *names)
{
	return find(names, SV("*"));
}

const struct row *schema_item(const struct row *list)
{
	return find(list, SV("[]"));
}

const struct row *schema_other(const struct row *row)
{
	/* Alternatives that are mappings have rows between them and the next one. */
	for (const struct row *r = row + 1; r < rows + N_ROWS; r++) {
		if (strcmp(r->path, row->path) == 0)
			return r;
	}
	return NULL;
}

const struct row *schema_next_key(const struct row *map, const struct row *at)
{
	for (const struct row *row = (at ? at : map) + 1; row < rows + N_ROWS; row++) {
		const char *rest = below(map, row);

		if (rest && !strpbrk(rest, ".[*") && !(at && strcmp(row->path, at->path) == 0))
			return row;
	}
	return NULL;
}

const char *schema_name(const struct row *row)
{
	const char *dot = strrchr(row->path, '.');

	return dot ? dot + 1 : row->path;
}
