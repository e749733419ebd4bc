/* tests/flow/digest.c - who somebody is: REGISTER with digest (RFC 3665 §2, RFC 7616, RFC 8760). The telephone computes its answers by
 * itself, apart from the code under test. */
#include "tests/flow/secret.h"
#include "registrar/auth.h"
#include "registrar/registrar.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define REGISTER_ROUTES "routes: [{ when: { method: REGISTER }, to: registrar }]\n"
#define POOLS "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
#define REGISTRAR "registrar: { example.com: { auth: { users: \"%s\" }, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"
#define CONTACT "Contact: <sip:alice@192.0.2.10:5060>\n"
/* As long as what telephones send. */
#define USUAL "User-Agent: Telephone 1.0\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, REFER, NOTIFY, MESSAGE\nSupported: path\n"

struct phone {
	struct rig *rig;
	struct got got;
	struct secret who;
	const char *at, *to, *aor, *call_id;
	char file[64], users[1024];
	unsigned cseq, branch;
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Adds both lines of a user. */
static void add_user(struct phone *p, const char *user, const char *password, const char *aors)
{
	char md5[SECRET_HEX], sha[SECRET_HEX];
	size_t len = strlen(p->users);

	secret_ha1("MD5", user, password, md5);
	secret_ha1("SHA-256", user, password, sha);
	snprintf(p->users + len, sizeof(p->users) - len, "%s:example.com:%s%s\n%s:example.com:%s\n", user, md5, aors, user, sha);
	write_file(p->file, p->users);
}

static struct phone phone_new(const char *routes, unsigned workers)
{
	struct phone p = { .who = { .user = "alice", .password = "zanzibar", .algorithm = "SHA-256" }, .at = ALICE, .to = EDGE,
	                   .aor = "alice", .call_id = "reg-1",
	                   .file = "/tmp/users-XXXXXX" };
	char yaml[4096];
	int fd = mkstemp(p.file);

	assert_true(fd >= 0);
	close(fd);
	add_user(&p, "alice", "zanzibar", "");
	add_user(&p, "bob", "bobspass", ":robert,+4930123");
	snprintf(yaml, sizeof(yaml), "%s%s%s" REGISTRAR, FLOW_ZONES, POOLS, routes, p.file);
	p.rig = rig_new(yaml, workers, 1);
	return p;
}

static size_t bindings(const struct rig *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += registrar_bindings(r->workers[i].registrar);
	return n;
}

static uint64_t counted(const struct rig *r, enum auth_counter which)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->shared.workers; i++)
		n += counter_get(auth_counters(r->workers[i].auth), which);
	return n;
}

static void phone_end(struct phone *p)
{
	got_free(&p->got);
	rig_after(p->rig, 3600 * 1000 + 1);
	assert_int_equal(bindings(p->rig), 0);
	rig_free(p->rig, true);
	unlink(p->file);
}

/* The line that answers the last challenge. */
static const char *credentials(const struct phone *p, const char *header, const char *method, const char *uri)
{
	return secret_line(&p->who, header, method, uri);
}

/* The REGISTER of the present CSeq. `lines`: each with its "\n". */
static void say(struct phone *p, const char *lines)
{
	rig_say(p->rig, p->at, p->to, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:%s@example.com>;tag=a\n"
	        "To: <sip:%s@example.com>\nCall-ID: %s\nCSeq: %u REGISTER\n" USUAL "%s", p->at, p->branch, p->aor, p->aor, p->call_id, p->cseq,
	        lines);
}

static void say_next(struct phone *p, const char *lines)
{
	p->cseq++;
	p->branch++;
	say(p, lines);
}

static void expect(struct phone *p, const char *start)
{
	rig_expect(p->rig, p->at, start, &p->got);
}

/* The n-th challenge of the answer as text. */
static const char *challenge(const struct phone *p, enum hdr_id id, unsigned n)
{
	return secret_challenge(&p->got, id, n);
}

static void take_nonce(struct phone *p, enum hdr_id id)
{
	secret_take(&p->who, &p->got, id);
}

static void expect_challenge(struct phone *p, bool is_stale)
{
	expect(p, "SIP/2.0 401");
	assert_int_equal(strstr(challenge(p, HDR_WWW_AUTHENTICATE, 0), "stale=true") != NULL, is_stale);
	take_nonce(p, HDR_WWW_AUTHENTICATE);
}

/* The next request, with credentials by the last challenge. */
static void say_who(struct phone *p, const char *lines)
{
	char all[2048];

	p->who.nc++;
	snprintf(all, sizeof(all), "%s%s", lines, credentials(p, "Authorization", "REGISTER", "sip:example.com"));
	say_next(p, all);
}

static void registers(struct phone *p, const char *lines)
{
	say_next(p, lines);
	expect_challenge(p, false);
	say_who(p, lines);
	expect(p, "SIP/2.0 200");
}

/* Where one algorithm is not wanted, or not understood by telephones. */
static void one_algorithm_alone(void **state)
{
	static const char *const yaml = FLOW_ZONES POOLS REGISTER_ROUTES
		"registrar: { example.com: { auth: { algorithms: md5, inline: { alice: \"${SBC_TEST_SECRET}\" } } } }\n";
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	rig_free(p.rig, true);
	setenv("SBC_TEST_SECRET", "zanzibar", 1);
	p.rig = rig_new(yaml, 2, 1);
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	assert_non_null(strstr(challenge(&p, HDR_WWW_AUTHENTICATE, 0), "algorithm=MD5"));
	assert_null(challenge(&p, HDR_WWW_AUTHENTICATE, 1));
	say_who(&p, CONTACT); /* with SHA-256 */
	expect_challenge(&p, false);
	p.who.algorithm = "MD5";
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* RFC 3665 ------------------------------------------------------------------------------------------------------- */

/* §2.1, by either algorithm, whoever does the work. */
static void a_new_registration(void **state)
{
	static const char *const algorithms[] = { "SHA-256", "MD5" };
	static const unsigned workers[] = { 1, 2, 8 };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct phone p = phone_new(REGISTER_ROUTES, workers[i / 2]);

		p.who.algorithm = algorithms[i % 2];
		say_next(&p, CONTACT);
		expect_challenge(&p, false);
		assert_non_null(strstr(challenge(&p, HDR_WWW_AUTHENTICATE, 0), "algorithm=SHA-256, qop=\"auth\""));
		assert_non_null(strstr(challenge(&p, HDR_WWW_AUTHENTICATE, 1), "algorithm=MD5, qop=\"auth\""));
		assert_null(challenge(&p, HDR_WWW_AUTHENTICATE, 2));
		assert_int_equal(bindings(p.rig), 0);
		assert_int_equal(rig_in_use(p.rig), 0);
		say_who(&p, CONTACT);
		expect(&p, "SIP/2.0 200");
		assert_string_equal(got_value(&p.got, HDR_CONTACT), "<sip:alice@192.0.2.10:5060>;expires=3600");
		assert_int_equal(bindings(p.rig), 1);
		phone_end(&p);
	}
}

/* §2.2 to §2.4 with the nonce it has. */
static void update_query_and_removal(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	registers(&p, CONTACT);
	say_who(&p, "Contact: <mailto:alice@example.com>\n");
	expect(&p, "SIP/2.0 400");
	say_who(&p, "Contact: <sip:alice@192.0.2.11>\n");
	expect(&p, "SIP/2.0 200");
	assert_int_equal(bindings(p.rig), 2);
	say_who(&p, "");
	expect(&p, "SIP/2.0 200");
	assert_non_null(strstr(p.got.packet->bytes, "sip:alice@192.0.2.11"));
	say_who(&p, "Contact: *\nExpires: 0\n");
	expect(&p, "SIP/2.0 200");
	assert_int_equal(bindings(p.rig), 0);
	phone_end(&p);
}

/* §2.5. */
static void a_wrong_password(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	p.who.password = "sibar";
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	expect_challenge(&p, false);
	assert_int_equal(bindings(p.rig), 0);
	p.who.password = "zanzibar";
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* What is not said ------------------------------------------------------------------------------------------------- */

/* Everything of an answer but its nonces. */
static void copy_without_nonces(const struct phone *p, char *out, size_t size)
{
	char *nonce = out;

	snprintf(out, size, "%.*s", (int)p->got.packet->len, p->got.packet->bytes);
	while ((nonce = strstr(nonce, "nonce=\""))) {
		nonce += 7;
		memset(nonce, 'x', strcspn(nonce, "\""));
	}
}

static void nobody_learns_what_was_wrong(void **state)
{
	static const struct {
		const char *user, *password, *realm;
	} wrong[] = { { "alice", "sibar", NULL }, { "carol", "zanzibar", NULL }, { "bob", "zanzibar", NULL },
		      { "alice", "zanzibar", "example.org" } };
	char first[4096], other[4096];

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct phone p = phone_new(REGISTER_ROUTES, 2);
		uint64_t blocks;

		say_next(&p, CONTACT);
		expect_challenge(&p, false);
		p.who.user = wrong[i].user;
		p.who.password = wrong[i].password;
		p.who.realm = wrong[i].realm;
		say_who(&p, CONTACT);
		expect_challenge(&p, false);
		copy_without_nonces(&p, i ? other : first, sizeof(first));
		if (i)
			assert_string_equal(first, other);
		blocks = counted(p.rig, AUTH_REFUSED);
		assert_int_equal(blocks, p.who.realm ? 0 : 1); /* those for another realm are none */
		phone_end(&p);
	}
}

/* Nonces ----------------------------------------------------------------------------------------------------------- */

/* LESSONS 55. */
static void a_repeated_request_has_no_second_nonce(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);
	char first[64];

	(void)state;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	strcpy(first, p.who.nonce);
	for (unsigned i = 0; i < 6; i++) {
		rig_after(p.rig, 500u << i);
		say(&p, CONTACT);
		expect_challenge(&p, false);
		assert_string_equal(p.who.nonce, first);
	}
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	assert_string_not_equal(p.who.nonce, first);
	phone_end(&p);
}

static void an_old_nonce_is_stale(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	registers(&p, CONTACT);
	rig_after(p.rig, NONCE_AGE_MS + 1);
	say_who(&p, CONTACT);
	expect_challenge(&p, true);
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	strcpy(p.who.nonce, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	say_who(&p, CONTACT);
	expect_challenge(&p, true);
	phone_end(&p);
}

static void a_repetition_is_answered_again_and_a_replay_is_not(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);
	char all[2048];

	(void)state;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	p.who.nc = 1;
	p.cseq++;
	p.branch++;
	snprintf(all, sizeof(all), "%s%s", CONTACT, credentials(&p, "Authorization", "REGISTER", "sip:example.com"));
	for (unsigned i = 0; i < 3; i++) {
		say(&p, all);
		expect(&p, "SIP/2.0 200");
	}
	snprintf(all, sizeof(all), "Contact: <sip:mallory@198.51.100.1>\n%s", credentials(&p, "Authorization", "REGISTER", "sip:example.com"));
	say(&p, all); /* the same numbers, another contact */
	expect(&p, "SIP/2.0 401");
	say_next(&p, all);
	expect(&p, "SIP/2.0 401");
	p.at = "198.51.100.1:5060";
	snprintf(all, sizeof(all), "%s%s", CONTACT, credentials(&p, "Authorization", "REGISTER", "sip:example.com"));
	p.cseq--;
	p.branch--;
	say(&p, all); /* from elsewhere */
	expect(&p, "SIP/2.0 401");
	assert_int_equal(bindings(p.rig), 1);
	assert_int_equal(counted(p.rig, AUTH_STALES), 3);
	phone_end(&p);
}

/* A nonce is for one address of record: whoever has several cannot have a registration of one replayed for another, on another worker. */
static void a_nonce_is_for_one_address(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 8);
	char all[2048];

	(void)state;
	p.who.user = p.aor = "bob";
	p.who.password = "bobspass";
	registers(&p, CONTACT);
	snprintf(all, sizeof(all), "%s%s", CONTACT, credentials(&p, "Authorization", "REGISTER", "sip:example.com"));
	p.aor = "robert";
	p.call_id = "reg-2";
	say_next(&p, all);
	expect_challenge(&p, true);
	phone_end(&p);
}

/* Who may what ------------------------------------------------------------------------------------------------------ */

static void nobody_registers_another(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	p.aor = "bob";
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 403");
	assert_int_equal(bindings(p.rig), 0);
	assert_int_equal(counted(p.rig, AUTH_NOT_OWNED), 1);
	phone_end(&p);
}

/* The fourth field of the file. */
static void some_have_several_addresses(void **state)
{
	static const char *const theirs[] = { "bob", "robert", "+4930123" };
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	p.who.user = "bob";
	p.who.password = "bobspass";
	for (unsigned i = 0; i < 3; i++) {
		p.aor = theirs[i];
		registers(&p, CONTACT);
	}
	p.aor = "rob";
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 403");
	phone_end(&p);
}

static void trusted_sources_are_not_asked(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	p.at = BOB;
	p.to = CORE;
	say_next(&p, "Contact: <sip:alice@10.0.0.21>\n");
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* DECISIONS 32 ------------------------------------------------------------------------------------------------------ */

/* Returns how long it is. */
static size_t say_little(struct phone *p, const char *to, const char *padding)
{
	char text[2048];
	int len = snprintf(text, sizeof(text),
	                   "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/%s a;branch=z9hG4bK%u\r\nFrom: <sip:a@example.com>;tag=a\r\n"
	                   "To: <sip:a@example.com>\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\n%sContent-Length: 0\r\n\r\n",
	                   strncmp(to, "tcp", 3) ? "UDP" : "TCP", ++p->branch, p->call_id, ++p->cseq, padding);

	rig_send(p->rig, p->at, to, text);
	rig_after(p->rig, 1);
	return (size_t)len;
}

static unsigned challenges(const struct phone *p)
{
	unsigned n = 0;

	while (challenge(p, HDR_WWW_AUTHENTICATE, n))
		n++;
	return n;
}

/* What is longer than 1.5 times the request is not said to who may not be there. */
static void a_forged_source_gets_little(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);
	char padding[512];
	size_t len = 0, sent;

	(void)state;
	say_little(&p, EDGE, "");
	rig_expect_silence(p.rig, p.at);
	assert_int_equal(counted(p.rig, AUTH_SILENCES), 1);
	for (unsigned expected = 0; len < sizeof(padding) - 16;) {
		len += (size_t)snprintf(padding + len, sizeof(padding) - len, "X-Padding: 12\r\n");
		sent = say_little(&p, EDGE, padding);
		if (!rig_has_message(p.rig, p.at)) {
			assert_int_equal(expected, 0);
			continue;
		}
		expect(&p, "SIP/2.0 401");
		assert_true(2 * p.got.packet->len <= 3 * sent);
		assert_true(challenges(&p) >= expected);
		expected = challenges(&p);
		if (expected == 1)
			assert_non_null(strstr(challenge(&p, HDR_WWW_AUTHENTICATE, 0), "algorithm=MD5"));
	}
	assert_int_equal(challenges(&p), 2);
	say_little(&p, EDGE_TCP, "");
	expect(&p, "SIP/2.0 401");
	assert_int_equal(challenges(&p), 2); /* whoever has a connection is there */
	phone_end(&p);
}

/* Hostile credentials ------------------------------------------------------------------------------------------------ */

static void what_cannot_be_read_is_refused(void **state)
{
	static const char *const lines[] = {
		"Authorization: Digest\n", "Authorization: Digest username=\"alice\n", "Authorization: Digest username=alice, realm=\"example.com\"\n",
		"Authorization: Digest username*=UTF-8''alice, realm=\"example.com\"\n", "Authorization: \"\n", "Authorization:\n",
		"Authorization: Digest realm=\"example.com\", realm=\"example.com\"\n",
		"Authorization: Digest realm=\"exa\n mple.com\"\n",
	};
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say_next(&p, lines[i]);
		expect(&p, "SIP/2.0 400");
	}
	phone_end(&p);
}

static void expect_refusal(struct phone *p)
{
	say_who(p, CONTACT);
	expect_challenge(p, false);
	assert_int_equal(bindings(p->rig), 0);
}

/* Credentials that are right for something else. */
static void what_was_not_asked_for_is_refused(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	p.who.uri = "sip:example.org";
	expect_refusal(&p);
	p.who.uri = NULL;
	p.who.method = "INVITE";
	expect_refusal(&p);
	p.who.method = NULL;
	p.who.qop = "auth-int";
	expect_refusal(&p);
	p.who.qop = NULL;
	p.who.uri = "sip:EXAMPLE.com"; /* the same one (RFC 3261 §19.1.4) */
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* Those of others do not matter, and those that do may stand behind them (RFC 3261 §22.3). */
static void credentials_for_others_are_passed_over(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);
	char all[2048];

	(void)state;
	say_next(&p, CONTACT "Authorization: Basic Zm9v\nAuthorization: Digest realm=\"elsewhere\"\n");
	expect_challenge(&p, false);
	p.who.nc = 1;
	snprintf(all, sizeof(all), CONTACT "Authorization: Basic Zm9v\nAuthorization: Digest realm=\"elsewhere\"\n%s",
	         credentials(&p, "Authorization", "REGISTER", "sip:example.com"));
	say_next(&p, all);
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* The file of users -------------------------------------------------------------------------------------------------- */

static void poll_file(struct phone *p, const char *text)
{
	char other[80];

	snprintf(other, sizeof(other), "%s.new", p->file); /* another file, so that no clock has to go on for it to be another one */
	write_file(other, text);
	assert_int_equal(rename(other, p->file), 0);
	users_poll(p->rig->shared.users);
	rig_after(p->rig, 1);
}

static void a_changed_file_is_read(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	registers(&p, CONTACT);
	p.users[0] = '\0';
	add_user(&p, "alice", "new secret", "");
	poll_file(&p, p.users);
	say_who(&p, CONTACT);
	expect_challenge(&p, false);
	p.who.password = "new secret";
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	assert_int_equal(counter_get(users_counters(p.rig->shared.users), USERS_FILES_READ), 2);
	poll_file(&p, "alice:example.com:oops\n"); /* changes nothing */
	assert_int_equal(counter_get(users_counters(p.rig->shared.users), USERS_FILES_REFUSED), 1);
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	assert_int_equal(unlink(p.file), 0);
	users_poll(p.rig->shared.users);
	users_poll(p.rig->shared.users);
	assert_int_equal(counter_get(users_counters(p.rig->shared.users), USERS_FILES_REFUSED), 2); /* said once */
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	poll_file(&p, "");
	say_who(&p, CONTACT);
	expect_challenge(&p, false);
	phone_end(&p);
}

/* What was never read is not the same as nobody. */
static void a_file_that_cannot_be_read_is_our_fault(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);
	char yaml[4096];

	(void)state;
	write_file(p.file, "oops\n");
	snprintf(yaml, sizeof(yaml), "%s%s%s" REGISTRAR, FLOW_ZONES, POOLS, REGISTER_ROUTES, p.file);
	rig_free(p.rig, true);
	p.rig = rig_new(yaml, 2, 1);
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 503");
	assert_int_equal(rig_count(p.rig, USERS_UNANSWERED), 1);
	poll_file(&p, p.users);
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* Old files go when every worker has let go of them, however often they change. */
static void a_file_that_changes_often(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 8);

	(void)state;
	for (unsigned i = 0; i < 4 * USERS_OLD_MAX; i++)
		poll_file(&p, p.users);
	assert_int_equal(counter_get(users_counters(p.rig->shared.users), USERS_FILES_READ), 4 * USERS_OLD_MAX + 1);
	registers(&p, CONTACT);
	phone_end(&p);
}

#define INLINE \
	FLOW_ZONES POOLS REGISTER_ROUTES \
	"registrar: { example.com: { auth: { inline: { alice: \"${SBC_TEST_SECRET}\" } } } }\n"

static void users_of_the_configuration(void **state)
{
	struct phone p = phone_new(REGISTER_ROUTES, 2);

	(void)state;
	rig_free(p.rig, true);
	setenv("SBC_TEST_SECRET", "zanzibar", 1);
	p.rig = rig_new(INLINE, 2, 1);
	registers(&p, CONTACT);
	setenv("SBC_TEST_SECRET", "other", 1);
	rig_reload(p.rig, INLINE);
	say_who(&p, CONTACT);
	expect_challenge(&p, false);
	p.who.password = "other";
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 200");
	phone_end(&p);
}

/* Calls ----------------------------------------------------------------------------------------------------------- */

#define CALL_ROUTES(caller) \
	"routes:\n" \
	"  - { when: { method: REGISTER }, to: registrar }\n" \
	"  - { when: { zone: public, caller: " caller " }, to: { pool: apps } }\n" \
	"  - { when: { zone: core }, to: { pool: apps } }\n" \
	"  - { to: { reject: 404 } }\n"

/* An INVITE (or what else) of the present CSeq for Bob. */
static void ask_out(struct phone *p, const char *method, const char *lines)
{
	rig_say(p->rig, p->at, p->to, "",
	        "%s sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u\nMax-Forwards: 70\nFrom: <sip:%s@example.com>;tag=a\n"
	        "To: <sip:bob@example.com>\nCall-ID: %s\nCSeq: %u %s\nContact: <sip:alice@192.0.2.10>\n" USUAL "%s", method, p->at,
	        p->branch, p->aor, p->call_id, p->cseq, method, lines);
}

static void calls(struct phone *p, const char *method, const char *lines)
{
	p->cseq++;
	p->branch++;
	ask_out(p, method, lines);
}

static void expect_407(struct phone *p, bool is_stale)
{
	expect(p, "SIP/2.0 407");
	assert_int_equal(strstr(challenge(p, HDR_PROXY_AUTHENTICATE, 0), "stale=true") != NULL, is_stale);
	take_nonce(p, HDR_PROXY_AUTHENTICATE);
}

static void calls_as_himself(struct phone *p, const char *method, const char *lines)
{
	char all[2048];

	p->who.nc++;
	snprintf(all, sizeof(all), "%s%s", lines, credentials(p, "Proxy-Authorization", method, "sip:bob@example.com"));
	calls(p, method, all);
}

/* What was asked has reached Bob: he refuses it, and all is over. */
static void bob_declines(struct phone *p, const char *start, struct got *at_bob)
{
	char to[256];

	rig_expect(p->rig, BOB, start, at_bob);
	snprintf(to, sizeof(to), "%s;tag=bob", got_value(at_bob, HDR_TO));
	flow_answer(p->rig, BOB, CORE, at_bob, 603, to, NULL, "", "");
	rig_after(p->rig, 40000);
	rig_forget(p->rig, p->at);
	rig_forget(p->rig, BOB);
}

/* Everybody who comes without being known. */
static void a_call_with_digest(void **state)
{
	static const unsigned workers[] = { 1, 2, 8 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct phone p = phone_new(CALL_ROUTES("authenticated"), workers[i]);
		struct got at_bob = { 0 };

		p.call_id = "call-1";
		calls(&p, "INVITE", "");
		expect_407(&p, false);
		assert_int_equal(rig_in_use(p.rig), 0);
		assert_non_null(strstr(challenge(&p, HDR_PROXY_AUTHENTICATE, 0), "algorithm=SHA-256"));
		assert_non_null(strstr(challenge(&p, HDR_PROXY_AUTHENTICATE, 1), "algorithm=MD5"));
		ask_out(&p, "ACK", "");
		rig_expect_silence(p.rig, p.at);
		calls_as_himself(&p, "INVITE", "Proxy-Authorization: Digest username=\"x\", realm=\"elsewhere\"\nAuthorization: Basic Zm9v\n");
		expect(&p, "SIP/2.0 100");
		rig_expect(p.rig, BOB, "INVITE ", &at_bob);
		assert_string_equal(got_value(&at_bob, HDR_PROXY_AUTHORIZATION), "Digest username=\"x\", realm=\"elsewhere\"");
		assert_string_equal(got_value(&at_bob, HDR_AUTHORIZATION), "Basic Zm9v");
		assert_false(got_has(&at_bob, "c0ffee")); /* ours have been read */
		got_free(&at_bob);
		rig_after(p.rig, 40000);
		rig_forget(p.rig, p.at);
		rig_forget(p.rig, BOB);
		phone_end(&p);
	}
}

static void everything_else_too(void **state)
{
	static const char *const methods[] = { "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH" };
	struct phone p = phone_new(CALL_ROUTES("registered"), 2);
	struct got at_bob = { 0 };
	char start[16], call_id[16];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(call_id, sizeof(call_id), "other-%u", i);
		snprintf(start, sizeof(start), "%s ", methods[i]);
		p.call_id = call_id;
		calls(&p, methods[i], "Event: presence\nRefer-To: <sip:carol@example.com>\n");
		expect_407(&p, false);
		calls_as_himself(&p, methods[i], "Event: presence\nRefer-To: <sip:carol@example.com>\n");
		bob_declines(&p, start, &at_bob);
	}
	got_free(&at_bob);
	phone_end(&p);
}

/* Whoever is registered over this flow needs no password, where that is enough. */
static void registered_callers_are_not_asked(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("registered"), 2);
	struct got at_bob = { 0 };

	(void)state;
	registers(&p, CONTACT);
	p.call_id = "call-1";
	calls(&p, "INVITE", "");
	expect(&p, "SIP/2.0 100");
	bob_declines(&p, "INVITE ", &at_bob);
	p.at = "192.0.2.10:5099"; /* not this one */
	p.call_id = "call-2";
	calls(&p, "INVITE", "");
	expect_407(&p, false);
	got_free(&at_bob);
	phone_end(&p);
}

static void a_rule_may_want_more_than_a_registration(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	registers(&p, CONTACT);
	p.call_id = "call-1";
	calls(&p, "INVITE", "");
	expect_407(&p, false);
	phone_end(&p);
}

/* A password that is wrong is asked for again; rules further down do not matter. */
static void wrong_callers_get_nowhere(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	p.call_id = "call-1";
	p.who.password = "sibar";
	calls(&p, "INVITE", "");
	expect_407(&p, false);
	calls_as_himself(&p, "INVITE", "");
	expect_407(&p, false);
	p.who.user = "carol";
	calls_as_himself(&p, "INVITE", "");
	expect_407(&p, false);
	calls(&p, "INVITE", "Proxy-Authorization: Digest x\n");
	expect(&p, "SIP/2.0 400");
	rig_expect_silence(p.rig, BOB);
	phone_end(&p);
}

/* Nobody can be asked who is of no domain of ours: the rule is not for him, and the last one answers. */
static void strangers_are_not_asked(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	rig_say(p.rig, p.at, p.to, "",
	        "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKx\nMax-Forwards: 70\nFrom: <sip:alice@example.org>;tag=a\n"
	        "To: <sip:bob@example.com>\nCall-ID: x\nCSeq: 1 INVITE\nContact: <sip:alice@192.0.2.10>\n", p.at);
	expect(&p, "SIP/2.0 404");
	phone_end(&p);
}

static void trusted_callers_are_not_asked(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 2);
	struct got at_bob = { 0 };

	(void)state;
	p.at = CAROL;
	p.to = CORE;
	calls(&p, "INVITE", "");
	expect(&p, "SIP/2.0 100");
	bob_declines(&p, "INVITE ", &at_bob);
	got_free(&at_bob);
	phone_end(&p);
}

/* DECISIONS 15. */
static void nobody_speaks_for_another(void **state)
{
	static const struct {
		const char *aor, *lines;
		bool passes;
	} says[] = {
		{ "bob", "", true },
		{ "robert", "", true },
		{ "alice", "", false },
		{ "bob", "P-Asserted-Identity: <sip:robert@example.com>\n", true },
		{ "bob", "P-Asserted-Identity: <sip:alice@example.com>\n", false },
		{ "bob", "P-Asserted-Identity: <sip:bob@example.com>, <tel:+4930123>\n", true },
		{ "bob", "P-Asserted-Identity: <sip:bob@example.com>, <tel:+4930124>\n", false },
		{ "bob", "P-Preferred-Identity: <sip:bob@example.org>\n", false },
		{ "bob", "P-Preferred-Identity: <sip:bob@example.com>\nP-Preferred-Identity: <sip:alice@example.com>\n", false },
		{ "bob", "P-Preferred-Identity: <urn:service:sos>\n", false },
		{ "bob", "P-Preferred-Identity: oops\n", false },
	};
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 2);
	struct got at_bob = { 0 };
	char call_id[16];

	(void)state;
	p.who.user = "bob";
	p.who.password = "bobspass";
	for (unsigned i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		snprintf(call_id, sizeof(call_id), "call-%u", i);
		p.call_id = call_id;
		p.aor = says[i].aor;
		calls(&p, "INVITE", says[i].lines);
		expect_407(&p, false);
		calls_as_himself(&p, "INVITE", says[i].lines);
		expect(&p, says[i].passes ? "SIP/2.0 100" : "SIP/2.0 403");
		if (says[i].passes)
			bob_declines(&p, "INVITE ", &at_bob);
		else
			rig_expect_silence(p.rig, BOB);
	}
	got_free(&at_bob);
	phone_end(&p);
}

/* The nonce of one call is no good for another, on whichever worker that is; the same request has one nonce. */
static void a_nonce_is_for_one_call(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 8);
	struct got at_bob = { 0 };
	char first[64], call_id[16];

	(void)state;
	p.call_id = "call-1";
	calls(&p, "INVITE", "");
	expect_407(&p, false);
	strcpy(first, p.who.nonce);
	ask_out(&p, "INVITE", "");
	expect_407(&p, false);
	assert_string_equal(p.who.nonce, first);
	for (unsigned i = 2; i < 10; i++) {
		snprintf(call_id, sizeof(call_id), "call-%u", i);
		p.call_id = call_id;
		strcpy(p.who.nonce, first);
		p.who.nc = 0;
		calls_as_himself(&p, "INVITE", "");
		expect_407(&p, true);
	}
	strcpy(p.who.nonce, first);
	p.who.nc = 0;
	p.call_id = "call-1";
	calls_as_himself(&p, "INVITE", "");
	expect(&p, "SIP/2.0 100");
	bob_declines(&p, "INVITE ", &at_bob);
	p.who.nc = 0;
	calls_as_himself(&p, "INVITE", ""); /* once more in the same call: used */
	expect_407(&p, true);
	got_free(&at_bob);
	phone_end(&p);
}

/* What is within a dialog is known by its identifiers: nobody is asked, and our credentials, repeated, still go nowhere. */
static void requests_within_a_call_are_not_asked(void **state)
{
	struct phone p = phone_new(CALL_ROUTES("authenticated"), 2);
	struct flow f = { .rig = p.rig, .bob = BOB, .alice_cseq = 1, .bob_cseq = 100 };
	const char *line;

	(void)state;
	flow_alice_calls(&f, USUAL, SDP);
	expect_407(&p, false);
	f.alice_cseq++;
	p.who.nc++;
	line = credentials(&p, "Proxy-Authorization", "INVITE", "sip:bob@example.com");
	flow_alice_calls(&f, line, SDP);
	flow_expect_at_alice(&f, "SIP/2.0 100");
	flow_expect_at_bob(&f, "INVITE ");
	flow_bob_answers(&f, 200, "Content-Type: application/sdp\n", SDP);
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_ack(&f);
	flow_alice_says(&f, "INFO", "", "");
	flow_expect_at_bob(&f, "INFO ");
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	flow_alice_says(&f, "BYE", line, "");
	flow_expect_at_bob(&f, "BYE ");
	assert_false(got_has(&f.at_bob, "c0ffee"));
	flow_bob_answers(&f, 200, "", "");
	flow_expect_at_alice(&f, "SIP/2.0 200");
	got_free(&p.got);
	flow_end(&f);
	unlink(p.file);
}

/* Sources that take their time --------------------------------------------------------------------------------------- */

/* In place of the file: it knows one user, and answers when the test says so. */
struct late {
	int (*find)(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_keys *keys);
	struct user_source *source;
	const struct conf_registrar *domain;
	struct user_ask *ask;
	char user[32];
	unsigned asked, cancelled;
	int refuses;
};
static struct late late; /* one at a time, as the tests are */

static int late_find(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_keys *keys)
{
	(void)s, (void)domain, (void)user, (void)keys;
	return -EINPROGRESS;
}

static int late_ask(struct user_source *s, const struct conf_registrar *domain, struct sv user, struct user_ask *ask)
{
	if (late.refuses)
		return late.refuses;
	late.source = s;
	late.domain = domain;
	late.ask = ask;
	late.asked++;
	snprintf(late.user, sizeof(late.user), "%.*s", SV_ARG(user));
	return 0;
}

static void late_cancel(struct user_source *s, struct user_ask *ask)
{
	(void)s;
	assert_ptr_equal(ask, late.ask);
	late.ask = NULL;
	late.cancelled++;
}

static void late_answers(struct phone *p, int err)
{
	struct user_keys keys;
	struct user_ask *ask = late.ask;

	assert_non_null(ask);
	late.ask = NULL;
	if (!err)
		err = late.find(late.source, late.domain, sv_from(late.user), &keys);
	ask->answer(ask, err, &keys);
	rig_after(p->rig, 1);
}

static struct phone late_new(const char *routes, unsigned workers)
{
	struct phone p = phone_new(routes, workers);

	late = (struct late){ .find = p.rig->workers[0].users.source.find };
	for (unsigned i = 0; i < workers; i++) {
		p.rig->workers[i].users.source.find = late_find;
		p.rig->workers[i].users.source.ask = late_ask;
		p.rig->workers[i].users.source.cancel = late_cancel;
	}
	return p;
}

static void a_registration_waits_for_its_source(void **state)
{
	struct phone p = late_new(CALL_ROUTES("authenticated"), 1);
	const char *own;
	char all[2048];

	(void)state;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	p.who.nc = 1;
	p.cseq++;
	p.branch++;
	snprintf(all, sizeof(all), "%s%s", CONTACT, credentials(&p, "Authorization", "REGISTER", "sip:example.com"));
	say(&p, all);
	rig_after(p.rig, 500);
	say(&p, all); /* repeated meanwhile */
	rig_after(p.rig, 500);
	rig_expect_silence(p.rig, p.at);
	assert_int_equal(late.asked, 1);
	own = p.aor;
	p.aor = "somebody-else"; /* comes between, and is read to its end */
	p.branch++;
	say(&p, CONTACT);
	expect(&p, "SIP/2.0 401");
	p.aor = own;
	late_answers(&p, 0);
	expect(&p, "SIP/2.0 200");
	rig_expect_silence(p.rig, p.at);
	assert_int_equal(bindings(p.rig), 1);
	say_who(&p, CONTACT);
	late_answers(&p, -ENOENT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	late_answers(&p, -EIO);
	expect(&p, "SIP/2.0 503");
	late.refuses = -ENOBUFS;
	say_who(&p, CONTACT);
	expect(&p, "SIP/2.0 503");
	assert_int_equal(rig_count(p.rig, USERS_ASKED), 3);
	assert_int_equal(rig_count(p.rig, USERS_UNANSWERED), 2);
	phone_end(&p);
}

/* RFC 5626: what is made over a connection that has closed meanwhile goes as if it had been there before. */
static void a_connection_closes_while_its_registration_waits(void **state)
{
	static const unsigned workers[] = { 1, 8 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct phone p = late_new(CALL_ROUTES("authenticated"), workers[i]);
		struct user_ask *first;

		p.to = EDGE_TCP;
		p.rig->has_flows = true;
		say_next(&p, CONTACT);
		expect_challenge(&p, false);
		say_who(&p, CONTACT);
		first = late.ask;
		p.aor = "bob";               /* another one that waits over the same connection, and will be refused */
		say_next(&p, CONTACT);
		expect_challenge(&p, false);
		p.who.nc = 0;
		say_who(&p, CONTACT);
		assert_int_equal(late.asked, 2);
		rig_close(p.rig, ALICE);
		rig_after(p.rig, 500);
		late_answers(&p, 0);
		assert_int_equal(bindings(p.rig), 0);
		late.ask = first;
		late_answers(&p, 0);
		assert_int_equal(bindings(p.rig), 1);
		rig_after(p.rig, 9998);
		assert_int_equal(bindings(p.rig), 1);
		rig_after(p.rig, 1);
		assert_int_equal(bindings(p.rig), 0);
		rig_forget(p.rig, ALICE);
		phone_end(&p);
	}
}

/* Two wait over one connection; that the first is answered before it closes does not keep the other from hearing of it. */
static void it_closes_when_another_has_been_answered(void **state)
{
	struct phone p = late_new(CALL_ROUTES("authenticated"), 1);
	struct user_ask *first, *second;

	(void)state;
	p.to = EDGE_TCP;
	p.rig->has_flows = true;
	p.aor = "bob";
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	first = late.ask;
	p.aor = "alice";
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	p.who.nc = 0;
	say_who(&p, CONTACT);
	second = late.ask;
	late.ask = first;
	late_answers(&p, 0);
	expect(&p, "SIP/2.0 403");
	rig_close(p.rig, ALICE);
	late.ask = second;
	late_answers(&p, 0);
	assert_int_equal(bindings(p.rig), 1);
	rig_after(p.rig, 10000);
	assert_int_equal(bindings(p.rig), 0);
	phone_end(&p);
}

/* A new one has nothing to do with it. */
static void another_connection_does_not_close(void **state)
{
	struct phone p = late_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	p.to = EDGE_TCP;
	p.rig->has_flows = true;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	rig_close(p.rig, ALICE);
	say_who(&p, CONTACT);
	late_answers(&p, 0);
	expect(&p, "SIP/2.0 200");
	rig_after(p.rig, 60000);
	assert_int_equal(bindings(p.rig), 1);
	rig_close(p.rig, ALICE);
	phone_end(&p);
}

static void a_source_that_never_answers(void **state)
{
	struct phone p = late_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	rig_after(p.rig, 1900);
	rig_expect_silence(p.rig, p.at);
	rig_after(p.rig, 200);
	expect(&p, "SIP/2.0 503");
	assert_int_equal(late.cancelled, 1);
	p.call_id = "call-1";
	calls(&p, "INVITE", "");
	expect_407(&p, false);
	calls_as_himself(&p, "INVITE", "");
	rig_after(p.rig, 2100);
	expect(&p, "SIP/2.0 503");
	rig_expect_silence(p.rig, BOB);
	assert_int_equal(late.cancelled, 2);
	phone_end(&p);
}

/* Also after it had waited for another worker to say whether he is registered. */
static void a_call_waits_for_its_source(void **state)
{
	static const char *const routes[] = { CALL_ROUTES("authenticated"), CALL_ROUTES("registered") };
	struct got at_bob = { 0 };
	char call_id[16];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct phone p = late_new(routes[i], 8);

		for (unsigned k = 0; k < 8; k++) {
			snprintf(call_id, sizeof(call_id), "call-%u", k);
			p.call_id = call_id;
			calls(&p, "INVITE", "");
			expect_407(&p, false);
			calls_as_himself(&p, "INVITE", "");
			rig_expect_silence(p.rig, BOB);
			rig_after(p.rig, 500);
			late_answers(&p, 0);
			expect(&p, "SIP/2.0 100");
			bob_declines(&p, "INVITE ", &at_bob);
		}
		phone_end(&p);
	}
	got_free(&at_bob);
}

static void a_call_is_cancelled_while_it_waits(void **state)
{
	struct phone p = late_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	p.call_id = "call-1";
	calls(&p, "INVITE", "");
	expect_407(&p, false);
	calls_as_himself(&p, "INVITE", "");
	rig_after(p.rig, 100);
	ask_out(&p, "CANCEL", "");
	expect(&p, "SIP/2.0 200");
	expect(&p, "SIP/2.0 487");
	late_answers(&p, 0); /* nobody waits */
	rig_expect_silence(p.rig, BOB);
	rig_after(p.rig, 40000);
	rig_forget(p.rig, p.at);
	phone_end(&p);
}

/* The node ends while a source is asked. */
static void the_end_comes_while_one_waits(void **state)
{
	struct phone p = late_new(CALL_ROUTES("authenticated"), 2);

	(void)state;
	say_next(&p, CONTACT);
	expect_challenge(&p, false);
	say_who(&p, CONTACT);
	rig_after(p.rig, 100);
	got_free(&p.got);
	rig_free(p.rig, false);
	assert_int_equal(late.cancelled, 1);
	unlink(p.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_registration),
		cmocka_unit_test(update_query_and_removal),
		cmocka_unit_test(a_wrong_password),
		cmocka_unit_test(nobody_learns_what_was_wrong),
		cmocka_unit_test(a_repeated_request_has_no_second_nonce),
		cmocka_unit_test(an_old_nonce_is_stale),
		cmocka_unit_test(a_repetition_is_answered_again_and_a_replay_is_not),
		cmocka_unit_test(a_nonce_is_for_one_address),
		cmocka_unit_test(nobody_registers_another),
		cmocka_unit_test(some_have_several_addresses),
		cmocka_unit_test(trusted_sources_are_not_asked),
		cmocka_unit_test(a_forged_source_gets_little),
		cmocka_unit_test(what_cannot_be_read_is_refused),
		cmocka_unit_test(what_was_not_asked_for_is_refused),
		cmocka_unit_test(credentials_for_others_are_passed_over),
		cmocka_unit_test(a_changed_file_is_read),
		cmocka_unit_test(a_file_that_cannot_be_read_is_our_fault),
		cmocka_unit_test(a_file_that_changes_often),
		cmocka_unit_test(users_of_the_configuration),
		cmocka_unit_test(one_algorithm_alone),
		cmocka_unit_test(a_call_with_digest),
		cmocka_unit_test(everything_else_too),
		cmocka_unit_test(registered_callers_are_not_asked),
		cmocka_unit_test(a_rule_may_want_more_than_a_registration),
		cmocka_unit_test(wrong_callers_get_nowhere),
		cmocka_unit_test(strangers_are_not_asked),
		cmocka_unit_test(trusted_callers_are_not_asked),
		cmocka_unit_test(nobody_speaks_for_another),
		cmocka_unit_test(a_nonce_is_for_one_call),
		cmocka_unit_test(requests_within_a_call_are_not_asked),
		cmocka_unit_test(a_registration_waits_for_its_source),
		cmocka_unit_test(a_source_that_never_answers),
		cmocka_unit_test(a_connection_closes_while_its_registration_waits),
		cmocka_unit_test(it_closes_when_another_has_been_answered),
		cmocka_unit_test(another_connection_does_not_close),
		cmocka_unit_test(a_call_waits_for_its_source),
		cmocka_unit_test(a_call_is_cancelled_while_it_waits),
		cmocka_unit_test(the_end_comes_while_one_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
