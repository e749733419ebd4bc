/* bench/registrants.c - clients that register, and stay: thousands to a million of them on one socket, each with an AOR, a Call-ID and, if
 * wanted, an address of its own; others each on a connection (flows.c). Reads what to do from standard input, says what came of it in one
 * line of JSON each.
 *
 *   register RATE [COUNT]   the first COUNT clients (all) send a REGISTER each, so many a second, and repeat it by the timers of RFC 3261;
 *                           who is told to (503, Retry-After) comes again then. Ends when each has got its answer.
 *   connect RATE            so many a second of those with a connection open it and register there
 *   stay SECONDS            pings (OPTIONS, or CRLFs on connections) are answered, and counted by slots of 100 ms
 *
 * Pings are answered at other times, too. docs/bench.md. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "bench/flows.h"
#include "bench/msg.h"

enum { T1_MS = 500,
       TRIES_MAX = 10, /* 500, 1000, 2000, then 4000 ms: 31.5 s and the last wait, near enough to 64*T1 */
       RETRY_AFTER_MAX = 600,
       MESSAGE_MAX = 2048,
       NONCE_MAX = 128,
       SLOT_MS = 100,
       SLOTS_MAX = 6000,
       EVENTS_MAX = 16,
       LINE_MAX_BYTES = 256,
       SHOWN_MAX = 5 };

enum client_state { IDLE,
	            ASKING,
	            WAITING, /* for its Retry-After */
	            REGISTERED,
	            FAILED };

struct client {
	struct delayed timer;
	char *nonce; /* of the last challenge; kept, so that refreshes are not challenged */
	uint32_t cseq, nonce_count;
	uint8_t state, tries, challenges;
};

struct counts {
	unsigned long registered, failed, told_to_wait, challenged, sent_again, received_again, strays;
};

struct registrants {
	int loop;
	struct flows *flows;
	bool is_connecting;
	struct wire *wire, *answers; /* `answers`: where REGISTERs that come through the relay are answered */
	struct sockaddr_in target;
	struct client *client;
	unsigned n_clients, expires_s, window;
	const char *password;
	bool is_busy, has_input;
	/* the run in progress */
	unsigned count, begun, pending, rate, asking;
	uint64_t begun_ns, ended_ns, stay_until_ns;
	struct backoff again;
	struct delay later[RETRY_AFTER_MAX + 1];
	unsigned later_max; /* the longest in use */
	struct counts counts;
	unsigned slot[SLOTS_MAX];
	unsigned long shown;
	char input[LINE_MAX_BYTES];
	size_t input_len;
};

/* Digest (RFC 7616) -------------------------------------------------------------------------------------------------- */

static void digest_hex(const EVP_MD *md, const char *text, char out[65])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	EVP_Digest(text, strlen(text), raw, &n, md, NULL);
	for (unsigned i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

/* The value of `name="` in a challenge, as a string; empty when it is not there. */
static void challenge_part(struct sv challenge, const char *name, char *out, size_t size)
{
	const char *p = memmem(challenge.p, challenge.len, name, strlen(name)), *end = NULL;

	if (p) {
		p += strlen(name);
		end = memchr(p, '"', (size_t)(challenge.p + challenge.len - p));
	}
	snprintf(out, size, "%.*s", end ? (int)(end - p) : 0, p);
}

static void add_authorization(struct text *t, struct client *c, const char *user, const char *password)
{
	const EVP_MD *md = c->nonce[0] == 'M' ? EVP_md5() : EVP_sha256(); /* see challenged */
	char text[512], ha1[65], ha2[65], response[65], realm[64], *nonce = c->nonce + 1, *bar = strchr(nonce, '|');

	snprintf(realm, sizeof(realm), "%.*s", (int)(bar - nonce), nonce);
	nonce = bar + 1;
	snprintf(text, sizeof(text), "%s:%s:%s", user, realm, password);
	digest_hex(md, text, ha1);
	digest_hex(md, "REGISTER:sip:example.com", ha2);
	snprintf(text, sizeof(text), "%s:%s:%08x:0a4f113b:auth:%s", ha1, nonce, ++c->nonce_count, ha2);
	digest_hex(md, text, response);
	snprintf(text, sizeof(text),
	         "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"sip:example.com\", response=\"%s\", "
	         "algorithm=%s, "
	         "cnonce=\"0a4f113b\", qop=auth, nc=%08x\r\n",
	         user, realm, nonce, response, c->nonce[0] == 'M' ? "MD5" : "SHA-256", c->nonce_count);
	text_str(t, text);
}

/* Keeps what an answer needs: the algorithm's letter, realm, bar, nonce. The first challenge counts: a server's best. */
static bool challenged(struct client *c, struct sv challenge)
{
	char realm[64], nonce[NONCE_MAX], all[256];
	bool is_md5 = !memmem(challenge.p, challenge.len, "SHA-256", 7);

	challenge_part(challenge, "realm=\"", realm, sizeof(realm));
	challenge_part(challenge, " nonce=\"", nonce, sizeof(nonce));
	if (!*nonce)
		challenge_part(challenge, ",nonce=\"", nonce, sizeof(nonce));
	snprintf(all, sizeof(all), "%c%s|%s", is_md5 ? 'M' : 'S', realm, nonce);
	free(c->nonce);
	c->nonce = *nonce ? strdup(all) : NULL;
	c->nonce_count = 0;
	return c->nonce && c->challenges++ < 2;
}

/* Clients ------------------------------------------------------------------------------------------------------------ */

static struct in_addr address_of(const struct registrants *r, unsigned i)
{
	return (struct in_addr){ htonl(r->wire->is_spread ? (127u << 24 | 64u << 16) + 1 + i : INADDR_LOOPBACK) };
}

static void client_send(struct registrants *r, unsigned i)
{
	struct client *c = &r->client[i];
	struct text t = { wire_next(r->wire), 0, MESSAGE_MAX };
	char text[MESSAGE_MAX], host[INET_ADDRSTRLEN], user[16];
	struct in_addr self = address_of(r, i);
	unsigned port = ntohs(r->wire->local.sin_port);

	inet_ntop(AF_INET, &self, host, sizeof(host));
	snprintf(user, sizeof(user), "u%08x", i);
	snprintf(text, sizeof(text),
	         "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bK%08x%08x%02x;rport\r\nMax-Forwards: 70\r\n"
	         "From: <sip:%s@example.com>;tag=%08x\r\nTo: <sip:%s@example.com>\r\nCall-ID: rg%08x@registrants\r\nCSeq: %u REGISTER\r\n"
	         "Contact: <sip:%s@%s:%u>\r\nExpires: %u\r\nUser-Agent: registrants\r\n",
	         host, port, i, c->cseq, c->challenges, user, i * 2654435761u, user, i, c->cseq, user, host, port, r->expires_s);
	text_str(&t, text);
	if (c->nonce)
		add_authorization(&t, c, user, r->password);
	text_str(&t, "Content-Length: 0\r\n\r\n");
	if (r->wire->is_spread)
		wire_send_as(r->wire, t.len, &r->target, self);
	else
		wire_send(r->wire, t.len, &r->target);
}

static void client_asks(struct registrants *r, unsigned i, uint64_t now)
{
	struct client *c = &r->client[i];

	r->asking += c->state != ASKING;
	c->cseq++;
	c->tries = 0;
	c->state = ASKING;
	client_send(r, i);
	backoff_arm(&r->again, &c->timer, 0, now);
}

static void client_done(struct registrants *r, struct client *c, enum client_state state, uint64_t now)
{
	list_del(&c->timer.in_delay);
	list_init(&c->timer.in_delay);
	r->asking--;
	c->state = (uint8_t)state;
	if (state == REGISTERED)
		r->counts.registered++;
	else
		r->counts.failed++;
	r->pending--;
	r->ended_ns = now;
}

static void client_waits(struct registrants *r, struct client *c, unsigned long seconds, uint64_t now)
{
	if (!seconds || seconds > RETRY_AFTER_MAX) {
		client_done(r, c, FAILED, now);
		return;
	}
	r->counts.told_to_wait++;
	r->later_max = seconds > r->later_max ? (unsigned)seconds : r->later_max;
	r->asking--;
	c->state = WAITING;
	delay_arm(&r->later[seconds], &c->timer, now);
}

/* The rest of the line that begins with `name` ("\r\nRetry-After: "). */
static struct sv line_of(struct sv bytes, const char *name)
{
	const char *p = memmem(bytes.p, bytes.len, name, strlen(name)), *end;

	if (!p)
		return (struct sv){ 0 };
	p += strlen(name);
	end = memchr(p, '\r', (size_t)(bytes.p + bytes.len - p));
	return end ? sv_span(p, end) : (struct sv){ 0 };
}

static void show(struct registrants *r, const char *what, struct sv bytes)
{
	if (r->shown++ < SHOWN_MAX)
		fprintf(stderr, "bench-registrants: %s: %.*s\n", what, (int)(bytes.len < 400 ? bytes.len : 400), bytes.p);
}

static void on_response(struct registrants *r, const struct msg *m, struct sv bytes, uint64_t now)
{
	struct sv call_id = msg_value(m->call_id), challenge = line_of(bytes, "\r\nWWW-Authenticate: ");
	unsigned long cseq = strtoul(msg_value(m->cseq).p, NULL, 10);
	unsigned i = call_id.len > 10 && call_id.p[0] == 'r' ? hex_value(call_id.p + 2) : UINT32_MAX;
	struct client *c = i < r->n_clients ? &r->client[i] : NULL;

	if (!c || m->status < 200) {
		r->counts.strays += !c;
		return;
	}
	if (c->state != ASKING || cseq != c->cseq) {
		r->counts.received_again++;
		return;
	}
	if (m->status == 200) {
		c->challenges = 0;
		client_done(r, c, REGISTERED, now);
	} else if (m->status == 401 && r->password && challenged(c, challenge)) {
		r->counts.challenged++;
		client_asks(r, i, now);
	} else if (m->status == 503) {
		client_waits(r, c, strtoul(line_of(bytes, "\r\nRetry-After: ").p ?: "0", NULL, 10), now);
	} else {
		show(r, "refused", bytes);
		client_done(r, c, FAILED, now);
	}
}

/* Answers ------------------------------------------------------------------------------------------------------------ */

static void answer(struct wire *w, unsigned at, const struct msg *m, const char *more)
{
	struct text t = { wire_next(w), 0, MESSAGE_MAX };

	text_str(&t, "SIP/2.0 200 OK\r\n");
	for (unsigned i = 0; i < m->n_via; i++)
		text_add(&t, m->via[i]);
	text_add(&t, m->from);
	text_add(&t, (struct sv){ m->to.p, m->to.len - 2 });
	text_str(&t, ";tag=registrants\r\n");
	text_add(&t, m->call_id);
	text_add(&t, m->cseq);
	if (*more && m->contact.len) {
		text_str(&t, "Contact: <");
		text_add(&t, m->contact);
		text_str(&t, more);
	}
	text_str(&t, "Content-Length: 0\r\n\r\n");
	if (w->is_spread)
		wire_send_as(w, t.len, &w->in.peer[at], wire_arrived_at(w, at));
	else
		wire_send(w, t.len, &w->in.peer[at]);
}

static void count_pings(struct registrants *r, unsigned n, uint64_t now)
{
	uint64_t slot = (now - r->begun_ns) / (SLOT_MS * 1000000ull);

	if (r->stay_until_ns && slot < SLOTS_MAX)
		r->slot[slot] += n;
}

static void receive(struct registrants *r, struct wire *w)
{
	uint64_t now = clock_ns();
	struct msg m;

	while (wire_receive(w)) {
		for (unsigned i = 0; i < w->in.n; i++) {
			struct sv bytes = { w->in.bytes[i], w->in.head[i].msg_len };

			if (!msg_scan(&m, bytes)) {
				count_pings(r, 1, now); /* CRLFs, or nothing at all */
			} else if (m.status) {
				on_response(r, &m, bytes, now);
			} else if (w == r->answers) {
				answer(w, i, &m, ">;expires=3600\r\n");
			} else {
				count_pings(r, 1, now);
				answer(w, i, &m, "");
			}
		}
		if (w->in.n < WIRE_BATCH)
			break;
	}
	wire_flush(w);
}

/* Runs --------------------------------------------------------------------------------------------------------------- */

static uint64_t start_of(const struct registrants *r, unsigned i)
{
	return r->begun_ns + (uint64_t)i * 1000000000ull / r->rate;
}

static void client_repeats(struct registrants *r, struct client *c, uint64_t now)
{
	if (++c->tries > TRIES_MAX) {
		client_done(r, c, FAILED, now);
		return;
	}
	r->counts.sent_again++;
	client_send(r, (unsigned)(c - r->client));
	backoff_arm(&r->again, &c->timer, c->tries, now);
}

/* Does what is due; the time of the next. */
static uint64_t registering(struct registrants *r, uint64_t now)
{
	uint64_t next = backoff_next(&r->again), at;
	struct delayed *t;

	for (; r->begun < r->count && start_of(r, r->begun) <= now && r->asking < r->window; r->begun++)
		client_asks(r, r->begun, now);
	while ((t = backoff_due(&r->again, now)))
		client_repeats(r, owner_of(t, struct client, timer), now);
	for (unsigned i = 1; i <= r->later_max; i++) {
		while ((t = delay_due(&r->later[i], now)))
			client_asks(r, (unsigned)(owner_of(t, struct client, timer) - r->client), now);
		at = delay_next(&r->later[i]);
		next = at < next ? at : next;
	}
	at = r->begun < r->count && r->asking < r->window ? start_of(r, r->begun) : UINT64_MAX;
	return at < next ? at : next;
}

static void register_report(const struct registrants *r)
{
	const struct counts *n = &r->counts;
	double seconds = (double)(r->ended_ns - r->begun_ns) / 1e9;

	printf("{\"good\":%s,\"clients\":%u,\"registered\":%lu,\"failed\":%lu,\"told_to_wait\":%lu,\"challenged\":%lu,\"sent_again\":%lu,"
	       "\"received_again\":%lu,\"strays\":%lu,\"seconds\":%.2f}\n",
	       n->registered == r->count && !n->failed && !n->strays ? "true" : "false", r->count, n->registered, n->failed,
	       n->told_to_wait,
	       n->challenged, n->sent_again, n->received_again, n->strays, seconds);
	fflush(stdout);
}

static void stay_report(struct registrants *r)
{
	unsigned n = (unsigned)((r->stay_until_ns - r->begun_ns) / (SLOT_MS * 1000000ull)), most = 0;
	unsigned long sum = 0;

	for (unsigned i = 0; i < n && i < SLOTS_MAX; i++) {
		sum += r->slot[i];
		most = r->slot[i] > most ? r->slot[i] : most;
	}
	printf("{\"good\":%s,\"pings\":%lu,\"slots\":%u,\"mean\":%.1f,\"most\":%u,\"most_over_mean\":%.2f}\n",
	       sum ? "true" : "false", sum, n,
	       (double)sum / n, most, sum ? most * (double)n / (double)sum : 0.);
	fflush(stdout);
}

static void connect_report(const struct registrants *r)
{
	struct flows_counts n = flows_counts(r->flows);

	printf("{\"good\":%s,\"registered\":%lu,\"failed\":%lu,\"seconds\":%.2f}\n", n.failed ? "false" : "true", n.registered, n.failed,
	       (double)(n.ended_ns - r->begun_ns) / 1e9);
	fflush(stdout);
}

static bool is_running(const struct registrants *r)
{
	return r->count || r->is_connecting || r->stay_until_ns;
}

static void run_begin(struct registrants *r, const char *line)
{
	unsigned a = 0, b = r->n_clients;

	r->begun_ns = r->ended_ns = clock_ns();
	if (sscanf(line, "register %u %u", &a, &b) >= 1 && a && b && b <= r->n_clients) {
		r->counts = (struct counts){ 0 };
		r->rate = a;
		r->count = r->pending = b;
		r->begun = 0;
	} else if (sscanf(line, "connect %u", &a) == 1 && a && r->flows) {
		flows_begin(r->flows, a, r->begun_ns);
		r->is_connecting = true;
	} else if (sscanf(line, "stay %u", &a) == 1 && a && a * 1000ull <= (uint64_t)SLOTS_MAX * SLOT_MS) {
		memset(r->slot, 0, sizeof(r->slot));
		r->stay_until_ns = r->begun_ns + a * 1000000000ull;
	} else {
		printf("{\"error\":\"%s\",\"good\":false}\n", line);
		fflush(stdout);
	}
}

static void input_next(struct registrants *r)
{
	char *lf = memchr(r->input, '\n', r->input_len), line[LINE_MAX_BYTES];
	size_t len;

	if (!lf)
		return;
	len = (size_t)(lf - r->input);
	memcpy(line, r->input, len);
	line[len] = '\0';
	memmove(r->input, lf + 1, r->input_len -= len + 1);
	run_begin(r, line);
}

static void input_read(struct registrants *r)
{
	ssize_t n = read(STDIN_FILENO, r->input + r->input_len, sizeof(r->input) - r->input_len);

	if (n > 0) {
		r->input_len += (size_t)n;
		return;
	}
	r->has_input = false;
	epoll_ctl(r->loop, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

/* Does what is due, ends what is over; nanoseconds until the next. */
static uint64_t tick(struct registrants *r)
{
	uint64_t now = clock_ns(), next = UINT64_MAX;

	if (r->count && (next = registering(r, now), r->pending == 0)) {
		register_report(r);
		r->count = 0;
	} else if (r->is_connecting && (next = flows_tick(r->flows, now), flows_are_up(r->flows))) {
		connect_report(r);
		r->is_connecting = false;
	} else if (r->stay_until_ns) {
		next = r->stay_until_ns;
		if (now >= next) {
			stay_report(r);
			r->stay_until_ns = 0;
		}
	}
	wire_flush(r->wire);
	if (!is_running(r)) {
		input_next(r);
		if (is_running(r))
			return 0;
	}
	now = clock_ns();
	return r->is_busy && is_running(r) ? 0 : next == UINT64_MAX ? 100000000 : next > now ? next - now : 0;
}

static void turn(struct registrants *r)
{
	struct epoll_event ready[EVENTS_MAX];
	uint64_t ns = tick(r);
	struct timespec wait = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	int n = epoll_pwait2(r->loop, ready, EVENTS_MAX, &wait, NULL);

	for (int i = 0; i < n; i++) {
		if (ready[i].data.ptr && ready[i].data.ptr == r->flows)
			count_pings(r, flows_receive(r->flows, clock_ns()), clock_ns());
		else if (ready[i].data.ptr)
			receive(r, ready[i].data.ptr);
		else
			input_read(r);
	}
}

/* A file of them all for the registrar. */
static int print_users(unsigned n, const char *password)
{
	char text[128], ha1[65];

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "u%08x:example.com:%s", i, password);
		digest_hex(EVP_sha256(), text, ha1);
		printf("u%08x:example.com:%s\n", i, ha1);
	}
	return 0;
}

/* Start -------------------------------------------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: bench-registrants -t TARGET [-n CLIENTS] [-e EXPIRES_S] [-p PASSWORD] [-l ADDRESS] [-w WINDOW] [-f FLOWS] [-s] [-b]\n"
	      "       reads from standard input: register RATE [COUNT]; connect RATE; stay SECONDS\n"
	      "       bench-registrants users N PASSWORD\n"
	      "  -l  answers REGISTERs there with 200 (behind the relay)\n"
	      "  -w  so many at most wait for their answer; who comes then begins later\n"
	      "  -f  so many clients more, each with a connection of its own\n"
	      "  -s  each client has an address of its own in 127.64.0.0/10\n"
	      "  -b  polls without sleeping during a run\n",
	      stderr);
	return 1;
}

static struct wire *wire_open(struct registrants *r, const struct sockaddr_in *local)
{
	struct wire *w = wire_new(local);
	struct epoll_event watch = { .events = EPOLLIN, .data.ptr = w };

	if (!w || epoll_ctl(r->loop, EPOLL_CTL_ADD, w->fd, &watch) < 0) {
		fprintf(stderr, "bench-registrants: port %u: %s\n", ntohs(local->sin_port), strerror(errno));
		exit(1);
	}
	return w;
}

static bool flows_open(struct registrants *r, unsigned n)
{
	struct epoll_event watch = { .events = EPOLLIN };

	if (!(watch.data.ptr = r->flows = flows_new(&r->target, n, r->expires_s)))
		return false;
	return epoll_ctl(r->loop, EPOLL_CTL_ADD, flows_fd(r->flows), &watch) == 0;
}

static bool timers_init(struct registrants *r)
{
	backoff_init(&r->again, T1_MS);
	for (unsigned i = 0; i <= RETRY_AFTER_MAX; i++)
		delay_init(&r->later[i], i * 1000000000ull);
	if (!(r->client = calloc(r->n_clients, sizeof(*r->client))))
		return false;
	for (unsigned i = 0; i < r->n_clients; i++)
		list_init(&r->client[i].timer.in_delay);
	return true;
}

int main(int argc, char **argv)
{
	struct registrants *r = calloc(1, sizeof(*r));
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, answers = { 0 };
	struct epoll_event watch = { .events = EPOLLIN };
	unsigned n_flows = 0;
	bool is_spread = false, is_good = r != NULL;

	if (!r)
		return 1;
	if (argc == 4 && strcmp(argv[1], "users") == 0)
		return print_users((unsigned)atoi(argv[2]), argv[3]);
	r->n_clients = 10000;
	r->expires_s = 3600;
	r->window = UINT32_MAX;
	for (int opt; is_good && (opt = getopt(argc, argv, "t:n:e:p:l:w:f:sb")) != -1;) {
		switch (opt) {
		case 't': is_good = wire_address(&r->target, optarg) == 0; break;
		case 'n': r->n_clients = (unsigned)atoi(optarg); break;
		case 'e': r->expires_s = (unsigned)atoi(optarg); break;
		case 'p': r->password = optarg; break;
		case 'l': is_good = wire_address(&answers, optarg) == 0; break;
		case 'w': r->window = (unsigned)atoi(optarg); break;
		case 'f': n_flows = (unsigned)atoi(optarg); break;
		case 's': is_spread = true; break;
		case 'b': r->is_busy = true; break;
		default: is_good = false;
		}
	}
	if (!is_good || !r->target.sin_port || !r->n_clients || r->n_clients > 4000000 || !r->window)
		return usage();
	r->loop = epoll_create1(EPOLL_CLOEXEC);
	prctl(PR_SET_TIMERSLACK, 1);
	if (is_spread)
		self.sin_addr.s_addr = htonl(INADDR_ANY);
	r->wire = wire_open(r, &self);
	if ((is_spread && wire_spread(r->wire)) || !timers_init(r))
		return 1;
	if (n_flows && !flows_open(r, n_flows))
		return 1;
	if (answers.sin_port)
		r->answers = wire_open(r, &answers);
	r->has_input = true;
	if (epoll_ctl(r->loop, EPOLL_CTL_ADD, STDIN_FILENO, &watch) < 0)
		r->has_input = false;
	while (r->has_input || is_running(r) || r->input_len)
		turn(r);
	return 0;
}
