/* sbc/call/trunk.h - calls from and to carriers (DECISIONS 17): whose a request is, what a carrier may take, what it is called there, and
 * the credentials it gets from us. Nothing here is asked where the configuration has no trunks. */
#ifndef SBC_CALL_TRUNK_H
#define SBC_CALL_TRUNK_H
#include "sbc/call/call.h"

enum trunk_call_limits {
	TRUNK_RETRY_S = 5, /* Retry-After of who is refused because of its trunk's limits */
};

/* The trunk that this request came from: by the Contact that we registered, else by its source. NULL: from none. */
const struct conf_trunk *trunk_of(const struct b2bua *b, const struct request *r);
/* The same of a call; NULL, too, once the trunk is gone. */
const struct conf_trunk *trunk_of_call(const struct call *c);
/* A call begun by `r` takes its place at the trunk it came from, if it came from one. 0; or -EBUSY or -EAGAIN, as trunk_enter. */
int trunk_admit(struct call *c, const struct request *r);
/* What a request is refused for that was not admitted. */
enum why trunk_why(int err);
/* And what stands in the refusal. */
struct sv trunk_retry_line(char area[UNSUPPORTED_MAX]);
void trunk_admit_again(struct call *c, struct sv name); /* from a record */
void trunk_go(struct call *c);
/* Whose pool a new request goes to; NULL: no trunk's, or not to a pool. */
const struct conf_trunk *trunk_towards(const struct attempt *a);
/* Request-URI, From and To with the trunk's domain, out of `a`. Names of nobody (".invalid") stay, and what an Identity that passes signs
 * (DECISIONS 8). 0, -ENOMEM or -EBADMSG. */
int trunk_uri(const struct conf_trunk *t, struct arena *a, struct sv *uri);
int trunk_names(const struct b2bua *b, const struct conf_trunk *t, struct arena *a, const struct view *v, struct sv *from, struct sv *to);

#endif
