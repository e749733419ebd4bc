/* tests/alloc/scene.h - one call between two user agents who retransmit as they should, over a rig whose memory runs out now and then.
 * Whatever fails: nothing crashes, nobody waits for ever, and when all timers have run out nothing is left. */
#ifndef TESTS_ALLOC_SCENE_H
#define TESTS_ALLOC_SCENE_H
#include "tests/alloc/oom.h"
#include "tests/flow/flow.h"
#include "tests/flow/ua.h"

/* What happens in it. */
struct script {
	const char *yaml;
	unsigned workers;
	bool is_first_silent;     /* the first server says nothing */
	bool is_first_busy;       /* the first server says 503 */
	bool changes;             /* a re-INVITE of the caller's, an UPDATE of the callee's */
	bool callee_hangs_up;
	bool has_names;           /* bob.example.net is the first server, known after a while */
	bool never_acks;
	const char *answer_extra; /* lines of the 200, e.g. a Record-Route */
};

struct callee {
	struct ua *bell, *ua;     /* who holds the INVITE; the dialog */
	struct ua_server *invite;
	struct timer step;
	unsigned steps;
	bool has_answered, is_acked, is_over;
};

enum { CALLEES_MAX = 8 };

struct scene {
	const struct script *script;
	struct rig *rig;
	struct ua_world world;
	void (*deliver)(void *ctx, const struct packet *p);
	struct ua *caller;
	struct ua_client *invite;
	struct timer step;
	unsigned steps, calls;
	uint16_t status;          /* of the INVITE; 0: none */
	bool has_ended;           /* the caller sent or got a BYE, or was refused */
	bool was_unanswered;
	struct callee callee[CALLEES_MAX];
	unsigned n_callees;
};

void scene_begin(struct scene *s, const struct script *script);
/* One whole call, with `more + 1` allocations from `first` on failing. Returns whether one did. `is_strict`: the call has to end in
 * an answer, nobody may be left in a call that the other has not. */
bool scene_call(struct scene *s, unsigned long first, unsigned long more, bool is_strict);
/* An ordinary call with enough memory: answered and ended. */
void scene_good_call(struct scene *s);
/* Returns how many things went wrong (each was printed). */
uint64_t scene_end(struct scene *s);

/* For n = 1, 2 ... until nothing fails any more: scene, the n-th allocation fails, a good call, end. Then the same with several
 * failing in a row. Prints how many there were. */
void scene_fail_each(const struct script *script, const char *name);

#endif
