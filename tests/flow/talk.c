#include "tests/flow/talk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void set(char *to, size_t size, const char *from)
{
	assert_true(strlen(from) < size);
	strcpy(to, from);
}

void line_init(struct line *l, struct rig *rig, const struct party *who, unsigned number)
{
	*l = (struct line){ .rig = rig, .who = who, .number = number, .cseq = 10 * number };
	snprintf(l->tag, sizeof(l->tag), "T-%s-%u", who->name, number);
	snprintf(l->call_id, sizeof(l->call_id), "C-%s-%u%%\"%s", who->name, number, who->at);
	snprintf(l->local, sizeof(l->local), "<sip:%s@example.com>", who->name);
}

static void say(struct line *l, const char *method, unsigned cseq, const char *uri, const char *extra, const char *body)
{
	bool has_tag = *l->peer_tag;

	rig_say(l->rig, l->who->at, l->who->listener, body,
	        "%s %s SIP/2.0\nVia: SIP/2.0/%s %s;branch=z9hG4bK-%s-%u-%u-%s;rport\nMax-Forwards: 70\nFrom: %s;tag=%s\nTo: %s%s%s\n"
	        "Call-ID: %s\nCSeq: %u %s\nContact: <sip:%s@%s>\n%s",
	        method, uri, strncmp(l->who->listener, "tcp", 3) ? "UDP" : "TCP", l->who->at, l->who->name, l->number, cseq,
	        strcmp(method, "CANCEL") ? method : "INVITE", l->local, l->tag, l->remote, has_tag ? ";tag=" : "", l->peer_tag, l->call_id,
	        cseq, method, l->who->name, l->who->at, extra);
}

void line_begins(struct line *l, const char *method, const char *uri, const char *extra, const char *body)
{
	if (strcmp(method, "CANCEL")) {
		l->cseq++;
		snprintf(l->remote, sizeof(l->remote), "<%s>", uri);
	}
	say(l, method, l->cseq, uri, extra, body);
}

void line_says(struct line *l, const char *method, const char *extra, const char *body)
{
	if (strcmp(method, "ACK"))
		l->cseq++;
	say(l, method, l->cseq, l->target, extra, body);
}

void line_ends_refused(struct line *l, const char *uri)
{
	/* §17.1.1.3: of the same branch */
	rig_say(l->rig, l->who->at, l->who->listener, "",
	        "ACK %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-%s-%u-%u-INVITE;rport\nMax-Forwards: 70\nFrom: %s;tag=%s\nTo: %s;tag=%s\n"
	        "Call-ID: %s\nCSeq: %u ACK\n", uri, l->who->at, l->who->name, l->number, l->cseq, l->local, l->tag, l->remote, l->peer_tag,
	        l->call_id, l->cseq);
}

static void without_tag(char *to, size_t size, const char *value)
{
	const char *end = strstr(value, ";tag=");

	assert_true(strlen(value) < size);
	snprintf(to, size, "%.*s", end ? (int)(end - value) : (int)strlen(value), value);
}

void line_expects(struct line *l, const char *start, struct got *g)
{
	rig_expect(l->rig, l->who->at, start, g);
	if (g->v.status) {
		if (*got_tag(g, HDR_TO))
			set(l->peer_tag, sizeof(l->peer_tag), got_tag(g, HDR_TO));
	} else if (!*got_tag(g, HDR_TO)) { /* it begins a dialog */
		set(l->call_id, sizeof(l->call_id), got_value(g, HDR_CALL_ID));
		set(l->peer_tag, sizeof(l->peer_tag), got_tag(g, HDR_FROM));
		without_tag(l->remote, sizeof(l->remote), got_value(g, HDR_FROM));
		set(l->local, sizeof(l->local), got_value(g, HDR_TO));
	}
	if (*got_contact(g))
		set(l->target, sizeof(l->target), got_contact(g));
}

void line_answers(struct line *l, const struct got *g, unsigned status, const char *extra, const char *body)
{
	char vias[2048] = "";
	const char *tag = *got_tag(g, HDR_TO) ? "" : l->tag;

	for (unsigned i = 0; i < g->v.n; i++)
		if (g->v.h[i].id == HDR_VIA)
			snprintf(vias + strlen(vias), sizeof(vias) - strlen(vias), "Via: %.*s\n", SV_ARG(hdr_value(&g->v, &g->v.h[i])));
	rig_say(l->rig, l->who->at, l->who->listener, body,
	        "SIP/2.0 %u %s\n%sFrom: %s\nTo: %s%s%s\nCall-ID: %s\nCSeq: %s\nContact: <sip:%s@%s>\n%s", status, status_phrase(status), vias,
	        got_value(g, HDR_FROM), got_value(g, HDR_TO), *tag ? ";tag=" : "", tag, got_value(g, HDR_CALL_ID), got_value(g, HDR_CSEQ),
	        l->who->name, l->who->at, extra);
}

void line_answered(struct line *a, struct line *b, const struct got *invite)
{
	struct got g = { .packet = NULL };

	line_answers(b, invite, 200, "", "");
	line_expects(a, "SIP/2.0 200", &g);
	line_says(a, "ACK", "", "");
	line_expects(b, "ACK ", &g);
	got_free(&g);
}

void line_calls(struct line *a, struct line *b)
{
	struct got g = { .packet = NULL };
	char uri[128];

	snprintf(uri, sizeof(uri), "sip:%s@example.com", b->who->name);
	line_begins(a, "INVITE", uri, "", "");
	line_expects(a, "SIP/2.0 100", &g);
	line_expects(b, "INVITE ", &g);
	line_answered(a, b, &g);
	got_free(&g);
}

void line_hangs_up(struct line *from, struct line *to)
{
	struct got g = { .packet = NULL };

	line_says(from, "BYE", "", "");
	line_expects(to, "BYE ", &g);
	line_answers(to, &g, 200, "", "");
	line_expects(from, "SIP/2.0 200", &g);
	got_free(&g);
}

const char *line_names(const struct line *l, char *area, size_t size)
{
	int n = snprintf(area, size, "%s;to-tag=%s;from-tag=%s", l->call_id, l->peer_tag, l->tag);

	assert_true(n > 0 && (size_t)n < size);
	return area;
}
