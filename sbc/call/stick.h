/* sbc/call/stick.h - calls of pools with `sticky`: where their key is (dispatcher/sticky.h) is asked of the worker that owns it. When that
 * is another one, the question goes there and home as mail and the request waits in the park (DECISIONS 19, 20). Where a key stays with its
 * destination as long as it has calls (`on-drain: stay`), each call holds a struct stick until it ends: then that travels to the owner. */
#ifndef SBC_CALL_STICK_H
#define SBC_CALL_STICK_H
#include "dispatcher/sticky.h"
#include "sbc/call/call.h"

enum stick_limits {
	STICK_WAIT_MS = 2000,        /* for the owner's answer */
	STICK_OWED_MS = 100,         /* between two tries to tell an owner whose mailbox is full */
};

/* What setup.stick says. */
enum stick_state { STICK_NONE, STICK_ASKING, STICK_ANSWERED, STICK_LATE };

/* Chooses the destination of the next attempt by the request's key. 0 and s->pick, reserved; -EINPROGRESS: dial() is called again when the
 * answer is there; -ETIMEDOUT: it did not come, and the key's calls have to meet; else as pool_pick. */
int stick_choose(struct setup *s, const struct conf_pool *pool, uint16_t index, const struct view *v);
/* The call goes to s->pick for another reason: its key hears of it. */
void stick_follow(struct setup *s, const struct conf_pool *pool, const struct view *v);
/* A setup that waits for an answer does so no longer. */
void stick_forget(struct setup *s);
/* The call, which is_stuck, has ended. */
void stick_leave(struct call *c);
/* Two calls change places: each holds what the other one held. */
void stick_change(struct call *c, struct call *with);
void stick_arrive(struct b2bua *b, struct b2bua_errand *e);
void stick_errand_free(struct b2bua_errand *e);
/* With b->sticky: 0 or -ENOMEM. */
int sticks_init(struct b2bua *b);
void sticks_fini(struct b2bua *b);

/* The key of a call that is_stuck as a field of its record; and from one: the call is counted here. */
struct tlv_out;
void stick_put(struct tlv_out *o, uint8_t field, const struct call *c);
void stick_apply(struct call *c, struct sv bytes);

#endif
