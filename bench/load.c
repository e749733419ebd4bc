/* bench/load.c - the load generator's program. It answers calls and probes on its callee ports for as long as it runs,
 * and reads runs from standard input, one line of options each: so many calls through that target. Each run ends in
 * one line of JSON. docs/bench.md. */
#include "bench/load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "bench/link.h"

enum { EVENTS_MAX = 16,
       SETTLE_MS = 1000,
       LINE_MAX_BYTES = 1024,
       WORDS_MAX = 64 };

struct load {
	int loop;
	bool is_busy; /* polls during a run instead of sleeping */
	bool has_input; /* standard input may still say something */
	struct callee *callee;
	struct wire *called[LOAD_PORTS_MAX], *calling[LOAD_PORTS_MAX];
	unsigned n_called, n_calling;
	struct caller *caller; /* the run in progress */
	struct link_to to; /* of its streams */
	char path[64];
	uint64_t settled_ns; /* when it is over: late duplicates count, too */
	struct callee_counts before;
	unsigned long cpu_before_us;
	char input[LINE_MAX_BYTES]; /* lines not begun yet */
	char line[LINE_MAX_BYTES]; /* of the run in progress */
	size_t input_len;
};

static unsigned long cpu_used_us(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (unsigned long)((r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec +
	                       r.ru_stime.tv_usec);
}

static struct wire *wire_open(struct load *l, const struct sockaddr_in *local, bool is_callee)
{
	struct wire *w = wire_new(local);
	struct epoll_event watch = { .events = EPOLLIN, .data.ptr = w };

	if (!w || epoll_ctl(l->loop, EPOLL_CTL_ADD, w->fd, &watch) < 0) {
		fprintf(stderr, "bench-load: port %u: %s\n", ntohs(local->sin_port), strerror(errno));
		exit(1);
	}
	w->is_callee = is_callee;
	return w;
}

/* A stream of the calling side: NULL, and said why, when it cannot be had. */
static struct wire *stream_open(struct load *l, unsigned n)
{
	const char *why;
	struct wire *w = wire_stream(&l->to, n, &why);
	struct epoll_event watch = { .events = EPOLLIN, .data.ptr = w };

	if (!w)
		printf("{\"error\":\"stream %u: %s\",\"good\":false}\n", n, why);
	else if (epoll_ctl(l->loop, EPOLL_CTL_ADD, w->fd, &watch) < 0)
		exit(1);
	return w;
}

static int usage(void)
{
	fputs("usage: bench-load -l ADDRESS[,ADDRESS...] [-r RING_MS] [-1 T1_MS] [-m SLOTS] [-b]   answers there;\n"
	      "       reads runs from standard input, one line each:\n"
	      "         -t TARGET [-n CALLS] [-c CALLS_PER_S] [-h HOLD_MS] [-k KEEP_S] [-p PORTS] [-u USER] [-d DOMAIN] [-x]\n"
	      "         [-1 T1_MS] [-m SLOTS] [-T tcp|tls|ws|wss [-P PATH]]\n"
	      "       bench-load ports N\n"
	      "  -b  poll without sleeping during a run: the target never pays for waking the load generator\n"
	      "  -k  set all calls up, print \"held N\", keep them KEEP_S seconds, then end them\n"
	      "  -T  over streams, PORTS of them, from addresses of their own in 127.96.0.0/11\n"
	      "  -x  requests in the dialog go to TARGET, whatever its Contact says (for the relay)\n",
	      stderr);
	return 1;
}

static bool plan_parse(struct load *l, struct caller_plan *p, int argc, char **argv)
{
	bool is_good = true;

	*p = (struct caller_plan){ .calls = 1000,
		                   .rate = 1000,
		                   .hold_ms = 100,
		                   .t1_ms = LOAD_T1_MS,
		                   .ports = 1,
		                   .slots = 100000,
		                   .user = "+4930123456" };
	l->path[0] = '/';
	l->path[1] = '\0';
	optind = 0; /* glibc: from the start again */
	for (int opt; is_good && (opt = getopt(argc, argv, "t:n:c:h:k:p:u:d:1:m:xT:P:")) != -1;) {
		switch (opt) {
		case 't': is_good = wire_address(&p->target, optarg) == 0; break;
		case 'n': p->calls = (unsigned)atoi(optarg); break;
		case 'c': p->rate = (unsigned)atoi(optarg); break;
		case 'h': p->hold_ms = (unsigned)atoi(optarg); break;
		case 'k': p->keep_s = (unsigned)atoi(optarg); break;
		case 'p': p->ports = (unsigned)atoi(optarg); break;
		case 'u': p->user = optarg; break;
		case 'd': p->domain = optarg; break;
		case '1': p->t1_ms = (unsigned)atoi(optarg); break;
		case 'm': p->slots = (unsigned)atoi(optarg); break;
		case 'T': is_good = (p->kind = link_kind(optarg)) != LINK_NONE; break;
		case 'P': snprintf(l->path, sizeof(l->path), "%s", optarg); break;
		case 'x': p->keeps_to_target = true; break;
		default: is_good = false;
		}
	}
	if (p->slots > p->calls)
		p->slots = p->calls;
	return is_good && p->target.sin_port && p->calls && p->rate && p->t1_ms && p->ports &&
	       p->ports <= LOAD_PORTS_MAX && p->slots && p->slots <= LOAD_SLOTS_MAX;
}

static void wires_close(struct load *l)
{
	while (l->n_calling)
		wire_free(l->calling[--l->n_calling]);
	SSL_CTX_free(l->to.tls);
	l->to.tls = NULL;
}

/* The calling side's, all of them or none. */
static bool run_wires(struct load *l, const struct caller_plan *plan)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	l->to = (struct link_to){ .target = plan->target, .kind = plan->kind, .path = l->path };
	if (!link_to_init(&l->to))
		exit(1);
	for (l->n_calling = 0; l->n_calling < plan->ports; l->n_calling++) {
		struct wire *w = plan->kind ? stream_open(l, l->n_calling) : wire_open(l, &any, false);

		if (!w) {
			fflush(stdout);
			wires_close(l);
			return false;
		}
		l->calling[l->n_calling] = w;
	}
	return true;
}

static void run_begin(struct load *l, char *line)
{
	const struct callee_counts zero = { 0 };
	char *word[WORDS_MAX + 1] = { "run" };
	struct caller_plan plan;
	int n = 1;

	for (char *p = strtok(line, " \t"); p && n < WORDS_MAX; p = strtok(NULL, " \t"))
		word[n++] = p;
	if (!plan_parse(l, &plan, n, word)) {
		printf("{\"error\":\"options\",\"good\":false}\n");
		fflush(stdout);
		return;
	}
	if (!run_wires(l, &plan))
		return;
	l->before = callee_counts_since(l->callee, &zero);
	l->cpu_before_us = cpu_used_us();
	l->settled_ns = UINT64_MAX;
	if (!(l->caller = caller_new(l->calling, l->n_calling, &plan)))
		exit(1);
}

static void run_end(struct load *l)
{
	struct callee_counts counts = callee_counts_since(l->callee, &l->before);

	caller_report(l->caller, &counts, cpu_used_us() - l->cpu_before_us);
	caller_free(l->caller);
	l->caller = NULL;
	wires_close(l);
}

/* The next line that has come whole begins the next run. */
static void input_next(struct load *l)
{
	char *lf = memchr(l->input, '\n', l->input_len);
	size_t len;

	if (!lf)
		return;
	len = (size_t)(lf - l->input);
	memcpy(l->line, l->input, len);
	l->line[len] = '\0';
	memmove(l->input, lf + 1, l->input_len -= len + 1);
	run_begin(l, l->line);
}

static void input_read(struct load *l)
{
	ssize_t n = read(STDIN_FILENO, l->input + l->input_len, sizeof(l->input) - l->input_len);

	if (n > 0) {
		l->input_len += (size_t)n;
		return;
	}
	l->has_input = false; /* the last run still runs */
	epoll_ctl(l->loop, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

static void flush_all(struct load *l)
{
	for (unsigned i = 0; i < l->n_called; i++)
		wire_flush(l->called[i]);
	for (unsigned i = 0; i < l->n_calling; i++)
		wire_flush(l->calling[i]);
}

/* Does what is due and says how long nothing will be. */
static struct timespec tick(struct load *l)
{
	uint64_t now = clock_ns(), next = callee_tick(l->callee, now), wait, at;

	if (l->caller) {
		at = caller_tick(l->caller, now);
		next = at < next ? at : next;
		if (caller_is_done(l->caller) && l->settled_ns == UINT64_MAX)
			l->settled_ns = now + SETTLE_MS * 1000000ULL;
		next = l->settled_ns < next ? l->settled_ns : next;
	}
	flush_all(l);
	now = clock_ns();
	wait = l->is_busy && l->caller ? 0 : next == UINT64_MAX ? 1000000000
	                             : next > now               ? next - now
	                                                        : 0;
	return (struct timespec){ (time_t)(wait / 1000000000), (long)(wait % 1000000000) };
}

static void turn(struct load *l)
{
	struct epoll_event ready[EVENTS_MAX];
	struct timespec wait = tick(l);
	int n = epoll_pwait2(l->loop, ready, EVENTS_MAX, &wait, NULL);
	uint64_t now = clock_ns();

	for (int i = 0; i < n; i++) {
		struct wire *w = ready[i].data.ptr;

		if (!w)
			input_read(l);
		else if (w->is_callee)
			callee_receive(l->callee, w, now);
		else
			caller_receive(l->caller, w, now);
	}
	if (n > 0)
		flush_all(l);
	if (l->caller && now >= l->settled_ns)
		run_end(l);
	if (!l->caller)
		input_next(l);
}

/* Ports that are free now, one per line; they are held together so that no two are the same. */
static int print_free_ports(int n)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (int i = 0; i < n; i++) {
		socklen_t len = sizeof(any);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		any.sin_port = 0;
		if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
		    getsockname(fd, (struct sockaddr *)&any, &len) < 0)
			return 1;
		printf("%u\n", ntohs(any.sin_port));
	}
	return 0;
}

static void listen_at(struct load *l, char *list)
{
	struct sockaddr_in local;

	for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
		if (l->n_called == LOAD_PORTS_MAX || wire_address(&local, p))
			exit(usage());
		l->called[l->n_called++] = wire_open(l, &local, true);
	}
}

int main(int argc, char **argv)
{
	struct load l = { .loop = epoll_create1(EPOLL_CLOEXEC), .has_input = true };
	struct epoll_event watch = { .events = EPOLLIN };
	unsigned ring_ms = 100, t1_ms = LOAD_T1_MS, slots = 100000;

	if (argc > 2 && strcmp(argv[1], "ports") == 0)
		return print_free_ports(atoi(argv[2]));
	for (int opt; (opt = getopt(argc, argv, "l:r:1:m:b")) != -1;) {
		switch (opt) {
		case 'l': listen_at(&l, optarg); break;
		case 'r': ring_ms = (unsigned)atoi(optarg); break;
		case '1': t1_ms = (unsigned)atoi(optarg); break;
		case 'm': slots = (unsigned)atoi(optarg); break;
		case 'b': l.is_busy = true; break;
		default: return usage();
		}
	}
	if (!l.n_called || !t1_ms || !slots || slots > LOAD_SLOTS_MAX)
		return usage();
	prctl(PR_SET_TIMERSLACK, 1); /* arrivals as planned, not in lumps of 50 us */
	if (!(l.callee = callee_new(l.called, l.n_called, ring_ms, t1_ms, slots)))
		return 1;
	if (epoll_ctl(l.loop, EPOLL_CTL_ADD, STDIN_FILENO, &watch) < 0)
		l.has_input = false; /* a file: nothing to wait for */
	while (l.has_input || l.caller || l.input_len)
		turn(&l);
	callee_free(l.callee);
	while (l.n_called)
		wire_free(l.called[--l.n_called]);
	return 0;
}
