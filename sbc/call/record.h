/* sbc/call/record.h - the parts of a call's record that its other files write and read, too. */
#ifndef SBC_CALL_RECORD_H
#define SBC_CALL_RECORD_H
#include "sbc/call/call.h"
#include "base/tlv.h"

enum leg_field { LEG_ID = 1, LEG_ZONE, LEG_TRANSPORT, LEG_REMOTE, LEG_CSEQ, LEG_CALL_ID, LEG_LOCAL, LEG_REMOTE_PARTY, LEG_TARGET,
	         LEG_ROUTES, LEG_FOLLOWS, LEG_POOL, LEG_DESTINATION, LEG_ATTEMPT,
	         LEG_AOR, LEG_BINDING, LEG_BRANCH, LEG_SIPS, LEG_TLS_NAME };

enum { FIELDS = 32 };

/* The fields of one level, by number; of repeated ones the last. What is missing is empty. */
struct fields {
	struct sv of[FIELDS];
};
/* 0 or -EBADMSG. */
int record_fields(struct fields *f, struct sv rest);
uint64_t record_number(const struct fields *f, unsigned field);

void record_put_addr(struct tlv_out *o, uint8_t field, const struct addr *a);
void record_put_leg(struct tlv_out *o, uint8_t field, const struct b2bua *b, const struct leg *l);
void record_put_client(struct tlv_out *o, uint8_t field, const struct client_txn *ct); /* NULL: nothing */

/* LEG_ZONE, LEG_TRANSPORT and LEG_REMOTE as a path from here. */
int record_path(const struct b2bua *b, const struct fields *f, struct path *path);
int record_leg(struct b2bua *b, struct leg *l, const struct fields *f);
/* No bytes, no transaction. */
int record_client(struct b2bua *b, struct sv bytes, const struct path *path, const struct client_ops *ops, void *owner,
                  struct client_txn **out);
/* The transaction of an attempt that has its leg, and its deadline. */
int record_attempt(struct attempt *a, struct sv client, uint64_t ahead, uint64_t raises, uint64_t min_s);
/* Would a request towards this side be one? What the record says of its leg is then fit for every message of the call. */
int record_side_check(const struct call *c, const struct leg *l, struct sv uri, struct sv routes, struct sv remote_tag);

#endif
