/* sbc/call/fork.h - one initial request to several places (RFC 3261 §16.6, §16.7): those of the highest q at once, those of the next
 * one when none of these is left. To the caller it is one request with early dialogs of several To-tags, to each place it looks like the
 * branch of a proxy's: the same Call-ID, From-tag and CSeq in all of them (DECISIONS 4). */
#ifndef SBC_CALL_FORK_H
#define SBC_CALL_FORK_H
#include "sbc/call/call.h"

/* SPARE: another flow of a phone that has a better one, for when that is dead (RFC 5626 §5.3). */
enum branch_state { BRANCH_WAITING = 1, BRANCH_SPARE, BRANCH_ASKING, BRANCH_LIVE, BRANCH_OVER };

struct branch {
	struct fork *fork;
	struct direct *direct;     /* owned */
	struct parked parked;      /* ASKING: for the name of a redirection */
	uint64_t resolve_id;
	uint64_t binding, instance; /* as in struct located_target */
	uint16_t q;
	uint8_t hop;               /* how many redirections led to it */
	uint8_t state;             /* enum branch_state */
	bool is_next;              /* named by the 3xx that has just come */
};

struct fork {
	struct setup *setup;
	uint64_t aor;              /* key of the one called */
	struct timer timer;        /* of the branches that were begun last, while others wait */
	uint64_t end_ms;           /* when their time is over */
	uint32_t group_ms;
	uint8_t n, n_live;         /* live: also those that are asking */
	uint8_t breadth, share;    /* RFC 5393 §5: branches at once, and what each may fork into in its turn */
	struct branch of[FORK_BRANCHES_MAX]; /* a branch's leg knows it by its place here, from 1 on */
};

struct located;

/* The call of `s` goes to these. Takes copies. 0; -E2BIG: not even one branch is allowed; -ENOENT: there is none; -ENOMEM. */
int fork_new(struct setup *s, const struct located *to, const struct view *v);
void fork_free(struct fork *f);
/* Begins what is next; without anything left the call ends. */
void fork_dial(struct setup *s, const struct view *v);
/* The lines that every branch's request carries. */
void fork_lines(struct compose *c, const struct fork *f);

/* A final response, which was looked at, or what stands for it: 408 timer B or F, 430 the transport. `a` is freed. May end the call. */
void fork_final(struct attempt *a, unsigned status);
/* It rang for too long. */
void fork_given_up(struct attempt *a);
/* The Contacts of a 3xx become branches, as redirect_take has it. */
bool fork_redirected(struct attempt *a, const struct view *v);
/* §16.7 step 6: the lower, the more a caller can do with it. */
unsigned fork_rank(unsigned status);

/* An empty one, and one more branch in it, which takes `direct`, given up too when there is no room. NULL: too many, or memory is out. */
struct fork *fork_alloc(struct setup *s);
struct branch *fork_add(struct fork *f, struct direct *direct);
/* The present branches have this much time left. */
void fork_wait(struct fork *f, uint64_t ms);

/* forked.c: in the call's record, whose fields have these numbers */
struct tlv_out;
void fork_put(struct tlv_out *o, uint8_t fork_field, uint8_t branch_field, const struct fork *f);
/* `s` has its first attempt. 0, -EBADMSG, -ENOMEM, -ENOSPC. */
int fork_apply(struct setup *s, struct sv record, struct sv bytes, uint8_t branch_field);
/* Is what the record said of its branches fit for messages? */
int fork_check(const struct fork *f);

#endif
