/* tests/unit/conf/bad.c - what --check says, word for word and at which place. */
#include "tests/unit/conf/conf_test.h"

#define SOCKET_107 \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct bad {
	const char *yaml, *notes;
} bads[] = {
	/* The file as a whole */
	{ "",
	  "1:1: the file says nothing: it needs at least node, zones, pools and routes" },
	{ "# nothing but a comment\n",
	  "1:1: the file says nothing: it needs at least node, zones, pools and routes" },
	{ "just words\n",
	  "1:1: a single value stands here; it takes a mapping with `node:`" },
	{ "[1, 2]\n",
	  "1:1: a list stands here; it takes a mapping with `node:`" },
	{ "a: b: c\n",
	  "1:5: YAML: mapping values are not allowed in this context (a word with `:`, `#`, `*`, `{` or `[` in it "
	  "wants quotes)" },
	{ "a: \"unfinished\n",
	  "2:1: YAML: while scanning a quoted scalar: found unexpected end of stream" },
	{ "node: n\n\tzones: {}\n",
	  "2:1: YAML: while scanning a plain scalar: found a tab character that violates indentation" },
	{ "node: caf\351\n",
	  "1:10: not UTF-8: save the file in that encoding" },
	{ "node: \001\n",
	  "1:7: YAML: control characters are not allowed" },
	{ NODE "---\nnode: m\n",
	  "3:1: a second document (---): one file is one configuration" },
	{ "node: n\nnode: *nobody\n",
	  "2:7: YAML: found undefined alias" },
	{ "node: n\n",
	  "1:1: `zones:` is missing; it takes a mapping of names. Networks this SBC stands in. A message belongs "
	  "to the zone of the listener it came in on; nothing of one zone is shown in another.\n"
	  "1:1: `pools:` is missing; it takes a mapping of names. Sets of servers that calls are handed to.\n"
	  "1:1: `routes:` is missing; it takes a list. Rules, first match wins. No match: 404." },
	{ "{}\n",
	  "1:1: `node:` is missing; it takes a name. Name of this node: in logs and CDRs, and what breaks a tie "
	  "between the nodes of a pair.\n"
	  "1:1: `zones:` is missing; it takes a mapping of names. Networks this SBC stands in. A message belongs "
	  "to the zone of the listener it came in on; nothing of one zone is shown in another.\n"
	  "1:1: `pools:` is missing; it takes a mapping of names. Sets of servers that calls are handed to.\n"
	  "1:1: `routes:` is missing; it takes a list. Rules, first match wins. No match: 404." },
	/* A mapping or list below its key is named by the key's place */
	{ NODE "zones:\n  a:\n    domains: [x.com]\n  b:\n    listen:\n      - \"udp:127.0.0.1:5060\"\n    tls:\n"
	  "      - name: x\npools: {}\nroutes: [{ to: { reject: 404 } }]\n",
	  "3:3: zones.a: `listen:` is missing; it takes a list. Where the zone is listened on.\n"
	  "9:9: zones.b.tls[0]: `cert:` is missing; it takes a file. PEM file with the chain.\n"
	  "9:9: zones.b.tls[0]: `key:` is missing; it takes a file. PEM file with the private key, without a password." },
	/* Keys */
	{ NODE ZONES POOLS ROUTES "wrokers: 2\n",
	  "5:1: wrokers: unknown key `wrokers`; did you mean `workers`?" },
	{ NODE ZONES POOLS ROUTES "node: m\n",
	  "5:1: node: the same key stands already on line 1: keep one of them" },
	{ NODE ZONES POOLS ROUTES "zebra: 2\n",
	  "5:1: zebra: unknown key `zebra`; there is: node, workers, headers, zones, pools, routes, state, identity, log, "
	  "cdr, hiding, shutdown, limits, dns, admin, registrar, guard, trunks, cluster, takeover" },
	{ NODE ZONES POOLS ROUTES "[a, b]: 2\n",
	  "5:1: a key is a word, not a list or a mapping" },
	{ NODE ZONES POOLS ROUTES "<<: { workers: 2 }\n",
	  "5:1: <<: merging mappings (<<) is not supported: write the keys, or an alias as a value" },
	{ NODE ZONES POOLS ROUTES "state: !secret /tmp\n",
	  "5:8: state: a tag (!...) has no meaning here: remove it" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", tust: [127.0.0.1]") POOLS ROUTES,
	  "2:45: zones.a.tust: unknown key `tust`; did you mean `trust`?" },
	{ NODE ZONES POOL("balnace: hash, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:24: pools.p.balnace: unknown key `balnace`; did you mean `balance`?" },
	{ NODE ZONES POOLS ROUTES "limits:\n",
	  "5:8: limits: nothing stands here; it takes a mapping with `calls:`" },
	{ NODE ZONES POOLS ROUTES "limits: ~\n",
	  "5:9: limits: nothing stands here; it takes a mapping with `calls:`" },
	{ NODE ZONES POOLS ROUTES "limits: 5\n",
	  "5:9: limits: a single value stands here; it takes a mapping with `calls:`" },
	{ NODE ZONES POOLS ROUTES "limits: [5]\n",
	  "5:9: limits: a list stands here; it takes a mapping with `calls:`" },
	{ NODE ZONES POOLS ROUTES "state: { a: b }\n",
	  "5:8: state: a mapping stands here; it takes a path" },
	{ NODE ZONES POOLS ROUTES "state: [a]\n",
	  "5:8: state: a list stands here; it takes a path" },
	/* Scalars */
	{ NODE ZONES POOLS ROUTES "workers: 0\n",
	  "5:10: workers: out of bounds: 1 to 64" },
	{ NODE ZONES POOLS ROUTES "workers: 65\n",
	  "5:10: workers: out of bounds: 1 to 64" },
	{ NODE ZONES POOLS ROUTES "workers: many\n",
	  "5:10: workers: not a number: write digits only" },
	{ NODE ZONES POOLS ROUTES "workers: 2s\n",
	  "5:10: workers: not a number: write digits only" },
	{ NODE ZONES POOLS ROUTES "workers: 99999999999999999999999\n",
	  "5:10: workers: out of bounds: 1 to 64" },
	{ NODE ZONES POOLS ROUTES "workers: -1\n",
	  "5:10: workers: not a number: write digits only" },
	{ NODE ZONES POOLS ROUTES "workers: 1.5\n",
	  "5:10: workers: not a number: write digits only" },
	{ NODE ZONES POOLS ROUTES "shutdown: { grace: 30 }\n",
	  "5:20: shutdown.grace: a duration without a unit: write \"250ms\", \"5s\", \"3m\", \"2h\" or \"7d\"" },
	{ NODE ZONES POOLS ROUTES "shutdown: { grace: 30sec }\n",
	  "5:20: shutdown.grace: unknown unit `sec`: write \"250ms\", \"5s\", \"3m\", \"2h\" or \"7d\"" },
	{ NODE ZONES POOLS ROUTES "shutdown: { grace: soon }\n",
	  "5:20: shutdown.grace: not a duration: write \"250ms\", \"5s\", \"3m\", \"2h\" or \"7d\"" },
	{ NODE ZONES POOLS ROUTES "shutdown: { grace: 1.5s }\n",
	  "5:20: shutdown.grace: not a duration: write \"250ms\", \"5s\", \"3m\", \"2h\" or \"7d\"" },
	{ NODE ZONES POOLS ROUTES "shutdown: { grace: 2d }\n",
	  "5:20: shutdown.grace: out of bounds: 0s to 1d" },
	{ NODE ZONES POOLS ROUTES "shutdown: { grace: 99999999999999d }\n",
	  "5:20: shutdown.grace: out of bounds: 0s to 1d" },
	{ NODE ZONES POOLS ROUTES "cdr: perhaps\n",
	  "5:6: cdr: neither on nor off" },
	{ NODE ZONES POOLS ROUTES "log: { level: inof }\n",
	  "5:15: log.level: `inof` is not one of: error, warn, info, debug; did you mean `info`?" },
	{ NODE ZONES POOLS ROUTES "log: { level: loud }\n",
	  "5:15: log.level: `loud` is not one of: error, warn, info, debug" },
	{ NODE ZONES POOLS ROUTES "log: { format: xml }\n",
	  "5:16: log.format: `xml` is not one of: logfmt, json" },
	{ NODE ZONES POOLS ROUTES "state: \"${SBC_TEST_UNSET}/x\"\n",
	  "5:8: state: the environment has no variable `SBC_TEST_UNSET`: set it before the start, or write the "
	  "value" },
	{ NODE ZONES POOLS ROUTES "state: \"${}\"\n",
	  "5:8: state: `${` without a name and `}`: write ${NAME} for a variable of the environment, $${ for the "
	  "characters" },
	{ NODE ZONES POOLS ROUTES "state: \"${OPEN\"\n",
	  "5:8: state: `${` without a name and `}`: write ${NAME} for a variable of the environment, $${ for the "
	  "characters" },
	{ NODE ZONES POOLS ROUTES "state: \"a\\nb\"\n",
	  "5:8: state: control characters and line ends have no place in a value" },
	{ NODE ZONES POOLS ROUTES "state: \"\"\n",
	  "5:8: state: not a path: write the path of a file or directory" },
	{ NODE ZONES POOLS ROUTES "identity: { keys: [\"/tmp/key\"] }\n",
	  "5:20: identity.keys[0]: not a key file: write \"file:PATH\"" },
	{ NODE ZONES POOLS ROUTES "identity: { keys: [\"file:/nonexistent/key\"] }\n",
	  "5:20: identity.keys[0]: /nonexistent/key cannot be read: No such file or directory" },
	{ NODE ZONES POOLS ROUTES "identity: { keys: [\"file:/\"] }\n",
	  "5:20: identity.keys[0]: / cannot be read: it is a directory" },
	{ NODE ZONES POOLS ROUTES "identity: { keys: [] }\n",
	  "5:19: identity.keys: it is empty (0 entries); it needs at least 1" },
	{ NODE ZONES POOLS ROUTES "dns: { servers: [ns.example.com] }\n",
	  "5:18: dns.servers[0]: not an address and port: write \"192.0.2.1:53\" or \"[2001:db8::1]:53\"" },
	{ NODE ZONES POOLS ROUTES "admin: { socket: /" SOCKET_107 " }\n",
	  "5:18: admin.socket: 108 bytes; a socket's path has at most 107" },
	{ NODE ZONES POOLS ROUTES "node2: n\n",
	  "5:1: node2: unknown key `node2`; did you mean `node`?" },
	{ "node: \"a b\"\n" ZONES POOLS ROUTES,
	  "1:7: node: not a name: write 1 to 64 letters, digits, `-`, `_` and `.`" },
	{ "node: \"a/b\"\n" ZONES POOLS ROUTES,
	  "1:7: node: not a name: write 1 to 64 letters, digits, `-`, `_` and `.`" },
	/* Zones */
	{ NODE ZONE("domains: [example.com]") POOLS ROUTES,
	  "2:13: zones.a: `listen:` is missing; it takes a list. Where the zone is listened on." },
	{ NODE ZONE("listen: []") POOLS ROUTES,
	  "2:23: zones.a.listen: it is empty (0 entries); it needs at least 1" },
	{ NODE "zones: {}\n" POOLS ROUTES,
	  "2:8: zones: it is empty (0 keys); it needs at least 1\n"
	  "3:21: pools.p.zone: there is no zone `a`" },
	{ NODE "zones: { \"a b\": { listen: \"udp:127.0.0.1:5060\" } }\npools: {}\nroutes: [{ to: { reject: 404 } }]\n",
	  "2:10: zones.a b: not a name: write 1 to 64 letters, digits, `-`, `_` and `.`" },
	{ NODE ZONE("listen: \"udp:0.0.0.0:5060\"") POOLS ROUTES,
	  "2:23: zones.a.listen: 0.0.0.0:5060 is no address that others can send to, and this one is written into "
	  "Via and Contact: write each address of this host that is to be used" },
	{ NODE ZONE("listen: \"udp:[::]:5060\"") POOLS ROUTES,
	  "2:23: zones.a.listen: [::]:5060 is no address that others can send to, and this one is written into Via "
	  "and Contact: write each address of this host that is to be used\n"
	  "3:55: pools.p.destinations[0].uri: is an IPv4 address, and no udp listener of zone a is: add one" },
	{ NODE ZONE("listen: \"udp:224.0.0.1:5060\"") POOLS ROUTES,
	  "2:23: zones.a.listen: a multicast address cannot be a listener: write an address of this host" },
	{ NODE ZONE("listen: \"udp:127.0.0.1\"") POOLS ROUTES,
	  "2:23: zones.a.listen: the port is missing: write \"udp:127.0.0.1:5060\"" },
	{ NODE ZONE("listen: \"127.0.0.1:5060\"") POOLS ROUTES,
	  "2:23: zones.a.listen: `127.0.0.1:5060` is no listener: write TRANSPORT:ADDRESS:PORT with udp, tcp, tls, "
	  "ws or wss" },
	{ NODE ZONE("listen: \"udp:sip.example.com:5060\"") POOLS ROUTES,
	  "2:23: zones.a.listen: `sip.example.com:5060` is no IP address and port: write \"udp:192.0.2.1:5060\", the "
	  "address as this host has it" },
	{ NODE ZONE("listen: \"sctp:127.0.0.1:5060\"") POOLS ROUTES,
	  "2:23: zones.a.listen: `sctp:127.0.0.1:5060` is no listener: write TRANSPORT:ADDRESS:PORT with udp, tcp, "
	  "tls, ws or wss" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060/sip\"") POOLS ROUTES,
	  "2:23: zones.a.listen: a path (`/sip`) has a meaning for ws and wss only: remove it" },
	{ NODE ZONE("listen: \"ws:127.0.0.1:8088/a b\"") POOLS ROUTES,
	  "2:23: zones.a.listen: `/a b` is no path: write \"/sip\"" },
	{ NODE ZONE("listen: \"ws:127.0.0.1:8088/a?b\"") POOLS ROUTES,
	  "2:23: zones.a.listen: `/a?b` is no path: write \"/sip\"" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:99999\"") POOLS ROUTES,
	  "2:23: zones.a.listen: `127.0.0.1:99999` is no IP address and port: write \"udp:192.0.2.1:5060\", the "
	  "address as this host has it" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]") POOLS ROUTES,
	  "2:46: zones.a.listen[1]: the same address and port as on line 2: a socket belongs to one listener of "
	  "one zone" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5061\", \"tls:127.0.0.1:5061\"]") POOLS ROUTES,
	  "2:10: zones.a.tls: a tls or wss listener needs a certificate: tls: [{ name: sip.example.com, cert: FILE, key: FILE }]\n"
	  "2:68: zones.a.listen[2]: the same address and port as on line 2: a socket belongs to one listener of "
	  "one zone" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5061\", \"ws:127.0.0.1:5061\", \"ws:127.0.0.1:5061/sip\"]") POOLS ROUTES,
	  "2:89: zones.a.listen[3]: the same address and port as on line 2: a socket belongs to one listener of "
	  "one zone" },
	{ NODE "zones: { a: { listen: \"udp:127.0.0.1:5060\" }, "
	  "b: { listen: \"udp:127.0.0.1:5060\" } }\n" POOLS ROUTES,
	  "2:60: zones.b.listen[0]: the same address and port as on line 2: a socket belongs to one listener of "
	  "one zone" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"], proxy-protocol: [balancer]") POOLS ROUTES,
	  "2:86: zones.a.proxy-protocol[0]: not a network: write \"10.0.0.0/8\", \"2001:db8::/32\" or one address" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"], proxy-protocol: \"0.0.0.0/0\"") POOLS ROUTES,
	  "2:10: warning: zones.a: proxy-protocol holds every address: everybody may say he is somebody else" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", proxy-protocol: \"10.0.0.7\"") POOLS ROUTES,
	  "2:10: warning: zones.a: proxy-protocol is about connections, and the zone listens for datagrams only" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", trust: [10.0.0.0/33]") POOLS ROUTES,
	  "2:53: zones.a.trust[0]: not a network: write \"10.0.0.0/8\", \"2001:db8::/32\" or one address" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", trust: [inside]") POOLS ROUTES,
	  "2:53: zones.a.trust[0]: not a network: write \"10.0.0.0/8\", \"2001:db8::/32\" or one address" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", trust: [0.0.0.0/0]") POOLS ROUTES,
	  "2:10: warning: zones.a: trust holds every address: everybody may call, and everybody's identity is "
	  "believed" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", domains: [\"*.example.com\"]") POOLS ROUTES,
	  "2:55: zones.a.domains[0]: not a host name or address: write \"example.com\" or \"192.0.2.1\"" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", session: { expires: 2m, min: 3m }") POOLS ROUTES,
	  "2:13: zones.a: session: expires is shorter than min: what we ask for we would refuse ourselves" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", keepalive: { learn: { min: 40s } }") POOLS ROUTES,
	  "2:13: zones.a: keepalive: learn: `every` does not lie between min and max" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", keepalive: { udp: crlf, learn: {} }") POOLS ROUTES,
	  "2:13: zones.a: keepalive: learn: only answers teach anything: write `udp: options`, too" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", session: { ping: 5s }") POOLS ROUTES,
	  "2:13: zones.a: session: ping: write 32s or longer, or 0s for never" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", session: { min: 89s }") POOLS ROUTES,
	  "2:61: zones.a.session.min: out of bounds: 90s to 1d" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", headers: { unknown: maybe }") POOLS ROUTES,
	  "2:65: zones.a.headers.unknown: `maybe` is not one of: pass, drop" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", advertise: \"a b\"") POOLS ROUTES,
	  "2:56: zones.a.advertise: not a host and port: write \"sip.example.com\", \"192.0.2.1:5060\" or "
	  "\"[2001:db8::1]:5060\"" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", advertise: \"[127.0.0.1]:5060\"") POOLS ROUTES,
	  "2:56: zones.a.advertise: not a host and port: write \"sip.example.com\", \"192.0.2.1:5060\" or "
	  "\"[2001:db8::1]:5060\"" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", advertise: \"sip.example.com:0\"") POOLS ROUTES,
	  "2:56: zones.a.advertise: not a host and port: write \"sip.example.com\", \"192.0.2.1:5060\" or "
	  "\"[2001:db8::1]:5060\"" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5062\"], "
	  "advertise: \"sip.example.com:5060\"") POOLS ROUTES,
	  "2:10: warning: zones.a: advertise has a port and the listeners have several: leave it out, or advertise "
	  "per listener" },
	{ NODE ZONE("listen: { bind: \"udp:127.0.0.1:5060\", advertize: x }") POOLS ROUTES,
	  "2:23: zones.a.listen: a mapping stands here; it takes a list" },
	{ NODE ZONE("listen: [{ advertise: x }]") POOLS ROUTES,
	  "2:24: zones.a.listen[0]: `bind:` is missing; it takes a listener. TRANSPORT:ADDRESS:PORT." },
	/* Pools */
	{ NODE ZONES "pools: { p: { zone: a } }\n" ROUTES,
	  "3:13: pools.p: `destinations:` is missing; it takes a list. Its servers. Or `destinations-file:`, a file with one per "
	  "line" },
	{ NODE ZONES POOL("destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\", path: \"/" SOCKET_107 SOCKET_107 SOCKET_107 "\" }]") ROUTES,
	  "3:83: pools.p.destinations[0].path: longer than 255 bytes" },
	{ NODE ZONES POOL("destinations: []") ROUTES,
	  "3:38: pools.p.destinations: it is empty (0 entries); it needs at least 1" },
	{ NODE "zones: { core: { listen: \"udp:127.0.0.1:5060\" } }\npools: { p: { zone: croe, "
	  "destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }] } }\n" ROUTES,
	  "3:21: pools.p.zone: there is no zone `croe`; did you mean `core`?" },
	{ NODE ZONES POOL("zone: a, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:24: pools.p.zone: the same key stands already on line 3: keep one of them" },
	{ NODE ZONES DESTINATIONS("{ name: d }") ROUTES,
	  "3:39: pools.p.destinations[0]: `uri:` is missing; it takes a SIP URI. "
	  "sip:HOST[:PORT][;transport=udp|tcp|tls|ws|wss]. A name is looked up by RFC 3263." },
	{ NODE ZONES DESTINATIONS("{ uri: \"sip:127.0.0.1:5080\" }") ROUTES,
	  "3:39: pools.p.destinations[0]: `name:` is missing; it takes a name. Its name, one of a kind in the "
	  "pool: `sbcctl drain POOL/NAME`." },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:5080\" }, { name: d, "
	  "uri: \"sip:127.0.0.1:5081\" }") ROUTES,
	  "3:79: pools.p.destinations[1]: the name d is taken on line 3: `sbcctl drain p/d` must mean one" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"127.0.0.1:5080\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: `127.0.0.1:5080` is no SIP URI: write sip:HOST[:PORT][;transport=tcp]" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"tel:+4930\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: `tel:+4930` is no SIP URI: write sip:HOST[:PORT][;transport=tcp]" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:alice@127.0.0.1\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: a destination has no user part: write sip:HOST[:PORT]" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: `` is no host and port: write sip:HOST[:PORT], an IPv6 address in "
	  "brackets" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:[::1\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: `[::1` is no host and port: write sip:HOST[:PORT], an IPv6 address "
	  "in brackets" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:0\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: `127.0.0.1:0` is no host and port: write sip:HOST[:PORT], an IPv6 "
	  "address in brackets" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:a..b\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: not a host name or address: write \"example.com\" or \"192.0.2.1\"" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:0.0.0.0\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: `0.0.0.0` is no address of a server" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1;transport=sctp\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: unknown transport `sctp`: write udp, tcp, tls, ws or wss" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1;maddr=1.2.3.4\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: parameter `maddr` has no meaning here: only transport= has" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sips:127.0.0.1;transport=udp\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: sips: does not go over udp: write sip:, or transport=tls" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1;transport=tcp\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: goes over tcp, and its zone a has no such listener (it has: udp): "
	  "add one, or write ;transport=" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:[::1]:5080\" }") ROUTES,
	  "3:55: pools.p.destinations[0].uri: is an IPv6 address, and no udp listener of zone a is: add one" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:5060\" }") ROUTES,
	  "3:55: warning: pools.p.destinations[0].uri: is a listener of ours: a call sent there comes back" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:5080\", weight: 1001 }") ROUTES,
	  "3:85: pools.p.destinations[0].weight: out of bounds: 0 to 1000" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:5080\", weight: 0 }") ROUTES,
	  "3:10: warning: pools.p: every destination has weight 0: no call goes there" },
	{ NODE ZONES DESTINATIONS("{ name: d, uri: \"sip:127.0.0.1:5080\", max-calls: lots }") ROUTES,
	  "3:88: pools.p.destinations[0].max-calls: not a number: write digits only" },
	{ NODE ZONES DESTINATIONS("\"sip:127.0.0.1:5080\"") ROUTES,
	  "3:39: pools.p.destinations[0]: a single value stands here; it takes a mapping with `name:`" },
	{ NODE ZONES POOL("spill: q, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:31: pools.p.spill: there is no pool `q`; there is: p" },
	{ NODE ZONES POOL("spill: p, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:31: pools.p.spill: goes round, or through more than 4 pools" },
	{ NODE ZONES POOL("hash: { bound: 100 }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:39: pools.p.hash.bound: write 101 or more, in percent of a destination's share, or 0 for no bound" },
	{ NODE ZONES POOL("balance: random, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:33: pools.p.balance: `random` is not one of: round-robin, weighted, least-calls, hash, latency" },
	{ NODE ZONES POOL("probe: { every: 1s, timeout: 2s }, destinations: [{ name: d, "
	  "uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:13: pools.p: probe: timeout is longer than every: a probe would start before the last one has ended" },
	{ NODE ZONES POOL("probe: sometimes, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:31: pools.p.probe: neither on nor off" },
	{ NODE ZONES POOL("failover: { on: [200] }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:41: pools.p.failover.on[0]: out of bounds: 300 to 699" },
	{ NODE ZONES POOL("failover: { tries: 9 }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:43: pools.p.failover.tries: out of bounds: 1 to 8" },
	{ NODE ZONES POOL("responses: { 503: 200 }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:42: pools.p.responses.503: out of bounds: 300 to 699" },
	{ NODE ZONES POOL("responses: { busy: 480 }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:37: pools.p.responses.busy: not a number: write digits only" },
	{ NODE ZONES POOL("sticky: { ttl: 2h }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:32: pools.p.sticky: `by:` is missing; it takes `call-id`, `from-user`, `to-user`, `domain`, `source`, `room` or a "
	  "text. The key. `from-user`: user and host of Referred-By, else of From. `to-user`, `domain`: user, host of the Request-URI. "
	  "`source`: the address it came from. `room`: user and host of Request-URIs whose user is one of `rooms`." },
	{ NODE ZONES POOL("sticky: { by: to-usr }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:38: pools.p.sticky.by: `to-usr` is no key, and no `header:NAME`; did you mean `to-user`?" },
	{ NODE ZONES POOL("sticky: { by: \"header:X Y\" }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:38: pools.p.sticky.by: not a token: write letters, digits and -.!%*_+`'~ (RFC 3261 §25.1)" },
	{ NODE ZONES POOL("sticky: { by: \"header:\" }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:38: pools.p.sticky.by: `header:` is no key, and no `header:NAME`; there is: call-id, from-user, to-user, domain, source, room" },
	{ NODE ZONES POOL("sticky: { by: to-user, rooms: \"conf-*\" }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:13: pools.p: sticky: `rooms` is for `by: room`" },
	{ NODE ZONES POOL("sticky: { by: room, on-drain: go }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:54: pools.p.sticky.on-drain: `go` is not one of: move, stay" },
	{ NODE ZONES POOL("sticky: { by: room, max: 0 }, destinations: [{ name: d, uri: \"sip:127.0.0.1:5080\" }]") ROUTES,
	  "3:49: pools.p.sticky.max: out of bounds: 1 to 10000000" },
	{ NODE ZONES POOLS "routes: [{ to: { reject: 404 } }]\n",
	  "3:10: warning: pools.p: no rule leads to this pool" },
	{ NODE "zones: { a: { listen: [\"udp:127.0.0.1:5060\", "
	  "\"tls:127.0.0.1:5061\"] } }\npools: { p: { zone: a, destinations: [{ name: d, uri: \"sips:127.0.0.1\" }] } }\n" ROUTES,
	  "2:10: zones.a.tls: a tls or wss listener needs a certificate: tls: [{ name: sip.example.com, cert: FILE, key: FILE }]\n"
	  "3:55: warning: pools.p.destinations[0].uri: is a listener of ours: a call sent there comes back" },
	/* Rules */
	{ NODE ZONES POOLS "routes: []\n",
	  "4:9: routes: it is empty (0 entries); it needs at least 1" },
	{ NODE ZONES POOLS "routes: {}\n",
	  "4:9: routes: a mapping stands here; it takes a list" },
	{ NODE ZONES POOLS RULE("to: {}"),
	  "4:43: routes[0].to: it is empty (0 keys); it needs at least 1" },
	{ NODE ZONES POOLS RULE("to: nowhere"),
	  "4:43: routes[0].to: `nowhere` is not one of: registrar, location" },
	{ NODE ZONES POOLS RULE("to: registrer"),
	  "4:43: routes[0].to: `registrer` is not one of: registrar, location; did you mean `registrar`?" },
	{ NODE ZONES POOLS RULE("to: { pool: q }"),
	  "4:51: routes[0].to.pool: there is no pool `q`; there is: p" },
	{ NODE ZONES POOLS RULE("to: { pool: p, reject: 404 }"),
	  "4:43: routes[0].to: 2 keys; only one of them is possible" },
	{ NODE ZONES POOLS RULE("too: { pool: p }"),
	  "4:10: routes[0]: `to:` is missing; it takes `registrar`, `location` or a mapping with `pool:`. "
	  "`registrar`: for REGISTER, to what `registrar` says of its domain. `location`: to where the one called is registered, over the flow "
	  "that registered: all contacts of one q at once, those of the highest first.\n"
	  "4:39: routes[0].too: unknown key `too`; did you mean `to`?" },
	{ NODE ZONES POOLS RULE("to: { reject: 200 }"),
	  "4:53: routes[0].to.reject: out of bounds: 300 to 699" },
	{ NODE ZONES POOLS RULE("to: { reject: { phrase: No } }"),
	  "4:53: routes[0].to.reject: `status:` is missing; it takes a number. Status." },
	{ NODE ZONES POOLS RULE("to: { reject: { status: 603, phrase: \"a\\r\\nb\" } }"),
	  "4:76: routes[0].to.reject.phrase: control characters and line ends have no place in a value" },
	{ NODE ZONES POOLS RULE("to: { reject: [404] }"),
	  "4:53: routes[0].to.reject: a list stands here; it takes a number or a mapping with `status:`" },
	{ NODE ZONES POOLS WHEN("zone: b"),
	  "4:43: routes[0].when.zone: there is no zone `b`; there is: a" },
	{ NODE ZONES POOLS WHEN("source: [10.0.0.256]"),
	  "4:46: routes[0].when.source[0]: not a network: write \"10.0.0.0/8\", \"2001:db8::/32\" or one address" },
	{ NODE ZONES POOLS WHEN("method: invite"),
	  "4:45: routes[0].when.method: methods are case-sensitive (RFC 3261 §7.1): write INVITE" },
	{ NODE ZONES POOLS WHEN("method: \"IN VITE\""),
	  "4:45: routes[0].when.method: not a token: write letters, digits and -.!%*_+`'~ (RFC 3261 §25.1)" },
	{ NODE ZONES POOLS WHEN("method: []"),
	  "4:45: routes[0].when.method: it is empty (0 entries); it needs at least 1" },
	{ NODE ZONES POOLS WHEN("user: \"1000-200\""),
	  "4:43: routes[0].when.user: a range goes from the lower to the higher number, both with as many digits: "
	  "\"1000-1999\"" },
	{ NODE ZONES POOLS WHEN("user: \"2000-1000\""),
	  "4:43: routes[0].when.user: a range goes from the lower to the higher number, both with as many digits: "
	  "\"1000-1999\"" },
	{ NODE ZONES POOLS WHEN("user: \"a b\""),
	  "4:43: routes[0].when.user: not a user pattern: write \"conf-*\", \"+49*\", \"1000-1999\" or a user" },
	{ NODE ZONES POOLS WHEN("domain: \"\""),
	  "4:45: routes[0].when.domain: not a pattern: write a text in which * stands for any run and ? for one "
	  "character" },
	{ NODE ZONES POOLS WHEN("header: { \"X Y\": a }"),
	  "4:47: routes[0].when.header.X Y: not a token: write letters, digits and -.!%*_+`'~ (RFC 3261 §25.1)" },
	{ NODE ZONES POOLS WHEN("header: {}"),
	  "4:45: routes[0].when.header: it is empty (0 keys); it needs at least 1" },
	{ NODE ZONES POOLS WHEN("callee: known"),
	  "4:45: routes[0].when.callee: `known` is not one of: registered" },
	{ NODE ZONES POOLS WHEN("trunk: carrier"),
	  "4:10: routes[0].when.trunk: there is no trunk `carrier`" },
	{ NODE ZONES POOLS WHEN("trunk: carier") "trunks: { carrier: { zone: a, match: { source: 192.0.2.1 } } }\n",
	  "4:10: routes[0].when.trunk: there is no trunk `carier`; did you mean `carrier`?" },
	{ NODE "zones: { a: { listen: \"udp:127.0.0.1:5060\" }, b: { listen: \"udp:127.0.0.2:5060\" } }\n" POOLS
	  WHEN("zone: b, trunk: carrier") "trunks: { carrier: { zone: a, match: { source: 192.0.2.1 } } }\n",
	  "4:10: warning: routes[0].when.trunk: never: trunk carrier is in another zone" },
	{ NODE ZONES POOLS WHEN("callee: registered"),
	  "4:10: warning: routes[0]: `registrar:` has no domain: nobody can register" },
	{ NODE ZONES POOLS "routes: [{ when: { caller: anyone }, to: { pool: p } }]\n",
	  "4:28: routes[0].when.caller: `anyone` is not one of: registered, authenticated, trusted, any" },
	{ NODE ZONES POOLS "routes: [{ when: { caller: any }, to: { pool: p } }]\n",
	  "4:28: warning: routes[0].when.caller: anyone may use this rule" },
	{ NODE ZONES POOLS "routes: [{ when: { caller: registered }, to: { pool: p } }]\n",
	  "4:10: warning: routes[0]: nobody can use this rule: it is for registered callers, there is no `registrar`, and nobody is trusted "
	  "there; write caller: any, or trust: in the zone" },
	{ NODE ZONES POOLS "routes: [{ when: { caller: registered }, to: { pool: p } }]\nregistrar: { example.com: { auth: none } }\n",
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS "routes: [{ when: { caller: authenticated }, to: { pool: p } }]\nregistrar: { example.com: { auth: none } }\n",
	  "4:10: warning: routes[0]: only trusted sources can use this rule: no domain of `registrar` has users (`auth: { users: FILE }`)\n"
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS "routes: [{ when: { caller: any }, to: location }]\n",
	  "3:10: warning: pools.p: no rule leads to this pool\n"
	  "4:10: warning: routes[0]: `registrar:` has no domain: nobody can register\n"
	  "4:28: warning: routes[0].when.caller: anyone may use this rule" },
	{ NODE ZONES POOLS "routes: [{ to: { reject: 404 } }, { when: { zone: a, caller: trusted }, "
	  "to: { pool: p } }]\n",
	  "4:35: warning: routes[1]: never reached: the rule on line 4 takes everything that could come here" },
	{ NODE ZONES POOLS "routes: [{ when: { zone: a }, to: { reject: 404 } }, { when: { zone: a, user: x, "
	  "caller: trusted }, to: { pool: p } }]\n",
	  "4:54: warning: routes[1]: never reached: the rule on line 4 takes everything that could come here" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: {}"),
	  "4:65: routes[0].rewrite: it is empty (0 keys); it needs at least 1" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: \"(\" , replace: x } }"),
	  "4:82: routes[0].rewrite.user.regex: not a POSIX extended regular expression: Unmatched ( or \\(" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: \"^0\" } }"),
	  "4:65: routes[0].rewrite: user: a regex needs `replace:`, what the user becomes" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { replace: x } }"),
	  "4:65: routes[0].rewrite: user: `replace:` needs a regex" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: \"^0\", replace: \"\\\\1\" } }"),
	  "4:65: routes[0].rewrite: user: `replace:` names a group that the regex does not have: it has 0" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: \"(a)\\\\1\", replace: b } }"),
	  "4:82: routes[0].rewrite.user.regex: a regular expression with a back reference can take exponential "
	  "time: write it without" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: \"((a{100}){100}){100}\", replace: b } }"),
	  "4:82: routes[0].rewrite.user.regex: the repetitions {n} unfold to more than 500 characters: write * or +" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { regex: \"a\", replace: b, strip: 1 } }"),
	  "4:65: routes[0].rewrite: user: either strip and prefix, or regex and replace, not both" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { prefix: \"a@b\" } }"),
	  "4:65: routes[0].rewrite: user: a character that a user part cannot have (RFC 3261 §25.1): write it as "
	  "%HH" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { user: { strip: 65 } }"),
	  "4:82: routes[0].rewrite.user.strip: out of bounds: 0 to 64" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { host: \"a b\" }"),
	  "4:73: routes[0].rewrite.host: not a host and port: write \"sip.example.com\", \"192.0.2.1:5060\" or "
	  "\"[2001:db8::1]:5060\"" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, rewrite: { host: x, apply: [contact] }"),
	  "4:84: routes[0].rewrite.apply[0]: `contact` is not one of: request-uri, from, to, pai" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, relay: maybe"),
	  "4:63: routes[0].relay: neither on nor off" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, max-duration: 4"),
	  "4:70: routes[0].max-duration: a duration without a unit: write \"250ms\", \"5s\", \"3m\", \"2h\" or \"7d\"" },
	{ NODE ZONES POOLS RULE("to: { pool: p }, max-duration: 8d"),
	  "4:70: routes[0].max-duration: out of bounds: 1s to 7d" },
	{ NODE ZONES POOLS "routes: [{ to: { pool: p } }]\n",
	  "4:10: warning: routes[0]: nobody can use this rule: it is for registered callers, there is no `registrar`, and nobody is trusted "
	  "there; write caller: any, or trust: in the zone" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", trust: [10.0.0.0/8]") POOLS "routes: [{ to: { pool: p } }]\n", "" },
	/* Registrars */
	{ NODE ZONES POOLS "routes: [{ when: { method: [REGISTER, INVITE] }, to: registrar }, { when: { caller: trusted }, to: { pool: p } }]\n"
	  "registrar: { example.com: { auth: none } }\n",
	  "4:10: routes[0]: `to: registrar` is for one method: write `when: { method: REGISTER }`\n"
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS "routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: trusted }, to: { pool: p } }]\n",
	  "4:10: warning: routes[0]: `registrar:` has no domain: nobody can register" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { mode: local } }\n",
	  "5:27: registrar.example.com: `auth:` is missing: users, or `none`" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { mode: proxy, auth: none } }\n",
	  "5:35: registrar.example.com.mode: `proxy` is not one of: local, pass, front\n"
	  "5:48: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: none, pool: p, expires: { min: 2h } } }\n",
	  "5:27: registrar.example.com: expires: min is longer than max: nobody could register\n"
	  "5:27: registrar.example.com: pool: has no meaning with `mode: local`\n"
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { mode: front, pool: p, front: { client: 2h } } }\n",
	  "5:27: registrar.example.com: front: `upstream` has to be twice `client` at least: what the registrar behind us hears less often" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: none, mode: front } }\n",
	  "5:27: registrar.example.com: `pool:` is missing: where the registrar behind us is\n"
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: none }, Example.COM.: { auth: none } }\n",
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are\n"
	  "5:43: registrar: domain Example.COM. stands here twice\n"
	  "5:65: warning: registrar.Example.COM..auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: { users: /nonexistent } } }\n",
	  "5:44: warning: registrar.example.com.auth.users: /nonexistent cannot be read now: nobody can register" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: { users: /dev/null, inline: { alice: 'file:/dev/null' } } } }\n",
	  "5:27: registrar.example.com: auth: users stand in one place: write `users: FILE` or `inline: { NAME: PASSWORD }`\n"
	  "5:72: registrar.example.com.auth.inline.alice: there is no password in it: one line" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: { realm: x } } }\n",
	  "5:27: registrar.example.com: auth: users stand in one place: write `users: FILE` or `inline: { NAME: PASSWORD }`" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: { realm: 'a\"b', users: /dev/null } } }\n",
	  "5:27: registrar.example.com: auth: a realm has at most 255 bytes, no quotes, backslashes and colons" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: { inline: { alice: geheim } } } }\n",
	  "5:54: registrar.example.com.auth.inline.alice: not a secret: write \"file:PATH\" or \"${NAME}\"; a secret does not stand in this file" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: { inline: { alice: 'file:/dev/null' } } } }\n",
	  "5:54: registrar.example.com.auth.inline.alice: there is no password in it: one line" },
	/* Parts that are not active yet */
	{ NODE ZONES POOLS RULE("to: location"), "4:10: warning: routes[0]: `registrar:` has no domain: nobody can register" },
	{ NODE ZONES POOLS ROUTES "registrar: { example.com: { auth: none, mode: pass, pool: p } }\n",
	  "5:35: warning: registrar.example.com.auth: whoever asks is registered: nobody has to say who they are" },
	{ NODE ZONES POOLS ROUTES "guard: { per-source: { rate: 50 } }\n",
	  "5:8: warning: guard: not active in this version\n"
	  "5:30: guard.per-source.rate: a rate without a unit: write \"50/s\" or \"600/m\"" },
	{ NODE ZONES POOLS ROUTES "guard: { per-source: { rate: 50/s, burst: 200, block: 60s } }\n",
	  "5:8: warning: guard: not active in this version" },
	{ NODE ZONES POOLS ROUTES "guard: { domains: { example.com: { calls: 5/h } } }\n",
	  "5:8: warning: guard: not active in this version\n"
	  "5:43: guard.domains.example.com.calls: unknown unit `/h`: write \"50/s\" or \"600/m\"" },
	{ NODE ZONES POOLS ROUTES "cluster: local\n",
	  "5:10: warning: cluster: not active in this version" },
	{ NODE ZONES POOLS ROUTES "cluster: { peer: \"10.0.1.2\", listen: \"10.0.1.1:7000\", secret: hunter2 }\n",
	  "5:10: warning: cluster: not active in this version\n"
	  "5:18: cluster.peer: the port is missing: write ADDRESS:PORT\n"
	  "5:63: cluster.secret: not a secret: write \"file:PATH\" or \"${NAME}\"; a secret does not stand in this file" },
	{ NODE ZONES POOLS ROUTES "cluster: { peer: \"10.0.1.2:7000\", listen: \"10.0.1.1:7000\", "
	  "secret: \"${SBC_TEST_SECRET}\", buffer: 64MB }\n",
	  "5:10: warning: cluster: not active in this version\n"
	  "5:98: cluster.buffer: unknown unit `MB`: write \"512B\", \"64KiB\", \"10MiB\" or \"1GiB\"" },
	{ NODE ZONES POOLS ROUTES "cluster: { peer: \"10.0.1.2:7000\", listen: \"10.0.1.1:7000\", "
	  "secret: \"file:/nonexistent\", buffer: 64MiB }\n",
	  "5:10: warning: cluster: not active in this version\n"
	  "5:68: warning: cluster.secret: /nonexistent cannot be read: No such file or directory" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: b, pool: p, credentials: \"file:/nonexistent\" } }\n",
	  "5:14: warning: trunks.t: no request is known to come from it: write `match: { source: ... }`\n"
	  "5:22: trunks.t.zone: there is no zone `b`; there is: a\n"
	  "5:47: trunks.t.credentials: /nonexistent cannot be read: No such file or directory" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: a, match: { source: 192.0.2.1 }, credentials: \"${SBC_TEST_CREDENTIALS}\" } }\n",
	  "5:14: trunks.t: credentials: `pool:` is missing: whom they are for\n"
	  "5:14: trunks.t: credentials: `domain:` or `realm:` is missing: what they are for" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: a, match: { source: 192.0.2.1 }, domain: \"2001:db8::1\" }, "
	  "u: { zone: a, match: { source: 192.0.2.2 }, domain: \"[2001:db8::1]\" } }\n",
	  "5:14: trunks.t: domain: write an IPv6 address in brackets" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: a, match: { source: 192.0.2.1, tls-name: sip.example.net }, register: { user: x } } }\n",
	  "5:11: warning: trunks.t: match.tls-name: nobody proves a name in zone a: a tls or wss listener there has to ask for "
	  "certificates (`tls-options: { verify-client: optional }`), or the pool be reached over TLS, with `verify-server`\n"
	  "5:14: trunks.t: register: `pool:` is missing: where we register\n"
	  "5:14: trunks.t: register: `domain:` is missing: where `x` belongs to" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: a, match: { tls-name: sip.example.net } }, u: { zone: a, match: { tls-name: SIP.example.net "
	  "}, pool: p } }\n",
	  "5:11: warning: trunks.t: match.tls-name: nobody proves a name in zone a: a tls or wss listener there has to ask for "
	  "certificates (`tls-options: { verify-client: optional }`), or the pool be reached over TLS, with `verify-server`\n"
	  "5:65: trunks.u: match.tls-name: SIP.example.net is the name of trunk t, too: a request comes from one\n"
	  "5:65: warning: trunks.u: match.tls-name: nobody proves a name in zone a: a tls or wss listener there has to ask for "
	  "certificates (`tls-options: { verify-client: optional }`), or the pool be reached over TLS, with `verify-server`" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: a, match: { source: 192.0.2.1 }, domain: x.com, realm: 'a\"b', register: { user: \"x y\" }, "
	  "credentials: \"${SBC_TEST_SECRET}\" } }\n",
	  "5:14: trunks.t: a realm has at most 255 bytes, no quotes, backslashes and colons\n"
	  "5:14: trunks.t: register: `pool:` is missing: where we register\n"
	  "5:102: trunks.t.register.user: a character that a user part cannot have (RFC 3261 §25.1): write it as %HH\n"
	  "5:124: trunks.t.credentials: there are no credentials in it: one line USER:PASSWORD" },
	{ NODE ZONES POOLS ROUTES "trunks: { t: { zone: a, match: { source: [192.0.2.0/24, 10.0.0.0/8] } }, "
	  "u: { zone: a, match: { source: [10.1.0.0/16, 192.0.2.7/24] } } }\n",
	  "5:74: trunks.u.match.source: 192.0.2.0/24 is a source of trunk t, too: a request comes from one" },
	{ NODE "zones: { a: { listen: \"udp:127.0.0.1:5060\" }, b: { listen: \"udp:127.0.0.2:5060\", privacy: { identity: remove } } }\n" POOLS ROUTES
	  "trunks: { t: { zone: b, pool: p, match: { source: 192.0.2.1 } }, u: { zone: a, pool: p, domain: x.com, match: { source: 192.0.2.1 } } }\n",
	  "5:11: trunks.t: pool p is in another zone\n"
	  "5:66: trunks.u: pool p belongs to trunk t already: each has one of its own\n"
	  "5:66: warning: trunks.u: domain: From and To of requests with an Identity (RFC 8224) stay as they are; write `privacy: { "
	  "identity: remove }` in zone a, unless none goes there" },
	{ NODE ZONES POOLS ROUTES "admin: { http: \"0.0.0.0:8080\" }\n",
	  "5:16: admin.http: there is no password over HTTP: listen on 127.0.0.1 or [::1], and put a server that asks for one in front of "
	  "it" },
	{ NODE ZONES POOLS ROUTES "admin: { http: \"[2001:db8::1]:8080\" }\n",
	  "5:16: admin.http: there is no password over HTTP: listen on 127.0.0.1 or [::1], and put a server that asks for one in front of "
	  "it" },
	{ NODE ZONES POOLS ROUTES "admin: { http: \"127.0.0.1\" }\n",
	  "5:16: admin.http: the port is missing: write ADDRESS:PORT" },
	{ NODE ZONES POOLS ROUTES "takeover: { drain: 30m }\n",
	  "5:11: warning: takeover: not active in this version" },
	{ NODE ZONE("listen: [\"udp:127.0.0.1:5060\", \"wss:127.0.0.1:8443/sip\"], tls: [{ name: sip.example.com, "
	  "cert: /nonexistent, key: /nonexistent }]") POOLS ROUTES,
	  "2:110: zones.a.tls[0].cert: /nonexistent cannot be read: No such file or directory\n"
	  "2:129: zones.a.tls[0].key: /nonexistent cannot be read: No such file or directory" },
	{ NODE ZONE("listen: \"udp:127.0.0.1:5060\", privacy: { mask: [from, contact], identity: drop }, identity: mine") POOLS ROUTES,
	  "2:69: zones.a.privacy.mask[1]: `contact` is not one of: from, to, pai, sdp-origin\n"
	  "2:89: zones.a.privacy.identity: `drop` is not one of: keep, remove\n"
	  "2:107: zones.a.identity: `mine` is not one of: trust, drop, mask" },
};

static void each_problem_has_its_place_and_its_remedy(void **state)
{
	char text[8192];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bads); i++) {
		struct conf_notes notes;
		struct conf *c = NULL;
		int err;

		conf_notes_init(&notes);
		err = conf_parse(&c, "f", sv_from(bads[i].yaml), &notes);
		if (strcmp(notes_text(&notes, text, sizeof(text)), bads[i].notes) != 0)
			fail_msg("%s\nsays:\n%s\nexpected:\n%s", bads[i].yaml, text, bads[i].notes);
		assert_int_equal(err, notes.errors ? -EINVAL : 0);
		assert_true(!err == (c != NULL));
		conf_free(c);
		conf_notes_fini(&notes);
	}
}

static void all_problems_come_at_once_in_the_order_of_the_file(void **state)
{
	static const char yaml[] =
		"routes:\n"
		"  - { to: { pool: q } }\n"
		"pools:\n"
		"  media:\n"
		"    zone: croe\n"
		"    destinations:\n"
		"      - { name: d, uri: \"sip:127.0.0.1:5080\", wieght: 2 }\n"
		"zones:\n"
		"  core:\n"
		"    listen: [\"udp:127.0.0.1:5060\"]\n"
		"workers: 100\n";
	struct conf_notes notes;
	struct conf *c = NULL;
	char text[4096];

	(void)state;
	conf_notes_init(&notes);
	assert_int_equal(conf_parse(&c, "f", sv_from(yaml), &notes), -EINVAL);
	assert_string_equal(notes_text(&notes, text, sizeof(text)),
	                    "1:1: `node:` is missing; it takes a name. Name of this node: in logs and CDRs, and what breaks a tie "
	                    "between the nodes of a pair.\n"
	                    "2:19: routes[0].to.pool: there is no pool `q`; there is: media\n"
	                    "5:11: pools.media.zone: there is no zone `croe`; did you mean `core`?\n"
	                    "7:47: pools.media.destinations[0].wieght: unknown key `wieght`; did you mean `weight`?\n"
	                    "11:10: workers: out of bounds: 1 to 64");
	conf_notes_fini(&notes);
}

static int set_environment(void **state)
{
	(void)state;
	return setenv("SBC_TEST_SECRET", "x", 1) || setenv("SBC_TEST_CREDENTIALS", "me:secret", 1) || unsetenv("SBC_TEST_UNSET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_problem_has_its_place_and_its_remedy),
		cmocka_unit_test(all_problems_come_at_once_in_the_order_of_the_file),
	};

	return cmocka_run_group_tests(tests, set_environment, NULL);
}
