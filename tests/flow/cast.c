#include "tests/flow/cast.h"
#include "base/arena.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static bool is_outwards;

#define YAML(zone, address) \
	FLOW_ZONES "    domains: [\"example.com\"]\n" \
	"pools: { apps: { zone: " zone ", probe: off, destinations: [{ name: bob, uri: \"sip:" address "\" }] } }\n" \
	"routes: [{ when: { caller: any, user: bob }, to: { pool: apps } }]\n"

const char *cast_yaml(void)
{
	return is_outwards ? YAML("public", "192.0.2.21:5060") : YAML("core", "10.0.0.21:5060");
}

const char *cast_caller(void)
{
	return is_outwards ? "10.0.0.31:5060" : ALICE;
}

const char *cast_callee(void)
{
	return is_outwards ? "192.0.2.21:5060" : BOB;
}

const char *cast_router(void)
{
	return is_outwards ? "192.0.2.22" : "10.0.0.22";
}

int cast_run_both_ways(const struct CMUnitTest *tests, size_t n)
{
	int failed;

	is_outwards = false;
	failed = _cmocka_run_group_tests("inwards", tests, n, NULL, NULL);
	is_outwards = true;
	return failed + _cmocka_run_group_tests("outwards", tests, n, NULL, NULL);
}

static bool is_core(const struct phone *p)
{
	return strncmp(p->at, "10.", 3) == 0;
}

static const char *mark(const struct phone *p)
{
	return is_core(p) ? "FAR" : "NEAR";
}

static void named(struct phone *p, const char *name)
{
	p->name = name;
	snprintf(p->tag, sizeof(p->tag), "%s-%s", mark(p), name);
	snprintf(p->uri, sizeof(p->uri), "sip:%s-%s@%s", mark(p), name, p->at);
}

void phone_new(struct phone *p, struct rig *rig, const char *name, const char *at)
{
	*p = (struct phone){ .rig = rig, .at = at, .listener = strncmp(at, "10.", 3) ? EDGE : CORE };
	named(p, name);
	p->last = &p->got;
}

static void keep(struct got *to, const struct got *from)
{
	struct view_fault fault;

	to->packet = malloc(sizeof(*from->packet) + from->packet->len + BUF_PAD);
	assert_non_null(to->packet);
	memcpy(to->packet, from->packet, sizeof(*from->packet) + from->packet->len + BUF_PAD);
	assert_int_equal(view_scan(&to->v, to->packet->bytes, to->packet->len, true, &fault), 0);
}

static void called_by(struct phone *p)
{
	const struct got *g = p->last;

	p->is_callee = true;
	p->peer_cseq = g->v.cseq;
	snprintf(p->call_id, sizeof(p->call_id), "%s", got_value(g, HDR_CALL_ID));
	snprintf(p->local, sizeof(p->local), "%s;tag=%s", got_value(g, HDR_TO), p->tag);
	snprintf(p->remote, sizeof(p->remote), "%s", got_value(g, HDR_FROM));
	snprintf(p->target, sizeof(p->target), "%s", got_contact(g));
}

void phone_fork(struct phone *p, const struct phone *of, const char *name)
{
	phone_new(p, of->rig, name, of->at);
	keep(&p->invite, &of->invite);
	p->last = &p->invite;
	called_by(p);
}

void phone_twin(struct phone *p, const struct phone *of)
{
	*p = *of;
	p->invite = (struct got){ .packet = NULL };
	keep(&p->got, &of->got);
	p->last = &p->got;
}

void phone_free(struct phone *p)
{
	got_free(&p->got);
	got_free(&p->invite);
}

static void on_sent(void *ctx, const struct packet *p)
{
	static const char *const near[] = { "NEAR-", "192.0.2.", "203.0.113." }, *const far[] = { "FAR-", "10.0.0." };
	bool to_core = p->to.ip[0] == 10;

	(void)ctx;
	for (unsigned i = 0; i < (to_core ? 3u : 2u); i++) {
		const char *what = to_core ? near[i] : far[i];

		if (memmem(p->bytes, p->len, what, strlen(what)))
			fail_msg("one side sees %s of the other:\n%s", what, p->bytes);
	}
}

void cast_watch(struct rig *rig)
{
	rig->hooks.on_sent = on_sent;
}

/* Requests --------------------------------------------------------------------------------------------------------- */

static const char *type_of(const char *body)
{
	if (!*body)
		return "";
	return !strncmp(body, "v=0", 3) ? "Content-Type: application/sdp\n" :
	       !strncmp(body, "SIP/2.0", 7) ? "Content-Type: message/sipfrag;version=2.0\n" :
	       *body == '<' ? "Content-Type: application/dialog-info+xml\n" : "Content-Type: text/plain\n";
}

static const char *contact_end(const struct phone *p)
{
	static char text[80];

	snprintf(text, sizeof(text), "%s\n", p->features ? p->features : "");
	return text;
}

static void say(struct phone *p, const char *method, const char *uri, unsigned cseq, const char *branch, const char *to,
                const char *extra, const char *body)
{
	bool has_contact = !strcmp(method, "INVITE") || !strcmp(method, "UPDATE") || !strcmp(method, "SUBSCRIBE") ||
	                   !strcmp(method, "REFER") || !strcmp(method, "NOTIFY");

	rig_say(p->rig, p->at, p->listener, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=%s;rport\nMax-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %u %s\n"
	        "User-Agent: %s-phone\n%s%s%s%s%s%s",
	        method, uri, p->at, branch, p->local, to, p->call_id, cseq, method, mark(p), has_contact ? "Contact: <" : "",
	        has_contact ? p->uri : "", has_contact ? ">" : "", has_contact ? contact_end(p) : "", type_of(body), extra);
}

static void new_branch(struct phone *p, char branch[64])
{
	snprintf(branch, 64, "z9hG4bK%s-%s-%u-%lu", mark(p), p->name, ++p->cseq, (unsigned long)p->rig->sent);
}

/* What its ACK of a refusal and its CANCEL repeat. */
static void invite_is(struct phone *p)
{
	p->invite_cseq = p->cseq;
	strcpy(p->invite_uri, p->target);
	strcpy(p->invite_to, p->remote);
}

void phone_begins(struct phone *p, const char *method, const char *uri, const char *extra, const char *body)
{
	bool is_again = *p->call_id != 0; /* credentials, or the same target elsewhere: CSeq goes on (§8.1.3.5) */

	if (!is_again) {
		snprintf(p->call_id, sizeof(p->call_id), "%s-call-%s-%lu", mark(p), p->name, (unsigned long)p->rig->sent);
		snprintf(p->local, sizeof(p->local), "\"%s\" <sip:%s@example.com>;tag=%s", p->name, p->name, p->tag);
	}
	snprintf(p->remote, sizeof(p->remote), "<%s>", uri);
	snprintf(p->target, sizeof(p->target), "%s", uri);
	new_branch(p, p->branch);
	invite_is(p);
	say(p, method, uri, p->cseq, p->branch, p->remote, extra, body);
}

void phone_calls(struct phone *p, const char *uri, const char *extra, const char *body)
{
	phone_begins(p, "INVITE", uri, extra, body);
}

void phone_asks(struct phone *p, const char *method, const char *extra, const char *body)
{
	char branch[64];

	new_branch(p, branch);
	if (!strcmp(method, "INVITE")) {
		strcpy(p->branch, branch);
		invite_is(p);
	}
	say(p, method, p->target, p->cseq, branch, p->remote, extra, body);
}

void phone_pracks(struct phone *p, const char *body)
{
	char extra[64];

	snprintf(extra, sizeof(extra), "RAck: %s %u INVITE\n", got_value(&p->got, HDR_RSEQ), p->invite_cseq);
	phone_asks(p, "PRACK", extra, body);
}

void phone_acks(struct phone *p, const char *body)
{
	char branch[64];

	snprintf(branch, sizeof(branch), "z9hG4bK%s-%s-ack-%lu", mark(p), p->name, (unsigned long)p->rig->sent);
	say(p, "ACK", p->target, p->invite_cseq, branch, p->remote, "", body);
}

void phone_acks_refusal(struct phone *p)
{
	say(p, "ACK", p->invite_uri, p->invite_cseq, p->branch, got_value(&p->got, HDR_TO), "", "");
}

void phone_cancels(struct phone *p)
{
	say(p, "CANCEL", p->invite_uri, p->invite_cseq, p->branch, p->invite_to, "", "");
}

/* What arrives ----------------------------------------------------------------------------------------------------- */

static void learn_from_response(struct phone *p)
{
	const struct got *g = &p->got;

	assert_string_equal(got_value(g, HDR_CALL_ID), p->call_id);
	assert_string_equal(got_tag(g, HDR_FROM), p->tag);
	if (g->v.status <= 100 || g->v.status >= 300 || !*got_tag(g, HDR_TO))
		return;
	if (!p->is_callee && g->v.cseq == p->invite_cseq)
		snprintf(p->remote, sizeof(p->remote), "%s", got_value(g, HDR_TO));
	assert_string_equal(got_value(g, HDR_TO), p->remote);
	if (*got_contact(g))
		snprintf(p->target, sizeof(p->target), "%s", got_contact(g));
}

static void check_request(struct phone *p)
{
	const struct got *g = p->last;

	assert_string_equal(got_value(g, HDR_CALL_ID), p->call_id);
	assert_string_equal(got_value(g, HDR_FROM), p->remote);
	assert_string_equal(got_value(g, HDR_TO), p->local);
	assert_string_equal(got_uri(g), p->uri);
	if (g->v.method == M_ACK)
		return;
	assert_true(g->v.cseq > p->peer_cseq);
	p->peer_cseq = g->v.cseq;
	if ((g->v.method == M_INVITE || g->v.method == M_UPDATE) && *got_contact(g))
		snprintf(p->target, sizeof(p->target), "%s", got_contact(g));
}

/* An INVITE without To-tag begins a dialog; the ACK of a refusal and a CANCEL belong to a transaction. */
void phone_gets(struct phone *p, const char *start)
{
	bool is_of_transaction;

	p->last = strncmp(start, "INVITE", 6) ? &p->got : &p->invite;
	rig_expect(p->rig, p->at, start, p->last);
	is_of_transaction = p->last->v.method == M_CANCEL || (p->last->v.method == M_ACK && p->invite.packet &&
	                                                      !strcmp(got_branch(p->last), got_branch(&p->invite)));
	if (p->last->v.status)
		learn_from_response(p);
	else if (!*got_tag(p->last, HDR_TO) && !is_of_transaction && (p->last == &p->invite || !*p->call_id))
		called_by(p);
	else if (*p->call_id && !is_of_transaction)
		check_request(p);
}

static void answer(struct phone *p, const struct got *g, unsigned status, const char *extra, const char *body)
{
	bool is_invite = g->v.method == M_INVITE, has_tag = *got_tag(g, HDR_TO) || status == 100;
	bool has_contact = (is_invite || g->v.method == M_UPDATE || g->v.method == M_SUBSCRIBE || g->v.method == M_REFER) &&
	                   status > 100 && status < 300 && !p->has_no_contact_ever && !(p->has_no_contact && status < 200);
	char to[512], lines[1024], contact[128];

	snprintf(to, sizeof(to), "%s%s%s", got_value(g, HDR_TO), has_tag ? "" : ";tag=", has_tag ? "" : p->tag);
	snprintf(lines, sizeof(lines), "%s%s%sServer: %s-phone\n%s%s", p->route && is_invite && status < 300 ? "Record-Route: <" : "",
	         p->route && is_invite && status < 300 ? p->route : "", p->route && is_invite && status < 300 ? ">\n" : "", mark(p),
	         type_of(body), extra);
	snprintf(contact, sizeof(contact), "<%s>%s", p->uri, p->features ? p->features : "");
	flow_answer(p->rig, p->at, p->listener, g, status, to, has_contact ? contact : NULL, lines, body);
}

void phone_answers(struct phone *p, unsigned status, const char *extra, const char *body)
{
	answer(p, p->last, status, extra, body);
}

void phone_answers_invite(struct phone *p, unsigned status, const char *extra, const char *body)
{
	answer(p, &p->invite, status, extra, body);
}

/* Whole exchanges -------------------------------------------------------------------------------------------------- */

static const char *line_of(const char *method, const char *what)
{
	static char text[2][64];
	static unsigned next;
	char *t = text[next++ % 2];

	snprintf(t, sizeof(text[0]), "%s%s", method, what);
	return t;
}

void phones_exchange(struct phone *p, struct phone *q, const char *method, unsigned status)
{
	char start[32];

	snprintf(start, sizeof(start), "SIP/2.0 %u", status);
	phone_asks(p, method, "", "");
	phone_gets(q, line_of(method, " "));
	phone_answers(q, status, "", "");
	phone_gets(p, start);
	assert_non_null(strstr(got_value(&p->got, HDR_CSEQ), method));
}

void phones_talk(struct phone *a, struct phone *b, const char *uri)
{
	phone_calls(a, uri, "", OFFER);
	phone_gets(a, "SIP/2.0 100");
	phone_gets(b, "INVITE ");
	phone_answers(b, 180, "", "");
	phone_gets(a, "SIP/2.0 180");
	phone_answers_invite(b, 200, "", ANSWER);
	phone_gets(a, "SIP/2.0 200");
	phone_acks(a, "");
	phone_gets(b, "ACK ");
}

void phones_end(struct phone *p, struct phone *q)
{
	phones_exchange(p, q, "BYE", 200);
}

void phones_silent(struct phone *const *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_expect_silence(all[i]->rig, all[i]->at);
}

/* Transfers -------------------------------------------------------------------------------------------------------- */

const char *uri_escaped(const char *text, char *area, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		bool is_plain = (*text >= '0' && *text <= '9') || ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z');

		n += (size_t)snprintf(area + n, size - n, is_plain ? "%c" : "%%%02x", (uint8_t)*text);
		assert_true(n < size);
	}
	return area;
}

const char *phone_call_name(const struct phone *p)
{
	static char text[4][512];
	static unsigned next;
	char *t = text[next++ % 4];

	snprintf(t, sizeof(text[0]), "%s;to-tag=%.*s;from-tag=%.*s", p->call_id, SV_ARG(tag_of(sv_from(p->remote))),
	         SV_ARG(tag_of(sv_from(p->local))));
	return t;
}

const char *phone_refer_lines(const struct phone *p, const char *header)
{
	static char text[3072];
	char coded[1536];

	snprintf(text, sizeof(text), "Refer-To: <%s?%s=%s>\nReferred-By: <sip:%.*s@%s>\n", p->target, header,
	         uri_escaped(phone_call_name(p), coded, sizeof(coded)), (int)strcspn(p->name, "12345"), p->name, p->at);
	return text;
}

void wish_of(const struct got *refer, struct wish *w)
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
	snprintf(w->by, sizeof(w->by), "%s", got_value(refer, HDR_REFERRED_BY));
	headers = u.headers;
	if (uri_header_next(&headers, &name, &value)) {
		snprintf(w->header, sizeof(w->header), "%.*s", SV_ARG(name));
		snprintf(w->dialog, sizeof(w->dialog), "%.*s", SV_ARG(unescape(&arena, value)));
	}
	arena_reset(&arena);
}

void call_is_named(const struct got *g, enum hdr_id header, const struct phone *p)
{
	struct dialog_ref ref;

	assert_int_equal(dialog_ref_parse(NULL, &ref, view_value(&g->v, header)), 0);
	assert_true(sv_eq(ref.call_id, sv_from(p->call_id)));
	assert_true(sv_eq(ref.to_tag, tag_of(sv_from(p->local))));
	assert_true(sv_eq(ref.from_tag, tag_of(sv_from(p->remote))));
}

void phone_notifies(struct phone *from, struct phone *to, const char *state)
{
	char extra[128];

	snprintf(extra, sizeof(extra), "Event: refer\nSubscription-State: %s\n", state);
	phone_asks(from, "NOTIFY", extra, "");
	phone_gets(to, "NOTIFY ");
	phone_answers(to, 200, "", "");
	phone_gets(from, "SIP/2.0 200");
}

void phone_refers(struct phone *from, struct phone *to, const struct phone *other, const char *header, struct wish *wish)
{
	phone_asks(from, "REFER", phone_refer_lines(other, header), "");
	phone_gets(to, "REFER ");
	wish_of(&to->got, wish);
	phone_answers(to, 202, "", "");
	phone_gets(from, "SIP/2.0 202");
	phone_notifies(to, from, "active;expires=60");
}

void phone_follows(struct phone *p, const struct wish *w)
{
	char extra[1024];

	snprintf(extra, sizeof(extra), "%s: %s\nReferred-By: %s\n", w->header, w->dialog, w->by);
	phone_calls(p, w->uri, *w->header ? extra : "", OFFER);
	phone_gets(p, "SIP/2.0 100");
}

void phones_answered(struct phone *a, struct phone *b)
{
	phone_answers_invite(b, 200, "", ANSWER);
	phone_gets(a, "SIP/2.0 200");
	phone_acks(a, "");
	phone_gets(b, "ACK ");
}
