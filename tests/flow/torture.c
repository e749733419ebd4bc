/* RFC 4475's messages through a whole node, over UDP and over TCP: each gets what the column `stack` of expect.txt says is right, the
 * node is untouched, and an ordinary call works afterwards. */
#include "tests/flow/flow.h"
#include "transports/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define DATA SOURCE_DIR "/tests/data/rfc4475/"
#define MALLORY "192.0.2.66:5060"

/* Every domain of the RFC's messages may be called. */
#define TORTURE_YAML \
	FLOW_ZONES \
	"pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n" \
	"routes: [{ when: { zone: public, caller: any }, relay: true, to: { pool: apps } }, { when: { zone: core }, to: { pool: apps } }]\n"

struct message {
	char name[40], stack[40];
	size_t len;
	char bytes[NET_MESSAGE_MAX + BUF_PAD];
};

static bool message_next(FILE *list, struct message *m)
{
	char line[200], path[512];
	FILE *f;

	do
		if (!fgets(line, sizeof(line), list))
			return false;
	while (line[0] == '#');
	assert_int_equal(sscanf(line, "%39s %*s %*s %*s %*s %39s", m->name, m->stack), 2);
	snprintf(path, sizeof(path), DATA "%s.dat", m->name);
	memset(m->bytes, 0, sizeof(m->bytes));
	assert_non_null(f = fopen(path, "rb"));
	m->len = fread(m->bytes, 1, NET_MESSAGE_MAX, f);
	fclose(f);
	return true;
}

static void send_datagram(struct rig *r, const struct message *m)
{
	struct addr from;

	assert_int_equal(addr_parse(&from, SV(MALLORY)), 0);
	rig_send_bytes(r, &from, rig_listener(r, EDGE), m->bytes, m->len);
	rig_after(r, 0);
}

/* The whole file is one connection's bytes: what the framing makes of it is what the node gets. */
static void send_stream(struct rig *r, const struct message *m)
{
	struct path path = { .listener = rig_listener(r, EDGE_TCP), .transport = T_TCP };
	struct stream_budget budget = { .max = 1 << 20 };
	struct stream stream = { .held = NULL };
	struct worker *w = &r->workers[0];
	char *copy = malloc(m->len + BUF_PAD);
	struct stream_message in = { copy, m->len }, out;
	enum stream_got got;

	assert_non_null(copy);
	memcpy(copy, m->bytes, m->len + BUF_PAD);
	assert_int_equal(addr_parse(&path.remote, SV(MALLORY)), 0);
	while ((got = stream_next(&stream, &budget, &in, &out)) == STREAM_MESSAGE || got == STREAM_BROKEN || got == STREAM_PING)
		if (got != STREAM_PING)
			worker_handler(w).on_message(w, &path, out.p, out.len, got == STREAM_BROKEN);
	stream_fini(&stream, &budget);
	free(copy);
	rig_after(r, 0);
}

/* What became of it: the highest status that its sender got (0: none), and whether Bob got a request. */
struct outcome {
	unsigned status;
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
		if (strncmp(p->bytes, "SIP/2.0 ", 8) != 0)
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
static const char *stack_of(const struct message *m, bool is_stream)
{
	if (!strcmp(m->name, "wsinv"))
		return "481"; /* its To has a tag, and it is none of ours */
	if (!strcmp(m->name, "mpart01"))
		return "403"; /* it brings a Route, from somebody whom we do not trust */
	if (!strcmp(m->name, "inv2543"))
		return "400"; /* no Contact */
	if (is_stream && !strcmp(m->name, "dblreq"))
		return "pass|both"; /* on a stream the second is a request, too, an INVITE without Contact */
	if (is_stream && !strcmp(m->name, "clerr"))
		return "drop"; /* the rest of the body may still come */
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

static void each_message(void (*send)(struct rig *r, const struct message *m), bool is_stream)
{
	FILE *list = fopen(DATA "expect.txt", "r");
	struct message *m = malloc(sizeof(*m));
	unsigned wrong = 0, n = 0;
	struct outcome o;
	struct flow f;

	assert_true(list && m);
	flow_begin(&f, TORTURE_YAML, 1, 1);
	for (; message_next(list, m); n++) {
		send(f.rig, m);
		look(f.rig, &o);
		if (!is_right(stack_of(m, is_stream), &o) && !(is_stream && o.status == 400 && !has_length(m))) {
			print_error("%s: %s, and %s; expected %s\n", m->name, o.has_passed ? "passed" : "not passed",
			            o.status ? "answered" : "no answer", m->stack);
			print_error("    status %u\n", o.status);
			wrong++;
		}
		rig_after(f.rig, 800000);
		rig_forget(f.rig, MALLORY);
		rig_forget(f.rig, BOB);
		while (!list_empty(&f.rig->inbox)) { /* what went to addresses that the messages name */
			struct packet *p = owner_of(f.rig->inbox.next, struct packet, in_list);

			list_del(&p->in_list);
			free(p);
		}
		assert_int_equal(rig_in_use(f.rig), 0);
	}
	assert_int_equal(n, 49);
	assert_int_equal(wrong, 0);
	fclose(list);
	free(m);
	ordinary_call(&f);
	flow_end(&f);
}

static void over_udp(void **state)
{
	(void)state;
	each_message(send_datagram, false);
}

static void over_tcp(void **state)
{
	(void)state;
	each_message(send_stream, true);
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
		cmocka_unit_test(unsupported_extensions_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
