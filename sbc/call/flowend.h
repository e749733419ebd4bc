/* sbc/call/flowend.h - connections that close while a REGISTER that came by them waits, for a source of users or for the registrar behind
 * us: nobody tells of them again, so whoever makes the binding then has to know (RFC 5626 §4.2: it goes with its flow). */
#ifndef SBC_CALL_FLOWEND_H
#define SBC_CALL_FLOWEND_H
#include "base/list.h"
#include "base/table.h"
#include <stdbool.h>

struct b2bua;
struct request;

/* Part of what waits. Zeroed, it watches nothing. */
struct flow_end {
	struct link in_table;        /* key: flow_key; the first of those that watch the same flow */
	struct node others;          /* that watch it, too */
	bool is_first, is_watching;
	bool is_closed;              /* it has come */
};

/* Watches the flow that `r` came by, if it is a REGISTER's; that it was closed before, `r` knows. */
void flow_end_watch(struct b2bua *b, struct flow_end *e, const struct request *r);
void flow_end_forget(struct b2bua *b, struct flow_end *e);

#endif
