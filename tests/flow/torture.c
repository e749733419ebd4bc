/* RFC 4475's and RFC 5118's messages through a whole node, over UDP and over TCP, there whole, byte by byte, and between others in one
 * piece: each gets what the column `stack` of expect.txt says is right, the node is untouched, and an ordinary call works afterwards. */
#include "tests/flow/flow.h"
#include "transports/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define DATA SOURCE_DIR "/tests/data/"

/* Every domain of the RFCs' messages may be called. */
#define TORTURE_YAML \
	"node: test\n" \
	"zones:\n" \
	"  public:\n" \
	"    listen: [\"udp:203.0.113.10:5060\", \"tcp:203.0.113.10:5060\", \"udp:[2001:db8::10]:5060\", \"tcp:[2001:db8::10]:5060\"]\n" \
	"    domains: [\"example.com\"]\n" \
	"  core:\n" \
	"    listen: [\"udp:10.0.0.10:5060\", \"tcp:10.0.0.10:5060\"]\n" \
	"    trust: [\"10.0.0.0/24\"]\n" \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, relay: true, to: { pool: apps } }, { when: { zone: core }, to: { pool: apps } }]\n"

struct message {
	char name[40], stack[40];
	size_t len;
	char bytes[NET_MESSAGE_MAX + BUF_PAD];
};

/* Which messages, and where their sender sits. */
struct corpus {
	const char *folder, *mallory, *udp, *tcp;
	unsigned n;
};
static const struct corpus rfc4475 = { "rfc4475", "192.0.2.66:5060", EDGE, EDGE_TCP, 49 };
static const struct corpus rfc5118 = { "rfc5118", "[2001:db8::66]:5060", "udp:[2001:db8::10]:5060", "tcp:[2001:db8::10]:5060", 12 };

enum manner { DATAGRAM, STREAM, BYTE_BY_BYTE, GLUED };

static bool message_next(const struct corpus *c, FILE *list, struct message *m)
{
	char line[200], path[512];
	FILE *f;

	do
		if (!fgets(line, sizeof(line), list))
			return false;
	while (line[0] == '#');
	assert_int_equal(sscanf(line, "%39s", m->name), 1);
	assert_int_equal(sscanf(strrchr(line, ' '), "%39s", m->stack), 1);
	snprintf(path, sizeof(path), DATA "%s/%s.dat", c->folder, m->name);
	memset(m->bytes, 0, sizeof(m->bytes));
	assert_non_null(f = fopen(path, "rb"));
	m->len = fread(m->bytes, 1, NET_MESSAGE_MAX, f);
	fclose(f);
	return true;
}

static void send_datagram(struct rig *r, const struct corpus *c, const struct message *m)
{
	struct addr from;

	assert_int_equal(addr_parse(&from, sv_from(c->mallory)), 0);
	rig_send_bytes(r, &from, rig_listener(r, c->udp), m->bytes, m->len);
	rig_after(r, 0);
}

/* One connection, as the node sees it. */
struct connection {
	struct worker *w;
	struct path path;
	struct stream_budget budget;
	struct stream stream;
	bool is_over;
};

/* Bytes that were read at once: what the framing makes of them is what the node gets. */
static void feed(struct connection *c, const char *bytes, size_t len)
{
	char *copy = malloc(len + BUF_PAD);
	struct stream_message in = { copy, len }, out;
	enum stream_got got;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	memset(copy + len, 0, BUF_PAD);
	while (!c->is_over && (got = stream_next(&c->stream, &c->budget, &in, &out)) != STREAM_MORE) {
		if (got == STREAM_MESSAGE || got == STREAM_BROKEN)
			worker_handler(c->w).on_message(c->w, &c->path, out.p, out.len, got == STREAM_BROKEN);
		c->is_over = got != STREAM_MESSAGE && got != STREAM_PING;
	}
	free(copy);
}

static void glue(char *area, size_t *len, const char *call_id)
{
	*len += (size_t)sprintf(area + *len,
	                        "OPTIONS sip:203.0.113.10 SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK%s\r\nFrom: <sip:a@b>;tag=1\r\n"
	                        "To: <sip:203.0.113.10>\r\nCall-ID: %s@glue\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
	                        call_id, call_id);
}

/* In one piece with one message before it and one behind. */
static void feed_glued(struct connection *c, const struct message *m)
{
	char *area = malloc(m->len + 2048);
	size_t len = 0;

	assert_non_null(area);
	glue(area, &len, "before");
	memcpy(area + len, m->bytes, m->len);
	len += m->len;
	glue(area, &len, "behind");
	feed(c, area, len);
	free(area);
}

static void send_stream(struct rig *r, const struct corpus *corpus, const struct message *m, enum manner manner)
{
	struct connection c = { .w = &r->workers[0], .path = { .listener = rig_listener(r, corpus->tcp), .transport = T_TCP },
	                        .budget = { .max = 1 << 20 } };

	assert_int_equal(addr_parse(&c.path.remote, sv_from(corpus->mallory)), 0);
	if (manner == STREAM)
		feed(&c, m->bytes, m->len);
	else if (manner == GLUED)
		feed_glued(&c, m);
	else
		for (size_t i = 0; i < m->len; i++)
			feed(&c, m->bytes + i, 1);
	stream_fini(&c.stream, &c.budget);
	rig_after(r, 0);
}

/* What became of it: the highest status that its sender got (0: none), whether Bob got a request, and how many of the messages around
 * it were answered. */
struct outcome {
	unsigned status, n_around;
	bool has_passed;
};

static void look(struct rig *r, struct outcome *o)
{
	struct view_fault fault;
	struct view v;

	*o = (struct outcome){ 0 };
	list_each(n, &r->inbox) {
		const struct packet *p = owner_of(n, struct packet, in_list);
		int err = view_scan(&v, p->bytes, p->len, false, &fault);

		if (err && !strstr(p->bytes, "SIP/2.0 400")) /* a refusal repeats what it refuses */
			fail_msg("malformed (%s):\n%s", fault.reason, p->bytes);
		if (strstr(p->bytes, "@glue"))
			o->n_around++;
		else if (strncmp(p->bytes, "SIP/2.0 ", 8) != 0)
			o->has_passed = true;
		else if ((unsigned)atoi(p->bytes + 8) > o->status)
			o->status = (unsigned)atoi(p->bytes + 8);
	}
}

static bool is_right(const char *stack, const struct outcome *o)
{
	char copy[40], *rest = copy, *one;

	snprintf(copy, sizeof(copy), "%s", stack);
	while ((one = strsep(&rest, "|"))) {
		if (!strcmp(one, "pass") && o->has_passed && (o->status < 200 || strstr(stack, "both")))
			return true;
		if (!strcmp(one, "drop") && !o->has_passed && !o->status)
			return true;
		if (atoi(one) && (unsigned)atoi(one) == o->status && !o->has_passed)
			return true;
	}
	return false;
}

/* Where a node that hides topologies, or a stream, has a merit of its own to go by. */
static const char *stack_of(const struct message *m, enum manner manner)
{
	if (!strcmp(m->name, "wsinv"))
		return "481"; /* its To has a tag, and it is none of ours */
	if (!strcmp(m->name, "mpart01"))
		return "403"; /* it brings a Route, from somebody whom we do not trust */
	if (!strcmp(m->name, "inv2543"))
		return "400"; /* no Contact */
	if (manner != DATAGRAM && !strcmp(m->name, "dblreq"))
		return "pass|both"; /* on a stream the second is a request, too, an INVITE without Contact */
	if (manner != DATAGRAM && !strcmp(m->name, "clerr"))
		return "drop"; /* what comes next is the rest of its body */
	return m->stack;
}

/* A stream's message without Content-Length has no end: 400 is right for it whatever else it is (§18.3). */
static bool has_length(const struct message *m)
{
	static const char *const names[] = { "Content-Length", "CONTENT-LENGTH", "content-length", "\r\nl:", "\r\nl ", "\r\nL:" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (memmem(m->bytes, m->len, names[i], strlen(names[i])))
			return true;
	return false;
}

static void ordinary_call(struct flow *f)
{
	rig_forget(f->rig, ALICE);
	rig_forget(f->rig, BOB);
	flow_invite(f, BOB);
	flow_bob_answers(f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(f, "SIP/2.0 200");
	flow_ack(f);
	flow_alice_says(f, "BYE", "", "");
	flow_expect_at_bob(f, "BYE ");
	flow_bob_answers(f, 200, "", "");
	flow_expect_at_alice(f, "SIP/2.0 200");
}

/* §18.3: whoever cannot say where his message ends is not read any further; else what follows is heard, however wrong the message is. */
static unsigned around(const struct message *m)
{
	static const char *const endless[] = { "clerr", "ncl", "mcl01", "dblreq" /* three bytes behind its second request begin the next */ };

	for (unsigned i = 0; i < sizeof(endless) / sizeof(*endless); i++)
		if (!strcmp(m->name, endless[i]))
			return 1;
	return has_length(m) ? 2 : 1;
}

static bool check(const struct message *m, const struct outcome *o, enum manner manner)
{
	bool is_fine = is_right(stack_of(m, manner), o) || (manner != DATAGRAM && o->status == 400 && !has_length(m));

	if (!is_fine)
		print_error("%s: %s, status %u; expected %s\n", m->name, o->has_passed ? "passed" : "not passed", o->status, m->stack);
	if (manner != GLUED || o->n_around == around(m))
		return is_fine;
	print_error("%s: %u messages around it were answered\n", m->name, o->n_around);
	return false;
}

static void forget_all(struct rig *r)
{
	while (!list_empty(&r->inbox)) {
		struct packet *p = owner_of(r->inbox.next, struct packet, in_list);

		list_del(&p->in_list);
		free(p);
	}
}

static void each_message(const struct corpus *c, enum manner manner)
{
	char path[512];
	struct message *m = malloc(sizeof(*m));
	unsigned wrong = 0, n = 0;
	struct outcome o;
	struct flow f;
	FILE *list;

	snprintf(path, sizeof(path), DATA "%s/expect.txt", c->folder);
	list = fopen(path, "r");
	assert_true(list && m);
	flow_begin(&f, TORTURE_YAML, 1, 1);
	for (; message_next(c, list, m); n++) {
		if (manner == DATAGRAM)
			send_datagram(f.rig, c, m);
		else
			send_stream(f.rig, c, m, manner);
		look(f.rig, &o);
		wrong += !check(m, &o, manner);
		rig_after(f.rig, 800000);
		forget_all(f.rig);
		assert_int_equal(rig_in_use(f.rig), 0);
	}
	assert_int_equal(n, c->n);
	assert_int_equal(wrong, 0);
	fclose(list);
	free(m);
	ordinary_call(&f);
	flow_end(&f);
}

static void over_udp(void **state)
{
	(void)state;
	each_message(&rfc4475, DATAGRAM);
	each_message(&rfc5118, DATAGRAM);
}

static void over_tcp(void **state)
{
	(void)state;
	each_message(&rfc4475, STREAM);
	each_message(&rfc5118, STREAM);
}

static void over_tcp_byte_by_byte(void **state)
{
	(void)state;
	each_message(&rfc4475, BYTE_BY_BYTE);
	each_message(&rfc5118, BYTE_BY_BYTE);
}

static void over_tcp_glued_together(void **state)
{
	(void)state;
	each_message(&rfc4475, GLUED);
	each_message(&rfc5118, GLUED);
}

/* Which extensions they were is said in the answer. */
static void unsupported_extensions_are_named(void **state)
{
	struct flow f;

	(void)state;
	flow_answered(&f, FLOW_ONE, 1, 1);
	flow_alice_says(&f, "INFO", "Proxy-Require: one,\n two\n", "");
	flow_expect_at_alice(&f, "SIP/2.0 420 Bad Extension");
	assert_string_equal(got_value(&f.at_alice, HDR_UNSUPPORTED), "one, two");
	rig_expect_silence(f.rig, BOB);
	flow_alice_says(&f, "BYE", "Proxy-Require: one\n", "");
	flow_expect_at_bob(&f, "BYE ");
	assert_false(got_has(&f.at_bob, "Proxy-Require"));
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_udp),
		cmocka_unit_test(over_tcp),
		cmocka_unit_test(over_tcp_byte_by_byte),
		cmocka_unit_test(over_tcp_glued_together),
		cmocka_unit_test(unsupported_extensions_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
