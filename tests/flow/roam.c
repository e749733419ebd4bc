#include "tests/flow/roam.h"
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void hash(char out[33], const char *text)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len;

	assert_int_equal(EVP_Digest(text, strlen(text), raw, &len, EVP_md5(), NULL), 1);
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static void hash_ha1(char out[33], const char *user)
{
	char text[128];

	snprintf(text, sizeof(text), "%s:example.com:secret", user);
	hash(out, text);
}

void roam_begin(struct client *c, unsigned workers, const char *auth)
{
	char alice[33], mallory[33];
	FILE *file;

	*c = (struct client){ .at = HOTEL, .to = EDGE, .contact = INNER, .params = PHONE, .user = "alice",
		              .file = "/tmp/users-XXXXXX" };
	assert_non_null(file = fdopen(mkstemp(c->file), "w"));
	hash_ha1(alice, "alice");
	hash_ha1(mallory, "mallory");
	fprintf(file, "alice:example.com:%s\nmallory:example.com:%s\n", alice, mallory);
	assert_int_equal(fclose(file), 0);
	if (auth)
		snprintf(c->yaml, sizeof(c->yaml), ROAM_YAML("%s"), auth);
	else
		snprintf(c->yaml, sizeof(c->yaml), ROAM_YAML("{ users: \"%s\" }"), c->file);
	c->rig = rig_new(c->yaml, workers, 1);
}

void roam_end(struct client *c)
{
	static const char *const places[] = { HOTEL, TRAIN, CAFE, THIEF }; /* keep-alives */

	got_free(&c->got);
	got_free(&c->bobs);
	rig_after(c->rig, 3600000 + 1);
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
		rig_forget(c->rig, places[i]);
	rig_free(c->rig, true);
	unlink(c->file);
}

static void say_register(struct client *c, const char *lines)
{
	bool has_flow = c->params && *c->params;

	rig_say(c->rig, c->at, c->to, "",
	        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/%s 192.168.1.2:5060;branch=z9hG4bKr%u;rport\nMax-Forwards: 70\n"
	        "From: <sip:%s@example.com>;tag=r\nTo: <sip:%s@example.com>\nCall-ID: registers-%s\nCSeq: %u REGISTER\n"
	        "Supported: path%s\nUser-Agent: Telephone 1.0 of a very usual kind, which says many things about itself\nContact: <%s>%s\n%s",
	        strncmp(c->to, "tcp", 3) ? "UDP" : "TCP", ++c->branch, c->user, c->user, c->user, ++c->cseq, has_flow ? ", outbound" : "", c->contact,
	        c->params, lines);
}

/* With credentials, when they are asked for. */
void registers(struct client *c, const char *at, const char *listener, bool is_sure)
{
	char nonce[64], ha1[33], ha2[33], text[256], response[33], line[640];
	const char *challenge;
	struct got got = { 0 };

	c->at = at;
	c->to = listener;
	say_register(c, "");
	if (rig_take(c->rig, at, "SIP/2.0 ", &got) && got.v.status == 401) {
		challenge = strstr(got.v.base, "nonce=\"");
		assert_non_null(challenge);
		assert_int_equal(sscanf(challenge, "nonce=\"%63[^\"]\"", nonce), 1);
		hash_ha1(ha1, c->user);
		hash(ha2, "REGISTER:sip:example.com");
		snprintf(text, sizeof(text), "%s:%s:00000001:c0ffee:auth:%s", ha1, nonce, ha2);
		hash(response, text);
		snprintf(line, sizeof(line), "Authorization: Digest username=\"%s\", realm=\"example.com\", nonce=\"%s\", "
		         "uri=\"sip:example.com\", response=\"%s\", algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc=00000001\n", c->user, nonce,
		         response);
		say_register(c, line);
		got_free(&got);
		rig_take(c->rig, at, "SIP/2.0 ", &got);
	}
	if (is_sure)
		assert_true(got.packet && got.v.status == 200);
	got_free(&got);
	rig_after(c->rig, 1);
}

void copy(char *to, size_t size, const char *from)
{
	assert_true(snprintf(to, size, "%s", from) < (int)size);
}

/* A request of one end, from `at` to `listener`; `contact` NULL: without. */
void says(struct client *c, struct end *e, const char *at, const char *listener, const char *method, const char *contact)
{
	rig_say(c->rig, at, listener, "",
	        "%s %s SIP/2.0\nVia: SIP/2.0/%s %s;branch=z9hG4bKd%u;rport\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %u %s\n"
	        "%s%s%s", method, e->target, strncmp(listener, "tcp", 3) ? "UDP" : "TCP", at, ++c->branch, e->local, e->remote, e->call_id,
	        strcmp(method, "ACK") ? ++e->cseq : e->cseq, method, contact ? "Contact: <" : "", contact ? contact : "", contact ? ">\n" : "");
}

void she_says(struct client *c, const char *method, const char *contact)
{
	says(c, &c->hers, c->at, c->to, method, contact);
}

void he_says(struct client *c, const char *method)
{
	says(c, &c->his, BOB, CORE, method, strcmp(method, "INVITE") ? NULL : "sip:bob@" BOB);
}

void hers(struct client *c, const char *at, const char *start)
{
	rig_expect(c->rig, at, start, &c->got);
}

void his(struct client *c, const char *start)
{
	rig_expect(c->rig, BOB, start, &c->bobs);
}

void answers(struct client *c, const struct got *g, const char *at, const char *listener, const char *to, const char *contact)
{
	flow_answer(c->rig, at, listener, g, 200, to, contact, "", "");
}

/* She calls Bob. */
void calls(struct client *c)
{
	c->hers = (struct end){ .local = "<sip:alice@example.com>;tag=alice", .remote = "<sip:bob@example.com>", .call_id = "hers",
		                .target = "sip:bob@example.com" };
	she_says(c, "INVITE", INNER);
	hers(c, c->at, "SIP/2.0 100");
	his(c, "INVITE ");
	copy(c->his.remote, sizeof(c->his.remote), got_value(&c->bobs, HDR_FROM));
	snprintf(c->his.local, sizeof(c->his.local), "%s;tag=bob", got_value(&c->bobs, HDR_TO));
	copy(c->his.call_id, sizeof(c->his.call_id), got_value(&c->bobs, HDR_CALL_ID));
	copy(c->his.target, sizeof(c->his.target), got_contact(&c->bobs));
	answers(c, &c->bobs, BOB, CORE, c->his.local, "<sip:bob@" BOB ">");
	hers(c, c->at, "SIP/2.0 200");
	copy(c->hers.remote, sizeof(c->hers.remote), got_value(&c->got, HDR_TO));
	copy(c->hers.target, sizeof(c->hers.target), got_contact(&c->got));
	she_says(c, "ACK", NULL);
	his(c, "ACK ");
}

/* Bob calls her. */
void is_called(struct client *c)
{
	c->his = (struct end){ .local = "<sip:bob@example.com>;tag=bob", .remote = "<sip:alice@example.com>", .call_id = "his",
		               .target = "sip:alice@example.com" };
	he_says(c, "INVITE");
	his(c, "SIP/2.0 100");
	hers(c, c->at, "INVITE ");
	copy(c->hers.remote, sizeof(c->hers.remote), got_value(&c->got, HDR_FROM));
	snprintf(c->hers.local, sizeof(c->hers.local), "%s;tag=alice", got_value(&c->got, HDR_TO));
	copy(c->hers.call_id, sizeof(c->hers.call_id), got_value(&c->got, HDR_CALL_ID));
	copy(c->hers.target, sizeof(c->hers.target), got_contact(&c->got));
	answers(c, &c->got, c->at, c->to, c->hers.local, "<" INNER ">");
	his(c, "SIP/2.0 200");
	copy(c->his.remote, sizeof(c->his.remote), got_value(&c->bobs, HDR_TO));
	copy(c->his.target, sizeof(c->his.target), got_contact(&c->bobs));
	he_says(c, "ACK");
	hers(c, c->at, "ACK ");
}

/* Bob's next request finds her at `at`, and her answer him. */
void is_found(struct client *c, const char *at, const char *listener, const char *method)
{
	char line[16];

	he_says(c, method);
	snprintf(line, sizeof(line), "%s ", method);
	hers(c, at, line);
	answers(c, &c->got, at, listener, got_value(&c->got, HDR_TO), NULL);
	his(c, "SIP/2.0 200");
}

/* Her next request is answered where it came from. */
void is_heard(struct client *c, const char *method, const char *contact)
{
	char line[16];

	she_says(c, method, contact);
	if (!strcmp(method, "INVITE"))
		hers(c, c->at, "SIP/2.0 100");
	snprintf(line, sizeof(line), "%s ", method);
	his(c, line);
	answers(c, &c->bobs, BOB, CORE, got_value(&c->bobs, HDR_TO), "<sip:bob@" BOB ">");
	hers(c, c->at, "SIP/2.0 200");
	if (strcmp(method, "INVITE"))
		return;
	she_says(c, "ACK", NULL);
	his(c, "ACK ");
	rig_after(c->rig, 1); /* the worker of her registration has been asked */
}
