/* Bounds: each holds, is counted, and leaves what is under way alone. And what no bound may be needed for: no message takes long, no
 * forgery leaves a trace. */
#include "tests/flow/flow.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
enum { IS_SLOW = 1, FORGERIES = 20000 };
#else
enum { IS_SLOW = 0, FORGERIES = 300000 };
#endif
enum { MESSAGE_MAX_US = 5000 };

static void flow_drop(struct flow *f)
{
	got_free(&f->at_alice);
	got_free(&f->at_bob);
	rig_free(f->rig, false);
}

/* An INVITE of a caller of its own, from `from`. */
static void invite_number(struct flow *f, const char *from, unsigned n)
{
	rig_say(f->rig, from, EDGE, "",
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKn%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=n%u\nTo: <sip:bob@example.com>\nCall-ID: n%u\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@%s>\n",
	        from, n, n, n, from);
}

static void bye_by_alice(struct flow *f)
{
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

/* Calls, transactions, what waits --------------------------------------------------------------------------------- */

static void calls_per_worker(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, "limits: { calls: 3 }\n" FLOW_ONE, 1, 1);
	invite_number(&f, "192.0.2.20:5060", 1);
	invite_number(&f, "192.0.2.20:5060", 2);
	assert_int_equal(rig_calls(f.rig), 3);
	rig_forget(f.rig, "192.0.2.20:5060");
	rig_forget(f.rig, BOB);
	invite_number(&f, "192.0.2.20:5060", 3);
	rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 503", &f.at_alice);
	rig_expect_silence(f.rig, BOB);
	assert_int_equal(rig_calls(f.rig), 3);
	assert_int_equal(rig_count(f.rig, CALLS_REFUSED), 1);
	bye_by_alice(&f); /* room again */
	invite_number(&f, "192.0.2.20:5060", 4);
	rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 100", &f.at_alice);
	flow_end(&f);
}

static void requests_within_one_call(void **state)
{
	struct flow f;
	unsigned refused;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < RELAYS_PER_CALL_MAX; i++) {
		flow_alice_says(&f, "INFO", "", "");
		flow_expect_at_bob(&f, "INFO ");
	}
	rig_expect_silence(f.rig, ALICE);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 503");
	refused = (unsigned)rig_count(f.rig, REQUESTS_REFUSED);
	assert_int_equal(refused, 1);
	flow_alice_says(&f, "BYE", "", ""); /* the call ends all the same, by a BYE of ours */
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_expect_at_bob(&f, "BYE sip:bob@10.0.0.21:5060 ");
	flow_bob_answers(&f, 200, "", "");
	assert_int_equal(rig_calls(f.rig), 0);
	flow_end(&f);
}

static void ring_as(struct flow *f, unsigned status, unsigned tag)
{
	rig_say(f->rig, BOB, CORE, "", "SIP/2.0 %u Fork\nVia: %s\nFrom: %s\nTo: %s;tag=fork%u\nCall-ID: %s\nCSeq: %s\nContact: <sip:bob@%s>\n",
	        status, got_value(&f->at_bob, HDR_VIA), got_value(&f->at_bob, HDR_FROM), got_value(&f->at_bob, HDR_TO), tag,
	        got_value(&f->at_bob, HDR_CALL_ID), got_value(&f->at_bob, HDR_CSEQ), BOB);
}

static void forks_of_one_call(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	for (unsigned i = 0; i < DIALOGS_PER_CALL_MAX; i++) {
		ring_as(&f, 180, i);
		flow_expect_at_alice(&f, "SIP/2.0 180");
	}
	for (unsigned i = 0; i < 100; i++)
		ring_as(&f, 180, 100 + i);
	rig_expect_silence(f.rig, ALICE);
	ring_as(&f, 200, 3);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	bye_by_alice(&f);
	flow_end(&f);
}

static void requests_that_wait_for_names(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f,
	           FLOW_ZONES "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:bob.example.net\" }] } }\n"
	           FLOW_ROUTES,
	           1, 1);
	f.rig->names[f.rig->n_names++] = (struct rig_name){ .host = "bob.example.net", .delay_ms = 1000 };
	assert_int_equal(addr_parse(&f.rig->names[0].addr, SV("10.0.0.21")), 0);
	assert_int_equal(f.rig->workers[0].park.max, WORKER_PARKED_MAX);
	f.rig->workers[0].park.max = 2;
	for (unsigned i = 0; i < 3; i++)
		invite_number(&f, "192.0.2.20:5060", i);
	for (unsigned i = 0; i < 3; i++)
		rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 100", &f.at_alice);
	rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 503", &f.at_alice);
	assert_int_equal(f.rig->workers[0].park.refused, 1);
	rig_after(f.rig, 1000);
	rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
	rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
	rig_expect_silence(f.rig, BOB);
	flow_end(&f);
}

static void transactions(void **state)
{
	struct flow f;
	struct sip_stack *stack;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	stack = &f.rig->workers[0].stack;
	assert_int_equal(stack->servers.max, SIP_SERVERS_MAX);
	assert_int_equal(stack->clients.max, SIP_CLIENTS_MAX);
	stack->servers.max = stack->servers.in_use;
	invite_number(&f, "192.0.2.20:5060", 1);
	rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 503", &f.at_alice);
	flow_alice_says(&f, "INFO", "", ""); /* no room for its refusal either */
	rig_expect_silence(f.rig, ALICE);
	assert_true(counter_get(&stack->counters, SIP_TXN_REFUSED) >= 2);
	stack->servers.max = SIP_SERVERS_MAX;
	stack->clients.max = stack->clients.in_use;
	invite_number(&f, "192.0.2.20:5060", 2);
	rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 100", &f.at_alice);
	rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 503", &f.at_alice);
	flow_alice_says(&f, "BYE", "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	rig_expect_silence(f.rig, BOB);
	stack->clients.max = SIP_CLIENTS_MAX;
	flow_end(&f);
}

/* Between workers (DECISIONS 22) ------------------------------------------------------------------------------------ */

struct pauses {
	struct rig *rig;
	bool is_paused;
	unsigned times;
};

static struct pauses pauses; /* the callback is given the net only */

static void on_pause(struct net *net, bool is_paused)
{
	(void)net;
	pauses.is_paused = is_paused;
	pauses.times++;
}

/* Gives one message to a worker and leaves the mail where it is. */
static void arrive_at(struct rig *r, unsigned worker, const char *listener, const char *text)
{
	struct worker *w = &r->workers[worker];
	struct path path = { .listener = rig_listener(r, listener) };
	size_t len = strlen(text);
	char *copy = calloc(1, len + BUF_PAD);

	assert_non_null(copy);
	path.transport = r->conf->listeners[path.listener].transport;
	assert_int_equal(addr_parse(&path.remote, SV("192.0.2.77:5060")), 0);
	memcpy(copy, text, len);
	worker_handler(w).on_message(w, &path, copy, len, false);
	free(copy);
}

static void options_number(struct rig *r, const char *listener, unsigned n)
{
	char text[512];

	snprintf(text, sizeof(text),
	         "OPTIONS sip:203.0.113.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKo%u\r\nMax-Forwards: 70\r\n"
	         "From: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>\r\nCall-ID: o%u\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
	         n, n);
	arrive_at(r, 0, listener, text);
}

static void a_full_mailbox(void **state)
{
	struct flow f;
	struct worker *w;
	unsigned sent = 0;
	uint64_t handed;
	size_t before;
	char bye[1024];

	(void)state;
	flow_answered(&f, FLOW_ONE, 2, 1);
	w = &f.rig->workers[0];
	pauses = (struct pauses){ .rig = f.rig };
	w->pause_streams = on_pause;
	while (!counter_get(&w->counters, HANDOVER_DROPPED) && sent < 4 * WORKER_MAILS)
		options_number(f.rig, EDGE, sent++);
	handed = counter_get(&w->counters, MESSAGES_HANDED_OVER);
	assert_in_range(handed, WORKER_MAILS / 2, WORKER_MAILS * 3 / 4); /* a quarter is left for what belongs to calls */
	before = f.rig->workers[1].calls ? rig_calls(f.rig) : 0;
	assert_int_equal(before, 1);

	/* a request within a dialog and a response still find room, wherever the call lives */
	snprintf(bye, sizeof(bye),
	         "INFO %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKfull\r\nMax-Forwards: 70\r\n"
	         "From: <sip:alice@example.com>;tag=alice\r\nTo: %s\r\nCall-ID: alice-call@192.0.2.10\r\nCSeq: 77 INFO\r\n"
	         "Content-Length: 0\r\n\r\n",
	         f.near_contact, f.near_to);
	if (b2bua_calls(f.rig->workers[1].calls)) {
		arrive_at(f.rig, 0, EDGE, bye);
		assert_int_equal(counter_get(&w->counters, MESSAGES_HANDED_OVER), handed + 1);
	}

	/* a stream is not read any more; what was read waits */
	for (unsigned i = 0; pauses.times == 0 && i < 100; i++)
		options_number(f.rig, EDGE_TCP, 1000000 + i);
	assert_true(pauses.is_paused);
	assert_int_equal(w->n_held, 1);
	for (unsigned i = 0; i < 3 * WORKER_HELD_MAX; i++)
		options_number(f.rig, EDGE_TCP, 2000000 + i);
	assert_int_equal(w->n_held, WORKER_HELD_MAX);
	f.rig->has_mail[1] = true;
	rig_after(f.rig, 10);
	assert_int_equal(w->n_held, 0);
	assert_false(pauses.is_paused);
	w->pause_streams = NULL;
	rig_forget(f.rig, "192.0.2.77:5060");
	rig_forget(f.rig, BOB);
	flow_drop(&f);
}

/* Large messages --------------------------------------------------------------------------------------------------- */

/* `from`'s INVITE with as large a body as a message may have. */
static void large_invite(struct flow *f, const char *listener, size_t size)
{
	char *text = malloc(size + 1);
	int head;

	assert_non_null(text);
	head = snprintf(text, size,
	                "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKlarge%zu\r\nMax-Forwards: 70\r\n"
	                "From: <sip:a@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: large%zu\r\nCSeq: 1 INVITE\r\n"
	                "Contact: <sip:a@192.0.2.20>\r\nContent-Type: text/plain\r\nContent-Length: %05zu\r\n\r\n",
	                size, size, (size_t)0);
	head = snprintf(text, size,
	                "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKlarge%zu\r\nMax-Forwards: 70\r\n"
	                "From: <sip:a@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: large%zu\r\nCSeq: 1 INVITE\r\n"
	                "Contact: <sip:a@192.0.2.20>\r\nContent-Type: text/plain\r\nContent-Length: %05zu\r\n\r\n",
	                size, size, size - (size_t)head);
	memset(text + head, 'x', size - (size_t)head);
	text[size] = '\0';
	rig_send(f->rig, "192.0.2.20:5060", listener, text);
	free(text);
}

static void messages_of_64_KiB(void **state)
{
	static const char *const listeners[] = { EDGE, EDGE_TCP };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < 2; i++) {
		large_invite(&f, listeners[i], 65000 + i); /* passes: our own lines find room */
		rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 100", &f.at_alice);
		rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
		assert_true(f.at_bob.v.body_len > 64000);
		large_invite(&f, listeners[i], NET_MESSAGE_MAX - i); /* too large with our lines: 513 */
		rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 100", &f.at_alice);
		rig_expect(f.rig, "192.0.2.20:5060", "SIP/2.0 513", &f.at_alice);
		rig_expect_silence(f.rig, BOB);
	}
	flow_end(&f);
}

static void answers_of_64_KiB(void **state)
{
	struct flow f;
	size_t size = 65000;
	char *body = malloc(size + 1), *text = malloc(NET_MESSAGE_MAX + 1);
	int n;

	(void)state;
	assert_true(body && text);
	memset(body, 'x', size);
	body[size] = '\0';
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	n = snprintf(text, NET_MESSAGE_MAX,
	             "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=bob\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:bob@" BOB ">\r\n"
	             "Content-Length: %zu\r\n\r\n%s",
	             got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO),
	             got_value(&f.at_bob, HDR_CALL_ID), got_value(&f.at_bob, HDR_CSEQ), size, body);
	assert_true(n > 0 && n < NET_MESSAGE_MAX);
	rig_send(f.rig, BOB, CORE, text);
	flow_expect_at_alice(&f, "SIP/2.0 "); /* passed, or the call is refused and Bob is told */
	if (f.at_alice.v.status == 200) {
		flow_ack(&f);
		bye_by_alice(&f);
	} else {
		rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
		rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	}
	free(body);
	free(text);
	flow_end(&f);
}

/* Time ------------------------------------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A message that is filled up with a pattern to its largest size. */
static char *filled(const char *head, const char *pattern, const char *tail, size_t size)
{
	char *text = malloc(size + 1);
	size_t n = strlen(head), step = strlen(pattern), end = strlen(tail);

	assert_non_null(text);
	memcpy(text, head, n);
	while (n + step + end <= size) {
		memcpy(text + n, pattern, step);
		n += step;
	}
	memcpy(text + n, tail, end + 1);
	return text;
}

/* Lines of at most `line` bytes, each begun with `name`, as many as there may be. */
static char *lines(const char *head, const char *name, const char *pattern, const char *tail, unsigned count, size_t line)
{
	size_t size = NET_MESSAGE_MAX, n = strlen(head), step = strlen(pattern), end = strlen(tail);
	char *text = malloc(size + 1);

	assert_non_null(text);
	memcpy(text, head, n);
	for (unsigned i = 0; i < count && n + strlen(name) + step + end + 2 < size; i++) {
		size_t from = n;

		n += (size_t)sprintf(text + n, "%s", name);
		while (n - from + step < line && n + step + end + 2 <= size) {
			memcpy(text + n, pattern, step);
			n += step;
		}
		while (text[n - 1] == ',' || text[n - 1] == ' ')
			n--;
		n += (size_t)sprintf(text + n, "\r\n");
	}
	memcpy(text + n, tail, end + 1);
	return text;
}

struct slow {
	const char *what;
	uint64_t worst_us;
	const char *worst;
};

/* How long the worker takes for it; the answer is thrown away. */
static void time_one(struct rig *r, struct slow *s, const char *what, const char *from, const char *to, char *text)
{
	struct worker *w = &r->workers[0];
	struct path path = { .listener = rig_listener(r, to) };
	size_t len = strlen(text);
	char *copy = calloc(1, len + BUF_PAD);
	uint64_t at, best = UINT64_MAX;

	assert_non_null(copy);
	assert_true(len <= NET_MESSAGE_MAX);
	assert_int_equal(addr_parse(&path.remote, sv_from(from)), 0);
	path.transport = r->conf->listeners[path.listener].transport;
	for (unsigned i = 0; i < 3; i++) { /* the best of three: what is measured is the message, not the machine */
		char *unique = strstr(text, "z9hG4bK#");

		if (unique)
			unique[8] = (char)('a' + i);
		unique = strstr(text, "Call-ID: #");
		if (unique)
			unique[10] = (char)('a' + i);
		memcpy(copy, text, len);
		at = cpu_ns();
		worker_handler(w).on_message(w, &path, copy, len, false);
		at = cpu_ns() - at;
		best = at < best ? at : best;
		rig_after(r, 0);
		rig_forget(r, from);
		rig_forget(r, BOB);
	}
	if (best / 1000 > s->worst_us) {
		s->worst_us = best / 1000;
		s->worst = what;
	}
	if (!IS_SLOW && best / 1000 > MESSAGE_MAX_US)
		fail_msg("%s: %lu us", what, (unsigned long)(best / 1000));
	free(copy);
	free(text);
}

#define BEGIN(method) \
	method " sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bK#x;rport\r\nMax-Forwards: 70\r\n" \
	"From: <sip:a@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: #x\r\nCSeq: 1 " method "\r\nContact: <sip:a@192.0.2.30>\r\n"
#define END "Content-Length: 0\r\n\r\n"

static const struct flood {
	const char *what, *name, *pattern;
} floods[] = {
	{ "words in unknown headers", "X-A: ", "a.b c.d " },
	{ "addresses in unknown headers", "X-A: ", "198.51.100.1 " },
	{ "names in unknown headers", "X-A: ", "a.example.net:5060," },
	{ "colons in unknown headers", "X-A: ", "a:a:a:a:a:a:a:a:a " },
	{ "one colon after the other", "X-A: ", ":" },
	{ "underscores", "X-A: ", "aa_" },
	{ "long words", "X-A: ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.1" },
	{ "digits and dots", "X-A: ", "1.2." },
	{ "quotes", "Subject: ", "\"a\"" },
	{ "option tags", "Supported: ", "path,a," },
	{ "required options", "Require: ", "a," },
	{ "Record-Route", "Record-Route: ", "<sip:a.example.net;lr>," },
	{ "Route", "Route: ", "<sip:203.0.113.10;lr>," },
	{ "Contact", "Contact: ", "<sip:a@b>," },
	{ "Contact's parameters", "Contact: <sip:a@b>", ";a=b" },
	{ "Contact's feature tags", "Contact: <sip:a@b>", ";+a=\"b\"" },
	{ "URI parameters", "Contact: <sip:a@b", ";aaaa=b" },
	{ "Via values", "Via: ", "SIP/2.0/UDP a;branch=b," },
	{ "Via parameters", "Via: SIP/2.0/UDP a", ";a=b" },
	{ "Warning", "Warning: ", "399 a \"b.c d.e\"," },
	{ "challenges", "WWW-Authenticate: Digest ", "a=\"b\",domain=\"c\"," },
	{ "Privacy", "Privacy: ", "a;" },
	{ "identities", "P-Asserted-Identity: ", "<sip:a@b>," },
	{ "Allow", "Allow: ", "INVITE," },
	{ "folds", "Subject: a", "\r\n a" },
	{ "folds in Contact", "Contact: <sip:a@b>", "\r\n ;\r\n a" },
	{ "folds in Record-Route", "Record-Route: <sip:a>", ",\r\n <sip:b>" },
	{ "comments", "X-A: ", "((" },
	{ "escapes", "Subject: ", "\\\\" },
	{ "brackets", "Record-Route: ", "<" },
	{ "Date", "Date: ", "a " },
};

static void no_message_takes_long(void **state)
{
	static const char *const methods[] = { BEGIN("INVITE"), BEGIN("MESSAGE") };
	struct slow s = { .worst = "" };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < sizeof(floods) / sizeof(*floods); i++)
		for (unsigned m = 0; m < 2; m++) {
			const struct flood *x = &floods[i];

			time_one(f.rig, &s, x->what, "192.0.2.30:5060", EDGE, lines(methods[m], x->name, x->pattern, END, 1, 16000));
			time_one(f.rig, &s, x->what, "192.0.2.30:5060", EDGE, lines(methods[m], x->name, x->pattern, END, 4, 16000));
			time_one(f.rig, &s, x->what, "192.0.2.30:5060", EDGE, lines(methods[m], x->name, x->pattern, END, 150, 400));
			rig_after(f.rig, 700000);
		}
	time_one(f.rig, &s, "header lines without end", "192.0.2.30:5060", EDGE, filled(BEGIN("INVITE"), "a:\r\n", END, NET_MESSAGE_MAX));
	time_one(f.rig, &s, "empty lines", "192.0.2.30:5060", EDGE, filled("", "\r\n", BEGIN("INVITE") END, NET_MESSAGE_MAX));
	time_one(f.rig, &s, "no line end", "192.0.2.30:5060", EDGE, filled(BEGIN("INVITE") "A: ", "b", "", NET_MESSAGE_MAX));
	time_one(f.rig, &s, "a long URI", "192.0.2.30:5060", EDGE, filled("INVITE sip:", "%61", "@example.com SIP/2.0\r\n" END, NET_MESSAGE_MAX));
	print_message("slowest: %s, %lu us\n", s.worst, (unsigned long)s.worst_us);
	flow_drop(&f);
}

#define TYPED(method, type) BEGIN(method) "Event: dialog\r\nSubscription-State: active\r\nContent-Type: " type "\r\n\r\n"
#define REPORT TYPED("PUBLISH", "application/dialog-info+xml")

/* What is read as a whole: who is named, and bodies. */
static const struct filling {
	const char *what, *head, *pattern, *tail;
	unsigned size;
} fillings[] = {
	{ "headers in Refer-To", BEGIN("REFER") "Refer-To: <sip:c@b?X=a", "&aa=b.c", ">\r\n" END, 16000 },
	{ "escapes in Refer-To", BEGIN("REFER") "Refer-To: <sip:c@b?X=a", "%41%2e", ">\r\n" END, 16000 },
	{ "parameters in Refer-To", BEGIN("REFER") "Refer-To: <sip:c@b", ";a=b.c", ">\r\n" END, 16000 },
	{ "Replaces", BEGIN("INVITE") "Replaces: a", ";to-tag=b.c;from-tag=d", "\r\n" END, 16000 },
	{ "Referred-By", BEGIN("REFER") "Refer-To: <sip:c@b>\r\nReferred-By: <sip:c@b>", ";a=b.c", "\r\n" END, 16000 },
	{ "dialogs", REPORT "<dialog-info>", "<dialog id=\"a.b\" call-id=\"c\" local-tag=\"d\"><state>a.b</state></dialog>", "</dialog-info>", 0 },
	{ "elements", REPORT "<dialog-info>", "<a/>", "</dialog-info>", 0 },
	{ "attributes", REPORT "<dialog-info>", "<a b=\"c.d\" e=\"f.g\" h=\"i.j\" k=\"l.m\" n=\"o.p\"/>", "</dialog-info>", 0 },
	{ "words", REPORT "<dialog-info><a>", "b.c ", "</a></dialog-info>", 0 },
	{ "references", REPORT "<dialog-info><a>", "&#46;a", "</a></dialog-info>", 0 },
	{ "comments in XML", REPORT "<dialog-info>", "<!---->", "</dialog-info>", 0 },
	{ "open elements", REPORT "<dialog-info>", "<a>", "", 0 },
	{ "parts", TYPED("PUBLISH", "multipart/mixed;boundary=b"), "--b\r\n\r\na.b\r\n", "--b--", 0 },
	{ "reports in parts", TYPED("PUBLISH", "multipart/mixed;boundary=b"),
	  "--b\r\nContent-Type: application/dialog-info+xml\r\n\r\n<dialog-info><dialog id=\"a.b\"/></dialog-info>\r\n", "--b--", 0 },
	{ "almost a boundary", TYPED("PUBLISH", "multipart/mixed;boundary=bbbbbbbbbb"), "\r\n--bbbbbbbbb", "", 0 },
	{ "dashes", TYPED("PUBLISH", "multipart/mixed;boundary=\"-----------------------------------------------------------x\""), "-", "", 0 },
	{ "a sipfrag", TYPED("PUBLISH", "message/sipfrag"), "A: b.c\r\n", "", 0 },
	{ "mailboxes", TYPED("PUBLISH", "application/simple-message-summary"), "Message-Account: sip:a@b.c\r\n", "", 0 },
	{ "presence", TYPED("PUBLISH", "application/pidf+xml") "<presence>", "<a b=\"c.d\">e.f</a>", "</presence>", 0 },
	{ "SDP lines", TYPED("MESSAGE", "application/sdp") "v=0\r\n", "o=a 1 1 IN IP4 1.2.3.4\r\ns=a.b\r\n", "", 0 },
};

/* A rule for everything. */
#define RULES \
	"node: test\nhiding: { guard: block }\n" \
	"headers:\n" \
	"  every: [{ remove: [Warning, \"X-B*\"] }, { set: X-Set, value: \"${from-user}/${source-address}\" }, { add: X-Add, value: one }, " \
	"{ rename: Subject, to: X-Old }, { copy: Date, to: X-Date }, { keep: [User-Agent, \"X-*\"] }, { mask: [X-A] }]\n" \
	"zones:\n" \
	"  public: { listen: [\"udp:203.0.113.10:5060\"], domains: [\"example.com\"], headers: { in: every, out: every }, " \
	"privacy: { mask: [from, to, pai, sdp-origin], identity: remove }, identity: mask }\n" \
	"  core: { listen: [\"udp:10.0.0.10:5060\"], trust: [\"10.0.0.0/24\"], headers: { in: every, out: every }, " \
	"privacy: { mask: [from, to, pai, sdp-origin] } }\n" \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }], headers: { in: every, out: every } } }\n" \
	"routes: [{ when: { zone: public, caller: any }, to: { pool: apps }, headers: { in: every, out: every } }, " \
	"{ when: { zone: core }, to: { pool: apps } }]\n"

static void what_is_read_as_a_whole_takes_no_longer(void **state)
{
	static const char *const yamls[] = { FLOW_ONE, RULES };
	struct slow s = { .worst = "" };

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct flow f;

		flow_begin(&f, yamls[k], 1, 1);
		for (unsigned i = 0; i < sizeof(fillings) / sizeof(*fillings); i++) {
			const struct filling *x = &fillings[i];

			time_one(f.rig, &s, x->what, "192.0.2.30:5060", EDGE, filled(x->head, x->pattern, x->tail, x->size ? x->size : 60000));
			rig_after(f.rig, 700000);
			rig_forget(f.rig, "192.0.2.30:5060");
		}
		for (unsigned i = 0; k && i < sizeof(floods) / sizeof(*floods); i++) {
			time_one(f.rig, &s, floods[i].what, "192.0.2.30:5060", EDGE,
			         lines(BEGIN("INVITE"), floods[i].name, floods[i].pattern, END, 4, 16000));
			time_one(f.rig, &s, floods[i].what, "192.0.2.30:5060", EDGE,
			         lines(BEGIN("MESSAGE"), floods[i].name, floods[i].pattern, END, 150, 400));
			rig_after(f.rig, 700000);
		}
		print_message("slowest: %s, %lu us\n", s.worst, (unsigned long)s.worst_us);
		flow_drop(&f);
	}
}

/* Bob's answers, filled in the same ways. */
static void no_answer_takes_long(void **state)
{
	struct slow s = { .worst = "" };
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	for (unsigned i = 0; i < sizeof(floods) / sizeof(*floods); i++)
		for (unsigned k = 0; k < 3; k++) {
			static const unsigned statuses[] = { 180, 200, 302 };
			const struct flood *x = &floods[i];
			char head[1024];

			if (!strncmp(x->name, "Via", 3))
				continue; /* not ours any more */
			invite_number(&f, "192.0.2.30:5060", i * 3 + k);
			rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
			snprintf(head, sizeof(head), "SIP/2.0 %u A.b\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=bob%u\r\nCall-ID: %s\r\nCSeq: %s\r\n%s",
			         statuses[k], got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO), k,
			         got_value(&f.at_bob, HDR_CALL_ID), got_value(&f.at_bob, HDR_CSEQ),
			         strncmp(x->name, "Contact", 7) ? "Contact: <sip:bob@10.0.0.21>\r\n" : "");
			time_one(f.rig, &s, x->what, BOB, CORE, lines(head, x->name, x->pattern, END, 4, 16000));
			rig_after(f.rig, 700000);
			rig_forget(f.rig, BOB);
			rig_forget(f.rig, "192.0.2.30:5060");
		}
	print_message("slowest: %s, %lu us\n", s.worst, (unsigned long)s.worst_us);
	flow_drop(&f);
}

/* A late offer with thousands of streams whose caller never acknowledges: we refuse them all (RFC 3264 §6). */
static void thousands_of_streams_refused(void **state)
{
	struct flow f;
	char *sdp = filled("v=0\r\no=b 1 1 IN IP4 10.0.0.21\r\ns=-\r\nt=0 0\r\n", "m=audio 4000 RTP/AVP 0\r\n", "", 12000);
	unsigned streams = 0, refused = 0;
	uint64_t at;

	(void)state;
	for (const char *p = sdp; (p = strstr(p, "m=audio")); p++)
		streams++;
	flow_begin(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlate\nMax-Forwards: 70\n"
	        "From: <sip:alice@example.com>;tag=alice\nTo: <sip:bob@example.com>\nCall-ID: late\nCSeq: 1 INVITE\n"
	        "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(f.rig, BOB, "INVITE ", &f.at_bob);
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", sdp);
	rig_after(f.rig, SIP_TIMEOUT - 1);
	rig_forget(f.rig, BOB);
	at = cpu_ns();
	rig_after(f.rig, 100);
	at = (cpu_ns() - at) / 1000;
	rig_expect(f.rig, BOB, "ACK ", &f.at_bob);
	for (const char *p = f.at_bob.packet->bytes; (p = strstr(p, "m=audio 0 RTP/AVP 0\r\n")); p++)
		refused++;
	assert_int_equal(refused, streams);
	assert_true(refused > 400);
	assert_true(IS_SLOW || at < MESSAGE_MAX_US);
	rig_expect(f.rig, BOB, "BYE ", &f.at_bob);
	free(sdp);
	flow_end(&f);
}

/* Forgeries -------------------------------------------------------------------------------------------------------- */

static char *token_like(struct rig *r, char text[TOKEN_LEN + 1])
{
	for (unsigned i = 0; i < TOKEN_LEN; i++)
		text[i] = "abcdefghijklmnopqrstuvwxyz234567"[rig_random(r, 32)];
	text[TOKEN_LEN] = '\0';
	return text;
}

static void forgery(struct flow *f, unsigned kind, char *text, size_t size)
{
	char a[TOKEN_LEN + 1], b[TOKEN_LEN + 1];

	token_like(f->rig, a);
	token_like(f->rig, b);
	if (kind == 0)
		snprintf(text, size,
		         "BYE sip:%s@203.0.113.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK%s\r\nFrom: <sip:x@y>;tag=alice\r\n"
		         "To: <sip:z@y>;tag=%s\r\nCall-ID: alice-call@192.0.2.10\r\nCSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n",
		         a, b, b);
	else if (kind == 1)
		snprintf(text, size,
		         "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bK%s\r\nFrom: <sip:x@y>;tag=%s\r\nTo: <sip:z@y>;tag=b\r\n"
		         "Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:x@10.0.0.21>\r\nContent-Length: 0\r\n\r\n",
		         a, b, b);
	else if (kind == 2) /* the call's own token, a tag that is none */
		snprintf(text, size,
		         "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK%s\r\nFrom: <sip:x@y>;tag=alice\r\n"
		         "To: <sip:z@y>;tag=%s\r\nCall-ID: alice-call@192.0.2.10\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
		         f->near_contact, b, a);
	else /* everything right but the CSeq: an ACK of nothing */
		snprintf(text, size,
		         "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK%s\r\nFrom: <sip:x@y>;tag=alice\r\n"
		         "To: %s\r\nCall-ID: alice-call@192.0.2.10\r\nCSeq: %lu ACK\r\nContent-Length: 0\r\n\r\n",
		         f->near_contact, b, f->near_to, (unsigned long)(100 + rig_random(f->rig, 1000)));
}

static void forgeries_leave_no_trace(void **state)
{
	struct flow f;
	struct addr from;
	uint16_t edge;
	size_t held;
	char text[1024];

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	rig_after(f.rig, 100000); /* transactions are gone, the call is not */
	rig_forget(f.rig, BOB);
	held = rig_in_use(f.rig);
	edge = rig_listener(f.rig, EDGE);
	assert_int_equal(addr_parse(&from, SV("192.0.2.66:5060")), 0);
	for (unsigned i = 0; i < FORGERIES; i++) {
		forgery(&f, i % 4, text, sizeof(text));
		rig_send_bytes(f.rig, &from, edge, text, strlen(text));
		rig_after(f.rig, 0);
		if (i % 1000 == 0)
			rig_forget(f.rig, "192.0.2.66:5060");
	}
	assert_int_equal(rig_in_use(f.rig), held);
	assert_int_equal(rig_calls(f.rig), 1);
	assert_int_equal(counter_get(&f.rig->workers[0].counters, RESPONSES_FORGED), FORGERIES / 4);
	assert_int_equal(counter_get(&f.rig->workers[0].counters, REQUESTS_FORGED), FORGERIES / 2);
	assert_int_equal(rig_count(f.rig, STRAY_ACKS), FORGERIES / 4);
	rig_expect_silence(f.rig, BOB);
	bye_by_alice(&f);
	flow_end(&f);
}

/* What was found ------------------------------------------------------------------------------------------------------ */

static void a_fault_within_a_dialog_is_answered_with_one_tag(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	rig_say(f.rig, ALICE, EDGE, "",
	        "INFO %s SIP/1.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKold\nMax-Forwards: 70\nFrom: <sip:alice@example.com>;tag=alice\n"
	        "To: %s\nCall-ID: alice-call@192.0.2.10\nCSeq: 2 INFO\n",
	        f.near_contact, f.near_to);
	rig_expect(f.rig, ALICE, "SIP/2.0 505", &f.at_alice);
	assert_string_equal(got_value(&f.at_alice, HDR_TO), f.near_to);
	bye_by_alice(&f);
	flow_end(&f);
}

/* A challenge whose only parameter does not pass, folded behind its scheme: nothing may be left that ends the headers. */
static void a_challenge_of_nothing_but_a_domain(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	flow_bob_answers(&f, 401, "WWW-Authenticate: Digest\n domain=\"sip:10.0.0.21\"\nX-After: here\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 401");
	assert_false(got_has(&f.at_alice, "10.0.0.21"));
	assert_true(got_has(&f.at_alice, "\r\nX-After: here\r\n"));
	flow_end(&f);
}

/* Containers have underscores in their names. */
static void names_with_underscores_are_hidden(void **state)
{
	struct flow f;

	(void)state;
	flow_begin(&f, FLOW_ONE, 1, 1);
	flow_invite(&f, BOB);
	rig_say(f.rig, BOB, CORE, "",
	        "SIP/2.0 180 Ringing\nVia: %s\nFrom: %s\nTo: %s;tag=bob\nCall-ID: %s\nCSeq: %s\nContact: <sip:bob@media_1:5060>\n"
	        "X-One: media_1\nX-Two: at sip:media_1:5060, or so\nX-Three: a:b:c:media_1\nX-Four: media_2\nX-Five: 10.0.0.21_5060\n",
	        got_value(&f.at_bob, HDR_VIA), got_value(&f.at_bob, HDR_FROM), got_value(&f.at_bob, HDR_TO), got_value(&f.at_bob, HDR_CALL_ID),
	        got_value(&f.at_bob, HDR_CSEQ));
	flow_expect_at_alice(&f, "SIP/2.0 180");
	assert_false(got_has(&f.at_alice, "media_1"));
	assert_false(got_has(&f.at_alice, "10.0.0.21"));
	assert_true(got_has(&f.at_alice, "X-Four: media_2"));
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_per_worker),
		cmocka_unit_test(requests_within_one_call),
		cmocka_unit_test(forks_of_one_call),
		cmocka_unit_test(requests_that_wait_for_names),
		cmocka_unit_test(transactions),
		cmocka_unit_test(a_full_mailbox),
		cmocka_unit_test(messages_of_64_KiB),
		cmocka_unit_test(answers_of_64_KiB),
		cmocka_unit_test(no_message_takes_long),
		cmocka_unit_test(what_is_read_as_a_whole_takes_no_longer),
		cmocka_unit_test(no_answer_takes_long),
		cmocka_unit_test(thousands_of_streams_refused),
		cmocka_unit_test(forgeries_leave_no_trace),
		cmocka_unit_test(a_fault_within_a_dialog_is_answered_with_one_tag),
		cmocka_unit_test(a_challenge_of_nothing_but_a_domain),
		cmocka_unit_test(names_with_underscores_are_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
