/* sbc/call/pass.h - REGISTER for a domain whose registrar is behind us (`mode: pass` and `front`; RFC 3327, RFC 3608). The request goes to
 * the domain's pool like any other, with Contacts (or a Path) of ours in which a token names the binding (DECISIONS 34); what the registrar
 * grants becomes the binding here, so that the client can be reached, and he gets his own Contacts back. */
#ifndef SBC_CALL_PASS_H
#define SBC_CALL_PASS_H
#include "sbc/call/call.h"
#include "registrar/register.h"

/* `q`: read and found without fault. Answers it or passes it on. */
void pass_register(struct b2bua *b, const struct request *r, const struct register_request *q, const struct conf_route *rule);
void passing_free(struct passing *p);
/* The pool of its domain, by the present snapshot; NULL: it has none any more. */
const struct conf_pool *passing_pool(const struct b2bua *b, const struct passing *p);

/* The lines that stand for the client's Contacts, towards `leg`. */
void pass_contacts(struct compose *c, const struct setup *s, const struct leg *leg, const struct view *v);
/* A 2xx: what it grants is kept, and the client hears of his own. As setup_pass. */
int pass_granted(struct attempt *a, const struct view *v, const struct path *from, uint64_t tag_id);

/* A request of somebody we trust for what one of our binding tokens stands for. False: it is none, and goes on by the rules. */
bool pass_request(struct b2bua *b, const struct request *r, const struct uri *uri, struct sv contact);
/* Where an initial request of a registered client visits first: the Service-Route of his registration, if it goes to that registrar's
 * pool; or empty. */
struct sv pass_service(const struct setup *s, const struct view *v);

#endif
