/* Transfers (RFC 3515, 3891, 3892, 3911, 4538, 5589): whoever names a call is understood, and so is whoever gets to read it; nobody
 * sees anything of a leg that is not his (LESSONS 1-6, 13-15; DECISIONS 5, 10, 20). */
#include "tests/flow/talk.h"
#include "base/arena.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define POOL(name, zone, address) \
	"  " name ": { zone: " zone ", probe: off, destinations: [{ name: " name ", uri: \"sip:" address "\" }] }\n"
#define ROUTE(name) "  - { when: { caller: any, user: \"" name "\" }, to: { pool: " name " } }\n"
#define YAML \
	FLOW_ZONES "    domains: [\"example.com\"]\n" "pools:\n" POOL("alice", "public", "192.0.2.10:5060") POOL("dave", "public", "192.0.2.20:5060") \
		POOL("bob", "core", "10.0.0.21:5060") POOL("carol", "core", "10.0.0.22:5060") \
	"  pbx: { zone: core, probe: off, balance: round-robin, destinations: [{ name: one, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: two, uri: \"sip:10.0.0.22:5060\" }] }\n" \
	"routes:\n" ROUTE("alice") ROUTE("dave") ROUTE("bob") ROUTE("carol") ROUTE("pbx")

static const struct party alice = { "alice", ALICE, EDGE, "203.0.113.10" };
static const struct party dave = { "dave", "192.0.2.20:5060", EDGE, "203.0.113.10" };
static const struct party bob = { "bob", BOB, CORE, "10.0.0.10" };
static const struct party carol = { "carol", CAROL, CORE, "10.0.0.10" };
static const struct party *const parties[] = { &alice, &dave, &bob, &carol };
enum { PARTIES = 4 };

/* Nobody sees of another party anything but its name. */
static void never(const struct packet *p, const char *what, const char *whose)
{
	if (memmem(p->bytes, p->len, what, strlen(what)))
		fail_msg("%s, %s, was seen elsewhere:\n%s", whose, what, p->bytes);
}

static bool is_at(const struct packet *p, const struct party *who)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, sv_from(who->at)), 0);
	return addr_eq_ip(&a, &p->to);
}

static void nothing_leaks(void *ctx, const struct packet *p)
{
	const struct party *to = NULL;
	char mark[64];

	(void)ctx;
	for (unsigned i = 0; i < PARTIES; i++)
		to = is_at(p, parties[i]) ? parties[i] : to;
	assert_non_null(to);
	for (unsigned i = 0; i < PARTIES; i++) {
		const struct party *other = parties[i];

		if (other == to)
			continue;
		snprintf(mark, sizeof(mark), "T-%s", other->name);
		never(p, mark, "a tag");
		snprintf(mark, sizeof(mark), "C-%s", other->name);
		never(p, mark, "a Call-ID");
		snprintf(mark, sizeof(mark), "%.*s", (int)strcspn(other->at, ":"), other->at);
		never(p, mark, "an address");
		if (strcmp(to->host, other->host) != 0) {
			snprintf(mark, sizeof(mark), "%.*s", (int)strcspn(other->host, ":"), other->host);
			never(p, mark, "our own address on the other side");
		}
	}
}

static struct rig *begin(unsigned workers, uint64_t seed)
{
	struct rig *r = rig_new(YAML, workers, seed);

	r->hooks.on_sent = nothing_leaks;
	return r;
}

static void end(struct rig *r)
{
	rig_after(r, 3600000);
	for (unsigned i = 0; i < PARTIES; i++)
		rig_forget(r, parties[i]->at);
	rig_free(r, true);
}

static const char *escaped(const char *text, char *area, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		bool is_plain = (*text >= '0' && *text <= '9') || ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z');

		n += (size_t)snprintf(area + n, size - n, is_plain ? "%c" : "%%%02x", (uint8_t)*text);
		assert_true(n < size);
	}
	return area;
}

/* Refer-To as somebody who transfers to the other end of `l` writes it. */
static const char *refer_to_line(const struct line *l, const char *header, char *area, size_t size)
{
	char name[512], coded[1536];

	snprintf(area, size, "Refer-To: <%s?%s=%s>\nReferred-By: <sip:%s@%s>\n", l->target, header,
	         escaped(line_names(l, name, sizeof(name)), coded, sizeof(coded)), l->who->name, l->who->at);
	return area;
}

/* What a REFER asks for: the URI and the named dialog. */
struct wish {
	char uri[512], header[64], dialog[512];
};

static void wish_of(const struct got *refer, struct wish *w)
{
	char scratch[2048];
	struct sv headers, name, value;
	struct name_addr na;
	struct arena arena;
	struct uri u;

	*w = (struct wish){ .uri = "" };
	arena_init(&arena, scratch, sizeof(scratch), 0);
	assert_int_equal(name_addr_parse(&na, view_value(&refer->v, HDR_REFER_TO)), 0);
	assert_int_equal(uri_parse(&u, na.uri), 0);
	snprintf(w->uri, sizeof(w->uri), "%.*s", (int)sv_chr(na.uri, '?'), na.uri.p);
	headers = u.headers;
	if (uri_header_next(&headers, &name, &value)) {
		snprintf(w->header, sizeof(w->header), "%.*s", SV_ARG(name));
		snprintf(w->dialog, sizeof(w->dialog), "%.*s", SV_ARG(unescape(&arena, value)));
	}
	arena_reset(&arena);
}

static void names_line(const struct got *g, enum hdr_id header, const struct line *l)
{
	struct dialog_ref ref;

	assert_int_equal(dialog_ref_parse(NULL, &ref, view_value(&g->v, header)), 0);
	assert_true(sv_eq(ref.call_id, sv_from(l->call_id)));
	assert_true(sv_eq(ref.to_tag, sv_from(l->tag)));
	assert_true(sv_eq(ref.from_tag, sv_from(l->peer_tag)));
}

/* `from` refers the other end of its call to the other end of another. */
static void refers(struct line *from, struct line *to, const struct line *other, const char *header, struct got *refer)
{
	struct got g = { .packet = NULL };
	char extra[3072];

	line_says(from, "REFER", refer_to_line(other, header, extra, sizeof(extra)), "");
	line_expects(to, "REFER ", refer);
	line_answers(to, refer, 202, "", "");
	line_expects(from, "SIP/2.0 202", &g);
	got_free(&g);
}

static void notifies(struct line *from, struct line *to, const char *status)
{
	struct got g = { .packet = NULL };

	line_says(from, "NOTIFY", "Event: refer\nSubscription-State: active;expires=60\nContent-Type: message/sipfrag\n", status);
	line_expects(to, "NOTIFY ", &g);
	assert_true(sv_eq(view_body(&g.v), sv_from(status)));
	line_answers(to, &g, 200, "", "");
	line_expects(from, "SIP/2.0 200", &g);
	got_free(&g);
}

/* RFC 5589 §7: `x` talks to `y` and to `z`, and connects them. Whoever called whom. */
static void attended(struct rig *r, const struct party *who[3], bool y_called, bool z_called, const char *header)
{
	struct line x1, x2, y1, y2, z2, z3;
	struct got g = { .packet = NULL };
	struct wish wish;
	char extra[1024];

	line_init(&x1, r, who[0], 1);
	line_init(&y1, r, who[1], 1);
	line_init(&x2, r, who[0], 2);
	line_init(&z2, r, who[2], 2);
	line_init(&y2, r, who[1], 3);
	line_init(&z3, r, who[2], 3);
	line_calls(y_called ? &y1 : &x1, y_called ? &x1 : &y1);
	line_calls(z_called ? &z2 : &x2, z_called ? &x2 : &z2);
	refers(&x1, &y1, &x2, header, &g);
	assert_true(*got_value(&g, HDR_REFERRED_BY));
	wish_of(&g, &wish);
	notifies(&y1, &x1, "SIP/2.0 100 Trying\r\n");

	snprintf(extra, sizeof(extra), "%s: %s\nReferred-By: %s\n", wish.header, wish.dialog, got_value(&g, HDR_REFERRED_BY));
	line_begins(&y2, "INVITE", wish.uri, extra, "");
	line_expects(&y2, "SIP/2.0 100", &g);
	line_expects(&z3, "INVITE ", &g);
	names_line(&g, strcmp(header, "Join") ? HDR_REPLACES : HDR_JOIN, &z2);
	line_answered(&y2, &z3, &g);
	notifies(&y1, &x1, "SIP/2.0 200 OK\r\n");
	line_hangs_up(&z2, &x2);
	line_hangs_up(&x1, &y1);
	rig_expect_silence(r, who[0]->at);
	line_hangs_up(&z3, &y2);
	got_free(&g);
}

static void all_casts(unsigned workers, const char *header)
{
	for (unsigned x = 0; x < PARTIES; x++)
		for (unsigned y = 0; y < PARTIES; y++)
			for (unsigned z = 0; z < PARTIES; z++)
				for (unsigned way = 0; way < 4 && x != y && x != z && y != z; way++) {
					struct rig *r = begin(workers, 100 * x + 10 * y + z + 1000 * way);

					attended(r, (const struct party *[]){ parties[x], parties[y], parties[z] }, way & 1, way & 2, header);
					end(r);
				}
}

static void attended_transfers_complete_in_all_zones(void **state)
{
	(void)state;
	all_casts(1, "Replaces");
}

static void attended_transfers_complete_on_other_workers(void **state)
{
	(void)state;
	all_casts(2, "Replaces");
	all_casts(8, "Replaces");
}

static void joins_complete(void **state)
{
	(void)state;
	all_casts(2, "Join");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attended_transfers_complete_in_all_zones),
		cmocka_unit_test(attended_transfers_complete_on_other_workers),
		cmocka_unit_test(joins_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
