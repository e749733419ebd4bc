#include "sip/stack.h"
#include <errno.h>
#include <stdlib.h>

const struct counter_def sip_counter_defs[SIP_COUNTERS] = {
	[SIP_REQUESTS] = { "sip_requests_sent_total", "Requests sent, retransmissions included", false },
	[SIP_RESPONSES] = { "sip_responses_received_total", "Responses that belong to a transaction", false },
	[SIP_REPLIES] = { "sip_responses_sent_total", "Responses sent by transactions, retransmissions included", false },
	[SIP_RETRANSMITS_IN] = { "sip_retransmissions_received_total", "Requests received again", false },
	[SIP_RETRANSMITS_OUT] = { "sip_retransmissions_sent_total", "Messages sent again", false },
	[SIP_ORPHAN_ACKS] = { "sip_orphan_acks_total", "ACKs that belong to nothing", false },
	[SIP_ORPHAN_RESPONSES] = { "sip_orphan_responses_total", "Responses whose transaction is gone", false },
	[SIP_CLIENT_TIMEOUTS] = { "sip_client_failures_total", "Requests without final response: time-out or transport", false },
	[SIP_SERVER_TIMEOUTS] = { "sip_server_timeouts_total", "Final responses without ACK, requests never answered", false },
	[SIP_SEND_ERRORS] = { "sip_send_errors_total", "Messages the transport refused", false },
	[SIP_TXN_REFUSED] = { "sip_transactions_refused_total", "Transactions refused: bound or memory", false },
	[SIP_STATELESS_REPLIES] = { "sip_stateless_responses_total", "Refusals answered without state", false },
	[SIP_TOO_LARGE] = { "sip_oversized_datagrams_total", "Requests above 1,300 bytes sent over UDP: no TCP known there",
	                    false },
};

int sip_stack_init(struct sip_stack *s, struct wheel *wheel, struct net *net, const struct hash_key *key, struct blocks *bufs)
{
	int err;

	*s = (struct sip_stack){ .wheel = wheel, .net = net, .key = *key, .bufs = bufs };
	slab_init(&s->servers, "server_txn", server_size(), SIP_SERVERS_MAX);
	slab_init(&s->clients, "client_txn", client_size(), SIP_CLIENTS_MAX);
	if ((err = table_init(&s->by_key, SIP_SERVERS_MAX)) || (err = table_init(&s->by_id, SIP_CLIENTS_MAX)) ||
	    (err = counters_init(&s->counters, sip_counter_defs, SIP_COUNTERS)))
		goto out;
	if ((s->scratch = malloc(SIP_SCRATCH)))
		return 0;
	err = -ENOMEM;
out:
	sip_stack_fini(s);
	return err;
}

int sip_import_message(struct sip_stack *s, struct sv text, uint8_t method, bool is_response, struct buf **out)
{
	SCOPED(buf_putp) struct buf *b = NULL;
	struct view_fault fault;
	struct view v;

	if (!text.len)
		return 0;
	if (text.len > NET_MESSAGE_MAX)
		return -EBADMSG;
	if (!(b = buf_copy_in(s->bufs, text)))
		return -ENOMEM;
	if (view_scan(&v, b->data, b->len, true, &fault) || v.method != method || (v.status != 0) != is_response)
		return -EBADMSG;
	*out = STEAL(b);
	return 0;
}

void sip_stack_fini(struct sip_stack *s)
{
	sip_servers_drop(s);
	sip_clients_drop(s);
	table_fini(&s->by_key);
	table_fini(&s->by_id);
	slab_fini(&s->servers);
	slab_fini(&s->clients);
	counters_fini(&s->counters);
	free(s->scratch);
}
