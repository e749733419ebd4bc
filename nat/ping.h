/* nat/ping.h - the OPTIONS that keeps a contact's pinhole open (RFC 3261 §11): one form per listener, made when a snapshot is adopted,
 * of which only the Request-URI, a name and a number change. It says nothing of the inside. */
#ifndef NAT_PING_H
#define NAT_PING_H
#include "base/addr.h"
#include "base/sv.h"

enum ping_limits {
	PING_URI_MAX = 128,    /* of a contact with a longer URI only the address is named */
	PING_NAME_MAX = 64,
	PING_MAX = 2048,       /* 300 to 400 bytes with the usual names */
};

struct ping_form {
	char *text;
	uint16_t via_len;      /* of its parts: up to the branch, from there to the Call-ID, from there to CSeq, the rest */
	uint16_t middle_len, cseq_len, end_len;
};

/* `advertise`: what stands in Via, From, To and Contact, a host as in URIs, perhaps with a port. 0, -ENOMEM, -EMSGSIZE: it is too long. */
int ping_form_init(struct ping_form *f, struct sv advertise);
void ping_form_fini(struct ping_form *f); /* harmless on a zeroed one */
/* To `target` (a Request-URI), which is at `remote`. Branch and Call-ID are `name`, of PING_NAME_MAX bytes at most; in the branch `number`
 * follows, so that nobody takes one for a repetition of the last. Returns the bytes written. */
size_t ping_write(const struct ping_form *f, struct sv target, const struct addr *remote, struct sv name, uint32_t number,
                  char out[PING_MAX]);

#endif
