/* sip/names.h - the table of header names, for the two scanners. Private to sip/. */
#ifndef SIP_NAMES_H
#define SIP_NAMES_H
#include "sip/view.h"

enum { NAME_ROOM = 24 };

struct hdr_known {
	char name[NAME_ROOM]; /* canonical; zeros behind */
	uint8_t len;
	char compact; /* lower case, or 0 */
	char pad[6]; /* 32 bytes: the fast scanner loads two vectors from `name` */
};

extern const struct hdr_known hdr_known[HDR_COUNT];

/* The header whose compact form this letter is (RFC 3261 §7.3.3), in either case; else HDR_OTHER. */
uint8_t hdr_compact(char c);

#endif
