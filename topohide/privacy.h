/* topohide/privacy.h - what the sender of a message wants to be kept from those it does not trust (RFC 3323, RFC 3325 §9.3,
 * RFC 7044 §10.1.2). */
#ifndef TOPOHIDE_PRIVACY_H
#define TOPOHIDE_PRIVACY_H
#include "sip/out.h"
#include "sip/view.h"

enum privacy {
	PRIVACY_ID = 1,       /* the asserted identity */
	PRIVACY_USER = 2,     /* who the caller is: From, Subject and the like */
	PRIVACY_HEADER = 4,   /* Via, Contact, Record-Route: hidden anyway; and History-Info */
	PRIVACY_HISTORY = 8,
	PRIVACY_SESSION = 16, /* where the media goes: not ours to hide */
	PRIVACY_OTHER = 32,   /* something that is not known */
	PRIVACY_CRITICAL = 64,/* all of it, or no request at all; the last bit that struct hide has room for */
};

enum privacy_limits {
	PRIVACY_VALUES_MAX = 32, /* looked at in one message; those behind count as not known, and are not passed on by privacy_line */
};

/* Bits of all Privacy headers. 0 without one, and when one says `none`. */
unsigned privacy_of(const struct view *v);
/* A Privacy line without what was `done` (RFC 3323 §5); nothing when nothing but `critical` would be left. */
void privacy_line(struct out *o, struct sv name, struct sv value, unsigned done);
/* Does one value of Diversion, Remote-Party-ID or History-Info ask for privacy of its own ("privacy=full", "?Privacy=history")? */
bool privacy_is_asked_in(struct sv value);

#endif
