/* tests/flow/party.h - parties that answer whatever they are asked and repeat what has to be repeated, for flows in bad weather and without
 * memory, where nobody can say what comes next. */
#ifndef TESTS_FLOW_PARTY_H
#define TESTS_FLOW_PARTY_H
#include "tests/flow/cast.h"

struct party {
	const char *at, *listener, *name, *body; /* name: its tag; body: of its answer to an INVITE */
	unsigned status;                         /* of that answer; 0: it says nothing */
	struct got invite, got;
	bool has_invite, is_acked;               /* of the last INVITE */
	bool has_bye;
};

/* It takes what has arrived and answers. */
void party_serve(struct rig *r, struct party *p);
/* Its last answer to an INVITE again, if nobody has acknowledged it. */
void party_repeats(struct rig *r, struct party *p);
void party_free(struct party *p);

#endif
