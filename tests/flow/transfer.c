/* Transfers (RFC 3515, 3891, 3892, 3911, 4538, 5589): whoever names a call is understood, and so is whoever gets to read it; nobody
 * sees anything of a leg that is not his (LESSONS 1-6, 13-15; DECISIONS 5, 10, 20). */
#include "tests/flow/cast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define POOL(name, zone, address) \
	"  " name ": { zone: " zone ", probe: off, destinations: [{ name: " name ", uri: \"sip:" address "\" }] }\n"
#define ROUTE(name) "  - { when: { caller: any, user: \"" name "\" }, to: { pool: " name " } }\n"
#define YAML \
	FLOW_ZONES "    domains: [\"example.com\"]\n" "pools:\n" \
		POOL("alice", "public", "192.0.2.10:5060") POOL("dave", "public", "192.0.2.20:5060") \
		POOL("bob", "core", "10.0.0.21:5060") POOL("carol", "core", "10.0.0.22:5060") \
	"  pbx: { zone: core, probe: off, balance: round-robin, failover: { on: [503], tries: 2 }, destinations: [" \
	"{ name: one, uri: \"sip:10.0.0.21:5060\" }, " \
	"{ name: two, uri: \"sip:10.0.0.22:5060\" }] }\n" \
	"routes:\n" ROUTE("alice") ROUTE("dave") ROUTE("bob") ROUTE("carol") ROUTE("pbx")

/* Where somebody is; `us`: what we are called there. */
struct party {
	const char *name, *at, *us;
};

static const struct party alice = { "alice", "192.0.2.10:5060", "203.0.113.10" };
static const struct party dave = { "dave", "192.0.2.20:5060", "203.0.113.10" };
static const struct party bob = { "bob", "10.0.0.21:5060", "10.0.0.10" };
static const struct party carol = { "carol", "10.0.0.22:5060", "10.0.0.10" };
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
		snprintf(mark, sizeof(mark), "NEAR-%s", other->name);
		never(p, mark, "an identifier");
		snprintf(mark, sizeof(mark), "FAR-%s", other->name);
		never(p, mark, "an identifier");
		snprintf(mark, sizeof(mark), "%.*s", (int)strcspn(other->at, ":"), other->at);
		never(p, mark, "an address");
		if (strcmp(to->us, other->us) != 0)
			never(p, other->us, "our own address on the other side");
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

/* A phone of `who`, the `n`th, with identifiers that have to be escaped in a URI. */
static void phone(struct phone *p, struct rig *r, const struct party *who, unsigned n)
{
	static const char *const names[][6] = { { "alice", "alice1", "alice2", "alice3", "alice4", "alice5" },
		                                { "dave", "dave1", "dave2", "dave3", "dave4", "dave5" },
		                                { "bob", "bob1", "bob2", "bob3", "bob4", "bob5" },
		                                { "carol", "carol1", "carol2", "carol3", "carol4", "carol5" } };
	unsigned i = 0;

	while (parties[i] != who)
		i++;
	phone_new(p, r, names[i][n], who->at);
	snprintf(p->call_id, sizeof(p->call_id), "%s%%<?>\"%u@%.*s", p->tag, n, (int)strcspn(who->at, ":"), who->at);
	snprintf(p->local, sizeof(p->local), "<sip:%s@example.com>;tag=%s", who->name, p->tag);
}

static void calls(struct phone *a, struct phone *b)
{
	char uri[64];

	for (unsigned i = 0; i < PARTIES; i++)
		if (!strncmp(parties[i]->name, b->name, strlen(parties[i]->name)))
			snprintf(uri, sizeof(uri), "sip:%s@example.com", parties[i]->name);
	*b->call_id = '\0';
	phones_talk(a, b, uri);
}

static void free_all(struct phone *const *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		phone_free(all[i]);
}
#define FREE(...) free_all((struct phone *const[]){ __VA_ARGS__ }, sizeof((struct phone *const[]){ __VA_ARGS__ }) / sizeof(struct phone *))

/* RFC 5589 §7: `x` talks to `y` and to `z`, and connects them; whoever called whom. The whole life of all three calls (LESSONS 15). */
static void attended(struct rig *r, const struct party *who[3], bool y_called, bool z_called, const char *header)
{
	struct phone x1, x2, y1, y2, z2, z3;
	struct wish wish;

	phone(&x1, r, who[0], 1);
	phone(&y1, r, who[1], 1);
	phone(&x2, r, who[0], 2);
	phone(&z2, r, who[2], 2);
	phone(&y2, r, who[1], 3);
	phone(&z3, r, who[2], 3);
	calls(y_called ? &y1 : &x1, y_called ? &x1 : &y1);
	calls(z_called ? &z2 : &x2, z_called ? &x2 : &z2);
	phone_refers(&x1, &y1, &x2, header, &wish);
	*z3.call_id = '\0';
	snprintf(z3.uri, sizeof(z3.uri), "%s", z2.uri);
	phone_follows(&y2, &wish);
	phone_gets(&z3, "INVITE ");
	call_is_named(&z3.invite, strcmp(header, "Join") ? HDR_REPLACES : HDR_JOIN, &z2);
	phones_answered(&y2, &z3);
	phones_end(&z2, &x2);
	phones_end(&x1, &y1);
	phone_notifies(&y1, &x1, "terminated;reason=noresource");
	phones_end(&z3, &y2);
	FREE(&x1, &x2, &y1, &y2, &z2, &z3);
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

/* RFC 5589 §6: to somebody by name. Whoever is addressed at a host of the sender's side, us included, is reached through us. */
static void blind(const struct party *x, const struct party *y, const struct party *z, const char *refer_uri, const char *expected,
                  unsigned workers)
{
	struct rig *r = begin(workers, workers);
	struct phone x1, y1, y2, z2;
	struct wish wish;
	char extra[512];

	phone(&x1, r, x, 1);
	phone(&y1, r, y, 1);
	phone(&y2, r, y, 2);
	phone(&z2, r, z, 2);
	calls(&x1, &y1);
	snprintf(extra, sizeof(extra), "Refer-To: \"Somebody\" <%s>\nReferred-By: \"X\" <sip:%s@example.com>;cid=\"a@b\"\nRefer-Sub: true\n"
	         "Supported: norefersub\n", refer_uri, x->name);
	phone_asks(&x1, "REFER", extra, "");
	phone_gets(&y1, "REFER ");
	wish_of(&y1.got, &wish);
	assert_string_equal(wish.uri, expected);
	assert_string_equal(got_value(&y1.got, HDR_REFER_SUB), "true");
	assert_string_equal(got_value(&y1.got, HDR_SUPPORTED), "norefersub");
	snprintf(extra, sizeof(extra), "\"X\" <sip:%s@example.com>;cid=\"a@b\"", x->name);
	assert_string_equal(wish.by, extra);
	phone_answers(&y1, 202, "", "");
	phone_gets(&x1, "SIP/2.0 202");
	phone_notifies(&y1, &x1, "active;expires=60");
	phones_end(&x1, &y1);
	if (strstr(wish.uri, y->us)) /* a Request-URI passes as it is: by name here, so that nobody sees the other address of ours */
		snprintf(wish.uri, sizeof(wish.uri), "sip:%s@example.com", z->name);
	phone_follows(&y2, &wish);
	*z2.call_id = '\0';
	phone_gets(&z2, "INVITE ");
	phones_answered(&y2, &z2);
	phone_notifies(&y1, &x1, "terminated;reason=noresource");
	phones_end(&z2, &y2);
	FREE(&x1, &y1, &y2, &z2);
	end(r);
}

static void blind_transfers_complete(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		blind(&alice, &bob, &dave, "sip:dave@example.com", "sip:dave@example.com", workers);
		blind(&alice, &bob, &carol, "sip:carol@203.0.113.10:5060;user=phone;transport=tcp", "sip:carol@10.0.0.10;user=phone", workers);
		blind(&bob, &alice, &carol, "sip:carol@10.0.0.22:5060;method=INVITE", "sip:carol@203.0.113.10;method=INVITE", workers);
		blind(&bob, &alice, &dave, "sips:dave@10.0.0.10", "sips:dave@203.0.113.10", workers);
		blind(&dave, &alice, &bob, "sip:bob@example.com;x=1", "sip:bob@example.com;x=1", workers);
		blind(&carol, &bob, &dave, "sip:dave@example.com", "sip:dave@example.com", workers);
	}
}

/* DECISIONS 10: who holds both calls reads his own identifiers, and the URI of his own phone. */
static void one_server_reads_its_own_identifiers(void **state)
{
	struct rig *r = begin(2, 3);
	struct phone x1, x2, y1, z2;
	struct wish wish;

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&x2, r, &alice, 2);
	phone(&y1, r, &bob, 1);
	phone(&z2, r, &bob, 2);
	calls(&x1, &y1);
	calls(&z2, &x2);
	phone_refers(&x1, &y1, &x2, "Replaces", &wish);
	assert_string_equal(wish.uri, z2.uri);
	assert_string_equal(wish.header, "Replaces");
	assert_true(sv_find(sv_from(wish.dialog), sv_from(z2.call_id)) == 0);
	assert_non_null(strstr(wish.dialog, ";to-tag=FAR-bob2;from-tag="));
	phones_end(&y1, &x1);
	phones_end(&z2, &x2);
	FREE(&x1, &x2, &y1, &z2);
	end(r);
}

/* A call that is to replace another goes to the destination that has it, whoever's turn it is, and names it there as that one does. */
static void the_destination_that_has_the_call_gets_its_replacement(void **state)
{
	struct phone x1, x2, y1, y3, z2, z3;
	struct wish wish;

	(void)state;
	for (unsigned turn = 0; turn < 4; turn++) {
		struct rig *r = begin(2, 4 + turn);
		const struct party *holder = NULL;

		phone(&x1, r, &alice, 1);
		phone(&y1, r, &dave, 1);
		calls(&x1, &y1);
		for (unsigned n = 0; n <= turn; n++) { /* the last one stays */
			phone(&x2, r, &alice, 2 + n);
			phone_calls(&x2, "sip:pbx@example.com", "", OFFER);
			phone_gets(&x2, "SIP/2.0 100");
			rig_after(r, 0);
			holder = holder == &bob ? &carol : &bob; /* round robin */
			phone(&z2, r, holder, 2 + n);
			*z2.call_id = '\0';
			phone_gets(&z2, "INVITE ");
			phones_answered(&x2, &z2);
			if (n < turn) {
				phones_end(&x2, &z2);
				FREE(&x2, &z2);
			}
		}
		snprintf(x2.target, sizeof(x2.target), "sip:pbx@example.com");
		phone_refers(&x1, &y1, &x2, "Replaces", &wish);
		assert_string_equal(wish.uri, "sip:pbx@example.com");
		phone(&y3, r, &dave, 3);
		phone(&z3, r, holder, 1);
		*z3.call_id = '\0';
		phone_follows(&y3, &wish);
		phone_gets(&z3, "INVITE sip:pbx@example.com");
		call_is_named(&z3.invite, HDR_REPLACES, &z2);
		phone_answers_invite(&z3, 603, "", "");
		phone_gets(&z3, "ACK ");
		phone_gets(&y3, "SIP/2.0 603");
		phone_acks_refusal(&y3);
		phones_end(&z2, &x2);
		phones_end(&x1, &y1);
		FREE(&x1, &x2, &y1, &y3, &z2, &z3);
		end(r);
	}
}

/* The other way round: who names his own end is called by who was asked to (call pickup, RFC 5359 §2.17). */
static void ones_own_end_can_be_named(void **state)
{
	struct rig *r = begin(2, 7);
	struct phone x1, x2, x3, y1, y3, z2;
	struct wish wish;
	char extra[2048], name[512], coded[1536];

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &dave, 1);
	phone(&x2, r, &alice, 2);
	phone(&z2, r, &bob, 2);
	calls(&x1, &y1);
	calls(&x2, &z2);
	snprintf(name, sizeof(name), "%s;to-tag=%s;from-tag=%.*s;early-only", x2.call_id, x2.tag, SV_ARG(tag_of(sv_from(x2.remote))));
	snprintf(extra, sizeof(extra), "Refer-To: <sip:alice@example.com?Replaces=%s>\n", uri_escaped(name, coded, sizeof(coded)));
	phone_asks(&x1, "REFER", extra, "");
	phone_gets(&y1, "REFER ");
	wish_of(&y1.got, &wish);
	phone_answers(&y1, 202, "", "");
	phone_gets(&x1, "SIP/2.0 202");
	phone_notifies(&y1, &x1, "terminated");
	phone(&y3, r, &dave, 3);
	phone(&x3, r, &alice, 3);
	*x3.call_id = '\0';
	phone_follows(&y3, &wish);
	phone_gets(&x3, "INVITE ");
	call_is_named(&x3.invite, HDR_REPLACES, &x2);
	assert_non_null(strstr(got_value(&x3.invite, HDR_REPLACES), ";early-only"));
	phone_answers_invite(&x3, 486, "", ""); /* RFC 3891 §3: it was answered already */
	phone_gets(&x3, "ACK ");
	phone_gets(&y3, "SIP/2.0 486");
	phone_acks_refusal(&y3);
	phones_end(&x1, &y1);
	phones_end(&x2, &z2);
	FREE(&x1, &x2, &x3, &y1, &y3, &z2);
	end(r);
}

/* Who is reached by his Contact reads his own identifiers, wherever it is. */
static void who_has_the_call_is_found_at_his_contact(void **state)
{
	struct rig *r = begin(2, 17);
	struct phone x1, x2, y1, y3, z2, z3;
	struct wish wish;

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &dave, 1);
	phone(&x2, r, &alice, 2);
	phone(&z2, r, &bob, 2);
	strcpy(z2.uri, "sip:FAR-bob2@10.0.0.21:5062");
	calls(&x1, &y1);
	calls(&z2, &x2);
	phone_refers(&x1, &y1, &x2, "Replaces", &wish);
	phone(&y3, r, &dave, 3);
	phone(&z3, r, &bob, 3);
	z3.at = "10.0.0.21:5062";
	*z3.call_id = '\0';
	phone_follows(&y3, &wish);
	phone_gets(&z3, "INVITE sip:FAR-bob2@10.0.0.21:5062 ");
	call_is_named(&z3.invite, HDR_REPLACES, &z2);
	phone_answers_invite(&z3, 603, "", "");
	phone_gets(&z3, "ACK ");
	phone_gets(&y3, "SIP/2.0 603");
	phone_acks_refusal(&y3);
	phones_end(&x1, &y1);
	phones_end(&z2, &x2);
	FREE(&x1, &x2, &y1, &y3, &z2, &z3);
	end(r);
}

/* What is refused ---------------------------------------------------------------------------------------------------- */

/* `who` begins an INVITE to `uri` with these lines, and gets this. Nobody else hears of it. */
static void refused(struct rig *r, const struct party *who, const char *uri, const char *extra, const char *status)
{
	struct phone p;

	phone(&p, r, who, 5);
	phone_calls(&p, uri, extra, OFFER);
	phone_gets(&p, status);
	phone_acks_refusal(&p);
	for (unsigned i = 0; i < PARTIES; i++)
		rig_expect_silence(r, parties[i]->at);
	FREE(&p);
}

static void refused_name(struct rig *r, const struct party *who, const char *name)
{
	static const char *const headers[] = { "Replaces", "Join" };
	char extra[1024];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(extra, sizeof(extra), "%s: %s\n", headers[i], name);
		refused(r, who, "sip:bob@example.com", extra, "SIP/2.0 481");
	}
}

/* `text` with the last character of `part`, where that is found last in it, exchanged. */
static const char *damaged(const char *text, const char *part)
{
	static char copy[512];
	char *at = NULL, *next = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((next = strstr(next, part)))
		at = next++;
	assert_non_null(at);
	at += strlen(part) - 1;
	*at = *at == 'a' ? 'b' : 'a';
	return copy;
}

static void calls_we_do_not_hold_are_not_replaced(void **state)
{
	struct phone x1, x2, y1, z2;
	struct wish wish, other;
	char mixed[512];

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct rig *r = begin(workers, 8);
		const char *tag;

		phone(&x1, r, &alice, 1);
		phone(&x2, r, &alice, 2);
		phone(&y1, r, &bob, 1);
		phone(&z2, r, &carol, 2);
		calls(&x1, &y1);
		calls(&x2, &z2);
		refused_name(r, &dave, "1@2;to-tag=a;from-tag=b");
		tag = strstr(x1.remote, "tag=") + 4;
		refused_name(r, &dave, damaged(phone_call_name(&x1), tag));                  /* forged */
		refused_name(r, &dave, damaged(phone_call_name(&x1), x1.tag));               /* another tag */
		refused_name(r, &dave, damaged(phone_call_name(&x1), x1.call_id));           /* another call */
		refused_name(r, &bob, phone_call_name(&x1));                                 /* of another zone */
		refused_name(r, &dave, phone_call_name(&y1));
		phone_refers(&x1, &y1, &x2, "Replaces", &wish);
		refused_name(r, &dave, wish.dialog);                               /* given to the other zone */
		snprintf(mixed, sizeof(mixed), "%.*s@%s", (int)strcspn(wish.uri, "@"), wish.uri, dave.us);
		refused(r, &dave, mixed, "", "SIP/2.0 404");
		phone_refers(&x2, &z2, &x1, "Replaces", &other);
		snprintf(mixed, sizeof(mixed), "%.*s%s", (int)strcspn(other.dialog, ";"), other.dialog, strchr(wish.dialog, ';'));
		refused_name(r, &bob, mixed);                                      /* of two calls */
		snprintf(mixed, sizeof(mixed), "%.*s;to-tag=%s;from-tag=a", (int)strcspn(other.dialog, ";"), other.dialog, "b");
		refused_name(r, &bob, mixed);
		tag = strstr(wish.dialog, ";to-tag=") + strlen(";to-tag=");
		snprintf(mixed, sizeof(mixed), "%.*s%.*s;from-tag=%.*s", (int)(tag - wish.dialog), wish.dialog, TOKEN_LEN, tag, TOKEN_LEN, tag);
		refused_name(r, &bob, mixed);                                      /* not what we gave him */
		phones_end(&z2, &x2);
		refused_name(r, &bob, wish.dialog);                                /* over, but for a subscription */
		refused_name(r, &dave, phone_call_name(&x2));
		phone_notifies(&z2, &x2, "terminated");
		rig_after(r, 100000);
		refused_name(r, &bob, wish.dialog);
		refused(r, &bob, wish.uri, "", "SIP/2.0 404");
		phones_end(&y1, &x1);
		FREE(&x1, &x2, &y1, &z2);
		end(r);
	}
}

static void refused_within(struct phone *p, struct phone *other, const char *method, const char *extra, const char *status)
{
	phone_asks(p, method, extra, "");
	phone_gets(p, status);
	if (!strcmp(method, "INVITE"))
		phone_acks_refusal(p);
	rig_expect_silence(p->rig, other->at);
}

/* RFC 3891 §3, RFC 3911 §4, RFC 3515 §2.4.2. The call that they came in goes on. */
static void faulty_names_are_refused(void **state)
{
	static const char *const faulty[] = {
		"Replaces: 1@2;to-tag=a\n", "Replaces: 1@2\n", "Join: ;to-tag=a;from-tag=b\n", "Target-Dialog: 1;local-tag=a\n",
		"Replaces: 1@2;to-tag=a;from-tag=b;to-tag=c\n", "Target-Dialog: 1;local-tag=a;remote-tag=b\nTarget-Dialog: 2;local-tag=a;remote-tag=b\n",
	};
	static const char *const no_uri[] = {
		"", "Refer-To: <dave>\n", "Refer-To: sip:\n", "Refer-To: *\n", "Refer-To: <sip:a@b>, <sip:c@d>\n", "Refer-To: <sip:a@b>\nr: <sip:a@b>\n",
		"Refer-To: <sip:dave@example.com?Replaces=1%402>\n", "Refer-To: <sip:dave@example.com?Replaces>\n",
		"Refer-To: <sip:d@example.com?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db&Join=1%3Bto-tag%3Da%3Bfrom-tag%3Db>\n",
	};
	struct rig *r = begin(2, 9);
	struct phone x1, x2, y1, y2;
	char extra[1024], gone[512];

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &bob, 1);
	phone(&x2, r, &alice, 2);
	phone(&y2, r, &bob, 2);
	calls(&x1, &y1);
	calls(&x2, &y2);
	snprintf(gone, sizeof(gone), "Refer-To: <%s>\n", x2.target);
	phones_end(&x2, &y2);
	for (unsigned i = 0; i < sizeof(faulty) / sizeof(*faulty); i++) {
		refused(r, &dave, "sip:bob@example.com", faulty[i], "SIP/2.0 400");
		refused_within(&x1, &y1, "INFO", faulty[i], "SIP/2.0 400");
	}
	snprintf(extra, sizeof(extra), "Replaces: %s\nJoin: %s\n", phone_call_name(&x1), phone_call_name(&x1));
	refused(r, &dave, "sip:bob@example.com", extra, "SIP/2.0 400");
	snprintf(extra, sizeof(extra), "Replaces: %s\nReplaces: %s\n", phone_call_name(&x1), phone_call_name(&x1));
	refused(r, &dave, "sip:bob@example.com", extra, "SIP/2.0 400");
	snprintf(extra, sizeof(extra), "Replaces: %s\n", phone_call_name(&x1));
	refused_within(&x1, &y1, "INVITE", extra, "SIP/2.0 400");
	refused_within(&x1, &y1, "MESSAGE", extra, "SIP/2.0 400");
	for (unsigned i = 0; i < sizeof(no_uri) / sizeof(*no_uri); i++)
		refused_within(&x1, &y1, "REFER", no_uri[i], "SIP/2.0 400");
	refused_within(&x1, &y1, "REFER", "Refer-To: <sip:d@example.com?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db>\n", "SIP/2.0 403");
	refused_within(&x1, &y1, "REFER", gone, "SIP/2.0 403");
	refused_within(&y1, &x1, "REFER", gone, "SIP/2.0 403"); /* and in the other zone */
	phones_end(&x1, &y1);
	FREE(&x1, &x2, &y1, &y2);
	end(r);
}

/* RFC 4538: whom a request is about, told to the other end; a name of nothing is left out. */
static void target_dialogs_are_understood(void **state)
{
	struct phone x1, x2, y1, y2;
	char extra[1024];

	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct rig *r = begin(workers, 10);

		phone(&x1, r, &alice, 1);
		phone(&y1, r, &bob, 1);
		calls(&y1, &x1);
		phone(&x2, r, &alice, 2);
		snprintf(extra, sizeof(extra), "Target-Dialog: %s;local-tag=%.*s;remote-tag=%s\nRequire: tdialog\n", x1.call_id,
		         SV_ARG(tag_of(sv_from(x1.remote))), x1.tag);
		phone_begins(&x2, "OPTIONS", x1.target, extra, "");
		phone(&y2, r, &bob, 2);
		*y2.call_id = '\0';
		phone_gets(&y2, "OPTIONS sip:FAR-bob1@10.0.0.21:5060 ");
		call_is_named(&y2.got, HDR_TARGET_DIALOG, &y1);
		assert_non_null(strstr(got_value(&y2.got, HDR_TARGET_DIALOG), ";local-tag=FAR-bob1;remote-tag="));
		assert_string_equal(got_value(&y2.got, HDR_REQUIRE), "tdialog");
		phone_answers(&y2, 200, "", "");
		phone_gets(&x2, "SIP/2.0 200");
		phone_begins(&x2, "MESSAGE", x1.target, "Target-Dialog: 1@192.0.2.10;local-tag=a;remote-tag=b\n", "");
		*y2.call_id = '\0';
		phone_gets(&y2, "MESSAGE ");
		assert_string_equal(got_value(&y2.got, HDR_TARGET_DIALOG), "");
		phone_answers(&y2, 200, "", "");
		phone_gets(&x2, "SIP/2.0 200");
		phones_end(&x1, &y1);
		FREE(&x1, &x2, &y1, &y2);
		end(r);
	}
}

/* DECISIONS 5, RFC 5589 §5: a REFER outside of the call, to its Contact, with the call as its reason. */
static void a_contact_of_ours_can_be_referred(void **state)
{
	struct rig *r = begin(2, 11);
	struct phone x1, x2, x3, y1, y2, z2, z3;
	struct wish wish;
	char extra[4096];

	(void)state;
	phone(&x1, r, &bob, 1);
	phone(&y1, r, &alice, 1);
	phone(&x2, r, &bob, 2);
	phone(&z2, r, &carol, 2);
	calls(&x1, &y1);
	calls(&x2, &z2);
	phone(&x3, r, &bob, 3);
	phone(&y2, r, &alice, 2);
	*y2.call_id = '\0';
	snprintf(extra, sizeof(extra), "Target-Dialog: %s;local-tag=%.*s;remote-tag=%s\nRefer-Sub: false\n%s", x1.call_id,
	         SV_ARG(tag_of(sv_from(x1.remote))), x1.tag, phone_refer_lines(&x2, "Replaces"));
	phone_begins(&x3, "REFER", x1.target, extra, "");
	phone_gets(&y2, "REFER sip:NEAR-alice1@192.0.2.10:5060 ");
	call_is_named(&y2.got, HDR_TARGET_DIALOG, &y1);
	wish_of(&y2.got, &wish);
	phone_answers(&y2, 202, "Refer-Sub: false\n", "");
	phone_gets(&x3, "SIP/2.0 202");
	assert_string_equal(got_value(&x3.got, HDR_REFER_SUB), "false");
	phone_free(&y2);
	phone(&y2, r, &alice, 3);
	phone_follows(&y2, &wish);
	phone(&z3, r, &carol, 3);
	*z3.call_id = '\0';
	phone_gets(&z3, "INVITE sip:FAR-carol2@10.0.0.22:5060 ");
	call_is_named(&z3.invite, HDR_REPLACES, &z2);
	phone_answers_invite(&z3, 603, "", "");
	phone_gets(&z3, "ACK ");
	phone_gets(&y2, "SIP/2.0 603");
	phone_acks_refusal(&y2);
	phones_end(&x1, &y1);
	phones_end(&x2, &z2);
	FREE(&x1, &x2, &x3, &y1, &y2, &z2, &z3);
	end(r);
}

/* While a request waits for another worker -------------------------------------------------------------------------- */

/* Call-IDs whose worker is `w`. */
static void live_on(struct phone *p, unsigned w)
{
	size_t len = strlen(p->call_id);

	for (unsigned i = 0; token_shard(p->rig->workers[0].tokens, sv_from(p->call_id)) % p->rig->shared.workers != w; i++)
		snprintf(p->call_id + len, sizeof(p->call_id) - len, "-%u", i);
}

struct wait {
	struct rig *rig;
	struct phone x, y;           /* have the call that is named */
	char call_id[128], extra[1024];
	unsigned home;               /* worker of Dave, whose INVITE waits */
};

static void waits_begin(struct wait *w)
{
	struct phone id;

	w->rig = begin(2, 12);
	w->home = rig_worker_of(w->rig, dave.at);
	phone(&w->x, w->rig, &alice, 1);
	phone(&w->y, w->rig, &bob, 1);
	live_on(&w->x, !w->home);
	calls(&w->x, &w->y);
	phone(&id, w->rig, &dave, 1);
	live_on(&id, w->home);
	snprintf(w->call_id, sizeof(w->call_id), "%s", id.call_id);
	snprintf(w->extra, sizeof(w->extra), "Replaces: %s\n", phone_call_name(&w->x));
	w->rig->holds_mail = true;
}

static void dave_says(struct wait *w, const char *listener, const char *method, const char *extra)
{
	bool is_tcp = !strncmp(listener, "tcp", 3);

	rig_say(w->rig, dave.at, listener, "",
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/%s 192.0.2.20:5060;branch=z9hG4bKwait;rport\nMax-Forwards: 70\n"
	        "From: <sip:dave@example.com>;tag=NEAR-dave\nTo: <sip:bob@example.com>\nCall-ID: %s\nCSeq: 1 %s\n"
	        "Contact: <sip:NEAR-dave@192.0.2.20:5060>\n%s", method, is_tcp ? "TCP" : "UDP", w->call_id, method, extra);
}

static void waits(struct wait *w, const char *listener)
{
	dave_says(w, listener, "INVITE", w->extra);
	rig_expect_silence(w->rig, dave.at);
	rig_expect_silence(w->rig, bob.at);
	assert_int_equal(w->rig->workers[w->home].park.count, 1);
}

static void mail_arrives(struct wait *w)
{
	w->rig->holds_mail = false;
	rig_after(w->rig, 1);
	assert_int_equal(w->rig->workers[w->home].park.count, 0);
}

static void waits_end(struct wait *w)
{
	phones_end(&w->x, &w->y);
	FREE(&w->x, &w->y);
	end(w->rig);
}

static void dave_acks_refusal(struct wait *w, const struct got *g)
{
	rig_say(w->rig, dave.at, EDGE, "",
	        "ACK sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKwait;rport\nMax-Forwards: 70\n"
	        "From: <sip:dave@example.com>;tag=NEAR-dave\nTo: %s\nCall-ID: %s\nCSeq: 1 ACK\n", got_value(g, HDR_TO), w->call_id);
}

static void repetitions_while_waiting_are_absorbed(void **state)
{
	struct got g = { .packet = NULL };
	struct phone y2;
	struct wait w;

	(void)state;
	waits_begin(&w);
	waits(&w, EDGE);
	waits(&w, EDGE);
	waits(&w, EDGE);
	mail_arrives(&w);
	phone(&y2, w.rig, &bob, 2);
	*y2.call_id = '\0';
	phone_gets(&y2, "INVITE ");
	call_is_named(&y2.invite, HDR_REPLACES, &w.y);
	rig_expect(w.rig, dave.at, "SIP/2.0 100", &g);
	phone_answers_invite(&y2, 486, "", "");
	phone_gets(&y2, "ACK ");
	rig_expect(w.rig, dave.at, "SIP/2.0 486", &g);
	dave_acks_refusal(&w, &g);
	assert_int_equal(rig_count(w.rig, NAMES_ASKED), 1);
	got_free(&g);
	FREE(&y2);
	waits_end(&w);
}

static void a_waiting_request_is_cancelled(void **state)
{
	struct got g = { .packet = NULL };
	struct wait w;

	(void)state;
	waits_begin(&w);
	waits(&w, EDGE);
	dave_says(&w, EDGE, "CANCEL", "");
	rig_expect(w.rig, dave.at, "SIP/2.0 200", &g);
	rig_expect(w.rig, dave.at, "SIP/2.0 487", &g);
	assert_true(*got_tag(&g, HDR_TO));
	dave_acks_refusal(&w, &g);
	mail_arrives(&w);
	rig_expect_silence(w.rig, bob.at);
	rig_after(w.rig, 60000);
	rig_expect_silence(w.rig, dave.at);
	got_free(&g);
	waits_end(&w);
}

static void a_request_waits_no_longer_than_it_may(void **state)
{
	struct got g = { .packet = NULL };
	struct wait w;

	(void)state;
	waits_begin(&w);
	waits(&w, EDGE);
	rig_after(w.rig, 1999);
	rig_expect_silence(w.rig, dave.at);
	rig_after(w.rig, 1);
	rig_expect(w.rig, dave.at, "SIP/2.0 503", &g);
	dave_acks_refusal(&w, &g);
	assert_int_equal(rig_count(w.rig, NAMES_UNANSWERED), 1);
	mail_arrives(&w);
	rig_expect_silence(w.rig, bob.at);
	got_free(&g);
	waits_end(&w);
}

static void no_deliver(struct mail *m, void *reader)
{
	(void)m;
	(void)reader;
}

/* Bounds: the other worker's mailbox, and the requests that wait here. */
static void a_request_that_cannot_wait_is_refused(void **state)
{
	static struct mail idle = { no_deliver };
	struct got g = { .packet = NULL };
	struct wait w;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		waits_begin(&w);
		if (i == 0)
			while (w.rig->shared.post(&w.rig->shared, !w.home, &idle, true) == 0)
				;
		else
			w.rig->workers[w.home].park.max = 0;
		dave_says(&w, EDGE, "INVITE", w.extra);
		rig_expect(w.rig, dave.at, "SIP/2.0 503", &g);
		dave_acks_refusal(&w, &g);
		assert_int_equal(rig_count(w.rig, NAMES_UNANSWERED), 1);
		mail_arrives(&w);
		rig_expect_silence(w.rig, bob.at);
		got_free(&g);
		waits_end(&w);
	}
}

/* The connection of who asked is gone when the answer comes: the call begins, nobody acknowledges it, and it ends. */
static void a_flow_dies_while_its_request_waits(void **state)
{
	struct phone y2;
	struct wait w;

	(void)state;
	waits_begin(&w);
	waits(&w, EDGE_TCP);
	w.rig->is_refusing_streams = true;
	mail_arrives(&w);
	phone(&y2, w.rig, &bob, 2);
	*y2.call_id = '\0';
	phone_gets(&y2, "INVITE ");
	phone_answers_invite(&y2, 200, "", ANSWER);
	rig_after(w.rig, 32100);
	phone_gets(&y2, "ACK ");
	phone_gets(&y2, "BYE ");
	phone_answers(&y2, 200, "", "");
	FREE(&y2);
	waits_end(&w);
}

static void a_node_ends_while_requests_wait(void **state)
{
	struct wait w;

	(void)state;
	waits_begin(&w);
	waits(&w, EDGE);
	FREE(&w.x, &w.y);
	rig_free(w.rig, false);
	waits_begin(&w);
	waits(&w, EDGE);
	FREE(&w.x, &w.y);
	for (unsigned i = 0; i < 2; i++)
		w.rig->workers[i].is_ending = true; /* as the loops do: mail that comes last is freed */
	rig_free(w.rig, false);
}

/* A REFER within a dialog waits too; a later request may go first, and it still passes. */
static void a_waiting_refer_is_overtaken(void **state)
{
	struct rig *r = begin(2, 13);
	struct phone x1, x2, y1, z2;
	unsigned home = rig_worker_of(r, alice.at);
	struct wish wish;

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &bob, 1);
	phone(&x2, r, &alice, 2);
	phone(&z2, r, &carol, 2);
	live_on(&x1, home);
	live_on(&x2, !home);
	calls(&x1, &y1);
	calls(&x2, &z2);
	r->holds_mail = true;
	phone_asks(&x1, "REFER", phone_refer_lines(&x2, "Replaces"), "");
	phone_asks(&x1, "INFO", "", "");
	phone_gets(&y1, "INFO ");
	rig_expect_silence(r, bob.at);
	phone_answers(&y1, 200, "", "");
	r->holds_mail = false;
	phone_gets(&x1, "SIP/2.0 200");
	phone_gets(&y1, "REFER ");
	wish_of(&y1.got, &wish);
	phone_answers(&y1, 202, "", "");
	phone_gets(&x1, "SIP/2.0 202");
	phone_notifies(&y1, &x1, "terminated");
	x1.cseq--;
	refused_within(&x1, &y1, "INFO", "", "SIP/2.0 500"); /* the later one counts */
	phones_end(&x1, &y1);
	phones_end(&x2, &z2);
	FREE(&x1, &x2, &y1, &z2);
	end(r);
}

static void frag_notify(struct phone *p, const char *type, const char *body)
{
	rig_say(p->rig, p->at, p->listener, body,
	        "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKfrag%u\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %u NOTIFY\n"
	        "Contact: <%s>\nEvent: refer\nSubscription-State: active;expires=60\nContent-Type: %s\n", p->target, p->at, p->cseq + 1,
	        p->local, p->remote, p->call_id, p->cseq + 1, p->uri, type);
	p->cseq++;
}

/* Requests that name calls, with some of their bytes exchanged or cut off: refused, misunderstood or passed, and nothing breaks. */
static void damaged_names_break_nothing(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct rig *r = begin(1 + seed % 3, seed);
		struct phone x1, x2, y1, z2, third;
		char extra[1024];

		r->hooks.on_sent = NULL; /* an address with a digit exchanged is no longer ours to hide */
		phone(&x1, r, &alice, 1);
		phone(&x2, r, &alice, 2);
		phone(&y1, r, &bob, 1);
		phone(&z2, r, &carol, 2);
		calls(&x1, &y1);
		calls(&z2, &x2);
		r->weather.garbled = 1000;
		phone_asks(&x1, "REFER", phone_refer_lines(&x2, seed % 2 ? "Replaces" : "Join"), "");
		frag_notify(&y1, "message/sipfrag", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.21\r\n");
		phone(&third, r, &dave, 1);
		snprintf(extra, sizeof(extra), "Replaces: %s\nTarget-Dialog: %s\n", phone_call_name(&x1), phone_call_name(&x2));
		phone_calls(&third, x2.target, extra, OFFER);
		phone_begins(&third, "MESSAGE", x1.target, extra + strcspn(extra, "\n") + 1, "");
		r->weather.garbled = 0;
		rig_after(r, 100000);
		FREE(&x1, &x2, &y1, &z2, &third);
		rig_free(r, false);
	}
}

/* What is told of it ------------------------------------------------------------------------------------------------- */

/* RFC 3515 §2.4.5: the status line passes; what else is there of the other leg ends here. */
static void progress_is_told_without_the_inside(void **state)
{
	static const struct {
		const char *says, *heard;
	} frags[] = {
		{ "SIP/2.0 100 Trying", "SIP/2.0 100 Trying" },
		{ "SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 180 Ringing\r\nSubject: hello\r\n", "SIP/2.0 180 Ringing\r\nSubject: hello\r\n" },
		{ "SIP/2.0 200 OK\r\nSubject: from 10.0.0.77\r\n", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x\r\n", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP x\r\n", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 200 OK\r\nSubject: x\r\nContact: <sip:x>\r\n", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 200 OK\r\nCall-ID : 1\r\n", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 200 OK\nTo: <sip:x>;tag=1\n", "SIP/2.0 200 OK\n" },
		{ "SIP/2.0 200 OK\r\nRecord-Route: <sip:x;lr>", "SIP/2.0 200 OK\r\n" },
		{ "SIP/2.0 503 10.0.0.21 is down\r\n", "SIP/2.0 503 Service Unavailable\r\n" },
		{ "SIP/2.0 503 10.0.0.21 is down\r\nCall-ID: 1\r\n", "SIP/2.0 503 Service Unavailable\r\n" },
		{ "INVITE sip:carol@10.0.0.22 SIP/2.0\r\n", "" },
		{ "SIP/2.0 2000 10.0.0.22\r\n", "" },
		{ "INVITE sip:carol@example.com SIP/2.0\r\n", "INVITE sip:carol@example.com SIP/2.0\r\n" },
	};
	struct rig *r = begin(1, 14);
	struct phone x1, y1;

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &bob, 1);
	calls(&x1, &y1);
	phone_asks(&x1, "REFER", "Refer-To: <sip:carol@example.com>\n", "");
	phone_gets(&y1, "REFER ");
	phone_answers(&y1, 202, "", "");
	phone_gets(&x1, "SIP/2.0 202");
	for (unsigned i = 0; i < sizeof(frags) / sizeof(*frags); i++) {
		frag_notify(&y1, i % 2 ? "message/sipfrag" : "Message/SipFrag ;version=2.0", frags[i].says);
		phone_gets(&x1, "NOTIFY ");
		if (!sv_eq(view_body(&x1.got.v), sv_from(frags[i].heard)))
			fail_msg("\"%s\" became \"%.*s\"", frags[i].says, SV_ARG(view_body(&x1.got.v)));
		phone_answers(&x1, 200, "", "");
		phone_gets(&y1, "SIP/2.0 200");
	}
	phones_end(&x1, &y1);
	FREE(&x1, &y1);
	end(r);
}

/* DECISIONS 26: who knows every identifier of a call, as a transferee does, is still not who has it. */
static void a_transferee_cannot_take_the_call(void **state)
{
	struct rig *r = begin(1, 15);
	struct phone x1, y1, thief;

	(void)state;
	r->hooks.on_sent = NULL; /* Dave says what he should not know, and is answered */
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &bob, 1);
	calls(&x1, &y1);
	phone(&thief, r, &dave, 1);
	strcpy(thief.call_id, x1.call_id);
	strcpy(thief.local, x1.local);
	strcpy(thief.remote, x1.remote);
	strcpy(thief.target, x1.target);
	strcpy(thief.tag, x1.tag);
	thief.cseq = x1.cseq;
	phone_asks(&thief, "INVITE", "", OFFER);
	rig_expect(r, dave.at, "SIP/2.0 100", &thief.got);
	phone_gets(&y1, "INVITE ");
	phone_answers(&y1, 488, "", "");
	phone_gets(&y1, "ACK ");
	rig_expect(r, dave.at, "SIP/2.0 488", &thief.got);
	phone_acks_refusal(&thief);
	phone_asks(&y1, "INFO", "", ""); /* is still for Alice, where she is */
	rig_expect_silence(r, dave.at);
	rig_expect(r, alice.at, "INFO sip:NEAR-alice1@192.0.2.10:5060 ", &x1.got);
	phone_answers(&x1, 200, "", "");
	phone_gets(&y1, "SIP/2.0 200");
	x1.cseq = thief.cseq;
	phones_end(&x1, &y1);
	FREE(&x1, &y1, &thief);
	end(r);
}

/* Another node ------------------------------------------------------------------------------------------------------- */

struct records {
	struct b2bua_record_sink sink;
	char *text[8];
	size_t len[8];
	unsigned n;
};

static void keep(struct b2bua_record_sink *sink, uint64_t id, struct sv record)
{
	struct records *all = owner_of(sink, struct records, sink);

	(void)id;
	assert_true(all->n < 8);
	assert_non_null(all->text[all->n] = malloc(record.len));
	memcpy(all->text[all->n], record.p, record.len);
	all->len[all->n++] = record.len;
}

static struct rig *taken_over(struct rig *r, unsigned workers)
{
	struct records all = { .sink = { keep } };
	struct rig *next = begin(workers, 99);

	for (unsigned i = 0; i < r->shared.workers; i++)
		b2bua_export(r->workers[i].calls, &all.sink);
	next->now_ms = r->now_ms;
	rig_free(r, false);
	for (unsigned i = 0; i < all.n; i++) {
		struct sv record = { all.text[i], all.len[i] };

		assert_int_equal(b2bua_apply(next->workers[b2bua_record_shard(record) % workers].calls, record), 0);
		free(all.text[i]);
	}
	return next;
}

/* What was given out by one node is understood by the other (DESIGN §7), which may have another number of workers. */
/* What is kept of a ringing call does not say whom it replaces: then it goes nowhere else, rather than as another call. */
static void a_replacement_is_no_other_call_on_another_node(void **state)
{
	struct rig *r = begin(1, 18);
	struct phone x2, y3, z2, z3;
	char extra[512];

	(void)state;
	phone(&x2, r, &alice, 2);
	phone(&z2, r, &bob, 2);
	phone_calls(&x2, "sip:pbx@example.com", "", OFFER);
	phone_gets(&x2, "SIP/2.0 100");
	*z2.call_id = '\0';
	phone_gets(&z2, "INVITE ");
	phones_answered(&x2, &z2);
	phone(&y3, r, &dave, 3);
	phone(&z3, r, &bob, 3);
	snprintf(extra, sizeof(extra), "Replaces: %s\n", phone_call_name(&x2));
	phone_calls(&y3, "sip:pbx@example.com", extra, OFFER);
	phone_gets(&y3, "SIP/2.0 100");
	*z3.call_id = '\0';
	phone_gets(&z3, "INVITE ");
	r = taken_over(r, 1);
	x2.rig = y3.rig = z2.rig = z3.rig = r;
	phone_answers_invite(&z3, 503, "", "");
	phone_gets(&z3, "ACK ");
	rig_expect_silence(r, carol.at);
	phone_gets(&y3, "SIP/2.0 500");
	phone_acks_refusal(&y3);
	phones_end(&z2, &x2);
	FREE(&x2, &y3, &z2, &z3);
	end(r);
}

static void transfers_outlive_a_node(void **state)
{
	struct rig *r = begin(2, 16);
	struct phone x1, x2, y1, y2, z2, z3;
	struct wish wish;

	(void)state;
	phone(&x1, r, &alice, 1);
	phone(&y1, r, &bob, 1);
	phone(&x2, r, &alice, 2);
	phone(&z2, r, &carol, 2);
	calls(&x1, &y1);
	calls(&x2, &z2);
	phone_refers(&x1, &y1, &x2, "Replaces", &wish);
	r = taken_over(r, 8);
	phone(&y2, r, &bob, 2);
	phone(&z3, r, &carol, 3);
	x1.rig = x2.rig = y1.rig = z2.rig = r;
	*z3.call_id = '\0';
	snprintf(z3.uri, sizeof(z3.uri), "%s", z2.uri);
	phone_follows(&y2, &wish);
	phone_gets(&z3, "INVITE ");
	call_is_named(&z3.invite, HDR_REPLACES, &z2);
	phone_answers_invite(&z3, 180, "", "");
	phone_gets(&y2, "SIP/2.0 180");
	r = taken_over(r, 1);
	x1.rig = x2.rig = y1.rig = y2.rig = z2.rig = z3.rig = r;
	phones_answered(&y2, &z3);
	phones_end(&z2, &x2);
	phone_notifies(&y1, &x1, "terminated");
	phones_end(&x1, &y1);
	phones_end(&y2, &z3);
	FREE(&x1, &x2, &y1, &y2, &z2, &z3);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attended_transfers_complete_in_all_zones),
		cmocka_unit_test(attended_transfers_complete_on_other_workers),
		cmocka_unit_test(joins_complete),
		cmocka_unit_test(blind_transfers_complete),
		cmocka_unit_test(one_server_reads_its_own_identifiers),
		cmocka_unit_test(the_destination_that_has_the_call_gets_its_replacement),
		cmocka_unit_test(ones_own_end_can_be_named),
		cmocka_unit_test(who_has_the_call_is_found_at_his_contact),
		cmocka_unit_test(calls_we_do_not_hold_are_not_replaced),
		cmocka_unit_test(faulty_names_are_refused),
		cmocka_unit_test(target_dialogs_are_understood),
		cmocka_unit_test(a_contact_of_ours_can_be_referred),
		cmocka_unit_test(repetitions_while_waiting_are_absorbed),
		cmocka_unit_test(a_waiting_request_is_cancelled),
		cmocka_unit_test(a_request_waits_no_longer_than_it_may),
		cmocka_unit_test(a_request_that_cannot_wait_is_refused),
		cmocka_unit_test(a_flow_dies_while_its_request_waits),
		cmocka_unit_test(a_node_ends_while_requests_wait),
		cmocka_unit_test(a_waiting_refer_is_overtaken),
		cmocka_unit_test(damaged_names_break_nothing),
		cmocka_unit_test(progress_is_told_without_the_inside),
		cmocka_unit_test(a_transferee_cannot_take_the_call),
		cmocka_unit_test(transfers_outlive_a_node),
		cmocka_unit_test(a_replacement_is_no_other_call_on_another_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
