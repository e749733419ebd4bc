/* WebSockets over the real loopback: RFC 6455 and RFC 7118, as a server and as a client. */
#include "tests/unit/transports/rig.h"
#include "transports/ws.h"
#include <malloc.h>
#include <sys/resource.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define LINE "GET /sip HTTP/1.1\r\n"
#define FIELDS "Host: sip.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
#define KEYS "Sec-WebSocket-Key: " KEY "\r\n"
#define SIP "Sec-WebSocket-Protocol: sip\r\n"
#define REQUEST LINE FIELDS KEYS SIP "\r\n"
#define OPT "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/WS x.invalid\r\n\r\n"
#define OK "SIP/2.0 200 OK\r\nVia: SIP/2.0/WS x.invalid\r\n\r\n"

enum { SOLE, RAW, SHARED };      /* ws alone; tcp, and the ws that has its port */

static const struct sv home[] = { { "https://phone.example.com", 25 } };

static uint16_t free_port(void)
{
	struct addr a;

	close(plain_socket(SOCK_STREAM, 4, &a));
	return a.port;
}

static int setup(void **state)
{
	struct addr both = loopback(4, free_port());
	struct listener l[] = {
		[SOLE] = { .transport = T_WS, .is_active = true, .bind = loopback(4, 0) },
		[RAW] = { .transport = T_TCP, .is_active = true, .bind = both },
		[SHARED] = { .transport = T_WS, .is_active = true, .bind = both },
	};
	struct one *o = calloc(1, sizeof *o);
	struct listen_set *set = NULL;
	char error[256];

	if (sockets_open(&set, l, 3, 1, NULL, error, sizeof error))
		fail_msg("%s", error);
	o->rig = rig_new(set, 0, 0);
	o->rig->rules = (struct upgrade_rules){ .path = SV("/sip"), .origins = home, .n_origins = 1 };
	for (size_t i = 0; i < 3; i++)
		o->at[i] = *listen_set_addr(set, i);
	listen_set_free(set);
	*state = o;
	return 0;
}

/* What the other side does ---------------------------------------------------------------------------------------- */

/* A frame of a client's: masked, whatever it is. */
static size_t make_frame(uint8_t first, const char *payload, size_t len, uint8_t *out)
{
	static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	size_t n = 2;

	out[0] = first;
	out[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
	if (len >= 126) {
		out[n++] = (uint8_t)(len >> 8);
		out[n++] = (uint8_t)len;
	}
	memcpy(out + n, mask, 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		out[n++] = (uint8_t)payload[i] ^ mask[i % 4];
	return n;
}

static void write_frame(int fd, uint8_t first, const char *payload, size_t len)
{
	uint8_t wire[2048];

	write_all(fd, (char *)wire, make_frame(first, payload, len, wire));
}

static void write_text(int fd, uint8_t first, const char *text)
{
	write_frame(fd, first, text, strlen(text));
}

static void read_exactly(struct rig *r, int fd, void *out, size_t len)
{
	for (size_t at = 0; at < len; ) {
		ssize_t n;

		until(r, is_readable(fd));
		n = recv(fd, (char *)out + at, len - at, MSG_DONTWAIT);
		assert_true(n > 0);
		at += (size_t)n;
	}
}

struct wire_frame {
	uint8_t first;
	bool is_masked;
	char payload[2048];
	size_t len;
};

static struct wire_frame read_frame(struct rig *r, int fd)
{
	struct wire_frame f = { 0 };
	uint8_t head[2], size[2], mask[4] = { 0 };

	read_exactly(r, fd, head, 2);
	f.first = head[0];
	f.is_masked = head[1] & 0x80;
	f.len = head[1] & 0x7f;
	if (f.len == 126) {
		read_exactly(r, fd, size, 2);
		f.len = (size_t)size[0] << 8 | size[1];
	}
	assert_true(f.len < sizeof f.payload);
	if (f.is_masked)
		read_exactly(r, fd, mask, 4);
	read_exactly(r, fd, f.payload, f.len);
	for (size_t i = 0; i < f.len; i++)
		f.payload[i] = (char)(f.payload[i] ^ mask[i % 4]);
	return f;
}

static void expect_frame(struct rig *r, int fd, uint8_t first, const char *payload)
{
	struct wire_frame f = read_frame(r, fd);

	assert_int_equal(f.first, first);
	assert_false(f.is_masked);
	assert_string_equal(f.payload, payload);
}

/* A Close with this code, and then the end. */
static void expect_close(struct rig *r, int fd, unsigned code)
{
	struct wire_frame f = read_frame(r, fd);
	char end;

	assert_int_equal(f.first, 0x88);
	assert_int_equal(f.len, 2);
	assert_int_equal((uint8_t)f.payload[0] << 8 | (uint8_t)f.payload[1], code);
	until(r, is_readable(fd));
	assert_int_equal(recv(fd, &end, 1, MSG_DONTWAIT), 0);
	close(fd);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(r->n_closed, 1);
}

/* Up to the empty line. */
static void read_head(struct rig *r, int fd, char *out, size_t size)
{
	size_t len = 0;

	do {
		assert_true(len + 1 < size);
		read_exactly(r, fd, out + len++, 1);
		out[len] = '\0';
	} while (len < 4 || strcmp(out + len - 4, "\r\n\r\n") != 0);
}

static int open_ws(struct one *o, size_t listener)
{
	struct addr me;
	int fd = dial(o->rig, &o->at[listener], &me);
	char head[UPGRADE_ANSWER_MAX + 1];

	write_all(fd, REQUEST, strlen(REQUEST));
	read_head(o->rig, fd, head, sizeof head);
	assert_memory_equal(head, "HTTP/1.1 101 ", 13);
	assert_non_null(strstr(head, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	return fd;
}

/* Messages -------------------------------------------------------------------------------------------------------- */

static void a_message_and_its_answer(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);

	r->answer = buf_copy(SV(OK));
	write_text(fd, 0x81, OPT);
	expect_frame(r, fd, 0x81, OK);
	assert_int_equal(r->n_seen, 1);
	assert_string_equal(r->seen[0].bytes, OPT);
	assert_false(r->seen[0].is_broken);
	assert_int_equal(r->seen[0].from.transport, T_WS);
	assert_int_equal(r->seen[0].from.listener, SOLE);
	write_text(fd, 0x82, OPT); /* ours are of the kind that theirs was last */
	expect_frame(r, fd, 0x82, OK);
	assert_int_equal(count(r, NET_WS_UPGRADED), 1);
	assert_int_equal(count(r, NET_TCP_SENT), 2);
	assert_int_equal(count(r, NET_TCP_RECEIVED), 2);
	close(fd);
	until(r, r->n_closed == 1);
	assert_int_equal(r->closed[0], r->seen[0].from.flow);
	assert_int_equal(count(r, NET_CLOSED_PEER), 1);
}

/* A long answer has a longer head, and what is no UTF-8 is no text. */
static void what_is_no_text_goes_as_binary(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);
	char text[1001] = "";

	memset(text, 'a', 1000);
	text[500] = '\xff';
	r->answer = buf_copy(sv_from(text));
	write_text(fd, 0x81, OPT);
	expect_frame(r, fd, 0x82, text);
	buf_put(r->answer);
	memset(text, 'b', 1000);
	r->answer = buf_copy(sv_from(text));
	write_text(fd, 0x81, OPT);
	expect_frame(r, fd, 0x81, text);
	close(fd);
}

static void byte_by_byte(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	uint8_t wire[sizeof REQUEST + 512];
	size_t len = sizeof REQUEST - 1;
	struct addr me;
	char got[2048];
	int fd = dial(r, &o->at[SOLE], &me);

	memcpy(wire, REQUEST, len);
	len += make_frame(0x01, OPT, 20, wire + len);
	len += make_frame(0x80, &OPT[20], strlen(OPT) - 20, wire + len);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(r->n_seen, 0);
		write_all(fd, (char *)wire + i, 1);
		turn(r);
	}
	until(r, r->n_seen == 1);
	assert_string_equal(r->seen[0].bytes, OPT);
	assert_int_equal(count(r, NET_TCP_HELD_BYTES), 0);
	read_now(fd, got, sizeof got);
	write_all(fd, (char *)wire + sizeof REQUEST - 1, len - sizeof REQUEST + 1); /* again, in one */
	until(r, r->n_seen == 2);
	close(fd);
}

/* The upgrade and the first message may come in one piece: nobody asks for it, and nothing is lost. */
static void a_message_behind_the_request(void **state)
{
	struct one *o = *state;
	uint8_t wire[sizeof REQUEST + 512];
	size_t len = sizeof REQUEST - 1;
	struct addr me;
	int fd = dial(o->rig, &o->at[SOLE], &me);

	memcpy(wire, REQUEST, len);
	len += make_frame(0x81, OPT, strlen(OPT), wire + len);
	write_all(fd, (char *)wire, len);
	until(o->rig, o->rig->n_seen == 1);
	assert_string_equal(o->rig->seen[0].bytes, OPT);
	close(fd);
}

/* RFC 7118 §5: one SIP message in each of WebSocket's. */
static void part_of_a_message_or_two_are_broken(void **state)
{
	static const struct {
		const char *text;
		bool is_broken;
	} cases[] = {
		{ "BYE sip:a SIP/2.0\r\nl: 4\r\n\r\nbody", false },
		{ "BYE sip:a SIP/2.0\r\n\r\nbody", false },
		{ "\r\n\r\nBYE sip:a SIP/2.0\r\nl: 0\r\n\r\n\r\n", false },
		{ "BYE sip:a SIP/2.0\r\nl: 5\r\n\r\nbody", true },
		{ "BYE sip:a SIP/2.0\r\nl: 0\r\n\r\nBYE sip:a SIP/2.0\r\nl: 0\r\n\r\n", true },
		{ "BYE sip:a SIP/2.0\r\nl: 0\r\n", true },
		{ "hello", true },
	};
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);
	size_t n_broken = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_text(fd, 0x81, cases[i].text);
		until(r, r->n_seen == i + 1);
		assert_string_equal(r->seen[i].bytes, cases[i].text);
		assert_int_equal(r->seen[i].is_broken, cases[i].is_broken);
		n_broken += cases[i].is_broken;
	}
	assert_int_equal(count(r, NET_WS_NOT_ONE), n_broken);
	assert_int_equal(sockets_connections(r->net), 1); /* where the next one begins is known */
	close(fd);
}

/* Refusals -------------------------------------------------------------------------------------------------------- */

static void expect_refusal(void **state, const char *request, unsigned status, enum net_counter which)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	char head[UPGRADE_ANSWER_MAX + 1], line[64], end, *length;
	uint64_t before = count(r, which), ended = count(r, NET_CLOSED_UPGRADE);
	struct addr me;
	int fd = dial(r, &o->at[SOLE], &me);

	write_all(fd, request, strlen(request));
	read_head(r, fd, head, sizeof head);
	snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
	assert_memory_equal(head, line, strlen(line));
	assert_non_null(length = strstr(head, "\r\nContent-Length: "));
	for (unsigned long left = strtoul(length + 18, NULL, 10); left > 0; left--) {
		until(r, is_readable(fd));
		assert_int_equal(recv(fd, &end, 1, MSG_DONTWAIT), 1);
	}
	until(r, is_readable(fd));
	assert_int_equal(recv(fd, &end, 1, MSG_DONTWAIT), 0);
	close(fd);
	until(r, sockets_connections(r->net) == 0);
	assert_int_equal(count(r, which), before + 1);
	assert_int_equal(count(r, NET_CLOSED_UPGRADE), ended + 1);
	assert_int_equal(r->n_seen, 0);
}

static void refused_upgrades(void **state)
{
	expect_refusal(state, LINE FIELDS SIP "\r\n", 400, NET_WS_REFUSED_REQUEST);
	expect_refusal(state, LINE FIELDS KEYS "\r\n", 400, NET_WS_REFUSED_REQUEST);
	expect_refusal(state, OPT, 400, NET_WS_REFUSED_REQUEST);
	expect_refusal(state, "PUT /sip HTTP/1.1\r\n\r\n", 405, NET_WS_REFUSED_REQUEST);
	expect_refusal(state, "GET / HTTP/1.1\r\n\r\n", 404, NET_WS_REFUSED_PATH);
	expect_refusal(state, LINE "Host: a\r\n\r\n", 426, NET_WS_REFUSED_VERSION);
	expect_refusal(state, LINE FIELDS KEYS SIP "Origin: https://evil.example\r\n\r\n", 403, NET_WS_REFUSED_ORIGIN);
}

static void no_room_for_an_upgrade(void **state)
{
	struct one *o = *state;

	sockets_of(o->rig->net)->held.max = 0;
	expect_refusal(state, LINE "Host: a\r\n", 503, NET_WS_REFUSED_ROOM);
}

static void an_upgrade_has_to_be_finished(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[SOLE], &me);
	char end;

	write_all(fd, LINE, strlen(LINE));
	settle(r);
	after_ms(r, NET_UPGRADE_MS - 10);
	write_all(fd, FIELDS, strlen(FIELDS)); /* buys no time */
	settle(r);
	assert_int_equal(sockets_connections(r->net), 1);
	after_ms(r, 20);
	settle(r);
	assert_int_equal(sockets_connections(r->net), 0);
	assert_int_equal(count(r, NET_CLOSED_SLOW_UPGRADE), 1);
	assert_true(recv(fd, &end, 1, MSG_DONTWAIT) <= 0);
	close(fd);
}

static void who_leaves_during_the_upgrade(void **state)
{
	struct one *o = *state;
	struct addr me;
	int fd = dial(o->rig, &o->at[SOLE], &me);

	write_all(fd, LINE, strlen(LINE));
	settle(o->rig);
	close(fd);
	until(o->rig, sockets_connections(o->rig->net) == 0);
	assert_int_equal(count(o->rig, NET_CLOSED_PEER), 1);
}

/* Bad frames ------------------------------------------------------------------------------------------------------ */

static void expect_fault(void **state, const char *wire, size_t len, unsigned code, enum net_counter which)
{
	struct one *o = *state;
	int fd = open_ws(o, SOLE);

	o->rig->n_closed = 0;
	write_all(fd, wire, len);
	expect_close(o->rig, fd, code);
	assert_int_equal(count(o->rig, which), 1);
	assert_int_equal(o->rig->n_seen, 0);
}

static void an_unmasked_frame(void **state)
{
	expect_fault(state, "\x81\x05hello", 7, WS_CODE_PROTOCOL, NET_WS_UNMASKED);
}

static void a_length_of_2_gib(void **state)
{
	expect_fault(state, "\x82\xff\0\0\0\0\x80\0\0\0mask", 14, WS_CODE_TOO_BIG, NET_WS_TOO_BIG);
	assert_int_equal(count(((struct one *)*state)->rig, NET_TCP_HELD_BYTES), 0);
}

static void text_that_is_no_utf8(void **state)
{
	expect_fault(state, "\x81\x82\0\0\0\0\xff\xfe", 8, WS_CODE_NO_TEXT, NET_WS_NO_TEXT);
}

static void garbage_behind_the_upgrade(void **state)
{
	expect_fault(state, OPT, strlen(OPT), WS_CODE_PROTOCOL, NET_WS_BAD_FRAME);
	assert_int_equal(count(((struct one *)*state)->rig, NET_CLOSED_WS), 1);
}

/* Fragments that keep coming, and never the last: the message has its deadline. */
static void a_fragment_that_never_ends(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);

	write_text(fd, 0x01, "OPTIONS ");
	settle(r);
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(sockets_connections(r->net), 1);
		write_text(fd, 0x89, "alive");
		write_text(fd, 0x00, "x");
		settle(r);
		after_ms(r, NET_MESSAGE_MS / 10);
		settle(r);
		if (sockets_connections(r->net) == 0)
			break;
	}
	assert_int_equal(sockets_connections(r->net), 0);
	assert_int_equal(count(r, NET_CLOSED_SLOW_MESSAGE), 1);
	assert_int_equal(sockets_of(r->net)->held.bytes, 0);
	close(fd);
}

static void no_room_for_a_message(void **state)
{
	struct one *o = *state;
	int fd = open_ws(o, SOLE);

	sockets_of(o->rig->net)->held.max = 0;
	write_text(fd, 0x01, "OPTIONS ");
	expect_close(o->rig, fd, WS_CODE_ERROR);
	assert_int_equal(count(o->rig, NET_CLOSED_MEMORY), 1);
}

/* Keep-alives ----------------------------------------------------------------------------------------------------- */

static void a_ping_is_answered(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);
	uint8_t wire[256];
	size_t len;

	write_text(fd, 0x89, "are you there?");
	expect_frame(r, fd, 0x8a, "are you there?");
	assert_int_equal(r->n_alive, 1);
	len = make_frame(0x89, "one", 3, wire);
	len += make_frame(0x89, "two", 3, wire + len);
	len += make_frame(0x89, "", 0, wire + len);
	len += make_frame(0x89, "four", 4, wire + len);
	write_all(fd, (char *)wire, len);
	expect_frame(r, fd, 0x8a, "four"); /* RFC 6455 §5.5.3: the last one will do */
	settle(r);
	assert_false(is_readable(fd));
	assert_int_equal(count(r, NET_TCP_PINGS), 5);
	close(fd);
}

/* A peer that pings and reads nothing makes one pong wait, and no more. */
static void pings_of_one_who_does_not_read(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE), small = 4096;
	struct path to;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	write_text(fd, 0x81, OPT);
	until(r, r->n_seen == 1);
	to = r->seen[0].from;
	while (!sockets_of(r->net)->slots[flow_slot(to.flow)].conn->is_blocked) {
		char text[4001] = "";

		memset(text, 'a', 4000);
		assert_int_equal(send_text(r, &to, text, 0), 0);
		turn(r);
	}
	for (unsigned i = 0; i < 100; i++) {
		write_text(fd, 0x89, "0123456789");
		turn(r);
	}
	settle(r);
	assert_int_equal(count(r, NET_TCP_PINGS), 100);
	assert_true(sockets_of(r->net)->queued < 8200); /* two of ours at most, and one pong */
	close(fd);
}

static void a_ping_of_ours(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);

	write_text(fd, 0x81, OPT);
	until(r, r->n_seen == 1);
	write_text(fd, 0x8a, "unasked");
	settle(r);
	assert_int_equal(count(r, NET_TCP_PONGS), 0);
	assert_int_equal(net_ping(r->net, &r->seen[0].from), 0);
	expect_frame(r, fd, 0x89, "");
	assert_int_equal(r->n_alive, 0);
	write_text(fd, 0x8a, "");
	until(r, r->n_alive == 1);
	assert_int_equal(count(r, NET_TCP_PONGS), 1);
	assert_int_equal(count(r, NET_TCP_PINGED), 1);
	assert_true(path_eq(&r->alive, &r->seen[0].from));
	close(fd);
}

/* RFC 7118 §6 with RFC 5626 §3.5.1: a client's double CRLF is answered by one in a frame; a single one is an answer. */
static void crlf_in_frames(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);

	write_text(fd, 0x81, "\r\n\r\n");
	expect_frame(r, fd, 0x81, "\r\n");
	write_text(fd, 0x82, "\r\n\r\n");
	expect_frame(r, fd, 0x82, "\r\n");
	write_text(fd, 0x81, "\r\n");
	write_text(fd, 0x81, "");
	until(r, r->n_alive == 4);
	settle(r);
	assert_false(is_readable(fd));
	assert_int_equal(r->n_seen, 0);
	close(fd);
}

/* Ends ------------------------------------------------------------------------------------------------------------ */

static void their_close_comes_back(void **state)
{
	struct one *o = *state;
	int fd = open_ws(o, SOLE);

	write_frame(fd, 0x88, "\x03\xe9gone", 6);
	expect_close(o->rig, fd, WS_CODE_GOING_AWAY);
	assert_int_equal(count(o->rig, NET_CLOSED_PEER), 1);
}

static void our_close_says_why(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);

	r->answer = buf_copy(SV(OK));
	r->closes_at_message = true;
	write_text(fd, 0x81, OPT);
	expect_frame(r, fd, 0x81, OK); /* what waits is written before */
	expect_close(r, fd, WS_CODE_NORMAL);
}

static void an_idle_one_ends(void **state)
{
	struct one *o = *state;
	int fd = open_ws(o, SOLE);

	after_ms(o->rig, NET_FIRST_MESSAGE_MS);
	expect_close(o->rig, fd, WS_CODE_GOING_AWAY);
	assert_int_equal(count(o->rig, NET_CLOSED_SILENT), 1);
}

static void two_closes_cross(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	int fd = open_ws(o, SOLE);

	write_text(fd, 0x81, OPT);
	until(r, r->n_seen == 1);
	write_frame(fd, 0x88, "\x03\xe8", 2);
	net_flow_close(r->net, r->seen[0].from.flow);
	expect_close(r, fd, WS_CODE_NORMAL);
}

/* One port for both ----------------------------------------------------------------------------------------------- */

static void a_port_for_sip_and_websocket(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int ws = open_ws(o, SHARED), raw = dial(r, &o->at[RAW], &me);

	r->answer = buf_copy(SV(OK));
	write_text(ws, 0x81, OPT);
	expect_frame(r, ws, 0x81, OK);
	assert_int_equal(r->seen[0].from.transport, T_WS);
	assert_int_equal(r->seen[0].from.listener, SHARED);
	write_all(raw, "BYE sip:a SIP/2.0\r\nl: 0\r\n\r\n", 27);
	until(r, r->n_seen == 2);
	assert_int_equal(r->seen[1].from.transport, T_TCP);
	assert_int_equal(r->seen[1].from.listener, RAW);
	close(ws);
	close(raw);
	until(r, sockets_connections(r->net) == 0);
}

static void the_first_bytes_in_pieces(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr me;
	int fd = dial(r, &o->at[RAW], &me);
	char head[512];

	for (size_t i = 0; i < sizeof REQUEST - 1; i++) {
		write_all(fd, &REQUEST[i], 1);
		turn(r);
	}
	read_head(r, fd, head, sizeof head);
	assert_memory_equal(head, "HTTP/1.1 101 ", 13);
	write_text(fd, 0x81, OPT);
	until(r, r->n_seen == 1);
	close(fd);
	until(r, sockets_connections(r->net) == 0);
	fd = dial(r, &o->at[RAW], &me);
	for (const char *c = "GETT sip:a SIP/2.0\r\nl: 0\r\n\r\n"; *c; c++) {
		write_all(fd, c, 1);
		turn(r);
	}
	until(r, r->n_seen == 2);
	assert_string_equal(r->seen[1].bytes, "GETT sip:a SIP/2.0\r\nl: 0\r\n\r\n");
	assert_int_equal(r->seen[1].from.transport, T_TCP);
	close(fd);
	until(r, sockets_connections(r->net) == 0);
	fd = dial(r, &o->at[RAW], &me);
	write_all(fd, "GE", 2);
	settle(r);
	after_ms(r, NET_MESSAGE_MS); /* a message or an upgrade, it has begun */
	until(r, count(r, NET_CLOSED_SLOW_MESSAGE) == 1);
	close(fd);
}

/* As a client ----------------------------------------------------------------------------------------------------- */

/* Takes the connection and reads its request; *key is what it asked with. */
static int take_request_for(struct rig *r, int listening, const char *line, char key[UPGRADE_KEY_LEN + 1])
{
	int fd = accept_one(r, listening, NULL);
	char head[1024], *at;

	read_head(r, fd, head, sizeof head);
	assert_memory_equal(head, line, strlen(line));
	assert_memory_equal(head + strlen(line), "Host: 127.", 10);
	assert_non_null(strstr(head, "\r\nSec-WebSocket-Protocol: sip\r\n"));
	at = strstr(head, "\r\nSec-WebSocket-Key: ");
	assert_non_null(at);
	snprintf(key, UPGRADE_KEY_LEN + 1, "%s", at + 21);
	return fd;
}

static int take_request(struct rig *r, int listening, char key[UPGRADE_KEY_LEN + 1])
{
	return take_request_for(r, listening, LINE, key);
}

static void accept_request(int fd, const char *key)
{
	char text[UPGRADE_ANSWER_MAX];

	write_all(fd, text, upgrade_answer(101, sv_from(key), text));
}

static void expect_masked(struct rig *r, int fd, uint8_t first, const char *payload)
{
	struct wire_frame f = read_frame(r, fd);

	assert_int_equal(f.first, first);
	assert_true(f.is_masked); /* RFC 6455 §5.1 */
	assert_string_equal(f.payload, payload);
}

static void a_connection_is_made_and_used_again(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there), fd;
	struct path to = path_to(there, SOLE, T_WS);
	char key[UPGRADE_KEY_LEN + 1];

	assert_int_equal(send_text(r, &to, OPT, 1), 0);
	fd = take_request(r, listening, key);
	assert_int_equal(send_text(r, &to, OPT "two", 2), 0); /* waits, too */
	settle(r);
	assert_false(is_readable(fd));
	accept_request(fd, key);
	expect_masked(r, fd, 0x81, OPT);
	expect_masked(r, fd, 0x81, OPT "two");
	write_all(fd, "\x81\x05hello", 7); /* a server does not mask */
	until(r, r->n_seen == 1);
	assert_true(addr_eq(&r->seen[0].from.remote, &there));
	assert_int_equal(net_ping(r->net, &r->seen[0].from), 0);
	expect_masked(r, fd, 0x89, "");
	write_all(fd, "\x8a\0", 2);
	until(r, count(r, NET_TCP_PONGS) == 1);
	write_all(fd, "\x89\x02hi", 4);
	expect_masked(r, fd, 0x8a, "hi");
	assert_int_equal(send_text(r, &to, OPT "three", 3), 0);
	expect_masked(r, fd, 0x81, OPT "three");
	assert_int_equal(count(r, NET_TCP_CONNECTS), 1);
	assert_int_equal(count(r, NET_TCP_SENT), 3);
	assert_int_equal(r->n_failed, 0);
	write_all(fd, "\x88\x02\x03\xe8", 4);
	expect_masked(r, fd, 0x88, "\x03\xe8");
	close(fd);
	close(listening);
}

/* Each path has a connection of its own; whoever says none takes any that leads there. */
static void a_connection_for_each_path(void **state)
{
	static const char *const paths[] = { "/One", "/one", "/" }, *const texts[] = { "1", "2", "3" };
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there), fds[3];
	struct path to = path_to(there, SOLE, T_WS);
	char key[UPGRADE_KEY_LEN + 1], line[64];

	for (unsigned i = 0; i < 3; i++) {
		to.name = net_name_for(r->net, T_WS, SV("whoever.example.com"), sv_from(paths[i]), false);
		assert_int_equal(send_text(r, &to, texts[i], 1), 0);
		snprintf(line, sizeof(line), "GET %s HTTP/1.1\r\n", paths[i]);
		fds[i] = take_request_for(r, listening, line, key);
		accept_request(fds[i], key);
		expect_masked(r, fds[i], 0x81, texts[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		to.name = net_name_for(r->net, T_WS, SV(""), sv_from(paths[i]), false);
		assert_int_equal(send_text(r, &to, texts[i], 1), 0);
		expect_masked(r, fds[i], 0x81, texts[i]);
	}
	to.name = 0;
	assert_int_equal(send_text(r, &to, OPT, 1), 0);
	settle(r);
	assert_int_equal(count(r, NET_TCP_CONNECTS), 3);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	close(listening);
}

/* A path whose number has made room while the connection was being made: no other one is asked for instead. */
static void a_path_that_is_gone(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there);
	struct path to = path_to(there, SOLE, T_WS);
	char text[32];

	to.name = net_name_for(r->net, T_WS, SV(""), SV("/x"), false);
	assert_int_equal(send_text(r, &to, OPT, 1), 0);
	for (int i = 0; i < EXPECTED_MAX; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		net_name(r->net, sv_from(text));
	}
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -ENOKEY);
	assert_int_equal(count(r, NET_CLOSED_UPGRADE), 1);
	assert_int_equal(count(r, NET_TLS_NAMES_FULL), 1);
	close(listening);
}

/* What is behind a name's number. */
static void names_with_paths(void **state)
{
	static const struct {
		uint8_t transport;
		const char *host, *path, *text;
	} names[] = {
		{ T_WS, "a.example.com", "/x", "/x" }, { T_WSS, "a.example.com.", "/x", "a.example.com/x" }, { T_WSS, "a.example.com", "", "a.example.com/" },
		{ T_WSS, "192.0.2.1", "/x", "/x" }, { T_TLS, "a.example.com", "/x", "a.example.com" }, { T_TCP, "a.example.com", "/x", "" },
	};
	char path[NET_URL_PATH_MAX + 2] = "/", host[NET_HOST_MAX + 1] = "";
	struct rig *r = ((struct one *)*state)->rig;

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint32_t id = net_name_for(r->net, names[i].transport, sv_from(names[i].host), sv_from(names[i].path), false);
		struct sv text = net_name_text(r->net, id);

		assert_int_equal(text.len, strlen(names[i].text));
		assert_memory_equal(text.len ? text.p : "", names[i].text, text.len);
	}
	memset(path + 1, 'p', NET_URL_PATH_MAX - 1);
	memset(host, 'h', NET_HOST_MAX);
	assert_int_equal(net_name_text(r->net, net_name_for(r->net, T_WSS, sv_from(host), sv_from(path), false)).len, NET_HOST_MAX + NET_URL_PATH_MAX);
	path[NET_URL_PATH_MAX] = 'p';
	assert_int_equal(net_name_for(r->net, T_WSS, sv_from(host), sv_from(path), false), NET_NAME_NOBODY);
}

static void masks_differ(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there), fd;
	struct path to = path_to(there, SOLE, T_WS);
	char key[UPGRADE_KEY_LEN + 1], one[7], two[7];

	assert_int_equal(send_text(r, &to, "a", 1), 0);
	assert_int_equal(send_text(r, &to, "a", 2), 0);
	fd = take_request(r, listening, key);
	accept_request(fd, key);
	read_exactly(r, fd, one, 7);
	read_exactly(r, fd, two, 7);
	assert_memory_equal(one, two, 2);
	assert_memory_not_equal(one + 2, two + 2, 4);
	close(fd);
	close(listening);
}

static void expect_no_upgrade(void **state, const char *answer)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there), fd;
	struct path to = path_to(there, SOLE, T_WS);
	char key[UPGRADE_KEY_LEN + 1];
	size_t before = r->n_failed;
	uint64_t refused = count(r, NET_WS_REFUSED_BY_PEER);

	assert_int_equal(send_text(r, &to, OPT, 17), 0);
	fd = take_request(r, listening, key);
	write_all(fd, answer, strlen(answer));
	until(r, r->n_failed == before + 1);
	assert_int_equal(r->failed[before].cookie, 17);
	assert_int_equal(r->failed[before].error, -EPROTO);
	assert_int_equal(count(r, NET_WS_REFUSED_BY_PEER), refused + 1);
	assert_int_equal(sockets_connections(r->net), 0);
	close(fd);
	close(listening);
}

static void answers_that_make_no_websocket(void **state)
{
	char text[UPGRADE_ANSWER_MAX + 1] = "";

	expect_no_upgrade(state, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	expect_no_upgrade(state, "SIP/2.0 400 Bad Request\r\n\r\n");
	text[upgrade_answer(101, SV(KEY), text)] = '\0'; /* to somebody else's key */
	expect_no_upgrade(state, text);
}

static void nobody_answers_the_request(void **state)
{
	struct one *o = *state;
	struct rig *r = o->rig;
	struct addr there;
	int listening = listen_somewhere(4, &there), fd;
	struct path to = path_to(there, SOLE, T_WS);
	char key[UPGRADE_KEY_LEN + 1];

	assert_int_equal(send_text(r, &to, OPT, 5), 0);
	fd = take_request(r, listening, key);
	after_ms(r, NET_UPGRADE_MS - 1);
	settle(r);
	assert_int_equal(r->n_failed, 0);
	after_ms(r, 2);
	until(r, r->n_failed == 1);
	assert_int_equal(r->failed[0].error, -ETIMEDOUT);
	assert_int_equal(count(r, NET_CLOSED_SLOW_UPGRADE), 1);
	assert_int_equal(count(r, NET_TCP_CONNECT_FAILED), 1);
	close(fd);
	close(listening);
}

/* Memory ---------------------------------------------------------------------------------------------------------- */

static size_t memory(struct rig *r)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd + ((sockets_of(r->net)->conns.pages + sockets_of(r->net)->websockets.pages) << 16);
}

static void allow_files(rlim_t n)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

/* Issue figures: 17 KiB per idle WSS connection where TLS may have 16; of these ours are few. */
static void an_idle_websocket_is_small(void **state)
{
	enum { N = 1000 };
	struct one *o = *state;
	struct rig *r = o->rig;
	int *fds = calloc(N, sizeof *fds);
	size_t before, per_one;

	allow_files(3 * N);
	fds[0] = open_ws(o, SOLE);
	before = memory(r);
	for (size_t i = 1; i < N; i++)
		fds[i] = open_ws(o, SOLE);
	per_one = (memory(r) - before) / (N - 1);
	print_message("idle WebSocket: %zu bytes, %zu of them its connection's object\n", per_one, sizeof(struct conn));
	assert_true(per_one >= sizeof(struct conn) / 2); /* or the measurement does not measure */
	assert_true(per_one <= 1024);
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	until(r, sockets_connections(r->net) == 0);
	free(fds);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, one_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_and_its_answer),
		TEST(what_is_no_text_goes_as_binary),
		TEST(byte_by_byte),
		TEST(a_message_behind_the_request),
		TEST(part_of_a_message_or_two_are_broken),
		TEST(refused_upgrades),
		TEST(no_room_for_an_upgrade),
		TEST(an_upgrade_has_to_be_finished),
		TEST(who_leaves_during_the_upgrade),
		TEST(an_unmasked_frame),
		TEST(a_length_of_2_gib),
		TEST(text_that_is_no_utf8),
		TEST(garbage_behind_the_upgrade),
		TEST(a_fragment_that_never_ends),
		TEST(no_room_for_a_message),
		TEST(a_ping_is_answered),
		TEST(pings_of_one_who_does_not_read),
		TEST(a_ping_of_ours),
		TEST(crlf_in_frames),
		TEST(their_close_comes_back),
		TEST(our_close_says_why),
		TEST(an_idle_one_ends),
		TEST(two_closes_cross),
		TEST(a_port_for_sip_and_websocket),
		TEST(the_first_bytes_in_pieces),
		TEST(a_connection_is_made_and_used_again),
		TEST(a_connection_for_each_path),
		TEST(a_path_that_is_gone),
		TEST(names_with_paths),
		TEST(masks_differ),
		TEST(answers_that_make_no_websocket),
		TEST(nobody_answers_the_request),
		TEST(an_idle_websocket_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
