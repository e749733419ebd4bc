/* tests/flow/talk.h - several parties with several calls among them: each call is a line at either end, which knows the call as its
 * party does. Whatever a party makes up carries its name, so that it can be looked for elsewhere. */
#ifndef TESTS_FLOW_TALK_H
#define TESTS_FLOW_TALK_H
#include "tests/flow/flow.h"

struct party {
	const char *name, *at, *listener; /* listener: of the SBC, where it sends */
	const char *host;                 /* of that listener, as it is advertised */
};

struct line {
	struct rig *rig;
	const struct party *who;
	unsigned number, cseq;
	char call_id[96], tag[64], peer_tag[64], local[128], remote[128], target[192];
	bool is_refused;                  /* of what it sent last, no copy is expected */
};

/* A line of `who` that has no call yet; `number` tells its lines apart. */
void line_init(struct line *l, struct rig *rig, const struct party *who, unsigned number);
/* Its INVITE (or another method that begins something). */
void line_begins(struct line *l, const char *method, const char *uri, const char *extra, const char *body);
/* What arrives at the party, for this line: it learns of the call what there is to learn. */
void line_expects(struct line *l, const char *start, struct got *g);
void line_answers(struct line *l, const struct got *g, unsigned status, const char *extra, const char *body);
/* A request within the dialog; ACK has the CSeq of the last INVITE. */
void line_says(struct line *l, const char *method, const char *extra, const char *body);
/* The ACK of a refusal. */
void line_ends_refused(struct line *l, const char *uri);
/* `a` calls `b` by name, up to the ACK; `extra`: of the INVITE. */
void line_calls(struct line *a, struct line *b);
/* From the INVITE (arrived at `b`) to the ACK. */
void line_answered(struct line *a, struct line *b, const struct got *invite);
/* BYE and its 200. */
void line_hangs_up(struct line *from, struct line *to);
/* The dialog's name for the other end of it: "CALL-ID;to-tag=THEIRS;from-tag=OURS". */
const char *line_names(const struct line *l, char *area, size_t size);

#endif
