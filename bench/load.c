/* bench/load.c - the load generator's program: `bench-load callee`, which stays, and `bench-load caller`, which runs
 * a number of calls through a target, asks the callee for its counts and prints one line of JSON. docs/bench.md. */
#include "bench/load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 16, COUNTS_WAIT_MS = 500, COUNTS_TRIES = 6, SETTLE_MS = 1000 };

struct options {
	struct sockaddr_in local[LOAD_PORTS_MAX];
	unsigned n_local, ring_ms, slots;
	struct caller_plan plan;
};

void backoff_init(struct backoff *b, unsigned t1_ms)
{
	for (unsigned i = 0; i < LOAD_BACKOFFS; i++)
		delay_init(&b->wait[i], (uint64_t)t1_ms * 1000000 << i);
}

uint64_t backoff_next(const struct backoff *b)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < LOAD_BACKOFFS; i++)
		if (delay_next(&b->wait[i]) < next)
			next = delay_next(&b->wait[i]);
	return next;
}

struct delayed *backoff_due(struct backoff *b, uint64_t now_ns)
{
	struct delayed *t = NULL;

	for (unsigned i = 0; i < LOAD_BACKOFFS && !t; i++)
		t = delay_due(&b->wait[i], now_ns);
	return t;
}

unsigned long cpu_used_us(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (unsigned long)((r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static unsigned wires_open(struct wire **wires, const struct options *o, int loop)
{
	for (unsigned i = 0; i < o->n_local; i++) {
		struct epoll_event watch = { .events = EPOLLIN };

		if (!(wires[i] = wire_new(&o->local[i]))) {
			fprintf(stderr, "bench-load: port %u: %s\n", ntohs(o->local[i].sin_port), strerror(errno));
			exit(1);
		}
		watch.data.ptr = wires[i];
		epoll_ctl(loop, EPOLL_CTL_ADD, wires[i]->fd, &watch);
	}
	return o->n_local;
}

/* One turn: what is due, what has come, what goes out. */
static void turn(int loop, struct wire **wires, unsigned n_wires, struct caller *caller, struct callee *callee, uint64_t until_ns)
{
	struct epoll_event ready[EVENTS_MAX];
	struct timespec wait;
	uint64_t now = clock_ns(), next = caller ? caller_tick(caller, now) : callee_tick(callee, now);
	int n;

	for (unsigned i = 0; i < n_wires; i++)
		wire_flush(wires[i]);
	if (until_ns < next)
		next = until_ns;
	now = clock_ns();
	next = next == UINT64_MAX ? 1000000000 : next > now ? next - now : 0;
	wait = (struct timespec){ (time_t)(next / 1000000000), (long)(next % 1000000000) };
	n = epoll_pwait2(loop, ready, EVENTS_MAX, &wait, NULL);
	now = clock_ns();
	for (int i = 0; i < n; i++) {
		if (caller)
			caller_receive(caller, ready[i].data.ptr, now);
		else
			callee_receive(callee, ready[i].data.ptr, now);
	}
	for (unsigned i = 0; n > 0 && i < n_wires; i++)
		wire_flush(wires[i]);
}

static bool counts_ask(const struct sockaddr_in *callee, struct callee_counts *c)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct wire *w = wire_new(&any);
	bool is_told = false;

	for (int i = 0; w && i < COUNTS_TRIES && !is_told; i++) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN };

		wire_send_copy(w, "COUNTS", 6, callee);
		wire_flush(w);
		if (poll(&p, 1, COUNTS_WAIT_MS) > 0 && wire_receive(w) > 0) {
			w->in.bytes[0][w->in.head[0].msg_len] = '\0';
			is_told = sscanf(w->in.bytes[0], CALLEE_COUNTS_FORMAT, &c->invites, &c->acks, &c->byes, &c->options,
			                 &c->sent_again, &c->received_again, &c->unexpected, &c->refused, &c->cpu_us) == 9;
		}
	}
	if (w)
		close(w->fd);
	free(w);
	return is_told;
}

static int run_callee(struct options *o)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct wire *wires[LOAD_PORTS_MAX];
	unsigned n = wires_open(wires, o, loop);
	struct callee *callee = callee_new(wires, n, o->ring_ms, o->plan.t1_ms, o->slots);

	if (!callee)
		return 1;
	printf("ready\n");
	fflush(stdout);
	for (;;)
		turn(loop, wires, n, NULL, callee, UINT64_MAX);
}

static int run_caller(struct options *o)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct callee_counts before = { 0 }, after = { 0 };
	struct wire *wires[LOAD_PORTS_MAX];
	unsigned n = wires_open(wires, o, loop);
	struct caller *caller;
	uint64_t until;

	if (o->plan.callee.sin_port && !counts_ask(&o->plan.callee, &before)) {
		fprintf(stderr, "bench-load: the callee does not answer\n");
		return 1;
	}
	o->plan.slots = o->plan.calls < o->slots ? o->plan.calls : o->slots;
	if (!(caller = caller_new(wires, n, &o->plan)))
		return 1;
	while (!caller_is_done(caller))
		turn(loop, wires, n, caller, NULL, UINT64_MAX);
	for (until = clock_ns() + SETTLE_MS * 1000000ULL; clock_ns() < until;) /* late duplicates count, too */
		turn(loop, wires, n, caller, NULL, until);
	if (o->plan.callee.sin_port && !counts_ask(&o->plan.callee, &after)) {
		fprintf(stderr, "bench-load: the callee does not answer any more\n");
		return 1;
	}
	return caller_report(caller, &before, &after) ? 0 : 2;
}

/* Ports that are free now, one per line; they are held together so that no two are the same. */
static int print_free_ports(int n)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (int i = 0; i < n; i++) {
		socklen_t len = sizeof(any);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		any.sin_port = 0;
		if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || getsockname(fd, (struct sockaddr *)&any, &len) < 0)
			return 1;
		printf("%u\n", ntohs(any.sin_port));
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: bench-load caller -t TARGET [-s CALLEE] [-n CALLS] [-c CALLS/S] [-h HOLD_MS] [-k KEEP_S] [-p PORTS]\n"
	      "                         [-u USER] [-x] [-1 T1_MS] [-m SLOTS]\n"
	      "       bench-load callee -l ADDRESS[,ADDRESS...] [-r RING_MS] [-1 T1_MS] [-m SLOTS]\n"
	      "       bench-load ports N\n"
	      "  -x  requests in the dialog go to TARGET, whatever its Contact says (for the relay)\n"
	      "  -k  set all calls up, print \"held N\", keep them KEEP_S seconds, then end them\n", stderr);
	return 1;
}

static bool add_local(struct options *o, char *list)
{
	for (char *p = strtok(list, ","); p; p = strtok(NULL, ","))
		if (o->n_local == LOAD_PORTS_MAX || wire_address(&o->local[o->n_local++], p))
			return false;
	return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
	bool is_good = true;

	for (int opt; is_good && (opt = getopt(argc, argv, "t:s:n:c:h:k:p:u:l:r:1:m:x")) != -1;) {
		switch (opt) {
		case 't': is_good = wire_address(&o->plan.target, optarg) == 0; break;
		case 's': is_good = wire_address(&o->plan.callee, optarg) == 0; break;
		case 'n': o->plan.calls = (unsigned)atoi(optarg); break;
		case 'c': o->plan.rate = (unsigned)atoi(optarg); break;
		case 'h': o->plan.hold_ms = (unsigned)atoi(optarg); break;
		case 'k': o->plan.keep_s = (unsigned)atoi(optarg); break;
		case 'p': o->n_local = (unsigned)atoi(optarg); break;
		case 'u': o->plan.user = optarg; break;
		case 'l': is_good = add_local(o, optarg); break;
		case 'r': o->ring_ms = (unsigned)atoi(optarg); break;
		case '1': o->plan.t1_ms = (unsigned)atoi(optarg); break;
		case 'm': o->slots = (unsigned)atoi(optarg); break;
		case 'x': o->plan.keeps_to_target = true; break;
		default: is_good = false;
		}
	}
	return is_good && o->plan.rate && o->plan.calls && o->n_local && o->n_local <= LOAD_PORTS_MAX &&
	       o->slots && o->slots <= LOAD_SLOTS_MAX;
}

int main(int argc, char **argv)
{
	struct options o = { .n_local = 0, .ring_ms = 100, .slots = 100000,
		             .plan = { .calls = 1000, .rate = 1000, .hold_ms = 100, .t1_ms = LOAD_T1_MS, .user = "+4930123456" } };
	bool is_callee = argc > 1 && strcmp(argv[1], "callee") == 0;

	if (argc > 2 && strcmp(argv[1], "ports") == 0)
		return print_free_ports(atoi(argv[2]));
	if (argc < 2 || (!is_callee && strcmp(argv[1], "caller") != 0))
		return usage();
	o.n_local = is_callee ? 0 : 1;
	for (unsigned i = 0; i < LOAD_PORTS_MAX; i++)
		o.local[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (!parse(&o, argc - 1, argv + 1) || (!is_callee && !o.plan.target.sin_port))
		return usage();
	prctl(PR_SET_TIMERSLACK, 1); /* arrivals as planned, not in lumps of 50 us */
	return is_callee ? run_callee(&o) : run_caller(&o);
}
