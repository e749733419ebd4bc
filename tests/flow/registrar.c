/* tests/flow/registrar.c - REGISTER to a registrar of ours (RFC 3261 §10.3, RFC 3665 §2). */
#include "tests/flow/flow.h"
#include "registrar/record.h"
#include "base/tlv.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define REGISTER_ROUTES "routes: [{ when: { method: REGISTER }, to: registrar }]\n"
#define POOLS "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
#define PLAIN FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"

struct client {
	struct rig *rig;
	struct got got;
	const char *from, *to, *user, *call_id;
	unsigned cseq, branch;
};

static struct client client_of(const char *yaml, unsigned workers)
{
	return (struct client){ .rig = rig_new(yaml, workers, 1), .from = ALICE, .to = EDGE, .user = "alice", .call_id = "reg-1" };
}

/* `lines`: each with its "\n". */
static void say(struct client *c, const char *uri, const char *to, const char *lines)
{
	rig_say(c->rig, c->from, c->to, "",
	        "REGISTER %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:%s@example.com>;tag=a\n"
	        "To: <%s>\nCall-ID: %s\nCSeq: %u REGISTER\n%s", uri, c->from, ++c->branch, c->user, to, c->call_id, c->cseq, lines);
}

static void registers(struct client *c, const char *lines, const char *answer)
{
	char to[128];

	snprintf(to, sizeof(to), "sip:%s@example.com", c->user);
	c->cseq++;
	say(c, "sip:example.com", to, lines);
	rig_expect(c->rig, c->from, answer, &c->got);
}

static size_t bindings(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

/* Whatever was registered expires. */
static void end(struct client *c)
{
	got_free(&c->got);
	rig_after(c->rig, 3600 * 1000 + 1);
	assert_int_equal(bindings(c->rig), 0);
	rig_free(c->rig, true);
}

static void a_new_binding_is_answered_with_what_was_granted(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10:5060>\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10:5060>;expires=3600");
	assert_string_equal(got_value(&c.got, HDR_DATE), "Tue, 14 Nov 2023 22:30:00 GMT");
	assert_string_not_equal(got_tag(&c.got, HDR_TO), "");
	assert_int_equal(bindings(c.rig), 1);
	end(&c);
}


static size_t count_contacts(const struct got *g)
{
	size_t n = 0;

	for (unsigned i = 0; i < g->v.n; i++)
		n += g->v.h[i].id == HDR_CONTACT;
	return n;
}

/* RFC 3665 §2.2: a client that updates its list. */
static void a_contact_is_added_beside_others(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	c.call_id = "reg-2";
	registers(&c, "Contact: \"Home\" <sip:alice@192.0.2.11>;q=0.7;expires=600;audio, <sip:alice@192.0.2.12;transport=tcp>\n",
	          "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 3);
	assert_true(got_has(&c.got, "Contact: <sip:alice@192.0.2.10>;expires=3600\r\n"));
	assert_true(got_has(&c.got, "Contact: <sip:alice@192.0.2.11>;audio;q=0.700;expires=600\r\n"));
	assert_true(got_has(&c.got, "Contact: <sip:alice@192.0.2.12;transport=tcp>;expires=3600\r\n"));
	end(&c);
}

/* RFC 3665 §2.3: a request for the current list changes nothing. */
static void without_contact_it_is_a_question(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 0);
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	rig_after(c.rig, 600400);
	c.call_id = "another";
	registers(&c, "Expires: 10\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10>;expires=3000");
	end(&c);
}

/* RFC 3665 §2.4: the client cancels its registration. */
static void a_star_removes_all(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>, <sip:alice@192.0.2.11>\n", "SIP/2.0 200");
	registers(&c, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 0);
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

static void a_star_is_alone_and_says_expires_0(void **state)
{
	static const char *const bad[] = {
		"Contact: *\n", "Contact: *\nExpires: 1\n", "Contact: *, <sip:alice@192.0.2.10>\nExpires: 0\n",
		"Contact: <sip:alice@192.0.2.10>\nContact: *\nExpires: 0\n", "Contact: *\nContact: *\nExpires: 0\n",
	};
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		registers(&c, bad[i], "SIP/2.0 400");
	assert_int_equal(bindings(c.rig), 1);
	end(&c);
}

static void a_removal_names_one(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>, <sip:alice@192.0.2.11>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:alice@192.0.2.10>;expires=0, <sip:nobody@192.0.2.1>;expires=0\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.11>;expires=3600");
	assert_int_equal(count_contacts(&c.got), 1);
	registers(&c, "Contact: <sip:alice@192.0.2.11>\nExpires: 0\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 0);
	end(&c);
}

/* §10.2.1.1, §10.3 step 7 */
static void each_contact_has_its_own_expiry(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Expires: 120\nContact: <sip:a@192.0.2.10>, <sip:b@192.0.2.10>;expires=240, <sip:c@192.0.2.10>;expires=99999999999, "
	              "<sip:d@192.0.2.10>;expires=soon, <sip:e@192.0.2.10>;expires=7200\n", "SIP/2.0 200");
	assert_true(got_has(&c.got, "<sip:a@192.0.2.10>;expires=120\r\n") && got_has(&c.got, "<sip:b@192.0.2.10>;expires=240\r\n") &&
	            got_has(&c.got, "<sip:c@192.0.2.10>;expires=3600\r\n") && got_has(&c.got, "<sip:d@192.0.2.10>;expires=3600\r\n") &&
	            got_has(&c.got, "<sip:e@192.0.2.10>;expires=3600\r\n"));
	rig_after(c.rig, 119999);
	assert_int_equal(bindings(c.rig), 5);
	rig_after(c.rig, 1);
	assert_int_equal(bindings(c.rig), 4);
	rig_after(c.rig, 120000);
	assert_int_equal(bindings(c.rig), 3);
	end(&c);
}

#define RARELY \
	FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, expires: { min: 2h, max: 4h, jitter: 0 } } }\n"

/* §10.3 step 7: 423 says what would do; an hour or more is never too brief. */
static void too_brief_is_said(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>;expires=59\n", "SIP/2.0 423");
	assert_string_equal(got_value(&c.got, HDR_MIN_EXPIRES), "60");
	registers(&c, "Contact: <sip:alice@192.0.2.10>, <sip:alice@192.0.2.11>;expires=1\n", "SIP/2.0 423");
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
	c = client_of(RARELY, 1);
	registers(&c, "Contact: <sip:alice@192.0.2.10>;expires=3599\n", "SIP/2.0 423");
	assert_string_equal(got_value(&c.got, HDR_MIN_EXPIRES), "7200");
	registers(&c, "Contact: <sip:alice@192.0.2.10>;expires=3600\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10>;expires=3600");
	end(&c);
}

/* Of one Call-ID only what comes later counts; a repetition changes nothing and is answered again. */
static void registers_as(struct client *c, unsigned cseq, const char *lines, const char *answer)
{
	c->cseq = cseq - 1;
	registers(c, lines, answer);
}

static void requests_of_one_client_have_an_order(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers_as(&c, 10, "Contact: <sip:alice@192.0.2.10>;expires=600\n", "SIP/2.0 200");
	registers_as(&c, 9, "Contact: <sip:alice@192.0.2.10>;expires=0\n", "SIP/2.0 500");
	assert_int_equal(bindings(c.rig), 1);
	rig_after(c.rig, 100000);
	registers_as(&c, 11, "Contact: <sip:alice@192.0.2.10>;expires=600\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10>;expires=600");
	rig_after(c.rig, 100000);
	registers_as(&c, 11, "Contact: <sip:alice@192.0.2.10>;expires=600\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10>;expires=500");
	registers_as(&c, 11, "Contact: <sip:alice@192.0.2.10>;expires=0\n", "SIP/2.0 200");
	assert_int_equal(bindings(c.rig), 1);
	registers_as(&c, 10, "Contact: <sip:alice@192.0.2.99>, <sip:alice@192.0.2.10>;expires=600\n", "SIP/2.0 500");
	assert_int_equal(bindings(c.rig), 1);
	end(&c);
}

static void a_star_is_in_order_too(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers_as(&c, 10, "Contact: <sip:alice@192.0.2.10>;expires=600\n", "SIP/2.0 200");
	registers_as(&c, 9, "Contact: *\nExpires: 0\n", "SIP/2.0 500");
	assert_int_equal(bindings(c.rig), 1);
	c.call_id = "another";
	registers(&c, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

/* What a client said before it left may come behind that. */
static void a_late_request_does_not_bring_a_contact_back(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers_as(&c, 1, "Contact: <sip:alice@192.0.2.10>, <sip:alice@192.0.2.11>\n", "SIP/2.0 200");
	registers_as(&c, 3, "Contact: <sip:alice@192.0.2.10>\nExpires: 0\n", "SIP/2.0 200");
	registers_as(&c, 2, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 500");
	registers_as(&c, 3, "Contact: <sip:alice@192.0.2.10>\nExpires: 0\n", "SIP/2.0 200");
	registers_as(&c, 4, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
	registers_as(&c, 1, "Contact: <sip:alice@192.0.2.11>\n", "SIP/2.0 500");
	assert_int_equal(bindings(c.rig), 0);
	registers_as(&c, 5, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	registers_as(&c, 6, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
	rig_after(c.rig, 32000);
	registers_as(&c, 2, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	end(&c);
}

#define SPREAD FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, expires: { max: 1000s, jitter: 20 } } }\n"

/* Those who came together do not return together; what is granted is told again when the request is repeated. */
static void what_is_granted_is_spread(void **state)
{
	struct client c = client_of(SPREAD, 1);
	unsigned fifths[5] = { 0 };
	char user[32], first[256];

	(void)state;
	c.user = user;
	for (unsigned i = 0; i < 500; i++) {
		unsigned s;

		snprintf(user, sizeof(user), "user%u", i);
		registers(&c, "Contact: <sip:user@192.0.2.10>\nExpires: 3600\n", "SIP/2.0 200");
		snprintf(first, sizeof(first), "%s", got_value(&c.got, HDR_CONTACT));
		s = (unsigned)atoi(strstr(first, "expires=") + 8);
		assert_in_range(s, 800, 1000);
		fifths[s == 1000 ? 4 : (s - 800) / 40]++;
		c.cseq--;
		registers(&c, "Contact: <sip:user@192.0.2.10>\nExpires: 3600\n", "SIP/2.0 200");
		assert_string_equal(got_value(&c.got, HDR_CONTACT), first);
	}
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(fifths[i], 70, 130);
	registers(&c, "Contact: <sip:other@192.0.2.10>;expires=60\n", "SIP/2.0 200"); /* never below the minimum */
	assert_true(got_has(&c.got, "<sip:other@192.0.2.10>;expires=60\r\n"));
	end(&c);
}

/* §10.3: all or nothing. */
static void one_bad_contact_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"Contact: <sip:alice@192.0.2.11>, <tel:+49301234567>\n",
		"Contact: <sip:alice@192.0.2.11>, <mailto:alice@example.com>\n",
		"Contact: <sip:alice@192.0.2.11>, <sip:alice@>\n",
		"Contact: <sip:alice@192.0.2.11>;q=1.1\n",
		"Contact: <sip:alice@192.0.2.11>;q=0.1234\n",
		"Contact: <sip:alice@192.0.2.11>;q=\n",
		"Contact: <sip:alice@192.0.2.11>, <sip:alice@192.0.2.11>;q=0.5\n",
		"Contact: <sip:alice@192.0.2.11>, <sip:%61lice@192.0.2.11>\n",
		"Contact: <sip:alice@192.0.2.11>;+sip.instance=\"<urn:x>\";reg-id=0\n",
		"Contact: <sip:alice@192.0.2.11>;+sip.instance=\"<urn:x>\";reg-id=2147483648\n",
	};
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	rig_after(c.rig, 100000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char both[512];

		snprintf(both, sizeof(both), "Contact: <sip:alice@192.0.2.10>\n%s", bad[i]);
		registers(&c, both, "SIP/2.0 400");
	}
	c.call_id = "question";
	registers(&c, "", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 1);
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10>;expires=3500");
	end(&c);
}

static void too_much_of_anything_is_refused(void **state)
{
	struct client c = client_of(PLAIN, 1);
	char lines[16000];
	int n = 0;

	(void)state;
	for (unsigned i = 0; i < 17; i++)
		n += sprintf(lines + n, "Contact: <sip:%u@192.0.2.10>;expires=0\n", i);
	registers(&c, lines, "SIP/2.0 400");
	sprintf(lines, "Contact: <sip:%0500d@192.0.2.10>\n", 1);
	registers(&c, lines, "SIP/2.0 400");
	sprintf(lines, "Contact: <sip:alice@192.0.2.10>;x=%01100d\n", 1);
	registers(&c, lines, "SIP/2.0 400");
	n = 0;
	for (unsigned i = 0; i < 9; i++)
		n += sprintf(lines + n, "Path: <sip:p%u@192.0.2.10;lr>\n", i);
	sprintf(lines + n, "Contact: <sip:alice@192.0.2.10>\n");
	registers(&c, lines, "SIP/2.0 400");
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

#define THREE(full) \
	FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, max-contacts: 3, expires: { jitter: 0 }" full " } }\n"

static void a_fourth_contact_is_refused(void **state)
{
	struct client c = client_of(THREE(""), 1);

	(void)state;
	registers(&c, "Contact: <sip:1@192.0.2.10>, <sip:2@192.0.2.10>, <sip:3@192.0.2.10>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:4@192.0.2.10>\n", "SIP/2.0 403 Too Many Contacts");
	registers(&c, "Contact: <sip:1@192.0.2.10>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:4@192.0.2.10>, <sip:1@192.0.2.10>;expires=0\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 3);
	assert_false(got_has(&c.got, "<sip:1@"));
	end(&c);
}

static void or_the_oldest_goes_for_it(void **state)
{
	struct client c = client_of(THREE(", when-full: replace-oldest"), 1);

	(void)state;
	registers(&c, "Contact: <sip:1@192.0.2.10>, <sip:2@192.0.2.10>, <sip:3@192.0.2.10>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:1@192.0.2.10>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:4@192.0.2.10>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 3);
	assert_false(got_has(&c.got, "<sip:2@"));
	registers(&c, "Contact: <sip:5@192.0.2.10>, <sip:6@192.0.2.10>, <sip:7@192.0.2.10>, <sip:8@192.0.2.10>\n", "SIP/2.0 403");
	registers(&c, "Contact: <sip:3@192.0.2.10>, <sip:5@192.0.2.10>, <sip:6@192.0.2.10>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 3);
	assert_true(got_has(&c.got, "<sip:3@") && got_has(&c.got, "<sip:5@") && got_has(&c.got, "<sip:6@"));
	end(&c);
}

/* §19.1.4: one contact in several spellings is one. */
static void contacts_are_compared_as_uris(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@Phone.example.org;transport=TCP;x=1>\n", "SIP/2.0 200");
	registers(&c, "Contact: <SIP:%61lice@phone.EXAMPLE.org;transport=tcp>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 1);
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<SIP:%61lice@phone.EXAMPLE.org;transport=tcp>;expires=3600");
	registers(&c, "Contact: <sip:alice@phone.example.org>, <sip:Alice@phone.example.org;transport=tcp>, "
	              "<sip:alice@phone.example.org:5060;transport=tcp>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 4);
	end(&c);
}

/* Equality of URIs is not transitive: several may be the same as one that is registered. */
static void spellings_of_one_contact_do_not_meet(void **state)
{
	struct client c = client_of(PLAIN, 1);
	const struct registration *alice;
	const struct binding *first;

	(void)state;
	registers(&c, "Contact: <sip:a@192.0.2.10>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:a@192.0.2.10;y=1>;expires=0, <sip:a@192.0.2.10;y=2>;expires=0\n", "SIP/2.0 400");
	registers(&c, "Contact: <sip:a@192.0.2.10;y=1>;expires=0, <sip:a@192.0.2.10;y=2>\n", "SIP/2.0 400");
	assert_int_equal(bindings(c.rig), 1);
	/* it becomes another by and by; then its first spelling is somebody else, with an id of his own */
	registers(&c, "Contact: <sip:a@192.0.2.10;y=1>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:a@192.0.2.10;x=1>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:a@192.0.2.10;x=2>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 2);
	registers(&c, "Contact: <sip:b@192.0.2.10;x=1>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:b@192.0.2.10>\n", "SIP/2.0 200");
	registers(&c, "Contact: <sip:b@192.0.2.10;x=2>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 3);
	registers(&c, "Contact: <sip:b@192.0.2.10;x=1>\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 4);
	alice = registrar_find(c.rig->workers[0].registrar, aor_key(token_hash_key(c.rig->workers[0].tokens),
	                                                            &(struct aor){ .len = 17, .user_len = 5, .text = "alice@example.com" }));
	assert_non_null(alice);
	for (first = registration_next(alice, NULL); first; first = registration_next(alice, first))
		assert_ptr_equal(registrar_binding(c.rig->workers[0].registrar, first->by_id.key), first);
	end(&c);
}

/* Whom it is for ---------------------------------------------------------------------------------------------------- */

static void the_aor_is_canonical(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	say(&c, "sip:Example.COM", "sip:%61lice@EXAMPLE.com:5060;user=phone", "");
	rig_expect(c.rig, ALICE, "SIP/2.0 200", &c.got);
	assert_int_equal(count_contacts(&c.got), 1);
	say(&c, "sip:example.com", "sips:alice@example.com", "");
	rig_expect(c.rig, ALICE, "SIP/2.0 200", &c.got);
	assert_int_equal(count_contacts(&c.got), 1);
	end(&c);
}

static void it_is_for_a_domain_of_ours(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	c.cseq = 1;
	say(&c, "sip:example.org", "sip:alice@example.org", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 404", &c.got);
	say(&c, "sip:example.com", "sip:alice@example.org", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 404", &c.got);
	say(&c, "sip:alice@example.com", "sip:alice@example.com", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 400", &c.got);
	say(&c, "sip:example.com", "sip:example.com", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 404", &c.got);
	say(&c, "sip:example.com", "tel:+4930", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 404", &c.got);
	say(&c, "tel:+4930", "sip:alice@example.com", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 404", &c.got);
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

#define SILENT \
	"node: test\nzones:\n  public: { listen: \"udp:203.0.113.10:5060\", unknown-domain: silent }\n" \
	"  core: { listen: \"udp:10.0.0.10:5060\" }\n" POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none } }\n"

static void an_unknown_domain_may_get_silence(void **state)
{
	struct client c = client_of(SILENT, 1);

	(void)state;
	c.cseq = 1;
	say(&c, "sip:example.org", "sip:alice@example.org", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect_silence(c.rig, ALICE);
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200"); /* the domain needs no `domains:` to be ours */
	end(&c);
}

static void nobody_registers_another(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	c.cseq = 1;
	say(&c, "sip:example.com", "sip:bob@example.com", "Contact: <sip:alice@192.0.2.10>\n");
	rig_expect(c.rig, ALICE, "SIP/2.0 403", &c.got);
	c.from = BOB; /* whom the zone trusts */
	c.to = CORE;
	say(&c, "sip:example.com", "sip:carol@example.com", "Contact: <sip:carol@192.0.2.10>\n");
	rig_expect(c.rig, BOB, "SIP/2.0 200", &c.got);
	end(&c);
}

/* A user who registers from two sides sees on each what is there. */
static void contacts_of_another_zone_are_not_shown(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	c.from = BOB;
	c.to = CORE;
	c.call_id = "inside";
	registers(&c, "Contact: <sip:alice@10.0.0.21>\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@10.0.0.21>;expires=3600");
	assert_int_equal(count_contacts(&c.got), 1);
	c.from = ALICE;
	c.to = EDGE;
	registers(&c, "", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10>;expires=3600");
	assert_int_equal(count_contacts(&c.got), 1);
	assert_int_equal(bindings(c.rig), 2);
	end(&c);
}

/* DECISIONS 32: whoever names a stranger's address as his own sends him no more than three times what he spends. */
static void answers_do_not_outgrow_their_question(void **state)
{
	char line[1200], fill[901];
	struct client c = client_of(PLAIN, 1);
	size_t sent;

	(void)state;
	memset(fill, 'x', 900);
	fill[900] = 0;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(line, sizeof(line), "Contact: <sip:alice@192.0.2.%u>;%s\n", 20 + i, fill);
		registers(&c, line, "SIP/2.0 200");
		assert_non_null(strstr(c.got.packet->bytes, (snprintf(line, sizeof(line), "<sip:alice@192.0.2.%u>", 20 + i), line)));
	}
	assert_int_equal(bindings(c.rig), 5);
	assert_in_range(count_contacts(&c.got), 1, 4);
	c.call_id = "question";
	registers(&c, "", "SIP/2.0 200");
	sent = 330;
	assert_in_range(c.got.v.len, 1, sent * 3);
	assert_int_equal(count_contacts(&c.got), 0);
	assert_true(rig_count(c.rig, REGISTERS_CUT) >= 2);
	c.to = EDGE_TCP;
	c.rig->has_flows = true;
	c.call_id = "connected";
	registers(&c, "", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 5);
	c.rig->has_flows = false;
	end(&c);
}

static void what_is_required_must_be_known(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Require: path, foo,outbound\nRequire: gruu, bar\nContact: <sip:alice@192.0.2.10>\n", "SIP/2.0 420");
	assert_string_equal(got_value(&c.got, HDR_UNSUPPORTED), "foo, bar");
	registers(&c, "Require: path, outbound, gruu\nContact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	end(&c);
}

/* RFC 3327 */
static void a_path_is_kept_and_echoed(void **state)
{
	struct client c = client_of(PLAIN, 1);
	struct aor aor;
	const struct registration *alice;

	(void)state;
	registers(&c, "Supported: path\nPath: <sip:p2.example.net;lr>\nPath: <sip:p1.example.net;lr;ob>\nContact: <sip:alice@192.0.2.10>\n",
	          "SIP/2.0 200");
	assert_true(got_has(&c.got, "Path: <sip:p2.example.net;lr>\r\nPath: <sip:p1.example.net;lr;ob>\r\n"));
	assert_int_equal(aor_parse(&aor, SV("sip:alice@example.com")), 0);
	alice = registrar_find(c.rig->workers[0].registrar, aor_key(token_hash_key(c.rig->workers[0].tokens), &aor));
	assert_non_null(alice);
	assert_true(sv_eq(binding_routes(registration_next(alice, NULL)), SV("<sip:p2.example.net;lr>, <sip:p1.example.net;lr;ob>")));
	registers(&c, "Path: <sip:p1.example.net;lr>\nContact: <sip:alice@192.0.2.10>\n", "SIP/2.0 200");
	assert_false(got_has(&c.got, "Path:"));
	registers(&c, "Path: <tel:1>\nContact: <sip:alice@192.0.2.10>\n", "SIP/2.0 400");
	end(&c);
}

#define INSTANCE "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""

/* RFC 5626 §6 */
static void an_instance_has_a_binding_per_flow(void **state)
{
	struct client c = client_of(PLAIN, 1);

	(void)state;
	registers(&c, "Supported: path, outbound\nContact: <sip:alice@192.0.2.10;ob>;reg-id=1;" INSTANCE "\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_REQUIRE), "outbound");
	assert_string_equal(got_value(&c.got, HDR_CONTACT), "<sip:alice@192.0.2.10;ob>;reg-id=1;" INSTANCE ";expires=3600");
	c.call_id = "second-flow";
	registers(&c, "Supported: path, outbound\nContact: <sip:alice@192.0.2.10;ob>;reg-id=2;" INSTANCE "\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 2);
	c.call_id = "after-a-restart";
	registers(&c, "Supported: path, outbound\nContact: <sip:alice@192.0.2.77;ob>;reg-id=2;" INSTANCE "\n", "SIP/2.0 200");
	assert_int_equal(count_contacts(&c.got), 2);
	assert_true(got_has(&c.got, "<sip:alice@192.0.2.77;ob>;reg-id=2;"));
	/* a reg-id says nothing without an instance, or when the client does not know outbound */
	registers(&c, "Supported: outbound\nContact: <sip:alice@192.0.2.78>;reg-id=1\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_REQUIRE), "");
	registers(&c, "Contact: <sip:alice@192.0.2.79>;reg-id=1;" INSTANCE "\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_REQUIRE), "");
	assert_int_equal(count_contacts(&c.got), 4);
	/* two at once */
	registers(&c, "Supported: outbound\nContact: <sip:a@192.0.2.79>;reg-id=1;" INSTANCE ", <sip:a@192.0.2.79>;reg-id=2;" INSTANCE "\n",
	          "SIP/2.0 400");
	/* by a hop that does not keep flows */
	registers(&c, "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nSupported: outbound\nContact: <sip:a@192.0.2.79>;reg-id=1;" INSTANCE
	              "\n", "SIP/2.0 439");
	registers(&c, "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nSupported: outbound\nPath: <sip:edge.example.net;lr;ob>\n"
	              "Contact: <sip:a@192.0.2.79>;reg-id=1;" INSTANCE "\n", "SIP/2.0 200");
	end(&c);
}

/* RFC 5627 */
static void who_knows_gruus_gets_two(void **state)
{
	struct client c = client_of(PLAIN, 1);
	char temp[128], *at;

	(void)state;
	registers(&c, "Supported: gruu\nContact: <sip:alice@192.0.2.10>;" INSTANCE "\n", "SIP/2.0 200");
	assert_true(got_has(&c.got, ";pub-gruu=\"sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\";temp-gruu=\"sip:"));
	at = strstr(c.got.packet->bytes, "temp-gruu=\"");
	snprintf(temp, sizeof(temp), "%.*s", 11 + 4 + TOKEN_LEN + 16, at);
	assert_non_null(strstr(temp, "@example.com;gr\""));
	/* nobody registers what we made for another: it would lead calls for him in a circle */
	snprintf(strchr(temp, ';'), 4, ">\n");
	c.user = "mallory";
	c.call_id = "other";
	at = strstr(temp, "sip:");
	memmove(temp + 10, at, strlen(at) + 1);
	registers(&c, memcpy(temp, "Contact: <", 10), "SIP/2.0 403");
	assert_int_equal(bindings(c.rig), 1);
	registers(&c, "Supported: gruu\nContact: <sip:mallory@192.0.2.10>;+sip.instance=\"a b\"\n", "SIP/2.0 200");
	assert_false(got_has(&c.got, "pub-gruu"));
	registers(&c, "Supported: gruu\nContact: <sip:mallory@192.0.2.10>\n", "SIP/2.0 200");
	assert_false(got_has(&c.got, "gruu=\""));
	end(&c);
}

/* Where the rules lead elsewhere than to who is registered, a temporary GRUU goes there like any other address; as a Route, too. */
static void a_gruu_goes_where_the_rules_say(void **state)
{
	static const char yaml[] = FLOW_ZONES POOLS
		"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: any }, to: { pool: apps } }]\n"
		"registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n";
	struct client c = client_of(yaml, 1);
	struct got bob = { .packet = NULL };
	char temp[128];
	struct sv at;

	(void)state;
	registers(&c, "Supported: gruu\nContact: <sip:alice@192.0.2.10>;" INSTANCE "\n", "SIP/2.0 200");
	at = sv_from(strstr(c.got.packet->bytes, "temp-gruu=\"") + 11);
	snprintf(temp, sizeof(temp), "%.*s", (int)sv_chr(at, '"'), at.p);
	for (unsigned i = 0; i < 2; i++) {
		rig_say(c.rig, ALICE, EDGE, "",
		        "MESSAGE %s SIP/2.0\nVia: SIP/2.0/UDP " ALICE ";branch=z9hG4bKgruu%u\nMax-Forwards: 70\n"
		        "From: <sip:alice@example.com>;tag=g\nTo: <sip:carol@example.com>\nCall-ID: gruu-%u\nCSeq: 1 MESSAGE\n%s%s%s",
		        i ? "sip:carol@example.com" : temp, i, i, i ? "Route: <" : "", i ? temp : "", i ? ">\n" : "");
		rig_expect(c.rig, BOB, "MESSAGE ", &bob);
		flow_answer(c.rig, BOB, CORE, &bob, 200, "<sip:carol@example.com>;tag=x", NULL, "", "");
		rig_expect(c.rig, ALICE, "SIP/2.0 200", &c.got);
	}
	got_free(&bob);
	end(&c);
}

/* Connections ------------------------------------------------------------------------------------------------------- */

#define STREAMS \
	FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, expires: { jitter: 0 }, flow-grace: 5s } }\n"

static struct client stream_client(const char *yaml, unsigned workers)
{
	struct client c = client_of(yaml, workers);

	c.to = EDGE_TCP;
	c.rig->has_flows = true;
	return c;
}

static void a_binding_goes_with_its_connection(void **state)
{
	struct client c = stream_client(STREAMS, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	rig_close(c.rig, ALICE);
	rig_after(c.rig, 4999);
	assert_int_equal(bindings(c.rig), 1);
	rig_after(c.rig, 1);
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

/* A client whose connection broke comes back by another one: nothing is lost. */
static void unless_it_comes_back_in_time(void **state)
{
	struct client c = stream_client(STREAMS, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	rig_close(c.rig, ALICE);
	rig_after(c.rig, 4000);
	registers(&c, "Contact: <sip:alice@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	rig_after(c.rig, 10000);
	assert_int_equal(bindings(c.rig), 1);
	rig_close(c.rig, ALICE);
	rig_after(c.rig, 5000);
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

/* RFC 5626 §4.4: to who registered a connection of its own, and to nobody else. */
static void how_often_to_say_something(void **state)
{
	struct client c = stream_client(FLOW_ZONES POOLS REGISTER_ROUTES
	                                "registrar: { example.com: { auth: none, expires: { jitter: 0 }, flow-timer: 90s } }\n", 1);
	const char *timer = "Supported: path, outbound\nContact: <sip:alice@192.0.2.10;transport=tcp;ob>;reg-id=1;" INSTANCE "\n";

	(void)state;
	registers(&c, timer, "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_FLOW_TIMER), "90");
	registers(&c, "Contact: <sip:alice@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_FLOW_TIMER), "");
	c.to = EDGE;
	registers(&c, timer, "SIP/2.0 200");
	assert_string_equal(got_value(&c.got, HDR_FLOW_TIMER), "");
	end(&c);
}

/* The connection of a proxy that named itself is nobody's flow. */
static void unless_it_is_behind_a_proxy(void **state)
{
	struct client c = stream_client(STREAMS, 1);

	(void)state;
	registers(&c, "Supported: path\nPath: <sip:edge.example.net;lr>\nContact: <sip:alice@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	rig_close(c.rig, ALICE);
	rig_after(c.rig, 60000);
	assert_int_equal(bindings(c.rig), 1);
	end(&c);
}

/* Whoever has the connection tells whoever has the binding, with any number of workers and when its mailbox is full, too. */
static void another_worker_hears_of_it(void **state)
{
	struct client c = stream_client(STREAMS, 8);
	char user[32];

	(void)state;
	c.user = user;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		registers(&c, "Contact: <sip:user@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	}
	assert_int_equal(bindings(c.rig), 100);
	for (unsigned i = 0; i < 8; i++)
		assert_true(registrar_bindings(c.rig->workers[i].registrar) > 3);
	c.from = BOB;
	c.to = CORE_TCP;
	registers(&c, "Contact: <sip:user@10.0.0.21;transport=tcp>\n", "SIP/2.0 200");
	c.from = ALICE;
	rig_close(c.rig, ALICE);
	rig_after(c.rig, 5000);
	assert_int_equal(bindings(c.rig), 1);
	end(&c);
}

/* Waves --------------------------------------------------------------------------------------------------------------- */

#define SLOWLY \
	FLOW_ZONES POOLS REGISTER_ROUTES "registrar: { example.com: { auth: none, rate: 20/s, expires: { jitter: 0 } }, " \
	"example.net: { auth: none } }\n"

/* Beyond the rate of the domain: 503, and when there is a place; the limit is that of all workers together. */
static void a_wave_is_told_when_to_return(void **state)
{
	for (unsigned workers = 1; workers <= 8; workers *= 2) {
		struct client c = client_of(SLOWLY, workers);
		unsigned refused = 0, at[16] = { 0 };
		char user[32];

		(void)state;
		c.user = user;
		for (unsigned i = 0; i < 60; i++) {
			snprintf(user, sizeof(user), "user%u", i);
			registers(&c, "Contact: <sip:user@192.0.2.10>\n", "SIP/2.0 ");
			if (c.got.v.status == 200)
				continue;
			assert_int_equal(c.got.v.status, 503);
			refused++;
			at[atoi(got_value(&c.got, HDR_RETRY_AFTER))]++;
		}
		assert_int_equal(refused, 40);
		assert_true(at[0] == 0 && at[1] + at[2] >= 20 && at[2] <= 21 && at[3] <= 20 && at[4] == 0);
		assert_int_equal(bindings(c.rig), 20);
		/* those who are registered may go on a little */
		strcpy(user, "user0");
		registers(&c, "Contact: <sip:user@192.0.2.10>\n", "SIP/2.0 200");
		rig_after(c.rig, 1000);
		strcpy(user, "user59");
		registers(&c, "Contact: <sip:user@192.0.2.10>\n", "SIP/2.0 200");
		end(&c);
	}
}

/* Another node ------------------------------------------------------------------------------------------------------- */

struct records {
	struct registrar_sink sink;
	struct sv of[8];
	unsigned n;
};

static void keep(struct registrar_sink *sink, uint64_t key, struct sv record)
{
	struct records *all = owner_of(sink, struct records, sink);
	char *copy = malloc(record.len);

	assert_true(key && all->n < 8);
	assert_non_null(copy);
	memcpy(copy, record.p, record.len);
	all->of[all->n++] = (struct sv){ copy, record.len };
}

static void records_free(struct records *all)
{
	while (all->n)
		free((char *)all->of[--all->n].p);
}

/* The node of `c` dies; another one takes its place, with what it knew. */
static void another_node_takes_over(struct client *c, const char *yaml, unsigned workers, unsigned n)
{
	struct records all = { .sink = { keep } };

	for (unsigned i = 0; i < c->rig->shared.workers; i++)
		assert_int_equal(registrar_export(c->rig->workers[i].registrar, c->rig->conf, &all.sink), 0);
	assert_int_equal(all.n, n);
	rig_free(c->rig, false);
	c->rig = rig_new(yaml, workers, 2);
	c->rig->has_flows = true;
	for (unsigned i = 0; i < all.n; i++) {
		struct registrar *any = c->rig->workers[0].registrar;
		struct registrar *r = c->rig->workers[registrar_record_shard(any, all.of[i]) % workers].registrar;

		assert_int_equal(registrar_apply(r, c->rig->conf, all.of[i]), 0);
		assert_int_equal(registrar_apply(r, c->rig->conf, all.of[i]), -EEXIST);
	}
	records_free(&all);
}

static const struct registration *registration_of(struct rig *r, const char *uri)
{
	struct aor aor;
	uint64_t key;

	assert_int_equal(aor_parse(&aor, sv_from(uri)), 0);
	key = aor_key(token_hash_key(r->workers[0].tokens), &aor);
	return registrar_find(r->workers[aor_shard(key) % r->shared.workers].registrar, key);
}

static void another_node_knows_what_was_registered(void **state)
{
	static const unsigned workers[][2] = { { 1, 1 }, { 1, 8 }, { 8, 2 }, { 2, 1 } };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct client c = client_of(PLAIN, workers[i][0]);
		uint64_t id;

		registers(&c, "Supported: path, outbound\nPath: <sip:p.example.net;lr;ob>\n"
		              "Contact: <sip:alice@192.0.2.10;ob>;reg-id=1;" INSTANCE ";q=0.25;expires=600\n", "SIP/2.0 200");
		c.call_id = "second";
		registers(&c, "Contact: <sip:alice@192.0.2.11>\n", "SIP/2.0 200");
		c.user = "b%40b";
		registers(&c, "Contact: <sip:bob@192.0.2.12>\n", "SIP/2.0 200");
		id = registration_next(registration_of(c.rig, "sip:alice@example.com"), NULL)->by_id.key;
		rig_after(c.rig, 100000);
		another_node_takes_over(&c, PLAIN, workers[i][1], 2);
		assert_int_equal(bindings(c.rig), 3);
		assert_true(registration_next(registration_of(c.rig, "sip:alice@example.com"), NULL)->by_id.key == id);
		assert_non_null(registration_of(c.rig, "sip:b%40b@example.com"));
		/* repeated, late, and in order */
		c.user = "alice";
		c.call_id = "reg-1";
		registers_as(&c, 1, "Supported: path, outbound\nPath: <sip:p.example.net;lr;ob>\n"
		                    "Contact: <sip:alice@192.0.2.10;ob>;reg-id=1;" INSTANCE ";q=0.25;expires=600\n", "SIP/2.0 200");
		assert_true(got_has(&c.got, "Contact: <sip:alice@192.0.2.10;ob>;reg-id=1;" INSTANCE ";q=0.250;expires=500\r\n"));
		assert_true(got_has(&c.got, "Contact: <sip:alice@192.0.2.11>;expires=3500\r\n"));
		registers_as(&c, 0, "Contact: <sip:alice@192.0.2.10;ob>;reg-id=1;" INSTANCE "\nSupported: outbound\n", "SIP/2.0 500");
		registers_as(&c, 2, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
		assert_int_equal(bindings(c.rig), 1);
		end(&c);
	}
}

/* Its connection was to the node that died. */
static void a_contact_over_a_connection_has_its_grace(void **state)
{
	struct client c = stream_client(STREAMS, 1);

	(void)state;
	registers(&c, "Contact: <sip:alice@192.0.2.10;transport=tcp>\n", "SIP/2.0 200");
	another_node_takes_over(&c, STREAMS, 1, 1);
	rig_after(c.rig, 4999);
	assert_int_equal(bindings(c.rig), 1);
	rig_after(c.rig, 1);
	assert_int_equal(bindings(c.rig), 0);
	end(&c);
}

/* Fields that a newer version writes are skipped; whatever else is changed or cut is refused, or harmless. */
static void records_may_be_newer_or_broken(void **state)
{
	struct client c = client_of(PLAIN, 1);
	struct records all = { .sink = { keep } };
	struct registrar *r;
	struct tlv_out o;
	char area[4096];

	(void)state;
	registers(&c, "Supported: path\nPath: <sip:p.example.net;lr>\nContact: <sip:alice@192.0.2.10>;" INSTANCE "\n", "SIP/2.0 200");
	registrar_export(c.rig->workers[0].registrar, c.rig->conf, &all.sink);
	registers(&c, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
	r = c.rig->workers[0].registrar;
	memcpy(area, all.of[0].p, all.of[0].len);
	tlv_init(&o, area + all.of[0].len, sizeof(area) - all.of[0].len);
	tlv_put(&o, 77, SV("what a newer version knows"));
	assert_int_equal(registrar_apply(r, c.rig->conf, (struct sv){ area, all.of[0].len + o.len }), 0);
	assert_int_equal(bindings(c.rig), 1);
	c.call_id = "other";
	registers(&c, "Contact: *\nExpires: 0\n", "SIP/2.0 200");
	for (size_t len = 0; len < all.of[0].len; len++)
		assert_int_not_equal(registrar_apply(r, c.rig->conf, (struct sv){ all.of[0].p, len }) == 0 && bindings(c.rig), 1);
	for (size_t at = 0; at < all.of[0].len; at++) {
		memcpy(area, all.of[0].p, all.of[0].len);
		area[at] ^= 0x41;
		registrar_apply(r, c.rig->conf, (struct sv){ area, all.of[0].len });
	}
	records_free(&all);
	rig_after(c.rig, UINT64_C(7) * 86400 * 1000);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_binding_is_answered_with_what_was_granted),
		cmocka_unit_test(a_contact_is_added_beside_others),
		cmocka_unit_test(without_contact_it_is_a_question),
		cmocka_unit_test(a_star_removes_all),
		cmocka_unit_test(a_star_is_alone_and_says_expires_0),
		cmocka_unit_test(a_removal_names_one),
		cmocka_unit_test(each_contact_has_its_own_expiry),
		cmocka_unit_test(too_brief_is_said),
		cmocka_unit_test(requests_of_one_client_have_an_order),
		cmocka_unit_test(a_star_is_in_order_too),
		cmocka_unit_test(a_late_request_does_not_bring_a_contact_back),
		cmocka_unit_test(what_is_granted_is_spread),
		cmocka_unit_test(one_bad_contact_changes_nothing),
		cmocka_unit_test(too_much_of_anything_is_refused),
		cmocka_unit_test(a_fourth_contact_is_refused),
		cmocka_unit_test(or_the_oldest_goes_for_it),
		cmocka_unit_test(contacts_are_compared_as_uris),
		cmocka_unit_test(spellings_of_one_contact_do_not_meet),
		cmocka_unit_test(the_aor_is_canonical),
		cmocka_unit_test(it_is_for_a_domain_of_ours),
		cmocka_unit_test(an_unknown_domain_may_get_silence),
		cmocka_unit_test(nobody_registers_another),
		cmocka_unit_test(contacts_of_another_zone_are_not_shown),
		cmocka_unit_test(answers_do_not_outgrow_their_question),
		cmocka_unit_test(what_is_required_must_be_known),
		cmocka_unit_test(a_path_is_kept_and_echoed),
		cmocka_unit_test(an_instance_has_a_binding_per_flow),
		cmocka_unit_test(who_knows_gruus_gets_two),
		cmocka_unit_test(a_gruu_goes_where_the_rules_say),
		cmocka_unit_test(a_binding_goes_with_its_connection),
		cmocka_unit_test(unless_it_comes_back_in_time),
		cmocka_unit_test(how_often_to_say_something),
		cmocka_unit_test(unless_it_is_behind_a_proxy),
		cmocka_unit_test(another_worker_hears_of_it),
		cmocka_unit_test(a_wave_is_told_when_to_return),
		cmocka_unit_test(another_node_knows_what_was_registered),
		cmocka_unit_test(a_contact_over_a_connection_has_its_grace),
		cmocka_unit_test(records_may_be_newer_or_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
