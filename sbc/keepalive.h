/* sbc/keepalive.h - keep-alives for the bindings of one worker's registrar: what is sent over which path, what counts as an answer, and
 * what becomes of a binding whose contact is gone. When is nat/keeper.h's business. */
#ifndef SBC_KEEPALIVE_H
#define SBC_KEEPALIVE_H
#include "nat/keeper.h"
#include "registrar/registrar.h"
#include "sip/view.h"

struct worker;
struct keepalive;

/* 0 or -ENOMEM. */
int keepalive_new(struct keepalive **out, struct worker *w);
/* Before the worker's net and buffers go. NULL is allowed. */
void keepalive_free(struct keepalive *k);
/* The snapshot used from now on. 0 or -ENOMEM (the old one stays). */
int keepalive_adopt(struct keepalive *k, const struct conf *c);
/* Room that each binding needs. */
size_t keepalive_extra(void);

/* What the registrar tells of its bindings (registrar_params). */
void keepalive_binding_new(struct keepalive *k, struct binding *b);
void keepalive_binding_refreshed(struct keepalive *k, struct binding *b);
void keepalive_binding_gone(struct keepalive *k, struct binding *b);

/* A message or a sign of life has come; only while worker.hears is set. */
void keepalive_note(struct worker *w, const struct path *from);
/* True: the response answers a keep-alive of ours, and is dealt with, or sent to the worker that has the binding. */
bool keepalive_response(struct worker *w, const struct view *v, const struct path *from);
/* Of a pair, only the node that has the flows pings. */
void keepalive_pause(struct keepalive *k, bool is_paused);
struct counters *keepalive_counters(struct keepalive *k);

#endif
