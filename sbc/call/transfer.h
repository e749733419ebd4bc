/* sbc/call/transfer.h - whom a request names (DECISIONS 10): dialogs, by Replaces, Join and Target-Dialog, in a header or escaped in
 * Refer-To, or in a dialog-info body, and the other end of a call, by a Contact of ours in Refer-To. Everybody names them by the
 * identifiers of his own leg; whoever gets the request has to read his own. In between they are an end of a call: a leg and its remote.
 * The leg may be another worker's: then the names travel there and back, and the request waits. */
#ifndef SBC_CALL_TRANSFER_H
#define SBC_CALL_TRANSFER_H
#include "sbc/call/call.h"

enum transfer_limits {
	NAMES_MAX = 12,              /* in one request */
	NAMES_BODY_MAX = 4096,       /* bytes of identifiers of ours in a dialog-info body; those beyond are as unknown */
	NAMES_TEXT_MAX = 16384,      /* bytes of what is named */
	TRANSFER_FRAG_MAX = 128,     /* a status line of ours in a sipfrag */
};

/* The end of a call that is meant, as plain values: `text` is call_id | own | ours | target. */
struct end {
	uint64_t leg, dialog;        /* ids */
	struct path path;            /* of its remote */
	uint16_t zone, shard, slot;  /* slot: destination + 1; 0: none */
	uint16_t call_id_len, own_len, ours_len, target_len; /* own: the remote's tag; ours: the one it knows us by */
	char *text;
};

struct name {
	uint8_t header;              /* HDR_REPLACES, HDR_JOIN, HDR_TARGET_DIALOG; HDR_REFER_TO: the Contact that is its URI;
	                              * HDR_CONTENT_TYPE: a dialog in a dialog-info body, as a Replaces would name it that comes of it */
	bool is_embedded;            /* in the headers of Refer-To's URI */
	bool is_early_only;
	bool is_transfer;            /* TOKEN_TRANSFER: the answer to an earlier crossing */
	bool is_swapped;             /* our tag is the from-tag: the namer's own end is meant */
	bool is_asked, is_known;
	struct token token;          /* where to look: of a leg or dialog */
	uint64_t check;              /* of a TOKEN_TRANSFER: the dialog's id, mixed with the zone */
	struct sv call_id, to_tag, from_tag; /* in `text` of the names */
	struct end end;              /* is_known */
};

struct names {
	struct b2bua_errand errand;
	unsigned refs, home, n;
	uint64_t ticket, goes_to;    /* goes_to: the leg whose remote gets the request; 0: somebody else */
	uint16_t zone;               /* of who names them */
	bool has_no_memory;
	enum why why;                /* what is wrong with the request for them; WHY_COUNT: nothing */
	struct name name[NAMES_MAX];
	char text[];
};

/* Does the request name anybody? */
bool names_anybody(const struct view *v);
/* Finds out whom, and goes on with b2bua_dispatch: at once, or when other workers have answered. */
void names_request(struct b2bua *b, const struct request *r);
/* What is wrong with `r` for whom it names. */
static inline enum why names_fault(const struct request *r)
{
	return r->names ? r->names->why : WHY_COUNT;
}
/* The end that a dialog of a body turned out to be; NULL: unknown. */
const struct end *names_end(const struct names *n, struct sv call_id, struct sv to_tag, struct sv from_tag);
/* NULL is allowed. */
struct names *names_get(struct names *n);
void names_put(struct names *n);
/* The end in `zone` of a call that is to be replaced or joined, or is the target dialog; NULL: none. */
const struct end *names_end_in(const struct names *n, uint16_t zone);
/* They have come here, to be asked or answered. */
void names_arrive(struct b2bua *b, struct names *n);

/* end.c */
void b2bua_dispatch(struct b2bua *b, const struct request *r);

/* transfer.c: what becomes of them in a message. As `line` of struct hide; ctx is a struct compose. */
bool transfer_line(void *ctx, struct out *o, struct hide *h, const struct hdr *hdr);
/* What the receiver of `c` is to call the dialog of `e`; tokens lie in `area`. */
struct end_names {
	struct sv call_id, own, ours;
	char area[3][TOKEN_LEN];
};
void transfer_names(const struct compose *c, const struct end *e, struct end_names *out);
/* A NOTIFY's body: a message/sipfrag that says more than it may is cut down to its status line (RFC 3515 §2.4.5). */
struct sv transfer_frag(struct hide *h, struct sv body, char area[TRANSFER_FRAG_MAX]);

static inline struct sv end_call_id(const struct end *e)
{
	return (struct sv){ e->text, e->call_id_len };
}
static inline struct sv end_own(const struct end *e)
{
	return (struct sv){ e->text + e->call_id_len, e->own_len };
}
static inline struct sv end_ours(const struct end *e)
{
	return (struct sv){ e->text + e->call_id_len + e->own_len, e->ours_len };
}
static inline struct sv end_target(const struct end *e)
{
	return (struct sv){ e->text + e->call_id_len + e->own_len + e->ours_len, e->target_len };
}

#endif
