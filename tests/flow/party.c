#include "tests/flow/party.h"
#include <stdio.h>

static void answer_invite(struct rig *r, struct party *p)
{
	const char *tag = got_tag(&p->invite, HDR_TO);
	char to[512], contact[64];

	if (!p->status)
		return;
	snprintf(to, sizeof(to), "%s%s%s", got_value(&p->invite, HDR_TO), *tag ? "" : ";tag=", *tag ? "" : p->name);
	snprintf(contact, sizeof(contact), "<sip:%s@%s>", p->name, p->at);
	flow_answer(r, p->at, p->listener, &p->invite, p->status, to, contact, p->status < 300 ? "Content-Type: application/sdp\n" : "",
	            p->status < 300 ? p->body : "");
}

static void take_invite(struct rig *r, struct party *p)
{
	if (p->has_invite && p->got.v.cseq <= p->invite.v.cseq) { /* again */
		answer_invite(r, p);
		return;
	}
	got_free(&p->invite);
	p->invite = p->got;
	p->got = (struct got){ .packet = NULL };
	p->has_invite = true;
	p->is_acked = false;
	answer_invite(r, p);
}

void party_serve(struct rig *r, struct party *p)
{
	while (rig_has_message(r, p->at)) {
		struct got *g = &p->got;

		if (!rig_take(r, p->at, "", g) || g->v.status)
			continue;
		p->is_acked |= g->v.method == M_ACK && p->has_invite && g->v.cseq == p->invite.v.cseq;
		p->has_bye |= g->v.method == M_BYE;
		if (g->v.method == M_INVITE)
			take_invite(r, p);
		else if (g->v.method != M_ACK)
			flow_answer(r, p->at, p->listener, g, 200, got_value(g, HDR_TO), NULL, "", "");
	}
}

void party_repeats(struct rig *r, struct party *p)
{
	if (p->has_invite && !p->is_acked)
		answer_invite(r, p);
}

void party_free(struct party *p)
{
	got_free(&p->invite);
	got_free(&p->got);
}
