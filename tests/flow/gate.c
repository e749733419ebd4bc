/* The hiding gate (DECISIONS 7): thousands of messages of every kind, in which one side writes its addresses, host names, Call-IDs, tags,
 * branches and user agents wherever a header has room for them; every byte that the SBC sends to the other side is searched for them. What
 * may be found is a closed list, printed with its counts. */
#include "tests/flow/flow.h"
#include "topohide/hide.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SIDES = 2, A = 0, B = 1 };
enum { LINES_PER_MESSAGE = 8, TEXT_MAX = 8192, LEAKS_SHOWN = 12, CALLS = 400, TOKENS = 1 << 18 };

/* What may be found, and where. */
enum exception { SDP_BODY, CONTENT, REQUEST_URI_HOST, FROM_TO_HOST, DIGEST, NAMED_RULE, EXCEPTIONS };
static const struct {
	const char *name, *what;
} exceptions[EXCEPTIONS] = {
	[SDP_BODY] = { "sdp-body", "session descriptions pass byte by byte" },
	[CONTENT] = { "content", "bodies that are no signalling: what people write to each other" },
	[REQUEST_URI_HOST] = { "request-uri-host", "the Request-URI's host, kept (DECISIONS 14)" },
	[FROM_TO_HOST] = { "from-to-host", "hosts of From and To where not masked (DECISIONS 14)" },
	[DIGEST] = { "digest", "challenges and credentials: realm, nonce, uri (DECISIONS 9)" },
	[NAMED_RULE] = { "named-rule", "X-Kept, which a rule of the configuration lets pass" },
};

/* Everything one side is called. The same words, in other spellings, come from `spellings`. */
struct side {
	const char *name, *at, *listener;
	const char *secrets[20];
	const char *addrs[6];            /* looked for in any spelling of an address */
	const char *spellings[12];       /* what goes into headers */
	const char *host, *hop, *agent, *call_id, *tag, *branch;
};

static const struct side sides[SIDES] = {
	{ .name = "near", .at = "192.0.2.10:5060", .listener = EDGE, .host = "phone.near.example", .hop = "nearbox",
	  .agent = "NearPhone/1.0 (rev 7)", .call_id = "nearcall-7f3a9c", .tag = "neartag-51e2", .branch = "nearbranch",
	  .secrets = { "192.0.2.10", "phone.near.example", "nearbox", "203.0.113.10", "nearcall-7f3a9c", "neartag-51e2", "nearbranch",
	               "nearphone/1.0", "near-user", "nearorg" },
	  .addrs = { "192.0.2.10", "203.0.113.10", "2001:db8::10", "2001:db8:a::1" },
	  .spellings = { "192.0.2.10", "phone.near.example", "PHONE.Near.Example", "nearbox", "203.0.113.10", "[2001:db8:a::1]",
	                 "[2001:0DB8:A:0:0:0:0:1]", "2001:DB8:a:0::1", "[::ffff:192.0.2.10]", "::ffff:c000:20a", "192%2E0%2e2.10",
	                 "phone%2enear.example" } },
	{ .name = "far", .at = BOB, .listener = CORE, .host = "app.inside.example", .hop = "farbox", .agent = "FarServer/2.0 (build 9)",
	  .call_id = "farcall-d20b77", .tag = "fartag-9a04", .branch = "farbranch",
	  .secrets = { "10.0.0.21", "app.inside.example", "farbox", "10.0.0.10", "10.0.0.77", "farcall-d20b77", "fartag-9a04", "farbranch",
	               "farserver/2.0", "far-user", "farorg", "spare.inside.example" },
	  .addrs = { "10.0.0.21", "10.0.0.10", "10.0.0.77", "2001:db8:f::1", "10.0.0.22" },
	  .spellings = { "10.0.0.21", "app.inside.example", "App.INSIDE.example", "farbox", "10.0.0.10", "[2001:db8:f::1]",
	                 "spare.inside.example", "10.0.0.77", "[::ffff:10.0.0.21]", "::ffff:a00:15", "10%2E0%2e0.21",
	                 "app%2einside.example" } },
};
enum { PLACES = 12, WORDS = PLACES + 3 }; /* places: words for where the side is; then Call-ID, tag, software */

struct token_seen {
	char text[TOKEN_LEN];
	uint8_t side;
	bool is_used;
};

struct gate {
	struct rig *rig;
	unsigned next[SIDES][2];         /* into the lines of the tables, by the side that writes them, in requests and in responses */
	unsigned leaks, lines;
	uint64_t received, checked, bytes, found[EXCEPTIONS], statuses[7], tokens;
	struct token_seen *seen;
	unsigned calls;
	const char *phase, *listener[SIDES]; /* where each side sends */
};

/* Searching what leaves ------------------------------------------------------------------------------------------------- */

/* A message with its escapes undone and in small letters, and where each byte came from. */
struct plain {
	char text[NET_MESSAGE_MAX + 1];
	uint16_t at[NET_MESSAGE_MAX + 1];
	size_t len;
};

static int hex(char c)
{
	return isdigit((uint8_t)c) ? c - '0' : isxdigit((uint8_t)c) ? (c | 0x20) - 'a' + 10 : -1;
}

static void plain_of(struct plain *out, const char *p, size_t len)
{
	out->len = 0;
	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		out->at[out->len] = (uint16_t)i;
		if (c == '%' && i + 2 < len && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
			c = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
			i += 2;
		} else if (c == '\\' && i + 1 < len) {
			c = p[++i];
		}
		out->text[out->len++] = (char)tolower((uint8_t)c);
	}
	out->text[out->len] = '\0';
}

struct region {
	size_t from, to;
	enum exception why;
};

static size_t add_region(struct region *r, size_t n, const char *base, struct sv v, enum exception why)
{
	if (v.p)
		r[n++] = (struct region){ (size_t)(v.p - base), (size_t)(v.p - base) + v.len, why };
	return n;
}

static struct sv host_of(struct sv uri_text)
{
	struct uri u;

	return uri_parse(&u, uri_text) == 0 ? u.host : (struct sv){ NULL, 0 };
}

static struct sv host_of_address(struct sv value)
{
	struct name_addr na;

	return name_addr_parse(&na, value) == 0 ? host_of(na.uri) : (struct sv){ NULL, 0 };
}

static bool is_digest(uint8_t id)
{
	return id == HDR_WWW_AUTHENTICATE || id == HDR_PROXY_AUTHENTICATE || id == HDR_AUTHORIZATION || id == HDR_PROXY_AUTHORIZATION ||
	       id == HDR_AUTHENTICATION_INFO;
}

static bool has_prefix(struct sv v, const char *prefix)
{
	return v.len >= strlen(prefix) && sv_ieq((struct sv){ v.p, strlen(prefix) }, sv_from(prefix));
}

/* Where in a message the exceptions lie. */
static size_t regions_of(const struct view *v, struct region *r)
{
	struct sv type = view_value(v, HDR_CONTENT_TYPE);
	size_t n = 0;

	if (!v->status)
		n = add_region(r, n, v->base, host_of(view_uri(v)), REQUEST_URI_HOST);
	n = add_region(r, n, v->base, host_of_address(view_value(v, HDR_FROM)), FROM_TO_HOST);
	n = add_region(r, n, v->base, host_of_address(view_value(v, HDR_TO)), FROM_TO_HOST);
	for (unsigned i = 0; i < v->n; i++)
		if (is_digest(v->h[i].id))
			n = add_region(r, n, v->base, hdr_value(v, &v->h[i]), DIGEST);
		else if (sv_ieq(hdr_name(v, &v->h[i]), SV("X-Kept")))
			n = add_region(r, n, v->base, hdr_value(v, &v->h[i]), NAMED_RULE);
	if (v->body_len && has_prefix(type, "application/sdp"))
		n = add_region(r, n, v->base, view_body(v), SDP_BODY);
	else if (v->body_len && has_prefix(type, "text/"))
		n = add_region(r, n, v->base, view_body(v), CONTENT);
	return n;
}

/* The line it stands in, and the message's first. */
static void show(const struct gate *g, const struct packet *p, size_t at, const char *what)
{
	size_t from = at, to = at;

	while (from && p->bytes[from - 1] != '\n')
		from--;
	while (to < p->len && p->bytes[to] != '\r')
		to++;
	printf("leak of \"%s\" (%s): %.*s\n    in %.*s\n", what, g->phase, (int)(to - from), p->bytes + from,
	       (int)strcspn(p->bytes, "\r"), p->bytes);
}

static void found(struct gate *g, const struct packet *p, const struct region *r, size_t n, size_t at, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (at >= r[i].from && at < r[i].to) {
			g->found[r[i].why]++;
			return;
		}
	if (g->leaks++ < LEAKS_SHOWN)
		show(g, p, at, what);
}

/* Addresses in any spelling: each run of an address's characters, and what is behind each of its colons. */
static void search_addresses(struct gate *g, const struct packet *p, const struct side *s, const struct plain *t,
                             const struct region *r, size_t n)
{
	for (size_t i = 0; i < t->len;) {
		size_t from = i;

		while (i < t->len && (isxdigit((uint8_t)t->text[i]) || t->text[i] == ':' || t->text[i] == '.'))
			i++;
		for (size_t k = from; k + 1 < i; k = k + 1) {
			struct addr a, b;

			if (k != from && t->text[k - 1] != ':')
				continue;
			if (!memchr(t->text + k, ':', i - k) || addr_parse(&a, (struct sv){ t->text + k, i - k }))
				continue; /* without a colon it is searched for as text */
			for (unsigned x = 0; x < 6 && s->addrs[x]; x++)
				if (addr_parse(&b, sv_from(s->addrs[x])) == 0 && addr_eq_ip(&a, &b))
					found(g, p, r, n, t->at[k], s->addrs[x]);
		}
		i += i == from;
	}
}

/* Tokens are identifiers, too: what we showed one side as ours never shows on the other. */
static void search_tokens(struct gate *g, const struct packet *p, unsigned side, const struct region *r, size_t n)
{
	for (size_t i = 0; i + TOKEN_LEN <= p->len;) {
		size_t from = i;
		uint64_t h = 14695981039346656037ULL;

		while (i < p->len && (islower((uint8_t)p->bytes[i]) || isdigit((uint8_t)p->bytes[i])))
			i++;
		if (i - from != TOKEN_LEN) {
			i += i == from;
			continue;
		}
		for (size_t k = from; k < i; k++)
			h = (h ^ (uint8_t)p->bytes[k]) * 1099511628211ULL;
		for (h %= TOKENS; g->seen[h].is_used && memcmp(g->seen[h].text, p->bytes + from, TOKEN_LEN) != 0;)
			h = (h + 1) % TOKENS;
		if (g->seen[h].is_used && g->seen[h].side != side)
			found(g, p, r, n, from, "a token of the other side");
		if (g->seen[h].is_used)
			continue;
		assert_true(g->tokens++ < TOKENS / 2);
		g->seen[h] = (struct token_seen){ .side = (uint8_t)side, .is_used = true };
		memcpy(g->seen[h].text, p->bytes + from, TOKEN_LEN);
	}
}

static void on_sent(void *ctx, const struct packet *p)
{
	struct gate *g = ctx;
	unsigned side = g->rig->conf->listeners[p->listener].zone; /* zones stand in the configuration in our order */
	const struct side *other = &sides[!side];
	static struct plain text;
	struct region regions[VIEW_HEADERS_MAX + 8];
	struct view_fault fault;
	struct view v;
	size_t n;

	g->checked++;
	g->bytes += p->len;
	if (view_scan(&v, p->bytes, p->len, true, &fault)) {
		printf("malformed (%s):\n%.*s\n", fault.reason, (int)p->len, p->bytes);
		g->leaks++;
		return;
	}
	g->statuses[v.status / 100]++;
	plain_of(&text, p->bytes, p->len);
	n = regions_of(&v, regions);
	for (unsigned i = 0; other->secrets[i]; i++) {
		size_t len = strlen(other->secrets[i]);

		for (const char *at = text.text; (at = memmem(at, (size_t)(text.text + text.len - at), other->secrets[i], len)); at += len)
			found(g, p, regions, n, text.at[at - text.text], other->secrets[i]);
	}
	search_addresses(g, p, other, &text, regions, n);
	search_tokens(g, p, side, regions, n);
}

/* What one side writes ---------------------------------------------------------------------------------------------------- */

/* One call as both ends see it. */
struct dialogue {
	struct gate *g;
	unsigned number, caller;         /* caller: the side that called */
	unsigned cseq[SIDES];
	char call_id[SIDES][96], from[SIDES][512], to[SIDES][512], target[SIDES][256]; /* as each side writes them in its requests */
	struct got last[SIDES];
};

/* How a header's value carries a word: `$` is replaced by it. Not named: every one of `forms`. Headers of which a message has one, and those
 * that say where it goes, are written by the message itself. */
static const struct {
	enum hdr_id id;
	const char *form;
} shapes[] = {
	{ HDR_VIA, "" }, { HDR_FROM, "" }, { HDR_TO, "" }, { HDR_CALL_ID, "" }, { HDR_CSEQ, "" }, { HDR_CONTACT, "" },
	{ HDR_MAX_FORWARDS, "" }, { HDR_CONTENT_LENGTH, "" }, { HDR_CONTENT_TYPE, "" }, { HDR_ROUTE, "" }, { HDR_RECORD_ROUTE, "" },
	{ HDR_PROXY_REQUIRE, "" }, { HDR_REPLACES, "" }, { HDR_JOIN, "" }, { HDR_RACK, "" }, { HDR_REQUIRE, "" }, { HDR_RSEQ, "" },
	{ HDR_EXPIRES, "600;x=$" }, { HDR_MIN_EXPIRES, "60;x=$" }, { HDR_SESSION_EXPIRES, "1800;x=$" }, { HDR_MIN_SE, "90;x=$" },
	{ HDR_RETRY_AFTER, "60 (at $);duration=3" }, { HDR_DATE, "Sat, 21 Nov 2026 10:00:00 GMT $" }, { HDR_ALLOW, "INVITE, ACK, $" },
	{ HDR_SUPPORTED, "replaces, $" }, { HDR_UNSUPPORTED, "$" }, { HDR_EVENT, "presence;id=$" }, { HDR_ALLOW_EVENTS, "presence, $" },
	{ HDR_SUBSCRIPTION_STATE, "active;expires=600;x=$" }, { HDR_PRIVACY, "none;$" }, { HDR_REASON, "SIP;cause=200;text=\"at $\"" },
	{ HDR_WARNING, "399 $ \"at $\", 370 $:5060 \"no\"" }, { HDR_TARGET_DIALOG, "$;local-tag=a;remote-tag=b" },
	{ HDR_AUTHORIZATION, "Digest username=\"a\", realm=\"$\", nonce=\"$\", uri=\"sip:$\", response=\"0\"" },
	{ HDR_PROXY_AUTHORIZATION, "Digest username=\"a\", realm=\"$\", nonce=\"$\", uri=\"sip:$\", response=\"0\"" },
	{ HDR_WWW_AUTHENTICATE, "Digest realm=\"$\", nonce=\"$\"" }, { HDR_PROXY_AUTHENTICATE, "Digest realm=\"$\", nonce=\"$\"" },
	{ HDR_IDENTITY, "abc.def;info=<https://$/cert>;alg=ES256" }, { HDR_REFER_TO, "<sip:far@$?Replaces=x%3Bto-tag%3D$>" },
	{ HDR_REFER_TO, "\"at $\" <sip:far@other.example?Subject=$&Replaces=$%3Bto-tag%3Da%3Bfrom-tag%3Db>;p=$" },
	{ HDR_REFERRED_BY, "<sip:ref@$>;cid=\"1@$\"" },
	{ HDR_REFERRED_BY, "\"at $\" <sip:ref@other.example?Subject=%22$%22>" }, { HDR_REFER_SUB, "true;x=$" }, { HDR_RECV_INFO, "dtmf, $" },
	{ HDR_INFO_PACKAGE, "dtmf;x=$" }, { HDR_CONTENT_DISPOSITION, "session;handling=optional;x=$" },
	{ HDR_CONTENT_ENCODING, "" }, { HDR_ACCEPT, "application/sdp, text/x;y=\"$\"" }, { HDR_SESSION_ID, "a1b2;remote=$" },
};

static const char *const forms[] = {
	"<sip:u@$>", "\"the one at $\" <sip:u@$:5060;transport=udp>;p=$", "sip:u@$;maddr=$", "<sip:a@other.example>, <sip:u@$>",
	"<sip:a@other.example>,\r\n\t\"x\" <sip:u@$>", "$", "<http://$:8080/pic.png>;purpose=icon", "id-$-5060", "_$_", "urn:x:$;y",
	"\"quoted \\\"$\\\"\"", "(comment $)", "a=b;call-id=$;tag=$", "<sip:x@other.example?Call-Info=%3Csip:u@$%3E>", "sips:$:5061;lr,$",
	"~$.internal", /* behind a ~ only addresses: of a name, this is another one */
};
enum { FORMS = sizeof(forms) / sizeof(*forms) };

static const char *const strangers[] = { "X-Anything", "P-Unheard-Of", "x-node", "Call-Identifier", "X-Via", "H" };
enum { STRANGERS = sizeof(strangers) / sizeof(*strangers), NAMES = HDR_COUNT - 1 + STRANGERS, LINES = NAMES * FORMS * WORDS };

static const char *shape_of(unsigned name, unsigned form)
{
	const char *shape = NULL;

	for (unsigned i = 0; name + 1 < HDR_COUNT && i < sizeof(shapes) / sizeof(*shapes); i++)
		if (shapes[i].id == name + 1 && (!shape || form)) /* a second one takes turns with the first */
			shape = shapes[i].form;
	return shape;
}

static size_t put_form(char *to, size_t room, const char *form, const char *word)
{
	size_t n = 0;

	for (; *form; form++) {
		if (*form == '$')
			n += (size_t)snprintf(to + n, room - n, "%s", word);
		else
			to[n++] = *form;
		assert_true(n < room);
	}
	to[n] = '\0';
	return n;
}

/* Header names: as in the table, compact, in other letters, with blanks before the colon. */
static size_t put_name(char *to, size_t room, unsigned name, unsigned variant)
{
	static const char compact[] = "abcdefijklmnorstuvxy";
	const char *text = name + 1 < HDR_COUNT ? hdr_id_name(name + 1) : strangers[name - (HDR_COUNT - 1)];
	size_t n;

	for (const char *c = compact; variant % 4 == 1 && *c; c++)
		if (hdr_id_parse((struct sv){ c, 1 }) == name + 1)
			return (size_t)snprintf(to, room, "%c: ", variant & 4 ? *c : toupper((uint8_t)*c));
	n = (size_t)snprintf(to, room, variant % 4 == 2 ? "%s : " : "%s: ", text);
	for (size_t i = 0; variant % 4 == 3 && i < n; i++)
		to[i] = (char)toupper((uint8_t)to[i]);
	return n;
}

/* What the side itself is called in this dialogue. NULL: a message of this kind does not say who that would be, so nobody can know. */
static const char *word_of(const struct dialogue *d, unsigned side, unsigned k, bool is_response)
{
	static char tag[64];

	if (k < PLACES)
		return is_response && side == A && strcasestr(sides[A].spellings[k], "2001:") ? NULL : sides[side].spellings[k];
	snprintf(tag, sizeof(tag), "%s.%u", sides[side].tag, d->number);
	return k == PLACES ? d->call_id[side] : k == PLACES + 1 ? tag : sides[side].agent;
}

/* The next lines of `side`: every name with every form and every word, one after the other. */
static const char *payload(const struct dialogue *d, unsigned side, bool is_response, unsigned lines)
{
	struct gate *g = d->g;
	static char text[2][LINES_PER_MESSAGE * 512];
	char *to = text[side];
	size_t n = 0;

	for (unsigned left = lines; left;) {
		unsigned k = g->next[side][is_response]++ % LINES, name = k % NAMES, form = k / NAMES / WORDS;
		const char *shape = shape_of(name, form), *word = word_of(d, side, k / NAMES % WORDS, is_response);

		if (!word || (!shape && *forms[form] == '~' && word[strspn(word, "0123456789.")]))
			continue;
		if (shape && (!*shape || (form && form != 7))) /* one form only: twice through all words */
			continue;
		n += put_name(to + n, 512, name, k / 7);
		n += put_form(to + n, 400, shape ? shape : forms[form], word);
		n += (size_t)sprintf(to + n, "\r\n");
		g->lines++;
		left--;
	}
	to[n] = '\0';
	return to;
}

/* Messages ---------------------------------------------------------------------------------------------------------------- */

static void send_text(struct gate *g, unsigned side, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void send_text(struct gate *g, unsigned side, const char *fmt, ...)
{
	static char text[TEXT_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_true(n > 0 && (size_t)n < sizeof(text));
	g->received++;
	rig_send(g->rig, sides[side].at, g->listener[side], text);
}

/* The next message at this side; false: there is none. */
static bool take(struct dialogue *d, unsigned side)
{
	struct node *inbox = &d->g->rig->inbox;
	struct addr at;

	rig_after(d->g->rig, 0);
	assert_int_equal(addr_parse(&at, sv_from(sides[side].at)), 0);
	list_each(n, inbox)
		if (addr_eq(&owner_of(n, struct packet, in_list)->to, &at)) {
			rig_expect(d->g->rig, sides[side].at, "", &d->last[side]);
			return true;
		}
	return false;
}

static void keep(char *to, size_t size, const char *from)
{
	assert_true(strlen(from) < size);
	strcpy(to, from);
}

/* Our own lines of a request: where the sender's names stand by nature. Odd calls write them in other ways. */
static size_t put_head(struct dialogue *d, unsigned side, char *to, const char *method, const char *uri)
{
	const struct side *s = &sides[side];
	unsigned n = ++d->cseq[side];
	bool is_odd = d->number & 1;

	return (size_t)sprintf(to,
	                       "%s %s SIP/2.0\r\n"
	                       "%s: SIP/2.0/UDP %s;branch=z9hG4bK%s%u%s%u;rport%s\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bK%s2,\r\n SIP/2.0/UDP %s\r\n"
	                       "%s: %s\r\n%s: %s\r\n%s: %s\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\n"
	                       "%s: <sip:%s-user@%s:5060;transport=udp;ob>;+sip.instance=\"<urn:uuid:1>\";expires=60;+sip.at=\"<sip:%s>\"\r\n"
	                       "User-Agent: %s\r\nServer: %s\r\nOrganization: %sOrg\r\nRecord-Route: <sip:%s;lr>\r\nX-Kept: at %s\r\n",
	                       method, uri, is_odd ? "v" : "Via", s->at, s->branch, d->number, method, n, is_odd ? ";x=y" : "", s->hop,
	                       s->branch, strchr(s->spellings[5], ']') ? s->spellings[5] : s->host, is_odd ? "f" : "From", d->from[side],
	                       is_odd ? "T" : "To", d->to[side], is_odd ? "i" : "Call-ID", d->call_id[side], n, method, is_odd ? "m" : "Contact",
	                       s->name, s->host, s->host, s->agent, s->agent, s->name, s->hop, s->host);
}

static void send_request(struct dialogue *d, unsigned side, const char *method, const char *lines, const char *type, const char *body)
{
	char head[4096];

	put_head(d, side, head, method, d->target[side]);
	send_text(d->g, side, "%s%s%s%s%sContent-Length: %zu\r\n\r\n%s", head, lines, *body ? "Content-Type: " : "", *body ? type : "",
	          *body ? "\r\n" : "", strlen(body), body);
}

/* An answer to what this side got last. */
static void send_response(struct dialogue *d, unsigned side, unsigned status, const char *lines, const char *type, const char *body)
{
	const struct side *s = &sides[side];
	const struct got *g = &d->last[side];
	char vias[2048] = "", tag[64];

	for (unsigned i = 0; i < g->v.n; i++)
		if (g->v.h[i].id == HDR_VIA)
			snprintf(vias + strlen(vias), sizeof(vias) - strlen(vias), "Via: %.*s\r\n", SV_ARG(hdr_value(&g->v, &g->v.h[i])));
	snprintf(tag, sizeof(tag), ";tag=%s.%u", s->tag, d->number);
	send_text(d->g, side,
	          "SIP/2.0 %u from %s at %s\r\n%sFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
	          "Contact: <sip:%s-user@%s>;+sip.instance=\"<urn:uuid:2>\"\r\nServer: %s\r\nUser-Agent: %s\r\n"
	          "Record-Route: <sip:%s;lr>\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s",
	          status, s->agent, s->host, vias, got_value(g, HDR_FROM), got_value(g, HDR_TO), *got_tag(g, HDR_TO) || status == 100 ? "" : tag,
	          got_value(g, HDR_CALL_ID), got_value(g, HDR_CSEQ), s->name, s->host, s->agent, s->agent, s->hop, lines, *body ? "Content-Type: " : "",
	          *body ? type : "", *body ? "\r\n" : "", strlen(body), body);
}

/* The caller's first identifiers. Some From and To name their host by an address, some have it in every other part. */
static void dialogue_begin(struct dialogue *d, struct gate *g, unsigned caller)
{
	static const char *const from_forms[] = { "\"Alice\" <sip:alice@example.com>", "sip:alice@example.com", "\"caller\" <sip:alice@$>",
		                                  "\"from $\" <sip:alice@$;maddr=$>;x=$", "<sip:alice@example.com>;epid=1" };
	static const char *const to_forms[] = { "<sip:bob@example.com>", "sip:bob@example.com", "<sip:bob@$>",
		                                "\"to $\" <sip:bob@example.com;maddr=$>;x=$", "<sip:bob@example.com>" };
	const struct side *s = &sides[caller];
	unsigned kind = g->calls % 5;

	*d = (struct dialogue){ .g = g, .number = ++g->calls, .caller = caller };
	snprintf(d->call_id[caller], sizeof(d->call_id[0]), "%s.%u@%s", s->call_id, d->number, kind == 1 ? "other.example" : s->host);
	put_form(d->from[caller], sizeof(d->from[0]), from_forms[kind], s->host);
	put_form(d->to[caller], sizeof(d->to[0]), to_forms[kind], s->host);
	snprintf(d->from[caller] + strlen(d->from[caller]), 64, ";tag=%s.%u", s->tag, d->number);
	keep(d->target[caller], sizeof(d->target[0]), kind == 4 && caller == A ? "sip:bob@203.0.113.10" : kind == 4 ? "sip:bob@10.0.0.10:5060" :
	     "sip:bob@example.com");
}

static void dialogue_end(struct dialogue *d)
{
	for (unsigned i = 0; i < SIDES; i++) {
		while (take(d, i))
			;
		got_free(&d->last[i]);
	}
}

/* What the callee learns from the request it got, and what it will call itself. */
static void callee_learns(struct dialogue *d)
{
	unsigned callee = !d->caller;
	const struct got *g = &d->last[callee];

	keep(d->call_id[callee], sizeof(d->call_id[0]), got_value(g, HDR_CALL_ID));
	keep(d->to[callee], sizeof(d->to[0]), got_value(g, HDR_FROM));
	snprintf(d->from[callee], sizeof(d->from[0]), "%s;tag=%s.%u", got_value(g, HDR_TO), sides[callee].tag, d->number);
	keep(d->target[callee], sizeof(d->target[0]), got_contact(g));
}

static void caller_learns(struct dialogue *d)
{
	const struct got *g = &d->last[d->caller];

	keep(d->to[d->caller], sizeof(d->to[0]), got_value(g, HDR_TO));
	if (*got_contact(g))
		keep(d->target[d->caller], sizeof(d->target[0]), got_contact(g));
}

#define SDP_NEAR "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=NearPhone/1.0\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
#define SDP_FAR "v=0\r\no=- 1 1 IN IP4 10.0.0.21\r\ns=FarServer/2.0\r\nc=IN IP4 10.0.0.21\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
#define SDP_OF(side) ((side) == A ? SDP_NEAR : SDP_FAR)

/* A request within the dialog and its answer, each with lines of its side. */
static void exchange(struct dialogue *d, unsigned side, const char *method, unsigned status, const char *extra, const char *type,
                     const char *body)
{
	struct gate *g = d->g;
	char lines[LINES_PER_MESSAGE * 512];

	g->phase = method;
	snprintf(lines, sizeof(lines), "%s%s", payload(d, side, false, LINES_PER_MESSAGE), extra);
	send_request(d, side, method, lines, type, body);
	while (take(d, side))
		; /* 100 */
	while (take(d, !side)) {
		if (d->last[!side].v.status || d->last[!side].v.method == M_ACK)
			continue;
		send_response(d, !side, status, payload(d, !side, true, LINES_PER_MESSAGE), "text/plain", status % 2 ? "answer of NearPhone FarServer" : "");
		break;
	}
	while (take(d, side))
		;
}

static void acknowledge(struct dialogue *d, unsigned side, const char *body)
{
	char lines[LINES_PER_MESSAGE * 512];

	d->cseq[side]--; /* the INVITE's */
	snprintf(lines, sizeof(lines), "%s", payload(d, side, false, LINES_PER_MESSAGE));
	send_request(d, side, "ACK", lines, "application/sdp", body);
}

/* Bodies that speak of signalling themselves, in the words of the side that wrote them. */
static const char *sipfrag_of(const struct dialogue *d, unsigned side)
{
	static char text[1024];

	snprintf(text, sizeof(text),
	         "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nContact: <sip:%s-user@%s>\r\nCall-ID: %s\r\nServer: %s\r\n",
	         sides[side].at, sides[side].branch, sides[side].name, sides[side].host, d->call_id[side], sides[side].agent);
	return text;
}

static const char *dialog_info_of(const struct dialogue *d, unsigned side, unsigned version)
{
	static char text[1024];
	const struct side *s = &sides[side];

	snprintf(text, sizeof(text),
	         "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"%u\" state=\"full\" "
	         "entity=\"sip:bob@%s\">\r\n<dialog id=\"a%u\" call-id=\"%s\" local-tag=\"%s.%u\" remote-tag=\"other\" direction=\"recipient\">\r\n"
	         "<state>confirmed</state><local><identity>sip:bob@%s</identity><target uri=\"sip:bob@%s:5060\"/></local>\r\n"
	         "<remote><identity>sip:x@other.example</identity></remote></dialog></dialog-info>\r\n",
	         version, s->host, version, d->call_id[side], s->tag, d->number, s->host, s->host);
	return text;
}

/* Calls ------------------------------------------------------------------------------------------------------------------- */

static const char *const within[] = { "INFO", "UPDATE", "MESSAGE", "OPTIONS", "NOTIFY", "REFER", "SUBSCRIBE", "PUBLISH", "FOO", "PRACK" };
static const unsigned refusals[] = { 300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 414, 415, 416, 420, 421,
	                             422, 423, 428, 429, 433, 436, 437, 438, 439, 440, 469, 470, 480, 481, 482, 483, 484, 485, 486, 487, 488,
	                             489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 555, 580, 600, 603, 604, 606, 607, 608, 699 };
enum { WITHIN = sizeof(within) / sizeof(*within), REFUSALS = sizeof(refusals) / sizeof(*refusals) };

/* INVITE and its provisionals. False: it did not get through. */
static bool rings(struct dialogue *d, const char *lines)
{
	unsigned callee = !d->caller;
	char early[LINES_PER_MESSAGE * 512];

	d->g->phase = "INVITE";
	send_request(d, d->caller, "INVITE", lines, "application/sdp", SDP_OF(d->caller));
	do
		if (!take(d, callee))
			return false;
	while (d->last[callee].v.status || d->last[callee].v.method != M_INVITE);
	callee_learns(d);
	d->g->phase = "1xx";
	send_response(d, callee, 100, payload(d, callee, true, LINES_PER_MESSAGE), "", "");
	send_response(d, callee, 180 + d->number % 4, payload(d, callee, true, LINES_PER_MESSAGE), "application/sdp", SDP_OF(callee));
	snprintf(early, sizeof(early), "%sRSeq: 7\r\nRequire: 100rel\r\n", payload(d, callee, true, 4));
	send_response(d, callee, 183, early, "", "");
	while (take(d, d->caller))
		if (d->last[d->caller].v.status > 100)
			caller_learns(d);
	return true;
}

/* Early and confirmed, requests of every kind from both sides, then BYE. */
static void answered_call(struct gate *g, unsigned caller)
{
	struct dialogue d;
	struct got invite;

	dialogue_begin(&d, g, caller);
	if (rings(&d, payload(&d, caller, false, LINES_PER_MESSAGE))) {
		unsigned callee = !caller;

		invite = d.last[callee];
		d.last[callee] = (struct got){ .packet = NULL };
		exchange(&d, caller, "PRACK", 200, "RAck: 7 1 INVITE\r\n", "application/sdp", "");
		exchange(&d, callee, "UPDATE", 200, "", "application/sdp", SDP_OF(callee));
		got_free(&d.last[callee]);
		d.last[callee] = invite;
		g->phase = "200";
		send_response(&d, callee, 200, payload(&d, callee, true, LINES_PER_MESSAGE), "application/sdp", SDP_OF(callee));
		while (take(&d, caller))
			if (d.last[caller].v.status == 200)
				caller_learns(&d);
		g->phase = "ACK";
		d.cseq[caller] = 1;
		acknowledge(&d, caller, "");
		d.cseq[caller] = 10;
		d.cseq[callee] = d.cseq[callee] < 10 ? 10 : d.cseq[callee];
		for (unsigned i = 0; i < WITHIN; i++) {
			unsigned status = (d.number + i) % 4 ? 200 : refusals[(d.number * WITHIN + i) % REFUSALS];

			if (status == 408 || status == 481)
				status = 488; /* they end the call */
			exchange(&d, i & 1 ? callee : caller, within[(d.number + i) % WITHIN], status, i % 3 ? "" : "Refer-To: <sip:x@other.example>\r\n",
			         "text/plain", i % 2 ? "from 192.0.2.10 and 10.0.0.21" : "");
		}
		exchange(&d, d.number & 1 ? callee : caller, "BYE", 200, "", "text/plain", "");
	}
	dialogue_end(&d);
}

/* Refused with every status, some after ringing; the ACK of the refusal carries lines of its own. */
static void refused_call(struct gate *g, unsigned caller)
{
	static const char *const types[] = { "text/plain", "message/sipfrag", "application/dialog-info+xml" };
	struct dialogue d;
	char lines[LINES_PER_MESSAGE * 512];
	unsigned status;

	dialogue_begin(&d, g, caller);
	status = refusals[d.number % REFUSALS];
	snprintf(lines, sizeof(lines), "%s", payload(&d, caller, false, LINES_PER_MESSAGE));
	if (rings(&d, lines)) {
		g->phase = "refusal";
		send_response(&d, !caller, status, payload(&d, !caller, true, LINES_PER_MESSAGE), types[d.number % 3],
		              d.number % 3 == 0 ? "no, says 10.0.0.21" : d.number % 3 == 1 ? sipfrag_of(&d, !caller) : dialog_info_of(&d, !caller, 1));
		while (take(&d, caller))
			caller_learns(&d);
		d.cseq[caller]--;
		keep(d.target[caller], sizeof(d.target[0]), "sip:bob@example.com");
		send_request(&d, caller, "ACK", payload(&d, caller, false, LINES_PER_MESSAGE), "", "");
	}
	dialogue_end(&d);
}

/* Requests that begin no dialog. */
static void lone_request(struct gate *g, unsigned caller)
{
	static const char *const methods[] = { "MESSAGE", "OPTIONS", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER", "INFO", "BAR", "REGISTER", "UPDATE" };
	struct dialogue d;
	const char *method;

	dialogue_begin(&d, g, caller);
	method = methods[d.number / 4 % 10];
	g->phase = method;
	send_request(&d, caller, method, payload(&d, caller, false, LINES_PER_MESSAGE), d.number % 2 ? "text/plain" : "message/sipfrag",
	             d.number % 2 ? "I am at 192.0.2.10 and you at 10.0.0.21" : sipfrag_of(&d, caller));
	if (take(&d, !caller) && !d.last[!caller].v.status)
		send_response(&d, !caller, d.number % 3 ? 200 : refusals[d.number % REFUSALS], payload(&d, !caller, true, LINES_PER_MESSAGE), "text/plain",
		              "seen from 10.0.0.21");
	dialogue_end(&d);
}

/* SUBSCRIBE, NOTIFYs with what its package says, a refresh, the end (RFC 6665). */
static void subscription(struct gate *g, unsigned caller)
{
	static const char active[] = "Event: dialog\r\nSubscription-State: active;expires=600\r\n";
	struct dialogue d;
	unsigned callee = !caller;

	dialogue_begin(&d, g, caller);
	g->phase = "SUBSCRIBE";
	send_request(&d, caller, "SUBSCRIBE", "Event: dialog\r\nExpires: 600\r\nAccept: application/dialog-info+xml\r\n", "", "");
	if (take(&d, callee) && d.last[callee].v.method == M_SUBSCRIBE) {
		callee_learns(&d);
		send_response(&d, callee, 200, "Expires: 600\r\n", "", "");
		assert_true(take(&d, caller));
		caller_learns(&d);
		for (unsigned i = 0; i < 3; i++)
			exchange(&d, callee, "NOTIFY", 200, active, "application/dialog-info+xml", dialog_info_of(&d, callee, i));
		exchange(&d, callee, "NOTIFY", 200, active, "message/sipfrag;version=2.0", sipfrag_of(&d, callee));
		exchange(&d, caller, "SUBSCRIBE", 200, "Event: dialog\r\nExpires: 0\r\n", "", "");
		exchange(&d, callee, "NOTIFY", 200, "Event: dialog\r\nSubscription-State: terminated;reason=timeout\r\n",
		         "application/dialog-info+xml", dialog_info_of(&d, callee, 4));
	}
	dialogue_end(&d);
}

/* A transfer: REFER, its NOTIFYs with what became of it, from either side. */
static void referred_call(struct gate *g, unsigned caller)
{
	struct dialogue d;
	unsigned from, to;

	dialogue_begin(&d, g, caller);
	from = d.number & 1 ? caller : !caller;
	to = !from;
	if (rings(&d, "")) {
		send_response(&d, !caller, 200, "", "application/sdp", SDP_OF(!caller));
		while (take(&d, caller))
			if (d.last[caller].v.status == 200)
				caller_learns(&d);
		d.cseq[caller] = 1;
		acknowledge(&d, caller, "");
		d.cseq[caller] = d.cseq[!caller] = 10;
		g->phase = "REFER";
		exchange(&d, from, "REFER", 202, d.number % 4 < 2 ? "Refer-To: <sip:carol@other.example>\r\n" :
		         "Refer-To: <sip:carol@other.example?Replaces=1%40x%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\n", "", "");
		exchange(&d, to, "NOTIFY", 200, "Event: refer\r\nSubscription-State: active;expires=60\r\n", "message/sipfrag", "SIP/2.0 100 Trying\r\n");
		exchange(&d, to, "NOTIFY", 200, "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n", "message/sipfrag;version=2.0",
		         sipfrag_of(&d, to));
		exchange(&d, caller, "BYE", 200, "", "", "");
	}
	dialogue_end(&d);
}

static void cancelled_call(struct gate *g, unsigned caller)
{
	struct dialogue d;
	struct got invite;
	unsigned callee = !caller;
	char to[512];

	dialogue_begin(&d, g, caller);
	keep(to, sizeof(to), d.to[caller]);
	if (rings(&d, payload(&d, caller, false, LINES_PER_MESSAGE))) {
		char head[4096], *branch;

		invite = d.last[callee];
		d.last[callee] = (struct got){ .packet = NULL };
		g->phase = "CANCEL";
		d.cseq[caller] = 0;
		keep(d.to[caller], sizeof(d.to[0]), to);
		keep(d.target[caller], sizeof(d.target[0]), "sip:bob@example.com");
		put_head(&d, caller, head, "CANCEL", d.target[caller]);
		branch = strstr(head, "CANCEL1;"); /* its INVITE's branch */
		assert_non_null(branch);
		memcpy(branch, "INVITE1;", 8);
		send_text(g, caller, "%sReason: SIP;cause=200;text=\"at %s\"\r\nContent-Length: 0\r\n\r\n", head, sides[caller].host);
		while (take(&d, callee))
			if (d.last[callee].v.method == M_CANCEL)
				send_response(&d, callee, 200, payload(&d, callee, true, LINES_PER_MESSAGE), "", "");
		got_free(&d.last[callee]);
		d.last[callee] = invite;
		send_response(&d, callee, 487, payload(&d, callee, true, LINES_PER_MESSAGE), "", "");
	}
	dialogue_end(&d);
}

/* A node --------------------------------------------------------------------------------------------------------------------- */

#define GATE_ZONES \
	"node: test\nhiding: { guard: log }\nheaders: { kept: [{ keep: X-Kept }] }\nzones:\n" \
	"  public:\n    listen: [\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\", \"udp:[2001:db8::10]:5060\"]\n" \
	"    domains: [\"example.com\"]\n    headers: { out: [kept] }\n%s" \
	"  core:\n    listen: [\"udp:10.0.0.10:5060\", \"tcp:10.0.0.10:5060\"]\n    domains: [\"example.com\"]\n    headers: { out: [kept] }\n%s" \
	"    trust: [\"10.0.0.0/24\", \"2001:db8:f::/48\"]\n"
#define PHONES "  phones: { zone: public, probe: off, failover: { on: [] }, destinations: [{ name: alice, uri: \"sip:phone.near.example:5060\" }] }\n"
/* Those who are called are Bob and Alice; the others are only there to be named. */
#define POOLS \
	"pools:\n" \
	"  apps: { zone: core, probe: off, failover: { on: [] }, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: spare, uri: \"sip:spare.inside.example:5060\" }, { name: box, uri: \"sip:farbox:5060\" }] }\n" PHONES
#define POOL_OF(options, uris) "pools:\n  apps: { zone: core, " options ", destinations: [" uris "] }\n" PHONES
#define BOTH_WAYS(more) \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }" more " }, { when: { zone: core }, to: { pool: phones }" more " }]\n"
#define ROUTES POOLS BOTH_WAYS(", relay: on")
#define ROUTES_STRICT POOLS BOTH_WAYS("")
#define ROUTES_SHORT POOLS BOTH_WAYS(", relay: on, max-duration: 10s")
#define ROUTES_NOBODY POOLS "routes: [{ when: { user: \"nobody\", caller: any }, to: { pool: apps } }]\n"
#define ROUTES_REJECT POOLS "routes: [{ when: { caller: any }, to: { reject: 603 } }]\n"
#define ROUTES_UNKNOWN_NAME POOL_OF("probe: off", "{ name: b, uri: \"sip:gone.inside.example\" }") BOTH_WAYS("")
#define ROUTES_TCP POOL_OF("probe: off", "{ name: b, uri: \"sip:10.0.0.21:5060;transport=tcp\" }") BOTH_WAYS("")
#define ROUTES_TWO \
	POOL_OF("probe: off, answer-timeout: 5s, failover: { after: 1s, tries: 2 }", \
	        "{ name: bob, uri: \"sip:10.0.0.21:5060\" }, { name: carol, uri: \"sip:10.0.0.22:5060\" }") \
	BOTH_WAYS("")
#define ROUTES_PROBED POOL_OF("probe: { every: 1s, timeout: 1s }", "{ name: bob, uri: \"sip:10.0.0.21:5060\", max-calls: 1 }") BOTH_WAYS("")

static void gate_open(struct gate *g, const char *public_lines, const char *both_lines, unsigned workers, const char *tail)
{
	static const char *const names[] = { "app.inside.example", "spare.inside.example", "farbox", "phone.near.example", "nearbox" };
	char yaml[4096];
	int n = snprintf(yaml, sizeof(yaml), GATE_ZONES "%s", public_lines, both_lines, tail);

	assert_true(n > 0 && (size_t)n < sizeof(yaml));
	g->rig = rig_new(yaml, workers, 1);
	g->listener[A] = sides[A].listener;
	g->listener[B] = sides[B].listener;
	g->rig->hooks = (struct rig_hooks){ .ctx = g, .on_sent = on_sent };
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		g->rig->names[i].host = names[i];
		assert_int_equal(addr_parse(&g->rig->names[i].addr, i < 3 ? SV("10.0.0.21") : SV("192.0.2.10")), 0);
	}
	g->rig->n_names = sizeof(names) / sizeof(*names);
}

static void gate_close(struct gate *g)
{
	g->phase = "the end";
	rig_after(g->rig, 3600000);
	for (unsigned i = 0; i < SIDES; i++)
		rig_forget(g->rig, sides[i].at);
	for (unsigned i = 0; i < g->rig->shared.workers; i++) /* it sees no leak either */
		assert_int_equal(counter_get(b2bua_hide_counters(g->rig->workers[i].calls), HIDE_GUARD_FOUND), 0);
	rig_free(g->rig, true);
}

static void print_gate(const struct gate *g)
{
	printf("hiding gate: %lu messages sent to the SBC with %u lines that name their side; %lu messages that left checked, %lu bytes "
	       "searched, %lu tokens; leaks %u\n",
	       g->received, g->lines, g->checked, g->bytes, g->tokens, g->leaks);
	printf("of these: requests %lu, 1xx %lu, 2xx %lu, 3xx %lu, 4xx %lu, 5xx %lu, 6xx %lu\n", g->statuses[0], g->statuses[1],
	       g->statuses[2], g->statuses[3], g->statuses[4], g->statuses[5], g->statuses[6]);
	for (unsigned i = 0; i < EXCEPTIONS; i++)
		printf("exception %-16s %6lu  %s\n", exceptions[i].name, g->found[i], exceptions[i].what);
}

/* The test: what passes ----------------------------------------------------------------------------------------------------- */

#define MASKED "    privacy: { mask: [from, to, pai], identity: remove }\n"

/* The ways the node is set up and the sides are connected. */
static const struct {
	const char *public_lines, *both_lines, *listener;
	unsigned workers;
	bool is_masking;
} setups[] = {
	{ "", "", EDGE, 1, false },
	{ "    trust: [\"192.0.2.0/24\"]\n", "", EDGE, 2, false },
	{ "", "", EDGE_TCP, 1, false },
	{ "    trust: [\"192.0.2.0/24\"]\n" MASKED, MASKED, EDGE, 2, true },
};

static void one_call(struct gate *g, unsigned kind, unsigned caller)
{
	static void (*const kinds[])(struct gate *g, unsigned caller) = { answered_call, refused_call,  lone_request,
		                                                          subscription,  referred_call, cancelled_call };

	kinds[kind % 6](g, caller);
	rig_after(g->rig, 40000);
	for (unsigned s = 0; s < SIDES; s++)
		rig_forget(g->rig, sides[s].at);
}

static void nothing_of_one_side_on_the_other(void **state)
{
	struct gate g = { .seen = calloc(TOKENS, sizeof(struct token_seen)) };

	(void)state;
	assert_non_null(g.seen);
	for (unsigned k = 0; k < sizeof(setups) / sizeof(*setups); k++) {
		uint64_t hosts = g.found[FROM_TO_HOST];

		gate_open(&g, setups[k].public_lines, setups[k].both_lines, setups[k].workers, ROUTES);
		g.listener[A] = setups[k].listener;
		for (unsigned i = 0; i < CALLS; i++)
			one_call(&g, i, strcmp(setups[k].listener, EDGE_TCP) == 0 ? A : i / 6 % 2);
		gate_close(&g);
		if (setups[k].is_masking)
			assert_int_equal(g.found[FROM_TO_HOST], hosts);
	}
	print_gate(&g);
	assert_true(g.checked >= 2000);
	for (unsigned i = 0; i < 2 * SIDES; i++)
		assert_true(g.next[i / 2][i % 2] >= LINES); /* every name, form and word */
	for (unsigned i = 0; i < 7; i++)
		assert_true(g.statuses[i] >= 20);
	for (unsigned i = 0; i < EXCEPTIONS; i++)
		assert_true(g.found[i] > 0); /* it looks there, too */
	assert_int_equal(g.leaks, 0);
	free(g.seen);
}

/* What the SBC says by itself ---------------------------------------------------------------------------------------------- */

/* One request that is answered by the SBC alone: its reasons (docs/reasons.md), each sent by either side. */
static const struct refused {
	const char *name, *tail, *method, *uri, *lines, *hops, *to_tag;
	unsigned status, sides;          /* sides: bits of those who may ask */
} refused[] = {
	{ "no-route", ROUTES_NOBODY, "INVITE", NULL, "", NULL, "", 404, 3 },
	{ "rule-reject", ROUTES_REJECT, "INVITE", NULL, "", NULL, "", 603, 3 },
	{ "host-not-ours", ROUTES_STRICT, "INVITE", "sip:bob@elsewhere.example", "", NULL, "", 403, 3 },
	{ "foreign-route", ROUTES, "INVITE", NULL, "Route: <sip:elsewhere.example;lr>\r\n", NULL, "", 403, 1 },
	{ "bad-request-uri", ROUTES, "INVITE", "sip:", "", NULL, "", 400, 3 },
	{ "uri-scheme", ROUTES, "INVITE", "http://example.com/x", "", NULL, "", 416, 3 },
	{ "proxy-require", ROUTES, "INVITE", NULL, "Proxy-Require: foo\r\n", NULL, "", 420, 3 },
	{ "too-many-hops", ROUTES, "INVITE", NULL, "", "00", "", 483, 3 },
	{ "replaces-unknown", ROUTES, "INVITE", NULL, "Replaces: 1@x;to-tag=a;from-tag=b\r\n", NULL, "", 481, 3 },
	{ "unknown-dialog", ROUTES, "INFO", NULL, "", NULL, ";tag=forged", 481, 3 },
	{ "name-not-found", ROUTES_UNKNOWN_NAME, "INVITE", NULL, "", NULL, "", 503, 1 },
	{ "destinations-unreachable", ROUTES_TCP, "INVITE", NULL, "", NULL, "", 503, 1 },
	{ "destinations-unreachable (MESSAGE)", ROUTES_TCP, "MESSAGE", NULL, "", NULL, "", 503, 1 },
	{ "options", ROUTES, "OPTIONS", "sip:203.0.113.10", "", NULL, "", 200, 1 },
	{ "options", ROUTES, "OPTIONS", "sip:10.0.0.10:5060", "", NULL, "", 200, 2 },
	{ "duplicate header", ROUTES, "INVITE", NULL, "Max-Forwards: 70\r\n", NULL, "", 400, 3 },
};

static void expect_status(struct dialogue *d, unsigned side, unsigned status, const char *name)
{
	while (take(d, side))
		if (d->last[side].v.status >= 200) {
			if (d->last[side].v.status != status)
				fail_msg("%s: %u, not %u", name, d->last[side].v.status, status);
			return;
		}
	fail_msg("%s: no answer", name);
}

static void refused_by_us(struct gate *g, const struct refused *r, unsigned side)
{
	struct dialogue d;
	char head[4096], lines[LINES_PER_MESSAGE * 512 + 256];
	char *hops;

	g->phase = r->name;
	gate_open(g, "", "", 1, r->tail);
	g->rig->is_refusing_streams = true;
	dialogue_begin(&d, g, side);
	if (r->uri)
		keep(d.target[side], sizeof(d.target[0]), r->uri);
	strcat(d.to[side], r->to_tag);
	snprintf(lines, sizeof(lines), "%s%s", r->lines, payload(&d, side, false, LINES_PER_MESSAGE));
	put_head(&d, side, head, r->method, d.target[side]);
	if (r->hops && (hops = strstr(head, "Max-Forwards: ")))
		memcpy(hops + 14, r->hops, 2);
	send_text(g, side, "%s%sContent-Length: 0\r\n\r\n", head, lines);
	rig_after(g->rig, 6000); /* names and connections take their time */
	expect_status(&d, side, r->status, r->name);
	dialogue_end(&d);
	gate_close(g);
}

/* Both ends of an answered call, the ACK still to come. */
static bool answered(struct dialogue *d, unsigned caller)
{
	if (!rings(d, ""))
		return false;
	send_response(d, !caller, 200, "", "application/sdp", SDP_OF(!caller));
	while (take(d, caller))
		if (d->last[caller].v.status == 200)
			caller_learns(d);
	d->cseq[caller] = 1;
	d->cseq[!caller] = 10;
	return true;
}

/* How many messages that begin so come to this side within `ms`; each request is answered with 200. */
static unsigned hears(struct dialogue *d, unsigned side, const char *start, unsigned ms)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++, rig_after(d->g->rig, ms / 8))
		while (take(d, side)) {
			n += strncmp(d->last[side].packet->bytes, start, strlen(start)) == 0;
			if (!d->last[side].v.status && d->last[side].v.method != M_ACK && d->last[side].v.method != M_INVITE)
				send_response(d, side, 200, payload(d, side, true, LINES_PER_MESSAGE), "", "");
		}
	return n;
}

static void a_call_nobody_acknowledges(struct gate *g, unsigned caller)
{
	struct dialogue d;

	gate_open(g, "", "", 1, ROUTES);
	dialogue_begin(&d, g, caller);
	assert_true(answered(&d, caller));
	g->phase = "no-ack";
	rig_after(g->rig, 32000);
	assert_true(hears(&d, !caller, "ACK ", 800)); /* ours */
	assert_true(hears(&d, caller, "BYE ", 800));
	dialogue_end(&d);
	gate_close(g);
}

/* Longest duration, operator, and a dialog one side has lost: BYEs of our own with a Reason. */
static void calls_ended_by_us(struct gate *g, unsigned caller, unsigned how)
{
	static const char *const phases[] = { "max-duration", "operator", "dialog-lost" };
	struct dialogue d;
	struct token token;

	gate_open(g, "", "", 1, ROUTES_SHORT);
	dialogue_begin(&d, g, caller);
	assert_true(answered(&d, caller));
	acknowledge(&d, caller, "");
	g->phase = phases[how];
	if (how == 0) {
		rig_after(g->rig, 10000);
	} else if (how == 1) {
		struct sv user = { strchr(d.target[caller], ':') + 1, TOKEN_LEN };

		assert_int_equal(token_read(g->rig->workers[0].tokens, TOKEN_LEG, user, &token), 0);
		assert_true(b2bua_hangup(g->rig->workers[0].calls, token.id, "test"));
	} else {
		d.cseq[caller] = 10;
		exchange(&d, caller, "INFO", 481, "", "", "");
	}
	assert_true(hears(&d, caller, "BYE ", 800) || how == 2);
	dialogue_end(&d);
	assert_int_equal(rig_calls(g->rig), 0);
	gate_close(g);
}

/* Questions within a call whether its ends are there, and refreshes of a session (RFC 4028). */
static void questions_of_ours(struct gate *g, unsigned caller)
{
	unsigned updates = 0, questions = 0;
	struct dialogue d;

	gate_open(g, "    session: { expires: 10m, ping: 10m }\n", "    session: { expires: 10m, ping: 10m }\n", 1, ROUTES);
	dialogue_begin(&d, g, caller);
	assert_true(rings(&d, ""));
	g->phase = "refresh";
	send_response(&d, !caller, 200, "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n", "application/sdp",
	              SDP_OF(!caller));
	while (take(&d, caller))
		if (d.last[caller].v.status == 200)
			caller_learns(&d);
	d.cseq[caller] = 1;
	acknowledge(&d, caller, "");
	d.cseq[A] = d.cseq[B] = 30;
	for (unsigned i = 0; i < 18; i++) {
		updates += hears(&d, !caller, "UPDATE ", 50000); /* who is called wants to be refreshed */
		questions += hears(&d, caller, "OPTIONS ", 50000); /* who calls does not know the extension */
	}
	assert_true(updates);
	assert_true(questions);
	exchange(&d, caller, "BYE", 200, "", "", "");
	dialogue_end(&d);
	gate_close(g);
}

/* Out of order, too early, crossing: refused within the dialog. */
static void refused_within(struct gate *g, unsigned caller)
{
	struct dialogue d;
	unsigned callee = !caller;

	gate_open(g, "", "", 1, ROUTES);
	dialogue_begin(&d, g, caller);
	assert_true(answered(&d, caller));
	acknowledge(&d, caller, "");
	g->phase = "cseq-out-of-order";
	exchange(&d, caller, "INFO", 200, "", "", "");
	d.cseq[caller] -= 2;
	send_request(&d, caller, "INFO", payload(&d, caller, false, LINES_PER_MESSAGE), "", "");
	expect_status(&d, caller, 500, g->phase);
	d.cseq[caller] = 20;
	g->phase = "invite-in-progress";
	for (unsigned i = 0; i < 2; i++)
		send_request(&d, caller, "INVITE", payload(&d, caller, false, LINES_PER_MESSAGE), "application/sdp", SDP_OF(caller));
	expect_status(&d, caller, 500, g->phase);
	g->phase = "invite-glare";
	d.cseq[callee] = 30;
	send_request(&d, callee, "INVITE", payload(&d, callee, false, LINES_PER_MESSAGE), "application/sdp", SDP_OF(callee));
	expect_status(&d, callee, 491, g->phase);
	g->phase = "requests after the end";
	exchange(&d, callee, "BYE", 200, "", "", "");
	send_request(&d, caller, "BYE", payload(&d, caller, false, LINES_PER_MESSAGE), "", "");
	assert_true(hears(&d, caller, "SIP/2.0 200", 0));
	send_request(&d, caller, "INFO", payload(&d, caller, false, LINES_PER_MESSAGE), "", "");
	assert_true(hears(&d, caller, "SIP/2.0 481", 0));
	dialogue_end(&d);
	gate_close(g);
}

/* The first destination is given up and answers late; nobody else does. */
static void silent_destinations(struct gate *g)
{
	struct dialogue d;
	struct got late;

	gate_open(g, "", "", 1, ROUTES_TWO);
	g->phase = "failover leftovers";
	dialogue_begin(&d, g, A);
	send_request(&d, A, "INVITE", payload(&d, A, false, LINES_PER_MESSAGE), "application/sdp", SDP_OF(A));
	assert_true(take(&d, B));
	late = d.last[B];
	d.last[B] = (struct got){ .packet = NULL };
	rig_after(g->rig, 3000); /* Carol is asked, and silent too */
	while (take(&d, B))
		;
	got_free(&d.last[B]);
	d.last[B] = late;
	send_response(&d, B, 180, payload(&d, B, true, LINES_PER_MESSAGE), "", "");
	send_response(&d, B, 200, payload(&d, B, true, LINES_PER_MESSAGE), "application/sdp", SDP_OF(B));
	assert_true(hears(&d, B, "BYE ", 800));
	rig_after(g->rig, 60000);
	expect_status(&d, A, 408, "no-answer-from-destination");
	rig_forget(g->rig, CAROL);
	dialogue_end(&d);
	gate_close(g);
}

static void a_call_that_rings_too_long(struct gate *g)
{
	struct dialogue d;

	gate_open(g, "", "", 1, ROUTES_TWO);
	dialogue_begin(&d, g, A);
	assert_true(rings(&d, ""));
	g->phase = "answer-timeout";
	rig_after(g->rig, 6000);
	expect_status(&d, A, 408, g->phase);
	assert_true(hears(&d, B, "CANCEL ", 800));
	dialogue_end(&d);
	gate_close(g);
}

static void probes_and_limits(struct gate *g)
{
	struct dialogue d, other;

	g->phase = "probes";
	gate_open(g, "", "", 1, ROUTES_PROBED);
	dialogue_begin(&d, g, A);
	for (unsigned i = 0; i < 12; i++, rig_after(g->rig, 250))
		while (take(&d, B))
			send_response(&d, B, 200, payload(&d, B, true, LINES_PER_MESSAGE), "", "");
	assert_int_equal(d.last[B].v.method, M_OPTIONS);
	g->phase = "destinations-full";
	assert_true(rings(&d, ""));
	dialogue_begin(&other, g, A);
	send_request(&other, A, "INVITE", payload(&other, A, false, LINES_PER_MESSAGE), "", "");
	expect_status(&other, A, 503, g->phase);
	g->phase = "merged-request";
	d.cseq[A] = 0;
	keep(d.to[A], sizeof(d.to[0]), "<sip:bob@example.com>");
	keep(d.target[A], sizeof(d.target[0]), "sip:bob@example.com");
	d.number += 1000; /* another branch */
	send_request(&d, A, "INVITE", "", "", "");
	expect_status(&d, A, 482, g->phase);
	g->phase = "shutting-down";
	b2bua_close(g->rig->workers[0].calls);
	other.number += 1000;
	send_request(&other, A, "INVITE", "", "", "");
	expect_status(&other, A, 503, g->phase);
	dialogue_end(&other);
	dialogue_end(&d);
	rig_after(g->rig, 60000);
	rig_forget(g->rig, BOB);
	rig_forget(g->rig, ALICE);
	rig_free(g->rig, false); /* probes go on */
}

static void nothing_in_what_the_sbc_says_by_itself(void **state)
{
	struct gate g = { .seen = calloc(TOKENS, sizeof(struct token_seen)) };

	(void)state;
	assert_non_null(g.seen);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		for (unsigned side = 0; side < SIDES; side++)
			if (refused[i].sides & 1u << side)
				refused_by_us(&g, &refused[i], side);
	for (unsigned caller = 0; caller < SIDES; caller++) {
		a_call_nobody_acknowledges(&g, caller);
		for (unsigned how = 0; how < 3; how++)
			calls_ended_by_us(&g, caller, how);
		refused_within(&g, caller);
		questions_of_ours(&g, caller);
	}
	silent_destinations(&g);
	a_call_that_rings_too_long(&g);
	probes_and_limits(&g);
	print_gate(&g);
	assert_int_equal(g.leaks, 0);
	free(g.seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_one_side_on_the_other),
		cmocka_unit_test(nothing_in_what_the_sbc_says_by_itself),
	};

	setvbuf(stdout, NULL, _IONBF, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
