/* registrar/register.h - what a REGISTER does to the bindings of its AOR (RFC 3261 §10.3 steps 6 to 8, RFC 5626 §6, RFC 3327 §5.3), all
 * or nothing. Who may send it, and for which domain, was judged before. */
#ifndef REGISTRAR_REGISTER_H
#define REGISTRAR_REGISTER_H
#include "registrar/registrar.h"
#include "sip/out.h"
#include "sip/view.h"

enum register_limits {
	REGISTER_CONTACTS_MAX = 16,    /* in one request */
	REGISTER_CONTACT_MAX = 512,    /* bytes of a Contact's URI */
	REGISTER_TEXT_MAX = 8192,      /* of the parameters of all Contacts of one request, and its Path */
	REGISTER_PARAMS_MAX = 1024,    /* of one */
	REGISTER_PATHS_MAX = 8,        /* values of Path */
	REGISTER_PASSED_MAX = 64,      /* bindings of an AOR that a registrar behind us keeps */
	REGISTER_GRANTED_MAX_MS = 7 * 86400 * 1000, /* whatever it says */
};

enum register_result {
	REGISTER_OK,
	REGISTER_BAD_CONTACT,  /* 400: grammar, scheme, a bound, or two of the same */
	REGISTER_BAD_STAR,     /* 400: `*` with others, or without Expires: 0 */
	REGISTER_BAD_PATH,     /* 400 */
	REGISTER_TOO_BRIEF,    /* 423 */
	REGISTER_OLD,          /* 500: a CSeq below the last one of this Call-ID */
	REGISTER_TOO_MANY,     /* 403: max-contacts */
	REGISTER_NO_OUTBOUND,  /* 439 */
	REGISTER_OURS,         /* 403: a Contact that we made for somebody */
	REGISTER_FULL,         /* 503: a bound of ours, or memory */
};

struct register_request {
	const struct view *v;
	const struct path *from;
	const struct conf_registrar *domain;
	const struct aor *aor;
	uint64_t aor_key;
	/* What a registrar behind us granted the binding of this id, in seconds; 0: nothing. NULL: we are the registrar. */
	uint32_t (*granted)(void *ctx, uint64_t id, struct sv contact);
	struct sv service;         /* granted: its Service-Route */
	/* Is this Contact one that we made ourselves (a token of ours)? Nobody registers that. May be NULL. */
	bool (*is_ours)(void *ctx, const struct uri *contact);
	void *ctx;
};

/* What the answer needs to know. */
struct register_done {
	bool is_outbound;          /* it was processed as RFC 5626 says: Require: outbound */
	bool is_new;               /* it made a binding that was not there */
};

/* What one Contact of a request asks for. */
struct register_contact {
	uint64_t id;               /* of its binding, there already or not */
	struct sv uri, params;     /* as they are kept */
	uint32_t expires_s;
	uint16_t q;
	bool has_q;
};
/* Each of them, for who passes the request on; `*` as those over the flow that the request came by. Changes nothing. */
enum register_result registrar_contacts(struct registrar *r, const struct register_request *q,
                                        void (*fn)(void *ctx, const struct register_contact *c), void *ctx);

/* Is this a mere refresh of one binding, by who refreshed it last, with what `proof` stands for? Then it lives for `client_s` from now on
 * and the registrar behind us need not hear of it, since it was asked less than half of what it granted ago (`front`). */
bool registrar_front(struct registrar *r, const struct register_request *q, uint64_t proof, uint32_t client_s);

enum register_result registrar_register(struct registrar *r, const struct register_request *q, struct register_done *done);

/* The lines of the 200: the bindings of the AOR with what is left of each, Path, Require, Supported. `is_shown` leaves out what its client
 * may not see (NULL: nothing). `temp_gruu` writes the part of a
 * temporary GRUU before the @ and returns its length; NULL: none are given. */
struct register_answer {
	const struct register_request *request;
	struct register_done done;
	bool (*is_shown)(void *ctx, const struct register_request *q, const struct binding *b);
	size_t (*temp_gruu)(void *ctx, const struct binding *b, char out[64]);
	/* Passed on: what else a registrar behind us says of this Contact, if it is this client's. False: it is not. NULL: we are the
	 * registrar. */
	bool (*passed)(void *ctx, const struct binding *b, struct sv *more);
	void *ctx;
};
void register_answer_write(struct registrar *r, const struct register_answer *a, struct out *o);

#endif
