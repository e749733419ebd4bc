/* sbc/loop.h - a worker in production: its thread, its event loop, its sockets. */
#ifndef SBC_LOOP_H
#define SBC_LOOP_H
#include "sbc/turns.h"
#include "sbc/worker.h"
#include "transports/sockets.h"

struct loop;

/* Makes the worker with its sockets (taken out of `set`) and names; nothing runs yet. Control thread. */
int loop_new(struct loop **out, struct shared *shared, unsigned index, struct listen_set *set);
int loop_start(struct loop *l);
/* Asks the thread to end, and waits for it. */
void loop_stop(struct loop *l);
/* After loop_stop. */
void loop_free(struct loop *l);
struct worker *loop_worker(struct loop *l);
const struct counters *loop_net_counters(const struct loop *l);
const struct counters *loop_resolver_counters(const struct loop *l);
const struct turns *loop_turns(const struct loop *l);
/* Any thread: as mailbox_post. */
int loop_post(struct loop *l, struct mail *m, bool is_urgent);
/* Any thread: as mailbox_put and mailbox_wake. */
int loop_put(struct loop *l, struct mail *m, bool is_urgent);
void loop_wake(struct loop *l);

#endif
