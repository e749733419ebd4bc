/* topohide/dialoginfo.h - bodies of application/dialog-info+xml (RFC 4235): who is in which dialog. They name dialogs by their
 * identifiers and people by their addresses; what the receiver may see of them is the caller's business, finding them is done here. */
#ifndef TOPOHIDE_DIALOGINFO_H
#define TOPOHIDE_DIALOGINFO_H
#include "base/arena.h"
#include "sip/out.h"

enum dialoginfo_limits {
	DIALOGINFO_DEPTH_MAX = 16,      /* elements within each other */
	DIALOGINFO_ATTRIBUTES_MAX = 24, /* of one element */
	DIALOGINFO_ELEMENTS_MAX = 2048, /* of one body */
};

/* The identifiers of one <dialog>, or of a <replaces> within; what is not said is empty. `id` tells one dialog of a report from another. */
struct dialoginfo_names {
	struct sv call_id, local_tag, remote_tag, id;
};

/* Both get values with their references undone, and may put others in their place, valid until the next call. */
struct dialoginfo {
	void *ctx;
	void (*names)(void *ctx, struct dialoginfo_names *n);
	/* Any other attribute or text. False: the receiver may not see it, nor anything else of the body. */
	bool (*value)(void *ctx, struct sv *text);
};

/* Copies `body` as the receiver may see it; comments are left out. What is put into `o` on failure is void (room is tested by
 * o->is_full). 0; -EBADMSG: not a well-formed document of this kind, or of the kind we read (no document type, no CDATA); -EPERM:
 * `value` said so; -ENOMEM: the arena. */
int dialoginfo_map(struct out *o, struct sv body, struct arena *arena, const struct dialoginfo *m);

#endif
