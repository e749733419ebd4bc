/* sbc/call/echo.c - a 2xx whose call ended before its ACK came. The INVITE is answered all the same (§13.3.1.4): its transaction
 * repeats the answer, and the ACK that finds no call any more finds this. */
#include "sbc/call/call.h"

static void echo_ends(void *owner, struct server_txn *st)
{
	(void)st;
	((struct echo *)owner)->st = NULL;
	echo_free(owner);
}

static const struct server_ops echo_ops = { .on_end = echo_ends };

void echo_new(struct relay *r)
{
	struct b2bua *b = r->call->b;
	struct echo *e = slab_alloc(&b->echo_slab);

	if (!e)
		return;
	*e = (struct echo){ .b = b, .st = STEAL(r->st), .cseq = r->in_cseq };
	server_own(e->st, &echo_ops, e);
	server_return_2xx(e->st, r->answer);
	list_push(&b->all_echoes, &e->in_echoes);
	table_add(&b->echoes, &e->in_table, r->from == NEAR ? r->dialog->in_table.key : r->dialog->far->in_table.key);
}

void echo_ack(struct b2bua *b, uint64_t id, uint32_t cseq)
{
	for (struct link *l = table_find(&b->echoes, id); l; l = table_next(&b->echoes, l)) {
		struct echo *e = owner_of(l, struct echo, in_table);

		if (e->cseq == cseq) {
			server_hush(e->st);
			echo_free(e);
			return;
		}
	}
}

void echo_free(struct echo *e)
{
	struct b2bua *b = e->b;

	if (e->st)
		server_own(e->st, NULL, NULL);
	table_del(&b->echoes, &e->in_table);
	list_del(&e->in_echoes);
	slab_free(&b->echo_slab, e);
}
