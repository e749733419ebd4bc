/* sbc/drains.h - drains under way: who waits for the end of one, what is left at its deadline, and when each will be empty. The drain
 * itself is a wish (dispatcher/wish.h) and needs nobody to wait for it. Control thread. */
#ifndef SBC_DRAINS_H
#define SBC_DRAINS_H
#include "sbc/ask.h"
#include "sbc/publish.h"

enum drains_limits {
	DRAINS_TICK_MS = 100,          /* while somebody waits or calls are being ended */
	DRAINS_IDLE_MS = 500,
	DRAINS_FADE_MS = 10000,        /* how often histories are looked at (dest_fade) */
	DRAINS_SAVE_RETRY_MS = 30000,  /* for a state file that could not be written */
	DRAINS_SHOW_MS = 1000,         /* between lines of progress: grows to a twentieth of the wait, */
	DRAINS_SHOW_MAX_MS = 30000,    /* up to this */
	DRAINS_HANGUP_SHARE = 20,      /* at the deadline: a twentieth of what is left per tick, */
	DRAINS_HANGUP_MAX = 50,        /* but no more than this: 500 calls/s */
	DRAINS_HANGUPS_MAX = 64,       /* destinations at their deadline at one time; others after them */
	DRAINS_MOVE_MS = 1000,         /* before calls that could not be moved are looked at again */
};

struct ctl_reply;
struct drains;

struct drains_params {
	struct event_base *base;
	struct shared *shared;
	struct publisher *publisher;
	struct asker *asker;
};

int drains_new(struct drains **out, const struct drains_params *p);
/* After the control socket: nobody waits any more. */
void drains_free(struct drains *d);
/* The reply is answered when the destination "pool/name" is empty, with progress until then; the drain goes on if its asker leaves. */
void drains_wait(struct drains *d, struct ctl_reply *r, struct sv name);
/* When calls of these ages will have ended: by the destination's own history, else by its pool's. False: nothing is known. */
bool drains_end_ms(const struct pools *p, const struct conf *c, uint32_t destination, const struct spans *ages, uint64_t *in_ms);
/* "260 calls left, oldest 58.2s, empty in about 45s; 3 subscriptions"; `in_ms` NULL: unknown. */
void drains_say(char *out, size_t size, const struct census_row *row, const uint64_t *in_ms);

#endif
