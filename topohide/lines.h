/* topohide/lines.h - how single lines cross, shared by the files of this folder. */
#ifndef TOPOHIDE_LINES_H
#define TOPOHIDE_LINES_H
#include "topohide/hide.h"

const struct conf *hide_conf(const struct hide_index *x);
/* As it came: `value` stands behind `name` in the message. */
void hide_line(struct out *o, struct sv name, struct sv value);
/* The same, unless it names the sending side. */
void hide_checked_line(struct out *o, struct hide *h, struct sv name, struct sv value);

/* One header by its class: a line, or nothing. */
void hide_pass(struct out *o, struct hide *h, const struct hdr *hdr);
/* Does `text` hold an identifier of the sender's message? With another host in it it would not be known again. */
bool hide_tells_identifiers(const struct hide *h, struct sv text);

/* identity.c: what tells who somebody is, or asks that it be kept private */
void identity_line(struct out *o, struct hide *h, enum hdr_id id, struct sv name, struct sv value);
void privacy_asked_line(struct out *o, struct hide *h, struct sv name, struct sv value);
void signature_line(struct out *o, struct hide *h, struct sv name, struct sv value);
/* RFC 3325 §7, RFC 7044 §10.1.2: what its subject wants to be kept from this receiver. */
bool identity_is_withheld(struct hide *h, enum hdr_id id, struct sv value);
/* RFC 3323 §5.3: Subject and the like, which the caller wants to be kept from this receiver. */
bool is_private(struct hide *h, enum hdr_id id);

#endif
