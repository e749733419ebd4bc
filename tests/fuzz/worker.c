/* Fuzz: a whole node with one call answered, one ringing and one on its way. The input is a script. A line that begins with '%' starts
 * a step, its next byte says which:
 *	a A m v   the text below is sent to the edge: by Alice over UDP, over TCP, by a stranger, over IPv6
 *	b B c n   to the core: by Bob over UDP, over TCP, by Carol, by a stranger
 *	k         to the edge over TCP, its length unreadable
 *	i         an ICMP error to Bob that returns the text
 *	t         time: as many milliseconds as the number behind says
 *	g o z     another configuration; the operator hangs up; streams are refused from now on, or no longer
 * In a text a line ends in CRLF; $l is LF, $r CR, $0 NUL, $$ a dollar, $# the length of what lies behind the first empty line, and
 * $NX what call N's ends know: n t our Contact's user and tag towards the near end; f F C our Contact's user, tag and Call-ID towards the
 * far end; v V and q Q Via and CSeq number of our last request to the near end and to the far end; b B the branches in them. */
#include "tests/fuzz/scene.h"
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 70000, STEPS_MAX = 40, WAIT_MAX_MS = 70000 };

static char text[TEXT_MAX];

struct pen {
	size_t n, body;     /* body: where it begins, or 0 */
	size_t length_at;   /* of the four digits of $#, or 0 */
};

static void put(struct pen *p, struct sv v)
{
	if (v.len > sizeof(text) - p->n)
		v.len = sizeof(text) - p->n;
	memcpy(text + p->n, v.p, v.len);
	p->n += v.len;
}

static void put_number(struct pen *p, uint64_t n)
{
	char digits[SV_DECIMAL];

	put(p, sv_decimal(n, digits));
}

static void put_live(struct pen *p, const struct scene_call *c, char what)
{
	switch (what) {
	case 'n': put(p, sv_from(c->near_contact)); return;
	case 't': put(p, sv_from(c->near_tag)); return;
	case 'f': put(p, sv_from(c->far_contact)); return;
	case 'F': put(p, sv_from(c->far_tag)); return;
	case 'C': put(p, sv_from(c->far_call_id)); return;
	case 'v': put(p, sv_from(c->via[0])); return;
	case 'V': put(p, sv_from(c->via[1])); return;
	case 'b': put(p, sv_from(c->branch[0])); return;
	case 'B': put(p, sv_from(c->branch[1])); return;
	case 'q': put_number(p, c->cseq[0]); return;
	case 'Q': put_number(p, c->cseq[1]); return;
	default: return;
	}
}

/* `v` is behind a dollar: how many bytes of it were meant. */
static size_t put_special(struct scene *s, struct pen *p, struct sv v)
{
	if (!v.len)
		return 0;
	if (*v.p == '#') {
		p->length_at = p->n;
		put(p, SV("0000"));
	} else if (*v.p == 'l') {
		put(p, SV("\n"));
	} else if (*v.p == 'r') {
		put(p, SV("\r"));
	} else if (*v.p == '$') {
		put(p, SV("$"));
	} else if (*v.p >= '0' && *v.p < '0' + SCENE_CALLS && v.len > 1 && (v.p[1] | 0x20) >= 'a') {
		put_live(p, &s->call[*v.p - '0'], v.p[1]);
		return 2;
	} else if (*v.p == '0') {
		put(p, (struct sv){ "", 1 });
	} else {
		return 0;
	}
	return 1;
}

static struct sv expand(struct scene *s, struct sv from)
{
	struct pen p = { .n = 0 };

	for (size_t i = 0; i < from.len; i++) {
		if (from.p[i] == '\n') {
			put(&p, SV("\r\n"));
			if (!p.body && i && from.p[i - 1] == '\n')
				p.body = p.n;
		} else if (from.p[i] == '$') {
			i += put_special(s, &p, sv_skip(from, i + 1));
		} else {
			put(&p, (struct sv){ from.p + i, 1 });
		}
	}
	if (p.length_at && p.length_at + 4 <= p.n && p.body && p.n - p.body < 10000)
		for (size_t i = 0, n = p.n - p.body; i < 4; i++, n /= 10)
			text[p.length_at + 3 - i] = (char)('0' + n % 10);
	return (struct sv){ text, p.n };
}

static const struct source {
	char name;
	const char *from, *to;
} sources[] = {
	{ 'a', ALICE, EDGE }, { 'A', ALICE, EDGE_TCP }, { 'm', "192.0.2.66:5060", EDGE },
	{ 'v', "[2001:db8::66]:5060", "udp:[2001:db8::10]:5060" },
	{ 'b', BOB, CORE },   { 'B', BOB, CORE_TCP },   { 'c', CAROL, CORE },             { 'n', "198.51.100.7:5060", CORE },
	{ 'k', ALICE, EDGE_TCP },
};

static uint64_t number_of(struct sv v)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v.len && v.p[i] >= '0' && v.p[i] <= '9' && n < WAIT_MAX_MS; i++)
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	return n < WAIT_MAX_MS ? n : WAIT_MAX_MS;
}

static void icmp(struct scene *s, struct sv bytes)
{
	struct worker *w = &s->rig->workers[0];
	struct path path = { .listener = rig_listener(s->rig, CORE), .transport = T_UDP };

	if (addr_parse(&path.remote, SV(BOB)))
		abort();
	worker_handler(w).on_icmp(w, &path, bytes, ECONNREFUSED);
	rig_after(s->rig, 1);
}

static void hang_up_one(void *ctx, const struct call_info *info)
{
	*(uint64_t *)ctx = info->id;
}

static void operate(struct scene *s)
{
	struct b2bua *b = s->rig->workers[0].calls;
	uint64_t id = 0;

	b2bua_each(b, hang_up_one, &id);
	b2bua_hangup(b, id, "fuzz");
}

static void step(struct scene *s, char what, struct sv rest)
{
	size_t line = sv_chr(rest, '\n');

	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		struct sv bytes;

		if (sources[i].name != what)
			continue;
		bytes = expand(s, sv_skip(rest, line + 1));
		if (bytes.len <= NET_MESSAGE_MAX)
			scene_send(s, sources[i].from, sources[i].to, bytes.p, bytes.len, what == 'k');
		return;
	}
	if (what == 't')
		rig_after(s->rig, number_of(rest));
	else if (what == 'i')
		icmp(s, expand(s, sv_skip(rest, line + 1)));
	else if (what == 'g')
		scene_reload(s);
	else if (what == 'o')
		operate(s);
	else if (what == 'z')
		s->rig->is_refusing_streams = !s->rig->is_refusing_streams;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = { (const char *)data, size };
	struct scene s;

	if (size < 2)
		return 0;
	scene_begin(&s, 1 + (in.p[0] & 1));
	scene_call(&s, 0, SCENE_ANSWERED);
	scene_call(&s, 1, SCENE_RINGING);
	scene_call(&s, 2, SCENE_SETUP);
	for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
		size_t at = sv_find(in, SV("\n%"));
		struct sv one;

		if (at == SIZE_MAX)
			break;
		in = sv_skip(in, at + 2);
		at = sv_find(in, SV("\n%"));
		one = (struct sv){ in.p, at == SIZE_MAX ? in.len : at + 1 };
		if (one.len)
			step(&s, *one.p, sv_skip(one, 1));
	}
	scene_end(&s);
	return 0;
}
