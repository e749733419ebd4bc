/* bench/streams.c - many clients, each with a connection of its own over TCP, TLS, WS or WSS: idle, registered, gone at once,
 * not reading, or slow in one of the phases of a connection. It reads what they shall do from standard input, one line each,
 * and answers each with one line of JSON. docs/bench.md. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "bench/link.h"
#include "bench/wire.h"

enum { EVENTS_MAX = 256,
       LINE_MAX_BYTES = 256,
       MESSAGE_MAX = 8192,
       PAD_MAX = 3000, /* of a request whose answer nobody reads */
       SLOW_RECEIVE_BUFFER = 2048,
       SHOWN_MAX = 3,
       UNDER_WAY_MAX = 500, /* a slow machine takes longer, and nothing else */
       MESSAGE_DRIP_MS = 1000,
       TURN_MS = 100 };

/* What a client that is slow has sent before it stops. */
enum phase {
	PHASE_SILENT,  /* nothing at all */
	PHASE_HELLO,   /* half a ClientHello */
	PHASE_UPGRADE, /* half an upgrade */
	PHASE_READY,   /* nothing behind handshake and upgrade */
	PHASE_DRIP,    /* then a message, a byte per second */
	PHASES
};
static const char *const phases[PHASES] = { "silent", "hello", "upgrade", "ready", "drip" };

struct client {
	struct link link;
	uint64_t begun_ns, next_ns; /* next_ns: of a request, or a byte */
	unsigned sent;              /* requests, or bytes of one */
	bool is_up, is_registered, is_deaf, has_stalled;
};

struct counts {
	unsigned long up, registered, failed, ended, pings, requests, refused, stalled;
	uint64_t first_ns, last_ns; /* how long the first and the last that was ended had been there */
};

enum job { IDLE,
	   OPENING,
	   HOLDING,
	   STALLING,
	   SLOW };

struct streams {
	int loop;
	struct link_to to, slow_to; /* slow_to: of those that stop before all is up */
	unsigned n, begun, expires_s, shown; /* n: clients of this job */
	bool registers, asks, has_input;
	struct client *client;
	enum job job;
	enum phase phase;
	unsigned rate, each, size;  /* clients a second; requests a second of each; clients there may be */
	uint64_t begun_ns, until_ns;
	struct counts counts;
	char input[LINE_MAX_BYTES];
	size_t input_len;
	char pad[PAD_MAX + 1];
};

/* Clients ------------------------------------------------------------------------------------------------------------ */

static unsigned index_of(const struct streams *s, const struct client *c)
{
	return (unsigned)(c - s->client);
}

static void client_watch(struct streams *s, struct client *c, int op)
{
	struct epoll_event watch = { .events = link_wants(&c->link), .data.ptr = c };

	if (epoll_ctl(s->loop, op, c->link.fd, &watch) < 0) {
		perror("bench-streams: epoll");
		exit(1);
	}
}

/* The other side has ended it, or it could not be made. */
static void client_gone(struct streams *s, struct client *c, uint64_t now)
{
	uint64_t age = now - c->begun_ns;

	if (s->job == OPENING && s->shown++ < SHOWN_MAX)
		fprintf(stderr, "bench-streams: client %u: %s (%s)\n", index_of(s, c), c->link.why, strerror(errno));
	s->counts.up -= c->is_up;
	s->counts.registered -= c->is_registered;
	if (c->is_up || s->job == SLOW)
		s->counts.ended++;
	else
		s->counts.failed++;
	c->is_up = c->is_registered = false;
	s->counts.first_ns = !s->counts.first_ns || age < s->counts.first_ns ? age : s->counts.first_ns;
	s->counts.last_ns = age > s->counts.last_ns ? age : s->counts.last_ns;
}

static bool client_open(struct streams *s, struct client *c, const struct link_to *to, uint64_t now)
{
	*c = (struct client){ .begun_ns = now, .next_ns = now };
	if (!link_open(&c->link, to, link_address(index_of(s, c)), s->job == STALLING ? SLOW_RECEIVE_BUFFER : 0)) {
		client_gone(s, c, now);
		return false;
	}
	client_watch(s, c, EPOLL_CTL_ADD);
	return true;
}

/* A request of its own AOR; a REGISTER bears a contact that may be pinged (RFC 5626). */
static size_t request_print(const struct streams *s, const struct client *c, const char *method, char *out, size_t size)
{
	struct in_addr self = link_address(index_of(s, c));
	const char *via = link_via(s->to.kind), *param = link_param(s->to.kind);
	unsigned i = index_of(s, c), cseq = c->sent + 1;
	bool is_one_of_many = s->job == STALLING;
	char host[INET_ADDRSTRLEN], contact[256] = "";

	inet_ntop(AF_INET, &self, host, sizeof(host));
	if (strcmp(method, "REGISTER") == 0)
		snprintf(contact, sizeof(contact),
		         "Contact: <sip:s@%s;transport=%s;ob>;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0001%08x>\"\r\n"
		         "Supported: path, outbound\r\nExpires: %u\r\n",
		         host, param, i, s->expires_s);
	return (size_t)snprintf(out, size,
	                        "%s sip:example.com SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bKs%08x%08x;rport;x=%.*s\r\n"
	                        "Max-Forwards: 70\r\nFrom: <sip:s%08x@example.com>;tag=%08x\r\nTo: <sip:s%08x@example.com>\r\n"
	                        "Call-ID: stream%08x%08x\r\nCSeq: %u %s\r\n%sContent-Length: 0\r\n\r\n",
	                        method, via, host, i, cseq, is_one_of_many ? PAD_MAX : 1, s->pad, i, i, i, i,
	                        is_one_of_many ? cseq : 0, cseq, method, contact);
}

static void client_is_up(struct streams *s, struct client *c, uint64_t now)
{
	char text[MESSAGE_MAX];

	c->is_up = true;
	s->counts.up++;
	c->next_ns = now;
	if (s->job == STALLING) { /* from now on it is not even looked at */
		epoll_ctl(s->loop, EPOLL_CTL_DEL, c->link.fd, NULL);
		c->is_deaf = true;
	} else if ((s->registers || s->asks) && s->job == OPENING) {
		size_t n = request_print(s, c, s->registers ? "REGISTER" : "OPTIONS", text, sizeof(text));

		if (!link_send(&c->link, (struct sv){ text, n }))
			client_gone(s, c, now);
	}
}

static void client_reads(struct streams *s, struct client *c)
{
	unsigned long pings = c->link.pings;
	struct sv m;

	while (link_next(&c->link, &m)) {
		if (c->is_registered || !s->registers || m.len < 12)
			continue;
		if (memcmp(m.p, "SIP/2.0 200", 11) == 0) {
			c->is_registered = true;
			s->counts.registered++;
		} else if (memcmp(m.p, "SIP/2.0 1", 9) != 0) {
			s->counts.refused++;
			if (s->shown++ < SHOWN_MAX)
				fprintf(stderr, "bench-streams: refused: %.*s\n", (int)(m.len < 300 ? m.len : 300), m.p);
		}
	}
	s->counts.pings += c->link.pings - pings;
}

static void client_ready(struct streams *s, struct client *c, uint64_t now)
{
	if (c->link.state == LINK_GONE)
		return;
	if (!link_step(&c->link)) {
		client_gone(s, c, now);
		return;
	}
	if (c->link.state == LINK_UP && !c->is_up)
		client_is_up(s, c, now);
	if (c->is_deaf)
		return;
	if (c->link.state == LINK_UP)
		client_reads(s, c);
	if (c->link.state != LINK_GONE)
		client_watch(s, c, EPOLL_CTL_MOD);
}

/* Jobs --------------------------------------------------------------------------------------------------------------- */

static unsigned long under_way(const struct streams *s)
{
	return s->begun - s->counts.up - s->counts.failed - s->counts.ended;
}

static bool is_due(const struct streams *s, uint64_t now)
{
	return s->begun < s->n && under_way(s) < UNDER_WAY_MAX && s->begun_ns + (uint64_t)s->begun * 1000000000ull / s->rate <= now;
}

static void open_due(struct streams *s, const struct link_to *to, uint64_t now)
{
	for (; is_due(s, now); s->begun++)
		client_open(s, &s->client[s->begun], to, now);
}

static bool opening(struct streams *s, uint64_t now)
{
	unsigned long done = s->counts.failed + s->counts.ended + s->counts.refused;

	open_due(s, &s->to, now);
	return s->begun == s->n && done + (s->registers ? s->counts.registered : s->counts.up) >= s->n;
}

/* Requests on and on, and what comes back stays in the kernel. Its own side full, it waits for room. */
static void client_floods(struct streams *s, struct client *c, uint64_t now)
{
	char text[MESSAGE_MAX];

	while (c->link.state == LINK_UP && c->next_ns <= now) {
		size_t n = request_print(s, c, "OPTIONS", text, sizeof(text));
		int waiting = 0;

		if (!link_push(&c->link)) {
			client_gone(s, c, now);
			return;
		}
		if (c->link.out.len || (ioctl(c->link.fd, TIOCOUTQ, &waiting) == 0 && waiting > MESSAGE_MAX)) {
			s->counts.stalled += !c->has_stalled;
			c->has_stalled = true;
			c->next_ns = now + 1000000000ull / s->each;
			return;
		}
		if (!link_send(&c->link, (struct sv){ text, n })) {
			client_gone(s, c, now);
			return;
		}
		s->counts.requests++;
		c->sent++;
		c->next_ns += 1000000000ull / s->each;
	}
}

static void stalling(struct streams *s, uint64_t now)
{
	open_due(s, &s->to, now);
	for (unsigned i = 0; i < s->begun; i++)
		if (s->client[i].is_up)
			client_floods(s, &s->client[i], now);
}

/* What a plain connection sends before it falls silent. */
static struct sv half_of(enum phase phase)
{
	/* record and handshake heads promise more than comes: RFC 8446 §5.1, §4 */
	static const char hello[] = { 0x16, 0x03, 0x01, 0x01, 0x00, 0x01, 0x00, 0x00, (char)0xfc, 0x03, 0x03 };

	if (phase == PHASE_HELLO)
		return (struct sv){ hello, sizeof(hello) };
	return phase == PHASE_UPGRADE ? SV("GET /sip HTTP/1.1\r\nHost: example.com\r\nUpgrade: webs") : (struct sv){ 0 };
}

static void client_drips(struct streams *s, struct client *c, uint64_t now)
{
	char text[MESSAGE_MAX];
	size_t n;

	if (c->next_ns > now || c->link.state != LINK_UP)
		return;
	c->next_ns = now + MESSAGE_DRIP_MS * 1000000ull;
	if (s->phase != PHASE_DRIP) {
		struct sv half = c->sent++ ? (struct sv){ 0 } : half_of(s->phase);

		if (half.len && !link_send(&c->link, half))
			client_gone(s, c, now);
		return;
	}
	n = request_print(s, &s->client[0], "OPTIONS", text, sizeof(text)); /* all the same: bytes are counted, not requests */
	if (c->sent < n && !link_send(&c->link, (struct sv){ text + c->sent++, 1 }))
		client_gone(s, c, now);
}

static bool slow(struct streams *s, uint64_t now)
{
	open_due(s, &s->slow_to, now);
	for (unsigned i = 0; i < s->begun; i++)
		client_drips(s, &s->client[i], now);
	return s->begun == s->n && s->counts.ended + s->counts.failed >= s->n;
}

static void vanish(struct streams *s, bool is_reset)
{
	for (unsigned i = 0; i < s->begun; i++) {
		if (s->client[i].link.state != LINK_GONE)
			link_close(&s->client[i].link, is_reset);
	}
	s->begun = s->n = 0;
}

static void report(struct streams *s, bool is_good)
{
	const struct counts *n = &s->counts;

	printf("{\"good\":%s,\"up\":%lu,\"registered\":%lu,\"failed\":%lu,\"refused\":%lu,\"ended\":%lu,\"pings\":%lu,\"requests\":%lu,"
	       "\"stalled\":%lu,\"first_ended_s\":%.1f,\"last_ended_s\":%.1f,\"seconds\":%.2f}\n",
	       is_good ? "true" : "false", n->up, n->registered, n->failed, n->refused, n->ended, n->pings, n->requests, n->stalled,
	       (double)n->first_ns / 1e9, (double)n->last_ns / 1e9, (double)(clock_ns() - s->begun_ns) / 1e9);
	fflush(stdout);
}

static void job_ends(struct streams *s)
{
	const struct counts *n = &s->counts;
	bool is_good = !n->failed && !n->refused;

	if (s->job == OPENING || s->job == HOLDING)
		is_good = is_good && !n->ended;
	else if (s->job == SLOW)
		is_good = n->ended == s->n;
	report(s, is_good);
	if (s->job == STALLING || s->job == SLOW)
		vanish(s, true);
	s->job = IDLE;
}

static void tick(struct streams *s, uint64_t now)
{
	bool is_done = s->until_ns && now >= s->until_ns;

	switch (s->job) {
	case OPENING: is_done |= opening(s, now); break;
	case SLOW: is_done |= slow(s, now); break;
	case STALLING: stalling(s, now); break;
	default: break;
	}
	if (s->job != IDLE && is_done)
		job_ends(s);
}

/* Commands ----------------------------------------------------------------------------------------------------------- */

static void job_begins(struct streams *s, enum job job, unsigned n, unsigned rate, unsigned seconds)
{
	unsigned long up = s->counts.up, registered = s->counts.registered;

	s->begun_ns = clock_ns();
	s->until_ns = seconds ? s->begun_ns + seconds * 1000000000ull : 0;
	s->counts = (struct counts){ 0 };
	s->job = job;
	s->shown = 0;
	if (job == HOLDING) {
		s->counts.up = up;
		s->counts.registered = registered;
		return;
	}
	vanish(s, true);
	s->n = n;
	s->rate = rate;
}

/* Where those that are slow on purpose take over from the link. */
static void slow_begins(struct streams *s, enum phase phase)
{
	s->phase = phase;
	s->slow_to = s->to;
	s->slow_to.says_proxy = s->to.says_proxy && phase != PHASE_SILENT;
	if (phase < PHASE_UPGRADE)
		s->slow_to.kind = LINK_TCP;
	else if (phase == PHASE_UPGRADE)
		s->slow_to.kind = link_has_tls(s->to.kind) ? LINK_TLS : LINK_TCP;
}

static enum phase phase_parse(const char *name)
{
	enum phase p = 0;

	while (p < PHASES && strcmp(phases[p], name) != 0)
		p++;
	return p;
}

static void command(struct streams *s, const char *line)
{
	unsigned a = 0, b = 0, c = 0, d = 0;
	char word[16] = "";

	if (sscanf(line, "open %u %u %u", &a, &b, &c) >= 2 && a && a <= s->size && b) {
		job_begins(s, OPENING, a, b, c);
	} else if (sscanf(line, "hold %u", &a) == 1 && a) {
		job_begins(s, HOLDING, 0, 0, a);
	} else if (sscanf(line, "vanish %15s", word) == 1 && (strcmp(word, "reset") == 0 || strcmp(word, "fin") == 0)) {
		vanish(s, word[0] == 'r');
		s->counts = (struct counts){ 0 };
		report(s, true);
	} else if (sscanf(line, "stall %u %u %u %u", &a, &b, &c, &d) == 4 && a && a <= s->size && b && c && d) {
		job_begins(s, STALLING, a, b, d);
		s->each = c;
	} else if (sscanf(line, "slow %15s %u %u", word, &a, &c) == 3 && a && a <= s->size && c && phase_parse(word) < PHASES) {
		job_begins(s, SLOW, a, 1000, c);
		slow_begins(s, phase_parse(word));
	} else {
		printf("{\"error\":\"command\",\"good\":false}\n");
		fflush(stdout);
	}
}

static void input_next(struct streams *s)
{
	char *lf = memchr(s->input, '\n', s->input_len), line[LINE_MAX_BYTES];
	size_t len;

	if (!lf)
		return;
	len = (size_t)(lf - s->input);
	memcpy(line, s->input, len);
	line[len] = '\0';
	memmove(s->input, lf + 1, s->input_len -= len + 1);
	command(s, line);
}

static void input_read(struct streams *s)
{
	ssize_t n = read(STDIN_FILENO, s->input + s->input_len, sizeof(s->input) - s->input_len);

	if (n > 0) {
		s->input_len += (size_t)n;
		return;
	}
	s->has_input = false;
	epoll_ctl(s->loop, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

static int next_wait_ms(const struct streams *s)
{
	if (s->job == IDLE)
		return s->input_len ? 0 : TURN_MS;
	return s->job == HOLDING ? TURN_MS : 1;
}

static void turn(struct streams *s)
{
	struct epoll_event ready[EVENTS_MAX];
	int n = epoll_wait(s->loop, ready, EVENTS_MAX, next_wait_ms(s));
	uint64_t now = clock_ns();

	for (int i = 0; i < n; i++) {
		if (ready[i].data.ptr)
			client_ready(s, ready[i].data.ptr, now);
		else
			input_read(s);
	}
	tick(s, now);
	if (s->job == IDLE)
		input_next(s);
}

static int usage(void)
{
	fputs("usage: bench-streams -t ADDRESS:PORT [-k tcp|tls|ws|wss] [-P PATH] [-N NAME] [-n CLIENTS_MAX]\n"
	      "                     [-r | -o] [-e EXPIRES_S] [-X]\n"
	      "       reads from standard input:\n"
	      "         open N RATE [SECONDS]          N clients, RATE of them a second; done when all are up\n"
	      "         hold SECONDS                   they stay, answer pings, and are looked at\n"
	      "         vanish reset|fin               all at once\n"
	      "         stall N RATE EACH SECONDS      N that send EACH OPTIONS a second and read nothing\n"
	      "         slow silent|hello|upgrade|ready|drip N SECONDS\n"
	      "                                        N that stop there; done when the other side has ended them all\n"
	      "  -r  each registers once it is up (of example.com)\n"
	      "  -o  each asks once (OPTIONS) when it is up: who says nothing for half a minute may be ended\n"
	      "  -N  name for SNI and Host\n"
	      "  -X  each begins with a PROXY header, and says it comes from 198.18.0.0/15\n"
	      "  Each has an address of its own in 127.96.0.0/11.\n",
	      stderr);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	struct streams s = { .to = { .kind = LINK_TCP, .path = "/" }, .size = 10000, .expires_s = 3600, .has_input = true };
	struct epoll_event watch = { .events = EPOLLIN };
	bool is_good = true;

	for (int opt; is_good && (opt = getopt_long(argc, argv, "t:k:P:N:n:roe:Xh", options, NULL)) != -1;) {
		switch (opt) {
		case 't': is_good = wire_address(&s.to.target, optarg) == 0; break;
		case 'k': is_good = (s.to.kind = link_kind(optarg)) != LINK_NONE; break;
		case 'P': s.to.path = optarg; break;
		case 'N': s.to.name = optarg; break;
		case 'n': s.size = (unsigned)atoi(optarg); break;
		case 'r': s.registers = true; break;
		case 'o': s.asks = true; break;
		case 'X': s.to.says_proxy = true; break;
		case 'e': s.expires_s = (unsigned)atoi(optarg); break;
		default: is_good = false;
		}
	}
	if (!is_good || !s.to.target.sin_port || !s.size || s.size > 100000)
		return usage();
	memset(s.pad, 'x', PAD_MAX);
	link_raise_limit();
	s.loop = epoll_create1(EPOLL_CLOEXEC);
	if (!(s.client = calloc(s.size, sizeof(*s.client))) || !link_to_init(&s.to)) {
		fputs("bench-streams: no memory, or no TLS\n", stderr);
		return 1;
	}
	if (epoll_ctl(s.loop, EPOLL_CTL_ADD, STDIN_FILENO, &watch) < 0)
		s.has_input = false;
	while (s.has_input || s.job != IDLE || s.input_len)
		turn(&s);
	vanish(&s, true);
	SSL_CTX_free(s.to.tls);
	free(s.client);
	return 0;
}
