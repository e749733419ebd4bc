/* sip/stack.h - what the halves of the transaction layer share among themselves; nobody else includes it. */
#ifndef SIP_STACK_H
#define SIP_STACK_H
#include "sip/txn.h"

enum sip_backstops {
	SIP_SERVER_INVITE_MAX_MS = 3600000,      /* an INVITE that its user never answers */
	SIP_SERVER_OTHER_MAX_MS = 2 * SIP_TIMEOUT, /* another request that its user never answers */
};

size_t server_size(void);
size_t client_size(void);
/* A message of a record as a buffer of its own; empty: none. 0, -ENOMEM, or -EBADMSG when it is no sound message of its kind. */
int sip_import_message(struct sip_stack *s, struct sv text, uint8_t method, bool is_response, struct buf **out);
void sip_servers_drop(struct sip_stack *s);
void sip_clients_drop(struct sip_stack *s);

#endif
